//! The table of leases and offers, with all that must agree with it: pools, counts of ports, times.
//!
//! A record is put in and taken out whole; everything else follows from that. Not here: who gets what.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hasher;

use doorway_base::{Instant, Random};
use siphasher::sip::SipHasher13;

use super::index::Index;
use super::offers::{Offer, Offers};
use super::pool::PoolState;
use super::record::{NEVER, NO_SUBNET, Record};
use crate::lease::{ClientKey, LeaseState};
use crate::plan::Plan;
use crate::wire::Agent;

/// The address that marks a place without a record: 0.0.0.0 is nobody's.
const VACANT: u32 = 0;

/// What is leased and offered behind one port.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Port {
    pub(crate) leases: u32,
    pub(crate) offers: u32,
}

/// Addresses of one subnet, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubnetCounts {
    /// Addresses of all pools.
    pub pool: u32,
    /// Those that somebody new may get: never given, or only remembered.
    pub available: u32,
    /// Leases in force.
    pub bound: u32,
    /// Leases that were given back and are remembered.
    pub released: u32,
    /// Leases whose time is over and that are remembered.
    pub expired: u32,
    /// Addresses that were found in use by somebody else.
    pub declined: u32,
    /// Offers.
    pub offered: u32,
}

impl SubnetCounts {
    fn of_state(&mut self, state: LeaseState) -> &mut u32 {
        match state {
            LeaseState::Bound => &mut self.bound,
            LeaseState::Released => &mut self.released,
            LeaseState::Expired => &mut self.expired,
            LeaseState::Declined => &mut self.declined,
        }
    }
}

/// All leases and offers.
#[derive(Debug)]
pub(crate) struct Table {
    records: Vec<Record>,
    vacant: Vec<u32>,
    by_address: Index,
    by_client: Index,
    /// Which records are to be looked at in which second of the monotonic clock. A record that was prolonged
    /// stays where it is and moves on when its turn comes.
    wheel: BTreeMap<u32, Vec<u32>>,
    offers: Offers,
    pools: Vec<Vec<PoolState>>,
    ports: HashMap<u64, Port>,
    counts: Vec<SubnetCounts>,
    /// Addresses that no pool gives: reserved ones, and our own.
    kept: HashSet<u32>,
    hasher: SipHasher13,
}

impl Table {
    pub(crate) fn new(plan: &Plan, kept: HashSet<u32>, random: &mut Random) -> Self {
        let hasher = SipHasher13::new_with_keys(random.next_u64(), random.next_u64());
        Self::with_hasher(plan, kept, hasher)
    }

    fn with_hasher(plan: &Plan, kept: HashSet<u32>, hasher: SipHasher13) -> Self {
        let pools = plan.subnets().iter().map(|subnet| subnet.pools.iter().map(PoolState::new).collect());
        let mut table = Self {
            records: Vec::new(),
            vacant: Vec::new(),
            by_address: Index::new(),
            by_client: Index::new(),
            wheel: BTreeMap::new(),
            offers: Offers::new(),
            pools: pools.collect(),
            ports: HashMap::new(),
            counts: vec![SubnetCounts::default(); plan.subnets().len()],
            kept: HashSet::new(),
            hasher,
        };
        let mut kept: Vec<u32> = kept.into_iter().collect();
        kept.sort_unstable();
        for address in kept {
            table.keep(plan, address, true);
        }
        table
    }

    /// The same leases under another plan. Offers lapse: their clients ask again.
    pub(crate) fn replan(&mut self, plan: &Plan, kept: HashSet<u32>) {
        let mut table = Self::with_hasher(plan, kept, self.hasher);
        let records = std::mem::take(&mut self.records);
        for mut record in records.into_iter().filter(|record| record.address != VACANT) {
            record.subnet = subnet_of(plan, record.address);
            record.due = NEVER;
            table.insert(plan, record);
        }
        *self = table;
    }

    fn hash(&self, write: impl FnOnce(&mut SipHasher13)) -> u64 {
        let mut hasher = self.hasher;
        write(&mut hasher);
        hasher.finish()
    }

    /// A hash of a hardware address, for counting its messages.
    pub(crate) fn sender_hash(&self, octets: &[u8]) -> u64 {
        self.hash(|hasher| hasher.write(octets))
    }

    fn address_hash(&self, address: u32) -> u32 {
        (address ^ address >> 16).wrapping_mul(0x9e37_79b1).rotate_right(15)
    }

