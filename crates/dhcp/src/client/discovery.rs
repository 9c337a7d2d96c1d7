//! Who offers addresses on a link: a DHCPDISCOVER whose offers are looked at and left alone. Servers forget
//! them by themselves.

use doorway_base::Random;

use super::binding::Offer;
use super::compose::{Content, compose};
use super::{OFFERS_MAX, Settings};
use crate::wire::message::BOOTREPLY;
use crate::wire::{Message, MessageType};

/// A search for servers.
#[derive(Debug)]
pub struct Discovery {
    settings: Settings,
    xid: u32,
    found: Vec<Found>,
}

/// A server that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it offers.
    pub offer: Offer,
    /// The hardware address that the offer came from.
    pub neighbour: Option<[u8; 6]>,
}

impl Discovery {
    /// A search as a client with these settings.
    #[must_use]
    pub fn new(settings: Settings, random: &mut Random) -> Self {
        Self { settings, xid: (random.next_u64() >> 32) as u32, found: Vec::new() }
    }

    /// The message to broadcast, as often as one likes.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let content = Content::new(MessageType::Discover, self.xid);
        compose(&self.settings, &Content { requested: self.settings.address, ..content })
    }

    /// Takes what came. Returns whether it is the first offer of its server.
    pub fn take(&mut self, octets: &[u8], neighbour: Option<[u8; 6]>) -> bool {
        let Ok(message) = Message::parse(octets) else { return false };
        let is_ours = message.op() == BOOTREPLY
            && message.kind() == Some(MessageType::Offer)
            && message.xid() == self.xid
            && message.hardware() == self.settings.hardware;
        let Some(offer) = Offer::read(&message).ok().filter(|_| is_ours) else { return false };
        let known = |found: &Found| found.offer.server == offer.server && found.neighbour == neighbour;
        if self.found.len() >= OFFERS_MAX || self.found.iter().any(known) {
            return false;
        }
        self.found.push(Found { offer, neighbour });
        true
    }

    /// Every server that has answered, in the order of their answers.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        &self.found
    }
}
