//! How a resolver is set up: every bound and choice as a plain field.
//!
//! Not here: the `[dns.resolver]` table of the config file, which makes one of these.

use core::net::{IpAddr, SocketAddr};
use std::time::Duration;

use doorway_base::config::Cidr;

use super::event::Transport;
use super::hints;
use crate::wire::Name;

/// Whether the servers on the way see the whole name: RFC 9156.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Minimisation {
    /// Every server sees the whole name.
    Off,
    /// A server sees one label more than it must know; one that fails on that sees the whole name.
    #[default]
    Relaxed,
    /// The same, and what such a query is refused with is the answer.
    Strict,
}

/// How names without a forward or stub zone are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// From the root down, asking for referrals: RFC 1034 §5.3.3.
    #[default]
    Iterative,
    /// The root servers are asked to do all the work (RD set), as textbooks draw it. For teaching.
    Recursive,
}

/// Where the names below one name are sent, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardZone {
    /// The name; the root forwards everything.
    pub zone: Name,
    /// Resolvers to ask, at most [`UPSTREAMS_MAX`].
    pub servers: Vec<Upstream>,
    /// Host names of resolvers, looked up before they are asked.
    pub server_names: Vec<Name>,
    /// Whether to iterate when every one of them fails.
    pub first: bool,
    /// Whether what they say is kept.
    pub cached: bool,
}

/// Authoritative servers of one zone that are known without a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StubZone {
    /// The zone.
    pub zone: Name,
    /// Its servers, at most [`UPSTREAMS_MAX`].
    pub servers: Vec<Upstream>,
    /// Host names of its servers, looked up before they are asked.
    pub server_names: Vec<Name>,
    /// Whether the servers are only asked for the zone's NS records, and those then used.
    pub prime: bool,
    /// Whether to iterate from the root when every one of them fails.
    pub first: bool,
}

/// A server by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    /// What carries queries to it.
    pub transport: Transport,
}

impl Upstream {
    /// A server that is asked over UDP, and over TCP when an answer is cut.
    #[must_use]
    pub const fn udp(address: SocketAddr) -> Self {
        Self { address, transport: Transport::Udp }
    }
}

/// Servers of one forward or stub zone at most.
pub const UPSTREAMS_MAX: usize = 16;

/// Everything that can be set. [`Config::default`] is fit for the Internet.
#[derive(Debug, Clone)]
pub struct Config {
    /// How names without a zone of their own below are resolved.
    pub mode: Mode,
    /// Names and addresses of the root servers to begin with.
    pub root_hints: Vec<(Name, Vec<IpAddr>)>,
    /// Whether the root servers are asked who they are before anything else: RFC 9609.
    pub prime_root: bool,
    /// Zones that are sent to other resolvers.
    pub forward_zones: Vec<ForwardZone>,
    /// Zones whose servers are known.
    pub stub_zones: Vec<StubZone>,
    /// The port that servers found by referral are asked at.
    pub server_port: u16,
    /// RFC 9156.
    pub minimisation: Minimisation,
    /// The servers on the way do not see the type either: unless A is asked for, a whole name is asked
    /// for A first (RFC 9156 §2.1). One query more for each name.
    pub hides_type: bool,
    /// Of an alias and what it leads to in the same zone both are taken from one answer. Otherwise the
    /// second is asked for again, which is the strict reading of RFC 2181 §5.4.1.
    pub aliases_together: bool,
    /// Random letter case in questions over UDP, to be echoed.
    pub random_case: bool,
    /// Names (and what is below) whose questions keep their letter case.
    pub random_case_except: Vec<Name>,
    /// Whether ids are random. Off only where a test shows what that costs.
    pub random_id: bool,
    /// Client cookies: RFC 7873.
    pub cookies: bool,
    /// The UDP payload size said in OPT, in octets.
    pub edns_octets: u16,
    /// Whether queries ask for signatures (DO).
    pub dnssec: bool,
    /// Whether IPv4 servers are asked.
    pub ipv4: bool,
    /// Whether IPv6 servers are asked.
    pub ipv6: bool,
    /// Whether everything is asked over TCP.
    pub tcp_only: bool,
    /// Records that a server has no business to send are dropped: RFC 5452 §6. Off only where a test
    /// shows what that costs.
    pub bailiwick: bool,
    /// The NS records of a zone never live longer because its own servers say them again.
    pub ghost_protection: bool,
    /// Equal questions wait for one query.
    pub coalescing: bool,
    /// Answers with private addresses are refused for names outside `rebinding_allowed`.
    pub rebinding_protection: bool,
    /// The networks that count as private.
    pub private_addresses: Vec<Cidr>,
    /// Names (and what is below) that may have private addresses.
    pub rebinding_allowed: Vec<Name>,
    /// Networks in which no server is asked.
    pub do_not_query: Vec<Cidr>,
    /// Names of RFC 6761, RFC 6303, RFC 7686 and RFC 8375 are answered here.
    pub special_names: bool,
    /// Of those, names that are resolved all the same.
    pub special_names_except: Vec<Name>,
    /// Answers have no more than they must (no NS records and addresses beside them).
    pub minimal_responses: bool,
    /// A question without RD that the cache has no answer to gets the deepest delegation known, as
    /// RFC 1034 §4.3.2 has it, and what is past its end is looked up again. Otherwise it is refused:
    /// nobody needs to see what others asked about.
    pub referrals: bool,

