//! Primaries and secondaries on a virtual network: updates, NOTIFY, transfers, crashes, partitions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_base::{Random, UnixTime, Verdict, Writer};
use doorway_dns::authority::counters::Counters;
use doorway_dns::authority::{Authority, Carrier, Published};
use doorway_dns::io::journal::Journal;
use doorway_dns::io::primary::Reply;
use doorway_dns::io::stream;
use doorway_dns::io::transfers::{Remote, Settings, Transfers};
use doorway_dns::transfer::takes;
use doorway_dns::wire::tsig::{Algorithm, Chain, Key};
use doorway_dns::wire::{Class, Flags, Message, Name, Opcode, Question, Rcode, Record, Type};
use doorway_dns::zone::{HashKey, Zone, Zones, file};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_net::tcp::{self, Connection, TcpService};
use doorway_net::udp::{self, UdpOptions, UdpService};
use doorway_sim::{Link, Node, Simulation};
use doorway_store::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::doors::{framed, next};
use super::query;

const PRIMARY: &str = "10.0.0.1:53";
const SECONDARY: &str = "10.0.0.2:53";
const ZONE: &str = "$TTL 60\n@ SOA ns host 7 3600 600 7200 60\n@ NS ns\n@ NS ns2\nns A 10.0.0.1\nns2 A 10.0.0.2\n\
    www A 192.0.2.1\n";

pub(crate) fn apex() -> Name {
    "example.org".parse().unwrap()
}

pub(crate) fn key() -> Arc<Key> {
    Arc::new(Key::new(&"sec1".parse().unwrap(), Algorithm::Sha256, b"a secret between two"))
}

pub(crate) fn secret() -> HashKey {
    HashKey::new(&mut Random::new(1))
}

pub(crate) fn zone(text: &str) -> Arc<Zone> {
    let read = file::read(&apex(), "zone", text.as_bytes(), secret());
    Arc::new(read.unwrap_or_else(|faults| panic!("{faults}")).0)
}

/// A name server made of an authority and what moves its zones.
pub(crate) struct Serving {
    transfers: Transfers,
    authority: Mutex<Authority>,
    world: World,
}

impl Serving {
    /// Serves `zones` at `address`.
    pub(crate) async fn start(
        world: World,
        address: SocketAddr,
        zones: Vec<Arc<Zone>>,
        store: Arc<MemoryStore>,
        settings: Vec<Settings>,
    ) -> (Transfers, SocketAddr) {
        let published = Published::new(Zones::new(secret(), Vec::new()).unwrap());
        let journal = Some(Journal::new(store));
        let authority = Authority::new(published.clone(), Arc::new(Counters::default()), 1232);
        let transfers =
            Transfers::start(&world, &published, journal, vec![key()], settings, &zones).await.unwrap();
        let serving = Arc::new(Self {
            transfers: transfers.clone(),
            authority: Mutex::new(authority),
            world: world.clone(),
        });
        let options = stream::options(&Default::default(), &Default::default());
        let door = tcp::serve(&world, address, &options, &serving).unwrap();
        let address = door.local().unwrap();
        udp::serve_each(&world, address, &UdpOptions::new("dns", "dns", 53), &serving).unwrap();
        (transfers, address)
    }

    async fn reply(&self, message: &[u8], remote: SocketAddr, carrier: Carrier) -> Reply {
        if takes(message) {
            return self.transfers.answer(message, remote, carrier).await;
        }
        let mut authority = self.authority.lock().unwrap();
        authority.take_up();
        let mut room = vec![0; 65_535];
        let mut writer = Writer::new(&mut room);
        match authority.respond(message, carrier, &mut writer) {
            Verdict::Reply => Reply::One(writer.written().to_vec()),
            _ => Reply::Silence,
        }
    }
}

impl UdpService for Serving {
    async fn datagram(&self, _: &World, remote: SocketAddr, octets: &[u8]) -> Option<Vec<u8>> {
        match self.reply(octets, remote, Carrier::Datagram).await {
            Reply::One(answer) => Some(answer),
            _ => None,
        }
    }
}

