//! Who may have a zone: networks, and keys that sign the request.

use core::net::IpAddr;
use std::fmt;
use std::str::FromStr;

use doorway_base::config::Cidr;

use crate::wire::Name;

/// How a key is written in a grant.
const KEY: &str = "key:";

/// One peer that may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Whoever signs with the key of this name.
    Key(Box<Name>),
    /// Whoever asks from this network, signed or not.
    Network(Cidr),
}

impl FromStr for Grant {
    type Err = String;

    /// `"key:sec1"`, `"192.0.2.0/24"`, `"2001:db8::1"`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(KEY) {
            Some(name) => match name.parse::<Name>() {
                Ok(name) => Ok(Self::Key(Box::new(name.lowered()))),
                Err(fault) => Err(format!("expected the name of a key after `{KEY}`: {fault}")),
            },
            None => text.parse().map(Self::Network).map_err(|why| {
                format!("expected a network such as 192.0.2.0/24, or `key:` and the name of a key; {why}")
            }),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "{KEY}{name}"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// Whether one of `grants` is for a request from `remote` that was signed with `key`.
#[must_use]
pub fn allows(grants: &[Grant], remote: IpAddr, key: Option<&Name>) -> bool {
    grants.iter().any(|grant| match grant {
        Grant::Key(name) => key == Some(&**name),
        Grant::Network(network) => network.contains(remote),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_for_its_key_or_its_network_and_for_nobody_else() {
        let grants: Vec<Grant> =
            ["key:Sec1", "192.0.2.0/24", "2001:db8::1"].iter().map(|text| text.parse().unwrap()).collect();
        let sec1: Name = "sec1".parse().unwrap();
        let sec2: Name = "sec2".parse().unwrap();
        for (remote, key, allowed) in [
            ("203.0.113.1", Some(&sec1), true),
            ("203.0.113.1", Some(&sec2), false),
            ("203.0.113.1", None, false),
            ("192.0.2.77", None, true),
            ("::ffff:192.0.2.77", Some(&sec2), true),
            ("2001:db8::1", None, true),
            ("2001:db8::2", None, false),
        ] {
            assert_eq!(allows(&grants, remote.parse().unwrap(), key), allowed, "{remote} {key:?}");
        }
        assert!(!allows(&[], "127.0.0.1".parse().unwrap(), None));
        for text in ["key:", "key:a..b", "sec1", "192.0.2.1/24", ""] {
            assert!(text.parse::<Grant>().is_err(), "{text}");
        }
    }
}
