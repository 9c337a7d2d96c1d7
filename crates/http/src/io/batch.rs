//! One batch: every request that is whole in the octets at hand is answered into one buffer, which
//! then leaves with one write.
//!
//! This is the hot path: no allocation, no clock, no lock and no atomic per request. What cannot be
//! answered at once (a large file, a handler) ends the batch as a [`Next`].

use core::net::IpAddr;
use std::sync::Arc;

use doorway_base::trace::{Direction, EventId};
use doorway_base::{Instant, Random};
use doorway_net::tcp::Watching;
use doorway_net::web::{Handler, Request};

use super::access_log::Lines;
use super::body::FileStream;
use super::contents::Contents;
use super::counts::Counts;
use super::date::DateCache;
use super::gate::{Passage, Verification};
use super::hot::HotCache;
use super::reply::{Sending, protocol};
use super::server::{Http2Room, Setup, Worker};
use super::site::{Does, Route, Site};
use crate::Status;
use crate::access_log::Line;
use crate::auth::Verdicts;
use crate::connection::{Connection, Decision};
use crate::cors::Cors;
use crate::wire::date::DATE_OCTETS;
use crate::wire::path::canonical;
use crate::wire::response::Form;
use crate::wire::{FieldSpans, Framing, Method, Refusal, RequestHead, Target, Version, rule};

/// A batch ends early when its responses are so long, so that pipelining cannot pile them up.
const BATCH_OCTETS: usize = 64 * 1024;

/// What follows a batch, once its responses are written.
pub(super) enum Next {
    /// More requests are waiting.
    Again,
    /// The connection is over and nothing more can come.
    Close,
    /// The connection is over, but the client may still be sending.
    Linger,
    /// The client speaks HTTP/2, and its first octets wait.
    Http2,
    /// A file's octets follow its head.
    Stream(Box<FileStream>),
    /// A handler has a request to answer.
    Handle(Box<HandlerCall>),
    /// It has to be found out who the client is; the request's head waits to be shown again.
    Verify(Box<Verification>),
}

/// A request for a handler. Its body is not read yet.
pub(super) struct HandlerCall {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) placed: Placed,
    pub(super) request: Request,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) has_body: bool,
    pub(super) cause: Option<EventId>,
}

/// What the config adds to a handler's response.
pub(super) struct Placed {
    pub(super) route: Arc<Route>,
    /// The page that the request comes from, where the route has rules about that.
    pub(super) origin: Option<Vec<u8>>,
    /// The number of its site.
    pub(super) site: u16,
    /// What the log says of the request, if there is one.
    pub(super) told: Option<Box<Told>>,
}

impl Placed {
    /// Counts a handler's response and adds its line to the log.
    pub(super) fn account(
        &self,
        counts: &mut Counts,
        lines: &mut Lines,
        dates: &DateCache,
        version: Version,
        status: Status,
        octets: Option<u64>,
    ) {
        counts.count_of_site(self.site, version, status);
        if let (Some(format), Some(told)) = (lines.format, &self.told) {
            let line = told.line(dates.text(), version, status, octets);
            counts.lines_dropped += u64::from(!lines.add(format, &line));
        }
    }
}

/// What the log says of a request that a handler answers.
pub(super) struct Told {
    pub(super) remote: IpAddr,
    pub(super) user: Option<Arc<str>>,
    pub(super) method: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) host: Vec<u8>,
    pub(super) referer: Option<Vec<u8>>,
    pub(super) user_agent: Option<Vec<u8>>,
}

impl Told {
    fn new(head: &RequestHead<'_>, remote: IpAddr, user: Option<Arc<str>>) -> Box<Self> {
        let field = |name| head.fields.first(name).map(<[u8]>::to_vec);
        Box::new(Self {
            remote,
            user,
            method: head.method_name.to_vec(),
            target: head.target_octets.to_vec(),
            host: head.host.to_vec(),
            referer: field(b"referer".as_slice()),
            user_agent: field(b"user-agent".as_slice()),
        })
    }

