//! `bench dhcp`: leases for new clients and renewals, against Kea, dnsmasq and ISC dhcpd, each in a network
//! namespace of its own with a relay at the other end of the wire. perfdhcp then asks the same, independently.

use std::path::Path;

use super::measure::{Round, Server, Up, compare, said};
use super::{home, prepare, program, scratch, write};
use crate::run::{Failed, Outcome, output};

/// Rounds; the first one warms up and does not count.
const ROUNDS: usize = 3;
/// Seconds of one round.
const SECONDS: &str = "2";
/// Exchanges at once, for every server alike.
const WINDOW: &str = "64";
/// The server's address, the relay's, and what the network is.
const SERVER: &str = "10.64.0.1";
const RELAY: &str = "10.64.0.2";
/// Clients of one round are numbered from a multiple of this on.
const CLIENTS: usize = 1_000_000;

/// Two namespaces and the wire between them, for as long as this lives.
struct Wire {
    server: String,
    load: String,
}

impl Wire {
    fn lay(number: usize) -> Result<Self, Failed> {
        let wire = Self { server: format!("dwbench{number}s"), load: format!("dwbench{number}c") };
        wire.remove();
        let Self { server, load } = &wire;
        let lines = [
            format!("netns add {server}"),
            format!("netns add {load}"),
            format!("link add s0 netns {server} type veth peer name c0 netns {load}"),
            format!("-n {server} addr add {SERVER}/12 dev s0"),
            format!("-n {load} addr add {RELAY}/12 dev c0"),
            format!("-n {server} link set lo up"),
            format!("-n {server} link set s0 up"),
            format!("-n {load} link set c0 up"),
        ];
        for line in lines {
            output("ip", &line.split(' ').collect::<Vec<_>>())?;
        }
        Ok(wire)
    }

    fn remove(&self) {
        for name in [&self.server, &self.load] {
            let mut command = std::process::Command::new("ip");
            let _ = command.args(["netns", "del", name]).stderr(std::process::Stdio::null()).status();
        }
    }

