//! Asking the origin whether what is stored is still good (RFC 9111 §4.3), and what its answer changes.

use doorway_base::UnixTime;
use doorway_net::web::Fields;

use super::age::initial_age;
use super::control::ResponseControl;
use super::freshness::{Terms, single_date};
use super::lines::FieldLines;
use super::policy::Policy;
use super::request::Request;
use super::storable::{NotStored, Received, is_kept, permitted_update};
use super::stored::Stored;
use super::vary;

/// Fields by which a client speaks of what it has itself. They do not go with a request of the cache's own.
const OF_THE_CLIENT: &[&str] =
    &["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"];

/// The fields of a request for a whole representation: without conditions and ranges of the client.
#[must_use]
pub fn unconditional(fields: &Fields) -> Fields {
    let mut kept = Fields::new();
    for (name, value) in fields.iter() {
        if !OF_THE_CLIENT.iter().any(|other| name.eq_ignore_ascii_case(other)) {
            kept.add(name, value);
        }
    }
    kept
}

/// The conditions that ask whether `stored` is still good (RFC 9111 §4.3.1): both validators, as far as it has
/// them. Without one it can only be fetched anew.
#[doc(alias = "If-None-Match")]
#[doc(alias = "If-Modified-Since")]
pub fn conditions(stored: &Stored) -> impl Iterator<Item = (&'static str, &[u8])> {
    let etag = stored.fields.value("etag").map(|etag| ("If-None-Match", etag));
    let modified = stored.terms.modified.and_then(|_| stored.fields.value("last-modified"));
    etag.into_iter().chain(modified.map(|modified| ("If-Modified-Since", modified)))
}

/// Whether a 304 is about `stored`, whose validators the request for it named (RFC 9111 §4.3.4). A 304 without
/// any validator can only be about what was asked for.
#[must_use]
pub fn is_about(not_modified: &Fields, stored: &Stored) -> bool {
    if let Some(etag) = not_modified.value("etag") {
        let Some(known) = stored.fields.value("etag") else { return false };
        let weak = etag.strip_prefix(b"W/");
        return weak.map_or(etag == known, |opaque| known.strip_prefix(b"W/").unwrap_or(known) == opaque);
    }
    let modified = single_date(not_modified, "last-modified", stored.received.wall);
    modified.is_none_or(|modified| stored.terms.modified.is_none_or(|known| known == modified))
}

/// What a response without content says about something stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshened {
    /// What is stored, with the fields of the response: what the client gets.
    pub stored: Stored,
    /// Why that must not be stored, if it must not.
    pub not_stored: Option<NotStored>,
}

/// Fields that the stored content depends on, and that only other content can change (RFC 9111 §3.2).
const OF_THE_CONTENT: &[&str] = &["content-encoding", "content-length", "content-range"];

/// What is stored, updated by a 304 or by the answer to a HEAD (RFC 9111 §3.2, §4.3.4, §4.3.5): each field of
/// the answer takes the place of the stored lines with its name.
#[must_use]
pub fn freshen(
    stored: &Stored,
    request: &Request,
    request_fields: &impl FieldLines,
    answer: &Received<'_>,
    policy: &Policy,
) -> Freshened {
    let own = ResponseControl::read(answer.fields, policy.targets.names());
    let is_kept = is_kept(answer.fields, &own);
    let replaces =
        |name: &str| is_kept(name) && !OF_THE_CONTENT.iter().any(|other| name.eq_ignore_ascii_case(other));
    let mut fields = Fields::new();
    for (name, value) in stored.fields.iter() {
        let replaced = answer.fields.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)) && replaces(name);
        if !replaced {
            fields.add(name, value);
        }
    }
    for (name, value) in answer.fields.iter().filter(|(name, _)| replaces(name)) {
        fields.add(name, value);
    }
    let Received { requested, received, .. } = *answer;
    // An answer without a Date was made when it came, whenever what is stored was made.
    if !answer.fields.has("date") {
        fields = redated(&fields, received.wall);
    }
    let control = ResponseControl::read(&fields, policy.targets.names());
    let terms = Terms::read(stored.status, &fields, received.wall, policy.targets, &control);
    let selecting = vary::selecting(&fields, request_fields);
    let not_stored = match &selecting {
        None => Some(NotStored::Vary),
        Some(_) => permitted_update(request, stored.status, &fields, &control).err(),
    };
    let stored = Stored {
        status: stored.status,
        requested,
        received,
        initial_age: initial_age(answer.fields, terms.date, requested, received),
        selecting: selecting.unwrap_or_default(),
        terms,
        fields,
    };
    Freshened { stored, not_stored }
}

fn redated(fields: &Fields, wall: UnixTime) -> Fields {
    let mut dated = Fields::new();
    for (name, value) in fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date")) {
        dated.add(name, value);
    }
    dated.add("Date", crate::wire::date::write_date(wall));
    dated
}

/// Whether the answer to a HEAD is about the same representation as a stored response to a GET, as far as
/// validators tell: if so, and if the length is the same too, it freshens it; otherwise what is stored is to be
/// taken for stale (RFC 9111 §4.3.5).
#[must_use]
pub fn is_same_representation(head: &Fields, stored: &Stored) -> bool {
    let same = |name| head.value(name).is_none_or(|value| stored.fields.value(name) == Some(value));
    same("etag") && same("last-modified")
}
