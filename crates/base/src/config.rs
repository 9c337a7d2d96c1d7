//! Declaring what an operator may configure: each key once, with its kind, default, limits and help.
//!
//! One declaration feeds the reader, `doorway config explain`, `doorway init` and the reference page,
//! so they cannot disagree. A protocol's crate has
//!
//! ```
//! use doorway_base::config::{Key, Kind, Preset, Section, Values};
//! use std::time::Duration;
//!
//! pub const SECTION: Section = Section {
//!     name: "echo",
//!     help: "Sends back what it hears.",
//!     keys: &[Key {
//!         name: "idle",
//!         kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
//!         default: Preset::Text("30s"),
//!         help: "Silence after which a connection is closed.",
//!     }],
//! };
//!
//! pub struct Config {
//!     pub idle: Duration,
//! }
//!
//! impl Config {
//!     pub fn read(values: &Values) -> Self {
//!         Self { idle: values.duration("idle") }
//!     }
//! }
//!
//! assert_eq!(Config::read(&SECTION.defaults()).idle, Duration::from_secs(30));
//! ```
//!
//! | file | what it holds |
//! | --- | --- |
//! | `written.rs` | [`Item`]: a value as it stands in the file, with its place |
//! | `read.rs` | written values become typed ones, or [`Wrong`]s that say what to write instead |
//! | `value.rs` | [`Value`] and [`Secret`] |
//! | `values.rs` | [`Values`]: all keys of a table, defaults filled in |
//! | `units.rs` | durations and sizes as people write them |
//! | `address.rs` | [`Listen`] and [`Cidr`] |
//!
//! Not here: TOML and files. The binary parses the text and prints the errors.

mod address;
mod read;
pub mod units;
mod value;
mod values;
mod written;

use std::fmt;
use std::time::Duration;

pub use address::{Cidr, Listen};
pub use read::{LIST_ITEMS_MAX, TEXT_OCTETS_MAX, Wrong};
pub use value::{Secret, Value};
pub use values::Values;
pub use written::{Entry, Item, Written};

/// One table of the config file, such as `[dns]`.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// The table's name without brackets.
    pub name: &'static str,
    /// What the table is about, in one sentence.
    pub help: &'static str,
    /// Its keys, in the order in which people read about them.
    pub keys: &'static [Key],
}

/// One key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name as written in the file: the standard's noun, lower case, `_` between words.
    pub name: &'static str,
    /// What may be written there.
    pub kind: Kind,
    /// What holds when the key is not written.
    pub default: Preset,
    /// What it does, in one or two sentences that end in a full stop.
    pub help: &'static str,
}

/// What may be written for a key.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// Smallest number allowed.
        min: i64,
        /// Largest number allowed.
        max: i64,
        /// What is counted: `"connections"`; empty for a bare number.
        unit: &'static str,
    },
    /// A time span with its unit in quotes: `"30s"`, `"1h30m"`.
    Duration {
        /// Shortest span allowed.
        min: Duration,
        /// Longest span allowed.
        max: Duration,
    },
    /// A number of octets: `65536` or `"64KiB"`.
    Size {
        /// Fewest octets allowed.
        min: u64,
        /// Most octets allowed.
        max: u64,
    },
    /// 0 to 100: `5`, `2.5` or `"5%"`.
    Percent,
    /// Any text.
    Text,
    /// A domain name in ASCII, with or without its final dot; kept in lower case without it. Its first
    /// label may be `*`.
    DomainName,
    /// A file or folder; a relative one starts at the config file's folder.
    Path,
    /// An IPv4 or IPv6 address.
    Address,
    /// A network: `"192.168.0.0/16"`, or an address alone.
    Cidr,
    /// Where to listen: a port, `"address:port"`, or a list of them; an empty list for nowhere.
    Listen,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A secret: itself in quotes, `{ file = "…" }` or `{ env = "…" }`.
    Secret,
    /// A list of values of one kind.
    List(&'static Kind),
    /// An array of tables, such as `[[dns.zone]]`, with these keys each.
    Tables(&'static [Key]),
}

/// What holds when a key is not written, in the form it would be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The key has to be written; only sensible in an array of tables.
    Required,
    /// Nothing: ask [`Values::optional`].
    Unset,
    /// `true` or `false`.
    Bool(bool),
    /// A number, for [`Kind::Integer`], [`Kind::Size`], [`Kind::Percent`] or a port.
    Integer(i64),
    /// Text in quotes.
    Text(&'static str),
    /// A list of texts; the empty one also stands for "no tables".
    List(&'static [&'static str]),
}

