//! Writers that add, change and remove users over the control socket until the server is gone.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::ledger::{Entry, Ledger};
use crate::server::{PATIENCE, Server};

/// Writers at once.
const WRITERS: usize = 8;

/// The writers of one round.
pub(crate) struct Load {
    writers: Vec<JoinHandle<Vec<Entry>>>,
}

impl Load {
    /// Starts the writers. Some begin with users of earlier rounds.
    pub(crate) fn start(server: &Server, round: usize, ledger: &Ledger) -> Self {
        let earlier: Vec<String> = ledger.present().map(str::to_owned).collect();
        let writers = (0..WRITERS).map(|writer| {
            let socket = socket(server);
            let own = earlier.iter().skip(writer).step_by(WRITERS).cloned().collect();
            thread::spawn(move || write(&socket, &format!("r{round}w{writer}"), own))
        });
        Self { writers: writers.collect() }
    }

    /// Waits until each writer has seen the end of the server, and returns what they saw.
    pub(crate) fn finish(self) -> Vec<Entry> {
        self.writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    }
}

fn socket(server: &Server) -> PathBuf {
    server.folder().path().join("data/control.sock")
}

/// Every user but the first, which the server makes for itself.
pub(crate) fn users(server: &Server) -> BTreeMap<String, Value> {
    let (status, mut list) = ask(&socket(server), "GET", "/v1/users", None).unwrap();
    assert_eq!(status, 200, "{list}");
    let users = list["users"].as_array_mut().unwrap().drain(..);
    let named = users.map(|user| (user["name"].as_str().unwrap().to_owned(), user));
    named.filter(|(name, _)| name != "admin").collect()
}

/// Removes one user it has, adds one, changes it, and so on until the server is gone.
fn write(socket: &PathBuf, prefix: &str, mut own: Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut change = |method: &str, target: &str, name: &str, body: Option<Value>| {
        entries.push(Entry::Asked(name.to_owned()));
        let Ok((status, answer)) = ask(socket, method, target, body) else { return false };
        assert_eq!(status, 200, "{method} {target}: {answer}");
        let state = (method != "DELETE").then_some(answer);
        entries.push(Entry::Acknowledged(name.to_owned(), state));
        true
    };
    for number in 0.. {
        if let Some(name) = own.pop()
            && !change("DELETE", &format!("/v1/users/{name}"), &name, None)
        {
            break;
        }
        let name = format!("{prefix}n{number}");
        let user = json!({ "name": name, "password": format!("first of {name}"), "roles": ["user"] });
        if !change("POST", "/v1/users", &name, Some(user)) {
            break;
        }
        let password = json!({ "password": format!("second of {name}") });
        if !change("PUT", &format!("/v1/users/{name}/password"), &name, Some(password)) {
            break;
        }
    }
    entries
}

/// One request over the control socket; an error when the server went away before its whole answer.
fn ask(socket: &PathBuf, method: &str, target: &str, body: Option<Value>) -> io::Result<(u16, Value)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(gone)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(gone)?;
    let body = serde_json::from_str(body).map_err(|_| gone())?;
    Ok((status, body))
}
