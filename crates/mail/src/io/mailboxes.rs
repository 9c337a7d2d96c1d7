//! Mailboxes over the store: accounts, delivery, quota. Folders are in `mailboxes/folders.rs`, messages in
//! `mailboxes/messages.rs`, the list that POP3 opens in `mailboxes/maildrop.rs`. What the rows hold is in
//! `mailbox.rs`.
//!
//! Everything that changes is one batch, made anew when somebody else was faster ([`CONFLICT_TRIES`]). What
//! takes more steps than a batch may have is done in parts, each whole: an expunge of more than
//! [`EXPUNGE_MESSAGES_MAX`] messages that is cut off has removed the first ones and left the others.

mod folders;
mod maildrop;
mod messages;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use doorway_base::{Limit, Malformed, UnixTime};
use doorway_store::{BATCH_STEPS_MAX, Batch, Error, Key, Range, Receipt, Row, ScanOptions, Store, Watch};

pub use self::folders::Folder;
pub use self::messages::{Changed, FlagChange, Message, MessagePage, TRANSFER_MESSAGES_MAX};
use super::bodies::{Bodies, RELEASE_STEPS_MAX};
use crate::id::MessageId;
use crate::mailbox::{
    AccountRecord, Flags, FolderId, FolderName, FolderRecord, MessageRecord, State, account_key, folder_key,
    folder_states_key, messages_key, state_key, states_key, subscription_key,
};

/// Most folders of an account.
pub const FOLDERS_MAX: usize = 10_000;
/// Most messages that one batch removes: an expunge of more is done in parts of so many.
pub const EXPUNGE_MESSAGES_MAX: usize = (BATCH_STEPS_MAX - 16) / (RELEASE_STEPS_MAX + 1);
/// How often a change is tried while others are faster.
const CONFLICT_TRIES: usize = 64;
/// Accounts that are remembered to exist.
const ACCOUNTS_KNOWN_MAX: usize = 100_000;

/// Why a folder or a message could not be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxError {
    /// There is no such folder.
    NoSuchFolder,
    /// There is such a folder already.
    Exists,
    /// INBOX is not deleted, and nothing lies above it.
    Inbox,
    /// The folder's new name would be no name.
    Name(Malformed),
    /// A bound was reached, such as [`FOLDERS_MAX`].
    Limit(Limit),
    /// The store's own trouble.
    Store(Error),
}

impl From<Error> for MailboxError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchFolder => f.write_str("there is no such folder"),
            Self::Exists => f.write_str("there is such a folder already"),
            Self::Inbox => f.write_str("INBOX cannot be deleted"),
            Self::Name(malformed) => write!(f, "not a folder's name: {malformed}"),
            Self::Limit(limit) => limit.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MailboxError {}

/// An account that has its INBOX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The user's number.
    pub user: u64,
    /// UIDVALIDITY of INBOX.
    pub uid_validity: u32,
}

/// A message as it is put into a folder. Its body is kept by [`Bodies::keep`] in the same batch or before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The name of its body.
    pub id: MessageId,
    /// The internal date.
    pub at: UnixTime,
    /// Length of the body: [`super::Prepared::octets`].
    pub octets: u64,
    /// The flags it has from the start; usually none.
    pub flags: Flags,
}

/// What accounts may hold; 0 is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Octets of all messages of an account.
    pub octets: u64,
    /// Messages of an account.
    pub messages: u64,
}

/// What an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Octets of all its messages.
    pub octets: u64,
    /// Its messages, copies counted each.
    pub messages: u64,
}

/// Whether a message fits into an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Enough,
    /// The account holds too many octets ([`Quota::octets`]).
    Octets,
    /// The account holds too many messages ([`Quota::messages`]).
    Messages,
}

/// A folder's counters, as they were at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// How many messages.
    pub messages: u64,
    /// How long they are together, in octets.
    pub octets: u64,
    /// The UID that the next message gets (UIDNEXT).
    pub uid_next: u64,
    /// The highest modification sequence of anything in it (HIGHESTMODSEQ); 1 for a new folder.
    pub modseq: u64,
    /// How many rows of expunged messages were written.
    pub(crate) gone: u64,
}

/// The mailboxes of a store.
#[derive(Debug)]
pub struct Mailboxes {
    bodies: Bodies,
    quota: Quota,
    /// Accounts that exist, by user.
    known: Mutex<BTreeMap<u64, Account>>,
    /// What accounts hold at the most, by user: counted from the store once, and on from there, so that a
    /// delivery need not read it.
    held: Mutex<BTreeMap<u64, Usage>>,
    maildrops: Mutex<maildrop::Maildrops>,
}

