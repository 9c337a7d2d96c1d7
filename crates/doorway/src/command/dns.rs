//! `doorway dns …`: the name server that runs, looked into and changed.

use std::fs;

use serde_json::Value;

use super::live::{rows, text};
use crate::check;
use crate::cli::{CacheArgs, CacheCommand, DnsCommand, Options, RecordCommand, ZoneCommand};
use crate::config::Severity;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::name_server::{Action, Request, SHOWN_MAX, Which};
use crate::screen::{BOLD, DIM, GREEN, PLAIN, RED, Screen, Table, YELLOW, octets};

/// Columns that the way to an answer is told in.
const STEP_COLUMNS: usize = 100;

/// Runs `doorway dns …`.
pub(super) fn run(options: &Options, command: DnsCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    if let DnsCommand::Zone(ZoneCommand::Check { name }) = &command {
        return zone_check(options, name.as_deref(), screen);
    }
    super::with_server(options, screen, |client, screen| live(client, command, screen))
}

fn live(client: &Client, command: DnsCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    match command {
        DnsCommand::Cache(CacheCommand::Show(args)) => show(client, args.into(), screen),
        DnsCommand::Cache(CacheCommand::Stats) => stats(client, screen),
        DnsCommand::Cache(CacheCommand::Flush { which, all }) => {
            if !all && which.name.is_none() && which.kind.is_none() {
                return Err(Failure::new("nothing says what to forget")
                    .fix("name a name, --type TYPE, or --all")
                    .exit(Exit::Wrong));
            }
            flush(client, which.into(), screen)
        }
        DnsCommand::Zone(command) => zone(client, command, screen),
        DnsCommand::Record(command) => {
            let (action, name, words) = match command {
                RecordCommand::Add { name, words } => (Action::Add, name, words),
                RecordCommand::Set { name, words } => (Action::Set, name, words),
                RecordCommand::Del { name, words } => (Action::Delete, name, words),
            };
            let answer = ask(client, &Request::Change { action, name, words })?;
            tell(screen, &answer, |screen| {
                let word = if answer["changed"] == true { "changed" } else { "unchanged" };
                let (zone, serial) = (text(&answer["zone"]), &answer["serial"]);
                screen.line(format!("{GREEN}{word}{PLAIN}  zone {zone}, serial {serial}"));
            });
            Ok(Exit::Done)
        }
        DnsCommand::Explain { name, kind } => {
            let answer = ask(client, &Request::Explain { name, kind })?;
            tell(screen, &answer, |screen| explained(&answer, screen));
            Ok(if answer["status"] == "SERVFAIL" { Exit::NoAnswer } else { Exit::Done })
        }
    }
}

/// The cache of the name server, shown or emptied as `doorway ipconfig` has it done.
pub(super) fn cache(options: &Options, empties: bool, screen: &mut Screen) -> Result<Exit, Failure> {
    super::with_server(options, screen, |client, screen| {
        if empties { flush(client, Which::default(), screen) } else { show(client, Which::default(), screen) }
    })
}

fn ask(client: &Client, request: &Request) -> Result<Value, Failure> {
    let (method, target, body) = request.to_http();
    client.ask_for_long(method, &target, body.as_ref())
}

// The answer as it came with `--json`, and else as `show` has it.
fn tell(screen: &mut Screen, answer: &Value, show: impl FnOnce(&mut Screen)) {
    if screen.is_json() { screen.document(answer) } else { show(screen) }
}

impl From<CacheArgs> for Which {
    fn from(args: CacheArgs) -> Self {
        Self { name: args.name, subtree: args.subtree, kind: args.kind }
    }
}

fn show(client: &Client, which: Which, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = ask(client, &Request::Show(which))?;
    tell(screen, &answer, |screen| {
        let mut table = Table::new(&["name", "type", ">ttl", "value", "from"]);
        for entry in rows(&answer["entries"]) {
            let ttl = entry["ttl"].as_u64().map_or_else(|| "over".to_owned(), |ttl| ttl.to_string());
            let what = text(&entry["what"]);
            let mut data: Vec<String> = rows(&entry["data"]).map(text).collect();
            match what.as_str() {
                "records" => {}
                _ if data.is_empty() => data.push(format!("({what})")),
                _ => data.iter_mut().for_each(|data| *data = format!("({what}: {data})")),
            }
            let mut first = [text(&entry["name"]), text(&entry["type"]), ttl].map(Some);
            let mut trust = Some(text(&entry["trust"]));
            for value in data {
                let [name, kind, ttl] = first.each_mut().map(|cell| cell.take().unwrap_or_default());
                table.row([name, kind, ttl, value, trust.take().unwrap_or_default()]);
            }
        }
        screen.table(&table);
        if answer["more"] == true {
            screen.note(format!("only {SHOWN_MAX} entries are shown; name a name or a type"));
        }
    });
    Ok(Exit::Done)
}

