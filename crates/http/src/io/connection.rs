//! One connection's task: reads through the worker's shared buffer, answers in batches, and waits.
//!
//! While it waits for a request it owns no buffer, and one timer that is set once a ring and not once
//! a request. Whatever needs room of its own (a
//! file being streamed, a handler at work, a lingering close) is boxed for as long as it lasts.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use doorway_base::Instant;
use doorway_base::trace::{Direction, EventId};
use doorway_net::tcp::Watching;
use doorway_net::web::Upgrade;
use doorway_net::{BoxFuture, Stream, World};
use tokio::io::AsyncWrite;

use super::batch::{self, Next, Then};
use super::body::FileStream;
use super::reply;
use super::server::{Server, Worker};
use crate::connection::{Connection, Decision, LINGER_TIME};
use crate::h2;
use crate::wire::FieldSpans;
use crate::wire::response::{Form, write_chunk_size};

/// A worker's buffer for responses is given back when a batch made it grow beyond this.
const OUT_OCTETS_KEPT: usize = 256 * 1024;
/// Octets of a file that are sent at a time without being read: other connections of the worker wait meanwhile.
const SENDFILE_OCTETS: usize = 512 * 1024;
/// Octets of a file that are read and sent at a time.
const FILE_CHUNK_OCTETS: usize = 64 * 1024;

/// A connection with everything that belongs to it.
pub(super) struct Talk {
    pub(super) stream: Stream,
    pub(super) world: World,
    pub(super) watching: Watching,
    pub(super) engine: Connection,
    /// Octets that were received and not used, in front of those that follow.
    pub(super) unused: Vec<u8>,
    /// Whether the engine has seen all of `unused` and waits for more.
    shown: bool,
    outgoing: Outgoing,
    /// Whether the first octets may be those of HTTP/2.
    http2: bool,
    next: Option<Next>,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
    /// Who speaks on the connection once it is no longer HTTP.
    pub(super) upgrade: Option<Upgrade>,
}

/// Serves one connection to its end.
pub(super) async fn serve(server: &Server, connection: doorway_net::Connection) {
    let (stream, world, watching) = connection.into_parts();
    if stream.alpn() == Some(b"h2") {
        return Box::pin(super::h2::serve(server, stream, world, watching, Vec::new())).await;
    }
    let local = watching.pulse().ends().remote.ip().is_loopback();
    let http2 = !stream.is_tls() && stream.unix_user().is_none() && server.worker().setup.speaks_h2c(local);
    let mut talk = Talk {
        stream,
        world,
        watching,
        engine: Connection::new(),
        unused: Vec::new(),
        shown: true,
        outgoing: Outgoing::default(),
        http2,
        next: None,
        timer: None,
        upgrade: None,
    };
    let linger = loop {
        let then = match poll_fn(|cx| talk.poll(cx, server)).await {
            Next::Again => Then::GoOn,
            Next::Close => Then::Close,
            Next::Linger => Then::Linger,
            Next::Http2 => {
                let Talk { stream, world, watching, unused, .. } = talk;
                return Box::pin(super::h2::serve(server, stream, world, watching, unused)).await;
            }
            Next::Stream(file) => Box::pin(talk.stream_file(*file)).await.unwrap_or(Then::Close),
            Next::Verify(verification) => {
                Box::pin(verification.run(server, &talk.world)).await;
                Then::GoOn
            }
            Next::Handle(call) => {
                Box::pin(super::handler::run(&mut talk, server, *call)).await.unwrap_or(Then::Close)
            }
        };
        if then != Then::GoOn {
            break then == Then::Linger;
        }
    };
    if let Some(upgrade) = talk.upgrade.take() {
        return upgrade(talk.unused, talk.stream).await;
    }
    if linger || talk.stream.is_tls() {
        let Talk { stream, world, engine, .. } = &mut talk;
        Box::pin(end(stream, world, engine, linger)).await;
    }
}

