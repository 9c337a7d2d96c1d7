//! What is known about servers: round-trip time, silence, EDNS, cookies, letter case, lameness.
//!
//! Time-outs follow RFC 6298: smoothed round trip and its variation. A server that stays silent is
//! left alone for longer and longer, up to the configured bound.

use core::net::{IpAddr, SocketAddr};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use doorway_base::{Instant, Random};

use super::Config;
use crate::wire::Name;
use crate::zone::HashKey;

/// How long a server is remembered as lame for a zone, or as one without EDNS.
const FAULT_REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// Time-outs in a row after which a server is left alone.
const SILENT_AFTER: u32 = 3;
/// The span of the first time it is left alone; it doubles.
const SILENT_FIRST: Duration = Duration::from_secs(4);
/// Octets of a server cookie at most: RFC 7873 §4.
const SERVER_COOKIE_OCTETS_MAX: usize = 32;

/// One server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    srtt: Option<Duration>,
    variation: Duration,
    /// Time-outs in a row.
    silent: u32,
    silent_until: Instant,
    /// Queries under way.
    pub(super) in_flight: u16,
    edns_broken_until: Instant,
    /// It gives names back in other letter case than it got them.
    pub(super) loses_case: bool,
    /// Its last cookie.
    pub(super) cookie: Option<Box<[u8]>>,
    /// It has sent cookies, so an answer without one is not from it.
    pub(super) sends_cookies: bool,
}

impl Server {
    const fn unknown() -> Self {
        Self {
            srtt: None,
            variation: Duration::ZERO,
            silent: 0,
            silent_until: Instant::ZERO,
            in_flight: 0,
            edns_broken_until: Instant::ZERO,
            loses_case: false,
            cookie: None,
            sends_cookies: false,
        }
    }

    /// How long to wait for its answer.
    pub(super) fn timeout(&self, config: &Config) -> Duration {
        let base = match self.srtt {
            None => config.first_timeout,
            Some(srtt) => (srtt + self.variation * 4).max(config.timeout_min),
        };
        (base * (1 << self.silent.min(6))).min(config.timeout_max)
    }

    /// How long an answer takes, for choosing among servers; unknown ones are as good as near ones.
    pub(super) fn expected(&self) -> Duration {
        self.srtt.unwrap_or(Duration::ZERO) * (1 << self.silent.min(6))
    }

    /// Its smoothed round-trip time.
    pub(super) const fn srtt(&self) -> Option<Duration> {
        self.srtt
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.silent_until > now
    }

    /// Whether it was given up before the time-out that was just counted.
    pub(super) const fn was_silent(&self) -> bool {
        self.silent > SILENT_AFTER
    }

    pub(super) fn has_edns(&self, now: Instant) -> bool {
        self.edns_broken_until <= now
    }

    pub(super) fn lacks_edns(&mut self, now: Instant) {
        self.edns_broken_until = now + FAULT_REMEMBERED;
    }

    pub(super) fn answered(&mut self, took: Duration) {
        (self.silent, self.silent_until) = (0, Instant::ZERO);
        match self.srtt {
            None => (self.srtt, self.variation) = (Some(took), took / 2),
            Some(srtt) => {
                let off = took.abs_diff(srtt);
                self.variation = (self.variation * 3 + off) / 4;
                self.srtt = Some((srtt * 7 + took) / 8);
            }
        }
    }

    pub(super) fn timed_out(&mut self, now: Instant, config: &Config) {
        self.silent = self.silent.saturating_add(1);
        if self.silent >= SILENT_AFTER {
            let span = SILENT_FIRST * (1 << (self.silent - SILENT_AFTER).min(10));
            self.silent_until = now + span.min(config.dead_max);
        }
    }

    pub(super) fn learn_cookie(&mut self, cookie: &[u8]) {
        self.sends_cookies = true;
        if (8..=SERVER_COOKIE_OCTETS_MAX).contains(&cookie.len()) {
            self.cookie = Some(cookie.into());
        }
    }
}

/// All servers that are remembered, the longest known forgotten first.
#[derive(Debug)]
pub(super) struct Servers {
    secret: HashKey,
    // By keyed hash of the address, so that nobody can choose which servers share a place.
    known: HashMap<u64, Server>,
    order: VecDeque<u64>,
    lame: HashMap<u64, Instant>,
    lame_order: VecDeque<u64>,
    known_max: usize,
}

fn octets_of(address: SocketAddr) -> [u8; 18] {
    let mut octets = [0; 18];
    match address.ip() {
        IpAddr::V4(four) => octets[..4].copy_from_slice(&four.octets()),
        IpAddr::V6(six) => octets[..16].copy_from_slice(&six.octets()),
    }
    octets[16..].copy_from_slice(&address.port().to_be_bytes());
    octets
}

impl Servers {
    pub(super) fn new(config: &Config, random: &mut Random) -> Self {
        Self {
            secret: HashKey::new(random),
            known: HashMap::new(),
            order: VecDeque::new(),
            lame: HashMap::new(),
            lame_order: VecDeque::new(),
            known_max: config.servers_known_max.max(16),
        }
    }

    fn key(&self, address: SocketAddr) -> u64 {
        self.secret.of_name(&octets_of(address), 1)
    }

    /// What is known about a server, if anything is.
    pub(super) fn at(&self, address: SocketAddr) -> Option<&Server> {
        self.known.get(&self.key(address))
    }

    /// The same to write into.
    pub(super) fn at_mut(&mut self, address: SocketAddr) -> &mut Server {
        let key = self.key(address);
        if !self.known.contains_key(&key) {
            if self.known.len() >= self.known_max {
                self.forget_one();
            }
            self.order.push_back(key);
        }
        self.known.entry(key).or_insert(const { Server::unknown() })
    }

    fn forget_one(&mut self) {
        // One that is being asked keeps its count; there are far fewer of those than places.
        for _ in 0..self.order.len() {
            let Some(key) = self.order.pop_front() else { return };
            if self.known.get(&key).is_some_and(|server| server.in_flight > 0) {
                self.order.push_back(key);
            } else {
                self.known.remove(&key);
                return;
            }
        }
    }

    /// The cookie that a server knows us by: RFC 9018 §3 leaves its making to the client.
    pub(super) fn client_cookie(&self, address: SocketAddr) -> [u8; 8] {
        self.secret.of_name(&octets_of(address), 2).to_be_bytes()
    }

    fn lame_key(&self, address: SocketAddr, zone: &Name) -> u64 {
        self.secret.of_name(zone.as_octets(), self.key(address))
    }

    /// Whether a server was seen to have no authority for a zone that names it.
    pub(super) fn is_lame(&self, now: Instant, address: SocketAddr, zone: &Name) -> bool {
        !self.lame.is_empty()
            && self.lame.get(&self.lame_key(address, zone)).is_some_and(|&until| until > now)
    }

    pub(super) fn set_lame(&mut self, now: Instant, address: SocketAddr, zone: &Name) {
        let key = self.lame_key(address, zone);
        if self.lame.insert(key, now + FAULT_REMEMBERED).is_none() {
            self.lame_order.push_back(key);
        }
        if self.lame_order.len() > self.known_max
            && let Some(oldest) = self.lame_order.pop_front()
        {
            self.lame.remove(&oldest);
        }
    }
}
