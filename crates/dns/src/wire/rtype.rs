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
    /// A domain name that may be compressed when written (RFC 3597 §4: only types of RFC 1035) and is
    /// lowered in canonical form.
    CompressibleName,
    /// A domain name that is written whole and lowered in canonical form (RFC 4034 §6.2).
    PlainName,
    /// A domain name that is written whole and keeps its letters in canonical form (RFC 6840 §5.1).
    ExactName,
    /// An 8-bit number.
    U8,
    /// A 16-bit number.
    U16,
    /// A 32-bit number.
    U32,
    /// A 32-bit span of time; in a zone file it may have units (`1h30m`).
    Seconds,
    /// A 32-bit moment, written `YYYYMMDDHHmmSS` or as a number (RFC 4034 §3.2).
    Moment,
    /// The number of a record type, written as its mnemonic.
    Type,
    /// The number of a DNSSEC algorithm; a mnemonic is read as well.
    Algorithm,
    /// The number of a certificate type; a mnemonic is read as well (RFC 4398 §2.1).
    CertificateType,
    /// An IPv4 address.
    Address4,
    /// An IPv6 address.
    Address6,
    /// A 48-bit hardware address (RFC 7043 §3).
    Eui48,
    /// A 64-bit hardware address (RFC 7043 §4).
    Eui64,
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
    /// Octets to the end, in base 64.
    Base64,
    /// The same, and there may be none.
    OptionalBase64,
    /// A length and that many octets, in hexadecimal; `-` for none (RFC 5155 §3.3).
    Salt,
    /// A length and that many octets, in base 32 with the extended hexadecimal alphabet (RFC 5155 §3.3).
    Hash,
    /// The types that a name has, to the end (RFC 4034 §4.1.2).
    TypeBitmap,
    /// Latitude, longitude, altitude, size and precision (RFC 1876 §2).
    Location,
    /// Address prefixes, to the end (RFC 3123 §4).
    Prefixes,
    /// Gateway type, algorithm, and the gateway that the first of them gives a form (RFC 4025 §2).
    Gateway,
    /// SvcParams, to the end (RFC 9460 §2).
    ServiceParameters,
    /// Octets to the end, in the form of RFC 3597 §5.
    Opaque,
}

