//! The resolvers: answers out of the cache, and names that are in no cache, found from the root of a
//! small internet in a network namespace. Peers: Unbound, Knot Resolver and PowerDNS Recursor, one
//! thread each, none of them validating.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::dns::{load, version};
use super::measure::{Round, Server, Up, interleave};
use super::{SECONDS, prepare, program, scratch, table, write};
use crate::run::{Failed, Outcome, command, output};

/// Names of one round of misses.
const NAMES: usize = 50_000;
/// The namespace of the small internet.
const NAMESPACE: &str = "doorway-bench";

/// What a resolver is set up for.
#[derive(Clone, Copy)]
enum Setup {
    /// The zone `bench.example` is at this port of 127.0.0.1.
    Stub(u16),
    /// The root servers are at 10.53.0.1 to 10.53.0.13.
    Roots,
}

/// Answers out of the cache: 10 000 names, some far more often than others.
pub fn hits() -> Outcome {
    prepare()?;
    let folder = scratch("resolver")?;
    command(&program("load"), &["dns-data", &folder.display().to_string()])?;
    let zone = folder.join("bench.example.zone");
    let list = popular(&folder)?;
    let authority = super::dns::nsd(&folder, &zone, 5410)?;
    let setup = Setup::Stub(authority.port);
    let servers = [
        Server::start("echo", "floor", 5401, Up::Udp, &[&program("floor"), "udp", "5401"], &folder)?,
        doorway(&folder, 5411, setup)?,
        unbound(&folder, 5412, setup)?,
        kresd(&folder, 5413, setup)?,
        recursor(&folder, 5414, setup)?,
    ];
    println!(
        "\n`cargo xtask bench resolver`: 10 000 names in the cache, one server thread on core 0, client on core 1, closed loop with 1024 queries in flight over 8 sockets, {} rounds of {SECONDS} s.",
        super::ROUNDS
    );
    let series = interleave(&servers, |server| load(server, "resolve", &list))?;
    table::print(
        "Resolver over UDP, answers out of the cache",
        "query",
        &servers,
        &series,
        "doorway",
        "echo",
    );
    drop(authority);
    Ok(())
}

/// A list in which the n-th of 10 000 names stands about 1/n as often as the first.
fn popular(folder: &Path) -> Result<String, Failed> {
    let mut text = String::new();
    let mut state = 0x1234_5678_9abc_def1_u64;
    for _ in 0..200_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The inverse of the distribution's sum, which is about the logarithm.
        let fraction = (state >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = (10_000_f64.powf(fraction) - 1.0) as u64;
        text.push_str(&format!("host{rank:06}.bench.example A\n"));
    }
    let path = folder.join("popular.txt");
    write(&path, &text)?;
    Ok(path.display().to_string())
}

/// Names that no cache holds, found from the root.
pub fn misses() -> Outcome {
    in_namespace("misses-inside")
}

/// Answers out of the cache while somebody asks for names of one zone that nobody has asked for.
pub fn flood() -> Outcome {
    in_namespace("flood-inside")
}

/// Runs another benchmark of this program within a namespace.
fn in_namespace(name: &str) -> Outcome {
    prepare()?;
    let ip = |arguments: &[&str]| Command::new("ip").args(arguments).stderr(Stdio::null()).status();
    let _ = ip(&["netns", "delete", NAMESPACE]);
    command("ip", &["netns", "add", NAMESPACE])?;
    let this = std::env::current_exe().map_err(|error| Failed(error.to_string()))?;
    let inside = ["netns", "exec", NAMESPACE, &this.display().to_string(), "bench", name];
    let outcome = command("ip", &inside);
    let _ = ip(&["netns", "delete", NAMESPACE]);
    outcome
}

// The addresses of the small internet, in the namespace that this runs in.
fn addresses() -> Outcome {
    command("ip", &["link", "set", "lo", "up"])?;
    command("ip", &["route", "add", "local", "10.53.0.0/16", "dev", "lo"])
}

