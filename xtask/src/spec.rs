//! Which standard, how far: `spec/index.tsv` and the ledgers, held against the code.
//!
//! `spec/index.tsv` has one row a standard: name, `yes` | `partial` | `planned` | `no`, crate, note.
//! A standard claimed in full has a ledger `spec/rfcNNNN.toml` whose rows name the test that shows
//! each MUST; a row whose test does not exist fails.

use std::collections::BTreeSet;
use std::path::Path;

use crate::run::{Failed, Outcome, read};
use crate::tidy::sources;

/// Checks the index and every ledger.
pub fn spec() -> Outcome {
    let mut wrong = Vec::new();
    let index = read("spec/index.tsv")?;
    let mut count = 0;
    for (number, line) in index.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        let columns: Vec<&str> = line.split('\t').collect();
        let place = format!("spec/index.tsv:{}", number + 1);
        let [standard, state, crate_name, _] = columns[..] else {
            wrong.push(format!("{place}: wants four columns: standard, state, crate, note"));
            continue;
        };
        count += 1;
        if !["yes", "partial", "planned", "no"].contains(&state) {
            wrong.push(format!("{place}: `{state}` is none of yes, partial, planned, no"));
        }
        if ["yes", "partial"].contains(&state) && !Path::new("crates").join(crate_name).is_dir() {
            wrong.push(format!("{place}: there is no crate `{crate_name}`"));
        }
        let ledger = format!("spec/{}.toml", standard.to_lowercase().replace(' ', ""));
        if state == "yes" && !Path::new(&ledger).is_file() {
            wrong.push(format!("{place}: {standard} is claimed in full but {ledger} is missing"));
        }
    }
    let tests = test_names();
    let mut rows = 0;
    for path in ledgers()? {
        for (number, line) in read(&path)?.lines().enumerate() {
            let Some(name) = line.trim().strip_prefix("test = \"").and_then(|rest| rest.strip_suffix('"'))
            else {
                continue;
            };
            rows += 1;
            if !tests.contains(name) {
                wrong.push(format!("{path}:{}: there is no test `{name}`", number + 1));
            }
        }
    }
    println!("   {count} standards, {rows} ledger rows, {} tests", tests.len());
    if wrong.is_empty() { Ok(()) } else { Err(Failed(wrong.join("\n"))) }
}

fn ledgers() -> Result<Vec<String>, Failed> {
    let folder = std::fs::read_dir("spec").map_err(|error| Failed(format!("cannot list spec: {error}")))?;
    let mut paths: Vec<String> = folder
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .filter(|path| path.ends_with(".toml"))
        .collect();
    paths.sort();
    Ok(paths)
}

/// The names of all test functions in the workspace.
fn test_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in sources(Path::new("crates")) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") {
                marked = true;
            } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| marked) {
                names.extend(rest.split(['(', '<']).next().map(str::to_owned));
                marked = false;
            }
        }
    }
    names
}
