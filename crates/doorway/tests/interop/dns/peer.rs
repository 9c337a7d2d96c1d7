//! Name servers of other people: BIND, NSD and Knot, each in a test's folder and on a port of its own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::folder::Folder;
use crate::programs;
use crate::questions::NOERROR;
use crate::server::PATIENCE;

/// The algorithm of the key `sec1`, which all of them know.
pub(crate) const ALGORITHM: &str = "hmac-sha256";
/// Its secret, in base64.
pub(crate) const SECRET: &str = "YSBzZWNyZXQgYmV0d2VlbiB0d28=";

/// How long an answer may take before the question is asked again.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long to wait before something that has not happened is looked for again.
const STEP: Duration = Duration::from_millis(50);

/// A server of somebody else, ended when it is dropped.
pub(crate) struct Peer {
    child: Child,
    log: PathBuf,
    pub(crate) port: u16,
}

impl Peer {
    /// BIND, with `zone` between the braces of its zone.
    pub(crate) fn bind(folder: &Folder, port: u16, name: &str, zone: &str) -> Self {
        let path = folder.path().display();
        let config = format!(
            "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
             recursion no; pid-file none; session-keyfile \"{path}/session.key\"; dnssec-validation no; \
             notify-delay 0; min-refresh-time 1; }};\ncontrols {{ }};\n\
             key sec1 {{ algorithm {ALGORITHM}; secret \"{SECRET}\"; }};\nzone \"{name}\" {{ {zone} }};\n"
        );
        folder.write("named.conf", config);
        Self::start("named", &["-g", "-c", "named.conf"], folder, port)
    }

    /// NSD, with `zone` as the lines of its zone.
    pub(crate) fn nsd(folder: &Folder, port: u16, name: &str, zone: &str) -> Self {
        let path = folder.path().display();
        let config = format!(
            "server:\n  ip-address: 127.0.0.1\n  port: {port}\n  username: \"\"\n  zonesdir: {path}\n  database: \"\"\n  \
             pidfile: {path}/nsd.pid\n  xfrdfile: {path}/xfrd.state\n  xfrdir: {path}\n  zonelistfile: {path}/zone.list\n  \
             minimal-responses: yes\n  rrl-ratelimit: 0\n  server-count: 1\n  verbosity: 2\n\
             remote-control:\n  control-enable: no\n\
             key:\n  name: sec1\n  algorithm: {ALGORITHM}\n  secret: \"{SECRET}\"\nzone:\n  name: {name}\n{zone}"
        );
        folder.write("nsd.conf", config);
        Self::start("nsd", &["-d", "-c", "nsd.conf"], folder, port)
    }

    /// Knot, with `zone` as the sections behind its key.
    pub(crate) fn knot(folder: &Folder, port: u16, zone: &str) -> Self {
        let path = folder.path().display();
        std::fs::create_dir_all(folder.path().join("knot")).unwrap();
        let config = format!(
            "server:\n  listen: 127.0.0.1@{port}\n  rundir: {path}\n  udp-workers: 1\n  tcp-workers: 1\n\
             database:\n  storage: {path}/knot\nlog:\n  - target: stderr\n    any: debug\n\
             key:\n  - id: sec1\n    algorithm: {ALGORITHM}\n    secret: {SECRET}\n{zone}"
        );
        folder.write("knot.conf", config);
        Self::start("knotd", &["-c", "knot.conf"], folder, port)
    }

    fn start(program: &str, words: &[&str], folder: &Folder, port: u16) -> Self {
        let log = folder.path().join(format!("{program}.log"));
        let out = File::create(&log).unwrap();
        let child = Command::new(programs::find(program))
            .args(words)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Self { child, log, port }
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it answers for `name`.
    pub(crate) fn until(&self, name: &str) {
        until(self.port, name, || self.log());
    }

    /// Waits until its log has a line with all of these words.
    pub(crate) fn until_it_says(&self, words: &[&str]) {
        wait(|| says(&self.log(), words), || format!("no line with {words:?} in\n{}", self.log()));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // NSD has children, which it ends when it is asked to end.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Whether a line of `log` has all of these words.
pub(crate) fn says(log: &str, words: &[&str]) -> bool {
    log.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

/// Waits until `done`; when it takes too long, `told` is shown.
pub(crate) fn wait(mut done: impl FnMut() -> bool, told: impl Fn() -> String) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{}", told());
        std::thread::sleep(STEP);
    }
}

/// Waits until the server at `port` answers NOERROR for `name`; when it takes too long, `log` is shown.
pub(crate) fn until(port: u16, name: &str, log: impl Fn() -> String) {
    let found = || rcode(port, name) == Some(NOERROR);
    wait(found, || format!("port {port} does not answer for {name}\n{}", log()));
}

/// The code that a question about an address of `name` gets; `None` when no answer comes.
pub(crate) fn rcode(port: u16, name: &str) -> Option<u8> {
    let mut query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend(b"\0\0\x01\0\x01");
    ask(port, &query).map(|reply| reply[3] & 15)
}

/// The answer to one datagram; `None` when none comes.
pub(crate) fn ask(port: u16, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    socket.connect(at(port)).unwrap();
    socket.send(query).ok()?;
    let mut room = [0; 4096];
    let count = socket.recv(&mut room).ok()?;
    (count >= 12 && room[..2] == query[..2]).then(|| room[..count].to_vec())
}

/// The address on this machine with this port.
pub(crate) fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port that neither UDP nor TCP uses, below those that the system gives to clients.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let place = std::process::id().wrapping_mul(64).wrapping_add(NEXT.fetch_add(1, Relaxed));
        let port = 10_000 + u16::try_from(place % 20_000).unwrap();
        if UdpSocket::bind(at(port)).is_ok() && TcpListener::bind(at(port)).is_ok() {
            return port;
        }
    }
}
