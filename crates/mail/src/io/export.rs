//! Mailboxes written out as Maildir folders or mbox files. Messages go piece by piece, so memory stays the
//! same for any length.
//!
//! Files are written at once: run it in a thread of its own, not in a server's worker.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use doorway_base::UnixTime;
use doorway_store::Error;

use super::bodies::{Bodies, Body};
use super::mailboxes::{Account, MailboxError, Mailboxes};
use crate::archive::line_end::ToLf;
use crate::archive::maildir::{self, Keywords};
use crate::archive::mbox::{self, Quoting};
use crate::id::MessageId;
use crate::mailbox::{Flags, FolderName, Uid};

/// Octets of a message that are read at a time.
const PIECE_OCTETS: u64 = 256 * 1024;
/// Messages that are listed at a time.
const PAGE_MESSAGES: usize = 1000;

/// The form in which mailboxes are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Maildir++: a file for each message.
    Maildir,
    /// mbox: a file for each folder.
    Mbox,
}

/// How far an import or an export has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Folders that were begun.
    pub folders: u64,
    /// Messages that are done.
    pub messages: u64,
    /// Octets of them.
    pub octets: u64,
    /// Messages that could not be handed over, and why; at most [`PROBLEMS_LISTED_MAX`].
    pub problems: Vec<String>,
    /// How many there are of those.
    pub failed: u64,
}

/// Most problems that are described; more are only counted.
pub const PROBLEMS_LISTED_MAX: usize = 1000;

impl Progress {
    pub(super) fn problem(&mut self, what: String) {
        self.failed += 1;
        if self.problems.len() < PROBLEMS_LISTED_MAX {
            self.problems.push(what);
        }
    }
}

/// Why an import or an export ended early.
#[derive(Debug)]
pub enum ArchiveError {
    /// A file could not be read or written.
    File(PathBuf, io::Error),
    /// The mailboxes' own trouble.
    Mailbox(MailboxError),
}

impl std::fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Mailbox(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ArchiveError {}

impl From<Error> for ArchiveError {
    fn from(error: Error) -> Self {
        Self::Mailbox(error.into())
    }
}

impl From<MailboxError> for ArchiveError {
    fn from(error: MailboxError) -> Self {
        Self::Mailbox(error)
    }
}

/// Names the file that an error is about.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> ArchiveError + '_ {
    |error| ArchiveError::File(path.to_owned(), error)
}

/// What a file tells of a message beside its octets.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) id: MessageId,
    pub(super) at: UnixTime,
    pub(super) flags: Flags,
}

/// Writes folders in one of the forms.
pub(super) struct Archive<'a> {
    bodies: &'a Bodies,
    form: Form,
    root: PathBuf,
    folder: Option<OpenFolder>,
}

struct OpenFolder {
    directory: PathBuf,
    keywords: Keywords,
    /// The file of an mbox.
    file: Option<BufWriter<File>>,
}

impl<'a> Archive<'a> {
    /// Begins below `root`, which is made if it is missing.
    pub(super) fn new(bodies: &'a Bodies, form: Form, root: &Path) -> Result<Self, ArchiveError> {
        fs::create_dir_all(root).map_err(at(root))?;
        Ok(Self { bodies, form, root: root.to_owned(), folder: None })
    }

    /// Ends the folder before and begins one; that of an mbox must not exist.
    pub(super) fn begin(&mut self, name: &FolderName) -> Result<(), ArchiveError> {
        self.finish()?;
        let mut folder =
            OpenFolder { directory: self.root.clone(), keywords: Keywords::default(), file: None };
        match self.form {
            Form::Maildir => {
                folder.directory.push(maildir::directory(name));
                for part in ["tmp", "new", "cur"] {
                    let path = folder.directory.join(part);
                    fs::create_dir_all(&path).map_err(at(&path))?;
                }
                if !name.is_inbox() {
                    let path = folder.directory.join("maildirfolder");
                    File::create(&path).map_err(at(&path))?;
                }
            }
            Form::Mbox => {
                let directory = maildir::directory(name);
                let name = directory.strip_prefix('.').unwrap_or("INBOX");
                folder.directory.push(format!("{name}.mbox"));
                let path = &folder.directory;
                folder.file = Some(BufWriter::new(File::create_new(path).map_err(at(path))?));
            }
        }
        self.folder = Some(folder);
        Ok(())
    }

