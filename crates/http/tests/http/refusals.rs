//! Every rule of HTTP/1 that a client can break, broken over the wire: the answer names it, the connection
//! ends, and the counters tell.
//!
//! `docs/http-refusals.md` has the table; with `UPDATE=1` in the environment it is written anew. The octet at
//! which each rule breaks is checked beside the parser; here both ways of sending have to give the same
//! answer, and the octet is part of it.

use std::fmt::Write;
use std::time::Duration;

use doorway_http::Config;
use doorway_http::wire::Rule;
use doorway_sim::Simulation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::refusal_table::{Case, cases};
use crate::support::{Folder, SERVER, config, dial, serve};

/// Codes of the rules that a request of HTTP/1 cannot break: one is of responses, the other of what is
/// collected for many streams of HTTP/2 at a time.
const ELSEWHERE: [&str; 2] = ["status_line", "bodies_length"];
/// The start of the page, up to the table.
const PAGE: &str = include_str!("refusals.md");
/// Where the page is.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/http-refusals.md");
/// In how many pieces a message is sent at most, when it is not sent at once.
const PIECES_MAX: usize = 2000;

/// What the server says to `octets`, sent in pieces of `step`, with the Date taken out, and the codes of the
/// rules that it counted.
fn answer(folder: &Folder, octets: Vec<u8>, step: usize) -> (String, Vec<(&'static str, u64)>) {
    let config = Config { body_octets_max: 1000, ..config(Some(&folder.public())) };
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (service, _door) = serve(&sim.world(server), &config);
    let world = sim.world(client);
    let answer = sim.run(client, async move {
        assert_eq!(SERVER, "10.0.0.1:80");
        let mut stream = dial(&world).await;
        for piece in octets.chunks(step) {
            // The server may end the connection before it has read everything.
            if stream.write_all(piece).await.is_err() {
                break;
            }
            if step < octets.len() {
                world.sleep(Duration::from_micros(500)).await;
            }
        }
        let mut answer = Vec::new();
        let _ = world.timeout(Duration::from_secs(3600), stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    });
    let lines = answer.unwrap();
    let lines = lines.split("\r\n").filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>();
    let counts = service.counts();
    assert_eq!(counts.responses.iter().sum::<u64>(), 1);
    (lines.join("\r\n"), counts.refusals().filter(|(_, count)| *count > 0).collect())
}

#[track_caller]
fn check(folder: &Folder, case: &Case) {
    let Case { what, octets, rule } = case;
    let (whole, counted) = answer(folder, octets.clone(), octets.len());
    let status = rule.status.to_string();
    assert!(whole.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{what}: {whole}");
    // Where a path cannot be decoded, nobody doubts where the request ends.
    let goes_on = rule.section.starts_with("RFC 3986");
    assert_ne!(whole.contains("\r\nConnection: close\r\n"), goes_on, "{what}: {whole}");
    let body = format!("\r\n\r\n{status}: {} ({}), broken at octet ", rule.text, rule.section);
    assert!(whole.contains(&body), "{what}: {whole}");
    assert_eq!(counted, [(rule.code, 1)], "{what}");
    let pieces = answer(folder, octets.clone(), octets.len().div_ceil(PIECES_MAX));
    assert_eq!((whole, counted), pieces, "{what}: sent in pieces");
}

#[test]
fn every_rule_that_a_client_breaks_is_named_in_the_answer_and_counted_however_the_octets_come() {
    let folder = Folder::new();
    for case in cases() {
        check(&folder, &case);
    }
}

#[test]
fn every_rule_has_a_case_or_cannot_be_broken_by_a_request_of_http_1() {
    let cases = cases();
    for rule in Rule::ALL {
        let listed = cases.iter().any(|case| case.rule == *rule);
        assert_ne!(listed, ELSEWHERE.contains(&rule.code), "{}", rule.code);
    }
}

/// The octets as they may stand in a table: a long run of one part is cut short.
fn shown(octets: &[u8]) -> String {
    const OCTETS_MAX: usize = 130;
    let text = octets[..octets.len().min(OCTETS_MAX)].escape_ascii().to_string();
    let text = text.replace('|', "\\|").replace('`', "\\x60");
    if octets.len() > OCTETS_MAX {
        format!("`{text}` … {} octets", octets.len())
    } else {
        format!("`{text}`")
    }
}

#[test]
fn the_page_of_refusals_says_what_the_server_does() {
    let mut page = PAGE.to_owned();
    for rule in Rule::ALL {
        for Case { what, octets, .. } in cases().iter().filter(|case| case.rule == *rule) {
            let (code, status, section) = (rule.code, rule.status.code(), rule.section);
            writeln!(page, "| `{code}` | {what} | {} | {status} | {section} |", shown(octets)).unwrap();
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PLACE, &page).unwrap();
    }
    let found = std::fs::read_to_string(PLACE).unwrap_or_default();
    assert!(found == page, "docs/http-refusals.md is not true any more; UPDATE=1 writes it anew");
}
