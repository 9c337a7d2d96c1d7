//! Load generators that check what they get. Each prints one line of `name value` pairs.
//!
//! ```text
//! load dns-data DIR                       the W1 zone and its query lists
//! load zone FILE RECORDS                  a zone of so many records
//! load dns PORT LIST SECONDS              closed loop over 8 sockets, 1024 in flight
//! load tcp PORT LIST SECONDS              the same over 8 connections, 128 in flight on each
//! load echo PORT LIST SECONDS             the same against an echo, which returns the query
//! load resolve PORT LIST SECONDS          the same with RD, against a resolver
//! load once PORT LIST WINDOW              with RD, each query once, so many in flight
//! load flood PORT ZONE RATE SECONDS       RATE names of ZONE a second, each another one, from 250 addresses
//! load names ROUND COUNT                  prints a list of names of the small internet, others each round
//! load idle PORT COUNT SECONDS            opens connections, asks once on each and keeps them silent
//! load origin PORT                         an origin that takes 200 ms for 10 KB and counts what it is asked
//! load storm PORT PATH COUNT               so many clients ask for the same at once
//! load slow PORT COUNT SECONDS            opens connections that send heads and bodies, and read, an octet a second
//! ```

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use doorway_bench::{BATCH, Batch};

const SOCKETS: usize = 8;
const WINDOW: usize = 1024;
const LOST_AFTER: Duration = Duration::from_millis(1000);
const ZONE: &str = "bench.example";
/// Addresses that a flood comes from.
const FLOODERS: u8 = 250;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| usage());
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["dns-data", folder] => dns_data(Path::new(folder)),
        ["zone", file, records] => zone(Path::new(file), number(records)),
        ["dns", port, list, seconds] => dns(number(port), &queries(list, 0)?, Until::after(seconds), false),
        ["echo", port, list, seconds] => dns(number(port), &queries(list, 0)?, Until::after(seconds), true),
        ["tcp", port, list, seconds] => tcp(number(port), &queries(list, 0)?, number(seconds)),
        ["resolve", port, list, seconds] => {
            dns(number(port), &queries(list, 1)?, Until::after(seconds), false)
        }
        ["once", port, list, window] => {
            dns(number(port), &queries(list, 1)?, Until::Once { window: number(window) }, false)
        }
        ["flood", port, zone, rate, seconds] => flood(number(port), zone, number(rate), number(seconds)),
        ["names", round, count] => names(number(round), number(count)),
        ["idle", port, count, seconds] => idle(number(port), number(count), number(seconds)),
        ["origin", port] => origin(number(port)),
        ["storm", port, path, count] => storm(number(port), path, number(count)),
        ["slow", port, count, seconds] => slow(number(port), number(count), number(seconds)),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!(
        "load dns-data DIR | dns|echo PORT LIST SECONDS | idle|slow PORT COUNT SECONDS | origin PORT | storm PORT PATH COUNT"
    );
    std::process::exit(2)
}

