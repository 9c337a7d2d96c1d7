//! What others see of the server: the trace, counters, the room a connection takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use doorway_base::trace::{Direction, Step, TraceHash};
use doorway_http::{Handlers, Server, Sites};
use doorway_net::tcp::{self, Connection, TcpService};
use doorway_sim::{Link, Simulation};

use crate::support::{Folder, SERVER, config, last, network, serve, talk};

/// Every octet that passed, each way, and the hash over the trace.
fn traced(seed: u64, folder: &Folder) -> (Vec<u8>, Vec<u8>, TraceHash, Vec<u8>) {
    let link = Link { delay: Duration::from_millis(20), loss: 0.05, ..Link::default() };
    let (mut sim, client) = network(seed, config(Some(&folder.public())), link);
    let world = sim.world(client);
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
         GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = sim.run(client, async move { talk(&world, request.as_bytes()).await }).unwrap();
    let octets = |direction| {
        let events = sim.trace().events();
        let messages = events.iter().filter(|event| event.step == Step::Message);
        messages
            .filter(|event| event.direction == direction)
            .flat_map(|event| event.octets.to_vec())
            .collect()
    };
    assert!(octets(Direction::In) == request.as_bytes());
    (octets(Direction::In), octets(Direction::Out), sim.trace().hash(), answer)
}

#[test]
fn every_octet_passes_the_trace_once_and_equal_seeds_give_equal_traces() {
    let folder = Folder::new();
    let (_, out, hash, answer) = traced(5, &folder);
    assert!(out == answer, "{} octets traced, {} sent", out.len(), answer.len());
    assert_eq!(traced(5, &folder).2, hash);
    assert_ne!(traced(6, &folder).2, hash);
}

/// Notes how large the future of a connection is.
struct Measured(Arc<Server>, Arc<AtomicUsize>);

impl TcpService for Measured {
    async fn serve(&self, connection: Connection) {
        let future = self.0.serve(connection);
        self.1.store(size_of_val(&future), Relaxed);
        future.await;
    }
}

#[test]
fn a_connection_that_waits_is_small() {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let size = Arc::new(AtomicUsize::new(0));
    let world = sim.world(server);
    let config = config(None);
    let service = Arc::new(Server::new(&world, &config, Sites::open(&config, &Handlers::default()).unwrap()));
    let options = service.tcp_options(false);
    let measured = Arc::new(Measured(Arc::clone(&service), Arc::clone(&size)));
    tcp::serve(&world, SERVER.parse().unwrap(), &options, &measured).unwrap();
    let world = sim.world(client);
    sim.run(client, async move { talk(&world, last("GET /").as_bytes()).await }).unwrap();
    assert!((1..=1024).contains(&size.load(Relaxed)), "{} octets", size.load(Relaxed));
    let counts = service.counts();
    assert_eq!((counts.requests, counts.responses), (1, [0, 1, 0, 0, 0]));
}

#[test]
fn broken_rules_are_counted_by_name() {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (service, _) = serve(&sim.world(server), &config(None));
    let world = sim.world(client);
    sim.run(client, async move { talk(&world, b"GET / HTTP/1.1\nHost: a\r\n\r\n").await }).unwrap();
    let counts = service.counts();
    let broken: Vec<_> = counts.refusals().filter(|(_, count)| *count > 0).collect();
    assert_eq!(broken, [("bare_lf", 1)]);
    assert_eq!(counts.responses, [0, 0, 0, 1, 0]);
}
