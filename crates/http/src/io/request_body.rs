//! Request bodies over HTTP/1: read in full for a handler that wants them whole, or in step with a handler
//! that takes them as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use doorway_base::Instant;
use doorway_base::trace::{Direction, EventId};
use doorway_net::BoxFuture;
use doorway_net::web::Bytes;
use tokio::io::AsyncWrite;

use super::connection::Talk;
use super::feed::Feed;
use super::server::{Server, Worker};
use crate::connection::{Connection, Decision};
use crate::wire::{Refusal, rule};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Octets that are handed over at a time, at most, unless one read brought more.
const PIECE_OCTETS_MAX: usize = 64 * 1024;

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// It broke a rule, which is the answer.
    Rule(Refusal),
    /// The client is gone.
    Lost(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// The body of the request at hand while it is being read.
pub(super) struct RequestBody {
    cause: Option<EventId>,
    /// What is left of the 100 response that invites the body.
    invitation: &'static [u8],
    over: bool,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl RequestBody {
    /// The body of the request whose head has just been given out.
    pub(super) const fn new(cause: Option<EventId>) -> Self {
        Self { cause, invitation: &[], over: false, timer: None }
    }

    /// Whether it was read to its end.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Reads all of it.
    pub(super) async fn collect(
        &mut self,
        talk: &mut Talk,
        server: &Server,
        octets_max: usize,
    ) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        loop {
            let piece = std::future::poll_fn(|cx| self.poll_piece(cx, talk, server)).await?;
            if body.len() + piece.len() > octets_max {
                return Err(Broken::Rule(Refusal::new(&rule::BODY_LENGTH, octets_max)));
            }
            body.extend_from_slice(&piece);
            if self.over {
                return Ok(body);
            }
        }
    }

    /// Feeds a handler for as long as it asks. Never ready unless the body is broken.
    pub(super) fn poll_feed(
        &mut self,
        cx: &mut Context<'_>,
        feed: &Feed,
        talk: &mut Talk,
        server: &Server,
    ) -> Poll<Broken> {
        while !self.over {
            if !feed.is_asked(cx) {
                self.timer = None;
                talk.engine.rest();
                return Poll::Pending;
            }
            match ready!(self.poll_piece(cx, talk, server)) {
                Ok(piece) => {
                    if !piece.is_empty() {
                        feed.give(Bytes::from(piece));
                    }
                    if self.over {
                        feed.end(Ok(()));
                    }
                }
                Err(broken) => {
                    feed.end(Err(match &broken {
                        Broken::Rule(refusal) => io::Error::new(io::ErrorKind::InvalidData, *refusal),
                        Broken::Lost(error) => error.kind().into(),
                    }));
                    return Poll::Ready(broken);
                }
            }
        }
        Poll::Pending
    }

    /// The next octets of the body; none when only its end was left.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        talk: &mut Talk,
        server: &Server,
    ) -> Poll<Result<Vec<u8>, Broken>> {
        if talk.engine.read_body() {
            self.invitation = CONTINUE;
            talk.watching.record(Direction::Out, CONTINUE, self.cause, || "100 Continue".to_owned());
        }
        while !self.invitation.is_empty() {
            match ready!(Pin::new(&mut talk.stream).poll_write(cx, self.invitation))? {
                0 => return Poll::Ready(Err(Broken::Lost(io::ErrorKind::WriteZero.into()))),
                count => self.invitation = &self.invitation[count..],
            }
        }
        ready!(Pin::new(&mut talk.stream).poll_flush(cx))?;
        loop {
            let waiting = std::mem::take(&mut talk.unused);
            let taken = take(&mut talk.engine, server, &waiting);
            if taken.used > 0 {
                talk.watching.record(Direction::In, &waiting[..taken.used], self.cause, || "body".to_owned());
            }
            talk.unused = if taken.used == 0 { waiting } else { waiting[taken.used..].to_vec() };
            if let Some(done) = self.taken(taken) {
                return Poll::Ready(done);
            }
            match self.poll_read(cx, talk, server) {
                Poll::Ready(Ok(Some(taken))) => {
                    if let Some(done) = self.taken(taken) {
                        return Poll::Ready(done);
                    }
                }
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    return self.poll_timer(cx, talk, server).map(Err);
                }
            }
        }
    }

    fn taken(&mut self, taken: Taken) -> Option<Result<Vec<u8>, Broken>> {
        match taken.end {
            Some(Err(broken)) => return Some(Err(broken)),
            Some(Ok(())) => self.over = true,
            None if taken.piece.is_empty() => return None,
            None => {}
        }
        self.timer = None;
        Some(Ok(taken.piece))
    }

    /// Reads once. What belongs to a chunk's framing that is not whole yet is put back.
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        talk: &mut Talk,
        server: &Server,
    ) -> Poll<io::Result<Option<Taken>>> {
        let Talk { stream, unused, engine, watching, .. } = talk;
        let read = stream.poll_read_with(cx, |octets| {
            if octets.is_empty() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if !unused.is_empty() {
                unused.extend_from_slice(octets);
                return Ok(None);
            }
            let taken = take(engine, server, octets);
            watching.record(Direction::In, &octets[..taken.used], self.cause, || "body".to_owned());
            unused.extend_from_slice(&octets[taken.used..]);
            Ok(Some(taken))
        });
        Poll::Ready(ready!(read)?)
    }

    /// Waits until the body is too slow.
    fn poll_timer(&mut self, cx: &mut Context<'_>, talk: &mut Talk, server: &Server) -> Poll<Broken> {
        talk.engine.settle(talk.world.now(), &server.worker().setup.limits, talk.unused.len());
        loop {
            let Some(due) = talk.engine.next_timeout() else { return Poll::Pending };
            let (at, timer) = match &mut self.timer {
                Some((at, timer)) if *at <= due => (*at, timer),
                _ => {
                    let (_, timer) = self.timer.insert((due, talk.world.sleep_until(due)));
                    (due, timer)
                }
            };
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if at >= due {
                return Poll::Ready(match talk.engine.time_out() {
                    Decision::Refuse(refusal) => Broken::Rule(refusal),
                    _ => Broken::Lost(io::ErrorKind::TimedOut.into()),
                });
            }
        }
    }
}

/// What some octets brought of a body.
struct Taken {
    used: usize,
    piece: Vec<u8>,
    end: Option<Result<(), Broken>>,
}

/// Takes the body's octets out of its framing.
fn take(engine: &mut Connection, server: &Server, octets: &[u8]) -> Taken {
    let mut worker = server.worker();
    let Worker { setup, spans, .. } = &mut *worker;
    let mut taken = Taken { used: 0, piece: Vec::new(), end: None };
    while taken.end.is_none() && taken.piece.len() < PIECE_OCTETS_MAX {
        let (more, decision) = engine.next(&octets[taken.used..], &setup.limits, spans);
        taken.used += more;
        taken.end = match decision {
            Decision::Body(data) => {
                taken.piece.extend_from_slice(data);
                continue;
            }
            Decision::BodyEnd => Some(Ok(())),
            Decision::Refuse(refusal) => Some(Err(Broken::Rule(refusal))),
            Decision::Close => Some(Err(Broken::Lost(io::ErrorKind::ConnectionAborted.into()))),
            Decision::More | Decision::Request(_) => break,
        };
    }
    taken
}
