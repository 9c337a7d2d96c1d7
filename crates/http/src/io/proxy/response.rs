//! The response that a client gets: another server's with its fields put right, or our own word when there is none.

use std::io;

use doorway_net::World;
use doorway_net::web::{Body, Response};

use super::super::client::{Answer, Tunnel};
use super::tunnel::{Relayed, TunnelLimits, relay};
use crate::Status;
use crate::proxy::forwarding;
use crate::wire::Method;

/// Why a server's 101 is not handed on.
pub(super) const UNASKED: &str = "the server changed to a protocol that nobody asked for";

/// A response to hand back, and the other side's connection when it is no longer HTTP.
pub(super) struct Handed {
    pub(super) response: Response,
    pub(super) tunnel: Option<Tunnel>,
}

/// What a server answered to a request of `method`, for the client; we call ourselves `name` in Via.
pub(super) fn handed(answer: Answer, method: Method, name: &str) -> Handed {
    let Answer { response, version, tunnel, .. } = answer;
    let version = version.strip_prefix("HTTP/").unwrap_or(version);
    let length = response.fields.first("content-length").and_then(|length| length.parse().ok());
    let status = Status::new(response.status);
    let mut fields = forwarding::response_fields(&response.fields, version, name);
    if let (Some(_), Some(protocol)) = (&tunnel, response.fields.first("upgrade")) {
        fields.add("Upgrade", protocol);
    }
    let body = match response.body {
        _ if method == Method::Head => Body::announced(length),
        _ if status == Status::NOT_MODIFIED && length.is_some() => Body::announced(length),
        body => body,
    };
    Handed { response: Response { status: response.status, fields, body, upgrade: None }, tunnel }
}

/// A response after which the client's connection and another one are a tunnel; `done` hears what went through.
pub(super) fn joined(
    mut response: Response,
    world: &World,
    tunnel: Tunnel,
    limits: TunnelLimits,
    done: impl FnOnce(Relayed) + Send + 'static,
) -> Response {
    let world = world.clone();
    response.upgrade = Some(Box::new(move |ahead, stream| {
        Box::pin(async move { done(relay(&world, Tunnel { ahead, stream }, tunnel, limits).await) })
    }));
    response
}

/// The response to a request that got none from any server: 504 when it took too long, 503 when nobody could be
/// asked, 403 when nobody may be, else 502 (RFC 9110 §15.6). Why is for the log.
#[must_use]
pub fn failed(error: &io::Error) -> Response {
    let status = match error.kind() {
        io::ErrorKind::TimedOut => Status::GATEWAY_TIMEOUT,
        io::ErrorKind::AddrNotAvailable => Status::SERVICE_UNAVAILABLE,
        io::ErrorKind::PermissionDenied => Status::FORBIDDEN,
        _ => Status::BAD_GATEWAY,
    };
    told(status, status.reason())
}

/// A response of our own.
pub(super) fn told(status: Status, why: &str) -> Response {
    Response::new(status.code(), "text/plain; charset=utf-8", format!("{why}\n"))
}
