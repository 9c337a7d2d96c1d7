//! A PROXY header is found at the same octet whatever follows it, and never in a prefix of itself.
#![no_main]
use doorway_net::proxy_protocol::{Parsed, parse};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    if let Ok(Parsed::Header(ends, used)) = parse(octets) {
        assert!(used <= octets.len());
        assert_eq!(parse(&octets[..used]), Ok(Parsed::Header(ends, used)));
        for end in 0..used {
            assert_eq!(parse(&octets[..end]), Ok(Parsed::Partial));
        }
    }
});
