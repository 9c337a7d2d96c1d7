//! Who logs in to the web server and stays logged in: sessions from the store, and the parts of the web server
//! that check and ask.

use std::sync::Arc;
use std::time::Duration;

use doorway_http::session::{LoginConfig, session_options};
use doorway_http::{Authenticator, Handlers, Login};
use doorway_net::{World, entropy};
use doorway_store::{AuthConfig, LoginGate, Sessions, Store, Users, wait};

use crate::config::Config;
use crate::failure::Failure;
use crate::storage;

/// How often sessions that have ended are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What logins need, and what sites and mail need of them. Clones are the same.
#[derive(Clone)]
pub(crate) struct Logins {
    pub(crate) gate: Arc<LoginGate>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) authenticator: Arc<Authenticator>,
    page: Arc<Login>,
}

impl Logins {
    /// Brings back the sessions that had not ended, and begins to forget those that end.
    ///
    /// # Errors
    /// When the store has trouble.
    pub(crate) fn open(
        world: &World,
        config: &Config,
        store: Arc<dyn Store>,
        users: Arc<Users>,
    ) -> Result<Self, Failure> {
        let sessions = Arc::new(sessions(config, store, world)?);
        let login = LoginConfig::read(config.section("http.login"));
        let guesses_max = AuthConfig::read(config.section("auth")).guesses_max;
        let gate = Arc::new(LoginGate::new(users, guesses_max));
        let authenticator = Authenticator::start(world, Arc::clone(&gate), Arc::clone(&sessions), login);
        let page = Arc::new(Login::new(world, Arc::clone(&authenticator)));
        let (swept, clock) = (Arc::clone(&sessions), world.clone());
        world.spawn_background("sessions", async move {
            loop {
                clock.sleep(SWEEP_EVERY).await;
                if let Err(error) = swept.sweep(clock.wall()).await {
                    tracing::warn!(%error, "sessions that have ended could not be removed");
                }
            }
        });
        Ok(Self { gate, sessions, authenticator, page })
    }

    /// What sites can mount and ask.
    pub(crate) fn handlers(&self) -> Handlers {
        let page = Arc::clone(&self.page) as Arc<dyn doorway_net::web::Handler>;
        Handlers::default().with_login(Arc::clone(&self.authenticator), page)
    }
}

/// The sessions in `store`, with the bounds of the config.
///
/// # Errors
/// When the store has trouble.
pub(crate) fn sessions(config: &Config, store: Arc<dyn Store>, world: &World) -> Result<Sessions, Failure> {
    let options = session_options(config.section("http.sessions"));
    let opened = Sessions::open(store, options, Arc::new(entropy::fill), world.wall());
    wait(opened).map_err(|error| storage::failure("cannot read the sessions", error))
}
