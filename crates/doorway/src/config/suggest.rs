//! The name that was meant.

use doorway_base::config::{Key, Kind};

use super::all_sections;

/// What to say about `name`, which is not among the `known` names of `table` (empty for the file's
/// top level): the nearest of them, the table it belongs to, or all of them.
pub(super) fn fix(table: &str, name: &str, known: &[&'static str]) -> String {
    if let Some(nearest) = nearest(name, known.iter().copied()) {
        return match table {
            "" => format!("did you mean [{nearest}]?"),
            _ => format!("did you mean `{nearest}`?"),
        };
    }
    if table.is_empty() {
        return format!("the tables are {}", known.join(", "));
    }
    home(name).unwrap_or_else(|| format!("its keys are {}", known.join(", ")))
}

/// The tables in which a key called `name`, or almost so, is at home; `None` when there is none.
pub(super) fn home(name: &str) -> Option<String> {
    let mut keys = Vec::new();
    for section in all_sections() {
        at_home(&mut keys, section.name.to_owned(), section.keys, false);
    }
    // Among the keys of all tables, some short one is like almost any short word.
    let long_enough = |key: &&'static str| name.len() > 3 || *key == name;
    let nearest = nearest(name, keys.iter().map(|(key, _)| *key).filter(long_enough))?;
    let homes: Vec<&str> =
        keys.iter().filter(|(key, _)| *key == nearest).map(|(_, table)| table.as_str()).collect();
    Some(format!("`{nearest}` is a key of {}", homes.join(" and of ")))
}

/// Gathers each key with its table, those of tables within tables too.
fn at_home(found: &mut Vec<(&'static str, String)>, table: String, keys: &'static [Key], many: bool) {
    let shown = if many { format!("[[{table}]]") } else { format!("[{table}]") };
    for key in keys {
        found.push((key.name, shown.clone()));
        if let Kind::Tables(inner) = key.kind {
            at_home(found, format!("{table}.{}", key.name), inner, true);
        }
    }
}

/// The name most like `name`, if one is so like it that it could be a slip.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = (name.chars().count() / 3).clamp(1, 3);
    let written = name.to_ascii_lowercase().replace('-', "_");
    known
        .map(|known| (strsim::damerau_levenshtein(&written, known), known))
        .filter(|(slips, known)| {
            *slips <= slips_max
                || written.len() >= 4
                    && (known.starts_with(&written) || written.starts_with(known) && known.len() >= 4)
        })
        .min()
        .map(|(_, known)| known)
}
