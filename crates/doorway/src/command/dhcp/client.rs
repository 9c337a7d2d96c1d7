//! `doorway dhcp discover` and `doorway dhcp client`: what a client sees, and a client in the foreground.

use std::sync::mpsc;
use std::time::Duration;

use doorway_base::Trace;
use doorway_base::config::units::duration_text;
use doorway_dhcp::client::Settings;
use doorway_dhcp::config::ClientConfig;
use doorway_dhcp::io::{ClientAgent, ClientEvent, ClientHandle, Kept, discover as search};
use doorway_dhcp::wire::HardwareAddress;
use doorway_net::os::Runtime;
use doorway_net::signals::{Asked, Signals};
use serde_json::{Value, json};

use super::Asking;
use crate::bindings;
use crate::cli::{ClientArgs, DiscoverArgs};
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, RED, Screen, YELLOW};

/// How long `--once` waits for an address at the most.
const ONCE_WAIT: Duration = Duration::from_secs(60);

/// Starts what a command that listens needs.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Runtime::start("command", 1, Trace::off()).map_err(|error| Failure::new(error.to_string()))
}

/// `doorway dhcp discover`: who offers addresses on a link.
pub(super) fn discover(arguments: &DiscoverArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let DiscoverArgs { interface, wait, mac } = arguments;
    let runtime = runtime()?;
    let world = runtime.world().clone();
    let own = bindings::hardware(&world, interface)?;
    let hardware = match mac {
        None => own,
        Some(text) => {
            text.parse::<HardwareAddress>().ok().filter(|mac| mac.mac().is_some()).ok_or_else(|| {
                Failure::new(format!("`{text}` is no Ethernet address"))
                    .fix("as in 02:00:00:00:00:01")
                    .exit(Exit::Wrong)
            })?
        }
    };
    // What is for another card comes by broadcast alone.
    let settings = Settings { broadcast: hardware != own, ..Settings::new(hardware) };
    if !screen.is_json() {
        let span = duration_text(*wait);
        screen.line(format!("{DIM}asking on {interface} as {hardware}, for {span}{PLAIN}"));
    }
    let (name, wait) = (interface.clone(), *wait);
    let asked = runtime.block_on(async move { search(&world, &name, settings, wait).await });
    let found = asked
        .ok_or_else(|| Failure::new("the search broke off"))?
        .map_err(|error| bindings::refused(interface, &error, false))?;
    let offers: Vec<Value> =
        found.iter().map(|found| bindings::offer(&found.offer, found.neighbour)).collect();
    if screen.is_json() {
        screen.document(&json!({ "interface": interface, "offers": offers }));
    } else {
        offers.iter().for_each(|offer| show_offer(offer, screen));
        match offers.len() {
            0 => screen.line(format!("{YELLOW}nobody offers an address{PLAIN}")),
            1 => screen.line(format!("\n{GREEN}1 server{PLAIN}")),
            count => screen.line(format!("\n{YELLOW}{count} servers{PLAIN}")),
        }
    }
    Ok(if offers.is_empty() { Exit::Failed } else { Exit::Done })
}

fn show_offer(offer: &Value, screen: &mut Screen) {
    let text = |name: &str| offer[name].as_str().unwrap_or_default().to_owned();
    let lease = match offer["lease_seconds"].as_u64() {
        Some(seconds) => duration_text(Duration::from_secs(seconds)),
        None => "for ever".to_owned(),
    };
    screen.line(format!(
        "\n{BOLD}{}{PLAIN}  {DIM}{}{PLAIN}  offers {BOLD}{}/{}{PLAIN} for {lease}",
        text("server"),
        text("hardware"),
        text("address"),
        offer["prefix"],
    ));
    for (name, word) in [("relay", "by relay"), ("next_server", "next server"), ("boot_file", "boot file")] {
        if !text(name).is_empty() {
            screen.line(format!("  {DIM}{word:<24}{PLAIN}{}", printable(&text(name))));
        }
    }
    for (name, value) in offer["options"].as_object().into_iter().flatten() {
        screen.line(format!("  {DIM}{name:<24}{PLAIN}{}", printable(value.as_str().unwrap_or_default())));
    }
}

/// What a server says must not order the terminal about.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '.' } else { c }).collect()
}

