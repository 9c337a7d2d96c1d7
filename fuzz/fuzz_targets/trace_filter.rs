//! A filter is read or refused with a sentence; whether an event passes is always decided.
#![no_main]
use doorway_base::trace::Filter;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match text.parse::<Filter>() {
        Ok(filter) => assert_eq!(text.parse::<Filter>(), Ok(filter)),
        Err(why) => assert!(!why.is_empty()),
    }
});
