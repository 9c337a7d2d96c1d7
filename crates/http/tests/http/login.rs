//! Gates and logins over the wire, in virtual time: who gets in, how, and for how long.

use std::sync::Arc;
use std::time::Duration;

use doorway_http::auth::Verdict;
use doorway_http::config::{CorsConfig, RouteConfig, RouteDoes, SiteConfig};
use doorway_http::h2::frame::{END_HEADERS, END_STREAM};
use doorway_http::session::LoginConfig;
use doorway_http::{Authenticator, Config, Handlers, Login, Server, Sites};
use doorway_net::{World, tcp};
use doorway_sim::{Link, Node, Simulation};
use doorway_store::{
    LoginGate, MemoryStore, Preset, Role, SessionOptions, SessionSecret, Sessions, UserOptions, Users, wait,
};

use crate::h2_frames::{Frames, block, data, get, headers, plain};
use crate::handlers::Echo;
use crate::support::{Folder, SERVER, config, talk};

/// `ann:correct horse`
const ANN: &str = "Authorization: Basic YW5uOmNvcnJlY3QgaG9yc2U=";
const WRONG: &str = "Authorization: Basic YW5uOndyb25n";
const BOB: &str = "Authorization: Basic Ym9iOmNvcnJlY3QgaG9yc2U=";

/// A server with users and something to guard.
struct Guarded {
    sim: Simulation,
    client: Node,
    users: Arc<Users>,
    sessions: Arc<Sessions>,
    authenticator: Arc<Authenticator>,
    folder: Folder,
}

impl Guarded {
    /// `/sub` and `/echo` are for ann, by these ways.
    fn new(ways: &[&str], login: LoginConfig) -> Self {
        let mut sim = Simulation::new(1);
        let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
        sim.link(server, client, Link::default());
        let (world, folder) = (sim.world(server), Folder::new());
        let random = std::sync::Mutex::new(world.random());
        let entropy: doorway_store::Entropy = Arc::new(move |octets| random.lock().unwrap().fill(octets));
        let store = Arc::new(MemoryStore::new());
        let cheap = Preset { memory_kib: 64, passes: 1, lanes: 1 };
        let options = UserOptions { preset: cheap, threads: 0, ..UserOptions::new(Arc::clone(&entropy)) };
        let users = Arc::new(Users::new(store.clone(), options).unwrap());
        for name in ["ann", "bob"] {
            wait(users.add(name, "", &[Role::User], Some("correct horse"), world.wall())).unwrap();
        }
        let sessions = Sessions::open(store, SessionOptions::default(), entropy, world.wall());
        let sessions = Arc::new(wait(sessions).unwrap());
        let authenticator =
            Authenticator::start(&world, Arc::new(LoginGate::new(users.clone(), 5)), sessions.clone(), login);
        let page = Arc::new(Login::new(&world, authenticator.clone()));
        let handlers =
            Handlers::default().with("echo", Arc::new(Echo)).with_login(authenticator.clone(), page);
        let sites = Sites::open(&guarding(&folder, ways), &handlers).unwrap();
        let http = Arc::new(Server::new(&world, &Config { h2c: true, ..config(None) }, sites));
        tcp::serve(&world, SERVER.parse().unwrap(), &http.tcp_options(false), &http).unwrap();
        Self { sim, client, users, sessions, authenticator, folder }
    }

    fn open(ways: &[&str]) -> Self {
        Self::new(ways, LoginConfig { cleartext: true, ..LoginConfig::default() })
    }

    fn world(&self) -> World {
        self.sim.world(self.client)
    }

