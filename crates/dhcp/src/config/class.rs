//! `[[dhcp.class]]`: clients that have something in common.

use std::time::Duration;

use doorway_base::config::{Key, Kind, Preset, Values};

use super::settings::{self, SettingsConfig};
use super::{LEASE, WrongValue};
use crate::plan::Expression;

/// The keys of a class.
pub const KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        default: Preset::Required,
        help: "What the class is called; a range of a subnet's `pools` may be kept for it.",
    },
    Key {
        name: "when",
        kind: Kind::Text,
        default: Preset::Required,
        help: "Who belongs to it: \"arch == 7\", \"vendor-class starts 'PXEClient' and not user-class == 'iPXE'\", \
               \"mac starts 02:00\", \"giaddr in 10.8.0.0/16\", \"option[12]\" (it is there).",
    },
    Key {
        name: "refuse",
        kind: Kind::Bool,
        default: Preset::Bool(false),
        help: "Give these clients nothing at all.",
    },
    Key { name: "lease", kind: LEASE, default: Preset::Unset, help: "How long a lease of theirs is." },
    settings::ROUTERS,
    settings::DNS,
    settings::DOMAIN,
    settings::SEARCH,
    settings::NTP,
    settings::ROUTES,
    settings::OPTIONS,
    settings::NEXT_SERVER,
    settings::BOOT_FILE,
];

/// A class as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassConfig {
    /// Its name.
    pub name: String,
    /// Who belongs to it.
    pub when: Expression,
    /// Whether its clients get nothing.
    pub refuse: bool,
    /// How long a lease of theirs is.
    pub lease: Option<Duration>,
    /// What they get.
    pub settings: SettingsConfig,
}

impl ClassConfig {
    pub(super) fn read(values: &Values, wrong: &mut Vec<WrongValue>) -> Option<Self> {
        let text = values.text("when");
        let when = text.parse().map_err(|error| {
            wrong.push(WrongValue::new(values, "when", text, format!("mend the expression: {error}")));
        });
        Some(Self {
            name: values.text("name").to_owned(),
            when: when.ok()?,
            refuse: values.bool("refuse"),
            lease: values.optional("lease", Values::duration),
            settings: SettingsConfig::read(values, wrong),
        })
    }
}
