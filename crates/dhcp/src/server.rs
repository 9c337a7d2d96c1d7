//! The server's engine: which client has which address. Pure: octets and time in, replies and changes out.
//! RFC 2131 §4, RFC 3046, RFC 4702.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `verdict` | [`Arrival`], [`Verdict`], [`Settlement`]: what goes in and what comes out |
//! | `asked` | who asks, and where: link, relay agent, classes, reservation |
//! | `discover` | DISCOVER: which address is offered; probes |
//! | `request` | REQUEST in its four states, RELEASE, DECLINE, INFORM |
//! | `boot` | where to boot from, beside another server that gives addresses |
//! | `naming` | what a client is called: option 81 |
//! | `settle` | changes that are being written, and taken back if that fails; leases that end |
//! | `commands` | what an operator asks and orders |
//! | `reply`, `blocks` | replies, and options made ready for them |
//! | `table`, `record`, `offers`, `pool`, `index` | leases and offers in memory |
//! | `rate`, `counters` | how much is let through; what was counted |
//!
//! A client is told of a lease only after the change was written; until then nobody else gets the address, and
//! when writing fails all is as it was. Not here: sockets, probes, the store, zones. The shell in `io/` has them.

mod asked;
mod blocks;
mod boot;
mod commands;
mod counters;
mod discover;
mod index;
mod naming;
mod offers;
mod pool;
mod rate;
mod record;
mod reply;
mod request;
mod settle;
mod table;
#[cfg(test)]
mod tests;
mod verdict;

use core::net::Ipv4Addr;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use doorway_base::{Instant, Random, Writer};

use crate::lease::{Lease, LeaseState};
use crate::plan::{Mode, Plan};
use crate::wire::message::BOOTREQUEST;
use crate::wire::{Message, MessageType, PROXY_PORT};
use blocks::Blocks;
pub use commands::OfferShown;
use counters::Declines;
pub use counters::{Alarm, Stats};
use rate::Rate;
use record::Record;
use settle::Open;
pub use table::SubnetCounts;
use table::Table;
pub use verdict::{Arrival, Destination, DropReason, Means, Now, RowChange, Settlement, Ticket, Verdict};

/// The server: one table of leases, and the plan in force.
#[derive(Debug)]
pub struct Server {
    plan: Arc<Plan>,
    table: Table,
    rate: Rate,
    blocks: Blocks,
    /// Changes that are being written, by ticket.
    open: HashMap<u64, Open>,
    /// Addresses that are being probed, by ticket.
    probing: HashMap<u64, u32>,
    tickets: u64,
    /// For each subnet.
    declines: Vec<Declines>,
    alarms: VecDeque<Alarm>,
    stats: Stats,
    degraded: bool,
}

impl Server {
    /// A server that knows no lease yet. `random` keys its hashes.
    #[must_use]
    pub fn new(plan: Arc<Plan>, mut random: Random) -> Self {
        Self {
            table: Table::new(&plan, kept(&plan), &mut random),
            rate: Rate::new(),
            blocks: Blocks::default(),
            open: HashMap::new(),
            probing: HashMap::new(),
            tickets: 0,
            declines: plan.subnets().iter().map(|_| Declines::default()).collect(),
            alarms: VecDeque::new(),
            stats: Stats::default(),
            degraded: false,
            plan,
        }
    }

    /// Takes a lease from the store, at the start; in any order, each address once. False when the table is
    /// full, or the address is nobody's. A lease whose time went by meanwhile ends with the next
    /// [`expire`](Self::expire).
    pub fn restore(&mut self, now: Now, lease: &Lease) -> bool {
        let address = lease.address.to_bits();
        if address == 0
            || self.table.len() >= self.plan.limits().leases
            || self.table.record(address).is_some()
        {
            return false;
        }
        let plan = Arc::clone(&self.plan);
        let mut record = Record::new(lease, table::subnet_of(&plan, address), now);
        if record.state == LeaseState::Bound && record.ends <= now.mono && record.name().is_empty() {
            record.state = LeaseState::Expired;
        }
        self.table.insert(&plan, record);
        true
    }

    /// Goes on by another plan. Leases stay; offers and probes lapse.
    pub fn replan(&mut self, plan: Arc<Plan>) {
        self.table.replan(&plan, kept(&plan));
        self.probing.clear();
        self.blocks.clear();
        self.declines = plan.subnets().iter().map(|_| Declines::default()).collect();
        self.plan = plan;
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Says whether leases can be written. While they cannot, who has a lease is told the time that is left of
    /// it, and nothing new is given.
    pub fn degraded(&mut self, degraded: bool) {
        self.degraded = degraded;
    }

    /// Decides about one datagram. What is to be sent stands in `reply` then.
    pub fn handle(&mut self, now: Now, arrival: &Arrival<'_>, reply: &mut Writer<'_>) -> Verdict {
        let verdict = self.decide(now, arrival, reply);
        if let Verdict::Drop(reason) = verdict {
            self.stats.drop(reason);
        }
        verdict
    }

    fn decide(&mut self, now: Now, arrival: &Arrival<'_>, reply: &mut Writer<'_>) -> Verdict {
        let Ok(message) = Message::parse(arrival.octets) else { return Verdict::Drop(DropReason::Malformed) };
        let kind = match message.kind() {
            _ if message.op() != BOOTREQUEST => return Verdict::Drop(DropReason::NotARequest),
            Some(kind) => kind,
            None if message.is_bootp() => return Verdict::Drop(DropReason::Bootp),
            None => return Verdict::Drop(DropReason::UnknownType),
        };
        Stats::count(&mut self.stats.received, kind);
        if matches!(kind, MessageType::Offer | MessageType::Ack | MessageType::Nak) {
            return Verdict::Drop(DropReason::NotARequest);
        }
        let sender = self.table.sender_hash(message.chaddr());
        if !self.rate.admits(now.mono, sender, self.plan.limits().packets_per_second) {
            return Verdict::Drop(DropReason::Rate);
        }
        let plan = Arc::clone(&self.plan);
        let agent = message.agent();
        let asked = match asked::ask(self, &plan, now, arrival, &message, kind, agent.as_ref()) {
            Ok(asked) => asked,
            Err(reason) => return Verdict::Drop(reason),
        };
        let is_proxy = asked.plan_subnet(&plan).mode == Mode::Proxy;
        if is_proxy || arrival.destination.port() == PROXY_PORT {
            return self.boot(&plan, &asked, reply);
        }
        match kind {
            MessageType::Discover => self.discover(&plan, &asked, 0, reply),
            MessageType::Request => self.request(&plan, &asked, reply),
            MessageType::Decline => self.decline(&plan, &asked),
            MessageType::Release => self.release(&plan, &asked),
            MessageType::Inform => self.inform(&plan, &asked, reply),
            MessageType::Offer | MessageType::Ack | MessageType::Nak => {
                Verdict::Drop(DropReason::NotARequest)
            }
        }
    }

    /// When [`expire`](Self::expire) has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.table.next_time()
    }

    fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }
}

/// Addresses that no pool gives: what is reserved, and what is ours.
fn kept(plan: &Plan) -> HashSet<u32> {
    let planned =
        plan.subnets().iter().flat_map(|subnet| &subnet.reservations).filter_map(|known| known.address);
    let own = plan.interfaces().iter().map(|interface| interface.address);
    planned.chain(own).map(Ipv4Addr::to_bits).collect()
}
