//! Signed zones, DNAME and everything beside them: the same zone served by NSD, by Knot and by us, the
//! same questions to all three, and the same answers.
//!
//! NSD and Knot do not agree on everything; an answer must be that of one of them. The additional
//! section is left out, because each server has its own policy about it.

use std::collections::BTreeSet;

use super::peer::{Peer, free_port};
use crate::folder::Folder;
use crate::programs;
use crate::server::Setup;

const ZONE: &str = include_str!("signed.zone");

const NAMES: &[&str] = &[
    "example",
    "WWW.example",
    "alias2.example",
    "aliasout.example",
    "aliasno.example",
    "aliaswild.example",
    "aliascut.example",
    "loop1.example",
    "wild.example",
    "x.wild.example",
    "a.b.wild.example",
    "x.real.wild.example",
    "*.wild.example",
    "x.*.wild.example",
    "x.cwild.example",
    "x.cwild2.example",
    "ent.example",
    "b.c.ent.example",
    "x.b.c.ent.example",
    "x.entwild.example",
    "a.x.entwild.example",
    "secure.example",
    "x.secure.example",
    "ns.secure.example",
    "insecure.example",
    "a.b.insecure.example",
    "cut.example",
    "er.cut.example",
    "x.deep.er.cut.example",
    "x.cut.example",
    "nothing.example",
    "a.b.c.d.nothing.example",
    "0.example",
    "zzz.example",
    "dn.example",
    "x.dn.example",
    "a.host.dn.example",
    "al.dn.example",
    "x.dnout.example",
    "x.dnloop.example",
    "x.dncut.example",
    "https.example",
    "unknown.example",
    "big.example",
    "out.test",
    ".",
];

const TYPES: &[&str] = &[
    "A",
    "NS",
    "SOA",
    "CNAME",
    "MX",
    "TXT",
    "DS",
    "DNSKEY",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "DNAME",
    "TYPE731",
];

/// NSD and Knot serving the file `signed`.
fn peers(folder: &Folder) -> [Peer; 2] {
    let knot = "zone:\n  - domain: example\n    storage: .\n    file: signed\n    zonefile-load: whole\n    \
                journal-content: none\n    semantic-checks: off\n";
    let knot = knot.replace("storage: .", &format!("storage: {}", folder.path().display()));
    [
        Peer::nsd(folder, free_port(), "example", "  zonefile: signed\n"),
        Peer::knot(folder, free_port(), &knot),
    ]
}

/// What a reply says: status, flags, and the records of two sections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Said {
    status: String,
    answer: BTreeSet<String>,
    authority: BTreeSet<String>,
}

/// All replies in what dig printed.
fn replies(text: &str) -> Vec<Said> {
    let mut replies: Vec<Said> = Vec::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(header) = line.strip_prefix(";; ->>HEADER<<- ") {
            let status = header.split_once("status: ").unwrap().1.split(',').next().unwrap().to_owned();
            replies.push(Said { status, ..Said::default() });
            section = "";
            continue;
        }
        let Some(reply) = replies.last_mut() else { continue };
        if let Some(flags) = line.strip_prefix(";; flags: ") {
            reply.status.push(' ');
            reply.status.push_str(flags.split(';').next().unwrap());
        } else if let Some(edns) = line.strip_prefix("; EDNS: ") {
            reply.status.push_str(if edns.contains("flags: do") { " edns do" } else { " edns" });
        } else if let Some(name) = line.strip_suffix(" SECTION:") {
            section = name;
        } else if !line.is_empty() && !line.starts_with(';') {
            let record = line.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
            match section {
                ";; ANSWER" => reply.answer.insert(record),
                ";; AUTHORITY" => reply.authority.insert(record),
                _ => false,
            };
        }
    }
    replies
}

/// Asks `port` the questions in the file `questions`.
fn ask(folder: &Folder, port: u16) -> Vec<Said> {
    let port = port.to_string();
    let words = [
        "@127.0.0.1",
        "-p",
        &port,
        "+ignore",
        "+norecurse",
        "+nocookie",
        "+bufsize=1232",
        "+tries=5",
        "-f",
        "questions",
    ];
    // dig shares ports with whoever allows it, and once in many thousand questions it takes the very port
    // that it asks, and hears itself; then it asks them all again.
    for _ in 0..5 {
        let said = replies(&programs::run_in(folder.path(), "dig", &words).done());
        if said.iter().all(|said| said.status.contains(" qr")) {
            return said;
        }
    }
    panic!("dig hears nothing but itself");
}

/// Signs the zone with these words beside, and compares the answers.
fn check(words: &[&str]) {
    let setup =
        Setup::new().key("dns.zone", "[{ name = \"example\", file = \"signed\" }]").file("plain", ZONE);
    let folder = setup.folder.path();
    let key = |more: &[&str]| {
        let words = [&["-a", "ECDSAP256SHA256"], more, &["example"]].concat();
        programs::run_in(folder, "ldns-keygen", &words).done().trim().to_owned()
    };
    let (zone_key, entry_key) = (key(&[]), key(&["-k"]));
    let until = ["-e", "20371231000000", "-i", "20200101000000", "-f", "signed"];
    let words = [words, &until, &["plain", &zone_key, &entry_key]].concat();
    programs::run_in(folder, "ldns-signzone", &words).done();
    let mut questions = String::new();
    for name in NAMES {
        for kind in TYPES {
            questions.push_str(&format!("{name} {kind} +dnssec\n{name} {kind} +nodnssec\n"));
        }
    }
    setup.folder.write("questions", &questions);
    let [nsd, knot] = peers(&setup.folder);
    let server = setup.start();
    nsd.until("www.example");
    knot.until("www.example");
    let folder = server.folder();
    let [nsd, knot, ours] = [nsd.port, knot.port, server.dns().port()].map(|port| ask(folder, port));
    let asked: Vec<&str> = questions.lines().collect();
    assert_eq!((nsd.len(), knot.len(), ours.len()), (asked.len(), asked.len(), asked.len()));
    let mut agreed = 0;
    for (question, said) in asked.iter().zip(nsd.iter().zip(&knot).zip(&ours)) {
        let ((nsd, knot), ours) = said;
        assert!(
            ours == nsd || ours == knot,
            "{question}\nwe said {ours:#?}\nNSD said {nsd:#?}\nKnot said {knot:#?}"
        );
        agreed += usize::from(nsd == knot);
    }
    assert!(agreed * 10 > asked.len() * 9, "NSD and Knot agreed {agreed} times of {}", asked.len());
    server.stop();
}

#[test]
fn a_zone_with_nsec_is_answered_as_nsd_and_knot_do() {
    check(&[]);
}

#[test]
fn a_zone_with_nsec3_is_answered_as_nsd_and_knot_do() {
    check(&["-n", "-t", "5", "-s", "abcd"]);
}
