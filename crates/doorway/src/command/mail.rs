//! `doorway mail …`: through the running server, or on the store itself when none runs.

mod archival;
mod dns;
mod queue;
mod read;
mod send;

use std::path::Path;
use std::sync::Arc;

use doorway_base::Trace;
use doorway_net::os::Runtime;
use doorway_net::resolve::Hosts;
use doorway_net::tls::{Certificates, TlsAcceptor};
use doorway_store::{AuthConfig, Blobs, LoginGate, Store};
use serde_json::Value;

use super::configured;
use super::store::no_store;
use crate::cli::{MailCommand, Options};
use crate::config::Config;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::mail::{self, Settings, Surroundings};
use crate::post::Postal;
use crate::screen::Screen;
use crate::{first_run, limits, storage};

/// Does what was asked about mail.
pub(super) fn run(options: &Options, command: MailCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    let Some(config) = configured(options, screen)? else { return Ok(Exit::Wrong) };
    let data = first_run::data_folder(&config, options.data.as_deref());
    let asking = Asking { config, data };
    match command {
        MailCommand::Queue(command) => queue::queue(&asking, command, screen),
        MailCommand::Trace { id } => queue::trace(&asking, id, screen),
        MailCommand::Read(arguments) => read::read(&asking, arguments, screen),
        MailCommand::Send(arguments) => send::send(&asking, arguments, screen),
        MailCommand::Folders { user } => read::folders(&asking, user, screen),
        MailCommand::Fsck { repair } => archival::fsck(&asking, repair, screen),
        MailCommand::Salvage { to } => archival::salvage(&asking, &to, screen),
        MailCommand::Export(arguments) => archival::export(&asking, arguments, screen),
        MailCommand::Import(arguments) => archival::import(&asking, arguments, screen),
        MailCommand::Dns { address, publish } => dns::dns(&asking, address, publish, screen),
    }
}

/// What the commands need to ask.
struct Asking {
    config: Config,
    data: std::path::PathBuf,
}

impl Asking {
    fn settings(&self) -> Settings {
        let values = self.config.section("limits");
        Settings::read(&self.config, limits::tcp(values), limits::proxies(values))
    }

    /// Has a request carried out.
    fn ask(&self, request: &Postal) -> Result<Value, Failure> {
        if let Some(client) = Client::find(&self.data)? {
            let (method, target, body) = request.to_http();
            return client.ask_for_long(method, &target, body.as_ref());
        }
        if !storage::folder(&self.data).exists() {
            return Err(no_store(&self.data));
        }
        self.ask_store(&self.data, request)
    }

    /// Does it on the store, which no server holds.
    fn ask_store(&self, data: &Path, request: &Postal) -> Result<Value, Failure> {
        let told = |error: doorway_net::Error| Failure::new(error.to_string());
        let runtime = Runtime::start("command", 1, Trace::off()).map_err(told)?;
        let world = runtime.world().clone();
        let store = storage::open(&self.config, data, None)?;
        let users = Arc::new(storage::users(&self.config, Arc::clone(&store))?);
        let blobs =
            store.blobs(1).map_err(|error| storage::failure("cannot open the store's content", error))?;
        let (store, blobs): (Arc<dyn Store>, Arc<dyn Blobs>) = (store, Arc::new(blobs));
        let around = Surroundings {
            world: world.clone(),
            ids: mail::ids(&store, &blobs)?,
            store,
            blobs,
            // Nothing is sent: what is queued waits for the server.
            names: Arc::new(Hosts::default()),
            gate: Arc::new(LoginGate::new(users, AuthConfig::read(self.config.section("auth")).guesses_max)),
            tls: Arc::new(TlsAcceptor::new(Certificates::default(), &[]).map_err(told)?),
        };
        let office = mail::office(&around, &self.settings())?;
        let (request, now) = (request.clone(), world.wall());
        let done = runtime.block_on(async move { request.run(&office, now).await });
        done.ok_or_else(|| Failure::new("the command broke off"))?
    }
}
