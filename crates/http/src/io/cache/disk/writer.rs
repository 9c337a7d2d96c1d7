//! What is written to disk, one thing after the other: records behind one another into the youngest segment,
//! and orders to forget into their log. When there is no room, the oldest segment goes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use doorway_base::{DiskFile, Reader};
use doorway_net::web::Bytes;
use tokio::sync::oneshot;

use super::super::fill::Fill;
use super::super::index::Place;
use super::super::object::{Content, Id, Object};
use super::super::tiers::Tiers;
use super::content::{DiskContent, DiskPiece};
use super::files::{Files, Segment};
use crate::cache::catalogue::{Catalogue, Row};
use crate::cache::purges::{Order, Target};
use crate::cache::record::{self, HEADER_OCTETS, Header, Kind, Layout, Mark, ObjectHead, PIECE_OCTETS};

/// When the log of purges is longer, orders that are about nothing any more are left out of it.
const LOG_OCTETS: u64 = 8 * 1024 * 1024;
/// Of a segment that goes, so much is written anew because it was asked for: one octet in so many.
const AGAIN_PART: u64 = 4;

/// What stays free on the disk, beyond the room of the next segment: more than the store wants for itself.
const FREE_OCTETS_MIN: u64 = 512 * 1024 * 1024;
/// Most segments that go at once for what others have written.
const EVICTED_FOR_OTHERS_MAX: usize = 16;

/// Something to be written.
#[derive(Debug)]
pub(crate) enum Job {
    /// A response whose content is in memory.
    Keep(Arc<Object>),
    /// A piece of a content that still arrives.
    Piece { fill: Arc<Fill>, number: usize, content: Bytes, id: Id },
    /// A response all of whose pieces were written.
    Close { fill: Arc<Fill>, object: Arc<Object> },
    /// A response on disk with other fields.
    Fields(Arc<Object>),
    /// An order to forget, and who waits until it is durable.
    Order(Order, Option<oneshot::Sender<io::Result<()>>>),
    /// Room is to be made: there are too many responses.
    Evict,
    /// Whoever waits is told that everything before this was written.
    Flush(oneshot::Sender<()>),
}

impl Job {
    /// Octets that it holds in memory while it waits.
    pub(super) fn octets(&self) -> u64 {
        match self {
            Self::Keep(object) => object.octets().unwrap_or(0),
            Self::Piece { content, .. } => content.len() as u64,
            _ => 0,
        }
    }
}

/// The one who writes.
pub(crate) struct Writer {
    files: Arc<Files>,
    segment_octets: u64,
    octets_max: u64,
    /// Which run of the program this is.
    run: u64,
    current: Option<Current>,
    /// Octets of each full segment, and the least number of purges that a record in it had heard of.
    full: BTreeMap<u32, (u64, u64)>,
    log: Option<Box<dyn DiskFile>>,
    log_octets: u64,
    log_octets_max: u64,
    /// Those who wait for the log to be durable.
    waiting: Vec<oneshot::Sender<io::Result<()>>>,
}

struct Current {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    at: u64,
    list: Catalogue,
}

/// A record that is taken over from a segment that goes.
struct Again {
    row: Row,
    host: String,
    octets: Vec<u8>,
}

impl Writer {
    pub(super) fn new(
        files: Arc<Files>,
        segment_octets: u64,
        octets_max: u64,
        run: u64,
        full: BTreeMap<u32, (u64, u64)>,
    ) -> Self {
        Self {
            files,
            segment_octets,
            octets_max,
            run,
            current: None,
            full,
            log: None,
            log_octets: 0,
            log_octets_max: LOG_OCTETS,
            waiting: Vec::new(),
        }
    }

