//! Plays `.rpl` scripts against the resolver: `replay [--json] FILE…`.
//!
//! One line for each file, then a summary. The exit code is 0 when none failed, 1 when one did, 2 when
//! a file could not be read.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

use std::process::ExitCode;

use doorway_dns::replay::{Outcome, run};

fn main() -> ExitCode {
    let (mut passed, mut failed, mut unsupported) = (0, 0, 0);
    let mut json = false;
    for file in std::env::args().skip(1) {
        if file == "--json" {
            json = true;
            continue;
        }
        let octets = match std::fs::read(&file) {
            Ok(octets) => octets,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::from(2);
            }
        };
        let report = run(&String::from_utf8_lossy(&octets));
        match &report.outcome {
            Outcome::Pass => passed += 1,
            Outcome::Fail(_) => failed += 1,
            Outcome::Unsupported(_) => unsupported += 1,
        }
        if json {
            let (word, why) = match &report.outcome {
                Outcome::Pass => ("pass", ""),
                Outcome::Fail(why) => ("fail", why.as_str()),
                Outcome::Unsupported(why) => ("unsupported", why.as_str()),
            };
            println!("{{\"file\":{},\"outcome\":\"{word}\",\"why\":{}}}", quoted(&file), quoted(why));
        } else {
            println!("{file}: {}", report.outcome);
            report.notes.iter().for_each(|note| println!("    note: {note}"));
        }
    }
    if !json {
        println!("{passed} passed, {failed} failed, {unsupported} unsupported");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}
