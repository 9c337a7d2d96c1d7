//! One connection of the client: requests out, responses in.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use doorway_base::trace::{Direction, Event, EventId, Flow, Step, Transport};
use doorway_net::web::{Body, Bytes, Fields, Informational, Response};
use doorway_net::{BoxFuture, Stream, World};
use tokio::io::AsyncWrite;

use super::outgoing::{Outgoing, Upload};
use super::{Answer, Ask, ClientError, Inner, Peer, Timing};
use crate::client::connection::PIPELINED_MAX;
use crate::client::{Connection, Decision};
use crate::wire::response::write_chunk_size;
use crate::wire::{FieldSpans, ResponseFraming, ResponseHead, Version};

/// Octets of a body that are handed over at a time, at most, unless one read brought more.
const PIECE_OCTETS_MAX: usize = 64 * 1024;
/// How long content waits for a server that does not say 100 (RFC 9110 §10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// A connection that is open.
pub(super) struct Link {
    stream: Stream,
    remote: SocketAddr,
    flow: Flow,
    engine: Connection,
    /// Octets that were received and not used.
    unused: Vec<u8>,
    /// Whether the response is all there.
    whole: bool,
    sending: Option<Sending>,
    /// Octets that are out.
    sent: u64,
    /// Whether TLS ended without saying so, as it does when somebody cuts the connection.
    cut: bool,
    /// Why the request could not be sent whole; there may be a response all the same.
    unsent: Option<ClientError>,
    /// Who hears of informational responses.
    informational: Option<Informational>,
}

/// A request that is not all out.
struct Sending {
    octets: Vec<u8>,
    /// How many of them are out.
    at: usize,
    upload: Option<Upload>,
    chunked: bool,
    /// The content waits for a 100, this long.
    waits: Option<BoxFuture<'static, ()>>,
}

/// The head of a final response.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) fields: Fields,
    pub(super) version: &'static str,
    /// Whether there is no body.
    pub(super) empty: bool,
    /// How long the body is, if the head tells.
    pub(super) octets: Option<u64>,
    /// Whether another protocol follows.
    pub(super) tunnel: bool,
}

impl Link {
    pub(super) fn new(inner: &Inner, stream: Stream, remote: SocketAddr) -> Self {
        let flow = flow(&inner.world, &stream, remote);
        Self {
            stream,
            remote,
            flow,
            engine: Connection::default(),
            unused: Vec::new(),
            whole: false,
            sending: None,
            sent: 0,
            cut: false,
            unsent: None,
            informational: None,
        }
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

    /// Begins to send a request; [`Link::poll_head`] goes on with it.
    pub(super) fn begin(&mut self, inner: &Inner, outgoing: &mut Outgoing) -> Result<(), ClientError> {
        let (octets, chunked) = outgoing.head()?;
        self.engine.sent(outgoing.method);
        if outgoing.last {
            self.engine.end();
        }
        self.record(inner, Direction::Out, &octets, &outgoing.summary());
        self.informational = outgoing.informational.clone();
        let waits = outgoing.expects.then(|| inner.world.sleep(CONTINUE_WAIT));
        let upload = outgoing.upload();
        self.sending = Some(Sending { octets, at: 0, upload, chunked, waits });
        Ok(())
    }

    /// Octets that are out since the connection was opened.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends what can be sent now. When that fails the response may still come.
    fn send(&mut self, cx: &mut Context<'_>, inner: &Inner) {
        if let Err(error) = self.try_send(cx, inner) {
            self.unsent = Some(error);
            self.give_up_sending();
        }
    }

    /// Leaves the rest of the request unsent, after which the connection is of no more use.
    fn give_up_sending(&mut self) {
        if self.sending.take().is_some() {
            self.engine.end();
        }
    }

    fn try_send(&mut self, cx: &mut Context<'_>, inner: &Inner) -> Result<(), ClientError> {
        while let Some(sending) = &mut self.sending {
            while sending.at < sending.octets.len() {
                match Pin::new(&mut self.stream).poll_write(cx, &sending.octets[sending.at..]) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Ok(0)) => return Err(ClientError::Lost(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => {
                        sending.at += count;
                        self.sent += count as u64;
                    }
                    Poll::Ready(Err(error)) => return Err(ClientError::Lost(error)),
                }
            }
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(flushed) => flushed.map_err(ClientError::Lost)?,
            }
            sending.octets.clear();
            sending.at = 0;
            let Some(upload) = &mut sending.upload else {
                self.sending = None;
                return Ok(());
            };
            if sending.waits.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_pending()) {
                return Ok(());
            }
            sending.waits = None;
            match upload.poll(cx).map_err(ClientError::Content)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(true) => {
                    let piece = std::mem::take(&mut upload.piece);
                    if sending.chunked {
                        write_chunk_size(&mut sending.octets, piece.len());
                    }
                    sending.octets.extend_from_slice(&piece);
                    if sending.chunked {
                        sending.octets.extend_from_slice(b"\r\n");
                    }
                    self.record(inner, Direction::Out, &piece, "body");
                }
                Poll::Ready(false) => {
                    sending.upload = None;
                    if sending.chunked {
                        sending.octets.extend_from_slice(b"0\r\n\r\n");
                    }
                }
            }
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