/// What [`flood`] does within its namespace.
pub fn flood_inside() -> Outcome {
    addresses()?;
    let folder = scratch("flood")?;
    let list = folder.join("names.txt");
    write(&list, &output(&program("load"), &["names", "1", "1000"])?)?;
    println!(
        "\n`cargo xtask bench flood`: answers a second out of the cache, alone and while {FLOOD} other names of one zone are asked for a second; one server thread for each kind of work on core 0, everybody else on core 1, medians of {} rounds of {SECONDS} s.\n",
        super::ROUNDS
    );
    println!(
        "| servers are away | alone/s | flooded/s | kept | p99 µs alone | flooded | lost | flood answered | CPU µs/answer alone | flood alone, % of a core |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for delay in [0, 20] {
        let internet = [&program("internet"), "53", &delay.to_string()];
        let internet = Server::start_on("1", "internet", "", 53, Up::Udp, &internet, &folder)?;
        let server = doorway(&folder, 5411, Setup::Roots)?;
        once(&server, &list, 64)?;
        let list = list.display().to_string();
        let (mut alone, mut flooded, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cost, mut share) = (Vec::new(), Vec::new());
        for _ in 0..super::ROUNDS {
            let before = server.cpu_nanos();
            let round = load(&server, "resolve", &list)?;
            cost.push((server.cpu_nanos() - before) as f64 / 1000.0 / round.operations.max(1) as f64);
            alone.push(round);
            // What it costs the server tells what it would leave of a core, however busy the machine is.
            let before = server.cpu_nanos();
            Flood::start(server.port)?.finish()?;
            let used = Duration::from_nanos(server.cpu_nanos() - before).as_secs_f64();
            share.push(100.0 * used / (SECONDS + 1) as f64);
            let flood = Flood::start(server.port)?;
            flooded.push(load(&server, "resolve", &list)?);
            answers.push(flood.finish()?);
        }
        let median = |rounds: &[Round], of: fn(&Round) -> f64| {
            table::median(&rounds.iter().map(of).collect::<Vec<_>>())
        };
        let rates = [&alone, &flooded].map(|rounds| median(rounds, |round| round.rate));
        let tails = [&alone, &flooded].map(|rounds| median(rounds, |round| round.p99_micros));
        let lost: u64 = flooded.iter().map(|round| round.lost + round.wrong).sum();
        println!(
            "| {delay} ms | {:.0} | {:.0} | {:.0} % | {:.0} | {:.0} | {lost} | {:.0} % | {:.2} | {:.0} % |",
            rates[0],
            rates[1],
            100.0 * rates[1] / rates[0],
            tails[0],
            tails[1],
            table::median(&answers),
            table::median(&cost),
            table::median(&share)
        );
        drop((server, internet));
    }
    Ok(())
}

/// Names that are asked for in one second of a flood.
const FLOOD: usize = 10_000;

/// A flood that is going on.
struct Flood(Child);

impl Flood {
    fn start(port: u16) -> Result<Self, Failed> {
        let (port, rate, seconds) = (port.to_string(), FLOOD.to_string(), (SECONDS + 1).to_string());
        let line = ["-c", "1", &program("load"), "flood", &port, "r1d0.com", &rate, &seconds];
        let child = Command::new("taskset").args(line).stdout(Stdio::piped()).spawn();
        let child = child.map_err(|error| Failed(format!("no flood: {error}")))?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(Self(child))
    }

    /// Waits for its end; how many of its questions were answered, in per cent.
    fn finish(self) -> Result<f64, Failed> {
        let out = self.0.wait_with_output().map_err(|error| Failed(error.to_string()))?.stdout;
        let out = String::from_utf8_lossy(&out).into_owned();
        let numbers: Vec<f64> = out.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [sent, answered] if sent > 0.0 => Ok(100.0 * answered / sent),
            _ => Err(Failed(format!("the flood said {out:?}"))),
        }
    }
}

/// What [`misses`] does within its namespace.
pub fn misses_inside() -> Outcome {
    addresses()?;
    let folder = scratch("misses")?;
    for (delay, window) in [(0, 256), (20, 900)] {
        let internet = Server::start_on(
            "1",
            "internet",
            "",
            53,
            Up::Udp,
            &[&program("internet"), "53", &delay.to_string()],
            &folder,
        )?;
        let servers = [
            doorway(&folder, 5411, Setup::Roots)?,
            unbound(&folder, 5412, Setup::Roots)?,
            kresd(&folder, 5413, Setup::Roots)?,
            recursor(&folder, 5414, Setup::Roots)?,
        ];
        let round = std::cell::Cell::new(0);
        let series = interleave(&servers, |server| {
            round.set(round.get() + 1);
            // Everybody gets names of the same form, and nobody a name twice.
            let list = folder.join("names.txt");
            let names = output(&program("load"), &["names", &round.get().to_string(), &NAMES.to_string()])?;
            write(&list, &names)?;
            once(server, &list, window)
        })?;
        let title = format!(
            "Resolver, {NAMES} names in no cache, servers {delay} ms away, {window} questions in flight"
        );
        table::print(&title, "name", &servers, &series, "doorway", "doorway");
        drop(internet);
    }
    Ok(())
}

fn once(server: &Server, list: &Path, window: u32) -> Result<Round, Failed> {
    let port = server.port.to_string();
    let line = [&program("load"), "once", &port, &list.display().to_string(), &window.to_string()];
    let line: Vec<&str> = ["-c", "1"].into_iter().chain(line.map(|word| word)).collect();
    super::dns::round(&output("taskset", &line)?)
}

fn home(folder: &Path, name: &str) -> Result<PathBuf, Failed> {
    let home = folder.join(name);
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home).map_err(|error| Failed(error.to_string()))?;
    Ok(home)
}

fn hints(home: &Path) -> Result<String, Failed> {
    let mut text = String::new();
    for (number, letter) in ('a'..='m').enumerate() {
        text.push_str(&format!(
            ". 518400 IN NS {letter}.root-servers.net.\n{letter}.root-servers.net. 518400 IN A 10.53.0.{}\n",
            number + 1
        ));
    }
    let path = home.join("root.hints");
    write(&path, &text)?;
    Ok(path.display().to_string())
}

