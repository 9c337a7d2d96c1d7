//! What a server has done, for metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Status;
use crate::h2;
use crate::wire::{Rule, Version};

/// Counters since the server began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Requests whose head was whole and right.
    pub requests: u64,
    /// Responses by the first digit of their status, 1 to 5.
    pub responses: [u64; 5],
    /// Responses that came ready-made from the hot cache.
    pub hot: u64,
    /// Responses by protocol: HTTP/1.0, HTTP/1.1, HTTP/2.
    pub protocols: [u64; 3],
    /// Lines of the access log that found no room.
    pub lines_dropped: u64,
    /// Responses by site, each by the first digit of their status: in the order of the sites in force.
    sites: Vec<[u64; 5]>,
    /// The same by the name of the site, of sites that were in force before.
    past: BTreeMap<Arc<str>, [u64; 5]>,
    /// Broken rules, in the order of [`Rule::ALL`].
    refusals: [u64; Rule::ALL.len()],
    /// Connections that spoke HTTP/2.
    pub h2_connections: u64,
    /// Streams that clients gave up.
    pub h2_resets: u64,
    /// Broken rules of HTTP/2, in the order of [`h2::Rule::ALL`].
    violations: [u64; h2::Rule::ALL.len()],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            requests: 0,
            responses: [0; 5],
            hot: 0,
            protocols: [0; 3],
            lines_dropped: 0,
            sites: Vec::new(),
            past: BTreeMap::new(),
            refusals: [0; Rule::ALL.len()],
            h2_connections: 0,
            h2_resets: 0,
            violations: [0; h2::Rule::ALL.len()],
        }
    }
}

impl Counts {
    /// Code of each rule, and how often it was broken.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Rule::ALL.iter().zip(self.refusals).map(|(rule, count)| (rule.code, count))
    }

    /// Code of each rule of HTTP/2, and how often it was broken.
    pub fn violations(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        h2::Rule::ALL.iter().zip(self.violations).map(|(rule, count)| (rule.code, count))
    }

    pub(super) fn count_violation(&mut self, rule: &'static h2::Rule) {
        if let Some(place) = h2::Rule::ALL.iter().position(|known| *known == rule) {
            self.violations[place] += 1;
        }
    }

    pub(super) fn count_refusal(&mut self, rule: &'static Rule) {
        if let Some(place) = Rule::ALL.iter().position(|known| *known == rule) {
            self.refusals[place] += 1;
        }
    }

    pub(super) fn count_response(&mut self, status: Status) {
        self.responses[usize::from(status.code() / 100 - 1)] += 1;
    }

    /// Counts a response of site number `site`.
    #[inline]
    pub(super) fn count_of_site(&mut self, site: u16, version: Version, status: Status) {
        self.count_response(status);
        let protocol = match version {
            Version::Http10 => 0,
            Version::Http11 => 1,
            Version::Http2 => 2,
        };
        self.protocols[protocol] += 1;
        let place = usize::from(site);
        if self.sites.len() <= place {
            self.sites.resize(place + 1, [0; 5]);
        }
        self.sites[place][usize::from(status.code() / 100 - 1)] += 1;
    }

    /// Keeps what was counted by number under the names that the numbers had.
    pub(super) fn rename<'n>(&mut self, names: impl Iterator<Item = &'n Arc<str>>) {
        for (name, counts) in names.zip(std::mem::take(&mut self.sites)) {
            add(self.past.entry(Arc::clone(name)).or_default(), &counts);
        }
    }

    /// Responses by the name of the site (empty for that of every other host), each by the first digit of
    /// their status.
    pub fn by_site(&self) -> impl Iterator<Item = (&str, &[u64; 5])> {
        self.past.iter().map(|(name, counts)| (&**name, counts))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.hot += other.hot;
        self.lines_dropped += other.lines_dropped;
        for (count, more) in self.protocols.iter_mut().zip(&other.protocols) {
            *count += more;
        }
        for (name, counts) in &other.past {
            add(self.past.entry(Arc::clone(name)).or_default(), counts);
        }
        self.h2_connections += other.h2_connections;
        self.h2_resets += other.h2_resets;
        let violations = self.violations.iter_mut().zip(&other.violations);
        let pairs = self.responses.iter_mut().zip(&other.responses);
        for (count, more) in pairs.chain(self.refusals.iter_mut().zip(&other.refusals)).chain(violations) {
            *count += more;
        }
    }
}

fn add(counts: &mut [u64; 5], more: &[u64; 5]) {
    for (count, more) in counts.iter_mut().zip(more) {
        *count += more;
    }
}
