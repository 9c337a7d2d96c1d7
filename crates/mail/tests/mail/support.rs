//! A store and its mailboxes for each test.

use std::sync::Arc;

use bytes::Bytes;
use doorway_base::UnixTime;
use doorway_mail::io::{Account, Bodies, Content, Delivered, Folder, Mailboxes, Quota};
use doorway_mail::mailbox::{Flags, FolderName};
use doorway_mail::{MessageId, MessageIds};
use doorway_sim::SimDisk;
use doorway_store::{
    Batch, BlobOptions, Key, LocalBlobs, LoginGate, MemoryStore, Preset, Range, Role, Row, Store,
    UserOptions, Users, wait,
};

/// The day on which these tests happen.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// Mailboxes in memory.
pub(crate) struct House {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) ids: MessageIds,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with_quota(Quota::default())
    }

    pub(crate) fn with_quota(quota: Quota) -> Self {
        let store = Arc::new(MemoryStore::new());
        let options = BlobOptions { min_free: 0, ..BlobOptions::new("/data", Arc::new(SimDisk::new(1)), 0) };
        let blobs = LocalBlobs::open(options, Arc::clone(&store) as Arc<dyn Store>).unwrap();
        let bodies = Bodies::new(Arc::clone(&store) as Arc<dyn Store>, Arc::new(blobs));
        Self { store, mailboxes: Arc::new(Mailboxes::new(bodies, quota)), ids: MessageIds::default() }
    }

    pub(crate) fn account(&self, user: u64) -> Account {
        wait(self.mailboxes.open_account(user, NOW)).unwrap()
    }

    pub(crate) fn folder(&self, account: &Account, name: &str) -> Folder {
        let name = FolderName::parse(name).unwrap();
        if let Some(folder) = wait(self.mailboxes.folder(account, &name)).unwrap() {
            return folder;
        }
        wait(self.mailboxes.create_folder(account, &name, None, NOW)).unwrap()
    }

    /// Delivers one message into these folders, in one batch.
    pub(crate) fn deliver(&self, to: &[(&Account, Option<&Folder>)], content: &[u8]) -> MessageId {
        let id = self.ids.next(NOW);
        let bodies = self.mailboxes.bodies();
        let content = Content::Memory(vec![Bytes::copy_from_slice(content)]);
        let prepared = wait(bodies.prepare(b"", &content)).unwrap();
        let mut batch = bodies.keep(Batch::new(), id, &prepared, to.len() as u64);
        batch = bodies.describe(batch, id, &b"structure"[..]);
        let message = Delivered { id, at: NOW, octets: prepared.octets(), flags: Flags::NONE };
        for (account, folder) in to {
            batch = self.mailboxes.deliver(batch, account, *folder, &message);
        }
        self.store.commit(batch).wait().unwrap();
        id
    }

    /// Rows whose keys begin so.
    pub(crate) fn rows(&self, prefix: &str) -> Vec<(Key, Row)> {
        wait(doorway_store::rows(&*self.store, Range::prefix(&Key::from(prefix)))).unwrap()
    }
}

/// A gate for these users, with the numbers 1, 2 … and these passwords.
pub(crate) fn gate(house: &House, users: &[(&str, &str)]) -> Arc<LoginGate> {
    let preset = Preset { memory_kib: 8, passes: 1, lanes: 1 };
    let entropy = Arc::new(|octets: &mut [u8]| octets.fill(7));
    let options = UserOptions { preset, password_min: 1, threads: 0, scram_iterations: 1, entropy };
    let list = Arc::new(Users::new(Arc::clone(&house.store) as Arc<dyn Store>, options).unwrap());
    for (name, password) in users {
        wait(list.add(name, name, &[Role::User], Some(password), NOW)).unwrap();
    }
    Arc::new(LoginGate::new(list, 5))
}
