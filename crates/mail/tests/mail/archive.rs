//! What is exported and imported again is what it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use doorway_base::UnixTime;
use doorway_mail::io::mailboxes::FlagChange;
use doorway_mail::io::{Account, ArchiveSource, Form, Progress, export, import};
use doorway_mail::mailbox::{Flags, FolderName, SystemFlag, Uid, UidSet};
use doorway_store::{READ_OCTETS_MAX, wait};

use crate::support::{House, NOW};

/// A folder that did not exist before, removed when the test is over.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("mail-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Octets, seconds of the internal date, flags.
type Seen = (Vec<u8>, u64, Flags);

/// Each folder with its messages.
fn contents(house: &House, account: &Account) -> Vec<(String, Vec<Seen>)> {
    let mut folders = Vec::new();
    for folder in wait(house.mailboxes.folders(account)).unwrap() {
        let page = wait(house.mailboxes.messages(account.user, folder.id, 1..=Uid::MAX, usize::MAX)).unwrap();
        let bodies = house.mailboxes.bodies();
        let messages = page.messages.into_iter().map(|message| {
            let body = wait(bodies.body(message.id)).unwrap().unwrap();
            let mut octets = Vec::new();
            while (octets.len() as u64) < body.octets() {
                octets.extend(wait(bodies.read(&body, octets.len() as u64, READ_OCTETS_MAX)).unwrap());
            }
            assert_eq!(octets.len() as u64, message.octets);
            (octets, message.at.as_secs(), message.flags)
        });
        folders.push((folder.name.to_string(), messages.collect()));
    }
    folders
}

/// An account with all sorts of messages.
fn fill(house: &House) -> Account {
    let account = house.account(1);
    let long: Vec<u8> =
        b"\r\n".iter().chain(b"From a long one\r\n".iter().cycle().take(17 * 20_000)).copied().collect();
    let messages: [&[u8]; 7] = [
        b"Return-Path: <ann@crepes.fr>\r\nSubject: one\r\n\r\nhello\r\n",
        b"Subject: two\r\n\r\nFrom here on\r\n>From there\r\n.\r\n\r\n\r\n",
        b"no header at all\r\n",
        b"\r\nFrom the first line of the body\r\n",
        b"\r\n",
        b"Subject: \xff\xfe\r\n\r\n\x00octets\r\n",
        &long,
    ];
    for name in ["INBOX", "Work/v1.2", "INBOX/\u{6536}\u{4ef6}"] {
        let folder = house.folder(&account, name);
        for message in messages {
            house.deliver(&[(&account, Some(&folder))], message);
        }
        let mut flags = Flags::NONE.with(SystemFlag::Seen).with(SystemFlag::Answered);
        flags.add_keyword("$Forwarded").unwrap();
        let some = [2, 3].into_iter().collect::<UidSet>();
        wait(house.mailboxes.change_flags(1, folder.id, &some, &FlagChange::Add(flags), None)).unwrap();
        wait(house.mailboxes.copy(&account, folder.id, &UidSet::range(1, 1), &folder)).unwrap();
    }
    account
}

fn take_over(house: &House, account: &Account, source: &ArchiveSource) -> Progress {
    wait(import(&house.mailboxes, account, &house.ids, source, NOW, &mut |_| {})).unwrap()
}

/// In the order of their octets: files of one second have no other.
fn sorted(mut folders: Vec<(String, Vec<Seen>)>) -> Vec<(String, Vec<Seen>)> {
    folders.retain(|(_, messages)| !messages.is_empty());
    for (_, messages) in &mut folders {
        messages.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    }
    folders
}

#[test]
fn a_maildir_comes_back_with_folders_flags_and_dates() {
    let house = House::new();
    let account = fill(&house);
    let folder = Folder::new();
    let mut told = 0;
    let done =
        wait(export(&house.mailboxes, &account, Form::Maildir, &folder.0, &mut |_| told += 1)).unwrap();
    assert_eq!((done.folders, done.messages, done.failed), (4, 24, 0));
    assert_eq!(told, 24);
    assert!(folder.0.join(".INBOX.&ZTZO9g-/cur").is_dir());
    let other = house.account(2);
    let back = take_over(&house, &other, &ArchiveSource::Maildir(folder.0.clone()));
    assert_eq!((back.messages, back.octets, back.failed), (24, done.octets, 0), "{:?}", back.problems);
    assert_eq!(sorted(contents(&house, &other)), sorted(contents(&house, &account)));
}

