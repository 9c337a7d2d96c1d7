//! `bench build`: what the program itself costs: packages, a clean release build, the binary, the
//! time to the first answer and the memory when idle.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{scratch, target};
use crate::run::{Failed, Outcome, cargo, output};

const PORT: u16 = 8431;

/// Measures all of it, in a target folder of its own.
pub fn bench() -> Outcome {
    let tree =
        output("cargo", &["tree", "-p", "doorway", "-e", "normal,build", "--prefix", "none", "--no-dedupe"])?;
    let mut packages: Vec<&str> =
        tree.lines().map(|line| line.trim_end_matches(" (*)")).filter(|l| !l.is_empty()).collect();
    packages.sort_unstable();
    packages.dedup();
    let folder = target().join("bench").join("build");
    let _ = std::fs::remove_dir_all(&folder);
    let start = Instant::now();
    cargo(&[
        "build",
        "--quiet",
        "--release",
        "-p",
        "doorway",
        "--target-dir",
        &folder.display().to_string(),
    ])?;
    let seconds = start.elapsed().as_secs_f64();
    let binary =
        std::fs::canonicalize(folder.join("release/doorway")).map_err(|error| Failed(error.to_string()))?;
    let octets = std::fs::metadata(&binary).map_err(|error| Failed(error.to_string()))?.len();
    let place = scratch("start")?;
    let config = place.join("doorway.toml");
    super::write(
        &config,
        &format!(
            "[dns]\nlisten = \"127.0.0.1:5431\"\n[http]\nlisten = \"127.0.0.1:{PORT}\"\nlisten_tls = \"127.0.0.1:8432\"\n[metrics]\nlisten = []\n"
        ),
    )?;
    println!("\n`cargo xtask bench build`:\n\n| what | figure |\n| --- | ---: |");
    println!("| packages in the default build | {} |", packages.len());
    println!(
        "| clean release build on {} cores | {seconds:.0} s |",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    println!("| binary | {:.1} MiB |", octets as f64 / 1024.0 / 1024.0);
    for name in ["start to first answer, empty data folder", "start to first answer, second start"] {
        let start = Instant::now();
        let mut child = Command::new(&binary)
            .args(["up", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(place.join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Failed(error.to_string()))?;
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            if start.elapsed() > Duration::from_secs(20) {
                let _ = child.kill();
                return Err(Failed("the server does not come up".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("| {name} | {:.0} ms |", start.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_secs(2));
        let memory =
            std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id())).unwrap_or_default();
        let field = |name: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()).unwrap_or(0.0)
                / 1024.0
        };
        println!("| idle memory (resident) | {:.1} MiB |", field("Rss:"));
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        let _ = child.wait();
    }
    Ok(())
}
