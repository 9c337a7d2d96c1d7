//! Logins that were verified a moment ago, so that a client that logs in every few seconds does not
//! cost an argon2id each time.

use std::collections::BTreeMap;
use std::time::Duration;

use doorway_base::UnixTime;

use crate::error::Error;
use crate::user::User;

/// How long a verified login is remembered.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);
/// Most logins remembered.
const REMEMBERED_MAX: usize = 10_000;

/// A login that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Who logged in.
    pub user: User,
    /// The label of the app password used; `None` for the user's own password.
    pub app_password: Option<String>,
}

/// Why a login did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginError {
    /// Unknown user, wrong password, suspended, or not for this protocol: the peer hears no more than that.
    Denied,
    /// Too many checks are waiting, or the store has a problem that may pass.
    Unavailable(Error),
}

impl From<Error> for LoginError {
    fn from(error: Error) -> Self {
        Self::Unavailable(error)
    }
}

/// Verified logins by a keyed hash of name and password, so that nothing of a password stays in memory.
#[derive(Debug)]
pub(crate) struct VerifiedLogins {
    key: [u8; 32],
    /// Version of the user's row that was verified, and until when it counts.
    logins: BTreeMap<[u8; 32], (u64, UnixTime)>,
}

impl VerifiedLogins {
    /// `key` is random and of this process only.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key, logins: BTreeMap::new() }
    }

    fn tag(&self, name: &str, password: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // A name has no NUL, so no two pairs give the same octets.
        hasher.update(name.as_bytes()).update(&[0]).update(password.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// True when this was verified against this version of the user's row: any change of the user makes
    /// a new version.
    pub(crate) fn knows(&self, name: &str, password: &str, version: u64, now: UnixTime) -> bool {
        self.logins.get(&self.tag(name, password)).is_some_and(|(v, until)| *v == version && now < *until)
    }

    /// Remembers a login.
    pub(crate) fn remember(&mut self, name: &str, password: &str, version: u64, now: UnixTime) {
        if self.logins.len() >= REMEMBERED_MAX {
            self.logins.retain(|_, (_, until)| now < *until);
        }
        if self.logins.len() >= REMEMBERED_MAX {
            // The tags are random, so this forgets anybody.
            self.logins.pop_first();
        }
        self.logins.insert(self.tag(name, password), (version, now + REMEMBERED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_known_until_the_user_changes_or_time_passes() {
        let now = UnixTime::from_secs(1_800_000_000);
        let mut logins = VerifiedLogins::new([7; 32]);
        logins.remember("ann", "secret", 3, now);
        assert!(logins.knows("ann", "secret", 3, now + Duration::from_secs(299)));
        assert!(!logins.knows("ann", "secret", 3, now + Duration::from_secs(300)));
        assert!(!logins.knows("ann", "secret", 4, now));
        assert!(!logins.knows("ann", "Secret", 3, now));
        assert!(!logins.knows("bob", "secret", 3, now));
        for number in 0..REMEMBERED_MAX * 2 {
            logins.remember(&number.to_string(), "secret", 1, now);
        }
        assert!(logins.logins.len() <= REMEMBERED_MAX);
    }
}
