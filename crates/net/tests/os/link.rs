//! Packet sockets, interfaces and batches over the operating system, in a network namespace of their own that
//! has a pair of connected interfaces. Only root can make one.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::time::Duration;

use doorway_net::batch::{self, Outbox};
use doorway_net::ground::ListenOptions;
use doorway_net::link::{ArpOperation, LinkContent, LinkMessage, LinkOptions, LinkSocket, Mac};
use doorway_net::udp::UdpOptions;
use doorway_net::{World, privileges};

const BARE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 1), 67);
const WAIT: Duration = Duration::from_secs(5);

/// Runs the test `inside` of this binary in a namespace with the interfaces `l0` (10.77.0.1/24) and `l1`.
pub(super) fn in_namespace(inside: &str) {
    if !privileges::is_root() {
        return; // only root may have namespaces
    }
    let set_up = "set -e
        ip link set lo up
        ip link add l0 address 02:00:00:00:00:01 type veth peer name l1 address 02:00:00:00:00:02
        ip link set l0 up; ip link set l1 up
        ip addr add 10.77.0.1/24 broadcast 10.77.0.255 dev l0
        exec \"$0\" --ignored --exact --nocapture \"$1\"";
    let exe = std::env::current_exe().unwrap();
    let output =
        Command::new("unshare").args(["-n", "sh", "-c", set_up]).arg(exe).arg(inside).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

fn datagram(source: SocketAddrV4, destination: SocketAddrV4) -> LinkMessage {
    let content = LinkContent::Udp { source, destination, octets: b"hello".to_vec() };
    let source_mac = Mac([2, 0, 0, 0, 0, 2]);
    let broadcast = destination.ip().is_broadcast();
    let destination_mac = if broadcast { Mac::BROADCAST } else { Mac([2, 0, 0, 0, 0, 1]) };
    LinkMessage { source_mac, destination_mac, content }
}

fn listen(world: &World, interface: &str, ports: &[u16], broadcast_only: bool) -> LinkSocket {
    let options = LinkOptions { udp_ports: ports.to_vec(), broadcast_only, ..LinkOptions::default() };
    world.link(interface, &options).unwrap()
}

async fn next(world: &World, socket: &LinkSocket) -> LinkMessage {
    world.timeout(WAIT, socket.receive()).await.expect("a frame in time").unwrap()
}

#[test]
fn frames_pass_between_interfaces_as_asked_for() {
    in_namespace("link::frames_inside");
}

#[test]
#[ignore = "runs in a namespace of its own"]
fn frames_inside() {
    let (runtime, world) = super::start();
    let listed = world.interfaces().unwrap();
    let l0 = listed.iter().find(|interface| interface.name == "l0").unwrap();
    assert_eq!((l0.mac, l0.mtu, l0.up), (Some(Mac([2, 0, 0, 0, 0, 1])), 1500, true));
    assert_eq!(l0.v4().collect::<Vec<_>>(), [(*SERVER.ip(), 24)]);
    assert_eq!(l0.addresses[0].broadcast, Some(Ipv4Addr::new(10, 77, 0, 255)));
    assert!(world.link("l9", &LinkOptions::default()).is_err());

    let (heard, all) = (listen(&world, "l0", &[67], true), listen(&world, "l0", &[67], false));
    let client = listen(&world, "l1", &[68], false);
    let arp = world.link("l1", &LinkOptions { arp: true, ..LinkOptions::default() }).unwrap();
    let done = runtime.block_on(async move {
        let sent = datagram(BARE, EVERYBODY);
        client.send(&sent).unwrap();
        assert_eq!(next(&world, &heard).await, sent);
        assert_eq!(next(&world, &all).await, sent);
        client.send(&datagram(BARE, SERVER)).unwrap();
        assert_eq!(next(&world, &all).await, datagram(BARE, SERVER));
        assert!(heard.try_receive().is_err(), "that was for the server alone");

        // The kernel leaves the checksum of what it sends itself to the card, which is none here.
        let socket = world.udp(SERVER.into(), &ListenOptions::default()).unwrap().start().unwrap();
        let neighbour = Mac([2, 0, 0, 0, 0, 2]).to_string();
        ip(&format!("neigh add 10.77.0.9 lladdr {neighbour} dev l0"));
        socket.send(b"hello", "10.77.0.9:68".parse().unwrap()).await.unwrap();
        let LinkContent::Udp { source, octets, .. } = next(&world, &client).await.content else { panic!() };
        assert_eq!((source, octets), (SERVER, b"hello".to_vec()));
        assert_eq!(client.malformed(), 0);

        arp.send(&LinkMessage::arp_probe(arp.mac(), *SERVER.ip())).unwrap();
        let LinkContent::Arp { operation, sender_mac, .. } = next(&world, &arp).await.content else {
            panic!()
        };
        assert_eq!((operation, sender_mac), (ArpOperation::Reply, Mac([2, 0, 0, 0, 0, 1])));

        let pinger = world.pinger().unwrap();
        pinger.send(*SERVER.ip(), 7).unwrap();
        let answer = world.timeout(WAIT, pinger.receive()).await.expect("an echo in time");
        assert_eq!(answer.unwrap(), (*SERVER.ip(), 7));
    });
    assert_eq!(done, Some(()));
}

#[test]
fn a_link_socket_outlives_a_new_name_and_a_pause_but_not_its_interface() {
    in_namespace("link::changes_inside");
}

#[test]
#[ignore = "runs in a namespace of its own"]
fn changes_inside() {
    let (runtime, world) = super::start();
    let heard = listen(&world, "l0", &[67], true);
    let done = runtime.block_on(async move {
        ip("link set l0 down");
        let error = world.timeout(WAIT, heard.receive()).await.expect("an error in time").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NetworkDown);
        ip("link set l0 name lan");
        ip("link set lan up");
        let client = listen(&world, "l1", &[68], false);
        // The kernel may take a second to see that the other end is up, and drops what is sent before.
        let mut came = None;
        for _ in 0..50 {
            client.send(&datagram(BARE, EVERYBODY)).unwrap();
            came = world.timeout(WAIT / 50, heard.receive()).await;
            if came.is_some() {
                break;
            }
        }
        assert_eq!(came.expect("a frame in time").unwrap(), datagram(BARE, EVERYBODY));
        while world.timeout(WAIT / 50, heard.receive()).await.is_some() {}
        ip("link del lan");
        let error = world.timeout(WAIT, heard.receive()).await.expect("an error in time").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    });
    assert_eq!(done, Some(()));
}

