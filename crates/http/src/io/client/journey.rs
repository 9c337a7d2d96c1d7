//! A request with its redirects and cookies: what a browser does for one address.

use std::fmt;
use std::io;
use std::time::Duration;

use doorway_base::UnixTime;
use doorway_net::web::{Body, Bytes, Fields};

use super::{Answer, Ask, Client, ClientError};
use crate::client::redirect::{REDIRECTS_MAX, redirect};
use crate::cookie::{Crossing, Jar, Place};
use crate::url::Url;

/// Fields that prove who asks, or tell of content; they go along only where they belong.
const CREDENTIALS: [&str; 2] = ["authorization", "cookie"];
const ABOUT_CONTENT: [&str; 4] = ["content-type", "content-encoding", "content-language", "content-range"];

/// What is sent along, again at each place that a redirect of a kind that keeps it leads to.
pub enum Content {
    /// These octets.
    Whole(Bytes),
    /// Whatever this opens, and how many octets that has if it is known.
    Opened(Box<dyn FnMut() -> io::Result<(Body, Option<u64>)> + Send>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Opened(_) => "Opened",
        })
    }
}

impl From<Bytes> for Content {
    fn from(octets: Bytes) -> Self {
        Self::Whole(octets)
    }
}

impl Content {
    fn open(&mut self) -> Result<(Body, Option<u64>), ClientError> {
        match self {
            Self::Whole(octets) => Ok((Body::Whole(octets.clone()), None)),
            Self::Opened(open) => open().map_err(ClientError::Content),
        }
    }
}

/// One request of a journey that led on.
#[derive(Debug, Clone)]
pub struct Hop {
    /// Where it went.
    pub url: Url,
    /// The status that led on.
    pub status: u16,
    /// How long its head took.
    pub took: Duration,
}

/// A request that follows redirects and carries cookies.
#[derive(Debug)]
pub struct Journey {
    /// Redirects that are followed; 0 follows none.
    pub redirects_max: u32,
    /// Cookies of before, and those that came.
    pub jar: Option<Jar>,
    /// The requests that led on.
    pub hops: Vec<Hop>,
}

impl Default for Journey {
    fn default() -> Self {
        Self { redirects_max: REDIRECTS_MAX, jar: None, hops: Vec::new() }
    }
}

impl Journey {
    /// Sends a request with this content and follows where it leads; returns the last answer and its URL.
    ///
    /// # Errors
    /// As [`Client::send`], and [`ClientError::Redirects`].
    pub async fn send(
        &mut self,
        client: &Client,
        mut ask: Ask,
        content: Option<Content>,
    ) -> Result<(Answer, Url), ClientError> {
        let mut content = content;
        loop {
            let world = client.0.world.clone();
            let began = world.now();
            let url = ask.url.clone();
            let (method, fields, http10) = (ask.method.clone(), ask.fields.clone(), ask.http10);
            if let Some(jar) = &mut self.jar
                && let Some(cookies) = jar.header(world.wall(), &place(&url), Crossing::SameSite)
            {
                ask.fields.add("Cookie", cookies);
            }
            (ask.body, ask.length) = match &mut content {
                Some(content) => content.open()?,
                None => (Body::Empty, None),
            };
            let answer = client.send(ask).await?;
            self.keep(&url, &answer.response.fields, world.wall());
            let location = answer.response.fields.first("location");
            let next = redirect(&url, &method, answer.response.status, location);
            let Some(next) = next.filter(|_| self.redirects_max > 0) else { return Ok((answer, url)) };
            if self.hops.len() >= self.redirects_max as usize {
                return Err(ClientError::Redirects(self.redirects_max));
            }
            let status = answer.response.status;
            // Read to its end, so that the connection can be used again.
            let _ = answer.response.body.read(64 * 1024).await;
            self.hops.push(Hop { url, status, took: world.now() - began });
            let mut kept = Fields::new();
            for (name, value) in fields.iter() {
                let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
                let stays = (next.keeps_credentials || !is(&CREDENTIALS))
                    && (next.keeps_content || !is(&ABOUT_CONTENT));
                if stays {
                    kept.add(name, value);
                }
            }
            if !next.keeps_content {
                content = None;
            }
            ask = Ask { fields: kept, http10, ..Ask::new(&next.method, next.url) };
        }
    }

    fn keep(&mut self, url: &Url, fields: &Fields, now: UnixTime) {
        let Some(jar) = &mut self.jar else { return };
        for value in fields.all("set-cookie") {
            // What may not be kept is not kept; nobody has to hear of it.
            let _ = jar.set(now, &place(url), Crossing::SameSite, value);
        }
    }
}

fn place(url: &Url) -> Place<'_> {
    Place { secure: url.scheme == "https", host: &url.host, path: &url.path }
}
