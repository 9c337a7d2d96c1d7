//! The name server and the resolver against real clients, name servers and load generators.

mod clients;
mod compliance;
pub(crate) mod dig;
mod kdig;
mod load;
pub(crate) mod peer;
mod signed;
mod tools;
mod transfers;
