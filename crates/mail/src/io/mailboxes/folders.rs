//! Folders of an account: list, make, rename, delete, subscribe.

use doorway_base::{Limit, UnixTime};
use doorway_store::{BATCH_STEPS_MAX, Batch, Error, Range, ScanOptions};

use super::messages::TRANSFER_MESSAGES_MAX;
use super::{Account, FOLDERS_MAX, MailboxError, Mailboxes, record};
use crate::mailbox::{
    AccountRecord, FolderId, FolderName, FolderRecord, SpecialUse, State, account_key, expunged_prefix,
    folder_key, folders_key, state_key, subscription_key, subscriptions_key,
};

/// A folder as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: FolderName,
    /// Its number, which stays when it is renamed; IMAP's MAILBOXID (RFC 8474).
    pub id: FolderId,
    /// UIDVALIDITY, which stays too.
    pub uid_validity: u32,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Version of its row.
    pub(crate) version: u64,
}

/// Folders that one rename takes along; a batch needs two steps for each and some more.
const RENAMED_MAX: usize = (BATCH_STEPS_MAX - 16) / 3;

impl Mailboxes {
    /// The folders of an account by name, at most [`FOLDERS_MAX`].
    ///
    /// # Errors
    /// The store's.
    pub async fn folders(&self, account: &Account) -> Result<Vec<Folder>, Error> {
        let prefix = folders_key(account.user);
        let mut folders = Vec::new();
        self.each_row(Range::prefix(&prefix), |key, row| {
            let FolderRecord { id, uid_validity, special_use } = record(key, row, FolderRecord::decode)?;
            let name = key.after(&prefix).and_then(|name| core::str::from_utf8(name).ok());
            let name = name.and_then(|name| FolderName::parse(name).ok());
            let name = name.ok_or_else(|| Error::Damaged(format!("row {key} names no folder").into()))?;
            folders.push(Folder { name, id, uid_validity, special_use, version: row.version });
            Ok(())
        })
        .await?;
        Ok(folders)
    }

