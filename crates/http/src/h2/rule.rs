//! The rules of HTTP/2 that a peer can break, each with its error code and its scope
//! (RFC 9113 §5.4, §7).
//!
//! A stream error ends one exchange with RST_STREAM, a connection error ends them all with GOAWAY.
//! Counters and the trace carry the rule's `code`.

use std::fmt;

/// An error code of RST_STREAM and GOAWAY (RFC 9113 §7). Codes that nobody knows are kept as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

macro_rules! error_codes {
    ($($name:ident = $code:literal, $help:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = $help]
                pub const $name: Self = Self($code);
            )*

            /// The name in the standard; `None` for a code that has none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    NO_ERROR = 0, "Nothing is wrong.";
    PROTOCOL_ERROR = 1, "A rule was broken that no other code is about.";
    INTERNAL_ERROR = 2, "Trouble on the sender's own side.";
    FLOW_CONTROL_ERROR = 3, "More octets than the window had room for.";
    SETTINGS_TIMEOUT = 4, "SETTINGS were not acknowledged in time.";
    STREAM_CLOSED = 5, "A frame came for a stream that is over.";
    FRAME_SIZE_ERROR = 6, "A frame is longer or shorter than it may be.";
    REFUSED_STREAM = 7, "The request was not looked at and may be sent again.";
    CANCEL = 8, "The stream is not wanted any more.";
    COMPRESSION_ERROR = 9, "A field block cannot be decoded.";
    CONNECT_ERROR = 10, "The tunnel of a CONNECT broke.";
    ENHANCE_YOUR_CALM = 11, "The peer makes work out of proportion.";
    INADEQUATE_SECURITY = 12, "TLS is weaker than it must be.";
    HTTP_1_1_REQUIRED = 13, "The same is to be asked by HTTP/1.1.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error {:#x}", self.0),
        }
    }
}

/// What a broken rule ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One stream: RST_STREAM (RFC 9113 §5.4.2).
    Stream,
    /// The connection: GOAWAY (RFC 9113 §5.4.1).
    Connection,
}

/// A rule that a peer must keep.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// A stable word for counters and programs.
    pub code: &'static str,
    /// What goes onto the wire when it is broken.
    pub error: ErrorCode,
    /// What ends when it is broken.
    pub scope: Scope,
    /// Where the standard says so.
    pub section: &'static str,
    /// What the standard wants, for people.
    pub text: &'static str,
}

/// A rule that was broken, and on which stream; stream 0 is the connection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static Rule,
    /// Where.
    pub stream: u32,
}

impl Violation {
    /// Says that `rule` was broken on `stream`.
    #[must_use]
    pub const fn new(rule: &'static Rule, stream: u32) -> Self {
        Self { rule, stream }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { error, section, text, .. } = self.rule;
        write!(f, "{error}: {text} ({section}), broken on ")?;
        match self.stream {
            0 => f.write_str("the connection"),
            stream => write!(f, "stream {stream}"),
        }
    }
}

impl std::error::Error for Violation {}

macro_rules! rules {
    ($($name:ident = $code:literal, $scope:ident, $error:ident, $section:literal, $text:literal;)*) => {
        $(
            #[doc = $text]
            #[doc = concat!("(", $section, ").")]
            pub static $name: Rule = Rule {
                code: $code,
                error: ErrorCode::$error,
                scope: Scope::$scope,
                section: $section,
                text: $text,
            };
        )*

        impl Rule {
            /// Every rule, in the order in which a connection meets them.
            pub const ALL: &'static [&'static Rule] = &[$(&$name),*];
        }
    };
}

