//! Load for DHCP servers, that checks every answer. It speaks as a relay agent, so that one address stands for any
//! number of clients. Each run prints one line of `name value` pairs; a wrong answer, or an address that two
//! clients get, ends it with an error, and the measurement is void.
//!
//! ```text
//! lease new SERVER RELAY WINDOW SECONDS FIRST FILE   DISCOVER, OFFER, REQUEST, ACK: clients numbered from FIRST on,
//!                                                    so many at once; writes who got what to FILE
//! lease renew SERVER RELAY WINDOW SECONDS FILE       REQUEST and ACK of those, over and over
//! ```
//!
//! `RELAY` is an address of this host, on port 67, in the network that the server has a pool for.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use doorway_bench::{BATCH, Batch};

/// Octets of the head of a message, with its cookie.
const HEAD_OCTETS: usize = 240;
/// Shortest message that clients send: RFC 1542 §2.1.
const MESSAGE_OCTETS: usize = 300;
/// After so long without an answer a message is sent again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often, before the server is taken to be gone.
const TRIES_MAX: u32 = 8;

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| usage());
    let address = |text: &str| text.parse::<Ipv4Addr>().unwrap_or_else(|_| usage());
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["new", server, relay, window, seconds, first, file] => {
            let clients = Clients::New { next: number(first) as u32 };
            let mut load = Load::open(address(server), address(relay), number(window), clients)?;
            load.run(Duration::from_secs(number(seconds) as u64))?;
            let mut out = io::BufWriter::new(std::fs::File::create(file)?);
            for (address, client) in &load.owners {
                writeln!(out, "{client} {address}")?;
            }
            out.flush()
        }
        ["renew", server, relay, window, seconds, file] => {
            let list = std::fs::read_to_string(file)?;
            let leases = list
                .lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(client, lease)| (number(client) as u32, address(lease)));
            let clients = Clients::Known(leases.collect());
            let mut load = Load::open(address(server), address(relay), number(window), clients)?;
            load.run(Duration::from_secs(number(seconds) as u64))
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("lease new SERVER RELAY WINDOW SECONDS FIRST FILE | renew SERVER RELAY WINDOW SECONDS FILE");
    std::process::exit(2)
}

/// Whose turn it is.
enum Clients {
    /// Clients that have nothing yet.
    New { next: u32 },
    /// Clients with their addresses, the one behind the other.
    Known(VecDeque<(u32, Ipv4Addr)>),
}

/// One exchange under way.
#[derive(Clone, Copy)]
struct Slot {
    client: u32,
    /// What is waited for.
    wants: u8,
    /// The address that was offered, or that is to be kept.
    address: Ipv4Addr,
    server: Ipv4Addr,
    xid: u32,
    begun: Instant,
    sent: Instant,
    tries: u32,
}

struct Load {
    socket: UdpSocket,
    relay: Ipv4Addr,
    clients: Clients,
    slots: Vec<Option<Slot>>,
    /// Who has which address.
    owners: HashMap<Ipv4Addr, u32>,
    /// Messages to be sent, by slot.
    out: VecDeque<usize>,
    exchanges: u32,
    micros: Vec<u32>,
    resent: u64,
}

impl Load {
    fn open(server: Ipv4Addr, relay: Ipv4Addr, window: usize, clients: Clients) -> io::Result<Self> {
        let socket = UdpSocket::bind((relay, 67))?;
        socket.connect((server, 67))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let slots = vec![None; window.clamp(1, 4096)];
        Ok(Self {
            socket,
            relay,
            clients,
            slots,
            owners: HashMap::new(),
            out: VecDeque::new(),
            exchanges: 0,
            micros: Vec::new(),
            resent: 0,
        })
    }

