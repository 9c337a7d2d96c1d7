//! AUTH (RFC 4954): who the client is.

use std::time::Duration;

use doorway_store::ScramVerifier;

use super::{Output, Session, State};
use crate::reply::{Enhanced, Reply};
use crate::sasl::{Mechanism, base64, plain, scram};

/// What became of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginOutcome {
    /// They are this user.
    User(String),
    /// They are not who they say.
    Denied,
    /// They tried too often, and may try again after this.
    Limited(Duration),
    /// It could not be looked at.
    Unavailable,
}

/// What is needed to check a login by SCRAM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    /// What is kept of the user's password, or of nobody's.
    pub verifier: ScramVerifier,
    /// Printable ASCII without commas that nobody can guess.
    pub nonce: String,
}

/// How far a login is.
#[derive(Debug)]
pub(super) enum Exchange {
    /// PLAIN: the one response comes.
    Plain,
    /// LOGIN: the name comes.
    LoginName,
    /// LOGIN: the password comes.
    LoginPassword(String),
    /// SCRAM: the first message comes.
    ScramFirst,
    /// SCRAM: the verifier of this name is being found.
    ScramVerifier(scram::Opening),
    /// SCRAM: the proof comes.
    ScramProof(scram::Challenge),
    /// SCRAM: our own proof was sent, and the client says that it saw it.
    ScramSeen,
    /// Name and password, or the user behind a proof, are being looked at.
    Asked,
}

/// Said for a name and a password that are asked for one after the other; in base64.
const USERNAME: &str = "VXNlcm5hbWU6";
const PASSWORD: &str = "UGFzc3dvcmQ6";

impl Session {
    pub(super) fn authenticate(&mut self, state: State, mechanism: &str, initial: Option<&str>) -> State {
        if !self.options.auth {
            return self.refuse(Reply::new(502, Enhanced(5, 5, 1), "there is no AUTH here"), state);
        }
        if !self.peer.may_log_in() {
            let reply =
                Reply::new(538, Enhanced(5, 7, 11), "STARTTLS comes first: passwords are encrypted here");
            return self.refuse(reply, state);
        }
        if !matches!(state, State::Ready) || !self.extended || self.origin.user.is_some() {
            return self.out_of_order("AUTH comes once, behind EHLO and before MAIL", state);
        }
        let exchange = match Mechanism::named(mechanism) {
            Some(Mechanism::Plain) => Exchange::Plain,
            Some(Mechanism::Login) => Exchange::LoginName,
            Some(Mechanism::ScramSha256) => Exchange::ScramFirst,
            None => {
                return self.refuse(Reply::new(504, Enhanced(5, 5, 4), "there is no such mechanism"), state);
            }
        };
        match initial {
            // RFC 4954 §4: an equals sign stands for an empty response.
            Some("=") => self.proceed(exchange, Vec::new()),
            Some(initial) => match base64::decode(initial) {
                Ok(response) => self.proceed(exchange, response),
                Err(_) => self.no_base64(),
            },
            None => {
                let prompt = if matches!(exchange, Exchange::LoginName) { USERNAME } else { "" };
                self.ask(prompt, exchange)
            }
        }
    }

    /// A line that answers a challenge.
    pub(super) fn respond(&mut self, exchange: Exchange, line: &[u8]) -> State {
        if line == b"*" {
            return self.refuse(Reply::new(501, Enhanced(5, 7, 0), "the login was cancelled"), State::Ready);
        }
        let response = core::str::from_utf8(line).ok().map(base64::decode);
        match response {
            Some(Ok(response)) => self.proceed(exchange, response),
            _ => self.no_base64(),
        }
    }

