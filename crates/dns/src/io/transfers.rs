//! Zones that move between servers or are changed by message, and everything asked about them.
//!
//! [`Transfers::answer`] takes the messages that no reader thread answers in place: what is signed,
//! AXFR and IXFR, NOTIFY, UPDATE. Each zone has a lock that its changes wait at, so they are made one
//! after the other; queries never wait at it.

use core::net::{Ipv4Addr, SocketAddr};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use doorway_base::Random;
use doorway_base::trace::{Direction, Event, EventId, Flow, Step, Transport};
use doorway_net::World;
use doorway_store::Batch;

use super::journal::{CHANGES_MAX, CHANGES_OCTETS_MAX, Head, Journal, JournalError, Kept};
use super::notifier::Notifier;
use super::secondary;
use super::{PORT, PROTOCOL, SERVICE};
use crate::authority::counters::Counters;
use crate::authority::{Authority, Published};
use crate::summary;
use crate::transfer::grant::Grant;
use crate::transfer::history::History;
use crate::transfer::schedule::Schedule;
use crate::update::Update;
use crate::update::grant::UpdateGrant;
use crate::update::serial::SerialPolicy;
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::tsig::Key;
use crate::wire::{Name, Rcode, Type};
use crate::zone::change::{encode_record, is_after, numbers};
use crate::zone::{Change, Unfit, Zone};

/// Another server, and the key that messages to it are signed with.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it listens.
    pub address: SocketAddr,
    /// The key.
    pub key: Option<Arc<Key>>,
}

/// Where a zone comes from.
#[derive(Debug, Clone)]
pub enum Role {
    /// From here: a file, and updates.
    Primary,
    /// From these servers, asked in order.
    Secondary(Vec<Remote>),
}

/// How one zone moves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The zone.
    pub apex: Name,
    /// Where it comes from.
    pub role: Role,
    /// Who is told of changes, beside the zone's own name servers.
    pub notify: Vec<Remote>,
    /// Whether the zone's own name servers are told, as far as their addresses are known here.
    pub notify_servers: bool,
    /// Who may transfer it.
    pub xfr: Vec<Grant>,
    /// Who may change what in it.
    pub update: Vec<UpdateGrant>,
    /// How its versions are counted.
    pub serial: SerialPolicy,
    /// Made of the config, so that nobody counts its versions: when it comes out otherwise than before, what
    /// was changed since is given up. Only leases change it, and they say their names again.
    pub made: bool,
}

impl Settings {
    /// A primary zone that nobody may transfer or change.
    #[must_use]
    pub fn primary(apex: &Name) -> Self {
        Self {
            apex: apex.clone(),
            role: Role::Primary,
            notify: Vec::new(),
            notify_servers: true,
            xfr: Vec::new(),
            update: Vec::new(),
            serial: SerialPolicy::default(),
            made: false,
        }
    }

    // What tells whether the file is the one that the changes began with.
    fn version(&self, file: &Zone) -> u32 {
        if !self.made {
            return file.serial();
        }
        let mut octets = Vec::new();
        file.iter().for_each(|record| encode_record(&record, &mut octets));
        let digest = digest(&SHA256, &octets);
        digest.as_ref().first_chunk().map_or(0, |four| u32::from_be_bytes(*four))
    }

    /// A secondary zone that comes from `from`.
    #[must_use]
    pub fn secondary(apex: &Name, from: Vec<Remote>) -> Self {
        Self { role: Role::Secondary(from), ..Self::primary(apex) }
    }

    /// The servers that the zone comes from; none for a primary.
    #[must_use]
    pub fn from(&self) -> &[Remote] {
        match &self.role {
            Role::Primary => &[],
            Role::Secondary(from) => from,
        }
    }
}

/// One zone that moves.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) settings: Settings,
    // What changes wait at. Never held while a peer is waited for.
    pub(super) state: tokio::sync::Mutex<State>,
    pub(super) schedule: Mutex<Schedule>,
    // Rung by a NOTIFY.
    pub(super) bell: tokio::sync::Notify,
}

/// A new version of a zone that is not kept yet.
pub(super) struct Made<'m> {
    pub(super) moving: &'m Moving,
    pub(super) state: &'m mut State,
    pub(super) zone: Arc<Zone>,
    pub(super) head: Head,
    pub(super) change: Change,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) history: History,
    pub(super) head: Head,
}

