//! A script played against the resolver, in virtual time.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use doorway_base::{Instant, Random};

use super::options::{Marks, Setup, setup};
use super::script::{Action, Criteria, Entry, Refusal, Script, Step};
use crate::authority::Published;
use crate::cache::{Cache, Filter};
use crate::resolver::{Answer, Ask, Input, Output, Resolver, SendFailure, Transport};
use crate::wire::{Edns, Flags, Message, Question, Record, Type, edns, options};
use crate::zone::{HashKey, Zones};

/// Queries answered between two steps at most; more go round in circles.
const ANSWERED_MAX: usize = 2000;
/// Scripts begin at this moment, so that there is a past.
const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// How a script went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was as it says.
    Pass,
    /// Something was not; the first difference, in words.
    Fail(String),
    /// It asks for what is not there.
    Unsupported(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Fail(why) => write!(f, "fail: {why}"),
            Self::Unsupported(why) => write!(f, "unsupported: {why}"),
        }
    }
}

/// What is told about one script.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it shows, in its own words.
    pub title: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was passed over.
    pub notes: Vec<String>,
}

/// Reads a script and plays it.
#[must_use]
pub fn run(text: &str) -> Report {
    let report = |title: &str, outcome, notes| Report { title: title.to_owned(), outcome, notes };
    let refused = |refusal: Refusal| match refusal {
        Refusal::Unsupported { .. } => Outcome::Unsupported(refusal.to_string()),
        Refusal::Malformed { .. } => Outcome::Fail(refusal.to_string()),
    };
    let script = match super::read::script(text, |script| setup(script).map(|_| ())) {
        Ok(script) => script,
        Err(refusal) => return report("", refused(refusal), Vec::new()),
    };
    if let Some(class) = script.foreign_class() {
        let why = format!("questions of class {class}, which no resolver follows");
        return report(&script.title, Outcome::Unsupported(why), Vec::new());
    }
    let setup = match setup(&script) {
        Ok(setup) => setup,
        Err(refusal) => return report(&script.title, refused(refusal), Vec::new()),
    };
    let notes = setup.notes.clone();
    let outcome = Player::new(&script, setup).play();
    report(&script.title, outcome, notes)
}

struct Pending {
    number: crate::resolver::QueryId,
    to: SocketAddr,
    transport: Transport,
    octets: Vec<u8>,
    message: Message,
}

struct Asked {
    token: u64,
    query: Message,
    tcp: bool,
}

struct Player<'a> {
    script: &'a Script,
    setup: Marks,
    resolver: Resolver,
    cache: Arc<Cache>,
    now: Instant,
    at: usize,
    step: u64,
    pending: VecDeque<Pending>,
    asked: Vec<Asked>,
    answers: Vec<(Message, bool)>,
    log: Vec<String>,
}

impl<'a> Player<'a> {
    fn new(script: &'a Script, setup: Setup) -> Self {
        let mut random = Random::new(0x5eed);
        let cache = Arc::new(Cache::new(setup.limits, &mut random));
        let secret = HashKey::new(&mut random);
        let zones = Zones::new(secret, Vec::new()).unwrap_or_else(|_| unreachable!("no zone is there twice"));
        let marks = setup.marks;
        Self {
            script,
            setup: marks,
            resolver: Resolver::new(
                Arc::new(setup.config),
                Arc::clone(&cache),
                Published::new(zones),
                random,
            ),
            cache,
            now: START,
            at: 0,
            step: 0,
            pending: VecDeque::new(),
            asked: Vec::new(),
            answers: Vec::new(),
            log: Vec::new(),
        }
    }

    fn play(mut self) -> Outcome {
        let steps: &'a [Step] = &self.script.steps;
        // Queries that ranges answer between two steps.
        let mut answered = 0;
        while let Some(step) = steps.get(self.at) {
            let before = self.at;
            self.step = step.number;
            let checked = matches!(step.action, Action::CheckAnswer(_)) && !self.answers.is_empty();
            let done = if checked || self.replies_now(step) || !self.ranges_answer() {
                // What comes of a step is already the next one's to look at.
                self.at += 1;
                self.act(step)
            } else {
                answered += 1;
                let most = "more queries than a step may have".to_owned();
                if answered > ANSWERED_MAX { Err(most) } else { Ok(()) }
            };
            if let Err(why) = done {
                let mut told = format!("step {} (line {}): {why}", step.number, step.line);
                for line in self.log.iter().rev().take(40).rev() {
                    let _ = write!(told, "\n    {line}");
                }
                return Outcome::Fail(told);
            }
            if self.at != before {
                answered = 0;
            }
        }
        Outcome::Pass
    }

    fn replies_now(&self, step: &Step) -> bool {
        matches!(&step.action, Action::Reply(entry, address) if self.open_for(entry, *address).is_some())
    }

