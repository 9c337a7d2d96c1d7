//! `doorway dhcp import` and `export`: the files of other servers.

use std::path::Path;
use std::sync::Arc;

use doorway_base::Trace;
use doorway_dhcp::lease_file::Format;
use doorway_net::os::Runtime;
use doorway_store::Store;

use super::Asking;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::leasing::{self, Leasing};
use crate::screen::{GREEN, PLAIN, Screen, YELLOW};
use crate::storage;

/// Most octets of a file that is read.
const FILE_OCTETS_MAX: u64 = 256 * 1024 * 1024;

pub(super) fn export(asking: &Asking, format: Format, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = asking.ask(&Leasing::Export { format })?;
    if screen.is_json() {
        screen.document(&answer);
    } else {
        screen.text(answer["text"].as_str().unwrap_or_default());
    }
    if answer["more"] == true {
        screen.note(format!("there are more than {} leases; these are the first", leasing::LISTED_MAX));
    }
    Ok(Exit::Done)
}

pub(super) fn import(
    asking: &Asking,
    format: Format,
    file: &Path,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    if Client::find(&asking.data)?.is_some() {
        return Err(Failure::new("a server runs here, and what it knows would not agree with the file")
            .exit(Exit::Wrong)
            .fix("stop it, import, and start it again"));
    }
    let unreadable =
        |why: String| Failure::new(format!("cannot read {}", file.display())).why(why).exit(Exit::Wrong);
    let octets = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?.len();
    if octets > FILE_OCTETS_MAX {
        return Err(unreadable(format!("it has more than {FILE_OCTETS_MAX} octets")));
    }
    let octets = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
    let text = String::from_utf8_lossy(&octets).into_owned();
    let told = |error: doorway_net::Error| Failure::new(error.to_string());
    let runtime = Runtime::start("command", 1, Trace::off()).map_err(told)?;
    let store: Arc<dyn Store> = storage::open(&asking.config, &asking.data, None)?;
    let now = runtime.world().wall();
    let done = runtime.block_on(async move { leasing::files::import(&*store, format, &text, now).await });
    let answer = done.ok_or_else(|| Failure::new("the command broke off"))??;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    screen.line(format!(
        "{GREEN}imported{PLAIN}  {} leases, {} reservations; {} were known already",
        answer["leases"], answer["reservations"], answer["known_already"]
    ));
    for fault in answer["faults"].as_array().into_iter().flatten() {
        screen.line(format!("{YELLOW}left out{PLAIN}  {}", fault.as_str().unwrap_or_default()));
    }
    if answer["faulty"].as_u64() > answer["faults"].as_array().map(|faults| faults.len() as u64) {
        screen.line(format!("{YELLOW}left out{PLAIN}  {} in all", answer["faulty"]));
    }
    Ok(Exit::Done)
}
