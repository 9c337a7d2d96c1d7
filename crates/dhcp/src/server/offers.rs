//! Addresses that were offered and not yet asked for. They live in memory only: RFC 2131 §3.1 asks no more.

use doorway_base::Instant;

use super::index::Index;
use crate::lease::ClientKey;
use crate::wire::HardwareAddress;

/// An address kept for a client for a short time.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) address: u32,
    pub(crate) subnet: u32,
    pub(crate) client: ClientKey,
    pub(crate) hardware: HardwareAddress,
    /// Until when it is kept.
    pub(crate) until: Instant,
    /// The port that the client is behind, for counting; 0 for a client that was known before.
    pub(crate) port: u64,
    /// What waits for the answer to a probe.
    pub(crate) probing: Option<Box<Probing>>,
}

/// A DISCOVER that waits until it is known whether its address is in use.
#[derive(Debug)]
pub(crate) struct Probing {
    pub(crate) ticket: u64,
    pub(crate) octets: Vec<u8>,
    pub(crate) interface: usize,
    pub(crate) source: core::net::SocketAddrV4,
    pub(crate) destination: core::net::SocketAddrV4,
    /// How many addresses were found in use for it.
    pub(crate) tries: u32,
}

/// No place.
const NONE: u32 = u32::MAX;

/// A place of the list, which is a chain by age as well: offers are kept equally long.
#[derive(Debug)]
struct Place {
    offer: Offer,
    address_hash: u32,
    client_hash: u32,
    older: u32,
    newer: u32,
}

/// All offers.
#[derive(Debug)]
pub(crate) struct Offers {
    places: Vec<Option<Place>>,
    vacant: Vec<u32>,
    by_address: Index,
    by_client: Index,
    oldest: u32,
    newest: u32,
}

impl Offers {
    pub(crate) fn new() -> Self {
        let (by_address, by_client) = (Index::new(), Index::new());
        Self { places: Vec::new(), vacant: Vec::new(), by_address, by_client, oldest: NONE, newest: NONE }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    pub(crate) fn of_address(&self, hash: u32, address: u32) -> Option<&Offer> {
        self.at(self.place_of(hash, address)?).map(|place| &place.offer)
    }

    pub(crate) fn of_client(&self, hash: u32, subnet: u32, client: &ClientKey) -> Option<&Offer> {
        let is = |place: &Place| place.offer.subnet == subnet && place.offer.client == *client;
        let place = self.by_client.find(hash, |place| self.at(place).is_some_and(is))?;
        self.at(place).map(|place| &place.offer)
    }

    fn place_of(&self, hash: u32, address: u32) -> Option<u32> {
        self.by_address.find(hash, |place| self.at(place).is_some_and(|place| place.offer.address == address))
    }

    fn at(&self, place: u32) -> Option<&Place> {
        self.places.get(place as usize)?.as_ref()
    }

    fn at_mut(&mut self, place: u32) -> Option<&mut Place> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    /// Notes an offer that lapses no earlier than all others. Neither its address nor its client has another.
    pub(crate) fn insert(&mut self, offer: Offer, address_hash: u32, client_hash: u32) {
        let entry = Some(Place { offer, address_hash, client_hash, older: NONE, newer: NONE });
        let place = match self.vacant.pop() {
            Some(place) => {
                self.places[place as usize] = entry;
                place
            }
            None => {
                self.places.push(entry);
                self.places.len() as u32 - 1
            }
        };
        self.by_address.insert(address_hash, place);
        self.by_client.insert(client_hash, place);
        self.chain(place);
    }

    /// Keeps the offer of an address until a moment that is no earlier than that of all others; returns it.
    pub(crate) fn prolong(&mut self, hash: u32, address: u32, until: Instant) -> Option<&mut Offer> {
        let place = self.place_of(hash, address)?;
        self.unchain(place);
        self.chain(place);
        let offer = &mut self.at_mut(place)?.offer;
        offer.until = until;
        Some(offer)
    }

    /// Takes the offer of an address back.
    pub(crate) fn remove(&mut self, hash: u32, address: u32) -> Option<Offer> {
        self.take(self.place_of(hash, address)?)
    }

    fn take(&mut self, at: u32) -> Option<Offer> {
        self.unchain(at);
        let place = self.places.get_mut(at as usize)?.take()?;
        self.by_address.remove(place.address_hash, at);
        self.by_client.remove(place.client_hash, at);
        self.vacant.push(at);
        Some(place.offer)
    }

    /// Takes back the next offer whose time is over.
    pub(crate) fn lapsed(&mut self, now: Instant) -> Option<Offer> {
        if self.next_lapse()? > now { None } else { self.take(self.oldest) }
    }

    /// When the next offer lapses.
    pub(crate) fn next_lapse(&self) -> Option<Instant> {
        self.at(self.oldest).map(|place| place.offer.until)
    }

    /// Every offer, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Offer> {
        let mut next = self.oldest;
        std::iter::from_fn(move || {
            let place = self.at(next)?;
            next = place.newer;
            Some(&place.offer)
        })
    }

    /// Puts a place at the new end of the chain.
    fn chain(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        if let Some(place) = self.at_mut(at) {
            (place.older, place.newer) = (before, NONE);
        }
        match self.at_mut(before) {
            Some(place) => place.newer = at,
            None => self.oldest = at,
        }
    }

    fn unchain(&mut self, at: u32) {
        let Some(&Place { older, newer, .. }) = self.at(at) else { return };
        match self.at_mut(older) {
            Some(place) => place.newer = newer,
            None => self.oldest = newer,
        }
        match self.at_mut(newer) {
            Some(place) => place.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn offer(address: u32, until: u64) -> Offer {
        Offer {
            address,
            subnet: 0,
            client: ClientKey::new(&address.to_be_bytes()),
            hardware: HardwareAddress::default(),
            until: Instant::ZERO + Duration::from_secs(until),
            port: 0,
            probing: None,
        }
    }

    #[test]
    fn offers_lapse_in_the_order_they_were_last_made() {
        let mut offers = Offers::new();
        for address in 1..=4 {
            offers.insert(offer(address, address.into()), address, address);
        }
        assert!(offers.remove(2, 2).is_some());
        assert!(offers.prolong(1, 1, Instant::ZERO + Duration::from_secs(9)).is_some());
        assert_eq!(offers.iter().map(|offer| offer.address).collect::<Vec<_>>(), [3, 4, 1]);
        assert_eq!(
            offers.of_client(4, 0, &ClientKey::new(&[0, 0, 0, 4])).map(|offer| offer.address),
            Some(4)
        );
        assert!(offers.of_client(4, 1, &ClientKey::new(&[0, 0, 0, 4])).is_none());
        let mut lapsed = |seconds| offers.lapsed(Instant::ZERO + Duration::from_secs(seconds));
        assert!(lapsed(2).is_none());
        assert_eq!(lapsed(8).map(|offer| offer.address), Some(3));
        assert_eq!(lapsed(8).map(|offer| offer.address), Some(4));
        assert!(lapsed(8).is_none());
        assert_eq!(lapsed(9).map(|offer| offer.address), Some(1));
        assert_eq!((offers.len(), offers.next_lapse()), (0, None));
        offers.insert(offer(7, 20), 7, 7);
        assert!(offers.of_address(7, 7).is_some() && offers.of_address(1, 1).is_none());
    }
}
