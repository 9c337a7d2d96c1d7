//! What is kept over a restart, who the client is, what it sends, and who offers.

use doorway_base::UnixTime;

use super::super::identity::{Duid, hardware_client_id};
use super::super::record::file_name;
use super::super::{Binding, Discovery, Record};
use super::*;

fn binding(lease: &str) -> Binding {
    let octets = answer(&["ack", "10.0.0.7", "from", "10.0.0.1", "lease", lease], 7);
    Binding::read(&Message::parse(&octets).unwrap(), Some(SERVER), Instant::ZERO).unwrap()
}

#[test]
fn what_is_kept_is_read_back_and_no_part_of_it_is() {
    let record = Record { binding: binding("100"), obtained: UnixTime::from_secs(1_000_000) };
    let octets = record.write();
    assert_eq!(Record::read(&octets), Ok(record.clone()));
    let end = octets.iter().rposition(|&octet| octet == code::END).unwrap();
    for length in 0..end - 12 {
        assert!(Record::read(&octets[..length]).is_err(), "{length}");
    }
    let mut other = octets.clone();
    other[7] = 2;
    assert!(Record::read(&other).is_err());
    for (now, holds) in [(1_000_000, true), (1_000_099, true), (1_000_100, false), (5, true)] {
        assert_eq!(record.known(UnixTime::from_secs(now)).holds, holds, "{now}");
    }
    let ever = Record { binding: binding("ever"), ..record };
    assert!(ever.known(UnixTime::from_secs(u64::MAX)).holds);
}

#[test]
fn a_lease_is_gone_on_with_for_as_long_as_it_still_holds() {
    let record = Record { binding: binding("100"), obtained: UnixTime::from_secs(1000) };
    let now = Instant::ZERO + Duration::from_secs(7);
    let at = |seconds| record.resumed(now, UnixTime::from_secs(seconds));
    let resumed = at(1030).unwrap();
    assert_eq!(resumed.renews_at(), now + Duration::from_secs(20));
    assert_eq!(resumed.ends_at(), now + Duration::from_secs(70));
    assert_eq!(at(1060).unwrap().renews_at(), now, "T1 has passed");
    assert_eq!(at(1100), None);
    let mut session = Session::new(settings(), Random::new(1));
    session.handle(now, Input::Resume(at(1060).unwrap()));
    let sent = std::iter::from_fn(|| session.poll_output()).find_map(|output| match output {
        Output::Send { octets, .. } => Some(summary(&octets)),
        _ => None,
    });
    assert!(sent.is_some_and(|line| line.starts_with("DHCPREQUEST") && line.ends_with("wants 10.0.0.7")));
    let ever = Record { binding: binding("ever"), ..record };
    assert_eq!(ever.resumed(now, UnixTime::from_secs(u64::MAX)).unwrap().ends_at(), Instant::NEVER);
}

#[test]
fn a_file_is_named_after_its_interface_and_stays_in_its_folder() {
    for (interface, name) in [
        ("eth0", "client-eth0.lease"),
        ("eth0.5", "client-eth0.5.lease"),
        ("../x", "client-..%2fx.lease"),
        ("br:1", "client-br%3a1.lease"),
    ] {
        assert_eq!(file_name(interface), name);
    }
}

#[test]
fn a_client_identifier_holds_a_duid_and_the_end_of_the_hardware_address() {
    let duid = Duid::new([0xff; 16]);
    assert_eq!(duid.octets()[..2], [0, 4]);
    assert_eq!((duid.octets()[8], duid.octets()[10]), (0x4f, 0xbf), "a UUID of version 4");
    let hardware = HardwareAddress::ethernet([2, 0, 1, 2, 3, 4]);
    assert_eq!(duid.client_id(&hardware)[..5], [255, 1, 2, 3, 4]);
    assert_eq!(duid.client_id(&hardware)[5..], *duid.octets());
    assert_eq!(duid.client_id(&HardwareAddress::new(1, &[9]))[..5], [255, 0, 0, 0, 9]);
    assert_eq!(hardware_client_id(&hardware), [1, 2, 0, 1, 2, 3, 4]);
    assert_eq!(Duid::from_octets(duid.octets()), Some(duid));
    assert_eq!(Duid::from_octets(&[0, 4]), None);
    assert_eq!(Duid::from_octets(&[0; 131]), None);
}

