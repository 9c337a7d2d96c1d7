//! Clients that are known, and what is kept for them: by hardware address, client identifier, circuit, remote
//! end or host name.

use core::net::Ipv4Addr;
use std::collections::HashMap;

use super::PlanFault;
use super::network::Network;
use super::options::{Boot, OptionSet};
use crate::wire::HardwareAddress;
use crate::wire::hardware::hex;

/// What a client is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Match {
    /// Its hardware address.
    Hardware(HardwareAddress),
    /// Its client identifier, option 61. A DUID is one too, behind `ff` and an IAID: RFC 4361 §6.1.
    ClientId(Box<[u8]>),
    /// The circuit it is on, sub-option 1 of option 82.
    CircuitId(Box<[u8]>),
    /// Its end of the circuit, sub-option 2 of option 82.
    RemoteId(Box<[u8]>),
    /// What it calls itself, in any case of letters.
    HostName(Box<str>),
}

impl Match {
    /// One word and the value: `mac 02:00:00:00:00:01`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Hardware(hardware) => format!("mac {hardware}"),
            Self::ClientId(octets) => format!("client-id {}", hex(octets)),
            Self::CircuitId(octets) => format!("circuit-id {}", hex(octets)),
            Self::RemoteId(octets) => format!("remote-id {}", hex(octets)),
            Self::HostName(name) => format!("host-name {name}"),
        }
    }
}

/// What is kept for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// What it is known by.
    pub client: Match,
    /// Its address, which nobody else is given; it may lie outside the pools. `None`: one of a pool.
    pub address: Option<Ipv4Addr>,
    /// What it is called, whatever it calls itself.
    pub host_name: Option<Box<str>>,
    /// Options for it.
    pub options: OptionSet,
    /// Where it boots from.
    pub boot: Boot,
}

impl Reservation {
    /// An address for a client, and nothing else.
    #[must_use]
    pub fn new(client: Match, address: Ipv4Addr) -> Self {
        Self {
            client,
            address: Some(address),
            host_name: None,
            options: OptionSet::default(),
            boot: Boot::default(),
        }
    }

    /// Whether it gives anything but an address.
    pub(crate) fn says_more(&self) -> bool {
        self.host_name.is_some() || self.options != OptionSet::default() || self.boot != Boot::default()
    }
}

/// What a message says of its client, to find its reservation by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits<'a> {
    pub(crate) hardware: HardwareAddress,
    pub(crate) client_id: Option<&'a [u8]>,
    pub(crate) circuit_id: Option<&'a [u8]>,
    pub(crate) remote_id: Option<&'a [u8]>,
    pub(crate) host_name: Option<&'a str>,
}

/// The reservations of one subnet, by what clients are known by and by address. The numbers are places in the
/// list they were made from.
#[derive(Debug, Default)]
pub struct Reservations {
    hardware: HashMap<HardwareAddress, u32>,
    client_id: HashMap<Box<[u8]>, u32>,
    circuit_id: HashMap<Box<[u8]>, u32>,
    remote_id: HashMap<Box<[u8]>, u32>,
    host_name: HashMap<Box<str>, u32>,
    /// Addresses, to find those that are kept twice.
    address: HashMap<u32, u32>,
}

impl Reservations {
    pub(super) fn new(network: Network, all: &[Reservation]) -> Result<Self, PlanFault> {
        let mut index = Self::default();
        for (place, known) in all.iter().enumerate() {
            if known.address.is_some_and(|address| !network.is_host(address)) {
                let client = known.client.describe();
                return Err(PlanFault(format!("the address reserved for {client} is not of {network}")));
            }
            if !index.insert(place as u32, known) {
                let client = known.client.describe();
                return Err(PlanFault(format!("two reservations of {network} for {client} or its address")));
            }
        }
        Ok(index)
    }

    /// Notes a reservation under its place; false when its client or its address is taken.
    pub(crate) fn insert(&mut self, place: u32, known: &Reservation) -> bool {
        let before = match &known.client {
            Match::Hardware(hardware) => self.hardware.insert(*hardware, place),
            Match::ClientId(octets) => self.client_id.insert(octets.clone(), place),
            Match::CircuitId(octets) => self.circuit_id.insert(octets.clone(), place),
            Match::RemoteId(octets) => self.remote_id.insert(octets.clone(), place),
            Match::HostName(name) => self.host_name.insert(name.to_ascii_lowercase().into(), place),
        };
        let address = known.address.and_then(|address| self.address.insert(address.to_bits(), place));
        before.is_none() && address.is_none()
    }

    /// The place of the reservation for this client.
    pub(crate) fn find(&self, client: &Traits<'_>) -> Option<u32> {
        fn of(map: &HashMap<Box<[u8]>, u32>, octets: Option<&[u8]>) -> Option<u32> {
            if map.is_empty() { None } else { map.get(octets?).copied() }
        }
        let hardware =
            if self.hardware.is_empty() { None } else { self.hardware.get(&client.hardware).copied() };
        let by_name = || {
            let name = client.host_name.filter(|_| !self.host_name.is_empty())?;
            self.host_name.get(&*name.to_ascii_lowercase()).copied()
        };
        hardware
            .or_else(|| of(&self.client_id, client.client_id))
            .or_else(|| of(&self.circuit_id, client.circuit_id))
            .or_else(|| of(&self.remote_id, client.remote_id))
            .or_else(by_name)
    }
}
