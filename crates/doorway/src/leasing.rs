//! What can be asked about leases. The same request is carried out by a command that holds the store and by the
//! running server on behalf of one, with the same answer in JSON. What only the server knows, offers and counters,
//! only it tells.

pub(crate) mod files;

use core::net::Ipv4Addr;
use std::sync::Arc;

use doorway_base::UnixTime;
use doorway_dhcp::lease_file::Format;
use doorway_dhcp::plan::{Match, Network, Reservation};
use doorway_dhcp::wire::HardwareAddress;
use doorway_dhcp::wire::hardware::{hex, read_hex};
use doorway_dhcp::{Lease, LeaseState, lease, reserved};
use doorway_store::{Batch, Key, Page, Range, ScanOptions, Store};
use serde_json::{Value, json};

use crate::control::Query;
use crate::dhcp::DhcpPart;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::escape;
use crate::storage;

/// Where leases stand on the control socket.
const PATH: &str = "/v1/dhcp/";
/// Most leases of one answer.
pub(crate) const LISTED_MAX: usize = 100_000;

/// What a reservation is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// The client that has the address now.
    Holder,
    Mac(String),
    ClientId(String),
    CircuitId(String),
}

/// One request about leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leasing {
    /// Who has which address.
    Leases { subnet: Option<String>, state: Option<String>, find: Option<String>, limit: usize },
    /// Addresses that are kept for somebody.
    Reserved,
    /// Keep an address.
    Reserve { address: Ipv4Addr, known: Known, host: Option<String> },
    /// Keep it no longer.
    Unreserve { address: Ipv4Addr },
    /// End a lease.
    Release { address: Ipv4Addr },
    /// Give declined addresses out again.
    DeclineClear { address: Option<Ipv4Addr> },
    /// Every lease, in the file of another server.
    Export { format: Format },
    /// What is offered.
    Offers,
    /// Pools and counters.
    Stats,
}

impl Leasing {
    /// Method and target that carry the request over the control socket.
    pub(crate) fn to_http(&self) -> (&'static str, String) {
        let word = |name: &str, value: Option<&String>| {
            value.map(|value| format!("&{name}={}", escape(value))).unwrap_or_default()
        };
        match self {
            Self::Leases { subnet, state, find, limit } => {
                let more = [("subnet", subnet), ("state", state), ("find", find)];
                let more: String = more.iter().map(|(name, value)| word(name, value.as_ref())).collect();
                ("GET", format!("{PATH}leases?limit={limit}{more}"))
            }
            Self::Reserved => ("GET", format!("{PATH}reservations")),
            Self::Reserve { address, known, host } => {
                let known = match known {
                    Known::Holder => String::new(),
                    Known::Mac(text) => word("mac", Some(text)),
                    Known::ClientId(text) => word("client_id", Some(text)),
                    Known::CircuitId(text) => word("circuit_id", Some(text)),
                };
                let target =
                    format!("{PATH}reservations?address={address}{known}{}", word("host", host.as_ref()));
                ("POST", target)
            }
            Self::Unreserve { address } => ("DELETE", format!("{PATH}reservations?address={address}")),
            Self::Release { address } => ("DELETE", format!("{PATH}leases?address={address}")),
            Self::DeclineClear { address } => {
                let address = address.map(|address| format!("?address={address}")).unwrap_or_default();
                ("DELETE", format!("{PATH}declined{address}"))
            }
            Self::Export { format } => ("GET", format!("{PATH}export?format={}", format.name())),
            Self::Offers => ("GET", format!("{PATH}offers")),
            Self::Stats => ("GET", format!("{PATH}stats")),
        }
    }

    /// The request that method, path and query stand for; `None` when the path is about something else.
    pub(crate) fn from_http(method: &str, path: &str, query: &Query) -> Option<Result<Self, Failure>> {
        let rest = path.strip_prefix(PATH)?;
        let text = |name: &str| query.value(name).map(str::to_owned);
        let address = || {
            let written = text("address").unwrap_or_default();
            written.parse().map_err(|_| wrong(format!("`{written}` is no IPv4 address")))
        };
        let found = match (method, rest) {
            ("GET", "leases") => Ok(Self::Leases {
                subnet: text("subnet"),
                state: text("state"),
                find: text("find"),
                limit: text("limit")
                    .and_then(|limit| limit.parse().ok())
                    .unwrap_or(LISTED_MAX)
                    .min(LISTED_MAX),
            }),
            ("GET", "reservations") => Ok(Self::Reserved),
            ("POST", "reservations") => address().map(|address| {
                let known = text("mac")
                    .map(Known::Mac)
                    .or_else(|| text("client_id").map(Known::ClientId))
                    .or_else(|| text("circuit_id").map(Known::CircuitId));
                Self::Reserve { address, known: known.unwrap_or(Known::Holder), host: text("host") }
            }),
            ("DELETE", "reservations") => address().map(|address| Self::Unreserve { address }),
            ("DELETE", "leases") => address().map(|address| Self::Release { address }),
            ("DELETE", "declined") => match text("address") {
                Some(_) => address().map(|address| Self::DeclineClear { address: Some(address) }),
                None => Ok(Self::DeclineClear { address: None }),
            },
            ("GET", "export") => {
                let format = text("format").unwrap_or_default().parse();
                format.map(|format| Self::Export { format }).map_err(wrong)
            }
            ("GET", "offers") => Ok(Self::Offers),
            ("GET", "stats") => Ok(Self::Stats),
            _ => return None,
        };
        Some(found)
    }

