//! Responses written into a batch: ready-made ones, statuses alone, refusals.

use doorway_base::Random;
use doorway_base::trace::{Direction, EventId};
use doorway_net::tcp::Watching;

use super::access_log::Lines;
use super::batch::{Answer, Desk};
use super::counts::Counts;
use super::date::DateCache;
use super::hot::Hot;
use super::server::Setup;
use crate::Status;
use crate::access_log::Line;
use crate::coding::{Accepted, Coding};
use crate::cors::{PREFLIGHT, is_preflight};
use crate::own_fields::OwnFields;
use crate::range::Span;
use crate::representation::Selected;
use crate::wire::response::{Form, ResponseWriter};
use crate::wire::{Framing, Refusal, Version};

/// Fields that are not sent back by TRACE.
const SECRET_FIELDS: [&[u8]; 3] = [b"authorization", b"cookie", b"proxy-authorization"];

impl Desk<'_> {
    /// Answers with a status and a line that says the same; Allow is added where it belongs.
    pub(super) fn status(&mut self, answer: &Answer<'_, '_>, status: Status, field: Option<(&str, &str)>) {
        self.respond(answer, status, field, "");
    }

    /// Answers with a status and the reason for it.
    pub(super) fn explain(&mut self, answer: &Answer<'_, '_>, status: Status, reason: &str) {
        self.respond(answer, status, None, reason);
    }

    /// Answers with a text of the operator's, or with the status alone when there is none.
    pub(super) fn text(&mut self, answer: &Answer<'_, '_>, status: Status, text: &str) {
        self.made(answer, status, "text/plain; charset=utf-8", text.as_bytes());
    }

    /// Answers with content that was made for this request.
    pub(super) fn made(&mut self, answer: &Answer<'_, '_>, status: Status, media_type: &str, content: &[u8]) {
        let start = self.out.len();
        let mut writer = self.begin(answer, status);
        if !status.is_bodiless() {
            if !content.is_empty() && !answer.place.route.fields.omits("Content-Type") {
                writer.field("Content-Type", media_type.as_bytes());
            }
            writer.number("Content-Length", content.len() as u64);
        }
        self.head_end = answer.finish(&mut writer);
        if !status.is_bodiless() && answer.with_body() {
            self.out.extend_from_slice(content);
        }
        self.sent(answer, status, start);
        let octets = (self.out.len() - self.head_end) as u64;
        self.account(answer, status, Some(octets));
    }

    /// Sends a request back as it came, but for what proves who sent it (RFC 9110 §9.3.8).
    #[cold]
    pub(super) fn send_back(&mut self, answer: &Answer<'_, '_>) {
        let head = answer.head;
        if head.body != Framing::None {
            return self.explain(answer, Status::BAD_REQUEST, "TRACE has no content (RFC 9110 §9.3.8)");
        }
        let mut message = Vec::with_capacity(head.octets.len());
        let version: &[u8] = if head.version == Version::Http10 { b"HTTP/1.0" } else { b"HTTP/1.1" };
        for part in [head.method_name, b" ", head.target_octets, b" ", version, b"\r\n"] {
            message.extend_from_slice(part);
        }
        for (name, value) in head.fields.iter() {
            if !SECRET_FIELDS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
                for part in [name, b": ", value, b"\r\n"] {
                    message.extend_from_slice(part);
                }
            }
        }
        message.extend_from_slice(b"\r\n");
        self.made(answer, Status::OK, "message/http", &message);
    }

    fn respond(
        &mut self,
        answer: &Answer<'_, '_>,
        status: Status,
        field: Option<(&str, &str)>,
        reason: &str,
    ) {
        let start = self.out.len();
        let page = answer.place.site.error_page(status);
        let (media_type, body) = page.unwrap_or_else(|| {
            let line = if reason.is_empty() { format!("{status}\n") } else { format!("{reason}\n") };
            ("text/plain; charset=utf-8", line.into_bytes())
        });
        let mut writer = self.begin(answer, status);
        if let Some((name, value)) = field {
            writer.field(name, value.as_bytes());
        }
        let route = answer.place.route;
        if matches!(status, Status::METHOD_NOT_ALLOWED | Status::NO_CONTENT)
            && let Some(methods) = route.methods
        {
            writer.field("Allow", methods.to_string().as_bytes());
        }
        if status == PREFLIGHT
            && let Some(cors) = route.cors.as_ref().filter(|_| is_preflight(answer.head))
        {
            cors.write_preflight(&mut writer);
        }
        if !status.is_bodiless() {
            writer.field("Content-Type", media_type.as_bytes());
            writer.number("Content-Length", body.len() as u64);
        }
        self.head_end = answer.finish(&mut writer);
        if !status.is_bodiless() && answer.with_body() {
            self.out.extend_from_slice(&body);
        }
        self.sent(answer, status, start);
        let octets = (self.out.len() - self.head_end) as u64;
        self.account(answer, status, Some(octets));
    }

    /// Answers octets that are no request.
    pub(super) fn refuse(&mut self, refusal: &Refusal, cause: Option<EventId>) {
        let start = self.out.len();
        self.head_end = refuse(self.setup, self.out, self.form, self.dates, self.counts, refusal);
        // Frames are recorded when their headers are written.
        if self.form == Form::Http1 {
            let text = || refusal.status().to_string();
            self.watching.record(Direction::Out, &self.out[start..], cause, text);
        }
    }

    pub(super) fn begin(&mut self, answer: &Answer<'_, '_>, status: Status) -> ResponseWriter<'_> {
        begin(self.setup, self.out, self.form, self.dates, status, &answer.place.route.fields)
    }

    /// Counts a response and adds its line to the log.
    pub(super) fn account(&mut self, answer: &Answer<'_, '_>, status: Status, octets: Option<u64>) {
        self.counts.count_of_site(answer.place.site.number, answer.head.version, status);
        if let Some(format) = self.lines.format {
            let line = answer.line(self.dates, self.watching, status, octets);
            self.counts.lines_dropped += u64::from(!self.lines.add(format, &line));
        }
    }

    pub(super) fn sent(&mut self, answer: &Answer<'_, '_>, status: Status, start: usize) {
        if self.form == Form::Http1 {
            self.watching.record(Direction::Out, &self.out[start..], answer.cause, || status.to_string());
        }
    }
}

