//! A folder, a server and a client for each test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use doorway_http::cache::{Key, Moment, Policy, Stored, Targets, Terms};
use doorway_http::config::CacheConfig;
use doorway_http::io::cache::{Cache, Turn};
use doorway_http::{Config, Handlers, Server, Sites};
use doorway_net::tcp::{self, TcpDoor};
use doorway_net::web::Fields;
use doorway_net::{Stream, World};
use doorway_sim::{Link, Node, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::handlers::{Echo, Later, Slow};

pub(crate) const SERVER: &str = "10.0.0.1:80";

/// A folder of its own for one test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn write(&self, name: &str, octets: &[u8]) {
        let path = self.0.join(name);
        fs::write(&path, octets).unwrap();
        // RFC 9110's own example date.
        self.date(name, UNIX_EPOCH + Duration::from_secs(784_111_777));
    }

    pub(crate) fn date(&self, name: &str, time: SystemTime) {
        fs::File::options().write(true).open(self.0.join(name)).unwrap().set_modified(time).unwrap();
    }

    pub(crate) fn public(&self) -> PathBuf {
        self.0.join("public")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Longer than what is kept in memory.
pub(crate) fn large() -> Vec<u8> {
    (0..300_000u32).map(|n| (n % 251) as u8).collect()
}

pub(crate) fn config(root: Option<&Path>) -> Config {
    Config { root: root.map(Path::to_owned), server_name: String::new(), ..Config::default() }
}

pub(crate) fn serve(world: &World, config: &Config) -> (Arc<Server>, TcpDoor) {
    let site = Sites::open(config, &Handlers::default())
        .unwrap()
        .mount("/echo", Arc::new(Echo))
        .mount("/slow", Arc::new(Slow(world.clone())))
        .mount("/later", Arc::new(Later(world.clone())))
        .mount_cached("/kept", Arc::new(Echo), kept(world), Policy::default());
    let server = Arc::new(Server::new(world, config, site));
    let door = tcp::serve(world, SERVER.parse().unwrap(), &server.tcp_options(false), &server).unwrap();
    (server, door)
}

/// A cache that has `http://a/kept/short` and `http://a/kept/long`.
pub(crate) fn kept(world: &World) -> Arc<Cache> {
    let cache = Cache::open(world, &CacheConfig::named("kept"), None).unwrap();
    for (name, octets) in [("short", 100), ("long", 300_000)] {
        let mut fields = Fields::new();
        for (name, value) in [
            ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("Content-Type", "text/kept"),
            ("Cache-Control", "max-age=60"),
        ] {
            fields.add(name, value);
        }
        let received = Moment { now: world.now(), wall: world.wall() };
        let stored = Stored {
            status: 200,
            requested: received,
            received,
            initial_age: Duration::from_secs(7),
            selecting: Vec::new(),
            terms: Terms::of(200, &fields, received.wall, Targets::Origin),
            fields,
        };
        let key = Key::new(&format!("http://a/kept/{name}"));
        match cache.take_turn(&key, &[]) {
            Turn::Lead(lead) => drop(lead.keep(stored, vec![b'k'; octets].into()).unwrap()),
            other => panic!("{other:?}"),
        }
    }
    cache
}

pub(crate) fn network(seed: u64, config: Config, link: Link) -> (Simulation, Node) {
    let mut sim = Simulation::new(seed);
    let server = sim.node("server", "10.0.0.1");
    let client = sim.node("client", "10.0.0.2");
    sim.link(server, client, link);
    sim.boot(server, move |world, _| drop(serve(world, &config)));
    (sim, client)
}

pub(crate) async fn dial(world: &World) -> Stream {
    world.connect(SERVER.parse().unwrap()).await.unwrap()
}

/// Sends `request` and reads to the end of the connection, for at most an hour.
pub(crate) async fn talk(world: &World, request: &[u8]) -> Vec<u8> {
    let mut stream = dial(world).await;
    // The server may end the connection before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = world.timeout(Duration::from_secs(3600), stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

/// What `config` answers to `request`, with the Date and the inode of ETags taken out.
pub(crate) fn answers(config: Config, request: &str) -> String {
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
pub(crate) fn last(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

/// The content of a message, with the chunks of a chunked one put together.
pub(crate) fn octets_of(message: &[u8]) -> Vec<u8> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let (head, mut rest) = message.split_at(end);
    if !String::from_utf8_lossy(head).contains("Transfer-Encoding: chunked") {
        return rest.to_vec();
    }
    let mut content = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        content.extend_from_slice(&rest[line + 2..line + 2 + size]);
        assert_eq!(&rest[line + 2 + size..line + 4 + size], b"\r\n");
        rest = &rest[line + 4 + size..];
        if size == 0 {
            assert!(rest.is_empty(), "octets behind the last chunk");
            return content;
        }
    }
}
