//! The registry of open doors: what `doorway sockets` prints, what metrics count, what a drain walks.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::time::Duration;

use doorway_base::Instant;
use doorway_base::trace::Transport;

use crate::limits::{Admission, Refused};
use crate::listener::Listener;
use crate::lock;
use crate::pulse::{Ended, Ends, Phase, Pulse};
use crate::udp::UdpSocket;
use crate::world::World;

/// Every open door of a world.
#[derive(Debug, Default)]
pub struct Doors {
    doors: Mutex<Vec<Arc<Door>>>,
    panics: AtomicU64,
}

/// A bound address and everything that came through it.
#[derive(Debug)]
pub struct Door {
    /// The service behind it, such as `http`.
    pub service: &'static str,
    /// TCP or UDP.
    pub transport: Transport,
    /// Whether TLS is spoken from the first octet.
    pub tls: bool,
    /// The bound address; [`None`] for a Unix socket.
    pub local: Option<SocketAddr>,
    /// When it was opened.
    pub since: Instant,
    pub(crate) admission: Admission,
    pub(crate) closing: AtomicBool,
    pub(crate) tick: Arc<AtomicU32>,
    /// One list a worker, so that accepting on one worker never waits for another.
    pub(crate) inside: Vec<Mutex<Inside>>,
    /// Its sockets while it is open, for a door that takes its place.
    pub(crate) listeners: Mutex<Vec<Listener>>,
    pub(crate) sockets: Mutex<Vec<UdpSocket>>,
    /// Tasks that accept; woken when the door closes.
    pub(crate) acceptors: Mutex<Vec<Arc<Pulse>>>,
    accepted: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
    ended: [AtomicU64; Ended::ALL.len()],
    datagrams_in: AtomicU64,
    datagrams_out: AtomicU64,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
}

/// The connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) pulses: Vec<Option<Arc<Pulse>>>,
    pub(crate) free: Vec<usize>,
    pub(crate) sweeping: bool,
}

impl Inside {
    pub(crate) fn add(&mut self, pulse: Arc<Pulse>) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.pulses[place] = Some(pulse);
                place
            }
            None => {
                self.pulses.push(Some(pulse));
                self.pulses.len() - 1
            }
        }
    }

    pub(crate) fn remove(&mut self, place: usize) -> Option<Arc<Pulse>> {
        let pulse = self.pulses[place].take();
        self.free.push(place);
        if self.free.len() == self.pulses.len() {
            self.pulses.clear();
            self.free.clear();
        }
        pulse
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Pulse>> {
        self.pulses.iter().flatten()
    }
}

/// Counters of one door since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoorCounts {
    /// Connections open now.
    pub open: u64,
    /// Connections let in.
    pub accepted: u64,
    /// Connections refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Connections ended from outside, by reason.
    pub ended: Vec<(&'static str, u64)>,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Octets received: in datagrams, or on connections that have ended.
    pub octets_in: u64,
    /// Octets sent, likewise.
    pub octets_out: u64,
}

impl DoorCounts {
    /// Adds what another door of the same program has counted.
    pub fn add(&mut self, other: &Self) {
        let Self { open, accepted, refused, ended, datagrams_in, datagrams_out, octets_in, octets_out } =
            self;
        *open += other.open;
        *accepted += other.accepted;
        for (ours, theirs) in [(refused, &other.refused), (ended, &other.ended)] {
            ours.resize(ours.len().max(theirs.len()), ("", 0));
            for (our, their) in ours.iter_mut().zip(theirs) {
                *our = (their.0, our.1 + their.1);
            }
        }
        *datagrams_in += other.datagrams_in;
        *datagrams_out += other.datagrams_out;
        *octets_in += other.octets_in;
        *octets_out += other.octets_out;
    }
}

/// One row of `doorway sockets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketRow {
    /// The service behind the door.
    pub service: &'static str,
    /// TCP or UDP.
    pub transport: Transport,
    /// Whether the octets are encrypted.
    pub tls: bool,
    /// This end; `None` for a Unix socket.
    pub local: Option<SocketAddr>,
    /// The other end of a connection; `None` for a listener or an unconnected UDP socket.
    pub remote: Option<SocketAddr>,
    /// `listening`, `handshake`, `open` or `draining`.
    pub state: &'static str,
    /// Octets received.
    pub octets_in: u64,
    /// Octets sent.
    pub octets_out: u64,
    /// Requests the service counted on it, or connections let in by a listener.
    pub requests: u64,
    /// How long it is open.
    pub age: Duration,
}

