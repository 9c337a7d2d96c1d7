//! Requests through a cache to an origin that follows a script, in virtual time.
//!
//! ```text
//! C: GET /a|Name: value        a client asks
//! O: GET /a|Name: value|-Name  the origin is asked: these fields are there, those are not
//! o: 200|Name: value||content  and says this; `fails` for no answer
//! S: 200|Name: value||content  the client gets this
//! T+5s                         time passes
//! ```
//!
//! Without an `O` the origin must not be asked.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_http::cache::Policy;
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Cache, Conductor};
use doorway_net::web::{Body, BodyStream, Bytes, Fetch, Fields, Handler, Request, Response};
use doorway_net::{BoxFuture, World};
use doorway_sim::Simulation;

/// The first words of a line, its fields, and content.
struct Line {
    first: String,
    fields: Vec<(String, String)>,
    without: Vec<String>,
    content: Option<String>,
}

fn line(text: &str) -> Line {
    let (head, content) = match text.split_once("||") {
        Some((head, content)) => (head, Some(content.to_owned())),
        None => (text, None),
    };
    let mut parts = head.split('|');
    let first = parts.next().unwrap().to_owned();
    let (mut fields, mut without) = (Vec::new(), Vec::new());
    for part in parts {
        match part.split_once(": ") {
            Some((name, value)) => fields.push((name.to_owned(), value.to_owned())),
            None => without.push(part.strip_prefix('-').expect("a field, or -Name").to_owned()),
        }
    }
    Line { first, fields, without, content }
}

fn fields(lines: &[(String, String)]) -> Fields {
    let mut fields = Fields::new();
    lines.iter().for_each(|(name, value)| fields.add(name.as_str(), value.as_str()));
    fields
}

/// What the origin is asked and says next, and what went wrong with that.
#[derive(Default)]
struct Script {
    expected: VecDeque<(String, String)>,
    wrong: Vec<String>,
}

struct Origin(Arc<Mutex<Script>>);

impl Fetch for Origin {
    fn fetch(&self, request: Request) -> BoxFuture<'_, io::Result<Response>> {
        let mut script = self.0.lock().unwrap();
        let asked = format!("{} {}", request.method, request.target);
        let Some((expected, answer)) = script.expected.pop_front() else {
            script.wrong.push(format!("the origin is asked {asked}"));
            return Box::pin(async { Err(io::ErrorKind::Unsupported.into()) });
        };
        let expected = line(&expected);
        script
            .wrong
            .extend((expected.first != asked).then(|| format!("{asked} in place of {}", expected.first)));
        script.wrong.extend(differences(&expected, &request.fields));
        Box::pin(async move {
            if answer == "fails" {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let answer = line(&answer);
            let content = answer.content.unwrap_or_default();
            let status = answer.first.parse().unwrap();
            // In place of content a HEAD has its length.
            let body = match request.method.as_str() {
                "HEAD" => Body::announced(content.parse().ok()),
                _ => Body::Stream(Box::pin(Pieces(vec![content.into()].into()))),
            };
            Ok(Response { status, fields: fields(&answer.fields), body, upgrade: None })
        })
    }
}

/// A content in pieces of known length; an empty piece breaks it off.
struct Pieces(VecDeque<Bytes>);

