//! What the name server has counted: answers, zones, transfers, the resolver and its cache.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use doorway_dns::Server;
use doorway_dns::authority::Carrier;
use doorway_dns::authority::counters::Counters;
use doorway_dns::io::recursion::{LATENCIES, Recursion};
use doorway_dns::io::transfers::Tally;

use super::Page;

/// Adds it to the page.
pub(crate) fn measure(dns: &Server, page: &mut Page) {
    let counters = dns.counters();
    for (transport, carrier) in [("udp", Carrier::Datagram), ("tcp", Carrier::Stream)] {
        let answers = counters.iter().map(|worker| worker.answers(carrier)).sum();
        page.counter("doorway_dns_answers", "Answers sent.", &[("transport", transport)], answers);
    }
    let mut rcodes: BTreeMap<String, u64> = BTreeMap::new();
    for (rcode, count) in counters.iter().flat_map(|worker| worker.by_rcode().collect::<Vec<_>>()) {
        *rcodes.entry(rcode.to_string()).or_default() += count;
    }
    for (rcode, count) in rcodes {
        page.counter("doorway_dns_rcodes", "Answers by response code.", &[("rcode", &rcode)], count);
    }
    let dropped = counters.iter().map(|worker| worker.dropped.value()).sum();
    page.counter("doorway_dns_dropped", "Messages without an answer.", &[], dropped);
    let sum = |count: fn(&Counters) -> u64| counters.iter().map(|worker| count(worker)).sum();
    let truncated = sum(|worker| worker.truncated.value());
    page.counter("doorway_dns_truncated", "Answers cut short over UDP.", &[], truncated);
    let cached = sum(|worker| worker.cached.value());
    page.counter("doorway_dns_cached", "Answers that were ready-made.", &[], cached);
    let limited = sum(|worker| worker.limited.value());
    page.counter("doorway_dns_limited", "Equal answers held back or cut.", &[], limited);
    let flooded = sum(|worker| worker.flooded.value());
    page.counter("doorway_dns_flooded", "Questions refused for a flood below their zone.", &[], flooded);
    for zone in dns.zones().list() {
        let name = zone.apex().to_string();
        let labels = [("zone", name.as_str())];
        page.gauge("doorway_dns_zone_serial", "SERIAL of each zone.", &labels, f64::from(zone.serial()));
        let records = zone.records() as f64;
        page.gauge("doorway_dns_zone_records", "Records of each zone.", &labels, records);
    }
    if let Some(log) = dns.query_log() {
        let left_out = log.left_out();
        page.counter("doorway_dns_query_log_left_out", "Queries not in the log.", &[], left_out);
    }
    if let Some(upkeep) = dns.upkeep() {
        transfers(page, upkeep.transfers().tally());
    }
    if let Some(recursion) = dns.recursion() {
        resolver(page, recursion);
    }
}

fn transfers(page: &mut Page, tally: &Tally) {
    const HELP: &str = "What was done to zones by message.";
    for (what, count) in [
        ("transfer_sent", &tally.sent),
        ("transfer_refused", &tally.refused),
        ("transfer_received", &tally.received),
        ("transfer_failed", &tally.failed),
        ("update", &tally.updates),
        ("update_refused", &tally.updates_refused),
        ("notify", &tally.notified),
        ("bad_signature", &tally.bad_signatures),
    ] {
        page.counter("doorway_dns_upkeep", HELP, &[("what", what)], count.load(Ordering::Relaxed));
    }
}

fn resolver(page: &mut Page, recursion: &Recursion) {
    let counts = recursion.counts();
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let under_way = f64::from(counts.under_way.load(Ordering::Relaxed));
    page.gauge("doorway_dns_resolver_under_way", "Questions under way.", &[], under_way);
    for (name, help, count) in [
        ("doorway_dns_resolver_questions", "Questions that had no ready answer.", &counts.questions),
        ("doorway_dns_resolver_refused", "Questions over a bound.", &counts.refused),
        ("doorway_dns_resolver_unexpected", "Messages nobody had asked for.", &counts.unexpected),
        ("doorway_dns_resolver_stale", "Answers with old data.", &counts.stale),
        ("doorway_dns_resolver_failed", "Answers that were SERVFAIL.", &counts.failed),
    ] {
        page.counter(name, help, &[], load(count));
    }
    for (transport, count) in ["udp", "tcp", "tls"].iter().zip(&counts.upstream) {
        let labels = [("transport", *transport)];
        page.counter("doorway_dns_upstream", "Queries to other servers.", &labels, load(count));
    }
    let latencies: Vec<u64> = counts.latencies.iter().map(load).collect();
    let sum = std::time::Duration::from_micros(load(&counts.micros));
    let help = "Time until an answer that had to be looked up.";
    page.histogram("doorway_dns_resolver_seconds", help, &LATENCIES, &latencies, sum);
    let stats = recursion.cache().stats();
    for (what, count) in
        [("hit", stats.hits), ("miss", stats.misses), ("stored", stats.stored), ("evicted", stats.evicted)]
    {
        page.counter("doorway_dns_cache", "Record sets looked up and kept.", &[("what", what)], count);
    }
    let (ready, ready_octets) = recursion.ready().usage();
    for (of, entries, octets) in
        [("records", stats.entries, stats.octets), ("answers", ready as u64, ready_octets as u64)]
    {
        let labels = [("of", of)];
        page.gauge("doorway_dns_cache_entries", "What the cache holds.", &labels, entries as f64);
        page.gauge("doorway_dns_cache_octets", "Memory of the cache.", &labels, octets as f64);
    }
}
