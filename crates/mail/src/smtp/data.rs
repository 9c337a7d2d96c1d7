//! The content of a message on the wire: where it ends, its dots, its line ends (RFC 5321 §4.5.2, §4.1.1.4;
//! RFC 3030 §2). CRLF `.` CRLF alone ends it, coming and going, so that no two servers ever differ about
//! where one message ends and the next begins.

use memchr::memchr3;

/// Longest line that RFC 5321 §4.5.3.1.6 wants servers to take, without its end, in octets. Longer ones are
/// counted and taken.
pub const TEXT_LINE_OCTETS_MAX: u64 = 998;

/// What becomes of CR or LF alone, and of NUL, in the content of an incoming message. The end of the
/// content never depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BareNewline {
    /// The message is refused after its end.
    #[default]
    Reject,
    /// CR alone and LF alone become CRLF; NUL is left out.
    Normalize,
}

/// How content comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Behind DATA: lines, with dots doubled, up to a line with one dot.
    Dotted,
    /// Behind BDAT: lines, as many octets as were announced.
    Lines,
    /// Behind BDAT with BODY=BINARYMIME: any octets.
    Binary,
}

/// What is wrong with content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// CR without LF.
    BareCr,
    /// LF without CR.
    BareLf,
    /// NUL.
    Nul,
    /// More octets than may come.
    TooLong,
}

/// Where in its lines the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind CRLF, or at the very start.
    LineStart,
    /// Behind a dot at the start of a line. It is not part of the content.
    Dot,
    /// Behind such a dot and CR, which is not content yet.
    DotCr,
    Middle,
    /// Behind CR.
    Cr,
}

/// Reads content as it comes. Any cut of the octets gives the same content and the same verdict.
#[derive(Debug)]
pub struct Scanner {
    form: Form,
    bare_newline: BareNewline,
    octets_max: u64,
    place: Place,
    octets: u64,
    line_octets: u64,
    long_lines: u64,
    flaw: Option<Flaw>,
    /// The message will be refused: what comes up to its end is read and forgotten.
    refused: bool,
}

impl Scanner {
    /// For one message of at most `octets_max` octets.
    #[must_use]
    pub const fn new(form: Form, bare_newline: BareNewline, octets_max: u64) -> Self {
        Self {
            form,
            bare_newline,
            octets_max,
            place: Place::LineStart,
            octets: 0,
            line_octets: 0,
            long_lines: 0,
            flaw: None,
            refused: false,
        }
    }

    /// Takes octets in and adds what is content to `content`. Gives how many were used, and whether the
    /// end of dotted content was found behind them.
    pub fn take(&mut self, octets: &[u8], content: &mut Vec<u8>) -> (usize, bool) {
        if self.form == Form::Binary {
            self.keep(octets, content);
            return (octets.len(), false);
        }
        // Octets from `from` to `at` are content that was not added yet.
        let (mut from, mut at) = (0, 0);
        while let Some(octet) = octets.get(at).copied() {
            match self.place {
                Place::LineStart if octet == b'.' && self.form == Form::Dotted => {
                    self.keep(&octets[from..at], content);
                    at += 1;
                    from = at;
                    self.place = Place::Dot;
                }
                Place::LineStart => self.place = Place::Middle,
                Place::Dot if octet == b'\r' => {
                    at += 1;
                    from = at;
                    self.place = Place::DotCr;
                }
                Place::Dot => self.place = Place::Middle,
                Place::DotCr if octet == b'\n' => {
                    self.place = Place::LineStart;
                    return (at + 1, true);
                }
                Place::DotCr => {
                    self.keep(b"\r", content);
                    self.bare_cr(content);
                }
                Place::Cr if octet == b'\n' => {
                    at += 1;
                    self.end_line();
                }
                Place::Cr => {
                    self.keep(&octets[from..at], content);
                    from = at;
                    self.bare_cr(content);
                }
                Place::Middle => {
                    let Some(length) = memchr3(b'\r', b'\n', 0, &octets[at..]) else {
                        self.line_octets += (octets.len() - at) as u64;
                        break;
                    };
                    self.line_octets += length as u64;
                    at += length;
                    if octets[at] == b'\r' {
                        self.place = Place::Cr;
                    } else {
                        self.keep(&octets[from..at], content);
                        from = at + 1;
                        self.bare(octets[at], content);
                    }
                    at += 1;
                }
            }
        }
        self.keep(&octets[from..], content);
        (octets.len(), false)
    }

