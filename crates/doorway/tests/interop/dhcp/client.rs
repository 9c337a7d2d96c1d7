//! Our client against servers and a relay agent of other people.

use serde_json::Value;

use super::peers::{Lease, Maker};
use super::support::{DOORWAY, Host};
use crate::dns::peer::wait;
use crate::folder::Folder;
use crate::server::Setup;

/// A host with a server and one that is to have an address, on one link; `None` where there can be no such hosts.
fn two() -> Option<(Host, Host)> {
    let [server, client] = Host::several()?;
    server.link("s0", "10.9.0.1/24", &client, "c0", "");
    Some((server, client))
}

fn address(host: &Host, interface: &str) -> String {
    let own = host.addresses(interface);
    assert_eq!(own.len(), 1, "{own:?}");
    own[0].split_once('/').unwrap().0.to_owned()
}

#[test]
fn an_address_is_taken_renewed_and_given_back_with_every_server() {
    let Some((server, client)) = two() else { return };
    for maker in Maker::ALL {
        let folder = Folder::new();
        let _running = maker.start(&server, &folder, "s0");
        let told = client.doorway(&folder, &["dhcp", "client", "c0", "--apply", "--once"]).done();
        assert!(told.contains("bound to 10.9.0."), "{maker:?}: {told}");
        let own = address(&client, "c0");
        assert_eq!(client.addresses("c0"), [format!("{own}/24")], "{maker:?}");
        if maker != Maker::Dnsmasq {
            assert!(client.ip(&["route"]).contains("default via 10.9.0.1 dev c0"), "{maker:?}");
        }
        let held = || maker.lease(&folder, &own) == Lease::Held;
        wait(held, || format!("{maker:?} did not write down that {own} is held"));
        let told = client.doorway(&folder, &["ipconfig", "/renew", "c0"]).done();
        assert!(told.contains(&own), "{maker:?} gave another address: {told}");
        client.doorway(&folder, &["ipconfig", "/release", "c0"]).done();
        assert!(client.addresses("c0").is_empty(), "{maker:?}: the address stayed");
        let free = || maker.lease(&folder, &own) == Lease::Free;
        wait(free, || format!("{maker:?} did not hear that {own} is free"));
    }
}

#[test]
fn a_lease_is_renewed_when_the_server_wants_it_and_given_back_at_the_end() {
    let Some((server, client)) = two() else { return };
    for maker in [Maker::Kea, Maker::Isc] {
        let folder = Folder::new();
        let _running = maker.start(&server, &folder, "s0");
        let words = ["--data", "data", "dhcp", "client", "c0", "--apply", "--release"];
        let held = client.start(&folder, DOORWAY, &words);
        held.until_it_says("bound to 10.9.0.", 3);
        let own = address(&client, "c0");
        assert!(held.log().contains("RENEWING"), "{maker:?}: {}", held.log());
        assert!(!held.log().contains("REBINDING"), "{maker:?}: {}", held.log());
        let log = held.interrupt();
        assert!(log.contains(&format!("{own} was given back")), "{maker:?}: {log}");
        assert!(client.addresses("c0").is_empty(), "{maker:?}: the address stayed");
        let free = || maker.lease(&folder, &own) == Lease::Free;
        wait(free, || format!("{maker:?} did not hear that {own} is free"));
    }
}

#[test]
fn the_program_holds_an_address_and_renews_it_when_asked() {
    let Some((server, client)) = two() else { return };
    let folder = Folder::new();
    let _running = Maker::Dnsmasq.start(&server, &folder, "s0");
    let mut enter = client.enter();
    enter.env_clear();
    let setup = Setup::new()
        .key("dhcp.client.interfaces", "[\"c0\"]")
        .key("dhcp.client.apply", "true")
        .key("dhcp.client.release", "true");
    let doorway = setup.launched_by(enter).start();
    wait(|| !client.addresses("c0").is_empty(), || doorway.log());
    let own = address(&client, "c0");
    let told = doorway.doorway(&["--json", "ipconfig", "/renew", "c0"]).done();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((told["state"].as_str(), told["lease"]["address"].as_str()), (Some("BOUND"), Some(&*own)));
    assert_eq!(told["lease"]["server"], "10.9.0.1");
    doorway.stop();
    assert!(client.addresses("c0").is_empty(), "the address stayed");
    let free = || Maker::Dnsmasq.lease(&folder, &own) == Lease::Free;
    wait(free, || format!("dnsmasq did not hear that {own} is free"));
}

