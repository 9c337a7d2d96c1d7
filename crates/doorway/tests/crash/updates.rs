//! Names added by UPDATE (RFC 2136) over TCP, one after the other, until the connection breaks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

/// The zone that is changed, with leave for everybody on this machine.
pub(crate) const ZONES: &str =
    "[{ name = \"example.org\", file = \"zone\", update = [\"127.0.0.0/8\"], serial = \"unixtime\" }]";
/// Its file.
pub(crate) const FILE: &str = "$TTL 60\n@ SOA ns host 7 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n";

/// Names that are being added.
pub(crate) struct Updates {
    writer: JoinHandle<Vec<String>>,
    enough: Arc<AtomicBool>,
}

/// The name that is added as number `number` of a round.
pub(crate) fn name(round: usize, number: usize) -> String {
    format!("{}.example.org", label(round, number))
}

fn label(round: usize, number: usize) -> String {
    format!("r{round}-{number}")
}

impl Updates {
    pub(crate) fn start(address: SocketAddr, round: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let writer = std::thread::spawn(move || {
            let mut added = Vec::new();
            let Ok(mut stream) = TcpStream::connect(address) else { return added };
            for number in 0.. {
                if told.load(Relaxed) || add(&mut stream, &label(round, number)).is_none() {
                    break;
                }
                added.push(name(round, number));
            }
            added
        });
        Self { writer, enough }
    }

    /// The names whose addition was acknowledged, once the server is gone.
    pub(crate) fn finish(self) -> Vec<String> {
        self.writer.join().unwrap()
    }

    /// The names whose addition was acknowledged, by a server that stays.
    pub(crate) fn stop(self) -> Vec<String> {
        self.enough.store(true, Relaxed);
        self.finish()
    }
}

// Adds one address, and waits until the server says that it has.
fn add(stream: &mut TcpStream, label: &str) -> Option<()> {
    let mut update = b"\x12\x34\x28\0\0\x01\0\0\0\x01\0\0\x07example\x03org\0\0\x06\0\x01".to_vec();
    update.push(u8::try_from(label.len()).unwrap());
    update.extend(label.as_bytes());
    // A pointer to the zone's name; A, IN, 60 seconds, an address.
    update.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
    let length = u16::try_from(update.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &update].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    assert_eq!((&answer[..2], answer[3] & 0xf), (&update[..2], 0), "the update of {label} is refused");
    Some(())
}
