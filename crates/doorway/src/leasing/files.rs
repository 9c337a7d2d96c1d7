//! Leases taken over from the files of other servers, and written for them.

use doorway_base::UnixTime;
use doorway_dhcp::lease_file::{self, Format, Found};
use doorway_dhcp::{Lease, reserved};
use doorway_store::{Batch, Key, Store};
use serde_json::{Value, json};

use super::{LISTED_MAX, failed, leases};
use crate::failure::Failure;

/// Rows of one batch.
const BATCH_ROWS: usize = 1000;

/// Every lease, as another server reads it.
pub(super) async fn export(store: &dyn Store, format: Format) -> Result<Value, Failure> {
    let (found, more) = leases(store, LISTED_MAX, |_| true).await?;
    Ok(json!({ "text": lease_file::write(format, &found), "leases": found.len(), "more": more }))
}

/// Writes what a file holds into the store of a server that does not run. What is known of an address already
/// stays.
pub(crate) async fn import(
    store: &dyn Store,
    format: Format,
    text: &str,
    now: UnixTime,
) -> Result<Value, Failure> {
    let Found { leases, reservations, faults, faulty } = lease_file::read(format, text, now);
    let lease = |lease: &Lease| (Key::from(lease.key()), lease.row());
    let (lease_count, lease_rows) = (leases.len(), leases.values().map(lease).collect());
    let known = reservations.iter().filter_map(|known| {
        known.address.map(|address| (Key::from(reserved::key(address)), reserved::row(known)))
    });
    let (known_count, known_rows) = (reservations.len(), known.collect());
    let new_leases = put_absent(store, lease_rows).await?;
    let new_known = put_absent(store, known_rows).await?;
    Ok(json!({
        "leases": new_leases,
        "reservations": new_known,
        "known_already": lease_count + known_count - new_leases - new_known,
        "faulty": faulty,
        "faults": faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

/// Writes the rows whose key there is not yet; how many these were.
async fn put_absent(store: &dyn Store, rows: Vec<(Key, Vec<u8>)>) -> Result<usize, Failure> {
    let mut written = 0;
    for part in rows.chunks(BATCH_ROWS) {
        let keys: Vec<Key> = part.iter().map(|(key, _)| key.clone()).collect();
        let there = store.get(&keys).await.map_err(failed)?;
        let mut batch = Batch::new();
        for ((key, row), _) in part.iter().zip(there).filter(|(_, there)| there.is_none()) {
            batch = batch.absent(key.clone()).put(key.clone(), row.clone());
            written += 1;
        }
        store.commit(batch).await.map_err(failed)?;
    }
    Ok(written)
}
