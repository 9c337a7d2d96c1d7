//! `doorway config explain`: everything that is declared about a key, and where it stands now.

use doorway_base::config::{Key, Kind, Preset, Section, Values};
use serde_json::{Value, json};

use super::{Config, Place, all_sections, suggest};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, PLAIN, Table};

/// What was asked about, for people and for programs.
pub(crate) struct Explained {
    /// Lines for people.
    pub(crate) text: String,
    /// The same as a JSON document.
    pub(crate) document: Value,
}

/// Explains `name`: a key (`http.listen`, `dns.zone.name`), a table (`dns`), or with `None` the tables.
///
/// # Errors
/// When nothing of that name is declared; the nearest name is in the fix.
pub(crate) fn explain(config: &Config, name: Option<&str>) -> Result<Explained, Failure> {
    let Some(name) = name else { return Ok(overview()) };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let rest = |section: &'static Section| {
        let rest = name.strip_prefix(section.name)?;
        (rest.is_empty() || rest.starts_with('.')).then_some((section, rest))
    };
    // A table within another has the longer name.
    let Some((section, rest)) = all_sections().filter_map(rest).max_by_key(|(section, _)| section.name.len())
    else {
        return Err(unknown(name));
    };
    let path: Vec<&str> = rest.split('.').skip(1).collect();
    match path[..] {
        [] => Ok(table(section.name, section.help, section.keys, Some(config.section(section.name)))),
        [key] => {
            let key = section.key(key).ok_or_else(|| unknown(name))?;
            Ok(one(config, section, key, name, Some(config.section(section.name))))
        }
        [ref outer @ .., key] => {
            let mut keys = section.keys;
            for outer in outer {
                let outer = keys.iter().find(|key| key.name == *outer).ok_or_else(|| unknown(name))?;
                let Kind::Tables(inner) = outer.kind else { return Err(unknown(name)) };
                keys = inner;
            }
            let key = keys.iter().find(|inner| inner.name == key).ok_or_else(|| unknown(name))?;
            Ok(one(config, section, key, name, None))
        }
    }
}

/// Adds the names of `keys`, and of those within their tables.
fn add_names(known: &mut Vec<String>, within: &str, keys: &[Key]) {
    for key in keys {
        let name = format!("{within}.{}", key.name);
        if let Kind::Tables(keys) = key.kind {
            add_names(known, &name, keys);
        }
        known.push(name);
    }
}

fn unknown(name: &str) -> Failure {
    let mut known = Vec::new();
    for section in all_sections() {
        known.push(section.name.to_owned());
        add_names(&mut known, section.name, section.keys);
    }
    let fix = match meant(name, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`doorway config explain` lists the tables, and with a table its keys".to_owned(),
    };
    Failure::new(format!("there is no config key or table `{name}`")).fix(fix).exit(Exit::Wrong)
}

/// The name most like `name`, as a whole or, when the table was left out or is wrong, in its last word.
fn meant<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let last = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
    let whole = suggest::nearest(name, known.iter().map(String::as_str));
    whole.or_else(|| {
        let wanted = name.rsplit('.').next().unwrap_or(name);
        let nearest = suggest::nearest(wanted, known.iter().map(|known| last(known)))?;
        known.iter().map(String::as_str).find(|known| last(known) == nearest)
    })
}

fn overview() -> Explained {
    let mut tables = Table::new(&["table", "about"]);
    for section in all_sections() {
        tables.row([format!("[{}]", section.name), section.help.to_owned()]);
    }
    let document = all_sections().map(|section| json!({ "table": section.name, "help": section.help }));
    Explained {
        text: format!("{}\n`doorway config explain TABLE` lists a table's keys.", tables.render()),
        document: json!({ "tables": document.collect::<Vec<_>>() }),
    }
}