#[test]
fn a_client_says_who_it_is_and_what_it_wants() {
    let settings = Settings {
        client_id: vec![255, 1],
        host_name: Some("laptop.home.arpa".to_owned()),
        vendor_class: Some("doorway".to_owned()),
        lease: Some(Duration::from_secs(20)),
        broadcast: true,
        ..settings()
    };
    let mut session = Session::new(settings, Random::new(1));
    session.handle(Instant::ZERO, Input::Start(None));
    let octets = std::iter::from_fn(|| session.poll_output()).find_map(|output| match output {
        Output::Send { octets, .. } => Some(octets),
        _ => None,
    });
    let octets = octets.unwrap();
    assert!(octets.len() >= MESSAGE_OCTETS_MIN);
    let message = Message::parse(&octets).unwrap();
    assert!(message.broadcast());
    assert_eq!(message.client_id().as_deref(), Some(&[255, 1][..]));
    assert_eq!(message.lease_seconds(), Some(20));
    assert_eq!(message.message_octets_max(), Some(1500));
    assert_eq!(message.vendor_class().as_deref(), Some(&b"doorway"[..]));
    assert_eq!(message.fqdn().unwrap().name, "laptop.home.arpa");
    assert_eq!(message.host_name(), None, "RFC 4702 §3.1: one of the two");
    let parameters = message.parameters().unwrap();
    let place = |number| parameters.iter().position(|found| *found == number).unwrap();
    assert!(place(code::CLASSLESS_ROUTES) < place(code::ROUTERS), "RFC 3442");
}

/// What a client sends next, if anything.
fn sent(session: &mut Session) -> Option<Vec<u8>> {
    std::iter::from_fn(|| session.poll_output()).fold(None, |last, output| match output {
        Output::Send { octets, .. } => Some(octets),
        _ => last,
    })
}

#[test]
fn a_client_says_who_it_is_in_every_message_and_what_it_wants_in_those_that_ask() {
    use MessageType::{Decline, Discover, Inform, Release, Request};
    let settings = Settings {
        client_id: vec![255, 1],
        lease: Some(Duration::from_secs(20)),
        choice: Choice::First,
        check: Check::Quick,
        ..settings()
    };
    let (own, none) = (Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::UNSPECIFIED);
    let (server, at) = (Ipv4Addr::new(10, 0, 0, 1), |seconds| Instant::ZERO + Duration::from_secs(seconds));
    // Kind, ciaddr, option 50, option 54: RFC 2131 §4.4.1 table 5, §4.3.2 table 4.
    let check = |octets: Option<Vec<u8>>, kind: MessageType, ciaddr, requested, server| -> u32 {
        let octets = octets.expect("a message");
        let message = Message::parse(&octets).unwrap();
        assert_eq!(message.kind(), Some(kind));
        let found = (message.ciaddr(), message.requested_address(), message.server_id());
        assert_eq!(found, (ciaddr, requested, server), "{kind:?}");
        let empty = [message.yiaddr(), message.siaddr(), message.giaddr()];
        assert_eq!((empty, message.flags(), message.hops()), ([none; 3], 0, 0), "{kind:?}");
        assert_eq!(message.client_id().as_deref(), Some(&[255, 1][..]), "{kind:?}");
        let asks = matches!(kind, Discover | Request | Inform);
        assert_eq!(message.lease_seconds().is_some(), asks && kind != Inform, "{kind:?}");
        for code in [code::PARAMETERS, code::MESSAGE_OCTETS_MAX] {
            assert_eq!(message.has(code), asks, "{kind:?}");
        }
        message.xid()
    };
    let said = |kind: &'static str| [kind, "10.0.0.7", "from", "10.0.0.1", "lease", "100"];
    let mut session = Session::new(settings.clone(), Random::new(1));
    session.handle(at(0), Input::Start(None));
    let xid = check(sent(&mut session), Discover, none, None, None);
    session.handle(at(1), Input::Message { octets: &answer(&said("offer"), xid), neighbour: None });
    assert_eq!(check(sent(&mut session), Request, none, Some(own), Some(server)), xid, "one exchange");
    session.handle(at(1), Input::Message { octets: &answer(&said("ack"), xid), neighbour: None });
    let mut other = sent(&mut session);
    assert_eq!(other, None);
    for seconds in [2, 3, 4] {
        session.handle(at(seconds), Input::Timeout);
        other = sent(&mut session);
        assert_eq!(other, None, "it asks its neighbours");
    }
    session.handle(at(51), Input::Timeout);
    assert_ne!(check(sent(&mut session), Request, own, None, None), xid, "RENEWING");
    session.handle(at(90), Input::Timeout);
    check(sent(&mut session), Request, own, None, None);
    session.handle(at(91), Input::Release);
    check(sent(&mut session), Release, own, None, Some(server));
    // After a restart, with a neighbour that has the address.
    let known = Known { address: own, server: Some(server), holds: true };
    let mut session = Session::new(settings.clone(), Random::new(1));
    session.handle(at(0), Input::Start(Some(known)));
    let xid = check(sent(&mut session), Request, none, Some(own), None);
    session.handle(at(0), Input::Message { octets: &answer(&said("ack"), xid), neighbour: None });
    assert_eq!(sent(&mut session), None);
    session.handle(at(0), Input::Arp(Heard { sender: SERVER, sender_address: own, target_address: own }));
    check(sent(&mut session), Decline, none, Some(own), Some(server));
    let mut session = Session::new(settings, Random::new(1));
    session.handle(at(0), Input::Inform(own));
    check(sent(&mut session), Inform, own, None, None);
}

