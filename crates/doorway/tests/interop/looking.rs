//! What the running server tells about itself.

use serde_json::Value;

use crate::dialogue::Dialogue;
use crate::programs;
use crate::server::{Server, Setup};

fn json(server: &Server, words: &[&str]) -> Value {
    serde_json::from_str(&server.doorway(&[words, &["--json"]].concat()).done()).unwrap()
}

fn fetch(url: &str) -> String {
    programs::run("curl", &["-q", "--silent", "--show-error", "--fail", "--noproxy", "*", url]).done()
}

#[test]
fn every_door_has_a_command_that_works() {
    let server = Setup::new().start();
    assert_eq!(server.doors.len(), 11, "{}", server.table);
    let password =
        server.table.split("with the password ").nth(1).unwrap().split_whitespace().next().unwrap();
    let with_password = format!("admin:{password}");
    for door in &server.doors {
        // Where the command would ask for a password, the test has no terminal to be asked at.
        let words = door.command.split(' ');
        let mut words: Vec<&str> = match door.service.as_str() {
            "pop3" | "pop3s" => {
                words.map(|word| if word == "admin" { &with_password } else { word }).collect()
            }
            _ => words.collect(),
        };
        if door.service.starts_with("submission") {
            words.extend(["-ap", password]);
        }
        let told = programs::run(words[0], &words[1..]).done();
        let expected = match door.service.as_str() {
            "dns" => "status: NOERROR",
            "metrics" => "# EOF",
            "smtp" | "submission" | "submissions" => "250 2.0.0 kept as",
            // The list of the three messages that swaks sent.
            "pop3" | "pop3s" => "\n3 ",
            _ => "<h1>Hello</h1>",
        };
        assert!(told.contains(expected), "{}\n{told}", door.command);
    }
    server.stop();
}

#[test]
fn status_and_sockets_are_json_for_programs_and_tables_for_people() {
    let server = Setup::new().start();
    let mut dialogue = Dialogue::with(server.http());
    dialogue.get("/");
    let status = json(&server, &["status"]);
    assert_eq!((&status["state"], &status["pid"]), (&"running".into(), &server.pid().into()));
    let doors = status["doors"].as_array().unwrap();
    for door in &server.doors {
        let found = doors.iter().any(|told| told["local"] == door.address.to_string().as_str());
        assert!(found, "{door:?}: {status}");
    }
    let sockets = json(&server, &["sockets"]);
    let remote = dialogue.local().to_string();
    let row = sockets["sockets"].as_array().unwrap().iter().find(|row| row["remote"] == remote.as_str());
    let row = row.unwrap_or_else(|| panic!("{remote} is not in {sockets}"));
    assert_eq!((&row["service"], &row["transport"]), (&"http".into(), &"tcp".into()));
    assert_eq!(row["requests"], 1);
    assert!(row["octets_in"].as_u64().is_some_and(|octets| octets > 0), "{row}");
    for words in [&["status"][..], &["sockets"]] {
        let told = server.doorway(words).done();
        assert!(told.contains(&server.http().to_string()) && !told.contains('\x1b'), "{told}");
    }
    server.stop();
}

#[test]
fn metrics_count_what_was_asked_and_health_is_told() {
    let server = Setup::new().start();
    for _ in 0..3 {
        fetch(&server.url("/"));
    }
    let (ip, port) = (format!("@{}", server.dns().ip()), server.dns().port().to_string());
    programs::run("dig", &["-r", &ip, "-p", &port, "none.home.arpa", "A"]).done();
    let at = |path: &str| fetch(&format!("http://{}{path}", server.metrics()));
    let page = at("/metrics");
    for line in [
        "doorway_http_responses_total{class=\"2xx\"} 3",
        "doorway_dns_answers_total{transport=\"udp\"} 1",
        "doorway_dns_rcodes_total{rcode=\"NXDOMAIN\"} 1",
        "doorway_process_panics_total 0",
    ] {
        assert!(page.lines().any(|found| found == line), "`{line}` is not in\n{page}");
    }
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert_eq!(at("/healthz"), "alive\n");
    assert!(at("/readyz").lines().all(|line| line.ends_with(" ready")));
    server.stop();
}
