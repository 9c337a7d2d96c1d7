//! The hot cache: small files as whole responses, ready to be copied into a write.
//!
//! Each worker has its own, so there is no lock to wait for. An entry is looked at again on disk at
//! most once a second; only its Date changes in between, and is patched in place.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use doorway_base::Instant;

use super::date::DateCache;
use super::site::Route;
use crate::Status;
use crate::cors::Cors;
use crate::files::{Facts, Representation};
use crate::wire::Version;
use crate::wire::date::DATE_OCTETS;
use crate::wire::response::{Form, ResponseWriter};

/// Files longer than this are streamed instead of kept.
pub(super) const FILE_OCTETS_MAX: u64 = 64 * 1024;
/// How long an entry is served without a look at the disk.
const FRESH: Duration = Duration::from_secs(1);
/// A file that changed so shortly before it was read may change again within the same tick of the
/// file system's clock, with no sign of it: it is read again when it is next looked at.
const SETTLED: Duration = Duration::from_secs(2);
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

/// One response to GET with status 200.
#[derive(Debug)]
pub(super) struct Hot {
    /// Status line and fields, the empty line, the body.
    octets: Vec<u8>,
    /// Where the empty line begins.
    fields_end: usize,
    date_at: usize,
    date_second: u64,
    checked: Instant,
    /// Whether the file was quiet long enough before it was read that its facts tell of any change.
    settled: bool,
    /// Asked for since it was last looked at for eviction.
    visited: bool,
    /// The place of its route in its site.
    pub(super) route: u16,
    pub(super) representation: Representation,
}

impl Hot {
    /// The response with `body` as its content.
    pub(super) fn new(
        representation: Representation,
        server_name: &str,
        body: &[u8],
        route: (u16, &Route),
        dates: &DateCache,
        now: Instant,
    ) -> Self {
        let mut octets = Vec::with_capacity(body.len() + 320);
        let mut writer = ResponseWriter::begin(&mut octets, Form::Http1, Status::OK);
        let date_at = writer.date(dates.text());
        let (route, of) = route;
        if !server_name.is_empty() && !of.fields.omits("Server") {
            writer.field("Server", server_name.as_bytes());
        }
        representation.write_fields(&mut writer, Status::OK, dates.wall());
        of.fields.write(&mut writer);
        let fields_end = octets.len();
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(body);
        let settled = dates.wall() - representation.facts.modified > SETTLED;
        let date_second = dates.wall().as_secs();
        let (checked, visited) = (now, false);
        Self { octets, fields_end, date_at, date_second, checked, settled, visited, route, representation }
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
    ) {
        if self.date_second != dates.wall().as_secs() {
            self.date_second = dates.wall().as_secs();
            self.octets[self.date_at..self.date_at + DATE_OCTETS].copy_from_slice(dates.text());
        }
        if version == Version::Http11 && persistent && with_body && cors.is_none() {
            out.extend_from_slice(&self.octets);
            return;
        }
        out.extend_from_slice(&self.octets[..self.fields_end]);
        let mut writer = ResponseWriter::resume(out, Form::Http1);
        if let Some((cors, origin)) = cors {
            cors.write(&mut writer, origin);
        }
        writer.connection(version, persistent).end();
        if with_body {
            out.extend_from_slice(&self.octets[self.fields_end + 2..]);
        }
    }

    /// Whether it may be served without a look at the disk.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now - self.checked < FRESH
    }

    /// Takes a new look at the disk into account; false when the file must be read again.
    pub(super) fn confirm(&mut self, facts: &Facts, now: Instant) -> bool {
        let same = self.settled && self.representation.facts == *facts;
        if same {
            self.checked = now;
        }
        same
    }

    fn cost(&self, key: &[u8]) -> usize {
        self.octets.len() + 2 * key.len() + ENTRY_OCTETS
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

    /// Forgets what is known of a path.
    pub(super) fn remove(&mut self, site: u16, path: &[u8]) {
        if let Some(hot) = self.entries(site).remove(path) {
            self.octets -= hot.cost(path);
            self.order.retain(|(of, key)| *of != site || **key != *path);
        }
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
        Hot::new(Representation::new("a.txt", facts), "", body, (0, &Route::page()), &dates, Instant::ZERO)
    }

    #[test]
    fn a_response_is_ready_but_for_its_date_and_its_connection() {
        let mut hot = hot(b"hello", 784_111_000);
        let later = DateCache::at(UnixTime::from_secs(784_111_778));
        let mut write = |version, persistent, with_body| {
            let mut out = Vec::new();
            hot.write(&mut out, &later, None, version, persistent, with_body);
            String::from_utf8(out).unwrap()
        };
        let fields = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\
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
        let facts = quiet.representation.facts;
        assert!(!quiet.is_fresh(now));
        assert!(quiet.confirm(&facts, now) && quiet.is_fresh(now));
        assert!(!quiet.confirm(&Facts { octets: 2, ..facts }, now));
        let mut busy = hot(b"x", 784_111_776);
        let facts = busy.representation.facts;
        assert!(!busy.confirm(&facts, now));
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
