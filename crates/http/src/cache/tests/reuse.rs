//! What a request gets, with something stored.

use super::*;
use crate::cache::Forward;
use crate::cache::stale::if_error;

/// The verdict in a word or two.
fn shown(verdict: Verdict) -> String {
    match verdict {
        Verdict::Hit { variant, age, ttl_seconds } => {
            format!("hit {variant} {} {ttl_seconds}", age.as_secs())
        }
        Verdict::Stale { variant, ttl_seconds, revalidate, .. } => {
            format!("stale {variant} {ttl_seconds}{}", if revalidate { " and validate" } else { "" })
        }
        Verdict::Validate { variant, forward } => format!("validate {variant} {}", forward.token()),
        Verdict::Miss(forward) => format!("miss {}", forward.token()),
        Verdict::Bypass(forward) => format!("bypass {}", forward.token()),
        Verdict::GatewayTimeout => "504".to_owned(),
    }
}

#[track_caller]
fn check(variants: &[&str], ask: &str, seconds: u64, expected: &str) {
    check_with(variants, ask, seconds, &Policy::default(), expected);
}

#[track_caller]
fn check_with(variants: &[&str], ask: &str, seconds: u64, policy: &Policy, expected: &str) {
    // A variant that is for some requests begins with what the one for it had.
    let store = |text: &&str| match text.split_once(" => ") {
        Some((ask, response)) => store_with(ask, response, policy),
        None => store_with("GET", text, policy),
    };
    let variants: Vec<_> = variants.iter().map(|text| store(text).unwrap()).collect();
    assert_eq!(shown(judge(&variants, ask, seconds, policy)), expected, "{ask} after {seconds} s");
}

const TEN: &str = "200|Cache-Control: max-age=10|ETag: \"a\"";

#[test]
fn what_is_fresh_answers_get_and_head() {
    check(&[TEN], "GET", 0, "hit 0 0 10");
    check(&[TEN], "GET", 9, "hit 0 9 1");
    check(&[TEN], "HEAD", 9, "hit 0 9 1");
    check(&[TEN], "GET", 10, "validate 0 stale");
    check(&[], "GET", 0, "miss uri-miss");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"] {
        check(&[TEN], method, 0, "bypass method");
    }
}

#[test]
fn a_response_that_must_be_validated_is_never_used_at_once() {
    let no_cache = "200|Cache-Control: max-age=10, no-cache|ETag: \"a\"";
    check(&[no_cache], "GET", 0, "validate 0 stale");
    check_with(&[no_cache], "GET|Cache-Control: max-stale", 0, &Policy::forward(), "validate 0 stale");
    let some = "200|Cache-Control: max-age=10, no-cache=\"x\"|ETag: \"a\"";
    check(&[some], "GET", 0, "hit 0 0 10");
}

#[test]
fn conditions_that_only_an_origin_can_judge_go_to_the_origin() {
    check(&[TEN], "GET|If-Match: \"a\"", 0, "bypass request");
    check(&[TEN], "GET|If-Unmodified-Since: -5", 0, "bypass request");
    check(&[TEN], "GET|If-Match: \"a\"", 10, "bypass stale");
    check(&[], "GET|If-Match: \"a\"", 0, "bypass uri-miss");
    check(&[TEN], "GET|If-Match: \"a\"|Cache-Control: only-if-cached", 0, "504");
    check(&[TEN], "GET|If-None-Match: \"a\"", 0, "hit 0 0 10");
}

#[test]
fn the_variant_that_the_request_selects_is_used_and_of_several_the_most_recent() {
    let one = "GET|Foo: 1 => 200|Cache-Control: max-age=10|Vary: Foo|Date: -5|ETag: \"1\"";
    let two = "GET|Foo: 2 => 200|Cache-Control: max-age=10|Vary: Foo|ETag: \"2\"";
    let newer = "GET|Bar: 1 => 200|Cache-Control: max-age=10|Vary: Bar|ETag: \"3\"";
    check(&[one, two], "GET|Foo: 2", 1, "hit 1 1 9");
    check(&[one, two], "GET|Foo: 1", 1, "hit 0 6 4");
    check(&[one, two], "GET|Foo: 3", 1, "miss vary-miss");
    check(&[one, two], "GET", 1, "miss vary-miss");
    check(&[one, newer], "GET|Foo: 1|Bar: 1", 1, "hit 1 1 9");
    check(&[newer, one], "GET|Foo: 1|Bar: 1", 1, "hit 0 1 9");
    // One that forgot to say what it varies by.
    check(&[one, TEN], "GET|Foo: 1", 1, "hit 0 6 4");
    check(&[one, TEN], "GET|Foo: 2", 1, "hit 1 1 9");
}

#[test]
fn a_client_that_wants_only_what_is_stored_gets_it_or_504() {
    let only = "GET|Cache-Control: only-if-cached";
    check(&[TEN], only, 0, "hit 0 0 10");
    check(&[TEN], only, 10, "504");
    check(&[], only, 0, "504");
    let lasting = "200|Cache-Control: max-age=10, stale-while-revalidate=10";
    check(&[lasting], only, 15, "stale 0 -5 and validate");
}

