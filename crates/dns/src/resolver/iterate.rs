//! One question followed down the tree: RFC 1034 §5.3.3, RFC 9156, RFC 9609.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use doorway_base::Instant;

use super::Resolver;
use super::config::Minimisation;
use super::delegation::Start;
use super::event::SendFailure;
use super::job::{Cut, Origin};
use super::judge::{Asked, Judged, Link, Meaning, judge};
use super::lookup::Spawned;
use super::query::Sent;
use super::received::Received;
use super::reply::{Known, Reply, extended_error};
use super::server::Server;
use super::upstream::{Choice, Shown};
use crate::cache::Beside;
use crate::wire::{Flags, Name, Rcode, Type};

/// Questions with a name cut short for one lookup at most: RFC 9156 §2.3.
const MINIMISED_MAX: u8 = 10;
/// Of those, the ones that show one label more each.
const MINIMISED_ONE_LABEL: u8 = 4;
/// Of those, the ones without an answer after which the whole name is shown: there are servers that drop
/// what they do not serve.
const MINIMISED_SILENT_MAX: u8 = 3;
/// Turns one call takes for one job at most; more would be a fault of ours.
const TURNS_MAX: u32 = 64;

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

impl Resolver {
    /// Takes a job as far as it goes without waiting.
    pub(super) fn advance(&mut self, now: Instant, id: u64) {
        for _ in 0..TURNS_MAX {
            let Some(job) = self.jobs.at(id) else { return };
            if !job.in_flight.is_empty() {
                return;
            }
            if job.cut.is_none() {
                if job.priming || self.look(now, id) {
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
        if let Some(job) = self.jobs.at_mut(id) {
            job.priming = pending;
        }
        let key = self.question_key(zone, Type::NS);
        if let Some(&child) = self.by_question.get(&key).filter(|_| pending && iterate)
            && let Some(child) = self.jobs.at_mut(child)
        {
            child.iterate = true;
        }
        pending
    }

    // Whether the zone at hand is one below which somebody asks for random names.
    fn is_flooded(&mut self, now: Instant, id: u64) -> bool {
        let Some(cut) = self.jobs.at(id).and_then(|job| job.cut.as_ref()) else { return false };
        let Some(_) = self.key.set(self.secret, cut.zone.as_octets()) else { return false };
        self.absent.is_over(now, self.key.hash(0))
    }

    fn count_absent(&mut self, now: Instant, id: u64) {
        let Some(cut) = self.jobs.at(id).and_then(|job| job.cut.as_ref()) else { return };
        if self.key.set(self.secret, cut.zone.as_octets()).is_some() {
            self.absent.count(now, self.key.hash(0), self.key.labels());
        }
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
                if self.is_flooded(now, id) {
                    let (code, why) = super::flooded::EXTENDED_ERROR;
                    self.fail(now, id, Some((code, why.to_owned())), false);
                    return Turn::Waiting;
                }
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
            let hidden = self.config.hides_type && left > 0 && !matches!(job.kind, Type::A | Type::DS);
            return if hidden { shown(job.current.clone(), Type::A, true) } else { whole };
        }
        let name = Name::from_labels(job.current.labels().skip(labels - known - step));
        name.map_or(whole, |name| shown(name, Type::A, true))
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

    /// A server gave nothing: the next one is tried.
    pub(super) fn trouble(&mut self, now: Instant, sent: &Sent, trouble: Trouble) {
        let timeouts_max = self.config.timeouts_per_server;
        let relaxed = self.config.minimisation == Minimisation::Relaxed;
        let given_up = self.servers.at(sent.to).is_some_and(Server::was_silent);
        let Some(job) = self.jobs.at_mut(sent.job) else { return };
        let zone = job.cut.as_ref().map(|cut| cut.zone.clone());
        let mut lame = false;
        if let Some(target) = job.cut.as_mut().and_then(|cut| cut.target(sent.to)) {
            match trouble {
                Trouble::Silent | Trouble::Failed(_) => {
                    // One that was silent for others is tried once, to see whether it is back.
                    target.timeouts += 1;
                    target.done = target.timeouts >= timeouts_max || given_up && target.timeouts == 1;
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
        if sent.minimised && trouble == Trouble::Silent {
            job.minimised_silent += 1;
            job.whole_name |= relaxed && job.minimised_silent >= MINIMISED_SILENT_MAX;
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
            aliases_max: if self.config.aliases_together { self.config.aliases_max } else { 0 },
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
            self.store(now, sent, &zone, origin, &mut judged);
        }
        for number in self.jobs.at(id).map(|job| job.in_flight.clone()).unwrap_or_default() {
            self.cancel(number);
        }
        self.go_on(now, sent, judged, blocked, cached);
    }

    fn go_on(&mut self, now: Instant, sent: &Sent, judged: Judged, blocked: bool, cached: bool) {
        let id = sent.job;
        if judged.meaning == Meaning::NoName {
            self.count_absent(now, id);
        }
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
                job.lengthen(judged.answer);
                job.proofs.extend(judged.authority.into_iter().filter(|link| link.is_proof()));
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
        job.lengthen(judged.answer);
        let answer = std::mem::take(&mut job.chain);
        let why = (extended_error::BLOCKED, "a private address for a public name".to_owned());
        if blocked && !answer.iter().any(|link| link.set.kind() == sent.kind) {
            // "There is no such data" would be a lie that is kept.
            return self.fail(now, id, Some(why), true);
        }
        let mut reply = Reply { rcode: Some(rcode), answer, ..Reply::default() };
        (reply.authority, reply.additional) = (judged.authority, judged.additional);
        for proof in std::mem::take(&mut job.proofs) {
            let same =
                |link: &Link| link.set.kind() == proof.set.kind() && link.set.name() == proof.set.name();
            if !reply.authority.iter().any(same) {
                reply.authority.push(proof);
            }
        }
        if blocked {
            reply.extended_error.push(why);
        }
        self.finish(now, id, reply);
    }

    fn show_whole_name(&mut self, id: u64) {
        if let Some(job) = self.jobs.at_mut(id) {
            job.whole_name = true;
        }
        self.ready.push_back(id);
    }
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
