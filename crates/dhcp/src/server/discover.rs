//! DISCOVER: which address a client is offered, and the probe before it. RFC 2131 §4.3.1.
//!
//! In this order: what is reserved for it, what it was offered or had before, what it asks for, an address that
//! nobody had yet, and last the one whose lease ended longest ago.

use doorway_base::Writer;

use super::Server;
use super::asked::{self, Asked};
use super::counters::Stats;
use super::offers::{Offer, Probing};
use super::pool::PoolState;
use super::record::Record;
use super::reply::Answer;
use super::verdict::{Arrival, DropReason, Means, Now, Ticket, Verdict};
use crate::lease::{ClientKey, Lease, LeaseState};
use crate::plan::{Plan, Probe};
use crate::wire::{HardwareAddress, Message, MessageType};

/// Most probes at one time; beyond, an address is offered without one.
const PROBES_MAX: usize = 1024;
/// Most addresses that may turn out to be in use before a DISCOVER gets no answer.
const TRIES_MAX: u32 = 4;

/// An address for a client.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    address: u32,
    /// Whether the same client had it before: nobody else is expected there.
    was_own: bool,
    /// Whether the client has a claim on it, so that the port it is behind does not count.
    is_claimed: bool,
}

impl Server {
    /// Offers an address, or has one probed first.
    pub(super) fn discover(
        &mut self,
        plan: &Plan,
        asked: &Asked<'_, '_>,
        tries: u32,
        reply: &mut Writer<'_>,
    ) -> Verdict {
        let subnet = asked.subnet as u32;
        let earlier =
            self.table.offer_to(subnet, &asked.client).map(|offer| (offer.address, offer.probing.is_some()));
        if let Some((_, true)) = earlier {
            return Verdict::Drop(DropReason::Probing);
        }
        let candidate = match self.candidate(plan, asked, earlier.map(|(address, _)| address)) {
            Ok(candidate) => candidate,
            Err(reason) => return Verdict::Drop(reason),
        };
        let (address, until) = (candidate.address, asked.now.mono + plan.limits().offer_hold);
        match earlier {
            Some((before, _)) if before == address => {
                self.table.prolong(address, until);
                return self.offer(plan, asked, address, reply);
            }
            Some((before, _)) => drop(self.table.withdraw(plan, before)),
            None => {}
        }
        let means = if candidate.was_own { None } else { self.means(plan, asked) };
        let probing = means.map(|_| {
            let ticket = self.next_ticket();
            self.probing.insert(ticket.0, address);
            self.stats.probes += 1;
            Probing {
                ticket: ticket.0,
                octets: asked.message.octets().to_vec(),
                interface: asked.interface,
                source: asked.source,
                destination: asked.destination,
                tries,
            }
        });
        let ticket = probing.as_ref().map(|probing| Ticket(probing.ticket));
        let offer = Offer {
            address,
            subnet,
            client: asked.client.clone(),
            hardware: asked.hardware,
            until,
            port: if candidate.is_claimed { 0 } else { asked.port },
            probing: probing.map(Box::new),
        };
        self.table.offer(plan, offer);
        match (ticket, means) {
            (Some(ticket), Some(means)) => Verdict::Probe {
                ticket,
                address: address.into(),
                means,
                interface: asked.interface,
                wait: plan.limits().probe_wait,
            },
            _ => self.offer(plan, asked, address, reply),
        }
    }

    /// Writes the OFFER of an address that is noted as offered.
    fn offer(&mut self, plan: &Plan, asked: &Asked<'_, '_>, address: u32, reply: &mut Writer<'_>) -> Verdict {
        let seconds = asked.times(plan).seconds(asked.message.lease_seconds());
        let answer = Answer {
            kind: MessageType::Offer,
            yiaddr: address.into(),
            seconds: Some(seconds),
            naming: self.naming(plan, asked),
        };
        match self.compose(plan, asked, &answer, reply) {
            Ok(()) => {
                Stats::count(&mut self.stats.sent, MessageType::Offer);
                Verdict::Reply(self.destination(asked, answer.yiaddr))
            }
            Err(reason) => {
                self.table.withdraw(plan, address);
                Verdict::Drop(reason)
            }
        }
    }