    /// Octets on disk.
    pub(super) fn octets(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, |current| current.at);
        current + self.full.values().map(|(octets, _)| octets).sum::<u64>()
    }

    /// Segments on disk.
    pub(super) fn segments(&self) -> usize {
        self.full.len() + usize::from(self.current.is_some())
    }

    /// Does one job. `is_last` says that nothing waits behind it.
    pub(super) fn run(&mut self, tiers: &Tiers, job: Job, is_last: bool) -> io::Result<()> {
        let is_order = matches!(job, Job::Order(..));
        let done = match job {
            Job::Keep(object) => self.keep(tiers, &object),
            Job::Piece { fill, number, content, id } => {
                let piece = self.piece(tiers, &id, &content);
                fill.written(number, piece.as_ref().ok().cloned());
                piece.map(drop)
            }
            Job::Close { fill, object } => {
                let closed = self.close(tiers, &fill, &object);
                if closed.is_err() {
                    tiers.drop_unfinished(&object);
                }
                closed
            }
            Job::Fields(object) => self.fields(tiers, &object),
            Job::Order(order, promise) => {
                let written = self.order(tiers, &order);
                match (written, promise) {
                    (Ok(()), promise) => {
                        self.waiting.extend(promise);
                        Ok(())
                    }
                    (Err(error), Some(promise)) => {
                        let _ = promise.send(Err(io::Error::new(error.kind(), error.to_string())));
                        Err(error)
                    }
                    (Err(error), None) => Err(error),
                }
            }
            Job::Evict => {
                // Several may have asked before the first was heard.
                if tiers.is_crowded() {
                    if self.full.is_empty() {
                        self.seal();
                    }
                    if let Some(oldest) = self.full.keys().next().copied() {
                        self.evict(tiers, oldest);
                    }
                }
                Ok(())
            }
            Job::Flush(promise) => {
                let _ = promise.send(());
                Ok(())
            }
        };
        // Orders that come together are made durable together.
        if !self.waiting.is_empty() && (is_last || !is_order) {
            let synced = self.log.as_ref().map_or(Ok(()), |log| log.sync_data());
            for promise in self.waiting.drain(..) {
                let copy = synced.as_ref().map_err(|e| io::Error::new(e.kind(), e.to_string())).copied();
                let _ = promise.send(copy);
            }
        }
        done
    }

    /// Leaves the current segment as it is: what follows goes into another one.
    pub(super) fn seal(&mut self) {
        let Some(Current { segment, at, list, .. }) = self.current.take() else { return };
        let least = list.rows.iter().map(|row| row.purges).min().unwrap_or(u64::MAX);
        // Without the list, the next start reads the segment instead.
        let _ = self.files.write_catalogue(segment.number(), &list.write());
        self.full.insert(segment.number(), (at, least));
    }

    fn keep(&mut self, tiers: &Tiers, object: &Arc<Object>) -> io::Result<()> {
        let Content::Memory(content) = object.content() else { return Ok(()) };
        let Some(purges) = tiers.still_wanted(object) else { return Ok(()) };
        let id = Id { purges, ..*object.id() };
        if content.len() <= PIECE_OCTETS {
            let layout = Layout::Inline(record::block_hashes(content));
            let written = self.head(tiers, &id, object, layout, content, None)?;
            self.place(tiers, object, written, None);
            return Ok(());
        }
        let mut pieces = Vec::new();
        for piece in content.chunks(PIECE_OCTETS) {
            pieces.push(self.piece(tiers, &id, piece)?);
        }
        let disk = DiskContent::of_pieces(content.len() as u64, pieces);
        let (layout, oldest) = disk.layout();
        let written = self.head(tiers, &id, object, layout, &[], Some(oldest))?;
        self.place(tiers, object, written, None);
        Ok(())
    }

    fn close(&mut self, tiers: &Tiers, fill: &Fill, object: &Arc<Object>) -> io::Result<()> {
        let Some(pieces) = fill.pieces() else {
            return Err(io::Error::other("a piece of the content was not written"));
        };
        let Some(purges) = tiers.still_wanted(object) else { return Ok(()) };
        let id = Id { purges, ..*object.id() };
        let disk = DiskContent::of_pieces(object.octets().unwrap_or(0), pieces);
        let (layout, oldest) = disk.layout();
        let written = self.head(tiers, &id, object, layout, &[], Some(oldest))?;
        self.place(tiers, object, written, Some(disk));
        Ok(())
    }

    fn fields(&mut self, tiers: &Tiers, object: &Arc<Object>) -> io::Result<()> {
        let Some(purges) = tiers.still_wanted(object) else { return Ok(()) };
        let Some((layout, oldest)) = tiers.layout_on_disk(&self.files, object) else { return Ok(()) };
        let id = Id { purges, ..*object.id() };
        let written = self.head(tiers, &id, object, layout, &[], Some(oldest))?;
        self.place(tiers, object, written, None);
        Ok(())
    }

    // What was forgotten while it was written must not come back after a restart.
    fn place(&mut self, tiers: &Tiers, object: &Arc<Object>, place: Place, content: Option<DiskContent>) {
        if !tiers.placed(object, place, content) {
            let order = tiers.order_about(object.id());
            let _ = self.order(tiers, &order);
        }
    }

    fn head(
        &mut self,
        tiers: &Tiers,
        id: &Id,
        object: &Object,
        layout: Layout,
        content: &[u8],
        oldest: Option<u32>,
    ) -> io::Result<Place> {
        let kind = if matches!(layout, Layout::At { .. }) { Kind::Fields } else { Kind::Object };
        let head = ObjectHead {
            url: object.key().as_str().to_owned(),
            stored: object.stored().clone(),
            must_validate: object.must_validate(),
            octets: object.octets().unwrap_or(0),
            layout,
        };
        let front = record::object(kind, &self.mark(id), &head, content.len());
        let (segment, at) = self.append(tiers, &front, content)?;
        let oldest = oldest.unwrap_or(segment).min(segment);
        let head_octets = (front.len() - HEADER_OCTETS) as u32;
        let row = Row {
            kind,
            at,
            head_octets,
            name: id.name,
            variant: id.variant,
            purges: id.purges,
            octets: head.octets,
            oldest,
            must_validate: head.must_validate,
            host: 0,
            tags: object.tags().to_vec(),
        };
        self.list(row, object.host().name());
        Ok(Place { segment, at, head_octets, oldest })
    }

    fn piece(&mut self, tiers: &Tiers, id: &Id, content: &[u8]) -> io::Result<DiskPiece> {
        let front = record::piece(&self.mark(id), content);
        let (segment, at) = self.append(tiers, &front, content)?;
        let row = Row {
            kind: Kind::Piece,
            at,
            head_octets: (front.len() - HEADER_OCTETS) as u32,
            name: id.name,
            variant: id.variant,
            purges: id.purges,
            octets: content.len() as u64,
            oldest: segment,
            must_validate: false,
            host: 0,
            tags: Vec::new(),
        };
        // Whose it is stands with the response.
        self.list(row, "");
        let segment = self.files.segment(segment).ok_or(io::ErrorKind::NotFound)?;
        Ok(DiskPiece { segment, at, octets: content.len() as u32 })
    }

    fn mark(&self, id: &Id) -> Mark {
        Mark { name: id.name, variant: id.variant, purges: id.purges, run: self.run }
    }

    fn list(&mut self, row: Row, host: &str) {
        if let Some(current) = &mut self.current {
            let host = current.list.host(host);
            current.list.rows.push(Row { host, ..row });
        }
    }

    // Writes a record, and says where.
    fn append(&mut self, tiers: &Tiers, front: &[u8], content: &[u8]) -> io::Result<(u32, u32)> {
        let octets = (front.len() + content.len()) as u64;
        if self.current.as_ref().is_none_or(|current| current.at + octets > self.segment_octets) {
            self.begin_segment(tiers)?;
        }
        let Some(current) = &mut self.current else { return Err(io::ErrorKind::NotFound.into()) };
        let at = current.at;
        let front_octets = front.len() as u64;
        let written = current.file.write_all_at(front, at).and_then(|()| match content {
            [] => Ok(()),
            content => current.file.write_all_at(content, at + front_octets),
        });
        if let Err(error) = written {
            // A record after a torn one would not be found by a start that has to read the segment.
            self.seal();
            return Err(error);
        }
        current.at += octets;
        Ok((current.segment.number(), at as u32))
    }

    fn begin_segment(&mut self, tiers: &Tiers) -> io::Result<()> {
        self.seal();
        let mut again = Vec::new();
        while self.octets() + self.segment_octets > self.octets_max
            && let Some(oldest) = self.full.keys().next().copied()
        {
            again.extend(self.evict(tiers, oldest));
        }
        self.leave_room_for_others(tiers)?;
        let (segment, file) = self.files.create()?;
        self.current = Some(Current { segment, file, at: 0, list: Catalogue::default() });
        for Again { row, host, octets } in again {
            let written = self.append(tiers, &octets, &[]);
            let Ok((segment, at)) = written else {
                tiers.leave_segment(row.name, row.variant, row.oldest, false);
                continue;
            };
            let place = Place { segment, at, head_octets: row.head_octets, oldest: segment };
            tiers.moved(row.name, row.variant, row.oldest, place);
            self.list(Row { at, oldest: segment, ..row }, &host);
        }
        Ok(())
    }

    // Mailboxes and zones may lie on the same disk, and they cannot be fetched again.
    fn leave_room_for_others(&mut self, tiers: &Tiers) -> io::Result<()> {
        let least = FREE_OCTETS_MIN + self.segment_octets;
        for _ in 0..EVICTED_FOR_OTHERS_MAX {
            if self.files.free_octets()? >= least {
                return Ok(());
            }
            let Some(oldest) = self.full.keys().next().copied() else { break };
            self.evict(tiers, oldest);
        }
        if self.files.free_octets()? >= least {
            return Ok(());
        }
        let what = format!("less than {} MiB of the disk are free", FREE_OCTETS_MIN >> 20);
        Err(io::Error::new(io::ErrorKind::StorageFull, what))
    }

    // Lets a segment go. What was asked for while it lay there is handed back, to be written anew.
    fn evict(&mut self, tiers: &Tiers, number: u32) -> Vec<Again> {
        let list = self.files.read_catalogue(number).and_then(|octets| Catalogue::parse(&octets).ok());
        let list = list.or_else(|| super::restore::scan(&self.files, tiers, number).ok());
        let mut again = Vec::new();
        let mut room = self.segment_octets / AGAIN_PART;
        let segment = self.files.segment(number);
        for row in list.iter().flat_map(|list| &list.rows) {
            let may_stay = row.kind == Kind::Object && row.octets <= room && row.oldest == number;
            if !tiers.leave_segment(row.name, row.variant, number, may_stay) {
                continue;
            }
            match segment.as_ref().and_then(|segment| read_record(segment, row).ok()) {
                Some(octets) => {
                    room = room.saturating_sub(octets.len() as u64);
                    let host = list.as_ref().and_then(|list| list.hosts.get(row.host as usize));
                    again.push(Again { row: row.clone(), host: host.cloned().unwrap_or_default(), octets });
                }
                None => _ = tiers.leave_segment(row.name, row.variant, number, false),
            }
        }
        drop(segment);
        self.files.doom(number);
        self.full.remove(&number);
        again
    }

    fn order(&mut self, tiers: &Tiers, order: &Order) -> io::Result<()> {
        let mut octets = Vec::new();
        order.write(&mut octets);
        if let Err(error) = self.append_to_log(&octets) {
            // The room of a segment is worth less than a purge that holds.
            let Some(oldest) = self.full.keys().next().copied() else { return Err(error) };
            self.evict(tiers, oldest);
            self.append_to_log(&octets)?;
        }
        if self.log_octets > self.log_octets_max {
            self.shorten_log()?;
        }
        Ok(())
    }

    fn append_to_log(&mut self, octets: &[u8]) -> io::Result<()> {
        let path = self.files.purge_log();
        let log = match &mut self.log {
            Some(log) => log,
            none => {
                let log = self.files.disk.open(&path, true)?;
                // An order is no use if the name of the log is lost.
                self.files.sync_names()?;
                self.log_octets = log.octets()?;
                none.insert(log)
            }
        };
        log.write_all_at(octets, self.log_octets)?;
        self.log_octets += octets.len() as u64;
        Ok(())
    }

    // Leaves out the orders that every record on disk has heard of.
    fn shorten_log(&mut self) -> io::Result<()> {
        let path = self.files.purge_log();
        let octets = self.files.read_whole(&path)?;
        let current = self.current.iter().flat_map(|current| current.list.rows.iter().map(|row| row.purges));
        let least = self.full.values().map(|(_, least)| *least).chain(current).min().unwrap_or(u64::MAX);
        let kept = shortened(&octets, least);
        self.log = None;
        self.files.replace(&path, &kept, true)?;
        self.log_octets_max = LOG_OCTETS.max(2 * kept.len() as u64);
        Ok(())
    }
}

/// The orders of a log whose number is over `least`.
pub(super) fn shortened(octets: &[u8], least: u64) -> Vec<u8> {
    let mut reader = Reader::new(octets);
    let mut kept = Vec::new();
    while let Ok(order) = Order::read(&mut reader) {
        if order.number > least {
            order.write(&mut kept);
        }
    }
    kept
}

// A whole record, checked, that has its content with it.
fn read_record(segment: &Segment, row: &Row) -> io::Result<Vec<u8>> {
    let (header, head) = super::content::read_head(segment, u64::from(row.at), row.head_octets)?;
    let mut octets = vec![0; header.record_octets() as usize];
    segment.read(&mut octets, u64::from(row.at))?;
    let front = HEADER_OCTETS + row.head_octets as usize;
    let right =
        matches!(&head.layout, Layout::Inline(hashes) if *hashes == record::block_hashes(&octets[front..]));
    let whole = Header::parse(&octets).is_ok_and(|again| again == header);
    if right && whole { Ok(octets) } else { Err(super::content::damaged("a record")) }
}

impl Id {
    /// The order to forget this response and no other.
    pub(crate) fn order(&self, number: u64) -> Order {
        Order { number, soft: false, target: Target::Variant(self.name, self.variant) }
    }
}
