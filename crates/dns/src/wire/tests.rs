//! Vectors: octets and what they mean, both ways, and octets that mean nothing.

use doorway_base::{Malformed, Reader, Writer};
use proptest::prelude::*;

use super::name::POINTER_HOPS_MAX;
use super::rdata::{self, Word};
use super::rtype::Field;
use super::text::TextFault;
use super::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A message as text, one line for the header, one for each entry.
fn meaning(message: &Message) -> String {
    let mut lines = vec![format!("id {} {} {}", message.id, message.flags.opcode(), message.rcode())];
    for (bit, name) in
        [(Flags::QR, "qr"), (Flags::AA, "aa"), (Flags::TC, "tc"), (Flags::RD, "rd"), (Flags::RA, "ra")]
    {
        if message.flags.has(bit) {
            lines[0].push_str(&format!(" {name}"));
        }
    }
    lines.extend(message.questions.iter().map(|question| format!("? {question}")));
    for (mark, section) in
        [("", &message.answers), ("@ ", &message.authorities), ("+ ", &message.additionals)]
    {
        lines.extend(section.iter().map(|record| format!("{mark}{record}")));
    }
    if let Some(edns) = &message.edns {
        let options: Vec<String> =
            edns.options().map(|(code, value)| format!(" {code}={}", hex(value))).collect();
        lines.push(format!("edns {} {:#x}{}", edns.udp_octets_max, edns.flags, options.concat()));
    }
    lines.join("\n")
}

#[test]
fn messages_mean_what_their_octets_say_and_are_written_back() {
    let vectors = [
        (
            "1234 0100 0001 0000 0000 0000  03 777777 07 6578616d706c65 03 636f6d 00 0001 0001",
            "id 4660 QUERY NOERROR rd\n? www.example.com. IN A",
        ),
        (
            "0001 8580 0001 0002 0000 0000  03 777777 07 6578616d706c65 03 636f6d 00 0001 0001 \
             c00c 0005 0001 00000e10 0006 03 666f6f c010 \
             c02d 0001 0001 0000012c 0004 c0000201",
            "id 1 QUERY NOERROR qr aa rd ra\n? www.example.com. IN A\n\
             www.example.com. 3600 IN CNAME foo.example.com.\nfoo.example.com. 300 IN A 192.0.2.1",
        ),
        (
            "0002 8403 0001 0000 0001 0001  01 78 02 6964 00 001c 0001 \
             c00e 0006 0001 0000003c 001c 01 6e c00e 01 68 c00e 00000001 00000002 00000003 00000004 00000005 \
             00 0029 04d0 00 00 8000 0008 000a 0004 01020304",
            "id 2 QUERY NXDOMAIN qr aa\n? x.id. IN AAAA\n@ id. 60 IN SOA n.id. h.id. 1 2 3 4 5\n\
             edns 1232 0x8000 10=01020304",
        ),
        (
            "0003 2800 0001 0000 0000 0001  02 6964 00 0006 0001  c00c 0001 00ff 00000000 0000",
            "id 3 UPDATE NOERROR\n? id. IN SOA\n+ id. 0 ANY A ",
        ),
        (
            "0004 8000 0000 0000 0000 0001  00 0029 1000 01 00 0000 0000",
            "id 4 QUERY BADVERS qr\nedns 4096 0x0",
        ),
    ];
    for (hex_text, text) in vectors {
        let whole = octets(hex_text);
        let message = Message::read(&whole).unwrap();
        assert_eq!(meaning(&message), text);
        assert_eq!(hex(&message.to_octets().unwrap()), hex(&whole), "{text}");
        for length in 0..whole.len() {
            let refused = Message::read(&whole[..length]).unwrap_err();
            assert!(refused.at_octet <= length, "{refused} of {length} octets: {text}");
        }
    }
}

