//! Clients that hand messages to the server for elsewhere, and the host that gets them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients that send at once.
const CLIENTS: usize = 20;
/// How long nothing may arrive while something is missing.
const PATIENCE: Duration = Duration::from_secs(150);

/// A host that takes every message, and counts how often each one came.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sink = Self { address: listener.local_addr().unwrap(), arrived: Arc::default() };
        let arrived = Arc::clone(&sink.arrived);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let arrived = Arc::clone(&arrived);
                std::thread::spawn(move || take(stream, &arrived));
            }
        });
        sink
    }

    /// Waits until each of these has come; how many came more than once.
    pub(crate) fn wait_for(&self, names: &[String]) -> Result<usize, Vec<String>> {
        let (mut late, mut left) = (Instant::now() + PATIENCE, usize::MAX);
        loop {
            let missing: Vec<String> = {
                let arrived = self.arrived.lock().unwrap();
                names.iter().filter(|name| !arrived.contains_key(*name)).cloned().collect()
            };
            if missing.is_empty() {
                return Ok(self.arrived.lock().unwrap().values().filter(|count| **count > 1).count());
            }
            if missing.len() < left {
                (late, left) = (Instant::now() + PATIENCE, missing.len());
            }
            if Instant::now() > late {
                return Err(missing);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Speaks SMTP as far as it takes to be given messages.
fn take(stream: TcpStream, arrived: &Mutex<BTreeMap<String, usize>>) -> Option<()> {
    let mut lines = BufReader::new(stream);
    let say = |lines: &mut BufReader<TcpStream>, text: &str| {
        lines.get_mut().write_all(format!("{text}\r\n").as_bytes()).ok()
    };
    say(&mut lines, "220 sink")?;
    loop {
        let line = line(&mut lines)?;
        match line.get(..4).map(str::to_ascii_uppercase).as_deref() {
            Some("EHLO") => say(&mut lines, "250-sink\r\n250-PIPELINING\r\n250 8BITMIME")?,
            Some("DATA") => {
                say(&mut lines, "354 go on")?;
                let mut name = None;
                loop {
                    let text = self::line(&mut lines)?;
                    if text == "." {
                        break;
                    }
                    name = name.or_else(|| text.strip_prefix("Subject: ").map(str::to_owned));
                }
                *arrived.lock().unwrap().entry(name?).or_default() += 1;
                say(&mut lines, "250 2.0.0 taken")?;
            }
            Some("QUIT") => return say(&mut lines, "221 bye"),
            _ => say(&mut lines, "250 fine")?,
        }
    }
}

fn line(lines: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    lines.read_line(&mut line).ok().filter(|count| *count > 0)?;
    Some(line.trim_end().to_owned())
}

/// Clients that send until the server is gone.
pub(crate) struct Senders(Vec<JoinHandle<Vec<String>>>);

impl Senders {
    pub(crate) fn start(server: SocketAddr, round: usize) -> Self {
        let client = |client| std::thread::spawn(move || send(server, &format!("{round}-{client}")));
        Self((0..CLIENTS).map(client).collect())
    }

    /// The messages that were acknowledged.
    pub(crate) fn finish(self) -> Vec<String> {
        self.0.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

fn send(server: SocketAddr, prefix: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let Ok(stream) = TcpStream::connect(server) else { return acknowledged };
        let mut lines = BufReader::new(stream);
        let mut say = |text: &str, expected: &str| -> Option<()> {
            lines.get_mut().write_all(text.as_bytes()).ok()?;
            loop {
                let reply = line(&mut lines)?;
                if reply.as_bytes().get(3) != Some(&b'-') {
                    return reply.starts_with(expected).then_some(());
                }
            }
        };
        if say("", "220").and_then(|()| say("EHLO client.test\r\n", "250")).is_none() {
            return acknowledged;
        }
        // The server takes 100 messages over one connection.
        for _ in 0..90 {
            let name = format!("{prefix}-{}", acknowledged.len());
            let message = format!("Subject: {name}\r\n\r\n{}.\r\n", "text\r\n".repeat(300));
            let taken = say("MAIL FROM:<a@us.test>\r\n", "250")
                .and_then(|()| say("RCPT TO:<b@elsewhere.test>\r\n", "250"))
                .and_then(|()| say("DATA\r\n", "354"))
                .and_then(|()| say(&message, "250"));
            if taken.is_none() {
                return acknowledged;
            }
            acknowledged.push(name);
        }
        let _ = say("QUIT\r\n", "221");
    }
}
