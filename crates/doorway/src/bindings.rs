//! The addresses that this host holds as a DHCP client: how they are told, and what can be asked of the running
//! server about them.

use std::time::Duration;

use doorway_dhcp::client::{Offer, Record};
use doorway_dhcp::config::ClientConfig;
use doorway_dhcp::config::client::Identifier;
use doorway_dhcp::io::{Apply, ClientHandle, ClientOptions, ClientStatus, Kept};
use doorway_dhcp::wire::hardware::hex;
use doorway_dhcp::wire::option::name;
use doorway_dhcp::wire::{HardwareAddress, Message, OptionKind, code};
use doorway_dhcp::{client, client::Phase};
use doorway_net::World;
use doorway_net::link::Mac;
use serde_json::{Map, Value, json};

use crate::command::asking::RESOLV_CONF;
use crate::control::Query;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::escape;

/// Where they stand on the control socket.
const PATH: &str = "/v1/dhcp-client/";
/// How long a command waits for what it has asked for.
pub(crate) const WAIT: Duration = Duration::from_secs(30);
/// What the system is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// One request to the running server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bindings {
    /// How each client stands.
    List,
    /// Ask for a longer lease, or for one.
    Renew { interface: String },
    /// Give the address back.
    Release { interface: String },
}

impl Bindings {
    /// Method and target that carry the request over the control socket.
    pub(crate) fn to_http(&self) -> (&'static str, String) {
        match self {
            Self::List => ("GET", PATH.to_owned()),
            Self::Renew { interface } => ("POST", format!("{PATH}renew?interface={}", escape(interface))),
            Self::Release { interface } => ("POST", format!("{PATH}release?interface={}", escape(interface))),
        }
    }

    /// The request that method, path and query stand for; `None` when the path is about something else.
    pub(crate) fn from_http(method: &str, path: &str, query: &Query) -> Option<Self> {
        let interface = || query.value("interface").unwrap_or_default().to_owned();
        match (method, path.strip_prefix(PATH)?) {
            ("GET", "") => Some(Self::List),
            ("POST", "renew") => Some(Self::Renew { interface: interface() }),
            ("POST", "release") => Some(Self::Release { interface: interface() }),
            _ => None,
        }
    }

    /// Carries the request out with the clients that run.
    pub(crate) async fn run(&self, world: &World, clients: &[ClientHandle]) -> Result<Value, Failure> {
        let (interface, renews) = match self {
            Self::List => {
                let stand: Vec<Value> = clients.iter().map(|client| stand(&client.status())).collect();
                return Ok(json!({ "clients": stand }));
            }
            Self::Renew { interface } => (interface, true),
            Self::Release { interface } => (interface, false),
        };
        let found = clients.iter().find(|client| client.status().interface == *interface);
        let client = found.ok_or_else(|| {
            Failure::new(format!("the server has no client for {interface}"))
                .fix("name it in `dhcp.client.interfaces`")
                .exit(Exit::Wrong)
        })?;
        let before = client.status().bound;
        if renews {
            client.renew();
        } else {
            client.release();
        }
        let done = |status: &ClientStatus| {
            if renews { status.bound > before } else { status.phase == Phase::Stopped }
        };
        match world.timeout(WAIT, client.wait_for(done)).await {
            Some(Some(status)) => Ok(stand(&status)),
            Some(None) => Err(Failure::new(format!("the client of {interface} has ended"))),
            None => Err(nobody_answered(interface)),
        }
    }
}

/// No server has confirmed an address in time.
pub(crate) fn nobody_answered(interface: &str) -> Failure {
    Failure::new(format!("no DHCP server has given an address for {interface}"))
        .why(format!("nobody answered within {} seconds", WAIT.as_secs()))
        .fix(format!("`doorway dhcp discover {interface}` shows who offers one"))
}

/// How a client stands.
pub(crate) fn stand(status: &ClientStatus) -> Value {
    json!({
        "interface": status.interface,
        "state": status.phase.name(),
        "lease": status.lease.as_ref().map(lease),
        "problem": status.problem,
        "unexpected": status.counts.strays + status.counts.malformed + status.counts.unusable,
    })
}

/// A lease with all that came with it.
pub(crate) fn lease(record: &Record) -> Value {
    let binding = &record.binding;
    let after = |span: Duration| (record.obtained + span).to_string();
    let ends = binding.lease.is_some();
    json!({
        "address": binding.address.to_string(),
        "prefix": binding.prefix(),
        "server": binding.server.to_string(),
        "obtained": record.obtained.to_string(),
        "renews": ends.then(|| after(binding.renewal)),
        "rebinds": ends.then(|| after(binding.rebinding)),
        "expires": record.ends().map(|ends| ends.to_string()),
        "routes": binding.routes().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "name_servers": binding.name_servers().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "options": options(&binding.octets),
    })
}

