//! The store and the user list as the config asks for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorway_base::config::Values;
use doorway_net::entropy;
use doorway_store::{Clock, Embedded, Error, Options, Preset, UserOptions, Users};

use crate::config::Config;
use crate::failure::Failure;
use crate::first_run;

/// The store's folder below the data folder.
const STORE_FOLDER: &str = "store";

/// Where the store of a data folder is.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join(STORE_FOLDER)
}

/// Opens the store of a data folder, and makes both when they are not there yet. With a clock, its
/// syncs are timed.
///
/// # Errors
/// When the folder cannot be used, another process holds it, or what is in it is damaged or newer.
pub(crate) fn open(config: &Config, data: &Path, clock: Option<Clock>) -> Result<Arc<Embedded>, Failure> {
    first_run::make_data_folder(data)?;
    let config = bounds(config.section("store"));
    let options = Options { config, clock, ..Options::new(folder(data)) };
    Embedded::open(options).map(Arc::new).map_err(|error| failure("cannot open the store", error))
}

/// The user list in `store`.
///
/// # Errors
/// When the threads that check passwords cannot be started.
pub(crate) fn users(config: &Config, store: Arc<Embedded>) -> Result<Users, Failure> {
    let auth = config.section("auth");
    let options = UserOptions {
        preset: if auth.bool("strong_hash") { Preset::STRONG } else { Preset::NORMAL },
        password_min: auth.count("password_min"),
        threads: auth.count("check_threads"),
        ..UserOptions::new(Arc::new(entropy::fill))
    };
    Users::new(store, options).map_err(|error| failure("cannot open the user list", error))
}

fn bounds(values: &Values) -> doorway_store::Config {
    doorway_store::Config {
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

/// What the store says, with what to do about it.
pub(crate) fn failure(what: &str, error: Error) -> Failure {
    let fix = match &error {
        Error::Locked { .. } => "stop that process, or use another data folder (--data)",
        Error::Newer { .. } => "start the newer program, or restore a backup that this one made",
        Error::Damaged(_) => {
            "`doorway store verify` lists the damage; `doorway store restore` brings a backup back"
        }
        Error::Full { .. } => "make room on that disk",
        Error::Limit(_) => "try again, or raise that key",
        Error::Failed(_) => "look at the disk, then restart the server",
        _ => "",
    };
    Failure::new(what).why(error).fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_config_are_those_of_the_store() {
        let (config, problems) = Config::read(None);
        assert_eq!(problems, []);
        assert_eq!(bounds(config.section("store")), doorway_store::Config::default());
    }
}
