//! `dnsperf` asks at a moderate rate: every question is answered.

use std::fmt::Write;

use super::clients::Pair;
use super::peer::at;
use crate::programs;
use crate::server::Setup;

/// Questions a second: far below what one core answers, so that a busy machine is no excuse.
const RATE: &str = "2000";
const SECONDS: &str = "3";
/// Names that are asked for.
const NAMES: usize = 500;

/// Asks the server at `port` for all names, again and again.
fn dnsperf(port: u16, questions: &str, words: &[&str]) -> String {
    let port = port.to_string();
    let fixed = ["-s", "127.0.0.1", "-p", &port, "-d", questions, "-c", "4", "-t", "20"];
    programs::run("dnsperf", &[&fixed[..], words].concat()).done()
}

/// The value of a line of dnsperf's summary, without what stands in brackets behind it.
fn value<'t>(told: &'t str, name: &str) -> &'t str {
    let line = told.lines().find_map(|line| line.trim().strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()).unwrap_or_else(|| panic!("no {name}\n{told}"))
}

fn check(port: u16, questions: &str) {
    for mode in ["udp", "tcp"] {
        let told = dnsperf(port, questions, &["-m", mode, "-Q", RATE, "-l", SECONDS]);
        assert_eq!(value(&told, "Queries lost:"), "0", "{mode}\n{told}");
        assert_eq!(value(&told, "Queries sent:"), value(&told, "Queries completed:"), "{told}");
        assert!(told.contains("NOERROR") && !told.contains("SERVFAIL"), "{told}");
        let sent: u32 = value(&told, "Queries sent:").parse().unwrap();
        assert!(sent > 1000, "{told}");
    }
}

fn names() -> (String, String) {
    let mut zone = "$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n".to_owned();
    let mut questions = String::new();
    for number in 0..NAMES {
        writeln!(zone, "host-{number} A 192.0.2.{}", number % 256).unwrap();
        writeln!(questions, "host-{number}.example.org A").unwrap();
    }
    (zone, questions)
}

#[test]
fn no_question_about_our_own_zone_is_lost() {
    let (zone, questions) = names();
    let server = Setup::new().zone(&zone).file("questions", questions).start();
    check(server.dns().port(), &server.folder().word("questions"));
    server.stop();
}

#[test]
fn no_question_about_what_is_in_the_cache_is_lost() {
    let (zone, questions) = names();
    let pair = Pair::start(&zone);
    pair.resolver.folder().write("questions", questions);
    let (port, questions) = (pair.resolver.dns().port(), pair.resolver.folder().word("questions"));
    assert_eq!(at(port), pair.resolver.dns());
    // Once over the list, so that the cache has it all.
    dnsperf(port, &questions, &["-n", "1"]);
    check(port, &questions);
    pair.stop();
}
