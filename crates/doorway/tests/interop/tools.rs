//! `doorway dig`, `nslookup`, `ping` and `dns` beside the programs whose form they have.

use serde_json::Value;

use crate::dns::dig::ZONE;
use crate::programs;
use crate::server::{Server, Setup};

fn serving() -> Server {
    let zone = "[{ name = \"example.org\", file = \"example.org.zone\", xfr = [\"127.0.0.0/8\"], \
                update = [\"127.0.0.1 any *\"] }, { name = \"fixed.test\", file = \"fixed.zone\" }]";
    let fixed = "$TTL 1h\n@ SOA ns hostmaster 1 2h 15m 2w 5m\n  NS ns\nns A 192.0.2.1\n";
    Setup::new()
        .key("dns.zone", zone)
        .key("dns.resolver.mode", "\"off\"")
        .file("example.org.zone", ZONE)
        .file("fixed.zone", fixed)
        .start()
}

/// What must differ from one run to the next, made equal.
fn masked(text: &str) -> Vec<String> {
    let number = |line: &str, before: &str| {
        line.find(before).map(|at| {
            let rest = line[at + before.len()..].trim_start_matches(|c: char| c.is_ascii_hexdigit());
            format!("{}{before}#{rest}", &line[..at])
        })
    };
    text.lines()
        .map(|line| {
            if line.starts_with("; <<>> ") {
                return "; <<>> program".to_owned();
            }
            if line.starts_with(";; WHEN: ") {
                return ";; WHEN: then".to_owned();
            }
            if line.starts_with(";; XFR size: ") {
                return line.split(" (").next().unwrap().to_owned();
            }
            let patterns = ["Query time: ", ", id: ", "COOKIE: ", " in "];
            patterns.iter().find_map(|before| number(line, before)).unwrap_or_else(|| line.to_owned())
        })
        .collect()
}

fn dig_both(server: &Server, words: &str) {
    let (ip, port) = (format!("@{}", server.dns().ip()), server.dns().port().to_string());
    let mut all = vec![ip.as_str(), "-p", &port, "+time=10"];
    all.extend(words.split_whitespace());
    let theirs = programs::run("dig", &[&["-r"], &all[..]].concat());
    let ours = programs::run(env!("CARGO_BIN_EXE_doorway"), &[&["dig"], &all[..]].concat());
    assert_eq!(masked(&ours.text()), masked(&theirs.text()), "{words}");
    assert_eq!(ours.status.code(), theirs.status.code(), "{words}");
}

#[test]
fn dig_prints_line_for_line_what_the_dig_of_bind_prints() {
    let server = serving();
    for words in [
        "example.org",
        "example.org MX",
        "MX example.org",
        "example.org SOA +multiline",
        "example.org TXT +tcp",
        "www.example.org",
        "www.example.org +short",
        "www.example.org +short +identify +time=10 nothing.example.org",
        "nothing.example.org",
        "host.example.org MX",
        "child.example.org NS +norecurse",
        "example.com",
        "example.org ANY",
        "example.org ANY +notcp",
        "middle.example.org TXT +bufsize=512",
        "middle.example.org TXT +bufsize=512 +ignore",
        "example.org +noall +answer",
        "example.org +nocmd +nocomments +nostats",
        "example.org +noquestion +norec +dnssec",
        "example.org SOA +nottlid",
        "example.org SOA +noclass",
        "example.org SOA +noclass +nottlid",
        "example.org +noedns",
        "example.org +nsid +nocookie",
        "example.org +edns=1 +noednsnegotiation",
        "example.org +opcode=15",
        "example.org +ednsopt=65001:0102 +ednsflags=0x40",
        "example.org +qr",
        "example.org A example.org MX",
        "-x 192.0.2.1",
        "version.bind TXT CH",
        "example.org AXFR",
        "example.com AXFR",
        "example.org ixfr=2026112201",
    ] {
        dig_both(&server, words);
    }
    server.stop();
}

