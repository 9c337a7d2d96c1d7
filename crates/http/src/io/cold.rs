//! Requests that need a look at the disk, and those that their route does not take.

use std::borrow::Cow;
use std::fs::File;
use std::io;

use super::batch::{Answer, Desk, Next, Place};
use super::body::{DIRECT_OCTETS_MIN, FileStream, Source};
use super::compress;
use super::files::read_whole;
use super::folder::Folder;
use super::hot::{FILE_OCTETS_MAX, Hot, Ready, SETTLED};
use super::reply::Sending;
use super::site::Does;
use crate::Status;
use crate::coding::Coding;
use crate::cors::{PREFLIGHT, is_preflight};
use crate::files::{Asked, Facts, Found, Step, asked, step};
use crate::listing::{self, Order};
use crate::media_type::is_compressible;
use crate::page;
use crate::range::Span;
use crate::representation::{Representation, Selected};
use crate::wire::path::{FilePath, NoFile};
use crate::wire::response::Form;
use crate::wire::{Framing, Method, RequestHead, Version};

/// A file that was found and is open.
struct Opened<'a> {
    file: File,
    facts: Facts,
    /// Its name below the root, for the media type.
    name: &'a str,
}

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
                    Some((representation, body)) => self.page(answer, key, representation, body),
                    None => self.status(answer, Status::NOT_FOUND, None),
                },
                Does::Redirect { to, status } => {
                    let location = route.location(to, &path, query);
                    self.status(answer, Status::new(*status), Some(("Location", &location)));
                }
                Does::Respond { text, status } => self.text(answer, Status::new(*status), text),
                // It takes no part in what is answered here.
                Does::Handler(_) | Does::Cached(_) => self.status(answer, Status::NOT_FOUND, None),
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
        let status = match (step(&folder.base, name, query, found), file) {
            (Step::Send(facts), Some(file)) => {
                let file = Opened { file, facts, name: &name.name };
                return self.found(answer, key, path, folder, file);
            }
            (Step::Index, _) => return self.index(answer, key, path, folder, name),
            (Step::Redirect(location), _) => {
                self.status(answer, Status::MOVED_PERMANENTLY, Some(("Location", &location)));
                return Ok(answer.then().next());
            }
            (Step::Forbidden, _) => Status::FORBIDDEN,
            (Step::Nothing | Step::Send(_), _) => Status::NOT_FOUND,
        };
        self.without(answer, key, folder, status)
    }

    /// Answers for a folder: with its index, or with the list of its files.
    fn index(
        &mut self,
        answer: &Answer<'_, '_>,
        key: &[u8],
        path: &str,
        folder: &Folder,
        name: &FilePath,
    ) -> io::Result<Option<Next>> {
        for index in &folder.index {
            let name = name.join(index);
            match folder.root.find(&name)? {
                (Found::File(facts), Some(file)) => {
                    return self.found(answer, key, path, folder, Opened { file, facts, name: &name });
                }
                (Found::Forbidden, _) => return self.without(answer, key, folder, Status::FORBIDDEN),
                _ => {}
            }
        }
        if !folder.listing {
            return self.without(answer, key, folder, Status::NOT_FOUND);
        }
        self.hot.remove(answer.place.site.number, key);
        let (mut items, more) = folder.root.list(&name.name, listing::ITEMS_MAX)?;
        let query = answer.head.target.resource().and_then(|resource| resource.query);
        let order = Order::read(query);
        listing::sort(&mut items, order);
        if listing::wants_json(answer.head.fields.all(b"accept")) {
            self.made(answer, Status::OK, "application/json", listing::json(&items).as_bytes());
        } else {
            let page = listing::html(name, &folder.base, &items, order, more);
            self.made(answer, Status::OK, "text/html; charset=utf-8", page.as_bytes());
        }
        Ok(answer.then().next())
    }

    /// Answers for what is not there: with the file that stands for such, or with a status.
    fn without(
        &mut self,
        answer: &Answer<'_, '_>,
        key: &[u8],
        folder: &Folder,
        status: Status,
    ) -> io::Result<Option<Next>> {
        self.hot.remove(answer.place.site.number, key);
        if status == Status::NOT_FOUND
            && let Some(name) = &folder.fallback
            && let (Found::File(facts), Some(file)) = folder.root.find(name)?
        {
            // All such paths share one entry; no path as it comes has this key.
            let key = [b"\0", name.as_bytes()].concat();
            let path = format!("{}/{name}", folder.base);
            return self.found(answer, &key, &path, folder, Opened { file, facts, name });
        }
        self.status(answer, status, None);
        Ok(answer.then().next())
    }

    /// Answers with a file, in the coding that the client wants most.
    fn found(
        &mut self,
        answer: &Answer<'_, '_>,
        key: &[u8],
        path: &str,
        folder: &Folder,
        opened: Opened<'_>,
    ) -> io::Result<Option<Next>> {
        let Opened { file, facts, name } = opened;
        let site = answer.place.site.number;
        let mut beside = Vec::new();
        let mut beside_files = Vec::new();
        for coding in &folder.precompressed {
            let name = format!("{name}.{}", coding.extension());
            if let (Found::File(facts), Some(file)) = folder.root.find(&name)? {
                beside.push((*coding, facts));
                beside_files.push((*coding, file, facts));
            }
        }
        if let Some(hot) = self.hot.find(site, key)
            && hot.confirm(&facts, &beside, self.now)
        {
            let Self { out, form, dates, counts, watching, boundaries, lines, .. } = self;
            let mut sending = Sending { out, form: *form, dates, counts, watching, boundaries, lines };
            if let Some(content) = sending.hot(answer, hot) {
                self.head_end = content;
                return Ok(answer.then().next());
            }
        }
        let mut plain = Representation::new(name, facts);
        let compresses = compress::OCTETS_MIN <= facts.octets
            && facts.octets <= compress::OCTETS_MAX
            && is_compressible(plain.media_type);
        let made: &[Coding] = if compresses { &folder.compress } else { &[] };
        let mut codings: Vec<Coding> = beside.iter().map(|(coding, _)| *coding).collect();
        codings.extend(made.iter().filter(|coding| !beside.iter().any(|(there, _)| there == *coding)));
        plain.varies = !codings.is_empty();
        // What only some may see is not for a cache that others share (RFC 9111 §5.2.2.7).
        let private = || answer.place.route.gate.as_ref().map(|_| "private".into());
        plain.cache_control = folder.cache_control(path).or_else(private);
        let coding = answer.coding(&codings);
        if facts.octets <= FILE_OCTETS_MAX {
            let kept =
                self.hot.remove(site, key).filter(|hot| hot.is_fresh(self.now) && hot.is_of(&facts, &beside));
            let mut hot = match kept {
                Some(hot) => hot,
                None => {
                    let mut body = Vec::new();
                    read_whole(&file, facts.octets, &mut body)?;
                    let ready = self.ready(answer, plain.clone(), &body);
                    Hot::new(ready, codings, beside, answer.place.number, self.dates, self.now)
                }
            };
            if let Some(coding) = coding
                && let Some(ready) = self.coded(answer, coding, &plain, &mut hot, &beside_files)?
            {
                hot.add(coding, ready);
            }
            let Self { out, form, dates, counts, watching, boundaries, lines, .. } = self;
            let mut sending = Sending { out, form: *form, dates, counts, watching, boundaries, lines };
            let sent = sending.hot(answer, &mut hot);
            self.hot.insert(site, key, hot);
            if let Some(content) = sent {
                self.head_end = content;
                return Ok(answer.then().next());
            }
        } else {
            self.hot.remove(site, key);
        }
        // Too long to be kept: it is sent from the disk.
        let there = coding.and_then(|coding| {
            let place = beside_files.iter().position(|(of, ..)| *of == coding)?;
            Some(beside_files.swap_remove(place))
        });
        match (coding, there) {
            (Some(coding), Some((_, file, facts))) => {
                self.stream(answer, file, &plain.coded(coding, facts, Some(facts.octets)))
            }
            (Some(coding), None) if self.may_have_no_length(answer) => {
                self.stream(answer, file, &plain.coded(coding, facts, None))
            }
            _ => self.stream(answer, file, &plain),
        }
    }

    /// Whether a response may leave its length open: not for an HTTP/1.0 client, which would have to take the
    /// connection's end for it, and not where part of it is wanted.
    fn may_have_no_length(&self, answer: &Answer<'_, '_>) -> bool {
        let knows_chunks = answer.head.version != Version::Http10;
        knows_chunks && !(answer.head.conditional && answer.head.fields.first(b"range").is_some())
    }

    /// The response in `coding`, from the file beside or made now; `None` when it is too long to be kept.
    fn coded(
        &self,
        answer: &Answer<'_, '_>,
        coding: Coding,
        plain: &Representation,
        hot: &mut Hot,
        beside: &[(Coding, File, Facts)],
    ) -> io::Result<Option<Ready>> {
        let mut body = Vec::new();
        let facts = match beside.iter().find(|(of, ..)| *of == coding) {
            Some((.., facts)) if facts.octets > FILE_OCTETS_MAX => return Ok(None),
            Some((_, file, facts)) => {
                read_whole(file, facts.octets, &mut body)?;
                *facts
            }
            None => {
                let Some(ready) = hot.ready(None) else { return Ok(None) };
                body = compress::whole(coding, ready.content())?;
                plain.facts
            }
        };
        let representation = plain.coded(coding, facts, Some(body.len() as u64));
        Ok(Some(self.ready(answer, representation, &body)))
    }

    fn ready(&self, answer: &Answer<'_, '_>, representation: Representation, body: &[u8]) -> Ready {
        let own = &answer.place.route.fields;
        Ready::new(representation, &self.setup.server_name, body, own, self.dates)
    }

    /// Answers with a file that is sent from the disk.
    fn stream(
        &mut self,
        answer: &Answer<'_, '_>,
        file: File,
        representation: &Representation,
    ) -> io::Result<Option<Next>> {
        let wall = self.dates.wall();
        let selected = representation.select(answer.head, wall);
        let start = self.out.len();
        let number = self.boundaries.next_u64();
        let chunked = representation.octets.is_none() && self.form == Form::Http1 && answer.with_body();
        let mut writer = self.begin(answer, selected.status());
        let multipart = representation.begin_parts(&mut writer, &selected, number);
        representation.write_fields(&mut writer, &selected, wall);
        if chunked && selected == Selected::Whole {
            writer.field("Transfer-Encoding", b"chunked");
        }
        self.head_end = answer.finish(&mut writer);
        self.sent(answer, selected.status(), start);
        let octets = match &selected {
            Selected::Whole => representation.octets,
            Selected::Part(span) => Some(span.octets()),
            Selected::Parts(parts) => Some(parts.iter().map(Span::octets).sum()),
            _ => Some(0),
        };
        self.account(answer, selected.status(), octets);
        if !answer.with_body() {
            return Ok(answer.then().next());
        }
        let (then, cause) = (answer.then(), answer.cause);
        let facts = &representation.facts;
        // What changed just now may change again with no sign of it.
        let is_settled = self.dates.wall() - facts.modified > SETTLED;
        // A client on this machine gets the file's own pages: a quarter less work than a copy out of memory. Over a
        // pair of virtual cards it was twice the work.
        let is_plain = self.form == Form::Http1 && !self.watching.is_tls() && !self.watching.is_traced();
        let is_long = octets.is_some_and(|octets| octets >= DIRECT_OCTETS_MIN);
        let is_direct = is_plain && is_long && self.watching.is_local();
        let kept = is_settled && !is_direct;
        let source = match kept.then(|| self.contents.find(&file, facts)).transpose()?.flatten() {
            Some(content) => Source::Memory(content),
            None => Source::File(file),
        };
        let stream = match (selected, multipart) {
            (Selected::Whole, _) => match (representation.coding, representation.octets) {
                (Some(coding), None) => {
                    FileStream::compressed(source, representation.facts.octets, coding, then, cause)?
                }
                (_, octets) => {
                    let end = octets.unwrap_or(representation.facts.octets);
                    FileStream::part(source, Span { first: 0, end }, then, cause)
                }
            },
            (Selected::Part(span), _) => FileStream::part(source, span, then, cause),
            (Selected::Parts(parts), Some(multipart)) => {
                FileStream::parts(source, multipart.heads, &parts, multipart.end, then, cause)
            }
            _ => return Ok(answer.then().next()),
        };
        Ok(Some(Next::Stream(Box::new(stream))))
    }

    /// Sends the built-in page and keeps it.
    fn page(&mut self, answer: &Answer<'_, '_>, key: &[u8], representation: Representation, body: &[u8]) {
        let ready = self.ready(answer, representation, body);
        let mut hot = Hot::new(ready, Vec::new(), Vec::new(), answer.place.number, self.dates, self.now);
        let Self { out, form, dates, counts, watching, boundaries, lines, .. } = self;
        let mut sending = Sending { out, form: *form, dates, counts, watching, boundaries, lines };
        if let Some(content) = sending.hot(answer, &mut hot) {
            self.head_end = content;
        }
        self.hot.insert(answer.place.site.number, key, hot);
    }

    fn trouble(&mut self, answer: &Answer<'_, '_>, error: &io::Error) {
        tracing::warn!(target = %answer.head.target_octets.escape_ascii(), %error, "a file could not be read");
        self.status(answer, Status::SERVICE_UNAVAILABLE, None);
    }
}
