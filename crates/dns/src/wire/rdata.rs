//! RDATA by the table of [`rtype`](super::rtype): read, written with compression, parsed and printed.
//!
//! In memory an RDATA is its wire form with every name whole; that is what [`read`] and [`parse`]
//! produce and what everything else takes.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `parse.rs` | presentation form to wire form |
//! | `print.rs` | wire form to presentation form |
//! | `encoding.rs` | hexadecimal, base 64, base 32, moments |
//! | `bitmap.rs` | the type bitmaps of NSEC, NSEC3 and CSYNC |
//! | `location.rs` | LOC: RFC 1876 |
//! | `prefixes.rs` | APL: RFC 3123 |
//! | `gateway.rs` | the gateway of IPSECKEY: RFC 4025 |
//! | `service.rs` | the parameters of SVCB and HTTPS: RFC 9460 |

pub mod bitmap;
mod encoding;
mod gateway;
mod location;
mod parse;
mod prefixes;
mod print;
pub mod service;

use doorway_base::{Malformed, Reader, Writer};

use super::compress::Compressor;
use super::name::Name;
use super::rtype::{Field, Type};

pub use encoding::{base32hex, base32hex_digits, base64, from_base64};
pub use parse::{Unexpected, Word, name_from_text, parse, seconds};
pub use print::{Display, display};

/// Octets of an RDATA at most.
pub const RDATA_OCTETS_MAX: usize = u16::MAX as usize;
/// The longest time a record may have, in seconds: RFC 2181 §8.
pub const SECONDS_MAX: u32 = i32::MAX as u32;

/// Reads `length` octets of RDATA out of a message and appends them to `out`, names made whole.
///
/// # Errors
/// RDATA that ends inside a field or goes on after the last one, and bitmaps, prefixes, gateways and
/// service parameters that break their own rules.
pub fn read(kind: Type, reader: &mut Reader<'_>, length: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    const WHAT: &str = "the octets of an RDATA";
    let end = reader.position() + length;
    let mut inside = Reader::new(reader.whole().get(..end).ok_or(reader.malformed(WHAT))?);
    inside.take(reader.position(), WHAT)?;
    for field in kind.fields() {
        match field {
            Field::CompressibleName | Field::PlainName | Field::ExactName => {
                out.extend_from_slice(Name::read(&mut inside)?.as_octets());
            }
            Field::U8 => out.push(inside.u8("an 8-bit number")?),
            Field::Algorithm => out.push(inside.u8("an algorithm")?),
            Field::U16 => out.extend(inside.array::<2>("a 16-bit number")?),
            Field::Type | Field::CertificateType => out.extend(inside.array::<2>("a type")?),
            Field::U32 | Field::Seconds => out.extend(inside.array::<4>("a 32-bit number")?),
            Field::Moment => out.extend(inside.array::<4>("a moment")?),
            Field::Address4 => out.extend(inside.array::<4>("an IPv4 address")?),
            Field::Address6 => out.extend(inside.array::<16>("an IPv6 address")?),
            Field::Eui48 => out.extend(inside.array::<6>("an EUI-48 address")?),
            Field::Eui64 => out.extend(inside.array::<8>("an EUI-64 address")?),
            Field::String | Field::Word | Field::Salt | Field::Hash => read_string(&mut inside, out)?,
            Field::Strings => loop {
                read_string(&mut inside, out)?;
                if inside.is_empty() {
                    break;
                }
            },
            Field::Gateway => gateway::read(&mut inside, out)?,
            Field::TypeBitmap => bitmap::check(&mut inside, out)?,
            Field::Location => location::check(&mut inside, out)?,
            Field::Prefixes => prefixes::check(&mut inside, out)?,
            Field::ServiceParameters => service::check(&mut inside, out)?,
            Field::Text | Field::Hex | Field::Base64 | Field::OptionalBase64 | Field::Opaque => {
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
        let Some((octets, after)) = rest.split_at_checked(field_octets(field, rest)) else { return };
        each(field, octets);
        rest = after;
    }
}

// Octets of a field at the front of `rest`; more than there are when it is cut off.
fn field_octets(field: Field, rest: &[u8]) -> usize {
    match field {
        Field::CompressibleName | Field::PlainName | Field::ExactName => whole_name(rest),
        Field::U8 | Field::Algorithm => 1,
        Field::U16 | Field::Type | Field::CertificateType => 2,
        Field::String | Field::Word | Field::Salt | Field::Hash => {
            rest.first().map_or(1, |&length| 1 + usize::from(length))
        }
        Field::U32 | Field::Seconds | Field::Moment | Field::Address4 => 4,
        Field::Eui48 => 6,
        Field::Eui64 => 8,
        Field::Address6 => 16,
        Field::Gateway => gateway::octets(rest),
        Field::Strings
        | Field::Text
        | Field::Hex
        | Field::Base64
        | Field::OptionalBase64
        | Field::TypeBitmap
        | Field::Location
        | Field::Prefixes
        | Field::ServiceParameters
        | Field::Opaque => rest.len(),
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

/// Appends the canonical form of an RDATA to `out`: names in lower case where RFC 4034 §6.2 and
/// RFC 6840 §5.1 want them so.
pub fn canonical(kind: Type, rdata: &[u8], out: &mut Vec<u8>) {
    for_each_field(kind, rdata, |field, octets| {
        let start = out.len();
        out.extend_from_slice(octets);
        if matches!(field, Field::CompressibleName | Field::PlainName) {
            // Length octets are below every letter.
            out[start..].make_ascii_lowercase();
        }
    });
}

#[cfg(test)]
mod tests;
