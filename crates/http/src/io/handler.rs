//! Requests that a mounted handler answers: the body is collected or handed over as it comes, the handler
//! is asked, and its response is framed (RFC 9112 §6). This is not the hot path and may allocate.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_base::trace::EventId;
use doorway_net::BoxFuture;
use doorway_net::web::{Body, BodyStream, Bytes, Fields, Informational, Response, Taking};

use super::batch::{HandlerCall, Placed, Then};
use super::connection::Talk;
use super::date::DateCache;
use super::feed::Feed;
use super::reply::refuse;
use super::request_body::{Broken, RequestBody};
use super::server::{Server, Setup, Worker};
use crate::Status;
use crate::wire::response::{Form, ResponseWriter, write_chunk_size};
use crate::wire::{Method, Refusal, Version};

/// Octets that a client may send ahead while a handler works; the rest waits in the kernel.
const AHEAD_OCTETS_MAX: usize = 64 * 1024;
/// Fields that say how a message is framed or sent: the server's own business.
const OWN_FIELDS: [&str; 4] = ["content-length", "transfer-encoding", "connection", "keep-alive"];

fn is_own_field(name: &str) -> bool {
    OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own))
}

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
        match (told_length(body, status), body) {
            (Some(octets), _) => Self::Length(octets),
            (None, Body::Stream(_)) if !status.is_bodiless() => {
                if version == Version::Http11 {
                    Self::Chunked
                } else {
                    Self::Close
                }
            }
            _ => Self::Bodiless,
        }
    }
}

/// The length that the head tells. With 304 it is that of the content which the client has (RFC 9110 §8.6).
pub(super) fn told_length(body: &Body, status: Status) -> Option<u64> {
    match body {
        Body::Stream(stream) if status == Status::NOT_MODIFIED => stream.octets(),
        _ if status.is_bodiless() => None,
        body => body.octets(),
    }
}

