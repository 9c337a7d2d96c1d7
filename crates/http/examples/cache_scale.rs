//! How a cache fares with many responses: `cargo run --release -p doorway-http --example cache_scale FOLDER [COUNT]`.
//!
//! Keeps COUNT short responses (a million unless said otherwise) in FOLDER, each with three tags, starts anew
//! on what is there, and purges a tag that all of them carry. Prints how long each step took, and the memory.

#![allow(clippy::unwrap_used, reason = "an example that cannot go on ends here")]
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Trace;
use doorway_http::cache::freshness::Terms;
use doorway_http::cache::{Key, Moment, Purge, PurgeWhat, Stored, Targets};
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Cache, Turn};
use doorway_net::World;
use doorway_net::os::Runtime;
use doorway_net::web::{Bytes, Fields};

fn main() {
    let mut words = std::env::args().skip(1);
    let folder = words.next().expect("the folder to keep them in");
    let count: u64 = words.next().map_or(1_000_000, |count| count.parse().unwrap());
    let runtime = Runtime::start("cache_scale", 1, Trace::off()).unwrap();
    let world = runtime.world().clone();
    runtime.block_on(run(world, folder, count)).unwrap();
}

async fn run(world: World, folder: String, count: u64) {
    let config =
        CacheConfig { disk_octets_max: 8 << 30, memory_octets_max: 64 << 20, ..CacheConfig::named("scale") };
    let folder = Path::new(&folder);
    let told = |what: &str, span: Duration, cache: &Cache| {
        let octets = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: u64 = octets.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        println!(
            "{what:<28} {:>9.1} ms  {:>8} responses  {:>5} MiB resident",
            span.as_secs_f64() * 1e3,
            cache.counts().objects,
            pages / 256
        );
    };
    let cache = Cache::open(&world, &config, Some(folder)).unwrap();
    let begun = world.now();
    for number in 0..count {
        keep(&cache, &world, number);
        if number % 4096 == 0 {
            cache.flush().await;
        }
    }
    cache.flush().await;
    told("kept", world.now() - begun, &cache);
    let begun = world.now();
    let mut found = 0;
    for number in 0..count {
        found += cache.find(&url(number)).len();
    }
    told(&format!("looked up, {found} in memory"), world.now() - begun, &cache);
    drop(cache);
    let begun = world.now();
    let cache = Cache::open(&world, &config, Some(folder)).unwrap();
    told("started anew", world.now() - begun, &cache);
    assert_eq!(cache.counts().objects, count);
    let begun = world.now();
    for number in (0..count).step_by((count / 1000).max(1) as usize) {
        assert_eq!(cache.load(&Key::new(&url(number))).await.len(), 1);
    }
    told("1000 read from disk", world.now() - begun, &cache);
    let begun = world.now();
    let what = PurgeWhat::Tag("all".to_owned());
    cache.purge(&Purge { what, soft: false }).await.unwrap();
    told("one tag purged, durably", world.now() - begun, &cache);
    assert!(cache.load(&Key::new(&url(count / 2))).await.is_empty());
    let begun = world.now();
    let swept = cache.sweep().await;
    told("swept", world.now() - begun, &cache);
    println!("{swept:?}");
    drop(cache);
    let begun = world.now();
    let cache = Cache::open(&world, &config, Some(folder)).unwrap();
    told("started anew after the purge", world.now() - begun, &cache);
}

fn url(number: u64) -> String {
    format!("https://www.host{}.example/articles/{number}/index.html?language=en", number % 50)
}

fn keep(cache: &Arc<Cache>, world: &World, number: u64) {
    let mut fields = Fields::new();
    fields.add("Content-Type", "text/html; charset=utf-8");
    fields.add("Cache-Control", "max-age=3600");
    fields.add("ETag", format!("\"{number:016x}\""));
    fields.add("Surrogate-Key", format!("all section{} article{number}", number % 1000));
    let received = Moment { now: world.now(), wall: world.wall() };
    let terms = Terms::of(200, &fields, received.wall, Targets::Origin);
    let (initial_age, selecting) = (Duration::ZERO, Vec::new());
    let stored = Stored { status: 200, fields, requested: received, received, initial_age, selecting, terms };
    let Turn::Lead(lead) = cache.take_turn(&Key::new(&url(number)), &[]) else { return };
    lead.keep(stored, Bytes::from(vec![b'x'; 500])).unwrap();
}
