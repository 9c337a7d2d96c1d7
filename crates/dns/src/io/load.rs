//! Zone files from disk, and the zone that is served when there is none.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorway_net::memory;

use super::include;
use crate::config::{Config, ZoneConfig};
use crate::error::Error;
use crate::leases::reverse_name;
use crate::wire::Name;
use crate::zone::fault::Faults;
use crate::zone::{HashKey, Key, Zone, Zones, file};

/// The zone of the local network while no zone is configured. Its names are relative, so it fits
/// whatever that domain is called.
pub const BUILT_IN: &str = "\
$TTL 1h
@          SOA    ns hostmaster 1 2h 15m 2w 5m
           NS     ns
           A      127.0.0.1
           AAAA   ::1
           TXT    \"This zone is built in; add a [[dns.zone]] to serve your own.\"
ns         A      127.0.0.1
           AAAA   ::1
www        CNAME  @
localhost  A      127.0.0.1
           AAAA   ::1
";

/// What came of reading every zone.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The zones to serve.
    pub zones: Vec<Arc<Zone>>,
    /// The zones that could not be read.
    pub refused: Vec<Error>,
}

/// Zone files that were read before the server starts, so that they need not be read again.
#[derive(Debug)]
pub struct ReadAhead {
    secret: HashKey,
    zones: Vec<(PathBuf, Zone, Faults)>,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self { secret: HashKey::new(&mut doorway_net::entropy::random()), zones: Vec::new() }
    }
}

impl ReadAhead {
    /// The key that its zones are read with.
    #[must_use]
    pub const fn secret(&self) -> HashKey {
        self.secret
    }

    /// Keeps the zone that the file at `path` holds, with its warnings.
    pub fn keep(&mut self, path: &Path, zone: Zone, warnings: Faults) {
        self.zones.push((path.to_owned(), zone, warnings));
    }

    fn take(&mut self, apex: &Name, path: &Path) -> Option<(Zone, Faults)> {
        let at = self.zones.iter().position(|(file, zone, _)| file == path && zone.apex() == apex)?;
        let (_, zone, warnings) = self.zones.swap_remove(at);
        Some((zone, warnings))
    }
}

/// What a zone that nobody wrote begins with.
const BARE: &str = "$TTL 1h\n@ SOA localhost. hostmaster.localhost. 1 2h 15m 2w 5m\n@ NS localhost.\n";

/// Reads every zone of `config` that was not read ahead. A zone that is refused keeps its version in
/// `before`, when there is one.
pub fn load(
    config: &Config,
    secret: HashKey,
    mut ahead: Option<ReadAhead>,
    before: Option<&Zones>,
) -> Loaded {
    let mut loaded = Loaded::default();
    for (name, text) in built_in(config) {
        let read =
            apex(&name).and_then(|apex| read(&apex, Path::new("built-in zone"), text.as_bytes(), secret));
        loaded.take(&name, read, secret, before);
    }
    for zone in &config.zones {
        // A secondary has no file.
        if let Some(file) = &zone.file {
            let read = read_file(zone, file, secret, ahead.as_mut());
            loaded.take(&zone.name, read, secret, before);
        }
    }
    loaded
}

/// The zones that have no file, each with its text: that of the local network, and those of single names
/// and of the addresses that lead back to them.
fn built_in(config: &Config) -> Vec<(String, String)> {
    let own = |name: &Name| {
        config.zones.iter().any(|zone| zone.name.parse().is_ok_and(|apex: Name| name.is_within(&apex)))
    };
    let local: Option<Name> = config.local_domain.parse().ok();
    let mut zones = Vec::new();
    let (mut local_lines, mut extra) = (String::new(), BTreeMap::<Name, String>::new());
    for host in &config.hosts {
        let name = &host.name;
        let lines: String = host
            .addresses
            .iter()
            .map(|address| match address {
                IpAddr::V4(v4) => format!("{name} A {v4}\n"),
                IpAddr::V6(v6) => format!("{name} AAAA {v6}\n"),
            })
            .collect();
        match &local {
            Some(local) if name.is_within(local) && !own(local) => local_lines.push_str(&lines),
            _ => extra.entry(name.clone()).or_default().push_str(&lines),
        }
        for reverse in host.addresses.iter().map(|address| reverse_name(*address)) {
            if !own(&reverse) {
                let line = format!("{reverse} PTR {name}\n");
                extra.entry(reverse).or_default().push_str(&line);
            }
        }
    }
    let leases = |apex: &Name| config.lease_zones.contains(apex) && !own(apex);
    if config.zones.is_empty() || !local_lines.is_empty() || local.as_ref().is_some_and(leases) {
        zones.push((config.local_domain.clone(), format!("{BUILT_IN}{local_lines}")));
    }
    for apex in config.lease_zones.iter().filter(|apex| !own(apex) && local.as_ref() != Some(apex)) {
        zones.push((apex.to_string(), BARE.to_owned()));
    }
    // A zone each, so that nothing beside these names is answered for.
    zones.extend(extra.into_iter().map(|(name, lines)| (name.to_string(), format!("{BARE}{lines}"))));
    zones
}

