//! The handler, asked as the HTTP server would ask it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use doorway_base::Trace;
use doorway_base::trace::{Direction, Event, EventId, Flow, Step, Transport};
use doorway_net::os::Runtime;
use doorway_net::web::{Body, Handler, Request};
use doorway_net::{BoxFuture, World};
use doorway_store::Store;
use serde_json::{Value, json};

use super::handler::{Control, Program};
use crate::accounts::Accounts;
use crate::config::Config;
use crate::failure::Failure;
use crate::logins;
use crate::storage;

struct Still;

impl Program for Still {
    fn files(&self) -> (Option<String>, String) {
        (Some("/etc/doorway/doorway.toml".to_owned()), "/var/lib/doorway".to_owned())
    }

    fn reload(&self) -> BoxFuture<'_, Result<Value, Failure>> {
        Box::pin(async { Err(Failure::new("the config has 2 errors").fix("see `doorway check`")) })
    }
}

fn request(method: &str, target: &str, unix_user: Option<u32>) -> Request {
    Request { unix_user, ..Request::new(method, target) }
}

pub(super) fn event(summary: &str, octets: &[u8]) -> Event {
    Event {
        id: EventId(0),
        at: doorway_base::Instant::from_nanos(1_500_000_000),
        node: "gate".into(),
        flow: Flow {
            id: 1,
            transport: Transport::Udp,
            local: "127.0.0.1:5300".parse().unwrap(),
            remote: "127.0.0.1:40000".parse().unwrap(),
            canonical_port: 53,
            serving: true,
        },
        direction: Direction::In,
        step: Step::Message,
        protocol: "dns",
        summary: summary.to_owned(),
        octets: octets.into(),
        cause: None,
        note: None,
    }
}

/// A store of its own, gone with the value.
pub(super) struct Data(pub(super) PathBuf);

