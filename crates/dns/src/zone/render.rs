//! A draft made into a zone: every set of records becomes the octets that answers are copied from.

use crate::wire::rtype::Field;
use crate::wire::{Class, HEADER_OCTETS, Type, rdata};

use super::check::{self, Report};
use super::denial::{Chain, Denial};
use super::draft::{Draft, NodeId, room};
use super::fault::Severity;
use super::node::{
    ALIAS, BELOW, CUT, ENTRY_OCTETS, GLUE, HASH, HASHED, HEAD_OCTETS, QNAME_POINTER, QUESTION_TAIL_OCTETS,
    RECORD_HEAD_OCTETS, REDIRECT, RRSET_OCTETS_MAX, UNIT_OCTETS,
};
use super::table::{Key, Table};
use super::{Negative, Rotate, Zone};

/// The highest place a pointer may name, with room for the question's name to be 255 octets longer.
const POINTER_MAX: usize = 0x3fff - 255;

/// Names whose addresses go with a referral that are remembered; a zone with more is made anew for each
/// change.
const GLUED_MAX: usize = 65_536;

// A set as it will lie in the arena.
#[derive(Default)]
struct Rendered {
    kind: u16,
    count: u16,
    records: Vec<u8>,
    relocations: Vec<u16>,
}

struct Renderer<'d> {
    draft: &'d Draft,
    key: Key,
    sorted: Vec<u32>,
    glue: Vec<u32>,
    // Reused from node to node, so that a million names do not make a million allocations.
    sets: Vec<Rendered>,
    used: usize,
    // Hashes of the names of servers below cuts.
    glued: Vec<u64>,
}

impl Draft {
    /// Makes the zone, unless `report` hears of an error.
    pub(super) fn render(&self, report: &mut Report<'_>) -> Option<Zone> {
        let mut bad = false;
        let mut report = |line: u32, severity: Severity, message: String| {
            bad |= severity == Severity::Error;
            report(line, severity, message);
        };
        let zone = Renderer::new(self).zone(&mut report);
        zone.filter(|_| !bad)
    }
}

impl<'d> Renderer<'d> {
    fn new(draft: &'d Draft) -> Self {
        Self {
            draft,
            key: Key::default(),
            sorted: Vec::new(),
            glue: Vec::new(),
            sets: Vec::new(),
            used: 0,
            glued: Vec::new(),
        }
    }

