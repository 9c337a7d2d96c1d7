//! Messages of a folder: list, change flags, copy, move, expunge; and what is remembered of those that left.

use doorway_base::UnixTime;
use doorway_store::{BATCH_STEPS_MAX, Batch, Error, GET_KEYS_MAX, Key, Range, Row, ScanOptions};

use super::{Account, EXPUNGE_MESSAGES_MAX, Folder, MailboxError, Mailboxes, record};
use crate::id::MessageId;
use crate::mailbox::{
    Flags, FolderId, MessageRecord, State, Uid, UidSet, expunged_prefix, folder_key, message_key,
    messages_key, number_after, state_key, uid_after,
};

/// Messages that one batch copies, moves or flags; more go in parts of so many.
pub const TRANSFER_MESSAGES_MAX: usize = (BATCH_STEPS_MAX - 16) / 6;
/// Rows of expunged messages that are kept for each folder; older ones make place. A client that was away
/// for longer hears of more than what is gone.
pub(super) const EXPUNGED_KEPT: u64 = 1000;

/// A message of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// Its modification sequence (RFC 7162): rises with every change of it.
    pub modseq: u64,
    /// The name of its body.
    pub id: MessageId,
    /// Its internal date.
    pub at: UnixTime,
    /// Length of its body, in octets.
    pub octets: u64,
    /// Its flags.
    pub flags: Flags,
}

/// Messages of a folder in the order of their UIDs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Message>,
    /// Where the next page begins; `None` behind the last one.
    pub next: Option<Uid>,
}

/// How flags are changed (RFC 9051 §6.4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagChange {
    /// These instead of those there are.
    Replace(Flags),
    /// These too.
    Add(Flags),
    /// No longer these.
    Remove(Flags),
}

/// What a change of flags did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// The messages as they are now.
    pub messages: Vec<Message>,
    /// Those that had changed since (RFC 7162 §3.1.3), and were left alone.
    pub modified: UidSet,
}

fn message(key: &Key, prefix: &Key, row: &Row) -> Result<Message, Error> {
    let uid = uid_after(key, prefix);
    let uid = uid.ok_or_else(|| Error::Damaged(format!("row {key} has no UID").into()))?;
    let MessageRecord { id, at, octets, flags } = record(key, row, MessageRecord::decode)?;
    Ok(Message { uid, modseq: row.version, id, at, octets, flags })
}

impl Message {
    fn record(&self) -> MessageRecord {
        MessageRecord { id: self.id, at: self.at, octets: self.octets, flags: self.flags.clone() }
    }
}

impl Mailboxes {
    /// Messages from UID `first` to `last`, at most `limit` (a page of the store when more). Ask again from
    /// [`MessagePage::next`] on: memory is bounded however many a folder has.
    ///
    /// # Errors
    /// The store's.
    pub async fn messages(
        &self,
        user: u64,
        folder: FolderId,
        uids: std::ops::RangeInclusive<Uid>,
        limit: usize,
    ) -> Result<MessagePage, Error> {
        let prefix = messages_key(user, folder);
        let start = message_key(user, folder, *uids.start());
        let end = message_key(user, folder, *uids.end()).successor();
        let options = ScanOptions { limit, reverse: false };
        let page = self.store().scan(Range::between(start, end), options).await?;
        let messages: Vec<Message> =
            page.rows.iter().map(|(key, row)| message(key, &prefix, row)).collect::<Result<_, _>>()?;
        let next = messages.last().filter(|_| page.more).map(|last| last.uid.saturating_add(1));
        Ok(MessagePage { messages, next })
    }

