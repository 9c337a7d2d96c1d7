//! `doorway http`: its commands, and messages taken apart.

use std::io::Read as _;
use std::path::Path;

use doorway_http::explain::{Ending, Explained, explain};
use doorway_http::wire::Refusal;
use serde_json::json;

use super::fetch::fetch;
use super::serve::serve;
use crate::cli::{HttpCommand, Options};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, RED, Screen, YELLOW};

/// Octets of a file that are explained, at most.
const OCTETS_MAX: u64 = 16 << 20;
/// How files of captured packets begin: pcap in both orders of octets, with micro- and nanoseconds, and pcapng.
const CAPTURES: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0x0a, 0x0d, 0x0d, 0x0a],
];
/// Octets on a line.
const OCTETS: usize = 36;

/// Runs one of its commands.
pub(super) fn run(options: &Options, command: HttpCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    match command {
        HttpCommand::Get(args) => fetch(options, "GET", &args, screen),
        HttpCommand::Head(args) => fetch(options, "HEAD", &args, screen),
        HttpCommand::Post(args) => fetch(options, "POST", &args, screen),
        HttpCommand::Put(args) => fetch(options, "PUT", &args, screen),
        HttpCommand::Delete(args) => fetch(options, "DELETE", &args, screen),
        HttpCommand::Options(args) => fetch(options, "OPTIONS", &args, screen),
        HttpCommand::Serve { folder, listen } => serve(&folder, listen, screen),
        HttpCommand::Explain { file } => {
            let octets = read(&file)?;
            let found = explain(&octets);
            if screen.is_json() {
                screen.document(&document(&octets, &found));
            } else {
                screen.text(&text(&octets, &found));
            }
            Ok(if found.ending == Ending::Whole { Exit::Done } else { Exit::Failed })
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut octets = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(OCTETS_MAX).read_to_end(&mut octets)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(OCTETS_MAX).read_to_end(&mut octets))
    };
    match read {
        Ok(_) if octets.is_empty() => Err(Failure::new(format!("{} is empty", file.display()))
            .fix("it has to hold the octets of a request or a response, as they go on the wire")
            .exit(Exit::Wrong)),
        Ok(_) if CAPTURES.iter().any(|magic| octets.starts_with(magic)) => {
            Err(Failure::new(format!("{} is a capture of packets", file.display()))
                .why("what is explained are the octets of one direction of one connection")
                .fix(
                    "take them out: tshark -r FILE -q -z follow,tcp,raw,0 | grep -v '^[^0-9a-f]' | xxd -r -p",
                )
                .exit(Exit::Wrong))
        }
        Ok(_) => Ok(octets),
        Err(error) => Err(Failure::new(format!("cannot read {}: {error}", file.display()))
            .fix("name a file with the octets of a request or a response, or `-` for standard input")),
    }
}

fn text(octets: &[u8], found: &Explained) -> String {
    let mut text = format!("{DIM}{:>7}  {:<OCTETS$}  {:<26}{PLAIN}\n", "octet", "", "rule");
    for stretch in &found.stretches {
        let (mut rule, mut section) = (stretch.rule, stretch.section);
        let part = &octets[stretch.start..stretch.end];
        for (row, line) in shown(part).iter().enumerate() {
            let line = if part.iter().all(|octet| b" \t".contains(octet)) {
                line.replace(' ', "␣")
            } else {
                line.clone()
            };
            let at = stretch.start + row * (OCTETS / 4);
            let at = if row == 0 { at.to_string() } else { String::new() };
            let colour = if rule == "CRLF" || rule == "SP" { DIM } else { "" };
            let line = format!(
                "{DIM}{at:>7}{PLAIN}  {colour}{line:<OCTETS$}{PLAIN}  {YELLOW}{rule:<26}{PLAIN} {DIM}{section}"
            );
            text.push_str(line.trim_end());
            text.push_str(PLAIN);
            text.push('\n');
            (rule, section) = ("", "");
        }
    }
    text.push('\n');
    match found.ending {
        Ending::Whole => {
            let s = if found.messages == 1 { "" } else { "s" };
            text.push_str(&format!(
                "{GREEN}{} whole message{s}{PLAIN}: every octet keeps the grammar\n",
                found.messages
            ));
        }
        Ending::Partial => {
            text.push_str(&format!("{BOLD}The message goes on{PLAIN}: what there is keeps the grammar\n"));
        }
        Ending::Broken(refusal) => text.push_str(&broken(octets, &refusal)),
    }
    text
}

/// The line with the broken octet, with a mark below it, and the rule.
fn broken(octets: &[u8], refusal: &Refusal) -> String {
    let at = refusal.at_octet.min(octets.len());
    let start = octets[..at].iter().rposition(|&octet| octet == b'\n').map_or(0, |newline| newline + 1);
    let start = start.max(at.saturating_sub(60));
    let end = octets[at..].iter().position(|&octet| octet == b'\n').map_or(octets.len(), |end| at + end);
    let before = octets[start..at].escape_ascii().to_string();
    let after = octets[at..end.min(at + 40)].escape_ascii().to_string();
    let mark = " ".repeat(before.chars().count());
    let rule = refusal.rule;
    format!(
        "  {before}{after}\n  {mark}{RED}^{PLAIN} octet {at} breaks {BOLD}{}{PLAIN}\n\n  {}\n  {DIM}{}, answered with {}{PLAIN}\n",
        rule.code, rule.text, rule.section, rule.status,
    )
}

/// Octets as rows of text that a terminal shows as they are.
fn shown(octets: &[u8]) -> Vec<String> {
    let text = match std::str::from_utf8(octets) {
        Ok(text) => text
            .chars()
            .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() })
            .collect(),
        Err(_) => vec![octets.escape_ascii().to_string()],
    };
    let mut rows = vec![String::new()];
    for part in text.iter().flat_map(|part| {
        if part.len() > 8 { part.chars().map(String::from).collect() } else { vec![part.clone()] }
    }) {
        if rows.last().is_some_and(|row| row.chars().count() + part.chars().count() > OCTETS) {
            rows.push(String::new());
        }
        if let Some(row) = rows.last_mut() {
            row.push_str(&part);
        }
    }
    rows
}

fn document(octets: &[u8], found: &Explained) -> serde_json::Value {
    let stretches: Vec<_> = found
        .stretches
        .iter()
        .map(|stretch| {
            json!({
                "octet": stretch.start,
                "octets": octets[stretch.start..stretch.end].escape_ascii().to_string(),
                "rule": stretch.rule,
                "section": stretch.section,
            })
        })
        .collect();
    let ending = match found.ending {
        Ending::Whole => json!("whole"),
        Ending::Partial => json!("partial"),
        Ending::Broken(Refusal { rule, at_octet }) => json!({
            "octet": at_octet, "code": rule.code, "rule": rule.text, "section": rule.section,
            "status": rule.status.code(),
        }),
    };
    json!({ "messages": found.messages, "ending": ending, "stretches": stretches })
}