impl Answer<'_, '_> {
    /// What the log says of it.
    fn line<'l>(
        &'l self,
        dates: &'l DateCache,
        watching: &Watching,
        status: Status,
        octets: Option<u64>,
    ) -> Line<'l> {
        let head = self.head;
        Line {
            remote: watching.pulse().ends().remote.ip(),
            user: self.user.as_deref(),
            date: dates.text(),
            method: head.method_name,
            target: head.target_octets,
            protocol: protocol(head.version),
            host: head.host,
            status: status.code(),
            octets: if self.with_body() { octets } else { Some(0) },
            referer: head.fields.first(b"referer"),
            user_agent: head.fields.first(b"user-agent"),
        }
    }

    /// The one of `codings`, best first, that the client wants most; `None` for the content as it is.
    pub(super) fn coding(&self, codings: &[Coding]) -> Option<Coding> {
        let accepted = Accepted::read(self.head.fields.all(b"accept-encoding"));
        accepted.choose(codings.iter().copied())
    }

    /// Ends a head with the fields of its route. Returns where its content begins.
    pub(super) fn finish(&self, writer: &mut ResponseWriter<'_>) -> usize {
        let origin = self.cors().and_then(|(_, origin)| origin);
        self.place.route.write_fields(writer, origin);
        writer.connection(self.head.version, self.persistent).end()
    }
}

/// The protocol's name in the log.
pub(super) const fn protocol(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        Version::Http2 => "HTTP/2.0",
    }
}

