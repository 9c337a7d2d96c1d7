//! What the engine alone costs, without a socket: `cargo bench -p doorway-dns`.
//!
//! `-- load NAMES` times the reading of a zone; `-- profile` answers without end, for a profiler.
//! Servers are compared over sockets by `cargo xtask bench dns`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

mod workload;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use doorway_base::{Random, Writer};
use doorway_dns::authority::counters::Counters;
use doorway_dns::authority::{Authority, Carrier, Published};
use doorway_dns::wire::{Class, Flags, Message, Name, Question, Type};
use doorway_dns::zone::{HashKey, Zone, Zones, file};
use workload::{APEX, Mix, NAMES, queries, zone_file};

fn main() {
    // `cargo bench` adds an argument of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["load", names] => {
            load(names.parse().unwrap());
        }
        ["profile"] => profile(),
        _ => measure(),
    }
}

fn secret() -> HashKey {
    HashKey::new(&mut Random::new(1))
}

fn load(names: u64) -> Zone {
    let text = zone_file(names);
    let start = Instant::now();
    let (zone, _) = file::read(&APEX.parse().unwrap(), "bench", text.as_bytes(), secret())
        .unwrap_or_else(|faults| panic!("{faults}"));
    println!(
        "read {} records in {:.3} s; {} octets of memory, {:.1} a record",
        zone.records(),
        start.elapsed().as_secs_f64(),
        zone.memory_octets(),
        zone.memory_octets() as f64 / zone.records() as f64
    );
    zone
}

fn engine() -> Authority {
    let zones = Zones::new(secret(), vec![Arc::new(load(NAMES))]).unwrap();
    Authority::new(Published::new(zones), Arc::new(Counters::default()), 1232)
}

fn messages(mix: Mix) -> Vec<Vec<u8>> {
    let message = |(name, kind): (String, &str)| {
        let kind = Type::from_text(kind.as_bytes()).unwrap();
        let question = Question { name: name.parse::<Name>().unwrap(), kind, class: Class::IN };
        let query = Message { flags: Flags(0), questions: vec![question], ..Message::default() };
        query.to_octets().unwrap()
    };
    queries(mix, NAMES).into_iter().map(message).collect()
}

fn answer_all(engine: &mut Authority, messages: &[Vec<u8>]) {
    let mut room = [0; 4096];
    for query in messages {
        let mut reply = Writer::new(&mut room);
        black_box(engine.respond(query, Carrier::Datagram, &mut reply));
    }
}

fn measure() {
    let mut engine = engine();
    for mix in [Mix::Usual, Mix::Hits, Mix::Misses] {
        let messages = messages(mix);
        let mut rounds: Vec<f64> = (0..9)
            .map(|_| {
                let start = Instant::now();
                answer_all(&mut engine, &messages);
                start.elapsed().as_secs_f64() * 1e9 / messages.len() as f64
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        println!("{mix:?}: {:.0} ns a query (median of 9; best {:.0})", rounds[4], rounds[0]);
    }
}

fn profile() {
    let mut engine = engine();
    let messages = messages(Mix::Usual);
    loop {
        answer_all(&mut engine, &messages);
    }
}
