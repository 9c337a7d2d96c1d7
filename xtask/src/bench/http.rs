//! `bench http`: small and large files over HTTP/1.1, and over HTTP/2 with TLS, against nginx, H2O and Caddy, and
//! a raw epoll floor where there is one.

mod cache;
mod idle;
mod peers;

use std::path::Path;

pub use self::cache::bench as cache;
pub use self::idle::{idle, slow};

use super::measure::{Round, Server, Up, interleave};
use super::{SECONDS, prepare, program, scratch, table, write};
use crate::run::{Failed, Outcome, output};

/// The cipher that all are asked for, so that none is measured by another.
const CIPHER: &str = "TLS_AES_128_GCM_SHA256";

/// Runs the throughput tables.
pub fn bench() -> Outcome {
    prepare()?;
    let folder = scratch("http")?;
    site(&folder)?;
    let floor = |name: &str, port: u16, file: &str| {
        let page = folder.join("site").join(file).display().to_string();
        let line = [&program("floor"), "http", &port.to_string(), &page];
        Server::start(name, "floor", port, Up::Tcp, &line, &folder)
    };
    println!(
        "\n`cargo xtask bench http`: one server thread on core 0, the client on core 1, {} rounds of {SECONDS} s.",
        super::ROUNDS
    );
    let mut servers = vec![
        peers::doorway(&folder, 8402)?,
        peers::nginx(&folder, 8403)?,
        peers::h2o(&folder, 8404)?,
        peers::caddy(&folder, 8405)?,
    ];
    for (title, file, load) in [
        ("1 KB file, keep-alive", "1k.html", wrk as Load),
        ("1 KB file, a connection each", "1k.html", wrk_closing),
        ("1 MiB file, 16 connections", "1m.bin", wrk_16),
        ("1 KB file, HTTP/2 over TLS 1.3", "1k.html", h2load),
        ("64 KB file, HTTP/2 over TLS 1.3", "64k.bin", h2load),
    ] {
        // The floor sends small answers in the clear, and nothing else.
        let lowest = if title.starts_with("1 KB") && !title.contains("TLS") { "epoll" } else { "doorway" };
        if lowest == "epoll" {
            servers.insert(0, floor("epoll", 8401, file)?);
        }
        let series = interleave(&servers, |server| load(server, file))?;
        table::print(title, "request", &servers, &series, "doorway", lowest);
        servers.retain(|server| server.name != "epoll");
    }
    Ok(())
}

/// One round of load for a file.
type Load = fn(&Server, &str) -> Result<Round, Failed>;

/// The files that all serve.
fn site(folder: &Path) -> Outcome {
    let root = folder.join("site");
    std::fs::create_dir_all(&root).map_err(|error| Failed(error.to_string()))?;
    write(&root.join("1k.html"), &"0123456789abcdef".repeat(64))?;
    // Nothing that a server or a disk could make smaller.
    let mut state = 0x1234_5678_9abc_def1_u64;
    let octets: Vec<u8> = (0..1024 * 1024 / 8)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    for (name, count) in [("64k.bin", 64 * 1024), ("1m.bin", 1024 * 1024)] {
        std::fs::write(root.join(name), &octets[..count]).map_err(|error| Failed(error.to_string()))?;
    }
    peers::certificate(folder)
}

fn wrk(server: &Server, file: &str) -> Result<Round, Failed> {
    run_wrk(server, file, &["-c64"])
}

fn wrk_closing(server: &Server, file: &str) -> Result<Round, Failed> {
    run_wrk(server, file, &["-c64", "-H", "Connection: close"])
}

fn wrk_16(server: &Server, file: &str) -> Result<Round, Failed> {
    run_wrk(server, file, &["-c16"])
}

fn run_wrk(server: &Server, file: &str, more: &[&str]) -> Result<Round, Failed> {
    let url = format!("http://127.0.0.1:{}/{file}", server.port);
    let duration = format!("-d{SECONDS}s");
    let mut arguments = vec!["-c", "1", "wrk", "-t1", &duration, "--latency"];
    arguments.extend(more);
    arguments.push(&url);
    let text = output("taskset", &arguments)?;
    let word = |start: &str, at: usize| {
        text.lines()
            .map(str::trim)
            .find(|line| line.starts_with(start))
            .and_then(|line| line.split_whitespace().nth(at))
    };
    let operations = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse().ok());
    let wrong = word("Non-2xx or 3xx responses:", 4).and_then(|count| count.parse().ok()).unwrap_or(0);
    let lost = word("Socket errors:", 0).map_or(0, |_| {
        let line = text.lines().find(|line| line.contains("Socket errors:")).unwrap_or_default();
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum()
    });
    Ok(Round {
        operations: operations.ok_or_else(|| Failed(format!("wrk said:\n{text}")))?,
        rate: word("Requests/sec:", 1).and_then(|rate| rate.parse().ok()).unwrap_or(0.0),
        p99_micros: word("99%", 1).map(micros).unwrap_or(0.0),
        lost,
        wrong,
    })
}

/// `1.23ms` and its like.
fn micros(text: &str) -> f64 {
    for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] {
        if let Some(number) = text.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok()) {
            return number * factor;
        }
    }
    0.0
}

/// 32 connections with ten requests each under way; h2load tells no percentiles.
fn h2load(server: &Server, file: &str) -> Result<Round, Failed> {
    let url = format!("https://127.0.0.1:{}/{file}", server.port + peers::TLS_APART);
    let (duration, cipher) = (format!("-D{SECONDS}"), format!("--tls13-ciphers={CIPHER}"));
    let line = ["-c", "1", "h2load", "-t1", "-c32", "-m10", &duration, &cipher, "--groups=X25519", &url];
    let text = output("taskset", &line)?;
    let said = || Failed(format!("h2load said:\n{text}"));
    if !text.contains("TLS Protocol: TLSv1.3") || !text.contains("Application protocol: h2") {
        return Err(said());
    }
    // "requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout"
    let counts = text.lines().find_map(|line| line.strip_prefix("requests: ")).ok_or_else(said)?;
    let count = |what: &str| {
        let part = counts.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse::<u64>().ok());
        part.ok_or_else(said)
    };
    let rate = text.split_whitespace().zip(text.split_whitespace().skip(1));
    Ok(Round {
        operations: count("succeeded")?,
        rate: rate
            .filter(|(_, unit)| unit.starts_with("req/s"))
            .find_map(|(n, _)| n.parse().ok())
            .unwrap_or(0.0),
        p99_micros: f64::NAN,
        lost: count("timeout")?,
        wrong: count("failed")?,
    })
}
