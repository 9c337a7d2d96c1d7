//! `doorway http serve`: a folder over HTTP, at once, without config and data.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Trace;
use doorway_base::config::Listen;
use doorway_http::config::SiteConfig;
use doorway_http::{Config, Handlers, Server, Sites};
use doorway_net::os::Runtime;
use doorway_net::signals::{Asked, Signals};
use doorway_net::tcp;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, Screen};

/// How long connections may finish after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves `folder` until a signal says stop.
pub(super) fn serve(folder: &Path, listen: Listen, screen: &mut Screen) -> Result<Exit, Failure> {
    let runtime =
        Runtime::start("doorway", 1, Trace::off()).map_err(|error| Failure::new(error.to_string()))?;
    let world = runtime.world().clone();
    let config = config(folder.to_owned());
    let sites = Sites::open(&config, &Handlers::default())
        .map_err(|error| Failure::new(error.to_string()).fix("name a folder that this user may read"))?;
    let server = Arc::new(Server::new(&world, &config, sites));
    let mut doors = Vec::new();
    for address in world.addresses(&listen) {
        let door = tcp::serve(&world, address, &server.tcp_options(false), &server);
        doors.push(door.map_err(|error| Failure::new(error.to_string()).fix(error.advice()))?);
    }
    let mut signals = runtime
        .block_on(async { Signals::listen() })
        .unwrap_or_else(|| Err(std::io::Error::other("the runtime has ended")))
        .map_err(|error| Failure::new("cannot listen to signals").why(error))?;
    let urls: Vec<_> =
        doors.iter().filter_map(tcp::TcpDoor::local).map(|local| format!("http://{local}/")).collect();
    if screen.is_json() {
        screen.document(&json!({ "event": "started", "folder": folder, "urls": urls }));
    } else {
        screen.line(format!("{BOLD}{}{PLAIN} is at {GREEN}{}{PLAIN}", folder.display(), urls.join(" ")));
        screen.line(format!("{DIM}Folders without an index are listed. Ctrl-C stops.{PLAIN}"));
    }
    let serving = world.clone();
    let ended = runtime.block_on(async move {
        while signals.next().await == Asked::Reload {}
        let deadline = serving.now() + DRAIN;
        serving.doors().drain(&serving, deadline).await
    });
    ended.map(|_| Exit::Done).ok_or_else(|| Failure::new("the server broke off"))
}

fn config(folder: PathBuf) -> Config {
    let site = SiteConfig { listing: true, ..SiteConfig::plain(Some(folder)) };
    Config { sites: vec![site], ..Config::default() }
}
