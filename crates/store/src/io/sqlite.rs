//! The database file: how it is opened, its format, and the few statements that touch it.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ffi};

use crate::batch::{Changes, Row};
use crate::error::{Error, Result};
use crate::key::{Key, Range};

/// `application_id` of our database files: `DWST`.
const APPLICATION_ID: i64 = 0x4457_5354;
/// Oldest SQLite whose write-ahead log is safe to start over under concurrent checkpoints.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// What brings a database from format `n` to `n + 1`, in order from 0. Never changed once released.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL, ver INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('seq', 0);
"];
/// The format this program writes.
pub(crate) const FORMAT: u32 = MIGRATIONS.len() as u32;
/// How long a connection waits for another one's lock before it gives up.
const BUSY_WAIT: Duration = Duration::from_secs(10);

const SELECT: &str = "SELECT v, ver FROM kv WHERE k = ?1";
const UPSERT: &str =
    "INSERT INTO kv VALUES (?1, ?2, ?3) ON CONFLICT (k) DO UPDATE SET v = excluded.v, ver = excluded.ver";
const DELETE: &str = "DELETE FROM kv WHERE k = ?1";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that writes.
    Writer,
    /// One of those that read.
    Reader,
}

/// Opens the database, brings it to our format if it is older, and refuses it if it is newer.
///
/// # Errors
/// [`Error::OldSqlite`], [`Error::Newer`], [`Error::Damaged`] for a file that is no database, or
/// [`Error::Local`].
pub(crate) fn open(path: &Path, role: Role, wal_octets_max: u64) -> Result<Connection> {
    check_library(rusqlite::version_number(), rusqlite::version())?;
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, role == Role::Writer);
    let cannot = |error| translate(&format!("cannot open {}", path.display()), &error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(cannot)?;
    configure(&connection, role, wal_octets_max).map_err(cannot)?;
    if role == Role::Writer {
        migrate(&mut connection, path)?;
    }
    Ok(connection)
}

fn check_library(number: i32, name: &str) -> Result<()> {
    if number < SQLITE_VERSION_MIN { Err(Error::OldSqlite { found: name.into() }) } else { Ok(()) }
}

fn configure(connection: &Connection, role: Role, wal_octets_max: u64) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    // A damaged or planted file must not run code of its own or write past its pages.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    match role {
        Role::Writer => {
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "journal_size_limit", wal_octets_max.cast_signed())?;
            // The flusher says when: after each transaction, outside everybody's way.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.pragma_update(None, "cache_size", -32 * 1024)?;
        }
        Role::Reader => {
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", -8 * 1024)?;
        }
    }
    connection.set_prepared_statement_cache_capacity(16);
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let cannot = |error| translate(&format!("cannot bring {} to format {FORMAT}", path.display()), &error);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(cannot)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(cannot)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(cannot)?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(Error::damaged(format!("{} is a database of another program", path.display())));
    }
    if found > FORMAT {
        return Err(Error::Newer { found, known: FORMAT });
    }
    if found == FORMAT {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(cannot)?;
    for step in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(step).map_err(cannot)?;
    }
    transaction.pragma_update(None, "user_version", FORMAT).map_err(cannot)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(cannot)?;
    transaction.commit().map_err(cannot)
}

/// Number of the last commit that the database has.
pub(crate) fn seq(connection: &Connection) -> Result<u64> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = 'seq'")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)))
        .map(i64::cast_unsigned)
        .map_err(|error| translate("cannot read the store's sequence number", &error))
}

/// One row.
pub(crate) fn row(connection: &Connection, key: &Key) -> Result<Option<Row>> {
    connection
        .prepare_cached(SELECT)
        .and_then(|mut statement| statement.query_row([key.as_octets()], |row| row_at(row, 0)).optional())
        .map_err(|error| translate("cannot read a row", &error))
}

fn row_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Row> {
    Ok(Row {
        value: Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?),
        version: row.get::<_, i64>(column + 1)?.cast_unsigned(),
    })
}

/// Gives the rows of a range in order to `each`, until it returns false.
pub(crate) fn rows(
    connection: &Connection,
    range: &Range,
    reverse: bool,
    mut each: impl FnMut(Key, Row) -> bool,
) -> Result<()> {
    let sql = match (range.end.is_some(), reverse) {
        (true, false) => "SELECT k, v, ver FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k",
        (true, true) => "SELECT k, v, ver FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k DESC",
        (false, false) => "SELECT k, v, ver FROM kv WHERE k >= ?1 AND ?2 IS NULL ORDER BY k",
        (false, true) => "SELECT k, v, ver FROM kv WHERE k >= ?1 AND ?2 IS NULL ORDER BY k DESC",
    };
    let mut walk = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(sql)?;
        let end = range.end.as_ref().map(Key::as_octets);
        let mut found = statement.query((range.start.as_octets(), end))?;
        while let Some(row) = found.next()? {
            let key = Key::from(row.get_ref(0)?.as_blob()?);
            if !each(key, row_at(row, 1)?) {
                break;
            }
        }
        Ok(())
    };
    walk().map_err(|error| translate("cannot read rows", &error))
}

/// Takes over changes, in key order, and notes that everything up to `seq` is there: one transaction,
/// durable when this returns.
pub(crate) fn take_over(connection: &mut Connection, changes: &Changes, seq: u64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut upsert = transaction.prepare_cached(UPSERT)?;
        let mut delete = transaction.prepare_cached(DELETE)?;
        for (key, change) in changes {
            match &change.value {
                Some(value) => upsert.execute((key.as_octets(), &value[..], change.version.cast_signed()))?,
                None => delete.execute([key.as_octets()])?,
            };
        }
        transaction
            .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'seq'")?
            .execute([seq.cast_signed()])?;
    }
    transaction.commit()
}

/// Moves the database's own log into the database as far as readers allow.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// What an error of SQLite means to the store's user.
pub(crate) fn translate(what: &str, error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::damaged(format!("{what}: {error}"))
        }
        _ => Error::local(what, error),
    }
}

/// True when SQLite says that the disk is full, which passes.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// True when nothing that this connection wrote can be relied on any more.
pub(crate) fn is_fatal(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(ffi::Error { code, .. }, _) => {
            matches!(code, ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_that_can_lose_its_log_is_refused() {
        assert_eq!(check_library(3_051_002, "3.51.2"), Err(Error::OldSqlite { found: "3.51.2".into() }));
        assert_eq!(check_library(rusqlite::version_number(), rusqlite::version()), Ok(()));
    }
}
