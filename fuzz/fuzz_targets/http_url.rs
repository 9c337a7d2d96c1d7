//! A URL is written as it is read, and every reference leads to a URL.
#![no_main]
use doorway_http::url::{Url, decode, encode};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    assert_eq!(decode(&encode(octets)).as_deref(), Ok(octets));
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let (first, reference) = text.split_once('\n').unwrap_or((text, text));
    let base = Url::parse("http://www.example.org/a/b?c").expect("a URL");
    for url in [Url::parse(first), base.join(reference)].into_iter().flatten() {
        let target = url.target();
        assert!(
            (url.host.is_empty() || target.starts_with('/'))
                && target.bytes().all(|octet| octet.is_ascii_graphic()),
            "{target}"
        );
        assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(&url));
        let _ = url.join(reference);
    }
});
