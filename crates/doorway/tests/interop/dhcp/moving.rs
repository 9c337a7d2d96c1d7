//! Leases that move between our server and those of other people, in the files of those. The client notices nothing.

use serde_json::Value;

use super::peers::{Lease, Maker};
use super::server::set_up;
use super::support::Host;
use crate::dns::peer::wait;
use crate::folder::Folder;
use crate::server::Setup;

/// An address that nobody would give to a client that does not ask for it: neither the first nor the last of the pool.
const ADDRESS: &str = "10.9.0.57";

/// A host with a server and one that has an address, on one link.
struct Site {
    folder: Folder,
    client: Host,
    server: Host,
}

impl Site {
    fn new() -> Option<Self> {
        let [server, client] = Host::several()?;
        server.link("s0", "10.9.0.1/24", &client, "c0", "");
        Some(Self { folder: Folder::new(), client, server })
    }

    /// Our server, with the pool that those of other people have.
    fn ours(&self) -> Setup {
        let subnet = "[{ network = \"10.9.0.0/24\", pools = [\"10.9.0.50-10.9.0.60\"] }]";
        let keys = [("dhcp.rogue_check", "\"off\""), ("dhcp.subnet", subnet)];
        set_up(&self.server, "10.9.0.1", &keys)
    }

    /// The client takes its address from whoever serves now.
    fn lease(&self, by: Identifier) {
        let words = ["dhcp", "client", "c0", "--apply", "--once", "--address", ADDRESS];
        let words = [&words[..], if by == Identifier::Hardware { &["--hardware-id"] } else { &[] }].concat();
        let told = self.client.doorway(&self.folder, &words).done();
        assert!(told.contains(&format!("bound to {ADDRESS}")), "{told}");
    }

    /// Whoever serves now knows the client and its address, without being told.
    fn is_known(&self, by: Identifier, whose: &str) {
        if by == Identifier::Hardware {
            let words = ["--json", "dhcp", "discover", "c0", "--wait", "2s"];
            let told = self.client.doorway(&self.folder, &words).done();
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!(told["offers"][0]["address"], ADDRESS, "{whose}: {told}");
        }
        self.folder.write("client.toml", format!("[dhcp.client]\nclient_id = \"{}\"\n", by.word()));
        let words = ["--config", "client.toml", "ipconfig", "/renew", "c0"];
        let told = self.client.doorway(&self.folder, &words).done();
        assert!(told.contains(ADDRESS) && !told.contains("refused"), "{whose}: {told}");
        assert_eq!(self.client.addresses("c0"), [format!("{ADDRESS}/24")], "{whose}");
    }
}

/// What the client is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identifier {
    /// Its hardware address.
    Hardware,
    /// A DUID of its own.
    Duid,
}

impl Identifier {
    const ALL: [Self; 2] = [Self::Hardware, Self::Duid];

    fn word(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Duid => "duid",
        }
    }
}

/// The addresses that our server has leased.
fn leased(told: &str) -> Vec<String> {
    let told: Value = serde_json::from_str(told).unwrap();
    let leases = told["leases"].as_array().unwrap();
    leases.iter().filter_map(|lease| lease["address"].as_str().map(str::to_owned)).collect()
}

/// Our server has given the address; it is exported while it runs, imported into an empty store, and read by the
/// other server, from which the client renews it.
fn check_export(maker: Maker, by: Identifier) {
    let Some(site) = Site::new() else { return };
    let running = site.ours().start();
    site.lease(by);
    let file = running.doorway(&["dhcp", "export", maker.format()]).done();
    assert!(file.contains(ADDRESS), "{maker:?}, {by:?}: {file}");
    running.stop();

    let empty = site.ours().file("leases", &file);
    empty.write_config();
    let told = empty.doorway(&["dhcp", "import", maker.format(), "leases"]).done();
    assert!(told.contains("1 leases"), "{maker:?}, {by:?}: {told}");
    let again = empty.start();
    assert_eq!(leased(&again.doorway(&["--json", "dhcp", "leases"]).done()), [ADDRESS], "{maker:?}");
    site.is_known(by, "we");
    again.stop();

    site.folder.write(maker.file(), &file);
    let other = maker.start(&site.server, &site.folder, "s0");
    site.is_known(by, &format!("{maker:?}, {by:?}: {}", other.log()));
    let held = || maker.lease(&site.folder, ADDRESS) == Lease::Held;
    wait(held, || format!("{maker:?} did not write down that {ADDRESS} is held"));
}

/// The other server has given the address, and its file is imported: our server goes on with it.
fn check_import(maker: Maker, by: Identifier) {
    let Some(site) = Site::new() else { return };
    let other = maker.start(&site.server, &site.folder, "s0");
    site.lease(by);
    let held = || maker.lease(&site.folder, ADDRESS) == Lease::Held;
    wait(held, || format!("{maker:?} did not write down that {ADDRESS} is held"));
    drop(other);
    let ours = site.ours();
    ours.write_config();
    let told = ours.doorway(&["dhcp", "import", maker.format(), &site.folder.word(maker.file())]).done();
    assert!(told.contains("1 leases"), "{maker:?}, {by:?}: {told}");
    let running = ours.start();
    site.is_known(by, "we");
    assert_eq!(leased(&running.doorway(&["--json", "dhcp", "leases"]).done()), [ADDRESS], "{maker:?}");
}

#[test]
fn leases_are_exported_while_we_serve_and_another_server_goes_on_with_them() {
    for maker in Maker::ALL {
        Identifier::ALL.into_iter().for_each(|by| check_export(maker, by));
    }
}

#[test]
fn leases_of_another_server_are_imported_and_their_clients_keep_them() {
    for maker in Maker::ALL {
        Identifier::ALL.into_iter().for_each(|by| check_import(maker, by));
    }
}
