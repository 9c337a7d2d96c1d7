//! All caches of a server, by their names.

use std::path::Path;
use std::sync::Arc;

use doorway_net::World;

use super::Cache;
use crate::config::CacheConfig;
use crate::error::Error;

/// The caches of a config.
#[derive(Debug, Clone, Default)]
pub struct Caches(Vec<Arc<Cache>>);

impl Caches {
    /// Opens each, with its files in a folder of its name below `folder`. One of `before` that has the same
    /// config goes on with all that it holds; another one of the same name is closed first. Blocks while files
    /// are read.
    ///
    /// # Errors
    /// [`Error::Cache`] when a folder cannot be used.
    pub fn open(
        world: &World,
        configs: &[CacheConfig],
        folder: &Path,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let open = |config: &CacheConfig| {
            if let Some(old) = before.and_then(|before| before.find(&config.name)) {
                if old.config() == config {
                    return Ok(Arc::clone(old));
                }
                old.close();
            }
            Cache::open(world, config, Some(&folder.join(&config.name)))
        };
        configs.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// The cache with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Cache>> {
        self.0.iter().find(|cache| cache.config().name == name)
    }

    /// All of them, in the order of the config.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cache>> {
        self.0.iter()
    }

    /// Writes what waits, and ends. Blocks: not for a worker.
    pub fn close(&self) {
        self.0.iter().for_each(|cache| cache.close());
    }
}