impl Loaded {
    fn take(&mut self, name: &str, read: Result<Zone, Error>, secret: HashKey, before: Option<&Zones>) {
        match read {
            Ok(zone) => self.zones.push(Arc::new(zone)),
            Err(error) => {
                self.zones.extend(before.and_then(|zones| served(zones, name, secret)));
                self.refused.push(error);
            }
        }
    }
}

/// The names and addresses of the root servers in a file such as IANA publishes: one record a line,
/// NS at the root, A and AAAA of those servers.
///
/// # Errors
/// A file that cannot be read, or that names no server with an address.
pub fn root_hints(path: &Path) -> Result<Vec<(Name, Vec<IpAddr>)>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::File {
        zone: "root hints".to_owned(),
        path: path.to_owned(),
        source,
    })?;
    let hints = hints(&text);
    if hints.is_empty() { Err(Error::Hints { path: path.to_owned() }) } else { Ok(hints) }
}

fn hints(text: &str) -> Vec<(Name, Vec<IpAddr>)> {
    let mut hints: Vec<(Name, Vec<IpAddr>)> = Vec::new();
    let lines = text.lines().map(|line| line.split(';').next().unwrap_or_default());
    let mut addresses: Vec<(Name, IpAddr)> = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [owner, between @ .., data] = &words[..] else { continue };
        let (Ok(owner), Some(kind)) = (owner.parse::<Name>(), between.last()) else { continue };
        match (kind.to_ascii_uppercase().as_str(), data.parse::<Name>(), data.parse::<IpAddr>()) {
            ("NS", Ok(server), _) if owner.is_root() => hints.push((server, Vec::new())),
            ("A" | "AAAA", _, Ok(address)) => addresses.push((owner, address)),
            _ => {}
        }
    }
    for (server, own) in &mut hints {
        own.extend(addresses.iter().filter(|(name, _)| name == server).map(|(_, address)| address));
    }
    hints.retain(|(_, addresses)| !addresses.is_empty());
    hints
}

fn served(zones: &Zones, name: &str, secret: HashKey) -> Option<Arc<Zone>> {
    let name: Name = name.parse().ok()?;
    let mut key = Key::default();
    key.set(secret, name.as_octets())?;
    zones.apex(&key).cloned()
}

fn read_file(
    zone: &ZoneConfig,
    path: &Path,
    secret: HashKey,
    ahead: Option<&mut ReadAhead>,
) -> Result<Zone, Error> {
    let apex = apex(&zone.name)?;
    if let Some((read, warnings)) = ahead.and_then(|ahead| ahead.take(&apex, path)) {
        return Ok(take_over(read, &warnings).with_rotate(zone.rotate));
    }
    let text = std::fs::read(path).map_err(|source| Error::File {
        zone: zone.name.clone(),
        path: path.to_owned(),
        source,
    })?;
    read(&apex, path, &text, secret).map(|read| read.with_rotate(zone.rotate))
}

fn apex(name: &str) -> Result<Name, Error> {
    name.parse().map_err(|fault| Error::Name { name: name.to_owned(), fault })
}

fn read(apex: &Name, path: &Path, text: &[u8], secret: HashKey) -> Result<Zone, Error> {
    let read = file::read_including(apex, &path.to_string_lossy(), text, secret, &mut include::beneath(path));
    let (zone, warnings) = read.map_err(|faults| Error::Zone { zone: apex.to_string(), faults })?;
    Ok(take_over(zone, &warnings))
}