    /// Carries the request out: on the store, and with the server where one runs.
    ///
    /// # Errors
    /// [`Exit::Wrong`] for what there is not, [`Exit::Failed`] when the store has trouble.
    pub(crate) async fn run(
        &self,
        store: &Arc<dyn Store>,
        part: Option<&Arc<DhcpPart>>,
        now: UnixTime,
    ) -> Result<Value, Failure> {
        let running = || part.ok_or_else(|| not_running("only the running server knows"));
        match self {
            Self::Leases { subnet, state, find, limit } => {
                listed(store, subnet.as_deref(), state.as_deref(), find.as_deref(), *limit, now).await
            }
            Self::Reserved => {
                let known = reservations(&**store).await?;
                Ok(json!({ "reservations": known.iter().map(shown).collect::<Vec<_>>() }))
            }
            Self::Reserve { address, known, host } => {
                let reservation = reserve(store, *address, known, host.as_deref()).await?;
                let served = match part {
                    Some(part) => part.renewed().await?,
                    None => false,
                };
                let mut told = shown(&reservation);
                told["in_force"] = json!(served);
                Ok(told)
            }
            Self::Unreserve { address } => {
                let key = Key::from(reserved::key(*address));
                if store.get(std::slice::from_ref(&key)).await.map_err(failed)?.iter().all(Option::is_none) {
                    return Err(wrong(format!("{address} is not reserved by command")).fix(
                        "`doorway dhcp leases` shows what is; reservations of the config are removed there",
                    ));
                }
                store.commit(Batch::new().delete(key)).await.map_err(failed)?;
                if let Some(part) = part {
                    part.renewed().await?;
                }
                Ok(json!({ "address": address.to_string() }))
            }
            Self::Release { address } => running()?.release(*address).await,
            Self::DeclineClear { address } => running()?.clear_declined(*address).await,
            Self::Export { format } => files::export(&**store, *format).await,
            Self::Offers => running()?.offers(),
            Self::Stats => running()?.stats(),
        }
    }
}

fn wrong(what: String) -> Failure {
    Failure::new(what).exit(Exit::Wrong)
}

fn failed(error: doorway_store::Error) -> Failure {
    storage::failure("cannot read or write leases", error)
}

fn not_running(why: &'static str) -> Failure {
    Failure::new("no server runs here").why(why).fix("start it with `doorway up`")
}

/// Every row below `prefix`, page by page, until `take` has enough.
async fn each_row(
    store: &dyn Store,
    prefix: &[u8],
    mut take: impl FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), Failure> {
    let mut range = Range::prefix(&Key::from(prefix.to_vec()));
    loop {
        let page: Page = store.scan(range.clone(), ScanOptions::default()).await.map_err(failed)?;
        for (key, row) in &page.rows {
            if !take(key.as_octets(), &row.value) {
                return Ok(());
            }
        }
        match page.rest(&range, ScanOptions::default()) {
            Some(rest) => range = rest,
            None => return Ok(()),
        }
    }
}

/// The reservations that were made by command.
pub(crate) async fn reservations(store: &dyn Store) -> Result<Vec<Reservation>, Failure> {
    let mut found = Vec::new();
    each_row(store, reserved::RESERVED_KEY, |key, row| {
        match reserved::from_row(key, row) {
            Ok(reservation) => found.push(reservation),
            Err(malformed) => tracing::error!(%malformed, "a reservation cannot be read"),
        }
        true
    })
    .await?;
    Ok(found)
}

/// Every lease that `wanted` wants, by address.
pub(crate) async fn leases(
    store: &dyn Store,
    limit: usize,
    wanted: impl Fn(&Lease) -> bool,
) -> Result<(Vec<Lease>, bool), Failure> {
    let (mut found, mut more) = (Vec::new(), false);
    each_row(store, lease::LEASE_KEY, |key, row| {
        match Lease::from_row(key, row) {
            Ok(lease) if wanted(&lease) => {
                more = found.len() == limit;
                if !more {
                    found.push(lease);
                }
            }
            Ok(_) => {}
            Err(malformed) => tracing::error!(%malformed, "a lease cannot be read"),
        }
        !more
    })
    .await?;
    Ok((found, more))
}

