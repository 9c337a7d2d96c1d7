//! Transfers, NOTIFY and UPDATE with BIND, NSD and Knot over the loopback interface, in both roles, with
//! TSIG. Debian packages: bind9, bind9-dnsutils, nsd, knot, knot-dnsutils.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use doorway_base::Trace;
use doorway_dns::io::transfers::{Remote, Settings, Transfers};
use doorway_dns::wire::{Rcode, Type};
use doorway_dns::zone::Zone;
use doorway_net::World;
use doorway_net::os::Runtime;
use doorway_store::MemoryStore;
use tokio::io::AsyncWriteExt;

use super::doors::{framed, heard};
use super::moving::{Serving, apex, key, zone};
use super::query;

/// The secret of `key()`, in base64.
const SECRET: &str = "YSBzZWNyZXQgYmV0d2VlbiB0d28=";
const ALGORITHM: &str = "hmac-sha256";
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(100);

/// A folder of its own and the programs that run in it.
struct Bench {
    folder: PathBuf,
    running: Vec<Child>,
}

impl Bench {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("doorway-peers-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self { folder, running: Vec::new() }
    }

    fn write(&self, file: &str, text: &str) -> String {
        let path = self.folder.join(file);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn start(&mut self, package: &str, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.folder.join(format!("{program}.log"))).unwrap();
        let child = Command::new(format!("/usr/sbin/{program}"))
            .args(arguments)
            .current_dir(&self.folder)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.running.push(child.unwrap_or_else(|error| {
            panic!("{program} cannot be started ({error}); install the Debian package {package}")
        }));
    }

