//! The words of a zone file: RFC 1035 §5.1.
//!
//! An entry is a line, or several when parentheses hold them together. Comments, quotes, CRLF and a
//! byte order mark are dealt with here; what words mean is the reader's business.

/// A word of an entry, as a stretch of the file.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// Offset of its first octet; of the one after the quote for a quoted word.
    pub start: usize,
    /// Offset after its last octet.
    pub end: usize,
    /// Whether it stood between quotes.
    pub quoted: bool,
    /// The line, from 1.
    pub line: u32,
    /// Offset of the line's first octet.
    pub line_start: usize,
}

/// What the scanner found wrong, at a place in the file.
#[derive(Debug, Clone, Copy)]
pub struct ScanFault {
    /// Where.
    pub token: Token,
    /// What was expected.
    pub expected: &'static str,
}

/// Reads a file entry by entry.
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

/// Words of one entry at most; more is a fault. A TXT record of 65535 octets in one-octet strings
/// stays below it.
pub const WORDS_MAX: usize = 40_000;

impl<'a> Scanner<'a> {
    /// A scanner at the first line of `text`, after a UTF-8 byte order mark if there is one.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { text, at, line: 1, line_start: at }
    }

    /// Fills `tokens` with the words of the next entry. Returns whether its line began with a blank,
    /// which means that it belongs to the owner before; `None` at the end of the file.
    ///
    /// # Errors
    /// Parentheses or quotes that do not match. The scanner then stands at the start of the next line.
    pub fn entry(&mut self, tokens: &mut Vec<Token>) -> Result<Option<bool>, ScanFault> {
        tokens.clear();
        let mut open: Option<(usize, Token)> = None;
        let mut blank = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
        loop {
            let Some(&octet) = self.text.get(self.at) else {
                return match open {
                    Some((_, token)) => {
                        Err(ScanFault { token, expected: "a closing parenthesis to this one" })
                    }
                    None if tokens.is_empty() => Ok(None),
                    None => Ok(Some(blank)),
                };
            };
            match octet {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' => {
                    self.next_line();
                    if open.is_none() {
                        if !tokens.is_empty() {
                            return Ok(Some(blank));
                        }
                        blank = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
                    }
                }
                b';' => {
                    let rest = &self.text[self.at..];
                    self.at += rest.iter().position(|&octet| octet == b'\n').unwrap_or(rest.len());
                }
                b'(' => {
                    open = Some(match open {
                        Some((depth, token)) => (depth + 1, token),
                        None => (1, self.token(self.at, self.at + 1, false)),
                    });
                    self.at += 1;
                }
                b')' => {
                    open = match open {
                        Some((1, _)) => None,
                        Some((depth, token)) => Some((depth - 1, token)),
                        None => return Err(self.give_up(1, "an opening parenthesis before this one")),
                    };
                    self.at += 1;
                }
                b'"' => tokens.push(self.quoted()?),
                _ => tokens.push(self.word()),
            }
            if tokens.len() > WORDS_MAX {
                return Err(self.give_up(1, "at most 40000 words in one entry"));
            }
        }
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        while let Some(&octet) = self.text.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\' if !matches!(self.text.get(self.at + 1), None | Some(b'\n' | b'\r')) => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.token(start, self.at, false)
    }

    fn quoted(&mut self) -> Result<Token, ScanFault> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.text.get(at) {
                Some(b'"') => break,
                None | Some(b'\n') => return Err(self.give_up(1, "a closing quote on the same line")),
                Some(b'\\') if !matches!(self.text.get(at + 1), None | Some(b'\n')) => at += 2,
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(self.token(start, at, true))
    }

    const fn token(&self, start: usize, end: usize, quoted: bool) -> Token {
        Token { start, end, quoted, line: self.line, line_start: self.line_start }
    }

    fn next_line(&mut self) {
        self.at += 1;
        self.line += 1;
        self.line_start = self.at;
    }

    // Names the octets at the current place and goes on with the next line.
    fn give_up(&mut self, length: usize, expected: &'static str) -> ScanFault {
        let token = self.token(self.at, self.at + length, false);
        let rest = &self.text[self.at..];
        match rest.iter().position(|&octet| octet == b'\n') {
            Some(newline) => {
                self.at += newline;
                self.next_line();
            }
            None => self.at = self.text.len(),
        }
        ScanFault { token, expected }
    }
}
