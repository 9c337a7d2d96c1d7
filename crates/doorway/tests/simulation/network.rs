//! A server with both services, a client, and a bad link between them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_dns::config::ZoneConfig;
use doorway_dns::io::Surroundings;
use doorway_http::{Handlers, Sites};
use doorway_net::{World, tcp};
use doorway_sim::{Link, Node, Simulation};

/// Where queries are answered.
pub(crate) const DNS: &str = "10.0.0.1:53";
/// Where requests are answered.
pub(crate) const HTTP: &str = "10.0.0.1:80";

/// Longer than what the server keeps ready to send, so that it is streamed.
pub(crate) const LARGE_OCTETS: usize = 300_000;

const ZONE: &str = "$TTL 300\n@ SOA ns root 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.80\n";

/// The virtual network.
pub(crate) struct Network {
    pub(crate) sim: Simulation,
    pub(crate) server: Node,
    pub(crate) client: Node,
}

impl Network {
    /// 20 ms away, and one packet in twenty is lost.
    pub(crate) fn new(seed: u64) -> Self {
        let mut sim = Simulation::new(seed);
        let server = sim.node("server", "10.0.0.1");
        let client = sim.node("client", "10.0.0.2");
        let link = Link { delay: Duration::from_millis(20), loss: 0.05, ..Link::default() };
        sim.link(server, client, link);
        sim.boot(server, |world, _| serve(world));
        Self { sim, server, client }
    }
}

/// Starts both services as `wiring.rs` does.
fn serve(world: &World) {
    let folder = folder();
    let zone = ZoneConfig {
        name: "example.org".to_owned(),
        file: Some(folder.join("zone")),
        ..ZoneConfig::default()
    };
    let dns = doorway_dns::Config {
        listen: vec![DNS.parse().unwrap()],
        zones: vec![zone],
        ..doorway_dns::Config::default()
    };
    doorway_dns::Server::start(world, &dns, &Surroundings::default()).unwrap();
    let http = doorway_http::Config { root: Some(folder.join("public")), ..doorway_http::Config::default() };
    let server =
        Arc::new(doorway_http::Server::new(world, &http, Sites::open(&http, &Handlers::default()).unwrap()));
    tcp::serve(world, HTTP.parse().unwrap(), &server.tcp_options(false), &server).unwrap();
}

/// What is served lies on the real disk. It is written once and for all: ETags and dates of files are
/// part of the trace, which a seed that was printed in another run has to give again.
fn folder() -> PathBuf {
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulation");
    fs::create_dir_all(folder.join("public")).unwrap();
    let large = vec![b'x'; LARGE_OCTETS];
    for (name, content) in
        [("zone", ZONE.as_bytes()), ("public/index.html", b"<h1>Hello</h1>\n"), ("public/large.bin", &large)]
    {
        let path = folder.join(name);
        if !fs::read(&path).is_ok_and(|there| there == content) {
            fs::write(path, content).unwrap();
        }
    }
    folder
}
