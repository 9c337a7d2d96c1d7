//! Names in DNS form, one behind the other, with pointers to names before: option 119. RFC 3397, RFC 1035 §4.1.4.

use doorway_base::Malformed;

/// Most octets of a label: RFC 1035 §2.3.4.
const LABEL_OCTETS_MAX: usize = 63;
/// Most octets of a name with its length octets: RFC 1035 §2.3.4.
const NAME_OCTETS_MAX: usize = 255;
/// Most names that are read or written.
pub const NAMES_MAX: usize = 64;
/// What begins a pointer.
const POINTER: u8 = 0xc0;

/// Reads names, without a final dot. A pointer leads to an earlier octet, so that each name comes to an end.
///
/// # Errors
/// [`Malformed`] for a label or name that is too long, that is cut off or no text, and for a pointer forward.
pub fn read(value: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < value.len() {
        if names.len() == NAMES_MAX {
            return Err(Malformed::new("at most 64 names", at));
        }
        let (name, next) = read_name(value, at)?;
        names.push(name);
        at = next;
    }
    Ok(names)
}

/// Reads one name that begins at `at`; returns it, and where the next one begins.
///
/// # Errors
/// As [`read`].
pub fn read_name(value: &[u8], at: usize) -> Result<(String, usize), Malformed> {
    let mut name = String::new();
    let (mut at, mut lowest, mut next, mut octets) = (at, at, None, 0);
    loop {
        let &length = value.get(at).ok_or(Malformed::new("a label", at))?;
        match length {
            0 => return Ok((name, next.unwrap_or(at + 1))),
            POINTER.. => {
                let &low = value.get(at + 1).ok_or(Malformed::new("a pointer", at))?;
                let target = usize::from(length & !POINTER) << 8 | usize::from(low);
                if target >= lowest {
                    return Err(Malformed::new("a pointer to an earlier octet", at));
                }
                next.get_or_insert(at + 2);
                (at, lowest) = (target, target);
            }
            _ if usize::from(length) > LABEL_OCTETS_MAX => {
                return Err(Malformed::new("a label of at most 63 octets", at));
            }
            _ => {
                let end = at + 1 + usize::from(length);
                let label = value.get(at + 1..end).ok_or(Malformed::new("a whole label", at))?;
                octets += 1 + label.len();
                let plain = label.iter().all(|octet| octet.is_ascii_graphic() && *octet != b'.');
                if !plain || octets >= NAME_OCTETS_MAX {
                    return Err(Malformed::new("a name of printable characters", at));
                }
                if !name.is_empty() {
                    name.push('.');
                }
                name.extend(label.iter().map(|&octet| char::from(octet)));
                at = end;
            }
        }
    }
}

/// A name that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAName;

/// Writes names one behind the other; what a name ends with and an earlier one too becomes a pointer.
///
/// # Errors
/// [`NotAName`] for a name that is empty or too long or has an empty label, and for more than 64 names.
pub fn write(names: &[&str]) -> Result<Vec<u8>, NotAName> {
    let mut value = Vec::new();
    // What was written in full, with the place where it begins.
    let mut known: Vec<(&str, usize)> = Vec::new();
    if names.len() > NAMES_MAX {
        return Err(NotAName);
    }
    for name in names {
        let name = checked(name)?;
        let mut rest = name;
        loop {
            if let Some(&(_, at)) = known.iter().find(|(tail, _)| tail.eq_ignore_ascii_case(rest)) {
                value.extend_from_slice(&(u16::from(POINTER) << 8 | at as u16).to_be_bytes());
                break;
            }
            if value.len() < usize::from(POINTER) << 8 >> 2 {
                known.push((rest, value.len()));
            }
            let (label, tail) = rest.split_once('.').unwrap_or((rest, ""));
            put_label(&mut value, label);
            if tail.is_empty() {
                value.push(0);
                break;
            }
            rest = tail;
        }
    }
    Ok(value)
}

/// Writes one name in full.
///
/// # Errors
/// [`NotAName`] as [`write`] has it.
pub fn write_name(name: &str) -> Result<Vec<u8>, NotAName> {
    let mut value = Vec::with_capacity(name.len() + 2);
    for label in checked(name)?.split('.') {
        put_label(&mut value, label);
    }
    value.push(0);
    Ok(value)
}

/// The name without its final dot, if it is one.
fn checked(name: &str) -> Result<&str, NotAName> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=LABEL_OCTETS_MAX).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_graphic())
    };
    if name.len() + 2 > NAME_OCTETS_MAX || !name.split('.').all(label) {
        return Err(NotAName);
    }
    Ok(name)
}

fn put_label(value: &mut Vec<u8>, label: &str) {
    value.push(label.len() as u8);
    value.extend_from_slice(label.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        // RFC 3397 §2.
        let value = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04";
        assert_eq!(read(value), Ok(vec!["eng.apple.com".to_owned(), "marketing.apple.com".to_owned()]));
        assert_eq!(write(&["eng.apple.com", "marketing.apple.com."]), Ok(value.to_vec()));
    }

    #[test]
    fn names_that_are_cut_off_or_turn_in_circles_are_refused() {
        let value = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04";
        for length in [1, 5, 12, 16, value.len() - 1] {
            assert!(read(&value[..length]).is_err(), "{length}");
        }
        for circle in
            [&b"\xc0\x00"[..], b"\x01a\xc0\x00", b"\x01a\x00\xc0\x05", b"\x01a\x01b\xc0\x02", b"\x40aa"]
        {
            assert!(read(circle).is_err(), "{circle:?}");
        }
        for name in ["", ".", "a..b", &"a".repeat(64), &"abc.".repeat(64), "a b"] {
            assert_eq!(write(&[name]), Err(NotAName), "{name}");
        }
    }
}
