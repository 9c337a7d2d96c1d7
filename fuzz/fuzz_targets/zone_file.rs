//! A zone file is read or refused with at least one error.
#![no_main]
use doorway_base::Random;
use doorway_dns::zone::{HashKey, file};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let apex = "example.org".parse().expect("a name");
    if let Err(faults) = file::read(&apex, "zone", text, HashKey::new(&mut Random::new(1))) {
        assert!(faults.has_errors());
        let _ = faults.to_string();
    }
});
