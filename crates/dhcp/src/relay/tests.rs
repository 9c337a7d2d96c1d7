//! What a relay agent passes on, how it marks it, and what it drops.

use proptest::prelude::*;

use super::*;
use crate::wire::message::BROADCAST;
use crate::wire::reply::MESSAGE_OCTETS_MIN;
use crate::wire::{HardwareAddress, Head, MessageType, MessageWriter, agent};

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ONE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const TWO: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 9);
const CLIENT: [u8; 6] = [2, 0, 0, 0, 0, 7];

fn circuit(address: Ipv4Addr, name: &[u8], trusted: bool) -> Circuit {
    Circuit { address, prefix: 16, circuit_id: name.to_vec(), remote_id: Vec::new(), trusted }
}

fn relay(rules: Rules) -> Relay {
    Relay::new(rules, vec![circuit(ONE, b"lan1", false), circuit(TWO, b"lan2", true)])
}

/// A message of a client, or of a server when it gives an address.
#[derive(Clone, Copy)]
struct Made<'a> {
    op: u8,
    hops: u8,
    flags: u16,
    ciaddr: Ipv4Addr,
    yiaddr: Ipv4Addr,
    giaddr: Ipv4Addr,
    agent: Option<&'a [u8]>,
}

const DISCOVER: Made<'_> =
    Made { op: BOOTREQUEST, hops: 0, flags: 0, ciaddr: NONE, yiaddr: NONE, giaddr: NONE, agent: None };
const OFFER: Made<'_> = Made { op: BOOTREPLY, yiaddr: Ipv4Addr::new(10, 1, 0, 7), giaddr: ONE, ..DISCOVER };

impl Made<'_> {
    fn octets(self) -> Vec<u8> {
        let mut octets = vec![0; 1500];
        let mut out = Writer::new(&mut octets);
        let Self { hops, flags, ciaddr, yiaddr, giaddr, .. } = self;
        let head = Head::new(self.op, HardwareAddress::ethernet(CLIENT), 0x3903_f326);
        let mut message = MessageWriter::new(&mut out, &Head { hops, flags, ciaddr, yiaddr, giaddr, ..head });
        let kind = if self.op == BOOTREQUEST { MessageType::Discover } else { MessageType::Offer };
        message.option(code::MESSAGE_TYPE, &[kind as u8]);
        message.option(code::HOST_NAME, b"laptop");
        if let Some(agent) = self.agent {
            message.option(code::AGENT, agent);
        }
        message.option(code::CLIENT_ID, &[1, 2, 0, 0, 0, 0, 7]);
        message.finish(MESSAGE_OCTETS_MIN);
        let length = out.position();
        octets.truncate(length);
        octets
    }
}

/// What the agent makes of a message.
fn handle(relay: &mut Relay, origin: Origin, octets: &[u8]) -> (Verdict, Vec<u8>) {
    let mut room = [0; RELAYED_OCTETS_MAX];
    let mut out = Writer::new(&mut room);
    let verdict = relay.handle(origin, octets, &mut out);
    (verdict, out.written().to_vec())
}

fn unicast(source: Ipv4Addr, local: Ipv4Addr) -> Origin {
    Origin::Unicast { source, local }
}

/// What option 82 of the message holds, with its sub-options in words.
fn mark(octets: &[u8]) -> String {
    let message = Message::parse(octets).unwrap();
    let Some(value) = message.option(code::AGENT) else { return "none".to_owned() };
    let agent = agent::Agent::parse(value.into_owned()).unwrap();
    let words: Vec<String> =
        agent.suboptions().map(|(number, value)| format!("{number}={}", value.escape_ascii())).collect();
    words.join(" ")
}

#[test]
fn a_message_of_a_client_goes_on_with_our_address_and_mark() {
    let mut relay = relay(Rules::default());
    let octets = DISCOVER.octets();
    let (verdict, out) = handle(&mut relay, Origin::Circuit(0), &octets);
    assert_eq!(verdict, Verdict::Servers);
    let message = Message::parse(&out).unwrap();
    assert_eq!((message.giaddr(), message.hops()), (ONE, 1));
    assert_eq!(message.host_name(), Some("laptop"));
    assert_eq!(mark(&out), "1=lan1");
    assert_eq!(
        message.options().last().map(|(number, _)| number),
        Some(code::AGENT),
        "RFC 3046 §2.1: the last"
    );
    assert_eq!(out.len(), MESSAGE_OCTETS_MIN);
    // All but hops, giaddr and the end is as the client sent it.
    assert_eq!((&out[..3], &out[4..24], &out[28..260]), (&octets[..3], &octets[4..24], &octets[28..260]));
    assert_eq!(relay.counts().requests, 1);
}

