//! A client's messages, and what a server answers to them.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use doorway_base::{Instant, UnixTime, Writer};

use super::super::{Arrival, DropReason, Now, Server, Settlement, Ticket, Verdict};
use crate::wire::message::BOOTREQUEST;
use crate::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, SERVER_PORT, code};

/// What `eth0` of every test has.
pub(super) const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// The last two octets of an address of 10/8.
pub(super) const fn address(third: u8, fourth: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, third, fourth)
}

/// So many seconds after the start.
pub(super) fn at(seconds: u64) -> Now {
    let passed = Duration::from_secs(seconds);
    Now { mono: Instant::ZERO + passed, wall: UnixTime::from_secs(1_800_000_000) + passed }
}

/// A message of a client, and how it comes.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    head: Head,
    options: Vec<(u8, Vec<u8>)>,
    is_unicast: bool,
}

impl Ask {
    /// A message of this kind from the Ethernet address 02:00:00:00:xx:xx.
    pub(super) fn new(kind: MessageType, mac: u16) -> Self {
        let [high, low] = mac.to_be_bytes();
        let hardware = HardwareAddress::ethernet([2, 0, 0, 0, high, low]);
        let head = Head::new(BOOTREQUEST, hardware, u32::from(mac));
        Self { head, options: vec![(code::MESSAGE_TYPE, vec![kind as u8])], is_unicast: false }
    }

    pub(super) fn discover(mac: u16) -> Self {
        Self::new(MessageType::Discover, mac)
    }

    pub(super) fn with(mut self, code: u8, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    pub(super) fn maybe(self, code: u8, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.with(code, value),
            None => self,
        }
    }

    /// Option 50.
    pub(super) fn wants(self, address: Ipv4Addr) -> Self {
        self.with(code::REQUESTED_ADDRESS, &address.octets())
    }

    /// Option 54.
    pub(super) fn of(self, server: Ipv4Addr) -> Self {
        self.with(code::SERVER_ID, &server.octets())
    }

    /// From a client that has this address.
    pub(super) fn has(mut self, address: Ipv4Addr) -> Self {
        self.head.ciaddr = address;
        self
    }

    /// To the server alone.
    pub(super) fn unicast(mut self) -> Self {
        self.is_unicast = true;
        self
    }

    pub(super) fn broadcast_bit(mut self) -> Self {
        self.head.flags = 0x8000;
        self
    }

    /// By a relay agent.
    pub(super) fn by(mut self, giaddr: Ipv4Addr) -> Self {
        self.head.giaddr = giaddr;
        self
    }

    /// Its octets.
    pub(super) fn octets(&self) -> Vec<u8> {
        let mut buffer = [0; 1500];
        let mut out = Writer::new(&mut buffer);
        let mut writer = MessageWriter::new(&mut out, &self.head);
        for (code, value) in &self.options {
            writer.option(*code, value);
        }
        assert_eq!(writer.finish(300), 0, "the message fits");
        out.written().to_vec()
    }

    /// Has it handled, and takes what is to be sent.
    pub(super) fn to(&self, server: &mut Server, now: Now) -> (Verdict, Vec<u8>) {
        let octets = self.octets();
        let (source, destination) = match (self.head.giaddr.is_unspecified(), self.is_unicast) {
            (false, _) => (self.head.giaddr, OWN),
            (true, true) => (self.head.ciaddr, OWN),
            (true, false) => (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST),
        };
        let arrival = Arrival {
            octets: &octets,
            interface: 0,
            source: SocketAddrV4::new(source, 68),
            destination: SocketAddrV4::new(destination, SERVER_PORT),
        };
        let mut buffer = [0; 1500];
        let mut reply = Writer::new(&mut buffer);
        let verdict = server.handle(now, &arrival, &mut reply);
        (verdict, reply.written().to_vec())
    }

    /// Has it answered at once: what must be written is written. The octets of the answer.
    #[track_caller]
    pub(super) fn answer(&self, server: &mut Server, now: Now) -> Vec<u8> {
        match self.to(server, now) {
            (Verdict::Reply(_), octets) => octets,
            (Verdict::Settle(settlement, Some(_)), octets) => {
                server.settled(now, settlement.ticket, true);
                octets
            }
            (verdict, _) => panic!("no answer: {verdict:?}"),
        }
    }

    /// Has it refused without an answer.
    #[track_caller]
    pub(super) fn dropped(&self, server: &mut Server, now: Now) -> DropReason {
        match self.to(server, now).0 {
            Verdict::Drop(reason) => reason,
            verdict => panic!("an answer: {verdict:?}"),
        }
    }
}

/// What the change of a RELEASE or a DECLINE is, written.
#[track_caller]
pub(super) fn settle(server: &mut Server, now: Now, verdict: Verdict) -> Settlement {
    match verdict {
        Verdict::Settle(settlement, None) => {
            server.settled(now, Ticket(settlement.ticket.0), true);
            settlement
        }
        verdict => panic!("no change alone: {verdict:?}"),
    }
}

/// Reads an answer.
#[track_caller]
pub(super) fn read(octets: &[u8]) -> Message<'_> {
    Message::parse(octets).expect("an answer that holds")
}

/// Discovers and takes what is offered.
#[track_caller]
pub(super) fn lease(server: &mut Server, now: Now, mac: u16) -> Ipv4Addr {
    let offer = Ask::discover(mac).answer(server, now);
    let offered = read(&offer).yiaddr();
    let request = Ask::new(MessageType::Request, mac).wants(offered).of(OWN);
    let ack = request.answer(server, now);
    assert_eq!(read(&ack).kind(), Some(MessageType::Ack));
    assert_eq!(read(&ack).yiaddr(), offered);
    offered
}
