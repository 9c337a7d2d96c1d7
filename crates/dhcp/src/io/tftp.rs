//! TFTP over a world: requests at a door of each address, each file from a socket of its own.
//!
//! Names are looked up below the folder by `openat2`, so that neither `..` nor a symbolic link leads out of it.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use doorway_base::trace::{Direction, Event, EventId, Flow, Step as TraceStep, Transport};
use doorway_net::ground::ListenOptions;
use doorway_net::udp::{self, UdpClient, UdpDoor, UdpOptions, UdpService};
use doorway_net::{Error, World};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use crate::tftp::packet::{self, ErrorCode, Packet, Request};
use crate::tftp::{self, PORT, Step, Transfer};

/// Name of the service and of the protocol.
const TFTP: &str = "tftp";
/// Files on their way at once.
pub const TRANSFERS_MAX: usize = 256;
/// To one address.
pub const TRANSFERS_PER_ADDRESS_MAX: usize = 8;
/// Longest file that is sent as text, in octets, since its line ends are put right in memory.
const TEXT_OCTETS_MAX: u64 = 4 << 20;
/// Longest packet of a client.
const PACKET_OCTETS_MAX: usize = 1024;
/// A race with a rename makes `openat2` ask for another try; so often it gets one.
const OPEN_TRIES: u32 = 4;

/// What was asked and done.
#[derive(Debug, Default)]
pub struct TftpCounters {
    /// Requests for files.
    pub requests: AtomicU64,
    /// Files that arrived whole.
    pub completed: AtomicU64,
    /// Requests that were refused, and transfers whose client went away.
    pub failed: AtomicU64,
    /// Octets of files that were sent.
    pub octets: AtomicU64,
}

/// The doors of TFTP.
#[derive(Debug)]
pub struct Tftp {
    doors: Vec<UdpDoor>,
    counters: Arc<TftpCounters>,
}

