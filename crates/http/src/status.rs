//! Status codes (RFC 9110 §15) as they stand in a response.

use std::fmt;

/// A status code, 100 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// 100 Continue: send the body.
    pub const CONTINUE: Self = Self(100);
    /// 101 Switching Protocols: another protocol follows on the connection.
    pub const SWITCHING_PROTOCOLS: Self = Self(101);
    /// 200 OK.
    pub const OK: Self = Self(200);
    /// 204 No Content.
    pub const NO_CONTENT: Self = Self(204);
    /// 301 Moved Permanently, with Location.
    pub const MOVED_PERMANENTLY: Self = Self(301);
    /// 303 See Other: the answer to a form stands elsewhere.
    pub const SEE_OTHER: Self = Self(303);
    /// 304 Not Modified: the client's copy is good.
    pub const NOT_MODIFIED: Self = Self(304);
    /// 400 Bad Request: the octets break the grammar.
    pub const BAD_REQUEST: Self = Self(400);
    /// 401 Unauthorized, with WWW-Authenticate.
    pub const UNAUTHORIZED: Self = Self(401);
    /// 403 Forbidden: the file is there but the server may not read it.
    pub const FORBIDDEN: Self = Self(403);
    /// 404 Not Found.
    pub const NOT_FOUND: Self = Self(404);
    /// 405 Method Not Allowed, with Allow.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 408 Request Timeout: the head or the body came too slowly.
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// 412 Precondition Failed.
    pub const PRECONDITION_FAILED: Self = Self(412);
    /// 413 Content Too Large.
    pub const CONTENT_TOO_LARGE: Self = Self(413);
    /// 414 URI Too Long.
    pub const URI_TOO_LONG: Self = Self(414);
    /// 415 Unsupported Media Type.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self(415);
    /// 417 Expectation Failed.
    pub const EXPECTATION_FAILED: Self = Self(417);
    /// 429 Too Many Requests (RFC 6585 §4), with Retry-After.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// 431 Request Header Fields Too Large (RFC 6585 §5).
    pub const HEADER_FIELDS_TOO_LARGE: Self = Self(431);
    /// 500 Internal Server Error.
    pub const INTERNAL_SERVER_ERROR: Self = Self(500);
    /// 501 Not Implemented: a method or transfer coding nobody here knows.
    pub const NOT_IMPLEMENTED: Self = Self(501);
    /// 503 Service Unavailable.
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    /// 201 Created: what was sent is stored where nothing was.
    pub const CREATED: Self = Self(201);
    /// 206 Partial Content, with Content-Range.
    pub const PARTIAL_CONTENT: Self = Self(206);
    /// 409 Conflict: there is no folder for it, or something else in its place.
    pub const CONFLICT: Self = Self(409);
    /// 416 Range Not Satisfiable, with Content-Range.
    pub const RANGE_NOT_SATISFIABLE: Self = Self(416);
    /// 428 Precondition Required (RFC 6585 §3).
    pub const PRECONDITION_REQUIRED: Self = Self(428);
    /// 507 Insufficient Storage (RFC 4918 §11.5).
    pub const INSUFFICIENT_STORAGE: Self = Self(507);
    /// 505 HTTP Version Not Supported.
    pub const VERSION_NOT_SUPPORTED: Self = Self(505);
    /// 407 Proxy Authentication Required.
    pub const PROXY_AUTHENTICATION_REQUIRED: Self = Self(407);
    /// 502 Bad Gateway.
    pub const BAD_GATEWAY: Self = Self(502);
    /// 504 Gateway Timeout.
    pub const GATEWAY_TIMEOUT: Self = Self(504);
    /// 508 Loop Detected (RFC 5842 §7.2).
    pub const LOOP_DETECTED: Self = Self(508);

    /// The status with this code; 500 for a number that is not one.
    ///
    /// A handler's slip thus shows as what it is, an error of the server.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        if code >= 100 && code <= 599 { Self(code) } else { Self::INTERNAL_SERVER_ERROR }
    }

    /// Its three digits.
    #[must_use]
    pub fn digits(self) -> [u8; 3] {
        [self.0 / 100, self.0 / 10 % 10, self.0 % 10].map(|digit| b'0' + digit as u8)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether a response with this status never has a body (RFC 9110 §6.4.1).
    #[must_use]
    pub const fn is_bodiless(self) -> bool {
        self.0 < 200 || self.0 == 204 || self.0 == 304
    }

    /// The registered reason phrase; empty when the code is not registered.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self.0 {
            100 => "Continue",
            101 => "Switching Protocols",
            102 => "Processing",
            103 => "Early Hints",
            104 => "Upload Resumption Supported",
            200 => "OK",
            201 => "Created",
            202 => "Accepted",
            203 => "Non-Authoritative Information",
            204 => "No Content",
            205 => "Reset Content",
            206 => "Partial Content",
            207 => "Multi-Status",
            208 => "Already Reported",
            226 => "IM Used",
            300 => "Multiple Choices",
            301 => "Moved Permanently",
            302 => "Found",
            303 => "See Other",
            304 => "Not Modified",
            305 => "Use Proxy",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            402 => "Payment Required",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            407 => "Proxy Authentication Required",
            408 => "Request Timeout",
            409 => "Conflict",
            410 => "Gone",
            411 => "Length Required",
            412 => "Precondition Failed",
            413 => "Content Too Large",
            414 => "URI Too Long",
            415 => "Unsupported Media Type",
            416 => "Range Not Satisfiable",
            417 => "Expectation Failed",
            421 => "Misdirected Request",
            422 => "Unprocessable Content",
            423 => "Locked",
            424 => "Failed Dependency",
            425 => "Too Early",
            426 => "Upgrade Required",
            428 => "Precondition Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            451 => "Unavailable For Legal Reasons",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            506 => "Variant Also Negotiates",
            507 => "Insufficient Storage",
            508 => "Loop Detected",
            510 => "Not Extended",
            511 => "Network Authentication Required",
            _ => "",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}
