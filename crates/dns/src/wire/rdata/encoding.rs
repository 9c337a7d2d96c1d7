//! Octets and moments as text: hexadecimal, base 64 (RFC 4648 §4), base 32 with the extended
//! hexadecimal alphabet and without padding (RFC 4648 §7, RFC 5155 §3.3), `YYYYMMDDHHmmSS`
//! (RFC 4034 §3.2).

use std::fmt::{self, Write as _};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32HEX: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// How octets are spelt in digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Hex,
    Base32Hex,
    Base64,
}

/// Octets gathered from digits that may be spread over several words.
#[derive(Debug)]
pub(super) struct Digits {
    base: Base,
    bits: u32,
    // Bits that no octet has taken yet.
    held: u32,
    digits: usize,
    padding: usize,
}

impl Digits {
    pub(super) const fn new(base: Base) -> Self {
        Self { base, bits: 0, held: 0, digits: 0, padding: 0 }
    }

    /// Takes the digits of one word and appends whole octets to `out`; false when one is no digit.
    pub(super) fn take(&mut self, word: &[u8], out: &mut Vec<u8>) -> bool {
        let width = match self.base {
            Base::Hex => 4,
            Base::Base32Hex => 5,
            Base::Base64 => 6,
        };
        for &character in word {
            if character == b'=' && self.base == Base::Base64 && self.padding < 2 {
                self.padding += 1;
                continue;
            }
            let Some(digit) = self.digit(character).filter(|_| self.padding == 0) else { return false };
            self.digits += 1;
            self.bits = self.bits << width | digit;
            self.held += width;
            if self.held >= 8 {
                self.held -= 8;
                out.push((self.bits >> self.held) as u8);
                self.bits &= (1 << self.held) - 1;
            }
        }
        true
    }

    fn digit(&self, character: u8) -> Option<u32> {
        let digit = match (self.base, character) {
            (Base::Hex, _) => return char::from(character).to_digit(16),
            (Base::Base32Hex, _) => return char::from(character).to_digit(32),
            (Base::Base64, b'A'..=b'Z') => character - b'A',
            (Base::Base64, b'a'..=b'z') => character - b'a' + 26,
            (Base::Base64, b'0'..=b'9') => character - b'0' + 52,
            (Base::Base64, b'+') => 62,
            (Base::Base64, b'/') => 63,
            (Base::Base64, _) => return None,
        };
        Some(u32::from(digit))
    }

    /// Whether the digits taken spell whole octets; base 64 must be padded, and bits over must be 0.
    pub(super) const fn are_whole(&self) -> bool {
        match self.base {
            Base::Hex => self.held == 0,
            Base::Base32Hex => self.held < 5 && self.bits == 0,
            Base::Base64 => (self.digits + self.padding).is_multiple_of(4) && self.bits == 0,
        }
    }
}

/// Prints octets in hexadecimal.
pub(super) fn write_hex(f: &mut impl fmt::Write, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
}

/// The octets that `text` spells in base 64; `None` when it does not.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut digits = Digits::new(Base::Base64);
    let mut octets = Vec::new();
    let taken = text.split_ascii_whitespace().all(|word| digits.take(word.as_bytes(), &mut octets));
    (taken && digits.are_whole() && !octets.is_empty()).then_some(octets)
}

/// Octets in base 64 with padding (RFC 4648 §4).
#[must_use]
pub fn base64(octets: &[u8]) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        for chunk in octets.chunks(3) {
            let mut three = [0; 3];
            three[..chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for digit in 0..4 {
                let value = bits >> (18 - 6 * digit) & 63;
                f.write_char(if digit > chunk.len() { '=' } else { char::from(BASE64[value as usize]) })?;
            }
        }
        Ok(())
    })
}

/// Octets in base 32 with the extended hexadecimal alphabet, without padding: the form of
/// hashed names (RFC 5155 §3.3).
#[must_use]
pub fn base32hex(octets: &[u8]) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        for chunk in octets.chunks(5) {
            let mut eight = [0; 8];
            eight[3..3 + chunk.len()].copy_from_slice(chunk);
            let bits = u64::from_be_bytes(eight);
            for digit in 0..(chunk.len() * 8).div_ceil(5) {
                let value = bits >> (35 - 5 * digit) & 31;
                f.write_char(char::from(BASE32HEX[value as usize]))?;
            }
        }
        Ok(())
    })
}

/// The digits of a SHA-1 hash in base 32, in lower case, as an owner name in canonical form has them.
#[must_use]
pub fn base32hex_digits(hash: &[u8; 20]) -> [u8; 32] {
    let mut digits = [0; 32];
    for (eight, five) in digits.as_chunks_mut::<8>().0.iter_mut().zip(hash.as_chunks::<5>().0) {
        let bits = u64::from_be_bytes([0, 0, 0, five[0], five[1], five[2], five[3], five[4]]);
        for (index, digit) in eight.iter_mut().enumerate() {
            *digit = BASE32HEX[(bits >> (35 - 5 * index) & 31) as usize].to_ascii_lowercase();
        }
    }
    digits
}

/// Prints a moment, in seconds since 1970, as `YYYYMMDDHHmmSS`.
pub(super) fn write_moment(f: &mut impl fmt::Write, seconds: u32) -> fmt::Result {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from March, so that a leap day is the last one; 719468 days lie between
    // March of the year 0 and 1970.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, january) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + january;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    write!(f, "{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// Reads a moment: 14 digits are `YYYYMMDDHHmmSS`, up to 10 are seconds since 1970.
pub(super) fn moment(text: &str) -> Option<u32> {
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    if text.len() != 14 {
        return text.parse().ok();
    }
    let part = |from: usize, to: usize| text[from..to].parse::<u32>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_in = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let exists = (1970..=2106).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !exists {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = u64::from(days) * 86_400 + u64::from(hour * 3600 + minute * 60 + second);
    u32::try_from(seconds).ok()
}
