//! What a cache has in memory, on the hot path: a response that is fresh leaves with the batch, without a task
//! and without a look at the origin. Whatever is not as plain as that is for the route's handler.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Instant;
use doorway_net::web::Handler;

use super::batch::{Answer, Desk, Next};
use super::body::{FileStream, Source};
use super::cache::{Cache, Object, Verdict as Counted};
use crate::Status;
use crate::cache::{CacheStatus, Candidate, Policy, Request, Target, Verdict, decide};
use crate::range::Span;
use crate::wire::response::ResponseWriter;
use crate::wire::{Framing, RequestHead};

/// Longest content that is copied behind its head; a longer one leaves from where it is.
const COPIED_OCTETS_MAX: usize = 32 * 1024;

/// A route whose responses are kept.
pub(super) struct Cached {
    pub(super) cache: Arc<Cache>,
    pub(super) policy: Policy,
    /// Answers whatever takes longer.
    pub(super) handler: Arc<dyn Handler>,
}

/// A response that answers a request as it is.
pub(super) struct Hit {
    object: Arc<Object>,
    age: Duration,
    ttl_seconds: i64,
}

impl Cached {
    /// What answers a request at once, if anything does. `text` is room for its key.
    pub(super) fn find(
        &self,
        head: &RequestHead<'_>,
        secure: bool,
        now: Instant,
        text: &mut String,
    ) -> Option<Hit> {
        let request = Request::read(head.method, &head.fields);
        let is_plain = request.reads() && !request.conditional && !request.guarded && !request.ranged;
        if !is_plain || head.body != Framing::None {
            return None;
        }
        let resource = head.target.resource()?;
        let target = Target { secure, host: head.host, path: resource.path, query: resource.query };
        text.clear();
        target.write_key(text, &self.policy.query);
        let variants = self.cache.find(text);
        let candidates = variants
            .iter()
            .map(|object| Candidate { stored: object.stored(), marked_stale: object.must_validate() });
        let Verdict::Hit { variant, age, ttl_seconds } =
            decide(&request, &head.fields, candidates, now, &self.policy)
        else {
            return None;
        };
        let object = Arc::clone(variants.get(variant)?);
        object.in_memory().is_some().then_some(Hit { object, age, ttl_seconds })
    }
}

impl Desk<'_> {
    /// Answers with what a cache has.
    pub(super) fn hit(&mut self, answer: &Answer<'_, '_>, cached: &Cached, hit: &Hit) -> Option<Next> {
        let Hit { object, age, ttl_seconds } = hit;
        let (heads, content) = object.ready().expect("what is found is in memory");
        let start = self.out.len();
        let status = Status::new(object.stored().status);
        self.out.extend_from_slice(heads.of(self.form));
        let status_line = CacheStatus {
            cache: &cached.policy.name,
            ttl_seconds: Some(*ttl_seconds),
            key: Some(object.key().as_str()),
            ..CacheStatus::default()
        };
        self.text.clear();
        let mut writer = ResponseWriter::resume(self.out, self.form);
        writer.number("Age", age.as_secs());
        if let Some(told) = status_line.told(cached.policy.status) {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{told}");
            writer.field("Cache-Status", self.text.as_bytes());
        }
        self.head_end = answer.finish(&mut writer);
        let is_sent = answer.with_body() && !status.is_bodiless();
        let octets = if is_sent { content.len() as u64 } else { 0 };
        // Nobody waited for it.
        object.host().count(Counted::Hit, 1, octets, Duration::ZERO);
        self.account(answer, status, Some(octets));
        if is_sent && content.len() > COPIED_OCTETS_MAX {
            self.sent(answer, status, start);
            let span = Span { first: 0, end: octets };
            let stream = FileStream::part(Source::Memory(content.clone()), span, answer.then(), answer.cause);
            return Some(Next::Stream(Box::new(stream)));
        }
        if is_sent {
            self.out.extend_from_slice(content);
        }
        self.sent(answer, status, start);
        answer.then().next()
    }
}
