//! The client against the server, over the virtual network.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_http::cookie::Jar;
use doorway_http::io::client::{Ask, Client, ClientError, Journey, Settings};
use doorway_http::url::Url;
use doorway_http::{Config, Handlers, Sites};
use doorway_net::resolve::Hosts;
use doorway_net::web::{Body, BodyStream, Bytes, Handler, Request, Response};
use doorway_net::{BoxFuture, World, tcp};
use doorway_sim::{Link, Node, Simulation};

use crate::support::{Folder, SERVER, config, large, network};

fn hosts(names: &[(&str, &str)]) -> Arc<Hosts> {
    let mut hosts = Hosts::default();
    for (name, address) in names {
        hosts.add(name, address.parse::<IpAddr>().unwrap());
    }
    Arc::new(hosts)
}

fn client(world: &World) -> Client {
    let names = hosts(&[("web.test", "10.0.0.1")]);
    Client::new(world, names, None, Settings::default())
}

fn ask(url: &str) -> Ask {
    Ask::new("GET", Url::parse(url).unwrap())
}

/// Runs `part` with a client of a server that has `config`, 20 ms away.
fn with<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    config: Config,
    part: impl FnOnce(Client, World) -> F + Send + 'static,
) -> T {
    let link = Link { delay: Duration::from_millis(10), ..Link::default() };
    let (mut sim, node) = network(1, config, link);
    let world = sim.world(node);
    sim.run(node, async move { part(client(&world), world).await }).unwrap()
}

async fn text(body: Body) -> String {
    String::from_utf8(body.read(1 << 20).await.unwrap().to_vec()).unwrap()
}

#[test]
fn a_connection_is_used_again_and_one_that_ended_is_replaced() {
    let folder = Folder::new();
    with(config(Some(&folder.public())), |client, world| async move {
        let _folder = folder;
        let mut seen = Vec::new();
        for pause in [0, 1, 20, 40, 100] {
            world.sleep(Duration::from_secs(pause)).await;
            let answer = client.send(ask("http://web.test/plain.txt")).await.unwrap();
            assert_eq!((answer.response.status, answer.version), (200, "HTTP/1.1"));
            let timing = answer.timing;
            assert_eq!(timing.connect.as_millis() >= 20, !timing.reused, "{timing:?}");
            assert!((20..25).contains(&timing.wait.as_millis()), "{timing:?}");
            assert_eq!(text(answer.response.body).await, "plain\n");
            seen.push(timing.reused);
        }
        // Kept for 30 seconds.
        assert_eq!(seen, [false, true, true, false, false]);
    });
}

#[test]
fn who_reads_as_many_octets_as_were_announced_has_read_to_the_end() {
    let folder = Folder::new();
    with(config(Some(&folder.public())), |client, _| async move {
        let _folder = folder;
        for reused in [false, true, true] {
            let answer = client.send(ask("http://web.test/large.bin")).await.unwrap();
            assert_eq!(answer.timing.reused, reused);
            let Body::Stream(mut body) = answer.response.body else { panic!("it arrives in pieces") };
            let mut left = body.octets().unwrap();
            assert_eq!(left, large().len() as u64);
            while left > 0 {
                let piece = std::future::poll_fn(|cx| body.as_mut().poll_piece(cx)).await;
                left -= piece.unwrap().unwrap().len() as u64;
            }
        }
    });
}

#[test]
fn a_server_that_ends_an_idle_connection_is_asked_again() {
    let mut quick = config(None);
    quick.keepalive = Duration::from_secs(5);
    with(quick, |client, world| async move {
        for _ in 0..3 {
            let answer = client.send(ask("http://web.test/")).await.unwrap();
            drop(answer.response.body.read(1 << 20).await.unwrap());
            world.sleep(Duration::from_secs(6)).await;
        }
    });
}

