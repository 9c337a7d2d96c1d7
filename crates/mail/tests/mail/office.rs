//! The office: who may send to whom, for whom an address stands, what is added to a message, and what one commit
//! holds. Messages are handed to it as the doors do.

use std::sync::Arc;

use bytes::Bytes;
use doorway_mail::config::{AliasConfig, Config};
use doorway_mail::io::queue::Filter;
use doorway_mail::io::{
    Arrival, Content, Intake, Means, Office, Origin, Queue, QueueOptions, SmtpClient, office::POSTMASTER,
};
use doorway_mail::mailbox::FolderId;
use doorway_mail::{Address, Envelope, Notify, Recipient};
use doorway_net::resolve::Hosts;
use doorway_net::tls::TlsDialler;
use doorway_sim::Simulation;
use doorway_store::{BODY_OCTETS_MIN, Durability, wait};

use crate::support::{House, NOW, gate};

/// An office for here.test with the users ann (1) and bob (2).
struct Desk {
    house: House,
    office: Arc<Office>,
    _sim: Simulation,
}

fn alias(address: &str, to: &[&str]) -> AliasConfig {
    AliasConfig { address: address.to_owned(), to: to.iter().map(|to| (*to).to_owned()).collect() }
}

impl Desk {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let (mut sim, house) = (Simulation::new(5), House::new());
        let node = sim.node("mail", "10.0.0.1");
        let world = sim.world(node);
        let users = Arc::clone(gate(&house, &[("ann", "secret"), ("bob", "secret")]).users());
        let client = SmtpClient::new(&world, Arc::new(TlsDialler::new(None, &[]).unwrap()));
        let bodies = house.mailboxes.bodies().clone();
        let options = QueueOptions::new("mail.here.test");
        let queue = Queue::new(&world, bodies, client, Arc::new(Hosts::default()), options);
        let means = Means { users, mailboxes: Arc::clone(&house.mailboxes), queue, ids: Arc::default() };
        let office = Office::start(&world, means, &config, &["here.test".to_owned()], "mail.here.test");
        Self { house, office, _sim: sim }
    }

    /// What MAIL FROM and RCPT TO are answered with, as codes.
    fn ask(&self, origin: &Origin, from: &str, to: &str) -> String {
        let from = (!from.is_empty()).then(|| address(from));
        let sender = wait(self.office.sender(origin, from.as_ref(), 0));
        let code = |result: Result<(), doorway_mail::Reply>| result.err().map_or(250, |reply| reply.code);
        let sender = code(sender);
        if sender != 250 {
            return format!("{sender}");
        }
        let recipient = Recipient::new(address(to));
        format!("250 {}", code(wait(self.office.recipient(origin, from.as_ref(), &recipient))))
    }

    fn send(&self, origin: Origin, from: &str, to: &[&str], content: Content) -> Result<(), String> {
        let envelope = Envelope {
            from: (!from.is_empty()).then(|| address(from)),
            recipients: to.iter().map(|to| Recipient::new(address(to))).collect(),
            ..Envelope::default()
        };
        let arrival = Arrival { id: self.office.draw(), at: NOW, origin, envelope, content };
        wait(self.office.accept(arrival)).map(drop).map_err(|reply| reply.to_string())
    }

    /// Every message in a user's INBOX, the oldest first.
    fn inbox(&self, user: u64) -> Vec<Vec<u8>> {
        let page = wait(self.house.mailboxes.messages(user, FolderId::INBOX, 1..=u32::MAX, 1000)).unwrap();
        let bodies = self.house.mailboxes.bodies();
        let read = |id| {
            let body = wait(bodies.body(id)).unwrap().unwrap();
            let mut all = Vec::new();
            while all.len() < body.octets() as usize {
                all.extend_from_slice(&wait(bodies.read(&body, all.len() as u64, u64::MAX)).unwrap());
            }
            all
        };
        page.messages.iter().map(|message| read(message.id)).collect()
    }

    fn queued(&self) -> Vec<String> {
        let (items, _) = wait(self.office.queue().list(&Filter::default(), None, 100)).unwrap();
        items.iter().map(|item| item.recipient.address.to_string()).collect()
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn stranger() -> Origin {
    Origin {
        remote: Some("192.0.2.9".parse().unwrap()),
        greeting: "there.test".into(),
        protocol: "ESMTP",
        tls: false,
        user: None,
        submission: false,
    }
}

fn user(name: &str) -> Origin {
    Origin { user: Some(name.into()), submission: true, tls: true, protocol: "ESMTPSA", ..stranger() }
}

fn text(message: &str) -> Content {
    Content::Memory(vec![Bytes::copy_from_slice(message.as_bytes())])
}

#[test]
fn nobody_relays_through_it_whatever_the_address_looks_like() {
    let desk = Desk::new();
    for to in [
        "victim@there.test",
        "\"victim@there.test\"@there.test",
        "victim%there.test@elsewhere.test",
        "there.test!victim@elsewhere.test",
        "victim@[192.0.2.1]",
        "victim@[IPv6:2001:db8::1]",
        "ann@sub.here.test",
        "ann@here.test.there.test",
    ] {
        assert_eq!(desk.ask(&stranger(), "me@there.test", to), "250 550", "{to}");
        assert_eq!(desk.ask(&stranger(), "", to), "250 550", "{to} from nobody");
        assert_eq!(desk.ask(&stranger(), "ann@here.test", to), "250 550", "{to} in a user's name");
    }
    for to in
        ["victim%there.test@here.test", "\"victim@there.test\"@here.test", "there.test!victim@here.test"]
    {
        assert_eq!(desk.ask(&stranger(), "me@there.test", to), "250 550", "{to}");
    }
    assert_eq!(desk.ask(&stranger(), "me@there.test", "ann@here.test"), "250 250");
    assert_eq!(desk.ask(&user("ann"), "ann@here.test", "victim@there.test"), "250 250");
    let printer = Config { relay_networks: vec!["192.0.2.0/28".parse().unwrap()], ..Config::default() };
    assert_eq!(Desk::with(printer).ask(&stranger(), "me@there.test", "x@elsewhere.test"), "250 250");
}

#[test]
fn who_submits_logs_in_and_writes_as_nobody_else() {
    let aliases = vec![alias("sales@here.test", &["ann"])];
    let desk = Desk::with(Config { aliases, ..Config::default() });
    let anonymous = Origin { submission: true, ..stranger() };
    assert_eq!(desk.ask(&anonymous, "ann@here.test", "bob@here.test"), "530");
    for (from, code) in [
        ("ann@here.test", "250 250"),
        ("ANN+x@here.test", "250 250"),
        ("sales@here.test", "250 250"),
        ("", "250 250"),
        ("bob@here.test", "550"),
        ("ann@there.test", "550"),
        ("postmaster@here.test", "550"),
    ] {
        assert_eq!(desk.ask(&user("ann"), from, "bob@here.test"), code, "{from}");
    }
    let forged = text("From: Bob <bob@here.test>\r\n\r\nsend money\r\n");
    let refused = desk.send(user("ann"), "ann@here.test", &["bob@here.test"], forged);
    assert!(refused.unwrap_err().starts_with("550 5.7.1"));
    let honest = text("From: Ann <ann@here.test>, guest@there.test\r\nBcc: bob@here.test\r\n\r\nhello\r\n");
    desk.send(user("ann"), "ann@here.test", &["bob@here.test"], honest).unwrap();
    let inbox = desk.inbox(2);
    let message = String::from_utf8(inbox[0].clone()).unwrap();
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("Return-Path: <ann@here.test>\r\nReceived: from there.test ([192.0.2.9])"));
    assert!(
        head.contains("\r\nDate: ") && head.contains("\r\nMessage-ID: <") && !head.contains("Bcc"),
        "{head}"
    );
    assert_eq!((inbox.len(), body), (1, "hello\r\n"));
}

