//! `bench idle`: what ten thousand connections cost that have asked once and now wait, in memory and in the work for
//! a busy client beside them; `bench slow`: a good client among two thousand that send one octet a second.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{CIPHER, Load, peers, run_wrk, site, wrk};
use crate::bench::measure::Server;
use crate::bench::{prepare, program, scratch, table};
use crate::run::{Failed, Outcome};

/// Connections that `bench idle` opens.
const IDLE: u64 = 10_000;
/// Rounds of load alone and beside the idle connections, by turns.
const BESIDE_ROUNDS: usize = 5;

/// How connections are opened.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Tls11,
    Tls2,
}

/// Memory of idle connections, ours and the peers', and what they take from a busy one.
pub fn idle() -> Outcome {
    prepare()?;
    let folder = scratch("idle")?;
    site(&folder)?;
    println!("\n`cargo xtask bench idle`: {IDLE} connections that have asked once and wait.\n");
    println!(
        "| server | connections | before MiB | with {IDLE} open MiB | octets a connection |\n| --- | --- | ---: | ---: | ---: |"
    );
    for (name, kind) in
        [("plain", Kind::Plain), ("HTTP/1.1 over TLS", Kind::Tls11), ("HTTP/2 over TLS", Kind::Tls2)]
    {
        // Each in a new process: memory that an allocator keeps from before would hide some.
        for start in [peers::doorway, peers::nginx, peers::h2o] {
            let server = start(&folder, 8411)?;
            run_wrk(&server, "1k.html", &["-c64"])?;
            let before = server.memory_kib();
            let mut crowd = Crowd::gather(&server, kind)?;
            let with = server.memory_kib();
            crowd.leave();
            println!(
                "| {} {} | {name} | {:.1} | {:.1} | {} |",
                server.name,
                server.version,
                before as f64 / 1024.0,
                with as f64 / 1024.0,
                with.saturating_sub(before) * 1024 / IDLE
            );
        }
    }
    beside(&folder)
}

/// The cost of a request on busy connections, without and with idle ones beside them.
fn beside(folder: &std::path::Path) -> Outcome {
    println!(
        "\n| server | CPU µs/request alone | beside {IDLE} idle | cost % |\n| --- | ---: | ---: | ---: |"
    );
    for start in [peers::doorway, peers::nginx, peers::h2o] {
        let server = start(folder, 8412)?;
        let load: Load = wrk;
        let cost = || {
            let before = server.cpu_nanos();
            let round = load(&server, "1k.html")?;
            Ok::<_, Failed>((server.cpu_nanos() - before) as f64 / 1000.0 / round.operations.max(1) as f64)
        };
        cost()?;
        let (mut alone, mut crowded) = (Vec::new(), Vec::new());
        for _ in 0..BESIDE_ROUNDS {
            alone.push(cost()?);
            let mut crowd = Crowd::gather(&server, Kind::Plain)?;
            crowded.push(cost()?);
            crowd.leave();
        }
        let (alone, crowded) = (table::median(&alone), table::median(&crowded));
        println!(
            "| {} {} | {alone:.2} | {crowded:.2} | {:.1} |",
            server.name,
            server.version,
            (crowded / alone - 1.0) * 100.0
        );
    }
    Ok(())
}

/// A process that holds idle connections.
struct Crowd(Child);

impl Crowd {
    /// Opens them, and waits until the server has nothing to do with them any more.
    fn gather(server: &Server, kind: Kind) -> Result<Self, Failed> {
        let seconds = "120";
        let mut command = Command::new("taskset");
        command.args(["-c", "1"]);
        match kind {
            Kind::Plain => {
                let (port, count) = (server.port.to_string(), IDLE.to_string());
                command.args([&program("load"), "idle", &port, &count, seconds]);
            }
            Kind::Tls11 | Kind::Tls2 => {
                let url = format!("https://127.0.0.1:{}/1k.html", server.port + peers::TLS_APART);
                let version = if matches!(kind, Kind::Tls11) { "--h1" } else { "-m1" };
                // One request at once, and the next long after the measurement.
                command.args(["h2load", "-t1", version, "--rps=0.005", "-D", seconds]);
                command.args([format!("-c{IDLE}"), format!("--tls13-ciphers={CIPHER}"), url]);
            }
        }
        let told = if matches!(kind, Kind::Plain) { Stdio::piped() } else { Stdio::null() };
        let child = command.stdout(told).stderr(Stdio::null()).spawn();
        let mut crowd = Self(child.map_err(|error| Failed(format!("no idle connections: {error}")))?);
        // Our own program says when all of them have their answer; the other does not.
        if let Some(told) = crowd.0.stdout.take() {
            let mut line = String::new();
            BufReader::new(told).read_line(&mut line).map_err(|error| Failed(error.to_string()))?;
            if line.is_empty() {
                return Err(Failed(format!("{} did not answer {IDLE} connections", server.name)));
            }
        }
        let (mut before, mut quiet) = (server.cpu_nanos(), 0);
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(500));
            let now = server.cpu_nanos();
            quiet = if now - before < 10_000_000 { quiet + 1 } else { 0 };
            before = now;
            if quiet == 4 {
                break;
            }
        }
        let open = server.open_sockets();
        if open < IDLE {
            return Err(Failed(format!("{} holds {open} of {IDLE} connections", server.name)));
        }
        Ok(crowd)
    }

    /// Closes them and waits a moment for the server to notice.
    fn leave(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        std::thread::sleep(Duration::from_secs(1));
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Connections of `bench slow`.
const SLOW: u64 = 2_000;

/// A good client's rate alone and among slow ones.
pub fn slow() -> Outcome {
    prepare()?;
    let folder = scratch("slow")?;
    site(&folder)?;
    let server = peers::doorway(&folder, 8421)?;
    let rates =
        || (0..3).map(|_| wrk(&server, "1k.html").map(|round| round.rate)).collect::<Result<Vec<f64>, _>>();
    wrk(&server, "1k.html")?;
    let alone = rates()?;
    let mut load = Command::new(program("load"))
        .args(["slow", &server.port.to_string(), &SLOW.to_string(), "9"])
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| Failed(error.to_string()))?;
    std::thread::sleep(Duration::from_secs(1));
    let among = rates()?;
    let _ = load.wait();
    let (alone, among) = (table::median(&alone), table::median(&among));
    println!(
        "\n`cargo xtask bench slow`: {alone:.0} requests/s alone, {among:.0} among {SLOW} slow connections: {:.0} %",
        among / alone * 100.0
    );
    Ok(())
}
