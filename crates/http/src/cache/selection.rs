//! What of a stored response answers a request with conditions or ranges (RFC 9111 §4.3.2, RFC 9110 §13, §14).

use doorway_base::UnixTime;
use doorway_net::web::Fields;

use super::lines::FieldLines;
use super::request::Request;
use super::stored::Stored;
use crate::conditional::{Precondition, Validators, evaluate_lines};
use crate::range::{if_range_lines, parse};
use crate::representation::Selected;
use crate::wire::Method;

/// What of `stored`, with so many octets of content if that is known, answers a request.
#[must_use]
pub fn select(
    stored: &Stored,
    octets: Option<u64>,
    request: &Request,
    fields: &impl FieldLines,
    wall: UnixTime,
) -> Selected {
    // Conditions on anything but a representation mean nothing (RFC 9110 §13.2.1).
    if stored.status != 200 || !(request.conditional || request.ranged) {
        return Selected::Whole;
    }
    let etag = stored.fields.value("etag");
    // RFC 9111 §4.3.2: what has no Last-Modified is compared by its Date.
    let validators = Validators { etag, modified: Some(stored.terms.modified.unwrap_or(stored.terms.date)) };
    if request.conditional && !request.guarded {
        match evaluate_lines(request.method, fields.lines(), Some(&validators), wall) {
            Precondition::Holds => {}
            Precondition::NotModified => return Selected::NotModified,
            Precondition::Failed => return Selected::Failed,
        }
    }
    let mut ranges = fields.values("range");
    let (Some(range), None, Some(octets), Method::Get) =
        (ranges.next(), ranges.next(), octets, request.method)
    else {
        return Selected::Whole;
    };
    if !if_range_lines(fields.values("if-range"), etag, stored.terms.modified, stored.terms.date) {
        return Selected::Whole;
    }
    Selected::of(parse(range, octets))
}

/// The stored fields that go with a 304 (RFC 9110 §15.4.5): none about the content that is not sent, but for
/// the validator.
pub fn fields_of_not_modified(stored: &Fields) -> impl Iterator<Item = (&str, &[u8])> {
    let tagged = stored.first("etag").is_some();
    stored.iter().filter(move |(name, _)| {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
        let kept = is("content-location") || is("content-security-policy");
        (!content || kept) && !(tagged && is("last-modified"))
    })
}
