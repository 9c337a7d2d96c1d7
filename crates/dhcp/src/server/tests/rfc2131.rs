//! RFC 2131, message by message: §4.3.1 to §4.3.5 with tables 3 and 4, and what keeps a pool from being emptied.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Random;

use super::super::{Alarm, Destination, DropReason, Server, Verdict};
use super::support::{Ask, OWN, address, at, lease, read, settle};
use crate::lease::LeaseState;
use crate::plan::{Class, Draft, InterfacePlan, Limits, Match, OptionSet, Plan, Pool};
use crate::plan::{Probe, Reservation, Subnet};
use crate::wire::{HardwareAddress, MessageType, agent, code};

/// A server of 10.0.0.0/24 with ten addresses for anybody, and of 10.0.1.0/24 behind a relay agent.
fn draft() -> Draft {
    let subnets = [0, 1].map(|third| {
        let mut subnet = Subnet::new(format!("10.0.{third}.0/24").parse().expect("a network"));
        subnet.pools = vec![Pool::new(address(third, 10), address(third, 19), None)];
        subnet.probe = Probe::Off;
        subnet.relays = vec!["10.0.1.0/24".parse().expect("a network")];
        subnet.options = OptionSet::default()
            .with(code::SUBNET_MASK, [255, 255, 255, 0])
            .with_addresses(code::ROUTERS, &[OWN])
            .with_addresses(code::NAME_SERVERS, &[OWN]);
        subnet
    });
    let eth0 = InterfacePlan { name: "eth0".into(), address: OWN, prefix: 24 };
    let limits = Limits { packets_per_second: 0, ..Limits::default() };
    Draft { interfaces: vec![eth0], subnets: subnets.into(), authoritative: true, limits, ..Draft::default() }
}

fn server(draft: Draft) -> Server {
    Server::new(Arc::new(Plan::new(draft).expect("a plan")), Random::new(1))
}

fn request(mac: u16) -> Ask {
    Ask::new(MessageType::Request, mac)
}

/// Checks what kind of answer there is, for which address.
#[track_caller]
fn check(server: &mut Server, ask: &Ask, kind: MessageType, yiaddr: Ipv4Addr) {
    let answer = ask.answer(server, at(1));
    assert_eq!((read(&answer).kind(), read(&answer).yiaddr()), (Some(kind), yiaddr));
}

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn a_client_that_selects_this_server_gets_what_it_was_offered_and_nothing_else() {
    let mut server = server(draft());
    let offer = Ask::discover(1).answer(&mut server, at(0));
    let offered = read(&offer).yiaddr();
    check(&mut server, &request(1).wants(address(0, 200)).of(OWN), MessageType::Nak, NONE);
    check(&mut server, &request(1).wants(offered).of(OWN), MessageType::Ack, offered);
    check(&mut server, &request(2).wants(offered).of(OWN), MessageType::Nak, NONE);
}

#[test]
fn a_client_that_selects_another_server_frees_its_offer() {
    let mut server = server(draft());
    Ask::discover(1).answer(&mut server, at(0));
    assert_eq!(server.offers().len(), 1);
    let other = request(1).wants(address(0, 10)).of(address(0, 2));
    assert_eq!(other.dropped(&mut server, at(0)), DropReason::OfferFreed);
    assert_eq!(server.offers().len(), 0);
    assert_eq!(other.dropped(&mut server, at(0)), DropReason::OtherServer);
}

#[test]
fn a_client_that_starts_again_keeps_its_address_and_no_other() {
    let mut server = server(draft());
    let own = lease(&mut server, at(0), 1);
    check(&mut server, &request(1).wants(own), MessageType::Ack, own);
    check(&mut server, &request(1).wants(address(0, 19)), MessageType::Nak, NONE);
    check(&mut server, &request(1).wants(Ipv4Addr::new(192, 0, 2, 1)), MessageType::Nak, NONE);
    check(&mut server, &request(2).wants(address(0, 19)), MessageType::Nak, NONE);
    let mut modest = self::server(Draft { authoritative: false, ..draft() });
    let unknown = request(2).wants(address(0, 19));
    assert_eq!(unknown.dropped(&mut modest, at(0)), DropReason::UnknownLease);
}

#[test]
fn a_client_that_renews_or_rebinds_is_answered_at_its_address() {
    let mut server = server(draft());
    let own = lease(&mut server, at(0), 1);
    for ask in [request(1).has(own).unicast(), request(1).has(own)] {
        let (verdict, octets) = ask.to(&mut server, at(9));
        let Verdict::Settle(settlement, Some(to)) = verdict else { panic!("{verdict:?}") };
        assert_eq!(to, Destination::Unicast(SocketAddrV4::new(own, 68)));
        assert_eq!(read(&octets).ciaddr(), own);
        server.settled(at(9), settlement.ticket, true);
    }
    check(&mut server, &request(2).has(own).unicast(), MessageType::Nak, NONE);
}

