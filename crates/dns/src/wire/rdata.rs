//! RDATA by the table of [`rtype`](super::rtype): read, written with compression, parsed and printed.
//!
//! In memory an RDATA is its wire form with every name whole; that is what [`read`] and [`parse`]
//! produce and what everything else takes.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;
use std::fmt;

use doorway_base::{Malformed, Reader, Writer};

use super::compress::Compressor;
use super::name::Name;
use super::rtype::{Field, Type};
use super::text::{TextFault, next_octet, write_quoted};

/// Octets of an RDATA at most.
pub const RDATA_OCTETS_MAX: usize = u16::MAX as usize;
/// The longest time a record may have, in seconds: RFC 2181 §8.
pub const SECONDS_MAX: u32 = i32::MAX as u32;

/// Reads `length` octets of RDATA out of a message and appends them to `out`, names made whole.
///
/// # Errors
/// RDATA that ends inside a field or goes on after the last one.
pub fn read(kind: Type, reader: &mut Reader<'_>, length: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    const WHAT: &str = "the octets of an RDATA";
    let end = reader.position() + length;
    let mut inside = Reader::new(reader.whole().get(..end).ok_or(reader.malformed(WHAT))?);
    inside.take(reader.position(), WHAT)?;
    for field in kind.fields() {
        match field {
            Field::CompressibleName | Field::PlainName => {
                out.extend_from_slice(Name::read(&mut inside)?.as_octets());
            }
            Field::U8 => out.push(inside.u8("an 8-bit number")?),
            Field::U16 => out.extend(inside.array::<2>("a 16-bit number")?),
            Field::U32 | Field::Seconds => out.extend(inside.array::<4>("a 32-bit number")?),
            Field::Address4 => out.extend(inside.array::<4>("an IPv4 address")?),
            Field::Address6 => out.extend(inside.array::<16>("an IPv6 address")?),
            Field::String | Field::Word => read_string(&mut inside, out)?,
            Field::Strings => loop {
                read_string(&mut inside, out)?;
                if inside.is_empty() {
                    break;
                }
            },
            Field::Text | Field::Hex | Field::Opaque => {
                out.extend_from_slice(inside.take(inside.remaining(), WHAT)?);
            }
        }
    }
    inside.finish("the end of the RDATA")?;
    reader.take(length, WHAT).map(drop)
}

fn read_string(inside: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let length = inside.u8("a character-string")?;
    out.push(length);
    out.extend_from_slice(inside.take(usize::from(length), "the octets of a character-string")?);
    Ok(())
}

/// Calls `each` with every field of an RDATA and its octets, in order.
///
/// Stops early at octets that the type does not allow; [`read`] and [`parse`] make none.
pub fn for_each_field<'r>(kind: Type, rdata: &'r [u8], mut each: impl FnMut(Field, &'r [u8])) {
    let mut rest = rdata;
    for &field in kind.fields() {
        let length = match field {
            Field::CompressibleName | Field::PlainName => whole_name(rest),
            Field::U8 => 1,
            Field::U16 => 2,
            Field::String | Field::Word => rest.first().map_or(1, |&length| 1 + usize::from(length)),
            Field::U32 | Field::Seconds | Field::Address4 => 4,
            Field::Address6 => 16,
            Field::Strings | Field::Text | Field::Hex | Field::Opaque => rest.len(),
        };
        let Some((octets, after)) = rest.split_at_checked(length) else { return };
        each(field, octets);
        rest = after;
    }
}

// Octets of the uncompressed name at the front of `octets`, or more than there are.
fn whole_name(octets: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match octets.get(at) {
            Some(0) => return at + 1,
            Some(&length) => at += usize::from(length) + 1,
            None => return octets.len() + 1,
        }
    }
}

