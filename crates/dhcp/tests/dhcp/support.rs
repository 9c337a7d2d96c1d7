//! A server on a simulated LAN, a store that can fail, and clients that say word for word what they are told.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_base::Writer;
use doorway_dhcp::io::server::Settings;
use doorway_dhcp::io::{DhcpServer, Names, RogueCheck};
use doorway_dhcp::plan::{
    Draft, InterfacePlan, LeaseTimes, Limits, NamesPlan, Network, Plan, Pool, Probe, Subnet,
};
use doorway_dhcp::wire::message::{BOOTREPLY, BOOTREQUEST, BROADCAST};
use doorway_dhcp::wire::reply::MESSAGE_OCTETS_MIN;
use doorway_dhcp::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, code};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_net::link::{LinkContent, LinkMessage, LinkOptions, LinkSocket, Mac};
use doorway_net::udp::UdpClient;
use doorway_sim::{Node, Simulation};
use doorway_store::{
    Answer, BackupTarget, Batch, BoxFuture, Durability, Error, Key, Manifest, MemoryStore, Page, Promise,
    Range, Receipt, Result, Row, ScanOptions, Store, Watch,
};

pub(crate) const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 67);
/// The relay agent of a second link, which has 10.0.1.0/24.
pub(crate) const RELAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 1), 67);
pub(crate) const BARE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
pub(crate) const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
/// How long a client waits for an answer: longer than a probe takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// A store in memory that can be full, or slow, or lose its power.
#[derive(Default)]
pub(crate) struct Faulty {
    pub(crate) rows: MemoryStore,
    pub(crate) full: AtomicBool,
    /// Commits wait until [`Faulty::go_on`].
    pub(crate) slow: AtomicBool,
    waiting: Mutex<Vec<(Batch, Promise<Receipt>)>>,
}

impl Faulty {
    /// Does what waits.
    pub(crate) fn go_on(&self) {
        self.slow.store(false, Relaxed);
        for (batch, promise) in self.waiting.lock().unwrap().drain(..) {
            promise.keep(self.rows.commit(batch).wait());
        }
    }

    pub(crate) fn leases(&self) -> Vec<(Key, Row)> {
        let range = Range::prefix(&Key::from("dhcp.lease/"));
        self.rows.scan(range, ScanOptions::default()).wait().unwrap().rows
    }
}

impl Store for Faulty {
    fn get(&self, keys: &[Key]) -> Answer<Vec<Option<Row>>> {
        self.rows.get(keys)
    }

    fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page> {
        self.rows.scan(range, options)
    }

    fn commit(&self, batch: Batch) -> Answer<Receipt> {
        if self.full.load(Relaxed) {
            return Answer::ready(Err(Error::Full { free: 0, min_free: 1 }));
        }
        if self.slow.load(Relaxed) {
            let (promise, answer) = Answer::promised();
            self.waiting.lock().unwrap().push((batch, promise));
            return answer;
        }
        self.rows.commit(batch)
    }

    fn watch(&self, prefix: Key) -> Watch {
        self.rows.watch(prefix)
    }

    fn backup(&self, target: BackupTarget) -> BoxFuture<'_, Result<Manifest>> {
        self.rows.backup(target)
    }
}

/// How a site is set up.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) probe: Probe,
    pub(crate) lease: Duration,
    pub(crate) durability: Durability,
    pub(crate) rogue_check: RogueCheck,
    pub(crate) limits: Limits,
    /// Last octets of the first and the last address of the pools.
    pub(crate) pool: (u8, u8),
    pub(crate) names: Option<Arc<dyn Names>>,
    /// The domain that names go into.
    pub(crate) domain: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            probe: Probe::Off,
            lease: Duration::from_secs(3600),
            durability: Durability::Process,
            rogue_check: RogueCheck::Off,
            limits: Limits::default(),
            pool: (100, 200),
            names: None,
            domain: None,
        }
    }
}

impl Setup {
    pub(crate) fn plan(&self, own: Ipv4Addr) -> Arc<Plan> {
        let subnet = |third: u8| {
            let host = |last| Ipv4Addr::new(10, 0, third, last);
            let mut subnet = Subnet::new(Network::new(host(0), 24));
            subnet.pools = vec![Pool::new(host(self.pool.0), host(self.pool.1), None)];
            subnet.lease = LeaseTimes { default: self.lease.as_secs() as u32, min: 10, ..subnet.lease };
            subnet.probe = self.probe;
            subnet.names = self.domain.map(|domain| NamesPlan {
                domain: domain.to_owned(),
                nameless: false,
                override_client: false,
            });
            subnet
        };
        let mut relayed = subnet(1);
        relayed.relays = vec![Network::new(*RELAY.ip(), 32)];
        let draft = Draft {
            interfaces: vec![InterfacePlan { name: "eth0".to_owned(), address: own, prefix: 24 }],
            subnets: vec![subnet(0), relayed],
            authoritative: true,
            limits: self.limits,
            ..Draft::default()
        };
        Arc::new(Plan::new(draft).unwrap())
    }