impl Mailboxes {
    /// The mailboxes beside these bodies.
    #[must_use]
    pub fn new(bodies: Bodies, quota: Quota) -> Self {
        Self { bodies, quota, known: Mutex::default(), held: Mutex::default(), maildrops: Mutex::default() }
    }

    /// The octets of messages.
    #[must_use]
    pub fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    fn store(&self) -> &dyn Store {
        &**self.bodies.store()
    }

    /// The account of a user, made the first time. Afterwards this reads nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn open_account(&self, user: u64, now: UnixTime) -> Result<Account, Error> {
        if let Some(account) = lock(&self.known).get(&user) {
            return Ok(*account);
        }
        let (key, inbox) = (account_key(user), folder_key(user, &FolderName::inbox()));
        let account = loop {
            // Both as they were at one moment: whoever makes them makes them together.
            let found = self.store().get(&[key.clone(), inbox.clone()]).await?;
            match &found[..] {
                [_, Some(row)] => {
                    let uid_validity = record(&inbox, row, FolderRecord::decode)?.uid_validity;
                    break Account { user, uid_validity };
                }
                [Some(_), _] => return Err(Error::Damaged(format!("account {user} has no INBOX").into())),
                _ => {}
            }
            // Seconds since 1970 rise from one account or folder of a name to the next (RFC 9051 §2.3.1.1).
            let uid_validity = u32::try_from(now.as_secs()).unwrap_or(u32::MAX).max(1);
            let account = AccountRecord { folder_last: FolderId::INBOX, uid_validity_last: uid_validity };
            let folder = FolderRecord { id: FolderId::INBOX, uid_validity, special_use: None };
            let batch = Batch::new().absent(key.clone()).absent(inbox.clone());
            let batch = batch.put(key.clone(), account.encode()).put(inbox.clone(), folder.encode());
            match self.store().commit(batch).await {
                Ok(_) => break Account { user, uid_validity },
                // Somebody else makes it, perhaps in a group of commits that nobody can read yet.
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        };
        let mut known = lock(&self.known);
        if known.len() >= ACCOUNTS_KNOWN_MAX {
            known.pop_first();
        }
        known.insert(user, account);
        Ok(account)
    }

