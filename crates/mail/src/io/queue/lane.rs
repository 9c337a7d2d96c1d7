//! A connection to one destination and the messages that go over it, one after the other.

use std::sync::Arc;
use std::time::Duration;

use doorway_net::BoxFuture;
use doorway_store::READ_OCTETS_MAX;

use super::way::Search;
use super::{Inner, Outcome, SERVICE};
use crate::address::Domain;
use crate::envelope::{BodyType, Envelope};
use crate::io::bodies::Body;
use crate::io::smtp_client::{Link, Source};
use crate::mime::down;
use crate::queue::dispatch::{Destination, Job};
use crate::queue::item::Item;
use crate::queue::verdict::Verdict;
use crate::reply::{Enhanced, Reply};
use crate::smtp::{Cause, Dialect, Failure, Settings, Stage};

/// How long a connection is kept open without a message.
const IDLE_WAIT: Duration = Duration::from_secs(2);
/// Longest message that is converted for a server without 8BITMIME, in octets, since that is done in memory.
const CONVERTED_OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// Most servers that are tried for one message in a row.
const SERVERS_MAX: usize = 20;

/// A server that was reached.
struct Reached {
    link: Link,
    host: String,
    /// Whether a message was sent over it.
    used: bool,
}

/// The servers of a destination, and what those said that were tried.
#[derive(Default)]
struct Quest {
    search: Option<Search>,
    tried: usize,
    /// The last trouble.
    last: Option<(String, Reply)>,
    /// Whether any trouble may pass.
    may_pass: bool,
}

impl Quest {
    fn note(&mut self, host: String, reply: Reply) {
        self.may_pass |= !reply.is_permanent();
        self.last = Some((host, reply));
    }

    /// What to say when no server is left: a temporary trouble if any was.
    fn outcome(self) -> (String, Reply) {
        let (host, reply) = self.last.unwrap_or_else(|| {
            (String::new(), Reply::new(451, Enhanced(4, 4, 4), "no host to send it to was found"))
        });
        if self.may_pass && reply.is_permanent() {
            return (host, Reply::new(451, Enhanced(4, 4, 0), reply.to_string()));
        }
        (host, reply)
    }
}

/// Ends a connection's place in the count, whatever way its task ends.
struct Seat {
    inner: Arc<Inner>,
    destination: Destination,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.inner.connection_closed(&self.destination);
    }
}

/// The items of the job at hand. When the task ends before it is done with them, which is a fault of ours, they are
/// put off as after any other trouble, so that they neither wait for a restart nor bring the next connection down
/// at once.
struct Begun<'i> {
    inner: &'i Arc<Inner>,
    items: Vec<Item>,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        if items.is_empty() {
            return;
        }
        let state = self.inner.state();
        let closing = state.closing;
        items.retain(|item| state.dispatch.holds(item.id, item.number));
        drop(state);
        if closing || items.is_empty() {
            return;
        }
        let reply = Reply::new(451, Enhanced(4, 3, 0), "the message could not be worked on here");
        let (inner, outcome) = (Arc::clone(self.inner), Outcome::ours(items, &Verdict::Said(reply)));
        self.inner.world.spawn(SERVICE, async move { inner.tell(outcome).await });
    }
}

/// Sends what waits for `destination` until there is nothing.
pub(super) fn run(inner: Arc<Inner>, destination: Destination) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let seat = Seat { inner, destination };
        let (inner, destination) = (&seat.inner, &seat.destination);
        let wake = inner.wake_of(destination);
        let mut reached: Option<Reached> = None;
        let mut idle = false;
        loop {
            let is_open = reached.as_ref().is_some_and(|reached| reached.link.is_open());
            match inner.next_job(destination, idle, is_open && !idle) {
                Some(job) => {
                    idle = false;
                    let mut begun = Begun { inner, items: job.items.clone() };
                    inner.work(destination, &mut reached, job).await;
                    begun.items.clear();
                }
                None if is_open && !idle => {
                    idle = true;
                    let _ = inner.world.timeout(IDLE_WAIT, wake.notified()).await;
                }
                None => break,
            }
        }
        if let Some(reached) = reached {
            reached.link.quit().await;
        }
    })
}

