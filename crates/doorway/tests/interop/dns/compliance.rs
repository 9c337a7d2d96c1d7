//! Messages as few clients send them: the same octets to NSD and to us, and the same verdict.
//!
//! `docs/dns-compliance.md` has the table; with `UPDATE=1` in the environment it is written anew. A row
//! in which the verdicts differ says why.

use std::fmt::Write;
use std::path::Path;

use super::peer::{self, Peer, at, free_port};
use crate::dialogue::Dialogue;
use crate::server::Setup;

/// The start of the page, up to the table.
const PAGE: &str = include_str!("compliance.md");
/// Where the page is.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dns-compliance.md");

const ZONE: &str = "\
$TTL 300
@      SOA   ns host 1 3600 600 86400 60
@      NS    ns
@      MX    10 ns
ns     A     192.0.2.53
www    A     192.0.2.80
middle TXT   \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"
middle TXT   \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"
middle TXT   \"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\"
middle TXT   \"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\"
middle TXT   \"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\"
";

const RD: u16 = 0x0100;
const A: u16 = 1;
const TXT: u16 = 16;
const IN: u16 = 1;
const CH: u16 = 3;

/// A message octet by octet.
#[derive(Clone)]
struct Asked {
    flags: u16,
    counts: [u16; 4],
    body: Vec<u8>,
    octets_max: usize,
    tcp: bool,
}

fn name(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

fn ask(text: &str, kind: u16) -> Asked {
    nothing().question(&name(text), kind, IN)
}

fn nothing() -> Asked {
    Asked { flags: 0, counts: [0; 4], body: Vec::new(), octets_max: usize::MAX, tcp: false }
}

fn www() -> Asked {
    ask("www.example.org", A)
}

fn middle() -> Asked {
    ask("middle.example.org", TXT)
}

impl Asked {
    fn question(mut self, name: &[u8], kind: u16, class: u16) -> Self {
        self.counts[0] += 1;
        self.body.extend_from_slice(name);
        self.body.extend(kind.to_be_bytes());
        self.body.extend(class.to_be_bytes());
        self
    }

    fn flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    fn opcode(self, opcode: u16) -> Self {
        self.flags(opcode << 11)
    }

    fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    fn then(mut self, octets: &[u8]) -> Self {
        self.body.extend_from_slice(octets);
        self
    }

    /// An OPT record: size, version, flags, options.
    fn opt(mut self, size: u16, version: u8, flags: u16, options: &[u8]) -> Self {
        self.counts[3] += 1;
        let mut record = vec![0, 0, 41];
        record.extend(size.to_be_bytes());
        record.extend([0, version]);
        record.extend(flags.to_be_bytes());
        record.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        record.extend_from_slice(options);
        self.then(&record)
    }

    fn edns(self) -> Self {
        self.opt(1232, 0, 0, b"")
    }

    fn octets(&self) -> Vec<u8> {
        let mut octets = vec![0x12, 0x34];
        octets.extend(self.flags.to_be_bytes());
        self.counts.iter().for_each(|count| octets.extend(count.to_be_bytes()));
        octets.extend_from_slice(&self.body);
        octets.truncate(self.octets_max);
        octets
    }

    /// What the server at `port` makes of it.
    fn verdict(&self, port: u16) -> String {
        let octets = self.octets();
        if !self.tcp {
            // Silence is told from a lost datagram by asking twice.
            let reply = peer::ask(port, &octets).or_else(|| peer::ask(port, &octets));
            return reply.map_or_else(|| "silence".to_owned(), |reply| verdict(&octets, &reply));
        }
        let mut dialogue = Dialogue::with(at(port));
        dialogue.say([&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], &octets].concat());
        let length = dialogue.hear(2);
        let reply = dialogue.hear(usize::from(u16::from_be_bytes([length[0], length[1]])));
        verdict(&octets, &reply)
    }
}