    fn zone(mut self, report: &mut Report<'_>) -> Option<Zone> {
        let draft = self.draft;
        let mut zone = Zone {
            apex: draft.apex().clone(),
            // Offset 0 stands for nothing, so the first unit stays empty.
            arena: room(draft.answer_octets() + UNIT_OCTETS),
            table: Table::with_room(0),
            apex_at: 1,
            apex_labels: usize::from(draft.nodes[0].labels),
            labels_max: 0,
            negative: Negative::default(),
            denial: None,
            serial: 0,
            records: 0,
            names: draft.nodes.len(),
            rotate: Rotate::default(),
            unavailable: false,
            parents: Vec::new(),
            glued: None,
            overlay: None,
        };
        zone.arena.resize(UNIT_OCTETS, 0);
        let mut children = vec![0_u32; draft.nodes.len()];
        for node in &draft.nodes[1..] {
            children[node.parent as usize] += 1;
        }
        // Where each node lies, and the flags and link that its children go by.
        let mut places: Vec<(u32, u8)> = room(draft.nodes.len());
        let mut links: Vec<u32> = Vec::with_capacity(draft.nodes.len());
        let mut sorted = std::mem::take(&mut self.sorted);
        draft.group(NodeId(0), &mut sorted);
        let chain = Chain::of(draft, &sorted, report);
        let mut order: Vec<u32> = Vec::new();
        for (id, node) in (0..).zip(&draft.nodes) {
            draft.group(NodeId(id), &mut sorted);
            let name = draft.name(NodeId(id));
            let is_apex = id == 0;
            let wildcard = name.starts_with(b"\x01*") && !is_apex;
            let (parent_at, parent_flags) = if is_apex { (0, 0) } else { places[node.parent as usize] };
            if parent_flags & HASH != 0 {
                // It has a name below it, so it is one itself.
                zone.arena[parent_at as usize * UNIT_OCTETS + 1] &= !HASH;
            }
            let mut flags = if parent_flags & (CUT | BELOW | REDIRECT) != 0 { BELOW } else { 0 };
            let mut link = 0;
            let of = |kind| sorted.iter().any(|&index| draft.record(index).kind == kind);
            if chain.as_ref().is_some_and(|chain| chain.is_hash_alone(draft, &sorted)) {
                flags = HASH;
            } else if is_apex {
                check::apex(draft, &sorted, report);
                self.negative(&sorted, &mut zone);
            } else {
                check::below_apex(draft, NodeId(id), &sorted, report);
            }
            if flags == BELOW {
                // A node right below carries what it is below of; one deeper down what its parent has.
                let here = parent_flags & BELOW == 0;
                link = if here { parent_at } else { links[node.parent as usize] };
                if parent_flags & (CUT | REDIRECT) == REDIRECT {
                    check::below_redirect(draft, NodeId(id), &sorted, report);
                }
            } else if !is_apex && of(Type::NS) {
                // RFC 4592 §4.2 leaves open what a wildcard cut would be; here it is none.
                if wildcard {
                    check::wildcard_cut(draft, &sorted, report);
                } else {
                    flags = CUT;
                }
            }
            if of(Type::CNAME) {
                flags |= ALIAS;
            }
            if of(Type::DNAME) {
                flags |= REDIRECT;
            }
            links.push(link);
            self.used = 0;
            let signatures = sorted.partition_point(|&index| draft.record(index).kind < Type::RRSIG);
            let signatures = &sorted[signatures..];
            let signatures =
                &signatures[..signatures.partition_point(|&index| draft.record(index).kind == Type::RRSIG)];
            self.signatures(name, signatures, |covered| !of(covered));
            for set in sorted.chunk_by(|&a, &b| draft.record(a).kind == draft.record(b).kind) {
                let kind = draft.record(set[0]).kind;
                if kind != Type::RRSIG {
                    self.set(name, set, flags, report);
                    self.signatures(name, signatures, |covered| covered == kind);
                }
            }
            if flags & CUT != 0 {
                self.cut_first();
            }
            let hashed = matches!(chain, Some(Chain::Nsec3 { .. })) && flags & (BELOW | HASH) == 0;
            if hashed {
                self.next_set(HASHED).records.extend([0; 4]);
            }
            let Ok(at) = u32::try_from(zone.arena.len() / UNIT_OCTETS) else {
                report(0, Severity::Error, "expected a zone of at most 32 GiB".into());
                return None;
            };
            if children[id as usize] > 0 {
                zone.parents.push((at, children[id as usize]));
            }
            self.write(&mut zone.arena, name, flags, link);
            zone.labels_max = zone.labels_max.max(usize::from(node.labels));
            zone.records += sorted.len();
            places.push((at, flags));
            if wildcard && parent_flags & (CUT | BELOW | REDIRECT) == 0 {
                let link_at = parent_at as usize * UNIT_OCTETS + 4;
                zone.arena[link_at..link_at + 4].copy_from_slice(&at.to_le_bytes());
            }
            if chain.as_ref().is_some_and(|chain| chain.has(draft, &sorted, flags)) {
                order.push(at);
            }
        }
        let place = |id: u32| places[id as usize - 1].0;
        zone.table = draft.table.moved(places.len(), place, |id| draft.nodes[id as usize - 1].hash);
        zone.denial = chain.map(|chain| Denial::new(chain, order, &zone.arena, zone.apex_labels));
        if let Some(denial) = &zone.denial {
            for &(at, _) in &places {
                denial.link(&mut zone.arena, at);
            }
        }
        zone.parents.shrink_to_fit();
        self.glued.sort_unstable();
        self.glued.dedup();
        zone.glued = (self.glued.len() < GLUED_MAX).then_some(self.glued);
        zone.arena.shrink_to_fit();
        Some(zone)
    }

