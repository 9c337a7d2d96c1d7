//! What a client keeps in the data folder: the record of each interface, and the DUID of the host.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use doorway_net::entropy;

use crate::client::Record;
use crate::client::identity::Duid;
use crate::client::record::{RECORD_OCTETS_MAX, file_name};

/// The folder within the data folder.
const FOLDER: &str = "dhcp";
/// The file with the DUID.
const DUID_FILE: &str = "duid";
/// Most octets of that file that are read.
const DUID_OCTETS_MAX: u64 = 256;

/// The folder of what clients keep.
#[derive(Debug, Clone)]
pub struct Kept(PathBuf);

impl Kept {
    /// That of a data folder. It is made when something has to be kept.
    #[must_use]
    pub fn within(data: &Path) -> Self {
        Self(data.join(FOLDER))
    }

    /// The record of an interface; `None` without one, or with one that is damaged or of another version.
    #[must_use]
    pub fn record(&self, interface: &str) -> Option<Record> {
        let octets = read(&self.0.join(file_name(interface)), RECORD_OCTETS_MAX as u64).ok()?;
        Record::read(&octets).ok()
    }

    /// Keeps the record of an interface.
    ///
    /// # Errors
    /// As the file system gives them.
    pub fn keep(&self, interface: &str, record: &Record) -> io::Result<()> {
        self.write(&file_name(interface), &record.write())
    }

    /// Forgets the record of an interface.
    ///
    /// # Errors
    /// As the file system gives them, but for one that is not there.
    pub fn forget(&self, interface: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(file_name(interface))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// The DUID of this host, made when there is none.
    ///
    /// # Errors
    /// As the file system gives them.
    pub fn duid(&self) -> io::Result<Duid> {
        let read = read(&self.0.join(DUID_FILE), DUID_OCTETS_MAX);
        if let Some(duid) = read.ok().as_deref().and_then(Duid::from_octets) {
            return Ok(duid);
        }
        let mut random = [0; 16];
        entropy::fill(&mut random);
        let duid = Duid::new(random);
        self.write(DUID_FILE, duid.octets())?;
        Ok(duid)
    }

    /// Writes a file whole, or leaves the one that is there.
    fn write(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let (path, beside) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    }
}

fn read(path: &Path, octets_max: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?.take(octets_max).read_to_end(&mut octets)?;
    Ok(octets)
}