impl Data {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("doorway-control-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(super) fn control(&self, world: World) -> Control {
        let (config, _) = Config::read(None);
        let store = storage::open(&config, &self.0, None).unwrap();
        let users = storage::users(&config, Arc::clone(&store)).unwrap();
        let sessions = logins::sessions(&config, Arc::clone(&store) as Arc<dyn Store>, &world).unwrap();
        Control::new(world, Arc::new(Still), Arc::new(users), store, Arc::new(sessions))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Status and body of the answer to `method target`, while `events` pass through the trace.
fn ask(method: &'static str, target: &'static str, user: Option<u32>, events: Vec<Event>) -> (u16, Vec<u8>) {
    let runtime = Runtime::start("gate", 1, Trace::off()).unwrap();
    let world: World = runtime.world().clone();
    let data = Data::new();
    let control = data.control(world.clone());
    let answer = async move {
        let response = control.handle(request(method, target, user)).await;
        for event in events {
            world.trace().record(|| event);
        }
        (response.status, response.body.read(1 << 20).await.unwrap().to_vec())
    };
    runtime.block_on(answer).unwrap()
}

fn document(method: &'static str, target: &'static str) -> (u16, Value) {
    let (status, body) = ask(method, target, Some(0), Vec::new());
    (status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn nobody_but_the_owner_and_root_is_answered() {
    let me = rustix::process::getuid().as_raw();
    assert_eq!(ask("GET", "/v1/status", Some(me), Vec::new()).0, 200);
    assert_eq!(ask("GET", "/v1/status", Some(0), Vec::new()).0, 200);
    assert_eq!(ask("GET", "/v1/status", Some(me + 1), Vec::new()).0, 403);
    assert_eq!(ask("GET", "/v1/status", None, Vec::new()).0, 403);
}

#[test]
fn the_status_names_the_process_and_its_files() {
    let (status, told) = document("GET", "/v1/status");
    assert_eq!(status, 200);
    assert_eq!(told["pid"], std::process::id());
    assert_eq!(told["config"], "/etc/doorway/doorway.toml");
    assert_eq!(told["doors"], json!([]));
    assert_eq!(document("GET", "/v1/sockets").1, json!({ "sockets": [] }));
}

#[test]
fn a_reload_that_failed_says_what_why_and_fix() {
    let (status, told) = document("POST", "/v1/reload");
    assert_eq!(status, 422);
    assert_eq!(told, json!({ "what": "the config has 2 errors", "why": "", "fix": "see `doorway check`" }));
}

#[test]
fn users_are_added_listed_changed_and_removed() {
    let runtime = Runtime::start("gate", 1, Trace::off()).unwrap();
    let data = Data::new();
    let control = data.control(runtime.world().clone());
    let script = async move {
        let mut told = Vec::new();
        let add = Accounts::Add {
            name: "Ann".to_owned(),
            roles: vec!["admin".to_owned()],
            password: "correct-horse".to_owned(),
        };
        let short = Accounts::SetPassword { name: "ann".to_owned(), password: "short".to_owned() };
        let change = Accounts::SetPassword { name: "ann".to_owned(), password: "battery-staple".to_owned() };
        let remove = Accounts::Remove { name: "ann".to_owned() };
        for asked in [&add, &add, &Accounts::List, &short, &change, &remove, &remove] {
            let (method, target, body) = asked.to_http();
            let mut request = request(method, &target, Some(0));
            request.body = Body::Whole(body.map(|body| body.to_string()).unwrap_or_default().into());
            let response = control.handle(request).await;
            let body = response.body.read(1 << 20).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            told.push((response.status, body));
        }
        told
    };
    let told = runtime.block_on(script).unwrap();
    let statuses: Vec<u16> = told.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 422, 200, 422, 200, 200, 422], "{told:?}");
    assert_eq!(told[0].1["name"], "ann");
    assert_eq!(told[1].1["what"], "there is a user `Ann` already");
    assert_eq!(told[2].1["users"][0]["roles"], json!(["admin"]));
    assert_eq!(told[3].1["what"], "the password is shorter than 10 characters");
    assert_eq!(told[5].1, json!({ "removed": "ann" }));
    assert_eq!(told[6].1["what"], "there is no user `ann`");
}

#[test]
fn a_store_in_use_verifies_itself() {
    let (status, told) = document("POST", "/v1/store/verify");
    assert_eq!((status, &told["sound"], &told["damages"]), (200, &json!(true), &json!(0)));
}

#[test]
fn a_trace_ends_after_the_messages_that_were_asked_for() {
    let events = ["one", "two", "three"].map(|summary| event(summary, b"....")).to_vec();
    let (status, body) = ask("GET", "/v1/trace?count=2&filter=port%2053", Some(0), events);
    let text = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("one  [4 octets]") && text.contains("two  [4 octets]"), "{text}");
}

#[test]
fn a_trace_in_json_has_an_object_a_line() {
    let (_, body) =
        ask("GET", "/v1/trace?count=1&format=json", Some(0), vec![event("home.arpa SOA?", b"....")]);
    let line: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(line["summary"], "home.arpa SOA?");
    assert_eq!(
        (&line["direction"], &line["step"], &line["octets"]),
        (&json!("in"), &json!("message"), &json!(4))
    );
}

#[test]
fn a_capture_begins_with_its_header_and_knows_canonical_ports() {
    let target = "/v1/trace?count=1&format=pcapng&canonical_ports=1";
    let (_, body) = ask("GET", target, Some(0), vec![event("query", b"octets of the query")]);
    assert_eq!(body[..4], 0x0a0d_0d0a_u32.to_le_bytes());
    let at = body.windows(19).position(|window| window == b"octets of the query").unwrap();
    // The UDP header ends where the payload begins (RFC 768): source, destination, length, checksum.
    assert_eq!(body[at - 6..at - 4], 53_u16.to_be_bytes());
}

#[test]
fn a_trace_without_messages_ends_when_its_time_is_up() {
    assert_eq!(ask("GET", "/v1/trace?for=1ms", Some(0), Vec::new()), (200, Vec::new()));
}

#[test]
fn a_trace_ends_when_its_time_is_up_however_busy_the_server_is() {
    let runtime = Runtime::start("gate", 1, Trace::off()).unwrap();
    let world = runtime.world().clone();
    let data = Data::new();
    let control = data.control(world.clone());
    let pieces = runtime.block_on(async move {
        let response = control.handle(request("GET", "/v1/trace?for=1ms", Some(0))).await;
        let Body::Stream(mut body) = response.body else { return 0 };
        let end = world.now() + std::time::Duration::from_secs(10);
        let mut pieces = 0;
        while world.now() < end {
            world.trace().record(|| event("busy", b"...."));
            if std::future::poll_fn(|cx| body.as_mut().poll_piece(cx)).await.is_none() {
                return pieces;
            }
            pieces += 1;
            world.sleep(std::time::Duration::from_micros(100)).await;
        }
        -1
    });
    assert!(pieces.unwrap() >= 0, "it went on");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (target, says) in [
        ("/v1/trace?filter=port", "`port` needs a value"),
        ("/v1/trace?for=10", "give the number its unit"),
        ("/v1/trace?count=x", "`count` is a number"),
        ("/v1/trace?format=xml", "`xml` is no format"),
        ("/v2/status", "the control socket has no GET /v2/status"),
    ] {
        let (status, told) = document("GET", target);
        assert!((400..500).contains(&status), "{target}");
        assert!(told["what"].as_str().unwrap().contains(says), "{target}: {told}");
    }
}