/// Begins a response with the fields that each has.
pub(super) fn begin<'a>(
    setup: &Setup,
    out: &'a mut Vec<u8>,
    form: Form,
    dates: &DateCache,
    status: Status,
    own: &OwnFields,
) -> ResponseWriter<'a> {
    let mut writer = ResponseWriter::begin(out, form, status);
    writer.date(dates.text());
    if !setup.server_name.is_empty() && !own.omits("Server") {
        writer.field("Server", setup.server_name.as_bytes());
    }
    writer
}

/// Writes the answer to a broken rule. Returns where its content begins.
pub(super) fn refuse(
    setup: &Setup,
    out: &mut Vec<u8>,
    form: Form,
    dates: &DateCache,
    counts: &mut Counts,
    refusal: &Refusal,
) -> usize {
    let status = refusal.status();
    let body = format!("{refusal}\n");
    counts.count_refusal(refusal.rule);
    counts.count_response(status);
    let mut writer = begin(setup, out, form, dates, status, &OwnFields::default());
    writer.field("Content-Type", b"text/plain; charset=utf-8").number("Content-Length", body.len() as u64);
    let content = writer.connection(Version::Http11, false).end();
    out.extend_from_slice(body.as_bytes());
    content
}

/// The parts of a desk that an entry of its hot cache is sent with, taken apart so that the entry can be lent.
pub(super) struct Sending<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) form: Form,
    pub(super) dates: &'a DateCache,
    pub(super) counts: &'a mut Counts,
    pub(super) watching: &'a Watching,
    pub(super) boundaries: &'a mut Random,
    pub(super) lines: &'a mut Lines,
}

impl Sending<'_> {
    /// Answers from an entry of the hot cache. Returns where the content begins, or nothing when the coding
    /// that the client wants is not made yet.
    #[inline]
    pub(super) fn hot(&mut self, answer: &Answer<'_, '_>, hot: &mut Hot) -> Option<usize> {
        let Self { out, form, dates, counts, watching, boundaries, lines } = self;
        let coding = if hot.codings.is_empty() { None } else { answer.coding(&hot.codings) };
        let ready = hot.ready(coding)?;
        let start = out.len();
        let head = answer.head;
        let selected = ready.representation.select(head, dates.wall());
        let content;
        if selected == Selected::Whole {
            content = match *form {
                Form::Http1 => ready.write(
                    out,
                    dates,
                    answer.cors(),
                    head.version,
                    answer.persistent,
                    answer.with_body(),
                ),
                Form::Http2 => ready.write_http2(out, dates, answer.cors(), answer.with_body()),
            };
        } else {
            let representation = &ready.representation;
            let mut writer = ResponseWriter::begin(out, *form, selected.status());
            writer.date(dates.text());
            let multipart = representation.begin_parts(&mut writer, &selected, boundaries.next_u64());
            representation.write_fields(&mut writer, &selected, dates.wall());
            content = answer.finish(&mut writer);
            let slice = |span: &Span| &ready.content()[span.first as usize..span.end as usize];
            match (&selected, multipart) {
                (Selected::Part(span), _) => out.extend_from_slice(slice(span)),
                (Selected::Parts(parts), Some(multipart)) => {
                    for (head, part) in multipart.heads.iter().zip(parts) {
                        out.extend_from_slice(head.as_bytes());
                        out.extend_from_slice(slice(part));
                    }
                    out.extend_from_slice(multipart.end.as_bytes());
                }
                _ => {}
            }
        }
        let status = selected.status();
        counts.count_of_site(answer.place.site.number, head.version, status);
        if let Some(format) = lines.format {
            let octets = match &selected {
                Selected::Whole => ready.representation.octets,
                Selected::Part(span) => Some(span.octets()),
                Selected::Parts(parts) => Some(parts.iter().map(Span::octets).sum()),
                _ => Some(0),
            };
            let line = answer.line(dates, watching, status, octets);
            counts.lines_dropped += u64::from(!lines.add(format, &line));
        }
        if *form == Form::Http1 {
            watching.record(Direction::Out, &out[start..], answer.cause, || {
                format!("{status} {}", ready.representation.media_type)
            });
        }
        Some(content)
    }
}
