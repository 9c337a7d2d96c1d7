//! Updates are written as lines, in the order of the message, and what they make of a zone is
//! compared line by line.

use doorway_base::Random;
use proptest::prelude::*;

use super::*;
use crate::wire::rdata::Word;
use crate::wire::{HEADER_OCTETS, Message};
use crate::zone::file;

const ZONE: &str = "\
$TTL 60\n@ SOA ns host 7 2 3 4 5\n@ NS ns\n@ NS ns2\n@ TXT \"apex\"\nns A 192.0.2.1\nns2 A 192.0.2.2\n\
a A 192.0.2.3\na A 192.0.2.4\na TXT \"a\"\nalias CNAME a\ndeep.ent MX 10 a\n";

fn secret() -> HashKey {
    HashKey::new(&mut Random::new(1))
}

fn apex() -> Name {
    "example.org".parse().unwrap()
}

fn zone(text: &str) -> Zone {
    file::read(&apex(), "zone", text.as_bytes(), secret()).unwrap_or_else(|faults| panic!("{faults}")).0
}

// `name ttl class type data`, as RFC 2136 §2.4 and §2.5 write them.
fn record(line: &str) -> Record {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let name = rdata::name_from_text(words[0].as_bytes(), &apex()).unwrap();
    let class = match words[2] {
        "ANY" => Class::ANY,
        "NONE" => Class::NONE,
        class => Class::from_text(class.as_bytes()).unwrap(),
    };
    let kind = Type::from_text(words[3].as_bytes()).unwrap();
    let mut data = Vec::new();
    if words.len() > 4 {
        let words: Vec<Word<'_>> =
            words[4..].iter().map(|word| Word { text: word.as_bytes(), quoted: false }).collect();
        rdata::parse(kind, &words, &apex(), &mut data).unwrap();
    }
    Record { name, kind, class, ttl: words[1].parse().unwrap(), rdata: data }
}

fn update(prerequisites: &[&str], updates: &[&str]) -> Update {
    let records = |lines: &[&str]| lines.iter().map(|line| record(line)).collect();
    Update { apex: apex(), prerequisites: records(prerequisites), updates: records(updates) }
}

fn apply(update: &Update) -> Result<Option<Change>, Rcode> {
    update.apply(&zone(ZONE), secret(), SerialPolicy::Increment, UnixTime::from_secs(1), |_, _| true)
}

// The change as lines, `-` and `+`, without SOA records.
fn changes(updates: &[&str]) -> Vec<String> {
    let Some(change) = apply(&update(&[], updates)).unwrap() else { return Vec::new() };
    let zone = zone(ZONE);
    let after = zone.changed(&[&change], secret()).unwrap();
    assert_eq!(after.serial(), 8);
    let line = |sign: &str, record: &Record| format!("{sign}{record}").replace(".example.org. 60 IN", "");
    let removed = change.removed.iter().map(|record| line("-", record));
    removed.chain(change.added.iter().map(|record| line("+", record))).collect()
}

#[test]
fn records_are_added_and_deleted_as_the_class_says() {
    for (updates, expected) in [
        (&["new 60 IN A 192.0.2.9"][..], &["+new A 192.0.2.9"][..]),
        (&["A 60 IN A 192.0.2.3"], &[]),
        (&["a 0 NONE A 192.0.2.3"], &["-a A 192.0.2.3"]),
        (&["a 0 NONE A 192.0.2.99"], &[]),
        (&["a 0 ANY A"], &["-a A 192.0.2.3", "-a A 192.0.2.4"]),
        (&["a 0 ANY ANY"], &["-a A 192.0.2.3", "-a A 192.0.2.4", "-a TXT \"a\""]),
        (&["ent 0 ANY ANY"], &[]),
        (&["a 0 ANY A", "a 60 IN A 192.0.2.3"], &["-a A 192.0.2.4"]),
        (&["new 60 IN A 192.0.2.9", "new 0 ANY ANY"], &[]),
        // An alias stands alone (§3.4.2.2).
        (&["alias 60 IN A 192.0.2.9"], &[]),
        (&["a 60 IN CNAME ns"], &[]),
        (&["alias 60 IN CNAME ns"], &["-alias CNAME a.example.org.", "+alias CNAME ns.example.org."]),
        (
            &["alias 0 ANY CNAME", "alias 60 IN A 192.0.2.9"],
            &["-alias CNAME a.example.org.", "+alias A 192.0.2.9"],
        ),
    ] {
        assert_eq!(changes(updates), expected, "{updates:?}");
    }
}

