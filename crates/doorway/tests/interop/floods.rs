//! Hostile clients of HTTP/2 against the real program, with frames by Python's `h2` and by hand: the connection
//! ends with the code that says why, memory stays where it was, and the next client is served.

use crate::dialogue::Dialogue;
use crate::programs;
use crate::server::{Server, Setup};

/// Makes one flood and prints how the connection ended: the error code of GOAWAY, or that there were
/// answers.
const FLOOD: &str = r#"
import socket, struct, sys
import h2.config, h2.connection, h2.events
address, kind = sys.argv[1:]
host, port = address.rsplit(":", 1)
link = socket.create_connection((host, int(port)), timeout=30)
state = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False))
state.initiate_connection()
request = [(":method", "GET"), (":scheme", "http"), (":authority", address), (":path", "/large.txt")]
post = [(":method", "POST")] + request[1:]
def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
def parts():
    if kind == "rapid reset":
        for stream in range(1, 20001, 2):
            state.send_headers(stream, request, end_stream=True)
            state.reset_stream(stream)
            yield state.data_to_send()
    elif kind == "CONTINUATION":
        yield frame(1, 1, 1, state.encoder.encode(request))
        for _ in range(100000):
            yield frame(9, 0, 1, b"\x00\x01x\x01y" * 100)
    elif kind == "SETTINGS":
        for _ in range(100000):
            yield frame(4, 0, 0)
    elif kind == "PING":
        for _ in range(100000):
            yield frame(6, 0, 0, b"12345678")
    elif kind == "empty DATA":
        state.send_headers(1, post)
        yield state.data_to_send()
        for _ in range(100000):
            yield frame(0, 0, 1)
    elif kind == "PRIORITY":
        for _ in range(100000):
            yield frame(2, 0, 1, b"\0\0\0\0\x10")
    elif kind == "HPACK bomb":
        # One entry of 4000 octets, and sixteen thousand references to it: 60 MB of fields.
        bomb = b"\x82\x86\x84\x41\x01a" + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000
        for stream in range(1, 41, 2):
            yield frame(1, 5, stream, bomb + b"\xbe" * (16384 - len(bomb)))
            bomb = b"\x82\x86\x84\x41\x01a"
try:
    link.sendall(state.data_to_send())
    for part in parts():
        link.sendall(part)
    link.shutdown(socket.SHUT_WR)
except OSError:
    pass
heard = b""
try:
    while piece := link.recv(65536):
        heard += piece
except OSError:
    pass
codes, answers = set(), set()
while len(heard) >= 9:
    length, kind = int.from_bytes(heard[:3], "big"), heard[3]
    payload, heard = heard[9 : 9 + length], heard[9 + length :]
    if kind == 7:
        codes.add("GOAWAY %d" % int.from_bytes(payload[4:8], "big"))
    if kind == 1:
        answers.add("HEADERS")
# What was answered before the flood was one says nothing.
print(*(codes or answers))
"#;

fn serving() -> Server {
    Setup::new()
        .file("public/plain.txt", "plain\n")
        .file("public/large.txt", "0123456789".repeat(50_000))
        .start()
}

/// Memory that the server has in use, in KiB.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Each flood, thrice: what it is told, and that the server has lost nothing by it.
fn check(kind: &str, expected: &str) {
    let server = serving();
    let address = server.http().to_string();
    let mut dialogue = Dialogue::with(server.http());
    assert_eq!(dialogue.get("/plain.txt").status, 200);
    let before = resident(&server);
    for _ in 0..3 {
        let told = programs::run("/usr/bin/python3", &["-c", FLOOD, &address, kind]).done();
        assert_eq!(told.trim(), expected, "{kind}");
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 32 * 1024, "{kind}: {grown} KiB more");
    assert_eq!(dialogue.get("/plain.txt").body, b"plain\n", "{kind}: a client that was there before");
    assert_eq!(Dialogue::with(server.http()).get("/plain.txt").status, 200, "{kind}: a new client");
    server.stop();
}

// RFC 9113 §7: 11 is ENHANCE_YOUR_CALM.

#[test]
fn streams_that_are_reset_as_soon_as_they_are_opened_end_the_connection() {
    check("rapid reset", "GOAWAY 11");
}

#[test]
fn field_blocks_without_end_end_the_connection() {
    check("CONTINUATION", "GOAWAY 11");
}

#[test]
fn frames_that_carry_nothing_end_the_connection() {
    for kind in ["SETTINGS", "PING", "empty DATA", "PRIORITY"] {
        check(kind, "GOAWAY 11");
    }
}

#[test]
fn a_few_octets_that_stand_for_many_fields_are_answered_and_take_no_memory() {
    check("HPACK bomb", "HEADERS");
}
