//! Validation, what its answers change, and what answers conditions and ranges.

use super::*;
use crate::cache::selection::{fields_of_not_modified, select};
use crate::cache::validation::{
    Freshened, conditions, freshen, is_about, is_same_representation, unconditional,
};
use crate::representation::Selected;

fn lines(fields: &Fields) -> Vec<String> {
    fields.texts().map(|(name, value)| format!("{name}: {value}")).collect()
}

/// What is stored after a 304 that came 20 seconds later.
fn freshened(response: &str, ask: &str, answer: &str) -> Freshened {
    let (ask, ask_fields) = request(ask);
    let (status, fields) = head(answer);
    let (requested, received) = (moment(20), moment(20));
    let answer = Received { status: status.parse().unwrap(), fields: &fields, requested, received };
    freshen(&stored(response), &ask, &ask_fields, &answer, &Policy::default())
}

#[test]
fn validation_names_every_validator_that_is_stored() {
    let check = |response: &str, expected: &[&str]| {
        let stored = stored(response);
        let text = |value| str::from_utf8(value).unwrap();
        let found: Vec<_> =
            conditions(&stored).map(|(name, value)| format!("{name}: {}", text(value))).collect();
        assert_eq!(found, expected, "{response}");
    };
    check("200|ETag: W/\"a\"", &["If-None-Match: W/\"a\""]);
    check(
        "200|ETag: \"a\"|Last-Modified: -5",
        &["If-None-Match: \"a\"", "If-Modified-Since: Sun, 22 Nov 2026 17:40:00 GMT"],
    );
    check("200|Cache-Control: max-age=9|Last-Modified: yesterday", &[]);
    check("200|Cache-Control: max-age=9", &[]);
}

#[test]
fn a_request_of_the_caches_own_has_no_conditions_of_the_client() {
    let (_, fields) = request(
        "GET|A: 1|If-Match: \"a\"|If-None-Match: \"b\"|if-modified-since: -5|If-Unmodified-Since: -5|\
         If-Range: \"a\"|RANGE: bytes=0-1|B: 2",
    );
    assert_eq!(lines(&unconditional(&fields)), ["A: 1", "B: 2"]);
}

#[test]
fn a_304_is_about_what_has_its_validators() {
    let check = |response: &str, answer: &str, expected| {
        let (_, answer_fields) = head(answer);
        assert_eq!(is_about(&answer_fields, &stored(response)), expected, "{response} {answer}");
    };
    let tagged = "200|ETag: \"a\"|Last-Modified: -5";
    check(tagged, "304|ETag: \"a\"", true);
    check(tagged, "304|ETag: \"b\"", false);
    check(tagged, "304|ETag: W/\"a\"", true);
    check(tagged, "304|ETag: W/\"b\"", false);
    check("200|ETag: W/\"a\"", "304|ETag: \"a\"", false);
    check(tagged, "304|Last-Modified: -5", true);
    check(tagged, "304|Last-Modified: -4", false);
    check("200|Last-Modified: -5", "304|ETag: \"a\"", false);
    check(tagged, "304", true);
    check("200|Cache-Control: max-age=9", "304", true);
}

#[test]
fn a_304_replaces_the_fields_it_has_and_makes_the_response_young_again() {
    let before = "200|Cache-Control: max-age=10|ETag: \"a\"|X: 1|X: 2|Y: 3|Content-Type: text/a|\
                  Content-Encoding: gzip|Content-Range: none|Age: 7";
    let answer = "304|x: 4|Cache-Control: max-age=30|Content-Type: text/b|Content-Encoding: br|Content-Range: r|\
                  Content-Length: 7|Connection: Hop|Hop: 1|Proxy-Authenticate: Basic|Z: 5|Date: +18|Age: 1";
    let Freshened { stored, not_stored } = freshened(before, "GET", answer);
    assert_eq!(not_stored, None);
    let expected = [
        "ETag: \"a\"",
        "Y: 3",
        "Content-Encoding: gzip",
        "Content-Range: none",
        "x: 4",
        "Cache-Control: max-age=30",
        "Content-Type: text/b",
        "Z: 5",
        "Date: Sun, 22 Nov 2026 17:40:23 GMT",
    ];
    assert_eq!(lines(&stored.fields), expected);
    assert_eq!(stored.age(moment(20).now), Duration::from_secs(2));
    assert_eq!(stored.terms.lifetime(&Policy::default()), Duration::from_secs(30));
}

#[test]
fn a_304_without_a_date_dates_the_response_anew() {
    let Freshened { stored, .. } = freshened("200|Cache-Control: max-age=10|ETag: \"a\"", "GET", "304");
    assert_eq!(stored.fields.first("date"), Some("Sun, 22 Nov 2026 17:40:25 GMT"));
    assert_eq!(stored.age(moment(20).now), Duration::ZERO);
}

#[test]
fn a_304_can_forbid_what_the_response_allowed() {
    let before = "200|Cache-Control: max-age=10|ETag: \"a\"";
    let check = |ask: &str, answer: &str, expected| {
        assert_eq!(freshened(before, ask, answer).not_stored, expected, "{ask} {answer}");
    };
    check("GET", "304|Cache-Control: no-store", Some(NotStored::NoStore));
    check("GET", "304|Cache-Control: private, max-age=9", Some(NotStored::Private));
    check("GET", "304|Vary: *", Some(NotStored::Vary));
    check("GET", "304|Set-Cookie: a=b", Some(NotStored::SetCookie));
    check("GET|Authorization: x", "304", Some(NotStored::Authorization));
    check("GET|Cache-Control: no-store", "304", Some(NotStored::RequestNoStore));
    check("HEAD", "200|ETag: \"a\"", None);
    assert!(NotStored::Authorization.is_for_request() && !NotStored::Private.is_for_request());
}

