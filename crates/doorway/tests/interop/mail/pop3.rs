//! curl, Python's poplib, fetchmail, getmail, mpop and mutt fetch mail by POP3.

use super::{Office, setup};
use crate::programs;

/// Lists, reads, marks, takes marks back and deletes, before and behind STLS and over TLS.
const POPLIB: &str = r#"
import poplib, ssl, sys
plain, tls, ca, password = sys.argv[1:5]
trust = ssl.create_default_context(cafile=ca)
port = lambda address: int(address.rsplit(":", 1)[1])
clear = poplib.POP3("127.0.0.1", port(plain), timeout=30)
print(clear.getwelcome().decode(), sorted(clear.capa()))
second = poplib.POP3("localhost", port(plain), timeout=30)
second.stls(context=trust)
third = poplib.POP3_SSL("localhost", port(tls), timeout=30, context=trust)
for number, box in enumerate((clear, second, third)):
    print(box.utf8().decode())
    try:
        box.user("bob"), box.pass_("wrong")
    except poplib.error_proto as error:
        print(error)
    box.user("bob"), box.pass_(password)
    count, octets = box.stat()
    sizes = [int(line.split()[1]) for line in box.list()[1]]
    # What is told of a message's length is what comes, its lines ending in CRLF.
    print(count, octets == sum(sizes), all(box.retr(n + 1)[2] == size for n, size in enumerate(sizes)))
    names = [line.split()[1] for line in box.uidl()[1]]
    print(len(set(names)), box.top(1, 0)[1][-1], box.uidl(1).decode().split()[-1].encode() == names[0])
    if number == 0:
        try:
            other = poplib.POP3("127.0.0.1", port(plain), timeout=30)
            other.user("bob"), other.pass_(password)
        except poplib.error_proto as error:
            print(error)
    box.dele(1), box.dele(2), box.rset(), box.dele(count), box.noop()
    print(box.quit().decode())
# Whoever has heard that it is over may come back at once.
for _ in range(50):
    box = poplib.POP3("127.0.0.1", port(plain), timeout=30)
    box.user("bob"), box.pass_(password), box.quit()
"#;

/// Writes a file beside the server's; its path.
fn write(office: &Office, name: &str, text: impl AsRef<[u8]>) -> String {
    office.server.folder().write(name, text);
    office.server.folder().word(name)
}

fn read(office: &Office, name: &str) -> String {
    String::from_utf8(office.server.folder().read(name)).unwrap()
}

/// An office with so many messages for bob.
fn office(messages: usize) -> Office {
    let office = Office::open(setup());
    let smtp = office.smtp().to_string();
    for number in 1..=messages {
        let subject = format!("Subject: picnic {number}");
        let body = format!(
            "Do you like ketchup?\n.a dot\n..two dots\n{}",
            "How about pickles?\n".repeat(number * 50)
        );
        let words = ["--server", &smtp, "--from", "alice@crepes.fr", "--to", "bob@hamburger.edu"];
        programs::run("swaks", &[&words[..], &["--header", &subject, "--body", &body]].concat()).done();
    }
    office
}

fn curl(office: &Office, url: &str, words: &[&str]) -> programs::Ran {
    let (ca, user) = (office.ca(), format!("bob:{}", office.bob_password));
    let all = ["-q", "--silent", "--show-error", "--cacert", &ca, "--user", &user];
    programs::run("curl", &[&all[..], words, &[url]].concat())
}

#[test]
fn curl_lists_reads_and_deletes_by_each_way_to_log_in() {
    let office = office(2);
    let (plain, tls) = (office.pop3().port(), office.pop3s().port());
    let urls = [format!("pop3://127.0.0.1:{plain}/"), format!("pop3s://localhost:{tls}/")];
    for url in &urls {
        for mechanism in ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=*"] {
            let told = curl(&office, url, &["--login-options", mechanism]).done();
            assert_eq!(told.lines().count(), 2, "{mechanism}: {told}");
        }
    }
    let starttls = format!("pop3://localhost:{plain}/");
    let message = curl(&office, &format!("{starttls}2"), &["--ssl-reqd"]).done();
    assert_eq!(message, office.raw("bob", 1));
    assert!(message.contains("\r\n.a dot\r\n..two dots\r\n"), "{message}");
    let top = curl(&office, &starttls, &["--ssl-reqd", "--request", "TOP 1 2"]).done();
    assert!(top.contains("\r\n\r\nDo you like ketchup?\r\n.a dot\r\n"), "{top}");
    curl(&office, &format!("{starttls}1"), &["--ssl-reqd", "--list-only", "--request", "DELE"]).done();
    assert_eq!(office.subjects("bob"), ["picnic 2"]);
    let wrong = ["--login-options", "AUTH=PLAIN", "--user", "bob:wrong"];
    assert_eq!(
        curl(&office, &urls[0], &wrong).status.code(),
        Some(67),
        "curl's word for a login that was denied"
    );
    office.server.stop();
}

