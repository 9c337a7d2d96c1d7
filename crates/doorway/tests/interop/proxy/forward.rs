//! Programs that fetch through us: curl, git, Chromium.

use std::net::SocketAddr;

use crate::programs;
use crate::server::{Server, Setup};

use super::neighbour::{Neighbour, large};

/// A name for this machine that nobody takes for a local one.
pub(crate) const NAME: &str = "repo.example.org";
const ZONE: &str = "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nrepo A 127.0.0.1\n";

/// A forward proxy that may go to this machine, where `repo.example.org` is; with more keys of its table.
pub(crate) fn setup(more: &str) -> Setup {
    let keys = format!("{{ listen = \"127.0.0.1:0\", private = [\"127.0.0.0/8\"], {more} }}");
    Setup::new().zone(&format!("$ORIGIN example.org.\n$TTL 60\n{ZONE}")).key("http.forward", &keys)
}

/// Where the proxy listens.
pub(crate) fn proxy(server: &Server) -> SocketAddr {
    server.doors.iter().find(|door| door.service == "http.forward").unwrap().address
}

fn curl(server: &Server, words: &[&str]) -> programs::Ran {
    let proxy = format!("http://{}", proxy(server));
    let usual = ["-q", "--silent", "--show-error", "--noproxy", "", "--proxy", &proxy];
    programs::run("curl", &[&usual[..], words].concat())
}

#[test]
fn curl_fetches_whole_urls_and_through_tunnels() {
    let nginx = Neighbour::nginx("");
    let tls = Setup::new().file("public/large.bin", large()).start();
    let port = tls.https().port();
    let server = setup(&format!("connect_ports = [{port}]")).start();
    let url = format!("http://{NAME}:{}/page.txt", nginx.port);
    assert_eq!(curl(&server, &[&url]).done(), "page\n");
    let told = curl(&server, &["--include", &url]).done();
    assert!(told.contains("\r\nVia: 1.1 doorway-"), "{told}");
    let ca = tls.folder().word("data/tls/ca.pem");
    let file = server.folder().word("got.bin");
    for version in ["--http1.1", "--http2"] {
        let url = format!("https://localhost:{port}/large.bin");
        curl(&server, &[version, "--cacert", &ca, "--output", &file, &url]).done();
        assert!(server.folder().read("got.bin") == large(), "{version}: the content changed on the way");
    }
    let refused = curl(&server, &["--cacert", &ca, "https://localhost:22/"]);
    assert_eq!(refused.status.code(), Some(56), "{}", refused.err);
    assert!(refused.err.contains("403"), "{}", refused.err);
    let told = curl(&server, &["ftp://example.org/file"]);
    assert!(told.text().contains("does not know how to fetch ftp"), "{}", told.text());
    server.stop();
    tls.stop();
}

#[test]
fn curl_logs_in_by_the_user_list() {
    let nginx = Neighbour::nginx("");
    let tls = Setup::new().start();
    let (ca, port) = (tls.folder().word("data/tls/ca.pem"), tls.https().port());
    let server = setup(&format!("auth = [\"ann\"], connect_ports = [{port}]")).start();
    let password = |user: &str| {
        let told = server.doorway(&["user", "add", user, "--json"]).done();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        format!("{user}:{}", told["password"].as_str().unwrap())
    };
    let (ann, bob) = (password("ann"), password("bob"));
    let url = format!("http://{NAME}:{}/page.txt", nginx.port);
    let status = |words: &[&str]| {
        curl(
            &server,
            &[&["--output", "/dev/null", "--write-out", "%{http_code} %{http_connect}"], words].concat(),
        )
        .text()
    };
    assert_eq!(status(&[&url]), "407 000");
    assert_eq!(status(&["--proxy-user", &ann, &url]), "200 000");
    assert_eq!(status(&["--proxy-user", "ann:wrong", &url]), "407 000");
    assert_eq!(status(&["--proxy-user", &bob, &url]), "403 000");
    let url = format!("https://localhost:{port}/");
    assert_eq!(status(&["--cacert", &ca, &url]), "000 407");
    assert_eq!(status(&["--cacert", &ca, "--proxy-user", &ann, &url]), "200 200");
    assert_eq!(status(&["--cacert", &ca, "--proxy-anyauth", "--proxy-user", &ann, &url]), "200 200");
    server.stop();
    tls.stop();
}

/// Serves repositories by git's own program behind CGI.
const GIT: &str = r#"
import http.server, os, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def serve(self):
        path, _, query = self.path.partition("?")
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size); self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        names = dict(os.environ, GIT_PROJECT_ROOT=os.getcwd(), GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path,
            QUERY_STRING=query, REQUEST_METHOD=self.command, CONTENT_LENGTH=str(len(body)), REMOTE_USER="ann",
            CONTENT_TYPE=self.headers.get("Content-Type", ""), HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""))
        out = subprocess.run(["git", "http-backend"], input=body, env=names, capture_output=True).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((value for name, value in lines if name == "Status"), "200 OK")
        self.send_response(int(status[:3]))
        for name, value in lines:
            if name not in ("Status", "Content-Length"): self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    do_GET = do_POST = serve
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

#[test]
fn git_clones_and_pushes() {
    let origin = Neighbour::python(GIT);
    let folder = origin.folder.path();
    let git = |words: &[&str]| {
        let usual =
            ["-c", "user.name=ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main"];
        let words = [&usual[..], words].concat();
        programs::run("git", &words).done()
    };
    let (bare, work) = (origin.folder.word("repo.git"), origin.folder.word("work"));
    git(&["init", "--quiet", "--bare", &bare]);
    git(&["-C", &bare, "config", "http.receivepack", "true"]);
    git(&["init", "--quiet", &work]);
    std::fs::write(folder.join("work/large.bin"), large()).unwrap();
    git(&["-C", &work, "add", "."]);
    git(&["-C", &work, "commit", "--quiet", "-m", "first"]);
    let server = setup("").start();
    let by = format!("http.proxy=http://{}", proxy(&server));
    let url = format!("http://{NAME}:{}/repo.git", origin.port);
    // A push of this size goes in chunks.
    git(&["-C", &work, "-c", &by, "-c", "http.postBuffer=65536", "push", "--quiet", &url, "main"]);
    let copy = origin.folder.word("copy");
    git(&["-c", &by, "clone", "--quiet", &url, &copy]);
    assert!(origin.folder.read("copy/large.bin") == large());
    server.stop();
}
