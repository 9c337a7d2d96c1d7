//! Written values become typed ones; what does not fit is told with what to write instead.

use core::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::values::Held;
use super::{Cidr, Entry, Item, Key, Kind, Listen, Preset, Secret, Section, Value, Values, Written, units};

/// Longest text that a key takes, in octets.
pub const TEXT_OCTETS_MAX: usize = 64 * 1024;
/// Most items in one list or array of tables.
pub const LIST_ITEMS_MAX: usize = 4096;

/// One place in the file that cannot stand as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// A name that is not declared in its table.
    Unknown {
        /// Where the name stands, in octets from the start of the file.
        at: Range<usize>,
        /// The table it stands in: `dns`, `dns.zone`.
        table: String,
        /// The name.
        name: String,
        /// The names that are declared there.
        known: Vec<&'static str>,
    },
    /// A value that its key does not take.
    Value {
        /// Where it stands, in octets from the start of the file.
        at: Range<usize>,
        /// What is wrong: `dns.idle wants a duration, not the number 30`.
        what: String,
        /// What to write instead.
        fix: String,
    },
}

impl Wrong {
    /// A value that is wrong for a reason only its protocol's crate can see, for use in a check of
    /// its own after reading: `at` comes from [`Values::at`].
    #[must_use]
    pub fn value(at: Range<usize>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Value { at, what: what.into(), fix: fix.into() }
    }

    /// Where it stands, in octets from the start of the file.
    #[must_use]
    pub fn at(&self) -> &Range<usize> {
        match self {
            Self::Unknown { at, .. } | Self::Value { at, .. } => at,
        }
    }
}

impl Section {
    /// The values of this table as `entries` write it. Relative paths start at `folder`.
    ///
    /// All that is wrong is pushed to `wrongs`, in the order of the file; the default stands in for
    /// a wrong value so that the rest can be checked, but nothing should run on such values.
    #[must_use]
    pub fn read(&self, entries: &[Entry], folder: &Path, wrongs: &mut Vec<Wrong>) -> Values {
        Reading { folder, wrongs }.table(self.name, self.keys, entries, 0..0)
    }

    /// The values of this table when nothing is written. Relative paths stay relative.
    ///
    /// # Panics
    /// When a declared default does not fit its own key.
    #[must_use]
    pub fn defaults(&self) -> Values {
        self.read(&[], Path::new(""), &mut Vec::new())
    }
}

struct Reading<'a> {
    folder: &'a Path,
    wrongs: &'a mut Vec<Wrong>,
}

