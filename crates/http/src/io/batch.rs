//! One batch: every request that is whole in the octets at hand is answered into one buffer, which
//! then leaves with one write.
//!
//! This is the hot path: no allocation, no clock, no lock and no atomic per request. What cannot be
//! answered at once (a large file, a handler) ends the batch as a [`Next`].

use std::fs::File;
use std::io;
use std::sync::Arc;

use doorway_base::Instant;
use doorway_base::trace::{Direction, EventId};
use doorway_net::tcp::Watching;
use doorway_net::web::{Fields, Handler, Request};

use super::counts::Counts;
use super::date::DateCache;
use super::files::{Looked, read_whole};
use super::hot::{FILE_OCTETS_MAX, Hot, HotCache};
use super::server::{Server, Worker};
use crate::Status;
use crate::conditional::Precondition;
use crate::connection::{Connection, Decision};
use crate::files::{ALLOW, Asked, Facts, Representation, asked};
use crate::page;
use crate::wire::path::FilePath;
use crate::wire::response::ResponseWriter;
use crate::wire::{Framing, Method, Refusal, RequestHead, Target, Version};

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
    /// A file's octets follow its head.
    Stream(Box<FileStream>),
    /// A handler has a request to answer.
    Handle(Box<HandlerCall>),
}

/// A file on its way out, its head written already.
pub(super) struct FileStream {
    pub(super) file: File,
    pub(super) octets: u64,
    /// What follows when it is out.
    pub(super) then: Then,
    pub(super) cause: Option<EventId>,
}

/// A request for a handler. Its body is not read yet.
pub(super) struct HandlerCall {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) request: Request,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) cause: Option<EventId>,
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

    fn next(self) -> Option<Next> {
        match self {
            Self::GoOn => None,
            Self::Close => Some(Next::Close),
            Self::Linger => Some(Next::Linger),
        }
    }
}

