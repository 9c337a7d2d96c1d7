//! Our client and our relay agent with our server, on simulated links.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_dhcp::client::{Phase, Settings};
use doorway_dhcp::config::RelayConfig;
use doorway_dhcp::io::{
    Apply, ClientAgent, ClientEvent, ClientHandle, ClientOptions, DhcpServer, Kept, RelayAgent, discover,
};
use doorway_dhcp::relay::{DropReason, Rules};
use doorway_dhcp::wire::HardwareAddress;
use doorway_net::World;
use doorway_sim::{Node, Simulation};

use crate::support::{RELAY, SERVER, Setup, Site};

/// A folder of its own for what clients keep.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("doorway-dhcp-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A client of ours on a host, with what has happened to it.
struct Ours {
    node: Node,
    handle: ClientHandle,
    events: Arc<Mutex<Vec<ClientEvent>>>,
}

impl Ours {
    fn start(sim: &Simulation, node: Node, kept: Option<Kept>) -> Self {
        let world = sim.world(node);
        let hardware = HardwareAddress::ethernet(sim.mac(node).0);
        let settings = Settings { announce: true, ..Settings::new(hardware) };
        let apply = Some(Apply { metric: 100, resolv_conf: None });
        let options = ClientOptions { settings, apply, kept, release: true };
        let (agent, handle) = ClientAgent::open(&world, "eth0", options).unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        world.spawn("client", agent.run(move |event| heard.lock().unwrap().push(event.clone())));
        Self { node, handle, events }
    }

    fn addresses(&self, sim: &Simulation) -> Vec<IpAddr> {
        sim.addresses(self.node).iter().map(|own| own.address).collect()
    }

    /// The states that it went through since this was asked for the last time.
    fn phases(&self) -> Vec<Phase> {
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        let entered = events.into_iter().filter_map(|event| match event {
            ClientEvent::Entered(phase) => Some(phase),
            _ => None,
        });
        entered.collect()
    }
}

fn site(seconds: u64) -> Site {
    Site::new(Setup { lease: Duration::from_secs(seconds), ..Setup::default() })
}

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn an_address_is_had_renewed_and_given_back() {
    let mut site = site(100);
    let node = site.sim.node_without_address("client", 0);
    let client = Ours::start(&site.sim, node, None);
    site.sim.run_for(secs(5));
    assert_eq!(client.phases(), [Phase::Selecting, Phase::Requesting, Phase::Checking, Phase::Bound],);
    let had = client.addresses(&site.sim);
    assert_eq!(had.len(), 1);
    assert_eq!(site.store.leases().len(), 1);
    // T1 is at 50 s.
    site.sim.run_for(secs(50));
    assert_eq!(client.phases(), [Phase::Renewing, Phase::Bound]);
    site.sim.run_for(secs(500));
    assert_eq!(client.addresses(&site.sim), had, "for as long as it is renewed");
    client.events.lock().unwrap().clear();
    client.handle.release();
    site.sim.run_for(secs(1));
    assert_eq!(client.phases(), [Phase::Stopped]);
    assert!(client.addresses(&site.sim).is_empty());
    client.handle.renew();
    site.sim.run_for(secs(5));
    assert_eq!(client.addresses(&site.sim), had, "the server remembers whose it was");
}

#[test]
fn without_its_server_a_client_asks_at_t1_and_t2_and_loses_the_address_at_the_end() {
    let mut site = site(100);
    let node = site.sim.node_without_address("client", 0);
    let client = Ours::start(&site.sim, node, None);
    site.sim.run_for(secs(5));
    let had = client.addresses(&site.sim);
    client.phases();
    site.sim.crash(site.server);
    site.sim.run_for(secs(47));
    assert_eq!(client.phases(), [Phase::Renewing]);
    site.sim.run_for(secs(38));
    assert_eq!(client.phases(), [Phase::Rebinding]);
    assert_eq!(client.addresses(&site.sim), had);
    site.sim.run_for(secs(15));
    assert_eq!(client.phases(), [Phase::Selecting]);
    assert!(client.addresses(&site.sim).is_empty());
    site.sim.restart(site.server);
    site.sim.run_for(secs(70));
    assert_eq!(client.addresses(&site.sim), had, "the server has kept it");
}

