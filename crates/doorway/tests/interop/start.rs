//! A server that cannot start says why, once, and which key to change.

use std::fs::{self, Permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use crate::programs::Ran;
use crate::server::Setup;

/// Fails unless there is one failure, with all of `words` in it.
fn check_one(ran: &Ran, exit: i32, words: &[&str]) {
    assert_eq!(ran.status.code(), Some(exit), "{}", ran.err);
    let failures = ran.err.lines().filter(|line| line.starts_with("error")).count();
    assert_eq!(failures, 1, "{}", ran.err);
    for word in words {
        assert!(ran.err.contains(word), "`{word}` is not in\n{}", ran.err);
    }
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    assert!(!ran.text().contains("is up"), "{}", ran.text());
}

#[test]
fn a_tcp_port_in_use_is_told_with_its_key_and_its_holder() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    for key in ["http.listen", "http.listen_tls", "metrics.listen", "dns.listen"] {
        let ran = Setup::new().key(key, &format!("\"{address}\"")).refused();
        let (port, pid) = (address.port().to_string(), std::process::id().to_string());
        check_one(&ran, 1, &[&format!("tcp port {port} is in use"), key, &pid, "doorway.toml"]);
    }
}

#[test]
fn a_udp_port_in_use_is_told_with_its_key() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let ran = Setup::new().key("dns.listen", &format!("\"{address}\"")).refused();
    check_one(&ran, 1, &[&format!("udp port {} is in use", address.port()), "dns.listen"]);
}

#[test]
fn a_root_that_is_not_there_or_no_folder_is_told_with_its_key() {
    let ran = Setup::new().key("http.root", "\"nowhere\"").refused();
    check_one(&ran, 1, &["nowhere", "http.root"]);
    let ran = Setup::new().key("http.root", "\"file\"").file("file", "no folder").refused();
    check_one(&ran, 1, &["file", "http.root"]);
}

#[test]
fn a_root_that_may_not_be_read_is_told_with_its_key() {
    let setup = Setup::new().file("closed/x", "").key("http.root", "\"closed\"");
    let closed = setup.folder.path().join("closed");
    fs::set_permissions(&closed, Permissions::from_mode(0o0)).unwrap();
    let ran = setup.refused_as_a_mere_user();
    // Who may not look into it cannot clear it away.
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    check_one(&ran, 1, &["closed", "http.root"]);
}

#[test]
fn a_data_folder_that_is_a_file_is_told() {
    let ran = Setup::new().file("data", "no folder").refused();
    check_one(&ran, 1, &["data is no folder"]);
}

#[test]
fn a_data_folder_that_may_not_be_written_is_told() {
    let setup = Setup::new();
    let data = setup.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o500)).unwrap();
    let ran = setup.refused_as_a_mere_user();
    check_one(&ran, 1, &["data"]);
}

#[test]
fn a_store_full_of_garbage_is_told_and_left_as_it_is() {
    let server = Setup::new().start();
    let setup = server.kill();
    let mut files = setup.folder.files("data/store");
    assert!(!files.is_empty());
    for path in &files {
        fs::write(path, b"this is no store ".repeat(4096)).unwrap();
    }
    let ran = setup.refused();
    check_one(&ran, 1, &["cannot open the store", "doorway store restore"]);
    // The lock says who holds the store. What SQLite keeps beside its database is its own: garbage
    // there holds no change, so it is cleared away.
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name != "lock" && !name.ends_with("-shm") && !name.ends_with("-wal")
    });
    assert!(!files.is_empty());
    for path in &files {
        assert!(
            fs::read(path).is_ok_and(|octets| octets.starts_with(b"this is no store")),
            "{} was changed",
            path.display()
        );
    }
}

#[test]
fn a_second_server_on_the_same_data_is_told_who_holds_it() {
    let server = Setup::new().start();
    let ran = server.doorway(&["up"]);
    check_one(&ran, 1, &[&format!("data is in use by process {}", server.pid())]);
    assert!(server.doorway(&["status"]).status.success(), "the first one is as it was");
    server.stop();
}

#[test]
fn a_wrong_config_tells_all_its_errors_at_once() {
    let setup = Setup::new()
        .key("http.lisen", "8080")
        .key("http.keepalive", "\"60\"")
        .key("limits.connections", "\"many\"")
        .key("dns.listen", "\"127.0.0.1:99999\"")
        .key("log.level", "\"loud\"")
        .key("metrix.listen", "9464");
    let ran = setup.refused();
    assert_eq!(ran.status.code(), Some(2), "{}", ran.err);
    let told = ran.err.as_str();
    assert_eq!(told.lines().filter(|line| line.starts_with("error:")).count(), 6, "{told}");
    assert!(told.contains("6 errors"), "{told}");
    for (key, line) in [
        ("http.lisen", "did you mean `listen`?"),
        ("http.keepalive", "60s"),
        ("limits.connections", "many"),
        ("dns.listen", "99999"),
        ("log.level", "\"error\", \"warn\", \"info\""),
        ("metrix.listen", "did you mean [metrics]?"),
    ] {
        let config = String::from_utf8(setup.folder.read("doorway.toml")).unwrap();
        let number = config.lines().position(|line| line.starts_with(key)).unwrap() + 1;
        let place = format!("--> doorway.toml:{number}:");
        let report = told.split("\n\n").find(|report| report.contains(&place));
        let report = report.unwrap_or_else(|| panic!("nothing about line {number}, {key}:\n{told}"));
        assert!(report.contains('^') && report.contains(line), "{report}");
    }
}
