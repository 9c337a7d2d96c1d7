//! Names of hosts with leases: in two zones and the store at once, and there again after a restart.

use std::sync::Arc;

use doorway_base::Trace;
use doorway_dns::authority::Published;
use doorway_dns::io::journal::Journal;
use doorway_dns::io::transfers::{Settings, Transfers};
use doorway_dns::leases::{Lease, LeaseChange};
use doorway_dns::wire::{Name, Record, Type};
use doorway_dns::zone::{Zone, Zones, file};
use doorway_net::os::Runtime;
use doorway_store::{Batch, Key, MemoryStore, Store, wait};

use super::moving::secret;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn zone(apex: &str, rest: &str) -> Arc<Zone> {
    let text = format!("$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns.example.org.\n{rest}");
    Arc::new(file::read(&name(apex), "zone", text.as_bytes(), secret()).unwrap().0)
}

/// A forward and a reverse zone, over a store.
struct Home {
    runtime: Runtime,
    published: Published,
    transfers: Transfers,
}

fn home(store: &Arc<MemoryStore>) -> Home {
    home_with(store, "nas A 10.0.0.2\n", false)
}

fn home_with(store: &Arc<MemoryStore>, lines: &str, made: bool) -> Home {
    let runtime = Runtime::start("test", 1, Trace::off()).unwrap();
    let zones = [zone("home.arpa", lines), zone("10.in-addr.arpa", "")];
    let published = Published::new(Zones::new(secret(), Vec::new()).unwrap());
    let settings = zones.iter().map(|zone| Settings { made, ..Settings::primary(zone.apex()) }).collect();
    let journal = Some(Journal::new(store.clone()));
    let transfers =
        wait(Transfers::start(runtime.world(), &published, journal, Vec::new(), settings, &zones)).unwrap();
    Home { runtime, published, transfers }
}

impl Home {
    fn records(&self, apex: &str, owner: &str, kind: Type) -> Vec<String> {
        let zones = self.published.current();
        let node = zones.named(&name(apex)).unwrap().node_of(&name(owner), secret());
        let records: Vec<Record> = node.map(|node| node.records()).unwrap_or_default();
        records.iter().filter(|record| record.kind == kind).map(Record::to_string).collect()
    }

    fn bound(&self, lease: &Lease) -> String {
        let bound = LeaseChange::Bound {
            apex: name("home.arpa"),
            domain: name("home.arpa"),
            lease: lease.clone(),
            before: None,
        };
        let rows = |_: &[Option<Name>]| Batch::new().put(Key::from("lease"), lease.client.clone());
        let names = wait(self.transfers.leases(&[bound], rows)).unwrap();
        names[0].as_ref().unwrap().to_string()
    }

    fn ended(&self, owner: &str, lease: &Lease) {
        let ended = LeaseChange::Ended { apex: name("home.arpa"), name: name(owner), lease: lease.clone() };
        wait(self.transfers.leases(&[ended], |_| Batch::new())).unwrap();
    }
}

fn lease(host: &str, last: u8, client: u8) -> Lease {
    let address = std::net::Ipv4Addr::new(10, 0, 0, last).into();
    Lease { host: Some(host.to_owned()), address, client: vec![client; 6], client_kind: 1, seconds: 3600 }
}

#[test]
fn a_lease_has_a_name_both_ways_until_it_ends_and_keeps_it_over_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let first = home(&store);
    assert_eq!(first.bound(&lease("Laptop", 7, 1)), "laptop.home.arpa.");
    let row = store.get(&[Key::from("lease")]).wait().unwrap();
    assert_eq!(row[0].as_ref().unwrap().value[..], [1; 6], "in the same transaction");
    drop(first);
    store.cut_power();
    let second = home(&store);
    assert_eq!(
        second.records("home.arpa", "laptop.home.arpa", Type::A),
        ["laptop.home.arpa. 300 IN A 10.0.0.7"]
    );
    let reverse = second.records("10.in-addr.arpa", "7.0.0.10.in-addr.arpa", Type::PTR);
    assert_eq!(reverse, ["7.0.0.10.in-addr.arpa. 300 IN PTR laptop.home.arpa."]);
    // Another address, the same name.
    assert_eq!(second.bound(&lease("laptop", 8, 1)), "laptop.home.arpa.");
    assert_eq!(
        second.records("home.arpa", "laptop.home.arpa", Type::A),
        ["laptop.home.arpa. 300 IN A 10.0.0.8"]
    );
    second.ended("laptop.home.arpa", &lease("laptop", 8, 1));
    let zones = second.published.current();
    assert!(
        zones
            .named(&name("home.arpa"))
            .unwrap()
            .node_of(&name("laptop.home.arpa"), secret())
            .is_none_or(|node| node.records().is_empty())
    );
    assert!(second.records("10.in-addr.arpa", "8.0.0.10.in-addr.arpa", Type::PTR).is_empty());
    drop(second.runtime);
}

