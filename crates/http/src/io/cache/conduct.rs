//! A route whose responses are kept: each request is answered with what is stored, with what the origin says to
//! a question about it, or with what the origin says (RFC 9111 §4).
//!
//! What is right is decided in [`crate::cache`]; here it is done. Of requests for the same response one asks
//! the origin, and all get what it brings while it still arrives. A content that has begun to arrive is fetched
//! to its end, even if the client that wanted it goes away.
//!
//! | file | what it does |
//! | --- | --- |
//! | `ask.rs` | [`Ask`]: a request and what a cache makes of it |
//! | `origin.rs` | requests to the origin, and what becomes of its responses |
//! | `slices.rs` | ranges of what is not here as a whole |
//! | `answer.rs` | responses out of what is stored |

mod answer;
mod ask;
mod origin;
mod slices;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use doorway_net::web::{Body, Fetch, Fields, Handler, Request, Response, Taking};
use doorway_net::{BoxFuture, World};

use super::{Cache, Object, Outcome, Turn, Verdict as Counted, purge_method};
use crate::cache::stale::if_error;
use crate::cache::{CacheStatus, Candidate, Forward, Moment, Policy, Stored, Verdict, decide, vary};
use crate::io::proxy::failed;
use crate::wire::Method;
use answer::{add_age, add_status, answer};
use ask::{Ask, Rest};

/// Most responses that are validated at once while they are used stale; further ones wait for the next request.
pub const REVALIDATIONS_MAX: usize = 256;
/// A range that begins farther on than this, in a content that is not here, is fetched alone: who asks for it
/// would wait for all octets before it.
const RANGE_FIRST_MAX: u64 = 1024 * 1024;
/// How often a request waits for what another brings before it asks for itself.
const TURNS_MAX: usize = 3;

/// Answers requests from a cache and, behind it, an origin.
#[derive(Clone)]
pub struct Conductor(Arc<Parts>);

struct Parts {
    world: World,
    cache: Arc<Cache>,
    policy: Policy,
    origin: Arc<dyn Fetch>,
    revalidations: AtomicUsize,
}

impl std::fmt::Debug for Conductor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conductor").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

impl Conductor {
    /// Puts `cache` in front of `origin`.
    #[must_use]
    pub fn new(world: &World, cache: Arc<Cache>, policy: Policy, origin: Arc<dyn Fetch>) -> Self {
        let world = world.clone();
        Self(Arc::new(Parts { world, cache, policy, origin, revalidations: AtomicUsize::new(0) }))
    }
}

impl Handler for Conductor {
    fn taking(&self, _: &str, _: &str) -> Taking {
        Taking::Stream
    }

    fn is_intermediary(&self) -> bool {
        true
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.0.respond(request))
    }
}

/// Why the origin is asked, and what is told about it.
#[derive(Clone, Copy)]
struct Reason {
    forward: Forward,
    /// Whether it was first waited for what another request brings.
    waited: bool,
}

impl Reason {
    const fn new(forward: Forward) -> Self {
        Self { forward, waited: false }
    }
}

impl Parts {
    fn moment(&self) -> Moment {
        Moment { now: self.world.now(), wall: self.world.wall() }
    }

    async fn respond(self: &Arc<Self>, request: Request) -> Response {
        let (ask, rest) = match Ask::read(request, self.world.now(), &self.policy) {
            Ok(read) => read,
            Err(request) => return self.origin.fetch(*request).await.unwrap_or_else(|error| failed(&error)),
        };
        let ask = Arc::new(ask);
        if ask.method() == purge_method::METHOD {
            return purge_method::answer(&self.cache, &ask.key, &ask.fields, ask.remote()).await;
        }
        if !matches!(rest.body, Body::Empty) && ask.request.reads() || upgrades(&ask.fields) {
            return self.pass(&ask, rest, Reason::new(Forward::Bypass), None).await;
        }
        let found = self.cache.load(&ask.key).await;
        let moment = self.moment();
        let candidates = found.iter().map(|object| candidate(object));
        match decide(&ask.request, &ask.fields, candidates, moment.now, &self.policy) {
            Verdict::Hit { variant, ttl_seconds, .. } => {
                let object = &found[variant];
                if object.is_filling() && is_far(&ask) {
                    return self.ranged(&ask, rest, Reason::new(Forward::Partial)).await;
                }
                self.reuse(&ask, object, moment, None, ttl_seconds)
            }
            Verdict::Stale { variant, ttl_seconds, revalidate, .. } => {
                let object = &found[variant];
                let response = self.reuse(&ask, object, moment, None, ttl_seconds);
                if revalidate {
                    self.revalidate(&ask, object);
                }
                response
            }
            Verdict::Validate { variant, forward } => {
                let object = Arc::clone(&found[variant]);
                if ask.request.method == Method::Head {
                    return self.pass(&ask, rest, Reason::new(forward), Some(&object)).await;
                }
                self.turns(&ask, rest, Some(object), forward).await
            }
            Verdict::Miss(forward) => {
                if ask.request.method == Method::Head {
                    return self.pass(&ask, rest, Reason::new(forward), None).await;
                }
                if is_far(&ask) {
                    return self.ranged(&ask, rest, Reason::new(forward)).await;
                }
                // What selects among the variants that there are will select among those to come.
                let newest = found.first().map(|object| &object.stored().fields);
                let selecting = newest.and_then(|fields| vary::selecting(fields, &ask.fields));
                self.turns_selecting(&ask, rest, None, selecting.unwrap_or_default(), forward).await
            }
            Verdict::Bypass(forward) => self.pass(&ask, rest, Reason::new(forward), None).await,
            Verdict::GatewayTimeout => self.gave_up(&ask, 504),
        }
    }

