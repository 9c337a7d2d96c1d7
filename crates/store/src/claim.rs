//! Claims: one of several nodes does a thing (signs a zone, renews a certificate, runs a queue item).
//!
//! A claim has a fencing token that grows each time another owner takes it over. A batch that carries
//! [`Claim::fence`] fails once the claim was taken over, however late its sender wakes up.

use std::time::Duration;

use bytes::Bytes;
use doorway_base::{Limit, Reader, UnixTime};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Store;

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

fn holder_key(name: &str) -> Key {
    Key::from("claim.holder/").join(name)
}

fn fence_key(name: &str) -> Key {
    Key::from("claim.fence/").join(name)
}

/// The stored form: `until` in nanoseconds since 1970, eight octets big-endian, then the owner.
fn holder_value(owner: &str, until: UnixTime) -> Vec<u8> {
    [&until.as_nanos().to_be_bytes()[..], owner.as_bytes()].concat()
}

fn parse_holder(value: &[u8]) -> Option<(UnixTime, &[u8])> {
    let mut reader = Reader::new(value);
    let until = reader.u64("claim expiry").ok()?;
    Some((UnixTime::from_nanos(until), reader.rest()))
}

pub(crate) async fn claim<S: Store + ?Sized>(
    store: &S,
    name: &str,
    owner: &str,
    ttl: Duration,
    now: UnixTime,
) -> Result<Option<Claim>> {
    if name.len() > CLAIM_NAME_OCTETS_MAX || owner.len() > CLAIM_NAME_OCTETS_MAX {
        return Err(Limit::new("store.claim_name_octets_max", CLAIM_NAME_OCTETS_MAX as u64).into());
    }
    let (holder, fence) = (holder_key(name), fence_key(name));
    let rows = store.get(&[holder.clone(), fence.clone()]).await?;
    let (held, fenced) = (rows.first().cloned().flatten(), rows.get(1).cloned().flatten());
    let token = fenced.as_ref().and_then(crate::batch::Row::number).unwrap_or(0).cast_unsigned();
    let same_owner = match &held {
        None => false,
        Some(row) => {
            let (until, by) =
                parse_holder(&row.value).ok_or_else(|| Error::damaged(format!("claim {name}")))?;
            if by != owner.as_bytes() && until > now {
                return Ok(None);
            }
            by == owner.as_bytes()
        }
    };
    let until = now + ttl;
    let token = if same_owner { token } else { token + 1 };
    let batch = Batch::new()
        .unchanged(holder.clone(), held.as_ref())
        .unchanged(fence.clone(), fenced.as_ref())
        .put(holder, holder_value(owner, until));
    let batch = if same_owner { batch } else { batch.put(fence, token.to_be_bytes().to_vec()) };
    match store.commit(batch).await {
        Ok(_) => Ok(Some(Claim { name: name.to_owned(), owner: owner.to_owned(), token, until })),
        // Somebody else was faster.
        Err(Error::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) async fn release<S: Store + ?Sized>(store: &S, claim: &Claim) -> Result<()> {
    let holder = holder_key(&claim.name);
    let batch = claim.fence(Batch::new()).delete(holder);
    match store.commit(batch).await {
        Ok(_) | Err(Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