#[test]
fn an_mbox_comes_back_with_flags_and_dates() {
    let house = House::new();
    let account = fill(&house);
    let folder = Folder::new();
    wait(export(&house.mailboxes, &account, Form::Mbox, &folder.0, &mut |_| {})).unwrap();
    let other = house.account(2);
    for (file, name) in
        [("INBOX", "INBOX"), ("Work.v1&AC4-2", "Work/v1.2"), ("INBOX.&ZTZO9g-", "INBOX/\u{6536}\u{4ef6}")]
    {
        let source =
            ArchiveSource::Mbox(folder.0.join(format!("{file}.mbox")), FolderName::parse(name).unwrap());
        let back = take_over(&house, &other, &source);
        assert_eq!((back.messages, back.failed), (8, 0), "{:?}", back.problems);
    }
    assert_eq!(sorted(contents(&house, &other)), sorted(contents(&house, &account)));
    let inbox = fs::read_to_string(folder.0.join("Work.v1&AC4-2.mbox")).unwrap_or_default();
    assert!(inbox.is_empty() || inbox.starts_with("From ann@crepes.fr "));
    let again = wait(export(&house.mailboxes, &account, Form::Mbox, &folder.0, &mut |_| {}));
    assert!(again.is_err(), "what is there is not written over");
}

#[test]
fn files_as_other_programs_write_them_are_read() {
    let folder = Folder::new();
    for part in ["cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp", ".hidden"] {
        fs::create_dir_all(folder.0.join(part)).unwrap();
    }
    let dated = |name: &str, text: &str| {
        let file = folder.0.join(name);
        fs::write(&file, text).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    };
    dated("cur/1700000000.M1P1.host,S=12,W=13:2,FSb", "A: b\n\nbody");
    dated("new/1700000001.M1P1.host", "new\r\nas it came\r\n");
    dated(".Sent/cur/1.x:2,", "sent\n");
    dated("tmp/never", "never");
    fs::write(folder.0.join("dovecot-keywords"), "1 Junk\n0 NonJunk\n").unwrap();
    let house = House::new();
    let account = house.account(1);
    let done = take_over(&house, &account, &ArchiveSource::Maildir(folder.0.clone()));
    assert_eq!((done.folders, done.messages, done.failed), (2, 3, 0));
    let mut flags = Flags::NONE.with(SystemFlag::Flagged).with(SystemFlag::Seen);
    flags.add_keyword("Junk").unwrap();
    let expected = vec![
        (
            "INBOX".to_owned(),
            vec![
                (b"A: b\r\n\r\nbody\r\n".to_vec(), 784_111_777, flags),
                (b"new\r\nas it came\r\n".to_vec(), 784_111_777, Flags::NONE),
            ],
        ),
        ("Sent".to_owned(), vec![(b"sent\r\n".to_vec(), 784_111_777, Flags::NONE)]),
    ];
    assert_eq!(contents(&house, &account), expected);

    let path = folder.0.join("old.mbox");
    let text = "From x Sat Jan  3 01:05:34 1996\nSubject: 1\nStatus: RO\n\nFrom the middle of a line\n>From quoted\n\nFrom y Sat Jan  3 01:05:35 1996\nX-Status: F\n\nlast";
    fs::write(&path, text).unwrap();
    let name = FolderName::parse("Old").unwrap();
    let done = take_over(&house, &account, &ArchiveSource::Mbox(path.clone(), name));
    assert_eq!((done.messages, done.failed), (2, 0));
    let (_, old) = contents(&house, &account).into_iter().find(|(name, _)| name == "Old").unwrap();
    assert_eq!(
        String::from_utf8_lossy(&old[0].0),
        "Subject: 1\r\n\r\nFrom the middle of a line\r\nFrom quoted\r\n"
    );
    assert_eq!(old[0].1, UnixTime::from_civil(1996, 1, 3, 1, 5, 34).unwrap().as_secs());
    assert_eq!(String::from_utf8_lossy(&old[1].0), "\r\nlast\r\n");
    assert_eq!(old[1].2, Flags::NONE.with(SystemFlag::Flagged));
    fs::write(&path, "this is no mbox\n").unwrap();
    let done = take_over(&house, &account, &ArchiveSource::Mbox(path, FolderName::inbox()));
    assert_eq!((done.messages, done.failed), (0, 1));
}
