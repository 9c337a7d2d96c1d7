//! Frames shown to the trace, one message each.

use doorway_base::trace::Direction;
use doorway_net::tcp::Watching;

use super::Cause;
use crate::h2::PREFACE;
use crate::h2::frame::{HEADER_OCTETS, Header, Kind};
use crate::wire::RequestHead;

/// Records one frame that was taken, or the preface.
#[inline]
pub(super) fn taken(watching: &Watching, octets: &[u8], head: Option<&RequestHead<'_>>) -> Cause {
    if !watching.is_traced() {
        return None;
    }
    watching.record(Direction::In, octets, None, || match (Header::parse(octets), head) {
        _ if octets == PREFACE => "preface".to_owned(),
        (Some(frame), Some(head)) => {
            let (method, target) = (head.method_name.escape_ascii(), head.target_octets.escape_ascii());
            format!("{} stream {} {method} {target}", frame.kind, frame.stream)
        }
        (Some(frame), None) => frame.to_string(),
        (None, _) => String::new(),
    })
}

/// Records each frame of what goes out.
#[inline]
pub(super) fn frames(watching: &Watching, direction: Direction, octets: &[u8], cause: Cause) {
    if octets.is_empty() || !watching.is_traced() {
        return;
    }
    let mut rest = octets;
    while let Some(header) = Header::parse(rest) {
        let (frame, after) = rest.split_at((HEADER_OCTETS + header.length).min(rest.len()));
        watching.record(direction, frame, cause, || match status(header, &frame[HEADER_OCTETS..]) {
            Some(status) => format!("HEADERS stream {} {status}", header.stream),
            None => header.to_string(),
        });
        rest = after;
    }
}

/// The status that a field block of ours begins with.
fn status(header: Header, block: &[u8]) -> Option<String> {
    if header.kind != Kind::HEADERS {
        return None;
    }
    let block = block.strip_prefix(&[0x20]).unwrap_or(block);
    match *block {
        [0x08, 3, a, b, c, ..] => Some([a, b, c].iter().map(|&digit| char::from(digit)).collect()),
        [indexed @ 0x88..=0x8e, ..] => {
            let (_, value) = crate::h2::hpack::STATIC[usize::from(indexed & 0x7f) - 1];
            Some(value.to_owned())
        }
        _ => None,
    }
}
