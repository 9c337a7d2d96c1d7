//! `bench mail`: durable local delivery, relaying through the queue, and fetching by POP3, against Postfix (to
//! Maildir) and Dovecot (LMTP, POP3). Delivered means in the mailbox, counted on both sides.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::measure::{Round, Server, Up, compare, operations, said};
use super::{home, prepare, program, scratch, write};
use crate::run::{Failed, Outcome, output};

/// Where everybody's sink listens.
const SINK_PORT: u16 = 8440;
/// The password of every user.
const PASSWORD: &str = "secret-of-the-load";
/// To whom messages go.
const USERS: [&str; 4] = ["u1", "u2", "u3", "u4"];
/// Octets of a message.
const OCTETS: &str = "4096";
/// Rounds; the first one warms up and does not count.
const ROUNDS: usize = 5;

/// A server with what its measurement needs to know.
struct Peer {
    server: Server,
    /// How messages come in.
    protocol: &'static str,
    /// Its door for POP3; 0 for none.
    pop3: u16,
    /// How many messages are in its mailboxes.
    delivered: Box<dyn Fn() -> Result<u64, Failed>>,
}

/// Runs all tables.
pub fn bench() -> Outcome {
    prepare()?;
    let folder = scratch("mail")?;
    let sink_line = [&program("post"), "sink", &SINK_PORT.to_string()];
    let sink = Server::start_on("1", "sink", "", SINK_PORT, Up::Tcp, &sink_line, &folder)?;
    let peers = [doorway(&folder)?, postfix(&folder)?, dovecot(&folder)?];
    println!(
        "\n`cargo xtask bench mail`: servers on core 0, the load on core 1, {ROUNDS} rounds, messages of 4 KB, all \
         synced before they are taken; rates are of messages in the mailbox or at the next server."
    );
    let serving: Vec<&Peer> = peers.iter().filter(|peer| peer.pop3 != 0).collect();
    // First, while nothing else has taken memory that could be given back meanwhile.
    idle(&serving)?;
    let local: Vec<String> = USERS.iter().map(|user| format!("{user}@bench.test")).collect();
    let receiving: Vec<&Peer> = peers.iter().collect();
    delivery("Durable local delivery, 20 sessions", &receiving, 20, 4000, &local)?;
    delivery("Durable local delivery, 1 session", &receiving, 1, 600, &local)?;
    let relaying: Vec<&Peer> = peers.iter().filter(|peer| peer.protocol == "smtp").collect();
    relay("Relay through the queue, 20 sessions", &relaying, 20, 3000, &sink)?;
    relay("Relay through the queue, 1 session", &relaying, 1, 500, &sink)?;
    fetch(&serving)
}

fn delivery(title: &str, peers: &[&Peer], sessions: usize, messages: u64, to: &[String]) -> Outcome {
    let counted =
        |peer: &Peer, before: u64| -> Result<(), Failed> { wait_for(before + messages, &*peer.delivered) };
    measure(title, peers, |peer| {
        let before = (peer.delivered)()?;
        let start = Instant::now();
        let mut round = send(peer, sessions, messages, to)?;
        counted(peer, before)?;
        // Mailboxes that have to be asked by POP3 are asked behind the clock's back: what Doorway and LMTP take is
        // delivered, and only Postfix delivers later.
        if peer.server.name == "postfix" {
            round.rate = messages as f64 / start.elapsed().as_secs_f64();
        }
        Ok(round)
    })
}

fn relay(title: &str, peers: &[&Peer], sessions: usize, messages: u64, sink: &Server) -> Outcome {
    let to: Vec<String> = USERS.iter().map(|user| format!("{user}@elsewhere.test")).collect();
    let sunk = || operations(&output(&program("post"), &["sunk", &sink.port.to_string()])?);
    measure(title, peers, |peer| {
        let before = sunk()?;
        let start = Instant::now();
        let mut round = send(peer, sessions, messages, &to)?;
        wait_for(before + messages, &sunk)?;
        round.rate = messages as f64 / start.elapsed().as_secs_f64();
        Ok(round)
    })
}

fn fetch(peers: &[&Peer]) -> Outcome {
    measure("POP3 RETR, 4 users", peers, |peer| {
        let port = peer.pop3.to_string();
        let mut line = vec!["-c", "1"];
        let post = program("post");
        line.extend([post.as_str(), "fetch", &port, "2", PASSWORD]);
        line.extend(USERS);
        said(&output("taskset", &line)?)
    })
}

