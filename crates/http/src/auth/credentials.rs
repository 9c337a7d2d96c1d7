//! The Authorization field (RFC 9110 §11.6.2): Basic (RFC 7617) and Bearer (RFC 6750 §2.1).

/// Longest field that is looked at, in octets.
pub const CREDENTIALS_OCTETS_MAX: usize = 4096;

/// What a client shows to prove who it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// How it shows it.
    pub bearer: bool,
    /// The user's name.
    pub name: String,
    /// The password; for a bearer an app password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("bearer", &self.bearer)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads an Authorization field; `None` when it is neither of the two schemes or does not fit its own.
    ///
    /// A bearer's token is the user's name, a full stop and an app password, so that nothing has to be searched
    /// for it.
    #[must_use]
    pub fn parse(field: &[u8]) -> Option<Self> {
        let field = field.get(..CREDENTIALS_OCTETS_MAX.min(field.len()))?;
        let space = field.iter().position(|&octet| octet == b' ')?;
        let (scheme, rest) = (&field[..space], field[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"Basic") {
            // RFC 7617 §2.1: UTF-8, as our challenge asks for. Neither part may hold control characters.
            let text = String::from_utf8(base64(rest)?).ok()?;
            let (name, password) = text.split_once(':')?;
            let is_text = |text: &str| !text.chars().any(char::is_control);
            (is_text(name) && is_text(password)).then(|| Self {
                bearer: false,
                name: name.to_owned(),
                password: password.to_owned(),
            })
        } else if scheme.eq_ignore_ascii_case(b"Bearer") {
            let token = std::str::from_utf8(rest).ok()?;
            let is_token68 = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
            let (name, password) = token.rsplit_once('.')?;
            token.bytes().all(is_token68).then(|| Self {
                bearer: true,
                name: name.to_owned(),
                password: password.to_owned(),
            })
        } else {
            None
        }
    }
}

/// Decodes base 64 with its padding (RFC 4648 §4); `None` for anything else.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |octet: u8| -> Option<u32> {
        Some(u32::from(match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take(3).take_while(|&&octet| octet == b'=').count();
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    let (last, whole) = (&text[text.len() - 4..], &text[..text.len() - 4]);
    for four in whole.chunks(4) {
        let bits = four.iter().try_fold(0, |bits, &octet| Some(bits << 6 | digit(octet)?))?;
        octets.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    let digits = &last[..4 - padding];
    let bits = digits.iter().try_fold(0, |bits, &octet| Some(bits << 6 | digit(octet)?))? << (6 * padding);
    let kept = match padding {
        0 => 3,
        1 => 2,
        2 => 1,
        _ => return None,
    };
    // Bits that no octet takes are zero, so that there is one way to write anything.
    let spare = bits & ((1 << (8 * (3 - kept))) - 1);
    octets.extend_from_slice(&bits.to_be_bytes()[1..=kept]);
    (spare == 0).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_or_they_are_none() {
        for (field, expected) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some((false, "Aladdin", "open sesame"))),
            ("Basic dGVzdDoxMjPCow==", Some((false, "test", "123£"))),
            ("basic   YTpi", Some((false, "a", "b"))),
            ("Basic YTo=", Some((false, "a", ""))),
            ("Basic OmI6Yw==", Some((false, "", "b:c"))),
            (
                "Bearer ann.aaaaaaa-aaaaaaa-aaaaaa-aaaaaa",
                Some((true, "ann", "aaaaaaa-aaaaaaa-aaaaaa-aaaaaa")),
            ),
            ("bearer a.b.secret", Some((true, "a.b", "secret"))),
            ("Basic", None),
            ("Basic ", None),
            ("Basic YTpi=", None),
            ("Basic YTp", None),
            ("Basic Y===", None),
            ("Basic YTq=", None),
            ("Basic YT pi", None),
            ("Basic YWI=", None),
            ("Basic YTr/", None),
            ("Basic YToK", None),
            ("Bearer nodot", None),
            ("Bearer a.b c", None),
            ("Digest username=\"a\"", None),
            ("", None),
        ] {
            let read = Credentials::parse(field.as_bytes());
            let read = read.as_ref().map(|read| (read.bearer, read.name.as_str(), read.password.as_str()));
            assert_eq!(read, expected, "{field}");
        }
        let whole = b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        for length in 0..whole.len() {
            let _ = Credentials::parse(&whole[..length]);
        }
        let told = format!("{:?}", Credentials::parse(b"Basic dGVzdDoxMjPCow==").unwrap());
        assert!(told.contains("test") && !told.contains("123"), "{told}");
    }
}
