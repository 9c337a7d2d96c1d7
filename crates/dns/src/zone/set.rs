//! All zones of a server; a name belongs to the one with the longest apex (RFC 1034 §4.3.2 step 2).

use std::sync::Arc;

use super::Zone;
use super::table::{HashKey, Key, Table};
use crate::wire::Name;

/// Zones of one server at most.
pub const ZONES_MAX: usize = 1_000_000;

/// A snapshot of every zone. It never changes; a reload makes another.
#[derive(Debug)]
pub struct Zones {
    secret: HashKey,
    zones: Vec<Arc<Zone>>,
    table: Table,
    // Bit n is set when some apex has n labels.
    depths: u128,
}

impl Zones {
    /// The snapshot of `zones`, which were all read with `secret`.
    ///
    /// # Errors
    /// The name that two of the zones have, or of the first one over [`ZONES_MAX`].
    pub fn new(secret: HashKey, zones: Vec<Arc<Zone>>) -> Result<Self, Box<Name>> {
        let mut key = Key::default();
        let mut set = Self { secret, table: Table::with_room(zones.len()), zones: Vec::new(), depths: 0 };
        for zone in zones {
            let known = key.set(secret, zone.apex.as_octets()).is_none() || set.apex(&key).is_some();
            if known || set.zones.len() >= ZONES_MAX {
                return Err(Box::new(zone.apex.clone()));
            }
            set.zones.push(zone);
            set.table.insert(key.hash(0), set.zones.len() as u32);
            set.depths |= 1 << key.labels();
        }
        Ok(set)
    }

    /// The same zones with `zone` in the place of the one of its name, or beside them.
    ///
    /// # Errors
    /// As [`new`](Self::new), when there are too many.
    pub fn with(&self, zone: Arc<Zone>) -> Result<Self, Box<Name>> {
        let mut zones = self.zones.clone();
        match zones.iter_mut().find(|other| other.apex == zone.apex) {
            Some(place) => {
                *place = zone;
                Ok(Self { secret: self.secret, zones, table: self.table.clone(), depths: self.depths })
            }
            None => {
                zones.push(zone);
                Self::new(self.secret, zones)
            }
        }
    }

    /// The zone called `apex`.
    #[must_use]
    pub fn named(&self, apex: &Name) -> Option<&Arc<Zone>> {
        let mut key = Key::default();
        key.set(self.secret, apex.as_octets())?;
        self.apex(&key)
    }

    /// The secret that keys for these zones are made with.
    #[must_use]
    pub const fn secret(&self) -> HashKey {
        self.secret
    }

    /// Every zone, in the order they were given.
    #[must_use]
    pub fn list(&self) -> &[Arc<Zone>] {
        &self.zones
    }

    /// The zone with the longest apex that is an ancestor of the key's name from `label` on, or that
    /// name itself.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &Key, label: usize) -> Option<&Zone> {
        let labels = key.labels().checked_sub(label)?;
        let mut depths = self.depths & (u128::MAX >> (127 - labels));
        while depths != 0 {
            let depth = 127 - depths.leading_zeros() as usize;
            if let Some(zone) = self.at_label(key, key.labels() - depth) {
                return Some(zone);
            }
            depths &= !(1 << depth);
        }
        None
    }

    /// The place in [`list`](Zones::list) of the zone that [`find`](Zones::find) finds for a whole name.
    #[inline]
    pub(crate) fn place(&self, key: &Key) -> Option<u32> {
        let mut depths = self.depths & (u128::MAX >> (127 - key.labels()));
        while depths != 0 {
            let depth = 127 - depths.leading_zeros() as usize;
            if let Some(index) = self.index_at(key, key.labels() - depth) {
                return Some(index - 1);
            }
            depths &= !(1 << depth);
        }
        None
    }

    /// The zone that begins at the key's name.
    #[must_use]
    pub fn apex(&self, key: &Key) -> Option<&Arc<Zone>> {
        self.at_label(key, 0)
    }

    fn at_label(&self, key: &Key, label: usize) -> Option<&Arc<Zone>> {
        self.index_at(key, label).map(|index| &self.zones[index as usize - 1])
    }

    // Counts from 1.
    fn index_at(&self, key: &Key, label: usize) -> Option<u32> {
        let name = key.suffix(label);
        let same = |index: u32| self.zones[index as usize - 1].apex.as_octets().eq_ignore_ascii_case(name);
        self.table.find(key.hash(label), same)
    }
}
