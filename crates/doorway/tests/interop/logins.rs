//! Logins and sessions with the clients that people use: curl and its cookie jar, wget, Python's requests; over
//! restarts of the real program.

use crate::programs;
use crate::server::{Server, Setup};
use doorway_base::UnixTime;
use doorway_http::cookie::{Crossing, Jar, Place};

const SITE: &str = "[{ root = \"public\", route = [{ path = \"/private\", auth = [\"ann\"], realm = \"staff\", \
                    login = [\"basic\", \"bearer\", \"form\"] }] }]";

/// Logs in and out by the form, over TCP and over TLS.
const REQUESTS: &str = r#"
import re, sys
try:
    import requests
except ImportError:
    sys.exit("requests is not installed; as root: apt-get install python3-requests")
password, ca = sys.argv[1:3]
for base in sys.argv[3:]:
    session = requests.Session()
    session.trust_env, session.verify = False, ca
    page = session.get(base + "/private/", headers={"Accept": "text/html"})
    token = lambda page: re.search(r'name="token" value="(\w+)"', page.text)[1]
    form = {"user": "ann", "password": password, "token": token(page), "to": "/private/"}
    wrong = session.post(base + "/login", data={**form, "password": "wrong"})
    form["token"] = token(wrong)
    got = session.post(base + "/login", data=form)
    print(page.status_code, wrong.status_code, got.status_code, got.url[len(base):], got.text.strip())
    print(sorted(cookie.name + (" secure" if cookie.secure else "") for cookie in session.cookies))
    me = session.get(base + "/login")
    session.post(base + "/login/out", data={"token": token(me)})
    print(session.get(base + "/private/", headers={"Accept": "text/html"}).url[len(base):])
"#;

/// A server with a user, and her password.
fn guarding() -> (Server, String) {
    let server = Setup::new()
        .without("http.root")
        .key("http.site", SITE)
        .file("public/private/index.html", "secret\n")
        .start();
    let told = server.doorway(&["user", "add", "ann", "--json"]).done();
    (server, text(&told, "password"))
}

/// A text in a JSON document.
fn text(document: &str, name: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    document[name].as_str().unwrap_or_else(|| panic!("no {name} in {document}")).to_owned()
}

fn curl(words: &[&str], url: &str) -> String {
    let all = [&["-q", "--silent", "--show-error", "--noproxy", "*"], words, &[url]].concat();
    programs::run("curl", &all).done()
}

/// What curl is answered at `/private/` with the cookies of its jar.
fn private(server: &Server, jar: &str) -> String {
    curl(&["-b", jar, "-c", jar, "-o", "/dev/null", "-w", "%{http_code}"], &server.url("/private/"))
}

