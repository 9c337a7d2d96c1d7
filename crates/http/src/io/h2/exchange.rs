//! What is under way on one stream: content that is collected, a handler at work, content that goes out.

use std::pin::Pin;
use std::task::{Context, Poll};

use doorway_base::Instant;
use doorway_base::trace::Direction;
use doorway_net::BoxFuture;
use doorway_net::tcp::Watching;
use doorway_net::web::{Body, BodyStream, Bytes, Informational, Response, Taking};

use super::{Cause, Talk, record, write_invitation};
use crate::Status;
use crate::h2::Connection;
use crate::h2::frame::HEADER_OCTETS;
use crate::h2::rule::ErrorCode;
use crate::io::batch::{HandlerCall, Placed};
use crate::io::body::FileStream;
use crate::io::feed::Feed;
use crate::io::handler::{begin_response, told_length, write_informational};
use crate::io::server::Worker;
use crate::wire::Version;
use crate::wire::response::Form;
use crate::wire::{Framing, Method};

/// One stream's work.
pub(super) struct Exchange<'s> {
    pub(super) stream: u32,
    pub(super) cause: Cause,
    doing: Doing<'s>,
    feeding: Option<Feeding>,
    /// What the handler tells before its response.
    informational: Option<Informational>,
}

enum Doing<'s> {
    /// It is found out who the client is; then the request is shown again.
    Verifying {
        verification: BoxFuture<'s, ()>,
        asked: Asked,
    },
    /// That is known.
    Verified(Asked),
    /// The request's content is collected for a handler that wants it whole.
    Collecting {
        call: Box<HandlerCall>,
        content: Vec<u8>,
        octets_max: usize,
        invited: bool,
        ended: bool,
    },
    /// A handler is at work.
    Handling {
        answer: BoxFuture<'static, Response>,
        placed: Placed,
        bodiless: bool,
    },
    /// It has answered.
    Answered {
        response: Box<Response>,
        placed: Placed,
        bodiless: bool,
    },
    /// Content goes out.
    Sending(Source),
    Over,
}

/// A request that is to be shown again, with what came of its content meanwhile.
pub(super) struct Asked {
    /// Its head as it was put together.
    pub(super) head: Vec<u8>,
    pub(super) body: Framing,
    pub(super) expects: bool,
    pub(super) content: Vec<u8>,
    pub(super) ended: bool,
}

/// Where content comes from.
enum Source {
    Octets {
        octets: Bytes,
        at: usize,
    },
    File(Box<FileStream>),
    Stream {
        body: Pin<Box<dyn BodyStream>>,
        piece: Bytes,
        /// Octets still to come, where the head said how many.
        left: Option<u64>,
        broken: bool,
        ended: bool,
    },
}

/// A request's content on its way to a handler that takes it as it comes.
struct Feeding {
    feed: Feed,
    waiting: Vec<u8>,
    ended: bool,
    /// The client waits for 100.
    expects: bool,
}

impl<'s> Exchange<'s> {
    /// A request of which it has to be found out first whose it is.
    pub(super) fn verify(stream: u32, verification: BoxFuture<'s, ()>, asked: Asked, cause: Cause) -> Self {
        Self {
            stream,
            cause,
            doing: Doing::Verifying { verification, asked },
            feeding: None,
            informational: None,
        }
    }

    /// Whether the request is to be shown again.
    pub(super) const fn is_verified(&self) -> bool {
        matches!(self.doing, Doing::Verified(_))
    }

    /// The request, once it is known whose it is. The exchange is over then.
    pub(super) fn verified(&mut self) -> Option<Asked> {
        if !matches!(self.doing, Doing::Verified(_)) {
            return None;
        }
        match std::mem::replace(&mut self.doing, Doing::Over) {
            Doing::Verified(asked) => Some(asked),
            _ => None,
        }
    }

    /// A file whose head is out.
    pub(super) fn file(stream: u32, file: Box<FileStream>) -> Self {
        Self {
            stream,
            cause: file.cause,
            doing: Doing::Sending(Source::File(file)),
            feeding: None,
            informational: None,
        }
    }

