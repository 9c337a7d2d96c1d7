//! The commit log's records: what a group of commits changed, as octets. Reading and writing files is
//! `io/log.rs`.
//!
//! | octets | field |
//! | --- | --- |
//! | 4 | `DWLG` |
//! | 4 | length of the payload |
//! | 8 | epoch: the number of the log file's life; a file is used again and again |
//! | 8 | sequence number of the first commit in the record |
//! | 8 | sequence number of the last; one less than the first when the record opens a file |
//! | 16 | BLAKE3 of the 24 octets before and the payload, cut to 128 bits |
//!
//! The payload is a row after the other: 1 octet (0 removed, 1 written), key length (2), version (8),
//! value length (4), key, value. All numbers are big-endian.

use bytes::Bytes;
use doorway_base::{Malformed, Reader};

use crate::batch::{Change, Changes};
use crate::key::{KEY_OCTETS_MAX, Key, VALUE_OCTETS_MAX};

const MAGIC: [u8; 4] = *b"DWLG";
/// Octets before the payload.
pub(crate) const HEADER_OCTETS: usize = 48;
/// Longest payload that is believed: well above the largest group.
const PAYLOAD_OCTETS_MAX: usize = 256 * 1024 * 1024;

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) epoch: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) changes: Changes,
}

/// Writes the record of commits `first..=last` into `out`, which is emptied before.
pub(crate) fn encode(out: &mut Vec<u8>, epoch: u64, first: u64, last: u64, changes: &Changes) {
    out.clear();
    out.resize(HEADER_OCTETS, 0);
    for (key, change) in changes {
        let value = change.value.as_deref().unwrap_or_default();
        out.push(u8::from(change.value.is_some()));
        // Both lengths were bounded when the batch came in.
        out.extend_from_slice(&(key.octets() as u16).to_be_bytes());
        out.extend_from_slice(&change.version.to_be_bytes());
        out.extend_from_slice(&(value.len() as u32).to_be_bytes());
        out.extend_from_slice(key.as_octets());
        out.extend_from_slice(value);
    }
    let payload_octets = (out.len() - HEADER_OCTETS) as u32;
    out[..4].copy_from_slice(&MAGIC);
    out[4..8].copy_from_slice(&payload_octets.to_be_bytes());
    out[8..16].copy_from_slice(&epoch.to_be_bytes());
    out[16..24].copy_from_slice(&first.to_be_bytes());
    out[24..32].copy_from_slice(&last.to_be_bytes());
    let hash = hash(&out[8..32], &out[HEADER_OCTETS..]);
    out[32..HEADER_OCTETS].copy_from_slice(&hash);
}

/// Reads the record at the reader's place and moves past it.
///
/// # Errors
/// [`Malformed`] when there is no whole and unharmed record: the log ends here.
pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Record, Malformed> {
    let start = *reader;
    if reader.array::<4>("log record")? != MAGIC {
        return Err(start.malformed("a log record's mark"));
    }
    let payload_octets = reader.u32("length of a log record")? as usize;
    if payload_octets > PAYLOAD_OCTETS_MAX {
        return Err(start.malformed("a log record of possible length"));
    }
    let numbers = &reader.rest()[..reader.remaining().min(24)];
    let epoch = reader.u64("epoch")?;
    let first = reader.u64("first sequence number")?;
    let last = reader.u64("last sequence number")?;
    let expected: [u8; 16] = reader.array("hash of a log record")?;
    let payload = reader.take(payload_octets, "a whole log record")?;
    if hash(numbers, payload) != expected {
        return Err(start.malformed("an unharmed log record"));
    }
    let mut rows = Reader::new(payload);
    let mut changes = Changes::new();
    while !rows.is_empty() {
        let (key, change) = decode_row(&mut rows)?;
        changes.insert(key, change);
    }
    Ok(Record { epoch, first, last, changes })
}

/// Every record of a file that is whole, past damage and those of earlier lives, in the order in which they
/// were written.
pub(crate) fn records_past_damage(octets: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let mut reader = Reader::at(octets, at);
        match decode(&mut reader) {
            Ok(record) => {
                records.push(record);
                at = reader.position();
            }
            Err(_) => {
                let next = octets[at + 1..].windows(MAGIC.len()).position(|four| four == MAGIC);
                at = next.map_or(octets.len(), |next| at + 1 + next);
            }
        }
    }
    records.sort_by_key(|record: &Record| (record.epoch, record.first));
    records
}

fn decode_row(rows: &mut Reader<'_>) -> Result<(Key, Change), Malformed> {
    let written = match rows.u8("kind of change")? {
        0 => false,
        1 => true,
        _ => return Err(rows.malformed("a known kind of change")),
    };
    let key_octets = usize::from(rows.u16("key length")?);
    let version = rows.u64("version")?;
    let value_octets = rows.u32("value length")? as usize;
    if key_octets > KEY_OCTETS_MAX || value_octets > VALUE_OCTETS_MAX {
        return Err(rows.malformed("a key and a value within their bounds"));
    }
    let key = Key::from(rows.take(key_octets, "key")?);
    let value = rows.take(value_octets, "value")?;
    Ok((key, Change { value: written.then(|| Bytes::copy_from_slice(value)), version }))
}

fn hash(numbers: &[u8], payload: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(numbers).update(payload);
    let mut cut = [0; 16];
    cut.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Changes {
        let written = Change { value: Some(Bytes::from_static(b"Ann")), version: 7 };
        let empty = Change { value: Some(Bytes::new()), version: 8 };
        let removed = Change { value: None, version: 9 };
        Changes::from([
            (Key::from("user/ann"), written),
            (Key::from("empty"), empty),
            (Key::from("user/bob"), removed),
        ])
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let mut octets = Vec::new();
        encode(&mut octets, 3, 7, 9, &example());
        let mut reader = Reader::new(&octets);
        assert_eq!(decode(&mut reader), Ok(Record { epoch: 3, first: 7, last: 9, changes: example() }));
        assert!(reader.is_empty());
    }

    #[test]
    fn every_prefix_and_every_flipped_octet_is_refused() {
        let mut octets = Vec::new();
        encode(&mut octets, 3, 7, 9, &example());
        for length in 0..octets.len() {
            assert!(decode(&mut Reader::new(&octets[..length])).is_err(), "prefix of {length}");
        }
        for at in 0..octets.len() {
            let mut harmed = octets.clone();
            harmed[at] ^= 0x40;
            assert!(decode(&mut Reader::new(&harmed)).is_err(), "octet {at}");
        }
    }
}
