//! A resolver hears anything in any order: it does not panic, keeps its budgets, and ends.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| doorway_dns::replay::arbitrary(octets));
