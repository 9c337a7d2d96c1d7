//! HTTP/2 clients that make work out of proportion, in virtual time: the connection ends, with the error and
//! the rule that say why, and others are served as before.

use std::time::Duration;

use doorway_http::Config;
use doorway_http::h2::frame::{END_HEADERS, END_STREAM};
use doorway_sim::{Link, Simulation};

use crate::h2::answers;
use crate::h2_frames::{
    Frames, block, continuation, data, frame, get, headers, ping, plain, post, reset, settings, window,
};
use crate::support::{Folder, config, network, serve};

/// A flood of `count` times what `part` gives for each number ends with the rule; one less than `allowed`
/// does not.
#[track_caller]
fn check(allowed: u32, rule: &str, before: Vec<u8>, part: impl Fn(u32) -> Vec<u8>) {
    let flood = |count: u32| {
        let octets = [before.clone(), (0..count).flat_map(&part).collect()].concat();
        answers(config(None), octets)
    };
    let ended = flood(allowed + 1);
    assert!(ended.ends_with(&format!("ENHANCE_YOUR_CALM {rule}, closed")), "{rule}: {ended}");
    let bearable = flood(allowed - 1);
    assert!(!bearable.contains("GOAWAY"), "{rule}: {bearable}");
}

#[test]
fn cheap_frames_are_bearable_up_to_their_number() {
    let reset_at_once = |n: u32| [get(2 * n + 1, "/later"), reset(2 * n + 1, 8)].concat();
    check(100, "flood_reset", Vec::new(), reset_at_once);
    // CVE-2025-8671: the client breaks a rule so that the server resets the stream.
    let made_to_reset = |n: u32| [get(2 * n + 1, "/later"), window(2 * n + 1, 0)].concat();
    check(100, "flood_reset", Vec::new(), made_to_reset);
    // The client's own first SETTINGS count as one.
    check(99, "flood_settings", Vec::new(), |_| settings(&[(4, 65_535)]));
    // So does its last PING, after the flood.
    check(999, "flood_ping", Vec::new(), |n| ping(u64::from(n).to_be_bytes(), 0));
    check(2000, "flood_window", Vec::new(), |_| window(0, 1));
    check(1000, "flood_priority", Vec::new(), |_| frame(2, 0, 1, b"\0\0\0\0\x10"));
    check(100, "flood_data", post(1, END_HEADERS, "/echo"), |_| data(1, 0, b""));
    check(1000, "flood_unknown", Vec::new(), |_| frame(0xee, 0, 0, b"?"));
}

#[test]
fn a_field_block_without_an_end_is_cut_off() {
    let empty = |count| [headers(1, END_STREAM, b""), continuation(1, 0, b"").repeat(count)].concat();
    let whole = [empty(15), continuation(1, END_HEADERS, &plain("GET", "/x"))].concat();
    assert_eq!(answers(config(None), whole), "HEADERS 1 404, DATA 1 14 end");
    assert_eq!(answers(config(None), empty(17)), "GOAWAY 0 ENHANCE_YOUR_CALM flood_continuation, closed");
    let part = continuation(1, 0, &[0x82; 16_384]);
    let octets = [headers(1, END_STREAM, &[0x82; 16_384]), part.repeat(4)].concat();
    let said = answers(config(None), octets);
    assert_eq!(said, "GOAWAY 0 ENHANCE_YOUR_CALM flood_continuation, closed");
}

#[test]
fn a_few_octets_that_stand_for_many_are_answered_431_and_nothing_is_kept() {
    // One entry of 4000 octets, and a thousand references to it.
    let mut bomb = plain("GET", "/");
    bomb.extend([0x40, 1, b'a', 0x7f, 0xa1, 0x1e]);
    bomb.extend([b'x'; 4000]);
    bomb.extend([0xbe; 10_000]);
    let said = answers(config(None), headers(1, END_STREAM | END_HEADERS, &bomb));
    assert!(said.starts_with("HEADERS 1 431, DATA 1 "), "{said}");
}

