//! The office: takes messages from every door, gives local copies to mailboxes and the rest to the queue, in
//! one commit. What it decides by is in [`crate::office`] and [`crate::directory`]; `judge` asks the user list and
//! the mailboxes, `content` reads what comes.

mod content;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorway_base::{Instant, UnixTime};
use doorway_net::{BoxFuture, World};
use doorway_store::{Batch, Blobs, Error, Result as StoreResult, Users};

use super::bodies::{Bodies, Content};
use super::history::{Event, Happening};
use super::intake::{Arrival, Intake, Origin};
use super::mailboxes::{Account, Delivered, Mailboxes};
use super::queue::{Afterwards, Queue, Report, Returns};
use crate::address::Address;
use crate::config::Config;
use crate::directory::Directory;
use crate::envelope::{Envelope, Recipient};
use crate::id::{MessageId, MessageIds};
use crate::mailbox::Flags;
use crate::mime::header;
use crate::office::rate::Rates;
use crate::office::{submission, trace_lines};
use crate::queue::QueueEntry;
use crate::queue::report::{self, Action, Facts, Fate, Returned};
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
    /// Names for messages, one source for all who write into the store.
    pub ids: Arc<MessageIds>,
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
    /// Recipients whose success the sender wants to hear of, as far as it is reached here.
    told: Vec<(Recipient, Action)>,
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
        &self.means.ids
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

    async fn keep(&self, arrival: Arrival, head: &[u8], skip: usize) -> Result<MessageId, Reply> {
        let Arrival { id, at, origin, envelope, content } = arrival;
        let destinations = self.destinations(&envelope, at).await?;
        let event = arrived(at, &origin, &envelope, &content, destinations.elsewhere.is_empty());
        let batch = self.means.queue.history().note(Batch::new(), id, 0, &event);
        let success = match &envelope.from {
            Some(from) if !destinations.told.is_empty() => {
                let start = self.start_of(&content).await.map_err(|error| self.trouble(&error))?;
                let mut header = head.get(skip..).unwrap_or_default().to_vec();
                header.extend_from_slice(&start);
                Some(self.success((id, at), from, envelope.envid.as_deref(), &header, &destinations.told))
            }
            _ => None,
        };
        let kept = self.keep_for(batch, (id, at), envelope, (head, skip), &content, destinations).await;
        let (mut batch, entry) = kept.map_err(|error| self.trouble(&error))?;
        let mut afterwards = None;
        if let Some(report) = success {
            let given = self.give_back(batch, report).await.map_err(|error| self.trouble(&error))?;
            (batch, afterwards) = (given.0, Some(given.1));
        }
        let store = self.bodies().store();
        store.commit(batch).await.map_err(|error| self.trouble(&error))?;
        *lock(&self.full_since) = None;
        self.tally.messages.fetch_add(1, Relaxed);
        self.tally.octets.fetch_add(content.octets(), Relaxed);
        if let Some(entry) = entry {
            self.tally.queued.fetch_add(entry.envelope.recipients.len() as u64, Relaxed);
            self.means.queue.admitted(&entry);
        }
        if let Some(afterwards) = afterwards {
            afterwards();
        }
        Ok(id)
    }

    /// The report that a message has arrived (NOTIFY=SUCCESS, RFC 3461 §5.2.3); of the message it returns the
    /// header alone (§4.3).
    fn success(
        &self,
        (id, at): (MessageId, UnixTime),
        from: &Address,
        envid: Option<&str>,
        start: &[u8],
        told: &[(Recipient, Action)],
    ) -> Report {
        let reply = Reply::new(250, Enhanced(2, 1, 5), "it is in the mailbox");
        let fates: Vec<Fate<'_>> = told
            .iter()
            .map(|(recipient, action)| Fate {
                recipient,
                action: *action,
                host: "",
                reply: &reply,
                at,
                retry_until: None,
            })
            .collect();
        let mut fields = header::fields(start);
        fields.by_ref().for_each(drop);
        let returned = Returned::Header(&start[..fields.position().min(start.len())]);
        let facts =
            Facts { hostname: &self.hostname, id, arrived: at, from, envid, fates: &fates, returned, at };
        let smtputf8 = !from.is_ascii();
        Report { about: id, to: from.clone(), at, content: report::write(&facts).into(), smtputf8 }
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
        let Destinations { accounts, elsewhere, .. } = destinations;
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
        self.means.ids.next(self.world.wall())
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
