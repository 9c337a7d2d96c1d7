//! A bare TCP connection, for what no client would say.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::server::PATIENCE;

/// One connection.
pub(crate) struct Dialogue {
    stream: TcpStream,
    /// Octets that were read beyond the answer at hand.
    ahead: Vec<u8>,
}

/// An HTTP response with a Content-Length.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Dialogue {
    pub(crate) fn with(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, ahead: Vec::new() }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub(crate) fn say(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).unwrap();
    }

    /// Says it in the belief that the other side may end the connection before it has read everything.
    pub(crate) fn say_in_vain(&mut self, octets: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(octets.as_ref());
    }

    pub(crate) fn get(&mut self, path: &str) -> Heard {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        self.hear_response()
    }

    /// Exactly `count` octets.
    pub(crate) fn hear(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            assert!(self.more() > 0, "ended after {} of {count} octets", self.ahead.len());
        }
        self.ahead.drain(..count).collect()
    }

    fn more(&mut self) -> usize {
        let mut room = [0; 64 * 1024];
        let count = self.stream.read(&mut room).unwrap();
        self.ahead.extend_from_slice(&room[..count]);
        count
    }

    /// Everything up to the end of the connection; a reset is an end too.
    pub(crate) fn hear_all(mut self) -> Vec<u8> {
        let _ = self.stream.read_to_end(&mut self.ahead);
        self.ahead
    }

    /// Whether the other side has nothing more to say and ends the connection.
    pub(crate) fn ends(&mut self) -> bool {
        self.ahead.is_empty() && !matches!(self.stream.read(&mut [0; 1]), Ok(1))
    }

    /// Says that nothing follows, to somebody who may be gone.
    pub(crate) fn end_of_saying_in_vain(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    pub(crate) fn end_of_saying(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The head of the next response.
    pub(crate) fn hear_head(&mut self) -> Heard {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|octets| octets == b"\r\n\r\n") {
                break at + 4;
            }
            let so_far = String::from_utf8_lossy(&self.ahead).into_owned();
            assert!(self.more() > 0, "ended within a head: {so_far:?}");
        };
        let head = String::from_utf8(self.hear(end)).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Heard { status, head, body: Vec::new() }
    }

    /// The next response with its body.
    pub(crate) fn hear_response(&mut self) -> Heard {
        let mut heard = self.hear_head();
        let length = heard.field("content-length").map_or(0, |length| length.parse().unwrap());
        heard.body = self.hear(length);
        heard
    }
}

impl Heard {
    /// The value of a field, by its name in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(found, _)| found.to_ascii_lowercase() == name).map(|(_, value)| value.trim())
    }
}
