//! `cargo xtask conformance`: the dialogues of `crates/doorway/tests/conformance/cases` through our cache and
//! through nginx, Varnish, Squid and Traffic Server as Debian has them; writes `docs/cache-conformance.md`.

#[path = "../../crates/doorway/tests/conformance/suite/mod.rs"]
#[allow(missing_docs, reason = "shared with the tests of the program")]
mod suite;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::bench::dns::version;
use crate::bench::measure::{Server, Up};
use crate::bench::{home, scratch, target, traffic_server_folders, write};
use crate::debian;
use crate::run::{Failed, Outcome, cargo, output};
use suite::case::{Case, Kind, read};
use suite::origin::Origin;
use suite::play::{Played, play};

const CASES: &str = "crates/doorway/tests/conformance/cases";
const PAGE: &str = "docs/cache-conformance.md";
/// Whose programs are started.
const NEEDED: &[(&str, &str)] = &[
    ("nginx", "nginx-light"),
    ("varnishd", "varnish"),
    ("squid", "squid"),
    ("traffic_server", "trafficserver"),
    ("taskset", "util-linux"),
];

/// Starts a cache on a port, in front of an origin on another, with its files in a folder.
type Start = fn(&Path, u16, u16) -> Result<Server, Failed>;

/// What we leave undone or do in our own way, and why.
const OURS: &[(&str, &str)] = &[
    (
        "request-no-cache, request-max-age, request-min-fresh, request-max-stale, request-sie, pragma, status-request",
        "Directives of clients are advice (RFC 9111 §5.2.1). In front of an origin they would be a button that makes \
         it work; with `request_directives = true`, and on the forward proxy, they are taken and all of these pass. \
         `no-store` and `only-if-cached` always count.",
    ),
    (
        "a 304 without a validator",
        "A 304 that names no validator is taken to be about what was asked for, since a server that leaves it out is \
         common and can mean nothing else.",
    ),
    (
        "responses with Set-Cookie",
        "A response that sets a cookie is kept only where the origin speaks of shared caches (`public`, `s-maxage`, \
         a targeted field); the standard would allow more.",
    ),
];

/// Plays every dialogue with every cache and writes the page.
pub fn conformance() -> Outcome {
    debian::ensure(NEEDED)?;
    cargo(&["build", "--quiet", "-p", "doorway"])?;
    let cases = cases()?;
    let origin = Origin::open(([127, 0, 0, 1], 0).into()).map_err(|error| Failed(error.to_string()))?;
    let folder = scratch("conformance")?;
    let starts: [(&str, Start); 5] = [
        ("doorway", doorway),
        ("nginx", nginx),
        ("varnish", varnish),
        ("squid", squid),
        ("trafficserver", traffic_server),
    ];
    let mut columns = Vec::new();
    for ((name, start), port) in starts.into_iter().zip(8471..) {
        let server = start(&folder, port, origin.address.port())?;
        println!("   {name} {}: {} dialogues", server.version, cases.len());
        let played = play(&cases, ([127, 0, 0, 1], port).into(), &origin, name);
        columns.push((format!("{name} {}", server.version), played));
    }
    write(Path::new(PAGE), &page(&columns))?;
    println!("   {PAGE} is written");
    Ok(())
}

fn cases() -> Result<Vec<Case>, Failed> {
    let folder = std::fs::read_dir(CASES).map_err(|error| Failed(format!("{CASES}: {error}")))?;
    let mut paths: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text =
            std::fs::read_to_string(&path).map_err(|error| Failed(format!("{}: {error}", path.display())))?;
        cases.extend(read(&text));
    }
    Ok(cases)
}

/// How many of the cases of each kind went as they should, and how many there are.
fn score<'p>(played: impl Iterator<Item = &'p Played>) -> [(usize, usize); 3] {
    let mut score = [(0, 0); 3];
    for played in played {
        let (done, all) = &mut score[played.case.kind as usize];
        *done += usize::from(played.wrong.is_empty());
        *all += 1;
    }
    score
}

