//! The parameters of SVCB and HTTPS: RFC 9460 §2, §7, §8 and Appendix A, RFC 9461 §5 (dohpath),
//! RFC 9540 (ohttp).

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt::{self, Write as _};

use doorway_base::{Malformed, Reader};

use super::encoding::{Base, Digits, base64};
use super::parse::{Unexpected, Words};
use crate::wire::text::next_octet;

/// The keys that a client must understand.
pub const MANDATORY: u16 = 0;
/// The protocols that the service speaks.
pub const ALPN: u16 = 1;
/// The protocol that goes without saying is not among them.
pub const NO_DEFAULT_ALPN: u16 = 2;
/// The port.
pub const PORT: u16 = 3;
/// IPv4 addresses to try before asking.
pub const IPV4HINT: u16 = 4;
/// What a client needs to encrypt its first message: RFC 9848.
pub const ECH: u16 = 5;
/// IPv6 addresses to try before asking.
pub const IPV6HINT: u16 = 6;
/// Where DNS over HTTPS is served: RFC 9461.
pub const DOHPATH: u16 = 7;
/// The service takes part in oblivious HTTP: RFC 9540.
pub const OHTTP: u16 = 8;

/// Parameters of one record at most; the wire sets no other limit than its length.
pub const PARAMETERS_MAX: usize = 1024;

const NAMES: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

const KEY: &str = "a parameter such as port=443 or alpn=\"h2\"";

/// The parameters in their order, as pairs of key and value. Stops early at octets that are none.
pub fn parameters(octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut reader = Reader::new(octets);
    std::iter::from_fn(move || next(&mut reader).ok().flatten())
}

fn next<'a>(reader: &mut Reader<'a>) -> Result<Option<(u16, &'a [u8])>, Malformed> {
    if reader.is_empty() {
        return Ok(None);
    }
    let key = reader.u16("the key of a service parameter")?;
    let length = reader.u16("the length of a service parameter")?;
    Ok(Some((key, reader.take(usize::from(length), "the value of a service parameter")?)))
}

pub(super) fn check(inside: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (whole, mut least) = (inside.rest(), 0_u32);
    loop {
        let at = *inside;
        let Some((key, value)) = next(inside)? else { break };
        if u32::from(key) < least {
            return Err(at.malformed("service parameters that go up by key"));
        }
        least = u32::from(key) + 1;
        if !is_valid(key, value, whole) {
            return Err(at.malformed("a service parameter whose value fits its key"));
        }
    }
    out.extend_from_slice(whole);
    Ok(())
}

// Whether the value has the form that its key asks for, and mandatory keys are there.
fn is_valid(key: u16, value: &[u8], whole: &[u8]) -> bool {
    match key {
        MANDATORY => {
            let (keys, rest) = value.as_chunks::<2>();
            let keys = keys.iter().map(|two| u16::from_be_bytes(*two));
            let there = |key| key != MANDATORY && parameters(whole).any(|(other, _)| other == key);
            !value.is_empty()
                && rest.is_empty()
                && keys.clone().is_sorted_by(|a, b| a < b)
                && keys.clone().all(there)
        }
        ALPN => {
            !value.is_empty() && strings(value).all(|string| string.is_some_and(|string| !string.is_empty()))
        }
        // Without another protocol there would be none at all.
        NO_DEFAULT_ALPN => value.is_empty() && parameters(whole).any(|(other, _)| other == ALPN),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        ECH => !value.is_empty(),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        DOHPATH => {
            std::str::from_utf8(value).is_ok_and(|path| path.starts_with('/') && path.contains("{?dns}"))
        }
        OHTTP => value.is_empty(),
        _ => true,
    }
}

// Character-strings to the end; `None` stands for one that is cut off.
fn strings(value: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (&length, after) = rest.split_first()?;
        let Some((string, after)) = after.split_at_checked(usize::from(length)) else {
            rest = &[];
            return Some(None);
        };
        rest = after;
        Some(Some(string))
    })
}

pub(super) fn print(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, (key, value)) in parameters(octets).enumerate() {
        if index > 0 {
            f.write_char(' ')?;
        }
        write_key(f, key)?;
        if !value.is_empty() {
            f.write_char('=')?;
            print_value(key, value, f)?;
        }
    }
    Ok(())
}

fn write_key(f: &mut impl fmt::Write, key: u16) -> fmt::Result {
    match NAMES.get(usize::from(key)) {
        Some(name) => f.write_str(name),
        None => write!(f, "key{key}"),
    }
}

fn print_value(key: u16, value: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let comma = |index: usize| if index == 0 { "" } else { "," };
    match key {
        MANDATORY => value.as_chunks::<2>().0.iter().enumerate().try_for_each(|(index, two)| {
            f.write_str(comma(index))?;
            write_key(f, u16::from_be_bytes(*two))
        }),
        ALPN => {
            f.write_char('"')?;
            for (index, string) in strings(value).flatten().enumerate() {
                f.write_str(comma(index))?;
                string.iter().try_for_each(|&octet| match octet {
                    // Escaped once for the list, and once more for the string that holds it.
                    b',' => f.write_str("\\\\,"),
                    b'\\' => f.write_str("\\\\\\\\"),
                    _ => write_octet(f, octet),
                })?;
            }
            f.write_char('"')
        }
        PORT => write!(f, "{}", value.first_chunk::<2>().map_or(0, |two| u16::from_be_bytes(*two))),
        IPV4HINT => value
            .as_chunks::<4>()
            .0
            .iter()
            .enumerate()
            .try_for_each(|(index, four)| write!(f, "{}{}", comma(index), Ipv4Addr::from(*four))),
        IPV6HINT => value
            .as_chunks::<16>()
            .0
            .iter()
            .enumerate()
            .try_for_each(|(index, all)| write!(f, "{}{}", comma(index), Ipv6Addr::from(*all))),
        ECH => write!(f, "{}", base64(value)),
        _ => {
            f.write_char('"')?;
            value.iter().try_for_each(|&octet| write_octet(f, octet))?;
            f.write_char('"')
        }
    }
}

