//! HTTP/2 frame by frame: what the server says to a client that keeps the rules, and to one that does not.
//! The sections of RFC 9113 and RFC 7541 follow each other as they do in h2spec.

use std::time::Duration;

use doorway_http::Config;
use doorway_http::h2::frame::{ACK, END_HEADERS, END_STREAM, PADDED, PRIORITY};
use doorway_sim::Link;

use crate::h2_frames::{
    Frames, block, continuation, data, frame, get, headers, ping, plain, post, reset, settings, window,
};
use crate::support::{Folder, config, network};

fn h2c(config: Config) -> Config {
    Config { h2c: true, ..config }
}

/// What is said to a client that sends `octets` behind its preface and its SETTINGS, up to the answer to a
/// last PING or the end of the connection.
pub(crate) fn answers(config: Config, octets: Vec<u8>) -> String {
    let (mut sim, client) = network(1, h2c(config), Link::default());
    let world = sim.world(client);
    sim.run(client, async move {
        let mut frames = Frames::open(&world).await;
        frames.send(&octets).await;
        frames.send(&ping(*b"the end!", 0)).await;
        frames.read_to("PONG the end!").await
    })
    .unwrap()
}

#[track_caller]
fn check(parts: &[Vec<u8>], expected: &str) {
    assert_eq!(answers(config(None), parts.concat()), expected);
}

/// The same for the usual ends of things: a stream's or the connection's, with an error.
#[track_caller]
fn ends_stream(parts: &[Vec<u8>], stream: u32, error: &str) {
    check(parts, &format!("RST_STREAM {stream} {error}"));
}

#[track_caller]
fn ends_connection(parts: &[Vec<u8>], error: &str, rule: &str) {
    let found = answers(config(None), parts.concat());
    let goaway = format!("{error} {rule}, closed");
    assert!(found.ends_with(&goaway) && found.contains("GOAWAY "), "{found} instead of {goaway}");
}

const OK: &str = "HEADERS 1 404, DATA 1 14 end";

/// A request that is answered 404, whose content is not over.
fn open(stream: u32) -> Vec<u8> {
    post(stream, END_HEADERS, "/echo")
}

#[test]
fn requests_are_answered_each_on_its_stream() {
    let folder = Folder::new();
    let config = config(Some(&folder.public()));
    let parts =
        [get(1, "/plain.txt"), get(3, "/none"), post(5, END_HEADERS, "/echo"), data(5, END_STREAM, b"hi")];
    assert_eq!(
        answers(config.clone(), parts.concat()),
        "HEADERS 1 200, DATA 1 6 end, HEADERS 3 404, DATA 3 14 end, HEADERS 5 201, DATA 5 37 end"
    );
    let head = headers(1, END_STREAM | END_HEADERS, &plain("HEAD", "/plain.txt"));
    assert_eq!(answers(config.clone(), head), "HEADERS 1 200 end");
    let mut conditional = plain("GET", "/plain.txt");
    conditional.extend(block(&[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]));
    let again = headers(1, END_STREAM | END_HEADERS, &conditional);
    assert_eq!(answers(config, again), "HEADERS 1 304 end");
}

