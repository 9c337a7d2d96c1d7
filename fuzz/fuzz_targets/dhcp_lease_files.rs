//! Files of other servers are read to their end, and written again.
#![no_main]
use doorway_base::UnixTime;
use doorway_dhcp::lease_file::{Format, read, write};

const NOW: UnixTime = UnixTime::from_secs(1_795_369_205);

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let text = String::from_utf8_lossy(octets);
    for format in [Format::Isc, Format::Dnsmasq, Format::Kea] {
        let found = read(format, &text, NOW);
        let _ = write(format, found.leases.values());
    }
});