impl Talk {
    /// Reads and answers until there is something that takes longer.
    fn poll(&mut self, cx: &mut Context<'_>, server: &Server) -> Poll<Next> {
        loop {
            if ready!(self.outgoing.poll_flush(cx, &mut self.stream)).is_err() {
                return Poll::Ready(Next::Close);
            }
            match self.next.take() {
                None | Some(Next::Again) => {}
                Some(next) => return Poll::Ready(next),
            }
            if self.watching.is_draining() {
                self.engine.drain();
                if self.engine.is_idle() && self.unused.is_empty() {
                    return Poll::Ready(Next::Close);
                }
            }
            let mut worker = server.worker();
            worker.out.clear();
            if !self.shown {
                let unused = std::mem::take(&mut self.unused);
                self.take(&mut worker, &unused);
            } else {
                // Taken apart, so that the octets can be used while the stream lends them.
                let mut read = self.poll_read(cx, &mut worker);
                if read.is_pending() {
                    read = self.poll_timer(cx, &mut worker);
                }
                match ready!(read) {
                    Ok(true) => {}
                    Ok(false) | Err(_) => return Poll::Ready(Next::Close),
                }
            }
            // A file follows its head at once; pages that are handed over would not fit behind one.
            let more = matches!(&self.next, Some(Next::Stream(stream))
                if stream.next_of_file().is_none() || !self.watching.is_local());
            if !worker.out.is_empty()
                && self.outgoing.send(cx, &mut self.stream, &mut worker.out, more).is_err()
            {
                self.next = Some(Next::Close);
            }
        }
    }

    /// Reads once and answers; false at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Poll<io::Result<bool>> {
        let Self { stream, watching, engine, unused, shown, http2, next, world, .. } = self;
        stream.poll_read_with(cx, |octets| {
            if octets.is_empty() {
                return false;
            }
            let mut input = Input { watching, engine, unused, shown, http2, next, world };
            if input.unused.is_empty() {
                input.take(worker, octets);
            } else {
                let mut all = std::mem::take(input.unused);
                all.extend_from_slice(octets);
                input.take(worker, &all);
            }
            true
        })
    }

    fn take(&mut self, worker: &mut Worker, octets: &[u8]) {
        let Self { watching, engine, unused, shown, http2, next, world, .. } = self;
        Input { watching, engine, unused, shown, http2, next, world }.take(worker, octets);
    }

    /// Waits for the engine's deadline, if it has one; answers when it passes.
    fn poll_timer(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Poll<io::Result<bool>> {
        loop {
            let Some(due) = self.engine.next_timeout() else {
                self.timer = None;
                return Poll::Pending;
            };
            let (at, timer) = match &mut self.timer {
                // An earlier timer is left alone: when it rings, it is set anew.
                Some((at, timer)) if *at <= due => (*at, timer),
                _ => {
                    let (_, timer) = self.timer.insert((due, self.world.sleep_until(due)));
                    (due, timer)
                }
            };
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if at < due {
                continue;
            }
            self.next = Some(match self.engine.time_out() {
                Decision::Refuse(refusal) => {
                    let cause =
                        self.watching.record(Direction::In, &self.unused, None, || "too slow".to_owned());
                    worker.dates.advance(self.world.wall());
                    let Worker { setup, out, dates, counts, .. } = worker;
                    reply::refuse(setup, out, Form::Http1, dates, counts, &refusal);
                    self.watching.record(Direction::Out, out, cause, || refusal.status().to_string());
                    Next::Linger
                }
                _ => Next::Close,
            });
            return Poll::Ready(Ok(true));
        }
    }

    /// Sends octets and waits until they are out.
    pub(super) async fn write(
        &mut self,
        octets: &[u8],
        cause: Option<EventId>,
        what: &str,
    ) -> io::Result<()> {
        self.watching.record(Direction::Out, octets, cause, || what.to_owned());
        let mut sent = 0;
        while sent < octets.len() {
            let write = poll_fn(|cx| Pin::new(&mut self.stream).poll_write(cx, &octets[sent..]));
            match write.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => sent += count,
            }
        }
        poll_fn(|cx| Pin::new(&mut self.stream).poll_flush(cx)).await
    }

    async fn stream_file(&mut self, mut stream: FileStream) -> io::Result<Then> {
        let chunked = stream.has_no_length();
        let (mut piece, mut out) = (Vec::new(), Vec::new());
        // What encrypts, or is no socket of the system, reads and writes below; so does who is looked at.
        let mut sends_files = !self.watching.is_traced();
        loop {
            if let Some(octets) = stream.next_in_memory() {
                let count = octets.len();
                self.write(octets, stream.cause, "body").await?;
                stream.advance(count as u64);
                continue;
            }
            if sends_files && let Some((file, span)) = stream.next_of_file() {
                let octets = usize::try_from(span.octets()).unwrap_or(usize::MAX).min(SENDFILE_OCTETS);
                let sent = poll_fn(|cx| self.stream.poll_send_file(cx, file, span.first, octets)).await?;
                match sent {
                    Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Some(count) => stream.advance(count as u64),
                    None => sends_files = false,
                }
                continue;
            }
            piece.clear();
            // When the file became shorter the length that was promised cannot be kept: the error ends the
            // connection.
            if stream.pull(&mut piece, FILE_CHUNK_OCTETS)? == 0 {
                break;
            }
            if chunked {
                out.clear();
                write_chunk_size(&mut out, piece.len());
                out.extend_from_slice(&piece);
                out.extend_from_slice(b"\r\n");
                self.write(&out, stream.cause, "chunk").await?;
            } else {
                self.write(&piece, stream.cause, "body").await?;
            }
        }
        if chunked {
            self.write(b"0\r\n\r\n", stream.cause, "last chunk").await?;
        }
        Ok(stream.then)
    }
}