#[test]
fn discover_lists_two_servers_of_one_link_and_takes_no_address() {
    let Some([switch, one, two, client]) = Host::several() else { return };
    switch.ip(&["link", "add", "br0", "type", "bridge"]);
    switch.ip(&["link", "set", "br0", "up"]);
    for (port, host, interface, address) in
        [("p1", &one, "s0", "10.9.0.1/24"), ("p2", &two, "s0", "10.9.0.2/24"), ("p3", &client, "c0", "")]
    {
        switch.link(port, "", host, interface, address);
        switch.ip(&["link", "set", port, "master", "br0"]);
    }
    let folder = Folder::new();
    let _first = Maker::Dnsmasq.start(&one, &folder, "s0");
    let _second = Maker::Isc.start(&two, &folder, "s0");
    let told = client.doorway(&folder, &["--json", "dhcp", "discover", "c0"]).done();
    let told: Value = serde_json::from_str(&told).unwrap();
    let offers = told["offers"].as_array().unwrap();
    let mut servers: Vec<_> = offers.iter().filter_map(|offer| offer["server"].as_str()).collect();
    servers.sort_unstable();
    assert_eq!(servers, ["10.9.0.1", "10.9.0.2"], "{told}");
    for offer in offers {
        assert_eq!(offer["prefix"], 24, "{offer}");
        assert_eq!(offer["options"]["subnet-mask"], "255.255.255.0", "{offer}");
        let offered = offer["address"].as_str().unwrap();
        assert_eq!(Maker::Dnsmasq.lease(&folder, offered), Lease::Free);
        assert_eq!(Maker::Isc.lease(&folder, offered), Lease::Free);
    }
    assert!(client.addresses("c0").is_empty());
}

#[test]
fn a_link_where_nobody_offers_an_address_is_a_failure() {
    let Some((_server, client)) = two() else { return };
    let folder = Folder::new();
    let ran = client.doorway(&folder, &["dhcp", "discover", "c0", "--wait", "1s"]);
    assert!(!ran.status.success() && ran.text().contains("nobody offers an address"), "{}", ran.text());
}

#[test]
fn an_address_is_had_and_renewed_through_the_relay_agent_of_isc() {
    let Some([server, relay, client]) = Host::several() else { return };
    server.link("s0", "10.7.0.1/24", &relay, "r1", "10.7.0.2/24");
    relay.link("r0", "10.8.0.1/24", &client, "c0", "");
    server.ip(&["route", "add", "10.8.0.0/24", "via", "10.7.0.2"]);
    relay.forward();
    let folder = Folder::new();
    let _running = Maker::Kea.start(&server, &folder, "s0");
    let words = ["-4", "-d", "-a", "--no-pid", "-id", "r0", "-iu", "r1", "10.7.0.1"];
    let agent = relay.start(&folder, "dhcrelay", &words);
    agent.until_it_says("Sending on   Socket/fallback", 1);
    let held =
        client.start(&folder, DOORWAY, &["--data", "data", "dhcp", "client", "c0", "--apply", "--release"]);
    // The first by way of the agent, the second straight to the server over the router.
    held.until_it_says("bound to 10.8.0.", 2);
    let own = address(&client, "c0");
    let log = held.interrupt();
    assert!(log.contains("RENEWING") && !log.contains("REBINDING"), "{log}");
    let free = || Maker::Kea.lease(&folder, &own) == Lease::Free;
    wait(free, || format!("Kea did not hear that {own} is free"));
}
