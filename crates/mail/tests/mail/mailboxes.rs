//! Accounts, folders and messages, one behaviour a test.

use std::sync::Arc;

use bytes::Bytes;
use doorway_mail::MessageId;
use doorway_mail::io::mailboxes::{EXPUNGE_MESSAGES_MAX, FlagChange, TRANSFER_MESSAGES_MAX};
use doorway_mail::io::{Account, Body, Content, MailboxError, Mailboxes, Quota, Room, Usage};
use doorway_mail::mailbox::{Flags, FolderId, FolderName, SpecialUse, SystemFlag, Uid, UidSet};
use doorway_store::{Batch, Durability, Error, Store, wait};

use crate::support::{House, NOW};

fn name(text: &str) -> FolderName {
    FolderName::parse(text).unwrap()
}

fn names(house: &House, account: &Account) -> Vec<String> {
    let folders = wait(house.mailboxes.folders(account)).unwrap();
    folders.into_iter().map(|folder| folder.name.to_string()).collect()
}

fn uids(house: &House, account: &Account, folder: FolderId) -> Vec<Uid> {
    let page = wait(house.mailboxes.messages(account.user, folder, 1..=Uid::MAX, usize::MAX)).unwrap();
    page.messages.iter().map(|message| message.uid).collect()
}

#[test]
fn an_account_has_an_inbox_that_keeps_its_uidvalidity() {
    let house = House::new();
    let account = house.account(7);
    assert_eq!(names(&house, &account), ["INBOX"]);
    let again = Mailboxes::new(house.mailboxes.bodies().clone(), Quota::default());
    assert_eq!(wait(again.open_account(7, NOW + std::time::Duration::from_secs(1000))), Ok(account));
}

#[test]
fn a_message_to_a_hundred_recipients_is_one_body() {
    let house = House::new();
    let accounts: Vec<Account> = (1..=100).map(|user| house.account(user)).collect();
    let to: Vec<_> = accounts.iter().map(|account| (account, None)).collect();
    let id = house.deliver(&to, b"Subject: all\r\n\r\nhello\r\n");
    assert_eq!(house.rows("mail.body/").len(), 1);
    assert_eq!(house.rows("mail.structure/").len(), 1);
    assert_eq!(house.rows("mail.message/").len(), 100);
    for account in &accounts[1..] {
        wait(house.mailboxes.expunge(account.user, FolderId::INBOX, &UidSet::range(1, 1))).unwrap();
    }
    let body = wait(house.mailboxes.bodies().body(id)).unwrap();
    assert_eq!(body, Some(Body::Inline((&b"Subject: all\r\n\r\nhello\r\n"[..]).into())));
    wait(house.mailboxes.expunge(1, FolderId::INBOX, &UidSet::range(1, 1))).unwrap();
    for prefix in ["mail.body", "mail.structure/", "mail.message/"] {
        assert_eq!(house.rows(prefix), [], "{prefix}");
    }
}

#[test]
fn a_body_is_its_head_and_its_content_and_ends_with_crlf() {
    let house = House::new();
    let bodies = house.mailboxes.bodies();
    let long = "x".repeat(100_000);
    for (number, (head, content, kept)) in [
        ("Return-Path: <>\r\n", "hello\r\n", "Return-Path: <>\r\nhello\r\n".to_owned()),
        ("", "hello\r\n", "hello\r\n".to_owned()),
        ("", "hello", "hello\r\n".to_owned()),
        ("head\r\n", "", "head\r\n".to_owned()),
        ("head", &long, format!("head{long}\r\n")),
        ("", &long, format!("{long}\r\n")),
    ]
    .into_iter()
    .enumerate()
    {
        let stored = wait(bodies.blobs().put(content.to_owned().into(), Durability::Disk)).unwrap();
        let pieces = content.as_bytes().chunks(7000).map(Bytes::copy_from_slice).collect();
        for (id, content) in [(2 * number, Content::Memory(pieces)), (2 * number + 1, Content::Blob(stored))]
        {
            let id = MessageId(id as u64 + 1);
            let prepared = wait(bodies.prepare(head.as_bytes(), &content)).unwrap();
            assert_eq!(prepared.octets(), kept.len() as u64);
            house.store.commit(bodies.keep(Batch::new(), id, &prepared, 1)).wait().unwrap();
            let body = wait(bodies.body(id)).unwrap().unwrap();
            assert_eq!(body.octets(), kept.len() as u64);
            let whole = wait(bodies.read(&body, 0, u64::MAX)).unwrap();
            assert!(whole == kept.as_bytes(), "{head} {}", content.octets());
            let (_, row) = house.rows("mail.body/").pop().unwrap();
            assert_eq!(wait(bodies.verify(id, &row.value)), Ok(Ok(body)));
        }
    }
}