#[test]
fn an_answer_goes_back_where_the_question_came_from() {
    let mut relay = relay(Rules::default());
    let host =
        Verdict::Host { circuit: 0, to: SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 7), 68), hardware: CLIENT };
    let marked = Some(&[1, 4, b'l', b'a', b'n', b'1'][..]);
    for (made, expected) in [
        (Made { agent: marked, ..OFFER }, host),
        // A server that knows no option 82.
        (OFFER, host),
        (Made { agent: marked, flags: BROADCAST, ..OFFER }, Verdict::Broadcast { circuit: 0 }),
        // DHCPNAK has no address.
        (Made { agent: marked, yiaddr: NONE, ..OFFER }, Verdict::Broadcast { circuit: 0 }),
        // The answer to DHCPINFORM has only the one that the client has.
        (Made { agent: marked, yiaddr: NONE, ciaddr: Ipv4Addr::new(10, 1, 0, 7), ..OFFER }, host),
    ] {
        let (verdict, out) = handle(&mut relay, unicast(SERVER, ONE), &made.octets());
        assert_eq!(verdict, expected);
        assert_eq!(mark(&out), "none", "RFC 3046 §2.1: it is taken out");
        assert_eq!(Message::parse(&out).unwrap().client_id().unwrap().len(), 7);
    }
    assert_eq!(relay.counts().replies, 5);
}

#[test]
fn what_a_switch_has_marked_is_dealt_with_by_the_rules() {
    let theirs = &[1, 2, b's', b'w'][..];
    let made = Made { agent: Some(theirs), ..DISCOVER };
    for (existing, circuit, expected) in [
        (Existing::Append, 1, Ok("1=sw 1=lan2")),
        (Existing::Replace, 1, Ok("1=lan2")),
        (Existing::Keep, 1, Ok("1=sw")),
        (Existing::Drop, 1, Err(DropReason::Marked)),
        // RFC 3046 §2.1: nobody may mark where nobody is trusted.
        (Existing::Append, 0, Err(DropReason::Untrusted)),
        (Existing::Keep, 0, Err(DropReason::Untrusted)),
    ] {
        let mut relay = relay(Rules { existing, ..Rules::default() });
        let (verdict, out) = handle(&mut relay, Origin::Circuit(circuit), &made.octets());
        match expected {
            Ok(words) => assert_eq!((verdict, mark(&out).as_str()), (Verdict::Servers, words)),
            Err(reason) => assert_eq!((verdict, out.len()), (Verdict::Drop(reason), 0)),
        }
    }
    // On the way back ours goes, and theirs stays for the switch.
    let mut relay = relay(Rules::default());
    let both = [theirs, &[1, 4, b'l', b'a', b'n', b'2']].concat();
    for (agent, left) in [(&both[..], "1=sw"), (theirs, "1=sw")] {
        let made = Made { agent: Some(agent), giaddr: TWO, ..OFFER };
        let (verdict, out) = handle(&mut relay, unicast(SERVER, TWO), &made.octets());
        assert!(matches!(verdict, Verdict::Host { circuit: 1, .. }), "{verdict:?}");
        assert_eq!(mark(&out), left);
    }
}

#[test]
fn without_marks_the_message_stays_as_it_is() {
    let mut relay = relay(Rules { mark: false, ..Rules::default() });
    let (verdict, out) = handle(&mut relay, Origin::Circuit(0), &DISCOVER.octets());
    assert_eq!((verdict, mark(&out).as_str()), (Verdict::Servers, "none"));
    let (verdict, _) = handle(&mut relay, unicast(SERVER, ONE), &OFFER.octets());
    assert!(matches!(verdict, Verdict::Host { circuit: 0, .. }));
}

