//! One HTTP/1 connection as seen by the server: which request comes next, when its body is over,
//! whether the connection goes on, and how long to wait (RFC 9112 §9).
//!
//! Pure: octets and time come in, decisions go out. It differs from `base::Session` in one point: a
//! request borrows the octets it came in, so decisions are *pulled* with [`Connection::next`] instead
//! of queued; nothing is copied and nothing is allocated. Responses do not pass through here: the
//! shell writes them, and bodies, on its own.
//!
//! The shell calls `next` until it says [`Decision::More`], writes what it gathered, and then
//! [`Connection::settle`]s once, which moves the deadline; a timer that rings too early is simply set
//! anew. So neither the clock nor a timer is touched per request.

use std::time::Duration;

use doorway_base::Instant;

use crate::wire::chunked::{Chunked, Piece};
use crate::wire::rule::{self, Refusal};
use crate::wire::{FieldSpans, Framing, HeadLimits, Parsed, RequestHead, parse_request};

/// Octets that are read and thrown away before a connection is closed, so that the response is not
/// lost to a reset (RFC 9112 §9.6); also the longest body that is discarded to keep a connection.
pub const LINGER_OCTETS: u64 = 64 * 1024;
/// How long such a connection is read from at most.
pub const LINGER_TIME: Duration = Duration::from_secs(2);
/// A body must bring [`BODY_WINDOW_OCTETS`] in each such window.
pub const BODY_WINDOW: Duration = Duration::from_secs(20);
/// 256 octets a second over a [`BODY_WINDOW`].
pub const BODY_WINDOW_OCTETS: u32 = 20 * 256;

/// Bounds of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bounds of each request head.
    pub head: HeadLimits,
    /// How long a head may take from its first octet: 408.
    pub head_time: Duration,
    /// Longest request body, in octets: 413.
    pub body_octets: u64,
    /// How long a connection may stay without a request once it had one.
    pub idle_time: Duration,
    /// Requests on one connection, after which it closes; 1 closes after each response.
    pub requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            head_time: Duration::from_secs(10),
            body_octets: 100 * 1024 * 1024,
            idle_time: Duration::from_secs(60),
            requests: 10_000,
        }
    }
}

/// The state of one connection; under 128 octets.
#[derive(Debug)]
pub struct Connection {
    state: State,
    until: Instant,
    requests: u32,
    draining: bool,
}

#[derive(Debug)]
enum State {
    /// No octet of the next request is here.
    Idle,
    /// Part of a head is here.
    Head,
    /// A request was given out.
    Request(Request),
    /// Everything that comes is thrown away; so many octets more.
    Lingering {
        left: u64,
    },
    Closed,
}

/// A request whose body is not over.
#[derive(Debug)]
struct Request {
    body: Body,
    /// Octets of body data so far.
    octets: u64,
    /// Octets that must still come in this window of time.
    window_left: u32,
    /// Whether the shell answers without the body, which is then thrown away.
    answered: bool,
    expects_continue: bool,
    persistent: bool,
}

#[derive(Debug)]
enum Body {
    Length(u64),
    Chunked(Chunked),
    End,
}

