//! Segment files: blobs one behind the other. Here are the octets; reading and writing them is
//! `io/segments.rs`.
//!
//! | octets | field |
//! | --- | --- |
//! | 4 | `DWSG` |
//! | 4 | flags, all 0 |
//! | 8 | length of the content, big-endian |
//! | 32 | BLAKE3 of the content |

use doorway_base::{Malformed, Reader};

use crate::blob::BlobId;

const MAGIC: [u8; 4] = *b"DWSG";
/// Octets before a record's content.
pub(crate) const HEADER_OCTETS: u64 = 48;

/// What stands before a blob's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) octets: u64,
    pub(crate) id: BlobId,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_OCTETS as usize] {
        let mut header = [0; HEADER_OCTETS as usize];
        header[..4].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&self.octets.to_be_bytes());
        header[16..].copy_from_slice(&self.id.0);
        header
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let start = *reader;
        if reader.array::<4>("segment record")? != MAGIC {
            return Err(start.malformed("a segment record's mark"));
        }
        if reader.u32("flags")? != 0 {
            return Err(start.malformed("known flags"));
        }
        let octets = reader.u64("length")?;
        let id = BlobId(reader.array("hash")?);
        Ok(Self { octets, id })
    }
}

/// What a walk through a segment comes upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole record whose content has its hash.
    Record { offset: u64, header: Header },
    /// Octets that are no record, up to the next record or the end.
    Damage { offset: u64, octets: u64 },
}

/// Walks through a segment's octets, past damage.
pub(crate) fn walk(octets: &[u8]) -> impl Iterator<Item = Found> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= octets.len() {
            return None;
        }
        let offset = at as u64;
        if let Some((header, end)) = record_at(octets, at) {
            at = end;
            return Some(Found::Record { offset, header });
        }
        let next = (at + 1..octets.len())
            .find(|next| octets[*next..].starts_with(&MAGIC) && record_at(octets, *next).is_some());
        at = next.unwrap_or(octets.len());
        Some(Found::Damage { offset, octets: at as u64 - offset })
    })
}

/// The unharmed record at `at` and where it ends.
fn record_at(octets: &[u8], at: usize) -> Option<(Header, usize)> {
    let mut reader = Reader::at(octets, at);
    let header = Header::decode(&mut reader).ok()?;
    let content = reader.take(usize::try_from(header.octets).ok()?, "content").ok()?;
    (BlobId::of(content) == header.id).then_some((header, reader.position()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content: &[u8]) -> Vec<u8> {
        let header = Header { octets: content.len() as u64, id: BlobId::of(content) };
        [&header.encode()[..], content].concat()
    }

    #[test]
    fn a_walk_finds_the_records_on_both_sides_of_damage() {
        let (first, second, third) = (record(b"one"), record(b"two, longer"), record(b""));
        let mut octets = [&first[..], &second, &third].concat();
        octets[first.len() + 50] ^= 1;
        let found: Vec<_> = walk(&octets).collect();
        assert!(matches!(found[0], Found::Record { offset: 0, .. }));
        assert_eq!(found[1], Found::Damage { offset: first.len() as u64, octets: second.len() as u64 });
        assert!(matches!(found[2], Found::Record { header: Header { octets: 0, .. }, .. }));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn every_prefix_of_a_record_is_damage() {
        let whole = record(b"content");
        for length in 1..whole.len() {
            let found: Vec<_> = walk(&whole[..length]).collect();
            assert_eq!(found, [Found::Damage { offset: 0, octets: length as u64 }]);
        }
    }
}
