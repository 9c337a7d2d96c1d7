//! What is stored, and for how long it is fresh.

use super::*;

const MODIFIED: &str = "Last-Modified: -1000000";

#[track_caller]
fn check(ask: &str, response: &str, expected: Result<(), NotStored>) {
    let stored = store_with(ask, response, &Policy::default());
    assert_eq!(stored.map(|_| ()), expected, "{ask} {response}");
}

/// For how many seconds a response is fresh, its age at the beginning being what it says itself.
#[track_caller]
fn check_lifetime(response: &str, policy: &Policy, seconds: u64) {
    let stored = store_with("GET", response, policy).unwrap_or_else(|why| panic!("{response}: {why:?}"));
    assert_eq!(stored.terms.lifetime(policy), Duration::from_secs(seconds), "{response}");
}

#[test]
fn only_final_responses_to_a_get_are_stored() {
    check("GET", "200|Cache-Control: max-age=9", Ok(()));
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"] {
        check(method, "200|Cache-Control: max-age=9", Err(NotStored::Method));
    }
    for status in ["100", "101", "103", "304", "416"] {
        check("GET", &format!("{status}|Cache-Control: max-age=9"), Err(NotStored::Status));
    }
    check("GET", "206|Cache-Control: max-age=9|Content-Range: bytes 0-1/9", Err(NotStored::Partial));
}

#[test]
fn a_lifetime_or_a_status_that_allows_a_guess_is_needed() {
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        check("GET", &format!("{status}|ETag: \"a\""), Ok(()));
        check("GET", &format!("{status}|X: y"), Err(NotStored::Lifetime));
    }
    for status in [201, 302, 303, 307, 400, 403, 500, 503, 599] {
        check("GET", &format!("{status}|ETag: \"a\""), Err(NotStored::Lifetime));
        check("GET", &format!("{status}|ETag: \"a\"|Cache-Control: public"), Ok(()));
        check("GET", &format!("{status}|Cache-Control: max-age=9"), Ok(()));
        check("GET", &format!("{status}|Cache-Control: s-maxage=9"), Ok(()));
        check("GET", &format!("{status}|Expires: +9"), Ok(()));
    }
}

#[test]
fn what_could_never_be_used_is_not_stored() {
    check("GET", "200|Cache-Control: max-age=0", Err(NotStored::Lifetime));
    check("GET", "200|Cache-Control: max-age=9|Age: 9", Err(NotStored::Lifetime));
    check("GET", "200|Expires: 0", Err(NotStored::Lifetime));
    check("GET", "200|Cache-Control: no-cache, max-age=9", Err(NotStored::Lifetime));
    check("GET", "200|Cache-Control: max-age=0, stale-if-error=9", Ok(()));
    check("GET", "200|Cache-Control: max-age=0, stale-if-error=9, must-revalidate", Err(NotStored::Lifetime));
    check("GET", "200|Cache-Control: no-cache|ETag: \"a\"", Ok(()));
    check("GET", &format!("200|Cache-Control: max-age=0|{MODIFIED}"), Ok(()));
}

#[test]
fn origin_and_client_can_forbid_storing() {
    check("GET", "200|Cache-Control: max-age=9, no-store", Err(NotStored::NoStore));
    check("GET", "200|Cache-Control: No-Store|Cache-Control: max-age=9", Err(NotStored::NoStore));
    check("GET", "200|Cache-Control: max-age=9, private", Err(NotStored::Private));
    check("GET", "200|Cache-Control: public, max-age=9, private", Err(NotStored::Private));
    check("GET|Cache-Control: no-store", "200|Cache-Control: max-age=9", Err(NotStored::RequestNoStore));
    check("GET", "200|Expires: +9|Pragma: no-cache", Ok(()));
}

#[test]
fn must_understand_overrules_no_store_where_the_status_is_understood() {
    check("GET", "200|Cache-Control: max-age=9, no-store, must-understand", Ok(()));
    check("GET", "299|Cache-Control: max-age=9, must-understand", Err(NotStored::Status));
    check("GET", "299|Cache-Control: max-age=9, no-store, must-understand", Err(NotStored::Status));
    check("GET", "299|Cache-Control: max-age=9", Ok(()));
    check("GET", "200|Cache-Control: max-age=9, private, must-understand", Err(NotStored::Private));
}