#[test]
fn long_bodies_arrive_whole_both_ways() {
    let folder = Folder::new();
    with(config(Some(&folder.public())), |client, _| async move {
        let _folder = folder;
        let answer = client.send(ask("http://web.test/large.bin")).await.unwrap();
        assert_eq!(answer.response.body.read(1 << 20).await.unwrap(), large());
        let mut post = Ask::new("POST", Url::parse("http://web.test/echo?x").unwrap());
        post.body = Body::Whole(Bytes::from_static(b"hello"));
        let answer = client.send(post).await.unwrap();
        assert_eq!(
            text(answer.response.body).await,
            "POST /echo Some(\"x\") at web.test for 10.0.0.2: hello"
        );
        let answer = client.send(ask("http://web.test/slow")).await.unwrap();
        assert_eq!(text(answer.response.body).await, "1".repeat(6) + &"2".repeat(12) + &"3".repeat(18));
    });
}

#[test]
fn requests_sent_ahead_take_one_round_trip() {
    let folder = Folder::new();
    with(config(Some(&folder.public())), |client, world| async move {
        let _folder = folder;
        let paths = ["/plain.txt", "/", "/missing", "/plain.txt", "/sub/"];
        let asks = || paths.iter().map(|path| ask(&format!("http://web.test{path}"))).collect();
        client.pipeline(asks(), 1 << 20).await.unwrap();
        let began = world.now();
        let answers = client.pipeline(asks(), 1 << 20).await.unwrap();
        let took = world.now() - began;
        let found: Vec<_> = answers.iter().map(|answer| answer.response.status).collect();
        assert_eq!(found, [200, 200, 404, 200, 200]);
        assert!((20..25).contains(&took.as_millis()), "{took:?} for five requests on an open connection");
        let many = (0..100).map(|_| ask("http://web.test/plain.txt")).collect();
        assert_eq!(client.pipeline(many, 1 << 20).await.unwrap().len(), 100);
    });
}

#[test]
fn silence_ends_in_time_and_says_so() {
    with(config(None), |client, world| async move {
        let began = world.now();
        let error = client.send(ask("http://web.test/later")).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout("the response")), "{error}");
        assert_eq!((world.now() - began).as_secs(), 60);
        let error = client.send(ask("http://nowhere.test/")).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot find `nowhere.test`: there is no such name");
        let error = client.send(ask("ftp://web.test/")).await.unwrap_err();
        assert!(matches!(error, ClientError::Scheme(_)), "{error}");
    });
}

#[test]
fn an_address_that_does_not_answer_costs_a_quarter_of_a_second() {
    let (mut sim, node) = network(1, config(None), Link::default());
    let silent = sim.node("silent", "10.0.0.9");
    sim.link(silent, node, Link { loss: 1.0, ..Link::default() });
    let world = sim.world(node);
    let (took, error) = sim
        .run(node, async move {
            let names =
                hosts(&[("two.test", "10.0.0.9"), ("two.test", "10.0.0.1"), ("none.test", "10.0.0.9")]);
            let client = Client::new(&world, names, None, Settings::default());
            let began = world.now();
            let answer = client.send(ask("http://two.test/")).await.unwrap();
            assert_eq!(answer.remote.ip().to_string(), "10.0.0.1");
            let took = world.now() - began;
            (took, client.send(ask("http://none.test/")).await.unwrap_err())
        })
        .unwrap();
    assert!((250..300).contains(&took.as_millis()), "{took:?}");
    assert!(matches!(error, ClientError::Timeout("connecting")), "{error}");
}

/// Leads in circles, sets cookies and tells what it got.
struct Maze;

impl Handler for Maze {
    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let field = |name| request.fields.first(name).unwrap_or("-").to_owned();
            let to = |status, place: &str| Response { status, ..Response::default() }.with("Location", place);
            match request.path.as_str() {
                "/in" => to(302, "/second?x=1").with("Set-Cookie", "a=1; Path=/"),
                "/second" => to(303, "http://other.test/end").with("Set-Cookie", "b=2"),
                "/same" => to(307, "/end"),
                "/circle" => to(301, "/circle"),
                _ => {
                    let keys = (field("Cookie"), field("Authorization"), field("Content-Type"));
                    let body = request.body.read(100).await.unwrap();
                    let body = String::from_utf8_lossy(&body).into_owned();
                    Response::new(200, "text/plain", format!("{} {keys:?} {body}", request.method))
                }
            }
        })
    }
}

