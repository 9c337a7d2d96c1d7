//! `doorway session …`: through the running server, or on the store itself when none runs.

use doorway_base::Trace;
use doorway_net::os::Runtime;
use doorway_store::wait;
use serde_json::Value;

use super::configured;
use super::store::no_store;
use crate::cli::{Options, SessionCommand};
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{GREEN, PLAIN, Screen, Table};
use crate::visitors::Visitors;
use crate::{first_run, logins, storage};

/// Does what was asked about sessions.
pub(super) fn run(options: &Options, command: SessionCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    let Some(config) = configured(options, screen)? else { return Ok(Exit::Wrong) };
    let data = first_run::data_folder(&config, options.data.as_deref());
    let request = match command {
        SessionCommand::List { user } => Visitors::List { user },
        SessionCommand::Revoke { id: Some(id), .. } => Visitors::Revoke { id },
        SessionCommand::Revoke { user, .. } => Visitors::RevokeUser { user: user.unwrap_or_default() },
    };
    let answer = match Client::find(&data)? {
        Some(client) => {
            let (method, target) = request.to_http();
            client.ask(method, &target, None)?
        }
        None => {
            if !storage::folder(&data).exists() {
                return Err(no_store(&data));
            }
            let runtime = Runtime::start("command", 1, Trace::off());
            let runtime = runtime.map_err(|error| Failure::new("cannot read the clock").why(error))?;
            let store = storage::open(&config, &data, None)?;
            let sessions = logins::sessions(&config, store, runtime.world())?;
            wait(request.run(&sessions, runtime.world().wall()))?
        }
    };
    if screen.is_json() {
        screen.document(&answer);
    } else if matches!(request, Visitors::List { .. }) {
        screen.table(&table(&answer));
    } else {
        let revoked = answer["revoked"].as_u64().unwrap_or_default();
        let noun = if revoked == 1 { "session" } else { "sessions" };
        screen.line(format!("{GREEN}revoked{PLAIN}  {revoked} {noun}"));
    }
    Ok(Exit::Done)
}

fn table(answer: &Value) -> Table {
    let mut table = Table::new(&["session", "user", "since", "last used", ">octets"]);
    for session in answer["sessions"].as_array().into_iter().flatten() {
        let text = |name: &str| session[name].as_str().unwrap_or("-").to_owned();
        let octets = session["octets"].to_string();
        table.row([text("id"), text("user"), text("created"), text("used"), octets]);
    }
    table
}
