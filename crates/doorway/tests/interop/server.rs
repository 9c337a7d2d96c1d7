//! A server of the real program: started, waited for until it has printed its doors, stopped by SIGINT.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::folder::Folder;
use crate::programs::{self, Ran};

/// Far longer than anything here takes; what takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = "doorway.toml";
const LOG: &str = "stderr.txt";

/// What a server is to be started with.
pub(crate) struct Setup {
    pub(crate) folder: Folder,
    keys: BTreeMap<String, String>,
    launch: Option<Command>,
}

impl Setup {
    /// Every door on a port that the system chooses, and a folder `public` that is served.
    pub(crate) fn new() -> Self {
        let mut setup = Self { folder: Folder::new(), keys: BTreeMap::new(), launch: None };
        for key in ["dns.listen", "dns.listen_tls", "http.listen", "http.listen_tls", "metrics.listen"] {
            setup = setup.key(key, "\"127.0.0.1:0\"");
        }
        for door in ["smtp", "submission", "submissions", "pop3", "pop3s"] {
            setup = setup.key(&format!("mail.listen.{door}"), "\"127.0.0.1:0\"");
        }
        setup.key("http.root", "\"public\"").file("public/index.html", "<h1>Hello</h1>\n")
    }

    /// No config: what the program does by itself, in a folder without anything to serve.
    pub(crate) fn without_config() -> Self {
        Self { folder: Folder::new(), keys: BTreeMap::new(), launch: None }
    }

    /// Sets a key of the config, such as `http.root`, to a value written as in TOML.
    pub(crate) fn key(mut self, key: &str, value: &str) -> Self {
        self.keys.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Leaves a key out that was set before.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.keys.remove(key);
        self
    }

    /// Writes a file beside the config.
    pub(crate) fn file(self, name: &str, octets: impl AsRef<[u8]>) -> Self {
        self.folder.write(name, octets);
        self
    }

    /// Serves this zone file for `example.org`.
    pub(crate) fn zone(self, text: &str) -> Self {
        self.key("dns.zone", "[{ name = \"example.org\", file = \"example.org.zone\" }]")
            .file("example.org.zone", text)
    }

    /// Starts the program by another command, which is given the program and its words.
    pub(crate) fn launched_by(mut self, command: Command) -> Self {
        self.launch = Some(command);
        self
    }

    /// Where the config, if there is one, and the data are.
    fn places(&self) -> &'static [&'static str] {
        if self.keys.is_empty() { &["--data", "data"] } else { &["--data", "data", "--config", CONFIG] }
    }

    /// Writes the config, for commands before the start.
    pub(crate) fn write_config(&self) {
        if self.keys.is_empty() {
            return;
        }
        let lines: Vec<String> = self.keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        self.folder.write(CONFIG, lines.concat());
    }

    /// Starts the server and waits until it has told its doors.
    pub(crate) fn start(mut self) -> Server {
        self.write_config();
        let mut command = match self.launch.take() {
            Some(mut command) => {
                command.arg(env!("CARGO_BIN_EXE_doorway"));
                command
            }
            None => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_doorway"));
                command.env_clear().stdin(Stdio::null());
                command
            }
        };
        let mut child = command
            .arg("up")
            .args(self.places())
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(File::create(self.folder.path().join(LOG)).unwrap())
            .spawn()
            .unwrap();
        let lines = lines(&mut child);
        let mut server = Server { child: Some(child), setup: self, doors: Vec::new(), table: String::new() };
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with("`doorway status`") => break,
                Ok(line) => {
                    server.doors.extend(Door::read(&line));
                    server.table.push_str(&line);
                    server.table.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => panic!("no table of doors yet:\n{}", server.log()),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended:\n{}", server.log()),
            }
        }
        server
    }

    /// Starts the server in the belief that it will not come up, and returns what it said.
    pub(crate) fn refused(&self) -> Ran {
        self.write_config();
        let ran = self.doorway(&["up"]);
        assert_ne!(ran.status.code(), Some(0), "it came up\n{}", ran.text());
        ran
    }

    /// As [`Setup::refused`], without root's right to read and write what others may not.
    pub(crate) fn refused_as_a_mere_user(&self) -> Ran {
        self.write_config();
        let doorway = [&[env!("CARGO_BIN_EXE_doorway"), "up"], self.places()].concat();
        let limited = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
        let words = if rustix::process::geteuid().is_root() {
            [&limited[..], &doorway[..]].concat()
        } else {
            doorway
        };
        let ran = programs::run_in(self.folder.path(), words[0], &words[1..]);
        assert_ne!(ran.status.code(), Some(0), "it came up\n{}", ran.text());
        ran
    }

    /// Runs a command on the config and data folder.
    pub(crate) fn doorway(&self, words: &[&str]) -> Ran {
        let words = [words, self.places()].concat();
        programs::run_in(self.folder.path(), env!("CARGO_BIN_EXE_doorway"), &words)
    }
}

