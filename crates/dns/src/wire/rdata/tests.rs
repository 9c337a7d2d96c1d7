//! Every type as it is written, as octets and as it is printed; and what is refused.

use doorway_base::{Malformed, Reader};
use proptest::prelude::*;

use super::{Word, bitmap, service};
use crate::wire::{Class, Name, Record, Type};
use crate::zone::scan::Scanner;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Parses `MX 10 mail.example.`; the error is what was expected, with the index of the word.
fn parse(text: &str) -> Result<(Type, Vec<u8>), String> {
    let mut tokens = Vec::new();
    let scanned = Scanner::new(text.as_bytes()).entry(&mut tokens);
    scanned.map_err(|fault| fault.expected.to_owned())?;
    let words: Vec<Word<'_>> = tokens
        .iter()
        .map(|token| Word { text: &text.as_bytes()[token.start..token.end], quoted: token.quoted })
        .collect();
    let kind = Type::from_text(words[0].text).ok_or("a type")?;
    let mut data = Vec::new();
    match super::parse(kind, &words[1..], &Name::root(), &mut data) {
        Ok(()) => Ok((kind, data)),
        Err(unexpected) => Err(format!("{}: {}", unexpected.word, unexpected.expected)),
    }
}

fn read(kind: Type, data: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    super::read(kind, &mut Reader::new(data), data.len(), &mut out).map(|()| out)
}

