//! What can be asked about mailboxes as a whole: to check them, to write them out as files, to read files into
//! them. Files and checks take long and block, so each request has a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorway_base::UnixTime;
use doorway_mail::io::{ArchiveError, ArchiveSource, Form, FsckReport, Mailboxes, Office, Progress};
use doorway_mail::io::{MailboxError, export, fsck, import};
use doorway_mail::mailbox::FolderName;
use doorway_store::{Answer, wait};
use serde_json::{Value, json};

use crate::control::Query;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::escape;
use crate::storage;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Archival {
    /// Check everything, and put counters right.
    Fsck { repair: bool },
    /// Write a user's folders below a folder, whose path is absolute.
    Export { user: String, mbox: bool, to: PathBuf },
    /// Read a Maildir, or an mbox into a folder, from an absolute path.
    Import { user: String, from: PathBuf, folder: String },
}

impl Archival {
    /// Method, rest of the target, and body that carry the request over the control socket.
    pub(super) fn to_http(&self) -> (&'static str, String) {
        let path = |path: &Path| escape(&path.to_string_lossy());
        let rest = match self {
            Self::Fsck { repair } => format!("fsck?repair={repair}"),
            Self::Export { user, mbox, to } => {
                format!("export?user={}&mbox={mbox}&to={}", escape(user), path(to))
            }
            Self::Import { user, from, folder } => {
                format!("import?user={}&from={}&folder={}", escape(user), path(from), escape(folder))
            }
        };
        ("POST", rest)
    }

    /// The request that method, rest of the path and query stand for; `None` when they are about something else.
    pub(super) fn from_http(method: &str, rest: &str, query: &Query) -> Option<Result<Self, Failure>> {
        let text = |name: &str| query.value(name).map(str::to_owned).unwrap_or_default();
        let path = |name: &str| {
            let path = PathBuf::from(text(name));
            let wrong = || Failure::new(format!("`{name}` is an absolute path")).exit(Exit::Wrong);
            if path.is_absolute() { Ok(path) } else { Err(wrong()) }
        };
        match (method, rest) {
            ("POST", "fsck") => Some(Ok(Self::Fsck { repair: text("repair") == "true" })),
            ("POST", "export") => Some(path("to").map(|to| Self::Export {
                user: text("user"),
                mbox: text("mbox") == "true",
                to,
            })),
            ("POST", "import") => Some(path("from").map(|from| Self::Import {
                user: text("user"),
                from,
                folder: text("folder"),
            })),
            _ => None,
        }
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// [`Exit::Wrong`] when there is no such user, folder or file; [`Exit::Failed`] when the store or the disk
    /// has trouble. Damage that was found is no error but in the answer.
    pub(super) async fn run(&self, office: &Office, now: UnixTime) -> Result<Value, Failure> {
        let mailboxes = Arc::clone(office.mailboxes());
        match self {
            Self::Fsck { repair } => {
                let repair = *repair;
                let check = move || wait(fsck(&mailboxes, repair, &mut |_| {}));
                let report =
                    aside(check).await?.map_err(|error| trouble("cannot check the mailboxes", error))?;
                Ok(checked(&report))
            }
            Self::Export { user, mbox, to } => {
                let account = account(office, user, &mailboxes, now).await?;
                let (to, form) = (to.clone(), if *mbox { Form::Mbox } else { Form::Maildir });
                let write = move || wait(export(&mailboxes, &account, form, &to, &mut |_| {}));
                aside(write).await?.map(|done| told(&done)).map_err(stopped)
            }
            Self::Import { user, from, folder } => {
                let account = account(office, user, &mailboxes, now).await?;
                let source = source(from, folder)?;
                let ids = Arc::clone(office.ids());
                let read = move || wait(import(&mailboxes, &account, &ids, &source, now, &mut |_| {}));
                aside(read).await?.map(|done| told(&done)).map_err(stopped)
            }
        }
    }
}

/// Does `work` in a thread of its own.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let (promise, answer) = Answer::promised();
    std::thread::Builder::new()
        .name("mail-archive".to_owned())
        .spawn(move || promise.keep(Ok(work())))
        .map_err(|error| Failure::new("cannot start a thread").why(error))?;
    answer.await.map_err(|_| Failure::new("the work broke off"))
}

async fn account(
    office: &Office,
    name: &str,
    mailboxes: &Mailboxes,
    now: UnixTime,
) -> Result<doorway_mail::io::Account, Failure> {
    let user = super::user(office, name).await?;
    let account = mailboxes.open_account(user.id, now).await;
    account.map_err(|error| storage::failure("cannot open the mailbox", error))
}

/// A folder is a Maildir, a file an mbox.
fn source(from: &Path, folder: &str) -> Result<ArchiveSource, Failure> {
    if from.join("cur").is_dir() {
        return Ok(ArchiveSource::Maildir(from.to_owned()));
    }
    if from.is_file() {
        let name = FolderName::parse(folder).map_err(|malformed| {
            Failure::new(format!("`{folder}` is no name of a folder")).why(malformed).exit(Exit::Wrong)
        })?;
        return Ok(ArchiveSource::Mbox(from.to_owned(), name));
    }
    Err(Failure::new(format!("{} is neither a Maildir nor a file", from.display()))
        .why("a Maildir has a folder `cur`; an mbox is one file")
        .exit(Exit::Wrong))
}

fn trouble(what: &str, error: MailboxError) -> Failure {
    match error {
        MailboxError::Store(error) => storage::failure(what, error),
        error => Failure::new(what.to_owned()).why(error),
    }
}

fn stopped(error: ArchiveError) -> Failure {
    match error {
        ArchiveError::File(path, error) => Failure::file("use", &path, &error),
        ArchiveError::Mailbox(error) => trouble("the mailboxes ended it", error),
    }
}

fn told(done: &Progress) -> Value {
    json!({
        "folders": done.folders,
        "messages": done.messages,
        "octets": done.octets,
        "failed": done.failed,
        "problems": done.problems,
    })
}

fn checked(report: &FsckReport) -> Value {
    let damage = report.damage.iter().map(|damage| {
        json!({
            "user": damage.user,
            "folder": damage.folder,
            "uid": damage.uid,
            "what": damage.what,
            "repaired": damage.repaired,
            "text": damage.to_string(),
        })
    });
    json!({
        "sound": report.is_sound(),
        "accounts": report.accounts,
        "folders": report.folders,
        "messages": report.messages,
        "bodies": report.bodies,
        "octets": report.octets,
        "damages": report.damages,
        "repaired": report.repaired,
        "damage": damage.collect::<Vec<_>>(),
    })
}
