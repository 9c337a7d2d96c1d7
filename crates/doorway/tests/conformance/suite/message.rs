//! Messages of HTTP/1.1, read whole from a connection.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// Longest content that is read.
const CONTENT_OCTETS_MAX: usize = 1 << 20;

/// A message: first line, fields, content.
#[derive(Debug, Clone, Default)]
pub struct Message {
    pub first: String,
    pub fields: Vec<(String, String)>,
    pub content: Vec<u8>,
}

impl Message {
    /// Reads a request; `None` when the connection ends before one.
    pub fn request(from: &mut impl BufRead) -> Result<Option<Self>> {
        let Some(mut message) = Self::head(from)? else { return Ok(None) };
        message.content(from, false)?;
        Ok(Some(message))
    }

    /// Reads the response to a request with this method, and what came before it.
    pub fn response(from: &mut impl BufRead, method: &str) -> Result<(Self, Vec<Self>)> {
        let mut informational = Vec::new();
        loop {
            let Some(mut message) = Self::head(from)? else { return Err(ErrorKind::UnexpectedEof.into()) };
            let status = message.status();
            if (100..200).contains(&status) {
                informational.push(message);
                continue;
            }
            if method != "HEAD" && status != 204 && status != 304 {
                message.content(from, true)?;
            }
            return Ok((message, informational));
        }
    }

    /// The status of a response; 0 for what has none.
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The value of the first field with this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn head(from: &mut impl BufRead) -> Result<Option<Self>> {
        let first = line(from)?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut message = Self { first, ..Self::default() };
        loop {
            let text = line(from)?;
            if text.is_empty() {
                return Ok(Some(message));
            }
            let (name, value) = text.split_once(':').ok_or(ErrorKind::InvalidData)?;
            message.fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn content(&mut self, from: &mut impl BufRead, to_the_end: bool) -> Result<()> {
        if self.field("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            loop {
                let size = line(from)?;
                let size = size.split(';').next().unwrap_or_default().trim();
                let octets =
                    usize::from_str_radix(size, 16).map_err(|_| Error::from(ErrorKind::InvalidData))?;
                if octets == 0 {
                    while !line(from)?.is_empty() {}
                    return Ok(());
                }
                self.take(from, octets)?;
                line(from)?;
            }
        }
        match self.field("content-length").map(str::parse) {
            Some(Ok(octets)) => self.take(from, octets),
            Some(Err(_)) => Err(ErrorKind::InvalidData.into()),
            None if to_the_end => {
                from.take(CONTENT_OCTETS_MAX as u64).read_to_end(&mut self.content).map(drop)
            }
            None => Ok(()),
        }
    }

    fn take(&mut self, from: &mut impl Read, octets: usize) -> Result<()> {
        if self.content.len() + octets > CONTENT_OCTETS_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let start = self.content.len();
        self.content.resize(start + octets, 0);
        from.read_exact(&mut self.content[start..])
    }
}

fn line(from: &mut impl BufRead) -> Result<String> {
    let mut octets = Vec::new();
    from.take(65_536).read_until(b'\n', &mut octets)?;
    let text = String::from_utf8_lossy(&octets);
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
