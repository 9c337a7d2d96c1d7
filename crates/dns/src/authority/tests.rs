//! What comes back for messages that are not the usual question, and that both ways of reading agree.

use std::sync::Arc;

use doorway_base::{Datagram, Instant, Random, Responder, Verdict, Writer};
use proptest::prelude::*;

use super::counters::Counters;
use super::{Authority, Carrier, Published};
use crate::wire::{Class, Edns, Flags, Message, Name, Question, Rcode, Record, Type};
use crate::zone::{HashKey, Zones, file};

const ZONE: &str = "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nns A 192.0.2.2\nwww CNAME ns\n\
    *.w MX 10 ns\nsub NS ns.sub\nns.sub A 192.0.2.3\n";

fn engine() -> Authority {
    let secret = HashKey::new(&mut Random::new(1));
    let (zone, _) = file::read(&"example.org".parse().unwrap(), "z", ZONE.as_bytes(), secret).unwrap();
    let zones = Zones::new(secret, vec![Arc::new(zone)]).unwrap();
    Authority::new(Published::new(zones), Arc::new(Counters::default()), 1232)
}

fn respond(engine: &mut Authority, query: &[u8], carrier: Carrier) -> Result<Vec<u8>, &'static str> {
    let mut room = [0; 4096];
    let mut reply = Writer::new(&mut room);
    match engine.respond(query, carrier, &mut reply) {
        Verdict::Reply => Ok(reply.written().to_vec()),
        Verdict::Drop(why) => Err(why),
        Verdict::Later => Err("later"),
    }
}

fn query() -> Message {
    let question = Question { name: "NS.example.org".parse().unwrap(), kind: Type::A, class: Class::IN };
    Message { id: 77, flags: Flags(Flags::RD), questions: vec![question], ..Message::default() }
}

fn opt() -> Edns {
    Edns { udp_octets_max: 1232, ..Edns::default() }
}

