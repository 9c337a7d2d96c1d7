//! A message that is read can be written, and is read again as the same one.
#![no_main]
use doorway_dns::wire::{Message, options};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = doorway_dns::summary(octets);
    let Ok(message) = Message::read(octets) else { return };
    if let Some(edns) = &message.edns {
        for option in options::options(&edns.options).flatten() {
            let mut written = Vec::new();
            option.write(&mut written);
            let again: Vec<_> = options::options(&written).collect();
            assert_eq!(again, [Ok(option.clone())], "{option}");
        }
    }
    if let Some(written) = message.to_octets() {
        assert_eq!(Message::read(&written), Ok(message));
    }
});
