//! A service manager as systemd is one: it opens the socket, hands it over, and is told when the
//! server is ready (`sd_listen_fds(3)`, `sd_notify(3)`).

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::dialogue::Dialogue;
use crate::folder::Folder;
use crate::server::{PATIENCE, Setup};

/// Makes standard input the first descriptor that is handed over, and keeps the process number.
const HAND_OVER: &str = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";

fn next(notifications: &UnixDatagram) -> String {
    let mut room = [0; 4096];
    let count = notifications.recv(&mut room).unwrap();
    String::from_utf8(room[..count].to_vec()).unwrap()
}

#[test]
fn a_socket_that_was_opened_for_us_is_served_and_readiness_is_told() {
    let folder = Folder::new();
    let notifications = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    notifications.set_read_timeout(Some(PATIENCE)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It waits in the queue of the socket, which no other socket can answer.
    let mut early = Dialogue::with(address);

    let mut launch = Command::new("sh");
    launch.args(["-c", HAND_OVER]).env_clear().env("NOTIFY_SOCKET", folder.path().join("notify"));
    launch.stdin(Stdio::from(OwnedFd::from(listener)));
    let setup = Setup::new().key("http.listen", &format!("\"{address}\"")).launched_by(launch);
    let mut server = setup.start();
    assert_eq!(next(&notifications), "READY=1");
    assert_eq!(server.http(), address);
    assert_eq!(early.get("/").body, b"<h1>Hello</h1>\n");
    assert_eq!(Dialogue::with(address).get("/").status, 200);

    server.signal(Signal::TERM);
    assert_eq!(next(&notifications), "STOPPING=1");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}