    /// What is answered to these requests, sent at once on one connection.
    fn ask(&mut self, requests: &[String]) -> String {
        let (world, octets) = (self.world(), requests.concat().into_bytes());
        let answer = self.sim.run(self.client, async move { talk(&world, &octets).await }).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// What is answered to one request with these fields.
    fn one(&mut self, line: &str, fields: &[&str]) -> Got {
        Got::read(&self.ask(&[request(line, &[fields, &["Connection: close"]].concat(), "")]))
    }

    fn post(&mut self, path: &str, fields: &[&str], form: &str) -> Got {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let fields = [fields, &[kind, "Connection: close"]].concat();
        Got::read(&self.ask(&[request(&format!("POST {path}"), &fields, form)]))
    }

    /// Logs in through the page and gives the session's cookie.
    fn log_in(&mut self, cookie: &str) -> String {
        let page = self.one("GET /login?to=/sub/", &[cookie]);
        let form = format!("to=/sub/&user=ann&password=correct+horse&token={}", page.token());
        let cookies = format!("Cookie: {}; {}", page.cookie("login"), cookie.trim_start_matches("Cookie: "));
        let got = self.post("/login", &[&cookies], &form);
        assert_eq!((got.status, got.field("Location")), (303, Some("/sub/")), "{}", got.text);
        format!("Cookie: {}", got.cookie("sid"))
    }

    fn pass(&mut self, seconds: u64) {
        self.sim.run_for(Duration::from_secs(seconds));
    }
}

fn guarding(folder: &Folder, ways: &[&str]) -> Config {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let plain = SiteConfig::plain(Some(folder.public()));
    let route = |path: &str, does| RouteConfig {
        path: path.to_owned(),
        does,
        methods: Vec::new(),
        body_octets_max: None,
        fields: Vec::new(),
        auth: Some(words(&["ann"])),
        login: Some(words(ways)),
        realm: Some("staff".to_owned()),
        cors: None,
    };
    let cors = CorsConfig {
        origins: words(&["https://app.test"]),
        methods: words(&["DELETE"]),
        fields: Vec::new(),
        credentials: true,
        max_age: Duration::ZERO,
    };
    let app = RouteConfig { cors: Some(cors), ..route("/app", RouteDoes::Mount("echo".to_owned())) };
    let routes =
        vec![app, route("/sub", RouteDoes::Site), route("/echo", RouteDoes::Mount("echo".to_owned()))];
    Config { sites: vec![SiteConfig { routes, ..plain }], ..config(None) }
}

fn request(line: &str, fields: &[&str], body: &str) -> String {
    let fields: String =
        fields.iter().filter(|field| !field.is_empty()).map(|field| format!("{field}\r\n")).collect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{line} HTTP/1.1\r\nHost: shop.test\r\n{fields}{length}\r\n{body}")
}

/// A response.
struct Got {
    status: u16,
    text: String,
}

impl Got {
    fn read(text: &str) -> Self {
        Self { status: text[9..12].parse().unwrap(), text: text.to_owned() }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.split("\r\n").take_while(|line| !line.is_empty());
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Name and value of a cookie that is set.
    fn cookie(&self, name: &str) -> String {
        let start = format!("Set-Cookie: {name}=");
        let line = self.text.split("\r\n").find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no {name} in {}", self.text));
        line["Set-Cookie: ".len()..].split(';').next().unwrap().to_owned()
    }

    fn token(&self) -> &str {
        let at = self.text.find("name=\"token\" value=\"").unwrap() + "name=\"token\" value=\"".len();
        &self.text[at..at + 32]
    }
}

#[test]
fn only_those_who_are_named_come_in_and_no_spelling_leads_round() {
    let mut guarded = Guarded::open(&["basic"]);
    for (path, field, status) in [
        ("/plain.txt", "", 200),
        ("/sub/", "", 401),
        ("/sub/", WRONG, 401),
        ("/sub/", BOB, 403),
        ("/sub/", ANN, 200),
        ("/sub/index.html", ANN, 200),
        ("/sub", "", 401),
        ("/sub/none", "", 401),
        ("/%73ub/", "", 401),
        ("//sub/", "", 401),
        ("/./sub/", "", 401),
        ("/x/../sub/index.html", "", 401),
        ("/x/%2e%2e/sub/", "", 401),
        ("/subx", "", 404),
        ("/sub/", "Authorization: Basic !", 401),
        ("/sub/", "Authorization: Digest username=\"ann\"", 401),
        ("/sub/", "Authorization: Bearer ann.correct-horse", 401),
    ] {
        let got = guarded.one(&format!("GET {path}"), &[field]);
        assert_eq!(got.status, status, "{path} {field}: {}", got.text);
        let challenge = got.field("WWW-Authenticate");
        let expected = (status == 401).then_some("Basic realm=\"staff\", charset=\"UTF-8\"");
        assert_eq!(challenge, expected, "{path} {field}");
    }
    assert_eq!(guarded.one("GET /sub/", &[ANN, WRONG]).status, 200, "the first field counts");
    let tally = guarded.authenticator.tally();
    assert_eq!(tally.denied.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn a_request_that_was_held_back_is_answered_in_its_turn_and_with_its_body() {
    let mut guarded = Guarded::open(&["basic"]);
    let answer = guarded.ask(&[
        request("GET /plain.txt", &[], ""),
        request("POST /plain.txt", &[], "a body that nobody wants"),
        request("POST /echo/x", &[ANN], "hello"),
        request("GET /sub/", &[ANN], ""),
        request("GET /sub/", &[WRONG], ""),
        request("GET /plain.txt", &["Connection: close"], ""),
    ]);
    let statuses: Vec<&str> =
        answer.split("HTTP/1.1 ").skip(1).map(|response| response.split(' ').next().unwrap()).collect();
    assert_eq!(statuses, ["200", "405", "201", "200", "401", "200"], "{answer}");
    assert!(answer.contains(": hello"), "{answer}");
}

#[test]
fn the_sixth_guess_in_a_minute_waits_even_if_it_is_right() {
    let mut guarded = Guarded::open(&["basic"]);
    let guess = |number: u32| match number {
        0 => "YW5uOmE=",
        1 => "YW5uOmI=",
        2 => "YW5uOmM=",
        3 => "YW5uOmQ=",
        _ => "YW5uOmU=",
    };
    for number in 0..5 {
        let field = format!("Authorization: Basic {}", guess(number));
        assert_eq!(guarded.one("GET /sub/", &[&field]).status, 401);
    }
    let got = guarded.one("GET /sub/", &[ANN]);
    assert_eq!(got.status, 429, "{}", got.text);
    let wait: u64 = got.field("Retry-After").unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    assert_eq!(guarded.one("GET /sub/", &[BOB]).status, 403, "others are not held up");
    guarded.pass(wait + 1);
    assert_eq!(guarded.one("GET /sub/", &[ANN]).status, 200);
}

#[test]
fn an_address_that_tries_one_password_for_many_users_is_held_up_as_well() {
    let mut guarded = Guarded::open(&["form"]);
    let (world, authenticator) = (guarded.world(), Arc::clone(&guarded.authenticator));
    let told = guarded.sim.run(guarded.client, async move {
        let mut told = Vec::new();
        for number in 0..60 {
            let (name, from) = (format!("user{number}"), "192.0.2.7".parse().unwrap());
            told.push(authenticator.login(&name, "spring", from, world.now(), world.wall()).await);
        }
        let other = authenticator.login(
            "ann",
            "correct horse",
            "192.0.2.8".parse().unwrap(),
            world.now(),
            world.wall(),
        );
        told.push(other.await);
        told
    });
    let told = told.unwrap();
    assert!(told[..50].iter().all(|verdict| *verdict == Verdict::Denied));
    assert!(told[50..60].iter().all(|verdict| matches!(verdict, Verdict::Limited(_))));
    assert!(matches!(told[60], Verdict::Person(_)), "others are not held up");
}

#[test]
fn a_change_of_the_user_ends_what_was_remembered() {
    let mut guarded = Guarded::open(&["basic", "form"]);
    assert_eq!(guarded.one("GET /sub/", &[ANN]).status, 200);
    let cookie = guarded.log_in("");
    assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 200);
    let now = guarded.world().wall();
    wait(guarded.users.set_password("ann", "another horse", now)).unwrap();
    assert_eq!(guarded.one("GET /sub/", &[ANN]).status, 401);
    wait(guarded.users.remove("ann")).unwrap();
    assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 401);
}

#[test]
fn a_token_is_a_name_and_an_app_password() {
    let mut guarded = Guarded::open(&["bearer"]);
    let now = guarded.world().wall();
    let secret = wait(guarded.users.add_app_password("ann", "script", &["http"], None, now)).unwrap();
    let mail = wait(guarded.users.add_app_password("ann", "mail", &["imap"], None, now)).unwrap();
    let mut check = |token: String, status| {
        let got = guarded
            .one("PUT /echo", &[&format!("Authorization: Bearer {token}"), "Origin: https://app.test"]);
        assert_eq!(got.status, status, "{token}: {}", got.text);
        got.field("WWW-Authenticate").map(str::to_owned)
    };
    assert_eq!(check(format!("ann.{secret}"), 201), None);
    let told = check(format!("bob.{secret}"), 401);
    assert_eq!(told.as_deref(), Some("Bearer realm=\"staff\", error=\"invalid_token\""));
    check(format!("ann.{mail}"), 401);
}

#[test]
fn a_browser_is_shown_the_form_and_comes_back_to_where_it_wanted() {
    let mut guarded = Guarded::open(&["basic", "form"]);
    let got = guarded.one("GET /sub/?a=b&c", &["Accept: text/html,*/*"]);
    assert_eq!((got.status, got.field("Location")), (303, Some("/login?to=%2Fsub%2F%3Fa%3Db%26c")));
    let page = guarded.one("GET /login?to=%2Fsub%2F%3Fa%3Db%26c", &[]);
    assert!(page.text.contains("name=\"to\" value=\"/sub/?a=b&amp;c\""), "{}", page.text);
    assert!(
        page.field("Content-Security-Policy").is_some() && page.field("Cache-Control") == Some("no-store")
    );
    let elsewhere = guarded.one("GET /login?to=//evil.test", &[]);
    assert!(elsewhere.text.contains("name=\"to\" value=\"/\""), "{}", elsewhere.text);
    let script = guarded.one("GET /login?to=%22%3E%3Cscript%3E", &[]);
    assert!(!script.text.contains("<script"), "{}", script.text);
    let style = guarded.one("GET /login/style.css", &[]);
    assert_eq!((style.status, style.field("Content-Type")), (200, Some("text/css; charset=utf-8")));
    let cookie = guarded.log_in("");
    assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 200);
    assert!(guarded.one("GET /login", &[&cookie]).text.contains("Hello, ann"));
    assert_eq!(guarded.one("GET /sub/", &["Cookie: sid=00112233445566778899aabbccddeeff"]).status, 401);
}

#[test]
fn a_form_that_our_page_did_not_make_logs_nobody_in() {
    let mut guarded = Guarded::open(&["form"]);
    let page = guarded.one("GET /login", &[]);
    let (token, cookie) = (page.token().to_owned(), format!("Cookie: {}", page.cookie("login")));
    let form = format!("user=ann&password=correct+horse&token={token}");
    let mut check = |fields: &[&str], form: &str, status| {
        let got = guarded.post("/login", fields, form);
        assert_eq!(got.status, status, "{fields:?} {form}: {}", got.text);
        assert_eq!(got.text.contains("Set-Cookie: sid="), status == 303);
    };
    check(&[], &form, 403);
    check(&[&cookie], "user=ann&password=correct+horse", 403);
    check(&[&cookie], "user=ann&password=correct+horse&token=00", 403);
    check(&["Cookie: login=00112233445566778899aabbccddeeff"], &form, 403);
    check(&[&cookie, "Origin: https://evil.test"], &form, 403);
    check(&[&cookie, "Sec-Fetch-Site: cross-site"], &form, 403);
    check(&[&cookie], "user=ann&password=wrong&token=", 403);
    check(&[&cookie], &form.replace("correct", "wrong"), 403);
    check(&[&cookie], "user=%zz", 400);
    check(&[&cookie, "Origin: http://shop.test", "Sec-Fetch-Site: same-origin"], &form, 303);
}

#[test]
fn a_session_is_gone_after_thirty_minutes_of_idleness() {
    let mut guarded = Guarded::open(&["form"]);
    let cookie = guarded.log_in("");
    for _ in 0..3 {
        guarded.pass(29 * 60 + 50);
        assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 200);
    }
    guarded.pass(30 * 60);
    assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 303);
}

