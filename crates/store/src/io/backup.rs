//! Backup while the store goes on working, and restoring from it.
//!
//! The database is copied first, at one moment, and the content of blobs after it: content is durable
//! before any row speaks of it, and is not moved or removed while this runs, so the copy of the content
//! has at least what the copy of the rows needs.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use doorway_base::DiskFile;

use crate::error::{Error, Result};
use crate::io::embedded::Shared;
use crate::io::folder::{Layout, cannot};
use crate::io::sqlite::{self, FORMAT, Role};
use crate::io::verify::{VerifyReport, verify};
use crate::lock::lock;
use crate::manifest::is_plain;
use crate::store::{BackupTarget, Manifest, ManifestFile};
use crate::tar;

/// Name of the manifest in a backup.
const MANIFEST: &str = "manifest.txt";
/// Octets copied at once.
const CHUNK_OCTETS: usize = 1024 * 1024;
/// Longest manifest that is read.
const MANIFEST_OCTETS_MAX: u64 = 1 << 30;

/// Copies everything that the database and the blobs have now.
pub(crate) fn backup(shared: &Shared, maintenance: &Mutex<()>, target: &BackupTarget) -> Result<Manifest> {
    let _unmoved = lock(maintenance);
    match target {
        BackupTarget::Folder(folder) => {
            make_empty(folder)?;
            backup_to(shared, folder)
        }
        BackupTarget::File(file) => {
            if file.exists() {
                return Err(cannot("write", file, &"it exists already"));
            }
            let (folder, part) = (beside(file, "files"), beside(file, "part"));
            make_empty(&folder)?;
            let result = backup_to(shared, &folder).and_then(|manifest| {
                pack(&folder, &manifest, &part).map_err(|e| cannot("write", &part, &e))?;
                fs::rename(&part, file).map_err(|e| cannot("rename", &part, &e))?;
                Ok(manifest)
            });
            // Whatever happened, the parts are of no more use.
            let _ = fs::remove_dir_all(&folder);
            if result.is_err() {
                let _ = fs::remove_file(&part);
            }
            result
        }
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn make_empty(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| cannot("make", folder, &e))?;
    let mut entries = fs::read_dir(folder).map_err(|e| cannot("read", folder, &e))?;
    if entries.next().is_some() { Err(cannot("use", folder, &"it is not empty")) } else { Ok(()) }
}

fn backup_to(shared: &Shared, folder: &Path) -> Result<Manifest> {
    let seq = copy_database(shared, folder)?;
    let mut manifest = Manifest { format: FORMAT, seq, files: Vec::new() };
    let database = Layout::new(folder).database();
    let (hash, octets) = hash_of(&database).map_err(|e| cannot("read", &database, &e))?;
    manifest.files.push(ManifestFile { path: "store.db".to_owned(), octets, hash });
    for (name, from) in [("segments", shared.layout.segments()), ("bodies", shared.layout.bodies())] {
        let to = folder.join(name);
        fs::create_dir_all(&to).map_err(|e| cannot("make", &to, &e))?;
        for path in list(shared, &from)? {
            let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if file_name.ends_with(".part") {
                continue;
            }
            let file = shared.disk.open(&path, false).map_err(|e| cannot("read", &path, &e))?;
            let to = to.join(file_name);
            let (hash, octets) = copy(&*file, &to).map_err(|e| cannot("copy to", &to, &e))?;
            manifest.files.push(ManifestFile { path: format!("{name}/{file_name}"), octets, hash });
        }
    }
    // Last: a folder with a manifest has everything that the manifest names.
    let path = folder.join(MANIFEST);
    let write = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(manifest.to_string().as_bytes())?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|e| cannot("write", &path, &e))?;
    Ok(manifest)
}

/// A store without blobs has no folders for them.
fn list(shared: &Shared, folder: &Path) -> Result<Vec<PathBuf>> {
    match shared.disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|e| cannot("read", folder, &e)),
    }
}

fn copy_database(shared: &Shared, folder: &Path) -> Result<u64> {
    let path = Layout::new(folder).database();
    let source = sqlite::open(&shared.layout.database(), Role::Reader, 0)?;
    let copy = || -> rusqlite::Result<()> {
        let mut target = rusqlite::Connection::open(&path)?;
        {
            // All pages in one step: one moment, whatever is written meanwhile.
            let backup = rusqlite::backup::Backup::new(&source, &mut target)?;
            backup.step(-1)?;
        }
        // A single file that needs no log beside it.
        target.pragma_update(None, "journal_mode", "delete")?;
        target.close().map_err(|(_, error)| error)
    };
    copy().map_err(|error| {
        sqlite::translate(&format!("cannot copy the database to {}", path.display()), &error)
    })?;
    let copied = sqlite::open(&path, Role::Reader, 0)?;
    let seq = sqlite::seq(&copied)?;
    drop(copied);
    File::open(&path).and_then(|file| file.sync_all()).map_err(|e| cannot("sync", &path, &e))?;
    Ok(seq)
}

fn copy(from: &dyn DiskFile, to: &Path) -> io::Result<([u8; 32], u64)> {
    let octets = from.octets()?;
    let mut file = File::create_new(to)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_OCTETS];
    let mut at = 0;
    while at < octets {
        let part = &mut chunk[..(octets - at).min(CHUNK_OCTETS as u64) as usize];
        from.read_exact_at(part, at)?;
        hasher.update(part);
        file.write_all(part)?;
        at += part.len() as u64;
    }
    file.sync_all()?;
    Ok((*hasher.finalize().as_bytes(), octets))
}

