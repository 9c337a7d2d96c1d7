//! Ranges of contents that are not here as a whole: the slices they lie in are fetched one after the other, kept,
//! and sent as they come.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use doorway_net::web::{Body, BodyStream, Bytes, Fields, Response};
use tokio::sync::mpsc;

use super::super::{Lead, Object, Outcome, Turn, Verdict as Counted};
use super::answer::{add_age, add_status};
use super::ask::{Ask, Rest};
use super::origin::fill;
use super::{Parts, candidate};
use crate::cache::selection::{fields_of_not_modified, select};
use crate::cache::slices::{
    SlicePart, Sliced, content_range, first_slice, head_key, is_internal, strong_tag,
};
use crate::cache::validation::{conditions, freshen, is_about, unconditional};
use crate::cache::{CacheStatus, Forward, Received, Stored, Verdict, decide, store};
use crate::range::Span;
use crate::representation::Selected;
use crate::wire::Method;

/// Pieces that wait for a client before the next is taken from a slice.
const PIECES_MAX: usize = 4;

/// What is said about a content in slices.
struct Head {
    sliced: Sliced,
    stored: Stored,
    /// Why the origin was asked about it, if it was.
    forward: Option<Forward>,
}

impl Parts {
    /// The answer to a request for a range, out of slices; `None` when that cannot be done.
    pub(super) async fn sliced(self: &Arc<Self>, ask: &Arc<Ask>) -> Option<Response> {
        let ranged = ask.request.ranged && ask.request.method == Method::Get;
        let range = ask.fields.first("range").filter(|_| ranged)?;
        let head = self.head(ask, range).await?;
        let Head { sliced, stored, forward } = head;
        let moment = self.moment();
        let selected = select(&stored, Some(sliced.octets), &ask.request, &ask.fields, moment.wall);
        let mut response = Response { status: selected.status().code(), ..Response::default() };
        let mut is_here = true;
        match selected {
            Selected::Part(span) => {
                let first = sliced.parts(span).next()?;
                is_here = !self.cache.load(&sliced.key(&ask.key, first.index)).await.is_empty();
                response.fields = stored.fields.clone();
                response.fields.add("Content-Range", span.content_range(sliced.octets));
                response.body = Body::Stream(Box::pin(self.send(ask, sliced, &stored, span)));
            }
            Selected::Unsatisfiable => {
                response.fields.add("Content-Range", format!("bytes */{}", sliced.octets));
            }
            Selected::NotModified => {
                for (name, value) in fields_of_not_modified(&stored.fields) {
                    response.fields.add(name, value);
                }
            }
            Selected::Whole | Selected::Parts(_) | Selected::Failed => return None,
        }
        response.fields.retain(|name, _| !is_internal(name));
        add_age(&mut response, stored.age(moment.now));
        let missing = (!is_here).then_some(Forward::Partial);
        let status = CacheStatus {
            forward: forward.or(missing),
            ttl_seconds: Some(stored.freshness(moment.now, &self.policy).ttl_seconds()),
            key: Some(ask.key.as_str()),
            detail: Some("slices"),
            ..CacheStatus::default()
        };
        add_status(&mut response, &self.policy, &status);
        let is_hit = forward.is_none() && is_here;
        self.count(ask, &response, if is_hit { Counted::Hit } else { Counted::Miss });
        Some(response)
    }

    /// What is said about the content: as it is stored, as the origin confirms it, or as the slice says in which
    /// the range begins.
    async fn head(self: &Arc<Self>, ask: &Arc<Ask>, range: &str) -> Option<Head> {
        let key = head_key(&ask.key);
        let found = self.cache.load(&key).await;
        let candidates = found.iter().map(|object| candidate(object));
        let verdict = decide(&ask.request, &ask.fields, candidates, self.moment().now, &self.policy);
        let (object, forward) = match verdict {
            Verdict::Hit { variant, .. } => {
                let stored = found[variant].stored().clone();
                return Some(Head { sliced: Sliced::read(&stored.fields)?, stored, forward: None });
            }
            Verdict::Validate { variant, forward } => (Some(Arc::clone(&found[variant])), forward),
            Verdict::Stale { variant, .. } => (Some(Arc::clone(&found[variant])), Forward::Stale),
            Verdict::Miss(forward) => (None, forward),
            Verdict::Bypass(_) | Verdict::GatewayTimeout => return None,
        };
        // Who comes while another asks waits, and looks again; who still finds nothing does without slices.
        let lead = match self.cache.take_turn(&key, &[]) {
            Turn::Lead(lead) => lead,
            Turn::Alone => return None,
            Turn::Wait(wait) => match wait.await {
                Outcome::Lead(lead) => lead,
                Outcome::Object(object) => {
                    let stored = object.stored().clone();
                    return Some(Head {
                        sliced: Sliced::read(&stored.fields)?,
                        stored,
                        forward: Some(forward),
                    });
                }
                Outcome::NotKept | Outcome::Failed => return None,
            },
        };
        let head = self.ask_head(ask, range, object.as_ref(), lead).await;
        head.map(|(sliced, stored)| Head { sliced, stored, forward: Some(forward) })
    }

