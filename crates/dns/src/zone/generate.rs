//! `$GENERATE`: one line of a zone file that stands for many records, in the syntax of BIND.
//!
//! `$GENERATE 1-100/2 host-$ A 192.0.2.$`: a range, perhaps with a step, and a record in which `$` is
//! the number, `${offset,width,base}` the number moved, padded and in another base, and `\$` a dollar.

use std::io::Write as _;

/// Records that one `$GENERATE` makes at most.
const GENERATED_MAX: u32 = 1 << 20;

/// The numbers of a `$GENERATE`, going up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    next: Option<u32>,
    last: u32,
    step: u32,
}

impl Range {
    /// Reads `1-100` or `1-100/2`; the error is the message.
    pub(super) fn read(text: &[u8]) -> Result<Self, &'static str> {
        const WHAT: &str = "expected a range such as 1-100 or 0-254/2";
        let text = std::str::from_utf8(text).map_err(|_| WHAT)?;
        let (range, step) = text.split_once('/').unwrap_or((text, "1"));
        let (first, last) = range.split_once('-').ok_or(WHAT)?;
        let number = |text: &str| {
            let plain = text.bytes().all(|octet| octet.is_ascii_digit());
            text.parse::<u32>().ok().filter(|&number| plain && number <= i32::MAX as u32).ok_or(WHAT)
        };
        let (first, last, step) = (number(first)?, number(last)?, number(step)?);
        if first > last || step == 0 {
            return Err("expected a range that goes up, in steps of at least 1");
        }
        if (last - first) / step >= GENERATED_MAX {
            return Err("expected a range of at most 1048576 numbers");
        }
        Ok(Self { next: Some(first), last, step })
    }
}

impl Iterator for Range {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let number = self.next?;
        self.next = number.checked_add(self.step).filter(|&next| next <= self.last);
        Some(number)
    }
}

/// Appends `text` to `out` with `number` in the place of each dollar; the error is what was expected.
pub(super) fn expand(text: &[u8], number: u32, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, rest) {
            // What is escaped stays as it is; the reader of names and texts undoes it.
            (b'\\', [escaped, after @ ..]) => {
                out.extend([b'\\', *escaped]);
                rest = after;
            }
            // The old way to write a dollar.
            (b'$', [b'$', after @ ..]) => {
                out.extend(b"\\$");
                rest = after;
            }
            (b'$', [b'{', after @ ..]) => {
                const WHAT: &str = "${offset,width,base} with a base of d, o, x, X, n or N";
                let close = after.iter().position(|&octet| octet == b'}').ok_or(WHAT)?;
                let form = std::str::from_utf8(&after[..close]).map_err(|_| WHAT)?;
                rest = &after[close + 1..];
                let mut parts = form.split(',');
                let offset: i64 = parts.next().and_then(|part| part.parse::<i32>().ok()).ok_or(WHAT)?.into();
                let width = parts.next().map_or(Ok(0), |part| part.parse::<u8>().map_err(|_| WHAT))?;
                let base = parts.next().unwrap_or("d");
                let value = u32::try_from(i64::from(number) + offset);
                let value = value.map_err(|_| "an offset that leaves the number at 0 or above")?;
                if parts.next().is_some() || !write(value, usize::from(width), base, out) {
                    return Err(WHAT);
                }
            }
            (b'$', _) => {
                write(number, 0, "d", out);
            }
            _ => out.push(octet),
        }
    }
    Ok(())
}

fn write(value: u32, width: usize, base: &str, out: &mut Vec<u8>) -> bool {
    let written = match base {
        "d" => write!(out, "{value:0width$}"),
        "o" => write!(out, "{value:0width$o}"),
        "x" => write!(out, "{value:0width$x}"),
        "X" => write!(out, "{value:0width$X}"),
        "n" | "N" => {
            nibbles(value, width, base == "N", out);
            Ok(())
        }
        _ => return false,
    };
    written.is_ok()
}

// Hexadecimal digits from the last to the first with dots between them, as names below ip6.arpa have
// them. The width counts the dots.
fn nibbles(value: u32, width: usize, upper: bool, out: &mut Vec<u8>) {
    let (mut value, mut width) = (value, width);
    loop {
        let digit = char::from_digit(value & 15, 16).unwrap_or('0');
        out.push(if upper { digit.to_ascii_uppercase() } else { digit } as u8);
        value >>= 4;
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return;
        }
        out.push(b'.');
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return;
        }
    }
}