impl Door {
    pub(crate) fn new(
        world: &World,
        service: &'static str,
        transport: Transport,
        tls: bool,
        local: Option<SocketAddr>,
    ) -> Arc<Self> {
        let now = world.now();
        Arc::new(Self {
            service,
            transport,
            tls,
            local,
            since: now,
            admission: Admission::default(),
            closing: AtomicBool::new(false),
            tick: Arc::new(AtomicU32::new(tick_of(now))),
            inside: (0..world.workers().max(1)).map(|_| Mutex::default()).collect(),
            listeners: Mutex::default(),
            sockets: Mutex::default(),
            acceptors: Mutex::default(),
            accepted: AtomicU64::new(0),
            refused: Default::default(),
            ended: Default::default(),
            datagrams_in: AtomicU64::new(0),
            datagrams_out: AtomicU64::new(0),
            octets_in: AtomicU64::new(0),
            octets_out: AtomicU64::new(0),
        })
    }

    /// Counters since the door was opened.
    #[must_use]
    pub fn counts(&self) -> DoorCounts {
        let named = |names: &[&'static str], counts: &[AtomicU64]| {
            names.iter().zip(counts).map(|(name, count)| (*name, count.load(Relaxed))).collect()
        };
        DoorCounts {
            open: self.admission.open(),
            accepted: self.accepted.load(Relaxed),
            refused: named(&Refused::ALL.map(Refused::name), &self.refused),
            ended: named(&Ended::ALL.map(Ended::name), &self.ended),
            datagrams_in: self.datagrams_in.load(Relaxed),
            datagrams_out: self.datagrams_out.load(Relaxed),
            octets_in: self.octets_in.load(Relaxed),
            octets_out: self.octets_out.load(Relaxed),
        }
    }

    pub(crate) fn count_accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_refused(&self, reason: Refused) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn count_ended(&self, reason: Ended) {
        self.ended[reason as usize].fetch_add(1, Relaxed);
    }

    /// A connection has ended: what passed on it counts for the door from now on.
    pub(crate) fn count_octets(&self, pulse: Option<&Pulse>) {
        if let Some(pulse) = pulse {
            self.octets_in.fetch_add(pulse.octets_in(), Relaxed);
            self.octets_out.fetch_add(pulse.octets_out(), Relaxed);
        }
    }

    /// Called once a batch, not once a datagram.
    pub(crate) fn count_datagrams(&self, received: (u64, u64), sent: (u64, u64)) {
        self.datagrams_in.fetch_add(received.0, Relaxed);
        self.octets_in.fetch_add(received.1, Relaxed);
        self.datagrams_out.fetch_add(sent.0, Relaxed);
        self.octets_out.fetch_add(sent.1, Relaxed);
    }

    /// Whether the door was closed for newcomers.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Closes the door for newcomers and asks those inside to finish.
    pub fn close(&self) {
        self.closing.store(true, Relaxed);
        lock(&self.listeners).clear();
        lock(&self.sockets).clear();
        for acceptor in lock(&self.acceptors).drain(..) {
            acceptor.end();
        }
        self.each_inside(|pulse| pulse.drain());
    }

    fn each_inside(&self, mut visit: impl FnMut(&Arc<Pulse>)) {
        for worker in &self.inside {
            // Woken tasks may run at once on another thread and want the lock: collect first.
            let pulses: Vec<_> = lock(worker).iter().cloned().collect();
            pulses.iter().for_each(&mut visit);
        }
    }

    fn rows(&self, now: Instant, rows: &mut Vec<SocketRow>) {
        let counts = self.counts();
        if !self.is_closing() {
            rows.push(SocketRow {
                service: self.service,
                transport: self.transport,
                tls: self.tls,
                local: self.local,
                remote: None,
                state: "listening",
                octets_in: counts.octets_in,
                octets_out: counts.octets_out,
                requests: counts.accepted + counts.datagrams_in,
                age: now.since(self.since),
            });
        }
        self.each_inside(|pulse| {
            let ends = pulse.ends();
            rows.push(SocketRow {
                service: self.service,
                transport: self.transport,
                tls: self.tls,
                local: self.local.map(|_| ends.local),
                remote: self.local.map(|_| ends.remote),
                state: match pulse.phase() {
                    Phase::Handshake => "handshake",
                    Phase::Open => "open",
                    Phase::Draining => "draining",
                },
                octets_in: pulse.octets_in(),
                octets_out: pulse.octets_out(),
                requests: pulse.requests(),
                age: now.since(pulse.since),
            });
        });
    }
}