/// Memory of sessions that nobody has logged in to.
fn idle(peers: &[&Peer]) -> Outcome {
    const COUNT: u64 = 10_000;
    println!("\n### Idle POP3 sessions\n\n| server | octets a session | MiB in all |\n| --- | ---: | ---: |");
    for peer in peers {
        let before = peer.server.memory_kib();
        let mut load = Command::new(program("post"))
            .args(["idle", &peer.pop3.to_string(), &COUNT.to_string(), "20"])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| Failed(error.to_string()))?;
        let start = Instant::now();
        while peer.server.open_sockets() < COUNT && start.elapsed() < Duration::from_secs(15) {
            std::thread::sleep(Duration::from_millis(200));
        }
        let (held, after) = (peer.server.open_sockets(), peer.server.memory_kib());
        let _ = load.kill();
        let _ = load.wait();
        if held < COUNT {
            println!("| {} | holds {held} only | |", peer.server.name);
            continue;
        }
        let octets = (after.saturating_sub(before)) * 1024 / COUNT;
        println!("| {} | {octets} | {:.1} |", peer.server.name, after as f64 / 1024.0);
    }
    Ok(())
}

fn measure(title: &str, peers: &[&Peer], load: impl Fn(&Peer) -> Result<Round, Failed>) -> Outcome {
    compare(title, "message", ROUNDS, peers, |peer| &peer.server, |peer, _| load(peer))
}

/// One round of messages, from core 1.
fn send(peer: &Peer, sessions: usize, messages: u64, to: &[String]) -> Result<Round, Failed> {
    let (port, sessions, count) = (peer.server.port.to_string(), sessions.to_string(), messages.to_string());
    let post = program("post");
    let mut line = vec!["-c", "1", &post, "send", peer.protocol, &port, &sessions, &count, OCTETS];
    line.extend(to.iter().map(String::as_str));
    let round = said(&output("taskset", &line)?)?;
    if round.operations == messages {
        return Ok(round);
    }
    Err(Failed(format!("{} took {} of {messages} messages", peer.server.name, round.operations)))
}

