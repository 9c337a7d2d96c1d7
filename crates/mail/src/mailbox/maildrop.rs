//! A maildrop (RFC 1939 §3): the messages of INBOX as they were at one moment, in a list that is small and
//! shared.

use std::sync::Arc;

use super::uid_set::Uid;
use crate::id::MessageId;

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
