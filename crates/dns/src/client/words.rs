//! The words of a `dig` command line, read as BIND's `dig` reads them.
//!
//! Words before the first name hold for every lookup of the line, words after a name for that one alone.
//! A `+word` may be cut short as long as it stays the only one of that beginning.

use core::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::reverse;
use crate::wire::options::ClientSubnet;
use crate::wire::rdata::from_base64;
use crate::wire::tsig::{Algorithm, Key, SECRET_OCTETS_MAX};
use crate::wire::{Class, Name, Type};

/// Lookups of one command line at most.
pub const LOOKUPS_MAX: usize = 1000;

/// What is wrong with a command line, and what to write in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What cannot be read.
    pub what: String,
    /// What would be right.
    pub fix: String,
}

/// What carries a lookup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Transport {
    /// A datagram, and TCP when the answer is cut short.
    #[default]
    Udp,
    /// TCP from the start.
    Tcp,
    /// TLS: RFC 7858. With a name the certificate has to be good for it.
    Tls(Option<String>),
}

/// The cookie to send: RFC 7873.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cookie {
    /// None.
    Off,
    /// A random client cookie.
    #[default]
    Random,
    /// These octets.
    Given(Vec<u8>),
}

/// Which parts of an answer are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// The line that repeats the command.
    pub command: bool,
    /// Header, headings and remarks.
    pub comments: bool,
    /// The question section.
    pub question: bool,
    /// The answer section.
    pub answer: bool,
    /// The authority section.
    pub authority: bool,
    /// The additional section.
    pub additional: bool,
    /// Time, server and size.
    pub statistics: bool,
    /// The TTL of each record.
    pub ttl: bool,
    /// The class of each record.
    pub class: bool,
    /// SOA records over several lines, with remarks.
    pub multiline: bool,
    /// The query too, before it is sent.
    pub query: bool,
    /// Digits in one run of long data in hexadecimal or base 64; 0 leaves it whole.
    pub split: usize,
}

impl Default for Show {
    fn default() -> Self {
        Self {
            command: true,
            comments: true,
            question: true,
            answer: true,
            authority: true,
            additional: true,
            statistics: true,
            ttl: true,
            class: true,
            multiline: false,
            query: false,
            split: 56,
        }
    }
}

impl Show {
    fn all(&mut self, on: bool) {
        let Self { command, comments, question, answer, authority, additional, statistics, .. } = self;
        for part in [command, comments, question, answer, authority, additional, statistics] {
            *part = on;
        }
    }
}

/// One question, and how it is asked.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line of its own")]
pub struct Lookup {
    /// QNAME.
    pub name: Name,
    /// QTYPE.
    pub kind: Type,
    /// QCLASS.
    pub class: Class,
    /// The serial that an IXFR starts from.
    pub serial: u32,
    /// The server as it was typed, without the `@`.
    pub server: Option<String>,
    /// Its port; without one it is that of the transport.
    pub port: Option<u16>,
    /// Only addresses of this family: `Some(true)` is IPv6.
    pub v6: Option<bool>,
    /// The key that signs the query.
    pub key: Option<Arc<Key>>,
    /// What carries it.
    pub transport: Transport,
    /// Ask by datagram even for ANY.
    pub datagram: bool,
    /// Follow the delegations from the root.
    pub trace: bool,
    /// Print the data of the answer and nothing else.
    pub short: bool,
    /// With it, say which server gave the answer.
    pub identify: bool,
    /// Print JSON.
    pub json: bool,
    /// Label every octet.
    pub annotate: bool,
    /// DO: signatures too.
    pub dnssec: bool,
    /// CD: the server is not to validate.
    pub checking_disabled: bool,
    /// AD: the server may tell whether it validated (RFC 6840 §5.7).
    pub authentic: bool,
    /// AA, which means nothing in a query.
    pub authoritative: bool,
    /// RD.
    pub recursion: bool,
    /// The bit that RFC 1035 keeps for later.
    pub reserved: bool,
    /// The opcode.
    pub opcode: u8,
    /// The EDNS version; `None` for a query without OPT.
    pub edns: Option<u8>,
    /// Flags of OPT beside DO.
    pub edns_flags: u16,
    /// The UDP payload size in OPT, in octets.
    pub udp_octets: u16,
    /// The cookie.
    pub cookie: Cookie,
    /// Ask for the name of the server.
    pub server_id: bool,
    /// Ask when a secondary would give the zone up.
    pub expire: bool,
    /// Ask how long the connection may stay.
    pub keepalive: bool,
    /// The network for which is asked.
    pub subnet: Option<ClientSubnet>,
    /// Other options.
    pub options: Vec<(u16, Vec<u8>)>,
    /// Take an answer that is cut short as it is.
    pub ignore_truncation: bool,
    /// How long one attempt may take.
    pub time: Duration,
    /// Attempts over UDP.
    pub tries: u32,
    /// What is printed.
    pub show: Show,
    /// The type was named, and did not come of itself.
    pub typed: bool,
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            name: Name::root(),
            kind: Type::A,
            class: Class::IN,
            serial: 0,
            server: None,
            port: None,
            v6: None,
            key: None,
            transport: Transport::Udp,
            trace: false,
            short: false,
            identify: false,
            datagram: false,
            json: false,
            annotate: false,
            dnssec: false,
            checking_disabled: false,
            authentic: true,
            authoritative: false,
            recursion: true,
            reserved: false,
            opcode: 0,
            edns: Some(0),
            edns_flags: 0,
            udp_octets: 1232,
            cookie: Cookie::Random,
            server_id: false,
            expire: false,
            keepalive: false,
            subnet: None,
            options: Vec::new(),
            ignore_truncation: false,
            time: Duration::from_secs(5),
            tries: 3,
            show: Show::default(),
            typed: false,
        }
    }
}

