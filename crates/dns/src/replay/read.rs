//! The `.rpl` form read into a [`Script`].

use core::net::IpAddr;
use std::time::Duration;

use super::script::{Action, Criteria, Entry, Range, Refusal, Script, Setting, Step};
use crate::wire::rdata::{self, Word};
use crate::wire::{Class, Edns, Flags, Message, Name, Opcode, Question, Rcode, Record, Type};
use crate::zone::scan::Scanner;

/// The TTL of a record that does not say.
const TTL: u32 = 3600;

struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    const fn number(&self) -> u32 {
        self.next as u32
    }

    // The next line that says something, without blanks around it and without its comment.
    fn next(&mut self) -> Option<&'a str> {
        while let Some(line) = self.lines.get(self.next) {
            self.next += 1;
            let line = without_comment(line).trim();
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }

    fn malformed<T>(&self, expected: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal::Malformed { line: self.number(), expected: expected.into() })
    }

    fn unsupported<T>(&self, what: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal::Unsupported { line: self.number(), what: what.into() })
    }
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (index, octet) in line.bytes().enumerate() {
        match octet {
            b'"' => quoted = !quoted,
            b';' if !quoted => return &line[..index],
            _ => {}
        }
    }
    line
}

/// Reads a script; `accept` looks at its options before the rest of it is read, which may be written for
/// what the options ask for.
///
/// # Errors
/// A line that the form does not have, or one that asks for what is not played here; or what `accept`
/// says.
pub fn script(text: &str, accept: impl FnOnce(&Script) -> Result<(), Refusal>) -> Result<Script, Refusal> {
    let mut lines = Lines { lines: text.lines().collect(), next: 0 };
    let mut script = Script { settings: settings(&mut lines)?, ..Script::default() };
    accept(&script)?;
    while let Some(line) = lines.next() {
        let mut words = line.split_whitespace();
        match words.next().unwrap_or_default() {
            "SCENARIO_BEGIN" => script.title = words.collect::<Vec<_>>().join(" "),
            "SCENARIO_END" => break,
            "RANGE_BEGIN" => {
                let bounds: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
                let &[first, last] = &bounds[..] else { return lines.malformed("two step numbers") };
                script.ranges.push(range(&mut lines, first, last)?);
            }
            "STEP" => {
                let Some(number) = words.next().and_then(|word| word.parse().ok()) else {
                    return lines.malformed("the number of a step");
                };
                let rest: Vec<&str> = words.collect();
                let line = lines.number();
                let action = action(&mut lines, &rest)?;
                script.steps.push(Step { number, line, action });
            }
            word => return lines.unsupported(format!("`{word}`")),
        }
    }
    Ok(script)
}

fn settings(lines: &mut Lines<'_>) -> Result<Vec<Setting>, Refusal> {
    let mut settings: Vec<Setting> = Vec::new();
    let (mut clause, mut clause_number) = ("server".to_owned(), 0);
    loop {
        let Some(line) = lines.next() else { return lines.malformed("CONFIG_END") };
        if line.starts_with("CONFIG_END") {
            return Ok(settings);
        }
        if line.starts_with("STUB_ADDR") || line.starts_with("TEMPFILE") || line.starts_with("AUTOTRUST") {
            return lines.unsupported(format!("`{line}`"));
        }
        for word in setting_words(line) {
            match word.strip_suffix(':').filter(|_| !word.starts_with('"')) {
                Some(key) if is_clause(key) => {
                    clause = key.to_owned();
                    clause_number += 1;
                }
                Some(key) => settings.push(Setting {
                    line: lines.number(),
                    clause: clause.clone(),
                    clause_number,
                    key: key.to_owned(),
                    values: Vec::new(),
                }),
                None => match settings.last_mut() {
                    Some(setting) => setting.values.push(word.trim_matches(['"', '\'']).to_owned()),
                    None => return lines.malformed("an option before its value"),
                },
            }
        }
    }
}

