//! One turn: what the engine decided about the messages of one batch, in order for what follows.

use core::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use doorway_net::batch::{BatchSender, Outbox};

use tokio::sync::oneshot;

use super::served::Served;
use crate::server::{Destination, Means, RowChange, Settlement, Ticket};

/// A message that leaves, now or once its lease is written.
pub(super) struct Outgoing {
    pub(super) destination: Destination,
    pub(super) octets: Vec<u8>,
    pub(super) way: Way,
}

/// Where an answer leaves.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) served: Arc<Served>,
    /// The socket that the question came to; `None` when it came by the link.
    pub(super) sender: Option<BatchSender>,
    /// The port of ours that it was sent to.
    pub(super) port: u16,
}

/// A change that is being written, and who waits for it.
pub(super) struct Held {
    pub(super) ticket: Ticket,
    pub(super) then: Then,
}

/// What is done when a change is written.
#[derive(Default)]
pub(super) struct Then {
    /// Sent if it is durable.
    pub(super) reply: Option<Outgoing>,
    /// Told whether it is.
    pub(super) tell: Option<oneshot::Sender<bool>>,
}

/// A change that means something for DNS.
pub(super) struct Named {
    pub(super) settlement: Settlement,
    pub(super) then: Then,
}

/// A question to be asked on a link.
pub(super) struct Question {
    pub(super) ticket: Ticket,
    pub(super) address: Ipv4Addr,
    pub(super) means: Means,
    pub(super) wait: Duration,
    pub(super) way: Way,
}

/// What is to be done after the engine has seen a batch.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) ready: Vec<Outgoing>,
    pub(super) held: Vec<Held>,
    /// The rows of all that is held.
    pub(super) rows: Vec<RowChange>,
    pub(super) named: Vec<Named>,
    pub(super) questions: Vec<Question>,
}

impl Outgoing {
    /// Where it goes by UDP; `None` when it goes in a frame.
    pub(super) fn udp(&self) -> Option<SocketAddr> {
        match self.destination {
            Destination::Relay(to) | Destination::Unicast(to) => Some(to.into()),
            Destination::Link { .. } | Destination::Broadcast => None,
        }
    }
}

/// Datagrams on their way out, gathered as long as they leave from the same socket.
#[derive(Default)]
pub(super) struct Gathered {
    outbox: Outbox,
    sender: Option<BatchSender>,
}

impl Gathered {
    /// Adds a datagram. Returns how many of those before it were not sent, when they had to leave first.
    pub(super) fn push(&mut self, sender: &BatchSender, to: SocketAddr, octets: &[u8]) -> usize {
        let same = self.sender.as_ref().is_some_and(|known| known.is(sender));
        let unsent = if same { 0 } else { self.flush() };
        if !same {
            self.sender = Some(sender.clone());
        }
        self.outbox.push(to, octets);
        unsent
    }

    /// Sends them. Returns how many the system did not take.
    pub(super) fn flush(&mut self) -> usize {
        let Some(sender) = &self.sender else { return 0 };
        let count = self.outbox.len();
        count - sender.send(&mut self.outbox)
    }
}
