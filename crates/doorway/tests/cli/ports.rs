//! Ports that somebody else holds.

use super::{Folder, printed};

const PORT: u16 = 23_017;
/// Services that would ask for ports of their own.
const OTHERS_OFF: &str =
    "[http]\nlisten = []\nlisten_tls = []\n\n[dns]\nlisten = []\nlisten_tls = []\n\n[mail]\ndomains = []\n";

#[test]
#[allow(clippy::disallowed_types, reason = "the stranger that holds the port")]
fn a_port_in_use_is_told_with_the_process_that_holds_it() {
    let folder = Folder::new("ports");
    folder.write("doorway.toml", &format!("[metrics]\nlisten = \"127.0.0.1:{PORT}\"\n\n{OTHERS_OFF}"));
    assert_eq!(printed(&folder.doorway(&["check"])), "ok  doorway.toml\nexit 0\n");
    let stranger = std::net::TcpListener::bind(("127.0.0.1", PORT)).unwrap();
    let told = printed(&folder.doorway(&["check"]));
    let pid = std::process::id();
    assert!(told.contains(&format!("tcp port {PORT} is in use")), "{told}");
    assert!(told.contains(&format!("(process {pid}) listens on 127.0.0.1:{PORT}")), "{told}");
    assert!(told.contains(" --> doorway.toml:2:10"), "{told}");
    assert!(told.ends_with("exit 2\n"), "{told}");
    drop(stranger);
}

#[test]
fn a_bound_that_the_system_does_not_grant_is_a_warning_that_strict_counts() {
    let folder = Folder::new("descriptors");
    folder.write(
        "doorway.toml",
        &format!("[limits]\nconnections = 10_000_000\n\n[metrics]\nlisten = []\n\n{OTHERS_OFF}"),
    );
    let told = printed(&folder.doorway(&["check"]));
    assert!(
        told.contains("too few for `limits.connections`") && told.contains("--> doorway.toml:2:15"),
        "{told}"
    );
    assert!(told.ends_with("1 warning\nexit 0\n"), "{told}");
    assert!(printed(&folder.doorway(&["check", "--strict"])).ends_with("exit 1\n"));
}
