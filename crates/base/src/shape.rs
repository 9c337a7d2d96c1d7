//! The two shapes of an engine. Both are pure: octets, time and facts in, decisions out.
//!
//! Bodies of messages and files do not flow through engines; an engine decides and its shell streams.

use core::net::SocketAddr;

use crate::{Instant, Writer};

/// State that lives over time: an SMTP dialogue, an HTTP/1 connection, a resolver's query.
///
/// The shell feeds [`handle`](Session::handle), drains [`poll_output`](Session::poll_output) until it
/// is empty, and calls `handle` again at [`next_timeout`](Session::next_timeout) at the latest.
pub trait Session {
    /// What happened: octets, an answer to an earlier output, a time-out.
    type Input<'a>;
    /// What to do: octets to send, a file to open, a password to check, the connection to close.
    type Output;

    /// Advances the session. Drain [`Session::poll_output`] before the next call.
    fn handle(&mut self, now: Instant, input: Self::Input<'_>);

    /// The next decision, in order.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When the session wants to hear of time again, whatever else happens.
    fn next_timeout(&self) -> Option<Instant>;
}

/// One datagram in, at most one out: no queue, no allocation, no waiting.
///
/// Each worker thread owns its responder, so `&mut self` costs no lock; what they share is read-only.
pub trait Responder: Send {
    /// Decides about one datagram and writes the answer, if there is one, into `reply`.
    fn answer(&mut self, now: Instant, query: Datagram<'_>, reply: &mut Writer<'_>) -> Verdict;

    /// How often [`ahead`](Responder::ahead) is asked about each datagram of a batch; 0 for never.
    const AHEAD_STEPS: usize = 0;

    /// Where memory lies that answering datagram `index` of the batch at hand will read, so that it is on
    /// its way before it is needed. Asked for all of the batch with `step` 0, then for all with `step` 1,
    /// and so on, before the first is answered: each step may use what the one before has brought near.
    fn ahead(&mut self, step: usize, index: usize, query: &[u8]) -> Option<*const u8> {
        let _ = (step, index, query);
        None
    }

    /// Called between batches, so that a shared table is looked up once a batch, not once a datagram.
    fn refresh(&mut self, now: Instant) {
        let _ = now;
    }
}

/// One datagram as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub remote: SocketAddr,
    /// The address it was sent to.
    pub local: SocketAddr,
    /// Its payload.
    pub octets: &'a [u8],
    /// The flow that it begins in the trace; 0 while nobody follows the trace.
    pub flow: u64,
}

/// What a responder decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send what was written.
    Reply,
    /// Send nothing; the word says why, for the counters and the trace.
    Drop(&'static str),
    /// Send nothing yet: the responder gave the query to somebody who answers it later.
    Later,
}
