//! The client's engine: one HTTP/2 connection that asks (RFC 9113).
//!
//! Pure, and of the same shape as the server's: octets come in, [`Reply`]s are pulled frame by frame, and
//! frames that go out are appended to the caller's buffer. Time-outs are the caller's: it knows for whom
//! it waits. Pushed responses are refused by SETTINGS.

use super::PREFACE;
use super::flow::{ReceiveWindow, SendWindow};
use super::frame::{self, ACK, Frame, HEADER_OCTETS, Header, Kind, PAYLOAD_OCTETS};
use super::gathered::Gathered;
use super::hpack::{Decoder, Encoder, Keep, Strings};
use super::request::check;
use super::rule::{self, ErrorCode, Rule, Scope, Violation};
use super::settings::{self, Settings, WINDOW_OCTETS};
use crate::wire::response_head::{ResponseFraming, ResponseHead, parse_response};
use crate::wire::{FieldSpans, HeadLimits, Method, Version};

/// Room for DATA on the whole connection, in octets.
pub const CONNECTION_WINDOW_OCTETS: u32 = 4 * 1024 * 1024;
/// Room for DATA on each stream, in octets.
pub const STREAM_WINDOW_OCTETS: u32 = 1024 * 1024;
/// Most frames of a peer's that must be answered (SETTINGS, PING) before it has answered a request.
const ANSWERS_MAX: u32 = 10_000;

/// Room in which response heads are decoded.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    strings: Strings,
    text: Vec<u8>,
    spans: FieldSpans,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Client {
    decoder: Decoder,
    encoder: Encoder,
    peer: Settings,
    /// Whether the peer's SETTINGS have come.
    agreed: bool,
    send: SendWindow,
    receive: ReceiveWindow,
    /// Requests under way, in their order.
    streams: Vec<Exchange>,
    next: u32,
    block: Option<(Gathered, bool)>,
    /// The last stream that the peer will answer.
    leaving: Option<u32>,
    over: bool,
    answers: u32,
    limits: HeadLimits,
}

/// One request under way.
#[derive(Debug)]
struct Exchange {
    id: u32,
    method: Method,
    send: SendWindow,
    receive: ReceiveWindow,
    /// Whether the request is all out.
    sent: bool,
    /// Whether the response's head, the final one, has come.
    answered: bool,
    length: Option<u64>,
    received: u64,
}

/// What comes next on the connection.
#[derive(Debug)]
pub enum Reply<'b> {
    /// Nothing more can be said about these octets. What was not used must be shown again, in front of
    /// those that follow.
    More,
    /// A frame was dealt with that is nobody else's business, except that more may be sent now.
    Quiet,
    /// A response's head, or an informational one (100 to 199) before it. Its octets are put together as
    /// HTTP/1 would have them.
    Head {
        /// The stream of the request.
        stream: u32,
        /// The head; its body is delimited by the stream, whatever it says.
        head: ResponseHead<'b>,
        /// Whether nothing follows.
        end: bool,
    },
    /// Content of a response, which must be [released](Client::release) once it was read.
    Content {
        /// The stream of the request.
        stream: u32,
        /// Octets, perhaps none.
        octets: &'b [u8],
        /// Whether they are the last; trailers behind them are checked and thrown away.
        end: bool,
    },
    /// The peer gave a stream up. With REFUSED_STREAM the request was not looked at and may be sent again.
    Reset {
        /// The stream of the request.
        stream: u32,
        /// Why.
        error: ErrorCode,
    },
    /// The peer takes no more requests. Those on streams above `last` were not looked at and may be sent again
    /// elsewhere; the others may still be answered when there is no error.
    Leaving {
        /// The last stream that was or will be looked at.
        last: u32,
        /// Why.
        error: ErrorCode,
    },
    /// The answer to [`Client::ping`].
    Pong([u8; 8]),
    /// A rule was broken. The stream, or the connection, is at its end and the peer was told.
    Violated(Violation),
    /// End the connection without another octet.
    Close,
}

