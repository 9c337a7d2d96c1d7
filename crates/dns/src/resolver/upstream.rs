//! Queries to servers: which server, what is sent, how long to wait, what came back.
//!
//! RFC 5452 (what makes an answer hard to forge), RFC 6298 (time-outs), RFC 6891 §7 (servers without
//! EDNS), RFC 7766 (TCP when an answer is cut), RFC 7873 (cookies).

use core::net::SocketAddr;

use doorway_base::Instant;

use super::Resolver;
use super::config::Upstream;
use super::event::{Output, QueryId, Send, SendFailure, Transport};
use super::iterate::Trouble;
use super::job::Origin;
use super::query::{self, MISMATCHES_MAX, Match, Opt, Sent};
use super::received::Received;
use super::timers::Timer;
use crate::wire::{Flags, Name, Rcode, Type};

/// Servers within this of the best are as good as it.
const AS_GOOD_MILLIS: u128 = 30;

/// What a server is asked.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) name: Name,
    pub(super) kind: Type,
    /// RD or none.
    pub(super) flags: u16,
    /// The name is cut short (RFC 9156).
    pub(super) minimised: bool,
}

/// Which server is next.
#[derive(Debug)]
pub(super) enum Choice {
    /// This one.
    Server(Upstream, bool),
    /// Those left have too much to do.
    Busy,
    /// None is left.
    None,
}

impl Resolver {
    /// Chooses among the servers of a job's cut: the fastest, or by chance one that is nearly as fast;
    /// now and then any, to learn of it.
    pub(super) fn choose(&mut self, now: Instant, id: u64) -> Choice {
        let Some(cut) = self.jobs.at(id).and_then(|job| job.cut.as_ref()) else { return Choice::None };
        let config = &self.config;
        let forward = matches!(cut.origin, Origin::Forward(_) | Origin::Stub(_));
        // For each: whether it is a last resort, how often it was silent, how fast it is.
        let mut ranked: Vec<(u8, u8, u128, usize)> = Vec::with_capacity(cut.targets.len());
        let mut busy = false;
        for (index, target) in cut.targets.iter().enumerate() {
            let address = target.upstream.address;
            let family = if address.is_ipv4() { config.ipv4 } else { config.ipv6 };
            let barred = !forward && config.do_not_query.iter().any(|net| net.contains(address.ip()));
            if target.done || !family || barred {
                continue;
            }
            let server = self.servers.at(address);
            if server.is_some_and(|server| server.in_flight >= config.in_flight_per_server) {
                busy = true;
                continue;
            }
            let lame = !forward && self.servers.is_lame(now, address, &cut.zone);
            let resort = if target.recurses || lame {
                2
            } else {
                u8::from(server.is_some_and(|server| server.is_silent(now)))
            };
            let expected = server.map_or(0, |server| server.expected().as_millis());
            ranked.push((resort, target.timeouts, expected, index));
        }
        let Some(&best) = ranked.iter().min() else {
            return if busy { Choice::Busy } else { Choice::None };
        };
        let explore = config.explore_one_in > 0 && self.random.below(u64::from(config.explore_one_in)) == 0;
        let good = |entry: &&(u8, u8, u128, usize)| {
            let near = explore || entry.2 <= best.2 + AS_GOOD_MILLIS;
            entry.0 == best.0 && entry.1 == best.1 && near
        };
        let count = ranked.iter().filter(good).count();
        let chosen = self.random.below(count as u64) as usize;
        let index = ranked.iter().filter(good).nth(chosen).map_or(best.3, |entry| entry.3);
        let target = &cut.targets[index];
        let lame = target.recurses || self.servers.is_lame(now, target.upstream.address, &cut.zone);
        Choice::Server(target.upstream.clone(), lame && !forward)
    }

    /// Sends a query for a job.
    pub(super) fn send(&mut self, now: Instant, id: u64, upstream: &Upstream, shown: &Shown) {
        let tcp = self.config.tcp_only && upstream.transport == Transport::Udp;
        let transport = if tcp { Transport::Tcp } else { upstream.transport.clone() };
        let edns = self.servers.at(upstream.address).is_none_or(|server| server.has_edns(now));
        self.send_over(now, id, upstream.address, transport, shown, edns);
    }

