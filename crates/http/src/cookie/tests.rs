//! Vectors of RFC 6265bis, and the jar against a plain model.

use std::time::Duration;

use doorway_base::UnixTime;
use proptest::prelude::*;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_795_392_000); // Sun, 22 Nov 2026 20:00:00 GMT

fn place(url: &str) -> Place<'_> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let slash = rest.find('/').unwrap_or(rest.len());
    Place { secure: scheme == "https", host: &rest[..slash], path: &rest[slash..] }
}

/// Sets cookies at one address and tells what is sent to another.
fn check(from: &str, fields: &[&str], to: &str) -> String {
    let mut jar = Jar::new();
    for (second, field) in (0..).zip(fields) {
        let _ =
            jar.set(NOW + Duration::from_secs(second), &place(from), Crossing::SameSite, field.as_bytes());
    }
    let sent = jar.header(NOW + Duration::from_secs(60), &place(to), Crossing::SameSite);
    String::from_utf8(sent.unwrap_or_default()).unwrap()
}

fn refusal(from: &str, crossing: Crossing, field: &str) -> Option<Unkept> {
    Jar::new().set(NOW, &place(from), crossing, field.as_bytes()).err()
}

#[test]
fn the_cookie_field_is_read_whatever_stands_in_it() {
    let long = "x=1; ".repeat(PAIRS_MAX + 40);
    for (field, expected) in [
        ("", ""),
        ("a=1", "a=1"),
        ("a=1; b=2", "a=1,b=2"),
        ("a=1;b=2 ;\tc=3", "a=1,b=2,c=3"),
        ("a = 1 ; b", "a=1,=b"),
        ("a=\"x y\"; b==; =c; ;;", "a=\"x y\",b==,=c"),
        ("sid=1; sid=2", "sid=1,sid=2"),
    ] {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let read: Vec<_> = pairs(field.as_bytes()).map(|(n, v)| format!("{}={}", text(n), text(v))).collect();
        assert_eq!(read.join(","), expected, "{field}");
    }
    assert_eq!(pairs(long.as_bytes()).count(), PAIRS_MAX);
    let fields = [&b"other=1"[..], b"sid=first; sid=second"];
    assert_eq!(value(fields, "sid"), Some(&b"first"[..]));
    assert_eq!(value(fields, "SID"), None, "names differ by case");
}

#[test]
fn what_is_written_is_what_a_browser_keeps() {
    let session = SetCookie { secure: true, ..SetCookie::new("__Host-sid", "0123") };
    assert_eq!(session.write().unwrap(), "__Host-sid=0123; Path=/; Secure; HttpOnly; SameSite=Lax");
    let shown = SetCookie {
        domain: Some("example.org"),
        path: Some("/a"),
        max_age: Some(Duration::from_secs(60)),
        http_only: false,
        same_site: None,
        ..SetCookie::new("n", "")
    };
    assert_eq!(shown.write().unwrap(), "n=; Domain=example.org; Path=/a; Max-Age=60");
}

#[test]
fn what_a_browser_would_not_keep_is_not_written() {
    let plain = SetCookie::new("n", "v");
    let long = "v".repeat(4096);
    for (cookie, expected) in [
        (SetCookie { name: "", ..plain.clone() }, CookieError::Name),
        (SetCookie { name: "a b", ..plain.clone() }, CookieError::Name),
        (SetCookie { value: "a;b", ..plain.clone() }, CookieError::Value),
        (SetCookie { value: "a\r\nb", ..plain.clone() }, CookieError::Value),
        (SetCookie { value: "é", ..plain.clone() }, CookieError::Value),
        (SetCookie { value: &long, ..plain.clone() }, CookieError::Length),
        (SetCookie { domain: Some("a..b"), ..plain.clone() }, CookieError::Domain),
        (SetCookie { domain: Some("a;b"), ..plain.clone() }, CookieError::Domain),
        (SetCookie { path: Some("a"), ..plain.clone() }, CookieError::Path),
        (SetCookie { path: Some("/a;Secure"), ..plain.clone() }, CookieError::Path),
        (SetCookie { same_site: Some(SameSite::None), ..plain.clone() }, CookieError::SameSiteNone),
        (SetCookie { name: "__Secure-n", ..plain.clone() }, CookieError::SecurePrefix),
        (SetCookie { name: "__host-n", ..plain.clone() }, CookieError::HostPrefix),
        (
            SetCookie { name: "__Host-n", secure: true, path: Some("/a"), ..plain.clone() },
            CookieError::HostPrefix,
        ),
        (SetCookie { name: "__Host-n", secure: true, domain: Some("a.b"), ..plain }, CookieError::HostPrefix),
    ] {
        assert_eq!(cookie.write(), Err(expected), "{cookie:?}");
    }
}

