//! A tunnel on one stream of HTTP/2 (RFC 9113 §8.5): what the client sends is the content of its request, what the
//! other side sends that of the response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use doorway_net::web::{Body, BodyStream, Bytes};
use doorway_net::{BoxFuture, Stream, World};
use tokio::io::AsyncWrite;

use super::super::client::Tunnel;
use super::tunnel::{Relayed, TunnelLimits};

/// Hears what went through.
type Done = Box<dyn FnOnce(Relayed) + Send>;

/// The response's content; to read it moves the request's on its way too.
pub(super) struct Through {
    world: World,
    limits: TunnelLimits,
    /// What the client sends, until it has finished and the other side knows.
    from_client: Option<Pin<Box<dyn BodyStream>>>,
    /// Octets of it that wait for the other side.
    waiting: Bytes,
    ended: bool,
    ahead: Vec<u8>,
    stream: Stream,
    relayed: Relayed,
    silent: Option<BoxFuture<'static, ()>>,
    done: Option<Done>,
}

impl Through {
    /// Joins a request's content and another connection; `done` hears what went through.
    pub(super) fn new(
        world: &World,
        body: Body,
        tunnel: Tunnel,
        limits: TunnelLimits,
        done: impl FnOnce(Relayed) + Send + 'static,
    ) -> Self {
        let (from_client, waiting) = match body {
            Body::Stream(stream) => (Some(stream), Bytes::new()),
            Body::Whole(octets) => (None, octets),
            Body::Empty => (None, Bytes::new()),
        };
        Self {
            world: world.clone(),
            limits,
            from_client,
            waiting,
            ended: false,
            ahead: tunnel.ahead,
            stream: tunnel.stream,
            relayed: Relayed::default(),
            silent: None,
            done: Some(Box::new(done)),
        }
    }

    /// Sends what the client has sent; whether anything moved.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        loop {
            while !self.waiting.is_empty() {
                match Pin::new(&mut self.stream).poll_write(cx, &self.waiting)? {
                    Poll::Pending => return Ok(moved),
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(count) => {
                        drop(self.waiting.split_to(count));
                        self.relayed.there += count as u64;
                        moved = true;
                    }
                }
            }
            let Some(body) = &mut self.from_client else {
                if !self.ended && Pin::new(&mut self.stream).poll_shutdown(cx)?.is_ready() {
                    self.ended = true;
                }
                return Ok(moved);
            };
            match body.as_mut().poll_piece(cx) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Some(piece)) => self.waiting = piece?,
                Poll::Ready(None) => self.from_client = None,
            }
        }
    }
}

impl BodyStream for Through {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = &mut *self;
        match this.send(cx) {
            Ok(true) => this.silent = None,
            Ok(false) => {}
            Err(error) => return Poll::Ready(Some(Err(error))),
        }
        let octets = this.relayed.there + this.relayed.back;
        if this.limits.octets.is_some_and(|limit| octets > limit) {
            return Poll::Ready(Some(Err(io::ErrorKind::QuotaExceeded.into())));
        }
        let mut piece = Bytes::from(std::mem::take(&mut this.ahead));
        if piece.is_empty() {
            match this.stream.poll_read_with(cx, Bytes::copy_from_slice) {
                Poll::Ready(Ok(read)) if read.is_empty() => return Poll::Ready(None),
                Poll::Ready(Ok(read)) => piece = read,
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => {
                    let idle = this.limits.idle;
                    let timer = this.silent.get_or_insert_with(|| this.world.sleep(idle));
                    return timer.as_mut().poll(cx).map(|()| Some(Err(io::ErrorKind::TimedOut.into())));
                }
            }
        }
        this.silent = None;
        this.relayed.back += piece.len() as u64;
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(self.relayed);
        }
    }
}
