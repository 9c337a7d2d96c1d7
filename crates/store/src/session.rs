//! Sessions of people at a browser: what a session is, when it ends, and how it is stored.
//!
//! The identifier is 128 random bits and known to the browser only; here and on disk stands its hash.
//! A session slides: it ends 30 minutes after its last use, and 12 hours after its beginning whatever
//! happens. The table is in memory; `io/sessions.rs` writes it behind.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use doorway_base::{Limit, Malformed, UnixTime};

use crate::error::{Error, Result};
use crate::fields::{FieldWriter, fields};
use crate::key::Key;
use crate::password::hex;

/// Longest value of a session, in octets.
pub const SESSION_VALUE_OCTETS_MAX: usize = 8 * 1024;
/// A session's use is written to the store at most this often.
pub(crate) const WRITE_EVERY: Duration = Duration::from_secs(60);

/// Bounds of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionOptions {
    /// A session ends this long after its last use. Default 30 minutes.
    pub idle: Duration,
    /// A session ends this long after its beginning. Default 12 hours.
    pub absolute: Duration,
    /// Most sessions at once; one more is refused. Default 100 000.
    pub sessions_max: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            absolute: Duration::from_secs(12 * 60 * 60),
            sessions_max: 100_000,
        }
    }
}

/// What the browser keeps: 128 random bits. It proves who asks, so it is never logged or listed.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(pub(crate) [u8; 16]);

impl SessionSecret {
    /// The text for a cookie: 32 hexadecimal digits.
    #[must_use]
    pub fn text(&self) -> String {
        hex(&self.0)
    }

    /// Reads the text of a cookie; `None` when it cannot be one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
        let mut secret = [0; 16];
        for (octet, pair) in secret.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *octet = (digit(0)? << 4 | digit(1)?) as u8;
        }
        Some(Self(secret))
    }

    /// The name under which the session is kept.
    #[must_use]
    pub fn id(&self) -> SessionId {
        SessionId(blake3::derive_key("doorway session 1", &self.0))
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

/// Names a session to operators; of no use for taking it over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) [u8; 32]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..8]))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// Its name.
    pub id: SessionId,
    /// Who logged in; `None` for a visitor.
    pub user: Option<String>,
    /// What the service keeps in it, at most [`SESSION_VALUE_OCTETS_MAX`] octets.
    pub value: Bytes,
    /// When it began.
    pub created: UnixTime,
    /// When it was last used.
    pub used: UnixTime,
}

impl SessionState {
    /// When it ends if it is not used again.
    #[must_use]
    pub fn ends(&self, options: &SessionOptions) -> UnixTime {
        (self.used + options.idle).min(self.created + options.absolute)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let record = FieldWriter::default().time(1, self.created).time(2, self.used).octets(3, &self.value);
        match &self.user {
            Some(user) => record.text(4, user).finish(),
            None => record.finish(),
        }
    }

    pub(crate) fn decode(id: SessionId, record: &[u8]) -> std::result::Result<Self, Malformed> {
        let never = UnixTime::default();
        let mut state = Self { id, user: None, value: Bytes::new(), created: never, used: never };
        for field in fields(record) {
            let field = field?;
            match field.tag {
                1 => state.created = field.time()?,
                2 => state.used = field.time()?,
                3 => state.value = Bytes::copy_from_slice(field.octets),
                4 => state.user = Some(field.text()?),
                _ => {}
            }
        }
        Ok(state)
    }
}

/// Rows `session/ID`.
pub(crate) const SESSIONS: &str = "session/";

pub(crate) fn session_key(id: &SessionId) -> Key {
    Key::from(SESSIONS).join(id.0)
}

#[derive(Debug)]
struct Entry {
    state: SessionState,
    /// When it was last written to the store.
    written: UnixTime,
}

/// The sessions there are, in memory.
#[derive(Debug)]
pub(crate) struct SessionTable {
    options: SessionOptions,
    entries: BTreeMap<SessionId, Entry>,
}

impl SessionTable {
    pub(crate) fn new(options: SessionOptions) -> Self {
        Self { options, entries: BTreeMap::new() }
    }

    /// Adds a session that was just written to the store.
    pub(crate) fn insert(&mut self, state: SessionState, written: UnixTime) -> Result<()> {
        if self.entries.len() >= self.options.sessions_max {
            return Err(Limit::new("http.sessions.max", self.options.sessions_max as u64).into());
        }
        self.entries.insert(state.id, Entry { state, written });
        Ok(())
    }

