//! Any order of requests, changes, failures and time: what a client gets is never older than the origin allowed,
//! and never older than the last change that went through the cache.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_base::Instant;
use doorway_http::cache::Policy;
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Cache, Conductor};
use doorway_net::web::{Body, Fetch, Fields, Handler, Request, Response};
use doorway_net::{BoxFuture, World};
use doorway_sim::Simulation;
use proptest::prelude::*;

/// What the origin says about a version: the field, for how long it may be used at all, and how long after its
/// lifetime when the origin is away.
const SAYS: [(&str, u64, u64); 8] = [
    ("max-age=5", 5, 0),
    ("max-age=5, stale-while-revalidate=5", 10, 0),
    ("max-age=5, stale-if-error=10", 5, 10),
    ("s-maxage=5, stale-if-error=10", 5, 0),
    ("max-age=5, must-revalidate, stale-while-revalidate=9", 5, 0),
    ("no-cache, max-age=9", 0, 0),
    ("private, max-age=9", 0, 0),
    ("no-store, max-age=9", 0, 0),
];

#[derive(Debug, Clone)]
enum Step {
    Get { field: Option<(&'static str, &'static str)> },
    Head,
    Post,
    Wait(u64),
    Change { says: usize },
    Reach(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let fields = vec![
        None,
        Some(("If-None-Match", "\"v1\"")),
        Some(("Range", "bytes=0-1")),
        Some(("Cache-Control", "no-cache")),
        Some(("Foo", "1")),
    ];
    prop_oneof![
        6 => prop::sample::select(fields).prop_map(|field| Step::Get { field }),
        1 => Just(Step::Head),
        1 => Just(Step::Post),
        3 => (0u64..8).prop_map(Step::Wait),
        3 => (0..SAYS.len()).prop_map(|says| Step::Change { says }),
        1 => any::<bool>().prop_map(Step::Reach),
    ]
}

/// A version of the content: what is said about it, and when another one took its place.
#[derive(Debug, Clone, Copy)]
struct Version {
    says: usize,
    replaced: Option<Instant>,
}

#[derive(Debug)]
struct Site {
    versions: Vec<Version>,
    reachable: bool,
}

struct Origin(Arc<Mutex<Site>>);

impl Fetch for Origin {
    fn fetch(&self, request: Request) -> BoxFuture<'_, io::Result<Response>> {
        let site = self.0.lock().unwrap();
        if !site.reachable {
            return Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) });
        }
        let version = site.versions.len() - 1;
        let mut fields = Fields::new();
        fields.add("ETag", format!("\"v{version}\""));
        fields.add("Cache-Control", SAYS[site.versions[version].says].0);
        fields.add("Vary", "Foo");
        let is_known = request.fields.first("if-none-match") == fields.first("etag");
        let content = format!("v{version:08}").into_bytes();
        let response = match request.method.as_str() {
            "POST" => Response { status: 204, ..Response::default() },
            _ if is_known => Response { status: 304, fields, ..Response::default() },
            "HEAD" => Response { status: 200, fields, body: Body::announced(Some(9)), upgrade: None },
            _ => Response { status: 200, fields, body: Body::Whole(content.into()), upgrade: None },
        };
        Box::pin(async move { Ok(response) })
    }
}

async fn play(world: World, steps: Vec<Step>) -> Result<(), String> {
    let cache = Cache::open(&world, &CacheConfig::named("test"), None).unwrap();
    let first = Version { says: 0, replaced: None };
    let site = Arc::new(Mutex::new(Site { versions: vec![first], reachable: true }));
    let policy = Policy { obeys_clients: true, ..Policy::default() };
    let conductor = Conductor::new(&world, cache, policy, Arc::new(Origin(Arc::clone(&site))));
    let mut posted = Instant::ZERO;
    for step in steps {
        let ask = |method: &str, field: Option<(&str, &str)>| {
            let mut request = Request { host: "a".into(), ..Request::new(method, "/") };
            field.into_iter().for_each(|(name, value)| request.fields.add(name, value));
            conductor.handle(request)
        };
        match step {
            Step::Wait(seconds) => world.sleep(Duration::from_secs(seconds)).await,
            Step::Reach(reachable) => site.lock().unwrap().reachable = reachable,
            Step::Change { says } => {
                let mut site = site.lock().unwrap();
                let before = site.versions.last_mut().unwrap();
                before.replaced = Some(world.now());
                site.versions.push(Version { says, replaced: None });
            }
            Step::Post => {
                if ask("POST", None).await.status == 204 {
                    posted = world.now();
                }
            }
            Step::Head => drop(ask("HEAD", None).await),
            Step::Get { field } => {
                let now = world.now();
                let response = ask("GET", field).await;
                let status = response.status;
                let etag = response.fields.first("etag").map(str::to_owned);
                let content = response.body.read(100).await.unwrap();
                // What goes on beside comes to rest.
                world.sleep(Duration::from_millis(1)).await;
                let site = site.lock().unwrap();
                let Some(tag) = etag.filter(|_| [200, 206, 304].contains(&status)) else {
                    if site.reachable || ![502, 504].contains(&status) {
                        return Err(format!("{status} for {field:?}"));
                    }
                    continue;
                };
                let version: usize = tag.trim_matches(['"', 'v']).parse().unwrap();
                let whole = format!("v{version:08}").into_bytes();
                let expected: &[u8] = match status {
                    206 => &whole[..2],
                    304 => b"",
                    _ => &whole,
                };
                if content != expected {
                    return Err(format!("{content:?} has the tag {tag}"));
                }
                let Version { says, replaced } = site.versions[version];
                let Some(replaced) = replaced else { continue };
                let (_, usable, more) = SAYS[says];
                let allowed = usable + if site.reachable { 0 } else { more };
                if now.since(replaced) > Duration::from_secs(allowed) {
                    return Err(format!(
                        "{tag} ({}) was replaced {:?} ago",
                        SAYS[says].0,
                        now.since(replaced)
                    ));
                }
                if replaced < posted {
                    return Err(format!("{tag} is from before the last change"));
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_older_than_allowed_is_ever_served(steps in prop::collection::vec(step(), 1..40)) {
        let mut sim = Simulation::new(1);
        let node = sim.node("cache", "10.0.0.1");
        let world = sim.world(node);
        let played = steps.clone();
        let outcome = sim.run(node, play(world, played)).unwrap();
        prop_assert_eq!(outcome, Ok(()), "{:?}", steps);
    }
}
