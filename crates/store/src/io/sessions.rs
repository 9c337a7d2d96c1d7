//! Sessions over a store: the table in memory answers, the store remembers.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use doorway_base::UnixTime;

use crate::batch::{Batch, Durability};
use crate::error::Result;
use crate::io::rows::rows;
use crate::io::users::Entropy;
use crate::key::{Key, Range};
use crate::lock::lock;
use crate::session::{
    SESSION_VALUE_OCTETS_MAX, SESSIONS, SessionId, SessionOptions, SessionSecret, SessionState, SessionTable,
    session_key, too_long,
};
use crate::store::Store;

/// Most rows removed in one batch of a sweep.
const SWEEP_ROWS: usize = 1000;

/// The sessions of all services.
pub struct Sessions {
    store: Arc<dyn Store>,
    table: Mutex<SessionTable>,
    entropy: Entropy,
}

impl Sessions {
    /// Brings back the sessions that had not ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        store: Arc<dyn Store>,
        options: SessionOptions,
        entropy: Entropy,
        now: UnixTime,
    ) -> Result<Self> {
        let mut table = SessionTable::new(options);
        let prefix = Key::from(SESSIONS);
        for (key, row) in rows(&*store, Range::prefix(&prefix)).await? {
            let id = key.after(&prefix).and_then(|id| id.try_into().ok()).map(SessionId);
            let state = id.and_then(|id| SessionState::decode(id, &row.value).ok());
            // What cannot be read ends here: its owner logs in again.
            match state.filter(|state| now < state.ends(&options)) {
                Some(state) => {
                    let written = state.used;
                    table.insert(state, written)?;
                }
                None => drop(store.commit(Batch::new().durability(Durability::Process).delete(key))),
            }
        }
        Ok(Self { store, table: Mutex::new(table), entropy })
    }

    /// Begins a session. Call it anew at login, so that nobody else knows its secret.
    ///
    /// # Errors
    /// [`crate::Error::Limit`] for too many sessions or too long a value, or the store's.
    pub async fn begin(&self, user: Option<&str>, value: Bytes, now: UnixTime) -> Result<SessionSecret> {
        if value.len() > SESSION_VALUE_OCTETS_MAX {
            return Err(too_long());
        }
        let mut secret = SessionSecret([0; 16]);
        (self.entropy)(&mut secret.0);
        let id = secret.id();
        let state = SessionState { id, user: user.map(str::to_owned), value, created: now, used: now };
        let write = self.write(&state);
        lock(&self.table).insert(state, now)?;
        if let Err(error) = write.await {
            lock(&self.table).remove(&id);
            return Err(error);
        }
        Ok(secret)
    }

    /// The session of a secret, used now; `None` when there is none or it has ended. Does not wait: its
    /// use is written behind, once a minute.
    pub fn find(&self, secret: &SessionSecret, now: UnixTime) -> Option<SessionState> {
        let (state, write) = lock(&self.table).touch(&secret.id(), now)?;
        if write {
            // Should this fail, the session ends some minutes early after a crash.
            drop(self.write(&state));
        }
        Some(state)
    }

    /// Gives a session another value; false when it has ended. The last of several at once stays.
    ///
    /// # Errors
    /// [`crate::Error::Limit`] for too long a value, or the store's.
    pub async fn set_value(&self, secret: &SessionSecret, value: Bytes, now: UnixTime) -> Result<bool> {
        self.change(secret, now, |_| value).await
    }

    /// Gives a session the value that `change` makes of the one it has; false when it has ended. Of several at
    /// once each sees what the one before has made, so that nothing is lost.
    ///
    /// # Errors
    /// [`crate::Error::Limit`] for too long a value, or the store's.
    pub async fn change(
        &self,
        secret: &SessionSecret,
        now: UnixTime,
        change: impl FnOnce(&Bytes) -> Bytes,
    ) -> Result<bool> {
        let written = {
            // The lock is held until the row is on its way, so that rows come in the order of values.
            let mut table = lock(&self.table);
            table.change(&secret.id(), now, change)?.map(|state| self.write(&state))
        };
        match written {
            Some(written) => written.await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Gives a session to a user under a new secret, with the value it has: what a login does, so that a secret
    /// that somebody planted or saw before opens nothing. Without a session one begins. The old secret is
    /// refused from here on, after a crash too.
    ///
    /// # Errors
    /// [`crate::Error::Limit`] for too many sessions, or the store's.
    pub async fn rotate(
        &self,
        old: Option<&SessionSecret>,
        user: Option<&str>,
        now: UnixTime,
    ) -> Result<SessionSecret> {
        let value = match old {
            Some(old) => {
                let value = lock(&self.table).touch(&old.id(), now).map(|(state, _)| state.value);
                self.revoke(&old.id()).await?;
                value.unwrap_or_default()
            }
            None => Bytes::new(),
        };
        self.begin(user, value, now).await
    }

    /// How many sessions are kept, those included that have ended and were not swept out yet.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.table).count()
    }

    /// The sessions that have not ended, of one user or of all.
    #[must_use]
    pub fn list(&self, user: Option<&str>, now: UnixTime) -> Vec<SessionState> {
        let table = lock(&self.table);
        table.alive(now).filter(|state| user.is_none() || state.user.as_deref() == user).cloned().collect()
    }

    /// Ends a session, durably; false when there was none.
    ///
    /// # Errors
    /// The store's. The session has ended here all the same.
    pub async fn revoke(&self, id: &SessionId) -> Result<bool> {
        let removed = {
            let mut table = lock(&self.table);
            table.remove(id).then(|| self.store.commit(Batch::new().delete(session_key(id))))
        };
        match removed {
            Some(removed) => removed.await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Ends every session of a user, durably, and says how many: after a new password or a removal.
    ///
    /// # Errors
    /// The store's. The sessions have ended here all the same.
    pub async fn revoke_user(&self, user: &str, now: UnixTime) -> Result<usize> {
        let ids: Vec<SessionId> = self.list(Some(user), now).into_iter().map(|state| state.id).collect();
        for id in &ids {
            self.revoke(id).await?;
        }
        Ok(ids.len())
    }

    /// Forgets the sessions that have ended, and says how many. Call it every minute or so.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self, now: UnixTime) -> Result<usize> {
        let ended = lock(&self.table).sweep(now);
        for part in ended.chunks(SWEEP_ROWS) {
            let batch = Batch::new().durability(Durability::Process);
            let batch = part.iter().fold(batch, |batch, id| batch.delete(session_key(id)));
            self.store.commit(batch).await?;
        }
        Ok(ended.len())
    }

    fn write(&self, state: &SessionState) -> crate::answer::Answer<crate::batch::Receipt> {
        let batch = Batch::new().durability(Durability::Process);
        self.store.commit(batch.put(session_key(&state.id), state.encode()))
    }
}