    /// Octets whose head is out.
    pub(super) fn octets(stream: u32, octets: Vec<u8>, cause: Cause) -> Self {
        let source = Source::Octets { octets: octets.into(), at: 0 };
        Self { stream, cause, doing: Doing::Sending(source), feeding: None, informational: None }
    }

    /// A request for a handler; `expects` says that the client waits for 100.
    pub(super) fn handle(stream: u32, mut call: HandlerCall, expects: bool) -> Self {
        let (cause, has_body) = (call.cause, call.has_body);
        let mut feeding = None;
        let informational = Informational::default();
        call.request.informational = Some(informational.clone());
        let (mut octets_max, mut ended) = (0, true);
        if has_body {
            match call.handler.taking(&call.request.method, &call.request.path) {
                Taking::Whole { octets_max: most } => (octets_max, ended) = (most, false),
                Taking::Stream => {
                    let (feed, fed) = Feed::pair();
                    call.request.body = Body::Stream(Box::pin(fed));
                    feeding = Some(Feeding { feed, waiting: Vec::new(), ended: false, expects });
                }
            }
        }
        let invited = !expects || ended;
        let call = Box::new(call);
        let doing = Doing::Collecting { call, content: Vec::new(), octets_max, invited, ended };
        Self { stream, cause, doing, feeding, informational: Some(informational) }
    }

    /// Whether 100 is to be sent now; it is asked once.
    pub(super) const fn wants_invitation(&mut self) -> bool {
        match &mut self.doing {
            Doing::Collecting { invited, .. } => !std::mem::replace(invited, true),
            _ => false,
        }
    }

    /// Asks the handler, if the request is all here.
    pub(super) fn start(&mut self) {
        if !matches!(self.doing, Doing::Collecting { ended: true, .. }) {
            return;
        }
        let Doing::Collecting { mut call, content, .. } = std::mem::replace(&mut self.doing, Doing::Over)
        else {
            return;
        };
        if !content.is_empty() {
            call.request.body = Body::Whole(content.into());
        }
        let HandlerCall { handler, request, placed, method, .. } = *call;
        let bodiless = method == Method::Head;
        let answer = Box::pin(async move { handler.handle(request).await });
        self.doing = Doing::Handling { answer, placed, bodiless };
    }

    /// Takes content of the request. Returns how much of it is done with.
    pub(super) fn take(&mut self, octets: &[u8], end: bool) -> usize {
        if let Some(feeding) = &mut self.feeding {
            feeding.ended |= end;
            if feeding.feed.is_gone() {
                return octets.len();
            }
            feeding.waiting.extend_from_slice(octets);
            return 0;
        }
        if let Doing::Verifying { asked, .. } | Doing::Verified(asked) = &mut self.doing {
            // Not released: no more than a window waits.
            asked.content.extend_from_slice(octets);
            asked.ended |= end;
            return 0;
        }
        if let Doing::Collecting { content, ended, .. } = &mut self.doing {
            content.extend_from_slice(octets);
            *ended |= end;
            if self.collected_too_much().is_none() {
                self.start();
            }
        }
        octets.len()
    }

    /// Octets that are collected.
    pub(super) fn collected(&self) -> usize {
        match &self.doing {
            Doing::Collecting { content, .. } => content.len(),
            _ => 0,
        }
    }

    /// The limit, when more than that was collected.
    pub(super) fn collected_too_much(&self) -> Option<usize> {
        match &self.doing {
            Doing::Collecting { content, octets_max, .. } => {
                (content.len() > *octets_max).then_some(*octets_max)
            }
            _ => None,
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.doing, Doing::Over)
    }

