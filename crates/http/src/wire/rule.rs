//! The rules of RFC 9112 and RFC 9110 that a request can break, each with its name and its answer.
//!
//! One constant a rule: the parser returns it, the counters and the trace carry its `code`, and the
//! reference of refusals is printed from [`Rule::ALL`].

use std::fmt;

use crate::Status;

/// A rule that a message must keep.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// A stable word for counters and programs.
    pub code: &'static str,
    /// What the standard wants, for people.
    pub text: &'static str,
    /// Where the standard says so.
    pub section: &'static str,
    /// The answer to a message that breaks it; the connection ends after it, unless only the path is at fault.
    pub status: Status,
}

/// A rule that was broken, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Which rule.
    pub rule: &'static Rule,
    /// Offset of the octet that does not fit, from the start of the message (of the body, for the
    /// rules of chunked bodies).
    pub at_octet: usize,
}

impl Refusal {
    /// Says that `rule` was broken at `at_octet`.
    #[must_use]
    pub const fn new(rule: &'static Rule, at_octet: usize) -> Self {
        Self { rule, at_octet }
    }

    /// The status that answers it.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.rule.status
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { text, section, status, .. } = self.rule;
        write!(f, "{status}: {text} ({section}), broken at octet {}", self.at_octet)
    }
}

impl std::error::Error for Refusal {}

const fn rule(code: &'static str, status: Status, section: &'static str, text: &'static str) -> Rule {
    Rule { code, text, section, status }
}

macro_rules! rules {
    ($($name:ident = $code:literal, $status:ident, $section:literal, $text:literal;)*) => {
        $(
            #[doc = $text]
            #[doc = concat!("(", $section, ").")]
            pub static $name: Rule = rule($code, Status::$status, $section, $text);
        )*

        impl Rule {
            /// Every rule, in the order in which a request meets them.
            pub const ALL: &'static [&'static Rule] = &[$(&$name),*];
        }
    };
}

