//! The small numbers of a message: opcode, response code, class. RFC 1035 §4.1.1, RFC 6895.

use std::fmt;

/// What kind of query a message is (four bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Self = Self(0);
    /// A zone has changed: RFC 1996.
    pub const NOTIFY: Self = Self(4);
    /// Dynamic update: RFC 2136.
    pub const UPDATE: Self = Self(5);
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
    /// The EDNS version is not supported: RFC 6891 §6.1.3.
    pub const BADVERS: Self = Self(16);
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
        match (NAMES.get(usize::from(self.0)), self.0) {
            (Some(name), _) => f.write_str(name),
            (None, 16) => f.write_str("BADVERS"),
            (None, 23) => f.write_str("BADCOOKIE"),
            (None, other) => write!(f, "RCODE{other}"),
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
