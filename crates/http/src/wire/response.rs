//! The response head, written (RFC 9112 §4, §5).
//!
//! Field values come from our own code or through [`ResponseWriter::field`], which drops octets that
//! could end the line, so that no value can split a response in two.

use super::Version;
use super::date::DATE_OCTETS;
use super::scan;
use crate::Status;

/// Appends one response head to a buffer.
#[derive(Debug)]
pub struct ResponseWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> ResponseWriter<'a> {
    /// Begins a head with its status line. The version is that of the server, whatever the client's
    /// (RFC 9110 §2.5).
    pub fn begin(out: &'a mut Vec<u8>, status: Status) -> Self {
        let code = status.code();
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend([code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8));
        out.push(b' ');
        out.extend_from_slice(status.reason().as_bytes());
        out.extend_from_slice(b"\r\n");
        Self { out }
    }

    /// Goes on with a head that has its status line and some fields already.
    pub const fn resume(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Adds a field. A name that is no token leaves the field out; octets that may not stand in a
    /// value are left out of it.
    pub fn field(&mut self, name: &str, value: &[u8]) -> &mut Self {
        if name.is_empty() || scan::token_end(name.as_bytes(), 0) < name.len() {
            return self;
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        if scan::value_end(value, 0) == value.len() {
            self.out.extend_from_slice(value);
        } else {
            self.out.extend(value.iter().copied().filter(|&octet| scan::is_value(octet)));
        }
        self.out.extend_from_slice(b"\r\n");
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
        self.out.len() - DATE_OCTETS - 2
    }

    /// Adds Connection where the version's default is not what happens (RFC 9112 §9.3).
    pub fn connection(&mut self, version: Version, persistent: bool) -> &mut Self {
        match (version, persistent) {
            (Version::Http11, true) | (Version::Http10, false) => self,
            (Version::Http11, false) => self.field("Connection", b"close"),
            (Version::Http10, true) => self.field("Connection", b"keep-alive"),
        }
    }

    /// Ends the head.
    pub fn end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Appends the head of one chunk of `octets` octets (RFC 9112 §7.1); zero makes the last one.
pub fn write_chunk_size(out: &mut Vec<u8>, octets: usize) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{octets:x}\r\n");
}
