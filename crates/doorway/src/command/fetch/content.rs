//! What is sent along: a text, a file that is read while it goes out, or a form of texts and files
//! (RFC 7578).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use doorway_http::io::client::Content;
use doorway_net::web::{Body, BodyStream, Bytes};

use crate::cli::FetchArgs;
use crate::exit::Exit;
use crate::failure::Failure;

/// Octets of a file that are read at a time.
const PIECE_OCTETS: u64 = 64 * 1024;

/// A piece of the content that is sent.
#[derive(Debug, Clone)]
enum Part {
    Text(Bytes),
    File(PathBuf),
}

/// The content of requests, which is opened anew for each.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    parts: Vec<Part>,
    /// Its media type, if it is known.
    pub(super) media_type: Option<String>,
}

impl Sent {
    /// What the command line asks for; `boundary` is a number that nobody can know beforehand.
    pub(super) fn new(args: &FetchArgs, boundary: u64) -> Result<Option<Self>, Failure> {
        let urlencoded = Some("application/x-www-form-urlencoded".to_owned());
        let sent = match (&args.data, &args.upload) {
            (Some(data), _) => match data.strip_prefix('@') {
                Some(path) => Self { parts: vec![file(Path::new(path))?], media_type: urlencoded },
                None => Self { parts: vec![Part::Text(data.clone().into())], media_type: urlencoded },
            },
            (None, Some(path)) => Self { parts: vec![file(path)?], media_type: None },
            (None, None) if args.forms.is_empty() => return Ok(None),
            (None, None) => form(&args.forms, boundary)?,
        };
        Ok(Some(sent))
    }

    /// The content, read from the files each time that it is wanted.
    pub(super) fn content(&self) -> Content {
        if let [Part::Text(text)] = &self.parts[..] {
            return Content::Whole(text.clone());
        }
        let parts = self.parts.clone();
        Content::Opened(Box::new(move || {
            let (mut left, mut length) = (VecDeque::new(), Some(0));
            for part in &parts {
                let octets = match part {
                    Part::Text(text) => {
                        left.push_back(Open::Text(text.clone()));
                        Some(text.len() as u64)
                    }
                    Part::File(path) => {
                        let file = File::open(path)?;
                        let facts = file.metadata()?;
                        left.push_back(Open::File(file));
                        facts.is_file().then_some(facts.len())
                    }
                };
                length = length.zip(octets).map(|(all, octets)| all + octets);
            }
            Ok((Body::Stream(Box::pin(Reading(left))), length))
        }))
    }
}

fn file(path: &Path) -> Result<Part, Failure> {
    match File::open(path).and_then(|file| file.metadata()) {
        Ok(facts) if facts.is_dir() => Err(Failure::new(format!("{} is a folder", path.display()))
            .fix("name a file; each is sent by itself")
            .exit(Exit::Wrong)),
        Ok(_) => Ok(Part::File(path.to_owned())),
        Err(error) => Err(Failure::file("read", path, &error)),
    }
}

fn form(fields: &[String], boundary: u64) -> Result<Sent, Failure> {
    let boundary = format!("doorway-{boundary:016x}");
    let mut parts = Vec::new();
    for field in fields {
        let Some((name, value)) = field.split_once('=') else {
            return Err(Failure::new(format!("`{field}` is no field of a form"))
                .fix("write it as name=value or name=@file")
                .exit(Exit::Wrong));
        };
        let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
        let value = match value.strip_prefix('@') {
            Some(path) => {
                let path = Path::new(path);
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                head.push_str(&format!(
                    "; filename=\"{}\"\r\nContent-Type: application/octet-stream",
                    quoted(&name)
                ));
                file(path)?
            }
            None => Part::Text(value.to_owned().into()),
        };
        head.push_str("\r\n\r\n");
        parts.extend([Part::Text(head.into()), value, Part::Text(Bytes::from_static(b"\r\n"))]);
    }
    parts.push(Part::Text(format!("--{boundary}--\r\n").into()));
    Ok(Sent { parts, media_type: Some(format!("multipart/form-data; boundary={boundary}")) })
}

/// A name as browsers write it between quotation marks.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// Content that was opened.
struct Reading(VecDeque<Open>);

enum Open {
    Text(Bytes),
    File(File),
}

impl BodyStream for Reading {
    fn poll_piece(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let file = match self.0.front_mut() {
                None => return Poll::Ready(None),
                Some(Open::File(file)) => file,
                Some(Open::Text(text)) => {
                    let text = std::mem::take(text);
                    self.0.pop_front();
                    return Poll::Ready(Some(Ok(text)));
                }
            };
            let mut piece = Vec::new();
            match file.take(PIECE_OCTETS).read_to_end(&mut piece) {
                Ok(0) => drop(self.0.pop_front()),
                Ok(_) => return Poll::Ready(Some(Ok(piece.into()))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_its_fields_between_boundaries() {
        let fields = ["a=1=2".to_owned(), "b\"=".to_owned()];
        let sent = form(&fields, 5).unwrap();
        let text: Vec<u8> = sent
            .parts
            .iter()
            .flat_map(|part| match part {
                Part::Text(text) => text.to_vec(),
                Part::File(_) => unreachable!("no field names a file"),
            })
            .collect();
        let expected = "--doorway-0000000000000005\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1=2\r\n\
            --doorway-0000000000000005\r\nContent-Disposition: form-data; name=\"b%22\"\r\n\r\n\r\n\
            --doorway-0000000000000005--\r\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        let media_type = "multipart/form-data; boundary=doorway-0000000000000005";
        assert_eq!(sent.media_type.as_deref(), Some(media_type));
        assert_eq!(form(&["nothing".to_owned()], 5).unwrap_err().exit, Exit::Wrong);
    }
}
