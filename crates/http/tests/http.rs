//! The server behind its real door, over the virtual network: what a client sees octet by octet, and
//! when. The folder that is served is a real one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail here")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use doorway_base::trace::{Direction, Step, TraceHash};
use doorway_http::{Config, Server, Site};
use doorway_net::tcp::{self, Connection, TcpDoor, TcpService};
use doorway_net::web::{BodyStream, Bytes, Handler, Request, Response};
use doorway_net::{BoxFuture, Stream, World};
use doorway_sim::{Link, Node, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SERVER: &str = "10.0.0.1:80";

/// A folder of its own for one test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let path = std::env::temp_dir().join(format!("doorway-http-{}-{number}", std::process::id()));
        let folder = Self(path);
        fs::create_dir_all(folder.0.join("public/sub")).unwrap();
        fs::create_dir_all(folder.0.join("public/.well-known")).unwrap();
        folder.write("public/index.html", b"<h1>Hello</h1>\n");
        folder.write("public/sub/index.html", b"sub\n");
        folder.write("public/plain.txt", b"plain\n");
        folder.write("public/.hidden", b"hidden\n");
        folder.write("public/.well-known/security.txt", b"Contact: x\n");
        folder.write("public/large.bin", &large());
        folder.write("secret.txt", b"secret\n");
        folder
    }

    fn write(&self, name: &str, octets: &[u8]) {
        let path = self.0.join(name);
        fs::write(&path, octets).unwrap();
        // RFC 9110's own example date.
        self.date(name, UNIX_EPOCH + Duration::from_secs(784_111_777));
    }

    fn date(&self, name: &str, time: SystemTime) {
        fs::File::options().write(true).open(self.0.join(name)).unwrap().set_modified(time).unwrap();
    }

    fn public(&self) -> PathBuf {
        self.0.join("public")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Longer than what is kept in memory.
fn large() -> Vec<u8> {
    (0..300_000u32).map(|n| (n % 251) as u8).collect()
}

fn config(root: Option<&Path>) -> Config {
    Config { root: root.map(Path::to_owned), server_name: String::new(), ..Config::default() }
}

fn serve(world: &World, config: &Config) -> (Arc<Server>, TcpDoor) {
    let site = Site::open(config)
        .unwrap()
        .mount("/echo", Arc::new(Echo))
        .mount("/slow", Arc::new(Slow(world.clone())))
        .mount("/later", Arc::new(Later(world.clone())));
    let server = Arc::new(Server::new(world, config, site));
    let door = tcp::serve(world, SERVER.parse().unwrap(), &server.tcp_options(), &server).unwrap();
    (server, door)
}

fn network(seed: u64, config: Config, link: Link) -> (Simulation, Node) {
    let mut sim = Simulation::new(seed);
    let server = sim.node("server", "10.0.0.1");
    let client = sim.node("client", "10.0.0.2");
    sim.link(server, client, link);
    sim.boot(server, move |world, _| drop(serve(world, &config)));
    (sim, client)
}

async fn dial(world: &World) -> Stream {
    world.connect(SERVER.parse().unwrap()).await.unwrap()
}

/// Sends `request` and reads to the end of the connection, for at most an hour.
async fn talk(world: &World, request: &[u8]) -> Vec<u8> {
    let mut stream = dial(world).await;
    // The server may end the connection before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = world.timeout(Duration::from_secs(3600), stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

/// What `config` answers to `request`, with the Date and the inode of ETags taken out.
fn answers(config: Config, request: &str) -> String {
    let (mut sim, client) = network(1, config, Link::default());
    let world = sim.world(client);
    let request = request.as_bytes().to_vec();
    let answer = sim.run(client, async move { talk(&world, &request).await }).unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let without = |line: &str| match line.split_once("ETag: \"") {
        Some((_, tag)) => format!("ETag: \"{}", tag.split_once('-').unwrap().1),
        None => line.to_owned(),
    };
    text.split("\r\n")
        .filter(|line| !line.starts_with("Date: "))
        .map(without)
        .collect::<Vec<_>>()
        .join("\r\n")
}

/// A request whose connection ends after it.
fn last(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_file_is_sent_with_its_type_length_and_validators() {
    let folder = Folder::new();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 15\r\n\
         ETag: \"f-ae1b981bc490a00\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\n";
    let config = config(Some(&folder.public()));
    assert_eq!(answers(config.clone(), &last("GET /")), format!("{head}<h1>Hello</h1>\n"));
    assert_eq!(answers(config, &last("HEAD /index.html")), head);
}

#[test]
fn all_requests_of_one_read_are_answered_in_order_with_one_write() {
    let folder = Folder::new();
    let (mut sim, client) = network(1, config(Some(&folder.public())), Link::default());
    let world = sim.world(client);
    let read = sim.run(client, async move {
        let mut stream = dial(&world).await;
        let one = "GET /plain.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5);
        let two = "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\nGET /sub/ HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(format!("{one}{two}").as_bytes()).await.unwrap();
        let mut octets = vec![0; 100_000];
        let count = stream.read(&mut octets).await.unwrap();
        String::from_utf8_lossy(&octets[..count]).into_owned()
    });
    let read = read.unwrap();
    assert_eq!(read.matches("\r\n\r\nplain\nHTTP/1.1 ").count(), 5, "{read}");
    let (_, end) = read.split_once("HTTP/1.1 404 Not Found\r\n").unwrap();
    assert!(end.contains("\r\n\r\nHTTP/1.1 200 OK\r\n") && end.ends_with("\r\n\r\nsub\n"), "{end}");
}

#[test]
fn nothing_outside_the_folder_is_ever_sent() {
    let folder = Folder::new();
    let public = folder.public();
    symlink("../secret.txt", public.join("up")).unwrap();
    symlink(folder.0.join("secret.txt"), public.join("absolute")).unwrap();
    symlink("..", public.join("parent")).unwrap();
    symlink("/proc/self/root/etc/passwd", public.join("magic")).unwrap();
    symlink("loop", public.join("loop")).unwrap();
    symlink("plain.txt", public.join("inside")).unwrap();
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/.%2E/secret.txt",
        "/%252e%252e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/sub/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//../secret.txt",
        "/up",
        "/absolute",
        "/parent/secret.txt",
        "/parent/public/plain.txt",
        "/magic",
        "/loop",
        "/.hidden",
        "/%2ehidden",
        "/plain.txt/",
        "/plain.txt/x",
    ] {
        let answer = answers(config(Some(&public)), &last(&format!("GET {path}")));
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {answer}");
    }
    for path in ["/plain.txt%00.html", "/%ff", "/%zz", "/a\\..\\secret.txt"] {
        let answer = answers(config(Some(&public)), &last(&format!("GET {path}")));
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{path}: {answer}");
    }
    for path in ["/inside", "/sub/../plain.txt", "/%70lain.txt", "/.well-known/security.txt"] {
        let answer = answers(config(Some(&public)), &last(&format!("GET {path}")));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
    }
}

#[test]
fn statuses_say_what_can_be_done_instead() {
    let folder = Folder::new();
    let check = |request: String, start: &str, holds: &str| {
        let answer = answers(config(Some(&folder.public())), &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {start}\r\n")), "{request:?}: {answer}");
        assert!(answer.contains(holds), "{request:?}: {answer}");
    };
    check(last("GET /sub"), "301 Moved Permanently", "\r\nLocation: /sub/\r\n");
    check(last("GET //sub?a=b"), "301 Moved Permanently", "\r\nLocation: /sub/?a=b\r\n");
    check(last("GET /nothing"), "404 Not Found", "404 Not Found\n");
    check(last("DELETE /"), "405 Method Not Allowed", "\r\nAllow: GET, HEAD, OPTIONS\r\n");
    check(last("CONNECT a:443"), "405 Method Not Allowed", "\r\nAllow: GET, HEAD, OPTIONS\r\n");
    check(last("OPTIONS *"), "204 No Content", "\r\nAllow: GET, HEAD, OPTIONS\r\n");
    check(last("BREW /"), "501 Not Implemented", "Connection: close");
    check(last(&format!("GET /{}", "a".repeat(17_000))), "414 URI Too Long", "(RFC 9112 §3)");
    check(last("GET /").replace("1.1", "2.0"), "505 HTTP Version Not Supported", "is 1");
    check(last("GET /").replace("Host", "Host "), "400 Bad Request", "broken at octet 20");
    let fields = "X: y\r\n".repeat(200);
    check(
        format!("GET / HTTP/1.1\r\n{fields}\r\n"),
        "431 Request Header Fields Too Large",
        "number of fields",
    );
    let long = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n";
    check(long.to_owned(), "413 Content Too Large", "within the limit");
    check(
        last("GET /").replace("Host: a", "Host: a\r\nExpect: cake"),
        "417 Expectation Failed",
        "100-continue",
    );
}

#[test]
fn a_copy_that_is_still_good_is_not_sent_again() {
    let folder = Folder::new();
    let check = |path: &str, field: &str, start: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n\r\n");
        let answer = answers(config(Some(&folder.public())), &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {start}")), "{request:?}: {answer}");
        assert_eq!(answer.ends_with("\r\n\r\n"), !start.starts_with("200"), "{request:?}: {answer}");
    };
    for path in ["/plain.txt", "/large.bin"] {
        check(path, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "304");
        check(path, "If-Modified-Since: Sunday, 06-Nov-94 08:49:36 GMT", "200");
        check(path, "If-None-Match: *", "304");
        check(path, "If-None-Match: \"x\"", "200");
    }
    check("/plain.txt", "If-Match: \"x\"", "412");
}

#[test]
fn a_large_file_arrives_whole_over_a_bad_line_and_the_connection_goes_on() {
    let folder = Folder::new();
    let link = Link { delay: Duration::from_millis(20), loss: 0.05, ..Link::default() };
    let (mut sim, client) = network(3, config(Some(&folder.public())), link);
    let world = sim.world(client);
    let request = format!("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n{}", last("GET /plain.txt"));
    let answer = sim.run(client, async move { talk(&world, request.as_bytes()).await }).unwrap();
    let start = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let (body, rest) = answer[start..].split_at(300_000);
    assert!(body == large());
    assert!(rest.starts_with(b"HTTP/1.1 200 OK\r\n") && rest.ends_with(b"\r\n\r\nplain\n"));
}

#[test]
fn a_changed_file_is_served_within_a_second() {
    let folder = Folder::new();
    let (mut sim, client) = network(1, config(Some(&folder.public())), Link::default());
    let world = sim.world(client);
    let written = folder.0.clone();
    let bodies = sim.run(client, async move {
        let mut bodies = Vec::new();
        for round in 0..4 {
            let answer = talk(&world, last("GET /plain.txt").as_bytes()).await;
            let text = String::from_utf8(answer).unwrap();
            bodies.push(text.rsplit("\r\n\r\n").next().unwrap().to_owned());
            match round {
                0 => fs::write(written.join("public/plain.txt"), "other\n").unwrap(),
                1 => fs::remove_file(written.join("public/plain.txt")).unwrap(),
                _ => {}
            }
            world.sleep(Duration::from_secs(1)).await;
        }
        bodies
    });
    assert_eq!(bodies.unwrap(), ["plain\n", "other\n", "404 Not Found\n", "404 Not Found\n"]);
}

#[test]
fn a_slow_head_gets_408_and_a_silent_connection_is_closed() {
    let folder = Folder::new();
    let (mut sim, client) = network(1, config(Some(&folder.public())), Link::default());
    let world = sim.world(client);
    let (slow, slow_took, idle_took) = sim
        .run(client, async move {
            let mut stream = dial(&world).await;
            let start = world.now();
            let mut answer = Vec::new();
            stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
            stream.read_to_end(&mut answer).await.unwrap();
            let slow_took = world.now() - start;
            let mut stream = dial(&world).await;
            let start = world.now();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
            (String::from_utf8(answer).unwrap(), slow_took, world.now() - start)
        })
        .unwrap();
    assert!(slow.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{slow}");
    assert_eq!(slow_took.as_secs(), 10);
    assert_eq!(idle_took.as_secs(), 60);
}

#[test]
fn a_closing_door_finishes_what_was_asked_and_lets_go_of_the_rest() {
    let folder = Folder::new();
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (_, door) = serve(&sim.world(server), &config(Some(&folder.public())));
    let world = sim.world(client);
    let (idle, busy) = sim
        .run(client, async move {
            let mut idle = dial(&world).await;
            let mut busy = dial(&world).await;
            busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            world.sleep(Duration::from_secs(1)).await;
            door.close();
            let mut answer = Vec::new();
            busy.read_to_end(&mut answer).await.unwrap();
            (idle.read_to_end(&mut Vec::new()).await.unwrap(), String::from_utf8(answer).unwrap())
        })
        .unwrap();
    assert_eq!(idle, 0);
    assert!(busy.starts_with("HTTP/1.1 200 OK\r\n") && busy.ends_with("0\r\n\r\n"), "{busy}");
}

/// Says what it was asked, and how.
struct Echo;

impl Handler for Echo {
    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let body = request.body.read(100).await.unwrap();
            let text = format!(
                "{} {} {:?} at {} for {}: {}",
                request.method,
                request.path,
                request.query,
                request.host,
                request.remote.ip(),
                String::from_utf8_lossy(&body)
            );
            Response::new(201, "text/plain", text).with("X-Sum", "1").with("Content-Length", "9")
        })
    }
}

/// Sends three pieces, five seconds apart.
struct Slow(World);

struct Pieces {
    world: World,
    sent: u8,
    pause: BoxFuture<'static, ()>,
}

impl BodyStream for Pieces {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        ready!(self.pause.as_mut().poll(cx));
        self.pause = self.world.sleep(Duration::from_secs(5));
        self.sent += 1;
        let piece = vec![b'0' + self.sent; usize::from(self.sent) * 6];
        Poll::Ready((self.sent <= 3).then(|| Ok(Bytes::from(piece))))
    }
}

