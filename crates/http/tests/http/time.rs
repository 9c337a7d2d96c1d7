//! Time-outs, silence, slow lines and draining, in virtual time.

use std::time::Duration;

use doorway_http::Config;
use doorway_sim::{Link, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Folder, config, dial, last, network, serve, talk};

#[test]
fn a_slow_head_gets_408_and_a_silent_connection_is_closed() {
    let folder = Folder::new();
    let (mut sim, client) = network(1, config(Some(&folder.public())), Link::default());
    let world = sim.world(client);
    let (slow, slow_took, idle_took) = sim
        .run(client, async move {
            let mut stream = dial(&world).await;
            let start = world.now();
            let mut answer = Vec::new();
            stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
            stream.read_to_end(&mut answer).await.unwrap();
            let slow_took = world.now() - start;
            let mut stream = dial(&world).await;
            let start = world.now();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
            (String::from_utf8(answer).unwrap(), slow_took, world.now() - start)
        })
        .unwrap();
    assert!(slow.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{slow}");
    assert_eq!(slow_took.as_secs(), 10);
    assert_eq!(idle_took.as_secs(), 60);
}

#[test]
fn a_closing_door_finishes_what_was_asked_and_lets_go_of_the_rest() {
    let folder = Folder::new();
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (_, door) = serve(&sim.world(server), &config(Some(&folder.public())));
    let world = sim.world(client);
    let (idle, busy) = sim
        .run(client, async move {
            let mut idle = dial(&world).await;
            let mut busy = dial(&world).await;
            busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            world.sleep(Duration::from_secs(1)).await;
            door.close();
            let mut answer = Vec::new();
            busy.read_to_end(&mut answer).await.unwrap();
            (idle.read_to_end(&mut Vec::new()).await.unwrap(), String::from_utf8(answer).unwrap())
        })
        .unwrap();
    assert_eq!(idle, 0);
    assert!(busy.starts_with("HTTP/1.1 200 OK\r\n") && busy.ends_with("0\r\n\r\n"), "{busy}");
}

#[test]
fn slow_work_and_a_slow_line_are_no_silence() {
    let folder = Folder::new();
    let link = Link { rate: 50_000, ..Link::default() };
    let config = Config { keepalive: Duration::from_secs(2), ..config(Some(&folder.public())) };
    let (mut sim, client) = network(1, config, link);
    let world = sim.world(client);
    let (length, took) = sim
        .run(client, async move {
            let length = talk(&world, last("GET /large.bin").as_bytes()).await.len();
            let start = world.now();
            talk(&world, last("GET /later").as_bytes()).await;
            (length, world.now() - start)
        })
        .unwrap();
    assert!(length > 300_000, "{length} octets");
    assert_eq!(took.as_secs(), 300);
}
