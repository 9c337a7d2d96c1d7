//! The POP3 server's doors (RFC 1939 §3): reads lines, does what the session wishes, sends what it says.
//!
//! A connection that waits owns no buffer: octets come through the worker's shared one, replies are gathered
//! only while there are some. Messages are read a few at a time when a client takes them in turn, and sent
//! piece by piece when they are long.

use core::net::IpAddr;
use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use doorway_base::trace::Direction;
use doorway_net::tcp::{TcpOptions, Watching};
use doorway_net::tls::TlsAcceptor;
use doorway_net::{Connection, Stream, TcpService, World};
use doorway_store::{Attempt, Error, LoginGate, LoginRefused, User};
use tokio::io::AsyncWrite;

use super::bodies::Body;
use super::mailboxes::{Account, MailboxError, Mailboxes};
use crate::id::MessageId;
use crate::mailbox::{FolderId, Maildrop, UidSet};
use crate::pop3::{Input, Line, Lines, Output, Policy, Refusal, Session, Stuffing, Verifier};
use crate::sasl::{account_name, base64};

/// Ports of POP3: in clear with STLS, and with TLS from the first octet (RFC 8314 §3.3).
pub const PORT: u16 = 110;
/// The port for TLS from the first octet.
pub const PORT_TLS: u16 = 995;
/// Silence after which a connection is dropped; RFC 1939 §3 wants ten minutes at least.
pub const IDLE_MAX: Duration = Duration::from_secs(600);
/// Octets of replies that are gathered before they are sent.
const OUT_OCTETS: usize = 64 * 1024;
/// Octets of a long message that are read at a time.
const PIECE_OCTETS: u64 = 128 * 1024;
/// Messages, and octets of them, that are read ahead for a client that takes them in turn.
const AHEAD_MESSAGES: usize = 32;
const AHEAD_OCTETS: u64 = 64 * 1024;
/// Octets of our part of a SCRAM exchange's nonce.
const NONCE_OCTETS: usize = 18;
/// How long beginning TLS may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// What the servers have done since they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pop3Metrics {
    /// Commands.
    pub commands: u64,
    /// Logins that succeeded and opened a mailbox.
    pub logins: u64,
    /// Logins with a wrong name or password, or too many of them.
    pub denied: u64,
    /// Logins to a mailbox that another session had.
    pub in_use: u64,
    /// Messages sent, whole or in part.
    pub retrieved: u64,
    /// Octets of messages sent, before dots were doubled.
    pub retrieved_octets: u64,
    /// Messages deleted.
    pub deleted: u64,
    /// Sessions that ended without QUIT.
    pub broken_off: u64,
}

#[derive(Debug, Default)]
struct Counters {
    commands: AtomicU64,
    logins: AtomicU64,
    denied: AtomicU64,
    in_use: AtomicU64,
    retrieved: AtomicU64,
    retrieved_octets: AtomicU64,
    deleted: AtomicU64,
    broken_off: AtomicU64,
}

fn count(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Relaxed);
}

/// Serves mailboxes by POP3, behind any number of doors.
pub struct Pop3Server {
    mailboxes: Arc<Mailboxes>,
    gate: Arc<LoginGate>,
    options: Pop3Options,
    /// Users whose maildrop is open: one session each (RFC 1939 §4).
    open: Mutex<BTreeSet<u64>>,
    counters: Counters,
}

/// How to serve.
#[derive(Debug, Clone, Default)]
pub struct Pop3Options {
    /// For STLS; without it there is none.
    pub tls: Option<Arc<TlsAcceptor>>,
    /// Whether passwords are taken in clear from other machines too.
    pub clear_passwords: bool,
    /// The domains whose addresses log in as the users before their `@`.
    pub domains: Vec<String>,
}

