//! The office: takes messages from every door, gives local copies to mailboxes and the rest to the queue, in
//! one commit. What it decides by is in [`crate::office`] and [`crate::directory`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use doorway_base::{Instant, UnixTime};
use doorway_net::{BoxFuture, World};
use doorway_store::{Batch, Blobs, Durability, Error, READ_OCTETS_MAX, Result as StoreResult, Role, Users};

use super::bodies::{Bodies, Content};
use super::history::{Event, Happening};
use super::intake::{Arrival, Intake, Origin};
use super::mailboxes::{Account, Delivered, Mailboxes, Room};
use super::queue::{Afterwards, Queue, Report, Returns};
use crate::address::{Address, Domain};
use crate::config::Config;
use crate::directory::{ALWAYS, Directory, Lookup, Target};
use crate::envelope::{Envelope, Recipient};
use crate::id::{MessageId, MessageIds};
use crate::mailbox::Flags;
use crate::mime::{Demands, Scanner};
use crate::office::rate::Rates;
use crate::office::{submission, trace_lines};
use crate::queue::QueueEntry;
use crate::reply::{Enhanced, Reply};

/// The account that keeps what is sent to postmaster when no user takes it. Users' numbers begin at 1.
pub const POSTMASTER: u64 = 0;
/// Most mailboxes and addresses that one recipient may stand for, so that a message fits one commit.
pub const TARGETS_MAX: usize = 200;
/// Most mailboxes and addresses that a message may go to.
const DESTINATIONS_MAX: usize = 500;
/// Octets at the start of a message in which its header is looked for.
const HEADER_OCTETS_MAX: usize = 256 * 1024;
/// Names of users that are remembered.
const NAMES_KNOWN_MAX: usize = 10_000;
/// Recipients of a message that its history names one by one.
const RECIPIENTS_NOTED: usize = 10;
/// After the disk was full, who begins a message is sent away for this long without asking it again.
const FULL_PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

/// What the office has done, each since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages that were taken.
    pub messages: AtomicU64,
    /// Their octets.
    pub octets: AtomicU64,
    /// Copies put into mailboxes.
    pub delivered: AtomicU64,
    /// Recipients given to the queue.
    pub queued: AtomicU64,
    /// Recipients refused because nobody has that address.
    pub unknown: AtomicU64,
    /// Recipients refused because they are elsewhere and the client may not send there.
    pub relaying_denied: AtomicU64,
    /// Recipients refused because their mailbox is full.
    pub over_quota: AtomicU64,
    /// Messages and recipients refused because too many came.
    pub limited: AtomicU64,
    /// Messages refused because the disk is full.
    pub disk_full: AtomicU64,
    /// Messages refused because of other trouble of ours.
    pub failed: AtomicU64,
    /// Messages refused because they go round in circles.
    pub loops: AtomicU64,
    /// Senders refused because the address is not the user's.
    pub forged: AtomicU64,
}

/// What the office works with.
#[derive(Clone)]
pub struct Means {
    /// The user list.
    pub users: Arc<Users>,
    /// Where local copies go.
    pub mailboxes: Arc<Mailboxes>,
    /// Where the rest goes.
    pub queue: Queue,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").finish_non_exhaustive()
    }
}

/// Takes messages, for every door of one server.
#[derive(Debug)]
pub struct Office {
    world: World,
    means: Means,
    config: Config,
    hostname: String,
    directory: Directory,
    ids: Arc<MessageIds>,
    tally: Tally,
    users_sending: Mutex<Rates>,
    addresses_sending: Mutex<Rates>,
    /// Users by name, and all with a role by its name with `@`, as they were when last asked for.
    known: Mutex<BTreeMap<String, Arc<[u64]>>>,
    full_since: Mutex<Option<Instant>>,
}

/// For whom an address stands.
#[derive(Debug, Default)]
struct Expansion {
    users: BTreeSet<u64>,
    elsewhere: BTreeSet<Address>,
}

impl Expansion {
    fn len(&self) -> usize {
        self.users.len() + self.elsewhere.len()
    }
}

