//! Any octets have a structure, the same however they are cut; its record reads back.
#![no_main]
use doorway_mail::mime::{Scanner, Structure, down, structure};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let whole = structure(octets);
    let mut scanner = Scanner::default();
    octets.chunks(5).for_each(|piece| scanner.push(piece));
    assert_eq!(scanner.finish(), whole);
    let back = Structure::from_octets(&whole.to_octets()).expect("a record of ours");
    assert!(back == whole || back.cut);
    let _ = Structure::from_octets(octets);
    assert!(down::convert(octets).is_ok_and(|converted| converted.is_ascii()) || !octets.is_ascii());
});
