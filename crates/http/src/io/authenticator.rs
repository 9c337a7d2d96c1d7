//! Who somebody is: credentials checked against the one user list, off the worker, with guessing bounded.

use core::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use doorway_base::{Instant, UnixTime};
use doorway_net::World;
use doorway_store::{LoginGate, LoginRefused, Sessions, UserState};

use crate::auth::{Person, Verdict};
use crate::session::LoginConfig;

/// The protocol that an app password must open.
const PROTOCOL: &str = "http";
/// How long somebody waits whose password could not be looked at, in seconds.
pub(super) const UNAVAILABLE_SECONDS: u64 = 2;

/// Checks who somebody is, for every gate and every login page of a server.
pub struct Authenticator {
    gate: Arc<LoginGate>,
    sessions: Arc<Sessions>,
    config: LoginConfig,
    /// Counts changes of the user list.
    generation: AtomicU64,
    tally: Tally,
    /// Whether it was told that sessions go over open connections.
    warned: AtomicBool,
}

/// How logins went, each since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Names and passwords that were right.
    pub granted: AtomicU64,
    /// Those that were not.
    pub denied: AtomicU64,
    /// Attempts that were not looked at because there were too many.
    pub limited: AtomicU64,
    /// Attempts that could not be looked at.
    pub unavailable: AtomicU64,
    /// Requests refused because a password would have gone over an open connection.
    pub cleartext: AtomicU64,
    /// Requests that another site's page had sent.
    pub cross_site: AtomicU64,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Begins to check, and to watch the user list for changes.
    #[must_use]
    pub fn start(
        world: &World,
        gate: Arc<LoginGate>,
        sessions: Arc<Sessions>,
        config: LoginConfig,
    ) -> Arc<Self> {
        let watches = gate.users().watches();
        let authenticator = Arc::new(Self {
            gate,
            sessions,
            config,
            generation: AtomicU64::new(0),
            tally: Tally::default(),
            warned: AtomicBool::new(false),
        });
        for mut watch in watches {
            let of: Weak<Self> = Arc::downgrade(&authenticator);
            world.spawn_background("logins", async move {
                while watch.changed().await.is_some() {
                    let Some(authenticator) = of.upgrade() else { return };
                    authenticator.generation.fetch_add(1, Relaxed);
                }
            });
        }
        authenticator
    }

    /// What the operator says about logins.
    #[must_use]
    pub const fn config(&self) -> &LoginConfig {
        &self.config
    }

    /// The sessions that logins begin.
    #[must_use]
    pub const fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// How logins went.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Counts the changes of the user list, so that whoever remembers a login knows when to forget it.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// Whether a password may be taken from this connection.
    #[must_use]
    pub fn takes_passwords(&self, tls: bool, remote: IpAddr) -> bool {
        tls || self.config.cleartext || remote.to_canonical().is_loopback()
    }

    /// Tells the log once that a session went over an open connection.
    pub(super) fn warn_of_open_session(&self, tls: bool) {
        if !tls && !self.warned.swap(true, Relaxed) {
            tracing::warn!(
                "a session's cookie went over a connection without TLS: everybody on the way can take it; \
                 it has no __Host- and no Secure there"
            );
        }
    }

    /// Checks a name and a password.
    pub async fn login(
        &self,
        name: &str,
        password: &str,
        remote: IpAddr,
        now: Instant,
        wall: UnixTime,
    ) -> Verdict {
        match self.gate.login(name, password, PROTOCOL, Some(remote), now, wall).await {
            Ok(login) => {
                self.tally.granted.fetch_add(1, Relaxed);
                Verdict::Person(Person { name: login.user.name.into(), roles: login.user.roles })
            }
            Err(LoginRefused::Limited(wait)) => {
                self.tally.limited.fetch_add(1, Relaxed);
                Verdict::Limited(wait.as_secs().max(1))
            }
            Err(LoginRefused::Denied) => {
                self.tally.denied.fetch_add(1, Relaxed);
                tracing::info!(user = %name.escape_debug(), %remote, "a login was denied");
                Verdict::Denied
            }
            Err(LoginRefused::Unavailable(error)) => {
                self.tally.unavailable.fetch_add(1, Relaxed);
                tracing::warn!(%error, "a login could not be checked");
                Verdict::Unavailable
            }
        }
    }

    /// Looks up a user who has a session.
    pub(super) async fn person(&self, name: &str) -> Verdict {
        match self.gate.users().user(name).await {
            Ok(Some(user)) if user.state == UserState::Active => {
                Verdict::Person(Person { name: user.name.into(), roles: user.roles })
            }
            Ok(_) => Verdict::Denied,
            Err(error) => {
                tracing::warn!(%error, "a user could not be looked up");
                Verdict::Unavailable
            }
        }
    }
}
