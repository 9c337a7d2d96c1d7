//! What changes between two versions of a zone, as IXFR (RFC 1995 §4) tells it and the journal keeps
//! it; and serial numbers, which go round (RFC 1982).
//!
//! A record is the same when owner, type and RDATA are; one whose TTL alone changes is removed and
//! added.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;

use doorway_base::{Malformed, Reader};

use super::Zone;
use super::draft::Draft;
use super::fault::Severity;
use super::records::{Place, comparable};
use super::table::HashKey;
use crate::wire::message::RawRecord;
use crate::wire::{Name, Record, Type};

/// Whether serial number `a` comes after `b`: RFC 1982 §3.2. Of two that are half the numbers apart,
/// neither does.
#[must_use]
pub const fn is_after(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && ahead < 1 << 31
}

/// SERIAL of a SOA record; 0 when it is none.
#[must_use]
pub fn serial(soa: &Record) -> u32 {
    numbers(soa).map_or(0, |numbers| numbers[0])
}

/// SERIAL, REFRESH, RETRY, EXPIRE and MINIMUM of a SOA record; `None` for another one.
#[must_use]
pub fn numbers(soa: &Record) -> Option<[u32; 5]> {
    let octets = soa.rdata.last_chunk::<20>().filter(|_| soa.kind == Type::SOA)?;
    let mut numbers = [0; 5];
    for (number, four) in numbers.iter_mut().zip(octets.as_chunks::<4>().0) {
        *number = u32::from_be_bytes(*four);
    }
    Some(numbers)
}

/// The same SOA record with another serial.
#[must_use]
pub fn with_serial(mut soa: Record, serial: u32) -> Record {
    if let Some(octets) = soa.rdata.last_chunk_mut::<20>() {
        octets[..4].copy_from_slice(&serial.to_be_bytes());
    }
    soa
}

/// A step from one version of a zone to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The SOA record before.
    pub old_soa: Record,
    /// Records that go, without the SOA record.
    pub removed: Vec<Record>,
    /// The SOA record after.
    pub new_soa: Record,
    /// Records that come, without the SOA record.
    pub added: Vec<Record>,
}

/// Why a change does not fit a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The zone has another serial than the change begins with.
    Serial {
        /// The zone's.
        zone: u32,
        /// The one the change begins with.
        change: u32,
    },
    /// A record that goes is not there.
    Missing(Box<Record>),
    /// A record that comes is there already.
    Present(Box<Record>),
    /// A record lies outside the zone, or the zone would be too large.
    Outside(Box<Name>),
    /// The zone that would come out cannot be served.
    Unservable(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { zone, change } => {
                write!(f, "the change begins with serial {change}, the zone has {zone}")
            }
            Self::Missing(record) => write!(f, "a record to be removed is not there: {record}"),
            Self::Present(record) => write!(f, "a record to be added is there already: {record}"),
            Self::Outside(name) => write!(f, "{name} is not within the zone, or the zone is full"),
            Self::Unservable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Unfit {}

impl Change {
    /// The serial it begins with.
    #[must_use]
    pub fn from(&self) -> u32 {
        serial(&self.old_soa)
    }

    /// The serial it leads to.
    #[must_use]
    pub fn to(&self) -> u32 {
        serial(&self.new_soa)
    }

    /// Every record in the order of IXFR: the old SOA, what goes, the new SOA, what comes.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        let old = std::iter::once(&self.old_soa).chain(&self.removed);
        old.chain(std::iter::once(&self.new_soa)).chain(&self.added)
    }

    /// About how many octets it has on the wire.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.records().map(record_octets).sum()
    }

    /// The change as the journal keeps it: its records one behind the other, in wire form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.octets());
        for record in self.records() {
            encode_record(record, &mut octets);
        }
        octets
    }

    /// The change that [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// Octets that are no row of records with two SOA records in it, the first of them at the start.
    pub fn decode(octets: &[u8]) -> Result<Self, Malformed> {
        let mut records = decode_records(octets)?.into_iter();
        let old_soa = records.next().filter(|record| record.kind == Type::SOA);
        let old_soa = old_soa.ok_or(Malformed::new("the SOA record before", 0))?;
        let (mut removed, mut added, mut new_soa) = (Vec::new(), Vec::new(), None);
        for record in records {
            match (&new_soa, record.kind) {
                (None, Type::SOA) => new_soa = Some(record),
                (None, _) => removed.push(record),
                (Some(_), Type::SOA) => return Err(Malformed::new("two SOA records", octets.len())),
                (Some(_), _) => added.push(record),
            }
        }
        let new_soa = new_soa.ok_or(Malformed::new("the SOA record after", octets.len()))?;
        Ok(Self { old_soa, removed, new_soa, added })
    }
}

