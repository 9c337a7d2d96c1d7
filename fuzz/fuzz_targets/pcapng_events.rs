//! Whatever happens on a flow, the capture is a row of whole blocks that say their own length.
#![no_main]
use core::net::SocketAddr;

use doorway_base::Instant;
use doorway_base::trace::pcapng::{Options, PcapngWriter};
use doorway_base::trace::{Direction, Event, EventId, Flow, Step, Transport};

fn event(octets: &[u8]) -> Event {
    let at = |index: usize| octets.get(index).copied().unwrap_or_default();
    let address = |host: u8| SocketAddr::new([10, 0, 0, host].into(), u16::from(at(3)));
    let six =
        |host: u8| SocketAddr::new([0xfc00, 0, 0, 0, 0, 0, 0, u16::from(host)].into(), u16::from(at(3)));
    let make: &dyn Fn(u8) -> SocketAddr = if at(0) & 1 == 0 { &address } else { &six };
    Event {
        id: EventId(u64::from(at(1))),
        at: Instant::from_nanos(u64::from(at(2)) << 40),
        node: "fuzz".into(),
        flow: Flow {
            id: u64::from(at(4) & 3),
            transport: if at(0) & 2 == 0 { Transport::Tcp } else { Transport::Udp },
            local: make(at(5)),
            remote: make(at(6)),
            canonical_port: u16::from(at(7)),
            serving: at(0) & 4 == 0,
        },
        direction: if at(0) & 8 == 0 { Direction::In } else { Direction::Out },
        step: [Step::Open, Step::Message, Step::Close, Step::Message][usize::from(at(0) >> 4 & 3)],
        protocol: "fuzz",
        summary: String::new(),
        octets: octets.repeat(usize::from(at(8))).into(),
        cause: None,
        note: None,
    }
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let mut writer = PcapngWriter::new(Options { canonical_ports: octets.len() % 2 == 0, comments: true }, 0);
    let mut file = writer.header("fuzz");
    octets.chunks(16).for_each(|part| file.extend(writer.event(&event(part))));
    let mut rest = &file[..];
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[4..8].try_into().expect("four octets"));
        let (block, after) = rest.split_at(length as usize);
        assert_eq!(block[block.len() - 4..], length.to_le_bytes());
        rest = after;
    }
});
