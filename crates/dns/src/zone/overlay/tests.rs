//! A zone that is laid over another must be the zone that its records make, to every query.

use doorway_base::{Random, Verdict, Writer};
use proptest::prelude::*;

use super::*;
use crate::authority::counters::Counters;
use crate::authority::{Authority, Carrier, Published};
use crate::wire::{Class, Message, Question};
use crate::zone::{Zones, file};

const NAMES: [&str; 14] = [
    "@", "a", "b.a", "c.b.a", "*.w", "w", "x.w", "ent.deep", "y.deep", "cut", "ns.cut", "ns", "far", "no.no",
];
const DATA: [&str; 6] = ["A 192.0.2.1", "A 192.0.2.2", "TXT \"x\"", "MX 10 a", "AAAA 2001:db8::1", "CNAME a"];

fn secret() -> HashKey {
    HashKey::new(&mut Random::new(1))
}

fn zone(serial: u32, records: &[(usize, usize)], cut: bool) -> Arc<Zone> {
    let mut text = format!("$TTL 60\n@ SOA ns host {serial} 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n");
    if cut {
        text += "cut NS ns.cut\ncut NS far\n";
    }
    let mut alias: Vec<usize> = Vec::new();
    for &(name, data) in records {
        // An alias stands alone, and never at the apex or at a name server.
        let taken = alias.contains(&name) || matches!(NAMES[name], "@" | "ns" | "cut");
        if DATA[data].starts_with("CNAME") {
            let others = records.iter().any(|&(other, at)| other == name && at != data);
            if taken || others {
                continue;
            }
            alias.push(name);
        }
        text += &format!("{} {}\n", NAMES[name], DATA[data]);
    }
    let apex = "example.org".parse().unwrap();
    let read = file::read(&apex, "zone", text.as_bytes(), secret());
    Arc::new(read.unwrap_or_else(|faults| panic!("{faults}\n{text}")).0)
}

fn answers(zone: &Arc<Zone>) -> Vec<String> {
    let zones = Zones::new(secret(), vec![Arc::clone(zone)]).unwrap();
    let mut authority = Authority::new(Published::new(zones), Arc::new(Counters::default()), 1232);
    let mut said = Vec::new();
    let more = ["deep", "none", "none.w", "b.none.w", "z.cut", "d.c.b.a", "no"];
    for name in NAMES.iter().chain(&more) {
        let name = crate::wire::rdata::name_from_text(name.as_bytes(), zone.apex()).unwrap();
        for kind in [Type::A, Type::MX, Type::TXT, Type::NS, Type::SOA, Type::ANY] {
            let question = Question { name: name.clone(), kind, class: Class::IN };
            let query = Message { questions: vec![question], ..Message::default() }.to_octets().unwrap();
            let mut room = vec![0; 65_535];
            let mut reply = Writer::new(&mut room);
            assert_eq!(authority.respond(&query, Carrier::Stream, &mut reply), Verdict::Reply);
            let answer = Message::read(reply.written()).unwrap();
            let mut lines: Vec<String> = Vec::new();
            for (section, records) in
                [&answer.answers, &answer.authorities, &answer.additionals].into_iter().enumerate()
            {
                lines.extend(records.iter().map(|record| format!("{section} {record}")));
            }
            lines.sort();
            said.push(format!("{name} {kind} {} {:?} {lines:?}", answer.rcode(), answer.flags));
        }
    }
    said
}

fn lines(zone: &Zone) -> Vec<String> {
    let mut lines: Vec<String> = zone.iter().map(|record| record.to_string()).collect();
    lines.sort();
    lines
}

#[test]
fn a_small_change_makes_no_whole_zone() {
    let before = zone(1, &[(1, 0), (2, 1), (6, 2)], true);
    let after = zone(2, &[(1, 1), (6, 2), (7, 0)], true);
    let change = before.difference(&after, secret());
    let made = Arc::new(before.changed_over(&[change], secret()).unwrap());
    assert!(made.overlay.is_some());
    assert_eq!(answers(&made), answers(&after));
    // The next change lies over the first zone as well, not over the second.
    let last = zone(3, &[(1, 1), (6, 2)], true);
    let change = made.difference(&last, secret());
    let made = Arc::new(made.changed_over(&[change], secret()).unwrap());
    let below = made.overlay.as_ref().map(|overlay| overlay.below.serial());
    assert_eq!((below, answers(&made)), (Some(1), answers(&last)));
}

#[test]
fn what_changes_more_than_names_makes_a_whole_zone() {
    let before = zone(1, &[(1, 0), (4, 1)], true);
    for (records, cut) in [
        (&[(1, 0), (4, 1)][..], false),     // the cut goes
        (&[(1, 0)], true),                  // the wildcard goes
        (&[(1, 0), (4, 1), (10, 0)], true), // an address below the cut comes
        (&[(1, 0), (4, 1), (12, 0)], true), // an address that goes with the referral comes
    ] {
        let after = zone(2, records, cut);
        let change = before.difference(&after, secret());
        let made = Arc::new(before.changed_over(&[change], secret()).unwrap());
        assert!(made.overlay.is_none(), "{records:?} {cut}");
        assert_eq!(answers(&made), answers(&after));
    }
}

#[test]
fn many_changes_make_a_whole_zone_again() {
    let mut made = zone(0, &[], false);
    let mut whole = 0;
    for serial in 1..=OVERLAY_NAMES_MAX as u32 + 10 {
        let old_soa = made.soa();
        let name: Name = format!("h{serial}.example.org").parse().unwrap();
        let added = Record { name, kind: Type::A, class: Class::IN, ttl: 60, rdata: vec![10, 0, 0, 1] };
        let new_soa = crate::zone::change::with_serial(old_soa.clone(), serial);
        let change = Change { old_soa, removed: vec![], new_soa, added: vec![added] };
        made = Arc::new(made.changed_over(&[change], secret()).unwrap());
        whole += usize::from(made.overlay.is_none());
    }
    assert_eq!(whole, 1);
    assert_eq!(made.records(), 3 + OVERLAY_NAMES_MAX + 10);
    assert_eq!(made.iter().count(), made.records());
}

fn some() -> impl Strategy<Value = (Vec<(usize, usize)>, bool)> {
    (prop::collection::vec((0..NAMES.len(), 0..DATA.len()), 0..14), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_row_of_changes_answers_like_the_zone_it_leads_to(steps in prop::collection::vec(some(), 2..5), cut in any::<bool>()) {
        // Mostly the cut stays, so that most changes are small.
        let zones: Vec<Arc<Zone>> = (1..)
            .zip(&steps)
            .map(|(serial, (records, flip))| zone(serial, records, cut ^ (*flip && records.len() > 11)))
            .collect();
        let mut made = Arc::clone(&zones[0]);
        for after in &zones[1..] {
            let change = made.difference(after, secret());
            made = Arc::new(made.changed_over(&[change], secret()).unwrap());
            prop_assert_eq!(lines(&made), lines(after));
            prop_assert_eq!(answers(&made), answers(after));
            prop_assert_eq!((made.serial(), made.records(), made.names()), (after.serial(), after.records(), after.names()));
        }
    }
}
