//! `bench http`: a file of 1 KB, with and without keep-alive, against nginx and a raw epoll floor;
//! `bench idle`: what ten thousand idle connections cost; `bench slow`: a good client among two
//! thousand that send one octet a second.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::measure::{Round, Server, Up, interleave};
use super::{SECONDS, prepare, program, scratch, table, write};
use crate::run::{Failed, Outcome, output};

/// Runs the throughput tables.
pub fn bench() -> Outcome {
    prepare()?;
    let folder = scratch("http")?;
    let page = site(&folder)?;
    let servers = [
        Server::start("epoll", "floor", 8401, Up::Tcp, &[&program("floor"), "http", "8401", &page], &folder)?,
        doorway(&folder, 8402)?,
        nginx(&folder, 8403)?,
    ];
    println!(
        "\n`cargo xtask bench http`: one server thread on core 0, wrk on core 1 with 64 connections, {} rounds of {SECONDS} s.",
        super::ROUNDS
    );
    for (title, fields) in [
        ("1 KB file, keep-alive", &[][..]),
        ("1 KB file, a connection each", &["-H", "Connection: close"][..]),
    ] {
        let series = interleave(&servers, |server| wrk(server, fields))?;
        table::print(title, "request", &servers, &series, "doorway", "epoll");
    }
    Ok(())
}

fn site(folder: &Path) -> Result<String, Failed> {
    let root = folder.join("site");
    std::fs::create_dir_all(&root).map_err(|error| Failed(error.to_string()))?;
    let page = root.join("1k.html");
    write(&page, &"0123456789abcdef".repeat(64))?;
    Ok(page.display().to_string())
}

fn wrk(server: &Server, fields: &[&str]) -> Result<Round, Failed> {
    let url = format!("http://127.0.0.1:{}/1k.html", server.port);
    let duration = format!("-d{SECONDS}s");
    let mut arguments = vec!["-c", "1", "wrk", "-t1", "-c64", &duration, "--latency"];
    arguments.extend(fields);
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

fn doorway(folder: &Path, port: u16) -> Result<Server, Failed> {
    let config = folder.join("doorway.toml");
    write(
        &config,
        &format!(
            "[server]\nworkers = 1\n[limits]\nconnections_per_address = 0\n[dns]\nlisten = []\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\nlisten_tls = []\nroot = \"{}\"\nkeepalive = \"600s\"\nkeepalive_requests_max = 1000000000\n\
             [metrics]\nlisten = []\n",
            folder.join("site").display()
        ),
    )?;
    let (config, data) = (config.display().to_string(), folder.join("data").display().to_string());
    let line = [&program("doorway"), "up", "--config", &config, "--data", &data];
    Server::start("doorway", env!("CARGO_PKG_VERSION"), port, Up::Tcp, &line, folder)
}

fn nginx(folder: &Path, port: u16) -> Result<Server, Failed> {
    let home = folder.join("nginx");
    std::fs::create_dir_all(&home).map_err(|error| Failed(error.to_string()))?;
    let config = home.join("nginx.conf");
    let shown = home.display();
    write(
        &config,
        &format!(
            "daemon off; worker_processes 1; pid {shown}/nginx.pid; error_log {shown}/error.log;\n\
             events {{ worker_connections 16384; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_timeout 600s; keepalive_requests 1000000000;\n\
             client_body_temp_path {shown}/a; proxy_temp_path {shown}/b; fastcgi_temp_path {shown}/c; uwsgi_temp_path {shown}/d; scgi_temp_path {shown}/e;\n\
             types {{ text/html html; }}\n\
             server {{ listen 127.0.0.1:{port} backlog=1024; root {}; }} }}\n",
            folder.join("site").display()
        ),
    )?;
    let said =
        Command::new("nginx").arg("-v").output().map(|o| String::from_utf8_lossy(&o.stderr).into_owned());
    let version =
        said.ok().and_then(|text| Some(text.trim().rsplit('/').next()?.to_owned())).unwrap_or_default();
    Server::start("nginx", &version, port, Up::Tcp, &["nginx", "-c", &config.display().to_string()], folder)
}

/// Connections that `bench idle` opens.
const IDLE: u64 = 10_000;

/// Memory of idle connections, ours and nginx's.
pub fn idle() -> Outcome {
    prepare()?;
    let folder = scratch("idle")?;
    site(&folder)?;
    println!("\n`cargo xtask bench idle`: {IDLE} connections that say nothing.\n");
    println!(
        "| server | before MiB | with {IDLE} open MiB | octets a connection |\n| --- | ---: | ---: | ---: |"
    );
    for server in [doorway(&folder, 8411)?, nginx(&folder, 8412)?] {
        wrk(&server, &[])?;
        let before = server.memory_kib();
        let mut load = Command::new(program("load"))
            .args(["idle", &server.port.to_string(), &IDLE.to_string(), "4"])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| Failed(error.to_string()))?;
        std::thread::sleep(Duration::from_secs(3));
        let with = server.memory_kib();
        let _ = load.wait();
        println!(
            "| {} {} | {:.1} | {:.1} | {} |",
            server.name,
            server.version,
            before as f64 / 1024.0,
            with as f64 / 1024.0,
            with.saturating_sub(before) * 1024 / IDLE
        );
    }
    Ok(())
}

/// Connections of `bench slow`.
const SLOW: u64 = 2_000;

/// A good client's rate alone and among slow ones.
pub fn slow() -> Outcome {
    prepare()?;
    let folder = scratch("slow")?;
    site(&folder)?;
    let server = doorway(&folder, 8421)?;
    wrk(&server, &[])?;
    let alone: Vec<f64> =
        (0..3).map(|_| wrk(&server, &[]).map(|round| round.rate)).collect::<Result<_, _>>()?;
    let mut load = Command::new(program("load"))
        .args(["slow", &server.port.to_string(), &SLOW.to_string(), "9"])
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| Failed(error.to_string()))?;
    std::thread::sleep(Duration::from_secs(1));
    let among: Vec<f64> =
        (0..3).map(|_| wrk(&server, &[]).map(|round| round.rate)).collect::<Result<_, _>>()?;
    let _ = load.wait();
    let (alone, among) = (table::median(&alone), table::median(&among));
    println!(
        "\n`cargo xtask bench slow`: {alone:.0} requests/s alone, {among:.0} among {SLOW} slow connections: {:.0} %",
        among / alone * 100.0
    );
    Ok(())
}
