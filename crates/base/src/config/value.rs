//! Typed values.

use core::net::IpAddr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Cidr, Listen, Values, units};

/// One value, checked against its key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of [`Kind::Bool`](super::Kind::Bool).
    Bool(bool),
    /// Of [`Kind::Integer`](super::Kind::Integer).
    Integer(i64),
    /// Of [`Kind::Duration`](super::Kind::Duration).
    Duration(Duration),
    /// Of [`Kind::Size`](super::Kind::Size), in octets.
    Size(u64),
    /// Of [`Kind::Percent`](super::Kind::Percent), 0.0 to 100.0.
    Percent(f64),
    /// Of [`Kind::Text`](super::Kind::Text), [`Kind::Choice`](super::Kind::Choice), or
    /// [`Kind::DomainName`](super::Kind::DomainName): lower case, no final dot, `.` for the root.
    Text(String),
    /// Of [`Kind::Path`](super::Kind::Path), joined to the config file's folder.
    Path(PathBuf),
    /// Of [`Kind::Address`](super::Kind::Address).
    Address(IpAddr),
    /// Of [`Kind::Cidr`](super::Kind::Cidr).
    Cidr(Cidr),
    /// Of [`Kind::Listen`](super::Kind::Listen).
    Listen(Vec<Listen>),
    /// Of [`Kind::Secret`](super::Kind::Secret).
    Secret(Secret),
    /// Of [`Kind::List`](super::Kind::List).
    List(Vec<Value>),
    /// Of [`Kind::Tables`](super::Kind::Tables).
    Tables(Vec<Values>),
}

/// A secret, or where it is kept. It never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// It stands in the config file.
    Literal(String),
    /// It is the content of this file, without the last line's end.
    File(PathBuf),
    /// It is the value of this environment variable.
    Env(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Secret {
    /// In TOML, with a literal secret masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("\"********\""),
            Self::File(path) => write!(f, "{{ file = {} }}", quoted(&path.to_string_lossy())),
            Self::Env(name) => write!(f, "{{ env = {} }}", quoted(name)),
        }
    }
}

impl fmt::Display for Value {
    /// In TOML, secrets masked. [`Value::Tables`] have no form on one line: their number is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Duration(span) => write!(f, "\"{}\"", units::duration_text(*span)),
            Self::Size(octets) => write!(f, "\"{}\"", units::size_text(*octets)),
            Self::Percent(percent) => write!(f, "\"{percent}%\""),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Path(path) => f.write_str(&quoted(&path.to_string_lossy())),
            Self::Address(address) => write!(f, "\"{address}\""),
            Self::Cidr(cidr) => write!(f, "\"{cidr}\""),
            Self::Listen(places) => match places.as_slice() {
                [place] => f.write_str(&listen(place)),
                places => write!(f, "[{}]", places.iter().map(listen).collect::<Vec<_>>().join(", ")),
            },
            Self::Secret(secret) => write!(f, "{secret}"),
            Self::List(values) => {
                write!(f, "[{}]", values.iter().map(Self::to_string).collect::<Vec<_>>().join(", "))
            }
            Self::Tables(tables) => write!(f, "{} written", tables.len()),
        }
    }
}

fn listen(place: &Listen) -> String {
    match place.address {
        Some(_) => format!("\"{place}\""),
        None => place.port.to_string(),
    }
}

/// `text` as a TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