impl Handler for Slow {
    fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
        let (world, pause) = (self.0.clone(), self.0.sleep(Duration::from_secs(5)));
        let pieces = Pieces { world, sent: 0, pause };
        Box::pin(async { Response::stream(200, "text/plain", pieces) })
    }
}

#[test]
fn slow_work_and_a_slow_line_are_no_silence() {
    let folder = Folder::new();
    let link = Link { rate: 50_000, ..Link::default() };
    let config = Config { keepalive: Duration::from_secs(2), ..config(Some(&folder.public())) };
    let (mut sim, client) = network(1, config, link);
    let world = sim.world(client);
    let (length, took) = sim
        .run(client, async move {
            let length = talk(&world, last("GET /large.bin").as_bytes()).await.len();
            let start = world.now();
            talk(&world, last("GET /later").as_bytes()).await;
            (length, world.now() - start)
        })
        .unwrap();
    assert!(length > 300_000, "{length} octets");
    assert_eq!(took.as_secs(), 300);
}

/// Answers after five minutes.
struct Later(World);

impl Handler for Later {
    fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
        Box::pin(async {
            self.0.sleep(Duration::from_secs(300)).await;
            Response { status: 204, ..Response::default() }
        })
    }
}

/// Never answers, and counts how often it was given up.
struct Never(Arc<AtomicUsize>);

