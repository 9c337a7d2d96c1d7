//! `dig` asks the name server.

use crate::programs;
use crate::server::{Server, Setup};

/// The zone of most questions.
pub(crate) const ZONE: &str = include_str!("example.org.zone");

/// What dig prints about one reply, white space made even.
#[derive(Debug, Default)]
struct Reply {
    status: String,
    opcode: String,
    flags: Vec<String>,
    edns: bool,
    answer: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
    /// `UDP` or `TCP`.
    carrier: String,
    text: String,
}

impl Reply {
    /// Reads the last reply in what dig printed.
    fn read(text: &str) -> Self {
        let mut reply = Self { text: text.to_owned(), ..Self::default() };
        let mut section = "";
        for line in text.lines() {
            if let Some(header) = line.strip_prefix(";; ->>HEADER<<- ") {
                reply = Self { text: text.to_owned(), ..Self::default() };
                let value = |name: &str| {
                    let rest = header.split_once(name).unwrap().1;
                    rest.split(',').next().unwrap().trim().to_owned()
                };
                (reply.opcode, reply.status) = (value("opcode:"), value("status:"));
            } else if let Some(flags) = line.strip_prefix(";; flags: ") {
                let flags = flags.split(';').next().unwrap();
                reply.flags = flags.split_whitespace().map(str::to_owned).collect();
            } else if line.starts_with("; EDNS: ") {
                reply.edns = true;
            } else if let Some(server) = line.strip_prefix(";; SERVER: ") {
                reply.carrier = server.rsplit(['(', ')']).nth(1).unwrap().to_owned();
            } else if let Some(name) =
                line.strip_suffix(" SECTION:").and_then(|line| line.strip_prefix(";; "))
            {
                section = name;
            } else if !line.is_empty() && !line.starts_with(';') {
                let record = line.split_whitespace().collect::<Vec<_>>().join(" ");
                match section {
                    "ANSWER" => reply.answer.push(record),
                    "AUTHORITY" => reply.authority.push(record),
                    "ADDITIONAL" => reply.additional.push(record),
                    other => panic!("a record in section `{other}`: {text}"),
                }
            }
        }
        assert!(!reply.status.is_empty(), "no reply: {text}");
        reply
    }

    /// Fails unless the reply has this status and these records in its answer section.
    fn check(&self, status: &str, answer: &[&str]) {
        assert_eq!(
            (self.status.as_str(), self.answer.as_slice()),
            (status, &text(answer)[..]),
            "{}",
            self.text
        );
        assert!(self.flags.contains(&"qr".to_owned()), "{}", self.text);
    }

    fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|found| found == flag)
    }
}

fn text(records: &[&str]) -> Vec<String> {
    records.iter().map(|&record| record.to_owned()).collect()
}

fn serving() -> Server {
    Setup::new().zone(ZONE).start()
}

/// Asks with these words after the server's address.
fn dig(server: &Server, words: &str) -> Reply {
    let (ip, port) = (format!("@{}", server.dns().ip()), server.dns().port().to_string());
    let mut all = vec!["-r", &ip, "-p", &port, "+time=10", "+tries=3", "+nocookie", "+norecurse"];
    all.extend(words.split_whitespace());
    Reply::read(&programs::run("dig", &all).done())
}

#[test]
fn every_type_of_record_is_answered_with_authority() {
    let server = serving();
    let soa = "example.org. 300 IN SOA ns.example.org. hostmaster.example.org. 2026112201 3600 600 604800 60";
    for (question, record) in [
        ("example.org SOA", soa),
        ("example.org A", "example.org. 300 IN A 192.0.2.1"),
        ("example.org AAAA", "example.org. 300 IN AAAA 2001:db8::1"),
        ("example.org MX", "example.org. 300 IN MX 10 mail.example.org."),
        ("example.org TXT", "example.org. 300 IN TXT \"v=spf1 -all\" \"and more\""),
    ] {
        for how in ["", " +tcp", " +noedns"] {
            let reply = dig(&server, &format!("{question}{how}"));
            reply.check("NOERROR", &[record]);
            assert!(reply.has_flag("aa") && !reply.has_flag("ra") && !reply.has_flag("tc"), "{}", reply.text);
            assert_eq!(reply.carrier, if how == " +tcp" { "TCP" } else { "UDP" });
            assert_eq!(reply.edns, how != " +noedns", "{}", reply.text);
        }
    }
    server.stop();
}

