//! Two mail servers, each with its domain and its name server, and the root that knows both: mail that finds its
//! way by MX records, and that waits while the other side has no power.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use doorway_base::UnixTime;
use doorway_base::config::Listen;
use doorway_dns::config::{self, Tables, ZoneConfig};
use doorway_dns::io::Surroundings;
use doorway_mail::config::Config;
use doorway_mail::io::queue::Filter;
use doorway_mail::io::{
    Arrival, Bodies, Content, DoorSetup, Intake, Mailboxes, Means, Office, Origin, Queue, QueueOptions,
    Quota, Returns, SmtpClient, SmtpParts, SmtpServer,
};
use doorway_mail::mailbox::FolderId;
use doorway_mail::smtp::Dialect;
use doorway_mail::smtp::session::Options;
use doorway_mail::{Address, Envelope, MessageId, MessageIds, Recipient};
use doorway_net::tls::TlsDialler;
use doorway_net::{World, tcp};
use doorway_sim::{Node, SimDisk, Simulation};
use doorway_store::{BlobOptions, LocalBlobs, MemoryStore, Preset, Role, Store, UserOptions, Users, wait};

/// The day on which this happens.
const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);
/// Where the root is.
const ROOT: &str = "10.0.0.3";
/// The number of the only user of each server.
const ONLY_USER: u64 = 1;

/// One of the two.
#[derive(Clone)]
struct Side {
    domain: &'static str,
    user: &'static str,
    address: &'static str,
    store: Arc<MemoryStore>,
    office: Arc<Mutex<Option<Arc<Office>>>>,
}

impl Side {
    fn new(domain: &'static str, user: &'static str, address: &'static str) -> Self {
        let side = Self { domain, user, address, store: Arc::default(), office: Arc::default() };
        wait(side.users().add(user, user, &[Role::User], Some("secret words"), NOW)).unwrap();
        side
    }

    fn users(&self) -> Arc<Users> {
        let preset = Preset { memory_kib: 8, passes: 1, lanes: 1 };
        let entropy = Arc::new(|octets: &mut [u8]| octets.fill(7));
        let options = UserOptions { preset, threads: 0, ..UserOptions::new(entropy) };
        Arc::new(Users::new(Arc::clone(&self.store) as Arc<dyn Store>, options).unwrap())
    }

    fn boot(&self, sim: &mut Simulation, node: Node) {
        let side = self.clone();
        sim.boot(node, move |world, disk| side.start(world, disk));
    }

    /// Starts name server, doors and queue as `wiring.rs` does. What was acknowledged is in the store, which
    /// outlives the power cut.
    fn start(&self, world: &World, disk: &SimDisk) {
        let [dns, resolver, cache, rate] = config::SECTIONS.map(|section| section.defaults());
        let tables = Tables { dns: &dns, resolver: &resolver, cache: &cache, rate: &rate };
        let mut dns = doorway_dns::Config::read(&tables).unwrap();
        dns.listen = vec![format!("{}:53", self.address).parse::<Listen>().unwrap()];
        dns.listen_tls = Vec::new();
        dns.zones = vec![zone(self.domain)];
        let resolver = dns.resolver.as_mut().unwrap();
        resolver.engine.root_hints =
            vec![("a.root-servers.net".parse().unwrap(), vec![ROOT.parse().unwrap()])];
        resolver.engine.rebinding_protection = false;
        let server = doorway_dns::Server::start(world, &dns, &Surroundings::default()).unwrap();

        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let blobs = BlobOptions { min_free: 0, ..BlobOptions::new("/data", Arc::new(disk.clone()), 0) };
        let blobs = Arc::new(LocalBlobs::open(blobs, Arc::clone(&store)).unwrap());
        let bodies = Bodies::new(store, blobs);
        let client = SmtpClient::new(world, Arc::new(TlsDialler::new(None, &[]).unwrap()));
        let hostname = format!("mail.{}", self.domain);
        let (names, options) = (Arc::new(server.names()), QueueOptions::new(&hostname));
        let queue = Queue::new(world, bodies.clone(), client, names, options);
        let mailboxes = Arc::new(Mailboxes::new(bodies, Quota::default()));
        let ids = Arc::new(MessageIds::above(wait(mailboxes.bodies().last()).unwrap()));
        let means = Means { users: self.users(), mailboxes, queue, ids };
        let office = Office::start(world, means, &Config::default(), &[self.domain.to_owned()], &hostname);
        let intake = Arc::clone(&office) as Arc<dyn Intake>;
        let parts = SmtpParts { intake, gate: None, tls: None, counters: Arc::default() };
        let door = Arc::new(SmtpServer::new(DoorSetup::new(Options::new(&hostname, Dialect::Smtp)), parts));
        let address = format!("{}:25", self.address).parse().unwrap();
        tcp::serve(world, address, &door.tcp_options("smtp"), &door).unwrap();
        office.queue().start(Arc::clone(&office) as Arc<dyn Returns>);
        *self.office.lock().unwrap() = Some(office);
    }

    fn office(&self) -> Arc<Office> {
        self.office.lock().unwrap().clone().unwrap()
    }

    fn mailbox(&self) -> String {
        format!("{}@{}", self.user, self.domain)
    }