/// What was asked and done, counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Transfers begun towards others.
    pub sent: AtomicU64,
    /// Requests for one that were refused.
    pub refused: AtomicU64,
    /// Transfers brought in, whole or by changes.
    pub received: AtomicU64,
    /// Attempts at one that came to nothing.
    pub failed: AtomicU64,
    /// Updates that changed something or found nothing to change.
    pub updates: AtomicU64,
    /// Updates refused.
    pub updates_refused: AtomicU64,
    /// NOTIFY messages taken.
    pub notified: AtomicU64,
    /// Messages whose signature was wrong.
    pub bad_signatures: AtomicU64,
}

/// Why a zone was not changed.
#[derive(Debug)]
pub enum ChangeError {
    /// There is no such zone here, or it is not ours to change.
    NotOurs,
    /// The zone does not allow it; the code is that of an UPDATE.
    Refused(Rcode),
    /// The change does not fit the zone.
    Unfit(Unfit),
    /// The zones are being taken over by others; it is to be tried again.
    Held,
    /// It could not be kept.
    Journal(JournalError),
}

impl std::fmt::Display for ChangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotOurs => f.write_str("there is no zone of this name here that can be changed"),
            Self::Refused(rcode) => write!(f, "the zone refuses the change with {rcode}"),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Held => f.write_str("the server is being set up anew; try again"),
            Self::Journal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChangeError {}

/// Every zone that moves, and what answers for them. Clones are the same zones.
#[derive(Clone)]
pub struct Transfers(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) world: World,
    pub(super) published: Published,
    pub(super) journal: Option<Journal>,
    pub(super) keys: Vec<Arc<Key>>,
    pub(super) zones: BTreeMap<Name, Arc<Moving>>,
    // Answers signed queries that are nothing but queries.
    pub(super) authority: Mutex<(Authority, Vec<u8>)>,
    pub(super) notifier: Notifier,
    pub(super) random: Mutex<Random>,
    pub(super) tally: Tally,
    // Transfers towards others that are under way.
    pub(super) sending: Arc<AtomicU64>,
    // Whether nothing may be changed, because others have taken the zones over.
    held: AtomicBool,
}