fn is_clause(key: &str) -> bool {
    matches!(
        key,
        "server"
            | "stub-zone"
            | "forward-zone"
            | "auth-zone"
            | "rpz"
            | "view"
            | "remote-control"
            | "python"
            | "dnscrypt"
            | "cachedb"
            | "ipset"
            | "dynlib"
    )
}

// Words of an option line; quotes stay around a quoted word. `#` begins a comment.
fn setting_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => {
                word.push('"');
                quote = None;
            }
            (None, '"' | '\'') => {
                word.push('"');
                quote = Some(character);
            }
            (None, '#') => break,
            (None, _) if character.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(character),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn range(lines: &mut Lines<'_>, first: u64, last: u64) -> Result<Range, Refusal> {
    let mut range = Range { first, last, addresses: Vec::new(), entries: Vec::new() };
    loop {
        let Some(line) = lines.next() else { return lines.malformed("RANGE_END") };
        match line.split_once(char::is_whitespace).unwrap_or((line, "")) {
            ("RANGE_END", _) => return Ok(range),
            ("ADDRESS", address) => range.addresses.push(address_of(lines, address)?),
            (word, _) if word.starts_with("ENTRY_BEGIN") => range.entries.push(entry(lines)?),
            (word, _) => return lines.unsupported(format!("`{word}` in a range")),
        }
    }
}

fn address_of(lines: &Lines<'_>, text: &str) -> Result<IpAddr, Refusal> {
    match text.split_whitespace().next().and_then(|word| word.parse().ok()) {
        Some(address) => Ok(address),
        None => lines.malformed("an address"),
    }
}

fn action(lines: &mut Lines<'_>, words: &[&str]) -> Result<Action, Refusal> {
    Ok(match words {
        ["QUERY", ..] => {
            let (entry, address) = step_entry(lines)?;
            Action::Query(Box::new(entry), address)
        }
        ["CHECK_ANSWER", ..] => Action::CheckAnswer(Box::new(step_entry(lines)?.0)),
        ["CHECK_OUT_QUERY", ..] => {
            let (entry, address) = step_entry(lines)?;
            Action::CheckOutQuery(Box::new(entry), address)
        }
        ["REPLY", ..] => {
            let (entry, address) = step_entry(lines)?;
            Action::Reply(Box::new(entry), address)
        }
        ["TIMEOUT", ..] => Action::Timeout(step_address(lines)?),
        ["ERROR", ..] => Action::Error(step_address(lines)?),
        ["NOTHING", ..] => Action::Nothing,
        ["TRAFFIC", ..] => Action::Traffic,
        ["TIME_PASSES", "ELAPSE", seconds, ..] => match seconds.parse::<f64>() {
            Ok(seconds) if (0.0..1e10).contains(&seconds) => {
                Action::TimePasses(Duration::from_secs_f64(seconds))
            }
            _ => return lines.malformed("a number of seconds"),
        },
        ["TIME_PASSES", "EVAL", rest @ ..] => match evaluate(&rest.join(" ")) {
            Some(seconds) => Action::TimePasses(Duration::from_secs(seconds)),
            None => return lines.unsupported("`TIME_PASSES EVAL` with variables"),
        },
        ["FLUSH_MESSAGE", name, kind, ..] => {
            let name = Name::from_text(name.as_bytes(), Some(&Name::root()));
            match name.ok().zip(Type::from_text(kind.as_bytes())) {
                Some((name, kind)) => Action::Flush(Box::new(Question { name, kind, class: Class::IN })),
                None => return lines.malformed("a name and a type"),
            }
        }
        ["INFRA_RTT", ..] => Action::RoundTripTime,
        [word, ..] => return lines.unsupported(format!("a step `{word}`")),
        [] => return lines.malformed("what the step does"),
    })
}

// Products and sums of plain numbers, as `${30*24*3600}`.
fn evaluate(text: &str) -> Option<u64> {
    let inner = text.trim().strip_prefix("${").and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let mut sum = 0_u64;
    for term in inner.split('+') {
        let mut product = 1_u64;
        for factor in term.split('*') {
            product = product.checked_mul(factor.trim().parse().ok()?)?;
        }
        sum = sum.checked_add(product)?;
    }
    Some(sum)
}