/// Answers what is whole in `octets`. Returns how many octets are done with.
pub(super) fn run(
    server: &Server,
    worker: &mut Worker,
    watching: &Watching,
    engine: &mut Connection,
    now: Instant,
    octets: &[u8],
) -> (usize, Option<Next>) {
    let Worker { spans, out, hot, dates, counts } = worker;
    let mut desk = Desk { server, watching, out, hot, dates, counts, now };
    let mut used = 0;
    let mut requests = 0;
    let next = loop {
        if desk.out.len() >= BATCH_OCTETS {
            break Some(Next::Again);
        }
        let (more, decision) = engine.next(&octets[used..], &server.limits, spans);
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
                requests += 1;
                if let Some(next) = desk.request(engine, &head, taken) {
                    break Some(next);
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
struct Desk<'a> {
    server: &'a Server,
    watching: &'a Watching,
    out: &'a mut Vec<u8>,
    hot: &'a mut HotCache,
    dates: &'a DateCache,
    counts: &'a mut Counts,
    now: Instant,
}

/// A request that is being answered before its body was read.
struct Answer<'h, 'b> {
    head: &'h RequestHead<'b>,
    persistent: bool,
    cause: Option<EventId>,
}

impl Answer<'_, '_> {
    fn then(&self) -> Then {
        Then::after(self.persistent, self.head.body)
    }

    fn with_body(&self) -> bool {
        self.head.method != Method::Head
    }
}

impl Desk<'_> {
    /// Answers a request; `taken` is its head, behind what was left of a body that nobody wanted.
    fn request(&mut self, engine: &mut Connection, head: &RequestHead<'_>, taken: &[u8]) -> Option<Next> {
        let cause = self.watching.record(Direction::In, taken, None, || {
            format!("{} {}", head.method_name.escape_ascii(), head.target_octets.escape_ascii())
        });
        let path = match &head.target {
            Target::Origin(resource) | Target::Absolute { resource, .. } => resource.path,
            Target::Authority(_) | Target::Asterisk => b"*",
        };
        if let Some(handler) = self.server.site.handler(path) {
            return Some(Next::Handle(Box::new(self.handler_call(handler, head, path, cause))));
        }
        let answer = Answer { head, persistent: engine.answer(), cause };
        if matches!(head.method, Method::Get | Method::Head)
            && let Some(hot) = self.hot.find(path)
            && hot.is_fresh(self.now)
        {
            self.counts.hot += 1;
            send_hot(&answer, hot, self.out, self.dates, self.counts, self.watching);
            return answer.then().next();
        }
        self.cold(&answer, path)
    }

    /// Answers a request that needs a look at the disk.
    #[cold]
    fn cold(&mut self, answer: &Answer<'_, '_>, path: &[u8]) -> Option<Next> {
        match asked(answer.head) {
            Asked::File(file) => return self.file(answer, path, &file),
            Asked::Status(status) => self.status(answer, status, None),
            Asked::Refused(refusal) => {
                self.counts.count_refusal(refusal.rule);
                self.explain(answer, refusal.status(), &refusal.to_string());
            }
        }
        answer.then().next()
    }

    fn file(&mut self, answer: &Answer<'_, '_>, path: &[u8], name: &FilePath) -> Option<Next> {
        let Some(root) = self.server.site.root() else {
            match page::find(&name.name) {
                Some((representation, body)) => self.fresh(answer, path, representation, body),
                None => self.status(answer, Status::NOT_FOUND, None),
            }
            return answer.then().next();
        };
        let query = answer.head.target.resource().and_then(|resource| resource.query);
        match root.look(name, query) {
            Ok(Looked::File { file, facts, name }) => {
                let sent = self.found(answer, path, file, facts, &name);
                return sent.unwrap_or_else(|error| {
                    self.trouble(answer, &error);
                    answer.then().next()
                });
            }
            Ok(Looked::Redirect(location)) => {
                self.status(answer, Status::MOVED_PERMANENTLY, Some(("Location", &location)));
            }
            Ok(Looked::Status(status)) => {
                self.hot.remove(path);
                self.status(answer, status, None);
            }
            Err(error) => self.trouble(answer, &error),
        }
        answer.then().next()
    }

    fn found(
        &mut self,
        answer: &Answer<'_, '_>,
        path: &[u8],
        file: File,
        facts: Facts,
        name: &str,
    ) -> io::Result<Option<Next>> {
        if let Some(hot) = self.hot.find(path)
            && hot.confirm(&facts, self.now)
        {
            send_hot(answer, hot, self.out, self.dates, self.counts, self.watching);
            return Ok(answer.then().next());
        }
        let representation = Representation::new(name, facts);
        if facts.octets <= FILE_OCTETS_MAX {
            let mut body = Vec::new();
            read_whole(&file, facts.octets, &mut body)?;
            self.fresh(answer, path, representation, &body);
            return Ok(answer.then().next());
        }
        self.hot.remove(path);
        let wall = self.dates.wall();
        let status = match representation.precondition(answer.head, wall) {
            Precondition::Holds => Status::OK,
            Precondition::NotModified => Status::NOT_MODIFIED,
            Precondition::Failed => {
                self.status(answer, Status::PRECONDITION_FAILED, None);
                return Ok(answer.then().next());
            }
        };
        let start = self.out.len();
        let mut writer = self.begin(status);
        representation.write_fields(&mut writer, status, wall);
        writer.connection(answer.head.version, answer.persistent).end();
        self.sent(answer, status, start);
        if status != Status::OK || !answer.with_body() {
            return Ok(answer.then().next());
        }
        let stream = FileStream { file, octets: facts.octets, then: answer.then(), cause: answer.cause };
        Ok(Some(Next::Stream(Box::new(stream))))
    }

    /// Sends what was just read and keeps it.
    fn fresh(&mut self, answer: &Answer<'_, '_>, path: &[u8], representation: Representation, body: &[u8]) {
        let mut hot = Hot::new(representation, &self.server.server_name, body, self.dates, self.now);
        send_hot(answer, &mut hot, self.out, self.dates, self.counts, self.watching);
        self.hot.insert(path, hot);
    }

    fn trouble(&mut self, answer: &Answer<'_, '_>, error: &io::Error) {
        tracing::warn!(target = %answer.head.target_octets.escape_ascii(), %error, "a file could not be read");
        self.status(answer, Status::SERVICE_UNAVAILABLE, None);
    }

    fn handler_call(
        &self,
        handler: &Arc<dyn Handler>,
        head: &RequestHead<'_>,
        path: &[u8],
        cause: Option<EventId>,
    ) -> HandlerCall {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let mut fields = Fields::new();
        for (name, value) in head.fields.iter() {
            fields.add(text(name), text(value));
        }
        let request = Request {
            method: text(head.method_name),
            path: if path.is_empty() { "/".to_owned() } else { text(path) },
            query: head.target.resource().and_then(|resource| resource.query).map(text),
            host: text(head.host_name()),
            fields,
            body: doorway_net::web::Body::Empty,
            remote: self.watching.pulse().ends().remote,
            secure: false,
            unix_user: None,
        };
        let (method, version) = (head.method, head.version);
        HandlerCall { handler: Arc::clone(handler), request, method, version, cause }
    }

    /// Answers with a status and a line that says the same; Allow is added where it belongs.
    fn status(&mut self, answer: &Answer<'_, '_>, status: Status, field: Option<(&str, &str)>) {
        self.respond(answer, status, field, "");
    }

    /// Answers with a status and the reason for it.
    fn explain(&mut self, answer: &Answer<'_, '_>, status: Status, reason: &str) {
        self.respond(answer, status, None, reason);
    }

    fn respond(
        &mut self,
        answer: &Answer<'_, '_>,
        status: Status,
        field: Option<(&str, &str)>,
        reason: &str,
    ) {
        let start = self.out.len();
        let body = if reason.is_empty() { format!("{status}\n") } else { format!("{reason}\n") };
        let mut writer = self.begin(status);
        if let Some((name, value)) = field {
            writer.field(name, value.as_bytes());
        }
        if matches!(status, Status::METHOD_NOT_ALLOWED | Status::NO_CONTENT) {
            writer.field("Allow", ALLOW.as_bytes());
        }
        if !status.is_bodiless() {
            writer.field("Content-Type", b"text/plain; charset=utf-8");
            writer.number("Content-Length", body.len() as u64);
        }
        writer.connection(answer.head.version, answer.persistent).end();
        if !status.is_bodiless() && answer.with_body() {
            self.out.extend_from_slice(body.as_bytes());
        }
        self.sent(answer, status, start);
    }

    /// Answers octets that are no request.
    fn refuse(&mut self, refusal: &Refusal, cause: Option<EventId>) {
        let start = self.out.len();
        refuse(self.server, self.out, self.dates, self.counts, refusal);
        let text = || refusal.status().to_string();
        self.watching.record(Direction::Out, &self.out[start..], cause, text);
    }

    fn begin(&mut self, status: Status) -> ResponseWriter<'_> {
        begin(self.server, self.out, self.dates, status)
    }

    fn sent(&mut self, answer: &Answer<'_, '_>, status: Status, start: usize) {
        self.counts.count_response(status);
        self.watching.record(Direction::Out, &self.out[start..], answer.cause, || status.to_string());
    }
}

