//! Ranges far on in long contents: only the slices they lie in are fetched, and kept.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use doorway_http::cache::{Key, Policy, Purge, PurgeWhat};
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Cache, Conductor};
use doorway_net::web::{Body, Fetch, Fields, Handler, Request, Response};
use doorway_net::{BoxFuture, World};
use doorway_sim::Simulation;

const MIB: u64 = 1024 * 1024;
/// How long the content is.
const OCTETS: u64 = 5 * MIB + 12_345;

/// A content that is another one for each number.
fn content(number: u8) -> Vec<u8> {
    (0..OCTETS).map(|at| (at / 7 + at / MIB) as u8 ^ number).collect()
}

struct Change {
    number: u8,
    etag: String,
    /// What it was asked, range or condition.
    asked: Vec<String>,
    does_ranges: bool,
}

struct Origin(Arc<Mutex<Change>>);

impl Fetch for Origin {
    fn fetch(&self, request: Request) -> BoxFuture<'_, io::Result<Response>> {
        let field = |name| request.fields.first(name).map(str::to_owned);
        let (range, if_range, if_none_match) = (field("range"), field("if-range"), field("if-none-match"));
        let mut change = self.0.lock().unwrap();
        change.asked.push(range.clone().unwrap_or_else(|| request.method.clone()));
        let mut fields = Fields::new();
        fields.add("ETag", change.etag.as_str());
        fields.add("Cache-Control", "max-age=60");
        let body = |octets: &[u8]| Body::Whole(octets.to_vec().into());
        let whole = content(change.number);
        let applies = change.does_ranges && if_range.is_none_or(|tag| tag == change.etag);
        let response = if if_none_match.as_ref() == Some(&change.etag) {
            Response { status: 304, fields, ..Response::default() }
        } else if let Some(range) = range.filter(|_| applies) {
            let (first, last) = range["bytes=".len()..].split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap_or(usize::MAX));
            let last = last.min(whole.len() - 1);
            fields.add("Content-Range", format!("bytes {first}-{last}/{}", whole.len()));
            Response { status: 206, fields, body: body(&whole[first..=last]), upgrade: None }
        } else {
            Response { status: 200, fields, body: body(&whole), upgrade: None }
        };
        Box::pin(async move { Ok(response) })
    }
}

struct Play {
    world: World,
    cache: Arc<Cache>,
    change: Arc<Mutex<Change>>,
    conductor: Conductor,
}

impl Play {
    fn new(world: &World) -> Self {
        let cache = Cache::open(world, &CacheConfig::named("test"), None).unwrap();
        let change = Change { number: 1, etag: "\"1\"".into(), asked: Vec::new(), does_ranges: true };
        let change = Arc::new(Mutex::new(change));
        let origin = Arc::new(Origin(Arc::clone(&change)));
        let conductor = Conductor::new(world, Arc::clone(&cache), Policy::default(), origin);
        Self { world: world.clone(), cache, change, conductor }
    }

    /// Asks for a range; the status and the octets, `None` when they break off.
    async fn get(&self, range: &str) -> (u16, Option<Vec<u8>>) {
        let mut request = Request { host: "a".into(), ..Request::new("GET", "/") };
        request.fields.add("Range", range);
        let response = self.conductor.handle(request).await;
        assert!(response.fields.iter().all(|(name, _)| !name.starts_with("Doorway")));
        let read = response.body.read(usize::MAX).await;
        // What is kept beside comes to rest.
        self.world.sleep(Duration::from_millis(1)).await;
        (response.status, read.ok().map(|octets| octets.to_vec()))
    }

    /// Asks for octets, which must be those of the content, and returns what the origin was asked.
    async fn check(&self, first: u64, last: u64) -> Vec<String> {
        let (status, octets) = self.get(&format!("bytes={first}-{last}")).await;
        let number = self.change.lock().unwrap().number;
        assert_eq!(status, 206);
        assert!(octets.unwrap() == content(number)[first as usize..=last as usize], "{first}-{last}");
        self.asked()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.change.lock().unwrap().asked)
    }
}

#[track_caller]
fn play<F: Future<Output = ()> + Send + 'static>(play: impl FnOnce(Play) -> F) {
    let mut sim = Simulation::new(1);
    let node = sim.node("cache", "10.0.0.1");
    let future = play(Play::new(&sim.world(node)));
    sim.run(node, future).unwrap();
}