    /// The line about the response to it.
    pub(super) fn line<'l>(
        &'l self,
        date: &'l [u8; DATE_OCTETS],
        version: Version,
        status: Status,
        octets: Option<u64>,
    ) -> Line<'l> {
        Line {
            remote: self.remote,
            user: self.user.as_deref(),
            date,
            method: &self.method,
            target: &self.target,
            protocol: protocol(version),
            host: &self.host,
            status: status.code(),
            octets,
            referer: self.referer.as_deref(),
            user_agent: self.user_agent.as_deref(),
        }
    }
}

/// What happens to a connection after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    Close,
    Linger,
}

impl Then {
    /// After a response that leaves before the request's body was read.
    fn after(persistent: bool, body: Framing) -> Self {
        match (persistent, body) {
            (true, _) => Self::GoOn,
            (false, Framing::None) => Self::Close,
            (false, _) => Self::Linger,
        }
    }

    pub(super) fn next(self) -> Option<Next> {
        match self {
            Self::GoOn => None,
            Self::Close => Some(Next::Close),
            Self::Linger => Some(Next::Linger),
        }
    }
}

/// Answers what is whole in `octets`. Returns how many octets are done with.
pub(super) fn run(
    worker: &mut Worker,
    watching: &Watching,
    engine: &mut Connection,
    now: Instant,
    octets: &[u8],
) -> (usize, Option<Next>) {
    let (mut desk, spans, _) = worker.desk(watching, Form::Http1, now);
    let setup = desk.setup;
    let mut used = 0;
    let mut requests = 0;
    let next = loop {
        if desk.out.len() >= BATCH_OCTETS {
            break Some(Next::Again);
        }
        let (more, decision) = engine.next(&octets[used..], &setup.limits, spans);
        let taken = &octets[used..used + more];
        used += more;
        match decision {
            Decision::More => {
                if !taken.is_empty() {
                    watching.record(Direction::In, taken, None, || "body, not wanted".to_owned());
                }
                break None;
            }
            Decision::Request(head) => {
                let next = desk.request(engine, &head, taken);
                if let Some(Next::Verify(_)) = next {
                    used -= head.octets.len();
                    engine.put_back();
                    break next;
                }
                requests += 1;
                if next.is_some() {
                    break next;
                }
            }
            Decision::Refuse(refusal) => {
                let broken = &octets[used - more..];
                let cause = watching.record(Direction::In, broken, None, || refusal.to_string());
                desk.refuse(&refusal, cause);
                break Some(Next::Linger);
            }
            Decision::Close => break Some(Next::Close),
            // Only a handler reads bodies, and it does so on its own.
            Decision::Body(_) | Decision::BodyEnd => {}
        }
    };
    desk.counts.requests += requests;
    if requests > 0 {
        watching.pulse().count_requests(requests);
    }
    (used, next)
}

/// What is on the table while a batch is answered.
pub(super) struct Desk<'a> {
    pub(super) setup: &'a Setup,
    pub(super) watching: &'a Watching,
    pub(super) out: &'a mut Vec<u8>,
    /// How heads are written.
    pub(super) form: Form,
    /// Where in `out` the last head that was written ends and its content begins.
    pub(super) head_end: usize,
    pub(super) hot: &'a mut HotCache,
    pub(super) dates: &'a DateCache,
    pub(super) counts: &'a mut Counts,
    pub(super) boundaries: &'a mut Random,
    pub(super) lines: &'a mut Lines,
    pub(super) contents: &'a mut Contents,
    /// What the worker remembers of clients' credentials.
    pub(super) verdicts: &'a mut Verdicts,
    /// Room for a text that is needed for a moment.
    pub(super) text: &'a mut String,
    pub(super) now: Instant,
}