#[test]
fn what_is_given_back_is_remembered_and_comes_last_for_others() {
    let mut server = server(draft());
    let own = lease(&mut server, at(0), 1);
    let release = Ask::new(MessageType::Release, 1).has(own).of(OWN);
    let (verdict, _) = release.to(&mut server, at(1));
    settle(&mut server, at(1), verdict);
    assert_eq!(server.lease(own).map(|lease| lease.state), Some(LeaseState::Released));
    assert_ne!(lease(&mut server, at(2), 2), own);
    assert_eq!(lease(&mut server, at(3), 1), own);
    assert_eq!(
        Ask::new(MessageType::Release, 3).has(own).of(OWN).dropped(&mut server, at(3)),
        DropReason::UnknownLease
    );
}

#[test]
fn declined_addresses_are_given_to_nobody_and_many_raise_an_alarm() {
    let mut server = server(draft());
    for mac in 1..=3 {
        let own = lease(&mut server, at(0), mac);
        let decline = Ask::new(MessageType::Decline, mac).wants(own).of(OWN);
        let (verdict, _) = decline.to(&mut server, at(1));
        settle(&mut server, at(1), verdict);
        assert!(server.declined().contains(&own));
        assert_ne!(lease(&mut server, at(1), mac), own);
    }
    assert!(matches!(server.alarms()[..], [Alarm::Declines { declined: 3, .. }]));
}

#[test]
fn inform_is_answered_without_an_address_and_without_times() {
    let mut server = server(draft());
    let inform = Ask::new(MessageType::Inform, 1).has(address(0, 99)).with(code::PARAMETERS, &[3]);
    let (verdict, octets) = inform.to(&mut server, at(0));
    assert_eq!(verdict, Verdict::Reply(Destination::Unicast(SocketAddrV4::new(address(0, 99), 68))));
    let reply = read(&octets);
    assert_eq!((reply.yiaddr(), reply.lease_seconds()), (NONE, None));
    assert_eq!(reply.option(code::ROUTERS).as_deref(), Some(&OWN.octets()[..]));
    assert!(!reply.has(code::RENEWAL_SECONDS) && server.leases().next().is_none());
    // Past the relay agent, and so without what that said; an address of another link may be anybody's.
    let circuit = agent::write(&[(agent::CIRCUIT_ID, b"r1")]);
    for (own, to) in [
        (address(1, 99), Destination::Unicast(SocketAddrV4::new(address(1, 99), 68))),
        (Ipv4Addr::new(192, 0, 2, 1), Destination::Relay(SocketAddrV4::new(address(1, 1), 67))),
    ] {
        let inform = Ask::new(MessageType::Inform, 1).has(own).by(address(1, 1)).with(code::AGENT, &circuit);
        let (verdict, octets) = inform.to(&mut server, at(0));
        assert_eq!(verdict, Verdict::Reply(to));
        assert_eq!(read(&octets).has(code::AGENT), matches!(to, Destination::Relay(_)));
    }
}

#[test]
fn options_come_in_the_order_asked_for_and_what_was_sent_comes_back() {
    let mut server = server(draft());
    let circuit = agent::write(&[(agent::CIRCUIT_ID, b"r1")]);
    let ask = Ask::discover(1)
        .by(address(1, 1))
        .with(code::PARAMETERS, &[6, 3, 1])
        .with(code::CLIENT_ID, &[0, 7])
        .with(code::AGENT, &circuit);
    let (verdict, octets) = ask.to(&mut server, at(0));
    assert_eq!(verdict, Verdict::Reply(Destination::Relay(SocketAddrV4::new(address(1, 1), 67))));
    let codes: Vec<u8> = read(&octets).options().map(|(code, _)| code).collect();
    // The mask goes before the routers whatever the client says: RFC 2132 §3.3.
    assert_eq!(codes, [53, 54, 51, 58, 59, 1, 6, 3, 61, 82]);
    let seconds = |code| read(&octets).option(code).map(|value| value.to_vec());
    let of = |seconds: u32| Some(seconds.to_be_bytes().to_vec());
    assert_eq!((seconds(51), seconds(58), seconds(59)), (of(14_400), of(7200), of(12_600)));
    assert_eq!(seconds(82), Some(circuit));
    assert!(octets.len() >= 300);
}