#[test]
fn work_that_pays_for_its_frames_is_no_flood() {
    let (mut sim, client) = network(1, Config { h2c: true, ..config(None) }, Link::default());
    let world = sim.world(client);
    let answered = sim.run(client, async move {
        let mut frames = Frames::open(&world).await;
        for n in 0..3000u32 {
            let stream = 2 * n + 1;
            let part = [frame(2, 0, stream, b"\0\0\0\0\x10"), get(stream, "/x"), window(0, 14)].concat();
            frames.send(&part).await;
            assert_eq!(frames.next().await.unwrap(), format!("HEADERS {stream} 404"));
            assert_eq!(frames.next().await.unwrap(), format!("DATA {stream} 14 end"));
        }
        frames.send(&ping(*b"the end!", 0)).await;
        frames.read_to("PONG the end!").await
    });
    assert_eq!(answered.unwrap(), "");
}

/// What the server says to `octets`, each with the second in which it says it, until the end.
fn timed(config: Config, octets: Vec<u8>) -> Vec<(u64, String)> {
    let (mut sim, client) = network(1, Config { h2c: true, ..config }, Link::default());
    let world = sim.world(client);
    sim.run(client, async move {
        let mut frames = Frames::open(&world).await;
        let start = world.now();
        frames.send(&octets).await;
        let mut said = Vec::new();
        while let Some(frame) = frames.next().await {
            said.push(((world.now() - start).as_secs(), frame));
        }
        said
    })
    .unwrap()
}

#[track_caller]
fn says(octets: &[Vec<u8>], expected: &[(u64, &str)]) {
    let said = timed(config(None), octets.concat());
    let said: Vec<_> = said.iter().map(|(second, frame)| (*second, frame.as_str())).collect();
    assert_eq!(said, expected);
}

#[test]
fn silence_is_borne_for_its_time() {
    says(&[], &[(60, "GOAWAY 0 NO_ERROR")]);
    says(&[get(1, "/x")], &[(0, "HEADERS 1 404"), (0, "DATA 1 14 end"), (60, "GOAWAY 1 NO_ERROR")]);
    // Work on our own side is no silence.
    says(&[get(1, "/later")], &[(300, "HEADERS 1 204 end"), (360, "GOAWAY 1 NO_ERROR")]);
    // Half a frame, and half a field block.
    says(&[get(1, "/x")[..12].to_vec()], &[(10, "GOAWAY 0 ENHANCE_YOUR_CALM head_time")]);
    says(&[headers(1, END_STREAM, b"\x82")], &[(10, "GOAWAY 0 ENHANCE_YOUR_CALM head_time")]);
}

#[test]
fn a_body_that_does_not_come_and_a_response_that_is_not_taken_end_their_stream() {
    says(
        &[post(1, END_HEADERS, "/echo"), data(1, 0, b"x")],
        &[(20, "RST_STREAM 1 ENHANCE_YOUR_CALM"), (80, "GOAWAY 1 NO_ERROR")],
    );
    says(
        &[settings(&[(4, 1)]), get(1, "/x")],
        &[
            (0, "SETTINGS ack"),
            (0, "HEADERS 1 404"),
            (0, "DATA 1 1"),
            (30, "RST_STREAM 1 CANCEL"),
            (90, "GOAWAY 1 NO_ERROR"),
        ],
    );
}

#[test]
fn a_connection_that_has_had_its_share_is_told_to_leave_and_finishes() {
    let few = Config { keepalive_requests_max: 2, ..config(None) };
    let said = timed(few, [get(1, "/x"), get(3, "/later")].concat());
    let said: Vec<_> = said.iter().map(|(second, frame)| (*second, frame.as_str())).collect();
    assert_eq!(
        said,
        [
            (0, "HEADERS 1 404"),
            (0, "DATA 1 14 end"),
            (0, "GOAWAY 2147483647 NO_ERROR"),
            (0, "PING leaving\\n"),
            (1, "GOAWAY 3 NO_ERROR"),
            (300, "HEADERS 3 204 end"),
        ]
    );
}