    fn run(&mut self, span: Duration) -> io::Result<()> {
        let start = Instant::now();
        let (mut incoming, mut outgoing) = (Batch::new(), Batch::new());
        let mut looked = start;
        for index in 0..self.slots.len() {
            self.begin(index);
        }
        let mut over = false;
        while self.slots.iter().any(Option::is_some) {
            self.send(&mut outgoing)?;
            let count = incoming.receive(self.socket.as_raw_fd(), true)?;
            over |= start.elapsed() >= span;
            for at in 0..count {
                let slot = self.hear(incoming.get(at))?;
                if let Some(index) = slot.filter(|_| !over) {
                    self.begin(index);
                }
            }
            if looked.elapsed() > Duration::from_millis(200) {
                looked = Instant::now();
                self.send_again()?;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        self.micros.sort_unstable();
        let tail = |part: f64| {
            let index = (self.micros.len() as f64 * part) as usize;
            self.micros.get(index.min(self.micros.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        println!(
            "operations {} rate {:.0} p50_micros {} p99_micros {} resent {} lost 0",
            self.micros.len(),
            self.micros.len() as f64 / seconds,
            tail(0.5),
            tail(0.99),
            self.resent
        );
        Ok(())
    }

    /// Gives a slot to the next client.
    fn begin(&mut self, index: usize) {
        let now = Instant::now();
        let (client, address, wants) = match &mut self.clients {
            Clients::New { next } => {
                *next += 1;
                (*next - 1, Ipv4Addr::UNSPECIFIED, OFFER)
            }
            Clients::Known(leases) => {
                let Some((client, address)) = leases.pop_front() else { return };
                leases.push_back((client, address));
                (client, address, ACK)
            }
        };
        self.exchanges = self.exchanges.wrapping_add(1);
        let xid = self.exchanges << 12 | index as u32;
        let server = Ipv4Addr::UNSPECIFIED;
        self.slots[index] =
            Some(Slot { client, wants, address, server, xid, begun: now, sent: now, tries: 0 });
        self.out.push_back(index);
    }

    fn send(&mut self, batch: &mut Batch) -> io::Result<()> {
        while !self.out.is_empty() {
            let indexes: Vec<usize> = self.out.drain(..self.out.len().min(BATCH)).collect();
            for (at, index) in indexes.iter().enumerate() {
                let Some(slot) = &self.slots[*index] else { continue };
                batch.put(at, &self.message(slot));
            }
            let mut sent = batch.send(self.socket.as_raw_fd(), indexes.len(), false)?;
            for index in indexes {
                match sent {
                    0 => self.out.push_back(index),
                    _ => sent -= 1,
                }
            }
        }
        Ok(())
    }

    fn send_again(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(slot) = slot.as_mut().filter(|slot| now - slot.sent > PATIENCE) else { continue };
            slot.tries += 1;
            slot.sent = now;
            self.resent += 1;
            if slot.tries > TRIES_MAX {
                return Err(io::Error::other(format!("client {} gets no answer", slot.client)));
            }
            self.out.push_back(index);
        }
        Ok(())
    }

    /// The message that a slot has to send.
    fn message(&self, slot: &Slot) -> [u8; MESSAGE_OCTETS] {
        let mut octets = [0; MESSAGE_OCTETS];
        octets[..4].copy_from_slice(&[1, 1, 6, 1]);
        octets[4..8].copy_from_slice(&slot.xid.to_be_bytes());
        let is_renewal = slot.wants == ACK && slot.server.is_unspecified();
        if is_renewal {
            octets[12..16].copy_from_slice(&slot.address.octets());
        }
        octets[24..28].copy_from_slice(&self.relay.octets());
        octets[28..34].copy_from_slice(&hardware(slot.client));
        octets[236..HEAD_OCTETS].copy_from_slice(&[99, 130, 83, 99]);
        let mut options = vec![53, 1, if slot.wants == OFFER { DISCOVER } else { REQUEST }];
        if slot.wants == ACK && !is_renewal {
            options.extend([50, 4]);
            options.extend(slot.address.octets());
            options.extend([54, 4]);
            options.extend(slot.server.octets());
        }
        options.extend([55, 6, 1, 3, 6, 15, 51, 54, 255]);
        octets[HEAD_OCTETS..HEAD_OCTETS + options.len()].copy_from_slice(&options);
        octets
    }

    /// Takes an answer. Returns the slot whose exchange is over.
    fn hear(&mut self, octets: &[u8]) -> io::Result<Option<usize>> {
        let wrong = |what: &str| io::Error::other(what.to_owned());
        if octets.len() < HEAD_OCTETS || octets[0] != 2 {
            return Err(wrong("the server sent what is no answer"));
        }
        let xid = u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]);
        let index = (xid & 0xfff) as usize;
        // An answer that came late, to a message that was sent again.
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else { return Ok(None) };
        let kind = option(octets, 53).and_then(|value| value.first().copied()).unwrap_or_default();
        if slot.xid != xid || (kind == OFFER && slot.wants == ACK) {
            return Ok(None);
        }
        // dnsmasq offers one address to several at once and has all but one begin again.
        if kind == NAK && slot.wants == ACK && matches!(self.clients, Clients::New { .. }) {
            (slot.wants, slot.sent) = (OFFER, Instant::now());
            self.resent += 1;
            self.out.push_back(index);
            return Ok(None);
        }
        if kind != slot.wants || octets[28..34] != hardware(slot.client) {
            return Err(io::Error::other(format!("message type {kind} where {} was due", slot.wants)));
        }
        let address = Ipv4Addr::new(octets[16], octets[17], octets[18], octets[19]);
        let server = option(octets, 54).and_then(|value| <[u8; 4]>::try_from(value).ok());
        let server = server.map(Ipv4Addr::from).ok_or_else(|| wrong("an answer does not name its server"))?;
        if option(octets, 51).is_none() || option(octets, 1).is_none() {
            return Err(wrong("an answer has no lease time or no mask"));
        }
        if kind == OFFER {
            (slot.wants, slot.address, slot.server) = (ACK, address, server);
            (slot.sent, slot.tries) = (Instant::now(), 0);
            self.out.push_back(index);
            return Ok(None);
        }
        if address != slot.address {
            return Err(wrong("another address was acknowledged than the one asked for"));
        }
        if self.owners.insert(address, slot.client).is_some_and(|owner| owner != slot.client) {
            return Err(io::Error::other(format!("two clients have {address}")));
        }
        self.micros.push(slot.begun.elapsed().as_micros() as u32);
        self.slots[index] = None;
        Ok(Some(index))
    }
}

/// The hardware address of a client: locally administered.
fn hardware(client: u32) -> [u8; 6] {
    let [a, b, c, d] = client.to_be_bytes();
    [2, 0xd0, a, b, c, d]
}

/// The value of an option.
fn option(octets: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = &octets[HEAD_OCTETS..];
    loop {
        match rest {
            [0, after @ ..] => rest = after,
            [255, ..] | [] | [_] => return None,
            [code, length, after @ ..] => {
                let value = after.get(..usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                rest = &after[value.len()..];
            }
        }
    }
}