fn cell(score: [(usize, usize); 3]) -> String {
    let part = |(done, all): (usize, usize)| match all {
        0 => "–".to_owned(),
        _ if done == all => format!("{all}"),
        _ => format!("**{done}**/{all}"),
    };
    score.map(part).join(" · ")
}

fn page(columns: &[(String, Vec<Played>)]) -> String {
    let mut page = String::from(INTRODUCTION);
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let _ = writeln!(page, "| standard | {} |", names.join(" | "));
    let _ = writeln!(page, "| --- |{}", " ---: |".repeat(names.len()));
    let mut sections: Vec<&str> = columns[0].1.iter().map(|played| played.case.section.as_str()).collect();
    sections.dedup();
    for section in sections {
        let of = |played: &&Played| played.case.section == section;
        let cells: Vec<String> =
            columns.iter().map(|(_, played)| cell(score(played.iter().filter(of)))).collect();
        let _ = writeln!(page, "| {section} | {} |", cells.join(" | "));
    }
    let cells: Vec<String> = columns.iter().map(|(_, played)| cell(score(played.iter()))).collect();
    let _ = writeln!(page, "| **all** | {} |", cells.join(" | "));
    page.push_str("\n## What Doorway leaves undone, or does in its own way\n\n");
    for (what, why) in OURS {
        let _ = writeln!(page, "- {what}: {why}");
    }
    page.push_str(
        "\n## Where each does otherwise than a MUST or SHOULD\n\nCases that differ in one value stand together.\n",
    );
    for (name, played) in columns {
        let _ = writeln!(page, "\n### {name}\n");
        let mut groups: BTreeMap<(&str, Kind, &str), (usize, &str)> = BTreeMap::new();
        let failed =
            played.iter().filter(|played| !played.wrong.is_empty() && played.case.kind != Kind::Optional);
        for Played { case, .. } in failed {
            let says = case.says.split(": ").next().unwrap_or(&case.says);
            groups.entry((&case.section, case.kind, &case.group)).or_insert((0, says)).0 += 1;
        }
        if groups.is_empty() {
            page.push_str("Nowhere.\n");
        }
        for ((section, kind, id), (count, says)) in groups {
            let times = if count > 1 { format!(" ({count} cases)") } else { String::new() };
            let _ = writeln!(page, "- {section}, {}: {says} – `{id}`{times}", kind.name());
        }
    }
    page
}

const INTRODUCTION: &str = "\
# What caches do, seen from both sides

A client, a cache, an origin that follows a script: each case is a short dialogue from
[crates/doorway/tests/conformance/cases](../crates/doorway/tests/conformance/cases), with what the standard demands
(*required*: a MUST), recommends (a SHOULD) or leaves open (*optional*: a MAY, and what a cache is for at all). The
test suite plays them with Doorway; `cargo xtask conformance` plays them with the others too, as Debian packages them,
with no more settings than it takes to cache in front of one origin, and writes this page.

Each cell has three numbers: required · recommended · optional; one where all went as they should, else how many of how
many. A cache that keeps less than it may passes what forbids and fails what is optional. The page counts dialogues, not
importance, and the dialogues were written here: whoever thinks one wrong finds its section beside it. Some of what
is otherwise is a setting that can be had: Varnish uses stale content for 10 s (`default_grace`) and keeps for 120 s
what says nothing (`default_ttl`); nginx validates only with `proxy_cache_revalidate on`; Traffic Server answers from what
is stale when its origin is down (`proxy.config.http.cache.max_stale_age`).

";