    /// Asks the origin for the slice in which the range begins, or whether what is stored is still good.
    async fn ask_head(
        self: &Arc<Self>,
        ask: &Arc<Ask>,
        range: &str,
        object: Option<&Arc<Object>>,
        lead: Lead,
    ) -> Option<(Sliced, Stored)> {
        let Some(index) = first_slice(range.as_bytes()) else {
            lead.handed_on();
            return None;
        };
        let wanted = Sliced { number: 0, octets: u64::MAX }.span(index);
        let mut fields = unconditional(&ask.fields);
        for (name, value) in object.iter().flat_map(|object| conditions(object.stored())) {
            fields.add(name, value);
        }
        fields.add("Range", format!("bytes={}-{}", wanted.first, wanted.end - 1));
        let requested = self.moment();
        let Ok(response) = self.origin.fetch(ask.with("GET", fields, Rest::default())).await else {
            lead.failed();
            return None;
        };
        let received = self.moment();
        let said = Received { status: response.status, fields: &response.fields, requested, received };
        if let Some(object) =
            object.filter(|object| response.status == 304 && is_about(&response.fields, object.stored()))
        {
            let freshened = freshen(object.stored(), &ask.request, &ask.fields, &said, &self.policy);
            let fresh = self.cache.refresh(object, freshened.stored.clone());
            lead.confirmed(&fresh);
            return Some((Sliced::read(&freshened.stored.fields)?, freshened.stored));
        }
        let begins = content_range(&response.fields).filter(|(span, _)| span.first == wanted.first);
        let (Some((span, octets)), Some(_), 206) = (begins, strong_tag(&response.fields), response.status)
        else {
            // It does not do ranges, or nothing can be put together: for a while nobody asks again.
            lead.not_kept();
            return None;
        };
        let sliced = Sliced { number: self.world.random().next_u64(), octets };
        // What may be kept of a part is what may be kept of the whole.
        let mut whole = response.fields.clone();
        whole.retain(|name, _| !name.eq_ignore_ascii_case("content-range"));
        let whole = Received { status: 200, fields: &whole, ..said };
        let mut stored = match store(&ask.request, &ask.fields, &whole, &self.policy) {
            Ok(stored) => stored,
            Err(why) => {
                if why.is_for_request() {
                    lead.handed_on();
                } else {
                    lead.not_kept();
                }
                return None;
            }
        };
        sliced.write(&mut stored.fields);
        if span == sliced.span(index)
            && let Turn::Lead(slice) = self.cache.take_turn(&sliced.key(&ask.key, index), &[])
        {
            // One that cannot be kept is asked for again when it is sent.
            drop(self.keep_slice(slice, &stored, response.body, span.octets()));
        }
        lead.keep(stored.clone(), Bytes::new()).ok()?;
        Some((sliced, stored))
    }

    /// Begins to keep a slice that arrives.
    fn keep_slice(
        self: &Arc<Self>,
        lead: Lead,
        head: &Stored,
        body: Body,
        octets: u64,
    ) -> Result<Arc<Object>, Body> {
        let mut stored = Stored { status: 206, selecting: Vec::new(), ..head.clone() };
        stored.fields.retain(|name, _| !is_internal(name));
        match body {
            Body::Stream(stream) => match lead.begin(stored, Some(octets)) {
                Ok(filling) => {
                    let object = Arc::clone(filling.object());
                    self.world.spawn("http cache", fill(stream, filling));
                    Ok(object)
                }
                Err(_) => Err(Body::Stream(stream)),
            },
            Body::Whole(content) => lead.keep(stored, content.clone()).map_err(|_| Body::Whole(content)),
            Body::Empty => Err(Body::Empty),
        }
    }

