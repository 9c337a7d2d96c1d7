//! The options in front of a script, made into a resolver's configuration.
//!
//! Options that only bound memory, time or logs are passed over; those about validation too, with a
//! note, because nothing is validated: AD is not compared then, and everything else is. One that would
//! change what is answered, and is not known, makes the script unsupported.

use core::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::script::{Refusal, Script, Setting};
use crate::cache::Limits;
use crate::resolver::Config;
use crate::resolver::config::{ForwardZone, Minimisation, StubZone, Upstream};
use crate::wire::Name;

/// Longer than any script: time-outs come as steps.
const NEVER: Duration = Duration::from_secs(1_000_000_000);

/// What a script is played with.
#[derive(Debug)]
pub struct Setup {
    /// The resolver's configuration.
    pub config: Config,
    /// The bounds of its cache.
    pub limits: Limits,
    /// What was passed over and may matter.
    pub notes: Vec<String>,
    /// How answers are made and compared.
    pub marks: Marks,
}

/// What is put into answers, and what of them is compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    /// Whether extended errors are put into answers.
    pub extended_errors: bool,
    /// Whether old data is marked with one.
    pub stale_extended_error: bool,
    /// The script is for a resolver that validates: AD is not looked at.
    pub validates: bool,
}

struct Zone {
    number: usize,
    stub: bool,
    name: Name,
    servers: Vec<Upstream>,
    server_names: Vec<Name>,
    first: bool,
    prime: bool,
    cached: bool,
}

/// Makes a configuration of the options of `script`.
///
/// # Errors
/// An option that would change answers and is not known.
pub fn setup(script: &Script) -> Result<Setup, Refusal> {
    let mut setup = Setup { config: bare(), limits: limits(), notes: Vec::new(), marks: Marks::default() };
    let mut zones: Vec<Zone> = Vec::new();
    for setting in &script.settings {
        match setting.clause.as_str() {
            "server" => server(&mut setup, setting)?,
            "stub-zone" | "forward-zone" => zone(&mut zones, setting)?,
            "remote-control" => {}
            clause => return unsupported(setting, format!("a clause `{clause}`")),
        }
    }
    if setup.marks.validates {
        setup.notes.push("AD is not compared".to_owned());
    }
    for zone in zones {
        let Zone { name, servers, server_names, first, .. } = zone;
        if zone.stub && name.is_root() && server_names.is_empty() && !first {
            // The roots themselves.
            let addresses: Vec<IpAddr> = servers.iter().map(|server| server.address.ip()).collect();
            setup.config.root_hints = vec![(Name::root(), addresses)];
        } else if zone.stub {
            let stub = StubZone { zone: name, servers, server_names, prime: zone.prime, first };
            setup.config.stub_zones.push(stub);
        } else {
            let forward = ForwardZone { zone: name, servers, server_names, first, cached: zone.cached };
            setup.config.forward_zones.push(forward);
        }
    }
    Ok(setup)
}

// What scripts of this form are written for when they do not say otherwise.
fn bare() -> Config {
    Config {
        prime_root: true,
        hides_type: true,
        aliases_together: false,
        random_case: false,
        cookies: false,
        rebinding_protection: false,
        private_addresses: Vec::new(),
        do_not_query: ["127.0.0.0/8", "::1/128"].iter().filter_map(|net| net.parse().ok()).collect(),
        minimal_responses: true,
        first_timeout: NEVER,
        timeout_min: NEVER,
        timeout_max: NEVER,
        wall: NEVER,
        explore_one_in: 0,
        timeouts_per_server: 5,
        special_names_except: ["local.", "resolver.arpa."]
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect(),
        prefetch: false,
        serve_stale: false,
        stale_client_timeout: Duration::ZERO,
        ..Config::default()
    }
}

fn limits() -> Limits {
    Limits { stale_max: NEVER, octets_max: 8 << 20, ..Limits::default() }
}

fn unsupported<T>(setting: &Setting, what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Unsupported { line: setting.line, what: what.into() })
}