#[test]
fn uids_rise_and_are_never_given_again() {
    let house = House::new();
    let account = house.account(1);
    for _ in 0..3 {
        house.deliver(&[(&account, None)], b"\r\n");
    }
    wait(house.mailboxes.expunge(1, FolderId::INBOX, &UidSet::range(2, 3))).unwrap();
    house.deliver(&[(&account, None)], b"\r\n");
    assert_eq!(uids(&house, &account, FolderId::INBOX), [1, 4]);
    let status = wait(house.mailboxes.status(1, FolderId::INBOX)).unwrap();
    assert_eq!((status.messages, status.octets, status.uid_next), (2, 4, 5));
}

#[test]
fn modification_sequences_rise_with_every_change() {
    let house = House::new();
    let account = house.account(1);
    let inbox = FolderId::INBOX;
    let modseq = || wait(house.mailboxes.status(1, inbox)).unwrap().modseq;
    let mut seen = vec![modseq()];
    house.deliver(&[(&account, None)], b"\r\n");
    seen.push(modseq());
    house.deliver(&[(&account, None)], b"\r\n");
    seen.push(modseq());
    let add = FlagChange::Add(Flags::NONE.with(SystemFlag::Seen));
    let changed =
        wait(house.mailboxes.change_flags(1, inbox, &UidSet::range(1, 9), &add, Some(seen[1]))).unwrap();
    assert_eq!(changed.modified.to_string(), "2", "the second is newer than what the client knew");
    assert_eq!(changed.messages[0].modseq, modseq());
    seen.push(modseq());
    wait(house.mailboxes.change_flags(1, inbox, &UidSet::range(1, 1), &add, None)).unwrap();
    assert_eq!(modseq(), seen[3], "a change that changes nothing is none");
    wait(house.mailboxes.expunge(1, inbox, &UidSet::range(1, 1))).unwrap();
    seen.push(modseq());
    assert!(seen.windows(2).all(|two| two[0] < two[1]), "{seen:?}");
    let gone = |since| wait(house.mailboxes.expunged_since(1, inbox, since)).unwrap().unwrap().to_string();
    assert_eq!((gone(seen[3]), gone(seen[4])), ("1".to_owned(), String::new()));
}

#[test]
fn expunges_that_are_too_long_ago_are_forgotten_and_said_to_be() {
    let house = House::new();
    let account = house.account(1);
    let before = wait(house.mailboxes.status(1, FolderId::INBOX)).unwrap().modseq;
    for uid in 1..=1001 {
        house.deliver(&[(&account, None)], b"\r\n");
        wait(house.mailboxes.expunge(1, FolderId::INBOX, &UidSet::range(uid, uid))).unwrap();
        if uid == 1000 {
            let known = wait(house.mailboxes.expunged_since(1, FolderId::INBOX, before)).unwrap();
            assert_eq!(known.unwrap().to_string(), "1:1000");
        }
    }
    assert_eq!(wait(house.mailboxes.expunged_since(1, FolderId::INBOX, before)), Ok(None));
    assert_eq!(house.rows("mail.expunged/").len(), 1000);
}

#[test]
fn folders_are_made_with_those_above_and_renamed_with_those_below() {
    let house = House::new();
    let account = house.account(1);
    let below = house.folder(&account, "Work/2026/März");
    assert_eq!(names(&house, &account), ["INBOX", "Work", "Work/2026", "Work/2026/März"]);
    house.deliver(&[(&account, Some(&below))], b"\r\n");
    wait(house.mailboxes.rename_folder(&account, &name("Work"), &name("Old/Job"), NOW)).unwrap();
    assert_eq!(names(&house, &account), ["INBOX", "Old", "Old/Job", "Old/Job/2026", "Old/Job/2026/März"]);
    let renamed = house.folder(&account, "Old/Job/2026/März");
    assert_eq!((renamed.id, renamed.uid_validity), (below.id, below.uid_validity));
    assert_eq!(uids(&house, &account, renamed.id), [1]);
    let refused = |from, to| wait(house.mailboxes.rename_folder(&account, &name(from), &name(to), NOW));
    assert_eq!(refused("Nothing", "X"), Err(MailboxError::NoSuchFolder));
    assert_eq!(refused("Old", "Old/Job"), Err(MailboxError::Exists));
    assert_eq!(refused("Old", "Old/New"), Err(MailboxError::Exists));
    house.folder(&account, "A/x");
    wait(house.mailboxes.delete_folder(&account, &name("A"))).unwrap();
    house.folder(&account, "B/x");
    assert_eq!(refused("B", "A"), Err(MailboxError::Exists), "what lies below A would be overwritten");
}