fn stats(client: &Client, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = ask(client, &Request::Stats)?;
    tell(screen, &answer, |screen| {
        let (hits, misses) = (answer["hits"].as_u64().unwrap_or(0), answer["misses"].as_u64().unwrap_or(0));
        let share = if hits + misses == 0 { 0.0 } else { 100.0 * hits as f64 / (hits + misses) as f64 };
        let (used, all) = (octets(&answer["octets"]), octets(&answer["octets_max"]));
        for (word, said) in [
            ("entries", format!("{}, {used} of {all} octets", answer["entries"])),
            (
                "ready",
                format!("{} answers, {} octets", answer["ready_answers"], octets(&answer["ready_octets"])),
            ),
            ("lookups", format!("{hits} found, {misses} not: {share:.1} %")),
            (
                "stored",
                format!("{}, of which {} were given up for room", answer["stored"], answer["evicted"]),
            ),
        ] {
            screen.line(format!("{DIM}{word:<8}{PLAIN}  {said}"));
        }
    });
    Ok(Exit::Done)
}

fn flush(client: &Client, which: Which, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = ask(client, &Request::Flush(which))?;
    tell(screen, &answer, |screen| {
        screen.line(format!("{GREEN}forgotten{PLAIN}  {} entries", answer["flushed"]));
    });
    Ok(Exit::Done)
}

fn zone(client: &Client, command: ZoneCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    match command {
        ZoneCommand::List => {
            let answer = ask(client, &Request::Zones)?;
            tell(screen, &answer, |screen| zone_table(&answer, |_| true, screen));
        }
        ZoneCommand::Show { name } => {
            let answer = ask(client, &Request::Zone(name))?;
            tell(screen, &answer, |screen| {
                let mut table = Table::new(&["name", "value", "type", ">ttl"]);
                for record in rows(&answer["records"]) {
                    table.row(["name", "value", "type", "ttl"].map(|column| text(&record[column])));
                }
                screen.table(&table);
                if answer["more"] == true {
                    screen.note(format!(
                        "only {SHOWN_MAX} records are shown; `doorway dns zone export` has all"
                    ));
                }
            });
        }
        ZoneCommand::Export { name, file } => {
            let answer = ask(client, &Request::File(name))?;
            let zone = answer["text"].as_str().unwrap_or_default();
            match file {
                Some(path) => {
                    fs::write(&path, zone).map_err(|error| Failure::file("write the zone", &path, &error))?;
                    screen.note(format!(
                        "zone {}, serial {}, in {}",
                        text(&answer["zone"]),
                        answer["serial"],
                        path.display()
                    ));
                }
                None => tell(screen, &answer, |screen| _ = screen.text(zone)),
            }
        }
        ZoneCommand::Reload { name } => {
            if let Some(name) = &name {
                // A name that is misspelt would otherwise look as if it had been reloaded.
                ask(client, &Request::Zone(name.clone()))?;
            }
            client.ask_for_long("POST", "/v1/reload", None)?;
            let answer = ask(client, &Request::Zones)?;
            let wanted = name.map(|name| format!("{}.", name.trim_end_matches('.')));
            let is_wanted = |zone: &str| wanted.as_deref().is_none_or(|name| zone.eq_ignore_ascii_case(name));
            tell(screen, &answer, |screen| zone_table(&answer, is_wanted, screen));
        }
        ZoneCommand::Check { .. } => {}
    }
    Ok(Exit::Done)
}

fn zone_table(answer: &Value, is_wanted: impl Fn(&str) -> bool, screen: &mut Screen) {
    let mut table =
        Table::new(&["zone", ">serial", ">records", ">names", ">memory", "signed", "changes by", "state"]);
    for zone in rows(&answer["zones"]).filter(|zone| is_wanted(&text(&zone["name"]))) {
        table.row([
            text(&zone["name"]),
            text(&zone["serial"]),
            text(&zone["records"]),
            text(&zone["names"]),
            octets(&zone["octets"]),
            if zone["signed"] == true { "yes" } else { "no" }.to_owned(),
            if zone["changeable"] == true { "file, message" } else { "file" }.to_owned(),
            text(&zone["state"]),
        ]);
    }
    screen.table(&table);
}

