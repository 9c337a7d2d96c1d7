//! A lease as it lies in memory: 72 octets, and a piece of heap only for a client with an identifier of its own
//! making, a name, or a relay agent that tells about it.

use core::net::Ipv4Addr;

use doorway_base::{Instant, UnixTime};

use super::verdict::Now;
use crate::lease::{ClientKey, Lease, LeaseState, TEXT_OCTETS_MAX};
use crate::wire::HardwareAddress;

/// A moment that never comes, in seconds of the wall clock.
pub(crate) const NEVER: u32 = u32::MAX;
/// A subnet that there is not.
pub(crate) const NO_SUBNET: u32 = u32::MAX;

/// A lease. Moments of the wall clock are in seconds since 1970, which 32 bits hold until 2106.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// When it ends or ended, by the monotonic clock; for a declined one, when the address may be given again.
    pub(crate) ends: Instant,
    pub(crate) address: u32,
    /// A place in the plan's list, or [`NO_SUBNET`].
    pub(crate) subnet: u32,
    pub(crate) ends_wall: u32,
    pub(crate) began: u32,
    pub(crate) seconds: u32,
    pub(crate) relay: u32,
    /// The second of the monotonic clock at which it is looked at; [`NEVER`] when at none.
    pub(crate) due: u32,
    pub(crate) hardware: HardwareAddress,
    pub(crate) state: LeaseState,
    /// Whether a change of it is being written.
    pub(crate) is_open: bool,
    /// Client identifier (empty when the hardware address says as much), host, name, agent; or nothing.
    pub(crate) texts: Box<[u8]>,
}

/// Where a lease is: its address, the place of its subnet in the plan's list, and the relay agent before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) address: u32,
    pub(crate) subnet: u32,
    pub(crate) relay: u32,
}

/// The texts of a record, one behind the other, each with its length before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) client: &'a ClientKey,
    pub(crate) hardware: &'a HardwareAddress,
    pub(crate) host: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) agent: &'a [u8],
}

/// Room for all texts at their longest.
const TEXTS_OCTETS_MAX: usize = 4 * (1 + TEXT_OCTETS_MAX);

impl Texts<'_> {
    /// Hands them over as a record keeps them.
    pub(crate) fn packed<T>(&self, take: impl FnOnce(&[u8]) -> T) -> T {
        let mut octets = [0; TEXTS_OCTETS_MAX];
        let own = self.client.octets() != ClientKey::of_hardware(self.hardware).octets();
        let client = if own { self.client.octets() } else { &[] };
        let texts = [client, self.host, self.name, self.agent];
        if texts.iter().all(|text| text.is_empty()) {
            return take(&[]);
        }
        let mut at = 0;
        for text in texts {
            let text = &text[..text.len().min(TEXT_OCTETS_MAX)];
            octets[at] = text.len() as u8;
            octets[at + 1..=at + text.len()].copy_from_slice(text);
            at += 1 + text.len();
        }
        take(&octets[..at])
    }
}

impl Record {
    /// The record of a lease, at `now`. A lease that would last longer than it was given for, since the wall
    /// clock went back, lasts as long as it was given for.
    pub(crate) fn new(lease: &Lease, subnet: u32, now: Now) -> Self {
        let ends = lease.ends.map(|ends| {
            let left = ends - now.wall;
            let most = std::time::Duration::from_secs(u64::from(lease.seconds));
            now.mono + if lease.state == LeaseState::Bound { left.min(most) } else { left }
        });
        let texts = Texts {
            client: &lease.client,
            hardware: &lease.hardware,
            host: lease.host.as_deref().unwrap_or_default().as_bytes(),
            name: lease.name.as_deref().unwrap_or_default().as_bytes(),
            agent: lease.agent.as_deref().unwrap_or_default(),
        };
        Self {
            ends: ends.unwrap_or(Instant::NEVER),
            address: lease.address.to_bits(),
            subnet,
            ends_wall: lease.ends.map_or(NEVER, wall_up),
            began: wall(lease.began),
            seconds: lease.seconds,
            relay: lease.relay.to_bits(),
            due: NEVER,
            hardware: lease.hardware,
            state: lease.state,
            is_open: false,
            texts: texts.packed(|octets| octets.into()),
        }
    }

