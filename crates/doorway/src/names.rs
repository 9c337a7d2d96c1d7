//! Addresses of the hosts that proxies ask: by this machine's table of hosts, then by the name server in process;
//! where that looks nothing up beyond its own zones, by the name servers that this machine uses.

use core::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use doorway_dns::Server;
use doorway_dns::io::names::Names as InProcess;
use doorway_net::resolve::{Exchanger, Resolve, ResolveError};
use doorway_net::{BoxFuture, World};

use crate::command::asking::{Names as OfMachine, hosts};

/// Where the table of hosts is.
const HOSTS_FILE: &str = "/etc/hosts";

/// Finds addresses for proxies.
pub(crate) struct Names {
    world: World,
    sources: Mutex<Sources>,
}

#[derive(Clone)]
struct Sources {
    hosts: std::sync::Arc<str>,
    in_process: InProcess,
    /// Whether the name server in process looks up what it does not serve.
    recursive: bool,
}

impl Names {
    pub(crate) fn open(world: &World, server: &Server) -> Self {
        Self { world: world.clone(), sources: Mutex::new(Sources::read(server)) }
    }

    /// Reads the table of hosts again, and asks `server` from now on.
    pub(crate) fn renew(&self, server: &Server) {
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = Sources::read(server);
    }
}

impl Sources {
    fn read(server: &Server) -> Self {
        Self {
            hosts: std::fs::read_to_string(HOSTS_FILE).unwrap_or_default().into(),
            in_process: server.names(),
            recursive: server.recursion().is_some(),
        }
    }
}

impl Resolve for Names {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async move {
            let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let known = hosts(&sources.hosts, name);
            if !known.is_empty() {
                return Ok(known);
            }
            match sources.in_process.addresses(name).await {
                Err(_) if !sources.recursive => OfMachine::of_machine(&self.world).addresses(name).await,
                found => found,
            }
        })
    }

    fn exchangers<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<Exchanger>, ResolveError>> {
        Box::pin(async move {
            let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match sources.in_process.exchangers(domain).await {
                Err(ResolveError::Unavailable(_)) if !sources.recursive => {
                    OfMachine::of_machine(&self.world).exchangers(domain).await
                }
                found => found,
            }
        })
    }
}
