//! What lies in the files of a cache is read without panic, and what is written is read back.
#![no_main]
use doorway_base::Reader;
use doorway_http::cache::catalogue::Catalogue;
use doorway_http::cache::purges::Order;
use doorway_http::cache::record::{self, HEADER_OCTETS, Header, Kind, Mark, ObjectHead};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = Header::parse(octets);
    let _ = Catalogue::parse(octets);
    let _ = record::parse_piece(octets, octets.len() as u32);
    if let Ok(order) = Order::read(&mut Reader::new(octets)) {
        let mut written = Vec::new();
        order.write(&mut written);
        assert_eq!(Order::read(&mut Reader::new(&written)), Ok(order));
    }
    if let Ok(head) = ObjectHead::parse(octets) {
        let mark = Mark { name: 1, variant: 2, purges: 3, run: 4 };
        let written = record::object(Kind::Object, &mark, &head, 0);
        assert_eq!(ObjectHead::parse(&written[HEADER_OCTETS..]), Ok(head));
    }
});
