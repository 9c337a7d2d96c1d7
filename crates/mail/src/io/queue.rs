//! The queue over the store.

use std::sync::Arc;

use bytes::Bytes;
use doorway_base::UnixTime;
use doorway_net::BoxFuture;
use doorway_store::{Batch, Error, Key, Range, Result, Row, ScanOptions, Store};

use crate::address::Address;
use crate::id::MessageId;
use crate::queue::{Item, QueueEntry, item};

/// A report about a message (RFC 3464), to be delivered to whoever sent that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The message that it is about.
    pub about: MessageId,
    /// Whom it is for: the reverse-path of that message. Its own reverse-path is null.
    pub to: Address,
    /// When it was made.
    pub at: UnixTime,
    /// The whole message, lines ending in CRLF, without trace lines.
    pub content: Bytes,
    /// Whether it needs SMTPUTF8 to be sent on.
    pub smtputf8: bool,
}

/// What is to happen once a batch is committed: whom to wake, what to queue.
pub type Afterwards = Box<dyn FnOnce() + Send>;

/// Takes reports back from the queue: delivers them here or queues them.
pub trait Returns: Send + Sync + 'static {
    /// Adds the delivery of a report to the batch that removes what it reports on, so that neither is
    /// lost without the other. What comes with the batch is called after its commit, and dropped
    /// uncalled when that fails (the same report may be handed over again then).
    ///
    /// # Errors
    /// The store's; the items stay queued.
    fn give_back(&self, batch: Batch, report: Report) -> BoxFuture<'_, Result<(Batch, Afterwards)>>;
}

/// The queue of messages for other servers. Clones are the same.
#[derive(Clone)]
pub struct Queue {
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    /// The queue in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Adds a message to a batch: a row for each recipient. The batch must also keep its body, with one
    /// reference for each of these recipients.
    #[must_use]
    pub fn enqueue(&self, batch: Batch, entry: &QueueEntry) -> Batch {
        entry.items().iter().fold(batch, |batch, item| batch.put(item.key(), item.encode()))
    }

    /// The items of a message that are still queued.
    ///
    /// # Errors
    /// The store's; [`Error::Damaged`] when a row is not an item.
    pub async fn items(&self, id: MessageId) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for prefix in [item::FRESH, item::LATER] {
            let mut range = Some(Range::prefix(&Key::from(prefix).join_number(id.0)));
            while let Some(part) = range {
                let page = self.store.scan(part.clone(), ScanOptions::default()).await?;
                for (key, row) in &page.rows {
                    items.push(decode(key, row)?);
                }
                range = page.rest(&part, ScanOptions::default());
            }
        }
        items.sort_by_key(|item| item.number);
        Ok(items)
    }
}

fn decode(key: &Key, row: &Row) -> Result<Item> {
    let damaged = |malformed| Error::Damaged(format!("the queue's row {key}: {malformed}").into());
    Item::decode(key, &row.value).map_err(damaged)
}