    /// Upstream queries for one client's question at most.
    pub upstream_queries_max: u16,
    /// Aliases followed for one question at most.
    pub aliases_max: u8,
    /// Names of servers looked up for one client's question at most.
    pub server_names_max: u8,
    /// Names of servers looked up for one delegation at once.
    pub server_names_per_delegation: u8,
    /// Of the names a delegation has, those that are ever tried.
    pub servers_per_delegation: u8,
    /// How many lookups may stand behind one another.
    pub depth_max: u8,
    /// Time for one client's question.
    pub wall: Duration,
    /// Questions under way in one worker at most.
    pub jobs_max: usize,
    /// Names of one zone that turn out not to exist, in one worker and second, after which no more of its
    /// names are asked about. 0 does not count.
    pub absent_names_per_second: u32,
    /// Clients that wait for one question at most.
    pub waiters_max: usize,
    /// Queries under way to one server at most.
    pub in_flight_per_server: u16,
    /// Servers remembered at most.
    pub servers_known_max: usize,

    /// The first time-out of a server of which nothing is known.
    pub first_timeout: Duration,
    /// The shortest time-out.
    pub timeout_min: Duration,
    /// The longest time-out.
    pub timeout_max: Duration,
    /// How long a server that does not answer is left alone at most.
    pub dead_max: Duration,
    /// One query in so many goes to another server than the best, to learn of it. 0 for none.
    pub explore_one_in: u32,
    /// Sends for one delegation at most.
    pub tries_per_delegation: u8,
    /// Time-outs of one server for one question before it is given up.
    pub timeouts_per_server: u8,

    /// Entries that are about to expire are looked up again when they are asked for.
    pub prefetch: bool,
    /// Old data is used when nothing else can be had, and at once while a failure is remembered:
    /// RFC 8767.
    pub serve_stale: bool,
    /// After this time without an answer the client gets old data; zero gives it at once.
    pub stale_client_timeout: Duration,
    /// TTL of old data.
    pub stale_ttl: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let networks = |list: &[&str]| list.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            mode: Mode::Iterative,
            root_hints: hints::built_in(),
            prime_root: true,
            forward_zones: Vec::new(),
            stub_zones: Vec::new(),
            server_port: 53,
            minimisation: Minimisation::Relaxed,
            hides_type: false,
            aliases_together: true,
            random_case: true,
            random_case_except: Vec::new(),
            random_id: true,
            cookies: true,
            edns_octets: 1232,
            dnssec: true,
            ipv4: true,
            ipv6: true,
            tcp_only: false,
            bailiwick: true,
            ghost_protection: true,
            coalescing: true,
            rebinding_protection: true,
            private_addresses: networks(&PRIVATE),
            rebinding_allowed: Vec::new(),
            do_not_query: networks(&DO_NOT_QUERY),
            special_names: true,
            special_names_except: Vec::new(),
            minimal_responses: true,
            referrals: false,
            upstream_queries_max: 100,
            aliases_max: 12,
            server_names_max: 20,
            server_names_per_delegation: 3,
            servers_per_delegation: 26,
            depth_max: 8,
            wall: Duration::from_secs(8),
            jobs_max: 10_000,
            absent_names_per_second: 1000,
            waiters_max: 1000,
            in_flight_per_server: 100,
            servers_known_max: 20_000,
            first_timeout: Duration::from_millis(376),
            timeout_min: Duration::from_millis(50),
            timeout_max: Duration::from_secs(3),
            dead_max: Duration::from_secs(15 * 60),
            explore_one_in: 20,
            tries_per_delegation: 32,
            timeouts_per_server: 5,
            prefetch: true,
            serve_stale: true,
            stale_client_timeout: Duration::from_millis(1800),
            stale_ttl: Duration::from_secs(30),
        }
    }
}

/// Networks whose addresses no public name has: RFC 1918, RFC 3927, RFC 4193, RFC 4291, loopback.
const PRIVATE: [&str; 10] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "::/127",
    "fc00::/7",
    "fe80::/10",
];

/// Networks that no name server of the Internet is in.
const DO_NOT_QUERY: [&str; 5] = ["0.0.0.0/8", "127.0.0.0/8", "240.0.0.0/4", "::/127", "ff00::/8"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_networks_are_all_read() {
        let config = Config::default();
        assert_eq!(config.private_addresses.len(), PRIVATE.len());
        assert_eq!(config.do_not_query.len(), DO_NOT_QUERY.len());
    }
}