/// Where a message goes.
#[derive(Debug, Default)]
struct Destinations {
    accounts: BTreeMap<u64, Account>,
    elsewhere: Vec<Recipient>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown() -> Reply {
    Reply::new(550, Enhanced(5, 1, 1), "nobody here has this address")
}

impl Office {
    /// An office for `domains`, in ASCII, that calls itself `hostname`. Forgets what it knows of users when
    /// the user list changes.
    #[must_use]
    pub fn start(
        world: &World,
        means: Means,
        config: &Config,
        domains: &[String],
        hostname: &str,
    ) -> Arc<Self> {
        let office = Arc::new(Self {
            world: world.clone(),
            directory: Directory::new(config, domains),
            hostname: hostname.to_owned(),
            ids: Arc::default(),
            tally: Tally::default(),
            users_sending: Mutex::new(Rates::new(config.messages_per_user)),
            addresses_sending: Mutex::new(Rates::new(config.messages_per_address)),
            known: Mutex::default(),
            full_since: Mutex::default(),
            config: config.clone(),
            means,
        });
        let [mut watch, _] = office.means.users.watches();
        let of = Arc::downgrade(&office);
        world.spawn_background("mail", async move {
            while watch.changed().await.is_some() {
                let Some(office) = of.upgrade() else { return };
                lock(&office.known).clear();
            }
        });
        office
    }

    /// What it has done.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What it calls itself.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The user list.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.means.users
    }

    /// Whether an address can be sent to: it is elsewhere, or somebody here has it.
    ///
    /// # Errors
    /// The reply that a client would get.
    pub async fn knows(&self, address: &Address) -> Result<(), Reply> {
        if self.expand(address).await?.len() == 0 { Err(unknown()) } else { Ok(()) }
    }

    /// Takes a message from somebody who runs this server. What a user's program left out is added.
    ///
    /// # Errors
    /// As [`Intake::accept`].
    pub async fn submit(&self, arrival: Arrival) -> Result<MessageId, Reply> {
        self.take(arrival, true).await
    }

    /// The addresses kept here.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where names of messages come from, so that nobody else gives one twice.
    #[must_use]
    pub const fn ids(&self) -> &Arc<MessageIds> {
        &self.ids
    }

    /// Where local copies go.
    #[must_use]
    pub const fn mailboxes(&self) -> &Arc<Mailboxes> {
        &self.means.mailboxes
    }

