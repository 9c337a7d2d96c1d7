//! What the name server does as a whole: the engine without a socket, then the doors.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod allocation;
mod attacks;
mod changing;
mod defences;
mod doors;
mod internet;
mod leases;
mod model;
mod moving;
mod peers;
mod recursion;
mod replay;
mod resolver;
mod scripts;
mod simulation;
mod upstream;

use std::sync::Arc;

use doorway_base::{Random, Verdict, Writer};
use doorway_dns::authority::counters::Counters;
use doorway_dns::authority::{Authority, Carrier, Published};
use doorway_dns::wire::{Class, Edns, Flags, Message, Name, Question, Type};
use doorway_dns::zone::{HashKey, Zones, file};

/// An engine that serves the given zones, each a name and the text of its file.
fn serving(zones: &[(Name, String)]) -> Authority {
    let secret = HashKey::new(&mut Random::new(7));
    let read = zones.iter().map(|(name, text)| {
        let (zone, _) =
            file::read(name, "zone", text.as_bytes(), secret).unwrap_or_else(|faults| panic!("{faults}"));
        Arc::new(zone)
    });
    let zones = Zones::new(secret, read.collect()).expect("zones with different names");
    Authority::new(Published::new(zones), Arc::new(Counters::default()), 1232)
}

fn query(name: &Name, kind: Type, edns: Option<Edns>) -> Message {
    let question = Question { name: name.clone(), kind, class: Class::IN };
    Message { id: 4711, flags: Flags(Flags::RD), questions: vec![question], edns, ..Message::default() }
}

/// The octets of the answer; `None` when there is none.
fn answer(authority: &mut Authority, query: &[u8], carrier: Carrier) -> Option<Vec<u8>> {
    let mut room = vec![0; 65_535];
    let mut reply = Writer::new(&mut room);
    let verdict = authority.respond(query, carrier, &mut reply);
    (verdict == Verdict::Reply).then(|| reply.written().to_vec())
}
