//! Damage of each kind is found, told with its place, and put right where that is possible.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use doorway_base::Random;
use doorway_mail::MessageId;
use doorway_mail::io::fsck::{Damage, FsckReport};
use doorway_mail::io::{Bodies, Content, Delivered, Mailboxes, Quota, fsck, salvage};
use doorway_mail::mailbox::{Flags, FolderId, FolderName, UidSet};
use doorway_store::{Batch, Embedded, Key, Options, Remains, Store, wait};

use crate::archive::Folder;
use crate::support::{House, NOW};

fn check(house: &House, repair: bool) -> FsckReport {
    wait(fsck(&house.mailboxes, repair, &mut |_| {})).unwrap()
}

/// Two users with folders, shared and copied bodies, long ones among them.
fn house() -> House {
    let house = House::new();
    let (ann, bob) = (house.account(1), house.account(2));
    let work = house.folder(&ann, "Work");
    for number in 0..20 {
        let text = format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(number * 5000));
        house.deliver(&[(&ann, None), (&ann, Some(&work)), (&bob, None)], text.as_bytes());
    }
    wait(house.mailboxes.copy(&ann, FolderId::INBOX, &UidSet::range(3, 9), &work)).unwrap();
    wait(house.mailboxes.expunge(2, FolderId::INBOX, &UidSet::range(1, 5))).unwrap();
    house
}

/// Does `harm`, and expects these words of the check, which a repair puts right if `mends`.
fn expect(harm: impl FnOnce(&House), words: &str, mends: bool) {
    let house = house();
    harm(&house);
    let found = check(&house, false);
    let told: Vec<String> = found.damage.iter().map(Damage::to_string).collect();
    assert_eq!(told, [words], "the check tells it, and nothing else");
    assert!(!found.is_sound());
    let repaired = check(&house, true);
    assert_eq!(repaired.is_sound(), mends, "{:?}", repaired.damage);
    let after = check(&house, false);
    assert_eq!(after.damages == 0, mends, "{:?}", after.damage);
}

fn commit(house: &House, batch: Batch) {
    house.store.commit(batch).wait().unwrap();
}

#[test]
fn sound_mailboxes_are_sound() {
    let report = check(&house(), true);
    assert_eq!(report.damage, []);
    assert_eq!((report.accounts, report.folders, report.messages, report.bodies), (2, 3, 62, 20));
}

#[test]
fn a_flipped_bit_is_found_with_its_account_folder_and_uid() {
    expect(
        |house| {
            let (key, row) = house.rows("mail.body/").remove(1);
            let mut octets = row.value.to_vec();
            let last = octets.len() - 10;
            octets[last] ^= 4;
            // Two of its three recipients have expunged theirs or not got it.
            for user in [1, 2] {
                wait(house.mailboxes.expunge(user, FolderId::INBOX, &UidSet::range(2, 2))).unwrap();
            }
            commit(house, Batch::new().put(key, octets));
        },
        "user 1, folder Work, UID 2: the octets are not those that were kept",
        false,
    );
}

#[test]
fn a_body_that_is_missing_is_found() {
    expect(
        |house| {
            let (key, _) = house.rows("mail.body/").remove(0);
            let id = MessageId(u64::from_be_bytes(key.as_octets()[10..].try_into().unwrap()));
            wait(house.mailboxes.expunge(1, FolderId(2), &UidSet::range(1, 1))).unwrap();
            let more = Key::from("mail.body.more/").join_number(id.0);
            commit(house, Batch::new().delete(key).delete(more));
            // Its name is when it came, so that the words below are always the same.
            assert_eq!(id.to_string(), "001jvzvd2br00");
        },
        "user 1, folder INBOX, UID 1: its body 001jvzvd2br00 is missing",
        false,
    );
}

#[test]
fn counters_that_are_wrong_are_put_right() {
    let count = Key::from("mail.state/").join_number(1).join_number(2).join("count");
    expect(
        |house| commit(house, Batch::new().add(count, 5)),
        "user 1, folder Work, the count of messages is 32 and has to be 27",
        true,
    );
    let uid = Key::from("mail.state/").join_number(2).join_number(1).join("uid");
    expect(
        |house| commit(house, Batch::new().add(uid, -7)),
        "user 2, folder INBOX, the last UID is 13 and has to be 20",
        true,
    );
}

#[test]
fn references_that_are_wrong_are_put_right() {
    let id = "001jvzvd2br00";
    let more = Key::from("mail.body.more/").join_number(id.parse::<MessageId>().unwrap().0);
    expect(
        |house| commit(house, Batch::new().add(more, 3)),
        &format!("body {id} has 2 references and 5 are kept"),
        true,
    );
    expect(
        |house| {
            let bodies = house.mailboxes.bodies();
            let content = Content::Memory(vec![Bytes::from(vec![b'x'; 100_000])]);
            let prepared = wait(bodies.prepare(b"", &content)).unwrap();
            commit(house, bodies.keep(Batch::new(), MessageId(77), &prepared, 4));
        },
        "body 000000000002d is nobody's",
        true,
    );
}

#[test]
fn a_folder_that_was_being_deleted_is_deleted_to_its_end() {
    expect(
        |house| commit(house, Batch::new().delete(Key::from("mail.folder/").join_number(1).join("Work"))),
        "user 1, folder number 2, there are messages of a folder that is gone",
        true,
    );
}

#[test]
fn rows_that_cannot_be_read_are_told() {
    let message = Key::from("mail.message/").join_number(2).join_number(1).join_number(9);
    expect(
        |house| {
            let (_, row) = house.rows("mail.message/").into_iter().find(|(key, _)| *key == message).unwrap();
            wait(house.mailboxes.expunge(2, FolderId::INBOX, &UidSet::range(9, 9))).unwrap();
            // Its octets are counted, so that only the row is wrong.
            let state = |name| Key::from("mail.state/").join_number(2).join_number(1).join(name);
            commit(house, Batch::new().put(message, row.value.slice(..5)).add(state("count"), 1));
        },
        "user 2, folder INBOX, UID 9: the message's row: expected name of the body at octet 5",
        false,
    );
}

