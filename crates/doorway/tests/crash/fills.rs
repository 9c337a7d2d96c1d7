//! A cache that is filled by many clients at once, from an origin that answers each time with another content.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;

use doorway_base::Random;

/// Targets that are asked for.
pub(crate) const TARGETS: u64 = 120;
/// Clients that ask at once.
const CLIENTS: u64 = 4;

/// Octets of a target's content: from less than a line to more than a piece on disk.
fn octets(target: u64) -> usize {
    match target % 12 {
        0 => 2_500_000 + target as usize,
        1..=3 => 300_000 + target as usize,
        _ => (target * 331 % 60_000) as usize,
    }
}

/// What a target consists of in its `version`th answer.
fn content(target: u64, version: u64) -> Vec<u8> {
    format!("{target} {version}\n").bytes().cycle().take(octets(target)).collect()
}

/// The origin. Its thread ends with the test.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    answers: Arc<AtomicU64>,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, answers) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(1)));
        let counter = Arc::clone(&answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || _ = serve(stream, &counter));
            }
        });
        Self { address, answers }
    }

    /// Every answer from now on has at least this version.
    pub(crate) fn next_version(&self) -> u64 {
        self.answers.load(SeqCst)
    }
}

fn serve(mut stream: TcpStream, counter: &AtomicU64) -> std::io::Result<()> {
    let mut ahead = Vec::new();
    loop {
        let Some(head) = head(&mut stream, &mut ahead)? else { return Ok(()) };
        let target = head.split(' ').nth(1).and_then(|path| path[1..].parse().ok()).unwrap_or(0);
        let version = counter.fetch_add(1, SeqCst);
        let body = content(target, version);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nCache-Control: max-age=86400\r\nX-Version: {version}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        // In parts, so that a kill often comes between two.
        for part in body.chunks(200_000) {
            stream.write_all(part)?;
        }
    }
}

// The next head; `None` at the end of the connection.
fn head(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    loop {
        if let Some(end) = ahead.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = ahead.drain(..end + 4).collect::<Vec<u8>>();
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        let mut room = [0; 16 * 1024];
        let count = stream.read(&mut room)?;
        if count == 0 {
            return Ok(None);
        }
        ahead.extend_from_slice(&room[..count]);
    }
}

/// The version of a target that a whole answer has; `None` when the connection broke off or nothing is kept.
///
/// # Panics
/// When the answer is whole and its content is not that of its version.
fn ask(
    stream: &mut TcpStream,
    ahead: &mut Vec<u8>,
    target: u64,
    fields: &str,
) -> std::io::Result<Option<u64>> {
    let request = format!("GET /{target} HTTP/1.1\r\nHost: kept.example\r\n{fields}\r\n");
    stream.write_all(request.as_bytes())?;
    let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let head = head(stream, ahead)?.ok_or_else(broken)?;
    let field = |name: &str| -> Option<u64> {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1.parse().ok()
    };
    let octets = field("content-length").unwrap_or_else(|| panic!("no length: {head}")) as usize;
    while ahead.len() < octets {
        let mut room = [0; 64 * 1024];
        let count = stream.read(&mut room)?;
        if count == 0 {
            return Err(broken());
        }
        ahead.extend_from_slice(&room[..count]);
    }
    let body: Vec<u8> = ahead.drain(..octets).collect();
    if head.starts_with("HTTP/1.1 504 ") || head.starts_with("HTTP/1.1 502 ") {
        return Ok(None);
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let version = field("x-version").unwrap_or_else(|| panic!("no version: {head}"));
    assert!(body == content(target, version), "torn: target {target}, version {version}\n{head}");
    Ok(Some(version))
}

/// Clients that ask until the server is gone.
pub(crate) struct Fills(Vec<JoinHandle<u64>>);

impl Fills {
    pub(crate) fn start(server: SocketAddr, random: &mut Random) -> Self {
        let client = |_| {
            let mut random = random.fork();
            std::thread::spawn(move || {
                let Ok(mut stream) = TcpStream::connect(server) else { return 0 };
                let mut ahead = Vec::new();
                let mut answers = 0;
                while ask(&mut stream, &mut ahead, random.below(TARGETS), "").is_ok() {
                    answers += 1;
                }
                answers
            })
        };
        Self((0..CLIENTS).map(client).collect())
    }

    /// How many whole answers there were.
    pub(crate) fn finish(self) -> u64 {
        self.0.into_iter().map(|client| client.join().unwrap()).sum()
    }
}

/// The version of each target that the cache has, without asking the origin.
pub(crate) fn kept(server: SocketAddr) -> BTreeMap<u64, u64> {
    let mut kept = BTreeMap::new();
    for target in 0..TARGETS {
        // A long content is checked block by block while it is sent: damage ends the connection.
        let mut stream = TcpStream::connect(server).unwrap();
        let only_if_cached = "Cache-Control: only-if-cached\r\n";
        if let Ok(Some(version)) = ask(&mut stream, &mut Vec::new(), target, only_if_cached) {
            kept.insert(target, version);
        }
    }
    kept
}
