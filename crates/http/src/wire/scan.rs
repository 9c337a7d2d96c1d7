//! Which octet may stand where, and scans that look at eight octets at a time.
//!
//! The classes are those of RFC 9110 §5.6.2 (token), §5.5 (field value) and RFC 3986 §3 (target).

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const VALUE: u8 = 4;
const HOST: u8 = 8;

// URI characters that the ABNF leaves out of path and query, but that browsers send as they are
// (`?a[]=1`, `?x={y}`): harmless here, since the target ends at SP and is decoded octet by octet.
const TARGET_TOLERATED: &[u8] = b"[]{}|^`";

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut class = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let o = octet as u8;
        let alphanumeric = o.is_ascii_alphanumeric();
        if alphanumeric || contains(b"!#$%&'*+-.^_`|~", o) {
            class[octet] |= TOKEN;
        }
        if alphanumeric || contains(b"-._~!$&'()*+,;=:@/?%", o) || contains(TARGET_TOLERATED, o) {
            class[octet] |= TARGET;
        }
        // field-vchar, obs-text, SP and HTAB.
        if o == b'\t' || (o >= b' ' && o != 0x7f) {
            class[octet] |= VALUE;
        }
        if alphanumeric || contains(b"-._~!$&'()*+,;=%", o) {
            class[octet] |= HOST;
        }
        octet += 1;
    }
    class
}

const fn contains(set: &[u8], octet: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == octet {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether `octet` is a `tchar`.
#[inline]
pub(crate) fn is_token(octet: u8) -> bool {
    CLASS[usize::from(octet)] & TOKEN != 0
}

/// Whether `octet` may stand in a field value.
#[inline]
pub(crate) fn is_value(octet: u8) -> bool {
    CLASS[usize::from(octet)] & VALUE != 0
}

/// Whether `octet` may stand in a `reg-name` (RFC 3986 §3.2.2).
#[inline]
pub(crate) fn is_host(octet: u8) -> bool {
    CLASS[usize::from(octet)] & HOST != 0
}

/// Offset of the first octet at or after `from` that is no `tchar`; the length when all are.
#[inline]
pub(crate) fn token_end(octets: &[u8], from: usize) -> usize {
    class_end(octets, from, TOKEN)
}

/// Offset of the first octet at or after `from` that cannot stand in a request target.
#[inline]
pub(crate) fn target_end(octets: &[u8], from: usize) -> usize {
    class_end(octets, from, TARGET)
}

#[inline]
fn class_end(octets: &[u8], from: usize, class: u8) -> usize {
    let mut at = from;
    while let Some(&octet) = octets.get(at) {
        if CLASS[usize::from(octet)] & class == 0 {
            break;
        }
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// Offset of the first octet at or after `from` that cannot stand in a field value: a control
/// character other than HTAB, or DEL. That is where the line ends, or where it is broken.
#[inline]
pub(crate) fn value_end(octets: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = octets.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        // The high bit of each lane below 0x20 or equal to 0x7f. The lowest such lane is exact (a
        // borrow can only spoil lanes above it), and HTAB is looked at one by one.
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let del = (word ^ (ONES * 0x7f)).wrapping_sub(ONES) & !(word ^ (ONES * 0x7f));
        let found = (below | del) & HIGHS;
        if found == 0 {
            at += 8;
            continue;
        }
        at += found.trailing_zeros() as usize / 8;
        if CLASS[usize::from(octets[at])] & VALUE == 0 {
            return at;
        }
        at += 1;
    }
    class_end(octets, at, VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_at_a_time_finds_what_one_at_a_time_finds() {
        for octet in 0..=255u8 {
            for place in 0..24 {
                for fill in [b'a', 0xff, b'\t', b' ', 0x80] {
                    let mut octets = [fill; 24];
                    octets[place] = octet;
                    for from in 0..4 {
                        assert_eq!(
                            value_end(&octets, from),
                            class_end(&octets, from, VALUE),
                            "{octet:#x} at {place}"
                        );
                    }
                }
            }
        }
        assert_eq!(value_end(b"ab", 2), 2);
        assert_eq!(value_end(b"ab", 7), 7);
    }

    #[test]
    fn classes_hold_exactly_what_the_grammar_says() {
        let tokens = (0..=255u8).filter(|&o| is_token(o)).count();
        assert_eq!(tokens, 26 * 2 + 10 + 15);
        let values = (0..=255u8).filter(|&o| CLASS[usize::from(o)] & VALUE != 0).count();
        assert_eq!(values, 256 - 32 - 1 + 1, "all but the controls and DEL, and HTAB");
        for octet in *b"\"<>\\# \r\n\0\x7f\x80" {
            assert_eq!(target_end(&[octet], 0), 0, "{octet:#x}");
        }
    }
}
