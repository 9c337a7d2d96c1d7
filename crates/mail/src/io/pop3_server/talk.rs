//! One connection: reads lines, does what the session wishes, sends what it says.
//!
//! A connection that waits owns no buffer: octets come through the worker's shared one, replies are gathered
//! only while there are some. Messages are read a few at a time when a client takes them in turn, and sent
//! piece by piece when they are long.

use core::net::IpAddr;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use doorway_base::trace::Direction;
use doorway_net::tcp::Watching;
use doorway_net::{Stream, World};
use doorway_store::{Attempt, Error, LoginRefused, User};
use tokio::io::AsyncWrite;

use super::{Pop3Server, count};
use crate::id::MessageId;
use crate::io::bodies::Body;
use crate::io::mailboxes::{Account, MailboxError};
use crate::mailbox::{FolderId, Maildrop, UidSet};
use crate::pop3::{Input, Line, Lines, Output, Policy, Refusal, Session, Stuffing, Verifier};
use crate::sasl::{account_name, base64};

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
/// How long an ended connection is listened to, so that what comes late does not reset our last words.
const LINGER_MAX: Duration = Duration::from_secs(1);

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

/// A connection at work.
pub(super) struct Talk<'s> {
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
    /// A connection that begins.
    pub(super) fn new(
        server: &'s Pop3Server,
        stream: Stream,
        world: World,
        watching: Watching,
        policy: Policy,
    ) -> Self {
        let unix = stream.unix_user().is_some();
        Self {
            server,
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
        }
    }

    /// Whether a maildrop is locked.
    pub(super) fn has_maildrop(&self) -> bool {
        self.opened.is_some()
    }

    /// Serves to the end: true when the client has said that it is done, false when it went away or the
    /// server is to stop.
    pub(super) async fn run(&mut self) -> io::Result<bool> {
        loop {
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::Octets(octets) => {
                        if self.session.is_over() {
                            // Who has heard our last word may be back before we have closed.
                            self.opened = None;
                        }
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
                        Box::pin(self.end()).await;
                        return Ok(true);
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
                return Ok(false);
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

    /// Closes: our end first, so that a client under TLS knows that nothing was cut off.
    async fn end(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let goodbye = async {
            poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await?;
            while poll_fn(|cx| stream.poll_read_with(cx, |octets| !octets.is_empty())).await? {}
            io::Result::Ok(())
        };
        // Whether it went well or not, nobody is left to be told.
        let _ = self.world.timeout(LINGER_MAX, goodbye).await;
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