impl Doors {
    pub(crate) fn add(&self, door: Arc<Door>) {
        lock(&self.doors).push(door);
    }

    /// Every door, in the order they were opened; closed ones until their last connection ends.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Door>> {
        let mut doors = lock(&self.doors);
        doors.retain(|door| !door.is_closing() || door.admission.open() > 0);
        doors.clone()
    }

    /// Every listener and every connection.
    #[must_use]
    pub fn sockets(&self, now: Instant) -> Vec<SocketRow> {
        let mut rows = Vec::new();
        for door in self.list() {
            door.rows(now, &mut rows);
        }
        rows
    }

    /// The sockets of the open door at exactly `address`, for one that takes its place: the same ones,
    /// so that nobody who waits in them is turned away, and no right to bind them is needed again.
    pub(crate) fn listeners(&self, address: SocketAddr) -> Vec<Listener> {
        let cloned = |door: Arc<Door>| {
            lock(&door.listeners).iter().map(Listener::try_clone).collect::<io::Result<_>>().ok()
        };
        self.at(Transport::Tcp, address).and_then(cloned).unwrap_or_default()
    }

    /// The same for UDP.
    pub(crate) fn udp_sockets(&self, address: SocketAddr) -> Vec<UdpSocket> {
        let cloned = |door: Arc<Door>| {
            lock(&door.sockets).iter().map(UdpSocket::try_clone).collect::<io::Result<_>>().ok()
        };
        self.at(Transport::Udp, address).and_then(cloned).unwrap_or_default()
    }

    fn at(&self, transport: Transport, address: SocketAddr) -> Option<Arc<Door>> {
        let is_there = |door: &Arc<Door>| {
            door.transport == transport && door.local == Some(address) && !door.is_closing()
        };
        self.list().into_iter().find(is_there)
    }

    /// Whether this world has an open door that a new one at `address` would share its port with.
    pub(crate) fn has_open(&self, transport: Transport, address: SocketAddr) -> bool {
        let shares = |local: SocketAddr| {
            local.port() == address.port()
                && local.is_ipv4() == address.is_ipv4()
                && (local.ip() == address.ip()
                    || local.ip().is_unspecified()
                    || address.ip().is_unspecified())
        };
        let doors = self.list();
        doors
            .iter()
            .any(|door| door.transport == transport && door.local.is_some_and(shares) && !door.is_closing())
    }

    /// Connections open through all doors.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.list().iter().map(|door| door.admission.open()).sum()
    }

    /// Tasks that ended by a panic since the start.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    pub(crate) fn count_panic(&self, service: &'static str, message: &str) {
        self.panics.fetch_add(1, Relaxed);
        tracing::error!(service, message, "a task panicked; only its connection ended");
    }

    /// Closes every door, lets those inside finish until `deadline`, then ends the rest. Returns how
    /// many had to be ended.
    pub async fn drain(&self, world: &World, deadline: Instant) -> u64 {
        for door in self.list() {
            door.close();
        }
        while self.connections() > 0 && world.now() < deadline {
            world.sleep(DRAIN_STEP).await;
        }
        self.end_all()
    }

    /// Closes every door and ends every connection at once. Returns how many were ended.
    pub fn end_all(&self) -> u64 {
        let mut count = 0;
        for door in self.list() {
            door.close();
            door.each_inside(|pulse| {
                pulse.end();
                door.count_ended(Ended::Drain);
                count += 1;
            });
        }
        count
    }
}

/// How often a drain looks whether the last connection has gone.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// Tells the one task that waits at a door that it closes.
#[derive(Debug)]
pub(crate) struct Closing(Arc<Pulse>);

impl Closing {
    /// For a door that is not in the list yet.
    pub(crate) fn of(door: &Door) -> Self {
        let local = door.local.unwrap_or(SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0));
        let ends = Ends { local, remote: local };
        let pulse = Arc::new(Pulse::new(0, ends, door.since, 1, false));
        lock(&door.acceptors).push(Arc::clone(&pulse));
        Self(pulse)
    }

    /// Whether the door is closed; if not, the task is woken when it is.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> bool {
        self.0.remember(cx.waker());
        self.0.was_ended()
    }
}

/// The second in which `now` lies, counted from 1 because 0 means never.
pub(crate) fn tick_of(now: Instant) -> u32 {
    (now.as_nanos() / 1_000_000_000) as u32 + 1
}
