//! What one worker was asked and answered. Each worker counts for itself, readers add up.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Carrier;
use crate::wire::Rcode;

/// A count that only one thread raises, while any may read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts one more. Not a locked addition: there is one writer.
    #[inline]
    pub fn add(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Takes the last one back.
    fn take_back(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of one worker.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages that got no answer.
    pub dropped: Count,
    /// Answers with TC set.
    pub truncated: Count,
    /// Answers that were ready-made.
    pub cached: Count,
    /// Answers held back or cut because too many equal ones went to one network.
    pub limited: Count,
    /// Questions refused because too many names of their zone do not exist.
    pub flooded: Count,
    datagrams: Count,
    streams: Count,
    rcodes: [Count; 6],
    other: Count,
}

impl Counters {
    #[inline]
    pub(crate) fn answered(&self, carrier: Carrier, rcode: Rcode) {
        match carrier {
            Carrier::Datagram => self.datagrams.add(),
            Carrier::Stream => self.streams.add(),
        }
        self.rcodes.get(usize::from(rcode.0)).unwrap_or(&self.other).add();
    }

    /// An answer that was counted is not sent after all.
    pub(crate) fn withdrawn(&self, carrier: Carrier, rcode: Rcode) {
        match carrier {
            Carrier::Datagram => self.datagrams.take_back(),
            Carrier::Stream => self.streams.take_back(),
        }
        self.rcodes.get(usize::from(rcode.0)).unwrap_or(&self.other).take_back();
    }

    /// Answers sent over this carrier.
    #[must_use]
    pub fn answers(&self, carrier: Carrier) -> u64 {
        match carrier {
            Carrier::Datagram => self.datagrams.value(),
            Carrier::Stream => self.streams.value(),
        }
    }

    /// Answers with each response code that this server gives, BADVERS last.
    pub fn by_rcode(&self) -> impl Iterator<Item = (Rcode, u64)> {
        let plain = (0..).map(Rcode).zip(&self.rcodes);
        plain.chain([(Rcode::BADVERS, &self.other)]).map(|(rcode, count)| (rcode, count.value()))
    }
}
