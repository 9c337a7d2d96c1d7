//! The cache in memory: what is found, who asks and who waits, contents that are read while they arrive, and
//! what goes when there is no room.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Outcome, Refused, Turn, VARIANTS_MAX, Wait};
use doorway_net::web::{Body, BodyStream, Bytes};

use crate::cache_support::{MEMORY, Place, content, keep, keep_as, lead, look, read, stored, url};

fn wait(turn: Turn) -> Wait {
    match turn {
        Turn::Wait(wait) => wait,
        other => panic!("{other:?}"),
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// The next piece of a content, if one is there.
fn piece(reading: &mut (impl BodyStream + Unpin)) -> Option<Option<std::io::Result<Bytes>>> {
    match std::pin::Pin::new(reading).poll_piece(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(piece) => Some(piece),
        Poll::Pending => None,
    }
}

#[test]
fn what_is_kept_is_found_and_read_in_whole_and_in_part() {
    let mut place = Place::new(0);
    let cache = place.open();
    assert!(cache.find(url(1).as_str()).is_empty());
    keep(&cache, &place.world, 1, 100_000).unwrap();
    let found = cache.find(url(1).as_str());
    assert_eq!((found.len(), found[0].octets()), (1, Some(100_000)));
    assert_eq!(found[0].in_memory(), Some(&content(1, 100_000)));
    assert!(cache.find(url(2).as_str()).is_empty());
    place.run(async move {
        let object = look(&cache, 1, 100_000).await.unwrap();
        for (first, end) in [(0, 1), (5, 70_000), (99_999, 100_000), (10, 10)] {
            let part = read(&object, Some((first, end))).await.unwrap();
            assert_eq!(part, content(1, 100_000).slice(first as usize..end as usize));
        }
        assert_eq!(object.read(Some((5, 70_000))).octets(), Some(69_995));
    });
}

#[test]
fn those_who_wait_read_along_while_one_asks() {
    let mut place = Place::new(0);
    let cache = place.open();
    let lead = lead(&cache, &url(1));
    let mut waiting: Vec<Wait> = (0..1000).map(|_| wait(cache.take_turn(&url(1), &[]))).collect();
    assert!(waiting.iter_mut().all(|wait| poll(wait).is_none()));
    let mut filling = lead.begin(stored(&place.world, &[]), None).unwrap();
    let mut readings: Vec<_> = waiting
        .iter_mut()
        .map(|wait| match poll(wait) {
            Some(Outcome::Object(object)) => object.read(None),
            other => panic!("{other:?}"),
        })
        .collect();
    // It is found from now on: nobody asks once more.
    assert!(cache.find(url(1).as_str())[0].is_filling() && cache.counts().turns == 0);
    assert!(piece(&mut readings[0]).is_none());
    let whole = content(1, 150_000);
    place.run(async move {
        filling.push(whole.slice(..1000)).await.unwrap();
        for reading in &mut readings {
            assert_eq!(piece(reading).unwrap().unwrap().unwrap(), whole.slice(..1000));
            assert!(piece(reading).is_none());
        }
        filling.push(whole.slice(1000..)).await.unwrap();
        let kept = filling.finish().unwrap();
        for reading in readings {
            let rest = Body::Stream(Box::pin(reading)).read(1 << 20).await.unwrap();
            assert_eq!(rest, whole.slice(1000..));
        }
        assert_eq!(kept.in_memory(), Some(&whole));
        assert!(cache.find(url(1).as_str())[0].in_memory().is_some());
    });
}

#[test]
fn what_breaks_off_is_an_error_for_readers_and_is_not_kept() {
    let mut place = Place::new(0);
    let cache = place.open();
    let world = place.world.clone();
    place.run(async move {
        for announced in [None, Some(20)] {
            let mut filling = lead(&cache, &url(1)).begin(stored(&world, &[]), announced).unwrap();
            filling.push(content(1, 10)).await.unwrap();
            let object = Arc::clone(filling.object());
            if announced.is_some() {
                assert_eq!(filling.finish().unwrap_err(), Refused::Length);
            } else {
                drop(filling);
            }
            assert!(read(&object, None).await.is_err());
            assert!(cache.find(url(1).as_str()).is_empty());
        }
        let mut filling = lead(&cache, &url(1)).begin(stored(&world, &[]), Some(5)).unwrap();
        assert_eq!(filling.push(content(1, 10)).await, Err(Refused::Length));
        drop(filling);
        assert_eq!((cache.counts().objects, cache.counts().memory_octets), (0, 0));
    });
}

#[test]
fn what_replaces_a_response_leaves_the_old_one_until_it_is_whole() {
    let mut place = Place::new(0);
    let cache = place.open();
    let world = place.world.clone();
    place.run(async move {
        keep(&cache, &world, 1, 10).unwrap();
        let filling = lead(&cache, &url(1)).begin(stored(&world, &[]), None).unwrap();
        let found = cache.find(url(1).as_str());
        assert!(found.len() == 2 && found[0].is_filling() && !found[1].is_filling());
        drop(filling);
        assert_eq!(cache.find(url(1).as_str()).len(), 1);
        let mut filling = lead(&cache, &url(1)).begin(stored(&world, &[]), None).unwrap();
        filling.push(content(1, 20)).await.unwrap();
        filling.finish().unwrap();
        assert!(look(&cache, 1, 20).await.is_some());
        assert_eq!(cache.counts().objects, 1);
    });
}

#[test]
fn the_next_one_asks_when_one_fails_and_nobody_after_the_second() {
    let place = Place::new(0);
    let cache = place.open();
    let first = lead(&cache, &url(1));
    let mut waiting: Vec<Wait> = (0..10).map(|_| wait(cache.take_turn(&url(1), &[]))).collect();
    assert!(waiting.iter_mut().all(|wait| poll(wait).is_none()));
    first.failed();
    // One that is not the first does not take it.
    assert!(poll(&mut waiting[5]).is_none());
    let Some(Outcome::Lead(second)) = poll(&mut waiting[0]) else { panic!("the first waits on") };
    assert!(waiting[1..].iter_mut().all(|wait| poll(wait).is_none()));
    second.failed();
    assert!(waiting[1..].iter_mut().all(|wait| matches!(poll(wait), Some(Outcome::Failed))));
    lead(&cache, &url(1)).failed();
    assert_eq!(cache.counts().turns, 0);
}

#[test]
fn the_turn_passes_by_those_who_went_away() {
    let place = Place::new(0);
    let cache = place.open();
    let first = lead(&cache, &url(1));
    let mut waiting: Vec<Wait> = (0..4).map(|_| wait(cache.take_turn(&url(1), &[]))).collect();
    first.failed();
    drop(waiting.remove(0));
    // One that goes away without a word, as its client did, counts as no failure.
    let Some(Outcome::Lead(gone)) = poll(&mut waiting[0]) else { panic!("nobody leads") };
    drop(gone);
    drop(waiting.remove(0));
    let Some(Outcome::Lead(second)) = poll(&mut waiting[0]) else { panic!("nobody leads") };
    second.not_kept();
    assert!(matches!(poll(&mut waiting[1]), Some(Outcome::NotKept)));
    let cache = Place::new(0).open();
    let first = lead(&cache, &url(1));
    let only = wait(cache.take_turn(&url(1), &[]));
    first.failed();
    drop(only);
    lead(&cache, &url(1)).failed();
}

#[test]
fn everybody_asks_alone_for_a_while_after_a_response_that_could_not_be_kept() {
    let mut place = Place::new(0);
    let cache = place.open();
    lead(&cache, &url(1)).not_kept();
    assert!(matches!(cache.take_turn(&url(1), &[]), Turn::Alone));
    lead(&cache, &url(2)).failed();
    place.sim.run_for(Duration::from_secs(119));
    assert!(matches!(cache.take_turn(&url(1), &[]), Turn::Alone));
    place.sim.run_for(Duration::from_secs(2));
    lead(&cache, &url(1)).failed();
}

#[test]
fn requests_that_select_differently_do_not_wait_for_each_other() {
    let place = Place::new(0);
    let cache = place.open();
    let selecting = |value: &str| vec![("accept-language".to_owned(), Some(value.to_owned()))];
    let keep = |value: &str| {
        let Turn::Lead(lead) = cache.take_turn(&url(1), &selecting(value)) else { panic!("{value} waits") };
        let stored = doorway_http::cache::Stored { selecting: selecting(value), ..stored(&place.world, &[]) };
        (lead, stored)
    };
    let turns: Vec<_> = (0..100).map(|number| keep(&number.to_string())).collect();
    for (lead, stored) in turns {
        lead.keep(stored, content(1, 10)).unwrap();
    }
    // The newest of them, and not without bound.
    let found = cache.find(url(1).as_str());
    assert_eq!(found.len(), VARIANTS_MAX);
    assert_eq!(found[0].stored().selecting, selecting("99"));
    let (lead, stored) = keep("99");
    lead.keep(stored, content(1, 20)).unwrap();
    let found = cache.find(url(1).as_str());
    assert_eq!((found[0].octets(), found[1].octets()), (Some(20), Some(10)));
    assert!(found.len() <= VARIANTS_MAX);
}

#[test]
fn memory_stays_within_its_bound_and_keeps_what_is_asked_for_again() {
    let place = Place::new(0);
    let cache = place.open();
    for number in 0..1000 {
        keep(&cache, &place.world, number, 100_000).unwrap();
        (0..10).for_each(|popular| _ = cache.find(url(popular).as_str()));
        assert!(cache.counts().memory_octets <= MEMORY);
    }
    let counts = cache.counts();
    assert!(counts.memory_octets > MEMORY - 200_000 && counts.evicted > 800, "{counts:?}");
    assert_eq!((counts.objects, counts.objects_in_memory), (1000 - counts.evicted, counts.objects));
    assert!((0..10).all(|popular| !cache.find(url(popular).as_str()).is_empty()));
    assert_eq!(counts.together().octets, counts.objects * 100_000);
}

#[test]
fn contents_that_arrive_count_as_memory_too() {
    let mut place = Place::new(0);
    let cache = place.open();
    let world = place.world.clone();
    place.run(async move {
        let begin = |number| lead(&cache, &url(number)).begin(stored(&world, &[]), Some(1_500_000));
        let fillings: Vec<_> = (0..11).map(|number| begin(number).unwrap()).collect();
        assert_eq!(begin(11).unwrap_err(), Refused::NoRoom);
        drop(fillings);
        assert_eq!(cache.counts().memory_octets, 0);
        drop(begin(12).unwrap());
    });
}

#[test]
fn what_is_too_long_passes_through_at_the_pace_of_its_readers() {
    let mut place = Place::new(0);
    let cache = place.open();
    let world = place.world.clone();
    assert_eq!(lead(&cache, &url(1)).begin(stored(&world, &[]), Some(MEMORY)).unwrap_err(), Refused::TooLong);
    let octets = 10 * 1024 * 1024;
    place.run(async move {
        let mut filling = lead(&cache, &url(2)).begin(stored(&world, &[]), None).unwrap();
        let object = Arc::clone(filling.object());
        let (mut fast, mut slow) = (object.read(None), object.read(None));
        let whole = content(2, octets);
        let (mut fast_got, mut slow_got) = (0, 0);
        let mut ahead_max = 0;
        for at in (0..octets).step_by(100_000) {
            let piece_octets = whole.slice(at..octets.min(at + 100_000));
            let mut push = Box::pin(filling.push(piece_octets));
            while poll(&mut push).is_none() {
                // It waits for the slow one alone.
                ahead_max = ahead_max.max(at - slow_got);
                let got = piece(&mut slow).unwrap().unwrap().unwrap();
                assert_eq!(got, whole.slice(slow_got..slow_got + got.len()));
                slow_got += got.len();
            }
            while let Some(Some(got)) = piece(&mut fast) {
                fast_got += got.unwrap().len();
            }
        }
        assert!((1 << 20..6 << 20).contains(&ahead_max), "{ahead_max}");
        assert_eq!(filling.finish().unwrap_err(), Refused::TooLong);
        assert!(cache.find(url(2).as_str()).is_empty());
        let rest = Body::Stream(Box::pin(slow)).read(1 << 30).await.unwrap();
        assert_eq!(rest, whole.slice(slow_got..));
        let rest = Body::Stream(Box::pin(fast)).read(1 << 30).await.unwrap();
        assert_eq!(fast_got + rest.len(), octets);
        // Whoever comes later finds no beginning, and gets none that is wrong.
        assert!(read(&object, None).await.is_err());
        assert_eq!(cache.counts().memory_octets, 0);
    });
}

#[test]
fn nothing_is_fetched_for_nobody() {
    let mut place = Place::new(0);
    let cache = place.open();
    let world = place.world.clone();
    place.run(async move {
        let mut filling = lead(&cache, &url(2)).begin(stored(&world, &[]), None).unwrap();
        let mut outcome = Ok(());
        for _ in 0..100 {
            outcome = filling.push(content(1, 100_000)).await;
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, Err(Refused::Unwanted));
    });
}

#[test]
fn a_host_has_no_more_than_its_part() {
    let mut place = Place::new(0);
    place.config = CacheConfig { host_octets_max: 1000, ..place.config };
    let cache = place.open();
    keep(&cache, &place.world, 1, 600).unwrap();
    assert_eq!(keep(&cache, &place.world, 2, 600).unwrap_err(), Refused::HostFull);
    keep_as(&cache, &place.world, &doorway_http::cache::Key::new("http://b.example/"), 3, 600, &[]).unwrap();
    assert_eq!(cache.counts().hosts.iter().map(|host| host.octets).collect::<Vec<_>>(), [600, 600]);
    let world = place.world.clone();
    place.run(async move {
        let mut filling = lead(&cache, &url(4)).begin(stored(&world, &[]), None).unwrap();
        filling.push(content(4, 300)).await.unwrap();
        assert_eq!(filling.push(content(4, 300)).await, Err(Refused::Unwanted));
        drop(filling);
        assert_eq!(cache.invalidate(&url(1)), 1);
        keep(&cache, &world, 5, 600).unwrap();
    });
}

#[test]
fn a_304_gives_other_fields_and_the_same_content() {
    let mut place = Place::new(0);
    let cache = place.open();
    let old = keep(&cache, &place.world, 1, 10).unwrap();
    let fresh = cache.refresh(&old, stored(&place.world, &[("ETag", "\"2\"")]));
    assert_eq!(fresh.stored().fields.first("etag"), Some("\"2\""));
    let found = cache.find(url(1).as_str());
    assert!(found.len() == 1 && Arc::ptr_eq(&found[0], &fresh));
    place.run(async move { assert!(look(&cache, 1, 10).await.is_some()) });
}