#[test]
fn bad_messages_get_what_the_specification_says() {
    let question = query().questions[0].clone();
    let address =
        Record { name: Name::root(), kind: Type::A, class: Class::IN, ttl: 0, rdata: vec![192, 0, 2, 1] };
    let plain = query().to_octets().unwrap();
    let edns = Message { edns: Some(opt()), ..query() }.to_octets().unwrap();
    let with = |change: &dyn Fn(&mut Message)| {
        let mut message = query();
        change(&mut message);
        message.to_octets().unwrap()
    };
    let with_octets = |octets: &[u8], change: &dyn Fn(&mut Vec<u8>)| {
        let mut octets = octets.to_vec();
        change(&mut octets);
        octets
    };
    let cases: Vec<(&str, Vec<u8>, Result<Rcode, &str>)> = vec![
        ("too short", plain[..11].to_vec(), Err("shorter than a header")),
        ("a response", with(&|m| m.flags.0 |= Flags::QR), Err("a response, not a query")),
        ("no question", with(&|m| m.questions.clear()), Ok(Rcode::FORMERR)),
        ("two questions", with(&|m| m.questions.push(question.clone())), Ok(Rcode::FORMERR)),
        ("octets behind", with_octets(&plain, &|o| o.push(0)), Ok(Rcode::FORMERR)),
        ("cut off", plain[..plain.len() - 1].to_vec(), Ok(Rcode::FORMERR)),
        ("a pointer for a name", with_octets(&plain, &|o| o[12] = 0xc0), Ok(Rcode::FORMERR)),
        ("an answer", with(&|m| m.answers.push(address.clone())), Ok(Rcode::FORMERR)),
        ("an authority", with(&|m| m.authorities.push(address.clone())), Ok(Rcode::FORMERR)),
        ("an additional", with(&|m| m.additionals.push(address.clone())), Ok(Rcode::NOERROR)),
        ("opcode 15", with(&|m| m.flags.0 |= Flags::OPCODE), Ok(Rcode::NOTIMP)),
        ("NOTIFY", with(&|m| m.flags.0 |= 4 << 11), Ok(Rcode::NOTIMP)),
        ("class CH", with(&|m| m.questions[0].class = Class::CH), Ok(Rcode::REFUSED)),
        ("class ANY", with(&|m| m.questions[0].class = Class::ANY), Ok(Rcode::REFUSED)),
        ("QTYPE OPT", with(&|m| m.questions[0].kind = Type::OPT), Ok(Rcode::FORMERR)),
        ("QTYPE IXFR", with(&|m| m.questions[0].kind = Type::IXFR), Ok(Rcode::REFUSED)),
        ("EDNS 1", with(&|m| m.edns = Some(Edns { version: 1, ..opt() })), Ok(Rcode::BADVERS)),
        (
            "an unknown option",
            with(&|m| m.edns = Some(Edns { options: vec![0, 99, 0, 1, 7], ..opt() })),
            Ok(Rcode::NOERROR),
        ),
        (
            "an option cut off",
            with(&|m| m.edns = Some(Edns { options: vec![0, 99, 0, 2, 7], ..opt() })),
            Ok(Rcode::FORMERR),
        ),
        ("an unknown flag", with(&|m| m.edns = Some(Edns { flags: 0x0040, ..opt() })), Ok(Rcode::NOERROR)),
        (
            "two OPT",
            with_octets(&edns, &|o| {
                o.extend_from_within(o.len() - 11..);
                o[11] = 2;
            }),
            Ok(Rcode::FORMERR),
        ),
        (
            "OPT not at the root",
            with_octets(&edns, &|o| {
                let at = o.len() - 11;
                o.splice(at..at, [1, b'x']);
            }),
            Ok(Rcode::FORMERR),
        ),
    ];
    for (what, query, expected) in cases {
        for carrier in [Carrier::Datagram, Carrier::Stream] {
            let reply = respond(&mut engine(), &query, carrier);
            let reply = reply.map(|octets| Message::read(&octets).unwrap());
            if let Ok(reply) = &reply {
                assert_eq!((reply.id, reply.flags.has(Flags::QR)), (77, true), "{what}");
                assert_eq!(
                    reply.flags.0 & (Flags::OPCODE | Flags::RD),
                    u16::from_be_bytes([query[2], query[3]]),
                    "{what}"
                );
            }
            assert_eq!(reply.map(|reply| reply.rcode()), expected, "{what}");
        }
    }
}

#[test]
fn a_question_keeps_its_letters_and_edns_is_answered_with_edns() {
    let query = Message { edns: Some(Edns { flags: 0xffff, ..opt() }), ..query() };
    let reply = respond(&mut engine(), &query.to_octets().unwrap(), Carrier::Datagram).unwrap();
    let reply = Message::read(&reply).unwrap();
    assert_eq!(reply.questions[0].name.as_octets(), query.questions[0].name.as_octets());
    // Of the flags only DO is known, so only DO comes back.
    assert_eq!(reply.edns, Some(Edns { flags: 0x8000, ..opt() }));
}

