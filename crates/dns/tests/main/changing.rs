//! A whole server whose zone is changed by message: reload, restart, a store that refuses.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use doorway_base::Trace;
use doorway_dns::Server;
use doorway_dns::config::zones::Moves;
use doorway_dns::config::{Config, KeyConfig, ZoneConfig};
use doorway_dns::io::Surroundings;
use doorway_dns::io::journal::Journal;
use doorway_dns::wire::tsig::{Algorithm, Chain};
use doorway_dns::wire::{Message, Name, Rcode, Type};
use doorway_net::os::Runtime;
use doorway_store::{
    Answer, BackupTarget, Batch, BoxFuture, Error, Key, Manifest, MemoryStore, Page, Range, Receipt, Row,
    ScanOptions, Store, Watch,
};
use tokio::io::AsyncWriteExt;

use super::doors::{framed, next};
use super::moving::{key, update};
use super::query;

/// A store whose disk can be full.
#[derive(Default)]
struct Disk {
    store: MemoryStore,
    full: AtomicBool,
}

impl Store for Disk {
    fn get(&self, keys: &[Key]) -> Answer<Vec<Option<Row>>> {
        self.store.get(keys)
    }

    fn scan(&self, range: Range, options: ScanOptions) -> Answer<Page> {
        self.store.scan(range, options)
    }

    fn commit(&self, batch: Batch) -> Answer<Receipt> {
        if self.full.load(Relaxed) {
            return Answer::ready(Err(Error::Full { free: 0, min_free: 1 }));
        }
        self.store.commit(batch)
    }

    fn watch(&self, prefix: Key) -> Watch {
        self.store.watch(prefix)
    }

    fn backup(&self, target: BackupTarget) -> BoxFuture<'_, doorway_store::Result<Manifest>> {
        self.store.backup(target)
    }
}

struct Setting {
    file: PathBuf,
    config: Config,
    disk: Arc<Disk>,
}

