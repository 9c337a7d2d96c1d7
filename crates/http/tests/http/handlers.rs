//! Mounted handlers: bodies both ways, 100, clients that go away.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use doorway_http::{Handlers, Server, Sites};
use doorway_net::tcp;
use doorway_net::web::{BodyStream, Bytes, Handler, Request, Response};
use doorway_net::{BoxFuture, World};
use doorway_sim::{Link, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{SERVER, answers, config, dial, last, network};

/// Says what it was asked, and how.
pub(crate) struct Echo;

impl Handler for Echo {
    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let body = request.body.read(100).await.unwrap();
            let text = format!(
                "{} {} {:?} at {} for {}: {}",
                request.method,
                request.path,
                request.query,
                request.host,
                request.remote.ip(),
                String::from_utf8_lossy(&body)
            );
            Response::new(201, "text/plain", text).with("X-Sum", "1").with("Content-Length", "9")
        })
    }
}

/// Sends three pieces, five seconds apart.
pub(crate) struct Slow(pub(crate) World);

struct Pieces {
    world: World,
    sent: u8,
    pause: BoxFuture<'static, ()>,
}

impl BodyStream for Pieces {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        ready!(self.pause.as_mut().poll(cx));
        self.pause = self.world.sleep(Duration::from_secs(5));
        self.sent += 1;
        let piece = vec![b'0' + self.sent; usize::from(self.sent) * 6];
        Poll::Ready((self.sent <= 3).then(|| Ok(Bytes::from(piece))))
    }
}

impl Handler for Slow {
    fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
        let (world, pause) = (self.0.clone(), self.0.sleep(Duration::from_secs(5)));
        let pieces = Pieces { world, sent: 0, pause };
        Box::pin(async { Response::stream(200, "text/plain", pieces) })
    }
}

/// Answers after five minutes.
pub(crate) struct Later(pub(crate) World);

impl Handler for Later {
    fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
        Box::pin(async {
            self.0.sleep(Duration::from_secs(300)).await;
            Response { status: 204, ..Response::default() }
        })
    }
}

/// Never answers, and counts how often it was given up.
struct Never(Arc<AtomicUsize>);

struct GivenUp(Arc<AtomicUsize>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Handler for Never {
    fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
        let given_up = GivenUp(Arc::clone(&self.0));
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(given_up);
            Response::default()
        })
    }
}

#[test]
fn a_handler_is_given_up_when_its_client_goes_away() {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let world = sim.world(server);
    let config = config(None);
    let given_up = Arc::new(AtomicUsize::new(0));
    let site = Sites::open(&config, &Handlers::default())
        .unwrap()
        .mount("/", Arc::new(Never(Arc::clone(&given_up))));
    let service = Arc::new(Server::new(&world, &config, site));
    tcp::serve(&world, SERVER.parse().unwrap(), &service.tcp_options(false), &service).unwrap();
    let world = sim.world(client);
    let count = Arc::clone(&given_up);
    let before = sim.run(client, async move {
        let mut stream = dial(&world).await;
        stream.write_all(last("GET /").as_bytes()).await.unwrap();
        world.sleep(Duration::from_secs(30)).await;
        count.load(Relaxed)
    });
    sim.run_for(Duration::from_secs(29));
    assert_eq!((before.unwrap(), given_up.load(Relaxed)), (0, 0), "it may only have finished sending");
    sim.run_for(Duration::from_secs(2));
    assert_eq!(given_up.load(Relaxed), 1);
}

/// Answers after five seconds.
struct Late(World);

impl Handler for Late {
    fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
        Box::pin(async {
            self.0.sleep(Duration::from_secs(5)).await;
            Response::new(200, "text/plain", "late")
        })
    }
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let world = sim.world(server);
    let config = config(None);
    let site = Sites::open(&config, &Handlers::default()).unwrap().mount("/", Arc::new(Late(world.clone())));
    let service = Arc::new(Server::new(&world, &config, site));
    tcp::serve(&world, SERVER.parse().unwrap(), &service.tcp_options(false), &service).unwrap();
    let world = sim.world(client);
    let answer = sim.run(client, async move {
        let mut stream = dial(&world).await;
        stream.write_all(last("GET /").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    assert!(answer.unwrap().ends_with("late"));
}

#[test]
fn a_handler_gets_the_body_however_it_was_framed() {
    let check = |request: &str, body: &str| {
        let answer = answers(config(None), request);
        let (head, rest) = answer.rsplit_once("\r\n\r\n").unwrap();
        assert_eq!(rest, body, "{request:?}");
        let length = format!("Content-Type: text/plain\r\nX-Sum: 1\r\nContent-Length: {}", body.len());
        assert!(head.contains(&length), "{request:?}: {head}");
    };
    check(
        "POST /echo/x?q=1 HTTP/1.1\r\nHost: web.test:8080\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo/x Some(\"q=1\") at web.test for 10.0.0.2: hello",
    );
    check(
        "PUT http://b/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "PUT /echo None at b for 10.0.0.2: hello",
    );
    check("GET /echo HTTP/1.0\r\n\r\n", "GET /echo None at  for 10.0.0.2: ");
}

#[test]
fn a_client_that_waits_for_100_gets_it_before_it_sends() {
    let (mut sim, client) = network(1, config(None), Link::default());
    let world = sim.world(client);
    let answer = sim
        .run(client, async move {
            let mut stream = dial(&world).await;
            let head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut first = [0; 25];
            stream.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
            stream.write_all(b"ok").await.unwrap();
            let mut rest = String::new();
            stream.read_to_string(&mut rest).await.unwrap();
            rest
        })
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n") && answer.ends_with(": ok"), "{answer}");
}

#[test]
fn a_stream_is_chunked_for_1_1_and_ends_with_the_connection_for_1_0() {
    let body = "6\r\n111111\r\nc\r\n222222222222\r\n12\r\n333333333333333333\r\n0\r\n\r\n";
    let answer = answers(config(None), &last("GET /slow"));
    assert!(answer.contains("\r\nTransfer-Encoding: chunked\r\n") && answer.ends_with(body), "{answer}");
    let answer = answers(config(None), "GET /slow HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(!answer.contains("Transfer-Encoding") && !answer.contains("keep-alive"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n111111222222222222333333333333333333"), "{answer}");
    let answer = answers(config(None), &last("HEAD /slow"));
    assert!(
        answer.contains("\r\nTransfer-Encoding: chunked\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}
