//! Zones that move between us and BIND, NSD and Knot, in both roles, signed with TSIG: the whole zone
//! once (RFC 5936), then its changes (RFC 1995) after a NOTIFY (RFC 1996).
//!
//! That only the changes went over the wire is read in the logs of both sides.

use std::fmt::Write;

use rustix::process::Signal;

use super::peer::{ALGORITHM, Peer, SECRET, free_port, says, until, wait};
use crate::folder::Folder;
use crate::programs;
use crate::server::{Server, Setup};

/// Enough hosts that nobody finds the whole zone shorter than a change of it.
const HOSTS: usize = 500;
/// A host of the first version.
const LAST_HOST: &str = "host-499.example.org";

fn zone(serial: u32) -> String {
    let mut text = format!("$TTL 60\n@ SOA ns host {serial} 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n");
    for number in 0..HOSTS {
        writeln!(text, "host-{number} A 192.0.2.{}", number % 256).unwrap();
    }
    text
}

fn with_key(port: u16, zone: &str) -> Setup {
    Setup::new()
        .key("dns.listen", &format!("\"127.0.0.1:{port}\""))
        .key("dns.key", &format!("[{{ name = \"sec1\", alg = \"{ALGORITHM}\", secret = \"{SECRET}\" }}]"))
        .key("dns.zone", zone)
}

/// Us as the primary of `peer`.
fn primary(port: u16, peer: u16) -> Server {
    let zone = format!(
        "[{{ name = \"example.org\", file = \"zone\", xfr = [\"key:sec1\"], \
         update = [\"key:sec1 any *.example.org\"], notify = [\"127.0.0.1:{peer} key:sec1\"] }}]"
    );
    with_key(port, &zone).file("zone", self::zone(7)).start()
}

/// Us as a secondary of `peer`.
fn secondary(port: u16, peer: u16) -> Server {
    let zone = format!(
        "[{{ name = \"example.org\", kind = \"secondary\", from = [\"127.0.0.1:{peer} key:sec1\"] }}]"
    );
    with_key(port, &zone).start()
}

/// Adds an address by UPDATE (RFC 2136) with one of the programs that do so.
fn add(program: &str, port: u16, name: &str) {
    let lines =
        format!("server 127.0.0.1 {port}\nzone example.org\nupdate add {name} 60 A 192.0.2.99\nsend\n");
    let key = format!("{ALGORITHM}:sec1:{SECRET}");
    let ran = programs::run_with_input(program, &["-y", &key], lines.as_bytes());
    assert!(ran.status.success(), "{program}: {}{}", ran.text(), ran.err);
}

/// We are primary, `start` starts a secondary of ours at a port; its log then has to have lines with the
/// words of `said`.
fn follows(start: impl FnOnce(&Folder, u16, u16) -> Peer, said: &[&[&str]]) {
    let (ours, theirs) = (free_port(), free_port());
    let server = primary(ours, theirs);
    let peer = start(server.folder(), theirs, ours);
    peer.until(LAST_HOST);
    for (program, name) in [("nsupdate", "one.example.org"), ("knsupdate", "two.example.org")] {
        add(program, ours, name);
        peer.until(name);
    }
    let log = server.log();
    let sent = |how: &str| log.lines().filter(|line| line.contains(how)).count();
    assert!(sent("zone sent whole") >= 1 && sent("zone sent by its changes") >= 2, "{log}\n{}", peer.log());
    for words in said {
        peer.until_it_says(words);
    }
    server.stop();
}

/// A name, and what adds it to the zone of a primary.
type Change<'c> = (&'c str, &'c dyn Fn(&Folder, &Peer));

