//! The client's engine against the server's, and against frames that a server must not send.

use doorway_base::Instant;

use super::*;
use crate::Status;
use crate::h2::frame::{END_HEADERS, END_STREAM, write};
use crate::h2::{Connection, Event, Limits, request};
use crate::wire::response::{Form, ResponseWriter};

/// What the client was told, as text.
fn told(client: &mut Client, octets: &[u8], out: &mut Vec<u8>) -> Vec<String> {
    let (mut scratch, mut used, mut told) = (Scratch::default(), 0, Vec::new());
    loop {
        let (more, reply) = client.next(&octets[used..], &mut scratch, out);
        used += more;
        let mut read = None;
        match reply {
            Reply::More | Reply::Close => return told,
            Reply::Quiet => {}
            Reply::Head { stream, head, end } => {
                let fields: Vec<_> =
                    head.fields.iter().map(|(name, _)| name.escape_ascii().to_string()).collect();
                told.push(format!("{stream} {} {} {end}", head.status.code(), fields.join(" ")));
            }
            Reply::Content { stream, octets, end } => {
                told.push(format!("{stream} {} octets {end}", octets.len()));
                read = Some((stream, octets.len()));
            }
            Reply::Reset { stream, error } => told.push(format!("{stream} reset {error}")),
            Reply::Leaving { last, error } => told.push(format!("leaving {last} {error}")),
            Reply::Pong(opaque) => told.push(format!("pong {}", opaque.escape_ascii())),
            Reply::Violated(violation) => told.push(violation.rule.code.to_owned()),
        }
        if let Some((stream, octets)) = read {
            client.release(out, stream, octets);
        }
    }
}

