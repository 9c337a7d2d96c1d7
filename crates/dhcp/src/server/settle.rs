//! Changes that are being written: made in memory at once, so that nobody else gets the address meanwhile, and
//! taken back when they could not be written. Leases that end by themselves.

use core::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::asked::Asked;
use super::naming::Naming;
use super::record::{NEVER, Record, wall};
use super::request::record_for;
use super::verdict::{Now, RowChange, Settlement, Ticket};
use crate::lease::{ClientKey, LeaseState};
use crate::name::{Identity, NameChange};
use crate::plan::Plan;

/// After so long a lease that could not be ended is looked at again.
const AGAIN: Duration = Duration::from_secs(10);

/// A change that is being written: how things were before, by address.
#[derive(Debug)]
pub(super) struct Open {
    first: (u32, Option<Record>),
    /// The address that the client leaves for the first one.
    second: Option<(u32, Option<Record>)>,
    /// Whether the first address is to be known no more. Its record stays until that is written: nobody may get
    /// the address before.
    is_forgotten: bool,
}

impl Server {
    /// Makes the address the client's. What it means is to be written before the client hears of it.
    pub(super) fn bind(
        &mut self,
        plan: &Plan,
        asked: &Asked<'_, '_>,
        address: u32,
        seconds: u32,
        naming: &Naming<'_>,
    ) -> Settlement {
        let subnet = asked.subnet as u32;
        if let Some(offered) = self.table.offer_to(subnet, &asked.client).map(|offer| offer.address) {
            self.table.withdraw(plan, offered);
        }
        let earlier = self.table.of_client(subnet, &asked.client);
        let earlier = earlier.filter(|own| own.address != address && own.state == LeaseState::Bound);
        let earlier = earlier.map(|own| own.address);
        let mut settlement =
            Settlement { ticket: self.next_ticket(), rows: Vec::with_capacity(1), names: Vec::new() };
        let second = earlier.and_then(|earlier| {
            let before = self.finish(plan, asked.now, earlier, LeaseState::Released, &mut settlement)?;
            Some((earlier, Some(before)))
        });
        let own = self.table.record(address).filter(|before| before.is_of(&asked.client));
        let mut record = record_for(asked, address, seconds, &naming.host, own);
        record.is_open = true;
        self.name(plan, asked, own, &mut record, naming, &mut settlement);
        settlement.rows.push(RowChange::Put(record.lease()));
        // The same client at the same place: everything that is looked up stays as it is.
        let stays = own.is_some_and(|own| own.state == LeaseState::Bound && same_place(own, &record));
        let before = match self.table.record_mut(address).filter(|_| stays) {
            Some(place) => {
                record.due = place.due;
                let before = std::mem::replace(place, record);
                self.table.schedule(address);
                Some(before)
            }
            None => {
                let before = self.table.remove(plan, address);
                self.table.insert(plan, record);
                before
            }
        };
        self.open.insert(settlement.ticket.0, Open { first: (address, before), second, is_forgotten: false });
        settlement
    }

    /// What the lease means for DNS.
    fn name(
        &self,
        plan: &Plan,
        asked: &Asked<'_, '_>,
        own: Option<&Record>,
        record: &mut Record,
        naming: &Naming<'_>,
        settlement: &mut Settlement,
    ) {
        let Some(names) = asked.plan_subnet(plan).names.as_ref() else { return };
        let before = own.map(|own| own.name()).filter(|name| !name.is_empty());
        let before = before.map(|name| String::from_utf8_lossy(name).into_owned());
        if naming.wanted {
            let is_same = own.is_some_and(|own| own.host() == naming.host.as_bytes());
            if before.is_some() && is_same {
                return;
            }
            settlement.names.push(NameChange::Bound {
                host: naming.host.clone().into_owned(),
                domain: names.domain.clone(),
                address: Ipv4Addr::from_bits(record.address).into(),
                client: identity(&record.client(), record),
                seconds: record.seconds,
                before,
            });
        } else if let Some(name) = before {
            settlement.names.push(NameChange::Ended {
                name,
                domain: names.domain.clone(),
                address: Ipv4Addr::from_bits(record.address).into(),
                client: identity(&record.client(), record),
            });
            record.set_name(&[]);
        }
    }

    /// Ends a lease; `None` when there is none, or a change of it is being written.
    pub(super) fn end(
        &mut self,
        plan: &Plan,
        now: Now,
        address: u32,
        state: LeaseState,
    ) -> Option<Settlement> {
        if self.table.record(address)?.is_open {
            return None;
        }
        let ticket = self.next_ticket();
        let mut settlement = Settlement { ticket, rows: Vec::with_capacity(1), names: Vec::new() };
        let before = self.finish(plan, now, address, state, &mut settlement)?;
        let first = (address, Some(before));
        self.open.insert(ticket.0, Open { first, second: None, is_forgotten: false });
        Some(settlement)
    }

