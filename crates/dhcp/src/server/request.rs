//! REQUEST in its four states, RELEASE, DECLINE and INFORM. RFC 2131 §4.3.2 to §4.3.5.
//!
//! The state of a client is told by what it sends: a server identifier when it selects (SELECTING), a requested
//! address without one after a start (INIT-REBOOT), its own address when it asks for more time (RENEWING,
//! REBINDING).

use core::net::{Ipv4Addr, SocketAddrV4};

use doorway_base::{Instant, Writer};

use super::Server;
use super::asked::Asked;
use super::counters::{Alarm, Stats, raise};
use super::record::{NEVER, NO_SUBNET, Place, Record, Texts};
use super::reply::Answer;
use super::verdict::{Destination, DropReason, Now, Verdict};
use crate::lease::LeaseState;
use crate::plan::Plan;
use crate::wire::{CLIENT_PORT, MessageType};

impl Server {
    /// Acknowledges the lease of an address, or refuses it.
    pub(super) fn request(&mut self, plan: &Plan, asked: &Asked<'_, '_>, reply: &mut Writer<'_>) -> Verdict {
        let (message, subnet) = (asked.message, asked.subnet as u32);
        let ciaddr = message.ciaddr();
        let requested = message.requested_address().filter(|address| !address.is_unspecified());
        let own = self.table.of_client(subnet, &asked.client).map(|own| (own.address, own.is_open));
        if own.is_some_and(|(_, is_open)| is_open) {
            return Verdict::Drop(DropReason::Unsettled);
        }
        let offered = self.table.offer_to(subnet, &asked.client);
        let offered = offered.filter(|offer| offer.probing.is_none()).map(|offer| offer.address);
        if let Some(server) = message.server_id() {
            if !asked.is_mine(plan, server) {
                let Some(address) = offered else { return Verdict::Drop(DropReason::OtherServer) };
                self.table.withdraw(plan, address);
                return Verdict::Drop(DropReason::OfferFreed);
            }
            let wanted = requested.or(Some(ciaddr).filter(|address| !address.is_unspecified()));
            let Some(wanted) = wanted.map(Ipv4Addr::to_bits) else {
                return Verdict::Drop(DropReason::Senseless);
            };
            if offered != Some(wanted) && own.is_none_or(|(own, _)| own != wanted) {
                // An offer that lapsed, or that another run of this program made.
                if !self.is_permitted(plan, asked, wanted) || !self.is_open_to(asked, wanted) {
                    return self.refuse(plan, asked, "the address is not offered to you", reply);
                }
                if let Err(reason) = self.admits_newcomer(plan, asked) {
                    return Verdict::Drop(reason);
                }
            }
            return self.grant(plan, asked, wanted, reply);
        }
        let wanted = match (ciaddr.is_unspecified(), requested) {
            (true, Some(requested)) => requested,
            (false, _) => ciaddr,
            (true, None) => return Verdict::Drop(DropReason::Senseless),
        };
        if !asked.plan_subnet(plan).network.contains(wanted) {
            return self.refuse(plan, asked, "the address is not of this network", reply);
        }
        if own.is_some_and(|(own, _)| own == wanted.to_bits()) {
            return self.grant(plan, asked, wanted.to_bits(), reply);
        }
        // A client that is known, and one that only a server which knows all may judge.
        if own.is_some() || plan.draft.authoritative {
            return self.refuse(plan, asked, "the address is not leased to you", reply);
        }
        Verdict::Drop(DropReason::UnknownLease)
    }

    /// Gives the client the address, if nothing stands against it.
    fn grant(&mut self, plan: &Plan, asked: &Asked<'_, '_>, address: u32, reply: &mut Writer<'_>) -> Verdict {
        // It was offered while the end of its last lease is being written: the client asks again.
        let is_ending = |record: &Record| record.is_open && record.state.is_remembered();
        if self.table.record(address).is_some_and(is_ending) {
            return Verdict::Drop(DropReason::Unsettled);
        }
        if !self.is_permitted(plan, asked, address) || !self.is_open_to(asked, address) {
            return self.refuse(plan, asked, "the address is for somebody else", reply);
        }
        if self.degraded {
            return self.remind(plan, asked, address, reply);
        }
        let seconds = asked.times(plan).seconds(asked.message.lease_seconds());
        let naming = self.naming(plan, asked);
        let answer =
            Answer { kind: MessageType::Ack, yiaddr: address.into(), seconds: Some(seconds), naming };
        if let Err(reason) = self.compose(plan, asked, &answer, reply) {
            return Verdict::Drop(reason);
        }
        Stats::count(&mut self.stats.sent, MessageType::Ack);
        let destination = self.destination(asked, answer.yiaddr);
        let settlement = self.bind(plan, asked, address, seconds, &answer.naming);
        Verdict::Settle(settlement, Some(destination))
    }

    /// While leases cannot be written: tells the client what is left of the one that it has.
    fn remind(
        &mut self,
        plan: &Plan,
        asked: &Asked<'_, '_>,
        address: u32,
        reply: &mut Writer<'_>,
    ) -> Verdict {
        let own = self.table.record(address).filter(|own| own.state == LeaseState::Bound);
        let Some(ends) = own.map(|own| own.ends).filter(|ends| *ends > asked.now.mono) else {
            return Verdict::Drop(DropReason::Degraded);
        };
        let left = u32::try_from((ends - asked.now.mono).as_secs()).unwrap_or(u32::MAX);
        if left == 0 {
            return Verdict::Drop(DropReason::Degraded);
        }
        let naming = self.naming(plan, asked);
        let answer = Answer { kind: MessageType::Ack, yiaddr: address.into(), seconds: Some(left), naming };
        if let Err(reason) = self.compose(plan, asked, &answer, reply) {
            return Verdict::Drop(reason);
        }
        Stats::count(&mut self.stats.sent, MessageType::Ack);
        Verdict::Reply(self.destination(asked, answer.yiaddr))
    }

