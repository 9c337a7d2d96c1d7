//! What passes on a LAN segment below IP, and what link sockets, UDP sockets and batches see of it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use doorway_net::World;
use doorway_net::batch::{self, Outbox};
use doorway_net::ground::ListenOptions;
use doorway_net::interface::{InterfaceAddress, InterfaceChange};
use doorway_net::link::{self, ArpOperation, LinkContent, LinkMessage, LinkOptions, LinkSocket, Mac};
use doorway_net::udp::UdpOptions;
use doorway_sim::{Node, Simulation};

use crate::millis;

const BARE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);

fn segment() -> (Simulation, Node, Node) {
    let mut sim = Simulation::new(1);
    let server = sim.node("server", "10.0.0.1");
    let client = sim.node_without_address("client", 0);
    (sim, server, client)
}

fn datagram(from: Mac, to_mac: Mac, source: SocketAddrV4, destination: SocketAddrV4) -> LinkMessage {
    let content = LinkContent::Udp { source, destination, octets: b"hello".to_vec() };
    LinkMessage { source_mac: from, destination_mac: to_mac, content }
}

fn listen(world: &World, port: u16, broadcast_only: bool) -> LinkSocket {
    let options = LinkOptions { udp_ports: vec![port], broadcast_only, ..LinkOptions::default() };
    world.link("eth0", &options).unwrap()
}

#[test]
fn who_has_no_address_is_heard_by_links_and_by_udp_sockets_and_can_be_answered() {
    let (mut sim, server, client) = segment();
    let (world, bare) = (sim.world(server), sim.world(client));
    let (server_mac, client_mac) = (sim.mac(server), sim.mac(client));
    let (on_link, at_client) = (listen(&world, 67, true), listen(&bare, 68, false));
    let any: SocketAddr = "0.0.0.0:67".parse().unwrap();
    let socket = world.udp(any, &ListenOptions::default()).unwrap().start().unwrap();
    sim.run(server, async move {
        at_client.send(&datagram(client_mac, Mac::BROADCAST, BARE, EVERYBODY)).unwrap();
        let heard = on_link.receive().await.unwrap();
        assert_eq!(heard, datagram(client_mac, Mac::BROADCAST, BARE, EVERYBODY));
        let mut room = [0; 64];
        assert_eq!(socket.receive(&mut room).await.unwrap(), (5, BARE.into()));

        let promised = "10.0.0.9:68".parse().unwrap();
        let answer = datagram(server_mac, client_mac, "10.0.0.1:67".parse().unwrap(), promised);
        on_link.send(&answer).unwrap();
        assert_eq!(at_client.receive().await.unwrap(), answer, "though nobody has that address yet");
    })
    .unwrap();
}

#[test]
fn a_link_socket_for_broadcasts_leaves_the_rest_to_udp() {
    let (mut sim, server, client) = segment();
    sim.add_address(client, "10.0.0.2", 24);
    let (world, other) = (sim.world(server), sim.world(client));
    let (broadcasts, all) = (listen(&world, 67, true), listen(&world, 67, false));
    sim.run(server, async move {
        let socket = other.udp("10.0.0.2:68".parse().unwrap(), &ListenOptions::default()).unwrap();
        let socket = socket.start().unwrap();
        socket.send(b"hello", "10.0.0.1:67".parse().unwrap()).await.unwrap();
        let LinkContent::Udp { source, .. } = all.receive().await.unwrap().content else { panic!() };
        assert_eq!(source, "10.0.0.2:68".parse().unwrap());
        assert!(broadcasts.try_receive().is_err());
    })
    .unwrap();
}

#[test]
fn hosts_answer_arp_for_addresses_as_they_come_and_go() {
    let (mut sim, server, client) = segment();
    let asked = Ipv4Addr::new(10, 0, 0, 9);
    let (world, other) = (sim.world(server), sim.world(client));
    let (own, wanted) = (sim.mac(server), sim.mac(client));
    let arp = world.link("eth0", &LinkOptions { arp: true, ..LinkOptions::default() }).unwrap();
    sim.run(server, async move {
        let probe = async || {
            arp.send(&LinkMessage::arp_probe(own, asked)).unwrap();
            let answer = world.timeout(millis(300), arp.receive()).await?;
            let LinkContent::Arp { operation, sender_mac, sender_ip, .. } = answer.unwrap().content else {
                panic!()
            };
            assert_eq!((operation, sender_ip), (ArpOperation::Reply, asked));
            Some(sender_mac)
        };
        assert_eq!(probe().await, None);
        let address = InterfaceAddress { address: asked.into(), prefix: 24, broadcast: None };
        other.assign("eth0", &InterfaceChange::AddAddress { address, life: None }).unwrap();
        assert_eq!(other.interfaces().unwrap()[0].v4().collect::<Vec<_>>(), [(asked, 24)]);
        assert_eq!(probe().await, Some(wanted));
        other.assign("eth0", &InterfaceChange::RemoveAddress(address)).unwrap();
        assert_eq!(probe().await, None);
    })
    .unwrap();
}

