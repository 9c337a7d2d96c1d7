//! Record types, and the table that says how the RDATA of each is built: RFC 1035 §3.2.2, RFC 3597.
//!
//! One row gives a type its mnemonic, its wire form, its presentation form and its compression, so a
//! new type is a new row. A type whose row has no fields, or that has no row, is carried as the
//! unknown types of RFC 3597 are: `\# length hex`.

use std::fmt;

use super::code::numbered;

/// The type of a record, or a question's QTYPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(pub u16);

/// One part of an RDATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A domain name that may be compressed when written (RFC 3597 §4: only types of RFC 1035).
    CompressibleName,
    /// A domain name that is written whole.
    PlainName,
    /// An 8-bit number.
    U8,
    /// A 16-bit number.
    U16,
    /// A 32-bit number.
    U32,
    /// A 32-bit span of time; in a zone file it may have units (`1h30m`).
    Seconds,
    /// An IPv4 address.
    Address4,
    /// An IPv6 address.
    Address6,
    /// One character-string.
    String,
    /// One character-string of letters and digits, written without quotes.
    Word,
    /// One or more character-strings, to the end.
    Strings,
    /// Text to the end, without a length before it.
    Text,
    /// Octets to the end, in hexadecimal.
    Hex,
    /// Octets to the end, in the form of RFC 3597 §5.
    Opaque,
}

use Field::{
    Address4, Address6, CompressibleName, Hex, Opaque, PlainName, Seconds, String, Strings, Text, U8, U16,
    U32, Word,
};

struct Row {
    kind: Type,
    mnemonic: &'static str,
    fields: &'static [Field],
}

const fn row(number: u16, mnemonic: &'static str, fields: &'static [Field]) -> Row {
    Row { kind: Type(number), mnemonic, fields }
}

const UNKNOWN: &[Field] = &[Opaque];

// The types that zones are full of come first, because the table is searched from its start.
const TABLE: &[Row] = &[
    row(1, "A", &[Address4]),
    row(28, "AAAA", &[Address6]),
    row(15, "MX", &[U16, CompressibleName]),
    row(5, "CNAME", &[CompressibleName]),
    row(2, "NS", &[CompressibleName]),
    row(16, "TXT", &[Strings]),
    row(12, "PTR", &[CompressibleName]),
    row(33, "SRV", &[U16, U16, U16, PlainName]),
    row(6, "SOA", &[CompressibleName, CompressibleName, U32, Seconds, Seconds, Seconds, Seconds]),
    row(43, "DS", &[U16, U8, U8, Hex]),
    row(52, "TLSA", &[U8, U8, U8, Hex]),
    row(257, "CAA", &[U8, Word, Text]),
    row(35, "NAPTR", &[U16, U16, String, String, String, PlainName]),
    row(13, "HINFO", &[String, String]),
    row(44, "SSHFP", &[U8, U8, Hex]),
    row(17, "RP", &[PlainName, PlainName]),
    row(18, "AFSDB", &[U16, PlainName]),
    row(41, "OPT", UNKNOWN),
    row(255, "ANY", UNKNOWN),
    row(251, "IXFR", UNKNOWN),
    row(252, "AXFR", UNKNOWN),
    row(253, "MAILB", UNKNOWN),
    row(254, "MAILA", UNKNOWN),
    row(249, "TKEY", UNKNOWN),
    row(250, "TSIG", UNKNOWN),
    // Named in questions and in the trace; their RDATA is carried whole.
    row(46, "RRSIG", UNKNOWN),
    row(47, "NSEC", UNKNOWN),
    row(48, "DNSKEY", UNKNOWN),
    row(50, "NSEC3", UNKNOWN),
    row(51, "NSEC3PARAM", UNKNOWN),
    row(64, "SVCB", UNKNOWN),
    row(65, "HTTPS", UNKNOWN),
    row(39, "DNAME", UNKNOWN),
];

impl Type {
    /// An IPv4 address: RFC 1035 §3.4.1.
    pub const A: Self = Self(1);
    /// A name server of a zone, and the mark of a zone cut: RFC 1035 §3.3.11.
    pub const NS: Self = Self(2);
    /// Another name for this one: RFC 1035 §3.3.1.
    pub const CNAME: Self = Self(5);
    /// Start of a zone of authority: RFC 1035 §3.3.13.
    pub const SOA: Self = Self(6);
    /// The name an address has: RFC 1035 §3.3.12.
    pub const PTR: Self = Self(12);
    /// Where mail goes: RFC 1035 §3.3.9.
    pub const MX: Self = Self(15);
    /// Text: RFC 1035 §3.3.14.
    pub const TXT: Self = Self(16);
    /// An IPv6 address: RFC 3596.
    pub const AAAA: Self = Self(28);
    /// Where a service is: RFC 2782.
    pub const SRV: Self = Self(33);
    /// The EDNS pseudo-record: RFC 6891.
    pub const OPT: Self = Self(41);
    /// The parent's hash of a child's key: RFC 4034 §5. It lives above the cut.
    pub const DS: Self = Self(43);
    /// Key exchange for TSIG: RFC 2930.
    pub const TKEY: Self = Self(249);
    /// A signature over the message: RFC 8945.
    pub const TSIG: Self = Self(250);
    /// Incremental zone transfer: RFC 1995.
    pub const IXFR: Self = Self(251);
    /// Whole zone transfer: RFC 5936.
    pub const AXFR: Self = Self(252);
    /// Mailbox records, obsolete.
    pub const MAILB: Self = Self(253);
    /// Mail agent records, obsolete.
    pub const MAILA: Self = Self(254);
    /// Any type, in questions only: RFC 8482.
    pub const ANY: Self = Self(255);

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.kind == self)
    }

    /// The parts of this type's RDATA, in order.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        self.row().map_or(UNKNOWN, |row| row.fields)
    }

    /// The type that a zone file calls `text`, also in the form `TYPE731` (RFC 3597 §5).
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let named = TABLE.iter().find(|row| text.eq_ignore_ascii_case(row.mnemonic.as_bytes()));
        named.map(|row| row.kind).or_else(|| numbered(text, b"TYPE").map(Self))
    }

    /// Whether the number stands for a question or for a record about the message itself, and so for
    /// nothing that a zone can hold (RFC 6895 §3.1).
    #[must_use]
    pub const fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => f.write_str(row.mnemonic),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}