    /// The record of a lease that begins at `now`; `u32::MAX` seconds are for ever.
    pub(crate) fn bound(now: Now, place: Place, seconds: u32, texts: &Texts<'_>) -> Self {
        let lasts = std::time::Duration::from_secs(seconds.into());
        let (ends, ends_wall) = match seconds {
            u32::MAX => (Instant::NEVER, NEVER),
            _ => (now.mono + lasts, wall_up(now.wall + lasts)),
        };
        Self {
            ends,
            address: place.address,
            subnet: place.subnet,
            ends_wall,
            began: wall(now.wall),
            seconds,
            relay: place.relay,
            due: NEVER,
            hardware: *texts.hardware,
            state: LeaseState::Bound,
            is_open: false,
            texts: texts.packed(|octets| octets.into()),
        }
    }

    /// What stands where no record is.
    pub(crate) fn vacant() -> Self {
        Self {
            ends: Instant::NEVER,
            address: 0,
            subnet: NO_SUBNET,
            ends_wall: NEVER,
            began: 0,
            seconds: 0,
            relay: 0,
            due: NEVER,
            hardware: HardwareAddress::default(),
            state: LeaseState::Expired,
            is_open: false,
            texts: Box::default(),
        }
    }

    fn text(&self, index: usize) -> &[u8] {
        let mut rest = &self.texts[..];
        for _ in 0..index {
            let Some((&length, behind)) = rest.split_first() else { return &[] };
            rest = behind.get(usize::from(length)..).unwrap_or_default();
        }
        rest.split_first().map_or(&[], |(&length, behind)| &behind[..usize::from(length).min(behind.len())])
    }

    /// Whose it is.
    pub(crate) fn client(&self) -> ClientKey {
        match self.text(0) {
            [] => ClientKey::of_hardware(&self.hardware),
            own => ClientKey::new(own),
        }
    }

    /// Whether it is this client's.
    pub(crate) fn is_of(&self, client: &ClientKey) -> bool {
        match self.text(0) {
            [] => match client.octets() {
                [kind, address @ ..] => *kind == self.hardware.kind() && address == self.hardware.octets(),
                [] => false,
            },
            own => own == client.octets(),
        }
    }

    pub(crate) fn host(&self) -> &[u8] {
        self.text(1)
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.text(2)
    }

    pub(crate) fn agent(&self) -> &[u8] {
        self.text(3)
    }

    /// Sets its name in DNS, or takes it away.
    pub(crate) fn set_name(&mut self, name: &[u8]) {
        let client = self.client();
        let (hardware, host, agent) = (self.hardware, self.host(), self.agent());
        let texts = Texts { client: &client, hardware: &hardware, host, name, agent };
        self.texts = texts.packed(|octets| octets.into());
    }

    /// The lease, with all that is kept of it.
    pub(crate) fn lease(&self) -> Lease {
        let text = |octets: &[u8]| (!octets.is_empty()).then(|| String::from_utf8_lossy(octets).into());
        Lease {
            address: Ipv4Addr::from_bits(self.address),
            client: self.client(),
            hardware: self.hardware,
            state: self.state,
            began: UnixTime::from_secs(self.began.into()),
            ends: (self.ends_wall != NEVER).then(|| UnixTime::from_secs(self.ends_wall.into())),
            seconds: self.seconds,
            host: text(self.host()),
            name: text(self.name()),
            relay: Ipv4Addr::from_bits(self.relay),
            agent: (!self.agent().is_empty()).then(|| self.agent().into()),
        }
    }
}

/// A moment in whole seconds since 1970, at most one before [`NEVER`].
pub(crate) fn wall(moment: UnixTime) -> u32 {
    u32::try_from(moment.as_secs()).unwrap_or(NEVER).min(NEVER - 1)
}

/// The same, rounded up: a row must not say that a lease ends before its client thinks so.
fn wall_up(moment: UnixTime) -> u32 {
    u32::try_from(moment.as_nanos().div_ceil(1_000_000_000)).unwrap_or(NEVER).min(NEVER - 1)
}

const _: () = assert!(size_of::<Record>() == 72);