    /// Uses a session: what it is, and whether this use is to be written. `None` when it has ended.
    pub(crate) fn touch(&mut self, id: &SessionId, now: UnixTime) -> Option<(SessionState, bool)> {
        let entry = self.entries.get_mut(id)?;
        if now >= entry.state.ends(&self.options) {
            return None;
        }
        entry.state.used = entry.state.used.max(now);
        let write = now - entry.written >= WRITE_EVERY;
        if write {
            entry.written = now;
        }
        Some((entry.state.clone(), write))
    }

    /// Uses a session and gives it the value that `change` makes of the one it has; what is to be written then.
    pub(crate) fn change(
        &mut self,
        id: &SessionId,
        now: UnixTime,
        change: impl FnOnce(&Bytes) -> Bytes,
    ) -> Result<Option<SessionState>> {
        if self.touch(id, now).is_none() {
            return Ok(None);
        }
        let Some(entry) = self.entries.get_mut(id) else { return Ok(None) };
        let value = change(&entry.state.value);
        if value.len() > SESSION_VALUE_OCTETS_MAX {
            return Err(too_long());
        }
        entry.state.value = value;
        entry.written = now;
        Ok(Some(entry.state.clone()))
    }

    /// Ends a session; true when there was one.
    pub(crate) fn remove(&mut self, id: &SessionId) -> bool {
        self.entries.remove(id).is_some()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The sessions that have not ended.
    pub(crate) fn alive(&self, now: UnixTime) -> impl Iterator<Item = &SessionState> {
        self.entries.values().map(|entry| &entry.state).filter(move |state| now < state.ends(&self.options))
    }

    /// Takes out the sessions that have ended.
    pub(crate) fn sweep(&mut self, now: UnixTime) -> Vec<SessionId> {
        let ended = self.entries.values().filter(|entry| now >= entry.state.ends(&self.options));
        let ended: Vec<SessionId> = ended.map(|entry| entry.state.id).collect();
        for id in &ended {
            self.entries.remove(id);
        }
        ended
    }
}

/// The refusal of a value that is too long.
pub(crate) fn too_long() -> Error {
    Limit::built_in("auth.session_value_octets_max", SESSION_VALUE_OCTETS_MAX as u64).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn minutes(minutes: u64) -> UnixTime {
        START + Duration::from_secs(60 * minutes)
    }

    fn table() -> (SessionTable, SessionId) {
        let id = SessionSecret([7; 16]).id();
        let mut table = SessionTable::new(SessionOptions::default());
        let state =
            SessionState { id, user: Some("ann".into()), value: Bytes::new(), created: START, used: START };
        table.insert(state, START).unwrap();
        (table, id)
    }

    #[test]
    fn a_session_slides_for_thirty_minutes_but_ends_after_twelve_hours() {
        let (mut table, id) = table();
        for minute in (29..12 * 60).step_by(29) {
            assert!(table.touch(&id, minutes(minute)).is_some(), "minute {minute}");
        }
        assert!(table.touch(&id, minutes(12 * 60)).is_none());
        let (mut table, id) = self::table();
        assert!(table.touch(&id, minutes(30)).is_none());
        assert_eq!(table.sweep(minutes(29)), []);
        assert_eq!(table.sweep(minutes(30)), [id]);
    }

    #[test]
    fn a_use_is_written_at_most_once_a_minute() {
        let (mut table, id) = table();
        let written = (1..=600).filter(|second| {
            let now = START + Duration::from_secs(*second);
            table.touch(&id, now).is_some_and(|(_, write)| write)
        });
        assert_eq!(written.count(), 10);
    }

    #[test]
    fn a_state_reads_back_and_no_prefix_of_it_panics() {
        let (table, id) = table();
        let mut state = table.alive(START).next().unwrap().clone();
        state.value = Bytes::from_static(b"cart");
        let record = state.encode();
        assert_eq!(SessionState::decode(id, &record), Ok(state));
        for length in 0..record.len() {
            let _ = SessionState::decode(id, &record[..length]);
        }
    }

    #[test]
    fn a_secret_reads_back_from_its_cookie_and_does_not_print() {
        let secret = SessionSecret(*b"0123456789abcdef");
        assert_eq!(SessionSecret::parse(&secret.text()), Some(secret.clone()));
        for text in ["", "abc", &"g".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
            assert_eq!(SessionSecret::parse(text), None, "{text}");
        }
        assert!(!format!("{secret:?}").contains("30"));
    }
}
