//! What the doors of SMTP and LMTP count. A refusal is counted under the subject of its enhanced code
//! (RFC 3463 §3), which is its reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::reply::Reply;
use crate::smtp::conversation::Said;

/// The subjects of enhanced codes, by their numbers.
pub const SUBJECTS: [&str; 8] =
    ["other", "address", "mailbox", "system", "network", "protocol", "content", "policy"];

/// Counters of all doors together. Each only rises.
#[derive(Debug, Default)]
pub struct SmtpCounters {
    /// Connections that were greeted.
    pub connections: AtomicU64,
    /// Of these, connections that went over to TLS by STARTTLS.
    pub starttls: AtomicU64,
    /// Command lines.
    pub commands: AtomicU64,
    /// Messages that were taken.
    pub messages: AtomicU64,
    /// Octets of content that came, taken or not.
    pub octets: AtomicU64,
    /// Logins that succeeded.
    pub logins: AtomicU64,
    /// Logins that were denied.
    pub logins_denied: AtomicU64,
    /// Refusals for now (4xx), by [`SUBJECTS`].
    pub deferred: [AtomicU64; 8],
    /// Refusals for good (5xx), by [`SUBJECTS`].
    pub refused: [AtomicU64; 8],
}

impl SmtpCounters {
    /// Adds one.
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn hear(&self, said: &Said<'_>) {
        match said {
            Said::Line(_) | Said::Secret => Self::count(&self.commands),
            Said::Content(octets) => {
                self.octets.fetch_add(octets.len() as u64, Relaxed);
            }
            Said::Reply(reply, _) => self.reply(reply),
        }
    }

    fn reply(&self, reply: &Reply) {
        let subject = reply.enhanced.map_or(0, |enhanced| usize::from(enhanced.1).min(SUBJECTS.len() - 1));
        match reply.code {
            235 => Self::count(&self.logins),
            535 => Self::count(&self.logins_denied),
            _ => {}
        }
        if reply.is_permanent() {
            Self::count(&self.refused[subject]);
        } else if reply.is_transient() {
            Self::count(&self.deferred[subject]);
        }
    }
}
