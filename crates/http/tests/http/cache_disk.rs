//! The cache on disk: what is there after a restart, a power cut, a full disk and damage.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Disk, Random};
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::Cache;
use doorway_net::web::Body;

use crate::cache_support::{
    MEMORY, Place, SEGMENT_OCTETS, content, keep, keep_as, lead, look, read, stored, url,
};

const DISK: u64 = 256 * 1024 * 1024;

#[test]
fn what_leaves_the_memory_is_read_from_disk() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    let world = place.world.clone();
    place.run(async move {
        for number in 0..400 {
            keep(&cache, &world, number, 100_000).unwrap();
        }
        let counts = cache.counts();
        assert_eq!(counts.objects, 400);
        assert!(counts.objects_in_memory < 200 && counts.memory_octets <= MEMORY);
        for number in 0..400 {
            let object = look(&cache, number, 100_000).await.unwrap();
            // Within a run the times are those of its clock.
            assert_eq!(object.stored(), &stored(&world, &[]));
        }
        assert!(cache.counts().memory_octets <= MEMORY);
    });
}

#[test]
fn everything_is_there_after_a_restart_and_older_by_the_time_between() {
    let mut place = Place::new(DISK);
    let lines = [("Content-Type", "text/plain"), ("Surrogate-Key", "a b")];
    let cache = place.open();
    for number in 0..100 {
        keep_as(&cache, &place.world, &url(number), number, 50_000, &lines).unwrap();
    }
    keep(&cache, &place.world, 7, 60_000).unwrap();
    for with_lists in [true, false] {
        if with_lists {
            cache.close();
        }
        place.sim.run_for(Duration::from_secs(100));
        let cache = place.open();
        assert_eq!((cache.counts().objects, cache.counts().objects_in_memory), (100, 0));
        assert_eq!(cache.counts().together().octets, 99 * 50_000 + 60_000);
        let world = place.world.clone();
        let age = if with_lists { 107 } else { 207 };
        place.run(async move {
            let octets = |number| if number == 7 { 60_000 } else { 50_000 };
            for number in 0..100 {
                let object = look(&cache, number, octets(number)).await.unwrap();
                let kept = object.stored();
                assert_eq!(kept.initial_age, Duration::from_secs(age));
                assert_eq!(kept.received.now, world.now());
                assert!(!object.must_validate());
                assert!(number == 7 || kept.fields.first("surrogate-key") == Some("a b"));
            }
        });
    }
}

#[test]
fn what_seems_to_come_from_the_future_is_validated_first() {
    let mut place = Place::new(DISK);
    place.sim.run_for(Duration::from_secs(1000));
    let cache = place.open();
    keep(&cache, &place.world, 1, 100).unwrap();
    drop(cache);
    // Another host whose clock is behind, with the same disk.
    let mut behind = Place::with_seed(2, DISK);
    behind.disk = place.disk.clone();
    let cache = behind.open();
    let old = behind.run(async move {
        let object = look(&cache, 1, 100).await.unwrap();
        assert!(object.must_validate());
        let fresh = cache.refresh(&object, object.stored().clone());
        assert!(!fresh.must_validate() && !cache.find(url(1).as_str())[0].must_validate());
        cache
    });
    drop(old);
    let cache = behind.open();
    behind.run(async move { assert!(!look(&cache, 1, 100).await.unwrap().must_validate()) });
}

#[test]
fn a_long_content_goes_to_the_disk_while_it_arrives() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    let world = place.world.clone();
    let octets = 9 * 1024 * 1024 + 12_345;
    place.run({
        let cache = Arc::clone(&cache);
        async move {
            let whole = content(1, octets);
            for announced in [Some(octets as u64), None] {
                let mut filling = lead(&cache, &url(1)).begin(stored(&world, &[]), announced).unwrap();
                let early = filling.object().read(None);
                for at in (0..octets).step_by(77_777) {
                    filling.push(whole.slice(at..octets.min(at + 77_777))).await.unwrap();
                    assert!(cache.counts().memory_octets <= 3 << 20, "{}", cache.counts().memory_octets);
                }
                let late = filling.object().read(Some((5_000_000, 5_000_001)));
                filling.finish().unwrap();
                assert_eq!(Body::Stream(Box::pin(early)).read(1 << 30).await.unwrap(), whole);
                assert_eq!(
                    Body::Stream(Box::pin(late)).read(1 << 30).await.unwrap(),
                    whole[5_000_000..=5_000_000]
                );
                let object = look(&cache, 1, octets).await.unwrap();
                assert!(object.in_memory().is_none() && !object.is_filling());
                for (first, end) in
                    [(0, 1), (1_048_575, 1_048_577), (3_000_000, 3_700_000), (octets - 1, octets)]
                {
                    let part = read(&object, Some((first as u64, end as u64))).await.unwrap();
                    assert_eq!(part, whole.slice(first..end));
                }
                assert_eq!(cache.counts().objects, 1);
            }
        }
    });
    drop(cache);
    let cache = place.open();
    place.run(async move {
        let object = look(&cache, 1, octets).await.unwrap();
        // Other fields for a content in pieces.
        cache.refresh(&object, object.stored().clone());
        look(&cache, 1, octets).await.unwrap();
    });
    let cache = place.open();
    place.run(async move { assert!(look(&cache, 1, octets).await.is_some()) });
}

