//! Zone files: what is read, what is refused and where, and how much a zone costs.

use doorway_base::Random;
use proptest::prelude::*;

use super::fault::{FAULTS_MAX, Faults};
use super::node::RRSET_OCTETS_MAX;
use super::*;

const START: &str = "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

fn read(text: impl AsRef<[u8]>) -> Result<(Zone, Faults), Faults> {
    let secret = HashKey::new(&mut Random::new(1));
    file::read(&"example.org".parse().unwrap(), "z", text.as_ref(), secret)
}

/// The faults as lines, without the name of the file.
fn faults(text: impl AsRef<[u8]>) -> Vec<String> {
    let list = match read(text) {
        Ok((_, warnings)) => warnings.list,
        Err(faults) => faults.list,
    };
    list.iter().map(|fault| fault.to_string().trim_start_matches("z:").to_owned()).collect()
}

/// The number of records, and how many names they stand at.
fn size(text: impl AsRef<[u8]>) -> (usize, usize) {
    let (zone, warnings) = read(text).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(warnings.list, []);
    (zone.records(), zone.names())
}

#[test]
fn everything_that_a_zone_file_may_contain_is_read() {
    let whole = "; a comment, then an empty line\n\n$ORIGIN example.org.\n$ttl 1h30m\n\
        @ IN 2h SOA ns root (\n  1 ; serial\n  2h 15m ; with units\n  2w 5m )\n\
        \t3600 IN NS ns\n IN 1h NS NS.example.org.\nns A 192.0.2.1\n\
        a\\.b 1 a 192.0.2.2\n\"\" TXT \"\"\n"
        .replace("\"\" TXT \"\"", "txt TXT \"with ; and ( and \\\" inside\" plain \"\"");
    assert_eq!(size(&whole), (6, 4));
    // As other systems write files.
    assert_eq!(size(whole.replace('\n', "\r\n")), (6, 4));
    assert_eq!(size(format!("\u{feff}{whole}")), (6, 4));
    assert_eq!(size(whole.trim_end()), (6, 4));
    // Parentheses may stand anywhere.
    assert_eq!(size("@ 5 SOA ( ns ) root 1 2 3 4 ( 5\n)\n@ ( NS\n ns\n)\nns\t(A)192.0.2.1\n"), (3, 2));
    // Without a TTL the SOA's MINIMUM holds, then the last one named.
    assert_eq!(size("@ SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"), (3, 2));
    // A record that stands there twice is one record.
    assert_eq!(size(format!("{START}ns A 192.0.2.1\n")), (3, 2));
    // Names between one and the apex exist without records.
    assert_eq!(size(format!("{START}a.b.c A 192.0.2.1\n")), (4, 5));
}

#[test]
fn errors_say_where_and_what_was_expected() {
    for (line, fault) in [
        ("www A 192.0.2.300", "5:7: expected an IPv4 address"),
        ("www AAAA 192.0.2.3", "5:10: expected an IPv6 address"),
        ("www A", "5:5: expected an IPv4 address after this"),
        ("www", "5:1: expected a type, such as A or MX, and its data after this"),
        ("www 60 IN", "5:1: expected a type, such as A or MX, and its data after this"),
        ("www A 192.0.2.3 192.0.2.4", "5:17: expected the end of the record"),
        ("www B 192.0.2.3", "5:5: expected a type, such as A or MX, not `B`"),
        ("www IN IN A 192.0.2.3", "5:8: expected a type, such as A or MX, not `IN`"),
        ("www 1 2 A 192.0.2.3", "5:7: expected a type, such as A or MX, not `2`"),
        ("www CH A 192.0.2.3", "5:5: expected class IN; CH is not served"),
        ("www AXFR", "5:5: expected a type that a zone can hold; AXFR is none"),
        ("www MX 10", "5:8: expected a name after this"),
        ("www MX 65536 a", "5:8: expected a number from 0 to 65535"),
        ("www MX -1 a", "5:8: expected a number from 0 to 65535"),
        ("www MX 10 \"a\"", "5:11: expected a name"),
        ("www MX 10 a..b", "5:11: expected a label between two dots"),
        ("www..x A 192.0.2.3", "5:1: expected a label between two dots"),
        ("\"www\" A 192.0.2.3", "5:1: expected an owner name, not a quoted text"),
        ("www TXT \"abc", "5:9: expected a closing quote on the same line"),
        ("www TXT a\\999", "5:9: expected three digits up to 255, or one character, after a backslash"),
        ("www A ( 192.0.2.3", "5:7: expected a closing parenthesis to this one"),
        ("www A 192.0.2.3 )", "5:17: expected an opening parenthesis before this one"),
        ("www TYPE731 192.0.2.3", "5:13: expected `\\# length hex` for TYPE731"),
        ("www TYPE731 \\# 3 aabb", "5:16: expected as many octets as follow, 2"),
        ("www TYPE731 \\# 1 ag", "5:18: expected hexadecimal digits"),
        ("www A \\# 3 aabbcc", "5:12: expected octets that make a A record"),
        ("www NS \\# 2 c000", "5:13: expected octets that make a NS record"),
        ("$ORIGIN", "5:1: expected a name after $ORIGIN"),
        ("$TTL soon", "5:6: expected a time after $TTL, such as 3600 or 1h"),
        ("$TTL 1h 2h", "5:9: expected the end of the line"),
        ("$INCLUDE other", "5:1: this directive is not understood here; write the records out"),
        ("$MAGIC x", "5:1: expected $ORIGIN or $TTL, or an owner name"),
        ("@ SOA other root 1 2 3 4 5", "5:1: expected one SOA record; this is a second, different one"),
        ("sub SOA ns root 1 2 3 4 5", "5:1: expected the SOA record at example.org., not below it"),
        ("@ CNAME ns", "5:1: the name of a zone cannot be an alias: it has SOA and NS records"),
        (
            "www CNAME a\nwww CNAME b",
            "6:1: expected one CNAME record at www.example.org.; this is a second one",
        ),
        // These are served, and somebody hears of it.
        (
            "www.example.com. A 192.0.2.3",
            "5:1: warning: www.example.com. is not within example.org.; the record is left out",
        ),
        (
            "www CNAME a\nwww A 192.0.2.3",
            "5:1: warning: www.example.org. has a CNAME record and others; the others will not be seen",
        ),
        (
            "www 5 A 192.0.2.3\nwww 6 A 192.0.2.4",
            "6:1: warning: the A records of one name differ in TTL; 5 is used for all",
        ),
        (
            "sub NS ns.sub",
            "5:1: warning: ns.sub.example.org. lies below this cut and has no address here, so nobody can reach it",
        ),
        ("*.x NS ns", "5:1: warning: NS records of a wildcard delegate nothing; they are served as they are"),
    ] {
        assert_eq!(faults(format!("{START}{line}\n")), [fault], "{line}");
    }
}

