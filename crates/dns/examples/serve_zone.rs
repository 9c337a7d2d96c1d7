//! Serves one zone file: `cargo run --release --example serve_zone -- example.org FILE 127.0.0.1:5300`.

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;

use doorway_base::Trace;
use doorway_dns::config::{Config, ZoneConfig};
use doorway_dns::io::Surroundings;
use doorway_dns::{Server, wire::Name};
use doorway_net::os::Runtime;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, file, listen] = arguments.as_slice() else {
        return Err("expected the zone's name, its file and an address:port".into());
    };
    let name: Name = name.parse()?;
    let zone = ZoneConfig { name: name.to_string(), file: Some(file.into()), ..ZoneConfig::default() };
    let config = Config { listen: vec![listen.parse()?], threads: 1, zones: vec![zone], ..Config::default() };
    let runtime = Runtime::start("example", 1, Trace::off())?;
    let server = Server::start(runtime.world(), &config, &Surroundings::default())?;
    for zone in server.zones().list() {
        println!("{}: {} records, serial {}", zone.apex(), zone.records(), zone.serial());
    }
    loop {
        std::thread::park();
    }
}
