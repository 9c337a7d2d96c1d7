//! Requests that hide another one from some reader (RFC 9112 §11.2): whatever a proxy before us makes of them,
//! we answer one refusal, close, and never see the request that is hidden.
//!
//! A message counts as ambiguous when programs are known that read its length, its host or its fields in
//! another way. The names are those of the literature: CL is Content-Length, TE is Transfer-Encoding, the
//! first is what the proxy goes by, the second what the server does.

use doorway_http::h2::frame::{END_HEADERS, END_STREAM};
use doorway_sim::Link;

use crate::h2::answers as frames;
use crate::h2_frames::{block, data, headers};
use crate::support::{config, network, talk};

/// The request that is hidden. The handler at its path would say its name.
const HIDDEN: &str = "GET /echo/hidden HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the server says to `octets`.
fn said(octets: Vec<u8>) -> String {
    let (mut sim, client) = network(1, config(None), Link::default());
    let world = sim.world(client);
    let answer = sim.run(client, async move { talk(&world, &octets).await });
    String::from_utf8(answer.unwrap()).unwrap()
}

/// A POST with these field lines and this body is refused by this status and hides nothing.
#[track_caller]
fn check(name: &str, fields: &str, body: &str, status: u16) {
    let octets = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{HIDDEN}");
    refused(name, octets.into_bytes(), status);
}

#[track_caller]
fn refused(name: &str, octets: Vec<u8>, status: u16) {
    let said = said(octets);
    assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {said}");
    assert!(said.contains("\r\nConnection: close\r\n"), "{name}: {said}");
    assert!(said.matches("HTTP/1.1 ").count() == 1 && !said.contains("hidden"), "{name}: {said}");
}

const ZERO: &str = "0\r\n\r\n";
const FIVE: &str = "5\r\nhello\r\n0\r\n\r\n";

#[test]
fn a_request_with_two_lengths_is_refused() {
    let chunked = "Transfer-Encoding: chunked";
    for (name, fields, body) in [
        ("CL.TE", format!("Content-Length: 44\r\n{chunked}"), ZERO),
        ("TE.CL", format!("{chunked}\r\nContent-Length: 4"), "26\r\n"),
        ("CL.0 with TE", format!("Content-Length: 0\r\n{chunked}"), ZERO),
        ("CL.TE, name in another case", "content-length: 5\r\nTRANSFER-ENCODING: chunked".to_owned(), ZERO),
        ("CL.TE, value in another case", "Content-Length: 5\r\nTransfer-Encoding: CHUNKED".to_owned(), ZERO),
        ("CL.CL", "Content-Length: 0\r\nContent-Length: 38".to_owned(), ""),
        ("CL.CL, the same", "Content-Length: 0\r\nContent-Length: 0".to_owned(), ""),
        ("list of CL", "Content-Length: 0, 38".to_owned(), ""),
        ("list of equal CL", "Content-Length: 0, 0".to_owned(), ""),
        ("CL ends with a comma", "Content-Length: 0,".to_owned(), ""),
    ] {
        check(name, &fields, body, 400);
    }
}

#[test]
fn a_length_that_is_not_digits_alone_is_refused() {
    for length in [
        "+0",
        "-0",
        "0x0",
        "0X26",
        "00x26",
        "0 0",
        "0;",
        "0.0",
        "1e1",
        "\"0\"",
        "\u{660}",
        "0_0",
        "0\t0",
        "",
        "18446744073709551616",
        "18446744073709551654",
        "9223372036854775808",
        "0\u{b}",
        "0\u{c}",
        "0\0",
    ] {
        check(&format!("CL {length:?}"), &format!("Content-Length: {length}"), "", 400);
    }
}