#[test]
fn dates_are_found_in_what_servers_write() {
    for (text, expected) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
        ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
        ("08:49:37 1994 nov 6", Some(784_111_777)),
        ("6 november 94 8:49:37", Some(784_111_777)),
        ("Mon, 10-Dec-2007 17:02:24 GMT", Some(1_197_306_144)),
        ("Wed, 09 Dec 2009 16:27:23 GMT", Some(1_260_376_043)),
        ("Thursday, 01-Jan-1970 00:00:00 GMT", Some(0)),
        ("Sat Apr 17 21:12:54 2010", Some(1_271_538_774)),
        ("10-Dec-07 17:02:24z", Some(1_197_306_144)),
        ("1 jan 69 0:0:0", Some(3_124_224_000)),
        ("1 jan 70 0:0:0", Some(0)),
        ("31 dec 1969 23:59:59", Some(0)),
        ("29 feb 1904 0:0:0", Some(0)),
        ("1 jan 1601 0:0:0", Some(0)),
        ("Thu, 01-Jan-1970 00:00:00", Some(0)),
        ("08:49:37abc 6x nov 1994", Some(784_111_777)),
        ("06/Nov/1994 08:49:37", Some(784_111_777)),
        ("", None),
        ("yesterday", None),
        ("1 jan 1600 0:0:0", None),
        ("29 feb 1903 0:0:0", None),
        ("31 feb 2010 0:0:0", None),
        ("0 jan 2010 0:0:0", None),
        ("32 jan 2010 0:0:0", None),
        ("1 jan 2010 24:0:0", None),
        ("1 jan 2010 0:60:0", None),
        ("1 jan 2010 0:0:60", None),
        ("1 jan 2010", None),
        ("1 2010 0:0:0", None),
        ("jan 2010 000:0:0", None),
        ("1 jan 0:0:0", None),
        ("1 jan 20100 0:0:0", None),
    ] {
        assert_eq!(cookie_date(text.as_bytes()), expected.map(UnixTime::from_secs), "{text}");
    }
    assert!(cookie_date(b"31 dec 9999 23:59:59") > cookie_date(b"1 jan 2500 0:0:0"));
}

