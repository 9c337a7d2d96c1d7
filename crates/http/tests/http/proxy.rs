//! Requests handed on to other servers: what they hear, what the client hears, and when another one is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::proxied::{Heard, Network, Reply, Script, network};
use crate::support::{dial, talk};

fn script(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Option<Script> {
    Some(Arc::new(reply))
}

fn always(reply: Reply) -> Option<Script> {
    script(move |_| reply.clone())
}

/// A message with the proxy's own name, which is another in each run, and Date taken out.
fn plain(message: &str) -> String {
    let via = |line: &str| match line.split_once("doorway-") {
        Some((before, after)) => format!("{before}GATE{}", &after[8..]),
        None => line.to_owned(),
    };
    message.split("\r\n").filter(|line| !line.starts_with("Date: ")).map(via).collect::<Vec<_>>().join("\n")
}

/// What a client hears to some requests on one connection, and what the server heard.
fn exchange(script: Option<Script>, requests: &str) -> (String, Vec<String>) {
    let heard = Heard::default();
    let Network { mut sim, client, .. } = network(vec![script], &heard, |_| {});
    let world = sim.world(client);
    let requests = requests.as_bytes().to_vec();
    let answer = sim.run(client, async move { talk(&world, &requests).await }).unwrap();
    let heard = heard.lock().unwrap().iter().map(|request| plain(request)).collect();
    (plain(&String::from_utf8_lossy(&answer)), heard)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_request_is_handed_on_as_it_came_and_the_response_back() {
    let reply = "HTTP/1.1 203 Other\r\nServer: app\r\nX-A: 1\r\nConnection: X-A, X-B\r\nX-B: 2\r\nETag: \"e\"\r\n\
                 Content-Length: 3\r\n\r\nabc";
    let request = "GET //a/../b%2fc?x={y} HTTP/1.1\r\nHost: www.example:81\r\nAccept: */*\r\nConnection: close\r\n\
                   X-Forwarded-For: 1.2.3.4\r\n\r\n";
    let (answer, heard) = exchange(always(Reply::new(reply)), request);
    let expected = "GET //a/../b%2fc?x={y} HTTP/1.1\nHost: www.example:81\nAccept: */*\n\
                    Forwarded: for=10.0.0.2;host=\"www.example:81\";proto=http\nX-Forwarded-For: 10.0.0.2\n\
                    X-Forwarded-Proto: http\nX-Forwarded-Host: www.example:81\nVia: 1.1 GATE\n\n";
    assert_eq!(heard, [expected]);
    let expected = "HTTP/1.1 203 Non-Authoritative Information\nServer: app\nETag: \"e\"\nVia: 1.1 GATE\n\
                    Content-Length: 3\nConnection: close\n\nabc";
    assert_eq!(answer, expected);
}

#[test]
fn octets_beyond_ascii_pass_both_ways_unharmed() {
    let heard = Heard::default();
    let reply = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Name: caf\xe9\xff\r\n\r\n".to_vec()];
    let script = script(move |_| Reply { octets: reply.to_vec(), ..Reply::default() });
    let Network { mut sim, client, .. } = network(vec![script], &heard, |_| {});
    let world = sim.world(client);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: \xe9t\xe9\r\nConnection: close\r\n\r\n";
    let answer = sim.run(client, async move { talk(&world, request).await }).unwrap();
    let line = b"\r\nX-Name: caf\xe9\xff\r\n";
    assert!(answer.windows(line.len()).any(|window| window == line), "{}", answer.escape_ascii());
    assert!(heard.lock().unwrap()[0].contains("X-Name: \\xe9t\\xe9\r\n"));
}

#[test]
fn lengths_are_kept_and_what_has_none_goes_in_chunks() {
    let (answer, _) = exchange(always(Reply::new("HTTP/1.1 200 OK\r\n\r\nto the end").closing()), &get("/"));
    assert!(
        answer.contains("Transfer-Encoding: chunked\n") && answer.ends_with("a\nto the end\n0\n\n"),
        "{answer}"
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
    let (answer, _) = exchange(always(Reply::new(chunked)), &get("/"));
    assert!(answer.ends_with("3\nabc\n0\n\n"), "{answer}");
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n";
    let request = get("/").replace("GET", "HEAD");
    let (answer, _) = exchange(always(Reply::new(head)), &request);
    assert!(answer.contains("Content-Length: 1234\n") && answer.ends_with("\n\n"), "{answer}");
    let (answer, _) = exchange(always(Reply::new("HTTP/1.1 200 OK\r\n\r\n")), &request);
    assert!(!answer.contains("Content-Length"), "{answer}");
    let unchanged = "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"e\"\r\n\r\n";
    let (answer, _) = exchange(always(Reply::new(unchanged)), &get("/"));
    assert!(answer.contains("Content-Length: 99\n") && answer.ends_with("\n\n"), "{answer}");
    let (answer, _) = exchange(always(Reply::new("HTTP/1.1 204 No Content\r\n\r\n")), &get("/"));
    assert!(!answer.contains("Content-Length") && !answer.contains("Transfer-Encoding"), "{answer}");
}

#[test]
fn a_response_that_breaks_off_is_never_taken_for_whole() {
    let half = Reply::new("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").closing();
    let (answer, _) = exchange(always(half), &get("/"));
    assert!(answer.contains("Content-Length: 9\n") && answer.ends_with("\n\nhalf"), "{answer}");
    let half = Reply::new("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").closing();
    let (answer, _) = exchange(always(half), &get("/"));
    assert!(answer.ends_with("4\nhalf\n"), "without the last chunk: {answer}");
}

#[test]
fn content_goes_through_in_both_framings_and_connections_are_kept() {
    let echo = || script(|request| Reply::ok(request.split("\r\n\r\n").nth(1).unwrap_or_default()));
    let post = |rest: &str| format!("POST /x HTTP/1.1\r\nHost: a\r\n{rest}");
    let requests = post("Content-Length: 5\r\n\r\nhello")
        + &post("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        + &post("Content-Length: 0\r\n\r\n")
        + &get("/end");
    let (answer, heard) = exchange(echo(), &requests);
    assert!(heard[0].contains("Content-Length: 5\n") && heard[0].ends_with("\n\nhello"), "{heard:?}");
    assert!(heard[1].contains("Transfer-Encoding: chunked\n"), "{heard:?}");
    assert!(heard[2].contains("Content-Length: 0\n"), "{heard:?}");
    assert_eq!((heard.len(), answer.matches("HTTP/1.1 200").count()), (4, 4), "{answer}");
}

#[test]
fn methods_that_nobody_knows_are_handed_on() {
    let request = "BREW /pot HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (answer, heard) = exchange(always(Reply::ok("coffee")), request);
    assert!(heard[0].starts_with("BREW /pot HTTP/1.1\n") && answer.ends_with("coffee"), "{answer}");
}

#[test]
fn a_loop_and_the_last_step_end_here() {
    let (answer, _) = exchange(
        always(Reply::ok("x")),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let request =
        "TRACE /a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nCookie: a=1\r\nConnection: close\r\n\r\n";
    let (answer, heard) = exchange(always(Reply::ok("x")), request);
    assert!(answer.contains("message/http") && answer.contains("TRACE /a HTTP/1.1\nHost: a\n"), "{answer}");
    assert!(!answer.contains("Cookie") && heard.is_empty(), "{answer}");
    let request = "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\nConnection: close\r\n\r\n";
    let (_, heard) = exchange(always(Reply::ok("x")), request);
    assert!(heard[0].starts_with("OPTIONS * ") && heard[0].contains("Max-Forwards: 1\n"), "{heard:?}");
}

#[test]
fn what_a_server_tells_early_gets_to_the_client() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: close\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (answer, _) = exchange(always(Reply::new(early)), &get("/"));
    let expected = "HTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload\n\nHTTP/1.1 200 OK\n";
    assert!(answer.starts_with(expected), "{answer}");
    let old = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    let (answer, _) = exchange(always(Reply::new(early)), old);
    assert!(answer.starts_with("HTTP/1.1 200 OK\n"), "an HTTP/1.0 client knows of none: {answer}");
}

#[test]
fn another_server_is_asked_where_that_does_no_harm() {
    let check = |request: &str, expected: &str, times: usize| {
        let heard = Heard::default();
        let broken = || always(Reply { closes: true, ..Reply::default() });
        let scripts = vec![broken(), None, always(Reply::ok("third"))];
        let Network { mut sim, client, .. } = network(scripts, &heard, |_| {});
        let world = sim.world(client);
        let octets = request.as_bytes().to_vec();
        let answer = sim.run(client, async move { talk(&world, &octets).await }).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{request}: {answer}");
        assert_eq!(heard.lock().unwrap().len(), times, "{request}");
    };
    check(&get("/"), "200", 2);
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", "502", 1);
    check("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", "502", 1);
    check("DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200", 2);
}

#[test]
fn silence_has_an_end() {
    for (reply, expected) in [
        (Reply::default(), "HTTP/1.1 504 Gateway Timeout\n"),
        (Reply::new("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "HTTP/1.1 200 OK\n"),
    ] {
        let heard = Heard::default();
        let Network { mut sim, client, .. } = network(vec![always(reply)], &heard, |_| {});
        let world = sim.world(client);
        let (answer, took) = sim
            .run(client, async move {
                let began = world.now();
                (talk(&world, get("/").as_bytes()).await, world.now() - began)
            })
            .unwrap();
        assert!(plain(&String::from_utf8_lossy(&answer)).starts_with(expected));
        assert_eq!(took.as_secs(), 60);
    }
}

#[test]
fn a_server_that_fails_is_left_alone_and_tried_again() {
    let heard = Heard::default();
    let well = Arc::new(Mutex::new(false));
    let state = Arc::clone(&well);
    let sick = script(move |_| match *state.lock().unwrap() {
        true => Reply::ok("well"),
        false => Reply { closes: true, ..Reply::default() },
    });
    let Network { mut sim, client, proxies, .. } =
        network(vec![sick], &heard, |upstream| upstream.retries = 0);
    let world = sim.world(client);
    let asked = Arc::clone(&heard);
    let statuses = sim
        .run(client, async move {
            let mut statuses = Vec::new();
            for _ in 0..8 {
                let answer = talk(&world, get("/").as_bytes()).await;
                statuses.push(String::from_utf8_lossy(&answer[9..12]).into_owned());
            }
            assert_eq!(asked.lock().unwrap().len(), 5, "after five failures nobody asks");
            *well.lock().unwrap() = true;
            world.sleep(Duration::from_secs(2)).await;
            let answer = talk(&world, get("/").as_bytes()).await;
            statuses.push(String::from_utf8_lossy(&answer[9..12]).into_owned());
            statuses
        })
        .unwrap();
    assert_eq!(statuses, ["502", "502", "502", "502", "502", "503", "503", "503", "200"]);
    let row = &proxies.upstreams().next().unwrap().rows()[0];
    assert_eq!((row.breaker, row.active, row.counts.opened, row.counts.failures), ("closed", 0, 1, 5));
}

#[test]
fn checks_find_who_is_well() {
    let heard = Heard::default();
    let well = Arc::new(Mutex::new(true));
    let state = Arc::clone(&well);
    let first = script(move |request| match request.starts_with("GET /health ") && !*state.lock().unwrap() {
        true => Reply::new("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"),
        false => Reply::ok("first"),
    });
    let second = always(Reply::ok("second"));
    let health = doorway_http::config::HealthConfig {
        path: "/health".to_owned(),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        thresholds: doorway_http::proxy::health::Thresholds { rise: 2, fall: 3 },
    };
    let Network { mut sim, client, proxies, .. } =
        network(vec![first, second], &heard, |upstream| upstream.health = Some(health));
    let world = sim.world(client);
    let told = sim
        .run(client, async move {
            let mut told = Vec::new();
            for (seconds, good) in [(1, false), (40, false), (1, true), (40, true)] {
                *well.lock().unwrap() = good;
                world.sleep(Duration::from_secs(seconds)).await;
                let mut names = Vec::new();
                for _ in 0..4 {
                    let answer = talk(&world, get("/").as_bytes()).await;
                    names.push(String::from_utf8_lossy(&answer).contains("first"));
                }
                told.push((
                    names.iter().filter(|first| **first).count(),
                    proxies.upstreams().next().unwrap().rows()[0].up,
                ));
            }
            told
        })
        .unwrap();
    assert_eq!(told, [(2, true), (0, false), (0, false), (2, true)]);
}

#[test]
fn a_websocket_goes_through_and_each_side_ends_on_its_own() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\n\r\nhi ";
    let script = script(move |request| match request.contains("\r\nUpgrade: shout\r\n") {
        true => Reply { echoes: true, ..Reply::new(switch) },
        false => Reply::ok("no"),
    });
    let heard = Heard::default();
    let Network { mut sim, client, .. } = network(vec![script], &heard, |_| {});
    let world = sim.world(client);
    let answer = sim
        .run(client, async move {
            let mut stream = dial(&world).await;
            let request = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: shout\r\n\r\nhello ";
            stream.write_all(request).await.unwrap();
            world.sleep(Duration::from_secs(1)).await;
            stream.write_all(b"there").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            String::from_utf8(answer).unwrap()
        })
        .unwrap();
    assert!(heard.lock().unwrap()[0].contains("Connection: Upgrade\r\nUpgrade: shout\r\n"), "{heard:?}");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(
        answer.contains("\r\nUpgrade: shout\r\n") && answer.contains("\r\nConnection: Upgrade\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\nhi HELLO THEREBYE"), "{answer}");
}

#[test]
fn a_connection_to_a_server_carries_one_request_after_the_other() {
    let heard = Heard::default();
    let opened = Arc::new(Mutex::new(0));
    let Network { mut sim, client, proxies, .. } = network(vec![always(Reply::ok("x"))], &heard, |_| {});
    let world = sim.world(client);
    let count = Arc::clone(&opened);
    sim.run(client, async move {
        for _ in 0..5 {
            talk(&world, get("/").as_bytes()).await;
        }
        *count.lock().unwrap() = proxies.upstreams().next().unwrap().connections_opened();
    })
    .unwrap();
    assert_eq!((heard.lock().unwrap().len(), *opened.lock().unwrap()), (5, 1));
}

#[test]
fn a_client_that_goes_away_takes_its_request_along() {
    let heard = Heard::default();
    let slow = Reply { octets: vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec(); 1000], ..Reply::default() };
    let Network { mut sim, client, proxies, .. } = network(vec![always(slow)], &heard, |_| {});
    let world = sim.world(client);
    let active = sim
        .run(client, async move {
            let mut stream = dial(&world).await;
            stream.write_all(get("/").as_bytes()).await.unwrap();
            let mut piece = [0; 64];
            let _ = stream.read(&mut piece).await.unwrap();
            let busy = proxies.upstreams().next().unwrap().rows()[0].active;
            drop(stream);
            world.sleep(Duration::from_secs(5)).await;
            (busy, proxies.upstreams().next().unwrap().rows()[0].active)
        })
        .unwrap();
    assert_eq!(active, (1, 0));
}

#[test]
fn a_server_gets_no_more_at_a_time_than_it_may() {
    let heard = Heard::default();
    let silent = || always(Reply::default());
    let Network { mut sim, client, .. } =
        network(vec![silent(), silent()], &heard, |upstream| upstream.connections_max = 2);
    let world = sim.world(client);
    let last = sim
        .run(client, async move {
            let mut waiting = Vec::new();
            for _ in 0..4 {
                let mut stream = dial(&world).await;
                stream.write_all(get("/").as_bytes()).await.unwrap();
                waiting.push(stream);
            }
            world.sleep(Duration::from_secs(1)).await;
            talk(&world, get("/").as_bytes()).await
        })
        .unwrap();
    assert!(last.starts_with(b"HTTP/1.1 503 "), "{}", last.escape_ascii());
    assert_eq!(heard.lock().unwrap().len(), 4);
}

#[test]
fn turns_are_taken_and_a_backup_stands_in() {
    let heard = Heard::default();
    let named = |name: &'static str| always(Reply::ok(name));
    let scripts = vec![named("one"), None, named("three")];
    let Network { mut sim, client, proxies, .. } = network(scripts, &heard, |upstream| {
        upstream.servers[0].push_str(" weight=3");
        upstream.servers[2].push_str(" backup");
        upstream.failures_max = 1;
    });
    let world = sim.world(client);
    let told = sim
        .run(client, async move {
            let mut told = Vec::new();
            for _ in 0..4 {
                let answer = talk(&world, get("/").as_bytes()).await;
                told.push(String::from_utf8_lossy(&answer).rsplit('\n').next().unwrap().to_owned());
            }
            told
        })
        .unwrap();
    assert_eq!(told, ["one", "one", "one", "one"], "the backup is not asked while another can be");
    let requests: Vec<u64> =
        proxies.upstreams().next().unwrap().rows().iter().map(|row| row.counts.requests).collect();
    assert_eq!(requests, [4, 1, 0]);
}

#[test]
fn content_is_collected_before_a_server_is_asked_where_that_is_wanted() {
    let check = |name: &str, expected: (usize, usize)| {
        let heard = Heard::default();
        let echo = script(|request| Reply::ok(request.split("\r\n\r\n").nth(1).unwrap_or_default()));
        let name = name.to_owned();
        let Network { mut sim, client, proxies, .. } =
            network(vec![echo], &heard, |upstream| upstream.name = name);
        let world = sim.world(client);
        let asked = sim
            .run(client, async move {
                let mut stream = dial(&world).await;
                let head =
                    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(b"5\r\nhello\r\n").await.unwrap();
                world.sleep(Duration::from_secs(5)).await;
                let before = proxies.upstreams().next().unwrap().rows()[0].active as usize;
                stream.write_all(b"0\r\n\r\n").await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.contains("hello"), "{answer}");
                before
            })
            .unwrap();
        let lengths = heard.lock().unwrap()[0].matches("Content-Length: 5\r\n").count();
        assert_eq!((asked, lengths), expected);
    };
    check("app", (1, 0));
    check("buffered", (0, 1));
}
