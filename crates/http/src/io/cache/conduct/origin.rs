//! Requests to the origin, and what becomes of its responses.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use doorway_net::web::{Body, Response};

use super::super::{Filling, Lead, Object, Refused, Verdict as Counted};
use super::answer::{add_status, answer};
use super::ask::{Ask, Rest};
use super::{Parts, Reason};
use crate::cache::invalidation::{invalidated, is_safe};
use crate::cache::stale::is_error;
use crate::cache::validation::{
    Freshened, conditions, freshen, is_about, is_same_representation, unconditional,
};
use crate::cache::{CacheStatus, FieldLines, Moment, NotStored, Received, Stored, store, vary};
use crate::io::proxy::failed;
use crate::wire::Method;

/// What the origin said, and when.
struct Said {
    response: Response,
    requested: Moment,
    received: Moment,
}

impl Said {
    fn head(&self) -> Received<'_> {
        Received {
            status: self.response.status,
            fields: &self.response.fields,
            requested: self.requested,
            received: self.received,
        }
    }
}

impl Parts {
    /// Hands a request on as it is, and what the origin says back. `object` answers if the origin fails.
    pub(super) async fn pass(
        &self,
        ask: &Ask,
        rest: Rest,
        reason: Reason,
        object: Option<&Arc<Object>>,
    ) -> Response {
        let requested = self.moment();
        let fetched = self.origin.fetch(ask.whole(rest)).await;
        let fails = fetched.as_ref().map_or(true, |response| is_error(response.status));
        if fails && let Some(object) = object {
            let status = fetched.as_ref().ok().map(|response| response.status);
            if let Some(response) = self.if_error(ask, object, reason, status) {
                return response;
            }
        }
        let mut response = match fetched {
            Ok(response) => response,
            Err(error) => return self.unanswered(ask, &error),
        };
        let received = self.moment();
        if !is_safe(ask.method()) {
            let query = &self.policy.query;
            let keys = ask.with_target(|target| {
                invalidated(ask.method(), target, response.status, &response.fields, query)
            });
            for key in &keys {
                self.cache.invalidate(key);
            }
        } else if ask.request.method == Method::Head && response.status == 200 {
            let head = Received { status: response.status, fields: &response.fields, requested, received };
            let octets = response.body.octets();
            self.learn_from_head(ask, head, octets).await;
        }
        if response.upgrade.is_none() {
            self.tell(ask, &mut response, reason, None);
        }
        response
    }

    /// Freshens what is stored by the answer to a HEAD, which announces so many octets, or forgets it
    /// (RFC 9111 §4.3.5).
    async fn learn_from_head(&self, ask: &Ask, head: Received<'_>, octets: Option<u64>) {
        for object in self.cache.load(&ask.key).await.iter() {
            let stored = object.stored();
            if stored.status != 200 || !vary::selects(&stored.selecting, &ask.fields) {
                continue;
            }
            let same_length = octets.is_none() || octets == object.octets();
            if !same_length || !is_same_representation(head.fields, stored) {
                self.cache.remove(object);
                continue;
            }
            let freshened = freshen(stored, &ask.request, &ask.fields, &head, &self.policy);
            match freshened.not_stored {
                None => drop(self.cache.refresh(object, freshened.stored)),
                Some(why) if why.is_for_request() => {}
                Some(_) => self.cache.remove(object),
            }
        }
    }