fn slice(index: u64) -> String {
    format!("bytes={}-{}", index * MIB, ((index + 1) * MIB).min(OCTETS) - 1)
}

#[test]
fn only_the_slices_that_a_range_lies_in_are_fetched_and_each_once() {
    play(|play| async move {
        assert_eq!(play.check(3 * MIB + 5, 3 * MIB + 9).await, [slice(3)]);
        assert_eq!(play.check(3 * MIB, 4 * MIB - 1).await, [""; 0]);
        assert_eq!(play.check(2 * MIB - 1, 4 * MIB).await, [slice(1), slice(2), slice(4)]);
        assert_eq!(play.check(MIB + 1, 5 * MIB - 1).await, [""; 0]);
        assert_eq!(play.check(5 * MIB, OCTETS - 1).await, [slice(5)]);
        // What is known of the whole answers ranges that count from its end, and those behind it.
        let (status, octets) = play.get("bytes=-5").await;
        assert!(status == 206 && octets.unwrap() == content(1)[OCTETS as usize - 5..]);
        assert_eq!(play.get(&format!("bytes={OCTETS}-")).await.0, 416);
        assert!(play.asked().is_empty());
    });
}

#[test]
fn slices_serve_as_long_as_the_origin_confirms_the_whole() {
    play(|play| async move {
        play.check(3 * MIB, 3 * MIB + 9).await;
        play.world.sleep(Duration::from_secs(70)).await;
        // One question, no content.
        assert_eq!(play.check(3 * MIB + 10, 3 * MIB + 19).await, [slice(3)]);
        assert_eq!(play.check(3 * MIB + 20, 3 * MIB + 29).await, [""; 0]);
    });
}

#[test]
fn a_content_that_changed_is_never_mixed_with_the_one_before() {
    play(|play| async move {
        play.check(2 * MIB, 2 * MIB + 9).await;
        let change = |number: u8| {
            let mut change = play.change.lock().unwrap();
            (change.number, change.etag) = (number, format!("\"{number}\""));
        };
        // It changes while what is kept is still fresh: the next slice does not fit, and the answer breaks off.
        change(2);
        let (status, octets) = play.get(&format!("bytes={}-{}", 2 * MIB, 4 * MIB)).await;
        assert_eq!((status, octets), (206, None));
        play.asked();
        assert_eq!(play.check(2 * MIB, 3 * MIB).await, [slice(2), slice(3)]);
        // It changes while nobody looks: the question brings the new one.
        change(3);
        play.world.sleep(Duration::from_secs(70)).await;
        assert_eq!(play.check(2 * MIB, 3 * MIB).await, [slice(2), slice(3)]);
    });
}

#[test]
fn what_is_purged_or_changed_through_the_cache_takes_its_slices_along() {
    play(|play| async move {
        play.check(2 * MIB, 2 * MIB + 9).await;
        let what = PurgeWhat::Url(Key::new("http://a/"));
        play.cache.purge(&Purge { what, soft: false }).await.unwrap();
        assert_eq!(play.check(2 * MIB, 2 * MIB + 9).await, [slice(2)]);
        let post = Request { host: "a".into(), ..Request::new("POST", "/") };
        play.conductor.handle(post).await;
        play.asked();
        assert_eq!(play.check(2 * MIB, 2 * MIB + 9).await, [slice(2)]);
    });
}

#[test]
fn an_origin_that_does_no_ranges_or_has_no_strong_tag_is_asked_as_the_client_asked() {
    play(|play| async move {
        play.change.lock().unwrap().does_ranges = false;
        let (status, octets) = play.get(&format!("bytes={}-", 2 * MIB)).await;
        assert!(status == 200 && octets.unwrap() == content(1));
        assert_eq!(play.asked(), [slice(2), format!("bytes={}-", 2 * MIB)]);
        // That is remembered.
        play.get(&format!("bytes={}-", 2 * MIB)).await;
        assert_eq!(play.asked(), [format!("bytes={}-", 2 * MIB)]);
    });
    play(|play| async move {
        play.change.lock().unwrap().etag = "W/\"1\"".into();
        let asked = play.check(2 * MIB, 2 * MIB + 9).await;
        assert_eq!(asked, [slice(2), format!("bytes={}-{}", 2 * MIB, 2 * MIB + 9)]);
        assert_eq!(play.check(2 * MIB, 2 * MIB + 9).await.len(), 1);
    });
}
