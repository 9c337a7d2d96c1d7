//! What all doors of a server share: the engine behind its lock, and the ways from its decisions to the store,
//! the links and the clients.
//!
//! The engine is locked for a batch and never over an await. A batch of the store is handed over while it is
//! still locked, so the store gets changes in the order in which they were decided.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorway_base::trace::{Direction, Note};
use doorway_base::{Instant, Writer};
use doorway_net::World;
use doorway_store::{Durability, Receipt, Store};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::counters::{Counters, count};
use super::naming::Naming;
use super::turn::{Gathered, Held, Named, Outgoing, Question, Then, Turn, Way};
use super::{BATCHES_UNDER_WAY_MAX, SERVICE};
use crate::io::flows::{self, Flows};
use crate::io::leases;
use crate::io::probe::Probes;
use crate::io::stop::Stop;
use crate::server::{Alarm, Arrival, Destination, DropReason, Now, Server, Settlement, Verdict};
use crate::wire::CLIENT_PORT;
use crate::wire::message::MESSAGE_OCTETS_MAX;

/// What all doors share.
pub(super) struct Desk {
    pub(super) world: World,
    engine: Mutex<Server>,
    pub(super) store: Arc<dyn Store>,
    pub(super) durability: Durability,
    /// Where changes go that mean something for DNS; `None` when nobody keeps names.
    pub(super) naming: Option<Naming>,
    pub(super) probes: Arc<Probes>,
    pub(super) counters: Counters,
    flows: Flows,
    pub(super) stop: Arc<Stop>,
    /// Batches that are being written.
    pub(super) under_way: Arc<Semaphore>,
    /// Woken when the engine wants to hear of time earlier than it said before.
    pub(super) sooner: Notify,
    /// Woken when writing fails.
    pub(super) failed: Notify,
}

/// The engine, and the time that it is told.
pub(super) struct Locked<'d> {
    pub(super) engine: MutexGuard<'d, Server>,
    pub(super) now: Now,
    desk: &'d Desk,
    due: Option<Instant>,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let due = self.engine.next_timeout();
        if due.is_some_and(|due| self.due.is_none_or(|before| due < before)) {
            self.desk.sooner.notify_one();
        }
    }
}

impl Desk {
    pub(super) fn new(
        world: &World,
        engine: Server,
        store: Arc<dyn Store>,
        durability: Durability,
        naming: Option<Naming>,
    ) -> Arc<Self> {
        Arc::new(Self {
            world: world.clone(),
            engine: Mutex::new(engine),
            store,
            durability,
            naming,
            probes: Arc::new(Probes::new(world, SERVICE)),
            counters: Counters::default(),
            flows: Flows::new(world),
            stop: Arc::default(),
            under_way: Arc::new(Semaphore::new(BATCHES_UNDER_WAY_MAX)),
            sooner: Notify::new(),
            failed: Notify::new(),
        })
    }

