//! Many clients at once, origins that fail or stop half-way, clients that go away, clocks that are set.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_base::UnixTime;
use doorway_http::cache::Policy;
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Cache, Conductor, Verdict};
use doorway_net::web::{Body, BodyStream, Bytes, Fetch, Fields, Handler, Request, Response};
use doorway_net::{BoxFuture, World};
use doorway_sim::Simulation;

/// An origin that takes a second for each head and for each of ten pieces.
struct Slow {
    world: World,
    asked: AtomicUsize,
    /// Of each ten requests, how many of the first fail.
    failing: usize,
    cache_control: &'static str,
    /// How many pieces come before it breaks off.
    pieces: usize,
}

struct Pieces {
    world: World,
    left: usize,
    breaks: bool,
    timer: Option<BoxFuture<'static, ()>>,
}

impl BodyStream for Pieces {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            let breaks = self.breaks.then(|| Err(io::ErrorKind::ConnectionReset.into()));
            return Poll::Ready(breaks);
        }
        let world = self.world.clone();
        let timer = self.timer.get_or_insert_with(|| world.sleep(Duration::from_secs(1)));
        std::task::ready!(timer.as_mut().poll(cx));
        self.timer = None;
        self.left -= 1;
        Poll::Ready(Some(Ok(Bytes::from_static(b"0123456789"))))
    }

    fn octets(&self) -> Option<u64> {
        Some(100)
    }
}

impl Fetch for Slow {
    fn fetch(&self, _: Request) -> BoxFuture<'_, io::Result<Response>> {
        let number = self.asked.fetch_add(1, Relaxed);
        Box::pin(async move {
            self.world.sleep(Duration::from_secs(1)).await;
            if number % 10 < self.failing {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let mut fields = Fields::new();
            fields.add("Cache-Control", self.cache_control);
            let (left, breaks) = (self.pieces, self.pieces < 10);
            let body = Pieces { world: self.world.clone(), left, breaks, timer: None };
            Ok(Response { status: 200, fields, body: Body::Stream(Box::pin(body)), upgrade: None })
        })
    }
}

fn request() -> Request {
    Request { host: "a".into(), ..Request::new("GET", "/") }
}

struct Play {
    world: World,
    cache: Arc<Cache>,
    origin: Arc<Slow>,
    conductor: Conductor,
}

impl Play {
    fn new(world: &World, failing: usize, cache_control: &'static str, pieces: usize) -> Self {
        let world = world.clone();
        let cache = Cache::open(&world, &CacheConfig::named("test"), None).unwrap();
        let origin = Arc::new(Slow {
            world: world.clone(),
            asked: AtomicUsize::new(0),
            failing,
            cache_control,
            pieces,
        });
        let conductor = Conductor::new(
            &world,
            Arc::clone(&cache),
            Policy::default(),
            Arc::clone(&origin) as Arc<dyn Fetch>,
        );
        Self { world, cache, origin, conductor }
    }

    fn asked(&self) -> usize {
        self.origin.asked.load(Relaxed)
    }

    /// What so many clients at once get: statuses, and how many whole contents.
    async fn storm(&self, clients: usize) -> (Vec<u16>, usize) {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..clients {
            let (conductor, sender) = (self.conductor.clone(), sender.clone());
            self.world.spawn("client", async move {
                let response = conductor.handle(request()).await;
                let content = response.body.read(1000).await;
                let _ = sender.send((response.status, content.is_ok_and(|content| content.len() == 100)));
            });
        }
        drop(sender);
        let (mut statuses, mut whole) = (Vec::new(), 0);
        while let Some((status, is_whole)) = receiver.recv().await {
            statuses.push(status);
            whole += usize::from(is_whole);
        }
        (statuses, whole)
    }
}

#[track_caller]
fn check<F: Future<Output = ()> + Send + 'static>(play: impl FnOnce(World) -> F) {
    let mut sim = Simulation::new(1);
    let node = sim.node("cache", "10.0.0.1");
    let world = sim.world(node);
    let future = play(world);
    sim.run(node, future).unwrap();
}

#[test]
fn a_thousand_clients_of_one_cold_object_are_one_request_to_the_origin() {
    check(|world| async move {
        let play = Play::new(&world, 0, "max-age=60", 10);
        let before = world.now();
        let (statuses, whole) = play.storm(1000).await;
        assert!(statuses.iter().all(|status| *status == 200));
        assert_eq!((whole, play.asked()), (1000, 1));
        // They read along: nobody waits longer than the origin takes.
        assert!(world.now().since(before) < Duration::from_secs(12));
        let counts = play.cache.counts().together();
        let of = |verdict: Verdict| counts.verdicts[verdict as usize];
        assert_eq!((of(Verdict::Miss), of(Verdict::Collapsed), counts.hits()), (1, 999, 999));
        assert_eq!((counts.origin_octets, counts.cache_octets), (100, 99_900));
    });
}