#[test]
fn the_answer_to_a_head_is_about_the_same_representation_if_nothing_it_names_differs() {
    let stored = stored("200|ETag: \"a\"|Last-Modified: -5");
    let check = |answer: &str, expected| {
        let (_, fields) = head(answer);
        assert_eq!(is_same_representation(&fields, &stored), expected, "{answer}");
    };
    check("200", true);
    check("200|ETag: \"a\"|Last-Modified: -5", true);
    check("200|ETag: \"b\"", false);
    check("200|Last-Modified: -4", false);
}

#[test]
fn conditions_are_answered_from_what_is_stored() {
    let check = |response: &str, ask: &str, expected| {
        let (ask_read, fields) = request(ask);
        let selected = select(&stored(response), Some(10), &ask_read, &fields, WALL);
        assert_eq!(selected.status().code(), expected, "{response} {ask}");
    };
    let tagged = "200|ETag: \"a\"|Last-Modified: -100";
    check(tagged, "GET", 200);
    check(tagged, "GET|If-None-Match: \"a\"", 304);
    check(tagged, "HEAD|If-None-Match: W/\"a\"", 304);
    check(tagged, "GET|If-None-Match: \"b\", \"a\"", 304);
    check(tagged, "GET|If-None-Match: *", 304);
    check(tagged, "GET|If-None-Match: \"b\"", 200);
    check(tagged, "GET|If-None-Match: \"b\"|If-Modified-Since: -100", 200);
    check(tagged, "GET|If-Modified-Since: -100", 304);
    check(tagged, "GET|If-Modified-Since: -101", 200);
    check(tagged, "GET|If-Modified-Since: x", 200);
    // Without Last-Modified the Date is compared (RFC 9111 §4.3.2).
    check("200|ETag: \"a\"|Date: -50", "GET|If-Modified-Since: -50", 304);
    check("200|ETag: \"a\"|Date: -50", "GET|If-Modified-Since: -51", 200);
    check("200|Cache-Control: max-age=9", "GET|If-Modified-Since: -1", 200);
    check("200|Cache-Control: max-age=9", "GET|If-Modified-Since: +0", 304);
    // Conditions are for representations.
    check("404|ETag: \"a\"", "GET|If-None-Match: \"a\"", 200);
}

#[test]
fn ranges_are_taken_from_what_is_stored_whole() {
    let check = |response: &str, ask: &str, expected: &Selected| {
        let (ask_read, fields) = request(ask);
        assert_eq!(&select(&stored(response), Some(10), &ask_read, &fields, WALL), expected, "{ask}");
    };
    let part = |first, end| Selected::Part(crate::range::Span { first, end });
    let tagged = "200|ETag: \"a\"|Last-Modified: -100";
    check(tagged, "GET|Range: bytes=2-4", &part(2, 5));
    check(tagged, "GET|Range: bytes=-3", &part(7, 10));
    check(tagged, "GET|Range: bytes=10-", &Selected::Unsatisfiable);
    check(tagged, "GET|Range: lines=1-2", &Selected::Whole);
    check(tagged, "HEAD|Range: bytes=2-4", &Selected::Whole);
    check(tagged, "GET|Range: bytes=2-4|If-None-Match: \"a\"", &Selected::NotModified);
    check(tagged, "GET|Range: bytes=2-4|If-Range: \"a\"", &part(2, 5));
    check(tagged, "GET|Range: bytes=2-4|If-Range: \"b\"", &Selected::Whole);
    check(tagged, "GET|Range: bytes=2-4|If-Range: -100", &part(2, 5));
    check(tagged, "GET|Range: bytes=2-4|If-Range: -99", &Selected::Whole);
    check("200|ETag: W/\"a\"", "GET|Range: bytes=2-4|If-Range: W/\"a\"", &Selected::Whole);
    check("200|Last-Modified: +0", "GET|Range: bytes=2-4|If-Range: +0", &Selected::Whole);
    check("200|ETag: \"a\"", "GET|Range: bytes=2-4|If-Range: -100", &Selected::Whole);
    check("404|ETag: \"a\"", "GET|Range: bytes=2-4", &Selected::Whole);
    let (ask, fields) = request("GET|Range: bytes=2-4");
    assert_eq!(select(&stored(tagged), None, &ask, &fields, WALL), Selected::Whole);
}

#[test]
fn a_304_to_a_client_has_no_fields_about_content() {
    let stored = stored(
        "200|ETag: \"a\"|Last-Modified: -5|Content-Type: text/a|Content-Language: en|Content-Location: /x|\
         Content-Security-Policy: p|Cache-Control: max-age=9|Vary: Foo|X: 1",
    );
    let names: Vec<_> = fields_of_not_modified(&stored.fields).map(|(name, _)| name).collect();
    let expected =
        ["ETag", "Content-Location", "Content-Security-Policy", "Cache-Control", "Vary", "X", "Date"];
    assert_eq!(names, expected);
}
