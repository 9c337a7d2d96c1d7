//! No header field makes a reader panic, and no text has line ends in it.
#![no_main]
use doorway_mail::mime::{address_list, date, header, parameter};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    for field in header::fields(octets) {
        assert!(!field.text().contains(['\r', '\n']));
    }
    assert!(!header::text(octets).contains(['\r', '\n']));
    let read = parameter::parse(octets);
    assert!(read.parameters.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
    let _ = (address_list::parse(octets), date::parse(octets));
});
