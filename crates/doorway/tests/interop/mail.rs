//! The mail services against real clients and peers.

mod pop3;
mod smtp;
mod smtp_attacks;
mod smtp_libraries;
mod smtp_peers;

use std::net::SocketAddr;

use serde_json::Value;

use crate::server::{Server, Setup};

/// A server for hamburger.edu, with the users bob and ann.
pub(crate) struct Office {
    pub(crate) server: Server,
    pub(crate) bob_password: String,
}

/// What is set so that mail for hamburger.edu is taken.
pub(crate) fn setup() -> Setup {
    Setup::new()
        .key("mail.domains", "[\"hamburger.edu\"]")
        .key("mail.hostname", "\"mx.hamburger.edu\"")
        .key("mail.listen.lmtp", "\"127.0.0.1:0\"")
        .key("mail.listen.lmtp_socket", "\"lmtp.sock\"")
}

impl Office {
    pub(crate) fn open(setup: Setup) -> Self {
        let server = setup.start();
        let add = |name| server.doorway(&["user", "add", name, "--json"]).done();
        let told: Value = serde_json::from_str(&add("bob")).unwrap();
        add("ann");
        let bob_password = told["password"].as_str().unwrap().to_owned();
        Self { server, bob_password }
    }

    fn door(&self, service: &str) -> SocketAddr {
        let found = self.server.doors.iter().find(|door| {
            let words: Vec<&str> = door.command.split_whitespace().collect();
            let (tls, tls_first) = (words.contains(&"-tls"), words.contains(&"-tlsc"));
            match service {
                "smtp" => words.first() == Some(&"swaks") && !tls && !tls_first && !words.contains(&"LMTP"),
                "submission" => tls,
                "submissions" => tls_first,
                "pop3" => words.iter().any(|word| word.starts_with("pop3://")),
                "pop3s" => words.iter().any(|word| word.starts_with("pop3s://")),
                _ => words.contains(&"LMTP"),
            }
        });
        found.unwrap_or_else(|| panic!("{}", self.server.table)).address
    }

    pub(crate) fn smtp(&self) -> SocketAddr {
        self.door("smtp")
    }

    pub(crate) fn submission(&self) -> SocketAddr {
        self.door("submission")
    }

    pub(crate) fn submissions(&self) -> SocketAddr {
        self.door("submissions")
    }

    pub(crate) fn lmtp(&self) -> SocketAddr {
        self.door("lmtp")
    }

    pub(crate) fn pop3(&self) -> SocketAddr {
        self.door("pop3")
    }

    pub(crate) fn pop3s(&self) -> SocketAddr {
        self.door("pop3s")
    }

    /// The authority that vouches for its certificate.
    pub(crate) fn ca(&self) -> String {
        self.server.folder().word("data/tls/ca.pem")
    }

    /// The messages of a user, the oldest first.
    pub(crate) fn messages(&self, user: &str) -> Vec<Value> {
        let told = self.server.doorway(&["mail", "read", user, "--json", "--limit", "10000"]).done();
        let told: Value = serde_json::from_str(&told).unwrap();
        told["messages"].as_array().unwrap().iter().rev().cloned().collect()
    }

    /// The subjects of a user's messages, the oldest first.
    pub(crate) fn subjects(&self, user: &str) -> Vec<String> {
        let subject = |message: &Value| message["subject"].as_str().unwrap().to_owned();
        self.messages(user).iter().map(subject).collect()
    }

    /// A user's message as it is kept.
    pub(crate) fn raw(&self, user: &str, number: usize) -> String {
        let uid = self.messages(user)[number]["uid"].to_string();
        self.server.doorway(&["mail", "read", user, &uid, "--raw"]).done()
    }
}
