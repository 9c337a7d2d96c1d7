//! Frames: their nine octets of header and what stands behind them (RFC 9113 §4.1, §6;
//! RFC 9218 §7.1 for PRIORITY_UPDATE).
//!
//! Parsing checks what can be seen in one frame alone: its length, its padding, whether it names a
//! stream. What a frame means in the course of things is not judged here.

use std::fmt;

use super::rule::{self, ErrorCode, Violation};

/// Octets of a frame's header.
pub const HEADER_OCTETS: usize = 9;
/// The longest payload that everybody takes, and the longest that this side takes
/// (SETTINGS_MAX_FRAME_SIZE, RFC 9113 §6.5.2).
pub const PAYLOAD_OCTETS: usize = 16_384;
/// Numbers of streams and sizes of windows have 31 bits.
pub const MAX_31: u32 = (1 << 31) - 1;

/// END_STREAM of DATA and HEADERS.
pub const END_STREAM: u8 = 0x1;
/// ACK of SETTINGS and PING.
pub const ACK: u8 = 0x1;
/// END_HEADERS of HEADERS, PUSH_PROMISE and CONTINUATION.
pub const END_HEADERS: u8 = 0x4;
/// PADDED of DATA, HEADERS and PUSH_PROMISE.
pub const PADDED: u8 = 0x8;
/// PRIORITY of HEADERS.
pub const PRIORITY: u8 = 0x20;

/// A frame type (RFC 9113 §6); types that nobody knows are kept as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// Content.
    pub const DATA: Self = Self(0);
    /// The fields of a message, or their beginning.
    pub const HEADERS: Self = Self(1);
    /// A priority of RFC 7540, which nobody follows any more.
    pub const PRIORITY: Self = Self(2);
    /// The end of a stream before its time.
    pub const RST_STREAM: Self = Self(3);
    /// What the sender is able and willing to do.
    pub const SETTINGS: Self = Self(4);
    /// A response to a request that was not made.
    pub const PUSH_PROMISE: Self = Self(5);
    /// To be sent back.
    pub const PING: Self = Self(6);
    /// The end of the connection.
    pub const GOAWAY: Self = Self(7);
    /// More room for DATA.
    pub const WINDOW_UPDATE: Self = Self(8);
    /// More fields.
    pub const CONTINUATION: Self = Self(9);
    /// A priority of RFC 9218.
    pub const PRIORITY_UPDATE: Self = Self(16);

    /// The name in the standard.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::DATA => "DATA",
            Self::HEADERS => "HEADERS",
            Self::PRIORITY => "PRIORITY",
            Self::RST_STREAM => "RST_STREAM",
            Self::SETTINGS => "SETTINGS",
            Self::PUSH_PROMISE => "PUSH_PROMISE",
            Self::PING => "PING",
            Self::GOAWAY => "GOAWAY",
            Self::WINDOW_UPDATE => "WINDOW_UPDATE",
            Self::CONTINUATION => "CONTINUATION",
            Self::PRIORITY_UPDATE => "PRIORITY_UPDATE",
            _ => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "frame {:#x}", self.0),
        }
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Octets of the payload, 24 bits.
    pub length: usize,
    /// The type.
    pub kind: Kind,
    /// Flags; those that a type does not define are passed over.
    pub flags: u8,
    /// The stream, 31 bits; 0 is the connection.
    pub stream: u32,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.flags & ACK != 0 && matches!(self.kind, Kind::SETTINGS | Kind::PING) {
            f.write_str(" acknowledged")?;
        }
        if self.stream != 0 {
            write!(f, " stream {}", self.stream)?;
        }
        match self.kind {
            Kind::DATA => write!(f, " {} octets", self.length)?,
            Kind::HEADERS => {}
            _ => return Ok(()),
        }
        if self.flags & END_STREAM != 0 { f.write_str(", the last") } else { Ok(()) }
    }
}

