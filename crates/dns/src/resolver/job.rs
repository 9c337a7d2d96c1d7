//! One question being resolved, who waits for it, and the servers it is being asked of.

use core::net::SocketAddr;
use std::fmt;
use std::time::Duration;

use doorway_base::Instant;

use super::config::Upstream;
use super::event::{Ask, Step};
use super::judge::Link;
use crate::wire::{Name, Type};

/// A client that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) token: u64,
    /// The name in the client's letter case.
    pub(super) name: Name,
    pub(super) dnssec: bool,
    pub(super) explain: bool,
}

impl Waiter {
    pub(super) fn new(ask: &Ask) -> Self {
        Self { token: ask.token, name: ask.question.name.clone(), dnssec: ask.dnssec, explain: ask.explain }
    }
}

/// Where a job learnt of the servers it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The root hints.
    Hints,
    /// NS records in the cache.
    Cache,
    /// A referral of this moment.
    Referral,
    /// A configured stub zone.
    Stub(usize),
    /// A configured forward zone.
    Forward(usize),
    /// The root servers, asked to do all the work.
    Chain,
}

impl Origin {
    /// Whether these servers are asked to do all the work.
    pub(super) const fn recursion(self) -> bool {
        matches!(self, Self::Forward(_) | Self::Chain)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hints => "the root hints",
            Self::Cache => "the cache",
            Self::Referral => "the referral",
            Self::Stub(_) => "the config (stub)",
            Self::Forward(_) => "the config (forward)",
            Self::Chain => "the root hints, for all the work",
        })
    }
}

/// How far the lookup of a server's addresses has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Not begun.
    Unasked,
    /// So many of its questions are open.
    Open(u8),
    /// Nothing more is to come.
    Done,
}

/// A server known by name.
#[derive(Debug)]
pub(super) struct NamedServer {
    pub(super) name: Name,
    pub(super) lookup: Lookup,
    /// Whether an address of it is among the targets.
    pub(super) found: bool,
}

/// An address to ask at.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) upstream: Upstream,
    pub(super) timeouts: u8,
    /// It is not asked again for this question.
    pub(super) done: bool,
    /// It has no authority but would recurse; asked to do that when there is nobody else.
    pub(super) recurses: bool,
}

/// A zone cut and the servers below it: RFC 1034 §4.2.1.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) zone: Name,
    pub(super) origin: Origin,
    pub(super) servers: Vec<NamedServer>,
    pub(super) targets: Vec<Target>,
    /// Queries sent for it.
    pub(super) sends: u8,
    /// Names whose lookup gave nothing.
    pub(super) fruitless: u8,
}

impl Cut {
    pub(super) const fn new(zone: Name, origin: Origin) -> Self {
        Self { zone, origin, servers: Vec::new(), targets: Vec::new(), sends: 0, fruitless: 0 }
    }

    /// Adds an address unless it is there.
    pub(super) fn add(&mut self, upstream: Upstream) {
        if !self.targets.iter().any(|target| target.upstream == upstream) {
            self.targets.push(Target { upstream, timeouts: 0, done: false, recurses: false });
        }
    }

    pub(super) fn target(&mut self, address: SocketAddr) -> Option<&mut Target> {
        self.targets.iter_mut().find(|target| target.upstream.address == address)
    }

    /// Whether no address is known and no name outside the zone could lead to one: asking for the
    /// zone's own servers would need the zone's own servers.
    pub(super) fn is_useless(&self) -> bool {
        self.targets.is_empty() && self.servers.iter().all(|server| server.name.is_within(&self.zone))
    }
}

