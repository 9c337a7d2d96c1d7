//! swaks, smtp-source, msmtp, s-nail and curl send mail through the doors of SMTP and LMTP.

use super::{Office, setup};
use crate::programs::{self, Ran};

fn swaks(address: &str, words: &[&str]) -> Ran {
    let from = ["--server", address, "--helo", "crepes.fr"];
    programs::run("swaks", &[&from[..], words].concat())
}

/// What swaks sent and heard that has this mark.
fn lines(told: &str, mark: &str) -> Vec<String> {
    told.lines().filter_map(|line| line.strip_prefix(mark)).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn swaks_delivers_from_elsewhere_and_is_not_relayed() {
    let office = Office::open(setup());
    let smtp = office.smtp().to_string();
    let to_bob = ["--from", "alice@crepes.fr", "--to", "bob@hamburger.edu", "--header", "Subject: ketchup"];
    for words in [&[][..], &["--pipeline"], &["-tls"], &["--ehlo", "[192.0.2.1]"], &["--protocol", "SMTP"]] {
        swaks(&smtp, &[&to_bob[..], words].concat()).done();
    }
    assert_eq!(office.subjects("bob"), ["ketchup"; 5]);
    let raw = office.raw("bob", 0);
    assert!(raw.starts_with("Return-Path: <alice@crepes.fr>\r\nReceived: from crepes.fr "), "{raw}");
    assert!(office.raw("bob", 2).contains(" with ESMTPS "), "{}", office.raw("bob", 2));
    for to in ["eve@elsewhere.test", "eve%elsewhere.test@hamburger.edu", "@hamburger.edu:eve@elsewhere.test"]
    {
        let told = swaks(&smtp, &["--from", "alice@crepes.fr", "--to", to]);
        assert!(!told.status.success(), "{to}: {}", told.text());
        assert!(told.text().contains("<** 550 5."), "{to}: {}", told.text());
    }
    let told = swaks(&smtp, &["--from", "alice@crepes.fr", "--to", "nobody@hamburger.edu"]).text();
    assert!(told.contains("<** 550 5.1.1 "), "{told}");
    office.server.stop();
}

#[test]
fn swaks_submits_by_each_way_to_log_in() {
    let office = Office::open(setup());
    let (starttls, tls) = (office.submission().to_string(), office.submissions().to_string());
    let from = ["--from", "bob@hamburger.edu", "--to", "ann@hamburger.edu", "--header", "Subject: pickles"];
    for mechanism in ["PLAIN", "LOGIN"] {
        for (door, option) in [(&starttls, "-tls"), (&tls, "-tlsc")] {
            for user in ["bob", "bob@hamburger.edu"] {
                let login = [option, "-a", mechanism, "-au", user, "-ap", &office.bob_password];
                swaks(door, &[&from[..], &login].concat()).done();
            }
        }
    }
    assert_eq!(office.subjects("ann").len(), 8);
    assert!(office.raw("ann", 0).contains(" with ESMTPSA "), "{}", office.raw("ann", 0));
    let told = swaks(&tls, &[&from[..], &["-tlsc", "-a", "-au", "bob", "-ap", "wrong"]].concat()).text();
    assert!(told.contains("<~* 535 5.7.8 "), "{told}");
    let told = swaks(&tls, &[&from[..], &["-tlsc"]].concat()).text();
    assert!(told.contains("530 5.7.0 "), "{told}");
    office.server.stop();
}

#[test]
fn swaks_delivers_by_lmtp_over_tcp_and_a_unix_socket() {
    let office = Office::open(setup());
    let lmtp = office.lmtp().to_string();
    let words = ["--protocol", "LMTP", "--from", "alice@crepes.fr"];
    let to = ["--to", "bob@hamburger.edu,nobody@hamburger.edu,ann@hamburger.edu"];
    let told = swaks(&lmtp, &[&words[..], &to].concat()).text();
    let heard = lines(&told, "<-");
    assert_eq!(heard.iter().filter(|line| line.starts_with("250 2.0.0 kept as ")).count(), 2, "{told}");
    assert!(told.contains("<** 550 5.1.1 "), "{told}");
    let socket = office.server.folder().word("lmtp.sock");
    let words =
        ["--socket", &socket, "--protocol", "LMTP", "--from", "alice@crepes.fr", "--to", "bob@hamburger.edu"];
    programs::run("swaks", &words).done();
    assert_eq!((office.messages("bob").len(), office.messages("ann").len()), (2, 1));
    office.server.stop();
}

#[test]
fn smtp_source_delivers_every_message_over_many_sessions() {
    let office = Office::open(setup());
    let words = |address: &str, more: &[&str]| {
        let usual =
            ["-f", "alice@crepes.fr", "-t", "bob@hamburger.edu", "-l", "4096", "-s", "10", "-m", "100"];
        let words: Vec<String> = usual.iter().chain(more).map(|word| (*word).to_owned()).collect();
        [words, vec![address.to_owned()]].concat()
    };
    let source = |words: Vec<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        programs::run("/usr/sbin/smtp-source", &words).done();
    };
    source(words(&office.smtp().to_string(), &[]));
    source(words(&office.smtp().to_string(), &["-d"])); // many messages over one connection
    source(words(&office.lmtp().to_string(), &["-L"]));
    assert_eq!(office.messages("bob").len(), 300);
    office.server.stop();
}

