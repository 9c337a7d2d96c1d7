//! Makes a message fit for a server that takes ASCII alone: the parts that hold more are written in
//! quoted-printable or base64, header fields in encoded words (RFC 6152 §3, RFC 2045 §6, RFC 2047).
//!
//! What was signed or encrypted must stay as it is, octet for octet (RFC 1847 §2.1): such a message is
//! refused rather than broken.

use std::fmt;

use super::address_list::{self, Entry, Mailbox};
use super::header::{self, fields, without_end};
use super::parameter;
use super::scanner::structure;
use super::structure::{Encoding, Kind, Part, Structure};
use super::{base64, quoted_printable, word};
use crate::mime::charset;

/// Why a message cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A part that holds octets above 127 is covered by a signature or encrypted.
    Sealed,
    /// The message has more parts than are looked into.
    TooComplex,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sealed => "a part that is signed or encrypted holds octets above 127",
            Self::TooComplex => "the message has too many parts",
        })
    }
}

impl std::error::Error for Unfit {}

/// The message in ASCII. One that is ASCII already comes back as it is.
///
/// # Errors
/// [`Unfit`]; then the message can only go to a server that takes all octets.
pub fn convert(message: &[u8]) -> Result<Vec<u8>, Unfit> {
    if message.is_ascii() {
        return Ok(message.to_vec());
    }
    let structure = structure(message);
    if structure.cut {
        return Err(Unfit::TooComplex);
    }
    let mut down = Down { message, structure: &structure, into: Vec::with_capacity(message.len() * 5 / 4) };
    down.part(0)?;
    Ok(down.into)
}

struct Down<'a> {
    message: &'a [u8],
    structure: &'a Structure,
    into: Vec<u8>,
}

impl Down<'_> {
    fn octets(&self, start: u64, end: u64) -> &[u8] {
        self.message.get(start as usize..end as usize).unwrap_or_default()
    }

    fn part(&mut self, index: u32) -> Result<(), Unfit> {
        let Some(part) = self.structure.parts.get(index as usize) else { return Ok(()) };
        let (header, body) = (part.header.of(self.message), part.body.of(self.message));
        if header.is_ascii() && body.is_ascii() {
            self.into.extend_from_slice(header);
            self.into.extend_from_slice(body);
            return Ok(());
        }
        if part.main_type() == "multipart" && matches!(part.subtype(), "signed" | "encrypted") {
            return Err(Unfit::Sealed);
        }
        match part.kind {
            Kind::Leaf => self.leaf(index, part, body),
            Kind::Multipart | Kind::Message => {
                // What is in it becomes ASCII, so that is what it claims from now on (RFC 2045 §6.4).
                self.header(part, index == 0, Some("7bit"));
                self.inside(index, part)?;
            }
        }
        Ok(())
    }

    /// The children of a part, with what lies between them.
    fn inside(&mut self, index: u32, part: &Part) -> Result<(), Unfit> {
        let mut at = part.body.start;
        for child in self.structure.children(index) {
            let Some(inner) = self.structure.parts.get(child as usize) else { continue };
            self.between(at, inner.header.start);
            let before = self.into.len();
            self.part(child)?;
            // A part that ended without a line end does so again, whatever its encoding added.
            let ends = |octets: &[u8]| octets.ends_with(b"\n");
            if !ends(inner.body.of(self.message)) && self.into.len() > before && ends(&self.into) {
                let end = without_end(&self.into).len();
                self.into.truncate(end.max(before));
            }
            at = inner.body.end;
        }
        self.between(at, part.body.end);
        Ok(())
    }

    /// Preamble, boundaries, epilogue. What is not ASCII there is nobody's content.
    fn between(&mut self, start: u64, end: u64) {
        let octets: Vec<u8> = self
            .octets(start, end)
            .iter()
            .map(|octet| if octet.is_ascii() { *octet } else { b'?' })
            .collect();
        self.into.extend_from_slice(&octets);
    }

    fn leaf(&mut self, index: u32, part: &Part, body: &[u8]) {
        // What claims an encoding and holds octets above 127 is broken: they mean nothing.
        let broken = !part.encoding.is_identity() && part.encoding != Encoding::Unknown;
        if body.is_ascii() {
            self.header(part, index == 0, None);
            self.into.extend_from_slice(body);
        } else if broken {
            self.header(part, index == 0, None);
            let (start, end) = (part.body.start, part.body.end);
            self.between(start, end);
        } else if part.encoding == Encoding::Binary || !mostly_text(body) {
            self.header(part, index == 0, Some("base64"));
            base64::encode_lines(body, &mut self.into);
        } else {
            self.header(part, index == 0, Some("quoted-printable"));
            quoted_printable::encode(body, &mut self.into);
        }
    }

    /// A header in ASCII, with another Content-Transfer-Encoding where one is given.
    fn header(&mut self, part: &Part, is_message: bool, encoding: Option<&str>) {
        let header = part.header.of(self.message).to_vec();
        let mut fields = fields(&header);
        let start = fields.position();
        self.into.extend(header[..start].iter().map(|octet| if octet.is_ascii() { *octet } else { b'?' }));
        let (mut has_version, mut is_mime) = (false, false);
        for field in fields.by_ref() {
            has_version |= field.is("MIME-Version");
            is_mime |= field.is("Content-Type");
            if encoding.is_some() && field.is("Content-Transfer-Encoding") {
                continue;
            }
            if field.whole.is_ascii() {
                self.into.extend_from_slice(field.whole);
            } else {
                self.field(&field);
            }
        }
        if let Some(encoding) = encoding {
            if is_message && !has_version {
                self.into.extend_from_slice(b"MIME-Version: 1.0\r\n");
            }
            if part.kind == Kind::Leaf && !is_mime {
                // Without the field it would be US-ASCII, which it is not.
                let charset = if core::str::from_utf8(part.body.of(self.message)).is_ok() {
                    "utf-8"
                } else {
                    "unknown-8bit"
                };
                self.into
                    .extend_from_slice(format!("Content-Type: text/plain; charset={charset}\r\n").as_bytes());
            }
            if encoding != "7bit" || part.encoding != Encoding::SevenBit {
                self.into.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
            }
        }
        self.into.extend_from_slice(b"\r\n");
    }

    /// A field whose value is not ASCII, in the way its kind allows.
    fn field(&mut self, field: &header::Field<'_>) {
        const ADDRESSES: [&str; 11] = [
            "From",
            "Sender",
            "Reply-To",
            "To",
            "Cc",
            "Bcc",
            "Resent-From",
            "Resent-To",
            "Resent-Cc",
            "Return-Path",
            "Disposition-Notification-To",
        ];
        let name = field.name;
        let value = if ADDRESSES.iter().any(|known| field.is(known)) {
            addresses(field.value)
        } else if field.is("Content-Type") || field.is("Content-Disposition") {
            let parsed = parameter::parse(field.value);
            let mut text = only_ascii(&parsed.value);
            for (name, value) in &parsed.parameters {
                parameter::write(&only_ascii(name), value, &mut text);
            }
            text
        } else {
            word::encode(&charset::guess(header::unfold(field.value).trim_ascii()))
        };
        self.into.extend_from_slice(fold(name, &value).as_bytes());
    }
}

