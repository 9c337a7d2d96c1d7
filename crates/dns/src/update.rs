//! UPDATE: records of a zone changed by message. RFC 2136, RFC 3007.
//!
//! | file | what it holds |
//! | --- | --- |
//! | here | the message, its prerequisites, and what it changes |
//! | [`grant`] | which key may change what |
//! | [`serial`] | the serial number after a change |
//!
//! An update is a function of the zone: it gives a [`Change`] or a response code, and touches nothing.
//! Not here: signatures (`wire/tsig.rs`), and the journal that a change is in before it is answered (`io/`).

pub mod grant;
pub mod serial;

use std::collections::BTreeMap;

use doorway_base::{Malformed, Reader, UnixTime};

use crate::wire::message::RawRecord;
use crate::wire::{Class, Flags, Header, Name, Opcode, Question, Rcode, Record, Type, rdata};
use crate::zone::change::{self, is_after, is_same};
use crate::zone::{Change, HashKey, Zone};
use serial::SerialPolicy;

/// An UPDATE message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// ZNAME: the zone to change.
    pub apex: Name,
    /// What must hold before anything is done; the class says what kind of condition it is.
    pub prerequisites: Vec<Record>,
    /// What to add and to delete; the class says which.
    pub updates: Vec<Record>,
}

impl Update {
    /// Reads an UPDATE; `None` for a message of another opcode and for responses.
    ///
    /// # Errors
    /// An UPDATE that is malformed or has no zone section as RFC 2136 §2.3 wants it; the answer is FORMERR.
    pub fn read(octets: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(octets);
        let header = Header::read(&mut reader)?;
        if header.flags.opcode() != Opcode::UPDATE || header.flags.has(Flags::QR) {
            return Ok(None);
        }
        let [zones, prerequisites, updates, additionals] = header.counts;
        let zone_at = reader;
        let zone = Question::read(&mut reader)?;
        if zones != 1 || zone.kind != Type::SOA || zone.class != Class::IN {
            return Err(zone_at.malformed("one zone of class IN, as a question for its SOA record"));
        }
        let mut update = Self { apex: zone.name, prerequisites: Vec::new(), updates: Vec::new() };
        for _ in 0..prerequisites {
            update.prerequisites.push(read_record(&mut reader)?);
        }
        for _ in 0..updates {
            update.updates.push(read_record(&mut reader)?);
        }
        for _ in 0..additionals {
            RawRecord::read(&mut reader)?;
        }
        reader.finish("the end of the UPDATE")?;
        Ok(Some(update))
    }

    /// What the update makes of `zone`: `None` when nothing changes.
    ///
    /// `may` says whether the requestor may change records of a type at a name.
    ///
    /// # Errors
    /// The response code, after which nothing is changed.
    pub fn apply(
        &self,
        zone: &Zone,
        secret: HashKey,
        policy: SerialPolicy,
        now: UnixTime,
        may: impl Fn(&Name, Type) -> bool,
    ) -> Result<Option<Change>, Rcode> {
        let mut round = Round::new(zone, secret);
        round.attempt(self, may)?;
        Ok(round.change(policy, now))
    }

    // RFC 2136 §3.2.
    fn check_prerequisites(&self, sheet: &mut Sheet<'_>) -> Result<(), Rcode> {
        let mut wanted: BTreeMap<(Name, Type), Vec<&Record>> = BTreeMap::new();
        for condition in &self.prerequisites {
            if condition.ttl != 0 {
                return Err(Rcode::FORMERR);
            }
            if !condition.name.is_within(&self.apex) {
                return Err(Rcode::NOTZONE);
            }
            if condition.class == Class::IN {
                if condition.kind.is_meta() {
                    return Err(Rcode::FORMERR);
                }
                sheet.records(&condition.name);
                wanted.entry((condition.name.lowered(), condition.kind)).or_default().push(condition);
                continue;
            }
            if !condition.rdata.is_empty() {
                return Err(Rcode::FORMERR);
            }
            let records = sheet.records(&condition.name);
            let any = condition.kind == Type::ANY;
            let found = records.iter().any(|record| any || record.kind == condition.kind);
            match (condition.class, any, found) {
                (Class::ANY, true, false) => return Err(Rcode::NXDOMAIN),
                (Class::ANY, false, false) => return Err(Rcode::NXRRSET),
                (Class::NONE, true, true) => return Err(Rcode::YXDOMAIN),
                (Class::NONE, false, true) => return Err(Rcode::YXRRSET),
                (Class::ANY | Class::NONE, ..) => {}
                _ => return Err(Rcode::FORMERR),
            }
        }
        // A set must have exactly the records that were listed, whatever their TTL (§3.2.3).
        for ((name, kind), listed) in &wanted {
            let there = || sheet.names.get(name).into_iter().flatten().filter(|record| record.kind == *kind);
            let each = |record: &Record| there().any(|other| is_same(other, record));
            let all = there().all(|other| listed.iter().any(|record| is_same(other, record)));
            if there().next().is_none() || !all || !listed.iter().all(|record| each(record)) {
                return Err(Rcode::NXRRSET);
            }
        }
        Ok(())
    }

