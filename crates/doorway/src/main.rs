//! Doorway: one program that serves DNS and HTTP, with one config, one user list and one trace.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `cli.rs` | what may be typed |
//! | `command/` | what each command does |
//! | `config/` | the config file: reading, errors, `explain`, `show`, `init` |
//! | `check/` | what only the machine can tell: ports, folders, descriptors |
//! | `first_run/` | the data folder and the first password |
//! | `control/` | the socket through which commands reach the running server |
//! | `log.rs` | the log on standard error |
//! | `limits.rs` | `[limits]` as the doors take it |
//! | `metrics/` | `/metrics`, `/healthz`, `/readyz` |
//! | `accounts.rs`, `upkeep.rs` | requests about users and about the store, here or in the server |
//! | `visitors.rs`, `logins.rs` | requests about sessions; who stays logged in to the web server |
//! | `name_server.rs` | requests about the cache, the zones and their records |
//! | `agents.rs`, `bindings.rs` | the DHCP relay agent and clients; requests about the addresses of this host |
//! | `storage.rs` | the store and the user list as configured |
//! | `services.rs` | the protocols, one line each |
//! | `beat.rs` | what happens by the clock: certificates renewed, the watchdog fed |
//! | `wiring.rs` | starts them, plugs them together, reloads them |
//! | `screen.rs`, `failure.rs`, `exit.rs` | tables and colour, one form of error, exit codes |
//!
//! Not here: protocols. Each lives in its own crate and is plugged in here.

#![forbid(unsafe_code)]

mod accounts;
mod agents;
mod beat;
mod bindings;
mod caches;
mod check;
mod cli;
mod command;
mod config;
mod control;
mod dhcp;
mod exit;
mod failure;
mod first_run;
mod forward;
mod lease_names;
mod leasing;
mod limits;
mod log;
mod logins;
mod mail;
mod metrics;
mod name_server;
mod names;
mod percent;
mod post;
mod screen;
mod services;
mod storage;
mod upkeep;
mod upstreams;
mod visitors;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let mut screen = screen::Screen::standard(cli.options.json);
    match command::run(cli, &mut screen) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen.failure(&failure);
            failure.exit.into()
        }
    }
}
