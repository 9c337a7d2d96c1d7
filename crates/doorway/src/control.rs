//! The socket through which commands reach the running server: `DATA/control.sock`, for its owner only.
//!
//! It speaks HTTP with JSON, so `curl --unix-socket` can ask it too:
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /v1/status` | services, doors, uptime |
//! | `GET /v1/sockets` | every open door and connection |
//! | `GET /v1/trace?filter=…&format=text\|json\|pcapng&canonical_ports=1` | messages as they pass, until the client goes |
//! | `POST /v1/reload` | the config read again |
//! | `GET\|POST /v1/users`, `PUT /v1/users/NAME/password`, `DELETE /v1/users/NAME` | the user list |
//! | `GET\|POST /v1/users/NAME/app-passwords`, `DELETE /v1/users/NAME/app-passwords/ID` | passwords of a user's programs |
//! | `GET /v1/sessions`, `DELETE /v1/sessions/ID`, `GET\|DELETE /v1/sessions/user/NAME` | sessions of people at a browser |
//! | `GET /v1/proxy`, `POST /v1/proxy/test?url=…` | servers that requests are handed on to |
//! | `POST /v1/store/verify`, `POST /v1/store/backup` | the store, while it is in use |
//! | `GET /v1/dns/cache`, `GET /v1/dns/cache/stats`, `DELETE /v1/dns/cache` | the resolver's cache; `?name=…&subtree=1&type=…` |
//! | `GET /v1/dns/zones`, `GET /v1/dns/zones/NAME`, `GET /v1/dns/zones/NAME/file` | the zones served |
//! | `POST /v1/dns/records` | a record added, set or deleted |
//! | `GET /v1/dns/explain?name=…&type=…` | a name looked up, step by step |
//! | `GET /v1/cache`, `GET /v1/cache/object?url=…` | the caches of the web server, and what one has for a URL |
//! | `POST /v1/cache/purge`, `POST /v1/cache/warm` | responses forgotten or fetched |
//!
//! A refusal has a status of 400 or more and `{"what", "why", "fix"}`.

mod client;
mod handler;
mod query;
mod socket;
#[cfg(test)]
mod socket_tests;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use client::Client;
pub(crate) use handler::{Control, Program};
pub(crate) use query::Query;
pub(crate) use socket::{bind, unbind};
