//! The server over the loopback interface: UDP and TCP, framing, reload, draining.

use std::path::PathBuf;
use std::time::Duration;

use doorway_base::Trace;
use doorway_base::config::Listen;
use doorway_dns::config::{Config, ZoneConfig};
use doorway_dns::io::Surroundings;
use doorway_dns::wire::{Edns, Flags, Message, Name, Rcode, Type};
use doorway_dns::{Error, Server};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_net::os::Runtime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::query;

/// Far longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn loopback() -> Config {
    let listen: Listen = "127.0.0.1:0".parse().unwrap();
    Config { listen: vec![listen], threads: 1, ..Config::default() }
}

pub(crate) fn octets(name: &str, kind: Type) -> Vec<u8> {
    let edns = Some(Edns { udp_octets_max: 1232, ..Edns::default() });
    query(&name.parse::<Name>().unwrap(), kind, edns).to_octets().unwrap()
}

/// Runs `client` against a server with `config`, over real sockets.
fn with_server<F: Future<Output = ()> + Send + 'static>(
    config: &Config,
    client: impl FnOnce(World, Server) -> F,
) -> Runtime {
    let runtime = Runtime::start("test", 1, Trace::recording()).unwrap();
    let server = Server::start(runtime.world(), config, &Surroundings::default()).unwrap();
    let world = runtime.world().clone();
    let client = client(world.clone(), server);
    let finished = runtime.block_on(async move { world.timeout(PATIENCE, client).await });
    assert_eq!(finished, Some(Some(())), "the client did not come to its end");
    runtime
}

async fn over_udp(world: &World, server: &Server, query: &[u8]) -> Message {
    let here = "127.0.0.1:0".parse().unwrap();
    let socket = world.udp(here, &ListenOptions::default()).unwrap().start().unwrap();
    let mut room = [0; 4096];
    loop {
        socket.send(query, server.udp()[0].door().local.unwrap()).await.unwrap();
        // A datagram may be lost, even here.
        if let Some(Ok((count, _))) = world.timeout(Duration::from_secs(1), socket.receive(&mut room)).await {
            return Message::read(&room[..count]).unwrap();
        }
    }
}

async fn connect(world: &World, server: &Server) -> doorway_net::Stream {
    world.connect(server.tcp()[0].local().unwrap()).await.unwrap()
}

pub(crate) fn framed(query: &[u8]) -> Vec<u8> {
    let mut framed = (query.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    framed
}

pub(crate) async fn next(stream: &mut doorway_net::Stream) -> Message {
    heard(stream).await.unwrap()
}

/// The next message; an error when the other side ends the connection before.
pub(crate) async fn heard(stream: &mut doorway_net::Stream) -> std::io::Result<Message> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets).await?;
    Ok(Message::read(&octets).unwrap())
}

#[test]
fn the_built_in_zone_answers_over_udp_and_tcp_and_is_traced() {
    let runtime = with_server(&loopback(), |world, server| async move {
        let soa = octets("home.arpa", Type::SOA);
        let answer = over_udp(&world, &server, &soa).await;
        assert_eq!((answer.rcode(), answer.answers.len(), answer.id), (Rcode::NOERROR, 1, 4711));
        let mut stream = connect(&world, &server).await;
        stream.write_all(&framed(&soa)).await.unwrap();
        assert_eq!(next(&mut stream).await.answers, answer.answers);
    });
    let lines: Vec<String> =
        runtime.world().trace().events().iter().map(|event| event.summary.clone()).collect();
    let asked = lines.iter().filter(|line| *line == "home.arpa. SOA? id 4711").count();
    let answered =
        lines.iter().filter(|line| line.starts_with("home.arpa. SOA: NOERROR aa ra 1 answer")).count();
    assert_eq!((asked, answered), (2, 2), "{lines:?}");
}

