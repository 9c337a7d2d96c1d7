//! What the caches of the web server hold, and what they spared.

use doorway_http::io::cache::{Caches, VERDICTS};

use super::Page;

/// Adds it to the page. Hosts are not labels: on a forward proxy, clients would choose them; `cache stat` lists
/// them.
pub(crate) fn measure(caches: &Caches, page: &mut Page) {
    for cache in caches.iter() {
        let (counts, labels) = (cache.counts(), [("cache", cache.config().name.as_str())]);
        let all = counts.together();
        for (verdict, count) in VERDICTS.iter().zip(all.verdicts) {
            let labels = [labels[0], ("verdict", *verdict)];
            page.counter("doorway_cache_requests", "Requests by how they were answered.", &labels, count);
        }
        for (source, octets) in [("cache", all.cache_octets), ("origin", all.origin_octets)] {
            let labels = [labels[0], ("source", source)];
            page.counter(
                "doorway_cache_sent_octets",
                "Octets of content by where they came from.",
                &labels,
                octets,
            );
        }
        let saved = all.time_saved().as_secs_f64();
        page.gauge("doorway_cache_saved_seconds", "Waiting that the cache spared.", &labels, saved);
        let objects = counts.objects as f64;
        page.gauge("doorway_cache_objects", "Responses that are kept.", &labels, objects);
        let evicted = counts.evicted;
        page.counter("doorway_cache_evicted", "Responses that left the memory for room.", &labels, evicted);
        let turns = counts.turns as f64;
        page.gauge(
            "doorway_cache_fetching",
            "Requests to origins for which others may wait.",
            &labels,
            turns,
        );
        let mut tiers = vec![("memory", counts.memory_octets)];
        if let Some(disk) = &counts.disk {
            tiers.push(("disk", disk.octets));
            let alarm = f64::from(u8::from(disk.alarm.is_some()));
            page.gauge("doorway_cache_disk_alarm", "Whether the disk takes nothing.", &labels, alarm);
            for (metric, help, count) in [
                ("doorway_cache_disk_written", "Records that were written.", disk.written),
                ("doorway_cache_disk_refused", "Contents that stayed in memory alone.", disk.refused),
                ("doorway_cache_disk_failed", "Writes that failed.", disk.failed),
                ("doorway_cache_disk_damaged", "Reads that did not give what was written.", disk.damaged),
            ] {
                page.counter(metric, help, &labels, count);
            }
        }
        for (tier, octets) in tiers {
            let labels = [labels[0], ("tier", tier)];
            page.gauge("doorway_cache_octets", "Octets of contents by tier.", &labels, octets as f64);
        }
    }
}