impl Lookup {
    /// The port that is asked.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if matches!(self.transport, Transport::Tls(_)) { 853 } else { 53 })
    }

    /// Whether the answer is a whole zone, or what changed of it.
    #[must_use]
    pub fn is_transfer(&self) -> bool {
        matches!(self.kind, Type::AXFR | Type::IXFR)
    }
}

/// Reads the words of a command line.
///
/// # Errors
/// The first word that cannot be understood.
pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Vec<Lookup>, Wrong> {
    let mut line = Line::default();
    let mut rest = words.iter().map(AsRef::as_ref);
    while let Some(word) = rest.next() {
        match word.split_at_checked(1) {
            Some(("@", server)) if !server.is_empty() => line.current().server = Some(server.to_owned()),
            Some(("+", option)) => plus(line.current(), option)?,
            Some(("-", option)) if !option.is_empty() => line.dash(option, &mut rest)?,
            _ => line.bare(word)?,
        }
    }
    if line.lookups.is_empty() {
        let mut lookup = line.before;
        if !lookup.typed {
            lookup.kind = Type::NS;
        }
        line.lookups.push(lookup);
    }
    let short = line.lookups.last().is_some_and(|lookup| lookup.short);
    for lookup in &mut line.lookups {
        // As with BIND, the short form is that of the whole line.
        lookup.short = short;
        // RFC 8482: over UDP most servers leave nearly all of it out.
        if lookup.kind == Type::ANY && lookup.transport == Transport::Udp && !lookup.datagram {
            lookup.transport = Transport::Tcp;
        }
    }
    Ok(line.lookups)
}

#[derive(Default)]
struct Line {
    before: Lookup,
    lookups: Vec<Lookup>,
}

impl Line {
    fn current(&mut self) -> &mut Lookup {
        self.lookups.last_mut().unwrap_or(&mut self.before)
    }

    fn bare(&mut self, word: &str) -> Result<(), Wrong> {
        if let Some((kind, serial)) = kind(word) {
            let lookup = self.current();
            (lookup.kind, lookup.serial, lookup.typed) = (kind, serial, true);
            return Ok(());
        }
        if let Some(class) = Class::from_text(word.as_bytes()) {
            self.current().class = class;
            return Ok(());
        }
        self.name(word)
    }

    fn name(&mut self, word: &str) -> Result<(), Wrong> {
        let name = word.parse().map_err(|fault| {
            wrong(format!("`{word}` is no name: {fault}"), "labels of up to 63 octets with dots between them")
        })?;
        self.add(|lookup| lookup.name = name)
    }