#[test]
fn what_is_sent_back_takes_no_room_from_what_every_answer_says() {
    let long = agent::write(&[(agent::CIRCUIT_ID, &[7; 251])]);
    let by = |ask: Ask| ask.by(address(1, 1)).with(code::CLIENT_ID, &[9; 255]).with(code::AGENT, &long);
    let mut server = server(draft());
    let offer = by(Ask::discover(1)).answer(&mut server, at(0));
    let nak = by(request(1)).wants(address(0, 200)).answer(&mut server, at(0));
    for (answer, kind) in [(&offer, MessageType::Offer), (&nak, MessageType::Nak)] {
        let answer = read(answer);
        assert_eq!((answer.kind(), answer.server_id()), (Some(kind), Some(OWN)));
        assert_eq!(answer.client_id().as_deref(), Some(&[9; 255][..]));
        assert_eq!(answer.option(code::AGENT).as_deref(), Some(&long[..]));
    }
    assert_eq!(read(&offer).lease_seconds(), Some(14_400));
    // What is as long as no answer may be is left out, and what is no address is not sent back.
    let huge = Ask::discover(2).with(code::SUBNET_SELECTION, &[1; 1100]).answer(&mut server, at(0));
    assert_eq!(
        (read(&huge).kind(), read(&huge).has(code::SUBNET_SELECTION)),
        (Some(MessageType::Offer), false)
    );
}

#[test]
fn an_offer_goes_to_the_hardware_address_unless_broadcasts_are_asked_for() {
    let mut server = server(draft());
    let to = |ask: Ask, server: &mut Server| match ask.to(server, at(0)).0 {
        Verdict::Reply(to) => to,
        verdict => panic!("{verdict:?}"),
    };
    assert!(matches!(to(Ask::discover(1), &mut server), Destination::Link { .. }));
    assert_eq!(to(Ask::discover(1).broadcast_bit(), &mut server), Destination::Broadcast);
}

#[test]
fn reservations_are_found_by_what_clients_are_known_by() {
    let mac = HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]);
    let mut draft = draft();
    draft.subnets[1].reservations = vec![
        Reservation::new(Match::Hardware(mac), address(1, 101)),
        Reservation::new(Match::ClientId([0, 7].into()), address(1, 102)),
        Reservation::new(Match::CircuitId((*b"r1").into()), address(1, 103)),
    ];
    let mut server = server(draft);
    let by = |mac| Ask::discover(mac).by(address(1, 1));
    let circuit = agent::write(&[(agent::CIRCUIT_ID, b"r1")]);
    check(&mut server, &by(1), MessageType::Offer, address(1, 101));
    check(&mut server, &by(2).with(code::CLIENT_ID, &[0, 7]), MessageType::Offer, address(1, 102));
    check(&mut server, &by(3).with(code::AGENT, &circuit), MessageType::Offer, address(1, 103));
    check(&mut server, &by(4).wants(address(1, 101)), MessageType::Offer, address(1, 10));
}

#[test]
fn the_pool_of_a_class_is_for_its_clients_alone() {
    let mut draft = draft();
    draft.classes = vec![Class::new("phones", "vendor-class starts 'phone'".parse().expect("a term"))];
    draft.subnets[0].pools.push(Pool::new(address(0, 50), address(0, 50), Some("phones".into())));
    let mut server = server(draft);
    check(&mut server, &Ask::discover(1).wants(address(0, 50)), MessageType::Offer, address(0, 10));
    let phone = Ask::discover(2).with(code::VENDOR_CLASS, b"phone 7");
    check(&mut server, &phone, MessageType::Offer, address(0, 50));
}

#[test]
fn a_flood_of_strangers_behind_one_port_does_not_empty_a_pool() {
    for per_port in [0, 3] {
        let mut draft = draft();
        draft.limits.leases_per_port = per_port;
        let mut server = server(draft);
        let offers = (0..500).filter(|&mac| {
            matches!(Ask::discover(1000 + mac).by(address(1, 1)).to(&mut server, at(0)).0, Verdict::Reply(_))
        });
        assert_eq!(offers.count(), if per_port == 0 { 5 } else { 3 });
        let circuit = agent::write(&[(agent::CIRCUIT_ID, b"r2")]);
        let other = Ask::discover(1).by(address(1, 1)).with(code::AGENT, &circuit);
        assert!(matches!(other.to(&mut server, at(0)).0, Verdict::Reply(_)));
        // What nobody takes is free again.
        server.expire(at(31), 100);
        assert_eq!(server.offers().len(), 0);
    }
}