/// Code, flags, whether the question came back, answers, and what the OPT record says.
fn verdict(asked: &[u8], reply: &[u8]) -> String {
    const CODES: [&str; 12] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
        "NOTAUTH", "NOTZONE", "11",
    ];
    let two = |at: usize| u16::from_be_bytes([reply[at], reply[at + 1]]);
    let opt = opt(reply);
    let code = usize::from(reply[3] & 15) | opt.map_or(0, |opt| usize::from(opt[5]) << 4);
    let code = if code == 16 { "BADVERS" } else { CODES.get(code).copied().unwrap_or("another code") };
    let mut told = code.to_owned();
    for (bit, flag) in [
        (0x0400, "aa"),
        (0x0200, "tc"),
        (0x0100, "rd"),
        (0x0080, "ra"),
        (0x0040, "z"),
        (0x0020, "ad"),
        (0x0010, "cd"),
    ] {
        if two(2) & bit != 0 {
            write!(told, " {flag}").unwrap();
        }
    }
    match two(4) {
        0 => {}
        1 if asked.get(12..).is_some_and(|body| body.starts_with(&reply[12..question_end(reply)])) => {
            told.push_str(", question")
        }
        count => write!(told, ", {count} questions").unwrap(),
    }
    match two(6) {
        0 => {}
        1 => told.push_str(", 1 answer"),
        count => write!(told, ", {count} answers").unwrap(),
    }
    if let Some(opt) = opt {
        write!(told, ", EDNS {}", opt[6]).unwrap();
        let flags = u16::from_be_bytes([opt[7], opt[8]]);
        if flags & 0x8000 != 0 {
            told.push_str(" do");
        }
        if flags & 0x7fff != 0 {
            write!(told, " {:#06x}", flags & 0x7fff).unwrap();
        }
    }
    told
}

fn question_end(message: &[u8]) -> usize {
    name_end(message, 12) + 4
}

fn name_end(message: &[u8], mut at: usize) -> usize {
    loop {
        match usize::from(message[at]) {
            0 => return at + 1,
            192.. => return at + 2,
            length => at += 1 + length,
        }
    }
}

/// The OPT record of a reply, from its owner on.
fn opt(reply: &[u8]) -> Option<&[u8]> {
    let two = |at: usize| usize::from(u16::from_be_bytes([reply[at], reply[at + 1]]));
    let mut at = 12;
    for _ in 0..two(4) {
        at = name_end(reply, at) + 4;
    }
    for _ in 0..two(6) + two(8) + two(10) {
        let fields = name_end(reply, at);
        let end = fields + 10 + two(fields + 8);
        if two(fields) == 41 {
            return Some(&reply[at..end]);
        }
        at = end;
    }
    assert_eq!(at, reply.len(), "octets behind the last record");
    None
}

/// What is sent, in words; the message; and why we say something other than NSD, where we do.
type Row = (&'static str, Asked, Option<&'static str>);

