//! Handlers that take a request's body as it comes, and those that take the connection over.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_http::{Handlers, Server, Sites};
use doorway_net::web::{Body, BodyStream, Bytes, Fields, Handler, Request, Response, Taking};
use doorway_net::{BoxFuture, World, tcp};
use doorway_sim::{Node, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{SERVER, config, dial};

/// What a test's handler does with a body that it takes as it comes.
#[derive(Clone, Copy)]
enum Way {
    /// Sends each piece back at once.
    Echo,
    /// Reads one piece every ten seconds, counting octets.
    Slowly,
    /// Reads nothing.
    Ignore,
    /// Reads to the end or the error, and tells which.
    Tell,
    /// Takes the connection over and speaks in capitals.
    Upgrade,
}

struct Taker {
    way: Way,
    world: World,
    read: Arc<AtomicU64>,
}

impl Handler for Taker {
    fn taking(&self, _: &str, _: &str) -> Taking {
        Taking::Stream
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            match (self.way, request.body) {
                (Way::Echo, Body::Stream(body)) => Response::stream(200, "text/plain", Back(body)),
                (Way::Slowly, Body::Stream(mut body)) => {
                    while let Some(Ok(piece)) = next(&mut body).await {
                        self.read.fetch_add(piece.len() as u64, Relaxed);
                        self.world.sleep(Duration::from_secs(10)).await;
                    }
                    Response::new(200, "text/plain", "read")
                }
                (Way::Tell, Body::Stream(mut body)) => loop {
                    match next(&mut body).await {
                        Some(Ok(piece)) => drop(self.read.fetch_add(piece.len() as u64, Relaxed)),
                        Some(Err(error)) => return Response::new(500, "text/plain", error.to_string()),
                        None => return Response::new(200, "text/plain", "whole"),
                    }
                },
                (Way::Upgrade, _) => upgrade(),
                _ => Response::new(403, "text/plain", "no"),
            }
        })
    }
}

/// A request's body as a response's.
struct Back(Pin<Box<dyn BodyStream>>);

impl BodyStream for Back {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.0.as_mut().poll_piece(cx)
    }
}

async fn next(body: &mut Pin<Box<dyn BodyStream>>) -> Option<io::Result<Bytes>> {
    std::future::poll_fn(|cx| body.as_mut().poll_piece(cx)).await
}

fn upgrade() -> Response {
    let mut fields = Fields::new();
    fields.add("Upgrade", "shout");
    let shout = |ahead: Vec<u8>, mut stream: doorway_net::Stream| -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut heard = ahead;
            loop {
                if stream.write_all(&heard.to_ascii_uppercase()).await.is_err() {
                    return;
                }
                heard.resize(64, 0);
                match stream.read(&mut heard).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => heard.truncate(count),
                }
            }
        })
    };
    Response { status: 101, fields, body: Body::Empty, upgrade: Some(Box::new(shout)) }
}

fn network(way: Way) -> (Simulation, World, Node, Arc<AtomicU64>) {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (world, config) = (sim.world(server), config(None));
    let read = Arc::new(AtomicU64::new(0));
    let taker = Taker { way, world: world.clone(), read: Arc::clone(&read) };
    let site = Sites::open(&config, &Handlers::default()).unwrap().mount("/", Arc::new(taker));
    let service = Arc::new(Server::new(&world, &config, site));
    tcp::serve(&world, SERVER.parse().unwrap(), &service.tcp_options(false), &service).unwrap();
    (sim, world, client, read)
}

/// Runs one client that sends each part and then reads until it has seen the text behind it.
#[track_caller]
fn dialogue(way: Way, parts: &[(&str, &str)]) -> u64 {
    let (mut sim, _, client, read) = network(way);
    let world = sim.world(client);
    let parts: Vec<_> = parts.iter().map(|(send, until)| (send.to_string(), until.to_string())).collect();
    let done = sim.run(client, async move {
        let mut stream = dial(&world).await;
        for (send, until) in parts {
            stream.write_all(send.as_bytes()).await.unwrap();
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains(&until) {
                let mut piece = [0; 4096];
                let count = stream.read(&mut piece).await.unwrap();
                assert!(count > 0, "{until:?} was expected in {:?}", String::from_utf8_lossy(&seen));
                seen.extend_from_slice(&piece[..count]);
            }
        }
    });
    done.unwrap();
    read.load(Relaxed)
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_body_can_be_answered_while_it_still_comes_and_the_connection_goes_on() {
    let again = ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nend", "end\r\n0\r\n\r\n");
    dialogue(
        Way::Echo,
        &[(CHUNKED, ""), ("3\r\none\r\n", "one"), ("3\r\ntwo\r\n", "two"), ("0\r\n\r\n", "0\r\n\r\n"), again],
    );
    let together = format!("{CHUNKED}1\r\na\r\n1\r\nb\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    dialogue(Way::Echo, &[(&together, "403 Forbidden")]);
}

#[test]
fn the_invitation_comes_when_the_handler_asks_and_not_before() {
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    dialogue(Way::Echo, &[(head, "HTTP/1.1 100 Continue\r\n\r\n"), ("ok", "ok")]);
    dialogue(Way::Ignore, &[(head, "HTTP/1.1 403 Forbidden\r\n")]);
}

#[test]
fn a_body_that_breaks_off_or_breaks_a_rule_is_never_whole_to_its_handler() {
    let check = |octets: &'static str, status: &str, read: u64| {
        let (mut sim, _, client, count) = network(Way::Tell);
        let world = sim.world(client);
        let answer = sim.run(client, async move {
            let mut stream = dial(&world).await;
            stream.write_all(octets.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        });
        assert!(answer.as_ref().unwrap().starts_with(status), "{octets:?}: {answer:?}");
        assert_eq!(count.load(Relaxed), read, "{octets:?}");
    };
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK", 2);
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nno", "", 2);
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\nx\r\n",
        "HTTP/1.1 400 Bad Request\r\n",
        0,
    );
}

#[test]
fn a_slow_handler_holds_its_client_back_and_does_not_blame_it() {
    let (mut sim, _, client, read) = network(Way::Slowly);
    let world = sim.world(client);
    let answer = sim.run(client, async move {
        let mut stream = dial(&world).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    assert!(answer.unwrap().ends_with("\r\n\r\nread"));
    assert_eq!(read.load(Relaxed), 1_000_000);
}

#[test]
fn a_client_that_stops_sending_a_body_gets_408() {
    let (mut sim, _, client, _) = network(Way::Tell);
    let world = sim.world(client);
    let answer = sim.run(client, async move {
        let mut stream = dial(&world).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf";
        let began = world.now();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer, world.now() - began)
    });
    let (answer, time) = answer.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!((20..24).contains(&time.as_secs()), "{time:?}");
}

#[test]
fn an_upgraded_connection_belongs_to_its_handler() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nahead";
    dialogue(
        Way::Upgrade,
        &[(head, "HTTP/1.1 101 Switching Protocols\r\n"), ("hello", "HELLO"), ("bye", "BYE")],
    );
}

#[test]
fn a_client_that_has_finished_before_its_handler_asks_is_read_to_the_end() {
    let (mut sim, _, client, read) = network(Way::Slowly);
    let world = sim.world(client);
    let answer = sim.run(client, async move {
        let mut stream = dial(&world).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        world.sleep(Duration::from_secs(5)).await;
        // The handler has what came and asks again five seconds from here.
        stream.write_all(b"5\r\nthere\r\n0\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let answer = answer.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\n\r\nread"), "{answer}");
    assert_eq!(read.load(Relaxed), 10);
}