/// A row of the table that the server prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) service: String,
    pub(crate) protocol: String,
    pub(crate) address: SocketAddr,
    /// What to type to try it.
    pub(crate) command: String,
}

impl Door {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (service, protocol, address) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let command = words.collect::<Vec<_>>().join(" ");
        Some(Self { service: service.to_owned(), protocol: protocol.to_owned(), address, command })
    }
}

/// A running server. A test that fails takes it along.
pub(crate) struct Server {
    child: Option<Child>,
    setup: Setup,
    pub(crate) doors: Vec<Door>,
    /// What it printed when it was up.
    pub(crate) table: String,
}

impl Server {
    pub(crate) fn folder(&self) -> &Folder {
        &self.setup.folder
    }

    fn door(&self, wanted: impl Fn(&Door) -> bool) -> SocketAddr {
        self.doors.iter().find(|door| wanted(door)).unwrap_or_else(|| panic!("{}", self.table)).address
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.door(|door| door.command.contains("http://") && door.service == "http")
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.door(|door| door.command.contains("https://"))
    }

    pub(crate) fn dns(&self) -> SocketAddr {
        self.door(|door| door.service == "dns" && door.protocol == "udp")
    }

    pub(crate) fn dns_tls(&self) -> SocketAddr {
        self.door(|door| door.command.contains("+tls"))
    }

    /// The door for other mail servers.
    #[allow(dead_code, reason = "tests of mail part its doors; others want this one alone")]
    pub(crate) fn smtp(&self) -> SocketAddr {
        self.door(|door| door.service == "smtp")
    }

    pub(crate) fn metrics(&self) -> SocketAddr {
        self.door(|door| door.service == "metrics")
    }

    /// An HTTP address of `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http())
    }

    /// What it wrote on standard error so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.folder().read(LOG)).into_owned()
    }

    /// Sets a key of the config file anew. The server learns of it by a reload.
    pub(crate) fn set_key(&mut self, key: &str, value: &str) {
        self.setup.keys.insert(key.to_owned(), value.to_owned());
        self.setup.write_config();
    }

    /// Runs a command that asks this server.
    pub(crate) fn doorway(&self, words: &[&str]) -> Ran {
        self.setup.doorway(words)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let pid = Pid::from_child(&child);
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait().unwrap()));
        told.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = kill_process(pid, Signal::KILL);
            panic!("the server does not end:\n{}", self.log())
        })
    }

    /// Stops it as Ctrl-C does. It has to say so and exit with 0. Gives the folder back.
    pub(crate) fn stop(mut self) -> Setup {
        self.signal(Signal::INT);
        let status = self.wait();
        let log = self.log();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.lines().last().is_some_and(|line| line.starts_with("stopped")), "{log}");
        self.keep()
    }

    /// Ends it as `kill -9` does, and gives the folder back.
    pub(crate) fn kill(mut self) -> Setup {
        self.signal(Signal::KILL);
        self.wait();
        self.keep()
    }

    fn keep(&mut self) -> Setup {
        std::mem::replace(&mut self.setup, Setup::without_config())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Lines of standard output as they come, to its end.
fn lines(child: &mut Child) -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            // Nobody listens any more when the table is through; the pipe is emptied all the same.
            let _ = tell.send(line);
        }
    });
    told
}
