//! The method PURGE, as caches of other makes know it: it makes this cache forget the target, or with the field
//! `Surrogate-Key` or `Cache-Tag` all that carries one of those tags. `Soft-Purge: 1` only has it validated
//! before it is used again.
//!
//! It is for the networks that the config lists; from elsewhere it is not allowed. It never reaches the origin.

use core::net::IpAddr;
use std::sync::Arc;

use doorway_net::web::{Fields, Response};

use super::Cache;
use crate::cache::tags::tags;
use crate::cache::{Key, Purge, PurgeWhat};

/// The method.
pub(super) const METHOD: &str = "PURGE";

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers PURGE for `key` from `remote`.
pub(super) async fn answer(cache: &Arc<Cache>, key: &Key, fields: &Fields, remote: IpAddr) -> Response {
    if !cache.config().purge_from.iter().any(|network| network.contains(remote)) {
        return Response::new(405, TEXT, "PURGE is not for you\n").with("Allow", "GET, HEAD");
    }
    let soft = fields.first("soft-purge").is_some_and(|value| value.trim() == "1");
    let Ok(tags) = tags(fields) else {
        return Response::new(400, TEXT, "there are too many tags, or they are no text\n");
    };
    let mut purges: Vec<PurgeWhat> = tags.into_iter().map(|tag| PurgeWhat::Tag(tag.to_owned())).collect();
    if purges.is_empty() {
        purges.push(PurgeWhat::Url(key.clone()));
    }
    for what in purges {
        if let Err(error) = cache.purge(&Purge { what, soft }).await {
            return Response::new(500, TEXT, format!("purged, but not beyond the next start: {error}\n"));
        }
    }
    cache.sweep_beside();
    Response::new(200, TEXT, "purged\n")
}
