//! The same octets to our parser of HTTP/1 and to llhttp, which is Node's: messages that keep every rule, those
//! that break one, and thousands that are nearly one of these.
//!
//! What we accept, llhttp must read as the same requests with the same lengths, or refuse: two readers of one
//! connection that count differently are what smuggling lives on. Each class of difference stands with its reason
//! in `docs/http-differences.md`; with `UPDATE=1` in the environment it is written anew. The comparison of heads
//! with httparse is a property beside the parser.

use std::collections::BTreeMap;
use std::fmt::Write;

use doorway_base::Random;
use doorway_http::connection::{Connection, Decision, Limits};
use doorway_http::wire::FieldSpans;

use crate::difference_reasons::reason;
use crate::programs;
use crate::refusal_table::cases;

const PAGE: &str = include_str!("differences.md");
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/http-differences.md");
/// The version of llhttp that the page is about.
const LLHTTP: &str = "9.3.";
const NODE: &str = include_str!("llhttp.js");
const SEED: u64 = 9112;
/// Messages made from each one of the list.
const CHANGED: usize = 30;
/// Characters of an example on the page, at most.
const EXAMPLE_MAX: usize = 140;
/// Stands behind each message: whether it is read as a request tells where the message ended.
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

const RIGHT: &[&str] = &[
    "GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept: */*\r\n\r\n",
    "\r\nGET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "GET http://b:8080/?q HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
    "GET / HTTP/1.1\r\nhOsT:\t [::1]:80 \t\r\nConnection: close\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,Chunked ,\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00A;a=\"b c\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
    "CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
];

/// A request as a parser reads it: method, target, octets of content, and whether its end was found.
pub(crate) type Read = (String, String, u64, bool);

/// The requests that a parser reads in a message, and what it says at the end: nothing when it waits for more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) requests: Vec<Read>,
    pub(crate) said: String,
}

/// Every message, with its name.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let mut random = Random::new(SEED);
    let right = RIGHT.iter().map(|octets| ("right".to_owned(), octets.as_bytes().to_vec()));
    // Those over a limit of ours say nothing about the grammar.
    let broken = cases().into_iter().filter(|case| case.octets.len() < 4000);
    let whole: Vec<_> =
        right.chain(broken.map(|case| (format!("{}: {}", case.rule.code, case.what), case.octets))).collect();
    let mut messages = Vec::new();
    for (name, octets) in &whole {
        messages.push((name.clone(), octets.clone()));
        for _ in 0..CHANGED {
            messages.push((format!("{name}, changed"), changed(octets, &mut random)));
        }
    }
    for (_, octets) in &mut messages {
        octets.extend_from_slice(NEXT);
    }
    messages
}

/// The octets with a few of them replaced, put in, or left out.
fn changed(octets: &[u8], random: &mut Random) -> Vec<u8> {
    const LIKELY: &[u8] = b"\r\n\t :,;0159afx\0\x0b\x7f\x80/HTP.\"";
    let mut octets = octets.to_vec();
    let mut below = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
    for _ in 0..=below(3) {
        let (at, octet) = (below(octets.len()), LIKELY[below(LIKELY.len())]);
        match below(3) {
            0 => octets[at] = octet,
            1 => octets.insert(at, octet),
            _ => drop(octets.remove(at)),
        }
    }
    octets
}

/// What our parser reads.
pub(crate) fn ours(octets: &[u8]) -> Verdict {
    let (mut connection, limits, mut used) = (Connection::new(), Limits::default(), 0);
    let mut spans = FieldSpans::default();
    let mut requests: Vec<Read> = Vec::new();
    let said = loop {
        let (more, decision) = connection.next(&octets[used..], &limits, &mut spans);
        used += more;
        match decision {
            Decision::More => break "",
            Decision::Close => break "close",
            Decision::Refuse(refusal) => break refusal.rule.code,
            Decision::Request(head) => {
                let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                requests.push((text(head.method_name), text(head.target_octets), 0, false));
                connection.read_body();
            }
            Decision::Body(data) => requests.last_mut().unwrap().2 += data.len() as u64,
            Decision::BodyEnd => {
                requests.last_mut().unwrap().3 = true;
                connection.answer();
            }
        }
    };
    Verdict { requests, said: said.to_owned() }
}