impl Inner {
    /// Tries to deliver a job, and says what came of it.
    async fn work(self: &Arc<Self>, destination: &Destination, reached: &mut Option<Reached>, mut job: Job) {
        let Some(first) = job.items.first() else { return };
        let domain = first.recipient.address.domain.clone();
        let shared = Arc::clone(&first.shared);
        let body = match self.bodies.body(job.id).await {
            Ok(Some(body)) => body,
            Ok(None) => {
                let reply = Reply::new(554, Enhanced(5, 3, 0), "the content of the message is missing here");
                tracing::error!(message = %job.id, "a queued message has no content");
                return self.tell(Outcome::ours(job.items, &Verdict::Said(reply))).await;
            }
            Err(error) => {
                let reply =
                    Reply::new(451, Enhanced(4, 3, 0), format!("the content cannot be read: {error}"));
                return self.tell(Outcome::ours(job.items, &Verdict::Said(reply))).await;
            }
        };
        let mut quest = Quest::default();
        let mut again = false;
        loop {
            if !reached.as_ref().is_some_and(|reached| reached.link.is_open()) {
                if let Some(old) = reached.take() {
                    old.link.quit().await;
                }
                match self.connect(&domain, quest).await {
                    Ok((new, rest)) => {
                        self.state().dispatch.reached(destination);
                        (*reached, quest) = (Some(new), rest);
                    }
                    Err((host, reply)) if reply.is_permanent() => {
                        let verdict = Verdict::Said(reply);
                        return self.tell(Outcome { host, ..Outcome::ours(job.items, &verdict) }).await;
                    }
                    Err((host, reply)) => {
                        return self.leave_alone(destination, host, &reply, job.items).await;
                    }
                }
            }
            let Some(there) = reached.as_mut() else { return };
            let was_used = std::mem::replace(&mut there.used, true);
            let capabilities = there.link.capabilities();
            let reports = capabilities.dsn;
            let is_final = self.settings(&domain).dialect == Dialect::Lmtp;
            let envelope = envelope(&job.items, &shared);
            let needs_eight_bit = envelope.body != BodyType::SevenBit && !capabilities.eightbitmime;
            let source = match self.source(&body, u64::from(shared.skip), needs_eight_bit).await {
                Ok(source) => source,
                Err(reply) => {
                    let host = there.host.clone();
                    return self
                        .tell(Outcome { host, ..Outcome::ours(job.items, &Verdict::Said(reply)) })
                        .await;
                }
            };
            let envelope = match source {
                Source::Memory(_) => Envelope { body: BodyType::SevenBit, ..envelope },
                Source::Kept { .. } => envelope,
            };
            let host = there.host.clone();
            match there.link.send(&envelope, &source).await {
                Ok(replies) => {
                    let closing = replies.iter().find(|reply| reply.code == 421).cloned();
                    let (rest, items, verdicts) = sort(job.items, replies);
                    self.tell(Outcome { items, verdicts, host: host.clone(), is_final, reports }).await;
                    if let Some(reply) = closing {
                        return self.leave_alone(destination, host, &reply, rest).await;
                    }
                    if rest.is_empty() {
                        return;
                    }
                    job.items = rest;
                }
                Err(failure) => {
                    *reached = None;
                    if !failure.allows_next_host() {
                        let reply = transient(&failure);
                        return self
                            .tell(Outcome { host, ..Outcome::ours(job.items, &Verdict::Said(reply)) })
                            .await;
                    }
                    // A server may close a connection between messages; that is no trouble yet.
                    if was_used && !again {
                        again = true;
                    } else {
                        quest.note(host, transient(&failure));
                    }
                }
            }
        }
    }

    /// Puts off everything that waits for a destination which cannot be reached now.
    async fn leave_alone(&self, destination: &Destination, host: String, reply: &Reply, items: Vec<Item>) {
        let now = self.world.now();
        let (jobs, trouble) = self.state().dispatch.block(now, destination, &host, reply);
        let verdict = Verdict::LeftAlone(reply.clone(), trouble.until - now);
        tracing::info!(%destination, %host, %reply, jobs = jobs.len(), "a destination is left alone");
        for items in std::iter::once(items).chain(jobs.into_iter().map(|job| job.items)) {
            if !items.is_empty() {
                self.tell(Outcome { host: host.clone(), ..Outcome::ours(items, &verdict) }).await;
            }
        }
    }

    fn settings(&self, domain: &Domain) -> Settings {
        let settings = match self.options.routes.of(domain) {
            Some(way) => way.settings.clone(),
            None => Settings { security: self.options.security, ..Settings::new(&self.options.hostname) },
        };
        Settings { messages_max: self.options.messages_per_connection, ..settings }
    }