/// Octets on their way to the socket.
#[derive(Default)]
pub(super) struct Outgoing {
    /// What the socket did not take, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    /// Whether TLS may still hold octets back.
    flushing: bool,
}

impl Outgoing {
    /// Writes a batch's responses; what the socket does not take is kept. With `more`, what follows at once
    /// may leave together with them.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        out: &mut Vec<u8>,
        more: bool,
    ) -> io::Result<()> {
        self.flushing = stream.is_tls();
        let written =
            if more { stream.poll_write_more(cx, out) } else { Pin::new(stream).poll_write(cx, out) };
        match written {
            Poll::Ready(Ok(count)) if count == out.len() => {}
            Poll::Ready(Ok(count)) => self.unsent.extend_from_slice(&out[count..]),
            Poll::Pending => self.unsent.extend_from_slice(out),
            Poll::Ready(Err(error)) => return Err(error),
        }
        if out.capacity() > OUT_OCTETS_KEPT {
            *out = Vec::new();
        }
        Ok(())
    }

    /// Waits until the socket has taken everything.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &self.unsent[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        if self.sent > 0 {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        if self.flushing {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.flushing = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Says goodbye, and if the client may still be sending, reads on for a while so that the last response is
/// not lost to a reset.
pub(super) async fn end(stream: &mut Stream, world: &World, engine: &mut Connection, linger: bool) {
    engine.linger(world.now());
    let limits = crate::connection::Limits::default();
    let goodbye = async {
        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await?;
        let mut spans = FieldSpans::default();
        let mut over = !linger;
        while !over {
            let read = poll_fn(|cx| {
                stream.poll_read_with(cx, |octets| {
                    octets.is_empty() || matches!(engine.next(octets, &limits, &mut spans).1, Decision::Close)
                })
            });
            over = read.await?;
        }
        io::Result::Ok(())
    };
    // Whether it went well or not, nobody is left to be told.
    let _ = world.timeout(LINGER_TIME, goodbye).await;
}

/// What a batch needs of a connection, apart from its stream.
struct Input<'a> {
    watching: &'a Watching,
    engine: &'a mut Connection,
    unused: &'a mut Vec<u8>,
    shown: &'a mut bool,
    http2: &'a mut bool,
    next: &'a mut Option<Next>,
    world: &'a World,
}

impl Input<'_> {
    /// Answers what is whole in `octets` and keeps the rest.
    fn take(&mut self, worker: &mut Worker, octets: &[u8]) {
        let now = self.world.now();
        if *self.http2 {
            let shown = octets.len().min(h2::PREFACE.len());
            *self.http2 = octets[..shown] == h2::PREFACE[..shown];
            if *self.http2 {
                *self.unused = octets.to_vec();
                *self.next = (shown == h2::PREFACE.len()).then_some(Next::Http2);
                *self.shown = true;
                return self.engine.settle(now, &worker.setup.limits, shown);
            }
        }
        worker.dates.advance(self.world.wall());
        let (used, next) = batch::run(worker, self.watching, self.engine, now, octets);
        *self.shown = next.is_none();
        *self.next = next;
        let rest = &octets[used..];
        if !rest.is_empty() {
            *self.unused = rest.to_vec();
        }
        self.engine.settle(now, &worker.setup.limits, rest.len());
    }
}
