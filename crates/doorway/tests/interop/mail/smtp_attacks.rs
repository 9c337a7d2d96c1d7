//! What no client would say, over bare sockets, judged by the messages that are in mailboxes afterwards:
//! smuggling inwards and outwards, relaying for strangers, commands behind STARTTLS.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::{Office, setup};
use crate::server::PATIENCE;

/// A bare connection to a door.
struct Stranger {
    stream: BufReader<TcpStream>,
}

impl Stranger {
    fn at(door: SocketAddr) -> Self {
        let stream = TcpStream::connect(door).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut stranger = Self { stream: BufReader::new(stream) };
        assert!(stranger.hear().starts_with("220 "));
        stranger
    }

    fn say(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(octets.as_ref()).unwrap();
    }

    /// The last line of a reply; nothing at the end of the connection.
    fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            let count = self.stream.read_line(&mut line).unwrap_or_default();
            if count == 0 || line.as_bytes().get(3) == Some(&b' ') {
                return line;
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(format!("{line}\r\n"));
        self.hear()
    }

    /// Up to DATA's 354.
    fn announce(&mut self, from: &str, to: &str) {
        assert!(self.ask("EHLO crepes.fr").starts_with("250 "));
        assert!(self.ask(&format!("MAIL FROM:<{from}>")).starts_with("250 "));
        assert!(self.ask(&format!("RCPT TO:<{to}>")).starts_with("250 "));
        assert!(self.ask("DATA").starts_with("354 "));
    }
}

/// Sequences that some server, somewhere, has taken for the end of a message.
const WRONG_ENDS: [&str; 22] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\n\n.\n\n",
    "\r\r.\r\r",
    "\n\r.\r\n",
    "\n\r.\n\r",
    "\r\n.\r\r\n",
    "\r\r\n.\n",
    "\r\n.\n\r\n",
    "\r\n.\0\r\n",
    "\r\n\0.\r\n",
    "\r\n.\r\0\n",
    "\r\0\n.\r\n",
    "\0\r\n.\0\r\n",
    "\n.\0\n",
    "\0\n.\n",
];

/// Commands that come behind a wrong end.
const SMUGGLED: &str =
    "MAIL FROM:<evil@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil";

#[test]
fn nothing_is_smuggled_in() {
    for (bare_newline, taken) in [("reject", 0), ("normalize", 2 * WRONG_ENDS.len())] {
        let office = Office::open(setup().key("mail.bare_newline", &format!("\"{bare_newline}\"")));
        for wrong in WRONG_ENDS {
            for behind in ["", SMUGGLED] {
                let mut stranger = Stranger::at(office.smtp());
                stranger.announce("alice@crepes.fr", "bob@hamburger.edu");
                stranger.say(format!("Subject: first\r\n\r\nhello{wrong}{behind}\r\n.\r\n"));
                let verdict = stranger.hear();
                let wanted = if bare_newline == "reject" { "550 5.6.0 " } else { "250 " };
                assert!(verdict.starts_with(wanted), "{wrong:?}: {verdict}");
                // Nothing else was heard as a command: the next reply is that to QUIT.
                assert!(stranger.ask("QUIT").starts_with("221 "), "{wrong:?}");
            }
        }
        assert_eq!(office.subjects("bob"), vec!["first"; taken], "{bare_newline}");
        office.server.stop();
    }
}

#[test]
fn nothing_is_smuggled_out() {
    let receiver = Office::open(setup());
    let route = format!("[{{ domain = \"*\", host = \"{}\", tls = \"none\" }}]", receiver.smtp());
    let sender = Office::open(
        setup()
            .key("mail.domains", "[\"crepes.fr\"]")
            .key("mail.hostname", "\"mx.crepes.fr\"")
            .key("mail.bare_newline", "\"normalize\"")
            .key("mail.relay_networks", "[\"127.0.0.0/8\"]")
            .key("mail.route", &route),
    );
    for wrong in WRONG_ENDS {
        for behind in ["", SMUGGLED] {
            let mut stranger = Stranger::at(sender.smtp());
            stranger.announce("alice@crepes.fr", "bob@hamburger.edu");
            stranger.say(format!("Subject: first\r\n\r\nhello{wrong}{behind}\r\n.\r\n"));
            assert!(stranger.hear().starts_with("250 "), "{wrong:?}");
        }
    }
    let began = Instant::now();
    while receiver.messages("bob").len() < 2 * WRONG_ENDS.len() {
        assert!(began.elapsed() < PATIENCE, "{:?}", receiver.messages("bob").len());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    sender.server.stop();
    assert_eq!(receiver.subjects("bob"), vec!["first"; 2 * WRONG_ENDS.len()]);
    receiver.server.stop();
}

#[test]
fn strangers_are_not_relayed_whatever_they_write() {
    let office = Office::open(setup());
    let mut taken = Vec::new();
    for from in ["alice@crepes.fr", "bob@hamburger.edu", "postmaster@hamburger.edu", ""] {
        for to in [
            "eve@elsewhere.test",
            "@hamburger.edu:eve@elsewhere.test",
            "\"eve@elsewhere.test\"@hamburger.edu",
            "eve%elsewhere.test@hamburger.edu",
            "elsewhere.test!eve@hamburger.edu",
            "eve@[127.0.0.1]",
            "eve@[192.0.2.1]",
            "\"bob@hamburger.edu\"@elsewhere.test",
            "hamburger.edu!eve@elsewhere.test",
            "eve@hamburger.edu.elsewhere.test",
            "eve%elsewhere.test@[127.0.0.1]",
            "eve@elsewhere.test@hamburger.edu",
            "eve@hamburger.edu@elsewhere.test",
            "<eve@elsewhere.test>",
            "eve@elsewhere.test\0@hamburger.edu",
            "bob@hamburger.edu,eve@elsewhere.test",
            "eve@localhost",
            "eve@127.0.0.1",
            "eve",
            "\"eve%elsewhere.test\"",
            "@hamburger.edu,@x.test:eve@elsewhere.test",
            "eve@mx.hamburger.edu",
            "bob@hamburger.edu.",
            "eve@elsewhere.test%hamburger.edu",
        ] {
            let mut stranger = Stranger::at(office.smtp());
            stranger.ask("EHLO hamburger.edu");
            stranger.ask(&format!("MAIL FROM:<{from}>"));
            let verdict = stranger.ask(&format!("RCPT TO:<{to}>"));
            if !verdict.starts_with('5') {
                taken.push((from, to, verdict));
            }
        }
    }
    assert_eq!(taken, []);
    let queued = office.server.doorway(&["mail", "queue", "list", "--json"]).done();
    assert!(queued.contains("\"items\": []"), "{queued}");
    office.server.stop();
}

#[test]
fn commands_behind_starttls_are_forgotten() {
    let office = Office::open(setup());
    for behind in ["NOOP\r\n", "EHLO evil.test\r\nMAIL FROM:<evil@crepes.fr>\r\n", &"X".repeat(20_000)] {
        let mut stranger = Stranger::at(office.smtp());
        stranger.ask("EHLO crepes.fr");
        stranger.say(format!("STARTTLS\r\n{behind}"));
        assert!(stranger.hear().starts_with("220 "));
        // What follows in the clear is no handshake, and nothing in the clear comes back.
        stranger.say("NOOP\r\nNOOP\r\n");
        let heard = stranger.hear();
        assert!(!heard.starts_with("250") && !heard.starts_with("50"), "{heard}");
    }
    office.server.stop();
}
