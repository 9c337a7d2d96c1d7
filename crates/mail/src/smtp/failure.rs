//! Why a connection to a server is of no more use, and what that means for the message at hand.

use std::fmt;
use std::time::Duration;

use doorway_base::Malformed;

use crate::reply::{Enhanced, Reply};

/// How far a connection had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It was not open yet.
    Connect,
    /// The server's first words.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS or the handshake.
    Tls,
    /// AUTH.
    Auth,
    /// No transaction was under way.
    Idle,
    /// MAIL, RCPT, and DATA up to its 354.
    Envelope,
    /// The content and the reply to it: the server may have the message.
    Content,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Greeting => "waiting for the greeting",
            Self::Hello => "saying hello",
            Self::Tls => "agreeing on TLS",
            Self::Auth => "logging in",
            Self::Idle => "between messages",
            Self::Envelope => "naming sender and recipients",
            Self::Content => "sending the content",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The server said no, or that it goes away.
    Refused(Reply),
    /// The connection could not be had, or broke; says how.
    Lost(String),
    /// The server was silent for this long.
    Silent(Duration),
    /// The server said what is no reply.
    Broken(Malformed),
    /// The server does not offer what the settings ask for.
    Missing(&'static str),
    /// What was to be sent could not be read: our own trouble, not the server's.
    Content(String),
}

/// Why a connection is of no more use. What becomes of the message at hand is for the caller: it is a
/// temporary trouble unless [`Failure::reply`] says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How far it had come.
    pub stage: Stage,
    /// What happened.
    pub cause: Cause,
}

impl Failure {
    /// Says what happened when.
    #[must_use]
    pub const fn new(stage: Stage, cause: Cause) -> Self {
        Self { stage, cause }
    }

    /// Whether another host for the same domain may be tried at once (RFC 5321 §5.1). Not once the server
    /// may have the message, which would then arrive twice.
    #[must_use]
    pub const fn allows_next_host(&self) -> bool {
        !matches!(self.stage, Stage::Content) && !matches!(self.cause, Cause::Content(_))
    }

    /// What the server said, or in its place what a server that had this trouble would say: for reports
    /// and for the queue's decision. Permanent only if the server's word was.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let enhanced = match &self.cause {
            Cause::Refused(reply) => return reply.clone(),
            Cause::Lost(_) if self.stage == Stage::Connect => Enhanced(4, 4, 1),
            Cause::Lost(_) | Cause::Silent(_) => Enhanced(4, 4, 2),
            Cause::Broken(_) => Enhanced(4, 5, 0),
            Cause::Missing(_) => Enhanced(4, 7, 5),
            Cause::Content(_) => Enhanced(4, 3, 0),
        };
        Reply::new(451, enhanced, self.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.stage.name())?;
        match &self.cause {
            Cause::Refused(reply) => reply.fmt(f),
            Cause::Lost(how) => write!(f, "the connection failed: {how}"),
            Cause::Silent(span) => write!(f, "no answer in {} s", span.as_secs()),
            Cause::Broken(malformed) => write!(f, "what came is no reply: {malformed}"),
            Cause::Missing(what) => write!(f, "the server does not offer {what}"),
            Cause::Content(how) => write!(f, "the message could not be read: {how}"),
        }
    }
}

impl std::error::Error for Failure {}
