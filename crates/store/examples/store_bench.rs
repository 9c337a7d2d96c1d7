//! Measures the store in a folder: `cargo run --release --example store_bench -- FOLDER`.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own, with its own clock"
)]

use std::sync::Arc;
use std::time::Duration;

use doorway_store::{BenchOptions, Error, bench};

fn main() -> Result<(), Error> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "store-bench".to_owned());
    let begin = std::time::Instant::now();
    let clock = Arc::new(move || doorway_base::Instant::ZERO + begin.elapsed());
    let options = BenchOptions { time: Duration::from_secs(3), ..BenchOptions::new(clock) };
    let report = bench(folder.as_ref(), &options)?;
    for measured in [&report.one_sync_per_row, &report.raw_groups].into_iter().chain(&report.store) {
        println!(
            "{:48} {:>9.0} rows/s  {:>6.1} x  p50 {:>9.1?}  p99 {:>9.1?}  {:>6.0} syncs/s",
            measured.name,
            measured.rows_per_second(),
            report.ratio(measured),
            measured.p50,
            measured.p99,
            measured.syncs_per_second()
        );
    }
    Ok(())
}
