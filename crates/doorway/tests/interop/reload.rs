//! `doorway reload`: what changed is served, and connections that it does not concern stay open.

use rustix::process::Signal;

use crate::dialogue::Dialogue;
use crate::dns::dig::ZONE;
use crate::questions::{NOERROR, NXDOMAIN, Questions};
use crate::server::{PATIENCE, Server, Setup};

fn serving() -> Server {
    Setup::new().zone(ZONE).file("other/index.html", "the other folder\n").start()
}

fn newer_zone() -> String {
    ZONE.replace("2026112201", "2026112202") + "new A 192.0.2.200\n"
}

#[test]
fn a_changed_zone_and_a_changed_root_are_served_on_connections_that_were_open() {
    let mut server = serving();
    let mut questions = Questions::to(server.dns());
    let mut keep_alive = Dialogue::with(server.http());
    assert_eq!(questions.ask("new.example.org"), (NXDOMAIN, 0));
    assert_eq!(keep_alive.get("/").body, b"<h1>Hello</h1>\n");

    server.folder().write("example.org.zone", newer_zone());
    let told = server.doorway(&["reload"]).done();
    assert!(told.contains("dns") && !told.contains("http"), "{told}");
    assert_eq!(questions.ask("new.example.org"), (NOERROR, 1));
    assert_eq!(keep_alive.get("/").body, b"<h1>Hello</h1>\n");

    server.set_key("http.root", "\"other\"");
    let told = server.doorway(&["reload"]).done();
    assert!(told.contains("http") && !told.contains("dns"), "{told}");
    assert_eq!(keep_alive.get("/").body, b"the other folder\n");
    assert_eq!(questions.ask("new.example.org"), (NOERROR, 1));
    assert!(server.doorway(&["reload"]).done().contains("nothing changed"));
    server.stop();
}

#[test]
fn a_new_address_of_one_service_leaves_the_others_connections_open() {
    let mut server = serving();
    let mut questions = Questions::to(server.dns());
    assert_eq!(questions.ask("example.org"), (NOERROR, 1));
    server.set_key("http.listen", "[\"127.0.0.1:0\", \"127.0.0.1:0\"]");
    server.doorway(&["reload"]).done();
    assert_eq!(questions.ask("www.example.org"), (NOERROR, 3));
    server.stop();
}

#[test]
fn an_error_in_a_zone_or_in_the_config_keeps_what_was_served() {
    let mut server = serving();
    let mut questions = Questions::to(server.dns());
    let mut keep_alive = Dialogue::with(server.http());
    server.folder().write("example.org.zone", ZONE.replace("192.0.2.80", "192.0.2.800"));
    let ran = server.doorway(&["reload"]);
    assert!(!ran.status.success(), "{}", ran.text());
    let line = 1 + ZONE.lines().position(|line| line.contains("192.0.2.80")).unwrap();
    assert!(ran.err.contains(&format!("example.org.zone:{line}:")), "{}", ran.err);
    assert_eq!(questions.ask("host.example.org"), (NOERROR, 1));

    server.folder().write("example.org.zone", newer_zone());
    server.set_key("http.rot", "\"other\"");
    let ran = server.doorway(&["reload"]);
    assert_eq!(ran.status.code(), Some(2), "{}", ran.err);
    assert!(ran.err.contains("did you mean `root`?"), "{}", ran.err);
    assert_eq!(questions.ask("new.example.org"), (NXDOMAIN, 0), "all or nothing");
    assert_eq!(keep_alive.get("/").status, 200);
    server.stop();
}

#[test]
fn a_folder_that_is_not_there_keeps_the_zones_as_they_were() {
    let mut server = serving();
    let mut questions = Questions::to(server.dns());
    server.folder().write("example.org.zone", newer_zone());
    server.set_key("http.root", "\"gone\"");
    let ran = server.doorway(&["reload"]);
    assert_eq!(ran.status.code(), Some(2), "{}", ran.err);
    assert!(ran.err.contains("the folder gone cannot be served"), "{}", ran.err);
    assert_eq!(questions.ask("new.example.org"), (NXDOMAIN, 0), "all or nothing");
    server.stop();
}

#[test]
fn a_folder_that_was_made_anew_is_served_from_then_on() {
    let server = Setup::new().file("next/index.html", "made anew\n").start();
    let mut keep_alive = Dialogue::with(server.http());
    assert_eq!(keep_alive.get("/").body, b"<h1>Hello</h1>\n");
    let public = server.folder().path().join("public");
    std::fs::remove_dir_all(&public).unwrap();
    std::fs::rename(server.folder().path().join("next"), &public).unwrap();
    assert!(server.doorway(&["reload"]).done().contains("serves the folders that are there now"));
    assert_eq!(keep_alive.get("/").body, b"made anew\n");
    assert!(server.doorway(&["reload"]).done().contains("nothing changed"));
    server.stop();
}

#[test]
fn two_services_never_share_a_port() {
    let mut server = serving();
    let mut questions = Questions::to(server.dns());
    server.set_key("dns.listen", &format!("\"{}\"", server.dns()));
    server.set_key("http.listen", &format!("\"{}\"", server.dns()));
    let ran = server.doorway(&["reload"]);
    assert_eq!(ran.status.code(), Some(2), "{}", ran.err);
    assert!(ran.err.contains("is wanted twice, by `dns.listen` and by `http.listen`"), "{}", ran.err);
    assert_eq!(questions.ask("example.org"), (NOERROR, 1));
    server.stop();
}

#[test]
fn what_needs_a_restart_is_told_until_it_is_as_it_was() {
    let mut server = serving();
    server.set_key("server.workers", "3");
    for _ in 0..2 {
        assert!(server.doorway(&["reload"]).done().contains("after a restart  server.workers"));
    }
    server.set_key("server.workers", "0");
    assert!(!server.doorway(&["reload"]).done().contains("after a restart"));
    server.stop();
}

#[test]
fn sighup_reloads_too() {
    let server = serving();
    server.folder().write("example.org.zone", newer_zone());
    server.signal(Signal::HUP);
    let mut questions = Questions::to(server.dns());
    let begun = std::time::Instant::now();
    while questions.ask("new.example.org") != (NOERROR, 1) {
        assert!(begun.elapsed() < PATIENCE, "{}", server.log());
    }
    server.stop();
}