/// Answers one request through its handler.
pub(super) async fn run(talk: &mut Talk, server: &Server, mut call: HandlerCall) -> io::Result<Then> {
    call.request.secure = talk.stream.is_tls();
    call.request.unix_user = talk.stream.unix_user();
    let informational = (call.version == Version::Http11).then(Informational::default);
    call.request.informational.clone_from(&informational);
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
    let mut answered = None;
    // A client that has finished sending may well wait for its answer (RFC 9112 §9.6).
    let asked = loop {
        let turn = or_gone(talk, pump.as_mut(), Finished::Waits, |cx| {
            if answered.is_none()
                && let Poll::Ready(response) = answer.as_mut().poll(cx)
            {
                answered = Some(response);
            }
            match informational.as_ref().map(|informational| informational.poll_next(cx)) {
                Some(Poll::Ready(told)) => Poll::Ready(Turn::Told(told)),
                _ => answered.take().map_or(Poll::Pending, |response| Poll::Ready(Turn::Answered(response))),
            }
        });
        match turn.await {
            Ok(Turn::Told((status, fields))) => {
                let (status, mut out) = (Status::new(status), Vec::new());
                write_informational(&mut out, Form::Http1, status, &fields);
                server.worker().counts.count_response(status);
                talk.write(&out, call.cause, &status.to_string()).await?;
            }
            Ok(Turn::Answered(response)) => break Ok(response),
            Err(broken) => break Err(broken),
        }
    };
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
    let bodiless = call.method == Method::Head || status.is_bodiless();
    if delimited == Delimited::Close && !bodiless {
        talk.engine.close_after();
    }
    // A body that its handler still reads goes on while the response is sent.
    let unread = pump.as_ref().is_some_and(|pump| !pump.body.is_over());
    let reading = unread && pump.as_ref().is_some_and(|pump| !pump.feed.is_gone());
    let persistent = if reading { talk.engine.persists() } else { talk.engine.answer() };
    let mut out = head(talk, server, &response, delimited, &call.placed, call.version, persistent);
    match response.body {
        _ if bodiless => {
            talk.write(&out, call.cause, &status.to_string()).await?;
        }
        Body::Empty => talk.write(&out, call.cause, &status.to_string()).await?,
        Body::Whole(octets) => {
            out.extend_from_slice(&octets);
            talk.write(&out, call.cause, &status.to_string()).await?;
        }
        Body::Stream(body) => {
            let stream = Sending { body, delimited, head: Some((out, status)), cause: call.cause };
            send_stream(talk, pump.as_mut(), stream).await?;
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

/// What came of asking a handler.
enum Turn {
    /// An informational response, and the final one later.
    Told((u16, Fields)),
    Answered(Response),
}

/// Writes the head of an informational response (RFC 9110 §15.2).
pub(super) fn write_informational(out: &mut Vec<u8>, form: Form, status: Status, fields: &Fields) -> usize {
    let mut writer = ResponseWriter::begin(out, form, status);
    for (name, value) in fields.iter().filter(|(name, _)| !is_own_field(name)) {
        writer.field(name, value);
    }
    writer.end()
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
        // What came before the end is read by the handler all the same.
        if let Some(late) = &mut late {
            return late.as_mut().poll(cx).map(|()| Err(Broken::Lost(io::ErrorKind::TimedOut.into())));
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
    let mut writer = ResponseWriter::begin(out, form, status);
    // Who hands on the response of another server leaves its date and name as they are.
    if response.fields.all("Date").next().is_none() {
        writer.date(dates.text());
    }
    let named = response.fields.all("Server").next().is_some();
    if !named && !setup.server_name.is_empty() && !own.omits("Server") {
        writer.field("Server", setup.server_name.as_bytes());
    }
    for (name, value) in response.fields.iter() {
        if !is_own_field(name) && !own.omits(name) {
            writer.field(name, value);
        }
    }
    writer
}

/// A body that goes out piece by piece.
struct Sending {
    body: Pin<Box<dyn BodyStream>>,
    delimited: Delimited,
    /// The head, which leaves together with the first piece if that is there.
    head: Option<(Vec<u8>, Status)>,
    cause: Option<EventId>,
}

/// Sends a head and its body, as the handler gives it. When the body is not as long as the head says, the error
/// ends the connection.
async fn send_stream(talk: &mut Talk, mut pump: Option<&mut Pump<'_>>, sending: Sending) -> io::Result<()> {
    let Sending { mut body, delimited, head, cause } = sending;
    let mut left = match delimited {
        Delimited::Length(octets) => Some(octets),
        _ => None,
    };
    let (mut out, mut what) = (Vec::new(), "body".to_owned());
    let mut first = None;
    if let Some((octets, status)) = head {
        (out, what) = (octets, status.to_string());
        first = poll_fn(|cx| match body.as_mut().poll_piece(cx) {
            Poll::Ready(piece) => Poll::Ready(Some(piece)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        if first.is_none() {
            talk.write(&out, cause, &what).await?;
            out.clear();
        }
    }
    // A body without an end must not outlive its reader, who says no more than this when it goes.
    loop {
        let next = match first.take() {
            Some(next) => Ok(next),
            None => {
                what.clear();
                or_gone(talk, pump.as_deref_mut(), Finished::Gone, |cx| body.as_mut().poll_piece(cx)).await
            }
        };
        let piece: Bytes = match next {
            Ok(Some(Ok(piece))) => piece,
            Ok(None) => break,
            Ok(Some(Err(error))) | Err(Broken::Lost(error)) => {
                // The head says what there would have been.
                talk.write(&out, cause, &what).await?;
                return Err(error);
            }
            // The response has begun, so the connection's end is all that can still be said.
            Err(Broken::Rule(refusal)) => return Err(io::Error::new(io::ErrorKind::InvalidData, refusal)),
        };
        // An empty chunk would end the body.
        if piece.is_empty() {
            continue;
        }
        if let Some(left) = &mut left {
            *left = left.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
        }
        if delimited == Delimited::Chunked {
            write_chunk_size(&mut out, piece.len());
            out.extend_from_slice(&piece);
            out.extend_from_slice(b"\r\n");
            talk.write(&out, cause, if what.is_empty() { "chunk" } else { &what }).await?;
        } else if out.is_empty() {
            talk.write(&piece, cause, "body").await?;
        } else {
            out.extend_from_slice(&piece);
            talk.write(&out, cause, &what).await?;
        }
        out.clear();
        if left == Some(0) {
            break;
        }
    }
    if left.is_some_and(|left| left > 0) {
        talk.write(&out, cause, &what).await?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if delimited == Delimited::Chunked {
        out.extend_from_slice(b"0\r\n\r\n");
        what.push_str("last chunk");
    }
    talk.write(&out, cause, &what).await
}
