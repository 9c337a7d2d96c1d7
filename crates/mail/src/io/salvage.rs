//! What can be brought out of a damaged store: every message whose rows and octets are readable, as Maildir
//! folders. Damage is passed over and told.
//!
//! | folder | what it holds |
//! | --- | --- |
//! | `NAME/` | a user's folders as they were; `user-N` when the user's row is lost, `folder-N` a folder's |
//! | `damaged/` | messages whose octets are not those that were kept: somebody may still make sense of them |
//! | `lost/` | bodies that no readable message speaks of |

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use doorway_base::UnixTime;
use doorway_store::{Blobs, Error, Key, Range, Remains, Row, ScanOptions, Store};

use super::bodies::{BODY, Bodies, Body, body_key};
use super::export::{Archive, ArchiveError, Form, Meta, Progress};
use crate::id::MessageId;
use crate::mailbox::{
    FOLDER, Flags, FolderId, FolderName, FolderRecord, MESSAGE, MessageRecord, number_after,
};

/// What was brought out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// Messages that are whole, and what could not be read.
    pub progress: Progress,
    /// Messages with other octets than they had.
    pub damaged: u64,
    /// Whole bodies that no readable message spoke of.
    pub lost: u64,
}

struct Salvage<'a> {
    remains: &'a Remains,
    bodies: Bodies,
    root: &'a Path,
    /// Names of folders, by user and number.
    names: BTreeMap<(u64, FolderId), FolderName>,
    salvaged: Salvaged,
    tell: &'a mut (dyn FnMut(&Salvaged) + Send),
}

/// Brings out what can be read, below `root`.
///
/// # Errors
/// [`ArchiveError`] when files cannot be written. Damage is no error.
pub async fn salvage(
    remains: &Arc<Remains>,
    root: &Path,
    tell: &mut (dyn FnMut(&Salvaged) + Send),
) -> Result<Salvaged, ArchiveError> {
    let store = Arc::clone(remains) as Arc<dyn Store>;
    let bodies = Bodies::new(store, Arc::clone(remains) as Arc<dyn Blobs>);
    let (names, salvaged) = (BTreeMap::new(), Salvaged::default());
    let mut salvage = Salvage { remains, bodies: bodies.clone(), root, names, salvaged, tell };
    salvage.folders().await?;
    let mut met = salvage.messages().await?;
    met.sort_unstable();
    met.dedup();
    salvage.lost(&met).await?;
    Ok(salvage.salvaged)
}

