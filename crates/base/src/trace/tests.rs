use super::pcapng::{Options, PcapngWriter};
use super::*;
use crate::Instant;

fn event(transport: Transport, direction: Direction, step: Step, octets: &[u8]) -> Event {
    Event {
        id: EventId::default(),
        at: Instant::from_nanos(1_500),
        node: "gate".into(),
        flow: Flow {
            id: 1,
            transport,
            local: "127.0.0.1:5300".parse().unwrap(),
            remote: "127.0.0.1:40000".parse().unwrap(),
            canonical_port: 53,
            serving: true,
        },
        direction,
        step,
        protocol: "dns",
        summary: "home.arpa SOA?".into(),
        octets: octets.into(),
        cause: None,
        note: None,
    }
}

fn udp_in() -> Event {
    event(Transport::Udp, Direction::In, Step::Message, b"abc")
}

#[test]
fn a_trace_nobody_reads_never_builds_an_event() {
    let trace = Trace::off();
    assert_eq!(trace.record(|| unreachable!("the trace is off")), None);
    let subscription = trace.subscribe(Filter::default(), 10, || {});
    assert!(trace.record(udp_in).is_some());
    assert_eq!(subscription.drain().0.len(), 1);
    drop(subscription);
    assert!(!trace.is_on());
}

#[test]
fn a_slow_subscriber_loses_events_and_is_told_how_many() {
    let trace = Trace::off();
    let subscription = trace.subscribe(Filter::default(), 3, || {});
    for _ in 0..5 {
        trace.record(udp_in);
    }
    let (events, lost) = subscription.drain();
    assert_eq!((events.len(), lost), (3, 2));
    assert_eq!(subscription.drain(), (vec![], 0));
}

#[test]
fn a_slow_subscriber_does_not_keep_more_octets_than_its_bound() {
    let trace = Trace::off();
    let subscription = trace.subscribe(Filter::default(), 100, || {});
    let third = vec![0; WAITING_OCTETS_MAX / 3];
    for octets in [&third[..], &third, &third, &third, b"..."] {
        trace.record(|| event(Transport::Udp, Direction::In, Step::Message, octets));
    }
    let (events, lost) = subscription.drain();
    assert_eq!((events.len(), lost), (3, 2));
    trace.record(|| event(Transport::Udp, Direction::In, Step::Message, &third));
    assert_eq!(subscription.drain().0.len(), 1, "there is room again");
}

#[test]
fn filters_read_the_words_of_packet_captures() {
    let event = udp_in();
    for (text, passes) in [
        ("", true),
        ("port 5300", true),
        ("port 53", true),
        ("udp.port==5300", true),
        ("tcp.port == 5300", false),
        ("udp and port 40000 and host 127.0.0.1", true),
        ("dns && !tcp", true),
        ("http", false),
        ("not dns", false),
        ("ip.addr == 10.0.0.1", false),
    ] {
        assert_eq!(text.parse::<Filter>().unwrap().matches(&event), passes, "{text}");
    }
    for wrong in ["port", "port x", "host nowhere", "udp or tcp", "not", "port 70000", "ip.addr != 10.0.0.1"]
    {
        assert!(wrong.parse::<Filter>().is_err(), "{wrong}");
    }
    let filter: Filter = "dns and not http port 53".parse().unwrap();
    assert_eq!(filter.protocols().collect::<Vec<_>>(), ["dns", "http"]);
}

#[test]
fn the_hash_sees_every_field_and_the_order() {
    let hash = |events: &[Event]| {
        let trace = Trace::recording();
        for event in events {
            trace.record(|| event.clone());
        }
        trace.hash()
    };
    let (a, b) = (udp_in(), event(Transport::Udp, Direction::Out, Step::Message, b"abc"));
    assert_eq!(hash(&[a.clone(), b.clone()]), hash(&[a.clone(), b.clone()]));
    assert_ne!(hash(&[a.clone(), b.clone()]), hash(&[b, a.clone()]));
    assert_ne!(hash(std::slice::from_ref(&a)), hash(&[Event { at: Instant::from_nanos(1_501), ..a }]));
}