    /// Asks whoever is at work; whether something came of it.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.doing {
            Doing::Verifying { verification, .. } => {
                if verification.as_mut().poll(cx).is_pending() {
                    return false;
                }
                if let Doing::Verifying { asked, .. } = std::mem::replace(&mut self.doing, Doing::Over) {
                    self.doing = Doing::Verified(asked);
                }
                true
            }
            Doing::Handling { answer, .. } => {
                let Poll::Ready(response) = answer.as_mut().poll(cx) else { return false };
                let Doing::Handling { placed, bodiless, .. } =
                    std::mem::replace(&mut self.doing, Doing::Over)
                else {
                    return false;
                };
                self.doing = Doing::Answered { response: Box::new(response), placed, bodiless };
                true
            }
            Doing::Sending(Source::Stream { body, piece, left, broken, ended }) => {
                if !piece.is_empty() || *ended {
                    return false;
                }
                match body.as_mut().poll_piece(cx) {
                    Poll::Pending => return false,
                    Poll::Ready(Some(Ok(next))) => match left.map(|left| left.checked_sub(next.len() as u64))
                    {
                        Some(None) => (*broken, *ended) = (true, true),
                        rest => {
                            *left = rest.flatten();
                            *ended = *left == Some(0);
                            *piece = next;
                        }
                    },
                    Poll::Ready(Some(Err(_))) => (*broken, *ended) = (true, true),
                    Poll::Ready(None) => {
                        *broken = left.is_some_and(|left| left > 0);
                        *ended = true;
                    }
                }
                true
            }
            _ => false,
        }
    }

    /// Sends what the handler tells before its response.
    fn tell(&self, cx: &Context<'_>, engine: &mut Connection, watching: &Watching, worker: &mut Worker) {
        let handling = matches!(self.doing, Doing::Handling { .. } | Doing::Answered { .. });
        let Some(informational) = self.informational.as_ref().filter(|_| handling) else { return };
        while let Poll::Ready((status, fields)) = informational.poll_next(cx) {
            let (start, status) = (worker.out.len(), Status::new(status));
            let end = write_informational(&mut worker.out, Form::Http2, status, &fields);
            worker.out.truncate(end - HEADER_OCTETS);
            engine.send_head(&mut worker.out, self.stream, start, false);
            worker.counts.count_response(status);
            record::frames(watching, Direction::Out, &worker.out[start..], self.cause);
        }
    }

    /// Sends one frame of what is there.
    pub(super) fn send(
        &mut self,
        engine: &mut Connection,
        out: &mut Vec<u8>,
        chunk: &mut Vec<u8>,
        now: Instant,
    ) {
        let Doing::Sending(source) = &mut self.doing else { return };
        let stream = self.stream;
        let over = match source {
            Source::Octets { octets, at } => {
                *at += engine.send_data(out, stream, &octets[*at..], true);
                *at == octets.len()
            }
            Source::File(file) => {
                chunk.clear();
                match file.pull(chunk, engine.sendable(stream)) {
                    // The length that was promised cannot be kept.
                    Err(_) => {
                        engine.reset(out, stream, ErrorCode::INTERNAL_ERROR);
                        true
                    }
                    Ok(count) => {
                        let last = count == 0 || file.is_over();
                        engine.send_data(out, stream, chunk, last);
                        last
                    }
                }
            }
            Source::Stream { piece, .. } => {
                let sent = engine.send_data(out, stream, piece, false);
                drop(piece.split_to(sent));
                if piece.is_empty() {
                    engine.wait(stream, false, now);
                }
                false
            }
        };
        if over {
            self.doing = Doing::Over;
        }
    }
}