#[test]
fn a_session_ends_after_twelve_hours_however_much_it_is_used() {
    let mut guarded = Guarded::open(&["form"]);
    let cookie = guarded.log_in("");
    let mut minutes = 0;
    while guarded.one("GET /sub/", &[&cookie]).status == 200 {
        guarded.pass(20 * 60);
        minutes += 20;
    }
    assert_eq!(minutes, 12 * 60);
}

#[test]
fn a_secret_that_was_stolen_before_the_login_opens_nothing_after_it() {
    let mut guarded = Guarded::open(&["form"]);
    let now = guarded.world().wall();
    let planted = wait(guarded.sessions.begin(None, "cart".into(), now)).unwrap();
    let stolen = format!("Cookie: sid={}", planted.text());
    assert_eq!(guarded.one("GET /sub/", &[&stolen]).status, 303, "a visitor is nobody");
    let cookie = guarded.log_in(&stolen);
    assert_ne!(cookie, stolen);
    assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 200);
    assert_eq!(guarded.one("GET /sub/", &[&stolen]).status, 303);
    assert_eq!(guarded.sessions.find(&planted, now), None);
    let secret = SessionSecret::parse(cookie.trim_start_matches("Cookie: sid=")).unwrap();
    assert_eq!(guarded.sessions.find(&secret, now).unwrap().value, "cart", "what was in it stays");
}

