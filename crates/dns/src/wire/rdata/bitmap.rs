//! Type bitmaps: RFC 4034 §4.1.2, RFC 5155 §3.2.1, RFC 7477 §2.1.1.1.
//!
//! Windows of 256 types, each with its number, a length of 1 to 32 and that many octets; windows go up,
//! and the last octet of each is not 0.

use doorway_base::{Malformed, Reader};

use crate::wire::Type;

/// The types in a bitmap, going up. Stops early at octets that are no bitmap.
pub fn types(bitmap: &[u8]) -> impl Iterator<Item = Type> {
    windows(bitmap).flat_map(|(window, octets)| {
        let bits = (0..8 * octets.len()).filter(|&bit| octets[bit / 8] & (0x80 >> (bit % 8)) != 0);
        bits.map(move |bit| Type(u16::from(window) << 8 | bit as u16))
    })
}

/// Whether the bitmap has `kind`.
#[must_use]
pub fn contains(bitmap: &[u8], kind: Type) -> bool {
    let [window, bit] = kind.0.to_be_bytes();
    windows(bitmap).any(|(number, octets)| {
        let octet = octets.get(usize::from(bit / 8)).copied().unwrap_or(0);
        number == window && octet & (0x80 >> (bit % 8)) != 0
    })
}

fn windows(bitmap: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bitmap;
    std::iter::from_fn(move || {
        let (&[window, length], after) = rest.split_first_chunk::<2>()?;
        let (octets, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        Some((window, octets))
    })
}

/// Appends the bitmap of `types`, which are put in order, to `out`.
pub fn write(types: &mut [Type], out: &mut Vec<u8>) {
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut octets = [0_u8; 32];
        let mut length = 0;
        for kind in window {
            let [_, bit] = kind.0.to_be_bytes();
            octets[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
            length = usize::from(bit / 8) + 1;
        }
        out.extend([(window[0].0 >> 8) as u8, length as u8]);
        out.extend_from_slice(&octets[..length]);
    }
}

/// Takes a bitmap to the end of the RDATA.
pub(super) fn check(inside: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut least = 0;
    while !inside.is_empty() {
        let at = *inside;
        let window = inside.u8("a window of a type bitmap")?;
        let length = inside.u8("the length of a window of a type bitmap")?;
        let octets = inside.take(usize::from(length), "the octets of a type bitmap")?;
        if u16::from(window) < least {
            return Err(at.malformed("windows of a type bitmap that go up"));
        }
        if length > 32 || octets.last().is_none_or(|&last| last == 0) {
            return Err(at.malformed("1 to 32 octets in a window of a type bitmap, the last one not 0"));
        }
        least = u16::from(window) + 1;
        out.extend([window, length]);
        out.extend_from_slice(octets);
    }
    Ok(())
}
