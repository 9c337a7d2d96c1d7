//! Values of ENVID and ORCPT: printable ASCII, with `+` and two hexadecimal digits for the rest
//! (RFC 3461 §4).

use doorway_base::Malformed;

/// Reads xtext whose meaning is printable ASCII.
///
/// # Errors
/// [`Malformed`] with the octet that is no xtext, or stands for what is not printable.
pub fn decode(text: &str) -> Result<String, Malformed> {
    let mut decoded = String::with_capacity(text.len());
    let octets = text.as_bytes();
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        match octet {
            b'+' => {
                let digits =
                    octets.get(at + 1..at + 3).ok_or(Malformed::new("two hexadecimal digits", at))?;
                // RFC 3461 §4: the digits are in upper case.
                let [high, low] = [digits[0], digits[1]].map(|digit| match digit {
                    b'0'..=b'9' => Some(digit - b'0'),
                    b'A'..=b'F' => Some(digit - b'A' + 10),
                    _ => None,
                });
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(Malformed::new("two hexadecimal digits", at + 1));
                };
                match high << 4 | low {
                    octet @ b' '..=b'~' => decoded.push(char::from(octet)),
                    _ => return Err(Malformed::new("a printable character", at)),
                }
                at += 3;
            }
            b'=' => return Err(Malformed::new("`+3D` for an equals sign", at)),
            b'!'..=b'~' => {
                decoded.push(char::from(*octet));
                at += 1;
            }
            _ => return Err(Malformed::new("printable ASCII", at)),
        }
    }
    Ok(decoded)
}

/// Writes printable ASCII as xtext.
pub fn encode(text: &str, into: &mut Vec<u8>) {
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' => {
                into.extend_from_slice(&[b'+', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]])
            }
            b'!'..=b'~' => into.push(octet),
            _ => into.extend_from_slice(&[b'+', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]),
        }
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_xtext_is_refused() {
        for (text, meaning) in [("QQ314159", "QQ314159"), ("a+2Bb+3Dc", "a+b=c"), ("+20", " "), ("", "")] {
            assert_eq!(decode(text).as_deref(), Ok(meaning));
        }
        for text in ["+", "+2", "+2b", "+0A", "+0D", "+00", "+7F", "+80", "a=b", "a b", "é"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in "[ -~]{0,50}") {
            let mut octets = Vec::new();
            encode(&text, &mut octets);
            let written = String::from_utf8(octets).expect("xtext is ASCII");
            prop_assert_eq!(decode(&written), Ok(text));
        }
    }
}
