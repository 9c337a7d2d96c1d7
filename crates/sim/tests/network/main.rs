//! The real service shells over the virtual network: what arrives, when, and what faults do to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail here")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use doorway_base::{Datagram, Instant, Responder, Verdict, Writer};
use doorway_net::ground::ListenOptions;
use doorway_net::limits::TcpLimits;
use doorway_net::tcp::{self, Connection, TcpOptions, TcpService};
use doorway_net::udp::{self, UdpOptions};
use doorway_net::{Stream, World};
use doorway_sim::{Link, Node, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

mod segment;

const SERVER: &str = "10.0.0.1";

/// Sends back what it hears, in upper case.
struct UpperCase;

impl TcpService for UpperCase {
    async fn serve(&self, mut connection: Connection) {
        let mut octets = [0; 4096];
        while let Ok(count @ 1..) = connection.stream.read(&mut octets).await {
            octets[..count].make_ascii_uppercase();
            if connection.stream.write_all(&octets[..count]).await.is_err() {
                return;
            }
        }
    }
}

impl Responder for UpperCase {
    fn answer(&mut self, _: Instant, query: Datagram<'_>, reply: &mut Writer<'_>) -> Verdict {
        reply.put(&query.octets.to_ascii_uppercase());
        Verdict::Reply
    }
}

fn serve_echo(world: &World) {
    let at = format!("{SERVER}:8888").parse().unwrap();
    tcp::serve(world, at, &TcpOptions::new("echo", "echo", 0), &Arc::new(UpperCase)).unwrap();
    udp::serve(world, at, &UdpOptions::new("echo", "echo", 0), |_, _| UpperCase).unwrap();
}

fn pair(seed: u64, link: Link) -> (Simulation, Node, Node) {
    let mut sim = Simulation::new(seed);
    let server = sim.node("server", SERVER);
    let client = sim.node("client", "10.0.0.2");
    sim.link(server, client, link);
    sim.boot(server, |world, _| serve_echo(world));
    (sim, server, client)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

async fn dial(world: &World) -> std::io::Result<Stream> {
    world.connect(format!("{SERVER}:8888").parse().unwrap()).await
}

async fn exchange(stream: &mut Stream, line: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(line).await?;
    let mut answer = vec![0; line.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[test]
fn a_connection_and_a_question_take_two_round_trips() {
    let (mut sim, _, client) = pair(1, Link { delay: millis(20), ..Link::default() });
    let world = sim.world(client);
    let took = sim.run(client, async move {
        let mut stream = dial(&world).await.unwrap();
        assert_eq!(exchange(&mut stream, b"hello").await.unwrap(), b"HELLO");
        world.now()
    });
    assert_eq!(took, Ok(Instant::ZERO + millis(80)));
}

#[test]
fn a_large_transfer_survives_loss_reordering_and_duplication() {
    let link = Link {
        delay: millis(10),
        jitter: millis(5),
        loss: 0.05,
        reorder: 0.05,
        duplicate: 0.05,
        ..Link::default()
    };
    let (mut sim, _, client) = pair(7, link);
    let world = sim.world(client);
    let sent: Vec<u8> = (0..500_000u32).map(|n| b'a' + (n % 26) as u8).collect();
    let wanted = sent.to_ascii_uppercase();
    let received = sim
        .run(client, async move {
            let stream = dial(&world).await.unwrap();
            let (mut reader, mut writer) = tokio::io::split(stream);
            world.spawn("client", async move {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            });
            let mut received = Vec::new();
            reader.read_to_end(&mut received).await.unwrap();
            received
        })
        .unwrap();
    assert!(received == wanted, "{} of {} octets, or other ones", received.len(), wanted.len());
}

#[test]
fn a_rate_bounds_the_throughput() {
    let link = Link { delay: millis(5), rate: 100_000, ..Link::default() };
    let (mut sim, _, client) = pair(3, link);
    let world = sim.world(client);
    let took = sim.run(client, async move {
        let stream = dial(&world).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(stream);
        world.spawn("client", async move { writer.write_all(&[b'x'; 200_000]).await.unwrap() });
        let mut received = vec![0; 200_000];
        reader.read_exact(&mut received).await.unwrap();
        world.now().since(Instant::ZERO)
    });
    let seconds = took.unwrap().as_secs_f64();
    // Acknowledgements queue behind the echo, so the window does not quite fill the link.
    assert!((2.0..3.0).contains(&seconds), "{seconds} s for 200 kB at 100 kB/s");
}

/// Ten datagrams a second apart; how many came back.
fn datagrams_answered(sim: &mut Simulation, client: Node) -> usize {
    let world = sim.world(client);
    sim.run(client, async move {
        let any = "0.0.0.0:0".parse().unwrap();
        let socket = world.udp(any, &ListenOptions::default()).unwrap().start().unwrap();
        let mut answered = 0;
        for number in 0..100u8 {
            socket.send(&[number], format!("{SERVER}:8888").parse().unwrap()).await.unwrap();
            let mut answer = [0; 16];
            let received = world.timeout(millis(1000), socket.receive(&mut answer)).await;
            answered += usize::from(matches!(received, Some(Ok((1, _)))));
        }
        answered
    })
    .unwrap()
}

#[test]
fn udp_loses_what_the_link_loses() {
    let (mut sim, _, client) = pair(11, Link { delay: millis(20), loss: 0.2, ..Link::default() });
    let answered = datagrams_answered(&mut sim, client);
    assert!((50..80).contains(&answered), "{answered}: two ways at 20 % each leave 64 of 100");
}

fn hash_of_a_lossy_run(seed: u64) -> String {
    let link = Link { delay: millis(20), jitter: millis(10), loss: 0.1, ..Link::default() };
    let (mut sim, _, client) = pair(seed, link);
    datagrams_answered(&mut sim, client);
    let world = sim.world(client);
    sim.run(client, async move {
        let mut stream = dial(&world).await.unwrap();
        exchange(&mut stream, b"hello").await.unwrap();
    })
    .unwrap();
    sim.trace().hash().to_string()
}

#[test]
fn one_seed_gives_one_trace() {
    let hash = hash_of_a_lossy_run(5);
    assert_eq!(hash, hash_of_a_lossy_run(5));
    assert_eq!(hash, hash_of_a_lossy_run(5));
    assert_ne!(hash, hash_of_a_lossy_run(6));
}

#[test]
fn a_partition_silences_and_healing_lets_tcp_go_on() {
    let (mut sim, server, client) = pair(2, Link { delay: millis(10), ..Link::default() });
    let world = sim.world(client);
    let mut stream = sim
        .run(client, async move {
            let mut stream = dial(&world).await.unwrap();
            exchange(&mut stream, b"before").await.unwrap();
            stream
        })
        .unwrap();
    sim.partition(&[server], &[client]);
    let world = sim.world(client);
    let answer = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&answer);
    let world_of_task = world.clone();
    sim.run(client, async move {
        world_of_task.spawn("client", async move {
            assert_eq!(exchange(&mut stream, b"after").await.unwrap(), b"AFTER");
            seen.store(1, Relaxed);
        });
    })
    .unwrap();
    sim.run_for(Duration::from_secs(5));
    assert_eq!(answer.load(Relaxed), 0);
    sim.heal(&[server], &[client]);
    sim.run_for(Duration::from_secs(10));
    assert_eq!(answer.load(Relaxed), 1);
}

#[test]
fn a_default_link_holds_for_hosts_that_have_met_already() {
    let mut sim = Simulation::new(1);
    let server = sim.node("server", SERVER);
    let client = sim.node("client", "10.0.0.2");
    sim.boot(server, |world, _| serve_echo(world));
    let mut round_trip = |link| {
        sim.default_link(link);
        let world = sim.world(client);
        let exchanged = sim.run(client, async move {
            let begun = world.now();
            exchange(&mut dial(&world).await.unwrap(), b"a").await.unwrap();
            world.now().since(begun)
        });
        exchanged.unwrap()
    };
    assert_eq!(round_trip(Link::default()), Duration::ZERO);
    assert_eq!(round_trip(Link { delay: millis(10), ..Link::default() }), millis(40));
}

#[test]
fn a_reader_may_pause_for_an_hour() {
    struct Talkative;
    impl TcpService for Talkative {
        async fn serve(&self, mut connection: Connection) {
            let _ = connection.stream.write_all(&[7; 300_000]).await;
        }
    }
    let (mut sim, server, client) = pair(3, Link { delay: millis(10), ..Link::default() });
    let limits = TcpLimits {
        first_octet: Duration::ZERO,
        idle: Duration::ZERO,
        write_stall: Duration::ZERO,
        ..TcpLimits::default()
    };
    let options = TcpOptions { limits, ..TcpOptions::new("talk", "talk", 0) };
    let at = format!("{SERVER}:99").parse().unwrap();
    tcp::serve(&sim.world(server), at, &options, &Arc::new(Talkative)).unwrap();
    let world = sim.world(client);
    let count = sim.run(client, async move {
        let mut stream = world.connect(at).await.unwrap();
        world.sleep(Duration::from_secs(3600)).await;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.map(|_| heard.len()).map_err(|error| error.kind())
    });
    assert_eq!(count, Ok(Ok(300_000)));
}

#[test]
fn a_crashed_server_resets_old_connections_and_takes_new_ones_after_its_restart() {
    let (mut sim, server, client) = pair(2, Link { delay: millis(10), ..Link::default() });
    let world = sim.world(client);
    let mut old = sim.run(client, async move { dial(&world).await.unwrap() }).unwrap();
    let world_before = sim.world(server);
    sim.crash(server);
    sim.restart(server);
    drop(world_before); // and the doors in it, at the addresses of the new ones
    let world = sim.world(client);
    let (error, answer) = sim
        .run(client, async move {
            let error = exchange(&mut old, b"hello").await.unwrap_err().kind();
            let mut new = dial(&world).await.unwrap();
            (error, exchange(&mut new, b"hello").await.unwrap())
        })
        .unwrap();
    assert_eq!((error, answer.as_slice()), (std::io::ErrorKind::ConnectionReset, b"HELLO".as_slice()));
}

#[test]
fn nobody_listening_refuses_and_nobody_there_times_out() {
    let (mut sim, server, client) = pair(2, Link { delay: millis(10), ..Link::default() });
    let world = sim.world(client);
    let kind = sim
        .run(client, async move { world.connect("10.0.0.1:81".parse().unwrap()).await.unwrap_err().kind() });
    assert_eq!(kind, Ok(std::io::ErrorKind::ConnectionRefused));
    sim.crash(server);
    let world = sim.world(client);
    let kind = sim.run(client, async move { dial(&world).await.unwrap_err().kind() });
    assert_eq!(kind, Ok(std::io::ErrorKind::TimedOut));
}

#[test]
fn a_broadcast_reaches_its_segment_and_no_other() {
    let mut sim = Simulation::new(1);
    let nodes = [("a", "10.0.0.1", 0), ("b", "10.0.0.2", 0), ("c", "10.0.1.1", 1)]
        .map(|(name, address, segment)| sim.node_on(name, address, segment));
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    for node in nodes {
        let heard = Arc::clone(&heard);
        sim.boot(node, move |world, _| {
            let (world, heard) = (world.clone(), Arc::clone(&heard));
            let name = world.node().to_string();
            let at = "0.0.0.0:67".parse().unwrap();
            let socket = world.udp(at, &ListenOptions::default()).unwrap().start().unwrap();
            world.spawn("listener", async move {
                while socket.receive(&mut [0; 16]).await.is_ok() {
                    heard.lock().unwrap().push(name.clone());
                }
            });
        });
    }
    let world = sim.world(nodes[0]);
    sim.run(nodes[0], async move {
        let at = "0.0.0.0:68".parse().unwrap();
        let socket = world.udp(at, &ListenOptions::default()).unwrap().start().unwrap();
        socket.send(b"who?", "255.255.255.255:67".parse().unwrap()).await.unwrap();
    })
    .unwrap();
    sim.run_for(millis(10));
    assert_eq!(*heard.lock().unwrap(), ["b"]);
}

#[test]
fn a_program_that_waits_for_nothing_is_told_so() {
    let mut sim = Simulation::new(1);
    let node = sim.node("a", "10.0.0.1");
    assert!(sim.run(node, std::future::pending::<()>()).is_err());
}

#[test]
fn the_sweep_ends_idle_and_silent_connections() {
    let mut sim = Simulation::new(1);
    let server = sim.node("server", SERVER);
    let client = sim.node("client", "10.0.0.2");
    let world = sim.world(server);
    let limits = TcpLimits {
        idle: Duration::from_secs(60),
        first_octet: Duration::from_secs(30),
        ..TcpLimits::default()
    };
    let options = TcpOptions { limits, ..TcpOptions::new("echo", "echo", 0) };
    let door = tcp::serve(&world, format!("{SERVER}:8888").parse().unwrap(), &options, &Arc::new(UpperCase))
        .unwrap();
    let world = sim.world(client);
    let (silent, idle) = sim
        .run(client, async move {
            let mut silent = dial(&world).await.unwrap();
            let mut idle = dial(&world).await.unwrap();
            exchange(&mut idle, b"x").await.unwrap();
            let end = silent.read(&mut [0; 1]).await.unwrap();
            assert_eq!(end, 0);
            let silent = world.now().since(Instant::ZERO).as_secs();
            assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
            (silent, world.now().since(Instant::ZERO).as_secs())
        })
        .unwrap();
    assert!((30..=32).contains(&silent), "{silent}");
    assert!((60..=62).contains(&idle), "{idle}");
    let counts = door.door().counts();
    assert_eq!((counts.accepted, counts.open), (2, 0));
    assert!(counts.ended.contains(&("idle", 1)) && counts.ended.contains(&("first_octet", 1)));
}

#[test]
fn a_drain_lets_those_inside_finish_and_ends_the_rest_at_the_deadline() {
    /// Echoes until asked to finish, unless it is told to be stubborn.
    struct Polite;
    impl TcpService for Polite {
        async fn serve(&self, mut connection: Connection) {
            let mut octets = [0; 64];
            loop {
                let drained = connection.drained();
                tokio::select! {
                    biased;
                    () = drained => {
                        if octets[0] == b'!' {
                            std::future::pending::<()>().await;
                        }
                        return;
                    }
                    read = connection.stream.read(&mut octets) => if !matches!(read, Ok(1..)) { return },
                }
            }
        }
    }
    let mut sim = Simulation::new(1);
    let server = sim.node("server", SERVER);
    let client = sim.node("client", "10.0.0.2");
    let server_world = sim.world(server);
    let at = format!("{SERVER}:8888").parse().unwrap();
    tcp::serve(&server_world, at, &TcpOptions::new("echo", "echo", 0), &Arc::new(Polite)).unwrap();
    let world = sim.world(client);
    let result = sim.run(client, async move {
        let mut polite = dial(&world).await.unwrap();
        let mut stubborn = dial(&world).await.unwrap();
        polite.write_all(b".").await.unwrap();
        stubborn.write_all(b"!").await.unwrap();
        world.sleep(millis(100)).await;
        assert_eq!(server_world.doors().connections(), 2);
        let deadline = server_world.now() + Duration::from_secs(30);
        let ended = server_world.doors().drain(&server_world, deadline).await;
        assert_eq!(polite.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(dial(&world).await.is_err(), "the door is closed");
        (ended, server_world.now() >= deadline)
    });
    assert_eq!(result, Ok((1, true)));
}

#[test]
fn a_panic_ends_one_connection_and_is_counted() {
    struct Touchy;
    impl TcpService for Touchy {
        async fn serve(&self, mut connection: Connection) {
            let mut octets = [0; 1];
            while let Ok(1) = connection.stream.read(&mut octets).await {
                assert_ne!(octets[0], b'?', "asked the wrong question");
                let _ = connection.stream.write_all(&octets).await;
            }
        }
    }
    let mut sim = Simulation::new(1);
    let server = sim.node("server", SERVER);
    let client = sim.node("client", "10.0.0.2");
    let server_world = sim.world(server);
    let at = format!("{SERVER}:8888").parse().unwrap();
    tcp::serve(&server_world, at, &TcpOptions::new("echo", "echo", 0), &Arc::new(Touchy)).unwrap();
    let world = sim.world(client);
    sim.run(client, async move {
        let mut good = dial(&world).await.unwrap();
        let mut bad = dial(&world).await.unwrap();
        exchange(&mut good, b".").await.unwrap();
        assert!(exchange(&mut bad, b"?").await.is_err());
        exchange(&mut good, b".").await.unwrap();
    })
    .unwrap();
    assert_eq!(server_world.doors().panics(), 1);
}
