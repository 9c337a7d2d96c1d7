//! Bodies in chunks (RFC 9112 §7.1), decoded as they arrive.
//!
//! The decoder holds a few words whatever the body's length. Extensions are read over, trailers are
//! checked and dropped: merging them into the head is where smuggling begins.

use super::rule::{self, Refusal};
use super::scan;

/// Most octets of chunk extensions in one body.
pub const EXTENSION_OCTETS_MAX: u16 = 4096;
/// Most octets in one trailer section.
pub const TRAILER_OCTETS_MAX: u16 = 8192;
/// Most hexadecimal digits of a chunk size, leading zeros included.
const SIZE_DIGITS_MAX: u8 = 16;

/// Decodes one chunked body.
#[derive(Debug, Clone)]
pub struct Chunked {
    state: State,
    extension_octets: u16,
    trailer_octets: u16,
    /// Octets of the body's coded form read so far.
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

/// What the next octets of a chunked body are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'b> {
    /// Data of the body.
    Data(&'b [u8]),
    /// All octets were read and the body goes on.
    More,
    /// The body is over; what follows belongs to the next request.
    End,
}

impl Default for Chunked {
    fn default() -> Self {
        let state = State::Size { size: 0, digits: 0 };
        Self { state, extension_octets: 0, trailer_octets: 0, at: 0 }
    }
}

impl Chunked {
    /// Reads on; returns the next piece and how many octets it took.
    ///
    /// # Errors
    /// [`Refusal`] for the first rule that is broken, counted from the start of the body.
    pub fn decode<'b>(&mut self, octets: &'b [u8]) -> Result<(usize, Piece<'b>), Refusal> {
        let mut used = 0;
        while let Some(&octet) = octets.get(used) {
            if let State::Data { left } = self.state {
                let waiting = octets.len() - used;
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(waiting);
                let left = left - taken as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                self.at += taken;
                return Ok((used + taken, Piece::Data(&octets[used..used + taken])));
            }
            self.state = self.step(octet)?;
            self.at += 1;
            used += 1;
            if self.state == State::End {
                return Ok((used, Piece::End));
            }
        }
        Ok((used, if self.state == State::End { Piece::End } else { Piece::More }))
    }

    /// The state after one octet outside the data.
    fn step(&mut self, octet: u8) -> Result<State, Refusal> {
        let refuse = |rule| Err(Refusal::new(rule, self.at));
        // A line ends with CRLF: which rule an octet breaks that stands elsewhere.
        let stray = |otherwise| if octet == b'\n' { refuse(&rule::BARE_LF) } else { refuse(otherwise) };
        Ok(match (self.state, octet) {
            (State::Size { size, digits }, _) if octet.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return refuse(&rule::CHUNK_SIZE);
                }
                let digit = (octet as char).to_digit(16).map_or(0, u64::from);
                State::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return stray(&rule::CHUNK_SIZE),
            (State::Size { size, .. } | State::Extension { size }, b'\r') => State::SizeLf { size },
            (State::Size { size, .. }, b';') => State::Extension { size },
            (State::Size { .. }, _) => return stray(&rule::CHUNK_SIZE),
            (State::Extension { size }, _) if scan::is_value(octet) => {
                self.extension_octets += 1;
                if self.extension_octets > EXTENSION_OCTETS_MAX {
                    return refuse(&rule::CHUNK_EXTENSION);
                }
                State::Extension { size }
            }
            (State::Extension { .. }, _) => return stray(&rule::CHUNK_EXTENSION),
            (State::SizeLf { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::DataCr, _) => return stray(&rule::CHUNK_END),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::TrailerName, _) if scan::is_token(octet) => {
                self.count_trailer()?;
                State::TrailerName
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerStart | State::TrailerName, _) => return stray(&rule::TRAILER),
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if scan::is_value(octet) => {
                self.count_trailer()?;
                State::TrailerValue
            }
            (State::TrailerValue, _) => return stray(&rule::TRAILER),
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::End,
            (State::SizeLf { .. } | State::DataLf | State::TrailerLf | State::EndLf, _) => {
                return refuse(&rule::BARE_CR);
            }
            (State::Data { .. } | State::End, _) => self.state,
        })
    }

    fn count_trailer(&mut self) -> Result<(), Refusal> {
        self.trailer_octets += 1;
        if self.trailer_octets > TRAILER_OCTETS_MAX {
            return Err(Refusal::new(&rule::TRAILER_LENGTH, self.at));
        }
        Ok(())
    }
}