// A zone that is to be served from here on.
fn take_over(zone: Zone, warnings: &Faults) -> Zone {
    let apex = zone.apex();
    for warning in &warnings.list {
        tracing::warn!(zone = %apex, "{warning}");
    }
    if warnings.left_out > 0 {
        tracing::warn!(zone = %apex, "and {} more warnings", warnings.left_out);
    }
    let (table, nodes) = zone.memory();
    memory::settle(table);
    memory::settle(nodes);
    tracing::info!(zone = %apex, serial = zone.serial(), records = zone.records(), "zone read");
    zone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostConfig;
    use doorway_base::Random;

    #[test]
    fn the_built_in_zone_is_without_fault_under_any_name() {
        let secret = HashKey::new(&mut Random::new(1));
        for name in ["home.arpa", "lan.example.org", "."] {
            let apex: Name = name.parse().unwrap();
            let (zone, warnings) = file::read(&apex, "built-in zone", BUILT_IN.as_bytes(), secret).unwrap();
            assert_eq!((zone.serial(), warnings.list), (1, Vec::new()));
        }
    }

    #[test]
    fn hosts_are_answered_for_and_lead_back() {
        let host = |name: &str, addresses: &[&str]| HostConfig {
            name: name.parse().unwrap(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let hosts = vec![
            host("printer.home.arpa", &["192.168.1.7", "fd00::7"]),
            host("nas.example.com", &["192.168.1.8"]),
            host("alias.example.com", &["192.168.1.8"]),
        ];
        let secret = HashKey::new(&mut Random::new(1));
        let Loaded { zones, refused } = load(&Config { hosts, ..Config::default() }, secret, None, None);
        assert!(refused.is_empty(), "{refused:?}");
        let mut names: Vec<String> = zones.iter().map(|zone| zone.apex().to_string()).collect();
        names.sort();
        let reverse = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.";
        assert_eq!(
            names,
            [
                reverse,
                "7.1.168.192.in-addr.arpa.",
                "8.1.168.192.in-addr.arpa.",
                "alias.example.com.",
                "home.arpa.",
                "nas.example.com."
            ]
        );
        let records =
            |apex: &str| zones.iter().find(|zone| zone.apex().to_string() == apex).unwrap().records();
        assert_eq!((records("nas.example.com."), records("8.1.168.192.in-addr.arpa.")), (3, 4));
    }

    #[test]
    fn root_hints_are_read_as_iana_writes_them() {
        let text = "; formerly NS.INTERNIC.NET\n.  3600000  NS  A.ROOT-SERVERS.NET.\n\
                    A.ROOT-SERVERS.NET. 3600000 A 198.41.0.4\na.root-servers.net. 3600000 AAAA 2001:503:ba3e::2:30\n\
                    . 3600000 IN NS b.root-servers.net. ; without an address\n\
                    org. 3600000 NS a.root-servers.net.\n";
        let [(server, addresses)] = &hints(text)[..] else { panic!("one server has addresses") };
        assert_eq!(server.to_string().to_ascii_lowercase(), "a.root-servers.net.");
        assert_eq!(addresses.len(), 2);
    }

    #[test]
    fn a_zone_that_cannot_be_read_keeps_the_one_before() {
        let secret = HashKey::new(&mut Random::new(1));
        let config = Config::default();
        let Loaded { zones, refused } = load(&config, secret, None, None);
        assert!(refused.is_empty());
        let before = Zones::new(secret, zones).unwrap();
        let zone = |name: &str| ZoneConfig {
            name: name.to_owned(),
            file: Some("/no/such/file".into()),
            ..ZoneConfig::default()
        };
        let config = Config { zones: vec![zone("Home.ARPA"), zone("example.org"), zone("a..b")], ..config };
        let after = load(&config, secret, None, Some(&before));
        assert!(Arc::ptr_eq(&after.zones[0], &before.list()[0]));
        assert_eq!((after.zones.len(), after.refused.len()), (1, 3));
        assert!(matches!(after.refused[2], Error::Name { .. }));
    }
}
