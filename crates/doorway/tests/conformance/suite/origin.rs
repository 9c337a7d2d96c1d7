//! An origin that answers as the case says whose name stands in the path.

use std::collections::{HashMap, VecDeque};
use std::io::{BufReader, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::case::Line;
use super::date::{date, with_dates};
use super::message::Message;

/// How long an origin takes that is `slow`.
const SLOW: Duration = Duration::from_millis(300);
/// How long one takes that is `slower`.
const SLOWER: Duration = Duration::from_millis(1300);

/// What an origin answers in one case, and what it was asked.
#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Line>,
    asked: Vec<Message>,
    /// The last answer that had content.
    full: Line,
}

impl Script {
    /// What it answers to a request.
    fn answer(&mut self, request: Message) -> Line {
        let is_conditional =
            request.field("if-none-match").is_some() || request.field("if-modified-since").is_some();
        self.asked.push(request);
        let unexpected = || Line::read("200|Cache-Control: no-store||unexpected");
        let mut answer = self.answers.pop_front().unwrap_or_else(unexpected);
        if answer.words.first().is_some_and(|word| word == "fails") {
            // However often it is tried.
            self.answers.push_front(answer.clone());
        }
        let status = answer.words.first().map_or("", String::as_str);
        if status == "304" && !is_conditional {
            // Who asks for all of it gets all of it, with what the 304 would have said.
            let is_new = |name: &str| {
                name.eq_ignore_ascii_case("age")
                    || name.eq_ignore_ascii_case("date")
                    || answer.fields.iter().any(|(new, _)| new.eq_ignore_ascii_case(name))
            };
            let mut fields: Vec<_> =
                self.full.fields.iter().filter(|(name, _)| !is_new(name)).cloned().collect();
            fields.extend(
                answer
                    .fields
                    .iter()
                    .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
                    .cloned(),
            );
            answer = Line { fields, ..self.full.clone() };
        } else if status == "200" {
            self.full = answer.clone();
        }
        answer
    }
}

/// An origin.
#[derive(Debug, Clone)]
pub struct Origin {
    pub address: SocketAddr,
    // Looked up, never iterated.
    scripts: Arc<Mutex<HashMap<String, Script>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Origin {
    /// Opens one at this address, and answers until the program ends.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let origin = Self { address: listener.local_addr()?, scripts: Arc::default() };
        let serving = origin.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let origin = serving.clone();
                // A cache that goes away is no fault of the origin.
                thread::spawn(move || drop(origin.serve(&stream)));
            }
        });
        Ok(origin)
    }

    /// What it answers next to requests whose path begins with `prefix`.
    pub fn expect(&self, prefix: &str, answers: impl IntoIterator<Item = Line>) {
        let mut scripts = lock(&self.scripts);
        let script = scripts.entry(prefix.to_owned()).or_default();
        script.answers = answers.into_iter().collect();
    }

    /// What it was asked since it was last looked at.
    pub fn asked(&self, prefix: &str) -> Vec<Message> {
        lock(&self.scripts)
            .get_mut(prefix)
            .map(|script| std::mem::take(&mut script.asked))
            .unwrap_or_default()
    }

    fn serve(&self, stream: &TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = Message::request(&mut reader)? {
            let mut words = request.first.split(' ').map(str::to_owned);
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let path =
                target.split_once("://").map_or(&*target, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
            let prefix: Vec<&str> = path.splitn(4, ['/', '?']).take(3).collect();
            let is_old = request.first.ends_with("HTTP/1.0");
            let answer = lock(&self.scripts).entry(prefix.join("/")).or_default().answer(request);
            if !send(stream, &method, is_old, &answer)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Sends an answer, to an HTTP/1.0 client if `is_old`; whether the connection goes on.
fn send(mut stream: &TcpStream, method: &str, is_old: bool, answer: &Line) -> Result<bool> {
    let has = |word: &str| answer.words.iter().any(|known| known == word);
    if has("fails") {
        return Ok(false);
    }
    if has("slow") {
        thread::sleep(SLOW);
    }
    if has("slower") {
        thread::sleep(SLOWER);
    }
    let status = answer.words.first().map_or("200", String::as_str);
    let content = answer.content.as_deref().unwrap_or_default();
    let is_bodiless = method == "HEAD" || status == "304" || status == "204";
    let mut out = String::new();
    if has("early") && !is_old {
        out.push_str("HTTP/1.1 103 Early Hints\r\nLink: </early>\r\nCache-Control: max-age=1000\r\n\r\n");
    }
    out.push_str(&format!("HTTP/1.1 {status} Said\r\n"));
    let mut is_dated = false;
    for (name, value) in &answer.fields {
        is_dated |= name.eq_ignore_ascii_case("date");
        // A Date that is not to be there is written without a value.
        if !(name.eq_ignore_ascii_case("date") && value.is_empty()) {
            out.push_str(&format!("{name}: {}\r\n", with_dates(value)));
        }
    }
    if !is_dated {
        out.push_str(&format!("Date: {}\r\n", date(0)));
    }
    // HTTP/1.0 knows no chunks: there the connection's end is that of the content.
    let unknown_length = has("chunked") || has("trailer");
    let chunked = unknown_length && !is_old;
    let announced = content.len() + if has("short") { 10 } else { 0 };
    match chunked {
        true if !is_bodiless => out.push_str("Transfer-Encoding: chunked\r\n\r\n"),
        _ if status == "204" || status == "304" || unknown_length => out.push_str("\r\n"),
        _ => out.push_str(&format!("Content-Length: {announced}\r\n\r\n")),
    }
    if !is_bodiless {
        if chunked && !content.is_empty() {
            out.push_str(&format!("{:x}\r\n{content}\r\n", content.len()));
        } else {
            out.push_str(content);
        }
        if chunked {
            out.push_str(if has("trailer") { "0\r\nX-Trailer: 1\r\n\r\n" } else { "0\r\n\r\n" });
        }
    }
    stream.write_all(out.as_bytes())?;
    let is_cut = has("short") || (unknown_length && is_old);
    Ok(!is_cut)
}