#[test]
fn a_group_gets_one_body_and_each_mailbox_one_copy() {
    let aliases = vec![
        alias("all@here.test", &["@user", "friend@there.test"]),
        alias("round@here.test", &["trip@here.test"]),
        alias("trip@here.test", &["round@here.test", "ann"]),
        alias("circle@here.test", &["circle@here.test"]),
        alias("@here.test", &["bob"]),
    ];
    let desk = Desk::with(Config { aliases, ..Config::default() });
    let to = ["all@here.test", "ann@here.test", "ANN+news@here.test", "round@here.test"];
    desk.send(stranger(), "me@there.test", &to, text("To: all\r\n\r\nhello\r\n")).unwrap();
    assert_eq!((desk.inbox(1).len(), desk.inbox(2).len()), (1, 1));
    assert_eq!(desk.queued(), ["friend@there.test"]);
    assert_eq!(desk.house.rows("mail.body/").len(), 1);
    assert_eq!(desk.house.rows("mail.body.more/")[0].1.number(), Some(2), "three references in all");
    assert_eq!(desk.ask(&stranger(), "", "nobody-has-this@here.test"), "250 250", "the catch-all has it");
    assert_eq!(desk.ask(&stranger(), "", "circle@here.test"), "250 550", "it stands for nobody");
}

#[test]
fn postmaster_and_abuse_are_always_there() {
    let desk = Desk::new();
    for to in ["postmaster@here.test", "Abuse@here.test"] {
        assert_eq!(desk.ask(&stranger(), "", to), "250 250");
        desk.send(stranger(), "", &[to], text("Subject: x\r\n\r\n")).unwrap();
    }
    assert_eq!(desk.inbox(POSTMASTER).len(), 2, "no user is an admin, so it is kept for whoever will be");
    let config = Config { postmaster: vec!["bob".into()], ..Config::default() };
    let desk = Desk::with(config);
    desk.send(stranger(), "", &["postmaster@here.test"], text("Subject: x\r\n\r\n")).unwrap();
    assert_eq!((desk.inbox(2).len(), desk.inbox(POSTMASTER).len()), (1, 0));
}

