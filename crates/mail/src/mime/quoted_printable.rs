//! quoted-printable (RFC 2045 §6.7), and its relative in encoded words (RFC 2047 §4.2). Reading keeps what
//! is not encoded properly as it is.

use memchr::memchr;

use super::header::{line_end, without_end};

/// Longest line that is written, without its end.
const LINE_OCTETS_MAX: usize = 76;

fn digit(octet: Option<&u8>) -> Option<u8> {
    char::from(*octet?).to_digit(16).map(|digit| digit as u8)
}

/// The octet that `=XX` at the start of `text` stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    Some(digit(text.get(1))? << 4 | digit(text.get(2))?)
}

/// Decodes. Blanks at the ends of lines go, since they were put there on the way (rule 3); `=` that escapes
/// nothing stays.
#[must_use]
pub fn decode(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let end = line_end(text, at);
        let line = without_end(&text[at..end]);
        let line_break = &text[at + line.len()..end];
        let mut rest = line.trim_ascii_end();
        let soft = rest.last() == Some(&b'=');
        while let Some(next) = memchr(b'=', rest) {
            octets.extend_from_slice(&rest[..next]);
            rest = &rest[next..];
            if let Some(octet) = escaped(rest) {
                octets.push(octet);
                rest = &rest[3..];
            } else {
                if !(soft && rest.len() == 1) {
                    octets.push(b'=');
                }
                rest = &rest[1..];
            }
        }
        octets.extend_from_slice(rest);
        if !soft {
            octets.extend_from_slice(line_break);
        }
        at = end;
    }
    octets
}

/// Decodes the text of an encoded word, where `_` is a blank.
pub(crate) fn decode_word(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(octet) = text.get(at) {
        at += 1;
        match (octet, escaped(&text[at - 1..])) {
            (b'=', Some(octet)) => {
                octets.push(octet);
                at += 2;
            }
            (b'_', _) => octets.push(b' '),
            (octet, _) => octets.push(*octet),
        }
    }
    octets
}

/// Whether an octet may stand for itself in an encoded word anywhere (RFC 2047 §5, rule 3).
pub(crate) fn is_word_safe(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'!' | b'*' | b'+' | b'-' | b'/')
}

/// How long these octets become in an encoded word.
pub(crate) fn word_octets(octets: &[u8]) -> usize {
    octets.iter().map(|octet| if is_word_safe(*octet) || *octet == b' ' { 1 } else { 3 }).sum()
}

pub(crate) fn encode_word(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        match octet {
            b' ' => text.push('_'),
            octet if is_word_safe(*octet) => text.push(char::from(*octet)),
            octet => text.push_str(&format!("={octet:02X}")),
        }
    }
    text
}

/// Encodes. Lines of `octets` that end in CRLF or LF stay lines; a CR or LF alone otherwise is escaped, and
/// no line becomes longer than 76.
pub fn encode(octets: &[u8], into: &mut Vec<u8>) {
    into.reserve(octets.len() + octets.len() / 8);
    let mut at = 0;
    while at < octets.len() {
        let end = line_end(octets, at);
        let line = without_end(&octets[at..end]);
        encode_line(line, into);
        if end > at + line.len() {
            into.extend_from_slice(b"\r\n");
        } else {
            // The content does not end in a line end: neither does what decodes.
            into.extend_from_slice(b"=\r\n");
        }
        at = end;
    }
}

fn encode_line(line: &[u8], into: &mut Vec<u8>) {
    let mut length = 0;
    for (at, octet) in line.iter().enumerate() {
        let last = at + 1 == line.len();
        let plain = match octet {
            b'=' => false,
            b' ' | b'\t' => !last,
            // `From ` is altered by mbox writers, a dot alone is stuffed by old servers.
            b'F' if at == 0 && line.starts_with(b"From ") => false,
            b'.' if at == 0 && last => false,
            octet => octet.is_ascii_graphic(),
        };
        let cost = if plain { 1 } else { 3 };
        // Room for the `=` of a soft line break.
        if length + cost > LINE_OCTETS_MAX - usize::from(!last) {
            into.extend_from_slice(b"=\r\n");
            length = 0;
        }
        if plain {
            into.push(*octet);
        } else {
            into.push(b'=');
            into.extend([octet >> 4, octet & 15].map(|digit| b"0123456789ABCDEF"[usize::from(digit)]));
        }
        length += cost;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, octets: &[u8]) {
        assert_eq!(decode(text.as_bytes()), octets, "{text:?}");
    }

    #[test]
    fn text_is_decoded_and_what_is_broken_stays() {
        check("caf=C3=A9", "café".as_bytes());
        check("caf=c3=a9", "café".as_bytes());
        check("a=\r\nb\r\nc", b"ab\r\nc");
        check("a=\nb\nc", b"ab\nc");
        check("a=  \r\nb", b"ab");
        check("a  \r\nb\t", b"a\r\nb");
        check("a=20\r\n", b"a \r\n");
        check("1=2", b"1=2");
        check("=", b"");
        check("=4", b"=4");
        check("=G1=41", b"=G1A");
        check("a=\r\n", b"a");
        check("", b"");
    }

    #[test]
    fn lines_are_kept_and_long_ones_broken() {
        let mut text = Vec::new();
        encode(format!("{}\r\nFrom x\r\n.\r\na \r\n=", "é".repeat(30)).as_bytes(), &mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.split("\r\n").all(|line| line.len() <= LINE_OCTETS_MAX), "{text}");
        assert!(text.ends_with("\r\n=46rom x\r\n=2E\r\na=20\r\n=3D=\r\n"), "{text}");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(octets in "(\r\n|[a-f .=\t\u{0}\u{e9}])*") {
            let mut text = Vec::new();
            encode(octets.as_bytes(), &mut text);
            prop_assert!(text.is_ascii());
            prop_assert!(text.split(|octet| *octet == b'\n').all(|line| line.len() <= LINE_OCTETS_MAX + 1));
            prop_assert_eq!(decode(&text), octets.as_bytes());
        }

        #[test]
        fn any_octets_decode(octets in proptest::collection::vec(prop_oneof![Just(b'='), Just(b'\n'), any::<u8>()], 0..100)) {
            prop_assert!(decode(&octets).len() <= octets.len());
        }
    }
}
