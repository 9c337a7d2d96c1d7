//! Attacks on the whole server over a virtual network, each with the defence on, when it holds, and off,
//! when it does not. `defences.rs` attacks the resolver's engine alone.

use std::time::Duration;

use doorway_dns::config::Resolver;
use doorway_dns::front::access::Access;
use doorway_dns::front::rate::Rate;
use doorway_dns::io::Surroundings;
use doorway_dns::io::stream::{CONNECTIONS_PER_ADDRESS_MAX, IDLE_MAX};
use doorway_dns::resolver::Transport;
use doorway_dns::resolver::config::{StubZone, Upstream};
use doorway_dns::wire::{Class, Edns, Flags, Message, Rcode, Record, Type, options};
use doorway_dns::{Config, Server};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_net::udp::UdpClient;
use doorway_sim::{Link, Node, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::doors::{framed, heard, next, octets};
use super::internet::{Internet, RESOLVER};

const SERVER: &str = "10.0.0.1:53";
/// Far longer than an answer takes here.
const ANSWER_MAX: Duration = Duration::from_secs(1);
const DELAY: Duration = Duration::from_millis(5);

fn socket(world: &World, address: &str) -> UdpClient {
    world.udp(address.parse().unwrap(), &ListenOptions::default()).unwrap().start().unwrap()
}

/// The next answer; `None` when there is none within [`ANSWER_MAX`].
async fn answer(world: &World, socket: &UdpClient) -> Option<Message> {
    let mut room = [0; 4096];
    let received = world.timeout(ANSWER_MAX, socket.receive(&mut room)).await?;
    Some(Message::read(&room[..received.unwrap().0]).unwrap())
}

fn recursive(name: &str) -> Vec<u8> {
    let mut query = octets(name, Type::A);
    query[2] |= (Flags::RD >> 8) as u8;
    query
}

/// An authoritative server for everybody, with this limit for equal answers, and a client.
fn authority(rate: Rate) -> (Simulation, Node) {
    let mut sim = Simulation::new(1);
    let server = sim.node("server", "10.0.0.1");
    let client = sim.node("client", "10.0.0.2");
    sim.link(server, client, Link { delay: DELAY, ..Link::default() });
    sim.boot(server, move |world, _| {
        let config = Config {
            listen: vec![SERVER.parse().unwrap()],
            rate,
            rate_exempt: Access::default(),
            ..Config::default()
        };
        Server::start(world, &config, &Surroundings::default()).unwrap();
    });
    (sim, client)
}

/// What a thousand equal questions in one moment bring to the address that they name as theirs: whole
/// answers, cut ones, and octets.
async fn reflected(world: &World, query: &[u8]) -> (usize, usize, usize) {
    let socket = socket(world, "10.0.0.2:0");
    for _ in 0..1000 {
        socket.send(query, SERVER.parse().unwrap()).await.unwrap();
    }
    let (mut whole, mut cut, mut octets) = (0, 0, 0);
    let mut room = [0; 4096];
    while let Some(received) = world.timeout(ANSWER_MAX, socket.receive(&mut room)).await {
        let count = received.unwrap().0;
        let message = Message::read(&room[..count]).unwrap();
        let tc = message.flags.has(Flags::TC);
        (whole, cut, octets) = (whole + usize::from(!tc), cut + usize::from(tc), octets + count);
    }
    (whole, cut, octets)
}

#[test]
fn a_forged_address_is_not_flooded_with_answers() {
    let query = octets("home.arpa", Type::SOA);
    for (rate, whole, cut) in [
        (Rate { per_second: 20, slip: 2 }, 15..50, 400..500),
        (Rate { per_second: 20, slip: 0 }, 15..50, 0..1),
        (Rate { per_second: 0, slip: 2 }, 1000..1001, 0..1),
    ] {
        let (mut sim, client) = authority(rate);
        let world = sim.world(client);
        let asked = query.clone();
        let sent = 1000 * asked.len();
        let heard = sim.run(client, async move { reflected(&world, &asked).await }).unwrap();
        assert!(whole.contains(&heard.0) && cut.contains(&heard.1), "{rate:?}: {heard:?}");
        assert_eq!(
            heard.2 > sent,
            rate.per_second == 0,
            "an attacker gains nothing: {heard:?} for {sent} octets"
        );
    }
}

#[test]
fn a_limited_client_still_gets_its_answer_over_tcp() {
    let (mut sim, client) = authority(Rate { per_second: 20, slip: 2 });
    let world = sim.world(client);
    let query = octets("home.arpa", Type::SOA);
    let answers = sim.run(client, async move {
        let (_, cut, _) = reflected(&world, &query).await;
        assert!(cut > 0, "nothing tells the client to come over TCP");
        let mut stream = world.connect(SERVER.parse().unwrap()).await.unwrap();
        stream.write_all(&framed(&query)).await.unwrap();
        next(&mut stream).await.answers.len()
    });
    assert_eq!(answers.unwrap(), 1);
}

#[test]
fn who_shows_a_server_cookie_is_not_limited() {
    for (cookies, expected) in [(true, 1000..1001), (false, 15..50)] {
        let mut sim = Simulation::new(2);
        let server = sim.node("server", "10.0.0.1");
        let client = sim.node("client", "10.0.0.2");
        sim.boot(server, move |world, _| {
            let config = Config {
                listen: vec![SERVER.parse().unwrap()],
                rate: Rate { per_second: 20, slip: 2 },
                rate_exempt: Access::default(),
                cookies,
                ..Config::default()
            };
            Server::start(world, &config, &Surroundings::default()).unwrap();
        });
        let world = sim.world(client);
        let heard = sim.run(client, async move {
            let with = |cookie: &[u8]| {
                let length = [0, 10, 0, cookie.len() as u8];
                let options = [&length[..], cookie].concat();
                let edns = Some(Edns { udp_octets_max: 1232, options, ..Edns::default() });
                super::query(&"home.arpa".parse().unwrap(), Type::SOA, edns).to_octets().unwrap()
            };
            let socket = socket(&world, "10.0.0.2:0");
            socket.send(&with(b"a client"), SERVER.parse().unwrap()).await.unwrap();
            let first = answer(&world, &socket).await.unwrap().edns.unwrap().options;
            // One that a forger makes up, where the server gives none.
            let cookie = options::find(&first, 10).unwrap_or(b"a clientmade up by us!!!");
            reflected(&world, &with(cookie)).await.0
        });
        let heard = heard.unwrap();
        assert!(expected.contains(&heard), "cookies {cookies}: {heard} whole answers");
    }
}

#[test]
fn strangers_get_no_recursion() {
    for (allowed, rcode) in [("10.53.9.3", Rcode::REFUSED), ("10.53.9.2", Rcode::NOERROR)] {
        let set = |resolver: &mut Resolver| resolver.allow = Access::read([allowed]).unwrap();
        let mut internet = Internet::new(1, DELAY, set);
        let world = internet.sim.world(internet.client);
        let told = internet.sim.run(internet.client, async move {
            let socket = socket(&world, "10.53.9.2:0");
            let since = world.now();
            socket.send(&recursive("www.example.com"), RESOLVER.parse().unwrap()).await.unwrap();
            let answer = answer(&world, &socket).await.unwrap();
            (answer.rcode(), answer.flags.has(Flags::RA), world.now() - since)
        });
        let (told, available, took) = told.unwrap();
        assert_eq!((told, available), (rcode, rcode == Rcode::NOERROR), "{allowed}");
        // One round trip: nobody else was asked.
        assert_eq!(took <= 2 * DELAY, rcode == Rcode::REFUSED, "{took:?}");
    }
}

/// Asks as a second client, at 10.53.9.3, how long an answer for `name` takes; `None` when none comes.
fn other_client(internet: &mut Internet, name: &'static str) -> Option<(Rcode, Duration)> {
    let node = internet.sim.node("other client", "10.53.9.3");
    let world = internet.sim.world(node);
    let told = internet.sim.run(node, async move {
        let socket = socket(&world, "10.53.9.3:0");
        let since = world.now();
        socket.send(&recursive(name), RESOLVER.parse().unwrap()).await.unwrap();
        answer(&world, &socket).await.map(|answer| (answer.rcode(), world.now() - since))
    });
    told.unwrap()
}

#[test]
fn one_client_cannot_use_up_the_resolver() {
    for (per_client, served) in [(20, true), (100_000, false)] {
        let set = |resolver: &mut Resolver| (resolver.per_client, resolver.in_all) = (per_client, 100);
        let mut internet = Internet::new(2, DELAY, set);
        for node in internet.nodes("example") {
            internet.sim.crash(node);
        }
        let world = internet.sim.world(internet.client);
        let flooding = internet.sim.run(internet.client, async move {
            let socket = socket(&world, "10.53.9.2:0");
            for number in 0..300 {
                let query = recursive(&format!("n{number}.example.com"));
                socket.send(&query, RESOLVER.parse().unwrap()).await.unwrap();
            }
            world.sleep(Duration::from_millis(100)).await;
        });
        flooding.unwrap();
        let told = other_client(&mut internet, "www.tea.jp").map(|(rcode, _)| rcode);
        assert_eq!(told, served.then_some(Rcode::NOERROR), "{per_client} questions of one client");
    }
}

#[test]
fn cached_answers_go_on_while_random_names_come_in() {
    let mut internet = Internet::new(3, DELAY, |_| {});
    let (name, rounds) = ("www.example.com", 200);
    assert!(other_client(&mut internet, name).is_some());
    let flooder = internet.sim.world(internet.client);
    internet.sim.world(internet.client).spawn("flood", async move {
        let socket = socket(&flooder, "10.53.9.2:0");
        // Ten thousand a second.
        for number in 0..rounds * 10 {
            let query = recursive(&format!("x{number}.example.com"));
            socket.send(&query, RESOLVER.parse().unwrap()).await.unwrap();
            flooder.sleep(Duration::from_micros(100)).await;
        }
    });
    let node = internet.sim.node("third client", "10.53.9.4");
    let world = internet.sim.world(node);
    let slowest = internet.sim.run(node, async move {
        let socket = socket(&world, "10.53.9.4:0");
        let mut slowest = Duration::ZERO;
        for _ in 0..rounds / 10 {
            let since = world.now();
            socket.send(&recursive(name), RESOLVER.parse().unwrap()).await.unwrap();
            let answer = answer(&world, &socket).await.expect("an answer out of the cache");
            assert_eq!(answer.rcode(), Rcode::NOERROR);
            slowest = slowest.max(world.now() - since);
        }
        slowest
    });
    let slowest = slowest.unwrap();
    assert!(slowest <= 2 * DELAY, "a round trip, and no waiting: {slowest:?}");
}

/// The server of a zone, and one who sees when it is asked: to every port of the resolver goes a forged
/// answer with the id that follows the one of the query before, then comes the right one.
async fn server_and_forger(world: World) {
    let socket = socket(&world, "10.53.9.9:53");
    let mut room = [0; 4096];
    let mut seen = None;
    loop {
        let (count, resolver) = socket.receive(&mut room).await.unwrap();
        let query = Message::read(&room[..count]).unwrap();
        let record = |last| Record {
            name: query.questions[0].name.clone(),
            kind: Type::A,
            class: Class::IN,
            ttl: 300,
            rdata: vec![192, 0, 2, last],
        };
        let flags = Flags(Flags::QR | Flags::AA);
        let reply = Message { id: query.id, flags, questions: query.questions.clone(), ..Message::default() };
        if let Some(seen) = seen {
            let id = u16::wrapping_add(seen, 1);
            let forged = Message { id, answers: vec![record(66)], ..reply.clone() }.to_octets().unwrap();
            for port in 1024..=u16::MAX {
                socket.send(&forged, (resolver.ip(), port).into()).await.unwrap();
            }
        }
        seen = Some(query.id);
        let right = Message { answers: vec![record(1)], ..reply }.to_octets().unwrap();
        socket.send(&right, resolver).await.unwrap();
    }
}

#[test]
fn forged_answers_to_every_port_fail_when_ids_are_random() {
    for (random_id, last) in [(true, 1), (false, 66)] {
        let set = |resolver: &mut Resolver| {
            // Whoever sees the queries sees the letters too.
            (resolver.engine.random_id, resolver.engine.random_case) = (random_id, false);
            let address = "10.53.9.9:53".parse().unwrap();
            resolver.engine.stub_zones = vec![StubZone {
                zone: "victim.test".parse().unwrap(),
                servers: vec![Upstream { address, transport: Transport::Udp }],
                server_names: Vec::new(),
                prime: false,
                first: false,
            }];
        };
        let mut internet = Internet::new(4, DELAY, set);
        let forger = internet.sim.node("server and forger", "10.53.9.9");
        internet.sim.boot(forger, |world, _| world.spawn("server", server_and_forger(world.clone())));
        let world = internet.sim.world(internet.client);
        let told = internet.sim.run(internet.client, async move {
            let socket = socket(&world, "10.53.9.2:0");
            let mut told = Vec::new();
            for name in ["seen.victim.test", "www.victim.test"] {
                socket.send(&recursive(name), RESOLVER.parse().unwrap()).await.unwrap();
                let answer = answer(&world, &socket).await.unwrap();
                told.push(answer.answers[0].rdata[3]);
            }
            told
        });
        assert_eq!(told.unwrap(), [1, last], "random ids {random_id}");
    }
}

#[test]
fn one_address_cannot_take_every_connection() {
    let (mut sim, greedy) = authority(Rate { per_second: 20, slip: 2 });
    let modest = sim.node("modest client", "10.0.0.3");
    let query = framed(&octets("home.arpa", Type::SOA));
    let (world, asked) = (sim.world(greedy), query.clone());
    let open = sim.run(greedy, async move {
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS_PER_ADDRESS_MAX + 50 {
            let mut stream = world.connect(SERVER.parse().unwrap()).await.unwrap();
            // What is not let in is closed, before or after the query reaches it.
            if stream.write_all(&asked).await.is_ok() && heard(&mut stream).await.is_ok() {
                open.push(stream);
            }
        }
        let count = open.len();
        world.spawn("holding on", async move {
            let _open = open;
            std::future::pending::<()>().await;
        });
        count
    });
    assert_eq!(open.unwrap(), CONNECTIONS_PER_ADDRESS_MAX as usize);
    let world = sim.world(modest);
    let answers = sim.run(modest, async move {
        let mut stream = world.connect(SERVER.parse().unwrap()).await.unwrap();
        stream.write_all(&query).await.unwrap();
        next(&mut stream).await.answers.len()
    });
    assert_eq!(answers.unwrap(), 1, "others are let in");
}

#[test]
fn who_asks_and_does_not_read_is_let_go() {
    let (mut sim, client) = authority(Rate { per_second: 20, slip: 2 });
    let world = sim.world(client);
    let heard = sim.run(client, async move {
        let stream = world.connect(SERVER.parse().unwrap()).await.unwrap();
        let (mut reading, mut writing) = tokio::io::split(stream);
        let query = framed(&octets("home.arpa", Type::SOA));
        world.spawn("asking", async move {
            // More than all buffers between the two hold.
            while writing.write_all(&query).await.is_ok() {}
        });
        // Less than what an idle connection may take.
        world.sleep(IDLE_MAX - Duration::from_secs(1)).await;
        let since = world.now();
        let mut octets = 0;
        let mut room = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = reading.read(&mut room).await {
            octets += count;
        }
        (octets, world.now() - since)
    });
    let (octets, took) = heard.unwrap();
    assert!(octets < 1 << 20, "{octets} octets were kept for a client that does not read");
    assert!(took < Duration::from_secs(1), "it was still open: {took:?}");
}
