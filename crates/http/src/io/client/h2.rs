//! One HTTP/2 connection that many requests share: a task that moves octets, and for each request an
//! [`Exchanging`] that sends its content and takes its response (RFC 9113).
//!
//! Both sides of the state are bounded: what comes in by the windows, which open only as bodies are read;
//! what goes out by [`AHEAD_OCTETS`], beyond which content waits.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use doorway_base::Instant;
use doorway_base::trace::{Direction, Flow};
use doorway_net::web::{Bytes, Informational};
use doorway_net::{BoxFuture, Stream};
use tokio::io::AsyncWrite;

use super::link::{Head, flow, record};
use super::outgoing::{Outgoing, Upload};
use super::{ClientError, Inner};
use crate::h2::client::{Client, Reply, Scratch};
use crate::h2::{ErrorCode, Scope, Violation, rule};

/// Octets that are made ready for the socket before content waits.
const AHEAD_OCTETS: usize = 64 * 1024;
/// Octets that wait for the socket, above which nothing is read: answers to SETTINGS and PING.
const OUT_OCTETS_MAX: usize = 1024 * 1024;
/// Requests at a time before the server has said how many it takes (RFC 9113 §6.5.2).
const FIRST_MAX: usize = 100;
/// Informational responses before a final one, at most.
const INFORMATIONAL_MAX: u32 = 64;

/// Why an exchange ended without its response.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The server did not look at the request.
    Unseen,
    Lost(io::ErrorKind),
    Reset(ErrorCode),
    Broken(Violation),
}

impl From<Fault> for ClientError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unseen => Self::Unseen,
            Fault::Lost(kind) => Self::Lost(kind.into()),
            Fault::Reset(error) => Self::Reset(error),
            Fault::Broken(violation) => Self::Violated(violation),
        }
    }
}

/// A connection.
pub(super) struct Shared {
    state: Mutex<State>,
    remote: SocketAddr,
    flow: Flow,
}

struct State {
    engine: Client,
    /// What is to be written after that which is being written.
    out: Vec<u8>,
    exchanges: BTreeMap<u32, Exchange>,
    driver: Option<Waker>,
    /// Requests that wait until another one is over.
    queue: Vec<Waker>,
    over: Option<Fault>,
}

/// One request under way.
#[derive(Default)]
struct Exchange {
    informational: u32,
    head: Option<Head>,
    pieces: VecDeque<Bytes>,
    /// Whether the response is all there, or why it will never be.
    end: Option<Result<(), Fault>>,
    /// Whether content waits for a window, or for the socket.
    blocked: bool,
    waker: Option<Waker>,
    /// Who hears of informational responses.
    told: Option<Informational>,
}

