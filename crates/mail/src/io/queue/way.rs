//! Finds the servers of a destination one after the other: addresses of a route, of a literal, or of the
//! domain's mail exchangers.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use doorway_base::Random;
use doorway_net::Resolve;

use super::super::smtp_client::{Place, Target};
use crate::address::Domain;
use crate::queue::route::{self, Ourselves};
use crate::reply::Reply;
use crate::smtp::Settings;

/// Most addresses of one host that are tried.
const ADDRESSES_MAX: usize = 6;

/// Where the operator wants mail of a domain to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The server.
    pub server: Server,
    /// How to talk to it.
    pub settings: Settings,
}

/// A server that is named instead of found by MX records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// A host name or an address, and a port.
    Host(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The servers of one destination that were not tried yet.
#[derive(Debug)]
pub(super) struct Search {
    domain: String,
    hosts: VecDeque<String>,
    targets: VecDeque<Target>,
    port: u16,
    /// Hosts from DNS may be ourselves; those of a route are what the operator wants.
    by_dns: bool,
}

impl Search {
    /// Finds the hosts of `domain`, or those of its route.
    ///
    /// # Errors
    /// The reply that says why there are none.
    pub(super) async fn begin(
        resolve: &dyn Resolve,
        domain: &Domain,
        way: Option<&Way>,
        port: u16,
        ourselves: &Ourselves,
        random: &mut Random,
    ) -> Result<Self, Reply> {
        let name = domain.ascii().unwrap_or_else(|| domain.to_string());
        let mut search =
            Self { domain: name, hosts: VecDeque::new(), targets: VecDeque::new(), port, by_dns: false };
        match (way.map(|way| &way.server), domain) {
            (Some(Server::Unix(path)), _) => {
                let name = path.display().to_string();
                search.targets.push_back(Target { name, place: Place::Unix(path.clone()) });
            }
            (Some(Server::Host(host, port)), _) => {
                search.port = *port;
                search.hosts.push_back(host.clone());
            }
            (None, Domain::Literal(address)) => {
                if ourselves.addresses.contains(address) {
                    return Err(route::loops_back(&search.domain));
                }
                let place = Place::Tcp(SocketAddr::new(*address, port));
                search.targets.push_back(Target { name: address.to_string(), place });
            }
            (None, Domain::Name(_)) => {
                let found = resolve.exchangers(&search.domain).await;
                search.hosts = route::hosts(&search.domain, found, ourselves, random)?.into();
                search.by_dns = true;
            }
        }
        Ok(search)
    }

    /// The next server to try; `None` when there are no more.
    ///
    /// # Errors
    /// The reply that says why the next host cannot be tried. There may be others behind it.
    pub(super) async fn next(
        &mut self,
        resolve: &dyn Resolve,
        ourselves: &Ourselves,
    ) -> Result<Option<Target>, (String, Reply)> {
        if let Some(target) = self.targets.pop_front() {
            return Ok(Some(target));
        }
        let Some(host) = self.hosts.pop_front() else { return Ok(None) };
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => match resolve.addresses(&host).await {
                Ok(addresses) => addresses,
                Err(error) => return Err((host.clone(), route::unresolved(&host, &error))),
            },
        };
        if self.by_dns && addresses.iter().any(|address| ourselves.addresses.contains(address)) {
            // Whatever is not better than ourselves must not be tried either (RFC 5321 §5.1).
            self.hosts.clear();
            return Err((host, route::loops_back(&self.domain)));
        }
        let target =
            |address| Target { name: host.clone(), place: Place::Tcp(SocketAddr::new(address, self.port)) };
        self.targets = addresses.into_iter().take(ADDRESSES_MAX).map(target).collect();
        Ok(self.targets.pop_front())
    }
}