    // RFC 2136 §3.4.1.
    fn prescan(&self, zone: &Zone) -> Result<(), Rcode> {
        for record in &self.updates {
            if !record.name.is_within(zone.apex()) {
                return Err(Rcode::NOTZONE);
            }
            let meta = record.kind.is_meta();
            let right = match record.class {
                Class::IN => !meta,
                Class::ANY => {
                    record.ttl == 0 && record.rdata.is_empty() && (!meta || record.kind == Type::ANY)
                }
                Class::NONE => record.ttl == 0 && !meta,
                _ => false,
            };
            if !right {
                return Err(Rcode::FORMERR);
            }
        }
        Ok(())
    }

    // RFC 2136 §3.3, RFC 3007 §3. What deletes every type needs leave for each that is there.
    fn check_grants(&self, sheet: &mut Sheet<'_>, may: impl Fn(&Name, Type) -> bool) -> Result<(), Rcode> {
        for record in &self.updates {
            let allowed = if record.kind == Type::ANY {
                sheet.records(&record.name).iter().all(|there| may(&record.name, there.kind))
            } else {
                may(&record.name, record.kind) && !is_made_by_signing(record.kind)
            };
            if !allowed {
                return Err(Rcode::REFUSED);
            }
        }
        Ok(())
    }
}

/// Updates of one zone that become one change. Each sees what those before it did; one that is refused
/// leaves no trace.
pub struct Round<'z> {
    sheet: Sheet<'z>,
}

impl std::fmt::Debug for Round<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Round").field("names", &self.sheet.names.len()).finish_non_exhaustive()
    }
}

impl<'z> Round<'z> {
    /// No update of `zone` yet.
    #[must_use]
    pub fn new(zone: &'z Zone, secret: HashKey) -> Self {
        Self { sheet: Sheet { zone, secret, names: BTreeMap::new(), soa: None } }
    }

    /// Adds an update, if its prerequisites hold and `may` allows all of it.
    ///
    /// # Errors
    /// The response code; then nothing of it was added.
    pub fn attempt(&mut self, update: &Update, may: impl Fn(&Name, Type) -> bool) -> Result<(), Rcode> {
        let sheet = &mut self.sheet;
        update.check_prerequisites(sheet)?;
        update.prescan(sheet.zone)?;
        // Its signatures would no longer be right, and nobody here can make others.
        let apex = sheet.zone.node_of(sheet.zone.apex(), sheet.secret);
        if apex.is_some_and(|node| node.set(Type::DNSKEY).is_some()) {
            return Err(Rcode::REFUSED);
        }
        update.check_grants(sheet, may)?;
        for record in &update.updates {
            match record.class {
                Class::IN => sheet.add(record),
                Class::ANY => sheet.delete_sets(record),
                _ => sheet.delete(record),
            }
        }
        Ok(())
    }

    /// What all of it makes of the zone: `None` when nothing changes.
    #[must_use]
    pub fn change(self, policy: SerialPolicy, now: UnixTime) -> Option<Change> {
        self.sheet.change(policy, now)
    }
}

const fn is_made_by_signing(kind: Type) -> bool {
    matches!(kind, Type::RRSIG | Type::NSEC | Type::NSEC3 | Type::NSEC3PARAM)
}