impl Worker {
    /// A desk for a batch of a connection, with what the desk does not need.
    pub(super) fn desk<'w>(
        &'w mut self,
        watching: &'w Watching,
        form: Form,
        now: Instant,
    ) -> (Desk<'w>, &'w mut FieldSpans, &'w mut Http2Room) {
        let Self {
            setup,
            spans,
            out,
            hot,
            contents,
            dates,
            counts,
            lines,
            boundaries,
            verdicts,
            h2,
            text,
            ..
        } = self;
        let (setup, head_end) = (&**setup, 0);
        let desk = Desk {
            setup,
            watching,
            out,
            form,
            head_end,
            hot,
            dates,
            counts,
            boundaries,
            lines,
            contents,
            verdicts,
            text,
            now,
        };
        (desk, spans, h2)
    }
}

/// A request that is being answered before its body was read.
pub(super) struct Answer<'h, 'b> {
    pub(super) head: &'h RequestHead<'b>,
    /// Who is asked for it.
    pub(super) place: Place<'h>,
    pub(super) persistent: bool,
    pub(super) cause: Option<EventId>,
    /// Who is let in, where the route has a gate.
    pub(super) user: Option<Arc<str>>,
}

/// Where in the config a request leads.
#[derive(Clone, Copy)]
pub(super) struct Place<'h> {
    pub(super) site: &'h Site,
    /// The number of `route` in `site`.
    pub(super) number: u16,
    pub(super) route: &'h Arc<Route>,
}

impl Answer<'_, '_> {
    pub(super) fn then(&self) -> Then {
        Then::after(self.persistent, self.head.body)
    }

    pub(super) fn with_body(&self) -> bool {
        self.head.method != Method::Head
    }

    /// The page that the request comes from, where the route has rules about that.
    pub(super) fn cors(&self) -> Option<(&Cors, Option<&[u8]>)> {
        let cors = self.place.route.cors.as_ref()?;
        Some((cors, self.head.fields.first(b"origin")))
    }
}

