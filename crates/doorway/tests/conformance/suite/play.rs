//! Cases played through a cache.

use std::io::{BufReader, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Case, Step};
use super::date::with_dates;
use super::message::Message;
use super::origin::Origin;

/// How long a client waits for a response.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a request beside an answer may take.
const BESIDE: Duration = Duration::from_secs(2);
/// Cases that are played at once. Most of the time they wait.
const PLAYERS: usize = 64;

/// What came of a case: nothing wrong, or what was.
#[derive(Debug, Clone)]
pub struct Played {
    pub case: Case,
    pub wrong: Vec<String>,
}

/// Plays every case through the cache at `cache`, which asks `origin`. `run` tells runs with one origin apart.
pub fn play(cases: &[Case], cache: SocketAddr, origin: &Origin, run: &str) -> Vec<Played> {
    let next = AtomicUsize::new(0);
    let played = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    let wrong = play_one(case, cache, origin, run);
                    played.lock().expect("no player panics").push(Played { case: case.clone(), wrong });
                }
            });
        }
    });
    let mut played = played.into_inner().expect("no player panics");
    played.sort_by(|a, b| (&a.case.section, &a.case.id).cmp(&(&b.case.section, &b.case.id)));
    played
}

fn play_one(case: &Case, cache: SocketAddr, origin: &Origin, run: &str) -> Vec<String> {
    let prefix = format!("/{run}/{}", case.id);
    for (number, step) in case.steps.iter().enumerate() {
        thread::sleep(Duration::from_secs(step.wait_seconds));
        let Some(mut wrong) = play_step(step, cache, origin, &prefix) else { break };
        if !wrong.is_empty() {
            wrong.iter_mut().for_each(|what| what.insert_str(0, &format!("request {}: ", number + 1)));
            return wrong;
        }
    }
    Vec::new()
}

/// What went wrong; `None` when the cache refused a request that it may refuse.
fn play_step(step: &Step, cache: SocketAddr, origin: &Origin, prefix: &str) -> Option<Vec<String>> {
    origin.expect(prefix, step.origin.iter().map(|(_, answer)| answer.clone()));
    origin.asked(prefix);
    let responses: Vec<_> = thread::scope(|scope| {
        let ask = || scope.spawn(|| ask(step, cache, prefix));
        let asking: Vec<_> = (0..step.clients).map(|_| ask()).collect();
        asking.into_iter().map(|asking| asking.join().expect("no client panics")).collect()
    });
    let mut asked = origin.asked(prefix);
    let asks = |word: &str| step.expected.words.get(1).is_some_and(|known| known == word);
    if asks("question") && !asked.first().is_some_and(is_conditional) {
        return None;
    }
    if asks("taken") && asked.is_empty() {
        let is_refusal =
            |response: &Result<Message>| response.as_ref().is_ok_and(|response| response.status() >= 400);
        return if responses.iter().all(is_refusal) {
            None
        } else {
            Some(vec!["the origin was not asked".to_owned()])
        };
    }
    let mut wrong = Vec::new();
    for response in responses {
        match response {
            Ok(response) => wrong.extend(differences(step, &response)),
            // No response is as good as any.
            Err(_) if step.expected.words[0] == "any" => {}
            Err(error) => wrong.push(format!("no response: {error}")),
        }
    }
    if !step.is_beside {
        wrong.extend(judge(step, &asked));
    } else {
        let began = Instant::now();
        while asked.is_empty() && began.elapsed() < BESIDE {
            thread::sleep(Duration::from_millis(20));
            asked = origin.asked(prefix);
        }
        // What came is to be stored before the next request.
        thread::sleep(Duration::from_millis(100));
        if asked.is_empty() {
            wrong.push("the origin was not asked beside".to_owned());
        }
    }
    for ((expected, _), asked) in step.origin.iter().zip(&asked) {
        let differences = expected.iter().flat_map(|expected| expected.differences(&asked.fields));
        wrong.extend(differences.map(|what| format!("to the origin: {what}")));
        if let Some(method) = expected.as_ref().and_then(|expected| expected.words.first()) {
            wrong.extend(
                (!asked.first.starts_with(method.as_str())).then(|| format!("{} for {method}", asked.first)),
            );
        }
    }
    Some(wrong)
}

fn is_conditional(asked: &Message) -> bool {
    asked.field("if-none-match").is_some() || asked.field("if-modified-since").is_some()
}

/// What the origin was asked, against the second word of what was expected.
fn judge(step: &Step, asked: &[Message]) -> Option<String> {
    let is_conditional = |asked: &Message| {
        asked.field("if-none-match").is_some() || asked.field("if-modified-since").is_some()
    };
    match step.expected.words.get(1).map(String::as_str) {
        Some("hit") if !asked.is_empty() => Some("the origin was asked".to_owned()),
        Some("asked") if asked.is_empty() => Some("the origin was not asked".to_owned()),
        Some("once") if asked.len() != 1 => Some(format!("the origin was asked {} times", asked.len())),
        Some("valid") if !asked.first().is_some_and(is_conditional) => {
            Some("the origin was not asked with a condition".to_owned())
        }
        _ => None,
    }
}

fn differences(step: &Step, response: &Message) -> Vec<String> {
    let mut wrong = Vec::new();
    let status = step.expected.words.first().map_or("any", String::as_str);
    let fits = match status {
        "any" => true,
        "5xx" => response.status() >= 500,
        status => response.status().to_string() == status,
    };
    if !fits {
        wrong.push(format!("{} in place of {status}", response.status()));
    }
    wrong.extend(step.expected.differences(&response.fields));
    if let Some(content) = &step.expected.content
        && response.content != content.as_bytes()
    {
        wrong.push(format!("{:?} in place of {content:?}", String::from_utf8_lossy(&response.content)));
    }
    wrong
}

/// Sends a request on a connection of its own.
fn ask(step: &Step, cache: SocketAddr, prefix: &str) -> Result<Message> {
    let mut stream = TcpStream::connect(cache)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let method = step.ask.words.first().map_or("GET", String::as_str);
    let suffix = step.ask.words.get(1).map_or("", String::as_str);
    let mut out = format!("{method} {prefix}{suffix} HTTP/1.1\r\nHost: {cache}\r\nConnection: close\r\n");
    for (name, value) in &step.ask.fields {
        out.push_str(&format!("{name}: {}\r\n", with_dates(value)));
    }
    match &step.ask.content {
        Some(content) => out.push_str(&format!("Content-Length: {}\r\n\r\n{content}", content.len())),
        None if ["GET", "HEAD", "OPTIONS", "DELETE"].contains(&method) => out.push_str("\r\n"),
        None => out.push_str("Content-Length: 0\r\n\r\n"),
    }
    stream.write_all(out.as_bytes())?;
    Message::response(&mut BufReader::new(stream), method).map(|(response, _)| response)
}
