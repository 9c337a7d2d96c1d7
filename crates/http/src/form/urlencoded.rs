//! `application/x-www-form-urlencoded`: `name=value&name=value`, spaces as `+`, the rest in percent coding
//! (WHATWG URL §5).
//!
//! Where browsers' own parser repairs, this one refuses: a triplet that is none, and octets that are not UTF-8.

use super::FormLimits;
use super::rule;
use crate::wire::rule::Refusal;

/// Reads a body as it comes.
#[derive(Debug)]
pub struct Urlencoded {
    limits: FormLimits,
    /// Octets seen before those at hand.
    seen: usize,
    count: usize,
    name: Option<Vec<u8>>,
    /// The name, or the value if there is a name, as far as it has come.
    text: Vec<u8>,
    /// Digits of a triplet that has begun.
    triplet: Option<Option<u8>>,
}

impl Urlencoded {
    /// A parser at the start of a body.
    #[must_use]
    pub const fn new(limits: FormLimits) -> Self {
        Self { limits, seen: 0, count: 0, name: None, text: Vec::new(), triplet: None }
    }

    /// Reads more of the body and appends the fields that are whole to `fields`.
    ///
    /// # Errors
    /// [`Refusal`] for the first rule that is broken, with the offset in the body.
    pub fn read(&mut self, octets: &[u8], fields: &mut Vec<(String, String)>) -> Result<(), Refusal> {
        for &octet in octets {
            let at = self.seen;
            self.seen += 1;
            match self.triplet {
                Some(first) => self.digit(first, octet, at)?,
                None if octet == b'%' => self.triplet = Some(None),
                None if octet == b'&' => fields.extend(self.field(at)?),
                None if octet == b'=' && self.name.is_none() => {
                    self.name = Some(std::mem::take(&mut self.text))
                }
                None => self.push(if octet == b'+' { b' ' } else { octet }, at)?,
            }
        }
        Ok(())
    }

    /// Ends the body: the last field, if there is one.
    ///
    /// # Errors
    /// [`Refusal`] as [`Urlencoded::read`].
    pub fn end(mut self) -> Result<Option<(String, String)>, Refusal> {
        match self.triplet {
            Some(_) => Err(Refusal::new(&rule::PERCENT, self.seen)),
            None => self.field(self.seen),
        }
    }

    /// Reads a whole text, such as the query of a target.
    ///
    /// # Errors
    /// [`Refusal`] as [`Urlencoded::read`].
    pub fn parse(text: &[u8], limits: FormLimits) -> Result<Vec<(String, String)>, Refusal> {
        let (mut parser, mut fields) = (Self::new(limits), Vec::new());
        parser.read(text, &mut fields)?;
        fields.extend(parser.end()?);
        Ok(fields)
    }

    fn digit(&mut self, first: Option<u8>, octet: u8, at: usize) -> Result<(), Refusal> {
        let digit = char::from(octet).to_digit(16).ok_or(Refusal::new(&rule::PERCENT, at))? as u8;
        self.triplet = match first {
            None => Some(Some(digit)),
            Some(first) => {
                self.push(first << 4 | digit, at)?;
                None
            }
        };
        Ok(())
    }

    fn push(&mut self, octet: u8, at: usize) -> Result<(), Refusal> {
        if self.text.len() >= self.limits.field_octets {
            return Err(Refusal::new(&rule::FIELD_LENGTH, at));
        }
        self.text.push(octet);
        Ok(())
    }

    /// The field that ends before `at`; none between two `&`.
    fn field(&mut self, at: usize) -> Result<Option<(String, String)>, Refusal> {
        let (name, text) = (self.name.take(), std::mem::take(&mut self.text));
        let (name, value) = match name {
            None if text.is_empty() => return Ok(None),
            None => (text, Vec::new()),
            Some(name) => (name, text),
        };
        if self.count >= self.limits.parts {
            return Err(Refusal::new(&rule::PARTS_COUNT, at));
        }
        self.count += 1;
        let utf8 = |octets| String::from_utf8(octets).map_err(|_| Refusal::new(&rule::UTF8, at));
        Ok(Some((utf8(name)?, utf8(value)?)))
    }
}

/// Writes fields as a form does.
#[must_use]
pub fn encode<'f>(fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> String {
    let mut text = String::new();
    let mut push = |part: &str, before: Option<char>| {
        text.extend(before);
        for octet in part.bytes() {
            match octet {
                b' ' => text.push('+'),
                b'*' | b'-' | b'.' | b'_' => text.push(char::from(octet)),
                _ if octet.is_ascii_alphanumeric() => text.push(char::from(octet)),
                _ => {
                    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
                    text.extend(['%', digit(octet >> 4), digit(octet & 15)]);
                }
            }
        }
    };
    for (place, (name, value)) in fields.into_iter().enumerate() {
        push(name, (place > 0).then_some('&'));
        push(value, Some('='));
    }
    text
}
