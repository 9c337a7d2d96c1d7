//! Serves a folder: `serve DIR ADDRESS:PORT [WORKERS [TLS_ADDRESS:PORT]]`.
//!
//! With a second address it speaks TLS there, with a certificate for localhost from an authority that
//! is made in the folder `serve-ca` of the system's temporary folder.

use std::sync::Arc;

use doorway_base::Trace;
use doorway_http::{Config, Handlers, Server, Sites};
use doorway_net::os::Runtime;
use doorway_net::tcp;
use doorway_net::tls::local_ca::LocalCa;
use doorway_net::tls::{Certificates, TlsAcceptor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(root), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: serve DIR ADDRESS:PORT [WORKERS [TLS_ADDRESS:PORT]]".into());
    };
    let workers = arguments.next().map_or(Ok(0), |count| count.parse())?;
    let config = Config { root: Some(root.into()), ..Config::default() };

    let runtime = Runtime::start("web", workers, Trace::off())?;
    let world = runtime.world();
    let server = Arc::new(Server::new(world, &config, Sites::open(&config, &Handlers::default())?));
    let _door = tcp::serve(world, address.parse()?, &server.tcp_options(false), &server)?;
    if let Some(address) = arguments.next() {
        let folder = std::env::temp_dir().join("serve-ca");
        std::fs::create_dir_all(&folder)?;
        let mut certificates = Certificates::default();
        LocalCa::open(&folder, &[], world.wall())?.leaf(
            &mut certificates,
            &["localhost".to_owned(), "127.0.0.1".to_owned()],
            world.wall(),
        )?;
        let mut options = server.tcp_options(true);
        options.tls = Some(Arc::new(TlsAcceptor::new(certificates, Server::protocols(&config))?));
        tcp::serve(world, address.parse()?, &options, &server)?;
    }
    loop {
        std::thread::park();
    }
}
