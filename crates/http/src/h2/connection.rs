//! The server's engine: one HTTP/2 connection, from its preface to GOAWAY (RFC 9113).
//!
//! Pure, and of the same shape as the engine of HTTP/1: octets and time come in, events are *pulled* with
//! [`Connection::next`] frame by frame, and frames that go out are appended to the caller's buffer. What
//! this file does not hold: sending (`send.rs`), time-outs and the end of the connection (`time.rs`).
//!
//! A stream error is written and reported as [`Event::Violated`], and the connection goes on; after a
//! connection error GOAWAY is written and nothing is read any more.

mod send;
mod time;

use doorway_base::Instant;

use super::PREFACE;
use super::flood::{Cheap, Floods};
use super::flow::{ReceiveWindow, SendWindow};
use super::frame::{self, ACK, Frame, HEADER_OCTETS, Header, Kind, MAX_31, PAYLOAD_OCTETS};
use super::gathered::Gathered;
use super::hpack::Decoder;
use super::priority::Priority;
use super::request::{self, Fault, Scratch};
use super::rule::{self, ErrorCode, Scope, Violation};
use super::settings::{self, Settings, WINDOW_OCTETS};
use super::stream::{Ended, State, Stream, Streams};
use crate::connection::{LINGER_OCTETS, Limits as HttpLimits};
use crate::wire::rule as http;
use crate::wire::{Framing, Refusal, RequestHead};

/// Room for DATA on the whole connection, in octets.
pub const CONNECTION_WINDOW_OCTETS: u32 = 1024 * 1024;
/// Room for DATA that a stream begins with, in octets.
pub const STREAM_WINDOW_OCTETS: u32 = 64 * 1024;
/// Room that a stream comes to have whose content is read as fast as it comes.
pub const STREAM_WINDOW_OCTETS_MAX: u32 = CONNECTION_WINDOW_OCTETS;
/// Priorities that are remembered for streams that are not open yet.
const EARLY_PRIORITIES_MAX: usize = 8;

/// Bounds of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Those that HTTP/1 has as well.
    pub http: HttpLimits,
    /// Streams that may be open at a time: REFUSED_STREAM.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { http: HttpLimits::default(), streams: 128 }
    }
}

/// The state of one connection.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    decoder: Decoder,
    peer: Settings,
    /// Whether the next block must say that its table is smaller than it was (RFC 7541 §4.2).
    table_shrunk: bool,
    send: SendWindow,
    receive: ReceiveWindow,
    streams: Streams,
    /// The highest stream that was opened.
    last: u32,
    /// A field block of which more is to come.
    block: Option<Box<Block>>,
    floods: Floods,
    early: Vec<(u32, Priority)>,
    turn: u32,
    requests: u32,
    /// Whether part of a frame, or of a field block, is here.
    begun: bool,
    /// The time by which something must happen, whatever the streams do.
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing, or part of the preface, came.
    Preface,
    /// SETTINGS must come.
    Settings,
    /// As long as it lasts.
    Open,
    /// The peer was told to open no more streams; those that it opened before it knew are served
    /// (RFC 9113 §6.8).
    Leaving,
    /// Streams up to this one are finished, and no other is looked at.
    Left(u32),
    /// GOAWAY with an error is out.
    Over,
}

/// A field block whose frames are gathered.
#[derive(Debug)]
struct Block {
    gathered: Gathered,
    meaning: Meaning,
    end: bool,
}

/// What a field block is for.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    Request,
    Trailers,
    /// It is decoded and thrown away, and then perhaps something is said about it.
    Nothing(Option<Violation>),
}

