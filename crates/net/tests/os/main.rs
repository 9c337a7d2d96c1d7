//! The service shells over the operating system's own sockets, on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail here")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorway_base::trace::{Filter, Step};
use doorway_base::{Datagram, Instant, Responder, Trace, UnixTime, Verdict, Writer};
use doorway_net::ground::ListenOptions;
use doorway_net::limits::TcpLimits;
use doorway_net::os::Runtime;
use doorway_net::proxy_protocol::ProxySources;
use doorway_net::tcp::{self, Connection, TcpOptions, TcpService};
use doorway_net::tls::local_ca::LocalCa;
use doorway_net::tls::{Certificates, TlsAcceptor};
use doorway_net::udp::{self, Replies, UdpOptions, UdpReplier, UdpService};
use doorway_net::{Error, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

mod files;
mod interface;
mod link;

/// Says who the client is, then sends back what it hears.
struct WhoAndEcho;

impl TcpService for WhoAndEcho {
    async fn serve(&self, mut connection: Connection) {
        let who = format!("{}\n", connection.remote().ip());
        if connection.stream.write_all(who.as_bytes()).await.is_err() {
            return;
        }
        let mut octets = [0; 1024];
        while let Ok(count @ 1..) = connection.stream.read(&mut octets).await {
            if connection.stream.write_all(&octets[..count]).await.is_err() {
                return;
            }
        }
    }
}

impl Responder for WhoAndEcho {
    fn answer(&mut self, _: Instant, query: Datagram<'_>, reply: &mut Writer<'_>) -> Verdict {
        assert_ne!(query.octets, b"panic", "asked to");
        reply.put(query.octets);
        reply.put(query.local.ip().to_string().as_bytes());
        Verdict::Reply
    }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn start() -> (Runtime, World) {
    let runtime = Runtime::start("test", 2, Trace::off()).unwrap();
    let world = runtime.world().clone();
    (runtime, world)
}

/// What a client hears that sends `octets` and then finishes.
fn talk(runtime: &Runtime, to: SocketAddr, octets: &'static [u8]) -> Vec<u8> {
    let world = runtime.world().clone();
    let talked = runtime.block_on(async move {
        let mut stream = world.connect(to).await.unwrap();
        stream.write_all(octets).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        heard
    });
    talked.unwrap()
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("doorway-net-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

#[test]
fn every_worker_accepts_and_the_registry_knows_the_connections() {
    let (runtime, world) = start();
    let door =
        tcp::serve(&world, loopback(), &TcpOptions::new("echo", "echo", 0), &Arc::new(WhoAndEcho)).unwrap();
    let local = door.local().unwrap();
    for _ in 0..20 {
        assert_eq!(talk(&runtime, local, b"hello"), b"127.0.0.1\nhello");
    }
    assert_eq!(door.door().counts().accepted, 20);
    let rows = world.doors().sockets(world.now());
    assert_eq!((rows[0].local, rows[0].state), (Some(local), "listening"));
}

#[test]
fn a_port_in_use_is_an_error_that_says_so_even_when_it_could_be_shared() {
    let (_runtime, world) = start();
    let (_other_runtime, other) = start();
    let options = TcpOptions::new("echo", "echo", 0);
    let local = tcp::serve(&world, loopback(), &options, &Arc::new(WhoAndEcho)).unwrap().local().unwrap();
    let error = tcp::serve(&other, local, &options, &Arc::new(WhoAndEcho)).unwrap_err();
    assert!(matches!(&error, Error::Bind { address, .. } if *address == local), "{error}");
    assert!(error.advice().contains("another program"), "{}", error.advice());
    // The same world may: that is how a reload replaces a door without closing it first, also one at
    // every address by one at a single address.
    tcp::serve(&world, local, &options, &Arc::new(WhoAndEcho)).unwrap();
    let any = SocketAddr::new("0.0.0.0".parse().unwrap(), local.port());
    tcp::serve(&world, any, &options, &Arc::new(WhoAndEcho)).unwrap();
    let udp_options = UdpOptions::new("echo", "echo", 0);
    let local = udp::serve(&world, loopback(), &udp_options, |_, _| WhoAndEcho).unwrap().local().unwrap();
    assert!(udp::serve(&other, local, &udp_options, |_, _| WhoAndEcho).is_err());
}

#[test]
fn one_address_cannot_take_every_place() {
    let (runtime, world) = start();
    let limits = TcpLimits { connections_per_address: 2, count_loopback: true, ..TcpLimits::default() };
    let options = TcpOptions { limits, ..TcpOptions::new("echo", "echo", 0) };
    let door = tcp::serve(&world, loopback(), &options, &Arc::new(WhoAndEcho)).unwrap();
    let local = door.local().unwrap();
    let refused = runtime
        .block_on(async move {
            let mut kept = Vec::new();
            for _ in 0..2 {
                let mut stream = world.connect(local).await.unwrap();
                stream.read_exact(&mut [0; 10]).await.unwrap();
                kept.push(stream);
            }
            let mut third = world.connect(local).await.unwrap();
            third.read(&mut [0; 10]).await.map_or(true, |count| count == 0)
        })
        .unwrap();
    assert!(refused);
    assert!(door.door().counts().refused.contains(&("per_address", 1)));
}

#[test]
fn a_listed_proxy_names_the_client_and_must_do_so() {
    let (runtime, world) = start();
    let proxies = ProxySources(vec!["127.0.0.0/8".parse().unwrap()]);
    let options = TcpOptions { proxies, ..TcpOptions::new("echo", "echo", 0) };
    let door = tcp::serve(&world, loopback(), &options, &Arc::new(WhoAndEcho)).unwrap();
    let local = door.local().unwrap();
    let named = b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\nhello";
    assert_eq!(talk(&runtime, local, named), b"192.0.2.7\nhello");
    assert_eq!(talk(&runtime, local, b"hello, no header"), b"");
    assert!(door.door().counts().refused.contains(&("proxy", 1)));
}

#[test]
fn behind_a_proxy_each_client_has_its_own_bound() {
    let (runtime, world) = start();
    let proxies = ProxySources(vec!["127.0.0.0/8".parse().unwrap()]);
    let limits = TcpLimits { connections_per_address: 1, count_loopback: true, ..TcpLimits::default() };
    let options = TcpOptions { proxies, limits, ..TcpOptions::new("echo", "echo", 0) };
    let door = tcp::serve(&world, loopback(), &options, &Arc::new(WhoAndEcho)).unwrap();
    let local = door.local().unwrap();
    let refused = runtime
        .block_on(async move {
            let mut kept = Vec::new();
            let mut refused = Vec::new();
            for client in ["192.0.2.7", "192.0.2.8", "192.0.2.7"] {
                let mut stream = world.connect(local).await.unwrap();
                let header = format!("PROXY TCP4 {client} 192.0.2.1 5555 80\r\n");
                stream.write_all(header.as_bytes()).await.unwrap();
                refused.push(stream.read(&mut [0; 10]).await.unwrap_or(0) == 0);
                kept.push(stream);
            }
            refused
        })
        .unwrap();
    assert_eq!(refused, [false, false, true]);
    assert!(door.door().counts().refused.contains(&("per_address", 1)));
}

#[test]
fn the_local_authority_vouches_for_its_names_and_its_leaf_is_kept_until_it_is_due() {
    let folder = folder("ca");
    let now = UnixTime::from_secs(1_795_000_000);
    let days = |count: u64| Duration::from_secs(count * 86_400);
    let names = ["gate.home.arpa".to_owned(), "127.0.0.1".to_owned()];
    let leaf = |now| {
        let authority = LocalCa::open(&folder, &["home.arpa"], now).unwrap();
        let mut certificates = Certificates::default();
        authority.leaf(&mut certificates, &names, now).unwrap();
        (authority.root_pem().to_owned(), std::fs::read(folder.join("leaf.pem")).unwrap())
    };
    let first = leaf(now);
    assert_eq!(leaf(now + days(59)), first, "nothing is due");
    let authority = LocalCa::open(&folder, &["home.arpa", "example.org"], now).unwrap();
    for (name, vouched) in [
        ("home.arpa", true),
        ("a.home.arpa", true),
        ("nothome.arpa", false),
        ("example.org", false),
        ("::1", true),
    ] {
        assert_eq!(authority.may_vouch_for(name), vouched, "{name}: the root was made for home.arpa alone");
    }
    let (root, renewed) = leaf(now + days(61));
    assert_eq!(root, first.0, "the root stays");
    assert_ne!(renewed, first.1, "two thirds of 90 days have passed");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("ca.key"), mode("leaf.key")), (0o600, 0o600));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_new_authority_signs_a_new_leaf_and_no_secret_is_ever_open_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("ca-again");
    let now = UnixTime::from_secs(1_795_000_000);
    let leaf = || {
        let authority = LocalCa::open(&folder, &["home.arpa"], now).unwrap();
        authority.leaf(&mut Certificates::default(), &["home.arpa".to_owned()], now).unwrap();
        std::fs::read_to_string(folder.join("leaf.pem")).unwrap()
    };
    let first = leaf();
    std::fs::remove_file(folder.join("ca.pem")).unwrap();
    // As a crash in the middle of a write leaves it.
    std::fs::write(folder.join("ca.key.new"), "").unwrap();
    std::fs::set_permissions(folder.join("ca.key.new"), std::fs::Permissions::from_mode(0o666)).unwrap();
    let second = leaf();
    let root = std::fs::read_to_string(folder.join("ca.pem")).unwrap();
    assert!(second.ends_with(&root) && !first.ends_with(&root), "the leaf is the new authority's");
    let mode = std::fs::metadata(folder.join("ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn tls_agrees_on_a_certificate_by_name_and_new_ones_serve_new_connections() {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    let (runtime, world) = start();
    let folder = folder("tls");
    let certificates = |name: &str| {
        let authority = LocalCa::open(&folder.join(name), &["home.arpa"], world.wall()).unwrap();
        let mut certificates = Certificates::default();
        // The root may not vouch for the second name, which must not spoil the first.
        let names = ["gate.home.arpa".to_owned(), "gate.example.org".to_owned()];
        authority.leaf(&mut certificates, &names, world.wall()).unwrap();
        let root = CertificateDer::from_pem_slice(authority.root_pem().as_bytes()).unwrap();
        (certificates, root)
    };
    let (before, old_root) = certificates("old");
    let (after, new_root) = certificates("new");
    let acceptor = Arc::new(TlsAcceptor::new(before, &["echo/1"]).unwrap());
    let options = TcpOptions { tls: Some(Arc::clone(&acceptor)), ..TcpOptions::new("echo", "echo", 0) };
    let local = tcp::serve(&world, loopback(), &options, &Arc::new(WhoAndEcho)).unwrap().local().unwrap();
    let talk = |root: &CertificateDer<'static>| {
        let (world, root) = (world.clone(), root.clone());
        let talked = runtime.block_on(async move {
            let mut roots = RootCertStore::empty();
            roots.add(root).unwrap();
            let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = vec![b"echo/1".to_vec()];
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let name = ServerName::try_from("gate.home.arpa").unwrap();
            let tcp = world.connect(local).await.unwrap();
            let mut tls = connector.connect(name, tcp).await.ok()?;
            let mut line = [0; 10];
            tls.read_exact(&mut line).await.ok()?;
            Some((line, tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)))
        });
        talked.unwrap()
    };
    let agreed = Some((*b"127.0.0.1\n", Some(b"echo/1".to_vec())));
    assert_eq!(talk(&old_root), agreed);
    assert_eq!(talk(&new_root), None);
    assert!(acceptor.replace(after));
    assert!(!acceptor.replace(certificates("new").0), "the same once more");
    assert_eq!(talk(&new_root), agreed);
    assert_eq!(talk(&old_root), None);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Sends each datagram and returns the answers, empty where none came.
fn exchange(runtime: &Runtime, to: SocketAddr, datagrams: &'static [&'static [u8]]) -> Vec<Vec<u8>> {
    let world = runtime.world().clone();
    let exchanged = runtime.block_on(async move {
        let listen = ListenOptions { share: false, ..ListenOptions::default() };
        let socket = world.udp(loopback(), &listen).unwrap().start().unwrap();
        let mut answers = Vec::new();
        for datagram in datagrams {
            socket.send(datagram, to).await.unwrap();
            let mut octets = [0; 2048];
            let received = world.timeout(Duration::from_millis(500), socket.receive(&mut octets)).await;
            answers.push(match received {
                Some(Ok((count, from))) => {
                    assert_eq!(from, to, "the answer leaves from the address that was asked");
                    octets[..count].to_vec()
                }
                _ => Vec::new(),
            });
        }
        answers
    });
    exchanged.unwrap()
}

#[test]
fn udp_answers_leave_from_the_address_that_was_asked() {
    let (runtime, world) = start();
    let any = "0.0.0.0:0".parse().unwrap();
    let door = udp::serve(&world, any, &UdpOptions::new("echo", "echo", 0), |_, _| WhoAndEcho).unwrap();
    let port = door.local().unwrap().port();
    for address in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        let to = SocketAddr::new(address.parse().unwrap(), port);
        assert_eq!(exchange(&runtime, to, &[b"from "]), [format!("from {address}").into_bytes()]);
    }
}

/// Gives every query to a thread that answers it.
struct Deferring(UdpReplier);

impl Responder for Deferring {
    fn answer(&mut self, _: Instant, query: Datagram<'_>, _: &mut Writer<'_>) -> Verdict {
        let replier = self.0.clone();
        let (remote, local, flow) = (query.remote, query.local, query.flow);
        let answer = [b"late ", query.octets].concat();
        std::thread::spawn(move || replier.reply(remote, local, flow, &answer));
        Verdict::Later
    }
}

#[test]
fn late_udp_answers_leave_from_the_address_that_was_asked() {
    let (runtime, world) = start();
    let options = UdpOptions::new("echo", "echo", 0);
    for any in ["0.0.0.0:0", "127.0.0.1:0"] {
        let make = |_, replier: &UdpReplier| Deferring(replier.clone());
        let door = udp::serve(&world, any.parse().unwrap(), &options, make).unwrap();
        let port = door.local().unwrap().port();
        for address in ["127.0.0.1", "127.0.0.2"].iter().take(if any.starts_with('0') { 2 } else { 1 }) {
            let to = SocketAddr::new(address.parse().unwrap(), port);
            assert_eq!(exchange(&runtime, to, &[b"a"]), [b"late a".to_vec()]);
        }
    }
}

/// Gathers answers until it is told to send them.
struct Gathering(UdpReplier, Arc<Mutex<Replies>>);

impl Responder for Gathering {
    fn answer(&mut self, _: Instant, query: Datagram<'_>, _: &mut Writer<'_>) -> Verdict {
        let mut replies = self.1.lock().unwrap();
        replies.push(&self.0, query.remote, query.local, query.flow, query.octets);
        if query.octets == b"now" {
            replies.send();
            assert!(replies.is_empty());
        }
        Verdict::Later
    }
}

#[test]
fn late_udp_answers_that_leave_together_go_each_its_own_way() {
    let (runtime, world) = start();
    let replies = Arc::new(Mutex::new(Replies::default()));
    let options = UdpOptions { threads: 1, ..UdpOptions::new("echo", "echo", 0) };
    let make = |_, replier: &UdpReplier| Gathering(replier.clone(), Arc::clone(&replies));
    let doors = ["0.0.0.0:0", "127.0.0.1:0"]
        .map(|any| udp::serve(&world, any.parse().unwrap(), &options, make).unwrap());
    let [wide, narrow] = doors.each_ref().map(|door| door.local().unwrap().port());
    // More than leave in one call of the system, over two sockets and from three addresses in turn.
    let asked = [("127.0.0.1", wide), ("127.0.0.2", wide), ("127.0.0.1", narrow)];
    let asked = asked.map(|(address, port)| SocketAddr::new(address.parse().unwrap(), port));
    let questions: Vec<(SocketAddr, Vec<u8>)> =
        (0..Replies::MAX + 7).map(|number| (asked[number % 3], number.to_string().into_bytes())).collect();
    let world = runtime.world().clone();
    let exchanged = runtime.block_on(async move {
        let listen = ListenOptions { share: false, ..ListenOptions::default() };
        let socket = world.udp(loopback(), &listen).unwrap().start().unwrap();
        let mut answers = Vec::new();
        for (to, octets) in &questions {
            socket.send(octets, *to).await.unwrap();
        }
        let mut octets = [0; 2048];
        // The doors have a thread each: one may read "now" before the other has read everything.
        for _ in 0..50 {
            socket.send(b"now", asked[0]).await.unwrap();
            while let Some(Ok((count, from))) =
                world.timeout(Duration::from_millis(100), socket.receive(&mut octets)).await
                && octets[..count] != *b"now"
            {
                answers.push((from, octets[..count].to_vec()));
            }
            if answers.len() >= questions.len() {
                break;
            }
        }
        let mut wanted = questions;
        wanted.sort();
        answers.sort();
        assert_eq!(answers, wanted);
    });
    exchanged.unwrap();
}

#[test]
fn a_panic_costs_one_datagram() {
    let (runtime, world) = start();
    let door =
        udp::serve(&world, loopback(), &UdpOptions::new("echo", "echo", 0), |_, _| WhoAndEcho).unwrap();
    let to = door.local().unwrap();
    let answers = exchange(&runtime, to, &[b"a", b"panic", b"b"]);
    assert_eq!(answers, [b"a127.0.0.1".to_vec(), Vec::new(), b"b127.0.0.1".to_vec()]);
    assert_eq!(world.doors().panics(), 1);
}

#[test]
fn a_summary_that_panics_costs_one_datagram() {
    let (runtime, world) = start();
    let options = UdpOptions {
        threads: 1,
        summary: |octets| {
            assert_ne!(octets, b"bad", "asked to");
            String::new()
        },
        ..UdpOptions::new("echo", "echo", 0)
    };
    let door = udp::serve(&world, loopback(), &options, |_, _| WhoAndEcho).unwrap();
    let _follow = world.trace().subscribe(Filter::default(), 100, || {});
    let answers = exchange(&runtime, door.local().unwrap(), &[b"bad", b"good"]);
    assert_eq!(answers, [Vec::new(), b"good127.0.0.1".to_vec()]);
    assert_eq!(world.doors().panics(), 1);
}

/// As `WhoAndEcho`, for one datagram after the other.
impl UdpService for WhoAndEcho {
    async fn datagram(&self, _: &World, _: SocketAddr, octets: &[u8]) -> Option<Vec<u8>> {
        assert_ne!(octets, b"panic", "asked to");
        Some(octets.to_vec())
    }
}

#[test]
fn datagrams_served_one_by_one_are_bounded_traced_and_outlive_a_panic() {
    let (runtime, world) = start();
    let options = UdpOptions { receive_octets_max: 8, ..UdpOptions::new("echo", "echo", 7) };
    let door = udp::serve_each(&world, loopback(), &options, &Arc::new(WhoAndEcho)).unwrap();
    let subscription = world.trace().subscribe(Filter::default(), 100, || {});
    let answers = exchange(&runtime, door.local().unwrap(), &[b"12345678", b"123456789", b"panic", b"on"]);
    assert_eq!(answers, [b"12345678".to_vec(), Vec::new(), Vec::new(), b"on".to_vec()]);
    let (events, _) = subscription.drain();
    assert_eq!(events.len(), 5, "{events:?}");
    assert_eq!((events[1].cause, events[1].flow), (Some(events[0].id), events[0].flow));
    assert_eq!(world.doors().panics(), 1);
}

#[test]
fn the_trace_shows_both_messages_of_an_exchange_and_which_caused_which() {
    let (runtime, world) = start();
    let door =
        udp::serve(&world, loopback(), &UdpOptions::new("echo", "echo", 7), |_, _| WhoAndEcho).unwrap();
    let subscription = world.trace().subscribe(Filter::default(), 100, || {});
    exchange(&runtime, door.local().unwrap(), &[b"a"]);
    let (events, lost) = subscription.drain();
    assert_eq!((events.len(), lost), (2, 0));
    assert_eq!((events[1].cause, events[1].step), (Some(events[0].id), Step::Message));
    assert_eq!(events[0].flow.canonical_port, 7);
    drop(subscription);
    assert!(!world.trace().is_on());
}

#[test]
fn a_drain_ends_what_does_not_finish_in_time() {
    let (runtime, world) = start();
    let door =
        tcp::serve(&world, loopback(), &TcpOptions::new("echo", "echo", 0), &Arc::new(WhoAndEcho)).unwrap();
    let local = door.local().unwrap();
    let ended = runtime
        .block_on(async move {
            let mut stream = world.connect(local).await.unwrap();
            stream.read_exact(&mut [0; 10]).await.unwrap();
            // This service never looks whether it should finish, so only the deadline ends it.
            let ended = world.doors().drain(&world, world.now() + Duration::from_millis(50)).await;
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
            assert!(world.connect(local).await.is_err(), "the door is closed");
            ended
        })
        .unwrap();
    assert_eq!(ended, 1);
}

#[test]
fn giving_a_folder_away_follows_no_link_out_of_it() {
    use std::os::unix::fs::{MetadataExt, symlink};
    if !doorway_net::privileges::is_root() {
        return; // only root can give anything away
    }
    let folder = folder("give");
    let (inside, outside) = (folder.join("data/inner"), folder.join("outside"));
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    for file in [inside.join("own"), outside.join("other"), outside.join("twice")] {
        std::fs::write(file, "").unwrap();
    }
    symlink(&outside, inside.join("to-folder")).unwrap();
    symlink(outside.join("other"), inside.join("to-file")).unwrap();
    std::fs::hard_link(outside.join("twice"), inside.join("second-name")).unwrap();
    doorway_net::privileges::give_all_to("nobody", &folder.join("data")).unwrap();
    let owner = |path: PathBuf| path.symlink_metadata().unwrap().uid();
    assert_ne!(owner(folder.join("data")), 0);
    for given in ["own", "to-folder", "to-file"] {
        assert_ne!(owner(inside.join(given)), 0, "{given}");
    }
    for kept in ["", "other", "twice"] {
        assert_eq!(owner(outside.join(kept)), 0, "{kept}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_door_that_takes_anothers_place_serves_those_who_wait_before_it() {
    let (runtime, world) = start();
    let options = TcpOptions::new("echo", "echo", 0);
    let old = tcp::serve(&world, loopback(), &options, &Arc::new(WhoAndEcho)).unwrap();
    let local = old.local().unwrap();
    for _ in 0..20 {
        let replaced = world.clone();
        let heard = runtime.block_on(async move {
            let mut waiting = Vec::new();
            for _ in 0..8 {
                waiting.push(replaced.connect(local).await.unwrap());
            }
            let new =
                tcp::serve(&replaced, local, &TcpOptions::new("echo", "echo", 0), &Arc::new(WhoAndEcho))
                    .unwrap();
            for door in replaced.doors().list() {
                if !Arc::ptr_eq(&door, new.door()) {
                    door.close();
                }
            }
            let mut heard = 0;
            for mut stream in waiting {
                heard += u32::from(stream.read_exact(&mut [0; 10]).await.is_ok());
            }
            heard
        });
        assert_eq!(heard, Some(8));
    }
    world.doors().end_all();
    let refused = runtime.block_on(async move {
        world.sleep(Duration::from_millis(100)).await;
        world.connect(local).await.is_err()
    });
    assert_eq!(refused, Some(true), "no socket is left");
}
