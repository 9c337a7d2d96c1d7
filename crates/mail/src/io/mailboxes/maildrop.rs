//! The maildrop that POP3 opens: which messages INBOX has, in a list that is kept and brought up to date by
//! what came and left since.

use std::collections::BTreeMap;
use std::sync::Arc;

use doorway_store::{Error, Range};

use super::messages::EXPUNGED_KEPT;
use super::{Account, Mailboxes, lock, record};
use crate::id::MessageId;
use crate::mailbox::{FolderId, Uid, UidSet, expunged_prefix};

/// Entries of all lists that are kept together; one of 24 octets each.
const ENTRIES_KEPT_MAX: usize = 2_000_000;

/// A message of a maildrop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaildropEntry {
    /// Its UID.
    pub uid: Uid,
    /// The name of its body.
    pub id: MessageId,
    /// Length of its body, in octets.
    pub octets: u64,
}

/// The messages of INBOX as they were when it was opened, by UID.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maildrop {
    /// UIDVALIDITY, for names of messages that never come again.
    pub uid_validity: u32,
    /// The messages.
    pub entries: Arc<Vec<MaildropEntry>>,
    /// Length of all of them, in octets.
    pub octets: u64,
}

#[derive(Debug)]
struct Kept {
    drop: Maildrop,
    /// The last UID and the last row of expunged messages that it takes into account.
    uid_last: u64,
    gone: u64,
    used: u64,
}

/// Lists that were made, so that a user who looks every few minutes costs no scan.
#[derive(Debug, Default)]
pub(super) struct Drops {
    kept: BTreeMap<u64, Kept>,
    entries: usize,
    used: u64,
}

impl Drops {
    fn take(&mut self, user: u64) -> Option<Kept> {
        let kept = self.kept.remove(&user)?;
        self.entries -= kept.drop.entries.len();
        Some(kept)
    }

    fn keep(&mut self, user: u64, mut kept: Kept) {
        self.used += 1;
        kept.used = self.used;
        drop(self.take(user));
        self.entries += kept.drop.entries.len();
        self.kept.insert(user, kept);
        while self.entries > ENTRIES_KEPT_MAX && self.kept.len() > 1 {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.used) else { return };
            let user = *oldest.0;
            drop(self.take(user));
        }
    }
}

impl Mailboxes {
    /// The messages of an account's INBOX now. One that leaves at the same moment may still be among them.
    ///
    /// # Errors
    /// The store's.
    pub async fn open_drop(&self, account: &Account) -> Result<Maildrop, Error> {
        let user = account.user;
        let status = self.status(user, FolderId::INBOX).await?;
        let kept = lock(&self.drops).take(user).filter(|kept| {
            // A list that knows more than there is belongs to a store that was put back in time.
            kept.drop.uid_validity == account.uid_validity
                && kept.uid_last < status.uid_next
                && (kept.gone..=kept.gone + EXPUNGED_KEPT).contains(&status.gone)
        });
        let mut kept = kept.unwrap_or(Kept {
            drop: Maildrop { uid_validity: account.uid_validity, ..Maildrop::default() },
            uid_last: 0,
            gone: status.gone,
            used: 0,
        });
        if kept.gone < status.gone {
            self.forget_gone(user, &mut kept).await?;
        }
        if kept.uid_last + 1 < status.uid_next {
            self.add_new(user, &mut kept, status.uid_next - 1).await?;
        }
        kept.gone = status.gone;
        let opened = kept.drop.clone();
        lock(&self.drops).keep(user, kept);
        Ok(opened)
    }

    async fn forget_gone(&self, user: u64, kept: &mut Kept) -> Result<(), Error> {
        let prefix = expunged_prefix(user, FolderId::INBOX);
        let range = Range { start: prefix.join_number(kept.gone + 1), ..Range::prefix(&prefix) };
        let mut uids = UidSet::new();
        self.each_row(range, |key, row| {
            record(key, row, UidSet::decode)?.iter().for_each(|uid| uids.insert(uid));
            Ok(())
        })
        .await?;
        let entries = Arc::make_mut(&mut kept.drop.entries);
        entries.retain(|entry| !uids.contains(entry.uid));
        kept.drop.octets = entries.iter().map(|entry| entry.octets).sum();
        Ok(())
    }

    /// Adds the messages behind the last one of the list, up to UID `last`.
    async fn add_new(&self, user: u64, kept: &mut Kept, last: u64) -> Result<(), Error> {
        let last = Uid::try_from(last).unwrap_or(Uid::MAX);
        let mut first = Uid::try_from(kept.uid_last + 1).unwrap_or(Uid::MAX);
        let entries = Arc::make_mut(&mut kept.drop.entries);
        loop {
            let page = self.messages(user, FolderId::INBOX, first..=last, usize::MAX).await?;
            for message in &page.messages {
                kept.drop.octets += message.octets;
                entries.push(MaildropEntry { uid: message.uid, id: message.id, octets: message.octets });
            }
            match page.next {
                Some(next) => first = next,
                None => break,
            }
        }
        kept.uid_last = u64::from(last);
        Ok(())
    }
}
