//! Content-Disposition of a part (RFC 7578 §4.2, RFC 6266 §4), and parameters in general.
//!
//! In quotes browsers write `%22`, `%0D` and `%0A` for the octets that would end the text, and other clients a
//! backslash before a quote: both are read, and a backslash before anything else is a backslash, as in the
//! file names of some systems.

use super::rule;
use crate::wire::rule::Refusal;
use crate::wire::scan;

/// What a part's Content-Disposition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disposition {
    pub(super) name: String,
    /// The name of the file as the client gave it; `None` for a field.
    pub(super) file: Option<String>,
}

impl Disposition {
    /// Reads the field's value; `at` is where it stands.
    pub(super) fn parse(value: &[u8], at: usize) -> Result<Self, Refusal> {
        let wrong = || Refusal::new(&rule::DISPOSITION, at);
        let end = value.iter().position(|&octet| octet == b';').unwrap_or(value.len());
        if !value[..end].trim_ascii().eq_ignore_ascii_case(b"form-data") {
            return Err(wrong());
        }
        let (mut name, mut file, mut extended) = (None, None, None);
        for (parameter, value) in parameters(value.get(end + 1..).unwrap_or_default()) {
            let known = match parameter.to_ascii_lowercase().as_slice() {
                b"name" => &mut name,
                b"filename" => &mut file,
                b"filename*" => &mut extended,
                _ => continue,
            };
            if known.replace(value).is_some() {
                return Err(wrong());
            }
        }
        let utf8 = |octets: Vec<u8>| String::from_utf8(octets).map_err(|_| Refusal::new(&rule::UTF8, at));
        let name = utf8(unescape(&name.ok_or_else(wrong)?))?;
        // RFC 6266 §4.3: the extended form goes before the plain one, where it can be read.
        let file = match extended.as_deref().and_then(ext_value) {
            Some(file) => Some(file),
            None => file.map(|file| utf8(unescape(&file))).transpose()?,
        };
        Ok(Self { name, file })
    }
}

/// Parameters behind a `;`: `name=token` or `name="text"`, the quotes taken off. Reading ends at the first
/// that is neither.
pub(super) fn parameters(mut text: &[u8]) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
    std::iter::from_fn(move || {
        text = text.trim_ascii_start();
        while let [b';', rest @ ..] = text {
            text = rest.trim_ascii_start();
        }
        let equals = scan::token_end(text, 0);
        let name = &text[..equals];
        let rest = text[equals..].strip_prefix(b"=").filter(|_| equals > 0)?;
        let (value, rest) = match rest {
            [b'"', quoted @ ..] => quoted_text(quoted)?,
            _ => {
                let end = rest.iter().position(|octet| b"; \t".contains(octet)).unwrap_or(rest.len());
                (rest[..end].to_vec(), &rest[end..])
            }
        };
        let rest = rest.trim_ascii_start();
        let fits = rest.is_empty() || rest[0] == b';';
        text = if fits { rest } else { b"" };
        fits.then_some((name, value))
    })
}

/// The text up to the closing quote, and what follows that.
fn quoted_text(octets: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut text, mut at) = (Vec::new(), 0);
    loop {
        match octets.get(at..)? {
            [b'"', rest @ ..] => return Some((text, rest)),
            [b'\\', escaped @ (b'"' | b'\\'), ..] => {
                text.push(*escaped);
                at += 2;
            }
            [octet, ..] => {
                text.push(*octet);
                at += 1;
            }
            [] => return None,
        }
    }
}

/// Undoes the three triplets that browsers write in quotes; any other is text.
fn unescape(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&octet) = text.get(at) {
        let escaped = match text.get(at..at + 3).map(<[u8]>::to_ascii_uppercase).as_deref() {
            Some(b"%22") => Some(b'"'),
            Some(b"%0D") => Some(b'\r'),
            Some(b"%0A") => Some(b'\n'),
            _ => None,
        };
        out.push(escaped.unwrap_or(octet));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    out
}

/// `UTF-8'language'text` in percent coding (RFC 8187 §3.2.1); `None` when it is not that.
fn ext_value(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |&octet| octet == b'\'');
    let (charset, _, coded) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case(b"UTF-8") {
        return None;
    }
    let (mut text, mut at) = (Vec::with_capacity(coded.len()), 0);
    while let Some(&octet) = coded.get(at) {
        if octet == b'%' {
            let digit = |place: usize| coded.get(place).and_then(|&digit| char::from(digit).to_digit(16));
            text.push((digit(at + 1)? << 4 | digit(at + 2)?) as u8);
            at += 3;
        } else {
            text.push(octet);
            at += 1;
        }
    }
    String::from_utf8(text).ok()
}

/// The last part of a file's name as a client gave it, without folders, control characters or leading dots, so
/// that it may stand as a name in a folder of one's own; `None` when nothing is left.
#[must_use]
pub fn file_name(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|letter| !letter.is_control()).collect();
    let clean = clean.trim().trim_start_matches('.').trim_start();
    // 255 octets is what file systems take.
    let mut end = clean.len().min(255);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    (end > 0).then(|| clean[..end].to_owned())
}
