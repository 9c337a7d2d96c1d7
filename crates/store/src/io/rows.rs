//! Short forms of reading, over any store.

use crate::batch::Row;
use crate::error::Result;
use crate::io::wait::wait;
use crate::key::{Key, Range};
use crate::store::{ScanOptions, Store};

/// One row; the short form of [`Store::get`] for a single key.
///
/// # Errors
/// As [`Store::get`].
pub async fn row(store: &dyn Store, key: &Key) -> Result<Option<Row>> {
    Ok(store.get(std::slice::from_ref(key)).await?.pop().flatten())
}

/// Every row of a range. For tables that are small by their nature: users, sessions at start.
///
/// # Errors
/// As [`Store::scan`].
pub async fn rows(store: &dyn Store, range: Range) -> Result<Vec<(Key, Row)>> {
    let mut all = Vec::new();
    let mut rest = Some(range);
    while let Some(range) = rest {
        let page = store.scan(range.clone(), ScanOptions::default()).await?;
        rest = page.rest(&range, ScanOptions::default());
        all.extend(page.rows);
    }
    Ok(all)
}

/// Gives every row below a prefix to `each`; blocks, for our own threads.
pub(crate) fn each_row(
    store: &dyn Store,
    prefix: &str,
    mut each: impl FnMut(&Key, &Row) -> Result<()>,
) -> Result<()> {
    let mut rest = Some(Range::prefix(&Key::from(prefix)));
    while let Some(range) = rest {
        let page = wait(store.scan(range.clone(), ScanOptions::default()))?;
        for (key, row) in &page.rows {
            each(key, row)?;
        }
        rest = page.rest(&range, ScanOptions::default());
    }
    Ok(())
}