    /// Opens a connection to the first server that takes one.
    async fn connect(&self, domain: &Domain, mut quest: Quest) -> Result<(Reached, Quest), (String, Reply)> {
        let (resolve, ourselves) = (&*self.resolve, &self.options.ourselves);
        let settings = self.settings(domain);
        let mut search = match quest.search.take() {
            Some(search) => search,
            None => {
                let way = self.options.routes.of(domain);
                let mut random = self.state().random.fork();
                let begun = Search::begin(
                    resolve,
                    domain,
                    way.map(|way| &**way),
                    self.options.port,
                    ourselves,
                    &mut random,
                );
                begun.await.map_err(|reply| (String::new(), reply))?
            }
        };
        while quest.tried < SERVERS_MAX {
            let target = match search.next(resolve, ourselves).await {
                Ok(Some(target)) => target,
                Ok(None) => break,
                Err((host, reply)) => {
                    quest.note(host, reply);
                    continue;
                }
            };
            quest.tried += 1;
            match self.client.open(&target, &settings).await {
                Ok(link) => {
                    quest.search = Some(search);
                    return Ok((Reached { link, host: target.name, used: false }, quest));
                }
                Err(failure) => quest.note(target.name, transient(&failure)),
            }
        }
        Err(quest.outcome())
    }

    /// The octets to send: as they are, or made fit for a server that takes ASCII alone.
    async fn source(&self, body: &Body, skip: u64, needs_eight_bit: bool) -> Result<Source, Reply> {
        if !needs_eight_bit {
            return Ok(Source::Kept { bodies: self.bodies.clone(), body: body.clone(), skip });
        }
        let unfit = |why: String| Reply::new(554, Enhanced(5, 6, 3), why);
        if body.octets() > CONVERTED_OCTETS_MAX {
            return Err(unfit(
                "the message is too long to be converted for a server without 8BITMIME".into(),
            ));
        }
        let mut message = Vec::with_capacity(body.octets() as usize);
        loop {
            let piece = self.bodies.read(body, skip + message.len() as u64, READ_OCTETS_MAX).await;
            let piece = piece.map_err(|error| Reply::new(451, Enhanced(4, 3, 0), error.to_string()))?;
            if piece.is_empty() {
                break;
            }
            message.extend_from_slice(&piece);
        }
        let converted =
            down::convert(&message).map_err(|why| unfit(format!("no 8BITMIME at the server: {why}")))?;
        Ok(Source::Memory(vec![converted.into()]))
    }
}

/// What is said of a failure. Trouble with TLS or a login is for the operator to mend: it may pass.
fn transient(failure: &Failure) -> Reply {
    let reply = failure.reply();
    let ours = matches!(failure.stage, Stage::Connect | Stage::Tls | Stage::Auth)
        || !matches!(failure.cause, Cause::Refused(_));
    if reply.is_permanent() && ours {
        return Reply::new(451, Enhanced(4, 7, 0), failure.to_string());
    }
    reply
}

/// The envelope of a job.
fn envelope(items: &[Item], shared: &crate::queue::Shared) -> Envelope {
    let ascii = shared.from.as_ref().is_none_or(crate::Address::is_ascii)
        && items.iter().all(|item| item.recipient.address.is_ascii());
    let demands = shared.demands;
    let eight_bit = demands.eight_bit_header || demands.eight_bit_body;
    Envelope {
        from: shared.from.clone(),
        recipients: items.iter().map(|item| item.recipient.clone()).collect(),
        body: if eight_bit { shared.body.max(BodyType::EightBitMime) } else { shared.body },
        // What was sent under SMTPUTF8 but holds nothing of the kind needs no server that knows it.
        smtputf8: !ascii || (shared.smtputf8 && demands.eight_bit_header),
        ret: shared.ret,
        envid: shared.envid.clone(),
    }
}

/// Parts those whom a server had no room for beside others (RFC 5321 §4.5.3.1.10), who may follow at once,
/// from those that it judged.
fn sort(items: Vec<Item>, replies: Vec<Reply>) -> (Vec<Item>, Vec<Item>, Vec<Verdict>) {
    let took_some = replies.iter().any(Reply::is_positive);
    let (mut rest, mut judged, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for (item, reply) in items.into_iter().zip(replies) {
        let too_many = reply.code == 452 && matches!(reply.enhanced, None | Some(Enhanced(4, 5, 3)));
        if took_some && too_many {
            rest.push(item);
        } else {
            judged.push(item);
            verdicts.push(Verdict::Said(reply));
        }
    }
    (rest, judged, verdicts)
}