#[test]
fn after_a_restart_the_address_of_before_is_asked_for_without_looking_for_others() {
    let mut site = site(3600);
    let (folder, node) = (Folder::new(), site.sim.node_without_address("client", 0));
    let kept = Kept::within(&folder.0);
    let client = Ours::start(&site.sim, node, Some(kept.clone()));
    site.sim.run_for(secs(5));
    let had = client.addresses(&site.sim);
    assert!(kept.record("eth0").is_some());
    site.sim.crash(node);
    site.sim.restart(node);
    let client = Ours::start(&site.sim, node, Some(kept.clone()));
    site.sim.run_for(secs(5));
    assert_eq!(client.phases(), [Phase::Rebooting, Phase::Checking, Phase::Bound]);
    assert_eq!(client.addresses(&site.sim), had);
    // Told to end, it gives the address back as it was told to.
    client.handle.end();
    site.sim.run_for(secs(1));
    assert!(kept.record("eth0").is_none());
    assert!(client.addresses(&site.sim).is_empty());
}

#[test]
fn an_address_that_a_neighbour_has_is_declined_and_another_one_taken() {
    let mut site = Site::new(Setup { pool: (100, 101), ..Setup::default() });
    let node = site.sim.node_without_address("client", 0);
    let client = Ours::start(&site.sim, node, None);
    site.sim.run_for(secs(5));
    let first = client.addresses(&site.sim)[0];
    client.handle.release();
    site.sim.run_for(secs(1));
    let squatter = site.sim.node_on("squatter", &first.to_string(), 0);
    client.events.lock().unwrap().clear();
    client.handle.renew();
    site.sim.run_for(secs(20));
    let events = client.events.lock().unwrap().clone();
    let found = events.iter().find_map(|event| match event {
        ClientEvent::InUse(address, by) => Some((IpAddr::V4(*address), by.mac())),
        _ => None,
    });
    assert_eq!(found, Some((first, Some(site.sim.mac(squatter).0))));
    let second = client.addresses(&site.sim);
    assert!(second.len() == 1 && second[0] != first, "{second:?}");
}

/// One more server on the link, with addresses of its own.
fn second_server(site: &mut Site) -> Arc<Mutex<Option<Arc<DhcpServer>>>> {
    let own = Ipv4Addr::new(10, 0, 0, 2);
    let node = site.sim.node("second", &own.to_string());
    let running = Arc::new(Mutex::new(None));
    let (world, there) = (site.sim.world(node), Arc::clone(&running));
    let settings = Setup { pool: (20, 30), lease: secs(7200), ..Setup::default() }.settings(own);
    world.clone().spawn("dhcp", async move {
        let store = Arc::new(doorway_store::MemoryStore::default());
        let server = DhcpServer::start(&world, store, None, settings).await.unwrap();
        *there.lock().unwrap() = Some(Arc::new(server));
    });
    site.sim.run_for(Duration::from_millis(1));
    running
}

fn offers(server: &DhcpServer) -> usize {
    server.with(|server, _| server.offers().len())
}

#[test]
fn of_two_servers_one_is_chosen_and_the_other_frees_its_offer() {
    let mut site = site(3600);
    let second = second_server(&mut site);
    let second = second.lock().unwrap().clone().unwrap();
    let node = site.sim.node_without_address("client", 0);
    let client = Ours::start(&site.sim, node, None);
    site.sim.run_for(Duration::from_millis(500));
    assert_eq!((offers(&site.dhcp()), offers(&second)), (1, 1));
    site.sim.run_for(secs(5));
    let lease = client.handle.status().lease.unwrap();
    assert_eq!(lease.binding.server, *SERVER.ip(), "the first that offered");
    assert_eq!((offers(&site.dhcp()), offers(&second)), (0, 0));
}

#[test]
fn a_search_lists_every_server_and_takes_nothing() {
    let mut site = site(3600);
    let _second = second_server(&mut site);
    let node = site.sim.node_without_address("client", 0);
    let (world, hardware) = (site.sim.world(node), HardwareAddress::ethernet(site.sim.mac(node).0));
    let found = site
        .sim
        .run(node, async move { discover(&world, "eth0", Settings::new(hardware), secs(3)).await })
        .unwrap()
        .unwrap();
    let mut servers: Vec<Ipv4Addr> = found.iter().map(|found| found.offer.server).collect();
    servers.sort_unstable();
    assert_eq!(servers, [*SERVER.ip(), Ipv4Addr::new(10, 0, 0, 2)]);
    assert!(site.store.leases().is_empty());
}

