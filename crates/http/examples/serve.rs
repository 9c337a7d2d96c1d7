//! Serves a folder over HTTP: `serve DIR ADDRESS:PORT [WORKERS]`.

use std::sync::Arc;

use doorway_base::Trace;
use doorway_http::{Config, Server, Site};
use doorway_net::os::Runtime;
use doorway_net::tcp;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(root), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: serve DIR ADDRESS:PORT [WORKERS]".into());
    };
    let workers = arguments.next().map_or(Ok(0), |count| count.parse())?;
    let config = Config { root: Some(root.into()), connections_per_address_max: 0, ..Config::default() };

    let runtime = Runtime::start("web", workers, Trace::off())?;
    let world = runtime.world();
    let server = Arc::new(Server::new(world, &config, Site::open(&config)?));
    let _door = tcp::serve(world, address.parse()?, &server.tcp_options(), &server)?;
    loop {
        std::thread::park();
    }
}
