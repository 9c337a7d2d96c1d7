//! Base64 that takes nothing but its one form (RFC 4648 §4): no line ends, no missing or superfluous
//! padding, no stray bits. That of message bodies, which forgives, is part of MIME.

use doorway_base::Malformed;

pub use crate::mime::base64::encode;

/// Reads base64.
///
/// # Errors
/// [`Malformed`] with the octet that does not belong there.
pub fn decode(text: &str) -> Result<Vec<u8>, Malformed> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return Err(Malformed::new("base64 in groups of four", text.len()));
    }
    let padding = text.iter().rev().take(2).take_while(|octet| **octet == b'=').count();
    let digits = &text[..text.len() - padding];
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    for (number, four) in digits.chunks(4).enumerate() {
        let mut group = 0_u32;
        for (at, octet) in four.iter().enumerate() {
            let value = match octet {
                b'A'..=b'Z' => octet - b'A',
                b'a'..=b'z' => octet - b'a' + 26,
                b'0'..=b'9' => octet - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return Err(Malformed::new("a digit of base64", number * 4 + at)),
            };
            group = group << 6 | u32::from(value);
        }
        let group = group << (6 * (4 - four.len()));
        let [_, three @ ..] = group.to_be_bytes();
        let count = four.len() - 1;
        if three[count.min(3)..].iter().any(|octet| *octet != 0) {
            return Err(Malformed::new("zeros behind the last octet", number * 4 + four.len() - 1));
        }
        octets.extend_from_slice(&three[..count.min(3)]);
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_is_one_form_alone() {
        // RFC 4648 §10.
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
            assert_eq!(decode(text).as_deref(), Ok(octets.as_bytes()));
        }
        for text in
            ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\n", " Zm9", "Zm-v", "=Zg="]
        {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn octets_read_back(octets in proptest::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(decode(&encode(&octets)), Ok(octets));
        }

        #[test]
        fn what_is_read_has_no_other_form(text in "[A-Za-z0-9+/=]{0,12}") {
            if let Ok(octets) = decode(&text) {
                prop_assert_eq!(encode(&octets), text);
            }
        }
    }
}