/// `start` starts a primary of ours at a port, to tell us of each of `changes`; its log then has to have
/// lines with the words of `said`.
fn is_followed(start: impl FnOnce(&Folder, u16, u16) -> Peer, changes: &[Change<'_>], said: &[&[&str]]) {
    let (ours, theirs) = (free_port(), free_port());
    let folder = Folder::new();
    folder.write("zone", zone(7));
    let peer = start(&folder, theirs, ours);
    peer.until(LAST_HOST);
    let server = secondary(ours, theirs);
    let both = || format!("{}\n{}", server.log(), peer.log());
    until(ours, LAST_HOST, both);
    assert!(says(&server.log(), &["zone received whole"]), "{}", server.log());
    for (number, (name, change)) in changes.iter().enumerate() {
        change(&folder, &peer);
        until(ours, name, both);
        let by_changes = || server.log().matches("zone received by its changes").count() > number;
        wait(by_changes, || format!("it came whole\n{}", both()));
    }
    for words in said {
        peer.until_it_says(words);
    }
    server.stop();
}

#[test]
fn bind_takes_our_zone_and_then_its_changes() {
    let start = |folder: &Folder, port, primary| {
        let zone = format!(
            "type secondary; file \"copy\"; primaries {{ 127.0.0.1 port {primary} key sec1; }}; \
             allow-notify {{ key sec1; }};"
        );
        Peer::bind(folder, port, "example.org", &zone)
    };
    // The records of a whole zone, and of a change: two SOA records at each end and one address.
    follows(start, &[&["Transfer completed:", "504 records"], &["Transfer completed:", " 5 records"]]);
}

#[test]
fn nsd_takes_our_zone_and_then_its_changes() {
    let start = |folder: &Folder, port, primary| {
        let zone = format!(
            "  request-xfr: 127.0.0.1@{primary} sec1\n  allow-notify: 127.0.0.1 sec1\n  zonefile: \"\"\n"
        );
        Peer::nsd(folder, port, "example.org", &zone)
    };
    follows(start, &[&["TSIG verified with key sec1"]]);
}

#[test]
fn knot_takes_our_zone_and_then_its_changes() {
    let start = |folder: &Folder, port, primary| {
        let zone = format!(
            "remote:\n  - id: doorway\n    address: 127.0.0.1@{primary}\n    key: sec1\n\
             acl:\n  - id: notify\n    key: sec1\n    action: notify\n\
             zone:\n  - domain: example.org\n    storage: {}\n    file: copy\n    master: doorway\n    acl: notify\n",
            folder.path().display()
        );
        Peer::knot(folder, port, &zone)
    };
    follows(start, &[&["AXFR, incoming", "finished"], &["IXFR, incoming", "finished"]]);
}

#[test]
fn the_zone_of_bind_is_taken_and_then_its_changes() {
    let start = |folder: &Folder, port, secondary| {
        let zone = format!(
            "type primary; file \"zone\"; allow-transfer {{ key sec1; }}; allow-update {{ key sec1; }}; \
             notify explicit; also-notify {{ 127.0.0.1 port {secondary} key sec1; }};"
        );
        Peer::bind(folder, port, "example.org", &zone)
    };
    is_followed(
        start,
        &[
            ("one.example.org", &|_, peer| add("nsupdate", peer.port, "one.example.org")),
            ("two.example.org", &|_, peer| add("knsupdate", peer.port, "two.example.org")),
        ],
        &[&["AXFR started: TSIG sec1"], &["IXFR started: TSIG sec1"]],
    );
}

#[test]
fn the_zone_of_nsd_is_taken_and_then_its_changes() {
    let start = |folder: &Folder, port, secondary| {
        let zone = format!(
            "  zonefile: zone\n  provide-xfr: 127.0.0.1 sec1\n  notify: 127.0.0.1@{secondary} sec1\n  \
             store-ixfr: yes\n  create-ixfr: yes\n"
        );
        Peer::nsd(folder, port, "example.org", &zone)
    };
    // It takes no updates; it reads its file again when it is told to.
    let change = |folder: &Folder, peer: &Peer| {
        folder.write("zone", format!("{}one A 192.0.2.99\n", zone(8)));
        peer.signal(Signal::HUP);
    };
    is_followed(start, &[("one.example.org", &change)], &[&["ixfr for example.org"]]);
}

#[test]
fn the_zone_of_knot_is_taken_and_then_its_changes() {
    let start = |folder: &Folder, port, secondary| {
        let zone = format!(
            "remote:\n  - id: doorway\n    address: 127.0.0.1@{secondary}\n    key: sec1\n\
             acl:\n  - id: all\n    key: sec1\n    action: [transfer, update]\n\
             zone:\n  - domain: example.org\n    storage: {}\n    file: zone\n    notify: doorway\n    acl: all\n",
            folder.path().display()
        );
        Peer::knot(folder, port, &zone)
    };
    is_followed(
        start,
        &[
            ("one.example.org", &|_, peer| add("nsupdate", peer.port, "one.example.org")),
            ("two.example.org", &|_, peer| add("knsupdate", peer.port, "two.example.org")),
        ],
        &[&["AXFR, outgoing", "finished"], &["IXFR, outgoing", "finished"]],
    );
}

#[test]
fn a_signed_zone_that_left_us_is_found_whole_by_ldns() {
    let setup = Setup::new()
        .file("plain", zone(7))
        .key("dns.zone", "[{ name = \"example.org\", file = \"signed\", xfr = [\"127.0.0.0/8\"] }]");
    let folder = setup.folder.path();
    let key = programs::run_in(folder, "ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", "example.org"]);
    let words = ["-o", "example.org", "-f", "signed", "plain", key.done().trim()].map(str::to_owned);
    programs::run_in(folder, "ldns-signzone", &words.each_ref().map(String::as_str)).done();
    let server = setup.start();
    let port = server.dns().port().to_string();
    let words = ["-r", "@127.0.0.1", "-p", &port, "+noall", "+answer", "example.org", "AXFR"];
    let got = programs::run("dig", &words).done();
    // The SOA record stands at both ends.
    let lines: Vec<&str> = got.lines().collect();
    assert!(lines.len() > 2 * HOSTS && lines.first() == lines.last(), "{got}");
    server.folder().write("got", lines[1..].join("\n") + "\n");
    let told = programs::run("ldns-verify-zone", &[&server.folder().word("got")]);
    assert!(told.status.success(), "{}{}", told.text(), told.err);
    assert!(format!("{}{}", told.text(), told.err).contains("verified and complete"), "{told:?}");
    server.stop();
}