#[test]
fn a_ttl_that_is_added_is_the_ttl_of_the_whole_set() {
    let change = apply(&update(&[], &["a 90 IN A 192.0.2.9"])).unwrap().unwrap();
    let ttls: Vec<u32> = change.added.iter().map(|record| record.ttl).collect();
    assert_eq!((change.removed.len(), ttls), (2, vec![90, 90, 90]));
}

#[test]
fn the_zones_own_soa_and_last_ns_record_stay() {
    assert!(changes(&["@ 0 ANY NS", "@ 0 ANY SOA"]).is_empty());
    assert_eq!(changes(&["@ 0 ANY ANY"]), ["-example.org. 60 IN TXT \"apex\""]);
    assert_eq!(changes(&["@ 0 NONE NS ns", "@ 0 NONE NS ns2"]).len(), 1);
    assert!(changes(&["@ 0 NONE SOA ns host 7 2 3 4 5"]).is_empty());
}

#[test]
fn a_soa_record_is_taken_when_its_serial_is_newer_and_at_the_apex() {
    for (line, serial) in [
        ("@ 60 IN SOA ns host 50 2 3 4 5", Some(50)),
        ("@ 60 IN SOA ns host 7 2 3 4 5", None),
        ("@ 60 IN SOA ns host 6 2 3 4 5", None),
        ("a 60 IN SOA ns host 50 2 3 4 5", None),
    ] {
        let change = apply(&update(&[], &[line])).unwrap();
        assert_eq!(change.map(|change| change.to()), serial, "{line}");
    }
}

#[test]
fn prerequisites_are_checked_before_anything_is_done() {
    for (prerequisites, rcode) in [
        (&["a 0 ANY ANY"][..], None),
        (&["ent 0 ANY ANY"], Some(Rcode::NXDOMAIN)),
        (&["b 0 ANY ANY"], Some(Rcode::NXDOMAIN)),
        (&["a 0 ANY A"], None),
        (&["a 0 ANY MX"], Some(Rcode::NXRRSET)),
        (&["b 0 NONE ANY"], None),
        (&["a 0 NONE ANY"], Some(Rcode::YXDOMAIN)),
        (&["a 0 NONE MX"], None),
        (&["a 0 NONE A"], Some(Rcode::YXRRSET)),
        (&["a 0 IN A 192.0.2.4", "A 0 IN A 192.0.2.3", "a 0 IN TXT a"], None),
        (&["a 0 IN A 192.0.2.4"], Some(Rcode::NXRRSET)),
        (&["a 0 IN A 192.0.2.4", "a 0 IN A 192.0.2.3", "a 0 IN A 192.0.2.5"], Some(Rcode::NXRRSET)),
        (&["b 0 IN A 192.0.2.4"], Some(Rcode::NXRRSET)),
        (&["a 1 ANY ANY"], Some(Rcode::FORMERR)),
        (&["a 0 CH A"], Some(Rcode::FORMERR)),
        (&["a 0 NONE A 192.0.2.3"], Some(Rcode::FORMERR)),
        (&["example.net. 0 ANY ANY"], Some(Rcode::NOTZONE)),
    ] {
        let outcome = apply(&update(prerequisites, &["new 60 IN A 192.0.2.9"]));
        assert_eq!(outcome.as_ref().err(), rcode.as_ref(), "{prerequisites:?}");
    }
}

#[test]
fn an_update_with_one_wrong_record_does_nothing() {
    for (line, rcode) in [
        ("example.net. 60 IN A 192.0.2.9", Rcode::NOTZONE),
        ("a 60 IN ANY", Rcode::FORMERR),
        ("a 60 IN AXFR", Rcode::FORMERR),
        ("a 1 ANY A", Rcode::FORMERR),
        ("a 0 ANY A 192.0.2.3", Rcode::FORMERR),
        ("a 0 ANY AXFR", Rcode::FORMERR),
        ("a 1 NONE A 192.0.2.3", Rcode::FORMERR),
        ("a 0 NONE ANY", Rcode::FORMERR),
        ("a 0 CH A", Rcode::FORMERR),
        ("a 60 IN RRSIG \\# 0", Rcode::REFUSED),
    ] {
        let record = if line.contains("RRSIG") {
            Record { kind: Type(46), rdata: vec![0; 30], ..record("a 60 IN TXT x") }
        } else {
            record(line)
        };
        let mut update = update(&[], &["new 60 IN A 192.0.2.9"]);
        update.updates.push(record);
        assert_eq!(apply(&update), Err(rcode), "{line}");
    }
}