    fn add(&mut self, set: impl FnOnce(&mut Lookup)) -> Result<(), Wrong> {
        if self.lookups.len() >= LOOKUPS_MAX {
            return Err(wrong("there are too many lookups on one line", "split the line"));
        }
        let mut lookup = self.before.clone();
        lookup.short = self.current().short;
        set(&mut lookup);
        self.lookups.push(lookup);
        Ok(())
    }

    fn dash<'w>(&mut self, option: &'w str, rest: &mut impl Iterator<Item = &'w str>) -> Result<(), Wrong> {
        let (letter, joined) = option.split_at_checked(1).unwrap_or((option, ""));
        match option {
            "4" | "6" => self.current().v6 = Some(option == "6"),
            // Neither a file of usual options nor microseconds exist here.
            "r" | "u" => {}
            _ if "ptcqxy".contains(letter) => {
                let value = if joined.is_empty() { rest.next() } else { Some(joined) };
                let value = value.ok_or_else(|| wrong(format!("`-{letter}` needs a value"), DASHES))?;
                return self.dash_value(letter, value);
            }
            _ => return Err(wrong(format!("`-{option}` is not known"), DASHES)),
        }
        Ok(())
    }

    fn dash_value(&mut self, letter: &str, value: &str) -> Result<(), Wrong> {
        match letter {
            "p" => {
                let port = value.parse().ok().filter(|port| *port > 0);
                self.current().port =
                    Some(port.ok_or_else(|| wrong(format!("`{value}` is no port"), "-p 1 to -p 65535"))?);
            }
            "t" => {
                let (kind, serial) = kind(value)
                    .ok_or_else(|| wrong(format!("`{value}` is no type"), "such as A, MX or TYPE65534"))?;
                let lookup = self.current();
                (lookup.kind, lookup.serial, lookup.typed) = (kind, serial, true);
            }
            "c" => {
                let class = Class::from_text(value.as_bytes());
                let fix = "IN, CH, HS or such as CLASS32";
                self.current().class = class.ok_or_else(|| wrong(format!("`{value}` is no class"), fix))?;
            }
            "q" => self.name(value)?,
            "x" => {
                let address: IpAddr = value.parse().map_err(|_| {
                    wrong(format!("`{value}` is no address"), "-x 192.0.2.1 or -x 2001:db8::1")
                })?;
                self.add(|lookup| {
                    lookup.name = reverse(address);
                    if !lookup.typed {
                        lookup.kind = Type::PTR;
                    }
                })?;
            }
            _ => self.current().key = Some(Arc::new(key(value)?)),
        }
        Ok(())
    }
}

const DASHES: &str = "-4, -6, -p PORT, -t TYPE, -c CLASS, -q NAME, -x ADDRESS, -y [ALGORITHM:]NAME:SECRET";

fn wrong(what: impl Into<String>, fix: impl Into<String>) -> Wrong {
    Wrong { what: what.into(), fix: fix.into() }
}

// `ixfr=7` is IXFR from serial 7.
fn kind(word: &str) -> Option<(Type, u32)> {
    if let Some((head, serial)) = word.split_once('=')
        && head.eq_ignore_ascii_case("ixfr")
    {
        return Some((Type::IXFR, serial.parse().ok()?));
    }
    Some((Type::from_text(word.as_bytes())?, 0))
}

fn key(value: &str) -> Result<Key, Wrong> {
    const FIX: &str = "-y hmac-sha256:NAME:SECRET, with the secret in base64";
    let parts: Vec<&str> = value.split(':').collect();
    let (algorithm, name, secret) = match parts[..] {
        [name, secret] => ("hmac-sha256", name, secret),
        [algorithm, name, secret] => (algorithm, name, secret),
        _ => return Err(wrong("a key has a name and a secret", FIX)),
    };
    let algorithm = Algorithm::from_text(algorithm)
        .ok_or_else(|| wrong(format!("`{algorithm}` is no algorithm"), FIX))?;
    let name: Name = name.parse().map_err(|_| wrong(format!("`{name}` is no name of a key"), FIX))?;
    let secret = from_base64(secret).filter(|secret| secret.len() <= SECRET_OCTETS_MAX);
    let secret = secret.ok_or_else(|| wrong("the secret of the key is not base64", FIX))?;
    Ok(Key::new(&name, algorithm, &secret))
}

