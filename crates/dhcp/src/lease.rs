//! A lease: which client has an address, until when; and the row that it is in the store. RFC 2131 §1.4 and §3.
//!
//! The key of a row holds the address in as many octets as it has, so that leases of both families can stand
//! beside each other. Not here: who gets which address, which is the server engine's business.

use core::net::Ipv4Addr;
use std::fmt;

use doorway_base::{Malformed, Reader, UnixTime};

use crate::wire::HardwareAddress;
use crate::wire::hardware::hex;

/// What the key of a lease's row begins with; the octets of the address follow.
pub const LEASE_KEY: &[u8] = b"dhcp.lease/";
/// The form of the row.
const ROW_VERSION: u8 = 1;
/// Octets of a client key that lie in place; a longer one is on the heap.
const KEY_OCTETS_IN_PLACE: usize = 30;
/// What a time that never comes is in a row.
const NEVER_SECONDS: u64 = u64::MAX;
/// Octets of a text in a row at most; its length is one octet.
pub const TEXT_OCTETS_MAX: usize = 255;

/// What tells a client from others: its client identifier (option 61), or its hardware type and address when
/// it sends none. RFC 2131 §4.2.
#[derive(Clone)]
pub struct ClientKey(Place);

#[derive(Clone)]
enum Place {
    Here { length: u8, octets: [u8; KEY_OCTETS_IN_PLACE] },
    Heap(Box<[u8]>),
}

impl ClientKey {
    /// The key of these octets: a client identifier as it came, or a hardware type with the address behind it.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        let mut here = [0; KEY_OCTETS_IN_PLACE];
        match here.get_mut(..octets.len()) {
            Some(place) => {
                place.copy_from_slice(octets);
                Self(Place::Here { length: octets.len() as u8, octets: here })
            }
            None => Self(Place::Heap(octets.into())),
        }
    }

    /// The key of a client that sends no identifier.
    #[must_use]
    pub fn of_hardware(hardware: &HardwareAddress) -> Self {
        let mut octets = [0; 1 + crate::wire::hardware::HARDWARE_OCTETS_MAX];
        octets[0] = hardware.kind();
        let length = hardware.octets().len();
        octets[1..=length].copy_from_slice(hardware.octets());
        Self::new(&octets[..=length])
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        match &self.0 {
            Place::Here { length, octets } => &octets[..usize::from(*length)],
            Place::Heap(octets) => octets,
        }
    }
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.octets() == other.octets()
    }
}

impl Eq for ClientKey {}

impl fmt::Display for ClientKey {
    /// `01:02:00:00:00:00:01`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.octets()))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({self})")
    }
}

/// What became of a lease. An offer is none: it lives in memory only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseState {
    /// The client has the address until the lease ends.
    Bound = 1,
    /// The client gave it back. It is remembered, so that the client may have the same address again.
    Released,
    /// Its time is over. It is remembered as well.
    Expired,
    /// The address was found in use by somebody else; nobody is given it until the lease "ends".
    Declined,
}

impl LeaseState {
    const ALL: [Self; 4] = [Self::Bound, Self::Released, Self::Expired, Self::Declined];

    /// One word: `bound`, `released`, `expired`, `declined`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Declined => "declined",
        }
    }

    /// Whether the address is only remembered for its client, and somebody else may get it.
    #[must_use]
    pub const fn is_remembered(self) -> bool {
        matches!(self, Self::Released | Self::Expired)
    }
}

/// A lease, with all that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// Whose it is.
    pub client: ClientKey,
    /// The client's hardware address.
    pub hardware: HardwareAddress,
    /// What became of it.
    pub state: LeaseState,
    /// When the client got the address first, to the second.
    pub began: UnixTime,
    /// When it ends, ended, or the address of a declined one may be given again, to the second. `None`: never.
    pub ends: Option<UnixTime>,
    /// How long the client was told that it lasts, in seconds; `u32::MAX` is for ever.
    pub seconds: u32,
    /// What the client calls itself, at most 255 octets.
    pub host: Option<Box<str>>,
    /// The full name that it has in DNS, without a final dot, at most 255 octets.
    pub name: Option<Box<str>>,
    /// The relay agent that the client is behind; 0.0.0.0 when it is on a link of ours.
    pub relay: Ipv4Addr,
    /// What the relay agent said of the client: the value of option 82, at most 255 octets.
    pub agent: Option<Box<[u8]>>,
}

/// The key of the row of a lease of this address: 4 octets of IPv4, or 16 of IPv6.
#[must_use]
pub fn row_key(address: &[u8]) -> Vec<u8> {
    [LEASE_KEY, address].concat()
}

