//! What the program does as a shared cache, seen from both sides, against what RFC 9111 and its kin demand.
//!
//! The cases lie in `cases/`, one file for each matter. `cargo xtask conformance` plays them with other caches too
//! and writes `docs/cache-conformance.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::disallowed_types,
    reason = "origin and client stand outside of the program, on the system's sockets"
)]
#![allow(clippy::disallowed_methods, reason = "the real program is measured with the real clock")]
#![allow(missing_docs, unreachable_pub, reason = "shared with the program that plays other caches")]

#[path = "../interop/folder.rs"]
#[allow(dead_code, reason = "shared with the interoperability tests")]
mod folder;
#[path = "../interop/programs.rs"]
#[allow(dead_code, reason = "shared with the interoperability tests")]
mod programs;
#[path = "../interop/server.rs"]
#[allow(dead_code, reason = "shared with the interoperability tests")]
mod server;
mod suite;

use std::collections::BTreeSet;

use server::Setup;
use suite::case::{Case, Kind, read};
use suite::origin::Origin;
use suite::play::play;

/// Every case there is.
fn cases() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|path| read(&std::fs::read_to_string(path).unwrap())).collect()
}

/// What is not done unless clients are obeyed, because it is advice that a cache in front of an origin does not
/// take (see DESIGN.md).
const ADVICE: &[&str] = &[
    "pragma",
    "request-max-age-older",
    "request-max-age-zero",
    "request-max-stale",
    "request-min-fresh",
    "request-no-cache",
    "request-sie",
    "status-request",
];

const WITH_CACHE: &str = ", cache = \"web\"";

/// Plays every case with a route and a cache that are configured like this, and tells which went otherwise.
fn failed(route: &str, cache: &str) -> Vec<(Case, String)> {
    let origin = Origin::open("127.0.0.1:0".parse().unwrap()).unwrap();
    let route = format!("[{{ path = \"/\", proxy = [\"http://{}\"]{route} }}]", origin.address);
    let server = Setup::new()
        .without("http.root")
        .key("http.cache", &format!("[{{ name = \"web\"{cache} }}]"))
        .key("http.site", &format!("[{{ route = {route} }}]"))
        .key("limits.connections_per_address", "0")
        .start();
    let played = play(&cases(), server.http(), &origin, "doorway");
    server.stop();
    let failed = played.into_iter().filter(|played| !played.wrong.is_empty());
    let told = |case: &Case, wrong: &[String]| {
        let Case { id, kind, section, says, .. } = case;
        format!("{id} ({}, {section}: {says}): {}", kind.name(), wrong.join("; "))
    };
    failed.map(|played| (played.case.clone(), told(&played.case, &played.wrong))).collect()
}

#[track_caller]
fn check(failed: &[(Case, String)], is_excepted: impl Fn(&Case) -> bool) {
    let wrong: Vec<_> =
        failed.iter().filter(|(case, _)| !is_excepted(case)).map(|(_, told)| told.as_str()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let cases = cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() >= 250, "{}", cases.len());
}

#[test]
fn the_program_does_what_the_standards_demand_recommend_and_allow() {
    check(&failed(WITH_CACHE, ""), |case| {
        case.kind == Kind::Optional && ADVICE.contains(&case.group.as_str())
    });
}

#[test]
fn the_program_takes_the_advice_of_clients_where_it_is_told_to() {
    check(&failed(WITH_CACHE, ", request_directives = true"), |_| false);
}

#[test]
fn a_program_without_a_cache_is_told_from_one_that_has_one() {
    let failed = failed("", "");
    let count = |kind| failed.iter().filter(|(case, _)| case.kind == kind).count();
    assert!(count(Kind::Optional) > 100, "{}", count(Kind::Optional));
    assert!(count(Kind::Recommended) > 10, "{}", count(Kind::Recommended));
}