#[test]
fn messages_of_every_length_arrive_as_they_were() {
    let desk = Desk::new();
    for octets in [0, 100, 60 * 1024, 70 * 1024, 3 << 20, BODY_OCTETS_MIN as usize + 70_000] {
        let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n";
        let message = format!("Subject: long\r\nBcc: x@y\r\n\r\n{}", line.repeat(octets / line.len()));
        let content = match octets {
            // As the doors do it with what is longer than a megabyte.
            1_048_577.. => {
                let mut writer = desk.office.blobs().writer(Durability::Process);
                for piece in message.as_bytes().chunks(100_000) {
                    wait(writer.write(Bytes::copy_from_slice(piece))).unwrap();
                }
                Content::Blob(wait(writer.finish()).unwrap())
            }
            _ => Content::Memory(message.as_bytes().chunks(5000).map(Bytes::copy_from_slice).collect()),
        };
        desk.send(stranger(), "me@there.test", &["ann@here.test"], content.clone()).unwrap();
        let kept = desk.inbox(1).pop().unwrap();
        assert!(kept.ends_with(message.as_bytes()), "{octets} octets from a stranger");
        desk.send(user("bob"), "bob@here.test", &["ann@here.test"], content).unwrap();
        let kept = desk.inbox(1).pop().unwrap();
        let fixed = message.replace("Bcc: x@y\r\n", "");
        assert!(kept.ends_with(fixed.as_bytes()), "{octets} octets from a user");
        assert!(kept.windows(12).take(2000).any(|part| part == b"Message-ID: "));
    }
}

#[test]
fn who_asked_hears_that_a_message_arrived_and_nobody_answers_a_report() {
    let aliases = vec![alias("both@here.test", &["ann", "bob"])];
    let desk = Desk::with(Config { aliases, ..Config::default() });
    let success = |to: &str| Recipient {
        notify: Notify { success: true, failure: true, delay: false },
        ..Recipient::new(address(to))
    };
    let send = |from: Option<Address>, recipients| {
        let envelope = Envelope { from, recipients, envid: Some("QQ314".into()), ..Envelope::default() };
        let content = text("Subject: secret plans\r\n\r\nthe plans themselves\r\n");
        let arrival = Arrival { id: desk.office.draw(), at: NOW, origin: user("bob"), envelope, content };
        wait(desk.office.accept(arrival)).unwrap();
    };
    let bob = Some(address("bob@here.test"));
    send(bob.clone(), vec![success("ann@here.test"), Recipient::new(address("postmaster@here.test"))]);
    assert_eq!((desk.inbox(1).len(), desk.inbox(2).len()), (1, 1));
    let report = String::from_utf8(desk.inbox(2).pop().unwrap()).unwrap();
    for part in [
        "Return-Path: <>\r\n",
        "Action: delivered\r\nStatus: 2.1.5\r\n",
        "Final-Recipient: rfc822; ann@here.test",
        "Original-Envelope-Id: QQ314",
        "Subject: secret plans",
    ] {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
    assert!(!report.contains("the plans themselves") && !report.contains("postmaster@here.test"), "{report}");
    send(bob, vec![success("both@here.test")]);
    let report = String::from_utf8(desk.inbox(2).pop().unwrap()).unwrap();
    assert!(report.contains("Action: expanded\r\n"), "{report}");
    let before = desk.inbox(2).len();
    send(None, vec![success("ann@here.test")]);
    assert_eq!(desk.inbox(2).len(), before, "the null reverse-path hears nothing");
}

#[test]
fn a_message_that_goes_round_in_circles_is_stopped() {
    let desk = Desk::new();
    let seen = |times: usize| text(&format!("{}\r\n", "Received: from x by y\r\n".repeat(times)));
    desk.send(stranger(), "", &["ann@here.test"], seen(50)).unwrap();
    let stopped = desk.send(stranger(), "", &["ann@here.test"], seen(51));
    assert!(stopped.unwrap_err().starts_with("554 5.4.6"));
}

#[test]
fn who_sends_too_much_waits() {
    let config = Config { messages_per_user: 3, messages_per_address: 2, ..Config::default() };
    let desk = Desk::with(config);
    let answers: Vec<_> = (0..4).map(|_| desk.ask(&user("ann"), "ann@here.test", "x@there.test")).collect();
    assert_eq!(answers, ["250 250", "250 250", "250 250", "250 450"]);
    assert_eq!(desk.ask(&user("bob"), "bob@here.test", "x@there.test"), "250 250");
    let answers: Vec<_> = (0..3).map(|_| desk.ask(&stranger(), "", "ann@here.test")).collect();
    assert_eq!(answers, ["250 250", "250 250", "451"]);
    let local = Origin { remote: Some("127.0.0.1".parse().unwrap()), ..stranger() };
    assert_eq!(desk.ask(&local, "", "ann@here.test"), "250 250");
}