    // RFC 2308 §3: what a negative answer carries.
    fn negative(&mut self, sorted: &[u32], zone: &mut Zone) {
        let draft = self.draft;
        let Some(&soa) = sorted.iter().find(|&&index| draft.record(index).kind == Type::SOA) else { return };
        let data = draft.rdata(soa);
        let numbers = data.last_chunk::<20>().copied().unwrap_or_default();
        let (serial, minimum) = (numbers.first_chunk::<4>(), numbers.last_chunk::<4>());
        zone.serial = serial.map_or(0, |four| u32::from_be_bytes(*four));
        let minimum = minimum.map_or(0, |four| u32::from_be_bytes(*four));
        let ttl = draft.record(soa).ttl.min(minimum);
        let apex = draft.apex().lowered();
        let octets = |relocations: &[u16]| relocations.iter().flat_map(|at| at.to_le_bytes()).collect();
        let mut rendered = Rendered::default();
        rendered.record(apex.as_octets(), QNAME_POINTER, true, Type::SOA, ttl, data);
        let mut signatures = Rendered::default();
        for &index in sorted.iter().filter(|&&index| draft.covered(index) == Some(Type::SOA)) {
            let data = draft.rdata(index);
            signatures.record(apex.as_octets(), QNAME_POINTER, true, Type::RRSIG, ttl, data);
        }
        zone.negative = Negative {
            soa_relocations: octets(&rendered.relocations),
            soa: rendered.records,
            signatures_relocations: octets(&signatures.relocations),
            signatures_count: signatures.count,
            signatures: signatures.records,
        };
    }

    fn next_set(&mut self, kind: Type) -> &mut Rendered {
        if self.used == self.sets.len() {
            self.sets.push(Rendered::default());
        }
        self.used += 1;
        let set = &mut self.sets[self.used - 1];
        set.records.clear();
        set.relocations.clear();
        set.kind = kind.0;
        set.count = 0;
        set
    }

    fn set(&mut self, owner: &[u8], set: &[u32], flags: u8, report: &mut Report<'_>) {
        let draft = self.draft;
        let kind = draft.record(set[0]).kind;
        let ttl = if set.len() == 1 { draft.record(set[0]).ttl } else { check::times(draft, set, report) };
        let referral = kind == Type::NS && flags & CUT != 0;
        let rendered = self.next_set(kind);
        for &index in set {
            rendered.record(owner, QNAME_POINTER, referral, kind, ttl, draft.rdata(index));
            if rendered.records.len() > RRSET_OCTETS_MAX {
                let message =
                    format!("expected at most {RRSET_OCTETS_MAX} octets of {kind} records at one name");
                report(draft.record(index).line, Severity::Error, message);
                return rendered.records.clear();
            }
        }
        if referral {
            self.glue(owner, set, true, report);
            self.glue(owner, set, false, report);
        }
    }

    // A set of those signatures that cover one of `wanted` types, when there are any.
    fn signatures(&mut self, owner: &[u8], signatures: &[u32], wanted: impl Fn(Type) -> bool) {
        let draft = self.draft;
        let covers = |index: u32| draft.covered(index).is_some_and(&wanted);
        if !signatures.iter().any(|&index| covers(index)) {
            return;
        }
        let rendered = self.next_set(Type::RRSIG);
        for &index in signatures.iter().filter(|&&index| covers(index)) {
            let ttl = draft.record(index).ttl;
            rendered.record(owner, QNAME_POINTER, false, Type::RRSIG, ttl, draft.rdata(index));
            if rendered.records.len() > RRSET_OCTETS_MAX {
                // Signatures that fit into no message help nobody.
                rendered.records.clear();
                rendered.count = 0;
                return;
            }
        }
    }