#[test]
fn malformed_messages_are_refused_at_the_octet() {
    let head = "0001 0000 0001 0000 0000 0000";
    let with_record = "0001 0000 0000 0001 0000 0000";
    let with_additionals = "0001 0000 0000 0000 0000 0002";
    let opt = "00 0029 0200 00000000 0000";
    for (hex_text, what, at_octet) in [
        (format!("{head} 01 78 00 0001 0001 00"), "the end of the message", 19),
        (format!("{head} 41 78 00 0001 0001"), "a label of type 00 or 11", 12),
        (format!("{head} 81 78 00 0001 0001"), "a label of type 00 or 11", 12),
        (format!("{head} c00c 0001 0001"), "a pointer to an earlier octet", 12),
        (format!("{head} c0ff 0001 0001"), "a pointer to an earlier octet", 12),
        (format!("{head} 01 78 c00c 0001 0001"), "a pointer to an earlier octet", 14),
        (format!("{with_record} 00 0001 0001 00000000 0005 0102030405"), "the end of the RDATA", 27),
        (format!("{with_record} 00 0001 0001 00000000 0003 010203"), "an IPv4 address", 26),
        (format!("{with_record} 00 000f 0001 00000000 0002 0001"), "a label", 25),
        (format!("{with_record} 00 0010 0001 00000000 0000"), "a character-string", 23),
        (format!("{with_record} 00 0010 0001 00000000 0003 03 6161"), "the octets of a character-string", 26),
        (format!("{with_additionals} {opt} {opt}"), "one OPT record, at the root", 23),
        (format!("{with_additionals} 01 78 {opt} {opt}"), "one OPT record, at the root", 12),
    ] {
        assert_eq!(Message::read(&octets(&hex_text)), Err(Malformed::new(what, at_octet)), "{hex_text}");
    }
}

