//! One client at a door of SMTP or LMTP, from our greeting to the end (RFC 5321, RFC 2033): what each command
//! does in each state.
//!
//! Judging senders and recipients, checking passwords, reading content and keeping it go out as an
//! [`Output`] and come back as an [`Input`]; until then no further line is taken.

mod authentication;
mod options;
mod transaction;

use std::collections::VecDeque;
use std::sync::Arc;

use core::net::IpAddr;

use doorway_base::{Instant, Session as Shape};

use super::Dialect;
use super::command::Command;
use super::data::{Flaw, Form};
use crate::envelope::{Envelope, Recipient};
use crate::id::MessageId;
use crate::io::Origin;
use crate::reply::{Enhanced, Reply};
use authentication::Exchange;
pub use authentication::{LoginOutcome, Verifier};
pub use options::{Options, Peer};

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A command, or an answer of a login.
    Line {
        /// The line without its end.
        line: &'a [u8],
        /// Octets wait behind it already.
        more: bool,
    },
    /// What came is not divided into lines, or into too long ones, or is TLS.
    NoLine,
    /// The verdict on the sender that [`Output::Sender`] asked for.
    Sender(Result<(), Reply>),
    /// The verdict on the recipient that [`Output::Recipient`] asked for.
    Recipient(Result<(), Reply>),
    /// A chunk that is not the last was read, or the message is spoilt by it.
    Chunk(Result<(), Flaw>),
    /// The content was read to its end.
    Content(Result<(), Flaw>),
    /// Content, or a chunk of it, was read to its end, but could not be put aside: our own trouble, with the
    /// reply to give.
    Lost(Reply),
    /// What became of the message of [`Output::Message`].
    Accepted(Result<MessageId, Reply>),
    /// TLS was agreed on, after [`Output::StartTls`].
    Secured,
    /// What became of a login: after [`Output::Login`] or [`Output::Proven`].
    Login(LoginOutcome),
    /// What is needed to check a login, after [`Output::Scram`].
    Verifier(Result<Verifier, LoginOutcome>),
    /// The door closes: finish what is under way.
    Drain,
    /// [`Shape::next_timeout`] has come.
    Timeout,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Reply(Reply),
    /// Judge the sender: [`Session::envelope`], [`Session::announced`].
    Sender,
    /// Judge the recipient [`Session::candidate`].
    Recipient,
    /// Read dotted content up to its end.
    Content,
    /// Read a chunk of the content.
    Chunk {
        /// Its length.
        octets: u64,
        /// It is the first one.
        first: bool,
        /// It is the last one.
        last: bool,
        /// How it comes.
        form: Form,
    },
    /// Read so many octets and forget them.
    Discard(u64),
    /// Have the message kept, whose content is whole: [`Session::take_envelope`].
    Message,
    /// Agree on TLS, throwing away what came behind the line.
    StartTls,
    /// Check a name and a password.
    Login {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// Find what is needed to check a login of this name.
    Scram {
        /// The name.
        name: String,
    },
    /// The client of the last [`Output::Scram`] proved the password, or did not.
    Proven(bool),
    /// Close the connection once everything was sent.
    Close,
}

/// The three phases of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The two ends say who they are, and what they can.
    Handshake,
    /// Messages pass.
    Transfer,
    /// They part.
    Closing,
}

#[derive(Debug)]
enum State {
    /// Nobody said hello.
    Handshake,
    /// No transaction is open.
    Ready,
    /// MAIL was said, and its sender is being judged.
    Sender(Transaction),
    /// MAIL was taken: recipients, then content.
    Envelope(Transaction),
    /// A recipient is being judged.
    Recipient(Transaction, Recipient),
    /// Content is coming.
    Content(Transaction),
    /// Some chunks came, others follow.
    Chunks(Transaction),
    /// The message is being kept for so many recipients.
    Keeping {
        recipients: usize,
    },
    /// TLS is being agreed on.
    Securing,
    /// A login waits for the client's next line.
    Authentication(Exchange),
    /// A login waits for our own side.
    Checking(Exchange),
    Closed,
}