    /// Those messages of `uids` that there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn some_messages(
        &self,
        user: u64,
        folder: FolderId,
        uids: &[Uid],
    ) -> Result<Vec<Message>, Error> {
        let prefix = messages_key(user, folder);
        let mut found = Vec::with_capacity(uids.len());
        for some in uids.chunks(GET_KEYS_MAX) {
            let keys: Vec<Key> = some.iter().map(|uid| message_key(user, folder, *uid)).collect();
            let rows = self.store().get(&keys).await?;
            for (key, row) in keys.iter().zip(rows) {
                if let Some(row) = row {
                    found.push(message(key, &prefix, &row)?);
                }
            }
        }
        Ok(found)
    }

    /// Changes the flags of `uids`; with `unchanged_since`, only of those whose modification sequence is not
    /// above it (RFC 7162 §3.1.3). Whoever is not there any more is passed over.
    ///
    /// # Errors
    /// The store's. What was changed before stays changed.
    pub async fn change_flags(
        &self,
        user: u64,
        folder: FolderId,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<Changed, MailboxError> {
        let uids: Vec<Uid> = uids.iter().collect();
        let mut changed = Changed::default();
        for some in uids.chunks(TRANSFER_MESSAGES_MAX) {
            let made = async || {
                let found = self.some_messages(user, folder, some).await?;
                let since = unchanged_since.unwrap_or(u64::MAX);
                let (late, mut messages): (Vec<_>, Vec<_>) =
                    found.into_iter().partition(|message| message.modseq > since);
                let mut batch = Batch::new();
                let mut any = false;
                for message in &mut messages {
                    let before = message.flags.clone();
                    message.flags = match change {
                        FlagChange::Replace(flags) => flags.clone(),
                        FlagChange::Add(flags) => before.clone().union(flags),
                        FlagChange::Remove(flags) => before.clone().without(flags),
                    };
                    if message.flags == before {
                        continue;
                    }
                    any = true;
                    let key = message_key(user, folder, message.uid);
                    batch = batch.version(key.clone(), message.modseq).put(key, message.record().encode());
                    // Told apart from those that stay as they are.
                    message.modseq = 0;
                }
                if any {
                    batch = batch.put(state_key(user, folder, State::Flags), Vec::new());
                }
                Ok((batch, (messages, late)))
            };
            let (receipt, (messages, late)) = self.commit_anew(made).await?;
            changed.modified = changed.modified.iter().chain(late.iter().map(|late| late.uid)).collect();
            changed.messages.extend(messages.into_iter().map(|mut message| {
                if message.modseq == 0 {
                    message.modseq = receipt.seq;
                }
                message
            }));
        }
        Ok(changed)
    }

    /// Copies `uids` into another folder of the account, with flags and internal date; bodies are shared. The
    /// UIDs there stand beside those here (RFC 4315).
    ///
    /// # Errors
    /// [`MailboxError::NoSuchFolder`] when the target has gone or has another name now, or the store's.
    pub async fn copy(
        &self,
        account: &Account,
        from: FolderId,
        uids: &UidSet,
        to: &Folder,
    ) -> Result<Vec<(Uid, Uid)>, MailboxError> {
        self.transfer(account, from, uids, to, false).await
    }

    /// Moves `uids` into another folder of the account (RFC 6851).
    ///
    /// # Errors
    /// As [`Mailboxes::copy`].
    pub async fn move_messages(
        &self,
        account: &Account,
        from: FolderId,
        uids: &UidSet,
        to: &Folder,
    ) -> Result<Vec<(Uid, Uid)>, MailboxError> {
        self.transfer(account, from, uids, to, true).await
    }

    async fn transfer(
        &self,
        account: &Account,
        from: FolderId,
        uids: &UidSet,
        to: &Folder,
        moved: bool,
    ) -> Result<Vec<(Uid, Uid)>, MailboxError> {
        let user = account.user;
        let uids: Vec<Uid> = uids.iter().collect();
        let mut pairs = Vec::with_capacity(uids.len());
        for some in uids.chunks(TRANSFER_MESSAGES_MAX) {
            let made = async || {
                let target = self.folder(account, &to.name).await?.filter(|found| found.id == to.id);
                let target = target.ok_or(MailboxError::NoSuchFolder)?;
                let found = self.some_messages(user, from, some).await?;
                let mut batch = Batch::new().version(folder_key(user, &target.name), target.version);
                for message in &found {
                    // The reference that is here keeps the body until this is done.
                    let key = message_key(user, from, message.uid);
                    batch = batch.version(key.clone(), message.modseq);
                    batch = if moved { batch.delete(key) } else { self.bodies.refer(batch, message.id, 1) };
                }
                if moved && !found.is_empty() {
                    batch = self.count_gone(batch, user, from, &found).await?;
                }
                // The numbers of a receipt come in the order of the batch: each message takes three here.
                for message in &found {
                    batch = self.place(batch, user, to.id, &message.record());
                }
                Ok((batch, found))
            };
            let (receipt, found) = self.commit_anew(made).await?;
            let numbers = &receipt.numbers[receipt.numbers.len().saturating_sub(3 * found.len())..];
            for (message, numbers) in found.iter().zip(numbers.chunks_exact(3)) {
                let uid = Uid::try_from(numbers[0]).map_err(|_| Error::Damaged("a UID too high".into()))?;
                pairs.push((message.uid, uid));
            }
        }
        Ok(pairs)
    }

    /// Moves every message of a folder.
    pub(super) async fn move_all(
        &self,
        account: &Account,
        from: &Folder,
        to: &Folder,
    ) -> Result<(), MailboxError> {
        loop {
            let page = self.messages(account.user, from.id, 1..=Uid::MAX, TRANSFER_MESSAGES_MAX).await?;
            if page.messages.is_empty() {
                return Ok(());
            }
            let uids = page.messages.iter().map(|message| message.uid).collect();
            self.transfer(account, from.id, &uids, to, true).await?;
        }
    }

    /// Removes `uids` from a folder, and bodies that nobody else has. Up to [`EXPUNGE_MESSAGES_MAX`] go
    /// together or not at all; more go in parts of so many, the lowest UIDs first. Gives the UIDs that were
    /// there and are gone.
    ///
    /// # Errors
    /// The store's. What went before is gone.
    pub async fn expunge(&self, user: u64, folder: FolderId, uids: &UidSet) -> Result<UidSet, MailboxError> {
        let uids: Vec<Uid> = uids.iter().collect();
        let mut gone = UidSet::new();
        for some in uids.chunks(EXPUNGE_MESSAGES_MAX) {
            let made = async || {
                // Who else removes one of them meanwhile changes this row.
                let state = state_key(user, folder, State::Gone);
                let before = self.row(&state).await?;
                let found = self.some_messages(user, folder, some).await?;
                let mut batch = Batch::new().unchanged(state, before.as_ref());
                for message in &found {
                    batch = batch.delete(message_key(user, folder, message.uid));
                }
                let ids: Vec<MessageId> = found.iter().map(|message| message.id).collect();
                batch = self.bodies.release(batch, &ids).await?;
                if !found.is_empty() {
                    batch = self.count_gone(batch, user, folder, &found).await?;
                }
                Ok((batch, found))
            };
            let (_, found) = self.commit_anew(made).await?;
            found.iter().for_each(|message| gone.insert(message.uid));
        }
        Ok(gone)
    }

    /// Counts messages out of a folder and remembers that they left.
    async fn count_gone(
        &self,
        batch: Batch,
        user: u64,
        folder: FolderId,
        messages: &[Message],
    ) -> Result<Batch, Error> {
        let state = state_key(user, folder, State::Gone);
        let prefix = expunged_prefix(user, folder);
        let written = self.row(&state).await?.and_then(|row| row.number()).unwrap_or(0).cast_unsigned();
        let uids: UidSet = messages.iter().map(|message| message.uid).collect();
        let octets: u64 = messages.iter().map(|message| message.octets).sum();
        let (batch, slot) = batch.next_id(state);
        let batch = batch
            .put_under_id(prefix.clone(), slot, uids.encode())
            .add(state_key(user, folder, State::Count), -(messages.len() as i64))
            .add(state_key(user, folder, State::Octets), -octets.cast_signed());
        Ok(match (written + 1).checked_sub(EXPUNGED_KEPT) {
            Some(old) if old > 0 => batch.delete(prefix.join_number(old)),
            _ => batch,
        })
    }

    /// Removes some messages of a folder that is being deleted; how many.
    pub(super) async fn clear_messages(&self, user: u64, folder: FolderId) -> Result<usize, MailboxError> {
        let made = async || {
            let prefix = messages_key(user, folder);
            let options = ScanOptions { limit: EXPUNGE_MESSAGES_MAX, reverse: false };
            let page = self.store().scan(Range::prefix(&prefix), options).await?;
            let mut batch = Batch::new();
            let mut ids = Vec::with_capacity(page.rows.len());
            for (key, row) in &page.rows {
                batch = batch.version(key.clone(), row.version).delete(key.clone());
                // A row that cannot be read goes too; `fsck` finds the body that it spoke of.
                ids.extend(MessageRecord::decode(&row.value).map(|record| record.id));
            }
            Ok((self.bodies.release(batch, &ids).await?, page.rows.len()))
        };
        self.commit_anew(made).await.map(|(_, count)| count)
    }

    /// The UIDs that left a folder after modification sequence `since` (RFC 7162 §3.2.10); `None` when that is
    /// longer ago than is remembered: then every UID that is not there any more may have left since.
    ///
    /// # Errors
    /// The store's.
    pub async fn expunged_since(
        &self,
        user: u64,
        folder: FolderId,
        since: u64,
    ) -> Result<Option<UidSet>, Error> {
        let prefix = expunged_prefix(user, folder);
        let options = ScanOptions { limit: EXPUNGED_KEPT as usize + 1, reverse: true };
        let page = self.store().scan(Range::prefix(&prefix), options).await?;
        let mut uids = UidSet::new();
        for (key, row) in &page.rows {
            if row.version <= since {
                return Ok(Some(uids));
            }
            record(key, row, UidSet::decode)?.iter().for_each(|uid| uids.insert(uid));
        }
        // All that is remembered is newer: it is everything only if nothing was forgotten.
        let oldest = page.rows.last().and_then(|(key, _)| number_after(key, &prefix));
        Ok((oldest.is_none_or(|oldest| oldest == 1)).then_some(uids))
    }
}
