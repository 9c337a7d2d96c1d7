//! PLAIN: name and password in one message (RFC 4616).

use doorway_base::Malformed;

/// Longest part of the message, in octets.
const PART_OCTETS_MAX: usize = 1024;

/// The message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Plain<'a> {
    /// For whom the user wants to act; mostly empty, for themselves.
    pub authorization: &'a str,
    /// Who logs in.
    pub name: &'a str,
    /// Their password.
    pub password: &'a str,
}

impl Plain<'_> {
    /// Whether the user wants to act for somebody else, which nobody may.
    #[must_use]
    pub fn acts_for_another(&self) -> bool {
        !self.authorization.is_empty() && self.authorization != self.name
    }
}

impl std::fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads the message.
///
/// # Errors
/// [`Malformed`] when it does not have three parts of UTF-8, each of at most 1024 octets, the last two not
/// empty.
pub fn read(message: &[u8]) -> Result<Plain<'_>, Malformed> {
    let text = core::str::from_utf8(message).map_err(|error| Malformed::new("UTF-8", error.valid_up_to()))?;
    let mut parts = text.split('\0');
    let mut part = || parts.next().filter(|part| part.len() <= PART_OCTETS_MAX);
    let wrong = Malformed::new("three parts with NUL between them", 0);
    let (authorization, name, password) = (part().ok_or(wrong)?, part().ok_or(wrong)?, part().ok_or(wrong)?);
    if parts.next().is_some() || name.is_empty() || password.is_empty() {
        return Err(wrong);
    }
    Ok(Plain { authorization, name, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_are_read() {
        let plain = read(b"\0tim\0tanstaaftanstaaf").expect("the example of RFC 4616");
        assert_eq!((plain.authorization, plain.name, plain.password), ("", "tim", "tanstaaftanstaaf"));
        assert!(!plain.acts_for_another());
        assert!(read(b"Ursel\0Kurt\0xipj3plmq").expect("another example").acts_for_another());
        assert!(!read(b"tim\0tim\0x").expect("for themselves").acts_for_another());
        let long = [b"\0tim\0".to_vec(), vec![b'x'; 1025]].concat();
        for wrong in [&b""[..], b"tim", b"\0tim", b"\0\0x", b"\0tim\0", b"\0tim\0x\0y", b"\0tim\0\xff", &long]
        {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
