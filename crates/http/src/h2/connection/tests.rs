//! What cannot be seen over the wire: windows to the octet, and that no octets make the engine panic.

use proptest::prelude::*;

use super::*;
use crate::h2::frame::{END_HEADERS, END_STREAM, write};

/// The events of these octets behind a preface and SETTINGS, cut into parts of `step` octets.
fn events(octets: &[u8], step: usize) -> (Vec<String>, Vec<u8>) {
    let (mut connection, limits, mut scratch) = (Connection::new(), Limits::default(), Scratch::default());
    let (mut out, mut waiting, mut log) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = PREFACE.to_vec();
    write(&mut all, Kind::SETTINGS, 0, 0, b"");
    all.extend_from_slice(octets);
    for part in all.chunks(step) {
        waiting.extend_from_slice(part);
        let mut used = 0;
        loop {
            let (more, event) =
                connection.next(Instant::ZERO, &waiting[used..], &limits, &mut scratch, &mut out);
            used += more;
            match event {
                Event::More => break,
                Event::Quiet => {}
                Event::Close => return (log, out),
                Event::Request { stream, head } => {
                    log.push(format!("{stream} {}", head.octets.escape_ascii()))
                }
                Event::Violated(violation) => log.push(violation.rule.code.to_owned()),
                event => log.push(format!("{event:?}")),
            }
        }
        waiting.drain(..used);
    }
    (log, out)
}

/// POST / of unknown length: by the static table, and `:authority` a.
const POST: &[u8] = b"\x83\x86\x84\x01\x01a";

#[test]
fn more_than_the_window_is_too_much_by_one_octet() {
    let upload = |octets: usize| {
        let mut frames = Vec::new();
        write(&mut frames, Kind::HEADERS, END_HEADERS, 1, POST);
        let content = vec![0; octets];
        for part in content.chunks(PAYLOAD_OCTETS) {
            write(&mut frames, Kind::DATA, 0, 1, part);
        }
        events(&frames, usize::MAX).0.pop().unwrap()
    };
    assert!(upload(STREAM_WINDOW_OCTETS as usize).starts_with("Content"));
    assert_eq!(upload(STREAM_WINDOW_OCTETS as usize + 1), "window_exceeded_stream");
    // Seventeen uploads at once fill the connection's window.
    let mut frames = Vec::new();
    for stream in (1..=33).step_by(2) {
        write(&mut frames, Kind::HEADERS, END_HEADERS, stream, POST);
        for _ in 0..4 {
            write(&mut frames, Kind::DATA, 0, stream, &[0; PAYLOAD_OCTETS]);
        }
    }
    assert_eq!(events(&frames, usize::MAX).0.pop().unwrap(), "window_exceeded");
}

#[test]
fn a_stream_that_is_read_is_given_a_larger_window() {
    let (mut connection, limits, mut scratch) = (Connection::new(), Limits::default(), Scratch::default());
    let (mut out, mut frames) = (Vec::new(), PREFACE.to_vec());
    write(&mut frames, Kind::SETTINGS, 0, 0, b"");
    write(&mut frames, Kind::HEADERS, END_HEADERS, 1, POST);
    for _ in 0..400 {
        write(&mut frames, Kind::DATA, 0, 1, &[0; PAYLOAD_OCTETS]);
    }
    let (mut used, mut largest) = (0, 0);
    loop {
        let (more, event) = connection.next(Instant::ZERO, &frames[used..], &limits, &mut scratch, &mut out);
        used += more;
        match event {
            Event::More => break,
            Event::Content { stream, octets, .. } => connection.release(&mut out, stream, octets.len()),
            _ => {}
        }
        largest = largest.max(connection.streams.find(1).map_or(0, |stream| stream.receive.size()));
    }
    assert_eq!(largest, STREAM_WINDOW_OCTETS_MAX);
}

/// Frames that are mostly right.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        Just(POST.to_vec()),
        Just(vec![0, 0, 0, 1]),
        Just(b"\0\x03\0\0\0\x64".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    let flags = prop_oneof![Just(END_HEADERS), Just(END_HEADERS | END_STREAM), any::<u8>()];
    (0..18u8, flags, 0..8u32, payload).prop_map(|(kind, flags, stream, payload)| {
        let mut frame = Vec::new();
        write(&mut frame, Kind(kind), flags, stream, &payload);
        frame
    })
}

proptest! {
    #[test]
    fn any_frames_in_any_parts_give_the_same(frames in prop::collection::vec(any_frame(), 0..12), step in 1..40usize) {
        let octets = frames.concat();
        prop_assert_eq!(events(&octets, step), events(&octets, usize::MAX));
    }

    #[test]
    fn any_octets_are_taken_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200), step in 1..40usize) {
        prop_assert_eq!(events(&octets, step), events(&octets, usize::MAX));
    }
}
