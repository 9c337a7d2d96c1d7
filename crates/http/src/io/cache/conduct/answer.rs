//! Responses made of what is stored: the whole of it, parts, or none of it because the client has it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use doorway_net::web::{Body, BodyStream, Bytes, Fields, Response};

use super::super::{Object, Reading};
use super::ask::Ask;
use crate::cache::selection::{fields_of_not_modified, select};
use crate::cache::{CacheStatus, Moment, Policy, Stored};
use crate::representation::{Multipart, Selected};

/// The answer to a request out of `object`. `fields` are those that go with the whole; `number` is for the
/// boundary of several parts.
pub(super) fn answer(
    ask: &Ask,
    object: &Arc<Object>,
    stored: &Stored,
    fields: &Fields,
    moment: Moment,
    number: u64,
) -> Response {
    let octets = object.octets();
    let selected = select(stored, octets, &ask.request, &ask.fields, moment.wall);
    let mut response = Response { fields: fields.clone(), ..Response::default() };
    response.fields.retain(|name, _| !name.eq_ignore_ascii_case("content-length"));
    response.status = if selected == Selected::Whole { stored.status } else { selected.status().code() };
    match selected {
        Selected::Whole => response.body = Body::Stream(Box::pin(object.read(None))),
        Selected::Part(span) => {
            response.fields.add("Content-Range", span.content_range(octets.unwrap_or(span.end)));
            response.body = Body::Stream(Box::pin(object.read(Some((span.first, span.end)))));
        }
        Selected::Parts(spans) => {
            let media_type = fields.first("content-type").unwrap_or("application/octet-stream");
            let multipart = Multipart::of(media_type, octets.unwrap_or(0), &spans, number);
            response.fields.retain(|name, _| !name.eq_ignore_ascii_case("content-type"));
            response.fields.add("Content-Type", multipart.media_type());
            let readings = spans.iter().map(|span| object.read(Some((span.first, span.end)))).collect();
            let octets = multipart.octets(&spans);
            response.body = Body::Stream(Box::pin(Parts::new(multipart, readings, octets)));
        }
        Selected::Unsatisfiable => {
            response.fields.retain(|name, _| !is_about_content(name));
            response.fields.add("Content-Range", format!("bytes */{}", octets.unwrap_or(0)));
        }
        Selected::NotModified => {
            let mut kept = Fields::new();
            for (name, value) in fields_of_not_modified(fields) {
                kept.add(name, value);
            }
            response.fields = kept;
        }
        Selected::Failed => response.fields = Fields::new(),
    }
    response
}

fn is_about_content(name: &str) -> bool {
    ["content-type", "content-encoding", "content-language"]
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other))
}

/// Adds how old a response is (RFC 9111 §5.1).
pub(super) fn add_age(response: &mut Response, age: Duration) {
    response.fields.retain(|name, _| !name.eq_ignore_ascii_case("age"));
    response.fields.add("Age", age.as_secs().to_string());
}

/// Adds what the cache did (RFC 9211), behind what caches nearer to the origin said.
pub(super) fn add_status(response: &mut Response, policy: &Policy, status: &CacheStatus<'_>) {
    let status = CacheStatus { cache: &policy.name, ..*status };
    if let Some(told) = status.told(policy.status) {
        response.fields.add("Cache-Status", told.to_string());
    }
}

/// Several parts of a content, each with its head.
struct Parts {
    multipart: Multipart,
    readings: VecDeque<Reading>,
    /// Whether the head of the first of the readings is still to come.
    is_headless: bool,
    at: usize,
    octets: u64,
}

impl Parts {
    fn new(multipart: Multipart, readings: VecDeque<Reading>, octets: u64) -> Self {
        Self { multipart, readings, is_headless: true, at: 0, octets }
    }

    fn gave(&mut self, piece: Bytes) -> Poll<Option<io::Result<Bytes>>> {
        self.octets = self.octets.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(piece)))
    }
}

impl BodyStream for Parts {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let parts = &mut *self;
            let Some(reading) = parts.readings.front_mut() else {
                let end = std::mem::take(&mut parts.multipart.end);
                return if end.is_empty() { Poll::Ready(None) } else { parts.gave(end.into()) };
            };
            if parts.is_headless {
                parts.is_headless = false;
                let head = std::mem::take(&mut parts.multipart.heads[parts.at]);
                return parts.gave(head.into());
            }
            match ready!(Pin::new(reading).poll_piece(cx)) {
                Some(Ok(piece)) => return parts.gave(piece),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    parts.readings.pop_front();
                    (parts.at, parts.is_headless) = (parts.at + 1, true);
                }
            }
        }
    }

    fn octets(&self) -> Option<u64> {
        Some(self.octets)
    }
}