impl Exchange {
    fn ended(&mut self, end: Result<(), Fault>) {
        self.end.get_or_insert(end);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl State {
    fn wake_driver(&mut self) {
        if let Some(waker) = self.driver.take() {
            waker.wake();
        }
    }

    /// Lets content go on that had to wait, and requests that found no room.
    fn moved(&mut self) {
        self.exchanges.values_mut().filter(|exchange| exchange.blocked).for_each(Exchange::wake);
        if self.over.is_some() || self.can_ask() {
            self.queue.drain(..).for_each(Waker::wake);
        }
    }

    fn can_ask(&self) -> bool {
        let engine = &self.engine;
        engine.can_ask() && (engine.is_agreed() || engine.under_way() < FIRST_MAX)
    }

    /// Ends everything that is under way.
    fn fail(&mut self, fault: Fault) {
        let fault = *self.over.get_or_insert(fault);
        self.exchanges.values_mut().for_each(|exchange| exchange.ended(Err(fault)));
        self.moved();
    }
}

impl Shared {
    /// Speaks HTTP/2 on a connection from here on. Its task ends when the connection has been idle for the
    /// time of the settings.
    pub(super) fn start(inner: &Arc<Inner>, stream: Stream, remote: SocketAddr) -> Arc<Self> {
        let mut out = Vec::new();
        let engine = Client::new(inner.settings.head, &mut out);
        let state =
            State { engine, out, exchanges: BTreeMap::new(), driver: None, queue: Vec::new(), over: None };
        let flow = flow(&inner.world, &stream, remote);
        let shared = Arc::new(Self { state: Mutex::new(state), remote, flow });
        let mut driver = Driver {
            shared: Arc::clone(&shared),
            inner: Arc::clone(inner),
            stream,
            unused: Vec::new(),
            writing: Vec::new(),
            written: 0,
            since: None,
            timer: None,
        };
        inner.world.spawn("http", async move {
            let ended = poll_fn(|cx| driver.poll(cx)).await;
            let kind = ended.err().map_or(io::ErrorKind::UnexpectedEof, |error| error.kind());
            driver.shared.state().fail(Fault::Lost(kind));
            // Nobody is left to hear whether it went well.
            let _ = poll_fn(|cx| Pin::new(&mut driver.stream).poll_shutdown(cx)).await;
        });
        shared
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it takes requests, now or once another is over.
    pub(super) fn is_open(&self) -> bool {
        let state = self.state();
        state.over.is_none() && !state.engine.is_leaving()
    }

    /// Sends a request's head, once the server takes it.
    pub(super) fn poll_ask(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        inner: &Inner,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<Exchanging, ClientError>> {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.over.is_some() || state.engine.is_leaving() {
            return Poll::Ready(Err(ClientError::Unseen));
        }
        if !state.can_ask() {
            state.queue.push(cx.waker().clone());
            return Poll::Pending;
        }
        let upload = outgoing.upload();
        let fields = outgoing.fields();
        let octets = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
        let Some(stream) = state.engine.ask(&mut state.out, outgoing.method, octets, upload.is_none()) else {
            return Poll::Ready(Err(ClientError::Unseen));
        };
        let told = outgoing.informational.clone();
        state.exchanges.insert(stream, Exchange { told, ..Exchange::default() });
        state.wake_driver();
        let text = || {
            let line = |(name, value): &(String, Vec<u8>)| [name.as_bytes(), b": ", value, b"\r\n"].concat();
            fields.iter().flat_map(line).collect::<Vec<u8>>()
        };
        if inner.world.trace().is_on() {
            let summary = || format!("stream {stream} {}", outgoing.summary());
            record(&inner.world, self.flow, Direction::Out, &text(), summary);
        }
        drop(guard);
        Poll::Ready(Ok(Exchanging { shared: Arc::clone(self), stream, upload, sent: 0 }))
    }
}

/// One request with its response, as its sender holds it. To drop it gives the exchange up.
pub(super) struct Exchanging {
    shared: Arc<Shared>,
    stream: u32,
    upload: Option<Upload>,
    sent: u64,
}

impl Exchanging {
    /// Octets of content that are on their way.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.shared.remote
    }

    /// Sends what content can be sent now.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), ClientError> {
        while let Some(upload) = &mut self.upload {
            let more = match upload.poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(more) => more.map_err(ClientError::Content)?,
            };
            let mut guard = self.shared.state();
            let state = &mut *guard;
            let Some(exchange) = state.exchanges.get_mut(&self.stream) else { return Ok(()) };
            exchange.blocked = false;
            if exchange.end.is_some() {
                self.upload = None;
                return Ok(());
            }
            let end = upload.is_last();
            let room = state.out.len() < AHEAD_OCTETS;
            let taken = if room {
                state.engine.send_data(&mut state.out, self.stream, &upload.piece, end)
            } else {
                0
            };
            if taken == 0 && (more || !room) {
                exchange.blocked = true;
                exchange.waker = Some(cx.waker().clone());
                return Ok(());
            }
            self.sent += taken as u64;
            let _ = upload.piece.split_to(taken);
            state.wake_driver();
            drop(guard);
            if end && upload.piece.is_empty() {
                self.upload = None;
            }
        }
        Ok(())
    }

    /// Waits for the head of the response, while the request goes out.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, ClientError>> {
        self.send(cx)?;
        let mut state = self.shared.state();
        let lost = ClientError::Lost(io::ErrorKind::UnexpectedEof.into());
        let Some(exchange) = state.exchanges.get_mut(&self.stream) else { return Poll::Ready(Err(lost)) };
        if let Some(head) = exchange.head.take() {
            return Poll::Ready(Ok(head));
        }
        match exchange.end {
            Some(Err(fault)) => Poll::Ready(Err(fault.into())),
            Some(Ok(())) => Poll::Ready(Err(lost)),
            None => {
                exchange.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next octets of the body; `None` at its end.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ClientError>> {
        self.send(cx)?;
        let mut guard = self.shared.state();
        let state = &mut *guard;
        let Some(exchange) = state.exchanges.get_mut(&self.stream) else { return Poll::Ready(Ok(None)) };
        if let Some(piece) = exchange.pieces.pop_front() {
            state.engine.release(&mut state.out, self.stream, piece.len());
            state.wake_driver();
            return Poll::Ready(Ok(Some(piece)));
        }
        match exchange.end {
            Some(Ok(())) => Poll::Ready(Ok(None)),
            Some(Err(fault)) => Poll::Ready(Err(fault.into())),
            None => {
                exchange.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Exchanging {
    fn drop(&mut self) {
        let mut guard = self.shared.state();
        let state = &mut *guard;
        if let Some(exchange) = state.exchanges.remove(&self.stream) {
            let unread = exchange.pieces.iter().map(Bytes::len).sum();
            state.engine.reset(&mut state.out, self.stream, ErrorCode::CANCEL);
            state.engine.release(&mut state.out, self.stream, unread);
        }
        state.moved();
        state.wake_driver();
    }
}

/// What the connection's task holds.
struct Driver {
    shared: Arc<Shared>,
    inner: Arc<Inner>,
    stream: Stream,
    unused: Vec<u8>,
    writing: Vec<u8>,
    written: usize,
    /// Since when nothing is under way.
    since: Option<Instant>,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let flushed = self.poll_flush(cx)?;
            let crowded = {
                let mut state = self.shared.state();
                if state.over.is_some() && flushed.is_ready() {
                    return Poll::Ready(Ok(()));
                }
                state.driver = Some(cx.waker().clone());
                state.out.len() > OUT_OCTETS_MAX
            };
            if crowded {
                return Poll::Pending;
            }
            let unused = &mut self.unused;
            let read = self.stream.poll_read_with(cx, |octets| {
                unused.extend_from_slice(octets);
                !octets.is_empty()
            });
            match read? {
                Poll::Ready(true) => self.take(),
                Poll::Ready(false) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    if self.shared.state().out.is_empty() {
                        return self.poll_idle(cx);
                    }
                    if flushed.is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        loop {
            if self.written == self.writing.len() {
                self.written = 0;
                self.writing.clear();
                let mut state = self.shared.state();
                std::mem::swap(&mut self.writing, &mut state.out);
                state.moved();
                if self.writing.is_empty() {
                    drop(state);
                    let _ = Pin::new(&mut self.stream).poll_flush(cx)?;
                    return Ok(Poll::Ready(()));
                }
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.writing[self.written..])? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.written += count,
            }
        }
    }

    /// Leaves when nothing was under way for long enough.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (world, settings) = (&self.inner.world, &self.inner.settings);
        let mut guard = self.shared.state();
        let state = &mut *guard;
        if !state.exchanges.is_empty() {
            (self.since, self.timer) = (None, None);
            return Poll::Pending;
        }
        let now = world.now();
        // The request for which it was opened has yet to come.
        let idle = if state.engine.has_asked() { settings.idle } else { settings.connect_timeout };
        let until = *self.since.get_or_insert(now) + idle;
        if now >= until || state.engine.is_leaving() {
            state.over = Some(Fault::Unseen);
            state.engine.leave(&mut state.out);
            state.moved();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        drop(guard);
        if self.timer.as_ref().is_none_or(|(at, _)| *at != until) {
            self.timer = Some((until, world.sleep_until(until)));
        }
        if let Some((_, timer)) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Shows the engine what was received.
    fn take(&mut self) {
        let (mut scratch, mut used) = (Scratch::default(), 0);
        let mut guard = self.shared.state();
        let State { engine, out, exchanges, over, .. } = &mut *guard;
        loop {
            let (more, reply) = engine.next(&self.unused[used..], &mut scratch, out);
            used += more;
            match reply {
                Reply::More => break,
                Reply::Quiet | Reply::Pong(_) => {}
                Reply::Head { stream, head, end } => {
                    let shown = || format!("stream {stream} {}", head.status);
                    record(&self.inner.world, self.shared.flow, Direction::In, head.octets, shown);
                    let Some(exchange) = exchanges.get_mut(&stream) else { continue };
                    if head.status.code() >= 200 {
                        exchange.head = Some(Head { empty: end, ..Head::of(&head) });
                        if end {
                            exchange.end = Some(Ok(()));
                        }
                        exchange.wake();
                        continue;
                    }
                    exchange.informational += 1;
                    if let Some(told) = &exchange.told {
                        told.send(head.status.code(), Head::of(&head).fields);
                    }
                    if exchange.informational > INFORMATIONAL_MAX {
                        exchange.ended(Err(Fault::Broken(Violation::new(&rule::STATUS, stream))));
                        engine.reset(out, stream, ErrorCode::ENHANCE_YOUR_CALM);
                    }
                }
                Reply::Content { stream, octets, end } => {
                    let shown = || format!("stream {stream} body");
                    record(&self.inner.world, self.shared.flow, Direction::In, octets, shown);
                    let Some(exchange) = exchanges.get_mut(&stream) else {
                        engine.release(out, stream, octets.len());
                        continue;
                    };
                    if !octets.is_empty() {
                        exchange.pieces.push_back(Bytes::copy_from_slice(octets));
                    }
                    if end {
                        exchange.end = Some(Ok(()));
                    }
                    exchange.wake();
                }
                Reply::Reset { stream, error } => {
                    let unseen = error == ErrorCode::REFUSED_STREAM;
                    if let Some(exchange) = exchanges.get_mut(&stream) {
                        exchange.ended(Err(if unseen { Fault::Unseen } else { Fault::Reset(error) }));
                    }
                }
                Reply::Leaving { last, error } => {
                    for (_, exchange) in exchanges.range_mut(last.saturating_add(1)..) {
                        exchange.ended(Err(Fault::Unseen));
                    }
                    if error != ErrorCode::NO_ERROR {
                        exchanges.values_mut().for_each(|exchange| exchange.ended(Err(Fault::Reset(error))));
                    }
                }
                Reply::Violated(violation) => {
                    let fault = Fault::Broken(violation);
                    if violation.rule.scope == Scope::Connection {
                        over.get_or_insert(fault);
                        exchanges.values_mut().for_each(|exchange| exchange.ended(Err(fault)));
                    } else if let Some(exchange) = exchanges.get_mut(&violation.stream) {
                        exchange.ended(Err(fault));
                    }
                }
                Reply::Close => break,
            }
        }
        guard.moved();
        drop(guard);
        self.unused.drain(..used);
    }
}
