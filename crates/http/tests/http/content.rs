//! What of a file is sent: ranges, codings, listings, pages for errors, and what is said about it.

use std::fs;
use std::os::unix::fs::symlink;

use doorway_http::Config;
use doorway_http::coding::Coding;
use doorway_http::config::{SiteConfig, Symlinks};
use doorway_sim::Link;

use crate::support::{Folder, answers, config, large, network, octets_of, talk};

/// A configuration whose only site is `site`, for every host.
fn alone(site: SiteConfig) -> Config {
    Config { sites: vec![site], ..config(None) }
}

fn plain(folder: &Folder) -> SiteConfig {
    SiteConfig::plain(Some(folder.public()))
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
}

/// Checks the start of an answer, what its head holds, and what it does not hold.
#[track_caller]
fn check(config: &Config, request: &str, start: &str, holds: &[&str], lacks: &[&str]) {
    let answer = answers(config.clone(), request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {start}\r\n")), "{request:?}: {answer}");
    for wanted in holds {
        assert!(answer.contains(wanted), "{request:?} lacks {wanted:?}: {answer}");
    }
    for unwanted in lacks {
        assert!(!answer.contains(unwanted), "{request:?} holds {unwanted:?}: {answer}");
    }
}

/// The content of an answer, as octets.
fn content(config: &Config, request: &str) -> Vec<u8> {
    let (mut sim, client) = network(1, config.clone(), Link::default());
    let world = sim.world(client);
    let request = request.as_bytes().to_vec();
    octets_of(&sim.run(client, async move { talk(&world, &request).await }).unwrap())
}

#[test]
fn one_range_is_sent_as_part_of_a_file_however_long_the_file_is() {
    let folder = Folder::new();
    let config = config(Some(&folder.public()));
    let range = |path, range: &str| get(path, &format!("Range: bytes={range}\r\n"));
    let part = ["Content-Range: bytes 1-3/6\r\n", "Content-Length: 3\r\n", "text/plain", "\r\n\r\nlai"];
    check(&config, &range("/plain.txt", "1-3"), "206 Partial Content", &part, &["Accept-Ranges"]);
    check(&config, &range("/plain.txt", "-2"), "206 Partial Content", &["bytes 4-5/6", "\r\n\r\nn\n"], &[]);
    let large = large();
    for (text, expected) in [
        ("100000-200000", &large[100_000..=200_000]),
        ("-1", &large[299_999..]),
        ("299999-", &large[299_999..]),
        ("0-", &large[..]),
    ] {
        assert_eq!(content(&config, &range("/large.bin", text)), expected, "{text}");
    }
    for (path, octets) in [("/plain.txt", 6), ("/large.bin", 300_000)] {
        let whole = format!("Content-Range: bytes */{octets}\r\n");
        let request = range(path, "300000-");
        check(&config, &request, "416 Range Not Satisfiable", &[&whole, "Content-Length: 0\r\n"], &[]);
        check(&config, &range(path, "x"), "200 OK", &["Accept-Ranges: bytes\r\n"], &["Content-Range"]);
        let head = range(path, "0-1").replace("GET", "HEAD");
        check(&config, &head, "200 OK", &["Accept-Ranges: bytes\r\n"], &["Content-Range"]);
    }
}

#[test]
fn several_ranges_are_sent_in_parts_that_add_up() {
    let folder = Folder::new();
    let config = config(Some(&folder.public()));
    let large = large();
    for (path, whole) in [("/plain.txt", &b"plain\n"[..]), ("/large.bin", &large)] {
        let request = get(path, "Range: bytes=0-1,3-3,-1\r\n");
        check(&config, &request, "206 Partial Content", &["multipart/byteranges; boundary="], &[]);
        let content = content(&config, &request);
        let mut at = 0;
        for span in [0..2, 3..4, whole.len() - 1..whole.len()] {
            let head = content[at..].windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let text = String::from_utf8_lossy(&content[at..at + head]).into_owned();
            let range = format!("Content-Range: bytes {}-{}/{}\r\n", span.start, span.end - 1, whole.len());
            assert!(text.starts_with("\r\n--doorway-") && text.contains(&range), "{text}");
            assert_eq!(content[at + head..at + head + span.len()], whole[span.clone()]);
            at += head + span.len();
        }
        assert!(content[at..].starts_with(b"\r\n--doorway-") && content.ends_with(b"--\r\n"));
        let joined = get(path, "Range: bytes=0-1,2-3\r\n");
        check(&config, &joined, "206 Partial Content", &["Content-Range: bytes 0-3/"], &["multipart"]);
    }
}

#[test]
fn text_is_compressed_for_who_takes_it_and_says_so() {
    let folder = Folder::new();
    let text = "It was a dark and stormy night. ".repeat(400);
    folder.write("public/story.txt", text.as_bytes());
    folder.write("public/long.txt", text.repeat(20).as_bytes());
    folder.write("public/short.txt", b"short");
    let config = config(Some(&folder.public()));
    for (path, whole) in [("/story.txt", text.clone()), ("/long.txt", text.repeat(20))] {
        for (accept, coding) in [("gzip", "gzip"), ("gzip, br", "br"), ("gzip, br, zstd", "zstd")] {
            let request = get(path, &format!("Accept-Encoding: {accept}\r\n"));
            let coding = format!("Content-Encoding: {coding}\r\n");
            check(&config, &request, "200 OK", &[&coding, "Vary: Accept-Encoding\r\n"], &[]);
            let coded = content(&config, &request);
            assert!(coded.len() * 10 < whole.len(), "{path} {accept}: {}", coded.len());
            if accept == "gzip, br, zstd" {
                assert_eq!(zstd::decode_all(&coded[..]).unwrap(), whole.as_bytes(), "{path}");
            }
        }
        check(&config, &get(path, ""), "200 OK", &["Vary: Accept-Encoding\r\n"], &["Content-Encoding"]);
        let range = get(path, "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n");
        check(&config, &range.replace("Range: bytes=0-1\r\n", ""), "200 OK", &["Content-Encoding"], &[]);
    }
    let old = get("/long.txt", "Accept-Encoding: gzip\r\n").replace("HTTP/1.1", "HTTP/1.0");
    check(&config, &old, "200 OK", &["Content-Length"], &["Content-Encoding", "chunked"]);
    let range = get("/long.txt", "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n");
    check(&config, &range, "206 Partial Content", &["bytes 0-1/256000"], &["Content-Encoding"]);
    for path in ["/short.txt", "/large.bin"] {
        check(&config, &get(path, "Accept-Encoding: gzip\r\n"), "200 OK", &[], &["Vary", "Content-Encoding"]);
    }
    let none = alone(SiteConfig { compress: vec![], ..plain(&folder) });
    check(&none, &get("/story.txt", "Accept-Encoding: gzip\r\n"), "200 OK", &[], &["Vary"]);
}

#[test]
fn a_coding_that_the_client_has_is_not_sent_again_and_is_not_taken_for_another() {
    let folder = Folder::new();
    folder.write("public/story.txt", "It was a dark and stormy night. ".repeat(400).as_bytes());
    let config = config(Some(&folder.public()));
    let tag = |accept: &str| {
        let request = get("/story.txt", &format!("Accept-Encoding: {accept}\r\n"));
        let (mut sim, client) = network(1, config.clone(), Link::default());
        let world = sim.world(client);
        let answer = sim.run(client, async move { talk(&world, request.as_bytes()).await }).unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        text.split("ETag: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned()
    };
    let (gzip, identity) = (tag("gzip"), tag("identity"));
    assert_ne!(gzip, identity);
    for (accept, tag, start) in [
        ("gzip", &gzip, "304 Not Modified"),
        ("identity", &identity, "304 Not Modified"),
        ("gzip", &identity, "200 OK"),
        ("identity", &gzip, "200 OK"),
    ] {
        let request = get("/story.txt", &format!("Accept-Encoding: {accept}\r\nIf-None-Match: {tag}\r\n"));
        check(&config, &request, start, &["Vary: Accept-Encoding\r\n"], &[]);
    }
}

#[test]
fn a_compressed_file_that_lies_beside_is_sent_in_place_of_the_plain_one() {
    let folder = Folder::new();
    folder.write("public/app.js", b"plain script");
    folder.write("public/app.js.br", b"as if it were brotli");
    folder.write("public/app.js.gz", b"as if it were gzip");
    folder.write("public/large.bin.gz", &large()[..200_000]);
    let precompressed = Coding::ALL.to_vec();
    let config = alone(SiteConfig { precompressed, ..plain(&folder) });
    let request = |path, accept: &str| get(path, &format!("Accept-Encoding: {accept}\r\n"));
    let ours = ["Content-Type: text/javascript; charset=utf-8\r\n", "Vary: Accept-Encoding\r\n"];
    for (accept, coding, body) in [
        ("br, gzip", "Content-Encoding: br\r\n", "\r\n\r\nas if it were brotli"),
        ("gzip", "Content-Encoding: gzip\r\n", "\r\n\r\nas if it were gzip"),
        ("br;q=0.1, gzip", "Content-Encoding: gzip\r\n", "\r\n\r\nas if it were gzip"),
    ] {
        check(&config, &request("/app.js", accept), "200 OK", &[ours[0], ours[1], coding, body], &[]);
    }
    check(&config, &request("/app.js", "zstd"), "200 OK", &[ours[1], "plain script"], &["Content-Encoding"]);
    let part = request("/app.js", "br\r\nRange: bytes=0-4");
    check(&config, &part, "206 Partial Content", &["Content-Encoding: br", "bytes 0-4/20", "as if"], &[]);
    assert_eq!(content(&config, &request("/large.bin", "gzip")), &large()[..200_000]);
    check(&config, &request("/large.bin", "br"), "200 OK", &[ours[1]], &["Content-Encoding"]);
}

#[test]
fn a_folder_without_index_is_listed_where_that_is_wanted() {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("public/files")).unwrap();
    fs::create_dir(folder.0.join("public/files/more")).unwrap();
    folder.write("public/files/百度 & co.txt", b"12345");
    folder.write("public/files/.secret", b"");
    symlink("../../secret.txt", folder.0.join("public/files/out")).unwrap();
    let listed = alone(SiteConfig { listing: true, ..plain(&folder) });
    let page =
        ["text/html", "百度 &amp; co.txt</a>", "more/</a>", "5 B", "06 Nov 1994 08:49", "href=\"../\""];
    check(&listed, &get("/files/", ""), "200 OK", &page, &[".secret", ">out<"]);
    check(&listed, &get("/files", ""), "301 Moved Permanently", &["Location: /files/\r\n"], &[]);
    check(&listed, &get("/", ""), "200 OK", &["<h1>Hello</h1>"], &[]);
    let json = ["application/json", "{\"name\":\"more\",\"type\":\"folder\"", "\"octets\":5}"];
    check(&listed, &get("/files/", "Accept: application/json\r\n"), "200 OK", &json, &["secret"]);
    check(&config(Some(&folder.public())), &get("/files/", ""), "404 Not Found", &[], &["co.txt"]);
}

#[test]
fn the_operators_rules_for_caches_errors_and_what_is_missing_hold() {
    let folder = Folder::new();
    folder.write("public/404.html", b"<p>Nobody is here.</p>");
    folder.write("public/app.css", b"p {}");
    let site = SiteConfig {
        cache: vec![("/**.css".into(), "max-age=60".into()), ("/".into(), "no-cache".into())],
        errors: vec![(vec![404], "/404.html".into())],
        fields: vec!["X-Frame-Options: DENY".into(), "-Server".into()],
        ..plain(&folder)
    };
    let ours = alone(SiteConfig { ..site.clone() });
    check(
        &ours,
        &get("/app.css", ""),
        "200 OK",
        &["Cache-Control: max-age=60\r\n", "X-Frame-Options: DENY\r\n"],
        &[],
    );
    check(&ours, &get("/large.bin", ""), "200 OK", &["Cache-Control: no-cache\r\n"], &["Server"]);
    let modified = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    check(&ours, &get("/app.css", modified), "304 Not Modified", &["max-age=60", "X-Frame-Options"], &[]);
    let page = ["Content-Type: text/html; charset=utf-8\r\n", "<p>Nobody is here.</p>", "X-Frame-Options"];
    check(&ours, &get("/nothing", ""), "404 Not Found", &page, &[]);
    let one_page = alone(SiteConfig { fallback: Some("index.html".into()), ..site });
    for path in ["/any/where", "/else"] {
        check(&one_page, &get(path, ""), "200 OK", &["<h1>Hello</h1>", "text/html"], &[]);
    }
    check(&one_page, &get("/.hidden", ""), "404 Not Found", &["Nobody"], &[]);
}

#[test]
fn symbolic_links_are_followed_as_far_as_the_operator_says() {
    let folder = Folder::new();
    symlink("../secret.txt", folder.0.join("public/out")).unwrap();
    symlink("plain.txt", folder.0.join("public/within")).unwrap();
    for (symlinks, within, out) in [
        (Symlinks::Deny, "404 Not Found", "404 Not Found"),
        (Symlinks::WithinRoot, "200 OK", "404 Not Found"),
        (Symlinks::Follow, "200 OK", "200 OK"),
    ] {
        let config = alone(SiteConfig { symlinks, ..plain(&folder) });
        check(&config, &get("/within", ""), within, &[], &[]);
        check(&config, &get("/out", ""), out, &[], &[]);
        check(&config, &get("/../secret.txt", ""), "404 Not Found", &[], &["secret"]);
    }
}