impl std::fmt::Debug for Pop3Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pop3Server").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Pop3Server {
    /// A server of these mailboxes to whom `gate` lets in.
    #[must_use]
    pub fn new(mailboxes: Arc<Mailboxes>, gate: Arc<LoginGate>, options: Pop3Options) -> Self {
        Self { mailboxes, gate, options, open: Mutex::default(), counters: Counters::default() }
    }

    /// How a door is set up: `tls` for one that encrypts from the first octet.
    #[must_use]
    pub fn tcp_options(&self, tls: bool) -> TcpOptions {
        let mut options = TcpOptions::new("pop3", "POP3", if tls { PORT_TLS } else { PORT });
        options.limits.idle = IDLE_MAX;
        options.tls = self.options.tls.clone().filter(|_| tls);
        options
    }

    /// What was done so far.
    #[must_use]
    pub fn metrics(&self) -> Pop3Metrics {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let counters = &self.counters;
        Pop3Metrics {
            commands: read(&counters.commands),
            logins: read(&counters.logins),
            denied: read(&counters.denied),
            in_use: read(&counters.in_use),
            retrieved: read(&counters.retrieved),
            retrieved_octets: read(&counters.retrieved_octets),
            deleted: read(&counters.deleted),
            broken_off: read(&counters.broken_off),
        }
    }

    /// Maildrops that are open now.
    #[must_use]
    pub fn open_maildrops(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TcpService for Pop3Server {
    async fn serve(&self, connection: Connection) {
        let (stream, world, watching) = connection.into_parts();
        let unix = stream.unix_user().is_some();
        let remote = watching.pulse().ends().remote.ip();
        let policy = Policy {
            stls: self.options.tls.is_some(),
            tls: stream.is_tls(),
            clear: self.options.clear_passwords || unix || remote.to_canonical().is_loopback(),
        };
        let mut talk = Talk {
            server: self,
            stream: Some(stream),
            world,
            watching,
            session: Session::new(policy),
            lines: Lines::default(),
            out: Vec::new(),
            unix,
            attempt: None,
            login: None,
            opened: None,
        };
        // What goes wrong with the connection ends it, and nothing else happens: no UPDATE.
        let ended = talk.run().await;
        if !matches!(ended, Ok(Ending::SignedOff)) && talk.opened.is_some() {
            count(&self.counters.broken_off, 1);
        }
    }
}

/// A maildrop that this connection has, until it is dropped.
struct Opened<'s> {
    server: &'s Pop3Server,
    account: Account,
    maildrop: Maildrop,
    /// Bodies that were read ahead, by their place in the maildrop.
    ahead: VecDeque<(usize, Option<Body>)>,
    /// The place behind the message that was sent last.
    next: usize,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.server.lock().remove(&self.account.user);
    }
}

enum Ending {
    SignedOff,
    /// The client went away, or the server is to stop.
    BrokenOff,
}

struct Talk<'s> {
    server: &'s Pop3Server,
    /// Absent only while TLS begins.
    stream: Option<Stream>,
    world: World,
    watching: Watching,
    session: Session,
    lines: Lines,
    /// Replies that wait to be sent.
    out: Vec<u8>,
    unix: bool,
    /// A login by SCRAM that is being tried, and the user it is for, if there is one.
    attempt: Option<Box<(Attempt<'s>, Option<User>)>>,
    /// Who was let in, before their maildrop is open.
    login: Option<u64>,
    opened: Option<Box<Opened<'s>>>,
}

