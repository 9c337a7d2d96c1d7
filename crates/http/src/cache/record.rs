//! A response as it lies in a segment file: a header of fixed length, a head with everything that is said
//! about the response, and content. Every part is checked before it is believed.
//!
//! ```text
//! magic 4 | kind 1 | zero 3 | head length 4 | content length 4 | name 8 | variant 8 | purges 8 | run 8 | hash 16
//! head | content
//! ```
//!
//! Numbers are big-endian. The hash is of the header before it and of the head. Content is cut into blocks of
//! [`BLOCK_OCTETS`], whose hashes stand in the head, so that a reader checks what it hands out and no more.
//! Content of up to [`PIECE_OCTETS`] follows its head; longer content lies in pieces, each a record of its
//! own, that the head points to.

use std::time::Duration;

use doorway_base::{Instant, Malformed, Reader, UnixTime};
use doorway_net::web::Fields;

use super::freshness::Terms;
use super::policy::Targets;
use super::stored::{Moment, Stored};

/// Octets of a record before its head.
pub const HEADER_OCTETS: usize = 64;
/// Octets of content that have a hash of their own.
pub const BLOCK_OCTETS: usize = 64 * 1024;
/// Longest content of one record.
pub const PIECE_OCTETS: usize = 1024 * 1024;
/// Longest head.
pub const HEAD_OCTETS_MAX: usize = 16 * 1024 * 1024;

const MAGIC: [u8; 4] = *b"DwR1";
/// Octets of the header that the hash is of.
const HASHED_OCTETS: usize = 48;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A response.
    Object,
    /// A piece of a long content.
    Piece,
    /// Other fields of a response whose content lies elsewhere.
    Fields,
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Of the target, see [`Names`](super::Names).
    pub name: u64,
    /// Of what selects the response, in the same way.
    pub variant: u64,
    /// How many purges there had been when the origin was asked: later ones are about it.
    pub purges: u64,
    /// Which run of the program wrote it: within one, its moments on the monotonic clock count.
    pub run: u64,
}

/// The first octets of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the record is.
    pub kind: Kind,
    /// What it is about.
    pub mark: Mark,
    /// Octets of the head.
    pub head_octets: u32,
    /// Octets of content that follow the head.
    pub content_octets: u32,
    hash: [u8; 16],
}

/// Where a piece of content lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceAt {
    /// Number of the segment.
    pub segment: u32,
    /// Where its record begins there.
    pub at: u32,
    /// Octets of content in it.
    pub octets: u32,
}

/// Where the content of a response lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Behind the head; with the hashes of its blocks.
    Inline(Vec<u64>),
    /// Behind the head of another record.
    At {
        /// Number of the segment.
        segment: u32,
        /// Where the content begins there.
        at: u32,
        /// Hashes of its blocks.
        hashes: Vec<u64>,
    },
    /// In records of their own.
    Pieces(Vec<PieceAt>),
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    /// The target.
    pub url: String,
    /// Status, fields and times.
    pub stored: Stored,
    /// Whether the origin has to be asked before it is used.
    pub must_validate: bool,
    /// Octets of the whole content.
    pub octets: u64,
    /// Where that lies.
    pub layout: Layout,
}

impl Header {
    /// Octets of the whole record.
    #[must_use]
    pub const fn record_octets(&self) -> u64 {
        HEADER_OCTETS as u64 + self.head_octets as u64 + self.content_octets as u64
    }

    /// Reads a header. Nothing of it is to be believed before [`Header::check`].
    ///
    /// # Errors
    /// [`Malformed`] where no record begins.
    pub fn parse(octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(octets);
        if reader.array::<4>("magic of a record")? != MAGIC {
            return Err(Malformed::new("magic of a record", 0));
        }
        let kind = match reader.u8("kind of a record")? {
            1 => Kind::Object,
            2 => Kind::Piece,
            3 => Kind::Fields,
            _ => return Err(Malformed::new("kind of a record", 4)),
        };
        reader.take(3, "zeros")?;
        let head_octets = reader.u32("length of a head")?;
        if head_octets as usize > HEAD_OCTETS_MAX {
            return Err(Malformed::new("length of a head", 8));
        }
        let content_octets = reader.u32("length of a content")?;
        if content_octets as usize > PIECE_OCTETS {
            return Err(Malformed::new("length of a content", 12));
        }
        let mut number = || reader.u64("mark of a record");
        let mark = Mark { name: number()?, variant: number()?, purges: number()?, run: number()? };
        let hash = reader.array("hash of a record")?;
        Ok(Self { kind, mark, head_octets, content_octets, hash })
    }

