//! Running other programs and saying how it went.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Why a command failed, for a person.
#[derive(Debug)]
pub struct Failed(pub String);

/// How a command went.
pub type Outcome = Result<(), Failed>;

/// Tests that ran.
#[derive(Debug, Default)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), Path::to_owned)
}

/// Runs one named step and prints how long it took.
pub fn step(name: &str, work: impl FnOnce() -> Outcome) -> Outcome {
    println!("── {name}");
    let start = Instant::now();
    let outcome = work();
    let seconds = start.elapsed().as_secs_f64();
    println!("   {name}: {} in {seconds:.1} s", if outcome.is_ok() { "ok" } else { "FAILED" });
    outcome.map_err(|Failed(why)| Failed(format!("{name}: {why}")))
}

fn shown(program: &str, arguments: &[&str]) -> String {
    format!("{program} {}", arguments.join(" "))
}

/// Runs a program with this one's output.
pub fn command(program: &str, arguments: &[&str]) -> Outcome {
    let status = Command::new(program)
        .args(arguments)
        .status()
        .map_err(|error| Failed(format!("cannot run {program}: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failed(format!("`{}`: {status}", shown(program, arguments)))) }
}

/// Runs cargo.
pub fn cargo(arguments: &[&str]) -> Outcome {
    command("cargo", arguments)
}

/// Runs a program and returns what it printed.
pub fn output(program: &str, arguments: &[&str]) -> Result<String, Failed> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failed(format!("cannot run {program}: {error}")))?;
    if !output.status.success() {
        return Err(Failed(format!("`{}`: {}", shown(program, arguments), output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `cargo test …`, shows its output and adds up its counts.
pub fn cargo_test(arguments: &[&str], environment: &[(&str, &str)], counts: &mut Counts) -> Outcome {
    let mut child = Command::new("cargo")
        .args(arguments)
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failed(format!("cannot run cargo: {error}")))?;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let Ok(line) = line else { break };
        println!("{line}");
        if let Some(result) = line.strip_prefix("test result: ") {
            let count = |word: &str| {
                result
                    .split([';', '.'])
                    .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
            };
            counts.passed += count("passed").unwrap_or(0);
            counts.failed += count("failed").unwrap_or(0);
        }
    }
    let status = child.wait().map_err(|error| Failed(format!("cannot wait for cargo: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failed(format!("`{}`: {status}", shown("cargo", arguments)))) }
}

/// Reads a file below the workspace.
pub fn read(path: &str) -> Result<String, Failed> {
    std::fs::read_to_string(path).map_err(|error| Failed(format!("cannot read {path}: {error}")))
}

/// Writes a file below the workspace, with the folders above it.
pub fn write(path: &str, text: &str) -> Outcome {
    let failed = |error| Failed(format!("cannot write {path}: {error}"));
    if let Some(folder) = Path::new(path).parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

/// Whether a program of this name can be run.
pub fn has_program(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(name).is_file())
}