/// A message that is being announced.
#[derive(Debug, Default)]
struct Transaction {
    envelope: Envelope,
    announced: u64,
}

/// A client at a door.
#[derive(Debug)]
pub struct Session {
    options: Arc<Options>,
    peer: Peer,
    origin: Origin,
    /// EHLO or LHLO was said.
    extended: bool,
    state: State,
    /// What [`Session::take_envelope`] gives.
    whole: Envelope,
    messages: u32,
    errors: u32,
    draining: bool,
    idle_until: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A client that just came in; the greeting is the first output.
    #[must_use]
    pub fn new(now: Instant, options: Arc<Options>, peer: Peer, remote: Option<IpAddr>) -> Self {
        let protocol = match options.dialect {
            Dialect::Smtp => "SMTP",
            Dialect::Lmtp => "LMTP",
        };
        let greeting = options.greeting.clone();
        let origin = Origin {
            remote,
            greeting: String::new(),
            protocol,
            tls: peer.tls,
            user: None,
            submission: options.submission,
        };
        let idle_until = Some(now + options.command_wait);
        Self {
            options,
            peer,
            origin,
            extended: false,
            state: State::Handshake,
            whole: Envelope::default(),
            messages: 0,
            errors: 0,
            draining: false,
            idle_until,
            outputs: VecDeque::from([Output::Reply(Reply::plain(220, greeting))]),
        }
    }

