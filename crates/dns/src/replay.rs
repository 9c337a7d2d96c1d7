//! Resolutions replayed from scripts in the `.rpl` form, in virtual time.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`script`] | a script: options, servers with their answers, steps |
//! | [`read`] | the form read |
//! | [`options`] | the options in front of a script, made into a resolver's configuration |
//! | [`mod@run`] | a script played against the resolver |
//! | [`mod@arbitrary`] | no script at all: anything happens, and it must end |
//!
//! A script says what servers answer (`RANGE_BEGIN` with an `ADDRESS` and entries) and what happens step
//! by step (`STEP 1 QUERY`, `STEP 2 CHECK_ANSWER` …). The form is that of the replay tests that several
//! resolvers share. Queries that no range answers stay open until a `REPLY`, `TIMEOUT` or `ERROR` step;
//! time moves in `TIME_PASSES` alone. Not here: anything that needs a socket, a file or a signature.

pub mod arbitrary;
pub mod options;
pub mod read;
pub mod run;
pub mod script;

pub use arbitrary::arbitrary;
pub use run::{Outcome, Report, run};
pub use script::Script;

#[cfg(test)]
mod tests;