impl Header {
    /// Reads a header; `None` when it is not whole.
    #[inline]
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, s0, s1, s2, s3] = octets.first_chunk::<HEADER_OCTETS>()?;
        Some(Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind: Kind(kind),
            flags,
            // RFC 9113 §4.1: the first bit is reserved and passed over.
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & MAX_31,
        })
    }

    /// The header on the wire.
    #[inline]
    #[must_use]
    pub const fn octets(self) -> [u8; HEADER_OCTETS] {
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [a, b, c, self.kind.0, self.flags, s0, s1, s2, s3]
    }

    const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A frame, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'b> {
    /// Content of a message.
    Data {
        /// The stream.
        stream: u32,
        /// The content without its padding.
        content: &'b [u8],
        /// Octets that count against the windows: the whole payload.
        counted: usize,
        /// Whether it is the stream's last frame.
        end: bool,
    },
    /// Fields of a message.
    Headers {
        /// The stream.
        stream: u32,
        /// The field block, or its beginning.
        fragment: &'b [u8],
        /// Whether the block is whole.
        whole: bool,
        /// Whether nothing but CONTINUATION follows on the stream.
        end: bool,
        /// The stream that this one says it depends on.
        depends: Option<u32>,
    },
    /// A priority of RFC 7540.
    Priority {
        /// The stream.
        stream: u32,
        /// The stream that it says it depends on.
        depends: u32,
    },
    /// The end of a stream.
    RstStream {
        /// The stream.
        stream: u32,
        /// Why.
        error: ErrorCode,
    },
    /// Settings, six octets each.
    Settings(&'b [u8]),
    /// Settings are acknowledged.
    SettingsAck,
    /// A promised stream, of which no more is read here.
    PushPromise {
        /// The stream it came on.
        stream: u32,
    },
    /// To be sent back, or sent back.
    Ping {
        /// Eight octets of the sender's.
        opaque: [u8; 8],
        /// Whether this is the answer.
        ack: bool,
    },
    /// The sender opens and takes no more streams.
    GoAway {
        /// The last stream that was or will be looked at.
        last: u32,
        /// Why.
        error: ErrorCode,
    },
    /// More room for DATA.
    WindowUpdate {
        /// The stream; 0 for the connection.
        stream: u32,
        /// Octets, 31 bits; 0 is an error of the sender.
        octets: u32,
    },
    /// More of a field block.
    Continuation {
        /// The stream.
        stream: u32,
        /// More of the block.
        fragment: &'b [u8],
        /// Whether the block is whole with it.
        whole: bool,
    },
    /// A priority of RFC 9218.
    PriorityUpdate {
        /// The stream it is about.
        stream: u32,
        /// The value of a Priority field.
        value: &'b [u8],
    },
    /// A type that nobody knows (RFC 9113 §5.5).
    Unknown(Kind),
}