    pub(crate) fn settings(&self, own: Ipv4Addr) -> Settings {
        Settings {
            durability: self.durability,
            rogue_check: self.rogue_check,
            ..Settings::new(self.plan(own))
        }
    }
}

/// A LAN with a server, and another link behind a relay agent.
pub(crate) struct Site {
    pub(crate) sim: Simulation,
    pub(crate) server: Node,
    pub(crate) store: Arc<Faulty>,
    running: Arc<Mutex<Option<Arc<DhcpServer>>>>,
}

impl Site {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut sim = Simulation::new(7);
        let server = sim.node("server", &SERVER.ip().to_string());
        let mut site = Self { sim, server, store: Arc::default(), running: Arc::default() };
        let (store, running) = (Arc::clone(&site.store), Arc::clone(&site.running));
        site.sim.boot(server, move |world, _| {
            let (world, store, running) = (world.clone(), Arc::clone(&store), Arc::clone(&running));
            let (names, settings) = (setup.names.clone(), setup.settings(*SERVER.ip()));
            world.clone().spawn("dhcp", async move {
                let server = DhcpServer::start(&world, store, names, settings).await.unwrap();
                *running.lock().unwrap() = Some(Arc::new(server));
            });
        });
        site.sim.run_for(Duration::from_millis(1));
        site
    }

    /// The server that runs.
    pub(crate) fn dhcp(&self) -> Arc<DhcpServer> {
        self.running.lock().unwrap().clone().unwrap()
    }

    /// A host on the server's link without an address.
    pub(crate) fn client(&mut self, name: &str) -> Client {
        let node = self.sim.node_without_address(name, 0);
        Client::new(&self.sim.world(node), node, self.sim.mac(node).0)
    }

    /// The relay agent's host, on a link of its own.
    pub(crate) fn relay(&mut self) -> Relay {
        let node = self.sim.node_on("relay", &RELAY.ip().to_string(), 1);
        let world = self.sim.world(node);
        let socket = world.udp(RELAY.into(), &ListenOptions::default()).unwrap().start().unwrap();
        Relay { world, node, socket: Arc::new(socket) }
    }
}

/// A request as a client makes it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) kind: MessageType,
    pub(crate) mac: [u8; 6],
    pub(crate) xid: u32,
    pub(crate) broadcast: bool,
    pub(crate) ciaddr: Ipv4Addr,
    pub(crate) giaddr: Ipv4Addr,
    pub(crate) server: Option<Ipv4Addr>,
    pub(crate) requested: Option<Ipv4Addr>,
    pub(crate) host: Option<&'static str>,
}

impl Request {
    pub(crate) fn new(kind: MessageType, mac: [u8; 6], xid: u32) -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        Self {
            kind,
            mac,
            xid,
            broadcast: false,
            ciaddr: none,
            giaddr: none,
            server: None,
            requested: None,
            host: None,
        }
    }

    /// What a client says that takes `offer`.
    pub(crate) fn taking(offer: &Reply, mac: [u8; 6], xid: u32) -> Self {
        let server = Some(offer.server);
        Self { server, requested: Some(offer.yiaddr), ..Self::new(MessageType::Request, mac, xid) }
    }

    /// What a client says that has `address` and asks for more time.
    pub(crate) fn renewing(address: Ipv4Addr, mac: [u8; 6], xid: u32) -> Self {
        Self { ciaddr: address, ..Self::new(MessageType::Request, mac, xid) }
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut room = [0; 1500];
        let mut out = Writer::new(&mut room);
        let mut head = Head::new(BOOTREQUEST, HardwareAddress::ethernet(self.mac), self.xid);
        (head.ciaddr, head.giaddr) = (self.ciaddr, self.giaddr);
        head.flags = if self.broadcast { BROADCAST } else { 0 };
        let mut writer = MessageWriter::new(&mut out, &head);
        writer.option(code::MESSAGE_TYPE, &[self.kind as u8]);
        for (number, address) in [(code::SERVER_ID, self.server), (code::REQUESTED_ADDRESS, self.requested)] {
            if let Some(address) = address {
                writer.option(number, &address.octets());
            }
        }
        if let Some(host) = self.host {
            writer.option(code::HOST_NAME, host.as_bytes());
        }
        writer.finish(MESSAGE_OCTETS_MIN);
        out.written().to_vec()
    }
}