#[test]
fn poplib_reads_and_deletes_in_clear_and_under_tls() {
    let office = office(5);
    let (plain, tls) = (office.pop3().to_string(), office.pop3s().to_string());
    let script = write(&office, "fetch.py", POPLIB);
    let words = [script.as_str(), &plain, &tls, &office.ca(), &office.bob_password];
    let told = programs::run("/usr/bin/python3", &words).done();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("+OK POP3 server ready ['AUTH-RESP-CODE', 'EXPIRE', "), "{told}");
    for (left, lines) in [(5, &lines[1..7]), (4, &lines[7..12]), (3, &lines[12..17])] {
        assert_eq!(lines[0], "+OK UTF-8 it is");
        assert_eq!(lines[1], "b'-ERR [AUTH] wrong name or password'");
        assert_eq!(lines[2], format!("{left} True True"));
        assert_eq!(lines[3], format!("{left} b'' True"));
        assert_eq!(lines[lines.len() - 1], "+OK POP3 server signing off");
    }
    assert_eq!(lines[5], "b'-ERR [IN-USE] another session has this mailbox'");
    assert_eq!(office.subjects("bob"), ["picnic 1", "picnic 2"]);
    office.server.stop();
}

/// Sends commands in clear together with STLS, as somebody on the way could.
const INJECTION: &str = r#"
import socket, ssl, sys
address, ca, password = sys.argv[1:4]
plain = socket.create_connection(("localhost", int(address.rsplit(":", 1)[1])), timeout=30)
plain.recv(1000)
plain.sendall(b"STLS\r\nUSER bob\r\nPASS " + password.encode() + b"\r\n")
print(plain.recv(1000))
trust = ssl.create_default_context(cafile=ca)
secure = trust.wrap_socket(plain, server_hostname="localhost")
secure.sendall(b"STAT\r\nQUIT\r\n")
told = b""
while piece := secure.recv(1000):
    told += piece
print(told)
"#;

#[test]
fn what_was_sent_in_clear_behind_stls_is_no_command() {
    let office = office(1);
    let script = write(&office, "inject.py", INJECTION);
    let words = [script.as_str(), &office.pop3().to_string(), &office.ca(), &office.bob_password];
    let told = programs::run("/usr/bin/python3", &words).done();
    let expected = "b'+OK begin TLS\\r\\n'\nb'-ERR log in first\\r\\n+OK POP3 server signing off\\r\\n'\n";
    assert_eq!(told, expected);
    office.server.stop();
}

/// The messages of an mbox, without the lines that begin them and those that clients add.
fn subjects(mbox: &str) -> Vec<String> {
    mbox.lines().filter_map(|line| line.strip_prefix("Subject: ")).map(str::to_owned).collect()
}

#[test]
fn fetchmail_takes_everything_away() {
    let office = office(3);
    let folder = office.server.folder();
    let (port, password, ca) = (office.pop3().port(), &office.bob_password, office.ca());
    let mail = folder.word("mail");
    let rc = format!(
        "set no bouncemail\npoll localhost proto POP3 port {port} uidl user bob password \"{password}\" \
         sslproto TLS1.2+ sslcertck sslcertfile \"{ca}\" mda \"tee -a {mail}\" fetchall nokeep\n"
    );
    let rc = write(&office, "fetchmailrc", rc);
    programs::run("chmod", &["600", &rc]).done();
    let (ids, pid) = (folder.word("ids"), folder.word("pid"));
    let words = ["--fetchmailrc", &rc, "--idfile", &ids, "--pidfile", &pid, "--nosyslog", "--verbose"];
    let told = programs::run("fetchmail", &words).done();
    assert!(told.contains("SSL/TLS"), "{told}");
    let mail = read(&office, "mail");
    assert_eq!(subjects(&mail), ["picnic 1", "picnic 2", "picnic 3"], "{told}");
    assert!(mail.contains("\n.a dot\n..two dots\n"), "{mail}");
    assert_eq!(office.subjects("bob").len(), 0);
    // Nothing left is its code 1.
    assert_eq!(programs::run("fetchmail", &words).status.code(), Some(1));
    office.server.stop();
}

#[test]
fn getmail_knows_what_it_has_fetched_before() {
    let office = office(3);
    let folder = office.server.folder();
    for (name, kind, port) in [
        ("clear", "SimplePOP3Retriever", office.pop3().port()),
        ("tls", "SimplePOP3SSLRetriever", office.pop3s().port()),
    ] {
        let mail = write(&office, &format!("{name}.mbox"), "");
        let tls = if name == "tls" { format!("ca_certs = {}\n", office.ca()) } else { String::new() };
        let tee = programs::find("tee").display().to_string();
        let rc = format!(
            "[retriever]\ntype = {kind}\nserver = localhost\nport = {port}\nusername = bob\npassword = {}\n{tls}\
             [destination]\ntype = MDA_external\npath = {tee}\narguments = (\"-a\", \"{mail}\")\n\
             allow_root_commands = true\n[options]\nread_all = false\n",
            office.bob_password
        );
        write(&office, &format!("{name}/getmailrc"), rc);
        let state = folder.word(name);
        for _ in 0..2 {
            programs::run("getmail", &["--getmaildir", &state, "--rcfile", "getmailrc"]).done();
        }
        assert_eq!(subjects(&read(&office, &format!("{name}.mbox"))), ["picnic 1", "picnic 2", "picnic 3"]);
    }
    assert_eq!(office.subjects("bob").len(), 3);
    office.server.stop();
}

