//! The server: what it serves, its bounds, and what each worker keeps between requests.

use std::cell::Cell;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::Random;
use doorway_net::tcp::TcpOptions;
use doorway_net::web::Handler;
use doorway_net::{Connection, TcpService, World};

use super::access_log::{self, Lines, LogFile};
use super::contents::Contents;
use super::counts::Counts;
use super::date::DateCache;
use super::hot::HotCache;
use super::proxy::Upstream;
use super::site::Sites;
use crate::auth::Verdicts;
use crate::config::{Config, PORT};
use crate::connection::Limits;
use crate::error::Error;
use crate::h2;
use crate::wire::FieldSpans;

/// The kernel keeps a new connection on which nothing has come for about so long, and hands it over then.
const DEFER_ACCEPT: Duration = Duration::from_secs(1);

/// An HTTP server, to be put behind doors with [`doorway_net::tcp::serve`].
pub struct Server {
    world: World,
    // Held by who takes lines to the file; a worker never waits for it.
    log_file: Mutex<LogFile>,
    setup: Mutex<Arc<Setup>>,
    /// Counts the changes of `setup`, so that workers need not lock it to see that there is none.
    generation: AtomicU64,
    // One a worker thread, so that its lock is never waited for.
    workers: Vec<Mutex<Worker>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("sites", &self.setup().sites).finish_non_exhaustive()
    }
}

/// What is served, and within what bounds.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) h2_limits: h2::Limits,
    /// Whether anybody may speak HTTP/2 without TLS, and not only this machine.
    pub(super) h2c: bool,
    pub(super) sites: Sites,
    pub(super) server_name: String,
    /// Whether TRACE sends a request back.
    pub(super) trace: bool,
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
    pub(super) contents: Contents,
    pub(super) dates: DateCache,
    pub(super) counts: Counts,
    pub(super) lines: Lines,
    /// For the boundaries between parts of a response.
    pub(super) boundaries: Random,
    pub(super) verdicts: Verdicts,
    pub(super) h2: Http2Room,
    /// Room for a text that is needed for a moment.
    pub(super) text: String,
}

/// Scratch room for HTTP/2 alone.
#[derive(Debug, Default)]
pub(super) struct Http2Room {
    pub(super) scratch: h2::request::Scratch,
    /// Part of a file on its way into a frame.
    pub(super) chunk: Vec<u8>,
}

impl Setup {
    fn new(world: &World, config: &Config, sites: Sites) -> Arc<Self> {
        sites.folders().for_each(|folder| folder.open_uploads(world));
        let (limits, server_name) = (config.limits(), config.server_name.clone());
        let (h2_limits, h2c, trace) = (config.h2_limits(), config.h2c, config.trace);
        Arc::new(Self { limits, h2_limits, h2c, sites, server_name, trace, config: config.clone() })
    }
}

impl Setup {
    /// Whether a client may speak HTTP/2 without TLS; `local` says that it is on this machine.
    pub(super) const fn speaks_h2c(&self, local: bool) -> bool {
        self.config.http2 && (self.h2c || local)
    }
}

impl Server {
    /// A server of `sites` in `world`.
    #[must_use]
    pub fn new(world: &World, config: &Config, sites: Sites) -> Self {
        let setup = Setup::new(world, config, sites);
        let mut random = world.random();
        let mut worker = || {
            let mut key = [0; 32];
            random.fill(&mut key);
            Mutex::new(Worker {
                setup: Arc::clone(&setup),
                generation: 0,
                spans: FieldSpans::default(),
                out: Vec::new(),
                // Half of the memory for each.
                hot: HotCache::new(config.cache_octets_max / 2),
                contents: Contents::new(config.cache_octets_max / 2),
                dates: DateCache::at(world.wall()),
                counts: Counts::default(),
                lines: Lines::new(config.access_log.as_ref().map(|log| log.format)),
                verdicts: Verdicts::new(key),
                boundaries: random.fork(),
                h2: Http2Room::default(),
                text: String::new(),
            })
        };
        let workers = (0..world.workers().max(1)).map(|_| worker()).collect();
        let (world, log_file) = (world.clone(), Mutex::default());
        Self { world, log_file, setup: Mutex::new(setup), generation: AtomicU64::new(0), workers }
    }

