//! The header in front of every message: RFC 1035 §4.1.1, RFC 2535 §6.1 (AD and CD).

use doorway_base::{Malformed, Reader, Writer};

use super::code::{Opcode, Rcode};

/// Octets of the header.
pub const HEADER_OCTETS: usize = 12;

/// The second and third 16 bits of a message: QR, opcode, AA, TC, RD, RA, AD, CD and the low four
/// bits of the response code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// The message is a response.
    pub const QR: u16 = 0x8000;
    /// The answer comes from an authority for the name.
    pub const AA: u16 = 0x0400;
    /// The message was cut to fit the transport.
    pub const TC: u16 = 0x0200;
    /// Recursion is desired; copied into the response.
    pub const RD: u16 = 0x0100;
    /// Recursion is available.
    pub const RA: u16 = 0x0080;
    /// The data is authenticated (RFC 4035 §3.1.6).
    pub const AD: u16 = 0x0020;
    /// The client checks for itself.
    pub const CD: u16 = 0x0010;
    /// Where the opcode stands.
    pub const OPCODE: u16 = 0x7800;

    /// Whether every bit of `mask` is set.
    #[must_use]
    pub const fn has(self, mask: u16) -> bool {
        self.0 & mask == mask
    }

    /// The four bits of the opcode.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        Opcode(((self.0 & Self::OPCODE) >> 11) as u8)
    }

    /// The low four bits of the response code.
    #[must_use]
    pub const fn rcode(self) -> Rcode {
        Rcode(self.0 & 0x000f)
    }

    /// The flags of a response to a query with these flags: QR set, opcode and RD copied, the low four
    /// bits of `rcode` filled in.
    #[must_use]
    pub const fn response(self, rcode: Rcode) -> Self {
        Self(Self::QR | (self.0 & (Self::OPCODE | Self::RD)) | (rcode.0 & 0x000f))
    }
}

/// The header: identification, flags, and how many entries each section has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Chosen by the client, copied by the server.
    pub id: u16,
    /// Flags, opcode and response code.
    pub flags: Flags,
    /// QDCOUNT, ANCOUNT, NSCOUNT and ARCOUNT.
    pub counts: [u16; 4],
}

impl Header {
    /// Reads the 12 octets.
    ///
    /// # Errors
    /// A message that is shorter.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        const WHAT: &str = "a header of 12 octets";
        let id = reader.u16(WHAT)?;
        let flags = Flags(reader.u16(WHAT)?);
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = reader.u16(WHAT)?;
        }
        Ok(Self { id, flags, counts })
    }

    /// Writes the 12 octets.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.put_u16(self.id);
        writer.put_u16(self.flags.0);
        for count in self.counts {
            writer.put_u16(count);
        }
    }
}
