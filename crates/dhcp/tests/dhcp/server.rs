//! The server over a simulated LAN: leases come, go on, and end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_base::trace::Direction;
use doorway_dhcp::io::{Names, NamesError, Rows};
use doorway_dhcp::name::NameChange;
use doorway_dhcp::wire::MessageType;
use doorway_dhcp::{Lease, LeaseState};
use doorway_net::BoxFuture;
use doorway_net::ground::ListenOptions;
use doorway_store::Store;

use crate::support::{Client, EVERYBODY, Faulty, RELAY, Request, SERVER, Setup, Site};

fn rows(store: &Faulty) -> Vec<Lease> {
    let rows = store.leases();
    rows.iter().map(|(key, row)| Lease::from_row(key.as_octets(), &row.value).unwrap()).collect()
}

#[test]
fn a_client_without_an_address_gets_one_and_its_lease_is_written_first() {
    let mut site = Site::new(Setup::default());
    let client = site.client("client");
    let (asking, store) = (client.clone(), Arc::clone(&site.store));
    site.sim
        .run(client.node, async move {
            let ack = asking.lease(1).await;
            assert_eq!(ack.server, *SERVER.ip());
            assert_eq!(ack.seconds, Some(3600));
            // To its card, at the address that it is about to have.
            assert_eq!(ack.to, SocketAddr::new(ack.yiaddr.into(), 68));
            let leases = rows(&store);
            assert_eq!(
                (leases.len(), leases[0].address, leases[0].state),
                (1, ack.yiaddr, LeaseState::Bound)
            );
        })
        .unwrap();
    let dhcp = site.dhcp();
    let counts =
        site.sim.world(site.server).doors().list().iter().map(|door| door.counts()).collect::<Vec<_>>();
    assert_eq!(counts.iter().map(|counts| (counts.datagrams_in, counts.datagrams_out)).max(), Some((2, 2)));
    assert_eq!(dhcp.counters().messages_out.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[test]
fn who_hears_broadcasts_alone_is_answered_by_broadcast() {
    let mut site = Site::new(Setup::default());
    let client = site.client("client");
    let asking = client.clone();
    site.sim
        .run(client.node, async move {
            // An invented card: what is sent to it alone would not come here.
            let mac = [2, 9, 9, 9, 9, 9];
            let request = Request { broadcast: true, ..Request::new(MessageType::Discover, mac, 5) };
            let offer = asking.ask(&request).await.unwrap();
            assert_eq!(offer.to, SocketAddr::new(Ipv4Addr::BROADCAST.into(), 68));
            assert!(asking.ask(&Request { broadcast: false, ..request }).await.is_none());
        })
        .unwrap();
}

#[test]
fn an_exchange_is_one_flow_in_the_trace_as_it_was_on_the_wire() {
    let mut site = Site::new(Setup::default());
    let client = site.client("client");
    let asking = client.clone();
    let address = site.sim.run(client.node, async move { asking.lease(1).await.yiaddr }).unwrap();
    let events: Vec<_> =
        site.sim.trace().events().into_iter().filter(|event| event.protocol == "dhcp").collect();
    let told: Vec<_> = events.iter().map(|event| event.summary.split(' ').next().unwrap()).collect();
    assert_eq!(told, ["DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST", "DHCPACK"]);
    assert!(events.iter().all(|event| event.flow.id == events[0].flow.id));
    assert_eq!((events[0].direction, events[0].flow.local), (Direction::In, EVERYBODY.into()));
    assert_eq!(events[0].flow.remote, "0.0.0.0:68".parse().unwrap());
    assert_eq!(events[3].flow.remote, SocketAddr::new(address.into(), 68));
    assert_eq!((events[3].flow.local, events[3].flow.canonical_port), (SERVER.into(), 67));
}

#[test]
fn a_relay_agent_gets_the_answers_for_its_link() {
    let mut site = Site::new(Setup::default());
    let relay = site.relay();
    let node = relay.node;
    site.sim
        .run(node, async move {
            let ack = relay.lease([2, 1, 1, 1, 1, 1], 3).await.unwrap();
            assert_eq!((ack.kind, ack.yiaddr.octets()[2]), (MessageType::Ack, RELAY.ip().octets()[2]));
        })
        .unwrap();
}

#[test]
fn a_client_that_has_an_address_renews_it_from_there() {
    let mut site = Site::new(Setup::default());
    let client = site.client("client");
    let (asking, world) = (client.clone(), client.world.clone());
    let address = site.sim.run(client.node, async move { asking.lease(1).await.yiaddr }).unwrap();
    site.sim.add_address(client.node, &address.to_string(), 24);
    let before = rows(&site.store)[0].ends;
    site.sim.run_for(Duration::from_secs(1800));
    let at = SocketAddr::new(address.into(), 68);
    let mac = client.mac;
    site.sim
        .run(client.node, async move {
            let socket = world.udp(at, &ListenOptions::default()).unwrap().start().unwrap();
            socket.send(&Request::renewing(address, mac, 2).octets(), SERVER.into()).await.unwrap();
            let mut room = [0; 1500];
            let (count, from) = socket.receive(&mut room).await.unwrap();
            assert_eq!(from, SERVER.into());
            let ack = doorway_dhcp::wire::Message::parse(&room[..count]).unwrap();
            assert_eq!((ack.kind(), ack.lease_seconds()), (Some(MessageType::Ack), Some(3600)));
        })
        .unwrap();
    let leases = rows(&site.store);
    assert_eq!(leases.len(), 1);
    assert!(leases[0].ends > before, "the row says so");
}

#[test]
fn a_lease_that_is_not_renewed_ends_and_its_address_serves_another() {
    let setup = Setup { pool: (100, 100), lease: Duration::from_secs(20), ..Setup::default() };
    let mut site = Site::new(setup);
    let (first, second) = (site.client("first"), site.client("second"));
    let (asking, waiting) = (first.clone(), second.clone());
    let address = site.sim.run(first.node, async move { asking.lease(1).await.yiaddr }).unwrap();
    let refused = waiting.clone();
    assert_eq!(
        site.sim.run(second.node, async move { refused.ask(&refused.discover(2)).await }).unwrap(),
        None
    );
    site.sim.run_for(Duration::from_secs(21));
    let now = site.sim.world(first.node).wall();
    assert!(rows(&site.store)[0].ends.is_some_and(|ends| ends <= now), "the row says when it ended");
    let given = site.sim.run(second.node, async move { waiting.lease(3).await.yiaddr }).unwrap();
    assert_eq!(given, address);
    let leases = rows(&site.store);
    assert_eq!((leases.len(), leases[0].state), (1, LeaseState::Bound));
}

#[test]
fn a_released_address_is_free_at_once() {
    let mut site = Site::new(Setup { pool: (100, 100), ..Setup::default() });
    let (first, second) = (site.client("first"), site.client("second"));
    let (asking, waiting) = (first.clone(), second.clone());
    let mac = first.mac;
    site.sim
        .run(first.node, async move {
            let ack = asking.lease(1).await;
            let release = Request::new(MessageType::Release, mac, 2);
            asking.say(Request { ciaddr: ack.yiaddr, server: Some(ack.server), ..release }.octets());
        })
        .unwrap();
    let given = site.sim.run(second.node, async move { waiting.lease(3).await.yiaddr }).unwrap();
    assert_eq!(given, Ipv4Addr::new(10, 0, 0, 100));
}

#[test]
fn of_two_servers_the_one_that_is_not_chosen_frees_its_offer() {
    let mut site = Site::new(Setup { pool: (100, 100), ..Setup::default() });
    // The other server has the same network and other addresses.
    let other = site.sim.node("other", "10.0.0.2");
    let second = Setup { pool: (201, 201), ..Setup::default() };
    let settings = second.settings(Ipv4Addr::new(10, 0, 0, 2));
    let slot = Arc::new(Mutex::new(None));
    let into = Arc::clone(&slot);
    site.sim.boot(other, move |world, _| {
        let (world, settings, into) = (world.clone(), settings.clone(), Arc::clone(&into));
        world.clone().spawn("dhcp", async move {
            let store = Arc::new(Faulty::default());
            let server = doorway_dhcp::io::DhcpServer::start(&world, store, None, settings).await;
            *into.lock().unwrap() = Some(server.unwrap());
        });
    });
    site.sim.run_for(Duration::from_millis(1));
    let client = site.client("client");
    let asking = client.clone();
    site.sim
        .run(client.node, async move {
            let offers = asking.ask_all(&asking.discover(1)).await;
            let mut servers: Vec<_> = offers.iter().map(|offer| offer.server).collect();
            servers.sort();
            assert_eq!(servers, [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]);
            let chosen = offers.iter().find(|offer| offer.server == *SERVER.ip()).unwrap();
            let acks = asking.ask_all(&Request::taking(chosen, asking.mac, 1)).await;
            assert_eq!(acks.len(), 1, "only the chosen server answers: {acks:?}");
            assert_eq!((acks[0].kind, acks[0].yiaddr), (MessageType::Ack, chosen.yiaddr));
        })
        .unwrap();
    // The one address of the other server is free for the next client, long before its offer would lapse.
    let next = site.client("next");
    let asking = next.clone();
    let offers = site.sim.run(next.node, async move { asking.ask_all(&asking.discover(2)).await }).unwrap();
    assert_eq!(offers.iter().map(|offer| offer.yiaddr).collect::<Vec<_>>(), [Ipv4Addr::new(10, 0, 0, 201)]);
}

#[test]
fn an_address_that_somebody_uses_is_found_before_it_is_offered() {
    let probe = doorway_dhcp::plan::Probe::Auto;
    let mut site = Site::new(Setup { pool: (100, 101), probe, ..Setup::default() });
    let squatter = site.sim.node("squatter", "10.0.0.100");
    let (one, two) = (site.client("one"), site.client("two"));
    let (first, second) = (one.clone(), two.clone());
    let given = site.sim.run(one.node, async move { first.lease(1).await.yiaddr }).unwrap();
    assert_eq!(given, Ipv4Addr::new(10, 0, 0, 101));
    let refused = site.sim.run(two.node, async move { second.ask(&second.discover(2)).await }).unwrap();
    assert_eq!(refused, None, "the other address is in use");
    assert!(site.dhcp().probes().1 >= 1);
    let _ = squatter;
}

#[test]
fn a_probe_makes_nobody_else_wait() {
    let probe = doorway_dhcp::plan::Probe::Auto;
    let mut site = Site::new(Setup { probe, ..Setup::default() });
    let (slow, known) = (site.client("slow"), site.client("known"));
    let first = known.clone();
    let address = site.sim.run(known.node, async move { first.lease(1).await.yiaddr }).unwrap();
    let (waiting, asking) = (slow.clone(), known.clone());
    site.sim
        .run(known.node, async move {
            waiting.say(waiting.discover(2).octets());
            let before = asking.world.now();
            let request = Request::new(MessageType::Request, asking.mac, 3);
            let reboot = Request { requested: Some(address), ..request };
            let ack = asking.ask(&reboot).await.unwrap();
            assert_eq!(ack.kind, MessageType::Ack);
            assert!(asking.world.now() - before < Duration::from_millis(10));
            assert!(waiting.hear(2, waiting.mac).await.is_some(), "the other one has its offer later");
            assert!(asking.world.now() - before >= Duration::from_millis(300));
        })
        .unwrap();
}

#[test]
fn an_address_behind_a_relay_agent_is_probed_by_echo() {
    let probe = doorway_dhcp::plan::Probe::Auto;
    let mut site = Site::new(Setup { pool: (100, 101), probe, ..Setup::default() });
    site.sim.node_on("squatter", "10.0.1.100", 1);
    let relay = site.relay();
    let node = relay.node;
    let given =
        site.sim.run(node, async move { relay.lease([2, 1, 1, 1, 1, 1], 3).await.unwrap().yiaddr }).unwrap();
    assert_eq!(given, Ipv4Addr::new(10, 0, 1, 101));
}

#[test]
fn a_declined_address_is_given_to_nobody_for_a_while() {
    let mut site = Site::new(Setup { pool: (100, 101), ..Setup::default() });
    let client = site.client("client");
    let asking = client.clone();
    site.sim
        .run(client.node, async move {
            let ack = asking.lease(1).await;
            let decline = Request::new(MessageType::Decline, asking.mac, 2);
            let decline = Request { requested: Some(ack.yiaddr), server: Some(ack.server), ..decline };
            asking.say(decline.octets());
            let other = asking.lease(3).await;
            assert_ne!(other.yiaddr, ack.yiaddr);
        })
        .unwrap();
    assert!(rows(&site.store).iter().any(|lease| lease.state == LeaseState::Declined));
}

#[test]
fn many_declined_addresses_raise_one_alarm() {
    let mut site = Site::new(Setup { pool: (100, 119), ..Setup::default() });
    let client = site.client("client");
    let asking = client.clone();
    site.sim
        .run(client.node, async move {
            for number in 0..5 {
                let ack = asking.lease(2 * number).await;
                let decline = Request::new(MessageType::Decline, asking.mac, 2 * number + 1);
                let decline = Request { requested: Some(ack.yiaddr), server: Some(ack.server), ..decline };
                asking.say(decline.octets());
                // So many messages at once would be too many.
                asking.world.sleep(Duration::from_secs(10)).await;
            }
            asking.lease(20).await;
        })
        .unwrap();
    let declined = rows(&site.store).iter().filter(|lease| lease.state == LeaseState::Declined).count();
    let alarms = site.dhcp().counters().alarms.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((declined, alarms), (5, 1));
}

/// Gives every host its own name in the domain, once it is told to.
#[derive(Default)]
struct Zone {
    rows: Mutex<Option<Arc<Faulty>>>,
    calls: Mutex<Vec<Vec<NameChange>>>,
    fails: std::sync::atomic::AtomicBool,
}

impl Names for Zone {
    fn change(
        &self,
        changes: Vec<NameChange>,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Vec<Option<String>>, NamesError>> {
        Box::pin(async move {
            if self.fails.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(NamesError("no zone".to_owned()));
            }
            let name = |change: &NameChange| match change {
                NameChange::Bound { host, domain, .. } => Some(format!("{host}.{domain}")),
                NameChange::Ended { .. } => None,
            };
            let names: Vec<_> = changes.iter().map(name).collect();
            self.calls.lock().unwrap().push(changes);
            let store = self.rows.lock().unwrap().clone().unwrap();
            store.commit(rows(&names)).await.map_err(|error| NamesError(error.to_string()))?;
            Ok(names)
        })
    }
}

fn named_site(zone: &Arc<Zone>) -> Site {
    let names: Option<Arc<dyn Names>> = Some(Arc::clone(zone) as _);
    let site = Site::new(Setup { names, domain: Some("lab.test"), ..Setup::default() });
    *zone.rows.lock().unwrap() = Some(Arc::clone(&site.store));
    site
}

async fn lease_with_name(client: &Client, host: &'static str) -> Ipv4Addr {
    let offer = client.ask(&client.discover(1)).await.unwrap();
    let request = Request { host: Some(host), ..Request::taking(&offer, client.mac, 1) };
    client.ask(&request).await.unwrap().yiaddr
}

#[test]
fn a_lease_and_its_name_are_written_together_and_end_together() {
    let zone = Arc::new(Zone::default());
    let mut site = named_site(&zone);
    let client = site.client("client");
    let asking = client.clone();
    let address =
        site.sim.run(client.node, async move { lease_with_name(&asking, "printer").await }).unwrap();
    assert_eq!(rows(&site.store)[0].name.as_deref(), Some("printer.lab.test"));
    let asking = client.clone();
    site.sim
        .run(client.node, async move {
            let release = Request::new(MessageType::Release, asking.mac, 2);
            asking.say(Request { ciaddr: address, server: Some(*SERVER.ip()), ..release }.octets());
        })
        .unwrap();
    site.sim.run_for(Duration::from_secs(1));
    let calls = zone.calls.lock().unwrap();
    let [NameChange::Ended { name, .. }] = &calls.last().unwrap()[..] else { panic!("{calls:?}") };
    assert_eq!(name, "printer.lab.test");
}

#[test]
fn a_name_that_cannot_be_written_costs_nobody_an_address() {
    let zone = Arc::new(Zone::default());
    zone.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut site = named_site(&zone);
    let client = site.client("client");
    let asking = client.clone();
    site.sim.run(client.node, async move { lease_with_name(&asking, "printer").await }).unwrap();
    let leases = rows(&site.store);
    assert_eq!((leases.len(), leases[0].name.as_deref()), (1, None));
}

#[test]
fn another_server_on_the_link_is_noticed() {
    let setup = Setup { rogue_check: doorway_dhcp::io::RogueCheck::Warn, ..Setup::default() };
    let mut site = Site::new(setup.clone());
    let other = site.sim.node("other", "10.0.0.2");
    let settings = setup.settings(Ipv4Addr::new(10, 0, 0, 2));
    site.sim.boot(other, move |world, _| {
        let (world, settings) = (world.clone(), settings.clone());
        world.clone().spawn("dhcp", async move {
            let store = Arc::new(Faulty::default());
            doorway_dhcp::io::DhcpServer::start(&world, store, None, settings).await.unwrap();
        });
    });
    let dhcp = site.dhcp();
    let found = site.sim.run(site.server, async move { dhcp.look_for_others().await }).unwrap();
    let found: Vec<_> = found.iter().map(|(name, found)| (name.as_str(), found.offer.server)).collect();
    assert_eq!(found, [("eth0", Ipv4Addr::new(10, 0, 0, 2))]);
}

#[test]
fn a_server_that_must_be_alone_stays_away_from_a_link_that_has_another() {
    let mut site = Site::new(Setup::default());
    let late = site.sim.node("late", "10.0.0.2");
    let setup = Setup { rogue_check: doorway_dhcp::io::RogueCheck::Refuse, ..Setup::default() };
    let (settings, world) = (setup.settings(Ipv4Addr::new(10, 0, 0, 2)), site.sim.world(late));
    let started = site.sim.run(late, async move {
        let store = Arc::new(Faulty::default());
        doorway_dhcp::io::DhcpServer::start(&world, store, None, settings).await.unwrap()
    });
    assert!(started.unwrap().addresses().is_empty());
}

#[test]
fn a_stopped_server_answers_what_it_was_writing_and_nothing_more() {
    let mut site = Site::new(Setup::default());
    let client = site.client("client");
    let (asking, store, dhcp) = (client.clone(), Arc::clone(&site.store), site.dhcp());
    site.sim
        .run(client.node, async move {
            let offer = asking.ask(&asking.discover(1)).await.unwrap();
            store.slow.store(true, std::sync::atomic::Ordering::Relaxed);
            asking.say(Request::taking(&offer, asking.mac, 1).octets());
            asking.world.sleep(Duration::from_millis(10)).await;
            asking.world.spawn("test", async move {
                assert!(dhcp.stop().await);
            });
            asking.world.sleep(Duration::from_millis(10)).await;
            store.go_on();
            assert_eq!(asking.hear(1, asking.mac).await.unwrap().kind, MessageType::Ack);
            assert!(asking.ask(&asking.discover(2)).await.is_none());
        })
        .unwrap();
    assert!(site.sim.world(site.server).doors().list().is_empty());
}
