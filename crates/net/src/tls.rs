//! TLS for every door, a certificate for the name the client asks for, replaced while serving; and for
//! dialling out.
//!
//! Certificates come from files or from the local authority ([`local_ca`]). The handshake and the
//! records are rustls's; which certificate and which protocols are ours.

mod acceptor;
mod dialler;
pub mod local_ca;

pub use acceptor::{Certificates, TlsAcceptor};
pub use dialler::TlsDialler;
