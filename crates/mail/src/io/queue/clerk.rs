//! Writes down what tries came to: many outcomes in one batch, with the reports they call for.
//!
//! Nothing here asks for a sync: should the power fail before the rows reach the disk, a message that was
//! delivered is delivered again, and one that failed is tried again and reported then. Neither is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use doorway_base::UnixTime;
use doorway_store::{Batch, Durability, Error, Result};
use tokio::sync::mpsc;

use super::{Afterwards, Inner, Outcome, Report, Returns};
use crate::envelope::Return;
use crate::io::history::{Event, Happening};
use crate::mime::header;
use crate::queue::item::{Item, Shared};
use crate::queue::report::{self, Action, Facts, Fate, Returned};
use crate::queue::verdict::{Judge, Next, Verdict, decide};
use crate::reply::{Enhanced, Reply};

/// Most items in one batch: each takes up to eight steps of it.
pub(super) const ITEMS_MAX: usize = 256;
/// Most outcomes with a report in one batch, since each may return a message.
const REPORTING_MAX: usize = 16;
/// Longest message that a report returns whole, in octets; of longer ones it returns the header.
const RETURNED_OCTETS_MAX: u64 = 50_000;
/// How long the clerk waits when the store cannot write.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// Tells events of tries from what people and doors did at the same moment, and puts them behind.
const TRIED: u32 = 1 << 31;

/// An item whose fate is decided.
struct Decided<'a> {
    item: &'a Item,
    next: Next,
    tell: Option<Action>,
    reply: Reply,
}

/// Takes outcomes until there is nobody who gives any.
pub(super) async fn run(inner: Arc<Inner>, mut inbox: mpsc::Receiver<Outcome>, returns: Arc<dyn Returns>) {
    while let Some(first) = inbox.recv().await {
        let mut outcomes = vec![first];
        let mut items = outcomes[0].items.len();
        while items < ITEMS_MAX {
            let Ok(next) = inbox.try_recv() else { break };
            items += next.items.len();
            outcomes.push(next);
        }
        for group in groups(outcomes) {
            inner.settle(&*returns, &group).await;
        }
    }
}

/// Outcomes in groups that fit a batch.
fn groups(outcomes: Vec<Outcome>) -> Vec<Vec<Outcome>> {
    let mut groups: Vec<Vec<Outcome>> = vec![Vec::new()];
    let (mut items, mut reporting) = (0, 0);
    for outcome in outcomes.into_iter().flat_map(Outcome::split) {
        let may_report = usize::from(outcome.verdicts.iter().any(|verdict| match verdict {
            Verdict::Said(reply) => !reply.is_positive(),
            Verdict::LeftAlone(..) => true,
            Verdict::NoRoom(_) => false,
        }));
        if items + outcome.items.len() > ITEMS_MAX || reporting + may_report > REPORTING_MAX {
            groups.push(Vec::new());
            (items, reporting) = (0, 0);
        }
        items += outcome.items.len();
        reporting += may_report;
        groups.last_mut().into_iter().for_each(|group| group.push(outcome.clone()));
    }
    groups
}