#[test]
fn a_batch_takes_what_is_there_and_is_answered_when_all_is_done() {
    let (runtime, world) = super::start();
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let options = UdpOptions { threads: 1, ..UdpOptions::new("dhcp", "dhcp", 67) };
    let (door, sockets) = batch::serve(&world, address, &options).unwrap();
    let at = door.local().unwrap();
    let done = runtime.block_on(async move {
        let client = world.udp("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
        let client = client.start().unwrap();
        for number in 0..100_u8 {
            client.send(&[number], at).await.unwrap();
        }
        client.send(&[0; 5000], at).await.unwrap();
        let mut receiver = sockets.into_iter().next().unwrap().start().unwrap();
        let (sender, mut outbox, mut seen) = (receiver.sender(), Outbox::default(), 0);
        while seen < 101 {
            let count = receiver.receive().await.unwrap().unwrap();
            assert!(count > 1, "{count} at once");
            seen += count;
            for index in 0..count {
                // The one that is too long is left out.
                let Some(datagram) = receiver.datagram(index) else { continue };
                outbox.push(datagram.remote, &[datagram.octets, b"!"].concat());
            }
        }
        assert_eq!(outbox.iter().map(|(octets, _)| octets.len()).sum::<usize>(), 200);
        assert_eq!(sender.send(&mut outbox), 100);
        for number in 0..100_u8 {
            let mut room = [0; 8];
            let (count, from) = client.receive(&mut room).await.unwrap();
            assert_eq!((&room[..count], from), (&[number, b'!'][..], at));
        }
        door.close();
        assert!(receiver.receive().await.is_none());
    });
    assert_eq!(done, Some(()));
}
