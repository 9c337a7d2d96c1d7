//! Mailboxes read from Maildir folders or mbox files, with flags and dates. Messages come piece by piece and
//! are delivered many to a commit.
//!
//! Files are read at once: run it in a thread of its own, not in a server's worker.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use doorway_base::UnixTime;
use doorway_store::{Batch, BlobWriter, Durability};

use super::bodies::{Content, INLINE_OCTETS_MAX};
use super::export::{ArchiveError, Progress, at};
use super::mailboxes::{Account, Delivered, Folder, MailboxError, Mailboxes};
use crate::archive::line_end::ToCrlf;
use crate::archive::maildir::{self, Keywords};
use crate::archive::mbox;
use crate::id::MessageIds;
use crate::mailbox::{Flags, FolderName};
use crate::mime::scanner::Scanner;

/// Messages of one commit, and octets after which one is made.
const BATCH_MESSAGES: usize = 100;
const BATCH_OCTETS: usize = 1024 * 1024;
/// Octets of a file that are read at a time.
const PIECE_OCTETS: usize = 64 * 1024;

/// Where messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A Maildir, with the folders of Maildir++ in it.
    Maildir(PathBuf),
    /// An mbox file, and the folder it goes into.
    Mbox(PathBuf, FolderName),
}

/// Takes messages over.
struct Importer<'a> {
    mailboxes: &'a Mailboxes,
    account: &'a Account,
    ids: &'a MessageIds,
    now: UnixTime,
    batch: Batch,
    /// Messages of the batch.
    pending: usize,
    progress: Progress,
    tell: &'a mut (dyn FnMut(&Progress) + Send),
}

/// A message that is coming.
struct Incoming {
    ends: ToCrlf,
    content: Vec<u8>,
    writer: Option<Box<dyn BlobWriter>>,
    scanner: Scanner,
}

impl Incoming {
    fn new() -> Self {
        Self { ends: ToCrlf::default(), content: Vec::new(), writer: None, scanner: Scanner::default() }
    }

    async fn push(&mut self, mailboxes: &Mailboxes, piece: &[u8]) -> Result<(), MailboxError> {
        let before = self.content.len();
        self.ends.push(piece, &mut self.content);
        self.scanner.push(&self.content[before..]);
        if self.content.len() > INLINE_OCTETS_MAX || self.writer.is_some() {
            let blobs = mailboxes.bodies().blobs();
            let writer = self.writer.get_or_insert_with(|| blobs.writer(Durability::Disk));
            writer.write(Bytes::from(std::mem::take(&mut self.content))).await?;
        }
        Ok(())
    }
}

