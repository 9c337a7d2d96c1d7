//! Names and character-strings in presentation form: RFC 1035 §5.1, RFC 4343 §2.1.
//!
//! Written form escapes every octet that a zone file reader would take for something else, so what is
//! printed can be read back.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::name::{LABEL_OCTETS_MAX, NAME_OCTETS_MAX, Name};

/// Why a text is not a name or not a character-string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFault {
    /// Nothing where a name was expected.
    Empty,
    /// Two dots in a row, or a dot at the start.
    EmptyLabel,
    /// More than 63 octets between dots.
    LongLabel,
    /// More than 255 octets in all.
    LongName,
    /// A backslash that is not followed by three digits up to 255, or by another character.
    Escape,
    /// A relative name where there is no origin to add.
    Relative,
    /// More than 255 octets in one character-string.
    LongString,
}

impl fmt::Display for TextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a name, not nothing",
            Self::EmptyLabel => "a label between two dots",
            Self::LongLabel => "labels of at most 63 octets",
            Self::LongName => "a name of at most 255 octets",
            Self::Escape => "three digits up to 255, or one character, after a backslash",
            Self::Relative => "a name that ends in a dot, because there is no origin",
            Self::LongString => "strings of at most 255 octets",
        })
    }
}

impl std::error::Error for TextFault {}

/// Takes one octet of presentation form off the front of `text`; the flag says that it was escaped.
///
/// # Errors
/// [`TextFault::Escape`] for a backslash with the wrong thing after it.
pub fn next_octet(text: &mut &[u8]) -> Result<Option<(u8, bool)>, TextFault> {
    let Some((&first, rest)) = text.split_first() else { return Ok(None) };
    *text = rest;
    if first != b'\\' {
        return Ok(Some((first, false)));
    }
    let Some((&second, after)) = rest.split_first() else { return Err(TextFault::Escape) };
    if !second.is_ascii_digit() {
        *text = after;
        return Ok(Some((second, true)));
    }
    let digits = rest.first_chunk::<3>().ok_or(TextFault::Escape)?;
    let mut value = 0_u16;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(TextFault::Escape);
        }
        value = value * 10 + u16::from(digit - b'0');
    }
    *text = &rest[3..];
    u8::try_from(value).map(|octet| Some((octet, true))).map_err(|_| TextFault::Escape)
}

impl Name {
    /// Reads presentation form. A name without a final dot is relative to `origin`.
    ///
    /// `@` is not special here; a zone file's reader treats it.
    ///
    /// # Errors
    /// [`TextFault`], which says what was expected.
    pub fn from_text(text: &[u8], origin: Option<&Self>) -> Result<Self, TextFault> {
        if text.is_empty() {
            return Err(TextFault::Empty);
        }
        if text == b"." {
            return Ok(Self::root());
        }
        let mut octets = [0_u8; NAME_OCTETS_MAX];
        let (mut label_at, mut at) = (0, 1);
        let mut rest = text;
        let mut absolute = false;
        while let Some((octet, escaped)) = next_octet(&mut rest)? {
            if octet == b'.' && !escaped {
                if at == label_at + 1 {
                    return Err(TextFault::EmptyLabel);
                }
                octets[label_at] = (at - label_at - 1) as u8;
                label_at = at;
                at += 1;
                absolute = rest.is_empty();
            } else {
                if at - label_at > LABEL_OCTETS_MAX {
                    return Err(TextFault::LongLabel);
                }
                *octets.get_mut(at).ok_or(TextFault::LongName)? = octet;
                at += 1;
            }
        }
        let suffix: &[u8] = if absolute {
            at -= 1;
            &[0]
        } else {
            octets[label_at] = (at - label_at - 1) as u8;
            origin.ok_or(TextFault::Relative)?.as_octets()
        };
        octets.get_mut(at..at + suffix.len()).ok_or(TextFault::LongName)?.copy_from_slice(suffix);
        Self::from_wire(&octets[..at + suffix.len()]).map_err(|_| TextFault::LongName)
    }
}

impl FromStr for Name {
    type Err = TextFault;

    /// Reads presentation form as people type it: the final dot may be left out.
    fn from_str(text: &str) -> Result<Self, TextFault> {
        Self::from_text(text.as_bytes(), Some(&Self::root()))
    }
}

impl fmt::Display for Name {
    /// Presentation form with the final dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_char('.');
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(octet))?;
                    }
                    0x21..=0x7e => f.write_char(char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_char('.')?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// Prints a character-string between quotes.
///
/// # Errors
/// Only those of the formatter.
pub fn write_quoted(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    f.write_char('"')?;
    for &octet in octets {
        match octet {
            b'"' | b'\\' => write!(f, "\\{}", char::from(octet))?,
            0x20..=0x7e => f.write_char(char::from(octet))?,
            _ => write!(f, "\\{octet:03}")?,
        }
    }
    f.write_char('"')
}