    /// Where the rest goes.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.means.queue
    }

    fn bodies(&self) -> &Bodies {
        self.means.mailboxes.bodies()
    }

    /// The numbers of the users called `name`, one or none; with `@` before it, of those with that role.
    async fn numbers(&self, name: &str) -> StoreResult<Arc<[u64]>> {
        if let Some(numbers) = lock(&self.known).get(name) {
            return Ok(Arc::clone(numbers));
        }
        let numbers: Arc<[u64]> = match name.strip_prefix('@').map(str::parse::<Role>) {
            Some(role) => {
                let users = self.means.users.list().await?;
                let has = |user: &&doorway_store::User| role.as_ref().is_ok_and(|role| user.has(*role));
                users.iter().filter(has).map(|user| user.id).collect()
            }
            None => self.means.users.user(name).await?.iter().map(|user| user.id).collect(),
        };
        let mut known = lock(&self.known);
        if known.len() >= NAMES_KNOWN_MAX {
            known.pop_first();
        }
        known.insert(name.to_owned(), Arc::clone(&numbers));
        Ok(numbers)
    }

    /// For whom an address stands; nobody for one that no user has.
    async fn expand(&self, address: &Address) -> Result<Expansion, Reply> {
        let mut expansion = Expansion::default();
        let mut seen = BTreeSet::new();
        let mut targets = vec![Target::Address(address.clone())];
        while let Some(target) = targets.pop() {
            if expansion.len() + targets.len() > TARGETS_MAX {
                return Err(Reply::new(550, Enhanced(5, 2, 4), "this address stands for too many others"));
            }
            if !seen.insert(target.clone()) {
                continue;
            }
            match &target {
                Target::User(name) => expansion.users.extend(self.known(name).await?.iter()),
                Target::Role(role) => expansion.users.extend(self.known(&format!("@{role}")).await?.iter()),
                Target::Address(address) => match self.directory.look_up(address) {
                    Lookup::Elsewhere => {
                        expansion.elsewhere.insert(address.clone());
                    }
                    Lookup::Alias(others) => targets.extend_from_slice(others),
                    Lookup::Nobody { otherwise } => targets.extend_from_slice(otherwise),
                    Lookup::User { name, otherwise, .. } => match &*self.known(&name).await? {
                        [] => targets.extend_from_slice(otherwise),
                        numbers => expansion.users.extend(numbers),
                    },
                },
            }
        }
        let local = address.local.to_ascii_lowercase();
        if expansion.len() == 0 && self.directory.is_here(&address.domain) && ALWAYS.contains(&local.as_str())
        {
            expansion.users.insert(POSTMASTER);
        }
        Ok(expansion)
    }

    async fn known(&self, name: &str) -> Result<Arc<[u64]>, Reply> {
        self.numbers(name).await.map_err(|error| self.trouble(&error))
    }

    /// What a peer hears of trouble of ours; the operator hears all of it.
    fn trouble(&self, error: &Error) -> Reply {
        match error {
            Error::Full { .. } => {
                *lock(&self.full_since) = Some(self.world.now());
                self.tally.disk_full.fetch_add(1, Relaxed);
                tracing::error!(%error, "mail is refused for now");
                Reply::new(452, Enhanced(4, 3, 1), "there is no room for mail now, try later")
            }
            Error::Limit(_) => {
                self.tally.failed.fetch_add(1, Relaxed);
                Reply::new(451, Enhanced(4, 3, 2), "too much to do now, try later")
            }
            _ => {
                self.tally.failed.fetch_add(1, Relaxed);
                tracing::error!(%error, "a message could not be kept");
                Reply::new(451, Enhanced(4, 3, 0), "there is trouble here, try later")
            }
        }
    }

    /// Whether this client may send to other domains.
    fn may_relay(&self, origin: &Origin) -> bool {
        let listed = |remote| self.config.relay_networks.iter().any(|network| network.contains(remote));
        origin.user.is_some() || origin.remote.is_some_and(listed)
    }

    /// Whether a user may write as this address: it stands for them, or they run this server.
    async fn owns(&self, user: &str, address: &Address) -> Result<bool, Reply> {
        let numbers = self.known(user).await?;
        let Some(number) = numbers.first() else { return Ok(false) };
        if self.expand(address).await.is_ok_and(|expansion| expansion.users.contains(number)) {
            return Ok(true);
        }
        Ok(self.known("@admin").await?.contains(number))
    }

    async fn judge_sender(&self, origin: &Origin, from: Option<&Address>) -> Result<(), Reply> {
        if origin.submission && !self.may_relay(origin) {
            return Err(Reply::new(530, Enhanced(5, 7, 0), "log in first"));
        }
        let now = self.world.now();
        if lock(&self.full_since).is_some_and(|since| now.since(since) < FULL_PAUSE) {
            self.tally.disk_full.fetch_add(1, Relaxed);
            return Err(Reply::new(452, Enhanced(4, 3, 1), "there is no room for mail now, try later"));
        }
        match (&origin.user, from) {
            (Some(user), Some(from)) if !self.owns(user, from).await? => {
                self.tally.forged.fetch_add(1, Relaxed);
                Err(Reply::new(550, Enhanced(5, 7, 1), "this sender's address is not yours"))
            }
            (None, _) => {
                let remote = origin.remote.filter(|remote| !remote.to_canonical().is_loopback());
                if remote.is_none_or(|remote| lock(&self.addresses_sending).take(&remote.to_string(), now)) {
                    return Ok(());
                }
                self.tally.limited.fetch_add(1, Relaxed);
                Err(Reply::new(451, Enhanced(4, 7, 1), "too many messages from your address, try later"))
            }
            _ => Ok(()),
        }
    }

    async fn judge_recipient(&self, origin: &Origin, recipient: &Recipient) -> Result<(), Reply> {
        let address = &recipient.address;
        let is_here = self.directory.is_here(&address.domain);
        if !is_here && !self.may_relay(origin) {
            self.tally.relaying_denied.fetch_add(1, Relaxed);
            return Err(Reply::new(
                550,
                Enhanced(5, 7, 1),
                "relaying denied: log in to send to other domains",
            ));
        }
        if let Domain::Literal(_) = address.domain
            && !self.may_relay(origin)
        {
            return Err(unknown());
        }
        let expansion = self.expand(address).await?;
        if expansion.len() == 0 {
            self.tally.unknown.fetch_add(1, Relaxed);
            return Err(unknown());
        }
        if let Some(user) = &origin.user
            && !lock(&self.users_sending).take(user, self.world.now())
        {
            self.tally.limited.fetch_add(1, Relaxed);
            return Err(Reply::new(450, Enhanced(4, 7, 1), "you have sent too much this hour, try later"));
        }
        // One full mailbox of a group does not keep the message from the others.
        let [only] = expansion.users.iter().copied().collect::<Vec<_>>()[..] else { return Ok(()) };
        match self.means.mailboxes.quota(only, 0).await {
            Ok(Room::Enough) => Ok(()),
            Ok(_) => {
                self.tally.over_quota.fetch_add(1, Relaxed);
                Err(Reply::new(452, Enhanced(4, 2, 2), "the mailbox is full"))
            }
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// Where a message goes; each mailbox once, whoever named it.
    async fn destinations(&self, envelope: &Envelope, now: UnixTime) -> Result<Destinations, Reply> {
        let mut destinations = Destinations::default();
        let mut elsewhere = BTreeMap::new();
        for recipient in &envelope.recipients {
            let expansion = self.expand(&recipient.address).await?;
            for user in expansion.users {
                let account = self.means.mailboxes.open_account(user, now).await;
                destinations.accounts.insert(user, account.map_err(|error| self.trouble(&error))?);
            }
            for address in expansion.elsewhere {
                elsewhere.entry(address.clone()).or_insert(Recipient { address, ..recipient.clone() });
            }
        }
        destinations.elsewhere = elsewhere.into_values().collect();
        match destinations.accounts.len() + destinations.elsewhere.len() {
            0 => Err(unknown()),
            count if count > DESTINATIONS_MAX => {
                Err(Reply::new(452, Enhanced(4, 5, 3), "too many mailboxes at once, send to fewer"))
            }
            _ => Ok(destinations),
        }
    }

    async fn take(&self, mut arrival: Arrival, put_right: bool) -> Result<MessageId, Reply> {
        let start = self.start_of(&arrival.content).await.map_err(|error| self.trouble(&error))?;
        if trace_lines::is_loop(&start) {
            self.tally.loops.fetch_add(1, Relaxed);
            return Err(Reply::new(554, Enhanced(5, 4, 6), "this message goes round in circles"));
        }
        let Arrival { id, at, origin, envelope, .. } = &arrival;
        let (head, skip) = trace_lines::head(*id, *at, &self.hostname, origin, envelope);
        let mut head = head.into_bytes();
        if let Some(user) = &origin.user {
            self.judge_authors(user, &start).await?;
        }
        let fixed = put_right.then(|| submission::fix(&start, *id, *at, &self.hostname)).flatten();
        if let Some(fixed) = fixed {
            head.extend_from_slice(&fixed.header);
            let content = self.without_start(&arrival.content, fixed.replaces).await;
            arrival.content = content.map_err(|error| self.trouble(&error))?;
        }
        self.keep(arrival, &head, skip).await
    }

    /// Nobody writes in the name of another user of this server.
    async fn judge_authors(&self, user: &str, start: &[u8]) -> Result<(), Reply> {
        for author in submission::authors(start) {
            if self.directory.is_here(&author.domain) && !self.owns(user, &author).await? {
                self.tally.forged.fetch_add(1, Relaxed);
                return Err(Reply::new(
                    550,
                    Enhanced(5, 7, 1),
                    format!("From names {author}, which is not yours"),
                ));
            }
        }
        Ok(())
    }

    async fn keep(&self, arrival: Arrival, head: &[u8], skip: usize) -> Result<MessageId, Reply> {
        let Arrival { id, at, origin, envelope, content } = arrival;
        let destinations = self.destinations(&envelope, at).await?;
        let event = arrived(at, &origin, &envelope, &content, destinations.elsewhere.is_empty());
        let batch = self.means.queue.history().note(Batch::new(), id, 0, &event);
        let kept = self.keep_for(batch, (id, at), envelope, (head, skip), &content, destinations).await;
        let (batch, entry) = kept.map_err(|error| self.trouble(&error))?;
        let store = self.bodies().store();
        store.commit(batch).await.map_err(|error| self.trouble(&error))?;
        *lock(&self.full_since) = None;
        self.tally.messages.fetch_add(1, Relaxed);
        self.tally.octets.fetch_add(content.octets(), Relaxed);
        if let Some(entry) = entry {
            self.tally.queued.fetch_add(entry.envelope.recipients.len() as u64, Relaxed);
            self.means.queue.admitted(&entry);
        }
        Ok(id)
    }

    /// Adds a message to a batch: its body, its copies, what the queue gets.
    async fn keep_for(
        &self,
        mut batch: Batch,
        (id, at): (MessageId, UnixTime),
        envelope: Envelope,
        (head, skip): (&[u8], usize),
        content: &Content,
        destinations: Destinations,
    ) -> StoreResult<(Batch, Option<QueueEntry>)> {
        let Destinations { accounts, elsewhere } = destinations;
        let bodies = self.bodies();
        let body = bodies.prepare(head, content).await?;
        let (structure, demands) = self.scan(head, content).await?;
        let references = (accounts.len() + elsewhere.len()) as u64;
        batch = bodies.describe(bodies.keep(batch, id, &body, references), id, structure);
        let delivered = Delivered { id, at, octets: body.octets(), flags: Flags::default() };
        for account in accounts.values() {
            batch = self.means.mailboxes.deliver(batch, account, None, &delivered);
        }
        self.tally.delivered.fetch_add(accounts.len() as u64, Relaxed);
        if elsewhere.is_empty() {
            return Ok((batch, None));
        }
        let envelope = Envelope { recipients: elsewhere, ..envelope };
        let octets = body.octets() - skip as u64;
        let entry = QueueEntry { id, at, envelope, skip: skip as u32, octets, demands };
        Ok((self.means.queue.enqueue(batch, &entry), Some(entry)))
    }

    /// The structure of a message, and what it asks of the way.
    async fn scan(&self, head: &[u8], content: &Content) -> StoreResult<(Vec<u8>, Demands)> {
        let mut scanner = Scanner::default();
        scanner.push(head);
        match content {
            Content::Memory(pieces) => pieces.iter().for_each(|piece| scanner.push(piece)),
            Content::Blob(stored) => {
                let mut at = 0;
                while at < stored.octets {
                    let piece = self.bodies().blobs().read(stored.id, at, READ_OCTETS_MAX).await?;
                    if piece.is_empty() {
                        return Err(Error::NoSuchBlob);
                    }
                    at += piece.len() as u64;
                    scanner.push(&piece);
                }
            }
        }
        let structure = scanner.finish();
        Ok((structure.to_octets(), structure.demands))
    }

    /// The octets at the start of a message in which its header is.
    async fn start_of(&self, content: &Content) -> StoreResult<Bytes> {
        match content {
            Content::Memory(pieces) => match &pieces[..] {
                [] => Ok(Bytes::new()),
                [only] => Ok(only.slice(..only.len().min(HEADER_OCTETS_MAX))),
                [first, ..] if first.len() >= HEADER_OCTETS_MAX => Ok(first.slice(..HEADER_OCTETS_MAX)),
                pieces => {
                    let mut start =
                        Vec::with_capacity(content.octets().min(HEADER_OCTETS_MAX as u64) as usize);
                    for piece in pieces {
                        let room = HEADER_OCTETS_MAX - start.len();
                        start.extend_from_slice(&piece[..piece.len().min(room)]);
                    }
                    Ok(start.into())
                }
            },
            Content::Blob(stored) => self.bodies().blobs().read(stored.id, 0, HEADER_OCTETS_MAX as u64).await,
        }
    }

    /// A message without its first octets.
    async fn without_start(&self, content: &Content, mut octets: usize) -> StoreResult<Content> {
        match content {
            Content::Memory(pieces) => {
                let mut left = Vec::with_capacity(pieces.len());
                for piece in pieces {
                    let gone = octets.min(piece.len());
                    octets -= gone;
                    left.push(piece.slice(gone..));
                }
                Ok(Content::Memory(left))
            }
            Content::Blob(stored) => {
                let blobs = self.bodies().blobs();
                // What is prepared from this is durable; this is on its way there.
                let mut writer = blobs.writer(Durability::Process);
                let mut at = octets as u64;
                while at < stored.octets {
                    let piece = blobs.read(stored.id, at, READ_OCTETS_MAX).await?;
                    if piece.is_empty() {
                        return Err(Error::NoSuchBlob);
                    }
                    at += piece.len() as u64;
                    writer.write(piece).await?;
                }
                Ok(Content::Blob(writer.finish().await?))
            }
        }
    }
}

/// What `doorway mail trace` tells of a message's arrival: one row for each message.
fn arrived(at: UnixTime, origin: &Origin, envelope: &Envelope, content: &Content, is_local: bool) -> Event {
    let recipients: Vec<String> = envelope
        .recipients
        .iter()
        .take(RECIPIENTS_NOTED)
        .map(|recipient| recipient.address.to_string())
        .collect();
    let others = match envelope.recipients.len().saturating_sub(RECIPIENTS_NOTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let from = envelope.from.as_ref().map(Address::to_string).unwrap_or_default();
    let user = origin.user.as_deref().map(|user| format!(", logged in as {user}")).unwrap_or_default();
    Event {
        at,
        what: if is_local { Happening::Delivered } else { Happening::Accepted },
        recipient: format!("{}{others}", recipients.join(", ")),
        host: origin
            .remote
            .map_or_else(|| origin.greeting.clone(), |remote| remote.to_canonical().to_string()),
        text: format!("from <{from}> by {}{user}, {} octets", origin.protocol, content.octets()),
    }
}

impl Intake for Office {
    fn draw(&self) -> MessageId {
        self.ids.next(self.world.wall())
    }

    fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(self.bodies().blobs())
    }

    fn sender<'a>(
        &'a self,
        origin: &'a Origin,
        from: Option<&'a Address>,
        _octets: u64,
    ) -> BoxFuture<'a, Result<(), Reply>> {
        Box::pin(self.judge_sender(origin, from))
    }

    fn recipient<'a>(
        &'a self,
        origin: &'a Origin,
        _from: Option<&'a Address>,
        recipient: &'a Recipient,
    ) -> BoxFuture<'a, Result<(), Reply>> {
        Box::pin(self.judge_recipient(origin, recipient))
    }

    fn accept(&self, arrival: Arrival) -> BoxFuture<'_, Result<MessageId, Reply>> {
        let put_right = arrival.origin.user.is_some();
        Box::pin(self.take(arrival, put_right))
    }
}

