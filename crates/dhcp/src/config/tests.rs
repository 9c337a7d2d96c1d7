//! The defaults, and what follows from a network alone. What is said of wrong values is shown with a config file,
//! in the tests of the program.

use super::*;

#[test]
fn the_defaults_are_right_and_serve_no_interface() {
    let (config, wrong) = Config::read(&SECTION.defaults());
    assert_eq!(wrong, []);
    assert!(config.interfaces.is_empty() && config.subnets.is_empty());
    assert_eq!((config.lease, config.t1, config.t2), (Duration::from_secs(4 * 3600), 0.5, 0.875));
    assert_eq!(config.durability, Durability::Process);
}

#[test]
fn an_interface_alone_gives_out_the_upper_half_of_its_network() {
    for (address, prefix, network, first, last) in [
        ("192.168.1.1", 24, "192.168.1.0/24", "192.168.1.128", "192.168.1.254"),
        ("10.77.3.9", 16, "10.77.0.0/16", "10.77.128.0", "10.77.255.254"),
        ("192.0.2.5", 30, "192.0.2.4/30", "192.0.2.6", "192.0.2.6"),
    ] {
        let subnet = SubnetConfig::of_interface(address.parse().unwrap(), prefix);
        let ranges = subnet.ranges();
        let found = (
            subnet.network.to_string(),
            ranges[0].first.to_string(),
            ranges[0].last.to_string(),
            ranges.len(),
        );
        assert_eq!(found, (network.to_owned(), first.to_owned(), last.to_owned(), 1));
    }
}
