//! What a person's tools need to ask name servers and to read what they say: `dig`, `nslookup`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`words`] | the words of a `dig` command line, and the lookups that they ask for |
//! | [`query`] | the message of a lookup |
//! | [`report`] | an answer printed in the form of BIND's `dig` |
//! | [`annotate`] | every octet of a message with its field's name and meaning |
//! | [`delegations`] | from the root down, server by server, as `+trace` shows it |
//!
//! All pure: sockets are in `io/exchange.rs`, and the terminal is the binary's.

pub mod annotate;
pub mod delegations;
pub mod query;
pub mod report;
pub mod words;

pub use query::Query;
pub use words::{Cookie, Lookup, Show, Transport, Wrong};

use core::net::IpAddr;

use crate::wire::Name;

/// The name under `in-addr.arpa` or `ip6.arpa` that stands for `address`: RFC 1035 §3.5, RFC 3596 §2.5.
#[must_use]
pub fn reverse(address: IpAddr) -> Name {
    let text = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(v6) => {
            let nibbles =
                v6.octets().into_iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            nibbles.chain(["ip6.arpa.".to_owned()]).collect()
        }
    };
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests;
