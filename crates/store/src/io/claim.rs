//! Claims over any store: read, decide, commit on condition.

use std::time::Duration;

use doorway_base::{Limit, UnixTime};

use crate::batch::{Batch, Row};
use crate::claim::{CLAIM_NAME_OCTETS_MAX, Claim, fence_key, holder_key, holder_value, parse_holder};
use crate::error::{Error, Result};
use crate::store::Store;

pub(crate) async fn claim<S: Store + ?Sized>(
    store: &S,
    name: &str,
    owner: &str,
    ttl: Duration,
    now: UnixTime,
) -> Result<Option<Claim>> {
    if name.len() > CLAIM_NAME_OCTETS_MAX || owner.len() > CLAIM_NAME_OCTETS_MAX {
        return Err(Limit::built_in("store.claim_name_octets_max", CLAIM_NAME_OCTETS_MAX as u64).into());
    }
    let (holder, fence) = (holder_key(name), fence_key(name));
    let rows = store.get(&[holder.clone(), fence.clone()]).await?;
    let (held, fenced) = (rows.first().cloned().flatten(), rows.get(1).cloned().flatten());
    let token = fenced.as_ref().and_then(Row::number).unwrap_or(0).cast_unsigned();
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
