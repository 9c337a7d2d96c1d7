//! `check`, `init` and `config …`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::{configured, tell, worst};
use crate::check;
use crate::cli::{ConfigCommand, Options};
use crate::config::{self, Config, Severity, find, problems_document};
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run;
use crate::screen::{GREEN, PLAIN, Screen};

/// `doorway check`: what the file says, then what the machine says.
pub(super) fn check(options: &Options, strict: bool, screen: &mut Screen) -> Result<Exit, Failure> {
    let (config, mut problems) = Config::read(find(options.config.as_deref())?);
    if worst(&problems) != Some(Severity::Error) {
        let own = running(&config, options);
        problems.extend(check::machine(&config, options.data.as_deref(), own, None));
    }
    if screen.is_json() {
        screen.document(&problems_document(config.source.as_ref(), &problems));
    } else if problems.is_empty() {
        let file = config.source.as_ref().map(|source| source.path().display().to_string());
        let what = file.unwrap_or_else(|| "no config file, the built-in defaults".to_owned());
        screen.line(format!("{GREEN}ok{PLAIN}  {what}"));
    } else {
        tell(&config, &problems, screen);
    }
    Ok(match worst(&problems) {
        Some(Severity::Error) => Exit::Wrong,
        Some(Severity::Warning) if strict => Exit::Failed,
        _ => Exit::Done,
    })
}

/// The process that serves this data folder already; its ports are ours.
fn running(config: &Config, options: &Options) -> Option<u32> {
    let folder = first_run::data_folder(config, options.data.as_deref());
    let status = Client::find(&folder).ok()??.ask("GET", "/v1/status", None).ok()?;
    u32::try_from(status["pid"].as_u64()?).ok()
}

/// `doorway init`: writes the commented file where there is none.
pub(super) fn init(file: &Path, screen: &mut Screen) -> Result<Exit, Failure> {
    let mut new = match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(new) => new,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let failure = Failure::new(format!("{} exists already", file.display()));
            return Err(
                failure.fix("name another file, or move this one away: `doorway init` never overwrites")
            );
        }
        Err(error) => return Err(Failure::file("create", file, &error)),
    };
    new.write_all(config::initial().as_bytes()).map_err(|error| Failure::file("write", file, &error))?;
    if screen.is_json() {
        screen.document(&json!({ "written": file.display().to_string() }));
    } else {
        screen.line(format!("{GREEN}written{PLAIN}  {}", file.display()));
    }
    Ok(Exit::Done)
}

/// `doorway config …`.
pub(super) fn run(options: &Options, command: ConfigCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Reference => screen.line(config::reference().trim_end()),
        ConfigCommand::Show => {
            let Some(config) = configured(options, screen)? else { return Ok(Exit::Wrong) };
            if screen.is_json() {
                screen.document(&config::show_json(&config));
            } else {
                screen.line(config::show(&config).trim_end());
            }
        }
        ConfigCommand::Explain { key } => {
            // Help has to work when the file is wrong, above all then: problems are left to `check`.
            let (config, _) = Config::read(find(options.config.as_deref())?);
            let explained = config::explain(&config, key.as_deref())?;
            if screen.is_json() {
                screen.document(&explained.document);
            } else {
                screen.line(explained.text);
            }
        }
    }
    Ok(Exit::Done)
}