impl Inner {
    /// Commits what follows from some outcomes, however long that takes.
    async fn settle(&self, returns: &dyn Returns, outcomes: &[Outcome]) {
        let now = self.time();
        let decided: Vec<(&Outcome, Vec<Decided<'_>>)> =
            outcomes.iter().map(|outcome| (outcome, self.decide(outcome, now))).collect();
        let afterwards = loop {
            match self.commit(returns, &decided, now).await {
                Ok(afterwards) => break afterwards,
                // Somebody else let go of the same body.
                Err(Error::Conflict(_)) => {}
                Err(error) => {
                    tracing::warn!(%error, "the queue cannot write down what became of messages");
                    self.world.sleep(STORE_WAIT).await;
                }
            }
        };
        for call in afterwards {
            call();
        }
        for Decided { next, .. } in decided.iter().flat_map(|(_, decided)| decided) {
            self.counters.count(next);
        }
        let places = outcomes.iter().flat_map(|outcome| &outcome.items).map(|item| (item.id, item.number));
        let later = |decided: &Decided<'_>| matches!(decided.next, Next::Later(_));
        let later = decided.iter().flat_map(|(_, decided)| decided).any(later);
        self.settled(places, outcomes.len(), later);
    }

    fn decide<'a>(&self, outcome: &'a Outcome, now: UnixTime) -> Vec<Decided<'a>> {
        let judge = Judge { host: &outcome.host, is_final: outcome.is_final, reports: outcome.reports };
        let tries = outcome.items.first().map_or(0, |item| item.tries) + 1;
        let schedule = &self.options.schedule;
        let wait = schedule.wait(tries, &mut self.state().random);
        let pairs = outcome.items.iter().zip(&outcome.verdicts);
        let decided = pairs.map(|(item, verdict)| {
            let (next, tell) = decide(item, verdict, judge, schedule, wait, now);
            let reply = match verdict {
                Verdict::Said(reply) | Verdict::LeftAlone(reply, _) => reply.clone(),
                Verdict::NoRoom(_) => Reply::new(451, Enhanced(4, 3, 2), "it waits for its turn"),
            };
            Decided { item, next, tell, reply }
        });
        decided.collect()
    }

    async fn commit(
        &self,
        returns: &dyn Returns,
        decided: &[(&Outcome, Vec<Decided<'_>>)],
        now: UnixTime,
    ) -> Result<Vec<Afterwards>> {
        let mut batch = Batch::new().durability(Durability::Process);
        let mut finished = Vec::new();
        let mut afterwards = Vec::new();
        for (number, (outcome, decided)) in (0..).zip(decided) {
            for Decided { item, next, reply, .. } in decided {
                batch = remove(batch, item);
                let what = match next {
                    Next::Later(later) => {
                        batch = write(batch, later);
                        Happening::Deferred
                    }
                    Next::Failed => Happening::Failed,
                    Next::Done if outcome.is_final => Happening::Delivered,
                    Next::Done => Happening::Relayed,
                };
                if !matches!(next, Next::Later(_)) {
                    finished.push(item.id);
                }
                // What came of the last try as well is not told again: items wait for days.
                let repeated = matches!(next, Next::Later(_))
                    && item.last.as_ref().is_some_and(|last| last.text == reply.to_string());
                let tried = !outcome.verdicts.iter().all(|verdict| matches!(verdict, Verdict::NoRoom(_)));
                if tried && !repeated {
                    let event = Event {
                        at: now,
                        what,
                        recipient: item.recipient.address.to_string(),
                        host: outcome.host.clone(),
                        text: reply.to_string(),
                    };
                    batch = self.history.note(batch, item.id, TRIED | number << 16 | item.number, &event);
                }
            }
            for report in self.reports(outcome, decided, now).await? {
                let event = Event {
                    at: now,
                    what: Happening::Reported,
                    recipient: String::new(),
                    host: String::new(),
                    text: report.to.to_string(),
                };
                batch = self.history.note(batch, report.about, TRIED | number << 16 | 0xffff, &event);
                let (more, after) = returns.give_back(batch, report).await?;
                batch = more;
                afterwards.push(after);
            }
        }
        let batch = self.bodies.release(batch, &finished).await?;
        self.bodies.store().commit(batch).await?;
        Ok(afterwards)
    }

    /// The reports that an outcome calls for: one for each kind of news.
    async fn reports(
        &self,
        outcome: &Outcome,
        decided: &[Decided<'_>],
        now: UnixTime,
    ) -> Result<Vec<Report>> {
        let mut by_action: BTreeMap<Action, Vec<&Decided<'_>>> = BTreeMap::new();
        for one in decided {
            if let Some(action) = one.tell {
                by_action.entry(action).or_default().push(one);
            }
        }
        let mut reports = Vec::new();
        for (action, decided) in by_action {
            let Some(first) = decided.first() else { continue };
            let shared = &first.item.shared;
            let Some(from) = &shared.from else { continue };
            let returned = self.returned(first.item, shared, action).await?;
            let give_up = (action == Action::Delayed).then(|| shared.at + self.options.schedule.give_up);
            let fate = |one: &&Decided<'_>| (one.item.recipient.clone(), one.reply.clone());
            let told: Vec<_> = decided.iter().map(fate).collect();
            let fates: Vec<Fate<'_>> = told
                .iter()
                .map(|(recipient, reply)| Fate {
                    recipient,
                    action,
                    host: &outcome.host,
                    reply,
                    at: now,
                    retry_until: give_up,
                })
                .collect();
            let content = report::write(&Facts {
                hostname: &self.options.hostname,
                id: first.item.id,
                arrived: shared.at,
                from,
                envid: shared.envid.as_deref(),
                fates: &fates,
                returned: match &returned {
                    Some((octets, true)) => Returned::Message(octets),
                    Some((octets, false)) => Returned::Header(octets),
                    None => Returned::Nothing,
                },
                at: now,
            });
            reports.push(Report {
                about: first.item.id,
                to: from.clone(),
                at: now,
                content: content.into(),
                smtputf8: !from.is_ascii(),
            });
        }
        Ok(reports)
    }

    /// What a report returns, and whether that is the whole message.
    async fn returned(&self, item: &Item, shared: &Shared, action: Action) -> Result<Option<(Bytes, bool)>> {
        let body = match self.bodies.body(item.id).await {
            Ok(Some(body)) => body,
            // The report is made all the same.
            Ok(None) | Err(Error::Damaged(_) | Error::NoSuchBlob) => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = self.bodies.read(&body, u64::from(shared.skip), RETURNED_OCTETS_MAX).await;
        let octets = match read {
            Ok(octets) => octets,
            Err(Error::Damaged(_) | Error::NoSuchBlob) => return Ok(None),
            Err(error) => return Err(error),
        };
        let whole = octets.len() as u64 + u64::from(shared.skip) >= body.octets();
        if whole && action == Action::Failed && shared.ret != Some(Return::Headers) {
            return Ok(Some((octets, true)));
        }
        let mut fields = header::fields(&octets);
        fields.by_ref().for_each(drop);
        let end = fields.position();
        Ok(Some((octets.slice(..end), false)))
    }
}

/// Removes the rows of an item.
pub(super) fn remove(batch: Batch, item: &Item) -> Batch {
    let batch = batch.delete(item.key());
    match item.due_key() {
        Some(due) => batch.delete(due),
        None => batch,
    }
}

/// Writes the rows of an item.
pub(super) fn write(batch: Batch, item: &Item) -> Batch {
    let batch = batch.put(item.key(), item.encode());
    match item.due_key() {
        Some(due) => batch.put(due, Bytes::new()),
        None => batch,
    }
}