    /// The end of the content: how many lines were longer than [`TEXT_LINE_OCTETS_MAX`].
    ///
    /// # Errors
    /// The first flaw for which the message is to be refused.
    pub fn finish(&mut self, content: &mut Vec<u8>) -> Result<u64, Flaw> {
        if self.place == Place::Cr {
            self.bare_cr(content); // BDAT whose last octet is CR
        }
        self.flaw().map_or(Ok(self.long_lines), Err)
    }

    /// Why the message will be refused, if it will.
    #[must_use]
    pub fn flaw(&self) -> Option<Flaw> {
        self.flaw.filter(|_| self.refused)
    }

    /// Forgets what follows, because it cannot be kept.
    pub const fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether the message will be refused whatever follows: its content need not be kept.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.refused
    }

    fn end_line(&mut self) {
        self.long_lines += u64::from(self.line_octets > TEXT_LINE_OCTETS_MAX);
        self.line_octets = 0;
        self.place = Place::LineStart;
    }

    /// CR alone, which is in the content already. What follows it is no start of a line.
    fn bare_cr(&mut self, content: &mut Vec<u8>) {
        self.place = Place::Middle;
        self.blemish(Flaw::BareCr);
        self.keep(b"\n", content);
        self.line_octets = 0;
    }

    /// LF alone or NUL, which is not in the content.
    fn bare(&mut self, octet: u8, content: &mut Vec<u8>) {
        if octet == 0 {
            return self.blemish(Flaw::Nul);
        }
        self.blemish(Flaw::BareLf);
        self.keep(b"\r\n", content);
        self.line_octets = 0;
    }

    fn blemish(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
        self.refused |= self.bare_newline == BareNewline::Reject;
    }

    fn keep(&mut self, octets: &[u8], content: &mut Vec<u8>) {
        self.octets += octets.len() as u64;
        if self.octets > self.octets_max && !self.refused {
            self.flaw = Some(Flaw::TooLong);
            self.refused = true;
        }
        if !self.refused {
            content.extend_from_slice(octets);
        }
    }
}

/// Writes content for DATA: dots doubled, every line ended by CRLF, whatever it was ended by; NUL left out.
#[derive(Debug)]
pub struct Stuffer {
    place: Place,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self { place: Place::LineStart }
    }
}

impl Stuffer {
    /// Writes the next piece.
    pub fn write(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        let (mut from, mut at) = (0, 0);
        while let Some(octet) = octets.get(at).copied() {
            match self.place {
                // What NUL hides would begin the line.
                Place::LineStart if octet == 0 => {
                    into.extend_from_slice(&octets[from..at]);
                    at += 1;
                    from = at;
                }
                Place::LineStart => {
                    if octet == b'.' {
                        into.extend_from_slice(&octets[from..at]);
                        into.push(b'.');
                        from = at;
                    }
                    self.place = Place::Middle;
                }
                Place::Cr if octet == b'\n' => {
                    at += 1;
                    self.place = Place::LineStart;
                }
                Place::Cr => {
                    into.extend_from_slice(&octets[from..at]);
                    into.push(b'\n');
                    from = at;
                    self.place = Place::LineStart;
                }
                _ => {
                    let Some(length) = memchr3(b'\r', b'\n', 0, &octets[at..]) else { break };
                    at += length;
                    if octets[at] == b'\r' {
                        self.place = Place::Cr;
                    } else {
                        into.extend_from_slice(&octets[from..at]);
                        from = at + 1;
                        if octets[at] == b'\n' {
                            into.extend_from_slice(b"\r\n");
                            self.place = Place::LineStart;
                        }
                    }
                    at += 1;
                }
            }
        }
        into.extend_from_slice(&octets[from..]);
    }

    /// Ends the content.
    pub fn finish(self, into: &mut Vec<u8>) {
        match self.place {
            Place::LineStart => {}
            Place::Cr => into.push(b'\n'),
            _ => into.extend_from_slice(b"\r\n"),
        }
        into.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests;
