//! The static table (RFC 7541 Appendix A) and the dynamic table (RFC 7541 §2.3.2, §4).

use std::collections::VecDeque;

/// SETTINGS_HEADER_TABLE_SIZE unless somebody says otherwise (RFC 9113 §6.5.2), in octets as RFC 7541 §4.1
/// counts them.
pub const TABLE_OCTETS: usize = 4096;
/// What an entry counts besides its name and its value.
const ENTRY_OCTETS: usize = 32;

/// A field by reference: name and value.
pub(super) type FieldRef<'t> = (&'t [u8], &'t [u8]);

/// The entries 1 to 61.
pub static STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Entries that one side told the other to remember. Their octets stand one behind the other, the oldest
/// first.
#[derive(Debug, Clone)]
pub(super) struct Table {
    octets: Vec<u8>,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Where the oldest entry begins in `octets`.
    start: usize,
    /// As RFC 7541 §4.1 counts.
    size: usize,
    size_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: u32,
    value: u32,
}

impl Entry {
    const fn octets(self) -> usize {
        self.name as usize + self.value as usize
    }
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { octets: Vec::new(), entries: VecDeque::new(), start: 0, size: 0, size_max: TABLE_OCTETS }
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    pub(super) const fn size_max(&self) -> usize {
        self.size_max
    }

    /// Changes how much is remembered (RFC 7541 §4.3).
    pub(super) fn resize(&mut self, size_max: usize) {
        self.size_max = size_max;
        self.evict(0);
    }

    /// The field with this index, over both tables; `None` when there is none.
    #[inline]
    pub(super) fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        let wanted = self.entries.len().checked_sub(index - STATIC.len() + 1)?;
        // The newest entries are asked for most, and are found from the end.
        let behind: usize = self.entries.range(wanted..).map(|entry| entry.octets()).sum();
        let entry = self.entries[wanted];
        let octets = &self.octets[self.octets.len() - behind..];
        let (name, rest) = octets.split_at(entry.name as usize);
        Some((name, &rest[..entry.value as usize]))
    }

    /// Remembers a field, and forgets the oldest to make room (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OCTETS;
        self.evict(size);
        // One that is larger than the whole table empties it.
        if size > self.size_max {
            return;
        }
        if self.start > 0 && self.octets.len() + size > self.size_max {
            self.octets.drain(..self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(name);
        self.octets.extend_from_slice(value);
        self.entries.push_back(Entry { name: name.len() as u32, value: value.len() as u32 });
        self.size += size;
    }

    /// Forgets the oldest until `more` octets have room.
    fn evict(&mut self, more: usize) {
        while self.size + more > self.size_max {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.start += oldest.octets();
            self.size -= oldest.octets() + ENTRY_OCTETS;
        }
        if self.entries.is_empty() {
            self.octets.clear();
            self.start = 0;
        }
    }

    /// The index of a field, and whether its value is the same as well.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> Option<(usize, bool)> {
        let mut by_name = None;
        let known = STATIC.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        for (place, field) in known.chain(self.newest_first()).enumerate() {
            if field.0 == name {
                if field.1 == value {
                    return Some((place + 1, true));
                }
                by_name = by_name.or(Some((place + 1, false)));
            }
        }
        by_name
    }

    fn newest_first(&self) -> impl Iterator<Item = FieldRef<'_>> {
        let mut end = self.octets.len();
        self.entries.iter().rev().map(move |entry| {
            let value = end - entry.value as usize;
            let name = value - entry.name as usize;
            let field = (&self.octets[name..value], &self.octets[value..end]);
            end = name;
            field
        })
    }

    /// Every entry, newest first, as the standard's examples print them.
    #[cfg(test)]
    pub(super) fn shown(&self) -> Vec<String> {
        let text = |octets| String::from_utf8_lossy(octets).into_owned();
        self.newest_first().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
    }
}
