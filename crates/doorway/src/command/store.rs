//! `doorway store …`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Trace;
use doorway_net::os::Runtime;
use doorway_store::{BenchOptions, BenchReport, Measurement, bench, restore, wait};
use serde_json::{Value, json};

use super::configured;
use crate::cli::{Options, StoreCommand};
use crate::config::Config;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{DIM, GREEN, PLAIN, RED, Screen, Table, octets};
use crate::upkeep::{Upkeep, verified};
use crate::{first_run, storage};

/// Does what was asked of the store.
pub(super) fn run(options: &Options, command: StoreCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    let Some(config) = configured(options, screen)? else { return Ok(Exit::Wrong) };
    let data = first_run::data_folder(&config, options.data.as_deref());
    match command {
        StoreCommand::Verify => {
            let answer = upkeep(&config, &data, &Upkeep::Verify)?;
            Ok(tell_verified(&answer, screen))
        }
        StoreCommand::Backup { to } => {
            // The server may have another current folder than this command.
            let to = std::path::absolute(&to).map_err(|error| Failure::file("find", &to, &error))?;
            let answer = upkeep(&config, &data, &Upkeep::Backup { to })?;
            if screen.is_json() {
                screen.document(&answer);
            } else {
                screen.line(format!(
                    "{GREEN}backed up{PLAIN}  {}  {DIM}{} files, {} octets, up to commit {}{PLAIN}",
                    answer["to"].as_str().unwrap_or_default(),
                    answer["files"],
                    octets(&answer["octets"]),
                    answer["commits"],
                ));
            }
            Ok(Exit::Done)
        }
        StoreCommand::Restore { from } => put_back(&data, &from, screen),
        StoreCommand::Bench { writers, octets, length } => {
            measure(&data, writers as usize, octets as usize, length, screen)
        }
    }
}

fn upkeep(config: &Config, data: &Path, request: &Upkeep) -> Result<Value, Failure> {
    if let Some(client) = Client::find(data)? {
        let (method, target, body) = request.to_http();
        return client.ask_for_long(method, target, body.as_ref());
    }
    if !storage::folder(data).exists() {
        return Err(no_store(data));
    }
    if *request == Upkeep::Verify {
        // Without opening the store, so that one too damaged to be opened is told about too.
        let report = doorway_store::verify(&storage::folder(data));
        return report
            .map(|report| verified(&report))
            .map_err(|error| storage::failure("cannot verify the store", error));
    }
    let store = storage::open(config, data, None)?;
    wait(request.run(&store))
}

/// There is nothing to work on.
pub(super) fn no_store(data: &Path) -> Failure {
    let failure = Failure::new(format!("there is no store in {} yet", data.display()));
    failure.fix("`doorway user add` and `doorway up` make one; --data names another folder")
}

fn tell_verified(answer: &Value, screen: &mut Screen) -> Exit {
    let sound = answer["sound"].as_bool().unwrap_or_default();
    if screen.is_json() {
        screen.document(answer);
    } else {
        let verdict = if sound { format!("{GREEN}sound{PLAIN}") } else { format!("{RED}damaged{PLAIN}") };
        screen.line(format!(
            "{verdict}  {} rows, {} blobs, {} octets compared with their hashes",
            answer["rows"],
            answer["blobs"],
            octets(&answer["octets"]),
        ));
        for damage in answer["damage"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            screen.line(format!("  {damage}"));
        }
        let listed = answer["damage"].as_array().map_or(0, Vec::len) as u64;
        let all = answer["damages"].as_u64().unwrap_or(0);
        if all > listed {
            screen.line(format!("  and {} more", all - listed));
        }
    }
    if sound { Exit::Done } else { Exit::Failed }
}

fn put_back(data: &Path, from: &Path, screen: &mut Screen) -> Result<Exit, Failure> {
    if Client::find(data)?.is_some() {
        let failure = Failure::new("the server is running").why("a store in use cannot be replaced");
        return Err(failure.fix("stop it first"));
    }
    let folder = storage::folder(data);
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let failure = Failure::new(format!("{} is not empty", folder.display()));
        return Err(failure.fix("move it away first: `doorway store restore` never overwrites"));
    }
    first_run::make_data_folder(data)?;
    let report =
        restore(from, &folder).map_err(|error| storage::failure("cannot restore the backup", error))?;
    if screen.is_json() {
        screen.document(&verified(&report));
    } else {
        screen.line(format!(
            "{GREEN}restored{PLAIN}  {}  {DIM}{} rows{PLAIN}",
            folder.display(),
            report.rows
        ));
    }
    Ok(Exit::Done)
}

/// A folder that is gone with the value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of a measurement is told by its name, and no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn measure(
    data: &Path,
    writers: usize,
    value_octets: usize,
    time: Duration,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    first_run::make_data_folder(data)?;
    let scratch = Scratch(data.join(format!("bench-{}", std::process::id())));
    let runtime = Runtime::start("bench", 1, Trace::off());
    let runtime = runtime.map_err(|error| Failure::new("cannot read the clock").why(error))?;
    let world = runtime.world().clone();
    let options =
        BenchOptions { time, writers, value_octets, ..BenchOptions::new(Arc::new(move || world.now())) };
    let report =
        bench(&scratch.0, &options).map_err(|error| storage::failure("cannot measure the store", error))?;
    if screen.is_json() {
        screen.document(&bench_document(&report));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["what", ">rows/s", ">syncs/s", ">p50", ">p99", ">ratio"]);
    for one in measurements(&report) {
        table.row([
            one.name.clone(),
            format!("{:.0}", one.rows_per_second()),
            format!("{:.0}", one.syncs_per_second()),
            millis(one.p50),
            millis(one.p99),
            format!("{:.1}", report.ratio(one)),
        ]);
    }
    screen.table(&table);
    screen.line(format!("\n{DIM}ratio is to one row a sync; measured in {}{PLAIN}", data.display()));
    Ok(Exit::Done)
}

fn measurements(report: &BenchReport) -> impl Iterator<Item = &Measurement> {
    [&report.one_sync_per_row, &report.raw_groups].into_iter().chain(&report.store)
}

fn bench_document(report: &BenchReport) -> Value {
    let one = |one: &Measurement| {
        json!({
            "what": one.name,
            "rows": one.rows,
            "seconds": one.time.as_secs_f64(),
            "rows_per_second": one.rows_per_second(),
            "syncs_per_second": one.syncs_per_second(),
            "p50_seconds": one.p50.as_secs_f64(),
            "p99_seconds": one.p99.as_secs_f64(),
            "ratio": report.ratio(one),
        })
    };
    json!({ "measurements": measurements(report).map(one).collect::<Vec<_>>() })
}

fn millis(span: Duration) -> String {
    format!("{:.2} ms", span.as_secs_f64() * 1e3)
}
