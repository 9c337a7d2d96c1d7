//! `doorway cache …`: the caches of the running web server, looked into and changed.

use std::fs;

use serde_json::{Value, json};

use super::live::{rows, text};
use crate::caches::{Caching, WARM_MAX};
use crate::cli::{WebCacheCommand, WebPurgeArgs};
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, RED, Screen, Table, YELLOW, octets, span};

/// Asks the running server.
pub(super) fn run(client: &Client, command: WebCacheCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    match command {
        WebCacheCommand::Stat => stat(client, screen),
        WebCacheCommand::Inspect { url } => inspect(client, with_scheme(url), screen),
        WebCacheCommand::Purge(args) => purge(client, args, screen),
        WebCacheCommand::Warm { urls, file } => {
            let mut all: Vec<String> = urls.into_iter().map(with_scheme).collect();
            if let Some(path) = file {
                let read = fs::read_to_string(&path);
                let read = read.map_err(|error| Failure::file("read the list of URLs", &path, &error))?;
                let lines = read.lines().map(str::trim);
                let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
                all.extend(lines.map(|line| with_scheme(line.to_owned())));
            }
            warm(client, &all, screen)
        }
    }
}

fn with_scheme(url: String) -> String {
    if url.contains("://") { url } else { format!("http://{url}") }
}

fn ask(client: &Client, request: &Caching) -> Result<Value, Failure> {
    let (method, target, body) = request.to_http();
    client.ask_for_long(method, &target, body.as_ref())
}

fn stat(client: &Client, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = ask(client, &Caching::Stat)?;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    let mut first = true;
    for cache in rows(&answer["caches"]) {
        if !std::mem::take(&mut first) {
            screen.line("");
        }
        summary(cache, screen);
        hosts(cache, screen);
    }
    if first {
        screen.line("there is no cache; [[http.cache]] makes one");
    }
    Ok(Exit::Done)
}

fn summary(cache: &Value, screen: &mut Screen) {
    screen.line(format!("{BOLD}{}{PLAIN}", text(&cache["name"])));
    let mut line = |word: &str, said: String| screen.line(format!("{DIM}{word:<8}{PLAIN}  {said}"));
    line("objects", format!("{}, {} in memory", cache["objects"], cache["objects_in_memory"]));
    let (used, all) = (octets(&cache["memory_octets"]), octets(&cache["memory_octets_max"]));
    line("memory", format!("{used} of {all} octets, {} gave way", cache["evicted"]));
    let disk = &cache["disk"];
    if disk.is_object() {
        let (used, all) = (octets(&disk["octets"]), octets(&disk["octets_max"]));
        let mut said = format!("{used} of {all} octets, {} written", disk["written"]);
        for (key, word) in [("refused", "not taken"), ("damaged", "damaged")] {
            if disk[key] != 0 {
                said.push_str(&format!(", {} {word}", disk[key]));
            }
        }
        line("disk", said);
        if let Some(alarm) = disk["alarm"].as_str() {
            line("alarm", format!("{RED}nothing is written now: {alarm}{PLAIN}"));
        }
    }
    let all = &cache["all"];
    line("requests", format!("{}, {} under way", share(all), cache["fetching"]));
    line(
        "saved",
        format!("{} octets and {} of waiting", octets(&all["cache_octets"]), waiting(&all["saved_seconds"])),
    );
}

// How many of the requests the cache answered.
fn share(counts: &Value) -> String {
    let (hits, asked) = (number(&counts["hits"]), number(&counts["origin_requests"]));
    format!("{hits} answered here, {asked} by origins: {}", percent(hits, hits + asked))
}

fn hosts(cache: &Value, screen: &mut Screen) {
    let mut table = Table::new(&[
        "host",
        ">objects",
        ">octets",
        ">hits",
        ">origin",
        ">share",
        ">from cache",
        ">from origin",
        ">time saved",
    ]);
    let mut any = false;
    for host in rows(&cache["hosts"]) {
        any = true;
        let (hits, asked) = (number(&host["hits"]), number(&host["origin_requests"]));
        table.row([
            text(&host["host"]),
            text(&host["objects"]),
            octets(&host["octets"]),
            hits.to_string(),
            asked.to_string(),
            percent(hits, hits + asked),
            octets(&host["cache_octets"]),
            octets(&host["origin_octets"]),
            waiting(&host["saved_seconds"]),
        ]);
    }
    if any {
        screen.table(&table);
    }
}