fn server(setup: &mut Setup, setting: &Setting) -> Result<(), Refusal> {
    let config = &mut setup.config;
    let value = setting.values.first().map_or("", String::as_str);
    let yes = value == "yes";
    let malformed =
        || Refusal::Malformed { line: setting.line, expected: format!("a value for {}", setting.key) };
    let seconds = || value.parse().map(Duration::from_secs).map_err(|_| malformed());
    let name = || Name::from_text(value.as_bytes(), Some(&Name::root())).map_err(|_| malformed());
    match setting.key.as_str() {
        "qname-minimisation" if !yes => config.minimisation = Minimisation::Off,
        "qname-minimisation" => {}
        "qname-minimisation-strict" if yes => config.minimisation = Minimisation::Strict,
        // These two are words of our own, for scripts about what is chosen otherwise above.
        "hide-type" => config.hides_type = yes,
        "aliases-together" => config.aliases_together = yes,
        "minimal-responses" => config.minimal_responses = yes,
        "use-caps-for-id" => config.random_case = yes,
        "caps-exempt" | "caps-whitelist" => config.random_case_except.push(name()?),
        "do-ip4" => config.ipv4 = yes,
        "do-ip6" => config.ipv6 = yes,
        "do-tcp" | "do-udp" if yes => {}
        "tcp-upstream" => config.tcp_only = yes,
        "edns-buffer-size" => config.edns_octets = value.parse().map_err(|_| malformed())?,
        "disable-edns-do" => config.dnssec = !yes,
        "private-address" => {
            config.rebinding_protection = true;
            let text = if value.contains('/') { value.to_owned() } else { format!("{value}/32") };
            config.private_addresses.push(text.parse().map_err(|_| malformed())?);
        }
        "private-domain" => config.rebinding_allowed.push(name()?),
        "do-not-query-address" => {
            let width = if value.contains(':') { 128 } else { 32 };
            let text = if value.contains('/') { value.to_owned() } else { format!("{value}/{width}") };
            config.do_not_query.push(text.parse().map_err(|_| malformed())?);
        }
        "do-not-query-localhost" if !yes => config.do_not_query.clear(),
        "prefetch" => config.prefetch = yes,
        "serve-expired" => config.serve_stale = yes,
        "serve-expired-client-timeout" => {
            config.stale_client_timeout = Duration::from_millis(value.parse().map_err(|_| malformed())?);
        }
        "serve-expired-reply-ttl" => config.stale_ttl = seconds()?,
        "serve-expired-ttl" if value != "0" => setup.limits.stale_max = seconds()?,
        "ede" => setup.marks.extended_errors = yes,
        "ede-serve-expired" => setup.marks.stale_extended_error = yes,
        "msg-cache-size" => {
            // Only a cache too small for the script is of interest; `4m` and the like are not.
            if let Ok(octets @ ..1024) = value.parse() {
                setup.limits.octets_max = octets;
            }
        }
        "cache-min-ttl" => setup.limits.ttl_min = seconds()?,
        "cache-max-ttl" => setup.limits.ttl_max = seconds()?,
        "cache-max-negative-ttl" => setup.limits.negative_ttl_max = seconds()?,
        "cache-min-negative-ttl" => setup.limits.negative_ttl_min = seconds()?,
        "max-query-restarts" => config.aliases_max = value.parse().map_err(|_| malformed())?,
        "max-sent-count" => config.upstream_queries_max = value.parse().map_err(|_| malformed())?,
        "outbound-msg-retry" => config.timeouts_per_server = value.parse().map_err(|_| malformed())?,
        "local-zone" if setting.values.get(1).is_some_and(|kind| kind == "nodefault") => {
            config.special_names_except.push(name()?);
        }
        "module-config" => {
            let plain = value.split_whitespace().all(|module| matches!(module, "iterator" | "validator"));
            if !plain {
                return unsupported(setting, format!("modules `{value}`"));
            }
        }
        "access-control" if setting.values.get(1).is_some_and(|action| action == "allow_snoop") => {
            config.referrals = true;
        }
        "access-control" if setting.values.get(1).is_some_and(|action| action.starts_with("allow")) => {}
        key if is_about_validation(key) => {
            setup.marks.validates |= key.starts_with("trust-anchor") && key != "trust-anchor-signaling";
            let note = format!("`{key}` is passed over: nothing is validated");
            if !setup.notes.contains(&note) {
                setup.notes.push(note);
            }
        }
        key if is_beside_the_point(key) => {}
        key => return unsupported(setting, format!("the option `{key}: {}`", setting.values.join(" "))),
    }
    Ok(())
}