fn doorway(folder: &Path, port: u16, origin: u16) -> Result<Server, Failed> {
    let config = folder.join("doorway.toml");
    write(
        &config,
        &format!(
            "[limits]\nconnections_per_address = 0\n[dns]\nlisten = []\nlisten_tls = []\n[mail]\ndomains = []\n[metrics]\nlisten = []\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\nlisten_tls = []\n[[http.cache]]\nname = \"web\"\n\
             [[http.site]]\n[[http.site.route]]\npath = \"/\"\nproxy = [\"http://127.0.0.1:{origin}\"]\ncache = \"web\"\n",
        ),
    )?;
    let (config, data) = (config.display().to_string(), folder.join("data").display().to_string());
    let program = std::fs::canonicalize(target().join("debug").join("doorway"))
        .map_err(|error| Failed(format!("doorway: {error}")))?;
    let line = [&*program.display().to_string(), "up", "--config", &config, "--data", &data];
    Server::start("doorway", env!("CARGO_PKG_VERSION"), port, Up::Tcp, &line, folder)
}

fn nginx(folder: &Path, port: u16, origin: u16) -> Result<Server, Failed> {
    let home = home(folder, "nginx")?;
    let config = format!("{home}/nginx.conf");
    write(
        Path::new(&config),
        &format!(
            "daemon off; pid {home}/nginx.pid; error_log {home}/error.log;\nevents {{ worker_connections 1024; }}\n\
             http {{ access_log off;\n\
             client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;\n\
             proxy_cache_path {home}/cache keys_zone=web:10m; proxy_cache web;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{origin}; }} }} }}\n"
        ),
    )?;
    Server::start("nginx", &version(&["nginx", "-v"]), port, Up::Tcp, &["nginx", "-c", &config], folder)
}

fn varnish(folder: &Path, port: u16, origin: u16) -> Result<Server, Failed> {
    let home = home(folder, "varnish")?;
    let (listen, backend) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{origin}"));
    let line =
        ["varnishd", "-F", "-j", "none", "-n", &home, "-a", &listen, "-b", &backend, "-s", "malloc,256m"];
    Server::start("varnish", &version(&["varnishd", "-V"]), port, Up::Tcp, &line, folder)
}

fn squid(folder: &Path, port: u16, origin: u16) -> Result<Server, Failed> {
    let home = home(folder, "squid")?;
    let config = format!("{home}/squid.conf");
    write(
        Path::new(&config),
        &format!(
            "http_port 127.0.0.1:{port} accel no-vhost defaultsite=127.0.0.1\n\
             cache_peer 127.0.0.1 parent {origin} 0 no-query no-digest originserver\nhttp_access allow all\n\
             access_log none\ncache_log {home}/cache.log\ncache_store_log none\npid_filename {home}/squid.pid\n\
             coredump_dir {home}\nshutdown_lifetime 1 seconds\n"
        ),
    )?;
    Server::start("squid", &version(&["squid", "-v"]), port, Up::Tcp, &["squid", "-N", "-f", &config], folder)
}

fn traffic_server(folder: &Path, port: u16, origin: u16) -> Result<Server, Failed> {
    let home = home(folder, "trafficserver")?;
    let run_root = traffic_server_folders(&home)?;
    let settings = format!("{home}/etc/records.config");
    let before = std::fs::read_to_string(&settings).map_err(|error| Failed(error.to_string()))?;
    write(
        Path::new(&settings),
        &format!(
            "{before}\nCONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1\n\
             CONFIG proxy.config.admin.user_id STRING trafficserver\nCONFIG proxy.config.log.logging_enabled INT 0\n"
        ),
    )?;
    write(Path::new(&format!("{home}/etc/remap.config")), &format!("map / http://127.0.0.1:{origin}/\n"))?;
    write(Path::new(&format!("{home}/etc/storage.config")), &format!("{home}/cache 256M\n"))?;
    // It will not run as root.
    output("chown", &["-R", "trafficserver", &home])?;
    let run_root = format!("--run-root={run_root}");
    let version = version(&["traffic_server", "--version"]);
    Server::start("trafficserver", &version, port, Up::Tcp, &["traffic_server", &run_root], folder)
}
