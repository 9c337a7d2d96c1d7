//! `kill -9` under write load: what was acknowledged is there after a restart.
//!
//! The test runs itself as a child that writes rows and blobs and prints what the store acknowledged,
//! kills it at a random moment, opens the folder and looks. `DOORWAY_CRASH_ROUNDS` says how often.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use doorway_base::Random;
use doorway_store::{
    Batch, BlobId, Blobs, Config, Durability, Embedded, Key, Options, Range, ScanOptions, Store, verify, wait,
};

use crate::folder::Folder;

const CHILD_FOLDER: &str = "DOORWAY_CRASH_CHILD_FOLDER";
const CHILD_SEED: &str = "DOORWAY_CRASH_CHILD_SEED";
const WRITERS: u64 = 8;
/// A restart takes no longer than this.
const REOPEN_MAX: Duration = Duration::from_secs(1);

fn options(folder: &Path) -> Options {
    // Small, so that the database takes over many times in a round.
    Options { config: Config { flush_octets: 256 << 10, ..Config::default() }, ..Options::new(folder) }
}

/// What a writer stores under a number, so that the reader can tell whether it is whole.
fn value(writer: u64, number: u64) -> Vec<u8> {
    let mut value = vec![0; (200 + number % 300) as usize];
    Random::new(writer << 32 | number).fill(&mut value);
    value
}

/// The content of the blob that a writer links to every sixteenth row.
fn content(writer: u64, number: u64) -> Bytes {
    let mut content = vec![0; (number % 50_000) as usize];
    Random::new(!(writer << 32 | number)).fill(&mut content);
    content.into()
}

/// The child: writes until it is killed. Not a test of its own.
#[test]
fn child_that_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let seed: u64 = std::env::var(CHILD_SEED).unwrap().parse().unwrap();
    let store = Arc::new(Embedded::open(options(folder.as_ref())).unwrap());
    let blobs = store.blobs(1).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, blobs) = (&store, &blobs);
            scope.spawn(move || {
                for number in seed << 24.. {
                    let durability = if number % 2 == 0 { Durability::Disk } else { Durability::Process };
                    let row = Key::from("row/").join_number(writer).join_number(number);
                    let batch = Batch::new().durability(durability).put(row, value(writer, number));
                    let mut batch = batch.add(Key::from("count/").join_number(writer), 1);
                    if number % 16 == 0 {
                        let content = content(writer, number);
                        batch = batch.link(&wait(blobs.put(content, Durability::Disk)).unwrap());
                    }
                    store.commit(batch).wait().unwrap();
                    // One write, so that a line is there whole or not at all.
                    let line = format!("acknowledged {writer} {number}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                    std::io::stdout().flush().unwrap();
                }
            });
        }
    });
}

fn start(folder: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a kill comes at a real moment, and a restart takes real time")]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let rounds = std::env::var("DOORWAY_CRASH_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    let folder = Folder::new();
    let mut random = Random::new(0xd00);
    let mut acknowledged: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let mut child = start(folder.path(), round + 1);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut lines = String::new();
            output.read_to_string(&mut lines).unwrap();
            lines
        });
        std::thread::sleep(Duration::from_millis(5 + random.below(295)));
        child.kill().unwrap();
        child.wait().unwrap();
        let lines = reader.join().unwrap();
        for line in BufReader::new(lines.as_bytes()).lines().map_while(Result::ok) {
            let Some((_, numbers)) = line.split_once("acknowledged ") else { continue };
            let (writer, number) = numbers.split_once(' ').unwrap();
            acknowledged.entry(writer.parse().unwrap()).or_default().push(number.parse().unwrap());
        }
        let before = Instant::now();
        let store = Arc::new(Embedded::open(options(folder.path())).unwrap());
        let blobs = store.blobs(1).unwrap();
        slowest = slowest.max(before.elapsed());
        assert!(before.elapsed() < REOPEN_MAX, "round {round}: reopening took {:?}", before.elapsed());
        check(&store, &blobs, &acknowledged, round);
    }
    let rows: usize = acknowledged.values().map(Vec::len).sum();
    assert!(rows > 0, "the child never got to write");
    let report = verify(folder.path()).unwrap();
    assert!(report.is_sound(), "{:?}", report.damage);
    println!(
        "{rounds} rounds, {rows} rows acknowledged, {} blobs, none lost, slowest restart {slowest:?}",
        report.blobs
    );
}

fn check(store: &Embedded, blobs: &dyn Blobs, acknowledged: &BTreeMap<u64, Vec<u64>>, round: u64) {
    for writer in 0..WRITERS {
        let prefix = Key::from("row/").join_number(writer);
        let mut found = BTreeMap::new();
        let mut range = Some(Range::prefix(&prefix));
        while let Some(part) = range {
            let page = store.scan(part.clone(), ScanOptions::default()).wait().unwrap();
            for (key, row) in &page.rows {
                let number = u64::from_be_bytes(key.after(&prefix).unwrap().try_into().unwrap());
                assert_eq!(row.value, value(writer, number), "round {round}: row {writer} {number} is whole");
                found.insert(number, ());
            }
            range = page.rest(&part, ScanOptions::default());
        }
        for number in acknowledged.get(&writer).into_iter().flatten() {
            assert!(found.contains_key(number), "round {round}: row {writer} {number} was acknowledged");
            // The newest are read whole; that all of them are where their rows say is seen below.
            if number % 16 == 0 && number >> 24 == round + 1 {
                let content = content(writer, *number);
                let read = wait(blobs.read(BlobId::of(&content), 0, u64::MAX));
                assert!(read.as_ref() == Ok(&content), "round {round}: blob {writer} {number} is there");
            }
        }
        let count = store.get(&[Key::from("count/").join_number(writer)]).wait().unwrap().pop().unwrap();
        let count = count.map_or(0, |row| row.number().unwrap());
        assert_eq!(count, found.len() as i64, "round {round}: a batch is there whole or not at all");
    }
}
