//! Client and handler with the HTTP server and a socket between them.

use std::io::{BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use doorway_base::Trace;
use doorway_http::{Config as HttpConfig, Server, Sites};
use doorway_net::os::Runtime;
use doorway_net::tcp::{self, TcpOptions};
use doorway_net::{Listener, World};
use serde_json::json;

use super::client::Client;
use super::socket::bind;
use super::tests::{Data, event};
use crate::accounts::Accounts;
use crate::exit::Exit;

/// A server whose control socket answers, for as long as the value lives.
struct Gate {
    runtime: Runtime,
    data: Data,
}

impl Gate {
    fn open() -> Self {
        let runtime = Runtime::start("gate", 1, Trace::off()).unwrap();
        let data = Data::new();
        let world = runtime.world();
        let control = Arc::new(data.control(world.clone()));
        let site = Sites::default().mount("/", control);
        let server = Arc::new(Server::new(world, &HttpConfig::default(), site));
        let listener = Listener::Unix(bind(&data.0).unwrap());
        let _ = tcp::open(world, vec![listener], &TcpOptions::new("control", "http", 0), &server);
        Self { runtime, data }
    }

    fn client(&self) -> Client {
        Client::running(&self.data.0).unwrap()
    }

    /// Records messages until the value that is returned is set, and calls `read` meanwhile.
    fn while_messages_pass<T>(&self, read: impl FnOnce() -> T) -> T {
        let world: World = self.runtime.world().clone();
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let passing = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                world.trace().record(|| event("home.arpa SOA?", b"octets"));
                thread::yield_now();
            }
        });
        let result = read();
        done.store(true, Ordering::Relaxed);
        passing.join().unwrap();
        result
    }
}

#[test]
fn the_server_tells_about_itself_and_about_the_socket_that_asks() {
    let gate = Gate::open();
    let client = gate.client();
    let status = client.ask("GET", "/v1/status", None).unwrap();
    assert_eq!(status["pid"], std::process::id());
    assert_eq!((&status["state"], &status["doors"][0]["local"]), (&json!("running"), &json!("control.sock")));
    let sockets = client.ask("GET", "/v1/sockets", None).unwrap();
    assert!(
        sockets["sockets"].as_array().unwrap().iter().any(|socket| socket["state"] == "open"),
        "{sockets}"
    );
}

#[test]
fn a_user_is_added_while_the_server_holds_the_store() {
    let gate = Gate::open();
    let client = gate.client();
    let add =
        Accounts::Add { name: "ann".into(), roles: vec!["user".into()], password: "correct-horse".into() };
    let (method, target, body) = add.to_http();
    assert_eq!(client.ask(method, &target, body.as_ref()).unwrap()["name"], "ann");
    let again = client.ask(method, &target, body.as_ref()).unwrap_err();
    assert_eq!((again.what.as_str(), again.exit), ("there is a user `ann` already", Exit::Wrong));
    let list = client.ask("GET", "/v1/users", None).unwrap();
    assert_eq!(list["users"].as_array().unwrap().len(), 1);
}

#[test]
fn messages_are_followed_as_they_pass_and_the_answer_is_not_among_them() {
    let gate = Gate::open();
    let client = gate.client();
    let lines = gate.while_messages_pass(|| {
        let answer = client.stream("/v1/trace?count=20").unwrap();
        answer.lines().collect::<Result<Vec<_>, _>>().unwrap()
    });
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line.contains("home.arpa SOA?")), "{lines:?}");
}

#[test]
fn a_capture_comes_whole_through_the_socket() {
    let gate = Gate::open();
    let client = gate.client();
    let capture = gate.while_messages_pass(|| {
        let mut capture = Vec::new();
        let mut answer = client.stream("/v1/trace?count=3&format=pcapng").unwrap();
        answer.read_to_end(&mut capture).unwrap();
        capture
    });
    // Each block says its length at both of its ends (draft-ietf-opsawg-pcapng §3.1).
    let mut rest = capture.as_slice();
    let mut packets = 0;
    while let Some(length) = rest.get(4..8) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        assert_eq!(rest[length - 4..length], rest[4..8]);
        packets += u32::from(rest[0] == 6);
        rest = &rest[length..];
    }
    assert_eq!((packets, rest.len()), (3, 0));
}
