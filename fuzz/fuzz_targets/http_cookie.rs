//! Whatever a server sets, the jar stays within its bounds and survives its file.
#![no_main]
use doorway_base::UnixTime;
use doorway_http::cookie::{COOKIES_PER_DOMAIN_MAX, Crossing, Jar, Place, cookie_date, pairs};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let (now, mut jar) = (UnixTime::from_secs(1_800_000_000), Jar::new());
    let place = Place { secure: true, host: "www.shop.test", path: "/a/b" };
    for field in octets.split(|&octet| octet == b'\n') {
        let _ = (jar.set(now, &place, Crossing::SameSite, field), cookie_date(field));
    }
    assert!(jar.len() <= 2 * COOKIES_PER_DOMAIN_MAX, "the host's and those of the domain above it");
    let sent = jar.header(now, &place, Crossing::SameSite).unwrap_or_default();
    assert!(pairs(&sent).count() <= sent.len());
    let file = jar.to_netscape();
    let again = Jar::from_netscape(&file, now).map(|jar| jar.to_netscape());
    assert_eq!(again.as_deref(), Ok(file.as_str()));
    let _ = Jar::from_netscape(&String::from_utf8_lossy(octets), now);
});
