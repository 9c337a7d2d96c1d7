//! An answer composed: RFC 1034 §4.3.2 steps 2 to 4.
//!
//! The first set of records is copied behind the question, whose name all its pointers lead to. What
//! follows an alias stands elsewhere in the message and is written record by record, with the names
//! that those pointers stood for.

use doorway_base::Writer;

use super::query::Query;
use super::{Carrier, refusal};
use crate::wire::{Flags, HEADER_OCTETS, NAME_OCTETS_MAX, Rcode, Type};
use crate::zone::node::{Node, QUESTION_TAIL_OCTETS, RECORD_HEAD_OCTETS, RrSet};
use crate::zone::{Found, Key, Rotate, Zone, Zones};

/// Aliases followed for one question at most.
pub const ALIASES_MAX: usize = 16;

/// Sets whose turn is remembered apart, in one worker.
const TURNS: usize = 256;

/// Whose turn it is in each address set: RFC 1794.
///
/// Sets share a place when their hashes do; then one's turn moves the other's on.
#[derive(Debug)]
pub struct Rotation([u16; TURNS]);

impl Default for Rotation {
    fn default() -> Self {
        Self([0; TURNS])
    }
}

impl Rotation {
    // Which of `count` records comes first this time.
    fn next(&mut self, hash: u64, kind: Type, count: u16) -> usize {
        let turn = &mut self.0[(hash as usize ^ usize::from(kind.0)) % TURNS];
        let first = *turn % count;
        *turn = turn.wrapping_add(1);
        usize::from(first)
    }
}

// Where the owner name of the next records is in the message.
#[derive(Clone, Copy)]
enum Owner {
    // It is the question's name.
    Question,
    // It is the target of an alias; this is a pointer to it.
    Target(u16),
}

#[derive(Clone, Copy)]
enum Section {
    Answer,
    Authority,
    Additional,
}

/// A response under construction, from behind its question on.
#[derive(Debug)]
pub struct Answer<'a, 'w> {
    writer: &'a mut Writer<'w>,
    octets_max: usize,
    question_end: usize,
    counts: [u16; 3],
    flags: u16,
    elsewhere: Elsewhere,
}

/// Whether a resolver would have more to say than the authority had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Elsewhere {
    /// The answer is whole.
    #[default]
    No,
    /// The name is in none of the zones: REFUSED.
    Refused,
    /// An alias leads out of the zones.
    Alias,
    /// A referral: the name is below a cut.
    Referral,
}

// A set did not fit.
struct Full;

impl<'a, 'w> Answer<'a, 'w> {
    /// An answer behind the header and question that `writer` holds, of at most `octets_max` octets in
    /// all.
    pub const fn new(writer: &'a mut Writer<'w>, octets_max: usize) -> Self {
        let question_end = writer.position();
        Self { writer, octets_max, question_end, counts: [0; 3], flags: 0, elsewhere: Elsewhere::No }
    }

    /// ANCOUNT, NSCOUNT and ARCOUNT.
    #[must_use]
    pub const fn counts(&self) -> [u16; 3] {
        self.counts
    }

