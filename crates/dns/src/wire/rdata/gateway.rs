//! The gateway of IPSECKEY: RFC 4025 §2.3 to §2.5, §3.1.
//!
//! In the octets: gateway type, algorithm, gateway. What the gateway is follows from its type.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt;

use doorway_base::{Malformed, Reader};

use super::parse::{Unexpected, Words};
use crate::wire::Name;

const NONE: u8 = 0;
const ADDRESS4: u8 = 1;
const ADDRESS6: u8 = 2;
const NAME: u8 = 3;

/// Octets of the three fields at the front of `rest`; more than there are when they are cut off.
pub(super) fn octets(rest: &[u8]) -> usize {
    2 + match rest {
        [ADDRESS4, ..] => 4,
        [ADDRESS6, ..] => 16,
        [NAME, _, name @ ..] => super::whole_name(name),
        _ => 0,
    }
}

pub(super) fn read(inside: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let at = *inside;
    let kind = inside.u8("a gateway type")?;
    out.extend([kind, inside.u8("an algorithm")?]);
    match kind {
        NONE => {}
        ADDRESS4 => out.extend(inside.array::<4>("an IPv4 address")?),
        ADDRESS6 => out.extend(inside.array::<16>("an IPv6 address")?),
        NAME => out.extend_from_slice(Name::read(inside)?.as_octets()),
        _ => return Err(at.malformed("a gateway type from 0 to 3")),
    }
    Ok(())
}

pub(super) fn parse(words: &mut Words<'_, '_>, origin: &Name, out: &mut Vec<u8>) -> Result<(), Unexpected> {
    let kind: u8 = words.number("a gateway type from 0 to 3")?;
    if kind > NAME {
        return Err(words.unexpected("a gateway type from 0 to 3"));
    }
    out.push(kind);
    out.push(words.number("a number from 0 to 255")?);
    match kind {
        NONE => {
            if words.plain("`.`, because there is no gateway")? != "." {
                return Err(words.unexpected("`.`, because there is no gateway"));
            }
        }
        ADDRESS4 => out.extend(words.parsed::<Ipv4Addr>("an IPv4 address")?.octets()),
        ADDRESS6 => out.extend(words.parsed::<Ipv6Addr>("an IPv6 address")?.octets()),
        _ => out.extend_from_slice(words.name(origin)?.as_octets()),
    }
    Ok(())
}

pub(super) fn print(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [kind, algorithm, gateway @ ..] = octets else { return Ok(()) };
    write!(f, "{kind} {algorithm} ")?;
    if let Ok(address) = <[u8; 4]>::try_from(gateway) {
        // A name of four octets is possible too.
        if *kind == ADDRESS4 {
            return write!(f, "{}", Ipv4Addr::from(address));
        }
    }
    match (*kind, <[u8; 16]>::try_from(gateway)) {
        (ADDRESS6, Ok(address)) => write!(f, "{}", Ipv6Addr::from(address)),
        (NAME, _) => write!(f, "{}", Name::from_wire(gateway).unwrap_or_default()),
        _ => f.write_str("."),
    }
}