rules! {
    BARE_LF = "bare_lf", BAD_REQUEST, "RFC 9112 §2.2", "a line ends with CRLF, not with LF alone";
    BARE_CR = "bare_cr", BAD_REQUEST, "RFC 9112 §2.2", "CR stands only before LF";
    METHOD = "method", BAD_REQUEST, "RFC 9112 §3.1", "method = token";
    METHOD_LENGTH = "method_length", NOT_IMPLEMENTED, "RFC 9112 §3", "a method nobody knows may be long, but not endless";
    REQUEST_LINE_SPACE = "request_line_space", BAD_REQUEST, "RFC 9112 §3", "request-line = method SP request-target SP HTTP-version";
    TARGET = "request_target", BAD_REQUEST, "RFC 9112 §3.2", "request-target holds the characters of a URI, and nothing else";
    TARGET_FORM = "request_target_form", BAD_REQUEST, "RFC 9112 §3.2", "origin-form, absolute-form of http or https, authority-form for CONNECT, or * for OPTIONS";
    TARGET_LENGTH = "request_target_length", URI_TOO_LONG, "RFC 9112 §3", "the request line keeps within the limit of the server";
    VERSION = "http_version", BAD_REQUEST, "RFC 9112 §2.3", "HTTP-version = %x48.54.54.50 / DIGIT . DIGIT";
    VERSION_MAJOR = "http_version_major", VERSION_NOT_SUPPORTED, "RFC 9110 §15.6.6", "the major version on this connection is 1";
    STATUS_LINE = "status_line", BAD_REQUEST, "RFC 9112 §4", "status-line = HTTP-version SP 3DIGIT SP [ reason-phrase ]";
    LEADING_SPACE = "leading_space", BAD_REQUEST, "RFC 9112 §2.2", "no whitespace between the request line and the first field";
    OBS_FOLD = "obs_fold", BAD_REQUEST, "RFC 9112 §5.2", "a field value stands on one line";
    FIELD_NAME_EMPTY = "field_name_empty", BAD_REQUEST, "RFC 9110 §5.1", "a field has a name";
    FIELD_NAME = "field_name", BAD_REQUEST, "RFC 9110 §5.1", "field-name = token";
    SPACE_BEFORE_COLON = "space_before_colon", BAD_REQUEST, "RFC 9112 §5.1", "no whitespace between a field name and its colon";
    FIELD_VALUE = "field_value", BAD_REQUEST, "RFC 9110 §5.5", "a field value holds no control characters";
    FIELD_LENGTH = "field_length", HEADER_FIELDS_TOO_LARGE, "RFC 6585 §5", "each field keeps within the limit of the server";
    FIELDS_COUNT = "fields_count", HEADER_FIELDS_TOO_LARGE, "RFC 6585 §5", "the number of fields keeps within the limit of the server";
    HEAD_LENGTH = "head_length", HEADER_FIELDS_TOO_LARGE, "RFC 6585 §5", "the head keeps within the limit of the server";
    HOST_MISSING = "host_missing", BAD_REQUEST, "RFC 9112 §3.2", "an HTTP/1.1 request has a Host field";
    HOST_REPEATED = "host_repeated", BAD_REQUEST, "RFC 9112 §3.2", "a request has one Host field";
    HOST = "host", BAD_REQUEST, "RFC 9110 §7.2", "Host = uri-host [ \":\" port ]";
    CONTENT_LENGTH = "content_length", BAD_REQUEST, "RFC 9110 §8.6", "Content-Length = 1*DIGIT, below 2^63";
    CONTENT_LENGTH_REPEATED = "content_length_repeated", BAD_REQUEST, "RFC 9112 §6.3", "a request has one Content-Length";
    LENGTH_AND_CODING = "length_and_coding", BAD_REQUEST, "RFC 9112 §6.1", "Content-Length and Transfer-Encoding exclude each other";
    CODING_VERSION = "coding_version", BAD_REQUEST, "RFC 9112 §6.1", "HTTP/1.0 has no Transfer-Encoding";
    CODING_LAST = "coding_last", BAD_REQUEST, "RFC 9112 §6.3", "the last transfer coding of a request is chunked, and no other is";
    CODING_UNKNOWN = "coding_unknown", NOT_IMPLEMENTED, "RFC 9112 §6.1", "the server understands every transfer coding of the request";
    EXPECT = "expect", EXPECTATION_FAILED, "RFC 9110 §10.1.1", "the only expectation is 100-continue";
    METHOD_UNKNOWN = "method_unknown", NOT_IMPLEMENTED, "RFC 9110 §9.1", "the server knows the method";
    BODY_LENGTH = "body_length", CONTENT_TOO_LARGE, "RFC 9110 §15.5.14", "the body keeps within the limit of the server";
    BODIES_LENGTH = "bodies_length", SERVICE_UNAVAILABLE, "RFC 9110 §15.6.4", "all bodies of a connection together keep within what the server collects";
    CHUNK_SIZE = "chunk_size", BAD_REQUEST, "RFC 9112 §7.1", "chunk-size = 1*HEXDIG, at most 16 of them";
    CHUNK_EXTENSION = "chunk_extension", BAD_REQUEST, "RFC 9112 §7.1.1", "chunk extensions are short and hold no control characters";
    CHUNK_END = "chunk_end", BAD_REQUEST, "RFC 9112 §7.1", "chunk-data is followed by CRLF";
    TRAILER = "trailer", BAD_REQUEST, "RFC 9112 §7.1.2", "the trailer section is made of field lines";
    TRAILER_LENGTH = "trailer_length", HEADER_FIELDS_TOO_LARGE, "RFC 6585 §5", "the trailer section keeps within the limit of the server";
    HEAD_TIME = "head_time", REQUEST_TIMEOUT, "RFC 9110 §15.5.9", "the head arrives within the time of the server";
    BODY_TIME = "body_time", REQUEST_TIMEOUT, "RFC 9110 §15.5.9", "the body arrives at a minimum rate";
    PERCENT_TRIPLET = "percent_triplet", BAD_REQUEST, "RFC 3986 §2.1", "pct-encoded = % HEXDIG HEXDIG";
    PERCENT_NUL = "percent_nul", BAD_REQUEST, "RFC 3986 §7.3", "a path that names a file holds no %00";
    PERCENT_UTF8 = "percent_utf8", BAD_REQUEST, "RFC 3986 §2.5", "a path that names a file is UTF-8 once decoded";
}