fn log_in(server: &Server, jar: &str, password: &str) {
    let page = curl(&["-b", jar, "-c", jar], &server.url("/login?to=/private/"));
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = ["-d", "user=ann", "-d", "to=/private/", "--data-urlencode"];
    let (password, token) = (format!("password={password}"), format!("token={token}"));
    let answer = ["-b", jar, "-c", jar, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"];
    let words = [&answer[..], &form[..], &[&password, "-d", &token]].concat();
    assert_eq!(curl(&words, &server.url("/login")), format!("303 {}", server.url("/private/")));
}

#[test]
fn a_session_in_curls_jar_lives_through_a_stop_and_through_a_kill() {
    let (server, password) = guarding();
    let jar = server.folder().word("jar.txt");
    assert_eq!(private(&server, &jar), "401");
    log_in(&server, &jar, &password);
    assert_eq!(private(&server, &jar), "200");
    let server = server.stop().start();
    assert_eq!(private(&server, &jar), "200", "{}", server.log());
    let server = server.kill().start();
    assert_eq!(private(&server, &jar), "200", "{}", server.log());
    // A login is durable before it is told, and so is the end of a session.
    let other = server.folder().word("other.txt");
    log_in(&server, &other, &password);
    let server = server.kill().start();
    assert_eq!(private(&server, &other), "200", "{}", server.log());
    let list = server.doorway(&["session", "list", "--user", "ann"]).done();
    assert_eq!(list.matches(" ann ").count(), 2, "{list}");
    let id = list.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!(server.doorway(&["session", "revoke", &id]).done(), "revoked  1 session\n");
    let server = server.kill().start();
    assert_eq!((private(&server, &other), private(&server, &jar)), ("401".to_owned(), "200".to_owned()));
    let stopped = server.stop();
    assert_eq!(stopped.doorway(&["session", "revoke", "--user", "ann"]).done(), "revoked  1 session\n");
    let server = stopped.start();
    assert_eq!(private(&server, &jar), "401");
    server.stop();
}

#[test]
fn a_new_password_logs_out_whoever_had_the_old_one() {
    let (server, password) = guarding();
    let jar = server.folder().word("jar.txt");
    log_in(&server, &jar, &password);
    let basic = |password: &str| {
        let words = ["-u", &format!("ann:{password}"), "-o", "/dev/null", "-w", "%{http_code}"];
        curl(&words, &server.url("/private/"))
    };
    assert_eq!(basic(&password), "200");
    let told = server.doorway(&["user", "passwd", "ann", "--json"]).done();
    assert_eq!((private(&server, &jar).as_str(), basic(&password).as_str()), ("401", "401"));
    assert_eq!(basic(&text(&told, "password")), "200");
    server.stop();
}

#[test]
fn programs_log_in_with_a_password_of_their_own() {
    let (server, password) = guarding();
    let add = ["user", "app-password", "add", "ann", "--label", "backup", "--protocol", "http", "--json"];
    let told = server.doorway(&add).done();
    let (token, own) = (text(&told, "token"), text(&told, "app_password"));
    let url = server.url("/private/");
    assert_eq!(curl(&["--oauth2-bearer", &token], &url), "secret\n");
    assert_eq!(curl(&["-u", &format!("ann:{own}")], &url), "secret\n");
    let by_wget = |password: &str| {
        let password = format!("--password={password}");
        programs::run("wget", &["-q", "-O", "-", "--no-proxy", "--user=ann", &password, &url])
    };
    assert_eq!(by_wget(&password).done(), "secret\n");
    assert_eq!(by_wget("wrong").status.code(), Some(6), "wget: authentication failure");
    let list = server.doorway(&["user", "app-password", "list", "ann"]).done();
    let id = list.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    server.doorway(&["user", "app-password", "remove", "ann", &id]).done();
    let words = ["--oauth2-bearer", &token, "-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(curl(&words, &url), "401");
    server.stop();
}

#[test]
fn pythons_requests_logs_in_and_out_with_and_without_tls() {
    let (server, password) = guarding();
    let ca = server.folder().word("data/tls/ca.pem");
    let (plain, tls) = (server.url(""), format!("https://localhost:{}", server.https().port()));
    let told = programs::run("/usr/bin/python3", &["-c", REQUESTS, &password, &ca, &plain, &tls]).done();
    let lines: Vec<&str> = told.lines().collect();
    let through = "200 403 200 /private/ secret";
    let expected = [
        through,
        "['sid']",
        "/login?to=%2Fprivate%2F",
        through,
        "['__Host-sid secure']",
        "/login?to=%2Fprivate%2F",
    ];
    assert_eq!(lines, expected, "{}", server.log());
    assert!(server.log().matches("connection without TLS").count() == 1, "{}", server.log());
    server.stop();
}

#[test]
fn curl_reads_our_jar_and_we_read_curls() {
    let (server, password) = guarding();
    let now = UnixTime::from_secs(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs());
    let place = Place { secure: false, host: "127.0.0.1", path: "/private/x" };
    let mut ours = Jar::new();
    for field in ["page=1; Max-Age=600", "other=2; Path=/elsewhere", "all=3; Path=/; HttpOnly"] {
        ours.set(now, &place, Crossing::SameSite, field.as_bytes()).unwrap();
    }
    server.folder().write("ours.txt", ours.to_netscape());
    let file = server.folder().word("ours.txt");
    let words = ["-q", "--silent", "--verbose", "--noproxy", "*", "-b", &file, &server.url("/private/x")];
    let ran = programs::run("curl", &words);
    assert!(ran.err.contains("> Cookie: page=1; all=3\r\n"), "{}", ran.err);
    let jar = server.folder().word("curls.txt");
    log_in(&server, &jar, &password);
    let written = String::from_utf8(server.folder().read("curls.txt")).unwrap();
    let mut read = Jar::from_netscape(&written, now).unwrap();
    let sent = read.header(now, &place, Crossing::SameSite).unwrap();
    let sent = format!("Cookie: {}", String::from_utf8(sent).unwrap());
    assert!(sent.starts_with("Cookie: sid="), "{sent}");
    assert_eq!(curl(&["-H", &sent], &server.url("/private/")), "secret\n");
    server.stop();
}
