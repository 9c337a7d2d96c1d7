use std::time::Duration;

use doorway_base::Random;

use super::late::message;
use super::ready::Variant;
use super::*;
use crate::authority::Published;
use crate::authority::counters::Counters;
use crate::cache::{Limits, RrSet, Trust};
use crate::resolver::Answer;
use crate::wire::edns::DO;
use crate::wire::rdata::{self, Word};
use crate::wire::{Edns, Message, Name, Record};
use crate::zone::{HashKey, Key, Zones, file};

const ZONE: &str = "\
$TTL 1h
@    SOA ns host 1 2h 15m 2w 5m
     NS  ns
ns   A   192.0.2.1
out  CNAME www.example.com.
sub  NS  ns.sub
ns.sub A 192.0.2.2
";

const STRANGER: &str = "203.0.113.9";
const FRIEND: &str = "192.168.1.9";

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

struct World {
    front: Front,
    ready: Arc<Ready>,
    cache: Arc<Cache>,
    flooded: Arc<Flooded>,
    secret: HashKey,
}

fn world(rate: u32) -> World {
    let secret = HashKey::new(&mut Random::new(1));
    let apex: Name = "example.org".parse().unwrap();
    let (zone, _) = file::read(&apex, "test", ZONE.as_bytes(), secret).unwrap();
    let published = Published::new(Zones::new(secret, vec![Arc::new(zone)]).unwrap());
    let ready = Arc::new(Ready::new(1 << 20));
    let cache = Arc::new(Cache::new(Limits::default(), &mut Random::new(2)));
    let flooded = Arc::new(Flooded::default());
    let settings = Settings {
        recursion: Some(Access::read([access::PRIVATE]).unwrap()),
        ready: Arc::clone(&ready),
        cache: Some(Arc::clone(&cache)),
        flooded: Arc::clone(&flooded),
        prefetch: true,
        rate: Rate { per_second: rate, slip: 2 },
        rate_exempt: Access::default(),
        cookies: Some(Baker::new([3; 16])),
        udp_octets_max: 1232,
    };
    let authority = Authority::new(published, Arc::new(Counters::default()), 1232);
    World { front: Front::new(authority, Arc::new(settings), 9), ready, cache, flooded, secret }
}

fn query(name: &str, kind: Type, edns: Option<Edns>) -> Vec<u8> {
    let question = Question { name: name.parse().unwrap(), kind, class: Class::IN };
    let message =
        Message { id: 77, flags: Flags(Flags::RD), questions: vec![question], edns, ..Message::default() };
    message.to_octets().unwrap()
}

fn opt(flags: u16, options: &[u8]) -> Option<Edns> {
    Some(Edns { udp_octets_max: 1232, flags, options: options.to_vec(), ..Edns::default() })
}

/// What the client hears: the message, or the decision in a word.
fn ask(world: &mut World, now: Instant, from: &str, query: &[u8]) -> Result<Message, &'static str> {
    let mut room = [0; 4096];
    let mut reply = Writer::new(&mut room);
    let wall = UnixTime::from_secs(1_000_000);
    let client = Client { address: from.parse().unwrap(), carrier: Carrier::Datagram, wall };
    match world.front.decide(now, client, query, &mut reply) {
        Decision::Reply => Ok(Message::read(reply.written()).unwrap()),
        Decision::Drop(_) => Err("drop"),
        Decision::Resolve(_) => Err("resolve"),
        Decision::Upkeep => Err("upkeep"),
    }
}

fn record(name: &str, ttl: u32, kind: Type, data: &str) -> Record {
    let mut octets = Vec::new();
    let words: Vec<_> = data.split(' ').map(|text| Word { text: text.as_bytes(), quoted: false }).collect();
    rdata::parse(kind, &words, &Name::root(), &mut octets).unwrap();
    Record { name: name.parse().unwrap(), kind, class: Class::IN, ttl, rdata: octets }
}

fn found(answers: Vec<Record>) -> Answer {
    Answer {
        token: 1,
        rcode: Rcode::NOERROR,
        answers,
        authorities: Vec::new(),
        additionals: Vec::new(),
        extended_error: Vec::new(),
        stale: false,
        authoritative: false,
        cacheable_for: Some(Duration::from_secs(100)),
        steps: Vec::new(),
    }
}

fn keep(world: &World, now: Instant, seconds: u64, name: &str, kind: Type, answers: Vec<Record>) {
    let question = Question { name: name.parse().unwrap(), kind, class: Class::IN };
    let made = message(&question, &found(answers), &mut vec![0; 65_535]);
    let mut key = Key::default();
    key.set(world.secret, question.name.as_octets()).unwrap();
    let plain = Variant { dnssec: false, checking_disabled: false };
    let epoch = world.ready.epoch();
    world.ready.put(now, now + Duration::from_secs(seconds), &key, (kind, plain), made, epoch);
}

