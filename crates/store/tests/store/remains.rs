//! A damaged store gives up everything but what the damage touched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use doorway_base::Random;
use doorway_store::{
    Batch, Blobs, Config, Durability, Embedded, Key, Options, Range, Remains, ScanOptions, Store, wait,
};

use crate::folder::Folder;

const ROWS: u64 = 4000;
const PAGE_OCTETS: u64 = 4096;

fn value(number: u64) -> Vec<u8> {
    let mut value = vec![0; 300 + (number % 7) as usize * 900];
    Random::new(number).fill(&mut value);
    value
}

/// A store with rows and a blob, the last rows in the log alone; the blob's content.
fn fill(folder: &Path) -> Bytes {
    let store = Arc::new(Embedded::open(Options::new(folder)).unwrap());
    for first in (0..ROWS).step_by(100) {
        let batch = (first..first + 100).fold(Batch::new(), |batch, number| {
            batch.put(Key::from("row/").join_number(number), value(number))
        });
        store.commit(batch).wait().unwrap();
    }
    let content = Bytes::from(value(77));
    let stored = wait(store.blobs(1).unwrap().put(content.clone(), Durability::Disk)).unwrap();
    store.commit(Batch::new().put("blob", stored.id.0.to_vec()).link(&stored)).wait().unwrap();
    store.flush().wait().unwrap();
    store.commit(Batch::new().put("late/1", "one")).wait().unwrap();
    store.commit(Batch::new().put("late/2", "two")).wait().unwrap();
    content
}

/// How many rows are read as they were written. The database has no checksums: a long value may come with
/// other octets than it had, which is for its owner to see.
fn read(remains: &Remains) -> usize {
    let prefix = Key::from("row/");
    let mut seen = BTreeMap::new();
    let options = ScanOptions { limit: 150, reverse: false };
    let mut rest = Some(Range::prefix(&prefix));
    while let Some(range) = rest {
        let page = wait(remains.scan(range.clone(), options)).unwrap();
        for (key, row) in &page.rows {
            let number = u64::from_be_bytes(key.after(&prefix).unwrap().try_into().unwrap());
            let whole = row.value == value(number);
            assert!(seen.insert(number, whole).is_none(), "row {number} comes once");
        }
        rest = page.rest(&range, options);
    }
    seen.into_values().filter(|whole| *whole).count()
}

#[test]
fn a_sound_store_is_read_whole() {
    let folder = Folder::new();
    let content = fill(folder.path());
    let remains = Remains::open(folder.path()).unwrap();
    assert_eq!(read(&remains), ROWS as usize);
    assert_eq!(remains.damage(), Vec::<String>::new());
    let late = wait(remains.get(&["late/1".into(), "late/2".into(), "late/3".into()])).unwrap();
    assert_eq!(late.iter().flatten().count(), 2);
    assert_eq!(wait(remains.read(doorway_store::BlobId::of(&content), 0, u64::MAX)), Ok(content));
    assert!(remains.commit(Batch::new().put("a", "b")).wait().is_err(), "nothing is written");
}

#[test]
fn damaged_pages_cost_the_rows_on_them_and_no_others() {
    let folder = Folder::new();
    let content = fill(folder.path());
    let database = folder.path().join("store.db");
    assert!(database.is_file(), "{:?}", fs::read_dir(folder.path()).unwrap().collect::<Vec<_>>());
    // The database's own log goes into it when the last one closes it.
    let pages = fs::metadata(&database).unwrap().len() / PAGE_OCTETS;
    let mut random = Random::new(3);
    for round in 0..5 {
        let page = 3 + random.below(pages - 3);
        let file = fs::File::options().write(true).open(&database).unwrap();
        file.write_all_at(&[0x5a; PAGE_OCTETS as usize], page * PAGE_OCTETS).unwrap();
        let remains = Remains::open(folder.path()).unwrap();
        let left = read(&remains);
        // An inner page takes the leaves below it along; a leaf of this table holds few rows.
        assert!(left > ROWS as usize * 7 / 10, "round {round}: page {page} of {pages}: {left} rows are left");
        assert!(remains.damage().len() <= 2000);
    }
    let remains = Remains::open(folder.path()).unwrap();
    assert!(
        wait(remains.read(doorway_store::BlobId::of(&content), 0, u64::MAX)) == Ok(content),
        "found by its hash"
    );
}

#[test]
fn a_database_that_is_none_leaves_the_log_and_the_blobs() {
    let folder = Folder::new();
    let content = fill(folder.path());
    fs::write(folder.path().join("store.db"), vec![7; 100_000]).unwrap();
    for name in ["store.db-wal", "store.db-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    let remains = Remains::open(folder.path()).unwrap();
    let late = wait(remains.get(&["late/1".into(), "late/2".into()])).unwrap();
    assert_eq!(late.iter().flatten().count(), 2);
    assert!(!remains.damage().is_empty());
    assert_eq!(wait(remains.read(doorway_store::BlobId::of(&content), 0, u64::MAX)), Ok(content));
}

#[test]
fn a_damaged_record_of_the_log_does_not_hide_those_behind_it() {
    let folder = Folder::new();
    let options = Options { config: Config::default(), ..Options::new(folder.path()) };
    let store = Embedded::open(options).unwrap();
    for number in 0..50 {
        store.commit(Batch::new().put(Key::from("row/").join_number(number), value(number))).wait().unwrap();
    }
    // A copy of the log as it is now: closing the store would let the database take it over.
    let copy = Folder::new();
    fs::create_dir_all(copy.path().join("log")).unwrap();
    for entry in fs::read_dir(folder.path().join("log")).unwrap() {
        let entry = entry.unwrap();
        let mut octets = fs::read(entry.path()).unwrap();
        let middle = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last / 2);
        octets[middle] ^= 1;
        fs::write(copy.path().join("log").join(entry.file_name()), octets).unwrap();
    }
    let remains = Remains::open(copy.path()).unwrap();
    assert_eq!(read(&remains), 49);
}
