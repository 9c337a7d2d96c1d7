//! Where the store touches the world: SQLite, files and threads. Nothing else in this crate does.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod blobs;
pub(crate) mod claim;
pub(crate) mod collect;
pub(crate) mod disk;
pub(crate) mod embedded;
pub(crate) mod flusher;
pub(crate) mod folder;
pub(crate) mod gate;
pub(crate) mod log;
pub(crate) mod metrics;
#[cfg(test)]
mod power_cut;
pub(crate) mod reader;
pub(crate) mod remains;
pub(crate) mod rows;
pub(crate) mod segments;
pub(crate) mod sessions;
pub(crate) mod sqlite;
pub(crate) mod tables;
pub(crate) mod users;
pub(crate) mod verify;
pub(crate) mod wait;
pub(crate) mod workers;
pub(crate) mod writer;
