//! Response fields as HPACK literals (RFC 7541 §6.2.2): names by their number in the static table where
//! they have one, values as they are, and nothing put into the peer's dynamic table.
//!
//! Such octets mean the same on every connection and at any time, so that a ready-made response may keep
//! them. A value is not Huffman-coded, so that a Date can be renewed in place.

use crate::Status;
use crate::h2::hpack::integer;

/// Numbers of the static table that stand for a whole `:status` field (RFC 7541 Appendix A).
const STATUSES: [(u16, u8); 7] = [(200, 8), (204, 9), (206, 10), (304, 11), (400, 12), (404, 13), (500, 14)];

/// Names that responses have, in lower case, with their numbers in the static table.
const NAMES: [(&[u8], u8); 26] = [
    (b"accept-ranges", 18),
    (b"access-control-allow-origin", 20),
    (b"age", 21),
    (b"allow", 22),
    (b"cache-control", 24),
    (b"content-disposition", 25),
    (b"content-encoding", 26),
    (b"content-language", 27),
    (b"content-length", 28),
    (b"content-location", 29),
    (b"content-range", 30),
    (b"content-type", 31),
    (b"date", 33),
    (b"etag", 34),
    (b"expires", 36),
    (b"last-modified", 44),
    (b"link", 45),
    (b"location", 46),
    (b"proxy-authenticate", 48),
    (b"retry-after", 53),
    (b"server", 54),
    (b"set-cookie", 55),
    (b"strict-transport-security", 56),
    (b"vary", 59),
    (b"via", 60),
    (b"www-authenticate", 61),
];

/// Appends `:status`.
pub(super) fn status(out: &mut Vec<u8>, status: Status) {
    match STATUSES.iter().find(|(code, _)| *code == status.code()) {
        // RFC 7541 §6.1: an indexed field.
        Some((_, index)) => out.push(0x80 | index),
        None => {
            integer::write(out, 0, 4, 8);
            string(out, &status.digits());
        }
    }
}

/// Appends a field without telling the peer to keep it; the name's letters become lower case
/// (RFC 9113 §8.2).
pub(super) fn literal(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    match NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, index)) => integer::write(out, 0, 4, usize::from(*index)),
        None => {
            out.push(0);
            integer::write(out, 0, 7, name.len());
            out.extend(name.iter().map(u8::to_ascii_lowercase));
        }
    }
    string(out, value);
}

fn string(out: &mut Vec<u8>, octets: &[u8]) {
    integer::write(out, 0, 7, octets.len());
    out.extend_from_slice(octets);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard() {
        let check = |number, expected: &[u8]| {
            let mut out = Vec::new();
            integer::write(&mut out, 0, 5, number);
            assert_eq!(out, expected);
        };
        // RFC 7541 Appendix C.1.
        check(10, &[10]);
        check(1337, &[31, 154, 10]);
        check(31, &[31, 0]);
    }

    #[test]
    fn a_field_is_a_literal_that_nobody_keeps() {
        let mut out = Vec::new();
        status(&mut out, Status::OK);
        status(&mut out, Status::PRECONDITION_FAILED);
        literal(&mut out, b"Server", b"x");
        literal(&mut out, b"Date", b"now");
        literal(&mut out, b"X-Own", b"");
        assert_eq!(out, b"\x88\x08\x03412\x0f\x27\x01x\x0f\x12\x03now\x00\x05x-own\x00");
    }
}
