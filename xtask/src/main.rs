//! `cargo xtask`: everything this repository can do to itself.

mod bench;
mod conformance;
mod debian;
mod run;
mod spec;
mod tidy;

use std::process::ExitCode;

use run::{Failed, Outcome, cargo};

const HELP: &str = "\
cargo xtask COMMAND

  test             everything that must pass: check, then all tests, interop and a crash smoke
  check            the quick part: format, clippy, tidy, spec
  tidy             layering, purity and the map in ARCHITECTURE.md, against the code
  spec             spec/index.tsv and the ledgers of MUSTs, against the tests
  sim [ROUNDS]     the simulation tests with ROUNDS fresh seeds (default 20)
  fuzz NAME [SEC]  one fuzz target for SEC seconds (default 60); needs a nightly toolchain and cargo-fuzz
  interop [NAME]   real clients and peers from Debian packages, on loopback; `http` stands for all of HTTP
  conformance      the cache's dialogues through ours and through those of other people; writes the table of docs
  crash [ROUNDS]   kill -9 under load, ROUNDS times (default 200)
  bench NAME       dns | flood | http | cache | store | idle | slow | build: side by side with the peers
  docs             the generated reference pages
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    std::env::set_current_dir(run::root())
        .unwrap_or_else(|error| panic!("cannot enter the workspace: {error}"));
    let outcome = match words[..] {
        ["test"] => test(),
        ["check"] => check(),
        ["tidy"] => tidy::tidy(),
        ["spec"] => spec::spec(),
        ["sim"] => sim("20"),
        ["sim", rounds] => sim(rounds),
        ["fuzz", name] => fuzz(name, "60"),
        ["fuzz", name, seconds] => fuzz(name, seconds),
        ["interop"] => interop(&[]),
        ["interop", "http"] => interop(HTTP),
        ["interop", name] => interop(&[name]),
        ["replay", ref files @ ..] => replay(files),
        ["conformance"] => conformance::conformance(),
        ["crash"] => crash("200"),
        ["crash", rounds] => crash(rounds),
        ["bench", name] => bench::bench(name),
        ["docs"] => docs(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            eprintln!("\nfailed: {why}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Outcome {
    run::step("format", || cargo(&["fmt", "--all", "--", "--check"]))?;
    run::step("clippy", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])
    })?;
    run::step("tidy", tidy::tidy)?;
    run::step("spec", spec::spec)
}

fn test() -> Outcome {
    run::step("packages", || debian::ensure(debian::INTEROP))?;
    check()?;
    let mut counts = run::Counts::default();
    run::step("unit, script, property, simulation", || {
        // The binary's own integration tests need peers and come below.
        let whole = ["test", "--workspace", "--exclude", "doorway", "--no-fail-fast"];
        run::cargo_test(&whole, &[], &mut counts)?;
        let binary = ["test", "-p", "doorway", "--bins", "--test", "cli", "--test", "simulation"];
        run::cargo_test(&binary, &[], &mut counts)
    })?;
    run::step("interop", || {
        run::cargo_test(&["test", "-p", "doorway", "--test", "interop"], &[], &mut counts)
    })?;
    run::step("conformance", || {
        run::cargo_test(&["test", "-p", "doorway", "--test", "conformance"], &[], &mut counts)
    })?;
    run::step("crash smoke", || {
        let rounds = [("DOORWAY_CRASH_ROUNDS", "10")];
        run::cargo_test(&["test", "-p", "doorway", "--test", "crash"], &rounds, &mut counts)
    })?;
    println!("\n{} passed, {} failed", counts.passed, counts.failed);
    Ok(())
}

fn sim(rounds: &str) -> Outcome {
    let mut counts = run::Counts::default();
    let seeds = [("DOORWAY_SIM_ROUNDS", rounds)];
    run::cargo_test(&["test", "-p", "doorway-sim"], &seeds, &mut counts)?;
    run::cargo_test(&["test", "-p", "doorway", "--test", "simulation"], &seeds, &mut counts)
}

fn fuzz(name: &str, seconds: &str) -> Outcome {
    let limit = format!("-max_total_time={seconds}");
    run::command("cargo", &["+nightly", "fuzz", "run", name, "--", &limit, "-rss_limit_mb=4096"]).map_err(
        |Failed(why)| {
            Failed(format!(
                "{why}\n(this needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`)"
            ))
        },
    )
}

/// The modules of the interoperability tests that are about HTTP.
const HTTP: &[&str] = &[
    "curl::",
    "differences::",
    "files::",
    "floods::",
    "h2::",
    "logins::",
    "octets::",
    "proxy::",
    "proxy_protocol::",
    "python::",
    "wget::",
];

/// Runs the tests whose path has one of `names` in it; all of them, if there is none.
fn interop(names: &[&str]) -> Outcome {
    debian::ensure(debian::INTEROP)?;
    let mut counts = run::Counts::default();
    let run = ["test", "-p", "doorway", "--test", "interop", "--", "--nocapture"];
    run::cargo_test(&[&run[..], names].concat(), &[], &mut counts)
}

fn crash(rounds: &str) -> Outcome {
    let mut counts = run::Counts::default();
    let environment = [("DOORWAY_CRASH_ROUNDS", rounds)];
    run::cargo_test(
        &["test", "-p", "doorway-store", "--test", "store", "--", "crash::killed", "--nocapture"],
        &environment,
        &mut counts,
    )?;
    run::cargo_test(
        &["test", "-p", "doorway", "--test", "crash", "--", "--nocapture"],
        &environment,
        &mut counts,
    )
}

fn docs() -> Outcome {
    let page = run::output("cargo", &["run", "--quiet", "-p", "doorway", "--", "config", "reference"])?;
    run::write("docs/reference/config.md", &page)?;
    println!("wrote docs/reference/config.md");
    Ok(())
}
/// Plays resolution scripts against the resolver, in virtual time.
fn replay(files: &[&str]) -> Outcome {
    if files.is_empty() {
        return Err(Failed("name the scripts: `cargo xtask replay FILE…`".to_owned()));
    }
    let run = ["run", "--quiet", "--release", "-p", "doorway-dns", "--example", "replay", "--"];
    run::cargo(&[&run[..], files].concat())
}