fn rows() -> Vec<Row> {
    let cookie = b"\0\x0a\0\x0801234567";
    vec![
        ("plain", www(), None),
        ("plain, TCP", www().tcp(), None),
        ("EDNS 0", www().edns(), None),
        ("EDNS 0, TCP", www().edns().tcp(), None),
        ("EDNS 1", www().opt(1232, 1, 0, b""), None),
        ("EDNS 1, TCP", www().opt(1232, 1, 0, b"").tcp(), None),
        ("EDNS 1, unknown option", www().opt(1232, 1, 0, b"\xfd\xe9\0\x02ab"), None),
        ("EDNS 1, DO", www().opt(1232, 1, 0x8000, b""), Some("RFC 3225 §3: DO comes back as it was sent")),
        ("unknown option", www().opt(1232, 0, 0, b"\xfd\xe9\0\x02ab"), None),
        ("unknown flag", www().opt(1232, 0, 0x0040, b""), None),
        ("DO", www().opt(1232, 0, 0x8000, b""), None),
        ("DO and an unknown flag", www().opt(1232, 0, 0x8040, b""), None),
        ("NSID, of a server without a name", www().opt(1232, 0, 0, b"\0\x03\0\0"), None),
        ("cookie of a client", www().opt(1232, 0, 0, cookie), None),
        ("RD", www().flags(RD), None),
        ("AD and CD", www().flags(0x0030), None),
        ("AA, TC, RA and Z in a query", www().flags(0x06c0), None),
        ("QR: a response", www().flags(0x8000), None),
        ("eleven octets", Asked { octets_max: 11, ..nothing() }, None),
        ("no such name", ask("none.example.org", A), None),
        ("no such type", ask("www.example.org", TXT), None),
        ("unknown type 65280", ask("www.example.org", 65_280), None),
        ("type 0", ask("www.example.org", 0), Some("RFC 6895 §3.1: no record can have this type")),
        ("another's name", ask("www.example.com", A), None),
        ("another's name, EDNS 0", ask("www.example.com", A).edns(), None),
        ("the root", ask("", 2), None),
        ("long answer, plain", middle(), None),
        ("long answer, EDNS 512", middle().opt(512, 0, 0, b""), None),
        ("long answer, EDNS 100", middle().opt(100, 0, 0, b""), None),
        ("long answer, EDNS 1232", middle().edns(), None),
        ("long answer, TCP", middle().tcp(), None),
        ("opcode 15", www().opcode(15), None),
        (
            "opcode 15, EDNS 0",
            www().opcode(15).edns(),
            Some("RFC 6891 §6.1.1: an OPT record is answered with one"),
        ),
        ("opcode 15 without a question", nothing().opcode(15), None),
        ("opcode 1 (IQUERY)", www().opcode(1), None),
        ("opcode 2 (STATUS)", www().opcode(2), None),
        (
            "opcode 15, RD and CD",
            www().opcode(15).flags(RD | 0x10),
            Some("CD has a meaning in queries alone"),
        ),
        (
            "class CH, version.bind",
            nothing().question(&name("version.bind"), TXT, CH),
            Some("nobody is told which program this is"),
        ),
        ("class CH, another name", nothing().question(&name("www.example.org"), A, CH), None),
        (
            "class HS",
            nothing().question(&name("www.example.org"), A, 4),
            Some("with its question, the refusal can be told from others"),
        ),
        (
            "class NONE",
            nothing().question(&name("www.example.org"), A, 254),
            Some("with its question, the refusal can be told from others"),
        ),
        (
            "class ANY",
            nothing().question(&name("www.example.org"), A, 255),
            Some("the zones are of class IN, and no other class is served"),
        ),
        ("no question", nothing(), None),
        (
            "no question, EDNS 0",
            nothing().edns(),
            Some("RFC 9619 §4: a query has one question; without one, only a cookie can be asked for"),
        ),
        ("no question, cookie alone", nothing().opt(1232, 0, 0, cookie), None),
        ("two questions", www().question(&name("ns.example.org"), A, IN), None),
        (
            "two questions, EDNS 0",
            www().question(&name("ns.example.org"), A, IN).edns(),
            Some("RFC 6891 §6.1.1: an OPT record is answered with one"),
        ),
        (
            "a record in the answer section",
            Asked {
                counts: [1, 1, 0, 0],
                ..www().then(b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\xc0\0\x02\x01")
            },
            None,
        ),
        (
            "a record in the authority section",
            Asked {
                counts: [1, 0, 1, 0],
                ..www().then(b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\xc0\0\x02\x01")
            },
            None,
        ),
        (
            "a record in the additional section",
            Asked {
                counts: [1, 0, 0, 1],
                ..www().then(b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\xc0\0\x02\x01")
            },
            Some("it changes nothing in what is asked"),
        ),
        (
            "octets behind the question",
            www().then(b"abc"),
            Some("what stands there is not DNS, so the rest may not be either"),
        ),
        (
            "octets behind the OPT record",
            www().edns().then(b"abc"),
            Some("what stands there is not DNS, so the rest may not be either"),
        ),
        (
            "question cut short",
            Asked { counts: [1, 0, 0, 0], ..nothing().then(b"\x03www\x07example\x03org\0\0") },
            None,
        ),
        ("QNAME that ends in a pointer", nothing().question(b"\x03www\xc0\x0c", A, IN), None),
        ("QNAME with a label of type 01", nothing().question(b"\x41\x03www\0", A, IN), None),
        ("two OPT records", www().edns().edns(), None),
        (
            "OPT record with an owner",
            Asked { counts: [1, 0, 0, 1], ..www().then(b"\x01x\0\0\x29\x04\xd0\0\0\0\0\0\0") },
            None,
        ),
        (
            "OPT record cut short",
            Asked { counts: [1, 0, 0, 1], ..www().then(b"\0\0\x29\x04\xd0\0\0\0\0\0\x09") },
            None,
        ),
        ("option longer than the OPT record", www().opt(1232, 0, 0, b"\xfd\xe9\0\x09ab"), None),
        (
            "cookie of seven octets",
            www().opt(1232, 0, 0, b"\0\x0a\0\x070123456"),
            Some("RFC 7873 §5.2.2: a cookie of a wrong length is FORMERR"),
        ),
        ("QTYPE ANY", ask("example.org", 255), None),
        (
            "QTYPE ANY, TCP",
            ask("example.org", 255).tcp(),
            Some("RFC 8482 §4.4: who asks over TCP has not forged its address and gets everything"),
        ),
        ("QTYPE AXFR over UDP", ask("example.org", 252), None),
        ("QTYPE AXFR, not allowed", ask("example.org", 252).tcp(), None),
        ("QTYPE IXFR without a SOA record", ask("example.org", 251).tcp(), None),
        ("QTYPE MAILA", ask("example.org", 254), Some("RFC 1035 §3.2.3: obsolete")),
        ("QTYPE MAILB", ask("example.org", 253), Some("RFC 1035 §3.2.3: no zone has records of these types")),
        ("QTYPE OPT", ask("example.org", 41), Some("RFC 6895 §3.1: no zone can have records of this type")),
        ("QTYPE TSIG", ask("example.org", 250), Some("RFC 6895 §3.1: no zone can have records of this type")),
        ("QTYPE TKEY", ask("example.org", 249), Some("RFC 6895 §3.1: no zone can have records of this type")),
        (
            "NOTIFY for a zone that is not here",
            ask("example.com", 6).opcode(4),
            Some("a server none of whose zones moves has no use for it"),
        ),
        (
            "NOTIFY for a primary zone",
            ask("example.org", 6).opcode(4),
            Some("a server none of whose zones moves has no use for it"),
        ),
        ("UPDATE that is not allowed", ask("example.org", 6).opcode(5), None),
        ("UPDATE for a zone that is not here", ask("example.com", 6).opcode(5), None),
    ]
}

#[test]
fn odd_messages_get_the_verdicts_that_nsd_gives_or_the_page_says_why_not() {
    let server = Setup::new().zone(ZONE).key("dns.resolver.mode", "\"off\"").start();
    let nsd = Peer::nsd(server.folder(), free_port(), "example.org", "  zonefile: example.org.zone\n");
    nsd.until("www.example.org");
    let (mut page, mut unexplained) = (PAGE.to_owned(), String::new());
    for (what, asked, why) in rows() {
        let [theirs, ours] = [nsd.port, server.dns().port()].map(|port| asked.verdict(port));
        if (theirs == ours) == why.is_some() {
            writeln!(unexplained, "{what}\n    NSD: {theirs}\n    we:  {ours}").unwrap();
        }
        let same = if theirs == ours { "the same" } else { &ours };
        writeln!(page, "| {what} | {theirs} | {same} | {} |", why.unwrap_or_default()).unwrap();
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PLACE, &page).unwrap();
    }
    assert_eq!(unexplained, "", "verdicts that differ, or an excuse without a difference:\n{unexplained}");
    let found = std::fs::read_to_string(Path::new(PLACE)).unwrap_or_default();
    assert_eq!(found, page, "docs/dns-compliance.md is not true any more; UPDATE=1 writes it anew");
    server.stop();
}
