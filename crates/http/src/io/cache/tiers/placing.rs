//! Where responses lie on disk: what the writer tells the index, and asks of it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::super::disk::{DiskContent, Files};
use super::super::hosts::Host;
use super::super::index::{Entry, Place};
use super::super::lock;
use super::super::object::{Content, Id, Object};
use super::Tiers;
use crate::cache::catalogue::Catalogue;
use crate::cache::purges::{Order, Purges, Sentence, Subject, Target};
use crate::cache::record::{Kind, Layout};

impl Tiers {
    /// How many orders a response has heard of, if it is still to be kept.
    pub(in crate::io::cache) fn still_wanted(&self, object: &Object) -> Option<u64> {
        let Id { number, name, .. } = *object.id();
        let last = self.orders_so_far();
        let since = self.index.look(name, |entries| {
            entries.iter().find(|entry| entry.number == number).map(|entry| entry.purges)
        })??;
        match self.judge(since, object) {
            Sentence::Keep => Some(last),
            // The order stays in the log for it.
            Sentence::Validate => Some(since),
            Sentence::Forget | Sentence::NeedsUrl => None,
        }
    }

    /// Where the content of a response lies on disk, and the oldest segment that has some of it.
    pub(in crate::io::cache) fn layout_on_disk(
        &self,
        files: &Files,
        object: &Object,
    ) -> Option<(Layout, u32)> {
        let Id { number, name, .. } = *object.id();
        if let Content::Disk(content) = object.content() {
            return Some(content.layout());
        }
        let place = self.index.look(name, |entries| {
            entries.iter().find(|entry| entry.number == number).and_then(|entry| entry.place)
        })??;
        let content = DiskContent::at(files, place.segment, place.at, place.head_octets)?;
        Some(content.layout())
    }

    /// A response was written; false when it was forgotten meanwhile. `content` is where that is, when it is
    /// nowhere else.
    pub(in crate::io::cache) fn placed(
        &self,
        object: &Object,
        place: Place,
        content: Option<DiskContent>,
    ) -> bool {
        let Id { number, name, .. } = *object.id();
        let mut weight = 0;
        let placed = self.index.look(name, |entries| {
            let entry = entries.iter_mut().find(|entry| entry.number == number)?;
            entry.place = Some(place);
            entry.asked = false;
            if let Some(content) = content {
                let octets = content.octets();
                let kept = object.with_content(octets, Content::Disk(Arc::new(content)));
                weight = kept.weight();
                entry.object = Some(Arc::new(kept));
            }
            Some(())
        });
        if weight > 0 {
            self.admit(name, number, weight);
        }
        placed.flatten().is_some()
    }

    /// A segment goes, and with it what a response has there. True when the response lies there as a whole,
    /// was asked for, and may stay: it is going to be [moved](Tiers::moved).
    pub(in crate::io::cache) fn leave_segment(
        &self,
        name: u64,
        variant: u64,
        segment: u32,
        may_stay: bool,
    ) -> bool {
        let mut stays = false;
        let gone = self.index.change(name, |entries| {
            entries.take(|entry| {
                let Some(place) = entry.place.filter(|place| place.oldest <= segment) else { return false };
                if entry.variant != variant {
                    return false;
                }
                if may_stay && entry.asked && place.segment == segment {
                    stays = true;
                    return false;
                }
                entry.place = None;
                !matches!(entry.object.as_ref().map(|object| object.content()), Some(Content::Memory(_)))
            })
        });
        self.bury(gone.into_iter().map(|entry| (name, entry)), false);
        stays
    }

    /// A response that lay in the segment `from` lies at `place` now.
    pub(in crate::io::cache) fn moved(&self, name: u64, variant: u64, from: u32, place: Place) {
        let mut weight = 0;
        self.index.look(name, |entries| {
            let moved = entries.iter_mut().find(|entry| {
                entry.variant == variant && entry.place.is_some_and(|place| place.segment == from)
            })?;
            moved.place = Some(place);
            moved.asked = false;
            if let Some(object) = moved.object.take_if(|object| matches!(object.content(), Content::Disk(_)))
            {
                weight = object.weight();
            }
            Some(())
        });
        if weight > 0 {
            self.memory.leave(weight);
        }
    }

    /// Takes up what a segment holds that was written before a restart. Segments before `oldest` are gone.
    pub(in crate::io::cache) fn take_up(&self, segment: u32, list: Catalogue, purges: &Purges, oldest: u32) {
        let hosts: Vec<Arc<Host>> = list.hosts.iter().map(|host| self.host(host)).collect();
        for row in list.rows {
            let Some(host) = hosts.get(row.host as usize) else { continue };
            if row.kind == Kind::Piece || row.oldest < oldest {
                continue;
            }
            let (name, variant) = (row.name, row.variant);
            let sentence = purges.judge(&Subject {
                since: row.purges,
                name,
                variant,
                host: host.short(),
                tags: &row.tags,
                url: None,
            });
            let entry = Entry {
                number: self.next_number.fetch_add(1, Relaxed),
                variant,
                purges: row.purges,
                host: Arc::clone(host),
                tags: (!row.tags.is_empty()).then(|| row.tags.into()),
                octets: row.octets,
                object: None,
                place: Some(Place { segment, at: row.at, head_octets: row.head_octets, oldest: row.oldest }),
                frequency: 0,
                asked: false,
                must_validate: row.must_validate || sentence == Sentence::Validate,
            };
            let forgotten = sentence == Sentence::Forget;
            let superseded = self.index.change(name, |entries| {
                let superseded = entries.take(|other| other.variant == variant);
                if !forgotten {
                    host.objects.fetch_add(1, Relaxed);
                    host.octets.fetch_add(entry.octets, Relaxed);
                    entries.add_first(entry);
                }
                superseded
            });
            self.bury(superseded.into_iter().map(|entry| (name, entry)), false);
        }
    }

    /// Remembers an order of a run before, which only the URL of a response can settle.
    pub(in crate::io::cache) fn remember_order(&self, order: &Order) {
        if matches!(order.target, Target::Prefix(..)) {
            lock(&self.orders).add(order);
        }
    }
}