impl Tftp {
    /// Serves the files below `folder` at these addresses; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::File`] for a folder that cannot be opened, [`Error::Bind`] for an address that is taken.
    pub fn start(world: &World, addresses: &[SocketAddr], folder: &Path) -> Result<Self, Error> {
        let opened = openat(CWD, folder, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let opened = opened.map_err(|error| Error::File {
            path: folder.to_owned(),
            doing: "open for TFTP",
            source: io::Error::from(error).into(),
        })?;
        let counters = Arc::new(TftpCounters::default());
        let root = Arc::new(opened);
        let clients = Arc::new(Mutex::default());
        let mut options = UdpOptions::new(TFTP, TFTP, PORT);
        options.receive_octets_max = PACKET_OCTETS_MAX;
        options.summary = packet::summary;
        let mut doors = Vec::with_capacity(addresses.len());
        for address in addresses {
            let service = Arc::new(Service {
                root: Arc::clone(&root),
                address: address.ip(),
                counters: Arc::clone(&counters),
                clients: Arc::clone(&clients),
            });
            match udp::serve_each(world, *address, &options, &service) {
                Ok(door) => doors.push(door),
                Err(error) => {
                    doors.iter().for_each(UdpDoor::close);
                    return Err(error);
                }
            }
        }
        Ok(Self { doors, counters })
    }

    /// The doors, in the order of the addresses.
    #[must_use]
    pub fn doors(&self) -> &[UdpDoor] {
        &self.doors
    }

    /// What was asked and done.
    #[must_use]
    pub fn counters(&self) -> &Arc<TftpCounters> {
        &self.counters
    }

    /// Takes no more requests; files on their way arrive.
    pub fn close(&self) {
        self.doors.iter().for_each(UdpDoor::close);
    }
}

type Clients = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

struct Service {
    root: Arc<OwnedFd>,
    address: IpAddr,
    counters: Arc<TftpCounters>,
    clients: Clients,
}

/// A transfer's place in the count.
struct Place {
    clients: Clients,
    address: IpAddr,
}

impl Place {
    fn take(clients: &Clients, address: IpAddr) -> Option<Self> {
        let mut count = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let own = count.get(&address).copied().unwrap_or_default();
        if own >= TRANSFERS_PER_ADDRESS_MAX || count.values().sum::<usize>() >= TRANSFERS_MAX {
            return None;
        }
        count.insert(address, own + 1);
        Some(Self { clients: Arc::clone(clients), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut count = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        match count.get_mut(&self.address) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(count.remove(&self.address)),
        }
    }
}

impl UdpService for Service {
    async fn datagram(&self, world: &World, remote: SocketAddr, octets: &[u8]) -> Option<Vec<u8>> {
        let refused = |code, text: &str| {
            self.counters.failed.fetch_add(1, Relaxed);
            Some(packet::error(code, text))
        };
        let request = match Packet::parse(octets) {
            Ok(Packet::Read(request)) => request,
            Ok(Packet::Write) => {
                return refused(ErrorCode::AccessViolation, "files are read here, not written");
            }
            // Errors are never answered, and nothing else belongs here.
            Ok(_) => return None,
            Err(malformed) => return refused(ErrorCode::IllegalOperation, &malformed.to_string()),
        };
        self.counters.requests.fetch_add(1, Relaxed);
        let Some(place) = Place::take(&self.clients, remote.ip()) else {
            return refused(ErrorCode::NotDefined, "too many files are on their way; try again");
        };
        let content = match Content::open(&self.root, &request) {
            Ok(content) => content,
            Err((code, text)) => return refused(code, &text),
        };
        let here = SocketAddr::new(self.address, 0);
        let options = ListenOptions { share: false, ..ListenOptions::default() };
        let socket = match world.udp(here, &options) {
            Ok(socket) => socket,
            Err(error) => return refused(ErrorCode::NotDefined, &format!("no socket is free: {error}")),
        };
        let sending = Sending {
            world: world.clone(),
            transfer: Transfer::new(&request, content.octets),
            content,
            remote,
            flow: world.trace().next_flow(),
            local: here,
            counters: Arc::clone(&self.counters),
        };
        world.spawn_background(TFTP, async move {
            let _place = place;
            let counters = Arc::clone(&sending.counters);
            let outcome = match socket.start() {
                Ok(socket) => sending.run(socket).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(true) => counters.completed.fetch_add(1, Relaxed),
                _ => counters.failed.fetch_add(1, Relaxed),
            };
            if let Err(error) = outcome {
                tracing::debug!(client = %remote, file = request.file, %error, "a file could not be sent");
            }
        });
        None
    }
}

/// What is in a file: on disk, or as text in memory.
struct Content {
    file: File,
    text: Option<Vec<u8>>,
    octets: u64,
}

impl Content {
    fn open(root: &OwnedFd, request: &Request) -> Result<Self, (ErrorCode, String)> {
        let missing = || (ErrorCode::NotFound, format!("there is no file `{}`", request.file));
        // Boot loaders write either stroke, and some put one before the name.
        let name = request.file.replace('\\', "/");
        let name = name.trim_start_matches('/');
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut tries = 0;
        let opened = loop {
            match openat2(root, name, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if tries < OPEN_TRIES => tries += 1,
                opened => break opened,
            }
        };
        let opened = opened.map_err(|error| match error {
            Errno::ACCESS | Errno::PERM | Errno::XDEV | Errno::LOOP => {
                (ErrorCode::AccessViolation, format!("`{}` may not be read", request.file))
            }
            _ => missing(),
        })?;
        let facts = fstat(&opened).map_err(|_| missing())?;
        if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
            return Err(missing());
        }
        let (file, octets) = (File::from(opened), u64::try_from(facts.st_size).unwrap_or_default());
        if request.mode == tftp::Mode::Octet {
            return Ok(Self { file, text: None, octets });
        }
        if octets > TEXT_OCTETS_MAX {
            return Err((ErrorCode::NotDefined, "too long to be sent as text; ask for octets".to_owned()));
        }
        let mut plain = vec![0; octets as usize];
        file.read_exact_at(&mut plain, 0).map_err(|_| missing())?;
        let text = as_text(&plain);
        Ok(Self { file, octets: text.len() as u64, text: Some(text) })
    }