    fn send_over(
        &mut self,
        now: Instant,
        id: u64,
        to: SocketAddr,
        transport: Transport,
        shown: &Shown,
        edns: bool,
    ) {
        let Shown { name, kind, flags, minimised } = shown;
        let (kind, flags, minimised) = (*kind, *flags, *minimised);
        let datagram = transport == Transport::Udp;
        let client_cookie = self.servers.client_cookie(to);
        let query_id = if self.config.random_id { self.random.next_u64() as u16 } else { self.next_id() };
        let keeps_case = !self.config.random_case_except.iter().any(|except| name.is_within(except));
        let server = self.servers.at_mut(to);
        let random_case = self.config.random_case && keeps_case && datagram && !server.loses_case;
        let name = if random_case { query::with_random_case(name, &mut self.random) } else { name.clone() };
        let cookie = (self.config.cookies && edns).then_some(client_cookie);
        let opt = edns.then(|| Opt {
            octets: self.config.edns_octets,
            dnssec: self.config.dnssec,
            cookie: cookie.map(|ours| (ours, server.cookie.as_deref().unwrap_or_default())),
        });
        let octets = query::octets(query_id, flags, &name, kind, opt);
        let usual = server.srtt();
        let wait = if datagram { server.timeout(&self.config) } else { self.config.timeout_max };
        server.in_flight += 1;
        let until = now + wait;
        let sent = Sent {
            job: id,
            to,
            transport: transport.clone(),
            name,
            kind,
            id: query_id,
            flags,
            edns,
            cookie,
            random_case,
            mismatches: 0,
            case_mismatches: 0,
            cookie_refused: false,
            at: now,
            until,
            minimised,
        };
        let number = self.queries.insert(sent);
        self.timers.add(until, Timer::Query(number));
        if let Some(job) = self.jobs.at_mut(id) {
            job.in_flight.push(number);
        }
        self.note(now, id, || match usual {
            Some(srtt) => format!(
                "asks {to} over {transport} for {} {kind} (usually {:.2} ms)",
                shown.name,
                srtt.as_secs_f64() * 1e3
            ),
            None => format!("asks {to} over {transport} for {} {kind}", shown.name),
        });
        self.outputs.push_back(Output::Send(Send { query: QueryId(number), to, transport, octets }));
    }

    // Ids in order, for tests that show what random ones are good for.
    const fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    // Takes a query off the books; its socket has no more to do with it.
    fn close(&mut self, number: u64) -> Option<Sent> {
        let sent = self.queries.remove(number)?;
        let server = self.servers.at_mut(sent.to);
        server.in_flight = server.in_flight.saturating_sub(1);
        if let Some(job) = self.jobs.at_mut(sent.job) {
            job.in_flight.retain(|&other| other != number);
        }
        self.outputs.push_back(Output::Cancel(QueryId(number)));
        Some(sent)
    }

    /// Gives a query up.
    pub(super) fn cancel(&mut self, number: u64) {
        let _ = self.close(number);
    }

    // Sends the same question again to the same server in another way. The budget counts it.
    fn again(&mut self, now: Instant, sent: &Sent, transport: Transport, edns: bool) -> Option<u64> {
        if !self.charge(now, sent.job) {
            return None;
        }
        let name = sent.name.lowered();
        let shown = Shown { name, kind: sent.kind, flags: sent.flags, minimised: sent.minimised };
        self.send_over(now, sent.job, sent.to, transport, &shown, edns);
        self.jobs.at(sent.job).and_then(|job| job.in_flight.last().copied())
    }

