//! Where a body is written to: standard output, a file from its start, or the rest of a file that was begun.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use doorway_base::UnixTime;
use doorway_http::io::client::ClientError;
use doorway_http::wire::date::write_date;
use doorway_net::web::{Body, Fields};

use crate::failure::Failure;

/// Octets after which the progress is shown anew.
const SHOWN_OCTETS: u64 = 1 << 20;

/// The file that a body belongs in, and what it holds already.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Octets of an earlier attempt, and when they were written; nothing when it begins anew.
    begun: Option<(u64, UnixTime)>,
}

impl Place {
    /// The file at `path`, which is to be gone on with if it is there.
    pub(super) fn new(path: &Path, resume: bool) -> Result<Self, Failure> {
        let begun = match std::fs::metadata(path) {
            Ok(facts) if resume && facts.len() > 0 => {
                let written = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let written = written.unwrap_or_default().as_secs();
                Some((facts.len(), UnixTime::from_secs(written)))
            }
            Ok(facts) if facts.is_dir() => {
                return Err(Failure::new(format!("{} is a folder", path.display())).fix("name a file"));
            }
            Err(error) if resume && error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::file("read", path, &error));
            }
            _ => None,
        };
        Ok(Self { path: path.to_owned(), begun })
    }

    /// What a request says to get the rest, if the file was begun: and only if nothing was changed since, for
    /// else the two parts would not belong together (RFC 9110 §13.1.4).
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let Some((length, written)) = self.begun else { return Vec::new() };
        let date = String::from_utf8_lossy(&write_date(written)).into_owned();
        vec![("Range", format!("bytes={length}-")), ("If-Unmodified-Since", date)]
    }

    /// Opens the file for what came back: at its end for a part, empty for the whole. A refusal of the rest
    /// leaves it as it is, and is not written.
    fn open(&self, status: u16, fields: &Fields) -> io::Result<Option<(File, u64)>> {
        if let Some((length, _)) = self.begun {
            match status {
                206 => {
                    let range = fields.first("content-range").unwrap_or_default();
                    if !range.starts_with(&format!("bytes {length}-")) {
                        let text = "the server sent another part than was asked for";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                    }
                    return Ok(Some((OpenOptions::new().append(true).open(&self.path)?, length)));
                }
                400.. => return Ok(None),
                _ => {}
            }
        }
        Ok(Some((File::create(&self.path)?, 0)))
    }
}

/// Writes a body where it belongs, as it comes; returns how many octets it had. The response's status and fields say what it is.
pub(super) async fn stream(
    body: Body,
    place: Option<&Place>,
    (status, fields): (u16, &Fields),
    quiet: bool,
) -> Result<u64, ClientError> {
    let of_file = |error: io::Error| ClientError::Content(error);
    let (mut out, before): (Box<dyn Write + Send>, u64) = match place {
        Some(place) => match place.open(status, fields).map_err(of_file)? {
            Some((file, before)) => (Box::new(file), before),
            None => return Ok(0),
        },
        None => (Box::new(io::stdout()), 0),
    };
    let length: Option<u64> = fields.first("content-length").and_then(|text| text.parse().ok());
    let all = length.map(|length| length + before);
    let (mut done, mut shown) = (before, before);
    let shows = place.is_some() && !quiet && io::stderr().is_terminal();
    let mut put = |octets: &[u8]| -> Result<(), ClientError> {
        out.write_all(octets).map_err(of_file)?;
        done += octets.len() as u64;
        if shows && done - shown >= SHOWN_OCTETS {
            shown = done;
            progress(done, all);
        }
        Ok(())
    };
    match body {
        Body::Empty => {}
        Body::Whole(octets) => put(&octets)?,
        Body::Stream(mut body) => {
            while let Some(piece) = std::future::poll_fn(|cx| body.as_mut().poll_piece(cx)).await {
                put(&piece.map_err(ClientError::Lost)?)?;
            }
        }
    }
    if shown > before {
        progress(done, Some(done));
        let _ = writeln!(io::stderr());
    }
    out.flush().map_err(of_file)?;
    Ok(done - before)
}

fn progress(done: u64, all: Option<u64>) {
    let percent = all.map_or(String::new(), |all| format!(" {:3} %", done * 100 / all.max(1)));
    let _ = write!(io::stderr(), "\r{:8.1} MiB{percent}", done as f64 / f64::from(1 << 20));
}
