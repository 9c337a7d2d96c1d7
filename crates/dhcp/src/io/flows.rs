//! Messages shown to the trace: all of one exchange, as its number and the client's hardware address tell them,
//! in one flow.

use core::net::SocketAddrV4;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use doorway_base::trace::{Direction, Event, EventId, Flow, Note, Step, Transport};
use doorway_net::World;

use crate::wire::{SERVER_PORT, summary};

/// Name of the protocol in the trace.
pub(crate) const PROTOCOL: &str = "dhcp";
/// Exchanges that are remembered; a message of an older one begins a new flow.
const FLOWS_MAX: usize = 4096;
/// Where `xid` and `chaddr` stand in a message, in octets.
const XID: core::ops::Range<usize> = 4..8;
const CHADDR: core::ops::Range<usize> = 28..44;

/// `xid` and `chaddr`.
type Exchange = [u8; 20];

/// The exchanges that pass here. Nothing is kept while nobody reads the trace.
#[derive(Debug)]
pub(crate) struct Flows {
    world: World,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    ids: BTreeMap<Exchange, u64>,
    order: VecDeque<Exchange>,
}

/// Where a message travels, with the addresses that stand on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) direction: Direction,
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    /// Whether our end is the one with port 67.
    pub(crate) serving: bool,
}

impl Way {
    /// The way of a message to or from our port 67.
    pub(crate) const fn served(direction: Direction, local: SocketAddrV4, remote: SocketAddrV4) -> Self {
        Self { direction, local, remote, serving: true }
    }
}

impl Flows {
    pub(crate) fn new(world: &World) -> Self {
        Self { world: world.clone(), known: Mutex::default() }
    }

    /// Shows a message, with the reason for what becomes of it if there is one.
    pub(crate) fn record(&self, way: Way, octets: &[u8], note: Option<Note>) {
        let world = &self.world;
        world.trace().record(|| Event {
            id: EventId::default(),
            at: world.now(),
            node: Arc::clone(world.node()),
            flow: Flow {
                id: self.id(octets),
                transport: Transport::Udp,
                local: way.local.into(),
                remote: way.remote.into(),
                canonical_port: SERVER_PORT,
                serving: way.serving,
            },
            direction: way.direction,
            step: Step::Message,
            protocol: PROTOCOL,
            summary: summary(octets),
            octets: octets.into(),
            cause: None,
            note,
        });
    }

    fn id(&self, octets: &[u8]) -> u64 {
        let fields = octets.get(XID).zip(octets.get(CHADDR));
        let Some((xid, chaddr)) = fields else { return self.world.trace().next_flow() };
        let mut exchange = [0; 20];
        exchange[..4].copy_from_slice(xid);
        exchange[4..].copy_from_slice(chaddr);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = known.ids.get(&exchange) {
            return *id;
        }
        let id = self.world.trace().next_flow();
        if known.order.len() >= FLOWS_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.ids.remove(&oldest);
        }
        known.order.push_back(exchange);
        known.ids.insert(exchange, id);
        id
    }
}
