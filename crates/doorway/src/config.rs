//! The config file: finding it, reading it, and telling all that is wrong with it at once.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `source.rs` | which file is read, and its text with lines and columns |
//! | `parse.rs` | TOML becomes the entries that `base::config` reads; syntax errors |
//! | `suggest.rs` | the name that was meant |
//! | `report.rs` | each problem with its line, a caret and what to write |
//! | `sections.rs` | the tables that belong to no protocol |
//! | `explain.rs` | `config explain` |
//! | `document.rs` | whole files: `config show`, `init`, the reference page |
//!
//! The keys of a protocol are declared in that protocol's crate.

mod document;
mod explain;
mod parse;
mod report;
mod sections;
mod source;
mod suggest;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;

use doorway_base::config::{Section, Values, Wrong};

use crate::services;

pub(crate) use document::{initial, reference, show, show_json};
pub(crate) use explain::explain;
pub(crate) use report::{document as problems_document, render};
pub(crate) use source::{FILE_NAME, Place, Source, find};

/// Something in the config that an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Whether Doorway would start in spite of it.
    pub(crate) severity: Severity,
    /// Where it stands.
    pub(crate) at: At,
    /// What is wrong, as a sentence without its full stop.
    pub(crate) what: String,
    /// What to write or do instead.
    pub(crate) fix: String,
}

/// Where a [`Problem`] stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// In no file: it comes from a default, or from the machine.
    Nowhere,
    /// In the config file, in octets from its start.
    Config(Range<usize>),
    /// In a file that the config names.
    File(Excerpt),
}

/// One line of a file that is not the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The file as it was named.
    pub(crate) path: String,
    /// The line's number, from 1.
    pub(crate) line: usize,
    /// The line.
    pub(crate) text: String,
    /// The octets of the line that are at fault.
    pub(crate) span: Range<usize>,
}

impl From<Option<Range<usize>>> for At {
    /// The place of a value in the config file, if it is written there.
    fn from(at: Option<Range<usize>>) -> Self {
        at.map_or(Self::Nowhere, Self::Config)
    }
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// It works, but perhaps not as meant.
    Warning,
    /// Nothing starts with it.
    Error,
}

/// Every table with its values, written or default.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file they come from; `None` when there is none and defaults are in force.
    pub(crate) source: Option<Source>,
    sections: Vec<(&'static Section, Values)>,
}

impl Config {
    /// Reads `source`, or takes the defaults when there is none.
    ///
    /// The problems are in the order of the file. With an error among them the values are only good
    /// for showing.
    pub(crate) fn read(source: Option<Source>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let (entries, folder) = match &source {
            Some(source) => (parse::parse(source.text(), &mut problems), source.folder()),
            None => (Vec::new(), Path::new("").to_owned()),
        };
        let mut wrongs = Vec::new();
        let tables = parse::tables(&entries, all_sections(), &mut wrongs);
        let sections = all_sections()
            .zip(&tables)
            .map(|(section, entries)| (section, section.read(entries, &folder, &mut wrongs)))
            .collect();
        problems.extend(wrongs.into_iter().map(problem));
        problems.sort_by_key(|problem| match &problem.at {
            At::Config(at) => at.start,
            At::Nowhere | At::File(_) => 0,
        });
        (Self { source, sections }, problems)
    }

    /// The values of a declared table.
    #[track_caller]
    pub(crate) fn section(&self, name: &str) -> &Values {
        match self.sections.iter().find(|(section, _)| section.name == name) {
            Some((_, values)) => values,
            None => panic!("[{name}] is not declared"),
        }
    }

    /// Every table, in the order people read about them.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&'static Section, &Values)> + '_ {
        self.sections.iter().map(|(section, values)| (*section, values))
    }
}

/// What the tables of the name server stand for.
///
/// # Errors
/// The first value that is none.
pub(crate) fn dns(config: &Config) -> Result<doorway_dns::Config, doorway_dns::config::Wrong> {
    let [dns, resolver, cache, rate] =
        doorway_dns::config::SECTIONS.map(|section| config.section(section.name));
    doorway_dns::Config::read(&doorway_dns::config::Tables { dns, resolver, cache, rate })
}

/// Every declared table: those of the program, then those of the protocols.
pub(crate) fn all_sections() -> impl Iterator<Item = &'static Section> + Clone {
    sections::SECTIONS.iter().chain(services::SECTIONS)
}

/// The names of the tables right within `outer`, or of the outermost ones when that is empty.
fn within<'a>(
    outer: &'a str,
    sections: impl Iterator<Item = &'static Section> + 'a,
) -> impl Iterator<Item = &'static str> + 'a {
    sections.filter_map(move |section| match section.name.rsplit_once('.') {
        Some((before, name)) => (before == outer).then_some(name),
        None => outer.is_empty().then_some(section.name),
    })
}

/// A place that cannot stand as it is, as a problem.
pub(crate) fn problem(wrong: Wrong) -> Problem {
    let (at, what, fix) = match wrong {
        Wrong::Value { at, what, fix } => (at, what, fix),
        Wrong::Unknown { at, table, name, mut known } => {
            if !table.is_empty() {
                known.extend(within(&table, all_sections()));
            }
            let what = match table.as_str() {
                "" => format!("there is no table [{name}]"),
                table => format!("[{table}] has no key `{name}`"),
            };
            (at, what, suggest::fix(&table, &name, &known))
        }
    };
    Problem { severity: Severity::Error, at: At::Config(at), what, fix }
}
