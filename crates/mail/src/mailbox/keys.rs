//! The names of rows. What each holds is in `mailbox.rs`.

use doorway_store::Key;

use super::folder::{FolderId, FolderName};
use super::uid_set::Uid;

pub(crate) const ACCOUNT: &str = "mail.account/";
pub(crate) const FOLDER: &str = "mail.folder/";
pub(crate) const SUBSCRIPTION: &str = "mail.subscription/";
pub(crate) const STATE: &str = "mail.state/";
pub(crate) const MESSAGE: &str = "mail.message/";
pub(crate) const EXPUNGED: &str = "mail.expunged/";

/// The rows of a folder's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Uid,
    Count,
    Octets,
    Flags,
    Gone,
}

impl State {
    pub(crate) const ALL: [Self; 5] = [Self::Uid, Self::Count, Self::Octets, Self::Flags, Self::Gone];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uid => "uid",
            Self::Count => "count",
            Self::Octets => "octets",
            Self::Flags => "flags",
            Self::Gone => "gone",
        }
    }
}

pub(crate) fn account_key(user: u64) -> Key {
    Key::from(ACCOUNT).join_number(user)
}

pub(crate) fn folders_key(user: u64) -> Key {
    Key::from(FOLDER).join_number(user)
}

pub(crate) fn folder_key(user: u64, name: &FolderName) -> Key {
    folders_key(user).join(name.as_str())
}

pub(crate) fn subscriptions_key(user: u64) -> Key {
    Key::from(SUBSCRIPTION).join_number(user)
}

pub(crate) fn subscription_key(user: u64, name: &FolderName) -> Key {
    subscriptions_key(user).join(name.as_str())
}

pub(crate) fn states_key(user: u64) -> Key {
    Key::from(STATE).join_number(user)
}

pub(crate) fn folder_states_key(user: u64, folder: FolderId) -> Key {
    states_key(user).join_number(folder.0)
}

pub(crate) fn state_key(user: u64, folder: FolderId, state: State) -> Key {
    folder_states_key(user, folder).join(state.name())
}

pub(crate) fn messages_key(user: u64, folder: FolderId) -> Key {
    Key::from(MESSAGE).join_number(user).join_number(folder.0)
}

pub(crate) fn message_key(user: u64, folder: FolderId, uid: Uid) -> Key {
    messages_key(user, folder).join_number(u64::from(uid))
}

pub(crate) fn expunged_prefix(user: u64, folder: FolderId) -> Key {
    Key::from(EXPUNGED).join_number(user).join_number(folder.0)
}

/// The number that a key ends in, behind `prefix`; `None` when there is anything else.
pub(crate) fn number_after(key: &Key, prefix: &Key) -> Option<u64> {
    Some(u64::from_be_bytes(key.after(prefix)?.try_into().ok()?))
}

/// The UID that a message's key ends in.
pub(crate) fn uid_after(key: &Key, prefix: &Key) -> Option<Uid> {
    number_after(key, prefix).and_then(|uid| Uid::try_from(uid).ok()).filter(|uid| *uid != 0)
}