    /// Finds an address for the client; `earlier` is the one that it is offered already.
    fn candidate(
        &mut self,
        plan: &Plan,
        asked: &Asked<'_, '_>,
        earlier: Option<u32>,
    ) -> Result<Candidate, DropReason> {
        let claimed = |address, was_own| Candidate { address, was_own, is_claimed: true };
        let reserved = self.reserved(plan, asked).filter(|&address| self.is_open_to(asked, address));
        let own = self.table.of_client(asked.subnet as u32, &asked.client);
        let own = own.map(|record| (record.address, record.state, record.is_open));
        if own.is_some_and(|(.., is_open)| is_open) {
            return Err(DropReason::Unsettled);
        }
        if self.degraded {
            // A lease that is known may go on; anything else would have to be written.
            let own = own.filter(|&(address, state, _)| {
                state == LeaseState::Bound && self.is_permitted(plan, asked, address)
            });
            return own.map(|(address, ..)| claimed(address, true)).ok_or(DropReason::Degraded);
        }
        if let Some(address) = reserved {
            return Ok(claimed(address, own.is_some_and(|(own, ..)| own == address)));
        }
        // One's own lease goes before an earlier offer: they differ when the lease came back meanwhile.
        if let Some((address, ..)) = own
            && self.is_permitted(plan, asked, address)
            && self.is_open_to(asked, address)
        {
            return Ok(claimed(address, true));
        }
        if let Some(address) = earlier.filter(|&address| self.is_permitted(plan, asked, address)) {
            return Ok(claimed(address, true));
        }
        self.admits_newcomer(plan, asked)?;
        let requested = asked.message.requested_address().map(core::net::Ipv4Addr::to_bits);
        let requested = requested.filter(|&address| {
            self.is_permitted(plan, asked, address)
                && self.table.record(address).is_none()
                && self.table.offer_of(address).is_none()
        });
        let address = requested.or_else(|| self.new_address(plan, asked)).ok_or(DropReason::NoAddress)?;
        Ok(Candidate { address, was_own: false, is_claimed: false })
    }

    /// Whether there is room for one more client behind its port, and in the tables.
    pub(super) fn admits_newcomer(&self, plan: &Plan, asked: &Asked<'_, '_>) -> Result<(), DropReason> {
        let limits = plan.limits();
        let port = self.table.port_use(asked.port);
        if limits.leases_per_port != 0 && port.leases + port.offers >= limits.leases_per_port {
            return Err(DropReason::PortFull);
        }
        // Offers to strangers behind one port take half of what is left at most.
        let available = self.table.counts(asked.subnet).available;
        if available == 0 {
            return Err(DropReason::NoAddress);
        }
        if port.offers >= available {
            return Err(DropReason::PortFull);
        }
        if self.table.offers().len() >= limits.offers || self.table.len() >= limits.leases {
            return Err(DropReason::TableFull);
        }
        Ok(())
    }

    /// An address for a client without a claim: free ones in turn, then the one whose lease ended longest ago. Pools
    /// of its classes go before those for anybody.
    fn new_address(&mut self, plan: &Plan, asked: &Asked<'_, '_>) -> Option<u32> {
        let pools = &asked.plan_subnet(plan).pools;
        let states = self.table.pools(asked.subnet);
        let mut find = |search: fn(&mut PoolState) -> Option<u32>| {
            [true, false].into_iter().find_map(|of_class| {
                let fitting = pools
                    .iter()
                    .zip(states.iter_mut())
                    .filter(|(pool, _)| pool.class.is_some() == of_class && pool.is_for(asked.classes));
                fitting.into_iter().find_map(|(_, state)| search(state))
            })
        };
        find(PoolState::next_free).or_else(|| find(|state| state.longest_ended()))
    }

    /// Whether the plan lets the client have this address.
    pub(super) fn is_permitted(&self, plan: &Plan, asked: &Asked<'_, '_>, address: u32) -> bool {
        let subnet = asked.plan_subnet(plan);
        if let Some(reserved) = self.reserved(plan, asked) {
            if reserved == address {
                return true;
            }
            // It is to move to its own address as soon as nobody else has that.
            if self.is_open_to(asked, reserved) {
                return false;
            }
        }
        let pool = subnet.pool_of(address.into()).map(|pool| &subnet.pools[pool]);
        !self.table.is_kept(address) && pool.is_some_and(|pool| pool.is_for(asked.classes))
    }