/// What comes next on the connection.
#[derive(Debug)]
pub enum Decision<'b> {
    /// Nothing more can be said about these octets. What was not used must be shown again, in front
    /// of those that follow.
    More,
    /// A request. Next is [`Connection::answer`] or [`Connection::read_body`].
    Request(RequestHead<'b>),
    /// Data of the body, after [`Connection::read_body`].
    Body(&'b [u8]),
    /// The body is over; [`Connection::persists`] tells whether the connection goes on.
    BodyEnd,
    /// Answer with the rule's status and call [`Connection::linger`].
    Refuse(Refusal),
    /// End the connection without another octet.
    Close,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// A connection that was accepted just now.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Idle, until: Instant::NEVER, requests: 0, draining: false }
    }

    /// Decides about the octets that wait, and says how many of them are done with.
    pub fn next<'b>(
        &mut self,
        octets: &'b [u8],
        limits: &Limits,
        spans: &'b mut FieldSpans,
    ) -> (usize, Decision<'b>) {
        match &mut self.state {
            State::Idle | State::Head => self.next_head(octets, limits, spans),
            State::Request(request) => {
                let (used, decision) = request.next(octets, limits);
                if let Decision::BodyEnd = decision
                    && request.answered
                {
                    if !request.persistent {
                        self.state = State::Closed;
                        return (used, Decision::Close);
                    }
                    self.state = State::Idle;
                    let (head, decision) = self.next_head(&octets[used..], limits, spans);
                    return (used + head, decision);
                }
                (used, decision)
            }
            State::Lingering { left } => {
                *left = left.saturating_sub(octets.len() as u64);
                (octets.len(), if *left == 0 { Decision::Close } else { Decision::More })
            }
            State::Closed => (0, Decision::Close),
        }
    }

    fn next_head<'b>(
        &mut self,
        octets: &'b [u8],
        limits: &Limits,
        spans: &'b mut FieldSpans,
    ) -> (usize, Decision<'b>) {
        if octets.is_empty() {
            return (0, Decision::More);
        }
        let (head, used) = match parse_request(octets, &limits.head, spans) {
            Ok(Parsed::Partial) => return (0, Decision::More),
            Ok(Parsed::Head(head, used)) => (head, used),
            Err(refusal) => return (0, Decision::Refuse(refusal)),
        };
        let body = match head.body {
            Framing::None => Body::End,
            Framing::Chunked => Body::Chunked(Chunked::default()),
            Framing::Length(length) if length > limits.body_octets => {
                return (used, Decision::Refuse(Refusal::new(&rule::BODY_LENGTH, used)));
            }
            Framing::Length(length) => Body::Length(length),
        };
        self.requests += 1;
        let more = !self.draining && self.requests < limits.requests;
        self.state = State::Request(Request {
            body,
            octets: 0,
            window_left: 0,
            answered: false,
            expects_continue: head.expects_continue,
            persistent: head.persistent && more,
        });
        (used, Decision::Request(head))
    }

    /// Takes a request back that was given out just now, so that its head can be shown again.
    pub fn put_back(&mut self) {
        debug_assert!(matches!(&self.state, State::Request(request) if !request.answered));
        self.state = State::Idle;
        self.requests -= 1;
    }

    /// Says that the response goes out now and the body, if there is one, is not wanted. Returns
    /// whether the connection goes on after it.
    pub fn answer(&mut self) -> bool {
        let State::Request(request) = &mut self.state else { return false };
        let waits_for_continue = request.expects_continue && !matches!(request.body, Body::End);
        let long = matches!(request.body, Body::Length(length) if length > LINGER_OCTETS);
        request.answered = true;
        request.persistent &= !waits_for_continue && !long;
        let persistent = request.persistent;
        if matches!(request.body, Body::End) {
            self.state = if persistent { State::Idle } else { State::Closed };
        }
        persistent
    }

    /// Says that the body is wanted. Returns whether 100 must be sent first (RFC 9110 §10.1.1).
    pub fn read_body(&mut self) -> bool {
        let State::Request(request) = &mut self.state else { return false };
        std::mem::take(&mut request.expects_continue)
    }

    /// Says that nobody reads the body for now, so that its sender is not to blame for the silence; the
    /// next [`Connection::settle`] begins a new window of time.
    pub const fn rest(&mut self) {
        if let State::Request(request) = &mut self.state {
            request.window_left = 0;
        }
    }

    /// Whether the connection goes on after the response to the request at hand.
    #[must_use]
    pub const fn persists(&self) -> bool {
        match &self.state {
            State::Idle | State::Head => true,
            State::Request(request) => request.persistent,
            State::Lingering { .. } | State::Closed => false,
        }
    }

    /// Says that the connection must end after the response to the request at hand.
    pub const fn close_after(&mut self) {
        if let State::Request(request) = &mut self.state {
            request.persistent = false;
        }
    }

    /// Says that the server stops: the next response is the last.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether the connection waits for a request of which nothing has come.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Says that the last response is out and this side has ended: what still comes is thrown away.
    pub fn linger(&mut self, now: Instant) {
        self.state = State::Lingering { left: LINGER_OCTETS };
        self.until = now + LINGER_TIME;
    }

    /// Ends a batch: sets the time by which the peer must do something. `waiting` is the number of
    /// octets that were shown and not used.
    pub fn settle(&mut self, now: Instant, limits: &Limits, waiting: usize) {
        match &mut self.state {
            State::Idle if waiting > 0 => {
                self.state = State::Head;
                self.until = now + limits.head_time;
            }
            State::Idle | State::Head if waiting == 0 => {
                self.state = State::Idle;
                self.until = now + limits.idle_time;
            }
            State::Request(request) if request.window_left == 0 => {
                request.window_left = BODY_WINDOW_OCTETS;
                self.until = now + BODY_WINDOW;
            }
            State::Idle | State::Head | State::Request(_) | State::Lingering { .. } | State::Closed => {}
        }
    }

    /// When [`Connection::time_out`] is due, unless something comes before. `None` until the first
    /// octet: the door itself ends who never says anything.
    #[must_use]
    pub const fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Idle if self.requests == 0 => None,
            State::Idle | State::Head | State::Request(_) | State::Lingering { .. } => Some(self.until),
        }
    }

    /// Says that [`Connection::next_timeout`] has passed.
    pub fn time_out(&mut self) -> Decision<'static> {
        let state = std::mem::replace(&mut self.state, State::Closed);
        match state {
            State::Head => Decision::Refuse(Refusal::new(&rule::HEAD_TIME, 0)),
            State::Request(Request { answered: false, .. }) => {
                Decision::Refuse(Refusal::new(&rule::BODY_TIME, 0))
            }
            State::Idle | State::Request(_) | State::Lingering { .. } | State::Closed => Decision::Close,
        }
    }
}

