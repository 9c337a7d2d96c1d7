//! What can be asked of a store that is in use: to verify itself and to be copied. As with
//! [`crate::accounts`], a command that holds the store and the running server answer alike.

use std::path::{Path, PathBuf};

use doorway_store::{BackupTarget, Embedded, Manifest, Store, VerifyReport};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::storage;

const VERIFY: &str = "/v1/store/verify";
const BACKUP: &str = "/v1/store/backup";

/// One request about the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// Read everything and compare it with its hashes.
    Verify,
    /// Copy everything acknowledged so far.
    Backup {
        /// A folder to make, or a file to write when the name ends in `.tar`; absolute.
        to: PathBuf,
    },
}

impl Upkeep {
    /// Method, target and body that carry the request over the control socket.
    pub(crate) fn to_http(&self) -> (&'static str, &'static str, Option<Value>) {
        match self {
            Self::Verify => ("POST", VERIFY, None),
            Self::Backup { to } => ("POST", BACKUP, Some(json!({ "to": to.to_string_lossy() }))),
        }
    }

    /// The request that method, path and body stand for; `None` when the path is about something else.
    pub(crate) fn from_http(method: &str, path: &str, body: &[u8]) -> Option<Result<Self, Failure>> {
        match (method, path) {
            ("POST", VERIFY) => Some(Ok(Self::Verify)),
            ("POST", BACKUP) => {
                let to = serde_json::from_slice(body).ok().and_then(|document: Value| {
                    document["to"].as_str().map(PathBuf::from).filter(|to| to.is_absolute())
                });
                let wrong = || Failure::new("`to` is an absolute path in a JSON object").exit(Exit::Wrong);
                Some(to.map(|to| Self::Backup { to }).ok_or_else(wrong))
            }
            _ => None,
        }
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// When the store has trouble. Damage that was found is no error but in the answer.
    pub(crate) async fn run(&self, store: &Embedded) -> Result<Value, Failure> {
        match self {
            Self::Verify => match store.verify().await {
                Ok(report) => Ok(verified(&report)),
                Err(error) => Err(storage::failure("cannot verify the store", error)),
            },
            Self::Backup { to } => match store.backup(target(to)).await {
                Ok(manifest) => Ok(backed_up(to, &manifest)),
                Err(error) => Err(storage::failure("cannot back the store up", error)),
            },
        }
    }
}

fn target(to: &Path) -> BackupTarget {
    match to.extension() {
        Some(end) if end == "tar" => BackupTarget::File(to.to_owned()),
        _ => BackupTarget::Folder(to.to_owned()),
    }
}

/// What a verification saw.
pub(crate) fn verified(report: &VerifyReport) -> Value {
    json!({
        "sound": report.is_sound(),
        "rows": report.rows,
        "records": report.records,
        "blobs": report.blobs,
        "octets": report.octets,
        "damages": report.damages,
        "damage": report.damage,
    })
}

fn backed_up(to: &Path, manifest: &Manifest) -> Value {
    json!({
        "to": to.to_string_lossy(),
        "format": manifest.format,
        "commits": manifest.seq,
        "files": manifest.files.len(),
        "octets": manifest.files.iter().map(|file| file.octets).sum::<u64>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_way_over_the_socket() {
        for request in [Upkeep::Verify, Upkeep::Backup { to: "/var/backups/a b.tar".into() }] {
            let (method, target, body) = request.to_http();
            let body = body.map(|body| body.to_string()).unwrap_or_default();
            assert_eq!(Upkeep::from_http(method, target, body.as_bytes()), Some(Ok(request)));
        }
        assert_eq!(Upkeep::from_http("GET", VERIFY, b""), None);
        for body in [&b"{\"to\": \"relative\"}"[..], b"{}", b"", b"\"/x\""] {
            assert!(matches!(Upkeep::from_http("POST", BACKUP, body), Some(Err(_))));
        }
    }

    #[test]
    fn a_name_that_ends_in_tar_is_one_file() {
        assert_eq!(target(Path::new("/b/x.tar")), BackupTarget::File("/b/x.tar".into()));
        assert_eq!(target(Path::new("/b/x")), BackupTarget::Folder("/b/x".into()));
    }
}