impl std::fmt::Debug for Transfers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfers").field("zones", &self.0.zones.keys()).finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transfers {
    /// Takes over the zones of `settings`. `files` are primaries as their files have them: what the
    /// journal kept is put over them, all are published, secondaries begin to ask, and who is to be told
    /// is told. Without a journal nothing can be updated, and secondaries start with nothing.
    ///
    /// # Errors
    /// The zone, and why what the store kept of it cannot be used.
    pub async fn start(
        world: &World,
        published: &Published,
        journal: Option<Journal>,
        keys: Vec<Arc<Key>>,
        settings: Vec<Settings>,
        files: &[Arc<Zone>],
    ) -> Result<Self, (Name, JournalError)> {
        let authority = Authority::new(published.clone(), Arc::new(Counters::default()), 1232);
        let mut inner = Inner {
            world: world.clone(),
            published: published.clone(),
            journal,
            keys,
            zones: BTreeMap::new(),
            authority: Mutex::new((authority, vec![0; MESSAGE_OCTETS_MAX])),
            notifier: Notifier::default(),
            random: Mutex::new(world.random()),
            tally: Tally::default(),
            sending: Arc::default(),
            held: AtomicBool::new(false),
        };
        for settings in settings {
            let apex = settings.apex.clone();
            let moving = inner.take_over(settings, files).await.map_err(|error| (apex.clone(), error))?;
            inner.zones.insert(apex, Arc::new(moving));
        }
        let transfers = Self(Arc::new(inner));
        transfers.run();
        Ok(transfers)
    }

    fn run(&self) {
        for moving in self.0.zones.values() {
            if let Role::Secondary(_) = moving.settings.role {
                let task = secondary::keep(Arc::downgrade(&self.0), Arc::clone(moving));
                self.0.world.spawn_background(SERVICE, task);
            } else {
                self.0.tell(moving);
            }
        }
        self.0.world.spawn_background(SERVICE, super::notifier::run(Arc::downgrade(&self.0)));
    }

    /// Lets nothing be changed any more, or lets it again: for the time in which others take the zones
    /// over. A change under way is waited for.
    pub async fn hold(&self, held: bool) {
        self.0.held.store(held, Relaxed);
        for moving in self.0.zones.values() {
            drop(moving.state.lock().await);
        }
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// What was asked and done.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// Whether the zone has changes that its file does not have, or no file at all.
    #[must_use]
    pub fn is_moving(&self, apex: &Name) -> bool {
        self.0.zones.contains_key(apex)
    }

    /// Whether commands may change the zone.
    #[must_use]
    pub fn takes_commands(&self, apex: &Name) -> bool {
        self.0.zones.get(apex).is_some_and(|moving| !moving.settings.made)
    }

    /// Takes a zone file that was read anew. The file counts when its serial is newer than what is
    /// served, changes by message included; what differs is then one change like any other. An older
    /// or equal serial leaves a zone alone that was changed by message, with a warning.
    ///
    /// # Errors
    /// [`ChangeError`]; the zone stays as it was.
    pub async fn take_file(&self, zone: &Arc<Zone>) -> Result<(), ChangeError> {
        let inner = &self.0;
        let Some(moving) = inner.zones.get(zone.apex()) else {
            inner.published.publish_zone(zone);
            return Ok(());
        };
        if moving.settings.made {
            // A new one is taken over from the start.
            return Ok(());
        }
        let mut state = inner.locked(moving).await?;
        let zones = inner.published.current();
        let Some(current) = zones.named(zone.apex()) else {
            inner.published.publish_zone(zone);
            return Ok(());
        };
        if state.head.has_data() && !is_after(zone.serial(), current.serial()) {
            if state.head.file_serial != Some(zone.serial()) {
                tracing::warn!(
                    zone = %zone.apex(), file = zone.serial(), served = current.serial(),
                    "the zone was changed by message; raise the serial of its file above the one served to put the file in its place"
                );
            }
            return Ok(());
        }
        let change = Arc::new(current.difference(zone, zones.secret()));
        state.head.file_serial = Some(zone.serial());
        if state.head.has_data()
            && let Some(journal) = &inner.journal
        {
            // From here on the file is the whole truth again.
            let mut head = state.head;
            journal.keep_whole(zone.apex(), &mut head, zone).await.map_err(ChangeError::Journal)?;
            state.head = head;
        }
        inner.published.publish_zone(zone);
        if change.from() != change.to() {
            state.history.push(change);
            inner.tell(moving);
        }
        Ok(())
    }
}

impl Transfers {
    /// Makes the changes that `updates` ask for, of a zone each, as a command or a lease asks for them, and
    /// `batch` with them: all in one transaction, or nothing. Returns the serial of each zone after it.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing was done.
    pub async fn change(&self, updates: &[&Update], batch: Batch) -> Result<Vec<u32>, ChangeError> {
        self.0.change_all(updates, batch, |_, _| true).await
    }
}

impl Inner {
    async fn take_over(&self, settings: Settings, files: &[Arc<Zone>]) -> Result<Moving, JournalError> {
        let zones = self.published.current();
        let (apex, secret, now) = (&settings.apex, zones.secret(), self.world.now());
        let mut kept = None;
        if let Some(journal) = &self.journal {
            kept = journal.load(apex, secret).await?;
        }
        let file = files.iter().find(|zone| zone.apex() == apex);
        let mut state = State::default();
        let mut schedule = Schedule::new(now);
        match (kept, file) {
            (Some(kept), Some(file))
                if settings.made && kept.head.file_serial != Some(settings.version(file)) =>
            {
                state.head = kept.head;
                state.head.file_serial = Some(settings.version(file));
                if let Some(journal) = self.journal.as_ref().filter(|_| kept.head.has_data()) {
                    journal.keep_whole(apex, &mut state.head, file).await?;
                }
                self.published.publish_zone(file);
            }
            (Some(kept), file) if kept.head.has_data() => {
                let heard = kept.head.heard.filter(|_| matches!(settings.role, Role::Secondary(_)));
                let zone = self.replay(&settings, kept, file, &mut state).await?;
                if let Some(heard) = heard {
                    let soa = numbers(&zone.soa()).unwrap_or_default();
                    schedule = Schedule::resumed(now, soa, self.world.wall() - heard);
                }
                self.published.publish_zone(&zone);
            }
            (_, None) => self.published.publish_zone(&Arc::new(Zone::unavailable(apex, secret))),
            (_, Some(file)) => {
                self.published.publish_zone(file);
                state.head.file_serial = Some(settings.version(file));
            }
        }
        Ok(Moving {
            settings,
            state: tokio::sync::Mutex::new(state),
            schedule: Mutex::new(schedule),
            bell: tokio::sync::Notify::new(),
        })
    }