#[test]
fn rdata_reads_prints_and_parses_by_its_row() {
    for (kind, hex_text, text) in [
        ("A", "c0000201", "192.0.2.1"),
        ("AAAA", "20010db8000000000000000000000001", "2001:db8::1"),
        ("NS", "026e73 00", "ns."),
        ("CNAME", "0161 0162 00", "a.b."),
        ("PTR", "00", "."),
        ("MX", "000a 026d78 00", "10 mx."),
        ("SRV", "0001 0002 0050 0177 00", "1 2 80 w."),
        ("SOA", "016e00 016800 00000001 00000002 00000003 00000004 00000005", "n. h. 1 2 3 4 5"),
        ("TXT", "03616263 00 04 22 5c 07 ff", r#""abc" "" "\"\\\007\255""#),
        ("CAA", "00 05 6973737565 63612e78", r#"0 issue "ca.x""#),
        ("DS", "0102 0d 02 aabb", "258 13 2 AABB"),
        ("TLSA", "03 01 01 ff", "3 1 1 FF"),
        ("SSHFP", "04 02 00", "4 2 00"),
        ("HINFO", "03 435055 02 4f53", r#""CPU" "OS""#),
        ("NAPTR", "0001 0002 0153 00 00 0177 00", r#"1 2 "S" "" "" w."#),
        ("RP", "0161 00 00", "a. ."),
        ("AFSDB", "0001 0161 00", "1 a."),
        ("TYPE731", "c0000201", r"\# 4 C0000201"),
        ("TYPE731", "", r"\# 0"),
    ] {
        let kind = Type::from_text(kind.as_bytes()).unwrap();
        let data = octets(hex_text);
        let mut read = Vec::new();
        rdata::read(kind, &mut Reader::new(&data), data.len(), &mut read).unwrap();
        assert_eq!(hex(&read), hex(&data), "{kind} {text}");
        assert_eq!(rdata::display(kind, &data).to_string(), text, "{kind}");
        assert_eq!(parse(kind, text), Ok(data.clone()), "{kind} {text}");
        // Every type may be written as an unknown one.
        let unknown = format!("\\# {} {}", data.len(), hex(&data));
        assert_eq!(parse(kind, &unknown), Ok(data.clone()), "{kind} {unknown}");
        let mut last = (None, 0);
        rdata::for_each_field(kind, &data, |field, octets| last = (Some(field), data.len() - octets.len()));
        for length in 0..data.len() {
            let read = rdata::read(kind, &mut Reader::new(&data[..length]), length, &mut Vec::new());
            let may_end = match last {
                (Some(Field::Text | Field::Hex | Field::Opaque), start) => length >= start,
                // These vectors have strings that end here.
                (Some(Field::Strings), _) => [4, 5].contains(&length),
                _ => false,
            };
            assert_eq!(read.is_ok(), may_end, "{kind} {length}");
        }
    }
}

fn parse(kind: Type, text: &str) -> Result<Vec<u8>, (usize, String)> {
    let words: Vec<Word<'_>> = text
        .split(' ')
        .map(|word| match word.strip_prefix('"') {
            Some(quoted) => Word { text: quoted.strip_suffix('"').unwrap().as_bytes(), quoted: true },
            None => Word { text: word.as_bytes(), quoted: false },
        })
        .collect();
    let mut out = Vec::new();
    let origin = "example.org".parse().unwrap();
    let parsed = rdata::parse(kind, &words, &origin, &mut out);
    parsed.map(|()| out).map_err(|unexpected| (unexpected.word, unexpected.expected.into_owned()))
}

#[test]
fn names_read_and_print_with_escapes() {
    for (text, hex_text, printed) in [
        (".", "00", "."),
        ("a", "0161 00", "a."),
        ("a.B.", "0161 0142 00", "a.B."),
        (r"a\.b.c", "03 612e62 0163 00", r"a\.b.c."),
        (r#"\097\\\"x"#, "04 61 5c 22 78 00", r#"a\\\"x."#),
        (r"\000\255\032", "03 00 ff 20 00", r"\000\255\032."),
        ("*.x", "012a 0178 00", "*.x."),
        (r"\@.\$", "0140 0124 00", r"\@.\$."),
    ] {
        let name: Name = text.parse().unwrap();
        assert_eq!(hex(name.as_octets()), hex(&octets(hex_text)), "{text}");
        assert_eq!(name.to_string(), printed);
        assert_eq!(printed.parse::<Name>().unwrap().as_octets(), name.as_octets());
    }
}

#[test]
fn texts_that_are_no_names_are_refused_with_the_reason() {
    let label = "x".repeat(63);
    let almost = format!("{label}.{label}.{label}.");
    for (text, fault) in [
        (String::new(), TextFault::Empty),
        ("a..b".into(), TextFault::EmptyLabel),
        (".a".into(), TextFault::EmptyLabel),
        ("..".into(), TextFault::EmptyLabel),
        (format!("{label}x"), TextFault::LongLabel),
        (format!("{almost}{}", "x".repeat(62)), TextFault::LongName),
        (format!("{almost}{}.", "x".repeat(62)), TextFault::LongName),
        (format!("{almost}{label}.x"), TextFault::LongName),
        ("a\\".into(), TextFault::Escape),
        (r"\25".into(), TextFault::Escape),
        (r"\256".into(), TextFault::Escape),
        (r"\2x5".into(), TextFault::Escape),
    ] {
        assert_eq!(text.parse::<Name>().map(|name| name.to_string()), Err(fault), "{text}");
    }
    assert_eq!(Name::from_text(b"a", None).map(|_| ()), Err(TextFault::Relative));
    let longest: Name = format!("{almost}{}", "x".repeat(61)).parse().unwrap();
    assert_eq!(longest.as_octets().len(), NAME_OCTETS_MAX);
}

#[test]
fn names_compare_without_case_and_order_from_the_root() {
    // RFC 4034 §6.1, with its own example.
    let sorted = [
        "example",
        "a.example",
        "yljkjljk.a.example",
        "Z.a.example",
        "zABC.a.EXAMPLE",
        "z.example",
        r"\001.z.example",
        "*.z.example",
        r"\200.z.example",
    ];
    let mut names: Vec<Name> = sorted.iter().rev().map(|text| text.parse().unwrap()).collect();
    names.sort();
    let printed: Vec<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(printed, sorted.map(|text| format!("{text}.")));
    let (a, b): (Name, Name) = ("WWW.Example".parse().unwrap(), "www.eXAMPLE".parse().unwrap());
    assert_eq!(a, b);
    assert!(a.is_within(&"example".parse().unwrap()) && a.is_within(&Name::root()) && a.is_within(&b));
    assert!(!a.is_within(&"ample".parse().unwrap()) && !a.parent().unwrap().is_within(&a));
}

#[test]
fn pointers_are_followed_back_only_and_not_for_ever() {
    // A chain of pointers, each to the one before, ends at the root at octet 0.
    let mut chain = vec![0];
    for hop in 0..=POINTER_HOPS_MAX {
        let target = if hop == 0 { 0 } else { 2 * hop - 1 };
        chain.extend((0xc000 | target as u16).to_be_bytes());
    }
    let last = chain.len() - 2;
    assert_eq!(Name::read(&mut Reader::at(&chain, last - 2)).unwrap(), Name::root());
    let refused = Name::read(&mut Reader::at(&chain, last)).unwrap_err();
    assert_eq!(refused.what, "at most 126 pointers in a name");
    // 127 labels are a whole name, one more is none.
    let mut labels = [1, b'x'].repeat(LABELS_MAX);
    labels.push(0);
    assert_eq!(Name::from_wire(&labels).unwrap().label_count(), LABELS_MAX);
    labels.splice(0..0, [1, b'x']);
    assert_eq!(Name::from_wire(&labels).unwrap_err().what, "a name of at most 255 octets");
    // After a pointer the reader stands behind it.
    let message = [1, b'a', 0, 1, b'b', 0xc0, 0, 7];
    let mut reader = Reader::at(&message, 3);
    assert_eq!(Name::read(&mut reader).unwrap().to_string(), "b.a.");
    assert_eq!(reader.position(), 7);
}

#[test]
fn a_message_of_many_names_compresses_and_reads_back() {
    // More suffixes than the table takes, and places past the reach of a pointer.
    let record = |index: usize| Record {
        name: format!("host{index}.net{}.example", index % 7).parse().unwrap(),
        kind: Type::NS,
        class: Class::IN,
        ttl: 1,
        rdata: format!("ns.host{index}.net{}.example", index % 7)
            .parse::<Name>()
            .unwrap()
            .as_octets()
            .to_vec(),
    };
    let message = Message { answers: (0..1500).map(record).collect(), ..Message::default() };
    let octets = message.to_octets().unwrap();
    assert!(octets.len() < 1500 * 40, "{} octets", octets.len());
    assert_eq!(Message::read(&octets).unwrap(), message);
}

#[test]
fn times_have_units() {
    for (text, seconds) in [
        ("0", Some(0)),
        ("3600", Some(3600)),
        ("1h30m", Some(5400)),
        ("1W2D3h4M5s", Some(788_645)),
        ("2h5", Some(7205)),
        ("2147483647", Some(2_147_483_647)),
        ("2147483648", None),
        ("99999999999999999999", None),
        ("h", None),
        ("1hh", None),
        ("1x", None),
        ("", None),
    ] {
        assert_eq!(rdata::seconds(text.as_bytes()), seconds, "{text}");
    }
}

#[test]
fn a_record_of_another_class_is_carried_as_it_came() {
    // An A record of class 0 with one octet, which no address has.
    let octets = b"\x1a\0\0\0\0\0\0\0\0\x01\0\0\0\0\x01\0\0\0\0\x3a\0\0\x01\x3a";
    let message = Message::read(octets).unwrap();
    assert_eq!(message.to_octets().unwrap(), octets);
}

/// Names of any octets.
fn name() -> impl Strategy<Value = Name> {
    let label = prop::collection::vec(any::<u8>(), 1..12);
    prop::collection::vec(label, 0..8)
        .prop_map(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap())
}

fn record() -> impl Strategy<Value = Record> {
    let data = prop_oneof![
        any::<[u8; 4]>().prop_map(|address| (Type::A, address.to_vec())),
        any::<[u8; 16]>().prop_map(|address| (Type::AAAA, address.to_vec())),
        name().prop_map(|name| (Type::CNAME, name.as_octets().to_vec())),
        (any::<[u8; 2]>(), name()).prop_map(|(n, name)| (Type::MX, [&n[..], name.as_octets()].concat())),
        (any::<[u8; 6]>(), name()).prop_map(|(n, name)| (Type::SRV, [&n[..], name.as_octets()].concat())),
        (name(), name(), any::<[u8; 16]>(), 0..0x7fff_ffff_u32).prop_map(|(m, r, numbers, last)| {
            let mut numbers = numbers;
            (4..16).step_by(4).for_each(|at| numbers[at] &= 0x7f);
            let data = [m.as_octets(), r.as_octets(), &numbers, &last.to_be_bytes()].concat();
            (Type::SOA, data)
        }),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|octets| {
            let mut data = vec![octets.len() as u8];
            data.extend(octets);
            (Type::TXT, data)
        }),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|octets| (Type(65_280), octets)),
    ];
    (name(), 0..0x7fff_ffff_u32, data).prop_map(|(name, ttl, (kind, rdata))| Record {
        name,
        kind,
        class: Class::IN,
        ttl,
        rdata,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn reading_never_panics(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::read(&octets);
        let _ = crate::summary(&octets);
    }

    #[test]
    fn reading_a_message_with_a_flipped_octet_never_panics(
        records in prop::collection::vec(record(), 1..6), at in any::<prop::sample::Index>(), octet in any::<u8>(),
    ) {
        let message = Message { answers: records, ..Message::default() };
        let mut octets = message.to_octets().unwrap();
        let at = at.index(octets.len());
        octets[at] = octet;
        if let Ok(message) = Message::read(&octets) {
            prop_assert_eq!(Message::read(&message.to_octets().unwrap()), Ok(message));
        }
    }

    #[test]
    fn messages_survive_the_way_there_and_back(records in prop::collection::vec(record(), 0..12)) {
        let message = Message { answers: records, ..Message::default() };
        prop_assert_eq!(Message::read(&message.to_octets().unwrap()), Ok(message.clone()));
        // A buffer that is too small is noticed and holds no half field.
        let mut room = [0; 100];
        let mut writer = Writer::new(&mut room);
        message.write(&mut writer);
        prop_assert_eq!(writer.overflowed(), message.to_octets().unwrap().len() > 100);
    }

    #[test]
    fn a_printed_record_is_read_back_from_a_zone_file(record in record()) {
        let text = format!("{record}\n");
        let mut tokens = Vec::new();
        let mut scanner = crate::zone::scan::Scanner::new(text.as_bytes());
        prop_assert_eq!(scanner.entry(&mut tokens).map_err(|fault| fault.expected), Ok(Some(false)), "{}", text);
        let word = |token: &crate::zone::scan::Token| Word {
            text: &text.as_bytes()[token.start..token.end],
            quoted: token.quoted,
        };
        let words: Vec<Word<'_>> = tokens.iter().map(word).collect();
        let name = Name::from_text(words[0].text, None).unwrap();
        prop_assert_eq!(name.as_octets(), record.name.as_octets());
        let mut data = Vec::new();
        rdata::parse(record.kind, &words[4..], &Name::root(), &mut data).unwrap();
        prop_assert_eq!(data, record.rdata);
    }
}