// Short spans with a tenth of a second.
fn waiting(seconds: &Value) -> String {
    let short = seconds.as_f64().filter(|seconds| *seconds < 60.0);
    short.map_or_else(|| span(seconds), |seconds| format!("{seconds:.1}s"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1}%", 100.0 * part as f64 / whole as f64) }
}

fn inspect(client: &Client, url: String, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = ask(client, &Caching::Inspect { url })?;
    let found = rows(&answer["objects"]).count();
    let exit = if found > 0 { Exit::Done } else { Exit::NoAnswer };
    if screen.is_json() {
        screen.document(&answer);
        return Ok(exit);
    }
    for object in rows(&answer["objects"]) {
        let ttl = object["ttl_seconds"].as_i64().unwrap_or(0);
        let state = match (object["must_validate"] == true, ttl > 0) {
            (true, _) => format!("{YELLOW}to be validated{PLAIN}"),
            (false, true) => format!("{GREEN}fresh{PLAIN} for {}", span(&json!(ttl))),
            (false, false) => format!("{YELLOW}stale{PLAIN} for {}", span(&json!(-ttl))),
        };
        screen.line(format!("{BOLD}{}{PLAIN}", text(&object["key"])));
        let length = object["octets"].as_u64().map_or("length unknown".to_owned(), |n| format!("{n} octets"));
        screen.line(format!(
            "{DIM}cache{PLAIN} {}, {}  {DIM}status{PLAIN} {}, {length}  {DIM}age{PLAIN} {}  {state}",
            text(&object["cache"]),
            text(&object["place"]),
            object["status"],
            span(&object["age_seconds"]),
        ));
        for selecting in rows(&object["selecting"]) {
            let value = selecting[1].as_str().unwrap_or("(none)");
            screen.line(format!("{DIM}for{PLAIN} {}: {value}", text(&selecting[0])));
        }
        for field in rows(&object["fields"]) {
            screen.line(format!("  {DIM}{}:{PLAIN} {}", text(&field[0]), text(&field[1])));
        }
    }
    if found == 0 {
        screen.line("nothing is kept for this URL");
    }
    Ok(exit)
}

fn purge(client: &Client, args: WebPurgeArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let WebPurgeArgs { what, soft, cache } = args;
    let (name, value) = match (what.url, what.prefix, what.host, what.tag) {
        (Some(url), ..) => ("url", with_scheme(url)),
        (_, Some(prefix), ..) => ("prefix", with_scheme(prefix)),
        (_, _, Some(host), _) => ("host", host),
        (_, _, _, tag) => ("tag", tag.unwrap_or_default()),
    };
    let body = json!({ "cache": cache, "soft": soft, name: value });
    let answer = client.ask_for_long("POST", "/v1/cache/purge", Some(&body))?;
    if screen.is_json() {
        screen.document(&answer);
    } else {
        let (word, count) = if soft {
            ("to be validated", &answer["to_validate"])
        } else {
            ("forgotten", &answer["forgotten"])
        };
        let noun = if *count == 1 { "response" } else { "responses" };
        screen.line(format!("{GREEN}{word}{PLAIN}  {count} {noun}"));
    }
    Ok(Exit::Done)
}

fn warm(client: &Client, urls: &[String], screen: &mut Screen) -> Result<Exit, Failure> {
    if urls.is_empty() {
        return Err(Failure::new("nothing says what to fetch")
            .fix("name URLs, or --file FILE")
            .exit(Exit::Wrong));
    }
    let mut told = Vec::new();
    for some in urls.chunks(WARM_MAX) {
        let answer = ask(client, &Caching::Warm { urls: some.to_vec() })?;
        told.extend(rows(&answer["urls"]).cloned());
    }
    let failed = told.iter().filter(|row| row["failure"].is_string()).count();
    if screen.is_json() {
        screen.document(&json!({ "urls": told }));
    } else {
        let mut table = Table::new(&["url", ">status", ">octets", "cache"]);
        for row in &told {
            let said = row["failure"].as_str().or(row["cache_status"].as_str()).unwrap_or_default();
            let status = row["status"].as_u64().map(|status| status.to_string()).unwrap_or_default();
            table.row([text(&row["url"]), status, octets(&row["octets"]), said.to_owned()]);
        }
        screen.table(&table);
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