/// One question being resolved.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: Name,
    pub(super) kind: Type,
    /// Key among the questions under way.
    pub(super) key: u64,
    pub(super) waiters: Vec<Waiter>,
    /// Jobs that wait for this one.
    pub(super) parents: Vec<u64>,
    /// Jobs that this one waits for.
    pub(super) children: u16,
    pub(super) depth: u8,
    /// The cache does not answer the first name.
    pub(super) refresh: bool,
    /// What ends within this time counts as ended: it would not outlive what is looked up again.
    pub(super) leeway: Duration,
    /// The name asked about now: the last alias' target.
    pub(super) current: Name,
    /// What is answered so far.
    pub(super) chain: Vec<Link>,
    /// What shows that the wildcards behind the aliases were the nearest there is.
    pub(super) proofs: Vec<Link>,
    pub(super) aliases: u8,
    pub(super) cut: Option<Cut>,
    /// Labels of `current` that servers have been shown, the root not counted.
    pub(super) revealed: usize,
    /// Questions with a name cut short, so far.
    pub(super) minimised: u8,
    /// Of those, the ones that were not answered in time.
    pub(super) minimised_silent: u8,
    /// The whole name is shown from here on.
    pub(super) whole_name: bool,
    /// Queries under way.
    pub(super) in_flight: Vec<u64>,
    /// Upstream queries sent for it and for what it waits for.
    pub(super) sends: u16,
    /// Names of servers looked up for it and for what it waits for.
    pub(super) lookups: u8,
    pub(super) deadline: Instant,
    /// It waits to hear who the servers of a zone are.
    pub(super) priming: bool,
    /// The hints are used although the root could not be primed.
    pub(super) primed: bool,
    /// The cached delegation failed and its parent is asked again.
    pub(super) went_up: bool,
    /// Servers that gave nothing before it went up.
    pub(super) dead_ends: Vec<SocketAddr>,
    /// The forward or stub zones failed and are passed over.
    pub(super) iterate: bool,
    /// What went wrong last.
    pub(super) trouble: Option<(u16, String)>,
    /// The way so far, when somebody wants to know.
    pub(super) steps: Option<Vec<Step>>,
}

impl Job {
    pub(super) fn new(name: Name, kind: Type, key: u64, deadline: Instant) -> Self {
        Self {
            current: name.clone(),
            name,
            kind,
            key,
            waiters: Vec::new(),
            parents: Vec::new(),
            children: 0,
            depth: 0,
            refresh: false,
            leeway: Duration::ZERO,
            chain: Vec::new(),
            proofs: Vec::new(),
            aliases: 0,
            cut: None,
            revealed: 0,
            minimised: 0,
            minimised_silent: 0,
            whole_name: false,
            in_flight: Vec::new(),
            sends: 0,
            lookups: 0,
            deadline,
            priming: false,
            primed: false,
            went_up: false,
            dead_ends: Vec::new(),
            iterate: false,
            trouble: None,
            steps: None,
        }
    }

    /// Writes a step down, if anybody wants to read it.
    pub(super) fn note(&mut self, now: Instant, what: impl FnOnce() -> String) {
        let depth = self.depth;
        if let Some(steps) = self.steps.as_mut().filter(|steps| steps.len() < STEPS_MAX) {
            steps.push(Step { at: now, depth, what: what() });
        }
    }

    /// Adds to the answer so far; a DNAME that made two of its aliases stands there once.
    pub(super) fn lengthen(&mut self, links: Vec<Link>) {
        for link in links {
            let twice = |before: &Link| before.set.kind() == Type::DNAME && before.set == link.set;
            if !self.chain.iter().any(twice) {
                self.chain.push(link);
            }
        }
    }

    /// Another name is to be asked about: RFC 1034 §5.3.3 step 4c.
    pub(super) fn turn_to(&mut self, name: Name) {
        self.current = name;
        self.cut = None;
        self.went_up = false;
        self.refresh = false;
        self.start_over_minimising();
    }

    /// The next servers are shown as little as they must know.
    pub(super) const fn start_over_minimising(&mut self) {
        (self.revealed, self.minimised, self.minimised_silent, self.whole_name) = (0, 0, 0, false);
    }
}

/// Steps told of one answer at most.
pub(super) const STEPS_MAX: usize = 500;