#[test]
fn when_the_first_request_fails_another_client_asks_and_when_that_fails_nobody_else_does() {
    check(|world| async move {
        let play = Play::new(&world, 1, "max-age=60", 10);
        let (mut statuses, whole) = play.storm(1000).await;
        statuses.retain(|status| *status != 200);
        assert_eq!((statuses, whole, play.asked()), (vec![502], 999, 2));

        let play = Play::new(&world, 10, "max-age=60", 10);
        let (statuses, whole) = play.storm(1000).await;
        assert!(statuses.iter().all(|status| *status == 502));
        assert_eq!((whole, play.asked()), (0, 2));
    });
}

#[test]
fn what_may_not_be_shared_is_fetched_for_each_at_once() {
    check(|world| async move {
        let play = Play::new(&world, 0, "private", 10);
        let before = world.now();
        let (statuses, whole) = play.storm(50).await;
        assert!(statuses.iter().all(|status| *status == 200));
        assert_eq!((whole, play.asked()), (50, 50));
        // One learns that it is private, the others then ask side by side, not one after the other.
        assert!(world.now().since(before) < Duration::from_secs(14));
        // That is remembered: the next ones do not wait for each other.
        let before = world.now();
        assert_eq!(play.storm(50).await.1, 50);
        assert!(world.now().since(before) < Duration::from_secs(12));
    });
}

#[test]
fn a_content_goes_on_arriving_when_its_client_goes_away() {
    check(|world| async move {
        let play = Play::new(&world, 0, "max-age=60", 10);
        let response = play.conductor.handle(request()).await;
        drop(response);
        world.sleep(Duration::from_secs(12)).await;
        let (_, whole) = play.storm(10).await;
        assert_eq!((whole, play.asked()), (10, 1));
    });
}

#[test]
fn requests_given_up_before_the_origin_answers_leave_the_others_one_who_asks() {
    check(|world| async move {
        let play = Play::new(&world, 0, "max-age=60", 10);
        for _ in 0..5 {
            let (impatient, waiting) = (play.conductor.clone(), world.clone());
            world.spawn("impatient", async move {
                let span = Duration::from_millis(500);
                assert!(waiting.timeout(span, impatient.handle(request())).await.is_none());
            });
        }
        let (_, whole) = play.storm(10).await;
        assert_eq!(whole, 10);
        // Each in its turn.
        assert!(play.asked() <= 6, "{}", play.asked());
    });
}

#[test]
fn a_content_that_breaks_off_is_never_served_as_whole() {
    check(|world| async move {
        let play = Play::new(&world, 0, "max-age=60", 5);
        let (statuses, whole) = play.storm(10).await;
        assert!(statuses.iter().all(|status| *status == 200));
        assert_eq!((whole, play.asked()), (0, 1));
        // Nothing of it is left.
        assert_eq!(play.storm(10).await.1, 0);
        assert_eq!(play.asked(), 2);
    });
}

#[test]
fn an_origin_that_comes_and_goes_is_asked_once_at_a_time() {
    check(|world| async move {
        let play = Play::new(&world, 5, "max-age=2, stale-if-error=600, stale-while-revalidate=600", 10);
        // The first five requests fail; then it is filled.
        while play.storm(1).await.1 == 0 {}
        let before = play.asked();
        for _ in 0..60 {
            let (statuses, whole) = play.storm(100).await;
            assert!(statuses.iter().all(|status| *status == 200));
            assert_eq!(whole, 100);
            world.sleep(Duration::from_secs(1)).await;
        }
        // 6000 requests in a minute, and never two to the origin at once, each of which takes a second.
        assert!(play.asked() - before <= 60, "{}", play.asked() - before);
    });
}

#[test]
fn setting_the_clock_makes_nothing_fresh_or_stale() {
    for year in [2040, 2025, 1970] {
        let wall = UnixTime::from_civil(year, 12, 31, 0, 0, 0).unwrap();
        let mut sim = Simulation::new(1);
        let node = sim.node("cache", "10.0.0.1");
        let play = Arc::new(Play::new(&sim.world(node), 0, "max-age=60", 10));
        let mut asked_after = |seconds| {
            let play = Arc::clone(&play);
            let asked = sim.run(node, async move {
                play.world.sleep(Duration::from_secs(seconds)).await;
                play.storm(1).await;
                play.asked()
            });
            sim.set_wall(wall);
            asked.unwrap()
        };
        // It takes eleven seconds to come, and the first of them count as age.
        assert_eq!([asked_after(0), asked_after(30), asked_after(15), asked_after(10)], [1, 1, 1, 2]);
    }
}
