//! Load for mail servers, that checks every reply. Each prints one line of `name value` pairs; a reply that is
//! not as it should be ends it with an error, and the measurement is void.
//!
//! ```text
//! post send smtp|lmtp PORT SESSIONS MESSAGES OCTETS TO…   messages from so many sessions, to the addresses in turn
//! post sink PORT                                          takes messages and counts them; `post sunk PORT` asks
//! post sunk PORT                                          how many messages a sink has taken
//! post stat PORT PASSWORD USER…                           how many messages these users have together, by POP3
//! post fetch PORT SECONDS PASSWORD USER…                  RETR of all messages over and over, a session for each user
//! post idle PORT COUNT SECONDS                            POP3 sessions that log in nowhere and are silent
//! ```

use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Messages over one connection before the next one, as servers bound it.
const PER_CONNECTION: usize = 100;
/// Messages that are asked for before the first has come.
const FETCHED_AHEAD: usize = 20;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| usage());
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["send", protocol @ ("smtp" | "lmtp"), port, sessions, messages, octets, ref to @ ..]
            if !to.is_empty() =>
        {
            let send = Send {
                hello: if protocol == "smtp" { "EHLO" } else { "LHLO" },
                port: number(port) as u16,
                sessions: number(sessions),
                messages: number(messages),
                octets: number(octets),
                to: to.iter().map(|to| (*to).to_owned()).collect(),
            };
            send.run()
        }
        ["sink", port] => sink(number(port) as u16),
        ["sunk", port] => sunk(number(port) as u16),
        ["stat", port, password, ref users @ ..] => stat(number(port) as u16, password, users),
        ["fetch", port, seconds, password, ref users @ ..] if !users.is_empty() => {
            fetch(number(port) as u16, number(seconds) as u64, password, users)
        }
        ["idle", port, count, seconds] => idle(number(port) as u16, number(count), number(seconds) as u64),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!(
        "post send smtp|lmtp PORT SESSIONS MESSAGES OCTETS TO… | sink PORT | sunk PORT | stat PORT PASSWORD USER… | fetch PORT SECONDS PASSWORD USER… | idle PORT COUNT SECONDS"
    );
    std::process::exit(2)
}

/// A connection that speaks in lines.
struct Line {
    stream: BufReader<TcpStream>,
    line: String,
}

impl Line {
    fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), line: String::new() })
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    fn hear(&mut self) -> io::Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err(io::Error::other("the server closed the connection"));
        }
        Ok(self.line.trim_end())
    }

    /// Waits for a reply of SMTP that begins with these digits.
    fn expect(&mut self, code: &str) -> io::Result<()> {
        loop {
            let line = self.hear()?;
            if !line.starts_with(code) {
                return Err(io::Error::other(format!("the server says `{line}` in place of {code}")));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }

    /// Waits for a +OK of POP3, and gives what is behind it.
    fn ok(&mut self) -> io::Result<String> {
        let line = self.hear()?;
        let rest = line.strip_prefix("+OK").map(str::to_owned);
        rest.ok_or_else(|| io::Error::other(format!("the server says `{line}`")))
    }
}

struct Send {
    hello: &'static str,
    port: u16,
    sessions: usize,
    messages: usize,
    octets: usize,
    to: Vec<String>,
}

impl Send {
    fn run(self) -> io::Result<()> {
        let content = Arc::new(message(self.octets));
        let send = Arc::new(self);
        let next = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let sessions: Vec<_> = (0..send.sessions)
            .map(|_| {
                let (send, content, next) = (Arc::clone(&send), Arc::clone(&content), Arc::clone(&next));
                thread::spawn(move || send.session(&content, &next))
            })
            .collect();
        let mut took = Vec::new();
        for session in sessions {
            took.extend(session.join().map_err(|_| io::Error::other("a session broke"))??);
        }
        let seconds = start.elapsed().as_secs_f64();
        took.sort_unstable();
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        println!(
            "operations {} seconds {seconds:.4} rate {:.1} p99_micros {}",
            took.len(),
            took.len() as f64 / seconds,
            p99.as_micros()
        );
        Ok(())
    }

    /// Sends one message after the other, as long as there are some, and tells how long each took.
    fn session(&self, content: &[u8], next: &AtomicU64) -> io::Result<Vec<Duration>> {
        let mut took = Vec::new();
        let mut line: Option<Line> = None;
        loop {
            let number = next.fetch_add(1, Relaxed) as usize;
            if number >= self.messages {
                if let Some(mut line) = line {
                    line.say("QUIT\r\n")?;
                    line.expect("221")?;
                }
                return Ok(took);
            }
            let start = Instant::now();
            if took.len() % PER_CONNECTION == 0 {
                if let Some(mut line) = line.take() {
                    line.say("QUIT\r\n")?;
                    line.expect("221")?;
                }
                let mut new = Line::open(self.port)?;
                new.expect("220")?;
                new.say(&format!("{} load.test\r\n", self.hello))?;
                new.expect("250")?;
                line = Some(new);
            }
            let open = line.as_mut().ok_or_else(|| io::Error::other("no connection"))?;
            open.say("MAIL FROM:<load@sender.test>\r\n")?;
            open.expect("250")?;
            open.say(&format!("RCPT TO:<{}>\r\n", self.to[number % self.to.len()]))?;
            open.expect("250")?;
            open.say("DATA\r\n")?;
            open.expect("354")?;
            open.stream.get_mut().write_all(content)?;
            open.expect("250")?;
            took.push(start.elapsed());
        }
    }
}

/// A message of so many octets, with its end.
fn message(octets: usize) -> Vec<u8> {
    let mut text = String::from(
        "From: Load <load@sender.test>\r\nTo: Somebody <somebody@bench.test>\r\nSubject: a message of the load\r\n\
         Date: Mon, 23 Nov 2026 06:00:00 +0000\r\nMessage-ID: <load@sender.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\n",
    );
    let line = "The quick brown fox jumps over the lazy dog, and back again, all day\r\n";
    while text.len() + line.len() <= octets {
        text.push_str(line);
    }
    text.push_str(".\r\n");
    text.into_bytes()
}

/// Takes everything, syncs nothing, and counts.
fn sink(port: u16) -> io::Result<()> {
    let taken = Arc::new(AtomicU64::new(0));
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let (stream, taken) = (stream?, Arc::clone(&taken));
        // Whoever goes away ends this connection alone.
        thread::spawn(move || drop(swallow(stream, &taken)));
    }
    Ok(())
}

