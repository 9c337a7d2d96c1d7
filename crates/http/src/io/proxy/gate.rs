//! Who may use the forward proxy: names and passwords from the one user list, in Proxy-Authorization
//! (RFC 9110 §11.7).

use core::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorway_net::World;
use doorway_net::web::Response;

use super::super::authenticator::Authenticator;
use super::response::told;
use crate::Status;
use crate::auth::{Credentials, Demand, Person, Verdict, Verdicts};
use crate::config::ForwardConfig;
use crate::error::Error;

/// Who has to log in.
pub(super) struct Gate {
    world: World,
    demand: Demand,
    authenticator: Arc<Authenticator>,
    /// Whether programs on this machine need not.
    spares_loopback: bool,
    /// What was found a moment ago.
    verdicts: Mutex<Verdicts>,
    /// Held while it is found out who somebody is: the other connections of the same browser wait for that.
    turn: tokio::sync::Mutex<()>,
}

impl Gate {
    /// The gate of a proxy; `None` where nobody has to log in.
    pub(super) fn open(
        config: &ForwardConfig,
        authenticator: Option<&Arc<Authenticator>>,
        world: &World,
    ) -> Result<Option<Self>, Error> {
        let users = config.auth.clone().unwrap_or_else(|| vec!["*".to_owned()]);
        if users.is_empty() {
            return Ok(None);
        }
        let authenticator = Arc::clone(authenticator.ok_or(Error::NoLogin)?);
        let demand = Demand::read(&config.realm, &users, &["basic".to_owned()]).map_err(Error::Demand)?;
        let mut key = [0; 32];
        world.random().fill(&mut key);
        Ok(Some(Self {
            world: world.clone(),
            demand,
            authenticator,
            spares_loopback: config.auth.is_none(),
            verdicts: Mutex::new(Verdicts::new(key)),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Who asks, by the value of Proxy-Authorization; or the refusal.
    pub(super) async fn pass(
        &self,
        field: Option<Vec<u8>>,
        remote: IpAddr,
        secure: bool,
    ) -> Result<Option<Arc<str>>, Response> {
        if field.is_none() && self.spares_loopback && remote.to_canonical().is_loopback() {
            return Ok(None);
        }
        if !self.authenticator.takes_passwords(secure, remote) {
            let why =
                "passwords are not taken over a connection without TLS (config key `http.login.cleartext`)";
            return Err(told(Status::FORBIDDEN, why));
        }
        let Some(credentials) = field.as_deref().and_then(Credentials::parse).filter(|shown| !shown.bearer)
        else {
            return Err(self.challenge());
        };
        match self.find_out(&credentials, remote).await {
            Verdict::Person(person) if self.demand.admits(&person) => {
                let Person { name, .. } = person;
                Ok(Some(name))
            }
            Verdict::Person(_) => Err(told(Status::FORBIDDEN, "this proxy is not for you")),
            Verdict::Denied => Err(self.challenge()),
            Verdict::Limited(seconds) => {
                let refusal = told(Status::TOO_MANY_REQUESTS, "too many wrong passwords");
                Err(refusal.with("Retry-After", &seconds.to_string()))
            }
            Verdict::Unavailable => Err(told(Status::SERVICE_UNAVAILABLE, "no login can be checked now")),
        }
    }

    async fn find_out(&self, shown: &Credentials, remote: IpAddr) -> Verdict {
        let Credentials { name, password, .. } = shown;
        let tag = self.verdicts().tag(&[b"password", name.as_bytes(), password.as_bytes()]);
        let world = &self.world;
        let known = || {
            let generation = self.authenticator.generation();
            self.verdicts().find(&tag, generation, world.now()).cloned()
        };
        if let Some(verdict) = known() {
            return verdict;
        }
        let _alone = self.turn.lock().await;
        if let Some(verdict) = known() {
            return verdict;
        }
        let generation = self.authenticator.generation();
        let verdict = self.authenticator.login(name, password, remote, world.now(), world.wall()).await;
        self.verdicts().remember(tag, verdict.clone(), generation, world.now());
        verdict
    }

    fn verdicts(&self) -> MutexGuard<'_, Verdicts> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn challenge(&self) -> Response {
        let refusal = told(Status::PROXY_AUTHENTICATION_REQUIRED, "this proxy wants to know who you are");
        refusal.with("Proxy-Authenticate", &self.demand.challenge(false).unwrap_or_default())
    }
}
