//! The `[store]` and `[auth]` tables: bounds and sizes, each with its default.

use doorway_base::config::{Key, Kind, Preset, Section, Values};

use crate::password::{self, PASSWORD_MIN};

/// `[store]`
pub const SECTION: Section = Section {
    name: "store",
    help: "Keeps what must not be lost: users, sessions, and what the protocols acknowledge.",
    keys: &[
        Key {
            name: "min_free",
            kind: Kind::Size { min: 0, max: 1 << 50 },
            default: Preset::Text("256MiB"),
            help: "Octets of the disk that are left alone; with less room new data is refused for now.",
        },
        Key {
            name: "queue_max",
            kind: Kind::Integer { min: 1, max: 1 << 20, unit: "batches" },
            default: Preset::Integer(8192),
            help: "Writes that may wait; one more is refused for now.",
        },
        Key {
            name: "group_max",
            kind: Kind::Integer { min: 1, max: 1 << 16, unit: "batches" },
            default: Preset::Integer(512),
            help: "Writes that are made durable together at most.",
        },
        Key {
            name: "readers",
            kind: Kind::Integer { min: 1, max: 64, unit: "threads" },
            default: Preset::Integer(4),
            help: "Threads that read the database.",
        },
        Key {
            name: "read_queue_max",
            kind: Kind::Integer { min: 1, max: 1 << 20, unit: "reads" },
            default: Preset::Integer(8192),
            help: "Reads that may wait for a thread; one more is refused for now.",
        },
        Key {
            name: "flush_octets",
            kind: Kind::Size { min: 64 << 10, max: 1 << 30 },
            default: Preset::Text("16MiB"),
            help: "Length of the commit log at which the database takes over what is in it.",
        },
        Key {
            name: "log_octets_max",
            kind: Kind::Size { min: 1 << 20, max: 1 << 32 },
            default: Preset::Text("64MiB"),
            help: "Length of the commit log at which writes wait for the database.",
        },
        Key {
            name: "wal_octets_max",
            kind: Kind::Size { min: 1 << 20, max: 1 << 40 },
            default: Preset::Text("256MiB"),
            help: "Octets that the database's own log keeps on disk between uses.",
        },
    ],
};

/// Settings of the embedded engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Octets of the disk that are left alone; with less room writes are refused as
    /// [`crate::Error::Full`].
    pub min_free: u64,
    /// Batches that may wait for the log; one more is refused.
    pub queue_max: usize,
    /// Batches written and synced together at most.
    pub group_max: usize,
    /// Threads, each with a connection, that read the database.
    pub readers: usize,
    /// Reads that may wait for them; one more is refused.
    pub read_queue_max: usize,
    /// Octets of the log after which the database takes them over.
    pub flush_octets: u64,
    /// Octets of one log file after which commits wait for the database. A restart reads at most three
    /// times as much.
    pub log_octets_max: u64,
    /// Octets that the database's own log keeps on disk between uses.
    pub wal_octets_max: u64,
}

impl Config {
    /// The table's values.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        Self {
            min_free: values.size("min_free"),
            queue_max: values.count("queue_max"),
            group_max: values.count("group_max"),
            readers: values.count("readers"),
            read_queue_max: values.count("read_queue_max"),
            flush_octets: values.size("flush_octets"),
            log_octets_max: values.size("log_octets_max"),
            wal_octets_max: values.size("wal_octets_max"),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::read(&SECTION.defaults())
    }
}

/// `[auth]`
pub const AUTH_SECTION: Section = Section {
    name: "auth",
    help: "Passwords, the same for every protocol.",
    keys: &[
        Key {
            name: "password_min",
            kind: Kind::Integer { min: 8, max: 128, unit: "characters" },
            default: Preset::Integer(PASSWORD_MIN as i64),
            help: "Fewest characters of a new password.",
        },
        Key {
            name: "password_preset",
            kind: Kind::Choice(&["normal", "strong"]),
            default: Preset::Text("normal"),
            help: "What a password check costs: 19 MiB and about 30 ms, or 64 MiB and about 200 ms. \
                   Passwords are hashed anew at their next login.",
        },
        Key {
            name: "check_threads",
            kind: Kind::Integer { min: 1, max: 64, unit: "threads" },
            default: Preset::Integer(2),
            help: "Threads that check passwords, which bounds the memory that checks take.",
        },
        Key {
            name: "guesses_max",
            kind: Kind::Integer { min: 1, max: 1000, unit: "guesses a minute" },
            default: Preset::Integer(5),
            help: "Passwords that one address may try for one user, and ten times as many for all users; the web \
                   server, mail and every other protocol count together.",
        },
    ],
};

/// Settings of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthConfig {
    /// Fewest characters of a new password.
    pub password_min: usize,
    /// What a password check costs.
    pub preset: password::Preset,
    /// Threads that check passwords.
    pub check_threads: usize,
    /// Passwords a minute that one address may try for one user.
    pub guesses_max: usize,
}

impl AuthConfig {
    /// The table's values.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let preset = match values.text("password_preset") {
            "strong" => password::Preset::STRONG,
            _ => password::Preset::NORMAL,
        };
        Self {
            password_min: values.count("password_min"),
            preset,
            check_threads: values.count("check_threads"),
            guesses_max: values.count("guesses_max"),
        }
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self::read(&AUTH_SECTION.defaults())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_defaults_are_those_that_the_types_promise() {
        assert_eq!(AuthConfig::default().check_threads, 2);
        assert_eq!(AuthConfig::default().preset, password::Preset::NORMAL);
        let config = Config::default();
        assert_eq!((config.queue_max, config.min_free), (8192, 256 << 20));
        assert!(config.flush_octets < config.log_octets_max);
    }
}