    fn open_for(&self, entry: &Entry, address: Option<IpAddr>) -> Option<usize> {
        self.pending.iter().position(|pending| {
            let tcp = pending.transport != Transport::Udp;
            address.is_none_or(|address| pending.to.ip() == address)
                && fits(&entry.criteria, &entry.message, &pending.message, tcp).is_ok()
        })
    }

    // Lets a range answer one query that is open; false when none can.
    fn ranges_answer(&mut self) -> bool {
        let found = self
            .pending
            .iter()
            .enumerate()
            .find_map(|(index, pending)| self.ranged(pending).map(|entry| (index, entry)));
        let Some((index, entry)) = found else { return false };
        self.reply(index, entry);
        true
    }

    fn ranged(&self, pending: &Pending) -> Option<&'a Entry> {
        let script: &'a Script = self.script;
        let tcp = pending.transport != Transport::Udp;
        script
            .ranges
            .iter()
            .filter(|range| (range.first..=range.last).contains(&self.step))
            .filter(|range| range.addresses.is_empty() || range.addresses.contains(&pending.to.ip()))
            .flat_map(|range| &range.entries)
            .find(|entry| fits(&entry.criteria, &entry.message, &pending.message, tcp).is_ok())
    }

    fn reply(&mut self, index: usize, entry: &Entry) {
        let Some(pending) = self.pending.remove(index) else { return };
        let number = pending.number;
        let mut message = entry.message.clone();
        message.id = pending.message.id;
        if entry.copy_query {
            message.questions = pending.message.questions.clone();
        } else if message.questions == pending.message.questions {
            // Names are compared without regard to case, but servers give it back as it was.
            message.questions = pending.message.questions.clone();
        }
        let octets = match &entry.octets {
            Some(octets) => [&message.id.to_be_bytes()[..], octets.get(2..).unwrap_or_default()].concat(),
            None => message.to_octets().unwrap_or_default(),
        };
        let answers = message.answers.len();
        self.log.push(format!("{} answers {} with {answers} records", pending.to, told(&pending.octets)));
        let input = Input::Response { query: number, from: pending.to, octets: &octets };
        self.resolver.handle(self.now, input);
        if self.resolver.expects(number) {
            // It was no answer to the query, which stays open.
            self.pending.push_front(pending);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.resolver.poll_output() {
            match output {
                Output::Send(send) => {
                    let Ok(message) = Message::read(&send.octets) else { continue };
                    self.pass_check(&message, &send);
                    self.log.push(format!(
                        "asks {} over {}: {}",
                        send.to,
                        send.transport,
                        told(&send.octets)
                    ));
                    self.pending.push_back(Pending {
                        number: send.query,
                        to: send.to,
                        transport: send.transport,
                        octets: send.octets,
                        message,
                    });
                }
                Output::Cancel(number) => self.pending.retain(|pending| pending.number != number),
                Output::Answer(answer) => self.answered(answer),
            }
        }
    }

    // A query is compared at the moment it is sent, before anybody answers it.
    fn pass_check(&mut self, message: &Message, send: &crate::resolver::Send) {
        let script: &'a Script = self.script;
        if let Some(Step { action: Action::CheckOutQuery(entry, address), .. }) = script.steps.get(self.at)
            && address.is_none_or(|address| send.to.ip() == address)
            && fits(&entry.criteria, &entry.message, message, send.transport != Transport::Udp).is_ok()
        {
            self.at += 1;
        }
    }

    fn answered(&mut self, answer: Answer) {
        let Some(at) = self.asked.iter().position(|asked| asked.token == answer.token) else { return };
        let asked = self.asked.remove(at);
        for step in &answer.steps {
            self.log.push(format!("  {:depth$}{}", "", step.what, depth = usize::from(step.depth) * 2));
        }
        let mut flags = asked.query.flags.0 & (Flags::RD | Flags::CD) | Flags::QR | Flags::RA;
        if answer.authoritative {
            flags |= Flags::AA;
        }
        flags |= answer.rcode.0 & 15;
        let Marks { extended_errors: every, stale_extended_error: stale, .. } = self.setup;
        let mut options = Vec::new();
        for (code, text) in &answer.extended_error {
            if every && (stale || !answer.stale || !matches!(code, 3 | 19)) && options.is_empty() {
                options::EdnsOption::ExtendedError(options::ExtendedError {
                    code: *code,
                    text: text.as_bytes(),
                })
                .write(&mut options);
            }
        }
        let edns = asked.query.edns.as_ref().map(|theirs| Edns {
            udp_octets_max: 1232,
            flags: theirs.flags & edns::DO,
            rcode_high: (answer.rcode.0 >> 4) as u8,
            options,
            ..Edns::default()
        });
        let message = Message {
            id: asked.query.id,
            flags: Flags(flags),
            questions: asked.query.questions,
            answers: answer.answers,
            authorities: answer.authorities,
            additionals: answer.additionals,
            edns,
        };
        self.log.push(format!(
            "a client is answered {} with {} records",
            answer.rcode,
            message.answers.len()
        ));
        self.answers.push((message, asked.tcp));
    }

    fn find(&self, address: Option<IpAddr>) -> Option<usize> {
        self.pending.iter().position(|pending| address.is_none_or(|address| pending.to.ip() == address))
    }

    fn act(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::Query(entry, client) => self.ask(entry, *client),
            Action::CheckAnswer(entry) => self.check_answer(entry),
            Action::CheckOutQuery(entry, address) => {
                self.check_query(entry, *address)?;
                // An entry that is a response is the answer, too.
                if entry.message.flags.has(Flags::QR)
                    && let Some(at) = self.open_for(entry, *address)
                {
                    self.reply(at, entry);
                }
                Ok(())
            }
            Action::Reply(entry, address) => {
                let at = self.open_for(entry, *address).ok_or("no open query that this reply is for")?;
                self.reply(at, entry);
                Ok(())
            }
            Action::Timeout(address) => self.fail(*address, SendFailure::TimedOut),
            Action::Error(address) => self.fail(*address, SendFailure::Refused),
            Action::TimePasses(span) => {
                let end = self.now + *span;
                while let Some(at) = self.resolver.next_timeout().filter(|at| *at <= end) {
                    self.now = self.now.max(at);
                    self.resolver.handle(self.now, Input::Timeout);
                    self.drain();
                }
                self.now = end;
                Ok(())
            }
            Action::Flush(question) => {
                let (name, kind) = (Some(question.name.clone()), Some(question.kind));
                self.cache.flush(&Filter { name, kind, subtree: None });
                Ok(())
            }
            Action::Nothing | Action::Traffic | Action::RoundTripTime => Ok(()),
        }
    }

    fn fail(&mut self, address: Option<IpAddr>, why: SendFailure) -> Result<(), String> {
        let at = self.find(address).ok_or("no query is open")?;
        let Some(pending) = self.pending.remove(at) else { return Ok(()) };
        self.log.push(format!("{}: {why}", pending.to));
        self.resolver.handle(self.now, Input::Failure { query: pending.number, why });
        self.drain();
        Ok(())
    }

    fn ask(&mut self, entry: &Entry, client: Option<IpAddr>) -> Result<(), String> {
        let message = &entry.message;
        let question: Question = message.questions.first().ok_or("a query without a question")?.clone();
        let token = step_token(self.step, self.asked.len());
        self.log.push(format!("a client asks {question}"));
        self.asked.push(Asked { token, query: message.clone(), tcp: entry.criteria.tcp });
        let mut ask = Ask::new(token, question);
        ask.client = client;
        ask.explain = true;
        ask.recursion = message.flags.has(Flags::RD);
        ask.checking_disabled = message.flags.has(Flags::CD);
        ask.dnssec = message.edns.as_ref().is_some_and(|edns| edns.flags & edns::DO != 0);
        self.resolver.handle(self.now, Input::Ask(ask));
        self.drain();
        Ok(())
    }

    fn check_answer(&mut self, entry: &Entry) -> Result<(), String> {
        let mut first = None;
        let mut expected = entry.message.clone();
        if self.setup.validates {
            expected.flags.0 &= !Flags::AD;
        }
        for (index, (answer, tcp)) in self.answers.iter().enumerate() {
            match fits(&entry.criteria, &expected, answer, *tcp) {
                Ok(()) => {
                    self.answers.remove(index);
                    return Ok(());
                }
                Err(why) => {
                    first.get_or_insert(why);
                }
            }
        }
        Err(first.unwrap_or_else(|| "no answer is there".to_owned()))
    }

    fn check_query(&self, entry: &Entry, address: Option<IpAddr>) -> Result<(), String> {
        let mut first = None;
        for pending in &self.pending {
            if address.is_some_and(|address| pending.to.ip() != address) {
                continue;
            }
            let tcp = pending.transport != Transport::Udp;
            match fits(&entry.criteria, &entry.message, &pending.message, tcp) {
                Ok(()) => return Ok(()),
                Err(why) => {
                    first.get_or_insert(why);
                }
            }
        }
        Err(first.unwrap_or_else(|| "no query is open".to_owned()))
    }
}

