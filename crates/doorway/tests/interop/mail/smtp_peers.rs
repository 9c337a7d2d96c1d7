//! Mail leaves for smtp-sink, which stands in for a server that breaks off, refuses, or lacks what ours has.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Office, setup};
use crate::programs;
use crate::server::PATIENCE;

/// A sink that keeps what it gets in files, ended with the test.
struct Sink {
    child: Child,
    port: u16,
    folder: std::path::PathBuf,
}

impl Sink {
    fn open(name: &str, words: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("doorway-sink-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let kept = folder.join("message.");
        let owner = ["-u", "root"];
        let owner: &[&str] = if rustix::process::geteuid().is_root() { &owner } else { &[] };
        let child = Command::new("/usr/sbin/smtp-sink")
            .args(words)
            .args(owner)
            .args(["-d", kept.to_str().unwrap(), &format!("127.0.0.1:{port}"), "100"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("smtp-sink: {error}; as root: apt-get install postfix"));
        Self { child, port, folder }
    }

    /// Waits until so many messages are there.
    fn messages(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        loop {
            let mut found: Vec<String> = fs::read_dir(&self.folder)
                .unwrap()
                .map(|entry| String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()).into_owned())
                .filter(|text| text.ends_with('\n'))
                .collect();
            if found.len() >= count {
                found.sort();
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{} of {count} messages", found.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn office(sink: &Sink) -> Office {
    let route = format!("[{{ domain = \"*\", host = \"127.0.0.1:{}\" }}]", sink.port);
    Office::open(setup().key("mail.route", &route))
}

fn submit(office: &Office, to: &str, subject: &str, more: &[&str]) {
    let server = office.submissions().to_string();
    let header = format!("Subject: {subject}");
    let words = [
        "--server",
        &server,
        "-tlsc",
        "-a",
        "PLAIN",
        "-au",
        "bob",
        "-ap",
        &office.bob_password,
        "--from",
        "bob@hamburger.edu",
        "--to",
        to,
        "--header",
        &header,
    ];
    programs::run("swaks", &[&words[..], more].concat()).done();
}

#[test]
fn mail_leaves_with_its_dots_and_line_ends() {
    let sink = Sink::open("plain", &[]);
    let office = office(&sink);
    submit(
        &office,
        "eve@elsewhere.test,mallory@elsewhere.test",
        "outward",
        &["--body", "one\n.\n..two\nthree"],
    );
    let messages = sink.messages(1);
    let [message] = &messages[..] else { panic!("{messages:?}") };
    assert!(
        message.contains("X-Rcpt-Args: <eve@elsewhere.test>") && message.contains("<mallory@elsewhere.test>"),
        "{message}"
    );
    assert!(message.contains("\none\n.\n..two\nthree\n"), "{message}");
    assert!(!message.contains("Return-Path:"), "{message}");
    office.server.stop();
}

#[test]
fn servers_that_know_little_get_mail_all_the_same() {
    // Without EHLO; without pipelining and 8BITMIME; one that speaks all of it.
    for (name, words) in [("helo", &["-e"][..]), ("few", &["-p", "-8"]), ("all", &[])] {
        let sink = Sink::open(name, words);
        let office = office(&sink);
        submit(&office, "eve@elsewhere.test", name, &["--body", "hello"]);
        let messages = sink.messages(1);
        assert!(messages[0].contains(&format!("Subject: {name}")), "{name}: {messages:?}");
        office.server.stop();
    }
}