#[test]
fn a_requestor_may_change_what_is_granted_and_nothing_else() {
    let grant: grant::UpdateGrant = "key:k a,txt *.example.org".parse().unwrap();
    for (line, allowed) in [
        ("new 60 IN A 192.0.2.9", true),
        ("new 60 IN AAAA ::1", false),
        ("a 0 ANY ANY", true),
        ("deep.ent 0 ANY ANY", false),
        ("@ 0 ANY TXT", false),
    ] {
        let outcome = update(&[], &[line]).apply(
            &zone(ZONE),
            secret(),
            SerialPolicy::Increment,
            UnixTime::from_secs(1),
            |name, kind| grant.covers(name, kind),
        );
        assert_eq!(outcome.err(), (!allowed).then_some(Rcode::REFUSED), "{line}");
    }
}

#[test]
fn a_signed_zone_is_not_changed_by_message() {
    let signed = zone(&format!("{ZONE}@ DNSKEY 257 3 13 aGVsbG8gd29ybGQ=\n"));
    let now = UnixTime::from_secs(1);
    let update = update(&[], &["new 60 IN A 192.0.2.9"]);
    let outcome = update.apply(&signed, secret(), SerialPolicy::Increment, now, |_, _| true);
    assert_eq!(outcome, Err(Rcode::REFUSED));
}

fn octets(update: &Update) -> Vec<u8> {
    let question = Question { name: update.apex.clone(), kind: Type::SOA, class: Class::IN };
    let message = Message {
        id: 5,
        flags: Flags(u16::from(Opcode::UPDATE.0) << 11),
        questions: vec![question],
        answers: update.prerequisites.clone(),
        authorities: update.updates.clone(),
        ..Message::default()
    };
    message.to_octets().unwrap()
}

#[test]
fn a_message_reads_back_and_every_prefix_of_it_is_refused() {
    let update = update(
        &["a 0 ANY ANY", "b 0 NONE ANY", "a 0 IN A 192.0.2.4"],
        &["new 60 IN MX 10 a", "a 0 NONE MX 10 new", "a 0 ANY A", "a 0 ANY ANY"],
    );
    let whole = octets(&update);
    assert_eq!(Update::read(&whole), Ok(Some(update)));
    for length in 0..whole.len() {
        assert!(Update::read(&whole[..length]).is_err(), "{length} octets");
    }
    let mut query = whole.clone();
    query[2] = 0;
    assert_eq!(Update::read(&query), Ok(None));
    let mut other_type = whole.clone();
    other_type[HEADER_OCTETS + apex().as_octets().len() + 1] = 1;
    assert!(Update::read(&other_type).is_err());
}

#[test]
fn a_compressed_name_in_a_record_to_be_deleted_is_followed() {
    // RDATA of class NONE: preference 10, then a pointer to the zone's name.
    let mut message = octets(&update(&[], &["a 0 NONE MX 10 x"]));
    let tail = 2 + 2 + "x.example.org".len() + 2;
    message.truncate(message.len() - tail);
    message.extend([0, 4, 0, 10, 0xc0, 12]);
    let read = Update::read(&message).unwrap().unwrap();
    assert_eq!(read.updates[0].rdata, [&[0, 10][..], apex().as_octets()].concat());
}

proptest! {
    #[test]
    fn octets_of_any_kind_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200), flags in any::<u16>()) {
        let mut message = vec![0, 1];
        message.extend((flags & !Flags::QR & !Flags::OPCODE | u16::from(Opcode::UPDATE.0) << 11).to_be_bytes());
        message.extend([0, 1, 0, 1, 0, 1, 0, 0]);
        message.extend(apex().as_octets());
        message.extend([0, 6, 0, 1]);
        message.extend(&octets);
        if let Ok(Some(update)) = Update::read(&message) {
            let _ = apply(&update);
        }
    }
}
