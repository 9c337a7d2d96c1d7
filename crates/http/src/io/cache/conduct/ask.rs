//! One request on its way through a cache.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use doorway_base::Instant;
use doorway_net::web::{self, Body, Fields, Informational};

use crate::cache::{Key, Policy, Request, Target};
use crate::wire::Method;

/// A request, but for its content, and what a cache makes of it.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// What of it decides.
    pub(super) request: Request,
    /// The name of its target.
    pub(super) key: Key,
    pub(super) fields: Fields,
    /// When it came.
    pub(super) began: Instant,
    /// Whether nobody waits for the response.
    pub(super) is_beside: bool,
    method: String,
    target: String,
    version: &'static str,
    path: String,
    query: Option<String>,
    host: String,
    port: Option<u16>,
    remote: SocketAddr,
    secure: bool,
    unix_user: Option<u32>,
    user: Option<Arc<str>>,
}

impl Ask {
    /// What a cache makes of a request, and what it does not look at: content, and whom to tell what comes
    /// before the response. `None` where no resource is asked for, as by CONNECT.
    pub(super) fn read(
        request: web::Request,
        began: Instant,
        policy: &Policy,
    ) -> Result<(Self, Rest), Box<web::Request>> {
        let Some((path, query)) = resource(&request.target) else { return Err(Box::new(request)) };
        let host = authority(&request);
        let target = Target {
            secure: request.secure,
            host: host.as_bytes(),
            path: path.as_bytes(),
            query: query.map(str::as_bytes),
        };
        let key = target.key(&policy.query);
        let method = Method::parse(request.method.as_bytes());
        let ask = Self {
            request: Request::read(method, &request.fields),
            key,
            began,
            is_beside: false,
            fields: request.fields,
            method: request.method,
            target: request.target,
            version: request.version,
            path: request.path,
            query: request.query,
            host: request.host,
            port: request.port,
            remote: request.remote,
            secure: request.secure,
            unix_user: request.unix_user,
            user: request.user,
        };
        Ok((ask, Rest { body: request.body, informational: request.informational }))
    }

    /// The method's name.
    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// The client's address.
    pub(super) const fn remote(&self) -> IpAddr {
        self.remote.ip()
    }

    /// The whole request again.
    pub(super) fn whole(&self, rest: Rest) -> web::Request {
        self.with(&self.method, self.fields.clone(), rest)
    }

    /// A request for the same target with other fields.
    pub(super) fn with(&self, method: &str, fields: Fields, rest: Rest) -> web::Request {
        web::Request {
            method: method.to_owned(),
            target: self.target.clone(),
            version: self.version,
            path: self.path.clone(),
            query: self.query.clone(),
            host: self.host.clone(),
            port: self.port,
            fields,
            body: rest.body,
            remote: self.remote,
            secure: self.secure,
            unix_user: self.unix_user,
            user: self.user.clone(),
            informational: rest.informational,
        }
    }

    /// Calls `with` with the parts of its target.
    pub(super) fn with_target<R>(&self, with: impl FnOnce(&Target<'_>) -> R) -> R {
        let (path, query) = resource(&self.target).unwrap_or((&self.path, self.query.as_deref()));
        let host = host_and_port(&self.host, self.port);
        with(&Target {
            secure: self.secure,
            host: host.as_bytes(),
            path: path.as_bytes(),
            query: query.map(str::as_bytes),
        })
    }
}

/// What of a request a cache hands on without a look.
#[derive(Default)]
pub(super) struct Rest {
    pub(super) body: Body,
    pub(super) informational: Option<Informational>,
}

fn authority(request: &web::Request) -> String {
    host_and_port(&request.host, request.port)
}

fn host_and_port(host: &str, port: Option<u16>) -> String {
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Path and query of a target in origin or absolute form (RFC 9112 §3.2).
fn resource(target: &str) -> Option<(&str, Option<&str>)> {
    let from_path = match target.split_once("://") {
        _ if target.starts_with('/') => target,
        Some((_, rest)) => &rest[rest.find(['/', '?']).unwrap_or(rest.len())..],
        None => return None,
    };
    Some(match from_path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (from_path, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_key_that_its_octets_have_on_the_hot_path() {
        for (target, host, port, expected) in [
            ("/a/../b?c=%41", "A.example", None, Some("http://a.example/a/../b?c=A")),
            ("/", "a", Some(80), Some("http://a/")),
            ("/", "a", Some(8080), Some("http://a:8080/")),
            ("http://ignored/x?y", "a", None, Some("http://a/x?y")),
            ("http://ignored?y", "a", None, Some("http://a/?y")),
            ("http://ignored", "a", None, Some("http://a/")),
            ("/x?u=http://b/c", "a", None, Some("http://a/x?u=http://b/c")),
            ("*", "a", None, None),
            ("a:443", "a", None, None),
        ] {
            let request = web::Request { host: host.to_owned(), port, ..web::Request::new("GET", target) };
            let read = Ask::read(request, Instant::ZERO, &Policy::default());
            let key = read.as_ref().ok().map(|(ask, _)| ask.key.as_str());
            assert_eq!(key, expected, "{target}");
        }
    }
}
