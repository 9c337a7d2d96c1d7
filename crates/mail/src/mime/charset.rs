//! Character sets: octets become text whatever they were called. The conversions are encoding_rs's; what
//! happens to names that nobody knows is decided here.

use encoding_rs::{Encoding, WINDOWS_1252};

/// The text of octets in the set named `label` (IANA names and their aliases, RFC 2978). Octets that do not
/// fit become U+FFFD. A name that is not known counts as none: see [`guess`].
#[must_use]
pub fn decode(label: &str, octets: &[u8]) -> String {
    match Encoding::for_label_no_replacement(label.trim().as_bytes()) {
        // What calls itself ASCII and is not is as good as unnamed.
        Some(known) if known == WINDOWS_1252 && is_ascii_label(label) => guess(octets),
        Some(known) => known.decode_with_bom_removal(octets).0.into_owned(),
        None => guess(octets),
    }
}

/// Whether octets in the set named `label` can be turned into text.
#[must_use]
pub fn is_known(label: &str) -> bool {
    Encoding::for_label_no_replacement(label.trim().as_bytes()).is_some()
}

/// The text of octets that nobody named a set for: UTF-8 if they are that, else Windows-1252, which holds
/// ISO 8859-1 and gives every octet a meaning.
#[must_use]
pub fn guess(octets: &[u8]) -> String {
    match core::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0.into_owned(),
    }
}

fn is_ascii_label(label: &str) -> bool {
    let label = label.trim();
    ["us-ascii", "ascii", "ansi_x3.4-1968", "iso-ir-6"].iter().any(|name| label.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_known_by_their_aliases_and_unknown_ones_are_guessed() {
        for (label, octets, text) in [
            ("utf-8", &b"caf\xc3\xa9"[..], "café"),
            ("ISO-8859-1", b"caf\xe9", "café"),
            (" latin1 ", b"caf\xe9", "café"),
            ("koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"),
            ("gb2312", b"\xc4\xe3\xba\xc3", "你好"),
            ("gb18030", b"\xc4\xe3\xba\xc3", "你好"),
            ("big5", b"\xa7A\xa6n", "你好"),
            ("shift_jis", b"\x82\xb1", "こ"),
            ("iso-2022-jp", b"\x1b$B$3\x1b(B", "こ"),
            ("euc-kr", b"\xb0\xa1", "가"),
            ("windows-1251", b"\xcf", "П"),
            ("utf-16le", b"A\0B\0", "AB"),
            ("us-ascii", b"caf\xc3\xa9", "café"),
            ("x-nobody", b"caf\xc3\xa9", "café"),
            ("x-nobody", b"caf\xe9", "café"),
            ("utf-8", b"\xff", "\u{fffd}"),
            ("", b"", ""),
        ] {
            assert_eq!(decode(label, octets), text, "{label}");
        }
    }
}
