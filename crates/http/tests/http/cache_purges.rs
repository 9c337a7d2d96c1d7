//! Purges: what they are about, that they are in force at once, and that nothing brings it back.

use std::sync::Arc;

use doorway_http::cache::{Key, Purge, PurgeWhat};
use doorway_http::io::cache::{Cache, Refused, Swept};

use crate::cache_support::{Place, content, keep_as, lead, stored};

const DISK: u64 = 256 * 1024 * 1024;

/// Targets, each with its tags.
const KEPT: &[(&str, &str)] = &[
    ("http://a.example/", "home all"),
    ("http://a.example/news/1", "news all"),
    ("http://a.example/news/2?x", "news all hot"),
    ("http://a.example/newsletter", "all"),
    ("http://b.example/news/1", "news"),
    ("https://a.example/news/1", ""),
];

fn fill(cache: &Arc<Cache>, place: &Place) {
    for (number, (url, tags)) in KEPT.iter().enumerate() {
        let lines = [("Surrogate-Key", *tags)];
        keep_as(cache, &place.world, &Key::new(url), number as u64, 1000, &lines).unwrap();
    }
}

async fn state(cache: &Cache) -> String {
    let mut state = String::new();
    for (url, _) in KEPT {
        let found = cache.load(&Key::new(url)).await;
        state.push(match found.first() {
            None => '-',
            Some(object) if object.must_validate() => 'v',
            Some(_) => 'k',
        });
    }
    state
}

/// What a purge leaves: `k` kept, `v` to be validated, `-` forgotten; in memory, on disk, after a restart
/// before and one behind it.
#[track_caller]
fn check(what: &PurgeWhat, soft: bool, expected: &str) {
    for (disk, restarted) in [(0, false), (DISK, false), (DISK, true)] {
        let mut place = Place::new(disk);
        let mut cache = place.open();
        fill(&cache, &place);
        if restarted {
            drop(cache);
            cache = place.open();
        }
        let purge = Purge { what: what.clone(), soft };
        let wanted = expected.to_owned();
        let cache = place.run(async move {
            let expected = wanted.as_str();
            cache.purge(&purge).await.unwrap();
            assert_eq!(state(&cache).await, expected, "disk {disk}, restarted {restarted}");
            cache.sweep().await;
            assert_eq!(state(&cache).await, expected);
            let kept = expected.bytes().filter(|octet| *octet != b'-').count();
            assert_eq!(cache.counts().objects, kept as u64);
            cache
        });
        drop(cache);
        if disk > 0 {
            let cache = place.open();
            let state = place.run(async move { state(&cache).await });
            assert_eq!(state, expected, "after a restart");
        }
    }
}

#[test]
fn each_kind_of_purge_is_about_what_it_says() {
    let text = |text: &str| text.to_owned();
    for (what, expected) in [
        (PurgeWhat::Url(Key::new("http://a.example/news/1")), "k-kkkk"),
        (PurgeWhat::Url(Key::new("http://a.example/news")), "kkkkkk"),
        (PurgeWhat::Prefix(text("http://a.example/news/")), "k--kkk"),
        (PurgeWhat::Prefix(text("http://a.example/news")), "k---kk"),
        (PurgeWhat::Prefix(text("https://a.example/")), "kkkkk-"),
        (PurgeWhat::Host(text("a.example")), "----k-"),
        (PurgeWhat::Host(text("c.example")), "kkkkkk"),
        (PurgeWhat::Tag(text("news")), "k--k-k"),
        (PurgeWhat::Tag(text("hot")), "kk-kkk"),
        (PurgeWhat::Tag(text("ho")), "kkkkkk"),
    ] {
        check(&what, false, expected);
        check(&what, true, &expected.replace('-', "v"));
    }
}

#[test]
fn what_is_fetched_after_a_purge_is_kept_and_what_was_asked_for_before_is_not() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    let world = place.world.clone();
    let key = Key::new("http://a.example/");
    let purges = [
        PurgeWhat::Url(key.clone()),
        PurgeWhat::Host("a.example".to_owned()),
        PurgeWhat::Tag("t".to_owned()),
        PurgeWhat::Prefix("http://a.example/".to_owned()),
    ];
    let lines = [("Cache-Tag", "t")];
    for what in purges {
        let (cache, world, key) = (Arc::clone(&cache), world.clone(), key.clone());
        place.run(async move {
            let purge = Purge { what, soft: false };
            // Asked for before.
            let early = lead(&cache, &key);
            cache.purge(&purge).await.unwrap();
            assert_eq!(early.keep(stored(&world, &lines), content(1, 10)).unwrap_err(), Refused::Purged);
            // Arriving meanwhile; the mark of what was not kept is another matter.
            let other = Key::new("http://a.example/?2");
            let mut filling = lead(&cache, &other).begin(stored(&world, &lines), None).unwrap();
            filling.push(content(1, 10)).await.unwrap();
            let about_other = match &purge.what {
                PurgeWhat::Url(_) => Purge { what: PurgeWhat::Url(other.clone()), soft: false },
                _ => purge.clone(),
            };
            cache.purge(&about_other).await.unwrap();
            assert!(cache.find(other.as_str()).is_empty());
            assert_eq!(filling.finish().unwrap_err(), Refused::Purged);
            assert!(cache.load(&other).await.is_empty());
            // Asked for behind.
            keep_as(&cache, &world, &other, 1, 10, &lines).unwrap();
            assert_eq!(cache.load(&other).await.len(), 1);
            cache.invalidate(&other);
        });
    }
}

#[test]
fn a_soft_purge_ends_with_the_validation() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    fill(&cache, &place);
    place.run({
        let cache = Arc::clone(&cache);
        async move {
            let purge = Purge { what: PurgeWhat::Tag("hot".to_owned()), soft: true };
            cache.purge(&purge).await.unwrap();
            assert_eq!(cache.sweep().await, Swept { forgotten: 0, to_validate: 1 });
            let object = cache.load(&Key::new(KEPT[2].0)).await[0].clone();
            cache.refresh(&object, object.stored().clone());
            assert_eq!(state(&cache).await, "kkkkkk");
        }
    });
    drop(cache);
    let cache = place.open();
    place.run(async move { assert_eq!(state(&cache).await, "kkkkkk") });
}

#[test]
fn an_unsafe_request_forgets_its_target_for_good() {
    let mut place = Place::new(DISK);
    let cache = place.open();
    fill(&cache, &place);
    assert_eq!(cache.invalidate(&Key::new(KEPT[0].0)), 1);
    assert_eq!(cache.invalidate(&Key::new(KEPT[0].0)), 0);
    drop(cache);
    let cache = place.open();
    place.run(async move { assert_eq!(state(&cache).await, "-kkkkk") });
}
