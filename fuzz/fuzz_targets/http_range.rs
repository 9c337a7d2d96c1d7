//! No Range makes a part that is empty, overlaps another or lies behind the end.
#![no_main]
use doorway_http::range::{PARTS_MAX, Ranges, parse};

libfuzzer_sys::fuzz_target!(|input: (u64, &[u8])| {
    let (octets, value) = input;
    if let Ranges::Parts(mut parts) = parse(value, octets) {
        assert!(!parts.is_empty() && parts.len() <= PARTS_MAX);
        assert!(parts.iter().all(|part| part.first < part.end && part.end <= octets));
        parts.sort_by_key(|part| part.first);
        assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].first));
    }
});
