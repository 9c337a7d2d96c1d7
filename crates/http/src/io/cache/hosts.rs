//! What is kept and served host by host: bounds, counters, and what the cache spared the access link.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;

/// Most hosts that are told apart; further ones are counted together.
const HOSTS_MAX: usize = 65_536;

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// From the cache, without asking anybody.
    Hit,
    /// From the cache although its time was over.
    Stale,
    /// From the cache, after the origin confirmed it.
    Revalidated,
    /// By what another request had asked the origin for.
    Collapsed,
    /// By the origin, and kept.
    Miss,
    /// By the origin, and not to be kept.
    Pass,
    /// Not at all: the origin could not be reached, or was not to be asked.
    Failed,
}

/// The names of the verdicts, in their order.
pub const VERDICTS: [&str; 7] = ["hit", "stale", "revalidated", "collapsed", "miss", "pass", "failed"];

/// What one host has in the cache, and what became of the requests for it.
#[derive(Debug)]
pub struct Host {
    name: Box<str>,
    short: u64,
    pub(super) objects: AtomicU64,
    pub(super) octets: AtomicU64,
    verdicts: [AtomicU64; VERDICTS.len()],
    cache_octets: AtomicU64,
    origin_octets: AtomicU64,
    cache_nanos: AtomicU64,
    origin_nanos: AtomicU64,
}

/// The counters of a host at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostCounts {
    /// In lower case, without a port; `*` for all hosts beyond the first 65536.
    pub name: String,
    /// Responses that are kept.
    pub objects: u64,
    /// Octets of their contents.
    pub octets: u64,
    /// Requests by [`VERDICTS`].
    pub verdicts: [u64; VERDICTS.len()],
    /// Octets of content that came from the cache.
    pub cache_octets: u64,
    /// Octets of content that came from the origin.
    pub origin_octets: u64,
    /// Time until the first octet of the answers from the cache, all together.
    pub cache_time: Duration,
    /// The same for answers from the origin.
    pub origin_time: Duration,
}

impl HostCounts {
    /// Requests that were answered from the cache: the first four verdicts.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.verdicts[..4].iter().sum()
    }

    /// Requests that the origin answered.
    #[must_use]
    pub fn origin_requests(&self) -> u64 {
        self.verdicts[4..6].iter().sum()
    }

    /// How much sooner the answers from the cache came than if each had taken as long as those of the origin
    /// do on average.
    #[must_use]
    pub fn time_saved(&self) -> Duration {
        let Some(mean) = self.origin_time.as_nanos().checked_div(u128::from(self.origin_requests())) else {
            return Duration::ZERO;
        };
        let without = mean * u128::from(self.hits());
        let saved = without.saturating_sub(self.cache_time.as_nanos());
        Duration::from_nanos(u64::try_from(saved).unwrap_or(u64::MAX))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.octets += other.octets;
        self.verdicts.iter_mut().zip(other.verdicts).for_each(|(sum, more)| *sum += more);
        self.cache_octets += other.cache_octets;
        self.origin_octets += other.origin_octets;
        self.cache_time += other.cache_time;
        self.origin_time += other.origin_time;
    }
}

impl Host {
    fn new(name: &str, short: u64) -> Self {
        Self {
            name: name.into(),
            short,
            objects: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            verdicts: Default::default(),
            cache_octets: AtomicU64::new(0),
            origin_octets: AtomicU64::new(0),
            cache_nanos: AtomicU64::new(0),
            origin_nanos: AtomicU64::new(0),
        }
    }

    /// Its name in lower case.
    #[must_use]
    pub const fn name(&self) -> &str {
        &self.name
    }

    /// Its short name, by which purges know it.
    pub(super) const fn short(&self) -> u64 {
        self.short
    }

    /// Counts `requests` that were answered in the same way: with so many octets of content and so much time
    /// until the first octet, all together.
    pub fn count(&self, verdict: Verdict, requests: u64, octets: u64, time: Duration) {
        self.verdicts[verdict as usize].fetch_add(requests, Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (octets_sum, nanos_sum) = match verdict {
            Verdict::Miss | Verdict::Pass => (&self.origin_octets, &self.origin_nanos),
            Verdict::Failed => return,
            _ => (&self.cache_octets, &self.cache_nanos),
        };
        octets_sum.fetch_add(octets, Relaxed);
        if nanos > 0 {
            nanos_sum.fetch_add(nanos, Relaxed);
        }
    }

    /// The counters now.
    #[must_use]
    pub fn counts(&self) -> HostCounts {
        HostCounts {
            name: self.name.to_string(),
            objects: self.objects.load(Relaxed),
            octets: self.octets.load(Relaxed),
            verdicts: std::array::from_fn(|at| self.verdicts[at].load(Relaxed)),
            cache_octets: self.cache_octets.load(Relaxed),
            origin_octets: self.origin_octets.load(Relaxed),
            cache_time: Duration::from_nanos(self.cache_nanos.load(Relaxed)),
            origin_time: Duration::from_nanos(self.origin_nanos.load(Relaxed)),
        }
    }
}

/// All hosts that were asked for.
#[derive(Debug)]
pub(super) struct Hosts {
    table: Mutex<BTreeMap<Box<str>, Arc<Host>>>,
    others: Arc<Host>,
}

impl Hosts {
    pub(super) fn new(others: u64) -> Self {
        Self { table: Mutex::default(), others: Arc::new(Host::new("*", others)) }
    }

    /// The host with this name, of which `short` makes the short form.
    pub(super) fn find(&self, name: &str, short: impl FnOnce(&str) -> u64) -> Arc<Host> {
        let mut table = lock(&self.table);
        if let Some(host) = table.get(name) {
            return Arc::clone(host);
        }
        if table.len() >= HOSTS_MAX {
            return Arc::clone(&self.others);
        }
        let host = Arc::new(Host::new(name, short(name)));
        table.insert(name.into(), Arc::clone(&host));
        host
    }

    /// The counters of all, in the order of their names.
    pub(super) fn counts(&self) -> Vec<HostCounts> {
        let table = lock(&self.table);
        let all = table.values().chain([&self.others]).map(|host| host.counts());
        all.filter(|counts| *counts != HostCounts { name: counts.name.clone(), ..HostCounts::default() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_saved_by_every_answer_that_the_origin_did_not_have_to_give() {
        let host = Host::new("a.example", 1);
        assert_eq!(host.counts().time_saved(), Duration::ZERO);
        host.count(Verdict::Miss, 1, 1000, Duration::from_millis(80));
        host.count(Verdict::Pass, 1, 1000, Duration::from_millis(120));
        host.count(Verdict::Hit, 9, 9000, Duration::from_millis(9));
        host.count(Verdict::Collapsed, 1, 1000, Duration::from_millis(41));
        host.count(Verdict::Failed, 5, 0, Duration::from_secs(99));
        let counts = host.counts();
        assert_eq!((counts.hits(), counts.origin_requests()), (10, 2));
        assert_eq!((counts.cache_octets, counts.origin_octets), (10_000, 2000));
        assert_eq!(counts.time_saved(), Duration::from_millis(950));
    }
}
