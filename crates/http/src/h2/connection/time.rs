//! Time-outs, and how a connection comes to its end (RFC 9113 §5.4.1, §6.8, §10.5).

use std::time::Duration;

use doorway_base::Instant;

use super::{Connection, Event, LAST_OF_ALL, LEAVING, Limits, Phase};
use crate::connection::BODY_WINDOW;
use crate::h2::frame;
use crate::h2::rule::{self, ErrorCode, Violation};
use crate::h2::stream::State;

/// How long a response may wait for the peer to make room for it.
pub(in crate::h2) const STALL_TIME: Duration = Duration::from_secs(30);
/// How long the peer may take to learn that it is to open no more streams.
const LEAVING_TIME: Duration = Duration::from_secs(1);

impl Connection {
    /// Says that the server stops, or that the connection has had its share: the peer is asked to open no
    /// more streams, and those that it has opened are finished.
    pub fn drain(&mut self, now: Instant, out: &mut Vec<u8>) {
        match self.phase {
            Phase::Preface => self.phase = Phase::Over,
            Phase::Settings | Phase::Open => {
                frame::write_goaway(out, LAST_OF_ALL, ErrorCode::NO_ERROR, "");
                frame::write_ping(out, LEAVING, false);
                self.phase = Phase::Leaving;
                self.until = now + LEAVING_TIME;
            }
            Phase::Leaving | Phase::Left(_) | Phase::Over => {}
        }
    }

    pub(super) fn pong(&mut self, opaque: [u8; 8], out: &mut Vec<u8>) {
        if self.phase == Phase::Leaving && opaque == LEAVING {
            self.leave(out);
        }
    }

    fn leave(&mut self, out: &mut Vec<u8>) {
        frame::write_goaway(out, self.last, ErrorCode::NO_ERROR, "");
        self.phase = Phase::Left(self.last);
    }

    /// Whether everything that was to be finished is.
    #[must_use]
    pub const fn has_left(&self) -> bool {
        matches!(self.phase, Phase::Left(_)) && self.streams.is_empty()
    }

    /// Ends a batch: sets the time by which the peer must do something. `waiting` is the number of octets
    /// that were shown and not used.
    pub fn settle(&mut self, now: Instant, limits: &Limits, waiting: usize, out: &mut Vec<u8>) {
        if self.requests >= limits.http.requests {
            self.drain(now, out);
        }
        let begun = waiting > 0 || self.block.is_some();
        let was_begun = self.begun;
        self.begun = begun;
        match self.phase {
            Phase::Leaving | Phase::Over => {}
            Phase::Preface | Phase::Settings => {
                if self.until == Instant::NEVER {
                    self.until = now + limits.http.head_time;
                }
            }
            Phase::Open | Phase::Left(_) if begun => {
                // The time runs from when the frame began, and not from its last octet.
                if !was_begun {
                    self.until = now + limits.http.head_time;
                }
            }
            Phase::Open | Phase::Left(_) if self.streams.is_empty() => {
                self.until = now + limits.http.idle_time;
            }
            Phase::Open | Phase::Left(_) => self.until = Instant::NEVER,
        }
    }

    /// When [`Connection::time_out`] is due, unless something comes before. `None` until the first octet:
    /// the door itself ends who never says anything.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let streams = self.streams.iter().map(|stream| stream.until).min().unwrap_or(Instant::NEVER);
        let due = self.until.min(streams);
        (due < Instant::NEVER).then_some(due)
    }

    /// Says that [`Connection::next_timeout`] has passed. To be asked again until it says
    /// [`Event::More`].
    pub fn time_out(&mut self, now: Instant, out: &mut Vec<u8>) -> Event<'static> {
        if now >= self.until {
            self.until = Instant::NEVER;
            match self.phase {
                Phase::Leaving => {
                    self.leave(out);
                    return Event::Quiet;
                }
                Phase::Open | Phase::Left(_) if !self.begun => {
                    frame::write_goaway(out, self.last, ErrorCode::NO_ERROR, "");
                    self.phase = Phase::Over;
                    return Event::Close;
                }
                Phase::Over => return Event::Close,
                _ => return self.violated(Violation::new(&rule::HEAD_TIME, 0), now, out),
            }
        }
        let room = self.send.octets();
        let mut late = None;
        for stream in self.streams.iter_mut().filter(|stream| now >= stream.until) {
            let moved = std::mem::take(&mut stream.moved);
            let due = Self::due_octets();
            let sends = stream.pending;
            stream.until = now + if sends { STALL_TIME } else { BODY_WINDOW };
            // It is the peer's doing only if it is the windows that are too small.
            let stalled = sends && stream.send.octets().min(room) < due;
            let slow = !sends && stream.state != State::HalfClosedRemote && stream.receive.left() > 0;
            if moved < due && (stalled || slow) {
                late = Some(Violation::new(
                    if sends { &rule::WINDOW_STALL } else { &rule::BODY_TIME },
                    stream.id,
                ));
                break;
            }
        }
        match late {
            Some(violation) => self.violated(violation, now, out),
            None => Event::More,
        }
    }
}