#[test]
fn clients_are_obeyed_where_the_policy_says_so() {
    let forward = &Policy::forward();
    let check_both = |ask: &str, seconds, obeyed: &str, otherwise: &str| {
        check_with(&[TEN], ask, seconds, forward, obeyed);
        check(&[TEN], ask, seconds, otherwise);
    };
    check_both("GET|Cache-Control: no-cache", 0, "validate 0 request", "hit 0 0 10");
    check_both("GET|Pragma: no-cache", 0, "validate 0 request", "hit 0 0 10");
    check_both("GET|Cache-Control: max-age=0", 0, "validate 0 request", "hit 0 0 10");
    check_both("GET|Cache-Control: max-age=5", 5, "hit 0 5 5", "hit 0 5 5");
    check_both("GET|Cache-Control: max-age=5", 6, "validate 0 request", "hit 0 6 4");
    check_both("GET|Cache-Control: min-fresh=4", 6, "hit 0 6 4", "hit 0 6 4");
    check_both("GET|Cache-Control: min-fresh=5", 6, "validate 0 request", "hit 0 6 4");
    check_both("GET|Cache-Control: max-stale", 60, "stale 0 -50", "validate 0 stale");
    check_both("GET|Cache-Control: max-stale=50", 60, "stale 0 -50", "validate 0 stale");
    check_both("GET|Cache-Control: max-stale=49", 60, "validate 0 stale", "validate 0 stale");
    check_both("GET|Cache-Control: max-stale=50, min-fresh=5", 60, "validate 0 stale", "validate 0 stale");
    check_both("GET|Cache-Control: no-store", 0, "hit 0 0 10", "hit 0 0 10");
}

#[test]
fn a_reload_of_what_does_not_change_needs_no_asking() {
    let immutable = &["200|Cache-Control: max-age=10, immutable"];
    let forward = &Policy::forward();
    check_with(immutable, "GET|Cache-Control: max-age=0", 5, forward, "hit 0 5 5");
    check_with(immutable, "GET|Cache-Control: max-age=0", 10, forward, "validate 0 stale");
    check_with(immutable, "GET|Cache-Control: no-cache", 5, forward, "validate 0 request");
}

#[test]
fn what_is_stale_is_used_while_it_is_validated_if_the_origin_allows() {
    let lasting = "200|Cache-Control: max-age=10, stale-while-revalidate=5";
    check(&[lasting], "GET", 9, "hit 0 9 1");
    check(&[lasting], "GET", 10, "stale 0 0 and validate");
    check(&[lasting], "GET", 14, "stale 0 -4 and validate");
    check(&[lasting], "GET", 15, "validate 0 stale");
    check_with(&[lasting], "GET|Cache-Control: max-age=99", 12, &Policy::forward(), "validate 0 stale");
    let grace = &Policy { grace: Duration::from_secs(5), ..Policy::default() };
    check_with(&[TEN], "GET", 10, grace, "validate 0 stale");
}

#[test]
fn nobody_can_allow_what_the_origin_forbids() {
    let generous = &Policy { grace: Duration::from_secs(99), ..Policy::forward() };
    for directive in ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"] {
        let response =
            format!("200|ETag: \"a\"|Cache-Control: max-age=10, stale-while-revalidate=99, {directive}");
        for ask in ["GET", "GET|Cache-Control: max-stale", "GET|Cache-Control: stale-if-error=99"] {
            check_with(&[&response], ask, 11, generous, "validate 0 stale");
            let stored = stored(&response);
            assert!(!if_error(&stored, &request(ask).0, moment(11).now, generous), "{directive} {ask}");
        }
    }
}

#[test]
fn when_the_origin_fails_stale_content_answers_for_as_long_as_was_allowed() {
    let check = |response: &str, ask: &str, seconds, policy: &Policy, expected| {
        let allowed = if_error(&stored(response), &request(ask).0, moment(seconds).now, policy);
        assert_eq!(allowed, expected, "{response} {ask} after {seconds} s");
    };
    let lasting = "200|Cache-Control: max-age=10, stale-if-error=5";
    let (reverse, forward) = (&Policy::default(), &Policy::forward());
    check(lasting, "GET", 9, reverse, true);
    check(lasting, "GET", 14, reverse, true);
    check(lasting, "GET", 15, reverse, false);
    check(TEN, "GET", 11, reverse, false);
    check(TEN, "GET|Cache-Control: stale-if-error=5", 14, forward, true);
    check(TEN, "GET|Cache-Control: stale-if-error=5", 14, reverse, false);
    check(TEN, "GET", 14, &Policy { grace: Duration::from_secs(5), ..Policy::default() }, true);
}

#[test]
fn what_a_purge_marked_is_stale_however_young_it_is() {
    let stored = stored("200|Cache-Control: max-age=10, stale-while-revalidate=5");
    let (ask, fields) = request("GET");
    let candidates = [Candidate { stored: &stored, marked_stale: true }];
    let verdict = decide(&ask, &fields, candidates.into_iter(), moment(2).now, &Policy::default());
    assert_eq!(shown(verdict), "stale 0 0 and validate");
    let stored = super::stored(TEN);
    let candidates = [Candidate { stored: &stored, marked_stale: true }];
    let verdict = decide(&ask, &fields, candidates.into_iter(), moment(2).now, &Policy::default());
    assert_eq!(verdict, Verdict::Validate { variant: 0, forward: Forward::Stale });
}