impl Request {
    fn next<'b>(&mut self, octets: &'b [u8], limits: &Limits) -> (usize, Decision<'b>) {
        let mut used = 0;
        loop {
            let (more, piece) = match self.piece(&octets[used..]) {
                Ok(piece) => piece,
                // The response is out already, so nobody would read another.
                Err(_) if self.answered => return (used, Decision::Close),
                Err(refusal) => return (used, Decision::Refuse(refusal)),
            };
            used += more;
            self.window_left = self.window_left.saturating_sub(u32::try_from(more).unwrap_or(u32::MAX));
            let data = match piece {
                Piece::Data(data) => data,
                Piece::More => return (used, Decision::More),
                Piece::End => return (used, Decision::BodyEnd),
            };
            self.octets += data.len() as u64;
            if self.answered {
                if self.octets > LINGER_OCTETS {
                    return (used, Decision::Close);
                }
            } else if self.octets > limits.body_octets {
                let end = usize::try_from(limits.body_octets).unwrap_or(usize::MAX);
                return (used, Decision::Refuse(Refusal::new(&rule::BODY_LENGTH, end)));
            } else {
                return (used, Decision::Body(data));
            }
        }
    }

    fn piece<'b>(&mut self, octets: &'b [u8]) -> Result<(usize, Piece<'b>), Refusal> {
        match &mut self.body {
            Body::End => Ok((0, Piece::End)),
            Body::Length(_) if octets.is_empty() => Ok((0, Piece::More)),
            Body::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.body = Body::End;
                }
                Ok((taken, Piece::Data(&octets[..taken])))
            }
            Body::Chunked(chunked) => {
                let (taken, piece) = chunked.decode(octets)?;
                if piece == Piece::End {
                    self.body = Body::End;
                }
                Ok((taken, piece))
            }
        }
    }
}

#[cfg(test)]
mod tests;
