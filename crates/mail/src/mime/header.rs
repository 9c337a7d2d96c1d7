//! The header of a message or part: its fields as they are folded, and their values as text (RFC 5322
//! §2.2). What a line that is no field means is decided here: the header ends before it.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::charset;
use super::word;

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, without the colon and blanks before it.
    pub name: &'a str,
    /// What is behind the colon, folded as it is, without its last line end.
    pub value: &'a [u8],
    /// Where that begins.
    pub value_at: usize,
    /// All of it, with its last line end.
    pub whole: &'a [u8],
    /// Where it begins.
    pub at: usize,
}

impl Field<'_> {
    /// Whether it has this name, letter case aside.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Its value as text, encoded words decoded.
    #[must_use]
    pub fn text(&self) -> String {
        text(self.value)
    }
}

/// What one line is to a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// It begins a field, whose name ends before this octet.
    Field(usize),
    /// It belongs to the line before.
    Continuation,
    /// It ends the header and belongs to neither side.
    Empty,
    /// The line that mbox files have before a message.
    Mbox,
    /// The body begins with it, without an empty line before.
    Body,
}

/// What `line` is, with or without its end; `first` for the first line of a message.
pub(crate) fn line(line: &[u8], first: bool) -> Line {
    match line {
        [] | [b'\n', ..] | [b'\r', b'\n', ..] | [b'\r'] => return Line::Empty,
        [b' ' | b'\t', ..] => return Line::Continuation,
        _ => {}
    }
    let name_end = line.iter().position(|octet| !matches!(octet, b'!'..=b'9' | b';'..=b'~'));
    let Some(end) = name_end.filter(|end| *end > 0) else { return Line::Body };
    let blanks = line[end..].iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
    if line.get(end + blanks) == Some(&b':') {
        return Line::Field(end);
    }
    if first && (line.starts_with(b"From ") || line.starts_with(b">From ")) {
        return Line::Mbox;
    }
    Line::Body
}

/// The fields of a header, one after the other; ends where the header does.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    octets: &'a [u8],
    at: usize,
}

/// The fields at the start of `octets`.
#[must_use]
pub fn fields(octets: &[u8]) -> Fields<'_> {
    let mut fields = Fields { octets, at: 0 };
    // Lines before the first field that belong to none.
    while fields.at < octets.len()
        && matches!(line(&octets[fields.at..], fields.at == 0), Line::Mbox | Line::Continuation)
    {
        fields.at = line_end(octets, fields.at);
    }
    fields
}

impl Fields<'_> {
    /// Where the fields read so far end. Once there are no more: where the header ends, the empty line
    /// behind it included.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        let rest = self.octets.get(start..).filter(|rest| !rest.is_empty())?;
        let name_end = match line(rest, false) {
            Line::Field(end) => end,
            Line::Empty => {
                self.at = line_end(self.octets, start);
                self.octets = &self.octets[..self.at];
                return None;
            }
            _ => {
                self.octets = &self.octets[..start];
                return None;
            }
        };
        let mut end = line_end(self.octets, start);
        while matches!(self.octets.get(end), Some(b' ' | b'\t')) {
            end = line_end(self.octets, end);
        }
        self.at = end;
        let whole = &self.octets[start..end];
        let name = core::str::from_utf8(&whole[..name_end]).ok()?;
        let colon = name_end + memchr(b':', &whole[name_end..])?;
        let value = without_end(&whole[colon + 1..]);
        Some(Field { name, value, value_at: start + colon + 1, whole, at: start })
    }
}

/// The value of the first field of this name.
#[must_use]
pub fn value<'a>(octets: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(octets).find(|field| field.is(name)).map(|field| field.value)
}

/// Where the line that holds `at` ends, its end included.
pub(crate) fn line_end(octets: &[u8], at: usize) -> usize {
    octets.get(at..).and_then(|rest| memchr(b'\n', rest)).map_or(octets.len(), |offset| at + offset + 1)
}

/// A line without its CRLF or LF.
pub(crate) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A value in one line: line ends are taken out, the blanks behind them stay (RFC 5322 §2.2.3).
#[must_use]
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect())
}

/// An unstructured value as text: in one line, without blanks round it, encoded words decoded, octets
/// above 127 read as UTF-8 or else as Windows-1252.
#[must_use]
pub fn text(value: &[u8]) -> String {
    let unfolded = unfold(value);
    word::decode(&charset::guess(unfolded.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(octets: &str, expected: &[(&str, &str)], rest: &str) {
        let mut fields = fields(octets.as_bytes());
        let found: Vec<_> = fields.by_ref().map(|field| (field.name.to_owned(), field.text())).collect();
        let found: Vec<_> = found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(found, expected, "{octets:?}");
        assert_eq!(&octets[fields.position()..], rest, "{octets:?}");
    }

    #[test]
    fn fields_are_told_apart_whatever_the_line_ends() {
        check("A: 1\r\nB:2\r\n\r\nbody", &[("A", "1"), ("B", "2")], "body");
        check("A: 1\nB:2\n\nbody", &[("A", "1"), ("B", "2")], "body");
        check("A: 1\r\n 2\r\n\t3\r\n\r\n", &[("A", "1 2\t3")], "");
        check("A: 1", &[("A", "1")], "");
        check("A: 1\r\n", &[("A", "1")], "");
        check("A:\r\n 1\r\n \r\n\r\nbody", &[("A", "1")], "body");
        check("A : 1\r\n\r\n", &[("A", "1")], "");
        check("\r\nbody", &[], "body");
        check("", &[], "");
        check(
            "Do you like ketchup?\r\nHow about pickles?\r\n",
            &[],
            "Do you like ketchup?\r\nHow about pickles?\r\n",
        );
        check("A: 1\r\nno field\r\nB: 2\r\n", &[("A", "1")], "no field\r\nB: 2\r\n");
        check("From a@b Mon Nov 23\r\nA: 1\r\n\r\n", &[("A", "1")], "");
        check(" lost\r\nA: 1\r\n\r\n", &[("A", "1")], "");
        check("Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n", &[("Subject", "café")], "");
    }

    #[test]
    fn octets_above_127_are_read_as_utf_8_or_else_as_windows_1252() {
        assert_eq!(text(" caf\u{e9}".as_bytes()), "café");
        assert_eq!(text(b"caf\xe9"), "café");
    }

    proptest! {
        #[test]
        fn fields_and_what_follows_are_the_octets(octets in "[A-C: \t\r\nx]{0,80}") {
            let mut end = 0;
            let mut fields = fields(octets.as_bytes());
            let start = fields.position();
            for field in fields.by_ref() {
                prop_assert_eq!(field.at, if end == 0 { start } else { end });
                end = field.at + field.whole.len();
            }
            prop_assert!(fields.position() >= end);
            prop_assert!(fields.position() <= octets.len());
        }
    }
}
