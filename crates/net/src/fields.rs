//! The field lines of a message as they pass between those who speak HTTP and those who answer over it.

use std::borrow::Cow;
use std::fmt;

/// Field lines of a message, in order. Names are compared without regard to case (RFC 9110 §5.1); values are
/// octets, which need not be text (§5.5), so that whoever hands them on changes nothing.
///
/// All names lie in one piece of memory and all values in another: a message has dozens of lines, and is copied on
/// its way.
#[derive(Clone, Default)]
pub struct Fields {
    names: String,
    values: Vec<u8>,
    lines: Vec<Line>,
}

/// Where a line stands in both.
#[derive(Clone, Copy)]
struct Line {
    name: (u32, u32),
    value: (u32, u32),
}

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { names: String::new(), values: Vec::new(), lines: Vec::new() }
    }

    /// No fields, with room for so many lines of usual length.
    #[must_use]
    pub fn with_room(lines: usize) -> Self {
        Self {
            names: String::with_capacity(lines * 16),
            values: Vec::with_capacity(lines * 32),
            lines: Vec::with_capacity(lines),
        }
    }

    /// Adds a field line after the others.
    ///
    /// # Panics
    /// When all names or all values together have more than 4 GiB.
    pub fn add(&mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) {
        let place = |octets: usize| u32::try_from(octets).expect("the fields of a message are within 4 GiB");
        let (name_start, value_start) = (place(self.names.len()), place(self.values.len()));
        self.names.push_str(name.as_ref());
        self.values.extend_from_slice(value.as_ref());
        self.lines.push(Line {
            name: (name_start, place(self.names.len())),
            value: (value_start, place(self.values.len())),
        });
    }

    /// The value of the first line with this name; `None` too when it is not text in UTF-8.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        let (_, value) = self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        str::from_utf8(value).ok()
    }

    /// The values of all lines with this name, in order.
    pub fn all<'f, 'n>(&'f self, name: &'n str) -> impl Iterator<Item = &'f [u8]> + use<'f, 'n> {
        self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        self.lines.iter().map(|line| (self.name(line), self.value(line)))
    }

    /// Every line as text, for people: what is not UTF-8 is shown as U+FFFD.
    pub fn texts(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))
    }

    /// Keeps the lines of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &[u8]) -> bool) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain(|line| keep(self.name(line), self.value(line)));
        self.lines = lines;
    }

    fn name(&self, line: &Line) -> &str {
        &self.names[line.name.0 as usize..line.name.1 as usize]
    }

    fn value(&self, line: &Line) -> &[u8] {
        &self.values[line.value.0 as usize..line.value.1 as usize]
    }
}

impl<'l> FromIterator<(&'l [u8], &'l [u8])> for Fields {
    /// The lines as they came; of a name that is no text what is text.
    fn from_iter<I: IntoIterator<Item = (&'l [u8], &'l [u8])>>(lines: I) -> Self {
        let lines = lines.into_iter();
        let mut fields = Self::with_room(lines.size_hint().0);
        lines.for_each(|(name, value)| fields.add(String::from_utf8_lossy(name), value));
        fields
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.texts()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_and_left_out_whatever_lies_between_them() {
        let mut fields = Fields::with_room(2);
        for (name, value) in [("A", &b"1"[..]), ("b", b""), ("", b"\xff"), ("B", b"2"), ("a", b"3")] {
            fields.add(name, value);
        }
        assert_eq!((fields.first("B"), fields.first(""), fields.first("c")), (Some(""), None, None));
        fields.retain(|name, value| !value.is_empty() && name != "A");
        let left: Vec<_> = fields.iter().collect();
        assert_eq!(left, [("", &b"\xff"[..]), ("B", b"2"), ("a", b"3")]);
        fields.add("c", "4");
        let mut same = Fields::new();
        fields.iter().for_each(|(name, value)| same.add(name, value));
        assert_eq!(fields, same);
        same.add("c", "4");
        assert_ne!(fields, same);
    }
}