#[test]
fn pairs_and_attributes_are_taken_apart_as_browsers_do() {
    let home = "http://home.test/cookie";
    for (fields, expected) in [
        (&["foo=bar"][..], "foo=bar"),
        (&["foo=bar; Expires=Fri, 07 Aug 2099 08:04:19 GMT"], "foo=bar"),
        (&["foo=bar; Expires=Fri, 07 Aug 2007 08:04:19 GMT"], ""),
        (&["foo=bar; max-age=0"], ""),
        (&["foo=bar; max-age=-1"], ""),
        (&["foo=bar; max-age=1000000; expires=Thu, 01 Jan 1970 00:00:00 GMT"], "foo=bar"),
        (&["foo=bar; max-age=0; expires=Fri, 07 Aug 2099 08:04:19 GMT"], ""),
        (&["foo=bar; max-age=1x"], "foo=bar"),
        (&["foo=bar; max-age="], "foo=bar"),
        (&["foo=bar; max-age=99999999999999999999"], "foo=bar"),
        (&["foo=bar; expires=never"], "foo=bar"),
        (&["foo=bar; Secure"], ""),
        (&["foo=bar; HttpOnly"], "foo=bar"),
        (&["  foo = bar  ;x"], "foo=bar"),
        (&["foo=  bar  baz "], "foo=bar  baz"),
        (&["foo=\"bar\""], "foo=\"bar\""),
        (&["foo=bar=baz"], "foo=bar=baz"),
        (&["foo"], "foo"),
        (&["=foo"], "foo"),
        (&["foo="], "foo="),
        (&[""], ""),
        (&["="], ""),
        (&[";"], ""),
        (&["a=1", "b=2"], "a=1; b=2"),
        (&["a=1", "b=2", "a=3"], "a=3; b=2"),
        (&["a=1", "a=; max-age=0"], ""),
        (&["foo=b\u{1}ar"], ""),
        (&["foo=b\tar"], "foo=b\tar"),
        (&["foo=bär"], "foo=bär"),
        (&["foo=bar; path"], "foo=bar"),
        (&["foo=bar; path=x"], "foo=bar"),
        (&["foo=bar; path=/cookie"], "foo=bar"),
        (&["foo=bar; path=/cook"], ""),
        (&["foo=bar; path=/cookie/"], ""),
        (&["foo=bar; path=/none; path=/"], "foo=bar"),
        (&["foo=bar; SameSite=Strict; samesite=lax"], "foo=bar"),
        (&["foo=bar; domain="], "foo=bar"),
        (&["foo=bar; domain=HOME.test"], "foo=bar"),
        (&["foo=bar; domain=.home.test"], "foo=bar"),
        (&["foo=bar; domain=..home.test"], ""),
        (&["foo=bar; domain=other.test"], ""),
        (&["foo=bar; domain=other.test; domain=home.test"], "foo=bar"),
        (&["foo=bar; domain=sub.home.test"], ""),
        (&["foo=bar; domain=test"], ""),
    ] {
        assert_eq!(check(home, fields, home), expected, "{fields:?}");
    }
    let (name, value) = ("n".repeat(2000), "v".repeat(2096));
    assert_eq!(check(home, &[&format!("{name}={value}")], home).len(), 4097);
    assert_eq!(check(home, &[&format!("{name}={value}v")], home), "");
    let long = format!("a=1; path=/{}", "x".repeat(1024));
    assert_eq!(check(home, &[&long], home), "a=1", "an attribute that is too long is passed over");
}

#[test]
fn domains_reach_downwards_and_never_to_strangers() {
    for (from, field, to, expected) in [
        ("http://www.home.test/", "a=1", "http://www.home.test/", "a=1"),
        ("http://www.home.test/", "a=1", "http://home.test/", ""),
        ("http://www.home.test/", "a=1", "http://x.www.home.test/", ""),
        ("http://www.home.test/", "a=1; domain=home.test", "http://home.test/", "a=1"),
        ("http://www.home.test/", "a=1; domain=home.test", "http://x.home.test/", "a=1"),
        ("http://www.home.test/", "a=1; domain=home.test", "http://xhome.test/", ""),
        ("http://WWW.Home.test./", "a=1; domain=home.test", "http://home.TEST/", "a=1"),
        ("http://www.shop.co.uk/", "a=1; domain=co.uk", "http://www.shop.co.uk/", ""),
        ("http://www.shop.co.uk/", "a=1; domain=shop.co.uk", "http://shop.co.uk/", "a=1"),
        ("http://ann.github.io/", "a=1; domain=github.io", "http://bob.github.io/", ""),
        ("http://github.io/", "a=1; domain=github.io", "http://github.io/", "a=1"),
        ("http://github.io/", "a=1; domain=github.io", "http://ann.github.io/", ""),
        ("http://localhost/", "a=1; domain=localhost", "http://localhost/", "a=1"),
        ("http://127.0.0.1/", "a=1", "http://127.0.0.1/", "a=1"),
        ("http://127.0.0.1/", "a=1; domain=127.0.0.1", "http://127.0.0.1/", "a=1"),
        ("http://127.0.0.1/", "a=1; domain=0.0.1", "http://127.0.0.1/", ""),
        ("http://[::1]/", "a=1; domain=[::1]", "http://[::1]/", "a=1"),
    ] {
        assert_eq!(check(from, &[field], to), expected, "{from} {field} {to}");
    }
}

