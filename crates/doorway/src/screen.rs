//! What people see: lines, tables that align, colour where a terminal shows it.
//!
//! Colour is left out when the stream is no terminal or `NO_COLOR` is set; with `--json` there is one
//! JSON document on standard output instead, and failures are JSON on standard error.

use std::io::Write;

use serde_json::{Value, json};

use crate::failure::Failure;

/// Bold.
pub(crate) const BOLD: &str = "\x1b[1m";
/// Dim, for what is only context.
pub(crate) const DIM: &str = "\x1b[2m";
/// What works.
pub(crate) const GREEN: &str = "\x1b[32m";
/// What needs attention.
pub(crate) const YELLOW: &str = "\x1b[33m";
/// What does not work.
pub(crate) const RED: &str = "\x1b[1;31m";
/// Ends any of them.
pub(crate) const PLAIN: &str = "\x1b[0m";

/// Where a command writes. Errors of writing are dropped: a closed pipe means nobody reads on.
pub(crate) struct Screen {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    json: bool,
}

impl Screen {
    /// Standard output and standard error.
    pub(crate) fn standard(json: bool) -> Self {
        Self { out: Box::new(anstream::stdout()), err: Box::new(anstream::stderr()), json }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes one line, or several, to standard output.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(self.out, "{}", text.as_ref());
        let _ = self.out.flush();
    }

    /// Writes text with its own line ends to standard output. Returns whether anybody still reads.
    pub(crate) fn text(&mut self, text: &str) -> bool {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_ok()
    }

    /// Writes octets as they are to standard output, past whatever leaves colour out. Returns whether
    /// anybody still reads.
    pub(crate) fn octets(&mut self, octets: &[u8]) -> bool {
        let mut out = std::io::stdout().lock();
        out.write_all(octets).and_then(|()| out.flush()).is_ok()
    }

    /// Writes what is not the command's result to standard error: a note, a report on the config.
    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(self.err, "{}", text.as_ref());
    }

    /// Writes one JSON document to standard output.
    pub(crate) fn document(&mut self, value: &Value) {
        let _ = writeln!(self.out, "{value:#}");
    }

    /// Writes a table to standard output.
    pub(crate) fn table(&mut self, table: &Table) {
        let _ = write!(self.out, "{}", table.render());
    }

    /// Tells a failure on standard error.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if self.json {
            let Failure { what, why, fix, .. } = failure;
            let _ = writeln!(self.err, "{}", json!({ "error": { "what": what, "why": why, "fix": fix } }));
            return;
        }
        let text = failure.to_string();
        let (what, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let _ = writeln!(self.err, "{RED}error{PLAIN}{BOLD}: {what}{PLAIN}");
        if !rest.is_empty() {
            let _ = writeln!(self.err, "{rest}");
        }
    }
}

/// Rows under a heading, each column as wide as its widest cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    heading: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns. A name that begins with `>` is aligned to the right.
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        Self {
            heading: columns.iter().map(|name| name.trim_start_matches('>')).collect(),
            right: columns.iter().map(|name| name.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty, those past the last column are dropped.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().take(self.heading.len()).collect();
        row.resize(self.heading.len(), String::new());
        self.rows.push(row);
    }

    /// The whole table with a final newline, its heading dim; without rows it is the heading alone.
    pub(crate) fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.heading[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heading.len()).map(width).collect();
        let heading: Vec<String> = self.heading.iter().map(|name| (*name).to_owned()).collect();
        let mut text = format!("{DIM}{}{PLAIN}\n", self.align(&heading, &widths));
        for row in &self.rows {
            text.push_str(&self.align(row, &widths));
            text.push('\n');
        }
        text
    }

    fn align(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), right) in cells.iter().zip(widths).zip(&self.right) {
            let gap = " ".repeat(width - cell.chars().count());
            if !line.is_empty() {
                line.push_str("  ");
            }
            if *right {
                line.push_str(&gap);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&gap);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Octets as people read them: `999`, `1.5k`, `23M`.
pub(crate) fn octets(value: &Value) -> String {
    let mut amount = value.as_u64().unwrap_or(0) as f64;
    for unit in ["", "k", "M", "G", "T"] {
        if amount < 1000.0 {
            let digits = usize::from(amount < 10.0 && !unit.is_empty());
            return format!("{amount:.digits$}{unit}");
        }
        amount /= 1000.0;
    }
    format!("{amount:.0}P")
}

/// Seconds as people read them, in the two largest units: `7s`, `3m12s`, `2d4h`.
pub(crate) fn span(value: &Value) -> String {
    let seconds = value.as_f64().unwrap_or(0.0).max(0.0) as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["protocol", ">octets", "local"]);
        table.row(["dns", "7", "127.0.0.1:5300"].map(str::to_owned));
        table.row(["http", "1234567", "[::1]:8080"].map(str::to_owned));
        let plain = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(
            plain,
            "protocol   octets  local\n\
             dns             7  127.0.0.1:5300\n\
             http      1234567  [::1]:8080\n"
        );
    }

    #[test]
    fn amounts_and_spans_are_short() {
        for (amount, short) in
            [(0, "0"), (999, "999"), (1500, "1.5k"), (23_400_000, "23M"), (u64::MAX, "18447P")]
        {
            assert_eq!(octets(&json!(amount)), short);
        }
        for (seconds, short) in
            [(0.4, "0s"), (59.0, "59s"), (192.0, "3m12s"), (7_260.0, "2h1m"), (187_200.0, "2d4h")]
        {
            assert_eq!(span(&json!(seconds)), short);
        }
    }

    #[test]
    fn a_cell_that_is_missing_is_empty_and_one_too_many_is_dropped() {
        let mut table = Table::new(&["a", "b"]);
        table.row(["1".to_owned()]);
        table.row(["1", "2", "3"].map(str::to_owned));
        assert_eq!(anstream::adapter::strip_str(&table.render()).to_string(), "a  b\n1\n1  2\n");
    }
}
