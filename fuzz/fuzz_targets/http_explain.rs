//! What is told of a message covers each of its octets once, up to the end or to the one that breaks a rule.
#![no_main]
use doorway_http::explain::{Ending, explain};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let explained = explain(octets);
    let mut at = 0;
    for stretch in &explained.stretches {
        assert!(stretch.start == at && stretch.end > at, "{stretch:?} behind {at}");
        at = stretch.end;
    }
    let end = match explained.ending {
        Ending::Broken(refusal) => refusal.at_octet.min(octets.len()),
        Ending::Whole | Ending::Partial => octets.len(),
    };
    assert!(at <= end && (matches!(explained.ending, Ending::Broken(_)) || at == end), "{at} of {end}");
});
