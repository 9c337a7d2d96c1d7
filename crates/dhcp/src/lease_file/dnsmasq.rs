//! dnsmasq: a line for each lease, `ends mac address name client-id`; `dhcp-host=` lines of its config.

use core::net::Ipv4Addr;
use std::fmt::Write;

use doorway_base::UnixTime;

use super::{Found, lease, own_id};
use crate::lease::{Lease, LeaseState};
use crate::plan::{Match, Reservation};
use crate::wire::HardwareAddress;
use crate::wire::hardware::{hex, read_hex};

pub(super) fn read(text: &str, now: UnixTime, found: &mut Found) {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        // Leases of IPv6 follow the server's DUID.
        if line.starts_with("duid ") {
            break;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        if let Some(host) = line.strip_prefix("dhcp-host=") {
            match reservation(host) {
                Ok(reservation) => found.reservation(number, reservation),
                Err(what) => found.fault(number, what),
            }
            continue;
        }
        match line_of(line, now) {
            Ok(lease) => found.lease(number, lease),
            Err(what) => found.fault(number, what),
        }
    }
}

fn line_of(line: &str, now: UnixTime) -> Result<Lease, &'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [ends, hardware, address, host, client_id] = words[..] else {
        return Err("a lease has five words: end, hardware address, address, name, client identifier");
    };
    let ends: u64 = ends.parse().map_err(|_| "the end is no number of seconds")?;
    let ends = (ends != 0).then(|| UnixTime::from_secs(ends));
    // Hardware that is no Ethernet has its type before it: `06-00:11:22`.
    let (kind, octets) = match hardware.split_once('-') {
        Some((kind, octets)) => (u8::from_str_radix(kind, 16).ok(), octets),
        None => (Some(1), hardware),
    };
    let hardware = kind.zip(read_hex(octets)).map(|(kind, octets)| HardwareAddress::new(kind, &octets));
    let hardware = hardware.ok_or("the hardware address is none")?;
    let address: Ipv4Addr = address.parse().map_err(|_| "the address is none")?;
    let client_id = match client_id {
        "*" => None,
        text => Some(read_hex(text).filter(|id| !id.is_empty()).ok_or("the client identifier is none")?),
    };
    let mut lease = lease(address, hardware, client_id.as_deref(), ends, now);
    lease.host = (host != "*").then(|| host.into());
    Ok(lease)
}

fn reservation(host: &str) -> Result<Reservation, &'static str> {
    let (mut client, mut address, mut name) = (None, None, None);
    for word in host.split(',').map(str::trim) {
        if let Some(id) = word.strip_prefix("id:") {
            let octets = read_hex(id).unwrap_or_else(|| id.as_bytes().to_vec());
            client = Some(Match::ClientId(octets.into()));
        } else if let Ok(found) = word.parse::<Ipv4Addr>() {
            address = Some(found);
        } else if let Some(hardware) = word.contains(':').then(|| word.parse()).and_then(Result::ok) {
            client = client.or(Some(Match::Hardware(hardware)));
        } else if word.starts_with("set:") || word.starts_with("tag:") || word.starts_with('[') {
            // Tags and addresses of IPv6 say nothing that is kept here.
        } else if word == "ignore" {
            return Err("a client that is to be ignored is a class of its own here");
        } else if !word.is_empty()
            && !word.starts_with(|first: char| first.is_ascii_digit())
            && word != "infinite"
        {
            name = Some(word);
        }
    }
    let client = client.or_else(|| name.map(|name| Match::HostName(name.into())));
    match (client, address) {
        (Some(client), Some(address)) => {
            Ok(Reservation { host_name: name.map(Into::into), ..Reservation::new(client, address) })
        }
        (None, _) => Err("nothing says which client it is for"),
        (_, None) => Err("a reservation without an IPv4 address"),
    }
}

pub(super) fn write<'a>(leases: impl Iterator<Item = &'a Lease>) -> String {
    let mut text = String::new();
    for lease in leases.filter(|lease| lease.state == LeaseState::Bound) {
        let ends = lease.ends.map_or(0, UnixTime::as_secs);
        let kind = match lease.hardware.kind() {
            1 => String::new(),
            kind => format!("{kind:02x}-"),
        };
        let host = lease.host.as_deref().filter(|host| !host.contains(char::is_whitespace)).unwrap_or("*");
        let id = own_id(lease).map_or("*".to_owned(), hex);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{ends} {kind}{} {} {host} {id}", lease.hardware, lease.address);
    }
    text
}