fn wait_for(wanted: u64, count: &dyn Fn() -> Result<u64, Failed>) -> Outcome {
    let start = Instant::now();
    loop {
        let found = count()?;
        if found == wanted {
            return Ok(());
        }
        if found > wanted || start.elapsed() > Duration::from_secs(60) {
            return Err(Failed(format!(
                "{found} messages have arrived, {wanted} should have: the run is void"
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Files below the folders `new` of these mailboxes.
fn count_files(mail: &str) -> Result<u64, Failed> {
    let users = USERS.iter().flat_map(|user| ["new", "cur"].map(|part| format!("{mail}/{user}/{part}")));
    Ok(users.map(|folder| std::fs::read_dir(folder).map_or(0, |entries| entries.count() as u64)).sum())
}

fn doorway(folder: &Path) -> Result<Peer, Failed> {
    let own = home(folder, "doorway")?;
    let (config, data) = (format!("{own}/doorway.toml"), format!("{own}/data"));
    write(
        Path::new(&config),
        &format!(
            "[server]\nworkers = 1\n[dns]\nlisten = []\nlisten_tls = []\n[http]\nlisten = []\nlisten_tls = []\n[metrics]\n\
             listen = []\n[mail]\ndomains = [\"bench.test\"]\nrelay_networks = [\"127.0.0.0/8\"]\n\
             messages_max = 1000\nquota = 0\nconnections_per_address = 0\n[mail.listen]\nsmtp = \"127.0.0.1:8441\"\nsubmission = []\n\
             submissions = []\nlmtp = []\npop3 = \"127.0.0.1:8442\"\npop3s = []\n[[mail.route]]\ndomain = \"*\"\n\
             host = \"127.0.0.1:{SINK_PORT}\"\ntls = \"none\"\n"
        ),
    )?;
    let doorway = program("doorway");
    let line = [doorway.as_str(), "up", "--config", &config, "--data", &data];
    let server = Server::start("doorway", "", 8441, Up::Tcp, &line, folder)?;
    for user in USERS {
        let password = format!("{own}/password");
        write(Path::new(&password), PASSWORD)?;
        output(
            "sh",
            &["-c", &format!("{doorway} --data {data} user add {user} --password-stdin < {password}")],
        )?;
    }
    let post = program("post");
    let delivered = move || {
        let mut line = vec!["stat", "8442", PASSWORD];
        line.extend(USERS);
        operations(&output(&post, &line)?)
    };
    Ok(Peer { server, protocol: "smtp", pop3: 8442, delivered: Box::new(delivered) })
}

fn postfix(folder: &Path) -> Result<Peer, Failed> {
    let own = home(folder, "postfix")?;
    for part in ["etc", "queue", "data", "mail"] {
        std::fs::create_dir_all(format!("{own}/{part}")).map_err(|error| Failed(error.to_string()))?;
    }
    output("chmod", &["777", &format!("{own}/mail")])?;
    output("chown", &["postfix", &format!("{own}/data")])?;
    write(
        Path::new(&format!("{own}/etc/main.cf")),
        &format!(
            "compatibility_level = 3.6\nqueue_directory = {own}/queue\ndata_directory = {own}/data\nmail_owner = postfix\n\
             setgid_group = postdrop\nmyhostname = mx.bench.test\nmydestination =\ninet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nrelayhost = [127.0.0.1]:{SINK_PORT}\n\
             virtual_mailbox_domains = bench.test\nvirtual_mailbox_base = {own}/mail\n\
             virtual_mailbox_maps = inline:{{ {{ u1@bench.test = u1/ }} {{ u2@bench.test = u2/ }} {{ u3@bench.test = u3/ }} {{ u4@bench.test = u4/ }} }}\n\
             virtual_uid_maps = static:1000\nvirtual_gid_maps = static:1000\nvirtual_minimum_uid = 100\n\
             maillog_file = {own}/log\nmaillog_file_prefixes = {own}\nsmtpd_peername_lookup = no\n\
             smtpd_recipient_restrictions = permit_mynetworks\nsmtpd_client_connection_count_limit = 0\n\
             smtpd_client_connection_rate_limit = 0\nin_flow_delay = 0\nsmtp_tls_security_level = none\n"
        ),
    )?;
    let services = [
        "127.0.0.1:8443 inet n - n - - smtpd",
        "pickup unix n - n 60 1 pickup",
        "cleanup unix n - n - 0 cleanup",
        "qmgr unix n - n 300 1 qmgr",
        "rewrite unix - - n - - trivial-rewrite",
        "bounce unix - - n - 0 bounce",
        "defer unix - - n - 0 bounce",
        "trace unix - - n - 0 bounce",
        "verify unix - - n - 1 verify",
        "flush unix n - n 1000? 0 flush",
        "proxymap unix - - n - - proxymap",
        "proxywrite unix - - n - 1 proxymap",
        "smtp unix - - n - - smtp",
        "relay unix - - n - - smtp",
        "showq unix n - n - - showq",
        "error unix - - n - - error",
        "retry unix - - n - - error",
        "virtual unix - n n - - virtual",
        "anvil unix - - n - 1 anvil",
        "scache unix - - n - 1 scache",
        "postlog unix-dgram n - n - 1 postlogd",
    ];
    write(Path::new(&format!("{own}/etc/master.cf")), &format!("{}\n", services.join("\n")))?;
    let version = output("postconf", &["-h", "mail_version"])?;
    let etc = format!("{own}/etc");
    let line = ["postfix", "-c", &etc, "start-fg"];
    let server = Server::start("postfix", version.trim(), 8443, Up::Tcp, &line, folder)?;
    let mail = format!("{own}/mail");
    Ok(Peer { server, protocol: "smtp", pop3: 0, delivered: Box::new(move || count_files(&mail)) })
}

fn dovecot(folder: &Path) -> Result<Peer, Failed> {
    let own = home(folder, "dovecot")?;
    let mail = home(Path::new(&own), "mail")?;
    let config = format!("{own}/dovecot.conf");
    write(
        Path::new(&config),
        &format!(
            "base_dir = {own}/run\nstate_dir = {own}/state\nlog_path = {own}/log\nprotocols = pop3 lmtp\nlisten = 127.0.0.1\n\
             ssl = no\ndisable_plaintext_auth = no\nmail_location = maildir:{mail}/%n\nmail_uid = 1000\nmail_gid = 1000\n\
             first_valid_uid = 100\nauth_username_format = %n\nmail_max_userip_connections = 100\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n args = uid=1000 gid=1000 home={mail}/%n allow_all_users=yes\n}}\n\
             service lmtp {{\n inet_listener lmtp {{\n  port = 8444\n }}\n process_min_avail = 2\n}}\n\
             service pop3-login {{\n inet_listener pop3 {{\n  port = 8445\n }}\n inet_listener pop3s {{\n  port = 0\n }}\n \
             service_count = 0\n client_limit = 12000\n}}\n\
             service anvil {{\n client_limit = 12100\n}}\n"
        ),
    )?;
    let version = output("dovecot", &["--version"])?;
    let version = version.split_whitespace().next().unwrap_or_default().to_owned();
    let line = ["dovecot", "-F", "-c", &config];
    let server = Server::start("dovecot", &version, 8444, Up::Tcp, &line, folder)?;
    Ok(Peer { server, protocol: "lmtp", pop3: 8445, delivered: Box::new(move || count_files(&mail)) })
}
