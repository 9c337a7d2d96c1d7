//! `doorway nslookup`: one question, or a conversation, in the form of BIND's `nslookup`.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use doorway_dns::client::{Lookup, Transport, report, reverse};
use doorway_dns::wire::rtype::Field;
use doorway_dns::wire::{Class, Flags, Message, Name, Rcode, Record, Type, rdata};

use super::asking::{Asking, Got, Server};
use super::dig::records;
use crate::cli::Options;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Screen;

/// Lines that are read of a conversation at most.
const LINES_MAX: usize = 1_000_000;

const HELP: &str = "\
NAME [SERVER]          ask about a name or an address
server SERVER          ask this server from here on
set type=TYPE          ask for this type (any of them, such as MX, TXT, SOA)
set port=PORT          ask at this port
set debug, nodebug     show whole answers
set vc, novc           ask over TCP
set recurse, norecurse let the server ask others
set timeout=SECONDS, retry=N, class=CLASS
set all                show what is set
exit                   end\n";

/// Asks once when there is a name, and otherwise reads commands until the end.
pub(super) fn nslookup(options: &Options, words: &[String], screen: &mut Screen) -> Result<Exit, Failure> {
    let asking = Asking::start(options)?;
    let mut talk = Talk { asking, screen, lookup: Lookup::default(), debug: false, typed: false };
    let mut rest = Vec::new();
    for word in words {
        match word.strip_prefix('-').filter(|option| !option.is_empty()) {
            Some(option) => talk.set(option)?,
            None => rest.push(word.as_str()),
        }
    }
    match rest[..] {
        [name] => talk.ask(name, None),
        [name, server] => talk.ask(name, Some(server)),
        [] => talk.converse(),
        _ => Err(Failure::new("there is one name and at most one server").exit(Exit::Wrong)),
    }
}

struct Talk<'s> {
    asking: Asking,
    screen: &'s mut Screen,
    lookup: Lookup,
    debug: bool,
    typed: bool,
}

