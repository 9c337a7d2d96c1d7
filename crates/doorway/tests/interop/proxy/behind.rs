//! nginx, Apache, Node and gunicorn behind us.

use crate::dialogue::Dialogue;
use crate::programs;
use crate::server::{Server, Setup};

use super::neighbour::{LARGE_OCTETS, Neighbour, large};

/// Serves the folder, and tells of each request how long its content is. Each request becomes a line of
/// `requests.txt`.
pub(crate) const NODE: &str = r#"
const http = require("http"), fs = require("fs"), path = require("path");
const sockets = new Set();
const server = http.createServer((request, response) => {
  fs.appendFileSync("requests.txt", `${request.method} ${request.url} HTTP/${request.httpVersion}\n`);
  sockets.add(request.socket);
  let octets = 0;
  request.on("data", piece => octets += piece.length);
  request.on("end", () => {
    const file = path.join("www", request.url);
    if (request.url == "/early") {
      response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
      return setTimeout(() => response.end("late\n"), 20);
    }
    if (request.url == "/sockets") return response.end(`${sockets.size}\n`);
    if (request.url == "/fields") return response.end(request.rawHeaders.join("\n"));
    const there = ["GET", "HEAD"].includes(request.method) && fs.existsSync(file) && fs.statSync(file).isFile();
    const etag = there ? `"${fs.statSync(file).size}"` : "";
    if (there) response.setHeader("ETag", etag);
    if (there && request.method == "GET") {
      if (request.headers["if-none-match"] == etag) { response.writeHead(304); return response.end(); }
      return response.end(fs.readFileSync(file));
    }
    if (there) {
      response.setHeader("Content-Length", fs.statSync(file).size);
      return response.end();
    }
    response.end(`${request.method} ${octets}\n`);
  });
});
server.listen(+process.argv[2], "127.0.0.1");
"#;

