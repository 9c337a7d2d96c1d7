//! One connection to a server, from its greeting to QUIT: what to say and what its replies mean (RFC 5321,
//! RFC 2033 for LMTP).
//!
//! Commands of one message leave together where the server takes that (RFC 2920). The content does not
//! pass here: [`Output::Content`] asks the shell to send it.

mod transaction;

use std::collections::VecDeque;
use std::time::Duration;

use doorway_base::{Instant, Malformed, Session};

use super::answer::Answers;
use super::extension::Capabilities;
use super::failure::{Cause, Failure, Stage};
use super::{Dialect, data};
use crate::envelope::Envelope;
use crate::reply::{Enhanced, Reply};
use crate::sasl::{self, Mechanism, base64};
use transaction::{Command, Transaction};

/// How long a reply may take (RFC 5321 §4.5.3.2.1 to §4.5.3.2.3).
const REPLY_WAIT: Duration = Duration::from_secs(300);
/// How long the reply to DATA may take (RFC 5321 §4.5.3.2.4).
const DATA_WAIT: Duration = Duration::from_secs(120);
/// How long a piece of the content may take to leave (RFC 5321 §4.5.3.2.5).
const BLOCK_WAIT: Duration = Duration::from_secs(180);
/// How long the reply to the content may take (RFC 5321 §4.5.3.2.6).
const END_WAIT: Duration = Duration::from_secs(600);
/// How long the reply to QUIT may take: nothing depends on it.
const QUIT_WAIT: Duration = Duration::from_secs(5);
/// Most messages over one connection, unless the settings say otherwise.
pub const MESSAGES_MAX: u32 = 100;
/// Most recipients of one message; the rest is told to come later.
pub const RECIPIENTS_MAX: usize = 1000;

/// Whether the octets have to be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// No TLS, even where it is offered.
    Never,
    /// TLS with whatever certificate where it is offered, and in the clear elsewhere (RFC 7435).
    #[default]
    Opportunistic,
    /// TLS with whatever certificate.
    Required,
    /// TLS with a certificate that is good for the server's name.
    Verified,
}

/// A name and a password to log in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How to talk to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What we call ourselves in EHLO: our host name, or an address literal.
    pub hostname: String,
    /// SMTP or LMTP.
    pub dialect: Dialect,
    /// Whether TLS has to be.
    pub security: Security,
    /// Whether the connection begins with TLS, as on port 465 (RFC 8314 §3.3), in place of STARTTLS.
    pub implicit_tls: bool,
    /// Who we log in as, if we do.
    pub credentials: Option<Credentials>,
    /// Whether a password may be sent in the clear: to a server on this host.
    pub clear_password: bool,
    /// Most messages over one connection; the server may want fewer (RFC 9422).
    pub messages_max: u32,
}

