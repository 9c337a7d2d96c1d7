//! What happened to messages, for `doorway mail trace`: rows written in the batches that do what they tell
//! of, and without a sync of their own. A message's rows go some days after it came.
//!
//! | row | what it holds |
//! | --- | --- |
//! | `mail.history/ID TIME N` | form (1), what happened (1), recipient, host and text with their lengths |
//!
//! ID is the message's name, TIME nanoseconds since 1970, N tells events of one moment apart.

use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Malformed, Reader, UnixTime};
use doorway_store::{Batch, Durability, Key, Range, Result, ScanOptions, Store};

use crate::id::MessageId;

const HISTORY: &str = "mail.history/";
/// How long it is kept, counted from when the message came: longer than any message is tried.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest text of an event, in octets.
const TEXT_OCTETS_MAX: usize = 1000;
/// Most events that are shown of one message.
const EVENTS_MAX: usize = 10_000;
/// Rows that are removed in one batch.
const SWEEP_ROWS: usize = 1000;

/// What can happen to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It came in.
    Accepted,
    /// It is in a mailbox here, or an LMTP server took it.
    Delivered,
    /// Another server took it.
    Relayed,
    /// A try came to nothing; there will be another.
    Deferred,
    /// It was given up, or refused for good.
    Failed,
    /// Its sender was told.
    Reported,
    /// Somebody holds it.
    Held,
    /// Somebody let it go on, or asked for a try now.
    Released,
    /// Somebody removed it.
    Dropped,
    /// It stands for other addresses, which it went to.
    Expanded,
}

const HAPPENINGS: [(Happening, &str); 10] = [
    (Happening::Accepted, "accepted"),
    (Happening::Delivered, "delivered"),
    (Happening::Relayed, "relayed"),
    (Happening::Deferred, "deferred"),
    (Happening::Failed, "failed"),
    (Happening::Reported, "reported"),
    (Happening::Held, "held"),
    (Happening::Released, "released"),
    (Happening::Dropped, "dropped"),
    (Happening::Expanded, "expanded"),
];

impl Happening {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        HAPPENINGS[self as usize].1
    }
}

/// Something that happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: UnixTime,
    /// What.
    pub what: Happening,
    /// The recipient it is about; empty for all of them.
    pub recipient: String,
    /// The host that had part in it; empty for none.
    pub host: String,
    /// What it said, or what else is to be known.
    pub text: String,
}

impl Event {
    fn encode(&self) -> Vec<u8> {
        let mut row = vec![1, self.what as u8];
        for text in [&self.recipient, &self.host, &self.text] {
            let end = text.floor_char_boundary(TEXT_OCTETS_MAX);
            row.extend_from_slice(&(end as u16).to_be_bytes());
            row.extend_from_slice(&text.as_bytes()[..end]);
        }
        row
    }

    fn decode(key: &Key, value: &[u8]) -> std::result::Result<Self, Malformed> {
        let tail = key.as_octets().last_chunk::<12>().ok_or(Malformed::new("the time in the key", 0))?;
        let mut nanos = Reader::new(tail);
        let at = UnixTime::from_nanos(nanos.u64("time")?);
        let mut reader = Reader::new(value);
        if reader.u8("form of the event")? != 1 {
            return Err(Malformed::new("a known form of an event", 0));
        }
        let what = usize::from(reader.u8("what happened")?);
        let (what, _) = HAPPENINGS.get(what).ok_or(Malformed::new("something that can happen", 1))?;
        let mut text = || {
            let octets = reader.u16("length of a text")?;
            Ok(String::from_utf8_lossy(reader.take(usize::from(octets), "a text")?).into_owned())
        };
        Ok(Self { at, what: *what, recipient: text()?, host: text()?, text: text()? })
    }
}

/// The history of messages in a store. Clones are the same.
#[derive(Clone)]
pub struct History {
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").finish_non_exhaustive()
    }
}

impl History {
    /// The history in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Adds an event to a batch: one row. `number` tells it apart from others of the same moment.
    #[must_use]
    pub fn note(&self, batch: Batch, id: MessageId, number: u32, event: &Event) -> Batch {
        let mut key = Vec::with_capacity(HISTORY.len() + 20);
        key.extend_from_slice(HISTORY.as_bytes());
        key.extend_from_slice(&id.0.to_be_bytes());
        key.extend_from_slice(&event.at.as_nanos().to_be_bytes());
        key.extend_from_slice(&number.to_be_bytes());
        batch.put(key, event.encode())
    }

    /// What happened to a message, in order. Rows that cannot be read are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(&self, id: MessageId) -> Result<Vec<Event>> {
        let range = Range::prefix(&Key::from(HISTORY).join_number(id.0));
        let options = ScanOptions { limit: EVENTS_MAX, ..ScanOptions::default() };
        let page = self.store.scan(range, options).await?;
        Ok(page.rows.iter().filter_map(|(key, row)| Event::decode(key, &row.value).ok()).collect())
    }

    /// Removes what is older than [`KEPT`]; how many rows that were. Names of messages begin with the time
    /// at which they came, so the oldest rows are the first.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self, now: UnixTime) -> Result<usize> {
        let Some(oldest) = (now.as_nanos() / 1000).checked_sub(KEPT.as_micros() as u64) else { return Ok(0) };
        let start = Key::from(HISTORY);
        let range = Range::between(start.clone(), start.join_number(oldest));
        let options = ScanOptions { limit: SWEEP_ROWS, ..ScanOptions::default() };
        let mut removed = 0;
        loop {
            let page = self.store.scan(range.clone(), options).await?;
            if page.rows.is_empty() {
                return Ok(removed);
            }
            removed += page.rows.len();
            let batch = Batch::new().durability(Durability::Process);
            let batch = page.rows.into_iter().fold(batch, |batch, (key, _)| batch.delete(key));
            self.store.commit(batch).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use doorway_store::{MemoryStore, wait};

    use super::*;

    #[test]
    fn what_happened_reads_back_in_order_and_goes_when_it_is_old() {
        let store = Arc::new(MemoryStore::new());
        let history = History::new(Arc::clone(&store) as Arc<dyn Store>);
        let now = UnixTime::from_secs(1_795_000_000);
        let id = MessageId(now.as_nanos() / 1000);
        let event = |seconds, what| Event {
            at: now + Duration::from_secs(seconds),
            what,
            recipient: "bob@hamburger.edu".into(),
            host: "mx.hamburger.edu".into(),
            text: "é".repeat(700),
        };
        let mut batch = Batch::new();
        for (number, (seconds, what)) in
            (0..).zip([(0, Happening::Accepted), (1, Happening::Deferred), (1, Happening::Relayed)])
        {
            batch = history.note(batch, id, number, &event(seconds, what));
        }
        store.commit(batch).wait().unwrap();
        let read = wait(history.of(id)).unwrap();
        let told: Vec<_> = read.iter().map(|event| event.what.word()).collect();
        assert_eq!(told, ["accepted", "deferred", "relayed"]);
        assert_eq!(read[1].text, "é".repeat(500));
        assert_eq!(wait(history.sweep(now + KEPT)).unwrap(), 0);
        assert_eq!(wait(history.sweep(now + KEPT + Duration::from_secs(1))).unwrap(), 3);
        assert_eq!(wait(history.of(id)).unwrap(), []);
    }
}
