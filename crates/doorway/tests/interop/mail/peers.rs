//! Other people's mail servers: Postfix and Exim send to us and take from us, Dovecot takes by LMTP. Each
//! runs on ports and folders of its own and is ended with the test.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Office, setup};
use crate::folder::Folder;
use crate::programs;
use crate::server::PATIENCE;

/// A server that is not ours.
struct Peer {
    folder: Folder,
    child: Child,
    /// What ends it.
    stop: Vec<String>,
}

impl Peer {
    fn start(folder: Folder, port: u16, line: &[&str], stop: &[&str]) -> Self {
        let child = Command::new(line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask interop` installs it", line[0]));
        let stop = stop.iter().map(|word| (*word).to_owned()).collect();
        let peer = Self { folder, child, stop };
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        wait(answers, || format!("it does not answer:\n{}", peer.log()));
        peer
    }

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("log") + &read("mainlog") + &read("paniclog")
    }

    /// The messages in a user's Maildir, once there are so many.
    fn messages(&self, user: &str, count: usize) -> Vec<String> {
        let new = self.folder.path().join("mail").join(user).join("new");
        let files =
            || fs::read_dir(&new).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
        wait(|| files().len() >= count, || format!("{count} messages for {user}:\n{}", self.log()));
        let text =
            |entry: &fs::DirEntry| String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
        files().iter().map(text).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let [program, words @ ..] = &self.stop[..] {
            let _ = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn wait(mut done: impl FnMut() -> bool, told: impl Fn() -> String) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{}", told());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Everything in it may be used by the users that servers change to.
fn open_to_all(path: &Path) {
    programs::run("chmod", &["-R", "777", path.to_str().unwrap()]).done();
}

/// Postfix for post.test, which knows where hamburger.edu is.
fn postfix(port: u16, office: &Office) -> Peer {
    let folder = Folder::new();
    let own = folder.path().to_str().unwrap().to_owned();
    for part in ["etc", "queue", "data", "mail"] {
        fs::create_dir_all(folder.path().join(part)).unwrap();
    }
    open_to_all(&folder.path().join("mail"));
    programs::run("chown", &["postfix", &folder.word("data")]).done();
    let (smtp, lmtp) = (office.smtp().port(), office.lmtp().port());
    folder.write(
        "etc/main.cf",
        format!(
            "compatibility_level = 3.6\nqueue_directory = {own}/queue\ndata_directory = {own}/data\n\
             mail_owner = postfix\nsetgid_group = postdrop\nmyhostname = mx.post.test\nmydestination =\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             virtual_mailbox_domains = post.test\nvirtual_mailbox_base = {own}/mail\n\
             virtual_mailbox_maps = inline:{{ {{ u1@post.test = u1/ }} }}\n\
             virtual_uid_maps = static:1000\nvirtual_gid_maps = static:1000\nvirtual_minimum_uid = 100\n\
             transport_maps = inline:{{ {{ ann@hamburger.edu = lmtp:inet:[127.0.0.1]:{lmtp} }} \
             {{ hamburger.edu = smtp:[127.0.0.1]:{smtp} }} }}\n\
             maillog_file = {own}/log\nmaillog_file_prefixes = {own}\nsmtpd_peername_lookup = no\n\
             smtpd_recipient_restrictions = permit_mynetworks\nsmtp_tls_security_level = may\n\
             smtputf8_enable = yes\n"
        ),
    );
    let services = [
        "pickup unix n - n 60 1 pickup",
        "cleanup unix n - n - 0 cleanup",
        "qmgr unix n - n 300 1 qmgr",
        "tlsmgr unix - - n 1000? 1 tlsmgr",
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
        "lmtp unix - - n - - lmtp",
        "showq unix n - n - - showq",
        "error unix - - n - - error",
        "retry unix - - n - - error",
        "virtual unix - n n - - virtual",
        "anvil unix - - n - 1 anvil",
        "scache unix - - n - 1 scache",
        "postlog unix-dgram n - n - 1 postlogd",
    ];
    folder
        .write("etc/master.cf", format!("127.0.0.1:{port} inet n - n - - smtpd\n{}\n", services.join("\n")));
    let etc = folder.word("etc");
    let program = "/usr/sbin/postfix";
    Peer::start(folder, port, &[program, "-c", &etc, "start-fg"], &[program, "-c", &etc, "stop"])
}

/// Dovecot, which takes whatever is for anybody by LMTP.
fn dovecot(port: u16) -> Peer {
    let folder = Folder::new();
    let own = folder.path().to_str().unwrap().to_owned();
    fs::create_dir_all(folder.path().join("mail")).unwrap();
    open_to_all(folder.path());
    folder.write(
        "dovecot.conf",
        format!(
            "base_dir = {own}/run\nstate_dir = {own}/state\nlog_path = {own}/log\nprotocols = lmtp\n\
             listen = 127.0.0.1\nssl = no\nmail_location = maildir:{own}/mail/%n\nmail_uid = 1000\nmail_gid = 1000\n\
             first_valid_uid = 100\nauth_username_format = %n\n\
             userdb {{\n driver = static\n args = uid=1000 gid=1000 home={own}/mail/%n allow_all_users=yes\n}}\n\
             passdb {{\n driver = static\n args = password=none\n}}\n\
             service lmtp {{\n inet_listener lmtp {{\n  port = {port}\n }}\n}}\n"
        ),
    );
    let config = folder.word("dovecot.conf");
    let program = "/usr/sbin/dovecot";
    Peer::start(folder, port, &[program, "-F", "-c", &config], &[program, "-c", &config, "stop"])
}

/// Exim for exim.test, which knows where hamburger.edu is. Debian does not install it beside Postfix, and it
/// insists on its own user and config file: its package is unpacked, and laid over the system's folders
/// where it alone sees that.
fn exim(port: u16, office: &Office) -> Peer {
    let folder = Folder::new();
    let own = folder.path().to_str().unwrap().to_owned();
    programs::run_in(folder.path(), "apt-get", &["download", "exim4-daemon-light"]).done();
    let package = fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().ends_with(".deb"));
    let package = package.unwrap().path().display().to_string();
    programs::run("dpkg-deb", &["-x", &package, &folder.word("unpacked")]).done();
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let groups = fs::read_to_string("/etc/group").unwrap();
    folder.write("etc/passwd", format!("{users}Debian-exim:x:2999:2999::/nowhere:/usr/sbin/nologin\n"));
    folder.write("etc/group", format!("{groups}Debian-exim:x:2999:\n"));
    let to = office.smtp().port();
    folder.write(
        "etc/exim4/exim4.conf",
        format!(
            "primary_hostname = mx.exim.test\nspool_directory = {own}/spool\nlog_file_path = {own}/%slog\n\
             local_interfaces = 127.0.0.1\nacl_smtp_rcpt = rcpt\nacl_smtp_data = any\ntls_advertise_hosts =\n\
             dsn_advertise_hosts = *\nchunking_advertise_hosts = *\nkeep_environment =\n\
             begin acl\nany:\n  accept\nrcpt:\n  deny domains = exim.test\n       local_parts = nobody\n       \
             message = no such user\n  accept\n\
             begin routers\nlocal:\n  driver = accept\n  domains = exim.test\n  transport = maildir\n\
             out:\n  driver = manualroute\n  domains = hamburger.edu\n  route_list = hamburger.edu 127.0.0.1\n  \
             self = send\n  transport = remote\n\
             begin transports\nmaildir:\n  driver = appendfile\n  maildir_format\n  directory = {own}/mail/u1\n  \
             user = Debian-exim\n  group = Debian-exim\n\
             remote:\n  driver = smtp\n  port = {to}\n\
             begin retry\n* * F,1h,1m\n"
        ),
    );
    for part in ["spool", "mail", "over"] {
        fs::create_dir_all(folder.path().join(part)).unwrap();
    }
    programs::run("chown", &["2999:2999", &folder.word("spool"), &folder.word("mail"), &own]).done();
    let script = format!(
        "set -e; mount -t tmpfs none {own}/over; mkdir {own}/over/upper {own}/over/work\n\
         cp -a {own}/etc/. {own}/over/upper/\n\
         mount -t overlay none -o lowerdir=/etc,upperdir={own}/over/upper,workdir={own}/over/work /etc\n\
         mount -t overlay none -o lowerdir={own}/unpacked/usr/sbin:/usr/sbin /usr/sbin\n\
         exec /usr/sbin/exim4 -bdf -q1m -oX {port} -oP {own}/pid\n"
    );
    Peer::start(folder, port, &["unshare", "-m", "sh", "-c", &script], &[])
}

/// Bob sends, by the door for users.
fn submit(office: &Office, to: &str, subject: &str, body: &str) {
    let server = office.submissions().to_string();
    let header = format!("Subject: {subject}");
    let words = ["--server", &server, "-tlsc", "-a", "PLAIN", "-au", "bob", "-ap", &office.bob_password];
    let message = ["--from", "bob@hamburger.edu", "--to", to, "--header", &header, "--body", body];
    programs::run("swaks", &[&words[..], &message[..]].concat()).done();
}

/// Waits until a user of ours has so many messages.
fn until_subjects(office: &Office, user: &str, count: usize, told: impl Fn() -> String) -> Vec<String> {
    wait(|| office.subjects(user).len() >= count, || format!("{user}: {}\n{}", told(), office.server.log()));
    office.subjects(user)
}

#[test]
fn postfix_and_we_exchange_mail_both_ways() {
    let port = free_port();
    let route = format!("[{{ domain = \"post.test\", host = \"127.0.0.1:{port}\" }}]");
    let office = Office::open(setup().key("mail.route", &route));
    let postfix = postfix(port, &office);

    submit(&office, "u1@post.test", "to Postfix", "one\n.\n..two\ncafé");
    let arrived = postfix.messages("u1", 1);
    assert!(arrived[0].contains("Subject: to Postfix\n"), "{arrived:?}");
    assert!(arrived[0].contains("\none\n.\n..two\ncafé"), "{arrived:?}");

    submit(&office, "nobody@post.test", "to nobody", "lost");
    let subjects = until_subjects(&office, "bob", 1, || postfix.log());
    assert_eq!(subjects, ["Your message could not be delivered"]);
    let report = office.raw("bob", 0);
    for part in ["Action: failed", "Status: 5.1.1", "Final-Recipient: rfc822; nobody@post.test", "lost"] {
        assert!(report.contains(part), "{part} is not in {report}");
    }

    // Ann's mail comes by LMTP, Bob's by SMTP.
    let server = format!("127.0.0.1:{port}");
    let words =
        ["--server", &server, "--from", "u1@post.test", "--to", "ann@hamburger.edu,bob@hamburger.edu"];
    let words =
        [&words[..], &["--header", "Subject: from Postfix", "--body", "Do you like ketchup?"]].concat();
    programs::run("swaks", &words).done();
    assert_eq!(until_subjects(&office, "ann", 1, || postfix.log()), ["from Postfix"]);
    assert_eq!(until_subjects(&office, "bob", 2, || postfix.log())[1], "from Postfix");
    assert!(office.raw("ann", 0).contains("Do you like ketchup?"));

    let words = ["--server", &server, "--from", "u1@post.test", "--to", "eve@hamburger.edu", "--body", "x"];
    programs::run("swaks", &words).done();
    let arrived = postfix.messages("u1", 2);
    assert!(
        arrived.iter().any(|text| text.contains("Final-Recipient: rfc822; eve@hamburger.edu")),
        "{arrived:?}"
    );
    office.server.stop();
}

#[test]
fn postfix_gets_hundreds_of_messages_and_each_once() {
    const MESSAGES: usize = 300;
    let port = free_port();
    let route = format!("[{{ domain = \"post.test\", host = \"127.0.0.1:{port}\" }}]");
    let office =
        Office::open(setup().key("mail.route", &route).key("mail.relay_networks", "[\"127.0.0.0/8\"]"));
    let postfix = postfix(port, &office);
    let (count, server) = (MESSAGES.to_string(), office.smtp().to_string());
    let words =
        ["-s", "10", "-m", &count, "-l", "4096", "-f", "bob@hamburger.edu", "-t", "u1@post.test", &server];
    programs::run("/usr/sbin/smtp-source", &words).done();
    assert_eq!(postfix.messages("u1", MESSAGES).len(), MESSAGES);
    let queued = || office.server.doorway(&["mail", "queue", "list", "--json"]).done();
    wait(|| !queued().contains("post.test"), || format!("not empty: {}", queued()));
    office.server.stop();
}

#[test]
fn exim_and_we_exchange_mail_both_ways() {
    let port = free_port();
    let route = format!("[{{ domain = \"exim.test\", host = \"127.0.0.1:{port}\" }}]");
    let office = Office::open(setup().key("mail.route", &route));
    let exim = exim(port, &office);

    submit(&office, "u1@exim.test", "to Exim", "one\n.\n..two\ncafé");
    let arrived = exim.messages("u1", 1);
    assert!(arrived[0].contains("Subject: to Exim\n"), "{arrived:?}");
    assert!(arrived[0].contains("\none\n.\n..two\ncafé"), "{arrived:?}");

    submit(&office, "nobody@exim.test", "to nobody", "lost");
    let subjects = until_subjects(&office, "bob", 1, || exim.log());
    assert_eq!(subjects, ["Your message could not be delivered"]);

    let server = format!("127.0.0.1:{port}");
    let words = ["--server", &server, "--from", "u1@exim.test", "--header", "Subject: from Exim"];
    programs::run("swaks", &[&words[..], &["--to", "ann@hamburger.edu,bob@hamburger.edu"]].concat()).done();
    assert_eq!(until_subjects(&office, "ann", 1, || exim.log()), ["from Exim"]);
    assert_eq!(until_subjects(&office, "bob", 2, || exim.log())[1], "from Exim");

    programs::run("swaks", &[&words[..], &["--to", "eve@hamburger.edu"]].concat()).done();
    let arrived = exim.messages("u1", 2);
    assert!(arrived.iter().any(|text| text.contains("eve@hamburger.edu")), "{arrived:?}");
    office.server.stop();
}

#[test]
fn dovecot_gets_mail_by_lmtp() {
    let port = free_port();
    let route = format!("[{{ domain = \"dove.test\", host = \"127.0.0.1:{port}\", protocol = \"lmtp\" }}]");
    let office = Office::open(setup().key("mail.route", &route));
    let dovecot = dovecot(port);
    submit(&office, "u1@dove.test,u2@dove.test", "to Dovecot", "one\n.\ncafé");
    for user in ["u1", "u2"] {
        let arrived = dovecot.messages(user, 1);
        assert!(arrived[0].contains("Subject: to Dovecot"), "{arrived:?}");
        assert!(arrived[0].contains("\none\n.\ncafé"), "{arrived:?}");
        assert!(arrived[0].starts_with("Return-Path: <bob@hamburger.edu>"), "{arrived:?}");
    }
    office.server.stop();
}