#[test]
fn paths_match_by_whole_segments_and_the_longest_comes_first() {
    for (from, path, to, expected) in [
        ("/a/b/c", "", "/a/b/d", "n=1"),
        ("/a/b/c", "", "/a/b", "n=1"),
        ("/a/b/c", "", "/a/bc", ""),
        ("/a", "", "/", "n=1"),
        ("", "", "/x", "n=1"),
        ("/x", "; path=/a", "/a", "n=1"),
        ("/x", "; path=/a", "/a/b", "n=1"),
        ("/x", "; path=/a", "/ab", ""),
        ("/x", "; path=/a/", "/a/b", "n=1"),
        ("/x", "; path=/a/", "/a", ""),
        ("/x", "; path=/", "", "n=1"),
    ] {
        let (from, to) = (format!("http://h.test{from}"), format!("http://h.test{to}"));
        assert_eq!(check(&from, &[&format!("n=1{path}")], &to), expected, "{from} {path} {to}");
    }
    let fields = ["a=1; path=/", "b=2; path=/x/y", "c=3; path=/x", "d=4; path=/x"];
    assert_eq!(check("http://h.test/", &fields, "http://h.test/x/y/z"), "b=2; c=3; d=4; a=1");
}

#[test]
fn promises_of_a_name_are_kept_or_the_cookie_is_not() {
    let (open, tls) = ("http://h.test/a/b", "https://h.test/a/b");
    let check = |from, field, expected| {
        assert_eq!(refusal(from, Crossing::SameSite, field), expected, "{from} {field}")
    };
    check(tls, "__Secure-a=1; Secure", None);
    check(tls, "__Secure-a=1", Some(Unkept::Prefix));
    check(tls, "__SeCuRe-a=1", Some(Unkept::Prefix));
    check(open, "__Secure-a=1; Secure", Some(Unkept::Secure));
    check(tls, "__Host-a=1; Secure; Path=/", None);
    check(tls, "__Host-a=1; Secure", Some(Unkept::Prefix));
    check(tls, "__Host-a=1; Path=/", Some(Unkept::Prefix));
    check(tls, "__Host-a=1; Secure; Path=/a", Some(Unkept::Prefix));
    check(tls, "__Host-a=1; Secure; Path=/; Domain=h.test", Some(Unkept::Prefix));
    check(tls, "=__Host-a=1; Secure; Path=/", Some(Unkept::Prefix));
    check(tls, "__Secure-a; Secure", Some(Unkept::Prefix));
    check(tls, "a=1; SameSite=None; Secure", None);
    check(tls, "a=1; SameSite=None", Some(Unkept::SameSiteNone));
    check(tls, "a=1; SameSite=whatever", None);
}

#[test]
fn an_open_connection_cannot_hide_a_secure_cookie() {
    let mut jar = Jar::new();
    let mut set = |url, field: &str| jar.set(NOW, &place(url), Crossing::SameSite, field.as_bytes());
    set("https://h.test/", "sid=good; Secure; Path=/login").unwrap();
    assert_eq!(set("http://h.test/", "sid=bad; Path=/login/x"), Err(Unkept::Overlay));
    assert_eq!(set("http://www.h.test/", "sid=bad; Domain=h.test; Path=/login"), Err(Unkept::Overlay));
    assert_eq!(set("http://h.test/", "sid=other; Path=/"), Ok(()), "it is sent behind the other");
    assert_eq!(set("https://h.test/", "sid=new; Path=/login"), Ok(()));
    assert_eq!(set("http://h.test/", "SID=2; Path=/login"), Ok(()));
}

