//! A binding as it is kept over a restart: the server's message as it came, and when. So nothing of it is lost,
//! and what is read back goes through the same reader as what comes by the wire.
//!
//! It lies in a file of its own in the data folder, not in the store: `doorway dhcp client` runs beside the
//! server that holds the store.

use core::time::Duration;

use doorway_base::{Instant, Malformed, Reader, UnixTime};

use super::binding::Binding;
use super::session::Known;
use crate::wire::Message;
use crate::wire::message::MESSAGE_OCTETS_MAX;

/// What a record begins with: a name and the version of what follows.
const MAGIC: [u8; 8] = *b"DWdhcpc\x01";
/// Most octets of a record.
pub const RECORD_OCTETS_MAX: usize = 8 + 8 + 6 + MESSAGE_OCTETS_MAX;

/// A binding with the time of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The binding; [`Binding::since`] is 0 in one that was read back.
    pub binding: Binding,
    /// When it began or was last renewed.
    pub obtained: UnixTime,
}

impl Record {
    /// When the lease ends; `None` is never.
    #[must_use]
    pub fn ends(&self) -> Option<UnixTime> {
        self.binding.lease.map(|lease| self.obtained + lease)
    }

    /// How long it still holds; `None` when it is over.
    #[must_use]
    pub fn remaining(&self, now: UnixTime) -> Option<Duration> {
        match self.ends() {
            None => Some(Duration::MAX),
            Some(ends) => Some(ends - now).filter(|remaining| !remaining.is_zero()),
        }
    }

    /// The lease as it is now, to go on with it; `None` when it is over.
    #[must_use]
    pub fn resumed(&self, now: Instant, wall: UnixTime) -> Option<Binding> {
        let passed = wall - self.obtained;
        let left = |span: Duration| span.saturating_sub(passed);
        self.remaining(wall)?;
        let Binding { lease, renewal, rebinding, .. } = self.binding;
        Some(Binding {
            since: now,
            lease: lease.map(left),
            renewal: if lease.is_some() { left(renewal) } else { renewal },
            rebinding: if lease.is_some() { left(rebinding) } else { rebinding },
            ..self.binding.clone()
        })
    }

    /// What a session is told of it.
    #[must_use]
    pub fn known(&self, now: UnixTime) -> Known {
        Known {
            address: self.binding.address,
            server: Some(self.binding.server),
            holds: self.remaining(now).is_some(),
        }
    }

    /// The octets to keep.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut octets = MAGIC.to_vec();
        octets.extend(self.obtained.as_secs().to_be_bytes());
        octets.extend(self.binding.neighbour.unwrap_or_default());
        octets.extend(&*self.binding.octets);
        octets
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// [`Malformed`] when it is of another version, cut off, or holds no binding.
    pub fn read(octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(octets);
        if reader.array::<8>("the name of the record")? != MAGIC {
            return Err(Malformed::new("a record of this version", 0));
        }
        let obtained = UnixTime::from_secs(reader.u64("when it was obtained")?);
        let neighbour = Some(reader.array::<6>("a hardware address")?).filter(|mac| *mac != [0; 6]);
        let at = reader.position();
        let message = Message::parse(reader.rest())?;
        let binding = Binding::read(&message, neighbour, Instant::ZERO);
        let binding = binding.map_err(|_| Malformed::new("a confirmed address", at))?;
        Ok(Self { binding, obtained })
    }
}

/// The name of the file that keeps the record of an interface: what is no letter, digit, `.`, `-` or `_` in its
/// name is written as `%` and its number, so that no name leads out of the folder.
#[must_use]
pub fn file_name(interface: &str) -> String {
    let mut name = String::from("client-");
    for octet in interface.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => name.push(octet.into()),
            _ => name.push_str(&format!("%{octet:02x}")),
        }
    }
    name.push_str(".lease");
    name
}
