//! The forward proxy: whom it fetches from, what it refuses, tunnels, parents.

use std::sync::Arc;
use std::time::Duration;

use doorway_http::Config;
use doorway_http::config::{ForwardConfig, ParentConfig};
use doorway_http::h2::frame::{END_HEADERS, END_STREAM};
use doorway_http::io::proxy::{Forward, ForwardCounts, Outbound};
use doorway_http::proxy::access::Domain;
use doorway_http::proxy::profile::Profile;
use doorway_http::{Server, Sites};
use doorway_net::resolve::{Hosts, Resolve};
use doorway_net::tcp;
use doorway_sim::{Link, Node, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::h2_frames::{Frames, block, data, headers};
use crate::proxied::{Heard, Reply, Script, scripted};
use crate::support::{SERVER, config, dial, talk};

/// A server of the internet, one in the proxy's own network, and a parent proxy.
const PUBLIC: &str = "9.9.9.9";
const PRIVATE: &str = "10.0.0.3";
const PARENT: &str = "10.0.0.4";

struct Network {
    sim: Simulation,
    client: Node,
    heard: Heard,
    counts: Arc<ForwardCounts>,
}

/// Whoever speaks to a server at port 443 is answered in capitals; at other ports it is HTTP.
fn answer(request: &str) -> Reply {
    let line = request.lines().next().unwrap_or_default();
    if line.starts_with("CONNECT ") {
        return Reply { echoes: true, ..Reply::new("HTTP/1.1 200 Fine\r\n\r\n") };
    }
    Reply::ok(line)
}

fn network(edit: impl FnOnce(&mut ForwardConfig)) -> Network {
    let mut sim = Simulation::new(1);
    let (gate, client) = (sim.node("gate", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let heard = Heard::default();
    let script: Script = Arc::new(answer);
    let mut names = Hosts::default();
    for (name, address) in [("web.test", PUBLIC), ("rebound.test", PRIVATE), ("parent.test", PARENT)] {
        names.add(name, address.parse().unwrap());
    }
    for address in [PUBLIC, PRIVATE, PARENT] {
        let node = sim.node(address, address);
        sim.link(gate, node, Link::default());
        scripted(&sim.world(node), address, &[80, 3128], Arc::clone(&script), &heard);
        let echo: Script = Arc::new(|_| Reply::ok("never"));
        scripted(&sim.world(node), address, &[25], echo, &heard);
        let echoes: Script =
            Arc::new(|request| Reply { echoes: true, ..Reply::new(&request.to_ascii_uppercase()) });
        scripted(&sim.world(node), address, &[443], echoes, &heard);
    }
    let world = sim.world(gate);
    let mut forward = ForwardConfig { auth: Some(Vec::new()), ..ForwardConfig::default() };
    forward.access.clients = vec!["10.0.0.0/24".parse().unwrap()];
    edit(&mut forward);
    let resolver: Arc<dyn Resolve> = Arc::new(names);
    let counts = Arc::new(ForwardCounts::default());
    let outbound = Outbound::open(&world, &resolver, "gate".into(), &forward, Arc::clone(&counts)).unwrap();
    let handler = Forward::new(&forward, Arc::new(outbound), None, None).unwrap();
    let config = Config { h2c: true, ..config(None) };
    let server = Arc::new(Server::new(&world, &config, Sites::default().mount("/", Arc::new(handler))));
    tcp::serve(&world, SERVER.parse().unwrap(), &server.tcp_options(false), &server).unwrap();
    Network { sim, client, heard, counts }
}

/// What a client hears to a request, and how many requests the servers heard.
fn ask(edit: impl FnOnce(&mut ForwardConfig), request: &str) -> (String, Vec<String>, Arc<ForwardCounts>) {
    let Network { mut sim, client, heard, counts } = network(edit);
    let world = sim.world(client);
    let octets = request.as_bytes().to_vec();
    let answer = sim.run(client, async move { talk(&world, &octets).await }).unwrap();
    let heard = heard.lock().unwrap().clone();
    (String::from_utf8_lossy(&answer).into_owned(), heard, counts)
}

fn get(url: &str) -> String {
    format!("GET {url} HTTP/1.1\r\nHost: other.test\r\nProxy-Connection: close\r\nConnection: close\r\n\r\n")
}

#[track_caller]
fn refused(request: &str, status: &str, why: &str) {
    let (answer, heard, _) = ask(|_| {}, request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    assert!(answer.contains(why) && heard.is_empty(), "{request}: {answer}");
}

#[test]
fn a_whole_url_is_fetched_from_its_server() {
    let (answer, heard, _) = ask(|_| {}, &get("http://web.test/a//b?c={d}"));
    assert!(answer.ends_with("\r\n\r\nGET /a//b?c={d} HTTP/1.1"), "{answer}");
    assert_eq!(heard, ["GET /a//b?c={d} HTTP/1.1\r\nHost: web.test\r\nVia: 1.1 gate\r\n\r\n"]);
    let (answer, _, _) = ask(|_| {}, &get("http://web.test?x"));
    assert!(answer.ends_with("GET /?x HTTP/1.1"), "{answer}");
    let (answer, _, _) = ask(|_| {}, &get("http://web.test:3128/"));
    assert!(answer.ends_with("GET / HTTP/1.1"), "{answer}");
}

#[test]
fn no_name_leads_into_the_proxys_own_network() {
    for url in [
        "http://rebound.test/",
        "http://10.0.0.3/",
        "http://[::ffff:10.0.0.3]/",
        "http://localhost/",
        "http://127.0.0.1/",
    ] {
        refused(&get(url), "403", "no address of the public internet");
    }
    refused(
        "CONNECT rebound.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        "403",
        "no address of the public internet",
    );
    let listed = |forward: &mut ForwardConfig| {
        forward.destinations.private = vec!["10.0.0.3".parse().unwrap()];
    };
    let (answer, _, _) = ask(listed, &get("http://rebound.test/"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn what_is_not_allowed_is_refused_and_says_by_which_key() {
    refused(&get("http://web.test:25/"), "403", "connect_ports");
    refused("CONNECT web.test:25 HTTP/1.1\r\nHost: x\r\n\r\n", "403", "connect_ports");
    refused("CONNECT web.test:80 HTTP/1.1\r\nHost: x\r\n\r\n", "403", "connect_ports");
    refused(&get("ftp://web.test/file"), "501", "does not know how to fetch ftp");
    refused(&get("/"), "400", "this is a proxy");
    refused(&get("http://nowhere.test/"), "502", "there is no such name");
    let deny = |forward: &mut ForwardConfig| forward.access.deny = vec![Domain::new("test")];
    let (answer, _, counts) = ask(deny, &get("http://web.test/"));
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("http.forward.deny"), "{answer}");
    assert!(counts.denied().contains(&("domain", 1)));
    let others = |forward: &mut ForwardConfig| forward.access.clients = vec!["192.0.2.0/24".parse().unwrap()];
    let (answer, _, _) = ask(others, &get("http://web.test/"));
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("http.forward.allow"), "{answer}");
}

/// Opens a tunnel and says something through it; what came back, and how long it took.
fn through(
    edit: impl FnOnce(&mut ForwardConfig),
    says: &'static str,
    finishes: bool,
) -> (String, Duration, Arc<ForwardCounts>) {
    let Network { mut sim, client, counts, .. } = network(edit);
    let world = sim.world(client);
    let (answer, took) = sim
        .run(client, async move {
            let began = world.now();
            let mut stream = dial(&world).await;
            stream.write_all(b"CONNECT web.test:443 HTTP/1.1\r\nHost: web.test:443\r\n\r\n").await.unwrap();
            let mut head = vec![0; 512];
            let count = stream.read(&mut head).await.unwrap();
            head.truncate(count);
            stream.write_all(says.as_bytes()).await.unwrap();
            if finishes {
                stream.shutdown().await.unwrap();
            }
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            head.extend(answer);
            (String::from_utf8_lossy(&head).into_owned(), world.now() - began)
        })
        .unwrap();
    (answer, took, counts)
}

#[test]
fn a_tunnel_carries_octets_and_each_side_ends_on_its_own() {
    let (answer, _, counts) = through(|_| {}, "get / http/1.1\r\n\r\nmore", true);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("Content-Length"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nGET / HTTP/1.1\r\n\r\nMOREBYE"), "{answer}");
    assert_eq!(counts.octets_there.load(std::sync::atomic::Ordering::Relaxed), 22);
    assert_eq!(counts.octets_back.load(std::sync::atomic::Ordering::Relaxed), 25);
    assert_eq!(counts.tunnels_open.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn a_tunnel_that_is_silent_or_too_long_is_closed() {
    let (_, took, _) = through(|_| {}, "get / http/1.1\r\n\r\n", false);
    assert_eq!(took.as_secs(), 600);
    let bounded = |forward: &mut ForwardConfig| forward.tunnel_octets_max = Some(30);
    let (answer, took, _) = through(bounded, "get / http/1.1\r\n\r\nmore", false);
    assert!(took < Duration::from_secs(1), "{took:?} {answer}");
}

#[test]
fn a_parent_is_asked_for_its_domains() {
    let parent = |forward: &mut ForwardConfig| {
        let secret = doorway_base::config::Secret::Literal("open sesame".to_owned());
        forward.parents = vec![ParentConfig {
            address: "http://parent.test:3128".to_owned(),
            domains: vec![Domain::new("far.test")],
            user: Some(("Aladdin".to_owned(), secret)),
        }];
    };
    let (answer, heard, _) = ask(parent, &get("http://www.far.test/a?b"));
    assert!(answer.ends_with("GET http://www.far.test/a?b HTTP/1.1"), "{answer}");
    assert!(
        heard[0].contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
        "{heard:?}"
    );
    let (answer, _, _) = ask(parent, &get("http://web.test/"));
    assert!(answer.ends_with("GET / HTTP/1.1"), "others are asked directly: {answer}");
    let (answer, heard, _) = ask(parent, "CONNECT far.test:443 HTTP/1.1\r\nHost: x\r\n\r\nshout");
    assert!(heard[0].starts_with("CONNECT far.test:443 HTTP/1.1\r\nHost: far.test"), "{heard:?}");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("SHOUT"), "{answer}");
}

#[test]
fn what_is_known_of_packages_goes_before_what_a_server_says() {
    let known = |forward: &mut ForwardConfig| forward.profiles = vec![Profile::Apt];
    let (answer, _, _) = ask(known, &get("http://web.test/debian/pool/main/a/a_1_all.deb"));
    assert!(answer.contains("\r\nCache-Control: public, max-age=31536000, immutable\r\n"), "{answer}");
    let (answer, _, _) = ask(known, &get("http://web.test/debian/dists/x/InRelease"));
    assert!(answer.contains("\r\nCache-Control: public, no-cache\r\n"), "{answer}");
    let (answer, _, _) = ask(known, &get("http://web.test/page"));
    assert!(!answer.contains("Cache-Control"), "{answer}");
}

#[test]
fn browsers_are_told_to_use_it() {
    for path in ["/proxy.pac", "/wpad.dat"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: gate.lan:3128\r\nConnection: close\r\n\r\n");
        let (answer, _, _) = ask(|_| {}, &request);
        assert!(answer.contains("\r\nContent-Type: application/x-ns-proxy-autoconfig\r\n"), "{answer}");
        assert!(answer.contains("return \"PROXY gate.lan:3128\";"), "{answer}");
    }
    let (answer, _, _) =
        ask(|forward| forward.pac = None, "GET /proxy.pac HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[test]
fn a_tunnel_is_a_stream_of_http_2() {
    let Network { mut sim, client, counts, .. } = network(|_| {});
    let world = sim.world(client);
    let content = sim
        .run(client, async move {
            let mut frames = Frames::open(&world).await;
            let head = block(&[(":method", "CONNECT"), (":authority", "web.test:443")]);
            frames.send(&headers(1, END_HEADERS, &head)).await;
            assert_eq!(frames.next().await.unwrap(), "HEADERS 1 200");
            frames.send(&data(1, 0, b"get / http/1.1\r\n\r\n")).await;
            assert_eq!(frames.next().await.unwrap(), "DATA 1 18");
            frames.send(&data(1, END_STREAM, b"more")).await;
            frames.read_to("DATA 1 0 end").await;
            String::from_utf8(frames.content).unwrap()
        })
        .unwrap();
    assert_eq!(content, "GET / HTTP/1.1\r\n\r\nMOREBYE");
    assert_eq!(counts.octets_there.load(std::sync::atomic::Ordering::Relaxed), 22);
    assert_eq!(counts.tunnels_open.load(std::sync::atomic::Ordering::Relaxed), 0);
}