impl Salvage<'_> {
    async fn folders(&mut self) -> Result<(), ArchiveError> {
        let prefix = Key::from(FOLDER);
        let mut rest = Some(Range::prefix(&prefix));
        while let Some(range) = rest {
            let page = self.remains.scan(range.clone(), ScanOptions::default()).await?;
            for (key, row) in &page.rows {
                let Some((user, name)) = key.after(&prefix).and_then(|rest| rest.split_first_chunk::<8>())
                else {
                    continue;
                };
                let name = core::str::from_utf8(name).ok().and_then(|name| FolderName::parse(name).ok());
                if let (Some(name), Ok(folder)) = (name, FolderRecord::decode(&row.value)) {
                    self.names.insert((u64::from_be_bytes(*user), folder.id), name);
                }
            }
            rest = page.rest(&range, ScanOptions::default());
        }
        Ok(())
    }

    /// Writes every message that has a row; the names of their bodies.
    async fn messages(&mut self) -> Result<Vec<u64>, ArchiveError> {
        let users = self.remains.user_names();
        let bodies = self.bodies.clone();
        let prefix = Key::from(MESSAGE);
        let mut met = Vec::new();
        let mut open: Option<(u64, FolderId, Archive<'_>)> = None;
        let mut rest = Some(Range::prefix(&prefix));
        while let Some(range) = rest {
            let page = self.remains.scan(range.clone(), ScanOptions::default()).await?;
            for (key, row) in &page.rows {
                let Some(numbers) = key.after(&prefix).and_then(|rest| rest.first_chunk::<24>()) else {
                    self.salvaged.progress.problem(format!("row {key} is no message"));
                    continue;
                };
                let number =
                    |at: usize| u64::from_be_bytes(numbers[at..at + 8].try_into().unwrap_or_default());
                let (user, folder, uid) = (number(0), FolderId(number(8)), number(16));
                let name = match self.names.get(&(user, folder)) {
                    Some(name) => name.clone(),
                    None => FolderName::parse(&format!("folder-{}", folder.0))
                        .unwrap_or_else(|_| FolderName::inbox()),
                };
                let user_name = users.get(&user).cloned().unwrap_or_else(|| format!("user-{user}"));
                if !matches!(&open, Some((u, f, _)) if (*u, *f) == (user, folder)) {
                    if let Some((_, _, mut archive)) = open.take() {
                        archive.finish()?;
                    }
                    let mut archive = Archive::new(&bodies, Form::Maildir, &self.root.join(&user_name))?;
                    archive.begin(&name)?;
                    self.salvaged.progress.folders += 1;
                    open = Some((user, folder, archive));
                }
                let Some((_, _, archive)) = &mut open else { continue };
                let what = format!("{user_name}, {name}, {uid}");
                met.extend(self.message(&what, row, archive).await?);
                (self.tell)(&self.salvaged);
            }
            rest = page.rest(&range, ScanOptions::default());
        }
        if let Some((_, _, mut archive)) = open {
            archive.finish()?;
        }
        Ok(met)
    }

    /// Writes one message; the name of its body if its row is readable.
    async fn message(
        &mut self,
        what: &str,
        row: &Row,
        archive: &mut Archive<'_>,
    ) -> Result<Option<u64>, ArchiveError> {
        let record = match MessageRecord::decode(&row.value) {
            Ok(record) => record,
            Err(malformed) => {
                self.salvaged.progress.problem(format!("{what}: {malformed}"));
                return Ok(None);
            }
        };
        let meta = Meta { id: record.id, at: record.at, flags: record.flags };
        match self.body(record.id).await? {
            Ok(body) => match archive.write(&meta, &body).await? {
                Ok(()) => {
                    self.salvaged.progress.messages += 1;
                    self.salvaged.progress.octets += body.octets();
                }
                Err(error) => self.salvaged.progress.problem(format!("{what}: {error}")),
            },
            Err((wrong, body)) => {
                self.salvaged.progress.problem(format!("{what}: {wrong}"));
                if let Some(body) = body {
                    self.keep_damaged(&meta, &body).await?;
                }
            }
        }
        Ok(Some(record.id.0))
    }

    /// A body that is whole, or what is wrong with it and what there is.
    async fn body(&self, id: MessageId) -> Result<Result<Body, (String, Option<Body>)>, Error> {
        let Some(row) = doorway_store::row(self.remains, &body_key(id)).await? else {
            return Ok(Err((format!("its body {id} cannot be read"), None)));
        };
        let verified = self.bodies.verify(id, &row.value).await?;
        Ok(verified.map_err(|wrong| (wrong, Body::decode(&row.value).ok())))
    }

    async fn keep_damaged(&mut self, meta: &Meta, body: &Body) -> Result<(), ArchiveError> {
        let bodies = self.bodies.clone();
        let mut archive = Archive::new(&bodies, Form::Maildir, &self.root.join("damaged"))?;
        archive.begin(&FolderName::inbox())?;
        // What cannot be read at all was told already.
        if archive.write(meta, body).await?.is_ok() {
            self.salvaged.damaged += 1;
        }
        archive.finish()
    }

    /// Writes the bodies that are not among `met`.
    async fn lost(&mut self, met: &[u64]) -> Result<(), ArchiveError> {
        let bodies = self.bodies.clone();
        let prefix = Key::from(BODY);
        let mut archive: Option<Archive<'_>> = None;
        let mut rest = Some(Range::prefix(&prefix));
        while let Some(range) = rest {
            let page = self.remains.scan(range.clone(), ScanOptions::default()).await?;
            for (key, row) in &page.rows {
                let Some(id) = number_after(key, &prefix).filter(|id| met.binary_search(id).is_err()) else {
                    continue;
                };
                let id = MessageId(id);
                // The name tells when it came, in microseconds.
                let meta =
                    Meta { id, at: UnixTime::from_nanos(id.0.saturating_mul(1000)), flags: Flags::NONE };
                match self.bodies.verify(id, &row.value).await? {
                    Ok(body) => {
                        let archive = match &mut archive {
                            Some(archive) => archive,
                            None => {
                                let mut made = Archive::new(&bodies, Form::Maildir, &self.root.join("lost"))?;
                                made.begin(&FolderName::inbox())?;
                                archive.insert(made)
                            }
                        };
                        if archive.write(&meta, &body).await?.is_ok() {
                            self.salvaged.lost += 1;
                        }
                    }
                    Err(wrong) => {
                        self.salvaged.progress.problem(format!("lost body {id}: {wrong}"));
                        if let Ok(body) = Body::decode(&row.value) {
                            self.keep_damaged(&meta, &body).await?;
                        }
                    }
                }
                (self.tell)(&self.salvaged);
            }
            rest = page.rest(&range, ScanOptions::default());
        }
        if let Some(mut archive) = archive {
            archive.finish()?;
        }
        Ok(())
    }
}