impl<'s> Talk<'s> {
    async fn run(&mut self) -> io::Result<Ending> {
        loop {
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::Octets(octets) => {
                        self.watching.record(Direction::Out, &octets, None, || first_line(&octets));
                        self.out.extend_from_slice(&octets);
                        if self.out.len() >= OUT_OCTETS {
                            self.flush().await?;
                        }
                    }
                    Output::Login { name, password } => {
                        let answer = Box::pin(self.login(&name, &password)).await;
                        self.session.handle(Input::LoggedIn(answer));
                    }
                    Output::Verify { name } => {
                        let answer = Box::pin(self.verifier(&name)).await;
                        self.session.handle(Input::Verifier(answer));
                    }
                    Output::Proven(proven) => {
                        let answer = self.proven(proven);
                        self.session.handle(Input::LoggedIn(answer));
                    }
                    Output::Open => {
                        let answer = Box::pin(self.open()).await;
                        self.session.handle(Input::Opened(answer));
                    }
                    Output::Retrieve { index, lines, reply } => {
                        if let Err(refusal) = Box::pin(self.retrieve(index, lines, &reply)).await? {
                            self.session.handle(Input::Unreadable(refusal));
                        }
                    }
                    Output::Delete(uids) => {
                        let answer = Box::pin(self.delete(&uids)).await;
                        self.session.handle(Input::Deleted(answer));
                    }
                    Output::Secure => {
                        self.flush().await?;
                        Box::pin(self.secure()).await?;
                        self.session.handle(Input::Secured);
                    }
                    Output::Close => {
                        self.flush().await?;
                        return Ok(Ending::SignedOff);
                    }
                }
            }
            let octets_max = self.session.line_octets_max();
            let tls = self.stream.as_ref().is_some_and(Stream::is_tls);
            if let Some(line) = self.lines.next(octets_max) {
                count(&self.server.counters.commands, 1);
                self.watching.pulse().count_requests(1);
                let secret = self.session.is_exchanging();
                let shown = shown(line, secret, tls);
                self.watching.record(Direction::In, shown, None, || first_line(shown));
                self.session.handle(Input::Line(line));
                continue;
            }
            if !self.out.is_empty() {
                self.flush().await?;
            }
            if !self.read().await? {
                return Ok(Ending::BrokenOff);
            }
        }
    }

    /// Waits for octets. False at the end of the stream, and when the server is to stop.
    async fn read(&mut self) -> io::Result<bool> {
        let Self { stream, watching, lines, out, .. } = self;
        let Some(stream) = stream else { return Ok(false) };
        let read = poll_fn(|cx| {
            if watching.is_draining() {
                return Poll::Ready(Ok(None));
            }
            let read = stream.poll_read_with(cx, |octets| {
                lines.push(octets);
                Some(!octets.is_empty())
            });
            if read.is_pending() {
                *out = Vec::new(); // who waits owns no buffer
            }
            read
        });
        if let Some(goes_on) = read.await? {
            return Ok(goes_on);
        }
        self.out.extend_from_slice(b"-ERR [SYS/TEMP] the server is stopping\r\n");
        self.flush().await?;
        Ok(false)
    }

    /// Sends what waits.
    async fn flush(&mut self) -> io::Result<()> {
        let Self { stream, out, .. } = self;
        let Some(stream) = stream else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut sent = 0;
        while sent < out.len() {
            match poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, &out[sent..])).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                octets => sent += octets,
            }
        }
        out.clear();
        poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
    }

    /// The address that guesses are counted for; a Unix socket has none.
    fn guesser(&self) -> Option<IpAddr> {
        (!self.unix).then(|| self.watching.pulse().ends().remote.ip())
    }

    async fn verifier(&mut self, name: &str) -> Result<Verifier, Refusal> {
        let gate = &self.server.gate;
        let name = account_name(name, &self.server.options.domains);
        // From here on the attempt counts, also if the client goes away.
        let attempt = gate.begin(name, self.guesser(), self.world.now()).map_err(|wait| {
            count(&self.server.counters.denied, 1);
            Refusal::Limited(wait.as_secs().max(1))
        })?;
        match gate.users().scram(name).await {
            Ok((verifier, user)) => {
                self.attempt = Some(Box::new((attempt, user)));
                let mut nonce = [0; NONCE_OCTETS];
                self.world.random().fill(&mut nonce);
                Ok(Verifier { verifier, nonce: base64::encode(&nonce) })
            }
            Err(error) => {
                attempt.unchecked();
                tracing::warn!(%error, "a login by POP3 could not be looked at");
                Err(Refusal::Temporary)
            }
        }
    }

    fn proven(&mut self, proven: bool) -> Result<(), Refusal> {
        match self.attempt.take().map(|attempt| *attempt) {
            Some((attempt, Some(user))) if proven => {
                attempt.succeeded();
                self.login = Some(user.id);
                Ok(())
            }
            attempt => {
                if let Some((attempt, _)) = attempt {
                    attempt.denied();
                }
                count(&self.server.counters.denied, 1);
                Err(Refusal::Denied)
            }
        }
    }

    async fn login(&mut self, name: &str, password: &str) -> Result<(), Refusal> {
        let remote = self.guesser();
        let name = account_name(name, &self.server.options.domains);
        let (now, wall) = (self.world.now(), self.world.wall());
        let counters = &self.server.counters;
        match self.server.gate.login(name, password, "pop3", remote, now, wall).await {
            Ok(login) => {
                self.login = Some(login.user.id);
                Ok(())
            }
            Err(LoginRefused::Denied) => {
                count(&counters.denied, 1);
                Err(Refusal::Denied)
            }
            Err(LoginRefused::Limited(wait)) => {
                count(&counters.denied, 1);
                Err(Refusal::Limited(wait.as_secs().max(1)))
            }
            Err(LoginRefused::Unavailable(error)) => {
                tracing::warn!(%error, "a login by POP3 could not be looked at");
                Err(Refusal::Temporary)
            }
        }
    }

    async fn open(&mut self) -> Result<Maildrop, Refusal> {
        let user = self.login.take().ok_or(Refusal::Permanent)?;
        if !self.server.lock().insert(user) {
            count(&self.server.counters.in_use, 1);
            return Err(Refusal::InUse);
        }
        // From here on the guard gives the lock back, whatever happens.
        let account = Account { user, uid_validity: 0 };
        let maildrop = Maildrop::default();
        let server = self.server;
        let mut opened = Box::new(Opened { server, account, maildrop, ahead: VecDeque::new(), next: 0 });
        let mailboxes = &server.mailboxes;
        opened.account =
            mailboxes.open_account(user, self.world.wall()).await.map_err(|error| refusal(&error))?;
        opened.maildrop = mailboxes.maildrop(&opened.account).await.map_err(|error| refusal(&error))?;
        count(&server.counters.logins, 1);
        let maildrop = opened.maildrop.clone();
        self.opened = Some(opened);
        Ok(maildrop)
    }

    /// Sends a message; `Ok(Err)` when it cannot be read and nothing was sent.
    async fn retrieve(
        &mut self,
        index: usize,
        lines: Option<u64>,
        reply: &str,
    ) -> io::Result<Result<(), Refusal>> {
        let Some(opened) = &mut self.opened else { return Ok(Err(Refusal::Permanent)) };
        let body = match opened.body(index).await {
            Ok(Some(body)) => body,
            // Somebody else has removed it, or it is damaged.
            Ok(None) => return Ok(Err(Refusal::Permanent)),
            Err(error) => return Ok(Err(refusal(&error))),
        };
        let bodies = opened.server.mailboxes.bodies().clone();
        let piece = match bodies.read(&body, 0, PIECE_OCTETS).await {
            Ok(piece) => piece,
            Err(error) => return Ok(Err(refusal(&error))),
        };
        let start = self.out.len();
        self.out.extend_from_slice(reply.as_bytes());
        let mut stuffing = lines.map_or_else(Stuffing::whole, Stuffing::top);
        let mut goes_on = stuffing.push(&piece, &mut self.out);
        let mut at = piece.len() as u64;
        drop(piece);
        self.record_out(start, || first_line(reply.as_bytes()));
        while goes_on && at < body.octets() {
            self.flush().await?;
            // What was promised cannot be sent: only the end of the connection tells the client.
            let piece = bodies.read(&body, at, PIECE_OCTETS).await.map_err(io::Error::other)?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at += piece.len() as u64;
            goes_on = stuffing.push(&piece, &mut self.out);
            self.record_out(0, || format!("message {} goes on", index + 1));
        }
        stuffing.finish(&mut self.out);
        count(&self.server.counters.retrieved, 1);
        count(&self.server.counters.retrieved_octets, at);
        if self.out.len() >= OUT_OCTETS {
            self.flush().await?;
        }
        Ok(Ok(()))
    }

    fn record_out(&self, start: usize, summary: impl FnOnce() -> String) {
        self.watching.record(Direction::Out, &self.out[start..], None, summary);
    }

    async fn delete(&mut self, uids: &UidSet) -> Result<(), Refusal> {
        let Some(opened) = self.opened.take() else { return Err(Refusal::Permanent) };
        let mailboxes = &self.server.mailboxes;
        match mailboxes.expunge(opened.account.user, FolderId::INBOX, uids).await {
            Ok(gone) => {
                count(&self.server.counters.deleted, gone.len());
                Ok(())
            }
            Err(MailboxError::Store(error)) => Err(refusal(&error)),
            Err(_) => Err(Refusal::Permanent),
        }
    }

    async fn secure(&mut self) -> io::Result<()> {
        // What was sent in clear behind STLS could come from anybody (RFC 2595 §4).
        self.lines.clear();
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let tls = self.server.options.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let agreed = self.world.timeout(HANDSHAKE_MAX, tls.accept(stream)).await;
        self.stream = Some(agreed.ok_or(io::ErrorKind::TimedOut)??);
        Ok(())
    }
}

