//! `doorway ipconfig …`, as another system calls it: the addresses of this host and where they come from, leases
//! given back and renewed, the cache of the name server.

use core::net::{IpAddr, Ipv4Addr};
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;

use doorway_dhcp::config::ClientConfig;
use doorway_dhcp::io::{ClientAgent, ClientEvent, Kept};
use doorway_dhcp::wire::routes::mask;
use doorway_net::World;
use doorway_net::interface::Interface;
use serde_json::{Value, json};

use super::asking::{RESOLV_CONF, servers};
use super::dhcp::client::{holds, runtime, show_event};
use super::{configured, dns};
use crate::bindings::{self, Bindings, WAIT};
use crate::cli::Options;
use crate::config::Config;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, Screen, YELLOW};

/// Where Linux shows the way out of this host.
const ROUTES: &str = "/proc/net/route";
/// Columns of the names of what is told.
const LABEL_COLUMNS: usize = 20;

/// Does what `what` says: `/all`, `/release`, …
pub(super) fn ipconfig(
    options: &Options,
    what: Option<&str>,
    interface: Option<&str>,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let word = what.unwrap_or_default().trim_start_matches(['/', '-']).to_ascii_lowercase();
    match word.as_str() {
        "" | "all" => {
            let host = Host::read(options, screen)?;
            let Some(host) = host else { return Ok(Exit::Wrong) };
            host.tell(word == "all", screen)
        }
        "release" | "renew" => {
            let Some(host) = Host::read(options, screen)? else { return Ok(Exit::Wrong) };
            host.change(word == "renew", interface, screen)
        }
        "displaydns" | "flushdns" => dns::cache(options, word == "flushdns", screen),
        _ => Err(Failure::new(format!("`{}` is not known", what.unwrap_or_default()))
            .fix("/all, /release, /renew, /displaydns or /flushdns")
            .exit(Exit::Wrong)),
    }
}

/// This host as it is now.
struct Host {
    config: Config,
    data: PathBuf,
    world: World,
    /// What holds the world.
    runtime: doorway_net::os::Runtime,
    interfaces: Vec<Interface>,
    /// The running server.
    server: Option<Client>,
    /// Its clients, as it tells them.
    clients: Vec<Value>,
}

impl Host {
    fn read(options: &Options, screen: &mut Screen) -> Result<Option<Self>, Failure> {
        let Some(config) = configured(options, screen)? else { return Ok(None) };
        let data = first_run::data_folder(&config, options.data.as_deref());
        let runtime = runtime()?;
        let world = runtime.world().clone();
        let told = |error| Failure::new("cannot list the interfaces").why(error);
        let interfaces = world.interfaces().map_err(told)?;
        let server = if data.is_dir() { Client::find(&data)? } else { None };
        let clients = match &server {
            None => Vec::new(),
            Some(server) => {
                let (method, target) = Bindings::List.to_http();
                let stand = server.ask(method, &target, None)?;
                stand["clients"].as_array().cloned().unwrap_or_default()
            }
        };
        Ok(Some(Self { config, data, world, runtime, interfaces, server, clients }))
    }

    /// How the client of an interface stands: as the server tells it, else as it was kept.
    fn client(&self, interface: &str) -> Value {
        if let Some(client) = self.clients.iter().find(|client| client["interface"] == interface) {
            return client.clone();
        }
        let record = Kept::within(&self.data).record(interface);
        let record = record.filter(|record| record.remaining(self.world.wall()).is_some());
        record.map_or(
            Value::Null,
            |record| json!({ "interface": interface, "lease": bindings::lease(&record) }),
        )
    }

