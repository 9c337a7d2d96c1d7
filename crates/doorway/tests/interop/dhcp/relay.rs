//! Our relay agent between clients and servers of other people.

use super::peers::{Lease, Maker};
use super::support::{Host, Running};
use crate::dns::peer::wait;
use crate::folder::Folder;
use crate::server::{Server, Setup};

/// What `udhcpc` runs for each event: it tells the address that it was given.
const SCRIPT: &str = "#!/bin/sh\n[ \"$1\" != bound ] || echo \"given $ip by $serverid\"\n";

/// A client, an agent and a server on two links.
struct Site {
    agent: Server,
    server: Running,
    folder: Folder,
    client: Host,
    _hosts: [Host; 2],
}

impl Site {
    fn new(maker: Maker) -> Option<Self> {
        let [server, relay, client] = Host::several()?;
        server.link("s0", "10.7.0.1/24", &relay, "r1", "10.7.0.2/24");
        relay.link("r0", "10.8.0.1/24", &client, "c0", "");
        server.ip(&["route", "add", "10.8.0.0/24", "via", "10.7.0.2"]);
        relay.forward();
        let folder = Folder::new();
        let running = maker.start(&server, &folder, "s0");
        let mut enter = relay.enter();
        enter.env_clear();
        let setup =
            Setup::new().key("dhcp.relay.interfaces", "[\"r0\"]").key("dhcp.relay.servers", "[\"10.7.0.1\"]");
        let agent = setup.launched_by(enter).start();
        assert!(agent.table.contains("10.8.0.1:67 on r0"), "{}", agent.table);
        Some(Self { agent, server: running, folder, client, _hosts: [server, relay] })
    }
}

#[test]
fn udhcpc_gets_an_address_through_our_agent() {
    for maker in Maker::ALL {
        let Some(site) = Site::new(maker) else { return };
        site.folder.write("given.sh", SCRIPT);
        let script = site.folder.word("given.sh");
        site.client.run(site.folder.path(), "chmod", &["755", &script]).done();
        let words = ["-i", "c0", "-f", "-n", "-q", "-t", "5", "-s", &script];
        let ran = site.client.run(site.folder.path(), "udhcpc", &words);
        let told = ran.text();
        let given = told.lines().find_map(|line| line.strip_prefix("given "));
        let (own, by) = given.and_then(|given| given.split_once(" by ")).unwrap_or_else(|| {
            panic!("{maker:?}: {told}{}\n{}\n{}", ran.err, site.server.log(), site.agent.log())
        });
        assert!(own.starts_with("10.8.0."), "{maker:?} took it for a client of another link: {own}");
        assert_eq!(by, "10.7.0.1", "{maker:?}");
        let held = || maker.lease(&site.folder, own) == Lease::Held;
        wait(held, || format!("{maker:?} did not write down that {own} is held"));
        if maker == Maker::Dnsmasq {
            // It knows the circuit by what our option 82 says.
            assert!(site.server.log().contains("tags: marked"), "{}", site.server.log());
        }
        site.agent.stop();
    }
}

#[test]
fn dhclient_gets_an_address_through_our_agent() {
    for maker in Maker::ALL {
        let Some(site) = Site::new(maker) else { return };
        let leases = site.folder.word("dhclient.leases");
        let words =
            ["-4", "-d", "-1", "-cf", "/dev/null", "-lf", &leases, "--no-pid", "-sf", "/bin/true", "c0"];
        let client = site.client.start(&site.folder, "dhclient", &words);
        client.until_it_says("bound to 10.8.0.", 1);
        assert!(client.log().contains("DHCPACK of 10.8.0."), "{maker:?}: {}", client.log());
    }
}