    // The zone that comes of what was kept and of its file, of which either may be newer.
    async fn replay(
        &self,
        settings: &Settings,
        kept: Kept,
        file: Option<&Arc<Zone>>,
        state: &mut State,
    ) -> Result<Arc<Zone>, JournalError> {
        let (apex, version) = (&settings.apex, |file: &Arc<Zone>| settings.version(file));
        let Kept { head, whole, changes } = kept;
        let secret = self.published.current().secret();
        let newest = changes.last().map(|change| change.to()).or(whole.as_ref().map(Zone::serial));
        let other = file.filter(|file| head.file_serial.is_some_and(|serial| serial != version(file)));
        state.head = head;
        let zone = match (other, &whole, file.map(|file| &**file)) {
            (Some(other), ..) if newest.is_some_and(|newest| is_after(other.serial(), newest)) => {
                tracing::info!(zone = %apex, serial = other.serial(), "the zone file is newer than what was kept, and takes its place");
                Arc::clone(other)
            }
            (Some(other), None, _) => {
                // The changes were made to a file that is no more; none that was acknowledged may be lost.
                let merged = other.merged(&changes, secret)?.with_rotate(other.rotate());
                tracing::warn!(zone = %apex, serial = merged.serial(), "the zone file was changed under changes made by message; they were put on top of it");
                Arc::new(merged)
            }
            (_, Some(base), _) | (None, None, Some(base)) => {
                let rotate = file.map_or_else(|| base.rotate(), |file| file.rotate());
                let zone = Arc::new(base.changed(&changes, secret)?.with_rotate(rotate));
                tracing::info!(zone = %apex, serial = zone.serial(), changes = changes.len(), "zone replayed");
                changes.into_iter().for_each(|change| state.history.push(change));
                return Ok(zone);
            }
            (None, None, None) => return Err(Unfit::Unservable("its zone file is gone".into()).into()),
        };
        if let Some(journal) = &self.journal {
            state.head.file_serial = file.map(version);
            journal.keep_whole(apex, &mut state.head, &zone).await?;
        }
        Ok(zone)
    }

