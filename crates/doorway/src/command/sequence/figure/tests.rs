//! Figures of what servers saw, as they are printed.

use serde_json::json;

use super::*;

const CLIENT: &str = "02:00:00:00:00:01";

/// What a server of DHCP saw, as a line: its number, milliseconds, the way, both addresses, the summary, and after
/// a `#` what it did.
fn read(line: &str) -> (usize, Value) {
    let (line, note) = line.split_once(" # ").unwrap_or((line, ""));
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    let [server, millis, way, local, remote, said] = words[..] else { panic!("{line}") };
    let (kind, rest) = said.split_once(' ').unwrap_or((said, ""));
    let message = json!({
        "unix_nanos": 1_795_437_000_000_000_000 + millis.parse::<u64>().unwrap() * 1_000_000,
        "protocol": "dhcp",
        "direction": if way == "<-" { "in" } else { "out" },
        "step": "message",
        "local": local,
        "remote": remote,
        "serving": local.ends_with(":67"),
        "exchange": "3903f326",
        "client": CLIENT,
        "summary": format!("{kind} xid 3903f326 {CLIENT} {rest}").trim(),
        "note": (!note.is_empty()).then(|| json!({ "code": "dhcp.drop", "text": note })),
    });
    (server.parse().unwrap(), message)
}

/// Draws what is told line by line, and compares the figure below its title.
#[track_caller]
fn check(seen: &str, drawn: &str) -> Figure {
    let messages: Vec<_> = seen.lines().map(|line| read(line.trim())).collect();
    let figure = Figure::new(&messages);
    let text = figure.text();
    let (title, text) = text.split_once('\n').unwrap();
    assert_eq!(title, "2026-11-23T12:30:00Z  dhcp 3903f326 of 02:00:00:00:00:01");
    assert_eq!(text, drawn, "\n{text}");
    figure
}

#[test]
fn two_servers_that_offer_are_drawn_in_one_figure() {
    let figure = check(
        "0 0 <- 255.255.255.255:67 0.0.0.0:68 DHCPDISCOVER
         1 1 <- 255.255.255.255:67 0.0.0.0:68 DHCPDISCOVER
         1 3 -> 10.9.0.2:67 10.9.0.200:68 DHCPOFFER gives 10.9.0.200 server 10.9.0.2
         0 4 -> 10.9.0.1:67 10.9.0.100:68 DHCPOFFER gives 10.9.0.100 server 10.9.0.1
         1 5 <- 255.255.255.255:67 0.0.0.0:68 DHCPREQUEST wants 10.9.0.100 server 10.9.0.1 # offer_freed
         0 6 <- 255.255.255.255:67 0.0.0.0:68 DHCPREQUEST wants 10.9.0.100 server 10.9.0.1
         0 7 -> 10.9.0.1:67 10.9.0.100:68 DHCPACK gives 10.9.0.100 server 10.9.0.1",
        "            02:00:00:00:00:01   10.9.0.1            10.9.0.2
     0.0 ms |-- DHCPDISCOVER -->|------------------>|
     3.0 ms |<------------------------- DHCPOFFER --|  gives 10.9.0.200 server 10.9.0.2
     4.0 ms |<----- DHCPOFFER --|                   |  gives 10.9.0.100 server 10.9.0.1
     5.0 ms |-- DHCPREQUEST --->|------------------>|  wants 10.9.0.100 server 10.9.0.1  (10.9.0.2: offer_freed)
     7.0 ms |<------- DHCPACK --|                   |  gives 10.9.0.100 server 10.9.0.1
",
    );
    assert_eq!(
        figure.document()["messages"][3]["notes"],
        json!([{ "host": "10.9.0.2", "what": "offer_freed" }])
    );
    assert_eq!(figure.document()["messages"][3]["to"], json!(["10.9.0.1", "10.9.0.2"]));
}

#[test]
fn a_client_and_a_server_that_both_tell_what_they_saw_draw_each_message_once() {
    check(
        "0 0 -> 0.0.0.0:68 255.255.255.255:67 DHCPDISCOVER
         1 1 <- 255.255.255.255:67 0.0.0.0:68 DHCPDISCOVER
         1 2 -> 10.9.0.1:67 10.9.0.100:68 DHCPOFFER gives 10.9.0.100 server 10.9.0.1
         0 3 <- 10.9.0.100:68 10.9.0.1:67 DHCPOFFER gives 10.9.0.100 server 10.9.0.1",
        "            02:00:00:00:00:01   10.9.0.1
     0.0 ms |-- DHCPDISCOVER -->|
     2.0 ms |<----- DHCPOFFER --|  gives 10.9.0.100 server 10.9.0.1
",
    );
}

#[test]
fn a_message_that_is_sent_again_is_drawn_again() {
    check(
        "0 0 -> 0.0.0.0:68 255.255.255.255:67 DHCPDISCOVER
         0 900 -> 0.0.0.0:68 255.255.255.255:67 DHCPDISCOVER",
        "            02:00:00:00:00:01   everybody
     0.0 ms |-- DHCPDISCOVER -->|
   900.0 ms |-- DHCPDISCOVER -->|
",
    );
}

#[test]
fn messages_of_other_protocols_are_told_beside_their_arrows() {
    let message = |direction: &str, summary: &str| {
        let message = json!({
            "unix_nanos": 1_795_437_000_000_000_000_u64,
            "protocol": "http",
            "direction": direction,
            "step": "message",
            "local": "10.9.0.1:80",
            "remote": "10.9.0.7:40000",
            "summary": summary,
        });
        (0, message)
    };
    let figure = Figure::new(&[message("in", "GET /\u{1b}"), message("out", "200")]);
    let drawn = "2026-11-23T12:30:00Z  http
            10.9.0.7            10.9.0.1
     0.0 ms |------------------>|  GET /.
     0.0 ms |<------------------|  200
";
    assert_eq!(figure.text(), drawn);
}