#[test]
fn the_ring_forgets_the_oldest_first() {
    let trace = Trace::with(true, 2, 100);
    for octets in [&b"1"[..], b"2", b"3"] {
        trace.record(|| event(Transport::Udp, Direction::In, Step::Message, octets));
    }
    let kept: Vec<_> = trace.events().iter().map(|e| e.octets[0]).collect();
    assert_eq!(kept, b"23");
    trace.record(|| event(Transport::Udp, Direction::In, Step::Message, &[9; 99]));
    assert_eq!(trace.events().len(), 2, "99 + 1 octets fit in 100");
    trace.record(|| event(Transport::Udp, Direction::In, Step::Message, &[9; 2]));
    assert_eq!(trace.events().len(), 1);
}

/// Splits a capture into (kind, body), checking that both lengths of each block agree.
fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let word = |octets: &[u8]| u32::from_le_bytes(octets[..4].try_into().unwrap());
    let mut found = Vec::new();
    while !file.is_empty() {
        let length = word(&file[4..]) as usize;
        assert_eq!(length % 4, 0);
        assert_eq!(word(&file[length - 4..]) as usize, length);
        found.push((word(file), file[8..length - 4].to_vec()));
        file = &file[length..];
    }
    found
}

#[test]
fn a_capture_shows_a_whole_connection_on_its_canonical_port() {
    let mut writer = PcapngWriter::new(Options { canonical_ports: true, comments: true }, 0);
    let mut file = writer.header("doorway");
    for (direction, step, octets) in [
        (Direction::In, Step::Open, &b""[..]),
        (Direction::In, Step::Message, &[7; 3000]),
        (Direction::Out, Step::Message, b"ok"),
        (Direction::Out, Step::Close, b""),
    ] {
        file.extend(writer.event(&event(Transport::Tcp, direction, step, octets)));
    }
    let blocks = blocks(&file);
    assert_eq!(blocks.iter().map(|b| b.0).collect::<Vec<_>>(), {
        let mut kinds = vec![0x0a0d_0d0a, 1];
        kinds.extend([6; 3 + 3 + 1 + 3]);
        kinds
    });
    let tcp = |index: usize| blocks[2 + index].1[20 + 14 + 20..].to_vec();
    let ports = |index: usize| u32::from_be_bytes(tcp(index)[..4].try_into().unwrap());
    let sequence = |index: usize| u32::from_be_bytes(tcp(index)[4..8].try_into().unwrap());
    assert_eq!(ports(0), 40_000 << 16 | 53, "the client opens");
    assert_eq!(tcp(0)[13], 2, "SYN");
    assert_eq!(tcp(1)[13], 18, "SYN, ACK");
    assert_eq!(sequence(4) - sequence(3), 1440);
    assert_eq!(ports(6), 53 << 16 | 40_000, "the server answers");
}

#[test]
fn checksums_of_made_packets_are_valid() {
    let mut writer = PcapngWriter::new(Options::default(), 0);
    let file = writer.event(&udp_in());
    let frame = &blocks(&file)[0].1[20..];
    // RFC 1071: summing a header with its checksum in place gives all ones.
    let sum = |octets: &[u8]| {
        let mut sum: u32 =
            octets.chunks(2).map(|p| u32::from(p[0]) << 8 | u32::from(*p.get(1).unwrap_or(&0))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum
    };
    assert_eq!(sum(&frame[14..34]), 0xffff);
    let udp = &frame[34..34 + 11];
    let mut pseudo = frame[26..34].to_vec();
    pseudo.extend([0, 17, 0, 11]);
    pseudo.extend(udp);
    assert_eq!(sum(&pseudo), 0xffff);
}
