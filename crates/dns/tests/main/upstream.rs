//! A resolver beside a small Internet of plain functions, for tests that look at single queries.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random};
use doorway_dns::authority::Published;
use doorway_dns::cache::{Cache, Limits};
use doorway_dns::resolver::{Answer, Ask, Config, Input, Output, Resolver, Send};
use doorway_dns::wire::rdata::{self, Word};
use doorway_dns::wire::{Class, Flags, Message, Name, Question, Rcode, Record, Type};
use doorway_dns::zone::{HashKey, Zone, Zones};

pub(super) const ROOT: &str = "192.0.2.1";
pub(super) const EXAMPLE: &str = "192.0.2.2";
pub(super) const EVIL: &str = "192.0.2.66";

/// The Internet of these tests: what a server answers.
pub(super) type Servers = fn(IpAddr, &Question) -> Message;

pub(super) struct Bench {
    pub(super) resolver: Resolver,
    pub(super) now: Instant,
    pub(super) servers: Servers,
    pub(super) sent: Vec<Send>,
    pub(super) answers: Vec<Answer>,
}

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn record(line: &str) -> Record {
    let words: Vec<&str> = line.split_whitespace().collect();
    let kind = Type::from_text(words[2].as_bytes()).unwrap();
    let data: Vec<_> = words[3..].iter().map(|word| Word { text: word.as_bytes(), quoted: false }).collect();
    let mut rdata = Vec::new();
    rdata::parse(kind, &data, &Name::root(), &mut rdata).unwrap();
    Record { name: name(words[0]), kind, class: Class::IN, ttl: words[1].parse().unwrap(), rdata }
}

pub(super) fn authoritative(answers: &[&str]) -> Message {
    let answers = answers.iter().map(|line| record(line)).collect();
    Message { flags: Flags(Flags::QR | Flags::AA), answers, ..Message::default() }
}

pub(super) fn referral(servers: &[&str], glue: &[&str]) -> Message {
    let authorities = servers.iter().map(|line| record(line)).collect();
    let additionals = glue.iter().map(|line| record(line)).collect();
    Message { flags: Flags(Flags::QR), authorities, additionals, ..Message::default() }
}

pub(super) fn refused() -> Message {
    Message { flags: Flags(Flags::QR | Rcode::REFUSED.0), ..Message::default() }
}

/// A root that delegates example. and evil., which answer every question of their own.
pub(super) fn internet(server: IpAddr, question: &Question) -> Message {
    let root = server.to_string() == ROOT;
    match question.name.lowered().to_string().as_str() {
        _ if root && question.name.is_within(&name("example.")) => {
            referral(&["example. 3600 NS ns.example."], &["ns.example. 3600 A 192.0.2.2"])
        }
        _ if root && question.name.is_within(&name("evil.")) => {
            referral(&["evil. 3600 NS ns.evil."], &["ns.evil. 3600 A 192.0.2.66"])
        }
        "www.example." => authoritative(&["www.example. 300 A 198.51.100.1"]),
        "trap.evil." => {
            let mut message = authoritative(&["trap.evil. 300 A 203.0.113.1"]);
            message.answers.push(record("www.example. 300 A 203.0.113.66"));
            message.authorities.push(record("example. 86400 NS ns.evil."));
            message
        }
        "home.evil." => authoritative(&["home.evil. 1 A 192.168.1.1"]),
        "nxns.evil." => {
            let named: Vec<String> = (0..20).map(|i| format!("nxns.evil. 60 NS n{i}.example.")).collect();
            referral(&named.iter().map(String::as_str).collect::<Vec<_>>(), &[])
        }
        text if text.starts_with('c') && text.ends_with(".evil.") => {
            let next: u32 = text[1..].split('.').next().unwrap().parse().unwrap();
            authoritative(&[&format!("{text} 60 CNAME c{}.evil.", next + 1)])
        }
        _ if server.to_string() == EXAMPLE => Message {
            flags: Flags(Flags::QR | Flags::AA | Rcode::NXDOMAIN.0),
            authorities: vec![record("example. 60 SOA . . 1 2 3 4 60")],
            ..Message::default()
        },
        _ => refused(),
    }
}

