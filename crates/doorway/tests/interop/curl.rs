//! `curl` asks the web server, as every version of HTTP/1 and with TLS.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::programs;
use crate::server::{Server, Setup};

/// What curl prints about a response with `--include`.
#[derive(Debug)]
struct Got {
    status: String,
    head: String,
    body: Vec<u8>,
}

impl Got {
    /// Reads the last response of what curl wrote.
    fn read(octets: &[u8]) -> Self {
        let end = octets.windows(4).position(|part| part == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no response: {}", String::from_utf8_lossy(octets)));
        let head = String::from_utf8(octets[..end].to_vec()).unwrap();
        let status = head.lines().next().unwrap().to_owned();
        Self { status, head, body: octets[end + 4..].to_vec() }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Fetches one address, with these words before it.
fn curl(words: &[&str], url: &str) -> Got {
    let all = [&["-q", "--silent", "--show-error", "--include", "--noproxy", "*"], words, &[url]].concat();
    let ran = programs::run("curl", &all);
    assert!(ran.status.success(), "curl {all:?}: {}", ran.err);
    Got::read(&ran.out)
}

fn serving() -> Server {
    Setup::new()
        .file("public/plain.txt", "plain\n")
        .file("public/sub/index.html", "below\n")
        .file("secret.txt", "secret\n")
        .start()
}

#[test]
fn each_version_and_method_gets_what_it_asked_for() {
    let server = serving();
    for (words, path, status, body) in [
        (&["--http1.1"][..], "/", "HTTP/1.1 200 OK", "<h1>Hello</h1>\n"),
        (&["--http1.0"], "/plain.txt", "HTTP/1.1 200 OK", "plain\n"),
        (&["--head"], "/plain.txt", "HTTP/1.1 200 OK", ""),
        (&[], "/sub/", "HTTP/1.1 200 OK", "below\n"),
        (&["--header", "Connection: close"], "/plain.txt", "HTTP/1.1 200 OK", "plain\n"),
    ] {
        let got = curl(words, &server.url(path));
        assert_eq!((got.status.as_str(), got.body.as_slice()), (status, body.as_bytes()), "{}", got.head);
        let closing = words.contains(&"Connection: close");
        assert_eq!(got.field("Connection") == Some("close"), closing, "{}", got.head);
    }
    let head = curl(&["--head"], &server.url("/plain.txt"));
    assert_eq!(head.field("Content-Length"), Some("6"));
    assert_eq!(head.field("Content-Type"), Some("text/plain; charset=utf-8"));
    server.stop();
}

#[test]
fn what_cannot_be_had_gets_its_own_code() {
    let server = serving();
    for (words, path, status) in [
        (&[][..], "/none", "404"),
        (&["--request", "DELETE"], "/plain.txt", "405"),
        (&["--data", "x=1"], "/plain.txt", "405"),
        (&["--request", "FROBNICATE"], "/plain.txt", "501"),
        (&["--path-as-is"], "/../secret.txt", "404"),
        (&["--path-as-is"], "/sub/../../secret.txt", "404"),
        (&["--path-as-is"], "/%2e%2e/secret.txt", "404"),
        (&["--path-as-is"], "/..%2fsecret.txt", "404"),
        (&["--header", "Host: a b"], "/", "400"),
        (&["--header", "Transfer-Encoding: gzip, chunked", "--data", "x"], "/", "501"),
    ] {
        let got = curl(words, &server.url(path));
        let code = got.status.split(' ').nth(1).unwrap();
        assert_eq!(code, status, "{words:?} {path}");
        assert!(!got.body.windows(6).any(|part| part == b"secret"), "{path}");
        if code == "405" {
            assert!(got.field("Allow").is_some_and(|methods| methods.contains("GET")), "{}", got.head);
        }
    }
    let got = curl(&[], &server.url(&format!("/{}", "a".repeat(20_000))));
    assert_eq!(got.status.split(' ').nth(1), Some("414"));
    server.stop();
}

#[test]
fn a_copy_that_is_still_right_is_not_sent_again() {
    let server = serving();
    let url = server.url("/plain.txt");
    let first = curl(&[], &url);
    let (tag, date) = (first.field("ETag").unwrap(), first.field("Last-Modified").unwrap());
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    for (field, status) in [
        (format!("If-None-Match: {tag}"), "304"),
        (format!("If-None-Match: \"other\", W/{tag}"), "304"),
        ("If-None-Match: *".to_owned(), "304"),
        ("If-None-Match: \"other\"".to_owned(), "200"),
        (format!("If-Modified-Since: {date}"), "304"),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), "200"),
        ("If-Modified-Since: yesterday".to_owned(), "200"),
    ] {
        let got = curl(&["--header", &field], &url);
        assert_eq!(got.status.split(' ').nth(1), Some(status), "{field}");
        let body: &[u8] = if status == "304" { b"" } else { b"plain\n" };
        assert_eq!(got.body, body, "{field}");
        assert_eq!(got.field("ETag"), Some(tag), "{field}");
    }
    let both = ["--header", "If-None-Match: \"other\"", "--header"];
    let got = curl(&[&both[..], &[&format!("If-Modified-Since: {date}")]].concat(), &url);
    assert_eq!(got.status, "HTTP/1.1 200 OK", "RFC 9110 §13.2.2: the tag goes before the date");
    // curl's own ways to do it.
    for (since, status) in [(date, "304"), ("Sun, 06 Nov 1994 08:49:37 GMT", "200")] {
        let got = curl(&["--time-cond", since], &url);
        assert_eq!(got.status.split(' ').nth(1), Some(status), "-z {since}");
    }
    let kept = server.folder().word("kept.tag");
    curl(&["--etag-save", &kept], &url);
    assert_eq!(curl(&["--etag-compare", &kept], &url).status, "HTTP/1.1 304 Not Modified");
    server.stop();
}

#[test]
fn no_spelling_of_a_path_and_no_link_leads_out_of_the_folder() {
    let server = serving();
    let public = server.folder().path().join("public");
    symlink("../secret.txt", public.join("up")).unwrap();
    symlink("..", public.join("parent")).unwrap();
    symlink("/proc/self/root/etc/passwd", public.join("magic")).unwrap();
    for (path, status) in [
        ("/.%2E/secret.txt", "404"),
        ("/%2e%2e%2fsecret.txt", "404"),
        ("/%252e%252e/secret.txt", "404"),
        ("/%252e%252e%252fsecret.txt", "404"),
        ("/..%5csecret.txt", "404"),
        ("/..\\secret.txt", "400"),
        ("/..%c0%afsecret.txt", "400"),
        ("/..%00/secret.txt", "400"),
        ("//../secret.txt", "404"),
        ("/sub/%2e%2e%2f%2e%2e%2fsecret.txt", "404"),
        ("/up", "404"),
        ("/parent/secret.txt", "404"),
        ("/magic", "404"),
    ] {
        let got = curl(&["--path-as-is"], &server.url(path));
        assert_eq!(got.status.split(' ').nth(1), Some(status), "{path}");
        assert!(!got.body.windows(6).any(|part| part == b"secret"), "{path}");
    }
    server.stop();
}

#[test]
fn a_link_that_is_turned_back_and_forth_is_never_followed_outside() {
    let server = serving();
    let public = server.folder().path().join("public");
    server.folder().write("public/inside/secret.txt", "harmless\n");
    let turning = Arc::new(AtomicBool::new(true));
    let turner = std::thread::spawn({
        let (public, turning) = (public.clone(), Arc::clone(&turning));
        move || {
            for target in ["..", "inside"].into_iter().cycle() {
                symlink(target, public.join("new")).unwrap();
                std::fs::rename(public.join("new"), public.join("turned")).unwrap();
                if !turning.load(Relaxed) {
                    return;
                }
            }
        }
    });
    let words = ["-q", "--silent", "--noproxy", "*", "--write-out", "%{http_code}\n"];
    // Each in another spelling, so that each is looked up anew.
    let spelt = |number: usize| -> String {
        let coded = |(place, octet)| match number >> place & 1 {
            0 => char::from(octet).to_string(),
            _ => format!("%{octet:02x}"),
        };
        b"secret.txt".iter().copied().enumerate().map(coded).collect()
    };
    let urls: Vec<_> = (0..1024).map(|number| server.url(&format!("/turned/{}", spelt(number)))).collect();
    let words: Vec<&str> = words.into_iter().chain(urls.iter().map(String::as_str)).collect();
    let told = programs::run("curl", &words).done();
    turning.store(false, Relaxed);
    turner.join().unwrap();
    let inside = told.lines().filter(|line| *line == "harmless").count();
    let refused = told.matches("404\n").count();
    assert!(inside > 0 && refused > 0, "{inside} times inside, {refused} refused");
    assert!(!told.lines().any(|line| line == "secret"));
    server.stop();
}

#[test]
fn two_addresses_are_fetched_over_one_connection() {
    let server = serving();
    let words = ["-q", "--silent", "--verbose", "--noproxy", "*"];
    let urls = [server.url("/"), server.url("/plain.txt")];
    let ran = programs::run("curl", &[&words[..], &[&urls[0], &urls[1]]].concat());
    assert_eq!(ran.text(), "<h1>Hello</h1>\nplain\n");
    assert_eq!(ran.err.matches("* Connected to ").count(), 1, "{}", ran.err);
    assert!(ran.err.contains("* Re-using existing connection"), "{}", ran.err);
    server.stop();
}

#[test]
fn a_large_file_arrives_whole_with_and_without_tls() {
    let large: Vec<u8> = (0..20_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let server = Setup::new().file("public/large.bin", &large).start();
    let (into, ca) = (server.folder().word("got.bin"), server.folder().word("data/tls/ca.pem"));
    for url in [server.url("/large.bin"), format!("https://{}/large.bin", server.https())] {
        let words = ["-q", "--silent", "--show-error", "--noproxy", "*", "--cacert", &ca, "--output", &into];
        programs::run("curl", &[&words[..], &[&url]].concat()).done();
        assert!(server.folder().read("got.bin") == large, "{url}");
    }
    server.stop();
}

#[test]
fn the_local_authority_vouches_for_its_names_and_no_others() {
    let server = serving();
    let (ca, port) = (server.folder().word("data/tls/ca.pem"), server.https().port());
    for name in ["home.arpa", "localhost"] {
        let resolve = format!("{name}:{port}:127.0.0.1");
        for version in ["--tls-max=1.2", "--tlsv1.3"] {
            let version: Vec<&str> = version.split('=').collect();
            let words = [&["--cacert", &ca, "--resolve", &resolve], &version[..]].concat();
            let got = curl(&words, &format!("https://{name}:{port}/plain.txt"));
            assert_eq!((got.status.trim_end(), got.body.as_slice()), ("HTTP/2 200", &b"plain\n"[..]));
        }
    }
    let resolve = format!("example.com:{port}:127.0.0.1");
    let url = format!("https://example.com:{port}/");
    let ran = programs::run(
        "curl",
        &["-q", "--silent", "--noproxy", "*", "--cacert", &ca, "--resolve", &resolve, &url],
    );
    assert!(matches!(ran.status.code(), Some(35 | 60)), "{:?}: {}", ran.status, ran.text());
    let ran =
        programs::run("curl", &["-q", "--silent", "--noproxy", "*", &format!("https://localhost:{port}/")]);
    assert_eq!(ran.status.code(), Some(60), "nobody trusts the local authority unasked");
    server.stop();
}