impl Returns for Office {
    fn give_back(&self, batch: Batch, report: Report) -> BoxFuture<'_, StoreResult<(Batch, Afterwards)>> {
        Box::pin(async move {
            let Report { about, to, at, content, smtputf8 } = report;
            let recipient = Recipient { notify: crate::Notify::NEVER, ..Recipient::new(to) };
            let envelope = Envelope { recipients: vec![recipient], smtputf8, ..Envelope::default() };
            let destinations = match self.destinations(&envelope, at).await {
                Ok(destinations) => destinations,
                Err(reply) if reply.is_permanent() => {
                    tracing::info!(message = %about, %reply, "a report has nobody to go to");
                    return Ok((batch, Box::new(|| {}) as Afterwards));
                }
                Err(reply) => return Err(Error::Local(reply.to_string().into())),
            };
            let id = self.draw();
            let head = trace_lines::return_path(None).into_bytes();
            let content = Content::Memory(vec![content]);
            let kept =
                self.keep_for(batch, (id, at), envelope, (&head, head.len()), &content, destinations).await?;
            let (batch, entry) = kept;
            let queue = self.means.queue.clone();
            let afterwards: Afterwards = Box::new(move || {
                if let Some(entry) = entry {
                    queue.admitted(&entry);
                }
            });
            Ok((batch, afterwards))
        })
    }
}