impl<'b> Frame<'b> {
    /// Reads the payload that belongs to `header`; `payload` has the length the header says.
    ///
    /// # Errors
    /// [`Violation`] when the frame alone breaks a rule.
    #[inline]
    pub fn parse(header: Header, payload: &'b [u8]) -> Result<Self, Violation> {
        let stream = header.stream;
        let broken = |rule| Err(Violation::new(rule, stream));
        let about_stream = matches!(
            header.kind,
            Kind::DATA
                | Kind::HEADERS
                | Kind::PRIORITY
                | Kind::RST_STREAM
                | Kind::PUSH_PROMISE
                | Kind::CONTINUATION
        );
        if about_stream && stream == 0 {
            return broken(&rule::STREAM_ZERO);
        }
        let about_connection =
            matches!(header.kind, Kind::SETTINGS | Kind::PING | Kind::GOAWAY | Kind::PRIORITY_UPDATE);
        if about_connection && stream != 0 {
            return broken(&rule::STREAM_NAMED);
        }
        Ok(match (header.kind, payload) {
            (Kind::DATA, _) => Self::Data {
                stream,
                content: unpad(header, payload)?,
                counted: payload.len(),
                end: header.has(END_STREAM),
            },
            (Kind::HEADERS, _) => {
                let (mut fragment, mut depends) = (unpad(header, payload)?, None);
                if header.has(PRIORITY) {
                    let Some((priority, rest)) = fragment.split_first_chunk::<5>() else {
                        return broken(&rule::FRAME_LENGTH);
                    };
                    (fragment, depends) = (rest, Some(number(priority) & MAX_31));
                }
                let (whole, end) = (header.has(END_HEADERS), header.has(END_STREAM));
                Self::Headers { stream, fragment, whole, end, depends }
            }
            (Kind::PRIORITY, [priority @ .., _]) if payload.len() == 5 => {
                Self::Priority { stream, depends: number(priority) & MAX_31 }
            }
            (Kind::PRIORITY, _) => return broken(&rule::PRIORITY_LENGTH),
            (Kind::RST_STREAM, [_, _, _, _]) => Self::RstStream { stream, error: ErrorCode(number(payload)) },
            (Kind::SETTINGS, []) if header.has(ACK) => Self::SettingsAck,
            (Kind::SETTINGS, _) if !header.has(ACK) && payload.len().is_multiple_of(6) => {
                Self::Settings(payload)
            }
            (Kind::PUSH_PROMISE, _) => Self::PushPromise { stream },
            (Kind::PING, &[a, b, c, d, e, f, g, h]) => {
                Self::Ping { opaque: [a, b, c, d, e, f, g, h], ack: header.has(ACK) }
            }
            (Kind::GOAWAY, [_, _, _, _, error @ ..]) if error.len() >= 4 => {
                Self::GoAway { last: number(payload) & MAX_31, error: ErrorCode(number(error)) }
            }
            (Kind::WINDOW_UPDATE, [_, _, _, _]) => {
                Self::WindowUpdate { stream, octets: number(payload) & MAX_31 }
            }
            (Kind::CONTINUATION, _) => {
                Self::Continuation { stream, fragment: payload, whole: header.has(END_HEADERS) }
            }
            (Kind::PRIORITY_UPDATE, [_, _, _, _, value @ ..]) => {
                Self::PriorityUpdate { stream: number(payload) & MAX_31, value }
            }
            (
                Kind::RST_STREAM
                | Kind::SETTINGS
                | Kind::PING
                | Kind::GOAWAY
                | Kind::WINDOW_UPDATE
                | Kind::PRIORITY_UPDATE,
                _,
            ) => {
                return broken(&rule::FRAME_LENGTH);
            }
            (kind, _) => Self::Unknown(kind),
        })
    }
}

/// The payload without its padding (RFC 9113 §6.1).
fn unpad(header: Header, payload: &[u8]) -> Result<&[u8], Violation> {
    if !header.has(PADDED) {
        return Ok(payload);
    }
    let Some((&padding, rest)) = payload.split_first() else {
        return Err(Violation::new(&rule::FRAME_LENGTH, header.stream));
    };
    match rest.len().checked_sub(usize::from(padding)) {
        Some(length) => Ok(&rest[..length]),
        None => Err(Violation::new(&rule::PADDING, header.stream)),
    }
}

/// The first four octets as a number; 0 when there are fewer.
fn number(octets: &[u8]) -> u32 {
    octets.first_chunk::<4>().map_or(0, |first| u32::from_be_bytes(*first))
}

/// Appends a frame.
pub fn write(out: &mut Vec<u8>, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&Header { length: payload.len(), kind, flags, stream }.octets());
    out.extend_from_slice(payload);
}

/// Makes DATA frames, the last of which ends its stream, of the octets from `content` to the end, in front of which
/// is room for a header.
pub fn cut_data(out: &mut Vec<u8>, content: usize, stream: u32) {
    let length = out.len() - content;
    let frames = length.div_ceil(PAYLOAD_OCTETS).max(1);
    out.resize(out.len() + (frames - 1) * HEADER_OCTETS, 0);
    // From the back, so that each makes room for the header of the next.
    for frame in (0..frames).rev() {
        let from = content + frame * PAYLOAD_OCTETS;
        let octets = (length - frame * PAYLOAD_OCTETS).min(PAYLOAD_OCTETS);
        let to = from + frame * HEADER_OCTETS;
        out.copy_within(from..from + octets, to);
        let flags = if frame + 1 == frames { END_STREAM } else { 0 };
        let header = Header { length: octets, kind: Kind::DATA, flags, stream };
        out[to - HEADER_OCTETS..to].copy_from_slice(&header.octets());
    }
}

