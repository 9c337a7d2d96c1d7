//! The hot cache: small files as whole responses, ready to be copied into a write, in each coding that
//! clients asked for.
//!
//! Each worker has its own, so there is no lock to wait for. An entry is looked at again on disk at
//! most once a second; only its Date changes in between, and is patched in place.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use doorway_base::Instant;

use super::date::DateCache;
use crate::Status;
use crate::coding::Coding;
use crate::cors::Cors;
use crate::files::Facts;
use crate::own_fields::OwnFields;
use crate::representation::{Representation, Selected};
use crate::wire::Version;
use crate::wire::date::DATE_OCTETS;
use crate::wire::response::{Form, ResponseWriter};

/// Files longer than this are streamed instead of kept.
pub(super) const FILE_OCTETS_MAX: u64 = 64 * 1024;
/// How long an entry is served without a look at the disk.
const FRESH: Duration = Duration::from_secs(1);
/// A file that changed so shortly before it was read may change again within the same tick of the
/// file system's clock, with no sign of it: it is read again when it is next looked at.
pub(super) const SETTLED: Duration = Duration::from_secs(2);
/// What an entry costs besides its octets and twice its key, roughly.
const ENTRY_OCTETS: usize = 256;

/// Responses by site and by the path of their target as it came.
#[derive(Debug)]
pub(super) struct HotCache {
    // A map a site. Looked up, never iterated.
    sites: Vec<HashMap<Box<[u8]>, Hot>>,
    /// Keys in the order in which they will be looked at for eviction.
    order: VecDeque<(u16, Box<[u8]>)>,
    octets: usize,
    octets_max: usize,
}

/// One file, ready to be sent as it is and in the codings that were asked for.
#[derive(Debug)]
pub(super) struct Hot {
    plain: Ready,
    coded: [Option<Box<Ready>>; Coding::ALL.len()],
    /// The codings in which it can be sent, best first; those that no client asked for yet are not made.
    pub(super) codings: Vec<Coding>,
    /// Facts of the compressed files that lie beside it.
    beside: Vec<(Coding, Facts)>,
    checked: Instant,
    /// Whether the file was quiet long enough before it was read that its facts tell of any change.
    settled: bool,
    /// Asked for since it was last looked at for eviction.
    visited: bool,
    /// The place of its route in its site.
    pub(super) route: u16,
}

/// One response to GET with status 200.
#[derive(Debug)]
pub(super) struct Ready {
    /// Status line and fields, the empty line, the body.
    octets: Vec<u8>,
    /// Where the empty line begins.
    fields_end: usize,
    date_at: usize,
    date_second: u64,
    /// The head as HTTP/2 has it, once somebody asked for it so.
    block: Option<Block>,
    pub(super) representation: Representation,
}

impl Ready {
    /// The response with `body` as its content.
    pub(super) fn new(
        representation: Representation,
        server_name: &str,
        body: &[u8],
        own: &OwnFields,
        dates: &DateCache,
    ) -> Self {
        let mut octets = Vec::with_capacity(body.len() + 320);
        let mut writer = ResponseWriter::begin(&mut octets, Form::Http1, Status::OK);
        let date_at = writer.date(dates.text());
        if !server_name.is_empty() && !own.omits("Server") {
            writer.field("Server", server_name.as_bytes());
        }
        representation.write_fields(&mut writer, &Selected::Whole, dates.wall());
        own.write(&mut writer);
        let fields_end = octets.len();
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(body);
        let date_second = dates.wall().as_secs();
        Self { octets, block: None, fields_end, date_at, date_second, representation }
    }

    /// The content.
    pub(super) fn content(&self) -> &[u8] {
        &self.octets[self.fields_end + 2..]
    }

    /// Appends the response, with the body unless the request was HEAD.
    #[inline]
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        dates: &DateCache,
        cors: Option<(&Cors, Option<&[u8]>)>,
        version: Version,
        persistent: bool,
        with_body: bool,
    ) -> usize {
        let start = out.len();
        if self.date_second != dates.wall().as_secs() {
            self.date_second = dates.wall().as_secs();
            self.octets[self.date_at..self.date_at + DATE_OCTETS].copy_from_slice(dates.text());
        }
        if version == Version::Http11 && persistent && with_body && cors.is_none() {
            out.extend_from_slice(&self.octets);
            return start + self.fields_end + 2;
        }
        out.extend_from_slice(&self.octets[..self.fields_end]);
        let mut writer = ResponseWriter::resume(out, Form::Http1);
        if let Some((cors, origin)) = cors {
            cors.write(&mut writer, origin);
        }
        let content = writer.connection(version, persistent).end();
        if with_body {
            out.extend_from_slice(self.content());
        }
        content
    }

    /// As [`Ready::write`] for HTTP/2: a field block with room for the headers of frames around it.
    #[inline]
    pub(super) fn write_http2(
        &mut self,
        out: &mut Vec<u8>,
        dates: &DateCache,
        cors: Option<(&Cors, Option<&[u8]>)>,
        with_body: bool,
    ) -> usize {
        let second = dates.wall().as_secs();
        let text = &self.octets[..self.fields_end];
        let block = self.block.get_or_insert_with(|| Block::of(text, dates));
        if block.date_second != second {
            block.date_second = second;
            block.octets[block.date_at..block.date_at + DATE_OCTETS].copy_from_slice(dates.text());
        }
        out.extend_from_slice(&block.octets);
        let mut writer = ResponseWriter::resume(out, Form::Http2);
        if let Some((cors, origin)) = cors {
            cors.write(&mut writer, origin);
        }
        let content = writer.end();
        if with_body {
            out.extend_from_slice(&self.octets[self.fields_end + 2..]);
        }
        content
    }
}

