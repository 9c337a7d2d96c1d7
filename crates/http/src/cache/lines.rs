//! Field lines wherever they are kept: spans into the octets of a request, or the fields that a handler sees.

use doorway_net::web;

use crate::wire;

/// Something with field lines, in their order.
pub trait FieldLines {
    /// Name and value of each line.
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone;

    /// The values of all lines with this name, in any case of letters.
    fn values<'s>(&'s self, name: &'static str) -> impl Iterator<Item = &'s [u8]> + Clone {
        self.lines().filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v)
    }

    /// The value of the first line with this name, in any case of letters.
    fn value(&self, name: &'static str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// Whether there is a line with this name.
    fn has(&self, name: &'static str) -> bool {
        self.value(name).is_some()
    }
}

impl FieldLines for wire::Fields<'_> {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.iter()
    }
}

impl FieldLines for web::Fields {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.iter().map(|(name, value)| (name.as_bytes(), value))
    }
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), without the blanks around them and without empty
/// ones. Commas within quoted strings part nothing; a quote that is not closed is a character like any other.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = member_end(text);
        rest = text.get(end + 1..);
        Some(text[..end].trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

/// Where the first comma outside quotes stands, or the end.
fn member_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        match octet {
            b',' => return at,
            b'"' => at += quoted_octets(&text[at..]).unwrap_or(1),
            _ => at += 1,
        }
    }
    text.len()
}

/// How long the quoted string is that the text begins with, its quotes included; `None` when it has no end.
pub(super) fn quoted_octets(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