#[test]
fn queries_in_one_segment_or_octet_by_octet_get_their_answers_in_order() {
    let _runtime = with_server(&loopback(), |world, server| async move {
        let mut stream = connect(&world, &server).await;
        let mut many = Vec::new();
        for id in 0..5000_u16 {
            let mut query = octets("www.home.arpa", Type::A);
            query[..2].copy_from_slice(&id.to_be_bytes());
            many.extend(framed(&query));
        }
        let (mut half, write) = (0, many.len() / 2);
        let mut id = 0;
        // More than any buffer on the way holds, so writing and reading take turns.
        while id < 5000 {
            let end = (half + 16 * 1024).min(many.len());
            stream.write_all(&many[half..end]).await.unwrap();
            half = end;
            while id < 5000 && (half == many.len() || half > write && id < 1000) {
                assert_eq!(next(&mut stream).await.id, id);
                id += 1;
            }
        }
        for octet in framed(&octets("home.arpa", Type::NS)) {
            stream.write_all(&[octet]).await.unwrap();
        }
        assert_eq!(next(&mut stream).await.answers.len(), 1);
    });
}

#[test]
fn a_response_sent_as_a_query_ends_the_connection_after_what_came_before() {
    let _runtime = with_server(&loopback(), |world, server| async move {
        let mut stream = connect(&world, &server).await;
        let good = octets("home.arpa", Type::NS);
        let mut response = good.clone();
        response[2] |= (Flags::QR >> 8) as u8;
        let all = [framed(&good), framed(&response), framed(&good)].concat();
        stream.write_all(&all).await.unwrap();
        assert_eq!(next(&mut stream).await.rcode(), Rcode::NOERROR);
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    });
}

#[test]
fn an_idle_connection_closes_when_the_server_drains() {
    let _runtime = with_server(&loopback(), |world, server| async move {
        let mut stream = connect(&world, &server).await;
        stream.write_all(&framed(&octets("home.arpa", Type::NS))).await.unwrap();
        next(&mut stream).await;
        server.close();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
    });
}

/// A zone file of its own for one test.
struct ZoneFile(PathBuf);

impl ZoneFile {
    fn new(test: &str) -> Self {
        Self(std::env::temp_dir().join(format!("doorway-dns-{test}-{}", std::process::id())))
    }

    fn holds(&self, serial: u32, rest: &str) {
        let text = format!("$TTL 60\n@ SOA ns root {serial} 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{rest}\n");
        std::fs::write(&self.0, text).unwrap();
    }

    fn config(&self) -> Config {
        let zone =
            ZoneConfig { name: "example.org".into(), file: Some(self.0.clone()), ..ZoneConfig::default() };
        Config { zones: vec![zone], ..loopback() }
    }
}

impl Drop for ZoneFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_reload_shows_new_records_and_a_broken_file_changes_nothing() {
    let file = ZoneFile::new("reload");
    file.holds(1, "");
    let config = file.config();
    let _runtime = with_server(&config.clone(), |world, server| async move {
        let new = octets("new.example.org", Type::A);
        assert_eq!(over_udp(&world, &server, &new).await.rcode(), Rcode::NXDOMAIN);

        file.holds(2, "new A 192.0.2.2");
        let reloaded = server.reload(&config);
        assert!(reloaded.refused.is_empty() && reloaded.zones == 1);
        assert_eq!(over_udp(&world, &server, &new).await.answers.len(), 1);

        file.holds(3, "new A 192.0.2.999");
        let reloaded = server.reload(&config);
        let [Error::Zone { faults, .. }] = reloaded.refused.as_slice() else { panic!("{reloaded:?}") };
        assert_eq!((faults.list[0].line, faults.list[0].column), (5, 7));
        assert_eq!(server.zones().list()[0].serial(), 2);
        assert_eq!(over_udp(&world, &server, &new).await.answers.len(), 1);
    });
}

#[test]
fn a_broken_zone_or_a_taken_port_keeps_the_server_from_starting() {
    let file = ZoneFile::new("start");
    file.holds(1, "broken");
    let runtime = Runtime::start("test", 1, Trace::off()).unwrap();
    let error = Server::start(runtime.world(), &file.config(), &Surroundings::default()).unwrap_err();
    assert!(error.to_string().contains(":5:1: expected a type"), "{error}");

    // The socket of another program, which shares its port with nobody.
    let alone = ListenOptions { share: false, ..ListenOptions::default() };
    let other = runtime.world().udp("127.0.0.1:0".parse().unwrap(), &alone).unwrap();
    let taken = other.local().unwrap();
    let listen = vec![Listen { address: Some(taken.ip()), port: taken.port() }];
    let error = Server::start(runtime.world(), &Config { listen, ..loopback() }, &Surroundings::default())
        .unwrap_err();
    assert!(matches!(error, Error::Net(_)), "{error}");
}