/// Addresses with their names in encoded words. An address that is not ASCII cannot be kept: it becomes a
/// name alone, in an empty group (RFC 6857 §3.1.8).
fn addresses(value: &[u8]) -> String {
    let shown = |mailbox: &Mailbox| {
        let address = mailbox.address();
        match (&mailbox.name, address.is_ascii()) {
            (None, true) => address,
            (Some(name), true) => format!("{} <{address}>", phrase(name)),
            (name, false) => {
                let name = name.as_deref().unwrap_or_default();
                format!("{} :;", word::encode(format!("{name} {address}").trim()))
            }
        }
    };
    let entries = address_list::parse(value);
    let texts: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Mailbox(mailbox) => shown(mailbox),
            Entry::Group { name, members } => {
                let members: Vec<_> = members.iter().filter(|m| m.address().is_ascii()).map(shown).collect();
                format!("{}: {};", phrase(name), members.join(", "))
            }
        })
        .collect();
    texts.join(", ")
}

/// A display name as it can stand before an address.
pub(crate) fn phrase(name: &str) -> String {
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    // Words are parted by one blank each; more of them, or some at the ends, count only in quotes.
    let is_word = |word: &str| !word.is_empty() && word.chars().all(atom);
    if !name.is_ascii() || name.contains("=?") || name.chars().any(|c| c.is_control()) {
        word::encode(name)
    } else if name.split(' ').all(is_word) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A field in lines of at most 76 octets where its blanks allow it, ended.
pub(crate) fn fold(name: &str, value: &str) -> String {
    let mut text = format!("{name}:");
    let mut line = text.len();
    for (at, word) in value.split(' ').enumerate() {
        // A value may hold line ends already, as parameters do.
        let first = word.split("\r\n").next().unwrap_or_default();
        if at > 0 && line + 1 + first.len() > 76 && !first.is_empty() {
            text.push_str("\r\n");
            line = 0;
        }
        text.push(' ');
        text.push_str(word);
        line = match word.rsplit_once("\r\n") {
            Some((_, last)) => last.len(),
            None => line + 1 + word.len(),
        };
    }
    text.push_str("\r\n");
    text
}

fn only_ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// Whether octets above 127 are few, so that the text stays readable in quoted-printable.
pub(crate) fn mostly_text(octets: &[u8]) -> bool {
    let odd = octets.iter().filter(|octet| !octet.is_ascii() || **octet == 0).count();
    odd * 3 < octets.len() && !octets.contains(&0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(message: &str, expected: &str) {
        let converted = convert(message.as_bytes()).map(|octets| String::from_utf8(octets).unwrap());
        let converted = converted.unwrap_or_else(|unfit| unfit.to_string());
        assert_eq!(converted, expected, "{message}");
    }

    #[test]
    fn parts_that_are_not_ascii_are_encoded_and_others_stay() {
        check("Subject: x\r\n\r\nplain\r\n", "Subject: x\r\n\r\nplain\r\n");
        check(
            "Subject: x\r\n\r\ncafé au lait\r\n",
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 au lait\r\n",
        );
        check(
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n你好\r\n",
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n5L2g5aW9DQo=\r\n",
        );
        check(
            "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n\
             Content-Type: text/html; charset=utf-8\r\n\r\n<p>café</p>\r\n--b--\r\n",
            "Content-Type: multipart/mixed; boundary=b\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             --b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>caf=C3=A9</p>=\r\n--b--\r\n",
        );
    }

    #[test]
    fn header_fields_keep_their_meaning() {
        check("Subject: café\r\n\r\nx", "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nx");
        check(
            "From: André <a@b.test>, \"Doe, J\" <j@b.test>\r\n\r\n",
            "From: =?utf-8?q?Andr=C3=A9?= <a@b.test>, \"Doe, J\" <j@b.test>\r\n\r\n",
        );
        check("To: 用户@例子.test\r\n\r\n", "To: =?utf-8?b?55So5oi3QOS+i+WtkC50ZXN0?= :;\r\n\r\n");
        check(
            "Content-Disposition: attachment; filename=\"é.txt\"\r\n\r\n",
            "Content-Disposition: attachment;\r\n filename*=utf-8''%C3%A9.txt\r\n\r\n",
        );
    }

    #[test]
    fn what_is_sealed_is_refused() {
        let signed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n";
        check(&format!("{signed}café\r\n--b--\r\n"), &Unfit::Sealed.to_string());
        check(&format!("{signed}coffee\r\n--b--\r\n"), &format!("{signed}coffee\r\n--b--\r\n"));
        let outside = "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n";
        let around = format!(
            "{outside}{signed}coffee\r\n--b--\r\n--o\r\nContent-Type: text/plain; charset=utf-8\r\n\r\né\r\n--o--\r\n"
        );
        let converted = String::from_utf8(convert(around.as_bytes()).unwrap()).unwrap();
        assert!(converted.contains(&format!("{signed}coffee\r\n--b--")), "{converted}");
    }

    proptest! {
        #[test]
        fn what_can_be_converted_is_ascii_and_says_the_same(text in "[a-zé ]{0,20}", subject in "\\PC{0,40}", parts in proptest::collection::vec("\\PC{0,80}(\r\n\\PC{0,30}){0,3}", 1..4)) {
            let mut message = format!("Subject: {subject}\r\nX: {text}\r\nContent-Type: multipart/mixed; boundary=\"=b=\"\r\n\r\n{text}\r\n");
            for part in &parts {
                message.push_str(&format!("--=b=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{part}\r\n"));
            }
            message.push_str("--=b=--\r\n");
            let converted = convert(message.as_bytes()).unwrap();
            prop_assert!(converted.is_ascii());
            let found = structure(&converted);
            let texts: Vec<_> = found.parts[1..].iter().map(|part| super::super::content(part, &converted)).collect();
            let expected: Vec<_> = parts.iter().map(|part| part.as_bytes().to_vec()).collect();
            prop_assert_eq!(texts, expected);
            let before = header::value(message.as_bytes(), "Subject").map(header::text);
            let after = header::value(&converted, "Subject").map(header::text);
            prop_assert_eq!(before, after);
        }

        #[test]
        fn any_octets_are_converted_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(converted) = convert(&octets) {
                prop_assert!(converted.is_ascii());
            }
        }
    }
}