#[test]
fn recursion_is_for_those_who_may_have_it() {
    let mut world = world(0);
    let elsewhere = query("www.example.com", Type::A, None);
    assert_eq!(ask(&mut world, at(0), FRIEND, &elsewhere).unwrap_err(), "resolve");
    let refused = ask(&mut world, at(0), STRANGER, &elsewhere).unwrap();
    assert_eq!((refused.flags.rcode(), refused.flags.has(Flags::RA)), (Rcode::REFUSED, false));
    // Without RD nobody is looked up for.
    let mut iterative = elsewhere;
    iterative[2] = 0;
    assert_eq!(ask(&mut world, at(0), FRIEND, &iterative).unwrap().flags.rcode(), Rcode::REFUSED);
}

#[test]
fn below_a_flooded_zone_only_what_is_known_is_answered() {
    let mut world = world(0);
    let unknown = query("x1.example.com", Type::A, opt(0, &[]));
    assert_eq!(ask(&mut world, at(9), FRIEND, &unknown).unwrap_err(), "resolve");
    let mut zone = Key::default();
    zone.set(world.secret, "example.com".parse::<Name>().unwrap().as_octets()).unwrap();
    world.flooded.mark(at(9), zone.hash(0));
    let refused = ask(&mut world, at(9), FRIEND, &unknown).unwrap();
    assert_eq!((refused.flags.rcode(), refused.flags.has(Flags::RA)), (Rcode::SERVFAIL, true));
    let options = refused.edns.unwrap().options;
    assert_eq!(options.get(..6), Some(&[0, 15, 0, 41, 0, 22][..]), "an extended error: RFC 8914");
    keep(
        &world,
        at(9),
        100,
        "www.example.com",
        Type::A,
        vec![record("www.example.com", 300, Type::A, "192.0.2.1")],
    );
    let ready = ask(&mut world, at(9), FRIEND, &query("www.example.com", Type::A, None)).unwrap();
    assert_eq!(ready.flags.rcode(), Rcode::NOERROR);
    let known: Name = "mail.example.com".parse().unwrap();
    let set = Arc::new(RrSet::of_one(&known, Type::A, &[192, 0, 2, 2]));
    world.cache.store_set(at(9), at(9), &set, 60, Trust::Answer, true);
    assert_eq!(
        ask(&mut world, at(9), FRIEND, &query("mail.example.com", Type::A, None)).unwrap_err(),
        "resolve"
    );
    assert_eq!(ask(&mut world, at(9), FRIEND, &query("example.com", Type::A, None)).unwrap_err(), "resolve");
    assert_eq!(ask(&mut world, at(10), FRIEND, &unknown).unwrap_err(), "resolve", "a mark is soon over");
}

#[test]
fn what_is_served_here_is_not_looked_up_unless_it_leads_elsewhere() {
    let mut world = world(0);
    let own = ask(&mut world, at(0), FRIEND, &query("ns.example.org", Type::A, None)).unwrap();
    assert!(own.flags.has(Flags::AA | Flags::RA));
    for (name, friend, stranger) in
        [("out.example.org", "resolve", Flags::AA), ("a.sub.example.org", "resolve", 0)]
    {
        let asked = query(name, Type::A, None);
        assert_eq!(ask(&mut world, at(0), FRIEND, &asked).unwrap_err(), friend, "{name}");
        let answer = ask(&mut world, at(0), STRANGER, &asked).unwrap();
        assert_eq!(answer.flags.0 & (Flags::AA | Flags::RA), stranger, "{name}");
    }
}

#[test]
fn a_ready_answer_is_given_with_its_age_and_in_the_letter_case_of_the_question() {
    let mut world = world(0);
    let answers = (1..4).map(|n| record("www.example.com", 300, Type::A, &format!("192.0.2.{n}"))).collect();
    keep(&world, at(10), 100, "www.example.com", Type::A, answers);
    let asked = query("wWw.eXample.com", Type::A, opt(0, &[]));
    let answer = ask(&mut world, at(40), FRIEND, &asked).unwrap();
    assert_eq!(answer.id, 77);
    assert!(answer.flags.has(Flags::QR | Flags::RD | Flags::RA) && !answer.flags.has(Flags::AA));
    assert_eq!(answer.questions[0].name.to_string(), "wWw.eXample.com.");
    assert_eq!(answer.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [270; 3]);
    assert_eq!(answer.answers[0].name.to_string(), "wWw.eXample.com.");
    assert!(answer.edns.is_some());
    // Each copy begins with the next address.
    let again = ask(&mut world, at(40), FRIEND, &asked).unwrap();
    assert_ne!(again.answers[0], answer.answers[0]);
    assert!(answer.answers.iter().all(|record| again.answers.contains(record)));
    // Another variant, another type and the time after its end are other questions.
    for other in [query("www.example.com", Type::A, opt(DO, &[])), query("www.example.com", Type::AAAA, None)]
    {
        assert_eq!(ask(&mut world, at(40), FRIEND, &other).unwrap_err(), "resolve");
    }
    assert_eq!(ask(&mut world, at(110), FRIEND, &asked).unwrap_err(), "resolve");
}

