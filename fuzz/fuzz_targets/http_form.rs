//! A form is read as it is written, however it is cut; no credentials panic.
#![no_main]
use doorway_http::auth::Credentials;
use doorway_http::form::{Encoding, FormLimits, Urlencoded, encode, file_name};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let limits = FormLimits { parts: 16, field_octets: 64 };
    let whole = Urlencoded::parse(octets, limits);
    let (mut parser, mut fields) = (Urlencoded::new(limits), Vec::new());
    let read = octets.chunks(1).try_for_each(|octet| parser.read(octet, &mut fields));
    let cut = read.and_then(|()| Ok(fields.into_iter().chain(parser.end()?).collect::<Vec<_>>()));
    assert_eq!(cut, whole);
    if let Ok(fields) = whole {
        let text = encode(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(Urlencoded::parse(text.as_bytes(), limits), Ok(fields));
    }
    let text = String::from_utf8_lossy(octets);
    let _ = (Encoding::of(&text), Credentials::parse(octets));
    assert!(file_name(&text).is_none_or(|name| name.len() <= 255 && !name.contains('/')));
});
