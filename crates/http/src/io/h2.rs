//! One HTTP/2 connection's task: frames in, answers out, and everything that is under way on its streams.
//!
//! As over HTTP/1, octets are read through the worker's shared buffer, and all that is ready after one read
//! leaves with one write. What a stream is waiting for (a handler, a long file) is an [`Exchange`]; content
//! goes out in the order of the priorities, [`AHEAD_OCTETS`] ahead of the socket at most.

mod exchange;
mod record;

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use doorway_base::Instant;
use doorway_base::trace::{Direction, EventId};
use doorway_net::tcp::Watching;
use doorway_net::{BoxFuture, Stream, World};

use self::exchange::{Asked, Exchange};
use super::batch::{Desk, Next};
use super::connection::{Outgoing, end};
use super::server::{Server, Worker};
use crate::Status;
use crate::h2::frame::HEADER_OCTETS;
use crate::h2::request::again;
use crate::h2::rule::ErrorCode;
use crate::h2::{Connection, Event, Scope};
use crate::wire::response::{Form, ResponseWriter};
use crate::wire::{FieldSpans, Framing, Refusal, RequestHead, rule};

/// Octets that are made ready for the socket at a time; what the engine says itself may come on top.
const AHEAD_OCTETS: usize = 64 * 1024;
/// Octets of request content that are collected at a time on one connection: 503.
const COLLECTED_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// A connection with everything that belongs to it.
struct Talk<'s> {
    server: &'s Server,
    stream: Stream,
    world: World,
    watching: Watching,
    engine: Connection,
    /// Octets that were received and not used, in front of those that follow.
    unused: Vec<u8>,
    /// Whether the engine has seen all of `unused` and waits for more.
    shown: bool,
    outgoing: Outgoing,
    /// What is under way, in the order of the requests.
    exchanges: Vec<Exchange<'s>>,
    /// The connection ends once everything is written.
    over: bool,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

/// Serves one connection to its end. `unused` are octets that were read already.
pub(super) async fn serve(
    server: &Server,
    stream: Stream,
    world: World,
    watching: Watching,
    unused: Vec<u8>,
) {
    let mut talk = Talk {
        server,
        stream,
        world,
        watching,
        engine: Connection::new(),
        shown: unused.is_empty(),
        unused,
        outgoing: Outgoing::default(),
        exchanges: Vec::new(),
        over: false,
        timer: None,
    };
    server.worker().counts.h2_connections += 1;
    // Whether it went well or not, nobody is left to be told.
    let lost = poll_fn(|cx| talk.poll(cx)).await.is_err();
    if !lost {
        let Talk { mut stream, world, .. } = talk;
        end(&mut stream, &world, &mut crate::connection::Connection::new(), true).await;
    }
}

