//! Whole files made from the declarations: `config show`, `init` and the reference page.

use doorway_base::config::{Key, Kind, Preset, Section, Value, Values};
use serde_json::{Map, Value as Json, json};

use super::{Config, all_sections, explain};

/// Width at which help is wrapped in comments.
const COMMENT_COLUMNS: usize = 96;

/// The config in force, as TOML: what is written as it stands, what is a default as a comment.
pub(crate) fn show(config: &Config) -> String {
    let mut text = match &config.source {
        Some(source) => format!("# The config in force, from {}.\n", source.path().display()),
        None => "# The config in force; there is no config file.\n".to_owned(),
    };
    text.push_str("# Lines that begin with `#` are defaults.\n");
    for (section, values) in config.sections() {
        text.push_str(&format!("\n[{}]\n", section.name));
        show_table(&mut text, section.name, values);
    }
    text
}

fn show_table(text: &mut String, name: &str, values: &Values) {
    for (key, value) in values.iter() {
        match value {
            Some(Value::Tables(_)) => {}
            Some(value) if values.at(key.name).is_some() => {
                text.push_str(&format!("{} = {value}\n", key.name))
            }
            Some(value) => text.push_str(&format!("# {} = {value}\n", key.name)),
            None => text.push_str(&format!("# {} is unset\n", key.name)),
        }
    }
    for (key, value) in values.iter() {
        let Some(Value::Tables(tables)) = value else { continue };
        for values in tables {
            text.push_str(&format!("\n[[{name}.{}]]\n", key.name));
            show_table(text, &format!("{name}.{}", key.name), values);
        }
    }
}

/// The same for programs: every table with every key, defaults too.
pub(crate) fn show_json(config: &Config) -> Json {
    let tables = config.sections().map(|(section, values)| (section.name.to_owned(), table_json(values)));
    Json::Object(tables.collect())
}

fn table_json(values: &Values) -> Json {
    let keys: Map<String, Json> = values
        .iter()
        .map(|(key, value)| (key.name.to_owned(), value.map_or(Json::Null, value_json)))
        .collect();
    Json::Object(keys)
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Integer(value) => json!(value),
        Value::Size(octets) => json!(octets),
        Value::Percent(percent) => json!(percent),
        Value::Text(text) => json!(text),
        Value::Listen(places) => places.iter().map(ToString::to_string).collect(),
        Value::List(values) => values.iter().map(value_json).collect(),
        Value::Tables(tables) => tables.iter().map(table_json).collect(),
        Value::Secret(_) => json!("********"),
        other => json!(other.to_string().trim_matches('"')),
    }
}

/// The file that `doorway init` writes: every table and key with its help, each at its default.
pub(crate) fn initial() -> String {
    let mut text = "# Doorway's config. Every key is here, commented out, with its default;\n\
                    # `doorway config explain KEY` tells more, `doorway check` says whether the file is right.\n"
        .to_owned();
    for section in all_sections() {
        text.push('\n');
        comment(&mut text, section.help);
        text.push_str(&format!("[{}]\n", section.name));
        initial_keys(&mut text, section.name, section.keys);
    }
    text
}

fn initial_keys(text: &mut String, name: &str, keys: &'static [Key]) {
    let (tables, plain): (Vec<&Key>, Vec<&Key>) =
        keys.iter().partition(|key| matches!(key.kind, Kind::Tables(_)));
    for key in plain {
        text.push('\n');
        comment(text, key.help);
        text.push_str(&format!("# {} = {}\n", key.name, sample(key)));
    }
    for key in tables {
        initial_tables(text, name, key);
    }
}

/// An array of tables, and those within its tables.
fn initial_tables(text: &mut String, within: &str, key: &Key) {
    let Kind::Tables(keys) = key.kind else { return };
    let name = format!("{within}.{}", key.name);
    text.push('\n');
    comment(text, key.help);
    text.push_str(&format!("# [[{name}]]\n"));
    let (tables, plain): (Vec<&Key>, Vec<&Key>) =
        keys.iter().partition(|key| matches!(key.kind, Kind::Tables(_)));
    for key in plain {
        text.push_str(&format!("# {} = {}\n", key.name, sample(key)));
    }
    for key in tables {
        initial_tables(text, &name, key);
    }
}

fn sample(key: &Key) -> String {
    match key.default {
        Preset::Required | Preset::Unset => key.kind.example(),
        default => default.to_string(),
    }
}

fn comment(text: &mut String, help: &str) {
    let mut line = "#".to_owned();
    for word in help.split_whitespace() {
        if line.len() + 1 + word.len() > COMMENT_COLUMNS {
            text.push_str(&line);
            text.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// The reference page, in Markdown.
pub(crate) fn reference() -> String {
    let mut text = "# Config reference\n\n\
        Made by `doorway config reference` from the declarations in the code; a test compares the two.\n\n\
        The file is TOML. `--config FILE` names it, else `$DOORWAY_CONFIG`, else `./doorway.toml`, else\n\
        `/etc/doorway/doorway.toml`; without any of them the defaults below are in force. Relative paths start\n\
        at the file's folder. Durations are written with their unit (`\"30s\"`, `\"1h30m\"`), sizes in octets or\n\
        with a unit (`65536`, `\"64KiB\"`), and a place to listen as a port (every address), as\n\
        `\"address:port\"`, or as a list of them.\n"
        .to_owned();
    for section in all_sections() {
        reference_section(&mut text, section);
    }
    text
}

fn reference_section(text: &mut String, section: &Section) {
    text.push_str(&format!("\n## [{}]\n\n{}\n", section.name, section.help));
    reference_keys(text, section.keys);
    reference_tables(text, section.name, section.keys);
}

/// The arrays of tables among `keys`, and those within their tables.
fn reference_tables(text: &mut String, within: &str, keys: &'static [Key]) {
    for key in keys {
        if let Kind::Tables(keys) = key.kind {
            let name = format!("{within}.{}", key.name);
            text.push_str(&format!("\n### [[{name}]]\n\n{}\n", key.help));
            reference_keys(text, keys);
            reference_tables(text, &name, keys);
        }
    }
}

fn reference_keys(text: &mut String, keys: &'static [Key]) {
    text.push_str("\n| key | kind | default | limits | what it does |\n| --- | --- | --- | --- | --- |\n");
    for key in keys.iter().filter(|key| !matches!(key.kind, Kind::Tables(_))) {
        let default = match key.default {
            Preset::Required | Preset::Unset => explain::preset(key.default),
            default => format!("`{default}`"),
        };
        let limits = key.kind.limits().unwrap_or_default();
        let unit = match key.kind {
            Kind::Integer { unit, .. } if !unit.is_empty() => format!(" {unit}"),
            _ => String::new(),
        };
        text.push_str(&format!(
            "| `{}` | {} | {default} | {limits}{unit} | {} |\n",
            key.name,
            explain::kind(&key.kind),
            key.help
        ));
    }
}
