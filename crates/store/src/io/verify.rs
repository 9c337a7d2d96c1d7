//! Verification: everything stored is read and compared with what it should be; damage is listed, and
//! the reading goes on behind it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use doorway_base::{Disk, DiskFile};
use rusqlite::Connection;

use crate::batch::Changes;
use crate::blob::{BlobId, Location, PLACE, id_of};
use crate::error::{Error, Result};
use crate::io::disk::OsDisk;
use crate::io::folder::{FolderLock, Layout};
use crate::io::log::Log;
use crate::io::segments::SegmentFiles;
use crate::io::sqlite::{self, Role};
use crate::key::{Key, Range};
use crate::segment::{Found, walk};

/// Most damages that are described; more are only counted.
pub const DAMAGE_LISTED_MAX: usize = 1000;
/// Octets read at once from a body.
const CHUNK_OCTETS: u64 = 1024 * 1024;

/// What a verification saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Rows read, in the database and in the log.
    pub rows: u64,
    /// Whole records found in segments.
    pub records: u64,
    /// Blobs that rows speak of.
    pub blobs: u64,
    /// Octets of content whose hash was compared.
    pub octets: u64,
    /// How many damages were found.
    pub damages: u64,
    /// The first of them, in words.
    pub damage: Vec<String>,
}

impl VerifyReport {
    /// True when nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages == 0
    }

    fn damage(&mut self, what: String) {
        self.damages += 1;
        if self.damage.len() < DAMAGE_LISTED_MAX {
            self.damage.push(what);
        }
    }
}

/// Verifies the store in a folder that no process has open.
///
/// # Errors
/// [`Error::Locked`], [`Error::Newer`], or [`Error::Local`] when the folder cannot be read at all.
/// Damage is not an error but in the report.
pub fn verify(folder: &Path) -> Result<VerifyReport> {
    let layout = Layout::new(folder);
    if !layout.folder.is_dir() {
        return Err(Error::Local(format!("there is no folder {}", folder.display()).into()));
    }
    let _lock = FolderLock::take(&layout)?;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let mut report = VerifyReport::default();
    let opened = sqlite::open(&layout.database(), Role::Reader, 0)
        .and_then(|database| sqlite::seq(&database).map(|seq| (database, seq)));
    match opened {
        Ok((database, seq)) => {
            let newest = Log::read(&*disk, &layout.log(), seq)?.changes;
            verify_parts(&database, &newest, disk, &layout, &mut report);
        }
        Err(error) => {
            report.damage(format!("{}: {error}", layout.database().display()));
            verify_content(&BTreeMap::new(), disk, &layout, &mut report);
        }
    }
    Ok(report)
}

/// Verifies a database, the rows that are newer than it, and the blobs they speak of.
pub(crate) fn verify_parts(
    database: &Connection,
    newest: &Changes,
    disk: Arc<dyn Disk>,
    layout: &Layout,
    report: &mut VerifyReport,
) {
    verify_database(database, report);
    let mut places = BTreeMap::new();
    let mut place = |key: &Key, value: &[u8], report: &mut VerifyReport| {
        if !key.as_octets().starts_with(PLACE.as_bytes()) {
            return;
        }
        match (id_of(key, PLACE), Location::decode(value)) {
            (Some(id), Ok(location)) => {
                places.insert(id, location);
            }
            _ => report.damage(format!("row {key} does not say where a blob lies")),
        }
    };
    let walked = sqlite::rows(database, &Range::all(), false, |key, row| {
        report.rows += 1;
        if !newest.contains_key(&key) {
            place(&key, &row.value, report);
        }
        true
    });
    if let Err(error) = walked {
        report.damage(format!("{}: {error}", layout.database().display()));
    }
    for (key, change) in newest {
        report.rows += 1;
        if let Some(value) = &change.value {
            place(key, value, report);
        }
    }
    verify_content(&places, disk, layout, report);
}

fn verify_database(database: &Connection, report: &mut VerifyReport) {
    let mut check = || -> rusqlite::Result<()> {
        let mut statement = database.prepare("PRAGMA integrity_check(1000)")?;
        let mut lines = statement.query([])?;
        while let Some(line) = lines.next()? {
            let line: String = line.get(0)?;
            if line != "ok" {
                report.damage(format!("database: {line}"));
            }
        }
        Ok(())
    };
    if let Err(error) = check() {
        report.damage(format!("database: {error}"));
    }
}

/// Reads every segment and body, and sees that every row points to what is there.
fn verify_content(
    places: &BTreeMap<BlobId, Location>,
    disk: Arc<dyn Disk>,
    layout: &Layout,
    report: &mut VerifyReport,
) {
    let files = SegmentFiles::new(Arc::clone(&disk), layout.segments());
    let mut records = BTreeMap::new();
    let segments = files.list().unwrap_or_default();
    for segment in &segments {
        let path = files.path(*segment);
        let octets = match files.read_all(*segment) {
            Ok(octets) => octets,
            Err(error) => {
                report.damage(format!("{}: {error}", path.display()));
                continue;
            }
        };
        for found in walk(&octets) {
            match found {
                Found::Record { offset, header } => {
                    report.records += 1;
                    report.octets += header.octets;
                    records.insert((*segment, offset), (header.id, header.octets));
                }
                // The end of the last one may be on its way, or was when the process ended; should a
                // row speak of it, that is told below.
                Found::Damage { offset, octets: length }
                    if Some(segment) == segments.last() && offset + length == octets.len() as u64 => {}
                Found::Damage { offset, octets } => {
                    report.damage(format!(
                        "{}: {octets} octets at {offset} are no whole record",
                        path.display()
                    ));
                }
            }
        }
    }
    for (id, location) in places {
        report.blobs += 1;
        match *location {
            Location::Segment { segment, offset, octets } => {
                if records.get(&(segment, offset)) != Some(&(*id, octets)) {
                    let path = files.path(segment);
                    report.damage(format!("blob {id} is not at {offset} in {}", path.display()));
                }
            }
            Location::Body { octets } => {
                let path = layout.bodies().join(id.to_string());
                match disk.open(&path, false).and_then(|file| hash_file(&*file)) {
                    Ok((hash, length)) if hash == id.0 && length == octets => report.octets += length,
                    Ok(_) => report.damage(format!("{}: the content is not the blob's", path.display())),
                    Err(error) => report.damage(format!("{}: {error}", path.display())),
                }
            }
        }
    }
}

/// BLAKE3 and length of a file.
pub(crate) fn hash_file(file: &dyn DiskFile) -> std::io::Result<([u8; 32], u64)> {
    let octets = file.octets()?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_OCTETS.min(octets) as usize];
    let mut at = 0;
    while at < octets {
        let part = &mut chunk[..CHUNK_OCTETS.min(octets - at) as usize];
        file.read_exact_at(part, at)?;
        hasher.update(part);
        at += part.len() as u64;
    }
    Ok((*hasher.finalize().as_bytes(), octets))
}
