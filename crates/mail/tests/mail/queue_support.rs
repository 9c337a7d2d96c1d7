//! Hosts that send through the queue, hosts that take what is sent, and names for both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use doorway_base::UnixTime;
use doorway_mail::io::queue::{Afterwards, QueueOptions};
use doorway_mail::io::{Bodies, Content, Queue, Report, Returns, SmtpClient};
use doorway_mail::queue::QueueEntry;
use doorway_mail::{Address, Envelope, MessageId, Recipient, mime};
use doorway_net::resolve::{Exchanger, Hosts, Resolve, ResolveError};
use doorway_net::tcp::{self, Connection, TcpOptions, TcpService};
use doorway_net::tls::TlsDialler;
use doorway_net::{BoxFuture, World};
use doorway_sim::{Node, SimDisk, Simulation};
use doorway_store::{Batch, BlobOptions, Key, LocalBlobs, MemoryStore, Range, Store, wait};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// The day on which these tests happen.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// A message as a host took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) mail: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) content: String,
    pub(crate) at: Duration,
    /// Which connection of the host it came by.
    pub(crate) connection: usize,
}

/// How a host behaves.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    /// What it offers after EHLO.
    pub(crate) extensions: Vec<&'static str>,
    /// What it says first.
    pub(crate) greeting: &'static str,
    /// What it says to the end of a message.
    pub(crate) end: &'static str,
}

impl Default for Manners {
    fn default() -> Self {
        let extensions = vec!["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000"];
        Self { extensions, greeting: "220 hello", end: "250 2.0.0 taken" }
    }
}

/// What a host remembers, whatever happens to it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) taken: Vec<Taken>,
    pub(crate) connections: usize,
    open: usize,
    pub(crate) open_max: usize,
    seen: BTreeMap<String, usize>,
}

/// A host that takes mail. Local parts say what it answers to RCPT: `no…` 550, `grey…` 450 the first two
/// times, `never…` 450 always, `bye…` 421 and the end.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) memory: Arc<Mutex<Memory>>,
    manners: Manners,
}

impl Sink {
    pub(crate) fn boot(sim: &mut Simulation, node: Node, address: &str, manners: Manners) -> Self {
        let sink = Self { memory: Arc::default(), manners };
        let (service, address) = (Arc::new(sink.clone()), format!("{address}:25"));
        sim.boot(node, move |world, _| {
            let options = TcpOptions::new("sink", "smtp", 25);
            tcp::serve(world, address.parse().unwrap(), &options, &service).unwrap();
        });
        sink
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.memory.lock().unwrap().taken.clone()
    }

    fn rcpt(&self, path: &str) -> String {
        let count = {
            let mut memory = self.memory.lock().unwrap();
            let count = memory.seen.entry(path.to_owned()).or_insert(0);
            *count += 1;
            *count
        };
        match path.trim_start_matches('<') {
            path if path.starts_with("no") => "550 5.1.1 no such user".to_owned(),
            path if path.starts_with("grey") && count <= 2 => "450 4.7.1 come again".to_owned(),
            path if path.starts_with("never") => "450 4.2.0 later, perhaps".to_owned(),
            path if path.starts_with("bye") => "421 4.3.2 closing".to_owned(),
            _ => "250 2.1.5 fine".to_owned(),
        }
    }
}

impl TcpService for Sink {
    async fn serve(&self, connection: Connection) {
        let (stream, world, _watch) = connection.into_parts();
        let number = {
            let mut memory = self.memory.lock().unwrap();
            memory.connections += 1;
            memory.open += 1;
            memory.open_max = memory.open_max.max(memory.open);
            memory.connections
        };
        let mut lines = BufReader::new(stream);
        let _ = talk(self, &world, number, &mut lines).await;
        self.memory.lock().unwrap().open -= 1;
    }
}