/// A generator that gives the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// 100 000 A names, 10 000 of them with AAAA and MX too; a mixed list and one of names that do not exist.
fn dns_data(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut zone = format!(
        "$ORIGIN {ZONE}.\n$TTL 3600\n@ IN SOA ns1 hostmaster 1 3600 600 86400 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\nmail IN A 192.0.2.2\n"
    );
    for n in 0..100_000 {
        let _ = writeln!(zone, "host{n:06} IN A 10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
        if n % 10 == 0 {
            let _ = writeln!(
                zone,
                "host{n:06} IN AAAA 2001:db8::{:x}:{:x}\nhost{n:06} IN MX 10 mail",
                n >> 16,
                n & 0xffff
            );
        }
    }
    std::fs::write(folder.join("bench.example.zone"), zone)?;
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let mut mixed = String::new();
    let mut missing = String::new();
    for _ in 0..200_000 {
        let (kind, n) = (numbers.below(100), numbers.below(100_000));
        let _ = match kind {
            0..75 => writeln!(mixed, "host{n:06}.{ZONE} A"),
            75..85 => writeln!(mixed, "host{:06}.{ZONE} AAAA", n / 10 * 10),
            85..90 => writeln!(mixed, "host{:06}.{ZONE} MX", n / 10 * 10),
            _ => writeln!(mixed, "none{n:06}.{ZONE} A NXDOMAIN"),
        };
        let _ = writeln!(missing, "none{n:06}.{ZONE} A NXDOMAIN");
    }
    std::fs::write(folder.join("mixed.txt"), mixed)?;
    std::fs::write(folder.join("missing.txt"), missing)
}

/// Names with an address each, every fifth with two more records.
fn zone(file: &Path, records: usize) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    writeln!(
        out,
        "$ORIGIN {ZONE}.\n$TTL 3600\n@ IN SOA ns1 hostmaster 1 3600 600 86400 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\nmail IN A 192.0.2.2"
    )?;
    let (mut written, mut n) = (4, 0);
    while written < records {
        writeln!(out, "host{n:07} IN A 10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255)?;
        written += 1;
        if n % 5 == 0 {
            writeln!(
                out,
                "host{n:07} IN AAAA 2001:db8::{:x}:{:x}\nhost{n:07} IN MX 10 mail",
                n >> 16,
                n & 0xffff
            )?;
            written += 2;
        }
        n += 1;
    }
    out.flush()
}

struct Query {
    octets: Vec<u8>,
    rcode: u8,
}

/// Names of zones with ten hosts each, a thousand zones in each of five top-level domains and more.
fn names(round: usize, count: usize) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    for n in 0..count {
        let (host, zone) = (n * 10 / count, n % (count / 10).max(1));
        let top = ["com", "net", "org", "edu", "cn"][zone % 5];
        writeln!(out, "www{host}.r{round}d{zone}.{top} A")?;
    }
    out.flush()
}

/// When a run ends.
#[derive(Clone, Copy)]
enum Until {
    Time(Duration),
    Once { window: usize },
}

impl Until {
    fn after(seconds: &str) -> Self {
        Self::Time(Duration::from_secs(seconds.parse().unwrap_or_else(|_| usage())))
    }
}

fn queries(list: &str, recursion: u8) -> std::io::Result<Vec<Query>> {
    let text = std::fs::read_to_string(list)?;
    let query = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let kind: u16 = match words.next()? {
            "A" => 1,
            "MX" => 15,
            "AAAA" => 28,
            _ => return None,
        };
        let mut octets = vec![0, 0, recursion, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            octets.push(label.len() as u8);
            octets.extend(label.as_bytes());
        }
        octets.push(0);
        octets.extend(kind.to_be_bytes());
        octets.extend([0, 1]);
        Some(Query { octets, rcode: if words.next() == Some("NXDOMAIN") { 3 } else { 0 } })
    };
    Ok(text.lines().filter_map(query).collect())
}

