//! This end's messages to a server that wants to know who we are.

use doorway_base::Malformed;

use super::Mechanism;
use super::scram;

/// An exchange with a server: what to say to its challenges.
#[derive(Debug)]
pub struct Client {
    name: String,
    password: String,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Plain,
    LoginName,
    LoginPassword,
    Scram(scram::Client),
    Over,
}

impl Client {
    /// Begins an exchange. `nonce` is printable ASCII without commas that nobody can guess; only SCRAM
    /// uses it.
    #[must_use]
    pub fn new(mechanism: Mechanism, name: &str, password: &str, nonce: &str) -> Self {
        let step = match mechanism {
            Mechanism::Plain => Step::Plain,
            Mechanism::Login => Step::LoginName,
            Mechanism::ScramSha256 => Step::Scram(scram::Client::new(name, password, nonce)),
        };
        Self { name: name.to_owned(), password: password.to_owned(), step }
    }

    /// What goes with the command that begins the exchange; `None` when the server speaks first.
    #[must_use]
    pub fn initial(&mut self) -> Option<Vec<u8>> {
        match &self.step {
            Step::Plain => {
                self.step = Step::Over;
                Some([b"", self.name.as_bytes(), self.password.as_bytes()].join(&0))
            }
            Step::Scram(scram) => Some(scram.first()),
            _ => None,
        }
    }

    /// What to say to a challenge.
    ///
    /// # Errors
    /// [`Malformed`] when the server's message is none of this mechanism, or the server does not know the
    /// password: whoever it is, nothing more is said to it.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Malformed> {
        match &mut self.step {
            // Whatever LOGIN asks in words, the name is asked first.
            Step::LoginName => {
                self.step = Step::LoginPassword;
                Ok(self.name.as_bytes().to_vec())
            }
            Step::LoginPassword => {
                self.step = Step::Over;
                Ok(self.password.as_bytes().to_vec())
            }
            Step::Scram(scram) => scram.respond(challenge),
            Step::Plain | Step::Over => Err(Malformed::new("no further challenge", 0)),
        }
    }

    /// Whether success may be believed: SCRAM's server has to prove that it knows the password too.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        match &self.step {
            Step::Scram(scram) => scram.is_satisfied(),
            step => matches!(step, Step::Over),
        }
    }
}