#[test]
fn the_oldest_goes_when_the_disk_has_no_room_and_what_is_asked_for_stays() {
    let mut place = Place::new(5 * SEGMENT_OCTETS);
    let cache = place.open();
    let world = place.world.clone();
    place.run({
        let cache = Arc::clone(&cache);
        async move {
            for number in 0..1000 {
                keep(&cache, &world, number, 50_000).unwrap();
                look(&cache, number % 5, 50_000).await.expect("what is asked for stays");
                let disk = cache.counts().disk.unwrap();
                assert!(disk.octets <= 5 * SEGMENT_OCTETS, "{disk:?}");
            }
            let disk = cache.counts().disk.unwrap();
            assert!(disk.octets > 4 * SEGMENT_OCTETS && disk.alarm.is_none(), "{disk:?}");
        }
    });
    drop(cache);
    let files = place.disk.list(Path::new("cache")).unwrap();
    assert!(files.len() <= 2 * 5 + 2, "{files:?}");
    let cache = place.open();
    place.run(async move {
        let counts = cache.counts();
        assert!((250..450).contains(&counts.objects), "{counts:?}");
        for number in 0..5 {
            assert!(look(&cache, number, 50_000).await.is_some(), "{number}");
        }
        let mut there = 0;
        for number in 5..1000 {
            there += u64::from(look(&cache, number, 50_000).await.is_some());
        }
        assert_eq!(there + 5, counts.objects);
        assert!(look(&cache, 999, 50_000).await.is_some() && look(&cache, 5, 50_000).await.is_none());
    });
}

#[test]
fn a_full_disk_leaves_the_memory_alone_and_is_tried_again() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    let (world, disk) = (place.world.clone(), place.disk.clone());
    keep(&cache, &world, 1, 1000).unwrap();
    disk.set_capacity(10_000);
    keep(&cache, &world, 2, 50_000).unwrap();
    keep(&cache, &world, 3, 50_000).unwrap();
    let counts = cache.counts().disk.unwrap();
    assert!(counts.alarm.is_some(), "{counts:?}");
    assert_eq!((counts.written, counts.failed, counts.refused), (1, 1, 1));
    place.run({
        let cache = Arc::clone(&cache);
        async move {
            for (number, octets) in [(1, 1000), (2, 50_000), (3, 50_000)] {
                assert!(look(&cache, number, octets).await.unwrap().in_memory().is_some());
            }
        }
    });
    disk.set_capacity(u64::MAX);
    place.sim.run_for(Duration::from_secs(31));
    keep(&cache, &world, 4, 50_000).unwrap();
    assert_eq!(cache.counts().disk.unwrap().alarm, None);
    drop(cache);
    let cache = place.open();
    place.run(async move {
        for (number, octets, there) in
            [(1, 1000, true), (2, 50_000, false), (3, 50_000, false), (4, 50_000, true)]
        {
            assert_eq!(look(&cache, number, octets).await.is_some(), there, "{number}");
        }
    });
}

#[test]
fn a_disk_that_others_fill_gets_its_room_back() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    let disk = place.disk.clone();
    for number in 0..500 {
        keep(&cache, &place.world, number, 50_000).unwrap();
    }
    let before = cache.counts().disk.unwrap();
    assert!(before.segments > 5 && before.alarm.is_none());
    // 10 MiB less than what is to stay free, and then nothing at all.
    disk.set_capacity(before.octets + (512 << 20) - (10 << 20) + SEGMENT_OCTETS);
    for number in 500..700 {
        keep(&cache, &place.world, number, 50_000).unwrap();
    }
    let after = cache.counts().disk.unwrap();
    assert!(after.octets + (8 << 20) <= before.octets && after.alarm.is_none(), "{before:?} {after:?}");
    disk.set_capacity(after.octets + (100 << 20));
    for number in 700..900 {
        keep(&cache, &place.world, number, 50_000).unwrap();
    }
    let last = cache.counts().disk.unwrap();
    assert!(last.segments <= 1 && last.alarm.unwrap().contains("512 MiB"));
    place.run(async move { assert!(look(&cache, 899, 50_000).await.is_some()) });
}

