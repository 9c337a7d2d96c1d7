//! What a response means and what of it is believed: RFC 1034 §5.3.3, RFC 2308 §2, RFC 5452 §6, RFC 6672.
//!
//! A server is believed about the zone it was asked for and what is below, and about nothing else. Of
//! an answer section only the records on the way from the question are taken; of the authority section
//! NS, SOA and the proofs of denial; of the additional section addresses of the servers just named.

use std::sync::Arc;

use super::received::{Part, Received, Section};
use crate::cache::RrSet;
use crate::wire::{Flags, NAME_OCTETS_MAX, Name, Rcode, Type};

/// A set on its way to a client, with the seconds it may be kept.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) set: Arc<RrSet>,
    pub(super) ttl: u32,
}

impl Link {
    /// Whether it shows that something does not exist: RFC 4035 §3.1.3.
    pub(super) fn is_proof(&self) -> bool {
        matches!(self.set.kind(), Type::NSEC | Type::NSEC3)
    }
}

/// What was asked, and of whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) name: &'a Name,
    pub(super) kind: Type,
    /// The zone the server was asked as a server of.
    pub(super) zone: &'a Name,
    /// It was asked to do all the work (RD): its word is taken without AA.
    pub(super) recursion: bool,
    /// It was asked so as a last resort, being no authority: what it found elsewhere is taken too.
    pub(super) resort: bool,
    /// Whether sets outside `zone` are dropped.
    pub(super) bailiwick: bool,
    pub(super) aliases_max: u8,
}

/// What a response means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The data is there, at the end of the aliases.
    Answer,
    /// The aliases lead to this name, which is to be asked about next.
    Alias(Name),
    /// The name at the end of the aliases has no such data.
    NoData,
    /// The name at the end of the aliases does not exist.
    NoName,
    /// The servers of this zone are to be asked.
    Referral(Name),
    /// The server does not know the zone.
    Lame(&'static str),
    /// The server refuses or fails.
    Failed(Rcode),
    /// The alias would be a name that is too long: RFC 6672 §2.2.
    TooLong,
}

/// A response, judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) meaning: Meaning,
    /// The answer section, scrubbed: aliases in order, then the data.
    pub(super) answer: Vec<Link>,
    /// NS, or SOA with its proofs.
    pub(super) authority: Vec<Link>,
    /// Addresses of the servers in `authority`, and of names in the answer.
    pub(super) additional: Vec<Link>,
    /// The last name the aliases lead to; without aliases the question's.
    pub(super) end: Name,
    /// AA.
    pub(super) authoritative: bool,
}

fn link(part: &Part) -> Link {
    let set = RrSet::new(&part.owner, part.kind, &part.data, &part.signatures);
    Link { set: Arc::new(set), ttl: part.ttl }
}

/// The name that `dname` makes of `name`: `None` when it is too long.
pub(super) fn substituted(name: &Name, owner: &Name, target: &Name) -> Option<Name> {
    let keep = name.label_count().saturating_sub(owner.label_count());
    Name::from_labels(name.labels().take(keep).chain(target.labels()))
}

/// Judges a response.
pub(super) fn judge(received: &Received, asked: &Asked<'_>) -> Judged {
    let authoritative = received.flags.has(Flags::AA);
    let mut judged = Judged {
        meaning: Meaning::Lame("says nothing"),
        answer: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        end: asked.name.clone(),
        authoritative,
    };
    // YXDOMAIN tells of a DNAME that makes too long a name.
    if !matches!(received.rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN) {
        judged.meaning = Meaning::Failed(received.rcode);
        return judged;
    }
    let mut data = follow(received, asked, &mut judged);
    if asked.kind == Type::DS && judged.answer.is_empty() {
        // A referral to the zone itself brings its DS along: RFC 4035 §3.1.4.
        let mut beside = received.section(Section::Authority);
        let set = beside.find(|part| part.kind == Type::DS && part.owner == *asked.name);
        judged.answer.extend(set.filter(|part| part.owner.is_within(asked.zone)).map(link));
        data = !judged.answer.is_empty();
    }
    let aliased = judged.answer.len() > usize::from(data);
    let inside = |name: &Name| !asked.bailiwick || name.is_within(asked.zone);
    let end_inside = inside(&judged.end);
    let denial = received
        .section(Section::Authority)
        .find(|part| part.kind == Type::SOA && inside(&part.owner) && judged.end.is_within(&part.owner));
    let lame_recursion = !authoritative && received.flags.has(Flags::RA) && !asked.recursion && !asked.resort;
    judged.meaning = if judged.meaning == Meaning::TooLong {
        Meaning::TooLong
    } else if data {
        if lame_recursion { Meaning::Lame("only recurses") } else { Meaning::Answer }
    } else if received.rcode == Rcode::YXDOMAIN {
        Meaning::Failed(received.rcode)
    } else if received.rcode == Rcode::NXDOMAIN
        && end_inside
        && (!aliased || denial.is_some() || asked.recursion)
    {
        if lame_recursion && denial.is_none() { Meaning::Lame("only recurses") } else { Meaning::NoName }
    } else if aliased {
        match denial {
            Some(_) if end_inside => Meaning::NoData,
            _ => Meaning::Alias(judged.end.clone()),
        }
    } else if let Some(soa) = denial {
        // The SOA of another zone, without authority, is a referral gone wrong.
        if !authoritative && !asked.recursion && soa.owner != *asked.zone && !soa.owner.is_within(asked.zone)
        {
            Meaning::Lame("another zone's SOA")
        } else if lame_recursion {
            Meaning::Lame("only recurses")
        } else {
            Meaning::NoData
        }
    } else {
        referral_or_nothing(received, asked, authoritative, lame_recursion)
    };
    keep_authority(received, asked, &mut judged);
    judged
}

