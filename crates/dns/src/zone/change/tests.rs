//! Changes are held against plain sets of records: what a zone gives back, what lies between two
//! zones, and what applying it makes.

use std::collections::BTreeSet;

use doorway_base::Random;
use proptest::prelude::*;

use super::*;
use crate::zone::file;

fn secret() -> HashKey {
    HashKey::new(&mut Random::new(1))
}

fn zone(serial: u32, rest: &str) -> Zone {
    let text = format!("$TTL 60\n@ SOA ns.Example.org. host.example.org. {serial} 2 3 4 5\n@ NS ns\n{rest}");
    let read = file::read(&"example.org".parse().unwrap(), "zone", text.as_bytes(), secret());
    read.unwrap_or_else(|faults| panic!("{faults}")).0
}

fn lines(zone: &Zone) -> BTreeSet<String> {
    zone.iter().map(|record| record.to_string().to_ascii_lowercase()).collect()
}

const ALL: &str = "\
ns A 192.0.2.1\nns AAAA 2001:db8::1\n*.w MX 10 mail.w\nmail.w A 192.0.2.9\na.b.c TXT \"deep\" \"er\"\n\
www CNAME web.example.org.\nsub NS ns.sub\nsub NS ns.elsewhere.test.\nsub DS 1 8 2 1122\nns.sub A 192.0.2.2\n\
srv SRV 1 2 3 ns.example.org.\nx TYPE731 \\# 3 010203\nr RP host.example.org. .\n";

#[test]
fn a_zone_gives_back_every_record_with_the_soa_record_first() {
    let zone = zone(7, ALL);
    assert_eq!(zone.iter().next().map(|record| record.kind), Some(Type::SOA));
    let given: Vec<String> = zone.iter().map(|record| record.to_string()).collect();
    assert_eq!(given.len(), zone.records());
    for line in [
        "example.org. 60 IN SOA ns.example.org. host.example.org. 7 2 3 4 5",
        "*.w.example.org. 60 IN MX 10 mail.w.example.org.",
        "a.b.c.example.org. 60 IN TXT \"deep\" \"er\"",
        "www.example.org. 60 IN CNAME web.example.org.",
        "sub.example.org. 60 IN NS ns.sub.example.org.",
        "sub.example.org. 60 IN NS ns.elsewhere.test.",
        "sub.example.org. 60 IN DS 1 8 2 1122",
        "ns.sub.example.org. 60 IN A 192.0.2.2",
        "srv.example.org. 60 IN SRV 1 2 3 ns.example.org.",
        "x.example.org. 60 IN TYPE731 \\# 3 010203",
    ] {
        assert!(given.iter().any(|record| record == line), "{line} in {given:#?}");
    }
}

#[test]
fn serial_numbers_go_round() {
    for (a, b, after) in [
        (2, 1, true),
        (1, 1, false),
        (1, 2, false),
        (0, u32::MAX, true),
        (u32::MAX, 0, false),
        (0x8000_0000, 1, true),
        (0x8000_0001, 1, false),
        (1, 0x8000_0001, false),
    ] {
        assert_eq!(is_after(a, b), after, "{a} after {b}");
    }
}

#[test]
fn a_change_that_does_not_fit_leaves_the_zone_as_it_is() {
    let (old, new) = (zone(7, ALL), zone(8, "ns A 192.0.2.1\n"));
    let change = old.difference(&new, secret());
    assert_eq!((change.from(), change.to()), (7, 8));
    assert_eq!(new.changed(&[&change], secret()).unwrap_err(), Unfit::Serial { zone: 8, change: 7 });
    let mut twice = change.clone();
    twice.removed.push(change.removed[0].clone());
    assert!(matches!(old.changed(&[&twice], secret()), Err(Unfit::Missing(_))));
    let mut again = change.clone();
    again.removed.clear();
    again.added.push(old.iter().find(|record| record.kind == Type::TXT).unwrap());
    assert!(matches!(old.changed(&[&again], secret()), Err(Unfit::Present(_))));
    let mut outside = change.clone();
    outside.added.push(Record { name: "example.net".parse().unwrap(), ..change.removed[0].clone() });
    assert!(matches!(old.changed(&[&outside], secret()), Err(Unfit::Outside(_))));
    let mut headless = change.clone();
    headless.removed.push(old.iter().find(|record| record.kind == Type::NS).unwrap());
    assert!(matches!(old.changed(&[&headless], secret()), Err(Unfit::Unservable(_))));
    assert_eq!(lines(&old.changed(&[&change], secret()).unwrap()), lines(&new));
}

#[test]
fn letter_case_makes_no_other_record() {
    let old = zone(1, "a PTR Some.Where.test.\n");
    let new = zone(2, "A PTR some.where.TEST.\n");
    let change = old.difference(&new, secret());
    assert!(change.removed.is_empty() && change.added.is_empty(), "{change:?}");
}

#[test]
fn a_kept_change_reads_back_and_every_prefix_of_it_is_refused_or_shorter() {
    let change = zone(7, ALL).difference(&zone(8, "z A 192.0.2.200\nns AAAA ::1\n"), secret());
    let octets = change.encode();
    assert_eq!(octets.len(), change.octets());
    assert_eq!(Change::decode(&octets), Ok(change.clone()));
    for length in 0..octets.len() {
        if let Ok(shorter) = Change::decode(&octets[..length]) {
            assert!(shorter.octets() == length && shorter != change);
        }
    }
}

// A few names and values, so that two zones have some of each in common.
fn records() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b.a", "*.a", "c", "d.c", "cut", "ns.cut", "e.f.g"]);
    let data = prop::sample::select(vec![
        "60 A 192.0.2.1",
        "60 A 192.0.2.2",
        "90 TXT \"x\"",
        "60 MX 10 a",
        "60 AAAA 2001:db8::1",
        "60 MX 10 b.A.example.org.",
    ]);
    let record = (name, data).prop_map(|(name, data)| format!("{name} {data}\n"));
    let cut = prop::bool::ANY.prop_map(|cut| if cut { "cut NS ns.cut\ncut NS c\n" } else { "" });
    (prop::collection::vec(record, 0..12), cut).prop_map(|(records, cut)| records.concat() + cut)
}

proptest! {
    #[test]
    fn what_lies_between_two_zones_makes_one_out_of_the_other(old in records(), new in records()) {
        let (old, new) = (zone(7, &old), zone(9, &new));
        let change = old.difference(&new, secret());
        let change = Change::decode(&change.encode()).unwrap();
        let made = old.changed(&[&change], secret()).unwrap();
        prop_assert_eq!(lines(&made), lines(&new));
        prop_assert_eq!((made.serial(), made.records(), made.names()), (9, new.records(), new.names()));
    }
}
