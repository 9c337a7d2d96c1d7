//! Disks that fail under a running store.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use doorway_base::Disk;
use doorway_store::{
    Batch, BlobOptions, Blobs, Config, Durability, Embedded, Error, Key, LocalBlobs, MemoryStore, Options,
    Store, wait,
};

use crate::fault_disk::FaultDisk;
use crate::folder::Folder;

fn open(folder: &Folder, disk: &FaultDisk) -> Embedded {
    let config = Config { min_free: 1000, ..Config::default() };
    Embedded::open(Options { config, disk: Arc::new(disk.clone()), ..Options::new(folder.path()) }).unwrap()
}

fn value(store: &dyn Store, key: &str) -> Option<Bytes> {
    store.get(&[Key::from(key)]).wait().unwrap().pop().unwrap().map(|row| row.value)
}

#[test]
fn after_a_failed_sync_the_store_takes_no_writes_until_it_is_reopened() {
    let (folder, disk) = (Folder::new(), FaultDisk::default());
    let store = open(&folder, &disk);
    store.commit(Batch::new().put("before", "1")).wait().unwrap();
    disk.set_sync_fails(true);
    assert!(matches!(store.commit(Batch::new().put("during", "2")).wait(), Err(Error::Failed(_))));
    // The disk says that all is well again, but what it lost in between nobody knows.
    disk.set_sync_fails(false);
    let steps = disk.steps();
    assert!(matches!(store.commit(Batch::new().put("after", "3")).wait(), Err(Error::Failed(_))));
    assert_eq!(disk.steps(), steps, "nothing is written or synced any more");
    assert!(store.failure().is_some());
    assert_eq!(value(&store, "before").unwrap(), "1", "reading goes on");
    assert_eq!(value(&store, "during"), None, "what was not acknowledged is not shown");
    drop(store);
    let store = open(&folder, &disk);
    assert_eq!(value(&store, "before").unwrap(), "1");
    assert_eq!(value(&store, "after"), None);
    store.commit(Batch::new().put("after", "4")).wait().unwrap();
}

#[test]
fn a_full_disk_refuses_new_rows_and_takes_them_again_when_there_is_room() {
    let (folder, disk) = (Folder::new(), FaultDisk::default());
    let store = open(&folder, &disk);
    store.commit(Batch::new().put("a", "1").put("b", "1")).wait().unwrap();
    disk.set_room(Some(999));
    let refused = store.commit(Batch::new().put("c", "1")).wait();
    assert_eq!(refused, Err(Error::Full { free: 999, min_free: 1000 }));
    store.commit(Batch::new().delete("b")).wait().expect("removing makes room");
    disk.set_room(Some(1000));
    // There seems to be room, but the write does not fit: half of its record is on the disk.
    let large = Batch::new().put("large", vec![7; 3000]);
    assert!(matches!(store.commit(large.clone()).wait(), Err(Error::Full { .. })));
    assert_eq!(value(&store, "large"), None);
    disk.set_room(None);
    store.commit(large).wait().unwrap();
    drop(store);
    let store = open(&folder, &disk);
    assert_eq!((value(&store, "a").unwrap(), value(&store, "b")), ("1".into(), None));
    assert_eq!(value(&store, "large").unwrap().len(), 3000);
}

fn blobs(disk: &FaultDisk) -> LocalBlobs {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = BlobOptions { min_free: 0, ..BlobOptions::new(PathBuf::from("blobs"), disk, 0) };
    LocalBlobs::open(options, Arc::new(MemoryStore::new())).unwrap()
}

#[test]
fn blobs_hear_of_a_full_disk_and_recover() {
    let disk = FaultDisk::default();
    let blobs = blobs(&disk);
    let content = Bytes::from(vec![7; 5000]);
    disk.set_room(Some(600));
    assert!(matches!(wait(blobs.put(content.clone(), Durability::Disk)), Err(Error::Full { .. })));
    disk.set_room(None);
    let stored = wait(blobs.put(content.clone(), Durability::Disk)).unwrap();
    assert_eq!(stored.octets, 5000);
}

#[test]
fn blobs_take_nothing_more_after_a_failed_sync() {
    let disk = FaultDisk::default();
    let blobs = blobs(&disk);
    disk.set_sync_fails(true);
    assert!(matches!(wait(blobs.put(Bytes::from_static(b"a"), Durability::Disk)), Err(Error::Failed(_))));
    disk.set_sync_fails(false);
    assert!(matches!(wait(blobs.put(Bytes::from_static(b"b"), Durability::Disk)), Err(Error::Failed(_))));
}
