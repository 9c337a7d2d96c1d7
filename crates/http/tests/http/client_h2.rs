//! The client over HTTP/2 against the server, over the virtual network.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_http::io::client::{Answer, Ask, Client, ClientError, Settings};
use doorway_http::url::Url;
use doorway_http::{Config, Handlers, Server, Sites};
use doorway_net::resolve::Hosts;
use doorway_net::web::{Body, BodyStream, Bytes, Handler, Request, Response};
use doorway_net::{BoxFuture, World, tcp};
use doorway_sim::{Link, Simulation};

use crate::handlers::Echo;
use crate::support::{Folder, SERVER, config, large, network};

fn client(world: &World) -> Client {
    let mut hosts = Hosts::default();
    hosts.add("web.test", "10.0.0.1".parse().unwrap());
    Client::new(world, Arc::new(hosts), None, Settings { prior_knowledge: true, ..Settings::default() })
}

fn ask(path: &str) -> Ask {
    Ask::new("GET", Url::parse(&format!("http://web.test{path}")).unwrap())
}

/// Runs `part` with a client of a server that has `config`, 20 ms away.
fn with<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    config: Config,
    part: impl FnOnce(Client, World) -> F + Send + 'static,
) -> T {
    let link = Link { delay: Duration::from_millis(10), ..Link::default() };
    let mut sim = Simulation::new(1);
    let (server, node) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    sim.link(server, node, link);
    let (world, config) = (sim.world(server), Config { h2c: true, ..config });
    let sites = Sites::open(&config, &Handlers::default()).unwrap();
    let sites = sites.mount("/echo", Arc::new(Echo)).mount("/count", Arc::new(Count));
    let server = Arc::new(Server::new(&world, &config, sites));
    tcp::serve(&world, SERVER.parse().unwrap(), &server.tcp_options(false), &server).unwrap();
    let world = sim.world(node);
    sim.run(node, async move { part(client(&world), world).await }).unwrap()
}

async fn octets(answer: Answer) -> Bytes {
    answer.response.body.read(1 << 24).await.unwrap()
}

/// Waits for all of them, side by side.
async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut left: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut done: Vec<_> = left.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in left.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let Poll::Ready(output) = running.as_mut().poll(cx)
            {
                (*done, *future) = (Some(output), None);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Says how long the content was.
struct Count;

impl Handler for Count {
    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let body = request.body.read(1 << 24).await.unwrap();
            Response::new(200, "text/plain", body.len().to_string())
        })
    }
}

/// So many pieces of 10 000 octets.
struct Pieces(u32);

impl BodyStream for Pieces {
    fn poll_piece(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Poll::Ready(Some(Ok(Bytes::from(vec![b'x'; 10_000]))))
    }
}

#[test]
fn requests_side_by_side_share_one_connection_and_take_one_round_trip() {
    let folder = Folder::new();
    with(config(Some(&folder.public())), |client, world| async move {
        let _folder = folder;
        let paths = ["/plain.txt", "/large.bin", "/missing", "/sub/", "/plain.txt"];
        let answers = all(paths.map(|path| client.send(ask(path)))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let opened = answers.iter().filter(|answer| !answer.timing.reused).count();
        assert_eq!(opened, 1, "the others wait for the connection of the first");
        assert!(answers.iter().all(|answer| answer.version == "HTTP/2"));
        let statuses: Vec<_> = answers.iter().map(|answer| answer.response.status).collect();
        assert_eq!(statuses, [200, 200, 404, 200, 200]);
        let bodies = all(answers.into_iter().map(octets)).await;
        assert_eq!((&bodies[1][..], &bodies[4][..]), (&large()[..], &b"plain\n"[..]));
        let began = world.now();
        let answers = all((0..50).map(|_| client.send(ask("/plain.txt")))).await;
        let took = world.now() - began;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|one| one.timing.reused)));
        assert!((20..25).contains(&took.as_millis()), "{took:?} for fifty requests");
    });
}

#[test]
fn more_requests_than_the_server_takes_wait_for_each_other() {
    let folder = Folder::new();
    with(config(Some(&folder.public())), |client, _| async move {
        let _folder = folder;
        let answers =
            all((0..500).map(|_| async { octets(client.send(ask("/plain.txt")).await.unwrap()).await }));
        assert!(answers.await.iter().all(|body| body == "plain\n"));
    });
}

#[test]
fn content_goes_out_within_the_windows_whole_or_in_pieces() {
    with(config(None), |client, _| async move {
        let mut post = Ask { body: Body::Whole(Bytes::from_static(b"hello")), ..ask("/echo?x") };
        post.method = "POST".into();
        let answer = client.send(post).await.unwrap();
        assert_eq!(octets(answer).await, "POST /echo Some(\"x\") at web.test for 10.0.0.2: hello");
        for length in [None, Some(600_000)] {
            let body = Body::Stream(Box::pin(Pieces(60)));
            let post = Ask { method: "POST".into(), body, length, ..ask("/count") };
            let answer = client.send(post).await.unwrap();
            assert_eq!(octets(answer).await, "600000");
        }
        let body = Body::Stream(Box::pin(Pieces(1)));
        let short = Ask { method: "POST".into(), body, length: Some(10_001), ..ask("/count") };
        let error = client.send(short).await.unwrap_err();
        assert!(matches!(error, ClientError::Content(_)), "{error}");
        // The connection is none the worse for it.
        assert!(client.send(ask("/")).await.unwrap().timing.reused);
    });
}

#[test]
fn a_body_that_is_not_read_holds_nobody_else_up() {
    let folder = Folder::new();
    folder.write("public/huge.bin", &vec![b'h'; 12 << 20]);
    with(config(Some(&folder.public())), |client, world| async move {
        let _folder = folder;
        let unread = client.send(ask("/huge.bin")).await.unwrap();
        world.sleep(Duration::from_secs(1)).await;
        assert_eq!(octets(client.send(ask("/plain.txt")).await.unwrap()).await, "plain\n");
        // Given up, it gives its room on the connection back: else these could not come through.
        drop(unread);
        for _ in 0..8 {
            drop(client.send(ask("/huge.bin")).await.unwrap());
        }
        let last = client.send(ask("/huge.bin")).await.unwrap();
        assert!(last.timing.reused);
        assert_eq!(octets(last).await.len(), 12 << 20);
    });
}

#[test]
fn an_idle_connection_is_left_and_the_next_request_opens_another() {
    let mut quick = config(None);
    quick.keepalive = Duration::from_secs(5);
    for (config, pauses) in [(config(None), [1, 29, 31, 100]), (quick, [1, 4, 6, 100])] {
        with(config, move |client, world| async move {
            let mut reused = Vec::new();
            for pause in pauses {
                world.sleep(Duration::from_secs(pause)).await;
                let answer = client.send(ask("/")).await.unwrap();
                reused.push(answer.timing.reused);
                octets(answer).await;
            }
            assert_eq!(reused, [false, true, false, false], "{pauses:?}");
        });
    }
}

#[test]
fn a_server_that_takes_the_preface_for_a_bad_request_is_told_of() {
    let (mut sim, node) = network(1, config(None), Link::default());
    let world = sim.world(node);
    sim.run(node, async move {
        let error = client(&world).send(ask("/")).await.unwrap_err();
        assert!(matches!(error, ClientError::Violated(why) if why.rule.code == "first_frame"), "{error}");
    })
    .unwrap();
}