impl BodyStream for Pieces {
    fn poll_piece(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<Bytes>>> {
        std::task::Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn octets(&self) -> Option<u64> {
        Some(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

fn differences(expected: &Line, fields: &Fields) -> Vec<String> {
    let mut wrong = Vec::new();
    let texts: Vec<(String, String)> =
        fields.texts().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
    for (name, value) in &expected.fields {
        if !texts.iter().any(|(known, text)| known.eq_ignore_ascii_case(name) && text == value) {
            wrong.push(format!("no {name}: {value} in {texts:?}"));
        }
    }
    for name in &expected.without {
        if texts.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            wrong.push(format!("{name} in {texts:?}"));
        }
    }
    wrong
}

#[track_caller]
fn check(policy: &Policy, script: &str) {
    let mut sim = Simulation::new(1);
    let node = sim.node("cache", "10.0.0.1");
    let world = sim.world(node);
    let (policy, text) = (policy.clone(), script.to_owned());
    let wrong = sim.run(node, async move { play(&world, policy, &text).await }).unwrap();
    assert!(wrong.is_empty(), "{}\nin\n{script}", wrong.join("\n"));
}

async fn play(world: &World, policy: Policy, text: &str) -> Vec<String> {
    let cache = Cache::open(world, &CacheConfig::named("test"), None).unwrap();
    let script = Arc::new(Mutex::new(Script::default()));
    let conductor = Conductor::new(world, cache, policy, Arc::new(Origin(Arc::clone(&script))));
    let mut lines: VecDeque<&str> = text.lines().map(str::trim).collect();
    lines.retain(|line| !line.is_empty());
    while let Some(step) = lines.pop_front() {
        if let Some(span) = step.strip_prefix("T+") {
            let seconds = span.trim_end_matches('s').parse().expect("T+ and seconds");
            world.sleep(Duration::from_secs(seconds)).await;
            continue;
        }
        let asked = line(step.strip_prefix("C: ").expect("C: begins"));
        while let Some(expected) = lines.pop_front_if(|line| line.starts_with("O: ")) {
            let answer = lines.pop_front().and_then(|line| line.strip_prefix("o: ")).expect("o: follows O:");
            let expected = (expected["O: ".len()..].to_owned(), answer.to_owned());
            script.lock().unwrap().expected.push_back(expected);
        }
        let expected = line(lines.pop_front().and_then(|line| line.strip_prefix("S: ")).expect("S: ends"));
        let (method, target) = asked.first.split_once(' ').unwrap();
        let request =
            Request { host: "a".into(), fields: fields(&asked.fields), ..Request::new(method, target) };
        let response = conductor.handle(request).await;
        let mut wrong = differences(&expected, &response.fields);
        if response.status.to_string() != expected.first {
            wrong.push(format!("{} in place of {}", response.status, expected.first));
        }
        if let Some(content) = expected.content {
            let found = response.body.read(1 << 20).await.unwrap();
            wrong.extend((found != content).then(|| format!("{found:?} in place of {content:?}")));
        }
        // What goes on beside the request comes to its end.
        world.sleep(Duration::from_millis(1)).await;
        let mut script = script.lock().unwrap();
        wrong.append(&mut script.wrong);
        wrong.extend(script.expected.drain(..).map(|(expected, _)| format!("nobody asked {expected}")));
        if !wrong.is_empty() {
            wrong.insert(0, format!("at {step}:"));
            return wrong;
        }
    }
    Vec::new()
}

#[track_caller]
fn check_default(script: &str) {
    check(&Policy { obeys_clients: true, ..Policy::default() }, script);
}

#[test]
fn what_is_fresh_answers_without_the_origin_and_tells_its_age() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10|Age: 3|Connection: X|X: 1|Y: 2||one
        S: 200|Y: 2|Cache-Status: doorway; fwd=uri-miss; fwd-status=200; ttl=7; stored; key="http://a/a"||one
        T+5s
        C: GET /a
        S: 200|Y: 2|-X|-Connection|Age: 8|Cache-Status: doorway; hit; ttl=2; key="http://a/a"||one
        C: HEAD /a
        S: 200|Age: 8
        C: GET /b
        O: GET /b
        o: 404||none
        S: 404|Cache-Status: doorway; fwd=uri-miss; fwd-status=404; key="http://a/b"; detail=no-lifetime||none
        "#,
    );
}

#[test]
fn what_is_stale_is_validated_and_learns_from_the_answer() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10|ETag: "1"|Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT|X: 1||one
        S: 200||one
        T+10s
        C: GET /a|If-None-Match: "0"
        O: GET /a|If-None-Match: "1"|If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT
        o: 304|Cache-Control: max-age=20|X: 2
        S: 200|X: 2|Age: 0|Cache-Status: doorway; fwd=stale; fwd-status=304; ttl=20; stored; key="http://a/a"||one
        T+19s
        C: GET /a
        S: 200|X: 2|Age: 19||one
        T+1s
        C: GET /a
        O: GET /a|If-None-Match: "1"
        o: 200|Cache-Control: max-age=10|ETag: "2"||two
        S: 200|ETag: "2"|-X|Cache-Status: doorway; fwd=stale; fwd-status=200; ttl=10; stored; key="http://a/a"||two
        C: GET /a
        S: 200||two
        "#,
    );
}

#[test]
fn a_304_about_something_else_makes_the_cache_fetch_it() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10|ETag: "1"||one
        S: 200||one
        T+10s
        C: GET /a
        O: GET /a|If-None-Match: "1"
        o: 304|ETag: "2"
        O: GET /a|-If-None-Match
        o: 200|Cache-Control: max-age=10|ETag: "2"||two
        S: 200||two
        "#,
    );
}

#[test]
fn a_client_with_a_copy_is_told_so_by_the_cache() {
    check_default(
        r#"
        C: GET /a|If-None-Match: "1"
        O: GET /a|-If-None-Match
        o: 200|Cache-Control: max-age=10|ETag: "1"|Content-Type: text/plain||one
        S: 304|ETag: "1"|-Content-Type||
        C: GET /a|If-None-Match: W/"1"
        S: 304|ETag: "1"|Age: 0|Cache-Status: doorway; hit; ttl=10; key="http://a/a"||
        C: GET /a|If-None-Match: "2"
        S: 200||one
        T+10s
        C: GET /a|If-None-Match: "1"
        O: GET /a|If-None-Match: "1"
        o: 304|ETag: "1"
        S: 304|Cache-Status: doorway; fwd=stale; fwd-status=304; ttl=10; stored; key="http://a/a"||
        "#,
    );
}