    /// Whether `header` and `head` are what was written.
    #[must_use]
    pub fn check(&self, header: &[u8], head: &[u8]) -> bool {
        header.len() >= HASHED_OCTETS && hash(&header[..HASHED_OCTETS], head) == self.hash
    }
}

/// Writes header and head of a piece of content.
#[must_use]
pub fn piece(mark: &Mark, content: &[u8]) -> Vec<u8> {
    framed(Kind::Piece, mark, content.len(), |out| put_hashes(out, &block_hashes(content)))
}

/// Writes header and head of a response; `content_octets` of content follow.
#[must_use]
pub fn object(kind: Kind, mark: &Mark, head: &ObjectHead, content_octets: usize) -> Vec<u8> {
    framed(kind, mark, content_octets, |out| head.write(out))
}

fn framed(kind: Kind, mark: &Mark, content_octets: usize, head: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; HEADER_OCTETS];
    head(&mut out);
    let head_octets = out.len() - HEADER_OCTETS;
    let mut header = Vec::with_capacity(HEADER_OCTETS);
    header.extend(MAGIC);
    header.extend([kind as u8 + 1, 0, 0, 0]);
    header.extend((head_octets as u32).to_be_bytes());
    header.extend((content_octets as u32).to_be_bytes());
    for number in [mark.name, mark.variant, mark.purges, mark.run] {
        header.extend(number.to_be_bytes());
    }
    let hash = hash(&header, &out[HEADER_OCTETS..]);
    header.extend(hash);
    out[..HEADER_OCTETS].copy_from_slice(&header);
    out
}

fn hash(header: &[u8], head: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header).update(head);
    let mut cut = [0; 16];
    cut.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    cut
}

/// The hash of a block of content.
#[must_use]
pub fn block_hash(block: &[u8]) -> u64 {
    let hash = blake3::hash(block);
    hash.as_bytes().first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets))
}

/// The hashes of all blocks of a content.
#[must_use]
pub fn block_hashes(content: &[u8]) -> Vec<u64> {
    content.chunks(BLOCK_OCTETS).map(block_hash).collect()
}

/// Reads the head of a piece of `content_octets`.
///
/// # Errors
/// [`Malformed`] when it has not a hash for each block.
pub fn parse_piece(head: &[u8], content_octets: u32) -> Result<Vec<u64>, Malformed> {
    let mut reader = Reader::new(head);
    let hashes = take_hashes(&mut reader, u64::from(content_octets))?;
    reader.finish("head of a piece")?;
    Ok(hashes)
}

impl ObjectHead {
    fn write(&self, out: &mut Vec<u8>) {
        let Stored { status, fields, requested, received, initial_age, selecting, terms } = &self.stored;
        let age = u64::try_from(initial_age.as_nanos()).unwrap_or(u64::MAX);
        for moment in [requested, received] {
            out.extend(moment.now.as_nanos().to_be_bytes());
            out.extend(moment.wall.as_nanos().to_be_bytes());
        }
        out.extend(age.to_be_bytes());
        out.extend(status.to_be_bytes());
        out.push(u8::from(self.must_validate) | u8::from(terms.targets == Targets::Clients) << 1);
        out.extend(self.octets.to_be_bytes());
        put_text(out, &self.url);
        put_count(out, selecting.len());
        for (name, value) in selecting {
            put_text(out, name);
            out.push(u8::from(value.is_some()));
            put_text(out, value.as_deref().unwrap_or_default());
        }
        put_count(out, fields.iter().count());
        for (name, value) in fields.iter() {
            put_text(out, name);
            put_octets(out, value);
        }
        match &self.layout {
            Layout::Inline(hashes) => {
                out.push(0);
                put_hashes(out, hashes);
            }
            Layout::At { segment, at, hashes } => {
                out.push(1);
                out.extend(segment.to_be_bytes());
                out.extend(at.to_be_bytes());
                put_hashes(out, hashes);
            }
            Layout::Pieces(pieces) => {
                out.push(2);
                put_count(out, pieces.len());
                for piece in pieces {
                    out.extend(piece.segment.to_be_bytes());
                    out.extend(piece.at.to_be_bytes());
                    out.extend(piece.octets.to_be_bytes());
                }
            }
        }
    }

