//! A resolver that hears anything at all, in any order: the property behind the fuzz target.
//!
//! Octets are taken as a list of happenings: questions, answers of any content, time-outs, failures,
//! clients that go away. Whatever they are, nothing panics, no more is sent than the budgets allow, and
//! everything comes to an end.

use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::{Instant, Random, Reader};

use crate::authority::Published;
use crate::cache::{Cache, Limits};
use crate::resolver::{Ask, Config, Input, Output, Resolver, Send, SendFailure};
use crate::wire::{Class, Name, Question, Type};
use crate::zone::{HashKey, Zones};

/// Questions of one run at most.
const QUESTIONS_MAX: usize = 16;
/// Queries that may be open for happenings to choose from.
const OPEN_MAX: usize = 64;

struct Run {
    resolver: Resolver,
    now: Instant,
    open: Vec<Send>,
    sent: usize,
    asked: usize,
    answered: usize,
}

impl Run {
    fn handle(&mut self, input: Input<'_>) {
        self.resolver.handle(self.now, input);
        while let Some(output) = self.resolver.poll_output() {
            match output {
                Output::Send(send) => {
                    self.sent += 1;
                    if self.open.len() < OPEN_MAX {
                        self.open.push(send);
                    }
                }
                Output::Cancel(query) => self.open.retain(|send| send.query != query),
                Output::Answer(_) => self.answered += 1,
            }
        }
    }
}

/// Plays happenings made of `octets`.
///
/// # Panics
/// When the resolver breaks its word: that is what callers look for.
pub fn arbitrary(octets: &[u8]) {
    let names = ["a.example.", "b.a.example.", "c.test-zone.", "."];
    let names: Vec<Name> = names.iter().filter_map(|text| text.parse().ok()).collect();
    let kinds = [Type::A, Type::NS, Type::MX, Type::ANY, Type::DS, Type::CNAME];
    let config = Config { prime_root: octets.len().is_multiple_of(2), ..Config::default() };
    let (queries_max, wall) = (usize::from(config.upstream_queries_max), config.wall);
    let mut random = Random::new(1);
    let cache = Arc::new(Cache::new(Limits { octets_max: 1 << 20, ..Limits::default() }, &mut random));
    let Ok(zones) = Zones::new(HashKey::new(&mut random), Vec::new()) else { return };
    let mut run = Run {
        resolver: Resolver::new(Arc::new(config), cache, Published::new(zones), random),
        now: Instant::ZERO + Duration::from_secs(1),
        open: Vec::new(),
        sent: 0,
        asked: 0,
        answered: 0,
    };
    let mut reader = Reader::new(octets);
    while let Ok(happening) = reader.u8("a happening") {
        let choice = reader.u8("a choice").unwrap_or_default();
        let open = run.open.get(usize::from(choice) % run.open.len().max(1)).cloned();
        match (happening % 8, open) {
            (0, _) | (_, None) if run.asked < QUESTIONS_MAX => {
                let name = names[usize::from(choice) % names.len()].clone();
                let kind = kinds[usize::from(choice >> 3) % kinds.len()];
                let mut ask = Ask::new(run.asked as u64, Question { name, kind, class: Class::IN });
                (ask.refresh, ask.explain) = (choice & 64 != 0, choice & 128 != 0);
                run.asked += 1;
                run.handle(Input::Ask(ask));
            }
            (1, Some(send)) => {
                run.open.retain(|open| open.query != send.query);
                run.handle(Input::Failure { query: send.query, why: SendFailure::Refused });
            }
            (2, _) => {
                run.now = run.now + Duration::from_millis(u64::from(choice) * 10);
                run.handle(Input::Timeout);
            }
            (happening, Some(send)) => {
                let length = usize::from(reader.u8("a length").unwrap_or_default());
                let rest = reader.take(length.min(reader.remaining()), "an answer").unwrap_or_default();
                let answer = answer(&send, happening, rest);
                let from: SocketAddr = send.to;
                run.handle(Input::Response { query: send.query, from, octets: &answer });
                if !run.resolver.expects(send.query) {
                    run.open.retain(|open| open.query != send.query);
                }
            }
            _ => run.handle(Input::Cancel { token: u64::from(choice) }),
        }
    }
    // Everybody falls silent: each question ends within its wall.
    let end = run.now + wall;
    while let Some(at) = run.resolver.next_timeout() {
        assert!(at <= end, "something is waited for beyond the wall");
        run.now = run.now.max(at);
        run.handle(Input::Timeout);
    }
    let load = run.resolver.load();
    assert_eq!((load.jobs, load.queries), (0, 0), "nothing is left");
    assert!(run.answered <= run.asked, "nobody is answered twice");
    assert!(run.sent <= (run.asked + 1) * (queries_max + 1) * 2, "{} queries sent", run.sent);
}

// An answer to `send`: any octets, or such that its head fits and what follows is any octets.
fn answer(send: &Send, happening: u8, rest: &[u8]) -> Vec<u8> {
    let Some((head, question)) = send.octets.split_first_chunk::<12>() else { return rest.to_vec() };
    if happening == 3 {
        return rest.to_vec();
    }
    let question_octets = question.iter().position(|&octet| octet == 0).map_or(0, |end| end + 5);
    let mut octets = head.to_vec();
    let (counts, rest) = rest.split_at_checked(4).unwrap_or((&[0x84, 0, 1, 0], rest));
    octets[2] = counts[0] | 0x80;
    octets[3] = counts[1];
    octets[6..12].copy_from_slice(&[0, counts[2] & 7, 0, counts[3] & 7, 0, counts[2] >> 5]);
    octets.extend_from_slice(question.get(..question_octets).unwrap_or_default());
    octets.extend_from_slice(rest);
    octets
}
