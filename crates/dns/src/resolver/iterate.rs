//! One question followed down the tree: RFC 1034 §5.3.3, RFC 9156, RFC 9609, and the budgets that keep
//! what others wrote into their zones from making us work without end.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use doorway_base::Instant;

use super::Resolver;
use super::config::Minimisation;
use super::delegation::{Start, address_of};
use super::event::SendFailure;
use super::job::{Cut, Job, Lookup, Origin};
use super::judge::{Asked, Judged, Link, Meaning, judge};
use super::query::Sent;
use super::received::Received;
use super::reply::{Known, Reply, extended_error};
use super::timers::Timer;
use super::upstream::{Choice, Shown};
use crate::cache::{Beside, Denial, RrSet, Trust, set};
use crate::wire::{Flags, Name, Rcode, Type};

/// Questions with a name cut short for one lookup at most: RFC 9156 §2.3.
const MINIMISED_MAX: u8 = 10;
/// Of those, the ones that show one label more each.
const MINIMISED_ONE_LABEL: u8 = 4;
/// Turns one call takes for one job at most; more would be a fault of ours.
const TURNS_MAX: u32 = 64;
/// Jobs looked at to see whether one would wait for itself.
const WAITERS_SEEN_MAX: usize = 256;

/// Stands for all servers of a zone, where it is remembered that its parent was asked again.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Why a server gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No answer in time.
    Silent,
    /// It could not be reached.
    Failed(SendFailure),
    /// Its answer is no message.
    Malformed,
    /// It has no authority for the zone.
    Lame(&'static str),
    /// It refused or failed.
    Rcode(Rcode),
}

enum Turn {
    /// Something is under way.
    Waiting,
    /// These servers are of no use any more.
    Exhausted,
}

/// What came of asking for a server's address.
enum Spawned {
    Pending,
    Now(Vec<IpAddr>),
    Refused,
}

impl Resolver {
    /// Takes a job as far as it goes without waiting.
    pub(super) fn advance(&mut self, now: Instant, id: u64) {
        for _ in 0..TURNS_MAX {
            let Some(job) = self.jobs.at(id) else { return };
            if !job.in_flight.is_empty() {
                return;
            }
            if job.cut.is_none() {
                if job.children > 0 || self.look(now, id) {
                    return;
                }
                match self.start(now, id) {
                    Start::At(cut) => self.enter(now, id, cut),
                    Start::Prime(zone) => {
                        if self.prime(now, id, &zone) {
                            return;
                        }
                        continue;
                    }
                    Start::Nowhere => {
                        let why = (extended_error::NO_REACHABLE_AUTHORITY, "no server is known".to_owned());
                        return self.fail(now, id, Some(why), true);
                    }
                }
            }
            match self.turn(now, id) {
                Turn::Waiting => return,
                Turn::Exhausted => {
                    if !self.fall_back(now, id) {
                        let trouble = self.jobs.at_mut(id).and_then(|job| job.trouble.take());
                        let unreached = || (extended_error::NO_REACHABLE_AUTHORITY, String::new());
                        return self.fail(now, id, Some(trouble.unwrap_or_else(unreached)), true);
                    }
                }
            }
        }
        self.fail(now, id, None, false);
    }

    fn enter(&mut self, now: Instant, id: u64, cut: Cut) {
        self.note(now, id, || {
            let known = match cut.targets.len() {
                1 => "1 address".to_owned(),
                count => format!("{count} addresses"),
            };
            format!("the servers of {} are to be asked, {known} from {}", cut.zone, cut.origin)
        });
        if let Some(job) = self.jobs.at_mut(id) {
            job.cut = Some(cut);
            job.start_over_minimising();
        }
    }