    /// A message came to the socket of a query.
    pub(super) fn response(&mut self, now: Instant, number: u64, from: SocketAddr, octets: &[u8]) {
        let Some(sent) = self.queries.at_mut(number) else { return };
        let matched = if from == sent.to { query::compare(sent, octets) } else { Match::No };
        let received = match matched {
            // Names in the records may be pointers into the question; our random letter case is no
            // part of them.
            Match::Answer if sent.random_case => Received::read(&query::with_plain_case(octets)).ok(),
            Match::Answer => Received::read(octets).ok(),
            Match::OtherCase | Match::No => None,
        };
        // RFC 7873 §5.3: what does not show our cookie is not from a server that knows it.
        let forged = received.as_ref().is_some_and(|received| !self.cookie_fits(number, received));
        if matched != Match::Answer || forged {
            self.mismatch(now, number, matched == Match::OtherCase);
            return;
        }
        let Some(sent) = self.close(number) else { return };
        let Some(received) = received else {
            self.note(now, sent.job, || format!("{} sends what is no message", sent.to));
            // Servers that choke on OPT answer like this too.
            if sent.edns && octets.len() >= 12 && octets[3] & 0x0f != 0 {
                self.servers.at_mut(sent.to).lacks_edns(now);
                self.again(now, &sent, sent.transport.clone(), false);
                return;
            }
            return self.trouble(now, &sent, Trouble::Malformed);
        };
        let server = self.servers.at_mut(sent.to);
        server.answered(now - sent.at);
        if let Some(theirs) = received.cookie.as_ref().and_then(|cookie| cookie.get(8..)) {
            server.learn_cookie(theirs);
        }
        if sent.transport == Transport::Tcp && sent.case_mismatches > 0 {
            // It echoes names its own way, and this answer could not be forged.
            server.loses_case = true;
        }
        if received.flags.has(Flags::TC) && sent.transport == Transport::Udp {
            self.note(now, sent.job, || format!("{} cuts its answer short", sent.to));
            self.again(now, &sent, Transport::Tcp, sent.edns);
            return;
        }
        if received.flags.has(Flags::TC) {
            // RFC 2181 §9: what is missing is not known, and there is no way to ask for more.
            return self.trouble(now, &sent, Trouble::Malformed);
        }
        if received.rcode == Rcode::BADCOOKIE && sent.cookie.is_some() && sent.transport == Transport::Udp {
            // The answer brought the cookie to use; the second time only TCP shows who we are.
            let transport = if sent.cookie_refused { Transport::Tcp } else { Transport::Udp };
            let next = self.again(now, &sent, transport, true);
            if let Some(next) = next.and_then(|number| self.queries.at_mut(number)) {
                next.cookie_refused = true;
            }
            return;
        }
        let confused = matches!(received.rcode, Rcode::FORMERR | Rcode::NOTIMP) || received.rcode.0 >= 16;
        if confused && sent.edns {
            self.note(now, sent.job, || format!("{} has no EDNS: {}", sent.to, received.rcode));
            self.servers.at_mut(sent.to).lacks_edns(now);
            self.again(now, &sent, sent.transport.clone(), false);
            return;
        }
        self.judge(now, &sent, &received);
    }

    fn cookie_fits(&self, number: u64, received: &Received) -> bool {
        let Some(sent) = self.queries.at(number) else { return false };
        let Some(ours) = sent.cookie.filter(|_| sent.transport == Transport::Udp) else { return true };
        match &received.cookie {
            Some(cookie) => cookie.starts_with(&ours),
            None => !self.servers.at(sent.to).is_some_and(|server| server.sends_cookies),
        }
    }

    // Something else than the answer came: a guess at it, or a broken server. RFC 5452 §9.2.
    fn mismatch(&mut self, now: Instant, number: u64, case: bool) {
        let Some(sent) = self.queries.at_mut(number) else { return };
        sent.mismatches = sent.mismatches.saturating_add(1);
        sent.case_mismatches += u8::from(case);
        if sent.mismatches < MISMATCHES_MAX && sent.transport == Transport::Udp {
            return;
        }
        let Some(sent) = self.close(number) else { return };
        if sent.transport != Transport::Udp {
            return self.trouble(now, &sent, Trouble::Malformed);
        }
        self.note(now, sent.job, || format!("messages that are not from {} came for it", sent.to));
        let next = self.again(now, &sent, Transport::Tcp, sent.edns);
        if let Some(next) = next.and_then(|number| self.queries.at_mut(number)) {
            next.case_mismatches = sent.case_mismatches;
        }
    }

    /// A query did not go out, or its connection failed.
    pub(super) fn failure(&mut self, now: Instant, number: u64, why: SendFailure) {
        let Some(sent) = self.close(number) else { return };
        let silent = why == SendFailure::TimedOut;
        if why != SendFailure::Local {
            let server = self.servers.at_mut(sent.to);
            server.timed_out(now, &self.config);
        }
        self.note(now, sent.job, || format!("{} over {}: {why}", sent.to, sent.transport));
        self.trouble(now, &sent, if silent { Trouble::Silent } else { Trouble::Failed(why) });
    }

    /// The time for a query is over.
    pub(super) fn timed_out(&mut self, now: Instant, number: u64) {
        if self.queries.at(number).is_some_and(|sent| sent.until <= now) {
            self.failure(now, number, SendFailure::TimedOut);
        }
    }
}