impl Setting {
    fn new(test: &str) -> Self {
        let file = std::env::temp_dir().join(format!("doorway-changing-{test}-{}", std::process::id()));
        let moves = Moves {
            xfr: vec!["key:sec1".parse().unwrap()],
            update: vec!["key:sec1 any *.example.org".parse().unwrap()],
            ..Moves::default()
        };
        let zone = ZoneConfig {
            name: "example.org".into(),
            file: Some(file.clone()),
            moves,
            ..ZoneConfig::default()
        };
        let shared = KeyConfig {
            name: "sec1".parse().unwrap(),
            algorithm: Algorithm::Sha256,
            secret: doorway_base::config::Secret::Literal("YSBzZWNyZXQgYmV0d2VlbiB0d28=".into()),
        };
        let config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            threads: 1,
            zones: vec![zone],
            keys: vec![shared],
            ..Config::default()
        };
        let setting = Self { file, config, disk: Arc::default() };
        setting.write(7, "");
        setting
    }

    fn write(&self, serial: u32, rest: &str) {
        let text = format!("$TTL 60\n@ SOA ns root {serial} 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{rest}\n");
        std::fs::write(&self.file, text).unwrap();
    }

    fn start(&self) -> (Runtime, Server) {
        let runtime = Runtime::start("test", 1, Trace::off()).unwrap();
        let journal = Some(Journal::new(Arc::clone(&self.disk) as Arc<dyn Store>));
        let surroundings = Surroundings { journal, ..Surroundings::default() };
        let server = Server::start(runtime.world(), &self.config, &surroundings).unwrap();
        (runtime, server)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn said(runtime: &Runtime, server: &Server, octets: Vec<u8>) -> Message {
    let (world, address) = (runtime.world().clone(), server.tcp()[0].local().unwrap());
    let answer = runtime.block_on(async move {
        let mut stream = world.connect(address).await.unwrap();
        stream.write_all(&framed(&octets)).await.unwrap();
        next(&mut stream).await
    });
    answer.unwrap()
}

fn add(runtime: &Runtime, server: &Server, name: &str) -> Rcode {
    let mut octets = update(name);
    let _chain = Chain::request(&key(), &mut octets, runtime.world().wall());
    said(runtime, server, octets).rcode()
}

fn ask(runtime: &Runtime, server: &Server, name: &str) -> Rcode {
    let name: Name = name.parse().unwrap();
    said(runtime, server, query(&name, Type::A, None).to_octets().unwrap()).rcode()
}

#[test]
fn a_reload_keeps_what_was_changed_unless_the_file_is_newer() {
    let setting = Setting::new("reload");
    let (runtime, server) = setting.start();
    assert_eq!(add(&runtime, &server, "new.example.org"), Rcode::NOERROR);
    // The file has serial 7 still, what is served 8.
    for serial in [7, 8] {
        setting.write(serial, "other A 192.0.2.2");
        assert!(server.reload(&setting.config).refused.is_empty());
        assert_eq!(ask(&runtime, &server, "new.example.org"), Rcode::NOERROR);
        assert_eq!(ask(&runtime, &server, "other.example.org"), Rcode::NXDOMAIN);
    }
    setting.write(9, "other A 192.0.2.2");
    assert!(server.reload(&setting.config).refused.is_empty());
    assert_eq!(ask(&runtime, &server, "new.example.org"), Rcode::NXDOMAIN);
    assert_eq!(ask(&runtime, &server, "other.example.org"), Rcode::NOERROR);
    // And so it stays.
    assert_eq!(add(&runtime, &server, "last.example.org"), Rcode::NOERROR);
    server.close();
    let (runtime, server) = setting.start();
    for (name, rcode) in [("new", Rcode::NXDOMAIN), ("other", Rcode::NOERROR), ("last", Rcode::NOERROR)] {
        assert_eq!(ask(&runtime, &server, &format!("{name}.example.org")), rcode, "{name}");
    }
}

#[test]
fn a_file_that_was_made_newer_while_the_server_was_down_takes_the_place_of_what_was_kept() {
    let setting = Setting::new("down");
    let (runtime, server) = setting.start();
    assert_eq!(add(&runtime, &server, "new.example.org"), Rcode::NOERROR);
    server.close();
    setting.write(20, "other A 192.0.2.2");
    let (runtime, server) = setting.start();
    assert_eq!(ask(&runtime, &server, "new.example.org"), Rcode::NXDOMAIN);
    assert_eq!(ask(&runtime, &server, "other.example.org"), Rcode::NOERROR);
}

#[test]
fn a_file_that_was_changed_while_the_server_was_down_loses_nothing_that_was_acknowledged() {
    let setting = Setting::new("under");
    let (runtime, server) = setting.start();
    for name in ["a.example.org", "b.example.org"] {
        assert_eq!(add(&runtime, &server, name), Rcode::NOERROR);
    }
    server.close();
    // Serial 9 was served.
    setting.write(8, "other A 192.0.2.2\nb A 192.0.2.9");
    for _ in 0..2 {
        let (runtime, server) = setting.start();
        for name in ["a.example.org", "b.example.org", "other.example.org"] {
            assert_eq!(ask(&runtime, &server, name), Rcode::NOERROR, "{name}");
        }
        assert_eq!(server.zones().list()[0].serial(), 10);
        server.close();
    }
}

#[test]
fn a_reload_that_takes_a_grant_away_takes_it_away_and_keeps_the_zone() {
    let setting = Setting::new("grant");
    let (runtime, server) = setting.start();
    assert_eq!(add(&runtime, &server, "new.example.org"), Rcode::NOERROR);
    let mut config = setting.config.clone();
    config.zones[0].moves.update.clear();
    assert!(server.reload(&config).refused.is_empty());
    assert_eq!(add(&runtime, &server, "more.example.org"), Rcode::REFUSED);
    assert_eq!(ask(&runtime, &server, "new.example.org"), Rcode::NOERROR);
}

#[test]
fn a_full_disk_refuses_updates_and_nothing_else() {
    let setting = Setting::new("full");
    let (runtime, server) = setting.start();
    assert_eq!(add(&runtime, &server, "a.example.org"), Rcode::NOERROR);
    setting.disk.full.store(true, Relaxed);
    assert_eq!(add(&runtime, &server, "b.example.org"), Rcode::SERVFAIL);
    assert_eq!(ask(&runtime, &server, "b.example.org"), Rcode::NXDOMAIN);
    assert_eq!(ask(&runtime, &server, "a.example.org"), Rcode::NOERROR);
    setting.disk.full.store(false, Relaxed);
    assert_eq!(add(&runtime, &server, "b.example.org"), Rcode::NOERROR);
    assert_eq!(ask(&runtime, &server, "b.example.org"), Rcode::NOERROR);
}