impl Hot {
    /// An entry for the route at `route`. `beside` are the facts of the compressed files beside it.
    pub(super) fn new(
        plain: Ready,
        codings: Vec<Coding>,
        beside: Vec<(Coding, Facts)>,
        route: u16,
        dates: &DateCache,
        now: Instant,
    ) -> Self {
        let newest = beside
            .iter()
            .map(|(_, facts)| facts.modified)
            .fold(plain.representation.facts.modified, Ord::max);
        let settled = dates.wall() - newest > SETTLED;
        let coded = Default::default();
        Self { plain, coded, codings, beside, checked: now, settled, visited: false, route }
    }

    /// The response in `coding`, or as it is; `None` when it is not made yet.
    #[inline]
    pub(super) fn ready(&mut self, coding: Option<Coding>) -> Option<&mut Ready> {
        match coding {
            None => Some(&mut self.plain),
            Some(coding) => self.coded[coding.place()].as_deref_mut(),
        }
    }

    /// Adds the response in `coding`.
    pub(super) fn add(&mut self, coding: Coding, ready: Ready) {
        self.coded[coding.place()] = Some(Box::new(ready));
    }

    /// Whether it may be served without a look at the disk.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now - self.checked < FRESH
    }

    /// Whether it was made from the file with these facts and those beside it.
    pub(super) fn is_of(&self, facts: &Facts, beside: &[(Coding, Facts)]) -> bool {
        self.plain.representation.facts == *facts && self.beside.as_slice() == beside
    }

    /// Takes a new look at the disk into account; false when the file must be read again.
    pub(super) fn confirm(&mut self, facts: &Facts, beside: &[(Coding, Facts)], now: Instant) -> bool {
        let same = self.settled && self.is_of(facts, beside);
        if same {
            self.checked = now;
        }
        same
    }

    fn cost(&self, key: &[u8]) -> usize {
        let coded: usize = self.coded.iter().flatten().map(|ready| ready.octets.len() + ENTRY_OCTETS).sum();
        self.plain.octets.len() + coded + 2 * key.len() + ENTRY_OCTETS
    }
}

/// A head of HTTP/2, ready but for its Date.
#[derive(Debug)]
struct Block {
    octets: Vec<u8>,
    date_at: usize,
    date_second: u64,
}

impl Block {
    /// The head that says what the status line and the field lines of `text` say.
    fn of(text: &[u8], dates: &DateCache) -> Self {
        let mut octets = Vec::with_capacity(text.len());
        let mut date_at = 0;
        let mut writer = ResponseWriter::begin(&mut octets, Form::Http2, Status::OK);
        for line in text.split(|&octet| octet == b'\n').skip(1).map(<[u8]>::trim_ascii_end) {
            let Some(colon) = line.iter().position(|&octet| octet == b':') else { continue };
            match (str::from_utf8(&line[..colon]), line[colon + 1..].trim_ascii_start()) {
                (Ok("Date"), _) => date_at = writer.date(dates.text()),
                (Ok(name), value) => drop(writer.field(name, value)),
                (Err(_), _) => {}
            }
        }
        Self { octets, date_at, date_second: dates.wall().as_secs() }
    }
}

impl HotCache {
    pub(super) fn new(octets_max: usize) -> Self {
        Self { sites: Vec::new(), order: VecDeque::new(), octets: 0, octets_max }
    }

    fn entries(&mut self, site: u16) -> &mut HashMap<Box<[u8]>, Hot> {
        let place = usize::from(site);
        if self.sites.len() <= place {
            self.sites.resize_with(place + 1, HashMap::new);
        }
        &mut self.sites[place]
    }

    /// The entry for a path of a site.
    #[inline]
    pub(super) fn find(&mut self, site: u16, path: &[u8]) -> Option<&mut Hot> {
        let hot = self.sites.get_mut(usize::from(site))?.get_mut(path)?;
        hot.visited = true;
        Some(hot)
    }

