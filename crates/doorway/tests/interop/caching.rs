//! A cache in front of another server, looked into and changed by the commands of `doorway cache`.

use crate::dialogue::Dialogue;
use crate::server::{Server, Setup};

/// A server whose files may be kept for ten minutes, with a tag.
fn origin() -> Server {
    let cache = "cache = [{ path = \"/**\", control = \"max-age=600\" }]";
    let site = format!("[{{ root = \"public\", fields = [\"Surrogate-Key: front all\"], {cache} }}]");
    Setup::new()
        .without("http.root")
        .key("http.site", &site)
        .file("public/one.txt", "one\n")
        .file("public/long.bin", vec![b'l'; 3_000_000])
        .start()
}

/// A server that keeps what `origin` says, and lets this machine purge or not.
fn front(origin: &Server, purge_from: &str) -> Setup {
    let route = format!("{{ path = \"/\", proxy = [\"http://{}\"], cache = \"web\" }}", origin.http());
    let cache = format!("{{ name = \"web\", disk_octets_max = \"256MiB\", purge_from = [{purge_from}] }}");
    Setup::new()
        .without("http.root")
        .key("http.site", &format!("[{{ route = [{route}] }}]"))
        .key("http.cache", &format!("[{cache}]"))
}

/// Whether `path` is answered from the cache.
#[track_caller]
fn check(server: &Server, path: &str, is_hit: bool) {
    let heard = Dialogue::with(server.http()).get(path);
    assert_eq!(heard.status, 200, "{}", heard.head);
    assert_eq!(heard.head.contains("Cache-Status: doorway; hit"), is_hit, "{path}: {}", heard.head);
}

#[track_caller]
fn told(server: &Server, words: &[&str], wanted: &str) {
    let told = server.doorway(&[&["cache"], words].concat()).done();
    assert!(told.contains(wanted), "{words:?}: {wanted:?} is not in {told}");
}

#[test]
fn a_cache_is_warmed_looked_into_and_purged_by_command() {
    let origin = origin();
    let server = front(&origin, "").start();
    check(&server, "/one.txt", false);
    check(&server, "/one.txt", true);
    told(&server, &["inspect", "http://localhost/one.txt"], "fresh for ");
    told(&server, &["warm", "http://localhost/long.bin"], "200");
    check(&server, "/long.bin", true);
    told(&server, &["stat"], "localhost        2");
    for (words, left) in [
        (["--url", "http://localhost/one.txt"], [false, true]),
        (["--prefix", "http://localhost/lo"], [true, false]),
        (["--host", "localhost"], [false, false]),
        (["--tag", "all"], [false, false]),
        (["--tag", "other"], [true, true]),
    ] {
        told(&server, &["warm", "http://localhost/one.txt", "http://localhost/long.bin"], "200");
        let gone = left.iter().filter(|stays| !**stays).count();
        told(&server, &["purge", words[0], words[1]], &format!("forgotten  {gone} response"));
        check(&server, "/one.txt", left[0]);
        check(&server, "/long.bin", left[1]);
    }
    told(&server, &["purge", "--tag", "front", "--soft"], "to be validated  2 responses");
    check(&server, "/one.txt", false);
    check(&server, "/one.txt", true);
    let wrong = server.doorway(&["cache", "purge", "--prefix", "localhost"]);
    assert!(wrong.err.contains("not the beginning of a URL with its host"), "{}", wrong.err);
    let page = Dialogue::with(server.metrics()).get("/metrics");
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.contains("doorway_cache_requests_total{cache=\"web\",verdict=\"hit\"}"), "{page}");
}

#[test]
fn what_a_cache_has_on_disk_outlives_its_origin_and_a_restart() {
    let origin = origin();
    let server = front(&origin, "").start();
    check(&server, "/one.txt", false);
    check(&server, "/long.bin", false);
    origin.stop();
    let server = server.stop().start();
    check(&server, "/one.txt", true);
    check(&server, "/long.bin", true);
    told(&server, &["stat", "--json"], "\"objects\": 2");
}

#[test]
fn the_method_purge_is_for_those_who_are_listed() {
    let origin = origin();
    let purge = |server: &Server, fields: &str| {
        let mut dialogue = Dialogue::with(server.http());
        dialogue.say(format!("PURGE /one.txt HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
        dialogue.hear_response().status
    };
    let server = front(&origin, "").start();
    check(&server, "/one.txt", false);
    assert_eq!(purge(&server, ""), 405);
    check(&server, "/one.txt", true);
    let server = front(&origin, "\"127.0.0.0/8\"").start();
    for fields in ["", "Surrogate-Key: front\r\n", "Cache-Tag: other, all\r\n"] {
        check(&server, "/one.txt", false);
        check(&server, "/one.txt", true);
        assert_eq!(purge(&server, fields), 200);
    }
    check(&server, "/one.txt", false);
    assert_eq!(purge(&server, "Cache-Tag: other\r\n"), 200);
    check(&server, "/one.txt", true);
    assert_eq!(purge(&server, "Soft-Purge: 1\r\n"), 200);
    let heard = Dialogue::with(server.http()).get("/one.txt");
    assert!(heard.head.contains("fwd=stale; fwd-status=304"), "{}", heard.head);
}
