//! Behind a proxy that names the true client: the PROXY protocol, versions 1 and 2.

use serde_json::Value;

use crate::dialogue::Dialogue;
use crate::programs;
use crate::server::{Server, Setup};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn behind_a_proxy() -> Server {
    Setup::new().key("limits.proxies", "[\"127.0.0.0/8\"]").start()
}

/// Whom the server takes the other side of its web connections for.
fn remotes(server: &Server) -> Vec<String> {
    let told: Value = serde_json::from_str(&server.doorway(&["sockets", "--json"]).done()).unwrap();
    let rows = told["sockets"].as_array().unwrap().iter().filter(|row| row["service"] == "http");
    rows.filter_map(|row| row["remote"].as_str()).map(str::to_owned).collect()
}

/// A header of version 2 for TCP over IPv4.
fn version_2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([203, 0, 113, 7, 127, 0, 0, 1]);
    header.extend(4711_u16.to_be_bytes());
    header.extend(80_u16.to_be_bytes());
    header
}

#[test]
fn the_client_is_the_one_that_a_listed_proxy_names() {
    for header in [b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n".to_vec(), version_2()] {
        let server = behind_a_proxy();
        let mut dialogue = Dialogue::with(server.http());
        dialogue.say([&header, REQUEST].concat());
        assert_eq!(dialogue.hear_response().status, 200);
        assert_eq!(remotes(&server), ["203.0.113.7:4711"]);
        drop(dialogue);
        server.stop();
    }
}

#[test]
fn curl_speaks_as_a_proxy_does() {
    let server = behind_a_proxy();
    let words = ["-q", "--silent", "--show-error", "--noproxy", "*", "--haproxy-protocol"];
    let told = programs::run("curl", &[&words[..], &[&server.url("/")]].concat()).done();
    assert_eq!(told, "<h1>Hello</h1>\n");
    server.stop();
}

#[test]
fn a_listed_proxy_has_to_name_the_client_and_others_must_not() {
    let server = behind_a_proxy();
    let mut dialogue = Dialogue::with(server.http());
    dialogue.say_in_vain(REQUEST);
    assert!(dialogue.hear_all().is_empty(), "without the header there is no answer");
    server.stop();

    let server = Setup::new().start();
    let mut dialogue = Dialogue::with(server.http());
    dialogue.say_in_vain([b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n", REQUEST].concat());
    let told = String::from_utf8(dialogue.hear_all()).unwrap();
    assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
    server.stop();
}