    fn client_hash(&self, subnet: u32, client: &ClientKey) -> u32 {
        let hash = self.hash(|hasher| {
            hasher.write_u32(subnet);
            hasher.write(client.octets());
        });
        (hash >> 32) as u32
    }

    /// The port that a client is behind: the circuit and the remote end that the relay agent names, or the agent
    /// itself, or the link. Never 0.
    pub(crate) fn port(&self, subnet: u32, relay: u32, agent: Option<&Agent<'_>>) -> u64 {
        let circuit = agent.and_then(|agent| agent.circuit_id()).unwrap_or_default();
        let remote = agent.and_then(|agent| agent.remote_id()).unwrap_or_default();
        let hash = self.hash(|hasher| {
            hasher.write_u32(subnet);
            hasher.write_u32(relay);
            hasher.write_u8(circuit.len() as u8);
            hasher.write(circuit);
            hasher.write(remote);
        });
        hash.max(1)
    }

    fn port_of(&self, record: &Record) -> u64 {
        let agent = Agent::parse(record.agent()).ok();
        self.port(record.subnet, record.relay, agent.as_ref())
    }

    /// Records in all.
    pub(crate) fn len(&self) -> usize {
        self.records.len() - self.vacant.len()
    }

    pub(crate) fn offers(&self) -> &Offers {
        &self.offers
    }

    /// What is leased and offered behind a port.
    pub(crate) fn port_use(&self, port: u64) -> Port {
        self.ports.get(&port).copied().unwrap_or_default()
    }

    /// Ports with leases or offers.
    #[cfg(test)]
    pub(crate) fn ports_in_use(&self) -> usize {
        self.ports.len()
    }

    /// The counts of a subnet.
    pub(crate) fn counts(&self, subnet: usize) -> SubnetCounts {
        let pools = &self.pools[subnet];
        SubnetCounts {
            pool: pools.iter().map(PoolState::count).sum(),
            available: pools.iter().map(PoolState::available).sum(),
            ..self.counts[subnet]
        }
    }

    /// The pools of a subnet.
    pub(crate) fn pools(&mut self, subnet: usize) -> &mut [PoolState] {
        &mut self.pools[subnet]
    }

    fn place_of(&self, address: u32) -> Option<u32> {
        let hash = self.address_hash(address);
        self.by_address.find(hash, |place| self.records[place as usize].address == address)
    }

    /// The record of an address.
    pub(crate) fn record(&self, address: u32) -> Option<&Record> {
        self.place_of(address).map(|place| &self.records[place as usize])
    }

    /// The record of an address, to change its end, its texts but for client and agent, or whether it is open.
    /// Call [`schedule`](Self::schedule) when the end changed.
    pub(crate) fn record_mut(&mut self, address: u32) -> Option<&mut Record> {
        self.place_of(address).map(|place| &mut self.records[place as usize])
    }

    /// The record of a client in a subnet: the one in force, else the one that ended last.
    pub(crate) fn of_client(&self, subnet: u32, client: &ClientKey) -> Option<&Record> {
        let hash = self.client_hash(subnet, client);
        let place = self.by_client.find(hash, |place| {
            let record = &self.records[place as usize];
            record.subnet == subnet && record.is_of(client)
        });
        place.map(|place| &self.records[place as usize])
    }