#[test]
fn other_sites_carry_only_what_says_so() {
    let tls = "https://h.test/";
    let mut jar = Jar::new();
    for field in
        ["strict=1; SameSite=Strict", "lax=1; SameSite=Lax", "none=1; SameSite=None; Secure", "unsaid=1"]
    {
        jar.set(NOW, &place(tls), Crossing::SameSite, field.as_bytes()).unwrap();
    }
    for (crossing, expected) in [
        (Crossing::SameSite, "strict=1; lax=1; none=1; unsaid=1"),
        (Crossing::Navigation { safe: true }, "lax=1; none=1; unsaid=1"),
        (Crossing::Navigation { safe: false }, "none=1"),
        (Crossing::CrossSite, "none=1"),
    ] {
        let sent = jar.header(NOW, &place(tls), crossing).unwrap();
        assert_eq!(String::from_utf8(sent).unwrap(), expected, "{crossing:?}");
    }
    assert_eq!(refusal(tls, Crossing::CrossSite, "a=1"), Some(Unkept::SameSite));
    assert_eq!(refusal(tls, Crossing::CrossSite, "a=1; SameSite=None; Secure"), None);
    assert_eq!(refusal(tls, Crossing::Navigation { safe: true }, "a=1; SameSite=Strict"), None);
}

#[test]
fn no_cookie_lasts_longer_than_400_days() {
    let home = place("http://h.test/");
    for field in ["a=1; Max-Age=99999999999", "a=1; Expires=1 jan 9999 0:0:0"] {
        let mut jar = Jar::new();
        jar.set(NOW, &home, Crossing::SameSite, field.as_bytes()).unwrap();
        assert_eq!(jar.iter().next().unwrap().expires, Some(NOW + LIFETIME_MAX), "{field}");
        assert!(
            jar.header(NOW + (LIFETIME_MAX - Duration::from_secs(1)), &home, Crossing::SameSite).is_some()
        );
        assert!(jar.header(NOW + LIFETIME_MAX, &home, Crossing::SameSite).is_none());
    }
    let mut jar = Jar::new();
    jar.set(NOW, &home, Crossing::SameSite, b"kept=1; Max-Age=60").unwrap();
    jar.set(NOW, &home, Crossing::SameSite, b"gone=1").unwrap();
    jar.end_session();
    assert_eq!(jar.header(NOW, &home, Crossing::SameSite).as_deref(), Some(&b"kept=1"[..]));
}

#[test]
fn a_full_jar_lets_go_of_what_counts_least() {
    let second = |number: u64| NOW + Duration::from_secs(number);
    let tls = place("https://h.test/");
    let mut jar = Jar::new();
    let mut set =
        |at: u64, field: String| jar.set(second(at), &tls, Crossing::SameSite, field.as_bytes()).unwrap();
    set(0, "secure=1; Secure".into());
    set(1, "plain=1".into());
    set(2, "ends=1; Max-Age=10".into());
    for number in 3..COOKIES_PER_DOMAIN_MAX as u64 {
        set(number, format!("n{number}=1"));
    }
    let names = |jar: &Jar| {
        jar.iter().map(|kept| String::from_utf8_lossy(&kept.name).into_owned()).collect::<Vec<_>>()
    };
    set(100, "one=1".into());
    assert!(!names(&jar).contains(&"ends".into()), "what has ended goes first");
    jar.set(second(101), &tls, Crossing::SameSite, b"two=1").unwrap();
    assert_eq!(jar.len(), COOKIES_PER_DOMAIN_MAX);
    jar.set(second(102), &tls, Crossing::SameSite, b"three=1").unwrap();
    assert_eq!(jar.len(), COOKIES_PER_DOMAIN_MAX);
    let left = names(&jar);
    assert!(left.contains(&"secure".into()) && !left.contains(&"plain".into()), "{left:?}");
    for host in 0..COOKIES_MAX {
        let host = format!("h{host}.test");
        let elsewhere = Place { secure: false, host: &host, path: "/" };
        jar.set(second(200), &elsewhere, Crossing::SameSite, b"a=1").unwrap();
        assert!(jar.len() <= COOKIES_MAX);
    }
    assert!(!names(&jar).contains(&"three".into()), "used longest ago");
}

