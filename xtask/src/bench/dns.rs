//! `bench dns`: one zone of 100 000 names, asked over UDP: a mixed list, and names that do not exist.
//! Over TCP too. Peers: Knot DNS, NSD, gdnsd, BIND and PowerDNS, one thread each. Floor: a UDP echo in
//! batches.

use std::path::Path;

use super::measure::{Round, Server, Up, interleave};
use super::{SECONDS, prepare, program, scratch, table, write};
use crate::run::{Failed, Outcome, command, output};

const ZONE: &str = "bench.example";

/// Runs it.
pub fn bench() -> Outcome {
    prepare()?;
    let folder = scratch("dns")?;
    command(&program("load"), &["dns-data", &folder.display().to_string()])?;
    let zone = folder.join("bench.example.zone");
    let servers = [
        Server::start("echo", "floor", 5401, Up::Udp, &[&program("floor"), "udp", "5401"], &folder)?,
        doorway(&folder, &zone, 5402)?,
        knot(&folder, &zone, 5403)?,
        nsd(&folder, &zone, 5404)?,
        gdnsd(&folder, &zone, 5405)?,
        named(&folder, &zone, 5406)?,
        powerdns(&folder, &zone, 5407)?,
    ];
    println!(
        "\n`cargo xtask bench dns`: 120 000 records, one server thread on core 0, client on core 1, closed loop with 1024 queries in flight over 8 sockets, {} rounds of {SECONDS} s.",
        super::ROUNDS
    );
    for (title, list) in [
        ("Authoritative over UDP, mixed", "mixed.txt"),
        ("Authoritative over UDP, NXDOMAIN only", "missing.txt"),
    ] {
        let list = folder.join(list).display().to_string();
        let series = interleave(&servers, |server| load(server, "dns", &list))?;
        table::print(title, "query", &servers, &series, "doorway", "echo");
    }
    // The echo has no TCP, and PowerDNS takes a thread for each connection.
    let list = folder.join("mixed.txt").display().to_string();
    let mut servers = Vec::from(servers);
    servers.retain(|server| !matches!(server.name.as_str(), "echo" | "powerdns"));
    let series = interleave(&servers, |server| load(server, "tcp", &list))?;
    table::print(
        "Authoritative over TCP, mixed, 8 connections",
        "query",
        &servers,
        &series,
        "doorway",
        "doorway",
    );
    Ok(())
}

/// What loading took, round by round.
#[derive(Default)]
struct Loaded {
    name: String,
    seconds: Vec<f64>,
    cpu: Vec<f64>,
    memory: Vec<f64>,
}

/// How long a zone of a million records takes from the start to the first answer, and what it needs.
pub fn zone_load() -> Outcome {
    prepare()?;
    let folder = scratch("zone")?;
    let zone = folder.join("bench.example.zone");
    command(&program("load"), &["zone", &zone.display().to_string(), "1000000"])?;
    type Start = fn(&Path, &Path, u16) -> Result<Server, Failed>;
    let servers: [(Start, u16); 4] = [(doorway, 5402), (knot, 5403), (nsd, 5404), (named, 5406)];
    let mut rows: Vec<Loaded> = Vec::new();
    for _ in 0..super::ROUNDS {
        for (index, (start, port)) in servers.iter().enumerate() {
            let began = std::time::Instant::now();
            let server = start(&folder, &zone, *port)?;
            let seconds = began.elapsed().as_secs_f64();
            let (cpu, memory) = (server.cpu_nanos() as f64 / 1e9, server.memory_kib() as f64 / 1024.0);
            if rows.len() == index {
                let name = format!("{} {}", server.name, server.version);
                rows.push(Loaded { name, ..Loaded::default() });
            }
            rows[index].seconds.push(seconds);
            rows[index].cpu.push(cpu);
            rows[index].memory.push(memory);
        }
    }
    println!("\n### A zone of 1 000 000 records: from the start to the first answer\n");
    println!(
        "| server | seconds | CPU seconds | memory MiB | peer ÷ Doorway (CPU) | peer ÷ Doorway (memory) |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let ours = (table::median(&rows[0].cpu), table::median(&rows[0].memory));
    for Loaded { name, seconds, cpu, memory } in &rows {
        let (seconds, cpu, memory) = (table::median(seconds), table::median(cpu), table::median(memory));
        println!(
            "| {name} | {seconds:.2} | {cpu:.2} | {memory:.0} | {:.2} | {:.2} |",
            cpu / ours.0,
            memory / ours.1
        );
    }
    Ok(())
}

/// One round of `kind` of load against `server`.
pub fn load(server: &Server, kind: &str, list: &str) -> Result<Round, Failed> {
    let kind = if server.name == "echo" { "echo" } else { kind };
    let seconds = SECONDS.to_string();
    let line =
        output("taskset", &["-c", "1", &program("load"), kind, &server.port.to_string(), list, &seconds])?;
    round(&line)
}

/// What the load generator printed.
pub fn round(line: &str) -> Result<Round, Failed> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| *word == name);
        at.and_then(|at| words.get(at + 1)?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    Ok(Round {
        operations: value("answered") as u64,
        rate: value("rate"),
        p99_micros: value("p99_us"),
        lost: value("lost") as u64,
        wrong: value("wrong") as u64,
    })
}

/// The first version number in what a program says of itself.
pub fn version(line: &[&str]) -> String {
    let said = std::process::Command::new(line[0]).args(&line[1..]).output().ok();
    let said = said.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&said)
        .split(|c: char| c.is_whitespace() || c == '/' || c == ',' || c == '-')
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .unwrap_or("")
        .to_owned()
}

