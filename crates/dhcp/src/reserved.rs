//! Reservations that were made by command: the rows that they are in the store.
//!
//! Not here: those of the config, and who gives way to whom (`config/draft.rs`).

use core::net::Ipv4Addr;

use doorway_base::{Malformed, Reader};

use crate::plan::{Match, Reservation};
use crate::wire::HardwareAddress;

/// What the key of a reservation's row begins with; the four octets of the address follow.
pub const RESERVED_KEY: &[u8] = b"dhcp.reserve/";
/// The form of the row.
const ROW_VERSION: u8 = 1;
/// Most octets of what a client is known by, and of its name.
pub const OCTETS_MAX: usize = 255;

/// The key of the row for an address.
#[must_use]
pub fn key(address: Ipv4Addr) -> Vec<u8> {
    [RESERVED_KEY, &address.octets()].concat()
}

/// The row: whom the address is for, and what it is called. Texts are cut at [`OCTETS_MAX`].
#[must_use]
pub fn row(reservation: &Reservation) -> Vec<u8> {
    let (kind, octets): (u8, Vec<u8>) = match &reservation.client {
        Match::Hardware(hardware) => (1, [&[hardware.kind()], hardware.octets()].concat()),
        Match::ClientId(octets) => (2, octets.to_vec()),
        Match::CircuitId(octets) => (3, octets.to_vec()),
        Match::RemoteId(octets) => (4, octets.to_vec()),
        Match::HostName(name) => (5, name.as_bytes().to_vec()),
    };
    let mut row = vec![ROW_VERSION, kind];
    for text in [&octets[..], reservation.host_name.as_deref().unwrap_or_default().as_bytes()] {
        let text = &text[..text.len().min(OCTETS_MAX)];
        row.push(text.len() as u8);
        row.extend_from_slice(text);
    }
    row
}

/// The reservation that a row stands for.
///
/// # Errors
/// [`Malformed`] for a key or a row that is none, or of a form that is newer than this program.
pub fn from_row(key: &[u8], row: &[u8]) -> Result<Reservation, Malformed> {
    let address = key.strip_prefix(RESERVED_KEY).and_then(|address| <[u8; 4]>::try_from(address).ok());
    let address = address.ok_or(Malformed::new("the key of a reservation", 0))?;
    let mut reader = Reader::new(row);
    if reader.u8("version")? != ROW_VERSION {
        return Err(Malformed::new("a row of version 1", 0));
    }
    let kind = reader.u8("what the client is known by")?;
    let length = reader.u8("length")?;
    let octets = reader.take(usize::from(length), "what the client is known by")?;
    let length = reader.u8("length")?;
    let host = reader.take(usize::from(length), "the name")?;
    reader.finish("the end of the row")?;
    let client = match (kind, octets) {
        (1, [kind, hardware @ ..]) => Match::Hardware(HardwareAddress::new(*kind, hardware)),
        (2, octets) => Match::ClientId(octets.into()),
        (3, octets) => Match::CircuitId(octets.into()),
        (4, octets) => Match::RemoteId(octets.into()),
        (5, octets) => Match::HostName(String::from_utf8_lossy(octets).into()),
        _ => return Err(Malformed::new("a way in which a client is known", 1)),
    };
    let host = Some(String::from_utf8_lossy(host).into_owned()).filter(|host| !host.is_empty());
    let host_name = host.map(Into::into);
    Ok(Reservation { host_name, ..Reservation::new(client, Ipv4Addr::from(address)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_its_row() {
        let address = Ipv4Addr::new(10, 0, 0, 7);
        for client in [
            Match::Hardware(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])),
            Match::ClientId([255, 1, 2].into()),
            Match::CircuitId(b"port 7".as_slice().into()),
            Match::RemoteId([0].into()),
            Match::HostName("printer".into()),
        ] {
            let plain = Reservation::new(client, address);
            for reservation in [Reservation { host_name: Some("printer".into()), ..plain.clone() }, plain] {
                let row = row(&reservation);
                assert_eq!(from_row(&key(address), &row), Ok(reservation));
                for length in 0..row.len() {
                    assert!(from_row(&key(address), &row[..length]).is_err());
                }
            }
        }
        assert!(from_row(b"dhcp.reserve/", &[1, 1, 1, 1, 0]).is_err());
        assert!(from_row(&key(address), &[2, 1, 1, 1, 0]).is_err());
        assert!(from_row(&key(address), &[1, 9, 1, 1, 0]).is_err());
    }
}
