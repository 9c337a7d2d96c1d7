//! Address prefixes, APL: RFC 3123 §4 and §5.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

use doorway_base::{Malformed, Reader};

use super::parse::{Unexpected, Words};

const NEGATED: u8 = 0x80;
const WHAT: &str = "a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32";

// Octets of an address of the family, and so the bits a prefix may have.
const fn address_octets(family: u16) -> Option<usize> {
    match family {
        1 => Some(4),
        2 => Some(16),
        _ => None,
    }
}

pub(super) fn check(inside: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    while !inside.is_empty() {
        let at = *inside;
        let family = inside.u16("an address family")?;
        let prefix = inside.u8("a prefix length")?;
        let length = inside.u8("the length of a prefix")?;
        let octets = inside.take(usize::from(length & !NEGATED), "the octets of a prefix")?;
        let fits = address_octets(family)
            .is_none_or(|address| octets.len() <= address && usize::from(prefix) <= 8 * address);
        if !fits {
            return Err(at.malformed("a prefix that fits into an address of its family"));
        }
        if octets.last() == Some(&0) {
            return Err(at.malformed("a prefix without octets of 0 at its end"));
        }
        out.extend(family.to_be_bytes());
        out.extend([prefix, length]);
        out.extend_from_slice(octets);
    }
    Ok(())
}

pub(super) fn parse(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), Unexpected> {
    while !words.is_empty() {
        let word = words.plain(WHAT)?;
        let (negated, text) = word.strip_prefix('!').map_or((0, word), |text| (NEGATED, text));
        let parsed = text.split_once(':').and_then(|(family, rest)| {
            let (address, prefix) = rest.split_once('/')?;
            let address: IpAddr = address.parse().ok()?;
            Some((family.parse::<u16>().ok()?, address, prefix.parse::<u8>().ok()?))
        });
        let octets = match parsed {
            Some((1, IpAddr::V4(address), 0..=32)) => address.octets().to_vec(),
            Some((2, IpAddr::V6(address), 0..=128)) => address.octets().to_vec(),
            _ => return Err(words.unexpected(WHAT)),
        };
        let Some((family, _, prefix)) = parsed else { continue };
        let used = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        out.extend(family.to_be_bytes());
        out.extend([prefix, negated | used as u8]);
        out.extend_from_slice(&octets[..used]);
    }
    Ok(())
}

/// Whether each prefix has a family that can be written.
pub(super) fn are_presentable(octets: &[u8]) -> bool {
    let mut reader = Reader::new(octets);
    while !reader.is_empty() {
        let Ok(item) = next(&mut reader) else { return false };
        if address_octets(item.family).is_none() {
            return false;
        }
    }
    true
}

struct Item<'a> {
    family: u16,
    prefix: u8,
    negated: bool,
    octets: &'a [u8],
}

fn next<'a>(reader: &mut Reader<'a>) -> Result<Item<'a>, Malformed> {
    let family = reader.u16(WHAT)?;
    let prefix = reader.u8(WHAT)?;
    let length = reader.u8(WHAT)?;
    let octets = reader.take(usize::from(length & !NEGATED), WHAT)?;
    Ok(Item { family, prefix, negated: length & NEGATED != 0, octets })
}

pub(super) fn print(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut reader = Reader::new(octets);
    let mut first = true;
    while let Ok(item) = next(&mut reader) {
        if !std::mem::take(&mut first) {
            f.write_str(" ")?;
        }
        let mut whole = [0; 16];
        let length = item.octets.len().min(16);
        whole[..length].copy_from_slice(&item.octets[..length]);
        let address = match item.family {
            1 => IpAddr::V4(Ipv4Addr::new(whole[0], whole[1], whole[2], whole[3])),
            _ => IpAddr::V6(Ipv6Addr::from(whole)),
        };
        let mark = if item.negated { "!" } else { "" };
        write!(f, "{mark}{}:{address}/{}", item.family, item.prefix)?;
    }
    Ok(())
}
