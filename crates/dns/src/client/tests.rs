use std::time::Duration;

use doorway_base::{Random, UnixTime};
use proptest::prelude::*;

use super::annotate::{Line, annotate};
use super::delegations::{Delegations, Step};
use super::report::{self, Arrival};
use super::words::{self, Transport};
use super::{Query, reverse};
use crate::wire::{Message, Type};

fn lookups(line: &str) -> Vec<words::Lookup> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words::parse(&words).unwrap_or_else(|wrong| panic!("{line}: {wrong:?}"))
}

#[test]
fn a_command_line_says_what_is_asked_of_whom() {
    for (line, asked) in [
        ("", ". IN NS -"),
        ("example.org", "example.org. IN A -"),
        ("@192.0.2.1 example.org MX", "example.org. IN MX 192.0.2.1"),
        ("mx example.org @ns1", "example.org. IN MX ns1"),
        ("-t aaaa -c ch -q a", "a. CH AAAA -"),
        ("-taaaa x", "x. IN AAAA -"),
        ("a", ". IN A -"),
        ("-x 192.0.2.7", "7.2.0.192.in-addr.arpa. IN PTR -"),
        ("TYPE65534 x CLASS32", "x. CLASS32 TYPE65534 -"),
        ("version.bind txt ch", "version.bind. CH TXT -"),
        ("x mx y @z ns", "x. IN MX -; y. IN NS z"),
        ("@z x y", "x. IN A z; y. IN A z"),
        ("ixfr=7 x", "x. IN IXFR -"),
        ("+noad +nocd x", "x. IN A -"),
    ] {
        let said: Vec<String> = lookups(line)
            .iter()
            .map(|lookup| {
                let server = lookup.server.as_deref().unwrap_or("-");
                format!("{} {} {} {server}", lookup.name, lookup.class, lookup.kind)
            })
            .collect();
        assert_eq!(said.join("; "), asked, "{line}");
    }
    assert_eq!(lookups("-x 2001:db8::1")[0].name, reverse("2001:db8::1".parse().unwrap()));
    assert!(reverse("2001:db8::1".parse().unwrap()).to_string().starts_with("1.0.0.0.0."));
}

#[test]
fn options_may_be_cut_short_and_turned_around() {
    let lookup = &lookups("+noall +ans +tcp +time=2 +retry=1 +noedns +norec a")[0];
    assert!(lookup.show.answer && !lookup.show.comments && !lookup.show.command && !lookup.recursion);
    assert_eq!((lookup.transport.clone(), lookup.edns, lookup.tries), (Transport::Tcp, None, 2));
    assert_eq!(lookup.time, Duration::from_secs(2));
    let lookup =
        &lookups("+tls-hostname=ns.example.org +subnet=192.0.2.77/24 +ednsopt=65001:0a0B +nsid a")[0];
    assert_eq!(
        (lookup.port(), lookup.transport.clone()),
        (853, Transport::Tls(Some("ns.example.org".into())))
    );
    assert_eq!(lookup.subnet.unwrap().address.to_string(), "192.0.2.0");
    assert_eq!(lookup.options, [(65001, vec![10, 11])]);
    assert_eq!(lookups("+noedns +do a")[0].edns, Some(0), "what travels in OPT brings it back");
}

#[test]
fn a_word_that_makes_no_sense_is_told_with_what_would() {
    for (line, what, fix) in [
        ("+yaml", "+yaml", "+json"),
        ("+htps", "+htps", "+short"),
        ("+co", "more than one", "+comments or +cookie"),
        ("+bufsize=70000", "out of bounds", "65535"),
        ("+bufsize", "needs a value", "1232"),
        ("-x a", "no address", "192.0.2.1"),
        ("-p 0", "no port", "-p 1"),
        ("-y a", "a name and a secret", "base64"),
        ("-y hmac-sha1024:a:YQ==", "no algorithm", "hmac-sha256"),
        ("-y a:===", "not base64", "base64"),
        ("-b 1", "-b", "-4, -6"),
        ("-p", "needs a value", "-p PORT"),
        ("a..b", "no name", "63"),
        ("+subnet=192.0.2.0/33", "no network", "/24"),
        ("+cookie=0102", "no cookie", "8 octets"),
    ] {
        let wrong = words::parse(&line.split(' ').collect::<Vec<_>>()).unwrap_err();
        assert!(wrong.what.contains(what) && wrong.fix.contains(fix), "{line}: {wrong:?}");
    }
}

