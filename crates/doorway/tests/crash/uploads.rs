//! One file stored again and again by PUT, each time with other content, until the connection breaks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

/// Octets of each version: more than one write of the server.
const OCTETS: usize = 300_000;

/// Versions that are being stored.
pub(crate) struct Uploads(JoinHandle<Stored>);

/// What is known of the file when the server is gone.
pub(crate) struct Stored {
    /// The last version that was acknowledged.
    pub(crate) acknowledged: Option<u64>,
    /// The version that was being sent then.
    pub(crate) sent: u64,
}

/// What version `number` consists of.
pub(crate) fn content(number: u64) -> Vec<u8> {
    number.to_string().bytes().chain(std::iter::once(b'\n')).cycle().take(OCTETS).collect()
}

impl Uploads {
    /// Stores versions from `first` on, with this Authorization.
    pub(crate) fn start(address: SocketAddr, authorization: String, first: u64) -> Self {
        Self(std::thread::spawn(move || {
            let mut stored = Stored { acknowledged: None, sent: first };
            let Ok(mut stream) = TcpStream::connect(address) else { return stored };
            for number in first.. {
                stored.sent = number;
                if put(&mut stream, &authorization, &content(number)).is_none() {
                    return stored;
                }
                stored.acknowledged = Some(number);
            }
            stored
        }))
    }

    pub(crate) fn finish(self) -> Stored {
        self.0.join().unwrap()
    }
}

/// Whether one version can be stored.
pub(crate) fn put_once(address: SocketAddr, authorization: &str) -> bool {
    let stream = TcpStream::connect(address);
    stream.is_ok_and(|mut stream| put(&mut stream, authorization, &content(0)).is_some())
}

fn put(stream: &mut TcpStream, authorization: &str, body: &[u8]) -> Option<()> {
    let head = format!(
        "PUT /file HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    let mut octets = [0; 4096];
    while !answer.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut octets).ok().filter(|count| *count > 0)?;
        answer.extend(&octets[..count]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&answer));
    Some(())
}
