//! What a job needs besides its own servers' answers: addresses of servers known by name, each a job of
//! its own; and the budgets that are charged along the way from a job to the client behind it.
//!
//! The bounds are what keeps zones of others from making us work without end: NXNSAttack (names that do
//! not exist), TsuNAME (zones that need each other), and long ways of any kind.

use core::net::IpAddr;

use doorway_base::Instant;

use super::Resolver;
use super::delegation::address_of;
use super::job::{Job, Lookup};
use super::reply::{Known, extended_error};
use super::timers::Timer;
use crate::cache::RrSet;
use crate::wire::{Name, Type};

/// Jobs looked at to see whether one would wait for itself.
const WAITERS_SEEN_MAX: usize = 256;

/// What came of asking for a server's address.
pub(super) enum Spawned {
    Pending,
    Now(Vec<IpAddr>),
    Refused,
}

impl Resolver {
    // Looks up addresses of servers that are known by name only. The bounds are what keeps a referral
    // to names that do not exist from becoming a flood of questions about them (NXNSAttack).
    pub(super) fn look_up_servers(&mut self, now: Instant, id: u64) {
        let at_once = usize::from(self.config.server_names_per_delegation);
        let kinds = [(Type::A, self.config.ipv4), (Type::AAAA, self.config.ipv6)];
        loop {
            let Some(job) = self.jobs.at(id) else { return };
            let Some(cut) = &job.cut else { return };
            let open = cut.servers.iter().filter(|server| matches!(server.lookup, Lookup::Open(_))).count();
            let unasked = cut.servers.iter().any(|server| server.lookup == Lookup::Unasked);
            if !unasked || usize::from(cut.fruitless) + open >= at_once || !self.charge_lookup(id) {
                return;
            }
            let Some(cut) = self.jobs.at_mut(id).and_then(|job| job.cut.as_mut()) else { return };
            let Some(server) = cut.servers.iter_mut().find(|server| server.lookup == Lookup::Unasked) else {
                return;
            };
            server.lookup = Lookup::Open(0);
            let name = server.name.clone();
            for (kind, _) in kinds.into_iter().filter(|(_, wanted)| *wanted) {
                match self.spawn(now, id, &name, kind) {
                    Spawned::Pending => self.server_pending(id, &name),
                    Spawned::Now(addresses) if addresses.is_empty() => self.last_resort(now, id, &name),
                    Spawned::Now(addresses) => self.server_found(id, &name, &addresses),
                    Spawned::Refused => {}
                }
            }
            self.close_lookup(id, &name);
            let found = self.jobs.at(id).and_then(|job| job.cut.as_ref());
            if found.is_some_and(|cut| cut.targets.iter().any(|target| !target.done)) {
                return;
            }
        }
    }

    pub(super) fn server_pending(&mut self, id: u64, name: &Name) {
        if let Some(cut) = self.jobs.at_mut(id).and_then(|job| job.cut.as_mut())
            && let Some(server) = cut.servers.iter_mut().find(|server| server.name == *name)
            && let Lookup::Open(count) = &mut server.lookup
        {
            *count += 1;
        }
    }

    pub(super) fn server_found(&mut self, id: u64, name: &Name, addresses: &[IpAddr]) {
        let upstreams: Vec<_> = addresses.iter().map(|&address| self.upstream_at(address)).collect();
        if let Some(cut) = self.jobs.at_mut(id).and_then(|job| job.cut.as_mut())
            && let Some(server) = cut.servers.iter_mut().find(|server| server.name == *name)
        {
            server.found |= !upstreams.is_empty();
            upstreams.into_iter().for_each(|upstream| cut.add(upstream));
        }
    }

    pub(super) fn close_lookup(&mut self, id: u64, name: &Name) {
        if let Some(cut) = self.jobs.at_mut(id).and_then(|job| job.cut.as_mut())
            && let Some(server) = cut.servers.iter_mut().find(|server| server.name == *name)
            && server.lookup == Lookup::Open(0)
        {
            server.lookup = Lookup::Done;
            cut.fruitless += u8::from(!server.found);
        }
    }

    /// A job that `id` waited for has ended.
    pub(super) fn child_done(&mut self, now: Instant, id: u64, name: &Name, addresses: &[IpAddr]) {
        let Some(job) = self.jobs.at_mut(id) else { return };
        job.children = job.children.saturating_sub(1);
        job.priming = false;
        if let Some(cut) = job.cut.as_mut()
            && let Some(server) = cut.servers.iter_mut().find(|server| server.name == *name)
            && let Lookup::Open(count) = &mut server.lookup
        {
            *count = count.saturating_sub(1);
        }
        self.server_found(id, name, addresses);
        if addresses.is_empty() {
            self.last_resort(now, id, name);
        }
        self.close_lookup(id, name);
        self.ready.push_back(id);
    }

    // A server whose zone knows no address of it may still be where the parent said.
    pub(super) fn last_resort(&mut self, now: Instant, id: u64, name: &Name) {
        for (kind, wanted) in [(Type::A, self.config.ipv4), (Type::AAAA, self.config.ipv6)] {
            if let Some(set) = self.cache.find_address(now, name.as_octets(), kind).filter(|_| wanted) {
                self.server_found(id, name, &addresses(std::iter::once(&*set)));
            }
        }
    }

