//! Values with parameters: Content-Type, Content-Disposition (RFC 2045 §5.1, RFC 2183), with names and
//! texts beyond ASCII (RFC 2231), written properly or not.

use std::fmt::Write as _;

use super::charset;
use super::header::unfold;
use super::structure::Parameterized;
use super::word;

/// Most parameters of one value; more are left out.
pub const PARAMETERS_MAX: usize = 64;
/// Most pieces of one parameter (RFC 2231 §3).
const PIECES_MAX: usize = 100;

/// One piece as it is written: `name*0*=value`.
struct Piece {
    name: String,
    number: Option<usize>,
    /// Whether its value is percent-encoded.
    extended: bool,
    value: Vec<u8>,
}

/// Reads a value and its parameters. Nothing is refused: what cannot be read is left out.
#[must_use]
pub fn parse(value: &[u8]) -> Parameterized {
    let value = unfold(value);
    let mut rest = &value[..];
    let first = take_value(&mut rest);
    let value = charset::guess(&first).trim().to_ascii_lowercase();
    let mut pieces = Vec::new();
    while !rest.is_empty() && pieces.len() < PARAMETERS_MAX.max(PIECES_MAX) {
        rest = rest.strip_prefix(b";").unwrap_or(rest);
        pieces.extend(take_piece(&mut rest));
    }
    Parameterized { value, parameters: join(pieces) }
}

/// The text up to the next semicolon, comments and the blanks round it left out, quotes taken off.
fn take_value(rest: &mut &[u8]) -> Vec<u8> {
    *rest = rest.trim_ascii_start();
    let mut text = Vec::new();
    let mut quoted_octets = 0;
    let mut depth = 0_u32;
    let mut quoted = false;
    let mut at = 0;
    while let Some(octet) = rest.get(at) {
        at += 1;
        match octet {
            b'\\' if quoted || depth > 0 => {
                if depth == 0 {
                    text.extend(rest.get(at));
                }
                at += 1;
            }
            b'"' if depth == 0 => {
                quoted = !quoted;
                quoted_octets = text.len();
            }
            b'(' if !quoted => depth += 1,
            b')' if !quoted && depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            b';' if !quoted => {
                at -= 1;
                break;
            }
            octet => text.push(*octet),
        }
    }
    *rest = rest.get(at..).unwrap_or_default();
    if !quoted {
        text.truncate(text.trim_ascii_end().len().max(quoted_octets));
    }
    text
}

fn take_piece(rest: &mut &[u8]) -> Option<Piece> {
    let name_end = rest.iter().position(|octet| matches!(octet, b'=' | b';')).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(name_end);
    *rest = behind;
    if !rest.starts_with(b"=") {
        return None;
    }
    *rest = &rest[1..];
    let value = take_value(rest);
    let name = core::str::from_utf8(name.trim_ascii()).ok().filter(|name| !name.is_empty())?;
    let name = name.to_ascii_lowercase();
    let (name, extended) = match name.strip_suffix('*') {
        Some(name) => (name.to_owned(), true),
        None => (name, false),
    };
    let numbered = name.rsplit_once('*').and_then(|(name, number)| Some((name, number.parse().ok()?)));
    Some(match numbered {
        Some((name, number)) => Piece { name: name.to_owned(), number: Some(number), extended, value },
        None => Piece { name, number: None, extended, value },
    })
}

/// Puts the pieces of each parameter together. An extended form counts more than a plain one beside it
/// (RFC 8187 §4.1 says so for HTTP; mail writers send both for the same reason).
fn join(pieces: Vec<Piece>) -> Vec<(String, String)> {
    let mut names: Vec<&str> = Vec::new();
    for piece in &pieces {
        if names.len() < PARAMETERS_MAX && !names.contains(&piece.name.as_str()) {
            names.push(&piece.name);
        }
    }
    let value_of = |name: &str| {
        let mut of: Vec<&Piece> = pieces.iter().filter(|piece| piece.name == name).collect();
        if let Some(whole) = of.iter().find(|piece| piece.number.is_none() && piece.extended) {
            return extended(std::slice::from_ref(whole));
        }
        if let Some(plain) = of.iter().find(|piece| piece.number.is_none()) {
            return word::decode(&charset::guess(&plain.value));
        }
        of.sort_by_key(|piece| piece.number);
        of.dedup_by_key(|piece| piece.number);
        extended(&of)
    };
    names.iter().map(|name| ((*name).to_owned(), value_of(name))).collect()
}

