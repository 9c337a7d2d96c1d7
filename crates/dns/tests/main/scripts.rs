//! Zones, questions and the answers they must get, as written in `tests/scripts/*.txt`.
//!
//! ```text
//! # a comment
//! zone example.com
//! | one line of its file
//! ? www.example.com A        a question, then options: tcp, do, size=4096, norec
//!   NOERROR aa               what must come back, as the test prints it
//!   answer www.example.com. 300 IN A 192.0.2.1
//! ```
//!
//! `UPDATE=1` writes what came back into the files; the diff is then to be read with care.

use std::fmt::Write as _;
use std::path::PathBuf;

use doorway_dns::authority::Carrier;
use doorway_dns::wire::{Edns, Flags, Message, Name, Record, Type};

use super::{answer, query, serving};

#[test]
fn every_script_gets_the_answers_it_asks_for() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no scripts in {}", folder.display());
    let wrong: Vec<String> = files.into_iter().filter_map(|file| check(&file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs one script; says what differs.
fn check(file: &PathBuf) -> Option<String> {
    let script = std::fs::read_to_string(file).unwrap();
    let mut zones: Vec<(Name, String)> = Vec::new();
    let mut engine = None;
    let mut played = String::new();
    for line in script.lines() {
        if line.starts_with("  ") {
            continue;
        }
        writeln!(played, "{line}").unwrap();
        if let Some(name) = line.strip_prefix("zone ") {
            zones.push((name.parse().unwrap(), String::new()));
        } else if let Some(text) = line.strip_prefix('|') {
            let (_, file) = zones.last_mut().expect("a zone before its lines");
            writeln!(file, "{}", text.strip_prefix(' ').unwrap_or(text)).unwrap();
        } else if let Some(question) = line.strip_prefix("? ") {
            let engine = engine.get_or_insert_with(|| serving(&zones));
            let mut words = question.split_whitespace();
            let name: Name = words.next().unwrap().parse().unwrap();
            let kind = Type::from_text(words.next().expect("a type").as_bytes()).expect("a type");
            let mut message = query(&name, kind, None);
            let mut carrier = Carrier::Datagram;
            for option in words {
                match option.split_once('=') {
                    Some(("size", size)) => {
                        message.edns.get_or_insert_with(Edns::default).udp_octets_max = size.parse().unwrap();
                    }
                    None if option == "tcp" => carrier = Carrier::Stream,
                    None if option == "norec" => message.flags = Flags(0),
                    None if option == "do" => {
                        let edns = message.edns.get_or_insert_with(Edns::default);
                        (edns.udp_octets_max, edns.flags) = (1232, 0x8000);
                    }
                    _ => panic!("unknown option {option}"),
                }
            }
            let reply = answer(engine, &message.to_octets().unwrap(), carrier).expect("an answer");
            print_reply(&Message::read(&reply).expect("a well-formed answer"), &mut played);
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &played).unwrap();
    }
    (played != script).then(|| format!("{} should be:\n{played}", file.display()))
}

fn print_reply(reply: &Message, out: &mut String) {
    write!(out, "  {}", reply.rcode()).unwrap();
    for (bit, name) in [(Flags::AA, "aa"), (Flags::TC, "tc"), (Flags::RD, "rd"), (Flags::RA, "ra")] {
        if reply.flags.has(bit) {
            write!(out, " {name}").unwrap();
        }
    }
    if let Some(edns) = &reply.edns {
        write!(out, " edns={}", edns.udp_octets_max).unwrap();
        if edns.flags != 0 {
            out.push_str(" do");
        }
    }
    out.push('\n');
    let mut section = |name: &str, records: &[Record]| {
        for record in records {
            writeln!(out, "  {name} {record}").unwrap();
        }
    };
    section("answer", &reply.answers);
    section("authority", &reply.authorities);
    section("additional", &reply.additionals);
}
