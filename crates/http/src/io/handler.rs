//! Requests that a mounted handler answers: the body is collected or handed over as it comes, the handler
//! is asked, and its response is framed (RFC 9112 §6). This is not the hot path and may allocate.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_base::trace::EventId;
use doorway_net::BoxFuture;
use doorway_net::web::{Body, BodyStream, Response, Taking};

use super::batch::{HandlerCall, Placed, Then};
use super::connection::Talk;
use super::date::DateCache;
use super::feed::Feed;
use super::reply::{begin, refuse};
use super::request_body::{Broken, RequestBody};
use super::server::{Server, Setup, Worker};
use crate::Status;
use crate::wire::response::{Form, ResponseWriter, write_chunk_size};
use crate::wire::{Method, Refusal, Version};

/// Octets that a client may send ahead while a handler works; the rest waits in the kernel.
const AHEAD_OCTETS_MAX: usize = 64 * 1024;
/// Fields that say how a message is framed or sent: the server's own business.
const OWN_FIELDS: [&str; 5] = ["content-length", "transfer-encoding", "connection", "date", "keep-alive"];

/// How a response's body is delimited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delimited {
    Length(u64),
    Chunked,
    /// By the end of the connection: for a stream to an HTTP/1.0 client.
    Close,
    /// There is no body, and no field says so.
    Bodiless,
}

impl Delimited {
    fn of(body: &Body, status: Status, version: Version) -> Self {
        match body {
            _ if status.is_bodiless() => Self::Bodiless,
            Body::Empty => Self::Length(0),
            Body::Whole(octets) => Self::Length(octets.len() as u64),
            Body::Stream(_) if version == Version::Http11 => Self::Chunked,
            Body::Stream(_) => Self::Close,
        }
    }
}

/// Answers one request through its handler.
pub(super) async fn run(talk: &mut Talk, server: &Server, mut call: HandlerCall) -> io::Result<Then> {
    call.request.secure = talk.stream.is_tls();
    call.request.unix_user = talk.stream.unix_user();
    let mut body = RequestBody::new(call.cause);
    let mut pump = None;
    if call.has_body {
        match call.handler.taking(&call.request.method, &call.request.path) {
            Taking::Whole { octets_max } => match body.collect(talk, server, octets_max).await {
                Ok(octets) if octets.is_empty() => {}
                Ok(octets) => call.request.body = Body::Whole(octets.into()),
                Err(broken) => return refuse_body(talk, server, call.cause, broken).await,
            },
            Taking::Stream => {
                let (feed, fed) = Feed::pair();
                call.request.body = Body::Stream(Box::pin(fed));
                pump = Some(Pump { body, feed, server });
            }
        }
    }
    let mut answer = call.handler.handle(call.request);
    // A client that has finished sending may well wait for its answer (RFC 9112 §9.6).
    let asked = or_gone(talk, pump.as_mut(), Finished::Waits, |cx| answer.as_mut().poll(cx)).await;
    drop(answer);
    let mut response = match asked {
        Ok(response) => response,
        Err(broken) => return refuse_body(talk, server, call.cause, broken).await,
    };

    let status = Status::new(response.status);
    if let Some(upgrade) = response.upgrade.take() {
        let switches = status == Status::SWITCHING_PROTOCOLS && call.version == Version::Http11;
        if switches || call.method == Method::Connect {
            let out = head(talk, server, &response, Delimited::Bodiless, &call.placed, call.version, true);
            talk.write(&out, call.cause, &status.to_string()).await?;
            talk.upgrade = Some(upgrade);
            return Ok(Then::Close);
        }
    }
    let delimited = Delimited::of(&response.body, status, call.version);
    if delimited == Delimited::Close {
        talk.engine.close_after();
    }
    // A body that its handler still reads goes on while the response is sent.
    let unread = pump.as_ref().is_some_and(|pump| !pump.body.is_over());
    let reading = unread && pump.as_ref().is_some_and(|pump| !pump.feed.is_gone());
    let persistent = if reading { talk.engine.persists() } else { talk.engine.answer() };
    let mut out = head(talk, server, &response, delimited, &call.placed, call.version, persistent);
    match response.body {
        _ if call.method == Method::Head || delimited == Delimited::Bodiless => {
            talk.write(&out, call.cause, &status.to_string()).await?;
        }
        Body::Empty => talk.write(&out, call.cause, &status.to_string()).await?,
        Body::Whole(octets) => {
            out.extend_from_slice(&octets);
            talk.write(&out, call.cause, &status.to_string()).await?;
        }
        Body::Stream(body) => {
            talk.write(&out, call.cause, &status.to_string()).await?;
            send_stream(talk, pump.as_mut(), body, delimited, call.cause).await?;
        }
    }
    Ok(if persistent && (!reading || talk.engine.answer()) {
        Then::GoOn
    } else if unread {
        Then::Linger
    } else {
        Then::Close
    })
}

/// Answers a body that broke a rule, if anybody is left to hear it.
async fn refuse_body(
    talk: &mut Talk,
    server: &Server,
    cause: Option<EventId>,
    broken: Broken,
) -> io::Result<Then> {
    match broken {
        Broken::Rule(refusal) => {
            let out = refusal_octets(talk, server, &refusal);
            talk.write(&out, cause, refusal.rule.code).await?;
            Ok(Then::Linger)
        }
        Broken::Lost(error) => Err(error),
    }
}

/// A request body that its handler takes as it comes.
struct Pump<'a> {
    body: RequestBody,
    feed: Feed,
    server: &'a Server,
}

