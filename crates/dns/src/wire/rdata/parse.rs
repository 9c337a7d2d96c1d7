//! RDATA parsed from the words of a zone file: RFC 1035 §5.1, RFC 3597 §5.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;
use std::str::FromStr;

use doorway_base::Reader;

use super::encoding::{Base, Digits, moment};
use super::{RDATA_OCTETS_MAX, SECONDS_MAX, bitmap, gateway, location, prefixes, service};
use crate::wire::name::Name;
use crate::wire::rtype::{Field, Type};
use crate::wire::text::{TextFault, next_octet};

/// One word of presentation form.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// What was written, escapes and all, without the quotes.
    pub text: &'a [u8],
    /// Whether it stood between quotes.
    pub quoted: bool,
}

/// What was expected instead of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unexpected {
    /// Index of the word at fault; the number of words when one is missing.
    pub word: usize,
    /// What the type wants there, as a noun.
    pub expected: Cow<'static, str>,
}

/// The words of one RDATA, taken one after the other.
#[derive(Debug)]
pub(super) struct Words<'w, 'a> {
    words: &'w [Word<'a>],
    next: usize,
}

impl<'a> Words<'_, 'a> {
    pub(super) const fn is_empty(&self) -> bool {
        self.next == self.words.len()
    }

    fn next(&mut self, expected: &'static str) -> Result<Word<'a>, Unexpected> {
        let word = self.words.get(self.next);
        let word = word.ok_or(Unexpected { word: self.next, expected: expected.into() })?;
        self.next += 1;
        Ok(*word)
    }

    /// The next word, which must stand without quotes.
    pub(super) fn plain(&mut self, expected: &'static str) -> Result<&'a str, Unexpected> {
        let word = self.next(expected)?;
        let text = std::str::from_utf8(word.text).ok().filter(|_| !word.quoted);
        text.ok_or_else(|| self.unexpected(expected))
    }

    /// The next word as a decimal number.
    pub(super) fn number<N: FromStr>(&mut self, expected: &'static str) -> Result<N, Unexpected> {
        digits(self.plain(expected)?).ok_or_else(|| self.unexpected(expected))
    }

    /// The next word as what `N` reads.
    pub(super) fn parsed<N: FromStr>(&mut self, expected: &'static str) -> Result<N, Unexpected> {
        self.plain(expected)?.parse().map_err(|_| self.unexpected(expected))
    }

    /// The next word as a name.
    pub(super) fn name(&mut self, origin: &Name) -> Result<Name, Unexpected> {
        let word = self.next("a name")?;
        if word.quoted {
            return Err(self.unexpected("a name"));
        }
        name_from_text(word.text, origin).map_err(|fault| self.unexpected(fault.to_string()))
    }

    /// The next word, and the quoted one behind it that belongs to it because it ends in `=`.
    pub(super) fn parameter(
        &mut self,
        expected: &'static str,
    ) -> Result<(&'a [u8], Option<&'a [u8]>), Unexpected> {
        let word = self.next(expected)?;
        if word.quoted {
            return Err(self.unexpected(expected));
        }
        let value = self.words.get(self.next).filter(|value| value.quoted && word.text.ends_with(b"="));
        self.next += usize::from(value.is_some());
        Ok((word.text, value.map(|value| value.text)))
    }

    /// What was expected instead of the word taken last.
    pub(super) fn unexpected(&self, expected: impl Into<Cow<'static, str>>) -> Unexpected {
        Unexpected { word: self.next.saturating_sub(1), expected: expected.into() }
    }
}

/// Parses the presentation form of an RDATA and appends its wire form to `out`.
///
/// Any type may be written as `\# length hex` (RFC 3597 §5).
///
/// # Errors
/// The first word that does not fit, or the place where one is missing. `out` may then hold a part.
pub fn parse(kind: Type, words: &[Word<'_>], origin: &Name, out: &mut Vec<u8>) -> Result<(), Unexpected> {
    let start = out.len();
    if words.first().is_some_and(|word| word.text == b"\\#" && !word.quoted) {
        return parse_opaque(kind, words, out);
    }
    let mut words = Words { words, next: 0 };
    for &field in kind.fields() {
        if field == Field::Opaque {
            return Err(Unexpected { word: 0, expected: format!("`\\# length hex` for {kind}").into() });
        }
        parse_field(field, &mut words, origin, out)?;
    }
    if !words.is_empty() {
        return Err(Unexpected { word: words.next, expected: "the end of the record".into() });
    }
    if out.len() - start > RDATA_OCTETS_MAX {
        return Err(Unexpected { word: 0, expected: "at most 65535 octets of data".into() });
    }
    Ok(())
}

fn parse_field(
    field: Field,
    words: &mut Words<'_, '_>,
    origin: &Name,
    out: &mut Vec<u8>,
) -> Result<(), Unexpected> {
    match field {
        Field::CompressibleName | Field::PlainName | Field::ExactName => {
            out.extend_from_slice(words.name(origin)?.as_octets());
        }
        Field::U8 => out.push(words.number("a number from 0 to 255")?),
        Field::U16 => out.extend(words.number::<u16>("a number from 0 to 65535")?.to_be_bytes()),
        Field::U32 => out.extend(words.number::<u32>("a number from 0 to 4294967295")?.to_be_bytes()),
        Field::Seconds => {
            const SECONDS: &str = "a time such as 3600 or 1h30m";
            let value = span(words.plain(SECONDS)?.as_bytes());
            out.extend(value.ok_or_else(|| words.unexpected(SECONDS))?.to_be_bytes());
        }
        Field::Moment => {
            const MOMENT: &str = "a moment such as 20261122120000";
            let value = moment(words.plain(MOMENT)?);
            out.extend(value.ok_or_else(|| words.unexpected(MOMENT))?.to_be_bytes());
        }
        Field::Type => {
            const TYPE: &str = "a type, such as A or MX";
            let kind = Type::from_text(words.plain(TYPE)?.as_bytes());
            out.extend(kind.ok_or_else(|| words.unexpected(TYPE))?.0.to_be_bytes());
        }
        Field::Algorithm => {
            const ALGORITHM: &str = "an algorithm from 0 to 255";
            let value =
                mnemonic(&ALGORITHMS, words.plain(ALGORITHM)?).and_then(|value| u8::try_from(value).ok());
            out.push(value.ok_or_else(|| words.unexpected(ALGORITHM))?);
        }
        Field::CertificateType => {
            const KIND: &str = "a certificate type from 0 to 65535";
            let value = mnemonic(&CERTIFICATE_TYPES, words.plain(KIND)?);
            out.extend(value.ok_or_else(|| words.unexpected(KIND))?.to_be_bytes());
        }
        Field::Address4 => out.extend(words.parsed::<Ipv4Addr>("an IPv4 address")?.octets()),
        Field::Address6 => out.extend(words.parsed::<Ipv6Addr>("an IPv6 address")?.octets()),
        Field::Eui48 => parse_eui(6, "six pairs of hexadecimal digits with dashes between them", words, out)?,
        Field::Eui64 => {
            parse_eui(8, "eight pairs of hexadecimal digits with dashes between them", words, out)?
        }
        Field::Word => {
            const WORD: &str = "a word of letters and digits";
            let word = words.next(WORD)?;
            if word.text.is_empty() || !word.text.iter().all(u8::is_ascii_alphanumeric) {
                return Err(words.unexpected(WORD));
            }
            parse_string(word.text, words, out)?;
        }
        Field::String => {
            let word = words.next("a text")?;
            parse_string(word.text, words, out)?;
        }
        Field::Strings => loop {
            let word = words.next("a text")?;
            parse_string(word.text, words, out)?;
            if words.is_empty() {
                break;
            }
        },
        Field::Text => {
            let word = words.next("a text")?;
            parse_text(word.text, words, out)?;
        }
        Field::Hex => parse_digits(Base::Hex, "an even number of hexadecimal digits", words, out)?,
        Field::OptionalBase64 if words.is_empty() => {}
        Field::Base64 | Field::OptionalBase64 => parse_digits(Base::Base64, "octets in base 64", words, out)?,
        Field::Salt => {
            const SALT: &str = "a salt in hexadecimal, or `-`";
            let text = words.plain(SALT)?;
            let text = if text == "-" { "" } else { text };
            parse_counted(Base::Hex, SALT, text, words, out)?;
        }
        Field::Hash => {
            const HASH: &str = "a hash in base 32";
            let text = words.plain(HASH)?;
            if text.is_empty() {
                return Err(words.unexpected(HASH));
            }
            parse_counted(Base::Base32Hex, HASH, text, words, out)?;
        }
        Field::TypeBitmap => {
            const TYPE: &str = "a type, such as A or MX";
            let mut types = Vec::new();
            while !words.is_empty() {
                let kind = Type::from_text(words.plain(TYPE)?.as_bytes());
                types.push(kind.ok_or_else(|| words.unexpected(TYPE))?);
            }
            bitmap::write(&mut types, out);
        }
        Field::Location => location::parse(words, out)?,
        Field::Prefixes => prefixes::parse(words, out)?,
        Field::Gateway => gateway::parse(words, origin, out)?,
        Field::ServiceParameters => service::parse(words, out)?,
        Field::Opaque => return Err(words.unexpected("`\\#`")),
    }
    Ok(())
}

fn parse_string(text: &[u8], words: &Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), Unexpected> {
    let length_at = out.len();
    out.push(0);
    parse_text(text, words, out)?;
    let length = u8::try_from(out.len() - length_at - 1);
    out[length_at] = length.map_err(|_| words.unexpected(TextFault::LongString.to_string()))?;
    Ok(())
}

fn parse_text(text: &[u8], words: &Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), Unexpected> {
    let mut rest = text;
    while let Some((octet, _)) = next_octet(&mut rest).map_err(|fault| words.unexpected(fault.to_string()))? {
        out.push(octet);
    }
    Ok(())
}

// One or more words of digits, to the end.
fn parse_digits(
    base: Base,
    expected: &'static str,
    words: &mut Words<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<(), Unexpected> {
    let start = out.len();
    let mut digits = Digits::new(base);
    loop {
        let text = words.plain(expected)?;
        if !digits.take(text.as_bytes(), out) {
            return Err(words.unexpected(expected));
        }
        if words.is_empty() {
            break;
        }
    }
    if digits.are_whole() && out.len() > start { Ok(()) } else { Err(words.unexpected(expected)) }
}

fn parse_counted(
    base: Base,
    expected: &'static str,
    text: &str,
    words: &Words<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<(), Unexpected> {
    let length_at = out.len();
    out.push(0);
    let mut digits = Digits::new(base);
    let whole = digits.take(text.as_bytes(), out) && digits.are_whole();
    let length = u8::try_from(out.len() - length_at - 1).ok().filter(|_| whole);
    out[length_at] = length.ok_or_else(|| words.unexpected(expected))?;
    Ok(())
}

fn parse_eui(
    octets: usize,
    expected: &'static str,
    words: &mut Words<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<(), Unexpected> {
    let text = words.plain(expected)?;
    let start = out.len();
    for pair in text.split('-') {
        let octet = u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2 && !pair.starts_with('+'));
        out.push(octet.ok_or_else(|| words.unexpected(expected))?);
    }
    if out.len() - start == octets { Ok(()) } else { Err(words.unexpected(expected)) }
}

fn parse_opaque(kind: Type, words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Unexpected> {
    let length: usize = words
        .get(1)
        .and_then(|word| std::str::from_utf8(word.text).ok())
        .and_then(digits::<u16>)
        .map(usize::from)
        .ok_or(Unexpected { word: 1, expected: "the number of octets that follow".into() })?;
    let start = out.len();
    let mut octets = Digits::new(Base::Hex);
    for (index, word) in words.iter().enumerate().skip(2) {
        if !octets.take(word.text, out) {
            return Err(Unexpected { word: index, expected: "hexadecimal digits".into() });
        }
    }
    let given = out.len() - start;
    if !octets.are_whole() || given != length {
        return Err(Unexpected { word: 1, expected: format!("as many octets as follow, {given}").into() });
    }
    // A known type written this way must still be right, and has nothing that a pointer could mean.
    let mut whole = Vec::with_capacity(length);
    let mut reader = Reader::new(&out[start..]);
    let read = super::read(kind, &mut reader, length, &mut whole);
    if read.is_err() || whole != out[start..] {
        return Err(Unexpected { word: 2, expected: format!("octets that make a {kind} record").into() });
    }
    Ok(())
}

/// A name as a zone file writes it: `@` is the origin, a name without a final dot is relative to it.
///
/// # Errors
/// [`TextFault`], which says what was expected.
pub fn name_from_text(text: &[u8], origin: &Name) -> Result<Name, TextFault> {
    if text == b"@" { Ok(origin.clone()) } else { Name::from_text(text, Some(origin)) }
}

fn digits<N: FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().ok() } else { None }
}

// RFC 8624 §3.1 and the registry it speaks of.
const ALGORITHMS: [(&str, u16); 16] = [
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

// RFC 4398 §2.1.
const CERTIFICATE_TYPES: [(&str, u16); 10] = [
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

fn mnemonic(table: &[(&str, u16)], word: &str) -> Option<u16> {
    let known = table.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    known.map(|&(_, value)| value).or_else(|| digits(word))
}

/// Seconds as a zone file writes them: `3600`, `1h`, `1w2d3h4m5s`. At most [`SECONDS_MAX`].
#[must_use]
pub fn seconds(text: &[u8]) -> Option<u32> {
    span(text).filter(|&value| value <= SECONDS_MAX)
}

// The same for the times in a SOA record, which have all 32 bits.
fn span(text: &[u8]) -> Option<u32> {
    let (mut total, mut part, mut open) = (0_u64, 0_u64, false);
    if !text.first()?.is_ascii_digit() {
        return None;
    }
    for &octet in text {
        if octet.is_ascii_digit() {
            part = part.checked_mul(10)?.checked_add(u64::from(octet - b'0'))?;
            open = true;
            continue;
        }
        let unit: u64 = match octet.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        if !std::mem::take(&mut open) {
            return None;
        }
        total = total.checked_add(std::mem::take(&mut part).checked_mul(unit)?)?;
    }
    u32::try_from(total.checked_add(part)?).ok()
}
