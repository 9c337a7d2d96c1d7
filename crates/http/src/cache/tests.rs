//! Responses are stored and requests judged, both written as heads are: `GET|Range: bytes=0-1`, `200|ETag: "a"`.

mod model;
mod reuse;
mod storing;
mod updating;

use std::time::Duration;

use doorway_base::{Instant, UnixTime};
use doorway_net::web::Fields;

use super::{Candidate, Moment, NotStored, Policy, Received, Request, Stored, Verdict, decide, store};
use crate::wire::Method;

/// Sun, 22 Nov 2026 17:40:05 GMT.
const WALL: UnixTime = UnixTime::from_secs(1_795_369_205);

/// What the clocks show so many seconds after everything was stored.
fn moment(seconds: u64) -> Moment {
    let span = Duration::from_secs(seconds);
    Moment { now: Instant::ZERO + Duration::from_secs(1_000_000) + span, wall: WALL + span }
}

/// The first word of a head, and its fields; dates are written as seconds from when things are stored.
fn head(text: &str) -> (&str, Fields) {
    let mut parts = text.split('|');
    let word = parts.next().unwrap();
    let mut fields = Fields::new();
    for line in parts {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is no field"));
        let dated =
            ["Date", "Expires", "Last-Modified", "If-Modified-Since", "If-Range", "If-Unmodified-Since"];
        match value.parse::<i64>() {
            Ok(seconds) if dated.contains(&name) && (value.starts_with(['+', '-'])) => {
                let date = UnixTime::from_secs(WALL.as_secs().wrapping_add_signed(seconds));
                fields.add(name, crate::wire::date::write_date(date));
            }
            _ => fields.add(name, value),
        }
    }
    (word, fields)
}

fn request(text: &str) -> (Request, Fields) {
    let (method, fields) = head(text);
    (Request::read(Method::parse(method.as_bytes()), &fields), fields)
}

fn store_with(ask: &str, response: &str, policy: &Policy) -> Result<Stored, NotStored> {
    let (ask, ask_fields) = request(ask);
    let (status, fields) = head(response);
    let (requested, received) = (moment(0), moment(0));
    let response = Received { status: status.parse().unwrap(), fields: &fields, requested, received };
    store(&ask, &ask_fields, &response, policy)
}

/// A response to a plain GET, stored.
#[track_caller]
fn stored(response: &str) -> Stored {
    store_with("GET", response, &Policy::default()).unwrap_or_else(|why| panic!("{response}: {why:?}"))
}

/// What a request gets so many seconds after `variants` were stored.
fn judge(variants: &[Stored], ask: &str, seconds: u64, policy: &Policy) -> Verdict {
    let (ask, fields) = request(ask);
    let candidates = variants.iter().map(|stored| Candidate { stored, marked_stale: false });
    decide(&ask, &fields, candidates, moment(seconds).now, policy)
}