#[test]
fn a_long_content_that_the_disk_stops_taking_still_reaches_its_readers() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    let (world, disk) = (place.world.clone(), place.disk.clone());
    let octets = 8 << 20;
    place.run(async move {
        let whole = content(1, octets);
        let mut filling = lead(&cache, &url(1)).begin(stored(&world, &[]), Some(octets as u64)).unwrap();
        let reading = filling.object().read(None);
        let reader = async { Body::Stream(Box::pin(reading)).read(1 << 30).await };
        let writer = async {
            for at in (0..octets).step_by(100_000) {
                if at > 3 << 20 {
                    disk.set_capacity(0);
                }
                filling.push(whole.slice(at..octets.min(at + 100_000))).await.unwrap();
            }
            filling.finish()
        };
        let (read, finished) = tokio::join!(reader, writer);
        assert_eq!(read.unwrap(), whole);
        assert!(finished.is_err() && cache.find(url(1).as_str()).is_empty());
    });
}

#[test]
fn damage_is_seen_before_anybody_gets_it() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    for number in 0..20 {
        keep(&cache, &place.world, number, 200_000).unwrap();
    }
    drop(cache);
    let segment = place.disk.list(Path::new("cache")).unwrap();
    let segment = segment.iter().find(|path| path.extension().unwrap() == "segment").unwrap();
    let file = place.disk.open(segment, false).unwrap();
    let octets = file.octets().unwrap();
    let mut random = Random::new(1);
    for _ in 0..10 {
        let at = random.below(octets);
        let mut octet = [0];
        file.read_exact_at(&mut octet, at).unwrap();
        file.write_all_at(&[octet[0] ^ 1], at).unwrap();
    }
    let cache = place.open();
    place.run(async move {
        let mut there = 0;
        for number in 0..20 {
            there += u64::from(look(&cache, number, 200_000).await.is_some());
        }
        let counts = cache.counts();
        assert!((10..20).contains(&there), "{there}");
        assert_eq!(counts.disk.unwrap().damaged, 20 - there);
        assert_eq!(counts.objects, there);
    });
}

/// What a cache may have after power cuts: each number with the lengths that it was kept with.
async fn check_after_cut(cache: &Cache, numbers: u64) -> BTreeSet<u64> {
    let mut there = BTreeSet::new();
    for number in 0..numbers {
        let found = cache.load(&url(number)).await;
        if let Some(object) = found.first() {
            let octets = object.octets().unwrap() as usize;
            // A long content is read block by block: an error is no torn answer.
            match read(object, None).await {
                Ok(got) => assert_eq!(got, content(number, octets), "torn content {number}"),
                Err(_) => assert!(octets > 1 << 20),
            }
            there.insert(number);
        }
    }
    there
}

#[test]
fn no_power_cut_gives_torn_contents_or_brings_back_what_was_purged() {
    use doorway_http::cache::{Purge, PurgeWhat};
    let mut survivors = 0;
    for seed in 0..20 {
        let mut place = Place::new(6 * SEGMENT_OCTETS);
        place.disk = doorway_sim::SimDisk::new(seed);
        let mut random = Random::new(seed);
        let mut purged = BTreeSet::new();
        for _ in 0..4 {
            let cache = place.open();
            let world = place.world.clone();
            let mut own = random.fork();
            let before = purged.clone();
            purged = place.run(async move {
                let mut purged = before;
                let there = check_after_cut(&cache, 60).await;
                assert!(there.is_disjoint(&purged), "{there:?} {purged:?}");
                for _ in 0..own.below(120) {
                    let number = own.below(60);
                    match own.below(10) {
                        0 => {
                            let what = PurgeWhat::Url(url(number));
                            cache.purge(&Purge { what, soft: false }).await.unwrap();
                            purged.insert(number);
                        }
                        1 => {
                            let octets = 2_100_000 + own.below(9000) as usize;
                            keep(&cache, &world, number, octets).unwrap();
                            purged.remove(&number);
                        }
                        _ => {
                            keep(&cache, &world, number, own.below(80_000) as usize).unwrap();
                            purged.remove(&number);
                        }
                    }
                }
                purged
            });
            place.disk.crash();
        }
        let cache = place.open();
        survivors += place.run(async move { check_after_cut(&cache, 60).await.len() });
    }
    assert!(survivors > 40, "{survivors}");
}

#[test]
fn as_many_responses_as_the_config_says_are_kept() {
    let mut place = Place::new(DISK);
    place.config = CacheConfig { objects_max: 200, ..place.config };
    let cache = place.open();
    for number in 0..1000 {
        keep(&cache, &place.world, number, 10_000).unwrap();
    }
    // A whole segment goes at a time.
    let objects = cache.counts().objects;
    assert!((1..=600).contains(&objects), "{objects}");
}
