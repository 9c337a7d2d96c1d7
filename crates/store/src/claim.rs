//! Claims: one of several nodes does a thing (signs a zone, renews a certificate, runs a queue item).
//!
//! A claim has a fencing token that grows each time another owner takes it over. A batch that carries
//! [`Claim::fence`] fails once the claim was taken over, however late its sender wakes up.

use bytes::Bytes;
use doorway_base::{Reader, UnixTime};

use crate::batch::Batch;
use crate::key::Key;

/// Longest name of a claim and of an owner, in octets.
pub const CLAIM_NAME_OCTETS_MAX: usize = 255;

/// The right to do one thing until a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// The fencing token: larger than that of every earlier owner.
    pub token: u64,
    /// When it ends unless it is renewed.
    pub until: UnixTime,
}

impl Claim {
    /// Lets `batch` succeed only while nobody else has taken the claim over.
    #[must_use]
    pub fn fence(&self, batch: Batch) -> Batch {
        batch.value(fence_key(&self.name), Bytes::copy_from_slice(&self.token.to_be_bytes()))
    }
}

pub(crate) fn holder_key(name: &str) -> Key {
    Key::from("claim.holder/").join(name)
}

pub(crate) fn fence_key(name: &str) -> Key {
    Key::from("claim.fence/").join(name)
}

/// The stored form: `until` in nanoseconds since 1970, eight octets big-endian, then the owner.
pub(crate) fn holder_value(owner: &str, until: UnixTime) -> Vec<u8> {
    [&until.as_nanos().to_be_bytes()[..], owner.as_bytes()].concat()
}

pub(crate) fn parse_holder(value: &[u8]) -> Option<(UnixTime, &[u8])> {
    let mut reader = Reader::new(value);
    let until = reader.u64("claim expiry").ok()?;
    Some((UnixTime::from_nanos(until), reader.rest()))
}