#[test]
fn frames_of_all_shapes_are_taken() {
    check(&[get(1, "/x")], OK);
    check(&[frame(2, 0, 3, b"\0\0\0\0\x10"), get(1, "/x"), frame(2, 0, 1, b"\0\0\0\0\x10")], OK);
    check(&[get(1, "/x"), window(1, 100), reset(1, 8), window(1, 100)], OK);
    let padded = [b"\x03".to_vec(), plain("GET", "/x"), b"\0\0\0".to_vec()].concat();
    check(&[headers(1, END_STREAM | END_HEADERS | PADDED, &padded)], OK);
    let prior = [b"\x80\0\0\0\xff".to_vec(), plain("GET", "/x")].concat();
    check(&[headers(1, END_STREAM | END_HEADERS | PRIORITY, &prior)], OK);
    let (first, rest) = (plain("GET", "/x")[..5].to_vec(), plain("GET", "/x")[5..].to_vec());
    let (middle, last) = rest.split_at(3);
    let cut =
        [headers(1, END_STREAM, &first), continuation(1, 0, middle), continuation(1, END_HEADERS, last)];
    check(&cut, OK);
    check(&[headers(1, END_STREAM, b""), continuation(1, END_HEADERS, &plain("GET", "/x"))], OK);
    let answer = "HEADERS 1 201, DATA 1 39 end";
    check(&[open(1), data(1, 0, b"ab"), data(1, END_STREAM | PADDED, b"\x02cd\0\0")], answer);
    let trailers = headers(1, END_STREAM | END_HEADERS, &block(&[("x-sum", "1")]));
    check(&[open(1), data(1, 0, b"abcd"), trailers], answer);
    // RFC 9113 §4.1, §5.5: unknown types, undefined flags and the reserved bit are passed over.
    check(
        &[frame(0x16, 0xff, 0, b"?"), frame(6, 0x16, 0, b"12345678"), get(1, "/x")],
        &format!("PONG 12345678, {OK}"),
    );
    check(&[frame(1, END_STREAM | END_HEADERS | 0xd2, 1 | 1 << 31, &plain("GET", "/x"))], OK);
    check(&[data(0x8000_0001, 0, b"")].map(|octets| [open(1), octets].concat()), "");
    // RFC 9113 §6.5, §6.7, §6.8, §7.
    check(&[settings(&[(0xff, 1)])], "SETTINGS ack");
    check(&[frame(4, ACK, 0, b"")], "");
    check(&[ping(*b"12345678", ACK), ping(*b"abcdefgh", 0)], "PONG abcdefgh");
    check(&[frame(7, 0, 0, b"\0\0\0\0\0\0\xff\xff"), get(1, "/x")], OK);
    check(&[open(1), reset(1, 0xffff)], "");
}

#[test]
fn the_connection_begins_with_the_preface_and_settings() {
    let first = |octets: &'static [u8]| {
        let (mut sim, client) = network(1, h2c(config(None)), Link::default());
        let world = sim.world(client);
        sim.run(client, async move { Frames::bare(&world, octets).await.read_to("never").await }).unwrap()
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let begin = |frame: Vec<u8>| first(Vec::leak([preface.clone(), frame].concat()));
    assert_eq!(begin(ping(*b"12345678", 0)), "GOAWAY 0 PROTOCOL_ERROR first_frame, closed");
    assert_eq!(begin(get(1, "/")), "GOAWAY 0 PROTOCOL_ERROR first_frame, closed");
    assert_eq!(begin(frame(4, ACK, 0, b"")), "GOAWAY 0 PROTOCOL_ERROR first_frame, closed");
    assert_eq!(begin(settings(&[(2, 2)])), "GOAWAY 0 PROTOCOL_ERROR settings_value, closed");
}

