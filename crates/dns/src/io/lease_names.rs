//! Names of hosts that have leases, put into the zones and taken out of them: many leases at once, each by the
//! rules of RFC 4703, and all of it with the rows of the leases in one transaction.
//!
//! Not here: what a lease means for a zone (`leases.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use doorway_store::Batch;

use super::journal::Journal;
use super::transfers::{ChangeError, Inner, Made, Role, Transfers};
use crate::leases::{Lease, LeaseChange};
use crate::update::{Round, Update};
use crate::wire::Name;

/// Most leases in one transaction; a zone has two names at most for each of them.
pub const LEASES_MAX: usize = 500;

/// The zones that leases touch, with what was done to them so far.
type Rounds<'z> = BTreeMap<Name, Round<'z>>;

impl Transfers {
    /// Does what `changes` ask for, at most [`LEASES_MAX`], and the batch that `rows` makes of the names that
    /// came out, in one transaction.
    ///
    /// A name that another client has, or that the zone file has, is left alone: the host is then called by
    /// its address. There is no name where the zone is not one of ours that can be changed, or when that one
    /// is taken too. The name of the address follows, where its zone is ours.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing was done.
    pub async fn leases(
        &self,
        changes: &[LeaseChange],
        rows: impl FnOnce(&[Option<Name>]) -> Batch,
    ) -> Result<Vec<Option<Name>>, ChangeError> {
        let inner = self.inner();
        let reverse: Vec<Option<Name>> =
            changes.iter().map(|change| inner.reverse_zone(change.lease())).collect();
        // Sorted by name, so that no two wait for each other.
        let mut apexes: Vec<&Name> =
            changes.iter().map(LeaseChange::apex).chain(reverse.iter().flatten()).collect();
        apexes.sort();
        apexes.dedup();
        let mut held = Vec::new();
        for apex in apexes {
            let Some(moving) = inner.zones.get(apex) else { continue };
            if matches!(moving.settings.role, Role::Primary) {
                held.push((moving, inner.locked(moving).await?));
            }
        }
        let zones = inner.published.current();
        let mut rounds = Rounds::new();
        for (moving, _) in &held {
            let apex = &moving.settings.apex;
            let zone = zones.named(apex).ok_or(ChangeError::NotOurs)?;
            rounds.insert(apex.clone(), Round::new(zone, zones.secret()));
        }
        let names: Vec<Option<Name>> = changes
            .iter()
            .zip(&reverse)
            .map(|(change, reverse)| rename(&mut rounds, change, reverse.as_ref()))
            .collect();
        let mut batch = rows(&names);
        let mut made = Vec::new();
        for (moving, state) in &mut held {
            let settings = &moving.settings;
            let Some(round) = rounds.remove(&settings.apex) else { continue };
            let Some(change) = round.change(settings.serial, inner.world.wall()) else { continue };
            let changes = [change];
            let zone = zones.named(&settings.apex).ok_or(ChangeError::NotOurs)?;
            let zone = zone.changed_over(&changes, zones.secret()).map_err(ChangeError::Unfit)?;
            let (staged, head) = Journal::stage(&settings.apex, state.head, &changes, batch);
            batch = staged;
            let [change] = changes;
            made.push(Made { moving, state, zone: Arc::new(zone), head, change });
        }
        inner.finish(made, batch).await?;
        Ok(names)
    }
}

impl Inner {
    // The zone of ours that the name of a lease's address lies in.
    fn reverse_zone(&self, lease: &Lease) -> Option<Name> {
        let name = lease.reverse_name();
        let zones = self.zones.values().filter(|moving| matches!(moving.settings.role, Role::Primary));
        let within = zones.map(|moving| &moving.settings.apex).filter(|apex| name.is_within(apex));
        within.max_by_key(|apex| apex.label_count()).cloned()
    }
}

// Returns the name that the host has now.
fn rename(rounds: &mut Rounds<'_>, change: &LeaseChange, reverse: Option<&Name>) -> Option<Name> {
    match change {
        LeaseChange::Bound { apex, domain, lease, before } => {
            let name = bind(rounds, apex, domain, lease);
            if let Some(before) = before.as_ref().filter(|before| name.as_ref() != Some(before)) {
                unbind(rounds, apex, before, lease);
            }
            if let Some(reverse) = reverse {
                let update = match &name {
                    Some(name) => lease.point(reverse, name),
                    None => lease.unpoint(reverse),
                };
                attempt(rounds, &update);
            }
            name
        }
        LeaseChange::Ended { apex, name, lease } => {
            let was_its_own = unbind(rounds, apex, name, lease);
            if let Some(reverse) = reverse.filter(|_| was_its_own) {
                attempt(rounds, &lease.unpoint(reverse));
            }
            None
        }
    }
}

fn bind(rounds: &mut Rounds<'_>, apex: &Name, domain: &Name, lease: &Lease) -> Option<Name> {
    for label in lease.host_label().into_iter().chain([lease.address_label()]) {
        let name = Name::from_labels([label.as_bytes()]).and_then(|label| label.join(domain));
        let Some(name) = name else { continue };
        if lease.bind(apex, &name).iter().any(|update| attempt(rounds, update)) {
            return Some(name);
        }
    }
    None
}

// False when the name has gone to somebody else meanwhile.
fn unbind(rounds: &mut Rounds<'_>, apex: &Name, name: &Name, lease: &Lease) -> bool {
    let was_its_own = attempt(rounds, &lease.unbind(apex, name));
    attempt(rounds, &lease.release(apex, name));
    was_its_own
}

fn attempt(rounds: &mut Rounds<'_>, update: &Update) -> bool {
    rounds.get_mut(&update.apex).is_some_and(|round| round.attempt(update, |_, _| true).is_ok())
}
