//! Messages that two readers could count differently, in both directions: through us to other people's servers, and
//! through their proxies to us. Whatever a message is, neither side ever counts another number of requests.

use crate::dialogue::Dialogue;
use crate::differences::ours;
use crate::refusal_table::cases;
use crate::server::{Server, Setup};

use super::behind::NODE;
use super::neighbour::Neighbour;

/// Stands behind each message: whether it is answered tells where the message ended.
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Messages that keep every rule, with what is unusual about them.
const RIGHT: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://b:8080/?q HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nhOsT:\t a \t\r\nX:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,Chunked ,\r\n\r\n0\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00A;a=\"b c\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: Content-Length, X\r\nX: 1\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
    "GET /g HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /g HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    "GET /g HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding, Host\r\nX: y\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
];

/// Everything that is heard to some octets, after which nothing more is said.
fn heard(to: std::net::SocketAddr, octets: &[u8]) -> String {
    let mut dialogue = Dialogue::with(to);
    dialogue.say_in_vain(octets);
    String::from_utf8_lossy(&dialogue.hear_all()).into_owned()
}

fn metric(server: &Server, line: &str) -> u64 {
    let mut dialogue = Dialogue::with(server.metrics());
    let page = String::from_utf8(dialogue.get("/metrics").body).unwrap();
    let found = page.lines().filter(|found| found.starts_with(line));
    found.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// A server of ours in front of `to` that asks once and waits for nobody.
fn in_front_of(to: &Neighbour) -> Server {
    let upstream =
        format!("[{{ name = \"app\", servers = [\"{}\"], retries = 0, failures_max = 0 }}]", to.url());
    Setup::new()
        .without("http.root")
        .key("http.head_timeout", "\"1s\"")
        .key("http.upstream", &upstream)
        .key("http.site", "[{ route = [{ path = \"/\", proxy = [\"app\"] }] }]")
        .start()
}

/// What every server behind us sees of the messages: as many requests as we handed on, and nothing of what stood
/// inside of another message or behind a broken one.
fn check_behind(origin: &Neighbour) {
    let name = origin.name;
    let server = in_front_of(origin);
    let handed = |server: &Server| metric(server, "doorway_proxy_requests_total");
    let mut answered = 0;
    for message in RIGHT {
        let told = heard(server.http(), format!("{message}{NEXT}").as_bytes());
        let passed = told.matches("\r\nVia: ").count();
        let fits = match message {
            // Refused, and what is behind it is not read.
            _ if message.contains('\x01') => passed == 0,
            // A server that answers without the content ends the connection.
            // So does content whose end nobody can tell a client of HTTP/1.0.
            _ if message.contains("Expect") || message.contains("HTTP/1.0") => (1..=2).contains(&passed),
            _ => passed == 2,
        };
        assert!(fits, "{name}: {message:?}: {told}");
        answered += passed;
    }
    let lines = origin.lines("requests.txt");
    assert_eq!((lines.len(), handed(&server)), (answered, answered as u64), "{name}: {lines:?}");
    assert!(!lines.iter().any(|line| line.contains("smuggled")), "{name}: {lines:?}");
    let before = lines.len();
    // Those that wait for more say nothing about where a message ends.
    let broken: Vec<_> = cases().into_iter().filter(|case| case.octets.len() < 4000).collect();
    let mut expected = 0;
    for case in &broken {
        let octets = [&case.octets, NEXT.as_bytes()].concat();
        expected += ours(&octets).requests.iter().filter(|(_, target, ..)| target == "/next").count();
        let mut dialogue = Dialogue::with(server.http());
        dialogue.say_in_vain(octets);
        dialogue.end_of_saying_in_vain();
        dialogue.hear_all();
    }
    let lines = origin.lines("requests.txt");
    let next = lines[before..].iter().filter(|line| line.contains("/next")).count();
    // Some break rules of a server's and none of a message's: an unknown method, a path that leads nowhere.
    assert!(next <= expected && expected < 12, "{name}: {next}, not {expected}: {:?}", &lines[before..]);
    let (saw, gave) = (lines.len() as u64, handed(&server));
    assert!(saw <= gave, "{name} counts {saw} requests, and {gave} were handed on: {:?}", &lines[before..]);
    assert!(broken.len() > 80, "{} messages", broken.len());
    server.stop();
}

#[test]
fn nginx_counts_what_we_hand_on() {
    check_behind(&Neighbour::nginx(
        "location / { try_files $uri /page.txt; error_page 405 =200 /page.txt; }",
    ));
}

#[test]
fn apache_counts_what_we_hand_on() {
    check_behind(&Neighbour::apache());
}

#[test]
fn node_counts_what_we_hand_on() {
    check_behind(&Neighbour::node(NODE));
}

#[test]
fn gunicorn_counts_what_we_hand_on() {
    check_behind(&Neighbour::gunicorn(super::behind::GUNICORN));
}

/// What a proxy in front of us makes of the messages: each of our responses is heard by the client, so that we saw as
/// many requests as it handed on.
fn check_front(front: &Neighbour, server: Server) {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], front.port));
    let responses = |server: &Server| metric(server, "doorway_http_responses_total");
    let mut messages: Vec<(String, Vec<u8>)> =
        RIGHT.iter().map(|message| ("right".to_owned(), message.as_bytes().to_vec())).collect();
    let broken = cases().into_iter().filter(|case| case.octets.len() < 4000);
    messages.extend(broken.map(|case| (case.what.to_owned(), case.octets)));
    for (what, message) in messages {
        let before = responses(&server);
        let mut dialogue = Dialogue::with(address);
        let octets = [&message[..], NEXT.as_bytes()].concat();
        dialogue.say_in_vain(&octets);
        let told = String::from_utf8_lossy(&dialogue.hear_all()).into_owned();
        // Those that the proxy makes itself have another name, or none.
        let mut heard = told.to_ascii_lowercase().matches("\r\nserver: doorway\r\n").count();
        // HTTP/0.9 has content and no head.
        heard += usize::from(!told.is_empty() && !told.starts_with("HTTP/"));
        let gave = responses(&server) - before;
        // Of one that never ends the proxy may end the connection before it has our answer.
        let fits = if ours(&octets).said.is_empty() { heard as u64 <= gave } else { heard as u64 == gave };
        let shown = message.escape_ascii();
        assert!(fits, "{} and {what}: {gave} responses, {heard} heard\n{shown}\n{told}", front.name);
    }
    server.stop();
}

fn server() -> Server {
    Setup::new().key("http.head_timeout", "\"1s\"").start()
}

#[test]
fn haproxy_hands_on_what_we_count() {
    let server = server();
    let haproxy = Neighbour::haproxy(&format!("server us {}", server.http()));
    check_front(&haproxy, server);
}

#[test]
fn nginx_hands_on_what_we_count() {
    let server = server();
    let times = "client_header_timeout 1s; client_body_timeout 1s;";
    let keep = "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass_header Server;";
    let to = format!("{times} location / {{ proxy_pass http://{}; {keep} }}", server.http());
    let nginx = Neighbour::nginx(&to);
    check_front(&nginx, server);
}
