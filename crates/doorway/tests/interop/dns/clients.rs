//! The programs that people type, and the C library, asking for names of a zone that is served here and
//! of one that has to be looked up elsewhere.

use std::process::{Command, Stdio};

use super::peer::free_port;
use crate::programs;
use crate::server::{Server, Setup};

/// The zone of these questions.
const ZONE: &str = "\
$TTL 300
@    SOA   ns host 1 3600 600 86400 60
@    NS    ns
@    MX    10 mail
@    TXT   \"some text\"
ns   A     192.0.2.53
mail A     192.0.2.25
www  CNAME host
host A     192.0.2.80
host AAAA  2001:db8::80
*.wild A   192.0.2.99
";

/// A resolver, and the server that it looks names of `example.org` up at.
pub(crate) struct Pair {
    pub(crate) resolver: Server,
    authority: Server,
}

/// The keys of a resolver that finds `example.org` at this port.
fn resolver(authority: u16) -> Setup {
    Setup::new()
        .key("dns.resolver.ask_private", "true")
        .key(
            "dns.resolver.stub",
            &format!("[{{ zone = \"example.org\", to = [\"127.0.0.1:{authority}\"] }}]"),
        )
        .key("dns.resolver.rebind_protection", "false")
}

impl Pair {
    pub(crate) fn start(zone: &str) -> Self {
        let authority = Setup::new().zone(zone).key("dns.resolver.mode", "\"off\"").start();
        Self { resolver: resolver(authority.dns().port()).start(), authority }
    }

    pub(crate) fn stop(self) {
        self.resolver.stop();
        self.authority.stop();
    }
}

/// Runs a program whose words are those of `line`, with the port for `PORT`.
fn told(line: &str, port: u16) -> String {
    let line = line.replace("PORT", &port.to_string());
    let words: Vec<&str> = line.split(' ').collect();
    let ran = programs::run(words[0], &words[1..]);
    let told = format!("{}{}", ran.text(), ran.err);
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines that people type, each followed by what must be in what it prints, white space made even.
const LINES: &str = include_str!("clients.txt");

fn check(port: u16) {
    for screen in LINES.split("\n\n") {
        let (line, expected) = screen.split_once('\n').unwrap();
        let told = told(line.strip_prefix("$ ").unwrap(), port);
        for words in expected.lines() {
            assert!(told.contains(words), "`{words}` is not in what `{line}` prints: {told}");
        }
        assert!(!told.contains("WARNING"), "{line}: {told}");
    }
}

#[test]
fn dig_nslookup_host_kdig_and_drill_read_what_the_zone_says() {
    let server = Setup::new().zone(ZONE).start();
    check(server.dns().port());
    server.stop();
}

#[test]
fn dig_nslookup_host_kdig_and_drill_read_what_was_looked_up() {
    let pair = Pair::start(ZONE);
    // Once looked up, once out of the cache.
    for _ in 0..2 {
        check(pair.resolver.dns().port());
    }
    pair.stop();
}

#[test]
fn kdig_asks_over_tls_and_checks_the_certificate() {
    let server = Setup::new().zone(ZONE).start();
    let door = server.doors.iter().find(|door| door.service == "dns" && door.command.contains("tls"));
    let port = door.unwrap_or_else(|| panic!("{}", server.table)).address.port();
    let ca = server.folder().word("data/tls/ca.pem");
    let line = format!("kdig -d @127.0.0.1 -p PORT +tls-ca={ca} +tls-hostname=home.arpa www.example.org");
    for _ in 0..2 {
        let told = told(&line, port);
        for words in
            ["TLS session (TLS1.3)", "The certificate is trusted.", "status: NOERROR", "A 192.0.2.80"]
        {
            assert!(told.contains(words), "`{words}` is not in {told}");
        }
    }
    let wrong = told(&line.replace("home.arpa", "example.net"), port);
    assert!(!wrong.contains("192.0.2.80") && wrong.contains("certificate"), "{wrong}");
    server.stop();
}

/// Brings the loopback interface of the namespace up, puts our own files in the place of the system's,
/// and becomes the program.
const INSIDE: &str = "ip link set lo up && mount --bind resolv.conf /etc/resolv.conf && \
     mount --bind nsswitch.conf /etc/nsswitch.conf && exec \"$0\" \"$@\"";

#[test]
fn the_c_library_finds_names_through_its_stub_resolver() {
    let authority = free_port();
    let root = rustix::process::geteuid().is_root();
    programs::find("ip");
    let mut launch = Command::new(programs::find("unshare"));
    if !root {
        launch.arg("--map-root-user");
    }
    launch.args(["--net", "--mount", "sh", "-c", INSIDE]).stdin(Stdio::null());
    let server = resolver(authority)
        .key("dns.listen", "\"127.0.0.1:53\"")
        .key("dns.zone", "[{ name = \"home.test\", file = \"home.zone\" }]")
        .file("home.zone", ZONE)
        .file("resolv.conf", "nameserver 127.0.0.1\nsearch home.test\noptions timeout:20\n")
        .file("nsswitch.conf", "hosts: dns\n")
        .launched_by(launch)
        .start();
    let enter = |namespaces: &[&str], words: &[&str]| {
        let mut command = Command::new(programs::find("nsenter"));
        if !root {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--target", &server.pid().to_string()]).args(namespaces).args(words);
        command
    };
    let elsewhere = Setup::new()
        .zone(ZONE)
        .key("dns.listen", &format!("\"127.0.0.1:{authority}\""))
        .key("dns.resolver.mode", "\"off\"")
        .launched_by(enter(&["--net"], &[]))
        .start();
    for (words, expected) in [
        (
            ["ahosts", "www.example.org"],
            &["192.0.2.80 STREAM", "2001:db8::80 STREAM", "host.example.org"][..],
        ),
        (["hosts", "host"], &["2001:db8::80 host.home.test"]),
        (["ahosts", "x.wild.example.org"], &["192.0.2.99 STREAM"]),
        (["ahosts", "localhost"], &["127.0.0.1 STREAM", "::1 STREAM"]),
    ] {
        let output = enter(&["--net", "--mount"], &["getent"]).args(words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for line in expected {
            assert!(told.contains(line), "`{line}` is not in what `getent {words:?}` prints: {told}");
        }
    }
    let nobody = enter(&["--net", "--mount"], &["getent", "hosts", "nobody.example.org"]).output().unwrap();
    assert_eq!((nobody.status.code(), nobody.stdout.len()), (Some(2), 0), "{nobody:?}");
    elsewhere.stop();
    server.stop();
}