#[test]
fn whoever_logs_out_or_is_revoked_is_out() {
    let mut guarded = Guarded::open(&["form"]);
    let cookie = guarded.log_in("");
    let page = guarded.one("GET /login", &[&cookie]);
    assert_eq!(guarded.post("/login/out", &[&cookie], "token=00").status, 403);
    let token = format!("token={}", page.token());
    assert_eq!(guarded.post("/login/out", &[&cookie, "Origin: null"], &token).status, 403);
    assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 200);
    let got = guarded.post("/login/out", &[&cookie], &token);
    assert_eq!((got.status, got.cookie("sid").as_str()), (303, "sid="));
    assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 303);
    let cookie = guarded.log_in("");
    let now = guarded.world().wall();
    assert_eq!(wait(guarded.sessions.revoke_user("ann", now)), Ok(1));
    assert_eq!(guarded.one("GET /sub/", &[&cookie]).status, 303);
}

#[test]
fn another_sites_page_cannot_act_for_who_is_logged_in() {
    let mut guarded = Guarded::open(&["basic", "form"]);
    let cookie = guarded.log_in("");
    for credentials in [cookie.as_str(), ANN] {
        for (fields, status) in [
            (&[][..], 201),
            (&["Origin: http://shop.test"], 201),
            (&["Sec-Fetch-Site: same-origin", "Origin: https://shop.test"], 201),
            (&["Origin: https://evil.test"], 403),
            (&["Origin: null"], 403),
            (&["Sec-Fetch-Site: cross-site"], 403),
        ] {
            let got = guarded.one("DELETE /echo", &[&[credentials], fields].concat());
            assert_eq!(got.status, status, "{credentials} {fields:?}: {}", got.text);
        }
        let got = guarded.one("GET /echo", &[credentials, "Sec-Fetch-Site: cross-site"]);
        assert_eq!(got.status, 201, "to look is allowed");
        for (origin, status) in [("https://app.test", 201), ("https://evil.test", 403)] {
            let fields = [credentials, &format!("Origin: {origin}"), "Sec-Fetch-Site: cross-site"];
            assert_eq!(guarded.one("DELETE /app", &fields).status, status, "{origin} is invited, or not");
        }
    }
}