/// A server that says 100, takes a body and sends back as many octets.
fn serve(server: &mut Connection, octets: &[u8], out: &mut Vec<u8>, body: &mut usize) {
    let (mut scratch, limits) = (request::Scratch::default(), Limits::default());
    let mut used = 0;
    loop {
        let (more, event) = server.next(Instant::ZERO, &octets[used..], &limits, &mut scratch, out);
        used += more;
        match event {
            Event::More => return,
            Event::Quiet => {}
            Event::Request { stream, .. } => {
                let start = out.len();
                let end = ResponseWriter::begin(out, Form::Http2, Status::CONTINUE).end();
                out.truncate(end - HEADER_OCTETS);
                server.send_head(out, stream, start, false);
            }
            Event::Content { stream, octets, end } => {
                *body += octets.len();
                server.release(out, stream, octets.len());
                if end {
                    let start = out.len();
                    let content =
                        ResponseWriter::begin(out, Form::Http2, Status::OK).field("Server", b"x").end();
                    out.extend(std::iter::repeat_n(b'x', 10));
                    assert!(server.send_whole(out, stream, start, content).is_none());
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

const FIELDS: [(&[u8], &[u8]); 5] = [
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":path", b"/"),
    (b":authority", b"a"),
    (b"authorization", b"Basic x"),
];

#[test]
fn both_engines_understand_each_other_however_much_is_sent() {
    for octets in [0, 1, 16_384, 65_536, 1_000_000, 5_000_000] {
        let mut to_server = Vec::new();
        let mut client = Client::new(HeadLimits::default(), &mut to_server);
        let (mut server, mut body, mut said) = (Connection::new(), 0, Vec::new());
        let stream = client.ask(&mut to_server, Method::Post, FIELDS, false).unwrap();
        let content = vec![b'x'; octets];
        let mut sent = 0;
        for _ in 0..100_000 {
            while sent < octets || octets == 0 {
                let count = client.send_data(&mut to_server, stream, &content[sent..], true);
                sent += count;
                if count == 0 {
                    break;
                }
            }
            if to_server.is_empty() {
                break;
            }
            let mut to_client = Vec::new();
            serve(&mut server, &std::mem::take(&mut to_server), &mut to_client, &mut body);
            said.extend(told(&mut client, &to_client, &mut to_server));
        }
        assert_eq!((sent, body), (octets, octets));
        assert_eq!(said, ["1 100  false", "1 200 server false", "1 10 octets true"], "{octets}");
        assert_eq!((client.under_way(), server.streams()), (0, 0));
    }
}

/// What a client that has asked for one thing is told of `frames`, and what it says itself.
#[track_caller]
fn check(frames: &[(Kind, u8, u32, &[u8])], expected: &[&str], says: &[u8]) {
    let mut out = Vec::new();
    let mut client = Client::new(HeadLimits::default(), &mut out);
    client.ask(&mut out, Method::Get, FIELDS, true).unwrap();
    out.clear();
    let mut octets = Vec::new();
    write(&mut octets, Kind::SETTINGS, 0, 0, b"");
    for (kind, flags, stream, payload) in frames {
        write(&mut octets, *kind, *flags, *stream, payload);
    }
    assert_eq!(told(&mut client, &octets, &mut out), expected);
    assert_eq!(out[HEADER_OCTETS..].escape_ascii().to_string(), says.escape_ascii().to_string());
}

#[test]
fn what_a_server_must_not_say_ends_the_stream_or_the_connection() {
    let reset = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x01";
    let (whole, last) = (END_HEADERS, END_HEADERS | END_STREAM);
    check(&[(Kind::HEADERS, last, 1, b"\x88")], &["1 200  true"], b"");
    check(
        &[(Kind::HEADERS, whole, 1, b"\x88"), (Kind::HEADERS, last, 1, b"\0\x01a\x01b")],
        &["1 200  false", "1 0 octets true"],
        b"",
    );
    check(&[(Kind::HEADERS, last, 1, b"\0\x01a\x01b")], &["status"], reset);
    check(&[(Kind::HEADERS, last, 1, b"\x88\x88")], &["status"], reset);
    check(&[(Kind::HEADERS, last, 1, b"\x88\x82")], &["pseudo_unknown"], reset);
    check(&[(Kind::HEADERS, last, 1, b"\x88\0\x01A\x01b")], &["field_name"], reset);
    check(&[(Kind::HEADERS, whole, 1, b"\x08\x03101")], &["status"], reset);
    check(&[(Kind::HEADERS, last, 1, b"\x08\x03103")], &["status"], reset);
    check(&[(Kind::DATA, 0, 1, b"x")], &["status"], reset);
    check(&[(Kind::HEADERS, last, 1, b"\x88\x0f\x0d\x011")], &["content_length"], reset);
    check(
        &[(Kind::HEADERS, whole, 1, b"\x88\x0f\x0d\x011"), (Kind::DATA, END_STREAM, 1, b"")],
        &["1 200 content-length false", "content_length"],
        reset,
    );
    check(&[(Kind::RST_STREAM, 0, 1, b"\0\0\0\x07")], &["1 reset REFUSED_STREAM"], b"");
    check(&[(Kind::GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0")], &["leaving 0 NO_ERROR"], b"");
    check(&[(Kind::PING, 1, 0, b"12345678")], &["pong 12345678"], b"");
    for (frame, rule) in [
        ((Kind::HEADERS, last, 3, &b"\x88"[..]), "stream_idle"),
        ((Kind::PUSH_PROMISE, last, 1, b"\0\0\0\x02\x82"), "push"),
        ((Kind::SETTINGS, 0, 0, b"\0\x02\0\0\0\x01"), "settings_value"),
        ((Kind::WINDOW_UPDATE, 0, 3, b"\0\0\0\x01"), "stream_idle"),
        ((Kind::DATA, 0, 3, b""), "stream_idle"),
        ((Kind::HEADERS, last, 1, b"\x80"), "hpack_index"),
    ] {
        let mut octets = Vec::new();
        let mut client = Client::new(HeadLimits::default(), &mut octets);
        client.ask(&mut octets, Method::Get, FIELDS, true).unwrap();
        octets.clear();
        write(&mut octets, Kind::SETTINGS, 0, 0, b"");
        write(&mut octets, frame.0, frame.1, frame.2, frame.3);
        let mut out = Vec::new();
        assert_eq!(told(&mut client, &octets, &mut out), [rule]);
        assert!(out.ends_with(rule.as_bytes()) && !client.can_ask(), "{rule}");
    }
}

#[test]
fn no_more_is_asked_than_the_server_takes() {
    let (mut out, mut octets) = (Vec::new(), Vec::new());
    let mut client = Client::new(HeadLimits::default(), &mut out);
    settings::write(&mut octets, &[(settings::MAX_CONCURRENT_STREAMS, 1)]);
    told(&mut client, &octets, &mut out);
    assert_eq!(client.ask(&mut out, Method::Get, FIELDS, true), Some(1));
    assert_eq!(client.ask(&mut out, Method::Get, FIELDS, true), None);
    client.reset(&mut out, 1, ErrorCode::CANCEL);
    assert_eq!(client.ask(&mut out, Method::Get, FIELDS, true), Some(3));
}
