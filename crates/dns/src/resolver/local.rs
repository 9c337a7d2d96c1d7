//! Questions about the zones served here, and about names that are special everywhere.

use std::sync::Arc;

use doorway_base::{Verdict, Writer};

use super::Resolver;
use super::judge::{Asked, Judged, Meaning, judge};
use super::query;
use super::received::Received;
use super::special;
use crate::authority::Carrier;
use crate::authority::counters::Counters;
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::{Flags, Name, Rcode, Type};

impl Resolver {
    /// What this server itself says about a name; `None` when others are to be asked.
    pub(super) fn local(&mut self, name: &Name, kind: Type) -> Option<Judged> {
        self.zone_answer(name, kind).or_else(|| self.special(name, kind))
    }

    fn zone_answer(&mut self, name: &Name, kind: Type) -> Option<Judged> {
        let zones = self.local.current();
        if zones.list().is_empty() {
            return None;
        }
        self.key.set(zones.secret(), name.as_octets())?;
        let apex = zones.find(&self.key, 0)?.apex().clone();
        self.authority.take_up();
        let question = query::octets(0, 0, name, kind, None);
        self.reply_room.resize(MESSAGE_OCTETS_MAX, 0);
        let mut reply = Writer::new(&mut self.reply_room);
        if self.authority.respond(&question, Carrier::Stream, &mut reply) != Verdict::Reply {
            return None;
        }
        let received = Received::read(reply.written()).ok()?;
        // A cut in the zone leads elsewhere, and what is there is asked like anybody else.
        if !received.flags.has(Flags::AA) || received.rcode == Rcode::REFUSED {
            return None;
        }
        let asked = Asked {
            name,
            kind,
            zone: &apex,
            recursion: true,
            resort: false,
            bailiwick: false,
            aliases_max: u8::MAX,
        };
        let mut judged = judge(&received, &asked);
        if let Meaning::NoData = judged.meaning
            && judged.authority.is_empty()
            && judged.end != *name
        {
            judged.meaning = Meaning::Alias(judged.end.clone());
        }
        match judged.meaning {
            Meaning::Failed(_) | Meaning::Lame(_) | Meaning::Referral(_) => None,
            _ => Some(judged),
        }
    }

    fn special(&self, name: &Name, kind: Type) -> Option<Judged> {
        let zone = special::zone_of(name).filter(|zone| !self.is_configured_below(name, zone))?;
        if !self.config.special_names || kind == Type::DS && name == zone {
            return None;
        }
        let said = special::answer(name, kind, zone);
        let meaning = match said.rcode {
            Rcode::NXDOMAIN => Meaning::NoName,
            _ if said.answer.is_empty() => Meaning::NoData,
            _ => Meaning::Answer,
        };
        debug_assert!(name.is_within(&said.zone), "found by its zone");
        Some(Judged {
            meaning,
            answer: said.answer,
            authority: said.authority,
            additional: Vec::new(),
            end: name.clone(),
            authoritative: true,
        })
    }
}

/// Counters for questions that the resolver asks of its own zones; those of clients are counted apart.
pub(super) fn uncounted() -> Arc<Counters> {
    Arc::new(Counters::default())
}
