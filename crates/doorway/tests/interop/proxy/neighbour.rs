//! Web servers and proxies of other people, each in a folder and on a port of its own.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, getgid, kill_process};

use crate::folder::Folder;
use crate::programs;
use crate::server::PATIENCE;

/// How long to wait before something that has not happened is looked for again.
const STEP: Duration = Duration::from_millis(20);
/// What every server has at `/large.bin`.
pub(crate) const LARGE_OCTETS: usize = 5_000_000;

/// A server of somebody else, ended when it is dropped.
pub(crate) struct Neighbour {
    pub(crate) name: &'static str,
    pub(crate) folder: Folder,
    pub(crate) port: u16,
    child: Child,
}

/// A port that nobody uses.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The octets of `/large.bin`.
pub(crate) fn large() -> Vec<u8> {
    (0..LARGE_OCTETS).map(|place| (place % 251) as u8).collect()
}

/// A folder `www` as every server has it.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("www/page.txt", "page\n");
    folder.write("www/large.bin", large());
    folder
}

impl Neighbour {
    /// Starts a program in a folder and waits until it listens. `PORT` in its words stands for the port.
    fn start(name: &'static str, folder: Folder, port: u16, program: &str, words: &[&str]) -> Self {
        let log = File::create(folder.path().join("output.txt")).unwrap();
        let mut child = Command::new(programs::find(program))
            .args(words)
            .current_dir(folder.path())
            .env_remove("http_proxy")
            .env_remove("https_proxy")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().unwrap();
            let told = String::from_utf8_lossy(&folder.read("output.txt")).into_owned();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{name} does not listen:\n{told}");
            std::thread::sleep(STEP);
        }
        Self { name, folder, port, child }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The lines of a file that it writes, once they do not become more.
    pub(crate) fn lines(&self, file: &str) -> Vec<String> {
        let read = || std::fs::read(self.folder.path().join(file)).unwrap_or_default();
        let (mut before, began) = (read(), Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(60));
            let now = read();
            if now == before || began.elapsed() > PATIENCE {
                return String::from_utf8_lossy(&now).lines().map(str::to_owned).collect();
            }
            before = now;
        }
    }

    /// nginx, with `more` in its server block; each request it gets becomes a line of `requests.txt`.
    pub(crate) fn nginx(more: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        let home = folder.path().display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {home}/{kind};"))
            .collect();
        let user = if geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log; {user} events {{}}
             http {{ log_format line '$request'; access_log {home}/requests.txt line;
             client_max_body_size 0; {temporary} server {{ listen 127.0.0.1:{port}; root {home}/www;
             location /up/ {{ root {home}; create_full_put_path on; dav_methods PUT DELETE; }} {more} }} }}"
        );
        folder.write("nginx.conf", config);
        let words = ["-c".to_owned(), folder.word("nginx.conf"), "-e".to_owned(), folder.word("error.log")];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Self::start("nginx", folder, port, "nginx", &words)
    }

    /// Apache, which takes uploads below `/up`.
    pub(crate) fn apache() -> Self {
        let (folder, port) = (folder(), free_port());
        let home = folder.path().display().to_string();
        std::fs::create_dir_all(folder.path().join("www/up")).unwrap();
        let modules: String = ["mpm_event", "authz_core", "dav", "dav_fs", "mime"]
            .iter()
            .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
            .collect();
        let owner = if geteuid().is_root() {
            format!("User #{}\nGroup #{}\n", 33, getgid().as_raw().max(33))
        } else {
            String::new()
        };
        let config = format!(
            "ServerRoot {home}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {home}/pid\n{modules}{owner}\
             ErrorLog {home}/error.log\nLogFormat \"%r\" line\nCustomLog {home}/requests.txt line\n\
             DocumentRoot {home}/www\nDavLockDB {home}/locks\nTypesConfig /etc/mime.types\n\
             <Directory {home}/www>\nRequire all granted\n</Directory>\n\
             <Directory {home}/www/up>\nDav On\n</Directory>\n"
        );
        folder.write("apache.conf", config);
        if geteuid().is_root() {
            programs::run("chown", &["-R", "33:33", &home]).done();
            programs::run("chmod", &["-R", "a+rwX", &home]).done();
        }
        let file = folder.word("apache.conf");
        Self::start("Apache", folder, port, "apache2", &["-X", "-f", &file])
    }

    /// Node with a script, which is given its port.
    pub(crate) fn node(script: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        folder.write("server.js", script);
        Self::start("Node", folder, port, "node", &["server.js", &port.to_string()])
    }

    /// gunicorn with an application in Python, called `app`.
    pub(crate) fn gunicorn(script: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        folder.write("app.py", script);
        let bind = format!("127.0.0.1:{port}");
        let words = ["--bind", &bind, "--bind", "unix:socket", "--workers", "1", "--threads", "4", "app:app"];
        Self::start("gunicorn", folder, port, "/usr/bin/gunicorn", &words)
    }

    /// A script in Python, which is given its port.
    pub(crate) fn python(script: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        folder.write("server.py", script);
        Self::start("Python", folder, port, "/usr/bin/python3", &["server.py", &port.to_string()])
    }

    /// HAProxy with these lines for its one server.
    pub(crate) fn haproxy(server: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        let config = format!(
            "defaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             frontend in\n  bind 127.0.0.1:{port}\n  default_backend out\nbackend out\n  {server}\n"
        );
        folder.write("haproxy.cfg", config);
        Self::start("HAProxy", folder, port, "haproxy", &["-db", "-f", "haproxy.cfg"])
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // Workers end with it only when it is asked to.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if began.elapsed() > Duration::from_secs(5) {
                let _ = self.child.kill();
            }
            std::thread::sleep(STEP);
        }
    }
}