    fn tell(&self, all: bool, screen: &mut Screen) -> Result<Exit, Failure> {
        let routes = fs::read_to_string(ROUTES).unwrap_or_default();
        let resolvers = servers(&fs::read_to_string(RESOLV_CONF).unwrap_or_default());
        let resolvers: Vec<String> = resolvers.iter().map(ToString::to_string).collect();
        let interfaces: Vec<Value> = self
            .interfaces
            .iter()
            .map(|interface| {
                let addresses = interface.addresses.iter();
                let addresses: Vec<String> =
                    addresses.map(|own| format!("{}/{}", own.address, own.prefix)).collect();
                json!({
                    "name": interface.name,
                    "up": interface.up,
                    "hardware": interface.mac.map(|mac| mac.to_string()),
                    "packet_octets_max": interface.mtu,
                    "addresses": addresses,
                    "gateway": crate::dhcp::gateway(&routes, &interface.name).map(|gateway| gateway.to_string()),
                    "client": self.client(&interface.name),
                })
            })
            .collect();
        if screen.is_json() {
            screen.document(&json!({
                "host": bindings::host_name(),
                "name_servers": resolvers,
                "interfaces": interfaces,
            }));
            return Ok(Exit::Done);
        }
        if all {
            line("Host Name", &bindings::host_name().unwrap_or_default(), screen);
            line("Name Servers", &resolvers.join(", "), screen);
        }
        for (interface, told) in self.interfaces.iter().zip(&interfaces) {
            if all || (interface.up && interface.name != "lo") {
                show(interface, told, all, screen);
            }
        }
        Ok(Exit::Done)
    }

    /// Renews or gives back: one interface, or all that have a lease.
    fn change(&self, renews: bool, interface: Option<&str>, screen: &mut Screen) -> Result<Exit, Failure> {
        let names = match interface {
            Some(name) => vec![name.to_owned()],
            None => self.leased(),
        };
        if names.is_empty() {
            return Err(Failure::new("no interface has a lease").fix(
                "name the interface, as in `doorway ipconfig /renew eth0`, or list it in `dhcp.client.interfaces`",
            ));
        }
        for name in &names {
            match &self.server {
                Some(server) if holds(server, name)? => ask(server, renews, name, screen)?,
                _ if renews => self.renew(name, screen)?,
                _ => self.release(name, screen)?,
            }
        }
        Ok(Exit::Done)
    }

    fn leased(&self) -> Vec<String> {
        let named = ClientConfig::read(self.config.section("dhcp.client")).interfaces;
        let known = self.interfaces.iter().map(|interface| &interface.name);
        known.filter(|name| named.contains(name) || !self.client(name).is_null()).cloned().collect()
    }

    /// Whether an interface has the address of the lease that is kept for it.
    fn has_leased_address(&self, name: &str) -> bool {
        let leased = Kept::within(&self.data).record(name).map(|record| record.binding.address);
        let interface = self.interfaces.iter().find(|interface| interface.name == name);
        let mut own = interface.into_iter().flat_map(Interface::v4);
        own.any(|(address, _)| Some(address) == leased)
    }

    fn open(&self, name: &str) -> Result<ClientAgent, Failure> {
        let mut config = ClientConfig::read(self.config.section("dhcp.client"));
        // What a lease has brought to the interface is extended, or goes, with the lease.
        config.apply |= self.has_leased_address(name);
        let hardware = bindings::hardware(&self.world, name)?;
        let options = bindings::client_options(&config, Kept::within(&self.data), hardware)?;
        let opened = ClientAgent::open(&self.world, name, options);
        let (agent, handle) = opened.map_err(|error| bindings::refused(name, &error, config.apply))?;
        // It lives as long as somebody may give it orders.
        self.world.spawn_background("dhcp-client", async move {
            let _ = handle.wait_for(|_| false).await;
        });
        Ok(agent)
    }

    /// Gets or confirms an address once, since no server holds it.
    fn renew(&self, name: &str, screen: &mut Screen) -> Result<(), Failure> {
        let agent = self.open(name)?;
        let (events, told) = mpsc::channel();
        self.world.spawn_background("dhcp-client", async move {
            agent.run(|event| drop(events.send(event.clone()))).await;
        });
        let until = self.world.now() + WAIT;
        while let Ok(event) = told.recv_timeout(until - self.world.now()) {
            match &event {
                ClientEvent::Bound(record) => {
                    let lease = json!({ "interface": name, "lease": bindings::lease(record) });
                    changed(true, name, &lease, screen);
                    return Ok(());
                }
                ClientEvent::Entered(_) => {}
                other if !screen.is_json() => show_event(other, self.world.wall(), screen),
                _ => {}
            }
        }
        Err(bindings::nobody_answered(name))
    }

