//! RDATA printed as a zone file has it: RFC 1035 §5.1, RFC 3597 §5.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt::{self, Write as _};

use super::encoding::{base32hex, base64, write_hex, write_moment};
use super::{bitmap, field_octets, gateway, location, prefixes, service};
use crate::wire::name::Name;
use crate::wire::rtype::{Field, Type};
use crate::wire::text::write_quoted;

/// An RDATA in presentation form, on one line. From [`display`].
#[derive(Debug, Clone, Copy)]
pub struct Display<'r> {
    kind: Type,
    rdata: &'r [u8],
}

/// Prints an RDATA as a zone file would write it, and in the form of unknown types what the type's
/// own form has no words for, such as an empty key.
#[must_use]
pub const fn display(kind: Type, rdata: &[u8]) -> Display<'_> {
    Display { kind, rdata }
}

impl fmt::Display for Display<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !is_presentable(self.kind, self.rdata) {
            return print_opaque(self.rdata, f);
        }
        let mut result = Ok(());
        let mut first = true;
        super::for_each_field(self.kind, self.rdata, |field, octets| {
            let silent = octets.is_empty() && field != Field::Opaque && field != Field::Text;
            if result.is_ok() && !silent {
                if !std::mem::take(&mut first) {
                    result = f.write_str(" ");
                }
                result = result.and_then(|()| print_field(field, octets, f));
            }
        });
        result
    }
}

fn is_presentable(kind: Type, rdata: &[u8]) -> bool {
    let mut rest = rdata;
    let presentable = kind.fields().iter().all(|&field| {
        let Some((octets, after)) = rest.split_at_checked(field_octets(field, rest)) else { return false };
        rest = after;
        match field {
            Field::Hex | Field::Base64 => !octets.is_empty(),
            Field::Strings => !octets.is_empty(),
            Field::Word => octets.len() > 1 && octets[1..].iter().all(u8::is_ascii_alphanumeric),
            Field::Hash => octets.len() > 1,
            Field::Location => location::is_presentable(octets),
            Field::Prefixes => prefixes::are_presentable(octets),
            _ => true,
        }
    });
    presentable && rest.is_empty()
}

fn print_field(field: Field, octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (field, octets) {
        (Field::CompressibleName | Field::PlainName | Field::ExactName, _) => {
            write!(f, "{}", Name::from_wire(octets).unwrap_or_default())
        }
        (Field::U8 | Field::Algorithm, &[a]) => write!(f, "{a}"),
        (Field::U16 | Field::CertificateType, &[a, b]) => write!(f, "{}", u16::from_be_bytes([a, b])),
        (Field::Type, &[a, b]) => write!(f, "{}", Type(u16::from_be_bytes([a, b]))),
        (Field::U32 | Field::Seconds, &[a, b, c, d]) => write!(f, "{}", u32::from_be_bytes([a, b, c, d])),
        (Field::Moment, &[a, b, c, d]) => write_moment(f, u32::from_be_bytes([a, b, c, d])),
        (Field::Address4, &[a, b, c, d]) => write!(f, "{}", Ipv4Addr::new(a, b, c, d)),
        (Field::Address6, _) => match <[u8; 16]>::try_from(octets) {
            Ok(address) => write!(f, "{}", Ipv6Addr::from(address)),
            Err(_) => Ok(()),
        },
        (Field::Eui48 | Field::Eui64, _) => octets.iter().enumerate().try_for_each(|(index, octet)| {
            let dash = if index == 0 { "" } else { "-" };
            write!(f, "{dash}{octet:02x}")
        }),
        (Field::Word, [_, word @ ..]) => f.write_str(&String::from_utf8_lossy(word)),
        (Field::Text, _) => write_quoted(f, octets),
        (Field::Hex, _) => write_hex(f, octets),
        (Field::Base64 | Field::OptionalBase64, _) => write!(f, "{}", base64(octets)),
        (Field::Salt, [_]) => f.write_char('-'),
        (Field::Salt, [_, salt @ ..]) => write_hex(f, salt),
        (Field::Hash, [_, hash @ ..]) => write!(f, "{}", base32hex(hash)),
        (Field::TypeBitmap, _) => bitmap::types(octets).enumerate().try_for_each(|(index, kind)| {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{kind}")
        }),
        (Field::Location, _) => location::print(octets, f),
        (Field::Prefixes, _) => prefixes::print(octets, f),
        (Field::Gateway, _) => gateway::print(octets, f),
        (Field::ServiceParameters, _) => service::print(octets, f),
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
        _ => print_opaque(octets, f),
    }
}

fn print_opaque(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\\# {}", octets.len())?;
    if !octets.is_empty() {
        f.write_str(" ")?;
    }
    write_hex(f, octets)
}