    /// The octets of `span`, slice by slice.
    fn send(self: &Arc<Self>, ask: &Arc<Ask>, sliced: Sliced, head: &Stored, span: Span) -> Sending {
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let (parts, ask, head) = (Arc::clone(self), Arc::clone(ask), head.clone());
        self.world.spawn("http cache", async move {
            for part in sliced.parts(span) {
                let sent = parts.send_part(&ask, sliced, &head, part, &sender).await;
                if let Err(error) = sent {
                    // A slice that does not fit any more: what is said about the whole is wrong.
                    parts.cache.invalidate(&head_key(&ask.key));
                    let _ = sender.send(Err(error)).await;
                    return;
                }
                if sender.is_closed() {
                    return;
                }
            }
        });
        Sending { pieces, octets: span.octets() }
    }

    async fn send_part(
        self: &Arc<Self>,
        ask: &Ask,
        sliced: Sliced,
        head: &Stored,
        part: SlicePart,
        sender: &mpsc::Sender<io::Result<Bytes>>,
    ) -> io::Result<()> {
        let within = (part.within.first, part.within.end);
        let mut left = part.within.octets();
        let (mut body, mut skip): (Pin<Box<dyn BodyStream>>, u64) =
            match self.slice(ask, sliced, head, part.index).await? {
                Ok(object) => (Box::pin(object.read(Some(within))), 0),
                Err(Body::Stream(stream)) => (stream, within.0),
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            };
        while left > 0 {
            let Some(piece) = poll_fn(|cx| body.as_mut().poll_piece(cx)).await else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let mut piece = piece?;
            let skipped = skip.min(piece.len() as u64);
            skip -= skipped;
            piece = piece.slice(skipped as usize..);
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            if !piece.is_empty() && sender.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A slice: as it is kept, or from the origin. The inner error is one that cannot be kept.
    async fn slice(
        self: &Arc<Self>,
        ask: &Ask,
        sliced: Sliced,
        head: &Stored,
        index: u64,
    ) -> io::Result<Result<Arc<Object>, Body>> {
        let key = sliced.key(&ask.key, index);
        if let Some(object) = self.cache.load(&key).await.first() {
            return Ok(Ok(Arc::clone(object)));
        }
        let lead = match self.cache.take_turn(&key, &[]) {
            Turn::Lead(lead) => Some(lead),
            Turn::Alone => None,
            Turn::Wait(wait) => match wait.await {
                Outcome::Object(object) => return Ok(Ok(object)),
                Outcome::Lead(lead) => Some(lead),
                Outcome::NotKept => None,
                Outcome::Failed => return Err(io::ErrorKind::ConnectionAborted.into()),
            },
        };
        let span = sliced.span(index);
        let tag = strong_tag(&head.fields).unwrap_or_default();
        let mut fields: Fields = unconditional(&ask.fields);
        fields.add("Range", format!("bytes={}-{}", span.first, span.end - 1));
        fields.add("If-Range", tag);
        let response = match self.origin.fetch(ask.with("GET", fields, Rest::default())).await {
            Ok(response) => response,
            Err(error) => {
                lead.into_iter().for_each(Lead::failed);
                return Err(error);
            }
        };
        let fits = response.status == 206
            && content_range(&response.fields) == Some((span, sliced.octets))
            && strong_tag(&response.fields) == Some(tag);
        if !fits {
            // The content changed, or the origin does otherwise than before (RFC 9110 §15.3.7.3).
            lead.into_iter().for_each(Lead::failed);
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(match lead {
            Some(lead) => self.keep_slice(lead, head, response.body, span.octets()),
            None => Err(response.body),
        })
    }
}

/// Octets on their way from slices to a client.
struct Sending {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    octets: u64,
}

impl BodyStream for Sending {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let polled = self.pieces.poll_recv(cx);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            self.octets = self.octets.saturating_sub(piece.len() as u64);
        }
        polled
    }

    fn octets(&self) -> Option<u64> {
        Some(self.octets)
    }
}