impl Settings {
    /// For a server that anybody may send to.
    #[must_use]
    pub fn new(hostname: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            dialect: Dialect::Smtp,
            security: Security::Opportunistic,
            implicit_tls: false,
            credentials: None,
            clear_password: false,
            messages_max: MESSAGES_MAX,
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The server said this.
    Octets(&'a [u8]),
    /// TLS was agreed on, as [`Output::StartTls`] wanted.
    Secured,
    /// A message of this many octets is to be sent. Only when idle: see [`Client::is_idle`].
    Send(&'a Envelope, u64),
    /// A piece of the content has left.
    Sent,
    /// All of the content has left, with its end.
    ContentSent,
    /// Say goodbye. Only when idle.
    Quit,
    /// The connection is over; says how.
    Closed(String),
    /// [`Session::next_timeout`] has come.
    Timeout,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these octets.
    Write(Vec<u8>),
    /// Agree on TLS, then say [`Input::Secured`].
    StartTls,
    /// The server is ready for a message.
    Ready,
    /// Send the content, as it is when `chunked` (the octets of BDAT were announced), else through
    /// [`data::Stuffer`]; then say [`Input::ContentSent`].
    Content {
        /// BDAT, not DATA.
        chunked: bool,
    },
    /// What became of the message: a reply for each recipient, in the envelope's order.
    Done(Vec<Reply>),
    /// The connection is of no more use.
    Failed(Failure),
    /// Close the connection.
    Close,
}

#[derive(Debug)]
enum State {
    Greeting,
    /// EHLO or LHLO was said.
    Hello,
    /// HELO was said, because EHLO is not known.
    Helo,
    StartTls,
    Handshake,
    Auth(sasl::Client),
    Idle,
    Transaction(Transaction),
    /// The content is on its way, or was sent and is being judged.
    Content {
        transaction: Transaction,
        sent: bool,
    },
    Quit,
    Over,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    nonce: String,
    state: State,
    answers: Answers,
    capabilities: Capabilities,
    is_tls: bool,
    messages: u32,
    /// The server may still hold part of a transaction that came to nothing.
    needs_reset: bool,
    due: Option<(Instant, Duration)>,
    outputs: VecDeque<Output>,
}

impl Client {
    /// A connection that was just opened; `is_tls` when TLS came first. `nonce` is printable ASCII without
    /// commas that nobody can guess.
    #[must_use]
    pub fn new(now: Instant, settings: Settings, nonce: String, is_tls: bool) -> Self {
        Self {
            settings,
            nonce,
            state: State::Greeting,
            answers: Answers::default(),
            capabilities: Capabilities::default(),
            is_tls,
            messages: 0,
            needs_reset: false,
            due: Some((now + REPLY_WAIT, REPLY_WAIT)),
            outputs: VecDeque::new(),
        }
    }

    /// What the server offers.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the octets are encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Whether a message may be sent now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let ours = self.settings.messages_max;
        let max = self.capabilities.messages_max.map_or(ours, |max| max.min(ours));
        matches!(self.state, State::Idle) && self.messages < max
    }

    /// How far the connection is.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self.state {
            State::Greeting => Stage::Greeting,
            State::Hello | State::Helo => Stage::Hello,
            State::StartTls | State::Handshake => Stage::Tls,
            State::Auth(_) => Stage::Auth,
            State::Idle | State::Quit | State::Over => Stage::Idle,
            State::Transaction(_) => Stage::Envelope,
            State::Content { .. } => Stage::Content,
        }
    }

    fn say(&mut self, now: Instant, line: &str) {
        self.outputs.push_back(Output::Write(format!("{line}\r\n").into_bytes()));
        self.wait(now, REPLY_WAIT);
    }

    fn wait(&mut self, now: Instant, span: Duration) {
        self.due = Some((now + span, span));
    }

    fn fail(&mut self, cause: Cause) -> State {
        // Nobody asked for more, so there is nobody to tell.
        if !matches!(self.state, State::Quit) {
            self.outputs.push_back(Output::Failed(Failure::new(self.stage(), cause)));
        }
        self.outputs.push_back(Output::Close);
        self.due = None;
        State::Over
    }

    fn octets(&mut self, now: Instant, mut octets: &[u8]) {
        while !octets.is_empty() && !matches!(self.state, State::Over) {
            match self.answers.read(octets) {
                Ok((used, reply)) => {
                    octets = &octets[used..];
                    let Some(reply) = reply else { return };
                    self.reply(now, reply, octets.is_empty());
                }
                Err(malformed) => self.state = self.fail(Cause::Broken(malformed)),
            }
        }
    }

    /// Goes on with a reply; `last` when nothing came behind it.
    fn reply(&mut self, now: Instant, reply: Reply, last: bool) {
        self.due = None;
        // Taken apart, so that each branch names the state it leaves; failures look at the state.
        match &self.state {
            State::Greeting if reply.is_positive() => self.hello(now),
            State::Hello if reply.is_positive() => {
                self.capabilities = Capabilities::read(&reply.text);
                self.greeted(now);
            }
            State::Hello if reply.is_permanent() && self.settings.dialect == Dialect::Smtp => {
                self.say(now, &format!("HELO {}", self.settings.hostname));
                self.state = State::Helo;
            }
            State::Helo if reply.is_positive() => {
                self.capabilities = Capabilities::default();
                self.greeted(now);
            }
            State::StartTls if reply.is_positive() => {
                if last {
                    self.outputs.push_back(Output::StartTls);
                    self.wait(now, REPLY_WAIT);
                    self.state = State::Handshake;
                } else {
                    // Somebody on the way wants to be taken for the server behind TLS (RFC 3207 §6).
                    let cause = Cause::Broken(Malformed::new("nothing behind the reply to STARTTLS", 0));
                    self.state = self.fail(cause);
                }
            }
            State::StartTls if self.settings.security == Security::Opportunistic => self.secured_or_not(now),
            State::Auth(_) => self.authenticate(now, reply),
            State::Transaction(_) | State::Content { .. } => self.transact(now, reply),
            State::Quit => {
                self.outputs.push_back(Output::Close);
                self.state = State::Over;
            }
            // A server that speaks unasked says that it goes away (RFC 5321 §3.8).
            _ => self.state = self.fail(Cause::Refused(reply)),
        }
    }

