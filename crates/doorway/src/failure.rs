//! One way to say that something did not work: what, why, and what to do about it.

use std::fmt;
use std::io;
use std::path::Path;

use crate::exit::Exit;

/// Something that an operator asked for and did not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What did not work, as a sentence without its full stop.
    pub(crate) what: String,
    /// The cause as far as it is known; empty when `what` says it all.
    pub(crate) why: String,
    /// What to do or to write; empty when nothing would help.
    pub(crate) fix: String,
    /// The exit code of a command that ends with this.
    pub(crate) exit: Exit,
}

impl Failure {
    /// Says what did not work; the command ends with [`Exit::Failed`].
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), why: String::new(), fix: String::new(), exit: Exit::Failed }
    }

    /// Adds the cause.
    #[must_use]
    pub(crate) fn why(mut self, why: impl fmt::Display) -> Self {
        self.why = why.to_string();
        self
    }

    /// Adds the way out.
    #[must_use]
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Ends the command with another exit code.
    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// A file or folder that the system would not let us use: `verb` as in "read", "create".
    pub(crate) fn file(verb: &str, path: &Path, error: &io::Error) -> Self {
        let failure = Self::new(format!("cannot {verb} {}", path.display())).why(error);
        match error.kind() {
            io::ErrorKind::NotFound => {
                failure.fix("check the path; relative ones start at the current folder")
            }
            io::ErrorKind::PermissionDenied => {
                failure.fix(format!("check the owner and mode of {}", path.display()))
            }
            io::ErrorKind::StorageFull => failure.fix("make room on that disk"),
            _ => failure,
        }
    }
}

impl fmt::Display for Failure {
    /// `what` on one line, then `why:` and `fix:` indented, each only if there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for (word, text) in [("why", &self.why), ("fix", &self.fix)] {
            if !text.is_empty() {
                write!(f, "\n  {word}: {}", text.replace('\n', "\n       "))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