fn swallow(stream: TcpStream, taken: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut read = BufReader::with_capacity(64 * 1024, stream);
    out.write_all(b"220 sink.test ESMTP\r\n")?;
    let (mut line, mut in_data) = (Vec::new(), false);
    loop {
        line.clear();
        if read.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if in_data {
            if line == b".\r\n" {
                in_data = false;
                taken.fetch_add(1, Relaxed);
                out.write_all(b"250 2.0.0 taken\r\n")?;
            }
            continue;
        }
        let command = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match &command[..] {
            b"EHLO" | b"LHLO" => {
                out.write_all(b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 99999999\r\n")?
            }
            b"DATA" => {
                in_data = true;
                out.write_all(b"354 go on\r\n")?;
            }
            b"SUNK" => out.write_all(format!("250 {}\r\n", taken.load(Relaxed)).as_bytes())?,
            b"QUIT" => return out.write_all(b"221 2.0.0 bye\r\n"),
            _ => out.write_all(b"250 2.0.0 yes\r\n")?,
        }
    }
}

fn sunk(port: u16) -> io::Result<()> {
    let mut line = Line::open(port)?;
    line.expect("220")?;
    line.say("SUNK\r\n")?;
    let count = line.hear()?.trim_start_matches("250 ").to_owned();
    println!("operations {count}");
    Ok(())
}

fn fetch(port: u16, seconds: u64, password: &str, users: &[&str]) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let start = Instant::now();
    let sessions: Vec<_> = users
        .iter()
        .map(|user| {
            let (user, password) = ((*user).to_owned(), password.to_owned());
            thread::spawn(move || fetch_as(port, &user, &password, until))
        })
        .collect();
    let (mut messages, mut octets) = (0, 0);
    for session in sessions {
        let (some, long) = session.join().map_err(|_| io::Error::other("a session broke"))??;
        (messages, octets) = (messages + some, octets + long);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "operations {messages} octets {octets} seconds {seconds:.4} rate {:.1}",
        messages as f64 / seconds
    );
    Ok(())
}

fn stat(port: u16, password: &str, users: &[&str]) -> io::Result<()> {
    let mut messages = 0;
    for user in users {
        let (mut line, count) = log_in(port, user, password)?;
        line.say("QUIT\r\n")?;
        line.ok()?;
        messages += count;
    }
    println!("operations {messages}");
    Ok(())
}

/// A session and how many messages it sees.
fn log_in(port: u16, user: &str, password: &str) -> io::Result<(Line, usize)> {
    let mut line = Line::open(port)?;
    line.ok()?;
    line.say(&format!("USER {user}\r\nPASS {password}\r\n"))?;
    line.ok()?;
    line.ok()?;
    line.say("STAT\r\n")?;
    let stat = line.ok()?;
    let count = stat.split_whitespace().next().and_then(|count| count.parse().ok());
    let count = count.ok_or_else(|| io::Error::other(format!("STAT says `{stat}`")))?;
    Ok((line, count))
}

/// Logs in, reads everything some messages ahead, logs out, and again until the time is over.
fn fetch_as(port: u16, user: &str, password: &str, until: Instant) -> io::Result<(u64, u64)> {
    let (mut messages, mut octets) = (0, 0);
    while Instant::now() < until {
        let (mut line, count) = log_in(port, user, password)?;
        if count == 0 {
            return Err(io::Error::other(format!("{user} has no messages")));
        }
        let mut asked = 0;
        for number in 1..=count {
            while asked < count && asked < number + FETCHED_AHEAD {
                asked += 1;
                line.say(&format!("RETR {asked}\r\n"))?;
            }
            line.ok()?;
            let before = octets;
            loop {
                let text = line.hear()?;
                if text == "." {
                    break;
                }
                octets += text.len() as u64 + 2;
            }
            if octets - before < 200 {
                return Err(io::Error::other(format!(
                    "message {number} of {user} has {} octets",
                    octets - before
                )));
            }
            messages += 1;
        }
        line.say("QUIT\r\n")?;
        line.ok()?;
    }
    Ok((messages, octets))
}

fn idle(port: u16, count: usize, seconds: u64) -> io::Result<()> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let mut octets = [0; 512];
        let length = stream.read(&mut octets)?;
        if !octets[..length].starts_with(b"+OK") {
            return Err(io::Error::other("the server does not greet"));
        }
        open.push(stream);
    }
    println!("operations {}", open.len());
    io::stdout().flush()?;
    thread::sleep(Duration::from_secs(seconds));
    Ok(())
}
