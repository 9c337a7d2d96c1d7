//! The check of all mailboxes: every body is read and compared, every reference counted, every counter
//! counted anew. What is wrong is told with its account, folder and UID; counters can be put right.
//!
//! It runs beside a server: what changes meanwhile is looked at twice before it is called wrong, and a repair
//! is only done if nothing has changed since it was looked at. Memory is bounded: references are counted for
//! [`BODIES_AT_ONCE`] bodies at a time. Pages, log and segments are checked by [`doorway_store::verify`].

use std::collections::BTreeMap;

use doorway_store::{Batch, Error, Key, PAGE_ROWS_MAX, Range, Row, ScanOptions, Store};

use super::bodies::{BODY, Body, MORE, more_key, structure_key};
use super::mailboxes::{MailboxError, Mailboxes};
use crate::id::MessageId;
use crate::mailbox::{
    ACCOUNT, AccountRecord, FOLDER, FolderId, FolderName, FolderRecord, MESSAGE, MessageRecord, State,
    message_key, messages_key, number_after, state_key, uid_after,
};
use crate::queue::item::{FRESH, LATER};

/// Bodies whose references are counted in one pass over all messages.
pub const BODIES_AT_ONCE: usize = 500_000;
/// Most damages that are described; more are only counted.
pub const DAMAGE_LISTED_MAX: usize = 1000;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Damage {
    /// The user's number, where it is about an account.
    pub user: Option<u64>,
    /// The folder's name, or its number when it has no name.
    pub folder: Option<String>,
    /// The message's UID.
    pub uid: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// Whether it was put right.
    pub repaired: bool,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = self.user {
            write!(f, "user {user}, ")?;
        }
        if let Some(folder) = &self.folder {
            write!(f, "folder {folder}, ")?;
        }
        if let Some(uid) = self.uid {
            write!(f, "UID {uid}: ")?;
        }
        let repaired = if self.repaired { " (repaired)" } else { "" };
        write!(f, "{}{repaired}", self.what)
    }
}

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FsckReport {
    /// Accounts.
    pub accounts: u64,
    /// Folders.
    pub folders: u64,
    /// Messages in them.
    pub messages: u64,
    /// Bodies that were read and compared.
    pub bodies: u64,
    /// Octets of them.
    pub octets: u64,
    /// How many damages were found.
    pub damages: u64,
    /// The first of them.
    pub damage: Vec<Damage>,
    /// How many of all were put right.
    pub repaired: u64,
}

impl FsckReport {
    /// True when nothing is wrong any more.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages == self.repaired
    }

    fn tell(&mut self, damage: Damage) {
        self.damages += 1;
        self.repaired += u64::from(damage.repaired);
        if self.damage.len() < DAMAGE_LISTED_MAX {
            self.damage.push(damage);
        }
    }
}

struct Check<'a> {
    mailboxes: &'a Mailboxes,
    repair: bool,
    report: FsckReport,
    tell: &'a mut (dyn FnMut(&FsckReport) + Send),
    /// Names of folders, by user and number.
    names: BTreeMap<(u64, FolderId), FolderName>,
}

/// A body while its references are counted.
#[derive(Debug, Default)]
struct Counted {
    octets: u64,
    /// How many references are kept for it, its own row included.
    kept: i64,
    found: i64,
    /// Versions of the rows that say so.
    body: Option<Row>,
    more: Option<Row>,
    damaged: Option<String>,
}

/// Checks everything, and puts counters right if `repair` says so.
///
/// # Errors
/// The store's, when it cannot be read at all: then [`super::salvage`] brings out what can be read.
pub async fn fsck(
    mailboxes: &Mailboxes,
    repair: bool,
    tell: &mut (dyn FnMut(&FsckReport) + Send),
) -> Result<FsckReport, MailboxError> {
    let report = FsckReport::default();
    let mut check = Check { mailboxes, repair, report, tell, names: BTreeMap::new() };
    check.accounts().await?;
    check.folders().await?;
    let mut first = Some(0);
    while let Some(from) = first {
        first = check.bodies(from).await?;
    }
    Ok(check.report)
}