    /// Keeps an entry, and lets others go to make room. One that is larger than the whole cache is
    /// not kept.
    pub(super) fn insert(&mut self, site: u16, path: &[u8], hot: Hot) {
        let cost = hot.cost(path);
        if cost > self.octets_max {
            self.remove(site, path);
            return;
        }
        if let Some(old) = self.entries(site).insert(path.into(), hot) {
            self.octets -= old.cost(path);
        } else {
            self.order.push_back((site, path.into()));
        }
        self.octets += cost;
        while self.octets > self.octets_max && self.evict() {}
    }

    /// Forgets what is known of a path, and gives it back.
    pub(super) fn remove(&mut self, site: u16, path: &[u8]) -> Option<Hot> {
        let hot = self.entries(site).remove(path)?;
        self.octets -= hot.cost(path);
        self.order.retain(|(of, key)| *of != site || **key != *path);
        Some(hot)
    }

    /// Lets the first entry go that was not asked for since the last look; false when there is none.
    fn evict(&mut self) -> bool {
        while let Some((site, key)) = self.order.pop_front() {
            let entries = self.entries(site);
            if entries.get_mut(&key).is_some_and(|hot| std::mem::take(&mut hot.visited)) {
                self.order.push_back((site, key));
            } else if let Some(hot) = entries.remove(&key) {
                self.octets -= hot.cost(&key);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorway_base::UnixTime;

    fn hot(body: &[u8], modified: u64) -> Hot {
        let modified = UnixTime::from_secs(modified);
        let facts = Facts { inode: (1, 1), octets: body.len() as u64, modified };
        let dates = DateCache::at(UnixTime::from_secs(784_111_777));
        let representation = Representation::new("a.txt", facts);
        let plain = Ready::new(representation, "", body, &OwnFields::default(), &dates);
        Hot::new(plain, Vec::new(), Vec::new(), 0, &dates, Instant::ZERO)
    }

    #[test]
    fn a_response_is_ready_but_for_its_date_and_its_connection() {
        let mut hot = hot(b"hello", 784_111_000);
        let later = DateCache::at(UnixTime::from_secs(784_111_778));
        let mut write = |version, persistent, with_body| {
            let mut out = Vec::new();
            hot.plain.write(&mut out, &later, None, version, persistent, with_body);
            String::from_utf8(out).unwrap()
        };
        let fields = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nAccept-Ranges: bytes\r\n\
             ETag: \"1-5-ae1b8ccd379f000\"\r\nLast-Modified: Sun, 06 Nov 1994 08:36:40 GMT\r\n";
        assert_eq!(write(Version::Http11, true, true), format!("{fields}\r\nhello"));
        assert_eq!(write(Version::Http11, false, true), format!("{fields}Connection: close\r\n\r\nhello"));
        assert_eq!(write(Version::Http10, false, true), format!("{fields}\r\nhello"));
        assert_eq!(write(Version::Http10, true, false), format!("{fields}Connection: keep-alive\r\n\r\n"));
        assert_eq!(write(Version::Http11, true, false), format!("{fields}\r\n"));
    }

    #[test]
    fn a_file_that_changed_just_before_it_was_read_is_read_again() {
        let now = Instant::ZERO + Duration::from_secs(2);
        let mut quiet = hot(b"x", 784_111_000);
        let facts = quiet.plain.representation.facts;
        assert!(!quiet.is_fresh(now));
        assert!(quiet.confirm(&facts, &[], now) && quiet.is_fresh(now));
        assert!(!quiet.confirm(&Facts { octets: 2, ..facts }, &[], now));
        let mut busy = hot(b"x", 784_111_776);
        let facts = busy.plain.representation.facts;
        assert!(!busy.confirm(&facts, &[], now));
    }

    #[test]
    fn the_cache_stays_within_its_octets_and_keeps_what_is_asked_for() {
        let mut cache = HotCache::new(10_000);
        for round in 0..100u8 {
            cache.insert(0, &[b'/', round], hot(&[0; 1000], 784_111_000));
            assert!(cache.octets <= 10_000);
            assert!(cache.find(0, b"/\0").is_some(), "asked for in every round");
        }
        assert_eq!(cache.sites[0].len(), cache.order.len());
        assert!(cache.find(0, &[b'/', 99]).is_some());
        assert!(cache.find(0, &[b'/', 50]).is_none());
        cache.insert(0, b"/large", hot(&[0; 20_000], 784_111_000));
        assert!(cache.find(0, b"/large").is_none());
        for round in 0..100u8 {
            cache.remove(0, &[b'/', round]);
        }
        assert_eq!((cache.octets, cache.order.len()), (0, 0));
    }
}