use Field::{
    Address4, Address6, Algorithm, Base64, CertificateType, CompressibleName, Eui48, Eui64, ExactName,
    Gateway, Hash, Hex, Location, Moment, Opaque, OptionalBase64, PlainName, Prefixes, Salt, Seconds,
    ServiceParameters, String, Strings, Text, TypeBitmap, U8, U16, U32, Word,
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
const DIGEST: &[Field] = &[U16, Algorithm, U8, Hex];
const KEY: &[Field] = &[U16, U8, Algorithm, Base64];
const SIGNATURE: &[Field] = &[Field::Type, Algorithm, U8, U32, Moment, Moment, U16, PlainName, Base64];
const SERVICE: &[Field] = &[U16, ExactName, ServiceParameters];
const ASSOCIATION: &[Field] = &[U8, U8, U8, Hex];

// The types that zones are full of come first, because the table is searched from its start.
const TABLE: &[Row] = &[
    row(1, "A", &[Address4]),
    row(28, "AAAA", &[Address6]),
    row(46, "RRSIG", SIGNATURE),
    row(47, "NSEC", &[ExactName, TypeBitmap]),
    row(50, "NSEC3", &[U8, U8, U16, Salt, Hash, TypeBitmap]),
    row(15, "MX", &[U16, CompressibleName]),
    row(5, "CNAME", &[CompressibleName]),
    row(2, "NS", &[CompressibleName]),
    row(16, "TXT", &[Strings]),
    row(12, "PTR", &[CompressibleName]),
    row(33, "SRV", &[U16, U16, U16, PlainName]),
    row(6, "SOA", &[CompressibleName, CompressibleName, U32, Seconds, Seconds, Seconds, Seconds]),
    row(43, "DS", DIGEST),
    row(48, "DNSKEY", KEY),
    row(65, "HTTPS", SERVICE),
    row(64, "SVCB", SERVICE),
    row(52, "TLSA", ASSOCIATION),
    row(257, "CAA", &[U8, Word, Text]),
    row(39, "DNAME", &[PlainName]),
    row(35, "NAPTR", &[U16, U16, String, String, String, PlainName]),
    row(51, "NSEC3PARAM", &[U8, U8, U16, Salt]),
    row(59, "CDS", DIGEST),
    row(60, "CDNSKEY", KEY),
    row(63, "ZONEMD", &[U32, U8, U8, Hex]),
    row(62, "CSYNC", &[U32, U16, TypeBitmap]),
    row(44, "SSHFP", &[U8, U8, Hex]),
    row(53, "SMIMEA", ASSOCIATION),
    row(256, "URI", &[U16, U16, Text]),
    row(61, "OPENPGPKEY", &[Base64]),
    row(49, "DHCID", &[Base64]),
    row(13, "HINFO", &[String, String]),
    row(29, "LOC", &[Location]),
    row(17, "RP", &[PlainName, PlainName]),
    row(18, "AFSDB", &[U16, PlainName]),
    row(37, "CERT", &[CertificateType, U16, Algorithm, Base64]),
    row(42, "APL", &[Prefixes]),
    row(45, "IPSECKEY", &[U8, Gateway, OptionalBase64]),
    row(108, "EUI48", &[Eui48]),
    row(109, "EUI64", &[Eui64]),
    row(99, "SPF", &[Strings]),
    row(258, "AVC", &[Strings]),
    row(261, "RESINFO", &[Strings]),
    row(262, "WALLET", &[Strings]),
    row(25, "KEY", &[U16, U8, Algorithm, OptionalBase64]),
    row(24, "SIG", SIGNATURE),
    // Obsolete, and named because RFC 3597 §4 lets their names be compressed, or asks that a reader
    // undo it.
    row(3, "MD", &[CompressibleName]),
    row(4, "MF", &[CompressibleName]),
    row(7, "MB", &[CompressibleName]),
    row(8, "MG", &[CompressibleName]),
    row(9, "MR", &[CompressibleName]),
    row(14, "MINFO", &[CompressibleName, CompressibleName]),
    row(21, "RT", &[U16, PlainName]),
    row(26, "PX", &[U16, PlainName, PlainName]),
    row(36, "KX", &[U16, PlainName]),
    row(41, "OPT", UNKNOWN),
    row(255, "ANY", UNKNOWN),
    row(251, "IXFR", UNKNOWN),
    row(252, "AXFR", UNKNOWN),
    row(253, "MAILB", UNKNOWN),
    row(254, "MAILA", UNKNOWN),
    row(249, "TKEY", UNKNOWN),
    row(250, "TSIG", UNKNOWN),
    row(10, "NULL", UNKNOWN),
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
    /// What a host is; also the answer to ANY: RFC 1035 §3.3.2, RFC 8482 §4.2.
    pub const HINFO: Self = Self(13);
    /// Where mail goes: RFC 1035 §3.3.9.
    pub const MX: Self = Self(15);
    /// Text: RFC 1035 §3.3.14.
    pub const TXT: Self = Self(16);
    /// A signature over a message, or of the first DNSSEC: RFC 2931.
    pub const SIG: Self = Self(24);
    /// A key of the first DNSSEC and of SIG(0): RFC 2535 §3.
    pub const KEY: Self = Self(25);
    /// An IPv6 address: RFC 3596.
    pub const AAAA: Self = Self(28);
    /// Where a service is: RFC 2782.
    pub const SRV: Self = Self(33);
    /// A rule that rewrites a name: RFC 3403.
    pub const NAPTR: Self = Self(35);
    /// Another name for the whole tree below this one: RFC 6672.
    pub const DNAME: Self = Self(39);
    /// The EDNS pseudo-record: RFC 6891.
    pub const OPT: Self = Self(41);
    /// The parent's hash of a child's key: RFC 4034 §5. It lives above the cut.
    pub const DS: Self = Self(43);
    /// A signature over the records of one type: RFC 4034 §3.
    pub const RRSIG: Self = Self(46);
    /// The next name, and the types that this one has: RFC 4034 §4.
    pub const NSEC: Self = Self(47);
    /// A key that a zone is signed with: RFC 4034 §2.
    pub const DNSKEY: Self = Self(48);
    /// Which DHCP client a name belongs to: RFC 4701.
    pub const DHCID: Self = Self(49);
    /// The next hashed name, and the types that this one has: RFC 5155 §3.
    pub const NSEC3: Self = Self(50);
    /// How a zone's names are hashed: RFC 5155 §4.
    pub const NSEC3PARAM: Self = Self(51);
    /// The certificate of a TLS server: RFC 6698.
    pub const TLSA: Self = Self(52);
    /// The child's wish for its DS records: RFC 7344.
    pub const CDS: Self = Self(59);
    /// The child's wish for its DS records, as keys: RFC 7344.
    pub const CDNSKEY: Self = Self(60);
    /// What the parent may copy from the child: RFC 7477.
    pub const CSYNC: Self = Self(62);
    /// A digest of the whole zone: RFC 8976.
    pub const ZONEMD: Self = Self(63);
    /// How to reach a service: RFC 9460.
    pub const SVCB: Self = Self(64);
    /// How to reach a web server: RFC 9460 §9.
    pub const HTTPS: Self = Self(65);
    /// Who may send mail, obsolete: RFC 7208 §3.1.
    pub const SPF: Self = Self(99);
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
    /// Where a service is, as a URI: RFC 7553.
    pub const URI: Self = Self(256);
    /// Who may issue certificates: RFC 8659.
    pub const CAA: Self = Self(257);

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
        // No mnemonic begins with a digit, as many words beside types do.
        if text.first().is_none_or(u8::is_ascii_digit) {
            return None;
        }
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