fn dig(server: &Server, words: &str) -> programs::Ran {
    let (ip, port) = (format!("@{}", server.dns().ip()), server.dns().port().to_string());
    let mut all = vec!["dig", ip.as_str(), "-p", &port];
    all.extend(words.split_whitespace());
    programs::run(env!("CARGO_BIN_EXE_doorway"), &all)
}

#[test]
fn dig_asks_over_tls_and_wants_the_certificate_to_be_good_for_a_name() {
    let server = serving();
    let port = server.dns_tls().port().to_string();
    let asked = |words: &[&str]| {
        let all = [&["dig", "@127.0.0.1", "-p", &port, "+tries=1", "example.org"], words].concat();
        programs::run(env!("CARGO_BIN_EXE_doorway"), &all)
    };
    let any = asked(&["+tls"]).done();
    assert!(any.contains(&format!("#{port}(127.0.0.1) (TLS)")), "{any}");
    // The local authority is none that the system trusts.
    let named = asked(&["+tls-hostname=localhost"]);
    assert_eq!(named.status.code(), Some(9), "{}", named.text());
    server.stop();
}

#[test]
fn dig_has_its_answers_for_programs_and_octet_by_octet() {
    let server = serving();
    let document: Value = serde_json::from_str(&dig(&server, "www.example.org +json").done()).unwrap();
    let reply = &document["replies"][0];
    assert_eq!(reply["status"], "NOERROR");
    assert_eq!(reply["answer"][2]["data"], "192.0.2.80");
    let picture = dig(&server, "example.org MX +annotate").done();
    for said in ["QNAME             \"example\"", "-> octet 12: example.org.", "PREFERENCE        10"] {
        assert!(picture.contains(said), "{said}: {picture}");
    }
    assert!(picture.lines().all(|line| line.chars().count() <= 100), "{picture}");
    server.stop();
}

#[test]
fn dig_says_with_code_9_that_nobody_answers() {
    let server = serving();
    let address = server.dns();
    server.stop();
    let (ip, port) = (format!("@{}", address.ip()), address.port().to_string());
    for words in [&["+tries=1"][..], &["+tcp"], &["+short"]] {
        let all = [&[ip.as_str(), "-p", &port, "+time=1", "example.org"], words].concat();
        let ours = programs::run(env!("CARGO_BIN_EXE_doorway"), &[&["dig"], &all[..]].concat());
        assert_eq!(ours.status.code(), Some(9), "{}", ours.text());
        assert!(ours.text().contains("no servers could be reached"), "{}", ours.text());
    }
}

#[test]
fn nslookup_prints_what_the_nslookup_of_bind_prints() {
    let server = serving();
    let port = format!("-port={}", server.dns().port());
    for words in [
        "example.org",
        "www.example.org",
        "nothing.example.org",
        "-type=mx example.org",
        "-type=soa example.org",
        "-type=txt example.org",
        "-type=ns example.org",
    ] {
        let mut all = vec![port.as_str()];
        all.extend(words.split_whitespace());
        all.push("127.0.0.1");
        let theirs = programs::run("nslookup", &all);
        let ours = programs::run(env!("CARGO_BIN_EXE_doorway"), &[&["nslookup"], &all[..]].concat());
        assert_eq!(ours.text(), theirs.text(), "{words}");
        assert_eq!(ours.status.code(), theirs.status.code(), "{words}");
    }
    server.stop();
}

