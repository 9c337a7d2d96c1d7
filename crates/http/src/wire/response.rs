//! The response head, written: as text for HTTP/1 (RFC 9112 §4, §5), as a field block for HTTP/2
//! (RFC 9113 §8.3.2, RFC 7541 §6.2.2).
//!
//! Whoever answers says the same things in both; [`Form`] tells how they are written. Field values come from our own code or through [`ResponseWriter::field`], which drops octets that
//! could end the line, so that no value can split a response in two.

use super::Version;
use super::date::DATE_OCTETS;
use super::{field_block, scan};
use crate::Status;
use crate::h2::frame::HEADER_OCTETS;

/// How a response's head is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A status line and field lines.
    #[default]
    Http1,
    /// A field block of literals that leave the peer's table alone, so that it may be kept and sent again.
    Http2,
}

/// Room for the header of the frame that a field block goes into, and for that of the content behind it.
const FRAME_ROOM: [u8; HEADER_OCTETS] = [0; HEADER_OCTETS];

/// Appends one response head to a buffer. In HTTP/2 there is room in front of it and behind it, each of
/// [`HEADER_OCTETS`], for the headers of frames.
#[derive(Debug)]
pub struct ResponseWriter<'a> {
    out: &'a mut Vec<u8>,
    form: Form,
}

impl<'a> ResponseWriter<'a> {
    /// Begins a head with its status. In HTTP/1 the version is that of the server, whatever the client's
    /// (RFC 9110 §2.5).
    pub fn begin(out: &'a mut Vec<u8>, form: Form, status: Status) -> Self {
        match form {
            Form::Http1 => {
                out.extend_from_slice(b"HTTP/1.1 ");
                out.extend_from_slice(&status.digits());
                out.push(b' ');
                out.extend_from_slice(status.reason().as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Form::Http2 => {
                out.extend_from_slice(&FRAME_ROOM);
                field_block::status(out, status);
            }
        }
        Self { out, form }
    }

    /// Goes on with a head that has its status and some fields already.
    pub const fn resume(out: &'a mut Vec<u8>, form: Form) -> Self {
        Self { out, form }
    }

    /// Adds a field. A name that is no token leaves the field out; octets that may not stand in a
    /// value are left out of it.
    pub fn field(&mut self, name: &str, value: &[u8]) -> &mut Self {
        if name.is_empty() || scan::token_end(name.as_bytes(), 0) < name.len() {
            return self;
        }
        let clean: Vec<u8>;
        let value = if scan::value_end(value, 0) == value.len() {
            value
        } else {
            clean = value.iter().copied().filter(|&octet| scan::is_value(octet)).collect();
            &clean
        };
        match self.form {
            Form::Http1 => {
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b": ");
                self.out.extend_from_slice(value);
                self.out.extend_from_slice(b"\r\n");
            }
            // RFC 9113 §8.2.2: not even if somebody asks for it.
            Form::Http2 if is_of_connection(name) => {}
            Form::Http2 => field_block::literal(self.out, name.as_bytes(), value),
        }
        self
    }

    /// Adds a field whose value is a number.
    pub fn number(&mut self, name: &str, value: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut left = value;
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.field(name, &digits[at..])
    }

    /// Adds Date; returns where in the buffer its value stands, so that it can be renewed there.
    pub fn date(&mut self, date: &[u8; DATE_OCTETS]) -> usize {
        self.field("Date", date);
        let line_end = if self.form == Form::Http1 { 2 } else { 0 };
        self.out.len() - DATE_OCTETS - line_end
    }

    /// Adds Connection where the version's default is not what happens (RFC 9112 §9.3); HTTP/2 has no such
    /// field (RFC 9113 §8.2.2).
    pub fn connection(&mut self, version: Version, persistent: bool) -> &mut Self {
        if self.form == Form::Http2 {
            return self;
        }
        match (version, persistent) {
            (Version::Http11, true) | (Version::Http10, false) | (Version::Http2, _) => self,
            (Version::Http11, false) => self.field("Connection", b"close"),
            (Version::Http10, true) => self.field("Connection", b"keep-alive"),
        }
    }

    /// Ends the head. Returns its end, which is where content begins.
    pub fn end(&mut self) -> usize {
        match self.form {
            Form::Http1 => self.out.extend_from_slice(b"\r\n"),
            Form::Http2 => self.out.extend_from_slice(&FRAME_ROOM),
        }
        self.out.len()
    }
}

/// Whether a field is about an HTTP/1 connection.
fn is_of_connection(name: &str) -> bool {
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]
        .iter()
        .any(|of_connection| name.eq_ignore_ascii_case(of_connection))
}

/// Appends the head of one chunk of `octets` octets (RFC 9112 §7.1); zero makes the last one.
pub fn write_chunk_size(out: &mut Vec<u8>, octets: usize) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{octets:x}\r\n");
}
