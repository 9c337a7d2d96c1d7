//! Requests that a mounted handler answers: the body is collected, the handler is asked, and its
//! response is framed (RFC 9112 §6). This is not the hot path and may allocate.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_base::trace::{Direction, EventId};
use doorway_net::BoxFuture;
use doorway_net::web::{Body, BodyStream, Response};

use super::batch::{HandlerCall, Then};
use super::connection::Talk;
use super::reply::{begin, refuse};
use super::server::{Server, Worker};
use crate::Status;
use crate::connection::Decision;
use crate::wire::response::{Form, write_chunk_size};
use crate::wire::{Method, Refusal, Version, rule};

/// Longest request body that is collected for a handler, in octets: 413.
pub const BODY_OCTETS_MAX: usize = 4 * 1024 * 1024;
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
    match collect(talk, server, call.cause).await? {
        Ok(body) if body.is_empty() => {}
        Ok(body) => call.request.body = Body::Whole(body.into()),
        Err(refusal) => {
            let out = refusal_octets(talk, server, &refusal);
            talk.write(&out, call.cause, refusal.rule.code).await?;
            return Ok(Then::Linger);
        }
    }
    let mut answer = call.handler.handle(call.request);
    // A client that has finished sending may well wait for its answer (RFC 9112 §9.6).
    let response = or_gone(talk, Finished::Waits, |cx| answer.as_mut().poll(cx)).await?;
    drop(answer);

    let status = Status::new(response.status);
    let delimited = Delimited::of(&response.body, status, call.version);
    if delimited == Delimited::Close {
        talk.engine.close_after();
    }
    let persistent = talk.engine.answer();
    let then = if persistent { Then::GoOn } else { Then::Close };
    let mut out = head(talk, server, &response, delimited, call.version, persistent);
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
            send_stream(talk, body, delimited, call.cause).await?;
        }
    }
    Ok(then)
}

/// Reads the request's body to its end, or to the rule that it breaks.
async fn collect(
    talk: &mut Talk,
    server: &Server,
    cause: Option<EventId>,
) -> io::Result<Result<Vec<u8>, Refusal>> {
    let mut body = Vec::new();
    if talk.engine.read_body() {
        talk.write(b"HTTP/1.1 100 Continue\r\n\r\n", cause, "100 Continue").await?;
    }
    loop {
        let waiting = std::mem::take(&mut talk.unused);
        let mut used = 0;
        let over = {
            let mut worker = server.worker();
            let Worker { setup, spans, .. } = &mut *worker;
            loop {
                let (more, decision) = talk.engine.next(&waiting[used..], &setup.limits, spans);
                used += more;
                match decision {
                    Decision::Body(data) if body.len() + data.len() > BODY_OCTETS_MAX => {
                        break Some(Err(Refusal::new(&rule::BODY_LENGTH, BODY_OCTETS_MAX)));
                    }
                    Decision::Body(data) => body.extend_from_slice(data),
                    Decision::BodyEnd => break Some(Ok(())),
                    Decision::Refuse(refusal) => break Some(Err(refusal)),
                    Decision::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
                    Decision::More | Decision::Request(_) => break None,
                }
            }
        };
        if used > 0 {
            talk.watching.record(Direction::In, &waiting[..used], cause, || "body".to_owned());
        }
        talk.unused = waiting[used..].to_vec();
        match over {
            Some(Ok(())) => return Ok(Ok(body)),
            Some(Err(refusal)) => return Ok(Err(refusal)),
            None => {}
        }
        talk.engine.settle(talk.world.now(), &server.worker().setup.limits, talk.unused.len());
        let due = talk.engine.next_timeout().map(|due| due - talk.world.now()).unwrap_or_default();
        let world = talk.world.clone();
        match world.timeout(due, read_more(talk)).await {
            Some(read) => read?,
            None => match talk.engine.time_out() {
                Decision::Refuse(refusal) => return Ok(Err(refusal)),
                _ => return Err(io::ErrorKind::TimedOut.into()),
            },
        }
    }
}

/// Reads once, behind what waits already.
async fn read_more(talk: &mut Talk) -> io::Result<()> {
    poll_fn(|cx| poll_more(talk, cx)).await
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

/// Waits for our own side; an error when the client goes away meanwhile.
async fn or_gone<T>(
    talk: &mut Talk,
    finished: Finished,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> io::Result<T> {
    let mut late: Option<BoxFuture<'static, ()>> = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = poll(cx) {
            return Poll::Ready(Ok(done));
        }
        if let Some(late) = &mut late {
            return late.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
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
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
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
    refuse(setup, &mut out, dates, counts, refusal);
    out
}

/// The response's head.
fn head(
    talk: &Talk,
    server: &Server,
    response: &Response,
    delimited: Delimited,
    version: Version,
    persistent: bool,
) -> Vec<u8> {
    let status = Status::new(response.status);
    let mut out = Vec::new();
    let mut worker = server.worker();
    worker.dates.advance(talk.world.wall());
    worker.counts.count_response(status);
    let mut writer = begin(&worker.setup, &mut out, Form::Http1, &worker.dates, status);
    for (name, value) in response.fields.iter() {
        if !OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            writer.field(name, value.as_bytes());
        }
    }
    match delimited {
        Delimited::Length(octets) => drop(writer.number("Content-Length", octets)),
        Delimited::Chunked => drop(writer.field("Transfer-Encoding", b"chunked")),
        Delimited::Close | Delimited::Bodiless => {}
    }
    writer.connection(version, persistent).end();
    out
}

/// Sends a body piece by piece, as the handler gives it.
async fn send_stream(
    talk: &mut Talk,
    mut body: Pin<Box<dyn BodyStream>>,
    delimited: Delimited,
    cause: Option<EventId>,
) -> io::Result<()> {
    let mut out = Vec::new();
    // A body without an end must not outlive its reader, who says no more than this when it goes.
    while let Some(piece) = or_gone(talk, Finished::Gone, |cx| body.as_mut().poll_piece(cx)).await? {
        let piece = piece?;
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
