//! A hold on a blob's place, so that nothing there is moved or removed meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::blob::{BlobId, Location};
use crate::lock::lock;

/// Which blobs are held.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<BTreeMap<BlobId, Held>>);

#[derive(Debug, Default)]
struct Held {
    times: usize,
    /// Where the content lies, when it was written since and may have no row yet.
    location: Option<Location>,
}

impl Pins {
    /// Holds a blob until the pin and its clones are gone.
    pub(crate) fn pin(self: &Arc<Self>, id: BlobId) -> Pin {
        lock(&self.0).entry(id).or_default().times += 1;
        Pin { id, pins: Arc::clone(self) }
    }

    /// Notes where a held blob's content was written.
    pub(crate) fn place(&self, id: &BlobId, location: Location) {
        if let Some(held) = lock(&self.0).get_mut(id) {
            held.location = Some(location);
        }
    }

    /// Where a held blob's content was written, if it was written while held.
    pub(crate) fn location(&self, id: &BlobId) -> Option<Location> {
        lock(&self.0).get(id)?.location
    }

    /// True when the blob is held.
    pub(crate) fn holds(&self, id: &BlobId) -> bool {
        lock(&self.0).contains_key(id)
    }

    /// True when content written while held lies in this segment.
    pub(crate) fn holds_in(&self, segment: u32) -> bool {
        let inside =
            |held: &Held| matches!(held.location, Some(Location::Segment { segment: s, .. }) if s == segment);
        lock(&self.0).values().any(inside)
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
        if let Some(entry) = held.get_mut(&self.id) {
            entry.times -= 1;
            if entry.times == 0 {
                held.remove(&self.id);
            }
        }
    }
}