async fn talk(
    sink: &Sink,
    world: &World,
    connection: usize,
    lines: &mut BufReader<doorway_net::Stream>,
) -> std::io::Result<()> {
    let say = async |lines: &mut BufReader<doorway_net::Stream>, text: &str| {
        lines.get_mut().write_all(format!("{text}\r\n").as_bytes()).await
    };
    say(lines, sink.manners.greeting).await?;
    if !sink.manners.greeting.starts_with('2') {
        return Ok(());
    }
    let (mut mail, mut recipients) = (String::new(), Vec::new());
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "LHLO" => {
                let mut reply = "250-sink".to_owned();
                sink.manners.extensions.iter().for_each(|word| reply.push_str(&format!("\r\n250-{word}")));
                say(lines, &format!("{reply}\r\n250 HELP")).await?;
            }
            "MAIL" => {
                (mail, recipients) = (line["MAIL FROM:".len()..].to_owned(), Vec::new());
                say(lines, "250 2.1.0 fine").await?;
            }
            "RCPT" => {
                let path = line["RCPT TO:".len()..].to_owned();
                let reply = sink.rcpt(&path);
                say(lines, &reply).await?;
                if reply.starts_with("421") {
                    return Ok(());
                }
                if reply.starts_with('2') {
                    recipients.push(path);
                }
            }
            "DATA" if recipients.is_empty() => say(lines, "554 5.5.1 no recipients").await?,
            "DATA" => {
                say(lines, "354 go on").await?;
                let mut content = String::new();
                loop {
                    let mut octets = Vec::new();
                    if lines.read_until(b'\n', &mut octets).await? == 0 {
                        return Ok(());
                    }
                    if octets == b".\r\n" {
                        break;
                    }
                    let octets = octets.strip_prefix(b".").unwrap_or(&octets);
                    content.push_str(&String::from_utf8_lossy(octets));
                }
                if sink.manners.end.starts_with('2') {
                    let at = world.now() - doorway_base::Instant::ZERO;
                    let taken =
                        Taken { mail: mail.clone(), recipients: recipients.clone(), content, at, connection };
                    sink.memory.lock().unwrap().taken.push(taken);
                }
                say(lines, sink.manners.end).await?;
            }
            "QUIT" => return say(lines, "221 2.0.0 bye").await,
            _ => say(lines, "250 2.0.0 fine").await?,
        }
    }
}

/// Names, which can be out of order for a while.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<(Hosts, Disorder)>>);

/// What is the matter with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Disorder {
    #[default]
    None,
    /// Nothing is found out.
    Silent,
    /// Whoever asks comes to grief.
    Panics,
}

impl Names {
    pub(crate) fn add(&self, domain: &str, preference: u16, host: &str, address: &str) {
        let mut names = self.0.lock().unwrap();
        names.0.add_exchanger(domain, preference, host);
        if !address.is_empty() {
            names.0.add(host, address.parse().unwrap());
        }
    }

    pub(crate) fn fail(&self, fail: bool) {
        self.disorder(if fail { Disorder::Silent } else { Disorder::None });
    }

    pub(crate) fn disorder(&self, disorder: Disorder) {
        self.0.lock().unwrap().1 = disorder;
    }

    fn look(&self) -> Result<Hosts, ResolveError> {
        let (hosts, disorder) = self.0.lock().unwrap().clone();
        match disorder {
            Disorder::None => Ok(hosts),
            Disorder::Silent => Err(ResolveError::Unavailable("SERVFAIL".into())),
            Disorder::Panics => panic!("the test wants it so"),
        }
    }
}

impl Resolve for Names {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<std::net::IpAddr>, ResolveError>> {
        Box::pin(async move { self.look()?.addresses(name).await })
    }

    fn exchangers<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<Exchanger>, ResolveError>> {
        Box::pin(async move { self.look()?.exchangers(domain).await })
    }
}

/// Keeps reports instead of delivering them.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<Report>>>);

impl Returns for Reports {
    fn give_back(
        &self,
        batch: Batch,
        report: Report,
    ) -> BoxFuture<'_, doorway_store::Result<(Batch, Afterwards)>> {
        let reports = self.clone();
        let keep: Afterwards = Box::new(move || reports.0.lock().unwrap().push(report));
        Box::pin(async move { Ok((batch, keep)) })
    }
}

impl Reports {
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |report: &Report| String::from_utf8_lossy(&report.content).into_owned();
        self.0.lock().unwrap().iter().map(text).collect()
    }
}

/// A host that sends. Its store survives everything.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) reports: Reports,
    pub(crate) names: Names,
    running: Arc<Mutex<Option<(Queue, Bodies)>>>,
    next: Arc<Mutex<u64>>,
}

impl Sender {
    pub(crate) fn boot(sim: &mut Simulation, node: Node, options: QueueOptions) -> Self {
        let sender = Self {
            store: Arc::new(MemoryStore::new()),
            reports: Reports::default(),
            names: Names::default(),
            running: Arc::default(),
            next: Arc::new(Mutex::new(NOW.as_nanos() / 1000)),
        };
        let copy = sender.clone();
        sim.set_wall(NOW);
        sim.boot(node, move |world, disk| copy.start(world, disk, options.clone()));
        sender
    }