    fn proceed(&mut self, exchange: Exchange, response: Vec<u8>) -> State {
        match exchange {
            Exchange::Plain => match plain::read(&response) {
                Ok(plain) if plain.acts_for_another() => {
                    self.logged_in(Exchange::Asked, LoginOutcome::Denied)
                }
                Ok(plain) => self.check(plain.name.to_owned(), plain.password.to_owned()),
                Err(_) => self.no_message(),
            },
            Exchange::LoginName => match String::from_utf8(response) {
                Ok(name) => self.ask(PASSWORD, Exchange::LoginPassword(name)),
                Err(_) => self.no_message(),
            },
            Exchange::LoginPassword(name) => match String::from_utf8(response) {
                Ok(password) => self.check(name, password),
                Err(_) => self.no_message(),
            },
            Exchange::ScramFirst => match scram::Opening::read(&response) {
                Ok(opening) if opening.authorization.as_ref().is_some_and(|other| *other != opening.name) => {
                    self.logged_in(Exchange::Asked, LoginOutcome::Denied)
                }
                Ok(opening) => {
                    self.outputs.push_back(Output::Scram { name: opening.name.clone() });
                    State::Checking(Exchange::ScramVerifier(opening))
                }
                Err(_) => self.no_message(),
            },
            Exchange::ScramProof(challenge) => match challenge.judge(&response) {
                Ok(Some(signature)) => self.ask(&base64::encode(signature.as_bytes()), Exchange::ScramSeen),
                Ok(None) => {
                    self.outputs.push_back(Output::Proven(false));
                    State::Checking(Exchange::Asked)
                }
                Err(_) => self.no_message(),
            },
            Exchange::ScramSeen if response.is_empty() => {
                self.outputs.push_back(Output::Proven(true));
                State::Checking(Exchange::Asked)
            }
            Exchange::ScramSeen | Exchange::ScramVerifier(_) | Exchange::Asked => self.no_message(),
        }
    }

    fn ask(&mut self, challenge: &str, exchange: Exchange) -> State {
        self.reply(Reply::plain(334, challenge.to_owned()));
        State::Authentication(exchange)
    }

    fn check(&mut self, name: String, password: String) -> State {
        self.outputs.push_back(Output::Login { name, password });
        State::Checking(Exchange::Asked)
    }

    pub(super) fn challenge(
        &mut self,
        exchange: Exchange,
        verifier: Result<Verifier, LoginOutcome>,
    ) -> State {
        match (exchange, verifier) {
            (Exchange::ScramVerifier(opening), Ok(Verifier { verifier, nonce })) => {
                let challenge = opening.challenge(&nonce, verifier);
                self.ask(&base64::encode(challenge.message.as_bytes()), Exchange::ScramProof(challenge))
            }
            (exchange, Err(outcome)) => self.logged_in(exchange, outcome),
            (_, Ok(_)) => State::Ready,
        }
    }

    pub(super) fn logged_in(&mut self, _: Exchange, outcome: LoginOutcome) -> State {
        let reply = match outcome {
            LoginOutcome::User(user) => {
                self.origin.user = Some(user);
                self.say(235, Enhanced(2, 7, 0), "welcome");
                return State::Ready;
            }
            LoginOutcome::Denied => Reply::new(535, Enhanced(5, 7, 8), "name or password are wrong"),
            LoginOutcome::Limited(wait) => {
                let text = format!("too many attempts, wait {} s", wait.as_secs() + 1);
                Reply::new(454, Enhanced(4, 7, 0), text)
            }
            LoginOutcome::Unavailable => {
                Reply::new(454, Enhanced(4, 7, 0), "nobody can be let in now, try later")
            }
        };
        self.refuse(reply, State::Ready)
    }

    fn no_base64(&mut self) -> State {
        self.refuse(
            Reply::new(501, Enhanced(5, 5, 2), "that is no base64 (RFC 4648 section 4)"),
            State::Ready,
        )
    }

    fn no_message(&mut self) -> State {
        self.refuse(Reply::new(501, Enhanced(5, 5, 2), "that is no message of this mechanism"), State::Ready)
    }
}