fn poll_more(talk: &mut Talk, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let Talk { stream, unused, .. } = talk;
    stream
        .poll_read_with(cx, |octets| {
            unused.extend_from_slice(octets);
            !octets.is_empty()
        })
        .map(|read| if read? { Ok(()) } else { Err(io::ErrorKind::ConnectionAborted.into()) })
}

/// How long a handler may go on for a client that has finished sending: it may be gone as well.
const FINISHED_TIME: Duration = Duration::from_secs(30);

/// What it means that a client has finished sending.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finished {
    /// It sends no more requests and reads on, for [`FINISHED_TIME`] at most.
    Waits,
    /// It is gone.
    Gone,
}

/// Waits for our own side, and feeds it the request's body meanwhile; an error when the client goes away.
async fn or_gone<T>(
    talk: &mut Talk,
    mut pump: Option<&mut Pump<'_>>,
    finished: Finished,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Broken> {
    let mut late: Option<BoxFuture<'static, ()>> = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = poll(cx) {
            return Poll::Ready(Ok(done));
        }
        if let Some(late) = &mut late {
            return late.as_mut().poll(cx).map(|()| Err(Broken::Lost(io::ErrorKind::TimedOut.into())));
        }
        if let Some(Pump { body, feed, server }) = pump.as_deref_mut()
            && !body.is_over()
        {
            if let Poll::Ready(broken) = body.poll_feed(cx, feed, talk, server) {
                return Poll::Ready(Err(broken));
            }
            if !body.is_over() && feed.is_asked(cx) {
                return Poll::Pending;
            }
        }
        while talk.unused.len() < AHEAD_OCTETS_MAX {
            match poll_more(talk, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error))
                    if finished == Finished::Waits && error.kind() == io::ErrorKind::ConnectionAborted =>
                {
                    let mut timer = talk.world.sleep(FINISHED_TIME);
                    if timer.as_mut().poll(cx).is_pending() {
                        late = Some(timer);
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    })
    .await
}

fn refusal_octets(talk: &Talk, server: &Server, refusal: &Refusal) -> Vec<u8> {
    let mut out = Vec::new();
    let mut worker = server.worker();
    worker.dates.advance(talk.world.wall());
    let Worker { setup, dates, counts, .. } = &mut *worker;
    refuse(setup, &mut out, Form::Http1, dates, counts, refusal);
    out
}

/// The response's head.
fn head(
    talk: &Talk,
    server: &Server,
    response: &Response,
    delimited: Delimited,
    placed: &Placed,
    version: Version,
    persistent: bool,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut worker = server.worker();
    worker.dates.advance(talk.world.wall());
    let Worker { setup, dates, counts, lines, .. } = &mut *worker;
    let octets = match delimited {
        Delimited::Length(octets) => Some(octets),
        Delimited::Bodiless => Some(0),
        Delimited::Chunked | Delimited::Close => None,
    };
    placed.account(counts, lines, dates, version, Status::new(response.status), octets);
    let mut writer = begin_response(setup, &mut out, Form::Http1, dates, response, placed);
    if response.status == Status::SWITCHING_PROTOCOLS.code() {
        writer.field("Connection", b"Upgrade");
    }
    match delimited {
        Delimited::Length(octets) => drop(writer.number("Content-Length", octets)),
        Delimited::Chunked => drop(writer.field("Transfer-Encoding", b"chunked")),
        Delimited::Close | Delimited::Bodiless => {}
    }
    placed.route.write_fields(&mut writer, placed.origin.as_deref());
    writer.connection(version, persistent).end();
    out
}

/// Begins a handler's response with the fields that it has, but for those that frame it.
pub(super) fn begin_response<'a>(
    setup: &Setup,
    out: &'a mut Vec<u8>,
    form: Form,
    dates: &DateCache,
    response: &Response,
    placed: &Placed,
) -> ResponseWriter<'a> {
    let status = Status::new(response.status);
    let own = &placed.route.fields;
    let mut writer = begin(setup, out, form, dates, status, own);
    for (name, value) in response.fields.iter() {
        if !OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own)) && !own.omits(name) {
            writer.field(name, value);
        }
    }
    writer
}

/// Sends a body piece by piece, as the handler gives it.
async fn send_stream(
    talk: &mut Talk,
    mut pump: Option<&mut Pump<'_>>,
    mut body: Pin<Box<dyn BodyStream>>,
    delimited: Delimited,
    cause: Option<EventId>,
) -> io::Result<()> {
    let mut out = Vec::new();
    // A body without an end must not outlive its reader, who says no more than this when it goes.
    loop {
        let next =
            or_gone(talk, pump.as_deref_mut(), Finished::Gone, |cx| body.as_mut().poll_piece(cx)).await;
        let piece = match next {
            Ok(Some(piece)) => piece?,
            Ok(None) => break,
            Err(Broken::Lost(error)) => return Err(error),
            // The response has begun, so the connection's end is all that can still be said.
            Err(Broken::Rule(refusal)) => return Err(io::Error::new(io::ErrorKind::InvalidData, refusal)),
        };
        // An empty chunk would end the body.
        if piece.is_empty() {
            continue;
        }
        if delimited == Delimited::Chunked {
            out.clear();
            write_chunk_size(&mut out, piece.len());
            out.extend_from_slice(&piece);
            out.extend_from_slice(b"\r\n");
            talk.write(&out, cause, "chunk").await?;
        } else {
            talk.write(&piece, cause, "body").await?;
        }
    }
    if delimited == Delimited::Chunked {
        talk.write(b"0\r\n\r\n", cause, "last chunk").await?;
    }
    Ok(())
}
