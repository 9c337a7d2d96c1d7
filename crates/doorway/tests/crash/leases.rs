//! Clients behind a relay agent that lease addresses, many at once, until the server is gone.
//!
//! Server and agent are in a network namespace of their own, on its loopback interface: [`in_a_namespace`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use doorway_base::Writer;
use doorway_dhcp::wire::message::{BOOTREPLY, BOOTREQUEST};
use doorway_dhcp::wire::reply::MESSAGE_OCTETS_MIN;
use doorway_dhcp::wire::{HardwareAddress, Head, Message, MessageType, MessageWriter, code};

/// The address of the relay agent, which stands for its network.
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The table of that network: far more addresses than are given in a hundred rounds.
pub(crate) const SUBNET: &str =
    "[{ network = \"10.96.0.0/12\", pools = [\"10.97.0.0-10.111.255.254\"], relays = [\"10.96.0.1\"] }]";
/// The server.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 67);
/// Set in the process that is in the namespace.
const INSIDE: &str = "DOORWAY_CRASH_INSIDE";
/// Makes the namespace usable and goes on as the words behind it.
const ENTER: &str = "ip link set lo up && ip address add 10.96.0.1/32 dev lo && exec \"$@\"";
/// Clients that wait for an answer at the same time.
const AT_ONCE: u32 = 20;
/// How long an answer is waited for before the question is put again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long the server may give no answer that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Leases that were acknowledged, by client.
pub(crate) type Acknowledged = BTreeMap<u32, Ipv4Addr>;

/// Clients that are being served.
pub(crate) struct Clients {
    worker: JoinHandle<Acknowledged>,
    enough: Arc<AtomicBool>,
}

/// Whether this process is in a namespace made for it, and the test is to go on. Else the test `name` runs in a
/// process that is, as far as this machine allows that, and is done.
pub(crate) fn in_a_namespace(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let allowed =
        Command::new("unshare").args(["--net", "ip", "link"]).stdout(Stdio::null()).output().unwrap();
    if !allowed.status.success() {
        let why = String::from_utf8_lossy(&allowed.stderr).into_owned();
        println!("left out, since it takes root to make a network namespace: {}", why.trim());
        return false;
    }
    let own = std::env::current_exe().unwrap();
    let mut inside = Command::new("unshare");
    inside.args(["--net", "sh", "-c", ENTER, "sh"]).arg(own).args(["--exact", name, "--nocapture"]);
    let ran = inside.env(INSIDE, "1").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    // A name that is no test's would have run nothing.
    assert!(out.contains("1 passed"), "{out}\n{err}");
    print!("{out}");
    false
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

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
enum Wish {
    /// Any address.
    Any,
    /// What this server offered it (SELECTING).
    Offered(Ipv4Addr, Option<Ipv4Addr>),
    /// What it had before it started anew (INIT-REBOOT).
    Had(Ipv4Addr),
    /// More time for what it uses (REBINDING).
    Uses(Ipv4Addr),
}

/// A message of a client, as the relay agent passes it on.
fn message(client: u32, wish: Wish) -> Vec<u8> {
    let mut room = [0; 600];
    let mut out = Writer::new(&mut room);
    let mut head = Head::new(BOOTREQUEST, HardwareAddress::ethernet(mac(client)), client);
    (head.giaddr, head.hops) = (RELAY, 1);
    if let Wish::Uses(address) = wish {
        head.ciaddr = address;
    }
    let mut writer = MessageWriter::new(&mut out, &head);
    let kind = if matches!(wish, Wish::Any) { MessageType::Discover } else { MessageType::Request };
    writer.option(code::MESSAGE_TYPE, &[kind as u8]);
    if let Wish::Offered(address, _) | Wish::Had(address) = wish {
        writer.option(code::REQUESTED_ADDRESS, &address.octets());
    }
    if let Wish::Offered(_, Some(server)) = wish {
        writer.option(code::SERVER_ID, &server.octets());
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
                let _ = socket.send_to(&message(*next, Wish::Any), SERVER);
                *next += 1;
            };
            (0..AT_ONCE).for_each(|_| begin(&mut next));
            loop {
                match answer(&socket) {
                    Some((client, MessageType::Offer, address, server)) => {
                        let request = message(client, Wish::Offered(address, server));
                        let _ = socket.send_to(&request, SERVER);
                    }
                    Some((client, MessageType::Ack, address, _)) => {
                        acknowledged.insert(client, address);
                        begin(&mut next);
                    }
                    Some((client, kind, ..)) => panic!("client {client} was told {}", kind.name()),
                    // What the server had sent before its end is heard first.
                    None if told.load(Relaxed) => break,
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

/// Asks for each of these leases again, every other one as a client that starts anew, the others as clients that
/// use their address and need more time. Returns those that the server does not know any more.
pub(crate) fn ask_again(leases: &Acknowledged) -> Vec<String> {
    let socket = socket();
    let mut open: Acknowledged = leases.clone();
    let (mut lost, mut heard) = (Vec::new(), Instant::now());
    while !open.is_empty() {
        let first = open.first_key_value();
        assert!(heard.elapsed() < PATIENCE, "{} leases get no answer, such as {first:?}", open.len());
        let asked: Vec<_> =
            open.iter().take(AT_ONCE as usize).map(|(client, address)| (*client, *address)).collect();
        for (client, address) in &asked {
            let wish = if client % 2 == 0 { Wish::Had(*address) } else { Wish::Uses(*address) };
            let _ = socket.send_to(&message(*client, wish), SERVER);
        }
        for _ in &asked {
            let Some((client, kind, address, _)) = answer(&socket) else { break };
            heard = Instant::now();
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

/// Takes these leases into `all`. Returns every address that somebody else was told to have before.
pub(crate) fn join(all: &mut BTreeMap<Ipv4Addr, u32>, leases: &Acknowledged) -> Vec<String> {
    let twice = leases.iter().filter_map(|(client, address)| {
        let other = all.insert(*address, *client)?;
        (other != *client).then(|| format!("{address} was given to {other} and to {client}"))
    });
    twice.collect()
}

#[test]
fn an_address_with_two_owners_is_seen() {
    let address = |last| Ipv4Addr::new(10, 97, 0, last);
    let mut all = BTreeMap::from([(address(1), 1)]);
    assert_eq!(join(&mut all, &Acknowledged::from([(1, address(1)), (2, address(2))])), [""; 0]);
    assert_eq!(join(&mut all, &Acknowledged::from([(3, address(2))])).len(), 1);
}
