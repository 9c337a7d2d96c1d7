//! A connection to whichever address of a host answers first (Happy Eyeballs, RFC 8305): families in turn,
//! one attempt every 250 ms or as soon as the one before has failed.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use doorway_net::resolve::ResolveError;
use doorway_net::{BoxFuture, Stream};

use super::{ClientError, Inner, Peer, Place, Timing};

/// Time from one attempt to the next (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 16;

/// What stands for the address of a Unix socket.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// A connection with nothing on it yet.
pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) remote: SocketAddr,
    pub(super) timing: Timing,
}

/// Resolves, connects and, for a peer with a certificate, makes the TLS handshake; with `http1` no other version
/// is offered in it.
pub(super) async fn connect(inner: &Inner, peer: &Peer, http1: bool) -> Result<Connected, ClientError> {
    let world = &inner.world;
    let mut timing = Timing::default();
    let told = |error| ClientError::Connect(peer.place.to_string(), error);
    let (stream, remote) = match &peer.place {
        Place::Unix(path) => {
            let began = world.now();
            let stream = world.connect_unix(path).await.map_err(told)?;
            timing.connect = world.now() - began;
            (stream, NOWHERE)
        }
        Place::Host(host, port) => {
            let began = world.now();
            let found = addresses(inner, host).await;
            let found = found.map_err(|error| ClientError::Resolve(host.clone(), error))?;
            timing.resolve = world.now() - began;
            let found = permitted(inner, found).ok_or_else(|| ClientError::Forbidden(host.clone()))?;
            let (stream, remote, took) = first(inner, &turns(found), *port).await.map_err(told)?;
            timing.connect = took;
            (stream, remote)
        }
        Place::Address(address) => {
            let found = permitted(inner, vec![address.ip()]);
            let found = found.ok_or_else(|| ClientError::Forbidden(address.to_string()))?;
            let (stream, remote, took) = first(inner, &found, address.port()).await.map_err(told)?;
            timing.connect = took;
            (stream, remote)
        }
    };
    let Some(name) = &peer.tls_name else { return Ok(Connected { stream, remote, timing }) };
    let connected = world.now();
    let Some(tls) = &inner.tls else {
        let error = io::Error::new(io::ErrorKind::Unsupported, "this client has no TLS");
        return Err(told(error));
    };
    let protocols: &[&str] = if http1 { &["http/1.1"] } else { &[] };
    let name = name.trim_matches(['[', ']']);
    let stream = tls.secure_for(stream, remote, Some(name), protocols).await.map_err(told)?;
    timing.tls = world.now() - connected;
    Ok(Connected { stream, remote, timing })
}

/// The addresses that may be connected to; `None` when others were all there was.
fn permitted(inner: &Inner, mut addresses: Vec<IpAddr>) -> Option<Vec<IpAddr>> {
    let found = addresses.len();
    if let Some(destinations) = &inner.settings.destinations {
        addresses.retain(|address| destinations.permits(*address));
    }
    (found == 0 || !addresses.is_empty()).then_some(addresses)
}

async fn addresses(inner: &Inner, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
    match host.trim_matches(['[', ']']).parse() {
        Ok(address) => Ok(vec![address]),
        // RFC 6761 §6.3: this name means this machine, whatever a name server says.
        Err(_) if host == "localhost" || host.ends_with(".localhost") => {
            Ok(vec![std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()])
        }
        Err(_) => inner.resolver.addresses(host.trim_end_matches('.')).await,
    }
}

/// Addresses with the families in turn, the first one's first (RFC 8305 §4).
fn turns(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_v6);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    loop {
        match (one.next(), other.next()) {
            (None, None) => break,
            (a, b) => turns.extend(a.into_iter().chain(b)),
        }
    }
    turns.truncate(ADDRESSES_MAX);
    turns
}

/// The first connection that opens, to whom, and how long its own attempt took.
async fn first(inner: &Inner, addresses: &[IpAddr], port: u16) -> io::Result<(Stream, SocketAddr, Duration)> {
    let world = &inner.world;
    let mut left = addresses.iter();
    let mut attempts: Vec<BoxFuture<'static, (SocketAddr, Duration, io::Result<Stream>)>> = Vec::new();
    let mut next: Option<BoxFuture<'static, ()>> = None;
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    poll_fn(|cx| {
        loop {
            let due = match &mut next {
                None => true,
                Some(timer) => timer.as_mut().poll(cx).is_ready(),
            };
            if due && let Some(address) = left.next() {
                let (world, remote) = (world.clone(), SocketAddr::new(*address, port));
                next = Some(world.sleep(ATTEMPT_DELAY));
                attempts.push(Box::pin(async move {
                    let began = world.now();
                    let opened = world.connect(remote).await;
                    (remote, world.now() - began, opened)
                }));
            }
            let mut at = 0;
            let mut failed = false;
            while at < attempts.len() {
                match attempts[at].as_mut().poll(cx) {
                    Poll::Ready((remote, took, Ok(stream))) => {
                        return Poll::Ready(Ok((stream, remote, took)));
                    }
                    Poll::Ready((_, _, Err(error))) => {
                        failure = error;
                        failed = true;
                        drop(attempts.remove(at));
                    }
                    Poll::Pending => at += 1,
                }
            }
            if attempts.is_empty() && left.len() == 0 {
                let kind = failure.kind();
                return Poll::Ready(Err(std::mem::replace(&mut failure, kind.into())));
            }
            if failed {
                next = None;
            } else if next.as_mut().is_none_or(|timer| timer.as_mut().poll(cx).is_pending())
                || left.len() == 0
            {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = |text: &[&str]| text.iter().map(|a| a.parse().unwrap()).collect::<Vec<IpAddr>>();
        let given = addresses(&["::1", "::2", "::3", "1.1.1.1", "1.1.1.2"]);
        assert_eq!(turns(given), addresses(&["::1", "1.1.1.1", "::2", "1.1.1.2", "::3"]));
        assert_eq!(turns(addresses(&["1.1.1.1", "::1"])), addresses(&["1.1.1.1", "::1"]));
        assert!(turns(Vec::new()).is_empty());
    }
}