/// Octets of a record written without compression.
#[must_use]
pub fn record_octets(record: &Record) -> usize {
    record.name.as_octets().len() + 10 + record.rdata.len()
}

/// Appends a record in wire form, names whole.
pub fn encode_record(record: &Record, octets: &mut Vec<u8>) {
    octets.extend_from_slice(record.name.as_octets());
    octets.extend(record.kind.0.to_be_bytes());
    octets.extend(record.class.0.to_be_bytes());
    octets.extend(record.ttl.to_be_bytes());
    octets.extend((record.rdata.len() as u16).to_be_bytes());
    octets.extend_from_slice(&record.rdata);
}

/// Records that [`encode_record`] wrote one behind the other.
///
/// # Errors
/// The first octet that does not fit.
pub fn decode_records(octets: &[u8]) -> Result<Vec<Record>, Malformed> {
    let mut reader = Reader::new(octets);
    let mut records = Vec::new();
    while !reader.is_empty() {
        let RawRecord { name, kind, class, ttl, rdata } = RawRecord::read(&mut reader)?;
        records.push(Record { name, kind, class, ttl, rdata: rdata.to_vec() });
    }
    Ok(records)
}

/// What becomes of the records of one name, step by step: what goes, and what comes.
#[derive(Debug, Default)]
pub(super) struct Edit<'c>(Vec<(Step, &'c Record)>);

/// How well an edit must fit the records that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// What goes is there and what comes is not.
    Exact,
    /// What is already so is left so; the zone gets this serial.
    Loose {
        /// The serial.
        serial: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Remove,
    Add,
}

impl Edit<'_> {
    /// The types of the records that come and go.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Type> + '_ {
        self.0.iter().map(|(_, record)| record.kind)
    }

    /// Makes the records of a name those after the edit.
    pub(super) fn apply(&self, records: &mut Vec<Record>, fit: Fit) -> Result<(), Unfit> {
        if let Fit::Loose { serial } = fit {
            for soa in records.iter_mut().filter(|record| record.kind == Type::SOA) {
                *soa = with_serial(soa.clone(), serial);
            }
        }
        for &(step, record) in &self.0 {
            let place = records.iter().position(|there| is_same(there, record));
            match (step, place) {
                _ if matches!(fit, Fit::Loose { .. }) && record.kind == Type::SOA => {}
                (Step::Remove, Some(place)) => drop(records.remove(place)),
                (Step::Remove, None) | (Step::Add, Some(_)) if matches!(fit, Fit::Loose { .. }) => {}
                (Step::Remove, None) => return Err(Unfit::Missing(Box::new(record.clone()))),
                (Step::Add, None) => records.push(record.clone()),
                (Step::Add, Some(_)) => return Err(Unfit::Present(Box::new(record.clone()))),
            }
        }
        Ok(())
    }
}

/// Whether two records of one name are the same one, whatever their TTL.
#[must_use]
pub fn is_same(a: &Record, b: &Record) -> bool {
    a.kind == b.kind
        && a.rdata.len() == b.rdata.len()
        && (a.rdata == b.rdata || comparable(a.kind, &a.rdata) == comparable(b.kind, &b.rdata))
}

/// The edits of changes in their order, by owner in lower case.
pub(super) fn edits<C: Borrow<Change>>(changes: &[C]) -> BTreeMap<Vec<u8>, Edit<'_>> {
    let mut edits: BTreeMap<Vec<u8>, Edit<'_>> = BTreeMap::new();
    for change in changes {
        let change: &Change = change.borrow();
        let mut step = Step::Remove;
        for (index, record) in change.records().enumerate() {
            if index > change.removed.len() {
                step = Step::Add;
            }
            let owner = record.name.lowered().as_octets().to_vec();
            edits.entry(owner).or_default().0.push((step, record));
        }
    }
    edits
}

impl Zone {
    /// The zone after `changes`, one after the other. `secret` is the one this zone was made with.
    ///
    /// # Errors
    /// [`Unfit`]; this zone stays as it is.
    pub fn changed<C: Borrow<Change>>(&self, changes: &[C], secret: HashKey) -> Result<Self, Unfit> {
        self.check_serials(changes)?;
        self.rebuilt(edits(changes), Fit::Exact, secret)
    }