#[test]
fn a_transfer_coding_that_is_only_nearly_chunked_is_refused() {
    for value in [
        "xchunked",
        "chunkedx",
        "chunke",
        "identity",
        "chunked, identity",
        "chunked, chunked",
        "\"chunked\"",
        "'chunked'",
        "chunked;",
        "chunked;q=0",
        "chunked\0",
        "\0chunked",
        "\u{b}chunked",
        "chunked\u{c}",
        "chunked\u{85}",
        "\u{a0}chunked",
        "chunk\ted",
        "chunk ed",
        "[chunked]",
        "chunked]",
        "",
        ",",
    ] {
        check(&format!("TE {value:?}"), &format!("Transfer-Encoding: {value}"), FIVE, 400);
        let both = format!("Content-Length: 15\r\nTransfer-Encoding: {value}");
        check(&format!("CL and TE {value:?}"), &both, FIVE, 400);
    }
    for value in ["gzip, chunked", "identity, chunked", "x, chunked", "chunked\u{df}, chunked"] {
        check(&format!("TE {value:?}"), &format!("Transfer-Encoding: {value}"), FIVE, 501);
    }
}

#[test]
fn a_transfer_coding_that_some_do_not_see_is_refused() {
    let te = "Transfer-Encoding";
    for (name, fields) in [
        ("SP before the colon", format!("{te} : chunked")),
        ("HTAB before the colon", format!("{te}\t: chunked")),
        ("SP before the name", format!("X: y\r\n {te}: chunked")),
        ("HTAB before the name", format!("X: y\r\n\t{te}: chunked")),
        ("value on the next line", format!("{te}:\r\n chunked")),
        ("value goes on", format!("{te}: chunked\r\n , identity")),
        ("behind LF", format!("X: y\n{te}: chunked")),
        ("behind CR", format!("X: y\r{te}: chunked")),
        ("behind NUL", format!("X: y\0{te}: chunked")),
        ("behind CR and a letter", format!("X: y\rZ\r\n{te}: chunked")),
        ("NUL in the name", "Transfer\0-Encoding: chunked".to_owned()),
        ("VT before the colon", format!("{te}\u{b}: chunked")),
        ("DEL in the name", format!("{te}\u{7f}: chunked")),
        ("no colon", format!("{te} chunked")),
        ("= for a colon", format!("{te}=chunked")),
        ("two fields", format!("{te}: chunked\r\n{te}: identity")),
        ("two fields, other order", format!("{te}: identity\r\n{te}: chunked, x")),
        ("two equal fields", format!("{te}: chunked\r\n{te}: chunked")),
        ("empty line with SP", format!("X: y\r\n \r\n{te}: chunked")),
        ("CR before the line's end", format!("{te}: chunked\r")),
        ("LF alone behind the value", format!("{te}: chunked\nX: y")),
    ] {
        check(name, &fields, FIVE, 400);
    }
    let old = format!("POST /echo HTTP/1.0\r\n{te}: chunked\r\nConnection: keep-alive\r\n\r\n{FIVE}{HIDDEN}");
    refused("TE in HTTP/1.0", old.into_bytes(), 400);
}

