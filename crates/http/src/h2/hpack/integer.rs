//! Integers with a prefix (RFC 7541 §5.1).

/// Reads the integer whose prefix is the lowest `bits` bits of the first octet. Returns it with the
/// octets after it; `None` when it does not end, or does not fit into 28 bits.
#[inline]
pub(super) fn read(octets: &[u8], bits: u32) -> Option<(usize, &[u8])> {
    let (&first, mut rest) = octets.split_first()?;
    let full = (1usize << bits) - 1;
    let mut number = usize::from(first) & full;
    if number < full {
        return Some((number, rest));
    }
    // More than any string or index here needs; leading zeros count as well.
    for shift in [0, 7, 14, 21] {
        let (&octet, after) = rest.split_first()?;
        rest = after;
        number += (usize::from(octet) & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some((number, rest));
        }
    }
    None
}

/// Appends `number` with a prefix of `bits` bits below `pattern`.
pub(crate) fn write(out: &mut Vec<u8>, pattern: u8, bits: u32, number: usize) {
    let full = (1 << bits) - 1;
    if number < full {
        out.push(pattern | number as u8);
        return;
    }
    out.push(pattern | full as u8);
    let mut left = number - full;
    while left >= 0x80 {
        out.push(0x80 | (left & 0x7f) as u8);
        left >>= 7;
    }
    out.push(left as u8);
}