// The address of a step without an entry, if the next line has one.
fn step_address(lines: &mut Lines<'_>) -> Result<Option<IpAddr>, Refusal> {
    let before = lines.next;
    match lines.next().and_then(|line| line.strip_prefix("ADDRESS")) {
        Some(address) => address_of(lines, address).map(Some),
        None => {
            lines.next = before;
            Ok(None)
        }
    }
}

fn step_entry(lines: &mut Lines<'_>) -> Result<(Entry, Option<IpAddr>), Refusal> {
    let address = step_address(lines)?;
    match lines.next() {
        Some(word) if word.starts_with("ENTRY_BEGIN") => Ok((entry(lines)?, address)),
        _ => lines.malformed("ENTRY_BEGIN"),
    }
}

#[derive(Clone, Copy)]
enum Place {
    Question,
    Answer,
    Authority,
    Additional,
}

fn entry(lines: &mut Lines<'_>) -> Result<Entry, Refusal> {
    let mut entry = Entry {
        line: lines.number(),
        criteria: Criteria::default(),
        copy_query: false,
        message: Message::default(),
        octets: None,
    };
    let mut place = Place::Question;
    loop {
        let Some(line) = lines.next() else { return lines.malformed("ENTRY_END") };
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "ENTRY_END" => return Ok(entry),
            "MATCH" => criteria(lines, rest, &mut entry.criteria)?,
            "ADJUST" => {
                for word in rest.split_whitespace() {
                    match word {
                        "copy_query" => entry.copy_query = true,
                        // A reply has the id of its query in any case.
                        "copy_id" => {}
                        word if word.starts_with("sleep=") || word.starts_with("packet_sleep=") => {}
                        word => return lines.unsupported(format!("`ADJUST {word}`")),
                    }
                }
            }
            "REPLY" => reply(lines, rest, &mut entry.message)?,
            "SECTION" => {
                place = match rest.trim() {
                    "QUESTION" => Place::Question,
                    "ANSWER" => Place::Answer,
                    "AUTHORITY" => Place::Authority,
                    "ADDITIONAL" => Place::Additional,
                    other => return lines.unsupported(format!("`SECTION {other}`")),
                }
            }
            "EXTRA_PACKET" => return lines.unsupported("`EXTRA_PACKET`"),
            "HEX_EDNSDATA_BEGIN" => {
                let options = octets(lines, "HEX_EDNSDATA_END")?;
                entry.message.edns.get_or_insert_with(Edns::default).options.extend(options);
            }
            "HEX_ANSWER_BEGIN" => entry.octets = Some(octets(lines, "HEX_ANSWER_END")?),
            _ => record(lines, line, place, &mut entry.message)?,
        }
    }
}