/// A store on disk with messages of all lengths; what each of them says.
fn on_disk(folder: &Folder) -> Vec<Vec<u8>> {
    let store = Arc::new(Embedded::open(Options::new(&folder.0)).unwrap());
    let blobs = store.blobs(1).unwrap();
    let bodies = Bodies::new(Arc::clone(&store) as Arc<dyn Store>, Arc::new(blobs));
    let mailboxes = Mailboxes::new(bodies, Quota::default());
    let account = wait(mailboxes.open_account(7, NOW)).unwrap();
    let name = FolderName::parse("Work").unwrap();
    let work = wait(mailboxes.create_folder(&account, &name, None, NOW)).unwrap();
    let mut messages = Vec::new();
    for number in 0..200u64 {
        let mut text = format!("Subject: message {number}\n\n").into_bytes();
        let length = if number % 20 == 0 { 80_000 } else { 500 + 40 * number as usize };
        let mut random = Random::new(number);
        while text.len() < length {
            text.extend(format!("{:016x}\n", random.below(u64::MAX)).bytes());
        }
        let content = String::from_utf8_lossy(&text).replace('\n', "\r\n");
        let prepared = wait(mailboxes.bodies().prepare(b"", &Content::Memory(vec![content.into()]))).unwrap();
        let id = MessageId(1_790_000_000_000_000 + number);
        let batch = mailboxes.bodies().keep(Batch::new(), id, &prepared, 1);
        let message = Delivered { id, at: NOW, octets: prepared.octets(), flags: Flags::NONE };
        let folder = (number % 2 == 0).then_some(&work);
        store.commit(mailboxes.deliver(batch, &account, folder, &message)).wait().unwrap();
        messages.push(text);
    }
    store.flush().wait().unwrap();
    messages
}

/// The files of a Maildir.
fn files(path: &std::path::Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(path.join("cur")) else { return Vec::new() };
    entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn salvage_brings_out_every_other_message() {
    let (folder, out) = (Folder::new(), Folder::new());
    let messages = on_disk(&folder);
    // One bit of a short message, in the database, and one of a long one, in a segment.
    let harm = |path: &std::path::Path, text: &[u8]| {
        let mut octets = fs::read(path).unwrap();
        let at = octets.windows(text.len()).position(|window| window == text).unwrap();
        octets[at] ^= 1;
        fs::write(path, octets).unwrap();
    };
    let line = |number: usize| messages[number].split(|octet| *octet == b'\n').nth(3).unwrap().to_vec();
    harm(&folder.0.join("store.db"), &line(3));
    let segments = folder.0.join("segments");
    let segment = fs::read_dir(&segments).unwrap().next().unwrap().unwrap().path();
    harm(&segment, &line(40));

    let remains = Arc::new(Remains::open(&folder.0).unwrap());
    let done = wait(salvage(&remains, &out.0, &mut |_| {})).unwrap();
    assert_eq!((done.progress.messages, done.progress.failed, done.damaged, done.lost), (198, 2, 2, 0));
    assert!(
        done.progress.problems[0].starts_with("user-7, INBOX, 2: the octets"),
        "{:?}",
        done.progress.problems
    );
    assert!(done.progress.problems[1].starts_with("user-7, Work, 21: blob "), "{:?}", done.progress.problems);
    let mut whole = files(&out.0.join("user-7"));
    whole.extend(files(&out.0.join("user-7/.Work")));
    whole.sort();
    let mut expected: Vec<_> = messages
        .iter()
        .enumerate()
        .filter(|(at, _)| ![3, 40].contains(at))
        .map(|(_, text)| text.clone())
        .collect();
    expected.sort();
    assert!(whole == expected, "all the others are as they were");
    assert_eq!(files(&out.0.join("damaged")).len(), 2);
}

#[test]
fn salvage_reads_past_pages_that_are_none() {
    let (folder, out) = (Folder::new(), Folder::new());
    let messages = on_disk(&folder);
    let path = folder.0.join("store.db");
    let mut octets = fs::read(&path).unwrap();
    // The row of message 100 is inside this page; what lies on it is lost, and what lies elsewhere is not.
    let id = (1_790_000_000_000_100u64).to_be_bytes();
    let key = [b"mail.message/".as_slice(), &7u64.to_be_bytes(), &2u64.to_be_bytes(), &51u64.to_be_bytes()]
        .concat();
    let at = octets.windows(key.len()).position(|window| window == key).unwrap();
    assert!(octets.windows(8).any(|window| window == id));
    octets[at / 4096 * 4096..][..4096].fill(0x99);
    fs::write(&path, octets).unwrap();
    let remains = Arc::new(Remains::open(&folder.0).unwrap());
    let done = wait(salvage(&remains, &out.0, &mut |_| {})).unwrap();
    assert!(done.progress.messages >= 120, "{done:?}");
    assert!(done.lost >= 1, "bodies whose messages are lost come out too: {done:?}");
    assert_eq!(done.progress.messages + done.lost + done.progress.failed, 200, "{done:?}");
    let mut whole = files(&out.0.join("user-7"));
    whole.extend(files(&out.0.join("user-7/.Work")));
    whole.extend(files(&out.0.join("user-7/.folder-2")));
    whole.extend(files(&out.0.join("lost")));
    assert!(whole.len() as u64 == done.progress.messages + done.lost);
    assert!(whole.iter().all(|text| messages.contains(text)), "nothing else comes out");
}