impl Reading<'_> {
    fn table(&mut self, table: &str, keys: &'static [Key], entries: &[Entry], at: Range<usize>) -> Values {
        let mut held: Vec<Held> = keys.iter().map(|key| self.preset(table, key)).collect();
        for entry in entries {
            let Some(index) = keys.iter().position(|key| key.name == entry.name) else {
                self.wrongs.push(Wrong::Unknown {
                    at: entry.at.clone(),
                    table: table.to_owned(),
                    name: entry.name.clone(),
                    known: keys.iter().map(|key| key.name).collect(),
                });
                continue;
            };
            let key = &keys[index];
            let value = match &key.kind {
                Kind::Tables(keys) => self.tables(table, key.name, keys, &entry.item),
                kind => self.value(table, key.name, kind, &entry.item),
            };
            if value.is_some() {
                held[index] = Held { value, at: Some(entry.item.at.clone()) };
            }
        }
        for key in keys.iter().filter(|key| key.default == Preset::Required) {
            if !entries.iter().any(|entry| entry.name == key.name) {
                self.wrongs.push(Wrong::value(
                    at.clone(),
                    format!("this [[{table}]] has no `{}`", key.name),
                    format!("add `{} = {}`", key.name, key.kind.example()),
                ));
            }
        }
        Values { table: table.to_owned(), keys, held }
    }

    fn preset(&mut self, table: &str, key: &Key) -> Held {
        let Some(written) = Written::preset(key.default) else { return Held::default() };
        let item = Item { at: 0..0, written };
        let mut wrongs = Vec::new();
        let mut reading = Reading { folder: self.folder, wrongs: &mut wrongs };
        let value = match (&key.kind, &item.written) {
            (Kind::Tables(_), Written::List(items)) if items.is_empty() => Some(Value::Tables(Vec::new())),
            (kind, _) => reading.value(table, key.name, kind, &item),
        };
        assert!(value.is_some(), "the default of `{table}.{}` does not fit: {wrongs:?}", key.name);
        Held { value, at: None }
    }

    fn tables(&mut self, table: &str, name: &str, keys: &'static [Key], item: &Item) -> Option<Value> {
        let path = format!("{table}.{name}");
        let Written::List(items) = &item.written else {
            let fix = format!("write the header [[{path}]] with double brackets, once for each");
            self.wrong(&item.at, format!("`{path}` is an array of tables, not {}", item.written.noun()), fix);
            return None;
        };
        self.count(&path, items, &item.at)?;
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            match &item.written {
                Written::Table(entries) => tables.push(self.table(&path, keys, entries, item.at.clone())),
                other => {
                    let what = format!("`{path}` is an array of tables, not {}", other.noun());
                    self.wrong(&item.at, what, format!("write the header [[{path}]], once for each"));
                }
            }
        }
        Some(Value::Tables(tables))
    }

    fn value(&mut self, table: &str, name: &str, kind: &Kind, item: &Item) -> Option<Value> {
        let key = format!("{table}.{name}");
        match (kind, &item.written) {
            (Kind::List(kind), Written::List(items)) => {
                self.count(&key, items, &item.at)?;
                let before = self.wrongs.len();
                let values = items.iter().filter_map(|item| self.item(&key, "", kind, item)).collect();
                (self.wrongs.len() == before).then_some(Value::List(values))
            }
            (Kind::Listen, Written::List(items)) => {
                self.count(&key, items, &item.at)?;
                let before = self.wrongs.len();
                let mut places = Vec::with_capacity(items.len());
                for item in items {
                    if let Some(Value::Listen(place)) = self.item(&key, "", &Kind::Listen, item) {
                        places.extend(place);
                    }
                }
                (self.wrongs.len() == before).then_some(Value::Listen(places))
            }
            (kind, _) => self.item(&key, &format!("{name} = "), kind, item),
        }
    }

    /// Reads what is no list; `before` is what stands before the value in an example.
    fn item(&mut self, key: &str, before: &str, kind: &Kind, item: &Item) -> Option<Value> {
        let written = &item.written;
        let (what, fix) = match single(before, kind, written, self.folder) {
            Ok(value) => return Some(value),
            Err((Because::Kind, fix)) => {
                (format!("`{key}` wants {}, not {}", kind.noun(), written.noun()), fix)
            }
            Err((Because::Text, fix)) => (format!("`{key}` wants {}", kind.noun()), fix),
            Err((Because::Limits, fix)) => (format!("`{key}` is outside its limits"), fix),
        };
        self.wrong(&item.at, what, fix);
        None
    }

    fn count(&mut self, key: &str, items: &[Item], at: &Range<usize>) -> Option<()> {
        if items.len() > LIST_ITEMS_MAX {
            let what = format!("`{key}` has {} items", items.len());
            self.wrong(at, what, format!("write at most {LIST_ITEMS_MAX}"));
            return None;
        }
        Some(())
    }

    fn wrong(&mut self, at: &Range<usize>, what: String, fix: String) {
        self.wrongs.push(Wrong::value(at.clone(), what, fix));
    }
}

/// Why a value was refused.
enum Because {
    /// TOML's own type cannot hold it.
    Kind,
    /// The text does not parse.
    Text,
    /// It parses, but is too small or too large.
    Limits,
}

