//! TOML becomes the entries that `base::config` reads.
//!
//! The parser stops at the first syntax error. To tell all of them in one run, the line that it
//! stopped at is blanked, so that every octet keeps its place, and the text is parsed again.

use std::ops::Range;

use doorway_base::config::{Entry, Item, Section, Written, Wrong};
use toml_edit::{Document, TableLike, Value};

use super::{At, Problem, Severity};

/// Syntax errors told in one run; a file with more of them is not a config file.
const SYNTAX_ERRORS_MAX: usize = 20;

/// Parses `text`. Syntax errors go to `problems`; what surrounds them is still returned.
pub(super) fn parse(text: &str, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut left = text.to_owned();
    for _ in 0..SYNTAX_ERRORS_MAX {
        let error = match Document::parse(left.as_str()) {
            Ok(document) => return entries(document.as_table()),
            Err(error) => error,
        };
        let at = error.span().unwrap_or(0..0);
        let at = at.start.min(text.len())..at.end.min(text.len());
        let dropped = dropped(&left, &at);
        problems.push(Problem {
            severity: Severity::Error,
            fix: fix(&text[dropped.clone()], error.message()),
            what: format!("not TOML: {}", error.message().replace('\n', ", ")),
            at: At::Config(at),
        });
        if left[dropped.clone()].trim().is_empty() {
            break;
        }
        let blank: String = left[dropped.clone()]
            .chars()
            .map(|c| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) })
            .collect();
        left.replace_range(dropped, &blank);
    }
    Vec::new()
}

/// The lines to go on without: those that the error touches, and when one of them is a table's
/// header, the table, whose keys would otherwise be taken for those of the table before it.
fn dropped(text: &str, at: &Range<usize>) -> Range<usize> {
    let mut start = text[..boundary(text, at.start)].rfind('\n').map_or(0, |newline| newline + 1);
    if text[start..].trim().is_empty() {
        // The parser stopped at the end of the file: the line before it is the one that is not ended.
        start = text[..start].trim_end().rfind('\n').map_or(0, |newline| newline + 1);
    }
    let from = boundary(text, at.end.max(at.start)).max(start);
    let mut end = text[from..].find('\n').map_or(text.len(), |newline| from + newline);
    if text[start..end].trim_start().starts_with('[') {
        end = text[end..].find("\n[").map_or(text.len(), |header| end + header);
    }
    start..end
}

fn boundary(text: &str, octet: usize) -> usize {
    (0..=octet.min(text.len())).rev().find(|octet| text.is_char_boundary(*octet)).unwrap_or(0)
}

fn fix(line: &str, message: &str) -> String {
    let message = message.to_ascii_lowercase();
    let line = line.lines().next().unwrap_or_default();
    let value = line.split_once('=').map(|(_, value)| value.trim());
    if message.contains("duplicate") {
        return "keep one of them".to_owned();
    }
    match value {
        Some("") => "write a value after the `=`".to_owned(),
        Some(value) if value.starts_with('"') && !value[1..].contains('"') => {
            "end the text with a quote".to_owned()
        }
        Some(value)
            if value.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | ':')) =>
        {
            format!(
                "put the text in quotes: \"{}\"",
                value.split(['#', '"']).next().unwrap_or_default().trim()
            )
        }
        None if line.trim_start().starts_with('[') => {
            "write the header as [table] or [[table.of.many]]".to_owned()
        }
        None => "write it as `key = value`, or begin a comment with `#`".to_owned(),
        Some(_) => "see https://toml.io for the form of values".to_owned(),
    }
}

/// Sorts the entries by section: for each of `sections`, in order, what its table writes. A section
/// called `dns.cache` is a table within that of `dns`.
pub(super) fn tables(
    entries: &[Entry],
    sections: impl Iterator<Item = &'static Section> + Clone,
    wrongs: &mut Vec<Wrong>,
) -> Vec<Vec<Entry>> {
    for entry in entries {
        if !sections.clone().any(|section| section.name == entry.name) {
            wrongs.push(match &entry.item.written {
                Written::Table(_) | Written::List(_) => Wrong::Unknown {
                    at: entry.at.clone(),
                    table: String::new(),
                    name: entry.name.clone(),
                    known: super::within("", sections.clone()).collect(),
                },
                _ => Wrong::value(
                    entry.at.clone(),
                    format!("`{}` stands outside any table", entry.name),
                    super::suggest::home(&entry.name)
                        .unwrap_or_else(|| "write it below a header such as [http]".to_owned()),
                ),
            });
        }
    }
    let table = |section: &'static Section| {
        let mut found = entries;
        for name in section.name.split('.') {
            found = match found.iter().find(|entry| entry.name == name) {
                None => return Vec::new(),
                Some(Entry { item: Item { written: Written::Table(entries), .. }, .. }) => entries,
                // Told for the outer table, when it is that one which is no table.
                Some(_) if !section.name.ends_with(name) => return Vec::new(),
                Some(entry) => {
                    let what = format!("[{}] is a table, not {}", section.name, entry.item.written.noun());
                    let fix = format!("write the header [{}], once", section.name);
                    wrongs.push(Wrong::value(entry.at.clone(), what, fix));
                    return Vec::new();
                }
            };
        }
        let own = |entry: &&Entry| !super::within(section.name, sections.clone()).any(|n| n == entry.name);
        found.iter().filter(own).cloned().collect()
    };
    sections.clone().map(table).collect()
}

fn entries(table: &dyn TableLike) -> Vec<Entry> {
    let entry = |(name, item): (&str, &toml_edit::Item)| {
        let at = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span()).unwrap_or(0..0);
        let written = match item {
            toml_edit::Item::None => return None,
            toml_edit::Item::Value(value) => written(value),
            toml_edit::Item::Table(table) => Written::Table(entries(table)),
            toml_edit::Item::ArrayOfTables(tables) => Written::List(
                tables
                    .iter()
                    .map(|table| Item {
                        at: table.span().unwrap_or_else(|| at.clone()),
                        written: Written::Table(entries(table)),
                    })
                    .collect(),
            ),
        };
        let item = Item { at: item.span().unwrap_or_else(|| at.clone()), written };
        Some(Entry { name: name.to_owned(), at, item })
    };
    table.iter().filter_map(entry).collect()
}

fn written(value: &Value) -> Written {
    match value {
        Value::Boolean(value) => Written::Bool(*value.value()),
        Value::Integer(value) => Written::Integer(*value.value()),
        Value::Float(value) => Written::Float(*value.value()),
        Value::String(value) => Written::Text(value.value().clone()),
        Value::Datetime(_) => Written::Date,
        Value::Array(items) => Written::List(
            items
                .iter()
                .map(|item| Item { at: item.span().unwrap_or(0..0), written: written(item) })
                .collect(),
        ),
        Value::InlineTable(table) => Written::Table(entries(table)),
    }
}