#[test]
fn what_is_asked_for_often_is_looked_up_again_once_before_its_end() {
    let mut world = world(0);
    keep(&world, at(0), 100, "a.test", Type::A, vec![record("a.test", 100, Type::A, "192.0.2.1")]);
    let asked = query("a.test", Type::A, None);
    for (seconds, refresh) in [(10, false), (80, false), (91, true), (92, false)] {
        ask(&mut world, at(seconds), FRIEND, &asked).unwrap();
        assert_eq!(world.front.take_refresh().is_some(), refresh, "{seconds} s");
    }
}

#[test]
fn a_ready_answer_that_is_too_long_is_cut() {
    let mut world = world(0);
    let answers = (0..60).map(|n| record("www.example.com", 300, Type::A, &format!("192.0.2.{n}"))).collect();
    keep(&world, at(0), 100, "www.example.com", Type::A, answers);
    let cut = ask(&mut world, at(1), FRIEND, &query("www.example.com", Type::A, None)).unwrap();
    assert!(cut.flags.has(Flags::TC) && cut.answers.is_empty());
    let whole = ask(&mut world, at(1), FRIEND, &query("www.example.com", Type::A, opt(0, &[]))).unwrap();
    assert_eq!((whole.flags.has(Flags::TC), whole.answers.len()), (false, 60));
}

#[test]
fn memory_is_bounded_and_what_is_asked_for_stays() {
    let mut world = world(0);
    let asked = query("hot.test", Type::A, None);
    keep(&world, at(0), 10_000, "hot.test", Type::A, vec![record("hot.test", 9, Type::A, "192.0.2.1")]);
    for n in 0..50_000 {
        let name = format!("n{n}.test");
        keep(&world, at(1), 10_000, &name, Type::A, vec![record(&name, 9, Type::A, "192.0.2.1")]);
        if n % 50 == 0 {
            assert!(ask(&mut world, at(1), FRIEND, &asked).is_ok(), "gone after {n} others");
        }
    }
    let (entries, octets) = world.ready.usage();
    assert!(octets <= 1 << 20 && entries > 1000, "{entries} entries in {octets} octets");
    world.ready.clear();
    assert_eq!(world.ready.usage(), (0, 0));
    assert_eq!(ask(&mut world, at(1), FRIEND, &asked).unwrap_err(), "resolve");
}

#[test]
fn a_cookie_is_answered_with_a_whole_one() {
    let mut world = world(0);
    keep(&world, at(0), 100, "a.test", Type::A, vec![record("a.test", 100, Type::A, "192.0.2.1")]);
    let own = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let answer = ask(&mut world, at(1), FRIEND, &query("a.test", Type::A, opt(0, &own))).unwrap();
    let edns = answer.edns.unwrap();
    let (code, cookie) = edns.options().next().unwrap();
    assert_eq!((code, cookie.len(), &cookie[..8]), (10, 24, &own[4..]));
    let short = [0, 10, 0, 3, 1, 2, 3];
    let refused = ask(&mut world, at(1), FRIEND, &query("a.test", Type::A, opt(0, &short))).unwrap();
    assert_eq!((refused.flags.rcode(), refused.flags.has(Flags::RA)), (Rcode::FORMERR, true));
}

#[test]
fn a_malformed_cookie_gets_a_stranger_no_promise_of_recursion_and_no_flood_of_refusals() {
    let mut world = world(5);
    let asked = query("ns.example.org", Type::A, opt(0, &[0, 10, 0, 3, 1, 2, 3]));
    let refused = ask(&mut world, at(1), STRANGER, &asked).unwrap();
    assert_eq!((refused.flags.rcode(), refused.flags.has(Flags::RA)), (Rcode::FORMERR, false));
    let whole =
        |answer: &Result<Message, _>| answer.as_ref().is_ok_and(|answer| !answer.flags.has(Flags::TC));
    let heard = (0..50).map(|_| ask(&mut world, at(1), STRANGER, &asked)).filter(whole).count();
    assert!(heard < 5, "{heard} refusals in one moment");
}

#[test]
fn equal_answers_to_strangers_are_limited() {
    let mut world = world(5);
    let asked = query("ns.example.org", Type::A, None);
    let mut heard = [0; 3];
    for _ in 0..25 {
        heard[match ask(&mut world, at(0), STRANGER, &asked) {
            Ok(answer) if answer.flags.has(Flags::TC) => {
                assert!(answer.answers.is_empty());
                1
            }
            Ok(_) => 0,
            Err(_) => 2,
        }] += 1;
    }
    assert_eq!(heard, [5, 10, 10]);
}