    /// The answer to a request for what is not here and will not be: out of slices, or by the origin.
    async fn ranged(self: &Arc<Self>, ask: &Arc<Ask>, rest: Rest, reason: Reason) -> Response {
        match self.sliced(ask).await {
            Some(response) => response,
            None => self.pass(ask, rest, reason, None).await,
        }
    }

    async fn turns(
        self: &Arc<Self>,
        ask: &Arc<Ask>,
        rest: Rest,
        object: Option<Arc<Object>>,
        forward: Forward,
    ) -> Response {
        let selecting = object.as_ref().map(|object| object.stored().selecting.clone()).unwrap_or_default();
        self.turns_selecting(ask, rest, object, selecting, forward).await
    }

    /// Asks the origin, or waits for what another request brings. `object` is what is stored and has to be
    /// validated.
    async fn turns_selecting(
        self: &Arc<Self>,
        ask: &Arc<Ask>,
        rest: Rest,
        mut object: Option<Arc<Object>>,
        mut selecting: Vec<(String, Option<String>)>,
        forward: Forward,
    ) -> Response {
        let mut reason = Reason::new(forward);
        for _ in 0..TURNS_MAX {
            let wait = match self.cache.take_turn(&ask.key, &selecting) {
                Turn::Lead(lead) => return self.ask_origin(ask, rest, Some(lead), object, reason).await,
                Turn::Alone => break,
                Turn::Wait(wait) => wait,
            };
            reason.waited = true;
            let brought = match wait.await {
                Outcome::Object(brought) => brought,
                Outcome::NotKept => break,
                Outcome::Lead(lead) => return self.ask_origin(ask, rest, Some(lead), object, reason).await,
                Outcome::Failed => return self.without_origin(ask, object.as_ref(), reason),
            };
            let moment = self.moment();
            let verdict = decide(
                &ask.request,
                &ask.fields,
                std::iter::once(candidate(&brought)),
                moment.now,
                &self.policy,
            );
            match verdict {
                Verdict::Hit { ttl_seconds, .. } | Verdict::Stale { ttl_seconds, .. } => {
                    return self.reuse(ask, &brought, moment, Some(reason), ttl_seconds);
                }
                Verdict::Validate { .. } => {
                    // It has to be asked for each request.
                    object = Some(brought);
                    break;
                }
                Verdict::Miss(_) | Verdict::Bypass(_) | Verdict::GatewayTimeout => {
                    // It is for other requests, and tells what selects among them.
                    let fields = &brought.stored().fields;
                    selecting = vary::selecting(fields, &ask.fields).unwrap_or_default();
                    object = None;
                }
            }
        }
        match object {
            Some(object) => self.ask_origin(ask, rest, None, Some(object), reason).await,
            None => self.ranged(ask, rest, reason).await,
        }
    }

    /// The answer out of what is stored. `reason` is why the origin was asked, by this request or another one.
    fn reuse(
        &self,
        ask: &Ask,
        object: &Arc<Object>,
        moment: Moment,
        reason: Option<Reason>,
        ttl_seconds: i64,
    ) -> Response {
        let status = CacheStatus {
            forward: reason.map(|reason| reason.forward),
            collapsed: reason.map(|_| true),
            ttl_seconds: Some(ttl_seconds),
            ..CacheStatus::default()
        };
        let counted = match reason {
            Some(_) => Counted::Collapsed,
            None if ttl_seconds > 0 => Counted::Hit,
            None => Counted::Stale,
        };
        self.reply(ask, object, object.stored(), moment, status, counted)
    }

