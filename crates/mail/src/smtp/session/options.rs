//! What a door offers, to whom, and how it says so.

use std::fmt::Write as _;
use std::time::Duration;

use crate::address::Domain;
use crate::io::Origin;
use crate::reply::{Enhanced, Reply};
use crate::sasl::Mechanism;
use crate::smtp::Dialect;

/// What a door offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Our host name, the first word of the greeting.
    pub hostname: String,
    /// The whole greeting behind its code.
    pub greeting: String,
    /// SMTP or LMTP.
    pub dialect: Dialect,
    /// Whether it is for users' programs that submit mail (RFC 6409).
    pub submission: bool,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Whether AUTH is offered, where the octets are encrypted or the client is on this host.
    pub auth: bool,
    /// Whether nobody may send without AUTH.
    pub auth_required: bool,
    /// Whether BDAT is offered, and BINARYMIME with it (RFC 3030).
    pub chunking: bool,
    /// Longest message, in octets.
    pub octets_max: u64,
    /// Most recipients of a message.
    pub recipients_max: u32,
    /// Most messages over one connection.
    pub messages_max: u32,
    /// Refused commands after which a client has to go.
    pub errors_max: u32,
    /// How long a command may be waited for.
    pub command_wait: Duration,
    /// How long nothing may come while content is read.
    pub data_wait: Duration,
    /// The domain of `<postmaster>`.
    pub postmaster_domain: Domain,
}

impl Options {
    /// A door for mail from anywhere, with the bounds that RFC 5321 §4.5.3 names or lets us choose.
    #[must_use]
    pub fn new(hostname: &str, dialect: Dialect) -> Self {
        let name = match dialect {
            Dialect::Smtp => "ESMTP",
            Dialect::Lmtp => "LMTP",
        };
        Self {
            hostname: hostname.to_owned(),
            greeting: format!("{hostname} {name} Doorway"),
            dialect,
            submission: false,
            starttls: false,
            auth: false,
            auth_required: false,
            chunking: true,
            octets_max: 50 * 1024 * 1024,
            recipients_max: 100,
            messages_max: 100,
            errors_max: 20,
            command_wait: Duration::from_secs(5 * 60),
            data_wait: Duration::from_secs(10 * 60),
            postmaster_domain: Domain::parse(hostname).unwrap_or_else(|_| Domain::Name(hostname.to_owned())),
        }
    }

    /// The reply to HELO.
    pub(super) fn hello(&self, name: &str) -> Reply {
        Reply::plain(250, format!("{} Hello {name}, pleased to meet you", self.hostname))
    }

    /// The reply to EHLO or LHLO.
    pub(super) fn offers(&self, peer: &Peer, origin: &Origin) -> Reply {
        let mut text =
            format!("{} Hello {}, pleased to meet you\nPIPELINING\n", self.hostname, origin.greeting);
        let _ = writeln!(text, "SIZE {}", self.octets_max);
        if self.starttls && !peer.tls {
            text.push_str("STARTTLS\n");
        }
        if self.auth && origin.user.is_none() && peer.may_log_in() {
            text.push_str("AUTH");
            for mechanism in Mechanism::ALL {
                text.push(' ');
                text.push_str(mechanism.name());
            }
            text.push('\n');
        }
        text.push_str("8BITMIME\nSMTPUTF8\nDSN\nENHANCEDSTATUSCODES\n");
        if peer.chunking {
            text.push_str("CHUNKING\nBINARYMIME\n");
        }
        let _ = write!(text, "LIMITS RCPTMAX={} MAILMAX={}", self.recipients_max, self.messages_max);
        Reply::plain(250, text)
    }

    /// What is said to who skips the first step, or takes that of the other dialect.
    pub(super) const fn hello_first(&self) -> &'static str {
        match self.dialect {
            Dialect::Smtp => "say HELO or EHLO first (RFC 5321 section 4.1.4)",
            Dialect::Lmtp => "say LHLO first (RFC 2033 section 4.1)",
        }
    }

    /// Why this client may not send.
    pub(super) fn bars(&self, peer: &Peer, origin: &Origin) -> Option<Reply> {
        if !self.auth_required || origin.user.is_some() {
            return None;
        }
        let text = if peer.may_log_in() { "log in first (AUTH)" } else { "STARTTLS comes first, then AUTH" };
        Some(Reply::new(530, Enhanced(5, 7, 0), text))
    }

    /// The protocol as a Received line names it (RFC 3848, RFC 6531 §4.3).
    pub(super) const fn protocol(
        &self,
        extended: bool,
        peer: &Peer,
        origin: &Origin,
        utf8: bool,
    ) -> &'static str {
        let lmtp = matches!(self.dialect, Dialect::Lmtp);
        match (lmtp, utf8, peer.tls, origin.user.is_some()) {
            (false, false, false, false) if !extended => "SMTP",
            (false, false, false, false) => "ESMTP",
            (false, false, false, true) => "ESMTPA",
            (false, false, true, false) => "ESMTPS",
            (false, false, true, true) => "ESMTPSA",
            (false, true, false, false) => "UTF8SMTP",
            (false, true, false, true) => "UTF8SMTPA",
            (false, true, true, false) => "UTF8SMTPS",
            (false, true, true, true) => "UTF8SMTPSA",
            (true, false, false, false) => "LMTP",
            (true, false, false, true) => "LMTPA",
            (true, false, true, false) => "LMTPS",
            (true, false, true, true) => "LMTPSA",
            (true, true, false, false) => "UTF8LMTP",
            (true, true, false, true) => "UTF8LMTPA",
            (true, true, true, false) => "UTF8LMTPS",
            (true, true, true, true) => "UTF8LMTPSA",
        }
    }
}

/// What is special about one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The octets are encrypted.
    pub tls: bool,
    /// A password may come in the clear: the client is on this host.
    pub clear_password: bool,
    /// BDAT is offered to this client.
    pub chunking: bool,
}

impl Peer {
    pub(super) const fn may_log_in(&self) -> bool {
        self.tls || self.clear_password
    }
}