    /// Waits for the head of the next final response, while the request goes out. Where both fail, the
    /// request's trouble is what is told.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        inner: &Inner,
    ) -> Poll<Result<Head, ClientError>> {
        self.send(cx, inner);
        if let Some(ClientError::Content(error)) =
            self.unsent.take_if(|why| matches!(why, ClientError::Content(_)))
        {
            return Poll::Ready(Err(ClientError::Content(error)));
        }
        let head = ready!(self.poll_response(cx, inner));
        Poll::Ready(head.map_err(|error| self.unsent.take().unwrap_or(error)))
    }

    fn poll_response(&mut self, cx: &mut Context<'_>, inner: &Inner) -> Poll<Result<Head, ClientError>> {
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
                    if let Some(sending) = &mut self.sending
                        && sending.waits.take().is_some()
                    {
                        cx.waker().wake_by_ref();
                    }
                    if let Some(informational) = &self.informational {
                        informational.send(head.status.code(), Head::of(&head).fields);
                    }
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
                // Who refuses a request does not want the rest of it; who waits for 100 was never sent any.
                let waits = self.sending.as_ref().is_some_and(|sending| sending.waits.is_some());
                if head.status >= 400 || waits {
                    self.give_up_sending();
                }
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

    /// Whether the response at hand is here to its end.
    pub(super) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Takes the end of a response that has no body.
    fn finish(&mut self, inner: &Inner) {
        let mut spans = FieldSpans::default();
        let (used, decision) = self.engine.next(&self.unused, &inner.settings.head, &mut spans);
        debug_assert!(used == 0 && matches!(decision, Decision::End), "a bodiless response ends at once");
        self.whole = true;
        self.give_up_sending();
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
        self.send(cx, inner);
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
            if self.whole {
                self.give_up_sending();
            }
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
                    // RFC 9112 §9.8.
                    Decision::End if !self.cut => {
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
        let Self { stream, unused, cut, .. } = self;
        let read = stream.poll_read_with(cx, |octets| {
            unused.extend_from_slice(octets);
            !octets.is_empty()
        });
        match ready!(read) {
            Ok(more) => Poll::Ready(Ok(more)),
            // Many servers end TLS without saying so; a body with a length or in chunks is checked anyway.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                *cut = true;
                Poll::Ready(Ok(false))
            }
            Err(error) => Poll::Ready(Err(ClientError::Lost(error))),
        }
    }

    /// Sends all requests, then reads all responses.
    pub(super) async fn pipeline(
        mut self,
        inner: &Arc<Inner>,
        peer: &Peer,
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
                if super::Client(Arc::clone(inner)).peer(&ask)? != *peer {
                    return Err(ClientError::Scheme(format!("{} is not of the same origin", ask.url)));
                }
                let outgoing = Outgoing::new(Ask { body: Body::Empty, ..ask }, true)?;
                let (head, _) = outgoing.head()?;
                self.engine.sent(outgoing.method);
                self.record(inner, Direction::Out, &head, &outgoing.summary());
                octets.extend_from_slice(&head);
            }
            self.write(&octets).await?;
            if self.engine.waiting() == 0 {
                break;
            }
            let began = inner.world.now();
            let head = inner.world.timeout(limit, poll_fn(|cx| self.poll_head(cx, inner))).await;
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
            let (remote, version) = (self.remote, head.version);
            answers.push(Answer { response, remote, version, timing, tunnel: None });
        }
        super::Client(Arc::clone(inner)).done(self, peer);
        Ok(answers)
    }

    fn record(&self, inner: &Inner, direction: Direction, octets: &[u8], summary: &str) {
        record(&inner.world, self.flow, direction, octets, || summary.to_owned());
    }
}

/// The flow of a connection that was just opened, as the trace knows it.
pub(super) fn flow(world: &World, stream: &Stream, remote: SocketAddr) -> Flow {
    Flow {
        id: world.trace().next_flow(),
        transport: Transport::Tcp,
        local: stream.local().unwrap_or(SocketAddr::new(remote.ip(), 0)),
        remote,
        canonical_port: crate::config::PORT,
        serving: false,
    }
}

/// Shows a message to whoever reads the trace.
pub(super) fn record(
    world: &World,
    flow: Flow,
    direction: Direction,
    octets: &[u8],
    summary: impl FnOnce() -> String,
) {
    if octets.is_empty() || !world.trace().is_on() {
        return;
    }
    world.trace().record(|| Event {
        id: EventId::default(),
        at: world.now(),
        node: Arc::clone(world.node()),
        flow,
        direction,
        step: Step::Message,
        protocol: "http",
        summary: summary(),
        octets: octets.into(),
        cause: None,
        note: None,
    });
}

impl Head {
    pub(super) fn of(head: &ResponseHead<'_>) -> Self {
        Self {
            status: head.status.code(),
            fields: head.fields.iter().collect(),
            version: match head.version {
                Version::Http10 => "HTTP/1.0",
                Version::Http2 => "HTTP/2",
                _ => "HTTP/1.1",
            },
            empty: head.body == ResponseFraming::None,
            octets: match head.body {
                ResponseFraming::Length(octets) => Some(octets),
                ResponseFraming::None => Some(0),
                _ => None,
            },
            tunnel: head.body == ResponseFraming::Tunnel,
        }
    }
}
