//! Command lines, cut out of the octets as they come (RFC 5321 §2.3.8): CRLF alone ends one.

use memchr::memchr;

/// Longest line that is looked at, with its end, in octets: a response of AUTH (RFC 4954 §4).
pub const LINE_OCTETS_MAX: usize = 12_288;

/// What is at the start of the octets that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its end, and how many octets it took with it.
    Whole(&'a [u8], usize),
    /// The start of a line.
    Part,
    /// LF without CR: whatever speaks there, it is not SMTP, or means to be understood in two ways.
    BareLf,
    /// More octets than a line may have.
    TooLong,
    /// The start of a TLS handshake, from a program that was told to begin with it here.
    Tls,
}

/// How a TLS handshake begins: its kind of record, and the first octet of its version (RFC 8446 §5.1).
const TLS_START: [u8; 2] = [0x16, 3];

impl<'a> Line<'a> {
    /// Looks for the first line.
    #[must_use]
    pub fn first(octets: &'a [u8]) -> Self {
        if octets.starts_with(&TLS_START) {
            return Self::Tls;
        }
        let looked_at = &octets[..octets.len().min(LINE_OCTETS_MAX)];
        match memchr(b'\n', looked_at) {
            Some(at) => match octets[..at].strip_suffix(b"\r") {
                Some(line) => Self::Whole(line, at + 1),
                None => Self::BareLf,
            },
            None if octets.len() >= LINE_OCTETS_MAX => Self::TooLong,
            None => Self::Part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_in_crlf_alone() {
        for (octets, line) in [
            (&b"NOOP\r\nQUIT\r\n"[..], Line::Whole(b"NOOP", 6)),
            (b"\r\n", Line::Whole(b"", 2)),
            (b"NO\rOP\r\n", Line::Whole(b"NO\rOP", 7)),
            (b"NOOP\r", Line::Part),
            (b"", Line::Part),
            (b"NOOP\n", Line::BareLf),
            (b"\n", Line::BareLf),
            (b"\x16\x03\x01\x02\0\x01", Line::Tls),
            (b"\x16", Line::Part),
        ] {
            assert_eq!(Line::first(octets), line, "{octets:?}");
        }
        let mut long = vec![b'x'; LINE_OCTETS_MAX - 2];
        long.extend_from_slice(b"\r\n");
        assert_eq!(Line::first(&long), Line::Whole(&long[..LINE_OCTETS_MAX - 2], LINE_OCTETS_MAX));
        long.insert(0, b'x');
        assert_eq!(Line::first(&long), Line::TooLong);
    }
}
