//! The house rules that a compiler does not know, held against the code: who may know whom, what an
//! engine may not touch, and that the map in ARCHITECTURE.md leads somewhere.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::run::{Failed, Outcome};

/// Which crates a crate may use, directly. `sim` may stand in any crate's dev-dependencies.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("net", &["base"]),
    ("store", &["base"]),
    ("sim", &["base", "net"]),
    ("dns", &["base", "net", "store"]),
    ("dhcp", &["base", "net", "store"]),
    ("http", &["base", "net", "store"]),
    ("ftp", &["base", "net", "store"]),
    ("mail", &["base", "net", "store"]),
    ("p2p", &["base", "net", "store"]),
    ("console", &["base", "net", "store", "dns", "dhcp", "http", "ftp", "mail", "p2p"]),
    ("lab", &["base", "net", "store", "sim", "dns", "dhcp", "http", "ftp", "mail", "p2p"]),
    (
        "doorway",
        &["base", "net", "store", "sim", "dns", "dhcp", "http", "ftp", "mail", "p2p", "console", "lab"],
    ),
];

/// Crates whose whole business is the world outside.
const WORLDLY: &[&str] = &["net", "sim", "doorway"];

/// What only `io/` folders may say, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    (".await", "waiting belongs into io/"),
    ("tokio::", "the runtime belongs into io/"),
    ("std::fs", "files belong into io/"),
    ("std::net::", "sockets belong into io/; addresses are in core::net"),
    ("std::thread", "threads belong into io/"),
    ("Instant::now", "time is passed in"),
    ("SystemTime", "time is passed in"),
    ("rand::", "randomness is passed in as a seed"),
    ("getrandom", "randomness is passed in as a seed"),
];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["manager", "helper", "helpers", "util", "utils", "common", "misc"];

/// Longest source file; a longer one tells more than one story.
const LINES_MAX: usize = 900;

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Checks the workspace in the current folder.
pub fn tidy() -> Outcome {
    let findings = check(Path::new("."));
    if findings.is_empty() {
        println!("   layering, purity and map hold");
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    Err(Failed(format!("{} rules broken\n{}", lines.len(), lines.join("\n"))))
}

/// Checks the workspace at `root`.
pub fn check(root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, _) in MAY_KNOW {
        let folder = root.join("crates").join(name);
        if let Ok(manifest) = std::fs::read_to_string(folder.join("Cargo.toml")) {
            findings.extend(check_manifest(name, &manifest));
        }
        for path in sources(&folder.join("src")) {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            findings.extend(check_source(name, &shown, &text));
        }
    }
    if let Ok(map) = std::fs::read_to_string(root.join("ARCHITECTURE.md")) {
        findings.extend(check_map(root, &map));
    }
    findings
}

/// Every Rust file below a folder, in name order.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn known(name: &str) -> &'static [&'static str] {
    MAY_KNOW.iter().find(|(owner, _)| *owner == name).map_or(&[], |(_, may)| may)
}

fn check_manifest(name: &str, manifest: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut section = "";
    for (number, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        }
        let Some(other) = line.strip_prefix("doorway-").and_then(|rest| rest.split(['.', ' ', '=']).next())
        else {
            continue;
        };
        let in_tests = section == "[dev-dependencies]" && other == "sim";
        if section.contains("dependencies") && !known(name).contains(&other) && !in_tests {
            findings.push(Finding {
                path: format!("crates/{name}/Cargo.toml"),
                line: number + 1,
                what: format!("`{name}` may not know `{other}`"),
            });
        }
    }
    findings
}

