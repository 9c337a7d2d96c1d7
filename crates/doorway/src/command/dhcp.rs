//! `doorway dhcp …`: leases through the running server, or from the store itself when none runs.

pub(super) mod client;

use super::configured;
use crate::cli::{DhcpCommand, Options};
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run;
use crate::screen::Screen;

/// Does what was asked about DHCP.
pub(super) fn run(options: &Options, command: DhcpCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    let Some(config) = configured(options, screen)? else { return Ok(Exit::Wrong) };
    let data = first_run::data_folder(&config, options.data.as_deref());
    let asking = Asking { config, data };
    match command {
        DhcpCommand::Discover(arguments) => client::discover(&arguments, screen),
        DhcpCommand::Client(arguments) => client::client(&asking, &arguments, screen),
        _ => unreachable!(),
    }
}

/// What the commands need to ask.
struct Asking {
    config: Config,
    data: std::path::PathBuf,
}