/// Writes RDLENGTH and RDATA, with the compression the type allows.
pub fn write(kind: Type, rdata: &[u8], writer: &mut Writer<'_>, compressor: &mut Compressor) {
    let length_at = writer.position();
    writer.put_u16(0);
    for_each_field(kind, rdata, |field, octets| match field {
        Field::CompressibleName => compressor.write(octets, writer),
        _ => writer.put(octets),
    });
    writer.patch_u16(length_at, (writer.position() - length_at).saturating_sub(2) as u16);
}

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
    let mut next = 0;
    for &field in kind.fields() {
        if field == Field::Opaque {
            return Err(Unexpected { word: 0, expected: format!("`\\# length hex` for {kind}").into() });
        }
        loop {
            let Some(word) = words.get(next) else {
                return Err(Unexpected { word: next, expected: noun(field).into() });
            };
            parse_field(field, word, origin, out)
                .map_err(|expected| Unexpected { word: next, expected: expected.into() })?;
            next += 1;
            if !matches!(field, Field::Strings | Field::Hex) || next == words.len() {
                break;
            }
        }
    }
    if next < words.len() {
        return Err(Unexpected { word: next, expected: "the end of the record".into() });
    }
    if out.len() - start > RDATA_OCTETS_MAX {
        return Err(Unexpected { word: 0, expected: "at most 65535 octets of data".into() });
    }
    Ok(())
}

const fn noun(field: Field) -> &'static str {
    match field {
        Field::CompressibleName | Field::PlainName => "a name",
        Field::U8 => "a number from 0 to 255",
        Field::U16 => "a number from 0 to 65535",
        Field::U32 => "a number from 0 to 4294967295",
        Field::Seconds => "a time such as 3600 or 1h30m",
        Field::Address4 => "an IPv4 address",
        Field::Address6 => "an IPv6 address",
        Field::String | Field::Strings | Field::Text => "a text",
        Field::Word => "a word of letters and digits",
        Field::Hex => "an even number of hexadecimal digits",
        Field::Opaque => "`\\#`",
    }
}

fn parse_field(field: Field, word: &Word<'_>, origin: &Name, out: &mut Vec<u8>) -> Result<(), String> {
    let plain = || std::str::from_utf8(word.text).ok().filter(|_| !word.quoted);
    let wrong = || noun(field).to_owned();
    match field {
        Field::CompressibleName | Field::PlainName => {
            if word.quoted {
                return Err(wrong());
            }
            let name = name_from_text(word.text, origin).map_err(|fault| fault.to_string())?;
            out.extend_from_slice(name.as_octets());
        }
        Field::U8 => out.push(plain().and_then(digits).ok_or_else(wrong)?),
        Field::U16 => {
            let value: u16 = plain().and_then(digits).ok_or_else(wrong)?;
            out.extend(value.to_be_bytes());
        }
        Field::U32 => {
            let value: u32 = plain().and_then(digits).ok_or_else(wrong)?;
            out.extend(value.to_be_bytes());
        }
        Field::Seconds => {
            let value = plain().and_then(|text| seconds(text.as_bytes())).ok_or_else(wrong)?;
            out.extend(value.to_be_bytes());
        }
        Field::Address4 => {
            let address: Ipv4Addr = plain().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
            out.extend(address.octets());
        }
        Field::Address6 => {
            let address: Ipv6Addr = plain().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
            out.extend(address.octets());
        }
        Field::Word if word.text.is_empty() || !word.text.iter().all(u8::is_ascii_alphanumeric) => {
            return Err(wrong());
        }
        Field::String | Field::Strings | Field::Word => {
            let length_at = out.len();
            out.push(0);
            parse_text(word.text, out)?;
            let length = u8::try_from(out.len() - length_at - 1);
            out[length_at] = length.map_err(|_| TextFault::LongString.to_string())?;
        }
        Field::Text => parse_text(word.text, out)?,
        Field::Hex => {
            let (pairs, rest) = word.text.as_chunks::<2>();
            let digit = |character: u8| char::from(character).to_digit(16).map(|digit| digit as u8);
            if !rest.is_empty() || word.quoted || pairs.is_empty() {
                return Err(wrong());
            }
            for &[high, low] in pairs {
                out.push(digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?);
            }
        }
        Field::Opaque => return Err(wrong()),
    }
    Ok(())
}

