//! The whole cache as octets, and back: for a snapshot that outlives a restart.
//!
//! The octets are for the same program on the same machine; their form may change with the version in
//! front. Reading them never trusts a length.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use doorway_base::{Instant, Malformed, Reader};

use super::entry::{Denial, Trust, Value};
use super::set::{Rows, RrSet};
use super::{Cache, Filter};
use crate::wire::{Name, Rcode, Type};

const VERSION: &[u8] = b"doorway cache 1\n";
const SET: u8 = 0;
const DENIAL: u8 = 1;
/// Sets of one denial at most: a SOA and the proofs beside it.
const DENIAL_SETS_MAX: u8 = 16;

impl Cache {
    /// Every live set and denial with the seconds it has left.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Vec<u8> {
        let mut out = VERSION.to_vec();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for entry in shard.entries().filter(|entry| entry.expires() > now) {
                let left = (entry.expires() - now).as_secs() as u32;
                let mut head = |sort: u8| {
                    out.extend([sort, entry.trust() as u8]);
                    out.extend(left.to_be_bytes());
                };
                match entry.value() {
                    Value::Set(set) => {
                        head(SET);
                        put_set(&mut out, set);
                    }
                    Value::Denial(denial) => {
                        head(DENIAL);
                        out.extend(entry.kind().0.to_be_bytes());
                        out.extend_from_slice(entry.name());
                        let sets = denial.authority.iter().take(usize::from(DENIAL_SETS_MAX));
                        out.push(sets.len() as u8);
                        sets.for_each(|set| put_set(&mut out, set));
                    }
                    Value::Beside(_) | Value::Failure { .. } => {}
                }
            }
        }
        out
    }

    /// Takes a snapshot back in, `away` after it was made. Returns how many entries were still live.
    ///
    /// # Errors
    /// Octets that no snapshot has; entries before them are kept.
    pub fn restore(&self, now: Instant, octets: &[u8], away: Duration) -> Result<usize, Malformed> {
        let mut reader = Reader::new(octets);
        if reader.take(VERSION.len(), "the version of a snapshot")? != VERSION {
            return Err(Malformed::new("the version of a snapshot", 0));
        }
        let away = u32::try_from(away.as_secs()).unwrap_or(u32::MAX);
        let mut restored = 0;
        while !reader.is_empty() {
            let sort = reader.u8("a sort of entry")?;
            let trust = Trust::from_number(reader.u8("a level of trust")?);
            let trust = trust.ok_or(reader.malformed("a level of trust"))?;
            let left = reader.u32("seconds left")?.saturating_sub(away);
            restored += usize::from(left > 0);
            match sort {
                SET => {
                    let set = Arc::new(take_set(&mut reader)?);
                    if left > 0 {
                        self.store_set(now, now, &set, left, trust, true);
                    }
                }
                DENIAL => {
                    let kind = Type(reader.u16("a type")?);
                    let name = Name::read(&mut reader)?;
                    let count = reader.u8("how many sets")?;
                    let sets: Result<Vec<_>, _> = (0..count.min(DENIAL_SETS_MAX))
                        .map(|_| take_set(&mut reader).map(Arc::new))
                        .collect();
                    let whole_name = kind == Type(0);
                    let rcode = if whole_name { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                    let denial = Arc::new(Denial { rcode, authority: sets? });
                    if left > 0 {
                        self.store_denial(now, &name, (!whole_name).then_some(kind), &denial, left);
                    }
                }
                _ => return Err(reader.malformed("a sort of entry")),
            }
        }
        Ok(restored)
    }

    /// Everything, as text of zone files, for people.
    #[must_use]
    pub fn dump(&self, now: Instant, filter: &Filter, count: usize) -> String {
        let mut out = String::new();
        for shown in self.show(now, filter, count) {
            let ttl = shown.remaining.map_or(0, |left| left.as_secs()) as u32;
            match &shown.value {
                Value::Set(set) => {
                    let mut records = Vec::new();
                    set.records(&shown.name, ttl, true, &mut records);
                    records.iter().for_each(|record| out.push_str(&format!("{record}\n")));
                }
                Value::Denial(denial) => {
                    out.push_str(&format!("; {} {ttl} {} {}\n", shown.name, shown.kind, denial.rcode));
                }
                Value::Beside(_) => {}
                Value::Failure { count, .. } => {
                    out.push_str(&format!("; {} {ttl} {} failed {count} times\n", shown.name, shown.kind));
                }
            }
        }
        out
    }
}

fn put_set(out: &mut Vec<u8>, set: &RrSet) {
    out.extend_from_slice(set.owner());
    out.extend(set.kind().0.to_be_bytes());
    for rows in [set.data(), set.signatures()] {
        out.extend((rows.clone().count() as u16).to_be_bytes());
        rows.for_each(|row| super::set::push(out, row));
    }
}

fn take_set(reader: &mut Reader<'_>) -> Result<RrSet, Malformed> {
    let owner = Name::read(reader)?;
    let kind = Type(reader.u16("a type")?);
    let mut rows = [Vec::new(), Vec::new()];
    for rows in &mut rows {
        for _ in 0..reader.u16("how many records")? {
            let length = reader.u16("the length of an RDATA")?;
            super::set::push(rows, reader.take(usize::from(length), "an RDATA")?);
        }
    }
    debug_assert!(Rows::new(&rows[0]).count() <= usize::from(u16::MAX), "counted in 16 bits");
    Ok(RrSet::new(&owner, kind, &rows[0], &rows[1]))
}