impl Section {
    /// The key called `name`.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// What is wanted, as a noun with its article: `"a duration"`.
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Integer { .. } => "a whole number",
            Self::Duration { .. } => "a duration",
            Self::Size { .. } => "a size in octets",
            Self::Percent => "a percentage",
            Self::Text => "a text",
            Self::DomainName => "a domain name",
            Self::Path => "a path",
            Self::Address => "an IP address",
            Self::Cidr => "a network",
            Self::Listen => "a port, an address:port, or a list of them",
            Self::Choice(_) => "one of its own words",
            Self::Secret => "a secret",
            Self::List(_) => "a list",
            Self::Tables(_) => "an array of tables",
        }
    }

    /// A value as it could be written, in TOML.
    #[must_use]
    pub fn example(&self) -> String {
        match self {
            Self::Bool => "true".to_owned(),
            Self::Integer { min, max, .. } => 10.clamp(*min, *max).to_string(),
            Self::Duration { min, max } => {
                format!("\"{}\"", units::duration_text(Duration::from_secs(30).clamp(*min, *max)))
            }
            Self::Size { min, max } => format!("\"{}\"", units::size_text((64 << 10).clamp(*min, *max))),
            Self::Percent => "\"5%\"".to_owned(),
            Self::Text => "\"text\"".to_owned(),
            Self::DomainName => "\"example.org\"".to_owned(),
            Self::Path => "\"/srv/doorway\"".to_owned(),
            Self::Address => "\"192.0.2.1\"".to_owned(),
            Self::Cidr => "\"192.168.0.0/16\"".to_owned(),
            Self::Listen => "[8080, \"127.0.0.1:8081\"]".to_owned(),
            Self::Choice(words) => format!("\"{}\"", words.first().copied().unwrap_or_default()),
            Self::Secret => "{ file = \"/etc/doorway/secret\" }".to_owned(),
            Self::List(kind) => format!("[{}]", kind.example()),
            Self::Tables(_) => "[[…]]".to_owned(),
        }
    }

    /// The bounds or the words allowed, for people; `None` when anything of the kind will do.
    #[must_use]
    pub fn limits(&self) -> Option<String> {
        match self {
            Self::Integer { min, max, .. } => Some(format!("{min} to {max}")),
            Self::Duration { min, max } => {
                Some(format!("{} to {}", units::duration_text(*min), units::duration_text(*max)))
            }
            Self::Size { min, max } => {
                Some(format!("{} to {}", units::size_text(*min), units::size_text(*max)))
            }
            Self::Percent => Some("0 to 100".to_owned()),
            Self::Choice(words) => {
                Some(words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
            }
            Self::List(kind) => kind.limits().map(|limits| format!("each {limits}")),
            _ => None,
        }
    }

    /// What a number of this kind counts; empty when it counts nothing.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        match self {
            Self::Integer { unit, .. } => unit,
            Self::Duration { .. } => "us, ms, s, m, h or d",
            Self::Size { .. } => "octets",
            Self::Percent => "%",
            _ => "",
        }
    }
}

impl fmt::Display for Preset {
    /// In TOML; empty for [`Preset::Required`] and [`Preset::Unset`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required | Self::Unset => Ok(()),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(&value::quoted(text)),
            Self::List(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| value::quoted(text)).collect();
                write!(f, "[{}]", texts.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