#[test]
fn a_folder_that_is_made_again_has_a_higher_uidvalidity() {
    let house = House::new();
    let account = house.account(1);
    let first = house.folder(&account, "A");
    house.deliver(&[(&account, Some(&first))], b"\r\n");
    wait(house.mailboxes.delete_folder(&account, &name("A"))).unwrap();
    assert_eq!(house.rows("mail.message/"), []);
    assert_eq!(house.rows("mail.state/"), []);
    let second = house.folder(&account, "A");
    assert!(second.uid_validity > first.uid_validity && second.id > first.id);
    assert_eq!(wait(house.mailboxes.delete_folder(&account, &FolderName::inbox())), Err(MailboxError::Inbox));
    let message = doorway_mail::io::Delivered {
        id: doorway_mail::MessageId(1),
        at: NOW,
        octets: 2,
        flags: Flags::NONE,
    };
    let late = house.mailboxes.deliver(Batch::new(), &account, Some(&first), &message);
    assert!(matches!(house.store.commit(late).wait(), Err(Error::Conflict(_))), "it has gone meanwhile");
}

#[test]
fn renaming_inbox_moves_its_messages() {
    let house = House::new();
    let account = house.account(1);
    house.deliver(&[(&account, None)], b"one\r\n");
    wait(house.mailboxes.rename_folder(&account, &FolderName::inbox(), &name("Saved"), NOW)).unwrap();
    assert_eq!(names(&house, &account), ["INBOX", "Saved"]);
    assert_eq!(uids(&house, &account, FolderId::INBOX), []);
    assert_eq!(uids(&house, &account, house.folder(&account, "Saved").id), [1]);
    assert_eq!(wait(house.mailboxes.usage(1)), Ok(Usage { octets: 5, messages: 1 }));
}

#[test]
fn subscriptions_and_uses_are_kept() {
    let house = House::new();
    let account = house.account(1);
    house.folder(&account, "Sent");
    wait(house.mailboxes.set_special_use(&account, &name("Sent"), Some(SpecialUse::Sent))).unwrap();
    assert_eq!(house.folder(&account, "Sent").special_use, Some(SpecialUse::Sent));
    for folder in ["Sent", "Gone"] {
        wait(house.mailboxes.subscribe(&account, &name(folder), true)).unwrap();
    }
    wait(house.mailboxes.subscribe(&account, &name("Sent"), false)).unwrap();
    assert_eq!(wait(house.mailboxes.subscriptions(&account)), Ok(vec![name("Gone")]));
}

#[test]
fn quota_counts_octets_and_messages_of_all_folders() {
    let house = House::with_quota(Quota { octets: 10, messages: 3 });
    let account = house.account(1);
    let archive = house.folder(&account, "Archive");
    let room = |octets| wait(house.mailboxes.quota(1, octets)).unwrap();
    assert_eq!((room(10), room(11)), (Room::Enough, Room::Octets));
    house.deliver(&[(&account, None), (&account, Some(&archive))], b"ab\r\n");
    assert_eq!((room(2), room(3)), (Room::Enough, Room::Octets));
    house.deliver(&[(&account, None)], b"");
    assert_eq!(room(0), Room::Messages);
    wait(house.mailboxes.expunge(1, archive.id, &UidSet::range(1, 1))).unwrap();
    assert_eq!(room(4), Room::Enough);
}

#[test]
fn a_removed_account_leaves_nothing_but_what_others_have() {
    let house = House::new();
    let (ann, bob) = (house.account(1), house.account(2));
    house.deliver(&[(&ann, None), (&bob, None)], b"both\r\n");
    house.deliver(&[(&ann, Some(&house.folder(&ann, "A/B")))], b"hers\r\n");
    wait(house.mailboxes.subscribe(&ann, &name("A"), true)).unwrap();
    wait(house.mailboxes.remove_account(&ann)).unwrap();
    for prefix in ["mail.account/", "mail.folder/", "mail.message/", "mail.body/"] {
        assert_eq!(house.rows(prefix).len(), 1, "{prefix}");
    }
    assert_eq!(house.rows("mail.subscription/"), []);
    assert_eq!(uids(&house, &bob, FolderId::INBOX), [1]);
    assert_eq!(uids(&house, &house.account(1), FolderId::INBOX), [], "a new account begins empty");
}

