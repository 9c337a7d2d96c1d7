//! The replies to LIST and UIDL of a whole maildrop: made a piece at a time, so that a hundred thousand lines
//! never lie in memory together.

use std::io::Write as _;

use super::transaction::Marks;
use crate::mailbox::Maildrop;

/// Octets after which a piece ends.
const PIECE_OCTETS: usize = 16 * 1024;

/// What each line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The message's length (RFC 1939 §5).
    Sizes,
    /// Its name that never changes (RFC 1939 §7).
    Names,
}

/// A listing under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) kind: Kind,
    /// The message that comes next, from 0.
    pub(super) next: usize,
}

impl Listing {
    /// The next piece, and what is left to do afterwards.
    pub(super) fn piece(mut self, maildrop: &Maildrop, deleted: &Marks) -> (Vec<u8>, Option<Self>) {
        let mut piece = Vec::with_capacity(PIECE_OCTETS + 64);
        while self.next < maildrop.entries.len() {
            if piece.len() >= PIECE_OCTETS {
                return (piece, Some(self));
            }
            if !deleted.has(self.next) {
                write_line(&mut piece, self.kind, maildrop, self.next);
            }
            self.next += 1;
        }
        piece.extend_from_slice(b".\r\n");
        (piece, None)
    }
}

/// Writes the line of message `index`, counted from 0, which its client counts from 1.
pub(super) fn write_line(out: &mut Vec<u8>, kind: Kind, maildrop: &Maildrop, index: usize) {
    let Some(entry) = maildrop.entries.get(index) else { return };
    let number = index + 1;
    // Writing to memory does not fail.
    let _ = match kind {
        Kind::Sizes => write!(out, "{number} {}\r\n", entry.octets),
        Kind::Names => write!(out, "{number} {}.{}\r\n", maildrop.uid_validity, entry.uid),
    };
}