fn check_source(name: &str, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |line: usize, what: String| findings.push(Finding { path: path.to_owned(), line, what });
    let parts: Vec<&str> = path.split('/').collect();
    let file = parts.last().copied().unwrap_or_default().trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&file) {
        found(1, format!("`{file}` says nothing; name the file after its one idea"));
    }
    let is_test = file == "tests" || parts.contains(&"tests");
    if !is_test && !text.trim_start().starts_with("//!") {
        found(1, "a file opens with `//!`: what it is, its standard, what is not here".to_owned());
    }
    if text.lines().count() > LINES_MAX {
        found(LINES_MAX, format!("more than {LINES_MAX} lines: does it tell one story?"));
    }
    let pure = !WORLDLY.contains(&name) && !parts.contains(&"io") && file != "io" && !is_test;
    for (number, line) in text.lines().enumerate() {
        if line.trim() == "#[cfg(test)]" {
            break; // tests stand at the end of a file
        }
        let code = line.split("//").next().unwrap_or_default();
        for (other, _) in MAY_KNOW {
            if code.contains(&format!("doorway_{other}::"))
                && *other != name
                && !known(name).contains(other)
                && !is_test
            {
                found(number + 1, format!("`{name}` may not know `{other}`"));
            }
        }
        for (word, why) in FORBIDDEN.iter().filter(|_| pure) {
            if code.contains(word) {
                found(number + 1, format!("`{word}` outside io/: {why}"));
            }
        }
    }
    findings
}

/// Rows of the table "Where is …" look like `| term | \`path\` | standard |`.
fn check_map(root: &Path, map: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in map.lines().enumerate().skip_while(|(_, line)| !line.starts_with("## Where is")) {
        let Some(path) = line.strip_prefix('|').and_then(|row| row.split('|').nth(1)) else { continue };
        let path = path.trim();
        let Some(path) = path.strip_prefix('`').and_then(|path| path.strip_suffix('`')) else { continue };
        if !root.join(path).exists() {
            findings.push(Finding {
                path: "ARCHITECTURE.md".to_owned(),
                line: number + 1,
                what: format!("there is no `{path}`"),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small workspace with one file in an engine.
    fn planted(test: &str, file: &str, text: &str, manifest: &str) -> Vec<String> {
        let root = std::env::temp_dir().join(format!("doorway-tidy-{}-{test}", std::process::id()));
        let path = root.join("crates/dns/src").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(root.join("crates/dns/Cargo.toml"), manifest).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::write(
            root.join("ARCHITECTURE.md"),
            "## Where is …\n| x | `crates/dns/src` | |\n| y | `nowhere` | |\n",
        )
        .unwrap();
        let findings = check(&root).iter().map(Finding::to_string).collect();
        std::fs::remove_dir_all(&root).unwrap();
        findings
    }

    const CLEAN: &str = "//! An engine.\n\nfn decide() {} // Instant::now in a comment is fine\n";
    const MAP: &str = "ARCHITECTURE.md:3: there is no `nowhere`";

    #[test]
    fn a_clean_engine_has_no_findings_and_a_dead_row_of_the_map_has_one() {
        assert_eq!(planted("clean", "authority.rs", CLEAN, ""), [MAP]);
    }

    #[test]
    fn a_clock_planted_in_an_engine_is_found_but_not_in_io() {
        let text = "//! An engine.\nlet now = std::time::Instant::now();\n";
        let found = planted("clock", "authority.rs", text, "");
        assert_eq!(
            found,
            ["crates/dns/src/authority.rs:2: `Instant::now` outside io/: time is passed in", MAP]
        );
        assert_eq!(planted("clock-io", "io/server.rs", text, ""), [MAP]);
    }

    #[test]
    fn a_sibling_planted_in_an_engine_is_found_in_code_and_in_the_manifest() {
        let text = "//! An engine.\nuse doorway_http::Request;\n";
        let found =
            planted("sibling", "authority.rs", text, "[dependencies]\ndoorway-http.workspace = true\n");
        assert_eq!(
            found,
            [
                "crates/dns/Cargo.toml:2: `dns` may not know `http`",
                "crates/dns/src/authority.rs:2: `dns` may not know `http`",
                MAP
            ]
        );
    }

    #[test]
    fn waiting_and_files_are_found_outside_io() {
        let text = "//! An engine.\nasync fn f() { g().await }\nuse std::fs;\n";
        assert_eq!(planted("await", "lease.rs", text, "").len(), 3);
    }

    #[test]
    fn the_simulator_may_stand_in_tests_only() {
        let manifest = "[dev-dependencies]\ndoorway-sim.workspace = true\n";
        assert_eq!(planted("sim-dev", "a.rs", CLEAN, manifest), [MAP]);
        let manifest = "[dependencies]\ndoorway-sim.workspace = true\n";
        assert_eq!(planted("sim", "a.rs", CLEAN, manifest).len(), 2);
    }
}
