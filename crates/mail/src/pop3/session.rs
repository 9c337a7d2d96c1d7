//! The session (RFC 1939 §3): AUTHORIZATION, TRANSACTION, UPDATE. Lines and answers come in, replies and wishes
//! go out; whoever holds it does what it wishes and tells how that went.

use std::collections::VecDeque;

use doorway_store::ScramVerifier;

use super::command::{Command, CommandError};
use super::exchange::{EXCHANGE_OCTETS_MAX, Exchange, Step};
use super::lines::{COMMAND_OCTETS_MAX, Line};
use super::listing::{Kind, Listing, write_line};
use super::transaction::{Marks, Transaction};
use crate::mailbox::{Maildrop, UidSet};
use crate::sasl::{Mechanism, base64};

/// Refusals one after the other after which the connection ends.
const ERRORS_MAX: u32 = 20;

/// What this door allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// TLS can begin (STLS is offered until it has).
    pub stls: bool,
    /// The octets are encrypted.
    pub tls: bool,
    /// A password may come in clear: the peer is this machine, or the operator allows it.
    pub clear: bool,
}

impl Policy {
    fn takes_passwords(self) -> bool {
        self.tls || self.clear
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A line came.
    Line(Line<'a>),
    /// The answer to [`Output::Login`] and [`Output::Proven`].
    LoggedIn(Result<(), Refusal>),
    /// The answer to [`Output::Verify`].
    Verifier(Result<Verifier, Refusal>),
    /// The answer to [`Output::Open`].
    Opened(Result<Maildrop, Refusal>),
    /// Message [`Output::Retrieve`] cannot be read; nothing of it was sent.
    Unreadable(Refusal),
    /// The answer to [`Output::Delete`].
    Deleted(Result<(), Refusal>),
    /// TLS has begun ([`Output::Secure`]).
    Secured,
}

/// What a proof of a user is held against.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// What the store keeps of the password; for a user who does not exist, something that no proof fits.
    pub verifier: ScramVerifier,
    /// Our part of the nonce: printable, never the same, not to be guessed.
    pub nonce: String,
}

/// What to do. All of them are done in order, and those that have an answer before the next line is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these octets.
    Octets(Vec<u8>),
    /// Find out whether this is who it says.
    Login {
        /// The user's name as it was given.
        name: String,
        /// The password.
        password: String,
    },
    /// Look up what proofs of this user are held against.
    Verify {
        /// The user's name as it was given.
        name: String,
    },
    /// The user that was looked up last has proved to know the password, or has not: let them in or not.
    Proven(bool),
    /// Lock and list the maildrop of who has just been let in.
    Open,
    /// Send `reply`, and message `index` of the maildrop, dots doubled, with the dot that ends it.
    Retrieve {
        /// Which, from 0.
        index: usize,
        /// So many lines of its body; all of it for `None`.
        lines: Option<u64>,
        /// What goes in front.
        reply: String,
    },
    /// Remove these messages: all of them, or say so.
    Delete(UidSet),
    /// Begin TLS, and forget what came before it.
    Secure,
    /// Close the connection once everything is sent.
    Close,
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong name or password.
    Denied,
    /// Too many attempts; holds how many seconds to wait.
    Limited(u64),
    /// Another session has the maildrop.
    InUse,
    /// Our trouble, which may pass.
    Temporary,
    /// Our trouble, which does not pass by itself.
    Permanent,
}

impl Refusal {
    /// The reply, with its response code (RFC 2449 §8, RFC 3206).
    fn reply(self) -> String {
        match self {
            Self::Denied => "-ERR [AUTH] wrong name or password".to_owned(),
            Self::Limited(seconds) => {
                format!("-ERR [SYS/TEMP] too many attempts, try again in {seconds} seconds")
            }
            Self::InUse => "-ERR [IN-USE] another session has this mailbox".to_owned(),
            Self::Temporary => "-ERR [SYS/TEMP] our trouble, try again later".to_owned(),
            Self::Permanent => "-ERR [SYS/PERM] our trouble, the operator has to look at it".to_owned(),
        }
    }
}

