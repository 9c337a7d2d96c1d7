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
        ("$INCLUDE", "5:1: expected a file after $INCLUDE"),
        ("$INCLUDE other", "5:10: cannot include `other`: no file is included here"),
        ("$MAGIC x", "5:1: expected $ORIGIN, $TTL, $INCLUDE or $GENERATE, or an owner name"),
        ("$GENERATE 5 h$ A 192.0.2.$", "5:11: expected a range such as 1-100 or 0-254/2"),
        ("$GENERATE 5-1 h$ A 192.0.2.$", "5:11: expected a range that goes up, in steps of at least 1"),
        ("$GENERATE 1-2/0 h$ A 192.0.2.$", "5:11: expected a range that goes up, in steps of at least 1"),
        ("$GENERATE 0-2000000 h$ A 192.0.2.$", "5:11: expected a range of at most 1048576 numbers"),
        (
            "$GENERATE 1-2 h${0,1,q} A 192.0.2.1",
            "5:15: expected ${offset,width,base} with a base of d, o, x, X, n or N",
        ),
        ("$GENERATE 1-2 ${-2} A 192.0.2.1", "5:15: expected an offset that leaves the number at 0 or above"),
        // The column is one of the record that was made.
        ("$GENERATE 254-300 h$ A 192.0.2.$", "5:8: expected an IPv4 address"),
        ("$GENERATE 1-2 h$ B 192.0.2.$", "5:4: expected a type, such as A or MX, not `B`"),
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

/// What the lines after the start of a zone become, as named-compilezone of BIND 9.18 writes it.
#[test]
fn generate_makes_the_records_that_bind_makes() {
    for (line, records) in [
        ("$GENERATE 1-5/2 h$ A 192.0.2.$", "h1 A 192.0.2.1\nh3 A 192.0.2.3\nh5 A 192.0.2.5"),
        ("$GENERATE 8-9 ${-8,3,d}x A 10.0.0.${0}", "000x A 10.0.0.8\n001x A 10.0.0.9"),
        ("$GENERATE 250-256/6 ${0,4,x}.h A 10.0.0.1", "00fa.h A 10.0.0.1\n0100.h A 10.0.0.1"),
        ("$GENERATE 7-9 ${0,0,o} 30 IN A 10.0.0.1", "7 30 A 10.0.0.1\n10 30 A 10.0.0.1\n11 30 A 10.0.0.1"),
        ("$GENERATE 0-17/17 ${0,3,n}.nib PTR a$.b.", "0.0.nib PTR a0.b.\n1.1.nib PTR a17.b."),
        ("$GENERATE 31-31 ${0,4,N}nib PTR a$.b.", "f.1.nib PTR a31.b."),
        ("$GENERATE 31-31 ${0,2,n}nib PTR a$.b.", "f.1nib PTR a31.b."),
        ("$GENERATE 0-1 m$ MX \"1$ m.x$\"", "m0 MX 10 m.x0\nm1 MX 11 m.x1"),
        ("$GENERATE 0-1 m$ MX 1$ m.x$", "m0 MX 10 m.x0\nm1 MX 11 m.x1"),
        ("$GENERATE 0-1 t$ TXT \"a $\"", "t0 TXT a 0\nt1 TXT a 1"),
        ("$GENERATE 0-0 d$$ TXT a\\$b$", "d\\$ TXT a\\$b0"),
    ] {
        let (made, warnings) = read(format!("{START}{line}\n")).unwrap_or_else(|faults| panic!("{faults}"));
        let (written, _) = read(format!("{START}{records}\n")).unwrap();
        assert_eq!(warnings.list, []);
        assert_eq!(made.arena, written.arena, "{line}");
    }
}

/// Reads a zone whose included files are the given ones.
fn including(text: &str, files: &[(&str, &str)]) -> Result<(Zone, Faults), Faults> {
    let secret = HashKey::new(&mut Random::new(1));
    let apex = "example.org".parse().unwrap();
    file::read_including(&apex, "zones/main", text.as_bytes(), secret, &mut |name| {
        let found = files.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| "there is none".to_owned())
    })
}

#[test]
fn an_included_file_has_its_own_origin_and_leaves_that_of_the_other_alone() {
    let main =
        format!("{START}$ORIGIN sub\na A 192.0.2.2\n$INCLUDE inner deep\n A 192.0.2.3\nb A 192.0.2.4\n");
    let inner = "x A 192.0.2.5\n$ORIGIN other\ny A 192.0.2.6\n";
    let (made, warnings) = including(&main, &[("inner", inner)]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(warnings.list, []);
    let whole = "a.sub A 192.0.2.2\nx.deep.sub A 192.0.2.5\ny.other.deep.sub A 192.0.2.6\n\
        a.sub A 192.0.2.3\nb.sub A 192.0.2.4\n";
    assert_eq!(made.arena, read(format!("{START}{whole}")).unwrap().0.arena);
}

#[test]
fn faults_are_told_with_the_file_they_are_in() {
    let main = format!("{START}$INCLUDE a\nd NS ns.d\n$INCLUDE b\n$INCLUDE c\n");
    let faults = including(&main, &[("a", "\na A x\n$INCLUDE b"), ("b", "b NS ns.b")]);
    let told: Vec<String> = faults.unwrap_err().list.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["zones/a:2:5: expected an IPv4 address", "zones/main:8:10: cannot include `c`: there is none"]
    );
    let main = format!("{START}$INCLUDE a\nd NS ns.d\n$INCLUDE b\n");
    let warnings = including(&main, &[("a", "\n$INCLUDE b\nc NS ns.c"), ("b", "@ NS ns.b\nb NS ns.b")]);
    let told: Vec<String> = warnings
        .unwrap()
        .1
        .list
        .iter()
        .map(|fault| {
            assert!(fault.text.contains("NS"), "{fault:?}");
            format!("{}:{}", fault.file, fault.line)
        })
        .collect();
    assert_eq!(told, ["zones/b:2", "zones/a:3", "zones/main:6"]);
}

#[test]
fn files_that_include_one_another_come_to_an_end() {
    let main = format!("{START}$INCLUDE a\n");
    let faults = including(&main, &[("a", "$INCLUDE a")]).unwrap_err();
    assert_eq!(faults.to_string(), "zones/a:1:10: expected at most 10 files included in one another");
    let faults =
        including(&main, &[("a", &"$INCLUDE b\n".repeat(2000)), ("b", "b A 192.0.2.1")]).unwrap_err();
    assert_eq!(faults.list[0].to_string(), "zones/a:1000:10: expected at most 1000 included files");
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
            "1h", "IN", "A", "NS", "SOA", "CNAME", "TXT", "MX", "TYPE9", "$GENERATE", "1-3", "$", "${1,2,n}", "192.0.2.1", "4", "aabbccdd", ".", "x.",
        ]), 0..60),
    ) {
        let _ = read(format!("{START}{}", words.join(" ")));
    }
}
