//! Leases and reservations in the files of other servers, read and written.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `isc` | `dhcpd.leases` of ISC dhcpd, and its `host` blocks |
//! | `dnsmasq` | the lease file of dnsmasq, and its `dhcp-host` lines |
//! | `kea` | the CSV file of Kea's memfile |
//! | `kea_config` | the reservations in Kea's configuration |
//!
//! What cannot be read is told with its line, and the rest goes on. Not here: files themselves,
//! and whether an address is of a subnet of ours.

mod dnsmasq;
mod isc;
mod kea;
mod kea_config;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use doorway_base::UnixTime;

use crate::lease::{ClientKey, Lease, LeaseState};
use crate::plan::Reservation;
use crate::wire::HardwareAddress;

/// Most leases and reservations that are read from one file, each.
pub const ENTRIES_MAX: usize = 1_000_000;
/// Most faults that are kept; more are only counted.
pub const FAULTS_MAX: usize = 100;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// ISC dhcpd.
    Isc,
    /// dnsmasq.
    Dnsmasq,
    /// Kea.
    Kea,
}

impl Format {
    /// One word: `isc`, `dnsmasq`, `kea`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Isc => "isc",
            Self::Dnsmasq => "dnsmasq",
            Self::Kea => "kea",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "isc" => Ok(Self::Isc),
            "dnsmasq" => Ok(Self::Dnsmasq),
            "kea" => Ok(Self::Kea),
            _ => Err(format!("`{text}` is none of isc, dnsmasq and kea")),
        }
    }
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The last lease of each address.
    pub leases: BTreeMap<Ipv4Addr, Lease>,
    /// Reservations, in the order of the file.
    pub reservations: Vec<Reservation>,
    /// What could not be read, the first [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// How many lines could not be read.
    pub faulty: usize,
}

impl Found {
    fn fault(&mut self, line: usize, what: impl Into<String>) {
        self.faulty += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { line, what: what.into() });
        }
    }

    /// Takes a lease, in the place of an earlier one of its address.
    fn lease(&mut self, line: usize, lease: Lease) {
        if self.leases.len() >= ENTRIES_MAX && !self.leases.contains_key(&lease.address) {
            self.fault(line, format!("more than {ENTRIES_MAX} leases"));
        } else {
            self.leases.insert(lease.address, lease);
        }
    }

    fn reservation(&mut self, line: usize, reservation: Reservation) {
        if self.reservations.len() >= ENTRIES_MAX {
            self.fault(line, format!("more than {ENTRIES_MAX} reservations"));
        } else {
            self.reservations.push(reservation);
        }
    }
}

/// Reads a file as it is at `now`. Leases whose time is over are read as expired.
#[must_use]
pub fn read(format: Format, text: &str, now: UnixTime) -> Found {
    let mut found = Found::default();
    match format {
        Format::Isc => isc::read(text, now, &mut found),
        Format::Dnsmasq => dnsmasq::read(text, now, &mut found),
        Format::Kea if kea_config::is_config(text) => kea_config::read(text, &mut found),
        Format::Kea => kea::read(text, now, &mut found),
    }
    found
}

/// Writes leases as the other server reads them. What a format has no words for is left out: declined addresses
/// in that of dnsmasq, for one.
#[must_use]
pub fn write<'a>(format: Format, leases: impl IntoIterator<Item = &'a Lease>) -> String {
    let leases = leases.into_iter();
    match format {
        Format::Isc => isc::write(leases),
        Format::Dnsmasq => dnsmasq::write(leases),
        Format::Kea => kea::write(leases),
    }
}

/// A lease in force of a client, or one that is over.
fn lease(
    address: Ipv4Addr,
    hardware: HardwareAddress,
    client_id: Option<&[u8]>,
    ends: Option<UnixTime>,
    now: UnixTime,
) -> Lease {
    let left = ends.map_or(u64::from(u32::MAX), |ends| (ends - now).as_secs());
    let state = if left == 0 { LeaseState::Expired } else { LeaseState::Bound };
    Lease {
        address,
        client: client_id.map_or_else(|| ClientKey::of_hardware(&hardware), ClientKey::new),
        hardware,
        state,
        began: now,
        ends,
        seconds: u32::try_from(left).unwrap_or(u32::MAX),
        host: None,
        name: None,
        relay: Ipv4Addr::UNSPECIFIED,
        agent: None,
    }
}

/// The client identifier, if it is another than the hardware address says.
fn own_id(lease: &Lease) -> Option<&[u8]> {
    (lease.client != ClientKey::of_hardware(&lease.hardware)).then(|| lease.client.octets())
}