/// What NSD 4.6 and Knot 3.2 answer to the same messages, or one of them where they differ.
#[test]
fn errors_carry_opt_when_the_query_did() {
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8].to_vec();
    let with = |change: &dyn Fn(&mut Message)| {
        let mut message = Message { edns: Some(Edns { flags: 0x8000, ..opt() }), ..query() };
        change(&mut message);
        message.to_octets().unwrap()
    };
    let question = query().questions[0].clone();
    let whole = with(&|_| {});
    let ad_and_z = with(&|m| m.flags.0 |= Flags::AD | Flags::CD | 0x0040);
    for (what, query, rcode, has_opt) in [
        ("a usual query", whole.clone(), Rcode::NOERROR, true),
        ("AD, CD and Z", ad_and_z, Rcode::NOERROR, true),
        ("EDNS 1", with(&|m| m.edns.as_mut().unwrap().version = 1), Rcode::BADVERS, true),
        ("opcode 15", with(&|m| m.flags.0 |= Flags::OPCODE), Rcode::NOTIMP, true),
        (
            "opcode 15 alone",
            Message { flags: Flags(Flags::OPCODE), ..Message::default() }.to_octets().unwrap(),
            Rcode::NOTIMP,
            false,
        ),
        ("no question", with(&|m| m.questions.clear()), Rcode::FORMERR, true),
        (
            "no question but a cookie",
            with(&|m| {
                m.questions.clear();
                m.edns.as_mut().unwrap().options = cookie.clone();
            }),
            Rcode::NOERROR,
            true,
        ),
        ("two questions", with(&|m| m.questions.push(question.clone())), Rcode::FORMERR, true),
        ("octets behind", [whole.as_slice(), &[0]].concat(), Rcode::FORMERR, false),
        (
            "an option cut off",
            with(&|m| m.edns.as_mut().unwrap().options = vec![0, 99, 0, 2, 7]),
            Rcode::FORMERR,
            false,
        ),
        ("class CH", with(&|m| m.questions[0].class = Class::CH), Rcode::REFUSED, true),
        ("AXFR in a datagram", with(&|m| m.questions[0].kind = Type::AXFR), Rcode::NOTIMP, true),
        ("IXFR", with(&|m| m.questions[0].kind = Type::IXFR), Rcode::REFUSED, true),
    ] {
        let reply = Message::read(&respond(&mut engine(), &query, Carrier::Datagram).unwrap()).unwrap();
        assert_eq!((reply.rcode(), reply.edns.is_some()), (rcode, has_opt), "{what}");
        assert_eq!(reply.flags.0 & 0x0070, 0, "{what}: AD, CD or Z came back");
        if let Some(edns) = reply.edns {
            assert_eq!((edns.version, edns.flags, edns.udp_octets_max), (0, 0x8000, 1232), "{what}");
        }
    }
}

#[test]
fn the_server_tells_its_name_and_that_a_name_is_not_its_own() {
    let mut named = engine().with_identifier(b"ns1");
    let asking = |name: &str, options: &[u8]| {
        let edns = Some(Edns { options: options.to_vec(), ..opt() });
        Message { edns, ..query_for(name, 1) }.to_octets().unwrap()
    };
    let mut options = |name: &str, asked: &[u8]| {
        let reply = respond(&mut named, &asking(name, asked), Carrier::Datagram).unwrap();
        let options = Message::read(&reply).unwrap().edns.unwrap().options;
        let told: Vec<String> =
            crate::wire::options::options(&options).map(|option| option.unwrap().to_string()).collect();
        told.join(", ")
    };
    assert_eq!(options("ns.example.org", &[]), "");
    assert_eq!(options("ns.example.org", &[0, 3, 0, 0]), "NSID: 6e 73 31 (\"ns1\")");
    assert_eq!(options("example.com", &[]), "EDE: 20 (Not Authoritative)");
    assert_eq!(
        options("example.com", &[0, 3, 0, 0]),
        "NSID: 6e 73 31 (\"ns1\"), EDE: 20 (Not Authoritative)"
    );
    let unnamed =
        respond(&mut engine(), &asking("ns.example.org", &[0, 3, 0, 0]), Carrier::Datagram).unwrap();
    assert_eq!(Message::read(&unnamed).unwrap().edns.unwrap().options, []);
}

#[test]
fn sources_that_cannot_be_answered_get_nothing() {
    let octets = query().to_octets().unwrap();
    for (remote, answered) in [
        ("192.0.2.9:5353", true),
        ("192.0.2.9:0", false),
        ("224.0.0.251:5353", false),
        ("255.255.255.255:53", false),
        ("0.0.0.0:53", false),
        ("[2001:db8::1]:53", true),
        ("[ff02::fb]:5353", false),
    ] {
        let mut room = [0; 512];
        let local = "192.0.2.1:53".parse().unwrap();
        let query = Datagram { remote: remote.parse().unwrap(), local, octets: &octets, flow: 0 };
        let verdict = engine().answer(Instant::ZERO, query, &mut Writer::new(&mut room));
        assert_eq!(verdict == Verdict::Reply, answered, "{remote}");
    }
}

