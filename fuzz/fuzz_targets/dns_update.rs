//! Whatever an UPDATE asks for, what it makes of a zone is a zone, and the quick way of making it is right.
#![no_main]
use std::sync::Arc;

use doorway_base::{Random, UnixTime};
use doorway_dns::transfer::incoming::Incoming;
use doorway_dns::transfer::outgoing::Request;
use doorway_dns::update::Update;
use doorway_dns::update::serial::SerialPolicy;
use doorway_dns::zone::{HashKey, Zone, file};

const ZONE: &[u8] = b"$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.1\nwww CNAME ns\n\
    *.w TXT \"any\"\nsub NS ns.sub\nns.sub A 192.0.2.2\na.b.c MX 10 ns\n";

fn lines(zone: &Zone) -> Vec<String> {
    let mut lines: Vec<String> = zone.iter().map(|record| record.to_string()).collect();
    lines.sort();
    lines
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let secret = HashKey::new(&mut Random::new(1));
    let apex = "example.org".parse().expect("a name");
    let (zone, _) = file::read(&apex, "zone", ZONE, secret).expect("a zone");
    let zone = Arc::new(zone);
    let _ = Request::read(octets);
    let _ = Incoming::new(&apex, 1, Some(zone.soa()), secret).message(octets);
    let Ok(Some(update)) = Update::read(octets) else { return };
    let change = update.apply(&zone, secret, SerialPolicy::Increment, UnixTime::from_secs(1), |_, _| true);
    let Ok(Some(change)) = change else { return };
    match (zone.changed(&[&change], secret), zone.changed_over(&[&change], secret)) {
        (Ok(whole), Ok(quick)) => assert_eq!(lines(&whole), lines(&quick)),
        (Err(_), Err(_)) => {}
        (whole, quick) => panic!("{whole:?} and {quick:?} differ"),
    }
});