struct GivenUp(Arc<AtomicUsize>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Handler for Never {
    fn handle(&self, _: Request) -> BoxFuture<'_, Response> {
        let given_up = GivenUp(Arc::clone(&self.0));
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(given_up);
            Response::default()
        })
    }
}

#[test]
fn a_handler_is_given_up_when_its_client_goes_away() {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let world = sim.world(server);
    let config = config(None);
    let given_up = Arc::new(AtomicUsize::new(0));
    let site = Site::open(&config).unwrap().mount("/", Arc::new(Never(Arc::clone(&given_up))));
    let service = Arc::new(Server::new(&world, &config, site));
    tcp::serve(&world, SERVER.parse().unwrap(), &service.tcp_options(), &service).unwrap();
    let world = sim.world(client);
    let count = Arc::clone(&given_up);
    let before = sim.run(client, async move {
        let mut stream = dial(&world).await;
        stream.write_all(last("GET /").as_bytes()).await.unwrap();
        world.sleep(Duration::from_secs(30)).await;
        count.load(Relaxed)
    });
    sim.run_for(Duration::from_secs(1));
    assert_eq!((before.unwrap(), given_up.load(Relaxed)), (0, 1));
}

#[test]
fn a_handler_gets_the_body_however_it_was_framed() {
    let check = |request: &str, body: &str| {
        let answer = answers(config(None), request);
        let (head, rest) = answer.rsplit_once("\r\n\r\n").unwrap();
        assert_eq!(rest, body, "{request:?}");
        let length = format!("Content-Type: text/plain\r\nX-Sum: 1\r\nContent-Length: {}", body.len());
        assert!(head.contains(&length), "{request:?}: {head}");
    };
    check(
        "POST /echo/x?q=1 HTTP/1.1\r\nHost: web.test:8080\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo/x Some(\"q=1\") at web.test for 10.0.0.2: hello",
    );
    check(
        "PUT http://b/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "PUT /echo None at b for 10.0.0.2: hello",
    );
    check("GET /echo HTTP/1.0\r\n\r\n", "GET /echo None at  for 10.0.0.2: ");
}