/// The same as a WSGI application.
pub(crate) const GUNICORN: &str = r#"
import os
def app(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    with open("requests.txt", "a") as log:
        log.write(f"{method} {path}\n")
    octets = 0
    while piece := environ["wsgi.input"].read(65536):
        octets += len(piece)
    file = "www" + path
    if path == "/fields":
        told = "\n".join(f"{name[5:]}\n{value}" for name, value in environ.items() if name.startswith("HTTP_"))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [told.encode()]
    if method in ("GET", "HEAD") and os.path.isfile(file):
        size = os.path.getsize(file)
        etag = f'"{size}"'
        if environ.get("HTTP_IF_NONE_MATCH") == etag:
            start_response("304 Not Modified", [("ETag", etag)])
            return []
        start_response("200 OK", [("ETag", etag), ("Content-Length", str(size))])
        return [] if method == "HEAD" else [open(file, "rb").read()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [] if method == "HEAD" else [f"{method} {octets}\n".encode()]
"#;

/// A server of ours that hands everything on.
pub(crate) fn before(to: &str) -> Server {
    let site = format!("[{{ route = [{{ path = \"/\", proxy = [\"{to}\"] }}] }}]");
    Setup::new().without("http.root").key("http.site", &site).start()
}

fn curl(words: &[&str]) -> String {
    let usual = ["-q", "--silent", "--show-error", "--noproxy", "*"];
    programs::run("curl", &[&usual[..], words].concat()).done()
}

/// What holds for every server behind us.
fn check(neighbour: &Neighbour) {
    let server = before(&neighbour.url());
    let (name, page, big) = (neighbour.name, server.url("/page.txt"), server.url("/large.bin"));
    assert_eq!(curl(&[&page]), "page\n", "{name}");
    let head = curl(&["--head", &big]).to_ascii_lowercase();
    assert!(head.contains(&format!("content-length: {LARGE_OCTETS}\r\n")), "{name}: {head}");
    assert!(head.contains("\r\nvia: 1.1 doorway-"), "{name}: {head}");
    let file = neighbour.folder.word("got.bin");
    curl(&["--output", &file, &big]);
    assert!(neighbour.folder.read("got.bin") == large(), "{name}: the content changed on the way");
    let etag = curl(&["--head", &page]).lines().find_map(|line| {
        line.to_ascii_lowercase().starts_with("etag: ").then(|| line[6..].trim().to_owned())
    });
    let condition = format!("If-None-Match: {}", etag.unwrap_or_default());
    let status = curl(&["--write-out", "%{http_code} %{size_download}", "-H", &condition, &page]);
    assert_eq!(status, "304 0", "{name}");
    // Twenty requests of one client, over one connection of it.
    let many = format!("{page}?[1-20]");
    let told = curl(&["--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n", &many]);
    assert_eq!(told.lines().filter(|line| line.starts_with("200 ")).count(), 20, "{name}: {told}");
    assert_eq!(told.lines().filter(|line| line.ends_with(" 1")).count(), 1, "{name}: {told}");
    server.stop();
}

/// Uploads with a length and in chunks to a server that keeps them as files.
fn check_stored(neighbour: &Neighbour, folder: &str) {
    let server = before(&neighbour.url());
    let from = neighbour.folder.word("www/large.bin");
    for (name, words) in [("length", &[][..]), ("chunks", &["-H", "Transfer-Encoding: chunked"])] {
        let to = server.url(&format!("/up/{name}"));
        let usual = ["--upload-file", &from, "--output", "/dev/null", "--write-out", "%{http_code}", &to];
        let status = curl(&[&usual[..], words].concat());
        assert_eq!(status, "201", "{} {name}", neighbour.name);
        let stored = neighbour.folder.read(&format!("{folder}/{name}"));
        assert!(stored == large(), "{} {name}: the content changed on the way", neighbour.name);
    }
    server.stop();
}

/// The same to one that tells how long they were.
fn check_counted(neighbour: &Neighbour) {
    let server = before(&neighbour.url());
    let from = neighbour.folder.word("www/large.bin");
    let data = format!("@{from}");
    for words in [
        &["-X", "POST"][..],
        &["-X", "POST", "-H", "Transfer-Encoding: chunked"],
        &["-X", "POST", "-H", "Expect:"],
    ] {
        let told = curl(&[words, &["--data-binary", &data, &server.url("/any")]].concat());
        assert_eq!(told, format!("POST {LARGE_OCTETS}\n"), "{} {words:?}", neighbour.name);
    }
    assert_eq!(curl(&["-X", "POST", &server.url("/any")]), "POST 0\n");
    server.stop();
}

#[test]
fn nginx_serves_behind_us() {
    let nginx = Neighbour::nginx("");
    check(&nginx);
    check_stored(&nginx, "up");
}

#[test]
fn apache_serves_behind_us() {
    let apache = Neighbour::apache();
    check(&apache);
    check_stored(&apache, "www/up");
}

#[test]
fn node_serves_behind_us() {
    let node = Neighbour::node(NODE);
    check(&node);
    check_counted(&node);
    let server = before(&node.url());
    let mut dialogue = Dialogue::with(server.http());
    for _ in 0..20 {
        assert_eq!(dialogue.get("/page.txt").status, 200);
    }
    let sockets = |server: &Server| curl(&[&server.url("/sockets")]).trim().parse::<u32>().unwrap();
    let before_that = sockets(&server);
    for _ in 0..20 {
        dialogue.get("/page.txt");
    }
    assert_eq!(sockets(&server), before_that, "connections to the server are used again");
    let early = curl(&["--include", &server.url("/early")]);
    assert!(early.starts_with("HTTP/1.1 103 Early Hints\r\n"), "{early}");
    assert!(
        early.contains("\r\nlink: </style.css>; rel=preload; as=style\r\n")
            || early.contains("\r\nLink: </style.css>; rel=preload; as=style\r\n"),
        "{early}"
    );
    assert!(early.contains("HTTP/1.1 200 OK\r\n") && early.ends_with("late\n"), "{early}");
    let ca = server.folder().word("data/tls/ca.pem");
    let url = format!("https://localhost:{}/early", server.https().port());
    let early = curl(&["--http2", "--cacert", &ca, "--include", &url]);
    assert!(early.starts_with("HTTP/2 103 ") && early.contains("HTTP/2 200 "), "{early}");
    server.stop();
}

#[test]
fn gunicorn_serves_behind_us_over_tcp_and_a_unix_socket() {
    let gunicorn = Neighbour::gunicorn(GUNICORN);
    check(&gunicorn);
    check_counted(&gunicorn);
    let server = before(&format!("unix:{}", gunicorn.folder.word("socket")));
    assert_eq!(curl(&[&server.url("/page.txt")]), "page\n");
    server.stop();
}

#[test]
fn a_server_hears_who_asks_and_nothing_about_our_connection() {
    let node = Neighbour::node(NODE);
    let server = before(&node.url());
    let lie = "X-Forwarded-For: 10.0.0.1";
    let told = curl(&["-H", lie, "-H", "Connection: X-Secret", "-H", "X-Secret: 1", &server.url("/fields")]);
    let host = server.http().to_string();
    for (name, value) in [
        ("Host", host.as_str()),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", &host),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", &format!("for=127.0.0.1;host=\"{host}\";proto=http")),
    ] {
        assert!(told.contains(&format!("{name}\n{value}\n")), "{name}: {told}");
    }
    assert!(!told.contains("X-Secret") && !told.contains("10.0.0.1"), "{told}");
    server.stop();
}

#[test]
fn http_2_is_spoken_with_servers_that_know_it() {
    let script = NODE
        .replace("http.createServer(", "require('http2').createServer(")
        .replace("response.writeEarlyHints({ link: \"</style.css>; rel=preload; as=style\" });", "");
    let node = Neighbour::node(&script);
    let server = before(&format!("h2c://127.0.0.1:{}", node.port));
    assert_eq!(curl(&[&server.url("/page.txt")]), "page\n");
    let from = format!("@{}", node.folder.word("www/large.bin"));
    let told = curl(&["-X", "POST", "--data-binary", &from, &server.url("/any")]);
    assert_eq!(told, format!("POST {LARGE_OCTETS}\n"));
    assert!(node.lines("requests.txt").iter().all(|line| line.ends_with(" HTTP/2.0")));
    server.stop();
}

#[test]
fn a_server_that_goes_and_comes_back_is_told_of() {
    let node = Neighbour::node(NODE);
    let to = format!("http://127.0.0.1:{}", node.port);
    let server = before(&to);
    assert_eq!(curl(&[&server.url("/page.txt")]), "page\n");
    let status = server.doorway(&["proxy", "status"]).done();
    assert!(status.contains(&to) && status.contains("closed"), "{status}");
    let tested = server.doorway(&["proxy", "test", &server.url("/page.txt")]).done();
    assert!(tested.contains("200"), "{tested}");
    drop(node);
    for _ in 0..6 {
        let status =
            curl(&["--output", "/dev/null", "--write-out", "%{http_code}", &server.url("/page.txt")]);
        assert!(status == "502" || status == "503", "{status}");
    }
    let status = server.doorway(&["proxy", "status", "--json"]).done();
    assert!(status.contains("\"open\"") && status.contains("refused"), "{status}");
    assert!(server.log().contains("left alone for a while"), "{}", server.log());
    assert_ne!(server.doorway(&["proxy", "test", &server.url("/page.txt")]).status.code(), Some(0));
    server.stop();
}

#[test]
fn a_server_with_tls_has_to_show_a_certificate_for_its_name() {
    let origin = Setup::new().file("public/large.bin", large()).start();
    let (port, ca) = (origin.https().port(), origin.folder().word("data/tls/ca.pem"));
    let site = "[{ route = [{ path = \"/\", proxy = [\"app\"] }] }]";
    for (host, more, expected) in [
        ("localhost", format!("tls_ca = \"{ca}\""), "200"),
        ("127.0.0.1", format!("tls_ca = \"{ca}\", tls_name = \"localhost\""), "200"),
        ("127.0.0.1", format!("tls_ca = \"{ca}\", tls_name = \"example.org\""), "502"),
        ("localhost", String::new(), "502"),
    ] {
        let comma = if more.is_empty() { "" } else { ", " };
        let upstream = format!("[{{ name = \"app\", servers = [\"https://{host}:{port}\"]{comma}{more} }}]");
        let setup = Setup::new().without("http.root").key("http.site", site).key("http.upstream", &upstream);
        let server = setup.start();
        let file = server.folder().word("got.bin");
        let status = curl(&["--output", &file, "--write-out", "%{http_code}", &server.url("/large.bin")]);
        assert_eq!(status, expected, "{upstream}\n{}", server.log());
        assert!(expected != "200" || server.folder().read("got.bin") == large());
        server.stop();
    }
    origin.stop();
}
