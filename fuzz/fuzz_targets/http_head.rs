//! What a prefix of a request head says, the whole says too.
#![no_main]
use doorway_http::wire::{FieldSpans, HeadLimits, Parsed, Refusal, parse_request};

fn parse(octets: &[u8]) -> Result<Option<(String, usize)>, Refusal> {
    let mut spans = FieldSpans::default();
    Ok(match parse_request(octets, &HeadLimits::default(), &mut spans)? {
        Parsed::Partial => None,
        Parsed::Head(head, used) => {
            let fields: Vec<_> = head.fields.iter().collect();
            let meaning = (head.octets, head.target, head.host_name(), head.body, head.persistent, fields);
            Some((format!("{meaning:?}"), used))
        }
    })
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let (whole, half) = (parse(octets), parse(&octets[..octets.len() / 2]));
    assert!(half == Ok(None) || half == whole);
});