rules! {
    PREFACE = "preface", Connection, PROTOCOL_ERROR, "RFC 9113 §3.4", "a client begins with the connection preface";
    FIRST_FRAME = "first_frame", Connection, PROTOCOL_ERROR, "RFC 9113 §3.4", "the first frame of each side is SETTINGS";
    FRAME_LENGTH = "frame_length", Connection, FRAME_SIZE_ERROR, "RFC 9113 §4.2", "a frame keeps within SETTINGS_MAX_FRAME_SIZE and has the length of its type";
    PRIORITY_LENGTH = "priority_length", Stream, FRAME_SIZE_ERROR, "RFC 9113 §6.3", "a PRIORITY frame has 5 octets";
    STREAM_ZERO = "stream_zero", Connection, PROTOCOL_ERROR, "RFC 9113 §6", "a frame about a stream names one";
    STREAM_NAMED = "stream_named", Connection, PROTOCOL_ERROR, "RFC 9113 §6", "a frame about the connection names no stream";
    PADDING = "padding", Connection, PROTOCOL_ERROR, "RFC 9113 §6.1", "padding is shorter than the frame it is in";
    CONTINUATION_MISSING = "continuation_missing", Connection, PROTOCOL_ERROR, "RFC 9113 §6.2", "nothing stands between the frames of a field block";
    CONTINUATION_ALONE = "continuation_alone", Connection, PROTOCOL_ERROR, "RFC 9113 §6.10", "CONTINUATION goes on with a field block of its own stream";
    STREAM_NUMBER = "stream_number", Connection, PROTOCOL_ERROR, "RFC 9113 §5.1.1", "a client's new streams have odd numbers that grow";
    STREAM_IDLE = "stream_idle", Connection, PROTOCOL_ERROR, "RFC 9113 §5.1", "a stream is opened by HEADERS";
    STREAM_OVER = "stream_over", Connection, STREAM_CLOSED, "RFC 9113 §5.1", "nothing follows on a stream that both sides have ended";
    STREAM_RESET = "stream_reset", Stream, STREAM_CLOSED, "RFC 9113 §5.1", "nothing follows on a stream that its sender has reset";
    STREAM_HALF_CLOSED = "stream_half_closed", Stream, STREAM_CLOSED, "RFC 9113 §5.1", "no HEADERS or DATA follow END_STREAM";
    STREAMS_MAX = "streams_max", Stream, REFUSED_STREAM, "RFC 9113 §5.1.2", "open streams keep within SETTINGS_MAX_CONCURRENT_STREAMS";
    STREAM_LATE = "stream_late", Stream, REFUSED_STREAM, "RFC 9113 §6.8", "streams that are opened after GOAWAY are not looked at";
    PUSH = "push", Connection, PROTOCOL_ERROR, "RFC 9113 §8.4", "a client does not push, and a server only to those who allow it";
    SETTINGS_VALUE = "settings_value", Connection, PROTOCOL_ERROR, "RFC 9113 §6.5.2", "a setting has a value that is defined for it";
    SETTINGS_WINDOW = "settings_window", Connection, FLOW_CONTROL_ERROR, "RFC 9113 §6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE is below 2^31";
    WINDOW_ZERO = "window_zero", Connection, PROTOCOL_ERROR, "RFC 9113 §6.9", "the connection's WINDOW_UPDATE adds at least 1";
    WINDOW_ZERO_STREAM = "window_zero_stream", Stream, PROTOCOL_ERROR, "RFC 9113 §6.9", "a stream's WINDOW_UPDATE adds at least 1";
    WINDOW_OVERFLOW = "window_overflow", Connection, FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1", "the connection's window stays below 2^31";
    WINDOW_OVERFLOW_STREAM = "window_overflow_stream", Stream, FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1", "a stream's window stays below 2^31";
    WINDOW_EXCEEDED = "window_exceeded", Connection, FLOW_CONTROL_ERROR, "RFC 9113 §6.9", "DATA keeps within the connection's window";
    WINDOW_EXCEEDED_STREAM = "window_exceeded_stream", Stream, FLOW_CONTROL_ERROR, "RFC 9113 §6.9", "DATA keeps within its stream's window";
    DEPENDENCY = "dependency", Stream, PROTOCOL_ERROR, "RFC 7540 §5.3.1", "a stream does not depend on itself";
    PRIORITY_UPDATE = "priority_update", Connection, PROTOCOL_ERROR, "RFC 9218 §7.1", "PRIORITY_UPDATE names a stream of the client";
    HPACK_INTEGER = "hpack_integer", Connection, COMPRESSION_ERROR, "RFC 7541 §5.1", "an integer of a field block has an end and fits";
    HPACK_STRING = "hpack_string", Connection, COMPRESSION_ERROR, "RFC 7541 §5.2", "a string keeps within its field block";
    HPACK_HUFFMAN = "hpack_huffman", Connection, COMPRESSION_ERROR, "RFC 7541 §5.2", "Huffman code has no EOS, and ends with less than 8 bits of its beginning";
    HPACK_INDEX = "hpack_index", Connection, COMPRESSION_ERROR, "RFC 7541 §2.3.3", "an index leads to an entry of the tables";
    HPACK_TABLE_SIZE = "hpack_table_size", Connection, COMPRESSION_ERROR, "RFC 7541 §6.3", "the dynamic table's size is changed at the start of a block, within SETTINGS_HEADER_TABLE_SIZE";
    HPACK_BLOCK = "hpack_block", Connection, COMPRESSION_ERROR, "RFC 7541 §4.2", "after the table's maximum was lowered, a block begins with its new size";
    FIELD_NAME = "field_name", Stream, PROTOCOL_ERROR, "RFC 9113 §8.2.1", "a field name is a token in lower case";
    FIELD_VALUE = "field_value", Stream, PROTOCOL_ERROR, "RFC 9113 §8.2.1", "a field value holds no control characters and no space at its ends";
    FIELD_CONNECTION = "field_connection", Stream, PROTOCOL_ERROR, "RFC 9113 §8.2.2", "no field is about an HTTP/1 connection, and te is trailers";
    PSEUDO_UNKNOWN = "pseudo_unknown", Stream, PROTOCOL_ERROR, "RFC 9113 §8.3", "a pseudo-header field is one that is defined for the message";
    PSEUDO_LATE = "pseudo_late", Stream, PROTOCOL_ERROR, "RFC 9113 §8.3", "pseudo-header fields stand before the others, and not in trailers";
    PSEUDO_REPEATED = "pseudo_repeated", Stream, PROTOCOL_ERROR, "RFC 9113 §8.3", "each pseudo-header field stands once";
    PSEUDO_MISSING = "pseudo_missing", Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.1", "a request has :method, :scheme and :path, and a CONNECT :method and :authority alone";
    METHOD = "method", Stream, PROTOCOL_ERROR, "RFC 9110 §9.1", ":method is a token";
    SCHEME = "scheme", Stream, PROTOCOL_ERROR, "RFC 3986 §3.1", ":scheme begins with a letter and holds letters, digits, +, - and .";
    PATH = "path", Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.1", ":path begins with / and holds the characters of a URI, or is * for OPTIONS";
    AUTHORITY = "authority", Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.1", "a request names one host, in :authority or host, and the same in both";
    CONTENT_LENGTH = "content_length", Stream, PROTOCOL_ERROR, "RFC 9113 §8.1.1", "content-length is one number, and the sum of all DATA";
    STATUS = "status", Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.2", "a response has one :status of three digits, and not 101";
    TRAILERS_END = "trailers_end", Stream, PROTOCOL_ERROR, "RFC 9113 §8.1", "trailers end their stream";
    FLOOD_RESET = "flood_reset", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "streams are mostly left to be answered";
    FLOOD_SETTINGS = "flood_settings", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "SETTINGS change seldom";
    FLOOD_PING = "flood_ping", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "PING is sent now and then";
    FLOOD_WINDOW = "flood_window", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "windows are opened in step with the DATA that was sent";
    FLOOD_PRIORITY = "flood_priority", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "priorities change in step with the streams";
    FLOOD_DATA = "flood_data", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "DATA mostly carries octets";
    FLOOD_CONTINUATION = "flood_continuation", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "a field block has few frames, and is not longer than the server takes";
    FLOOD_UNKNOWN = "flood_unknown", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "frames that change nothing are rare";
    HEAD_TIME = "head_time", Connection, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "a frame or a field block that was begun arrives within the time of the server";
    BODY_TIME = "body_time", Stream, ENHANCE_YOUR_CALM, "RFC 9113 §10.5", "a request's content arrives at a minimum rate";
    WINDOW_STALL = "window_stall", Stream, CANCEL, "RFC 9113 §10.5", "a client takes the responses that it asked for";
}
