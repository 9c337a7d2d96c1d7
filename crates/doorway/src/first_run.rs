//! What the first start needs before there is a config: a data folder, a password, and a word on
//! which doors are open.

mod doors;
mod password;
mod words;

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use doorway_base::config::Values;

use crate::config::Config;
use crate::failure::Failure;

pub(crate) use doors::{OpenDoor, table as doors};
pub(crate) use password::generate as password;

/// Where root's data is.
const SYSTEM_FOLDER: &str = "/var/lib/doorway";
/// Where everybody else's is, from the current folder.
const OWN_FOLDER: &str = "doorway-data";

/// The data folder: the one `given` with `--data`, else `server.data`, else the user's own.
pub(crate) fn data_folder(config: &Config, given: Option<&Path>) -> PathBuf {
    if let Some(given) = given {
        return given.to_owned();
    }
    match config.section("server").optional("data", Values::path) {
        Some(path) => path.to_owned(),
        None if rustix::process::geteuid().is_root() => PathBuf::from(SYSTEM_FOLDER),
        None => PathBuf::from(OWN_FOLDER),
    }
}

/// Makes the data folder, for its owner only, if it is not there yet.
///
/// # Errors
/// When it cannot be made, or something that is no folder has its name.
pub(crate) fn make_data_folder(folder: &Path) -> Result<(), Failure> {
    let told = |error: io::Error| Failure::file("make the data folder", folder, &error);
    let is_new = !folder.exists();
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(told)?;
    if is_new {
        // The mode above is less what the umask takes away; say it again in full.
        std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(told)?;
    }
    Ok(())
}
