//! The client by scripts in virtual time, and properties.
//!
//! A script (`tests/*.txt`) is what happens to a client, one line each; what the client does stands below it,
//! indented, with the seconds since its beginning. `UPDATE=1` writes these lines anew.

mod properties;
mod records;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use doorway_base::{Instant, Random, Session as _, Writer};

use super::session::Heard;
use super::{Check, Choice, Input, Known, Output, Recipient, Session, Settings};
use crate::wire::message::BOOTREPLY;
use crate::wire::reply::MESSAGE_OCTETS_MIN;
use crate::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, code, summary};

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];

pub(super) fn settings() -> Settings {
    Settings { check: Check::Off, ..Settings::new(HardwareAddress::ethernet(OWN)) }
}

/// A message of a server, made of words: `ack 10.0.0.7 from 10.0.0.1 lease 20`.
pub(super) fn answer(words: &[&str], xid: u32) -> Vec<u8> {
    let after = |word: &str| {
        words.iter().position(|found| *found == word).and_then(|index| words.get(index + 1)).copied()
    };
    let kind = match words[0] {
        "offer" => MessageType::Offer,
        "ack" => MessageType::Ack,
        "nak" => MessageType::Nak,
        other => panic!("no message `{other}`"),
    };
    let hardware = after("for").map_or(HardwareAddress::ethernet(OWN), |text| text.parse().unwrap());
    let xid = after("xid").map_or(xid, |text| u32::from_str_radix(text, 16).unwrap());
    let mut head = Head::new(BOOTREPLY, hardware, xid);
    if let Some(address) = words.get(1).and_then(|word| word.parse().ok()) {
        head.yiaddr = address;
    }
    let mut octets = vec![0; 600];
    let mut out = Writer::new(&mut octets);
    let mut message = MessageWriter::new(&mut out, &head);
    message.option(code::MESSAGE_TYPE, &[kind as u8]);
    if let Some(server) = after("from") {
        message.option(code::SERVER_ID, &server.parse::<Ipv4Addr>().unwrap().octets());
    }
    let seconds = [("lease", 51), ("t1", 58), ("t2", 59)];
    for (word, number) in seconds {
        if let Some(text) = after(word) {
            let seconds = if text == "ever" { u32::MAX } else { text.parse().unwrap() };
            message.option(number, &seconds.to_be_bytes());
        }
    }
    if let Some(reason) = after("saying") {
        message.option(code::REASON, reason.as_bytes());
    }
    message.option(code::SUBNET_MASK, &[255, 255, 255, 0]);
    message.finish(MESSAGE_OCTETS_MIN);
    let length = out.position();
    octets.truncate(length);
    octets
}

/// A client whose outputs are written down.
struct Play {
    session: Session,
    now: Instant,
    xid: u32,
    said: String,
}

impl Play {
    fn new(words: &[&str]) -> Self {
        let mut settings = settings();
        for word in words {
            match *word {
                "first" => settings.choice = Choice::First,
                "longest" => settings.choice = Choice::Longest,
                "check" => settings.check = Check::Quick,
                "standard-check" => settings.check = Check::Standard,
                "announce" => settings.announce = true,
                "spread" => settings.start_spread = Duration::from_secs(10),
                other => settings.address = Some(other.parse().unwrap()),
            }
        }
        let session = Session::new(settings, Random::new(1));
        Self { session, now: Instant::ZERO, xid: 0, said: String::new() }
    }

    fn hand_in(&mut self, input: Input<'_>) {
        self.session.handle(self.now, input);
        while let Some(output) = self.session.poll_output() {
            let line = self.told(output);
            let seconds = self.now.as_nanos() as f64 / 1e9;
            let _ = writeln!(self.said, "    {seconds:8.1}  {line}");
        }
    }

