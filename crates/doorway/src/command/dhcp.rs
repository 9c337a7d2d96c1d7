//! `doorway dhcp …`: leases through the running server, or from the store itself when none runs.

pub(super) mod client;
mod files;
mod leases;

use std::sync::Arc;

use doorway_base::Trace;
use doorway_net::os::Runtime;
use doorway_store::Store;
use serde_json::Value;

use super::configured;
use super::store::no_store;
use crate::cli::{DhcpCommand, Options};
use crate::config::Config;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::leasing::Leasing;
use crate::screen::Screen;
use crate::{first_run, storage};

/// Does what was asked about DHCP.
pub(super) fn run(options: &Options, command: DhcpCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    let Some(config) = configured(options, screen)? else { return Ok(Exit::Wrong) };
    let data = first_run::data_folder(&config, options.data.as_deref());
    let asking = Asking { config, data };
    match command {
        DhcpCommand::Discover(arguments) => client::discover(&arguments, screen),
        DhcpCommand::Client(arguments) => client::client(&asking, &arguments, screen),
        DhcpCommand::Leases(arguments) => leases::leases(&asking, arguments, screen),
        DhcpCommand::Reserve(arguments) => leases::reserve(&asking, arguments, screen),
        DhcpCommand::Unreserve { address } => leases::unreserve(&asking, address, screen),
        DhcpCommand::Release { address } => leases::release(&asking, address, screen),
        DhcpCommand::DeclineClear { address } => leases::decline_clear(&asking, address, screen),
        DhcpCommand::Export { format } => files::export(&asking, format, screen),
        DhcpCommand::Import { format, file } => files::import(&asking, format, &file, screen),
        DhcpCommand::Offers => leases::offers(&asking, screen),
        DhcpCommand::Stats => leases::stats(&asking, screen),
    }
}

/// What the commands need to ask.
struct Asking {
    config: Config,
    data: std::path::PathBuf,
}

impl Asking {
    /// Has a request carried out.
    fn ask(&self, request: &Leasing) -> Result<Value, Failure> {
        if let Some(client) = Client::find(&self.data)? {
            let (method, target) = request.to_http();
            return client.ask_for_long(method, &target, None);
        }
        if !storage::folder(&self.data).exists() {
            return Err(no_store(&self.data));
        }
        let told = |error: doorway_net::Error| Failure::new(error.to_string());
        let runtime = Runtime::start("command", 1, Trace::off()).map_err(told)?;
        let store: Arc<dyn Store> = storage::open(&self.config, &self.data, None)?;
        let (request, now) = (request.clone(), runtime.world().wall());
        let done = runtime.block_on(async move { request.run(&store, None, now).await });
        done.ok_or_else(|| Failure::new("the command broke off"))?
    }
}