#[test]
fn more_messages_than_a_batch_takes_are_copied_moved_and_removed() {
    let house = House::new();
    let account = house.account(1);
    let other = house.folder(&account, "Other");
    let count = (2 * TRANSFER_MESSAGES_MAX.max(EXPUNGE_MESSAGES_MAX) + 10) as u32;
    for _ in 0..count {
        house.deliver(&[(&account, None)], b"\r\n");
    }
    let all = UidSet::range(1, count);
    let pairs = wait(house.mailboxes.copy(&account, FolderId::INBOX, &all, &other)).unwrap();
    assert!(pairs.iter().enumerate().all(|(at, pair)| *pair == (at as u32 + 1, at as u32 + 1)));
    assert_eq!(pairs.len() as u32, count);
    let pairs = wait(house.mailboxes.move_messages(&account, FolderId::INBOX, &all, &other)).unwrap();
    assert_eq!(pairs[0], (1, count + 1));
    let seen = FlagChange::Replace(Flags::NONE.with(SystemFlag::Seen));
    let changed = wait(house.mailboxes.change_flags(1, other.id, &all, &seen, None)).unwrap();
    assert_eq!(changed.messages.len() as u32, count);
    let gone = wait(house.mailboxes.expunge(1, other.id, &UidSet::range(1, Uid::MAX / 2_000))).unwrap();
    assert_eq!(gone.len(), u64::from(2 * count));
    assert_eq!(house.rows("mail.body"), []);
    assert_eq!(wait(house.mailboxes.usage(1)), Ok(Usage::default()));
}

#[test]
fn the_maildrop_follows_what_comes_and_leaves() {
    let house = House::new();
    let account = house.account(1);
    let listed = || {
        let drop = wait(house.mailboxes.maildrop(&account)).unwrap();
        assert_eq!(drop.octets, drop.entries.iter().map(|entry| entry.octets).sum::<u64>());
        drop.entries.iter().map(|entry| (entry.uid, entry.octets)).collect::<Vec<_>>()
    };
    assert_eq!(listed(), []);
    house.deliver(&[(&account, None)], b"a\r\n");
    house.deliver(&[(&account, None)], b"ab\r\n");
    let before = wait(house.mailboxes.maildrop(&account)).unwrap();
    assert_eq!(listed(), [(1, 3), (2, 4)]);
    wait(house.mailboxes.expunge(1, FolderId::INBOX, &UidSet::range(1, 1))).unwrap();
    house.deliver(&[(&account, None)], b"abc\r\n");
    assert_eq!(listed(), [(2, 4), (3, 5)]);
    assert_eq!(before.entries.len(), 2, "who opened it earlier sees what there was");
    for uid in 4..=1004 {
        house.deliver(&[(&account, None)], b"\r\n");
        wait(house.mailboxes.expunge(1, FolderId::INBOX, &UidSet::range(uid, uid))).unwrap();
    }
    assert_eq!(listed(), [(2, 4), (3, 5)], "also when more left than is remembered");
}

#[test]
fn a_watch_hears_of_a_delivery_and_of_nobody_elses() {
    let house = House::new();
    let (ann, bob) = (house.account(1), house.account(2));
    let mut watch = house.mailboxes.watch(1, FolderId::INBOX);
    house.deliver(&[(&bob, None)], b"\r\n");
    assert_eq!(watch.poll_changed(), None);
    house.deliver(&[(&ann, None)], b"\r\n");
    assert!(watch.poll_changed().is_some());
}

#[test]
fn two_who_change_the_same_messages_both_succeed() {
    let house = House::new();
    let account = house.account(1);
    for _ in 0..20 {
        house.deliver(&[(&account, None)], b"\r\n");
    }
    let target = house.folder(&account, "T");
    std::thread::scope(|scope| {
        for flag in [SystemFlag::Seen, SystemFlag::Flagged, SystemFlag::Answered] {
            let mailboxes = Arc::clone(&house.mailboxes);
            scope.spawn(move || {
                for uid in 1..=20 {
                    let change = FlagChange::Add(Flags::NONE.with(flag));
                    wait(mailboxes.change_flags(1, FolderId::INBOX, &UidSet::range(uid, uid), &change, None))
                        .unwrap();
                }
            });
        }
        let (mailboxes, target) = (Arc::clone(&house.mailboxes), &target);
        scope.spawn(move || {
            for uid in (1..=20).step_by(2) {
                wait(mailboxes.copy(&account, FolderId::INBOX, &UidSet::range(uid, uid), target)).unwrap();
                wait(mailboxes.expunge(1, FolderId::INBOX, &UidSet::range(uid, uid))).unwrap();
            }
        });
    });
    let page = wait(house.mailboxes.messages(1, FolderId::INBOX, 1..=99, 99)).unwrap();
    assert_eq!(page.messages.len(), 10);
    assert!(page.messages.iter().all(|message| message.flags.system().count() == 3));
    assert_eq!(uids(&house, &account, target.id).len(), 10);
    assert_eq!(house.rows("mail.body/").len(), 20);
}
