//! The content of a response on its way out of a file: all of it, parts of it, or compressed meanwhile.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use doorway_base::trace::EventId;
use doorway_net::web::Bytes;

use super::batch::Then;
use super::compress::Encoder;
use crate::coding::Coding;
use crate::range::Span;

/// Content of which the head is written already.
pub(super) struct FileStream {
    source: Source,
    /// What is still to be sent, in order.
    pieces: VecDeque<Piece>,
    encoder: Option<Encoder>,
    /// What the encoder gave and nobody has taken yet.
    coded: Vec<u8>,
    /// What follows when it is out.
    pub(super) then: Then,
    pub(super) cause: Option<EventId>,
}

/// What a response's content is taken from.
pub(super) enum Source {
    /// A file on the disk.
    File(File),
    /// The whole of one in memory.
    Memory(Bytes),
}

enum Piece {
    Octets(Vec<u8>),
    File(Span),
    /// A part of a file that is long enough to be sent without being read.
    Direct(Span),
}

/// Parts of a file that are shorter are read, and leave together with what is before them.
pub(super) const DIRECT_OCTETS_MIN: u64 = 64 * 1024;

impl Piece {
    fn of(source: &Source, span: Span) -> Self {
        match source {
            Source::File(_) if span.octets() >= DIRECT_OCTETS_MIN => Self::Direct(span),
            _ => Self::File(span),
        }
    }
}

impl FileStream {
    /// One part of a file, or all of it.
    pub(super) fn part(source: Source, span: Span, then: Then, cause: Option<EventId>) -> Self {
        let pieces =
            if span.first < span.end { VecDeque::from([Piece::of(&source, span)]) } else { VecDeque::new() };
        Self::new(source, pieces, None, then, cause)
    }

    /// Parts of a file with text before each and behind the last.
    pub(super) fn parts(
        source: Source,
        heads: Vec<String>,
        parts: &[Span],
        end: String,
        then: Then,
        cause: Option<EventId>,
    ) -> Self {
        let both = heads.into_iter().zip(parts);
        let mut pieces: VecDeque<Piece> = both
            .flat_map(|(head, part)| [Piece::Octets(head.into_bytes()), Piece::of(&source, *part)])
            .collect();
        pieces.push_back(Piece::Octets(end.into_bytes()));
        Self::new(source, pieces, None, then, cause)
    }

    /// The first `octets` octets of a file, compressed; how many that makes shows at the end.
    ///
    /// # Errors
    /// When the compressor has no memory.
    pub(super) fn compressed(
        source: Source,
        octets: u64,
        coding: Coding,
        then: Then,
        cause: Option<EventId>,
    ) -> io::Result<Self> {
        let pieces = VecDeque::from([Piece::File(Span { first: 0, end: octets })]);
        Ok(Self::new(source, pieces, Some(Encoder::new(coding)?), then, cause))
    }

    fn new(
        source: Source,
        pieces: VecDeque<Piece>,
        encoder: Option<Encoder>,
        then: Then,
        cause: Option<EventId>,
    ) -> Self {
        Self { source, pieces, encoder, coded: Vec::new(), then, cause }
    }

    /// Whether its head says no length, so that HTTP/1 has to send it in chunks.
    pub(super) const fn has_no_length(&self) -> bool {
        self.encoder.is_some()
    }

    /// The octets of the file that come next, when they are sent as they are, for whoever can send them
    /// without reading them. Say with [`FileStream::advance`] how many were.
    pub(super) fn next_of_file(&self) -> Option<(&File, Span)> {
        match (&self.source, self.pieces.front()) {
            (Source::File(file), Some(Piece::Direct(span))) => Some((file, *span)),
            _ => None,
        }
    }

    /// The octets that come next, when they are in memory and sent as they are. Say with
    /// [`FileStream::advance`] how many were.
    pub(super) fn next_in_memory(&self) -> Option<&[u8]> {
        match (&self.source, self.pieces.front()) {
            (Source::Memory(content), Some(Piece::File(span))) if self.encoder.is_none() => {
                content.get(span.first as usize..span.end as usize)
            }
            _ => None,
        }
    }

    /// Whether it is known that nothing more comes; of what is compressed that shows when nothing is pulled.
    pub(super) fn is_over(&self) -> bool {
        self.pieces.is_empty() && self.encoder.is_none()
    }

    /// Takes note that so many octets of the file were sent.
    pub(super) fn advance(&mut self, octets: u64) {
        if let Some(Piece::File(span) | Piece::Direct(span)) = self.pieces.front_mut() {
            span.first = (span.first + octets).min(span.end);
            if span.first == span.end {
                self.pieces.pop_front();
            }
        }
    }

    /// Appends up to `octets_max` octets of what comes next to `out`. Returns how many; none is the end.
    ///
    /// # Errors
    /// As the disk gives them; `UnexpectedEof` when the file became shorter than what was promised.
    pub(super) fn pull(&mut self, out: &mut Vec<u8>, octets_max: usize) -> io::Result<usize> {
        if octets_max == 0 {
            return Ok(0);
        }
        if self.encoder.is_some() {
            return self.pull_coded(out, octets_max);
        }
        self.pull_plain(out, octets_max)
    }

    fn pull_plain(&mut self, out: &mut Vec<u8>, octets_max: usize) -> io::Result<usize> {
        match self.pieces.front_mut() {
            None => Ok(0),
            Some(Piece::Octets(octets)) => {
                let count = octets.len().min(octets_max);
                out.extend(octets.drain(..count));
                if octets.is_empty() {
                    self.pieces.pop_front();
                }
                Ok(count)
            }
            Some(Piece::File(span) | Piece::Direct(span)) => {
                let room = usize::try_from(span.octets()).unwrap_or(usize::MAX).min(octets_max);
                let start = out.len();
                out.resize(start + room, 0);
                let count = match &self.source {
                    Source::File(file) => file.read_at(&mut out[start..], span.first),
                    Source::Memory(content) => {
                        let from = content.get(span.first as usize..).unwrap_or_default();
                        let count = from.len().min(room);
                        out[start..start + count].copy_from_slice(&from[..count]);
                        Ok(count)
                    }
                };
                out.truncate(start + *count.as_ref().unwrap_or(&0));
                match count? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    count => {
                        self.advance(count as u64);
                        Ok(count)
                    }
                }
            }
        }
    }

    fn pull_coded(&mut self, out: &mut Vec<u8>, octets_max: usize) -> io::Result<usize> {
        while self.coded.is_empty() {
            let mut plain = Vec::new();
            let count = self.pull_plain(&mut plain, octets_max)?;
            let Some(encoder) = &mut self.encoder else { return Ok(0) };
            if count == 0 {
                encoder.finish()?;
                self.coded = encoder.take();
                if self.coded.is_empty() {
                    return Ok(0);
                }
            } else {
                encoder.write(&plain)?;
                self.coded = encoder.take();
            }
        }
        let count = self.coded.len().min(octets_max);
        out.extend(self.coded.drain(..count));
        Ok(count)
    }
}
