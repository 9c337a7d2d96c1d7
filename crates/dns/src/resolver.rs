//! The resolver as a pure engine: RFC 1034 §5.3.3, RFC 2181, RFC 2308, RFC 5452, RFC 8767, RFC 9156.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`event`] | what goes in and what comes out |
//! | [`config`] | every choice and every bound |
//! | [`hints`] | the root servers to begin with |
//! | `job.rs` | one question being resolved, who waits for it, the servers it is asked of |
//! | `iterate.rs` | a question followed down the tree |
//! | `lookup.rs` | addresses of servers looked up, and the budgets |
//! | `delegation.rs` | whom to ask: the deepest cut known, forward and stub zones, hints |
//! | `upstream.rs` | queries: which server, what is sent, how long to wait |
//! | `server.rs` | what is known about servers |
//! | `absent.rs`, [`flooded`] | names that do not exist, and a bound for each zone's |
//! | `query.rs` | the octets of a query; whether a message answers it |
//! | `received.rs` | a response read into sets |
//! | `judge.rs` | what a response means, and what of it is believed |
//! | `keep.rs` | what of a response goes into the cache |
//! | `reply.rs` | what a client is told, from the cache or from servers |
//! | `local.rs`, `special.rs` | zones served here, and names never asked of anybody |
//! | `slab.rs`, `timers.rs` | numbered places; what happens when |
//!
//! A client's question becomes a job; equal questions share one. A job asks servers, and may need other
//! jobs for the addresses of servers. The caller owns sockets: it sends what [`Output::Send`] says from
//! a random port, hands in what comes back, and calls again at [`Resolver::next_timeout`]. Not here:
//! sockets, source ports and connections (`io/`), ready-made answers and limits for clients (`front/`),
//! and validation.

mod absent;
pub mod config;
mod delegation;
pub mod event;
pub mod flooded;
pub mod hints;
mod iterate;
mod job;
mod judge;
mod keep;
mod local;
mod lookup;
mod query;
mod received;
mod reply;
mod server;
mod slab;
mod special;
mod timers;
mod upstream;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random, Session};

pub use config::Config;
pub use event::{Answer, Ask, Input, Output, QueryId, Send, SendFailure, Step, Transport};

use crate::authority::{Authority, Published};
use crate::cache::{Cache, Value};
use crate::wire::{Class, Name, Rcode, Type};
use crate::zone::{HashKey, Key};
use absent::Absent;
use flooded::Flooded;
use job::{Job, Waiter};
use judge::Meaning;
use query::Sent;
use reply::{Known, Reply, extended_error};
use server::Servers;
use slab::Slab;
use timers::{Timer, Timers};

/// One worker's resolver.
#[derive(Debug)]
pub struct Resolver {
    config: Arc<Config>,
    cache: Arc<Cache>,
    local: Published,
    authority: Authority,
    key: Key,
    reply_room: Vec<u8>,
    random: Random,
    secret: HashKey,
    absent: Absent,
    servers: Servers,
    jobs: Slab<Job>,
    by_question: HashMap<u64, u64>,
    queries: Slab<Sent>,
    timers: Timers,
    ready: VecDeque<u64>,
    outputs: VecDeque<Output>,
    last_id: u16,
}

/// Figures of one resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Questions under way, those made for other questions included.
    pub jobs: usize,
    /// Queries under way to servers.
    pub queries: usize,
    /// Moments that are waited for.
    pub timers: usize,
}

impl Resolver {
    /// A resolver that knows what `cache` knows and answers for the zones of `local` itself.
    ///
    /// All its chance comes from `random`: ids, letter case, the order of servers.
    #[must_use]
    pub fn new(config: Arc<Config>, cache: Arc<Cache>, local: Published, mut random: Random) -> Self {
        Self {
            authority: Authority::new(local.clone(), local::uncounted(), config.edns_octets),
            secret: local.current().secret(),
            local,
            cache,
            key: Key::default(),
            reply_room: Vec::new(),
            absent: Absent::new(config.absent_names_per_second, Arc::default()),
            servers: Servers::new(&config, &mut random),
            config,
            random,
            jobs: Slab::default(),
            by_question: HashMap::new(),
            queries: Slab::default(),
            timers: Timers::default(),
            ready: VecDeque::new(),
            outputs: VecDeque::new(),
            last_id: 0,
        }
    }

    /// The same, telling `flooded` which zones are left alone.
    #[must_use]
    pub fn telling(mut self, flooded: Arc<Flooded>) -> Self {
        self.absent = Absent::new(self.config.absent_names_per_second, flooded);
        self
    }

