//! The store and the user list as the config asks for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorway_net::entropy;
use doorway_store::{AuthConfig, Clock, Embedded, Error, Options, UserOptions, Users};

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
    let config = doorway_store::Config::read(config.section("store"));
    let options = Options { config, clock, ..Options::new(folder(data)) };
    Embedded::open(options).map(Arc::new).map_err(|error| failure("cannot open the store", error))
}

/// The user list in `store`.
///
/// # Errors
/// When the threads that check passwords cannot be started.
pub(crate) fn users(config: &Config, store: Arc<Embedded>) -> Result<Users, Failure> {
    let AuthConfig { password_min, preset, check_threads, .. } = AuthConfig::read(config.section("auth"));
    let options = UserOptions {
        preset,
        password_min,
        threads: check_threads,
        ..UserOptions::new(Arc::new(entropy::fill))
    };
    Users::new(store, options).map_err(|error| failure("cannot open the user list", error))
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
        Error::Limit(limit) if limit.configured => "try again, or raise that key",
        Error::Limit(_) => "ask for less at once, or try again",
        Error::Failed(_) => "look at the disk, then restart the server",
        _ => "",
    };
    Failure::new(what).why(error).fix(fix)
}
