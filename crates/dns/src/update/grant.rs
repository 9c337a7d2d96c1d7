//! Which requestor may change which records: RFC 3007 §3.

use core::net::IpAddr;
use std::fmt;
use std::str::FromStr;

use crate::transfer::grant::{Grant, allows};
use crate::wire::{Name, Type};

/// Types that one grant lists at most.
pub const TYPES_MAX: usize = 64;

/// Leave to change some records of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateGrant {
    who: Grant,
    /// `None` for every type.
    types: Option<Vec<Type>>,
    /// `None` for every name of the zone.
    names: Option<Names>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    One(Box<Name>),
    Below(Box<Name>),
}

impl FromStr for UpdateGrant {
    type Err = String;

    /// `"key:dhcp1"`, `"key:dhcp1 a,aaaa,txt"`, `"key:dhcp1 a,aaaa *.lan.example.org"`; `any` stands for
    /// every type, and a network for a key.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let who = words.next().unwrap_or_default().parse()?;
        let types = match words.next() {
            None => None,
            Some(word) if word.eq_ignore_ascii_case("any") => None,
            Some(list) => Some(types(list)?),
        };
        let names = match words.next() {
            None | Some("*") => None,
            Some(pattern) => Some(names(pattern)?),
        };
        match words.next() {
            Some(extra) => Err(format!("expected a key, types and a name; `{extra}` is one word too many")),
            None => Ok(Self { who, types, names }),
        }
    }
}

fn types(list: &str) -> Result<Vec<Type>, String> {
    let each = |word: &str| {
        let kind = Type::from_text(word.as_bytes()).filter(|kind| !kind.is_meta());
        kind.ok_or_else(|| format!("expected types such as a,aaaa,txt; `{word}` is none that a zone holds"))
    };
    let types: Vec<Type> = list.split(',').map(each).collect::<Result<_, _>>()?;
    if types.len() > TYPES_MAX { Err(format!("expected at most {TYPES_MAX} types")) } else { Ok(types) }
}

fn names(pattern: &str) -> Result<Names, String> {
    let (below, name) = match pattern.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, pattern),
    };
    let name: Name = name
        .parse()
        .map_err(|fault| format!("expected a name, or `*.` and a name for everything below it: {fault}"))?;
    Ok(if below { Names::Below(Box::new(name)) } else { Names::One(Box::new(name)) })
}

impl fmt::Display for UpdateGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.who)?;
        match &self.types {
            None => f.write_str("any")?,
            Some(types) => {
                let types: Vec<String> = types.iter().map(Type::to_string).collect();
                f.write_str(&types.join(",").to_ascii_lowercase())?;
            }
        }
        match &self.names {
            None => Ok(()),
            Some(Names::One(name)) => write!(f, " {name}"),
            Some(Names::Below(name)) => write!(f, " *.{name}"),
        }
    }
}

impl UpdateGrant {
    /// Whether it is for a request from `remote` that was signed with `key`.
    #[must_use]
    pub fn is_for(&self, remote: IpAddr, key: Option<&Name>) -> bool {
        allows(std::slice::from_ref(&self.who), remote, key)
    }

    /// The name of the key it is for, when it is for one.
    #[must_use]
    pub fn key(&self) -> Option<&Name> {
        match &self.who {
            Grant::Key(name) => Some(name),
            Grant::Network(_) => None,
        }
    }

    /// Whether records of `kind` at `name` may be changed under it.
    #[must_use]
    pub fn covers(&self, name: &Name, kind: Type) -> bool {
        let named = match &self.names {
            None => true,
            Some(Names::One(one)) => **one == *name,
            Some(Names::Below(above)) => name.is_within(above) && *name != **above,
        };
        named && self.types.as_ref().is_none_or(|types| types.contains(&kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_its_types_and_its_names() {
        let home: Name = "lan.example.org".parse().unwrap();
        let host: Name = "a.b.LAN.example.org".parse().unwrap();
        for (text, name, kind, covers) in [
            ("key:dhcp1", &home, Type::MX, true),
            ("key:dhcp1 any", &home, Type::MX, true),
            ("key:dhcp1 a,AAAA,txt", &home, Type::AAAA, true),
            ("key:dhcp1 a,aaaa,txt", &home, Type::MX, false),
            ("key:dhcp1 a *.lan.example.org", &host, Type::A, true),
            ("key:dhcp1 a *.lan.example.org", &home, Type::A, false),
            ("10.0.0.0/8 any lan.example.org", &home, Type::A, true),
            ("10.0.0.0/8 any lan.example.org", &host, Type::A, false),
        ] {
            let grant: UpdateGrant = text.parse().unwrap();
            assert_eq!(grant.covers(name, kind), covers, "{text}: {name} {kind}");
            assert_eq!(grant.to_string().parse(), Ok(grant.clone()), "{grant}");
        }
        for text in ["", "dhcp1", "key:x a,any", "key:x a b..c", "key:x a b c", "key:x nothing"] {
            assert!(text.parse::<UpdateGrant>().is_err(), "{text}");
        }
    }
}