impl Lease {
    /// The key of its row.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        row_key(&self.address.octets())
    }

    /// Its row: at most 80 octets for an Ethernet client, without the texts that it and its relay agent chose.
    #[must_use]
    pub fn row(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(96);
        let hardware = self.hardware.octets();
        row.extend_from_slice(&[ROW_VERSION, self.state as u8, self.hardware.kind(), hardware.len() as u8]);
        row.extend_from_slice(hardware);
        row.extend_from_slice(&self.began.as_secs().to_be_bytes());
        row.extend_from_slice(&self.ends.map_or(NEVER_SECONDS, UnixTime::as_secs).to_be_bytes());
        row.extend_from_slice(&self.seconds.to_be_bytes());
        row.extend_from_slice(&self.relay.octets());
        let texts = [
            Some(self.client.octets()),
            self.host.as_deref().map(str::as_bytes),
            self.name.as_deref().map(str::as_bytes),
            self.agent.as_deref(),
        ];
        for text in texts {
            let text = text.unwrap_or_default();
            let text = &text[..text.len().min(TEXT_OCTETS_MAX)];
            row.push(text.len() as u8);
            row.extend_from_slice(text);
        }
        row
    }

    /// Reads a row, and the address in its key.
    ///
    /// # Errors
    /// [`Malformed`] for a key or a row that is none, or of a form that is newer than this program.
    pub fn from_row(key: &[u8], row: &[u8]) -> Result<Self, Malformed> {
        let address = key.strip_prefix(LEASE_KEY).and_then(|address| <[u8; 4]>::try_from(address).ok());
        let address = address.ok_or(Malformed::new("the key of a lease", 0))?;
        let mut reader = Reader::new(row);
        if reader.u8("version")? != ROW_VERSION {
            return Err(Malformed::new("a row of version 1", 0));
        }
        let state = usize::from(reader.u8("state")?).wrapping_sub(1);
        let &state = LeaseState::ALL.get(state).ok_or(Malformed::new("a state", 1))?;
        let kind = reader.u8("hardware type")?;
        let length = reader.u8("hardware length")?;
        let hardware = HardwareAddress::new(kind, reader.take(usize::from(length), "hardware address")?);
        let began = UnixTime::from_secs(reader.u64("beginning")?);
        let ends = Some(reader.u64("end")?).filter(|&ends| ends != NEVER_SECONDS);
        let seconds = reader.u32("seconds")?;
        let relay = Ipv4Addr::from(reader.array::<4>("relay agent")?);
        let mut text = |what| -> Result<&[u8], Malformed> {
            let length = reader.u8(what)?;
            reader.take(usize::from(length), what)
        };
        let client = ClientKey::new(text("client")?);
        let (host, name, agent) = (text("host")?, text("name")?, text("agent")?);
        reader.finish("end of the row")?;
        let read = |text: &[u8]| (!text.is_empty()).then(|| String::from_utf8_lossy(text).into());
        Ok(Self {
            address: Ipv4Addr::from(address),
            client,
            hardware,
            state,
            began,
            ends: ends.map(UnixTime::from_secs),
            seconds,
            host: read(host),
            name: read(name),
            relay,
            agent: (!agent.is_empty()).then(|| agent.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        let hardware = HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]);
        Lease {
            address: Ipv4Addr::new(10, 0, 0, 7),
            client: ClientKey::of_hardware(&hardware),
            hardware,
            state: LeaseState::Bound,
            began: UnixTime::from_secs(1_795_369_205),
            ends: Some(UnixTime::from_secs(1_795_383_605)),
            seconds: 14_400,
            host: None,
            name: None,
            relay: Ipv4Addr::UNSPECIFIED,
            agent: None,
        }
    }

    #[test]
    fn a_lease_is_its_row() {
        let plain = lease();
        assert!(plain.row().len() <= 80, "{}", plain.row().len());
        let named = Lease {
            client: ClientKey::new(&[0; 200]),
            state: LeaseState::Declined,
            ends: None,
            seconds: u32::MAX,
            host: Some("hello".into()),
            name: Some("hello.shop".into()),
            relay: Ipv4Addr::new(10, 0, 0, 1),
            agent: Some([1, 2, 65, 66].into()),
            ..plain.clone()
        };
        for lease in [plain, named] {
            let (key, row) = (lease.key(), lease.row());
            assert_eq!(Lease::from_row(&key, &row), Ok(lease));
            for length in 0..row.len() {
                assert!(Lease::from_row(&key, &row[..length]).is_err());
            }
            assert!(Lease::from_row(&key, &[&row[..], &[0]].concat()).is_err());
            assert!(Lease::from_row(&key[..key.len() - 1], &row).is_err());
        }
    }

    #[test]
    fn rows_of_other_versions_and_states_are_refused() {
        let (key, row) = (lease().key(), lease().row());
        for (at, value) in [(0, 2), (1, 0), (1, 5)] {
            let mut row = row.clone();
            row[at] = value;
            assert!(Lease::from_row(&key, &row).is_err());
        }
    }
}
