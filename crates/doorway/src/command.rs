//! What each command does.

mod annotated;
pub(crate) mod asking;
mod cache;
mod config;
mod dhcp;
mod dig;
mod dns;
mod fetch;
mod http;
mod ipconfig;
mod live;
mod mail;
mod nslookup;
mod password;
mod ping;
mod proxy;
mod sequence;
mod serve;
mod session;
mod store;
mod up;
mod url;
mod user;

use crate::cli::{Cli, Command, Options, UpArgs};
use crate::config::{Config, Problem, Severity, find, problems_document, render};
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run;
use crate::screen::Screen;

/// Runs the command that was typed.
pub(crate) fn run(cli: Cli, screen: &mut Screen) -> Result<Exit, Failure> {
    let options = &cli.options;
    match cli.command.unwrap_or_else(|| Command::Up(UpArgs::default())) {
        Command::Up(arguments) => up::up(options, &arguments, screen),
        Command::Check { strict } => config::check(options, strict, screen),
        Command::Init { file } => config::init(&file, screen),
        Command::Config(command) => config::run(options, command, screen),
        Command::Status => with_server(options, screen, live::status),
        Command::Sockets => with_server(options, screen, live::sockets),
        Command::Reload => with_server(options, screen, live::reload),
        Command::Trace(args) => {
            with_server(options, screen, |client, screen| live::trace(client, &args, screen))
        }
        Command::User(command) => user::run(options, command, screen),
        Command::Session(command) => session::run(options, command, screen),
        Command::Store(command) => store::run(options, command, screen),
        Command::Nslookup { words } => nslookup::nslookup(options, &words, screen),
        Command::Ping(args) => ping::ping(options, &args, screen),
        Command::Dns(command) => dns::run(options, command, screen),
        Command::Mail(command) => mail::run(options, command, screen),
        Command::Http(command) => http::run(options, command, screen),
        Command::Proxy(command) => {
            with_server(options, screen, |client, screen| proxy::run(client, command, screen))
        }
        Command::Cache(command) => {
            with_server(options, screen, |client, screen| cache::run(client, command, screen))
        }
        Command::Url(command) => url::run(command, screen),
        Command::Ipconfig { what, interface } => {
            ipconfig::ipconfig(options, what.as_deref(), interface.as_deref(), screen)
        }
        Command::Dhcp(command) => dhcp::run(options, command, screen),
        Command::Dig { words } => dig::dig(options, &words, screen),
    }
}

/// Runs a command that asks the running server.
fn with_server(
    options: &Options,
    screen: &mut Screen,
    ask: impl FnOnce(&Client, &mut Screen) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    // The config is only asked for the data folder; a server that runs does so whatever it says now.
    let (config, _) = Config::read(find(options.config.as_deref())?);
    let client = Client::running(&first_run::data_folder(&config, options.data.as_deref()))?;
    ask(&client, screen)
}

/// Reads the config for a command that works with it; `None` when errors were told and it must stop.
fn configured(options: &Options, screen: &mut Screen) -> Result<Option<Config>, Failure> {
    let (config, problems) = Config::read(find(options.config.as_deref())?);
    if problems.is_empty() {
        return Ok(Some(config));
    }
    tell(&config, &problems, screen);
    Ok((worst(&problems) != Some(Severity::Error)).then_some(config))
}

/// Tells `problems` on standard error, as text or, with `--json`, as a document on standard output.
fn tell(config: &Config, problems: &[Problem], screen: &mut Screen) {
    if screen.is_json() {
        screen.document(&problems_document(config.source.as_ref(), problems));
    } else {
        screen.note(render(config.source.as_ref(), problems));
    }
}

fn worst(problems: &[Problem]) -> Option<Severity> {
    problems.iter().map(|problem| problem.severity).max()
}
