//! Every script in `tests/replay` is played against the resolver and must pass.
//!
//! Each is one story, told by the comment in its first line. `cargo run -p doorway-dns --example replay
//! -- FILE` plays one and prints the way to the first difference.

use std::path::PathBuf;

use doorway_dns::replay::{Outcome, run};

/// Scripts there must be at least: a folder that was lost is no success.
const SCRIPTS_MIN: usize = 60;

#[test]
fn every_replay_script_passes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/replay");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= SCRIPTS_MIN, "{} scripts in {}", files.len(), folder.display());
    let wrong: Vec<String> = files.iter().filter_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Plays one script; says what differs.
fn check(file: &PathBuf) -> Option<String> {
    let script = std::fs::read_to_string(file).unwrap();
    assert!(script.starts_with("; "), "{} does not say what it shows", file.display());
    let outcome = run(&script).outcome;
    (outcome != Outcome::Pass).then(|| format!("{}: {outcome}", file.display()))
}