impl Desk<'_> {
    /// Answers a request; `taken` is its head, behind what was left of a body that nobody wanted.
    fn request(&mut self, engine: &mut Connection, head: &RequestHead<'_>, taken: &[u8]) -> Option<Next> {
        let watching = self.watching;
        let record = || {
            watching.record(Direction::In, taken, None, || {
                format!("{} {}", head.method_name.escape_ascii(), head.target_octets.escape_ascii())
            })
        };
        let next = self.answer(head, record, || engine.answer());
        if let Some(Next::Verify(_)) = next {
            let before = &taken[..taken.len() - head.octets.len()];
            if !before.is_empty() {
                watching.record(Direction::In, before, None, || "body, not wanted".to_owned());
            }
        }
        next
    }

    /// Answers a request, or says who does. It is recorded unless it has to be shown again, and `persistent` is
    /// asked once nobody needs its body any more.
    pub(super) fn answer(
        &mut self,
        head: &RequestHead<'_>,
        record: impl FnOnce() -> Option<EventId>,
        persistent: impl FnOnce() -> bool,
    ) -> Option<Next> {
        let path = match &head.target {
            Target::Origin(resource) | Target::Absolute { resource, .. } => resource.path,
            Target::Authority(authority) => authority,
            Target::Asterisk => b"*",
        };
        let setup = self.setup;
        let site = setup.sites.find(head.host_name());
        if matches!(head.method, Method::Get | Method::Head)
            && let Some(hot) = self.hot.find(site.number, path)
            && hot.is_fresh(self.now)
            && site.route(hot.route).gate.is_none()
        {
            let cause = record();
            let place = Place { site, number: hot.route, route: site.route(hot.route) };
            let answer = Answer { head, place, persistent: persistent(), cause, user: None };
            let Self { out, form, dates, counts, watching, boundaries, lines, .. } = self;
            let mut sending = Sending { out, form: *form, dates, counts, watching, boundaries, lines };
            if let Some(content) = sending.hot(&answer, hot) {
                counts.hot += 1;
                self.head_end = content;
                return answer.then().next();
            }
            return self.cold(&answer, path, canonical(path));
        }
        let normal = if path == b"*" { Ok("*".into()) } else { canonical(path) };
        let number = normal.as_ref().map_or(0, |path| site.route_of(path));
        let place = Place { site, number, route: site.route(number) };
        // A browser asks without credentials whether it may ask with them.
        let gate = place.route.gate.as_deref().filter(|_| !self.is_preflight(&place, head));
        let passage = gate.map(|gate| (gate, self.passage(gate, place.route.cors.as_ref(), head)));
        if let Some((_, Passage::Unknown(verification))) = passage {
            return Some(Next::Verify(verification));
        }
        let cause = record();
        let user = match passage {
            Some((gate, Passage::Shut(shut))) => {
                let answer = Answer { head, place, persistent: persistent(), cause, user: None };
                self.turn_away(gate, &answer, shut);
                return answer.then().next();
            }
            Some((_, Passage::Open(user))) => Some(user),
            _ => None,
        };
        if head.method == Method::Trace && self.setup.trace {
            let answer = Answer { head, place, persistent: persistent(), cause, user };
            self.send_back(&answer);
            return answer.then().next();
        }
        if let Does::Cached(cached) = &place.route.does
            && normal.is_ok()
            && let Some(hit) = cached.find(head, self.watching.is_tls(), self.now, self.text)
            && self.refusal(&place, head).is_none()
        {
            let answer = Answer { head, place, persistent: persistent(), cause, user };
            return self.hit(&answer, cached, &hit);
        }
        let handler = match &place.route.does {
            Does::Handler(handler) => Some(Arc::clone(handler)),
            Does::Cached(cached) => Some(Arc::clone(&cached.handler)),
            Does::Files(folder) if matches!(head.method, Method::Put | Method::Delete) => {
                folder.uploads.get().map(|uploads| Arc::clone(uploads) as Arc<dyn Handler>)
            }
            _ => None,
        };
        let refused = match head.method {
            Method::Unknown => Some(Refusal::new(&rule::METHOD_UNKNOWN, 0)),
            _ if !head.target.is_http() => Some(Refusal::new(&rule::TARGET_FORM, head.method_name.len() + 1)),
            _ => None,
        };
        if let Some(refusal) =
            refused.filter(|_| !handler.as_ref().is_some_and(|handler| handler.is_intermediary()))
        {
            self.refuse(&refusal, cause);
            return Some(Next::Linger);
        }
        if let (Ok(path), Some(handler)) = (&normal, &handler)
            && self.refusal(&place, head).is_none()
            && !self.is_preflight(&place, head)
        {
            let call = self.handler_call(handler, head, path, &place, user, cause);
            return Some(Next::Handle(Box::new(call)));
        }
        let answer = Answer { head, place, persistent: persistent(), cause, user };
        self.cold(&answer, path, normal)
    }

    fn handler_call(
        &self,
        handler: &Arc<dyn Handler>,
        head: &RequestHead<'_>,
        path: &str,
        place: &Place<'_>,
        user: Option<Arc<str>>,
        cause: Option<EventId>,
    ) -> HandlerCall {
        let (route, site) = (place.route, place.site.number);
        let remote = self.watching.pulse().ends().remote;
        let told = self.lines.format.map(|_| Told::new(head, remote.ip(), user.clone()));
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let request = Request {
            method: text(head.method_name),
            target: text(head.target_octets),
            version: match head.version {
                Version::Http10 => "1.0",
                Version::Http11 => "1.1",
                Version::Http2 => "2",
            },
            path: path.to_owned(),
            query: head.target.resource().and_then(|resource| resource.query).map(text),
            host: text(head.host_name()),
            port: head.port(),
            fields: head.fields.iter().collect(),
            body: doorway_net::web::Body::Empty,
            remote,
            secure: false,
            unix_user: None,
            user,
            informational: None,
        };
        let (method, version, has_body) = (head.method, head.version, head.body != Framing::None);
        let origin = route.cors.as_ref().and(head.fields.first(b"origin")).map(<[u8]>::to_vec);
        let (handler, placed) =
            (Arc::clone(handler), Placed { route: Arc::clone(route), origin, site, told });
        HandlerCall { handler, placed, request, method, version, has_body, cause }
    }
}