    /// Who the client is, as far as is known.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sender and recipients of the message that is being announced.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        match &self.state {
            State::Sender(transaction)
            | State::Envelope(transaction)
            | State::Recipient(transaction, _)
            | State::Content(transaction)
            | State::Chunks(transaction) => &transaction.envelope,
            _ => &self.whole,
        }
    }

    /// How long that message is said to be, in octets; 0 when nothing was said.
    #[must_use]
    pub const fn announced(&self) -> u64 {
        match &self.state {
            State::Sender(transaction) | State::Envelope(transaction) | State::Content(transaction) => {
                transaction.announced
            }
            _ => 0,
        }
    }

    /// The recipient that is being judged.
    #[must_use]
    pub const fn candidate(&self) -> Option<&Recipient> {
        match &self.state {
            State::Recipient(_, recipient) => Some(recipient),
            _ => None,
        }
    }

    /// Sender and recipients of the message of [`Output::Message`], once.
    pub fn take_envelope(&mut self) -> Envelope {
        std::mem::take(&mut self.whole)
    }

    /// In which of its three phases the connection is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Handshake | State::Securing => Phase::Handshake,
            State::Closed => Phase::Closing,
            _ => Phase::Transfer,
        }
    }

    /// Whether the next thing wanted is a line.
    #[must_use]
    pub const fn wants_line(&self) -> bool {
        matches!(
            self.state,
            State::Handshake
                | State::Ready
                | State::Envelope(_)
                | State::Chunks(_)
                | State::Authentication(_)
        )
    }

    /// Content goes on coming.
    pub fn progress(&mut self, now: Instant) {
        self.idle_until = Some(now + self.options.data_wait);
    }

    /// Whether the next line belongs to a login.
    #[must_use]
    pub const fn is_amid_login(&self) -> bool {
        matches!(self.state, State::Authentication(_))
    }

    fn reply(&mut self, reply: Reply) {
        self.outputs.push_back(Output::Reply(reply));
    }

    fn say(&mut self, code: u16, enhanced: Enhanced, text: &'static str) {
        self.reply(Reply::new(code, enhanced, text));
    }

    /// Refuses a command. Who is refused too often has to go.
    fn refuse(&mut self, reply: Reply, state: State) -> State {
        if reply.is_permanent() {
            self.errors += 1;
        }
        if self.errors >= self.options.errors_max {
            self.reply(reply);
            return self.part(Reply::new(421, Enhanced(4, 7, 0), "too many errors, goodbye"));
        }
        self.reply(reply);
        state
    }

    /// Says goodbye.
    fn part(&mut self, reply: Reply) -> State {
        self.reply(reply);
        self.outputs.push_back(Output::Close);
        State::Closed
    }

    /// The command makes no sense here.
    fn out_of_order(&mut self, text: &'static str, state: State) -> State {
        self.refuse(Reply::new(503, Enhanced(5, 5, 1), text), state)
    }

    fn line(&mut self, state: State, line: &[u8], more: bool) -> State {
        if let State::Authentication(exchange) = state {
            return self.respond(exchange, line);
        }
        let command = match Command::read(line) {
            Ok(command) => command,
            Err(reply) => return self.refuse(reply, state),
        };
        if more && command.ends_a_group() {
            let text = "nothing may be sent behind this command before its reply (RFC 2920)";
            return self.part(Reply::new(503, Enhanced(5, 5, 1), text));
        }
        match (command, state) {
            // A page makes a browser send its lines here, and may have chosen them (CWE-441).
            (Command::Web, _) => self.part(Reply::new(500, Enhanced(5, 5, 1), "this is no web server")),
            (Command::Quit, _) => self.part(Reply::new(221, Enhanced(2, 0, 0), "goodbye")),
            (Command::Noop, state) => {
                self.say(250, Enhanced(2, 0, 0), "nothing done");
                state
            }
            (Command::Help, state) => {
                self.say(214, Enhanced(2, 0, 0), "see RFC 5321, and the postmaster");
                state
            }
            (Command::Vrfy, state) => {
                self.say(252, Enhanced(2, 5, 0), "send it a message, and you will hear");
                state
            }
            (Command::Expn, state) => {
                self.refuse(Reply::new(502, Enhanced(5, 5, 1), "lists are not shown"), state)
            }
            (Command::Helo(name), state) => self.hello(state, Dialect::Smtp, name, false),
            (Command::Ehlo(name), state) => self.hello(state, Dialect::Smtp, name, true),
            (Command::Lhlo(name), state) => self.hello(state, Dialect::Lmtp, name, true),
            (Command::StartTls, state) => self.start_tls(state),
            (Command::Auth(mechanism, initial), state) => self.authenticate(state, mechanism, initial),
            (Command::Rset, State::Handshake) => {
                self.say(250, Enhanced(2, 0, 0), "nothing to forget");
                State::Handshake
            }
            (Command::Rset, _) => {
                self.say(250, Enhanced(2, 0, 0), "forgotten");
                State::Ready
            }
            (Command::Bdat { octets, last }, state) => self.chunk(state, octets, last),
            (_, State::Handshake) => self.out_of_order(self.options.hello_first(), State::Handshake),
            (Command::Mail(mail), State::Ready) => self.mail(mail),
            (Command::Mail(_), state) => self.out_of_order("a sender was given already", state),
            (Command::Rcpt(rcpt), State::Envelope(transaction)) => self.rcpt(transaction, rcpt),
            (Command::Rcpt(_), state @ State::Chunks(_)) => {
                self.out_of_order("the content has begun already", state)
            }
            (Command::Rcpt(_), state) => self.out_of_order("MAIL comes first", state),
            (Command::Data, State::Envelope(transaction)) => self.data(transaction),
            (Command::Data, state @ State::Chunks(_)) => {
                self.out_of_order("the content comes by BDAT already", state)
            }
            (Command::Data, state) => self.out_of_order("MAIL and RCPT come first", state),
        }
    }

    fn hello(&mut self, state: State, dialect: Dialect, name: &str, extended: bool) -> State {
        if dialect != self.options.dialect {
            let reply = Reply::new(500, Enhanced(5, 5, 1), self.options.hello_first());
            return self.refuse(reply, state);
        }
        name.clone_into(&mut self.origin.greeting);
        self.extended = extended;
        let reply =
            if extended { self.options.offers(&self.peer, &self.origin) } else { self.options.hello(name) };
        self.reply(reply);
        State::Ready
    }

    fn start_tls(&mut self, state: State) -> State {
        if !self.options.starttls {
            return self.refuse(Reply::new(502, Enhanced(5, 5, 1), "there is no TLS here"), state);
        }
        if self.peer.tls {
            return self.out_of_order("there is TLS already", state);
        }
        match state {
            State::Handshake | State::Ready => {
                self.say(220, Enhanced(2, 0, 0), "go ahead");
                self.outputs.push_back(Output::StartTls);
                State::Securing
            }
            state => self.out_of_order("a message is under way", state),
        }
    }

    /// TLS is on: the client begins anew, and nothing it said counts (RFC 3207 §4.2).
    fn secured(&mut self) -> State {
        self.peer.tls = true;
        self.extended = false;
        self.origin.tls = true;
        self.origin.user = None;
        self.origin.greeting.clear();
        State::Handshake
    }

    fn leave(&mut self) -> State {
        self.part(Reply::new(421, Enhanced(4, 3, 2), "the server is closing, come back later"))
    }

    /// Sender or recipient were judged, and are not taken.
    fn turned_down(&mut self, reply: Reply, state: State) -> State {
        if reply.code == 421 { self.part(reply) } else { self.refuse(reply, state) }
    }
}