    /// Writes a message; `Ok(Err)` says why its octets cannot be read.
    pub(super) async fn write(
        &mut self,
        meta: &Meta,
        body: &Body,
    ) -> Result<Result<(), Error>, ArchiveError> {
        let bodies = self.bodies;
        let Some(folder) = &mut self.folder else { return Ok(Err(Error::Closed)) };
        // Read before anything is written, so that a message that is not readable leaves no trace.
        let first = match bodies.read(body, 0, PIECE_OCTETS).await {
            Ok(first) => first,
            Err(error) => return Ok(Err(error)),
        };
        match &mut folder.file {
            None => {
                let temporary = folder.directory.join("tmp").join(format!("{}.doorway", meta.id));
                let file = File::create(&temporary).map_err(at(&temporary))?;
                let mut writer = BufWriter::new(file);
                let copied = copy(bodies, body, first, None, &mut writer).await;
                let octets = match copied.map_err(at(&temporary))? {
                    Ok(octets) => octets,
                    Err(error) => {
                        fs::remove_file(&temporary).map_err(at(&temporary))?;
                        return Ok(Err(error));
                    }
                };
                let file = writer.into_inner().map_err(|error| at(&temporary)(error.into_error()))?;
                let time = UNIX_EPOCH + Duration::from_secs(meta.at.as_secs());
                file.set_modified(time).map_err(at(&temporary))?;
                let name = maildir::file_name(meta.id, meta.at, octets, &meta.flags, &mut folder.keywords);
                let current = folder.directory.join("cur");
                let mut path = current.join(&name);
                // A copy in the same folder has the same body: its file needs a name of its own.
                let (front, letters) = name.split_once(":2,").unwrap_or((&name, ""));
                let mut copies = 0;
                while path.exists() {
                    copies += 1;
                    path = current.join(format!("{front},{copies}:2,{letters}"));
                }
                fs::rename(&temporary, &path).map_err(at(&path))?;
            }
            Some(file) => {
                let sender = return_path(&first);
                let line = mbox::from_line(sender.as_deref(), meta.at);
                let path = &folder.directory;
                file.write_all(line.as_bytes()).map_err(at(path))?;
                let copied = copy(bodies, body, first, Some(&meta.flags), file).await.map_err(at(path))?;
                file.write_all(b"\n").map_err(at(path))?;
                if let Err(error) = copied {
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Ends the last folder.
    pub(super) fn finish(&mut self) -> Result<(), ArchiveError> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        if let Some(mut file) = folder.file {
            file.flush().map_err(at(&folder.directory))?;
        }
        let keywords = folder.keywords.to_text();
        if self.form == Form::Maildir && !keywords.is_empty() {
            let path = folder.directory.join(maildir::KEYWORDS_FILE);
            fs::write(&path, keywords).map_err(at(&path))?;
        }
        Ok(())
    }
}

/// The address in a Return-Path line at the start of a message.
fn return_path(first: &[u8]) -> Option<String> {
    let line = first.split(|octet| *octet == b'\r').next()?;
    let path = line.strip_prefix(b"Return-Path: <")?.strip_suffix(b">")?;
    String::from_utf8(path.to_vec()).ok()
}

/// Writes a body with LF. With flags it goes to an mbox: they are told in its header, and lines that would
/// begin a message are quoted. Gives the octets written, or why not all could be read.
async fn copy(
    bodies: &Bodies,
    body: &Body,
    first: bytes::Bytes,
    flags: Option<&Flags>,
    writer: &mut impl Write,
) -> io::Result<Result<u64, Error>> {
    let (mut ends, mut quoting) = (ToLf::default(), Quoting::default());
    let (mut lines, mut out) = (Vec::new(), Vec::new());
    let (mut read, mut written) = (0, 0);
    let mut piece = first;
    let mut fields = flags.map(mbox::status_fields);
    loop {
        read += piece.len() as u64;
        lines.clear();
        out.clear();
        ends.push(&piece, &mut lines);
        let last = piece.is_empty() || read >= body.octets();
        if last {
            std::mem::take(&mut ends).finish(&mut lines);
        }
        match fields.take() {
            // Fields go in front: what a message's header is, nobody has to know for that.
            Some(fields) => {
                quoting.push(fields.as_bytes(), &mut out);
                quoting.push(&lines, &mut out);
            }
            None if flags.is_some() => quoting.push(&lines, &mut out),
            None => out.append(&mut lines),
        }
        if last {
            std::mem::take(&mut quoting).finish(&mut out);
        }
        writer.write_all(&out)?;
        written += out.len() as u64;
        if last {
            return Ok(Ok(written));
        }
        piece = match bodies.read(body, read, PIECE_OCTETS).await {
            Ok(piece) => piece,
            Err(error) => return Ok(Err(error)),
        };
    }
}

/// Writes an account's folders below `root`. What cannot be read is told in the progress, and the export goes
/// on behind it.
///
/// # Errors
/// [`ArchiveError`] when files cannot be written or the store cannot be read at all.
pub async fn export(
    mailboxes: &Mailboxes,
    account: &Account,
    form: Form,
    root: &Path,
    tell: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Progress, ArchiveError> {
    let mut archive = Archive::new(mailboxes.bodies(), form, root)?;
    let mut progress = Progress::default();
    for folder in mailboxes.folders(account).await? {
        archive.begin(&folder.name)?;
        progress.folders += 1;
        let mut next = Some(1);
        while let Some(first) = next {
            let page = mailboxes.messages(account.user, folder.id, first..=Uid::MAX, PAGE_MESSAGES).await?;
            next = page.next;
            for message in page.messages {
                let what = |why: &dyn std::fmt::Display| format!("{} {}: {why}", folder.name, message.uid);
                let meta = Meta { id: message.id, at: message.at, flags: message.flags.clone() };
                let written = match mailboxes.bodies().body(message.id).await {
                    Ok(Some(body)) => archive.write(&meta, &body).await?,
                    Ok(None) => Err(Error::NoSuchBlob),
                    Err(error) => Err(error),
                };
                match written {
                    Ok(()) => {
                        progress.messages += 1;
                        progress.octets += message.octets;
                    }
                    Err(error) => progress.problem(what(&error)),
                }
                tell(&progress);
            }
        }
    }
    archive.finish()?;
    Ok(progress)
}