fn doorway(folder: &Path, port: u16, setup: Setup) -> Result<Server, Failed> {
    let home = home(folder, "doorway")?;
    let resolver = match setup {
        Setup::Stub(authority) => format!(
            "ask_private = true\n[[dns.resolver.stub]]\nzone = \"bench.example\"\nto = [\"127.0.0.1:{authority}\"]\n"
        ),
        Setup::Roots => format!("root_hints = \"{}\"\n", hints(&home)?),
    };
    let config = home.join("doorway.toml");
    write(
        &config,
        &format!(
            "[server]\nworkers = 1\n[dns]\nlisten = \"127.0.0.1:{port}\"\nlisten_tls = []\nthreads = 1\n[dns.cache]\nsize = \"256MiB\"\n\
             [http]\nlisten = []\nlisten_tls = []\n[mail]\ndomains = []\n[metrics]\nlisten = []\n[dns.resolver]\nrebind_protection = false\n{resolver}"
        ),
    )?;
    let (config, data) = (config.display().to_string(), home.join("data").display().to_string());
    let line = [&program("doorway"), "up", "--config", &config, "--data", &data];
    Server::start("doorway", env!("CARGO_PKG_VERSION"), port, Up::Udp, &line, folder)
}

fn unbound(folder: &Path, port: u16, setup: Setup) -> Result<Server, Failed> {
    let home = home(folder, "unbound")?;
    let resolver = match setup {
        Setup::Stub(authority) => {
            format!("stub-zone:\n  name: \"bench.example\"\n  stub-addr: 127.0.0.1@{authority}\n")
        }
        Setup::Roots => format!("  root-hints: \"{}\"\n", hints(&home)?),
    };
    let config = home.join("unbound.conf");
    write(
        &config,
        &format!(
            "server:\n  interface: 127.0.0.1@{port}\n  num-threads: 1\n  username: \"\"\n  chroot: \"\"\n  directory: \"{home}\"\n\
             \x20 pidfile: \"{home}/unbound.pid\"\n  use-syslog: no\n  verbosity: 0\n  do-daemonize: no\n  module-config: \"iterator\"\n\
             \x20 do-not-query-localhost: no\n  do-ip6: no\n  msg-cache-size: 128m\n  rrset-cache-size: 256m\n  outgoing-range: 4096\n\
             \x20 num-queries-per-thread: 2048\n  so-rcvbuf: 4m\n  access-control: 127.0.0.0/8 allow\n  ratelimit: 0\n{resolver}",
            home = home.display()
        ),
    )?;
    let line = ["unbound", "-d", "-c", &config.display().to_string()];
    Server::start("unbound", &version(&["unbound", "-V"]), port, Up::Udp, &line, folder)
}

fn kresd(folder: &Path, port: u16, setup: Setup) -> Result<Server, Failed> {
    let home = home(folder, "kresd")?;
    let resolver = match setup {
        Setup::Stub(authority) => format!(
            "policy.add(policy.suffix(policy.STUB('127.0.0.1@{authority}'), policy.todnames({{'bench.example.'}})))\n"
        ),
        Setup::Roots => format!("hints.root_file('{}')\n", hints(&home)?),
    };
    let config = home.join("kresd.conf");
    write(
        &config,
        &format!(
            "net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})\nnet.ipv6 = false\nmodules = {{ 'hints', 'policy' }}\n\
             trust_anchors.remove('.')\ncache.size = 256 * MB\nlog_level('err')\n{resolver}"
        ),
    )?;
    let (config, run) = (config.display().to_string(), home.display().to_string());
    let line = ["kresd", "-n", "-c", &config, &run];
    Server::start("kresd", &version(&["kresd", "-V"]), port, Up::Udp, &line, folder)
}

fn recursor(folder: &Path, port: u16, setup: Setup) -> Result<Server, Failed> {
    let home = home(folder, "recursor")?;
    let resolver = match setup {
        Setup::Stub(authority) => format!("forward-zones=bench.example=127.0.0.1:{authority}\n"),
        Setup::Roots => format!("hint-file={}\n", hints(&home)?),
    };
    write(
        &home.join("recursor.conf"),
        &format!(
            "local-address=127.0.0.1\nlocal-port={port}\nthreads=1\ndistributor-threads=0\npdns-distributes-queries=no\ndnssec=off\n\
             daemon=no\nquiet=yes\nloglevel=2\nsocket-dir={home}\ndont-query=\nmax-mthreads=4096\nquery-local-address=0.0.0.0\n\
             max-cache-entries=2000000\nmax-packetcache-entries=1000000\nsecurity-poll-suffix=\nwrite-pid=no\n{resolver}",
            home = home.display()
        ),
    )?;
    let config = format!("--config-dir={}", home.display());
    Server::start(
        "recursor",
        &version(&["pdns_recursor", "--version"]),
        port,
        Up::Udp,
        &["pdns_recursor", &config],
        folder,
    )
}
