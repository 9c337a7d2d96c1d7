//! Any text that stands for any key becomes a value or a sentence about what is wrong, and what is
//! printed of a value is read back as the same one.
#![no_main]
use std::path::Path;

use doorway_base::config::{Cidr, Entry, Item, Listen, Section, Written, units};

const SECTIONS: [&Section; 7] = [
    &doorway_dns::config::SECTIONS[0],
    &doorway_dns::config::SECTIONS[1],
    &doorway_dns::config::SECTIONS[2],
    &doorway_dns::config::SECTIONS[3],
    &doorway_http::config::SECTION,
    &doorway_store::SECTION,
    &doorway_store::AUTH_SECTION,
];

libfuzzer_sys::fuzz_target!(|text: &str| {
    for section in SECTIONS {
        for key in section.keys {
            let item = Item { at: 0..text.len(), written: Written::Text(text.to_owned()) };
            let entry = Entry { name: key.name.to_owned(), at: 0..0, item };
            let mut wrongs = Vec::new();
            let values = section.read(&[entry], Path::new(""), &mut wrongs);
            assert!(!wrongs.is_empty() || values.is_complete(), "{}.{}", section.name, key.name);
        }
    }
    if let Ok(span) = units::duration(text) {
        assert_eq!(units::duration(&units::duration_text(span)), Ok(span));
    }
    if let Ok(octets) = units::size(text) {
        assert_eq!(units::size(&units::size_text(octets)), Ok(octets));
    }
    if let Ok(listen) = text.parse::<Listen>() {
        assert_eq!(listen.to_string().parse(), Ok(listen));
    }
    if let Ok(network) = text.parse::<Cidr>() {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
});
