//! What a cache has in memory is sent without asking the handler; whatever is not plain goes to the handler,
//! which here is one that tells what it was asked for.

use doorway_sim::Link;

use crate::support::{answers, config, network, octets_of, talk};

#[track_caller]
fn check(request: &str, wanted: &[&str], unwanted: &[&str]) {
    let answer = answers(config(None), request);
    for text in wanted {
        assert!(answer.contains(text), "{text:?} is not in {answer}");
    }
    for text in unwanted {
        assert!(!answer.contains(text), "{text:?} is in {answer}");
    }
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n")
}

const HIT: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "Content-Type: text/kept\r\n",
    "Content-Length: 100\r\n",
    "Age: 7\r\n",
    "Cache-Status: doorway; hit; ttl=53; key=\"http://a/kept/short\"\r\n",
];

#[test]
fn what_is_fresh_is_sent_with_its_age_and_the_reason() {
    let body = "k".repeat(100);
    check(&get("/kept/short", ""), &[HIT, &[&body]].concat(), &[]);
    check(&get("/%6bept/short", ""), HIT, &[]);
    check(&get("http://A:80/kept/short", ""), HIT, &[]);
    check(&get("/kept/short", "").replace("GET", "HEAD"), HIT, &["kkk"]);
    check("GET /kept/short HTTP/1.0\r\nHost: a\r\n\r\n", HIT, &["chunked"]);
}

#[test]
fn whatever_is_not_plain_is_for_the_handler() {
    for request in [
        get("/kept/other", ""),
        get("/kept/short?x", ""),
        get("/kept/short", "If-None-Match: \"x\"\r\n"),
        get("/kept/short", "Range: bytes=0-1\r\n"),
        get("/kept/short", "").replace("Host: a", "Host: b"),
        get("/kept/short", "Content-Length: 1\r\n") + "x",
        get("/kept/short", "").replace("GET", "POST"),
    ] {
        check(&request, &["HTTP/1.1 201 Created\r\n"], &["Age: ", "Cache-Status: ", "text/kept"]);
    }
}

#[test]
fn a_long_content_follows_its_head_from_where_it_is() {
    let (mut sim, client) = network(1, config(None), Link::default());
    let world = sim.world(client);
    let request = get("/kept/long", "");
    let answer = sim.run(client, async move { talk(&world, request.as_bytes()).await }).unwrap();
    assert!(octets_of(&answer).iter().all(|octet| *octet == b'k') && octets_of(&answer).len() == 300_000);
}