#[test]
fn ranges_come_from_the_whole() {
    check_default(
        r#"
        C: GET /a|Range: bytes=2-4
        O: GET /a|-Range
        o: 200|Cache-Control: max-age=10|ETag: "1"|Content-Type: text/a||0123456789
        S: 206|Content-Range: bytes 2-4/10||234
        C: GET /a|Range: bytes=-2
        S: 206|Content-Range: bytes 8-9/10||89
        C: GET /a|Range: bytes=20-
        S: 416|Content-Range: bytes */10|-Content-Type
        C: GET /a|Range: bytes=2-4|If-Range: "2"
        S: 200||0123456789
        C: GET /a
        S: 200||0123456789
        C: GET /b|Range: bytes=-3
        O: GET /b|Range: bytes=-3
        o: 206|Content-Range: bytes 7-9/10|Cache-Control: max-age=10||789
        S: 206||789
        "#,
    );
}

#[test]
fn variants_are_kept_beside_each_other() {
    check_default(
        r#"
        C: GET /a|Foo: 1
        O: GET /a
        o: 200|Cache-Control: max-age=10|Vary: Foo||one
        S: 200||one
        C: GET /a|Foo: 2
        O: GET /a
        o: 200|Cache-Control: max-age=10|Vary: Foo||two
        S: 200|Cache-Status: doorway; fwd=vary-miss; fwd-status=200; ttl=10; stored; key="http://a/a"||two
        C: GET /a|Foo: 1
        S: 200||one
        C: GET /a|Foo: 2
        S: 200||two
        "#,
    );
}

#[test]
fn when_the_origin_fails_what_is_stale_answers_if_it_may() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10, stale-if-error=10||one
        S: 200||one
        T+15s
        C: GET /a
        O: GET /a
        o: fails
        S: 200|Age: 15|Cache-Status: doorway; fwd=stale; ttl=-5; key="http://a/a"; detail=stale-if-error||one
        C: GET /a
        O: GET /a
        o: 503||down
        S: 200|Cache-Status: doorway; fwd=stale; fwd-status=503; ttl=-5; key="http://a/a"; detail=stale-if-error||one
        C: GET /a
        O: GET /a
        o: 404||gone
        S: 404||gone
        T+5s
        C: GET /a
        O: GET /a
        o: 503||down
        S: 503||down
        C: GET /a
        O: GET /a
        o: fails
        S: 504
        C: GET /b
        O: GET /b
        o: fails
        S: 502
        "#,
    );
}

#[test]
fn what_is_stale_is_validated_beside_the_request_if_it_may() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10, stale-while-revalidate=10|ETag: "1"||one
        S: 200||one
        T+15s
        C: GET /a|If-None-Match: "x"
        O: GET /a|If-None-Match: "1"
        o: 200|Cache-Control: max-age=10|ETag: "2"||two
        S: 200|Age: 15|Cache-Status: doorway; hit; ttl=-5; key="http://a/a"||one
        C: GET /a
        S: 200|Age: 0||two
        C: GET /b
        O: GET /b
        o: 200|Cache-Control: max-age=10, stale-while-revalidate=10||one
        S: 200||one
        T+15s
        C: HEAD /b
        O: GET /b
        o: 200|Cache-Control: max-age=10||two
        S: 200|Age: 15
        C: GET /b
        S: 200|Age: 0||two
        "#,
    );
}

#[test]
fn a_change_through_the_cache_makes_it_forget() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10||one
        S: 200||one
        C: POST /a
        O: POST /a
        o: 400||no
        S: 400|Cache-Status: doorway; fwd=method; fwd-status=400; key="http://a/a"||no
        C: GET /a
        S: 200||one
        C: FOO /b
        O: FOO /b
        o: 200|Location: /a||done
        S: 200||done
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10||two
        S: 200||two
        "#,
    );
}

#[test]
fn the_answer_to_a_head_freshens_what_it_agrees_with_and_forgets_the_rest() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10|ETag: "1"||one
        S: 200||one
        T+10s
        C: HEAD /a
        O: HEAD /a
        o: 200|Cache-Control: max-age=10|ETag: "1"|X: 2||3
        S: 200|X: 2|Cache-Status: doorway; fwd=stale; fwd-status=200; key="http://a/a"
        C: GET /a
        S: 200|X: 2|Age: 0||one
        T+10s
        C: HEAD /a
        O: HEAD /a
        o: 200|Cache-Control: max-age=10|ETag: "1"||4
        S: 200|ETag: "1"
        C: GET /a
        O: GET /a|-If-None-Match
        o: 200|Cache-Control: max-age=10|ETag: "2"||two
        S: 200||two
        "#,
    );
}

