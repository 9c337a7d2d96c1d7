//! An answer composed: RFC 1034 §4.3.2 steps 2 to 4, RFC 4035 §3.1, RFC 6672 §3.2.
//!
//! The first set of records is copied behind the question, whose name all its pointers lead to. What
//! follows an alias stands elsewhere in the message and is written record by record, with the names
//! that those pointers stood for.

use doorway_base::Writer;

use super::denial::Proofs;
use super::query::Query;
use super::{Carrier, refusal};
use crate::wire::edns::DO;
use crate::wire::{Flags, HEADER_OCTETS, NAME_OCTETS_MAX, Rcode, Type};
use crate::zone::node::{HASHED, Node, QNAME_POINTER, QUESTION_TAIL_OCTETS, RECORD_HEAD_OCTETS, RrSet};
use crate::zone::{Found, Key, Rotate, Zone, Zones};

/// Aliases followed for one question at most.
pub const ALIASES_MAX: usize = 16;

/// The last place that a pointer can name.
const POINTER_MAX: usize = 0x3fff;

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
    // Whether signatures and proofs are wanted: DO.
    signed: bool,
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
        Self {
            writer,
            octets_max,
            question_end,
            counts: [0; 3],
            flags: 0,
            elsewhere: Elsewhere::No,
            signed: false,
        }
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
        if let Some(rcode) = refusal(query.class, query.kind, carrier) {
            return rcode;
        }
        self.signed = query.edns.is_some_and(|edns| edns.flags & DO != 0);
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
        let mut proofs = Proofs::new(self.signed);
        for step in 0..=ALIASES_MAX {
            let Some(zone) = zone_for(zones, key, kind) else {
                // An alias may lead out of what we serve; the first name may not.
                if step == 0 {
                    self.elsewhere = Elsewhere::Refused;
                    return Ok(Rcode::REFUSED);
                }
                self.elsewhere = Elsewhere::Alias;
                break;
            };
            // RFC 1034 §4.3.5: a secondary whose zone has expired does not answer from it.
            if zone.is_unavailable() {
                return Ok(Rcode::SERVFAIL);
            }
            let found = zone.lookup(key);
            let node = match found {
                Found::Node(node) | Found::Wildcard(node) => node,
                // RFC 4035 §3.1.4.1: DS belongs to the parent's side of the cut.
                Found::Cut(cut) if kind == Type::DS && cut.name() == key.suffix(0) => cut,
                Found::Cut(cut) => {
                    return self.referral(zone, key, cut, owner, &mut proofs).map(|()| Rcode::NOERROR);
                }
                Found::Redirect(node) => {
                    self.flags |= Flags::AA;
                    // The last step is there for its data; one more alias is not followed.
                    if step == ALIASES_MAX {
                        break;
                    }
                    let again = seen.iter().flatten().any(|before| before.is(&node));
                    let Some(target) = self.redirect(zones, key, node, owner, again)? else {
                        self.prove(&proofs)?;
                        return Ok(Rcode::YXDOMAIN);
                    };
                    // It may lead to itself.
                    if key.suffix(key.labels().saturating_sub(node.labels())) == node.name() {
                        break;
                    }
                    seen[step] = Some(node);
                    // The CNAME record that was made is what such a question asks for.
                    if matches!(kind, Type::CNAME | Type::ANY) {
                        break;
                    }
                    owner = target;
                    continue;
                }
                Found::Nothing => {
                    self.negative(zone, owner)?;
                    proofs.name_error(zone, key);
                    self.prove(&proofs)?;
                    return Ok(Rcode::NXDOMAIN);
                }
            };
            self.flags |= Flags::AA;
            let wildcard = matches!(found, Found::Wildcard(_));
            // RFC 4035 §2.5: what an alias is signed with stands beside it.
            let beside = matches!(kind, Type::CNAME | Type::ANY | Type::RRSIG | Type::NSEC);
            let alias = if node.is_alias() && !beside { node.signed_set(Type::CNAME) } else { None };
            let Some((alias, signatures)) = alias else {
                let there = self.data(zone, key, rotation, node, kind, owner, carrier)?;
                match (there, wildcard) {
                    (true, false) => {}
                    (true, true) => proofs.wildcard(zone, key, node),
                    (false, true) => proofs.wildcard_no_data(zone, key, node),
                    (false, false) => proofs.no_data(zone, key, node),
                }
                break;
            };
            // The last step is there for its data; one more alias is not followed. Nor is one that
            // was followed before.
            let Some(place) = seen.get_mut(step) else { break };
            *place = Some(node);
            if wildcard {
                proofs.wildcard(zone, key, node);
            }
            let alias_at = self.writer.position();
            self.put(Section::Answer, alias, node, owner)?;
            self.put_signatures(Section::Answer, signatures, node, owner)?;
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
        self.prove(&proofs)?;
        Ok(Rcode::NOERROR)
    }

    // RFC 6672 §3.2: the DNAME record, and the CNAME record that it makes for the name in `key`, which
    // then has the new name. `None` when that would be too long. `again` says that the answer has the
    // DNAME record already.
    fn redirect(
        &mut self,
        zones: &Zones,
        key: &mut Key,
        node: Node<'_>,
        owner: Owner,
        again: bool,
    ) -> Result<Option<Owner>, Full> {
        let Some((set, signatures)) = node.signed_set(Type::DNAME) else { return Ok(None) };
        // Where the DNAME record's target stands, for a pointer to it.
        let mut target_at = usize::MAX;
        if !again {
            let redirect_at = self.writer.position();
            let name_octets = self.put_named(Section::Answer, set, node.name())?;
            // Before the RDATA stand the owner and ten octets.
            target_at = redirect_at + name_octets + RECORD_HEAD_OCTETS - 2;
            if let Some(signatures) = signatures.filter(|_| self.signed) {
                self.put_named(Section::Answer, signatures, node.name())?;
            }
        }
        let target = &set.records[RECORD_HEAD_OCTETS..];
        let prefix = key.suffix(0).len() - node.name().len();
        let mut name = [0; NAME_OCTETS_MAX];
        let Some(place) = name.get_mut(..prefix + target.len()) else { return Ok(None) };
        place[..prefix].copy_from_slice(&key.suffix(0)[..prefix]);
        place[prefix..].copy_from_slice(target);
        match owner {
            Owner::Question => self.writer.put_u16(QNAME_POINTER),
            Owner::Target(pointer) => self.writer.put_u16(pointer),
        }
        self.writer.put_u16(Type::CNAME.0);
        self.writer.put(&set.records[4..10]);
        let alias_at = self.writer.position() + 2;
        if target_at <= POINTER_MAX && target.len() > 1 {
            self.writer.put_u16(prefix as u16 + 2);
            match owner {
                // In the letters that the client wrote them in.
                Owner::Question => self.put_again(HEADER_OCTETS, prefix),
                Owner::Target(_) => self.writer.put(&place[..prefix]),
            }
            self.writer.put_u16(0xc000 | target_at as u16);
        } else {
            self.writer.put_u16(place.len() as u16);
            self.writer.put(place);
        }
        if self.writer.overflowed() || self.writer.position() > self.octets_max {
            return Err(Full);
        }
        self.counts[Section::Answer as usize] += 1;
        let whole = key.set(zones.secret(), &name[..prefix + target.len()]);
        Ok(whole.map(|_| Owner::Target(self.pointer_to(alias_at))))
    }

    // Writes octets of the message once more.
    fn put_again(&mut self, at: usize, octets: usize) {
        let mut again = [0; NAME_OCTETS_MAX];
        if let Some(written) = self.writer.written().get(at..at + octets) {
            again[..octets].copy_from_slice(written);
            self.writer.put(&again[..octets]);
        }
    }

    // The proofs of what is not there, with their signatures.
    fn prove(&mut self, proofs: &Proofs<'_>) -> Result<(), Full> {
        for (zone, node) in proofs.nodes() {
            let Some(denial) = zone.denial() else { continue };
            let Some((set, signatures)) = node.signed_set(denial.kind()) else { continue };
            self.put_named(Section::Authority, set, node.name())?;
            if let Some(signatures) = signatures {
                self.put_named(Section::Authority, signatures, node.name())?;
            }
        }
        Ok(())
    }

    // Whether there was anything of that type.
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
    ) -> Result<bool, Full> {
        if kind == Type::ANY || kind == Type::RRSIG {
            let sets = node.sets().filter(|set| set.kind != HASHED);
            let mut sets = sets.filter(|set| kind == Type::ANY || set.kind == Type::RRSIG).peekable();
            if sets.peek().is_some() {
                // RFC 8482 §4.1: over UDP one set stands for all, so that ANY amplifies nothing.
                if carrier == Carrier::Datagram && kind == Type::ANY {
                    let first = sets.find(|set| set.kind != Type::RRSIG);
                    let first = first.and_then(|set| node.signed_set(set.kind));
                    if let Some((set, signatures)) = first {
                        self.put(Section::Answer, set, node, owner)?;
                        self.put_signatures(Section::Answer, signatures, node, owner)?;
                        return Ok(true);
                    }
                }
                sets.try_for_each(|set| self.put(Section::Answer, set, node, owner))?;
                return Ok(true);
            }
        }
        let found = if self.signed { node.signed_set(kind) } else { node.set(kind).map(|set| (set, None)) };
        let Some((set, signatures)) = found else { return self.negative(zone, owner).map(|()| false) };
        if set.count > 1 && zone.rotate() == Rotate::Cyclic && matches!(kind, Type::A | Type::AAAA) {
            let first = rotation.next(key.hash(0), kind, set.count);
            let (last, first) = set.split(first);
            self.put(Section::Answer, first, node, owner)?;
            self.put(Section::Answer, last, node, owner)?;
        } else {
            self.put(Section::Answer, set, node, owner)?;
        }
        self.put_signatures(Section::Answer, signatures, node, owner).map(|()| true)
    }

    // RFC 2308 §2: the SOA says how long "no" may be kept.
    fn negative(&mut self, zone: &Zone, owner: Owner) -> Result<(), Full> {
        self.flags |= Flags::AA;
        let apex = zone.apex().as_octets();
        let signatures = Some(zone.negative_signatures()).filter(|_| self.signed);
        for set in [Some(zone.negative()), signatures].into_iter().flatten() {
            match owner {
                Owner::Question => self.put_behind_question(Section::Authority, set, apex.len())?,
                Owner::Target(_) => self.put_elsewhere(Section::Authority, set, apex, apex)?,
            }
        }
        Ok(())
    }

    // RFC 1034 §4.3.2 step 3b and RFC 9471: the servers below the cut, and how to reach them. RFC 4035
    // §3.1.4: whether the child is signed.
    fn referral<'z>(
        &mut self,
        zone: &'z Zone,
        key: &Key,
        cut: Node<'z>,
        owner: Owner,
        proofs: &mut Proofs<'z>,
    ) -> Result<(), Full> {
        self.elsewhere = Elsewhere::Referral;
        let mut sets = cut.sets();
        let (Some(servers), Some(glue), Some(more)) = (sets.next(), sets.next(), sets.next()) else {
            return Ok(());
        };
        let length = cut.name().len();
        match owner {
            Owner::Question => self.put_behind_question(Section::Authority, servers, length)?,
            Owner::Target(_) => self.put_elsewhere(Section::Authority, servers, cut.name(), cut.name())?,
        }
        if self.signed {
            match cut.signed_set(Type::DS) {
                Some((set, signatures)) => {
                    self.put_named(Section::Authority, set, cut.name())?;
                    if let Some(signatures) = signatures {
                        self.put_named(Section::Authority, signatures, cut.name())?;
                    }
                }
                None => proofs.no_data(zone, key, cut),
            }
            self.prove(proofs)?;
        }
        // Addresses that the client could ask for come along when there is room.
        let before;
        let fitted = match owner {
            Owner::Question => {
                self.put_behind_question(Section::Additional, glue, length)?;
                before = self.writer.position();
                self.put_behind_question(Section::Additional, more, length)
            }
            Owner::Target(_) => {
                self.put_glue_elsewhere(servers, glue, cut.name())?;
                before = self.writer.position();
                self.put_glue_elsewhere(servers, more, cut.name())
            }
        };
        if fitted.is_err() {
            self.writer.rewind(before);
        }
        Ok(())
    }

    fn put_signatures(
        &mut self,
        section: Section,
        signatures: Option<RrSet<'_>>,
        node: Node<'_>,
        owner: Owner,
    ) -> Result<(), Full> {
        match signatures.filter(|_| self.signed) {
            Some(signatures) => self.put(section, signatures, node, owner),
            None => Ok(()),
        }
    }

    // Writes a set whose RDATA hold no name that was compressed under the owner `name`, as much of it
    // as possible by a pointer into the question. Returns the octets that the first owner took.
    fn put_named(&mut self, section: Section, set: RrSet<'_>, name: &[u8]) -> Result<usize, Full> {
        let start = self.writer.position();
        let (own, shared) = self.shared_with_question(name);
        let first = QNAME_POINTER + shared as u16;
        let pointer = if own == 0 { first } else { 0xc000 | start as u16 };
        let mut at = 0;
        while let Some(head) = set.records[at..].first_chunk::<RECORD_HEAD_OCTETS>() {
            let end = at + RECORD_HEAD_OCTETS + usize::from(u16::from_be_bytes([head[10], head[11]]));
            if at > 0 && start <= POINTER_MAX {
                self.writer.put_u16(pointer);
            } else {
                self.writer.put(&name[..own]);
                self.writer.put_u16(first);
            }
            self.writer.put(&set.records[at + 2..end]);
            at = end;
        }
        if self.writer.overflowed() || self.writer.position() > self.octets_max {
            return Err(Full);
        }
        self.counts[section as usize] += set.count;
        Ok(own + 2)
    }

    // How many octets of `name` stand before the suffix that it shares with the question's name, and
    // where in that name the suffix begins.
    fn shared_with_question(&self, name: &[u8]) -> (usize, usize) {
        let end = self.question_end - QUESTION_TAIL_OCTETS;
        let question = self.writer.written().get(HEADER_OCTETS..end).unwrap_or_default();
        let mut own = 0;
        let mut at = 0;
        loop {
            let (mine, theirs) = (name.len() - own, question.len() - at);
            if mine == theirs && name[own..].eq_ignore_ascii_case(&question[at..]) || mine == 1 {
                return if mine == 1 { (name.len() - 1, question.len() - 1) } else { (own, at) };
            }
            // The longer one gives up a label; of two as long as each other, both do.
            if mine >= theirs {
                own += usize::from(name[own]) + 1;
            }
            if theirs >= mine {
                at += usize::from(question[at]) + 1;
            }
        }
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
