//! An RRset in the form it is kept in: the data of all its records in one run of octets.

use crate::wire::{Class, Name, Record, Type};

/// Records of one owner and type, with their signatures. The TTL is the holder's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrSet {
    owner: Box<[u8]>,
    kind: Type,
    // Each RDATA behind two octets of length.
    data: Box<[u8]>,
    signatures: Box<[u8]>,
}

impl RrSet {
    /// A set without records yet; `data` and `signatures` are rows made by [`push`].
    #[must_use]
    pub fn new(owner: &Name, kind: Type, data: &[u8], signatures: &[u8]) -> Self {
        Self { owner: owner.as_octets().into(), kind, data: data.into(), signatures: signatures.into() }
    }

    /// A set of one record.
    #[must_use]
    pub fn of_one(owner: &Name, kind: Type, rdata: &[u8]) -> Self {
        let mut data = Vec::with_capacity(rdata.len() + 2);
        push(&mut data, rdata);
        Self::new(owner, kind, &data, &[])
    }

    /// The owner in wire form, in the letter case it came in.
    #[must_use]
    pub fn owner(&self) -> &[u8] {
        &self.owner
    }

    /// The owner.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::from_wire(&self.owner).unwrap_or_default()
    }

    /// The type.
    #[must_use]
    pub const fn kind(&self) -> Type {
        self.kind
    }

    /// The RDATA of each record.
    #[must_use]
    pub const fn data(&self) -> Rows<'_> {
        Rows { rest: &self.data }
    }

    /// The RDATA of each RRSIG over the set.
    #[must_use]
    pub const fn signatures(&self) -> Rows<'_> {
        Rows { rest: &self.signatures }
    }

    /// Octets in memory.
    #[must_use]
    pub const fn octets(&self) -> usize {
        size_of::<Self>() + self.owner.len() + self.data.len() + self.signatures.len()
    }

    /// Appends the records, owned by `owner`, and with `dnssec` their signatures.
    pub fn records(&self, owner: &Name, ttl: u32, dnssec: bool, out: &mut Vec<Record>) {
        let mut add = |kind, rdata: &[u8]| {
            out.push(Record { name: owner.clone(), kind, class: Class::IN, ttl, rdata: rdata.to_vec() });
        };
        self.data().for_each(|rdata| add(self.kind, rdata));
        if dnssec {
            self.signatures().for_each(|rdata| add(Type::RRSIG, rdata));
        }
    }
}

/// Appends one RDATA to a run of rows.
pub fn push(rows: &mut Vec<u8>, rdata: &[u8]) {
    let length = rdata.len().min(usize::from(u16::MAX));
    rows.extend((length as u16).to_be_bytes());
    rows.extend_from_slice(&rdata[..length]);
}

/// RDATAs one after another. From [`RrSet::data`] and [`RrSet::signatures`].
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    rest: &'a [u8],
}

impl<'a> Rows<'a> {
    /// The rows that a run of octets holds.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let (row, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.rest = rest;
        Some(row)
    }
}
