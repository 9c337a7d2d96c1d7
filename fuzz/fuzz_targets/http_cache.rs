//! Whatever fields a response and requests have, the cache decides without panic, and never uses what is stale
//! against the origin's word.
#![no_main]
use doorway_base::{Instant, UnixTime};
use doorway_http::cache::{Candidate, Moment, Policy, Received, Request, Verdict, decide, selection, store};
use doorway_http::wire::Method;
use doorway_net::web::Fields;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    const NAMES: [&str; 12] = [
        "Cache-Control",
        "CDN-Cache-Control",
        "Expires",
        "Date",
        "Age",
        "Vary",
        "ETag",
        "Last-Modified",
        "Range",
        "If-None-Match",
        "If-Range",
        "Accept-Encoding",
    ];
    let (mut response, mut ask) = (Fields::new(), Fields::new());
    for (place, line) in octets.split(|octet| *octet == b'\n').enumerate() {
        let Some((first, value)) = line.split_first() else { continue };
        let side = if place % 2 == 0 { &mut response } else { &mut ask };
        side.add(NAMES[usize::from(*first) % NAMES.len()], value);
    }
    let moment = |seconds: u64| Moment {
        now: Instant::from_nanos(seconds * 1_000_000_000),
        wall: UnixTime::from_secs(1_800_000_000 + seconds),
    };
    let request = Request::read(Method::Get, &ask);
    let head = Received { status: 200, fields: &response, requested: moment(1), received: moment(2) };
    let policy = Policy::forward();
    let Ok(stored) = store(&request, &ask, &head, &policy) else { return };
    for seconds in [2u64, 60, 1 << 32] {
        let candidate = Candidate { stored: &stored, marked_stale: false };
        let verdict = decide(&request, &ask, [candidate].into_iter(), moment(seconds).now, &policy);
        assert!(!matches!(verdict, Verdict::Stale { .. }) || !stored.terms.never_stale);
    }
    let _ = selection::select(&stored, Some(1000), &request, &ask, moment(3).wall);
});
