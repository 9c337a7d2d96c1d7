//! Kea: the CSV file of its memfile, to which it appends; the last row of an address counts.

use core::net::Ipv4Addr;
use std::fmt::Write;

use doorway_base::UnixTime;

use super::{Found, lease, own_id};
use crate::lease::{Lease, LeaseState};
use crate::wire::HardwareAddress;
use crate::wire::hardware::{hex, read_hex};

/// The columns that are written, as Kea has them.
const HEADER: &str =
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context";
/// How a comma stands within a column.
const COMMA: &str = "&#x2c";

pub(super) fn read(text: &str, now: UnixTime, found: &mut Found) {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((_, header)) = lines.next() else { return };
    let columns: Vec<&str> = header.trim().split(',').collect();
    let place = |name| columns.iter().position(|column| *column == name);
    for (index, line) in lines {
        let values: Vec<&str> = line.trim_end_matches('\r').split(',').collect();
        let value = |name| place(name).and_then(|at| values.get(at)).copied().unwrap_or_default();
        match row(&value, now) {
            Ok(lease) if lease.seconds == 0 => drop(found.leases.remove(&lease.address)),
            Ok(lease) => found.lease(index + 1, lease),
            Err(what) => found.fault(index + 1, what),
        }
    }
}

fn row<'a>(value: &dyn Fn(&'static str) -> &'a str, now: UnixTime) -> Result<Lease, &'static str> {
    let address: Ipv4Addr = value("address").parse().map_err(|_| "the address is none")?;
    let seconds: u32 = value("valid_lifetime").parse().map_err(|_| "the lifetime is no number")?;
    let ends: u64 = value("expire").parse().map_err(|_| "the end is no number of seconds")?;
    let octets = read_hex(value("hwaddr")).ok_or("the hardware address is none")?;
    let client_id = read_hex(value("client_id")).ok_or("the client identifier is none")?;
    let client_id = (!client_id.is_empty()).then_some(&client_id[..]);
    let ends = (seconds != u32::MAX).then(|| UnixTime::from_secs(ends));
    let mut lease = lease(address, HardwareAddress::new(1, &octets), client_id, ends, now);
    // A row with a lifetime of 0 says that the lease is gone.
    lease.seconds = seconds;
    lease.began =
        ends.map_or(now, |ends| UnixTime::from_secs(ends.as_secs().saturating_sub(u64::from(seconds))));
    match value("state") {
        "0" | "" => {}
        "1" => lease.state = LeaseState::Declined,
        "2" => lease.state = LeaseState::Expired,
        "3" => lease.state = LeaseState::Released,
        _ => return Err("the state is none that is known"),
    }
    let host = value("hostname").replace(COMMA, ",");
    let host = host.trim_end_matches('.');
    lease.host = (!host.is_empty()).then(|| host.into());
    Ok(lease)
}

pub(super) fn write<'a>(leases: impl Iterator<Item = &'a Lease>) -> String {
    let mut text = format!("{HEADER}\n");
    for lease in leases {
        let state = match lease.state {
            LeaseState::Bound => 0,
            LeaseState::Declined => 1,
            LeaseState::Expired | LeaseState::Released => 2,
        };
        let octets = |octets: &[u8]| if octets.is_empty() { String::new() } else { hex(octets) };
        let ends = lease.ends.map_or(u64::from(u32::MAX), UnixTime::as_secs);
        let host = lease.host.as_deref().unwrap_or_default().replace(',', COMMA);
        let _ = writeln!(
            text,
            "{},{},{},{},{ends},1,0,0,{host},{state},",
            lease.address,
            octets(lease.hardware.octets()),
            octets(own_id(lease).unwrap_or_default()),
            lease.seconds.max(1),
        );
    }
    text
}