/// Asks for names that are not there, at a steady rate, whether or not they are answered.
fn flood(port: usize, zone: &str, rate: usize, seconds: usize) -> std::io::Result<()> {
    let mut sockets = Vec::new();
    for last in 1..=FLOODERS {
        let socket = UdpSocket::bind((std::net::Ipv4Addr::new(127, 0, 1, last), 0))?;
        socket.connect(("127.0.0.1", port as u16))?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    let seed = std::process::id();
    let start = Instant::now();
    let (mut sent, mut answered, mut room) = (0, 0, [0; 2048]);
    while start.elapsed() < Duration::from_secs(seconds as u64) {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as usize;
        while sent < due {
            let mut octets = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            for label in format!("none{seed:x}x{sent:x}.{zone}").split('.') {
                octets.push(label.len() as u8);
                octets.extend(label.as_bytes());
            }
            octets.extend([0, 0, 1, 0, 1]);
            // What the server's socket has no room for is lost on the way, as it would be in a network.
            let _ = sockets[sent % sockets.len()].send(&octets);
            sent += 1;
        }
        for socket in &sockets {
            while socket.recv(&mut room).is_ok() {
                answered += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    println!("sent {sent} answered {answered}");
    Ok(())
}

#[derive(Clone, Copy)]
struct Outstanding {
    query: u32,
    sent: Instant,
}

struct Door {
    socket: UdpSocket,
    waiting: Vec<Option<Outstanding>>,
    next_id: u16,
    in_flight: usize,
    oldest: u16,
}

fn dns(port: usize, queries: &[Query], until: Until, echo: bool) -> std::io::Result<()> {
    let (window, lost_after, length) = match until {
        Until::Time(length) => (WINDOW, LOST_AFTER, length),
        Until::Once { window } => (window, Duration::from_secs(10), Duration::from_secs(300)),
    };
    let mut doors = Vec::new();
    for _ in 0..SOCKETS {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(("127.0.0.1", port as u16))?;
        socket.set_nonblocking(true)?;
        doors.push(Door { socket, waiting: vec![None; 65_536], next_id: 0, in_flight: 0, oldest: 0 });
    }
    let mut batch = Batch::new();
    let (mut sent, mut answered, mut wrong, mut lost) = (0u64, 0u64, 0u64, 0u64);
    let mut latencies: Vec<u32> = Vec::with_capacity(4 << 20);
    let start = Instant::now();
    let end = start + length;
    let mut at = 0usize;
    let once = matches!(until, Until::Once { .. });
    while Instant::now() < end && !(once && answered + lost >= queries.len() as u64) {
        let mut moved = false;
        for door in &mut doors {
            let now = Instant::now();
            let left = if once { queries.len() - at.min(queries.len()) } else { usize::MAX };
            let credit = (window / SOCKETS).saturating_sub(door.in_flight).min(BATCH).min(left);
            if credit >= (BATCH / 4).min(window / SOCKETS / 2).min(left) && credit > 0 {
                for place in 0..credit {
                    let query = &queries[at % queries.len()];
                    let id = door.next_id.wrapping_add(place as u16);
                    batch.put(place, &query.octets);
                    batch.stamp(place, id);
                    door.waiting[usize::from(id)] =
                        Some(Outstanding { query: (at % queries.len()) as u32, sent: now });
                    at += 1;
                }
                let taken = batch.send(door.socket.as_raw_fd(), credit, false)?;
                at -= credit - taken;
                for place in taken..credit {
                    door.waiting[usize::from(door.next_id.wrapping_add(place as u16))] = None;
                }
                door.next_id = door.next_id.wrapping_add(taken as u16);
                door.in_flight += taken;
                sent += taken as u64;
                moved |= taken > 0;
            }
            let count = batch.receive(door.socket.as_raw_fd(), false)?;
            let now = Instant::now();
            for place in 0..count {
                let octets = batch.get(place);
                let id = usize::from(u16::from_be_bytes([octets[0], octets[1]]));
                let Some(outstanding) = door.waiting[id].take() else { continue };
                door.in_flight -= 1;
                answered += 1;
                latencies.push((now - outstanding.sent).as_micros() as u32);
                let query = &queries[outstanding.query as usize];
                let question = octets.len() >= query.octets.len()
                    && octets[12..query.octets.len()] == query.octets[12..];
                let right = question
                    && (echo
                        || octets[2] & 0x80 != 0
                            && octets[3] & 15 == query.rcode
                            && (query.rcode != 0 || octets[7] != 0));
                wrong += u64::from(!right);
            }
            moved |= count > 0;
            while door.oldest != door.next_id {
                match door.waiting[usize::from(door.oldest)] {
                    Some(outstanding) if now - outstanding.sent > lost_after => {
                        door.waiting[usize::from(door.oldest)] = None;
                        door.in_flight -= 1;
                        lost += 1;
                    }
                    Some(_) => break,
                    None => {}
                }
                door.oldest = door.oldest.wrapping_add(1);
            }
        }
        if !moved {
            wait_for_any(&doors);
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let quantile = |q: f64| latencies.get((latencies.len() as f64 * q) as usize).copied().unwrap_or(0);
    println!(
        "sent {sent} answered {answered} wrong {wrong} lost {lost} rate {:.0} p50_us {} p99_us {}",
        answered as f64 / elapsed,
        quantile(0.5),
        quantile(0.99)
    );
    Ok(())
}

/// One connection with what it waits for.
struct Pipe {
    stream: TcpStream,
    to_write: Vec<u8>,
    written: usize,
    read: Vec<u8>,
    waiting: Vec<Option<Outstanding>>,
    next_id: u16,
    in_flight: usize,
}

fn tcp(port: usize, queries: &[Query], seconds: usize) -> std::io::Result<()> {
    use std::io::{ErrorKind, Read as _};
    let mut pipes = Vec::new();
    for stream in open_all(port, SOCKETS)? {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        pipes.push(Pipe {
            stream,
            to_write: Vec::new(),
            written: 0,
            read: Vec::new(),
            waiting: vec![None; 65_536],
            next_id: 0,
            in_flight: 0,
        });
    }
    let (mut sent, mut answered, mut wrong) = (0u64, 0u64, 0u64);
    let mut latencies: Vec<u32> = Vec::with_capacity(4 << 20);
    let mut room = vec![0; 256 * 1024];
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds as u64);
    let mut at = 0;
    while Instant::now() < end {
        let mut moved = false;
        for pipe in &mut pipes {
            let now = Instant::now();
            // In bursts of a quarter window, as a forwarder with many clients sends them.
            if WINDOW / SOCKETS - pipe.in_flight >= WINDOW / SOCKETS / 4 {
                while pipe.in_flight < WINDOW / SOCKETS {
                    let index = at % queries.len();
                    let query = &queries[index].octets;
                    pipe.to_write.extend((query.len() as u16).to_be_bytes());
                    pipe.to_write.extend(pipe.next_id.to_be_bytes());
                    pipe.to_write.extend(&query[2..]);
                    pipe.waiting[usize::from(pipe.next_id)] =
                        Some(Outstanding { query: index as u32, sent: now });
                    pipe.next_id = pipe.next_id.wrapping_add(1);
                    pipe.in_flight += 1;
                    sent += 1;
                    at += 1;
                }
            }
            while pipe.written < pipe.to_write.len() {
                match pipe.stream.write(&pipe.to_write[pipe.written..]) {
                    Ok(count) => pipe.written += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
                moved = true;
            }
            if pipe.written == pipe.to_write.len() {
                pipe.to_write.clear();
                pipe.written = 0;
            }
            let count = match pipe.stream.read(&mut room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            moved = true;
            pipe.read.extend_from_slice(&room[..count]);
            let now = Instant::now();
            let mut used = 0;
            while let Some((length, rest)) = pipe.read[used..].split_first_chunk::<2>() {
                let Some(octets) = rest.get(..usize::from(u16::from_be_bytes(*length))) else { break };
                used += 2 + octets.len();
                let id = usize::from(u16::from_be_bytes([octets[0], octets[1]]));
                let Some(outstanding) = pipe.waiting[id].take() else { continue };
                pipe.in_flight -= 1;
                answered += 1;
                latencies.push((now - outstanding.sent).as_micros() as u32);
                let query = &queries[outstanding.query as usize];
                let right = octets.len() >= query.octets.len()
                    && octets[12..query.octets.len()] == query.octets[12..]
                    && octets[3] & 15 == query.rcode
                    && (query.rcode != 0 || octets[7] != 0);
                wrong += u64::from(!right);
            }
            pipe.read.drain(..used);
        }
        if !moved {
            let mut polled: Vec<libc::pollfd> = pipes
                .iter()
                .map(|pipe| libc::pollfd { fd: pipe.stream.as_raw_fd(), events: libc::POLLIN, revents: 0 })
                .collect();
            // SAFETY: the array lives through the call and its length is passed.
            unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as u64, 10) };
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let quantile = |q: f64| latencies.get((latencies.len() as f64 * q) as usize).copied().unwrap_or(0);
    println!(
        "sent {sent} answered {answered} wrong {wrong} lost 0 rate {:.0} p50_us {} p99_us {}",
        answered as f64 / elapsed,
        quantile(0.5),
        quantile(0.99)
    );
    Ok(())
}

fn wait_for_any(doors: &[Door]) {
    let mut polled: Vec<libc::pollfd> = doors
        .iter()
        .map(|door| libc::pollfd { fd: door.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    // SAFETY: the array lives through the call and its length is passed.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as u64, 10) };
}

fn open_all(port: usize, count: usize) -> std::io::Result<Vec<TcpStream>> {
    (0..count).map(|_| TcpStream::connect(("127.0.0.1", port as u16))).collect()
}

fn idle(port: usize, count: usize, seconds: usize) -> std::io::Result<()> {
    let mut streams = open_all(port, count)?;
    let mut answer = [0; 4096];
    for stream in &mut streams {
        stream.write_all(b"GET /1k.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
        if !(stream.read(&mut answer)? > 12 && answer.starts_with(b"HTTP/1.1 200")) {
            return Err(std::io::Error::other("no answer"));
        }
    }
    println!("open {}", streams.len());
    std::thread::sleep(Duration::from_secs(seconds as u64));
    Ok(())
}

/// A third each: heads, bodies, and reads of a large file, an octet a second or as little as can be read.
fn slow(port: usize, count: usize, seconds: usize) -> std::io::Result<()> {
    let mut streams: Vec<_> = open_all(port, count)?.into_iter().zip((0..3).cycle()).collect();
    println!("open {}", streams.len());
    let first: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n",
        b"GET /1m.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ];
    for (stream, kind) in &mut streams {
        let _ = stream.write_all(first[*kind]);
    }
    let mut little = [0; 256];
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        streams.retain_mut(|(stream, kind)| match kind {
            2 => stream.read(&mut little).is_ok_and(|octets| octets > 0),
            _ => stream.write_all(b"x").is_ok(),
        });
    }
    println!("left {}", streams.len());
    Ok(())
}

/// What the slow origin says.
const CONTENT_OCTETS: usize = 10 * 1024;

fn origin(port: usize) -> std::io::Result<()> {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    for stream in std::net::TcpListener::bind(("127.0.0.1", port as u16))?.incoming() {
        let (mut stream, asked) = (stream?, std::sync::Arc::clone(&asked));
        std::thread::spawn(move || {
            let mut head = Vec::new();
            let mut octets = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut octets) {
                head.extend_from_slice(&octets[..count]);
                if !head.ends_with(b"\r\n\r\n") {
                    continue;
                }
                let content = if head.starts_with(b"GET /count ") {
                    asked.load(std::sync::atomic::Ordering::Relaxed).to_string()
                } else {
                    asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(200));
                    "x".repeat(CONTENT_OCTETS)
                };
                let head_of = |content: &str| {
                    format!(
                        "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: {}\r\n\r\n",
                        content.len()
                    )
                };
                let answer = head_of(&content) + &content;
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
                head.clear();
            }
        });
    }
    Ok(())
}

/// Prints the milliseconds until all have their answer, and how many had another than they should.
fn storm(port: usize, path: &str, count: usize) -> std::io::Result<()> {
    let mut streams = open_all(port, count)?;
    std::thread::sleep(Duration::from_millis(1500));
    let began = Instant::now();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    for stream in &mut streams {
        stream.write_all(request.as_bytes())?;
    }
    let mut wrong = 0;
    for stream in &mut streams {
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let whole = answer.ends_with(&[b'x'; CONTENT_OCTETS]) && answer.starts_with(b"HTTP/1.1 200");
        wrong += u32::from(read.is_err() || !whole);
    }
    println!("{} {wrong}", began.elapsed().as_millis());
    Ok(())
}
