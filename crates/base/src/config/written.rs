//! Values as they stand in the file, before anybody has asked what they should have been.

use std::ops::Range;

use super::Preset;

/// One value and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Where it stands, in octets from the start of the file.
    pub at: Range<usize>,
    /// What stands there.
    pub written: Written,
}

/// One `name = value`, or one table with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The name before the `=` or between the brackets.
    pub name: String,
    /// Where the name stands, in octets from the start of the file.
    pub at: Range<usize>,
    /// What it was given.
    pub item: Item,
}

/// What TOML can express.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text in quotes, unescaped.
    Text(String),
    /// A date or a time, which no key of ours wants.
    Date,
    /// `[…]` or `[[…]]`.
    List(Vec<Item>),
    /// `{…}` or `[…]` as a header.
    Table(Vec<Entry>),
}

impl Written {
    /// What it is, for the sentence "wants a duration, not …".
    #[must_use]
    pub fn noun(&self) -> String {
        match self {
            Self::Bool(value) => format!("`{value}`"),
            Self::Integer(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Text(_) => "a text".to_owned(),
            Self::Date => "a date".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }

    /// The written form of a default; `None` when there is none.
    pub(super) fn preset(preset: Preset) -> Option<Self> {
        match preset {
            Preset::Required | Preset::Unset => None,
            Preset::Bool(value) => Some(Self::Bool(value)),
            Preset::Integer(value) => Some(Self::Integer(value)),
            Preset::Text(text) => Some(Self::Text(text.to_owned())),
            Preset::List(texts) => Some(Self::List(
                texts.iter().map(|text| Item { at: 0..0, written: Self::Text((*text).to_owned()) }).collect(),
            )),
        }
    }
}
