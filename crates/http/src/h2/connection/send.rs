//! What is sent on the streams: heads, content within the windows, in the order of their priorities
//! (RFC 9113 §5.2, §8.1; RFC 9218 §10).

use doorway_base::Instant;

use super::time::STALL_TIME;
use super::{Connection, STREAM_WINDOW_OCTETS_MAX};
use crate::connection::BODY_WINDOW_OCTETS;
use crate::h2::flood::Cheap;
use crate::h2::frame::{self, END_HEADERS, END_STREAM, HEADER_OCTETS, Header, Kind, PAYLOAD_OCTETS};
use crate::h2::priority::Priority;
use crate::h2::rule::ErrorCode;
use crate::h2::stream::{Ended, State, Stream};

/// What a block that must say so begins with: the dynamic table has no room (RFC 7541 §6.3).
const NO_TABLE: u8 = 0x20;

impl Connection {
    /// Frames a whole response that was laid out in `out`: from `start` on, [`HEADER_OCTETS`] of room, the field
    /// block, the same room again, and from `content` on the content. What the windows and the stream's turn do
    /// not let pass now is returned, and must be sent with [`Connection::send_data`].
    ///
    /// On a stream that is gone nothing is sent, and `out` is as it was.
    pub fn send_whole(
        &mut self,
        out: &mut Vec<u8>,
        stream: u32,
        start: usize,
        content: usize,
    ) -> Option<Vec<u8>> {
        let block_end = content - HEADER_OCTETS;
        let block = block_end - start - HEADER_OCTETS;
        let length = out.len() - content;
        let in_one_turn = length <= PAYLOAD_OCTETS || self.may_hold_the_line(stream);
        if length == 0
            || length > self.room(stream)
            || !in_one_turn
            || block > PAYLOAD_OCTETS
            || self.table_shrunk
        {
            // Not the usual way: the content stands on its own first.
            let mut rest = out.split_off(content);
            out.truncate(block_end);
            self.send_head(out, stream, start, rest.is_empty());
            let sent = if rest.is_empty() { 0 } else { self.send_data(out, stream, &rest, true) };
            rest.drain(..sent);
            return if rest.is_empty() { None } else { Some(rest) };
        }
        let head = Header { length: block, kind: Kind::HEADERS, flags: END_HEADERS, stream };
        out[start..start + HEADER_OCTETS].copy_from_slice(&head.octets());
        frame::cut_data(out, content, stream);
        self.sent(stream, length, true);
        None
    }

    /// Whether a response of several frames may leave as a whole at once: nobody waits who might come first, and
    /// whoever asks next would come later anyhow (RFC 9218 §10).
    fn may_hold_the_line(&mut self, stream: u32) -> bool {
        let usual = Priority::default();
        let is_usual = |stream: &mut Stream| {
            stream.priority.urgency <= usual.urgency && stream.priority.incremental == usual.incremental
        };
        self.streams.find(stream).is_some_and(is_usual) && self.next_sender().is_none()
    }

    /// Frames the head of a response that was laid out in `out`: from `start` on, [`HEADER_OCTETS`] of room, then
    /// the field block up to the end. `end` says that no content follows.
    pub fn send_head(&mut self, out: &mut Vec<u8>, stream: u32, start: usize, end: bool) {
        if self.streams.find(stream).is_none() {
            out.truncate(start);
            return;
        }
        if std::mem::take(&mut self.table_shrunk) {
            out.insert(start + HEADER_OCTETS, NO_TABLE);
        }
        let length = out.len() - start - HEADER_OCTETS;
        if length <= PAYLOAD_OCTETS {
            let flags = END_HEADERS | if end { END_STREAM } else { 0 };
            let header = Header { length, kind: Kind::HEADERS, flags, stream };
            out[start..start + HEADER_OCTETS].copy_from_slice(&header.octets());
        } else {
            let block = out.split_off(start + HEADER_OCTETS);
            out.truncate(start);
            frame::write_block(out, stream, &block, end, PAYLOAD_OCTETS);
        }
        if end {
            self.ended(stream);
        }
    }

    /// Octets of content that can be sent on a stream now, in one frame.
    #[must_use]
    pub fn sendable(&mut self, stream: u32) -> usize {
        self.room(stream).min(PAYLOAD_OCTETS)
    }

