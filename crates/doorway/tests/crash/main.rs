//! The real program, killed under load again and again: what it acknowledged has to be there.
//!
//! `DOORWAY_CRASH_ROUNDS` says how often. A round adds, changes and removes users over the control
//! socket, kills the process at a random moment, starts it again on what is left, and compares its
//! users with those that were acknowledged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_types, reason = "clients stand outside of the program, on the system's sockets")]
#![allow(clippy::disallowed_methods, reason = "the real program is killed at moments of the real clock")]
#![allow(clippy::print_stdout, reason = "a test tells its seed and its figures")]

#[path = "../interop/dialogue.rs"]
#[allow(dead_code, reason = "more is needed to speak to a server than to see that it is there")]
mod dialogue;
mod fills;
#[path = "../interop/folder.rs"]
#[allow(dead_code, reason = "here, the server alone uses its folder")]
mod folder;
mod leases;
mod ledger;
mod load;
#[path = "../interop/dns/peer.rs"]
#[allow(dead_code, reason = "our own program is the only name server here")]
mod peer;
#[path = "../interop/programs.rs"]
#[allow(dead_code, reason = "our own program is the only one that runs here")]
mod programs;
#[path = "../interop/questions.rs"]
#[allow(dead_code, reason = "a name that is there is enough to ask for")]
mod questions;
mod relays;
#[path = "../interop/server.rs"]
#[allow(dead_code, reason = "a server that is killed is asked for less")]
mod server;
mod updates;
mod uploads;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use dialogue::Dialogue;
use doorway_base::Random;
use fills::{Fills, Origin};
use leases::{Acknowledged, Clients};
use ledger::Ledger;
use load::Load;
use questions::{NOERROR, Questions};
use relays::{Senders, Sink};
use server::{Server, Setup};
use updates::Updates;
use uploads::{Uploads, content};

/// Rounds unless `DOORWAY_CRASH_ROUNDS` says otherwise.
const ROUNDS: usize = 10;
/// The load runs at least so long before the process is killed, in milliseconds, and at most so long.
const KILL_AFTER: (u64, u64) = (5, 300);
/// Half of all restarts have to answer sooner. A busy machine may hold up single ones.
const RESTART_MAX: Duration = Duration::from_secs(1);

/// Starts the server and returns how long it took until both services had answered.
fn start(setup: Setup) -> (Server, Duration) {
    let begun = Instant::now();
    let server = setup.start();
    assert_eq!(Dialogue::with(server.http()).get("/").status, 200);
    assert_eq!(Questions::to(server.dns()).ask("home.arpa"), (NOERROR, 1));
    (server, begun.elapsed())
}