    // The addresses of a cut's servers: those that lie below the cut must come with a referral, those
    // of other names in the zone may.
    fn glue(&mut self, cut: &[u8], servers: &[u32], required: bool, report: &mut Report<'_>) {
        let draft = self.draft;
        let mut group = std::mem::take(&mut self.glue);
        let ns = self.used - if required { 1 } else { 2 };
        self.next_set(GLUE);
        let mut server_at = 0;
        for &server in servers {
            let target = draft.rdata(server);
            let name_at = server_at + RECORD_HEAD_OCTETS;
            let ns_records = &self.sets[ns].records;
            let length =
                ns_records[name_at - 2..].first_chunk::<2>().map_or(0, |two| u16::from_be_bytes(*two));
            server_at = name_at + usize::from(length);
            if check::ends_with(target, cut) != required {
                continue;
            }
            if required {
                check::glue(draft, cut, &mut self.key, server, report);
            }
            let found = draft.find(&mut self.key, target);
            if self.glued.len() < GLUED_MAX {
                self.glued.push(self.key.hash(0));
            }
            let Some(node) = found else { continue };
            // A name that is only a pointer is pointed past, so that no pointer leads to a pointer.
            let pointer = match ns_records[name_at..].first_chunk::<2>() {
                Some(two) if two[0] >= 0xc0 => u16::from_be_bytes(*two),
                _ => 0xc000 | (HEADER_OCTETS + cut.len() + QUESTION_TAIL_OCTETS + name_at) as u16,
            };
            if name_at + HEADER_OCTETS + cut.len() + QUESTION_TAIL_OCTETS > POINTER_MAX {
                continue;
            }
            draft.group(node, &mut group);
            for &address in &group {
                let record = draft.record(address);
                if matches!(record.kind, Type::A | Type::AAAA) {
                    let glue = &mut self.sets[self.used - 1];
                    glue.record(cut, pointer, true, record.kind, record.ttl, draft.rdata(address));
                }
            }
        }
        self.glue = group;
        let glue = &mut self.sets[self.used - 1];
        if glue.records.len() + QUESTION_TAIL_OCTETS > RRSET_OCTETS_MAX {
            glue.records.clear();
            glue.relocations.clear();
            glue.count = 0;
        }
    }

    // Brings a cut's NS set and its two sets of glue to the front.
    fn cut_first(&mut self) {
        if let Some(ns) = self.sets[..self.used].iter().position(|set| set.kind == Type::NS.0) {
            self.sets[..ns + 3].rotate_right(3);
        }
    }

    fn write(&self, arena: &mut Vec<u8>, name: &[u8], flags: u8, link: u32) {
        let sets = &self.sets[..self.used];
        let start = arena.len();
        arena.extend([name.len() as u8, flags]);
        arena.extend((sets.len() as u16).to_le_bytes());
        arena.extend(link.to_le_bytes());
        debug_assert_eq!(arena.len() - start, HEAD_OCTETS);
        arena.extend_from_slice(name);
        for set in sets {
            let lengths = [set.kind, set.count, set.records.len() as u16, set.relocations.len() as u16];
            debug_assert_eq!(2 * lengths.len(), ENTRY_OCTETS);
            arena.extend(lengths.iter().flat_map(|number| number.to_le_bytes()));
        }
        for set in sets {
            arena.extend(set.relocations.iter().flat_map(|at| at.to_le_bytes()));
            arena.extend_from_slice(&set.records);
        }
        arena.resize(arena.len().next_multiple_of(UNIT_OCTETS), 0);
    }
}

impl Rendered {
    /// Appends one record whose owner is the pointer `pointer`; `moves` says whether that pointer
    /// moves with the question's name.
    fn record(&mut self, owner: &[u8], pointer: u16, moves: bool, kind: Type, ttl: u32, data: &[u8]) {
        let start = self.records.len();
        if moves {
            self.relocations.push(start as u16);
        }
        self.count += 1;
        self.records.extend(pointer.to_be_bytes());
        self.records.extend(kind.0.to_be_bytes());
        self.records.extend(Class::IN.0.to_be_bytes());
        self.records.extend(ttl.to_be_bytes());
        self.records.extend([0; 2]);
        rdata::for_each_field(kind, data, |field, octets| match field {
            Field::CompressibleName => self.name(owner, octets),
            _ => self.records.extend_from_slice(octets),
        });
        let length = (self.records.len() - start - RECORD_HEAD_OCTETS) as u16;
        let length_at = start + RECORD_HEAD_OCTETS - 2;
        self.records[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }

    // Writes a name with a pointer to the longest suffix that it shares with the owner. The `*` of a
    // wildcard is left out of that: the question has another label in its place.
    fn name(&mut self, owner: &[u8], name: &[u8]) {
        let shared_from = if owner.starts_with(b"\x01*") { 2 } else { 0 };
        let mut at = 0;
        while name[at] != 0 {
            let suffix = &name[at..];
            let place = owner.len().checked_sub(suffix.len()).filter(|&place| place >= shared_from);
            if let Some(place) = place.filter(|_| check::ends_with(owner, suffix)) {
                self.records.extend_from_slice(&name[..at]);
                self.relocations.push(self.records.len() as u16);
                return self.records.extend((QNAME_POINTER + place as u16).to_be_bytes());
            }
            at += usize::from(name[at]) + 1;
        }
        self.records.extend_from_slice(name);
    }
}