impl Bench {
    pub(super) fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_zones(change, HashKey::new(&mut Random::new(1)), Vec::new())
    }

    pub(super) fn with_zones(
        change: impl FnOnce(&mut Config),
        secret: HashKey,
        zones: Vec<Arc<Zone>>,
    ) -> Self {
        let mut config = Config {
            root_hints: vec![(name("root."), vec![ROOT.parse().unwrap()])],
            prime_root: false,
            ipv6: false,
            explore_one_in: 0,
            ..Config::default()
        };
        change(&mut config);
        let mut random = Random::new(7);
        let cache = Arc::new(Cache::new(Limits::default(), &mut random));
        let zones = Zones::new(secret, zones).unwrap();
        let resolver = Resolver::new(Arc::new(config), cache, Published::new(zones), random);
        let now = Instant::ZERO + Duration::from_secs(1000);
        Self { resolver, now, servers: internet, sent: Vec::new(), answers: Vec::new() }
    }

    pub(super) fn ask(&mut self, text: &str) {
        let question = Question { name: name(text), kind: Type::A, class: Class::IN };
        self.handle(Input::Ask(Ask::new(1, question)));
    }

    pub(super) fn handle(&mut self, input: Input<'_>) {
        self.resolver.handle(self.now, input);
        while let Some(output) = self.resolver.poll_output() {
            match output {
                Output::Send(send) => self.sent.push(send),
                Output::Answer(answer) => self.answers.push(answer),
                Output::Cancel(_) => {}
            }
        }
    }

    /// The answer of the right server to the query sent as number `index`.
    pub(super) fn right_answer(&self, index: usize) -> (Send, Message) {
        let send = self.sent[index].clone();
        let query = Message::read(&send.octets).unwrap();
        let mut message = (self.servers)(send.to.ip(), &query.questions[0]);
        (message.id, message.questions) = (query.id, query.questions);
        (send, message)
    }

    pub(super) fn deliver(&mut self, send: &Send, from: SocketAddr, message: &Message) {
        let octets = message.to_octets().unwrap();
        self.handle(Input::Response { query: send.query, from, octets: &octets });
    }

    /// Lets every server answer until nothing is open; returns the queries that took.
    pub(super) fn run(&mut self) -> usize {
        let mut next = 0;
        while next < self.sent.len() {
            let (send, message) = self.right_answer(next);
            self.deliver(&send, send.to, &message);
            next += 1;
            assert!(next < 5000, "it does not end");
        }
        self.sent.clear();
        next
    }

    /// The address a client is told for a name; `None` for an error or nothing.
    pub(super) fn address(&mut self, text: &str) -> Option<String> {
        self.ask(text);
        self.run();
        let answer = self.answers.pop()?;
        let last = answer.answers.last()?;
        (answer.rcode == Rcode::NOERROR).then(|| rdata::display(last.kind, &last.rdata).to_string())
    }

    /// Takes a question about www.example. to the moment when its own server is asked.
    pub(super) fn until_asked(&mut self) -> (Send, Message) {
        self.ask("www.example.");
        let (send, message) = self.right_answer(self.sent.len() - 1);
        self.deliver(&send, send.to, &message);
        let last = self.right_answer(self.sent.len() - 1);
        assert_eq!(last.0.to.ip().to_string(), EXAMPLE);
        last
    }

    // The newest query is answered by the right server.
    pub(super) fn run_from_last(&mut self) {
        if self.answers.len() > 1 || self.sent.is_empty() {
            self.answers.drain(..self.answers.len().saturating_sub(1));
            return;
        }
        let (send, message) = self.right_answer(self.sent.len() - 1);
        self.deliver(&send, send.to, &message);
    }
}