    fn told(&mut self, output: Output) -> String {
        match output {
            Output::Entered(phase) => format!("{phase}"),
            Output::Send { octets, to } => {
                let message = Message::parse(&octets).expect("what a client sends is a message");
                self.xid = message.xid();
                let line =
                    summary(&octets).replace(&format!(" xid {:08x} {}", self.xid, message.hardware()), "");
                let to = match to {
                    Recipient::Broadcast { from } => format!("broadcast by {from}"),
                    Recipient::Server { to, .. } => format!("to {to}"),
                };
                format!("-> {line}, {to}, after {} s", message.secs())
            }
            Output::Probe(address) => format!("who has {address}?"),
            Output::Announce(address) => format!("{address} is mine"),
            Output::Bound(binding) => {
                let [renewal, rebinding] =
                    [binding.renews_at(), binding.rebinds_at()].map(|at| at.as_nanos() as f64 / 1e9);
                match binding.lease {
                    Some(_) => format!("bound: {binding}, T1 at {renewal:.1}, T2 at {rebinding:.1}"),
                    None => format!("bound: {binding}"),
                }
            }
            Output::Lost(binding, why) => format!("lost {}: {why:?}", binding.address),
            Output::InUse { address, by } => {
                format!("{address} is in use by {}", HardwareAddress::ethernet(by))
            }
            Output::Refused(why) => format!("refused: {}", why.unwrap_or_default()),
            Output::Forget => "forget".to_owned(),
            Output::Informed(_) => "informed".to_owned(),
        }
    }

    /// Lets time pass, with every time-out at its moment.
    fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.hand_in(Input::Timeout);
        }
        self.now = until;
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["client", ..] => *self = Self { said: std::mem::take(&mut self.said), ..Self::new(&words[1..]) },
            ["start"] => self.hand_in(Input::Start(None)),
            ["start", known, address] => {
                let address = address.parse().unwrap();
                let server = Some(Ipv4Addr::new(10, 0, 0, 1));
                self.hand_in(Input::Start(Some(Known { address, server, holds: known == "holding" })));
            }
            ["inform", address] => self.hand_in(Input::Inform(address.parse().unwrap())),
            ["renew"] => self.hand_in(Input::Renew),
            ["release"] => self.hand_in(Input::Release),
            ["sleep", span] => {
                // As a host that was suspended: nothing happened meanwhile.
                self.now = self.now + seconds(span);
                self.hand_in(Input::Timeout);
            }
            ["wait", span] => self.wait(seconds(span)),
            ["arp", sender, "has", address] => self.arp(sender, address, "10.0.0.99"),
            ["arp", sender, "probes", address] => self.arp(sender, "0.0.0.0", address),
            ["offer" | "ack" | "nak", ..] => {
                let octets = answer(&words, self.xid);
                self.hand_in(Input::Message { octets: &octets, neighbour: Some(SERVER) });
            }
            _ => panic!("no line of a script: `{line}`"),
        }
    }

    fn arp(&mut self, sender: &str, sender_address: &str, target_address: &str) {
        let sender = sender.parse::<HardwareAddress>().unwrap().mac().unwrap();
        let (sender_address, target_address) =
            (sender_address.parse().unwrap(), target_address.parse().unwrap());
        self.hand_in(Input::Arp(Heard { sender, sender_address, target_address }));
    }
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.trim_end_matches('s').parse().unwrap())
}

/// Plays a script and compares it with what stands in its file.
fn check(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/client/tests/{name}.txt"));
    let script = fs::read_to_string(&path).unwrap();
    let mut play = Play::new(&[]);
    for line in script.lines().filter(|line| !line.starts_with("    ")) {
        let _ = writeln!(play.said, "{line}");
        if !line.is_empty() && !line.starts_with('#') {
            play.line(line);
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &play.said).unwrap();
    }
    assert_eq!(play.said, script, "{name}.txt; UPDATE=1 writes it anew");
}

#[test]
fn an_address_is_asked_for_and_kept_and_given_back() {
    check("bound");
}

#[test]
fn a_lease_is_extended_at_t1_and_t2_and_ends() {
    check("extended");
}

#[test]
fn silence_is_met_with_retransmissions() {
    check("silence");
}

#[test]
fn a_refusal_leads_back_to_the_beginning() {
    check("refused");
}

#[test]
fn an_address_of_before_is_asked_for_first() {
    check("rebooted");
}

#[test]
fn an_address_in_use_is_declined() {
    check("declined");
}

#[test]
fn one_of_several_offers_is_chosen() {
    check("chosen");
}

#[test]
fn what_is_not_for_us_changes_nothing() {
    check("strays");
}

#[test]
fn configuration_alone_can_be_asked_for() {
    check("informed");
}