/// Begins a response with the fields that each has.
pub(super) fn begin<'a>(
    server: &Server,
    out: &'a mut Vec<u8>,
    dates: &DateCache,
    status: Status,
) -> ResponseWriter<'a> {
    let mut writer = ResponseWriter::begin(out, status);
    writer.date(dates.text());
    if !server.server_name.is_empty() {
        writer.field("Server", server.server_name.as_bytes());
    }
    writer
}

/// Writes the answer to a broken rule.
pub(super) fn refuse(
    server: &Server,
    out: &mut Vec<u8>,
    dates: &DateCache,
    counts: &mut Counts,
    refusal: &Refusal,
) {
    let status = refusal.status();
    let body = format!("{refusal}\n");
    counts.count_refusal(refusal.rule);
    counts.count_response(status);
    let mut writer = begin(server, out, dates, status);
    writer.field("Content-Type", b"text/plain; charset=utf-8").number("Content-Length", body.len() as u64);
    writer.connection(Version::Http11, false).end();
    out.extend_from_slice(body.as_bytes());
}

/// Answers from an entry of the hot cache.
#[inline]
fn send_hot(
    answer: &Answer<'_, '_>,
    hot: &mut Hot,
    out: &mut Vec<u8>,
    dates: &DateCache,
    counts: &mut Counts,
    watching: &Watching,
) {
    let start = out.len();
    let head = answer.head;
    let status = match hot.representation.precondition(head, dates.wall()) {
        Precondition::Holds => {
            hot.write(out, dates, head.version, answer.persistent, answer.with_body());
            Status::OK
        }
        precondition => {
            let status = match precondition {
                Precondition::Failed => Status::PRECONDITION_FAILED,
                _ => Status::NOT_MODIFIED,
            };
            let mut writer = ResponseWriter::begin(out, status);
            writer.date(dates.text());
            hot.representation.write_fields(&mut writer, status, dates.wall());
            if status == Status::PRECONDITION_FAILED {
                writer.number("Content-Length", 0);
            }
            writer.connection(head.version, answer.persistent).end();
            status
        }
    };
    counts.count_response(status);
    watching.record(Direction::Out, &out[start..], answer.cause, || {
        format!("{status} {}", hot.representation.media_type)
    });
}