#[test]
fn records_are_parsed_and_printed_as_other_servers_do() {
    let lines = include_str!("vectors.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<&str> = lines.collect();
    let (vectors, rest) = lines.as_chunks::<3>();
    assert!(rest.is_empty() && vectors.len() > 60);
    for [written, hex, printed] in vectors {
        let data = octets(hex);
        let printed = printed.trim().trim_start_matches('-');
        let (kind, parsed) = parse(written).unwrap_or_else(|fault| panic!("{written}: {fault}"));
        assert_eq!(parsed, data, "{written}");
        assert_eq!(super::display(kind, &data).to_string(), printed, "{written}");
        assert_eq!(parse(&format!("{kind} {printed}")), Ok((kind, data.clone())), "{printed}");
        assert_eq!(read(kind, &data).as_deref(), Ok(data.as_slice()), "{written}");
        for length in 0..data.len() {
            // Where a prefix is an RDATA too, it is one that can be printed and read back.
            if let Ok(shorter) = read(kind, &data[..length]) {
                let printed = super::display(kind, &shorter).to_string();
                assert_eq!(parse(&format!("{kind} {printed}")), Ok((kind, shorter)), "{printed}");
            }
        }
    }
}

#[test]
fn what_breaks_the_rules_of_its_type_is_refused_at_the_octet() {
    for (kind, hex, what, at_octet) in [
        (Type::NSEC, "00 00 00", "1 to 32 octets in a window of a type bitmap, the last one not 0", 1),
        (Type::NSEC, "00 00 02 4000", "1 to 32 octets in a window of a type bitmap, the last one not 0", 1),
        (Type::NSEC, "00 01 01 40 00 01 40", "windows of a type bitmap that go up", 4),
        (Type::NSEC, "00 00 01 40 00 01 40", "windows of a type bitmap that go up", 4),
        (Type::NSEC, "00 00 03 40", "the octets of a type bitmap", 4),
        (Type::NSEC3, "01 00 0000 02 aa", "the octets of a character-string", 6),
        (Type(42), "0001 21 00", "a prefix that fits into an address of its family", 0),
        (Type(42), "0001 18 05 0102030405", "a prefix that fits into an address of its family", 0),
        (Type(42), "0001 18 02 0a00", "a prefix without octets of 0 at its end", 0),
        (Type(45), "0a 04 02", "a gateway type from 0 to 3", 1),
        (Type(45), "0a 01 02 c00002", "an IPv4 address", 6),
        (Type(29), "00 12 16 13", "a location of 16 octets", 0),
        (Type(108), "00005e0053", "an EUI-48 address", 5),
        (Type(108), "00005e00532a00", "the end of the RDATA", 6),
        (Type::SVCB, "0001 00 0003 0002 0035 0001 0003 026832", "service parameters that go up by key", 9),
        (Type::SVCB, "0001 00 0003 0001 35", "a service parameter whose value fits its key", 3),
        (Type::SVCB, "0001 00 0002 0000", "a service parameter whose value fits its key", 3),
        (Type::SVCB, "0001 00 0000 0002 0003", "a service parameter whose value fits its key", 3),
        (Type::SVCB, "0001 00 0001 0002 0268", "a service parameter whose value fits its key", 3),
        (Type::SVCB, "0001 00 0003 0004 35", "the value of a service parameter", 8),
    ] {
        assert_eq!(read(kind, &octets(hex)), Err(Malformed::new(what, at_octet)), "{kind} {hex}");
    }
}

#[test]
fn what_cannot_be_a_record_is_refused_at_the_word() {
    for (text, expected) in [
        ("NSEC a. A NOTYPE", "2: a type, such as A or MX"),
        ("NSEC3 1 0 0 abc 2t7b", "3: a salt in hexadecimal, or `-`"),
        ("NSEC3 1 0 0 - 2t7w", "4: a hash in base 32"),
        ("RRSIG A 5 3 1 20030231000000 0 1 a. AAAA", "4: a moment such as 20261122120000"),
        ("RRSIG A 5 3 1 21070101000000 0 1 a. AAAA", "4: a moment such as 20261122120000"),
        ("RRSIG A NOALGORITHM 3 1 0 0 1 a. AAAA", "1: an algorithm from 0 to 255"),
        ("DNSKEY 256 3 8", "3: octets in base 64"),
        ("DNSKEY 256 3 8 AAA", "3: octets in base 64"),
        ("DNSKEY 256 3 8 AAB=", "3: octets in base 64"),
        ("DNSKEY 256 3 8 AA==AA==", "3: octets in base 64"),
        ("LOC 91 N 0 E 0m", "1: degrees of latitude from 0 to 90"),
        ("LOC 90 1 N 0 E 0m", "2: degrees of latitude from 0 to 90"),
        ("LOC 1 60 N 0 E 0m", "1: minutes or seconds of arc below 60"),
        ("LOC 1 N 0 N 0m", "3: minutes or seconds of arc below 60"),
        ("LOC 1 N 0 E 0.001m", "4: an altitude in metres, from -100000.00 to 42849672.95"),
        ("LOC 1 N 0 E 0m 99999999999m", "5: a size in metres, from 0 to 90000000.00"),
        ("APL 1:192.0.2.0/33", "0: a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32"),
        ("APL 2:192.0.2.0/24", "0: a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32"),
        ("IPSECKEY 1 4 2 . AAAA", "1: a gateway type from 0 to 3"),
        ("IPSECKEY 1 0 2 a. AAAA", "3: `.`, because there is no gateway"),
        ("EUI48 00-00-5e-00-53", "0: six pairs of hexadecimal digits with dashes between them"),
        ("EUI48 00-00-5e-00-53-+a", "0: six pairs of hexadecimal digits with dashes between them"),
        ("SVCB 1 . port=53 port=54", "3: each parameter once"),
        ("SVCB 1 . port=65536", "2: port= with a number from 0 to 65535"),
        ("SVCB 1 . port", "2: port= with a number from 0 to 65535"),
        ("SVCB 1 . mandatory=port", "2: mandatory= with keys that this record has"),
        ("SVCB 1 . mandatory=mandatory", "2: mandatory= with keys that this record has"),
        ("SVCB 1 . no-default-alpn", "2: no-default-alpn without a value, beside alpn="),
        ("SVCB 1 . alpn=", "2: alpn= with one or more protocols, such as alpn=\"h2,h3\""),
        ("SVCB 1 . alpn=h2,,h3", "2: alpn= with one or more protocols, such as alpn=\"h2,h3\""),
        ("SVCB 1 . ipv4hint=2001:db8::1", "2: ipv4hint= with IPv4 addresses between commas"),
        ("SVCB 1 . key65536=x", "2: a parameter such as port=443 or alpn=\"h2\""),
        ("SVCB 1 . key3=x", "2: port= with a number from 0 to 65535"),
        ("CAA 0 is-sue x", "1: a word of letters and digits"),
    ] {
        assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_bitmap_tells_its_types_in_order_whatever_order_it_was_made_in() {
    let mut types = vec![Type(65_535), Type::NSEC, Type::A, Type::CAA, Type::A, Type(1234)];
    let mut octets = Vec::new();
    bitmap::write(&mut types, &mut octets);
    let told: Vec<u16> = bitmap::types(&octets).map(|kind| kind.0).collect();
    assert_eq!(told, [1, 47, 257, 1234, 65_535]);
    assert!(bitmap::contains(&octets, Type::CAA) && !bitmap::contains(&octets, Type::MX));
    assert!(bitmap::contains(&octets, Type::A) && !bitmap::contains(&[], Type::A));
}

#[test]
fn a_key_may_be_written_by_its_number() {
    let (_, by_name) = parse("SVCB 1 . port=53 alpn=h2").unwrap();
    let (_, by_number) = parse(r"SVCB 1 . key3=\0005 key1=\002h2").unwrap();
    assert_eq!(by_name, by_number);
    let keys: Vec<u16> = service::parameters(&by_name[3..]).map(|(key, _)| key).collect();
    assert_eq!(keys, [service::ALPN, service::PORT]);
}

#[test]
fn canonical_form_lowers_the_names_that_rfc_4034_lists_and_no_others() {
    for (text, canonical) in [
        ("MX 10 Mail.Example.", "MX 10 mail.example."),
        ("DNAME Other.Example.", "DNAME other.example."),
        ("SRV 1 2 3 Host.", "SRV 1 2 3 host."),
        (
            "RRSIG A 5 3 1 20030322173103 20030220173103 1 Example. AAAA",
            "RRSIG A 5 3 1 20030322173103 20030220173103 1 example. AAAA",
        ),
        ("NSEC Next.Example. A", "NSEC Next.Example. A"),
        ("SVCB 1 Host.Example.", "SVCB 1 Host.Example."),
        ("TXT ABC", "TXT ABC"),
    ] {
        let (kind, data) = parse(text).unwrap();
        let mut out = Vec::new();
        super::canonical(kind, &data, &mut out);
        assert_eq!(out, parse(canonical).unwrap().1, "{text}");
    }
}

#[test]
fn only_types_of_rfc_1035_are_compressed() {
    let target = "ns.example.";
    for (text, compressed) in [
        (format!("NS {target}"), true),
        (format!("MX 1 {target}"), true),
        (format!("MINFO {target} {target}"), true),
        (format!("SRV 1 2 3 {target}"), false),
        (format!("DNAME {target}"), false),
        (format!("NSEC {target} A"), false),
        (format!("SVCB 1 {target}"), false),
        (format!("RP {target} {target}"), false),
        (format!("NAPTR 1 2 a b c {target}"), false),
    ] {
        let (kind, rdata) = parse(&text).unwrap();
        let record = Record { name: target.parse().unwrap(), kind, class: Class::IN, ttl: 0, rdata };
        let mut room = [0; 200];
        let mut writer = doorway_base::Writer::new(&mut room);
        record.write(&mut writer, &mut crate::wire::Compressor::default());
        let whole = record.name.as_octets().len() + 10 + record.rdata.len();
        assert_eq!(writer.position() < whole, compressed, "{text}");
    }
}

/// The types with a form of their own.
fn kind() -> impl Strategy<Value = Type> {
    (1..300_u16).prop_map(Type)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn whatever_is_read_can_be_printed_and_parsed_back(kind in kind(), data in prop::collection::vec(prop_oneof![0..5_u8, any::<u8>()], 0..40)) {
        if let Ok(data) = read(kind, &data) {
            let printed = super::display(kind, &data).to_string();
            prop_assert_eq!(parse(&format!("{kind} {printed}")), Ok((kind, data)), "{}", printed);
        }
    }
}
