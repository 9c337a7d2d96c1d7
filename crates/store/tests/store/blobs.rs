//! Blobs from outside: put, link, read, collect; backup, verification and restoring with them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use doorway_base::UnixTime;
use doorway_store::{
    BODY_OCTETS_MIN, BackupTarget, Batch, BlobId, BlobOptions, Blobs, Durability, Embedded, Error, Key,
    LocalBlobs, MemoryStore, Options, OsDisk, READ_OCTETS_MAX, Range, ScanOptions, Store, restore, verify,
    wait,
};

use crate::folder::Folder;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn content(seed: u8, octets: usize) -> Bytes {
    let mut content = vec![0; octets];
    doorway_base::Random::new(u64::from(seed)).fill(&mut content);
    content.into()
}

fn keep(store: &dyn Store, blobs: &dyn Blobs, content: &Bytes) -> BlobId {
    let stored = wait(blobs.put(content.clone(), Durability::Disk)).unwrap();
    store.commit(Batch::new().link(&stored)).wait().unwrap();
    stored.id
}

fn read_all(blobs: &dyn Blobs, id: BlobId) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let part = wait(blobs.read(id, all.len() as u64, READ_OCTETS_MAX)).unwrap();
        if part.is_empty() {
            return all;
        }
        all.extend_from_slice(&part);
    }
}

fn open(folder: &Path) -> (Arc<Embedded>, LocalBlobs) {
    let store = Arc::new(Embedded::open(Options::new(folder)).unwrap());
    let blobs = store.blobs(2).unwrap();
    (store, blobs)
}

/// Blobs with tiny segments, in memory but for their files.
fn small_segments(folder: &Folder) -> (Arc<MemoryStore>, LocalBlobs) {
    let store = Arc::new(MemoryStore::new());
    let options =
        BlobOptions { segment_octets: 4096, ..BlobOptions::new(folder.path(), Arc::new(OsDisk), 0) };
    let blobs = LocalBlobs::open(options, Arc::clone(&store) as Arc<dyn Store>).unwrap();
    (store, blobs)
}

#[test]
fn content_that_was_put_is_read_before_anybody_links_it() {
    let folder = Folder::new();
    let (_store, blobs) = open(folder.path());
    for octets in [10, 100_000, BODY_OCTETS_MIN as usize + 5] {
        let content = content(9, octets);
        let stored = wait(blobs.put(content.clone(), Durability::Disk)).unwrap();
        assert_eq!(wait(blobs.octets(stored.id)), Ok(Some(octets as u64)));
        assert!(read_all(&blobs, stored.id) == content, "{octets} octets");
        drop(stored);
        assert_eq!(wait(blobs.read(BlobId::of(&content), 0, 1)), Err(Error::NoSuchBlob), "nobody holds it");
    }
}

#[test]
fn content_reads_back_whole_and_in_parts_after_reopening() {
    let folder = Folder::new();
    let (store, blobs) = open(folder.path());
    let (small, empty) = (content(1, 100_000), Bytes::new());
    let large = content(2, BODY_OCTETS_MIN as usize + 5);
    let ids: Vec<BlobId> = [&small, &empty, &large].map(|c| keep(&*store, &blobs, c)).to_vec();
    assert_eq!(ids[0], BlobId::of(&small));
    drop((store, blobs));
    let (_store, blobs) = open(folder.path());
    for (id, content) in ids.iter().zip([&small, &empty, &large]) {
        assert_eq!(wait(blobs.octets(*id)).unwrap(), Some(content.len() as u64));
        assert!(read_all(&blobs, *id) == content[..]);
    }
    assert_eq!(wait(blobs.read(ids[0], 500, 7)).unwrap(), small[500..507]);
    assert_eq!(wait(blobs.read(ids[0], 99_999, 50)).unwrap(), small[99_999..]);
    assert_eq!(wait(blobs.read(ids[0], u64::MAX, u64::MAX)).unwrap(), "");
    assert_eq!(wait(blobs.read(BlobId([0; 32]), 0, 1)), Err(Error::NoSuchBlob));
}

#[test]
fn a_stream_becomes_the_same_blob_however_it_is_cut() {
    let folder = Folder::new();
    let (store, blobs) = open(folder.path());
    for octets in [0, 1, 300_000, BODY_OCTETS_MIN as usize - 1, BODY_OCTETS_MIN as usize + 70_000] {
        let content = content(3, octets);
        let mut writer = blobs.writer(Durability::Disk);
        for piece in content.chunks(65_537) {
            wait(writer.write(Bytes::copy_from_slice(piece))).unwrap();
        }
        let stored = wait(writer.finish()).unwrap();
        assert_eq!(stored.id, BlobId::of(&content));
        store.commit(Batch::new().link(&stored)).wait().unwrap();
        assert!(read_all(&blobs, stored.id) == content[..]);
    }
}