    /// AA and TC, as far as they apply.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        self.flags
    }

    /// Whether the answer ends where other servers go on.
    #[must_use]
    pub const fn elsewhere(&self) -> Elsewhere {
        self.elsewhere
    }

    /// Composes the answer to `query`, whose name `key` holds; `key` is changed when an alias is
    /// followed.
    pub fn compose(
        &mut self,
        zones: &Zones,
        key: &mut Key,
        rotation: &mut Rotation,
        query: &Query,
        carrier: Carrier,
    ) -> Rcode {
        if let Some(rcode) = refusal(query.class, query.kind) {
            return rcode;
        }
        match self.follow(zones, key, rotation, query.kind, carrier) {
            Ok(rcode) => rcode,
            Err(Full) => {
                // RFC 2181 §9: the client asks again over TCP and needs no part of an answer.
                self.writer.rewind(self.question_end);
                self.counts = [0; 3];
                self.flags |= Flags::TC;
                Rcode::NOERROR
            }
        }
    }

    fn follow(
        &mut self,
        zones: &Zones,
        key: &mut Key,
        rotation: &mut Rotation,
        kind: Type,
        carrier: Carrier,
    ) -> Result<Rcode, Full> {
        let mut owner = Owner::Question;
        let mut seen: [Option<Node<'_>>; ALIASES_MAX] = [None; ALIASES_MAX];
        for step in 0..=ALIASES_MAX {
            let Some(zone) = zone_for(zones, key, kind) else {
                // An alias may lead out of what we serve; the first name may not.
                let (elsewhere, rcode) = match step {
                    0 => (Elsewhere::Refused, Rcode::REFUSED),
                    _ => (Elsewhere::Alias, Rcode::NOERROR),
                };
                self.elsewhere = elsewhere;
                return Ok(rcode);
            };
            // RFC 1034 §4.3.5: a secondary whose zone has expired does not answer from it.
            if zone.is_unavailable() {
                return Ok(Rcode::SERVFAIL);
            }
            let node = match zone.lookup(key) {
                Found::Node(node) | Found::Wildcard(node) => node,
                // RFC 4035 §3.1.4.1: DS belongs to the parent's side of the cut.
                Found::Cut(cut) if kind == Type::DS && cut.name() == key.suffix(0) => cut,
                Found::Cut(cut) => return self.referral(cut, owner).map(|()| Rcode::NOERROR),
                Found::Nothing => return self.negative(zone, owner).map(|()| Rcode::NXDOMAIN),
            };
            self.flags |= Flags::AA;
            let alias = node.alias().filter(|_| kind != Type::CNAME && kind != Type::ANY);
            let Some(alias) = alias else {
                return self.data(zone, key, rotation, node, kind, owner, carrier).map(|()| Rcode::NOERROR);
            };
            // The last step is there for its data; one more alias is not followed. Nor is one that
            // was followed before.
            let Some(place) = seen.get_mut(step) else { break };
            *place = Some(node);
            let alias_at = self.writer.position();
            self.put(Section::Answer, alias, node, owner)?;
            let mut target = [0; NAME_OCTETS_MAX];
            let mut name = Writer::new(&mut target);
            expand(alias, RECORD_HEAD_OCTETS, alias.records.len(), node.name(), &mut name);
            if key.set(zones.secret(), name.written()).is_none() {
                break;
            }
            owner = Owner::Target(self.pointer_to(alias_at + RECORD_HEAD_OCTETS));
            if let Some(zone) = zone_for(zones, key, kind)
                && let Found::Node(next) | Found::Wildcard(next) = zone.lookup(key)
                && seen[..=step].iter().flatten().any(|before| before.is(&next))
            {
                break;
            }
        }
        Ok(Rcode::NOERROR)
    }

    #[expect(clippy::too_many_arguments, reason = "they are what a lookup ends with, and nothing else")]
    fn data(
        &mut self,
        zone: &Zone,
        key: &Key,
        rotation: &mut Rotation,
        node: Node<'_>,
        kind: Type,
        owner: Owner,
        carrier: Carrier,
    ) -> Result<(), Full> {
        if kind == Type::ANY {
            let mut sets = node.sets().peekable();
            if sets.peek().is_some() {
                // RFC 8482 §4.1: over UDP one set stands for all, so that ANY amplifies nothing.
                let count = if carrier == Carrier::Datagram { 1 } else { usize::MAX };
                return sets.take(count).try_for_each(|set| self.put(Section::Answer, set, node, owner));
            }
        }
        let Some(set) = node.set(kind) else { return self.negative(zone, owner) };
        if set.count > 1 && zone.rotate() == Rotate::Cyclic && matches!(kind, Type::A | Type::AAAA) {
            let first = rotation.next(key.hash(0), kind, set.count);
            let (last, first) = set.split(first);
            self.put(Section::Answer, first, node, owner)?;
            return self.put(Section::Answer, last, node, owner);
        }
        self.put(Section::Answer, set, node, owner)
    }

    // RFC 2308 §2: the SOA says how long "no" may be kept.
    fn negative(&mut self, zone: &Zone, owner: Owner) -> Result<(), Full> {
        self.flags |= Flags::AA;
        let apex = zone.apex().as_octets();
        match owner {
            Owner::Question => self.put_behind_question(Section::Authority, zone.negative(), apex.len()),
            Owner::Target(_) => self.put_elsewhere(Section::Authority, zone.negative(), apex, apex),
        }
    }

    // RFC 1034 §4.3.2 step 3b and RFC 9471: the servers below the cut, and how to reach them.
    fn referral(&mut self, cut: Node<'_>, owner: Owner) -> Result<(), Full> {
        self.elsewhere = Elsewhere::Referral;
        let mut sets = cut.sets();
        let (Some(servers), Some(glue), Some(more)) = (sets.next(), sets.next(), sets.next()) else {
            return Ok(());
        };
        if let Owner::Target(_) = owner {
            self.put_elsewhere(Section::Authority, servers, cut.name(), cut.name())?;
            self.put_glue_elsewhere(servers, glue, cut.name())?;
            let before = self.writer.position();
            if self.put_glue_elsewhere(servers, more, cut.name()).is_err() {
                self.writer.rewind(before);
            }
            return Ok(());
        }
        let length = cut.name().len();
        self.put_behind_question(Section::Authority, servers, length)?;
        self.put_behind_question(Section::Additional, glue, length)?;
        // Addresses that the client could ask for come along when there is room.
        let _ = self.put_behind_question(Section::Additional, more, length);
        Ok(())
    }

    fn put(&mut self, section: Section, set: RrSet<'_>, node: Node<'_>, owner: Owner) -> Result<(), Full> {
        match owner {
            Owner::Question => self.put_behind_question(section, set, node.name().len()),
            Owner::Target(pointer) => self.put_elsewhere(section, set, &pointer.to_be_bytes(), node.name()),
        }
    }

    // Copies a set whose pointers lead into the question's name, the last `name_octets` of which are
    // the name the set was made for. Puts nothing when it does not fit.
    fn put_behind_question(
        &mut self,
        section: Section,
        set: RrSet<'_>,
        name_octets: usize,
    ) -> Result<(), Full> {
        let start = self.writer.position();
        if start + set.records.len() > self.octets_max {
            return Err(Full);
        }
        self.writer.put(set.records);
        // QTYPE and QCLASS stand between the name and the end of the question. Its name is never the
        // shorter one: it has at least one octet where a wildcard has its `*`.
        let shift = (self.question_end - HEADER_OCTETS - QUESTION_TAIL_OCTETS).wrapping_sub(name_octets);
        if shift != 0 {
            let written = self.writer.written_mut();
            for at in set.relocations() {
                if let Some(two) = written.get_mut(start + at..).and_then(|rest| rest.first_chunk_mut::<2>())
                {
                    *two = u16::from_be_bytes(*two).wrapping_add(shift as u16).to_be_bytes();
                }
            }
        }
        self.counts[section as usize] += set.count;
        Ok(())
    }

    // Writes a set under another owner, given as a name or as a pointer to one. `made_for` is the name
    // that the set's own pointers lead into.
    fn put_elsewhere(
        &mut self,
        section: Section,
        set: RrSet<'_>,
        owner: &[u8],
        made_for: &[u8],
    ) -> Result<(), Full> {
        let mut at = 0;
        while let Some(head) = set.records[at..].first_chunk::<RECORD_HEAD_OCTETS>() {
            let data_at = at + RECORD_HEAD_OCTETS;
            let end = data_at + usize::from(u16::from_be_bytes([head[10], head[11]]));
            self.writer.put(owner);
            self.writer.put(&head[2..10]);
            let length_at = self.writer.position();
            self.writer.put_u16(0);
            expand(set, data_at, end, made_for, self.writer);
            let length = self.writer.position().wrapping_sub(length_at + 2);
            self.writer.patch_u16(length_at, length as u16);
            if self.writer.overflowed() || self.writer.position() > self.octets_max {
                return Err(Full);
            }
            at = end;
        }
        self.counts[section as usize] += set.count;
        Ok(())
    }

    // Writes addresses that go with `servers`. Their owners are the cut or names in those NS records, as
    // they would stand behind a question for the cut.
    fn put_glue_elsewhere(&mut self, servers: RrSet<'_>, glue: RrSet<'_>, cut: &[u8]) -> Result<(), Full> {
        let mut at = 0;
        while let Some(head) = glue.records[at..].first_chunk::<RECORD_HEAD_OCTETS>() {
            let end = at + RECORD_HEAD_OCTETS + usize::from(u16::from_be_bytes([head[10], head[11]]));
            let into_cut = usize::from(u16::from_be_bytes([head[0], head[1]]) & 0x3fff) - HEADER_OCTETS;
            match into_cut.checked_sub(cut.len() + QUESTION_TAIL_OCTETS) {
                None => self.writer.put(&cut[into_cut..]),
                Some(name_at) => {
                    let length = [servers.records[name_at - 2], servers.records[name_at - 1]];
                    let name_end = name_at + usize::from(u16::from_be_bytes(length));
                    expand(servers, name_at, name_end, cut, self.writer);
                }
            }
            self.writer.put(&glue.records[at + 2..end]);
            if self.writer.overflowed() || self.writer.position() > self.octets_max {
                return Err(Full);
            }
            at = end;
        }
        self.counts[Section::Additional as usize] += glue.count;
        Ok(())
    }

    // A pointer to the name at `at`, which may itself be no more than a pointer.
    fn pointer_to(&self, at: usize) -> u16 {
        match self.writer.written().get(at..).and_then(|rest| rest.first_chunk::<2>()) {
            Some(two) if two[0] >= 0xc0 => u16::from_be_bytes(*two),
            _ => 0xc000 | at as u16,
        }
    }
}

// The zone to look in. RFC 4035 §3.1.4.1: for DS that of the parent, when we serve both sides.
fn zone_for<'z>(zones: &'z Zones, key: &Key, kind: Type) -> Option<&'z Zone> {
    if kind == Type::DS && key.labels() > 0 {
        return zones.find(key, 1).or_else(|| zones.find(key, 0));
    }
    zones.find(key, 0)
}

// Writes the octets `from..to` of a set's records with the names that their pointers stand for.
fn expand(set: RrSet<'_>, from: usize, to: usize, made_for: &[u8], writer: &mut Writer<'_>) {
    let (start, mut from) = (from, from);
    for at in set.relocations().skip_while(|&at| at < start).take_while(|&at| at < to) {
        writer.put(&set.records[from..at]);
        if let Some(two) = set.records[at..].first_chunk::<2>() {
            let into_name = usize::from(u16::from_be_bytes(*two) & 0x3fff) - HEADER_OCTETS;
            writer.put(&made_for[into_name..]);
        }
        from = at + 2;
    }
    writer.put(&set.records[from..to]);
}
