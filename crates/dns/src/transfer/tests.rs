//! Transfers are played from one end to the other without a network: what goes out comes in, and what
//! breaks a rule changes nothing.

use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random};
use proptest::prelude::*;

use super::history::{self, History};
use super::incoming::{Brought, Fault, Incoming};
use super::notify::{self, Notice, Telling};
use super::outgoing::{Outgoing, Request};
use super::schedule::{self, Schedule};
use crate::wire::answer::without_records;
use crate::wire::{Flags, Message, Name, Rcode, Record, Type};
use crate::zone::{Change, HashKey, Unfit, Zone, change, file};

fn secret() -> HashKey {
    HashKey::new(&mut Random::new(1))
}

fn apex() -> Name {
    "example.org".parse().unwrap()
}

fn zone(serial: u32, rest: &str) -> Arc<Zone> {
    let text = format!("$TTL 60\n@ SOA ns host {serial} 7200 900 86400 5\n@ NS ns\nns A 192.0.2.1\n{rest}");
    let read = file::read(&apex(), "zone", text.as_bytes(), secret());
    Arc::new(read.unwrap_or_else(|faults| panic!("{faults}")).0)
}

fn lines(zone: &Zone) -> Vec<String> {
    let mut lines: Vec<String> = zone.iter().map(|record| record.to_string()).collect();
    lines.sort();
    lines
}

fn steps(zones: &[Arc<Zone>]) -> History {
    let mut history = History::default();
    for pair in zones.windows(2) {
        history.push(Arc::new(pair[0].difference(&pair[1], secret())));
    }
    history
}

fn sent(query: &[u8], zone: &Arc<Zone>, history: &History) -> Vec<Vec<u8>> {
    let request = Request::read(query).unwrap().unwrap();
    let mut outgoing = Outgoing::new(request, Arc::clone(zone), history);
    std::iter::from_fn(|| outgoing.next_message(100).unwrap()).collect()
}

fn received(incoming: &mut Incoming, messages: &[Vec<u8>]) -> Result<(), Fault> {
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(incoming.message(message)?, index + 1 == messages.len());
    }
    Ok(())
}

// What a secondary that has `have` makes of what `zone` with `history` sends.
fn transferred(have: Option<&Zone>, zone: &Arc<Zone>, history: &History) -> Brought {
    let mut incoming = Incoming::new(&apex(), 99, have.map(Zone::soa), secret());
    let messages = sent(&incoming.query(), zone, history);
    received(&mut incoming, &messages).unwrap();
    incoming.brought().unwrap()
}

#[test]
fn a_whole_zone_comes_out_as_it_went_in() {
    let zone = zone(7, "www A 192.0.2.2\nsub NS ns.sub\nns.sub A 192.0.2.3\n*.w TXT \"x\"\n");
    let Brought::Zone(got) = transferred(None, &zone, &History::default()) else { panic!("not whole") };
    assert_eq!(lines(&got), lines(&zone));
    assert_eq!(got.names(), zone.names());
}

#[test]
fn a_large_zone_goes_in_many_messages_and_each_is_compressed() {
    let names: String = (0..5000).map(|n| format!("host-{n} A 192.0.2.{}\n", n % 256)).collect();
    let zone = zone(7, &names);
    let mut incoming = Incoming::new(&apex(), 99, None, secret());
    let messages = sent(&incoming.query(), &zone, &History::default());
    assert!(messages.len() > 5);
    let octets: usize = messages.iter().map(Vec::len).sum();
    assert!(octets < 5000 * 30, "{octets} octets for 5000 addresses");
    received(&mut incoming, &messages).unwrap();
    let Some(Brought::Zone(got)) = incoming.brought() else { panic!("not whole") };
    assert_eq!(lines(&got), lines(&zone));
}

#[test]
fn what_changed_goes_alone_when_it_is_known_and_the_whole_zone_when_not() {
    let zones = [zone(7, "a A 192.0.2.2\n"), zone(8, "b A 192.0.2.2\n"), zone(9, "b TXT \"b\"\n")];
    let history = steps(&zones);
    for (from, changes) in [(0, 2), (1, 1)] {
        let Brought::Changes(got) = transferred(Some(&zones[from]), &zones[2], &history) else {
            panic!("not changes")
        };
        assert_eq!(got.len(), changes);
        let made = zones[from].changed(&got, secret()).unwrap();
        assert_eq!(lines(&made), lines(&zones[2]));
    }
    assert!(matches!(transferred(Some(&zones[2]), &zones[2], &history), Brought::Current));
    // A client that is ahead of us has nothing to learn from us.
    assert!(matches!(transferred(Some(&zone(10, "")), &zones[2], &history), Brought::Current));
    let unknown = zone(3, "");
    assert!(matches!(transferred(Some(&unknown), &zones[2], &history), Brought::Zone(_)));
    assert!(matches!(transferred(Some(&zones[0]), &zones[2], &History::default()), Brought::Zone(_)));
}

