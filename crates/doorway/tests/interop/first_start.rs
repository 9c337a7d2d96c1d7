//! The first start without a config, on the ports that the program chooses by itself. A network
//! namespace keeps them free of whatever else this machine runs.

use std::process::{Command, Stdio};

use crate::programs;
use crate::server::{Server, Setup};

/// Brings the namespace's loopback interface up and becomes the program.
const INSIDE: &str = "ip link set lo up && exec \"$0\" \"$@\"";

fn namespace(program: &str) -> Command {
    let mut command = Command::new(programs::find(program));
    if !rustix::process::geteuid().is_root() {
        // Only a user namespace gives everybody else the right to a network of their own.
        let words = if program == "unshare" {
            &["--map-root-user"][..]
        } else {
            &["--user", "--preserve-credentials"]
        };
        command.args(words);
    }
    command
}

/// Starts the program in a network of its own.
fn start(setup: Setup) -> Server {
    programs::find("ip");
    let mut launch = namespace("unshare");
    launch.args(["--net", "sh", "-c", INSIDE]).env_remove("DOORWAY_CONFIG").stdin(Stdio::null());
    setup.launched_by(launch).start()
}

/// Runs a line that the server printed, in the server's network.
fn try_in(server: &Server, line: &str) -> String {
    let mut command = namespace("nsenter");
    command.args(["--target", &server.pid().to_string(), "--net"]).args(line.split(' '));
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_serves_on_loopback_alone_with_a_password_that_is_shown_once() {
    let server = start(Setup::without_config());
    let doors: Vec<String> = server
        .doors
        .iter()
        .map(|door| format!("{} {} {}", door.service, door.protocol, door.address))
        .collect();
    assert_eq!(
        doors,
        [
            "dns udp 127.0.0.1:5300",
            "dns tcp 127.0.0.1:5300",
            "dns tcp 127.0.0.1:8530",
            "http tcp 127.0.0.1:8080",
            "http tcp 127.0.0.1:8443",
            "smtp tcp 127.0.0.1:2525",
            "submission tcp 127.0.0.1:5870",
            "submissions tcp 127.0.0.1:4650",
            "pop3 tcp 127.0.0.1:1100",
            "pop3s tcp 127.0.0.1:9950",
            "metrics tcp 127.0.0.1:9464",
        ]
    );
    // Those of users ask for a password at the terminal; `looking.rs` tries them with one.
    let asks = |service: &str| service.starts_with("submission") || service.starts_with("pop3");
    for door in server.doors.iter().filter(|door| !asks(&door.service)) {
        let told = try_in(&server, &door.command);
        let works = ["status: NOERROR", "200 OK", "<!", "# EOF", "250 2.0.0 kept as"]
            .iter()
            .any(|sign| told.contains(sign));
        assert!(works, "{}\n{told}", door.command);
    }
    assert!(server.table.contains("User admin was made with the password "), "{}", server.table);
    let again = start(server.stop());
    assert!(!again.table.contains("password"), "{}", again.table);
    again.stop();
}

#[test]
fn a_folder_named_public_is_served() {
    let server = start(Setup::without_config().file("public/index.html", "mine\n"));
    assert_eq!(try_in(&server, "curl -q --silent http://127.0.0.1:8080/"), "mine\n");
    server.stop();
}