fn parse_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = text;
    while let Some((octet, _)) = next_octet(&mut rest).map_err(|fault| fault.to_string())? {
        out.push(octet);
    }
    Ok(())
}

fn parse_opaque(kind: Type, words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Unexpected> {
    let length: usize = words
        .get(1)
        .and_then(|word| std::str::from_utf8(word.text).ok())
        .and_then(digits::<u16>)
        .map(usize::from)
        .ok_or(Unexpected { word: 1, expected: "the number of octets that follow".into() })?;
    let start = out.len();
    let mut half: Option<u8> = None;
    for (index, word) in words.iter().enumerate().skip(2) {
        for &character in word.text {
            let Some(digit) = char::from(character).to_digit(16) else {
                return Err(Unexpected { word: index, expected: "hexadecimal digits".into() });
            };
            match half.take() {
                None => half = Some(digit as u8),
                Some(high) => out.push(high << 4 | digit as u8),
            }
        }
    }
    let given = out.len() - start;
    if half.is_some() || given != length {
        return Err(Unexpected { word: 1, expected: format!("as many octets as follow, {given}").into() });
    }
    // A known type written this way must still be right, and has nothing that a pointer could mean.
    let mut whole = Vec::with_capacity(length);
    let mut reader = Reader::new(&out[start..]);
    let read = read(kind, &mut reader, length, &mut whole);
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

fn digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Seconds as a zone file writes them: `3600`, `1h`, `1w2d3h4m5s`. At most [`SECONDS_MAX`].
#[must_use]
pub fn seconds(text: &[u8]) -> Option<u32> {
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
    u32::try_from(total.checked_add(part)?).ok().filter(|&value| value <= SECONDS_MAX)
}

/// An RDATA in presentation form, on one line. From [`display`].
#[derive(Debug, Clone, Copy)]
pub struct Display<'r> {
    kind: Type,
    rdata: &'r [u8],
}

/// Prints an RDATA as a zone file would write it.
#[must_use]
pub const fn display(kind: Type, rdata: &[u8]) -> Display<'_> {
    Display { kind, rdata }
}

impl fmt::Display for Display<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        let mut first = true;
        for_each_field(self.kind, self.rdata, |field, octets| {
            if result.is_ok() {
                if !std::mem::take(&mut first) {
                    result = f.write_str(" ");
                }
                result = result.and_then(|()| print_field(field, octets, f));
            }
        });
        result
    }
}

fn print_field(field: Field, octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (field, octets) {
        (Field::CompressibleName | Field::PlainName, _) => {
            write!(f, "{}", Name::from_wire(octets).unwrap_or_default())
        }
        (Field::U8, &[a]) => write!(f, "{a}"),
        (Field::U16, &[a, b]) => write!(f, "{}", u16::from_be_bytes([a, b])),
        (Field::U32 | Field::Seconds, &[a, b, c, d]) => write!(f, "{}", u32::from_be_bytes([a, b, c, d])),
        (Field::Address4, &[a, b, c, d]) => write!(f, "{}", Ipv4Addr::new(a, b, c, d)),
        (Field::Address6, _) => match <[u8; 16]>::try_from(octets) {
            Ok(address) => write!(f, "{}", Ipv6Addr::from(address)),
            Err(_) => Ok(()),
        },
        (Field::Word, [_, word @ ..]) => f.write_str(&String::from_utf8_lossy(word)),
        (Field::Text, _) => write_quoted(f, octets),
        (Field::Hex, _) => write_hex(f, octets),
        (Field::String | Field::Strings, _) => {
            let mut rest = octets;
            while let Some((&length, after)) = rest.split_first() {
                let Some((string, after)) = after.split_at_checked(usize::from(length)) else { break };
                if rest.len() != octets.len() {
                    f.write_str(" ")?;
                }
                write_quoted(f, string)?;
                rest = after;
            }
            Ok(())
        }
        _ => {
            write!(f, "\\# {}", octets.len())?;
            if !octets.is_empty() {
                f.write_str(" ")?;
            }
            write_hex(f, octets)
        }
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}
