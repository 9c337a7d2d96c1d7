//! An answer printed in the form of BIND's `dig`, line for line, so that scripts written for that can
//! read it. Times are in UTC.

use core::net::SocketAddr;
use std::fmt::Write as _;
use std::time::Duration;

use doorway_base::UnixTime;

use super::words::{Lookup, Show};
use crate::wire::rtype::Field;
use crate::wire::tsig;
use crate::wire::{
    Class, Edns, EdnsOption, Flags, Message, Name, Opcode, Record, Type, edns, options, rdata,
};

/// How an answer came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Since the query went out.
    pub took: Duration,
    /// The server.
    pub server: SocketAddr,
    /// The server as it was typed.
    pub typed: String,
    /// `UDP`, `TCP` or `TLS`.
    pub carrier: &'static str,
    /// When.
    pub at: UnixTime,
}

/// The lines before the first answer; `words` is the command line, `addresses` how many the server has
/// that was named on it.
#[must_use]
pub fn greeting(lookup: &Lookup, words: &str, addresses: Option<usize>) -> String {
    if !lookup.show.command || lookup.short {
        return String::new();
    }
    let mut text = format!("\n; <<>> Doorway {} <<>> {words}\n", env!("CARGO_PKG_VERSION"));
    if let Some(count) = addresses {
        let _ = writeln!(text, "; ({count} server{} found)", if count == 1 { "" } else { "s" });
    }
    text.push_str(";; global options: +cmd\n");
    text
}

/// The data of the answer section, a line for each record, with the server where the lookup wants it.
#[must_use]
pub fn short(message: &Message, lookup: &Lookup, arrival: &Arrival) -> String {
    let from = if lookup.identify {
        format!(" from server {} in {} ms.", arrival.server.ip(), arrival.took.as_millis())
    } else {
        String::new()
    };
    message.answers.iter().map(|record| format!("{}{from}\n", data(record, lookup.show.split))).collect()
}

/// A message as the lookup wants it shown. `octets` are those that `message` was read from; `sent` says
/// that it is our own query, and `cookie` is what the query had.
#[must_use]
pub fn message(message: &Message, octets: &[u8], lookup: &Lookup, sent: bool, cookie: &[u8]) -> String {
    let show = &lookup.show;
    let mut text = String::new();
    let mut counts = [0_u16; 4];
    for (count, two) in counts.iter_mut().zip(octets.get(4..12).unwrap_or_default().as_chunks::<2>().0) {
        *count = u16::from_be_bytes(*two);
    }
    if show.comments {
        header(&mut text, message, counts, sent);
        if let Some(edns) = &message.edns {
            opt(&mut text, edns, cookie);
        }
    }
    let signature = tsig::find(octets).ok().flatten();
    if show.question && !message.questions.is_empty() {
        heading(&mut text, show, "QUESTION");
        for question in &message.questions {
            let mut line = Columns::new(show);
            line.put(0, &question.name.to_string());
            line.put(line.class, &question.class.to_string());
            line.put(line.kind, &question.kind.to_string());
            let _ = writeln!(text, ";{}", line.text);
        }
        ending(&mut text, show);
    }
    for (shown, title, records) in [
        (show.answer, "ANSWER", &message.answers),
        (show.authority, "AUTHORITY", &message.authorities),
        (show.additional, "ADDITIONAL", &message.additionals),
    ] {
        let own = |record: &&Record| record.kind != Type::TSIG;
        if shown && records.iter().any(|record| own(&record)) {
            heading(&mut text, show, title);
            records.iter().filter(own).for_each(|record| text.push_str(&record_line(record, show)));
            ending(&mut text, show);
        }
    }
    if let Some((signature, _)) = signature.filter(|_| show.additional) {
        if show.comments {
            text.push_str(";; TSIG PSEUDOSECTION:\n");
        }
        text.push_str(&signature_line(&signature, show));
        ending(&mut text, show);
    }
    text
}

fn heading(text: &mut String, show: &Show, title: &str) {
    if show.comments {
        let _ = writeln!(text, ";; {title} SECTION:");
    }
}

fn ending(text: &mut String, show: &Show) {
    if show.comments {
        text.push('\n');
    }
}

