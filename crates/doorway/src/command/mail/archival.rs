//! `doorway mail fsck`, `export`, `import` and `salvage`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorway_mail::io::{Salvaged, salvage as bring_out};
use doorway_store::{Remains, wait};
use serde_json::{Value, json};

use super::Asking;
use crate::cli::{ExportArgs, ImportArgs};
use crate::command::store::no_store;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::post::{Archival, Postal};
use crate::screen::{DIM, GREEN, PLAIN, RED, Screen, octets};
use crate::storage;

/// Messages after which a salvage says how far it is.
const TELL_EVERY: u64 = 1000;

/// A path that the server understands too, whose current folder is another.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}

pub(super) fn fsck(asking: &Asking, repair: bool, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = asking.ask(&Postal::Archive(Archival::Fsck { repair }))?;
    let sound = answer["sound"].as_bool().unwrap_or_default();
    if screen.is_json() {
        screen.document(&answer);
    } else {
        let verdict = if sound { format!("{GREEN}sound{PLAIN}") } else { format!("{RED}damaged{PLAIN}") };
        screen.line(format!(
            "{verdict}  {} accounts, {} folders, {} messages, {} bodies with {} octets compared",
            answer["accounts"],
            answer["folders"],
            answer["messages"],
            answer["bodies"],
            octets(&answer["octets"]),
        ));
        let damage = answer["damage"].as_array().map(Vec::as_slice).unwrap_or_default();
        for damage in damage {
            screen.line(format!("  {}", damage["text"].as_str().unwrap_or_default()));
        }
        more(&answer, "damages", damage.len(), screen);
        if !sound && !repair {
            let advice = "--repair puts counters right; `doorway mail salvage` brings out what is whole";
            screen.line(format!("{DIM}{advice}{PLAIN}"));
        }
    }
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

pub(super) fn export(asking: &Asking, arguments: ExportArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let ExportArgs { user, to, mbox } = arguments;
    let to = absolute(&to)?;
    let answer = asking.ask(&Postal::Archive(Archival::Export { user, mbox, to: to.clone() }))?;
    Ok(handed_over(&answer, "exported", &to, screen))
}

pub(super) fn import(asking: &Asking, arguments: ImportArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let ImportArgs { user, from, folder } = arguments;
    let from = absolute(&from)?;
    let answer = asking.ask(&Postal::Archive(Archival::Import { user, from: from.clone(), folder }))?;
    Ok(handed_over(&answer, "imported", &from, screen))
}

fn handed_over(answer: &Value, what: &str, path: &Path, screen: &mut Screen) -> Exit {
    let failed = answer["failed"].as_u64().unwrap_or_default();
    if screen.is_json() {
        screen.document(answer);
    } else {
        screen.line(format!(
            "{GREEN}{what}{PLAIN}  {}  {DIM}{} folders, {} messages, {} octets{PLAIN}",
            path.display(),
            answer["folders"],
            answer["messages"],
            octets(&answer["octets"]),
        ));
        let problems = answer["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
        for problem in problems.iter().filter_map(Value::as_str) {
            screen.line(format!("  {RED}left out{PLAIN}  {problem}"));
        }
        more(answer, "failed", problems.len(), screen);
    }
    if failed == 0 { Exit::Done } else { Exit::Failed }
}

fn more(answer: &Value, name: &str, listed: usize, screen: &mut Screen) {
    let all = answer[name].as_u64().unwrap_or(0);
    if all > listed as u64 {
        screen.line(format!("  and {} more", all - listed as u64));
    }
}

/// On the folder itself, which no server may have open: it is damaged, and perhaps too much so to be opened.
pub(super) fn salvage(asking: &Asking, to: &Path, screen: &mut Screen) -> Result<Exit, Failure> {
    if Client::find(&asking.data)?.is_some() {
        let failure = Failure::new("the server is running").why("a salvage reads files that nobody writes");
        return Err(
            failure.fix("stop it first; of a sound store, `doorway mail export` writes mailboxes out")
        );
    }
    let folder = storage::folder(&asking.data);
    if !folder.exists() {
        return Err(no_store(&asking.data));
    }
    let remains = Remains::open(&folder).map_err(|error| storage::failure("cannot read the store", error))?;
    let remains = Arc::new(remains);
    let (tell, told) = std::sync::mpsc::channel();
    let done = std::thread::scope(|scope| {
        let remains = &remains;
        let work = scope.spawn(move || {
            let mut next = TELL_EVERY;
            let mut tell = |done: &Salvaged| {
                let count = done.progress.messages + done.lost;
                if count >= next {
                    next = count + TELL_EVERY;
                    // Nobody listens any more only when nobody waits for the result either.
                    let _ = tell.send(count);
                }
            };
            wait(bring_out(remains, to, &mut tell))
        });
        for count in told {
            if !screen.is_json() {
                screen.note(format!("{count} messages"));
            }
        }
        work.join()
    });
    let done = done.map_err(|_| Failure::new("the salvage broke off"))?;
    let done = done.map_err(|error| Failure::new("cannot write what is readable").why(error))?;
    let answer = json!({
        "folders": done.progress.folders,
        "messages": done.progress.messages,
        "octets": done.progress.octets,
        "damaged": done.damaged,
        "lost": done.lost,
        "failed": done.progress.failed,
        "problems": done.progress.problems,
        "unreadable": remains.damage(),
    });
    let exit = handed_over(&answer, "salvaged", to, screen);
    if !screen.is_json() {
        for (count, name, what) in [
            (done.damaged, "damaged", "with other octets than they had"),
            (done.lost, "lost", "that no readable mailbox speaks of"),
        ] {
            if count > 0 {
                screen.line(format!("  {count} {what}: {}", to.join(name).display()));
            }
        }
        for place in remains.damage() {
            screen.line(format!("  {RED}unreadable{PLAIN}  {place}"));
        }
    }
    Ok(if remains.damage().is_empty() { exit } else { Exit::Failed })
}
