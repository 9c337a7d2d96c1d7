//! The `[store]` table: bounds and sizes, each with its default.

/// Settings of the embedded engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `store.min_free`: octets of the disk that are left alone; with less room writes are refused as
    /// [`crate::Error::Full`]. Default 256 MiB.
    pub min_free: u64,
    /// `store.queue_max`: batches that may wait for the log; one more is refused. Default 8192.
    pub queue_max: usize,
    /// `store.group_max`: batches written and synced together at most. Default 512.
    pub group_max: usize,
    /// `store.readers`: threads, each with a connection, that read the database. Default 4.
    pub readers: usize,
    /// `store.read_queue_max`: reads that may wait for them; one more is refused. Default 8192.
    pub read_queue_max: usize,
    /// `store.flush_octets`: octets of the log after which the database takes them over. Default 16 MiB.
    pub flush_octets: u64,
    /// `store.log_octets_max`: octets of one log file after which commits wait for the database.
    /// Default 64 MiB; a restart reads at most three times as much.
    pub log_octets_max: u64,
    /// `store.wal_octets_max`: octets that the database's own log keeps on disk between uses. Default 256 MiB.
    pub wal_octets_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            min_free: 256 << 20,
            queue_max: 8192,
            group_max: 512,
            readers: 4,
            read_queue_max: 8192,
            flush_octets: 16 << 20,
            log_octets_max: 64 << 20,
            wal_octets_max: 256 << 20,
        }
    }
}