    /// Advances the resolver. Drain [`poll_output`](Self::poll_output) before the next call.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Ask(ask) => self.ask(now, &ask),
            Input::Response { query, from, octets } => self.response(now, query.0, from, octets),
            Input::Failure { query, why } => self.failure(now, query.0, why),
            Input::Cancel { token } => self.forget(token),
            Input::Timeout => {}
        }
        self.run(now);
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Query(number) => self.timed_out(now, number),
                Timer::Stale(id) => self.answer_stale(now, id),
                Timer::Wall(id) => {
                    let why = (extended_error::NO_REACHABLE_AUTHORITY, "it takes too long".to_owned());
                    self.tell_unfinished(id);
                    let trouble = self.jobs.at_mut(id).and_then(|job| job.trouble.take());
                    self.fail(now, id, Some(trouble.unwrap_or(why)), true);
                }
            }
            self.run(now);
        }
        self.tidy_timers();
    }

    /// The next decision, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, whatever else happens.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether an answer to a query is still waited for. After it was handed in as
    /// [`Input::Response`], this says whether it was taken as the answer or another may come.
    #[must_use]
    pub fn expects(&self, query: QueryId) -> bool {
        self.queries.at(query.0).is_some()
    }

    /// How much is under way.
    #[must_use]
    pub fn load(&self) -> Load {
        Load { jobs: self.jobs.len(), queries: self.queries.len(), timers: self.timers.len() }
    }

    fn run(&mut self, now: Instant) {
        while let Some(id) = self.ready.pop_front() {
            self.advance(now, id);
        }
    }

    // Timers of what is over stay until their time; they may not outnumber the rest.
    fn tidy_timers(&mut self) {
        const SPARE: usize = 1024;
        let (jobs, queries) = (&self.jobs, &self.queries);
        let live = |timer: &Timer| match *timer {
            Timer::Query(number) => queries.at(number).is_some(),
            Timer::Stale(id) | Timer::Wall(id) => jobs.at(id).is_some(),
        };
        while self.timers.first().is_some_and(|timer| !live(&timer)) {
            self.timers.drop_first();
        }
        if self.timers.len() > 4 * (jobs.len() + queries.len()) + SPARE {
            self.timers.retain(live);
        }
    }

    fn question_key(&self, name: &Name, kind: Type) -> u64 {
        self.secret.of_name(name.as_octets(), u64::from(kind.0))
    }

    fn note(&mut self, now: Instant, id: u64, what: impl FnOnce() -> String) {
        if let Some(job) = self.jobs.at_mut(id) {
            job.note(now, what);
        }
    }

    // What the jobs that `id` waits for have tried is a part of its story, though they have not ended.
    fn tell_unfinished(&mut self, id: u64) {
        if self.jobs.at(id).is_none_or(|job| job.steps.is_none() || job.children == 0) {
            return;
        }
        let (mut waited_for, mut told) = (vec![id], Vec::new());
        for _ in 0..usize::from(self.config.upstream_queries_max) {
            let Some(parent) = waited_for.pop() else { break };
            for (number, child) in self.jobs.iter().filter(|(_, child)| child.parents.contains(&parent)) {
                if told.len() < job::STEPS_MAX {
                    told.extend(child.steps.iter().flatten().cloned());
                    waited_for.push(number);
                }
            }
        }
        told.sort_by_key(|step| step.at);
        if let Some(steps) = self.jobs.at_mut(id).and_then(|job| job.steps.as_mut()) {
            steps.extend(told);
            steps.truncate(job::STEPS_MAX);
        }
    }

    fn ask(&mut self, now: Instant, ask: &Ask) {
        let (name, kind) = (&ask.question.name, ask.question.kind);
        let waiter = Waiter::new(ask);
        let step = |what: &str| vec![Step { at: now, depth: 0, what: format!("{what} {name} {kind}") }];
        if ask.question.class != Class::IN || (kind.is_meta() && kind != Type::ANY) {
            let transfer = matches!(kind, Type::AXFR | Type::IXFR);
            let rcode = if transfer { Rcode::REFUSED } else { Rcode::NOTIMP };
            let reply = Reply { rcode: Some(rcode), ..Reply::default() };
            return self.answer(&waiter, &reply, step("cannot look up"));
        }
        if let Some(local) = self.local(name, kind) {
            if !matches!(local.meaning, Meaning::Alias(_)) {
                let rcode = if local.meaning == Meaning::NoName { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                let reply = Reply {
                    rcode: Some(rcode),
                    answer: local.answer,
                    authority: local.authority,
                    authoritative: true,
                    ..Reply::default()
                };
                return self.answer(&waiter, &reply, step("a zone served here has"));
            }
            return self.ask_on(now, ask, waiter, Some(local));
        }
        if !ask.refresh {
            if let Known::Whole(reply) = self.known(now, name, kind, false) {
                let told = Step { at: now, depth: 0, what: known(&reply, name, kind) };
                self.answer(&waiter, &reply, vec![told]);
                if self.config.prefetch && reply.ageing && ask.recursion {
                    let left = reply.answer.iter().chain(&reply.authority).map(|link| link.ttl).min();
                    let left = u64::from(left.unwrap_or(0));
                    self.refresh(now, name, kind, Duration::from_secs(left + 1));
                }
                return;
            }
            if self.answer_failure(now, ask, &waiter) {
                return;
            }
        }
        self.ask_on(now, ask, waiter, None);
    }

    // A question that failed a moment ago is not asked again yet: RFC 9520 §3.2, RFC 8767 §5.
    fn answer_failure(&mut self, now: Instant, ask: &Ask, waiter: &Waiter) -> bool {
        let (name, kind) = (&ask.question.name, ask.question.kind);
        let Some(hit) = self.cache.find_failure(now, name, kind) else { return false };
        if self.config.serve_stale
            && let Known::Whole(reply) = self.known(now, name, kind, true)
        {
            self.answer(waiter, &reply, Vec::new());
            return true;
        }
        let why = if let Value::Failure { why, .. } = hit.value { why } else { None };
        let mut reply = Reply::failure(why);
        reply.extended_error.push((extended_error::CACHED_ERROR, String::new()));
        let left = (hit.expires - now).as_secs();
        let what = format!("{name} {kind} failed a moment ago, and is not asked again for another {left} s");
        self.answer(waiter, &reply, vec![Step { at: now, depth: 0, what }]);
        true
    }

    fn ask_on(&mut self, now: Instant, ask: &Ask, waiter: Waiter, local: Option<judge::Judged>) {
        let (name, kind) = (&ask.question.name, ask.question.kind);
        if !ask.recursion {
            if self.config.serve_stale
                && let Known::Whole(reply) = self.known(now, name, kind, true)
            {
                self.answer(&waiter, &reply, Vec::new());
                if self.config.referrals {
                    self.refresh(now, name, kind, Duration::ZERO);
                }
                return;
            }
            if self.config.referrals
                && let Some(reply) = self.best_referral(now, name)
            {
                return self.answer(&waiter, &reply, Vec::new());
            }
            let why = (extended_error::NOT_AUTHORITATIVE, "recursion was not asked for".to_owned());
            let reply = Reply { rcode: Some(Rcode::REFUSED), extended_error: vec![why], ..Reply::default() };
            return self.answer(&waiter, &reply, Vec::new());
        }
        let stale = self.config.serve_stale
            && !ask.refresh
            && matches!(self.known(now, name, kind, true), Known::Whole(reply) if reply.stale);
        if stale && self.config.stale_client_timeout.is_zero() {
            if let Known::Whole(reply) = self.known(now, name, kind, true) {
                self.answer(&waiter, &reply, Vec::new());
            }
            return self.refresh(now, name, kind, Duration::ZERO);
        }
        let key = self.question_key(name, kind);
        let running =
            self.by_question.get(&key).copied().filter(|_| self.config.coalescing && local.is_none());
        let waiters_max = self.config.waiters_max;
        if let Some(id) = running
            && let Some(job) = self.jobs.at_mut(id).filter(|job| job.name == *name && job.kind == kind)
        {
            if job.waiters.len() < waiters_max {
                if waiter.explain && job.steps.is_none() {
                    job.steps = Some(Vec::new());
                }
                job.note(now, || "another client waits for the same".to_owned());
                job.waiters.push(waiter);
                if stale {
                    self.timers.add(now + self.config.stale_client_timeout, Timer::Stale(id));
                }
                return;
            }
            return self.answer(&waiter, &Reply::failure(None), Vec::new());
        }
        if self.jobs.len() >= self.config.jobs_max {
            let why = (0, "too many questions at once".to_owned());
            return self.answer(&waiter, &Reply::failure(Some(why)), Vec::new());
        }
        let mut job = Job::new(name.clone(), kind, key, now + self.config.wall);
        job.refresh = ask.refresh;
        job.steps = ask.explain.then(Vec::new);
        job.waiters.push(waiter);
        let id = self.begin(job);
        if stale {
            self.timers.add(now + self.config.stale_client_timeout, Timer::Stale(id));
        }
        if let Some(local) = local {
            self.note(now, id, || format!("a zone served here has an alias {name}"));
            self.continue_with(now, id, local);
        }
    }

    // Looks a question up again for nobody in particular. Delegations that end within `leeway` are asked
    // for again on the way, at the parent; a zone in steady use would lose its cut otherwise.
    fn refresh(&mut self, now: Instant, name: &Name, kind: Type, leeway: Duration) {
        let key = self.question_key(name, kind);
        if self.by_question.contains_key(&key)
            || self.jobs.len() >= self.config.jobs_max
            || self.cache.find_failure(now, name, kind).is_some()
        {
            return;
        }
        let mut job = Job::new(name.lowered(), kind, key, now + self.config.wall);
        (job.refresh, job.leeway) = (true, leeway);
        self.begin(job);
    }

    fn forget(&mut self, token: u64) {
        // A client that gave up is rare; the answer is looked for all the same, for the next one.
        self.jobs.each_mut(|job| job.waiters.retain(|waiter| waiter.token != token));
    }

    // The client has waited long enough: RFC 8767 §5.
    fn answer_stale(&mut self, now: Instant, id: u64) {
        let Some(job) = self.jobs.at_mut(id) else { return };
        let (name, kind, waiters) = (job.name.clone(), job.kind, std::mem::take(&mut job.waiters));
        let Known::Whole(reply) = self.known(now, &name, kind, true) else {
            if let Some(job) = self.jobs.at_mut(id) {
                job.waiters = waiters;
            }
            return;
        };
        self.note(now, id, || "old data is given meanwhile".to_owned());
        let steps = self.jobs.at(id).and_then(|job| job.steps.clone()).unwrap_or_default();
        waiters.iter().for_each(|waiter| self.answer(waiter, &reply, steps.clone()));
    }

    /// Ends a job without an answer. `remembered` says whether the question itself is at fault, and not
    /// our own lack of room.
    fn fail(&mut self, now: Instant, id: u64, why: Option<(u16, String)>, remembered: bool) {
        let Some(job) = self.jobs.at(id) else { return };
        let (name, kind) = (job.name.clone(), job.kind);
        if remembered {
            self.cache.store_failure(now, &name, kind, why.clone());
        }
        self.note(now, id, || {
            let why = why.as_ref().map_or("", |(_, text)| text);
            format!("gives up: {why}")
        });
        let mut reply = Reply::failure(why);
        if self.config.serve_stale
            && let Known::Whole(stale) = self.known(now, &name, kind, true)
            && stale.stale
        {
            reply = Reply { extended_error: [stale.extended_error, reply.extended_error].concat(), ..stale };
        }
        self.end(now, id, &reply);
    }

    /// Ends a job with an answer.
    fn finish(&mut self, now: Instant, id: u64, reply: Reply) {
        if let Some(job) = self.jobs.at(id) {
            self.cache.clear_failure(&job.name, job.kind);
        }
        self.end(now, id, &reply);
    }

    fn end(&mut self, now: Instant, id: u64, reply: &Reply) {
        for number in self.jobs.at(id).map(|job| job.in_flight.clone()).unwrap_or_default() {
            self.cancel(number);
        }
        let Some(job) = self.jobs.remove(id) else { return };
        if self.by_question.get(&job.key) == Some(&id) {
            self.by_question.remove(&job.key);
        }
        let steps = job.steps.unwrap_or_default();
        for waiter in &job.waiters {
            self.answer(waiter, reply, steps.clone());
        }
        if job.parents.is_empty() {
            return;
        }
        let found = lookup::addresses(reply.answer.iter().map(|link| &*link.set));
        for &parent in &job.parents {
            if let Some(asked) = self.jobs.at_mut(parent).and_then(|job| job.steps.as_mut()) {
                let room = job::STEPS_MAX.saturating_sub(asked.len());
                asked.extend(steps.iter().take(room).cloned());
            }
            self.child_done(now, parent, &job.name, &found);
        }
    }
}

impl Session for Resolver {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        Self::handle(self, now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn next_timeout(&self) -> Option<Instant> {
        Self::next_timeout(self)
    }
}

// What the cache has of a question, and for how long.
fn known(reply: &Reply, name: &Name, kind: Type) -> String {
    let left = reply.answer.iter().chain(&reply.authority).map(|link| link.ttl).min();
    let what = match (reply.rcode, reply.answer.is_empty()) {
        (Some(Rcode::NXDOMAIN), _) => format!("the cache knows that there is no {name}"),
        (_, true) => format!("the cache knows that {name} has no {kind}"),
        _ => format!("the cache knows {name} {kind}"),
    };
    left.map_or_else(|| what.clone(), |left| format!("{what}, for another {left} s"))
}