    /// A command line within the namespace of the server.
    fn within<'a>(&'a self, line: &[&'a str]) -> Vec<&'a str> {
        [&["ip", "netns", "exec", &self.server], line].concat()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.remove();
    }
}

struct Peer {
    // Before its wire, so that it ends before that is taken away.
    server: Server,
    wire: Wire,
    folder: String,
}

/// Runs all tables.
pub fn bench() -> Outcome {
    prepare()?;
    let folder = scratch("dhcp")?;
    let process = [
        doorway(0, "doorway, process", "process", &folder)?,
        kea(1, &folder)?,
        dnsmasq(2, &folder)?,
        isc(3, &folder)?,
    ];
    println!(
        "\n`cargo xtask bench dhcp`: servers on core 0, the load on core 1, {ROUNDS} rounds of {SECONDS} s, {WINDOW} \
         exchanges at once through a relay. Kea writes its leases and does not sync them; dnsmasq and ISC dhcpd sync."
    );
    fresh("New clients (DISCOVER to ACK), leases survive the end of the process", &process)?;
    again("Renewals (REQUEST to ACK), likewise", &process)?;
    perfdhcp(&process)?;
    drop(process);
    let power = [
        doorway(0, "doorway, power", "power", &folder)?,
        kea(1, &folder)?,
        dnsmasq(2, &folder)?,
        isc(3, &folder)?,
    ];
    fresh("New clients, leases survive a power cut (not with Kea)", &power)?;
    again("Renewals, likewise", &power)
}

fn fresh(title: &str, peers: &[Peer]) -> Outcome {
    compare(
        title,
        "exchange",
        ROUNDS,
        peers,
        |peer| &peer.server,
        |peer, round| {
            let (first, file) = ((round * CLIENTS).to_string(), format!("{}/leases.txt", peer.folder));
            load(peer, &["new", SERVER, RELAY, WINDOW, SECONDS, &first, &file])
        },
    )
}

fn again(title: &str, peers: &[Peer]) -> Outcome {
    compare(
        title,
        "exchange",
        ROUNDS,
        peers,
        |peer| &peer.server,
        |peer, _| {
            let file = format!("{}/leases.txt", peer.folder);
            load(peer, &["renew", SERVER, RELAY, WINDOW, SECONDS, &file])
        },
    )
}

fn load(peer: &Peer, arguments: &[&str]) -> Result<Round, Failed> {
    let lease = program("lease");
    let line = [&["netns", "exec", &peer.wire.load, "taskset", "-c", "1", &lease], arguments].concat();
    said(&output("ip", &line)?)
}

/// An open loop at a rate that is below what the slower of Kea and us can do, and at one that is above.
fn perfdhcp(peers: &[Peer]) -> Outcome {
    println!("\n### perfdhcp, 3 s: exchanges that were completed of those that were begun\n");
    println!("| server | 1000/s | 3000/s | 8000/s |\n| --- | ---: | ---: | ---: |");
    for peer in peers.iter().filter(|peer| !matches!(&*peer.server.name, "dnsmasq" | "dhcpd")) {
        let mut cells = Vec::new();
        for rate in ["1000", "3000", "8000"] {
            // It ends with 3 when anything was dropped, which is no error here.
            let script = format!(
                "ip netns exec {} taskset -c 1 perfdhcp -4 -r {rate} -R 100000 -p 3 -g multi -l c0 {SERVER} || [ $? = 3 ]",
                peer.wire.load
            );
            cells.push(completed(&output("sh", &["-c", &script])?)?);
        }
        println!("| {} {} | {} |", peer.server.name, peer.server.version, cells.join(" | "));
    }
    Ok(())
}

/// Of what perfdhcp says: the ACKs that came, and the DISCOVERs that were sent.
fn completed(text: &str) -> Result<String, Failed> {
    let numbers = |name: &'static str| {
        let found = text.lines().filter_map(move |line| line.trim().strip_prefix(name)?.trim().parse().ok());
        found.collect::<Vec<u64>>()
    };
    let sent = numbers("sent packets:").first().copied();
    let received = numbers("received packets:").get(1).copied();
    match (sent, received) {
        (Some(sent), Some(received)) => Ok(format!("{received} of {sent}")),
        _ => Err(Failed(format!("perfdhcp said: {text}"))),
    }
}

fn doorway(number: usize, name: &str, durability: &str, folder: &Path) -> Result<Peer, Failed> {
    let (wire, own) = (Wire::lay(number)?, home(folder, name.rsplit(' ').next().unwrap_or(name))?);
    let (config, data) = (format!("{own}/doorway.toml"), format!("{own}/data"));
    write(
        Path::new(&config),
        &format!(
            "[server]\nworkers = 1\n[dns]\nlisten = []\nlisten_tls = []\n[http]\nlisten = []\nlisten_tls = []\n\
             [metrics]\nlisten = []\n[mail]\ndomains = []\n[dhcp]\ninterfaces = [\"s0\"]\n\
             durability = \"{durability}\"\nprobe = \"off\"\nrogue_check = \"off\"\nleases_per_port = 0\n\
             [[dhcp.subnet]]\nnetwork = \"10.64.0.0/12\"\npools = [\"10.64.1.0-10.79.254.255\"]\n\
             relays = [\"{RELAY}\"]\nlease = \"1h\"\nrouters = [\"{SERVER}\"]\ndns = [\"{SERVER}\"]\ndomain = \"bench.test\"\n"
        ),
    )?;
    let doorway = program("doorway");
    let line = wire.within(&[&doorway, "up", "--config", &config, "--data", &data]);
    let server = Server::start(name, "", 0, Up::Running, &line, folder)?;
    Ok(Peer { server, wire, folder: own })
}

