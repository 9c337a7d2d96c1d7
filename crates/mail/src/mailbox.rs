//! Mailboxes: accounts, their folders, the messages in them, and what is remembered of those that are gone.
//! Here is what rows mean; `io/mailboxes` reads and writes them.
//!
//! `U` is a user's number, `F` a folder's number within the account, both eight octets, as all numbers in
//! keys are.
//!
//! | row | what it holds |
//! | --- | --- |
//! | `mail.account/U` | [`AccountRecord`]: the last folder number and the last UIDVALIDITY that were given |
//! | `mail.folder/U NAME` | [`FolderRecord`]: number, UIDVALIDITY, special use. The name is UTF-8, `/` parts levels |
//! | `mail.subscription/U NAME` | nothing: the name is subscribed to, whether or not there is such a folder |
//! | `mail.state/U F uid` | the last UID that was given (a number) |
//! | `mail.state/U F count` | how many messages the folder has (a number) |
//! | `mail.state/U F octets` | how long they are together (a number) |
//! | `mail.state/U F flags` | nothing: its version is that of the last change of flags |
//! | `mail.state/U F gone` | how many rows of expunged messages were ever written (a number) |
//! | `mail.message/U F UID` | [`MessageRecord`]: the body's name, internal date, length, flags |
//! | `mail.expunged/U F N` | [`UidSet`] of the messages that left the folder by one commit |
//! | `mail.body/…`, `mail.body.more/…`, `mail.structure/…` | see `io/bodies` |
//!
//! A message's modification sequence (RFC 7162) is the version of its row, and that of an expunge the version
//! of its row: versions rise with every commit of the store, so no counter is needed. The rows of one folder
//! that change together lie below one prefix, so that one watch sees all of them.
//!
//! What must change together does so in one commit. A delivery draws the UID within its batch and reads
//! nothing.

mod folder;
mod keys;
mod maildrop;
mod message;
mod uid_set;

pub use folder::{
    AccountRecord, FOLDER_DEPTH_MAX, FOLDER_NAME_OCTETS_MAX, FolderId, FolderName, FolderRecord, INBOX,
    SpecialUse,
};
pub(crate) use keys::*;
pub use maildrop::{Maildrop, MaildropEntry};
pub use message::{Flags, KEYWORD_OCTETS_MAX, KEYWORDS_MAX, MessageRecord, SystemFlag};
pub use uid_set::{Uid, UidSet};
