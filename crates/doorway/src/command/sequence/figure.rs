//! One exchange as a figure: a column for each host, an arrow for each message.
//!
//! A message that several servers saw is one arrow, which goes through the columns to the furthest host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use doorway_base::UnixTime;
use serde_json::{Value, json};

use crate::command::live;

/// Columns of the terminal before the first host, for the time.
const MARGIN: usize = 12;
/// Least width from one host to the next.
const GAP_MIN: usize = 20;
/// How far apart two servers note one message at the most.
const SAME_WITHIN_NANOS: u64 = 1_000_000_000;
/// Who is meant when nobody in particular is, and the figure has no other host.
const EVERYBODY: &str = "everybody";
/// The port of DHCP clients, which may have no address yet.
const CLIENT_PORT: u16 = 68;

/// An exchange, ready to be drawn.
#[derive(Debug, Default)]
pub(super) struct Figure {
    title: String,
    began_nanos: u64,
    /// The host that began, then the others by name.
    hosts: Vec<String>,
    arrows: Vec<Arrow>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arrow {
    at_nanos: u64,
    from: String,
    /// Empty when it went to everybody and nobody is known to have got it.
    to: BTreeSet<String>,
    to_everybody: bool,
    /// What stands on the arrow, and beside it.
    label: String,
    text: String,
    /// Who says what about it.
    notes: Vec<(String, String)>,
    /// The servers that saw it.
    seen_by: BTreeSet<usize>,
}

/// The other end of a message, as one server saw it.
enum Peer {
    Host(String),
    Everybody,
}

impl Figure {
    /// The figure of messages, each with the number of the server that saw it.
    pub(super) fn new(messages: &[(usize, Value)]) -> Self {
        let mut in_order: Vec<_> = messages.iter().collect();
        in_order.sort_by_key(|(_, message)| nanos(message));
        let names = names(&in_order);
        let mut figure = Self::default();
        for (server, message) in in_order {
            if figure.arrows.is_empty() {
                figure.title = title(message);
                figure.began_nanos = nanos(message);
            }
            figure.add(Arrow::new(*server, &names[server], message));
        }
        let first = figure.arrows.first().map(|arrow| arrow.from.clone());
        let ends = figure.arrows.iter().flat_map(|arrow| arrow.to.iter().chain([&arrow.from]));
        let others: BTreeSet<&String> = ends.filter(|name| first.as_ref() != Some(*name)).collect();
        let others: Vec<String> = others.into_iter().cloned().collect();
        let alone = others.is_empty().then(|| EVERYBODY.to_owned());
        figure.hosts = first.into_iter().chain(others).chain(alone).collect();
        figure
    }

    /// Adds a message, or what another server says about one that is there.
    fn add(&mut self, arrow: Arrow) {
        let known = self.arrows.iter_mut().find(|known| {
            (&known.from, &known.label, &known.text) == (&arrow.from, &arrow.label, &arrow.text)
                && known.seen_by.is_disjoint(&arrow.seen_by)
                && arrow.at_nanos - known.at_nanos < SAME_WITHIN_NANOS
        });
        let Some(known) = known else { return self.arrows.push(arrow) };
        known.to.extend(arrow.to);
        known.to_everybody |= arrow.to_everybody;
        known.notes.extend(arrow.notes);
        known.seen_by.extend(arrow.seen_by);
    }

    /// For people: a title, the hosts, and a line for each message.
    pub(super) fn text(&self) -> String {
        let widest = self.hosts.iter().map(|host| host.chars().count()).max().unwrap_or_default();
        let gap = GAP_MIN.max(widest + 3);
        let mut text = format!("{}\n{:MARGIN$}", self.title, "");
        for host in &self.hosts {
            text.push_str(&format!("{host:gap$}"));
        }
        text.truncate(text.trim_end().len());
        for arrow in &self.arrows {
            let after = (arrow.at_nanos - self.began_nanos) as f64 / 1e6;
            let drawn = arrow.draw(&self.hosts, gap);
            text.push_str(format!("\n{after:>8.1} ms {drawn}  {}", arrow.beside()).trim_end());
        }
        text.push('\n');
        text
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        let message = |arrow: &Arrow| {
            let note = |(host, what): &(String, String)| json!({ "host": host, "what": what });
            json!({
                "at_nanos": arrow.at_nanos - self.began_nanos,
                "from": arrow.from,
                "to": arrow.to,
                "everybody": arrow.to_everybody,
                "what": format!("{} {}", arrow.label, arrow.text).trim(),
                "notes": arrow.notes.iter().map(note).collect::<Vec<_>>(),
            })
        };
        json!({
            "title": self.title,
            "hosts": self.hosts,
            "messages": self.arrows.iter().map(message).collect::<Vec<_>>(),
        })
    }
}

impl Arrow {
    fn new(server: usize, own: &str, message: &Value) -> Self {
        let summary = live::text(&message["summary"]);
        let (label, text) = match exchange(message) {
            // The number and the client stand in the title.
            Some((number, client)) => {
                let told = summary.replacen(&format!(" xid {number} {client}"), "", 1);
                let (label, text) = told.split_once(' ').unwrap_or((&told, ""));
                (label.to_owned(), text.to_owned())
            }
            None => {
                let step = message["step"].as_str().filter(|step| *step != "message").unwrap_or_default();
                (step.to_owned(), summary)
            }
        };
        let own = own_name(message).unwrap_or_else(|| own.to_owned());
        let (from, to, to_everybody) = match (message["direction"] == "out", peer(message)) {
            (true, Peer::Host(peer)) => (own.clone(), Some(peer), false),
            (true, Peer::Everybody) => (own.clone(), None, true),
            (false, Peer::Host(peer)) => (peer, Some(own.clone()), false),
            (false, Peer::Everybody) => (EVERYBODY.to_owned(), Some(own.clone()), false),
        };
        let note = message["note"]["text"].as_str().map(|_| (own, live::text(&message["note"]["text"])));
        Self {
            at_nanos: nanos(message),
            from,
            to: to.into_iter().collect(),
            to_everybody,
            label,
            text,
            notes: note.into_iter().collect(),
            seen_by: BTreeSet::from([server]),
        }
    }