impl Talk<'_> {
    /// Asks everyone who is at work; whether something came of it.
    pub(super) fn poll_handlers(&mut self, cx: &mut Context<'_>) -> bool {
        self.exchanges.iter_mut().fold(false, |moved, exchange| exchange.poll(cx) | moved)
    }

    /// Gives handlers the content they ask for.
    pub(super) fn feed_handlers(&mut self, cx: &mut Context<'_>, worker: &mut Worker) {
        let Self { exchanges, engine, watching, .. } = self;
        for exchange in exchanges.iter_mut() {
            exchange.tell(cx, engine, watching, worker);
            let Some(feeding) = &mut exchange.feeding else { continue };
            let (start, stream) = (worker.out.len(), exchange.stream);
            let Feeding { feed, waiting, ended, expects } = feeding;
            if feed.is_gone() {
                engine.release(&mut worker.out, stream, waiting.len());
                exchange.feeding = None;
            } else if feed.is_asked(cx) {
                if std::mem::take(expects) && waiting.is_empty() && !*ended {
                    write_invitation(&mut worker.out, engine, stream);
                    worker.counts.count_response(Status::CONTINUE);
                }
                let octets = waiting.len();
                if octets > 0 {
                    feed.give(Bytes::from(std::mem::take(waiting)));
                    engine.release(&mut worker.out, stream, octets);
                }
                if *ended {
                    feed.end(Ok(()));
                    exchange.feeding = None;
                }
            }
            record::frames(watching, Direction::Out, &worker.out[start..], exchange.cause);
        }
    }

    /// Sends the heads of responses that handlers gave, and the ends of streams that they ended.
    pub(super) fn answer_handlers(&mut self, worker: &mut Worker) {
        let now = self.world.now();
        let Self { exchanges, engine, watching, .. } = self;
        for exchange in exchanges.iter_mut() {
            let (start, stream) = (worker.out.len(), exchange.stream);
            match &mut exchange.doing {
                Doing::Answered { .. } => {
                    let doing = std::mem::replace(&mut exchange.doing, Doing::Over);
                    if let Doing::Answered { response, placed, bodiless } = doing {
                        exchange.doing = respond(engine, worker, stream, *response, &placed, bodiless);
                        let sends =
                            matches!(exchange.doing, Doing::Sending(Source::Octets { .. } | Source::File(_)));
                        engine.wait(stream, sends, now);
                    }
                }
                Doing::Sending(Source::Stream { piece, broken, ended, .. }) => {
                    engine.wait(stream, !piece.is_empty(), now);
                    if *broken {
                        engine.reset(&mut worker.out, stream, ErrorCode::INTERNAL_ERROR);
                        exchange.doing = Doing::Over;
                    } else if *ended && piece.is_empty() {
                        engine.send_data(&mut worker.out, stream, &[], true);
                        exchange.doing = Doing::Over;
                    }
                }
                _ => {}
            }
            record::frames(watching, Direction::Out, &worker.out[start..], exchange.cause);
        }
        exchanges.retain(|exchange| !exchange.is_over());
    }
}

/// Sends the head of a handler's response; what remains to be done.
fn respond(
    engine: &mut Connection,
    worker: &mut Worker,
    stream: u32,
    response: Response,
    placed: &Placed,
    bodiless: bool,
) -> Doing<'static> {
    let Worker { setup, out, dates, counts, lines, .. } = worker;
    let start = out.len();
    let status = Status::new(response.status);
    let mut writer = begin_response(setup, out, Form::Http2, dates, &response, placed);
    let length = told_length(&response.body, status);
    if let Some(length) = length {
        writer.number("Content-Length", length);
    }
    placed.route.write_fields(&mut writer, placed.origin.as_deref());
    placed.account(counts, lines, dates, Version::Http2, status, length);
    let content = writer.end();
    out.truncate(content - HEADER_OCTETS);
    let bodiless = bodiless || status.is_bodiless();
    match response.body {
        Body::Stream(body) if !bodiless => {
            engine.send_head(out, stream, start, false);
            let (piece, left) = (Bytes::new(), length);
            let ended = left == Some(0);
            Doing::Sending(Source::Stream { body, piece, left, broken: false, ended })
        }
        Body::Whole(octets) if !bodiless && !octets.is_empty() => {
            engine.send_head(out, stream, start, false);
            Doing::Sending(Source::Octets { octets, at: 0 })
        }
        _ => {
            engine.send_head(out, stream, start, true);
            Doing::Over
        }
    }
}