impl Check<'_> {
    fn store(&self) -> &dyn Store {
        &**self.mailboxes.bodies().store()
    }

    async fn page(&self, range: &Range, limit: usize) -> Result<doorway_store::Page, Error> {
        self.store().scan(range.clone(), ScanOptions { limit, reverse: false }).await
    }

    fn damage(
        &mut self,
        user: u64,
        folder: Option<FolderId>,
        uid: Option<u64>,
        what: String,
        repaired: bool,
    ) {
        let folder = folder.map(|id| {
            self.names.get(&(user, id)).map_or_else(|| format!("number {}", id.0), ToString::to_string)
        });
        self.report.tell(Damage { user: Some(user), folder, uid, what, repaired });
    }

    /// Account rows and names of folders.
    async fn accounts(&mut self) -> Result<(), MailboxError> {
        let prefix = Key::from(ACCOUNT);
        let mut accounts = BTreeMap::new();
        for (key, row) in doorway_store::rows(self.store(), Range::prefix(&prefix)).await? {
            let Some(user) = number_after(&key, &prefix) else { continue };
            self.report.accounts += 1;
            match AccountRecord::decode(&row.value) {
                Ok(account) => drop(accounts.insert(user, account)),
                Err(malformed) => {
                    self.damage(user, None, None, format!("the account's row: {malformed}"), false)
                }
            }
        }
        let prefix = Key::from(FOLDER);
        let mut rest = Some(Range::prefix(&prefix));
        while let Some(range) = rest {
            let page = self.page(&range, PAGE_ROWS_MAX).await?;
            for (key, row) in &page.rows {
                self.folder_row(&accounts, key, row);
            }
            rest = page.rest(&range, ScanOptions::default());
        }
        for user in accounts.keys() {
            if !self.names.contains_key(&(*user, FolderId::INBOX)) {
                self.damage(*user, None, None, "there is no INBOX".to_owned(), false);
            }
        }
        Ok(())
    }

    fn folder_row(&mut self, accounts: &BTreeMap<u64, AccountRecord>, key: &Key, row: &Row) {
        let rest = key.after(&Key::from(FOLDER)).unwrap_or_default();
        let Some((user, name)) = rest.split_first_chunk::<8>() else { return };
        let user = u64::from_be_bytes(*user);
        self.report.folders += 1;
        let name = core::str::from_utf8(name).ok().and_then(|name| FolderName::parse(name).ok());
        match (name, FolderRecord::decode(&row.value)) {
            (Some(name), Ok(folder)) => {
                let id = folder.id;
                let known = accounts.get(&user);
                let given = known.is_some_and(|known| {
                    id <= known.folder_last && folder.uid_validity <= known.uid_validity_last
                });
                if let Some(other) = self.names.insert((user, id), name) {
                    self.damage(user, Some(id), None, format!("it has the number of folder {other}"), false);
                } else if !given {
                    let what = "its number or UIDVALIDITY was never given".to_owned();
                    self.damage(user, Some(id), None, what, false);
                }
            }
            (_, Err(malformed)) => {
                self.damage(user, None, None, format!("the folder's row {key}: {malformed}"), false);
            }
            (None, _) => self.damage(user, None, None, format!("row {key} names no folder"), false),
        }
    }

    /// Messages of each folder against its counters.
    async fn folders(&mut self) -> Result<(), MailboxError> {
        let prefix = Key::from(MESSAGE);
        let mut nameless = Vec::new();
        let mut next = Some(Range::prefix(&prefix));
        while let Some(range) = next {
            let page = self.page(&range, 1).await?;
            let Some((key, _)) = page.rows.first() else { break };
            let folder = key.after(&prefix).and_then(|rest| rest.first_chunk::<16>());
            let Some(folder) = folder else {
                self.report.tell(Damage { what: format!("row {key} is no message"), ..Damage::default() });
                next = Some(Range { start: key.successor(), ..range });
                continue;
            };
            let number = |at: usize| u64::from_be_bytes(folder[at..at + 8].try_into().unwrap_or_default());
            let (user, id) = (number(0), FolderId(number(8)));
            if !self.names.contains_key(&(user, id)) {
                nameless.push((user, id));
            }
            let last = message_key(user, id, u32::MAX).successor();
            next = Some(Range { start: last, ..range });
        }
        for (user, id) in nameless {
            // A folder that was being deleted when the process ended.
            let repaired = self.repair;
            if repaired {
                self.mailboxes.clear_folder(user, id).await?;
            }
            self.damage(
                user,
                Some(id),
                None,
                "there are messages of a folder that is gone".to_owned(),
                repaired,
            );
        }
        for (user, id) in self.names.keys().copied().collect::<Vec<_>>() {
            self.folder(user, id).await?;
        }
        Ok(())
    }

    async fn folder(&mut self, user: u64, id: FolderId) -> Result<(), MailboxError> {
        let keys = State::ALL.map(|state| state_key(user, id, state));
        // Anything that happens while the messages are counted changes one of these rows.
        loop {
            let before = self.store().get(&keys).await?;
            let (mut count, mut octets, mut last) = (0i64, 0i64, 0u64);
            let mut damaged = Vec::new();
            let prefix = messages_key(user, id);
            let mut rest = Some(Range::prefix(&prefix));
            while let Some(range) = rest {
                let page = self.page(&range, PAGE_ROWS_MAX).await?;
                for (key, row) in &page.rows {
                    count += 1;
                    match (uid_after(key, &prefix), MessageRecord::decode(&row.value)) {
                        (Some(uid), Ok(record)) => {
                            last = u64::from(uid);
                            octets += record.octets.cast_signed();
                        }
                        (uid, Err(malformed)) => {
                            damaged.push((uid, format!("the message's row: {malformed}")))
                        }
                        (None, _) => damaged.push((None, format!("row {key} has no UID"))),
                    }
                }
                rest = page.rest(&range, ScanOptions::default());
            }
            let after = self.store().get(&keys).await?;
            if before != after {
                continue;
            }
            self.report.messages += count.cast_unsigned();
            for (uid, what) in damaged {
                self.damage(user, Some(id), uid.map(u64::from), what, false);
            }
            let number = |at: usize| -> i64 {
                let row: Option<&Row> = before.get(at).and_then(Option::as_ref);
                row.and_then(Row::number).unwrap_or(0)
            };
            let wrong: Vec<_> = [
                (0, "the last UID", number(0), number(0).max(last.cast_signed())),
                (1, "the count of messages", number(1), count),
                (2, "the count of octets", number(2), octets),
            ]
            .into_iter()
            .filter(|(_, _, kept, right)| kept != right)
            .collect();
            let mut batch = Batch::new();
            for (key, row) in keys.iter().zip(&before) {
                batch = batch.unchanged(key.clone(), row.as_ref());
            }
            for (at, _, _, right) in &wrong {
                batch = batch.put(keys[*at].clone(), right.to_be_bytes().to_vec());
            }
            let repaired = self.repair && !wrong.is_empty() && self.store().commit(batch).await.is_ok();
            for (_, what, kept, right) in wrong {
                self.damage(
                    user,
                    Some(id),
                    None,
                    format!("{what} is {kept} and has to be {right}"),
                    repaired,
                );
            }
            (self.tell)(&self.report);
            return Ok(());
        }
    }

    /// Reads bodies from name `from` on, counts their references, and says where the next ones begin.
    async fn bodies(&mut self, from: u64) -> Result<Option<u64>, MailboxError> {
        let prefix = Key::from(BODY);
        let mut bodies: BTreeMap<MessageId, Counted> = BTreeMap::new();
        let mut rest = Some(Range { start: prefix.join_number(from), ..Range::prefix(&prefix) });
        let mut next = None;
        while let Some(range) = rest {
            let page = self.page(&range, PAGE_ROWS_MAX).await?;
            for (key, row) in &page.rows {
                let Some(id) = number_after(key, &prefix).map(MessageId) else { continue };
                let verified = self.mailboxes.bodies().verify(id, &row.value).await?;
                let mut counted = Counted::default();
                match verified {
                    Ok(body) => counted.octets = body.octets(),
                    Err(what) => counted.damaged = Some(what),
                }
                // The row is kept for its version alone.
                counted.body = Some(Row { value: bytes::Bytes::new(), version: row.version });
                self.report.bodies += 1;
                self.report.octets += counted.octets;
                bodies.insert(id, counted);
            }
            (self.tell)(&self.report);
            rest = page.rest(&range, ScanOptions::default());
            if bodies.len() >= BODIES_AT_ONCE && rest.is_some() {
                next = bodies.last_key_value().and_then(|(id, _)| id.0.checked_add(1));
                break;
            }
        }
        let until = next.unwrap_or(u64::MAX);
        self.references(&mut bodies, from..=until, true).await?;
        let suspicious = bodies.iter().filter(|(_, counted)| counted.found != counted.kept);
        let ids: Vec<MessageId> = suspicious.map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            // Somebody may have come, gone or copied meanwhile: what is wrong twice is wrong.
            let mut again = BTreeMap::new();
            for id in ids {
                let row = doorway_store::row(self.store(), &prefix.join_number(id.0)).await?;
                if let Some(body) = row {
                    again.insert(id, Counted { body: Some(body), ..Counted::default() });
                }
            }
            self.references(&mut again, from..=until, false).await?;
            for (id, counted) in again.into_iter().filter(|(_, counted)| counted.found != counted.kept) {
                self.wrong_count(id, &counted).await?;
            }
        }
        Ok(next)
    }

    /// Counts the references to `bodies` by messages and queue items. The first time, what messages say is
    /// compared with what the bodies are.
    async fn references(
        &mut self,
        bodies: &mut BTreeMap<MessageId, Counted>,
        names: std::ops::RangeInclusive<u64>,
        first_time: bool,
    ) -> Result<(), MailboxError> {
        for counted in bodies.values_mut() {
            counted.kept = 1;
        }
        let prefix = Key::from(MORE);
        let start = prefix.join_number(*names.start());
        let end = prefix.join_number(*names.end()).successor();
        self.each(Range::between(start, end), |key, row| {
            let counted = number_after(key, &prefix).and_then(|id| bodies.get_mut(&MessageId(id)));
            if let Some(counted) = counted {
                counted.kept = 1 + row.number().unwrap_or(0);
                counted.more = Some(row.clone());
            }
        })
        .await?;
        for queued in [FRESH, LATER] {
            let prefix = Key::from(queued);
            let start = prefix.join_number(*names.start());
            self.each(Range { start, ..Range::prefix(&prefix) }, |key, _| {
                let id = key.after(&prefix).and_then(|rest| rest.first_chunk::<8>());
                let id = id.map(|id| MessageId(u64::from_be_bytes(*id)));
                if let Some(counted) = id.and_then(|id| bodies.get_mut(&id)) {
                    counted.found += 1;
                }
            })
            .await?;
        }
        let prefix = Key::from(MESSAGE);
        let mut wrong = Vec::new();
        self.each(Range::prefix(&prefix), |key, row| {
            let Ok(record) = MessageRecord::decode(&row.value) else { return };
            if !names.contains(&record.id.0) {
                return;
            }
            let what = match bodies.get_mut(&record.id) {
                Some(counted) => {
                    counted.found += 1;
                    match &counted.damaged {
                        Some(what) => what.clone(),
                        None if counted.octets != record.octets => {
                            format!("it has {} octets and its row says {}", counted.octets, record.octets)
                        }
                        None => return,
                    }
                }
                None => format!("its body {} is missing", record.id),
            };
            if first_time && wrong.len() < 2 * DAMAGE_LISTED_MAX {
                wrong.push((key.clone(), record.id, what));
            }
        })
        .await?;
        for (key, id, what) in wrong {
            // What came while bodies were read is not among them.
            let both = self.store().get(&[key.clone(), Key::from(BODY).join_number(id.0)]).await?;
            let there = |at: usize| both.get(at).is_some_and(Option::is_some);
            if !there(0) || (there(1) && !bodies.contains_key(&id)) {
                continue;
            }
            let numbers = key.after(&prefix).and_then(|rest| rest.first_chunk::<24>()).copied();
            let Some(numbers) = numbers else { continue };
            let number = |at: usize| u64::from_be_bytes(numbers[at..at + 8].try_into().unwrap_or_default());
            self.damage(number(0), Some(FolderId(number(8))), Some(number(16)), what, false);
        }
        if first_time {
            let orphans =
                bodies.iter().filter(|(_, counted)| counted.found == 0 && counted.damaged.is_some());
            for (id, counted) in orphans {
                let what = format!("body {id}: {}", counted.damaged.as_deref().unwrap_or_default());
                self.report.tell(Damage { what, ..Damage::default() });
            }
        }
        Ok(())
    }

    async fn each(&self, range: Range, mut each: impl FnMut(&Key, &Row)) -> Result<(), Error> {
        let mut rest = Some(range);
        while let Some(range) = rest {
            let page = self.page(&range, PAGE_ROWS_MAX).await?;
            page.rows.iter().for_each(|(key, row)| each(key, row));
            rest = page.rest(&range, ScanOptions::default());
        }
        Ok(())
    }

    /// A body with another number of references than are kept for it; with none it is nobody's.
    async fn wrong_count(&mut self, id: MessageId, counted: &Counted) -> Result<(), MailboxError> {
        let (kept, found) = (counted.kept, counted.found);
        let key = Key::from(BODY).join_number(id.0);
        let batch = Batch::new()
            .unchanged(key.clone(), counted.body.as_ref())
            .unchanged(more_key(id), counted.more.as_ref());
        let batch = if found > 1 {
            batch.put(more_key(id), (found - 1).to_be_bytes().to_vec())
        } else if found == 1 {
            batch.delete(more_key(id))
        } else {
            let batch = batch.delete(key).delete(more_key(id)).delete(structure_key(id));
            match counted.body.as_ref().map(|row| Body::decode(&row.value)) {
                Some(Ok(Body::Blob { id, .. })) => batch.unlink(&id),
                _ => batch,
            }
        };
        let repaired = self.repair && self.store().commit(batch).await.is_ok();
        let what = match found {
            0 => format!("body {id} is nobody's"),
            _ => format!("body {id} has {found} references and {kept} are kept"),
        };
        self.report.tell(Damage { what, repaired, ..Damage::default() });
        Ok(())
    }
}