    /// Reads the head of a response.
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    pub fn parse(head: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(head);
        let mut moment = || -> Result<Moment, Malformed> {
            let now = Instant::from_nanos(reader.u64("moment")?);
            Ok(Moment { now, wall: UnixTime::from_nanos(reader.u64("moment")?) })
        };
        let (requested, received) = (moment()?, moment()?);
        let initial_age = Duration::from_nanos(reader.u64("age")?);
        let status = reader.u16("status")?;
        let flags = reader.u8("flags")?;
        let must_validate = flags & 1 != 0;
        let targets = if flags & 2 == 0 { Targets::Origin } else { Targets::Clients };
        let octets = reader.u64("length of the content")?;
        let url = text(&mut reader)?;
        let mut selecting = Vec::new();
        for _ in 0..reader.u32("count of selecting fields")? {
            let name = text(&mut reader)?;
            let has_value = reader.u8("flag of a value")? != 0;
            let value = text(&mut reader)?;
            selecting.push((name, has_value.then_some(value)));
        }
        let mut fields = Fields::new();
        for _ in 0..reader.u32("count of fields")? {
            let name = text(&mut reader)?;
            fields.add(name, octets_of(&mut reader)?);
        }
        let layout = match reader.u8("layout")? {
            0 => Layout::Inline(take_hashes(&mut reader, octets)?),
            1 => Layout::At {
                segment: reader.u32("segment")?,
                at: reader.u32("place")?,
                hashes: take_hashes(&mut reader, octets)?,
            },
            2 => {
                let mut pieces = Vec::new();
                let mut whole = 0;
                for _ in 0..reader.u32("count of pieces")? {
                    let (segment, at) = (reader.u32("segment")?, reader.u32("place")?);
                    let piece = PieceAt { segment, at, octets: reader.u32("length of a piece")? };
                    whole += u64::from(piece.octets);
                    pieces.push(piece);
                }
                if whole != octets {
                    return Err(reader.malformed("pieces as long as the whole"));
                }
                Layout::Pieces(pieces)
            }
            _ => return Err(reader.malformed("layout")),
        };
        reader.finish("head of a response")?;
        let terms = Terms::of(status, &fields, received.wall, targets);
        let stored = Stored { status, fields, requested, received, initial_age, selecting, terms };
        Ok(Self { url, stored, must_validate, octets, layout })
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u32).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_octets(out, text.as_bytes());
}

fn put_octets(out: &mut Vec<u8>, octets: &[u8]) {
    put_count(out, octets.len());
    out.extend(octets);
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    String::from_utf8(octets_of(reader)?).map_err(|_| reader.malformed("text in UTF-8"))
}

fn octets_of(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let octets = reader.u32("length of a text")?;
    Ok(reader.take(octets as usize, "text")?.to_vec())
}

fn put_hashes(out: &mut Vec<u8>, hashes: &[u64]) {
    hashes.iter().for_each(|hash| out.extend(hash.to_be_bytes()));
}

