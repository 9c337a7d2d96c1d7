//! The same server on a virtual network that is slow and loses packets, with a clock that jumps.

use std::time::Duration;

use doorway_base::Instant;
use doorway_base::trace::TraceHash;
use doorway_dns::io::Surroundings;
use doorway_dns::io::stream::IDLE_MAX;
use doorway_dns::wire::{Message, Rcode, Type};
use doorway_dns::{Config, Server};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_sim::{Link, Node, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::doors::{framed, next, octets};

const SERVER: &str = "10.0.0.1:53";

fn network(seed: u64, loss: f64) -> (Simulation, Node) {
    let mut sim = Simulation::new(seed);
    let server = sim.node("server", "10.0.0.1");
    let client = sim.node("client", "10.0.0.2");
    sim.link(server, client, Link { delay: Duration::from_millis(20), loss, ..Link::default() });
    sim.boot(server, |world, _| {
        let config = Config { listen: vec![SERVER.parse().unwrap()], ..Config::default() };
        Server::start(world, &config, &Surroundings::default()).unwrap();
    });
    (sim, client)
}

/// Asks until an answer comes, a second apart.
async fn over_udp(world: &World, query: &[u8]) -> Message {
    let here = "10.0.0.2:0".parse().unwrap();
    let socket = world.udp(here, &ListenOptions::default()).unwrap().start().unwrap();
    let mut room = [0; 4096];
    loop {
        socket.send(query, SERVER.parse().unwrap()).await.unwrap();
        if let Some(Ok((count, _))) = world.timeout(Duration::from_secs(1), socket.receive(&mut room)).await {
            return Message::read(&room[..count]).unwrap();
        }
    }
}

/// A hundred questions over UDP and a hundred over one connection, on a bad link.
fn ask(seed: u64) -> (Instant, TraceHash) {
    let (mut sim, client) = network(seed, 0.05);
    let world = sim.world(client);
    let done = sim.run(client, async move {
        for _ in 0..100 {
            assert_eq!(over_udp(&world, &octets("www.home.arpa", Type::A)).await.rcode(), Rcode::NOERROR);
        }
        let mut stream = world.connect(SERVER.parse().unwrap()).await.unwrap();
        stream.write_all(&framed(&octets("none.home.arpa", Type::A)).repeat(100)).await.unwrap();
        for _ in 0..100 {
            assert_eq!(next(&mut stream).await.rcode(), Rcode::NXDOMAIN);
        }
        world.now()
    });
    (done.unwrap(), sim.trace().hash())
}

#[test]
fn a_bad_link_delays_answers_and_loses_none_and_every_run_of_a_seed_is_the_same() {
    let first = ask(7);
    assert_eq!([ask(7), ask(7)], [first, first]);
    assert_ne!(ask(8).1, first.1);
    // A hundred round trips of 40 ms, and a second more for each that was lost.
    let least = Duration::from_secs(4);
    assert!(first.0 - Instant::ZERO > least, "{:?}", first.0);
}

#[test]
fn a_silent_connection_is_closed_and_a_busy_one_stays() {
    let (mut sim, client) = network(1, 0.0);
    let world = sim.world(client);
    let closed_after = sim.run(client, async move {
        let mut stream = world.connect(SERVER.parse().unwrap()).await.unwrap();
        for _ in 0..5 {
            world.sleep(IDLE_MAX - Duration::from_secs(3)).await;
            stream.write_all(&framed(&octets("home.arpa", Type::NS))).await.unwrap();
            next(&mut stream).await;
        }
        let silent_since = world.now();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
        world.now() - silent_since
    });
    let closed_after = closed_after.unwrap();
    let about = IDLE_MAX..IDLE_MAX + Duration::from_secs(3);
    assert!(about.contains(&closed_after), "{closed_after:?}");
}