#[test]
fn servers_can_be_told_another_address_and_the_link_beside_it() {
    let giaddr = Ipv4Addr::new(10, 9, 0, 1);
    let mut relay = relay(Rules { giaddr: Some(giaddr), server_override: true, ..Rules::default() });
    let (_, out) = handle(&mut relay, Origin::Circuit(1), &DISCOVER.octets());
    assert_eq!(Message::parse(&out).unwrap().giaddr(), giaddr);
    let agent = Message::parse(&out).unwrap();
    let agent = agent.agent().unwrap();
    assert_eq!(agent.link_selection(), Some(TWO), "RFC 3527");
    assert_eq!(agent.server_id_override(), Some(TWO), "RFC 5107");
    // One address for all circuits: only the mark tells them apart.
    let echoed = agent.octets().to_vec();
    let made = Made { agent: Some(&echoed), giaddr, ..OFFER };
    let (verdict, out) = handle(&mut relay, unicast(SERVER, giaddr), &made.octets());
    assert!(matches!(verdict, Verdict::Host { circuit: 1, .. }), "{verdict:?}");
    assert_eq!(mark(&out), "none");
    let made = Made { giaddr, ..OFFER };
    let (verdict, _) = handle(&mut relay, unicast(SERVER, giaddr), &made.octets());
    assert_eq!(verdict, Verdict::Drop(DropReason::NoCircuit));
    // A client that takes us for the server renews by unicast.
    let renewal = Made { ciaddr: Ipv4Addr::new(10, 2, 0, 7), ..DISCOVER };
    let (verdict, out) = handle(&mut relay, unicast(renewal.ciaddr, TWO), &renewal.octets());
    assert_eq!(verdict, Verdict::Servers);
    assert_eq!(Message::parse(&out).unwrap().agent().unwrap().circuit_id(), Some(&b"lan2"[..]));
}

#[test]
fn what_another_agent_passed_on_goes_on_unchanged_where_agents_may_be() {
    let theirs = &[1, 2, b's', b'w'][..];
    let giaddr = Ipv4Addr::new(10, 2, 0, 50);
    let made = Made { giaddr, hops: 1, agent: Some(theirs), ..DISCOVER };
    let mut relay = relay(Rules::default());
    for origin in [Origin::Circuit(1), unicast(giaddr, TWO), unicast(giaddr, Ipv4Addr::new(10, 9, 0, 1))] {
        let (verdict, out) = handle(&mut relay, origin, &made.octets());
        assert_eq!((verdict, mark(&out).as_str()), (Verdict::Servers, "1=sw"));
        let message = Message::parse(&out).unwrap();
        assert_eq!((message.giaddr(), message.hops()), (giaddr, 2));
    }
    let drop = |reason| (Verdict::Drop(reason), Vec::new());
    let elsewhere = unicast(Ipv4Addr::new(172, 16, 0, 1), Ipv4Addr::new(10, 9, 0, 1));
    for (origin, reason) in [
        (Origin::Circuit(0), DropReason::UntrustedRelay),
        (unicast(Ipv4Addr::new(10, 1, 0, 50), ONE), DropReason::UntrustedRelay),
        (elsewhere, DropReason::NoCircuit),
        (Origin::Circuit(9), DropReason::NoCircuit),
    ] {
        assert_eq!(handle(&mut relay, origin, &made.octets()), drop(reason));
    }
}

#[test]
fn what_goes_round_or_the_wrong_way_is_dropped_and_counted() {
    let mut relay = relay(Rules { hops_max: 4, ..Rules::default() });
    for (origin, made, reason) in [
        (Origin::Circuit(0), Made { hops: 4, ..DISCOVER }, DropReason::Hops),
        (Origin::Circuit(0), Made { hops: 255, ..DISCOVER }, DropReason::Hops),
        (Origin::Circuit(0), Made { giaddr: ONE, ..DISCOVER }, DropReason::Loop),
        (Origin::Circuit(1), Made { giaddr: ONE, ..DISCOVER }, DropReason::Loop),
        (Origin::Circuit(0), OFFER, DropReason::WrongWay),
        (unicast(SERVER, ONE), Made { giaddr: NONE, ..OFFER }, DropReason::NotOurs),
        (unicast(SERVER, ONE), Made { giaddr: SERVER, ..OFFER }, DropReason::NotOurs),
    ] {
        let before = relay.counts().dropped[reason as usize];
        let (verdict, out) = handle(&mut relay, origin, &made.octets());
        assert_eq!((verdict, out.len()), (Verdict::Drop(reason), 0));
        assert_eq!(relay.counts().dropped[reason as usize], before + 1, "{}", reason.name());
    }
    let (verdict, _) = handle(&mut relay, Origin::Circuit(0), &[1; 1473]);
    assert_eq!(verdict, Verdict::Drop(DropReason::Malformed));
}

