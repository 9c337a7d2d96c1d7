//! The small numbers of a message: opcode, response code, class. RFC 1035 §4.1.1, RFC 6895.

use std::fmt;

/// What kind of query a message is (four bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Self = Self(0);
    /// The status of a server, never put to use: RFC 1035 §4.1.1.
    pub const STATUS: Self = Self(2);
    /// A zone has changed: RFC 1996.
    pub const NOTIFY: Self = Self(4);
    /// Dynamic update: RFC 2136.
    pub const UPDATE: Self = Self(5);
    /// Stateful operations: RFC 8490.
    pub const DSO: Self = Self(6);
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("QUERY"),
            1 => f.write_str("IQUERY"),
            2 => f.write_str("STATUS"),
            4 => f.write_str("NOTIFY"),
            5 => f.write_str("UPDATE"),
            6 => f.write_str("DSO"),
            other => write!(f, "OPCODE{other}"),
        }
    }
}

/// How a query went (four bits in the header, eight more in OPT).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error; with an empty answer section this is NODATA (RFC 2308 §2.2).
    pub const NOERROR: Self = Self(0);
    /// The query could not be understood.
    pub const FORMERR: Self = Self(1);
    /// The server cannot answer now.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist.
    #[doc(alias = "name error")]
    pub const NXDOMAIN: Self = Self(3);
    /// The kind of query is not supported.
    pub const NOTIMP: Self = Self(4);
    /// The server does not want to answer.
    pub const REFUSED: Self = Self(5);
    /// A name exists that should not: RFC 2136 §2.2; or a DNAME makes a name too long: RFC 6672 §2.2.
    pub const YXDOMAIN: Self = Self(6);
    /// Records exist that should not: RFC 2136 §2.2.
    pub const YXRRSET: Self = Self(7);
    /// Records do not exist that should: RFC 2136 §2.2.
    pub const NXRRSET: Self = Self(8);
    /// The server has no authority for the zone (RFC 2136 §2.2), or the signature is no good
    /// (RFC 8945 §5.3).
    pub const NOTAUTH: Self = Self(9);
    /// A name is not within the zone: RFC 2136 §2.2.
    pub const NOTZONE: Self = Self(10);
    /// The EDNS version is not supported: RFC 6891 §6.1.3.
    pub const BADVERS: Self = Self(16);
    /// The signature is wrong: RFC 8945 §5.3.2. The number is that of BADVERS; this one stands in TSIG.
    pub const BADSIG: Self = Self(16);
    /// The key is not known: RFC 8945 §5.2.1.
    pub const BADKEY: Self = Self(17);
    /// The clocks are too far apart: RFC 8945 §5.2.3.
    pub const BADTIME: Self = Self(18);
    /// The mode of TKEY is not supported: RFC 2930 §2.6.
    pub const BADMODE: Self = Self(19);
    /// The name of a TKEY is in use: RFC 2930 §2.6.
    pub const BADNAME: Self = Self(20);
    /// The algorithm of a TKEY is not supported: RFC 2930 §2.6.
    pub const BADALG: Self = Self(21);
    /// The signature is cut too short: RFC 8945 §5.2.4.
    pub const BADTRUNC: Self = Self(22);
    /// The cookie is wrong or missing: RFC 7873 §8.
    pub const BADCOOKIE: Self = Self(23);
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 12] = [
            "NOERROR",
            "FORMERR",
            "SERVFAIL",
            "NXDOMAIN",
            "NOTIMP",
            "REFUSED",
            "YXDOMAIN",
            "YXRRSET",
            "NXRRSET",
            "NOTAUTH",
            "NOTZONE",
            "DSOTYPENI",
        ];
        const EXTENDED: [&str; 8] =
            ["BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE"];
        let extended = || usize::from(self.0).checked_sub(16).and_then(|index| EXTENDED.get(index));
        match NAMES.get(usize::from(self.0)).or_else(extended) {
            Some(name) => f.write_str(name),
            None => write!(f, "RCODE{}", self.0),
        }
    }
}

/// Which of the parallel name spaces; in practice always IN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// Chaosnet, used today to ask a server about itself.
    pub const CH: Self = Self(3);
    /// Hesiod.
    pub const HS: Self = Self(4);
    /// No class: in UPDATE, a condition or a deletion (RFC 2136 §2.4, §2.5).
    pub const NONE: Self = Self(254);
    /// Any class, in queries only.
    pub const ANY: Self = Self(255);

    /// The class a zone file calls `text`, also in the form `CLASS32` (RFC 3597 §5).
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        for (name, class) in [("IN", Self::IN), ("CH", Self::CH), ("HS", Self::HS)] {
            if text.eq_ignore_ascii_case(name.as_bytes()) {
                return Some(class);
            }
        }
        numbered(text, b"CLASS").map(Self)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("IN"),
            3 => f.write_str("CH"),
            4 => f.write_str("HS"),
            254 => f.write_str("NONE"),
            255 => f.write_str("ANY"),
            other => write!(f, "CLASS{other}"),
        }
    }
}

/// The number in `TYPE731` or `CLASS32`; `None` when the text has another form.
pub(super) fn numbered(text: &[u8], prefix: &[u8]) -> Option<u16> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    let plain = head.eq_ignore_ascii_case(prefix) && digits.iter().all(u8::is_ascii_digit);
    if plain { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}