    fn read(&self, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let count = self.octets.saturating_sub(from).min(most as u64) as usize;
        if let Some(text) = &self.text {
            let from = from as usize;
            return Ok(text[from..from + count].to_vec());
        }
        let mut octets = vec![0; count];
        self.file.read_exact_at(&mut octets, from)?;
        Ok(octets)
    }
}

// RFC 764: a line ends with CR LF, and a CR that ends none has a NUL behind it.
fn as_text(plain: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(plain.len() + plain.len() / 32);
    for octet in plain {
        match octet {
            b'\n' => text.extend(b"\r\n"),
            b'\r' => text.extend(b"\r\0"),
            other => text.push(*other),
        }
    }
    text
}

struct Sending {
    world: World,
    transfer: Transfer,
    content: Content,
    remote: SocketAddr,
    flow: u64,
    local: SocketAddr,
    counters: Arc<TftpCounters>,
}

impl Sending {
    /// Sends the file; whether the client has all of it.
    async fn run(mut self, socket: UdpClient) -> io::Result<bool> {
        self.local = socket.local().unwrap_or(self.local);
        let mut step = self.transfer.begin(self.world.now());
        let mut octets = vec![0; PACKET_OCTETS_MAX];
        loop {
            match step {
                Step::Options(options) => self.send(&socket, &packet::options(&options)).await?,
                Step::Blocks(blocks) => self.send_blocks(&socket, blocks).await?,
                Step::Wait => {}
                Step::Done => return Ok(true),
                Step::GivenUp => return Ok(false),
            }
            let wait = self.transfer.next_timeout() - self.world.now();
            step = match self.world.timeout(wait, socket.receive(&mut octets)).await {
                None => self.transfer.timeout(self.world.now()),
                Some(received) => {
                    let (count, from) = received?;
                    if from != self.remote {
                        // RFC 1350 §4: somebody else's packet disturbs nothing.
                        let error =
                            packet::error(ErrorCode::UnknownTransfer, "nothing is sent to you from here");
                        let _ = socket.send(&error, from).await;
                        step = Step::Wait;
                        continue;
                    }
                    self.record(Direction::In, &octets[..count]);
                    match Packet::parse(&octets[..count]) {
                        Ok(Packet::Acknowledged(number)) => {
                            self.transfer.acknowledged(self.world.now(), number)
                        }
                        // The client has what it wanted to know, such as the length, or cannot go on.
                        Ok(Packet::Error(_)) => return Ok(false),
                        _ => Step::Wait,
                    }
                }
            };
        }
    }

    async fn send_blocks(&self, socket: &UdpClient, blocks: RangeInclusive<u64>) -> io::Result<()> {
        for block in blocks {
            let (from, most) = self.transfer.place(block);
            let octets = match self.content.read(from, most) {
                Ok(octets) => octets,
                Err(error) => {
                    let told = packet::error(ErrorCode::NotDefined, "the file has changed meanwhile");
                    self.send(socket, &told).await?;
                    return Err(error);
                }
            };
            self.counters.octets.fetch_add(octets.len() as u64, Relaxed);
            self.send(socket, &packet::data(block as u16, &octets)).await?;
        }
        Ok(())
    }

    async fn send(&self, socket: &UdpClient, octets: &[u8]) -> io::Result<()> {
        self.record(Direction::Out, octets);
        socket.send(octets, self.remote).await
    }

    fn record(&self, direction: Direction, octets: &[u8]) {
        let world = &self.world;
        world.trace().record(|| Event {
            id: EventId::default(),
            at: world.now(),
            node: Arc::clone(world.node()),
            flow: Flow {
                id: self.flow,
                transport: Transport::Udp,
                local: self.local,
                remote: self.remote,
                canonical_port: PORT,
                serving: true,
            },
            direction,
            step: TraceStep::Message,
            protocol: TFTP,
            summary: packet::summary(octets),
            octets: octets.into(),
            cause: None,
            note: None,
        });
    }
}