    fn release(&self, name: &str, screen: &mut Screen) -> Result<(), Failure> {
        let agent = self.open(name)?;
        let (events, told) = mpsc::channel();
        let given =
            self.runtime.block_on(async move { agent.give_back(|event| drop(events.send(event.clone()))) });
        for event in told.try_iter().filter(|event| matches!(event, ClientEvent::Failed(_))) {
            if !screen.is_json() {
                show_event(&event, self.world.wall(), screen);
            }
        }
        match given {
            Some(true) => {
                changed(false, name, &json!({ "interface": name, "state": "STOPPED" }), screen);
                Ok(())
            }
            Some(false) => Err(Failure::new(format!("{name} has no lease")).exit(Exit::Wrong)),
            None => Err(Failure::new("the command broke off")),
        }
    }
}

/// Asks the running server, and tells what came of it.
fn ask(server: &Client, renews: bool, name: &str, screen: &mut Screen) -> Result<(), Failure> {
    let interface = name.to_owned();
    let request = if renews { Bindings::Renew { interface } } else { Bindings::Release { interface } };
    let (method, target) = request.to_http();
    let stand = server.ask_for_long(method, &target, None)?;
    changed(renews, name, &stand, screen);
    Ok(())
}

fn changed(renews: bool, name: &str, stand: &Value, screen: &mut Screen) {
    if screen.is_json() {
        screen.document(stand);
    } else if renews {
        screen.line(format!("{GREEN}renewed{PLAIN}   {BOLD}{name}{PLAIN}"));
        show_lease(&stand["lease"], true, screen);
    } else {
        screen.line(format!("{GREEN}released{PLAIN}  {BOLD}{name}{PLAIN}"));
    }
}

fn show(interface: &Interface, told: &Value, all: bool, screen: &mut Screen) {
    let state = if interface.up { String::new() } else { format!("  {YELLOW}down{PLAIN}") };
    screen.line(format!("\n{BOLD}{}{PLAIN}{state}", interface.name));
    let client = &told["client"];
    if all {
        line("Physical Address", told["hardware"].as_str().unwrap_or_default(), screen);
        line("MTU", &interface.mtu.to_string(), screen);
        let state = match client["state"].as_str() {
            Some(state) => format!("yes, {state}"),
            None if client.is_null() => "no".to_owned(),
            None => "yes, not running".to_owned(),
        };
        line("DHCP Enabled", &state, screen);
    }
    for own in &interface.addresses {
        match own.address {
            IpAddr::V4(address) => {
                line("IPv4 Address", &address.to_string(), screen);
                line("Subnet Mask", &Ipv4Addr::from_bits(mask(own.prefix)).to_string(), screen);
            }
            IpAddr::V6(address) => line("IPv6 Address", &format!("{address}/{}", own.prefix), screen),
        }
    }
    line("Default Gateway", told["gateway"].as_str().unwrap_or_default(), screen);
    if !client["lease"].is_null() {
        show_lease(&client["lease"], all, screen);
    }
    if let Some(problem) = client["problem"].as_str() {
        line("Trouble", problem, screen);
    }
}

/// A lease, with all that is of use to people.
fn show_lease(lease: &Value, all: bool, screen: &mut Screen) {
    let text = |name: &str| lease[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| {
        let items = lease[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        items.collect::<Vec<_>>().join(", ")
    };
    line("Leased Address", &format!("{}/{}", text("address"), lease["prefix"]), screen);
    if !all {
        return;
    }
    line("Lease Obtained", &text("obtained"), screen);
    let expires = lease["expires"].as_str().unwrap_or("never").to_owned();
    line("Lease Expires", &expires, screen);
    line("DHCP Server", &text("server"), screen);
    line("Routes", &list("routes"), screen);
    line("DNS Servers", &list("name_servers"), screen);
    for name in ["domain-name", "domain-search"] {
        let said = lease["options"][name].as_str().unwrap_or_default();
        line(if name == "domain-name" { "Domain" } else { "DNS Suffix Search" }, said, screen);
    }
}

/// One line of a name and what it stands for; none for nothing.
fn line(name: &str, value: &str, screen: &mut Screen) {
    if !value.is_empty() {
        let value: String = value.chars().map(|c| if c.is_control() { '.' } else { c }).collect();
        screen.line(format!("  {DIM}{name:<LABEL_COLUMNS$}{PLAIN}{value}"));
    }
}
