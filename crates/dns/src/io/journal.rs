//! What the store keeps of a zone: the changes since its file was read, or a whole zone and the changes
//! since then. A change is in it before anybody hears that it was made.
//!
//! | key | value |
//! | --- | --- |
//! | `dns.zone/` apex | [`Head`]: what there is of the zone |
//! | `dns.change/` apex number part | a piece of a change |
//! | `dns.whole/` apex number part | a piece of a whole zone's records |
//!
//! An apex in wire form ends in the root, so none is the beginning of another.

use std::sync::Arc;

use doorway_base::{Malformed, Reader, UnixTime};
use doorway_store::{Batch, Key, Range, ScanOptions, Store};

use crate::wire::Name;
use crate::zone::change::{decode_records, encode_record, record_octets};
use crate::zone::{Change, Draft, HashKey, Unfit, Zone};

/// Octets of one piece; a row of the store has a few more.
const PIECE_OCTETS: usize = 60 * 1024;
/// Octets of changes that are kept at once; after larger ones the whole zone is kept instead.
pub const CHANGES_OCTETS_MAX: usize = 2 << 20;
/// How many changes are kept at once; likewise.
pub const CHANGES_MAX: usize = 1000;
/// Octets of changes that wait to be replayed at least, before the whole zone is kept anew.
pub const REPLAY_OCTETS_MIN: u64 = 1 << 20;
/// Octets of changes that wait to be replayed at most.
pub const REPLAY_OCTETS_MAX: u64 = 64 << 20;
/// Octets of pieces in one batch: far enough below what a batch may have.
const BATCH_OCTETS: usize = 2 << 20;
/// Rows in one batch that removes.
const DELETES_MAX: usize = 2048;
/// The layout of [`Head`].
const HEAD_VERSION: u8 = 1;

/// What there is of a zone in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// SERIAL of the zone file that the changes begin with, or that was set aside for a whole zone.
    pub file_serial: Option<u32>,
    /// When the primary was heard last; for a secondary.
    pub heard: Option<UnixTime>,
    // The number of the whole zone, and in how many pieces it is; 0 for none.
    whole: u64,
    whole_pieces: u32,
    // Numbers of the first change after it and of the next to come.
    first: u64,
    next: u64,
    // Octets of the changes between the two.
    octets: u64,
    // About how many octets the whole zone has.
    zone_octets: u64,
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut octets = vec![HEAD_VERSION];
        octets.push(u8::from(self.file_serial.is_some()));
        octets.extend(self.file_serial.unwrap_or_default().to_be_bytes());
        octets.extend(self.heard.map_or(0, UnixTime::as_secs).to_be_bytes());
        octets.extend(self.whole.to_be_bytes());
        octets.extend(self.whole_pieces.to_be_bytes());
        for number in [self.first, self.next, self.octets, self.zone_octets] {
            octets.extend(number.to_be_bytes());
        }
        octets
    }

    fn decode(octets: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "the head of a kept zone";
        let mut reader = Reader::new(octets);
        if reader.u8(WHAT)? != HEAD_VERSION {
            return Err(Malformed::new("a kept zone of version 1", 0));
        }
        let has_file = reader.u8(WHAT)? != 0;
        let file_serial = reader.u32(WHAT)?;
        let heard = reader.u64(WHAT)?;
        let head = Self {
            file_serial: has_file.then_some(file_serial),
            heard: (heard != 0).then(|| UnixTime::from_secs(heard)),
            whole: reader.u64(WHAT)?,
            whole_pieces: reader.u32(WHAT)?,
            first: reader.u64(WHAT)?,
            next: reader.u64(WHAT)?,
            octets: reader.u64(WHAT)?,
            zone_octets: reader.u64(WHAT)?,
        };
        reader.finish("the end of the head of a kept zone")?;
        Ok(head)
    }

    /// Whether there is anything beside the head: a whole zone, or changes.
    #[must_use]
    pub const fn has_data(&self) -> bool {
        self.whole != 0 || self.next > self.first
    }

    /// Whether it is time to keep the whole zone, so that a start need not replay for long.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.octets > self.zone_octets.clamp(REPLAY_OCTETS_MIN, REPLAY_OCTETS_MAX)
    }
}

/// A zone as the store has it.
#[derive(Debug)]
pub struct Kept {
    /// What there is.
    pub head: Head,
    /// The whole zone, when one is kept.
    pub whole: Option<Zone>,
    /// The changes after it, or after the zone file.
    pub changes: Vec<Arc<Change>>,
}

/// Why the store could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalError {
    /// The store says no.
    Store(doorway_store::Error),
    /// What it has is no zone.
    Damaged(Malformed),
    /// What it has makes no zone.
    Unfit(Unfit),
}

impl std::fmt::Display for JournalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Damaged(malformed) => write!(f, "what the store keeps of the zone is damaged: {malformed}"),
            Self::Unfit(unfit) => write!(f, "what the store keeps of the zone does not fit it: {unfit}"),
        }
    }
}

impl std::error::Error for JournalError {}