#[test]
fn chunks_that_end_where_others_do_not_see_an_end_are_refused() {
    for (name, body) in [
        ("size with a plus", "+5\r\nhello\r\n0\r\n\r\n"),
        ("size with a minus", "-5\r\nhello\r\n0\r\n\r\n"),
        ("size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("SP before the size", " 5\r\nhello\r\n0\r\n\r\n"),
        ("SP behind the size", "5 \r\nhello\r\n0\r\n\r\n"),
        ("HTAB behind the size", "5\t\r\nhello\r\n0\r\n\r\n"),
        ("size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
        ("size in quotes", "\"5\"\r\nhello\r\n0\r\n\r\n"),
        ("size that wraps round 2^64", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("size of 17 zeros", "00000000000000000\r\n\r\n"),
        ("empty size", "\r\nhello\r\n0\r\n\r\n"),
        ("size ends with LF", "5\nhello\r\n0\r\n\r\n"),
        ("size ends with CR", "5\rhello\r\n0\r\n\r\n"),
        ("size ends with CR CR LF", "5\r\r\nhello\r\n0\r\n\r\n"),
        ("LF in an extension", "5;x\nhello\r\n0\r\n\r\n"),
        ("CR in an extension", "5;x\ry\r\nhello\r\n0\r\n\r\n"),
        ("NUL in an extension", "5;\0\r\nhello\r\n0\r\n\r\n"),
        ("data ends with LF", "5\r\nhello\n0\r\n\r\n"),
        ("data ends with CR", "5\r\nhello\r0\r\n\r\n"),
        ("two octets in place of CRLF", "5\r\nhelloxx0\r\n\r\n"),
        ("data longer than its size", "5\r\nhello world\r\n0\r\n\r\n"),
        ("data shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
        ("body ends with LF", "0\r\n\n"),
        ("last size ends with LF", "0\n\r\n"),
        ("trailer ends with LF", "0\r\nX: y\n\r\n"),
        ("trailer without a colon", "0\r\nGET /echo/hidden HTTP/1.1\r\n\r\n"),
        ("SP before a trailer's colon", "0\r\nContent-Length : 5\r\n\r\n"),
    ] {
        check(name, "Transfer-Encoding: chunked", body, 400);
    }
}

#[test]
fn lines_that_some_read_as_other_lines_are_refused() {
    let host = "Host: a\r\n\r\n";
    for (name, octets) in [
        ("LF for CRLF", format!("GET /echo HTTP/1.1\nHost: a\n\n{HIDDEN}")),
        ("CR for CRLF", format!("GET /echo HTTP/1.1\rHost: a\r\r{HIDDEN}")),
        ("head ends with LF LF", format!("GET /echo HTTP/1.1\r\nHost: a\r\nX: y\n\n{HIDDEN}")),
        ("two Host", format!("GET /echo HTTP/1.1\r\nHost: b\r\n{host}{HIDDEN}")),
        ("Host on two lines", format!("GET /echo HTTP/1.1\r\nHost: b\r\n {host}{HIDDEN}")),
        ("SP before the colon of Host", format!("GET /echo HTTP/1.1\r\nHost : b\r\n{host}{HIDDEN}")),
        ("SP before the first field", format!("GET /echo HTTP/1.1\r\n X: y\r\n{host}{HIDDEN}")),
        ("list of hosts", format!("GET /echo HTTP/1.1\r\nHost: b, a\r\n\r\n{HIDDEN}")),
        ("Host with @", format!("GET /echo HTTP/1.1\r\nHost: a:80@b\r\n\r\n{HIDDEN}")),
        ("Host with #", format!("GET /echo HTTP/1.1\r\nHost: a#b\r\n\r\n{HIDDEN}")),
        ("absolute form with @", format!("GET http://a@b/echo HTTP/1.1\r\n{host}{HIDDEN}")),
        ("absolute form with a backslash", format!("GET http://a\\b/echo HTTP/1.1\r\n{host}{HIDDEN}")),
        ("SP in the target", format!("GET /echo HTTP/1.1 HTTP/1.1\r\n{host}{HIDDEN}")),
        ("HTAB for SP", format!("GET\t/echo\tHTTP/1.1\r\n{host}{HIDDEN}")),
        ("VT for SP", format!("GET\u{b}/echo\u{b}HTTP/1.1\r\n{host}{HIDDEN}")),
        ("HTTP/0.9", format!("GET /echo\r\n\r\n{HIDDEN}")),
        ("version with two digits", format!("GET /echo HTTP/1.01\r\n{host}{HIDDEN}")),
    ] {
        refused(name, octets.into_bytes(), 400);
    }
}

#[test]
fn a_get_with_a_body_is_one_request() {
    let length = HIDDEN.len();
    let octets = format!(
        "GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{HIDDEN}\
         GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    let said = said(octets.into_bytes());
    assert_eq!(said.matches("HTTP/1.1 201 ").count(), 2, "{said}");
    assert!(!said.contains("GET /echo/hidden None"), "{said}");
}

#[test]
fn the_host_of_absolute_form_is_the_host() {
    let octets = "GET http://b/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let said = said(octets.as_bytes().to_vec());
    assert!(said.contains(" at b for "), "RFC 9112 §3.2.2: {said}");
}

/// A request of HTTP/2 with these fields besides or in place of the usual ones, and the rest of its frames.
#[track_caller]
fn reset(name: &str, changed: &[(&str, &str)], content: &[u8]) {
    let usual = [(":method", "POST"), (":scheme", "http"), (":path", "/echo"), (":authority", "a")];
    let of = |name: &str| changed.iter().find(|(other, _)| *other == name).copied();
    let mut fields: Vec<_> = usual.iter().map(|field| of(field.0).unwrap_or(*field)).collect();
    fields.extend(changed.iter().filter(|(name, _)| !name.starts_with(':')));
    let octets = [headers(1, END_HEADERS, &block(&fields)), data(1, END_STREAM, content)].concat();
    assert_eq!(frames(config(None), octets), "RST_STREAM 1 PROTOCOL_ERROR", "{name}");
}

#[test]
fn fields_of_http_2_that_would_be_more_than_one_line_in_http_1_end_the_stream() {
    for (name, field, value) in [
        ("CRLF in a value", "x", "y\r\nTransfer-Encoding: chunked"),
        ("LF in a value", "x", "y\nTransfer-Encoding: chunked"),
        ("CR in a value", "x", "y\rz"),
        ("NUL in a value", "x", "y\0z"),
        ("SP before a value", "x", " y"),
        ("HTAB behind a value", "x", "y\t"),
        ("CRLF in a name", "x: y\r\nz", "1"),
        ("colon in a name", "x:y", "1"),
        ("SP in a name", "x y", "1"),
        ("empty name", "", "1"),
        ("upper case in a name", "Transfer-encoding", "chunked"),
        ("Transfer-Encoding", "transfer-encoding", "chunked"),
        ("Connection", "connection", "transfer-encoding"),
        ("Proxy-Connection", "proxy-connection", "close"),
        ("Keep-Alive", "keep-alive", "1"),
        ("Upgrade", "upgrade", "h2c"),
        ("TE that is not trailers", "te", "chunked"),
        ("another host", "host", "b"),
        ("SP in :path", ":path", "/echo HTTP/1.1\r\nHost: b"),
        ("CRLF in :path", ":path", "/echo\r\nX: y"),
        ("fragment in :path", ":path", "/echo#x"),
        (":path without a slash", ":path", "echo"),
        ("absolute form in :path", ":path", "http://b/echo"),
        ("SP in :method", ":method", "GET /echo/hidden HTTP/1.1"),
        ("CRLF in :method", ":method", "GET\r\nX"),
        ("CRLF in :authority", ":authority", "a\r\nX: y"),
        ("path in :authority", ":authority", "a/b"),
        ("user name in :authority", ":authority", "u@a"),
        ("CRLF in :scheme", ":scheme", "http\r\nX: y"),
        ("SP in :scheme", ":scheme", "http ://b/"),
    ] {
        reset(name, &[(field, value)], b"");
    }
}

#[test]
fn a_length_of_http_2_that_is_not_that_of_the_content_ends_the_stream() {
    let hidden = HIDDEN.as_bytes();
    for (name, length, content) in [
        ("H2.CL, shorter", "0", hidden),
        ("H2.CL, longer", "100", hidden),
        ("length with a plus", "+38", hidden),
        ("hexadecimal length", "0x26", hidden),
        ("list of lengths", "38, 38", hidden),
        ("empty length", "", hidden),
        ("length beyond 2^64", "18446744073709551654", hidden),
        ("length without content", "5", b""),
    ] {
        reset(name, &[("content-length", length)], content);
    }
    reset("two lengths", &[("content-length", "38"), ("content-length", "0")], hidden);
}
