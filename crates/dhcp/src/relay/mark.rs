//! Option 82 as we add it: made once for a circuit, found again in what a server echoes. RFC 3046 §2, §3.

use doorway_base::Writer;

use super::{Circuit, IDENTIFIER_OCTETS_MAX, Rules};
use crate::wire::message::OPTIONS_AT;
use crate::wire::{Message, agent, code};

/// The sub-options that we add for one circuit.
#[derive(Debug)]
pub(super) struct Mark(Vec<u8>);

impl Mark {
    pub(super) fn new(rules: &Rules, circuit: &Circuit) -> Self {
        let mut octets = Vec::new();
        let mut add = |number: u8, value: &[u8]| {
            let value = &value[..value.len().min(IDENTIFIER_OCTETS_MAX)];
            if !value.is_empty() {
                octets.extend([number, value.len() as u8]);
                octets.extend(value);
            }
        };
        add(agent::CIRCUIT_ID, &circuit.circuit_id);
        add(agent::REMOTE_ID, &circuit.remote_id);
        if rules.giaddr.is_some_and(|giaddr| giaddr != circuit.address) {
            add(agent::LINK_SELECTION, &circuit.address.octets());
        }
        if rules.server_override {
            add(agent::SERVER_ID_OVERRIDE, &circuit.address.octets());
        }
        Self(octets)
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// Which mark an echoed option 82 ends with, and how many octets in front of it are another's. The longest
/// one that fits is meant.
pub(super) fn find(marks: &[Mark], echoed: &[u8]) -> Option<(usize, usize)> {
    let fitting =
        marks.iter().enumerate().filter(|(_, mark)| !mark.0.is_empty() && echoed.ends_with(&mark.0));
    let (circuit, mark) = fitting.max_by_key(|(_, mark)| mark.0.len())?;
    Some((circuit, echoed.len() - mark.0.len()))
}

/// Writes option 82, in as many pieces as its length takes (RFC 3396 §6).
pub(super) fn put(out: &mut Writer<'_>, value: &[u8]) {
    for piece in value.chunks(usize::from(u8::MAX)) {
        out.put_u8(code::AGENT);
        out.put_u8(piece.len() as u8);
        out.put(piece);
    }
}

/// Copies the options field without its end: every piece of an option that `keep` lets through, and what
/// fills up between them.
pub(super) fn copy_options(message: &Message<'_>, out: &mut Writer<'_>, keep: impl Fn(u8) -> bool) {
    let mut rest = &message.octets()[OPTIONS_AT..];
    let mut pads: usize = 0;
    while let [number, tail @ ..] = rest {
        let octets = match (*number, tail.first()) {
            (code::END, _) | (_, None) => break,
            (code::PAD, _) => {
                pads += 1;
                rest = tail;
                continue;
            }
            (_, Some(length)) => 2 + usize::from(*length),
        };
        // Only what stands between two options is kept of what fills up.
        for _ in 0..std::mem::take(&mut pads) {
            out.put_u8(code::PAD);
        }
        let Some((option, after)) = rest.split_at_checked(octets) else { break };
        if keep(*number) {
            out.put(option);
        }
        rest = after;
    }
}