#[test]
fn the_file_of_curl_is_read_and_written() {
    let file = "# Netscape HTTP Cookie File\n# https://curl.se/docs/http-cookies.html\n\n\
        #HttpOnly_h.test\tFALSE\t/\tTRUE\t0\t__Host-sid\tabc\n\
        .example.org\tTRUE\t/a\tFALSE\t1900000000\tn\tv=1\n\
        h.test\tFALSE\t/\tFALSE\t1\tpast\tx\n\
        .co.uk\tTRUE\t/\tFALSE\t0\twide\tx\n";
    let jar = Jar::from_netscape(file, NOW).unwrap();
    let lines = "# Netscape HTTP Cookie File\n\
        .example.org\tTRUE\t/a\tFALSE\t1829952000\tn\tv=1\n\
        #HttpOnly_h.test\tFALSE\t/\tTRUE\t0\t__Host-sid\tabc\n";
    assert_eq!(jar.to_netscape(), lines, "400 days at most");
    assert_eq!(Jar::from_netscape(lines, NOW).unwrap().to_netscape(), lines);
    for bad in [
        "x",
        "h.test\tFALSE\t/\tFALSE\tsoon\tn\tv",
        "h.test\tno\t/\tFALSE\t0\tn\tv",
        "\tFALSE\t/\tFALSE\t0\tn\tv",
    ] {
        assert_eq!(Jar::from_netscape(&format!("\n{bad}\n"), NOW).err(), Some(BadLine { line: 2 }), "{bad}");
    }
}

/// The jar as one would write it in five lines: everything that was ever set, looked at in order.
fn model(sets: &[(u8, u8, u8, bool)], host: u8, path: u8, at: UnixTime) -> Vec<String> {
    let mut kept: Vec<(u8, u8, u8, usize, bool)> = Vec::new();
    for (time, (host, name, path, gone)) in sets.iter().enumerate() {
        let same = kept.iter().position(|k| (k.0, k.1, k.2) == (*host, *name, *path));
        match (same, gone) {
            (Some(place), true) => drop(kept.remove(place)),
            (Some(place), false) => kept[place].3 = time,
            (None, true) => {}
            (None, false) => kept.push((*host, *name, *path, time, true)),
        }
    }
    let _ = at;
    let mut sent: Vec<_> = kept.into_iter().filter(|k| k.0 == host && k.2 <= path).collect();
    sent.sort_by_key(|k| std::cmp::Reverse(k.2));
    sent.into_iter().map(|k| format!("n{}=v{}", k.1, k.3)).collect()
}

proptest! {
    #[test]
    fn the_jar_does_what_the_model_does(
        sets in proptest::collection::vec((0u8..3, 0u8..4, 0u8..3, any::<bool>()), 0..40),
        host in 0u8..3,
        path in 0u8..3,
    ) {
        let paths = ["/", "/a", "/a/b"];
        let mut jar = Jar::new();
        for (time, (host, name, path, gone)) in sets.iter().enumerate() {
            let host = format!("h{host}.test");
            let end = if *gone { "; Max-Age=0" } else { "" };
            let field = format!("n{name}=v{time}; Path={}{end}", paths[usize::from(*path)]);
            let place = Place { secure: false, host: &host, path: "/" };
            let _ = jar.set(NOW + Duration::from_secs(time as u64), &place, Crossing::SameSite, field.as_bytes());
        }
        let host_name = format!("h{host}.test");
        let place = Place { secure: false, host: &host_name, path: paths[usize::from(path)] };
        let sent = jar.header(NOW + Duration::from_secs(100), &place, Crossing::SameSite).unwrap_or_default();
        prop_assert_eq!(String::from_utf8(sent).unwrap(), model(&sets, host, path, NOW).join("; "));
    }

    #[test]
    fn whatever_comes_is_read_without_panic(field in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut jar = Jar::new();
        let _ = jar.set(NOW, &place("https://h.test/"), Crossing::SameSite, &field);
        let sent = jar.header(NOW, &place("https://h.test/"), Crossing::SameSite);
        prop_assert_eq!(sent.is_some(), !jar.is_empty() && jar.iter().all(|k| k.path == "/"));
        let _ = (cookie_date(&field), pairs(&field).count());
        let _ = Jar::from_netscape(&String::from_utf8_lossy(&field), NOW);
    }
}
