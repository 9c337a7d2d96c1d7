//! What the resolver's engine costs without a network: cold names that need one query each, and cached
//! ones. `cargo bench -p doorway-dns --bench resolver`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints what it found, or stops")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use core::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random};
use doorway_dns::authority::Published;
use doorway_dns::cache::{Cache, Limits};
use doorway_dns::resolver::{Ask, Config, Input, Output, Resolver, Send};
use doorway_dns::wire::{Class, Flags, Message, Name, Question, Record, Type};
use doorway_dns::zone::{HashKey, Zones};

const NAMES: usize = 50_000;
const ROUNDS: usize = 5;

fn question(index: usize) -> Question {
    Question { name: format!("host{index}.example.com.").parse().unwrap(), kind: Type::A, class: Class::IN }
}

fn record(name: &Name, kind: Type, rdata: &[u8]) -> Record {
    Record { name: name.clone(), kind, class: Class::IN, ttl: 3600, rdata: rdata.to_vec() }
}

// A delegation of example.com with two servers, or an address with the two servers beside it.
fn answer(send: &Send) -> Vec<u8> {
    let query = Message::read(&send.octets).unwrap();
    let zone: Name = "example.com.".parse().unwrap();
    let servers: [Name; 2] = ["ns1.example.com.", "ns2.example.com."].map(|name| name.parse().unwrap());
    let root = send.to.ip() == IpAddr::from([192, 0, 2, 1]);
    let mut message = Message {
        id: query.id,
        flags: Flags(Flags::QR | if root { 0 } else { Flags::AA }),
        questions: query.questions.clone(),
        ..Message::default()
    };
    if !root {
        message.answers.push(record(&query.questions[0].name, Type::A, &[198, 51, 100, 7]));
    }
    for (index, server) in servers.iter().enumerate() {
        message.authorities.push(record(&zone, Type::NS, server.as_octets()));
        message.additionals.push(record(server, Type::A, &[192, 0, 2, 10 + index as u8]));
    }
    message.to_octets().unwrap()
}

fn drain(resolver: &mut Resolver, sends: &mut Vec<Send>) -> usize {
    let mut answers = 0;
    while let Some(output) = resolver.poll_output() {
        match output {
            Output::Send(send) => sends.push(send),
            Output::Answer(answer) => {
                assert!(!answer.answers.is_empty(), "each name has an address");
                answers += 1;
            }
            Output::Cancel(_) => {}
        }
    }
    answers
}

fn main() {
    let config = Config {
        root_hints: vec![("root.".parse().unwrap(), vec![[192, 0, 2, 1].into()])],
        prime_root: false,
        ..Config::default()
    };
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut random = Random::new(round as u64);
        let cache = Arc::new(Cache::new(Limits::default(), &mut random));
        let zones = Zones::new(HashKey::new(&mut random), Vec::new()).unwrap();
        let mut resolver = Resolver::new(Arc::new(config.clone()), cache, Published::new(zones), random);
        let now = Instant::ZERO + Duration::from_secs(1);
        let mut sends = Vec::new();
        let mut spent = Duration::ZERO;
        for index in 0..NAMES {
            let ask = Ask::new(index as u64, question(index));
            let start = std::time::Instant::now();
            resolver.handle(now, Input::Ask(ask));
            let mut answers = drain(&mut resolver, &mut sends);
            spent += start.elapsed();
            while let Some(send) = sends.pop() {
                let octets = answer(&send);
                let start = std::time::Instant::now();
                resolver.handle(now, Input::Response { query: send.query, from: send.to, octets: &octets });
                answers += drain(&mut resolver, &mut sends);
                spent += start.elapsed();
            }
            assert_eq!(answers, 1);
        }
        cold.push(spent.as_secs_f64() * 1e6 / NAMES as f64);
        let start = std::time::Instant::now();
        for index in 0..NAMES {
            resolver.handle(now, Input::Ask(Ask::new(index as u64, question(index))));
            assert_eq!(drain(&mut resolver, &mut sends), 1);
        }
        warm.push(start.elapsed().as_secs_f64() * 1e6 / NAMES as f64);
    }
    for (what, mut figures) in [("cold name, one query", cold), ("cached name", warm)] {
        figures.sort_by(f64::total_cmp);
        println!("{what:24} {:6.2} µs (median of {ROUNDS} rounds)", figures[ROUNDS / 2]);
    }
}