    fn start(&self, world: &World, disk: &SimDisk, options: QueueOptions) {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let blobs = BlobOptions { min_free: 0, ..BlobOptions::new("/data", Arc::new(disk.clone()), 0) };
        let blobs = LocalBlobs::open(blobs, Arc::clone(&store)).unwrap();
        let bodies = Bodies::new(store, Arc::new(blobs));
        let client = SmtpClient::new(world, Arc::new(TlsDialler::new(None, &[]).unwrap()));
        let queue = Queue::new(world, bodies.clone(), client, Arc::new(self.names.clone()), options);
        queue.start(Arc::new(self.reports.clone()));
        *self.running.lock().unwrap() = Some((queue, bodies));
    }

    pub(crate) fn queue(&self) -> Queue {
        self.running.lock().unwrap().clone().unwrap().0
    }

    pub(crate) fn bodies(&self) -> Bodies {
        self.running.lock().unwrap().clone().unwrap().1
    }

    /// Puts a message into the store without telling the queue of it.
    pub(crate) fn keep(&self, envelope: Envelope, content: &str) -> QueueEntry {
        let (queue, bodies) = self.running.lock().unwrap().clone().unwrap();
        let id = {
            let mut next = self.next.lock().unwrap();
            *next += 1;
            MessageId(*next)
        };
        let structure = mime::structure(content.as_bytes());
        let content = Content::Memory(vec![Bytes::copy_from_slice(content.as_bytes())]);
        let head = b"Return-Path: <x>\r\n";
        let prepared = wait(bodies.prepare(head, &content)).unwrap();
        let references = envelope.recipients.len() as u64;
        let octets = prepared.octets() - head.len() as u64;
        let skip = head.len() as u32;
        let entry = QueueEntry { id, at: NOW, envelope, skip, octets, demands: structure.demands };
        let batch = bodies.keep(Batch::new(), id, &prepared, references);
        self.store.commit(queue.enqueue(batch, &entry)).wait().unwrap();
        entry
    }

    /// Queues a message from `from` (the null reverse-path when empty).
    pub(crate) fn send(&self, from: &str, to: &[&str], content: &str) -> MessageId {
        self.submit(envelope(from, to), content)
    }

    pub(crate) fn submit(&self, envelope: Envelope, content: &str) -> MessageId {
        let entry = self.keep(envelope, content);
        self.queue().admitted(&entry);
        entry.id
    }

    /// How many rows there are whose keys begin so.
    pub(crate) fn rows(&self, prefix: &str) -> usize {
        wait(doorway_store::rows(&*self.store, Range::prefix(&Key::from(prefix)))).unwrap().len()
    }

    /// Nothing of any message is left but its history.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows("mail.queue") == 0 && self.rows("mail.body") == 0
    }

    pub(crate) fn history(&self, id: MessageId) -> Vec<&'static str> {
        wait(self.queue().history().of(id)).unwrap().iter().map(|event| event.what.word()).collect()
    }
}

pub(crate) fn envelope(from: &str, to: &[&str]) -> Envelope {
    let recipient = |to: &&str| Recipient::new(Address::parse(to).unwrap());
    let from = (!from.is_empty()).then(|| Address::parse(from).unwrap());
    Envelope { from, recipients: to.iter().map(recipient).collect(), ..Envelope::default() }
}

/// A simulation with a host that sends and one that takes what is for `x.test`.
pub(crate) fn two(seed: u64, manners: Manners) -> (Simulation, Node, Node, Sender, Sink) {
    two_with(seed, manners, QueueOptions::new("mx.us.test"))
}

pub(crate) fn two_with(
    seed: u64,
    manners: Manners,
    options: QueueOptions,
) -> (Simulation, Node, Node, Sender, Sink) {
    let mut sim = Simulation::new(seed);
    let sending = sim.node("sending", "10.0.0.1");
    let taking = sim.node("taking", "10.0.0.2");
    let sender = Sender::boot(&mut sim, sending, options);
    sender.names.add("x.test", 10, "mx.x.test", "10.0.0.2");
    let sink = Sink::boot(&mut sim, taking, "10.0.0.2", manners);
    (sim, sending, taking, sender, sink)
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
