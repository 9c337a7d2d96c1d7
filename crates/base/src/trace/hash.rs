//! A hash over a whole trace, to tell two runs apart.

use std::fmt;

use super::event::{Direction, Event, Step};

/// FNV-1a over 128 bits: stable over machines and versions of the toolchain, and not for secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceHash(u128);

impl Default for TraceHash {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl TraceHash {
    /// Adds what an event says. Its number does not count: it follows from the order.
    pub fn add(&mut self, event: &Event) {
        self.octets(&event.at.as_nanos().to_be_bytes());
        self.text(&event.node);
        self.text(event.flow.transport.name());
        self.text(&event.flow.local.to_string());
        self.text(&event.flow.remote.to_string());
        self.octets(&[u8::from(event.direction == Direction::In)]);
        self.octets(&[match event.step {
            Step::Open => 0,
            Step::Message => 1,
            Step::Close => 2,
        }]);
        self.text(event.protocol);
        self.text(&event.summary);
        self.octets(&(event.octets.len() as u64).to_be_bytes());
        self.octets(&event.octets);
        if let Some(note) = &event.note {
            self.text(note.code);
            self.text(&note.text);
        }
    }

    fn text(&mut self, text: &str) {
        self.octets(text.as_bytes());
        self.octets(&[0xff]); // no UTF-8 text holds this octet, so "ab" + "c" differs from "a" + "bc"
    }

    fn octets(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = (self.0 ^ u128::from(*octet)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
