//! A message that is read can be written, and is read again as the same one.
#![no_main]
use doorway_dns::wire::Message;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = doorway_dns::summary(octets);
    let Ok(message) = Message::read(octets) else { return };
    if let Some(written) = message.to_octets() {
        assert_eq!(Message::read(&written), Ok(message));
    }
});
