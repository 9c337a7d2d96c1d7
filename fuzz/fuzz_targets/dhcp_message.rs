//! Whatever is read as a DHCP message has a line for the trace, and its options can be asked for.
#![no_main]
use doorway_dhcp::wire::{Message, summary};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    assert!(!summary(octets).is_empty());
    if let Ok(message) = Message::parse(octets) {
        let _ = (message.agent(), message.fqdn(), message.host_name(), message.file(), message.sname());
        assert!(message.options().all(|(code, value)| message.has(code) && value.len() <= octets.len()));
    }
});
