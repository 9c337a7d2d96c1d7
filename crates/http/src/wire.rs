//! Octets to types and back: everything of HTTP/1 that stands on the wire, and nothing else.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`rule`] | every rule a request can break, with its name and its status |
//! | [`head`] | request line and fields |
//! | [`framing`] | what the fields mean for host, body length and persistence |
//! | [`target`] | the four target forms, `Host` |
//! | [`method`] | the nine methods |
//! | [`path`] | percent-decoding and dot segments, for paths that name files |
//! | [`chunked`] | bodies in chunks |
//! | [`date`] | HTTP dates |
//! | [`response_head`] | the head of a response, read |
//! | [`response`] | the response head, written as HTTP/1 text or as an HTTP/2 field block |

pub mod chunked;
pub mod date;
mod field_block;
pub mod framing;
pub mod head;
pub mod method;
pub mod path;
pub mod response;
pub mod response_head;
pub mod rule;
pub(crate) mod scan;
pub mod target;

pub use framing::Framing;
pub use head::{FieldSpans, Fields, HeadLimits, Parsed, RequestHead, Version, parse_request};
pub use method::Method;
pub use response_head::{ResponseFraming, ResponseHead, parse_response};
pub use rule::{Refusal, Rule};
pub use target::{Resource, Target};

#[cfg(test)]
mod tests;