impl TcpService for Serving {
    async fn serve(&self, connection: Connection) {
        let remote = connection.remote();
        let (mut stream, _, _watching) = connection.into_parts();
        loop {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).await.is_err() {
                return;
            }
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut message).await.is_err() {
                return;
            }
            match self.reply(&message, remote, Carrier::Stream).await {
                Reply::Silence => return,
                Reply::One(answer) => stream.write_all(&framed(&answer)).await.unwrap(),
                Reply::Many(mut sending) => {
                    while let Some(message) = sending.next_message(self.world.wall()).unwrap() {
                        if stream.write_all(&framed(&message)).await.is_err() {
                            return;
                        }
                    }
                }
            }
            if stream.flush().await.is_err() {
                return;
            }
        }
    }
}

/// A primary and a secondary with a store each, and a client.
struct Servers {
    sim: Simulation,
    primary: Node,
    secondary: Node,
    client: Node,
}

fn servers(seed: u64, loss: f64) -> Servers {
    let mut sim = Simulation::new(seed);
    let primary = sim.node("primary", "10.0.0.1");
    let secondary = sim.node("secondary", "10.0.0.2");
    let client = sim.node("client", "10.0.0.3");
    for (a, b) in [(primary, secondary), (client, primary), (client, secondary)] {
        sim.link(a, b, Link { delay: Duration::from_millis(20), loss, ..Link::default() });
    }
    let store = Arc::new(MemoryStore::new());
    sim.boot(primary, move |world, _| {
        let mut settings = Settings::primary(&apex());
        settings.xfr = vec!["key:sec1".parse().unwrap()];
        settings.update = vec!["key:sec1 a,txt *.example.org".parse().unwrap()];
        let store = Arc::clone(&store);
        store.cut_power();
        let (node, address) = (world.clone(), PRIMARY.parse().unwrap());
        world.spawn("dns", async move {
            Serving::start(node, address, vec![zone(ZONE)], store, vec![settings]).await;
            std::future::pending::<()>().await;
        });
    });
    let store = Arc::new(MemoryStore::new());
    sim.boot(secondary, move |world, _| {
        let from = Remote { address: PRIMARY.parse().unwrap(), key: Some(key()) };
        let settings = Settings::secondary(&apex(), vec![from]);
        let store = Arc::clone(&store);
        store.cut_power();
        let (node, address) = (world.clone(), SECONDARY.parse().unwrap());
        world.spawn("dns", async move {
            let (transfers, _) = Serving::start(node, address, vec![], store, vec![settings]).await;
            std::future::pending::<()>().await;
            drop(transfers);
        });
    });
    Servers { sim, primary, secondary, client }
}

async fn ask(world: &World, server: &str, octets: &[u8]) -> Option<Message> {
    let here = "10.0.0.3:0".parse().unwrap();
    let socket = world.udp(here, &ListenOptions::default()).unwrap().start().unwrap();
    let mut room = [0; 4096];
    for _ in 0..10 {
        socket.send(octets, server.parse().unwrap()).await.unwrap();
        if let Some(Ok((count, _))) = world.timeout(Duration::from_secs(1), socket.receive(&mut room)).await {
            return Some(Message::read(&room[..count]).unwrap());
        }
    }
    None
}

async fn rcode(world: &World, server: &str, name: &str) -> Option<Rcode> {
    let query = query(&name.parse().unwrap(), Type::A, None).to_octets().unwrap();
    ask(world, server, &query).await.map(|answer| answer.rcode())
}

pub(crate) fn update(name: &str) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    let record = Record { name, kind: Type::A, class: Class::IN, ttl: 60, rdata: vec![192, 0, 2, 9] };
    let question = Question { name: apex(), kind: Type::SOA, class: Class::IN };
    let message = Message {
        id: 77,
        flags: Flags(u16::from(Opcode::UPDATE.0) << 11),
        questions: vec![question],
        authorities: vec![record],
        ..Message::default()
    };
    message.to_octets().unwrap()
}

fn signed(mut octets: Vec<u8>, now: UnixTime) -> Vec<u8> {
    let _chain = Chain::request(&key(), &mut octets, now);
    octets
}

impl Servers {
    /// What the client is told about `name` at each server, once it was told or gave up.
    fn told(&mut self, name: &'static str) -> [Option<Rcode>; 2] {
        let world = self.sim.world(self.client);
        let told = self.sim.run(self.client, async move {
            [rcode(&world, PRIMARY, name).await, rcode(&world, SECONDARY, name).await]
        });
        told.unwrap()
    }

    fn add(&mut self, name: &'static str) -> Rcode {
        let world = self.sim.world(self.client);
        let answer = self.sim.run(self.client, async move {
            ask(&world, PRIMARY, &signed(update(name), world.wall())).await.map(|answer| answer.rcode())
        });
        answer.unwrap().unwrap()
    }
}