#[test]
fn http_2_without_tls_is_for_this_machine_alone_unless_it_is_allowed() {
    let (mut sim, client) = network(1, config(None), Link::default());
    let world = sim.world(client);
    let refused =
        sim.run(client, async move { Frames::raw(&world, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await });
    let refused = refused.unwrap();
    assert!(refused.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{refused}");
}

#[test]
fn a_frame_has_the_length_and_the_stream_of_its_type() {
    let long = vec![0; 16_385];
    ends_connection(&[open(1), data(1, 0, &long)], "FRAME_SIZE_ERROR", "frame_length");
    ends_connection(&[headers(1, END_HEADERS, &long)], "FRAME_SIZE_ERROR", "frame_length");
    check(&[open(1), data(1, 0, &long[1..])], "");
    for (kind, payload) in
        [(3, &b"\0\0\0"[..]), (4, b"\0\0\0"), (6, b"1234567"), (7, b"1234567"), (8, b"123")]
    {
        let stream = if matches!(kind, 3 | 8) { 1 } else { 0 };
        ends_connection(&[open(1), frame(kind, 0, stream, payload)], "FRAME_SIZE_ERROR", "frame_length");
    }
    ends_connection(&[frame(4, ACK, 0, b"\0\0\0\0\0\0")], "FRAME_SIZE_ERROR", "frame_length");
    ends_stream(&[open(1), frame(2, 0, 1, b"\0\0\0\x01")], 1, "FRAME_SIZE_ERROR");
    for kind in [0, 1, 2, 3, 9] {
        ends_connection(&[frame(kind, END_HEADERS, 0, b"\0\0\0\0")], "PROTOCOL_ERROR", "stream_zero");
    }
    for (kind, payload) in [(4, &b""[..]), (6, b"12345678"), (7, b"12345678"), (16, b"\0\0\0\x01")] {
        ends_connection(&[frame(kind, 0, 1, payload)], "PROTOCOL_ERROR", "stream_named");
    }
    ends_connection(&[open(1), data(1, PADDED, b"\x02a")], "PROTOCOL_ERROR", "padding");
    ends_connection(&[headers(1, END_HEADERS | PADDED, b"\x02a")], "PROTOCOL_ERROR", "padding");
    ends_connection(&[get(1, "/x"), frame(5, END_HEADERS, 1, b"\0\0\0\x02\x82")], "PROTOCOL_ERROR", "push");
}

#[test]
fn nothing_stands_within_a_field_block() {
    let begun = || headers(1, END_STREAM, &plain("GET", "/")[..3]);
    for other in [
        frame(2, 0, 1, b"\0\0\0\0\x10"),
        headers(3, END_STREAM | END_HEADERS, &plain("GET", "/")),
        continuation(3, END_HEADERS, b""),
        data(1, 0, b"x"),
        frame(0x16, 0, 0, b""),
        ping(*b"12345678", 0),
    ] {
        ends_connection(&[begun(), other], "PROTOCOL_ERROR", "continuation_missing");
    }
    ends_connection(&[continuation(1, END_HEADERS, b"")], "PROTOCOL_ERROR", "continuation_alone");
    let whole = headers(1, END_HEADERS, &plain("GET", "/echo"));
    ends_connection(
        &[whole.clone(), continuation(1, END_HEADERS, b"")],
        "PROTOCOL_ERROR",
        "continuation_alone",
    );
    ends_connection(
        &[open(1), data(1, 0, b"x"), continuation(1, 0, b"")],
        "PROTOCOL_ERROR",
        "continuation_alone",
    );
    let twice =
        [begun(), continuation(1, END_HEADERS, &plain("GET", "/")[3..]), continuation(1, END_HEADERS, b"")];
    ends_connection(&twice, "PROTOCOL_ERROR", "continuation_alone");
}

#[test]
fn a_stream_goes_through_its_states_in_their_order() {
    // Idle.
    ends_connection(&[data(1, END_STREAM, b"x")], "PROTOCOL_ERROR", "stream_idle");
    ends_connection(&[reset(1, 8)], "PROTOCOL_ERROR", "stream_idle");
    ends_connection(&[window(1, 100)], "PROTOCOL_ERROR", "stream_idle");
    // Half-closed by the client; the answer is five minutes away.
    let half = || get(1, "/later");
    ends_stream(&[half(), data(1, 0, b"x")], 1, "STREAM_CLOSED");
    ends_stream(&[half(), half()], 1, "STREAM_CLOSED");
    ends_connection(&[half(), continuation(1, END_HEADERS, b"")], "PROTOCOL_ERROR", "continuation_alone");
    // Reset by the client.
    ends_stream(&[open(1), reset(1, 8), data(1, 0, b"x")], 1, "STREAM_CLOSED");
    ends_stream(&[open(1), reset(1, 8), open(1)], 1, "STREAM_CLOSED");
    // Closed by both.
    ends_connection(&[get(1, "/x"), data(1, 0, b"x")], "STREAM_CLOSED", "stream_over");
    ends_connection(&[get(1, "/x"), get(1, "/x")], "STREAM_CLOSED", "stream_over");
    // Reset by the server: what was under way is passed over.
    let broken = headers(1, END_HEADERS, &block(&[("X", "1")]));
    ends_stream(
        &[broken, data(1, 0, b"x"), headers(1, END_STREAM | END_HEADERS, b"\x82"), reset(1, 0)],
        1,
        "PROTOCOL_ERROR",
    );
    // Numbers.
    ends_connection(&[get(2, "/")], "PROTOCOL_ERROR", "stream_number");
    ends_connection(&[get(5, "/x"), get(3, "/")], "PROTOCOL_ERROR", "stream_number");
    let own = [b"\0\0\0\x01\0".to_vec(), plain("GET", "/")].concat();
    ends_stream(&[headers(1, END_STREAM | END_HEADERS | PRIORITY, &own)], 1, "PROTOCOL_ERROR");
    ends_stream(&[open(1), frame(2, 0, 1, b"\0\0\0\x01\0")], 1, "PROTOCOL_ERROR");
}

#[test]
fn more_streams_than_were_allowed_are_refused_and_may_be_asked_again() {
    let limited = Config { http2_streams_max: 2, ..config(None) };
    let parts = [get(1, "/later"), get(3, "/later"), get(5, "/later"), reset(1, 8), get(7, "/x")].concat();
    assert_eq!(answers(limited, parts), "RST_STREAM 5 REFUSED_STREAM, HEADERS 7 404, DATA 7 14 end");
}

#[test]
fn settings_have_values_that_are_defined() {
    ends_connection(&[settings(&[(2, 2)])], "PROTOCOL_ERROR", "settings_value");
    ends_connection(&[settings(&[(4, 1 << 31)])], "FLOW_CONTROL_ERROR", "settings_window");
    ends_connection(&[settings(&[(5, 16_383)])], "PROTOCOL_ERROR", "settings_value");
    ends_connection(&[settings(&[(5, 1 << 24)])], "PROTOCOL_ERROR", "settings_value");
}

#[test]
fn content_waits_for_the_windows() {
    let small = || settings(&[(4, 1)]);
    check(&[small(), get(1, "/x")], "SETTINGS ack, HEADERS 1 404, DATA 1 1");
    let opened = [small(), get(1, "/x"), settings(&[(4, 3)]), window(1, 1), settings(&[(4, 100)])];
    check(&opened, "SETTINGS ack, HEADERS 1 404, DATA 1 1, SETTINGS ack, SETTINGS ack, DATA 1 13 end");
    // RFC 9113 §6.9.2: the window falls below nothing, and must come up again.
    let negative = [settings(&[(4, 3)]), get(1, "/x"), settings(&[(4, 0)]), window(1, 3), window(1, 2)];
    check(&negative, "SETTINGS ack, HEADERS 1 404, DATA 1 3, SETTINGS ack, DATA 1 2");
    ends_connection(&[window(0, 0)], "PROTOCOL_ERROR", "window_zero");
    ends_stream(&[open(1), window(1, 0)], 1, "PROTOCOL_ERROR");
    ends_connection(&[window(0, 0x7fff_ffff)], "FLOW_CONTROL_ERROR", "window_overflow");
    ends_stream(&[open(1), window(1, 0x7fff_ffff)], 1, "FLOW_CONTROL_ERROR");
    ends_connection(
        &[open(1), window(1, 0x7fff_0000), settings(&[(4, 0x7fff_ffff)])],
        "FLOW_CONTROL_ERROR",
        "window_overflow",
    );
}

#[test]
fn malformed_requests_end_their_stream() {
    let malformed = |fields: &[(&str, &str)]| {
        let octets = headers(1, END_STREAM | END_HEADERS, &block(fields));
        ends_stream(&[octets], 1, "PROTOCOL_ERROR");
    };
    let usual = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")];
    let with = |name, value| [&usual[..], &[(name, value)]].concat();
    for (name, value) in [
        ("X-Upper", "1"),
        (":unknown", "1"),
        (":status", "200"),
        ("connection", "keep-alive"),
        ("te", "gzip"),
        ("host", "b"),
        ("content-length", "1"),
        ("a", "b\r\nc: d"),
        ("a", "\0"),
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "a"),
    ] {
        malformed(&with(name, value));
    }
    for left_out in 0..4 {
        let mut fields = usual.to_vec();
        fields.remove(left_out);
        malformed(&fields);
    }
    let mut late = usual.to_vec();
    late.insert(1, ("a", "b"));
    malformed(&late);
    malformed(&[(":method", "GET"), (":scheme", "https"), (":path", ""), (":authority", "a")]);
    malformed(&[(":method", "GET"), (":scheme", "https"), (":path", "http://b/"), (":authority", "a")]);
    let trailers = |fields: &[(&str, &str)]| headers(1, END_STREAM | END_HEADERS, &block(fields));
    ends_stream(&[open(1), trailers(&[(":path", "/")])], 1, "PROTOCOL_ERROR");
    ends_stream(&[open(1), headers(1, END_HEADERS, &block(&[("a", "b")]))], 1, "PROTOCOL_ERROR");
    let five = |flags| {
        let mut fields = plain("POST", "/echo");
        fields.extend(block(&[("content-length", "5")]));
        headers(1, flags, &fields)
    };
    ends_stream(&[five(END_HEADERS), data(1, END_STREAM, b"1234")], 1, "PROTOCOL_ERROR");
    ends_stream(&[five(END_HEADERS), data(1, 0, b"12"), data(1, END_STREAM, b"3456")], 1, "PROTOCOL_ERROR");
    ends_stream(&[five(END_HEADERS), data(1, 0, b"12"), trailers(&[("a", "b")])], 1, "PROTOCOL_ERROR");
}

#[test]
fn a_head_that_is_too_large_or_not_understood_is_answered() {
    let request = |method: &str, path: &str, more: &[(&str, &str)]| {
        let mut fields = plain(method, path);
        fields.extend(block(more));
        [
            headers(1, END_STREAM, &[]),
            continuation(1, 0, &fields[..fields.len() / 2]),
            continuation(1, END_HEADERS, &fields[fields.len() / 2..]),
        ]
        .concat()
    };
    let status = |octets| answers(config(None), octets).split(", ").next().unwrap().to_owned();
    assert_eq!(status(request("GET", &"/".repeat(16_400), &[])), "HEADERS 1 414");
    assert_eq!(status(request("GET", "/", &[("a", &"x".repeat(16_400))])), "HEADERS 1 431");
    assert_eq!(status(request("GET", "/", &[("a", "b"); 130])), "HEADERS 1 431");
    assert_eq!(status(request("BREW", "/", &[])), "HEADERS 1 501");
    assert_eq!(status(request("GET", "/", &[("expect", "tea")])), "HEADERS 1 417");
}

#[test]
fn broken_field_blocks_end_the_connection() {
    let check = |octets: &[u8], rule: &str| {
        ends_connection(&[headers(1, END_STREAM | END_HEADERS, octets)], "COMPRESSION_ERROR", rule);
    };
    check(b"\x80", "hpack_index");
    check(b"\xbe", "hpack_index");
    check(b"\x82\x20", "hpack_table_size");
    check(b"\x3f\xe2\x1f", "hpack_table_size");
    check(b"\x00\x01a\x82\x1f\xff", "hpack_huffman");
    check(b"\x00\x01a\x81\x18", "hpack_huffman");
    check(b"\x00\x01a\x84\xff\xff\xff\xff", "hpack_huffman");
    check(b"\x40\x01", "hpack_string");
    check(b"\xff\xff\xff\xff\xff\xff\x0f", "hpack_integer");
}

#[test]
fn any_cut_of_the_octets_gives_the_same_frames() {
    let folder = Folder::new();
    let parts = [
        get(1, "/plain.txt"),
        open(3),
        data(3, 0, b"hel"),
        get(5, "/plain.txt"),
        data(3, END_STREAM, b"lo"),
        headers(7, END_STREAM, &plain("GET", "/")[..4]),
        continuation(7, END_HEADERS, &plain("GET", "/")[4..]),
        get(9, "/"),
        reset(9, 8),
    ]
    .concat();
    let cut = |step: usize| {
        let (mut sim, client) = network(1, h2c(config(Some(&folder.public()))), Link::default());
        let (world, parts) = (sim.world(client), parts.clone());
        let run = async move {
            let mut frames = Frames::open(&world).await;
            for part in parts.chunks(step) {
                frames.send(part).await;
                world.sleep(Duration::from_millis(50)).await;
            }
            frames.send(&ping(*b"the end!", 0)).await;
            let said = frames.read_to("PONG the end!").await;
            // Which of two streams comes first is a matter of when they were asked for.
            let mut said: Vec<_> = said.split(", ").map(str::to_owned).collect();
            said.sort();
            said
        };
        sim.run(client, run).unwrap()
    };
    let whole = cut(usize::MAX);
    for step in [1, 3, 17] {
        assert_eq!(cut(step), whole, "{step} octets at a time");
    }
}