    /// This zone with `changes` that were made to another version of it, as far as they are not made in it
    /// already. Its serial comes after all of theirs.
    ///
    /// # Errors
    /// [`Unfit`]; this zone stays as it is.
    pub fn merged<C: Borrow<Change>>(&self, changes: &[C], secret: HashKey) -> Result<Self, Unfit> {
        let newest = changes.last().map_or(self.serial, |change| change.borrow().to());
        let newest = if is_after(self.serial, newest) { self.serial } else { newest };
        let mut edits = edits(changes);
        edits.entry(self.apex.lowered().as_octets().to_vec()).or_default();
        self.rebuilt(edits, Fit::Loose { serial: newest.wrapping_add(1) }, secret)
    }

    /// Whether each change begins where the one before ends, and the first one with this zone.
    pub(super) fn check_serials<C: Borrow<Change>>(&self, changes: &[C]) -> Result<(), Unfit> {
        let mut serial = self.serial;
        for change in changes {
            let change: &Change = change.borrow();
            if serial != change.from() {
                return Err(Unfit::Serial { zone: serial, change: change.from() });
            }
            serial = change.to();
        }
        Ok(())
    }

    pub(super) fn rebuilt(
        &self,
        mut edits: BTreeMap<Vec<u8>, Edit<'_>>,
        fit: Fit,
        secret: HashKey,
    ) -> Result<Self, Unfit> {
        let mut draft = Draft::new(&self.apex, secret);
        let mut place = Place::default();
        while let Some(node) = self.step(&mut place) {
            let mut records = node.records();
            if let Some(edit) = edits.remove(node.name()) {
                edit.apply(&mut records, fit)?;
            }
            fill(&mut draft, &records)?;
        }
        for edit in edits.values() {
            let mut records = Vec::new();
            edit.apply(&mut records, fit)?;
            fill(&mut draft, &records)?;
        }
        Ok(Self::of_draft(&draft)?.with_rotate(self.rotate))
    }

    /// The zone that a draft makes.
    ///
    /// # Errors
    /// [`Unfit::Unservable`].
    pub fn of_draft(draft: &Draft) -> Result<Self, Unfit> {
        let mut errors = Vec::new();
        let zone = draft.render(&mut |_, severity, message| {
            if severity == Severity::Error && errors.len() < 4 {
                errors.push(message);
            }
        });
        zone.ok_or_else(|| Unfit::Unservable(errors.join("; ")))
    }

    /// What leads from this zone to `newer`, another version of it.
    #[must_use]
    pub fn difference(&self, newer: &Self, secret: HashKey) -> Change {
        let mut change =
            Change { old_soa: self.soa(), removed: Vec::new(), new_soa: newer.soa(), added: Vec::new() };
        let mut place = Place::default();
        while let Some(node) = self.step(&mut place) {
            let old = node.records();
            let name = Name::from_wire(node.name()).unwrap_or_default();
            let new = newer.node_of(&name, secret).map(|node| node.records()).unwrap_or_default();
            change.compare(old, new);
        }
        let mut place = Place::default();
        while let Some(node) = newer.step(&mut place) {
            let name = Name::from_wire(node.name()).unwrap_or_default();
            if self.node_of(&name, secret).is_none() {
                change.added.extend(node.records());
            }
        }
        change
    }
}

impl Change {
    fn compare(&mut self, old: Vec<Record>, mut new: Vec<Record>) {
        for record in old.into_iter().filter(|record| record.kind != Type::SOA) {
            match new.iter().position(|other| other.ttl == record.ttl && is_same(other, &record)) {
                Some(place) => drop(new.remove(place)),
                None => self.removed.push(record),
            }
        }
        self.added.extend(new.into_iter().filter(|record| record.kind != Type::SOA));
    }
}

/// Adds the records of one name to a draft.
pub(super) fn fill(draft: &mut Draft, records: &[Record]) -> Result<(), Unfit> {
    let Some(first) = records.first() else { return Ok(()) };
    let outside = || Unfit::Outside(Box::new(first.name.clone()));
    let node = draft.node(&first.name).ok_or_else(outside)?;
    for record in records {
        if !draft.add(node, record.kind, record.ttl, &record.rdata, 0) {
            return Err(outside());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