#[test]
fn a_stream_that_is_given_up_leaves_nothing() {
    let folder = Folder::new();
    let (_store, blobs) = open(folder.path());
    let mut writer = blobs.writer(Durability::Disk);
    wait(writer.write(content(4, BODY_OCTETS_MIN as usize))).unwrap();
    assert_eq!(fs::read_dir(folder.path().join("bodies")).unwrap().count(), 1);
    drop(writer);
    assert_eq!(fs::read_dir(folder.path().join("bodies")).unwrap().count(), 0);
}

#[test]
fn the_same_content_is_kept_once() {
    let folder = Folder::new();
    let (store, blobs) = open(folder.path());
    let same = content(5, 50_000);
    for _ in 0..10 {
        keep(&*store, &blobs, &same);
    }
    let file = fs::metadata(folder.path().join("segments/00000001.segment")).unwrap();
    assert!(file.len() < 51_000, "{} octets", file.len());
    // Two at the same time, neither linked yet.
    let other = content(6, 50_000);
    let first = wait(blobs.put(other.clone(), Durability::Disk)).unwrap();
    let second = wait(blobs.put(other, Durability::Disk)).unwrap();
    store.commit(Batch::new().link(&first)).wait().unwrap();
    store.commit(Batch::new().link(&second)).wait().unwrap();
    assert!(fs::metadata(folder.path().join("segments/00000001.segment")).unwrap().len() < 102_000);
}

#[test]
fn content_goes_a_day_after_its_last_reference() {
    let folder = Folder::new();
    let (store, blobs) = small_segments(&folder);
    let small = keep(&*store, &blobs, &content(7, 1000));
    let large = keep(&*store, &blobs, &content(8, BODY_OCTETS_MIN as usize));
    store.commit(Batch::new().unlink(&small).unlink(&large)).wait().unwrap();
    assert_eq!(wait(blobs.collect(NOW)).unwrap().removed, 0);
    assert_eq!(wait(blobs.collect(NOW + (DAY - Duration::from_secs(1)))).unwrap().removed, 0);
    // Referred to again for a moment: the day begins anew.
    keep(&*store, &blobs, &content(7, 1000));
    store.commit(Batch::new().unlink(&small)).wait().unwrap();
    let collected = wait(blobs.collect(NOW + DAY)).unwrap();
    assert_eq!((collected.removed, collected.freed_octets), (1, BODY_OCTETS_MIN));
    assert_eq!(wait(blobs.read(large, 0, 1)), Err(Error::NoSuchBlob));
    assert_eq!(wait(blobs.octets(small)).unwrap(), Some(1000));
    assert_eq!(wait(blobs.collect(NOW + 2 * DAY)).unwrap().removed, 1);
    assert_eq!(wait(blobs.octets(small)).unwrap(), None);
}

#[test]
fn a_segment_that_is_mostly_dead_is_rewritten() {
    let folder = Folder::new();
    let (store, blobs) = small_segments(&folder);
    let ids: Vec<BlobId> = (0..12).map(|seed| keep(&*store, &blobs, &content(seed, 1000))).collect();
    let pinned = wait(blobs.put(content(0, 1000), Durability::Disk)).unwrap();
    for id in &ids[1..] {
        store.commit(Batch::new().unlink(id)).wait().unwrap();
    }
    wait(blobs.collect(NOW)).unwrap();
    let collected = wait(blobs.collect(NOW + DAY)).unwrap();
    assert_eq!((collected.removed, collected.compacted), (11, 3));
    assert!(read_all(&blobs, ids[0]) == content(0, 1000)[..], "what lives was moved");
    let moved = store.commit(Batch::new().link(&pinned)).wait();
    assert!(matches!(moved, Err(Error::Conflict(_))), "a link to the old place is refused");
    keep(&*store, &blobs, &content(0, 1000));
}

#[test]
fn content_that_was_put_and_not_linked_is_held_until_it_is_dropped() {
    let folder = Folder::new();
    let (store, blobs) = small_segments(&folder);
    let held = wait(blobs.put(content(1, 3000), Durability::Disk)).unwrap();
    keep(&*store, &blobs, &content(2, 3000));
    assert_eq!(wait(blobs.collect(NOW)).unwrap().compacted, 0);
    assert!(read_all(&blobs, held.id) == content(1, 3000)[..], "whoever put it may read it");
    let large = content(3, BODY_OCTETS_MIN as usize + 1);
    let mut writer = blobs.writer(Durability::Process);
    wait(writer.write(large.clone())).unwrap();
    let body = wait(writer.finish()).unwrap();
    assert!(read_all(&blobs, body.id) == large[..]);
    store.commit(Batch::new().link(&held)).wait().unwrap();
    assert!(read_all(&blobs, held.id) == content(1, 3000)[..]);
}

