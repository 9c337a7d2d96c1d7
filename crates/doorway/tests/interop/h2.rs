//! HTTP/2 with the clients that people have: `curl`, `nghttp`, `h2load`, Python's `h2` and `httpx`.

use crate::programs;
use crate::server::{Server, Setup};

fn serving() -> Server {
    Setup::new()
        .file("public/plain.txt", "plain\n")
        .file("public/large.txt", "0123456789".repeat(50_000))
        .start()
}

/// What curl says about one address: version, status, octets.
fn curl(server: &Server, words: &[&str], url: &str) -> String {
    let ca = server.folder().word("data/tls/ca.pem");
    let usual =
        ["-q", "--silent", "--show-error", "--noproxy", "*", "--cacert", &ca, "--output", "/dev/null"];
    let told = ["--write-out", "%{http_version} %{http_code} %{size_download}\n"];
    programs::run("curl", &[&usual[..], &told, words, &[url]].concat()).done()
}

#[test]
fn curl_agrees_on_http_2_over_tls_and_may_ask_for_it_without() {
    let server = serving();
    let tls = format!("https://localhost:{}", server.https().port());
    assert_eq!(curl(&server, &[], &format!("{tls}/large.txt")), "2 200 500000\n");
    assert_eq!(curl(&server, &["--http1.1"], &format!("{tls}/plain.txt")), "1.1 200 6\n");
    assert_eq!(curl(&server, &["--http2-prior-knowledge"], &server.url("/large.txt")), "2 200 500000\n");
    assert_eq!(curl(&server, &["--http2-prior-knowledge", "--head"], &server.url("/plain.txt")), "2 200 0\n");
    let posted = curl(&server, &["--http2-prior-knowledge", "--data", "x=1"], &server.url("/plain.txt"));
    assert!(posted.starts_with("2 405 "), "{posted}");
    // One connection carries them all.
    let path = format!("{tls}/large.txt?[1-20]");
    let parallel = curl(&server, &["--parallel", "--parallel-max", "20"], &path);
    assert_eq!(parallel, "2 200 500000\n".repeat(20));
    server.stop();
}

#[test]
fn nghttp_shows_the_frames_and_h2load_finds_every_answer_right() {
    let server = serving();
    let shown = programs::run("nghttp", &["--null-out", "--verbose", &server.url("/plain.txt")]).done();
    for frame in
        ["recv SETTINGS frame", "recv (stream_id=13) :status: 200", "recv DATA frame <length=6, flags=0x01"]
    {
        assert!(shown.contains(frame), "{frame}: {shown}");
    }
    let url = format!("https://localhost:{}/large.txt", server.https().port());
    let loaded = programs::run("h2load", &["-n200", "-c4", "-m10", &url]).done();
    assert!(
        loaded.contains("200 succeeded, 0 failed") && loaded.contains("100.00MB")
            || loaded.contains("200 2xx"),
        "{loaded}"
    );
    server.stop();
}

/// Two requests under way at a time, and a ping, by a client that judges every frame.
const FRAMES: &str = r#"
import socket, sys
import h2.connection, h2.events
host, port = sys.argv[1].rsplit(":", 1)
link = socket.create_connection((host, int(port)), timeout=30)
state = h2.connection.H2Connection()
state.initiate_connection()
for stream, path in ((1, "/large.txt"), (3, "/plain.txt")):
    state.send_headers(stream, [(":method", "GET"), (":scheme", "http"), (":authority", sys.argv[1]), (":path", path)], end_stream=True)
state.ping(b"12345678")
link.sendall(state.data_to_send())
counted, ended = {1: 0, 3: 0}, 0
while ended < 2:
    for event in state.receive_data(link.recv(65536)):
        if isinstance(event, h2.events.ResponseReceived):
            print(event.stream_id, dict(event.headers)[b":status"].decode()) if event.stream_id == 3 else None
        elif isinstance(event, h2.events.DataReceived):
            counted[event.stream_id] += len(event.data)
            state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            print("ping", event.ping_data.decode())
        elif isinstance(event, h2.events.StreamEnded):
            ended += 1
    link.sendall(state.data_to_send())
print(counted)
"#;

/// As programs do it.
const HTTPX: &str = r#"
import httpx, sys
with httpx.Client(http2=True, verify=sys.argv[2], trust_env=False) as client:
    for path in ("/plain.txt", "/none", "/large.txt"):
        response = client.get(sys.argv[1] + path)
        print(response.http_version, response.status_code, len(response.content))
"#;

#[test]
fn python_finds_nothing_wrong_with_the_frames() {
    let server = serving();
    let told = programs::run("/usr/bin/python3", &["-c", FRAMES, &server.http().to_string()]).done();
    let mut lines: Vec<_> = told.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["3 200", "ping 12345678", "{1: 500000, 3: 6}"]);
    let tls = format!("https://localhost:{}", server.https().port());
    let ca = server.folder().word("data/tls/ca.pem");
    let told = programs::run("/usr/bin/python3", &["-c", HTTPX, &tls, &ca]).done();
    assert_eq!(told, "HTTP/2 200 6\nHTTP/2 404 14\nHTTP/2 200 500000\n");
    server.stop();
}