/// What comes next on the connection.
#[derive(Debug)]
pub enum Event<'b> {
    /// Nothing more can be said about these octets. What was not used must be shown again, in front of
    /// those that follow.
    More,
    /// A frame was dealt with that is nobody else's business.
    Quiet,
    /// A request. Answer it with [`Connection::send_whole`], or [`Connection::send_head`] and
    /// [`Connection::send_data`]. With [`Framing::None`] as its body nothing more comes on the stream.
    Request {
        /// The stream it came on.
        stream: u32,
        /// What is asked.
        head: RequestHead<'b>,
    },
    /// Content of a request, which must be [released](Connection::release) once it was read.
    Content {
        /// The stream.
        stream: u32,
        /// Octets, perhaps none.
        octets: &'b [u8],
        /// Whether they are the last.
        end: bool,
    },
    /// Answer with the status of the rule; what still comes on the stream is thrown away.
    Refuse {
        /// The stream.
        stream: u32,
        /// The rule.
        refusal: Refusal,
    },
    /// The peer gave a stream up that was in use.
    Reset {
        /// The stream.
        stream: u32,
        /// Why.
        error: ErrorCode,
    },
    /// A rule was broken. The stream, or the connection, is at its end and the peer was told.
    Violated(Violation),
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
    pub fn new() -> Self {
        Self {
            phase: Phase::Preface,
            decoder: Decoder::new(),
            peer: Settings::default(),
            table_shrunk: false,
            send: SendWindow::new(WINDOW_OCTETS),
            receive: ReceiveWindow::default(),
            streams: Streams::default(),
            last: 0,
            block: None,
            floods: Floods::default(),
            early: Vec::new(),
            turn: 0,
            requests: 0,
            begun: false,
            until: Instant::NEVER,
        }
    }

    /// Decides about the octets that wait: about one frame at a time. Returns how many octets are done with.
    /// Frames to be sent are appended to `out`.
    pub fn next<'b>(
        &mut self,
        now: Instant,
        octets: &'b [u8],
        limits: &Limits,
        scratch: &'b mut Scratch,
        out: &mut Vec<u8>,
    ) -> (usize, Event<'b>) {
        match self.phase {
            Phase::Preface => return self.preface(octets, limits, out),
            Phase::Over => return (octets.len(), Event::Close),
            _ => {}
        }
        let Some(header) = Header::parse(octets) else { return (0, Event::More) };
        let used = HEADER_OCTETS + header.length;
        if let Err(violation) = self.look(header) {
            return (octets.len().min(used), self.violated(violation, now, out));
        }
        let Some(payload) = octets.get(HEADER_OCTETS..used) else { return (0, Event::More) };
        let event = Frame::parse(header, payload)
            .and_then(|frame| self.frame(frame, now, limits, scratch, out))
            .unwrap_or_else(|violation| self.violated(violation, now, out));
        (used, event)
    }

    fn preface<'b>(&mut self, octets: &[u8], limits: &Limits, out: &mut Vec<u8>) -> (usize, Event<'b>) {
        let shown = octets.len().min(PREFACE.len());
        if octets[..shown] != PREFACE[..shown] {
            // RFC 9113 §3.4: GOAWAY may be left out, since this peer may not speak HTTP/2 at all.
            self.phase = Phase::Over;
            return (shown, Event::Violated(Violation::new(&rule::PREFACE, 0)));
        }
        if shown < PREFACE.len() {
            return (0, Event::More);
        }
        self.phase = Phase::Settings;
        let head_octets = u32::try_from(limits.http.head.head_octets).unwrap_or(u32::MAX);
        let ours = [
            (settings::MAX_CONCURRENT_STREAMS, limits.streams),
            (settings::INITIAL_WINDOW_SIZE, STREAM_WINDOW_OCTETS),
            (settings::MAX_HEADER_LIST_SIZE, head_octets),
            (settings::NO_RFC7540_PRIORITIES, 1),
        ];
        settings::write(out, &ours);
        if let Some(more) = self.receive.grow(CONNECTION_WINDOW_OCTETS) {
            frame::write_window_update(out, 0, more);
        }
        (PREFACE.len(), Event::Quiet)
    }

    /// Judges a frame by its header alone, before the rest of it is here.
    #[inline]
    fn look(&self, header: Header) -> Result<(), Violation> {
        let broken = |rule| Err(Violation::new(rule, header.stream));
        if self.phase == Phase::Settings && (header.kind != Kind::SETTINGS || header.flags & ACK != 0) {
            return broken(&rule::FIRST_FRAME);
        }
        if header.length > PAYLOAD_OCTETS {
            return broken(&rule::FRAME_LENGTH);
        }
        match &self.block {
            Some(block) if header.kind != Kind::CONTINUATION || header.stream != block.gathered.stream => {
                broken(&rule::CONTINUATION_MISSING)
            }
            None if header.kind == Kind::CONTINUATION && header.stream != 0 => {
                broken(&rule::CONTINUATION_ALONE)
            }
            _ => Ok(()),
        }
    }

    fn frame<'b>(
        &mut self,
        frame: Frame<'b>,
        now: Instant,
        limits: &Limits,
        scratch: &'b mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Event<'b>, Violation> {
        match frame {
            Frame::Data { stream, content, counted, end } => {
                return self.data(stream, content, counted, end, now, limits, out);
            }
            Frame::Headers { stream, fragment, whole, end, depends } => {
                let meaning = self.meaning(stream, end, depends)?;
                if whole {
                    return self.block(stream, meaning, end, fragment, now, limits, scratch);
                }
                let gathered = Gathered::new(stream, fragment);
                self.block = Some(Box::new(Block { gathered, meaning, end }));
            }
            Frame::Continuation { stream, fragment, whole } => {
                let Some(mut block) = self.block.take() else {
                    return Err(Violation::new(&rule::CONTINUATION_ALONE, stream));
                };
                block.gathered.add(fragment).map_err(|rule| Violation::new(rule, stream))?;
                if whole {
                    let Block { gathered, meaning, end } = *block;
                    return self.block(stream, meaning, end, &gathered.octets, now, limits, scratch);
                }
                self.block = Some(block);
            }
            Frame::Priority { stream, depends } => {
                if stream == depends {
                    return Err(Violation::new(&rule::DEPENDENCY, stream));
                }
                self.cheap(Cheap::Priority, stream, now)?;
            }
            Frame::RstStream { stream, error } => return self.reset_by_peer(stream, error, now),
            Frame::Settings(payload) => self.settings(payload, now, out)?,
            Frame::SettingsAck => self.cheap(Cheap::Settings, 0, now)?,
            Frame::PushPromise { stream } => return Err(Violation::new(&rule::PUSH, stream)),
            Frame::Ping { opaque, ack: false } => {
                self.cheap(Cheap::Ping, 0, now)?;
                frame::write_ping(out, opaque, true);
            }
            Frame::Ping { opaque, ack: true } => {
                self.cheap(Cheap::Ping, 0, now)?;
                self.pong(opaque, out);
            }
            // What it opened before is finished, and then it closes.
            Frame::GoAway { .. } => self.cheap(Cheap::Settings, 0, now)?,
            Frame::WindowUpdate { stream, octets } => self.window_update(stream, octets, now)?,
            Frame::PriorityUpdate { stream, value } => self.priority_update(stream, value, now)?,
            Frame::Unknown(_) => self.cheap(Cheap::Idle, 0, now)?,
        }
        Ok(Event::Quiet)
    }

    fn cheap(&mut self, cheap: Cheap, stream: u32, now: Instant) -> Result<(), Violation> {
        self.floods.count(cheap, now).map_err(|rule| Violation::new(rule, stream))
    }

    /// What a field block on `stream` is for, before it is decoded.
    fn meaning(&mut self, id: u32, end: bool, depends: Option<u32>) -> Result<Meaning, Violation> {
        let stream_error = |rule| Ok(Meaning::Nothing(Some(Violation::new(rule, id))));
        if depends == Some(id) {
            self.last = self.last.max(id);
            return stream_error(&rule::DEPENDENCY);
        }
        if let Some(stream) = self.streams.find(id) {
            return match stream.state {
                State::HalfClosedRemote => stream_error(&rule::STREAM_HALF_CLOSED),
                _ if !end => stream_error(&rule::TRAILERS_END),
                State::Open | State::HalfClosedLocal => Ok(Meaning::Trailers),
            };
        }
        if id > self.last && id % 2 == 1 {
            return Ok(Meaning::Request);
        }
        match self.streams.ended(id) {
            Some(Ended::ByUs) => Ok(Meaning::Nothing(None)),
            Some(Ended::ByPeer) => stream_error(&rule::STREAM_RESET),
            Some(Ended::Closed) => Err(Violation::new(&rule::STREAM_OVER, id)),
            None => Err(Violation::new(&rule::STREAM_NUMBER, id)),
        }
    }

    /// Decodes a whole field block and says what came of it.
    #[allow(clippy::too_many_arguments, reason = "what a block is, and what it is read with")]
    fn block<'b>(
        &mut self,
        stream: u32,
        meaning: Meaning,
        end: bool,
        block: &[u8],
        now: Instant,
        limits: &Limits,
        scratch: &'b mut Scratch,
    ) -> Result<Event<'b>, Violation> {
        let of_connection = |rule| Violation::new(rule, 0);
        match meaning {
            Meaning::Nothing(violation) => {
                request::skip(&mut self.decoder, block, scratch).map_err(of_connection)?;
                violation.map_or(Ok(Event::Quiet), Err)
            }
            Meaning::Trailers => {
                let read = request::trailers(&mut self.decoder, block, scratch);
                read.map_err(|rule| {
                    Violation::new(rule, if rule.scope == Scope::Connection { 0 } else { stream })
                })?;
                self.content_end(stream, &[])
            }
            Meaning::Request => self.request(stream, end, block, now, limits, scratch),
        }
    }

    fn request<'b>(
        &mut self,
        id: u32,
        end: bool,
        block: &[u8],
        now: Instant,
        limits: &Limits,
        scratch: &'b mut Scratch,
    ) -> Result<Event<'b>, Violation> {
        let read = request::read(&mut self.decoder, block, end, &limits.http.head, scratch);
        if let Err(Fault::Rule(rule)) = read
            && rule.scope == Scope::Connection
        {
            return Err(Violation::new(rule, 0));
        }
        self.last = id;
        match self.phase {
            Phase::Left(_) => return Err(Violation::new(&rule::STREAM_LATE, id)),
            _ if self.streams.len() >= limits.streams as usize => {
                return Err(Violation::new(&rule::STREAMS_MAX, id));
            }
            _ => {}
        }
        let state = if end { State::HalfClosedRemote } else { State::Open };
        let mut stream = Stream::new(id, state, self.peer.window_octets, STREAM_WINDOW_OCTETS);
        self.floods.give_back(Cheap::Priority, 4);
        self.floods.give_back(Cheap::Window, 2);
        let (head, refusal) = match read {
            Ok(head) => (head, None),
            Err(Fault::Rule(rule)) => return Err(Violation::new(rule, id)),
            Err(Fault::Refusal(refusal)) => {
                self.streams.add(stream);
                return Ok(Event::Refuse { stream: id, refusal });
            }
        };
        let refusal = match head.body {
            Framing::Length(length) if length > limits.http.body_octets => {
                Some(Refusal::new(&http::BODY_LENGTH, head.octets.len()))
            }
            _ => refusal,
        };
        stream.length = match head.body {
            Framing::Length(length) => Some(length),
            Framing::None => Some(0),
            Framing::Chunked => None,
        };
        if let Some(value) = head.fields.first(b"priority") {
            stream.priority = Priority::parse(value);
        }
        if let Some(place) = self.early.iter().position(|(early, _)| *early == id) {
            stream.priority = self.early.swap_remove(place).1;
        }
        if !end {
            stream.until = now + crate::connection::BODY_WINDOW;
        }
        self.streams.add(stream);
        if let Some(refusal) = refusal {
            return Ok(Event::Refuse { stream: id, refusal });
        }
        self.requests += 1;
        Ok(Event::Request { stream: id, head })
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a frame, and what it is judged with")]
    fn data<'b>(
        &mut self,
        id: u32,
        content: &'b [u8],
        counted: usize,
        end: bool,
        now: Instant,
        limits: &Limits,
        out: &mut Vec<u8>,
    ) -> Result<Event<'b>, Violation> {
        let broken = |rule| Err(Violation::new(rule, id));
        if !self.receive.take(counted) {
            return Err(Violation::new(&rule::WINDOW_EXCEEDED, 0));
        }
        let padding = counted - content.len();
        let Some(stream) = self.streams.find(id) else {
            if id > self.last || id.is_multiple_of(2) {
                return broken(&rule::STREAM_IDLE);
            }
            // What was under way when the stream ended counts all the same.
            self.release_connection(counted, out);
            return match self.streams.ended(id) {
                Some(Ended::Closed) => broken(&rule::STREAM_OVER),
                Some(Ended::ByPeer) => broken(&rule::STREAM_RESET),
                Some(Ended::ByUs) => Ok(Event::Quiet),
                None => self.cheap(Cheap::Idle, id, now).map(|()| Event::Quiet),
            };
        };
        if stream.state == State::HalfClosedRemote {
            self.release_connection(counted, out);
            return broken(&rule::STREAM_HALF_CLOSED);
        }
        if !stream.receive.take(counted) {
            self.release_connection(counted, out);
            return broken(&rule::WINDOW_EXCEEDED_STREAM);
        }
        stream.received += content.len() as u64;
        stream.moved += content.len();
        let (received, length) = (stream.received, stream.length);
        let answered = stream.state == State::HalfClosedLocal;
        if length.is_some_and(|length| received > length) {
            self.release_connection(counted, out);
            return broken(&rule::CONTENT_LENGTH);
        }
        if padding > 0 {
            self.release(out, id, padding);
        }
        if content.is_empty() && !end {
            self.cheap(Cheap::EmptyData, id, now)?;
        }
        if answered {
            self.release(out, id, content.len());
            if !end && received > LINGER_OCTETS {
                // RFC 9113 §8.1: the response is out, and the rest is not wanted.
                self.reset(out, id, ErrorCode::NO_ERROR);
                return Ok(Event::Quiet);
            }
        } else if received > limits.http.body_octets {
            self.release(out, id, content.len());
            let at = usize::try_from(limits.http.body_octets).unwrap_or(usize::MAX);
            return Ok(Event::Refuse { stream: id, refusal: Refusal::new(&http::BODY_LENGTH, at) });
        }
        match (end, answered) {
            (true, _) => self.content_end(id, content),
            (false, true) => Ok(Event::Quiet),
            (false, false) => Ok(Event::Content { stream: id, octets: content, end: false }),
        }
    }

    /// The peer has ended a stream, with the last of its content or with trailers.
    fn content_end<'b>(&mut self, id: u32, octets: &'b [u8]) -> Result<Event<'b>, Violation> {
        let Some(stream) = self.streams.find(id) else { return Ok(Event::Quiet) };
        if stream.length.is_some_and(|length| stream.received != length) {
            return Err(Violation::new(&rule::CONTENT_LENGTH, id));
        }
        if stream.state == State::HalfClosedLocal {
            self.streams.remove(id, Ended::Closed);
            return Ok(Event::Quiet);
        }
        stream.state = State::HalfClosedRemote;
        if !stream.pending {
            stream.until = Instant::NEVER;
        }
        Ok(Event::Content { stream: id, octets, end: true })
    }

    fn reset_by_peer(
        &mut self,
        id: u32,
        error: ErrorCode,
        now: Instant,
    ) -> Result<Event<'static>, Violation> {
        if id > self.last || id.is_multiple_of(2) {
            return Err(Violation::new(&rule::STREAM_IDLE, id));
        }
        match self.streams.remove(id, Ended::ByPeer) {
            None => self.cheap(Cheap::Idle, id, now).map(|()| Event::Quiet),
            Some(stream) if stream.state == State::HalfClosedLocal => Ok(Event::Quiet),
            Some(_) => {
                self.cheap(Cheap::Reset, id, now)?;
                Ok(Event::Reset { stream: id, error })
            }
        }
    }

    fn settings(&mut self, payload: &[u8], now: Instant, out: &mut Vec<u8>) -> Result<(), Violation> {
        let of_connection = |rule| Violation::new(rule, 0);
        self.cheap(Cheap::Settings, 0, now)?;
        let before = i64::from(self.peer.window_octets);
        self.peer.apply(payload).map_err(of_connection)?;
        if (self.peer.header_table_octets as usize) < super::hpack::TABLE_OCTETS {
            self.table_shrunk = true;
        }
        // RFC 9113 §6.9.2: it moves the windows of all streams, and not the connection's.
        let change = i64::from(self.peer.window_octets) - before;
        if change != 0 && !self.streams.iter_mut().all(|stream| stream.send.change(change)) {
            return Err(of_connection(&rule::WINDOW_OVERFLOW));
        }
        frame::write(out, Kind::SETTINGS, ACK, 0, &[]);
        if self.phase == Phase::Settings {
            self.phase = Phase::Open;
        }
        Ok(())
    }

    fn window_update(&mut self, id: u32, octets: u32, now: Instant) -> Result<(), Violation> {
        let broken = |rule| Err(Violation::new(rule, id));
        self.cheap(Cheap::Window, id, now)?;
        if id == 0 {
            return match octets {
                0 => broken(&rule::WINDOW_ZERO),
                _ if self.send.change(i64::from(octets)) => Ok(()),
                _ => broken(&rule::WINDOW_OVERFLOW),
            };
        }
        if id > self.last || id.is_multiple_of(2) {
            return broken(&rule::STREAM_IDLE);
        }
        match self.streams.find(id) {
            // It crossed the end of the stream.
            None => Ok(()),
            Some(_) if octets == 0 => broken(&rule::WINDOW_ZERO_STREAM),
            Some(stream) => match stream.send.change(i64::from(octets)) {
                true => Ok(()),
                false => broken(&rule::WINDOW_OVERFLOW_STREAM),
            },
        }
    }

    fn priority_update(&mut self, id: u32, value: &[u8], now: Instant) -> Result<(), Violation> {
        if id.is_multiple_of(2) {
            return Err(Violation::new(&rule::PRIORITY_UPDATE, 0));
        }
        self.cheap(Cheap::Priority, id, now)?;
        let priority = Priority::parse(value);
        if let Some(stream) = self.streams.find(id) {
            stream.priority = priority;
        } else if id > self.last {
            self.early.retain(|(early, _)| *early > self.last && *early != id);
            if self.early.len() < EARLY_PRIORITIES_MAX {
                self.early.push((id, priority));
            }
        }
        Ok(())
    }

    /// Ends what a broken rule ends, and tells the peer.
    fn violated(&mut self, violation: Violation, now: Instant, out: &mut Vec<u8>) -> Event<'static> {
        let Violation { rule, stream } = violation;
        if rule.scope == Scope::Connection {
            let last = if let Phase::Left(last) = self.phase { last } else { self.last };
            frame::write_goaway(out, last, rule.error, rule.code);
            self.phase = Phase::Over;
            return Event::Violated(violation);
        }
        self.reset(out, stream, rule.error);
        // A stream that is not counted among those in use any more must not be had for nothing either.
        let cheap = self.floods.count(Cheap::Reset, now);
        match cheap {
            Err(flood) => self.violated(Violation::new(flood, stream), now, out),
            Ok(()) => Event::Violated(violation),
        }
    }

    /// How many requests came so far.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// How many streams are in use.
    #[must_use]
    pub const fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether GOAWAY with an error is out: the connection ends once it is written.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }
}

/// What PING says that asks whether the peer has seen GOAWAY.
const LEAVING: [u8; 8] = *b"leaving\n";
/// The last stream that the first of two GOAWAY names (RFC 9113 §6.8).
const LAST_OF_ALL: u32 = MAX_31;

#[cfg(test)]
mod tests;
