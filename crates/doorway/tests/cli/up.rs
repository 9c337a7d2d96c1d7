//! The server from start to stop, with the commands that ask it meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Folder, printed, user::with_password};

/// Every door on a port that the system chooses.
const CONFIG: &str = "[http]\nlisten = \"127.0.0.1:0\"\nlisten_tls = \"127.0.0.1:0\"\n\n\
    [dns]\nlisten = \"127.0.0.1:0\"\nlisten_tls = \"127.0.0.1:0\"\n\n[metrics]\nlisten = \"127.0.0.1:0\"\n\n[mail]\ndomains = []\n";

/// A running server; a test that fails takes it along.
struct Server {
    child: Child,
    started: Value,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_doorway"))
            .args(["up", "--json", "--data", "data"])
            .current_dir(&folder.0)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The document ends with the one brace that is not indented.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut document = String::new();
        for line in lines {
            document.push_str(&line);
            if line == "}" {
                break;
            }
        }
        let started = serde_json::from_str(&document).unwrap();
        Self { child, started }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Where the first TCP door of `service` was opened.
    fn local(&self, service: &str) -> String {
        let doors = self.started["doors"].as_array().unwrap();
        let door = doors.iter().find(|door| door["service"] == service && door["protocol"] == "tcp").unwrap();
        door["local"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::disallowed_types, reason = "the client on the other side of the door")]
fn fetch(address: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn a_server_serves_is_asked_and_stops_when_told_to() {
    let folder = Folder::new("up");
    folder.write("doorway.toml", CONFIG);
    let mut server = Server::start(&folder);
    assert!(server.started["admin_password"].as_str().is_some_and(|password| password.len() > 15));
    assert!(fetch(&server.local("http"), "/").starts_with("HTTP/1.1 200 OK\r\n"));
    let ready = fetch(&server.local("metrics"), "/readyz");
    assert!(ready.ends_with("dns ready\nhttp ready\nstore ready\n"), "{ready}");

    let status = folder.doorway(&["status", "--json", "--data", "data"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["state"], &status["pid"]), (&"running".into(), &server.child.id().into()));
    let words = ["user", "add", "ann", "--password-stdin", "--data", "data"];
    assert_eq!(printed(&with_password(&folder, &words, "correct-horse\n")), "added  ann\nexit 0\n");
    let users = printed(&folder.doorway(&["user", "list", "--data", "data"]));
    assert!(users.contains("\nadmin  admin") && users.contains("\nann    user"), "{users}");
    let told = printed(&folder.doorway(&["store", "restore", "backup", "--data", "data"]));
    assert!(told.starts_with("error: the server is running"), "{told}");
    assert_eq!(printed(&folder.doorway(&["check", "--data", "data"])), "ok  doorway.toml\nexit 0\n");

    let second = printed(&folder.doorway(&["up", "--data", "data"]));
    assert!(second.contains(&format!("in use by process {}", server.child.id())), "{second}");
    assert!(second.ends_with("exit 1\n"), "{second}");

    folder.write("doorway.toml", &format!("{CONFIG}\n[log]\nlevel = \"loud\"\n"));
    let told = printed(&folder.doorway(&["reload", "--data", "data"]));
    assert!(told.contains("`log.level` wants one of its own words") && told.ends_with("exit 2\n"), "{told}");
    folder.write("doorway.toml", &format!("{CONFIG}\n[log]\nlevel = \"warn\"\n\n[server]\nworkers = 1\n"));
    let told = printed(&folder.doorway(&["reload", "--data", "data"]));
    assert_eq!(told, "reloaded  log.level: warn\nafter a restart  server.workers\nexit 0\n");

    kill_process(server.pid(), Signal::INT).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(printed(&folder.doorway(&["status", "--data", "data"])).ends_with("exit 3\n"));
    let again = Server::start(&folder);
    assert_eq!(again.started["admin_password"], Value::Null, "a password is made once");
}