    /// The client gives its address back.
    pub(super) fn release(&mut self, plan: &Plan, asked: &Asked<'_, '_>) -> Verdict {
        if asked.message.server_id().is_some_and(|server| !asked.is_mine(plan, server)) {
            return Verdict::Drop(DropReason::OtherServer);
        }
        let address = asked.message.ciaddr().to_bits();
        let own = self.table.record(address).filter(|own| own.is_of(&asked.client));
        let Some(own) = own.filter(|own| own.state == LeaseState::Bound) else {
            return Verdict::Drop(DropReason::UnknownLease);
        };
        if own.is_open {
            return Verdict::Drop(DropReason::Unsettled);
        }
        match self.end(plan, asked.now, address, LeaseState::Released) {
            Some(settlement) => Verdict::Settle(settlement, None),
            None => Verdict::Drop(DropReason::UnknownLease),
        }
    }

    /// The client found that somebody else uses the address.
    pub(super) fn decline(&mut self, plan: &Plan, asked: &Asked<'_, '_>) -> Verdict {
        if asked.message.server_id().is_none_or(|server| !asked.is_mine(plan, server)) {
            return Verdict::Drop(DropReason::OtherServer);
        }
        let Some(address) = asked.message.requested_address().map(Ipv4Addr::to_bits) else {
            return Verdict::Drop(DropReason::Senseless);
        };
        let own = self.table.record(address).filter(|own| own.is_of(&asked.client));
        let Some(own) = own.filter(|own| own.state == LeaseState::Bound) else {
            return Verdict::Drop(DropReason::UnknownLease);
        };
        if own.is_open {
            return Verdict::Drop(DropReason::Unsettled);
        }
        let subnet = own.subnet;
        let settlement = self.end(plan, asked.now, address, LeaseState::Declined);
        self.count_decline(plan, asked.now, subnet);
        match settlement {
            Some(settlement) => Verdict::Settle(settlement, None),
            None => Verdict::Drop(DropReason::UnknownLease),
        }
    }

    /// Counts an address that was found in use, and raises an alarm when there are many.
    pub(super) fn count_decline(&mut self, plan: &Plan, now: Now, subnet: u32) {
        if subnet == NO_SUBNET {
            return;
        }
        let pool = self.table.counts(subnet as usize).pool;
        if let Some(declined) = self.declines[subnet as usize].count(now.mono, pool) {
            let network = plan.subnets()[subnet as usize].network;
            raise(&mut self.alarms, Alarm::Declines { network, declined });
        }
    }

    /// A client with an address of its own wants to know the rest.
    pub(super) fn inform(&mut self, plan: &Plan, asked: &Asked<'_, '_>, reply: &mut Writer<'_>) -> Verdict {
        if asked.message.ciaddr().is_unspecified() {
            return Verdict::Drop(DropReason::Senseless);
        }
        let answer = Answer::without_address(MessageType::Ack);
        if let Err(reason) = self.compose(plan, asked, &answer, reply) {
            return Verdict::Drop(reason);
        }
        Stats::count(&mut self.stats.sent, MessageType::Ack);
        if asked.is_answered_straight(plan) {
            let client = SocketAddrV4::new(asked.message.ciaddr(), CLIENT_PORT);
            return Verdict::Reply(Destination::Unicast(client));
        }
        Verdict::Reply(self.destination(asked, Ipv4Addr::UNSPECIFIED))
    }
}

/// The record of a lease for who asks.
pub(super) fn record_for(
    asked: &Asked<'_, '_>,
    address: u32,
    seconds: u32,
    host: &str,
    before: Option<&Record>,
) -> Record {
    // Who renews without the relay agent is still behind it, at the same port.
    let is_direct = asked.is_on_link() && asked.agent.is_none() && !asked.message.ciaddr().is_unspecified();
    let behind = before.filter(|before| is_direct && before.state == LeaseState::Bound);
    let agent = behind.map(|before| before.agent()).filter(|agent| !agent.is_empty());
    let texts = Texts {
        client: &asked.client,
        hardware: &asked.hardware,
        host: host.as_bytes(),
        name: before.map(|before| before.name()).unwrap_or_default(),
        agent: agent.or(asked.agent.map(|agent| agent.octets())).unwrap_or_default(),
    };
    let relay = behind.map_or(asked.giaddr().to_bits(), |before| before.relay);
    let place = Place { address, subnet: asked.subnet as u32, relay };
    let mut record = Record::bound(asked.now, place, seconds, &texts);
    if let Some(before) = before.filter(|before| before.state == LeaseState::Bound) {
        record.began = before.began;
        // The client may never hear of a shorter lease, and go by the one it has.
        if before.ends > record.ends {
            (record.ends, record.seconds) = (before.ends, before.seconds);
            record.ends_wall = record.ends_wall.max(before.ends_wall);
        }
    }
    debug_assert!((record.ends == Instant::NEVER) == (record.ends_wall == NEVER), "both clocks agree");
    record
}