    /// The user of this side sends a message.
    fn send(&self, to: &str, subject: &str) -> MessageId {
        let office = self.office();
        let origin = Origin {
            remote: None,
            greeting: "localhost".into(),
            protocol: "ESMTPSA",
            tls: true,
            user: Some(self.user.into()),
            submission: true,
        };
        let address = |text: &str| Address::parse(text).unwrap();
        let envelope = Envelope {
            from: Some(address(&self.mailbox())),
            recipients: vec![Recipient::new(address(to))],
            ..Envelope::default()
        };
        let content =
            Content::Memory(vec![Bytes::from(format!("Subject: {subject}\r\n\r\nHello.\r\n.\r\n"))]);
        let arrival = Arrival { id: office.draw(), at: NOW, origin, envelope, content };
        wait(office.accept(arrival)).unwrap()
    }

    /// The subjects of what is in the mailbox, in the order in which it came.
    fn subjects(&self) -> Vec<String> {
        let mailboxes = Arc::clone(self.office().mailboxes());
        let page = wait(mailboxes.messages(ONLY_USER, FolderId::INBOX, 1..=u32::MAX, 100)).unwrap();
        let subject = |id| {
            let body = wait(mailboxes.bodies().body(id)).unwrap().unwrap();
            let octets = wait(mailboxes.bodies().read(&body, 0, u64::MAX)).unwrap();
            let text = String::from_utf8(octets.to_vec()).unwrap();
            text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default().to_owned()
        };
        page.messages.iter().map(|message| subject(message.id)).collect()
    }

    fn is_settled(&self) -> bool {
        let (office, all) = (self.office(), Filter::default());
        wait(office.queue().list(&all, None, 10)).unwrap().0.is_empty()
    }
}

const ZONES: [(&str, &str); 3] = [
    (
        "root",
        "$TTL 300\n. SOA a.root-servers.net. root. 1 2 3 4 60\n. NS a.root-servers.net.\n\
         a.root-servers.net. A 10.0.0.3\ncrepes.fr. NS ns.crepes.fr.\nns.crepes.fr. A 10.0.0.1\n\
         hamburger.edu. NS ns.hamburger.edu.\nns.hamburger.edu. A 10.0.0.2\n",
    ),
    (
        "crepes.fr",
        "$TTL 300\n@ SOA ns root 1 2 3 4 60\n@ NS ns\nns A 10.0.0.1\n@ MX 10 mail\nmail A 10.0.0.1\n",
    ),
    (
        "hamburger.edu",
        "$TTL 300\n@ SOA ns root 1 2 3 4 60\n@ NS ns\nns A 10.0.0.2\n@ MX 5 nowhere\n@ MX 10 mail\n\
         nowhere A 10.0.0.77\nmail A 10.0.0.2\n",
    ),
];

/// The zone of this name, whose file is written once and for all.
fn zone(name: &str) -> ZoneConfig {
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulation");
    fs::create_dir_all(&folder).unwrap();
    let (_, content) = ZONES.iter().find(|(zone, _)| *zone == name).unwrap();
    let file = folder.join(format!("{name}.zone"));
    if !fs::read(&file).is_ok_and(|there| there == content.as_bytes()) {
        fs::write(&file, content).unwrap();
    }
    let name = if name == "root" { "." } else { name }.to_owned();
    ZoneConfig { name, file: Some(file), ..ZoneConfig::default() }
}

#[test]
fn two_servers_find_each_other_by_dns_and_mail_waits_for_the_one_that_is_down() {
    for seed in [3, 4, 5] {
        let mut sim = Simulation::new(seed);
        sim.set_wall(NOW);
        let (a, b, root) =
            (sim.node("crepes", "10.0.0.1"), sim.node("hamburger", "10.0.0.2"), sim.node("root", ROOT));
        sim.boot(root, |world, _| {
            let dns = doorway_dns::Config {
                listen: vec![format!("{ROOT}:53").parse().unwrap()],
                zones: vec![zone("root")],
                resolver: None,
                ..doorway_dns::Config::default()
            };
            doorway_dns::Server::start(world, &dns, &Surroundings::default()).unwrap();
        });
        let alice = Side::new("crepes.fr", "alice", "10.0.0.1");
        let bob = Side::new("hamburger.edu", "bob", "10.0.0.2");
        alice.boot(&mut sim, a);
        bob.boot(&mut sim, b);
        sim.run_for(Duration::from_secs(1));

        alice.send(&bob.mailbox(), "Do you like ketchup?");
        bob.send(&alice.mailbox(), "How about pickles?");
        sim.run_for(Duration::from_secs(120));
        assert_eq!(bob.subjects(), ["Do you like ketchup?"], "SEED={seed}");
        assert_eq!(alice.subjects(), ["How about pickles?"], "SEED={seed}");

        sim.crash(b);
        alice.send(&bob.mailbox(), "Are you there?");
        sim.run_for(Duration::from_secs(20 * 60));
        assert!(!alice.is_settled(), "SEED={seed}: it waits");
        // The sender loses its power too, and still knows what it was told.
        sim.crash(a);
        sim.restart(a);
        sim.run_for(Duration::from_secs(60));
        sim.restart(b);
        sim.run_for(Duration::from_secs(3 * 3600));
        assert_eq!(bob.subjects(), ["Do you like ketchup?", "Are you there?"], "SEED={seed}");
        assert!(alice.is_settled(), "SEED={seed}");

        alice.send("nobody@hamburger.edu", "Who are you?");
        sim.run_for(Duration::from_secs(120));
        let told = alice.subjects();
        assert_eq!(told.len(), 2, "SEED={seed}: {told:?}");
        assert!(told[1].to_lowercase().contains("undeliver") || told[1].contains("not"), "{told:?}");
    }
}
