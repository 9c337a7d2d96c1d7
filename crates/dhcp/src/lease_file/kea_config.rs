//! Kea's own configuration, in JSON with comments: the reservations of its subnets, its shared networks and all of it.
//!
//! Not here: reservations in Kea's databases, and what else the configuration says.

use serde_json::Value;

use super::Found;
use crate::plan::{Match, Reservation};
use crate::wire::hardware::read_hex;

/// What a reservation may say that is not taken over.
const LEFT: [&str; 4] = ["option-data", "next-server", "boot-file-name", "client-classes"];

/// Whether a file is a configuration, which may begin with a comment, and no table of leases.
pub(super) fn is_config(text: &str) -> bool {
    text.trim_start().starts_with(['{', '/', '#'])
}

pub(super) fn read(text: &str, found: &mut Found) {
    let config: Value = match serde_json::from_str(&without_comments(text)) {
        Ok(config) => config,
        Err(error) => {
            return found.fault(error.line().max(1), format!("the configuration is no JSON: {error}"));
        }
    };
    let dhcp = &config["Dhcp4"];
    if !dhcp.is_object() {
        return found.fault(1, "there is no `Dhcp4`: reservations are in the configuration of kea-dhcp4");
    }
    let networks = || list(dhcp, "shared-networks");
    let subnets = list(dhcp, "subnet4").chain(networks().flat_map(|network| list(network, "subnet4")));
    for place in [dhcp].into_iter().chain(networks()).chain(subnets) {
        for host in list(place, "reservations") {
            take(text, host, found);
        }
    }
    for key in ["hosts-database", "hosts-databases"] {
        if !dhcp[key].is_null() {
            let line = line_of(text, key);
            found.fault(
                line,
                "reservations that Kea keeps in a database are not read, only those of this file",
            );
        }
    }
}

fn take(text: &str, host: &Value, found: &mut Found) {
    // JSON that was read does not know its lines any more.
    let known = ["ip-address", "hw-address", "client-id", "circuit-id", "duid", "flex-id", "hostname"];
    let word = known.iter().find_map(|key| host[*key].as_str());
    let line = word.map_or(1, |word| line_of(text, word));
    match reservation(host) {
        Ok(reservation) => found.reservation(line, reservation),
        Err(what) => return found.fault(line, what),
    }
    if let Some(key) = LEFT.into_iter().find(|key| !is_empty(&host[*key])) {
        found.fault(line, format!("the reservation is taken over without its `{key}`"));
    }
}

fn reservation(host: &Value) -> Result<Reservation, &'static str> {
    let text = |key: &str| host[key].as_str().map(str::trim);
    let client = if let Some(hardware) = text("hw-address") {
        Match::Hardware(hardware.parse().map_err(|_| "the hardware address is none")?)
    } else if let Some(id) = text("client-id") {
        Match::ClientId(octets(id).ok_or("the client identifier is none")?)
    } else if let Some(id) = text("circuit-id") {
        Match::CircuitId(octets(id).ok_or("the circuit identifier is none")?)
    } else if text("duid").is_some() {
        return Err("a reservation by `duid`: write its `client-id`, which is ff, four octets, and the DUID");
    } else {
        return Err("a reservation by none of `hw-address`, `client-id` and `circuit-id`");
    };
    let address = text("ip-address").filter(|address| !address.is_empty());
    let address = address.ok_or("a reservation without an IPv4 address")?;
    let address = address.parse().map_err(|_| "the address is none")?;
    let host_name = text("hostname").map(|name| name.trim_end_matches('.')).filter(|name| !name.is_empty());
    Ok(Reservation { host_name: host_name.map(Into::into), ..Reservation::new(client, address) })
}

/// `01:02`, `0x0102` or `'text'`.
fn octets(text: &str) -> Option<Box<[u8]>> {
    let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    let octets = match quoted {
        Some(text) => text.as_bytes().to_vec(),
        None => read_hex(text.strip_prefix("0x").unwrap_or(text))?,
    };
    (!octets.is_empty()).then(|| octets.into())
}

fn list<'v>(of: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    of[key].as_array().into_iter().flatten()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty() || text == "0.0.0.0",
        _ => false,
    }
}

/// The first line with this word in quotes.
fn line_of(text: &str, word: &str) -> usize {
    let quoted = format!("\"{word}\"");
    text.lines().position(|line| line.contains(&quoted)).map_or(1, |place| place + 1)
}

/// The text without what Kea allows beside JSON: `#` and `//` to the end of a line, and `/* … */`. Lines stay
/// where they are.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (text.chars().peekable(), false);
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', _) if in_string => {
                plain.push(c);
                plain.extend(rest.next());
            }
            ('"', _) => {
                in_string = !in_string;
                plain.push(c);
            }
            ('#', _) | ('/', Some('/')) if !in_string => {
                while rest.next_if(|next| *next != '\n').is_some() {}
            }
            ('/', Some('*')) if !in_string => {
                let mut before = ' ';
                rest.next();
                for next in rest.by_ref() {
                    if next == '\n' {
                        plain.push(next);
                    }
                    if (before, next) == ('*', '/') {
                        break;
                    }
                    before = next;
                }
            }
            _ => plain.push(c),
        }
    }
    plain
}
