//! The `[http]` table.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::connection::Limits;
use crate::wire::head::{FIELDS_MAX, HEAD_OCTETS_MAX, HeadLimits};

/// The port that the standard gives HTTP (RFC 9110 §4.2.1).
pub const PORT: u16 = 80;
/// The port that the standard gives HTTP over TLS (RFC 9110 §4.2.2).
pub const PORT_TLS: u16 = 443;

/// What the operator says about the HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// The folder to serve; without one, a small built-in page.
    pub root: Option<PathBuf>,
    /// How long an idle connection is kept; zero closes after each response.
    pub keepalive: Duration,
    /// Requests on one connection before it closes.
    pub keepalive_requests_max: u32,
    /// Longest request line in octets.
    pub request_line_octets_max: usize,
    /// Longest field line in octets.
    pub field_octets_max: usize,
    /// Longest request head in octets, at most 65535.
    pub head_octets_max: usize,
    /// Most fields in a request head, at most 128.
    pub fields_max: usize,
    /// How long a request head may take.
    pub head_timeout: Duration,
    /// Longest request body in octets.
    pub body_octets_max: u64,
    /// Octets of small files that each worker keeps ready to send.
    pub cache_octets_max: usize,
    /// Value of the Server field; empty for none.
    pub server_name: String,
}

impl Default for Config {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)],
            root: None,
            keepalive: limits.idle_time,
            keepalive_requests_max: limits.requests,
            request_line_octets_max: limits.head.request_line_octets,
            field_octets_max: limits.head.field_octets,
            head_octets_max: HEAD_OCTETS_MAX,
            fields_max: FIELDS_MAX,
            head_timeout: limits.head_time,
            body_octets_max: limits.body_octets,
            cache_octets_max: 32 * 1024 * 1024,
            server_name: "Doorway".into(),
        }
    }
}

impl Config {
    /// The bounds of each connection.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            head: HeadLimits {
                request_line_octets: self.request_line_octets_max,
                field_octets: self.field_octets_max,
                head_octets: self.head_octets_max,
                fields: self.fields_max,
            },
            head_time: self.head_timeout,
            body_octets: self.body_octets_max,
            idle_time: self.keepalive,
            requests: self.keepalive_requests_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_a_connection() {
        assert_eq!(Config::default().limits(), Limits::default());
    }
}