impl Talk<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.outgoing.poll_flush(cx, &mut self.stream))?;
            if self.over {
                return Poll::Ready(Ok(()));
            }
            // Handlers are asked without the worker's lock: they may want it themselves.
            let mut moved = self.poll_handlers(cx);
            let server = self.server;
            let mut worker = server.worker();
            worker.out.clear();
            worker.dates.advance(self.world.wall());
            if !self.shown || self.exchanges.iter().any(Exchange::is_verified) {
                let unused = std::mem::take(&mut self.unused);
                self.take(&mut worker, &unused);
                moved = true;
            } else {
                match self.poll_read(cx, &mut worker) {
                    Poll::Ready(Ok(true)) => moved = true,
                    Poll::Ready(Ok(false)) => {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            }
            self.feed_handlers(cx, &mut worker);
            self.answer_handlers(&mut worker);
            self.send_content(&mut worker);
            self.settle(&mut worker, moved);
            if self.poll_timer(cx, &mut worker) {
                moved = true;
                self.settle(&mut worker, moved);
            }
            if worker.out.is_empty() {
                if !moved && !self.over {
                    return Poll::Pending;
                }
                continue;
            }
            self.outgoing.send(cx, &mut self.stream, &mut worker.out, false)?;
        }
    }

    /// Reads once and takes what came; false at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Poll<io::Result<bool>> {
        let Self { server, stream, world, watching, engine, unused, shown, exchanges, over, .. } = self;
        let secure = stream.is_tls();
        stream.poll_read_with(cx, |octets| {
            if octets.is_empty() {
                return false;
            }
            let mut input = Input { server, world, watching, engine, unused, shown, exchanges, over, secure };
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
        let Self { server, stream, world, watching, engine, unused, shown, exchanges, over, .. } = self;
        let secure = stream.is_tls();
        Input { server, world, watching, engine, unused, shown, exchanges, over, secure }
            .take(worker, octets);
    }

    /// Sends what waits on the streams, the most urgent first.
    fn send_content(&mut self, worker: &mut Worker) {
        let now = self.world.now();
        let Self { engine, exchanges, watching, .. } = self;
        while worker.out.len() < AHEAD_OCTETS
            && let Some(id) = engine.next_sender()
        {
            let start = worker.out.len();
            let Some(place) = exchanges.iter().position(|exchange| exchange.stream == id) else {
                engine.reset(&mut worker.out, id, ErrorCode::INTERNAL_ERROR);
                continue;
            };
            let exchange = &mut exchanges[place];
            exchange.send(engine, &mut worker.out, &mut worker.h2.chunk, now);
            record::frames(watching, Direction::Out, &worker.out[start..], exchange.cause);
            if exchange.is_over() {
                exchanges.remove(place);
            }
        }
        if exchanges.is_empty() && exchanges.capacity() > 4 {
            // A connection that waits shall be small.
            *exchanges = Vec::new();
        }
    }

    /// Ends a turn, in which something `moved` or not: what is due, and whether the connection is over.
    fn settle(&mut self, worker: &mut Worker, moved: bool) {
        let (now, start) = (self.world.now(), worker.out.len());
        if self.watching.is_draining() {
            self.engine.drain(now, &mut worker.out);
        }
        let Worker { setup, out, .. } = worker;
        let begun = if self.shown { self.unused.len() } else { 0 };
        if moved || !out.is_empty() {
            self.engine.settle(now, &setup.h2_limits, begun, out);
        }
        record::frames(&self.watching, Direction::Out, &out[start..], None);
        self.over |= self.engine.is_over() || self.engine.has_left();
    }

    /// Waits for the engine's deadline, if it has one; whether it has passed.
    fn poll_timer(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> bool {
        loop {
            let Some(due) = self.engine.next_timeout() else {
                self.timer = None;
                return false;
            };
            let (at, timer) = match &mut self.timer {
                // An earlier timer is left alone: when it rings, it is set anew.
                Some((at, timer)) if *at <= due => (*at, timer),
                _ => {
                    let (_, timer) = self.timer.insert((due, self.world.sleep_until(due)));
                    (due, timer)
                }
            };
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.timer = None;
            if at < due {
                continue;
            }
            let start = worker.out.len();
            loop {
                match self.engine.time_out(self.world.now(), &mut worker.out) {
                    Event::Violated(violation) => {
                        worker.counts.count_violation(violation.rule);
                        self.exchanges.retain(|exchange| exchange.stream != violation.stream);
                    }
                    Event::Close => self.over = true,
                    Event::More => break,
                    _ => {}
                }
                if self.engine.is_over() || self.over {
                    self.over = true;
                    break;
                }
            }
            self.over |= self.engine.has_left();
            record::frames(&self.watching, Direction::Out, &worker.out[start..], None);
            return true;
        }
    }
}

/// What taking octets needs of a connection, apart from its stream.
struct Input<'a, 's> {
    server: &'s Server,
    world: &'a World,
    watching: &'a Watching,
    engine: &'a mut Connection,
    unused: &'a mut Vec<u8>,
    shown: &'a mut bool,
    exchanges: &'a mut Vec<Exchange<'s>>,
    over: &'a mut bool,
    secure: bool,
}

impl<'s> Input<'_, 's> {
    /// Deals with every frame that is whole in `octets`, and keeps the rest.
    fn take(&mut self, worker: &mut Worker, octets: &[u8]) {
        let now = self.world.now();
        let watching = self.watching;
        let (mut desk, _, h2) = worker.desk(watching, Form::Http2, now);
        let (mut used, mut requests) = (0, 0);
        *self.shown = true;
        self.ask_again(&mut desk);
        loop {
            if desk.out.len() >= AHEAD_OCTETS {
                *self.shown = false;
                break;
            }
            let start = desk.out.len();
            let limits = &desk.setup.h2_limits;
            let (more, event) = self.engine.next(now, &octets[used..], limits, &mut h2.scratch, desk.out);
            let taken = &octets[used..used + more];
            used += more;
            let cause;
            match event {
                Event::More => break,
                Event::Quiet => cause = record::taken(watching, taken, None),
                Event::Request { stream, head } => {
                    requests += 1;
                    cause = record::taken(watching, taken, Some(&head));
                    self.request(&mut desk, stream, &head, cause);
                }
                Event::Content { stream, octets, end } => {
                    cause = record::taken(watching, taken, None);
                    self.content(&mut desk, stream, octets, end);
                }
                Event::Refuse { stream, refusal } => {
                    cause = record::taken(watching, taken, None);
                    self.exchanges.retain(|exchange| exchange.stream != stream);
                    self.refuse(&mut desk, stream, &refusal);
                }
                Event::Reset { stream, .. } => {
                    cause = record::taken(watching, taken, None);
                    desk.counts.h2_resets += 1;
                    self.exchanges.retain(|exchange| exchange.stream != stream);
                }
                Event::Violated(violation) => {
                    cause = watching.record(Direction::In, taken, None, || violation.to_string());
                    desk.counts.count_violation(violation.rule);
                    if violation.rule.scope == Scope::Connection {
                        self.exchanges.clear();
                        *self.over = true;
                    } else {
                        self.exchanges.retain(|exchange| exchange.stream != violation.stream);
                    }
                }
                Event::Close => {
                    *self.over = true;
                    break;
                }
            }
            record::frames(watching, Direction::Out, &desk.out[start..], cause);
        }
        desk.counts.requests += requests;
        if requests > 0 {
            watching.pulse().count_requests(requests);
        }
        let rest = &octets[used..];
        if !rest.is_empty() && !*self.over {
            *self.unused = rest.to_vec();
        }
    }

    /// Answers a request, or gives it to whoever does.
    fn request(&mut self, desk: &mut Desk<'_>, stream: u32, head: &RequestHead<'_>, cause: Cause) {
        let start = desk.out.len();
        match desk.answer(head, || cause, || true) {
            Some(Next::Stream(file)) => {
                desk.out.truncate(desk.head_end - HEADER_OCTETS);
                self.engine.send_head(desk.out, stream, start, false);
                self.begin(Exchange::file(stream, file), desk.now);
            }
            Some(Next::Handle(mut call)) => {
                call.request.secure = self.secure;
                let mut exchange = Exchange::handle(stream, *call, head.expects_continue);
                if exchange.wants_invitation() {
                    write_invitation(desk.out, self.engine, stream);
                    desk.counts.count_response(Status::CONTINUE);
                }
                exchange.start();
                self.exchanges.push(exchange);
            }
            Some(Next::Verify(verification)) => {
                let (server, world) = (self.server, self.world.clone());
                let verification = Box::pin(async move { verification.run(server, &world).await });
                let asked = Asked {
                    head: head.octets.to_vec(),
                    body: head.body,
                    expects: head.expects_continue,
                    content: Vec::new(),
                    ended: head.body == Framing::None,
                };
                self.exchanges.push(Exchange::verify(stream, verification, asked, cause));
            }
            _ => {
                let rest = self.engine.send_whole(desk.out, stream, start, desk.head_end);
                if let Some(rest) = rest {
                    self.begin(Exchange::octets(stream, rest, cause), desk.now);
                }
            }
        }
    }

    /// Shows requests again of which it is known by now whose they are.
    fn ask_again(&mut self, desk: &mut Desk<'_>) {
        let mut place = 0;
        while let Some(exchange) = self.exchanges.get_mut(place) {
            let Some(asked) = exchange.verified() else {
                place += 1;
                continue;
            };
            let Exchange { stream, cause, .. } = self.exchanges.remove(place);
            let (start, mut spans) = (desk.out.len(), FieldSpans::default());
            let Asked { head, body, expects, content, ended } = asked;
            let Some(head) = again(&head, body, expects, &mut spans) else { continue };
            self.request(desk, stream, &head, cause);
            if !content.is_empty() || (ended && body != Framing::None) {
                self.content(desk, stream, &content, ended);
            }
            record::frames(self.watching, Direction::Out, &desk.out[start..], cause);
        }
    }

    fn begin(&mut self, exchange: Exchange<'s>, now: Instant) {
        if exchange.is_over() {
            return;
        }
        self.engine.wait(exchange.stream, true, now);
        self.exchanges.push(exchange);
    }

    /// Takes content of a request to where it is wanted.
    fn content(&mut self, desk: &mut Desk<'_>, stream: u32, octets: &[u8], end: bool) {
        let collected: usize = self.exchanges.iter().map(Exchange::collected).sum();
        let found = self.exchanges.iter_mut().find(|exchange| exchange.stream == stream);
        let Some(exchange) = found else {
            // The response is on its way, and nobody reads it.
            self.engine.release(desk.out, stream, octets.len());
            return;
        };
        let released = exchange.take(octets, end);
        self.engine.release(desk.out, stream, released);
        let refused = match exchange.collected_too_much() {
            Some(octets_max) => Some(Refusal::new(&rule::BODY_LENGTH, octets_max)),
            None if collected > COLLECTED_OCTETS_MAX => Some(Refusal::new(&rule::BODIES_LENGTH, collected)),
            None => None,
        };
        if let Some(refusal) = refused {
            self.exchanges.retain(|exchange| exchange.stream != stream);
            self.refuse(desk, stream, &refusal);
        }
    }

    /// Answers a stream with the status of a rule.
    fn refuse(&mut self, desk: &mut Desk<'_>, stream: u32, refusal: &Refusal) {
        let start = desk.out.len();
        if !self.engine.is_wanted(stream) {
            return;
        }
        desk.refuse(refusal, None);
        let rest = self.engine.send_whole(desk.out, stream, start, desk.head_end);
        if let Some(rest) = rest {
            self.begin(Exchange::octets(stream, rest, None), desk.now);
        }
    }
}

/// Sends 100 (RFC 9110 §10.1.1).
fn write_invitation(out: &mut Vec<u8>, engine: &mut Connection, stream: u32) {
    let start = out.len();
    let end = ResponseWriter::begin(out, Form::Http2, Status::CONTINUE).end();
    out.truncate(end - HEADER_OCTETS);
    engine.send_head(out, stream, start, false);
}

/// The event that something was caused by.
type Cause = Option<EventId>;