#[test]
fn responses_to_requests_with_credentials_need_leave() {
    let ask = "GET|Authorization: Basic x";
    check(ask, "200|Cache-Control: max-age=9", Err(NotStored::Authorization));
    check(ask, "200|Expires: +9", Err(NotStored::Authorization));
    check(ask, "200|Cache-Control: max-age=9, proxy-revalidate", Err(NotStored::Authorization));
    check(ask, "200|Cache-Control: max-age=9, public", Ok(()));
    check(ask, "200|Cache-Control: max-age=9, must-revalidate", Ok(()));
    check(ask, "200|Cache-Control: s-maxage=9", Ok(()));
}

#[test]
fn responses_that_set_cookies_are_stored_where_shared_caches_are_spoken_of() {
    let cookie = "Set-Cookie: a=b";
    check("GET", &format!("200|Cache-Control: max-age=9|{cookie}"), Err(NotStored::SetCookie));
    check("GET", &format!("200|Expires: +9|{cookie}"), Err(NotStored::SetCookie));
    check("GET", &format!("200|Cache-Control: max-age=9, public|{cookie}"), Ok(()));
    check("GET", &format!("200|Cache-Control: s-maxage=9|{cookie}"), Ok(()));
    check("GET", &format!("200|CDN-Cache-Control: max-age=9|{cookie}"), Ok(()));
}

#[test]
fn what_varies_by_anything_is_not_stored() {
    check("GET", "200|Cache-Control: max-age=9|Vary: *", Err(NotStored::Vary));
    check("GET", "200|Cache-Control: max-age=9|Vary: Accept, *", Err(NotStored::Vary));
    check("GET", "200|Cache-Control: max-age=9|Vary: Accept", Ok(()));
}

#[test]
fn a_lifetime_is_that_of_shared_caches_then_of_all_then_of_expires() {
    let policy = &Policy::default();
    check_lifetime("200|Cache-Control: max-age=9, s-maxage=5|Expires: +7", policy, 5);
    check_lifetime("200|Cache-Control: max-age=9|Expires: +7", policy, 9);
    check_lifetime("200|Expires: +7", policy, 7);
    check_lifetime("200|Date: -3|Expires: +7", policy, 10);
    check_lifetime("200|Date: x|Expires: +7", policy, 7);
    check_lifetime("200|Expires: +7|Expires: +5", policy, 5);
    for expires in
        ["sun, 22 nov 2026 17:41:05 gmt", "SUN, 22 NOV 2026 17:41:05 GMT", "sunday, 22-nov-26 17:41:05 gmt"]
    {
        check_lifetime(&format!("200|Expires: {expires}"), policy, 60);
    }
    for expires in ["0", "-1", "x", "Thu, 18 Aug 2050 02:01:18", "Thu, 18 Aug 2050 02:01:18 CET"] {
        check_lifetime(&format!("200|ETag: \"a\"|Expires: {expires}"), policy, 0);
        check_lifetime(&format!("200|ETag: \"a\"|Expires: +7|Expires: {expires}"), policy, 0);
    }
    check_lifetime("200|ETag: \"a\"|Expires: -5", policy, 0);
    check_lifetime("200|ETag: \"a\"|Cache-Control: max-age=x|Expires: +7", policy, 0);
    check_lifetime("200|Expires: Thu, 18 Aug 2250 02:01:18 GMT", policy, 1 << 31);
    check_lifetime("200|Cache-Control: max-age=99999999999", policy, 1 << 31);
}