/// An answer as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) kind: MessageType,
    pub(crate) yiaddr: Ipv4Addr,
    pub(crate) server: Ipv4Addr,
    pub(crate) seconds: Option<u32>,
    /// Where it was sent to.
    pub(crate) to: SocketAddr,
}

fn read(octets: &[u8], xid: u32, mac: [u8; 6], to: SocketAddr) -> Option<Reply> {
    let message = Message::parse(octets).ok()?;
    let is_ours = message.op() == BOOTREPLY && message.xid() == xid && message.chaddr() == mac;
    let reply = || Reply {
        kind: message.kind().unwrap(),
        yiaddr: message.yiaddr(),
        server: message.server_id().unwrap(),
        seconds: message.lease_seconds(),
        to,
    };
    is_ours.then(reply)
}

/// A host without an address that asks by frames.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) world: World,
    pub(crate) node: Node,
    pub(crate) mac: [u8; 6],
    link: Arc<LinkSocket>,
}

impl Client {
    fn new(world: &World, node: Node, mac: [u8; 6]) -> Self {
        let options = LinkOptions { udp_ports: vec![68], ..LinkOptions::default() };
        let link = Arc::new(world.link("eth0", &options).unwrap());
        Self { world: world.clone(), node, mac, link }
    }

    pub(crate) fn say(&self, octets: Vec<u8>) {
        let content = LinkContent::Udp { source: BARE, destination: EVERYBODY, octets };
        let source_mac = self.link.mac();
        let message = LinkMessage { source_mac, destination_mac: Mac::BROADCAST, content };
        self.link.send(&message).unwrap();
    }

    /// The next answer to `xid`; `None` when none comes.
    pub(crate) async fn hear(&self, xid: u32, mac: [u8; 6]) -> Option<Reply> {
        let until = self.world.now() + PATIENCE;
        loop {
            let left = until - self.world.now();
            let message = self.world.timeout(left, self.link.receive()).await?.unwrap();
            if let LinkContent::Udp { destination, octets, .. } = message.content
                && let Some(reply) = read(&octets, xid, mac, destination.into())
            {
                return Some(reply);
            }
        }
    }

    pub(crate) async fn ask(&self, request: &Request) -> Option<Reply> {
        self.say(request.octets());
        self.hear(request.xid, request.mac).await
    }

    /// All answers that come within a while.
    pub(crate) async fn ask_all(&self, request: &Request) -> Vec<Reply> {
        let mut replies: Vec<Reply> = self.ask(request).await.into_iter().collect();
        while let Some(reply) = self.hear(request.xid, request.mac).await {
            replies.push(reply);
        }
        replies
    }

    pub(crate) fn discover(&self, xid: u32) -> Request {
        Request::new(MessageType::Discover, self.mac, xid)
    }

    /// DISCOVER, OFFER, REQUEST, ACK.
    pub(crate) async fn lease(&self, xid: u32) -> Reply {
        let offer = self.ask(&self.discover(xid)).await.expect("an offer");
        assert_eq!(offer.kind, MessageType::Offer);
        let ack = self.ask(&Request::taking(&offer, self.mac, xid)).await.expect("an answer");
        assert_eq!((ack.kind, ack.yiaddr), (MessageType::Ack, offer.yiaddr));
        ack
    }
}

/// Passes requests of invented clients on, as a relay agent does.
#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) world: World,
    pub(crate) node: Node,
    pub(crate) socket: Arc<UdpClient>,
}

impl Relay {
    pub(crate) async fn send(&self, octets: &[u8]) {
        self.socket.send(octets, SERVER.into()).await.unwrap();
    }

    pub(crate) async fn hear(&self, xid: u32, mac: [u8; 6]) -> Option<Reply> {
        let until = self.world.now() + PATIENCE;
        let mut room = [0; 1500];
        loop {
            let left = until - self.world.now();
            let (count, _) = self.world.timeout(left, self.socket.receive(&mut room)).await?.unwrap();
            if let Some(reply) = read(&room[..count], xid, mac, RELAY.into()) {
                return Some(reply);
            }
        }
    }

    pub(crate) async fn ask(&self, request: Request) -> Option<Reply> {
        let request = Request { giaddr: *RELAY.ip(), ..request };
        self.send(&request.octets()).await;
        self.hear(request.xid, request.mac).await
    }

    pub(crate) async fn lease(&self, mac: [u8; 6], xid: u32) -> Option<Reply> {
        let offer = self.ask(Request::new(MessageType::Discover, mac, xid)).await?;
        self.ask(Request::taking(&offer, mac, xid)).await
    }
}