fn maze() -> (Simulation, World, Node) {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (world, config) = (sim.world(server), config(None));
    let sites = Sites::open(&config, &Handlers::default()).unwrap().mount("/", Arc::new(Maze));
    let service = Arc::new(doorway_http::Server::new(&world, &config, sites));
    tcp::serve(&world, SERVER.parse().unwrap(), &service.tcp_options(false), &service).unwrap();
    let world = sim.world(client);
    (sim, world, client)
}

#[test]
fn a_journey_carries_cookies_and_leaves_secrets_at_home() {
    let (mut sim, world, node) = maze();
    sim.run(node, async move {
        let names = hosts(&[("web.test", "10.0.0.1"), ("other.test", "10.0.0.1")]);
        let client = Client::new(&world, names, None, Settings::default());
        let post = |url: &str| {
            let mut ask = Ask::new("POST", Url::parse(url).unwrap());
            ask.fields.add("Authorization", "Bearer x");
            ask.fields.add("Content-Type", "text/plain");
            ask
        };
        let content = || Some(Bytes::from_static(b"body").into());
        let mut journey = Journey { jar: Some(Jar::new()), ..Journey::default() };
        let (answer, url) = journey.send(&client, post("http://web.test/in"), content()).await.unwrap();
        assert_eq!(url.to_string(), "http://other.test/end");
        assert_eq!(text(answer.response.body).await, r#"GET ("-", "-", "-") "#);
        let hops: Vec<_> = journey.hops.iter().map(|hop| (hop.url.to_string(), hop.status)).collect();
        let second = ("http://web.test/second?x=1".to_owned(), 303);
        assert_eq!(hops, [("http://web.test/in".to_owned(), 302), second]);
        let (answer, _) = journey.send(&client, post("http://web.test/same"), content()).await.unwrap();
        let told = text(answer.response.body).await;
        assert_eq!(told, r#"POST ("a=1; b=2", "Bearer x", "text/plain") body"#);
        let mut lost = Journey { redirects_max: 5, ..Journey::default() };
        let error = lost.send(&client, ask("http://web.test/circle"), None).await.unwrap_err();
        assert!(matches!(error, ClientError::Redirects(5)), "{error}");
    })
    .unwrap();
}

/// Pieces of 10 000 octets: so many, or without end.
struct Pieces(Option<u32>);

impl BodyStream for Pieces {
    fn poll_piece(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        match &mut self.0 {
            Some(0) => return Poll::Ready(None),
            Some(left) => *left -= 1,
            None => {}
        }
        Poll::Ready(Some(Ok(Bytes::from(vec![b'x'; 10_000]))))
    }
}

#[test]
fn content_that_a_server_refuses_is_not_sent_to_its_end() {
    with(config(None), |client, world| async move {
        for path in ["/slow", "/nobody/takes/this"] {
            let began = world.now();
            let body = Body::Stream(Box::pin(Pieces(None)));
            let mut post = Ask { method: "POST".into(), body, ..ask(&format!("http://web.test{path}")) };
            post.length = Some(1 << 40);
            let answer = client.send(post).await.unwrap();
            assert!(answer.response.status >= 400, "{path}: {}", answer.response.status);
            let took = world.now() - began;
            assert!(took < Duration::from_secs(1), "{path}: {took:?}");
        }
    });
}

#[test]
fn content_with_a_wrong_length_is_the_callers_fault() {
    with(config(None), |client, _| async move {
        for length in [9_999, 10_001] {
            let body = Body::Stream(Box::pin(Pieces(Some(1))));
            let post =
                Ask { method: "POST".into(), body, length: Some(length), ..ask("http://web.test/echo") };
            let error = client.send(post).await.unwrap_err();
            assert!(matches!(error, ClientError::Content(_)), "{length}: {error}");
        }
    });
}
