//! Puts the names of leases into the zones of the name server, with the rows of the leases in one transaction.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorway_dhcp::NameChange;
use doorway_dhcp::io::{Names, NamesError, Rows};
use doorway_dns::Config;
use doorway_dns::io::Server;
use doorway_dns::leases::{Lease, LeaseChange, reverse_zones};
use doorway_dns::wire::Name;
use doorway_net::BoxFuture;
use doorway_store::{Batch, Store};

/// The zones that names go into, as the name server has them.
pub(crate) struct LeaseNames {
    serving: Mutex<Serving>,
    store: Arc<dyn Store>,
    /// Held by whoever gives the name server other zones.
    changing: Mutex<()>,
}

/// The name server and what it serves by.
struct Serving {
    server: Arc<Server>,
    config: Config,
}

impl LeaseNames {
    /// Names in the zones for leases of `server`, which serves by `config`.
    pub(crate) fn new(server: &Arc<Server>, config: &Config, store: Arc<dyn Store>) -> Self {
        let serving = Serving { server: Arc::clone(server), config: config.clone() };
        Self { serving: Mutex::new(serving), store, changing: Mutex::default() }
    }

    /// Keeps others from changing the zones meanwhile.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self) -> MutexGuard<'_, Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another server has taken over, or other zones are there.
    pub(crate) fn renew(&self, server: &Arc<Server>, config: &Config) {
        *self.serving() = Serving { server: Arc::clone(server), config: config.clone() };
    }

    /// Has the name server serve the zones that leases need now, beside those that it has: an interface may have
    /// got a network of its own since. Zones that are needed no longer go at the next reload.
    ///
    /// Blocks while zones are read: not for a worker.
    pub(crate) fn serve_too(&self, needed: impl FnOnce(&Config) -> Vec<Name>) {
        let _changing = self.changing();
        let (server, mut config) = {
            let serving = self.serving();
            (Arc::clone(&serving.server), serving.config.clone())
        };
        let mut new = needed(&config);
        new.retain(|zone| !config.lease_zones.contains(zone));
        if new.is_empty() {
            return;
        }
        config.lease_zones.extend(new);
        for error in server.reload(&config).refused {
            tracing::error!(%error, "a zone cannot be read again and is served as it was");
        }
        self.renew(&server, &config);
    }

    fn apex_of(&self, domain: &Name) -> Option<Name> {
        let serving = self.serving();
        let zones = serving.config.lease_zones.iter().filter(|zone| domain.is_within(zone));
        zones.max_by_key(|zone| zone.label_count()).cloned()
    }

    // `None` where the domain is none of ours, or the name is no name.
    fn translated(&self, change: &NameChange) -> Option<LeaseChange> {
        match change {
            NameChange::Bound { host, domain, address, client, seconds, before } => {
                let domain: Name = domain.parse().ok()?;
                let before = before.as_deref().and_then(|before| before.parse().ok());
                let (client_kind, octets) = client.parts();
                let lease = Lease {
                    host: (!host.is_empty()).then(|| host.clone()),
                    address: *address,
                    client: octets.to_vec(),
                    client_kind,
                    seconds: *seconds,
                };
                Some(LeaseChange::Bound { apex: self.apex_of(&domain)?, domain, lease, before })
            }
            NameChange::Ended { name, domain, address, client } => {
                let (client_kind, octets) = client.parts();
                let lease =
                    Lease { host: None, address: *address, client: octets.to_vec(), client_kind, seconds: 0 };
                let apex = self.apex_of(&domain.parse().ok()?)?;
                Some(LeaseChange::Ended { apex, name: name.parse().ok()?, lease })
            }
        }
    }
}

impl Names for LeaseNames {
    fn change(
        &self,
        changes: Vec<NameChange>,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Vec<Option<String>>, NamesError>> {
        Box::pin(async move {
            let translated: Vec<Option<LeaseChange>> =
                changes.iter().map(|change| self.translated(change)).collect();
            let places: Vec<usize> = translated
                .iter()
                .enumerate()
                .filter_map(|(at, change)| change.as_ref().map(|_| at))
                .collect();
            let ours: Vec<LeaseChange> = translated.into_iter().flatten().collect();
            let total = changes.len();
            // Each name at the place of its change; those of other domains have none.
            let spread = move |names: &[Option<Name>]| {
                let mut all = vec![None; total];
                for (place, name) in places.iter().zip(names) {
                    all[*place] = name.as_ref().map(|name| name.to_string().trim_end_matches('.').to_owned());
                }
                all
            };
            let told = |error: &dyn std::fmt::Display| NamesError(error.to_string());
            let server = Arc::clone(&self.serving().server);
            let Some(upkeep) = server.upkeep().filter(|_| !ours.is_empty()) else {
                // No zone is to be changed: the rows alone.
                let names = vec![None; total];
                let batch: Batch = rows(&names);
                self.store.commit(batch).await.map_err(|error| told(&error))?;
                return Ok(names);
            };
            let spread_rows = |names: &[Option<Name>]| rows(&spread(names));
            let names = upkeep.transfers().leases(&ours, spread_rows).await.map_err(|error| told(&error))?;
            Ok(spread(&names))
        })
    }
}

/// The zones for the names of leases in these domains and networks: those of the config that they lie in, and
/// others of their own.
pub(crate) fn zones(
    config: &Config,
    domains: impl Iterator<Item = String>,
    networks: impl Iterator<Item = (core::net::Ipv4Addr, u8)>,
) -> Vec<Name> {
    let domains = domains.filter_map(|domain| domain.parse::<Name>().ok());
    let reverse = networks.flat_map(|(network, prefix)| reverse_zones(network, prefix));
    let mut zones: Vec<Name> = Vec::new();
    for wanted in domains.chain(reverse) {
        let own = config.zones.iter().filter_map(|zone| Some((zone.name.parse::<Name>().ok()?, zone)));
        let own = own.filter(|(apex, _)| wanted.is_within(apex));
        let zone = match own.max_by_key(|(apex, _)| apex.label_count()) {
            // One that comes from elsewhere is not ours to change.
            Some((apex, zone)) if zone.file.is_some() => apex,
            Some(_) => continue,
            None => wanted,
        };
        if !zones.contains(&zone) {
            zones.push(zone);
        }
    }
    // One of its own that lies within another of them would hide what that one has there.
    let configured =
        |zone: &Name| config.zones.iter().any(|own| own.name.parse().is_ok_and(|apex: Name| apex == *zone));
    let within = |zone: &Name| zones.iter().any(|other| other != zone && zone.is_within(other));
    zones.iter().filter(|zone| configured(zone) || !within(zone)).cloned().collect()
}