/// What a lease is at `now`: one whose time is over has expired, whatever its row still says.
fn state(lease: &Lease, now: UnixTime) -> &'static str {
    match lease.state {
        LeaseState::Bound if lease.ends.is_some_and(|ends| ends <= now) => LeaseState::Expired.name(),
        state => state.name(),
    }
}

async fn listed(
    store: &Arc<dyn Store>,
    subnet: Option<&str>,
    wanted: Option<&str>,
    find: Option<&str>,
    limit: usize,
    now: UnixTime,
) -> Result<Value, Failure> {
    let network = subnet.map(|text| text.parse::<Network>().map_err(|error| wrong(error.to_string())));
    let network = network.transpose()?;
    let find = find.map(str::to_lowercase);
    let (found, more) = leases(&**store, limit, |lease| {
        let holds = |text: &str| {
            let has = |value: String| value.to_lowercase().contains(text);
            has(lease.address.to_string())
                || has(lease.hardware.to_string())
                || has(lease.client.to_string())
                || lease.host.iter().chain(&lease.name).any(|name| has(name.to_string()))
        };
        network.is_none_or(|network| network.contains(lease.address))
            && wanted.is_none_or(|wanted| state(lease, now) == wanted)
            && find.as_deref().is_none_or(holds)
    })
    .await?;
    let kept = reservations(&**store).await?;
    let line = |lease: &Lease| {
        let mut line = lease_document(lease, now);
        line["reserved"] = json!(kept.iter().any(|known| known.address == Some(lease.address)));
        line
    };
    Ok(json!({ "leases": found.iter().map(line).collect::<Vec<_>>(), "more": more }))
}

/// A lease for programs.
pub(crate) fn lease_document(lease: &Lease, now: UnixTime) -> Value {
    json!({
        "address": lease.address.to_string(),
        "state": state(lease, now),
        "mac": lease.hardware.to_string(),
        "client": lease.client.to_string(),
        "host": lease.host,
        "name": lease.name,
        "began": lease.began.to_string(),
        "ends": lease.ends.map(|ends| ends.to_string()),
        "seconds_left": lease.ends.map(|ends| (ends - now).as_secs()),
        "seconds": lease.seconds,
        "relay": (!lease.relay.is_unspecified()).then(|| lease.relay.to_string()),
        "agent": lease.agent.as_deref().map(hex),
    })
}

fn shown(reservation: &Reservation) -> Value {
    json!({
        "address": reservation.address.map(|address| address.to_string()),
        "client": reservation.client.describe(),
        "host": reservation.host_name,
    })
}

async fn reserve(
    store: &Arc<dyn Store>,
    address: Ipv4Addr,
    known: &Known,
    host: Option<&str>,
) -> Result<Reservation, Failure> {
    let client = match known {
        Known::Mac(text) => Match::Hardware(text.parse().map_err(|_| {
            wrong(format!("`{text}` is no hardware address")).fix("write one such as 02:00:00:00:00:01")
        })?),
        Known::ClientId(text) => {
            let octets = read_hex(text).filter(|octets| !octets.is_empty());
            Match::ClientId(octets.ok_or_else(|| wrong(format!("`{text}` is not in hexadecimal")))?.into())
        }
        Known::CircuitId(text) => {
            let octets = match text.strip_prefix("0x") {
                Some(digits) => read_hex(digits),
                None => Some(text.clone().into_bytes()),
            };
            Match::CircuitId(octets.ok_or_else(|| wrong(format!("`{text}` is not in hexadecimal")))?.into())
        }
        Known::Holder => {
            let key = Key::from(lease::row_key(&address.octets()));
            let row = store.get(std::slice::from_ref(&key)).await.map_err(failed)?.pop().flatten();
            let lease = row.and_then(|row| Lease::from_row(key.as_octets(), &row.value).ok());
            let lease = lease.filter(|lease| lease.state != LeaseState::Declined).ok_or_else(|| {
                wrong(format!("nobody has {address}"))
                    .fix("say whom it is for: --mac, --client-id or --circuit-id")
            })?;
            let plain = |hardware: &HardwareAddress| doorway_dhcp::ClientKey::of_hardware(hardware);
            if lease.client == plain(&lease.hardware) {
                Match::Hardware(lease.hardware)
            } else {
                Match::ClientId(lease.client.octets().into())
            }
        }
    };
    let reservation = Reservation { host_name: host.map(Into::into), ..Reservation::new(client, address) };
    let others = reservations(&**store).await?;
    if let Some(other) =
        others.iter().find(|other| other.client == reservation.client && other.address != Some(address))
    {
        let kept = other.address.map(|address| address.to_string()).unwrap_or_default();
        return Err(wrong(format!("{kept} is reserved for this client already"))
            .fix(format!("`doorway dhcp unreserve {kept}` first")));
    }
    let batch = Batch::new().put(Key::from(reserved::key(address)), reserved::row(&reservation));
    store.commit(batch).await.map_err(failed)?;
    Ok(reservation)
}