#[derive(Debug)]
enum State {
    Authorization {
        user: Option<String>,
    },
    /// AUTH has begun.
    Exchanging(Exchange),
    /// The name and password are being looked at.
    Checking,
    /// The maildrop is being locked and listed.
    Opening,
    /// TLS is being agreed on.
    Securing,
    Transaction(Box<Transaction>),
    Update,
    Closed,
}

/// A session of one client.
#[derive(Debug)]
pub struct Session {
    state: State,
    policy: Policy,
    outputs: VecDeque<Output>,
    /// A listing whose pieces are asked for one by one.
    listing: Option<Listing>,
    errors: u32,
}

impl Session {
    /// A session that begins with its greeting.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let mut session = Self {
            state: State::Authorization { user: None },
            policy,
            outputs: VecDeque::new(),
            listing: None,
            errors: 0,
        };
        session.reply("+OK POP3 server ready");
        session
    }

    /// Longest line that is taken now, with its CRLF, in octets.
    #[must_use]
    pub fn line_octets_max(&self) -> usize {
        if matches!(self.state, State::Exchanging(_)) { EXCHANGE_OCTETS_MAX } else { COMMAND_OCTETS_MAX }
    }

    /// True while the lines that come are responses of an exchange, which prove who the client is.
    #[must_use]
    pub fn is_exchanging(&self) -> bool {
        matches!(self.state, State::Exchanging(_))
    }

    /// True when the last words are being said.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Advances the session. Drain [`Session::poll_output`] before the next call. There is no time in it: a
    /// connection that is silent too long is dropped, which deletes nothing (RFC 1939 §3).
    pub fn handle(&mut self, input: Input<'_>) {
        debug_assert!(self.outputs.is_empty() && self.listing.is_none(), "drain poll_output first");
        self.state = match (std::mem::replace(&mut self.state, State::Closed), input) {
            (state @ (State::Authorization { .. } | State::Transaction(_)), Input::Line(Line::TooLong)) => {
                self.refuse("the line is too long");
                state
            }
            (State::Exchanging(_), Input::Line(Line::TooLong)) => {
                self.refuse("the line is too long");
                State::Authorization { user: None }
            }
            (State::Exchanging(exchange), Input::Line(Line::Whole(line))) => {
                let step = exchange.line(line);
                self.exchange(step)
            }
            (State::Exchanging(exchange), Input::Verifier(Ok(Verifier { verifier, nonce }))) => {
                let step = exchange.verify(verifier, &nonce);
                self.exchange(step)
            }
            (State::Authorization { user }, Input::Line(Line::Whole(line))) => self.authorization(user, line),
            (State::Checking, Input::LoggedIn(Ok(()))) => {
                self.outputs.push_back(Output::Open);
                State::Opening
            }
            (State::Checking, Input::LoggedIn(Err(refusal)))
            | (State::Exchanging(_), Input::Verifier(Err(refusal)))
            | (State::Opening, Input::Opened(Err(refusal))) => {
                self.refuse_with(&refusal.reply());
                State::Authorization { user: None }
            }
            (State::Opening, Input::Opened(Ok(maildrop))) => {
                self.reply("+OK user successfully logged on");
                State::Transaction(Box::new(Transaction { maildrop, deleted: Marks::default() }))
            }
            (State::Securing, Input::Secured) => {
                self.policy.tls = true;
                State::Authorization { user: None }
            }
            (State::Transaction(transaction), Input::Line(Line::Whole(line))) => {
                self.transaction(transaction, line)
            }
            (state @ State::Transaction(_), Input::Unreadable(refusal)) => {
                self.refuse_with(&refusal.reply());
                state
            }
            (State::Update, Input::Deleted(Ok(()))) => self.sign_off("+OK POP3 server signing off"),
            (State::Update, Input::Deleted(Err(refusal))) => self.sign_off(&refusal.reply()),
            (state, _) => state,
        };
        if self.errors >= ERRORS_MAX && !matches!(self.state, State::Closed) {
            // Not UPDATE: whoever gets everything wrong has not asked to delete.
            self.state = self.sign_off("-ERR too many errors");
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        // While nothing is under way, no memory is kept for it.
        self.outputs = VecDeque::new();
        let listing = self.listing.take()?;
        let State::Transaction(transaction) = &self.state else { return None };
        let (piece, rest) = listing.piece(&transaction.maildrop, &transaction.deleted);
        self.listing = rest;
        Some(Output::Octets(piece))
    }

    fn reply(&mut self, text: &str) {
        self.errors = 0;
        self.outputs.push_back(Output::Octets(format!("{text}\r\n").into_bytes()));
    }

    fn refuse(&mut self, why: &str) {
        self.refuse_with(&format!("-ERR {why}"));
    }

    fn refuse_with(&mut self, reply: &str) {
        let errors = self.errors + 1;
        self.reply(reply);
        self.errors = errors;
    }

    fn sign_off(&mut self, reply: &str) -> State {
        self.reply(reply);
        self.outputs.push_back(Output::Close);
        State::Closed
    }

    /// Reads a command, or answers for it.
    fn command<'l>(&mut self, line: &'l [u8]) -> Option<Command<'l>> {
        match Command::parse(line) {
            Ok(command) => return Some(command),
            Err(CommandError::Unknown) => self.refuse("unknown command"),
            Err(CommandError::Arguments(form)) => self.refuse(&format!("expected {form}")),
        }
        None
    }

    fn authorization(&mut self, user: Option<String>, line: &[u8]) -> State {
        let Some(command) = self.command(line) else { return State::Authorization { user } };
        match command {
            Command::User(_) | Command::Pass(_) | Command::Auth(Some(_))
                if !self.policy.takes_passwords() =>
            {
                self.refuse("a password is not taken in clear: begin TLS first");
            }
            Command::User(name) => {
                // Whether there is such a user is not said before the password was seen (RFC 1939 §7).
                self.reply("+OK");
                return State::Authorization { user: Some(name.to_owned()) };
            }
            Command::Pass(password) => match user {
                Some(name) => {
                    self.outputs.push_back(Output::Login { name, password: password.to_owned() });
                    return State::Checking;
                }
                None => self.refuse("say USER first"),
            },
            Command::Stls if self.policy.tls => self.refuse("TLS is there already"),
            Command::Stls if !self.policy.stls => self.refuse("there is no TLS here"),
            Command::Stls => {
                self.reply("+OK begin TLS");
                self.outputs.push_back(Output::Secure);
                return State::Securing;
            }
            Command::Auth(None) => self.auth_list(),
            Command::Auth(Some((name, initial))) => match Mechanism::named(name) {
                Some(mechanism) => return self.exchange(Exchange::begin(mechanism, initial)),
                None => self.refuse("this mechanism is not known"),
            },
            Command::Capa => self.capabilities(false),
            Command::Utf8 => self.reply("+OK UTF-8 it is"),
            Command::Quit => return self.sign_off("+OK POP3 server signing off"),
            _ => self.refuse("log in first"),
        }
        State::Authorization { user }
    }

    fn exchange(&mut self, step: Step) -> State {
        match step {
            Step::Challenge(challenge, exchange) => {
                self.reply(&format!("+ {}", base64::encode(&challenge)));
                State::Exchanging(exchange)
            }
            Step::Login { name, password } => {
                self.outputs.push_back(Output::Login { name, password });
                State::Checking
            }
            Step::Verifier { name, exchange } => {
                self.outputs.push_back(Output::Verify { name });
                State::Exchanging(exchange)
            }
            Step::Proven(proven) => {
                self.outputs.push_back(Output::Proven(proven));
                State::Checking
            }
            Step::Failed(why) => {
                self.refuse(why);
                State::Authorization { user: None }
            }
        }
    }

    fn transaction(&mut self, mut transaction: Box<Transaction>, line: &[u8]) -> State {
        let Some(command) = self.command(line) else { return State::Transaction(transaction) };
        match command {
            Command::Stat => {
                let (count, octets) = transaction.count();
                self.reply(&format!("+OK {count} {octets}"));
            }
            Command::List(None) => {
                let (count, octets) = transaction.count();
                self.reply(&format!("+OK {count} messages ({octets} octets)"));
                self.listing = Some(Listing { kind: Kind::Sizes, next: 0 });
            }
            Command::Uidl(None) => {
                self.reply("+OK names follow");
                self.listing = Some(Listing { kind: Kind::Names, next: 0 });
            }
            Command::List(Some(number)) => self.line(&transaction, Kind::Sizes, number),
            Command::Uidl(Some(number)) => self.line(&transaction, Kind::Names, number),
            Command::Retr(number) => match transaction.index(number) {
                Ok(index) => {
                    let reply = format!("+OK {} octets\r\n", transaction.maildrop.entries[index].octets);
                    self.retrieve(index, None, reply);
                }
                Err(why) => self.refuse(why),
            },
            Command::Top(number, lines) => match transaction.index(number) {
                Ok(index) => self.retrieve(index, Some(lines), "+OK top of message follows\r\n".to_owned()),
                Err(why) => self.refuse(why),
            },
            Command::Dele(number) => match transaction.index(number) {
                Ok(index) => {
                    transaction.deleted.set(index);
                    self.reply(&format!("+OK message {number} deleted"));
                }
                Err(why) => self.refuse(why),
            },
            Command::Noop => self.reply("+OK"),
            Command::Rset => {
                transaction.deleted = Marks::default();
                let (count, octets) = transaction.count();
                self.reply(&format!("+OK {count} messages ({octets} octets)"));
            }
            Command::Capa => self.capabilities(true),
            Command::Quit => return self.update(&transaction),
            _ => self.refuse("you are logged in already"),
        }
        State::Transaction(transaction)
    }

    // RFC 1939 §6: the only path that deletes.
    fn update(&mut self, transaction: &Transaction) -> State {
        let marked = transaction.marked();
        if marked.is_empty() {
            return self.sign_off("+OK POP3 server signing off");
        }
        self.outputs.push_back(Output::Delete(marked));
        State::Update
    }

    fn retrieve(&mut self, index: usize, lines: Option<u64>, reply: String) {
        self.errors = 0;
        self.outputs.push_back(Output::Retrieve { index, lines, reply });
    }

    fn line(&mut self, transaction: &Transaction, kind: Kind, number: u64) {
        match transaction.index(number) {
            Ok(index) => {
                let mut reply = b"+OK ".to_vec();
                write_line(&mut reply, kind, &transaction.maildrop, index);
                self.errors = 0;
                self.outputs.push_back(Output::Octets(reply));
            }
            Err(why) => self.refuse(why),
        }
    }

    /// The mechanisms, as the command without one asks for them (RFC 1734, still used).
    fn auth_list(&mut self) {
        let mut lines = vec!["+OK mechanisms follow"];
        if self.policy.takes_passwords() {
            lines.extend(Mechanism::ALL.map(Mechanism::name));
        }
        lines.push(".");
        self.reply(&lines.join("\r\n"));
    }

    /// CAPA (RFC 2449 §5): what is there in this state.
    fn capabilities(&mut self, open: bool) {
        let mut lines: Vec<&str> =
            vec!["+OK capabilities follow", "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE"];
        lines.extend(["PIPELINING", "UTF8", "EXPIRE NEVER", "IMPLEMENTATION Doorway"]);
        let mechanisms = Mechanism::ALL.map(Mechanism::name).join(" ");
        let sasl = format!("SASL {mechanisms}");
        if self.policy.takes_passwords() && !open {
            lines.extend(["USER", &sasl]);
        }
        if self.policy.stls && !self.policy.tls && !open {
            lines.push("STLS");
        }
        lines.push(".");
        self.reply(&lines.join("\r\n"));
    }
}

#[cfg(test)]
mod tests;