#[test]
fn a_message_that_is_full_goes_on_without_our_mark() {
    let mut octets = DISCOVER.octets();
    let end = 240 + octets[240..].iter().position(|&octet| octet == code::END).unwrap();
    octets.truncate(end);
    while octets.len() + 2 + 250 < RELAYED_OCTETS_MAX {
        octets.extend([224, 250]);
        octets.extend([0; 250]);
    }
    let rest = RELAYED_OCTETS_MAX - octets.len() - 3;
    octets.extend([225, rest as u8]);
    octets.resize(RELAYED_OCTETS_MAX - 1, 0);
    octets.push(code::END);
    let mut relay = relay(Rules::default());
    let (verdict, out) = handle(&mut relay, Origin::Circuit(0), &octets);
    assert_eq!((verdict, out.len(), mark(&out).as_str()), (Verdict::Servers, RELAYED_OCTETS_MAX, "none"));
    assert_eq!(relay.counts().unmarked, 1);
}

#[test]
fn every_prefix_of_a_message_is_passed_on_whole_or_dropped() {
    let octets = Made { agent: Some(&[1, 2, b's', b'w']), ..DISCOVER }.octets();
    let mut relay = relay(Rules::default());
    for length in 0..octets.len() {
        match handle(&mut relay, Origin::Circuit(1), &octets[..length]) {
            (Verdict::Drop(_), out) => assert!(out.is_empty()),
            (_, out) => assert!(Message::parse(&out).is_ok(), "{length}"),
        }
    }
}

proptest! {
    /// Whatever comes in: what goes out is a message, with one more hop, or an answer without our mark.
    #[test]
    fn what_is_passed_on_is_a_message(
        made in (any::<bool>(), any::<u8>(), any::<u16>(), 0usize..4, 0usize..4),
        agent in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        changes in proptest::collection::vec((0usize..320, any::<u8>()), 0..6),
        rules in (1u8..=16, any::<bool>(), 0usize..4, any::<bool>()),
        origin in 0usize..4,
    ) {
        let addresses = [NONE, ONE, TWO, SERVER];
        let (is_offer, hops, flags, yiaddr, giaddr) = made;
        let op = if is_offer { BOOTREPLY } else { BOOTREQUEST };
        let made = Made {
            op, hops, flags, ciaddr: NONE,
            yiaddr: addresses[yiaddr], giaddr: addresses[giaddr], agent: agent.as_deref(),
        };
        let mut octets = made.octets();
        for (at, octet) in changes {
            let length = octets.len();
            octets[at % length] = octet;
        }
        let existing = [Existing::Append, Existing::Replace, Existing::Keep, Existing::Drop][rules.2];
        let giaddr = rules.3.then_some(SERVER);
        let mut relay = relay(Rules { hops_max: rules.0, mark: rules.1, existing, giaddr, server_override: rules.3 });
        let origin = [Origin::Circuit(0), Origin::Circuit(1), unicast(SERVER, ONE), unicast(TWO, TWO)][origin];
        match handle(&mut relay, origin, &octets) {
            (Verdict::Drop(_), out) => prop_assert!(out.is_empty()),
            (Verdict::Servers, out) => {
                let (before, after) = (Message::parse(&octets).unwrap(), Message::parse(&out).unwrap());
                prop_assert_eq!(after.hops(), before.hops() + 1);
                prop_assert_eq!(after.kind(), before.kind());
                prop_assert!(!after.giaddr().is_unspecified());
            }
            (_, out) => {
                let after = Message::parse(&out).unwrap();
                prop_assert_eq!(after.kind(), Message::parse(&octets).unwrap().kind());
            }
        }
    }
}
