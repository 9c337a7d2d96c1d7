//! A client that says exactly the frames it is told, and writes down those it gets.

use std::time::Duration;

use doorway_http::h2::frame::{END_HEADERS, END_STREAM, HEADER_OCTETS, Header, Kind};
use doorway_http::h2::hpack::{Decoder, Strings};
use doorway_http::h2::{ErrorCode, PREFACE};
use doorway_net::{Stream, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{dial, talk};

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut octets = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    octets.extend([kind, flags]);
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

pub(crate) fn data(stream: u32, flags: u8, content: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, content)
}

pub(crate) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(1, flags, stream, block)
}

pub(crate) fn continuation(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(9, flags, stream, block)
}

pub(crate) fn reset(stream: u32, error: u32) -> Vec<u8> {
    frame(3, 0, stream, &error.to_be_bytes())
}

pub(crate) fn window(stream: u32, octets: u32) -> Vec<u8> {
    frame(8, 0, stream, &octets.to_be_bytes())
}

pub(crate) fn ping(opaque: [u8; 8], flags: u8) -> Vec<u8> {
    frame(6, flags, 0, &opaque)
}

pub(crate) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let octets: Vec<u8> = settings
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(4, 0, 0, &octets)
}

/// Fields as literals that nobody keeps.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            if text.len() < 127 {
                block.push(text.len() as u8);
            } else {
                let left = text.len() - 127;
                block.extend([
                    127,
                    0x80 | (left & 0x7f) as u8,
                    0x80 | (left >> 7 & 0x7f) as u8,
                    (left >> 14) as u8,
                ]);
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The fields that each request has.
pub(crate) fn plain(method: &str, path: &str) -> Vec<u8> {
    block(&[(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")])
}

pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, END_STREAM | END_HEADERS, &plain("GET", path))
}

pub(crate) fn post(stream: u32, flags: u8, path: &str) -> Vec<u8> {
    headers(stream, flags, &plain("POST", path))
}

/// A connection.
pub(crate) struct Frames {
    stream: Stream,
    world: World,
    read: Vec<u8>,
    decoder: Decoder,
    /// Content of each DATA frame.
    pub(crate) content: Vec<u8>,
}

impl Frames {
    /// A connection on which `octets` were sent and nothing was read.
    pub(crate) async fn bare(world: &World, octets: &[u8]) -> Self {
        let mut stream = dial(world).await;
        stream.write_all(octets).await.unwrap();
        let (read, decoder, content) = (Vec::new(), Decoder::new(), Vec::new());
        let mut frames = Self { stream, world: world.clone(), read, decoder, content };
        for expected in ["SETTINGS", "WINDOW 0 983041"] {
            assert_eq!(frames.next().await.unwrap(), expected);
        }
        frames
    }

    /// A connection on which both have sent their SETTINGS.
    pub(crate) async fn open(world: &World) -> Self {
        let mut frames = Self::bare(world, &[PREFACE.to_vec(), settings(&[])].concat()).await;
        assert_eq!(frames.next().await.unwrap(), "SETTINGS ack");
        frames
    }

    /// What is answered to `octets` that are perhaps no HTTP/2.
    pub(crate) async fn raw(world: &World, octets: &[u8]) -> String {
        String::from_utf8(talk(world, octets).await).unwrap()
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        // The server may have ended the connection.
        let _ = self.stream.write_all(octets).await;
    }

    /// The next frame as text; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(header) = Header::parse(&self.read) {
                let length = HEADER_OCTETS + header.length;
                if self.read.len() >= length {
                    let frame: Vec<u8> = self.read.drain(..length).collect();
                    return Some(self.text(header, &frame[HEADER_OCTETS..]));
                }
            }
            let mut octets = [0; 4096];
            let read = self.world.timeout(Duration::from_secs(3600), self.stream.read(&mut octets)).await;
            match read.expect("the server is silent for an hour") {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.read.extend_from_slice(&octets[..count]),
            }
        }
    }

    fn text(&mut self, header: Header, payload: &[u8]) -> String {
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        let end = if header.flags & END_STREAM != 0 { " end" } else { "" };
        let stream = header.stream;
        match header.kind {
            Kind::DATA => {
                self.content.extend_from_slice(payload);
                format!("DATA {stream} {}{end}", header.length)
            }
            Kind::HEADERS => {
                let mut status = String::new();
                let each = |name: &[u8], value: &[u8]| {
                    if name == b":status" {
                        status = String::from_utf8_lossy(value).into_owned();
                    }
                };
                self.decoder.decode(payload, &mut Strings::default(), each).unwrap();
                format!("HEADERS {stream} {status}{end}")
            }
            Kind::SETTINGS => format!("SETTINGS{}", if end.is_empty() { "" } else { " ack" }),
            Kind::PING if end.is_empty() => format!("PING {}", payload.escape_ascii()),
            Kind::PING => format!("PONG {}", payload.escape_ascii()),
            Kind::RST_STREAM => format!("RST_STREAM {stream} {}", ErrorCode(number(0))),
            Kind::GOAWAY => {
                let text = String::from_utf8_lossy(&payload[8..]);
                format!("GOAWAY {} {} {text}", number(0), ErrorCode(number(4))).trim_end().to_owned()
            }
            Kind::WINDOW_UPDATE => format!("WINDOW {stream} {}", number(0)),
            kind => format!("{kind} {stream}"),
        }
    }

    /// Every frame up to `last`, which is left out, or up to the end of the connection.
    pub(crate) async fn read_to(&mut self, last: &str) -> String {
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Some(frame) if frame == last => return frames.join(", "),
                Some(frame) => frames.push(frame),
                None => {
                    frames.push("closed".to_owned());
                    return frames.join(", ");
                }
            }
        }
    }
}
