//! The server: what it serves, its bounds, and what each worker keeps between requests.

use std::cell::Cell;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_net::tcp::TcpOptions;
use doorway_net::web::Handler;
use doorway_net::{Connection, TcpService, World};

use super::counts::Counts;
use super::date::DateCache;
use super::files::Root;
use super::gate::{Gate, is_below};
use super::hot::HotCache;
use crate::auth::Verdicts;
use crate::config::{Config, PORT};
use crate::connection::Limits;
use crate::error::Error;
use crate::wire::FieldSpans;

/// What stands behind the paths of a server.
#[derive(Clone, Default)]
pub struct Site {
    /// The folder at `/`; the built-in page when there is none.
    root: Option<Arc<Root>>,
    /// Handlers by the start of the path, longest first.
    mounts: Vec<Mount>,
    /// Gates by the start of the path, longest first.
    gates: Vec<(String, Arc<Gate>)>,
}

/// A handler and the paths it answers for.
#[derive(Clone)]
pub(super) struct Mount {
    prefix: String,
    pub(super) handler: Arc<dyn Handler>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mounts: Vec<_> = self.mounts.iter().map(|mount| &mount.prefix).collect();
        f.debug_struct("Site").field("root", &self.root).field("mounts", &mounts).finish()
    }
}

impl Site {
    /// The folder or the built-in page, as the configuration says.
    ///
    /// # Errors
    /// [`Error::Root`] when the folder cannot be opened.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let root = match &config.root {
            Some(path) => Some(Arc::new(Root::open(path)?)),
            None => None,
        };
        Ok(Self { root, mounts: Vec::new(), gates: Vec::new() })
    }

    /// Gives all paths that are `prefix`, or begin with it and a slash, to a handler. The longest
    /// prefix decides; `/` takes every path, and `*` too.
    #[must_use]
    pub fn mount(mut self, prefix: &str, handler: Arc<dyn Handler>) -> Self {
        let prefix = prefix.trim_end_matches('/').to_owned();
        self.mounts.push(Mount { prefix, handler });
        self.mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
        self
    }

    /// Puts a gate before all paths that are `prefix` or below it, whatever way they are written. The longest
    /// prefix decides.
    #[must_use]
    pub fn guard(mut self, prefix: &str, gate: Arc<Gate>) -> Self {
        self.gates.push((prefix.trim_end_matches('/').to_owned(), gate));
        self.gates.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        self
    }

    /// The gate before a path.
    #[inline]
    pub(super) fn gate(&self, path: &[u8]) -> Option<&Arc<Gate>> {
        self.gates.iter().find(|(prefix, _)| is_below(path, prefix)).map(|(_, gate)| gate)
    }

    /// The handler for a path.
    pub(super) fn handler(&self, path: &[u8]) -> Option<&Arc<dyn Handler>> {
        let mount = self.mounts.iter().find(|mount| {
            path.strip_prefix(mount.prefix.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || mount.prefix.is_empty())
        })?;
        Some(&mount.handler)
    }

    pub(super) const fn root(&self) -> Option<&Arc<Root>> {
        self.root.as_ref()
    }
}

/// An HTTP server, to be put behind doors with [`doorway_net::tcp::serve`].
pub struct Server {
    setup: Mutex<Arc<Setup>>,
    /// Counts the changes of `setup`, so that workers need not lock it to see that there is none.
    generation: AtomicU64,
    // One a worker thread, so that its lock is never waited for.
    workers: Vec<Mutex<Worker>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("site", &self.setup().site).finish_non_exhaustive()
    }
}

/// What is served, and within what bounds.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) site: Site,
    pub(super) server_name: String,
    config: Config,
}

/// What one worker keeps: scratch room that is lent to each batch, and its hot cache.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) setup: Arc<Setup>,
    generation: u64,
    pub(super) spans: FieldSpans,
    /// Responses of the batch at hand, written with one call.
    pub(super) out: Vec<u8>,
    pub(super) hot: HotCache,
    pub(super) dates: DateCache,
    pub(super) counts: Counts,
    pub(super) verdicts: Verdicts,
}

impl Setup {
    fn new(config: &Config, site: Site) -> Arc<Self> {
        let (limits, server_name) = (config.limits(), config.server_name.clone());
        Arc::new(Self { limits, site, server_name, config: config.clone() })
    }
}