    fn hello(&mut self, now: Instant) {
        let word = match self.settings.dialect {
            Dialect::Smtp => "EHLO",
            Dialect::Lmtp => "LHLO",
        };
        self.say(now, &format!("{word} {}", self.settings.hostname));
        self.state = State::Hello;
    }

    /// The server told what it offers.
    fn greeted(&mut self, now: Instant) {
        let wants = !self.is_tls && self.settings.security != Security::Never;
        if wants && self.capabilities.starttls {
            self.say(now, "STARTTLS");
            self.state = State::StartTls;
        } else if wants && self.settings.security != Security::Opportunistic {
            self.state = State::StartTls;
            self.state = self.fail(Cause::Missing("STARTTLS"));
        } else {
            self.secured_or_not(now);
        }
    }

    fn secured_or_not(&mut self, now: Instant) {
        let Some(Credentials { name, password }) = &self.settings.credentials else { return self.ready() };
        let in_clear = self.is_tls || self.settings.clear_password;
        let usable = |mechanism: &Mechanism| {
            self.capabilities.auth.contains(mechanism) && (in_clear || !mechanism.sends_password())
        };
        let Some(mechanism) = Mechanism::ALL.into_iter().find(usable) else {
            self.state = State::Auth(sasl::Client::new(Mechanism::Plain, "", "", ""));
            self.state = self.fail(Cause::Missing("a way to log in that may be used here"));
            return;
        };
        let mut exchange = sasl::Client::new(mechanism, name, password, &self.nonce);
        let line = match exchange.initial() {
            Some(initial) => format!("AUTH {} {}", mechanism.name(), base64::encode(&initial)),
            None => format!("AUTH {}", mechanism.name()),
        };
        self.say(now, &line);
        self.state = State::Auth(exchange);
    }

    fn authenticate(&mut self, now: Instant, reply: Reply) {
        let State::Auth(exchange) = &mut self.state else { return };
        if reply.code == 334 {
            let response = base64::decode(&reply.text).and_then(|challenge| exchange.respond(&challenge));
            match response {
                Ok(response) => self.say(now, &base64::encode(&response)),
                Err(malformed) => {
                    self.outputs.push_back(Output::Write(b"*\r\n".to_vec()));
                    self.state = self.fail(Cause::Broken(malformed));
                }
            }
        } else if !reply.is_positive() {
            self.state = self.fail(Cause::Refused(reply));
        } else if exchange.is_satisfied() {
            self.ready();
        } else {
            self.state =
                self.fail(Cause::Broken(Malformed::new("proof that the server knows the password", 0)));
        }
    }

    fn ready(&mut self) {
        self.outputs.push_back(Output::Ready);
        self.state = State::Idle;
    }

    fn send(&mut self, now: Instant, envelope: &Envelope, octets: u64) {
        debug_assert!(self.is_idle(), "one message at a time");
        if let Some(refusal) = transaction::refusal(&self.capabilities, envelope, octets) {
            self.outputs.push_back(Output::Done(vec![refusal; envelope.recipients.len()]));
            return;
        }
        self.messages += 1;
        let mut transaction = Transaction::new(&self.capabilities, envelope, octets);
        if std::mem::take(&mut self.needs_reset) {
            transaction.reset_first();
        }
        self.transmit(now, &mut transaction);
        self.state = State::Transaction(transaction);
    }