#[test]
fn damage_is_listed_and_the_reading_goes_on_behind_it() {
    let folder = Folder::new();
    let (store, blobs) = open(folder.path());
    let ids: Vec<BlobId> = (0..3).map(|seed| keep(&*store, &blobs, &content(seed, 10_000))).collect();
    let body = keep(&*store, &blobs, &content(9, BODY_OCTETS_MIN as usize));
    assert!(wait(store.verify()).unwrap().is_sound());
    drop((store, blobs));
    let report = verify(folder.path()).unwrap();
    assert_eq!((report.records, report.blobs, report.damages), (3, 4, 0));
    let segment = folder.path().join("segments/00000001.segment");
    let mut octets = fs::read(&segment).unwrap();
    octets[15_000] ^= 1;
    fs::write(&segment, octets).unwrap();
    fs::write(folder.path().join("bodies").join(body.to_string()), "other").unwrap();
    let report = verify(folder.path()).unwrap();
    assert_eq!(report.records, 2, "the record behind the damage was found");
    let text = report.damage.join("\n");
    assert!(text.contains(&ids[1].to_string()) && text.contains(&body.to_string()), "{text}");
    assert!(!text.contains(&ids[2].to_string()));
    // The damaged record is not cut off with what follows it.
    let (_store, blobs) = open(folder.path());
    assert!(read_all(&blobs, ids[2]) == content(2, 10_000)[..]);
}

#[test]
fn a_damaged_database_is_one_clear_message() {
    let folder = Folder::new();
    drop(open(folder.path()));
    fs::write(folder.path().join("store.db"), vec![7; 8192]).unwrap();
    let _ = fs::remove_file(folder.path().join("store.db-wal"));
    assert!(matches!(Embedded::open(Options::new(folder.path())), Err(Error::Damaged(_))));
    assert!(!verify(folder.path()).unwrap().is_sound());
}

#[test]
fn data_of_a_newer_program_is_refused() {
    let folder = Folder::new();
    drop(open(folder.path()));
    let database = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let refused = Embedded::open(Options::new(folder.path())).err();
    assert_eq!(refused, Some(Error::Newer { found: 99, known: 1 }));
}

#[test]
fn a_backup_taken_while_writing_restores_and_verifies() {
    let folder = Folder::new();
    let (store, blobs) = open(&folder.path().join("data"));
    let ids: Vec<BlobId> = (0..5).map(|seed| keep(&*store, &blobs, &content(seed, 20_000))).collect();
    let large = keep(&*store, &blobs, &content(9, BODY_OCTETS_MIN as usize));
    let before = store.commit(Batch::new().put("before", "1")).wait().unwrap();
    for target in
        [BackupTarget::Folder(folder.path().join("copy")), BackupTarget::File(folder.path().join("copy.tar"))]
    {
        let manifest = std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                for number in 0..300u64 {
                    store
                        .commit(Batch::new().put(Key::from("during/").join_number(number), "1"))
                        .wait()
                        .unwrap();
                }
            });
            let manifest = wait(store.backup(target.clone())).unwrap();
            writing.join().unwrap();
            manifest
        });
        assert!(manifest.seq >= before.seq);
        let (BackupTarget::Folder(from) | BackupTarget::File(from)) = &target;
        let into = folder.path().join("restored");
        assert!(restore(from, &into).unwrap().is_sound());
        let (restored, blobs) = open(&into);
        assert_eq!(restored.get(&[Key::from("before")]).wait().unwrap()[0].as_ref().unwrap().value, "1");
        for (seed, id) in ids.iter().enumerate() {
            assert!(read_all(&blobs, *id) == content(seed as u8, 20_000)[..]);
        }
        assert!(read_all(&blobs, large) == content(9, BODY_OCTETS_MIN as usize)[..]);
        // A prefix of what was written meanwhile, without gaps.
        let page =
            restored.scan(Range::prefix(&Key::from("during/")), ScanOptions::default()).wait().unwrap();
        for (number, (key, _)) in page.rows.iter().enumerate() {
            assert_eq!(*key, Key::from("during/").join_number(number as u64));
        }
        assert!(matches!(restore(from, &into), Err(Error::Local(_))), "never over what is there");
        drop((restored, blobs));
        fs::remove_dir_all(&into).unwrap();
    }
    let taken = wait(store.backup(BackupTarget::Folder(folder.path().join("copy"))));
    assert!(taken.is_err(), "a backup never mixes with another one");
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let folder = Folder::new();
    let (store, blobs) = open(&folder.path().join("data"));
    keep(&*store, &blobs, &content(1, 20_000));
    let copy = folder.path().join("copy.tar");
    wait(store.backup(BackupTarget::File(copy.clone()))).unwrap();
    let whole = fs::read(&copy).unwrap();
    let into = folder.path().join("restored");
    for at in [600, whole.len() / 2, whole.len() - 12_000] {
        let mut harmed = whole.clone();
        harmed[at] ^= 1;
        fs::write(&copy, harmed).unwrap();
        assert!(restore(&copy, &into).is_err(), "octet {at}");
        assert!(!into.exists());
    }
    fs::write(&copy, &whole[..whole.len() / 2]).unwrap();
    assert!(restore(&copy, &into).is_err());
}
