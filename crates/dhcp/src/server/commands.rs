//! What an operator asks and orders.

use core::net::Ipv4Addr;
use std::sync::Arc;

use doorway_base::Instant;

use super::Server;
use super::counters::{Alarm, Stats};
use super::verdict::{Now, Settlement};
use crate::lease::{Lease, LeaseState};
use crate::wire::HardwareAddress;

/// An address that is kept for a client for a short time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferShown {
    /// The address.
    pub address: Ipv4Addr,
    /// The client's hardware address.
    pub hardware: HardwareAddress,
    /// Until when it is kept.
    pub until: Instant,
    /// Whether it is still being found out if somebody uses it.
    pub is_probed: bool,
}

impl Server {
    /// What was counted, and how things stand.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let subnets = self.plan.subnets().iter().enumerate();
        Stats {
            subnets: subnets.map(|(index, subnet)| (subnet.network, self.table.counts(index))).collect(),
            records: self.table.len(),
            open: self.open.len(),
            degraded: self.degraded,
            ..self.stats.clone()
        }
    }

    /// The lease of an address, remembered ones among them.
    #[must_use]
    pub fn lease(&self, address: Ipv4Addr) -> Option<Lease> {
        self.table.record(address.to_bits()).map(super::record::Record::lease)
    }

    /// Every lease, in no order.
    pub fn leases(&self) -> impl Iterator<Item = Lease> {
        self.table.iter().map(super::record::Record::lease)
    }

    /// What is offered, the oldest first.
    #[must_use]
    pub fn offers(&self) -> Vec<OfferShown> {
        let shown = |offer: &super::offers::Offer| OfferShown {
            address: offer.address.into(),
            hardware: offer.hardware,
            until: offer.until,
            is_probed: offer.probing.is_some(),
        };
        self.table.offers().iter().map(shown).collect()
    }

    /// Ends the lease of an address as if its client had given it back; `None` when nobody has it, or a change of
    /// it is being written.
    pub fn take_back(&mut self, now: Now, address: Ipv4Addr) -> Option<Settlement> {
        let plan = Arc::clone(&self.plan);
        let address = address.to_bits();
        self.table.record(address).filter(|record| record.state == LeaseState::Bound)?;
        self.end(&plan, now, address, LeaseState::Released)
    }

    /// Addresses that were found in use.
    #[must_use]
    pub fn declined(&self) -> Vec<Ipv4Addr> {
        let declined = self.table.iter().filter(|record| record.state == LeaseState::Declined);
        let mut addresses: Vec<Ipv4Addr> = declined.map(|record| record.address.into()).collect();
        addresses.sort_unstable();
        addresses
    }

    /// Lets an address be given again that was found in use; `None` when it was not.
    pub fn clear_declined(&mut self, address: Ipv4Addr) -> Option<Settlement> {
        let address = address.to_bits();
        self.table.record(address).filter(|record| record.state == LeaseState::Declined)?;
        self.forget(address)
    }

    /// What an operator should look at, since the last time that this was asked.
    pub fn alarms(&mut self) -> Vec<Alarm> {
        self.alarms.drain(..).collect()
    }
}
