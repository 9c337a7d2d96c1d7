//! What the store has counted.

use doorway_store::Embedded;

use super::{Measured, Page};

impl Measured for Embedded {
    fn measure(&self, page: &mut Page) {
        let metrics = self.metrics();
        for (name, help, count) in [
            ("doorway_store_commits", "Batches done.", metrics.commits),
            ("doorway_store_conflicts", "Batches refused because a check did not hold.", metrics.conflicts),
            ("doorway_store_refused", "Batches refused because the queue was full.", metrics.refused),
            ("doorway_store_groups", "Groups of batches written to the log.", metrics.groups),
            ("doorway_store_syncs", "Syncs of the log.", metrics.syncs),
            ("doorway_store_log_octets", "Octets written to the log.", metrics.log_octets),
            ("doorway_store_flushes", "Times the database took over the log.", metrics.flushes),
            ("doorway_store_flushed_rows", "Rows that the database took over.", metrics.flushed_rows),
        ] {
            page.counter(name, help, &[], count);
        }
        let seconds = metrics.sync_time.as_secs_f64();
        page.seconds("doorway_store_sync_seconds", "Time spent in syncs of the log.", &[], seconds);
        page.gauge("doorway_store_queue_depth", "Batches that wait.", &[], metrics.queue_depth as f64);
    }

    fn ready(&self) -> Option<(&'static str, bool)> {
        Some(("store", self.failure().is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::storage;

    fn page(part: &dyn Measured) -> String {
        let mut page = Page::default();
        part.measure(&mut page);
        page.finish()
    }

    #[test]
    fn the_store_is_ready_until_its_disk_fails() {
        let folder = std::env::temp_dir().join(format!("doorway-parts-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let (config, _) = Config::read(None);
        let store = storage::open(&config, &folder, None).unwrap();
        assert_eq!(store.ready(), Some(("store", true)));
        assert!(page(&*store).contains("doorway_store_commits_total 0\n"));
        drop(store);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
