//! The table of a benchmark, in the form in which BENCHMARKS.md keeps it.

use super::measure::{Series, Server};

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints one workload: `ours` and `floor` are names in `servers`.
pub fn print(title: &str, operation: &str, servers: &[Server], series: &[Series], ours: &str, floor: &str) {
    let cpu_of = |name: &str| {
        servers.iter().zip(series).find(|(server, _)| server.name == name).map(|(_, s)| median(&s.cpu_micros))
    };
    let (our_cpu, floor_cpu) = (cpu_of(ours).unwrap_or(f64::NAN), cpu_of(floor).unwrap_or(f64::NAN));
    println!("\n### {title}\n");
    println!(
        "| server | CPU µs/{operation} | min–max | × floor | peer ÷ Doorway | {operation}/s | p99 µs | lost | wrong | memory MiB |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (server, series) in servers.iter().zip(series) {
        let cpu = median(&series.cpu_micros);
        let least = series.cpu_micros.iter().copied().fold(f64::INFINITY, f64::min);
        let most = series.cpu_micros.iter().copied().fold(0.0, f64::max);
        let rates: Vec<f64> = series.rounds.iter().map(|round| round.rate).collect();
        let tails: Vec<f64> = series.rounds.iter().map(|round| round.p99_micros).collect();
        let lost: u64 = series.rounds.iter().map(|round| round.lost).sum();
        let wrong: u64 = series.rounds.iter().map(|round| round.wrong).sum();
        let void = if wrong > 0 || series.rounds.iter().any(|round| round.operations == 0) {
            " **void**"
        } else {
            ""
        };
        let tail = median(&tails);
        let tail = if tail.is_nan() { "–".to_owned() } else { format!("{tail:.0}") };
        println!(
            "| {} {}{void} | {cpu:.2} | {least:.2}–{most:.2} | {:.2} | {:.2} | {:.0} | {tail} | {lost} | {wrong} | {:.1} |",
            server.name,
            server.version,
            cpu / floor_cpu,
            cpu / our_cpu,
            median(&rates),
            series.memory_kib as f64 / 1024.0
        );
    }
}