fn write_octet(f: &mut fmt::Formatter<'_>, octet: u8) -> fmt::Result {
    match octet {
        b'"' | b'\\' => write!(f, "\\{}", char::from(octet)),
        0x20..=0x7e => f.write_char(char::from(octet)),
        _ => write!(f, "\\{octet:03}"),
    }
}

pub(super) fn parse(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), Unexpected> {
    let mut list: Vec<(u16, Vec<u8>)> = Vec::new();
    while !words.is_empty() {
        let (text, joined) = words.parameter(KEY)?;
        let equals = text.iter().position(|&octet| octet == b'=');
        let (name, rest) = text.split_at(equals.unwrap_or(text.len()));
        let Some(key) = key(name) else { return Err(words.unexpected(KEY)) };
        if list.len() >= PARAMETERS_MAX || list.iter().any(|(other, _)| *other == key) {
            return Err(words.unexpected("each parameter once"));
        }
        let mut value = Vec::new();
        // Quotes around the value make it a word of its own.
        let mut text = joined.unwrap_or_else(|| rest.strip_prefix(b"=").unwrap_or(rest));
        // A key written by its number has its octets as they are, whatever the key means.
        let form = if name.starts_with(b"key") { u16::MAX } else { key };
        while let Some((octet, _)) =
            next_octet(&mut text).map_err(|fault| words.unexpected(fault.to_string()))?
        {
            value.push(octet);
        }
        let value = parse_value(form, value).ok_or_else(|| words.unexpected(expected(key)))?;
        list.push((key, value));
    }
    list.sort_unstable();
    let start = out.len();
    for (key, value) in list {
        let Ok(length) = u16::try_from(value.len()) else {
            return Err(words.unexpected("a value of at most 65535 octets"));
        };
        out.extend(key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend_from_slice(&value);
    }
    let whole = &out[start..];
    match parameters(whole).find(|(key, value)| !is_valid(*key, value, whole)) {
        Some((key, _)) => Err(words.unexpected(expected(key))),
        None => Ok(()),
    }
}

fn key(name: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(name).ok()?;
    if let Some(index) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(text)) {
        return Some(index as u16);
    }
    let digits = text.strip_prefix("key")?;
    let plain =
        digits.bytes().all(|octet| octet.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain)
}

const fn expected(key: u16) -> &'static str {
    match key {
        MANDATORY => "mandatory= with keys that this record has",
        ALPN => "alpn= with one or more protocols, such as alpn=\"h2,h3\"",
        NO_DEFAULT_ALPN => "no-default-alpn without a value, beside alpn=",
        PORT => "port= with a number from 0 to 65535",
        IPV4HINT => "ipv4hint= with IPv4 addresses between commas",
        ECH => "ech= with octets in base 64",
        IPV6HINT => "ipv6hint= with IPv6 addresses between commas",
        DOHPATH => "dohpath= with a path that has {?dns} in it",
        OHTTP => "ohttp without a value",
        _ => "a value of at most 65535 octets",
    }
}

// The wire form of a value, of which the character-string's escapes are undone already.
fn parse_value(key: u16, text: Vec<u8>) -> Option<Vec<u8>> {
    let words = || std::str::from_utf8(&text).ok().map(|text| text.split(','));
    let mut value = Vec::new();
    match key {
        MANDATORY => {
            let mut keys: Vec<u16> =
                words()?.map(|word| self::key(word.as_bytes())).collect::<Option<_>>()?;
            keys.sort_unstable();
            value.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        ALPN => {
            let mut start = 0;
            value.push(0);
            let mut rest = text.as_slice();
            while let Some((octet, escaped)) = next_list_octet(&mut rest)? {
                if octet == b',' && !escaped {
                    value[start] = u8::try_from(value.len() - start - 1).ok()?;
                    start = value.len();
                    value.push(0);
                } else {
                    value.push(octet);
                }
            }
            value[start] = u8::try_from(value.len() - start - 1).ok()?;
        }
        PORT => {
            let number = std::str::from_utf8(&text).ok()?;
            let plain = number.bytes().all(|octet| octet.is_ascii_digit());
            value.extend(number.parse::<u16>().ok().filter(|_| plain)?.to_be_bytes());
        }
        IPV4HINT => {
            for word in words()? {
                value.extend(word.parse::<Ipv4Addr>().ok()?.octets());
            }
        }
        IPV6HINT => {
            for word in words()? {
                value.extend(word.parse::<Ipv6Addr>().ok()?.octets());
            }
        }
        ECH => {
            let mut digits = Digits::new(Base::Base64);
            if !digits.take(&text, &mut value) || !digits.are_whole() {
                return None;
            }
        }
        _ => value = text,
    }
    Some(value)
}

// An octet of a list between commas; a backslash takes the one after it as it is.
fn next_list_octet(rest: &mut &[u8]) -> Option<Option<(u8, bool)>> {
    let Some((&first, after)) = rest.split_first() else { return Some(None) };
    *rest = after;
    if first != b'\\' {
        return Some(Some((first, false)));
    }
    let (&second, after) = after.split_first()?;
    *rest = after;
    Some(Some((second, true)))
}
