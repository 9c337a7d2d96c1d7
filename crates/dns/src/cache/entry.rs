//! What an entry of the cache says, how far it is trusted, and when it ends.

use std::sync::Arc;

use doorway_base::Instant;

use super::set::RrSet;
use crate::wire::{Rcode, Type};

/// How far data is trusted, least first: RFC 2181 §5.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Trust {
    /// The addresses in a referral, and the authority section of an answer without AA. Only for asking
    /// servers.
    Glue,
    /// The NS records of a referral.
    Referral,
    /// The additional section of an answer.
    Additional,
    /// The answer section of a reply without AA.
    Answer,
    /// The authority section of an authoritative answer.
    AuthoritativeAuthority,
    /// The answer section of an authoritative answer.
    AuthoritativeAnswer,
}

impl Trust {
    /// The level that [`persist`](super::persist) wrote as a number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Glue,
            1 => Self::Referral,
            2 => Self::Additional,
            3 => Self::Answer,
            4 => Self::AuthoritativeAuthority,
            5 => Self::AuthoritativeAnswer,
            _ => return None,
        })
    }
}

/// That something is not there: RFC 2308.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// NXDOMAIN, or NOERROR for a type that the name does not have.
    pub rcode: Rcode,
    /// The SOA and, for clients that want them, the records that prove it.
    pub authority: Vec<Arc<RrSet>>,
}

/// Sets that stood beside an answer, for servers whose answers are not minimal. They are entries of
/// their own and found as such.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beside {
    /// Owner and type of each set of the authority section.
    pub authority: Vec<(Box<[u8]>, Type)>,
    /// Of each set of the additional section.
    pub additional: Vec<(Box<[u8]>, Type)>,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// These are the records.
    Set(Arc<RrSet>),
    /// There are none.
    Denial(Arc<Denial>),
    /// These stood beside the answer: owner and type, in the authority or the additional section.
    Beside(Arc<Beside>),
    /// Nobody could tell: RFC 9520.
    Failure {
        /// How often in a row.
        count: u32,
        /// The extended error that says more.
        why: Option<(u16, String)>,
    },
}

impl Value {
    fn octets(&self) -> usize {
        match self {
            Self::Set(set) => set.octets(),
            Self::Denial(denial) => denial.authority.iter().map(|set| set.octets() + 8).sum(),
            Self::Beside(beside) => {
                let sets = beside.authority.iter().chain(&beside.additional);
                sets.map(|(owner, _)| owner.len() + 24).sum()
            }
            Self::Failure { why, .. } => why.as_ref().map_or(0, |(_, text)| text.len()),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What the entry says.
    pub value: Value,
    /// How far it is trusted.
    pub trust: Trust,
    /// When it was stored.
    pub stored: Instant,
    /// When it ends, or ended.
    pub expires: Instant,
}

impl Hit {
    /// Whether it still holds: to the last moment of its life, unless that is the first as well.
    #[must_use]
    pub fn is_live(&self, now: Instant) -> bool {
        self.expires > now || self.expires == now && self.stored < now
    }

    /// Whole seconds left, rounded up; 0 past the end.
    #[must_use]
    pub fn ttl(&self, now: Instant) -> u32 {
        let left = self.expires - now;
        (left.as_secs() + u64::from(left.subsec_nanos() > 0)).min(u64::from(u32::MAX)) as u32
    }
}

// Entries of one name and type stand side by side when they say different sorts of things: a failure
// must not push out the old data that is used because of it, nor a denial the glue that leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Sort {
    Data,
    Glue,
    Beside,
    Failure,
}

/// One entry.
#[derive(Debug)]
pub struct Entry {
    name: Box<[u8]>,
    kind: Type,
    value: Value,
    trust: Trust,
    stored: Instant,
    expires: Instant,
}

impl Entry {
    pub(super) fn new(
        name: &[u8],
        kind: Type,
        value: Value,
        trust: Trust,
        stored: Instant,
        expires: Instant,
    ) -> Self {
        Self { name: name.to_ascii_lowercase().into(), kind, value, trust, stored, expires }
    }

    /// The owner in wire form and lower case.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The type; 0 when the entry is about the whole name.
    #[must_use]
    pub const fn kind(&self) -> Type {
        self.kind
    }

    /// What it says.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// How far it is trusted.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// When it ends.
    #[must_use]
    pub const fn expires(&self) -> Instant {
        self.expires
    }

    // Memory, with what the table adds to each.
    pub(super) fn octets(&self) -> usize {
        const TABLE_OCTETS: usize = 96;
        size_of::<Self>() + TABLE_OCTETS + self.name.len() + self.value.octets()
    }

    pub(super) fn hit(&self) -> Hit {
        Hit { value: self.value.clone(), trust: self.trust, stored: self.stored, expires: self.expires }
    }
}
