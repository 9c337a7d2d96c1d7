//! Power cuts at every moment of seeded runs: what was acknowledged as durable is there afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use doorway_base::{Disk, Random};

use crate::batch::{Change, Changes};
use crate::blob::{BlobId, Location};
use crate::io::log::Log;
use crate::io::segments::Segments;
use crate::key::Key;
use crate::log;

#[path = "../../tests/store/fault_disk.rs"]
mod fault_disk;

use fault_disk::FaultDisk;

/// Runs with different seeds.
const RUNS: u64 = 16;
/// Power cuts tried at each moment.
const CUTS: u64 = 4;

/// A moment of a run: the disk, and what had been promised by then.
struct Moment<P> {
    disk: FaultDisk,
    promised: P,
}

#[derive(Clone, Default)]
struct LogPromise {
    /// Last commit acknowledged as durable.
    acknowledged: u64,
    /// What the database has, and up to which commit.
    database: Changes,
    database_seq: u64,
}

#[test]
fn after_a_power_cut_at_any_moment_the_log_has_every_acknowledged_commit() {
    let mut cuts = 0;
    for seed in 0..RUNS {
        let mut random = Random::new(seed);
        let (moments, states) = run_log(&mut random);
        for moment in moments {
            for _ in 0..CUTS {
                cuts += 1;
                check_log(&moment, &states, &mut random, seed, 0);
            }
        }
    }
    assert!(cuts > 5_000, "only {cuts} power cuts");
}

/// Commits, rotates and lets a database take over, at random; keeps every moment, and the rows after
/// each commit.
fn run_log(random: &mut Random) -> (Vec<Moment<LogPromise>>, Vec<Changes>) {
    let disk = FaultDisk::default();
    let mut moments = Vec::new();
    let mut promised = LogPromise::default();
    let mut states = vec![Changes::new()];
    let (mut log, _) = Log::open(Arc::new(disk.clone()), PathBuf::from("log"), 0).unwrap();
    let mut frozen = None;
    let mut record = Vec::new();
    for _ in 0..60 {
        let steps = disk.steps();
        match random.below(10) {
            0 if frozen.is_none() => {
                let seq = states.len() as u64 - 1;
                frozen = Some((log.rotate(seq).unwrap(), seq));
                // A rotation syncs what came before it.
            }
            1 if frozen.is_some() => {
                if let Some((slot, seq)) = frozen.take() {
                    promised.database = states[seq as usize].clone();
                    promised.database_seq = seq;
                    promised.acknowledged = promised.acknowledged.max(seq);
                    log.recycle(slot);
                }
            }
            _ => {
                let first = states.len() as u64;
                let mut changes = Changes::new();
                for _ in 0..=random.below(3) {
                    let key = Key::from("k").join_number(random.below(12));
                    let value = vec![7; random.below(900) as usize];
                    let value = random.chance(0.8).then(|| Bytes::from(value));
                    changes.insert(key, Change { value, version: first });
                }
                log::encode(&mut record, log.epoch(), first, first, &changes);
                log.append(&record).unwrap();
                moments.push(Moment { disk: disk.fork(), promised: promised.clone() });
                let mut state = states.last().cloned().unwrap_or_default();
                state.extend(changes);
                states.push(state);
                if random.chance(0.6) {
                    log.sync().unwrap();
                    moments.push(Moment { disk: disk.fork(), promised: promised.clone() });
                    promised.acknowledged = first;
                }
            }
        }
        if disk.steps() != steps {
            moments.push(Moment { disk: disk.fork(), promised: promised.clone() });
        }
    }
    (moments, states)
}

fn check_log(moment: &Moment<LogPromise>, states: &[Changes], random: &mut Random, seed: u64, depth: u32) {
    // Sometimes only the process ends: everything is read back from the system's memory, and the power
    // cut comes after the restart.
    let killed = depth == 0 && random.chance(0.3);
    let disk = if killed { moment.disk.fork() } else { moment.disk.after_power_cut(random) };
    let LogPromise { acknowledged, database, database_seq } = &moment.promised;
    let (mut log, replayed) = Log::open(Arc::new(disk.clone()), PathBuf::from("log"), *database_seq).unwrap();
    assert!(
        replayed.seq >= *acknowledged,
        "SEED={seed}: {acknowledged} was acknowledged, {} is there",
        replayed.seq
    );
    let mut rows = database.clone();
    rows.extend(replayed.changes);
    assert_eq!(
        rows, states[replayed.seq as usize],
        "SEED={seed}: the rows are those after commit {}",
        replayed.seq
    );
    if depth < 2 {
        // Life goes on: another commit, which a second power cut must not take away or mix up.
        let mut states = states[..=replayed.seq as usize].to_vec();
        let (mut record, seq) = (Vec::new(), replayed.seq + 1);
        let changes = Changes::from([(
            Key::from("later"),
            Change { value: Some(Bytes::from(vec![depth as u8; 700])), version: seq },
        )]);
        log::encode(&mut record, log.epoch(), seq, seq, &changes);
        log.append(&record).unwrap();
        log.sync().unwrap();
        rows.extend(changes);
        states.push(rows);
        let promised =
            LogPromise { acknowledged: seq, database: database.clone(), database_seq: *database_seq };
        check_log(&Moment { disk, promised }, &states, random, seed, depth + 1);
    }
}

type BlobPromise = BTreeMap<BlobId, Location>;

#[test]
fn after_a_power_cut_at_any_moment_the_segments_have_every_acknowledged_blob() {
    let folder = Path::new("segments");
    let mut cuts = 0;
    for seed in 0..RUNS {
        let mut random = Random::new(seed);
        let disk = FaultDisk::default();
        let mut segments = Segments::open(Arc::new(disk.clone()), folder, 8000).unwrap();
        let (mut unsynced, mut promised) = (BlobPromise::new(), BlobPromise::new());
        let mut moments = Vec::new();
        for _ in 0..25 {
            let group: Vec<(BlobId, Bytes)> = (0..=random.below(3))
                .map(|_| {
                    let mut content = vec![0; random.below(2000) as usize];
                    random.fill(&mut content);
                    (BlobId::of(&content), Bytes::from(content))
                })
                .collect();
            let sync = random.chance(0.6);
            let places = segments.append(&group, false).unwrap();
            unsynced.extend(group.iter().map(|(id, _)| *id).zip(places));
            moments.push(Moment { disk: disk.fork(), promised: promised.clone() });
            if sync {
                segments.sync().unwrap();
                promised.append(&mut unsynced);
                moments.push(Moment { disk: disk.fork(), promised: promised.clone() });
            }
        }
        for Moment { disk, promised } in moments {
            for _ in 0..CUTS {
                cuts += 1;
                let disk: Arc<dyn Disk> = Arc::new(disk.after_power_cut(&mut random));
                let mut segments = Segments::open(Arc::clone(&disk), folder, 8000).unwrap();
                // What is appended now must not overwrite what was promised.
                segments.append(&[(BlobId::of(b"later"), Bytes::from_static(b"later"))], true).unwrap();
                for (id, location) in &promised {
                    let Location::Segment { segment, offset, octets } = *location else {
                        panic!("a segment")
                    };
                    let content = segments.files().read(segment, offset, 0..octets).unwrap();
                    assert_eq!(BlobId::of(&content), *id, "SEED={seed}");
                }
            }
        }
    }
    assert!(cuts > 2_000, "only {cuts} power cuts");
}