#[test]
fn one_hardware_address_is_heard_so_often_in_a_second() {
    let mut draft = draft();
    draft.limits.packets_per_second = 10;
    let mut server = server(draft);
    let heard = |server: &mut Server, seconds| {
        (0..30).filter(|_| !matches!(Ask::discover(1).to(server, at(seconds)).0, Verdict::Drop(_))).count()
    };
    assert_eq!((heard(&mut server, 0), heard(&mut server, 1)), (10, 10));
}

#[test]
fn an_address_that_is_being_forgotten_is_given_to_nobody_until_that_is_written() {
    let mut draft = draft();
    draft.subnets[0].pools = vec![Pool::new(address(0, 10), address(0, 10), None)];
    draft.limits.decline_hold = Duration::from_secs(60);
    let mut server = server(draft);
    let own = lease(&mut server, at(0), 1);
    let (verdict, _) = Ask::new(MessageType::Decline, 1).wants(own).of(OWN).to(&mut server, at(1));
    settle(&mut server, at(1), verdict);
    let forgetting = server.expire(at(70), 10).pop().expect("the row is deleted");
    assert_eq!(Ask::discover(2).dropped(&mut server, at(70)), DropReason::NoAddress);
    server.settled(at(70), forgetting.ticket, false);
    assert_eq!(Ask::discover(2).dropped(&mut server, at(70)), DropReason::NoAddress);
    let again = server.expire(at(81), 10).pop().expect("it is tried again");
    server.settled(at(81), again.ticket, true);
    assert_eq!(lease(&mut server, at(82), 2), own);
}

#[test]
fn what_is_offered_while_its_last_lease_is_being_ended_is_neither_given_nor_refused_meanwhile() {
    for written in [true, false] {
        let mut draft = draft();
        draft.subnets[0].pools = vec![Pool::new(address(0, 10), address(0, 10), None)];
        let mut server = server(draft);
        let own = lease(&mut server, at(0), 1);
        let release = Ask::new(MessageType::Release, 1).has(own).of(OWN);
        let Verdict::Settle(settlement, None) = release.to(&mut server, at(1)).0 else { panic!("no change") };
        check(&mut server, &Ask::discover(2), MessageType::Offer, own);
        let select = request(2).wants(own).of(OWN);
        assert_eq!(select.dropped(&mut server, at(1)), DropReason::Unsettled);
        server.settled(at(1), settlement.ticket, written);
        match written {
            true => check(&mut server, &select, MessageType::Ack, own),
            false => check(&mut server, &select, MessageType::Nak, NONE),
        }
    }
}

#[test]
fn a_server_is_called_by_the_address_that_its_clients_reach() {
    let mut server = server(draft());
    let offer = Ask::discover(1).answer(&mut server, at(0));
    assert_eq!(read(&offer).server_id(), Some(OWN));
    // RFC 5107 §4: renewals are to come by the relay agent too.
    let here = address(1, 1);
    let value = agent::write(&[(agent::SERVER_ID_OVERRIDE, &here.octets())]);
    let by = |ask: Ask| ask.by(here).with(code::AGENT, &value);
    let offer = by(Ask::discover(2)).answer(&mut server, at(0));
    assert_eq!(read(&offer).server_id(), Some(here));
    let offered = read(&offer).yiaddr();
    check(&mut server, &by(request(2).wants(offered).of(here)), MessageType::Ack, offered);
    check(&mut server, &by(request(2).has(offered)), MessageType::Ack, offered);
}

#[test]
fn an_answer_repeats_what_table_3_says_and_nothing_else_of_its_request() {
    let mut server = server(draft());
    let own = lease(&mut server, at(0), 1);
    let relayed = Ask::discover(2).by(address(1, 1)).with(code::MESSAGE_OCTETS_MAX, &[5, 220]);
    let renewal = request(1).has(own).with(code::PARAMETERS, &[3]);
    for (ask, ciaddr) in [(relayed, NONE), (Ask::discover(1).broadcast_bit(), NONE), (renewal, own)] {
        let (asked, answer) = (ask.octets(), ask.answer(&mut server, at(1)));
        let (asked, answer) = (read(&asked), read(&answer));
        assert_eq!((answer.op(), answer.hops(), answer.secs()), (2, 0, 0));
        assert_eq!((answer.xid(), answer.hardware()), (asked.xid(), asked.hardware()));
        assert_eq!((answer.flags(), answer.giaddr()), (asked.flags(), asked.giaddr()));
        assert_eq!((answer.ciaddr(), answer.siaddr()), (ciaddr, NONE));
        for code in [code::REQUESTED_ADDRESS, code::PARAMETERS, code::MESSAGE_OCTETS_MAX] {
            assert!(!answer.has(code), "{code}");
        }
    }
}

