//! Ways to prove who one is (SASL, RFC 4422), the parts that only decide. SMTP, POP3 and whoever follows
//! carry the messages, each in its own base64 lines.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `base64` | base64 that takes nothing but its one form (RFC 4648 §4) |
//! | `client` | [`Client`]: this end's messages to a server |
//! | `plain` | PLAIN: its message |
//! | `scram` | SCRAM-SHA-256: its messages and proofs (RFC 5802, RFC 7677) |
//!
//! Deliberately absent: channel binding (SCRAM-SHA-256-PLUS), and tokens (OAUTHBEARER).

pub mod base64;
pub mod client;
pub mod plain;
pub mod scram;

pub use client::Client;

/// A way to prove who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM-SHA-256 (RFC 7677): the password is not sent.
    ScramSha256,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, which was never a standard and which old programs know alone.
    Login,
}

impl Mechanism {
    /// Every one, the best first.
    pub const ALL: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The one of this name, without regard to case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Whether the password is sent, for everybody on the way to read.
    #[must_use]
    pub const fn sends_password(self) -> bool {
        !matches!(self, Self::ScramSha256)
    }
}

/// The user name behind what somebody logs in as: many programs know but the address, so the local part of
/// one in `domains` is taken for the name.
#[must_use]
pub fn account_name<'a>(login: &'a str, domains: &[String]) -> &'a str {
    match login.rsplit_once('@') {
        Some((local, domain)) if domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain)) => local,
        _ => login,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ours_logs_in_as_its_user() {
        let domains = ["crepes.fr".to_owned()];
        for (login, name) in [
            ("alice", "alice"),
            ("alice@crepes.fr", "alice"),
            ("alice@CREPES.fr", "alice"),
            ("alice@hamburger.edu", "alice@hamburger.edu"),
            ("a@b@crepes.fr", "a@b"),
            ("@crepes.fr", ""),
        ] {
            assert_eq!(account_name(login, &domains), name);
        }
    }
}