#[test]
fn incremental_over_udp_is_the_change_when_it_fits_and_else_the_soa_record_alone() {
    let many: String = (0..100).map(|n| format!("host-{n} A 192.0.2.1\n")).collect();
    let zones = [zone(7, ""), zone(8, "a A 192.0.2.2\n"), zone(9, &many)];
    for (from, to, records) in [(0, 1, 5), (1, 2, 1), (2, 2, 1)] {
        let query = Incoming::new(&apex(), 5, Some(zones[from].soa()), secret()).query();
        let request = Request::read(&query).unwrap().unwrap();
        let history = steps(&zones[..=to]);
        let answer = Outgoing::new(request, Arc::clone(&zones[to]), &history).datagram(512, 100);
        let answer = Message::read(&answer).unwrap();
        assert_eq!((answer.answers.len(), answer.flags.has(Flags::TC)), (records, false), "{from} to {to}");
        assert_eq!(change::serial(&answer.answers[0]), zones[to].serial());
    }
}

#[test]
fn the_history_keeps_a_hundred_changes_that_hang_together() {
    let change = |from: u32| {
        let soa = |serial| change::with_serial(zone(1, "").soa(), serial);
        Arc::new(Change { old_soa: soa(from), removed: vec![], new_soa: soa(from + 1), added: vec![] })
    };
    let mut known = History::default();
    for serial in 0..history::CHANGES_MAX as u32 + 20 {
        known.push(change(serial));
    }
    assert_eq!(known.len(), history::CHANGES_MAX);
    assert!(known.since(19).is_none());
    assert_eq!(known.since(20).map(|changes| changes.len()), Some(history::CHANGES_MAX));
    known.push(change(500));
    assert_eq!((known.len(), known.since(20)), (1, None));
}

fn message(id: u16, question: bool, answers: Vec<Record>) -> Vec<u8> {
    let kind = Type::AXFR;
    let questions = if question { vec![super::outgoing::question(&apex(), kind)] } else { vec![] };
    let flags = Flags(Flags::QR | Flags::AA);
    Message { id, flags, questions, answers, ..Message::default() }.to_octets().unwrap()
}

#[test]
fn a_transfer_that_breaks_a_rule_is_given_up() {
    let whole = zone(7, "www A 192.0.2.2\n");
    let records: Vec<Record> = whole.iter().chain([whole.soa()]).collect();
    let with = |edit: &dyn Fn(&mut Vec<Record>)| {
        let mut records = records.clone();
        edit(&mut records);
        vec![message(1, true, records)]
    };
    let soa = |serial: u32| change::with_serial(whole.soa(), serial);
    let record = |name: &str| Record { name: name.parse().unwrap(), ..records[2].clone() };
    for (what, messages) in [
        ("another id", vec![message(2, true, records.clone())]),
        ("no question", vec![message(1, false, records.clone())]),
        ("no records", vec![message(1, true, vec![])]),
        ("no SOA record first", with(&|records| drop(records.remove(0)))),
        ("another SOA record last", with(&|records| *records.last_mut().unwrap() = soa(8))),
        ("something behind the end", with(&|records| records.push(soa(7)))),
        ("a name outside", with(&|records| records.insert(2, record("www.example.net")))),
        (
            "a SOA record elsewhere",
            with(&|records| {
                records.insert(2, Record { name: "www.example.org".parse().unwrap(), ..soa(7) });
            }),
        ),
        ("a type that no zone holds", with(&|records| records[2].kind = Type::ANY)),
        ("no NS record", with(&|records| records.retain(|record| record.kind != Type::NS))),
        ("a SOA record and nothing more", vec![message(1, true, vec![soa(7), soa(7)])]),
    ] {
        let mut incoming = Incoming::new(&apex(), 1, None, secret());
        assert!(received(&mut incoming, &messages).is_err(), "{what}");
        assert!(incoming.message(&messages[0]).is_err(), "{what}: it is over");
        assert!(incoming.brought().is_none(), "{what}");
    }
    let request = Incoming::new(&apex(), 1, None, secret()).query();
    let refusal = Request::read(&request).unwrap().unwrap().refusal(Rcode::REFUSED);
    let said = Incoming::new(&apex(), 1, None, secret()).message(&refusal);
    assert_eq!(said, Err(Fault::Refused(Rcode::REFUSED)));
}

#[test]
fn changes_that_do_not_hang_together_are_given_up() {
    let have = zone(7, "");
    let soa = |serial: u32| change::with_serial(have.soa(), serial);
    let other = have.iter().nth(2).unwrap();
    for (what, records) in [
        ("a step back", vec![soa(9), soa(7), soa(6), soa(9)]),
        ("a gap", vec![soa(9), soa(7), soa(8), soa(9), soa(9), soa(9)]),
        ("too much", vec![soa(9), soa(7), soa(9), soa(9), other.clone()]),
    ] {
        let mut incoming = Incoming::new(&apex(), 1, Some(have.soa()), secret());
        let question = super::outgoing::question(&apex(), Type::IXFR);
        let octets =
            Message { questions: vec![question], ..Message::read(&message(1, true, records)).unwrap() };
        assert!(incoming.message(&octets.to_octets().unwrap()).is_err(), "{what}");
    }
    let unfit = have.changed(
        &[Change { old_soa: soa(7), removed: vec![], new_soa: soa(8), added: vec![other] }],
        secret(),
    );
    assert!(matches!(unfit, Err(Unfit::Present(_))));
}