    // Begins another question that a job needs answered.
    pub(super) fn spawn(&mut self, now: Instant, parent: u64, name: &Name, kind: Type) -> Spawned {
        if let Some(local) = self.local(name, kind) {
            return Spawned::Now(addresses(local.answer.iter().map(|link| &*link.set)));
        }
        if let Known::Whole(reply) = self.known(now, name, kind, false) {
            return Spawned::Now(addresses(reply.answer.iter().map(|link| &*link.set)));
        }
        if self.cache.find_failure(now, name, kind).is_some() {
            return Spawned::Refused;
        }
        let Some((depth, deadline, explain)) =
            self.jobs.at(parent).map(|job| (job.depth + 1, job.deadline, job.steps.is_some()))
        else {
            return Spawned::Refused;
        };
        let key = self.question_key(name, kind);
        if depth > self.config.depth_max || self.waits_for(parent, key) {
            self.note(now, parent, || {
                format!("{name} {kind} is not looked up: it would go round in circles")
            });
            return Spawned::Refused;
        }
        self.note(now, parent, || format!("needs {name} {kind}"));
        let running = self.by_question.get(&key).copied().filter(|_| self.config.coalescing);
        if let Some(running) = running
            && let Some(job) = self.jobs.at_mut(running)
        {
            job.parents.push(parent);
        } else {
            if self.jobs.len() >= self.config.jobs_max {
                return Spawned::Refused;
            }
            let mut job = Job::new(name.lowered(), kind, key, deadline);
            job.depth = depth;
            job.parents.push(parent);
            job.steps = explain.then(Vec::new);
            self.begin(job);
        }
        if let Some(job) = self.jobs.at_mut(parent) {
            job.children += 1;
        }
        Spawned::Pending
    }

    // Whether the question `key` is among those that wait for `id`, itself included: a delegation that
    // needs itself (TsuNAME), which would never end.
    pub(super) fn waits_for(&self, id: u64, key: u64) -> bool {
        let mut seen = vec![id];
        let mut next = 0;
        while let Some(&at) = seen.get(next) {
            next += 1;
            let Some(job) = self.jobs.at(at) else { continue };
            if job.key == key || seen.len() > WAITERS_SEEN_MAX {
                return true;
            }
            for &parent in &job.parents {
                if !seen.contains(&parent) {
                    seen.push(parent);
                }
            }
        }
        false
    }

    /// Counts one more query for a job and for those that wait for it. False, and the job has failed,
    /// when it is one too many.
    pub(super) fn charge(&mut self, now: Instant, id: u64) -> bool {
        let mut at = Some(id);
        let mut over = false;
        for _ in 0..=self.config.depth_max {
            let Some(job) = at.and_then(|at| self.jobs.at_mut(at)) else { break };
            job.sends = job.sends.saturating_add(1);
            over |= job.sends > self.config.upstream_queries_max;
            at = job.parents.first().copied();
        }
        if over {
            let why = "too many queries for one question".to_owned();
            self.fail(now, id, Some((extended_error::NO_REACHABLE_AUTHORITY, why)), true);
        }
        !over
    }

    pub(super) fn charge_lookup(&mut self, id: u64) -> bool {
        let mut at = Some(id);
        let mut over = false;
        for _ in 0..=self.config.depth_max {
            let Some(job) = at.and_then(|at| self.jobs.at_mut(at)) else { break };
            job.lookups = job.lookups.saturating_add(1);
            over |= job.lookups > self.config.server_names_max;
            at = job.parents.first().copied();
        }
        !over
    }

    // The addresses the parent gave, when those that the servers' own zones give are of no use.
    pub(super) fn try_glue(&mut self, now: Instant, id: u64) -> bool {
        let kinds = [(Type::A, self.config.ipv4), (Type::AAAA, self.config.ipv6)];
        let Some(cut) = self.jobs.at(id).and_then(|job| job.cut.as_ref()) else { return false };
        let mut found: Vec<IpAddr> = Vec::new();
        for server in &cut.servers {
            for (kind, _) in kinds.into_iter().filter(|(_, wanted)| *wanted) {
                let glue = self.cache.find_glue(now, server.name.as_octets(), kind);
                found.extend(addresses(glue.iter().map(|set| &**set)));
            }
        }
        let upstreams: Vec<_> = found.into_iter().map(|address| self.upstream_at(address)).collect();
        let Some(cut) = self.jobs.at_mut(id).and_then(|job| job.cut.as_mut()) else { return false };
        let before = cut.targets.len();
        upstreams.into_iter().for_each(|upstream| cut.add(upstream));
        cut.targets.len() > before
    }

    /// Puts a job on the books; it begins when what is being handled is done.
    pub(super) fn begin(&mut self, job: Job) -> u64 {
        let (key, deadline) = (job.key, job.deadline);
        let id = self.jobs.insert(job);
        self.by_question.insert(key, id);
        self.timers.add(deadline, Timer::Wall(id));
        self.ready.push_back(id);
        id
    }
}

/// The addresses among sets.
pub(super) fn addresses<'a>(sets: impl Iterator<Item = &'a RrSet>) -> Vec<IpAddr> {
    sets.flat_map(|set| set.data().filter_map(|row| address_of(set.kind(), row))).collect()
}
