//! What is wrong with a zone file, told so that it can be found: file, line, column and what was
//! expected there.

use std::fmt;
use std::sync::Arc;

/// Faults kept from one file at most; the rest is only counted.
pub const FAULTS_MAX: usize = 100;

/// Whether the zone can be served all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The zone is refused whole.
    Error,
    /// The zone is served; somebody should look.
    Warning,
}

/// One thing wrong with a zone file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Its line, from 1; 0 when the fault belongs to no line.
    pub line: u32,
    /// The column in octets, from 1.
    pub column: u32,
    /// How many octets are at fault, for a caret; at least 1.
    pub length: u32,
    /// The text of the line, for people.
    pub text: String,
    /// Error or warning.
    pub severity: Severity,
    /// What was expected, or what is the matter.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}:{}:{}: {severity}{}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for Fault {}

/// The faults of one file, in the order they were found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// At most [`FAULTS_MAX`] of them.
    pub list: Vec<Fault>,
    /// How many more there were.
    pub left_out: usize,
    errors: usize,
}

impl Faults {
    /// Adds the fault that `make` describes, or only counts it when the list is full. An error takes
    /// the place of a warning then.
    pub fn push(&mut self, severity: Severity, make: impl FnOnce() -> Fault) {
        self.errors += usize::from(severity == Severity::Error);
        if self.list.len() >= FAULTS_MAX {
            self.left_out += 1;
            let warning = self.list.iter().rposition(|kept| kept.severity == Severity::Warning);
            match warning.filter(|_| severity == Severity::Error) {
                Some(warning) => self.list.remove(warning),
                None => return,
            };
        }
        self.list.push(make());
    }

    /// Whether any of them forbids serving the zone.
    #[must_use]
    pub const fn has_errors(&self) -> bool {
        self.errors > 0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            let line = if index == 0 { "" } else { "\n" };
            write!(f, "{line}{fault}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