#[test]
fn an_update_is_served_at_once_and_reaches_the_secondary_by_notify_also_over_a_bad_link() {
    for (seed, loss) in [(1, 0.0), (2, 0.1), (3, 0.1)] {
        let mut servers = servers(seed, loss);
        servers.sim.run_for(Duration::from_secs(60));
        assert_eq!(servers.told("www.example.org"), [Some(Rcode::NOERROR); 2], "seed {seed}");
        assert_eq!(servers.told("new.example.org"), [Some(Rcode::NXDOMAIN); 2]);
        assert_eq!(servers.add("new.example.org"), Rcode::NOERROR);
        assert_eq!(servers.told("new.example.org")[0], Some(Rcode::NOERROR));
        // Far less than the zone's REFRESH of an hour.
        servers.sim.run_for(Duration::from_secs(120));
        assert_eq!(servers.told("new.example.org"), [Some(Rcode::NOERROR); 2], "seed {seed}");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let mut servers = servers(4, 0.0);
    servers.sim.run_for(Duration::from_secs(10));
    for name in ["a.example.org", "b.example.org", "c.example.org"] {
        assert_eq!(servers.add(name), Rcode::NOERROR);
    }
    servers.sim.crash(servers.primary);
    servers.sim.restart(servers.primary);
    servers.sim.run_for(Duration::from_secs(1));
    for name in ["a.example.org", "b.example.org", "c.example.org", "www.example.org"] {
        assert_eq!(servers.told(name)[0], Some(Rcode::NOERROR), "{name}");
    }
}

#[test]
fn a_secondary_serves_after_a_restart_without_its_primary_until_the_zone_expires() {
    let mut servers = servers(5, 0.0);
    servers.sim.run_for(Duration::from_secs(60));
    let Servers { sim, primary, secondary, .. } = &mut servers;
    sim.partition(&[*primary], &[*secondary]);
    sim.crash(*secondary);
    sim.restart(*secondary);
    sim.run_for(Duration::from_secs(1));
    assert_eq!(servers.told("www.example.org")[1], Some(Rcode::NOERROR), "from the store, at once");
    servers.sim.run_for(Duration::from_secs(7000));
    assert_eq!(servers.told("www.example.org")[1], Some(Rcode::NOERROR), "EXPIRE is 7200 seconds");
    servers.sim.run_for(Duration::from_secs(300));
    assert_eq!(servers.told("www.example.org")[1], Some(Rcode::SERVFAIL));
    let Servers { sim, primary, secondary, .. } = &mut servers;
    sim.heal(&[*primary], &[*secondary]);
    sim.run_for(Duration::from_secs(700));
    assert_eq!(servers.told("www.example.org")[1], Some(Rcode::NOERROR), "RETRY is 600 seconds");
}

#[test]
fn who_is_not_allowed_gets_no_zone_and_changes_nothing() {
    let mut servers = servers(6, 0.0);
    servers.sim.run_for(Duration::from_secs(10));
    let world = servers.sim.world(servers.client);
    let codes = servers.sim.run(servers.client, async move {
        let transfer = query(&apex(), Type::AXFR, None).to_octets().unwrap();
        let now = world.wall();
        let mut codes = Vec::new();
        for octets in [update("x.example.org"), signed(update("example.org"), now)] {
            codes.push(ask(&world, PRIMARY, &octets).await.unwrap().rcode());
        }
        // Signed long ago: replayed, perhaps.
        let old = signed(update("x.example.org"), UnixTime::from_secs(now.as_secs().saturating_sub(3600)));
        codes.push(ask(&world, PRIMARY, &old).await.unwrap().rcode());
        for (server, octets) in [(PRIMARY, transfer.clone()), (SECONDARY, signed(transfer, now))] {
            let mut stream = world.connect(server.parse().unwrap()).await.unwrap();
            stream.write_all(&framed(&octets)).await.unwrap();
            codes.push(next(&mut stream).await.rcode());
        }
        codes
    });
    let expected = [Rcode::REFUSED, Rcode::REFUSED, Rcode::NOTAUTH, Rcode::REFUSED, Rcode::REFUSED];
    assert_eq!(codes.unwrap(), expected);
    assert_eq!(servers.told("x.example.org")[0], Some(Rcode::NXDOMAIN));
}