/// An offer with all that came with it.
pub(crate) fn offer(offer: &Offer, neighbour: Option<[u8; 6]>) -> Value {
    let message = Message::parse(&offer.octets).ok();
    let text = |octets: &[u8]| (!octets.is_empty()).then(|| String::from_utf8_lossy(octets).into_owned());
    let address = |address: core::net::Ipv4Addr| (!address.is_unspecified()).then(|| address.to_string());
    json!({
        "server": offer.server.to_string(),
        "hardware": neighbour.map(|mac| Mac(mac).to_string()),
        "address": offer.address.to_string(),
        "prefix": message.as_ref().map(client::binding::prefix),
        "lease_seconds": offer.lease.map(|lease| lease.as_secs()),
        "relay": message.as_ref().and_then(|message| address(message.giaddr())),
        "next_server": message.as_ref().and_then(|message| address(message.siaddr())),
        "boot_file": message.as_ref().and_then(|message| text(message.file())),
        "options": options(&offer.octets),
    })
}

/// The options of a message by their names, but for those that only serve the exchange.
fn options(octets: &[u8]) -> Value {
    let Ok(message) = Message::parse(octets) else { return json!({}) };
    let mut told = Map::new();
    for (number, value) in message.options() {
        if matches!(number, code::MESSAGE_TYPE | code::SERVER_ID | code::OVERLOAD | code::CLIENT_ID) {
            continue;
        }
        let text = OptionKind::of(number).map_or_else(|| hex(&value), |kind| kind.shape.print(&value));
        told.insert(name(number), text.into());
    }
    told.into()
}

/// What a client of this host is set up with.
pub(crate) fn client_options(
    config: &ClientConfig,
    kept: Kept,
    hardware: HardwareAddress,
) -> Result<ClientOptions, Failure> {
    let client_id = match config.client_id {
        Identifier::Hardware => client::identity::hardware_client_id(&hardware),
        Identifier::Duid => {
            let told = |error| Failure::new("the identifier of this host cannot be kept").why(error);
            let duid = kept.duid().map_err(|error: std::io::Error| told(error.to_string()))?;
            duid.client_id(&hardware)
        }
    };
    let host_name = config.host_name.clone().or_else(host_name).filter(|name| !name.is_empty());
    let settings = client::Settings {
        client_id,
        host_name,
        vendor_class: config.vendor_class.clone(),
        lease: config.lease,
        choice: config.choice,
        offer_window: config.offer_window,
        check: config.check,
        announce: config.apply,
        broadcast: config.broadcast,
        ..client::Settings::new(hardware)
    };
    let resolv_conf = config.resolv_conf.then(|| RESOLV_CONF.into());
    let apply = config.apply.then_some(Apply { metric: config.metric, resolv_conf });
    Ok(ClientOptions { settings, apply, kept: Some(kept), release: config.release })
}

/// The system's name, unless nobody has given it one.
pub(crate) fn host_name() -> Option<String> {
    let name = std::fs::read_to_string(HOST_NAME).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty() && name != "(none)" && name != "localhost")
}

/// The hardware address of an interface.
pub(crate) fn hardware(world: &World, interface: &str) -> Result<HardwareAddress, Failure> {
    let known = world.interfaces().map_err(|error| Failure::new("cannot list the interfaces").why(error))?;
    let Some(found) = known.iter().find(|known| known.name == interface) else {
        let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
        return Err(Failure::new(format!("there is no interface {interface}"))
            .fix(format!("one of {}", names.join(", ")))
            .exit(Exit::Wrong));
    };
    let mac = found.mac.ok_or_else(|| {
        Failure::new(format!("{interface} has no hardware address"))
            .why("DHCP here is for Ethernet and what looks like it")
            .exit(Exit::Wrong)
    })?;
    Ok(HardwareAddress::ethernet(mac.0))
}

/// Why a client could not be opened, and what to do about it.
pub(crate) fn refused(interface: &str, error: &std::io::Error, applies: bool) -> Failure {
    let failure = Failure::new(format!("cannot listen on the link of {interface}")).why(error);
    match error.kind() {
        std::io::ErrorKind::PermissionDenied if applies => {
            failure.fix("run it as root, or with CAP_NET_RAW, CAP_NET_BIND_SERVICE and CAP_NET_ADMIN")
        }
        std::io::ErrorKind::PermissionDenied => failure.fix("run it as root, or with CAP_NET_RAW"),
        std::io::ErrorKind::NetworkDown => {
            failure.fix(format!("`ip link set {interface} up` switches it on"))
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_carried_over_the_socket_as_they_are() {
        let interface = || "br 1/x".to_owned();
        for request in [
            Bindings::List,
            Bindings::Renew { interface: interface() },
            Bindings::Release { interface: interface() },
        ] {
            let (method, target) = request.to_http();
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            assert_eq!(Bindings::from_http(method, path, &Query::parse(query)), Some(request));
        }
        assert_eq!(Bindings::from_http("GET", "/v1/dhcp/leases", &Query::default()), None);
        assert_eq!(Bindings::from_http("GET", "/v1/dhcp-client/renew", &Query::default()), None);
    }
}