/// Reads anything that is neither a list nor tables. The error carries what to write instead.
fn single(before: &str, kind: &Kind, written: &Written, folder: &Path) -> Result<Value, (Because, String)> {
    if let Written::Text(text) = written
        && text.len() > TEXT_OCTETS_MAX
    {
        return Err((Because::Limits, format!("write at most {TEXT_OCTETS_MAX} octets")));
    }
    match (kind, written) {
        (Kind::Bool, Written::Bool(value)) => Ok(Value::Bool(*value)),
        (Kind::Integer { min, max, .. }, Written::Integer(value)) => {
            within(kind, value, min, max)?;
            Ok(Value::Integer(*value))
        }
        (Kind::Duration { min, max }, Written::Text(text)) => {
            let span = units::duration(text).map_err(|fix| (Because::Text, fix))?;
            within(kind, &span, min, max)?;
            Ok(Value::Duration(span))
        }
        (Kind::Duration { .. }, Written::Integer(number)) => {
            Err((Because::Kind, format!("give it a unit: `{before}\"{number}s\"` for seconds")))
        }
        (Kind::Size { min, max }, Written::Text(_) | Written::Integer(_)) => {
            let octets = match written {
                Written::Text(text) => units::size(text).map_err(|fix| (Because::Text, fix))?,
                Written::Integer(number) => u64::try_from(*number).unwrap_or(0),
                _ => 0,
            };
            within(kind, &octets, min, max)?;
            Ok(Value::Size(octets))
        }
        (Kind::Percent, Written::Integer(_) | Written::Float(_) | Written::Text(_)) => {
            let percent = match written {
                Written::Integer(number) => *number as f64,
                Written::Float(number) => *number,
                Written::Text(text) => {
                    let number = text.trim().trim_end_matches('%').trim_end();
                    number
                        .parse()
                        .map_err(|_| (Because::Text, "write it as `5`, `2.5` or \"5%\"".to_owned()))?
                }
                _ => 0.0,
            };
            within(kind, &percent, &0.0, &100.0)?;
            Ok(Value::Percent(percent))
        }
        (Kind::Text, Written::Text(text)) => Ok(Value::Text(text.clone())),
        (Kind::DomainName, Written::Text(text)) => {
            domain_name(text).map(Value::Text).map_err(|fix| (Because::Text, fix))
        }
        (Kind::Path, Written::Text(text)) => path(text, folder).map(Value::Path),
        (Kind::Address, Written::Text(text)) => text
            .parse::<IpAddr>()
            .map(Value::Address)
            .map_err(|_| (Because::Text, format!("`{text}` is not an IPv4 or IPv6 address"))),
        (Kind::Cidr, Written::Text(text)) => {
            Cidr::from_str(text).map(Value::Cidr).map_err(|fix| (Because::Text, fix))
        }
        (Kind::Listen, Written::Integer(port)) => match u16::try_from(*port) {
            Ok(port) => Ok(Value::Listen(vec![Listen { address: None, port }])),
            Err(_) => Err((Because::Limits, "a port is a number from 0 to 65535".to_owned())),
        },
        (Kind::Listen, Written::Text(text)) => {
            Listen::from_str(text).map(|place| Value::Listen(vec![place])).map_err(|fix| (Because::Text, fix))
        }
        (Kind::Choice(words), Written::Text(text)) => {
            if words.contains(&text.as_str()) {
                return Ok(Value::Text(text.clone()));
            }
            Err((Because::Text, format!("write one of {}", kind.limits().unwrap_or_default())))
        }
        (Kind::Secret, Written::Text(text)) => Ok(Value::Secret(Secret::Literal(text.clone()))),
        (Kind::Secret, Written::Table(entries)) => secret(entries, folder),
        (kind, _) => Err((Because::Kind, format!("write for example `{before}{}`", kind.example()))),
    }
}

fn within<T: PartialOrd>(kind: &Kind, value: &T, min: &T, max: &T) -> Result<(), (Because, String)> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err((Because::Limits, format!("allowed is {}", kind.limits().unwrap_or_default())))
}

fn path(text: &str, folder: &Path) -> Result<PathBuf, (Because, String)> {
    if text.is_empty() || text.contains('\0') {
        return Err((Because::Text, "write a file or folder; \".\" is the config file's folder".to_owned()));
    }
    Ok(folder.join(text.strip_prefix("./").filter(|rest| !rest.is_empty()).unwrap_or(text)))
}

fn secret(entries: &[Entry], folder: &Path) -> Result<Value, (Because, String)> {
    if let [Entry { name, item: Item { written: Written::Text(text), .. }, .. }] = entries {
        match name.as_str() {
            "file" => return Ok(Value::Secret(Secret::File(path(text, folder)?))),
            "env" => return Ok(Value::Secret(Secret::Env(text.clone()))),
            _ => {}
        }
    }
    Err((Because::Text, "write it in quotes, as { file = \"…\" }, or as { env = \"…\" }".to_owned()))
}

// RFC 1035 §2.3.1 for the limits of labels and names; `_` as RFC 8552 uses it.
fn domain_name(text: &str) -> Result<String, String> {
    if text == "." {
        return Ok(text.to_owned());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if !name.is_ascii() {
        return Err("write the name in ASCII, each foreign label in its xn-- form".to_owned());
    }
    if name.len() > 253 {
        return Err("a name has at most 253 octets".to_owned());
    }
    for label in name.strip_prefix("*.").unwrap_or(name).split('.') {
        if label.is_empty() {
            return Err("a label is missing; write it such as \"example.org\"".to_owned());
        }
        if label.len() > 63 {
            return Err(format!("a label has at most 63 octets; `{label}` has {}", label.len()));
        }
        if let Some(c) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
            return Err(format!("letters, digits, `-` and `_` are allowed, `{c}` is not"));
        }
    }
    Ok(name.to_ascii_lowercase())
}
