//! Benchmarks: the peers and us under the same load, in interleaved rounds, on one core each.
//!
//! What counts is the server's CPU time per operation, over all its threads and children, and its
//! ratio to each peer and to a floor program in the same run: on a shared machine the wall clock
//! says little. A run with a wrong or missing answer is void.

mod cost;
mod dhcp;
pub mod dns;
mod http;
mod mail;
pub mod measure;
mod resolver;
mod table;

use std::path::{Path, PathBuf};

use crate::debian;
use crate::run::{Failed, Outcome, cargo, command, output};

/// Interleaved rounds; the table shows their median.
pub const ROUNDS: usize = 5;
/// Seconds of load in one round.
pub const SECONDS: usize = 2;

/// Runs the benchmark of this name.
pub fn bench(name: &str) -> Outcome {
    match name {
        "dns" => {
            dns::bench()?;
            dns::zone_load()?;
            resolver::hits()?;
            resolver::misses()
        }
        "authority" => dns::bench(),
        "zone" => dns::zone_load(),
        "resolver" => resolver::hits(),
        "misses" => resolver::misses(),
        "misses-inside" => resolver::misses_inside(),
        "flood" => resolver::flood(),
        "flood-inside" => resolver::flood_inside(),
        "http" => http::bench(),
        "cache" => http::cache(),
        "mail" => mail::bench(),
        "dhcp" => dhcp::bench(),
        "idle" => http::idle(),
        "slow" => http::slow(),
        "store" => {
            build()?;
            let data = scratch("store")?;
            command(&program("doorway"), &["store", "bench", "--data", &data.display().to_string()])
        }
        "build" => cost::bench(),
        _ => Err(Failed(
            "there is `bench dns` (or a part of it: `authority`, `zone`, `resolver`, `misses`), `flood`, `http`, `cache`, `mail`, `dhcp`, `idle`, `slow`, `store` and `build`"
                .to_owned(),
        )),
    }
}

/// Builds what is measured, with line tables for profilers and nothing else that a release lacks.
fn build() -> Outcome {
    cargo(&["build", "--quiet", "--profile", "bench", "-p", "doorway", "-p", "doorway-bench"])
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

/// A program of this workspace, as [`build`] left it. The bench profile builds into `release`.
fn program(name: &str) -> String {
    let absolute = std::fs::canonicalize(target().join("release").join(name));
    absolute.map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}

/// An empty folder for the files of one benchmark.
pub fn scratch(name: &str) -> Result<PathBuf, Failed> {
    let folder = target().join("bench").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failed(format!("cannot make {}: {error}", folder.display())))?;
    // Some peers run as another user, who must be able to walk here and to write.
    let _ = std::process::Command::new("chmod").arg("777").arg(&folder).status();
    std::fs::canonicalize(&folder).map_err(|error| Failed(error.to_string()))
}

/// Writes a file.
pub fn write(path: &Path, text: &str) -> Outcome {
    std::fs::write(path, text).map_err(|error| Failed(format!("cannot write {}: {error}", path.display())))
}

/// The peers' packages, and our own programs.
fn prepare() -> Outcome {
    debian::ensure(debian::BENCH)?;
    build()
}

/// A folder for the files of one server, in which any user may write: some run as another one.
pub fn home(folder: &Path, name: &str) -> Result<String, Failed> {
    let home = folder.join(name);
    std::fs::create_dir_all(&home).map_err(|error| Failed(error.to_string()))?;
    let home = home.display().to_string();
    output("chmod", &["777", &home])?;
    Ok(home)
}

/// Gives Traffic Server folders of its own in `home`, with the settings that the package brings; the programs stay
/// where they are. Returns the file that tells it so.
pub fn traffic_server_folders(home: &str) -> Result<String, Failed> {
    let run_root = format!("{home}/runroot.yaml");
    write(
        Path::new(&run_root),
        &format!(
            "prefix: /usr\nexec_prefix: /usr\nbindir: /usr/bin\nsbindir: /usr/sbin\nincludedir: /usr/include\n\
             libdir: /usr/lib/trafficserver\nlibexecdir: /usr/lib/trafficserver/modules\nsysconfdir: {home}/etc\n\
             datadir: {home}/cache\ncachedir: {home}/cache\nlocalstatedir: {home}\nruntimedir: {home}/run\nlogdir: {home}/log\n"
        ),
    )?;
    output("cp", &["-r", "/etc/trafficserver", &format!("{home}/etc")])?;
    for name in ["cache", "run", "log"] {
        std::fs::create_dir_all(format!("{home}/{name}")).map_err(|error| Failed(error.to_string()))?;
    }
    Ok(run_root)
}