#[test]
fn no_password_is_asked_for_or_taken_over_an_open_connection_from_elsewhere() {
    let mut guarded = Guarded::new(&["basic", "form"], LoginConfig::default());
    for fields in [&[][..], &[ANN], &["Accept: text/html"]] {
        let got = guarded.one("GET /sub/", fields);
        assert_eq!((got.status, got.field("WWW-Authenticate")), (403, None), "{fields:?}");
        assert!(got.text.contains("http.login.cleartext"), "{}", got.text);
    }
    let page = guarded.one("GET /login", &[]);
    assert!(page.status == 403 && !page.text.contains("<input"), "{}", page.text);
    assert_eq!(guarded.one("GET /plain.txt", &[]).status, 200);
    guarded.folder.write("public/sub/new.txt", b"new");
    assert_eq!(guarded.one("GET /sub/new.txt", &[]).status, 403);
}

#[test]
fn over_http_2_nobody_waits_for_a_password_but_who_gave_it() {
    let mut guarded = Guarded::open(&["basic"]);
    let world = guarded.world();
    let said = guarded.sim.run(guarded.client, async move {
        let mut frames = Frames::open(&world).await;
        let request = |stream, flags, method: &str, path: &str, line: &str| {
            let fields = [plain(method, path), block(&[("authorization", line.split_once(": ").unwrap().1)])];
            headers(stream, flags | END_HEADERS, &fields.concat())
        };
        let parts = [
            request(1, 0, "POST", "/echo", ANN),
            request(3, END_STREAM, "GET", "/echo", WRONG),
            data(1, END_STREAM, b"hello"),
            get(5, "/none"),
        ];
        frames.send(&parts.concat()).await;
        let mut said = Vec::new();
        while said.iter().filter(|frame: &&String| frame.ends_with(" end")).count() < 3 {
            said.push(frames.next().await.unwrap());
        }
        said
    });
    let said = said.unwrap();
    assert!(said[0].starts_with("HEADERS 5 404"), "{said:?}");
    assert!(said.iter().any(|frame| frame == "HEADERS 1 201"), "{said:?}");
    assert!(said.iter().any(|frame| frame.starts_with("HEADERS 3 401")), "{said:?}");
}
