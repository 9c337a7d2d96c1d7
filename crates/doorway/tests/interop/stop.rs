//! Stopping: what is under way is finished, and a second signal does not wait for it.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::dialogue::Dialogue;
use crate::server::{Server, Setup};

/// More than the sockets on both sides hold, so that the server is still sending when it is told to stop.
const LARGE_OCTETS: usize = 32 * 1024 * 1024;

fn with_a_large_file() -> Server {
    Setup::new().file("public/large.bin", vec![b'x'; LARGE_OCTETS]).start()
}

/// Asks for the large file and reads its head only.
fn begin_download(server: &Server) -> Dialogue {
    let mut dialogue = Dialogue::with(server.http());
    dialogue.say("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let heard = dialogue.hear_head();
    assert_eq!(heard.field("content-length"), Some(LARGE_OCTETS.to_string().as_str()));
    dialogue
}

#[test]
fn a_download_under_way_is_finished_and_idle_connections_are_closed() {
    let mut server = with_a_large_file();
    let mut idle = Dialogue::with(server.http());
    idle.get("/");
    let mut download = begin_download(&server);
    let address = server.http();
    server.signal(Signal::INT);
    assert!(idle.ends(), "nothing is under way on it");
    assert_eq!(download.hear(LARGE_OCTETS).len(), LARGE_OCTETS);
    assert!(download.ends());
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.log().trim_end().ends_with("stopped"), "{}", server.log());
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn sigterm_drains_as_well() {
    let mut server = Setup::new().start();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    let mut server = with_a_large_file();
    let mut idle = Dialogue::with(server.http());
    idle.get("/");
    let _stalled = begin_download(&server);
    let start = Instant::now();
    server.signal(Signal::INT);
    // The idle connection's end tells that the first signal has arrived.
    assert!(idle.ends());
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    // Draining alone would wait for `server.drain` or the write stall, 30 s each.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(server.log().contains("still open and ended"), "{}", server.log());
}

#[test]
fn what_is_not_finished_by_the_deadline_is_ended() {
    let mut server =
        Setup::new().key("server.drain", "\"1s\"").file("public/large.bin", vec![b'x'; LARGE_OCTETS]).start();
    let _stalled = begin_download(&server);
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.log().contains("still open and ended"), "{}", server.log());
}