    /// The columns of the hosts with the arrow across them.
    fn draw(&self, hosts: &[String], gap: usize) -> String {
        let at = |name: &String| hosts.iter().position(|host| host == name).map(|place| place * gap);
        let mut cells = vec![' '; (hosts.len() - 1) * gap + 1];
        cells.iter_mut().step_by(gap).for_each(|cell| *cell = '|');
        let from = at(&self.from).unwrap_or_default();
        let mut ends: Vec<usize> = self.to.iter().filter_map(at).filter(|end| *end != from).collect();
        if self.to_everybody {
            ends.extend((0..cells.len()).step_by(gap).filter(|end| *end != from));
        }
        for end in &ends {
            let between = from.min(*end) + 1..from.max(*end);
            cells[between].fill('-');
        }
        for end in ends {
            cells[end] = '|';
            if end > from {
                cells[end - 1] = '>';
            } else {
                cells[end + 1] = '<';
            }
        }
        // The label stands next to the host that speaks.
        let room = gap - 6;
        let label: Vec<char> = self.label.chars().take(room).collect();
        if !label.is_empty() {
            let goes_right = cells.get(from + 1).is_some_and(|cell| *cell == '-');
            let start = if goes_right { from + 4 } else { from.saturating_sub(3 + label.len()) };
            let padded = [&[' '][..], &label, &[' ']].concat();
            let into = cells.iter_mut().skip(start.saturating_sub(1));
            into.zip(padded).for_each(|(cell, letter)| *cell = letter);
        }
        cells.into_iter().collect()
    }

    /// What stands beside the arrow.
    fn beside(&self) -> String {
        let notes = self.notes.iter().map(|(host, what)| format!("({host}: {what})"));
        let said = Some(self.text.clone()).filter(|text| !text.is_empty());
        said.into_iter().chain(notes).collect::<Vec<_>>().join("  ")
    }
}

fn nanos(message: &Value) -> u64 {
    message["unix_nanos"].as_u64().unwrap_or_default()
}

fn title(message: &Value) -> String {
    let when = UnixTime::from_nanos(nanos(message));
    let protocol = live::text(&message["protocol"]);
    match exchange(message) {
        Some((number, client)) => format!("{when}  {protocol} {number} of {client}"),
        None => format!("{when}  {protocol}"),
    }
}

/// The number of an exchange of DHCP and its client.
fn exchange(message: &Value) -> Option<(&str, &str)> {
    message["exchange"].as_str().zip(message["client"].as_str())
}

/// What each server is called: the first address of its own that a message names, or its number.
fn names(messages: &[&(usize, Value)]) -> BTreeMap<usize, String> {
    let mut names = BTreeMap::new();
    for (server, message) in messages {
        let local = address(&message["local"]).map(|local| local.ip()).filter(|ip| is_of_a_host(*ip));
        if let Some(local) = local {
            names.entry(*server).or_insert_with(|| local.to_string());
        }
    }
    for (server, _) in messages {
        names.entry(*server).or_insert_with(|| format!("server {}", server + 1));
    }
    names
}

/// What we are called when we are a client of DHCP: by our hardware, as before we had an address.
fn own_name(message: &Value) -> Option<String> {
    let is_client = message["serving"] == false;
    exchange(message).filter(|_| is_client).map(|(_, client)| client.to_owned())
}

fn peer(message: &Value) -> Peer {
    let Some(remote) = address(&message["remote"]) else { return Peer::Everybody };
    match exchange(message) {
        Some((_, client)) if remote.port() == CLIENT_PORT => Peer::Host(client.to_owned()),
        _ if is_of_a_host(remote.ip()) => Peer::Host(remote.ip().to_string()),
        _ => Peer::Everybody,
    }
}

fn address(value: &Value) -> Option<SocketAddr> {
    value.as_str()?.parse().ok()
}

/// Whether an address is one host's.
fn is_of_a_host(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || is_broadcast)
}

#[cfg(test)]
mod tests;