// Reads the zone files as the server would, whether it runs or not.
fn zone_check(options: &Options, name: Option<&str>, screen: &mut Screen) -> Result<Exit, Failure> {
    let Some(config) = super::configured(options, screen)? else { return Ok(Exit::Wrong) };
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let zones = config.section("dns").tables("zone");
    let wanted = |zone: &str| name.is_none_or(|name| plain(name) == plain(zone));
    let count = zones.iter().filter(|zone| wanted(zone.text("name"))).count();
    if let Some(name) = name
        && count == 0
    {
        return Err(Failure::new(format!("there is no zone {name} in the config"))
            .fix("give it a [[dns.zone]] table")
            .exit(Exit::Wrong));
    }
    let problems = check::zones(config.section("dns"), wanted, None);
    if !problems.is_empty() || screen.is_json() {
        super::tell(&config, &problems, screen);
    }
    if super::worst(&problems) == Some(Severity::Error) {
        return Ok(Exit::Wrong);
    }
    if !screen.is_json() {
        let zones = if count == 1 { "zone" } else { "zones" };
        screen.line(format!("{GREEN}good{PLAIN}  {count} {zones} can be served"));
    }
    Ok(Exit::Done)
}

fn explained(answer: &Value, screen: &mut Screen) {
    let question = &answer["question"];
    screen.line(format!("{BOLD}{} {}{PLAIN}\n", text(&question["name"]), text(&question["type"])));
    for step in rows(&answer["steps"]) {
        let micros = step["micros"].as_u64().unwrap_or(0);
        let depth = step["depth"].as_u64().unwrap_or(0) as usize;
        // The port that name servers have anyway only gets in the way.
        let what = text(&step["what"]).replace(":53 ", " ");
        let indent = "  ".repeat(depth.min(8));
        let mut place = format!("{:>9}  ", millis(micros));
        for line in folded(&what, STEP_COLUMNS.saturating_sub(13 + indent.len()).max(40)) {
            screen.line(format!("{DIM}{place}{PLAIN}{indent}{}{line}{PLAIN}", colour(&what)));
            place = format!("{:11}  ", "");
        }
    }
    let status = text(&answer["status"]);
    let tint = if status == "NOERROR" { GREEN } else { YELLOW };
    let took = millis(answer["micros"].as_u64().unwrap_or(0));
    let stale = if answer["stale"] == true { ", with data whose time is over" } else { "" };
    let own = if answer["authoritative"] == true { " from a zone served here" } else { "" };
    screen.line(format!("\n{tint}{status}{PLAIN}{own} after {}{stale}", took.trim_start()));
    let mut table = Table::new(&["name", "type", ">ttl", "value"]);
    let mut any = false;
    for record in rows(&answer["answer"]) {
        any = true;
        table.row(["name", "type", "ttl", "value"].map(|column| text(&record[column])));
    }
    if any {
        screen.table(&table);
    } else if status == "NOERROR" {
        screen.line("the name is there, but has no such data");
    }
    for error in rows(&answer["errors"]) {
        screen.line(format!("{RED}{}{PLAIN}", text(error)));
    }
}

// What was asked stands out from what was answered, and both from what went wrong.
fn colour(what: &str) -> &'static str {
    if what.contains(" asks ") || what.starts_with("asks ") || what.starts_with("needs ") {
        DIM
    } else if what.contains("the cache knows") || what.contains("a zone served here") {
        GREEN
    } else if what.contains(" says: ask the servers") {
        PLAIN
    } else if what.contains(" says: ") {
        BOLD
    } else if what.contains("lame") || what.contains("no answer") || what.contains("refused") {
        YELLOW
    } else {
        PLAIN
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1000, micros / 10 % 100)
}

// Lines of at most `columns`, cut between words.
fn folded(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > columns {
            lines.push(format!("  {word}"));
        } else if let Some(line) = lines.last_mut() {
            if last > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_step_is_folded_between_words() {
        assert_eq!(
            folded("ask the servers of example.org.", 12),
            ["ask the", "  servers of", "  example.org."]
        );
        assert_eq!(folded("", 12), [""]);
        assert_eq!(millis(12_345), "12.34 ms");
    }
}