fn header(text: &mut String, message: &Message, counts: [u16; 4], sent: bool) {
    let flags = message.flags;
    let _ = writeln!(text, ";; {}", if sent { "Sending:" } else { "Got answer:" });
    let _ = writeln!(
        text,
        ";; ->>HEADER<<- opcode: {}, status: {}, id: {}",
        opcode(flags.opcode()),
        message.rcode(),
        message.id
    );
    text.push_str(";; flags:");
    for (flag, name) in FLAGS {
        if flags.has(flag) {
            let _ = write!(text, " {name}");
        }
    }
    if flags.has(0x40) {
        text.push_str("; MBZ: 0x4");
    }
    let [questions, answers, authorities, additionals] = counts;
    let _ = writeln!(
        text,
        "; QUERY: {questions}, ANSWER: {answers}, AUTHORITY: {authorities}, ADDITIONAL: {additionals}"
    );
    if !sent && flags.has(Flags::RD) && !flags.has(Flags::RA) {
        text.push_str(";; WARNING: recursion requested but not available\n");
    }
    text.push('\n');
}

// BIND calls the opcodes without a name reserved.
fn opcode(opcode: Opcode) -> String {
    let name = opcode.to_string();
    name.strip_prefix("OPCODE").map_or_else(|| name.clone(), |number| format!("RESERVED{number}"))
}

/// Each flag of the header that has a name, in the order of its bits.
pub const FLAGS: [(u16, &str); 7] = [
    (Flags::QR, "qr"),
    (Flags::AA, "aa"),
    (Flags::TC, "tc"),
    (Flags::RD, "rd"),
    (Flags::RA, "ra"),
    (Flags::AD, "ad"),
    (Flags::CD, "cd"),
];

fn opt(text: &mut String, edns: &Edns, cookie: &[u8]) {
    let _ = write!(text, ";; OPT PSEUDOSECTION:\n; EDNS: version: {}, flags:", edns.version);
    if edns.flags & edns::DO != 0 {
        text.push_str(" do");
    }
    if edns.flags & !edns::DO != 0 {
        let _ = write!(text, "; MBZ: 0x{:04x}", edns.flags & !edns::DO);
    }
    let _ = writeln!(text, "; udp: {}", edns.udp_octets_max);
    for option in options::options(&edns.options) {
        let _ = match &option {
            Ok(EdnsOption::Cookie { client, server }) if !server.is_empty() => {
                let echoed = cookie.get(..8) == Some(client.as_slice());
                let judged = if echoed { "(good)" } else { "(bad)" };
                option.as_ref().map_or(Ok(()), |option| writeln!(text, "; {option} {judged}"))
            }
            Ok(option) => writeln!(text, "; {option}"),
            Err(malformed) => writeln!(text, "; an option that cannot be read: {malformed}"),
        };
    }
}

/// One record on its line, its columns where `dig` has them.
#[must_use]
pub fn record_line(record: &Record, show: &Show) -> String {
    let mut line = Columns::new(show);
    line.put(0, &record.name.to_string());
    if show.ttl {
        line.put(line.ttl, &record.ttl.to_string());
    }
    if show.class {
        line.put(line.class, &record.class.to_string());
    }
    line.put(line.kind, &record.kind.to_string());
    if show.multiline && record.kind == Type::SOA && record.class == Class::IN {
        line.put(line.data, &start_of_authority(record));
    } else {
        line.put(line.data, &data(record, show.split));
    }
    line.text.push('\n');
    line.text
}

fn signature_line(signature: &tsig::Tsig, show: &Show) -> String {
    let mut line = Columns::new(show);
    line.put(0, &signature.key.to_string());
    if show.ttl {
        line.put(line.ttl, "0");
    }
    if show.class {
        line.put(line.class, "ANY");
    }
    line.put(line.kind, "TSIG");
    let tsig::Tsig { algorithm, time_signed, fudge, mac, original_id, other, .. } = signature;
    let mut data = format!("{algorithm} {time_signed} {fudge} {} ", mac.len());
    if !mac.is_empty() {
        let _ = write!(data, "{} ", rdata::base64(mac));
    }
    let _ = write!(data, "{original_id} {} {}", signature.error, other.len());
    if !other.is_empty() {
        let _ = write!(data, " {}", rdata::base64(other));
    }
    line.put(line.data, &data);
    line.text.push('\n');
    line.text
}

// Text filled up to columns with tabs of eight, as BIND does it.
struct Columns {
    text: String,
    at: usize,
    ttl: usize,
    class: usize,
    kind: usize,
    data: usize,
}

impl Columns {
    fn new(show: &Show) -> Self {
        let [ttl, class, kind, data] = match (show.multiline, show.ttl, show.class) {
            (true, ..) | (_, false, false) => [24, 24, 24, 32],
            (_, true, true) => [24, 32, 40, 48],
            _ => [24, 24, 32, 40],
        };
        Self { text: String::new(), at: 0, ttl, class, kind, data }
    }