#[test]
fn routes_come_from_option_121_and_else_from_option_3() {
    let routes = |options: &[(u8, &[u8])]| {
        let mut octets = vec![0; 600];
        let mut out = Writer::new(&mut octets);
        let mut head = Head::new(BOOTREPLY, HardwareAddress::ethernet(OWN), 7);
        head.yiaddr = Ipv4Addr::new(172, 16, 0, 7);
        let mut message = MessageWriter::new(&mut out, &head);
        message.option(code::MESSAGE_TYPE, &[MessageType::Ack as u8]);
        message.option(code::SERVER_ID, &[10, 0, 0, 1]);
        message.option(code::LEASE_SECONDS, &[0, 0, 0, 100]);
        options.iter().for_each(|(number, value)| message.option(*number, value));
        message.finish(MESSAGE_OCTETS_MIN);
        let binding = Binding::read(&Message::parse(out.written()).unwrap(), None, Instant::ZERO).unwrap();
        assert_eq!(binding.prefix(), 16, "the class of the address");
        binding.routes().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let router: (u8, &[u8]) = (code::ROUTERS, &[10, 0, 0, 1, 10, 0, 0, 2]);
    assert_eq!(routes(&[]), "");
    assert_eq!(routes(&[router]), "0.0.0.0/0 10.0.0.1");
    assert_eq!(routes(&[router, (code::CLASSLESS_ROUTES, &[8, 10, 10, 0, 0, 3])]), "10.0.0.0/8 10.0.0.3");
    assert_eq!(
        routes(&[router, (code::CLASSLESS_ROUTES, &[33, 1])]),
        "0.0.0.0/0 10.0.0.1",
        "malformed is absent"
    );
    assert_eq!(routes(&[(code::ROUTERS, &[0, 0, 0, 0])]), "");
}

#[test]
fn a_search_finds_every_server_once() {
    let mut search = Discovery::new(settings(), &mut Random::new(1));
    let message = search.message();
    let xid = Message::parse(&message).unwrap().xid();
    let offer =
        |address: &str, server: &str| answer(&["offer", address, "from", server, "lease", "100"], xid);
    assert!(search.take(&offer("10.0.0.7", "10.0.0.1"), Some(SERVER)));
    assert!(!search.take(&offer("10.0.0.7", "10.0.0.1"), Some(SERVER)), "it says it again");
    assert!(search.take(&offer("10.0.0.7", "10.0.0.1"), Some(OWN)), "somebody pretends to be it");
    assert!(search.take(&offer("10.0.0.8", "10.0.0.2"), None));
    assert!(!search.take(&answer(&["ack", "10.0.0.8", "from", "10.0.0.3", "lease", "9"], xid), None));
    assert!(!search.take(&answer(&["offer", "10.0.0.8", "from", "10.0.0.3", "lease", "9"], xid ^ 1), None));
    assert_eq!(search.found().len(), 3);
    for last in 0..=255u8 {
        search.take(&offer("10.0.0.7", &format!("10.0.1.{last}")), None);
    }
    assert_eq!(search.found().len(), super::super::OFFERS_MAX);
}