impl Client {
    /// A connection to a server that speaks HTTP/2. The preface is written at once, and requests may follow it.
    #[must_use]
    pub fn new(limits: HeadLimits, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(PREFACE);
        let list = u32::try_from(limits.head_octets).unwrap_or(u32::MAX);
        let ours = [
            (settings::ENABLE_PUSH, 0),
            (settings::INITIAL_WINDOW_SIZE, STREAM_WINDOW_OCTETS),
            (settings::MAX_HEADER_LIST_SIZE, list),
        ];
        settings::write(out, &ours);
        let mut receive = ReceiveWindow::default();
        if let Some(more) = receive.grow(CONNECTION_WINDOW_OCTETS) {
            frame::write_window_update(out, 0, more);
        }
        Self {
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            peer: Settings::default(),
            agreed: false,
            send: SendWindow::new(WINDOW_OCTETS),
            receive,
            streams: Vec::new(),
            next: 1,
            block: None,
            leaving: None,
            over: false,
            answers: 0,
            limits,
        }
    }

    /// Whether another request may be sent now.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        let most = usize::try_from(self.peer.streams_max).unwrap_or(usize::MAX);
        !self.over && self.leaving.is_none() && self.streams.len() < most && self.next <= frame::MAX_31
    }

    /// Whether no more requests are taken here: one side has said so, or a rule was broken.
    #[must_use]
    pub const fn is_leaving(&self) -> bool {
        self.over || self.leaving.is_some() || self.next > frame::MAX_31
    }

    /// Whether any request was sent.
    #[must_use]
    pub const fn has_asked(&self) -> bool {
        self.next > 1
    }

    /// Requests under way.
    #[must_use]
    pub const fn under_way(&self) -> usize {
        self.streams.len()
    }

    /// Whether the peer's SETTINGS have come, which say how many requests it takes at a time.
    #[must_use]
    pub const fn is_agreed(&self) -> bool {
        self.agreed
    }

    /// Sends a request: `fields` begin with the pseudo-header fields, names are in lower case. Authorization and
    /// cookies are kept out of the tables that could be guessed at. Returns its stream, or nothing when no more
    /// can be sent ([`Client::can_ask`]). Without `end`, content follows ([`Client::send_data`]).
    pub fn ask<'f>(
        &mut self,
        out: &mut Vec<u8>,
        method: Method,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        end: bool,
    ) -> Option<u32> {
        if !self.can_ask() {
            return None;
        }
        let (id, mut block) = (self.next, Vec::new());
        self.next += 2;
        self.encoder.begin(&mut block);
        for (name, value) in fields {
            let keep = match name {
                b"authorization" | b"proxy-authorization" | b"cookie" => Keep::Never,
                b":path" | b"content-length" | b"if-none-match" | b"if-modified-since" | b"range" => Keep::No,
                _ => Keep::Yes,
            };
            self.encoder.field(&mut block, name, value, keep);
        }
        frame::write_block(out, id, &block, end, PAYLOAD_OCTETS);
        self.streams.push(Exchange {
            id,
            method,
            send: SendWindow::new(self.peer.window_octets),
            receive: ReceiveWindow::new(STREAM_WINDOW_OCTETS),
            sent: end,
            answered: false,
            length: None,
            received: 0,
        });
        Some(id)
    }

    fn find(&mut self, id: u32) -> Option<&mut Exchange> {
        let place = self.streams.binary_search_by_key(&id, |exchange| exchange.id).ok()?;
        Some(&mut self.streams[place])
    }

    fn remove(&mut self, id: u32) -> Option<Exchange> {
        let place = self.streams.binary_search_by_key(&id, |exchange| exchange.id).ok()?;
        Some(self.streams.remove(place))
    }

    /// Octets of content that can be sent on a stream now, in one frame.
    #[must_use]
    pub fn sendable(&mut self, id: u32) -> usize {
        let room = self.send.octets().min(PAYLOAD_OCTETS);
        self.find(id).map_or(0, |exchange| exchange.send.octets().min(room))
    }

    /// Sends as much of a request's content as the windows and one frame allow; returns how much that is.
    /// `end` says that nothing follows it, and is said to the peer when all of it is out. On a stream that is
    /// over everything is taken and nothing sent.
    pub fn send_data(&mut self, out: &mut Vec<u8>, id: u32, octets: &[u8], end: bool) -> usize {
        let length = octets.len().min(self.sendable(id));
        let Some(exchange) = self.find(id).filter(|exchange| !exchange.sent) else { return octets.len() };
        if length == 0 && !(octets.is_empty() && end) {
            return 0;
        }
        let end = end && length == octets.len();
        exchange.send.take(length);
        exchange.sent = end;
        self.send.take(length);
        frame::write(out, Kind::DATA, if end { frame::END_STREAM } else { 0 }, id, &octets[..length]);
        length
    }

    /// Says that `octets` of a response's content were read, so that as many more may come.
    pub fn release(&mut self, out: &mut Vec<u8>, id: u32, octets: usize) {
        if let Some(more) = self.receive.release(octets) {
            frame::write_window_update(out, 0, more);
        }
        if let Some(more) = self.find(id).and_then(|exchange| exchange.receive.release(octets)) {
            frame::write_window_update(out, id, more);
        }
    }

    /// Gives a request up.
    pub fn reset(&mut self, out: &mut Vec<u8>, id: u32, error: ErrorCode) {
        if self.remove(id).is_some() {
            frame::write_reset(out, id, error);
        }
    }

    /// Asks whether the peer is there.
    pub fn ping(&mut self, out: &mut Vec<u8>, opaque: [u8; 8]) {
        frame::write_ping(out, opaque, false);
    }

    /// Says that no more is asked on this connection.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        frame::write_goaway(out, 0, ErrorCode::NO_ERROR, "");
        self.leaving.get_or_insert(0);
    }

    /// Decides about the octets that wait: about one frame at a time. Returns how many octets are done with.
    pub fn next<'b>(
        &mut self,
        octets: &'b [u8],
        scratch: &'b mut Scratch,
        out: &mut Vec<u8>,
    ) -> (usize, Reply<'b>) {
        if self.over {
            return (octets.len(), Reply::Close);
        }
        let Some(header) = Header::parse(octets) else { return (0, Reply::More) };
        let used = HEADER_OCTETS + header.length;
        if let Err(violation) = self.look(header) {
            return (octets.len().min(used), self.violated(violation, out));
        }
        let Some(payload) = octets.get(HEADER_OCTETS..used) else { return (0, Reply::More) };
        let reply = Frame::parse(header, payload)
            .and_then(|frame| self.frame(frame, scratch, out))
            .unwrap_or_else(|violation| self.violated(violation, out));
        (used, reply)
    }

    fn look(&self, header: Header) -> Result<(), Violation> {
        let broken = |rule| Err(Violation::new(rule, header.stream));
        if !self.agreed && (header.kind != Kind::SETTINGS || header.flags & ACK != 0) {
            // What this is may be no frame at all.
            return Err(Violation::new(&rule::FIRST_FRAME, 0));
        }
        if header.length > PAYLOAD_OCTETS {
            return broken(&rule::FRAME_LENGTH);
        }
        match &self.block {
            Some((gathered, _)) if header.kind != Kind::CONTINUATION || header.stream != gathered.stream => {
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
        scratch: &'b mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Reply<'b>, Violation> {
        match frame {
            Frame::Data { stream, content, counted, end } => {
                return self.data(stream, content, counted, end, out);
            }
            Frame::Headers { stream, .. } if !self.was_asked(stream) => {
                return Err(Violation::new(&rule::STREAM_IDLE, stream));
            }
            Frame::Headers { stream, fragment, whole: true, end, .. } => {
                return self.head(stream, fragment, end, scratch, out);
            }
            Frame::Headers { stream, fragment, end, .. } => {
                self.block = Some((Gathered::new(stream, fragment), end));
            }
            Frame::Continuation { stream, fragment, whole } => {
                let Some((mut gathered, end)) = self.block.take() else {
                    return Err(Violation::new(&rule::CONTINUATION_ALONE, stream));
                };
                gathered.add(fragment).map_err(|rule| Violation::new(rule, stream))?;
                if whole {
                    return self.head(stream, &gathered.octets, end, scratch, out);
                }
                self.block = Some((gathered, end));
            }
            Frame::RstStream { stream, error } => {
                if !self.was_asked(stream) {
                    return Err(Violation::new(&rule::STREAM_IDLE, stream));
                }
                if self.remove(stream).is_some() {
                    return Ok(Reply::Reset { stream, error });
                }
            }
            Frame::Settings(payload) => self.settings(payload, out)?,
            Frame::Ping { opaque, ack: true } => return Ok(Reply::Pong(opaque)),
            Frame::Ping { opaque, ack: false } => {
                self.answer(&rule::FLOOD_PING)?;
                frame::write_ping(out, opaque, true);
            }
            Frame::GoAway { last, error } => {
                self.leaving = Some(last);
                self.streams.retain(|exchange| exchange.id <= last);
                return Ok(Reply::Leaving { last, error });
            }
            Frame::WindowUpdate { stream, octets } => self.window_update(stream, octets)?,
            Frame::PushPromise { stream } => return Err(Violation::new(&rule::PUSH, stream)),
            Frame::SettingsAck
            | Frame::Priority { .. }
            | Frame::PriorityUpdate { .. }
            | Frame::Unknown(_) => {}
        }
        Ok(Reply::Quiet)
    }

    /// Whether a request was sent on a stream.
    const fn was_asked(&self, id: u32) -> bool {
        id % 2 == 1 && id < self.next
    }

    fn answer(&mut self, rule: &'static Rule) -> Result<(), Violation> {
        self.answers += 1;
        if self.answers > ANSWERS_MAX { Err(Violation::new(rule, 0)) } else { Ok(()) }
    }

    fn settings(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Violation> {
        let broken = |rule| Violation::new(rule, 0);
        self.answer(&rule::FLOOD_SETTINGS)?;
        let before = i64::from(self.peer.window_octets);
        self.peer.push = false;
        self.peer.apply(payload).map_err(broken)?;
        if self.peer.push {
            return Err(broken(&rule::SETTINGS_VALUE));
        }
        self.encoder.limit(self.peer.header_table_octets as usize);
        let change = i64::from(self.peer.window_octets) - before;
        if !self.streams.iter_mut().all(|exchange| exchange.send.change(change)) {
            return Err(broken(&rule::WINDOW_OVERFLOW));
        }
        self.agreed = true;
        frame::write(out, Kind::SETTINGS, ACK, 0, &[]);
        Ok(())
    }

    fn window_update(&mut self, id: u32, octets: u32) -> Result<(), Violation> {
        let broken = |rule| Err(Violation::new(rule, id));
        if id == 0 {
            return match octets {
                0 => broken(&rule::WINDOW_ZERO),
                _ if self.send.change(i64::from(octets)) => Ok(()),
                _ => broken(&rule::WINDOW_OVERFLOW),
            };
        }
        if !self.was_asked(id) {
            return broken(&rule::STREAM_IDLE);
        }
        match self.find(id) {
            None => Ok(()),
            Some(_) if octets == 0 => broken(&rule::WINDOW_ZERO_STREAM),
            Some(exchange) => match exchange.send.change(i64::from(octets)) {
                true => Ok(()),
                false => broken(&rule::WINDOW_OVERFLOW_STREAM),
            },
        }
    }

    fn data<'b>(
        &mut self,
        id: u32,
        content: &'b [u8],
        counted: usize,
        end: bool,
        out: &mut Vec<u8>,
    ) -> Result<Reply<'b>, Violation> {
        let broken = |rule| Err(Violation::new(rule, id));
        if !self.receive.take(counted) {
            return Err(Violation::new(&rule::WINDOW_EXCEEDED, 0));
        }
        if !self.was_asked(id) {
            return broken(&rule::STREAM_IDLE);
        }
        let Some(exchange) = self.find(id) else {
            // It was given up, and this was under way.
            self.release(out, id, counted);
            return Ok(Reply::Quiet);
        };
        if !exchange.receive.take(counted) {
            return broken(&rule::WINDOW_EXCEEDED_STREAM);
        }
        if !exchange.answered {
            return broken(&rule::STATUS);
        }
        exchange.received += content.len() as u64;
        let (received, length) = (exchange.received, exchange.length);
        if length.is_some_and(|length| received > length || (end && received < length)) {
            return broken(&rule::CONTENT_LENGTH);
        }
        self.release(out, id, counted - content.len());
        if end {
            self.ended(id, out);
        }
        Ok(Reply::Content { stream: id, octets: content, end })
    }

    /// The peer has answered. What is left of the request is not wanted any more (RFC 9113 §8.1); a stream
    /// whose request is not all out is given up, so that it does not stay half open.
    fn ended(&mut self, id: u32, out: &mut Vec<u8>) {
        if self.remove(id).is_some_and(|exchange| !exchange.sent) {
            frame::write_reset(out, id, ErrorCode::NO_ERROR);
        }
        self.answers = 0;
    }

    fn head<'b>(
        &mut self,
        id: u32,
        block: &[u8],
        end: bool,
        scratch: &'b mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Reply<'b>, Violation> {
        let Scratch { strings, text, spans } = scratch;
        text.clear();
        let most = self.limits.head_octets;
        let mut fault = None;
        let found = self.find(id).map(|exchange| (exchange.method, exchange.answered));
        let trailers = found.is_some_and(|(_, answered)| answered);
        let each = |name: &[u8], value: &[u8]| {
            if fault.is_none() {
                fault = if trailers { trailer(name, value) } else { take(text, name, value, most) }.err();
            }
        };
        self.decoder.decode(block, strings, each).map_err(|rule| Violation::new(rule, 0))?;
        let Some((method, _)) = found else { return Ok(Reply::Quiet) };
        if let Some(rule) = fault {
            return Err(Violation::new(rule, id));
        }
        if trailers {
            if !end {
                return Err(Violation::new(&rule::TRAILERS_END, id));
            }
            if self.find(id).is_some_and(|of| of.length.is_some_and(|length| length != of.received)) {
                return Err(Violation::new(&rule::CONTENT_LENGTH, id));
            }
            self.ended(id, out);
            return Ok(Reply::Content { stream: id, octets: &[], end: true });
        }
        text.extend_from_slice(b"\r\n");
        let malformed = Violation::new(&rule::STATUS, id);
        let parsed = parse_response(text, method, &self.limits, spans).map_err(|_| malformed)?;
        let Some((head, _)) = parsed else { return Err(malformed) };
        let informational = head.status.code() < 200;
        if informational && (end || head.status.code() == 101) {
            return Err(malformed);
        }
        if !informational {
            let length = match head.body {
                ResponseFraming::Length(length) => Some(length),
                ResponseFraming::None => Some(0),
                _ => None,
            };
            if end && length.is_some_and(|length| length > 0) {
                return Err(Violation::new(&rule::CONTENT_LENGTH, id));
            }
            if let Some(exchange) = self.find(id) {
                (exchange.answered, exchange.length) = (true, length);
            }
            if end {
                self.ended(id, out);
            }
        }
        let head = ResponseHead { version: Version::Http2, persistent: true, ..head };
        Ok(Reply::Head { stream: id, head, end })
    }

    fn violated(&mut self, violation: Violation, out: &mut Vec<u8>) -> Reply<'static> {
        let Violation { rule, stream } = violation;
        if rule.scope == Scope::Connection {
            frame::write_goaway(out, 0, rule.error, rule.code);
            self.over = true;
        } else {
            self.remove(stream);
            frame::write_reset(out, stream, rule.error);
        }
        Reply::Violated(violation)
    }
}

/// Puts a response's head together as the text that HTTP/1 would have had.
fn take(text: &mut Vec<u8>, name: &[u8], value: &[u8], most: usize) -> Result<(), &'static Rule> {
    if name == b":status" {
        let digits = value.len() == 3 && value.iter().all(u8::is_ascii_digit);
        if !text.is_empty() || !digits {
            return Err(&rule::STATUS);
        }
        text.extend_from_slice(b"HTTP/1.1 ");
        text.extend_from_slice(value);
        text.extend_from_slice(b" \r\n");
        return Ok(());
    }
    if name.first() == Some(&b':') {
        return Err(&rule::PSEUDO_UNKNOWN);
    }
    if text.is_empty() {
        return Err(&rule::STATUS);
    }
    check(name, value)?;
    if text.len() + name.len() + value.len() + 6 > most {
        return Err(&rule::FLOOD_CONTINUATION);
    }
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
    Ok(())
}

fn trailer(name: &[u8], value: &[u8]) -> Result<(), &'static Rule> {
    if name.first() == Some(&b':') { Err(&rule::PSEUDO_LATE) } else { check(name, value) }
}

#[cfg(test)]
mod tests;