    fn put(&mut self, column: usize, word: &str) {
        if column > 0 {
            let to = column.max(self.at + 1);
            let tabs = to / 8 - self.at / 8;
            if tabs > 0 {
                self.text.extend(std::iter::repeat_n('\t', tabs));
                self.at = to / 8 * 8;
            }
            self.text.extend(std::iter::repeat_n(' ', to - self.at));
            self.at = to;
        }
        self.text.push_str(word);
        self.at += word.len();
    }
}

/// The RDATA of a record, long digits in runs of `split`.
#[must_use]
pub fn data(record: &Record, split: usize) -> String {
    if record.rdata.is_empty() && record.class != Class::IN {
        return String::new();
    }
    // Other classes have no types of their own but TXT, by which servers tell about themselves.
    let kind = if record.class == Class::IN || record.kind == Type::TXT { record.kind } else { Type::ANY };
    let text = rdata::display(kind, &record.rdata).to_string();
    let digits =
        |field: &Field| matches!(field, Field::Hex | Field::Base64 | Field::OptionalBase64 | Field::Opaque);
    if split == 0 || !kind.fields().last().is_some_and(digits) {
        return text;
    }
    let (before, last) = text.rsplit_once(' ').map_or(("", text.as_str()), |(before, last)| (before, last));
    let runs: Vec<&str> =
        last.as_bytes().chunks(split).filter_map(|run| std::str::from_utf8(run).ok()).collect();
    let space = if before.is_empty() { "" } else { " " };
    format!("{before}{space}{}", runs.join(" "))
}

fn start_of_authority(record: &Record) -> String {
    let mut words = Vec::new();
    rdata::for_each_field(record.kind, &record.rdata, |field, octets| match field {
        Field::CompressibleName => words.push(Name::from_wire(octets).unwrap_or_default().to_string()),
        _ => words.push(octets.first_chunk::<4>().map_or(0, |four| u32::from_be_bytes(*four)).to_string()),
    });
    let mut text = format!("{} (\n", words.get(..2).unwrap_or_default().join(" "));
    let names = ["serial", "refresh", "retry", "expire", "minimum"];
    for (name, word) in names.iter().zip(words.iter().skip(2)) {
        let span = word.parse().ok().filter(|_| *name != "serial").map(spelt);
        let span = span.map(|span| format!(" ({span})")).unwrap_or_default();
        let _ = writeln!(text, "\t\t\t\t{word:<10} ; {name}{span}");
    }
    text.push_str("\t\t\t\t)");
    text
}

// `1 hour 30 minutes`.
fn spelt(seconds: u32) -> String {
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (length, name) in [(604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")]
    {
        let count = rest / length;
        rest %= length;
        if count > 0 || (length == 1 && parts.is_empty()) {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.join(" ")
}

/// The lines after an answer of `octets` octets.
#[must_use]
pub fn statistics(arrival: &Arrival, octets: usize) -> String {
    format!("{};; MSG SIZE  rcvd: {octets}\n\n", came(arrival))
}

/// The lines after a zone transfer.
#[must_use]
pub fn transfer_statistics(arrival: &Arrival, records: usize, messages: usize, octets: usize) -> String {
    let size = format!(";; XFR size: {records} records (messages {messages}, bytes {octets})");
    format!("{}{size}\n\n", came(arrival))
}

fn came(arrival: &Arrival) -> String {
    let Arrival { took, server, typed, carrier, at } = arrival;
    let c = at.civil();
    let weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][usize::from(c.weekday % 7)];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[usize::from(c.month.clamp(1, 12)) - 1];
    format!(
        ";; Query time: {} msec\n;; SERVER: {}#{}({typed}) ({carrier})\n\
         ;; WHEN: {weekday} {month} {:02} {:02}:{:02}:{:02} UTC {}\n",
        took.as_millis(),
        server.ip(),
        server.port(),
        c.day,
        c.hour,
        c.minute,
        c.second,
        c.year,
    )
}

/// The line after each answer of `+trace`.
#[must_use]
pub fn received(arrival: &Arrival, octets: usize) -> String {
    let Arrival { took, server, typed, .. } = arrival;
    let millis = took.as_millis();
    format!(";; Received {octets} bytes from {}#{}({typed}) in {millis} ms\n\n", server.ip(), server.port())
}

/// Why an attempt did not end with an answer.
#[must_use]
pub fn failed(server: SocketAddr, why: &str) -> String {
    format!(";; communications error to {}#{}: {why}\n", server.ip(), server.port())
}