    /// Puts a lease into a state in which its client has it no more. Returns how it was.
    fn finish(
        &mut self,
        plan: &Plan,
        now: Now,
        address: u32,
        state: LeaseState,
        settlement: &mut Settlement,
    ) -> Option<Record> {
        let before = self.table.remove(plan, address)?;
        let mut record = before.clone();
        record.state = state;
        record.is_open = true;
        record.due = NEVER;
        match state {
            LeaseState::Declined => {
                let hold = plan.limits().decline_hold;
                (record.ends, record.ends_wall) = (now.mono + hold, wall(now.wall + hold));
            }
            LeaseState::Released => (record.ends, record.ends_wall) = (now.mono, wall(now.wall)),
            // It ended when it ended.
            LeaseState::Expired | LeaseState::Bound => {}
        }
        let domain = plan.subnets().get(record.subnet as usize).and_then(|subnet| subnet.names.as_ref());
        if !record.name().is_empty() {
            let name = String::from_utf8_lossy(record.name()).into_owned();
            // Without a domain in the plan, the one that the name was in.
            let own = || name.split_once('.').map(|(_, domain)| domain.to_owned()).unwrap_or_default();
            settlement.names.push(NameChange::Ended {
                domain: domain.map_or_else(own, |names| names.domain.clone()),
                name,
                address: Ipv4Addr::from_bits(address).into(),
                client: identity(&record.client(), &record),
            });
            record.set_name(&[]);
        }
        settlement.rows.push(RowChange::Put(record.lease()));
        self.table.insert(plan, record);
        Some(before)
    }

    /// Says whether a change was written. One that was not is taken back.
    pub fn settled(&mut self, now: Now, ticket: Ticket, durable: bool) {
        let Some(open) = self.open.remove(&ticket.0) else { return };
        let plan = Arc::clone(&self.plan);
        if !durable {
            self.stats.failed += 1;
        }
        for (address, before) in [Some(open.first), open.second].into_iter().flatten() {
            if durable && open.is_forgotten {
                self.table.remove(&plan, address);
                continue;
            }
            if durable {
                if let Some(record) = self.table.record_mut(address) {
                    record.is_open = false;
                }
                continue;
            }
            self.table.remove(&plan, address);
            if let Some(mut before) = before {
                before.subnet = super::table::subnet_of(&plan, address);
                before.due = NEVER;
                let is_remembered = before.state.is_remembered();
                let is_over = !is_remembered && before.ends <= now.mono;
                let client = before.client();
                let is_for_another = self.table.offer_of(address).is_some_and(|offer| offer.client != client);
                if is_for_another && !is_remembered {
                    self.table.withdraw(&plan, address);
                }
                self.table.insert(&plan, before);
                if is_over {
                    self.table.schedule_at(address, now.mono + AGAIN);
                }
            }
        }
    }

    /// The name that a lease has in DNS now.
    pub fn named(&mut self, address: Ipv4Addr, name: Option<&str>) {
        if let Some(record) = self.table.record_mut(address.to_bits()) {
            record.set_name(name.unwrap_or_default().as_bytes());
        }
    }

    /// Ends what is over, at most `max` leases, and returns what is to be written of it. Leases without a name
    /// need no writing: their rows say when they end.
    pub fn expire(&mut self, now: Now, max: usize) -> Vec<Settlement> {
        let plan = Arc::clone(&self.plan);
        while let Some(offer) = self.table.lapse(&plan, now.mono) {
            if let Some(probing) = offer.probing {
                self.probing.remove(&probing.ticket);
            }
        }
        let mut settlements = Vec::new();
        for _ in 0..max {
            let Some(address) = self.table.next_over(now.mono) else { break };
            let Some(record) = self.table.record(address) else { continue };
            if record.is_open || self.degraded {
                self.table.schedule_at(address, now.mono + AGAIN);
                continue;
            }
            match record.state {
                LeaseState::Bound if record.name().is_empty() => {
                    self.stats.expired += 1;
                    if let Some(mut record) = self.table.remove(&plan, address) {
                        record.state = LeaseState::Expired;
                        record.due = NEVER;
                        self.table.insert(&plan, record);
                    }
                }
                LeaseState::Bound => {
                    self.stats.expired += 1;
                    settlements.extend(self.end(&plan, now, address, LeaseState::Expired));
                }
                LeaseState::Declined => settlements.extend(self.forget(address)),
                LeaseState::Released | LeaseState::Expired => {}
            }
        }
        settlements
    }

    /// Forgets what is known of an address, so that anybody may get it; `None` when a change of it is being written.
    pub(super) fn forget(&mut self, address: u32) -> Option<Settlement> {
        let record = self.table.record_mut(address).filter(|record| !record.is_open)?;
        let before = record.clone();
        record.is_open = true;
        let ticket = self.next_ticket();
        let first = (address, Some(before));
        self.open.insert(ticket.0, Open { first, second: None, is_forgotten: true });
        Some(Settlement { ticket, rows: vec![RowChange::Delete(address.into())], names: Vec::new() })
    }
}

/// Whether all that a lease is found by is the same.
fn same_place(before: &Record, after: &Record) -> bool {
    before.subnet == after.subnet
        && before.relay == after.relay
        && before.hardware == after.hardware
        && before.agent() == after.agent()
        && before.client() == after.client()
}

/// Whose name it is. A client identifier that says no more than the hardware address counts as that.
fn identity(client: &ClientKey, record: &Record) -> Identity {
    if *client == ClientKey::of_hardware(&record.hardware) {
        Identity::Hardware(client.octets().to_vec())
    } else {
        Identity::of_client_identifier(client.octets())
    }
}
