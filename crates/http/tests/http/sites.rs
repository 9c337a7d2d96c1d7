//! Sites by host, routes by path, and what each of them says that it can do.

use std::sync::Arc;

use doorway_http::config::{CorsConfig, RouteConfig, RouteDoes, SiteConfig};
use doorway_http::{Config, Handlers, Server, Sites};
use doorway_sim::{Link, Simulation};
use std::time::Duration;

use crate::handlers::Echo;
use crate::support::{Folder, SERVER, config, talk};

fn route(path: &str, does: RouteDoes) -> RouteConfig {
    RouteConfig {
        path: path.into(),
        does,
        methods: vec![],
        body_octets_max: None,
        fields: vec![],
        auth: None,
        login: None,
        realm: None,
        cors: None,
    }
}

fn redirect(path: &str, to: &str, status: u16) -> RouteConfig {
    route(path, RouteDoes::Redirect { to: to.into(), status })
}

/// What a server with `config` answers, with a part called `echo` to mount.
fn ask(config: &Config, requests: &[String]) -> Vec<String> {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    sim.link(server, client, Link::default());
    let config = config.clone();
    sim.boot(server, move |world, _| {
        let sites = Sites::open(&config, &Handlers::default().with("echo", Arc::new(Echo))).unwrap();
        let server = Arc::new(Server::new(world, &config, sites));
        let options = server.tcp_options(false);
        doorway_net::tcp::serve(world, SERVER.parse().unwrap(), &options, &server).unwrap();
    });
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

fn request(line: &str, host: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n")
}

#[track_caller]
fn check(config: &Config, request: String, start: &str, holds: &[&str], lacks: &[&str]) {
    let answers = ask(config, std::slice::from_ref(&request));
    let answer = &answers[0];
    assert!(answer.starts_with(&format!("HTTP/1.1 {start}\r\n")), "{request:?}: {answer}");
    for wanted in holds {
        assert!(answer.contains(wanted), "{request:?} lacks {wanted:?}: {answer}");
    }
    for unwanted in lacks {
        assert!(!answer.contains(unwanted), "{request:?} holds {unwanted:?}: {answer}");
    }
}

#[test]
fn a_request_goes_to_the_site_of_its_host() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("b")).unwrap();
    folder.write("b/index.html", b"the second site\n");
    let second = SiteConfig {
        hosts: vec!["b.example".into(), "*.b.example".into()],
        ..SiteConfig::plain(Some(folder.0.join("b")))
    };
    let config = Config { sites: vec![second], ..config(Some(&folder.public())) };
    for (host, content) in [
        ("b.example", "the second site"),
        ("B.Example:80", "the second site"),
        ("x.b.example", "the second site"),
        ("c.example", "Hello"),
    ] {
        check(&config, request("GET /", host, ""), "200 OK", &[content], &[]);
    }
    // The same path of two sites is not taken from the other one's memory.
    let both = ["a", "b.example", "a", "b.example"].map(|host| request("GET /", host, ""));
    let answers = ask(&config, &both);
    for (answer, content) in answers.iter().zip(["Hello", "second", "Hello", "second"]) {
        assert!(answer.contains(content), "{answer}");
    }
    check(&config, request("GET http://b.example/", "a", ""), "200 OK", &["the second site"], &[]);
}

