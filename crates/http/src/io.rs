//! Where HTTP touches the world: connections, the folder, mounted handlers.
//!
//! | file | what it does |
//! | --- | --- |
//! | `server.rs` | [`Server`], and what each worker keeps |
//! | `site.rs` | [`Sites`]: what is served under which host and path |
//! | `folder.rs` | a folder with the rules of its site |
//! | `connection.rs` | one connection's task: read, answer, wait, end |
//! | `batch.rs` | the hot path: all requests of one read into one write |
//! | `cached.rs` | what a cache has in memory, on the hot path |
//! | `cold.rs`, `reply.rs` | requests that need a look at the disk; responses written into a batch |
//! | `hot.rs` | small files as ready-made responses |
//! | `files.rs` | [`Root`]: names looked up below a folder, and never outside |
//! | `contents.rs` | longer files in memory |
//! | `body.rs`, `compress.rs` | content on its way out of a file; content made smaller |
//! | `uploads.rs` | PUT and DELETE in a folder |
//! | `authenticator.rs` | [`Authenticator`]: credentials checked against the user list |
//! | `gate.rs` | [`Gate`]: paths that only some may enter |
//! | `login.rs` | [`Login`]: the page with the form |
//! | `visit.rs` | [`Visit`]: the session of a request, for handlers |
//! | `submitted.rs` | [`Submitted`]: a form's fields as text, its files on disk |
//! | `cache.rs`, `cache/` | responses of other servers, kept in memory and on disk |
//! | `access_log.rs` | lines about responses, taken to a file beside the workers |
//! | `proxy.rs`, `proxy/` | requests that are handed on to other servers |
//! | `handler.rs` | requests that a `web::Handler` answers |
//! | `h2.rs`, `h2/` | an HTTP/2 connection's task, and what is under way on its streams |
//! | `request_body.rs`, `feed.rs` | request bodies: read, and handed to a handler as it asks |
//! | `date.rs`, `counts.rs` | the Date of this second; counters |

mod access_log;
mod authenticator;
mod batch;
mod body;
pub mod cache;
mod cached;
pub mod client;
mod cold;
mod compress;
mod connection;
mod contents;
mod counts;
mod date;
mod feed;
mod files;
mod folder;
mod gate;
mod h2;
mod handler;
mod hot;
mod login;
pub mod proxy;
mod reply;
mod request_body;
mod server;
mod site;
mod submitted;
mod uploads;
mod visit;

pub use authenticator::{Authenticator, Tally};
pub use counts::Counts;
pub use files::Root;
pub use gate::Gate;
pub use login::Login;
pub use server::Server;
pub use site::{Caching, Handlers, Sites};
pub use submitted::{FormError, Submitted, Upload};
pub use visit::{Visit, came_from_here};
