//! How the program ends, as scripts see it.

use std::process::ExitCode;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done as asked.
    Done,
    /// 1: it did not work; with `check --strict`, there were warnings.
    Failed,
    /// 2: the command line or the config file is wrong; nothing was started or changed.
    Wrong,
    /// 3: the command needs a running server and there is none.
    NotRunning,
    /// 9: no name server answered, as with BIND's `dig`.
    NoAnswer,
}

/// The list for the end of `--help`.
pub(crate) const HELP: &str = "Exit codes:\n  \
    0  done\n  \
    1  it did not work; with `check --strict`, there were warnings\n  \
    2  the command line or the config file is wrong\n  \
    3  the command needs a running server and there is none\n  \
    9  no name server answered";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
            Exit::NotRunning => 3,
            Exit::NoAnswer => 9,
        })
    }
}