// A record whose RDATA may be empty or compressed, whatever its class.
fn read_record(reader: &mut Reader<'_>) -> Result<Record, Malformed> {
    let raw = RawRecord::read(reader)?;
    let mut data = Vec::with_capacity(raw.rdata.len());
    let typed = matches!(raw.class, Class::IN | Class::NONE) && !raw.kind.is_meta();
    if typed && (raw.class == Class::IN || !raw.rdata.is_empty()) {
        let mut inside = Reader::at(reader.whole(), reader.position() - raw.rdata.len());
        rdata::read(raw.kind, &mut inside, raw.rdata.len(), &mut data)?;
    } else {
        data.extend_from_slice(raw.rdata);
    }
    Ok(Record { name: raw.name, kind: raw.kind, class: raw.class, ttl: raw.ttl, rdata: data })
}

// The names that an update touches, as they are after each of its steps.
struct Sheet<'z> {
    zone: &'z Zone,
    secret: HashKey,
    names: BTreeMap<Name, Vec<Record>>,
    // A SOA record that the update brings.
    soa: Option<Record>,
}

impl Sheet<'_> {
    fn records(&mut self, name: &Name) -> &mut Vec<Record> {
        let Self { zone, secret, names, .. } = self;
        names
            .entry(name.lowered())
            .or_insert_with(|| zone.node_of(name, *secret).map(|node| node.records()).unwrap_or_default())
    }

    // RFC 2136 §3.4.2.2.
    fn add(&mut self, new: &Record) {
        let at_apex = new.name == *self.zone.apex();
        if new.kind == Type::SOA {
            let current = self.soa.as_ref().map_or(self.zone.serial(), change::serial);
            if at_apex && is_after(change::serial(new), current) {
                self.soa = Some(Record { name: new.name.lowered(), ..new.clone() });
            }
            return;
        }
        let new = Record { name: new.name.lowered(), ..new.clone() };
        let records = self.records(&new.name);
        // An alias stands alone, but for what signing makes (RFC 4034 §3).
        let beside = |record: &&Record| !is_made_by_signing(record.kind);
        let alias = new.kind == Type::CNAME;
        if records.iter().filter(beside).any(|record| (record.kind == Type::CNAME) != alias) {
            return;
        }
        records.retain(|record| !(is_same(record, &new) || (alias && record.kind == Type::CNAME)));
        // RFC 2181 §5.2: the records of one type share a TTL, and the newest word counts.
        for record in records.iter_mut().filter(|record| record.kind == new.kind) {
            record.ttl = new.ttl;
        }
        records.push(new);
    }

    // RFC 2136 §3.4.2.3: the SOA and NS records of the zone itself stay.
    fn delete_sets(&mut self, what: &Record) {
        let at_apex = what.name == *self.zone.apex();
        self.records(&what.name).retain(|record| {
            let meant = what.kind == Type::ANY || record.kind == what.kind;
            !meant || (at_apex && matches!(record.kind, Type::SOA | Type::NS))
        });
    }

    // RFC 2136 §3.4.2.4: nor does the last NS record of the zone go.
    fn delete(&mut self, what: &Record) {
        let at_apex = what.name == *self.zone.apex();
        let records = self.records(&what.name);
        let servers = records.iter().filter(|record| record.kind == Type::NS).count();
        if what.kind == Type::SOA || (at_apex && what.kind == Type::NS && servers == 1) {
            return;
        }
        records.retain(|record| !is_same(record, what));
    }

    fn change(self, policy: SerialPolicy, now: UnixTime) -> Option<Change> {
        let old_soa = self.zone.soa();
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for (name, after) in self.names {
            let before = self.zone.node_of(&name, self.secret).map(|node| node.records()).unwrap_or_default();
            let same = |a: &Record, b: &Record| a.ttl == b.ttl && is_same(a, b);
            let gone = before.iter().filter(|old| !after.iter().any(|new| same(old, new)));
            removed.extend(gone.filter(|record| record.kind != Type::SOA).cloned());
            let come = after.iter().filter(|new| !before.iter().any(|old| same(old, new)));
            added.extend(come.filter(|record| record.kind != Type::SOA).cloned());
        }
        if self.soa.is_none() && removed.is_empty() && added.is_empty() {
            return None;
        }
        let new_soa = self.soa.unwrap_or_else(|| {
            change::with_serial(old_soa.clone(), policy.next(change::serial(&old_soa), now))
        });
        Some(Change { old_soa, removed, new_soa, added })
    }
}

#[cfg(test)]
mod tests;
