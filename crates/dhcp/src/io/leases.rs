//! Leases in the store: read at the start, written before a client hears of them.
//!
//! Not here: which changes there are, and what follows from one that could not be written.

use core::net::Ipv4Addr;

use doorway_base::{Malformed, UnixTime};
use doorway_store::{Answer, Batch, Durability, Key, Range, Receipt, ScanOptions, Store};

use crate::lease::{ClientKey, LEASE_KEY, Lease, LeaseState, row_key};
use crate::server::RowChange;
use crate::wire::HardwareAddress;

/// A row that is written to see whether writing works again.
const TRIAL_KEY: &str = "dhcp.trial";

/// What was found at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Leases, remembered ones among them.
    pub leases: u64,
    /// Leases that there was no room for, or whose address nobody can have.
    pub left_out: u64,
    /// Rows that do not read back. Their addresses are given to nobody until an operator clears them.
    pub damaged: u64,
}

/// Shows every lease of the store to `keep`, in the order of their addresses. A row that does not read back
/// is shown as a declined lease without an end, so that its address is given to nobody. `keep` says whether it
/// took the lease.
///
/// # Errors
/// As [`Store::scan`].
pub async fn restore(
    store: &dyn Store,
    now: UnixTime,
    mut keep: impl FnMut(&Lease) -> bool,
) -> Result<Restored, doorway_store::Error> {
    let mut restored = Restored::default();
    let options = ScanOptions::default();
    let mut range = Range::prefix(&Key::from(LEASE_KEY));
    let mut scanned = store.scan(range.clone(), options);
    loop {
        let page = scanned.await?;
        let rest = page.rest(&range, options);
        // The next page is read while this one is put in place.
        scanned = match &rest {
            Some(rest) => store.scan(rest.clone(), options),
            None => Answer::ready(Ok(doorway_store::Page::default())),
        };
        for (key, row) in &page.rows {
            let lease = Lease::from_row(key.as_octets(), &row.value);
            let lease = lease.map_or_else(|malformed| quarantine(key, now, &mut restored, &malformed), Some);
            let Some(lease) = lease else { continue };
            match keep(&lease) {
                true => restored.leases += 1,
                false => restored.left_out += 1,
            }
        }
        match rest {
            Some(rest) => range = rest,
            None => return Ok(restored),
        }
    }
}

/// What stands for a row that does not read back; `None` when its key is none of ours either.
fn quarantine(key: &Key, now: UnixTime, restored: &mut Restored, malformed: &Malformed) -> Option<Lease> {
    tracing::error!(%key, %malformed, "a lease in the store does not read back: nobody is given its address");
    restored.damaged += 1;
    let octets = <[u8; 4]>::try_from(key.as_octets().strip_prefix(LEASE_KEY)?).ok()?;
    Some(Lease {
        address: Ipv4Addr::from(octets),
        client: ClientKey::new(&[]),
        hardware: HardwareAddress::default(),
        state: LeaseState::Declined,
        began: now,
        ends: None,
        seconds: u32::MAX,
        host: None,
        name: None,
        relay: Ipv4Addr::UNSPECIFIED,
        agent: None,
    })
}

/// The batch that makes these changes.
pub(crate) fn batch<'r>(changes: impl IntoIterator<Item = &'r RowChange>, durability: Durability) -> Batch {
    let batch = Batch::new().durability(durability);
    changes.into_iter().fold(batch, |batch, change| match change {
        RowChange::Put(lease) => batch.put(lease.key(), lease.row()),
        RowChange::Delete(address) => batch.delete(row_key(&address.octets())),
    })
}

/// Writes something that means nothing, to see whether writing works.
pub(crate) fn trial(store: &dyn Store, now: UnixTime, durability: Durability) -> Answer<Receipt> {
    let row = now.as_secs().to_be_bytes().to_vec();
    store.commit(Batch::new().durability(durability).put(TRIAL_KEY, row))
}
