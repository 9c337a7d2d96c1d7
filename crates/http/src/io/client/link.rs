//! One connection of the client: requests out, responses in.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use doorway_base::trace::{Direction, Event, EventId, Flow, Step, Transport};
use doorway_net::Stream;
use doorway_net::web::{Body, BodyStream, Bytes, Fields, Response};
use tokio::io::AsyncWrite;

use super::pool::Origin;
use super::{Answer, Ask, ClientError, Inner, Timing};
use crate::client::connection::PIPELINED_MAX;
use crate::client::request::{Content, write_head};
use crate::client::{Connection, Decision};
use crate::wire::response::write_chunk_size;
use crate::wire::{FieldSpans, Method, ResponseFraming, ResponseHead, Version};

/// Octets of a body that are handed over at a time, at most, unless one read brought more.
const PIECE_OCTETS_MAX: usize = 64 * 1024;

/// A connection that is open.
pub(super) struct Link {
    stream: Stream,
    remote: SocketAddr,
    flow: Flow,
    engine: Connection,
    /// Octets that were received and not used.
    unused: Vec<u8>,
    /// Data of the body that came with them, not handed over yet.
    whole: bool,
}

/// A request on its way out.
pub(super) struct Outgoing {
    head: Vec<u8>,
    body: Body,
    chunked: bool,
    last: bool,
    summary: String,
    /// Whether the body was read, so that it cannot be sent again.
    spent: bool,
}

/// The head of a final response.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) fields: Fields,
    pub(super) version: &'static str,
    /// Whether there is no body.
    pub(super) empty: bool,
    /// Whether another protocol follows.
    pub(super) tunnel: bool,
}

impl Outgoing {
    /// A request as octets; the connection ends after it unless it is to be `kept`.
    pub(super) fn new(ask: Ask, kept: bool) -> Result<Self, ClientError> {
        let Ask { method, url, fields, body, http10 } = ask;
        let content = match &body {
            Body::Empty => Content::None,
            Body::Whole(octets) => Content::Length(octets.len() as u64),
            Body::Stream(_) => Content::Chunked,
        };
        let (minor, last) = (u8::from(!http10), !kept || http10);
        let mut head = Vec::new();
        let fields: Vec<_> = fields.iter().collect();
        write_head(&mut head, (&method, &url), &fields, content, (minor, last))
            .map_err(ClientError::Request)?;
        let summary = format!("{method} {}", url.target());
        Ok(Self { head, body, chunked: content == Content::Chunked, last, summary, spent: false })
    }

    /// Whether it may be sent again over another connection.
    pub(super) fn is_repeatable(&self, method: Method) -> bool {
        let idempotent = matches!(
            method,
            Method::Get | Method::Head | Method::Options | Method::Trace | Method::Put | Method::Delete
        );
        idempotent && !self.spent
    }
}

impl Link {
    pub(super) fn new(inner: &Inner, stream: Stream, remote: SocketAddr) -> Self {
        let local = stream.local().unwrap_or(SocketAddr::new(remote.ip(), 0));
        let flow = Flow {
            id: inner.world.trace().next_flow(),
            transport: Transport::Tcp,
            local,
            remote,
            canonical_port: crate::config::PORT,
            serving: false,
        };
        Self { stream, remote, flow, engine: Connection::default(), unused: Vec::new(), whole: false }
    }

    pub(super) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(super) fn persists(&self) -> bool {
        self.engine.persists() && self.unused.is_empty()
    }

    /// The stream, with what was read too far, once it no longer is HTTP/1.
    pub(super) fn into_parts(self) -> (Vec<u8>, Stream) {
        (self.unused, self.stream)
    }

