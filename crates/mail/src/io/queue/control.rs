//! What people do with the queue: look at it, hold and release messages, drop them, have them tried now.

use std::fmt;

use doorway_store::{Batch, Error, Key, Range, Result, ScanOptions};

use super::{Inner, Queue, clerk, decode, destination_of};
use crate::id::MessageId;
use crate::io::history::{Event, Happening};
use crate::queue::item::{self, FRESH, Held, Item, LATER};

/// Most rows that one call of [`Queue::list`] looks at.
const LOOKED_AT_MAX: usize = 100_000;

/// Which items are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only those for this domain, or for an address that is exactly this.
    pub to: Option<String>,
    /// Only those from this domain or address.
    pub from: Option<String>,
    /// Only held ones, or only those that are not.
    pub held: Option<bool>,
}

impl Filter {
    fn matches(&self, item: &Item) -> bool {
        let fits = |wanted: &str, address: Option<&crate::Address>| {
            address.is_some_and(|address| {
                let (domain, whole) = (address.domain.to_string(), address.to_string());
                domain.eq_ignore_ascii_case(wanted) || whole.eq_ignore_ascii_case(wanted)
            })
        };
        self.to.as_deref().is_none_or(|to| fits(to, Some(&item.recipient.address)))
            && self.from.as_deref().is_none_or(|from| fits(from, item.shared.from.as_ref()))
            && self.held.is_none_or(|held| held == (item.held == Held::Yes))
    }
}

/// Why a message in the queue was not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeError {
    /// It is being sent right now; ask again in a moment.
    Busy,
    /// The queue has no message of this name.
    NoSuchMessage,
    /// The store's trouble.
    Store(Error),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("it is being sent right now"),
            Self::NoSuchMessage => f.write_str("no message of this name is queued"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChangeError {}

impl From<Error> for ChangeError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// What is done to a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Hold,
    Release,
    Retry,
    Drop,
}

impl Queue {
    /// Up to `limit` items that match, those that were never tried first. `from` is where the call before
    /// ended; the second value is where the next may begin. A call gives up after many rows that do not
    /// match, so it may come back with fewer and yet not be at the end.
    ///
    /// # Errors
    /// The store's; [`Error::Damaged`] when a row is not an item.
    pub async fn list(
        &self,
        filter: &Filter,
        from: Option<Key>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<Key>)> {
        let mut items = Vec::new();
        let mut looked_at = 0;
        for prefix in [FRESH, LATER] {
            let mut range = Range::prefix(&Key::from(prefix));
            if let Some(from) = &from {
                if range.end.as_ref().is_some_and(|end| from >= end) {
                    continue;
                }
                range.start = range.start.max(from.clone());
            }
            let mut range = Some(range);
            while let Some(part) = range {
                let options = ScanOptions { limit: 1000, ..ScanOptions::default() };
                let page = self.inner.bodies.store().scan(part.clone(), options).await?;
                for (key, row) in &page.rows {
                    looked_at += 1;
                    let item = decode(key, row)?;
                    if filter.matches(&item) {
                        items.push(item);
                    }
                    if items.len() >= limit || looked_at >= LOOKED_AT_MAX {
                        return Ok((items, Some(key.successor())));
                    }
                }
                range = page.rest(&part, options);
            }
        }
        Ok((items, None))
    }

    /// The items of a message that are still queued, in the order of its recipients.
    ///
    /// # Errors
    /// The store's; [`Error::Damaged`] when a row is not an item.
    pub async fn items(&self, id: MessageId) -> Result<Vec<Item>> {
        self.inner.items(id).await
    }

    /// Keeps a message from being tried until it is released. How many recipients that were.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing was changed.
    pub async fn hold(&self, id: MessageId) -> std::result::Result<usize, ChangeError> {
        self.inner.change(id, Change::Hold).await
    }

    /// Lets a held message go on, at once. How many recipients that were.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing was changed.
    pub async fn release(&self, id: MessageId) -> std::result::Result<usize, ChangeError> {
        self.inner.change(id, Change::Release).await
    }

    /// Has a message tried now; a held one stays held. How many recipients that were.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing was changed.
    pub async fn retry(&self, id: MessageId) -> std::result::Result<usize, ChangeError> {
        self.inner.change(id, Change::Retry).await
    }

    /// Removes a message without telling anybody. How many recipients that were.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing was changed.
    pub async fn drop(&self, id: MessageId) -> std::result::Result<usize, ChangeError> {
        self.inner.change(id, Change::Drop).await
    }
}

impl Inner {
    async fn items(&self, id: MessageId) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for prefix in [FRESH, LATER] {
            let mut range = Some(Range::prefix(&Key::from(prefix).join_number(id.0)));
            while let Some(part) = range {
                let page = self.bodies.store().scan(part.clone(), ScanOptions::default()).await?;
                for (key, row) in &page.rows {
                    items.push(decode(key, row)?);
                }
                range = page.rest(&part, ScanOptions::default());
            }
        }
        items.sort_by_key(|item| item.number);
        Ok(items)
    }

    async fn change(&self, id: MessageId, change: Change) -> std::result::Result<usize, ChangeError> {
        {
            let mut state = self.state();
            if state.changing.contains(&id) || !state.dispatch.withdraw(id) {
                return Err(ChangeError::Busy);
            }
            state.changing.insert(id);
        }
        let changed = self.change_rows(id, change).await;
        {
            let mut state = self.state();
            state.changing.remove(&id);
            // What was withdrawn, or passed over meanwhile, is read again.
            state.leave_to_feeder(item::item_key(FRESH, id, 0));
            state.due_from = Key::from(item::DUE);
        }
        self.feeder.notify_one();
        match changed? {
            0 => Err(ChangeError::NoSuchMessage),
            changed => Ok(changed),
        }
    }

    async fn change_rows(&self, id: MessageId, change: Change) -> Result<usize> {
        let now = self.time();
        let items = self.items(id).await?;
        let (what, text) = match change {
            Change::Hold => (Happening::Held, "held"),
            Change::Release => (Happening::Released, "released"),
            Change::Retry => (Happening::Released, "to be tried now"),
            Change::Drop => (Happening::Dropped, "removed"),
        };
        for some in items.chunks(clerk::ITEMS_MAX) {
            loop {
                let mut batch = some.iter().fold(Batch::new(), clerk::remove);
                for item in some.iter().filter(|_| change != Change::Drop) {
                    let mut item = item.clone();
                    match change {
                        Change::Hold => item.held = Held::Yes,
                        Change::Release => (item.held, item.due) = (Held::No, now),
                        _ => item.due = now,
                    }
                    batch = clerk::write(batch, &item);
                }
                for item in some {
                    let event = Event {
                        at: now,
                        what,
                        recipient: item.recipient.address.to_string(),
                        host: String::new(),
                        text: text.to_owned(),
                    };
                    batch = self.history.note(batch, id, item.number, &event);
                }
                if change == Change::Drop {
                    let ids = vec![id; some.len()];
                    batch = self.bodies.release(batch, &ids).await?;
                }
                match self.bodies.store().commit(batch).await {
                    Ok(_) => break,
                    // Somebody else let go of the same body.
                    Err(Error::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        if matches!(change, Change::Retry | Change::Release) {
            for item in &items {
                let destination = destination_of(&self.options, &item.recipient.address);
                self.state().dispatch.unblock(&destination);
            }
        }
        Ok(items.len())
    }
}