fn query(line: &str) -> Query {
    Query::new(&lookups(line)[0], &mut Random::new(1), UnixTime::from_secs(1_700_000_000)).unwrap()
}

#[test]
fn a_query_has_what_was_asked_for_and_reads_back() {
    let sent = Message::read(&query("a.example +cd +aaonly +zflag +do +nsid +nocookie +bufsize=4096").octets)
        .unwrap();
    assert_eq!(sent.flags.0, 0x0570);
    let edns = sent.edns.unwrap();
    assert_eq!((edns.udp_octets_max, edns.flags, edns.options), (4096, 0x8000, vec![0, 3, 0, 0]));
    assert!(Message::read(&query("a +noedns").octets).unwrap().edns.is_none());
    let signed = query("a -y k:c2VjcmV0");
    assert!(signed.chain.is_some());
    assert!(crate::wire::tsig::find(&signed.octets).unwrap().is_some());
    let incremental = Message::read(&query("a ixfr=7").octets).unwrap();
    assert_eq!(incremental.authorities[0].rdata[2..6], [0, 0, 0, 7]);
}

const ANSWER: &str = "\
8f3a 8580 0001 0002 0000 0001
03 777777 07 6578616d706c65 03 6f7267 00 0001 0001
c00c 0005 0001 0000012c 0006 03 776562 c010
c02d 0001 0001 00093a80 0004 c0000250
00 0029 04d0 00 00 8000 0014 000a 0010 0102030405060708 1112131415161718";

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn an_answer_has_the_form_that_scripts_for_dig_expect() {
    let octets = octets(ANSWER);
    let message = Message::read(&octets).unwrap();
    let lookup = &lookups("www.example.org +dnssec")[0];
    let arrival = Arrival {
        took: Duration::from_millis(3),
        server: "127.0.0.1:53".parse().unwrap(),
        typed: "localhost".to_owned(),
        carrier: "UDP",
        at: UnixTime::from_secs(1_795_387_557),
    };
    let text = report::message(&message, &octets, lookup, false, &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(
        text + &report::statistics(&arrival, octets.len()),
        "\
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 36666
;; flags: qr aa rd ra; QUERY: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags: do; udp: 1232
; COOKIE: 01020304050607081112131415161718 (good)
;; QUESTION SECTION:
;www.example.org.\t\tIN\tA

;; ANSWER SECTION:
www.example.org.\t300\tIN\tCNAME\tweb.example.org.
web.example.org.\t604800\tIN\tA\t192.0.2.80

;; Query time: 3 msec
;; SERVER: 127.0.0.1#53(localhost) (UDP)
;; WHEN: Sun Nov 22 22:45:57 UTC 2026
;; MSG SIZE  rcvd: 98

"
    );
    assert_eq!(report::short(&message, lookup, &arrival), "web.example.org.\n192.0.2.80\n");
    let bare = &lookups("www.example.org +noall +answer +nottlid +noclass")[0];
    assert_eq!(
        report::message(&message, &octets, bare, false, &[]),
        "www.example.org.\tCNAME\tweb.example.org.\nweb.example.org.\tA\t192.0.2.80\n"
    );
}

// Each line as text: what it says about which octets.
fn picture(message: &[u8]) -> Vec<String> {
    let line = |line: &Line| match line {
        Line::Heading { depth, text } => format!("{}{text}", "#".repeat(usize::from(*depth) + 1)),
        Line::Octets { at, length, field, value } => format!("{at}+{length} {field}: {value}"),
        Line::Bits { bits, field, value } => format!("{bits} {field}: {value}"),
    };
    annotate(message).iter().map(line).collect()
}

#[test]
fn every_octet_of_a_message_is_labelled() {
    let text = picture(&octets(ANSWER)).join("\n");
    assert_eq!(
        text,
        "\
#Header
0+2 ID: 36666: the answer repeats that of the query
2+2 flags: 0x8580
1... .... .... .... QR: response
.000 0... .... .... OPCODE: 0 = QUERY
.... .1.. .... .... AA: from an authority for the name
.... ..0. .... .... TC: whole
.... ...1 .... .... RD: recursion desired
.... .... 1... .... RA: recursion available
.... .... .0.. .... Z: always 0
.... .... ..0. .... AD: not authenticated
.... .... ...0 .... CD: as the server wants
.... .... .... 0000 RCODE: 0 = NOERROR
4+2 QDCOUNT: 1
6+2 ANCOUNT: 2
8+2 NSCOUNT: 0
10+2 ARCOUNT: 1
#Question
12+4 QNAME: \"www\"
16+8 : \"example\"
24+4 : \"org\"
28+1 : root, the end of the name
29+2 QTYPE: 1 = A
31+2 QCLASS: 1 = IN
#Answer
##CNAME of www.example.org.
33+2 NAME: -> octet 12: www.example.org.
35+2 TYPE: 5 = CNAME
37+2 CLASS: 1 = IN
39+4 TTL: 300 seconds
43+2 RDLENGTH: 6 octets
45+4 CNAME: \"web\"
49+2 : -> octet 16: example.org.
##A of web.example.org.
51+2 NAME: -> octet 45: web.example.org.
53+2 TYPE: 1 = A
55+2 CLASS: 1 = IN
57+4 TTL: 604800 seconds
61+2 RDLENGTH: 4 octets
63+4 ADDRESS: 192.0.2.80
#Additional
##OPT: EDNS
67+1 NAME: root, the end of the name
68+2 TYPE: 41 = OPT
70+2 UDP payload size: 1232 octets, in the place of CLASS
72+1 EXTENDED-RCODE: 0, so the whole code is 0 = NOERROR
73+1 VERSION: 0
74+2 flags: 0x8000, DO: signatures wanted
76+2 RDLENGTH: 20 octets
78+2 OPTION-CODE: 10 = COOKIE
80+2 OPTION-LENGTH: 16
82+16 OPTION-DATA: COOKIE: 01020304050607081112131415161718"
    );
}

// The octets of a picture are those of the message, each once and in order.
fn check_covers(message: &[u8]) {
    let mut at = 0;
    for line in annotate(message) {
        if let Line::Octets { at: from, length, .. } = line {
            assert_eq!(from, at, "{message:02x?}");
            at += length;
        }
    }
    assert_eq!(at, message.len(), "{message:02x?}");
}

#[test]
fn every_prefix_of_a_message_is_shown_to_its_end() {
    let octets = octets(ANSWER);
    for length in 0..=octets.len() {
        check_covers(&octets[..length]);
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_shown_to_its_end(flips in prop::collection::vec((0_usize..98, any::<u8>()), 1..6)) {
        let mut octets = octets(ANSWER);
        for (at, octet) in flips {
            octets[at] = octet;
        }
        check_covers(&octets);
    }
}

#[test]
fn a_trace_goes_down_and_never_back() {
    let referral = |zone: &str, answer: bool| {
        let mut message = Message::default();
        let name: crate::wire::Name = zone.parse().unwrap();
        let record = crate::wire::Record {
            name,
            kind: Type::NS,
            class: crate::wire::Class::IN,
            ttl: 0,
            rdata: b"\x02ns\x00".to_vec(),
        };
        if answer {
            message.answers.push(record)
        } else {
            message.authorities.push(record)
        }
        message
    };
    let mut way = Delegations::new("a.b.example.org".parse().unwrap());
    for (zone, answer, expected) in [
        ("org", false, "down org."),
        ("example.org", false, "down example.org."),
        ("org", false, "lame"),
        ("example.org", false, "lame"),
        ("example.net", false, "lame"),
        ("b.example.org", false, "down b.example.org."),
        ("a.b.example.org", true, "answer"),
    ] {
        let said = match way.step(&referral(zone, answer)) {
            Step::Down(servers) => {
                assert_eq!(servers[0].name.to_string(), "ns.");
                format!("down {}", way.zone())
            }
            Step::Lame => "lame".to_owned(),
            Step::Answer => "answer".to_owned(),
        };
        assert_eq!(said, expected, "{zone}");
    }
}