    fn transmit(&mut self, now: Instant, transaction: &mut Transaction) {
        let octets = transaction.transmit(self.capabilities.pipelining);
        if !octets.is_empty() {
            self.outputs.push_back(Output::Write(octets));
        }
        let wait = if transaction.expects() == Some(Command::Data) { DATA_WAIT } else { REPLY_WAIT };
        self.wait(now, wait);
    }

    fn transact(&mut self, now: Instant, reply: Reply) {
        let leaves = reply.code == 421;
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Transaction(mut transaction) => {
                transaction.answer(reply, self.settings.dialect);
                if leaves {
                    return self.leave(transaction);
                }
                self.transmit(now, &mut transaction);
                if transaction.expects().is_some() {
                    State::Transaction(transaction)
                } else if transaction.is_open() {
                    self.content(now, transaction)
                } else {
                    self.done(transaction)
                }
            }
            State::Content { mut transaction, sent } => {
                transaction.answer(reply, self.settings.dialect);
                if leaves {
                    return self.leave(transaction);
                }
                match (sent, transaction.expects()) {
                    (true, None) => self.done(transaction),
                    (true, Some(_)) => {
                        self.wait(now, END_WAIT);
                        State::Content { transaction, sent }
                    }
                    // The server does not want the rest, which only a new connection can spare it.
                    (false, _) => return self.leave(transaction),
                }
            }
            state => state,
        };
    }

    /// The server takes the content of a transaction.
    fn content(&mut self, now: Instant, mut transaction: Transaction) -> State {
        let chunked = transaction.is_chunked();
        transaction.expect_end(self.settings.dialect);
        if transaction.is_wanted() {
            if let Some(announcement) = transaction.announcement() {
                self.outputs.push_back(Output::Write(announcement));
            }
            self.outputs.push_back(Output::Content { chunked });
            self.wait(now, BLOCK_WAIT);
            return State::Content { transaction, sent: false };
        }
        // DATA was taken though no recipient was: there is nothing to send (RFC 2920 §3.1).
        let mut nothing = Vec::new();
        data::Stuffer::default().finish(&mut nothing);
        self.outputs.push_back(Output::Write(nothing));
        self.wait(now, END_WAIT);
        State::Content { transaction, sent: true }
    }

    fn done(&mut self, transaction: Transaction) -> State {
        self.due = None;
        self.needs_reset = transaction.leaves_rest();
        self.outputs.push_back(Output::Done(transaction.verdicts()));
        State::Idle
    }

    /// Ends the connection with a transaction that has all the replies it will get.
    fn leave(&mut self, transaction: Transaction) {
        let _ = self.done(transaction);
        self.outputs.push_back(Output::Close);
        self.state = State::Over;
    }
}

impl Session for Client {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            _ if matches!(self.state, State::Over) => {}
            Input::Octets(octets) => self.octets(now, octets),
            Input::Secured => {
                self.is_tls = true;
                // What was said in the clear is forgotten (RFC 3207 §4.2).
                self.answers = Answers::default();
                self.capabilities = Capabilities::default();
                self.hello(now);
            }
            Input::Send(envelope, octets) => self.send(now, envelope, octets),
            Input::Sent => self.wait(now, BLOCK_WAIT),
            Input::ContentSent => {
                if let State::Content { sent, .. } = &mut self.state {
                    *sent = true;
                    self.wait(now, END_WAIT);
                }
            }
            Input::Quit => {
                self.say(now, "QUIT");
                self.wait(now, QUIT_WAIT);
                self.state = State::Quit;
            }
            Input::Closed(how) => self.state = self.fail(Cause::Lost(how)),
            Input::Timeout => {
                if let Some((due, span)) = self.due.filter(|(due, _)| *due <= now) {
                    debug_assert!(due <= now, "the deadline has come");
                    self.state = self.fail(Cause::Silent(span));
                }
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.due.map(|(due, _)| due)
    }
}

/// What a server that does not take it would have said.
fn unfit(code: u16, enhanced: Enhanced, text: &'static str) -> Reply {
    Reply::new(code, enhanced, text)
}

#[cfg(test)]
mod tests;
