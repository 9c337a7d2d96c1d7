//! The cache over the system's disk, with its own threads, asked by several threads at once: what is found is
//! right, bounds hold, and nothing stands still.

use std::sync::Arc;

use doorway_base::{Random, Trace};
use doorway_http::cache::{Key, Purge, PurgeWhat, Stored};
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Cache, Outcome, SEGMENT_OCTETS, Site, Turn};
use doorway_net::World;
use doorway_net::os::Runtime;
use doorway_store::OsDisk;

use crate::cache_support::{content, read, stored};
use crate::support::Folder;

const TARGETS: u64 = 300;
const STEPS: u64 = 1500;
const CLIENTS: usize = 4;

fn key(target: u64) -> Key {
    Key::new(&format!("http://host{}.example/{target}", target % 3))
}

fn octets(target: u64) -> usize {
    match target % 50 {
        0 => 3_000_000,
        1..=5 => 300_000,
        _ => (target * 137 % 40_000) as usize,
    }
}

fn open(world: &World, folder: &Folder) -> Arc<Cache> {
    let config =
        CacheConfig { memory_octets_max: 8 << 20, disk_octets_max: 24 << 20, ..CacheConfig::named("web") };
    let site = Site {
        disk: Arc::new(OsDisk),
        folder: folder.0.join("cache"),
        threads: true,
        segment_octets: SEGMENT_OCTETS / 16,
    };
    Cache::open_at(world, &config, Some(site)).unwrap()
}

/// Fetches a target as a conductor does: in parts when `slowly`.
async fn fetch(cache: &Arc<Cache>, world: &World, target: u64, slowly: bool) {
    let lead = match cache.take_turn(&key(target), &[]) {
        Turn::Lead(lead) => lead,
        Turn::Wait(wait) => match wait.await {
            Outcome::Lead(lead) => lead,
            Outcome::Object(object) => {
                // The leader may break off.
                if let Ok(got) = read(&object, None).await {
                    assert_eq!(got, content(target, octets(target)));
                }
                return;
            }
            Outcome::NotKept | Outcome::Failed => return,
        },
        Turn::Alone => return,
    };
    let whole = content(target, octets(target));
    let stored = stored(world, &[("Surrogate-Key", if target.is_multiple_of(2) { "even" } else { "odd" })]);
    if !slowly {
        let _ = lead.keep(stored, whole);
        return;
    }
    let announced = target.is_multiple_of(3).then_some(whole.len() as u64);
    let Ok(mut filling) = lead.begin(stored, announced) else { return };
    for part in 0..whole.len().div_ceil(50_000) {
        let part = whole.slice(part * 50_000..whole.len().min((part + 1) * 50_000));
        if filling.push(part).await.is_err() {
            return;
        }
    }
    let _ = filling.finish();
}

async fn client(cache: Arc<Cache>, world: World, mut random: Random) -> u64 {
    let mut found = 0;
    for step in 0..STEPS {
        let target = random.below(TARGETS).min(random.below(TARGETS));
        let objects = cache.load(&key(target)).await;
        if let Some(object) = objects.first() {
            match read(object, None).await {
                Ok(got) => assert_eq!(got, content(target, octets(target)), "{target}"),
                Err(error) => assert!(object.is_filling(), "{target}: {error}"),
            }
            found += 1;
            if random.chance(0.1) {
                let stored: Stored = object.stored().clone();
                cache.refresh(object, stored);
            }
        } else {
            fetch(&cache, &world, target, random.chance(0.5)).await;
        }
        let soft = random.chance(0.5);
        let what = match random.below(400) {
            0 => PurgeWhat::Url(key(target)),
            1 => PurgeWhat::Tag("even".to_owned()),
            2 => PurgeWhat::Prefix(format!("http://host{}.example/1", target % 3)),
            3 => PurgeWhat::Host(format!("host{}.example", target % 3)),
            4 => {
                cache.invalidate(&key(target));
                continue;
            }
            5 => {
                cache.sweep().await;
                continue;
            }
            _ => continue,
        };
        cache.purge(&Purge { what, soft }).await.unwrap();
        if step % 7 == 0 {
            drop(cache.take_turn(&key(target), &[]));
        }
    }
    found
}

#[test]
fn many_threads_find_what_is_right_within_all_bounds() {
    let folder = Folder::new();
    let runtime = Runtime::start("cache", 1, Trace::off()).unwrap();
    let world = runtime.world().clone();
    let mut random = Random::new(7);
    for _ in 0..2 {
        let cache = open(&world, &folder);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let client = client(Arc::clone(&cache), world.clone(), random.fork());
                std::thread::spawn(move || doorway_store::wait(client))
            })
            .collect();
        let found: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
        cache.close();
        let counts = cache.counts();
        let disk = counts.disk.clone().unwrap();
        assert!(found > STEPS * CLIENTS as u64 / 3, "{found}");
        assert!(
            disk.octets <= 24 << 20 && disk.segments <= 6 && disk.damaged == 0 && disk.alarm.is_none(),
            "{disk:?}"
        );
        assert!(counts.memory_octets <= 8 << 20 && counts.turns == 0, "{counts:?}");
        let (objects, octets) = (counts.together().objects, counts.together().octets);
        assert_eq!(objects, counts.objects);
        assert!(octets <= (24 + 8) << 20, "{octets}");
    }
}
