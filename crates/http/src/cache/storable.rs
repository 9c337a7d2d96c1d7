//! Whether a response may be stored, and what of it (RFC 9111 §3).
//!
//! Two things are stricter than the standard. A response with Set-Cookie is stored only where the origin says
//! in so many words that a shared cache may have it, since most that set cookies mean one person. And what
//! could never be used, having neither a lifetime nor a validator, is not stored.
//!
//! Parts (206) are not stored as they come; a whole answers all ranges, and slices (`slices.rs`) those of what is
//! too long to be whole. That content is whole is for the store to see
//! (RFC 9111 §3.3).

use doorway_base::UnixTime;
use doorway_net::web::Fields;

use super::age::initial_age;
use super::control::ResponseControl;
use super::freshness::{Terms, date, is_heuristically_cacheable, read_date};
use super::lines::{FieldLines, members};
use super::policy::Policy;
use super::request::Request;
use super::stored::{Moment, Stored};
use super::vary;
use crate::wire::Method;
use crate::wire::date::write_date;

/// The head of a response as it came from the origin.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub fields: &'a Fields,
    /// When the request for it went out.
    pub requested: Moment,
    /// When it came.
    pub received: Moment,
}

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotStored {
    /// The request was none for a representation.
    Method,
    /// The status is not final, or not one that a cache may store.
    Status,
    /// It is a part.
    Partial,
    /// The origin forbids it.
    NoStore,
    /// The client forbids it.
    RequestNoStore,
    /// It is for one user.
    Private,
    /// The request had credentials, and the origin does not say that others may have the response.
    Authorization,
    /// It sets a cookie, and the origin does not say that others may have it.
    SetCookie,
    /// It varies by things that no request shows.
    Vary,
    /// Nothing says for how long it could be used, nor how it could be validated.
    Lifetime,
}

impl NotStored {
    /// A token for Cache-Status.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::Partial => "partial",
            Self::NoStore => "no-store",
            Self::RequestNoStore => "request-no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::Lifetime => "no-lifetime",
        }
    }

    /// Whether the request is the reason, so that the same response to another one might be stored.
    #[must_use]
    pub const fn is_for_request(self) -> bool {
        matches!(self, Self::Method | Self::RequestNoStore | Self::Authorization)
    }
}

/// What is stored of a response.
///
/// # Errors
/// Why it is not.
pub fn store(
    request: &Request,
    request_fields: &impl FieldLines,
    response: &Received<'_>,
    policy: &Policy,
) -> Result<Stored, NotStored> {
    let Received { status, fields, requested, received } = *response;
    let control = ResponseControl::read(fields, policy.targets.names());
    permitted(request, status, fields, &control)?;
    let selecting = vary::selecting(fields, request_fields).ok_or(NotStored::Vary)?;
    let terms = Terms::read(status, fields, received.wall, policy.targets, &control);
    let stored = Stored {
        status,
        fields: kept_fields(fields, &control, received.wall),
        requested,
        received,
        initial_age: initial_age(fields, terms.date, requested, received),
        selecting,
        terms,
    };
    is_of_use(&stored, policy).then_some(stored).ok_or(NotStored::Lifetime)
}

/// The rules of RFC 9111 §3 that can be read off request and response.
fn permitted(
    request: &Request,
    status: u16,
    fields: &Fields,
    control: &ResponseControl,
) -> Result<(), NotStored> {
    if request.method != Method::Get {
        return Err(NotStored::Method);
    }
    match status {
        206 => return Err(NotStored::Partial),
        // 304 and 416 speak of a request's conditions and ranges, which the key does not have.
        ..200 | 304 | 416 => return Err(NotStored::Status),
        _ => {}
    }
    if request.control.no_store {
        return Err(NotStored::RequestNoStore);
    }
    if control.must_understand && !is_understood(status) {
        return Err(NotStored::Status);
    }
    // RFC 9111 §5.2.2.3: must-understand overrules no-store where the status is understood.
    if control.no_store && !control.must_understand {
        return Err(NotStored::NoStore);
    }
    if control.private {
        return Err(NotStored::Private);
    }
    if request.authorized && !permits_authorized(control) {
        return Err(NotStored::Authorization);
    }
    if fields.has("set-cookie") && !names_shared_caches(control) {
        return Err(NotStored::SetCookie);
    }
    let has_lifetime = control.max_age.is_some()
        || control.s_maxage.is_some()
        || (!control.targeted && fields.has("expires"));
    if !(control.public || has_lifetime || is_heuristically_cacheable(status)) {
        return Err(NotStored::Lifetime);
    }
    Ok(())
}

/// The same for something stored that an answer without content changes: whatever the method, it is one to a
/// request that would have got the content.
pub(super) fn permitted_update(
    request: &Request,
    status: u16,
    fields: &Fields,
    control: &ResponseControl,
) -> Result<(), NotStored> {
    permitted(&Request { method: Method::Get, ..*request }, status, fields, control)
}

/// Whether the origin lets a response to a request with credentials be used for others (RFC 9111 §3.5).
const fn permits_authorized(control: &ResponseControl) -> bool {
    control.public || control.must_revalidate || control.s_maxage.is_some()
}

/// Whether the origin speaks of shared caches when it gives a lifetime.
const fn names_shared_caches(control: &ResponseControl) -> bool {
    control.public || control.s_maxage.is_some() || (control.targeted && control.max_age.is_some())
}

/// Whether everything that RFC 9110 §15 says about caching a status is done here.
const fn is_understood(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 300..=303 | 307 | 308 | 400..=405 | 410 | 414 | 451 | 500..=504)
}

/// Whether a stored response can ever answer anything.
fn is_of_use(stored: &Stored, policy: &Policy) -> bool {
    let terms = &stored.terms;
    let freshness = stored.freshness(stored.received.now, policy);
    let lasting = terms.stale_while_revalidate.max(terms.stale_if_error.unwrap_or_default());
    let stale_later = freshness.overdue() < lasting && !terms.never_stale;
    let validated = stored.fields.has("etag") || terms.modified.is_some();
    validated || (!terms.no_cache && (freshness.is_fresh() || stale_later))
}

/// Fields that are about one connection or one proxy, and go no further (RFC 9111 §3.1, RFC 9110 §7.6.1). Age
/// and Content-Length are known otherwise.
const NOT_KEPT: &[&str] = &[
    "age",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a field of this response is stored.
pub(super) fn is_kept<'f>(
    fields: &'f Fields,
    control: &'f ResponseControl,
) -> impl Fn(&str) -> bool + use<'f> {
    move |name| {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let named = |value| members(value).any(|member| member.eq_ignore_ascii_case(name.as_bytes()));
        !NOT_KEPT.iter().any(|other| is(other))
            && !fields.values("connection").any(named)
            && !control.private_fields.iter().any(|other| is(other))
            && !control.no_cache_fields.iter().any(|other| is(other))
    }
}

/// The fields that are stored, with a Date that can be read (RFC 9110 §6.6.1).
fn kept_fields(fields: &Fields, control: &ResponseControl, received: UnixTime) -> Fields {
    let is_kept = is_kept(fields, control);
    let dated = fields.value("date").is_some_and(|value| read_date(value, received).is_some());
    let mut kept = Fields::new();
    for (name, value) in fields.iter() {
        let undated = name.eq_ignore_ascii_case("date") && !dated;
        if is_kept(name) && !undated {
            kept.add(name, value);
        }
    }
    if !dated {
        kept.add("Date", write_date(date(fields, received)));
    }
    kept
}