fn theirs(messages: &[(String, Vec<u8>)]) -> Vec<Verdict> {
    let mut input = Vec::new();
    for (_, octets) in messages {
        input.extend(u32::try_from(octets.len()).unwrap().to_be_bytes());
        input.extend_from_slice(octets);
    }
    let told = programs::run_with_input("node", &["--no-deprecation", "-e", NODE], &input).done();
    let read = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let request = |one: &serde_json::Value| {
            let text = |at: usize| one[at].as_str().unwrap().to_owned();
            (text(0), text(1), one[2].as_u64().unwrap(), one[3].as_bool().unwrap())
        };
        let requests = line["requests"].as_array().unwrap().iter().map(request).collect();
        Verdict { requests, said: line["said"].as_str().unwrap().to_owned() }
    };
    told.lines().map(read).collect()
}

/// Whether the other side saw no other requests than we did before one of us had enough.
fn agree(ours: &Verdict, theirs: &Verdict) -> bool {
    let both = ours.requests.len().min(theirs.requests.len());
    let refuses = |verdict: &Verdict| !verdict.said.is_empty();
    for (place, (one, other)) in ours.requests.iter().zip(&theirs.requests).enumerate() {
        let last = |verdict: &Verdict| place + 1 == verdict.requests.len() && refuses(verdict);
        let cut = !one.3 && last(ours) || !other.3 && last(theirs);
        if one.0 != other.0 || one.1 != other.1 || !cut && one != other {
            return false;
        }
    }
    (ours.requests.len() == both || refuses(theirs)) && (theirs.requests.len() == both || refuses(ours))
}

/// In what they differ, if they do: our rule, or what llhttp says that we do not.
fn class(ours: &Verdict, theirs: &Verdict) -> Option<(&'static str, String)> {
    let more = theirs.requests.len() > ours.requests.len() || theirs.said.is_empty();
    match (ours.said.as_str(), theirs.said.as_str()) {
        ("", "") | ("close", "HPE_CLOSED_CONNECTION") => None,
        ("" | "close", code) => Some(("accepted", code.to_owned())),
        (rule, "") if more => Some(("refused", rule.to_owned())),
        (rule, _) if theirs.requests.iter().filter(|one| one.3).count() > ours.requests.len() => {
            Some(("refused", rule.to_owned()))
        }
        _ => None,
    }
}

#[test]
fn llhttp_reads_what_we_accept_with_the_same_lengths_and_each_difference_of_one_version_has_its_reason() {
    let messages = corpus();
    let verdicts = theirs(&messages);
    assert_eq!(messages.len(), verdicts.len());
    let mut classes: BTreeMap<(&str, String), &[u8]> = BTreeMap::new();
    for ((name, octets), theirs) in messages.iter().zip(&verdicts) {
        let ours = ours(octets);
        let shown = octets.escape_ascii();
        assert!(agree(&ours, theirs), "{name}: {shown}\n  we: {ours:?}\n  llhttp: {theirs:?}");
        if let Some(class) = class(&ours, theirs) {
            classes.entry(class).or_insert(octets);
        }
    }
    // The page is of one version; others accept more or less, but what we accept they have just read alike.
    let version = programs::run("node", &["-p", "process.versions.llhttp"]).done();
    if !version.starts_with(LLHTTP) {
        return;
    }
    let (mut page, mut unexplained) = (PAGE.to_owned(), String::new());
    for ((kind, code), octets) in &classes {
        let mut example = octets.strip_suffix(NEXT).unwrap().escape_ascii().to_string();
        if example.len() > EXAMPLE_MAX {
            example.truncate(EXAMPLE_MAX);
            example.push('…');
        }
        let example = example.replace('|', "\\|").replace('`', "\\x60");
        let Some(why) = reason(kind, code) else {
            writeln!(unexplained, "{kind} {code}: {example}").unwrap();
            continue;
        };
        let (we, they) = match *kind {
            "accepted" => ("accepts".to_owned(), format!("`{code}`")),
            _ => (format!("`{code}`"), "accepts".to_owned()),
        };
        writeln!(page, "| {we} | {they} | `{example}` | {why} |").unwrap();
    }
    assert_eq!(unexplained, "", "differences without a reason:\n{unexplained}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PLACE, &page).unwrap();
    }
    let found = std::fs::read_to_string(PLACE).unwrap_or_default();
    assert!(found == page, "docs/http-differences.md is not true any more; UPDATE=1 writes it anew");
}
