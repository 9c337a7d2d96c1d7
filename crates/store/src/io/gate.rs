//! The one gate through which every protocol lets people in: passwords checked against the user list, with
//! guessing bounded for all protocols together, so that nobody has five guesses at each of them.

use core::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_base::{Instant, UnixTime};

use super::users::Users;
use crate::error::Error;
use crate::guessing::{Guesser, Guessing};
use crate::lock::lock;
use crate::login::{Login, LoginError};

/// How many times as many wrong passwords one address may try for all users together as for one: many people may
/// stand behind an address, and each check costs an argon2id.
const SPRAYS: usize = 10;

/// Checks who somebody is.
pub struct LoginGate {
    users: Arc<Users>,
    guessing: Mutex<Guessing>,
    /// The same for each address, whatever names it tries.
    spraying: Mutex<Guessing>,
}

impl std::fmt::Debug for LoginGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginGate").finish_non_exhaustive()
    }
}

/// Why nobody was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginRefused {
    /// Unknown user, wrong password, suspended, or not for this protocol: the peer hears no more than that.
    Denied,
    /// There were too many attempts; holds how long to wait.
    Limited(Duration),
    /// It could not be looked at: too many checks wait, or the store has trouble.
    Unavailable(Error),
}

/// An attempt that counts already. Dropped without a word, it was a wrong guess.
#[derive(Debug)]
#[must_use = "an attempt that nobody judges is a wrong guess"]
pub struct Attempt<'g> {
    gate: &'g LoginGate,
    /// The user at this address, and anybody at it; `None` for who has no address.
    guessers: Option<(Guesser, Guesser)>,
}

impl LoginGate {
    /// Lets in who is in `users`; an address may guess at a user's password `guesses_max` times in a
    /// [`crate::GUESS_WINDOW`].
    #[must_use]
    pub fn new(users: Arc<Users>, guesses_max: usize) -> Self {
        let counting = |attempts_max| Mutex::new(Guessing::new(attempts_max));
        Self {
            users,
            guessing: counting(guesses_max),
            spraying: counting(SPRAYS.saturating_mul(guesses_max)),
        }
    }

    /// The user list.
    #[must_use]
    pub const fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Counts an attempt that begins, for the user and for the address, or for neither. `None` is who
    /// comes through a Unix socket: the kernel vouches for them, and nothing is counted.
    ///
    /// # Errors
    /// How long to wait, when there were too many.
    pub fn begin(&self, name: &str, remote: Option<IpAddr>, now: Instant) -> Result<Attempt<'_>, Duration> {
        let Some(remote) = remote else { return Ok(Attempt { gate: self, guessers: None }) };
        let (guesser, anybody) = (Guesser::new(name, remote), Guesser::new("", remote));
        // One lock after the other, never both at once.
        lock(&self.spraying).begin(now, &anybody)?;
        let begun = lock(&self.guessing).begin(now, &guesser);
        if let Err(wait) = begun {
            lock(&self.spraying).unchecked(&anybody);
            return Err(wait);
        }
        Ok(Attempt { gate: self, guessers: Some((guesser, anybody)) })
    }

    /// Checks a name and a password for a protocol such as `pop3`.
    ///
    /// # Errors
    /// [`LoginRefused`] as its variants say.
    pub async fn login(
        &self,
        name: &str,
        password: &str,
        protocol: &str,
        remote: Option<IpAddr>,
        now: Instant,
        wall: UnixTime,
    ) -> Result<Login, LoginRefused> {
        let attempt = self.begin(name, remote, now).map_err(LoginRefused::Limited)?;
        match self.users.login(name, password, protocol, wall).await {
            Ok(login) => {
                attempt.succeeded();
                Ok(login)
            }
            Err(LoginError::Denied) => Err(LoginRefused::Denied),
            Err(LoginError::Unavailable(error)) => {
                attempt.unchecked();
                Err(LoginRefused::Unavailable(error))
            }
        }
    }
}

impl Attempt<'_> {
    /// The password was right: wrong guesses before it are forgotten.
    pub fn succeeded(self) {
        if let Some((guesser, anybody)) = &self.guessers {
            lock(&self.gate.guessing).succeeded(guesser);
            lock(&self.gate.spraying).unchecked(anybody);
        }
    }

    /// The password was wrong.
    pub fn denied(self) {}

    /// Nobody could look at it: it counts as none.
    pub fn unchecked(self) {
        if let Some((guesser, anybody)) = &self.guessers {
            lock(&self.gate.guessing).unchecked(guesser);
            lock(&self.gate.spraying).unchecked(anybody);
        }
    }
}