impl Shape for Session {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        debug_assert!(self.outputs.is_empty(), "drain poll_output first");
        let state = std::mem::replace(&mut self.state, State::Closed);
        self.state = match (state, input) {
            (State::Closed, _) => State::Closed,
            (_, Input::Timeout) => {
                self.part(Reply::new(421, Enhanced(4, 4, 2), "nothing came for too long, goodbye"))
            }
            (_, Input::NoLine) => {
                self.part(Reply::new(500, Enhanced(5, 5, 2), "a line ends with CRLF, before 12288 octets"))
            }
            (State::Handshake | State::Ready, Input::Drain) => self.leave(),
            (state, Input::Drain) => {
                self.draining = true;
                state
            }
            (state, Input::Line { line, more }) => self.line(state, line, more),
            (State::Sender(transaction), Input::Sender(Ok(()))) => {
                self.say(250, Enhanced(2, 1, 0), "sender ok");
                State::Envelope(transaction)
            }
            (State::Sender(_), Input::Sender(Err(reply))) => self.turned_down(reply, State::Ready),
            (State::Recipient(mut transaction, recipient), Input::Recipient(Ok(()))) => {
                transaction.envelope.recipients.push(recipient);
                self.say(250, Enhanced(2, 1, 5), "recipient ok");
                State::Envelope(transaction)
            }
            (State::Recipient(transaction, _), Input::Recipient(Err(reply))) => {
                self.turned_down(reply, State::Envelope(transaction))
            }
            (State::Content(transaction), Input::Chunk(outcome)) => match outcome {
                Ok(()) => {
                    self.say(250, Enhanced(2, 0, 0), "chunk taken");
                    State::Chunks(transaction)
                }
                Err(flaw) => {
                    self.messages += 1;
                    self.spoilt(1, flaw)
                }
            },
            (State::Content(transaction), Input::Lost(reply)) => {
                self.messages += 1;
                self.finish(transaction.envelope.recipients.len(), reply)
            }
            (State::Content(transaction), Input::Content(outcome)) => self.content(transaction, outcome),
            (State::Keeping { recipients }, Input::Accepted(outcome)) => {
                let reply = outcome.map_or_else(
                    |reply| reply,
                    |id| Reply::new(250, Enhanced(2, 0, 0), format!("kept as {id}")),
                );
                self.finish(recipients, reply)
            }
            (State::Securing, Input::Secured) => self.secured(),
            (State::Checking(exchange), Input::Login(outcome)) => self.logged_in(exchange, outcome),
            (State::Checking(exchange), Input::Verifier(verifier)) => self.challenge(exchange, verifier),
            (state, _) => state,
        };
        let wait = match self.state {
            State::Content(_) => Some(self.options.data_wait),
            _ if self.wants_line() => Some(self.options.command_wait),
            _ => None,
        };
        self.idle_until = wait.map(|wait| now + wait);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.idle_until
    }
}
