//! Octets between two connections that are no longer HTTP: WebSockets, CONNECT (RFC 9110 §9.3.6).
//!
//! Each direction ends on its own: when one side has finished sending, the other hears that and may go on.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_net::{BoxFuture, Stream, World};
use tokio::io::AsyncWrite;

use super::super::client::Tunnel;

/// Octets of one direction that may wait for the other side, besides what one read brings.
const WAITING_OCTETS_MAX: usize = 64 * 1024;

/// Bounds of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelLimits {
    /// How long it may be silent in both directions.
    pub idle: Duration,
    /// Octets in both directions together, after which it is closed; `None` for any number.
    pub octets: Option<u64>,
}

/// What went through a tunnel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Octets from the first side to the second.
    pub there: u64,
    /// Octets the other way.
    pub back: u64,
    /// Why it ended, if not because both sides had finished.
    pub cut: Option<io::ErrorKind>,
}

/// One direction.
struct Way {
    waiting: Vec<u8>,
    /// How many of those are out.
    at: usize,
    octets: u64,
    /// The sender has finished.
    ended: bool,
    /// And the receiver knows.
    told: bool,
}

impl Way {
    const fn new(ahead: Vec<u8>) -> Self {
        Self { waiting: ahead, at: 0, octets: 0, ended: false, told: false }
    }

    /// Moves what can be moved now; whether anything was.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> io::Result<bool> {
        let mut moved = false;
        while !self.told {
            while self.at < self.waiting.len() {
                match Pin::new(&mut *to).poll_write(cx, &self.waiting[self.at..])? {
                    Poll::Pending => return Ok(moved),
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(count) => {
                        self.at += count;
                        self.octets += count as u64;
                        moved = true;
                    }
                }
            }
            self.at = 0;
            if self.waiting.capacity() > WAITING_OCTETS_MAX {
                self.waiting = Vec::new();
            }
            self.waiting.clear();
            if self.ended {
                if Pin::new(&mut *to).poll_shutdown(cx)?.is_pending() {
                    return Ok(moved);
                }
                self.told = true;
                return Ok(true);
            }
            let Self { waiting, ended, .. } = self;
            let read = from.poll_read_with(cx, |octets| {
                waiting.extend_from_slice(octets);
                *ended = octets.is_empty();
            });
            match read {
                Poll::Ready(Ok(())) => moved = true,
                // Many end TLS without saying so.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => self.ended = true,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    // TLS may hold octets back.
                    let _ = Pin::new(&mut *to).poll_flush(cx)?;
                    return Ok(moved);
                }
            }
        }
        Ok(moved)
    }
}

/// Hands octets over between two sides until both have finished, one breaks off or a limit is reached.
pub async fn relay(world: &World, first: Tunnel, second: Tunnel, limits: TunnelLimits) -> Relayed {
    let (mut there, mut back) = (Way::new(first.ahead), Way::new(second.ahead));
    let (mut first, mut second) = (first.stream, second.stream);
    let mut silent: Option<BoxFuture<'static, ()>> = None;
    let cut = poll_fn(|cx| {
        let moved = there
            .poll(cx, &mut first, &mut second)
            .and_then(|moved| Ok(back.poll(cx, &mut second, &mut first)? || moved));
        match moved {
            Ok(true) => silent = None,
            Ok(false) => {}
            Err(error) => return Poll::Ready(Some(error.kind())),
        }
        if there.told && back.told {
            return Poll::Ready(None);
        }
        if limits.octets.is_some_and(|octets| there.octets + back.octets > octets) {
            return Poll::Ready(Some(io::ErrorKind::QuotaExceeded));
        }
        let timer = silent.get_or_insert_with(|| world.sleep(limits.idle));
        timer.as_mut().poll(cx).map(|()| Some(io::ErrorKind::TimedOut))
    })
    .await;
    Relayed { there: there.octets, back: back.octets, cut }
}