fn table(name: &str, help: &str, keys: &'static [Key], values: Option<&Values>) -> Explained {
    let mut rows = Table::new(&["key", "kind", "now", "about"]);
    for key in keys {
        let now = values.and_then(|values| values.value(key.name)).map(ToString::to_string);
        let about = key.help.split_once(". ").map_or(key.help.trim_end_matches('.'), |(first, _)| first);
        rows.row([
            key.name.to_owned(),
            kind(&key.kind).to_owned(),
            now.unwrap_or_default(),
            about.to_owned(),
        ]);
    }
    let document: Vec<Value> =
        keys.iter().map(|key| declared(&format!("{name}.{}", key.name), key)).collect();
    Explained {
        text: format!(
            "{BOLD}[{name}]{PLAIN}  {help}\n\n{}\n`doorway config explain {name}.KEY` tells more.",
            rows.render()
        ),
        document: json!({ "table": name, "help": help, "keys": document }),
    }
}

fn one(
    config: &Config,
    section: &Section,
    key: &'static Key,
    name: &str,
    values: Option<&Values>,
) -> Explained {
    if let Kind::Tables(keys) = key.kind {
        let mut explained = table(name, key.help, keys, None);
        let count = values.map_or(0, |values| values.tables(key.name).len());
        explained.text.push_str(&format!("\n\nnow: {count} written"));
        explained.document["written"] = json!(count);
        return explained;
    }
    let (shown, origin) = match values {
        Some(values) => {
            let place = config.source.as_ref().zip(values.at(key.name)).map(|(source, at)| {
                let Place { line, column } = source.place(at.start);
                format!("{}:{line}:{column}", source.path().display())
            });
            let shown = values.value(key.name).map_or_else(|| "unset".to_owned(), ToString::to_string);
            (shown, place)
        }
        None => (String::new(), None),
    };
    let mut rows = vec![("kind", key.kind.noun().to_owned())];
    rows.extend((!key.kind.unit().is_empty()).then(|| ("unit", key.kind.unit().to_owned())));
    rows.extend(key.kind.limits().map(|limits| ("limits", limits)));
    rows.push(("default", preset(key.default)));
    rows.push(("example", example(section, key, name)));
    if values.is_some() {
        rows.push(("now", format!("{shown}  ({})", origin.as_deref().unwrap_or("the default"))));
    }
    let mut text = format!("{BOLD}{name}{PLAIN}\n{}\n", key.help);
    for (word, what) in rows {
        text.push_str(&format!("\n  {DIM}{word:<8}{PLAIN} {}", what.replace('\n', "\n           ")));
    }
    let mut document = declared(name, key);
    if values.is_some() {
        document["now"] = json!(shown);
        document["from"] = json!(origin);
    }
    Explained { text, document }
}

fn example(section: &Section, key: &Key, name: &str) -> String {
    let header = match name.rsplit_once('.') {
        Some((table, _)) if table != section.name => format!("[[{table}]]"),
        _ => format!("[{}]", section.name),
    };
    let value = match key.default {
        Preset::Unset | Preset::Required | Preset::List([]) => key.kind.example(),
        default => default.to_string(),
    };
    format!("{header}\n{} = {value}", key.name)
}

fn declared(name: &str, key: &Key) -> Value {
    json!({
        "key": name,
        "kind": kind(&key.kind),
        "unit": Some(key.kind.unit()).filter(|unit| !unit.is_empty()),
        "limits": key.kind.limits(),
        "default": match key.default {
            Preset::Required | Preset::Unset => Value::Null,
            default => json!(default.to_string()),
        },
        "required": key.default == Preset::Required,
        "help": key.help,
    })
}

/// The default as people read it.
pub(super) fn preset(preset: Preset) -> String {
    match preset {
        Preset::Required => "none: it has to be written".to_owned(),
        Preset::Unset => "unset".to_owned(),
        preset => preset.to_string(),
    }
}

/// The kind in one word.
pub(super) fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Integer { .. } => "integer",
        Kind::Duration { .. } => "duration",
        Kind::Size { .. } => "size",
        Kind::Percent => "percent",
        Kind::Text => "text",
        Kind::DomainName => "domain name",
        Kind::Path => "path",
        Kind::Address => "address",
        Kind::Cidr => "network",
        Kind::Listen => "listen",
        Kind::Choice(_) => "choice",
        Kind::Secret => "secret",
        Kind::List(_) => "list",
        Kind::Tables(_) => "tables",
    }
}