fn hash_of(path: &Path) -> io::Result<([u8; 32], u64)> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let octets = io::copy(&mut file, &mut hasher)?;
    Ok((*hasher.finalize().as_bytes(), octets))
}

fn pack(folder: &Path, manifest: &Manifest, to: &Path) -> io::Result<()> {
    let mut archive = io::BufWriter::with_capacity(CHUNK_OCTETS, File::create(to)?);
    let names = manifest.files.iter().map(|file| &*file.path);
    for name in std::iter::once(MANIFEST).chain(names) {
        let mut file = File::open(folder.join(name))?;
        let octets = file.metadata()?.len();
        let header = tar::header(name, octets).ok_or_else(|| io::Error::other("a name too long for tar"))?;
        archive.write_all(&header)?;
        let copied = io::copy(&mut file, &mut archive)?;
        archive.write_all(&[0; tar::BLOCK_OCTETS][..tar::padding(copied)])?;
    }
    archive.write_all(&[0; 2 * tar::BLOCK_OCTETS])?;
    archive.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Restores a backup, a folder or one file, into `folder`, which must be missing or empty.
///
/// Every file is compared with the manifest, and the whole is verified, before it takes its place; a
/// backup that is not sound leaves `folder` as it was.
///
/// # Errors
/// [`Error::Damaged`] for a backup that is not as its manifest says or does not verify, or
/// [`Error::Local`] for files that cannot be read or written.
pub fn restore(from: &Path, folder: &Path) -> Result<VerifyReport> {
    if folder.exists() {
        make_empty(folder)?;
    }
    let part = beside(folder, "restoring");
    make_empty(&part)?;
    let result = restore_to(from, &part).and_then(|report| {
        if folder.exists() {
            fs::remove_dir(folder).map_err(|e| cannot("replace", folder, &e))?;
        }
        fs::rename(&part, folder).map_err(|e| cannot("rename", &part, &e))?;
        Ok(report)
    });
    if result.is_err() {
        let _ = fs::remove_dir_all(&part);
    }
    result
}

fn restore_to(from: &Path, part: &Path) -> Result<VerifyReport> {
    for name in ["segments", "bodies", "log"] {
        let path = part.join(name);
        fs::create_dir_all(&path).map_err(|e| cannot("make", &path, &e))?;
    }
    if from.is_dir() { copy_folder(from, part) } else { unpack(from, part) }
        .map_err(|e| cannot("restore from", from, &e))?;
    let manifest = part.join(MANIFEST);
    let text = fs::read_to_string(&manifest).map_err(|e| cannot("read", &manifest, &e))?;
    let parsed: Manifest = text.parse().map_err(|e| Error::damaged(format!("{}: {e}", from.display())))?;
    if parsed.format > FORMAT {
        return Err(Error::Newer { found: parsed.format, known: FORMAT });
    }
    for file in &parsed.files {
        let path = part.join(&file.path);
        let (hash, octets) = hash_of(&path).map_err(|e| cannot("read", &path, &e))?;
        if hash != file.hash || octets != file.octets {
            let what = format!("{} in {} is not what was backed up", file.path, from.display());
            return Err(Error::damaged(what));
        }
    }
    fs::remove_file(&manifest).map_err(|e| cannot("remove", &manifest, &e))?;
    let report = verify(part)?;
    match report.damage.first() {
        Some(damage) => Err(Error::damaged(format!("{}: {damage}", from.display()))),
        None => Ok(report),
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let text = fs::read_to_string(from.join(MANIFEST))?;
    let manifest: Manifest = text.parse().map_err(io::Error::other)?;
    for name in std::iter::once(MANIFEST).chain(manifest.files.iter().map(|file| &*file.path)) {
        write_file(&mut File::open(from.join(name))?, &to.join(name))?;
    }
    Ok(())
}

fn unpack(from: &Path, to: &Path) -> io::Result<()> {
    let mut archive = io::BufReader::with_capacity(CHUNK_OCTETS, File::open(from)?);
    loop {
        let mut header = [0; tar::BLOCK_OCTETS];
        archive.read_exact(&mut header)?;
        let Some((name, octets)) = tar::parse(&header).map_err(io::Error::other)? else { return Ok(()) };
        if !is_plain(&name) || (name == MANIFEST && octets > MANIFEST_OCTETS_MAX) {
            return Err(io::Error::other("not a backup of ours"));
        }
        write_file(&mut (&mut archive).take(octets), &to.join(name))?;
        io::copy(&mut (&mut archive).take(tar::padding(octets) as u64), &mut io::sink())?;
    }
}

fn write_file(from: &mut dyn Read, to: &Path) -> io::Result<()> {
    let mut file = File::create_new(to)?;
    io::copy(from, &mut file)?;
    file.sync_all()
}

/// Runs a backup in a thread of its own, since it takes as long as there is data.
pub(crate) fn spawn(
    shared: Arc<Shared>,
    maintenance: Arc<Mutex<()>>,
    target: BackupTarget,
) -> Result<crate::answer::Answer<Manifest>> {
    let (promise, answer) = crate::answer::Answer::promised();
    std::thread::Builder::new()
        .name("store-backup".to_owned())
        .spawn(move || promise.keep(backup(&shared, &maintenance, &target)))
        .map_err(|error| Error::local("cannot start a thread of the store", error))?;
    Ok(answer)
}