#[test]
fn routes_redirect_respond_mount_and_serve_folders() {
    let folder = Folder::new();
    let routes = vec![
        redirect("/old", "/new/*", 301),
        redirect("/away", "https://example.org/*", 307),
        route("/ping", RouteDoes::Respond { text: "pong\n".into(), status: 200 }),
        route("/gone", RouteDoes::Respond { text: String::new(), status: 410 }),
        route("/echo", RouteDoes::Mount("echo".into())),
        route("/img", RouteDoes::Root(folder.0.join("public/sub"))),
        RouteConfig {
            methods: vec!["GET".into()],
            body_octets_max: Some(3),
            ..route("/echo/get", RouteDoes::Mount("echo".into()))
        },
    ];
    let site = SiteConfig { routes, ..SiteConfig::plain(Some(folder.public())) };
    let config = Config { sites: vec![site], ..config(None) };
    let get = |path: &str| request(&format!("GET {path}"), "a", "");
    check(&config, get("/old/x/y?q=1"), "301 Moved Permanently", &["Location: /new/x/y?q=1\r\n"], &[]);
    check(&config, get("/o%6cd/x"), "301 Moved Permanently", &["Location: /new/x\r\n"], &[]);
    check(&config, get("/sub/../old/x"), "301 Moved Permanently", &["Location: /new/x\r\n"], &[]);
    check(
        &config,
        get("/old//evil.example/"),
        "301 Moved Permanently",
        &["Location: /new/evil.example/\r\n"],
        &[],
    );
    let post = request("POST /away/a", "a", "Content-Length: 0\r\n");
    check(&config, post, "307 Temporary Redirect", &["Location: https://example.org/a\r\n"], &[]);
    check(&config, get("/ping"), "200 OK", &["\r\n\r\npong\n"], &[]);
    check(&config, get("/gone/x"), "410 Gone", &["Content-Length: 0\r\n"], &[]);
    check(&config, get("/img/"), "200 OK", &["\r\n\r\nsub\n"], &[]);
    check(&config, get("/img/../plain.txt"), "200 OK", &["\r\n\r\nplain\n"], &[]);
    check(&config, get("/img/../../secret.txt"), "404 Not Found", &[], &["secret\n"]);
    check(&config, get("/img/%2e%2e/plain.txt"), "200 OK", &["\r\n\r\nplain\n"], &[]);
    check(&config, get("/echo/x"), "201 Created", &["GET /echo/x"], &[]);
    let post = request("POST /echo/get", "a", "Content-Length: 0\r\n");
    check(&config, post, "405 Method Not Allowed", &["Allow: GET, HEAD, OPTIONS\r\n"], &[]);
    let long = request("GET /echo/get", "a", "Content-Length: 4\r\n") + "four";
    check(&config, long, "413 Content Too Large", &[], &[]);
}

#[test]
fn options_and_allow_tell_what_the_route_takes() {
    let folder = Folder::new();
    let routes = vec![route("/ping", RouteDoes::Respond { text: "pong".into(), status: 200 })];
    let site = SiteConfig { routes, ..SiteConfig::plain(Some(folder.public())) };
    let config = Config { sites: vec![site], ..config(None) };
    let options = |path: &str| request(&format!("OPTIONS {path}"), "a", "");
    check(&config, options("/plain.txt"), "204 No Content", &["Allow: GET, HEAD, OPTIONS\r\n"], &[]);
    let all = "Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS\r\n";
    check(&config, options("/ping"), "204 No Content", &[all], &[]);
    check(&config, options("*"), "204 No Content", &["Allow: "], &[]);
}

#[test]
fn pages_of_listed_origins_are_let_in_and_a_preflight_is_answered() {
    let cors = CorsConfig {
        origins: vec!["https://app.example".into()],
        methods: vec!["GET".into(), "PUT".into()],
        fields: vec!["Content-Type".into()],
        credentials: true,
        max_age: Duration::from_secs(600),
    };
    let folder = Folder::new();
    let routes = vec![
        RouteConfig { cors: Some(cors.clone()), ..route("/echo", RouteDoes::Mount("echo".into())) },
        RouteConfig { cors: Some(cors), ..route("/", RouteDoes::Site) },
    ];
    let site = SiteConfig { routes, ..SiteConfig::plain(Some(folder.public())) };
    let config = Config { sites: vec![site], ..config(None) };
    let ours = "Origin: https://app.example\r\n";
    let let_in = [
        "Access-Control-Allow-Origin: https://app.example\r\n",
        "Access-Control-Allow-Credentials: true\r\n",
        "Vary: Origin\r\n",
    ];
    for path in ["/echo", "/plain.txt", "/large.bin", "/nothing"] {
        let line = format!("GET {path}");
        let status = match path {
            "/nothing" => "404 Not Found",
            "/echo" => "201 Created",
            _ => "200 OK",
        };
        check(&config, request(&line, "a", ours), status, &let_in, &[]);
        let other = request(&line, "a", "Origin: https://evil.example\r\n");
        check(&config, other, status, &["Vary: Origin\r\n"], &["Access-Control"]);
        check(&config, request(&line, "a", ""), status, &["Vary: Origin\r\n"], &["Access-Control"]);
        let preflight = format!("{ours}Access-Control-Request-Method: PUT\r\n");
        let leave = [
            let_in[0],
            "Access-Control-Allow-Methods: GET, PUT\r\n",
            "Access-Control-Allow-Headers: Content-Type\r\n",
            "Access-Control-Max-Age: 600\r\n",
        ];
        check(&config, request(&format!("OPTIONS {path}"), "a", &preflight), "204 No Content", &leave, &[]);
    }
}
