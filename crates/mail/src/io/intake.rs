//! What takes messages from the doors and answers for them: the seam between whoever speaks SMTP or LMTP
//! and what delivers, queues and relays.

use core::net::IpAddr;
use std::sync::Arc;

use doorway_base::UnixTime;
use doorway_net::BoxFuture;
use doorway_store::Blobs;

use super::bodies::Content;
use crate::address::Address;
use crate::envelope::{Envelope, Recipient};
use crate::id::MessageId;
use crate::reply::Reply;

/// Where a message came in, as judged by who may send to whom and told in its Received line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The peer's address; `None` on a Unix socket.
    pub remote: Option<IpAddr>,
    /// What the peer calls itself in HELO, EHLO or LHLO.
    pub greeting: String,
    /// The protocol as the Received line names it: `SMTP`, `ESMTP`, `ESMTPSA`, `UTF8SMTPS`, `LMTP` …
    /// (RFC 3848, RFC 6531 §4.3).
    pub protocol: &'static str,
    /// Whether the octets came encrypted.
    pub tls: bool,
    /// Who logged in.
    pub user: Option<String>,
    /// Whether this is a door for message submission (RFC 6409).
    pub submission: bool,
}

/// A message that came whole, with what was said about it.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Its name, drawn by [`Intake::draw`] before its content came.
    pub id: MessageId,
    /// When its content began to come.
    pub at: UnixTime,
    /// Where it came in.
    pub origin: Origin,
    /// Who sends to whom. Every recipient was judged before.
    pub envelope: Envelope,
    /// The octets behind DATA or BDAT, dots unstuffed, as they came: trace lines are added by who takes it.
    pub content: Content,
}

/// Takes messages.
pub trait Intake: Send + Sync + 'static {
    /// Draws a name for a message that is about to come.
    fn draw(&self) -> MessageId;

    /// Where content that is too long for memory goes while it comes.
    fn blobs(&self) -> Arc<dyn Blobs>;

    /// Judges a reverse-path and the announced size (0 when none was): MAIL FROM. Disk full is 452 here.
    ///
    /// # Errors
    /// The reply to give.
    fn sender<'a>(
        &'a self,
        origin: &'a Origin,
        from: Option<&'a Address>,
        octets: u64,
    ) -> BoxFuture<'a, Result<(), Reply>>;

    /// Judges one recipient: unknown, over quota, not ours and not to be relayed for this origin.
    ///
    /// # Errors
    /// The reply to give.
    fn recipient<'a>(
        &'a self,
        origin: &'a Origin,
        from: Option<&'a Address>,
        recipient: &'a Recipient,
    ) -> BoxFuture<'a, Result<(), Reply>>;

    /// Takes a message for all its recipients. When this is `Ok` the message is durable.
    ///
    /// # Errors
    /// The reply to give: 452 for a full disk, 451 for other trouble of ours, 55x for what is wrong with
    /// the message. Nothing is kept then.
    fn accept(&self, arrival: Arrival) -> BoxFuture<'_, Result<MessageId, Reply>>;
}
