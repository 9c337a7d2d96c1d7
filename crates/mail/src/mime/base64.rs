//! base64 (RFC 2045 §6.8). Our own: what travels as base64 in mail has line ends, blanks, missing padding
//! and junk in it, which libraries refuse.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Octets that become one line of 76 (RFC 2045 §6.8).
const LINE_OCTETS: usize = 57;
/// Neither a digit nor padding.
const NONE: u8 = 0xff;

/// The value of each octet as a digit.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut digit = 0;
    while digit < 64 {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// Decodes; octets that are no digits are left out. Padding ends a run of digits. Another may follow, since
/// some writers encode piece by piece, but not where other text does: that was put there on the way.
#[must_use]
pub fn decode(text: &[u8]) -> Vec<u8> {
    let mut text = text;
    let mut padded = false;
    let mut octets = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut at = 0;
    let (mut bits, mut digits) = (0_u32, 0_u32);
    while at < text.len() {
        if digits == 0 {
            // Four digits at once, as long as nothing stands between them.
            while let Some([a, b, c, d]) = text[at..].first_chunk::<4>() {
                let [a, b, c, d] = [a, b, c, d].map(|octet| VALUES[usize::from(*octet)]);
                if (a | b | c | d) & 0xc0 != 0 {
                    break;
                }
                let all = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
                octets.extend_from_slice(&all.to_be_bytes()[1..]);
                at += 4;
            }
        }
        let Some(octet) = text.get(at) else { break };
        at += 1;
        let value = VALUES[usize::from(*octet)];
        if value != NONE {
            bits = bits << 6 | u32::from(value);
            digits += 1;
            if digits == 4 {
                octets.extend_from_slice(&bits.to_be_bytes()[1..]);
                (bits, digits) = (0, 0);
            }
        } else if *octet == b'=' {
            finish(bits, digits, &mut octets);
            (bits, digits) = (0, 0);
            let foreign = |octet: &u8| {
                VALUES[usize::from(*octet)] == NONE && *octet != b'=' && !octet.is_ascii_whitespace()
            };
            if !padded && text[at..].iter().any(foreign) {
                text = &text[..at];
            }
            padded = true;
        }
    }
    finish(bits, digits, &mut octets);
    octets
}

/// What two or three digits at the end stand for.
fn finish(bits: u32, digits: u32, octets: &mut Vec<u8>) {
    match digits {
        2 => octets.push((bits >> 4) as u8),
        3 => octets.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        _ => {}
    }
}

fn encode_into(octets: &[u8], text: &mut Vec<u8>) {
    let digit = |value: u32| ALPHABET[value as usize & 63];
    let mut chunks = octets.chunks_exact(3);
    for chunk in chunks.by_ref() {
        let all = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
        text.extend_from_slice(&[digit(all >> 18), digit(all >> 12), digit(all >> 6), digit(all)]);
    }
    match chunks.remainder() {
        [a] => {
            let all = u32::from(*a) << 4;
            text.extend_from_slice(&[digit(all >> 6), digit(all), b'=', b'=']);
        }
        [a, b] => {
            let all = u32::from(*a) << 10 | u32::from(*b) << 2;
            text.extend_from_slice(&[digit(all >> 12), digit(all >> 6), digit(all), b'=']);
        }
        _ => {}
    }
}

/// Encodes in one line.
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    let mut text = Vec::with_capacity(octets.len().div_ceil(3) * 4);
    encode_into(octets, &mut text);
    text.into_iter().map(char::from).collect()
}

/// Encodes in lines of 76, each with its CRLF.
pub fn encode_lines(octets: &[u8], into: &mut Vec<u8>) {
    into.reserve(octets.len() / LINE_OCTETS * 78 + 78);
    for line in octets.chunks(LINE_OCTETS) {
        encode_into(line, into);
        into.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (octets, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(octets.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()), octets.as_bytes());
        }
    }

    #[test]
    fn junk_is_left_out_and_padding_may_be_missing_or_early() {
        for (text, octets) in [
            ("Zm9v\r\nYmFy", "foobar"),
            ("Z m-9\tv!Y*m.F:y", "foobar"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmE", "fooba"),
            ("Zm9vYg==Zm9v", "foobfoo"),
            ("Zg==Zg==", "ff"),
            ("Zg==\r\n-- \r\nlist footer", "f"),
            ("====", ""),
            ("Z", ""),
            ("Zm9vY", "foo"),
        ] {
            assert_eq!(decode(text.as_bytes()), octets.as_bytes(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decode(encode(&octets).as_bytes()), octets.clone());
            let mut lines = Vec::new();
            encode_lines(&octets, &mut lines);
            prop_assert!(lines.split(|octet| *octet == b'\n').all(|line| line.len() <= 77));
            prop_assert_eq!(decode(&lines), octets);
        }
    }
}
