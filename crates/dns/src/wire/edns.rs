//! EDNS(0), the OPT pseudo-record: RFC 6891 §6.
//!
//! Options are kept as they came; [`options`](super::options) reads and writes them by their meaning.

use doorway_base::{Malformed, Reader, Writer};

use super::code::Rcode;
use super::rtype::Type;

/// Octets of an OPT record without options.
pub const OPT_OCTETS: usize = 11;
/// The DNSSEC OK bit among the OPT flags (RFC 3225 §3).
pub const DO: u16 = 0x8000;

/// What an OPT record says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edns {
    /// The largest UDP payload the sender can take, in octets.
    pub udp_octets_max: u16,
    /// The high eight bits of the response code.
    pub rcode_high: u8,
    /// The version; only 0 exists.
    pub version: u8,
    /// The flags; [`DO`] is the only one in use.
    pub flags: u16,
    /// The options, each a code, a length and that many octets.
    pub options: Vec<u8>,
}

impl Edns {
    /// An OPT record from the fields of the record it travels in.
    ///
    /// # Errors
    /// Options that do not fill their record exactly.
    pub fn from_fields(class: u16, ttl: u32, options: &[u8]) -> Result<Self, Malformed> {
        check_options(options)?;
        let [rcode_high, version, high, low] = ttl.to_be_bytes();
        let flags = u16::from_be_bytes([high, low]);
        Ok(Self { udp_octets_max: class, rcode_high, version, flags, options: options.to_vec() })
    }

    /// The whole response code, with the four bits that the header holds.
    #[must_use]
    pub const fn rcode(&self, header: Rcode) -> Rcode {
        Rcode((self.rcode_high as u16) << 4 | header.0)
    }

    /// Writes the record.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.put_u8(0);
        writer.put_u16(Type::OPT.0);
        writer.put_u16(self.udp_octets_max);
        writer.put(&[self.rcode_high, self.version]);
        writer.put_u16(self.flags);
        writer.put_u16(self.options.len() as u16);
        writer.put(&self.options);
    }

    /// The options as pairs of code and value; [`options`](super::options) tells what they mean.
    pub fn options(&self) -> impl Iterator<Item = (u16, &[u8])> {
        pairs(&self.options).flatten()
    }
}

/// The options in `octets` as pairs of code and value. One that is cut off is an error and the last.
pub(super) fn pairs(octets: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), Malformed>> {
    let mut reader = Reader::new(octets);
    std::iter::from_fn(move || {
        let next = next_option(&mut reader).transpose()?;
        if next.is_err() {
            reader = Reader::at(octets, octets.len());
        }
        Some(next)
    })
}

/// Checks that `options` is a row of whole options.
///
/// # Errors
/// An option that ends before its length says.
pub fn check_options(options: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(options);
    while next_option(&mut reader)?.is_some() {}
    Ok(())
}

fn next_option<'a>(reader: &mut Reader<'a>) -> Result<Option<(u16, &'a [u8])>, Malformed> {
    if reader.is_empty() {
        return Ok(None);
    }
    let code = reader.u16("the code of an EDNS option")?;
    let length = reader.u16("the length of an EDNS option")?;
    let value = reader.take(usize::from(length), "the value of an EDNS option")?;
    Ok(Some((code, value)))
}