    /// Removes an account with everything in it, as when its user is removed. Cut off, it is done again.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_account(&self, account: &Account) -> Result<(), MailboxError> {
        let user = account.user;
        lock(&self.known).remove(&user);
        lock(&self.held).remove(&user);
        for folder in self.folders(account).await? {
            self.store().commit(Batch::new().delete(folder_key(user, &folder.name))).await?;
            self.clear_folder(user, folder.id).await?;
        }
        for name in self.subscriptions(account).await? {
            self.store().commit(Batch::new().delete(subscription_key(user, &name))).await?;
        }
        self.store().commit(Batch::new().delete(account_key(user))).await?;
        Ok(())
    }

    /// Adds to `batch` what puts a message into a folder, INBOX for `None`. Nothing is read: the batch draws
    /// the UID. Should a folder other than INBOX have been renamed or deleted meanwhile, the batch ends in a
    /// conflict: look the folder up again.
    #[must_use]
    pub fn deliver(
        &self,
        batch: Batch,
        account: &Account,
        folder: Option<&Folder>,
        message: &Delivered,
    ) -> Batch {
        let batch = match folder.filter(|folder| folder.id != FolderId::INBOX) {
            Some(folder) => batch.version(folder_key(account.user, &folder.name), folder.version),
            None => batch,
        };
        let id = folder.map_or(FolderId::INBOX, |folder| folder.id);
        let record = MessageRecord {
            id: message.id,
            at: message.at,
            octets: message.octets,
            flags: message.flags.clone(),
        };
        self.place(batch, account.user, id, &record)
    }

    /// What an account holds in all its folders.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(&self, user: u64) -> Result<Usage, Error> {
        let mut usage = Usage::default();
        let prefix = states_key(user);
        self.each_row(Range::prefix(&prefix), |key, row| {
            let number = row.number().unwrap_or_default().max(0).cast_unsigned();
            match key.after(&prefix).and_then(|rest| rest.get(8..)) {
                Some(name) if name == State::Octets.name().as_bytes() => usage.octets += number,
                Some(name) if name == State::Count.name().as_bytes() => usage.messages += number,
                _ => {}
            }
            Ok(())
        })
        .await?;
        Ok(usage)
    }

    /// The bounds in force.
    #[must_use]
    pub fn quota_limits(&self) -> Quota {
        self.quota
    }

    /// Whether a message of `octets` octets fits into an account, as things are now: messages that come at
    /// the same moment may exceed the bound by what was let in together.
    ///
    /// # Errors
    /// The store's.
    pub async fn quota(&self, user: u64, octets: u64) -> Result<Room, Error> {
        if self.quota == Quota::default() {
            return Ok(Room::Enough);
        }
        let held = lock(&self.held).get(&user).copied();
        if let Some(held) = held
            && self.quota.room(held, octets) == Room::Enough
        {
            return Ok(Room::Enough);
        }
        // Messages may have been removed since it was counted.
        let usage = self.usage(user).await?;
        let mut held = lock(&self.held);
        if held.len() >= ACCOUNTS_KNOWN_MAX {
            held.pop_first();
        }
        held.insert(user, usage);
        Ok(self.quota.room(usage, octets))
    }

    /// A folder's counters.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self, user: u64, folder: FolderId) -> Result<Status, Error> {
        let keys = State::ALL.map(|state| state_key(user, folder, state));
        let rows = self.store().get(&keys).await?;
        let number = |at: usize| -> u64 {
            let row: Option<&Row> = rows.get(at).and_then(Option::as_ref);
            row.and_then(Row::number).unwrap_or_default().max(0).cast_unsigned()
        };
        let versions = rows.iter().flatten().map(|row| row.version);
        Ok(Status {
            messages: number(1),
            octets: number(2),
            uid_next: number(0) + 1,
            modseq: versions.max().unwrap_or(1),
            gone: number(4),
        })
    }

    /// Hints that something in a folder has changed: messages came, left, or have other flags.
    #[must_use]
    pub fn watch(&self, user: u64, folder: FolderId) -> Watch {
        self.store().watch(folder_states_key(user, folder))
    }

    async fn row(&self, key: &Key) -> Result<Option<Row>, Error> {
        doorway_store::row(self.store(), key).await
    }

    /// Gives every row of a range to `each`, a page at a time.
    async fn each_row(
        &self,
        range: Range,
        mut each: impl FnMut(&Key, &Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rest = Some(range);
        while let Some(range) = rest {
            let page = self.store().scan(range.clone(), ScanOptions::default()).await?;
            page.rows.iter().try_for_each(|(key, row)| each(key, row))?;
            rest = page.rest(&range, ScanOptions::default());
        }
        Ok(())
    }

    /// Adds a message's row under a UID that the batch draws, and counts it.
    fn place(&self, batch: Batch, user: u64, folder: FolderId, record: &MessageRecord) -> Batch {
        if let Some(held) = lock(&self.held).get_mut(&user) {
            held.octets = held.octets.saturating_add(record.octets);
            held.messages = held.messages.saturating_add(1);
        }
        let (batch, uid) = batch.next_id(state_key(user, folder, State::Uid));
        batch
            .put_under_id(messages_key(user, folder), uid, record.encode())
            .add(state_key(user, folder, State::Count), 1)
            .add(state_key(user, folder, State::Octets), record.octets.cast_signed())
    }

    /// Commits what `make` makes, anew as long as it ends in a conflict.
    async fn commit_anew<M, F, T>(&self, mut make: M) -> Result<(Receipt, T), MailboxError>
    where
        M: FnMut() -> F,
        F: Future<Output = Result<(Batch, T), MailboxError>>,
    {
        let mut tries = 0;
        loop {
            let (batch, made) = make().await?;
            match self.store().commit(batch).await {
                Ok(receipt) => return Ok((receipt, made)),
                Err(Error::Conflict(_)) if tries < CONFLICT_TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Quota {
    /// Whether `octets` more fit beside `usage`.
    #[must_use]
    pub fn room(&self, usage: Usage, octets: u64) -> Room {
        if self.octets != 0 && usage.octets.saturating_add(octets) > self.octets {
            Room::Octets
        } else if self.messages != 0 && usage.messages >= self.messages {
            Room::Messages
        } else {
            Room::Enough
        }
    }
}

/// Reads a row's value, or says which row is damaged.
fn record<T>(key: &Key, row: &Row, decode: impl Fn(&[u8]) -> Result<T, Malformed>) -> Result<T, Error> {
    decode(&row.value).map_err(|malformed| Error::Damaged(format!("row {key}: {malformed}").into()))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is inside is a memory of the store: whole after every step, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
