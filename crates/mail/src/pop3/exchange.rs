//! The exchange that AUTH begins (RFC 5034 §4): challenges and responses in base64, until it is known who
//! logs in and how that is proved.

use doorway_store::ScramVerifier;

use crate::sasl::{Mechanism, base64, plain, scram};

/// Longest line of an exchange with its CRLF, in octets.
pub(super) const EXCHANGE_OCTETS_MAX: usize = 12_288;

/// What is awaited from the client, or has to be found out for it.
#[derive(Debug)]
pub(super) enum Exchange {
    Plain,
    LoginName,
    LoginPassword {
        name: String,
    },
    Scram,
    /// What the store keeps of the user is being looked up.
    Verifier(Box<scram::Opening>),
    Proof(Box<scram::Challenge>),
    /// The client has proved itself, and has still to say that it heard our proof.
    Heard,
}

/// How it goes on.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this, in base64, and await a response.
    Challenge(Vec<u8>, Exchange),
    /// Check a name and a password.
    Login { name: String, password: String },
    /// Look up what proofs by this user are held against.
    Verifier { name: String, exchange: Exchange },
    /// The proof was right or wrong.
    Proven(bool),
    /// The exchange is over; holds why.
    Failed(&'static str),
}

const MALFORMED: &str = "not what the mechanism wants";

impl Exchange {
    pub(super) fn begin(mechanism: Mechanism, initial: Option<&str>) -> Step {
        let exchange = match mechanism {
            Mechanism::Plain => Self::Plain,
            Mechanism::Login => Self::LoginName,
            Mechanism::ScramSha256 => Self::Scram,
        };
        match initial {
            // An initial response that is empty is written so (RFC 5034 §4).
            Some("=") => exchange.respond(b""),
            Some(text) => match base64::decode(text) {
                Ok(response) => exchange.respond(&response),
                Err(_) => Step::Failed(MALFORMED),
            },
            None if matches!(exchange, Self::LoginName) => Step::Challenge(b"Username:".to_vec(), exchange),
            None => Step::Challenge(Vec::new(), exchange),
        }
    }

    /// Takes a line of the client.
    pub(super) fn line(self, line: &[u8]) -> Step {
        if line == b"*" {
            return Step::Failed("cancelled");
        }
        let response = core::str::from_utf8(line).ok().and_then(|text| base64::decode(text).ok());
        match response {
            Some(response) => self.respond(&response),
            None => Step::Failed(MALFORMED),
        }
    }

    fn respond(self, response: &[u8]) -> Step {
        let text = || core::str::from_utf8(response).ok().map(str::to_owned);
        match self {
            Self::Plain => match plain::read(response) {
                Ok(plain) if plain.acts_for_another() => Step::Failed("nobody acts for another"),
                Ok(plain) => Step::Login { name: plain.name.to_owned(), password: plain.password.to_owned() },
                Err(_) => Step::Failed(MALFORMED),
            },
            Self::LoginName => match text() {
                Some(name) => Step::Challenge(b"Password:".to_vec(), Self::LoginPassword { name }),
                None => Step::Failed(MALFORMED),
            },
            Self::LoginPassword { name } => match text() {
                Some(password) => Step::Login { name, password },
                None => Step::Failed(MALFORMED),
            },
            Self::Scram => match scram::Opening::read(response) {
                Ok(opening) if opening.authorization.as_ref().is_some_and(|other| *other != opening.name) => {
                    Step::Failed("nobody acts for another")
                }
                Ok(opening) => {
                    let name = opening.name.clone();
                    Step::Verifier { name, exchange: Self::Verifier(Box::new(opening)) }
                }
                Err(_) => Step::Failed(MALFORMED),
            },
            Self::Proof(challenge) => match challenge.judge(response) {
                Ok(Some(ours)) => Step::Challenge(ours.into_bytes(), Self::Heard),
                Ok(None) | Err(_) => Step::Proven(false),
            },
            Self::Heard => Step::Proven(response.is_empty()),
            Self::Verifier(_) => Step::Failed(MALFORMED),
        }
    }

    /// Goes on with what the store keeps of the user and a nonce that nobody could guess.
    pub(super) fn verify(self, verifier: ScramVerifier, nonce: &str) -> Step {
        let Self::Verifier(opening) = self else { return Step::Failed(MALFORMED) };
        let challenge = opening.challenge(nonce, verifier);
        Step::Challenge(challenge.message.clone().into_bytes(), Self::Proof(Box::new(challenge)))
    }
}