// Takes the answer section from the question's name along its aliases; true when the data is there.
fn follow(received: &Received, asked: &Asked<'_>, judged: &mut Judged) -> bool {
    let answers: Vec<&Part> = received.section(Section::Answer).collect();
    for _ in 0..=asked.aliases_max {
        let current = judged.end.clone();
        let of = |kind: Type| answers.iter().find(|part| part.kind == kind && part.owner == current);
        if asked.kind == Type::ANY {
            let all = answers.iter().filter(|part| part.owner == current);
            judged.answer.extend(all.map(|part| link(part)));
            return !judged.answer.is_empty();
        }
        if let Some(part) = of(asked.kind) {
            judged.answer.push(link(part));
            return true;
        }
        let above = |part: &&&Part| {
            part.kind == Type::DNAME
                && part.owner != current
                && current.is_within(&part.owner)
                && (!asked.bailiwick || part.owner.is_within(asked.zone))
        };
        let next = if let Some(dname) = answers.iter().find(above) {
            let Some(target) = dname.names().next() else { return false };
            judged.answer.push(link(dname));
            let Some(name) = substituted(&current, &dname.owner, &target) else {
                judged.meaning = Meaning::TooLong;
                return false;
            };
            debug_assert!(name.as_octets().len() <= NAME_OCTETS_MAX, "a name is never longer");
            let alias = RrSet::of_one(&current, Type::CNAME, name.as_octets());
            judged.answer.push(Link { set: Arc::new(alias), ttl: dname.ttl });
            name
        } else if let Some(alias) = of(Type::CNAME) {
            let Some(target) = alias.names().next() else { return false };
            judged.answer.push(link(alias));
            target
        } else {
            return false;
        };
        judged.end = next;
        if asked.bailiwick && !judged.end.is_within(asked.zone) || asked.aliases_max == 0 {
            return false;
        }
        // Round and round: the caller counts its own aliases and ends it.
        if judged.answer.iter().any(|link| link.set.kind() == Type::CNAME && link.set.name() == judged.end) {
            return false;
        }
    }
    false
}

fn referral_or_nothing(received: &Received, asked: &Asked<'_>, authoritative: bool, lame: bool) -> Meaning {
    for part in received.section(Section::Authority).filter(|part| part.kind == Type::NS) {
        if !asked.name.is_within(&part.owner) {
            continue;
        }
        if part.owner == *asked.zone {
            // One that was asked to recurse and does not is as lame as before.
            let recursed = asked.resort && received.flags.has(Flags::RA);
            return if authoritative || asked.recursion || recursed {
                Meaning::NoData
            } else {
                Meaning::Lame("refers to itself")
            };
        }
        if part.owner.is_within(asked.zone) {
            // RFC 4035 §3.1.4.1: DS of a zone is its parent's; a referral to the zone itself says none.
            if asked.kind == Type::DS && part.owner == *asked.name {
                return Meaning::NoData;
            }
            return if asked.recursion { Meaning::NoData } else { Meaning::Referral(part.owner.clone()) };
        }
        return Meaning::Lame("refers upwards");
    }
    if lame { Meaning::Lame("only recurses") } else { Meaning::NoData }
}

fn keep_authority(received: &Received, asked: &Asked<'_>, judged: &mut Judged) {
    let inside = |name: &Name| !asked.bailiwick || name.is_within(asked.zone);
    let referral = matches!(judged.meaning, Meaning::Referral(_));
    let negative = matches!(judged.meaning, Meaning::NoData | Meaning::NoName);
    let mut servers: Vec<Name> = Vec::new();
    for part in received.section(Section::Authority).filter(|part| inside(&part.owner)) {
        let taken = match part.kind {
            Type::NS => match &judged.meaning {
                Meaning::Referral(zone) => part.owner == *zone,
                _ => !asked.bailiwick || judged.end.is_within(&part.owner),
            },
            Type::SOA => judged.end.is_within(&part.owner) && !referral,
            Type::DS => referral,
            Type::NSEC | Type::NSEC3 => true,
            _ => false,
        };
        if !taken {
            continue;
        }
        if part.kind == Type::NS {
            servers.extend(part.names());
        }
        judged.authority.push(link(part));
    }
    if negative {
        // Of NS records beside a SOA nobody has a use.
        let soa = judged.authority.iter().any(|link| link.set.kind() == Type::SOA);
        if soa {
            judged.authority.retain(|link| link.set.kind() != Type::NS);
            servers.clear();
        }
    }
    for link in &judged.answer {
        let names: fn(&[u8]) -> Option<&[u8]> = match link.set.kind() {
            Type::NS => |row| Some(row),
            Type::MX => |row| row.get(2..),
            Type::SRV => |row| row.get(6..),
            _ => continue,
        };
        servers.extend(link.set.data().filter_map(names).filter_map(|name| Name::from_wire(name).ok()));
    }
    for part in received.section(Section::Additional) {
        let address = matches!(part.kind, Type::A | Type::AAAA);
        let named = !asked.bailiwick || servers.contains(&part.owner);
        let told = |link: &Link| link.set.kind() == part.kind && link.set.name() == part.owner;
        if address && named && inside(&part.owner) && !judged.answer.iter().any(told) {
            judged.additional.push(link(part));
        }
    }
}
