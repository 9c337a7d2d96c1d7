//! Clients behind a relay agent that lease addresses, many at once, until the server is gone.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use doorway_base::Writer;
use doorway_dhcp::wire::message::{BOOTREPLY, BOOTREQUEST};
use doorway_dhcp::wire::reply::MESSAGE_OCTETS_MIN;
use doorway_dhcp::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, code};

/// The address of the relay agent, which stands for its network.
pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The server.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 67);
/// Clients that wait for an answer at the same time.
const AT_ONCE: u32 = 32;
/// How long an answer is waited for before the question is put again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long all answers may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Leases that were acknowledged, by client.
pub(crate) type Acknowledged = BTreeMap<u32, Ipv4Addr>;

/// Clients that are being served.
pub(crate) struct Clients {
    worker: JoinHandle<Acknowledged>,
    enough: Arc<AtomicBool>,
}

/// The hardware address of client number `client`.
fn mac(client: u32) -> [u8; 6] {
    let [a, b, c, d] = client.to_be_bytes();
    [2, 0, a, b, c, d]
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((RELAY, 67)).unwrap();
    socket.set_read_timeout(Some(AGAIN)).unwrap();
    socket
}

/// A message of a client, as the relay agent passes it on.
fn message(kind: MessageType, client: u32, wanted: Option<(Ipv4Addr, Option<Ipv4Addr>)>) -> Vec<u8> {
    let mut room = [0; 600];
    let mut out = Writer::new(&mut room);
    let mut head = Head::new(BOOTREQUEST, HardwareAddress::ethernet(mac(client)), client);
    (head.giaddr, head.hops) = (RELAY, 1);
    let mut writer = MessageWriter::new(&mut out, &head);
    writer.option(code::MESSAGE_TYPE, &[kind as u8]);
    if let Some((address, server)) = wanted {
        writer.option(code::REQUESTED_ADDRESS, &address.octets());
        if let Some(server) = server {
            writer.option(code::SERVER_ID, &server.octets());
        }
    }
    writer.finish(MESSAGE_OCTETS_MIN);
    out.written().to_vec()
}

/// The next answer: whose, what, which address, by whom.
fn answer(socket: &UdpSocket) -> Option<(u32, MessageType, Ipv4Addr, Option<Ipv4Addr>)> {
    let mut room = [0; 1500];
    let (count, _) = socket.recv_from(&mut room).ok()?;
    let answer = Message::parse(&room[..count]).ok()?;
    assert_eq!(answer.op(), BOOTREPLY);
    assert_eq!(answer.chaddr(), mac(answer.xid()));
    Some((answer.xid(), answer.kind()?, answer.yiaddr(), answer.server_id()))
}

impl Clients {
    /// New clients, one after the other from number `first` on.
    pub(crate) fn start(first: u32) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let worker = std::thread::spawn(move || {
            let socket = socket();
            let mut acknowledged = Acknowledged::new();
            let mut next = first;
            let begin = |next: &mut u32| {
                // A server that is gone refuses; the clients notice nothing but silence.
                let _ = socket.send_to(&message(MessageType::Discover, *next, None), SERVER);
                *next += 1;
            };
            (0..AT_ONCE).for_each(|_| begin(&mut next));
            while !told.load(Relaxed) {
                match answer(&socket) {
                    Some((client, MessageType::Offer, address, server)) => {
                        let request = message(MessageType::Request, client, Some((address, server)));
                        let _ = socket.send_to(&request, SERVER);
                    }
                    Some((client, MessageType::Ack, address, _)) => {
                        acknowledged.insert(client, address);
                        begin(&mut next);
                    }
                    Some((client, kind, ..)) => panic!("client {client} was told {}", kind.name()),
                    None => (0..AT_ONCE).for_each(|_| begin(&mut next)),
                }
            }
            acknowledged
        });
        Self { worker, enough }
    }

    /// The leases that were acknowledged, once the server is gone.
    pub(crate) fn finish(self) -> Acknowledged {
        self.enough.store(true, Relaxed);
        self.worker.join().unwrap()
    }
}

/// Asks for each of these leases again, as clients do that start anew (INIT-REBOOT). Returns those that the
/// server does not know any more.
pub(crate) fn ask_again(leases: &Acknowledged) -> Vec<String> {
    let socket = socket();
    let mut open: BTreeMap<u32, Ipv4Addr> = leases.clone();
    let (mut lost, until) = (Vec::new(), Instant::now() + PATIENCE);
    while !open.is_empty() {
        assert!(Instant::now() < until, "{} leases get no answer, such as {:?}", open.len(), open.first_key_value());
        let asked: Vec<_> = open.iter().take(AT_ONCE as usize).map(|(client, at)| (*client, *at)).collect();
        for (client, address) in &asked {
            let request = message(MessageType::Request, *client, Some((*address, None)));
            let _ = socket.send_to(&request, SERVER);
        }
        for _ in &asked {
            let Some((client, kind, address, _)) = answer(&socket) else { break };
            match (open.remove(&client), kind) {
                (Some(wanted), MessageType::Ack) if wanted == address => {}
                (Some(wanted), kind) => {
                    lost.push(format!("client {client} had {wanted} and heard {} {address}", kind.name()));
                }
                // A late answer to a question that was put twice.
                (None, _) => {}
            }
        }
    }
    lost
}