// Every `+word`. Those that change nothing here are read, since scripts have them.
const OPTIONS: [&str; 61] = [
    "aaflag",
    "aaonly",
    "additional",
    "adflag",
    "all",
    "annotate",
    "answer",
    "authority",
    "badcookie",
    "besteffort",
    "bufsize",
    "cdflag",
    "class",
    "cmd",
    "comments",
    "cookie",
    "crypto",
    "defname",
    "dnssec",
    "do",
    "edns",
    "ednsflags",
    "ednsnegotiation",
    "ednsopt",
    "expire",
    "identify",
    "idnin",
    "idnout",
    "ignore",
    "json",
    "keepalive",
    "keepopen",
    "multiline",
    "ndots",
    "nsid",
    "onesoa",
    "opcode",
    "qr",
    "question",
    "rdflag",
    "recurse",
    "retry",
    "rrcomments",
    "search",
    "short",
    "showsearch",
    "split",
    "stats",
    "subnet",
    "tcp",
    "time",
    "timeout",
    "tls",
    "tls-hostname",
    "trace",
    "tries",
    "ttlid",
    "unknownformat",
    "vc",
    "zflag",
    "zoneversion",
];

#[expect(clippy::too_many_lines, reason = "one arm for each option reads best in one place")]
fn plus(lookup: &mut Lookup, option: &str) -> Result<(), Wrong> {
    let (typed, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
    let typed = typed.to_ascii_lowercase();
    let (name, on) = match (find(&typed), typed.strip_prefix("no").and_then(find)) {
        (Some(name), _) => (name, true),
        (None, Some(name)) => (name, false),
        (None, None) => return Err(unknown(&typed)),
    };
    let needs =
        |example: &str| wrong(format!("`+{option}` needs a value"), format!("such as +{name}={example}"));
    let number = |max: u32, example: &str| {
        let number = value.ok_or_else(|| needs(example))?;
        let read = match number.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        };
        let fix = || wrong(format!("`+{option}` is out of bounds"), format!("a number from 0 to {max}"));
        read.filter(|read| *read <= max).ok_or_else(fix)
    };
    let show = &mut lookup.show;
    match name {
        "all" => show.all(on),
        "additional" => show.additional = on,
        "answer" => show.answer = on,
        "authority" => show.authority = on,
        "class" => show.class = on,
        "cmd" => show.command = on,
        "comments" => show.comments = on,
        "multiline" => show.multiline = on,
        "qr" => show.query = on,
        "question" => show.question = on,
        "split" => show.split = if on { number(10_000, "56")? as usize } else { 0 },
        "stats" => show.statistics = on,
        "ttlid" => show.ttl = on,
        "annotate" => lookup.annotate = on,
        "json" => lookup.json = on,
        "short" => lookup.short = on,
        "trace" => {
            lookup.trace = on;
            if on {
                // As each delegation is asked for itself, signatures show where a zone is signed.
                (lookup.recursion, lookup.dnssec) = (false, true);
            }
        }
        "identify" => lookup.identify = on,
        "tcp" | "vc" if !on => (lookup.transport, lookup.datagram) = (Transport::Udp, true),
        "tcp" | "vc" => lookup.transport = Transport::Tcp,
        "tls" => lookup.transport = if on { Transport::Tls(None) } else { Transport::Udp },
        "tls-hostname" => {
            let host = value.ok_or_else(|| needs("dns.example.org"))?;
            lookup.transport = Transport::Tls(on.then(|| host.to_owned()));
        }
        "dnssec" | "do" => lookup.dnssec = on,
        "cdflag" => lookup.checking_disabled = on,
        "adflag" => lookup.authentic = on,
        "aaflag" | "aaonly" => lookup.authoritative = on,
        "rdflag" | "recurse" => lookup.recursion = on,
        "zflag" => lookup.reserved = on,
        "opcode" => lookup.opcode = if on { number(15, "5")? as u8 } else { 0 },
        "edns" => {
            lookup.edns = match (on, value) {
                (false, _) => None,
                (true, None) => Some(0),
                (true, Some(_)) => Some(number(255, "0")? as u8),
            };
        }
        "ednsflags" => lookup.edns_flags = if on { number(0xffff, "0x40")? as u16 } else { 0 },
        "bufsize" => lookup.udp_octets = if on { number(0xffff, "1232")? as u16 } else { 0 },
        "cookie" => {
            lookup.cookie = match (on, value) {
                (false, _) => Cookie::Off,
                (true, None) => Cookie::Random,
                (true, Some(digits)) => {
                    let fix = "hexadecimal digits of 8 octets, or of 16 to 40";
                    let octets = hex(digits).filter(|o| o.len() == 8 || (16..=40).contains(&o.len()));
                    Cookie::Given(octets.ok_or_else(|| wrong(format!("`{digits}` is no cookie"), fix))?)
                }
            };
        }
        "nsid" => lookup.server_id = on,
        "expire" => lookup.expire = on,
        "keepalive" => lookup.keepalive = on,
        "zoneversion" => {
            let code = crate::wire::options::code::ZONEVERSION;
            lookup.options.retain(|(other, _)| *other != code);
            if on {
                lookup.options.push((code, Vec::new()));
            }
        }
        "subnet" => {
            lookup.subnet = None;
            if on {
                lookup.subnet = Some(subnet(value.ok_or_else(|| needs("192.0.2.0/24"))?)?);
            }
        }
        "ednsopt" if !on => lookup.options.clear(),
        "ednsopt" => {
            let text = value.ok_or_else(|| needs("65001:0102"))?;
            let (code, digits) = text.split_once(':').unwrap_or((text, ""));
            let read = code.parse().ok().zip(hex(digits));
            let fix = "the number of the option, a colon and hexadecimal digits, such as 65001:0102";
            lookup.options.push(read.ok_or_else(|| wrong(format!("`{text}` is no option"), fix))?);
        }
        "ignore" => lookup.ignore_truncation = on,
        "time" | "timeout" => lookup.time = Duration::from_secs(u64::from(number(86_400, "5")?.max(1))),
        "tries" => lookup.tries = number(100, "3")?.max(1),
        "retry" => lookup.tries = number(99, "2")? + 1,
        _ => {}
    }
    let sent_in_opt =
        on && matches!(name, "nsid" | "subnet" | "ednsopt" | "expire" | "dnssec" | "do" | "bufsize");
    if sent_in_opt && lookup.edns.is_none() {
        lookup.edns = Some(0);
    }
    Ok(())
}