#[test]
fn a_request_is_read_and_every_prefix_of_it_is_refused() {
    for have in [None, Some(zone(7, "").soa())] {
        let query = Incoming::new(&apex(), 1, have.clone(), secret()).query();
        let request = Request::read(&query).unwrap().unwrap();
        assert_eq!((request.serial, request.id), (have.as_ref().map(change::serial), 1));
        for length in 0..query.len() {
            assert!(Request::read(&query[..length]).is_err(), "{length} octets");
        }
    }
}

#[test]
fn a_secondary_asks_when_the_zone_says_and_within_bounds() {
    let (start, mut random) = (Instant::ZERO, Random::new(3));
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut schedule = Schedule::new(start);
    assert!(schedule.is_expired(start) && schedule.next() == start);
    // Without a zone: soon, then ever later.
    let mut waits = Vec::new();
    for _ in 0..14 {
        schedule.failed(start, &mut random);
        waits.push(schedule.next() - start);
    }
    assert!(waits[0] <= schedule::FIRST_RETRY && waits[5] > waits[0] * 16);
    assert!(waits[13] <= schedule::FIRST_RETRY_MAX);

    schedule.heard(at(100), [1, 7200, 900, 86_400, 5], &mut random);
    let refresh = schedule.next() - at(100);
    assert!(refresh <= Duration::from_secs(7200) && refresh >= Duration::from_secs(6480), "{refresh:?}");
    schedule.failed(at(7300), &mut random);
    let retry = schedule.next() - at(7300);
    assert!(retry <= Duration::from_secs(900) && retry >= Duration::from_secs(810), "{retry:?}");
    assert!(!schedule.is_expired(at(86_499)) && schedule.is_expired(at(86_500)));

    schedule.notified(at(7400), false);
    assert_eq!(schedule.next(), at(7400));
    schedule.notified(at(7401), true);
    schedule.heard(at(7402), [2, 0, 0, 0, 0], &mut random);
    assert_eq!(schedule.next(), at(7402), "what was told meanwhile is asked for");
    schedule.heard(at(7403), [2, 0, 0, 0, 0], &mut random);
    assert!(schedule.next() - at(7403) >= schedule::REFRESH[0].mul_f64(0.9));
    assert!(schedule.expires() >= at(7403) + schedule::EXPIRE[0]);

    let kept = Schedule::resumed(at(0), [1, 7200, 900, 86_400, 5], Duration::from_secs(86_000));
    assert!(!kept.is_expired(at(399)) && kept.is_expired(at(400)) && kept.next() == at(0));
}

#[test]
fn a_secondary_is_told_until_it_answers_or_is_given_up() {
    let (here, there) = ("192.0.2.1:53".parse().unwrap(), "192.0.2.2:53".parse().unwrap());
    let mut telling = Telling::default();
    telling.begin(Instant::ZERO, &[here, there, here], &mut Random::new(1));
    let first = telling.due(Instant::ZERO);
    assert_eq!(first.len(), 2);
    let request = notify::request(first[0].1, &zone(7, "").soa());
    let read = Message::read(&request).unwrap();
    assert_eq!(Notice::read(&read), Ok(Some(Notice { apex: apex(), serial: Some(7) })));
    assert!(!telling.answered(here, &read), "a request is no answer");
    let answer = Message::read(&without_records(&request, Rcode::NOERROR)).unwrap();
    assert!(!telling.answered(there, &answer), "another host's answer");
    assert!(telling.answered(here, &answer));
    let mut tries = 1;
    while let Some(next) = telling.next() {
        assert!(next > Instant::ZERO && next < Instant::ZERO + Duration::from_secs(300));
        tries += telling.due(next).len() as u32;
    }
    assert_eq!(tries, notify::TRIES_MAX);
}

proptest! {
    #[test]
    fn octets_of_any_kind_never_panic_a_transfer(
        octets in prop::collection::vec(any::<u8>(), 0..200),
        flip in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        incremental in any::<bool>(),
    ) {
        let zones = [zone(7, "a A 192.0.2.2\n"), zone(8, "b A 192.0.2.2\n")];
        let have = incremental.then(|| zones[0].soa());
        let incoming = || Incoming::new(&apex(), 99, have.clone(), secret());
        let _ = incoming().message(&octets);
        let _ = Request::read(&octets);
        let mut messages = sent(&incoming().query(), &zones[1], &steps(&zones));
        let place = flip.index(messages[0].len());
        messages[0][place] ^= 1 << bit;
        let _ = incoming().message(&messages[0]);
    }
}