fn relay(world: &World, servers: Vec<Ipv4Addr>, rules: Rules) -> RelayAgent {
    let interfaces = vec!["eth0".to_owned()];
    RelayAgent::start(world, &RelayConfig { interfaces, servers, rules, ..RelayConfig::default() }).unwrap()
}

#[test]
fn a_client_behind_our_relay_agent_gets_an_address_of_its_link_and_renews_without_it() {
    let mut site = site(100);
    let router = site.sim.node_on("relay", &RELAY.ip().to_string(), 1);
    let agent = relay(&site.sim.world(router), vec![*SERVER.ip()], Rules::default());
    site.sim.run_for(Duration::from_millis(1));
    let node = site.sim.node_without_address("client", 1);
    let client = Ours::start(&site.sim, node, None);
    site.sim.run_for(secs(5));
    let had = client.addresses(&site.sim);
    assert!(matches!(had[..], [IpAddr::V4(address)] if address.octets()[..3] == [10, 0, 1]), "{had:?}");
    let counts = agent.counts();
    assert_eq!((counts.requests, counts.replies), (2, 2));
    // The lease tells the circuit.
    let row = &site.store.leases()[0].1.value;
    assert!(row.windows(6).any(|octets| octets == [1, 4, b'e', b't', b'h', b'0']), "{row:?}");
    site.sim.run_for(secs(60));
    assert_eq!(client.handle.status().bound, 2, "renewed");
    assert_eq!(agent.counts(), counts, "from host to host");
    agent.close();
    client.handle.release();
    site.sim.run_for(secs(1));
    client.handle.renew();
    site.sim.run_for(secs(10));
    assert!(client.addresses(&site.sim).is_empty(), "nobody relays any more");
}

#[test]
fn what_loops_or_comes_from_nowhere_stays_at_the_relay_agent() {
    let mut site = site(100);
    let router = site.sim.node_on("relay", &RELAY.ip().to_string(), 1);
    let agent = relay(&site.sim.world(router), vec![*SERVER.ip()], Rules::default());
    let world = site.sim.world(site.server);
    let stranger = site.sim.node_on("stranger", "10.0.1.77", 1);
    let other = site.sim.world(stranger);
    let mut junk = vec![0; 300];
    site.sim
        .run(site.server, async move {
            let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
            let socket = world.udp(any, &Default::default()).unwrap().start().unwrap();
            socket.send(&junk, RELAY.into()).await.unwrap();
            // An answer that is for another relay agent.
            junk[0] = 2;
            junk[236..240].copy_from_slice(&[99, 130, 83, 99]);
            socket.send(&junk, RELAY.into()).await.unwrap();
            // A message that claims to have come through this agent already.
            junk[0] = 1;
            junk[24..28].copy_from_slice(&RELAY.ip().octets());
            let near = other.udp(any, &Default::default()).unwrap().start().unwrap();
            near.send(&junk, RELAY.into()).await.unwrap();
            world.sleep(secs(1)).await;
        })
        .unwrap();
    let counts = agent.counts();
    for (reason, count) in [(DropReason::Malformed, 1), (DropReason::NotOurs, 1), (DropReason::Loop, 1)] {
        assert_eq!(counts.dropped[reason as usize], count, "{}", reason.name());
    }
    assert_eq!((counts.requests, counts.replies), (0, 0));
}

#[test]
fn the_exchange_of_two_servers_is_one_flow_of_the_trace() {
    let mut site = site(3600);
    let _second = second_server(&mut site);
    let node = site.sim.node_without_address("client", 0);
    let world = site.sim.world(node);
    let _client = Ours::start(&site.sim, node, None);
    site.sim.run_for(secs(5));
    let events = world.trace().events();
    let own: Vec<_> =
        events.iter().filter(|event| *event.node == *"client" && event.protocol == "dhcp").collect();
    let said: Vec<&str> =
        own.iter().map(|event| event.summary.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(said, ["DHCPDISCOVER", "DHCPOFFER", "DHCPOFFER", "DHCPREQUEST", "DHCPACK"]);
    assert!(own.iter().all(|event| event.flow.id == own[0].flow.id));
}
