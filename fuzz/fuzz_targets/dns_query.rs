//! The fast way of reading a query and the whole way give the same answer, which is a message.
#![no_main]
use std::sync::Arc;

use doorway_base::{Random, Verdict, Writer};
use doorway_dns::authority::counters::Counters;
use doorway_dns::authority::{Authority, Carrier, Published};
use doorway_dns::wire::Message;
use doorway_dns::zone::{HashKey, Zones, file};

const ZONE: &[u8] = b"$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.1\nns AAAA 2001:db8::1\n\
    www CNAME ns\n*.w TXT \"any\"\nsub NS ns.sub\nns.sub A 192.0.2.2\nmail MX 10 ns\n";

fn authority() -> Authority {
    let secret = HashKey::new(&mut Random::new(1));
    let (zone, _) =
        file::read(&"example.org".parse().expect("a name"), "zone", ZONE, secret).expect("a zone");
    let zones = Zones::new(secret, vec![Arc::new(zone)]).expect("one zone");
    Authority::new(Published::new(zones), Arc::new(Counters::default()), 1232)
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    for carrier in [Carrier::Datagram, Carrier::Stream] {
        let (mut usual, mut whole) = (vec![0; 65_535], vec![0; 65_535]);
        let (mut fast, mut full) = (Writer::new(&mut usual), Writer::new(&mut whole));
        let verdict = authority().respond(octets, carrier, &mut fast);
        assert_eq!(verdict, authority().respond_in_full(octets, carrier, &mut full));
        if verdict == Verdict::Reply {
            assert_eq!(fast.written(), full.written());
            Message::read(fast.written()).expect("an answer is a message");
        }
    }
});