#[test]
fn all_errors_are_told_at_once_and_with_the_text_of_their_line() {
    let text = format!("{START}a A x\nb A 192.0.2.1\n  c TXT \"\n\nd MX x y\n");
    let Err(faults) = read(&text) else { panic!("a zone with errors") };
    let places: Vec<_> = faults.list.iter().map(|fault| (fault.line, fault.column, fault.length)).collect();
    assert_eq!(places, [(5, 5, 1), (7, 9, 1), (9, 6, 1)]);
    assert_eq!(faults.list[2].text, "d MX x y");

    let many = format!("{START}{}", "a A x\n".repeat(1000));
    let Err(faults) = read(many) else { panic!("a zone with errors") };
    assert_eq!((faults.list.len(), faults.left_out), (FAULTS_MAX, 1000 - FAULTS_MAX));
}

#[test]
fn a_zone_needs_a_start_and_servers() {
    assert_eq!(
        faults(""),
        [
            "0:1: expected a SOA record at example.org., the name of the zone",
            "0:1: expected at least one NS record at example.org.",
        ]
    );
    assert_eq!(faults("  A 192.0.2.1"), ["1:3: expected an owner name: no record stands before this one"]);
    assert_eq!(faults("@ NS ns"), ["1:1: expected a TTL in this record, or $TTL above it"]);
}

#[test]
fn a_set_that_fits_no_message_refuses_the_zone() {
    let string = "x".repeat(255);
    let most = RRSET_OCTETS_MAX / 268;
    let set =
        |count: usize| (0..count).map(|n| format!("big TXT {n:04}{}\n", &string[4..])).collect::<String>();
    assert_eq!(size(format!("{START}{}", set(most))).0, 3 + most);
    let refused = faults(format!("{START}{}", set(most + 1)));
    assert_eq!(
        refused,
        [format!("{}:1: expected at most {RRSET_OCTETS_MAX} octets of TXT records at one name", 5 + most)]
    );
}

#[test]
fn a_hundred_thousand_records_take_little_memory() {
    let mut text = START.to_owned();
    for index in 0..100_000 {
        text.push_str(&format!("host{index} A 192.0.{}.{}\n", index / 256 % 256, index % 256));
    }
    let (zone, _) = read(text).unwrap();
    assert_eq!(zone.records(), 100_003);
    let each = zone.memory_octets() / zone.records();
    assert!(each < 100, "{each} octets a record");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_file_makes_the_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = read(octets);
    }

    #[test]
    fn nothing_that_looks_like_a_zone_makes_the_reader_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "@", "a", "*", "ns", "\n", "\n", "\n", " ", "(", ")", "\"", ";", "\\", "\\#", "$TTL", "$ORIGIN", "60",
            "1h", "IN", "A", "NS", "SOA", "CNAME", "TXT", "MX", "TYPE9", "192.0.2.1", "4", "aabbccdd", ".", "x.",
        ]), 0..60),
    ) {
        let _ = read(format!("{START}{}", words.join(" ")));
    }
}
