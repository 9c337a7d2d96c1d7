//! ISC dhcpd: `lease ADDRESS { … }` and `host NAME { … }`, of statements that end with a semicolon. dhcpd appends;
//! the last lease of an address counts.

use core::net::Ipv4Addr;
use std::fmt::Write;

use doorway_base::UnixTime;

use super::{Found, lease, own_id};
use crate::lease::{Lease, LeaseState};
use crate::plan::{Match, Reservation};
use crate::wire::HardwareAddress;
use crate::wire::hardware::{hex, read_hex};

/// A block that is being read.
#[derive(Debug)]
struct Block {
    line: usize,
    /// `lease` or `host`; anything else is passed over.
    kind: String,
    /// The address, or the name.
    title: String,
    hardware: Option<HardwareAddress>,
    uid: Option<Vec<u8>>,
    host: Option<String>,
    fixed: Option<Ipv4Addr>,
    began: Option<UnixTime>,
    /// The end, and whether there is none.
    ends: Option<Option<UnixTime>>,
    state: String,
    wrong: Option<&'static str>,
}

/// Words of one statement: those in quotes as the octets they stand for.
type Words = Vec<Vec<u8>>;

pub(super) fn read(text: &str, now: UnixTime, found: &mut Found) {
    let (mut words, mut word): (Words, Option<Vec<u8>>) = (Vec::new(), None);
    let mut blocks: Vec<Block> = Vec::new();
    let (mut line, mut octets) = (1, text.bytes().peekable());
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => {
                let mut quoted = word.take().unwrap_or_default();
                if !read_quoted(&mut octets, &mut quoted, &mut line) {
                    found.fault(line, "a quote that does not end");
                }
                words.push(quoted);
                continue;
            }
            b'#' => while octets.next_if(|&next| next != b'\n').is_some() {},
            b'{' | b'}' | b';' => {}
            _ if !octet.is_ascii_whitespace() => {
                word.get_or_insert_default().push(octet);
                continue;
            }
            _ => {}
        }
        words.extend(word.take());
        match octet {
            b'\n' => line += 1,
            b'{' => blocks.push(Block::new(line, &std::mem::take(&mut words))),
            b';' => {
                let statement = std::mem::take(&mut words);
                if let Some(block) = blocks.last_mut() {
                    block.statement(&statement);
                }
            }
            b'}' => {
                words.clear();
                match blocks.pop() {
                    Some(block) => block.finish(now, found),
                    None => found.fault(line, "a `}` without a `{`"),
                }
            }
            _ => {}
        }
    }
    if let Some(block) = blocks.first() {
        found.fault(block.line, "a block that does not end");
    }
}

/// Reads up to the closing quote; false when there is none. `\001` is an octet in octal.
fn read_quoted(
    octets: &mut std::iter::Peekable<std::str::Bytes<'_>>,
    into: &mut Vec<u8>,
    line: &mut usize,
) -> bool {
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => return true,
            b'\\' => {
                let (mut value, mut digits) = (0_u32, 0);
                while digits < 3
                    && let Some(digit) = octets.next_if(|next| (b'0'..=b'7').contains(next))
                {
                    value = value * 8 + u32::from(digit - b'0');
                    digits += 1;
                }
                match digits {
                    0 => into.extend(octets.next()),
                    _ => into.push(value as u8),
                }
            }
            _ => {
                *line += usize::from(octet == b'\n');
                into.push(octet);
            }
        }
    }
    false
}

