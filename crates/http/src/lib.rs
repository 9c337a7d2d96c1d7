//! HTTP, both sides of it: strict engines for HTTP/1 and HTTP/2, sites with their files and uploads, mounted
//! handlers, logins and sessions, and a client (RFC 9110, RFC 9112, RFC 9113).
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`wire`] | octets to types and back: request heads, chunked bodies, dates, paths |
//! | [`connection`] | the engine: which request comes next, and whether the connection goes on |
//! | [`h2`] | HTTP/2: frames, HPACK, streams, the engine |
//! | [`auth`] | who may have what: credentials, demands, guessing |
//! | [`session`], [`csrf`], [`security`] | the cookie of a session, and what protects pages of ours |
//! | [`cookie`] | the Cookie and Set-Cookie fields, and a client's jar |
//! | [`conditional`] | If-Match, If-None-Match and their kin, in their order |
//! | [`files`] | which file a path means, its entity tag, redirects |
//! | [`representation`], [`range`] | what is said about a file, and which octets of it are sent |
//! | [`access_log`] | a line for each response |
//! | [`listing`] | the files of a folder as a page or as JSON |
//! | [`upload`] | what PUT and DELETE do |
//! | [`form`] | forms: urlencoded and multipart |
//! | [`pattern`] | which paths a route or a rule is about |
//! | [`coding`] | content codings and which of them a client gets |
//! | [`media_type`] | Content-Type by the end of a name |
//! | [`own_fields`], [`cors`] | fields that the operator adds; what pages of other origins may do |
//! | [`status`] | status codes |
//! | [`cache`] | what a shared cache may keep and use again |
//! | [`proxy`] | what a proxy does with messages, and whom it asks |
//! | [`client`] | the client: requests, responses of a connection, redirects |
//! | [`url`] | URLs as a client takes them: parts, references, coding |
//! | [`mod@explain`] | a message taken apart octet by octet |
//! | [`config`] | the `[http]` table |
//! | [`io`] | connections, the folder and handlers: all that touches the world |
//!
//! Everything outside `io` is pure. Bodies do not pass through the engine: it decides, `io` streams.
//!
//! Deliberately absent: HTTP/0.9 (a request without a head cannot be told from half of one), HTTP/3, WebDAV,
//! Digest authentication (see DESIGN.md); for the proxies, trailers, WebSockets over HTTP/2 (RFC 8441), FTP and
//! opening TLS tunnels.

#![forbid(unsafe_code)]

pub mod access_log;
pub mod auth;
pub mod cache;
pub mod client;
pub mod coding;
pub mod conditional;
pub mod config;
pub mod connection;
pub mod cookie;
pub mod cors;
pub mod csrf;
mod error;
pub mod explain;
pub mod files;
pub mod form;
pub mod h2;
pub mod io;
pub mod listing;
pub mod media_type;
pub mod own_fields;
mod page;
pub mod pattern;
pub mod proxy;
pub mod range;
pub mod representation;
pub mod security;
pub mod session;
pub mod status;
pub mod upload;
pub mod url;
pub mod wire;

pub use config::Config;
pub use error::Error;
pub use io::{Authenticator, Caching, Gate, Handlers, Login, Server, Sites, Submitted, Visit};
pub use status::Status;