// The option that `typed` is, or the only one that begins so.
fn find(typed: &str) -> Option<&'static str> {
    if let Some(exact) = OPTIONS.iter().find(|name| **name == typed) {
        return Some(exact);
    }
    // Two letters that BIND takes for a flag of the header, whatever else begins with them.
    for (flag, name) in [("aa", "aaflag"), ("ad", "adflag"), ("cd", "cdflag"), ("rd", "rdflag")] {
        if typed == flag {
            return Some(name);
        }
    }
    let mut begin = OPTIONS.iter().filter(|name| !typed.is_empty() && name.starts_with(typed));
    let first = begin.next()?;
    begin.next().is_none().then_some(*first)
}

fn unknown(typed: &str) -> Wrong {
    let fix = match typed {
        "https" | "quic" | "http" => "+tcp and +tls are there".to_owned(),
        "yaml" => "+json".to_owned(),
        "nssearch" => "ask for NS, then each server for SOA".to_owned(),
        _ => {
            let short = typed.strip_prefix("no").unwrap_or(typed);
            let near: Vec<String> = OPTIONS
                .iter()
                .filter(|name| short.len() >= 2 && name.starts_with(short.get(..2).unwrap_or(short)))
                .map(|name| format!("+{name}"))
                .collect();
            if near.is_empty() {
                "such as +short, +tcp, +dnssec, +trace, +json or +annotate".to_owned()
            } else {
                near.join(" or ")
            }
        }
    };
    wrong(format!("`+{typed}` is not known, or short for more than one option"), fix)
}

fn subnet(text: &str) -> Result<ClientSubnet, Wrong> {
    let fix = "such as +subnet=192.0.2.0/24 or +subnet=2001:db8::/56";
    let bad = || wrong(format!("`{text}` is no network"), fix);
    if text == "0" {
        return Ok(ClientSubnet::new(IpAddr::from([0, 0, 0, 0]), 0));
    }
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(bits_max), |bits| bits.parse().ok().filter(|bits| *bits <= bits_max));
    Ok(ClientSubnet::new(address, bits.ok_or_else(bad)?))
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |octet: &u8| char::from(*octet).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
    if rest.is_empty() { octets.collect() } else { None }
}
