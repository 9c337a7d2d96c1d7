//! The engine beside two others: one written down from the standard without regard to cost, and
//! `http-cache-semantics`, which other people wrote.
//!
//! That one is left out where it does otherwise on purpose or by mistake: it takes no look at Date for the age,
//! knows neither `must-understand` nor targeted fields, takes `private="x"` for `private`, gives responses with
//! `proxy-revalidate` no lifetime and `immutable` ones without a lifetime a day, lets `max-stale` overrule
//! `s-maxage`, stores no status that it has not heard of, and answers HEAD only from HEAD.

use std::time::SystemTime;

use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use proptest::prelude::*;

use super::*;
use crate::cache::stale::if_error;

/// Responses and requests in the few respects that decide.
#[derive(Debug, Clone)]
struct Facts {
    status: u16,
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    expires: Option<i64>,
    modified_ago: Option<u64>,
    date_ago: u64,
    age: u64,
    flags: [bool; 7],
    stale_while_revalidate: u64,
    stale_if_error: u64,
    authorized: bool,
    later: u64,
    ask_max_age: Option<u64>,
    ask_min_fresh: Option<u64>,
    ask_max_stale: Option<u64>,
    ask_no_cache: bool,
}

const FLAGS: [&str; 7] =
    ["no-store", "private", "public", "no-cache", "must-revalidate", "proxy-revalidate", "immutable"];

impl Facts {
    fn has(&self, flag: &str) -> bool {
        FLAGS.iter().zip(self.flags).any(|(name, set)| *name == flag && set)
    }

    fn response(&self) -> String {
        let mut text = format!("{}|Date: -{}|Age: {}", self.status, self.date_ago, self.age);
        let mut add = |line: String| text.push_str(&format!("|{line}"));
        for (flag, _) in FLAGS.iter().zip(self.flags).filter(|(_, set)| *set) {
            add(format!("Cache-Control: {flag}"));
        }
        let seconds = [("max-age", self.max_age), ("s-maxage", self.s_maxage)];
        for (name, seconds) in seconds.iter().filter_map(|(name, seconds)| Some((name, (*seconds)?))) {
            add(format!("Cache-Control: {name}={seconds}"));
        }
        for (name, seconds) in
            [("stale-while-revalidate", self.stale_while_revalidate), ("stale-if-error", self.stale_if_error)]
        {
            add(format!("Cache-Control: {name}={seconds}"));
        }
        if let Some(expires) = self.expires {
            add(format!("Expires: {expires:+}"));
        }
        if let Some(ago) = self.modified_ago {
            add(format!("Last-Modified: -{ago}"));
        }
        text
    }

    fn ask(&self) -> String {
        let mut text = String::from("GET");
        let mut add = |line: String| text.push_str(&format!("|Cache-Control: {line}"));
        for (name, seconds) in [
            ("max-age", self.ask_max_age),
            ("min-fresh", self.ask_min_fresh),
            ("max-stale", self.ask_max_stale),
        ] {
            if let Some(seconds) = seconds {
                add(format!("{name}={seconds}"));
            }
        }
        if self.ask_no_cache {
            add("no-cache".to_owned());
        }
        text
    }