impl Server {
    /// A server of `site` in `world`.
    #[must_use]
    pub fn new(world: &World, config: &Config, site: Site) -> Self {
        let setup = Setup::new(config, site);
        let mut random = world.random();
        let mut worker = || {
            let mut key = [0; 32];
            random.fill(&mut key);
            Mutex::new(Worker {
                setup: Arc::clone(&setup),
                generation: 0,
                spans: FieldSpans::default(),
                out: Vec::new(),
                hot: HotCache::new(config.cache_octets_max),
                dates: DateCache::at(world.wall()),
                counts: Counts::default(),
                verdicts: Verdicts::new(key),
            })
        };
        let workers = (0..world.workers().max(1)).map(|_| worker()).collect();
        Self { setup: Mutex::new(setup), generation: AtomicU64::new(0), workers }
    }

    /// Serves another site by another configuration from the next request on. Connections stay open;
    /// what concerns doors (addresses, numbers of connections) stays as it was.
    pub fn replace(&self, config: &Config, site: Site) {
        *lock(&self.setup) = Setup::new(config, site);
        self.generation.fetch_add(1, Release);
    }

    /// Opens the folder anew if its path leads to another one than it did, because it was made anew or a
    /// symbolic link was turned. Returns whether it does.
    ///
    /// # Errors
    /// [`Error::Root`] when nothing that can be served is there; then the old folder is kept.
    pub fn reopen_root(&self) -> Result<bool, Error> {
        let setup = self.setup();
        let (Some(path), Some(root)) = (&setup.config.root, setup.site.root()) else { return Ok(false) };
        let now = Root::open(path)?;
        if now.is_the_folder_of(root).unwrap_or(false) {
            return Ok(false);
        }
        let site = Site { root: Some(Arc::new(now)), ..setup.site.clone() };
        self.replace(&setup.config, site);
        Ok(true)
    }

    fn setup(&self) -> Arc<Setup> {
        Arc::clone(&lock(&self.setup))
    }

    /// How a door to it is to be set up, with TLS or without; whoever opens it adds the certificates
    /// and who is let in.
    ///
    /// Keep the idle limit off: only the engine knows whether silence is the client's.
    #[must_use]
    pub fn tcp_options(&self, tls: bool) -> TcpOptions {
        // The trace sees octets before encryption, so port 80 is what a dissector should take them for.
        let mut options = TcpOptions::new(if tls { "https" } else { "http" }, "http", PORT);
        options.limits.first_octet = self.setup().config.head_timeout;
        options.limits.idle = Duration::ZERO;
        options
    }

    /// What was served so far, over all workers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for worker in &self.workers {
            counts.add(&lock(worker).counts);
        }
        counts
    }

    /// What this thread keeps. Never held while waiting.
    #[inline]
    pub(super) fn worker(&self) -> MutexGuard<'_, Worker> {
        let mut worker = lock(&self.workers[thread_number() % self.workers.len()]);
        let generation = self.generation.load(Acquire);
        if worker.generation != generation {
            worker.generation = generation;
            worker.setup = self.setup();
            worker.hot = HotCache::new(worker.setup.config.cache_octets_max);
        }
        worker
    }
}

impl TcpService for Server {
    async fn serve(&self, connection: Connection) {
        super::connection::serve(self, connection).await;
    }
}

// A panic while a worker's lock was held leaves at worst half a batch in `out`, which each batch clears.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A small number of the calling thread's own, so that threads spread over the workers' places.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Relaxed));
    }
    NUMBER.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorway_net::BoxFuture;
    use doorway_net::web::{Request, Response};

    struct Named(u16);

    impl Handler for Named {
        fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
            Box::pin(async { Response { status: self.0, ..Response::default() } })
        }
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_decides() {
        let site = Site::default().mount("/a", Arc::new(Named(1))).mount("/a/b/", Arc::new(Named(2)));
        let pointer = |path: &str| site.handler(path.as_bytes()).map(|found| Arc::as_ptr(found).cast::<()>());
        let (a, b) = (pointer("/a"), pointer("/a/b"));
        assert_ne!(a, b);
        for (path, expected) in
            [("/a/", a), ("/a/x", a), ("/a/bc", a), ("/a/b/c", b), ("/ab", None), ("/", None), ("*", None)]
        {
            assert_eq!(pointer(path), expected, "{path}");
        }
        assert!(site.clone().mount("/", Arc::new(Named(3))).handler(b"/ab").is_some());
    }
}
