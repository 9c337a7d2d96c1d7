//! Contents read back from segments: every octet is checked against its hash before anybody gets it.

use std::io;
use std::sync::Arc;

use doorway_net::web::Bytes;

use super::files::{Files, Segment};
use crate::cache::record::{
    self, BLOCK_OCTETS, HEADER_OCTETS, Header, Kind, Layout, ObjectHead, PIECE_OCTETS, PieceAt,
};

/// Octets that are read at a time for a client.
const SPAN_OCTETS: u64 = 256 * 1024;

/// A content on disk. Its segments stay as long as it is held.
#[derive(Debug)]
pub(crate) struct DiskContent {
    octets: u64,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    /// In one record.
    Block { segment: Arc<Segment>, at: u64, hashes: Box<[u64]> },
    /// In a record for each [`PIECE_OCTETS`]; the last may be shorter.
    Pieces(Vec<DiskPiece>),
}

/// A piece of a content.
#[derive(Debug, Clone)]
pub(crate) struct DiskPiece {
    pub(crate) segment: Arc<Segment>,
    pub(crate) at: u32,
    pub(crate) octets: u32,
}

impl DiskPiece {
    pub(crate) fn place(&self) -> PieceAt {
        PieceAt { segment: self.segment.number(), at: self.at, octets: self.octets }
    }

    /// Octets of the piece from `at` on, no more than are read at a time.
    pub(crate) fn read(&self, at: u64) -> io::Result<Bytes> {
        let mut front = [0; HEADER_OCTETS + 8 * PIECE_OCTETS / BLOCK_OCTETS];
        let blocks = (self.octets as usize).div_ceil(BLOCK_OCTETS);
        let front = &mut front[..HEADER_OCTETS + 8 * blocks];
        self.segment.read(front, u64::from(self.at))?;
        let header = Header::parse(front).map_err(damaged)?;
        let head = &front[HEADER_OCTETS..];
        let is_it = header.kind == Kind::Piece
            && header.content_octets == self.octets
            && header.head_octets as usize == head.len()
            && header.check(front, head);
        if !is_it {
            return Err(damaged("a piece of a content"));
        }
        let hashes = record::parse_piece(head, header.content_octets).map_err(damaged)?;
        let content_at = u64::from(self.at) + front.len() as u64;
        let until = u64::from(self.octets).min(at + SPAN_OCTETS);
        read_blocks(&self.segment, content_at, &hashes, u64::from(self.octets), at, until)
    }
}

impl DiskContent {
    /// The content of a response whose head was read at `at` in `segment`; `None` when one of its segments is
    /// gone.
    pub(super) fn of(
        files: &Files,
        segment: &Arc<Segment>,
        at: u64,
        header: &Header,
        head: &ObjectHead,
    ) -> Option<Self> {
        let parts = match &head.layout {
            Layout::Inline(hashes) => {
                let at = at + HEADER_OCTETS as u64 + u64::from(header.head_octets);
                Parts::Block { segment: Arc::clone(segment), at, hashes: hashes.as_slice().into() }
            }
            Layout::At { segment, at, hashes } => {
                let segment = files.segment(*segment)?;
                Parts::Block { segment, at: u64::from(*at), hashes: hashes.as_slice().into() }
            }
            Layout::Pieces(pieces) => {
                let piece = |piece: &PieceAt| {
                    let segment = files.segment(piece.segment)?;
                    Some(DiskPiece { segment, at: piece.at, octets: piece.octets })
                };
                Parts::Pieces(pieces.iter().map(piece).collect::<Option<_>>()?)
            }
        };
        Some(Self { octets: head.octets, parts })
    }

    /// The content of the response whose record is at `at`. Blocks.
    pub(crate) fn at(files: &Files, segment: u32, at: u32, head_octets: u32) -> Option<Self> {
        let segment = files.segment(segment)?;
        let (header, head) = read_head(&segment, u64::from(at), head_octets).ok()?;
        Self::of(files, &segment, u64::from(at), &header, &head)
    }

    /// A content that was written in pieces.
    pub(super) fn of_pieces(octets: u64, pieces: Vec<DiskPiece>) -> Self {
        Self { octets, parts: Parts::Pieces(pieces) }
    }

    /// Its length.
    pub(crate) const fn octets(&self) -> u64 {
        self.octets
    }