    /// Octets that both windows let pass.
    fn room(&mut self, stream: u32) -> usize {
        let room = self.send.octets();
        self.streams.find(stream).map_or(0, |stream| stream.send.octets().min(room))
    }

    /// Sends as much of `octets` as the windows and one frame allow; returns how much that is. `end` says that
    /// nothing follows them, and is said to the peer when all of them are out.
    pub fn send_data(&mut self, out: &mut Vec<u8>, stream: u32, octets: &[u8], end: bool) -> usize {
        let Some(_) = self.streams.find(stream) else { return octets.len() };
        let length = octets.len().min(self.sendable(stream));
        if length == 0 && !(octets.is_empty() && end) {
            return 0;
        }
        let end = end && length == octets.len();
        frame::write(out, Kind::DATA, if end { END_STREAM } else { 0 }, stream, &octets[..length]);
        self.sent(stream, length, end);
        length
    }

    fn sent(&mut self, id: u32, octets: usize, end: bool) {
        self.send.take(octets);
        self.floods.give_back(Cheap::Window, 2);
        if end {
            self.ended(id);
            return;
        }
        let turn = self.turn.wrapping_add(1);
        self.turn = turn;
        if let Some(stream) = self.streams.find(id) {
            stream.send.take(octets);
            stream.moved += octets;
            stream.turn = turn;
        }
    }

    /// This side has ended a stream.
    fn ended(&mut self, id: u32) {
        let Some(stream) = self.streams.find(id) else { return };
        if stream.state == State::HalfClosedRemote {
            self.streams.remove(id, Ended::Closed);
        } else {
            stream.state = State::HalfClosedLocal;
            stream.pending = false;
        }
    }

    /// Says whether content waits to be sent on a stream, from `now` on.
    pub fn wait(&mut self, id: u32, pending: bool, now: Instant) {
        let Some(stream) = self.streams.find(id) else { return };
        if pending && !stream.pending {
            stream.moved = 0;
            stream.until = now + STALL_TIME;
        } else if !pending && stream.state == State::HalfClosedRemote {
            stream.until = Instant::NEVER;
        }
        stream.pending = pending;
    }

    /// The stream whose content is to be sent next: the most urgent; among those, first what is only of use
    /// as a whole, in the order of the requests, then the others by turns.
    #[must_use]
    pub fn next_sender(&self) -> Option<u32> {
        if self.send.octets() == 0 {
            return None;
        }
        let ready = self.streams.iter().filter(|stream| stream.pending && stream.send.octets() > 0);
        let next = ready.min_by_key(|stream| {
            let turn = if stream.priority.incremental { stream.turn } else { 0 };
            (stream.priority.urgency, stream.priority.incremental, turn, stream.id)
        });
        next.map(|stream| stream.id)
    }

    /// Says that `octets` of a stream's content were read, so that as many more may come. A stream that is
    /// read as fast as it comes is given a larger window.
    pub fn release(&mut self, out: &mut Vec<u8>, id: u32, octets: usize) {
        self.release_connection(octets, out);
        let Some(stream) = self.streams.find(id) else { return };
        if stream.state == State::HalfClosedRemote {
            return;
        }
        let Some(more) = stream.receive.release(octets) else { return };
        let size = stream.receive.size();
        let grown = if stream.received > u64::from(size) && stream.state == State::Open {
            stream.receive.grow((size * 2).min(STREAM_WINDOW_OCTETS_MAX)).unwrap_or(0)
        } else {
            0
        };
        frame::write_window_update(out, id, more + grown);
    }

    pub(super) fn release_connection(&mut self, octets: usize, out: &mut Vec<u8>) {
        if let Some(more) = self.receive.release(octets) {
            frame::write_window_update(out, 0, more);
        }
    }

    /// Ends a stream before its time and tells the peer why.
    pub fn reset(&mut self, out: &mut Vec<u8>, id: u32, error: ErrorCode) {
        if self.streams.remove(id, Ended::ByUs).is_none() && id <= self.last {
            self.streams.note(id, Ended::ByUs);
        }
        frame::write_reset(out, id, error);
    }

    /// Whether a stream is in use and its response not over.
    #[must_use]
    pub fn is_wanted(&mut self, id: u32) -> bool {
        self.streams.find(id).is_some_and(|stream| stream.state != State::HalfClosedLocal)
    }

    /// Octets that a stream must move in its time, in either direction.
    pub(super) const fn due_octets() -> usize {
        BODY_WINDOW_OCTETS as usize
    }
}
