//! A client's octets turned into commands and content, and the session's decisions into octets and tasks.
//!
//! Whoever carries the octets hands them over as they come. What takes time, or touches the world, comes
//! back as a [`Task`]; nothing more is taken until it was answered. Replies gather, so that those to all
//! commands of one read leave in one write (RFC 2920 §3.2).

use core::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use doorway_base::{Instant, Session as _};

use super::data::{BareNewline, Form, Scanner};
use super::line::Line;
use super::session::{Input, Options, Output, Peer, Session};
use crate::reply::Reply;

/// Content beyond this does not stay in memory, in octets.
pub const MEMORY_OCTETS_MAX: usize = 1024 * 1024;
/// Octets of a piece of content, after which the next one begins.
const PIECE_OCTETS: usize = 256 * 1024;
/// Room that a message without SIZE= gets at first, in octets.
const FIRST_OCTETS: usize = 8 * 1024;

/// What takes time, or touches the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Judge the sender: [`Session::envelope`].
    Sender,
    /// Judge [`Session::candidate`].
    Recipient,
    /// Content begins to come: draw its name. There is nothing to answer.
    Begin,
    /// Much content has come: take what is here with [`Conversation::take_pieces`]. There is nothing to
    /// answer, but [`Conversation::lose`] if it cannot be put aside.
    Spill,
    /// Keep the message: [`Session::take_envelope`] and [`Conversation::take_pieces`].
    Message,
    /// Agree on TLS. What came behind the command has been thrown away.
    StartTls,
    /// Check a name and a password.
    Login {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// Find what is needed to check a login of this name by SCRAM.
    Scram {
        /// The name.
        name: String,
    },
    /// The client proved its password, or did not.
    Proven(bool),
    /// Send what is there, then close.
    Close,
}

/// Something that was said, for the trace and the counters.
#[derive(Debug)]
pub enum Said<'a> {
    /// A command line, without its end.
    Line(&'a [u8]),
    /// A line that may hold a password.
    Secret,
    /// Content, as it came.
    Content(&'a [u8]),
    /// A reply, and its octets.
    Reply(&'a Reply, &'a [u8]),
}

/// Content that is coming.
#[derive(Debug)]
struct Receiving {
    scanner: Scanner,
    /// The piece that is being filled.
    piece: Vec<u8>,
    pieces: Vec<Bytes>,
    /// Octets in `pieces`.
    octets: usize,
    /// Why the content cannot be kept: the reply to give at its end.
    lost: Option<Reply>,
}

/// How the octets at hand are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Lines,
    Dotted,
    Chunk { left: u64, last: bool },
    Discard { left: u64 },
}

/// One client's dialogue with a door.
#[derive(Debug)]
pub struct Conversation {
    session: Session,
    bare_newline: BareNewline,
    octets_max: u64,
    reading: Reading,
    receiving: Option<Box<Receiving>>,
}

impl Conversation {
    /// A client that just came in. Call [`Conversation::go_on`] for the greeting.
    #[must_use]
    pub fn new(
        now: Instant,
        options: &Arc<Options>,
        peer: Peer,
        remote: Option<IpAddr>,
        bare_newline: BareNewline,
    ) -> Self {
        let octets_max = options.octets_max;
        let session = Session::new(now, Arc::clone(options), peer, remote);
        Self { session, bare_newline, octets_max, reading: Reading::Lines, receiving: None }
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The session, to take the envelope of a message.
    pub const fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Whether content is coming.
    #[must_use]
    pub fn is_amid_content(&self) -> bool {
        self.reading != Reading::Lines
    }

    /// The content that is in memory, in pieces that follow one another.
    pub fn take_pieces(&mut self) -> Vec<Bytes> {
        let Some(receiving) = &mut self.receiving else { return Vec::new() };
        let mut pieces = std::mem::take(&mut receiving.pieces);
        receiving.octets = 0;
        if !receiving.piece.is_empty() {
            pieces.push(std::mem::take(&mut receiving.piece).into());
        }
        pieces
    }

    /// The content cannot be kept: the rest is read and forgotten, and this is the reply at its end.
    pub fn lose(&mut self, reply: Reply) {
        if let Some(receiving) = &mut self.receiving {
            receiving.scanner.refuse();
            receiving.settle();
            receiving.lost = Some(reply);
        }
    }

    /// Takes octets in, up to the first task; gives how many were used. The rest is to be shown again, with
    /// what came behind it.
    pub fn take(
        &mut self,
        now: Instant,
        octets: &[u8],
        out: &mut Vec<u8>,
        heard: &mut dyn FnMut(Said<'_>),
    ) -> (usize, Option<Task>) {
        let mut used = 0;
        loop {
            let rest = &octets[used..];
            let task = match self.reading {
                Reading::Lines => {
                    if !self.session.wants_line() {
                        return (used, None);
                    }
                    let (input, length) = match Line::first(rest) {
                        Line::Part => return (used, None),
                        Line::Whole(line, length) => {
                            heard(self.said(line));
                            (Input::Line { line, more: rest.len() > length }, length)
                        }
                        Line::BareLf | Line::TooLong | Line::Tls => (Input::NoLine, rest.len()),
                    };
                    used += length;
                    self.answer(now, input, out, heard)
                }
                Reading::Chunk { left: 0, last } => self.end(now, last, out, heard),
                _ if rest.is_empty() => return (used, None),
                _ => {
                    let (length, task) = self.take_content(now, rest, out, heard);
                    used += length;
                    task
                }
            };
            match task {
                // What came in the clear must not be taken for what comes under TLS (RFC 3207 §6).
                Some(Task::StartTls | Task::Close) => return (octets.len(), task),
                Some(_) => return (used, task),
                None => {}
            }
        }
    }

    /// What a line is, for who listens: secrets are not told.
    fn said<'a>(&self, line: &'a [u8]) -> Said<'a> {
        let is_auth = line.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        if is_auth || self.session.is_amid_login() { Said::Secret } else { Said::Line(line) }
    }

