//! Python's `http.client` and `urllib`, as scripts use them.

use crate::programs;
use crate::server::Setup;

/// Reuses one connection, over TCP and over TLS.
const CLIENT: &str = r#"
import http.client, ssl, sys
http_address, https_address, ca = sys.argv[1:]
trust = ssl.create_default_context(cafile=ca)
for connection in (
    http.client.HTTPConnection(http_address, timeout=30),
    http.client.HTTPSConnection(https_address, timeout=30, context=trust),
):
    sockets = set()
    for method, path in (("GET", "/"), ("HEAD", "/"), ("GET", "/none"), ("GET", "/")):
        connection.request(method, path)
        sockets.add(connection.sock)
        response = connection.getresponse()
        print(method, path, response.status, response.version, len(response.read()))
    print("sockets", len(sockets))
"#;

/// Asks whether its copy is still right.
const URLLIB: &str = r#"
import sys, urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(sys.argv[1], timeout=30) as response:
    tag = response.headers["ETag"]
    print(response.status, response.headers.get_content_type(), response.read().decode().strip())
try:
    opener.open(urllib.request.Request(sys.argv[1], headers={"If-None-Match": tag}), timeout=30)
except urllib.error.HTTPError as error:
    print(error.code)
"#;

#[test]
fn one_connection_carries_several_requests() {
    let server = Setup::new().start();
    let (plain, tls) = (server.http().to_string(), format!("localhost:{}", server.https().port()));
    let ca = server.folder().word("data/tls/ca.pem");
    let told = programs::run("python3", &["-c", CLIENT, &plain, &tls, &ca]).done();
    let lines: Vec<&str> = told.lines().collect();
    let one = ["GET / 200 11 15", "HEAD / 200 11 0", "GET /none 404 11 14", "GET / 200 11 15", "sockets 1"];
    assert_eq!(lines, [one, one].concat());
    server.stop();
}

#[test]
fn a_copy_that_is_still_right_is_told_so() {
    let server = Setup::new().start();
    let told = programs::run("python3", &["-c", URLLIB, &server.url("/")]).done();
    assert_eq!(told, "200 text/html <h1>Hello</h1>\n304\n");
    server.stop();
}
