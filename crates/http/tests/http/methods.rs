//! Methods that a route does not take, and those about the server as a whole (RFC 9110 §9).

use doorway_http::Config;

use crate::support::{Folder, answers, config, last};

/// What a folder answers to a request line: the first line, and Allow if there is one.
#[track_caller]
fn check(line: &str, status: &str, allow: Option<&str>) {
    let folder = Folder::new();
    let said = answers(config(Some(&folder.public())), &last(line));
    assert!(said.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{line}: {said}");
    let found = said.lines().find_map(|line| line.strip_prefix("Allow: "));
    assert_eq!(found, allow, "{line}: {said}");
}

const READING: Option<&str> = Some("GET, HEAD, OPTIONS");

#[test]
fn a_known_method_that_a_folder_does_not_take_gets_405_with_those_that_it_takes() {
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        check(&format!("{method} /plain.txt"), "405 Method Not Allowed", READING);
    }
    check("CONNECT www.example.org:443", "405 Method Not Allowed", READING);
}

#[test]
fn a_request_is_not_sent_back_by_trace() {
    let folder = Folder::new();
    let request = "TRACE /echo HTTP/1.1\r\nHost: a\r\nCookie: sid=secret\r\nAuthorization: Basic secret\r\n\
                   Connection: close\r\n\r\n";
    let said = answers(config(Some(&folder.public())), &request.replace("/echo", "/plain.txt"));
    assert!(said.starts_with("HTTP/1.1 405 Method Not Allowed\r\n") && !said.contains("secret"), "{said}");
}

#[test]
fn trace_sends_a_request_back_without_its_secrets_where_it_is_switched_on() {
    let traced = |rest: &str| {
        let config = Config { trace: true, ..config(None) };
        answers(config, &format!("TRACE /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{rest}"))
    };
    let said = traced("X: 1\r\nCookie: sid=secret\r\nAuthorization: Basic secret\r\n\r\n");
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Type: message/http"), "{said}");
    assert_eq!(body, "TRACE /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: 1\r\n\r\n");
    let said = traced("Content-Length: 1\r\n\r\nx");
    assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{said}");
}

#[test]
fn an_unknown_method_gets_501_wherever_it_leads() {
    for line in ["BREW /plain.txt", "BREW /none", "get /plain.txt", "PROPFIND /echo"] {
        check(line, "501 Not Implemented", None);
    }
}

#[test]
fn options_tell_what_a_resource_takes_and_answer_for_the_server_as_a_whole() {
    check("OPTIONS /plain.txt", "204 No Content", READING);
    check("OPTIONS *", "204 No Content", READING);
}
