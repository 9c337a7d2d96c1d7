//! Content codings: which ones a client takes, and which of those that are there it gets
//! (RFC 9110 §8.4, §12.5.3).
//!
//! Pure: the compressors themselves are in `io`.

/// A content coding that the server can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its place in [`Coding::ALL`].
    #[must_use]
    pub const fn place(self) -> usize {
        self as usize
    }

    /// Its name in Content-Encoding.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the names of files with this coding end in, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Brotli => "br",
            Self::Gzip => "gz",
        }
    }

    /// The coding with this name or extension.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| coding.name() == name || coding.extension() == name)
    }
}

/// Weights of Accept-Encoding in thousandths: how much a client wants each coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    coded: [u16; Coding::ALL.len()],
    identity: u16,
}

impl Accepted {
    /// What a client takes that says nothing about it: the content as it is.
    pub const PLAIN: Self = Self { coded: [0; 3], identity: 1000 };

    /// Reads the values of all Accept-Encoding fields of a request. A member that cannot be read is as
    /// if it were not there.
    #[must_use]
    #[doc(alias = "Accept-Encoding")]
    pub fn read<'v>(values: impl Iterator<Item = &'v [u8]>) -> Self {
        let mut coded = [None; 3];
        let (mut identity, mut any) = (None, None);
        for member in values.flat_map(|value| value.split(|&octet| octet == b',')) {
            let (name, weight) = match member.iter().position(|&octet| octet == b';') {
                Some(mark) => (&member[..mark], weight(&member[mark + 1..])),
                None => (member, Some(1000)),
            };
            let (name, Some(weight)) = (name.trim_ascii(), weight) else { continue };
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
            if is("*") {
                any = Some(weight);
            } else if is("identity") {
                identity = Some(weight);
            } else if is("x-gzip") {
                // RFC 9110 §8.4.1.3.
                coded[Coding::Gzip.place()] = Some(weight);
            } else if let Some(coding) = Coding::ALL.into_iter().find(|coding| is(coding.name())) {
                coded[coding.place()] = Some(weight);
            }
        }
        Self {
            coded: coded.map(|weight| weight.or(any).unwrap_or(0)),
            // Not named, it is the last choice, unless `*` excludes it.
            identity: identity.unwrap_or(if any == Some(0) { 0 } else { 1 }),
        }
    }

    /// Of the codings that are there, best first, the one to send; `None` for the content as it is, which
    /// is sent even to a client that does not want it rather than nothing (RFC 9110 §12.5.3).
    #[must_use]
    pub fn choose(&self, there: impl Iterator<Item = Coding>) -> Option<Coding> {
        let mut best = None;
        let mut weight = 0;
        for coding in there {
            let wanted = self.coded[coding.place()];
            if wanted > weight && wanted >= self.identity {
                (best, weight) = (Some(coding), wanted);
            }
        }
        best
    }

    /// Whether nothing but the content as it is will do.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.coded == [0; 3]
    }
}

/// The weight of `q=0.5` in thousandths; one of no other parameter is known (RFC 9110 §12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let value = parameter.trim_ascii();
    let value = value.strip_prefix(b"q=").or_else(|| value.strip_prefix(b"Q="))?;
    let (whole, rest) = value.split_first()?;
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut worth = 100;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths += u16::from(digit - b'0') * worth;
        worth /= 10;
    }
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Zstd};

    #[track_caller]
    fn check(accept: &str, there: &[Coding], expected: Option<Coding>) {
        let accepted = Accepted::read(std::iter::once(accept.as_bytes()));
        assert_eq!(accepted.choose(there.iter().copied()), expected, "{accept:?}");
    }

    #[test]
    fn the_coding_with_the_greatest_weight_is_sent_and_the_servers_order_breaks_ties() {
        let all = &Coding::ALL;
        check("gzip, deflate, br, zstd", all, Some(Zstd));
        check("gzip, deflate, br", all, Some(Brotli));
        check("gzip, br", &[Gzip, Brotli], Some(Gzip));
        check("gzip;q=1.0, br;q=0.5", all, Some(Gzip));
        check("gzip;q=0.8 , zstd; q=0.3 ,br;q=0.812", all, Some(Brotli));
        check("x-gzip", all, Some(Gzip));
        check("GZIP", all, Some(Gzip));
        check("*", all, Some(Zstd));
        check("*;q=0.1, gzip;q=0", all, Some(Zstd));
        check("*;q=0.1, zstd;q=0", &[Zstd, Gzip], Some(Gzip));
    }

    #[test]
    fn the_content_goes_as_it_is_to_whoever_wants_no_coding_or_cannot_say_so() {
        let all = &Coding::ALL;
        for accept in
            ["", "identity", "deflate", "gzip;q=0", "gzip;q=0.0, *;q=0", "gzip;q=2", "gzip;q=0.1234"]
        {
            check(accept, all, None);
        }
        check("gzip;q=0.5, identity;q=0.6", all, None);
        check("gzip;q=0.5, identity;q=0.5", all, Some(Gzip));
        check("gzip", &[], None);
        check("gzip", &[Brotli], None);
        assert!(Accepted::read(std::iter::empty()).is_plain() && Accepted::PLAIN.is_plain());
    }
}
