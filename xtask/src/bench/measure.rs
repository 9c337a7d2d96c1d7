//! Servers under measurement: starting them on one core, and reading what they used from `/proc`.

use std::collections::BTreeMap;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::table::median;
use crate::run::Failed;

/// A server that runs until it is dropped.
pub struct Server {
    /// Name for the table.
    pub name: String,
    /// Version, as the server says it.
    pub version: String,
    /// Its port on 127.0.0.1.
    pub port: u16,
    child: Child,
}

/// Which transport tells that a server is up.
#[derive(Clone, Copy)]
pub enum Up {
    /// It accepts a connection.
    Tcp,
    /// It sends a datagram back.
    Udp,
    /// It has run for a second; the load asks again until it is answered.
    Running,
}

impl Server {
    /// Starts a command on core 0 and waits until it serves.
    pub fn start(
        name: &str,
        version: &str,
        port: u16,
        up: Up,
        line: &[&str],
        folder: &Path,
    ) -> Result<Self, Failed> {
        Self::start_on("0", name, version, port, up, line, folder)
    }

    /// As [`Server::start`], on the core with this number.
    pub fn start_on(
        core: &str,
        name: &str,
        version: &str,
        port: u16,
        up: Up,
        line: &[&str],
        folder: &Path,
    ) -> Result<Self, Failed> {
        let log = std::fs::File::create(folder.join(format!("{name}.log")))
            .map_err(|error| Failed(error.to_string()))?;
        let errors = log.try_clone().map_err(|error| Failed(error.to_string()))?;
        let child = Command::new("taskset")
            .args(["-c", core])
            .args(line)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| Failed(format!("cannot start {name}: {error}")))?;
        let mut server = Self { name: name.to_owned(), version: version.to_owned(), port, child };
        let start = Instant::now();
        while !answers(port, up, start) {
            let ended = server.child.try_wait().ok().flatten();
            if ended.is_some() || start.elapsed() > Duration::from_secs(20) {
                let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
                return Err(Failed(format!("{name} does not serve on port {port}: {ended:?}\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// CPU time of all its threads and children so far, those that have ended included, in nanoseconds.
    pub fn cpu_nanos(&self) -> u64 {
        tree(self.child.id()).iter().map(|pid| cpu_nanos(*pid) + ended_children_nanos(*pid)).sum()
    }

    /// Sockets that it and its children hold; one that several hold counts for each.
    pub fn open_sockets(&self) -> u64 {
        let entries =
            |pid: &u32| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let is_socket = |path: &std::path::PathBuf| path.to_string_lossy().starts_with("socket:");
        let links = tree(self.child.id()).iter().flat_map(entries).collect::<Vec<_>>();
        links.iter().filter_map(|entry| std::fs::read_link(entry.path()).ok()).filter(is_socket).count()
            as u64
    }

    /// Memory of it and its children, shared pages counted once, in KiB.
    pub fn memory_kib(&self) -> u64 {
        tree(self.child.id()).iter().map(|pid| proportional_kib(*pid)).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pids = tree(self.child.id());
        for pid in pids.iter().rev() {
            let _ = Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status();
        }
        let start = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if start.elapsed() > Duration::from_secs(3) {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether a server answers on the port.
fn answers(port: u16, up: Up, started: Instant) -> bool {
    match up {
        Up::Running => started.elapsed() > Duration::from_secs(1),
        Up::Tcp => TcpStream::connect(("127.0.0.1", port)).is_ok(),
        Up::Udp => {
            let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x05bench\x07example\0\0\x06\0\x01";
            let ask = || -> std::io::Result<usize> {
                let socket = UdpSocket::bind("127.0.0.1:0")?;
                socket.set_read_timeout(Some(Duration::from_millis(200)))?;
                socket.send_to(query, ("127.0.0.1", port))?;
                socket.recv(&mut [0; 2048])
            };
            ask().is_ok()
        }
    }
}

/// A process and its descendants, parents first.
fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        found.extend(children.get(&found[at]).into_iter().flatten());
        at += 1;
    }
    found
}

/// What the scheduler has counted for every thread of a process.
fn cpu_nanos(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum()
}

/// What children of a process had used when it took note of their end, which the kernel counts in ticks.
fn ended_children_nanos(pid: u32) -> u64 {
    const TICK_NANOS: u64 = 10_000_000;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold blanks; the fields behind it begin with the state, which is number 3.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(13).take(2);
    fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * TICK_NANOS
}

fn proportional_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}

/// What one round of load found.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Operations answered rightly.
    pub operations: u64,
    /// Operations a second.
    pub rate: f64,
    /// 99 % of the answers came within this many microseconds.
    pub p99_micros: f64,
    /// Operations without an answer.
    pub lost: u64,
    /// Operations with a wrong answer.
    pub wrong: u64,
}

/// One server's rounds.
#[derive(Debug, Default)]
pub struct Series {
    /// CPU microseconds per operation.
    pub cpu_micros: Vec<f64>,
    /// The rounds themselves.
    pub rounds: Vec<Round>,
    /// Memory after the last round.
    pub memory_kib: u64,
}

/// Puts every server under the same load, one after the other, [`super::ROUNDS`] times.
pub fn interleave(
    servers: &[Server],
    load: impl Fn(&Server) -> Result<Round, Failed>,
) -> Result<Vec<Series>, Failed> {
    let mut series: Vec<Series> = servers.iter().map(|_| Series::default()).collect();
    for round in 0..=super::ROUNDS {
        for (server, series) in servers.iter().zip(&mut series) {
            let before = server.cpu_nanos();
            let found = load(server)?;
            let used = server.cpu_nanos() - before;
            if round == 0 {
                continue; // caches and page tables warm up
            }
            if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
                eprint!("\r\x1b[K   round {round} of {}: {}", super::ROUNDS, server.name);
            }
            series.cpu_micros.push(used as f64 / 1000.0 / found.operations.max(1) as f64);
            series.rounds.push(found);
            series.memory_kib = server.memory_kib();
        }
    }
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        eprint!("\r\x1b[K");
    }
    Ok(series)
}

/// The number behind `name` in what a load program said.
fn word(text: &str, name: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    words.by_ref().find(|word| *word == name)?;
    words.next()?.parse().ok()
}

/// A round as a load program said it: `operations 1000 rate 500 p99_micros 300 …`.
pub fn said(text: &str) -> Result<Round, Failed> {
    Ok(Round {
        operations: operations(text)?,
        rate: word(text, "rate").unwrap_or_default(),
        p99_micros: word(text, "p99_micros").unwrap_or(f64::NAN),
        ..Round::default()
    })
}

/// How many operations a program said there were.
pub fn operations(text: &str) -> Result<u64, Failed> {
    word(text, "operations").map(|count| count as u64).ok_or_else(|| Failed(format!("the load said: {text}")))
}

/// Puts every peer under the same load, in turn, and prints the table; the first of them is Doorway. Round 0
/// warms up and does not count.
pub fn compare<P>(
    title: &str,
    operation: &str,
    rounds: usize,
    peers: &[P],
    server: impl Fn(&P) -> &Server,
    load: impl Fn(&P, usize) -> Result<Round, Failed>,
) -> Result<(), Failed> {
    let mut series: Vec<Series> = peers.iter().map(|_| Series::default()).collect();
    for number in 0..=rounds {
        for (peer, series) in peers.iter().zip(&mut series) {
            let before = server(peer).cpu_nanos();
            let found = load(peer, number)?;
            // A child that ends just now may be counted a tick short.
            let used = server(peer).cpu_nanos().saturating_sub(before);
            if number == 0 {
                continue;
            }
            series.cpu_micros.push(used as f64 / 1000.0 / found.operations.max(1) as f64);
            series.rounds.push(found);
            series.memory_kib = server(peer).memory_kib();
        }
    }
    println!(
        "\n### {title}\n\n| server | {operation}s/s | min–max | Doorway ÷ peer | CPU µs/{operation} | peer ÷ Doorway | p99 ms | memory MiB |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let rates = |series: &Series| series.rounds.iter().map(|round| round.rate).collect::<Vec<_>>();
    let first = series.first().map(|series| (median(&rates(series)), median(&series.cpu_micros)));
    let (our_rate, our_cpu) = first.unwrap_or_default();
    for (peer, series) in peers.iter().zip(&series) {
        let rates = rates(series);
        let (rate, cpu) = (median(&rates), median(&series.cpu_micros));
        let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rates.iter().copied().fold(0.0, f64::max);
        let tails: Vec<f64> = series.rounds.iter().map(|round| round.p99_micros / 1000.0).collect();
        let tail = median(&tails);
        let tail = if tail.is_nan() { "–".to_owned() } else { format!("{tail:.1}") };
        println!(
            "| {} {} | {rate:.0} | {least:.0}–{most:.0} | {:.2} | {cpu:.0} | {:.2} | {tail} | {:.1} |",
            server(peer).name,
            server(peer).version,
            our_rate / rate,
            cpu / our_cpu,
            series.memory_kib as f64 / 1024.0
        );
    }
    Ok(())
}
