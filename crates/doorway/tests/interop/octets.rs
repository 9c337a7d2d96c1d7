//! Requests octet by octet, as no client sends them.

use std::time::{Duration, Instant};

use crate::dialogue::Dialogue;
use crate::server::{Server, Setup};

fn serving() -> Server {
    Setup::new().key("http.head_timeout", "\"1s\"").file("public/plain.txt", "plain\n").start()
}

/// Whatever is answered to `request` until the connection ends.
fn answer(server: &Server, request: impl AsRef<[u8]>) -> String {
    let mut dialogue = Dialogue::with(server.http());
    dialogue.say_in_vain(request);
    String::from_utf8(dialogue.hear_all()).unwrap()
}

#[test]
fn three_requests_in_one_write_get_three_responses_in_order() {
    let server = serving();
    let mut dialogue = Dialogue::with(server.http());
    let requests: Vec<String> = ["/plain.txt", "/none", "/"]
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .collect();
    dialogue.say(requests.concat());
    let heard: Vec<_> = (0..3).map(|_| dialogue.hear_response()).collect();
    assert_eq!(heard.iter().map(|one| one.status).collect::<Vec<_>>(), [200, 404, 200]);
    assert_eq!((&heard[0].body[..], &heard[2].body[..]), (&b"plain\n"[..], &b"<h1>Hello</h1>\n"[..]));
    server.stop();
}

#[test]
fn a_request_may_come_octet_by_octet() {
    let server = Setup::new().file("public/plain.txt", "plain\n").start();
    let mut dialogue = Dialogue::with(server.http());
    for octet in b"GET /plain.txt HTTP/1.1\r\nHost: localhost\r\n\r\n" {
        dialogue.say([*octet]);
    }
    assert_eq!(dialogue.hear_response().body, b"plain\n");
    server.stop();
}

#[test]
fn a_head_that_does_not_come_to_its_end_gets_408() {
    let server = serving();
    let start = Instant::now();
    let told = answer(&server, "GET / HTTP/1.1\r\nHost:");
    assert!(told.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{told}");
    assert!(told.contains("\r\nConnection: close\r\n"), "{told}");
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    server.stop();
}

#[test]
fn what_breaks_the_grammar_is_refused_and_ends_the_connection() {
    let server = serving();
    let long = "x".repeat(70 * 1024);
    for (request, status) in [
        ("GET / HTTP/1.1\nHost: localhost\n\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost : localhost\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), 505),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("\0\0\0\0\r\n\r\n".to_owned(), 400),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            400,
        ),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(12_000)), 431),
    ] {
        let shown = &request[..request.len().min(60)];
        let told = answer(&server, &request);
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {told:?}");
        assert_eq!(told.matches("\r\nDate: ").count(), 1, "{shown:?}: {told:?}");
    }
    server.stop();
}

#[test]
fn a_client_that_says_nothing_is_let_go() {
    let server = serving();
    assert_eq!(answer(&server, ""), "", "silence gets no answer");
    server.stop();
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let server = serving();
    let mut dialogue = Dialogue::with(server.http());
    dialogue.say("GET /plain.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
    dialogue.end_of_saying();
    let told = String::from_utf8(dialogue.hear_all()).unwrap();
    assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("\r\n\r\nplain\n"), "{told}");
    server.stop();
}
