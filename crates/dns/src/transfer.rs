//! How zones move between servers: AXFR (RFC 5936), IXFR (RFC 1995), NOTIFY (RFC 1996), and when a
//! secondary asks (RFC 1034 §4.3.5). All of it pure.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`outgoing`] | a zone, or what changed in it, sent message by message |
//! | [`incoming`] | the same read, checked and made into a zone or changes |
//! | [`history`] | the changes that IXFR is answered from |
//! | [`schedule`] | refresh, retry and expire of a secondary |
//! | [`notify`] | telling secondaries, and being told |
//! | [`grant`] | who may ask for a transfer |
//!
//! Not here: connections and time-outs (`io/`), and signatures (`wire/tsig.rs`).

pub mod grant;
pub mod history;
pub mod incoming;
pub mod notify;
pub mod outgoing;
pub mod schedule;

#[cfg(test)]
mod tests;