#[test]
fn aliases_are_followed_inside_the_zone_and_wildcards_stand_in() {
    let server = serving();
    dig(&server, "www.example.org A").check(
        "NOERROR",
        &[
            "www.example.org. 300 IN CNAME web.example.org.",
            "web.example.org. 300 IN CNAME host.example.org.",
            "host.example.org. 300 IN A 192.0.2.80",
        ],
    );
    let out = ["out.example.org. 300 IN CNAME www.example.net."];
    dig(&server, "out.example.org A").check("NOERROR", &out);
    let one = ["www.example.org. 300 IN CNAME web.example.org."];
    dig(&server, "www.example.org CNAME").check("NOERROR", &one);
    for name in ["a.wild.example.org", "a.b.wild.example.org"] {
        dig(&server, &format!("{name} A")).check("NOERROR", &[&format!("{name}. 300 IN A 192.0.2.99")]);
    }
    server.stop();
}

#[test]
fn what_is_not_there_is_denied_with_the_soa_record() {
    let server = serving();
    // RFC 2308 §3: the TTL is the lower of the record's and MINIMUM.
    let soa = "example.org. 60 IN SOA ns.example.org. hostmaster.example.org. 2026112201 3600 600 604800 60";
    for (question, status) in [
        ("nothing.example.org A", "NXDOMAIN"),
        ("host.example.org MX", "NOERROR"),
        ("wild.example.org A", "NOERROR"),
        ("a.wild.example.org TXT", "NOERROR"),
        ("x.host.example.org A", "NXDOMAIN"),
    ] {
        for how in ["", " +tcp"] {
            let reply = dig(&server, &format!("{question}{how}"));
            reply.check(status, &[]);
            assert_eq!(reply.authority, [soa], "{}", reply.text);
            assert!(reply.has_flag("aa"), "{}", reply.text);
        }
    }
    server.stop();
}

#[test]
fn a_delegated_name_is_referred_with_glue() {
    let server = serving();
    for question in ["child.example.org NS", "deep.in.child.example.org A"] {
        let reply = dig(&server, question);
        reply.check("NOERROR", &[]);
        assert!(!reply.has_flag("aa"), "{}", reply.text);
        assert_eq!(reply.authority, ["child.example.org. 300 IN NS ns.child.example.org."]);
        assert_eq!(
            reply.additional,
            ["ns.child.example.org. 300 IN A 192.0.2.54", "ns.child.example.org. 300 IN AAAA 2001:db8::54",]
        );
    }
    server.stop();
}

#[test]
fn a_long_answer_is_cut_over_udp_and_whole_over_tcp() {
    let server = serving();
    let whole = dig(&server, "middle.example.org TXT +bufsize=1232");
    assert_eq!((whole.answer.len(), whole.carrier.as_str()), (6, "UDP"), "{}", whole.text);
    for how in ["+bufsize=512", "+noedns"] {
        let cut = dig(&server, &format!("middle.example.org TXT {how} +ignore"));
        assert!(cut.has_flag("tc") && cut.carrier == "UDP" && cut.answer.len() < 6, "{}", cut.text);
        let again = dig(&server, &format!("middle.example.org TXT {how}"));
        assert!(again.text.contains(";; Truncated, retrying in TCP mode."), "{}", again.text);
        assert_eq!((again.answer.len(), again.carrier.as_str()), (6, "TCP"), "{}", again.text);
    }
    server.stop();
}

#[test]
fn any_gets_one_answer_and_not_everything_over_udp() {
    let server = serving();
    // RFC 8482 §4 leaves the choice of what to say; over TCP it may be everything.
    let over_udp = dig(&server, "example.org ANY +notcp");
    assert_eq!(over_udp.status, "NOERROR");
    let over_tcp = dig(&server, "example.org ANY");
    assert_eq!((over_tcp.status.as_str(), over_tcp.carrier.as_str()), ("NOERROR", "TCP"));
    assert!(!over_udp.answer.is_empty() && over_udp.answer.len() <= over_tcp.answer.len(), "{over_udp:?}");
    server.stop();
}

#[test]
fn what_is_not_understood_or_not_ours_gets_its_own_code() {
    let server = serving();
    for (question, status) in [
        ("example.org A +edns=1 +noednsnegotiation", "BADVERS"),
        ("example.org A +opcode=15", "NOTIMP"),
        ("example.org A +opcode=2", "NOTIMP"),
        ("version.bind TXT CH", "REFUSED"),
        ("example.com A", "REFUSED"),
        ("org A", "REFUSED"),
        (". NS", "REFUSED"),
    ] {
        let reply = dig(&server, question);
        reply.check(status, &[]);
        assert!(!reply.has_flag("aa"), "{question}: {}", reply.text);
    }
    dig(&server, "example.org A +ednsopt=65001:0102 +ednsflags=0x40")
        .check("NOERROR", &["example.org. 300 IN A 192.0.2.1"]);
    server.stop();
}

#[test]
fn the_built_in_zone_answers_when_none_is_configured() {
    let server = Setup::new().start();
    let soa = dig(&server, "home.arpa SOA");
    assert_eq!((soa.status.as_str(), soa.answer.len()), ("NOERROR", 1), "{}", soa.text);
    assert_eq!(dig(&server, "+tcp home.arpa SOA").answer, soa.answer);
    server.stop();
}