    /// Asks the origin for a whole representation, or whether `object` still is one, and keeps what comes
    /// where `lead` says that others wait for it.
    pub(super) async fn ask_origin(
        self: &Arc<Self>,
        ask: &Ask,
        rest: Rest,
        lead: Option<Lead>,
        object: Option<Arc<Object>>,
        reason: Reason,
    ) -> Response {
        let mut rest = Rest { body: Body::Empty, informational: rest.informational };
        let mut asked_about = object.clone();
        loop {
            let mut fields = unconditional(&ask.fields);
            for (name, value) in asked_about.iter().flat_map(|object| conditions(object.stored())) {
                fields.add(name, value);
            }
            let requested = self.moment();
            let fetched = self.origin.fetch(ask.with("GET", fields, std::mem::take(&mut rest))).await;
            let said = match fetched {
                Ok(response) => Said { response, requested, received: self.moment() },
                Err(error) => return self.failed(ask, lead, object.as_ref(), reason, &error),
            };
            let status = said.response.status;
            if is_error(status)
                && let Some(object) = &object
                && let Some(response) = self.if_error(ask, object, reason, Some(status))
            {
                lead.into_iter().for_each(Lead::failed);
                return response;
            }
            if status != 304 {
                return self.take(ask, lead, reason, said);
            }
            match asked_about.take() {
                Some(object) if is_about(&said.response.fields, object.stored()) => {
                    return self.confirmed(ask, lead, &object, reason, &said);
                }
                // About something else: what is wanted has to be fetched (RFC 9111 §4.3.3).
                Some(_) => {}
                // Nothing was asked that 304 could answer.
                None => return self.gave_up(ask, 502),
            }
        }
    }

    /// The origin gave no answer.
    fn failed(
        &self,
        ask: &Ask,
        lead: Option<Lead>,
        object: Option<&Arc<Object>>,
        reason: Reason,
        error: &io::Error,
    ) -> Response {
        lead.into_iter().for_each(Lead::failed);
        match object {
            Some(_) => self.without_origin(ask, object, reason),
            None => self.unanswered(ask, error),
        }
    }

    /// The answer when the origin gave none and nothing is stored.
    fn unanswered(&self, ask: &Ask, error: &io::Error) -> Response {
        let response = failed(error);
        self.count(ask, &response, Counted::Failed);
        response
    }

    /// The origin said that what is stored is still good.
    fn confirmed(
        &self,
        ask: &Ask,
        lead: Option<Lead>,
        object: &Arc<Object>,
        reason: Reason,
        said: &Said,
    ) -> Response {
        let Freshened { stored, not_stored } =
            freshen(object.stored(), &ask.request, &ask.fields, &said.head(), &self.policy);
        let object = match not_stored {
            None => {
                self.confirm_others(ask, object, said);
                let fresh = self.cache.refresh(object, stored.clone());
                if let Some(lead) = lead {
                    lead.confirmed(&fresh);
                }
                fresh
            }
            Some(why) => {
                if why.is_for_request() {
                    lead.into_iter().for_each(Lead::handed_on);
                } else {
                    self.cache.remove(object);
                    lead.into_iter().for_each(Lead::not_kept);
                }
                Arc::clone(object)
            }
        };
        let moment = said.received;
        let status = CacheStatus {
            forward: Some(reason.forward),
            forward_status: Some(304),
            collapsed: reason.waited.then_some(false),
            ttl_seconds: Some(stored.freshness(moment.now, &self.policy).ttl_seconds()),
            stored: not_stored.is_none(),
            detail: not_stored.map(NotStored::token),
            ..CacheStatus::default()
        };
        self.reply(ask, &object, &stored, moment, status, Counted::Revalidated)
    }

    /// Freshens whatever else the request selects that has the same strong entity tag (RFC 9111 §4.3.4).
    fn confirm_others(&self, ask: &Ask, object: &Arc<Object>, said: &Said) {
        let Some(etag) = said.response.fields.value("etag").filter(|etag| !etag.starts_with(b"W/")) else {
            return;
        };
        for other in self.cache.find(ask.key.as_str()).iter().filter(|other| !Arc::ptr_eq(other, object)) {
            let stored = other.stored();
            if stored.fields.value("etag") == Some(etag) && vary::selects(&stored.selecting, &ask.fields) {
                let freshened = freshen(stored, &ask.request, &ask.fields, &said.head(), &self.policy);
                if freshened.not_stored.is_none() {
                    self.cache.refresh(other, freshened.stored);
                }
            }
        }
    }