    fn log(&self) -> String {
        let files = fs::read_dir(&self.folder).unwrap().flatten();
        let logs = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
        logs.map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that neither UDP nor TCP uses, below those that the system gives to clients.
#[allow(clippy::disallowed_types, reason = "to learn of a free port; nothing is sent")]
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = (std::process::id() * 64 + NEXT.fetch_add(1, Relaxed)) % 10_000;
        let port = 20_000 + offset as u16;
        let udp = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
        let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        if udp.is_ok() && tcp.is_ok() {
            return port;
        }
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Runs a program that ends by itself, feeding it `input`; returns what it printed.
fn run(package: &str, program: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; install the Debian package {package}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[derive(Debug, Clone, Copy)]
enum Peer {
    Bind,
    Nsd,
    Knot,
}

impl Peer {
    /// Starts the peer as a secondary of `primary`.
    fn secondary(self, bench: &mut Bench, port: u16, primary: u16) {
        let folder = bench.folder.display().to_string();
        match self {
            Self::Bind => {
                let zone = format!(
                    "type secondary; file \"zone\"; primaries {{ 127.0.0.1 port {primary} key sec1; }};"
                );
                named(bench, port, &zone);
            }
            Self::Nsd => {
                let zone = format!(
                    "  request-xfr: 127.0.0.1@{primary} sec1\n  allow-notify: 127.0.0.1 NOKEY\n  zonefile: \"\"\n"
                );
                nsd(bench, port, &zone);
            }
            Self::Knot => {
                let zone = format!(
                    "remote:\n  - id: doorway\n    address: 127.0.0.1@{primary}\n    key: sec1\n\
                     acl:\n  - id: notify\n    address: 127.0.0.1\n    action: notify\n\
                     zone:\n  - domain: example.org\n    storage: {folder}\n    file: zone\n    master: doorway\n    acl: notify\n"
                );
                knot(bench, port, &zone);
            }
        }
    }

    /// Starts the peer as a primary that tells `secondary` of changes. NSD does not take updates.
    fn primary(self, bench: &mut Bench, port: u16, secondary: u16, text: &str) {
        let file = bench.write("zone", text);
        let folder = bench.folder.display().to_string();
        match self {
            Self::Bind => named(
                bench,
                port,
                &format!(
                    "type primary; file \"{file}\"; allow-transfer {{ key sec1; }}; allow-update {{ key sec1; }}; \
                     notify explicit; also-notify {{ 127.0.0.1 port {secondary}; }};"
                ),
            ),
            Self::Nsd => nsd(
                bench,
                port,
                &format!(
                    "  zonefile: \"{file}\"\n  provide-xfr: 127.0.0.1 sec1\n  notify: 127.0.0.1@{secondary} NOKEY\n"
                ),
            ),
            Self::Knot => knot(
                bench,
                port,
                &format!(
                    "remote:\n  - id: doorway\n    address: 127.0.0.1@{secondary}\n\
                     acl:\n  - id: all\n    key: sec1\n    action: [transfer, update]\n\
                     zone:\n  - domain: example.org\n    storage: {folder}\n    file: zone\n    notify: doorway\n    acl: all\n"
                ),
            ),
        }
    }
}

fn named(bench: &mut Bench, port: u16, zone: &str) {
    let folder = bench.folder.display().to_string();
    let text = format!(
        "options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
         recursion no; pid-file none; session-keyfile \"{folder}/session.key\"; dnssec-validation no; \
         notify-delay 0; min-refresh-time 1; }};\ncontrols {{ }};\n\
         key sec1 {{ algorithm {ALGORITHM}; secret \"{SECRET}\"; }};\nzone \"example.org\" {{ {zone} }};\n"
    );
    let config = bench.write("named.conf", &text);
    bench.start("bind9", "named", &["-g", "-c", &config]);
}

fn nsd(bench: &mut Bench, port: u16, zone: &str) {
    let folder = bench.folder.display().to_string();
    let text = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: \"{folder}\"\n  \
         database: \"\"\n  pidfile: \"{folder}/nsd.pid\"\n  xfrdfile: \"{folder}/xfrd.state\"\n  xfrdir: \"{folder}\"\n  \
         zonelistfile: \"{folder}/zone.list\"\n  server-count: 1\n  verbosity: 2\nremote-control:\n  control-enable: no\n\
         key:\n  name: sec1\n  algorithm: {ALGORITHM}\n  secret: \"{SECRET}\"\nzone:\n  name: example.org\n{zone}"
    );
    let config = bench.write("nsd.conf", &text);
    bench.start("nsd", "nsd", &["-d", "-c", &config]);
}

fn knot(bench: &mut Bench, port: u16, zone: &str) {
    let folder = bench.folder.display().to_string();
    fs::create_dir(bench.folder.join("db")).unwrap();
    let text = format!(
        "server:\n    listen: 127.0.0.1@{port}\n    rundir: {folder}\n    udp-workers: 1\n    tcp-workers: 1\n\
         database:\n    storage: {folder}/db\nlog:\n  - target: stderr\n    any: debug\n\
         key:\n  - id: sec1\n    algorithm: {ALGORITHM}\n    secret: {SECRET}\n{zone}"
    );
    let config = bench.write("knot.conf", &text);
    bench.start("knot", "knotd", &["-c", &config]);
}

/// Serves with our own server, then runs `test`.
fn with_server<F: Future<Output = ()> + Send + 'static>(
    zones: Vec<Arc<Zone>>,
    settings: Settings,
    port: u16,
    test: impl FnOnce(World, Transfers) -> F + Send + 'static,
) {
    let runtime = Runtime::start("test", 1, Trace::off()).unwrap();
    let world = runtime.world().clone();
    let finished = runtime.block_on(async move {
        let store = Arc::new(MemoryStore::new());
        let (transfers, _) = Serving::start(world.clone(), local(port), zones, store, vec![settings]).await;
        world.timeout(PATIENCE, test(world.clone(), transfers)).await
    });
    assert_eq!(finished, Some(Some(())), "the test did not come to its end");
}

/// Waits until the server at `port` answers for `name` with as many addresses.
async fn until(world: &World, port: u16, name: &str, rcode: Rcode, bench: &Bench) {
    let question = framed(&query(&name.parse().unwrap(), Type::A, None).to_octets().unwrap());
    let mut said = None;
    for _ in 0..300 {
        // A server that starts, or loads a zone, may end connections without a word.
        if let Ok(mut stream) = world.connect(local(port)).await
            && stream.write_all(&question).await.is_ok()
            && let Ok(answer) = heard(&mut stream).await
        {
            said = Some(answer.rcode());
            if said == Some(rcode) {
                return;
            }
        }
        world.sleep(STEP).await;
    }
    panic!("{name} at port {port}: {said:?}, not {rcode}\n{}", bench.log());
}

fn text(serial: u32) -> String {
    let hosts: String = (0..500).map(|n| format!("host-{n} A 192.0.2.{}\n", n % 256)).collect();
    format!("$TTL 60\n@ SOA ns host {serial} 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{hosts}")
}

fn update_at(port: u16, name: &str) -> String {
    format!("server 127.0.0.1 {port}\nzone example.org\nupdate add {name} 60 A 192.0.2.99\nsend\n")
}

fn our_key() -> String {
    format!("{ALGORITHM}:sec1:{SECRET}")
}

fn primary_for(port: u16) -> Settings {
    let mut settings = Settings::primary(&apex());
    settings.xfr = vec!["key:sec1".parse().unwrap()];
    settings.update = vec!["key:sec1 any *.example.org".parse().unwrap()];
    settings.notify = vec![Remote { address: local(port), key: None }];
    settings
}

fn as_our_secondary(peer: Peer) {
    let (ours, theirs) = (free_port(), free_port());
    let mut bench = Bench::new();
    with_server(vec![zone(&text(7))], primary_for(theirs), ours, move |world, transfers| async move {
        peer.secondary(&mut bench, theirs, ours);
        until(&world, theirs, "host-499.example.org", Rcode::NOERROR, &bench).await;
        for name in ["one.example.org", "two.example.org"] {
            let (sent, said) = run("bind9-dnsutils", "nsupdate", &["-y", &our_key()], &update_at(ours, name));
            assert!(sent, "{said}");
            until(&world, theirs, name, Rcode::NOERROR, &bench).await;
        }
        let sent = transfers.tally().sent.load(Relaxed);
        assert!(sent >= 3, "{peer:?}: one whole zone and two changes, not {sent}\n{}", bench.log());
    });
}

fn as_our_primary(peer: Peer) {
    let (ours, theirs) = (free_port(), free_port());
    let mut bench = Bench::new();
    peer.primary(&mut bench, theirs, ours, &text(7));
    let from = Remote { address: local(theirs), key: Some(key()) };
    let settings = Settings::secondary(&apex(), vec![from]);
    with_server(vec![], settings, ours, move |world, transfers| async move {
        until(&world, ours, "host-499.example.org", Rcode::NOERROR, &bench).await;
        if let Peer::Nsd = peer {
            // It takes no updates; it reads its file again when it is told to.
            bench.write("zone", &format!("{}one A 192.0.2.99\n", text(8)));
            let pid = bench.running[0].id().to_string();
            assert!(run("procps", "kill", &["-HUP", &pid], "").0);
            until(&world, ours, "one.example.org", Rcode::NOERROR, &bench).await;
            return;
        }
        for name in ["one.example.org", "two.example.org"] {
            let (sent, said) =
                run("knot-dnsutils", "knsupdate", &["-y", &our_key()], &update_at(theirs, name));
            assert!(sent, "{said}\n{}", bench.log());
            until(&world, ours, name, Rcode::NOERROR, &bench).await;
        }
        assert!(transfers.tally().notified.load(Relaxed) >= 2, "{}", bench.log());
        assert!(transfers.tally().received.load(Relaxed) >= 3, "{}", bench.log());
    });
}

#[test]
fn bind_takes_our_zone_and_follows_its_changes() {
    as_our_secondary(Peer::Bind);
}

#[test]
fn nsd_takes_our_zone_and_follows_its_changes() {
    as_our_secondary(Peer::Nsd);
}

#[test]
fn knot_takes_our_zone_and_follows_its_changes() {
    as_our_secondary(Peer::Knot);
}

#[test]
fn we_take_the_zone_of_bind_and_follow_its_changes() {
    as_our_primary(Peer::Bind);
}

#[test]
fn we_take_the_zone_of_nsd_and_follow_its_changes() {
    as_our_primary(Peer::Nsd);
}

#[test]
fn we_take_the_zone_of_knot_and_follow_its_changes() {
    as_our_primary(Peer::Knot);
}

#[test]
fn nsupdate_and_knsupdate_hear_what_their_update_did() {
    let ours = free_port();
    let bench = Bench::new();
    with_server(vec![zone(&text(7))], primary_for(9), ours, move |world, _| async move {
        let key = our_key();
        for (package, program) in [("bind9-dnsutils", "nsupdate"), ("knot-dnsutils", "knsupdate")] {
            let send = |lines: &str, key: &str| {
                let input = format!("server 127.0.0.1 {ours}\nzone example.org\n{lines}\nsend\n");
                run(package, program, &["-y", key], &input)
            };
            let name = format!("{program}.example.org");
            for (lines, expected) in [
                (format!("prereq nxdomain {name}\nupdate add {name} 60 A 192.0.2.1"), None),
                (format!("prereq nxdomain {name}\nupdate add {name} 60 A 192.0.2.2"), Some("YXDOMAIN")),
                (format!("prereq yxrrset {name} MX\nupdate delete {name}"), Some("NXRRSET")),
                (format!("prereq yxrrset {name} A 192.0.2.1\nupdate add {name} 60 TXT \"x\""), None),
                ("update add example.org 60 A 192.0.2.1".to_owned(), Some("REFUSED")),
                (format!("update delete {name} A 192.0.2.1\nupdate add v.{name} 60 MX 10 {name}"), None),
            ] {
                let (_, said) = send(&lines, &key);
                let told = ["YXDOMAIN", "NXRRSET", "REFUSED", "NOTAUTH", "SERVFAIL", "FORMERR"];
                let heard = told.into_iter().find(|code| said.contains(code));
                assert_eq!(heard, expected, "{program}: {lines}: {said}");
            }
            until(&world, ours, &format!("v.{name}"), Rcode::NOERROR, &bench).await;
            let wrong = format!("{ALGORITHM}:sec1:AAAABBBBCCCC");
            let (_, said) = send(&format!("update delete {name}"), &wrong);
            assert!(said.contains("BADSIG") || said.contains("NOTAUTH"), "{said}");
        }
    });
}

#[test]
fn a_signed_zone_that_left_us_is_found_whole_by_ldns() {
    let ours = free_port();
    let bench = Bench::new();
    let file = bench.write("zone", &text(7));
    let folder = bench.folder.display().to_string();
    let in_folder = |program: &str, arguments: &str| {
        let line = format!("cd {folder} && {program} {arguments}");
        run("ldnsutils", "sh", &["-c", &line], "")
    };
    let (made, base) = in_folder("ldns-keygen", "-a ECDSAP256SHA256 -k example.org");
    assert!(made, "{base}; install the Debian package ldnsutils");
    let (signed, said) =
        in_folder("ldns-signzone", &format!("-o example.org -f signed {file} {}", base.trim()));
    assert!(signed, "{said}");
    let signed = fs::read_to_string(bench.folder.join("signed")).unwrap();
    with_server(vec![zone(&signed)], primary_for(9), ours, move |_, _| async move {
        let port = ours.to_string();
        let key = our_key();
        let arguments = ["@127.0.0.1", "-p", &port, "-y", &key, "+noall", "+answer", "example.org", "AXFR"];
        let (_, got) = run("bind9-dnsutils", "dig", &arguments, "");
        // dig prints the SOA record at both ends.
        let lines: Vec<&str> = got.lines().collect();
        let path = bench.write("got", &(lines[..lines.len() - 1].join("\n") + "\n"));
        let (whole, said) = run("ldnsutils", "ldns-verify-zone", &[&path], "");
        assert!(whole && said.contains("verified and complete"), "{said}");
    });
}