// Octets in hexadecimal, up to a line with `end`.
fn octets(lines: &mut Lines<'_>, end: &str) -> Result<Vec<u8>, Refusal> {
    let mut digits = Vec::new();
    loop {
        let Some(line) = lines.next() else { return lines.malformed(end) };
        if line == end {
            break;
        }
        for digit in line.chars().filter(|character| !character.is_whitespace()) {
            let Some(digit) = digit.to_digit(16) else { return lines.malformed("hexadecimal digits") };
            digits.push(digit as u8);
        }
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn criteria(lines: &Lines<'_>, words: &str, criteria: &mut Criteria) -> Result<(), Refusal> {
    for word in words.split_whitespace() {
        match word {
            "opcode" => criteria.opcode = true,
            "qtype" => criteria.qtype = true,
            "qname" => criteria.qname = true,
            "subdomain" => criteria.subdomain = true,
            "question" => criteria.question = true,
            "answer" => criteria.answer = true,
            "all" => criteria.all = true,
            "ttl" => criteria.ttl = true,
            "rcode" => criteria.rcode = true,
            "flags" => criteria.flags = true,
            "UDP" => criteria.udp = true,
            "TCP" => criteria.tcp = true,
            "DO" => criteria.dnssec = true,
            "noedns" => criteria.no_edns = true,
            "ednsdata" => criteria.edns_options = true,
            "id" | "none" => {}
            word => match word.strip_prefix("ede=") {
                Some("any") => criteria.extended_error = Some(None),
                Some(code) => criteria.extended_error = Some(code.parse().ok()),
                None => return lines.unsupported(format!("`MATCH {word}`")),
            },
        }
    }
    Ok(())
}

fn reply(lines: &Lines<'_>, words: &str, message: &mut Message) -> Result<(), Refusal> {
    for word in words.split_whitespace() {
        let flag = match word {
            "QR" => Flags::QR,
            "AA" => Flags::AA,
            "TC" => Flags::TC,
            "RD" => Flags::RD,
            "RA" => Flags::RA,
            "AD" => Flags::AD,
            "CD" => Flags::CD,
            "DO" => {
                message.edns = Some(Edns {
                    udp_octets_max: 4096,
                    flags: crate::wire::edns::DO,
                    ..message.edns.take().unwrap_or_default()
                });
                continue;
            }
            "QUERY" => continue,
            "NOTIFY" => u16::from(Opcode::NOTIFY.0) << 11,
            "UPDATE" => u16::from(Opcode::UPDATE.0) << 11,
            _ => {
                let rcode = (0..24).map(Rcode).find(|rcode| rcode.to_string() == word);
                let Some(rcode) = rcode else { return lines.unsupported(format!("`REPLY {word}`")) };
                if rcode.0 > 15 {
                    let edns = message.edns.get_or_insert_with(Edns::default);
                    edns.rcode_high = (rcode.0 >> 4) as u8;
                }
                rcode.0 & 15
            }
        };
        message.flags.0 |= flag;
    }
    Ok(())
}

// One record or question, over several lines when parentheses are open.
fn record(lines: &mut Lines<'_>, first: &str, place: Place, message: &mut Message) -> Result<(), Refusal> {
    if first.starts_with('$') {
        return lines.unsupported(format!("`{first}`"));
    }
    let mut text = first.to_owned();
    while text.matches('(').count() > text.matches(')').count() {
        let Some(line) = lines.next() else { return lines.malformed("a closing parenthesis") };
        text.push(' ');
        text.push_str(line);
    }
    let mut tokens = Vec::new();
    let mut scanner = Scanner::new(text.as_bytes());
    if scanner.entry(&mut tokens).is_err() || tokens.is_empty() {
        return lines.malformed("a record");
    }
    let words: Vec<Word<'_>> = tokens
        .iter()
        .map(|token| Word { text: &text.as_bytes()[token.start..token.end], quoted: token.quoted })
        .collect();
    let root = Name::root();
    let Ok(name) = rdata::name_from_text(words[0].text, &root) else { return lines.malformed("a name") };
    let (mut ttl, mut class, mut at) = (TTL, Class::IN, 1);
    while let Some(word) = words.get(at) {
        let kind_follows = || words.get(at + 1).is_some_and(|word| Type::from_text(word.text).is_some());
        if let Some(seconds) = rdata::seconds(word.text) {
            ttl = seconds;
        } else if word.text.eq_ignore_ascii_case(b"ANY") && kind_follows() {
            class = Class::ANY;
        } else if let Some(named) = Class::from_text(word.text).filter(|_| at < 3) {
            class = named;
        } else {
            break;
        }
        at += 1;
    }
    let Some(kind) = words.get(at).and_then(|word| Type::from_text(word.text)) else {
        return lines.malformed(format!("a type in `{text}`"));
    };
    if let Place::Question = place {
        message.questions.push(Question { name, kind, class });
        return Ok(());
    }
    let mut octets = Vec::new();
    if let Err(fault) = rdata::parse(kind, &words[at + 1..], &root, &mut octets) {
        return lines.malformed(format!("{} in `{text}`", fault.expected));
    }
    let record = Record { name, kind, class, ttl, rdata: octets };
    match place {
        Place::Question => {}
        Place::Answer => message.answers.push(record),
        Place::Authority => message.authorities.push(record),
        Place::Additional => message.additionals.push(record),
    }
    Ok(())
}
