//! A zone that comes from somewhere else: asked for in time, taken in over TCP, kept over a restart.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use doorway_base::Instant;
use doorway_base::trace::{Direction, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::transfers::{ChangeError, Inner, Moving, Remote, lock};
use crate::transfer::incoming::{Brought, Fault, Incoming};
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::tsig::{Chain, Untrusted};
use crate::wire::{Rcode, Record};
use crate::zone::{Zone, change};

/// How long a primary may take to accept a connection.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long it may be silent in the middle of a transfer.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long one transfer may take.
pub const TRANSFER_MAX: Duration = Duration::from_secs(3600);

/// Why a primary gave no zone.
#[derive(Debug)]
enum Failure {
    Connection(io::Error),
    Late(&'static str),
    Untrusted(Untrusted),
    Fault(Fault),
    Change(ChangeError),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "the connection failed: {error}"),
            Self::Late(what) => write!(f, "{what} took too long"),
            Self::Untrusted(untrusted) => untrusted.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
            Self::Change(error) => error.fmt(f),
        }
    }
}

impl Failure {
    // Whether the whole zone may come where its changes did not.
    const fn asks_for_whole(&self) -> bool {
        match self {
            Self::Fault(Fault::Refused(rcode)) => {
                matches!(*rcode, Rcode::FORMERR | Rcode::NOTIMP | Rcode::SERVFAIL | Rcode::REFUSED)
            }
            Self::Fault(_) | Self::Change(ChangeError::Unfit(_)) => true,
            _ => false,
        }
    }
}

/// Keeps one secondary zone as new as its primary's, until its server is gone.
pub(super) async fn keep(inner: Weak<Inner>, moving: Arc<Moving>) {
    loop {
        let Some(held) = inner.upgrade() else { return };
        let now = held.world.now();
        let (next, expires, expired) = {
            let schedule = lock(&moving.schedule);
            (schedule.next(), schedule.expires(), schedule.is_expired(now))
        };
        if expired {
            held.expire(&moving);
        }
        if now >= next {
            held.refresh(&moving).await;
            continue;
        }
        let until = if expired { next } else { next.min(expires) };
        let world = held.world.clone();
        // While it sleeps, it does not keep its server alive.
        drop(held);
        let rung = world.timeout(until.since(world.now()), moving.bell.notified()).await;
        if rung.is_some() {
            lock(&moving.schedule).notified(world.now(), false);
        }
    }
}

impl Inner {
    // The zone is too old to be answered from.
    fn expire(&self, moving: &Moving) {
        let zones = self.published.current();
        let apex = &moving.settings.apex;
        if zones.named(apex).is_some_and(|zone| !zone.is_unavailable()) {
            tracing::error!(zone = %apex, "the zone has expired: no primary answered for too long; queries get SERVFAIL");
            self.published.publish_zone(&Arc::new(Zone::unavailable(apex, zones.secret())));
        }
    }

    async fn refresh(&self, moving: &Moving) {
        for primary in moving.settings.from() {
            let mut outcome = self.transfer_in(moving, primary, true).await;
            if outcome.as_ref().is_err_and(Failure::asks_for_whole) {
                outcome = self.transfer_in(moving, primary, false).await;
            }
            match outcome {
                Ok(soa) => {
                    let numbers = change::numbers(&soa).unwrap_or_default();
                    let mut random = lock(&self.random);
                    lock(&moving.schedule).heard(self.world.now(), numbers, &mut random);
                    return;
                }
                Err(failure) => {
                    self.count(&self.tally.failed);
                    tracing::warn!(zone = %moving.settings.apex, primary = %primary.address, "no transfer: {failure}");
                }
            }
        }
        let mut random = lock(&self.random);
        lock(&moving.schedule).failed(self.world.now(), &mut random);
    }

    // The version that we have; `None` when there is none to begin from.
    fn have(&self, moving: &Moving) -> Option<Record> {
        let zones = self.published.current();
        zones.named(&moving.settings.apex).filter(|zone| !zone.is_unavailable()).map(|zone| zone.soa())
    }