    /// A folder by name; `None` when there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn folder(&self, account: &Account, name: &FolderName) -> Result<Option<Folder>, Error> {
        let key = folder_key(account.user, name);
        let Some(row) = self.row(&key).await? else { return Ok(None) };
        let FolderRecord { id, uid_validity, special_use } = record(&key, &row, FolderRecord::decode)?;
        Ok(Some(Folder { name: name.clone(), id, uid_validity, special_use, version: row.version }))
    }

    /// Makes a folder, and those above it that are missing (RFC 9051 §6.3.4).
    ///
    /// # Errors
    /// [`MailboxError::Exists`], [`MailboxError::Limit`] for one folder too many, or the store's.
    pub async fn create_folder(
        &self,
        account: &Account,
        name: &FolderName,
        special_use: Option<SpecialUse>,
        now: UnixTime,
    ) -> Result<Folder, MailboxError> {
        let made = async || {
            let folders = self.folders(account).await?;
            let exists = |name: &FolderName| folders.iter().any(|folder| folder.name == *name);
            if exists(name) {
                return Err(MailboxError::Exists);
            }
            let mut missing = vec![name.clone()];
            let mut parent = name.parent();
            while let Some(above) = parent.filter(|above| !exists(above)) {
                parent = above.parent();
                missing.push(above);
            }
            room_for_folders(folders.len() + missing.len())?;
            let (mut batch, mut counters) = self.account_batch(account, now).await?;
            let mut made = None;
            for missing in missing.iter().rev() {
                let special_use = special_use.filter(|_| missing == name);
                let folder = counters.next(special_use);
                let key = folder_key(account.user, missing);
                batch = batch.absent(key.clone()).put(key, folder.encode());
                made = Some(folder);
            }
            let batch = batch.put(account_key(account.user), counters.0.encode());
            Ok((batch, made))
        };
        let (receipt, made) = self.commit_anew(made).await?;
        let FolderRecord { id, uid_validity, special_use } = made.ok_or(MailboxError::NoSuchFolder)?;
        Ok(Folder { name: name.clone(), id, uid_validity, special_use, version: receipt.seq })
    }

    /// Gives a folder, and those below it, another name; their numbers, UIDs and UIDVALIDITY stay. Of INBOX
    /// the messages are moved into the new folder, and what lies below it stays (RFC 9051 §6.3.6).
    ///
    /// # Errors
    /// [`MailboxError::NoSuchFolder`], [`MailboxError::Exists`], [`MailboxError::Name`] when a folder below
    /// would have no valid name, [`MailboxError::Limit`], or the store's.
    pub async fn rename_folder(
        &self,
        account: &Account,
        from: &FolderName,
        to: &FolderName,
        now: UnixTime,
    ) -> Result<(), MailboxError> {
        if from.is_inbox() {
            let target = self.create_folder(account, to, None, now).await?;
            let inbox = self.folder(account, from).await?.ok_or(MailboxError::NoSuchFolder)?;
            return self.move_all(account, &inbox, &target).await;
        }
        if to.below(from).is_some() {
            return Err(MailboxError::Exists);
        }
        let made = async || {
            let folders = self.folders(account).await?;
            let exists = |name: &FolderName| folders.iter().any(|folder| folder.name == *name);
            if !exists(from) {
                return Err(MailboxError::NoSuchFolder);
            }
            if exists(to) {
                return Err(MailboxError::Exists);
            }
            let (mut batch, mut counters) = self.account_batch(account, now).await?;
            let mut parent = to.parent();
            let mut missing = 0;
            while let Some(above) = parent.filter(|above| !exists(above)) {
                let key = folder_key(account.user, &above);
                batch = batch.absent(key.clone()).put(key, counters.next(None).encode());
                parent = above.parent();
                missing += 1;
            }
            room_for_folders(folders.len() + missing)?;
            let mut renamed = 0;
            for folder in &folders {
                let name = match folder.name.below(from) {
                    Some(rest) => FolderName::parse(&format!("{to}/{rest}")).map_err(MailboxError::Name)?,
                    None if folder.name == *from => to.clone(),
                    None => continue,
                };
                if exists(&name) {
                    return Err(MailboxError::Exists);
                }
                renamed += 1;
                let (old, new) = (folder_key(account.user, &folder.name), folder_key(account.user, &name));
                let Folder { id, uid_validity, special_use, version, .. } = *folder;
                let record = FolderRecord { id, uid_validity, special_use };
                batch = batch.version(old.clone(), version).delete(old);
                batch = batch.put(new, record.encode());
            }
            if renamed > RENAMED_MAX {
                return Err(MailboxError::Limit(Limit::built_in("mail.renamed_max", RENAMED_MAX as u64)));
            }
            Ok((batch.put(account_key(account.user), counters.0.encode()), ()))
        };
        self.commit_anew(made).await.map(|_| ())
    }

    /// Deletes a folder with its messages; those below it stay (RFC 9051 §6.3.5). The name is gone at once, the
    /// messages follow in parts.
    ///
    /// # Errors
    /// [`MailboxError::Inbox`], [`MailboxError::NoSuchFolder`], or the store's.
    pub async fn delete_folder(&self, account: &Account, name: &FolderName) -> Result<(), MailboxError> {
        if name.is_inbox() {
            return Err(MailboxError::Inbox);
        }
        let key = folder_key(account.user, name);
        let made = async || {
            let folder = self.folder(account, name).await?.ok_or(MailboxError::NoSuchFolder)?;
            let batch = Batch::new().version(key.clone(), folder.version).delete(key.clone());
            Ok((batch, folder.id))
        };
        let (_, id) = self.commit_anew(made).await?;
        self.clear_folder(account.user, id).await
    }

    /// Removes everything of a folder that has no name any more. Should it be cut off, `fsck` finds the rest.
    pub(crate) async fn clear_folder(&self, user: u64, folder: FolderId) -> Result<(), MailboxError> {
        while self.clear_messages(user, folder).await? > 0 {}
        let options = ScanOptions { limit: TRANSFER_MESSAGES_MAX, reverse: false };
        loop {
            let range = Range::prefix(&expunged_prefix(user, folder));
            let page = self.store().scan(range, options).await?;
            let batch = page.rows.iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key.clone()));
            let batch = match page.more {
                true => batch,
                false => State::ALL
                    .iter()
                    .fold(batch, |batch, state| batch.delete(state_key(user, folder, *state))),
            };
            self.store().commit(batch).await?;
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Gives a folder a use, or takes it away.
    ///
    /// # Errors
    /// [`MailboxError::NoSuchFolder`], or the store's.
    pub async fn set_special_use(
        &self,
        account: &Account,
        name: &FolderName,
        special_use: Option<SpecialUse>,
    ) -> Result<(), MailboxError> {
        let key = folder_key(account.user, name);
        let made = async || {
            let folder = self.folder(account, name).await?.ok_or(MailboxError::NoSuchFolder)?;
            let Folder { id, uid_validity, version, .. } = folder;
            let record = FolderRecord { id, uid_validity, special_use };
            Ok((Batch::new().version(key.clone(), version).put(key.clone(), record.encode()), ()))
        };
        self.commit_anew(made).await.map(|_| ())
    }

    /// The names that an account is subscribed to; not each needs to be a folder (RFC 9051 §6.3.7).
    ///
    /// # Errors
    /// The store's.
    pub async fn subscriptions(&self, account: &Account) -> Result<Vec<FolderName>, Error> {
        let prefix = subscriptions_key(account.user);
        let mut names = Vec::new();
        self.each_row(Range::prefix(&prefix), |key, _| {
            let name = key.after(&prefix).and_then(|name| core::str::from_utf8(name).ok());
            names.extend(name.and_then(|name| FolderName::parse(name).ok()));
            Ok(())
        })
        .await?;
        Ok(names)
    }

    /// Subscribes an account to a name, or ends that.
    ///
    /// # Errors
    /// [`MailboxError::Limit`] for one name too many, or the store's.
    pub async fn subscribe(
        &self,
        account: &Account,
        name: &FolderName,
        subscribed: bool,
    ) -> Result<(), MailboxError> {
        let key = subscription_key(account.user, name);
        let batch = match subscribed {
            true => {
                room_for_folders(self.subscriptions(account).await?.len() + 1)?;
                Batch::new().put(key, Vec::new())
            }
            false => Batch::new().delete(key),
        };
        self.store().commit(batch).await?;
        Ok(())
    }

    /// A batch that fails when another folder is made at the same time, and the numbers for new ones.
    async fn account_batch(
        &self,
        account: &Account,
        now: UnixTime,
    ) -> Result<(Batch, Counters), MailboxError> {
        let key = account_key(account.user);
        let row = self.row(&key).await?.ok_or_else(|| {
            Error::Damaged(format!("the row {key} of account {} is missing", account.user).into())
        })?;
        let mut known = record(&key, &row, AccountRecord::decode)?;
        // The clock of the day keeps UIDVALIDITY above those of folders of another store that was restored.
        let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        known.uid_validity_last = known.uid_validity_last.max(seconds.saturating_sub(1));
        Ok((Batch::new().version(key, row.version), Counters(known)))
    }
}

/// The numbers of an account's new folders.
struct Counters(AccountRecord);

impl Counters {
    fn next(&mut self, special_use: Option<SpecialUse>) -> FolderRecord {
        self.0.folder_last.0 += 1;
        self.0.uid_validity_last = self.0.uid_validity_last.saturating_add(1);
        FolderRecord { id: self.0.folder_last, uid_validity: self.0.uid_validity_last, special_use }
    }
}

fn room_for_folders(count: usize) -> Result<(), MailboxError> {
    match count > FOLDERS_MAX {
        true => Err(MailboxError::Limit(Limit::built_in("mail.folders_max", FOLDERS_MAX as u64))),
        false => Ok(()),
    }
}