impl Block {
    fn new(line: usize, words: &Words) -> Self {
        let word = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).into_owned());
        Self {
            line,
            kind: word(0).unwrap_or_default(),
            title: word(1).unwrap_or_default(),
            hardware: None,
            uid: None,
            host: None,
            fixed: None,
            began: None,
            ends: None,
            state: String::new(),
            wrong: None,
        }
    }

    fn statement(&mut self, words: &Words) {
        let texts: Vec<String> =
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let client_id = |value: &str, octets: &[u8]| {
            value.contains(':').then(|| read_hex(value)).flatten().unwrap_or_else(|| octets.to_vec())
        };
        match texts[..] {
            ["hardware", kind, address] => {
                let kind = if kind == "ethernet" { Some(1) } else { None };
                let octets = read_hex(address).filter(|octets| !octets.is_empty());
                match kind.zip(octets) {
                    Some((kind, octets)) => self.hardware = Some(HardwareAddress::new(kind, &octets)),
                    None => self.wrong = Some("the hardware address is none of Ethernet"),
                }
            }
            ["uid", value] => self.uid = Some(client_id(value, &words[1])),
            ["option", "dhcp-client-identifier", value] => self.uid = Some(client_id(value, &words[2])),
            ["client-hostname", name] | ["option", "host-name", name] => self.host = Some(name.to_owned()),
            ["fixed-address", address] => match address.parse() {
                Ok(address) => self.fixed = Some(address),
                Err(_) => self.wrong = Some("the fixed address is none of IPv4"),
            },
            ["binding", "state", state] => self.state = state.to_owned(),
            ["starts", ref when @ ..] => self.began = moment(when),
            ["ends", "never"] => self.ends = Some(None),
            ["ends", ref when @ ..] => match moment(when) {
                Some(ends) => self.ends = Some(Some(ends)),
                None => self.wrong = Some("the end is no date"),
            },
            _ => {}
        }
    }

    fn finish(self, now: UnixTime, found: &mut Found) {
        if let Some(wrong) = self.wrong {
            return found.fault(self.line, wrong);
        }
        match &*self.kind {
            "lease" => self.lease(now, found),
            "host" => self.reservation(found),
            _ => {}
        }
    }

    fn lease(self, now: UnixTime, found: &mut Found) {
        let Ok(address) = self.title.parse() else {
            return found.fault(self.line, "the address of a lease is none of IPv4");
        };
        // One that was never given has neither client nor end.
        if self.hardware.is_none() && self.uid.is_none() && self.state != "abandoned" {
            return;
        }
        let Some(ends) = self.ends else { return found.fault(self.line, "a lease without an end") };
        let mut lease = lease(address, self.hardware.unwrap_or_default(), self.uid.as_deref(), ends, now);
        if let Some(began) = self.began {
            lease.began = began;
            lease.seconds =
                ends.map_or(u32::MAX, |ends| u32::try_from((ends - began).as_secs()).unwrap_or(u32::MAX));
        }
        match &*self.state {
            "active" | "" => {}
            "abandoned" => lease.state = LeaseState::Declined,
            "released" => lease.state = LeaseState::Released,
            _ => lease.state = LeaseState::Expired,
        }
        lease.host = self.host.filter(|host| !host.is_empty()).map(Into::into);
        found.lease(self.line, lease);
    }

    fn reservation(self, found: &mut Found) {
        let client = self.hardware.map(Match::Hardware).or(self.uid.map(|uid| Match::ClientId(uid.into())));
        match (client, self.fixed) {
            (Some(client), Some(address)) => {
                let name = self.host.unwrap_or(self.title);
                let host_name = (!name.is_empty()).then(|| name.into());
                found.reservation(self.line, Reservation { host_name, ..Reservation::new(client, address) });
            }
            (None, _) => found.fault(self.line, "nothing says which client the host is"),
            (_, None) => found.fault(self.line, "a host without a fixed IPv4 address"),
        }
    }
}

/// `4 2026/11/22 17:40:05`, with the day of the week before it, or `epoch 1795369205`.
fn moment(words: &[&str]) -> Option<UnixTime> {
    match *words {
        ["epoch", seconds, ..] => seconds.parse().ok().map(UnixTime::from_secs),
        [_, date, time] => {
            let mut date = date.split('/');
            let (year, month, day) = (date.next()?.parse().ok()?, date.next()?, date.next()?);
            let mut time = time.split(':').map(|part| part.parse::<u8>().ok());
            let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
            UnixTime::from_civil(year, month.parse().ok()?, day.parse().ok()?, hour, minute, second)
        }
        _ => None,
    }
}

pub(super) fn write<'a>(leases: impl Iterator<Item = &'a Lease>) -> String {
    let mut text = String::new();
    let date = |moment: UnixTime| {
        let c = moment.civil();
        format!(
            "{} {:04}/{:02}/{:02} {:02}:{:02}:{:02}",
            c.weekday, c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    };
    for lease in leases {
        let state = match lease.state {
            LeaseState::Bound => "active",
            LeaseState::Declined => "abandoned",
            LeaseState::Expired | LeaseState::Released => "free",
        };
        let ends = lease.ends.map_or("never".to_owned(), date);
        let _ = writeln!(text, "lease {} {{\n  starts {};\n  ends {ends};", lease.address, date(lease.began));
        let _ = writeln!(text, "  binding state {state};");
        if lease.hardware.kind() == 1 {
            let _ = writeln!(text, "  hardware ethernet {};", lease.hardware);
        }
        if let Some(id) = own_id(lease) {
            let _ = writeln!(text, "  uid {};", hex(id));
        }
        if let Some(host) = lease.host.as_deref().filter(|host| !host.contains(['"', '\\'])) {
            let _ = writeln!(text, "  client-hostname \"{host}\";");
        }
        text.push_str("}\n");
    }
    text
}
