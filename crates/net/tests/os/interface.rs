//! Changes of an interface as the kernel sees them, in a network namespace.

use std::process::Command;
use std::time::Duration;

use doorway_net::interface::{InterfaceAddress, InterfaceChange, Route};

use super::link::in_namespace;

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_interface_is_given_what_it_is_to_have_and_loses_it_again() {
    in_namespace("interface::changes_inside");
}

#[test]
#[ignore = "runs in a namespace of its own"]
fn changes_inside() {
    let (runtime, world) = super::start();
    let assign = |change: InterfaceChange| world.assign("l1", &change);
    ip("link set l1 down");
    assign(InterfaceChange::SetUp).unwrap();
    assert!(ip("link show l1").contains(",UP"), "{}", ip("link show l1"));
    assign(InterfaceChange::SetMtu(1400)).unwrap();
    assert!(ip("link show l1").contains("mtu 1400"));

    let address = InterfaceAddress {
        address: "10.88.0.7".parse().unwrap(),
        prefix: 24,
        broadcast: Some("10.88.0.255".parse().unwrap()),
    };
    for seconds in [100, 5000] {
        let life = Some(Duration::from_secs(seconds));
        assign(InterfaceChange::AddAddress { address, life }).unwrap();
        let told = ip("-4 addr show l1");
        assert!(told.contains("inet 10.88.0.7/24 brd 10.88.0.255"), "{told}");
        assert!(
            [0, 1].iter().any(|less| told.contains(&format!("valid_lft {}sec", seconds - less))),
            "{told}"
        );
    }
    let router = Some("10.88.0.1".parse().unwrap());
    let source = Some("10.88.0.7".parse().unwrap());
    let destination = "0.0.0.0".parse().unwrap();
    let default = Route { destination, prefix: 0, router, source, metric: 100 };
    let far = Route { destination: "10.99.0.1".parse().unwrap(), prefix: 32, router: None, ..default };
    for route in [default, default, far] {
        assign(InterfaceChange::AddRoute(route)).unwrap();
    }
    let told = ip("route show");
    assert!(told.contains("default via 10.88.0.1 dev l1 proto dhcp src 10.88.0.7 metric 100"), "{told}");
    assert!(told.contains("10.99.0.1 dev l1 proto dhcp scope link src 10.88.0.7 metric 100"), "{told}");
    let beyond = Route { router: Some("172.16.0.1".parse().unwrap()), source: None, ..default };
    assign(InterfaceChange::AddRoute(beyond)).unwrap_err();

    // Twice, as it happens when somebody else was faster.
    for _ in 0..2 {
        assign(InterfaceChange::RemoveRoute(default)).unwrap();
        assign(InterfaceChange::RemoveRoute(far)).unwrap();
        assign(InterfaceChange::RemoveAddress(address)).unwrap();
    }
    assert!(!ip("route show").contains("dhcp"));
    assert!(!ip("addr show l1").contains("inet 10.88"));
    assign(InterfaceChange::AddAddress { address, life: None }).unwrap();
    assert!(ip("addr show l1").contains("valid_lft forever"));
    assert!(world.assign("l9", &InterfaceChange::SetUp).is_err());
    drop(runtime);
}