    // What local zones and the cache say about the name asked about now; true when that ends the job.
    fn look(&mut self, now: Instant, id: u64) -> bool {
        let Some(job) = self.jobs.at(id) else { return true };
        let (name, kind, refresh) = (job.current.clone(), job.kind, job.refresh);
        let first = job.chain.is_empty();
        if !(first && job.depth == 0)
            && let Some(local) = self.local(&name, kind)
        {
            self.note(now, id, || format!("{name} {kind} is of a zone served here"));
            return self.continue_with(now, id, local);
        }
        if refresh {
            return false;
        }
        match self.known(now, &name, kind, false) {
            Known::Whole(reply) => {
                self.note(now, id, || super::known(&reply, &name, kind));
                let Some(job) = self.jobs.at_mut(id) else { return true };
                let mut chain = std::mem::take(&mut job.chain);
                chain.extend(reply.answer);
                self.finish(now, id, Reply { answer: chain, ..reply });
                true
            }
            Known::Part(links, end) => {
                if end != name {
                    self.note(now, id, || format!("the cache knows the aliases from {name} to {end}"));
                }
                let Some(job) = self.jobs.at_mut(id) else { return true };
                job.aliases = job.aliases.saturating_add(links.len() as u8);
                job.chain.extend(links);
                if end != name {
                    job.turn_to(end);
                }
                self.too_many_aliases(now, id)
            }
        }
    }