impl Talk<'_> {
    fn converse(&mut self) -> Result<Exit, Failure> {
        let input = std::io::stdin();
        let prompt = input.is_terminal();
        let mut lines = input.lock().lines();
        for _ in 0..LINES_MAX {
            if prompt {
                self.screen.text("> ");
            }
            let Some(Ok(line)) = lines.next() else { break };
            let words: Vec<&str> = line.split_whitespace().collect();
            let done = match words[..] {
                [] => Ok(Exit::Done),
                ["exit" | "quit"] => break,
                ["help" | "?"] => {
                    self.screen.text(HELP);
                    Ok(Exit::Done)
                }
                ["server" | "lserver", server] => self.server(server).map(|()| Exit::Done),
                ["set", option] => self.set(option).map(|()| Exit::Done),
                [name] => self.ask(name, None),
                [name, server] => self.ask(name, Some(server)),
                _ => Err(Failure::new(format!("`{line}` is not understood")).fix("`help` lists what is")),
            };
            if let Err(failure) = done {
                // A conversation goes on after a mistake.
                self.screen.failure(&failure);
            }
        }
        Ok(Exit::Done)
    }

    fn server(&mut self, server: &str) -> Result<(), Failure> {
        let lookup = Lookup { server: Some(server.to_owned()), ..self.lookup.clone() };
        let servers = self.asking.servers(&lookup)?;
        self.lookup = lookup;
        let Some(first) = servers.first() else { return Ok(()) };
        self.screen.text(&format!("Default server: {server}\nAddress: {}\n", place(first)));
        Ok(())
    }

    fn set(&mut self, option: &str) -> Result<(), Failure> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let wrong = |fix: &str| Failure::new(format!("`{option}` cannot be set")).fix(fix).exit(Exit::Wrong);
        let number = |fix: &str| value.parse::<u16>().ok().filter(|n| *n > 0).ok_or_else(|| wrong(fix));
        match name.to_ascii_lowercase().as_str() {
            "type" | "querytype" | "ty" | "q" | "qu" => {
                let kind = Type::from_text(value.as_bytes()).ok_or_else(|| wrong("such as type=MX"))?;
                (self.lookup.kind, self.typed) = (kind, true);
            }
            "class" | "cl" => {
                let class = Class::from_text(value.as_bytes()).ok_or_else(|| wrong("such as class=CH"))?;
                self.lookup.class = class;
            }
            "port" | "po" => self.lookup.port = Some(number("port=1 to port=65535")?),
            "timeout" => self.lookup.time = Duration::from_secs(number("such as timeout=5")?.into()),
            "retry" => self.lookup.tries = u32::from(number("such as retry=3")?).min(100),
            "debug" | "d2" => self.debug = true,
            "nodebug" | "nod2" => self.debug = false,
            "vc" => self.lookup.transport = Transport::Tcp,
            "novc" => self.lookup.transport = Transport::Udp,
            "recurse" => self.lookup.recursion = true,
            "norecurse" => self.lookup.recursion = false,
            // Names are asked about as they are typed, so these change nothing.
            "search" | "nosearch" | "defname" | "nodefname" | "fail" | "nofail" => {}
            "all" => self.tell_settings(),
            _ => return Err(wrong("`help` lists what can be")),
        }
        Ok(())
    }

    fn tell_settings(&mut self) {
        let Lookup { kind, class, time, tries, recursion, transport, .. } = &self.lookup;
        let kind = if self.typed { kind.to_string() } else { "A, AAAA".to_owned() };
        let no = |on: bool| if on { "" } else { "no" };
        let text = format!(
            "Set options:\n  {}vc\t\t\t{}debug\n  {}recurse\n  timeout = {}\t\tretry = {tries}\tport = {}\n  querytype = {kind}\tclass = {class}\n",
            no(*transport == Transport::Tcp),
            no(self.debug),
            no(*recursion),
            time.as_secs(),
            self.lookup.port(),
        );
        self.screen.text(&text);
    }

    fn ask(&mut self, name: &str, server: Option<&str>) -> Result<Exit, Failure> {
        let mut lookup = Lookup { authentic: false, ..self.lookup.clone() };
        if let Some(server) = server {
            lookup.server = Some(server.to_owned());
        }
        let kinds = match name.parse() {
            Ok(address) if !self.typed => {
                lookup.name = reverse(address);
                vec![Type::PTR]
            }
            _ => {
                let what = format!("`{name}` is no name");
                lookup.name =
                    name.parse().map_err(|fault| Failure::new(what).why(fault).exit(Exit::Wrong))?;
                if self.typed { vec![lookup.kind] } else { vec![Type::A, Type::AAAA] }
            }
        };
        let servers = self.asking.servers(&lookup)?;
        let mut told = 0;
        let mut documents = Vec::new();
        let mut last = None;
        for (number, kind) in kinds.iter().enumerate() {
            let lookup = Lookup { kind: *kind, ..lookup.clone() };
            let screen = &mut *self.screen;
            let json = screen.is_json();
            let mut note = |line: &str| {
                if !json {
                    screen.text(line);
                }
            };
            let Some(got) = self.asking.ask(&lookup, &servers, &mut note)? else {
                self.screen.text(";; no servers could be reached\n\n");
                return Ok(Exit::NoAnswer);
            };
            if json {
                documents.extend(records(&got.message.answers));
                continue;
            }
            if number == 0 {
                let server = Server { typed: got.arrival.typed.clone(), address: got.arrival.server };
                self.screen.text(&format!("Server:\t\t{}\nAddress:\t{}\n\n", server.typed, place(&server)));
            }
            let rcode = got.message.rcode();
            if rcode != Rcode::NOERROR {
                let name = bare(&lookup.name);
                self.screen.text(&format!("** server can't find {name}: {rcode}\n\n"));
                return Ok(Exit::Failed);
            }
            if self.debug {
                let text = report::message(&got.message, &got.octets, &lookup, false, &got.cookie);
                self.screen.text(&text);
            }
            told += self.tell(&got, number, told);
            last = Some(got.message);
        }
        if self.screen.is_json() {
            self.screen.document(&serde_json::json!({ "answer": documents }));
            return Ok(Exit::Done);
        }
        if told == 0 {
            let name = bare(&lookup.name);
            self.screen.text(&format!("*** Can't find {name}: No answer\n"));
        }
        let mut text = "\n".to_owned();
        let addresses = matches!(kinds.last(), Some(&Type::A | &Type::AAAA));
        if let Some(message) = last.filter(|message| !addresses && !message.flags.has(Flags::AA)) {
            text.push_str("Authoritative answers can be found from:\n");
            message
                .authorities
                .iter()
                .chain(&message.additionals)
                .for_each(|record| text.push_str(&line(record)));
        }
        self.screen.text(&text);
        Ok(Exit::Done)
    }

    // Prints the answer section; returns how many records it has.
    fn tell(&mut self, got: &Got, number: usize, told: usize) -> usize {
        let Message { answers, flags, .. } = &got.message;
        let mut text = String::new();
        if number == 0 && !flags.has(Flags::AA) {
            text.push_str("Non-authoritative answer:\n");
        }
        // The aliases stood before the first type's addresses already.
        let new = |record: &&Record| number == 0 || told == 0 || record.kind != Type::CNAME;
        answers.iter().filter(new).for_each(|record| text.push_str(&line(record)));
        self.screen.text(&text);
        answers.len()
    }
}

fn place(server: &Server) -> String {
    format!("{}#{}", server.address.ip(), server.address.port())
}

fn bare(name: &Name) -> String {
    let text = name.to_string();
    if name.is_root() { text } else { text.trim_end_matches('.').to_owned() }
}

// One record as nslookup words it.
fn line(record: &Record) -> String {
    let (name, data) = (bare(&record.name), report::data(record, 0));
    match record.kind {
        Type::A | Type::AAAA => format!("Name:\t{name}\nAddress: {data}\n"),
        Type::CNAME => format!("{name}\tcanonical name = {data}\n"),
        Type::DNAME => format!("{name}\tdname = {data}\n"),
        Type::NS => format!("{name}\tnameserver = {data}\n"),
        Type::PTR => format!("{name}\tname = {data}\n"),
        Type::MX => format!("{name}\tmail exchanger = {data}\n"),
        Type::TXT => format!("{name}\ttext = {data}\n"),
        Type::SRV => format!("{name}\tservice = {data}\n"),
        Type::SOA => start_of_authority(&name, record),
        kind => format!("{name}\trdata_{} = {data}\n", kind.0),
    }
}

fn start_of_authority(name: &str, record: &Record) -> String {
    let mut text = format!("{name}\n");
    let mut titles = ["origin", "mail addr", "serial", "refresh", "retry", "expire", "minimum"].into_iter();
    rdata::for_each_field(record.kind, &record.rdata, |field, octets| {
        let value = match field {
            Field::CompressibleName => bare(&Name::from_wire(octets).unwrap_or_default()),
            _ => octets
                .first_chunk::<4>()
                .map_or_else(String::new, |four| u32::from_be_bytes(*four).to_string()),
        };
        text.push_str(&format!("\t{} = {value}\n", titles.next().unwrap_or_default()));
    });
    text
}
