//! PUT and DELETE in a folder: the body goes into a file without a name, is synced, and takes the place of
//! the old one in one step. A crash at any time leaves the old file or the new one.
//!
//! What blocks on the disk runs beside the workers.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use doorway_net::web::{Body, Handler, Request, Response, Taking};
use doorway_net::{BoxFuture, World};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::files::Root;
use crate::Status;
use crate::files::{Asked as Path, Facts, Found, asked};
use crate::upload::{Asked, Change, Rules, decide, fits};
use crate::wire::Method;
use crate::wire::path::FilePath;

/// What the name of a file begins with that is not whole yet; it is never served, since it begins with a
/// dot.
const UNFINISHED: &str = ".doorway-upload-";
/// Folders below one another that are searched for unfinished files and counted for the quota.
const DEPTH_MAX: usize = 64;

/// Stores and removes files of one folder.
pub(super) struct Uploads {
    world: World,
    root: Arc<Root>,
    base: String,
    rules: Rules,
    used: Arc<Used>,
    /// Changes are made one after another, so that none is judged by what another one is changing.
    changing: tokio::sync::Mutex<()>,
}

/// What the names of this process' unfinished files begin with: others are left over from one that died.
fn own_prefix(world: &World) -> &'static str {
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| format!("{UNFINISHED}{:016x}-", world.random().next_u64()))
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uploads")
            .field("base", &self.base)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Uploads {
    pub(super) fn new(world: &World, root: &Arc<Root>, base: &str, rules: Rules) -> Arc<Self> {
        let uploads = Arc::new(Self {
            world: world.clone(),
            root: Arc::clone(root),
            base: base.to_owned(),
            rules,
            used: Arc::default(),
            changing: tokio::sync::Mutex::new(()),
        });
        let cleaning = Arc::clone(&uploads);
        world.spawn_background("http", async move {
            let _alone = cleaning.changing.lock().await;
            let mut octets = 0;
            let is_left_over =
                |name: &str| name.starts_with(UNFINISHED) && !name.starts_with(own_prefix(&cleaning.world));
            if let Err(error) = cleaning.root.sweep("", &is_left_over, DEPTH_MAX, &mut octets) {
                tracing::warn!(%error, "the folder for uploads could not be searched for unfinished ones");
            }
            cleaning.used.0.store(octets, Relaxed);
        });
        uploads
    }

    /// Runs what blocks beside the workers.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (send, receive) = oneshot::channel();
        self.world.spawn_background("http", async move {
            // Nobody waits any more when the client is gone.
            let _ = send.send(work());
        });
        receive.await.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?
    }

    async fn change(&self, request: Request) -> io::Result<Response> {
        let Request { method, path, fields, body, .. } = request;
        let path = match asked(path.strip_prefix(&self.base).unwrap_or(&path)) {
            Path::File(path) => path,
            Path::Nothing => return Ok(plain(Status::NOT_FOUND)),
            Path::Refused(refusal) => return Ok(plain(refusal.status())),
        };
        let method = Method::parse(method.as_bytes());
        let lines: Vec<(String, String)> =
            fields.texts().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
        // Judged before the body, so that nothing is sent in vain, and again when the body is here.
        if let Change::Refuse(status) = self.judge(method, &path, &lines)?.0 {
            return Ok(plain(status));
        }
        let announced = fields.first("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if method == Method::Put && self.rules.quota.is_some_and(|quota| announced > quota) {
            return Ok(plain(Status::INSUFFICIENT_STORAGE));
        }
        if method == Method::Delete {
            return self.remove(&path, &lines).await;
        }
        self.store(&path, &lines, body).await
    }

    fn judge(
        &self,
        method: Method,
        path: &FilePath,
        lines: &[(String, String)],
    ) -> io::Result<(Change, Found)> {
        let (found, _) = self.root.find(&path.name)?;
        let fields: Vec<(&str, &str)> =
            lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let asked = Asked { method, fields: &fields, now: self.world.wall() };
        Ok((decide(path, found, &asked, self.rules), found))
    }

    async fn store(&self, path: &FilePath, lines: &[(String, String)], body: Body) -> io::Result<Response> {
        let (parent, name) = path.split();
        let folder = match self.root.folder(parent) {
            Ok(folder) => folder,
            Err(error) if is_missing(&error) => return Ok(plain(Status::CONFLICT)),
            Err(error) => return Err(error),
        };
        let unfinished = Unfinished::create(folder, &self.world)?;
        let Some(octets) = self.receive(&unfinished.file, body).await? else {
            return Ok(plain(Status::INSUFFICIENT_STORAGE));
        };
        let _alone = self.changing.lock().await;
        let replaces = match self.judge(Method::Put, path, lines)?.0 {
            Change::Store { replaces } => replaces,
            Change::Refuse(status) => return Ok(plain(status)),
            Change::Remove { .. } => return Ok(plain(Status::CONFLICT)),
        };
        let replaced = replaces.map_or(0, |facts| facts.octets);
        if !fits(self.rules, self.used.0.load(Relaxed), replaced, octets) {
            return Ok(plain(Status::INSUFFICIENT_STORAGE));
        }
        let (name, used) = (name.to_owned(), Arc::clone(&self.used));
        // Done to its end even when the client goes away meanwhile.
        let facts = self.beside(move || {
            let facts = unfinished.finish(&name)?;
            used.count(replaced, octets);
            Ok(facts)
        });
        let facts = facts.await?;
        let status = if replaces.is_some() { Status::NO_CONTENT } else { Status::CREATED };
        let mut response = Response { status: status.code(), ..Response::default() };
        response.fields.add("ETag", facts.etag());
        if status == Status::CREATED {
            response.fields.add("Location", format!("{}{}", self.base, path.to_target()));
        }
        Ok(response)
    }

    /// Writes the body into `file`; `None` when it does not fit.
    async fn receive(&self, file: &File, body: Body) -> io::Result<Option<u64>> {
        let mut at = 0;
        // Whether it fits beside the other files shows when all of it is here and it is its turn.
        let octets_max = self.rules.quota.unwrap_or(u64::MAX);
        let mut write = |octets: &[u8]| {
            if at + octets.len() as u64 > octets_max {
                return Ok(false);
            }
            file.write_all_at(octets, at)?;
            at += octets.len() as u64;
            io::Result::Ok(true)
        };
        match body {
            Body::Empty => {}
            Body::Whole(octets) => {
                if !write(&octets)? {
                    return Ok(None);
                }
            }
            Body::Stream(mut stream) => {
                while let Some(piece) = poll_fn(|cx| stream.as_mut().poll_piece(cx)).await {
                    if !write(&piece?)? {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(at))
    }

    async fn remove(&self, path: &FilePath, lines: &[(String, String)]) -> io::Result<Response> {
        let _alone = self.changing.lock().await;
        let (change, found) = self.judge(Method::Delete, path, lines)?;
        let folder = match change {
            Change::Remove { folder } => folder,
            Change::Refuse(status) => return Ok(plain(status)),
            Change::Store { .. } => return Ok(plain(Status::CONFLICT)),
        };
        let (parent, name) = path.split();
        let (within, name) = (self.root.folder(parent)?, name.to_owned());
        let used = Arc::clone(&self.used);
        let octets = if let Found::File(facts) = found { facts.octets } else { 0 };
        let removed = self.beside(move || {
            let flags = if folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            unlinkat(&within, name.as_str(), flags)?;
            used.count(octets, 0);
            Ok(fsync(&within)?)
        });
        match removed.await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                return Ok(plain(Status::CONFLICT));
            }
            Err(error) => return Err(error),
        }
        Ok(Response { status: Status::NO_CONTENT.code(), ..Response::default() })
    }
}

