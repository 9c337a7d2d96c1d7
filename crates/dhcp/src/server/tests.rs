//! The engine as a whole: what RFC 2131 asks of each message, and that no address ever has two owners.

mod property;
mod rfc2131;
mod support;
