//! Random changes of mailboxes compared with a model: what is listed, counted and kept is what it says.

use std::collections::BTreeMap;

use doorway_mail::MessageId;
use doorway_mail::io::bodies::INLINE_OCTETS_MAX;
use doorway_mail::io::{Account, Folder, Usage};
use doorway_mail::mailbox::{Uid, UidSet};
use doorway_store::{Row, wait};
use proptest::prelude::*;

use crate::support::House;

#[derive(Debug, Clone)]
enum Step {
    /// Delivers so many octets to the folders whose bits are set.
    Deliver {
        octets: usize,
        folders: u8,
    },
    Copy {
        from: usize,
        first: Uid,
        last: Uid,
        to: usize,
    },
    Move {
        from: usize,
        first: Uid,
        last: Uid,
        to: usize,
    },
    Expunge {
        folder: usize,
        first: Uid,
        last: Uid,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = (0..4usize, 1..8u32, 1..8u32, 0..4usize);
    let step = prop_oneof![
        (prop_oneof![0..200usize, 47_000..60_000usize], 1..16u8)
            .prop_map(|(octets, folders)| Step::Deliver { octets, folders }),
        range.clone().prop_map(|(from, first, last, to)| Step::Copy { from, first, last, to }),
        range.clone().prop_map(|(from, first, last, to)| Step::Move { from, first, last, to }),
        range.prop_map(|(folder, first, last, _)| Step::Expunge { folder, first, last }),
    ];
    proptest::collection::vec(step, 1..40)
}

#[derive(Default)]
struct Model {
    /// Of each folder: the last UID, and the body of each message.
    folders: [(Uid, BTreeMap<Uid, MessageId>); 4],
    octets: BTreeMap<MessageId, u64>,
}

impl Model {
    fn put(&mut self, folder: usize, id: MessageId) -> Uid {
        self.folders[folder].0 += 1;
        let uid = self.folders[folder].0;
        self.folders[folder].1.insert(uid, id);
        uid
    }

    fn transfer(&mut self, from: usize, uids: &UidSet, to: usize, moved: bool) -> Vec<(Uid, Uid)> {
        let found: Vec<_> =
            uids.iter().filter_map(|uid| Some((uid, *self.folders[from].1.get(&uid)?))).collect();
        let pairs = found.iter().map(|(uid, id)| (*uid, self.put(to, *id))).collect();
        if moved {
            for (uid, _) in &found {
                self.folders[from].1.remove(uid);
            }
        }
        pairs
    }
}

fn check(house: &House, account: &Account, folders: &[Folder; 4], model: &Model) {
    let mut references: BTreeMap<MessageId, i64> = BTreeMap::new();
    let mut usage = Usage::default();
    for (folder, (last, messages)) in folders.iter().zip(&model.folders) {
        let page = wait(house.mailboxes.messages(account.user, folder.id, 1..=Uid::MAX, 1000)).unwrap();
        let found: BTreeMap<Uid, MessageId> =
            page.messages.iter().map(|message| (message.uid, message.id)).collect();
        assert_eq!(found, *messages);
        let octets = messages.values().map(|id| model.octets[id]).sum();
        let status = wait(house.mailboxes.status(account.user, folder.id)).unwrap();
        assert_eq!((status.messages, status.octets), (messages.len() as u64, octets));
        assert_eq!(status.uid_next, u64::from(*last) + 1);
        usage.octets += octets;
        usage.messages += messages.len() as u64;
        messages.values().for_each(|id| *references.entry(*id).or_default() += 1);
    }
    assert_eq!(wait(house.mailboxes.usage(account.user)), Ok(usage));
    let drop = wait(house.mailboxes.maildrop(account)).unwrap();
    assert!(drop.entries.iter().map(|entry| (entry.uid, entry.id)).eq(model.folders[0].1.clone()));
    let kept = house.rows("mail.body/");
    assert_eq!(kept.len(), references.len(), "a body for each message, and none beyond");
    assert_eq!(house.rows("mail.structure/").len(), references.len());
    let more: i64 = house.rows("mail.body.more/").iter().filter_map(|(_, row)| Row::number(row)).sum();
    assert_eq!(more, references.values().map(|count| count - 1).sum::<i64>());
    let linked = house.rows("blob.links/").iter().filter_map(|(_, row)| Row::number(row)).sum::<i64>();
    let long = references.keys().filter(|id| model.octets[id] > INLINE_OCTETS_MAX as u64).count();
    assert_eq!(linked, long as i64, "a link to the blob of each long body");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mailboxes_hold_what_was_delivered_copied_moved_and_not_expunged(steps in steps()) {
        let house = House::new();
        let account = house.account(1);
        let folders = ["INBOX", "A", "A/B", "C"].map(|name| house.folder(&account, name));
        let mut model = Model::default();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Deliver { octets, folders: bits } => {
                    // No two bodies are alike, so that blobs are not shared behind our back.
                    let mut content = number.to_string().into_bytes();
                    content.resize(octets.max(content.len()), b'x');
                    content.extend_from_slice(b"\r\n");
                    let to: Vec<usize> = (0..4).filter(|at| bits >> at & 1 == 1).collect();
                    let places: Vec<_> = to.iter().map(|at| (&account, Some(&folders[*at]))).collect();
                    let id = house.deliver(&places, &content);
                    model.octets.insert(id, content.len() as u64);
                    for at in to {
                        model.put(at, id);
                    }
                }
                Step::Copy { from, first, last, to } => {
                    let uids = UidSet::range(first, last);
                    let done = wait(house.mailboxes.copy(&account, folders[from].id, &uids, &folders[to])).unwrap();
                    prop_assert_eq!(done, model.transfer(from, &uids, to, false));
                }
                Step::Move { from, first, last, to } => {
                    let uids = UidSet::range(first, last);
                    let done = wait(house.mailboxes.move_messages(&account, folders[from].id, &uids, &folders[to]));
                    prop_assert_eq!(done.unwrap(), model.transfer(from, &uids, to, true));
                }
                Step::Expunge { folder, first, last } => {
                    let uids = UidSet::range(first, last);
                    let gone = wait(house.mailboxes.expunge(1, folders[folder].id, &uids)).unwrap();
                    let there = uids.iter().filter(|uid| model.folders[folder].1.contains_key(uid)).collect();
                    prop_assert_eq!(gone, there);
                    model.folders[folder].1.retain(|uid, _| !uids.contains(*uid));
                }
            }
            check(&house, &account, &folders, &model);
        }
    }
}