    /// The answer out of what is stored, with what `stored` says about it.
    fn reply(
        &self,
        ask: &Ask,
        object: &Arc<Object>,
        stored: &Stored,
        moment: Moment,
        status: CacheStatus<'_>,
        counted: Counted,
    ) -> Response {
        let number = self.world.random().next_u64();
        let mut response = answer(ask, object, stored, &stored.fields, moment, number);
        add_age(&mut response, stored.age(moment.now));
        add_status(&mut response, &self.policy, &CacheStatus { key: Some(ask.key.as_str()), ..status });
        self.count(ask, &response, counted);
        response
    }

    /// Counts a request that is answered.
    fn count(&self, ask: &Ask, response: &Response, counted: Counted) {
        if ask.is_beside {
            return;
        }
        let octets = if ask.request.method == Method::Head { None } else { response.body.octets() };
        let time = self.world.now().since(ask.began);
        self.cache.host(ask.key.host()).count(counted, 1, octets.unwrap_or(0), time);
    }

    /// An answer that neither the cache nor the origin has part in.
    fn gave_up(&self, ask: &Ask, status: u16) -> Response {
        let response = Response { status, ..Response::default() };
        self.count(ask, &response, Counted::Failed);
        response
    }

    /// The answer when the origin cannot be asked.
    fn without_origin(&self, ask: &Ask, object: Option<&Arc<Object>>, reason: Reason) -> Response {
        match object {
            Some(object) => match self.if_error(ask, object, reason, None) {
                Some(response) => response,
                // RFC 9111 §5.2.2.2.
                None => self.gave_up(ask, 504),
            },
            None => self.gave_up(ask, 502),
        }
    }

    /// What is stored, if it may answer although the origin failed, with this status if with any.
    fn if_error(
        &self,
        ask: &Ask,
        object: &Arc<Object>,
        reason: Reason,
        forward_status: Option<u16>,
    ) -> Option<Response> {
        let moment = self.moment();
        let stored = object.stored();
        if !if_error(stored, &ask.request, moment.now, &self.policy) {
            return None;
        }
        let status = CacheStatus {
            forward: Some(reason.forward),
            forward_status,
            collapsed: reason.waited.then_some(false),
            ttl_seconds: Some(stored.freshness(moment.now, &self.policy).ttl_seconds()),
            detail: Some("stale-if-error"),
            ..CacheStatus::default()
        };
        Some(self.reply(ask, object, stored, moment, status, Counted::Stale))
    }

    /// Validates what was used stale, beside the request that used it (RFC 5861 §3).
    fn revalidate(self: &Arc<Self>, ask: &Ask, object: &Arc<Object>) {
        let mut ask = ask.clone();
        ask.is_beside = true;
        // What a HEAD found stale is validated as it was fetched.
        ask.request.method = Method::Get;
        if self.revalidations.fetch_add(1, Relaxed) >= REVALIDATIONS_MAX {
            self.revalidations.fetch_sub(1, Relaxed);
            return;
        }
        let running = Running(Arc::clone(self));
        let Turn::Lead(lead) = self.cache.take_turn(&ask.key, &object.stored().selecting) else { return };
        let object = Arc::clone(object);
        self.world.spawn("http cache", async move {
            let reason = Reason::new(Forward::Stale);
            let parts = &running.0;
            drop(parts.ask_origin(&ask, Rest::default(), Some(lead), Some(object), reason).await);
        });
    }
}

/// A validation beside requests, counted for as long as it runs.
struct Running(Arc<Parts>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.revalidations.fetch_sub(1, Relaxed);
    }
}

fn candidate(object: &Object) -> Candidate<'_> {
    Candidate { stored: object.stored(), marked_stale: object.must_validate() }
}

/// Whether a request asks for another protocol, which no cache has a part in.
fn upgrades(fields: &Fields) -> bool {
    fields.first("upgrade").is_some()
}

/// Whether a request asks for octets that lie far on, or at the end.
fn is_far(ask: &Ask) -> bool {
    let Some(range) = ask.fields.first("range").filter(|_| ask.request.ranged) else { return false };
    let first = range.trim_start_matches("bytes=").split('-').next().map(str::trim);
    first.is_some_and(|first| first.parse().map_or(first.is_empty(), |first: u64| first > RANGE_FIRST_MAX))
}
