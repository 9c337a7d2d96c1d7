//! The name server over a world: doors, zone files, reload.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`journal`] | zones and their changes in the store |
//! | [`load`] | zone files from disk, and the built-in zone |
//! | [`stream`] | queries over TCP: RFC 7766 |
//! | [`transfers`] | the zones that move or are changed by message |
//! | [`primary`] | what is asked about them: AXFR, IXFR, UPDATE, NOTIFY |
//! | [`secondary`] | zones taken in from elsewhere |
//! | `notifier.rs` | secondaries told of changes |
//!
//! UDP needs no file of its own: net's batched shell drives [`Authority`] directly.

pub mod journal;
pub mod load;
mod notifier;
pub mod primary;
pub mod secondary;
pub mod stream;
pub mod transfers;

use std::sync::{Arc, Mutex, PoisonError};

use doorway_net::World;
use doorway_net::tcp::{self, TcpDoor};
use doorway_net::udp::{self, UdpDoor, UdpOptions};

use crate::authority::counters::Counters;
use crate::authority::{Authority, Published};
use crate::config::Config;
use crate::error::Error;
use crate::summary;
use crate::zone::{HashKey, Zones};
use load::Loaded;
use stream::Streams;

/// Name of the service in tables, metrics and logs.
pub const SERVICE: &str = "dns";
/// Name of the protocol in the trace.
pub const PROTOCOL: &str = "dns";
/// The port that RFC 1035 §4.2 gives to DNS.
pub const PORT: u16 = 53;

/// A name server that is serving. Dropping it does not close its doors; [`Server::close`] does.
#[derive(Debug)]
pub struct Server {
    published: Published,
    counters: Mutex<Vec<Arc<Counters>>>,
    udp: Vec<UdpDoor>,
    tcp: Vec<TcpDoor>,
}

/// What a reload did.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// Zones whose file was read and is served now.
    pub zones: usize,
    /// Zones that were refused; the version before goes on being served where there was one.
    pub refused: Vec<Error>,
}

impl Server {
    /// Reads every zone and opens every door. Warnings about zones are logged.
    ///
    /// # Errors
    /// The first zone that is refused, or the first address that cannot be bound; then no door stays
    /// open.
    pub fn start(world: &World, config: &Config) -> Result<Self, Error> {
        let secret = HashKey::new(&mut world.random());
        let Loaded { zones, refused } = load::load(config, secret, None);
        if let Some(error) = refused.into_iter().next() {
            return Err(error);
        }
        let zones = Zones::new(secret, zones).map_err(|name| Error::Twice { zone: name.to_string() })?;
        let mut server = Self {
            published: Published::new(zones),
            counters: Mutex::default(),
            udp: Vec::new(),
            tcp: Vec::new(),
        };
        match server.open(world, config) {
            Ok(()) => Ok(server),
            Err(error) => {
                server.close();
                Err(error)
            }
        }
    }

    fn open(&mut self, world: &World, config: &Config) -> Result<(), Error> {
        let streams = Arc::new(Streams::new(self.engine(config)));
        let mut udp_options = UdpOptions::new(SERVICE, PROTOCOL, PORT);
        udp_options.listen.receive_octets = Some(config.receive_buffer_octets);
        udp_options.send_octets_max = usize::from(config.udp_octets_max);
        udp_options.threads = config.threads;
        udp_options.summary = summary;
        for address in config.listen.iter().flat_map(|listen| world.addresses(listen)) {
            let options = stream::options(&config.limits, &config.proxies);
            let door = tcp::serve(world, address, &options, &streams)?;
            // With port 0 the system chose one; UDP takes the same, as clients expect. The other way
            // round, a connection that happens to have this port as its own would be in the way.
            let address = door.local().unwrap_or(address);
            self.tcp.push(door);
            self.udp.push(udp::serve(world, address, &udp_options, |_, _| self.engine(config))?);
        }
        Ok(())
    }

    fn engine(&self, config: &Config) -> Authority {
        let counters = Arc::new(Counters::default());
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        Authority::new(self.published.clone(), counters, config.udp_octets_max)
    }

    /// Reads every zone again and puts what was read in the place of what is served, without losing a
    /// query. Doors stay as they are.
    ///
    /// Blocks while files are read, about a second for each million records: not for a worker.
    pub fn reload(&self, config: &Config) -> Reloaded {
        let before = self.published.current();
        let Loaded { zones, mut refused } = load::load(config, before.secret(), Some(&before));
        let count = zones.len();
        match Zones::new(before.secret(), zones) {
            Ok(zones) => {
                self.published.publish(zones);
                Reloaded { zones: count, refused }
            }
            Err(name) => {
                refused.push(Error::Twice { zone: name.to_string() });
                Reloaded { zones: 0, refused }
            }
        }
    }

    /// The zones served now.
    #[must_use]
    pub fn zones(&self) -> Arc<Zones> {
        self.published.current()
    }

    /// The counters of every worker.
    #[must_use]
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The UDP doors, in the order of the addresses in the config.
    #[must_use]
    pub fn udp(&self) -> &[UdpDoor] {
        &self.udp
    }

    /// The TCP doors, likewise.
    #[must_use]
    pub fn tcp(&self) -> &[TcpDoor] {
        &self.tcp
    }

    /// Closes every door for newcomers and asks those inside to finish.
    pub fn close(&self) {
        self.udp.iter().for_each(UdpDoor::close);
        self.tcp.iter().for_each(TcpDoor::close);
    }
}