    /// Takes lines of the access log to its file from now on, until the server is dropped. What the last
    /// moments before that brought is for [`Server::flush_access_log`].
    pub fn start_access_log(self: &Arc<Self>) {
        access_log::start(&self.world, self);
    }

    /// Takes the lines that wait to the access log. Blocks on the disk: not for a worker.
    pub fn flush_access_log(&self) {
        let mut file = lock(&self.log_file);
        let setup = self.setup();
        let mut spare = Vec::new();
        for worker in &self.workers {
            let taken = lock(worker).lines.take(std::mem::take(&mut spare));
            let Some(log) = setup.config.access_log.as_ref().filter(|_| !taken.is_empty()) else { continue };
            if !file.append(&log.path, &taken) {
                let lost = taken.iter().filter(|octet| **octet == b'\n').count();
                lock(worker).counts.lines_dropped += lost as u64;
            }
            spare = taken;
            spare.clear();
        }
    }

    /// Opens the file of the access log anew: it may have been moved away.
    pub fn reopen_access_log(&self) {
        self.flush_access_log();
        lock(&self.log_file).reopen();
    }

    /// Serves other sites by another configuration from the next request on. Connections stay open;
    /// what concerns doors (addresses, numbers of connections) stays as it was.
    pub fn replace(&self, config: &Config, sites: Sites) {
        *lock(&self.setup) = Setup::new(&self.world, config, sites);
        self.generation.fetch_add(1, Release);
    }

    /// Opens each folder anew whose path leads to another one than it did, because it was made anew or a
    /// symbolic link was turned. Returns whether there was one.
    ///
    /// # Errors
    /// [`Error::Root`] when nothing that can be served is there; then the old folders are kept.
    pub fn reopen_folders(&self) -> Result<bool, Error> {
        let setup = self.setup();
        let Some(sites) = setup.sites.reopen()? else { return Ok(false) };
        self.replace(&setup.config, sites);
        Ok(true)
    }

    /// The upstream that a request for a path of a host is handed on to, if its route has one. The path is as it
    /// stands in a target; without a host it is that of every other host.
    #[must_use]
    pub fn upstream_of(&self, host: &str, path: &str) -> Option<Arc<Upstream>> {
        self.setup().sites.upstream_of(host, path)
    }

    /// Who answers requests for a path of a host, if what they bring is kept by a cache.
    #[must_use]
    pub fn cached_at(&self, host: &str, path: &str) -> Option<Arc<dyn Handler>> {
        self.setup().sites.cached_at(host, path)
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
        // The client speaks first, with TLS or without: a connection for each request is accepted and answered
        // in one turn.
        options.listen.defer_accept = Some(DEFER_ACCEPT);
        options
    }

    /// What its doors with TLS offer by ALPN (RFC 7301), most wanted first.
    #[must_use]
    pub fn protocols(config: &Config) -> &'static [&'static str] {
        if config.http2 { &["h2", "http/1.1"] } else { &["http/1.1"] }
    }

    /// What was served so far, over all workers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for worker in &self.workers {
            let worker = lock(worker);
            let mut own = worker.counts.clone();
            own.rename(worker.setup.sites.names());
            counts.add(&own);
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
            let Worker { setup, counts, .. } = &mut *worker;
            counts.rename(setup.sites.names());
            worker.setup = self.setup();
            worker.lines.format = worker.setup.config.access_log.as_ref().map(|log| log.format);
            worker.hot = HotCache::new(worker.setup.config.cache_octets_max / 2);
            worker.contents = Contents::new(worker.setup.config.cache_octets_max / 2);
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
