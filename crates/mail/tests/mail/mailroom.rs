//! Something behind the doors that takes whatever is for hamburger.edu, and remembers it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use doorway_base::UnixTime;
use doorway_mail::io::{
    Arrival, Bodies, Content, DoorSetup, Intake, Origin, SmtpCounters, SmtpParts, SmtpServer,
};
use doorway_mail::smtp::Dialect;
use doorway_mail::smtp::session::Options;
use doorway_mail::{Address, Domain, Enhanced, Envelope, MessageId, MessageIds, Recipient, Reply};
use doorway_net::tcp::{self, TcpDoor};
use doorway_net::tls::local_ca::LocalCa;
use doorway_net::tls::{Certificates, TlsAcceptor};
use doorway_net::{BoxFuture, World};
use doorway_sim::SimDisk;
use doorway_store::{Batch, BlobOptions, Blobs, LocalBlobs, LoginGate, MemoryStore, READ_OCTETS_MAX, Store};

use crate::support::{House, NOW, gate};

pub(crate) const DOOR: &str = "10.0.0.1:25";

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) envelope: Envelope,
    pub(crate) origin: Origin,
    pub(crate) content: Vec<u8>,
    /// Its content was too long for memory.
    pub(crate) was_spilt: bool,
}

/// Takes messages and remembers them.
pub(crate) struct Mailroom {
    came: Mutex<Vec<Came>>,
    ids: MessageIds,
    store: Arc<MemoryStore>,
    blobs: Arc<LocalBlobs>,
    pub(crate) disk: SimDisk,
    /// Nothing can be kept just now.
    pub(crate) is_full: AtomicBool,
}

impl Mailroom {
    pub(crate) fn new() -> Arc<Self> {
        let disk = SimDisk::new(1);
        let options = BlobOptions { min_free: 0, ..BlobOptions::new("/data", Arc::new(disk.clone()), 0) };
        let store = Arc::new(MemoryStore::new());
        let blobs = Arc::new(LocalBlobs::open(options, Arc::clone(&store) as Arc<dyn Store>).unwrap());
        Arc::new(Self {
            came: Mutex::default(),
            ids: MessageIds::default(),
            store,
            blobs,
            disk,
            is_full: AtomicBool::new(false),
        })
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }
}

impl Intake for Mailroom {
    fn draw(&self) -> MessageId {
        self.ids.next(NOW)
    }

    fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(&self.blobs) as Arc<dyn Blobs>
    }

    fn sender<'a>(
        &'a self,
        _: &'a Origin,
        _: Option<&'a Address>,
        _: u64,
    ) -> BoxFuture<'a, Result<(), Reply>> {
        let full = Reply::new(452, Enhanced(4, 3, 1), "no room");
        Box::pin(async { if self.is_full.load(Relaxed) { Err(full) } else { Ok(()) } })
    }

    fn recipient<'a>(
        &'a self,
        origin: &'a Origin,
        _: Option<&'a Address>,
        recipient: &'a Recipient,
    ) -> BoxFuture<'a, Result<(), Reply>> {
        let ours = recipient.address.domain == Domain::Name("hamburger.edu".to_owned());
        let refusal = match recipient.address.local.as_str() {
            "full" => Some(Reply::new(452, Enhanced(4, 2, 2), "the mailbox is full")),
            _ if ours || origin.user.is_some() => None,
            _ => Some(Reply::new(550, Enhanced(5, 7, 1), "not relayed for strangers")),
        };
        Box::pin(async { refusal.map_or(Ok(()), Err) })
    }

    fn accept(&self, arrival: Arrival) -> BoxFuture<'_, Result<MessageId, Reply>> {
        Box::pin(async move {
            let (content, was_spilt) = match &arrival.content {
                Content::Memory(pieces) => (pieces.concat(), false),
                Content::Blob(stored) => {
                    self.store.commit(Batch::new().link(stored)).await.unwrap();
                    let mut content = Vec::new();
                    while (content.len() as u64) < stored.octets {
                        let piece = self.blobs.read(stored.id, content.len() as u64, READ_OCTETS_MAX).await;
                        content.extend_from_slice(&piece.unwrap());
                    }
                    (content, true)
                }
            };
            let Arrival { id, origin, envelope, .. } = arrival;
            self.came.lock().unwrap().push(Came { envelope, origin, content, was_spilt });
            Ok(id)
        })
    }
}

/// A house and its gate, with the user user, whose password is pencil.
pub(crate) fn gatekeeper() -> (House, Arc<LoginGate>) {
    let house = House::new();
    let gate = gate(&house, &[("user", "pencil"), ("eve", "thirsty-too")]);
    (house, gate)
}

/// A certificate for hamburger.edu.
pub(crate) fn acceptor() -> Arc<TlsAcceptor> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let folder = std::env::temp_dir().join(format!("doorway-mail-{}-{number}", std::process::id()));
    let now = UnixTime::from_secs(1_800_000_000);
    let mut certificates = Certificates::default();
    let ca = LocalCa::open(&folder, &["hamburger.edu"], now).unwrap();
    ca.leaf(&mut certificates, &["hamburger.edu".to_owned()], now).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    Arc::new(TlsAcceptor::new(certificates, &[]).unwrap())
}

pub(crate) fn options() -> Options {
    Options { starttls: true, auth: true, ..Options::new("hamburger.edu", Dialect::Smtp) }
}

/// Opens a door to the mailroom.
pub(crate) fn open(world: &World, room: &Arc<Mailroom>, options: Options, parts: &SmtpParts) -> TcpDoor {
    open_as(world, room, DoorSetup::new(options), parts)
}

/// Opens a door with this set-up.
pub(crate) fn open_as(world: &World, room: &Arc<Mailroom>, setup: DoorSetup, parts: &SmtpParts) -> TcpDoor {
    let parts = SmtpParts { intake: Arc::clone(room) as Arc<dyn Intake>, ..parts.clone() };
    let setup = DoorSetup { domains: vec!["hamburger.edu".to_owned()], ..setup };
    let server = Arc::new(SmtpServer::new(setup, parts));
    tcp::serve(world, DOOR.parse().unwrap(), &server.tcp_options("smtp"), &server).unwrap()
}

/// What stands behind a door without logins and TLS.
pub(crate) fn parts(room: &Arc<Mailroom>) -> SmtpParts {
    let intake = Arc::clone(room) as Arc<dyn Intake>;
    SmtpParts { intake, gate: None, tls: None, counters: Arc::new(SmtpCounters::default()) }
}

/// Bodies that a client sends from.
pub(crate) fn bodies() -> Bodies {
    House::new().mailboxes.bodies().clone()
}
