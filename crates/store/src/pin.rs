//! A hold on a place in the blob files, so that nothing there is moved or removed meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::blob::BlobId;
use crate::lock::lock;

/// Which blobs are held, and how often.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<BTreeMap<BlobId, usize>>);

impl Pins {
    /// Holds a blob until the pin and its clones are gone.
    pub(crate) fn pin(self: &Arc<Self>, id: BlobId) -> Pin {
        *lock(&self.0).entry(id).or_insert(0) += 1;
        Pin { id, pins: Arc::clone(self) }
    }

    /// The blobs held now.
    pub(crate) fn held(&self) -> Vec<BlobId> {
        lock(&self.0).keys().copied().collect()
    }

    /// True when the blob is held.
    pub(crate) fn holds(&self, id: &BlobId) -> bool {
        lock(&self.0).contains_key(id)
    }
}

/// Holds one blob in its place.
#[derive(Debug)]
pub(crate) struct Pin {
    id: BlobId,
    pins: Arc<Pins>,
}

impl Clone for Pin {
    fn clone(&self) -> Self {
        self.pins.pin(self.id)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = lock(&self.pins.0);
        if let Some(count) = held.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.id);
            }
        }
    }
}
