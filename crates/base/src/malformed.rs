//! What a wire parser says when the octets are not what the standard allows.

use std::fmt;

/// Octets that break a rule of the wire format: what was expected, and where it was missing.
///
/// Parsers return it by value; it never allocates, so a flood of bad messages costs no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// What the standard wants at this place, as a noun: `"label length"`, `"CRLF after status line"`.
    pub what: &'static str,
    /// Offset from the start of the message, in octets, of the first octet that does not fit.
    pub at_octet: usize,
}

impl Malformed {
    /// Says that `what` was expected at `at_octet`.
    #[must_use]
    pub const fn new(what: &'static str, at_octet: usize) -> Self {
        Self { what, at_octet }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at octet {}", self.what, self.at_octet)
    }
}

impl std::error::Error for Malformed {}
