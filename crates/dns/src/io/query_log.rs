//! The query log: a line for each query, written by a task of its own.
//!
//! Whoever answers puts an entry into a bounded queue and goes on; what the queue has no room for is
//! counted and left out. A query never waits for the disk.

use core::net::SocketAddr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use doorway_base::{Reader, UnixTime};
use doorway_net::World;
use tokio::sync::mpsc;

use super::SERVICE;
use crate::error::Error;
use crate::wire::{Flags, HEADER_OCTETS, Question, Rcode};

/// Entries that wait to be written at most.
const QUEUE_MAX: usize = 16_384;
/// Entries written at once.
const TAKE_MAX: usize = 1024;

/// The log. Clones write to the same file.
#[derive(Debug, Clone)]
pub struct QueryLog {
    entries: mpsc::Sender<Entry>,
    left_out: Arc<AtomicU64>,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A zone served here, or a refusal.
    Zone,
    /// The ready-made answers.
    Cache,
    /// The resolver.
    Resolver,
}

#[derive(Debug)]
struct Entry {
    at: UnixTime,
    client: SocketAddr,
    transport: &'static str,
    question: Option<Box<Question>>,
    rcode: Rcode,
    octets: usize,
    source: Source,
}

impl QueryLog {
    /// Opens the log, to be written behind its end.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(world: &World, path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|source| Error::QueryLog { path: path.to_owned(), source })?;
        let (entries, queue) = mpsc::channel(QUEUE_MAX);
        let left_out = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&left_out);
        world.spawn_background(SERVICE, write(queue, file, path.to_owned(), told));
        Ok(Self { entries, left_out })
    }

    /// Notes an answer. Never waits.
    pub fn note(
        &self,
        at: UnixTime,
        client: SocketAddr,
        transport: &'static str,
        query: &[u8],
        reply: &[u8],
        source: Source,
    ) {
        let question = Question::read(&mut Reader::at(query, HEADER_OCTETS)).ok().map(Box::new);
        let flags = Flags(reply.get(2..4).map_or(0, |two| u16::from_be_bytes([two[0], two[1]])));
        let octets = reply.len();
        let entry = Entry { at, client, transport, question, rcode: flags.rcode(), octets, source };
        if self.entries.try_send(entry).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Entries that were left out because writing could not keep up.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}

async fn write(mut queue: mpsc::Receiver<Entry>, file: File, path: PathBuf, left_out: Arc<AtomicU64>) {
    let mut out = BufWriter::with_capacity(64 * 1024, file);
    let mut entries = Vec::with_capacity(TAKE_MAX);
    let mut told = false;
    while queue.recv_many(&mut entries, TAKE_MAX).await > 0 {
        let count = entries.len() as u64;
        let written =
            entries.drain(..).try_for_each(|entry| line(&mut out, &entry)).and_then(|()| out.flush());
        if let Err(error) = written {
            left_out.fetch_add(count, Ordering::Relaxed);
            if !told {
                tracing::error!(path = %path.display(), %error, "the query log cannot be written");
            }
            told = true;
        }
    }
}

fn line(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let Entry { at, client, transport, question, rcode, octets, source } = entry;
    let civil = at.civil();
    let millis = at.as_nanos() / 1_000_000 % 1000;
    let source = match source {
        Source::Zone => "zone",
        Source::Cache => "cache",
        Source::Resolver => "resolver",
    };
    write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z {client} {transport} ",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    )?;
    match question {
        Some(question) => write!(out, "{} {} {}", question.name, question.class, question.kind)?,
        None => write!(out, "- - -")?,
    }
    writeln!(out, " {rcode} {octets} {source}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Class, Type};

    #[test]
    fn an_entry_is_one_line_with_its_parts_in_order() {
        let question = Question { name: "a b.example".parse().unwrap(), kind: Type::AAAA, class: Class::IN };
        let entry = Entry {
            at: UnixTime::from_nanos(1_000_000_000_123_000_000),
            client: "[2001:db8::1]:5353".parse().unwrap(),
            transport: "udp",
            question: Some(Box::new(question)),
            rcode: Rcode::NXDOMAIN,
            octets: 99,
            source: Source::Resolver,
        };
        let mut out = Vec::new();
        line(&mut out, &entry).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2001-09-09T01:46:40.123Z [2001:db8::1]:5353 udp a\\032b.example. IN AAAA NXDOMAIN 99 resolver\n"
        );
    }
}
