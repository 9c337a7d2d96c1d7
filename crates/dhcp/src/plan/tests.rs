//! Plans that hold and plans that do not; who belongs to a class.

use super::*;
use crate::wire::{Agent, HardwareAddress, Message, code};

fn draft(network: &str, pools: &[&str]) -> Draft {
    let mut subnet = Subnet::new(network.parse().expect("a network"));
    subnet.pools = pools.iter().map(|pool| pool.parse().expect("a pool")).collect();
    Draft { subnets: vec![subnet], ..Draft::default() }
}

/// Checks that a draft is refused with this word in the reason.
#[track_caller]
fn check(draft: Draft, word: &str) {
    let fault = Plan::new(draft).expect_err(word);
    assert!(fault.to_string().contains(word), "{fault}");
}

#[test]
fn plans_that_contradict_themselves_are_refused() {
    check(draft("10.0.0.0/24", &["10.0.1.1-10.0.1.9"]), "not within");
    check(draft("10.0.0.0/24", &["10.0.0.9-10.0.0.1"]), "not within");
    check(draft("10.0.0.0/24", &["10.0.0.1-10.0.0.9", "10.0.0.9-10.0.0.12"]), "overlap");
    check(draft("10.0.0.0/24", &["10.0.0.255-10.0.0.255"]), "no address of a host");
    let mut two = draft("10.0.0.0/8", &[]);
    two.subnets.push(Subnet::new("10.1.0.0/16".parse().expect("a network")));
    check(two, "overlap");
    let mut times = draft("10.0.0.0/24", &[]);
    times.subnets[0].lease.min = 0;
    check(times, "do not ascend");
    let mut times = draft("10.0.0.0/24", &[]);
    times.subnets[0].lease.renewal_permille = 900;
    check(times, "T1");
    let mut classes = draft("10.0.0.0/24", &[]);
    classes.subnets[0].pools =
        vec![Pool::new(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 9), Some("x".into()))];
    check(classes, "no class");
    let mac = HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]);
    let mut known = draft("10.0.0.0/24", &[]);
    known.subnets[0].reservations = vec![Reservation::new(Match::Hardware(mac), Ipv4Addr::new(10, 0, 1, 1))];
    check(known.clone(), "is not of");
    known.subnets[0].reservations =
        vec![Reservation::new(Match::Hardware(mac), Ipv4Addr::new(10, 0, 0, 1)); 2];
    check(known, "two reservations");
    let mut long = draft("10.0.0.0/24", &[]);
    long.options = OptionSet::default().with(43, vec![0; OPTIONS_OCTETS_MAX + 1]);
    check(long, "octets");
    check(
        Draft { subnets: vec![Subnet::new(Network::new(Ipv4Addr::LOCALHOST, 32)); 5000], ..Draft::default() },
        "more than",
    );
}

#[test]
fn addresses_find_their_subnet_and_pool() {
    let mut draft = draft("10.0.0.0/24", &["10.0.0.0-10.0.0.9", "10.0.0.100-10.0.0.255"]);
    draft.subnets.push(Subnet::new("10.0.2.0/23".parse().expect("a network")));
    let plan = Plan::new(draft).expect("a plan");
    let of = |last: [u8; 2]| {
        let address = Ipv4Addr::new(10, 0, last[0], last[1]);
        let subnet = plan.subnet_of(address);
        (subnet, subnet.and_then(|subnet| plan.subnets()[subnet].pool_of(address)))
    };
    // Neither the network's own address nor its broadcast address is in a pool.
    assert_eq!(of([0, 0]), (Some(0), None));
    assert_eq!(of([0, 1]), (Some(0), Some(0)));
    assert_eq!(of([0, 10]), (Some(0), None));
    assert_eq!(of([0, 254]), (Some(0), Some(1)));
    assert_eq!(of([0, 255]), (Some(0), None));
    assert_eq!(of([1, 1]), (None, None));
    assert_eq!(of([3, 255]), (Some(1), None));
}

/// Options of a PXE client behind a relay agent.
fn client() -> Vec<u8> {
    let mut octets = vec![0; 240];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[24..28].copy_from_slice(&[10, 1, 0, 1]);
    octets[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
    octets[236..240].copy_from_slice(&crate::wire::message::MAGIC_COOKIE);
    for (number, value) in [
        (code::MESSAGE_TYPE, &[1][..]),
        (code::VENDOR_CLASS, b"PXEClient:Arch:00007"),
        (code::ARCHITECTURE, &[0, 7]),
        (code::USER_CLASS, b"\x04iPXE\x03lab"),
        (code::MESSAGE_OCTETS_MAX, &[5, 220]),
    ] {
        octets.extend_from_slice(&[number, value.len() as u8]);
        octets.extend_from_slice(value);
    }
    octets.push(code::END);
    octets
}

#[test]
fn expressions_tell_who_belongs_to_a_class() {
    let octets = client();
    let message = Message::parse(&octets).expect("a message");
    let agent = Agent::parse(vec![1, 2, b'r', b'1']).expect("an option 82");
    for (text, holds) in [
        ("arch == 7", true),
        ("arch == 0x0007", true),
        ("arch != 7", false),
        ("not arch == 0", true),
        ("vendor-class starts 'PXEClient'", true),
        ("vendor-class == \"PXEClient\"", false),
        ("option[60].text starts 'PXE'", true),
        ("option[vendor-class] starts 0x505845", true),
        ("option[57] == 1500", true),
        ("option[61]", false),
        ("option[61].exists or option[93].exists", true),
        ("option[93] exists", true),
        ("user-class == 'iPXE'", true),
        ("user-class == 'lab'", true),
        ("user-class == 'iP'", false),
        ("mac starts 52:54:00", true),
        ("mac == 52:54:00:00:00:02", false),
        ("giaddr == 10.1.0.1", true),
        ("giaddr in 10.1.0.0/16 and circuit-id == 'r1'", true),
        ("remote-id", false),
        ("(arch == 0 or arch == 7) and not (arch == 7 and user-class == 'none')", true),
        ("arch == 0 and arch == 1 or arch == 7", true),
    ] {
        let expression: Expression = text.parse().expect(text);
        assert_eq!(expression.holds(&Facts { message: &message, agent: Some(&agent) }), holds, "{text}");
    }
    let circuit: Expression = "circuit-id == 'r1'".parse().expect("an expression");
    assert!(!circuit.holds(&Facts { message: &message, agent: None }));
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    for (text, at) in [
        ("", 0),
        ("arch ==", 7),
        ("arch == seven", 13),
        ("arch == 7 arch", 14),
        ("(arch == 7", 10),
        ("nothing == 7", 7),
        ("vendor-class == 'x", 16),
        ("arch in 10.0.0.0/8", 18),
        ("giaddr in all", 13),
        ("and", 3),
        ("option[300] == 1", 11),
        ("vendor-class ~ 'x'", 13),
    ] {
        let refused = text.parse::<Expression>().expect_err(text);
        assert_eq!(refused.at, at, "{text}: {refused}");
    }
    assert!("not ".repeat(40).parse::<Expression>().is_err());
    assert!("(".repeat(3000).parse::<Expression>().is_err());
}