    /// Every record, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.address != VACANT)
    }

    /// Puts a record in. There must be none of its address.
    pub(crate) fn insert(&mut self, plan: &Plan, mut record: Record) {
        let (address, subnet, state) = (record.address, record.subnet, record.state);
        let place = self.vacant.pop().unwrap_or(self.records.len() as u32);
        record.due = self.records.get(place as usize).map_or(NEVER, |vacant| vacant.due);
        if subnet != NO_SUBNET && state != LeaseState::Declined {
            let client = record.client();
            let hash = self.client_hash(subnet, &client);
            // Of several, the one in force is found, else the one that ended last.
            let rank = |record: &Record| (record.state == LeaseState::Bound, record.ends_wall);
            let before = self.of_client(subnet, &client).map(|before| (before.address, rank(before)));
            match before {
                Some((_, before)) if before >= rank(&record) => {}
                Some((address, _)) => {
                    if let Some(place) = self.place_of(address) {
                        self.by_client.remove(hash, place);
                    }
                    self.by_client.insert(hash, place);
                }
                None => self.by_client.insert(hash, place),
            }
        }
        if subnet != NO_SUBNET {
            *self.counts[subnet as usize].of_state(state) += 1;
            if !state.is_remembered() {
                let port = self.port_of(&record);
                self.ports.entry(port).or_default().leases += 1;
            }
        }
        let ended = record.ends_wall;
        match self.records.get_mut(place as usize) {
            Some(vacant) => *vacant = record,
            None => self.records.push(record),
        }
        self.by_address.insert(self.address_hash(address), place);
        self.schedule(address);
        let is_offered = self.offer_of(address).is_some();
        let is_kept = self.kept.contains(&address);
        if let Some(pool) = self.pool(plan, subnet, address) {
            pool.set_busy(address, true);
            if state.is_remembered() && !is_offered && !is_kept {
                pool.remember(ended, address);
            }
        }
    }

    /// Takes the record of an address out.
    pub(crate) fn remove(&mut self, plan: &Plan, address: u32) -> Option<Record> {
        let place = self.place_of(address)?;
        // The wheel still knows the place; who stands there next is looked at then.
        let vacant = Record { due: self.records[place as usize].due, ..Record::vacant() };
        let record = std::mem::replace(&mut self.records[place as usize], vacant);
        self.by_address.remove(self.address_hash(address), place);
        let subnet = record.subnet;
        if subnet != NO_SUBNET {
            if record.state != LeaseState::Declined {
                self.by_client.remove(self.client_hash(subnet, &record.client()), place);
            }
            *self.counts[subnet as usize].of_state(record.state) -= 1;
            if !record.state.is_remembered() {
                let port = self.port_of(&record);
                self.leave_port(port, |port| port.leases -= 1);
            }
        }
        self.vacant.push(place);
        if let Some(pool) = self.pool(plan, subnet, address) {
            pool.forget(record.ends_wall, address);
        }
        self.refresh(plan, subnet, address);
        Some(record)
    }

    fn leave_port(&mut self, port: u64, leave: impl FnOnce(&mut Port)) {
        if let Some(counts) = self.ports.get_mut(&port) {
            leave(counts);
            if counts.leases == 0 && counts.offers == 0 {
                self.ports.remove(&port);
            }
        }
    }

    fn pool(&mut self, plan: &Plan, subnet: u32, address: u32) -> Option<&mut PoolState> {
        let pool = plan.subnets().get(subnet as usize)?.pool_of(address.into())?;
        self.pools.get_mut(subnet as usize)?.get_mut(pool)
    }

    /// Makes the pool's bit of an address say whether somebody new may get it.
    fn refresh(&mut self, plan: &Plan, subnet: u32, address: u32) {
        let busy = self.record(address).is_some()
            || self.offer_of(address).is_some()
            || self.kept.contains(&address);
        if let Some(pool) = self.pool(plan, subnet, address) {
            pool.set_busy(address, busy);
        }
    }

    /// Keeps an address from being given by a pool, or lets it be given again.
    pub(crate) fn keep(&mut self, plan: &Plan, address: u32, kept: bool) {
        let subnet = subnet_of(plan, address);
        if kept {
            self.kept.insert(address)
        } else {
            self.kept.remove(&address)
        };
        let ended =
            self.record(address).filter(|record| record.state.is_remembered()).map(|record| record.ends_wall);
        let is_offered = self.offer_of(address).is_some();
        if let (Some(ended), Some(pool)) = (ended, self.pool(plan, subnet, address)) {
            if kept || is_offered { pool.forget(ended, address) } else { pool.remember(ended, address) }
        }
        self.refresh(plan, subnet, address);
    }

    /// Whether an address is kept from the pools.
    pub(crate) fn is_kept(&self, address: u32) -> bool {
        !self.kept.is_empty() && self.kept.contains(&address)
    }

    /// The offer of an address.
    pub(crate) fn offer_of(&self, address: u32) -> Option<&Offer> {
        self.offers.of_address(self.address_hash(address), address)
    }

    /// The offer of a client in a subnet.
    pub(crate) fn offer_to(&self, subnet: u32, client: &ClientKey) -> Option<&Offer> {
        self.offers.of_client(self.client_hash(subnet, client), subnet, client)
    }

    /// Notes an offer. Neither its address nor its client has another one.
    pub(crate) fn offer(&mut self, plan: &Plan, offer: Offer) {
        let (subnet, address, port) = (offer.subnet, offer.address, offer.port);
        let client = self.client_hash(subnet, &offer.client);
        self.offers.insert(offer, self.address_hash(address), client);
        self.counts[subnet as usize].offered += 1;
        if port != 0 {
            self.ports.entry(port).or_default().offers += 1;
        }
        let ended = self.record(address).map(|record| record.ends_wall);
        if let Some(pool) = self.pool(plan, subnet, address) {
            pool.set_busy(address, true);
            if let Some(ended) = ended {
                pool.forget(ended, address);
            }
        }
    }

    /// Keeps the offer of an address until `until`; returns it.
    pub(crate) fn prolong(&mut self, address: u32, until: Instant) -> Option<&mut Offer> {
        self.offers.prolong(self.address_hash(address), address, until)
    }

    /// Takes the offer of an address back.
    pub(crate) fn withdraw(&mut self, plan: &Plan, address: u32) -> Option<Offer> {
        let offer = self.offers.remove(self.address_hash(address), address)?;
        self.withdrawn(plan, &offer);
        Some(offer)
    }

    /// Takes back the next offer whose time is over.
    pub(crate) fn lapse(&mut self, plan: &Plan, now: Instant) -> Option<Offer> {
        let offer = self.offers.lapsed(now)?;
        self.withdrawn(plan, &offer);
        Some(offer)
    }

    fn withdrawn(&mut self, plan: &Plan, offer: &Offer) {
        let (subnet, address) = (offer.subnet, offer.address);
        self.counts[subnet as usize].offered -= 1;
        if offer.port != 0 {
            self.leave_port(offer.port, |port| port.offers -= 1);
        }
        let ended =
            self.record(address).filter(|record| record.state.is_remembered()).map(|record| record.ends_wall);
        let is_kept = self.is_kept(address);
        if let (Some(ended), false, Some(pool)) = (ended, is_kept, self.pool(plan, subnet, address)) {
            pool.remember(ended, address);
        }
        self.refresh(plan, subnet, address);
    }

    /// Sees to it that a record is looked at when it ends.
    pub(crate) fn schedule(&mut self, address: u32) {
        let Some(place) = self.place_of(address) else { return };
        let record = &mut self.records[place as usize];
        if record.state.is_remembered() || record.ends == Instant::NEVER {
            return;
        }
        let due = second(record.ends, true);
        if due < record.due {
            record.due = due;
            self.wheel.entry(due).or_default().push(place);
        }
    }

    /// Looks at a record again at `when`, although its end is over.
    pub(crate) fn schedule_at(&mut self, address: u32, when: Instant) {
        let Some(place) = self.place_of(address) else { return };
        let due = second(when, true);
        self.records[place as usize].due = due;
        self.wheel.entry(due).or_default().push(place);
    }

    /// The address of the next record that is over at `now`.
    pub(crate) fn next_over(&mut self, now: Instant) -> Option<u32> {
        let latest = second(now, false);
        loop {
            let mut entry = self.wheel.first_entry().filter(|entry| *entry.key() <= latest)?;
            let due = *entry.key();
            let Some(place) = entry.get_mut().pop() else {
                entry.remove();
                continue;
            };
            let record = &mut self.records[place as usize];
            if record.due != due {
                continue;
            }
            record.due = NEVER;
            if record.address == VACANT || record.state.is_remembered() {
                continue;
            }
            let (address, is_over) = (record.address, record.ends <= now);
            if is_over {
                return Some(address);
            }
            self.schedule(address);
        }
    }

    /// When the next record or offer is to be looked at.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        let record =
            self.wheel.first_key_value().map(|(&second, _)| Instant::from_nanos(u64::from(second) * NANOS));
        match (record, self.offers.next_lapse()) {
            (Some(record), Some(offer)) => Some(record.min(offer)),
            (record, offer) => record.or(offer),
        }
    }
}

const NANOS: u64 = 1_000_000_000;

/// The second of a moment, rounded down, or up.
fn second(moment: Instant, up: bool) -> u32 {
    let nanos = moment.as_nanos();
    let seconds = if up { nanos.div_ceil(NANOS) } else { nanos / NANOS };
    u32::try_from(seconds).unwrap_or(NEVER).min(NEVER - 1)
}

/// The subnet of an address, as records have it.
pub(crate) fn subnet_of(plan: &Plan, address: u32) -> u32 {
    plan.subnet_of(address.into()).map_or(NO_SUBNET, |subnet| subnet as u32)
}
