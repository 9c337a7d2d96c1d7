//! Which config file is read, and where in its text an octet stands.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

/// Name of the config file where none is given.
pub(crate) const FILE_NAME: &str = "doorway.toml";
/// The file of a machine-wide installation.
const SYSTEM_FILE: &str = "/etc/doorway/doorway.toml";
/// Environment variable that names the file.
const VARIABLE: &str = "DOORWAY_CONFIG";
/// Largest config file that is read, in octets.
const FILE_OCTETS_MAX: u64 = 4 * 1024 * 1024;

/// A config file's path and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

/// A place in a text as people count: from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
}

impl Source {
    /// A text that was read elsewhere.
    pub(crate) fn new(path: PathBuf, text: String) -> Self {
        Self { path, text }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is not UTF-8, or has more than 4 MiB.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let told = |error: io::Error| Failure::file("read the config file", path, &error).exit(Exit::Wrong);
        let mut octets = Vec::new();
        File::open(path).map_err(told)?.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(told)?;
        if octets.len() as u64 > FILE_OCTETS_MAX {
            let failure = Failure::new(format!("the config file {} is too large", path.display()));
            return Err(failure.why(format!("it has more than {FILE_OCTETS_MAX} octets")).exit(Exit::Wrong));
        }
        match String::from_utf8(octets) {
            Ok(text) => Ok(Self::new(path.to_owned(), text)),
            Err(error) => {
                let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = valid.iter().filter(|octet| **octet == b'\n').count() + 1;
                let failure = Failure::new(format!("the config file {} is not text", path.display()));
                let why = format!("octet {} in line {line} is not UTF-8", valid.len());
                Err(failure.why(why).fix("save the file as UTF-8").exit(Exit::Wrong))
            }
        }
    }

    /// The file's path as it was given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The folder at which relative paths start; empty for the current one.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Line and column of an octet; the end of the text when it lies behind it.
    pub(crate) fn place(&self, octet: usize) -> Place {
        let end = (0..=octet.min(self.text.len())).rev().find(|end| self.text.is_char_boundary(*end));
        let before = &self.text[..end.unwrap_or(0)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// Finds the config file: the one `given`, else `$DOORWAY_CONFIG`, else `./doorway.toml`, else
/// `/etc/doorway/doorway.toml`, else none.
///
/// # Errors
/// When the file that was found cannot be read. One that was named but is not there is an error too.
pub(crate) fn find(given: Option<&Path>) -> Result<Option<Source>, Failure> {
    if let Some(path) = given {
        return Source::read(path).map(Some);
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Source::read(Path::new(&path)).map(Some).map_err(|failure| {
            let fix = format!("{VARIABLE} names this file; mend or unset it");
            failure.fix(fix)
        });
    }
    for path in [FILE_NAME, SYSTEM_FILE].map(Path::new) {
        // Only a file that is surely not there is passed over; one we may not read is an error.
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Source::read(path).map(Some),
        }
    }
    Ok(None)
}
