//! A small shop: `cargo run -p doorway-shop [DATA [ADDRESS:PORT [TLS_ADDRESS:PORT]]]`.
//!
//! It shows what a cookie carries. The browser keeps 128 random bits and nothing else; the login, the cart and
//! what was looked at stand in the session, here, and `/cookies` shows all of it. Without words it keeps its
//! data in `shop-data` and listens on 127.0.0.1:8088, and with TLS on 127.0.0.1:8448. Users are those of the
//! data folder; the first start makes `ann` and prints her password.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `goods.rs` | what there is to buy, and what goes with what |
//! | `basket.rs` | what the session keeps: cart and what was seen, as text |
//! | `shop.rs` | the pages, by path |
//! | `page.rs`, `shop.css` | how they look |
//! | `told.rs` | `/cookies`: what the browser sent, and what the session behind it holds |

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the program tells where it listens")]

mod basket;
mod goods;
mod page;
mod shop;
mod told;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use doorway_base::Trace;
use doorway_http::session::LoginConfig;
use doorway_http::{Authenticator, Config, Login, Server, Sites};
use doorway_net::os::Runtime;
use doorway_net::tls::local_ca::LocalCa;
use doorway_net::tls::{Certificates, TlsAcceptor};
use doorway_net::{World, entropy, tcp};
use doorway_store::{
    AuthConfig, Embedded, LoginGate, Options, Role, SessionOptions, Sessions, Store, UserOptions, Users, wait,
};

use shop::Shop;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let data = PathBuf::from(words.next().unwrap_or_else(|| "shop-data".to_owned()));
    let address = words.next().unwrap_or_else(|| "127.0.0.1:8088".to_owned()).parse()?;
    let tls_address = words.next().unwrap_or_else(|| "127.0.0.1:8448".to_owned()).parse()?;

    std::fs::create_dir_all(&data)?;
    let runtime = Runtime::start("shop", 1, Trace::off())?;
    let world = runtime.world();
    let store: Arc<dyn Store> = Arc::new(Embedded::open(Options::new(data.join("store")))?);
    let users = Arc::new(Users::new(Arc::clone(&store), UserOptions::new(Arc::new(entropy::fill)))?);
    first_user(&users, world)?;
    let options = SessionOptions::default();
    let sessions = Sessions::open(store, options, Arc::new(entropy::fill), world.wall());
    let sessions = Arc::new(wait(sessions)?);

    let gate = Arc::new(LoginGate::new(users, AuthConfig::default().guesses_max));
    let authenticator = Authenticator::start(world, gate, sessions, LoginConfig::default());
    let shop = Shop::new(world, Arc::clone(&authenticator), options);
    let sites = Sites::default()
        .mount("/", Arc::new(shop))
        .mount(&authenticator.config().path, Arc::new(Login::new(world, Arc::clone(&authenticator))));
    let server = Arc::new(Server::new(world, &Config::default(), sites));
    let door = tcp::serve(world, address, &server.tcp_options(false), &server)?;
    let mut options = server.tcp_options(true);
    options.tls = Some(Arc::new(TlsAcceptor::new(certificates(&data, world)?, &["http/1.1"])?));
    let tls_door = tcp::serve(world, tls_address, &options, &server)?;
    for (scheme, door) in [("http", door), ("https", tls_door)] {
        if let Some(local) = door.local() {
            println!("{scheme}://{local}/");
        }
    }
    loop {
        std::thread::park();
    }
}

/// Adds `ann` where there is nobody yet.
fn first_user(users: &Users, world: &World) -> Result<(), Box<dyn Error>> {
    if !wait(users.list())?.is_empty() {
        return Ok(());
    }
    let mut octets = [0; 8];
    entropy::fill(&mut octets);
    let password: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    wait(users.add("ann", "Ann", &[Role::User], Some(&password), world.wall()))?;
    println!("ann's password is {password}");
    Ok(())
}

/// A certificate for this machine, signed by an authority in the data folder.
fn certificates(data: &std::path::Path, world: &World) -> Result<Certificates, Box<dyn Error>> {
    let folder = data.join("tls");
    std::fs::create_dir_all(&folder)?;
    let mut certificates = Certificates::default();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    LocalCa::open(&folder, &["localhost"], world.wall())?.leaf(&mut certificates, &names, world.wall())?;
    Ok(certificates)
}
