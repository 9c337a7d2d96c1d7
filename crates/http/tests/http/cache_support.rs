//! A cache on a simulated disk, and what is kept in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use doorway_http::cache::freshness::Terms;
use doorway_http::cache::{Key, Moment, Stored, Targets};
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Cache, Lead, Object, Refused, Site, Turn};
use doorway_net::World;
use doorway_net::web::{Body, Bytes, Fields};
use doorway_sim::{Node, SimDisk, Simulation};

/// Octets of a segment: small, so that tests fill many.
pub(crate) const SEGMENT_OCTETS: u64 = 4 * 1024 * 1024;

pub(crate) const MEMORY: u64 = 16 * 1024 * 1024;

/// A host with a disk.
pub(crate) struct Place {
    pub(crate) sim: Simulation,
    pub(crate) node: Node,
    pub(crate) world: World,
    pub(crate) disk: SimDisk,
    pub(crate) config: CacheConfig,
}

impl Place {
    /// With so many octets for the cache's disk; 0 for memory alone.
    pub(crate) fn new(disk_octets_max: u64) -> Self {
        Self::with_seed(1, disk_octets_max)
    }

    pub(crate) fn with_seed(seed: u64, disk_octets_max: u64) -> Self {
        let mut sim = Simulation::new(seed);
        let node = sim.node("cache", "10.0.0.1");
        let config = CacheConfig { memory_octets_max: MEMORY, disk_octets_max, ..CacheConfig::named("web") };
        let (world, disk) = (sim.world(node), sim.disk(node));
        Self { sim, node, world, disk, config }
    }

    /// Opens the cache, as a start of the program does.
    pub(crate) fn open(&self) -> Arc<Cache> {
        let site = Site {
            disk: Arc::new(self.disk.clone()),
            folder: PathBuf::from("cache"),
            threads: false,
            segment_octets: SEGMENT_OCTETS,
        };
        Cache::open_at(&self.world, &self.config, Some(site)).unwrap()
    }

    /// Runs a future, and time with it.
    pub(crate) fn run<T: Send + 'static>(&mut self, future: impl Future<Output = T> + Send + 'static) -> T {
        self.sim.run(self.node, future).unwrap()
    }
}

/// What came now with these fields.
pub(crate) fn stored(world: &World, lines: &[(&str, &str)]) -> Stored {
    let mut fields = Fields::new();
    lines.iter().for_each(|(name, value)| fields.add(*name, *value));
    let received = Moment { now: world.now(), wall: world.wall() };
    Stored {
        status: 200,
        requested: received,
        received,
        initial_age: Duration::from_secs(7),
        selecting: Vec::new(),
        terms: Terms::of(200, &fields, received.wall, Targets::Origin),
        fields,
    }
}

/// Content that no other number has.
pub(crate) fn content(number: u64, octets: usize) -> Bytes {
    let word = |at: u64| (number ^ at.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut content = Vec::with_capacity(octets + 8);
    (0..octets.div_ceil(8) as u64).for_each(|at| content.extend_from_slice(&word(at).to_be_bytes()));
    content.truncate(octets);
    content.into()
}

pub(crate) fn url(number: u64) -> Key {
    Key::new(&format!("http://a.example/{number}"))
}

#[track_caller]
pub(crate) fn lead(cache: &Arc<Cache>, key: &Key) -> Lead {
    match cache.take_turn(key, &[]) {
        Turn::Lead(lead) => lead,
        other => panic!("{other:?}"),
    }
}

/// Keeps content `number` under [`url`] `number`.
#[track_caller]
pub(crate) fn keep(
    cache: &Arc<Cache>,
    world: &World,
    number: u64,
    octets: usize,
) -> Result<Arc<Object>, Refused> {
    keep_as(cache, world, &url(number), number, octets, &[])
}

#[track_caller]
pub(crate) fn keep_as(
    cache: &Arc<Cache>,
    world: &World,
    key: &Key,
    number: u64,
    octets: usize,
    lines: &[(&str, &str)],
) -> Result<Arc<Object>, Refused> {
    lead(cache, key).keep(stored(world, lines), content(number, octets))
}

/// The content of a response, read to its end.
pub(crate) async fn read(object: &Object, span: Option<(u64, u64)>) -> Result<Bytes, std::io::Error> {
    Body::Stream(Box::pin(object.read(span))).read(1 << 30).await
}

/// What is kept as `number`, in memory or on disk, if anything is; its content must be the right one.
pub(crate) async fn look(cache: &Arc<Cache>, number: u64, octets: usize) -> Option<Arc<Object>> {
    let found = cache.load(&url(number)).await;
    let object = found.first()?;
    assert_eq!(read(object, None).await.unwrap(), content(number, octets), "content {number}");
    Some(Arc::clone(object))
}