fn take_hashes(reader: &mut Reader<'_>, content_octets: u64) -> Result<Vec<u64>, Malformed> {
    if content_octets > PIECE_OCTETS as u64 {
        return Err(reader.malformed("a content of one piece"));
    }
    let blocks = content_octets.div_ceil(BLOCK_OCTETS as u64);
    (0..blocks).map(|_| reader.u64("hash of a block")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARK: Mark = Mark { name: 1, variant: 2, purges: 3, run: 4 };

    fn head(layout: Layout, octets: u64) -> ObjectHead {
        let moment = |seconds| Moment {
            now: Instant::ZERO + Duration::from_secs(seconds),
            wall: UnixTime::from_secs(1_700_000_000 + seconds),
        };
        let mut fields = Fields::new();
        fields.add("Content-Type", "text/plain");
        fields.add("Surrogate-Key", "one two");
        let stored = Stored {
            status: 200,
            terms: Terms::of(200, &fields, moment(2).wall, Targets::Clients),
            fields,
            requested: moment(1),
            received: moment(2),
            initial_age: Duration::from_millis(1500),
            selecting: vec![
                ("accept".to_owned(), None),
                ("accept-encoding".to_owned(), Some("br".to_owned())),
            ],
        };
        ObjectHead { url: "https://example.org/a?b".to_owned(), stored, must_validate: true, octets, layout }
    }

    fn read(octets: &[u8]) -> Result<(Header, ObjectHead), Malformed> {
        let header = Header::parse(octets)?;
        let head = octets.get(HEADER_OCTETS..HEADER_OCTETS + header.head_octets as usize);
        let head = head.ok_or(Malformed::new("head", octets.len()))?;
        if !header.check(octets, head) {
            return Err(Malformed::new("hash", HASHED_OCTETS));
        }
        Ok((header, ObjectHead::parse(head)?))
    }

    #[track_caller]
    fn check(layout: Layout, octets: u64, content_octets: usize) {
        let written_head = head(layout, octets);
        let written = object(Kind::Object, &MARK, &written_head, content_octets);
        let (header, read_head) = read(&written).unwrap();
        assert_eq!((header.kind, header.mark), (Kind::Object, MARK));
        assert_eq!(header.content_octets as usize, content_octets);
        assert_eq!(header.record_octets() as usize, written.len() + content_octets);
        assert_eq!(read_head, written_head);
        for length in 0..written.len() {
            assert!(read(&written[..length]).is_err(), "{length} of {} octets", written.len());
        }
        for at in 0..written.len() {
            let mut damaged = written.clone();
            damaged[at] ^= 0x40;
            assert!(read(&damaged).is_err(), "octet {at} is not checked");
        }
    }

    #[test]
    fn a_response_comes_back_as_it_was_and_no_other_octets_are_taken_for_one() {
        let content = vec![7; 70_000];
        check(Layout::Inline(block_hashes(&content)), 70_000, 70_000);
        check(Layout::Inline(Vec::new()), 0, 0);
        check(Layout::At { segment: 9, at: 77, hashes: vec![1, 2] }, 70_000, 0);
        let piece = |n| PieceAt { segment: n, at: 64, octets: PIECE_OCTETS as u32 };
        check(Layout::Pieces(vec![piece(1), piece(2)]), 2 * PIECE_OCTETS as u64, 0);
    }

    #[test]
    fn pieces_are_together_as_long_as_the_whole() {
        let piece = PieceAt { segment: 1, at: 0, octets: 10 };
        let written = object(Kind::Object, &MARK, &head(Layout::Pieces(vec![piece]), 11), 0);
        assert!(read(&written).is_err());
    }

    #[test]
    fn a_piece_has_a_hash_for_each_block() {
        let content = vec![1; 3 * BLOCK_OCTETS + 1];
        let written = piece(&MARK, &content);
        let header = Header::parse(&written).unwrap();
        assert!(header.check(&written, &written[HEADER_OCTETS..]));
        let hashes = parse_piece(&written[HEADER_OCTETS..], header.content_octets).unwrap();
        assert_eq!(hashes, block_hashes(&content));
        assert_eq!((hashes.len(), hashes[0] == hashes[1], hashes[3] == hashes[0]), (4, true, false));
        assert!(parse_piece(&written[HEADER_OCTETS..], header.content_octets - 1).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Header::parse(&octets);
            let _ = ObjectHead::parse(&octets);
            let _ = parse_piece(&octets, octets.len() as u32);
        }
    }
}
