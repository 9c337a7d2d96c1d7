//! The proxy over a world: upstreams with their connections, checks and counters, and the handler of a route
//! that hands requests on.
//!
//! | file | what it does |
//! | --- | --- |
//! | `upstream.rs` | [`Upstream`]: one of several servers is asked, another one if that fails |
//! | `servers.rs` | what is known of each server, and the choice among them |
//! | `checks.rs` | servers asked every so often whether they are well |
//! | `reverse.rs` | [`Reverse`]: the handler of a route, and its [`Fetch`](doorway_net::web::Fetch) |
//! | `forward.rs` | [`Forward`]: the handler of the forward proxy: who may use it, for what |
//! | `gate.rs` | who has to log in to it |
//! | `outbound.rs` | [`Outbound`]: whatever server a client names, or a parent proxy, is asked |
//! | `response.rs` | what the client gets |
//! | `body.rs` | content on its way through: lent, collected, counted |
//! | `tunnel.rs` | octets between two connections that are no longer HTTP |
//! | `through.rs` | the same on a stream of HTTP/2 |
//!
//! What may be said and who is asked is decided in [`crate::proxy`].

mod body;
mod checks;
mod forward;
mod gate;
mod outbound;
mod response;
mod reverse;
mod servers;
mod through;
mod tunnel;
mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;

use doorway_net::World;
use doorway_net::resolve::Resolve;

use crate::config::{Config, RouteDoes, UpstreamConfig};
use crate::error::Error;

pub use forward::{Forward, ForwardCounts};
pub use outbound::Outbound;
pub use response::failed;
pub use reverse::Reverse;
pub use servers::ServerRow;
pub use tunnel::{Relayed, TunnelLimits, relay};
pub use upstream::{Tried, Upstream};

/// Every upstream of the config, by name.
pub struct Proxies {
    name: Arc<str>,
    upstreams: BTreeMap<String, Arc<Upstream>>,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.upstreams.keys()).finish()
    }
}

impl Proxies {
    /// The upstreams of a config, whose servers' names are looked up by `resolver`. Those that were there `before`
    /// with the same settings stay as they are, with their connections and what is known of their servers.
    ///
    /// # Errors
    /// [`Error::Upstream`].
    pub fn open(
        world: &World,
        resolver: &Arc<dyn Resolve>,
        config: &Config,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let name = match before {
            Some(before) => Arc::clone(&before.name),
            // Its own at each start, so that several of us in a row are not taken for a loop.
            None => format!("doorway-{:08x}", world.random().next_u64() as u32).into(),
        };
        let mut upstreams = BTreeMap::new();
        let mut open = |config: &UpstreamConfig| {
            if upstreams.contains_key(&config.name) {
                return Ok(());
            }
            let same = before.and_then(|before| before.upstreams.get(&config.name));
            let upstream = match same.filter(|same| same.config() == config) {
                Some(same) => Arc::clone(same),
                None => Upstream::open(world, resolver, config)?,
            };
            upstreams.insert(config.name.clone(), upstream);
            Ok(())
        };
        config.upstreams.iter().try_for_each(&mut open)?;
        for route in config.sites.iter().flat_map(|site| &site.routes) {
            if let RouteDoes::Proxy(proxy) = &route.does
                && !config.upstreams.iter().any(|upstream| proxy.to == [upstream.name.as_str()])
            {
                open(&UpstreamConfig::plain(&proxy.to))?;
            }
        }
        Ok(Self { name, upstreams })
    }

    /// The proxy's name in Via.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The upstream that a route names, or whose servers it lists.
    #[must_use]
    pub fn find(&self, to: &[String]) -> Option<&Arc<Upstream>> {
        self.upstreams.get(&to.join(", "))
    }

    /// All of them, in the order of their names.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.values()
    }
}
