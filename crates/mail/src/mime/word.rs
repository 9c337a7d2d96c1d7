//! Encoded words: text beyond ASCII in header fields (RFC 2047). Reading takes what is meant; writing
//! keeps to the letter.

use super::base64;
use super::charset;
use super::quoted_printable;

/// Longest encoded word (RFC 2047 §2).
const WORD_OCTETS_MAX: usize = 75;
/// Octets of text in one written word, so that with its frame and in base64 it stays below the bound.
const CHUNK_OCTETS_MAX: usize = 45;

/// One encoded word that was found.
struct Word<'a> {
    charset: &'a str,
    octets: Vec<u8>,
    /// Octets of the word in the text.
    length: usize,
}

/// Decodes the encoded words of a text. Blanks between two of them go; neighbours in one character set are
/// put together before they are decoded, since some writers cut characters in two. What only looks like
/// an encoded word stays.
#[must_use]
pub fn decode(text: &str) -> String {
    if !text.contains("=?") {
        return text.to_owned();
    }
    let mut decoded = String::with_capacity(text.len());
    let mut pending: Option<(&str, Vec<u8>)> = None;
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find("=?").unwrap_or(rest.len());
        let (before, from) = rest.split_at(start);
        let word = word(from);
        if !(before.bytes().all(|octet| matches!(octet, b' ' | b'\t')) && pending.is_some() && word.is_some())
        {
            flush(&mut pending, &mut decoded);
            decoded.push_str(before);
        }
        match word {
            Some(word) => {
                match &mut pending {
                    Some((charset, octets)) if charset.eq_ignore_ascii_case(word.charset) => {
                        octets.extend_from_slice(&word.octets);
                    }
                    _ => {
                        flush(&mut pending, &mut decoded);
                        pending = Some((word.charset, word.octets));
                    }
                }
                rest = &from[word.length..];
            }
            None => {
                let skip = from.len().min(2);
                decoded.push_str(&from[..skip]);
                rest = &from[skip..];
            }
        }
    }
    flush(&mut pending, &mut decoded);
    decoded
}

fn flush(pending: &mut Option<(&str, Vec<u8>)>, decoded: &mut String) {
    if let Some((label, octets)) = pending.take() {
        // A line end in a decoded word would be one in whatever shows it.
        let text = charset::decode(label, &octets);
        decoded.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')));
    }
}

/// The encoded word that `text` begins with.
fn word(text: &str) -> Option<Word<'_>> {
    let inside = text.strip_prefix("=?")?;
    let (charset, inside) = inside.split_once('?').filter(|(charset, _)| is_label(charset))?;
    let (encoding, inside) = inside.split_once('?').filter(|(encoding, _)| encoding.len() == 1)?;
    let end = inside.find("?=")?;
    let encoded = &inside[..end];
    let octets = match encoding {
        "b" | "B" => base64::decode(encoded.as_bytes()),
        "q" | "Q" => quoted_printable::decode_word(encoded.as_bytes()),
        _ => return None,
    };
    // RFC 2231 §5: a language may follow the character set.
    let charset = charset.split_once('*').map_or(charset, |(charset, _)| charset);
    let length = text.len() - inside.len() + end + 2;
    Some(Word { charset, octets, length })
}

fn is_label(charset: &str) -> bool {
    (1..=64).contains(&charset.len())
        && charset
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>' | b'@' | b','))
}

/// Writes a text as encoded words in UTF-8, parted by blanks at which the field can be folded; as it is
/// when it is ASCII and could not be taken for encoded words.
#[must_use]
pub fn encode(text: &str) -> String {
    let plain = text.bytes().all(|octet| matches!(octet, b' '..=b'~')) && !text.contains("=?");
    // Runs of blanks and blanks at the ends would be lost in folding.
    if plain && !text.contains("  ") && text.trim() == text {
        return text.to_owned();
    }
    let text: String = text.chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }).collect();
    let safe = text.bytes().filter(|octet| quoted_printable::is_word_safe(*octet) || *octet == b' ').count();
    let quoted = safe * 2 > text.len();
    let mut words = Vec::new();
    let mut chunk = String::new();
    let mut length = 0;
    for c in text.chars() {
        let mut octets = [0; 4];
        let c = c.encode_utf8(&mut octets);
        let cost = if quoted { quoted_printable::word_octets(c.as_bytes()) } else { c.len() };
        let most = if quoted { WORD_OCTETS_MAX - "=?utf-8?q??=".len() } else { CHUNK_OCTETS_MAX };
        if length + cost > most {
            words.push(one_word(&chunk, quoted));
            chunk.clear();
            length = 0;
        }
        chunk.push_str(c);
        length += cost;
    }
    if !chunk.is_empty() {
        words.push(one_word(&chunk, quoted));
    }
    words.join(" ")
}

fn one_word(text: &str, quoted: bool) -> String {
    if quoted {
        format!("=?utf-8?q?{}?=", quoted_printable::encode_word(text.as_bytes()))
    } else {
        format!("=?utf-8?b?{}?=", base64::encode(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(encoded: &str, expected: &str) {
        assert_eq!(decode(encoded), expected, "{encoded}");
    }

    #[test]
    fn words_are_decoded_as_the_rfc_shows() {
        // RFC 2047 §8.
        check("(=?ISO-8859-1?Q?a?=)", "(a)");
        check("(=?ISO-8859-1?Q?a?= b)", "(a b)");
        check("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)");
        check("(=?ISO-8859-1?Q?a?=  \t =?ISO-8859-1?Q?b?=)", "(ab)");
        check("(=?ISO-8859-1?Q?a_b?=)", "(a b)");
        check("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)");
        check("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore");
    }

    #[test]
    fn what_was_meant_is_read() {
        check("=?utf-8?B?5L2g?= =?UTF-8?B?5aW9?=", "你好");
        check("=?utf-8?b?5A==?= =?utf-8?b?vaA=?=", "你");
        check("=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "café");
        check("=?utf-8?q?=41?=", "A");
        check("=?utf-8?q?a b?=", "a b");
        check("=?utf-8?q??=", "");
        check("x=?utf-8?q?y?=z", "xyz");
        check("=?x-nobody?q?caf=E9?=", "café");
        check("=?utf-8?q?a=0D=0AX:_1?=", "aX: 1");
    }

    #[test]
    fn what_is_none_stays() {
        for text in [
            "=?",
            "=?utf-8",
            "=?utf-8?",
            "=?utf-8?q",
            "=?utf-8?q?",
            "=?utf-8?q?a",
            "=?utf-8?x?a?=",
            "=??q?a?=",
            "a =? b ?= c",
        ] {
            check(text, text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in "[ -~]{0,40}|\\PC{0,80}") {
            let encoded = encode(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert!(encoded.split(' ').all(|word| !word.starts_with("=?") || word.len() <= WORD_OCTETS_MAX));
            prop_assert_eq!(decode(&encoded), text);
        }

        #[test]
        fn any_text_has_a_meaning(text in "(=\\?|\\?=|utf-8|\\?|q|b|=4|[a ]|\\PC){0,30}") {
            let _ = decode(&text);
        }
    }
}