#[test]
fn what_was_acknowledged_survives_kill_9_under_load() {
    let rounds = std::env::var("DOORWAY_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed =
        std::env::var("SEED").map_or_else(|_| doorway_net::entropy::seed(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut ledger = Ledger::default();
    let mut restarts = Vec::new();
    let (mut server, _) = start(Setup::new());
    for round in 0..rounds {
        let load = Load::start(&server, round, &ledger);
        let (least, most) = KILL_AFTER;
        std::thread::sleep(Duration::from_millis(least + random.below(most - least)));
        let setup = server.kill();
        ledger.add(load.finish());
        let verified = setup.doorway(&["store", "verify"]);
        assert!(verified.status.success(), "SEED={seed}, round {round}: {}{}", verified.text(), verified.err);
        let (restarted, took) = start(setup);
        restarts.push(took);
        let lost = ledger.compare(&load::users(&restarted));
        assert_eq!(lost, [""; 0], "SEED={seed}, round {round}");
        server = restarted;
    }
    let setup = server.stop();
    let verified = setup.doorway(&["store", "verify"]).done();
    assert!(verified.starts_with("sound"), "{verified}");
    restarts.sort();
    let (median, longest) = (restarts[rounds / 2], restarts[rounds - 1]);
    println!(
        "{rounds} rounds, {} acknowledgements, 0 lost; restart to first answers: median {median:?}, longest {longest:?}",
        ledger.acknowledged()
    );
    assert!(ledger.acknowledged() > 0, "nothing was acknowledged before the kills, so nothing was tried");
    assert!(median < RESTART_MAX, "{median:?}");
}

#[test]
fn what_was_added_by_update_survives_kill_9() {
    let rounds = std::env::var("DOORWAY_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed =
        std::env::var("SEED").map_or_else(|_| doorway_net::entropy::seed(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut setup = Setup::new().file("zone", updates::FILE).key("dns.zone", updates::ZONES);
    let mut added = 0;
    for round in 0..rounds {
        let server = setup.start();
        let load = Updates::start(server.dns(), round);
        let (least, most) = KILL_AFTER;
        std::thread::sleep(Duration::from_millis(least + random.below(most - least)));
        setup = server.kill();
        let names = load.finish();
        added += names.len();
        let server = setup.start();
        let mut questions = Questions::to(server.dns());
        for name in &names {
            assert_eq!(questions.ask(name), (NOERROR, 1), "SEED={seed}, round {round}: {name} is lost");
        }
        setup = server.kill();
    }
    println!("{added} names were added in {rounds} rounds");
    assert!(added > rounds, "SEED={seed}: hardly anything was added");
}

#[test]
fn a_message_that_was_acknowledged_arrives_whatever_is_killed_on_its_way() {
    let rounds = std::env::var("DOORWAY_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed =
        std::env::var("SEED").map_or_else(|_| doorway_net::entropy::seed(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let sink = Sink::start();
    let route = format!("[{{ domain = \"*\", host = \"{}\", tls = \"none\" }}]", sink.address);
    let mut setup = Setup::new()
        .key("mail.domains", "[\"us.test\"]")
        .key("mail.route", &route)
        .key("mail.relay_networks", "[\"127.0.0.0/8\"]")
        .key("mail.listen.smtp", "\"127.0.0.1:0\"");
    for door in ["submission", "submissions", "pop3", "pop3s"] {
        setup = setup.key(&format!("mail.listen.{door}"), "[]");
    }
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let server = setup.start();
        let senders = Senders::start(server.smtp(), round);
        let (least, most) = KILL_AFTER;
        std::thread::sleep(Duration::from_millis(least + random.below(most - least)));
        setup = server.kill();
        acknowledged.extend(senders.finish());
    }
    let server = setup.start();
    let doubles = sink.wait_for(&acknowledged);
    let doubles = doubles.unwrap_or_else(|lost| {
        panic!("SEED={seed}: of {} {} are lost: {lost:?}\n{}", acknowledged.len(), lost.len(), server.log())
    });
    println!(
        "{} messages were acknowledged in {rounds} rounds, 0 lost, {doubles} came twice",
        acknowledged.len()
    );
    assert!(acknowledged.len() > rounds, "SEED={seed}: hardly anything was acknowledged");
    // At each kill no more than what was on its way over the connections to one destination, or was written
    // down at that moment.
    assert!(doubles <= rounds * 300, "SEED={seed}: {doubles}");
    server.stop();
}

#[test]
fn a_secondary_that_is_killed_has_what_it_served_and_catches_up() {
    let rounds = std::env::var("DOORWAY_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed =
        std::env::var("SEED").map_or_else(|_| doorway_net::entropy::seed(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let port = peer::free_port();
    let zone = format!(
        "[{{ name = \"example.org\", file = \"zone\", update = [\"127.0.0.0/8\"], xfr = [\"127.0.0.0/8\"], \
         notify = [\"127.0.0.1:{port}\"], serial = \"unixtime\" }}]"
    );
    let primary = Setup::new().file("zone", updates::FILE).key("dns.zone", &zone).start();
    let zone = format!(
        "[{{ name = \"example.org\", kind = \"secondary\", from = [\"127.0.0.1:{}\"] }}]",
        primary.dns().port()
    );
    let mut setup = Setup::new().key("dns.listen", &format!("\"127.0.0.1:{port}\"")).key("dns.zone", &zone);
    let (mut added, mut followed) = (0, 0);
    for round in 0..rounds {
        let server = setup.start();
        peer::until(port, "ns.example.org", || server.log());
        let load = Updates::start(primary.dns(), round);
        let (least, most) = KILL_AFTER;
        let until = Instant::now() + Duration::from_millis(least + random.below(most - least));
        let mut served = 0;
        while Instant::now() < until {
            if peer::rcode(port, &updates::name(round, served)) == Some(NOERROR) {
                served += 1;
            }
        }
        setup = server.kill();
        let names = load.stop();
        // Without its primary, it has its own store alone.
        primary.signal(Signal::STOP);
        let server = setup.start();
        for number in 0..served {
            let name = updates::name(round, number);
            let found = peer::rcode(port, &name);
            assert_eq!(found, Some(NOERROR), "SEED={seed}, round {round}: {name} is lost\n{}", server.log());
        }
        primary.signal(Signal::CONT);
        for name in &names {
            peer::until(port, name, || format!("SEED={seed}, round {round}\n{}", server.log()));
        }
        (added, followed) = (added + names.len(), followed + served);
        setup = server.kill();
    }
    println!("{added} names were added in {rounds} rounds, of which {followed} had arrived before the kills");
    assert!(followed > 0, "SEED={seed}: nothing had arrived when the secondary was killed");
}

#[test]
fn a_file_that_is_stored_is_the_old_one_or_the_new_one_after_kill_9_and_never_half_of_it() {
    let rounds = std::env::var("DOORWAY_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed =
        std::env::var("SEED").map_or_else(|_| doorway_net::entropy::seed(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut setup = Setup::new()
        .key("http.login.cleartext", "true")
        .key("http.site", "[{ hosts = [\"localhost\"], root = \"public\", write = true, auth = [\"ann\"] }]");
    let mut authorization = String::new();
    let (mut next, mut known, mut acknowledged) = (0, None, 0);
    for round in 0..rounds {
        let server = setup.start();
        if authorization.is_empty() {
            let made = server.doorway(&["user", "add", "ann", "--json"]).done();
            let password = made.split("\"password\": \"").nth(1).unwrap().split('"').next().unwrap();
            authorization = basic("ann", password);
        }
        let load = Uploads::start(server.http(), authorization.clone(), next);
        let (least, most) = KILL_AFTER;
        std::thread::sleep(Duration::from_millis(least + random.below(most - least)));
        setup = server.kill();
        let stored = load.finish();
        acknowledged += stored.acknowledged.map_or(0, |last| last + 1 - next);
        known = stored.acknowledged.or(known);
        // What was being stored may be there or not; what was acknowledged, or was there before, is not lost.
        let found = std::fs::read(setup.folder.path().join("public/file")).ok();
        let may_be = [known, Some(stored.sent)].map(|number| number.map(content));
        assert!(may_be.contains(&found), "SEED={seed}, round {round}: the file is none of its versions");
        if found == may_be[1] {
            known = Some(stored.sent);
        }
        next = stored.sent + 1;
    }
    setup.folder.write("public/.doorway-upload-0-0", "half of a file");
    let server = setup.start();
    // A change waits until what was left over is gone.
    assert!(uploads::put_once(server.http(), &authorization), "SEED={seed}");
    let left = server.folder().files("public");
    let unfinished = |path: &std::path::PathBuf| path.to_string_lossy().contains(".doorway-upload-");
    assert!(!left.iter().any(unfinished), "SEED={seed}: {left:?}");
    println!("{acknowledged} versions were stored in {rounds} rounds");
    assert!(acknowledged > 0, "SEED={seed}: nothing was stored");
}

#[test]
fn a_cache_never_serves_torn_content_and_never_what_was_purged_after_kill_9() {
    let rounds = std::env::var("DOORWAY_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed =
        std::env::var("SEED").map_or_else(|_| doorway_net::entropy::seed(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let origin = Origin::start();
    let route = format!("{{ path = \"/\", proxy = [\"http://{}\"], cache = \"web\" }}", origin.address);
    // Little memory, so that most lies on disk alone; little disk, so that segments go.
    let mut setup =
        Setup::new().key("http.site", &format!("[{{ hosts = [\"kept.example\"], route = [{route}] }}]")).key(
            "http.cache",
            "[{ name = \"web\", memory_octets_max = \"4MiB\", disk_octets_max = \"256MiB\" }]",
        );
    let (mut answers, mut survivors) = (0, 0);
    for round in 0..rounds {
        let server = setup.start();
        let load = Fills::start(server.http(), &mut random);
        let (least, most) = KILL_AFTER;
        std::thread::sleep(Duration::from_millis(least + random.below(most - least)));
        let (purged, version) = (random.below(fills::TARGETS), origin.next_version());
        let url = format!("http://kept.example/{purged}");
        server.doorway(&["cache", "purge", "--url", &url]).done();
        std::thread::sleep(Duration::from_millis(random.below(most - least)));
        setup = server.kill();
        answers += load.finish();
        let server = setup.start();
        let kept = fills::kept(server.http());
        survivors += kept.len();
        let back = kept.get(&purged).is_some_and(|kept| *kept < version);
        assert!(!back, "SEED={seed}, round {round}: {url} is back after its purge");
        setup = server.kill();
    }
    println!("{answers} answers in {rounds} rounds; {survivors} responses were found whole after the kills");
    assert!(survivors > rounds, "SEED={seed}: hardly anything was kept");
}

#[test]
fn no_lease_is_lost_or_given_twice_after_kill_9() {
    leases_survive("process", "no_lease_is_lost_or_given_twice_after_kill_9");
}

#[test]
fn no_lease_that_lies_on_disk_is_lost_or_given_twice_after_kill_9() {
    leases_survive("power", "no_lease_that_lies_on_disk_is_lost_or_given_twice_after_kill_9");
}

/// The test `name`, of leases that are to survive so much.
fn leases_survive(durability: &str, name: &str) {
    if !leases::in_a_namespace(name) {
        return;
    }
    let rounds = std::env::var("DOORWAY_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed =
        std::env::var("SEED").map_or_else(|_| doorway_net::entropy::seed(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut setup = Setup::new()
        .key("dhcp.interfaces", "[\"lo\"]")
        .key("dhcp.subnet", leases::SUBNET)
        .key("dhcp.durability", &format!("\"{durability}\""))
        .key("dhcp.probe", "\"off\"")
        .key("dhcp.leases_per_port", "0");
    let (mut all, mut owners) = (Acknowledged::new(), BTreeMap::new());
    for round in 0..rounds {
        let server = setup.start();
        let clients = Clients::start(round as u32 * 1_000_000);
        let (least, most) = KILL_AFTER;
        std::thread::sleep(Duration::from_millis(least + random.below(most - least)));
        setup = server.kill();
        let acknowledged = clients.finish();
        let twice = leases::join(&mut owners, &acknowledged);
        assert_eq!(twice, [""; 0], "SEED={seed}, round {round}");
        let server = setup.start();
        let lost = leases::ask_again(&acknowledged);
        assert_eq!(lost, [""; 0], "SEED={seed}, round {round}\n{}", server.log());
        setup = server.kill();
        all.extend(acknowledged);
    }
    let server = setup.start();
    assert_eq!(leases::ask_again(&all), [""; 0], "SEED={seed}\n{}", server.log());
    println!("{} leases were acknowledged in {rounds} rounds, 0 lost, 0 given twice", all.len());
    assert!(all.len() > rounds, "SEED={seed}: hardly anything was acknowledged");
    server.stop();
}

/// The value of Authorization for a name and a password (RFC 7617).
fn basic(name: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "Basic ".to_owned();
    for three in format!("{name}:{password}").as_bytes().chunks(3) {
        let number =
            (0..3).fold(0u32, |number, place| number << 8 | u32::from(*three.get(place).unwrap_or(&0)));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
