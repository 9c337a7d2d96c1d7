//! The log on standard error, as `[log]` asks for it.

use std::io::{IsTerminal, stderr};

use doorway_base::config::Values;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{Registry, prelude::*};

/// Changes the level while the log is in use.
#[derive(Clone)]
pub(crate) struct Level(Handle<LevelFilter, Registry>);

impl Level {
    /// Takes over `log.level` from values that were read again.
    pub(crate) fn read(&self, values: &Values) {
        // The log lives as long as the process, so there is always one to change.
        let _ = self.0.reload(level(values));
    }
}

/// Starts the log of this process. Only the first call has an effect.
pub(crate) fn start(values: &Values) -> Level {
    let (filter, handle) = reload::Layer::new(level(values));
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = stderr().is_terminal() && !no_colour;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(stderr).with_target(false);
    let _ = match values.text("format") {
        "json" => registry.with(lines.json()).try_init(),
        _ => registry.with(lines.with_ansi(colour).compact()).try_init(),
    };
    Level(handle)
}

fn level(values: &Values) -> LevelFilter {
    // The words of the config are the words of the crate; a test walks through them.
    values.text("level").parse().unwrap_or(LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use doorway_base::config::Kind;

    use super::*;
    use crate::config::all_sections;

    #[test]
    fn every_level_of_the_config_is_one_of_the_log() {
        let section = all_sections().find(|section| section.name == "log").unwrap();
        let Some(Kind::Choice(words)) = section.key("level").map(|key| key.kind) else { panic!("no choice") };
        for word in words {
            assert!(word.parse::<LevelFilter>().is_ok(), "{word}");
        }
        assert_eq!(level(&section.defaults()), LevelFilter::INFO);
    }
}
