//! All keys of one table with their values, defaults filled in.

use core::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use super::{Cidr, Key, Kind, Listen, Preset, Secret, Value};

/// The resolved values of one table: each declared key has its written value or its default.
///
/// The accessors panic when the key is not declared, is declared with another kind, or is
/// [`Preset::Unset`] and not written: each is a mistake in our code, never in the operator's file.
#[derive(Debug, Clone)]
pub struct Values {
    pub(super) table: String,
    pub(super) keys: &'static [Key],
    /// One for each of `keys`.
    pub(super) held: Vec<Held>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Held {
    pub(super) value: Option<Value>,
    pub(super) at: Option<Range<usize>>,
}

impl PartialEq for Values {
    /// Whether every key has the same value, wherever it was written.
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
            && self.held.len() == other.held.len()
            && self.held.iter().zip(&other.held).all(|(a, b)| a.value == b.value)
    }
}

impl Values {
    /// Name of the table: `dns`, `dns.zone`.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Every key with its value, in the order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Key, Option<&Value>)> + '_ {
        self.keys.iter().zip(&self.held).map(|(key, held)| (key, held.value.as_ref()))
    }

    /// Where the value of `name` stands in the file, in octets; `None` when the default is in force.
    #[must_use]
    #[track_caller]
    pub fn at(&self, name: &str) -> Option<Range<usize>> {
        self.held(name).at.clone()
    }

    /// Reads a key that may be unset: `values.optional("file", Values::path)`.
    #[track_caller]
    pub fn optional<'a, T>(&'a self, name: &str, read: impl FnOnce(&'a Self, &str) -> T) -> Option<T> {
        self.held(name).value.is_some().then(|| read(self, name))
    }

    /// The value of `name`; `None` when it is unset.
    #[must_use]
    #[track_caller]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.held(name).value.as_ref()
    }

    /// A [`Kind::Bool`].
    #[must_use]
    #[track_caller]
    pub fn bool(&self, name: &str) -> bool {
        match self.set(name) {
            Value::Bool(value) => *value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Integer`].
    #[must_use]
    #[track_caller]
    pub fn integer(&self, name: &str) -> i64 {
        match self.set(name) {
            Value::Integer(value) => *value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Integer`] as a count. Declare it with a `min` of 0 or more: less counts as 0.
    #[must_use]
    #[track_caller]
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.integer(name).max(0)).unwrap_or(usize::MAX)
    }

    /// A [`Kind::Duration`].
    #[must_use]
    #[track_caller]
    pub fn duration(&self, name: &str) -> Duration {
        match self.set(name) {
            Value::Duration(value) => *value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Size`] in octets.
    #[must_use]
    #[track_caller]
    pub fn size(&self, name: &str) -> u64 {
        match self.set(name) {
            Value::Size(value) => *value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Percent`], 0.0 to 100.0.
    #[must_use]
    #[track_caller]
    pub fn percent(&self, name: &str) -> f64 {
        match self.set(name) {
            Value::Percent(value) => *value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Text`], [`Kind::Choice`] or [`Kind::DomainName`].
    #[must_use]
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        match self.set(name) {
            Value::Text(value) => value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Path`]; a relative one is already joined to the config file's folder.
    #[must_use]
    #[track_caller]
    pub fn path(&self, name: &str) -> &Path {
        match self.set(name) {
            Value::Path(value) => value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Address`].
    #[must_use]
    #[track_caller]
    pub fn address(&self, name: &str) -> IpAddr {
        match self.set(name) {
            Value::Address(value) => *value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Cidr`].
    #[must_use]
    #[track_caller]
    pub fn cidr(&self, name: &str) -> Cidr {
        match self.set(name) {
            Value::Cidr(value) => *value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Listen`]; empty for nowhere.
    #[must_use]
    #[track_caller]
    pub fn listen(&self, name: &str) -> &[Listen] {
        match self.set(name) {
            Value::Listen(value) => value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::Secret`].
    #[must_use]
    #[track_caller]
    pub fn secret(&self, name: &str) -> &Secret {
        match self.set(name) {
            Value::Secret(value) => value,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::List`].
    #[must_use]
    #[track_caller]
    pub fn list(&self, name: &str) -> &[Value] {
        match self.set(name) {
            Value::List(values) => values,
            other => self.wrong_kind(name, other),
        }
    }

    /// A [`Kind::List`] of texts, words or domain names.
    #[must_use]
    #[track_caller]
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.each(name, |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    /// A [`Kind::List`] of networks.
    #[must_use]
    #[track_caller]
    pub fn cidrs(&self, name: &str) -> Vec<Cidr> {
        self.each(name, |value| if let Value::Cidr(cidr) = value { Some(*cidr) } else { None })
    }

    /// A [`Kind::List`] of paths.
    #[must_use]
    #[track_caller]
    pub fn paths(&self, name: &str) -> Vec<&Path> {
        self.each(name, |value| if let Value::Path(path) = value { Some(path.as_path()) } else { None })
    }

    /// A [`Kind::Tables`]: the tables in the order they were written.
    #[must_use]
    #[track_caller]
    pub fn tables(&self, name: &str) -> &[Values] {
        match self.set(name) {
            Value::Tables(tables) => tables,
            other => self.wrong_kind(name, other),
        }
    }

    #[track_caller]
    fn each<'a, T>(&'a self, name: &str, of: impl Fn(&'a Value) -> Option<T>) -> Vec<T> {
        self.list(name)
            .iter()
            .map(|value| of(value).unwrap_or_else(|| self.wrong_kind(name, value)))
            .collect()
    }

    #[track_caller]
    fn held(&self, name: &str) -> &Held {
        match self.keys.iter().position(|key| key.name == name) {
            Some(index) => &self.held[index],
            None => panic!("key `{name}` is not declared in [{}]", self.table),
        }
    }

    #[track_caller]
    fn set(&self, name: &str) -> &Value {
        match &self.held(name).value {
            Some(value) => value,
            None => panic!("key `{name}` of [{}] is unset: ask `optional`", self.table),
        }
    }

    #[track_caller]
    fn wrong_kind(&self, name: &str, value: &Value) -> ! {
        panic!("key `{name}` of [{}] is declared with another kind; it holds {value}", self.table)
    }

    /// Whether every key that has to be written was.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.iter().all(|(key, value)| match value {
            None => key.default == Preset::Unset,
            Some(Value::Tables(tables)) if matches!(key.kind, Kind::Tables(_)) => {
                tables.iter().all(Self::is_complete)
            }
            Some(_) => true,
        })
    }
}