#[test]
fn mpop_pipelines_and_logs_in_by_scram() {
    let office = office(3);
    let folder = office.server.folder();
    for (auth, tls, port) in [
        ("scram-sha-256", "--tls-starttls=on", office.pop3().port()),
        ("plain", "--tls-starttls=off", office.pop3s().port()),
        ("user", "--tls-starttls=off", office.pop3s().port()),
    ] {
        let (mail, ids) = (folder.word(&format!("{auth}.mbox")), folder.word(&format!("{auth}.ids")));
        let password = format!("echo {}", office.bob_password);
        let words = [
            "--host=localhost".to_owned(),
            format!("--port={port}"),
            "--user=bob".to_owned(),
            format!("--passwordeval={password}"),
            format!("--auth={auth}"),
            "--tls=on".to_owned(),
            tls.to_owned(),
            format!("--tls-trust-file={}", office.ca()),
            format!("--delivery=mbox,{mail}"),
            format!("--uidls-file={ids}"),
            "--keep=on".to_owned(),
            "--pipelining=on".to_owned(),
            "--debug".to_owned(),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = programs::run("mpop", &words);
        assert!(told.status.success(), "{auth}: {}\n{}", told.text(), told.err);
        assert_eq!(subjects(&read(&office, &format!("{auth}.mbox"))), ["picnic 1", "picnic 2", "picnic 3"]);
    }
    office.server.stop();
}

#[test]
fn mutt_opens_the_mailbox_and_copies_out_of_it() {
    let office = office(3);
    let folder = office.server.folder();
    let (port, copies) = (office.pop3s().port(), folder.word("copies"));
    let rc = format!(
        "set folder=\"{}\"\nset spoolfile=\"{}\"\nset record=\"\"\nset certificate_file=\"{}\"\n\
         set pop_pass=\"{}\"\nset pop_delete=no\nset mbox_type=mbox\nset confirmappend=no\n\
         set confirmcreate=no\nset wait_key=no\nset quit=yes\n\
         push \"<tag-pattern>~A<enter><tag-prefix><copy-message>{copies}<enter><quit>\"\n",
        folder.word("."),
        write(&office, "spool", ""),
        office.ca(),
        office.bob_password,
    );
    let rc = write(&office, "muttrc", rc);
    programs::find("mutt");
    // It wants a terminal, and draws on it.
    let command = format!("TERM=vt100 mutt -n -F {rc} -f pops://bob@localhost:{port}/");
    programs::run("script", &["--quiet", "--return", "--command", &command, "/dev/null"]).done();
    assert_eq!(subjects(&read(&office, "copies")), ["picnic 1", "picnic 2", "picnic 3"]);
    assert_eq!(office.subjects("bob").len(), 3);
    office.server.stop();
}

/// Reads what was exported, as scripts do.
const MAILBOX: &str = r#"
import mailbox, sys
maildir = mailbox.Maildir(sys.argv[1], create=False)
print(len(maildir), sorted(message["Subject"] for message in maildir), maildir.list_folders())
box = mailbox.mbox(sys.argv[2], create=False)
print(len(box), [message["Subject"] for message in box], [message.get_from().split()[0] for message in box])
"#;

#[test]
fn mailboxes_are_checked_written_out_and_read_in_again() {
    let office = office(3);
    let server = &office.server;
    let folder = server.folder();
    let (maildir, mboxes) = (folder.word("maildir"), folder.word("mboxes"));
    server.doorway(&["mail", "export", "bob", "--to", &maildir]).done();
    server.doorway(&["mail", "export", "bob", "--to", &mboxes, "--mbox"]).done();
    let mbox = folder.word("mboxes/INBOX.mbox");
    let script = write(&office, "mailboxes.py", MAILBOX);
    let told = programs::run("/usr/bin/python3", &[&script, &maildir, &mbox]).done();
    let subjects = "['picnic 1', 'picnic 2', 'picnic 3']";
    assert_eq!(
        told,
        format!(
            "3 {subjects} []\n3 {subjects} {}\n",
            "['alice@crepes.fr', 'alice@crepes.fr', 'alice@crepes.fr']"
        )
    );
    server.doorway(&["mail", "import", "ann", &maildir]).done();
    server.doorway(&["mail", "import", "ann", &mbox, "--folder", "Old/Box"]).done();
    assert_eq!(office.raw("ann", 1), office.raw("bob", 1));
    let told = server.doorway(&["mail", "fsck", "--json"]).done();
    assert!(told.contains("\"messages\": 9") && told.contains("\"sound\": true"), "{told}");
    let out = folder.word("salvaged");
    assert!(!server.doorway(&["mail", "salvage", "--to", &out]).status.success(), "the server is running");
    office.server.stop();
}