#[test]
fn a_name_of_the_zone_file_or_of_another_client_is_left_alone() {
    let store = Arc::new(MemoryStore::new());
    let home = home(&store);
    assert_eq!(home.bound(&lease("nas", 7, 1)), "ip-10-0-0-7.home.arpa.");
    assert_eq!(home.records("home.arpa", "nas.home.arpa", Type::A), ["nas.home.arpa. 60 IN A 10.0.0.2"]);
    assert_eq!(home.bound(&lease("pc", 8, 1)), "pc.home.arpa.");
    assert_eq!(home.bound(&lease("pc", 9, 2)), "ip-10-0-0-9.home.arpa.");
    // Nor does the end of another's lease take it away.
    home.ended("pc.home.arpa", &lease("pc", 9, 2));
    assert_eq!(home.records("home.arpa", "pc.home.arpa", Type::A), ["pc.home.arpa. 300 IN A 10.0.0.8"]);
    assert_eq!(
        home.records("10.in-addr.arpa", "8.0.0.10.in-addr.arpa", Type::PTR),
        ["8.0.0.10.in-addr.arpa. 300 IN PTR pc.home.arpa."]
    );
}

#[test]
fn leases_that_begin_together_see_each_other_and_are_one_change_of_each_zone() {
    let store = Arc::new(MemoryStore::new());
    let home = home(&store);
    let serial = || home.published.current().named(&name("home.arpa")).unwrap().serial();
    let before = serial();
    let within = |domain: &str, lease: Lease, before| LeaseChange::Bound {
        apex: name("home.arpa"),
        domain: name(domain),
        lease,
        before,
    };
    let bound = |lease, before| within("home.arpa", lease, before);
    let elsewhere = LeaseChange::Bound {
        apex: name("example.com"),
        domain: name("example.com"),
        lease: lease("pc", 20, 9),
        before: None,
    };
    let changes = [
        bound(lease("pc", 7, 1), None),
        bound(lease("pc", 8, 2), None),
        bound(lease("nas", 9, 3), None),
        bound(lease("pc", 10, 1), None),
        elsewhere,
    ];
    let seen = std::cell::RefCell::new(Vec::new());
    let names = wait(home.transfers.leases(&changes, |names| {
        seen.borrow_mut().extend(names.iter().flatten().map(Name::to_string));
        Batch::new().put(Key::from("rows"), vec![names.len() as u8])
    }));
    let names: Vec<_> = names.unwrap().iter().map(|name| name.as_ref().map(Name::to_string)).collect();
    let text = |name: &str| Some(name.to_owned());
    let expected = [
        text("pc.home.arpa."),
        text("ip-10-0-0-8.home.arpa."),
        text("ip-10-0-0-9.home.arpa."),
        text("pc.home.arpa."),
        None,
    ];
    assert_eq!(names, expected);
    assert_eq!(seen.borrow().len(), 4, "the rows are made of the same names");
    assert_eq!(serial(), before + 1);
    assert_eq!(home.records("home.arpa", "pc.home.arpa", Type::A), ["pc.home.arpa. 300 IN A 10.0.0.10"]);
    assert_eq!(store.get(&[Key::from("rows")]).wait().unwrap()[0].as_ref().unwrap().value[..], [5]);
    // A host that takes another name gives the old one up.
    let renamed = bound(lease("tower", 10, 1), Some(name("pc.home.arpa")));
    let deeper = within("lab.home.arpa", lease("tower", 11, 5), None);
    let names = wait(home.transfers.leases(&[renamed, deeper], |_| Batch::new())).unwrap();
    assert_eq!(names, [Some(name("tower.home.arpa")), Some(name("tower.lab.home.arpa"))]);
    assert!(home.records("home.arpa", "pc.home.arpa", Type::A).is_empty());
    assert_eq!(
        home.records("10.in-addr.arpa", "10.0.0.10.in-addr.arpa", Type::PTR),
        ["10.0.0.10.in-addr.arpa. 300 IN PTR tower.home.arpa."]
    );
}

#[test]
fn a_zone_made_of_the_config_keeps_its_leases_until_it_is_made_otherwise() {
    let store = Arc::new(MemoryStore::new());
    let nas = "nas A 10.0.0.2\n";
    home_with(&store, nas, true).bound(&lease("pc", 8, 1));
    let again = home_with(&store, nas, true);
    assert_eq!(again.records("home.arpa", "pc.home.arpa", Type::A).len(), 1);
    drop(again);
    for _ in 0..2 {
        let other = home_with(&store, "nas A 10.0.0.3\npc A 10.0.0.4\n", true);
        assert_eq!(other.records("home.arpa", "nas.home.arpa", Type::A), ["nas.home.arpa. 60 IN A 10.0.0.3"]);
        assert_eq!(other.records("home.arpa", "pc.home.arpa", Type::A), ["pc.home.arpa. 60 IN A 10.0.0.4"]);
        assert_eq!(other.bound(&lease("pc", 8, 1)), "ip-10-0-0-8.home.arpa.", "the config comes first");
    }
    let back = home_with(&store, nas, true);
    assert!(back.records("home.arpa", "pc.home.arpa", Type::A).is_empty());
    assert_eq!(back.bound(&lease("pc", 8, 1)), "pc.home.arpa.");
}
