//! The server in trouble: power that goes, a store that is full or slow, a link that is down, packets that mean
//! harm.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use doorway_base::Random;
use doorway_dhcp::server::DropReason;
use doorway_dhcp::wire::MessageType;
use doorway_store::{Batch, Durability, Store};

use crate::support::{Request, Setup, Site};

/// Leases of ten clients behind the relay agent, by hardware address.
fn ten_leases(site: &mut Site) -> Vec<([u8; 6], Ipv4Addr)> {
    let relay = site.relay();
    let node = relay.node;
    let leases = async move {
        let mut leases = Vec::new();
        for number in 0..10 {
            let mac = [2, 0, 0, 0, 1, number];
            leases.push((mac, relay.lease(mac, u32::from(number)).await.unwrap().yiaddr));
        }
        leases
    };
    site.sim.run(node, leases).unwrap()
}

/// Every acknowledged lease is there still, and no newcomer gets one of them.
fn nothing_is_lost(site: &mut Site, leases: Vec<([u8; 6], Ipv4Addr)>) {
    let server = site.server;
    site.sim.crash(server);
    site.sim.restart(server);
    site.sim.run_for(Duration::from_millis(1));
    assert_eq!(site.dhcp().restored().leases, leases.len() as u64);
    let client = site.client("newcomer");
    let asking = client.clone();
    let given = site.sim.run(client.node, async move { asking.lease(77).await.yiaddr }).unwrap();
    assert!(leases.iter().all(|(_, address)| *address != given));
}

#[test]
fn a_lease_that_was_acknowledged_outlives_the_end_of_the_process() {
    let mut site = Site::new(Setup::default());
    let leases = ten_leases(&mut site);
    nothing_is_lost(&mut site, leases);
}

#[test]
fn with_durability_power_it_outlives_a_power_cut() {
    let mut site = Site::new(Setup { durability: Durability::Disk, ..Setup::default() });
    let leases = ten_leases(&mut site);
    site.store.rows.cut_power();
    nothing_is_lost(&mut site, leases);
}

#[test]
fn no_client_hears_of_a_lease_before_it_is_written_and_others_do_not_wait() {
    let mut site = Site::new(Setup::default());
    let (client, other) = (site.client("client"), site.client("other"));
    let (asking, store) = (client.clone(), Arc::clone(&site.store));
    site.sim
        .run(client.node, async move {
            let offer = asking.ask(&asking.discover(1)).await.unwrap();
            store.slow.store(true, Relaxed);
            asking.say(Request::taking(&offer, asking.mac, 1).octets());
            assert!(other.ask(&other.discover(2)).await.is_some(), "an offer needs no store");
            assert_eq!(asking.hear(1, asking.mac).await, None);
            store.go_on();
            assert_eq!(asking.hear(1, asking.mac).await.unwrap().kind, MessageType::Ack);
        })
        .unwrap();
}

#[test]
fn while_nothing_can_be_written_clients_keep_what_they_have_and_nobody_gets_more() {
    let mut site = Site::new(Setup::default());
    let (known, newcomer) = (site.client("known"), site.client("newcomer"));
    let (has, wants) = (known.clone(), newcomer.clone());
    let (store, dhcp) = (Arc::clone(&site.store), site.dhcp());
    site.sim
        .run(known.node, async move {
            let ack = has.lease(1).await;
            has.world.sleep(Duration::from_secs(600)).await;
            let offer = wants.ask(&wants.discover(2)).await.unwrap();
            store.full.store(true, Relaxed);
            let refused = wants.ask(&Request::taking(&offer, wants.mac, 2)).await;
            assert_eq!(refused, None, "what cannot be written is not promised");
            assert!(dhcp.counters().is_degraded());
            assert!(wants.ask(&wants.discover(3)).await.is_none());

            let request = Request::new(MessageType::Request, has.mac, 4);
            let renewed = has.ask(&Request { requested: Some(ack.yiaddr), ..request }).await.unwrap();
            assert_eq!((renewed.kind, renewed.yiaddr), (MessageType::Ack, ack.yiaddr));
            let left = renewed.seconds.unwrap();
            assert!((2000..=3000).contains(&left), "{left} seconds are what is on record");

            store.full.store(false, Relaxed);
            has.world.sleep(Duration::from_secs(10)).await;
            assert!(!dhcp.counters().is_degraded());
            wants.lease(5).await;
        })
        .unwrap();
}