fn kea(number: usize, folder: &Path) -> Result<Peer, Failed> {
    let (wire, own) = (Wire::lay(number)?, home(folder, "kea")?);
    let config = format!("{own}/kea.json");
    write(
        Path::new(&config),
        &format!(
            "{{\"Dhcp4\": {{ \"interfaces-config\": {{ \"interfaces\": [\"s0\"], \"dhcp-socket-type\": \"udp\" }},\n\
             \"lease-database\": {{ \"type\": \"memfile\", \"persist\": true, \"name\": \"{own}/leases.csv\", \"lfc-interval\": 0 }},\n\
             \"multi-threading\": {{ \"enable-multi-threading\": false }}, \"valid-lifetime\": 3600,\n\
             \"subnet4\": [ {{ \"subnet\": \"10.64.0.0/12\", \"pools\": [ {{ \"pool\": \"10.64.1.0-10.79.254.255\" }} ],\n\
             \"option-data\": [ {{ \"name\": \"routers\", \"data\": \"{SERVER}\" }}, {{ \"name\": \"domain-name-servers\", \"data\": \"{SERVER}\" }}, \
             {{ \"name\": \"domain-name\", \"data\": \"bench.test\" }} ] }} ],\n\
             \"loggers\": [ {{ \"name\": \"kea-dhcp4\", \"severity\": \"ERROR\", \"output_options\": [ {{ \"output\": \"stderr\" }} ] }} ] }} }}\n"
        ),
    )?;
    let version = output("kea-dhcp4", &["-v"])?;
    let places = [format!("KEA_PIDFILE_DIR={own}"), format!("KEA_LOCKFILE_DIR={own}")];
    let line = wire.within(&["env", &places[0], &places[1], "kea-dhcp4", "-c", &config]);
    let server = Server::start("kea", version.trim(), 0, Up::Running, &line, folder)?;
    Ok(Peer { server, wire, folder: own })
}

fn dnsmasq(number: usize, folder: &Path) -> Result<Peer, Failed> {
    let (wire, own) = (Wire::lay(number)?, home(folder, "dnsmasq")?);
    let version = output("dnsmasq", &["--version"])?;
    let version = version.split_whitespace().nth(2).unwrap_or_default().to_owned();
    let leases = format!("--dhcp-leasefile={own}/leases");
    let line = wire.within(&[
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--interface=s0",
        "--bind-interfaces",
        "--user=root",
        "--no-ping",
        "--quiet-dhcp",
        "--dhcp-lease-max=1000000",
        "--dhcp-range=10.64.1.0,10.64.255.254,255.240.0.0,1h",
        "--domain=bench.test",
        &leases,
    ]);
    let server = Server::start("dnsmasq", &version, 0, Up::Running, &line, folder)?;
    Ok(Peer { server, wire, folder: own })
}

fn isc(number: usize, folder: &Path) -> Result<Peer, Failed> {
    let (wire, own) = (Wire::lay(number)?, home(folder, "dhcpd")?);
    let (config, leases) = (format!("{own}/dhcpd.conf"), format!("{own}/leases"));
    write(
        Path::new(&config),
        &format!(
            "authoritative;\nping-check false;\ndhcp-cache-threshold 0;\ndefault-lease-time 3600;\noption routers {SERVER};\n\
             option domain-name-servers {SERVER};\noption domain-name \"bench.test\";\n\
             subnet 10.64.0.0 netmask 255.240.0.0 {{ range 10.64.1.0 10.64.255.254; }}\n"
        ),
    )?;
    write(Path::new(&leases), "")?;
    // It says its version on the other stream.
    let version = output("sh", &["-c", "dhcpd --version 2>&1"])?;
    let version = version.trim().trim_start_matches("isc-dhcpd-").to_owned();
    let pid = format!("{own}/pid");
    let line = wire.within(&["dhcpd", "-4", "-f", "-q", "-cf", &config, "-lf", &leases, "-pf", &pid, "s0"]);
    let server = Server::start("dhcpd", &version, 0, Up::Running, &line, folder)?;
    Ok(Peer { server, wire, folder: own })
}
