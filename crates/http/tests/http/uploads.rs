//! PUT and DELETE: what is stored, under which conditions, and what never is.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use doorway_http::config::{RouteConfig, RouteDoes, SiteConfig};
use doorway_http::session::LoginConfig;
use doorway_http::{Authenticator, Config, Handlers, Login, Server, Sites};
use doorway_net::{World, tcp};
use doorway_sim::{Link, Simulation};
use doorway_store::{
    LoginGate, MemoryStore, Preset, Role, SessionOptions, Sessions, UserOptions, Users, wait,
};

use crate::support::{Folder, SERVER, config, talk};

/// `ann:correct horse`
const ANN: &str = "Authorization: Basic YW5uOmNvcnJlY3QgaG9yc2U=\r\n";

/// Handlers for a server that knows ann.
fn with_ann(world: &World) -> Handlers {
    let random = std::sync::Mutex::new(world.random());
    let entropy: doorway_store::Entropy = Arc::new(move |octets| random.lock().unwrap().fill(octets));
    let store = Arc::new(MemoryStore::new());
    let cheap = Preset { memory_kib: 64, passes: 1, lanes: 1 };
    let options = UserOptions { preset: cheap, threads: 0, ..UserOptions::new(Arc::clone(&entropy)) };
    let users = Arc::new(Users::new(store.clone(), options).unwrap());
    wait(users.add("ann", "", &[Role::User], Some("correct horse"), world.wall())).unwrap();
    let sessions = Sessions::open(store, SessionOptions::default(), entropy, world.wall());
    let login = LoginConfig { cleartext: true, ..LoginConfig::default() };
    let authenticator = Authenticator::start(
        world,
        Arc::new(LoginGate::new(users, 5)),
        Arc::new(wait(sessions).unwrap()),
        login,
    );
    let page = Arc::new(Login::new(world, authenticator.clone()));
    Handlers::default().with_login(authenticator, page)
}

fn writable(folder: &Folder) -> SiteConfig {
    SiteConfig { write: true, auth: vec!["ann".into()], ..SiteConfig::plain(Some(folder.public())) }
}

/// What `site` answers to requests, one after another, each on a connection of its own.
fn ask(site: SiteConfig, requests: &[String]) -> Vec<String> {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    sim.link(server, client, Link::default());
    let world = sim.world(server);
    let config = Config { sites: vec![site], body_octets_max: 1_000_000, ..config(None) };
    let sites = Sites::open(&config, &with_ann(&world)).unwrap();
    let http = Arc::new(Server::new(&world, &config, sites));
    tcp::serve(&world, SERVER.parse().unwrap(), &http.tcp_options(false), &http).unwrap();
    let world = sim.world(client);
    let requests = requests.to_vec();
    sim.run(client, async move {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(String::from_utf8_lossy(&talk(&world, request.as_bytes()).await).into_owned());
        }
        answers
    })
    .unwrap()
}

fn put(path: &str, fields: &str, body: &str) -> String {
    let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{ANN}{fields}");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn delete(path: &str, fields: &str) -> String {
    format!("DELETE {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{ANN}{fields}\r\n")
}