#[test]
fn a_client_that_waits_for_100_gets_it_before_it_sends() {
    let (mut sim, client) = network(1, config(None), Link::default());
    let world = sim.world(client);
    let answer = sim
        .run(client, async move {
            let mut stream = dial(&world).await;
            let head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut first = [0; 25];
            stream.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
            stream.write_all(b"ok").await.unwrap();
            let mut rest = String::new();
            stream.read_to_string(&mut rest).await.unwrap();
            rest
        })
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n") && answer.ends_with(": ok"), "{answer}");
}

#[test]
fn a_stream_is_chunked_for_1_1_and_ends_with_the_connection_for_1_0() {
    let body = "6\r\n111111\r\nc\r\n222222222222\r\n12\r\n333333333333333333\r\n0\r\n\r\n";
    let answer = answers(config(None), &last("GET /slow"));
    assert!(answer.contains("\r\nTransfer-Encoding: chunked\r\n") && answer.ends_with(body), "{answer}");
    let answer = answers(config(None), "GET /slow HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(!answer.contains("Transfer-Encoding") && !answer.contains("keep-alive"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n111111222222222222333333333333333333"), "{answer}");
    let answer = answers(config(None), &last("HEAD /slow"));
    assert!(
        answer.contains("\r\nTransfer-Encoding: chunked\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[test]
fn without_a_folder_there_is_a_page() {
    let answer = answers(config(None), &last("GET /"));
    assert!(answer.contains("<title>Doorway is open</title>") && answer.ends_with("</html>\n"));
    assert!(answers(config(None), &last("GET /other")).starts_with("HTTP/1.1 404 "));
}

/// Every octet that passed, each way, and the hash over the trace.
fn traced(seed: u64, folder: &Folder) -> (Vec<u8>, Vec<u8>, TraceHash, Vec<u8>) {
    let link = Link { delay: Duration::from_millis(20), loss: 0.05, ..Link::default() };
    let (mut sim, client) = network(seed, config(Some(&folder.public())), link);
    let world = sim.world(client);
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
         GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = sim.run(client, async move { talk(&world, request.as_bytes()).await }).unwrap();
    let octets = |direction| {
        let events = sim.trace().events();
        let messages = events.iter().filter(|event| event.step == Step::Message);
        messages
            .filter(|event| event.direction == direction)
            .flat_map(|event| event.octets.to_vec())
            .collect()
    };
    assert!(octets(Direction::In) == request.as_bytes());
    (octets(Direction::In), octets(Direction::Out), sim.trace().hash(), answer)
}

#[test]
fn every_octet_passes_the_trace_once_and_equal_seeds_give_equal_traces() {
    let folder = Folder::new();
    let (_, out, hash, answer) = traced(5, &folder);
    assert!(out == answer, "{} octets traced, {} sent", out.len(), answer.len());
    assert_eq!(traced(5, &folder).2, hash);
    assert_ne!(traced(6, &folder).2, hash);
}

/// Notes how large the future of a connection is.
struct Measured(Arc<Server>, Arc<AtomicUsize>);

impl TcpService for Measured {
    async fn serve(&self, connection: Connection) {
        let future = self.0.serve(connection);
        self.1.store(size_of_val(&future), Relaxed);
        future.await;
    }
}

#[test]
fn a_connection_that_waits_is_small() {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let size = Arc::new(AtomicUsize::new(0));
    let world = sim.world(server);
    let config = config(None);
    let service = Arc::new(Server::new(&world, &config, Site::open(&config).unwrap()));
    let options = service.tcp_options();
    let measured = Arc::new(Measured(Arc::clone(&service), Arc::clone(&size)));
    tcp::serve(&world, SERVER.parse().unwrap(), &options, &measured).unwrap();
    let world = sim.world(client);
    sim.run(client, async move { talk(&world, last("GET /").as_bytes()).await }).unwrap();
    assert!((1..=1024).contains(&size.load(Relaxed)), "{} octets", size.load(Relaxed));
    let counts = service.counts();
    assert_eq!((counts.requests, counts.responses), (1, [0, 1, 0, 0, 0]));
}

#[test]
fn broken_rules_are_counted_by_name() {
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (service, _) = serve(&sim.world(server), &config(None));
    let world = sim.world(client);
    sim.run(client, async move { talk(&world, b"GET / HTTP/1.1\nHost: a\r\n\r\n").await }).unwrap();
    let counts = service.counts();
    let broken: Vec<_> = counts.refusals().filter(|(_, count)| *count > 0).collect();
    assert_eq!(broken, [("bare_lf", 1)]);
    assert_eq!(counts.responses, [0, 0, 0, 1, 0]);
}

#[test]
fn a_body_that_nobody_asked_for_is_not_read_as_a_request() {
    let inner = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    let folder = Folder::new();
    let request = format!(
        "GET /plain.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{inner}{}",
        inner.len(),
        last("GET /sub/")
    );
    let answer = answers(config(Some(&folder.public())), &request);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert!(!answer.contains("404"), "{answer}");
}
