//! An HTTP/2 connection says the same however its octets are cut into reads.
#![no_main]
use doorway_base::Instant;
use doorway_http::h2::request::Scratch;
use doorway_http::h2::{Connection, Event, Limits, PREFACE};

fn said(octets: &[u8], step: usize) -> (Vec<u8>, Vec<String>) {
    let (limits, mut connection, mut scratch) = (Limits::default(), Connection::new(), Scratch::default());
    let (mut out, mut log, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for part in octets.chunks(step) {
        waiting.extend_from_slice(part);
        let mut used = 0;
        loop {
            let (more, event) =
                connection.next(Instant::ZERO, &waiting[used..], &limits, &mut scratch, &mut out);
            used += more;
            match event {
                Event::More => break,
                Event::Quiet => {}
                Event::Close => return (out, log),
                Event::Request { stream, head } => {
                    log.push(format!("{stream} {}", head.octets.escape_ascii()))
                }
                event => log.push(format!("{event:?}")),
            }
        }
        waiting.drain(..used);
    }
    (out, log)
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let octets = [PREFACE, &b"\0\0\0\x04\0\0\0\0\0"[..], octets].concat();
    assert_eq!(said(&octets, octets.len()), said(&octets, 1));
});
