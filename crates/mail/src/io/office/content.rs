//! The octets of a message on their way through the office, in memory or on disk.

use bytes::Bytes;
use doorway_store::{Durability, Error, READ_OCTETS_MAX, Result as StoreResult};

use super::{HEADER_OCTETS_MAX, Office};
use crate::io::bodies::Content;
use crate::mime::{Demands, Scanner};

impl Office {
    /// The structure of a message, and what it asks of the way.
    pub(super) async fn scan(&self, head: &[u8], content: &Content) -> StoreResult<(Vec<u8>, Demands)> {
        let mut scanner = Scanner::default();
        scanner.push(head);
        match content {
            Content::Memory(pieces) => pieces.iter().for_each(|piece| scanner.push(piece)),
            Content::Blob(stored) => {
                let mut at = 0;
                while at < stored.octets {
                    let piece = self.bodies().blobs().read(stored.id, at, READ_OCTETS_MAX).await?;
                    if piece.is_empty() {
                        return Err(Error::NoSuchBlob);
                    }
                    at += piece.len() as u64;
                    scanner.push(&piece);
                }
            }
        }
        let structure = scanner.finish();
        Ok((structure.to_octets(), structure.demands))
    }

    /// The octets at the start of a message in which its header is.
    pub(super) async fn start_of(&self, content: &Content) -> StoreResult<Bytes> {
        match content {
            Content::Memory(pieces) => match &pieces[..] {
                [] => Ok(Bytes::new()),
                [only] => Ok(only.slice(..only.len().min(HEADER_OCTETS_MAX))),
                [first, ..] if first.len() >= HEADER_OCTETS_MAX => Ok(first.slice(..HEADER_OCTETS_MAX)),
                pieces => {
                    let mut start =
                        Vec::with_capacity(content.octets().min(HEADER_OCTETS_MAX as u64) as usize);
                    for piece in pieces {
                        let room = HEADER_OCTETS_MAX - start.len();
                        start.extend_from_slice(&piece[..piece.len().min(room)]);
                    }
                    Ok(start.into())
                }
            },
            Content::Blob(stored) => self.bodies().blobs().read(stored.id, 0, HEADER_OCTETS_MAX as u64).await,
        }
    }

    /// A message without its first octets.
    pub(super) async fn without_start(&self, content: &Content, mut octets: usize) -> StoreResult<Content> {
        match content {
            Content::Memory(pieces) => {
                let mut left = Vec::with_capacity(pieces.len());
                for piece in pieces {
                    let gone = octets.min(piece.len());
                    octets -= gone;
                    left.push(piece.slice(gone..));
                }
                Ok(Content::Memory(left))
            }
            Content::Blob(stored) => {
                let blobs = self.bodies().blobs();
                // What is prepared from this is durable; this is on its way there.
                let mut writer = blobs.writer(Durability::Process);
                let mut at = octets as u64;
                while at < stored.octets {
                    let piece = blobs.read(stored.id, at, READ_OCTETS_MAX).await?;
                    if piece.is_empty() {
                        return Err(Error::NoSuchBlob);
                    }
                    at += piece.len() as u64;
                    writer.write(piece).await?;
                }
                Ok(Content::Blob(writer.finish().await?))
            }
        }
    }
}
