//! The maildrop that POP3 opens: which messages INBOX has, in a list that is kept and brought up to date by
//! what came and left since.

use std::collections::BTreeMap;
use std::sync::Arc;

use doorway_store::{Error, Range};

use super::messages::EXPUNGED_KEPT;
use super::{Account, Mailboxes, lock, record};
use crate::mailbox::{FolderId, Maildrop, MaildropEntry, Uid, UidSet, expunged_prefix};

/// Entries of all lists that are kept together; one of 24 octets each.
const ENTRIES_KEPT_MAX: usize = 2_000_000;

#[derive(Debug)]
struct Kept {
    maildrop: Maildrop,
    /// The last UID and the last row of expunged messages that it takes into account.
    uid_last: u64,
    gone: u64,
    used: u64,
}

/// Lists that were made, so that a user who looks every few minutes costs no scan.
#[derive(Debug, Default)]
pub(super) struct Maildrops {
    kept: BTreeMap<u64, Kept>,
    entries: usize,
    used: u64,
}

impl Maildrops {
    fn take(&mut self, user: u64) -> Option<Kept> {
        let kept = self.kept.remove(&user)?;
        self.entries -= kept.maildrop.entries.len();
        Some(kept)
    }

    fn keep(&mut self, user: u64, mut kept: Kept) {
        self.used += 1;
        kept.used = self.used;
        drop(self.take(user));
        self.entries += kept.maildrop.entries.len();
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
    pub async fn maildrop(&self, account: &Account) -> Result<Maildrop, Error> {
        let user = account.user;
        let status = self.status(user, FolderId::INBOX).await?;
        let kept = lock(&self.maildrops).take(user).filter(|kept| {
            // A list that knows more than there is belongs to a store that was put back in time.
            kept.maildrop.uid_validity == account.uid_validity
                && kept.uid_last < status.uid_next
                && (kept.gone..=kept.gone + EXPUNGED_KEPT).contains(&status.gone)
        });
        let mut kept = kept.unwrap_or(Kept {
            maildrop: Maildrop { uid_validity: account.uid_validity, ..Maildrop::default() },
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
        let opened = kept.maildrop.clone();
        lock(&self.maildrops).keep(user, kept);
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
        let entries = Arc::make_mut(&mut kept.maildrop.entries);
        entries.retain(|entry| !uids.contains(entry.uid));
        kept.maildrop.octets = entries.iter().map(|entry| entry.octets).sum();
        Ok(())
    }

    /// Adds the messages behind the last one of the list, up to UID `last`.
    async fn add_new(&self, user: u64, kept: &mut Kept, last: u64) -> Result<(), Error> {
        let last = Uid::try_from(last).unwrap_or(Uid::MAX);
        let mut first = Uid::try_from(kept.uid_last + 1).unwrap_or(Uid::MAX);
        let entries = Arc::make_mut(&mut kept.maildrop.entries);
        loop {
            let page = self.messages(user, FolderId::INBOX, first..=last, usize::MAX).await?;
            for message in &page.messages {
                kept.maildrop.octets += message.octets;
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