#[track_caller]
fn check(site: SiteConfig, requests: &[(String, &str)]) {
    let texts: Vec<String> = requests.iter().map(|(request, _)| request.clone()).collect();
    for ((request, start), answer) in requests.iter().zip(ask(site, &texts)) {
        let head = request.lines().next().unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {start}")), "{head}: {answer}");
    }
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.public()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_stored_replaced_and_removed_and_seen_at_once() {
    let folder = Folder::new();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{ANN}\r\n");
    let long = "x".repeat(200_000);
    let requests = [
        put("/new.txt", "", "first"),
        get("/new.txt"),
        put("/new.txt", "", &long),
        get("/new.txt"),
        put("/sub/%E7%99%BE.txt", "", ""),
        delete("/new.txt", ""),
        get("/new.txt"),
        delete("/new.txt", ""),
    ];
    let answers = ask(writable(&folder), &requests);
    assert!(answers[0].starts_with("HTTP/1.1 201 Created\r\n"), "{}", answers[0]);
    assert!(answers[0].contains("\r\nLocation: /new.txt\r\n"), "{}", answers[0]);
    let tag = |answer: &str| answer.split("ETag: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    assert_eq!(tag(&answers[0]), tag(&answers[1]));
    assert!(answers[1].ends_with("\r\n\r\nfirst"), "{}", answers[1]);
    assert!(answers[2].starts_with("HTTP/1.1 204 No Content\r\n"), "{}", answers[2]);
    assert_ne!(tag(&answers[0]), tag(&answers[2]));
    assert!(answers[3].ends_with(&long));
    assert!(answers[4].contains("Location: /sub/%E7%99%BE.txt\r\n"), "{}", answers[4]);
    assert_eq!(fs::read(folder.0.join("public/sub/百.txt")).unwrap(), b"");
    for (answer, start) in answers[5..].iter().zip(["204", "404", "404"]) {
        assert!(answer.starts_with(&format!("HTTP/1.1 {start}")), "{answer}");
    }
    assert!(names(&folder).iter().all(|name| !name.contains("upload")), "{:?}", names(&folder));
}

#[test]
fn what_cannot_be_stored_is_refused_and_changes_nothing() {
    let folder = Folder::new();
    symlink("../secret.txt", folder.0.join("public/up")).unwrap();
    symlink("..", folder.0.join("public/parent")).unwrap();
    let before = names(&folder);
    let anonymous = put("/a", "", "x").replace(ANN, "");
    let wrong = put("/a", "", "x").replace("YW5u", "Ym9i");
    let too_long = "PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n";
    check(
        writable(&folder),
        &[
            (anonymous, "401"),
            (wrong, "401"),
            (put("/missing/a", "", "x"), "409"),
            (put("/plain.txt/a", "", "x"), "409"),
            (put("/sub", "", "x"), "409"),
            (put("/sub/", "", "x"), "409"),
            (put("/a/", "", "x"), "405"),
            (put("/.hidden", "", "x"), "404"),
            (put("/sub/.x", "", "x"), "404"),
            (put("/../a", "", "x"), "404"),
            (put("/%2e%2e/a", "", "x"), "404"),
            (put("/parent/a", "", "x"), "409"),
            (put("/a%00", "", "x"), "400"),
            (put("/a", "Content-Range: bytes 0-0/2\r\n", "x"), "400"),
            (put("/a", "Content-Encoding: gzip\r\n", "x"), "415"),
            (format!("{too_long}{ANN}\r\n"), "413"),
            (delete("/sub", ""), "409"),
            (delete("/", ""), "409"),
            (delete("/nothing", ""), "404"),
            (delete("/parent/secret.txt", ""), "404"),
        ],
    );
    assert_eq!(names(&folder), before);
    assert_eq!(fs::read(folder.0.join("secret.txt")).unwrap(), b"secret\n");
    // A link is replaced, not followed; and it alone is removed.
    check(writable(&folder), &[(put("/up", "", "mine"), "201")]);
    assert_eq!(fs::read(folder.0.join("secret.txt")).unwrap(), b"secret\n");
    assert_eq!(fs::read(folder.0.join("public/up")).unwrap(), b"mine");
}

#[test]
fn conditions_keep_a_change_from_being_lost() {
    let folder = Folder::new();
    let date = "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let strict = SiteConfig { write_needs_condition: true, ..writable(&folder) };
    check(
        strict,
        &[
            (put("/plain.txt", "", "x"), "428"),
            (delete("/plain.txt", ""), "428"),
            (put("/plain.txt", "If-Match: \"x\"\r\n", "x"), "412"),
            (put("/plain.txt", "If-None-Match: *\r\n", "x"), "412"),
            (put("/none.txt", "If-Match: *\r\n", "x"), "412"),
            (put("/none.txt", "If-None-Match: *\r\n", "x"), "201"),
            (put("/plain.txt", date, "x"), "204"),
            (put("/plain.txt", date, "y"), "412"),
            (delete("/none.txt", "If-Match: *\r\n"), "204"),
        ],
    );
    assert_eq!(fs::read(folder.0.join("public/plain.txt")).unwrap(), b"x");
}

#[test]
fn all_files_together_stay_within_the_quota() {
    let folder = Folder::new();
    let used: u64 = 15 + 4 + 6 + 7 + 11 + 300_000;
    let site = SiteConfig { quota: Some(used + 10), ..writable(&folder) };
    check(
        site,
        &[
            (put("/a", "", "0123456789x"), "507"),
            (put("/a", "", "0123456789"), "201"),
            (put("/b", "", "x"), "507"),
            (put("/a", "", "012345678"), "204"),
            (put("/b", "", "x"), "201"),
            (delete("/a", ""), "204"),
            (put("/b", "", "0123456789"), "204"),
            (put("/c", "", &"x".repeat(310_000)), "507"),
        ],
    );
    assert!(!folder.0.join("public/c").exists());
}

#[test]
fn what_a_crash_left_over_is_removed_at_the_start_and_is_never_served() {
    let folder = Folder::new();
    let left = folder.0.join("public/sub/.doorway-upload-0123456789abcdef-0");
    fs::write(&left, b"half").unwrap();
    let get = "GET /sub/.doorway-upload-0123456789abcdef-0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    check(writable(&folder), &[(format!("{get}{ANN}\r\n"), "404")]);
    assert!(!left.exists());
}

#[test]
fn nothing_is_stored_where_everybody_is_let_in() {
    let folder = Folder::new();
    let open = RouteConfig {
        path: "/open".into(),
        does: RouteDoes::Site,
        methods: vec![],
        body_octets_max: None,
        fields: vec![],
        auth: Some(vec![]),
        login: None,
        realm: None,
        cors: None,
    };
    fs::create_dir(folder.0.join("public/open")).unwrap();
    let site = SiteConfig { routes: vec![open], ..writable(&folder) };
    check(
        site,
        &[(put("/open/a", "", "x"), "405"), (delete("/open", ""), "405"), (put("/a", "", "x"), "201")],
    );
    let closed = SiteConfig { write: false, ..writable(&folder) };
    check(closed, &[(put("/b", "", "x"), "405"), (delete("/a", ""), "405")]);
}