/// `doorway dhcp client`: an address for an interface, held for as long as the command runs.
pub(super) fn client(asking: &Asking, arguments: &ClientArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let ClientArgs { interface, apply, once, release, address, host, .. } = arguments;
    if let Some(server) = Client::find(&asking.data)?
        && holds(&server, interface)?
    {
        return Err(Failure::new(format!("the running server holds the address of {interface}"))
            .fix("`doorway ipconfig /renew` asks it to renew")
            .exit(Exit::Wrong));
    }
    let mut config = ClientConfig::read(asking.config.section("dhcp.client"));
    config.apply |= apply;
    config.release |= release;
    config.host_name = host.clone().or(config.host_name);
    if arguments.hardware_id {
        config.client_id = doorway_dhcp::config::client::Identifier::Hardware;
    }
    let runtime = runtime()?;
    let world = runtime.world().clone();
    let hardware = bindings::hardware(&world, interface)?;
    let mut options = bindings::client_options(&config, Kept::within(&asking.data), hardware)?;
    options.settings.address = *address;
    let opened = ClientAgent::open(&world, interface, options);
    let (agent, handle) = opened.map_err(|error| bindings::refused(interface, &error, config.apply))?;
    let (events, told) = mpsc::channel();
    world.spawn_background("dhcp-client", async move {
        // The command may have ended; then nobody reads any more.
        agent.run(|event| drop(events.send(event.clone()))).await;
    });
    end_on_signal(&runtime, handle.clone());
    let began = world.now();
    let mut bound = false;
    loop {
        let event = if *once {
            told.recv_timeout(ONCE_WAIT.saturating_sub(world.now() - began)).ok()
        } else {
            told.recv().ok()
        };
        let Some(event) = event else { break };
        bound |= matches!(event, ClientEvent::Bound(_));
        show_event(&event, world.wall(), screen);
        if *once && bound {
            break;
        }
    }
    if *once && !bound {
        return Err(Failure::new(format!("no DHCP server has given an address for {interface}"))
            .why(format!("nobody answered within {} seconds", ONCE_WAIT.as_secs()))
            .fix(format!("`doorway dhcp discover {interface}` shows who offers one")));
    }
    Ok(Exit::Done)
}

/// Whether the running server has a client for an interface.
pub(crate) fn holds(server: &Client, interface: &str) -> Result<bool, Failure> {
    let (method, target) = bindings::Bindings::List.to_http();
    let stand = server.ask(method, &target, None)?;
    let clients = stand["clients"].as_array();
    Ok(clients.is_some_and(|clients| clients.iter().any(|client| client["interface"] == interface)))
}

fn end_on_signal(runtime: &Runtime, handle: ClientHandle) {
    runtime.world().spawn_background("dhcp-client", async move {
        let Ok(mut signals) = Signals::listen() else { return };
        while signals.next().await == Asked::Reload {
            handle.renew();
        }
        handle.end();
    });
}

/// One line for each thing that happens, or one document.
pub(crate) fn show_event(event: &ClientEvent, at: doorway_base::UnixTime, screen: &mut Screen) {
    if screen.is_json() {
        let (word, what) = match event {
            ClientEvent::Entered(phase) => ("entered", json!(phase.name())),
            ClientEvent::Bound(record) => ("bound", bindings::lease(record)),
            ClientEvent::Lost(address, _) => ("lost", json!(address.to_string())),
            ClientEvent::InUse(address, _) => ("in-use", json!(address.to_string())),
            ClientEvent::Refused(why) => ("refused", json!(why)),
            ClientEvent::Informed(_) => ("informed", Value::Null),
            ClientEvent::Failed(what) => ("failed", json!(what)),
        };
        screen.document(
            &json!({ "at": at.to_string(), "event": word, "what": what, "text": event.to_string() }),
        );
        return;
    }
    let colour = match event {
        ClientEvent::Bound(_) => GREEN,
        ClientEvent::Entered(_) | ClientEvent::Informed(_) => PLAIN,
        ClientEvent::Failed(_) => RED,
        _ => YELLOW,
    };
    screen.line(format!("{DIM}{at}{PLAIN}  {colour}{event}{PLAIN}"));
}