#[test]
fn a_row_that_does_not_read_back_keeps_its_address_from_everybody() {
    let mut site = Site::new(Setup { pool: (100, 101), ..Setup::default() });
    let key = [b"dhcp.lease/".as_slice(), &[10, 0, 0, 100]].concat();
    site.store.commit(Batch::new().put(key, vec![9, 9, 9])).wait().unwrap();
    let server = site.server;
    site.sim.crash(server);
    site.sim.restart(server);
    site.sim.run_for(Duration::from_millis(1));
    assert_eq!(site.dhcp().restored().damaged, 1);
    let (one, two) = (site.client("one"), site.client("two"));
    let (first, second) = (one.clone(), two.clone());
    let given = site.sim.run(one.node, async move { first.lease(1).await.yiaddr }).unwrap();
    assert_eq!(given, Ipv4Addr::new(10, 0, 0, 101));
    assert_eq!(site.sim.run(two.node, async move { second.ask(&second.discover(2)).await }).unwrap(), None);
}

#[test]
fn a_link_that_was_down_is_served_again() {
    let mut site = Site::new(Setup::default());
    let client = site.client("client");
    let server = site.server;
    site.sim.interface_down(server);
    let asking = client.clone();
    assert_eq!(
        site.sim.run(client.node, async move { asking.ask(&asking.discover(1)).await }).unwrap(),
        None
    );
    site.sim.interface_up(server);
    let asking = client.clone();
    site.sim.run(client.node, async move { asking.lease(2).await }).unwrap();
}

#[test]
fn hostile_packets_are_counted_and_dropped() {
    let mut site = Site::new(Setup::default());
    let client = site.client("client");
    let asking = client.clone();
    let dhcp = site.dhcp();
    let whole = asking.discover(9).octets();
    site.sim
        .run(client.node, async move {
            for length in [0, 1, 43, 239, 240, 241] {
                asking.say(whole[..length].to_vec());
            }
            let changed = |at: usize, value: u8| {
                let mut octets = whole.clone();
                octets[at] = value;
                octets
            };
            asking.say(changed(0, 2)); // a reply
            asking.say(changed(0, 77)); // neither
            asking.say(changed(2, 255)); // hlen
            asking.say(changed(236, 0)); // the cookie
            asking.say(changed(241, 200)); // an option beyond the end
            asking.say(changed(242, 99)); // a type that does not exist
            asking.say([whole.clone(), vec![0; 1300]].concat()); // too long
            let mut random = Random::new(5);
            for _ in 0..500 {
                let mut octets = whole.clone();
                for _ in 0..4 {
                    let at = random.below(octets.len() as u64) as usize;
                    octets[at] = random.next_u64() as u8;
                }
                octets.truncate(random.below(octets.len() as u64 + 1) as usize);
                asking.say(octets);
            }
            asking.world.sleep(Duration::from_secs(2)).await;
            asking.lease(10).await;
        })
        .unwrap();
    let count = |reason| dhcp.counters().drops().find(|(known, _)| *known == reason).unwrap().1;
    assert!(count(DropReason::Malformed) >= 10, "{:?}", dhcp.counters());
    assert!(count(DropReason::NotARequest) >= 1);
    assert_eq!(dhcp.counters().panics.load(Relaxed), 0);
}

#[test]
fn a_flood_of_invented_clients_leaves_those_alone_who_have_a_lease() {
    let mut site = Site::new(Setup { pool: (100, 119), ..Setup::default() });
    let client = site.client("client");
    let asking = client.clone();
    let mac = client.mac;
    site.sim
        .run(client.node, async move {
            let ack = asking.lease(1).await;
            for number in 0..2000_u32 {
                let [_, _, high, low] = number.to_be_bytes();
                let request = Request::new(MessageType::Discover, [2, 7, 7, 7, high, low], number);
                asking.say(Request { broadcast: true, ..request }.octets());
            }
            asking.world.sleep(Duration::from_secs(1)).await;
            let request = Request::new(MessageType::Request, mac, 5000);
            let again = asking.ask(&Request { requested: Some(ack.yiaddr), ..request }).await.unwrap();
            assert_eq!((again.kind, again.yiaddr), (MessageType::Ack, ack.yiaddr));
        })
        .unwrap();
    let dhcp = site.dhcp();
    assert!(dhcp.counters().messages_in.load(Relaxed) >= 2000);
    // Who was offered an address and does not come back holds it for half a minute only.
    site.sim.run_for(Duration::from_secs(40));
    let late = site.client("late");
    let asking = late.clone();
    site.sim.run(late.node, async move { asking.lease(6000).await }).unwrap();
}
