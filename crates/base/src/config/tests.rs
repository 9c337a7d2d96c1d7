//! What operators write, and what becomes of it.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const ZONE: &[Key] = &[
    Key { name: "name", kind: Kind::DomainName, default: Preset::Required, help: "Apex." },
    Key { name: "file", kind: Kind::Path, default: Preset::Unset, help: "Zone file." },
];

const SECTION: Section = Section {
    name: "demo",
    help: "One key of each kind.",
    keys: &[
        Key { name: "on", kind: Kind::Bool, default: Preset::Bool(true), help: "Bool." },
        Key {
            name: "connections",
            kind: Kind::Integer { min: 1, max: 1000, unit: "connections" },
            default: Preset::Integer(100),
            help: "Integer.",
        },
        Key {
            name: "idle",
            kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
            default: Preset::Text("30s"),
            help: "Duration.",
        },
        Key {
            name: "head",
            kind: Kind::Size { min: 512, max: 1 << 20 },
            default: Preset::Text("64KiB"),
            help: "Size.",
        },
        Key { name: "share", kind: Kind::Percent, default: Preset::Integer(80), help: "Percent." },
        Key { name: "root", kind: Kind::Path, default: Preset::Text("public"), help: "Path." },
        Key { name: "source", kind: Kind::Address, default: Preset::Unset, help: "Address." },
        Key {
            name: "trusted",
            kind: Kind::List(&Kind::Cidr),
            default: Preset::List(&["127.0.0.0/8", "::1"]),
            help: "List.",
        },
        Key { name: "listen", kind: Kind::Listen, default: Preset::Text("127.0.0.1:5300"), help: "Listen." },
        Key {
            name: "format",
            kind: Kind::Choice(&["text", "json"]),
            default: Preset::Text("text"),
            help: "Choice.",
        },
        Key { name: "token", kind: Kind::Secret, default: Preset::Unset, help: "Secret." },
        Key { name: "zone", kind: Kind::Tables(ZONE), default: Preset::List(&[]), help: "Tables." },
    ],
};

fn item(written: Written) -> Item {
    Item { at: 10..12, written }
}

fn text(text: &str) -> Written {
    Written::Text(text.to_owned())
}

fn entry(name: &str, written: Written) -> Entry {
    Entry { name: name.to_owned(), at: 1..5, item: item(written) }
}

/// What one written value becomes, in TOML, or what is said about it.
fn check(name: &str, written: Written) -> String {
    let mut wrongs = Vec::new();
    let values = SECTION.read(&[entry(name, written)], Path::new("/etc/doorway"), &mut wrongs);
    match wrongs.as_slice() {
        [] => values.value(name).map(Value::to_string).unwrap_or_default(),
        wrongs => wrongs
            .iter()
            .map(|wrong| match wrong {
                Wrong::Unknown { table, name, .. } => format!("no `{name}` in [{table}]"),
                Wrong::Value { what, fix, .. } => format!("{what}: {fix}"),
            })
            .collect::<Vec<_>>()
            .join("; "),
    }
}

#[test]
fn every_default_fits_its_own_key() {
    let values = SECTION.defaults();
    assert!(values.bool("on"));
    assert_eq!(values.count("connections"), 100);
    assert_eq!(values.duration("idle"), Duration::from_secs(30));
    assert_eq!(values.size("head"), 65_536);
    assert_eq!(values.percent("share"), 80.0);
    assert_eq!(values.path("root"), Path::new("public"));
    assert_eq!(values.optional("source", Values::address), None);
    assert_eq!(values.cidrs("trusted").len(), 2);
    assert_eq!(values.listen("listen").len(), 1);
    assert_eq!(values.text("format"), "text");
    assert!(values.optional("token", Values::secret).is_none());
    assert!(values.tables("zone").is_empty());
    assert!(values.is_complete());
}