#[test]
fn clients_can_ask_for_what_is_stored_or_for_the_origin() {
    check_default(
        r#"
        C: GET /a|Cache-Control: only-if-cached
        S: 504|-Cache-Status
        C: GET /a|Cache-Control: no-store
        O: GET /a|Cache-Control: no-store
        o: 200|Cache-Control: max-age=10||one
        S: 200|Cache-Status: doorway; fwd=uri-miss; fwd-status=200; key="http://a/a"; detail=request-no-store||one
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10|ETag: "1"||one
        S: 200||one
        C: GET /a|Cache-Control: no-cache
        O: GET /a|If-None-Match: "1"|Cache-Control: no-cache
        o: 304
        S: 200|Cache-Status: doorway; fwd=request; fwd-status=304; ttl=10; stored; key="http://a/a"||one
        C: GET /a|If-Match: "1"
        O: GET /a|If-Match: "1"
        o: 412
        S: 412|Cache-Status: doorway; fwd=request; fwd-status=412; key="http://a/a"
        "#,
    );
}

#[test]
fn what_may_not_be_kept_is_handed_on_with_the_clients_own_conditions() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: private|ETag: "1"||one
        S: 200|Cache-Status: doorway; fwd=uri-miss; fwd-status=200; key="http://a/a"; detail=private||one
        C: GET /a|If-None-Match: "1"
        O: GET /a|If-None-Match: "1"
        o: 304|ETag: "1"
        S: 304||
        "#,
    );
}

#[test]
fn a_304_freshens_everything_that_the_request_selects_and_that_has_its_tag() {
    check_default(
        r#"
        C: GET /a|Foo: 1
        O: GET /a
        o: 200|Cache-Control: max-age=5|Vary: Foo|ETag: "1"||one
        S: 200||one
        T+1s
        C: GET /a|Bar: 2
        O: GET /a
        o: 200|Cache-Control: max-age=5|Vary: Bar|ETag: "1"||one
        S: 200||one
        T+9s
        C: GET /a|Foo: 1|Bar: 2
        O: GET /a|If-None-Match: "1"
        o: 304|ETag: "1"|Cache-Control: max-age=100
        S: 200|Vary: Bar||one
        C: GET /a|Foo: 1
        S: 200|Vary: Foo||one
        C: GET /a|Bar: 2
        S: 200|Vary: Bar||one
        "#,
    );
}

#[test]
fn what_must_be_validated_is_never_used_when_the_origin_is_out_of_reach() {
    let generous = Policy { grace: Duration::from_secs(99), obeys_clients: true, ..Policy::default() };
    for directive in ["must-revalidate", "proxy-revalidate", "s-maxage=10"] {
        let script = r#"
            C: GET /a
            O: GET /a
            o: 200|Cache-Control: max-age=10, stale-if-error=99, stale-while-revalidate=99, DIRECTIVE||one
            S: 200||one
            T+10s
            C: GET /a|Cache-Control: max-stale
            O: GET /a
            o: fails
            S: 504
            C: GET /a|Cache-Control: stale-if-error=99
            O: GET /a
            o: 503||down
            S: 503||down
            "#;
        check(&generous, &script.replace("DIRECTIVE", directive));
    }
}

#[test]
fn what_is_handed_on_keeps_its_cache_directives() {
    check_default(
        r#"
        C: GET /a|Cache-Control: max-age=5, other="x, y"
        O: GET /a|Cache-Control: max-age=5, other="x, y"
        o: 200|Cache-Control: max-age=10, other|CDN-Cache-Control: max-age=10|Some-Cache-Control: no-store||one
        S: 200|Cache-Control: max-age=10, other|CDN-Cache-Control: max-age=10|Some-Cache-Control: no-store||one
        C: GET /a
        S: 200|Cache-Control: max-age=10, other|CDN-Cache-Control: max-age=10|Some-Cache-Control: no-store||one
        "#,
    );
}

#[test]
fn what_caches_nearer_to_the_origin_said_stands_before_our_own_word() {
    check_default(
        r#"
        C: GET /a
        O: GET /a
        o: 200|Cache-Control: max-age=10|Cache-Status: Other; hit; ttl=5||one
        S: 200|Cache-Status: Other; hit; ttl=5|Cache-Status: doorway; fwd=uri-miss; fwd-status=200; ttl=10; stored; key="http://a/a"||one
        C: GET /a
        S: 200|Cache-Status: Other; hit; ttl=5|Cache-Status: doorway; hit; ttl=10; key="http://a/a"||one
        C: GET /b
        O: GET /b
        o: fails
        S: 502|-Cache-Status
        "#,
    );
}