    fn storing_ask(&self) -> &'static str {
        if self.authorized { "GET|Authorization: x" } else { "GET" }
    }

    /// RFC 9111 §4.2.1 and §4.2.2, in seconds.
    fn lifetime(&self, percent: u64) -> u64 {
        let guessed = || {
            let may = self.has("public")
                || [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501].contains(&self.status);
            let unchanged = self.modified_ago.unwrap_or(0).saturating_sub(self.date_ago);
            if may { (unchanged * percent / 100).min(24 * 3600) } else { 0 }
        };
        let from_date = |expires: i64| (expires + self.date_ago as i64).max(0) as u64;
        self.s_maxage.or(self.max_age).or(self.expires.map(from_date)).unwrap_or_else(guessed)
    }

    /// RFC 9111 §4.2.3, in seconds.
    fn age(&self) -> u64 {
        self.age.max(self.date_ago) + self.later
    }

    fn never_stale(&self) -> bool {
        ["must-revalidate", "proxy-revalidate", "no-cache"].iter().any(|flag| self.has(flag))
            || self.s_maxage.is_some()
    }

    /// RFC 9111 §3 for a shared cache, without our own additions.
    fn may_be_stored(&self) -> bool {
        let leave = self.has("public") || self.has("must-revalidate") || self.s_maxage.is_some();
        let known = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501].contains(&self.status);
        let lifetime = self.max_age.is_some() || self.s_maxage.is_some() || self.expires.is_some();
        !self.has("no-store")
            && !self.has("private")
            && (!self.authorized || leave)
            && (known || lifetime || self.has("public"))
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    let seconds = || prop::option::of(0u64..40);
    let response = (
        prop::sample::select(vec![200u16, 203, 302, 404, 500]),
        seconds(),
        seconds(),
        prop::option::of(-20i64..40),
        prop::option::of(0u64..400),
        0u64..20,
        0u64..20,
        prop::array::uniform7(prop::bool::weighted(0.15)),
        (0u64..20, 0u64..20),
    );
    let ask =
        (prop::bool::weighted(0.2), 0u64..60, seconds(), seconds(), seconds(), prop::bool::weighted(0.1));
    (response, ask).prop_map(
        |(
            (status, max_age, s_maxage, expires, modified_ago, date_ago, age, flags, (swr, sie)),
            (authorized, later, ask_max_age, ask_min_fresh, ask_max_stale, ask_no_cache),
        )| Facts {
            status,
            max_age,
            s_maxage,
            expires,
            modified_ago,
            date_ago,
            age,
            flags,
            stale_while_revalidate: swr,
            stale_if_error: sie,
            authorized,
            later,
            ask_max_age,
            ask_min_fresh,
            ask_max_stale,
            ask_no_cache,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_engine_says_what_the_standard_says_when_read_word_by_word(facts in facts(), obeys in any::<bool>()) {
        let policy =
            Policy { obeys_clients: obeys, heuristic_permille: 100, ..Policy::default() };
        let stored = match store_with(facts.storing_ask(), &facts.response(), &policy) {
            Ok(stored) => {
                prop_assert!(facts.may_be_stored(), "{}", facts.response());
                stored
            }
            Err(NotStored::Lifetime) => return Ok(()),
            Err(why) => {
                prop_assert!(!facts.may_be_stored(), "{} {:?}", facts.response(), why);
                return Ok(());
            }
        };
        let (lifetime, age) = (facts.lifetime(10), facts.age());
        prop_assert_eq!(stored.age(moment(facts.later).now), Duration::from_secs(age));
        let fresh = lifetime > age;
        let overdue = age.saturating_sub(lifetime);
        let may_be_stale = !facts.never_stale();
        let expected = {
            let old = facts.ask_max_age.is_some_and(|most| most == 0 || age > most)
                && !(facts.has("immutable") && fresh);
            let soon = facts.ask_min_fresh.is_some_and(|least| lifetime.saturating_sub(age) < least);
            let lenient = facts.ask_max_stale.is_some_and(|most| overdue <= most);
            if (obeys && (facts.ask_no_cache || old || soon)) || facts.has("no-cache") {
                "validate"
            } else if fresh {
                "hit"
            } else if may_be_stale && obeys && lenient {
                "stale"
            } else if may_be_stale
                && overdue < facts.stale_while_revalidate
                && !(obeys && facts.ask_max_age.is_some())
            {
                "stale and validate"
            } else {
                "validate"
            }
        };
        let found = match judge(std::slice::from_ref(&stored), &facts.ask(), facts.later, &policy) {
            Verdict::Hit { .. } => "hit",
            Verdict::Stale { revalidate: false, .. } => "stale",
            Verdict::Stale { revalidate: true, .. } => "stale and validate",
            Verdict::Validate { .. } => "validate",
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(found, expected, "{} {}", facts.response(), facts.ask());
        let error = may_be_stale && (fresh || overdue < facts.stale_if_error);
        let (ask, _) = request(&facts.ask());
        prop_assert_eq!(if_error(&stored, &ask, moment(facts.later).now, &policy), error);
    }

    #[test]
    fn another_implementation_comes_to_the_same_end(facts in facts()) {
        // See above for what is left out.
        let mut facts = facts;
        facts.date_ago = 0;
        (facts.stale_while_revalidate, facts.stale_if_error) = (0, 0);
        for (flag, set) in FLAGS.iter().zip(&mut facts.flags) {
            *set &= !["proxy-revalidate", "immutable"].contains(flag);
        }
        facts.ask_max_stale = None;
        facts.ask_max_age = facts.ask_max_age.filter(|&seconds| seconds > 0);
        if facts.status == 500 {
            facts.status = 200;
        }
        let policy = Policy::forward();
        let stored = store_with(facts.storing_ask(), &facts.response(), &policy);
        let used = stored.is_ok_and(|stored| {
            matches!(judge(&[stored], &facts.ask(), facts.later, &policy), Verdict::Hit { .. })
        });

        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(WALL.as_secs() + seconds);
        let asked = |text: &str| {
            let mut asked = http::Request::get("http://a/");
            for (name, value) in head(text).1.iter() {
                asked = asked.header(name, value);
            }
            asked.body(()).unwrap()
        };
        let mut response = http::Response::builder().status(facts.status);
        for (name, value) in head(&facts.response()).1.iter() {
            response = response.header(name, value);
        }
        let options = CacheOptions::default();
        let oracle = CachePolicy::new_options(
            &asked(facts.storing_ask()), &response.body(()).unwrap(), at(0), options,
        );
        let fresh = matches!(oracle.before_request(&asked(&facts.ask()), at(facts.later)), BeforeRequest::Fresh(_));
        prop_assert_eq!(used, oracle.is_storable() && fresh, "{} {}", facts.response(), facts.ask());
    }

    #[test]
    fn ages_never_shrink_and_what_was_stale_stays_so(facts in facts(), more in 0u64..100) {
        if let Ok(stored) = store_with(facts.storing_ask(), &facts.response(), &Policy::default()) {
            let (sooner, later) = (moment(facts.later), moment(facts.later + more));
            prop_assert!(stored.age(sooner.now) <= stored.age(later.now));
            let fresh = |at: Moment| stored.freshness(at.now, &Policy::default()).is_fresh();
            prop_assert!(fresh(sooner) || !fresh(later));
            // Carried over to other clocks it is as old as before.
            let other = Moment { now: Instant::ZERO, wall: later.wall };
            prop_assert_eq!(stored.clone().carried_over(other).age(other.now), stored.age(later.now));
        }
    }

    #[test]
    fn no_fields_make_the_engine_panic(
        response in prop::collection::vec(("(Cache-Control|Vary|Age|Date|Expires|Last-Modified|ETag|Connection|CDN-Cache-Control|Set-Cookie)", "[ -~]{0,20}"), 0..6),
        ask in prop::collection::vec(("(Cache-Control|Pragma|Range|If-None-Match|If-Modified-Since|If-Range|Accept-Encoding)", "[ -~]{0,20}"), 0..6),
        status in 100u16..600,
        later in any::<u64>(),
    ) {
        let fields = |lines: &[(String, String)]| {
            let mut fields = Fields::new();
            lines.iter().for_each(|(name, value)| fields.add(name.as_str(), value.as_str()));
            fields
        };
        let (response, ask_fields) = (fields(&response), fields(&ask));
        let ask = Request::read(Method::Get, &ask_fields);
        let (requested, received) = (moment(0), moment(0));
        let head = Received { status, fields: &response, requested, received };
        if let Ok(stored) = store(&ask, &ask_fields, &head, &Policy::forward()) {
            let candidate = Candidate { stored: &stored, marked_stale: false };
            let now = Instant::from_nanos(later);
            let verdict = decide(&ask, &ask_fields, [candidate].into_iter(), now, &Policy::forward());
            prop_assert!(!matches!(verdict, Verdict::Bypass(_)));
            let _ = crate::cache::selection::select(&stored, Some(5), &ask, &ask_fields, WALL);
            let _ = crate::cache::validation::freshen(&stored, &ask, &ask_fields, &head, &Policy::default());
        }
    }
}