#[test]
fn a_closing_door_sends_goaway_twice_and_lets_streams_finish() {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (_, door) = serve(&sim.world(server), &Config { h2c: true, ..config(None) });
    let world = sim.world(client);
    let said = sim.run(client, async move {
        let mut frames = Frames::open(&world).await;
        frames.send(&get(1, "/slow")).await;
        assert_eq!(frames.next().await.unwrap(), "HEADERS 1 200");
        door.close();
        let leaving = frames.read_to("PING leaving\\n").await;
        // What was on its way when GOAWAY came is served as well.
        frames.send(&[get(3, "/x"), ping(*b"leaving\n", 1), get(5, "/x")].concat()).await;
        let rest = frames.read_to("never").await;
        (leaving, rest, String::from_utf8(frames.content).unwrap())
    });
    let (leaving, rest, content) = said.unwrap();
    assert_eq!(leaving, "GOAWAY 2147483647 NO_ERROR");
    assert!(
        rest.starts_with("HEADERS 3 404, DATA 3 14 end, GOAWAY 3 NO_ERROR, RST_STREAM 5 REFUSED_STREAM"),
        "{rest}"
    );
    assert!(rest.ends_with("DATA 1 0 end, closed"), "{rest}");
    assert!(content.ends_with("333333"), "{content}");
}

#[test]
fn the_most_urgent_comes_first_and_what_is_incremental_takes_turns() {
    let folder = Folder::new();
    let config = Config { h2c: true, ..config(Some(&folder.public())) };
    let (mut sim, client) = network(1, config, Link::default());
    let world = sim.world(client);
    let order = sim.run(client, async move {
        let mut frames = Frames::open(&world).await;
        let with = |stream: u32, priority: &str| {
            let fields = [plain("GET", "/large.bin"), block(&[("priority", priority)])].concat();
            headers(stream, END_STREAM | END_HEADERS, &fields)
        };
        let update = frame(16, 0, 0, b"\0\0\0\x09u=0");
        let parts = [
            update,
            settings(&[(4, 1 << 20)]),
            with(1, "u=5"),
            with(3, "i"),
            with(5, "i"),
            with(7, "u=1"),
            with(9, ""),
            window(0, 1 << 24),
            ping(*b"the end!", 0),
        ];
        frames.send(&parts.concat()).await;
        let mut order = Vec::new();
        while order.len() < 5 * 19 {
            let frame = frames.next().await.unwrap();
            if let Some(rest) = frame.strip_prefix("DATA ") {
                order.push(rest.split(' ').next().unwrap().parse::<u32>().unwrap());
            }
        }
        order
    });
    let order = order.unwrap();
    assert!(order[..19].iter().all(|stream| *stream == 9), "{order:?}");
    assert!(order[19..38].iter().all(|stream| *stream == 7), "{order:?}");
    let turns = &order[38..76];
    assert!(turns.chunks(2).all(|pair| pair.contains(&3) && pair.contains(&5)), "{order:?}");
    assert!(order[76..].iter().all(|stream| *stream == 1), "{order:?}");
}

#[test]
fn what_is_sent_is_bounded_while_nobody_reads() {
    let folder = Folder::new();
    let config = Config { h2c: true, ..config(Some(&folder.public())) };
    let link = Link { rate: 20_000, ..Link::default() };
    let (mut sim, client) = network(1, config, link);
    let world = sim.world(client);
    let whole = sim.run(client, async move {
        let mut frames = Frames::open(&world).await;
        frames.send(&[settings(&[(4, 1 << 20)]), window(0, 1 << 20), get(1, "/large.bin")].concat()).await;
        world.sleep(Duration::from_secs(10)).await;
        while frames.next().await.unwrap().split_once(" end").is_none() {}
        frames.content.len()
    });
    assert_eq!(whole.unwrap(), 300_000);
}