#[test]
fn echoes_come_back_from_hosts_that_are_there_and_from_no_others() {
    let (mut sim, server, _) = segment();
    sim.node_on("far", "10.9.0.7", 5);
    let world = sim.world(server);
    sim.run(server, async move {
        let pinger = world.pinger().unwrap();
        pinger.send(Ipv4Addr::new(10, 9, 0, 8), 1).unwrap();
        pinger.send(Ipv4Addr::new(10, 9, 0, 7), 2).unwrap();
        assert_eq!(pinger.receive().await.unwrap(), (Ipv4Addr::new(10, 9, 0, 7), 2));
        assert!(world.timeout(millis(300), pinger.receive()).await.is_none());
    })
    .unwrap();
}

#[test]
fn a_link_that_goes_down_says_so_once_and_works_again_when_it_is_up() {
    let (mut sim, server, client) = segment();
    let (world, bare) = (sim.world(server), sim.world(client));
    let from = sim.mac(client);
    let (heard, sender) = (listen(&world, 67, true), Arc::new(listen(&bare, 68, false)));
    let hello = datagram(from, Mac::BROADCAST, BARE, EVERYBODY);
    sim.interface_down(server);
    sender.send(&hello).unwrap();
    assert_eq!(heard.try_receive().unwrap_err().kind(), std::io::ErrorKind::NetworkDown);
    assert_eq!(heard.send(&hello).unwrap_err().kind(), std::io::ErrorKind::NetworkDown);
    sim.run_for(Duration::from_secs(1));
    assert_eq!(heard.try_receive().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    sim.interface_up(server);
    sender.send(&hello).unwrap();
    sim.run_for(Duration::from_secs(1));
    assert_eq!(heard.try_receive().unwrap(), hello);
}

#[test]
fn batches_are_answered_later_and_end_with_their_door() {
    let (mut sim, server, _) = segment();
    let other = sim.node("other", "10.0.0.2");
    let world = sim.world(server);
    let at: SocketAddr = "10.0.0.1:67".parse().unwrap();
    let (door, sockets) = batch::serve(&world, at, &UdpOptions::new("dhcp", "dhcp", 67)).unwrap();
    assert_eq!(sockets.len(), 1);
    let clock = world.clone();
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    world.spawn("dhcp", async move {
        for socket in sockets {
            let mut receiver = socket.start().unwrap();
            let sender = receiver.sender();
            while let Some(received) = receiver.receive().await {
                let mut outbox = Outbox::default();
                for index in 0..received.unwrap() {
                    let datagram = receiver.datagram(index).unwrap();
                    outbox.push(datagram.remote, &datagram.octets.to_ascii_uppercase());
                }
                clock.sleep(millis(20)).await;
                assert_eq!(sender.send(&mut outbox), 1);
                assert!(outbox.is_empty());
            }
            ended.store(true, Relaxed);
        }
    });
    let client = sim.world(other);
    sim.run(other, async move {
        let socket = client.udp("10.0.0.2:0".parse().unwrap(), &ListenOptions::default()).unwrap();
        let socket = socket.start().unwrap();
        socket.send(b"hello", at).await.unwrap();
        let mut room = [0; 64];
        let (count, from) = socket.receive(&mut room).await.unwrap();
        assert_eq!((&room[..count], from), (&b"HELLO"[..], at));
        assert_eq!(client.now().as_nanos(), 20_000_000);
    })
    .unwrap();
    let counts = door.door().counts();
    assert_eq!((counts.datagrams_in, counts.datagrams_out, counts.octets_out), (1, 1, 5));
    assert!(!over.load(Relaxed));
    door.close();
    sim.run_for(millis(1));
    assert!(over.load(Relaxed), "the task went on past its loop");
}

#[test]
fn a_link_door_counts_and_can_be_closed() {
    let (mut sim, server, client) = segment();
    let (world, bare) = (sim.world(server), sim.world(client));
    let (from, sender) = (sim.mac(client), listen(&bare, 68, false));
    let options = LinkOptions { udp_ports: vec![67], broadcast_only: true, ..LinkOptions::default() };
    assert!(link::serve(&world, "eth7", &options, "dhcp", EVERYBODY.into()).is_err());
    let door = link::serve(&world, "eth0", &options, "dhcp", EVERYBODY.into()).unwrap();
    assert_eq!(world.doors().sockets(world.now())[0].local, Some(EVERYBODY.into()));
    let doors = world.clone();
    sim.run(server, async move {
        sender.send(&datagram(from, Mac::BROADCAST, BARE, EVERYBODY)).unwrap();
        assert!(door.receive().await.unwrap().is_ok());
        assert_eq!(door.door().counts().datagrams_in, 1);
        doors.doors().drain(&doors, doors.now()).await;
        assert!(door.receive().await.is_none());
    })
    .unwrap();
}