const fn step_token(step: u64, count: usize) -> u64 {
    step << 16 | count as u64
}

fn told(octets: &[u8]) -> String {
    match Message::read(octets) {
        Ok(message) => message.questions.first().map_or_else(String::new, ToString::to_string),
        Err(_) => "octets".to_owned(),
    }
}

/// Whether `message` is what `expected` says, as far as `criteria` look; if not, how it differs.
fn fits(criteria: &Criteria, expected: &Message, message: &Message, tcp: bool) -> Result<(), String> {
    let differs = |what: &str, wanted: &dyn fmt::Display, got: &dyn fmt::Display| {
        Err(format!("{what}: expected {wanted}, got {got}"))
    };
    let (wanted, got) = (expected.questions.first(), message.questions.first());
    if criteria.udp && tcp || criteria.tcp && !tcp {
        return Err("the wrong transport".to_owned());
    }
    if (criteria.opcode || criteria.all) && expected.flags.opcode() != message.flags.opcode() {
        return differs("opcode", &expected.flags.opcode(), &message.flags.opcode());
    }
    if criteria.qtype && wanted.map(|question| question.kind) != got.map(|question| question.kind) {
        return Err("another QTYPE".to_owned());
    }
    if criteria.qname && wanted.map(|question| &question.name) != got.map(|question| &question.name) {
        return Err("another QNAME".to_owned());
    }
    if criteria.subdomain && !wanted.zip(got).is_some_and(|(above, below)| below.name.is_within(&above.name))
    {
        return Err("not a subdomain".to_owned());
    }
    if (criteria.question || criteria.all) && wanted != got {
        let text = |question: Option<&Question>| question.map_or("none".to_owned(), ToString::to_string);
        return differs("question", &text(wanted), &text(got));
    }
    if (criteria.rcode || criteria.all) && expected.rcode() != message.rcode() {
        return differs("rcode", &expected.rcode(), &message.rcode());
    }
    if criteria.flags || criteria.all {
        let flags = |flags: Flags| flags.0 & !(Flags::OPCODE | 15);
        if flags(expected.flags) != flags(message.flags) {
            return differs("flags", &flag_names(expected.flags), &flag_names(message.flags));
        }
    }
    let dnssec = |message: &Message| message.edns.as_ref().is_some_and(|edns| edns.flags & edns::DO != 0);
    if criteria.dnssec && !dnssec(message) {
        return Err("DO is not set".to_owned());
    }
    if criteria.no_edns && message.edns.is_some() {
        return Err("there is an OPT record".to_owned());
    }
    let options = |message: &Message| message.edns.as_ref().map(|edns| edns.options.clone());
    if criteria.edns_options && options(expected) != options(message) {
        return Err("other EDNS options".to_owned());
    }
    if let Some(code) = criteria.extended_error {
        let edns = message.edns.as_ref();
        let given = edns.and_then(|edns| options::find(&edns.options, options::code::EXTENDED_ERROR));
        let given = given.and_then(|value| value.first_chunk::<2>()).map(|code| u16::from_be_bytes(*code));
        if given.is_none() || code.is_some() && given != code {
            return Err(format!("extended error: expected {code:?}, got {given:?}"));
        }
    }
    if criteria.answer || criteria.all {
        section("answer", &expected.answers, &message.answers, criteria.ttl)?;
    }
    if criteria.all {
        section("authority", &expected.authorities, &message.authorities, criteria.ttl)?;
        section("additional", &expected.additionals, &message.additionals, criteria.ttl)?;
    }
    Ok(())
}