    /// Tells the session what happened, and does what it says, up to the next task.
    pub fn answer(
        &mut self,
        now: Instant,
        input: Input<'_>,
        out: &mut Vec<u8>,
        heard: &mut dyn FnMut(Said<'_>),
    ) -> Option<Task> {
        if matches!(input, Input::Timeout) {
            // Content that stopped coming is not waited for.
            self.reading = Reading::Lines;
            self.receiving = None;
        }
        self.session.handle(now, input);
        self.go_on(out, heard)
    }

    /// Does what the session says, up to the next task or up to content that has to be read first.
    pub fn go_on(&mut self, out: &mut Vec<u8>, heard: &mut dyn FnMut(Said<'_>)) -> Option<Task> {
        while self.reading == Reading::Lines {
            match self.session.poll_output()? {
                Output::Reply(reply) => {
                    let start = out.len();
                    reply.write(out);
                    heard(Said::Reply(&reply, &out[start..]));
                }
                Output::Sender => return Some(Task::Sender),
                Output::Recipient => return Some(Task::Recipient),
                Output::Content => {
                    self.begin(Form::Dotted);
                    self.reading = Reading::Dotted;
                    return Some(Task::Begin);
                }
                Output::Chunk { octets, first, last, form } => {
                    self.reading = Reading::Chunk { left: octets, last };
                    if first {
                        self.begin(form);
                        return Some(Task::Begin);
                    }
                }
                Output::Discard(octets) => {
                    self.reading =
                        if octets == 0 { Reading::Lines } else { Reading::Discard { left: octets } };
                }
                Output::Message => return Some(Task::Message),
                Output::StartTls => return Some(Task::StartTls),
                Output::Login { name, password } => return Some(Task::Login { name, password }),
                Output::Scram { name } => return Some(Task::Scram { name }),
                Output::Proven(proven) => return Some(Task::Proven(proven)),
                Output::Close => return Some(Task::Close),
            }
        }
        None
    }

    fn begin(&mut self, form: Form) {
        let announced = self.session.announced().min(PIECE_OCTETS as u64) as usize;
        let room = if announced == 0 { FIRST_OCTETS } else { announced };
        self.receiving = Some(Box::new(Receiving {
            scanner: Scanner::new(form, self.bare_newline, self.octets_max),
            piece: Vec::with_capacity(room),
            pieces: Vec::new(),
            octets: 0,
            lost: None,
        }));
    }

    fn take_content(
        &mut self,
        now: Instant,
        octets: &[u8],
        out: &mut Vec<u8>,
        heard: &mut dyn FnMut(Said<'_>),
    ) -> (usize, Option<Task>) {
        if let Reading::Discard { left } = self.reading {
            let used = octets.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let left = left - used as u64;
            self.reading = if left == 0 { Reading::Lines } else { Reading::Discard { left } };
            return (used, self.go_on(out, heard));
        }
        let Some(receiving) = &mut self.receiving else {
            self.reading = Reading::Lines;
            return (0, None);
        };
        let (used, outcome) = match &mut self.reading {
            Reading::Chunk { left, last } => {
                let length = octets.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                receiving.scanner.take(&octets[..length], &mut receiving.piece);
                *left -= length as u64;
                (length, (*left == 0).then_some(*last))
            }
            _ => {
                let (used, ended) = receiving.scanner.take(octets, &mut receiving.piece);
                (used, ended.then_some(true))
            }
        };
        heard(Said::Content(&octets[..used]));
        self.session.progress(now);
        receiving.settle();
        match outcome {
            None if receiving.octets > MEMORY_OCTETS_MAX => (used, Some(Task::Spill)),
            None => (used, None),
            Some(last) => (used, self.end(now, last, out, heard)),
        }
    }

    /// The content, or a chunk of it, is whole.
    fn end(
        &mut self,
        now: Instant,
        last: bool,
        out: &mut Vec<u8>,
        heard: &mut dyn FnMut(Said<'_>),
    ) -> Option<Task> {
        self.reading = Reading::Lines;
        let receiving = self.receiving.as_mut()?;
        let input = match receiving.lost.take() {
            Some(reply) => Input::Lost(reply),
            None if last => Input::Content(receiving.scanner.finish(&mut receiving.piece).map(|_| ())),
            None => Input::Chunk(receiving.scanner.flaw().map_or(Ok(()), Err)),
        };
        if matches!(input, Input::Lost(_) | Input::Content(Err(_)) | Input::Chunk(Err(_))) {
            self.receiving = None;
        }
        self.answer(now, input, out, heard)
    }
}

impl Receiving {
    /// Begins a new piece when the one at hand is full. What is to be refused is not kept.
    fn settle(&mut self) {
        if self.scanner.is_refused() {
            self.piece = Vec::new();
            self.pieces.clear();
            self.octets = 0;
        } else if self.piece.len() >= PIECE_OCTETS {
            self.octets += self.piece.len();
            self.pieces.push(std::mem::take(&mut self.piece).into());
        }
    }
}

#[cfg(test)]
mod tests;