fn doorway(folder: &Path, zone: &Path, port: u16) -> Result<Server, Failed> {
    let config = folder.join("doorway.toml");
    write(
        &config,
        &format!(
            "[server]\nworkers = 1\n[dns]\nlisten = \"127.0.0.1:{port}\"\nthreads = 1\n[[dns.zone]]\nname = \"{ZONE}\"\nfile = \"{}\"\n\
             [http]\nlisten = []\nlisten_tls = []\n[mail]\ndomains = []\n[metrics]\nlisten = []\n",
            zone.display()
        ),
    )?;
    let (config, data) = (config.display().to_string(), folder.join("data").display().to_string());
    let line = [&program("doorway"), "up", "--config", &config, "--data", &data];
    Server::start("doorway", env!("CARGO_PKG_VERSION"), port, Up::Udp, &line, folder)
}

fn knot(folder: &Path, zone: &Path, port: u16) -> Result<Server, Failed> {
    let home = folder.join("knot");
    std::fs::create_dir_all(&home).map_err(|error| Failed(error.to_string()))?;
    let config = home.join("knot.conf");
    write(
        &config,
        &format!(
            "server:\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n  rundir: {home}\n\
             database:\n  storage: {home}\ntemplate:\n  - id: default\n    zonefile-sync: -1\n    journal-content: none\n\
             zone:\n  - domain: {ZONE}\n    file: {}\n",
            zone.display(),
            home = home.display()
        ),
    )?;
    let line = ["knotd", "-c", &config.display().to_string()];
    Server::start("knot", &version(&["knotd", "-V"]), port, Up::Udp, &line, folder)
}

/// NSD, with one server process.
pub fn nsd(folder: &Path, zone: &Path, port: u16) -> Result<Server, Failed> {
    let home = folder.join("nsd");
    std::fs::create_dir_all(&home).map_err(|error| Failed(error.to_string()))?;
    let config = home.join("nsd.conf");
    let home = home.display();
    write(
        &config,
        &format!(
            "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{home}\"\n\
             \x20 pidfile: \"{home}/nsd.pid\"\n  xfrdfile: \"{home}/xfrd.state\"\n  zonelistfile: \"{home}/zone.list\"\n  xfrdir: \"{home}\"\n\
             \x20 database: \"\"\n  rrl-ratelimit: 0\n  minimal-responses: yes\nremote-control:\n  control-enable: no\n\
             zone:\n  name: {ZONE}\n  zonefile: {}\n",
            zone.display()
        ),
    )?;
    let line = ["nsd", "-d", "-c", &config.display().to_string()];
    Server::start("nsd", &version(&["nsd", "-v"]), port, Up::Udp, &line, folder)
}

fn gdnsd(folder: &Path, zone: &Path, port: u16) -> Result<Server, Failed> {
    let home = folder.join("gdnsd");
    let failed = |error: std::io::Error| Failed(error.to_string());
    std::fs::create_dir_all(home.join("zones")).map_err(failed)?;
    std::fs::create_dir_all(home.join("run")).map_err(failed)?;
    std::fs::create_dir_all(home.join("state")).map_err(failed)?;
    std::fs::copy(zone, home.join("zones").join(ZONE)).map_err(failed)?;
    let shown = home.display();
    write(
        &home.join("config"),
        &format!(
            "options => {{ listen => 127.0.0.1:{port}, udp_threads => 1, tcp_threads => 1, run_dir => {shown}/run, state_dir => {shown}/state }}\n"
        ),
    )?;
    let line = ["gdnsd", "-c", &shown.to_string(), "start"];
    Server::start("gdnsd", &version(&["gdnsd", "version"]), port, Up::Udp, &line, folder)
}

fn named(folder: &Path, zone: &Path, port: u16) -> Result<Server, Failed> {
    let home = folder.join("named");
    std::fs::create_dir_all(&home).map_err(|error| Failed(error.to_string()))?;
    let config = home.join("named.conf");
    write(
        &config,
        &format!(
            "options {{ directory \"{home}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; minimal-responses yes; \
             pid-file \"{home}/named.pid\"; session-keyfile none; managed-keys-directory \"{home}\"; notify no; }};\n\
             controls {{ }};\nzone \"{ZONE}\" {{ type master; file \"{}\"; }};\n",
            zone.display(),
            home = home.display()
        ),
    )?;
    let line = ["named", "-f", "-n", "1", "-c", &config.display().to_string()];
    Server::start("bind", &version(&["named", "-v"]), port, Up::Udp, &line, folder)
}

fn powerdns(folder: &Path, zone: &Path, port: u16) -> Result<Server, Failed> {
    let home = folder.join("powerdns");
    std::fs::create_dir_all(&home).map_err(|error| Failed(error.to_string()))?;
    write(
        &home.join("bind.conf"),
        &format!("zone \"{ZONE}\" {{ type master; file \"{}\"; }};\n", zone.display()),
    )?;
    write(
        &home.join("pdns.conf"),
        &format!(
            "launch=bind\nbind-config={home}/bind.conf\nlocal-address=127.0.0.1\nlocal-port={port}\nreceiver-threads=1\n\
             distributor-threads=1\nreuseport=yes\nsocket-dir={home}\ndaemon=no\nguardian=no\nloglevel=2\nwrite-pid=no\n\
             security-poll-suffix=\n",
            home = home.display()
        ),
    )?;
    let config = format!("--config-dir={}", home.display());
    let line = ["pdns_server", &config];
    Server::start("powerdns", &version(&["pdns_server", "--version"]), port, Up::Udp, &line, folder)
}