    /// Whether nobody but this client has the address, or is offered it.
    pub(super) fn is_open_to(&self, asked: &Asked<'_, '_>, address: u32) -> bool {
        let subnet = asked.subnet as u32;
        let others = |offer: &Offer| offer.subnet != subnet || offer.client != asked.client;
        let record_allows = self.table.record(address).is_none_or(|record| match record.state {
            LeaseState::Bound => record.is_of(&asked.client) && !record.is_open,
            LeaseState::Released | LeaseState::Expired => !record.is_open,
            LeaseState::Declined => false,
        });
        record_allows && !self.table.offer_of(address).is_some_and(others)
    }

    /// How the address is to be probed, if at all.
    fn means(&mut self, plan: &Plan, asked: &Asked<'_, '_>) -> Option<Means> {
        let means = match (asked.plan_subnet(plan).probe, asked.is_on_link()) {
            (Probe::Auto | Probe::Arp, true) => Means::Arp,
            (Probe::Icmp, _) | (Probe::Auto, false) => Means::Icmp,
            (Probe::Off, _) | (Probe::Arp, false) => return None,
        };
        if self.probing.len() >= PROBES_MAX {
            self.stats.probes_skipped += 1;
            return None;
        }
        Some(means)
    }

    /// Says what a probe found. The OFFER stands in `reply` when nobody answered; else another address is tried.
    pub fn probed(&mut self, now: Now, ticket: Ticket, in_use: bool, reply: &mut Writer<'_>) -> Verdict {
        let verdict = self.after_probe(now, ticket, in_use, reply);
        if let Verdict::Drop(reason) = verdict {
            self.stats.drop(reason);
        }
        verdict
    }

    fn after_probe(&mut self, now: Now, ticket: Ticket, in_use: bool, reply: &mut Writer<'_>) -> Verdict {
        let gone = Verdict::Drop(DropReason::UnknownLease);
        let plan = std::sync::Arc::clone(&self.plan);
        let Some(address) = self.probing.remove(&ticket.0) else { return gone };
        let until = now.mono + plan.limits().offer_hold;
        // The offer may have lapsed, and the address may be offered to somebody else by now.
        let is_waiting =
            |offer: &Offer| offer.probing.as_ref().is_some_and(|probing| probing.ticket == ticket.0);
        if !self.table.offer_of(address).is_some_and(is_waiting) {
            return gone;
        }
        let Some(probing) = self.table.prolong(address, until).and_then(|offer| offer.probing.take()) else {
            return gone;
        };
        if in_use {
            self.table.withdraw(&plan, address);
            // Who answers may be the one that has a lease of it.
            if self.table.record(address).is_none_or(|record| record.state.is_remembered() && !record.is_open)
            {
                self.quarantine(&plan, now, address);
            }
        }
        let arrival = Arrival {
            octets: &probing.octets,
            interface: probing.interface,
            source: probing.source,
            destination: probing.destination,
        };
        let Ok(message) = Message::parse(&probing.octets) else { return gone };
        let agent = message.agent();
        let kind = MessageType::Discover;
        let asked = match asked::ask(self, &plan, now, &arrival, &message, kind, agent.as_ref()) {
            Ok(asked) => asked,
            Err(reason) => return Verdict::Drop(reason),
        };
        match in_use {
            false => self.offer(&plan, &asked, address, reply),
            true if probing.tries + 1 >= TRIES_MAX => Verdict::Drop(DropReason::NoAddress),
            true => self.discover(&plan, &asked, probing.tries + 1, reply),
        }
    }

    /// Keeps everybody from an address that somebody uses who has no lease of it. In memory alone: after a restart
    /// it is probed again.
    fn quarantine(&mut self, plan: &Plan, now: Now, address: u32) {
        self.stats.conflicts += 1;
        let hardware = HardwareAddress::default();
        let hold = plan.limits().decline_hold;
        let lease = Lease {
            address: address.into(),
            client: ClientKey::new(&[]),
            hardware,
            state: LeaseState::Declined,
            began: now.wall,
            ends: Some(now.wall + hold),
            seconds: u32::try_from(hold.as_secs()).unwrap_or(u32::MAX),
            host: None,
            name: None,
            relay: core::net::Ipv4Addr::UNSPECIFIED,
            agent: None,
        };
        let subnet = super::table::subnet_of(plan, address);
        self.table.remove(plan, address);
        self.table.insert(plan, Record::new(&lease, subnet, now));
        self.count_decline(plan, now, subnet);
    }
}