#[test]
fn written_values_become_typed_ones() {
    for (name, written, becomes) in [
        ("on", Written::Bool(false), "false"),
        ("connections", Written::Integer(7), "7"),
        ("idle", text("90s"), "\"1m30s\""),
        ("head", Written::Integer(2048), "\"2KiB\""),
        ("head", text("1MB"), "\"1000000B\""),
        ("share", text("2.5 %"), "\"2.5%\""),
        ("root", text("./www"), "\"/etc/doorway/www\""),
        ("root", text("/srv"), "\"/srv\""),
        ("source", text("::1"), "\"::1\""),
        ("trusted", Written::List(vec![item(text("10.0.0.0/8"))]), "[\"10.0.0.0/8\"]"),
        ("listen", Written::Integer(53), "53"),
        ("listen", text("[::1]:53"), "\"[::1]:53\""),
        ("listen", Written::List(vec![]), "[]"),
        (
            "listen",
            Written::List(vec![item(Written::Integer(53)), item(text("localhost:5300"))]),
            "[53, \"127.0.0.1:5300\"]",
        ),
        ("format", text("json"), "\"json\""),
        ("token", text("hush"), "\"********\""),
        ("token", Written::Table(vec![entry("env", text("TOKEN"))]), "{ env = \"TOKEN\" }"),
        ("token", Written::Table(vec![entry("file", text("t"))]), "{ file = \"/etc/doorway/t\" }"),
    ] {
        assert_eq!(check(name, written), becomes, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_told_with_what_to_write() {
    for (name, written, says) in [
        ("on", text("yes"), "`demo.on` wants true or false, not a text: write for example `on = true`"),
        (
            "connections",
            Written::Integer(0),
            "`demo.connections` is outside its limits: allowed is 1 to 1000",
        ),
        (
            "idle",
            Written::Integer(30),
            "`demo.idle` wants a duration, not the number 30: give it a unit: `idle = \"30s\"` for seconds",
        ),
        (
            "idle",
            text("30"),
            "`demo.idle` wants a duration: give the number its unit: \"30s\" for seconds, \"30m\" for minutes",
        ),
        ("idle", text("2h"), "`demo.idle` is outside its limits: allowed is 1s to 1h"),
        (
            "head",
            text("64kb"),
            "`demo.head` wants a size in octets: `kb` is no unit of size; did you mean \"64KiB\"?",
        ),
        ("head", Written::Integer(-1), "`demo.head` is outside its limits: allowed is 512B to 1MiB"),
        ("share", text("half"), "`demo.share` wants a percentage: write it as `5`, `2.5` or \"5%\""),
        ("share", Written::Float(f64::NAN), "`demo.share` is outside its limits: allowed is 0 to 100"),
        (
            "trusted",
            Written::List(vec![item(text("10.0.0.1/8")), item(text("x"))]),
            "`demo.trusted` wants a network: bits are set after the prefix; the network is \"10.0.0.0/8\"; \
             `demo.trusted` wants a network: `x` is not an IP address",
        ),
        (
            "listen",
            text("127.0.0.1"),
            "`demo.listen` wants a port, an address:port, or a list of them: add the port: \"127.0.0.1:8080\"",
        ),
        (
            "listen",
            Written::Integer(70_000),
            "`demo.listen` is outside its limits: a port is a number from 0 to 65535",
        ),
        ("format", text("xml"), "`demo.format` wants one of its own words: write one of \"text\", \"json\""),
        ("nothing", text("xml"), "no `nothing` in [demo]"),
        (
            "zone",
            Written::Table(vec![]),
            "`demo.zone` is an array of tables, not a table: write the header [[demo.zone]] with double brackets, \
             once for each",
        ),
        (
            "zone",
            Written::List(vec![item(Written::Table(vec![]))]),
            "this [[demo.zone]] has no `name`: add `name = \"example.org\"`",
        ),
    ] {
        assert_eq!(check(name, written), says, "{name}");
    }
}

#[test]
fn a_secret_is_not_in_the_debug_form_either() {
    let mut wrongs = Vec::new();
    let values = SECTION.read(&[entry("token", text("hush"))], Path::new(""), &mut wrongs);
    assert!(!format!("{values:?}").contains("hush"));
    assert_eq!(values.secret("token"), &Secret::Literal("hush".to_owned()));
}

#[test]
fn a_table_of_an_array_has_its_own_keys_and_places() {
    let table = Written::Table(vec![entry("name", text("Example.ORG.")), entry("file", text("zones/a"))]);
    let mut wrongs = Vec::new();
    let values =
        SECTION.read(&[entry("zone", Written::List(vec![item(table)]))], Path::new("/etc"), &mut wrongs);
    assert_eq!(wrongs, []);
    let zone = &values.tables("zone")[0];
    assert_eq!(zone.table(), "demo.zone");
    assert_eq!(zone.text("name"), "example.org");
    assert_eq!(zone.optional("file", Values::path), Some(Path::new("/etc/zones/a")));
    assert_eq!(zone.at("name"), Some(10..12));
}

#[test]
#[should_panic(expected = "key `idel` is not declared in [demo]")]
fn asking_for_a_key_that_is_not_declared_is_our_own_mistake() {
    let _ = SECTION.defaults().duration("idel");
}

#[test]
fn domain_names_are_held_to_the_limits_of_labels_and_names() {
    let long_label = "a".repeat(64);
    let long_name = ["a".repeat(63).as_str(); 4].join(".");
    for name in ["", "a..b", "a.*.b", "*", "a b", "bücher.example", "-?.org", &long_label, &long_name] {
        assert!(check("zone", zone(name)).contains("wants a domain name"), "{name}");
    }
    for name in [".", "a", "*.example.org", "_dmarc.example.org", "XN--BCHER-KVA.example."] {
        assert_eq!(check("zone", zone(name)), "1 written", "{name}");
    }
}

fn zone(name: &str) -> Written {
    Written::List(vec![item(Written::Table(vec![entry("name", text(name))]))])
}

#[test]
fn durations_read_as_people_write_them() {
    for (written, micros) in [
        ("30s", 30_000_000),
        ("5m", 300_000_000),
        ("12h", 43_200_000_000),
        ("1d", 86_400_000_000),
        ("250ms", 250_000),
        ("1h30m", 5_400_000_000),
        ("1h 30 m", 5_400_000_000),
        ("0s", 0),
    ] {
        assert_eq!(units::duration(written), Ok(Duration::from_micros(micros)), "{written}");
    }
    for written in ["", "30", "s", "1.5h", "30m1h", "1m1m", "5 fortnights", "-1s", "99999999999999999999d"] {
        assert!(units::duration(written).is_err(), "{written}");
    }
}

#[test]
fn a_network_contains_its_own_addresses_and_no_others() {
    for (network, inside, outside) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
        ("0.0.0.0/0", "203.0.113.9", "::1"),
        ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
        ("2001:db8::/32", "2001:db8:1::1", "2001:db9::"),
        ("::1", "::1", "::2"),
    ] {
        let cidr: Cidr = network.parse().unwrap();
        assert!(cidr.contains(inside.parse().unwrap()), "{network}");
        assert!(!cidr.contains(outside.parse().unwrap()), "{network}");
    }
}

proptest! {
    #[test]
    fn a_printed_duration_reads_back(micros: u64) {
        let span = Duration::from_micros(micros);
        prop_assert_eq!(units::duration(&units::duration_text(span)), Ok(span));
    }

    #[test]
    fn a_printed_size_reads_back(octets: u64, shift in 0_u32..64) {
        let octets = octets >> shift << (shift / 2);
        prop_assert_eq!(units::size(&units::size_text(octets)), Ok(octets));
    }

    #[test]
    fn a_printed_place_reads_back(address: Option<core::net::IpAddr>, port: u16) {
        let place = Listen { address, port };
        prop_assert_eq!(place.to_string().parse(), Ok(place));
    }

    #[test]
    fn no_text_makes_a_reader_panic(written in ".{0,40}") {
        for key in SECTION.keys {
            let _ = check(key.name, text(&written));
        }
    }
}
