//! The newest rows, in memory: what the log has and the database does not have yet.

use std::collections::btree_map;
use std::ops::Bound;
use std::sync::Arc;

use crate::batch::{Change, Changes, Row};
use crate::key::{Key, Range};
use crate::store::{PAGE_OCTETS_MAX, PAGE_ROWS_MAX, Page, PageBuilder, ScanOptions};

/// The newest changes, in two layers.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// What the log's present file holds.
    pub(crate) active: Changes,
    /// What the log's full files hold and the database is taking over.
    pub(crate) frozen: Option<Arc<Changes>>,
}

impl Tables {
    /// What became of `key` last; `None` when only the database knows.
    pub(crate) fn find(&self, key: &Key) -> Option<&Change> {
        self.active.get(key).or_else(|| self.frozen.as_ref()?.get(key))
    }
}

type Walk<'a> = std::iter::Peekable<Box<dyn Iterator<Item = (&'a Key, &'a Change)> + 'a>>;

fn walk<'a>(changes: &'a Changes, range: &'a Range, reverse: bool) -> Walk<'a> {
    let end = range.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let found: btree_map::Range<'a, Key, Change> = changes.range((Bound::Included(&range.start), end));
    let walk: Box<dyn Iterator<Item = _>> = if reverse { Box::new(found.rev()) } else { Box::new(found) };
    walk.peekable()
}

impl Tables {
    /// The changes in a range that can matter to one page of it, in the page's order: enough rows to
    /// fill it and one more, and the removals between them. The range must not be empty.
    pub(crate) fn part(&self, range: &Range, options: ScanOptions) -> Vec<(Key, Change)> {
        let nothing = Changes::new();
        let mut new = walk(&self.active, range, options.reverse);
        let mut old = walk(self.frozen.as_deref().unwrap_or(&nothing), range, options.reverse);
        let mut part = Vec::new();
        let (mut rows, mut octets) = (0, 0);
        loop {
            let next = match (new.peek(), old.peek()) {
                (None, None) => break,
                (Some(_), None) => new.next(),
                (None, Some(_)) => old.next(),
                (Some((a, _)), Some((b, _))) if a == b => {
                    old.next();
                    new.next()
                }
                (Some((a, _)), Some((b, _))) if (a < b) != options.reverse => new.next(),
                (Some(_), Some(_)) => old.next(),
            };
            let Some((key, change)) = next else { break };
            part.push((key.clone(), change.clone()));
            if let Some(value) = &change.value {
                if rows >= options.limit.min(PAGE_ROWS_MAX) || octets >= PAGE_OCTETS_MAX {
                    break; // the page is full without this row, which shows that there is more
                }
                rows += 1;
                octets += key.octets() + value.len();
            }
        }
        part
    }
}

/// Fills a page from newer changes laid over older rows, both in the page's order.
///
/// Feed the older rows with [`Overlaid::older`] until it returns false, then [`Overlaid::finish`].
pub(crate) struct Overlaid {
    newer: std::iter::Peekable<std::vec::IntoIter<(Key, Change)>>,
    reverse: bool,
    page: PageBuilder,
}

impl Overlaid {
    pub(crate) fn new(newer: Vec<(Key, Change)>, options: ScanOptions) -> Self {
        Self {
            newer: newer.into_iter().peekable(),
            reverse: options.reverse,
            page: PageBuilder::new(options),
        }
    }

    /// Adds an older row, unless a newer change stands for it; false when the page is full.
    pub(crate) fn older(&mut self, key: Key, row: Row) -> bool {
        while let Some((newer, _)) = self.newer.peek() {
            if *newer == key {
                // It comes out with the newer ones before the next older row.
                return true;
            }
            if (*newer < key) == self.reverse {
                break;
            }
            if !self.push_newer() {
                return false;
            }
        }
        self.page.push(key, row)
    }

    fn push_newer(&mut self) -> bool {
        match self.newer.next() {
            Some((key, change)) => change.row().is_none_or(|row| self.page.push(key, row)),
            None => true,
        }
    }

    /// The page, once there are no older rows left or it is full.
    pub(crate) fn finish(mut self) -> Page {
        while !self.page.page.more && self.newer.peek().is_some() {
            self.push_newer();
        }
        self.page.page
    }
}
