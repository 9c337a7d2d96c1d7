//! Changes of leases that mean something for DNS: all that wait are handed to the name server together, one call
//! at a time, so that a site that wakes up costs a few transactions rather than thousands.

use core::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use doorway_store::Durability;
use tokio::sync::Notify;

use super::counters::count;
use super::desk::Desk;
use super::turn::{Held, Named};
use crate::io::leases;
use crate::io::names::{CHANGES_MAX, Names, Rows};
use crate::name::NameChange;
use crate::server::RowChange;

/// Changes that wait at the most; what comes beyond is not made, and its client asks again.
pub const WAITING_MAX: usize = 4096;

/// What waits for its names.
pub(super) struct Naming {
    names: Arc<dyn Names>,
    waiting: Mutex<Vec<Named>>,
    more: Notify,
}

impl Naming {
    pub(super) fn new(names: Arc<dyn Names>) -> Self {
        Self { names, waiting: Mutex::default(), more: Notify::new() }
    }

    /// Adds changes; hands those back that there is no room for.
    pub(super) fn push(&self, named: Vec<Named>) -> Vec<Held> {
        if named.is_empty() {
            return Vec::new();
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let room = WAITING_MAX.saturating_sub(waiting.len()).min(named.len());
        let mut named = named.into_iter();
        waiting.extend(named.by_ref().take(room));
        drop(waiting);
        self.more.notify_one();
        named.map(held).collect()
    }

    /// As many as go into one call.
    fn next(&self) -> Vec<Named> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = 0;
        let fits = |named: &&Named| {
            changes += named.settlement.names.len();
            changes <= CHANGES_MAX
        };
        let count = waiting.iter().take_while(fits).count();
        waiting.drain(..count).collect()
    }
}

fn held(named: Named) -> Held {
    Held { ticket: named.settlement.ticket, then: named.then }
}

/// Hands over what waits, until the server ends and nothing waits.
pub(super) async fn run(desk: Arc<Desk>) {
    let Some(naming) = &desk.naming else { return };
    loop {
        let named = naming.next();
        if !named.is_empty() {
            hand_over(&desk, naming, named).await;
        } else if desk.stop.or(naming.more.notified()).await.is_none() {
            // What came in between belongs to a message that was taken before the doors closed.
            let left = naming.next();
            if left.is_empty() {
                return;
            }
            hand_over(&desk, naming, left).await;
        }
    }
}

async fn hand_over(desk: &Desk, naming: &Naming, named: Vec<Named>) {
    let changes: Vec<NameChange> = named.iter().flat_map(|named| named.settlement.names.clone()).collect();
    let rows: Vec<RowChange> = named.iter().flat_map(|named| named.settlement.rows.clone()).collect();
    let bound: Vec<Option<Ipv4Addr>> = changes.iter().map(bound).collect();
    let write = rows_with_names(rows.clone(), bound.clone(), desk.durability);
    let durable = match naming.names.change(changes, write).await {
        Ok(names) => {
            desk.told(Ok(doorway_store::Receipt::default()));
            let mut locked = desk.lock();
            for (address, name) in bound.iter().zip(&names) {
                if let Some(address) = address {
                    locked.engine.named(*address, name.as_deref());
                }
            }
            true
        }
        Err(error) => {
            // An address without a name is worth more than no address.
            tracing::warn!(%error, leases = named.len(), "leases are written without their names");
            count(&desk.counters.names_failed, named.len());
            let plain = rows_with_names(rows, bound, desk.durability)(&[]);
            desk.told(desk.store.commit(plain).await)
        }
    };
    desk.settle(named.into_iter().map(held).collect(), durable);
}

/// The address whose lease a change gives a name.
fn bound(change: &NameChange) -> Option<Ipv4Addr> {
    match change {
        NameChange::Bound { address: IpAddr::V4(address), .. } => Some(*address),
        _ => None,
    }
}

/// Writes `rows` with the names that the changes led to; a row without one has none.
fn rows_with_names(mut rows: Vec<RowChange>, bound: Vec<Option<Ipv4Addr>>, durability: Durability) -> Rows {
    Box::new(move |names| {
        for (place, address) in bound.iter().enumerate() {
            if let Some(address) = address {
                let name = names.get(place).and_then(Option::as_deref);
                rows.iter_mut().for_each(|row| row.name(*address, name));
            }
        }
        leases::batch(&rows, durability)
    })
}