/// Reads messages into an account, into the folders they were in; folders are made if missing. What cannot be
/// read is told in the progress, and the import goes on behind it. Messages that were imported before come
/// again.
///
/// # Errors
/// [`ArchiveError`] when the source cannot be read at all or the store's trouble ends it; what was taken over
/// before stays.
pub async fn import(
    mailboxes: &Mailboxes,
    account: &Account,
    ids: &MessageIds,
    source: &Source,
    now: UnixTime,
    tell: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Progress, ArchiveError> {
    let (batch, progress) = (Batch::new(), Progress::default());
    let mut importer = Importer { mailboxes, account, ids, now, batch, pending: 0, progress, tell };
    match source {
        Source::Maildir(root) => importer.maildir(root).await?,
        Source::Mbox(path, name) => importer.mbox(path, name).await?,
    }
    importer.commit().await?;
    Ok(importer.progress)
}

impl Importer<'_> {
    async fn folder(&mut self, name: &FolderName) -> Result<Folder, ArchiveError> {
        self.commit().await?;
        self.progress.folders += 1;
        match self.mailboxes.folder(self.account, name).await? {
            Some(folder) => Ok(folder),
            None => Ok(self.mailboxes.create_folder(self.account, name, None, self.now).await?),
        }
    }

    async fn maildir(&mut self, root: &Path) -> Result<(), ArchiveError> {
        let mut folders = vec![(FolderName::inbox(), root.to_owned())];
        for entry in fs::read_dir(root).map_err(at(root))? {
            let path = entry.map_err(at(root))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(maildir::folder);
            folders.extend(name.filter(|_| path.join("cur").is_dir()).map(|name| (name, path)));
        }
        folders.sort();
        for (name, directory) in folders {
            let folder = self.folder(&name).await?;
            let keywords = fs::read_to_string(directory.join(maildir::KEYWORDS_FILE)).unwrap_or_default();
            let keywords = Keywords::parse(&keywords);
            let mut files = Vec::new();
            for part in ["cur", "new"] {
                let path = directory.join(part);
                let Ok(entries) = fs::read_dir(&path) else { continue };
                for entry in entries {
                    files.push(entry.map_err(at(&path))?.path());
                }
            }
            // The names begin with the time of delivery, so UIDs rise as the messages came.
            files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
            for path in files {
                let name =
                    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if name.starts_with('.') || !path.is_file() {
                    continue;
                }
                match self.file(&path, &folder, maildir::flags(&name, &keywords)).await {
                    Err(ArchiveError::File(path, error)) => {
                        self.progress.problem(format!("{}: {error}", path.display()));
                    }
                    done => done?,
                }
            }
        }
        Ok(())
    }

    async fn file(&mut self, path: &Path, folder: &Folder, flags: Flags) -> Result<(), ArchiveError> {
        let mut file = File::open(path).map_err(at(path))?;
        let modified = file.metadata().and_then(|data| data.modified()).map_err(at(path))?;
        let date = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut incoming = Incoming::new();
        let mut piece = vec![0; PIECE_OCTETS];
        loop {
            let count = file.read(&mut piece).map_err(at(path))?;
            if count == 0 {
                break;
            }
            incoming.push(self.mailboxes, &piece[..count]).await?;
        }
        self.keep(incoming, folder, UnixTime::from_secs(date.as_secs()), flags).await
    }

    async fn mbox(&mut self, path: &Path, name: &FolderName) -> Result<(), ArchiveError> {
        let mut reader = BufReader::new(File::open(path).map_err(at(path))?);
        let folder = self.folder(name).await?;
        let mut coming: Option<(Incoming, UnixTime, Flags)> = None;
        let (mut in_header, mut line_begins, mut after_empty) = (true, true, true);
        // An empty line that may be the one that ends a message.
        let mut held = false;
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = Read::take(&mut reader, PIECE_OCTETS as u64);
            if bounded.read_until(b'\n', &mut line).map_err(at(path))? == 0 {
                break;
            }
            let begins = std::mem::replace(&mut line_begins, line.ends_with(b"\n"));
            if begins
                && after_empty
                && let Some(date) = mbox::parse_from_line(&line)
            {
                if let Some((incoming, date, flags)) = coming.take() {
                    self.keep(incoming, &folder, date, flags).await?;
                }
                coming = Some((Incoming::new(), date, Flags::NONE));
                (in_header, held, after_empty) = (true, false, false);
                continue;
            }
            let Some((incoming, _, flags)) = &mut coming else {
                if line.iter().any(|octet| !octet.is_ascii_whitespace()) {
                    self.progress.problem(format!("{}: it does not begin with a From line", path.display()));
                    return Ok(());
                }
                continue;
            };
            if std::mem::take(&mut held) {
                incoming.push(self.mailboxes, b"\n").await?;
            }
            let empty = begins && (line == b"\n" || line == b"\r\n");
            after_empty = empty;
            if in_header && begins && mbox::read_status(&line, flags) {
                continue;
            }
            in_header &= !empty;
            if empty {
                held = true;
                continue;
            }
            let text = if begins { mbox::unquoted(&line) } else { &line };
            incoming.push(self.mailboxes, text).await?;
        }
        if let Some((incoming, date, flags)) = coming {
            self.keep(incoming, &folder, date, flags).await?;
        }
        Ok(())
    }

    async fn keep(
        &mut self,
        incoming: Incoming,
        folder: &Folder,
        date: UnixTime,
        flags: Flags,
    ) -> Result<(), ArchiveError> {
        let bodies = self.mailboxes.bodies();
        let Incoming { content, writer, scanner, .. } = incoming;
        let content = match writer {
            None => Content::Memory(vec![content.into()]),
            Some(writer) => Content::Blob(writer.finish().await?),
        };
        let prepared = bodies.prepare(b"", &content).await?;
        let id = self.ids.next(self.now);
        let octets = prepared.octets();
        let at = if date == UnixTime::default() { self.now } else { date };
        let batch = bodies.keep(std::mem::take(&mut self.batch), id, &prepared, 1);
        let batch = bodies.describe(batch, id, scanner.finish().to_octets());
        let message = Delivered { id, at, octets, flags };
        self.batch = self.mailboxes.deliver(batch, self.account, Some(folder), &message);
        self.pending += 1;
        self.progress.messages += 1;
        self.progress.octets += octets;
        if self.pending >= BATCH_MESSAGES || self.batch.octets() >= BATCH_OCTETS {
            self.commit().await?;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), ArchiveError> {
        if std::mem::take(&mut self.pending) > 0 {
            let batch = std::mem::take(&mut self.batch);
            self.mailboxes.bodies().store().commit(batch).await?;
        }
        (self.tell)(&self.progress);
        Ok(())
    }
}
