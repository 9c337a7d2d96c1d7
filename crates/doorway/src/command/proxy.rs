//! `doorway proxy …`: the servers that requests are handed on to, as the running server sees them.

use serde_json::Value;

use crate::cli::ProxyCommand;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, PLAIN, Screen, Table, octets};
use crate::upstreams::Upstreams;

/// Asks the running server.
pub(super) fn run(client: &Client, command: ProxyCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    let request = match command {
        ProxyCommand::Status => Upstreams::Status,
        ProxyCommand::Test { url } => {
            let url = if url.contains("://") { url } else { format!("http://{url}") };
            Upstreams::Test { url }
        }
    };
    let (method, target) = request.to_http();
    let answer = client.ask(method, &target, None)?;
    let servers = answer["servers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let answers = servers.iter().any(|server| server["status"].is_u64());
    let exit = if request == Upstreams::Status || answers { Exit::Done } else { Exit::Failed };
    if screen.is_json() {
        screen.document(&answer);
        return Ok(exit);
    }
    let table = match request {
        Upstreams::Status => status(servers),
        Upstreams::Test { .. } => {
            screen.line(format!("upstream {BOLD}{}{PLAIN}", text(&answer["upstream"])));
            outcomes(servers)
        }
    };
    screen.table(&table);
    Ok(exit)
}

fn status(servers: &[Value]) -> Table {
    let mut table = Table::new(&[
        "upstream",
        "server",
        "state",
        "breaker",
        ">weight",
        ">active",
        ">requests",
        ">failures",
        ">5xx",
        ">in",
        ">wait",
        "last failure",
    ]);
    for server in servers {
        let backup = if server["backup"] == true { " backup" } else { "" };
        table.row([
            text(&server["upstream"]),
            text(&server["server"]),
            text(&server["state"]),
            text(&server["breaker"]),
            format!("{}{backup}", text(&server["weight"])),
            text(&server["active"]),
            text(&server["requests"]),
            text(&server["failures"]),
            text(&server["errors"]),
            octets(&server["octets"]),
            millis(&server["wait_millis"]),
            text(&server["last_failure"]),
        ]);
    }
    table
}

fn outcomes(servers: &[Value]) -> Table {
    let mut table = Table::new(&["server", "state", "breaker", "answer", ">connect", ">wait"]);
    for server in servers {
        let answer = if server["status"].is_null() { &server["failure"] } else { &server["status"] };
        table.row([
            text(&server["server"]),
            text(&server["state"]),
            text(&server["breaker"]),
            text(answer),
            millis(&server["connect_millis"]),
            millis(&server["wait_millis"]),
        ]);
    }
    table
}

fn millis(value: &Value) -> String {
    format!("{:.1}ms", value.as_f64().unwrap_or_default())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