    /// Keeps what the origin sent, if that is allowed and anybody may wait for it, and hands it on.
    fn take(self: &Arc<Self>, ask: &Ask, lead: Option<Lead>, reason: Reason, said: Said) -> Response {
        let judged = store(&ask.request, &ask.fields, &said.head(), &self.policy);
        let Said { mut response, received, .. } = said;
        let Some(lead) = lead else {
            self.tell(ask, &mut response, reason, judged.err().map(NotStored::token));
            return response;
        };
        let stored = match judged {
            Ok(stored) => stored,
            Err(why) => {
                if why.is_for_request() {
                    lead.handed_on();
                } else if is_error(response.status) {
                    lead.failed();
                } else {
                    lead.not_kept();
                }
                self.tell(ask, &mut response, reason, Some(why.token()));
                return response;
            }
        };
        let object = match self.keep(lead, &stored, std::mem::take(&mut response.body)) {
            Ok(object) => object,
            Err((body, refused)) => {
                response.body = body;
                self.tell(ask, &mut response, reason, Some(refused_token(refused)));
                return response;
            }
        };
        let status = response.status;
        let mut response =
            answer(ask, &object, &stored, &response.fields, received, self.world.random().next_u64());
        let told = CacheStatus {
            forward: Some(reason.forward),
            forward_status: Some(status),
            collapsed: reason.waited.then_some(false),
            ttl_seconds: Some(stored.freshness(received.now, &self.policy).ttl_seconds()),
            stored: true,
            key: Some(ask.key.as_str()),
            ..CacheStatus::default()
        };
        add_status(&mut response, &self.policy, &told);
        self.count(ask, &response, Counted::Miss);
        response
    }

    /// Begins to keep a response; its content arrives beside the request that asked for it.
    fn keep(
        self: &Arc<Self>,
        lead: Lead,
        stored: &Stored,
        body: Body,
    ) -> Result<Arc<Object>, (Body, Refused)> {
        let stored = stored.clone();
        match body {
            Body::Empty => lead.keep(stored, Default::default()).map_err(|refused| (Body::Empty, refused)),
            Body::Whole(content) => {
                lead.keep(stored, content.clone()).map_err(|refused| (Body::Whole(content), refused))
            }
            Body::Stream(stream) => match lead.begin(stored, stream.octets()) {
                Ok(filling) => {
                    let object = Arc::clone(filling.object());
                    self.world.spawn("http cache", fill(stream, filling));
                    Ok(object)
                }
                Err(refused) => Err((Body::Stream(stream), refused)),
            },
        }
    }

    /// Adds what is told about a response that came from the origin and is not kept.
    fn tell(&self, ask: &Ask, response: &mut Response, reason: Reason, detail: Option<&str>) {
        let status = CacheStatus {
            forward: Some(reason.forward),
            forward_status: Some(response.status),
            collapsed: reason.waited.then_some(false),
            key: Some(ask.key.as_str()),
            detail,
            ..CacheStatus::default()
        };
        add_status(response, &self.policy, &status);
        self.count(ask, response, Counted::Pass);
    }
}

/// Takes a content from the origin to its end, or until nobody wants it. Whatever breaks off is not kept.
pub(super) async fn fill(
    mut stream: std::pin::Pin<Box<dyn doorway_net::web::BodyStream>>,
    mut filling: Filling,
) {
    while let Some(piece) = poll_fn(|cx| stream.as_mut().poll_piece(cx)).await {
        let Ok(piece) = piece else { return };
        if filling.push(piece).await.is_err() {
            return;
        }
    }
    // Too short a content is told to those who read along, and counted.
    let _ = filling.finish();
}

/// Why a content is not kept, as a token for Cache-Status.
const fn refused_token(refused: Refused) -> &'static str {
    match refused {
        Refused::TooLong => "too-long",
        Refused::NoRoom => "no-room",
        Refused::Unwanted => "unwanted",
        Refused::HostFull => "host-full",
        Refused::Tags => "tags",
        Refused::Purged => "purged",
        Refused::Length => "length",
    }
}