#[test]
fn records_change_by_command_and_come_back_as_a_zone_file() {
    let server = serving();
    let words = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let dns = |line: &str| {
        let words = words(line);
        server.doorway(&[&["dns"], &words.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat())
    };
    let data = |name: &str| dig(&server, &format!("{name} +short")).done();
    assert!(dns("record add new.example.org 300 A 192.0.2.7").done().contains("changed  zone example.org."));
    assert_eq!(data("new.example.org"), "192.0.2.7\n");
    dns("record set new.example.org A 192.0.2.8").done();
    assert_eq!(data("new.example.org"), "192.0.2.8\n");
    let file = dns("zone export example.org").done();
    assert!(file.lines().any(|line| line.starts_with("new ") && line.ends_with("192.0.2.8")), "{file}");
    dns("record del new.example.org").done();
    assert_eq!(data("new.example.org"), "");
    assert!(
        dns("record del new.example.org").done().contains("unchanged"),
        "there is nothing left to delete"
    );

    let fixed = dns("record add new.fixed.test A 192.0.2.7");
    assert!(fixed.err.contains("[[dns.zone]]"), "{}", fixed.err);
    let list = dns("zone list").done();
    assert!(list.contains("example.org.") && list.contains("file, message"), "{list}");
    assert!(dns("zone show fixed.test").done().contains("192.0.2.1"));
    assert!(dns("zone check").done().contains("2 zones can be served"));
    for refused in
        ["zone show example.com", "record add x.example.org A 1", "record add x.example.com A 192.0.2.1"]
    {
        assert_eq!(dns(refused).status.code(), Some(2), "{refused}");
    }
    server.stop();
}

#[test]
fn the_way_to_an_answer_is_told_and_the_cache_shown_and_emptied() {
    let upstream = serving();
    let stub = format!("[{{ zone = \"example.org\", to = [\"{}\"] }}]", upstream.dns());
    let server = Setup::new()
        .key("dns.resolver.stub", &stub)
        .key("dns.resolver.ask_private", "true")
        .key("dns.resolver.allow_private", "[\"example.org\"]")
        .start();
    let first = server.doorway(&["dns", "explain", "www.example.org"]).done();
    assert!(first.contains(&format!("asks {} over UDP for", upstream.dns())), "{first}");
    assert!(first.contains("NOERROR") && first.contains("192.0.2.80"), "{first}");
    let second = server.doorway(&["dns", "explain", "www.example.org"]).done();
    assert!(second.contains("the cache knows www.example.org. A, for another"), "{second}");
    let nothing = server.doorway(&["dns", "explain", "nothing.example.org", "MX", "--json"]).done();
    let nothing: Value = serde_json::from_str(&nothing).unwrap();
    assert_eq!(nothing["status"], "NXDOMAIN");
    let own = server.doorway(&["dns", "explain", "www.home.arpa"]).done();
    assert!(own.contains("a zone served here"), "{own}");

    let cache = server.doorway(&["dns", "cache", "show", "example.org", "--subtree"]).done();
    assert!(cache.contains("192.0.2.80") && cache.contains("(no such name)"), "{cache}");
    assert_eq!(
        server.doorway(&["ipconfig", "/displaydns"]).done(),
        server.doorway(&["ipconfig", "-displaydns"]).done()
    );
    assert!(server.doorway(&["dns", "cache", "stats"]).done().contains("lookups"));
    assert_eq!(server.doorway(&["dns", "cache", "flush"]).status.code(), Some(2), "it does not say what");
    let flushed = server.doorway(&["dns", "cache", "flush", "host.example.org", "--type", "A"]).done();
    assert!(flushed.contains("1 entries"), "{flushed}");
    server.doorway(&["ipconfig", "/flushdns"]).done();
    let empty = server.doorway(&["dns", "cache", "show", "--json"]).done();
    let empty: Value = serde_json::from_str(&empty).unwrap();
    assert_eq!(empty["entries"], serde_json::json!([]));
    server.stop();
    upstream.stop();
}

#[test]
fn ping_says_who_knew_the_name_and_counts_echoes_or_says_how_to_be_allowed() {
    let server = serving();
    let ran = server.doorway(&["ping", "-c", "2", "-i", "0.01", "localhost.home.arpa"]);
    assert_eq!(ran.status.code(), Some(9), "{}", ran.text());
    server.doorway(&["dns", "record", "set", "ping.example.org", "A", "127.0.0.1"]).done();
    let ran = server.doorway(&["ping", "-c", "2", "-i", "0.01", "ping.example.org"]);
    let text = ran.text();
    assert!(text.contains("resolved here in"), "{text}");
    if ran.status.code() == Some(0) {
        assert!(text.contains("2 packets transmitted, 2 received, 0% packet loss"), "{text}");
    } else {
        assert!(ran.err.contains("net.ipv4.ping_group_range"), "{}", ran.err);
    }
    server.stop();
}