#[test]
fn an_address_is_chosen_in_the_order_of_the_standard() {
    let mut server = server(draft());
    // What it asks for, when that is free; else one that nobody had.
    check(&mut server, &Ask::discover(1).wants(address(0, 15)), MessageType::Offer, address(0, 15));
    check(&mut server, &Ask::discover(2).wants(address(0, 15)), MessageType::Offer, address(0, 10));
    check(&mut server, &Ask::discover(3).wants(address(1, 15)), MessageType::Offer, address(0, 11));
    // What it has goes before what it asks for, and so does what it had.
    let own = lease(&mut server, at(1), 4);
    check(&mut server, &Ask::discover(4).wants(address(0, 18)), MessageType::Offer, own);
    server.expire(at(20_000), 100);
    assert_eq!(server.lease(own).map(|lease| lease.state), Some(LeaseState::Expired));
    let answer = Ask::discover(4).wants(address(0, 18)).answer(&mut server, at(20_000));
    assert_eq!(read(&answer).yiaddr(), own);
}

#[test]
fn what_is_offered_is_offered_to_nobody_else() {
    let mut server = server(draft());
    let mut offered: Vec<Ipv4Addr> = (1..=5)
        .map(|mac| read(&Ask::discover(mac).wants(address(0, 15)).answer(&mut server, at(0))).yiaddr())
        .collect();
    offered.sort_unstable();
    offered.dedup();
    assert_eq!(offered.len(), 5);
    // To the same client it is the same again.
    check(&mut server, &Ask::discover(1), MessageType::Offer, address(0, 15));
}

#[test]
fn a_lease_lasts_as_long_as_the_client_asks_within_bounds() {
    let mut draft = draft();
    let times = &mut draft.subnets[0].lease;
    (times.min, times.default, times.max) = (60, 600, 6000);
    let mut server = server(draft);
    for (mac, (wanted, given)) in
        (1..).zip([(None, 600), (Some(100), 100), (Some(1), 60), (Some(9000), 6000)])
    {
        let ask = Ask::discover(mac)
            .maybe(code::LEASE_SECONDS, wanted.map(u32::to_be_bytes).as_ref().map(|s| &s[..]));
        let offer = ask.answer(&mut server, at(0));
        assert_eq!(read(&offer).lease_seconds(), Some(given), "{wanted:?}");
        let (renewal, rebinding) = (read(&offer).renewal_seconds(), read(&offer).rebinding_seconds());
        assert_eq!((renewal, rebinding), (Some(given / 2), Some(given * 7 / 8)));
    }
}

#[test]
fn clients_are_told_apart_by_their_identifier_and_else_by_their_hardware() {
    let mut server = server(draft());
    let of = |mac, id: &[u8]| Ask::discover(mac).with(code::CLIENT_ID, id);
    let addresses = [of(1, &[0, 1]), of(1, &[0, 2]), of(2, &[0, 1]), Ask::discover(1)]
        .map(|ask| read(&ask.answer(&mut server, at(0))).yiaddr());
    assert_eq!(addresses, [address(0, 10), address(0, 11), address(0, 10), address(0, 12)]);
}

#[test]
fn a_refusal_is_broadcast_by_the_server_or_by_the_relay_agent() {
    let mut server = server(draft());
    let foreign = request(1).wants(Ipv4Addr::new(192, 0, 2, 1)).with(code::CLIENT_ID, &[0, 7]);
    let (verdict, octets) = foreign.to(&mut server, at(0));
    assert_eq!(verdict, Verdict::Reply(Destination::Broadcast));
    assert_eq!((read(&octets).kind(), read(&octets).broadcast()), (Some(MessageType::Nak), false));
    let (verdict, octets) = foreign.by(address(1, 1)).to(&mut server, at(0));
    assert_eq!(verdict, Verdict::Reply(Destination::Relay(SocketAddrV4::new(address(1, 1), 67))));
    let nak = read(&octets);
    assert!(nak.kind() == Some(MessageType::Nak) && nak.broadcast());
    let codes: Vec<u8> = nak.options().map(|(code, _)| code).collect();
    assert_eq!(codes, [code::MESSAGE_TYPE, code::SERVER_ID, code::REASON, code::CLIENT_ID]);
    assert_eq!((nak.ciaddr(), nak.yiaddr(), nak.siaddr()), (NONE, NONE, NONE));
}
