//! Requests that need a look at the disk, and those that a folder does not take.

use std::fs::File;
use std::io;

use super::batch::{Answer, Desk, FileStream, Next};
use super::files::{Looked, read_whole};
use super::hot::{FILE_OCTETS_MAX, Hot};
use super::reply::send_hot;
use crate::Status;
use crate::conditional::Precondition;
use crate::files::{Asked, Facts, Representation, asked};
use crate::page;
use crate::wire::path::FilePath;

impl Desk<'_> {
    /// Answers a request that needs a look at the disk.
    #[cold]
    pub(super) fn cold(&mut self, answer: &Answer<'_, '_>, path: &[u8]) -> Option<Next> {
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
        let Some(root) = self.setup.site.root() else {
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
        self.head_end = writer.connection(answer.head.version, answer.persistent).end();
        self.sent(answer, status, start);
        if status != Status::OK || !answer.with_body() {
            return Ok(answer.then().next());
        }
        let stream = FileStream { file, octets: facts.octets, then: answer.then(), cause: answer.cause };
        Ok(Some(Next::Stream(Box::new(stream))))
    }

    /// Sends what was just read and keeps it.
    fn fresh(&mut self, answer: &Answer<'_, '_>, path: &[u8], representation: Representation, body: &[u8]) {
        let mut hot = Hot::new(representation, &self.setup.server_name, body, self.dates, self.now);
        send_hot(answer, &mut hot, self.out, self.dates, self.counts, self.watching);
        self.hot.insert(path, hot);
    }

    fn trouble(&mut self, answer: &Answer<'_, '_>, error: &io::Error) {
        tracing::warn!(target = %answer.head.target_octets.escape_ascii(), %error, "a file could not be read");
        self.status(answer, Status::SERVICE_UNAVAILABLE, None);
    }
}