impl From<doorway_store::Error> for JournalError {
    fn from(error: doorway_store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Malformed> for JournalError {
    fn from(malformed: Malformed) -> Self {
        Self::Damaged(malformed)
    }
}

impl From<Unfit> for JournalError {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

fn head_key(apex: &Name) -> Key {
    Key::from("dns.zone/").join(apex.lowered().as_octets())
}

fn changes_key(apex: &Name) -> Key {
    Key::from("dns.change/").join(apex.lowered().as_octets())
}

fn wholes_key(apex: &Name) -> Key {
    Key::from("dns.whole/").join(apex.lowered().as_octets())
}

fn piece_key(prefix: &Key, number: u64, piece: usize) -> Key {
    prefix.join_number(number).join((piece as u32).to_be_bytes())
}

/// Zones in the store.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    /// The zones in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// What is kept of the zone `apex`; `None` when nothing is.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn load(&self, apex: &Name, secret: HashKey) -> Result<Option<Kept>, JournalError> {
        let Some(row) = self.store.get(&[head_key(apex)]).await?.pop().flatten() else { return Ok(None) };
        let head = Head::decode(&row.value)?;
        let mut whole = None;
        if head.whole != 0 {
            let octets = self.pieces(&wholes_key(apex).join_number(head.whole)).await?;
            let mut draft = Draft::new(apex, secret);
            for record in decode_records(&octets)? {
                let node = draft.node(&record.name);
                let added =
                    node.is_some_and(|node| draft.add(node, record.kind, record.ttl, &record.rdata, 0));
                if !added {
                    return Err(Unfit::Outside(Box::new(record.name)).into());
                }
            }
            whole = Some(Zone::of_draft(&draft)?);
        }
        let mut changes = Vec::new();
        for number in head.first..head.next {
            let octets = self.pieces(&changes_key(apex).join_number(number)).await?;
            changes.push(Arc::new(Change::decode(&octets)?));
        }
        Ok(Some(Kept { head, whole, changes }))
    }

    async fn pieces(&self, prefix: &Key) -> Result<Vec<u8>, JournalError> {
        let (mut octets, mut range) = (Vec::new(), Range::prefix(prefix));
        loop {
            let page = self.store.scan(range.clone(), ScanOptions::default()).await?;
            for (_, row) in &page.rows {
                octets.extend_from_slice(&row.value);
            }
            match page.rest(&range, ScanOptions::default()) {
                Some(rest) => range = rest,
                None => return Ok(octets),
            }
        }
    }

    /// Puts changes into the journal; after that they survive everything. `batch` may hold what is to
    /// be done with them or not at all.
    ///
    /// # Errors
    /// [`JournalError::Store`]; then nothing was done and `head` is as it was.
    pub async fn append(
        &self,
        apex: &Name,
        head: &mut Head,
        changes: &[Change],
        batch: Batch,
    ) -> Result<(), JournalError> {
        let (batch, after) = Self::stage(apex, *head, changes, batch);
        self.store.commit(batch).await?;
        *head = after;
        Ok(())
    }

    /// Puts changes into a batch that [`commit`](Self::commit) is to do, with those of other zones or
    /// alone. Returns it, and the head that the zone has when it is done.
    #[must_use]
    pub fn stage(apex: &Name, head: Head, changes: &[Change], batch: Batch) -> (Batch, Head) {
        let mut after = head;
        let mut batch = batch;
        for change in changes {
            let octets = change.encode();
            for (piece, part) in octets.chunks(PIECE_OCTETS).enumerate() {
                batch = batch.put(piece_key(&changes_key(apex), after.next, piece), part.to_vec());
            }
            after.next += 1;
            after.octets += octets.len() as u64;
        }
        (batch.put(head_key(apex), after.encode()), after)
    }

    /// Keeps the whole zone and forgets the changes that led to it.
    ///
    /// # Errors
    /// [`JournalError::Store`]; what was kept before still is, and `head` is as it was.
    pub async fn keep_whole(&self, apex: &Name, head: &mut Head, zone: &Zone) -> Result<(), JournalError> {
        let mut after = *head;
        after.whole = head.whole.wrapping_add(1).max(1);
        after.whole_pieces = 0;
        after.zone_octets = 0;
        // Pieces of an attempt that came to nothing.
        self.remove(&wholes_key(apex).join_number(after.whole)).await?;
        let (mut batch, mut part) = (Batch::new(), Vec::new());
        let mut records = zone.iter().peekable();
        while let Some(record) = records.next() {
            encode_record(&record, &mut part);
            let room = PIECE_OCTETS.saturating_sub(records.peek().map_or(PIECE_OCTETS, record_octets));
            if part.len() > room || records.peek().is_none() {
                // One record may be longer than a piece.
                for chunk in std::mem::take(&mut part).chunks(PIECE_OCTETS) {
                    let key = piece_key(&wholes_key(apex), after.whole, after.whole_pieces as usize);
                    batch = batch.put(key, chunk.to_vec());
                    after.whole_pieces += 1;
                    after.zone_octets += chunk.len() as u64;
                }
            }
            if batch.octets() > BATCH_OCTETS {
                self.store.commit(std::mem::take(&mut batch)).await?;
            }
        }
        after.first = head.next;
        after.octets = 0;
        self.store.commit(batch.put(head_key(apex), after.encode())).await?;
        let before = std::mem::replace(head, after);
        // What is left lying by an error here takes room and does no other harm.
        for number in before.first..before.next {
            self.remove(&changes_key(apex).join_number(number)).await?;
        }
        if before.whole != 0 {
            self.remove(&wholes_key(apex).join_number(before.whole)).await?;
        }
        Ok(())
    }

    /// Writes the head alone: when the primary was heard, or which file the changes begin with.
    ///
    /// # Errors
    /// [`JournalError::Store`].
    pub async fn keep_head(&self, apex: &Name, head: &Head) -> Result<(), JournalError> {
        self.store.commit(Batch::new().put(head_key(apex), head.encode())).await?;
        Ok(())
    }

    /// Does a batch; nothing when it is empty.
    ///
    /// # Errors
    /// [`JournalError::Store`].
    pub async fn commit(&self, batch: Batch) -> Result<(), JournalError> {
        if batch.octets() > 0 {
            self.store.commit(batch).await?;
        }
        Ok(())
    }

    async fn remove(&self, prefix: &Key) -> Result<(), JournalError> {
        let options = ScanOptions { limit: DELETES_MAX, ..ScanOptions::default() };
        loop {
            let page = self.store.scan(Range::prefix(prefix), options).await?;
            if page.rows.is_empty() {
                return Ok(());
            }
            let batch = page.rows.into_iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key));
            self.store.commit(batch).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::file;
    use doorway_base::Random;
    use doorway_store::{MemoryStore, wait};

    fn secret() -> HashKey {
        HashKey::new(&mut Random::new(1))
    }

    fn apex() -> Name {
        "example.org".parse().unwrap()
    }

    fn zone(serial: u32, rest: &str) -> Zone {
        let text = format!("$TTL 60\n@ SOA ns host {serial} 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{rest}");
        file::read(&apex(), "zone", text.as_bytes(), secret()).unwrap_or_else(|faults| panic!("{faults}")).0
    }

    fn lines(zone: &Zone) -> Vec<String> {
        let mut lines: Vec<String> = zone.iter().map(|record| record.to_string()).collect();
        lines.sort();
        lines
    }

    fn load(journal: &Journal) -> Kept {
        wait(journal.load(&apex(), secret())).unwrap().unwrap()
    }

    #[test]
    fn changes_come_back_in_their_order_and_a_whole_zone_takes_their_place() {
        let store = Arc::new(MemoryStore::new());
        let journal = Journal::new(store.clone());
        assert!(wait(journal.load(&apex(), secret())).unwrap().is_none());
        let large: String = (0..3000).map(|n| format!("host-{n} TXT \"{}\"\n", "x".repeat(200))).collect();
        let zones = [zone(1, ""), zone(2, "a A 192.0.2.2\n"), zone(3, &large)];
        let mut head = Head { file_serial: Some(1), ..Head::default() };
        for pair in zones.windows(2) {
            let change = pair[0].difference(&pair[1], secret());
            wait(journal.append(&apex(), &mut head, &[change], Batch::new())).unwrap();
        }
        let kept = load(&journal);
        assert_eq!((kept.head, kept.whole.is_none(), kept.changes.len()), (head, true, 2));
        let made = zones[0].changed(&kept.changes, secret()).unwrap();
        assert_eq!(lines(&made), lines(&zones[2]));

        for _ in 0..2 {
            wait(journal.keep_whole(&apex(), &mut head, &zones[2])).unwrap();
            let kept = load(&journal);
            assert_eq!((kept.head, kept.changes.len()), (head, 0));
            assert_eq!(lines(&kept.whole.unwrap()), lines(&zones[2]));
        }
        // Nothing of what was before is left: the head and the pieces of one zone.
        let rows = store.scan(Range::all(), ScanOptions::default()).wait().unwrap().rows.len();
        assert_eq!(rows, 1 + head.whole_pieces as usize);
    }

    #[test]
    fn a_head_reads_back_and_every_prefix_of_it_is_refused() {
        let head = Head {
            file_serial: Some(7),
            heard: Some(UnixTime::from_secs(5)),
            whole: 1,
            whole_pieces: 2,
            first: 3,
            next: 4,
            octets: 5,
            zone_octets: 6,
        };
        let octets = head.encode();
        assert_eq!(Head::decode(&octets), Ok(head));
        for length in 0..octets.len() {
            assert!(Head::decode(&octets[..length]).is_err());
        }
    }

    #[test]
    fn a_journal_is_long_when_replaying_takes_longer_than_reading_the_zone() {
        let head = |octets, zone_octets| Head { octets, zone_octets, ..Head::default() };
        assert!(!head(REPLAY_OCTETS_MIN, 0).is_long() && head(REPLAY_OCTETS_MIN + 1, 0).is_long());
        assert!(!head(9 << 20, 10 << 20).is_long() && head(11 << 20, 10 << 20).is_long());
        assert!(head(REPLAY_OCTETS_MAX + 1, u64::MAX).is_long());
    }
}
