//! Requests that need a look at the disk, and those that their route does not take.

use std::borrow::Cow;
use std::fs::File;
use std::io;

use super::batch::{Answer, Desk, FileStream, Next, Place};
use super::files::read_whole;
use super::folder::Folder;
use super::hot::{FILE_OCTETS_MAX, Hot};
use super::reply::send_hot;
use super::site::Does;
use crate::Status;
use crate::conditional::Precondition;
use crate::cors::{PREFLIGHT, is_preflight};
use crate::files::{Asked, Facts, Found, Representation, Step, asked, step};
use crate::page;
use crate::wire::path::{FilePath, NoFile};
use crate::wire::{Framing, Method, RequestHead};

impl Desk<'_> {
    /// Answers a request that needs a look at the disk. `normal` is its path in canonical form, `key` the
    /// same as it came.
    #[cold]
    pub(super) fn cold(
        &mut self,
        answer: &Answer<'_, '_>,
        key: &[u8],
        normal: Result<Cow<'_, str>, NoFile>,
    ) -> Option<Next> {
        let path = match normal {
            Ok(path) => path,
            Err(NoFile::Outside) => {
                self.status(answer, Status::NOT_FOUND, None);
                return answer.then().next();
            }
            Err(NoFile::Refused(refusal)) => {
                self.counts.count_refusal(refusal.rule);
                self.explain(answer, refusal.status(), &refusal.to_string());
                return answer.then().next();
            }
        };
        let route = answer.place.route;
        let query = answer.head.target.resource().and_then(|resource| resource.query);
        if let Some(status) = self.refusal(&answer.place, answer.head) {
            self.status(answer, status, None);
        } else if self.is_preflight(&answer.place, answer.head) {
            self.status(answer, PREFLIGHT, None);
        } else {
            match &route.does {
                _ if answer.head.method == Method::Options => self.status(answer, Status::NO_CONTENT, None),
                Does::Files(folder) => return self.file(answer, key, &path, folder),
                Does::Page => match page::find(&path) {
                    Some((representation, body)) => self.fresh(answer, key, representation, body),
                    None => self.status(answer, Status::NOT_FOUND, None),
                },
                Does::Redirect { to, status } => {
                    let location = route.location(to, &path, query);
                    self.status(answer, Status::new(*status), Some(("Location", &location)));
                }
                Does::Respond { text, status } => self.text(answer, Status::new(*status), text),
                // It takes no part in what is answered here.
                Does::Handler(_) => self.status(answer, Status::NOT_FOUND, None),
            }
        }
        answer.then().next()
    }

    /// The status for a request that its route does not take.
    pub(super) fn refusal(&self, place: &Place<'_>, head: &RequestHead<'_>) -> Option<Status> {
        let route = place.route;
        if route.methods.is_some_and(|methods| !methods.has(head.method)) {
            return Some(Status::METHOD_NOT_ALLOWED);
        }
        match (route.body_octets_max, head.body) {
            (Some(octets_max), Framing::Length(octets)) if octets > octets_max => {
                Some(Status::CONTENT_TOO_LARGE)
            }
            _ => None,
        }
    }

    /// Whether a request asks for leave to make another from a page of another origin.
    pub(super) fn is_preflight(&self, place: &Place<'_>, head: &RequestHead<'_>) -> bool {
        place.route.cors.is_some() && is_preflight(head)
    }

    fn file(&mut self, answer: &Answer<'_, '_>, key: &[u8], path: &str, folder: &Folder) -> Option<Next> {
        let rest = path.strip_prefix(&folder.base).unwrap_or(path);
        match asked(rest) {
            Asked::File(name) => {
                return match self.look(answer, key, path, folder, &name) {
                    Ok(next) => next,
                    Err(error) => {
                        self.trouble(answer, &error);
                        answer.then().next()
                    }
                };
            }
            Asked::Nothing => self.status(answer, Status::NOT_FOUND, None),
            Asked::Refused(refusal) => {
                self.counts.count_refusal(refusal.rule);
                self.explain(answer, refusal.status(), &refusal.to_string());
            }
        }
        answer.then().next()
    }

    /// Follows a name to a file, through the index of a folder.
    fn look(
        &mut self,
        answer: &Answer<'_, '_>,
        key: &[u8],
        path: &str,
        folder: &Folder,
        name: &FilePath,
    ) -> io::Result<Option<Next>> {
        let query = answer.head.target.resource().and_then(|resource| resource.query);
        let (found, file) = folder.root.find(&name.name)?;
        match (step(&folder.base, name, query, found), file) {
            (Step::Send(facts), Some(file)) => return self.found(answer, key, path, file, facts, &name.name),
            (Step::Index, _) => {
                for index in &folder.index {
                    let name = name.join(index);
                    match folder.root.find(&name)? {
                        (Found::File(facts), Some(file)) => {
                            return self.found(answer, key, path, file, facts, &name);
                        }
                        (Found::Forbidden, _) => {
                            self.without(answer, key, Status::FORBIDDEN);
                            return Ok(answer.then().next());
                        }
                        _ => {}
                    }
                }
                self.without(answer, key, Status::NOT_FOUND);
            }
            (Step::Redirect(location), _) => {
                self.status(answer, Status::MOVED_PERMANENTLY, Some(("Location", &location)));
            }
            (Step::Forbidden, _) => self.without(answer, key, Status::FORBIDDEN),
            (Step::Nothing | Step::Send(_), _) => self.without(answer, key, Status::NOT_FOUND),
        }
        Ok(answer.then().next())
    }

    fn without(&mut self, answer: &Answer<'_, '_>, key: &[u8], status: Status) {
        self.hot.remove(answer.place.site.number, key);
        self.status(answer, status, None);
    }

    fn found(
        &mut self,
        answer: &Answer<'_, '_>,
        key: &[u8],
        _path: &str,
        file: File,
        facts: Facts,
        name: &str,
    ) -> io::Result<Option<Next>> {
        if let Some(hot) = self.hot.find(answer.place.site.number, key)
            && hot.confirm(&facts, self.now)
        {
            send_hot(answer, hot, self.out, self.dates, self.counts, self.watching);
            return Ok(answer.then().next());
        }
        let representation = Representation::new(name, facts);
        if facts.octets <= FILE_OCTETS_MAX {
            let mut body = Vec::new();
            read_whole(&file, facts.octets, &mut body)?;
            self.fresh(answer, key, representation, &body);
            return Ok(answer.then().next());
        }
        self.hot.remove(answer.place.site.number, key);
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
        let mut writer = self.begin(answer, status);
        representation.write_fields(&mut writer, status, wall);
        self.head_end = answer.finish(&mut writer);
        self.sent(answer, status, start);
        if status != Status::OK || !answer.with_body() {
            return Ok(answer.then().next());
        }
        let stream = FileStream { file, octets: facts.octets, then: answer.then(), cause: answer.cause };
        Ok(Some(Next::Stream(Box::new(stream))))
    }

    /// Sends what was just read and keeps it.
    fn fresh(&mut self, answer: &Answer<'_, '_>, key: &[u8], representation: Representation, body: &[u8]) {
        let route = (answer.place.number, &**answer.place.route);
        let mut hot = Hot::new(representation, &self.setup.server_name, body, route, self.dates, self.now);
        send_hot(answer, &mut hot, self.out, self.dates, self.counts, self.watching);
        self.hot.insert(answer.place.site.number, key, hot);
    }

    fn trouble(&mut self, answer: &Answer<'_, '_>, error: &io::Error) {
        tracing::warn!(target = %answer.head.target_octets.escape_ascii(), %error, "a file could not be read");
        self.status(answer, Status::SERVICE_UNAVAILABLE, None);
    }
}