    /// What it takes in memory, in octets.
    pub(crate) fn weight(&self) -> u64 {
        match &self.parts {
            Parts::Block { hashes, .. } => 8 * hashes.len() as u64,
            Parts::Pieces(pieces) => (pieces.len() * size_of::<DiskPiece>()) as u64,
        }
    }

    /// Where it lies, for another head to point to; and the oldest segment that has some of it.
    pub(crate) fn layout(&self) -> (Layout, u32) {
        match &self.parts {
            Parts::Block { segment, at, hashes } => {
                let (segment, at) = (segment.number(), *at as u32);
                (Layout::At { segment, at, hashes: hashes.to_vec() }, segment)
            }
            Parts::Pieces(pieces) => {
                let oldest = pieces.iter().map(|piece| piece.segment.number()).min();
                let pieces = pieces.iter().map(DiskPiece::place).collect();
                (Layout::Pieces(pieces), oldest.unwrap_or(u32::MAX))
            }
        }
    }

    /// Octets from `at` on, before `until`, no more than are read at a time. Blocks.
    ///
    /// # Errors
    /// `InvalidData` when what lies there is not what was written, else as the disk gives them.
    pub(crate) fn read(&self, at: u64, until: u64) -> io::Result<Bytes> {
        let until = until.min(self.octets);
        match &self.parts {
            Parts::Block { segment, at: content_at, hashes } => {
                read_blocks(segment, *content_at, hashes, self.octets, at, until.min(at + SPAN_OCTETS))
            }
            Parts::Pieces(pieces) => {
                let piece =
                    pieces.get((at / PIECE_OCTETS as u64) as usize).ok_or_else(|| damaged("pieces"))?;
                let begin = at - at % PIECE_OCTETS as u64;
                let mut octets = piece.read(at - begin)?;
                octets.truncate(usize::try_from(until - at).unwrap_or(usize::MAX));
                Ok(octets)
            }
        }
    }

    /// All of it. Blocks.
    ///
    /// # Errors
    /// As for [`DiskContent::read`].
    pub(crate) fn read_whole(&self) -> io::Result<Bytes> {
        if let Parts::Block { segment, at, hashes } = &self.parts {
            return read_blocks(segment, *at, hashes, self.octets, 0, self.octets);
        }
        let mut whole = Vec::with_capacity(self.octets as usize);
        while (whole.len() as u64) < self.octets {
            whole.extend_from_slice(&self.read(whole.len() as u64, self.octets)?);
        }
        Ok(whole.into())
    }
}

// Reads the blocks that have the octets from `at` to `until`, checks them, and gives those octets.
fn read_blocks(
    segment: &Segment,
    content_at: u64,
    hashes: &[u64],
    octets: u64,
    at: u64,
    until: u64,
) -> io::Result<Bytes> {
    if at >= until {
        return Ok(Bytes::new());
    }
    let block = BLOCK_OCTETS as u64;
    let begin = at - at % block;
    let end = until.next_multiple_of(block).min(octets);
    let mut read = vec![0; (end - begin) as usize];
    segment.read(&mut read, content_at + begin)?;
    let hashes = hashes.iter().skip((begin / block) as usize);
    let mut blocks = read.chunks(BLOCK_OCTETS);
    let right = hashes.zip(&mut blocks).all(|(hash, block)| *hash == record::block_hash(block));
    if !right || blocks.next().is_some() {
        return Err(damaged("a block of a content"));
    }
    Ok(Bytes::from(read).slice((at - begin) as usize..(until - begin) as usize))
}

pub(super) fn damaged(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("damaged on disk: {}", what.to_string()))
}

/// Reads header and head of the record at `at`.
pub(super) fn read_head(segment: &Segment, at: u64, head_octets: u32) -> io::Result<(Header, ObjectHead)> {
    let mut front = vec![0; HEADER_OCTETS + head_octets as usize];
    segment.read(&mut front, at)?;
    let header = Header::parse(&front).map_err(damaged)?;
    let head = &front[HEADER_OCTETS..];
    if header.head_octets != head_octets || !header.check(&front, head) {
        return Err(damaged("the head of a response"));
    }
    let head = ObjectHead::parse(head).map_err(damaged)?;
    Ok((header, head))
}
