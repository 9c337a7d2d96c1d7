//! Fields that the operator adds to responses, and those that are left out.

use crate::wire::response::ResponseWriter;

/// What the config says about the fields of responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnFields {
    add: Vec<(String, String)>,
    omit: Vec<String>,
}

impl OwnFields {
    /// Reads lines of the form `Name: value` and `-Name`; others are for the check of the config to find.
    #[must_use]
    pub fn read(lines: &[String]) -> Self {
        let mut fields = Self::default();
        fields.extend(lines);
        fields
    }

    /// Adds more lines; a name that is there already gets the new value.
    pub fn extend(&mut self, lines: &[String]) {
        for line in lines {
            let Ok(line) = Line::read(line) else { continue };
            let (name, value) = match line {
                Line::Add(name, value) => (name, Some(value)),
                Line::Omit(name) => (name, None),
            };
            self.add.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            self.omit.retain(|known| !known.eq_ignore_ascii_case(name));
            match value {
                Some(value) => self.add.push((name.to_owned(), value.to_owned())),
                None => self.omit.push(name.to_owned()),
            }
        }
    }

    /// Whether a field of this name is not sent, because it is left out or replaced.
    #[must_use]
    pub fn omits(&self, name: &str) -> bool {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        self.omit.iter().any(|known| is(known)) || self.add.iter().any(|(known, _)| is(known))
    }

    /// Adds the fields to a response.
    pub fn write(&self, writer: &mut ResponseWriter<'_>) {
        for (name, value) in &self.add {
            writer.field(name, value.as_bytes());
        }
    }
}

/// One line of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// `Name: value`
    Add(&'a str, &'a str),
    /// `-Name`
    Omit(&'a str),
}

/// Fields that are the server's own business, whatever the config says.
const FRAMING: [&str; 6] =
    ["Content-Length", "Transfer-Encoding", "Connection", "Date", "Content-Range", "Content-Encoding"];

impl<'a> Line<'a> {
    /// Reads a line; what is wrong with it otherwise.
    pub(crate) fn read(line: &'a str) -> Result<Self, String> {
        let read = match (line.strip_prefix('-'), line.split_once(':')) {
            (Some(name), _) => Self::Omit(name.trim()),
            (None, Some((name, value))) => Self::Add(name, value.trim()),
            (None, None) => return Err("write it as \"Name: value\", or as \"-Name\" to leave it out".into()),
        };
        let (Self::Add(name, _) | Self::Omit(name)) = read;
        let is_token = !name.is_empty() && crate::wire::scan::token_end(name.as_bytes(), 0) == name.len();
        if !is_token {
            return Err(format!("`{name}` cannot be the name of a field"));
        }
        if let Self::Add(_, value) = read
            && value.bytes().any(|octet| octet.is_ascii_control())
        {
            return Err("a value is one line of text".into());
        }
        if FRAMING.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(format!("`{name}` is for the server to set"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use crate::wire::response::Form;

    #[test]
    fn a_later_line_overrules_an_earlier_one_of_the_same_name() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let mut fields = OwnFields::read(&lines(&["X-A: 1", "-Server", "X-B: 2"]));
        fields.extend(&lines(&["x-a: 3", "-X-B"]));
        assert!(
            fields.omits("server") && fields.omits("X-A") && fields.omits("x-b") && !fields.omits("ETag")
        );
        let mut out = Vec::new();
        fields.write(&mut ResponseWriter::begin(&mut out, Form::Http1, Status::OK));
        assert_eq!(String::from_utf8(out).unwrap(), "HTTP/1.1 200 OK\r\nx-a: 3\r\n");
    }

    #[test]
    fn lines_that_no_field_can_be_made_of_are_told() {
        for line in ["", "X", ": x", "A B: x", "-", "-A B", "Content-Length: 3", "-Date", "A: b\r\nC: d"] {
            assert!(Line::read(line).is_err(), "{line:?}");
        }
        assert_eq!(Line::read("A:  b: c "), Ok(Line::Add("A", "b: c")));
        assert_eq!(Line::read("-A"), Ok(Line::Omit("A")));
    }
}