#[test]
fn a_targeted_field_puts_cache_control_and_expires_aside() {
    let policy = &Policy::default();
    check_lifetime("200|CDN-Cache-Control: max-age=9|Cache-Control: max-age=5|Expires: +7", policy, 9);
    check_lifetime("200|CDN-Cache-Control: max-age=9|Cache-Control: no-store", policy, 9);
    check_lifetime("200|CDN-Cache-Control: x|ETag: \"a\"|Cache-Control: s-maxage=5|Expires: +7", policy, 0);
    check_lifetime("200|CDN-Cache-Control: max-age=9|Doorway-Cache-Control: max-age=4", policy, 4);
    check("GET", "200|CDN-Cache-Control: no-store|Cache-Control: max-age=9", Err(NotStored::NoStore));
    check("GET", "200|CDN-Cache-Control: private|Cache-Control: max-age=9", Err(NotStored::Private));
    check_lifetime("200|CDN-Cache-Control: max-age=9|Cache-Control: max-age=5", &Policy::forward(), 5);
}

#[test]
fn a_lifetime_is_guessed_only_where_that_is_allowed_and_wanted() {
    let guessing = &Policy { heuristic_permille: 100, ..Policy::default() };
    check_lifetime("200|Last-Modified: -1000", guessing, 100);
    check_lifetime("200|Last-Modified: -1000|Date: -100", guessing, 90);
    check_lifetime("200|Last-Modified: -1000", &Policy::default(), 0);
    check_lifetime("200|Last-Modified: -100000000", guessing, 24 * 3600);
    check_lifetime("200|Last-Modified: +1000", guessing, 0);
    check_lifetime("404|Last-Modified: -1000", guessing, 100);
    check_lifetime("302|Last-Modified: -1000|Cache-Control: public", guessing, 100);
    check_lifetime("200|Last-Modified: -1000|Cache-Control: max-age=5", guessing, 5);
    check_lifetime("200|Last-Modified: -1000|Expires: -5", guessing, 0);
    check_lifetime("200|ETag: \"a\"", guessing, 0);
}

#[test]
fn fields_about_the_connection_and_listed_ones_are_not_stored() {
    let stored = stored(
        "200|Cache-Control: max-age=9, private=\"X-User\"|Cache-Control: no-cache=x-token|X-User: u|X-Token: t|\
         Connection: close, X-Hop|X-Hop: h|Keep-Alive: 5|Proxy-Authenticate: Basic|Proxy-Authentication-Info: i|\
         Proxy-Authorization: p|Proxy-Connection: c|TE: t|Trailer: t|Transfer-Encoding: chunked|Upgrade: u|\
         Age: 3|Content-Length: 5|Date: -3|X-Kept: k|ETag: \"a\"|X-Kept: l",
    );
    let names: Vec<_> = stored.fields.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Cache-Control", "Cache-Control", "Date", "X-Kept", "ETag", "X-Kept"]);
    assert_eq!(stored.initial_age, Duration::from_secs(3));
}

#[test]
fn a_response_without_a_date_gets_that_of_its_arrival() {
    let date = Some("Sun, 22 Nov 2026 17:40:05 GMT");
    assert_eq!(stored("200|Cache-Control: max-age=9").fields.first("date"), date);
    assert_eq!(stored("200|Cache-Control: max-age=9|Date: today").fields.first("date"), date);
    assert_eq!(
        stored("200|Cache-Control: max-age=9|Date: -2").terms.date,
        UnixTime::from_secs(WALL.as_secs() - 2)
    );
}

#[test]
fn time_on_the_shelf_and_on_the_way_counts_as_age_and_a_set_clock_does_not() {
    let mut stored = stored("200|Cache-Control: max-age=9|Age: 2|ETag: \"a\"");
    assert_eq!(stored.age(moment(0).now), Duration::from_secs(2));
    assert_eq!(stored.age(moment(5).now), Duration::from_secs(7));
    // Only the monotonic clock is looked at.
    stored.received.wall = UnixTime::from_secs(5);
    assert_eq!(stored.age(moment(5).now), Duration::from_secs(7));
    // After a restart only the wall clock knows how long it was.
    stored.received.wall = WALL;
    let restarted = Moment { now: Instant::from_nanos(3), wall: WALL + Duration::from_secs(60) };
    let later = stored.carried_over(restarted);
    assert_eq!(later.age(restarted.now), Duration::from_secs(62));
}
