//! A request on its way out: its head for either version, and its content piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use doorway_net::web::{Body, BodyStream, Bytes, Fields, Informational};

use super::{Ask, ClientError};
use crate::client::request::{Content, Line, check, fields_h2, write_head};
use crate::url::Url;
use crate::wire::Method;

/// Content from which on a server is asked before it is sent (RFC 9110 §10.1.1), in octets.
const EXPECT_OCTETS_MIN: usize = 1 << 20;

/// A request that has not been answered.
pub(super) struct Outgoing {
    pub(super) method: Method,
    method_name: String,
    url: Url,
    absolute: bool,
    fields: Fields,
    body: Body,
    content: Content,
    http10: bool,
    /// Whether the connection ends after it.
    pub(super) last: bool,
    /// Whether the server is asked whether it wants the content before that is sent.
    pub(super) expects: bool,
    /// The protocol that is asked for in place of HTTP.
    pub(super) upgrade: Option<String>,
    /// Who hears of informational responses.
    pub(super) informational: Option<Informational>,
    /// Whether the content was read, so that it cannot be sent again.
    spent: bool,
}

impl Outgoing {
    /// A request; the connection ends after it unless it is to be `kept`.
    pub(super) fn new(ask: Ask, kept: bool) -> Result<Self, ClientError> {
        let Ask { method: method_name, url, mut fields, body, length, http10, absolute, .. } = ask;
        let (asks_first, upgrade, informational) = (ask.asks_first, ask.upgrade, ask.informational);
        let content = match (&body, length) {
            (Body::Empty, _) => Content::None,
            (Body::Whole(octets), _) => Content::Length(octets.len() as u64),
            (Body::Stream(_), Some(octets)) => Content::Length(octets),
            (Body::Stream(_), None) => Content::Chunked,
        };
        let known = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("expect"));
        let long = match &body {
            Body::Empty => false,
            Body::Whole(octets) => octets.len() >= EXPECT_OCTETS_MIN,
            Body::Stream(_) => true,
        };
        let expects = !http10 && (known || (long && asks_first));
        if expects && !known {
            fields.add("Expect", "100-continue");
        }
        check(&method_name, fields.iter()).map_err(ClientError::Request)?;
        let (method, last) = (Method::parse(method_name.as_bytes()), !kept || http10);
        Ok(Self {
            method,
            method_name,
            url,
            absolute,
            fields,
            body,
            content,
            http10,
            last,
            upgrade,
            expects,
            informational,
            spent: false,
        })
    }

    /// What the trace shows of it.
    pub(super) fn summary(&self) -> String {
        format!("{} {}", self.method_name, self.url.target())
    }

    /// The head as HTTP/1 has it, and whether the content goes in chunks.
    pub(super) fn head(&self) -> Result<(Vec<u8>, bool), ClientError> {
        let mut head = Vec::new();
        let line = Line {
            method: &self.method_name,
            url: &self.url,
            absolute: self.absolute,
            minor: u8::from(!self.http10),
            last: self.last,
            upgrade: self.upgrade.as_deref(),
        };
        write_head(&mut head, &line, self.fields.iter(), self.content).map_err(ClientError::Request)?;
        Ok((head, self.content == Content::Chunked))
    }

    /// The fields as HTTP/2 has them. Nobody is asked beforehand there: a stream can be given up alone.
    pub(super) fn fields(&self) -> Vec<(String, Vec<u8>)> {
        let fields = self.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("expect"));
        fields_h2((&self.method_name, &self.url), fields, self.content)
    }

    /// Takes the content out, if there is any. What is there as a whole can be taken again.
    pub(super) fn upload(&mut self) -> Option<Upload> {
        let left = match self.content {
            Content::Length(octets) => Some(octets),
            _ => None,
        };
        match &mut self.body {
            Body::Empty => None,
            Body::Whole(octets) if octets.is_empty() => None,
            Body::Whole(octets) => Some(Upload { piece: octets.clone(), body: None, left: None }),
            Body::Stream(_) => {
                self.spent = true;
                let Body::Stream(body) = std::mem::take(&mut self.body) else { return None };
                Some(Upload { piece: Bytes::new(), body: Some(body), left })
            }
        }
    }

    /// Whether it may be sent again though nobody knows what became of it (RFC 9110 §9.2.2).
    pub(super) fn is_repeatable(&self) -> bool {
        let idempotent = matches!(
            self.method,
            Method::Get | Method::Head | Method::Options | Method::Trace | Method::Put | Method::Delete
        );
        idempotent && !self.spent
    }

    /// Whether it can be sent again when it surely was not looked at.
    pub(super) const fn is_whole(&self) -> bool {
        !self.spent
    }
}

/// Content on its way out.
pub(super) struct Upload {
    /// What comes next.
    pub(super) piece: Bytes,
    body: Option<Pin<Box<dyn BodyStream>>>,
    /// Octets that were promised and are still to come.
    left: Option<u64>,
}

impl Upload {
    /// Waits until there is a [`Upload::piece`]; false when there is nothing more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let broken = |text: &str| Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, text)));
        while self.piece.is_empty() {
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(false)) };
            match ready!(body.as_mut().poll_piece(cx)) {
                Some(piece) => self.piece = piece?,
                None if self.left.is_some_and(|left| left > 0) => {
                    return broken("there is less content than was said");
                }
                None => {
                    self.body = None;
                    return Poll::Ready(Ok(false));
                }
            }
            if let Some(left) = &mut self.left {
                let Some(rest) = left.checked_sub(self.piece.len() as u64) else {
                    return broken("there is more content than was said");
                };
                *left = rest;
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Whether nothing follows [`Upload::piece`] for sure.
    pub(super) fn is_last(&self) -> bool {
        self.body.is_none() || self.left == Some(0)
    }
}
