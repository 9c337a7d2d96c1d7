//! The asking side. It blocks: a command does one thing at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::socket::{SOCKET_NAME, connect};
use crate::exit::Exit;
use crate::failure::Failure;

/// Longest wait for an answer that is not a stream.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Longest answer head, in octets.
const HEAD_OCTETS_MAX: u64 = 16 * 1024;
/// Longest answer that is not a stream, in octets.
const BODY_OCTETS_MAX: u64 = 256 * 1024 * 1024;

/// A server that runs on a data folder.
#[derive(Debug)]
pub(crate) struct Client {
    folder: PathBuf,
}

impl Client {
    /// The server that runs on the data folder; `None` when none does.
    ///
    /// # Errors
    /// When there may be one but we may not speak to it.
    pub(crate) fn find(folder: &Path) -> Result<Option<Self>, Failure> {
        match connect(folder) {
            Ok(_) => Ok(Some(Self { folder: folder.to_owned() })),
            // A socket without a listener was left behind by a server that was killed.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(error) => Err(Failure::file("open the control socket", &folder.join(SOCKET_NAME), &error)),
        }
    }

    /// The server that has to run for a command to make sense.
    ///
    /// # Errors
    /// [`Exit::NotRunning`] when there is none.
    pub(crate) fn running(folder: &Path) -> Result<Self, Failure> {
        Self::find(folder)?.ok_or_else(|| {
            Failure::new("the server is not running")
                .why(format!("nobody listens on {}", folder.join(SOCKET_NAME).display()))
                .fix("start it with `doorway up`, or name its data folder with --data or --config")
                .exit(Exit::NotRunning)
        })
    }

    /// Asks and returns the JSON answer.
    ///
    /// # Errors
    /// What the server says, or that it went away.
    pub(crate) fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.document(self.send(method, target, body, Some(ANSWER_WAIT))?)
    }

    /// As [`Client::ask`], for what takes as long as it takes: a reload of large zones, a copy of a whole store.
    ///
    /// # Errors
    /// As for [`Client::ask`].
    pub(crate) fn ask_for_long(
        &self,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.document(self.send(method, target, body, None)?)
    }

    fn document(&self, answer: impl BufRead) -> Result<Value, Failure> {
        let mut text = String::new();
        answer.take(BODY_OCTETS_MAX).read_to_string(&mut text).map_err(|error| self.lost(&error))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| self.lost(&io::Error::other(error)))
    }

    /// Asks and returns the answer's body as it comes, for as long as it comes.
    ///
    /// # Errors
    /// As for [`Client::ask`].
    pub(crate) fn stream(&self, target: &str) -> Result<impl BufRead + use<>, Failure> {
        self.send("GET", target, None, None)
    }

    fn send(
        &self,
        method: &str,
        target: &str,
        body: Option<&Value>,
        wait: Option<Duration>,
    ) -> Result<BufReader<UnixStream>, Failure> {
        let mut answer = self.exchange(method, target, body, wait).map_err(|error| self.lost(&error))?;
        let status = read_head(&mut answer).map_err(|error| self.lost(&error))?;
        if status < 400 {
            return Ok(answer);
        }
        let mut text = String::new();
        answer.take(HEAD_OCTETS_MAX).read_to_string(&mut text).map_err(|error| self.lost(&error))?;
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let what =
            told["what"].as_str().map_or_else(|| format!("the server answered {status}"), str::to_owned);
        let exit = if status < 500 { Exit::Wrong } else { Exit::Failed };
        Err(Failure::new(what).why(word("why")).fix(word("fix")).exit(exit))
    }

    // HTTP/1.0 asks for a body that ends with the connection, so there are no chunks to undo.
    fn exchange(
        &self,
        method: &str,
        target: &str,
        body: Option<&Value>,
        wait: Option<Duration>,
    ) -> io::Result<BufReader<UnixStream>> {
        let mut stream = connect(&self.folder)?;
        stream.set_read_timeout(wait)?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} {target} HTTP/1.0\r\nHost: localhost\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        Ok(BufReader::new(stream))
    }

    fn lost(&self, error: &io::Error) -> Failure {
        Failure::new("the server did not finish its answer")
            .why(format!("{}: {error}", self.folder.join(SOCKET_NAME).display()))
            .fix("look at its log, and try again")
    }
}

/// Reads the status line and the fields (RFC 9112 §4, §5) and returns the status code.
fn read_head(answer: &mut impl BufRead) -> io::Result<u16> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1");
    let mut head = answer.take(HEAD_OCTETS_MAX);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).ok_or_else(malformed)?;
    let status = status.parse().map_err(|_| malformed())?;
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(malformed());
        }
        if line.trim_end().is_empty() {
            return Ok(status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};

    /// A folder of its own, gone with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("doorway-client-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// Answers one request with `answer` and returns the request. The first connection is the
        /// one by which a client looks whether anybody is there.
        fn serve(&self, answer: &'static str) -> JoinHandle<String> {
            let listener = UnixListener::bind(self.0.join(SOCKET_NAME)).unwrap();
            thread::spawn(move || {
                drop(listener.accept().unwrap());
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") {
                    reader.read_line(&mut request).unwrap();
                }
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
                request
            })
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let folder = Folder::new("answer");
        let server = folder.serve("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"pid\": 7}");
        let client = Client::find(&folder.0).unwrap().unwrap();
        assert_eq!(client.ask("GET", "/v1/status", None).unwrap()["pid"], 7);
        assert!(server.join().unwrap().starts_with("GET /v1/status HTTP/1.0\r\n"));
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let folder = Folder::new("refusal");
        let answer =
            "HTTP/1.1 409 Conflict\r\n\r\n{\"what\": \"there is a user ann\", \"fix\": \"take another\"}";
        let server = folder.serve(answer);
        let client = Client::find(&folder.0).unwrap().unwrap();
        let failure = client.ask("POST", "/v1/users", Some(&serde_json::json!({}))).unwrap_err();
        assert_eq!(failure.what, "there is a user ann");
        assert_eq!(failure.fix, "take another");
        assert_eq!(failure.exit, Exit::Wrong);
        server.join().unwrap();
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_no_server() {
        let folder = Folder::new("left");
        assert!(Client::find(&folder.0).unwrap().is_none());
        drop(UnixListener::bind(folder.0.join(SOCKET_NAME)).unwrap());
        assert!(Client::find(&folder.0).unwrap().is_none());
        assert_eq!(Client::running(&folder.0).unwrap_err().exit, Exit::NotRunning);
    }

    #[test]
    fn an_answer_that_is_not_http_is_refused_at_every_length() {
        let whole = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        assert_eq!(read_head(&mut whole.as_bytes()).unwrap(), 200);
        for end in 0..whole.len() - 2 {
            assert!(read_head(&mut &whole.as_bytes()[..end]).is_err(), "{end}");
        }
        assert!(read_head(&mut "SSH-2.0-x\r\n\r\n".as_bytes()).is_err());
    }
}