    async fn transfer_in(
        &self,
        moving: &Moving,
        primary: &Remote,
        incremental: bool,
    ) -> Result<Record, Failure> {
        let apex = &moving.settings.apex;
        let have = self.have(moving);
        let id = lock(&self.random).next_u64() as u16;
        let secret = self.published.current().secret();
        let mut incoming = Incoming::new(apex, id, have.clone().filter(|_| incremental), secret);
        let brought = self.world.timeout(TRANSFER_MAX, self.receive(&mut incoming, primary)).await;
        brought.ok_or(Failure::Late("the transfer"))??;
        let brought = incoming.brought().ok_or(Failure::Late("the transfer"))?;
        let mut state = self.locked(moving).await.map_err(Failure::Change)?;
        state.head.heard = Some(self.world.wall());
        match brought {
            Brought::Current => {
                if let Some(journal) = &self.journal
                    && let Err(error) = journal.keep_head(apex, &state.head).await
                {
                    tracing::warn!(zone = %apex, %error, "the time of the last refresh could not be kept");
                }
                have.ok_or(Failure::Late("the transfer"))
            }
            Brought::Changes(changes) => {
                let zone = self.commit(moving, &mut state, changes).await;
                let zone = zone.map_err(Failure::Change)?;
                self.received(&zone, primary, "by its changes");
                Ok(zone.soa())
            }
            Brought::Zone(zone) => {
                let zone = Arc::new(*zone);
                if let Some(journal) = &self.journal {
                    let kept = journal.keep_whole(apex, &mut state.head, &zone).await;
                    kept.map_err(|error| Failure::Change(ChangeError::Journal(error)))?;
                }
                state.history.clear();
                self.published.publish_zone(&zone);
                self.tell(moving);
                self.received(&zone, primary, "whole");
                Ok(zone.soa())
            }
        }
    }

    fn received(&self, zone: &Zone, primary: &Remote, how: &str) {
        self.count(&self.tally.received);
        tracing::info!(
            zone = %zone.apex(), primary = %primary.address, serial = zone.serial(), records = zone.records(),
            "zone received {how}"
        );
    }

    async fn receive(&self, incoming: &mut Incoming, primary: &Remote) -> Result<(), Failure> {
        let connection = self.world.timeout(CONNECT_MAX, self.world.connect(primary.address)).await;
        let mut stream = connection.ok_or(Failure::Late("connecting"))?.map_err(Failure::Connection)?;
        let mut query = incoming.query();
        let mut chain = primary.key.as_ref().map(|key| Chain::request(key, &mut query, self.world.wall()));
        let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
        let flow = self.flow(Transport::Tcp, stream.local(), primary.address);
        self.record(flow, Direction::Out, &framed);
        stream.write_all(&framed).await.map_err(Failure::Connection)?;
        stream.flush().await.map_err(Failure::Connection)?;
        let mut message = Vec::with_capacity(MESSAGE_OCTETS_MAX);
        loop {
            let read = self.world.timeout(SILENCE_MAX, next(&mut stream, &mut message)).await;
            read.ok_or(Failure::Late("the next message"))?.map_err(Failure::Connection)?;
            if self.world.trace().is_on() {
                let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
                self.record(flow, Direction::In, &framed);
            }
            if let Some(chain) = &mut chain {
                chain.verify(&mut message, self.world.wall()).map_err(Failure::Untrusted)?;
            }
            if incoming.message(&message).map_err(Failure::Fault)? {
                let whole = chain.as_ref().is_none_or(Chain::is_complete);
                return if whole { Ok(()) } else { Err(Failure::Untrusted(Untrusted::Unsigned)) };
            }
        }
    }
}

async fn next(stream: &mut doorway_net::Stream, message: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    message.clear();
    message.resize(usize::from(u16::from_be_bytes(length)), 0);
    stream.read_exact(message).await?;
    Ok(())
}

/// When a secondary is asked about next and when it expires, for whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When its primary is asked next.
    pub next: Instant,
    /// When it stops being answered.
    pub expires: Instant,
}

impl super::transfers::Transfers {
    /// The times of a secondary zone; `None` for any other.
    #[must_use]
    pub fn times(&self, apex: &crate::wire::Name) -> Option<Times> {
        let moving = self.0.zones.get(apex).filter(|moving| !moving.settings.from().is_empty())?;
        let schedule = lock(&moving.schedule);
        Some(Times { next: schedule.next(), expires: schedule.expires() })
    }
}