impl<'s> Opened<'s> {
    /// The body of a message, and in the same read those of some that follow when it is their turn.
    async fn body(&mut self, index: usize) -> Result<Option<Body>, Error> {
        while let Some((at, body)) = self.ahead.pop_front() {
            if at == index {
                self.next = index + 1;
                return Ok(body);
            }
        }
        let in_turn = index == self.next && index > 0;
        let mut octets = 0;
        let mut ids: Vec<MessageId> = Vec::new();
        for entry in self.maildrop.entries.iter().skip(index).take(if in_turn { AHEAD_MESSAGES } else { 1 }) {
            octets += entry.octets;
            if !ids.is_empty() && octets > AHEAD_OCTETS {
                break;
            }
            ids.push(entry.id);
        }
        let mut bodies = self.server.mailboxes.bodies().bodies(&ids).await?.into_iter();
        self.next = index + 1;
        let first = bodies.next().flatten();
        self.ahead = bodies.enumerate().map(|(at, body)| (index + 1 + at, body)).collect();
        Ok(first)
    }
}

/// What the client hears of trouble with the store; the operator hears all of it.
fn refusal(error: &Error) -> Refusal {
    tracing::warn!(%error, "a mailbox could not be served by POP3");
    if error.is_temporary() { Refusal::Temporary } else { Refusal::Permanent }
}

fn first_line(octets: &[u8]) -> String {
    let line = octets.split(|octet| *octet == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

/// The line as the trace shows it. A password that went encrypted stays unseen; one that went in clear was
/// seen by everybody on the way.
fn shown(line: Line<'_>, secret: bool, tls: bool) -> &[u8] {
    let begins =
        |line: &[u8], word: &[u8]| line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match line {
        Line::TooLong => b"(a line too long)",
        Line::Whole(_) if tls && secret => b"********",
        Line::Whole(line) if tls && begins(line, b"PASS ") => b"PASS ********",
        Line::Whole(line) if tls && begins(line, b"AUTH ") => b"AUTH ********",
        Line::Whole(line) => line,
    }
}