    /// The state of a zone, locked for changes.
    pub(super) async fn locked<'m>(
        &self,
        moving: &'m Moving,
    ) -> Result<tokio::sync::MutexGuard<'m, State>, ChangeError> {
        let state = moving.state.lock().await;
        if self.held.load(Relaxed) { Err(ChangeError::Held) } else { Ok(state) }
    }

    /// Makes `changes` of a zone that came from its primary: kept, then served, then told. `state` is the
    /// zone's, locked. Returns the new version.
    pub(super) async fn commit(
        &self,
        moving: &Moving,
        state: &mut State,
        changes: Vec<Change>,
    ) -> Result<Arc<Zone>, ChangeError> {
        let apex = &moving.settings.apex;
        let zones = self.published.current();
        let current = zones.named(apex).ok_or(ChangeError::NotOurs)?;
        let zone = current.changed_over(&changes, zones.secret()).map_err(ChangeError::Unfit)?;
        let zone = Arc::new(zone);
        if let Some(journal) = &self.journal {
            let octets: usize = changes.iter().map(Change::octets).sum();
            let kept = if octets <= CHANGES_OCTETS_MAX && changes.len() <= CHANGES_MAX {
                journal.append(apex, &mut state.head, &changes, Batch::new()).await
            } else {
                journal.keep_whole(apex, &mut state.head, &zone).await
            };
            kept.map_err(ChangeError::Journal)?;
        }
        self.published.publish_zone(&zone);
        changes.into_iter().for_each(|change| state.history.push(Arc::new(change)));
        self.tell(moving);
        self.shorten(moving, state, &zone).await;
        Ok(zone)
    }

    /// Makes the changes that `updates` ask for, of a zone each, and `batch`: all of it or nothing. Returns
    /// the serial of each zone, the old one where nothing changed.
    pub(super) async fn change_all(
        &self,
        updates: &[&Update],
        batch: Batch,
        may: impl Fn(&Name, Type) -> bool,
    ) -> Result<Vec<u32>, ChangeError> {
        // In the order of names, so that no two wait for each other.
        let mut order: Vec<usize> = (0..updates.len()).collect();
        order.sort_by(|&a, &b| updates[a].apex.cmp(&updates[b].apex));
        let mut held = Vec::with_capacity(updates.len());
        for index in order {
            let moving = self.zones.get(&updates[index].apex).ok_or(ChangeError::NotOurs)?;
            let twice =
                held.iter().any(|&(other, ..): &(usize, _, _)| updates[other].apex == updates[index].apex);
            if twice || matches!(moving.settings.role, Role::Secondary(_)) {
                return Err(ChangeError::Refused(Rcode::REFUSED));
            }
            held.push((index, moving, self.locked(moving).await?));
        }
        let zones = self.published.current();
        let mut batch = batch;
        let mut serials = vec![0; updates.len()];
        let mut made = Vec::new();
        for (index, moving, state) in &mut held {
            let apex = &moving.settings.apex;
            let zone = zones.named(apex).ok_or(ChangeError::NotOurs)?;
            let (policy, now) = (moving.settings.serial, self.world.wall());
            let change = updates[*index].apply(zone, zones.secret(), policy, now, &may);
            serials[*index] = zone.serial();
            let Some(change) = change.map_err(ChangeError::Refused)? else { continue };
            let changes = [change];
            let zone = zone.changed_over(&changes, zones.secret()).map_err(ChangeError::Unfit)?;
            serials[*index] = zone.serial();
            let (staged, head) = Journal::stage(apex, state.head, &changes, batch);
            batch = staged;
            let [change] = changes;
            made.push(Made { moving, state, zone: Arc::new(zone), head, change });
        }
        self.finish(made, batch).await?;
        Ok(serials)
    }

    /// Keeps new versions of zones and `batch` with them, serves them, and tells of them.
    pub(super) async fn finish(&self, made: Vec<Made<'_>>, batch: Batch) -> Result<(), ChangeError> {
        let journal = self.journal.as_ref().ok_or(ChangeError::Refused(Rcode::REFUSED))?;
        journal.commit(batch).await.map_err(ChangeError::Journal)?;
        for Made { moving, state, zone, head, change } in made {
            state.head = head;
            self.published.publish_zone(&zone);
            state.history.push(Arc::new(change));
            self.tell(moving);
            self.shorten(moving, state, &zone).await;
        }
        Ok(())
    }

    // Keeps the zone whole, when its journal has grown long.
    async fn shorten(&self, moving: &Moving, state: &mut State, zone: &Zone) {
        let apex = &moving.settings.apex;
        if let Some(journal) = self.journal.as_ref().filter(|_| state.head.is_long())
            && let Err(error) = journal.keep_whole(apex, &mut state.head, zone).await
        {
            tracing::warn!(zone = %apex, %error, "the journal could not be shortened; its changes are kept as they are");
        }
    }

    /// Tells the secondaries of a zone that it has changed.
    pub(super) fn tell(&self, moving: &Moving) {
        self.notifier.changed(&moving.settings.apex);
    }

    /// A flow to another server, for the trace.
    pub(super) fn flow(&self, transport: Transport, local: Option<SocketAddr>, remote: SocketAddr) -> Flow {
        let local = local.unwrap_or_else(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        let id = self.world.trace().next_flow();
        Flow { id, transport, local, remote, canonical_port: PORT, serving: false }
    }

    /// Shows a message to or from another server to whoever reads the trace; over TCP with its length
    /// before it, as it passes.
    pub(super) fn record(&self, flow: Flow, direction: Direction, octets: &[u8]) {
        let world = &self.world;
        let message = if flow.transport == Transport::Tcp { octets.get(2..) } else { Some(octets) };
        world.trace().record(|| Event {
            id: EventId::default(),
            at: world.now(),
            node: Arc::clone(world.node()),
            flow,
            direction,
            step: Step::Message,
            protocol: PROTOCOL,
            summary: summary(message.unwrap_or_default()),
            octets: octets.into(),
            cause: None,
            note: None,
        });
    }

    pub(super) fn count(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}