#[test]
fn msmtp_logs_in_by_scram_and_checks_the_certificate() {
    let office = Office::open(setup());
    let message = b"From: bob@hamburger.edu\nTo: ann@hamburger.edu\nSubject: hello\n\n.\n.one dot\nend\n";
    let (tls, starttls) = (office.submissions().port().to_string(), office.submission().port().to_string());
    let (ca, password) =
        (format!("--tls-trust-file={}", office.ca()), format!("--passwordeval=echo {}", office.bob_password));
    for (port, first) in [(&tls, "--tls-starttls=off"), (&starttls, "--tls-starttls=on")] {
        for mechanism in ["plain", "login", "scram-sha-256", "on"] {
            let auth = format!("--auth={mechanism}");
            let words = [
                "--host=localhost",
                "--port",
                port,
                "--tls=on",
                first,
                &ca,
                &auth,
                "--user=bob",
                &password,
                "--from=bob@hamburger.edu",
                "--read-recipients",
            ];
            programs::run_with_input("msmtp", &words, message).done();
        }
    }
    assert_eq!(office.subjects("ann"), ["hello"; 8]);
    assert!(office.raw("ann", 2).ends_with("\r\n\r\n.\r\n.one dot\r\nend\r\n"), "{}", office.raw("ann", 2));
    office.server.stop();
}

#[test]
fn s_nail_sends_what_a_user_types() {
    let office = Office::open(setup());
    let mta = format!("-Smta=smtps://bob:{}@localhost:{}", office.bob_password, office.submissions().port());
    let ca = format!("-Stls-ca-file={}", office.ca());
    let words = [
        "-:/",
        "-Sv15-compat",
        &mta,
        &ca,
        "-Stls-verify=strict",
        "-Ssmtp-auth=plain",
        "-r",
        "bob@hamburger.edu",
        "-s",
        "Grüße aus 汉堡",
        "ann@hamburger.edu",
    ];
    let sent = programs::run_with_input(
        "s-nail",
        &[&["-Sttycharset=utf-8"], &words[..]].concat(),
        "schön\n".as_bytes(),
    );
    sent.done();
    assert_eq!(office.subjects("ann"), ["Grüße aus 汉堡"]);
    office.server.stop();
}

#[test]
fn curl_sends_files_and_learns_that_lines_end_with_crlf() {
    let office = Office::open(setup());
    let file = office.server.folder().word("message.txt");
    office.server.folder().write("message.txt", "Subject: by curl\n\nhello\n");
    let plain = format!("smtp://{}", office.smtp());
    let submission = format!("smtp://localhost:{}", office.submission().port());
    let tls = format!("smtps://localhost:{}", office.submissions().port());
    let (user, ca) = (format!("bob:{}", office.bob_password), office.ca());
    let curl = |url: &str, from: &str, more: &[&str]| {
        let words = ["-sS", url, "--mail-from", from, "--mail-rcpt", "ann@hamburger.edu", "-T", &file];
        programs::run("curl", &[&words[..], more].concat())
    };
    curl(&plain, "alice@crepes.fr", &["--crlf"]).done();
    curl(&submission, "bob@hamburger.edu", &["--crlf", "--ssl-reqd", "--cacert", &ca, "-u", &user]).done();
    curl(&tls, "bob@hamburger.edu", &["--crlf", "--cacert", &ca, "-u", &user]).done();
    let bare = curl(&plain, "alice@crepes.fr", &["-v"]);
    assert!(bare.err.contains("< 550 5.6.0 LF without CR in the message"), "{}", bare.err);
    assert_eq!(office.subjects("ann"), ["by curl"; 3]);
    office.server.stop();
}