    /// Goes on with what a local zone said; true when that ends the job.
    pub(super) fn continue_with(&mut self, now: Instant, id: u64, local: Judged) -> bool {
        let Some(job) = self.jobs.at_mut(id) else { return true };
        job.chain.extend(local.answer);
        match local.meaning {
            Meaning::Alias(target) => {
                job.aliases = job.aliases.saturating_add(1);
                job.turn_to(target);
                self.too_many_aliases(now, id)
            }
            meaning => {
                let rcode = if meaning == Meaning::NoName { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                let answer = std::mem::take(&mut job.chain);
                let reply =
                    Reply { rcode: Some(rcode), answer, authority: local.authority, ..Reply::default() };
                self.finish(now, id, reply);
                true
            }
        }
    }

    fn too_many_aliases(&mut self, now: Instant, id: u64) -> bool {
        let Some(job) = self.jobs.at(id) else { return true };
        let seen =
            job.chain.iter().any(|link| link.set.kind() == Type::CNAME && link.set.name() == job.current);
        if job.aliases <= self.config.aliases_max && !seen {
            return false;
        }
        let why = if seen { "an alias that leads back to itself" } else { "too many aliases" };
        self.fail(now, id, Some((0, why.to_owned())), true);
        true
    }

    // Asks who the servers of a zone are. False when that is not possible.
    fn prime(&mut self, now: Instant, id: u64, zone: &Name) -> bool {
        if let Some(job) = self.jobs.at_mut(id) {
            job.primed = true;
        }
        let iterate = self.jobs.at(id).is_some_and(|job| job.iterate);
        let pending = matches!(self.spawn(now, id, zone, Type::NS), Spawned::Pending);
        let key = self.question_key(zone, Type::NS);
        if let Some(&child) = self.by_question.get(&key).filter(|_| pending && iterate)
            && let Some(child) = self.jobs.at_mut(child)
        {
            child.iterate = true;
        }
        pending
    }

    // One turn with the servers at hand.
    fn turn(&mut self, now: Instant, id: u64) -> Turn {
        let tries_max = self.config.tries_per_delegation;
        let Some(job) = self.jobs.at(id) else { return Turn::Waiting };
        if job.cut.as_ref().is_none_or(|cut| cut.sends >= tries_max) {
            return Turn::Exhausted;
        }
        let mut choice = self.choose(now, id);
        if let Choice::Server(_, true) = choice {
            // Before a server that is none is asked for help, those not looked up yet have their turn.
            self.look_up_servers(now, id);
            if self.jobs.at(id).is_none_or(|job| job.children > 0) {
                return Turn::Waiting;
            }
            choice = self.choose(now, id);
        }
        match choice {
            Choice::Server(upstream, resort) => {
                if !self.charge(now, id) {
                    return Turn::Waiting;
                }
                let mut shown = self.next_name(id);
                let Some(cut) = self.jobs.at_mut(id).and_then(|job| job.cut.as_mut()) else {
                    return Turn::Waiting;
                };
                cut.sends += 1;
                let recursion = cut.origin.recursion() || resort;
                shown.flags = if recursion { Flags::RD } else { 0 };
                self.send(now, id, &upstream, &shown);
                Turn::Waiting
            }
            Choice::Busy => {
                if self.jobs.at(id).is_some_and(|job| job.children == 0) {
                    let why = (
                        extended_error::NO_REACHABLE_AUTHORITY,
                        "the servers have too much to do".to_owned(),
                    );
                    self.fail(now, id, Some(why), false);
                }
                Turn::Waiting
            }
            Choice::None => {
                self.look_up_servers(now, id);
                match self.jobs.at(id) {
                    Some(job) if job.children == 0 => {
                        // Addresses that the cache had are targets by now.
                        let fresh = |cut: &Cut| cut.targets.iter().any(|target| !target.done);
                        if job.cut.as_ref().is_some_and(fresh)
                            && matches!(self.choose(now, id), Choice::Server(..))
                        {
                            return self.turn(now, id);
                        }
                        Turn::Exhausted
                    }
                    _ => Turn::Waiting,
                }
            }
        }
    }

    // The name to show to the servers of the cut, and the type to ask for: RFC 9156 §2.3.
    fn next_name(&self, id: u64) -> Shown {
        let minimisation = self.config.minimisation;
        let shown = |name, kind, minimised| Shown { name, kind, flags: 0, minimised };
        let Some(job) = self.jobs.at(id) else { return shown(Name::root(), Type::NS, false) };
        let labels = job.current.label_count();
        let whole = shown(job.current.clone(), job.kind, false);
        let Some(cut) = &job.cut else { return whole };
        if minimisation == Minimisation::Off || job.whole_name || cut.origin.recursion() {
            return whole;
        }
        let known = job.revealed.max(cut.zone.label_count());
        let left = labels.saturating_sub(known);
        let step = match job.minimised {
            count if count < MINIMISED_ONE_LABEL => 1,
            count if count < MINIMISED_MAX => left.div_ceil(usize::from(MINIMISED_MAX - count)),
            _ => left,
        };
        if step >= left {
            return whole;
        }
        let name = Name::from_labels(job.current.labels().skip(labels - known - step));
        name.map_or(whole, |name| shown(name, Type::A, true))
    }

    // Looks up addresses of servers that are known by name only. The bounds are what keeps a referral
    // to names that do not exist from becoming a flood of questions about them (NXNSAttack).
    fn look_up_servers(&mut self, now: Instant, id: u64) {
        let at_once = usize::from(self.config.server_names_per_delegation);
        let kinds = [(Type::A, self.config.ipv4), (Type::AAAA, self.config.ipv6)];
        loop {
            let Some(job) = self.jobs.at(id) else { return };
            let Some(cut) = &job.cut else { return };
            let open = cut.servers.iter().filter(|server| matches!(server.lookup, Lookup::Open(_))).count();
            if usize::from(cut.fruitless) + open >= at_once || !self.charge_lookup(id) {
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

    fn server_pending(&mut self, id: u64, name: &Name) {
        if let Some(cut) = self.jobs.at_mut(id).and_then(|job| job.cut.as_mut())
            && let Some(server) = cut.servers.iter_mut().find(|server| server.name == *name)
            && let Lookup::Open(count) = &mut server.lookup
        {
            *count += 1;
        }
    }

    fn server_found(&mut self, id: u64, name: &Name, addresses: &[IpAddr]) {
        let upstreams: Vec<_> = addresses.iter().map(|&address| self.upstream_at(address)).collect();
        if let Some(cut) = self.jobs.at_mut(id).and_then(|job| job.cut.as_mut())
            && let Some(server) = cut.servers.iter_mut().find(|server| server.name == *name)
        {
            server.found |= !upstreams.is_empty();
            upstreams.into_iter().for_each(|upstream| cut.add(upstream));
        }
    }

    fn close_lookup(&mut self, id: u64, name: &Name) {
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
    fn last_resort(&mut self, now: Instant, id: u64, name: &Name) {
        for (kind, wanted) in [(Type::A, self.config.ipv4), (Type::AAAA, self.config.ipv6)] {
            if let Some(set) = self.cache.find_address(now, name.as_octets(), kind).filter(|_| wanted) {
                self.server_found(id, name, &addresses(std::iter::once(&*set)));
            }
        }
    }

    // Begins another question that a job needs answered.
    fn spawn(&mut self, now: Instant, parent: u64, name: &Name, kind: Type) -> Spawned {
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
    fn waits_for(&self, id: u64, key: u64) -> bool {
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

    fn charge_lookup(&mut self, id: u64) -> bool {
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

    // Where to go when none of the servers was of use. False when there is nowhere.
    fn fall_back(&mut self, now: Instant, id: u64) -> bool {
        if self.try_glue(now, id) {
            return true;
        }
        let asked_again = |zone: &Name| self.servers.is_lame(now, NOBODY, zone);
        let Some(job) = self.jobs.at(id) else { return false };
        let again = job.cut.as_ref().is_some_and(|cut| asked_again(&cut.zone));
        let Some(job) = self.jobs.at_mut(id) else { return false };
        let Some(cut) = &job.cut else { return false };
        let first = match cut.origin {
            Origin::Forward(index) => self.config.forward_zones.get(index).is_some_and(|zone| zone.first),
            Origin::Stub(index) => self.config.stub_zones.get(index).is_some_and(|zone| zone.first),
            Origin::Cache if !job.went_up && !again && !cut.zone.is_root() => {
                // The parent may know of other servers by now.
                job.went_up = true;
                job.dead_ends.extend(cut.targets.iter().map(|target| target.upstream.address));
                let zone = cut.zone.clone();
                self.servers.set_lame(now, NOBODY, &zone);
                match self.start(now, id) {
                    Start::At(cut) if cut.zone != zone => {
                        self.enter(now, id, cut);
                        return true;
                    }
                    _ => return false,
                }
            }
            _ => return false,
        };
        if first {
            job.iterate = true;
            job.cut = None;
        }
        first
    }

    // The addresses the parent gave, when those that the servers' own zones give are of no use.
    fn try_glue(&mut self, now: Instant, id: u64) -> bool {
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

    /// A server gave nothing: the next one is tried.
    pub(super) fn trouble(&mut self, now: Instant, sent: &Sent, trouble: Trouble) {
        let timeouts_max = self.config.timeouts_per_server;
        let Some(job) = self.jobs.at_mut(sent.job) else { return };
        let zone = job.cut.as_ref().map(|cut| cut.zone.clone());
        let mut lame = false;
        if let Some(target) = job.cut.as_mut().and_then(|cut| cut.target(sent.to)) {
            match trouble {
                Trouble::Silent | Trouble::Failed(_) => {
                    target.timeouts += 1;
                    target.done = target.timeouts >= timeouts_max;
                }
                Trouble::Lame("only recurses") if !target.recurses => {
                    target.recurses = true;
                    lame = true;
                }
                Trouble::Lame(_) | Trouble::Rcode(Rcode::REFUSED | Rcode::NOTAUTH) => {
                    target.done = true;
                    lame = true;
                }
                Trouble::Malformed | Trouble::Rcode(_) => target.done = true,
            }
        }
        let said = match trouble {
            Trouble::Silent => "no answer".to_owned(),
            Trouble::Failed(why) => why.to_string(),
            Trouble::Malformed => "a malformed answer".to_owned(),
            Trouble::Lame(why) => format!("lame: {why}"),
            Trouble::Rcode(rcode) => format!("rcode={rcode}"),
        };
        let text = format!("{} {said} for {} {}", sent.to, sent.name.lowered(), sent.kind);
        job.note(now, || text.clone());
        job.trouble = Some((extended_error::NETWORK_ERROR, text));
        if let Some(zone) = zone.filter(|_| lame) {
            self.servers.set_lame(now, sent.to, &zone);
        }
        self.ready.push_back(sent.job);
    }

    /// Decides what an answer means and goes on.
    pub(super) fn judge(&mut self, now: Instant, sent: &Sent, received: &Received) {
        let id = sent.job;
        let Some(job) = self.jobs.at(id) else { return };
        let Some(cut) = &job.cut else { return };
        let recursion = cut.origin.recursion();
        let (zone, origin) = (cut.zone.clone(), cut.origin);
        let asked = Asked {
            name: &sent.name,
            kind: sent.kind,
            zone: &zone,
            recursion,
            resort: !recursion && sent.flags & Flags::RD != 0,
            bailiwick: self.config.bailiwick,
            aliases_max: self.config.aliases_max,
        };
        let mut judged = judge(received, &asked);
        // What leads no deeper leads round in circles.
        if let Meaning::Referral(to) = &judged.meaning
            && (*to == zone || !to.is_within(&zone))
        {
            judged.meaning = Meaning::Lame("refers elsewhere");
        }
        self.note(now, id, || format!("{} says: {}", sent.to, told(&judged)));
        let minimisation = self.config.minimisation;
        match &judged.meaning {
            Meaning::Failed(rcode) if sent.minimised && minimisation == Minimisation::Relaxed => {
                let _ = rcode;
                return self.show_whole_name(id);
            }
            Meaning::NoName if sent.minimised && minimisation == Minimisation::Relaxed => {
                return self.show_whole_name(id);
            }
            Meaning::Failed(rcode) => return self.trouble(now, sent, Trouble::Rcode(*rcode)),
            Meaning::Lame(why) => {
                let why = *why;
                return if sent.minimised && minimisation == Minimisation::Relaxed && why != "only recurses" {
                    self.show_whole_name(id)
                } else {
                    self.trouble(now, sent, Trouble::Lame(why))
                };
            }
            _ => {}
        }
        let blocked = self.guard_against_rebinding(origin, &zone, &mut judged);
        self.clamp(&mut judged);
        let cached = match origin {
            Origin::Forward(index) => self.config.forward_zones.get(index).is_some_and(|zone| zone.cached),
            _ => true,
        };
        if cached {
            self.store(now, sent, &judged);
        }
        for number in self.jobs.at(id).map(|job| job.in_flight.clone()).unwrap_or_default() {
            self.cancel(number);
        }
        self.go_on(now, sent, judged, blocked, cached);
    }

    fn go_on(&mut self, now: Instant, sent: &Sent, judged: Judged, blocked: bool, cached: bool) {
        let id = sent.job;
        let Some(job) = self.jobs.at_mut(id) else { return };
        if sent.minimised && matches!(judged.meaning, Meaning::Answer | Meaning::NoData | Meaning::Alias(_)) {
            job.revealed = sent.name.label_count();
            job.minimised += 1;
            self.ready.push_back(id);
            return;
        }
        let rcode = match judged.meaning {
            Meaning::Answer | Meaning::NoData => Rcode::NOERROR,
            Meaning::NoName => Rcode::NXDOMAIN,
            Meaning::TooLong => Rcode::YXDOMAIN,
            Meaning::Alias(target) => {
                let count = judged.answer.iter().filter(|link| link.set.kind() == Type::CNAME).count();
                job.aliases = job.aliases.saturating_add(count as u8);
                job.chain.extend(judged.answer);
                job.turn_to(target);
                if !self.too_many_aliases(now, id) {
                    self.ready.push_back(id);
                }
                return;
            }
            Meaning::Referral(ref zone) => {
                let zone = zone.clone();
                let mut cut = self.referred(now, &zone, &judged);
                let Some(job) = self.jobs.at_mut(id) else { return };
                if job.went_up {
                    for target in &mut cut.targets {
                        target.done = job.dead_ends.contains(&target.upstream.address);
                    }
                }
                self.enter(now, id, cut);
                self.ready.push_back(id);
                return;
            }
            Meaning::Failed(_) | Meaning::Lame(_) => return,
        };
        if !self.config.minimal_responses && cached && rcode == Rcode::NOERROR {
            let sets = |links: &[Link]| {
                links.iter().map(|link| (link.set.owner().into(), link.set.kind())).collect()
            };
            let beside = Beside { authority: sets(&judged.authority), additional: sets(&judged.additional) };
            self.cache.store_beside(now, &job.name, job.kind, beside);
        }
        let mut answer = std::mem::take(&mut job.chain);
        answer.extend(judged.answer);
        let mut reply = Reply { rcode: Some(rcode), answer, ..Reply::default() };
        (reply.authority, reply.additional) = (judged.authority, judged.additional);
        if blocked {
            reply
                .extended_error
                .push((extended_error::BLOCKED, "a private address for a public name".to_owned()));
        }
        self.finish(now, id, reply);
    }

    fn show_whole_name(&mut self, id: u64) {
        if let Some(job) = self.jobs.at_mut(id) {
            job.whole_name = true;
        }
        self.ready.push_back(id);
    }

    // Private addresses under public names would let a web page reach into the network it is read in.
    fn guard_against_rebinding(&self, origin: Origin, zone: &Name, judged: &mut Judged) -> bool {
        let configured = matches!(origin, Origin::Forward(_) | Origin::Stub(_)) && !zone.is_root();
        if !self.config.rebinding_protection || configured {
            return false;
        }
        let mut blocked = false;
        judged.answer.retain_mut(|link| {
            let kind = link.set.kind();
            let private = |row: &[u8]| {
                address_of(kind, row).is_some_and(|address| {
                    self.config.private_addresses.iter().any(|net| net.contains(address))
                })
            };
            if !matches!(kind, Type::A | Type::AAAA) || !link.set.data().any(private) {
                return true;
            }
            let owner = link.set.name();
            if self.config.rebinding_allowed.iter().any(|allowed| owner.is_within(allowed)) {
                return true;
            }
            blocked = true;
            let mut rows = Vec::new();
            link.set.data().filter(|row| !private(row)).for_each(|row| set::push(&mut rows, row));
            link.set = Arc::new(RrSet::new(&owner, kind, &rows, &[]));
            !rows.is_empty()
        });
        blocked
    }

    // TTLs as the cache bounds them; of a denial the SOA's MINIMUM (RFC 2308 §5).
    fn clamp(&self, judged: &mut Judged) {
        let limits = self.cache.limits();
        let negative = matches!(judged.meaning, Meaning::NoData | Meaning::NoName);
        let bounded = |ttl: u32| {
            let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
            let most = limits.ttl_max.as_secs().min(u64::from(u32::MAX)) as u32;
            ttl.max(limits.ttl_min.as_secs() as u32).min(most)
        };
        for link in judged.answer.iter_mut().chain(&mut judged.authority).chain(&mut judged.additional) {
            link.ttl = bounded(link.ttl);
        }
        if negative && let Some(ttl) = negative_ttl(judged) {
            let most = limits.negative_ttl_max.as_secs() as u32;
            let least = limits.negative_ttl_min.as_secs() as u32;
            let ttl = ttl.max(least).min(most);
            judged.authority.iter_mut().for_each(|link| link.ttl = ttl);
        }
    }

    fn store(&self, now: Instant, sent: &Sent, judged: &Judged) {
        let (cache, ghost) = (&self.cache, self.config.ghost_protection);
        let referral = matches!(judged.meaning, Meaning::Referral(_));
        let data = if judged.authoritative { Trust::AuthoritativeAnswer } else { Trust::Answer };
        for link in &judged.answer {
            cache.store_set(now, &link.set, link.ttl, data, ghost);
        }
        for link in &judged.authority {
            let trust = match link.set.kind() {
                Type::NS if referral => Trust::Referral,
                Type::DS if referral => Trust::AuthoritativeAuthority,
                Type::NS if judged.authoritative => Trust::AuthoritativeAuthority,
                Type::NS => Trust::Glue,
                _ => continue,
            };
            cache.store_set(now, &link.set, link.ttl, trust, ghost);
        }
        let trust = if referral { Trust::Glue } else { Trust::Additional };
        for link in &judged.additional {
            cache.store_set(now, &link.set, link.ttl, trust, ghost);
        }
        let (rcode, kind) = match judged.meaning {
            Meaning::NoData => (Rcode::NOERROR, Some(sent.kind)),
            Meaning::NoName if !sent.minimised => (Rcode::NXDOMAIN, None),
            _ => return,
        };
        // RFC 2308 §5: without a SOA nobody knows how long.
        if let Some(ttl) = negative_ttl(judged) {
            let authority = judged.authority.iter().map(|link| Arc::clone(&link.set)).collect();
            cache.store_denial(now, &judged.end, kind, &Arc::new(Denial { rcode, authority }), ttl);
        }
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

fn negative_ttl(judged: &Judged) -> Option<u32> {
    let soa = judged.authority.iter().find(|link| link.set.kind() == Type::SOA)?;
    let minimum = soa.set.data().next()?.last_chunk::<4>()?;
    Some(soa.ttl.min(u32::from_be_bytes(*minimum)))
}

fn told(judged: &Judged) -> String {
    match &judged.meaning {
        Meaning::Answer => "the answer".to_owned(),
        Meaning::Alias(target) => format!("an alias of {target}"),
        Meaning::NoData => "there is no such data".to_owned(),
        Meaning::NoName => "there is no such name".to_owned(),
        Meaning::Referral(zone) => format!("ask the servers of {zone}"),
        Meaning::Lame(why) => format!("it is lame ({why})"),
        Meaning::Failed(rcode) => rcode.to_string(),
        Meaning::TooLong => "an alias that is too long".to_owned(),
    }
}