#[test]
fn answers_are_counted() {
    let mut engine = engine();
    let counters = Arc::clone(&engine.counters);
    let good = query().to_octets().unwrap();
    let mut other = query();
    other.questions[0].name = "example.com".parse().unwrap();
    for octets in [&good, &other.to_octets().unwrap(), &good[..5].to_vec()] {
        let _ = respond(&mut engine, octets, Carrier::Datagram);
    }
    let _ = respond(&mut engine, &good, Carrier::Stream);
    assert_eq!((counters.answers(Carrier::Datagram), counters.answers(Carrier::Stream)), (2, 1));
    let by_rcode: Vec<_> = counters.by_rcode().filter(|(_, count)| *count > 0).collect();
    assert_eq!(by_rcode, [(Rcode::NOERROR, 2), (Rcode::REFUSED, 1)]);
    assert_eq!(counters.dropped.value(), 1);
}

#[test]
fn new_zones_are_seen_with_the_next_batch() {
    let mut engine = engine();
    let secret = engine.zones.secret();
    let text = ZONE.replace("ns A 192.0.2.1", "ns A 192.0.2.77");
    let (zone, _) = file::read(&"example.org".parse().unwrap(), "z", text.as_bytes(), secret).unwrap();
    engine.published.publish(Zones::new(secret, vec![Arc::new(zone)]).unwrap());
    let octets = query().to_octets().unwrap();
    let before = respond(&mut engine, &octets, Carrier::Datagram).unwrap();
    assert!(before.ends_with(&[192, 0, 2, 2]));
    engine.refresh(Instant::ZERO);
    let after = respond(&mut engine, &octets, Carrier::Datagram).unwrap();
    assert!(after.ends_with(&[192, 0, 2, 77]), "the second address comes first now");
}

/// Queries that are usual, or nearly.
fn nearly_usual() -> impl Strategy<Value = Vec<u8>> {
    let names = [
        "example.org",
        "ns.Example.org",
        "www.example.org",
        "a.b.w.example.org",
        "x.sub.example.org",
        "no.example.org",
        "org",
    ];
    let kinds = [1, 2, 5, 6, 15, 28, 41, 43, 250, 252, 255];
    let query = (
        prop::sample::select(names.to_vec()),
        prop::sample::select(kinds.to_vec()),
        prop::option::of((any::<u16>(), 0..2_u8, any::<u16>(), prop::collection::vec(0..3_u8, 0..9))),
        any::<u16>(),
        prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    );
    query.prop_map(|(name, kind, edns, flags, change)| {
        let mut message = query_for(name, kind);
        // QR and the opcode stay 0 most of the time.
        message.flags = Flags(flags & 0x07ff);
        message.edns = edns.map(|(udp_octets_max, version, flags, options)| Edns {
            udp_octets_max,
            rcode_high: 0,
            version,
            flags,
            options,
        });
        let mut octets = message.to_octets().unwrap();
        if let Some((at, octet)) = change {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        octets
    })
}

fn query_for(name: &str, kind: u16) -> Message {
    let mut message = query();
    message.questions[0] = Question { name: name.parse().unwrap(), kind: Type(kind), class: Class::IN };
    message
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn both_ways_of_reading_a_query_give_the_same_answer(octets in nearly_usual(), stream in any::<bool>()) {
        let carrier = if stream { Carrier::Stream } else { Carrier::Datagram };
        let usual = respond(&mut engine(), &octets, carrier);
        let mut room = [0; 4096];
        let mut reply = Writer::new(&mut room);
        let full = match engine().respond_in_full(&octets, carrier, &mut reply) {
            Verdict::Reply => Ok(reply.written().to_vec()),
            Verdict::Drop(why) => Err(why),
            Verdict::Later => Err("later"),
        };
        prop_assert_eq!(&usual, &full);
        if let Ok(reply) = usual {
            prop_assert!(stream || reply.len() <= 1232);
            prop_assert!(Message::read(&reply).is_ok(), "{:?}", reply);
        }
    }

    #[test]
    fn no_datagram_makes_the_engine_panic(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = respond(&mut engine(), &octets, Carrier::Datagram);
    }
}
