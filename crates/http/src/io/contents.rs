//! Contents of files that are too long to be kept as ready-made responses, by the facts of the file: the
//! kernel takes octets from memory for a third of what it costs to take them from a file.
//!
//! Each worker has its own. A file is looked up on disk for each request all the same, so that a change is
//! seen at once: another version has other facts.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;

use doorway_net::web::Bytes;

use super::files::read_whole;
use crate::files::Facts;

/// Longer files are sent from the disk.
const OCTETS_MAX: u64 = 4 * 1024 * 1024;
/// A file that needs more than this part of the memory would drive out too many others.
const PART_MAX: u64 = 4;

/// Contents by the facts of their files.
#[derive(Debug)]
pub(super) struct Contents {
    // Looked up, never iterated.
    entries: HashMap<Facts, Bytes>,
    /// In the order in which they came; the oldest goes first.
    order: VecDeque<Facts>,
    octets: u64,
    octets_max: u64,
}

impl Contents {
    pub(super) fn new(octets_max: usize) -> Self {
        let (entries, order) = Default::default();
        Self { entries, order, octets: 0, octets_max: octets_max as u64 }
    }

    /// The content of `file`, read now unless it is here; `None` when it is too long.
    ///
    /// # Errors
    /// As the disk gives them.
    pub(super) fn find(&mut self, file: &File, facts: &Facts) -> io::Result<Option<Bytes>> {
        if let Some(content) = self.entries.get(facts) {
            return Ok(Some(content.clone()));
        }
        if facts.octets > OCTETS_MAX || facts.octets * PART_MAX > self.octets_max {
            return Ok(None);
        }
        let mut content = Vec::new();
        read_whole(file, facts.octets, &mut content)?;
        let content = Bytes::from(content);
        self.octets += facts.octets;
        self.order.push_back(*facts);
        self.entries.insert(*facts, content.clone());
        while self.octets > self.octets_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
            self.octets -= oldest.octets;
        }
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use doorway_base::UnixTime;

    use super::*;

    #[test]
    fn contents_stay_within_their_octets_and_go_with_their_facts() {
        let path = std::env::temp_dir().join(format!("doorway-contents-{}", std::process::id()));
        File::create(&path).unwrap().write_all(&[7; 1000]).unwrap();
        let file = File::open(&path).unwrap();
        let facts = |second, octets| Facts { inode: (1, 1), octets, modified: UnixTime::from_secs(second) };
        let mut contents = Contents::new(4000);
        for second in 0..20 {
            let content = contents.find(&file, &facts(second, 1000)).unwrap().unwrap();
            assert_eq!(*content, [7; 1000]);
            assert!(contents.octets <= 4000 && contents.entries.len() == contents.order.len());
        }
        let again = contents.find(&file, &facts(19, 1000)).unwrap().unwrap();
        assert!(std::ptr::eq(again.as_ptr(), contents.entries[&facts(19, 1000)].as_ptr()));
        assert!(contents.find(&file, &facts(0, 1001)).unwrap().is_none());
        assert!(contents.find(&file, &facts(30, 900)).unwrap().is_some());
        std::fs::remove_file(&path).unwrap();
    }
}