/// Appends RST_STREAM.
pub fn write_reset(out: &mut Vec<u8>, stream: u32, error: ErrorCode) {
    write(out, Kind::RST_STREAM, 0, stream, &error.0.to_be_bytes());
}

/// Appends GOAWAY; `text` is for people who look at the wire.
pub fn write_goaway(out: &mut Vec<u8>, last: u32, error: ErrorCode, text: &str) {
    let length = 8 + text.len();
    out.extend_from_slice(&Header { length, kind: Kind::GOAWAY, flags: 0, stream: 0 }.octets());
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&error.0.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends WINDOW_UPDATE.
pub fn write_window_update(out: &mut Vec<u8>, stream: u32, octets: u32) {
    write(out, Kind::WINDOW_UPDATE, 0, stream, &octets.to_be_bytes());
}

/// Appends PING, or the answer to one.
pub fn write_ping(out: &mut Vec<u8>, opaque: [u8; 8], ack: bool) {
    write(out, Kind::PING, if ack { ACK } else { 0 }, 0, &opaque);
}

/// Appends a field block as HEADERS and, when it is longer than `payload_max`, CONTINUATION.
pub fn write_block(out: &mut Vec<u8>, stream: u32, block: &[u8], end: bool, payload_max: usize) {
    let (mut kind, mut flags) = (Kind::HEADERS, if end { END_STREAM } else { 0 });
    let mut left = block;
    loop {
        let (fragment, rest) = left.split_at(left.len().min(payload_max));
        let last = if rest.is_empty() { END_HEADERS } else { 0 };
        write(out, kind, flags | last, stream, fragment);
        if rest.is_empty() {
            return;
        }
        (kind, flags, left) = (Kind::CONTINUATION, 0, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, flags: u8, stream: u32, payload: &[u8], expected: Result<Frame<'_>, &str>) {
        let mut out = Vec::new();
        write(&mut out, kind, flags, stream, payload);
        let header = Header::parse(&out).unwrap();
        let found = Frame::parse(header, &out[HEADER_OCTETS..]);
        assert_eq!(found.map_err(|violation| violation.rule.code), expected);
        for cut in 0..HEADER_OCTETS {
            assert_eq!(Header::parse(&out[..cut]), None);
        }
        for cut in 0..payload.len() {
            let header = Header { length: cut, ..header };
            // Whatever it is, it is read or refused.
            let _ = Frame::parse(header, &payload[..cut]);
        }
    }

    #[test]
    fn each_type_is_read() {
        let data = |content, counted, end| Frame::Data { stream: 1, content, counted, end };
        check(Kind::DATA, 0, 1, b"ab", Ok(data(b"ab", 2, false)));
        check(Kind::DATA, END_STREAM | PADDED, 1, b"\x01ab\0", Ok(data(b"ab", 4, true)));
        check(Kind::DATA, PADDED, 1, b"\x02\0\0", Ok(data(b"", 3, false)));
        let headers = |whole, end, depends| Frame::Headers { stream: 3, fragment: b"x", whole, end, depends };
        check(Kind::HEADERS, END_HEADERS, 3, b"x", Ok(headers(true, false, None)));
        check(Kind::HEADERS, PRIORITY | END_STREAM, 3, b"\x80\0\0\x05\0x", Ok(headers(false, true, Some(5))));
        check(Kind::PRIORITY, 0, 3, b"\0\0\0\x01\x10", Ok(Frame::Priority { stream: 3, depends: 1 }));
        let error = ErrorCode::CANCEL;
        check(Kind::RST_STREAM, 0, 3, b"\0\0\0\x08", Ok(Frame::RstStream { stream: 3, error }));
        check(Kind::SETTINGS, 0, 0, b"\0\x04\0\0\0\x01", Ok(Frame::Settings(b"\0\x04\0\0\0\x01")));
        check(Kind::SETTINGS, ACK, 0, b"", Ok(Frame::SettingsAck));
        check(Kind::PUSH_PROMISE, 0, 3, b"", Ok(Frame::PushPromise { stream: 3 }));
        check(Kind::PING, ACK, 0, b"12345678", Ok(Frame::Ping { opaque: *b"12345678", ack: true }));
        let error = ErrorCode::NO_ERROR;
        check(Kind::GOAWAY, 0, 0, b"\x80\0\0\x01\0\0\0\0why", Ok(Frame::GoAway { last: 1, error }));
        let update = |stream| Frame::WindowUpdate { stream, octets: 9 };
        check(Kind::WINDOW_UPDATE, 0, 0, b"\x80\0\0\x09", Ok(update(0)));
        check(Kind::WINDOW_UPDATE, 0, 7, b"\0\0\0\x09", Ok(update(7)));
        let more = Frame::Continuation { stream: 3, fragment: b"y", whole: true };
        check(Kind::CONTINUATION, END_HEADERS, 3, b"y", Ok(more));
        let update = Frame::PriorityUpdate { stream: 5, value: b"u=1" };
        check(Kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x05u=1", Ok(update));
        check(Kind(0x16), 0xff, 9, b"?", Ok(Frame::Unknown(Kind(0x16))));
    }

    #[test]
    fn a_frame_that_breaks_a_rule_by_itself_is_refused() {
        for kind in [Kind::DATA, Kind::HEADERS, Kind::PRIORITY, Kind::RST_STREAM, Kind::CONTINUATION] {
            check(kind, 0, 0, b"", Err("stream_zero"));
        }
        for kind in [Kind::SETTINGS, Kind::PING, Kind::GOAWAY, Kind::PRIORITY_UPDATE] {
            check(kind, 0, 1, b"", Err("stream_named"));
        }
        check(Kind::DATA, PADDED, 1, b"", Err("frame_length"));
        check(Kind::DATA, PADDED, 1, b"\x03\0\0", Err("padding"));
        check(Kind::HEADERS, PADDED, 1, b"\x02x", Err("padding"));
        check(Kind::HEADERS, PRIORITY, 1, b"\0\0\0\x01", Err("frame_length"));
        check(Kind::PRIORITY, 0, 1, b"\0\0\0\x01", Err("priority_length"));
        check(Kind::PRIORITY, 0, 1, b"\0\0\0\x01\0\0", Err("priority_length"));
        check(Kind::RST_STREAM, 0, 1, b"\0\0\0", Err("frame_length"));
        check(Kind::SETTINGS, 0, 0, b"\0\0\0", Err("frame_length"));
        check(Kind::SETTINGS, ACK, 0, b"\0\0\0\0\0\0", Err("frame_length"));
        check(Kind::PING, 0, 0, b"1234567", Err("frame_length"));
        check(Kind::GOAWAY, 0, 0, b"1234567", Err("frame_length"));
        check(Kind::WINDOW_UPDATE, 0, 0, b"123", Err("frame_length"));
        check(Kind::PRIORITY_UPDATE, 0, 0, b"123", Err("frame_length"));
    }

    #[test]
    fn a_long_block_is_cut_into_frames() {
        let mut out = Vec::new();
        write_block(&mut out, 1, b"abcde", true, 2);
        let expected = b"\0\0\x02\x01\x01\0\0\0\x01ab\0\0\x02\x09\0\0\0\0\x01cd\0\0\x01\x09\x04\0\0\0\x01e";
        assert_eq!(out, expected);
    }
    #[test]
    fn content_is_cut_into_frames_where_it_lies() {
        let lengths = [0, 1, PAYLOAD_OCTETS, PAYLOAD_OCTETS + 1, 3 * PAYLOAD_OCTETS, 4 * PAYLOAD_OCTETS - 1];
        for length in lengths {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut out = [b"before".as_slice(), &[0; HEADER_OCTETS], &content].concat();
            cut_data(&mut out, 6 + HEADER_OCTETS, 5);
            let mut expected = b"before".to_vec();
            let last = length.saturating_sub(1) / PAYLOAD_OCTETS;
            for at in 0..=last {
                let part = &content[at * PAYLOAD_OCTETS..length.min((at + 1) * PAYLOAD_OCTETS)];
                write(&mut expected, Kind::DATA, if at == last { END_STREAM } else { 0 }, 5, part);
            }
            assert!(out == expected, "{length} octets");
        }
    }
}
