//! Addresses: a local part, `@`, and a domain or an address literal (RFC 5321 §4.1.2, §4.1.3), with
//! UTF-8 where SMTPUTF8 allows it (RFC 6531 §3.3). The brackets round a path and its parameters are
//! read by the command parser.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

use doorway_base::Malformed;

/// Longest local part, in octets (RFC 5321 §4.5.3.1.1).
pub const LOCAL_PART_OCTETS_MAX: usize = 64;
/// Longest domain, in octets (RFC 5321 §4.5.3.1.2).
pub const DOMAIN_OCTETS_MAX: usize = 255;

/// The part of an address behind its `@`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// A name, in lower case, as it was written otherwise; possibly with U-labels.
    Name(String),
    /// An address literal, such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

impl Domain {
    /// Reads a name or an address literal.
    ///
    /// # Errors
    /// [`Malformed`] with the octet at which something else was expected.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if let Some(rest) = text.strip_prefix('[') {
            return literal(rest).ok_or(Malformed::new("an address literal", 0));
        }
        if text.is_empty() || text.len() > DOMAIN_OCTETS_MAX {
            return Err(Malformed::new("a domain of 1 to 255 octets", text.len()));
        }
        let mut at = 0;
        for label in text.split('.') {
            let edges = [label.chars().next(), label.chars().last()];
            if label.len() > 63 || edges.iter().any(|edge| edge.is_none_or(|edge| edge == '-')) {
                return Err(Malformed::new("a label of letters and digits", at));
            }
            let wrong = |c: &(usize, char)| !(c.1.is_ascii_alphanumeric() || c.1 == '-' || !c.1.is_ascii());
            if let Some((offset, _)) = label.char_indices().find(wrong) {
                return Err(Malformed::new("a letter, a digit or a hyphen", at + offset));
            }
            at += label.len() + 1;
        }
        let name = if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() };
        let domain = Self::Name(name);
        if !text.is_ascii() && domain.ascii().is_none() {
            return Err(Malformed::new("a domain that IDNA allows", 0));
        }
        Ok(domain)
    }

    /// The name in ASCII, as DNS wants it (A-labels, RFC 5890); `None` for a literal.
    #[must_use]
    pub fn ascii(&self) -> Option<String> {
        match self {
            Self::Name(name) if name.is_ascii() => Some(name.clone()),
            Self::Name(name) => {
                idna::domain_to_ascii(name).ok().filter(|name| name.len() <= DOMAIN_OCTETS_MAX)
            }
            Self::Literal(_) => None,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

fn literal(rest: &str) -> Option<Domain> {
    let inside = rest.strip_suffix(']')?;
    let v6 = inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("ipv6:"));
    let address = match v6 {
        Some(_) => IpAddr::V6(inside[5..].parse::<Ipv6Addr>().ok()?),
        None => IpAddr::V4(inside.parse::<Ipv4Addr>().ok()?),
    };
    Some(Domain::Literal(address))
}

/// A mailbox: `local-part@domain`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// What is before the `@`, without quotes and escapes, its letters as they were written: only the
    /// domain's own server says what it means (RFC 5321 §2.4).
    pub local: String,
    /// What is behind it.
    pub domain: Domain,
}

impl Address {
    /// Reads an address without brackets.
    ///
    /// # Errors
    /// [`Malformed`] with the octet at which something else was expected.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (local, at) = if text.starts_with('"') { quoted(text)? } else { dot_string(text)? };
        if local.is_empty() || at > LOCAL_PART_OCTETS_MAX {
            return Err(Malformed::new("a local part of 1 to 64 octets", 0));
        }
        let rest = text.get(at..).and_then(|rest| rest.strip_prefix('@'));
        let rest = rest.ok_or(Malformed::new("`@` and a domain", at))?;
        let domain = Domain::parse(rest)
            .map_err(|malformed| Malformed::new(malformed.what, malformed.at_octet + at + 1))?;
        Ok(Self { local, domain })
    }

    /// Whether it can be written in ASCII alone, so that a server without SMTPUTF8 understands it.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && !matches!(&self.domain, Domain::Name(name) if !name.is_ascii())
    }
}

impl fmt::Display for Address {
    /// As a path has it, with quotes where they are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if dot_string(&self.local).is_ok_and(|(_, end)| end == self.local.len()) {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        write!(f, "@{}", self.domain)
    }
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

/// The dot-string at the start of `text`, and where it ends.
fn dot_string(text: &str) -> Result<(String, usize), Malformed> {
    let end = text.find(|c| !is_atext(c) && c != '.').unwrap_or(text.len());
    let local = &text[..end];
    if local.split('.').any(str::is_empty) {
        return Err(Malformed::new("a local part of atoms with single dots between them", end));
    }
    Ok((local.to_owned(), end))
}

/// The quoted string at the start of `text` without its quotes, and where it ends.
fn quoted(text: &str) -> Result<(String, usize), Malformed> {
    let mut local = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((local, at + 1)),
            '\\' => match chars.next() {
                Some((_, c @ ' '..='~')) => local.push(c),
                _ => return Err(Malformed::new("a printable character behind the backslash", at + 1)),
            },
            c if c.is_control() => return Err(Malformed::new("a printable character", at)),
            c => local.push(c),
        }
    }
    Err(Malformed::new("the closing quote", text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in [
            "alice@crepes.fr",
            "bob@hamburger.edu",
            "user+folder@example.test",
            "a.b.c@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "\"a b\"@example.test",
            "\"a\\\"b\"@example.test",
            "用户@例子.测试",
            "!#$%&'*+-/=?^_`{|}~@x",
        ] {
            let address = Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(address.to_string(), text);
        }
        let quoted = Address::parse("\"plain\"@EXAMPLE.Test").expect("quotes that are not needed");
        assert_eq!(quoted.to_string(), "plain@example.test");
        let domain = Address::parse("a@例子.测试").expect("U-labels").domain;
        assert_eq!(domain.ascii().as_deref(), Some("xn--fsqu00a.xn--0zwm56d"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@x", "a".repeat(65));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@x",
            ".a@x",
            "a.@x",
            "a..b@x",
            "a b@x",
            "a@x y",
            "a@-x",
            "a@x-",
            "a@x..y",
            "a@.x",
            "a@x.",
            "a@[1.2.3]",
            "a@[1.2.3.4",
            "a@[IPv6:1.2.3.4]",
            "\"a@x",
            "\"\"@x",
            "\"a\x07\"@x",
            "a@b@c",
            "a\r@x",
            "a@x\r\n",
            "<a@x>",
            "a(c)@x",
            "a,b@x",
            &long,
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_reads_back(text in "\\PC{0,40}|[a-z\"\\\\.@\\[\\]:0-9 ]{0,40}") {
            if let Ok(address) = Address::parse(&text) {
                let again = Address::parse(&address.to_string());
                prop_assert_eq!(again.ok(), Some(address));
            }
        }
    }
}