fn is_about_validation(key: &str) -> bool {
    key.starts_with("val-")
        || key.starts_with("trust-anchor")
        || matches!(
            key,
            "domain-insecure"
                | "fake-sha1"
                | "fake-dsa"
                | "harden-dnssec-stripped"
                | "harden-algo-downgrade"
                | "harden-below-nxdomain"
                | "aggressive-nsec"
                | "root-key-sentinel"
                | "prefetch-key"
                | "hide-trustanchor"
                | "ignore-cd-flag"
        )
}

fn is_beside_the_point(key: &str) -> bool {
    key.starts_with("log-")
        || key.ends_with("-slabs")
        || matches!(
            key,
            "target-fetch-policy"
                | "qname-minimisation-strict"
                | "rrset-roundrobin"
                | "verbosity"
                | "rrset-cache-size"
                | "key-cache-size"
                | "neg-cache-size"
                | "infra-host-ttl"
                | "infra-cache-numhosts"
                | "infra-keep-probing"
                | "infra-cache-min-rtt"
                | "infra-cache-max-rtt"
                | "jostle-timeout"
                | "msg-buffer-size"
                | "harden-unknown-additional"
                | "num-threads"
                | "num-queries-per-thread"
                | "outgoing-range"
                | "do-tcp"
                | "do-udp"
                | "do-not-query-localhost"
                | "serve-expired-ttl"
                | "serve-expired-ttl-reset"
                | "harden-large-queries"
                | "harden-glue"
                | "harden-short-bufsize"
                | "harden-referral-path"
                | "harden-unverified-glue"
                | "unwanted-reply-threshold"
                | "iter-scrub-promiscuous"
                | "iter-scrub-ns"
                | "iter-scrub-cname"
                | "max-global-quota"
                | "discard-timeout"
                | "wait-limit"
                | "identity"
                | "version"
                | "hide-identity"
                | "hide-version"
                | "directory"
                | "chroot"
                | "username"
                | "pidfile"
                | "use-syslog"
                | "interface"
                | "port"
                | "deny-any"
                | "answer-cookie"
                | "ip-ratelimit"
                | "fast-server-permil"
        )
}

fn zone(zones: &mut Vec<Zone>, setting: &Setting) -> Result<(), Refusal> {
    if zones.last().is_none_or(|zone| zone.number != setting.clause_number) {
        zones.push(Zone {
            number: setting.clause_number,
            stub: setting.clause == "stub-zone",
            name: Name::root(),
            servers: Vec::new(),
            server_names: Vec::new(),
            first: false,
            prime: false,
            cached: true,
        });
    }
    let Some(zone) = zones.last_mut() else { return Ok(()) };
    let value = setting.values.first().map_or("", String::as_str);
    let malformed =
        || Refusal::Malformed { line: setting.line, expected: format!("a value for {}", setting.key) };
    let name = || Name::from_text(value.as_bytes(), Some(&Name::root())).map_err(|_| malformed());
    match setting.key.as_str() {
        "name" => zone.name = name()?,
        "stub-addr" | "forward-addr" => {
            let address = value.split(['@', '#']).next().unwrap_or_default();
            let port = value.split('@').nth(1).and_then(|port| port.split('#').next()?.parse().ok());
            let address: IpAddr = address.parse().map_err(|_| malformed())?;
            zone.servers.push(Upstream::udp(SocketAddr::new(address, port.unwrap_or(53))));
        }
        "stub-host" | "forward-host" => zone.server_names.push(name()?),
        "stub-first" | "forward-first" => zone.first = value == "yes",
        "stub-prime" => zone.prime = value == "yes",
        "stub-no-cache" | "forward-no-cache" => zone.cached = value != "yes",
        "stub-tls-upstream" | "forward-tls-upstream" | "stub-tcp-upstream" | "forward-tcp-upstream"
            if value == "no" => {}
        key => return unsupported(setting, format!("the option `{key}`")),
    }
    Ok(())
}
