//! Responses written into a batch: ready-made ones, statuses alone, refusals.

use doorway_base::trace::{Direction, EventId};
use doorway_net::tcp::Watching;

use super::batch::{Answer, Desk};
use super::counts::Counts;
use super::date::DateCache;
use super::hot::Hot;
use super::server::Setup;
use crate::Status;
use crate::conditional::Precondition;
use crate::cors::{PREFLIGHT, is_preflight};
use crate::own_fields::OwnFields;
use crate::wire::response::{Form, ResponseWriter};
use crate::wire::{Refusal, Version};

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
        let start = self.out.len();
        let mut writer = self.begin(answer, status);
        if !status.is_bodiless() {
            if !text.is_empty() && !answer.place.route.fields.omits("Content-Type") {
                writer.field("Content-Type", b"text/plain; charset=utf-8");
            }
            writer.number("Content-Length", text.len() as u64);
        }
        self.head_end = answer.finish(&mut writer);
        if !status.is_bodiless() && answer.with_body() {
            self.out.extend_from_slice(text.as_bytes());
        }
        self.sent(answer, status, start);
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
            writer.field("Content-Type", b"text/plain; charset=utf-8");
            writer.number("Content-Length", body.len() as u64);
        }
        self.head_end = answer.finish(&mut writer);
        if !status.is_bodiless() && answer.with_body() {
            self.out.extend_from_slice(body.as_bytes());
        }
        self.sent(answer, status, start);
    }

    /// Answers octets that are no request.
    pub(super) fn refuse(&mut self, refusal: &Refusal, cause: Option<EventId>) {
        let start = self.out.len();
        refuse(self.setup, self.out, self.dates, self.counts, refusal);
        let text = || refusal.status().to_string();
        self.watching.record(Direction::Out, &self.out[start..], cause, text);
    }

    pub(super) fn begin(&mut self, answer: &Answer<'_, '_>, status: Status) -> ResponseWriter<'_> {
        begin(self.setup, self.out, self.form, self.dates, status, &answer.place.route.fields)
    }

    pub(super) fn sent(&mut self, answer: &Answer<'_, '_>, status: Status, start: usize) {
        self.counts.count_response(status);
        self.watching.record(Direction::Out, &self.out[start..], answer.cause, || status.to_string());
    }
}

impl Answer<'_, '_> {
    /// Ends a head with the fields of its route. Returns where its content begins.
    pub(super) fn finish(&self, writer: &mut ResponseWriter<'_>) -> usize {
        let origin = self.cors().and_then(|(_, origin)| origin);
        self.place.route.write_fields(writer, origin);
        writer.connection(self.head.version, self.persistent).end()
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

/// Writes the answer to a broken rule.
pub(super) fn refuse(
    setup: &Setup,
    out: &mut Vec<u8>,
    dates: &DateCache,
    counts: &mut Counts,
    refusal: &Refusal,
) {
    let status = refusal.status();
    let body = format!("{refusal}\n");
    counts.count_refusal(refusal.rule);
    counts.count_response(status);
    let mut writer = begin(setup, out, Form::Http1, dates, status, &OwnFields::default());
    writer.field("Content-Type", b"text/plain; charset=utf-8").number("Content-Length", body.len() as u64);
    writer.connection(Version::Http11, false).end();
    out.extend_from_slice(body.as_bytes());
}

/// Answers from an entry of the hot cache.
#[inline]
pub(super) fn send_hot(
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
            hot.write(out, dates, answer.cors(), head.version, answer.persistent, answer.with_body());
            Status::OK
        }
        precondition => {
            let status = match precondition {
                Precondition::Failed => Status::PRECONDITION_FAILED,
                _ => Status::NOT_MODIFIED,
            };
            let mut writer = ResponseWriter::begin(out, Form::Http1, status);
            writer.date(dates.text());
            hot.representation.write_fields(&mut writer, status, dates.wall());
            if status == Status::PRECONDITION_FAILED {
                writer.number("Content-Length", 0);
            }
            answer.finish(&mut writer);
            status
        }
    };
    counts.count_response(status);
    watching.record(Direction::Out, &out[start..], answer.cause, || {
        format!("{status} {}", hot.representation.media_type)
    });
}