    /// Whether nothing came while nobody asked: neither an end nor octets.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.stream.poll_read_with(&mut cx, |_| ()).is_pending()
    }

    /// Sends a request with its body.
    pub(super) async fn send(
        &mut self,
        inner: &Inner,
        method: Method,
        outgoing: &mut Outgoing,
    ) -> Result<(), ClientError> {
        self.engine.sent(method);
        if outgoing.last {
            self.engine.end();
        }
        self.record(inner, Direction::Out, &outgoing.head, &outgoing.summary);
        let mut octets = outgoing.head.clone();
        if let Body::Whole(body) = &outgoing.body {
            octets.extend_from_slice(body);
        }
        self.write(&octets).await?;
        if let Body::Stream(body) = &mut outgoing.body {
            outgoing.spent = true;
            self.send_stream(inner, body, outgoing.chunked).await?;
        }
        Ok(())
    }

    async fn send_stream(
        &mut self,
        inner: &Inner,
        body: &mut Pin<Box<dyn BodyStream>>,
        chunked: bool,
    ) -> Result<(), ClientError> {
        let mut out = Vec::new();
        while let Some(piece) = poll_fn(|cx| body.as_mut().poll_piece(cx)).await {
            let piece = piece.map_err(ClientError::Lost)?;
            if piece.is_empty() {
                continue;
            }
            self.record(inner, Direction::Out, &piece, "body");
            if !chunked {
                self.write(&piece).await?;
                continue;
            }
            out.clear();
            write_chunk_size(&mut out, piece.len());
            out.extend_from_slice(&piece);
            out.extend_from_slice(b"\r\n");
            self.write(&out).await?;
        }
        if chunked {
            self.write(b"0\r\n\r\n").await?;
        }
        Ok(())
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), ClientError> {
        let mut sent = 0;
        while sent < octets.len() {
            let write = poll_fn(|cx| Pin::new(&mut self.stream).poll_write(cx, &octets[sent..]));
            match write.await.map_err(ClientError::Lost)? {
                0 => return Err(ClientError::Lost(io::ErrorKind::WriteZero.into())),
                count => sent += count,
            }
        }
        poll_fn(|cx| Pin::new(&mut self.stream).poll_flush(cx)).await.map_err(ClientError::Lost)
    }

    /// Waits for the head of the next final response.
    pub(super) async fn head(&mut self, inner: &Inner) -> Result<Head, ClientError> {
        poll_fn(|cx| self.poll_head(cx, inner)).await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, inner: &Inner) -> Poll<Result<Head, ClientError>> {
        let mut spans = FieldSpans::default();
        loop {
            let waiting = std::mem::take(&mut self.unused);
            let (used, decision) = self.engine.next(&waiting, &inner.settings.head, &mut spans);
            let mut found = None;
            let mut more = false;
            let step = match decision {
                Decision::More => {
                    more = true;
                    Ok(())
                }
                Decision::Informational(head) => {
                    self.record(inner, Direction::In, head.octets, &head.status.to_string());
                    Ok(())
                }
                Decision::Response(head) => {
                    self.record(inner, Direction::In, head.octets, &head.status.to_string());
                    found = Some(Head::of(&head));
                    Ok(())
                }
                // The end of a response before this one whose body was not there.
                Decision::Data(_) | Decision::End => Ok(()),
                Decision::Broken(refusal) => Err(ClientError::Broken(refusal)),
                Decision::Over => Err(ClientError::Lost(io::ErrorKind::UnexpectedEof.into())),
            };
            self.unused = if used == 0 { waiting } else { waiting[used..].to_vec() };
            step?;
            if let Some(head) = found {
                self.whole = false;
                if head.empty {
                    self.finish(inner);
                }
                return Poll::Ready(Ok(head));
            }
            if more && !ready!(self.poll_read(cx))? {
                self.engine.closed();
                return Poll::Ready(Err(ClientError::Lost(io::ErrorKind::UnexpectedEof.into())));
            }
        }
    }

    /// Takes the end of a response that has no body.
    fn finish(&mut self, inner: &Inner) {
        let mut spans = FieldSpans::default();
        let (used, decision) = self.engine.next(&self.unused, &inner.settings.head, &mut spans);
        debug_assert!(used == 0 && matches!(decision, Decision::End), "a bodiless response ends at once");
        self.whole = true;
    }

    /// The next octets of the body; `None` at its end.
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        inner: &Inner,
    ) -> Poll<Result<Option<Bytes>, ClientError>> {
        if self.whole {
            return Poll::Ready(Ok(None));
        }
        let mut spans = FieldSpans::default();
        loop {
            let waiting = std::mem::take(&mut self.unused);
            let (mut piece, mut used, mut broken) = (Vec::new(), 0, None);
            while !self.whole && piece.len() < PIECE_OCTETS_MAX {
                let (more, decision) = self.engine.next(&waiting[used..], &inner.settings.head, &mut spans);
                used += more;
                match decision {
                    Decision::Data(data) => piece.extend_from_slice(data),
                    Decision::End => self.whole = true,
                    Decision::More => break,
                    Decision::Broken(refusal) => {
                        broken = Some(ClientError::Broken(refusal));
                        break;
                    }
                    Decision::Informational(_) | Decision::Response(_) | Decision::Over => {
                        broken = Some(ClientError::Lost(io::ErrorKind::UnexpectedEof.into()));
                        break;
                    }
                }
            }
            self.record(inner, Direction::In, &waiting[..used], "body");
            self.unused = waiting[used..].to_vec();
            if !piece.is_empty() {
                return Poll::Ready(Ok(Some(piece.into())));
            }
            if let Some(error) = broken {
                return Poll::Ready(Err(error));
            }
            if self.whole {
                return Poll::Ready(Ok(None));
            }
            if !ready!(self.poll_read(cx))? {
                return Poll::Ready(match self.engine.closed() {
                    Decision::End => {
                        self.whole = true;
                        Ok(None)
                    }
                    _ => Err(ClientError::Lost(io::ErrorKind::UnexpectedEof.into())),
                });
            }
        }
    }

    /// Reads once behind what waits; false at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ClientError>> {
        let Self { stream, unused, .. } = self;
        let read = stream.poll_read_with(cx, |octets| {
            unused.extend_from_slice(octets);
            !octets.is_empty()
        });
        match ready!(read) {
            Ok(more) => Poll::Ready(Ok(more)),
            // Many servers end TLS without saying so; a body with a length or in chunks is checked anyway.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(false)),
            Err(error) => Poll::Ready(Err(ClientError::Lost(error))),
        }
    }

    /// Sends all requests, then reads all responses.
    pub(super) async fn pipeline(
        mut self,
        inner: &Arc<Inner>,
        origin: &Origin,
        asks: Vec<Ask>,
        octets_max: usize,
        timing: Timing,
    ) -> Result<Vec<Answer>, ClientError> {
        let mut answers = Vec::with_capacity(asks.len());
        let mut asks = asks.into_iter();
        let limit = inner.settings.response_timeout;
        loop {
            let mut octets = Vec::new();
            while self.engine.waiting() < PIPELINED_MAX {
                let Some(ask) = asks.next() else { break };
                if Origin::of(&ask.url)? != *origin {
                    return Err(ClientError::Scheme(format!("{} is not of the same origin", ask.url)));
                }
                let method = Method::parse(ask.method.as_bytes());
                let outgoing = Outgoing::new(Ask { body: Body::Empty, ..ask }, true)?;
                self.engine.sent(method);
                self.record(inner, Direction::Out, &outgoing.head, &outgoing.summary);
                octets.extend_from_slice(&outgoing.head);
            }
            self.write(&octets).await?;
            if self.engine.waiting() == 0 {
                break;
            }
            let began = inner.world.now();
            let head = inner.world.timeout(limit, self.head(inner)).await;
            let head = head.ok_or(ClientError::Timeout("the response"))??;
            let timing = Timing { wait: inner.world.now() - began, ..timing };
            let mut body = Vec::new();
            while let Some(piece) =
                match inner.world.timeout(limit, poll_fn(|cx| self.poll_data(cx, inner))).await {
                    Some(piece) => piece?,
                    None => return Err(ClientError::Timeout("the body")),
                }
            {
                if body.len() + piece.len() > octets_max {
                    let error = io::Error::new(io::ErrorKind::FileTooLarge, "a longer body than wanted");
                    return Err(ClientError::Lost(error));
                }
                body.extend_from_slice(&piece);
            }
            let body = if body.is_empty() { Body::Empty } else { Body::Whole(body.into()) };
            let response = Response { status: head.status, fields: head.fields, body, upgrade: None };
            answers.push(Answer { response, remote: self.remote, version: head.version, timing });
        }
        super::Client(Arc::clone(inner)).done(self, origin);
        Ok(answers)
    }

    /// Shows a message to whoever reads the trace.
    fn record(&self, inner: &Inner, direction: Direction, octets: &[u8], summary: &str) {
        let world = &inner.world;
        if octets.is_empty() || !world.trace().is_on() {
            return;
        }
        world.trace().record(|| Event {
            id: EventId::default(),
            at: world.now(),
            node: Arc::clone(world.node()),
            flow: self.flow,
            direction,
            step: Step::Message,
            protocol: "http",
            summary: summary.to_owned(),
            octets: octets.into(),
            cause: None,
            note: None,
        });
    }
}

impl Head {
    fn of(head: &ResponseHead<'_>) -> Self {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let mut fields = Fields::new();
        for (name, value) in head.fields.iter() {
            fields.add(text(name), text(value));
        }
        Self {
            status: head.status.code(),
            fields,
            version: if head.version == Version::Http10 { "HTTP/1.0" } else { "HTTP/1.1" },
            empty: head.body == ResponseFraming::None,
            tunnel: head.body == ResponseFraming::Tunnel,
        }
    }
}