fn flag_names(flags: Flags) -> String {
    let named = [
        (Flags::QR, "QR"),
        (Flags::AA, "AA"),
        (Flags::TC, "TC"),
        (Flags::RD, "RD"),
        (Flags::RA, "RA"),
        (Flags::AD, "AD"),
        (Flags::CD, "CD"),
    ];
    named.iter().filter(|(bit, _)| flags.has(*bit)).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

// Sections are compared as sets of records.
fn section(name: &str, expected: &[Record], got: &[Record], ttl: bool) -> Result<(), String> {
    let line = |record: &Record| {
        let mut record = record.clone();
        record.name = record.name.lowered();
        if !ttl {
            record.ttl = 0;
        }
        let mut canonical = Vec::new();
        crate::wire::rdata::canonical(record.kind, &record.rdata, &mut canonical);
        if record.kind != Type::RRSIG {
            record.rdata = canonical;
        }
        record.to_string()
    };
    let mut wanted: Vec<String> = expected.iter().map(line).collect();
    let mut there: Vec<String> = got.iter().map(line).collect();
    wanted.sort();
    there.sort();
    if wanted == there {
        return Ok(());
    }
    let missing = wanted.iter().find(|line| !there.contains(line));
    let extra = there.iter().find(|line| !wanted.contains(line));
    let mut told = format!("the {name} section has {} records, expected {}", there.len(), wanted.len());
    if let Some(line) = missing {
        let _ = write!(told, "; missing: {line}");
    }
    if let Some(line) = extra {
        let _ = write!(told, "; not expected: {line}");
    }
    Err(told)
}