/// Octets of all files of a folder. It is read and changed by one at a time, who holds `changing`.
#[derive(Default)]
struct Used(AtomicU64);

impl Used {
    fn count(&self, gone: u64, come: u64) {
        self.0.store(self.0.load(Relaxed).saturating_sub(gone).saturating_add(come), Relaxed);
    }
}

impl Handler for Uploads {
    fn taking(&self, _: &str, _: &str) -> Taking {
        Taking::Stream
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let path = request.path.clone();
            self.change(request).await.unwrap_or_else(|error| {
                let status = match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Status::INSUFFICIENT_STORAGE,
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Status::FORBIDDEN,
                    // The client broke off: nobody hears the answer.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::InvalidData => Status::BAD_REQUEST,
                    _ => Status::INTERNAL_SERVER_ERROR,
                };
                if status != Status::BAD_REQUEST {
                    tracing::warn!(path, %error, "a file could not be changed");
                }
                plain(status)
            })
        })
    }
}

fn plain(status: Status) -> Response {
    Response::new(status.code(), "text/plain; charset=utf-8", format!("{status}\n"))
}

fn is_missing(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP))
}

/// A file that is not whole yet. Without a name where the file system can do that, so that a crash leaves
/// nothing; else under one that is never served. Dropped unfinished, it is gone.
struct Unfinished {
    folder: File,
    file: File,
    /// A name in `folder` that no request reaches.
    name: String,
    /// Whether the file has that name already.
    named: bool,
}

impl Unfinished {
    fn create(folder: File, world: &World) -> io::Result<Self> {
        let name = format!("{}{:016x}", own_prefix(world), world.random().next_u64());
        let mode = Mode::from_raw_mode(0o644);
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        match openat(&folder, ".", flags | OFlags::TMPFILE, mode) {
            Ok(file) => Ok(Self { folder, file: file.into(), name, named: false }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let file = openat(&folder, name.as_str(), flags, mode)?;
                Ok(Self { folder, file: file.into(), name, named: true })
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Puts the file at `name` once it is on the disk, and waits until that is on the disk too.
    fn finish(mut self, name: &str) -> io::Result<Facts> {
        fsync(&self.file)?;
        if !self.named {
            // Only a rename replaces what is there in one step, and only what has a name can be renamed.
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.file.as_fd()));
            linkat(CWD, path.as_str(), &self.folder, self.name.as_str(), AtFlags::SYMLINK_FOLLOW)?;
            self.named = true;
        }
        renameat(&self.folder, self.name.as_str(), &self.folder, name)?;
        self.named = false;
        fsync(&self.folder)?;
        super::files::facts_of(&self.file)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.named {
            // At the worst it is found at the next start.
            let _ = unlinkat(&self.folder, self.name.as_str(), AtFlags::empty());
        }
    }
}