    /// The engine. Whoever holds it awaits nothing.
    pub(super) fn lock(&self) -> Locked<'_> {
        // A panic in the engine is caught before it reaches the lock.
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Now { mono: self.world.now(), wall: self.world.wall() };
        let due = engine.next_timeout();
        Locked { engine, now, desk: self, due }
    }

    /// A place among the batches under way; `None` when the server ends.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.under_way).acquire_owned().await.ok()
    }

    /// Shows one message to the engine and notes in `turn` what follows.
    pub(super) fn take(
        &self,
        turn: &mut Turn,
        locked: &mut Locked<'_>,
        (source, destination): (SocketAddrV4, SocketAddrV4),
        octets: &[u8],
        way: &Way,
    ) {
        let Locked { engine, now, .. } = locked;
        let mut room = [0; MESSAGE_OCTETS_MAX];
        let mut reply = Writer::new(&mut room);
        let interface = way.served.place.load(Relaxed);
        let arrival = Arrival { octets, interface, source, destination };
        let verdict = self.world.guarded(SERVICE, || engine.handle(*now, &arrival, &mut reply));
        let dropped = match &verdict {
            Some(Verdict::Drop(reason)) => Some(reason.name()),
            Some(_) => None,
            None => Some("panic"),
        };
        count(&self.counters.messages_in, 1);
        if self.world.trace().is_on() {
            let note = dropped.map(|why| Note { code: "dhcp.drop", text: why.into() });
            self.flows.record(flows::Way::served(Direction::In, destination, source), octets, note);
        }
        match verdict {
            Some(verdict) => self.note(turn, verdict, reply.written(), way.clone()),
            None => count(&self.counters.panics, 1),
        }
    }

    /// Notes what follows from a verdict.
    fn note(&self, turn: &mut Turn, verdict: Verdict, written: &[u8], way: Way) {
        let outgoing = |destination, way| Outgoing { destination, octets: written.to_vec(), way };
        match verdict {
            Verdict::Drop(reason) => self.counters.count_drop(reason),
            Verdict::Reply(destination) => turn.ready.push(outgoing(destination, way)),
            Verdict::Settle(settlement, destination) => {
                let reply = destination.map(|destination| outgoing(destination, way));
                self.note_change(turn, settlement, Then { reply, tell: None });
            }
            Verdict::Probe { ticket, address, means, wait, .. } => {
                turn.questions.push(Question { ticket, address, means, wait, way });
            }
        }
    }

    /// Notes a change that is to be written.
    pub(super) fn note_change(&self, turn: &mut Turn, settlement: Settlement, then: Then) {
        if self.naming.is_some() && !settlement.names.is_empty() {
            turn.named.push(Named { settlement, then });
        } else {
            turn.held.push(Held { ticket: settlement.ticket, then });
            turn.rows.extend(settlement.rows);
        }
    }

    /// Does what a turn asks for. Takes the lock, so that what is to be written is handed over in the order in
    /// which it was decided.
    pub(super) fn act(self: &Arc<Self>, turn: Turn, mut locked: Locked<'_>, place: OwnedSemaphorePermit) {
        let Turn { ready, held, rows, named, questions } = turn;
        let written = (!rows.is_empty()).then(|| self.store.commit(leases::batch(&rows, self.durability)));
        let alarms = locked.engine.alarms();
        drop(locked);
        self.tell(&alarms);
        self.send(ready);
        if let Some(naming) = &self.naming {
            let refused = naming.push(named);
            count(&self.counters.names_refused, refused.len());
            self.settle(refused, false);
        }
        for question in questions {
            self.ask(question);
        }
        match written {
            Some(written) => {
                let desk = Arc::clone(self);
                self.world.spawn(SERVICE, async move {
                    let durable = desk.told(written.await);
                    desk.settle(held, durable);
                    drop(place);
                });
            }
            None => self.settle(held, true),
        }
    }

    /// Tells the operator what the engine wants looked at. It says so once an hour for a subnet.
    fn tell(&self, alarms: &[Alarm]) {
        count(&self.counters.alarms, alarms.len());
        for alarm in alarms {
            let Alarm::Declines { network, declined } = alarm;
            tracing::warn!(
                subnet = %network,
                declined,
                "many addresses were found in use by others within an hour: is there another DHCP server, or hosts with fixed addresses in a pool?"
            );
        }
    }

    /// What the store said about a batch: true when it is written. When the store begins to refuse, or ceases to,
    /// the engine hears of it.
    pub(super) fn told(&self, outcome: Result<Receipt, doorway_store::Error>) -> bool {
        let failed = outcome.as_ref().err();
        let was = self.counters.degraded.swap(failed.is_some(), Relaxed);
        if was != failed.is_some() {
            self.lock().engine.degraded(failed.is_some());
            match failed {
                Some(error) => {
                    tracing::error!(%error, "leases cannot be written: clients keep what they have, and nobody gets more");
                    self.failed.notify_one();
                }
                None => tracing::info!("leases can be written again"),
            }
        }
        failed.is_none()
    }

    /// Tells the engine what became of changes, and sends what waited for those that are durable.
    pub(super) fn settle(&self, held: Vec<Held>, durable: bool) {
        if held.is_empty() {
            return;
        }
        let mut locked = self.lock();
        let now = locked.now;
        for change in &held {
            locked.engine.settled(now, change.ticket, durable);
        }
        drop(locked);
        let counter = if durable { &self.counters.settled } else { &self.counters.unsettled };
        count(counter, held.len());
        let mut replies = Vec::new();
        for Held { then, .. } in held {
            replies.extend(then.reply.filter(|_| durable));
            if let Some(tell) = then.tell {
                // Whoever asked may have gone.
                let _ = tell.send(durable);
            }
        }
        self.send(replies);
    }

    /// Sends messages: datagrams of one socket together, frames one by one.
    fn send(&self, messages: Vec<Outgoing>) {
        if messages.is_empty() {
            return;
        }
        let (mut gathered, mut unsent) = (Gathered::default(), 0);
        let all = messages.len();
        for message in &messages {
            let Outgoing { destination, octets, way } = message;
            let sender = way.sender.as_ref().or(way.served.sender());
            match (message.udp(), sender) {
                (Some(to), Some(sender)) => unsent += gathered.push(sender, to, octets),
                (Some(_), None) => unsent += 1,
                (None, _) => unsent += usize::from(!way.served.send_frame(way.port, *destination, octets)),
            }
        }
        unsent += gathered.flush();
        count(&self.counters.messages_out, all - unsent);
        count(&self.counters.unsent, unsent);
        if self.world.trace().is_on() {
            for message in &messages {
                self.show(message);
            }
        }
    }

    fn show(&self, message: &Outgoing) {
        let Outgoing { destination, octets, way } = message;
        let to = match destination {
            Destination::Relay(to) | Destination::Unicast(to) => *to,
            Destination::Link { address, .. } => SocketAddrV4::new(*address, CLIENT_PORT),
            Destination::Broadcast => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
        };
        let from = SocketAddrV4::new(way.served.address, way.port);
        self.flows.record(flows::Way::served(Direction::Out, from, to), octets, None);
    }

    /// Asks whether an address is in use, and tells the engine. Nobody else waits.
    fn ask(self: &Arc<Self>, question: Question) {
        let desk = Arc::clone(self);
        self.world.spawn(SERVICE, async move {
            let Question { ticket, address, means, wait, way } = question;
            let card = way.served.card();
            let arp = card.as_ref().map(|card| &card.arp);
            let in_use = desk.probes.ask(arp, address, means, wait).await;
            let Some(place) = desk.place().await else { return };
            let mut room = [0; MESSAGE_OCTETS_MAX];
            let mut reply = Writer::new(&mut room);
            let (mut turn, mut locked) = (Turn::default(), desk.lock());
            let Locked { engine, now, .. } = &mut locked;
            let told = || engine.probed(*now, ticket, in_use, &mut reply);
            let verdict = desk.world.guarded(SERVICE, told).unwrap_or(Verdict::Drop(DropReason::Senseless));
            desk.note(&mut turn, verdict, reply.written(), way);
            desk.act(turn, locked, place);
        });
    }
}
