//! The access log: each worker writes lines into memory of its own, and a task beside the workers takes
//! them to the file. No request waits for the disk; what finds no room is dropped and counted.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use doorway_net::World;

use super::server::Server;
use crate::access_log::{Line, LogFormat};

/// How often lines are taken to the file.
const EVERY: Duration = Duration::from_millis(200);
/// Octets of lines that a worker keeps at the most.
const OCTETS_MAX: usize = 4 * 1024 * 1024;

/// Lines of one worker that are not in the file yet.
#[derive(Debug)]
pub(super) struct Lines {
    /// The form of the lines; `None` when there is no log.
    pub(super) format: Option<LogFormat>,
    octets: Vec<u8>,
}

impl Lines {
    /// None yet, of this form.
    pub(super) fn new(format: Option<LogFormat>) -> Self {
        Self { format, octets: Vec::new() }
    }

    /// Adds a line; false when there is no room for it.
    pub(super) fn add(&mut self, format: LogFormat, line: &Line<'_>) -> bool {
        let before = self.octets.len();
        line.write(format, &mut self.octets);
        let fits = self.octets.len() <= OCTETS_MAX;
        if !fits {
            self.octets.truncate(before);
        }
        fits
    }

    /// Takes the lines, and leaves `empty` for those to come.
    pub(super) fn take(&mut self, empty: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.octets, empty)
    }
}

/// The file that lines go to.
#[derive(Debug, Default)]
pub(super) struct LogFile {
    open: Option<(PathBuf, File)>,
    /// Whether the operator knows that it cannot be written.
    told: bool,
}

impl LogFile {
    /// Opens the file anew when lines are next written: it may have been moved away.
    pub(super) fn reopen(&mut self) {
        self.open = None;
    }

    /// Appends lines to the file at `path`; false when they are lost.
    pub(super) fn append(&mut self, path: &Path, lines: &[u8]) -> bool {
        if self.open.as_ref().is_some_and(|(known, _)| known != path) {
            self.open = None;
        }
        let written = match &mut self.open {
            Some((_, file)) => file.write_all(lines),
            None => OpenOptions::new().append(true).create(true).open(path).and_then(|mut file| {
                let written = file.write_all(lines);
                self.open = Some((path.to_owned(), file));
                written
            }),
        };
        if let Err(error) = &written
            && !self.told
        {
            tracing::warn!(path = %path.display(), %error, "the access log cannot be written");
        }
        self.told = written.is_err();
        written.is_ok()
    }
}

/// Takes the lines of `server` to their file until it is gone.
pub(super) fn start(world: &World, server: &Arc<Server>) {
    let (own, server): (World, Weak<Server>) = (world.clone(), Arc::downgrade(server));
    world.spawn_background("http", async move {
        loop {
            own.sleep(EVERY).await;
            let Some(server) = server.upgrade() else { break };
            server.flush_access_log();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_drops_whole_lines() {
        let long = vec![b'x'; 60_000];
        let line = Line {
            remote: core::net::Ipv4Addr::LOCALHOST.into(),
            user: None,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
            method: b"GET",
            target: &long,
            protocol: "HTTP/1.1",
            host: b"",
            status: 200,
            octets: None,
            referer: None,
            user_agent: None,
        };
        let mut lines = Lines::new(Some(LogFormat::Common));
        let kept = (0..100).filter(|_| lines.add(LogFormat::Common, &line)).count();
        let octets = lines.take(Vec::new());
        assert!((60..75).contains(&kept) && octets.len() <= OCTETS_MAX, "{kept}");
        assert_eq!(octets.iter().filter(|octet| **octet == b'\n').count(), kept);
        assert!(octets.ends_with(b"\n") && lines.add(LogFormat::Common, &line));
    }
}
