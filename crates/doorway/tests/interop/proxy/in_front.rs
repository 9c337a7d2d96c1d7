//! HAProxy and nginx in front of us.

use crate::programs;
use crate::server::{Server, Setup};

use super::neighbour::{LARGE_OCTETS, Neighbour, large};

fn ours() -> Setup {
    Setup::new().file("public/page.txt", "page\n").file("public/large.bin", large())
}

fn curl(words: &[&str]) -> String {
    let usual = ["-q", "--silent", "--show-error", "--noproxy", "*"];
    programs::run("curl", &[&usual[..], words].concat()).done()
}

/// What holds whoever is in front.
fn check(front: &Neighbour, server: Server) {
    let (name, page) = (front.name, format!("{}/page.txt", front.url()));
    assert_eq!(curl(&[&page]), "page\n", "{name}");
    let big = format!("{}/large.bin", front.url());
    assert!(
        curl(&["--head", &big]).to_ascii_lowercase().contains(&format!("content-length: {LARGE_OCTETS}"))
    );
    curl(&["--output", &front.folder.word("got.bin"), &big]);
    assert!(front.folder.read("got.bin") == large(), "{name}: the content changed on the way");
    assert_eq!(curl(&["--range", "0-3", &page]), "page", "{name}");
    let etag = curl(&["--head", &page]);
    let etag = etag.lines().find_map(|line| line.split_once(": \"")).unwrap().1.trim().to_owned();
    let condition = format!("If-None-Match: \"{etag}");
    let told = curl(&["--write-out", "%{http_code}", "-H", &condition, &page]);
    assert_eq!(told, "304", "{name}");
    let many = format!("{page}?[1-30]");
    let told = curl(&["--output", "/dev/null", "--write-out", "%{http_code}\n", &many]);
    assert_eq!(told.lines().filter(|line| *line == "200").count(), 30, "{name}: {told}");
    server.stop();
}

#[test]
fn haproxy_asks_us() {
    let server = ours().start();
    let haproxy = Neighbour::haproxy(&format!("server us {}", server.http()));
    check(&haproxy, server);
}

#[test]
fn haproxy_asks_us_over_tls_and_http_2() {
    let server = ours().start();
    let ca = server.folder().word("data/tls/ca.pem");
    let words =
        format!("server us localhost:{} ssl alpn h2 ca-file {ca} sni str(localhost)", server.https().port());
    let haproxy = Neighbour::haproxy(&words);
    check(&haproxy, server);
}

#[test]
fn haproxy_tells_who_asks_by_the_proxy_protocol() {
    let server = ours().key("limits.proxies", "[\"127.0.0.0/8\"]").start();
    let haproxy = Neighbour::haproxy(&format!("server us {} send-proxy-v2", server.http()));
    check(&haproxy, server);
}

#[test]
fn nginx_asks_us() {
    let server = ours().start();
    let us = server.http();
    let keep = "proxy_http_version 1.1; proxy_set_header Connection \"\";";
    let nginx = Neighbour::nginx(&format!("location / {{ proxy_pass http://{us}; {keep} }}"));
    check(&nginx, server);
}

#[test]
fn nginx_asks_us_by_http_1_0() {
    let server = ours().start();
    let nginx = Neighbour::nginx(&format!("location / {{ proxy_pass http://{}; }}", server.http()));
    check(&nginx, server);
}

#[test]
fn a_proxy_in_front_is_believed_where_it_is_listed() {
    let node = Neighbour::node(super::behind::NODE);
    let upstream =
        format!("[{{ name = \"app\", servers = [\"{}\"], trusted = [\"127.0.0.1\"] }}]", node.url());
    let site = "[{ route = [{ path = \"/\", proxy = [\"app\"] }] }]";
    let setup = Setup::new().without("http.root").key("http.site", site).key("http.upstream", &upstream);
    let server = setup.start();
    let told = "X-Forwarded-For: 203.0.113.7";
    let fields = curl(&["-H", told, "-H", "X-Forwarded-Proto: https", &server.url("/fields")]);
    assert!(fields.contains("X-Forwarded-For\n203.0.113.7, 127.0.0.1\n"), "{fields}");
    assert!(fields.contains("X-Forwarded-Proto\nhttps\n"), "{fields}");
    server.stop();
}