/// The text of pieces, the first of which may begin with `charset'language'`.
fn extended(pieces: &[&Piece]) -> String {
    let mut label = String::new();
    let mut octets = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let mut value = &piece.value[..];
        if at == 0 && piece.extended {
            let mut fields = value.splitn(3, |octet| *octet == b'\'');
            if let (Some(charset), Some(_), Some(text)) = (fields.next(), fields.next(), fields.next()) {
                label = String::from_utf8_lossy(charset).into_owned();
                value = text;
            }
        }
        if piece.extended {
            octets.extend(percent_decoded(value));
        } else {
            octets.extend_from_slice(value);
        }
    }
    let text = if label.is_empty() { charset::guess(&octets) } else { charset::decode(&label, &octets) };
    // Some writers put encoded words into the pieces.
    let text = if pieces.iter().any(|piece| piece.extended) { text } else { word::decode(&text) };
    text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect()
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let digit = |octet: Option<&u8>| Some(char::from(*octet?).to_digit(16)? as u8);
    let mut octets = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(octet) = value.get(at) {
        let escaped = || Some(digit(value.get(at + 1))? << 4 | digit(value.get(at + 2))?);
        match escaped().filter(|_| *octet == b'%') {
            Some(decoded) => {
                octets.push(decoded);
                at += 3;
            }
            None => {
                octets.push(*octet);
                at += 1;
            }
        }
    }
    octets
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|octet| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=*'%".contains(&octet))
}

/// Most octets of a value on one line, so that name and folding fit in 76.
const PIECE_OCTETS: usize = 50;

/// Writes `; name=value` on lines of their own: a token or quoted text when it is short ASCII, else in
/// pieces in UTF-8 (RFC 2231 §4.1).
pub fn write(name: &str, value: &str, into: &mut String) {
    // Writing to a string cannot fail.
    if is_token(value) && value.len() <= PIECE_OCTETS {
        let _ = write!(into, ";\r\n {name}={value}");
        return;
    }
    let printable = value.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    if printable && value.len() <= PIECE_OCTETS && !value.contains("=?") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(into, ";\r\n {name}=\"{escaped}\"");
        return;
    }
    let mut lines = vec![String::from("utf-8''")];
    for octet in value.bytes() {
        let plain = octet.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&octet);
        let piece = if plain { char::from(octet).to_string() } else { format!("%{octet:02X}") };
        match lines.last_mut().filter(|line| line.len() + piece.len() <= PIECE_OCTETS) {
            Some(line) => line.push_str(&piece),
            None => lines.push(piece),
        }
    }
    if let [line] = &lines[..] {
        let _ = write!(into, ";\r\n {name}*={line}");
        return;
    }
    for (number, line) in lines.iter().enumerate() {
        let _ = write!(into, ";\r\n {name}*{number}*={line}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let read = parse(text.as_bytes());
        let parameters: Vec<_> =
            read.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(format!("{} {}", read.value, parameters.join("|")), expected, "{text:?}");
    }

    #[test]
    fn parameters_are_read_whatever_their_form() {
        check(" text/plain; charset=us-ascii", "text/plain charset=us-ascii");
        check(
            " Text/PLAIN ;\r\n\tCharSet = \"UTF-8\" ; format=flowed",
            "text/plain charset=UTF-8|format=flowed",
        );
        check("text/plain; charset=us-ascii (Plain text)", "text/plain charset=us-ascii");
        check("text/plain (a comment; x=y); a=b", "text/plain a=b");
        check("multipart/mixed; boundary=\"a;b\\\"c\"", "multipart/mixed boundary=a;b\"c");
        check("text/plain; name=\"no end", "text/plain name=no end");
        check("text/plain; name=my file.txt; x=1", "text/plain name=my file.txt|x=1");
        check("text/plain;;; a=1;", "text/plain a=1");
        check("text/plain; a=1; a=2", "text/plain a=1");
        check("text/plain; =1; b", "text/plain ");
        check("text", "text ");
        check("", " ");
        check("; a=1", " a=1");
        check("text/plain charset=utf-8", "text/plain charset=utf-8 ");
    }

    #[test]
    fn extended_values_are_put_together() {
        // RFC 2231 §3, §4, §4.1.
        check(
            "message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/\"",
            "message/external-body access-type=URL|url=ftp://cs.utk.edu/",
        );
        check(
            "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            "application/x-stuff title=This is ***fun***",
        );
        check(
            "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
            "application/x-stuff title=This is even more ***fun*** isn't it!",
        );
        check("a/b; n*1*=%A9; n*0*=utf-8''caf%C3", "a/b n=café");
        check("a/b; filename=plain; filename*=UTF-8''caf%C3%A9", "a/b filename=café");
        check("a/b; filename=\"=?utf-8?q?caf=C3=A9?=\"", "a/b filename=café");
        check("a/b; n*=caf%C3%A9", "a/b n=café");
        check("a/b; n*=x'y'%4", "a/b n=%4");
        check("a/b; n=caf\u{e9}", "a/b n=café");
        check("a/b; n*=utf-8''a%0D%0AX%3A%20b", "a/b n=aX: b");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in "[ -~]{0,70}|\\PC{0,70}") {
            let mut text = String::from("a/b");
            write("name", &value, &mut text);
            prop_assert!(text.is_ascii());
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 76));
            let read = parse(text.as_bytes());
            prop_assert_eq!(read.parameter("name"), Some(value.as_str()));
        }

        #[test]
        fn any_octets_are_read(octets in "[;=*\"\\\\ a0%'()]{0,60}") {
            let _ = parse(octets.as_bytes());
        }
    }
}
