//! The small internet: every name server of `small-internet/servers.txt`, in a simulation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use doorway_base::config::Listen;
use doorway_dns::config::{Config, Resolver, Tables, ZoneConfig};
use doorway_dns::io::Surroundings;
use doorway_dns::{Server, config};
use doorway_net::World;
use doorway_sim::{Link, Node, Simulation};

/// The folder of the zone files.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("small-internet")
}

/// One name server: address, name, zones.
pub(crate) struct NameServer {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) zones: Vec<String>,
}

/// All of them.
pub(crate) fn name_servers() -> Vec<NameServer> {
    let text = std::fs::read_to_string(folder().join("servers.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            let (address, name) = (words.next().unwrap(), words.next().unwrap());
            NameServer { address, name, zones: words.collect() }
        })
        .collect()
}

/// How one of them is set up: authority for its zones and nothing else.
pub(crate) fn authority(server: &NameServer) -> Config {
    let zone = |name: &String| ZoneConfig {
        name: if name == "root" { ".".to_owned() } else { name.clone() },
        file: Some(folder().join(format!("{name}.zone"))),
        ..ZoneConfig::default()
    };
    Config {
        listen: vec![format!("{}:53", server.address).parse().unwrap()],
        zones: server.zones.iter().map(zone).collect(),
        resolver: None,
        ..Config::default()
    }
}

/// A resolver of the small internet at `listen`.
pub(crate) fn recursive(listen: &str, set: impl FnOnce(&mut Resolver)) -> Config {
    let [dns, resolver, cache, rate] = config::SECTIONS.map(|section| section.defaults());
    let tables = Tables { dns: &dns, resolver: &resolver, cache: &cache, rate: &rate };
    let mut config = Config::read(&tables).unwrap();
    config.listen = vec![listen.parse::<Listen>().unwrap()];
    config.listen_tls = Vec::new();
    let resolver = config.resolver.as_mut().unwrap();
    let roots = name_servers().into_iter().filter(|server| server.name.ends_with("-root"));
    resolver.engine.root_hints = roots
        .map(|root| {
            let name = format!("{}.root-servers.net", &root.name[..1]).parse().unwrap();
            (name, vec![root.address.parse().unwrap()])
        })
        .collect();
    // Its names have addresses of private networks.
    resolver.engine.rebinding_protection = false;
    resolver.engine.special_names_except = vec!["10.in-addr.arpa".parse().unwrap()];
    set(resolver);
    config
}

/// The small internet with a resolver at 10.53.9.1 and a client at 10.53.9.2.
pub(crate) struct Internet {
    pub(crate) sim: Simulation,
    pub(crate) servers: Vec<(String, Node)>,
    pub(crate) resolver: Node,
    pub(crate) client: Node,
}

/// Where the resolver listens.
pub(crate) const RESOLVER: &str = "10.53.9.1:53";

impl Internet {
    /// A new one, whose links delay by `delay`.
    pub(crate) fn new(seed: u64, delay: Duration, set: impl FnOnce(&mut Resolver)) -> Self {
        let mut sim = Simulation::new(seed);
        sim.default_link(Link { delay, ..Link::default() });
        let mut servers = Vec::new();
        for server in name_servers() {
            let node = sim.node(&server.name, &server.address);
            let config = authority(&server);
            sim.boot(node, move |world, _| start(world, &config));
            servers.push((server.name.clone(), node));
        }
        let resolver = sim.node("resolver", "10.53.9.1");
        let client = sim.node("client", "10.53.9.2");
        let config = recursive(RESOLVER, set);
        sim.boot(resolver, move |world, _| start(world, &config));
        Self { sim, servers, resolver, client }
    }

    /// The nodes whose names end in `suffix`.
    pub(crate) fn nodes(&self, suffix: &str) -> Vec<Node> {
        self.servers.iter().filter(|(name, _)| name.ends_with(suffix)).map(|(_, node)| *node).collect()
    }
}

fn start(world: &World, config: &Config) {
    Server::start(world, config, &Surroundings::default()).unwrap();
}
