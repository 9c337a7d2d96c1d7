//! Our own client, `doorway http get` and its kin, against our server and against nginx.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::programs::{self, Ran};
use crate::server::{PATIENCE, Server, Setup};

fn serving() -> Server {
    Setup::new()
        .file("public/plain.txt", "plain\n")
        .file("public/large.txt", "0123456789".repeat(50_000))
        .start()
}

fn doorway(words: &[&str]) -> Ran {
    programs::run(env!("CARGO_BIN_EXE_doorway"), words)
}

#[test]
fn http_2_is_agreed_on_over_tls_and_can_be_forbidden() {
    let server = serving();
    let ca = server.folder().word("data/tls/ca.pem");
    let url = format!("https://localhost:{}/large.txt", server.https().port());
    for (words, version) in [(&[][..], "HTTP/2"), (&["--http1.1"], "HTTP/1.1"), (&["--http10"], "HTTP/1.1")] {
        let ran = doorway(&[&["http", "get", "--json", "--cacert", &ca, &url], words].concat());
        let told = ran.done();
        assert!(told.contains(&format!("\"version\": \"{version}\"")), "{words:?}: {told}");
        assert!(told.contains("\"octets\": 500000") && told.contains("\"status\": 200"), "{told}");
    }
    let many = vec![url.as_str(); 20];
    let ran = doorway(&[&["http", "get", "--timing", "--parallel", "--cacert", &ca], &many[..]].concat());
    assert_eq!(ran.err.matches("open already").count(), 19, "{}", ran.err);
    let ran = doorway(&["http", "get", "--cacert", &ca, "-r", "3-5", &url]);
    assert_eq!(ran.done(), "345");
    let stranger = doorway(&["http", "get", &url]);
    assert_eq!(stranger.status.code(), Some(1));
    assert!(stranger.err.contains("--cacert"), "{}", stranger.err);
    server.stop();
}

#[test]
fn a_file_that_was_begun_is_gone_on_with_unless_it_was_changed() {
    let server = serving();
    let (url, file) = (server.url("/large.txt"), server.folder().word("part"));
    let fetch = || doorway(&["http", "get", "--continue", "--output", &file, &url]);
    fs::write(&file, "0123456789012").unwrap();
    assert!(fetch().status.success());
    assert_eq!(fs::read(&file).unwrap(), "0123456789".repeat(50_000).as_bytes());
    let again = fetch();
    assert!(again.status.success() && again.err.contains("nothing to continue"), "{}", again.err);
    fs::write(&file, "0123").unwrap();
    let old = fs::File::options().write(true).open(&file).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    let refused = fetch();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.err.contains("412") && refused.err.contains("--continue"), "{}", refused.err);
    assert_eq!(fs::read(&file).unwrap(), b"0123", "what there is stays as it is");
    server.stop();
}

#[test]
fn a_password_does_not_go_out_in_plain_text_unasked() {
    let ran = doorway(&["http", "get", "--user", "ann", "http://192.0.2.1/"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(ran.err.contains("--plain-password"), "{}", ran.err);
}

/// nginx with TLS and HTTP/2, which ends each connection after five requests, and takes uploads.
struct Nginx {
    child: Child,
    folder: Folder,
    tls: u16,
    plain: u16,
}

impl Nginx {
    fn start() -> Self {
        let folder = Folder::new();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (tls, plain) = (free(), free());
        folder.write("www/plain.txt", "plain\n");
        folder.write("www/large.bin", "0123456789".repeat(400_000));
        let (authority, key, leaf) = (folder.word("ca.pem"), folder.word("ca.key"), folder.word("leaf.key"));
        let (asked, given, names) = (folder.word("leaf.csr"), folder.word("leaf.pem"), folder.word("names"));
        folder.write("names", "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
        let make = |words: &str, files: &[&str]| {
            let words: Vec<&str> = words.split_whitespace().chain(files.iter().copied()).collect();
            programs::run("openssl", &words).done();
        };
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        make(&format!("req -x509 {new} -days 2 -subj /CN=ca"), &["-keyout", &key, "-out", &authority]);
        make(&format!("req {new} -subj /CN=localhost"), &["-keyout", &leaf, "-out", &asked]);
        let files = ["-in", &asked, "-CA", &authority, "-CAkey", &key, "-extfile", &names, "-out", &given];
        make("x509 -req -CAcreateserial -days 2", &files);
        let home = folder.path().display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {home}/{kind};"))
            .collect();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        folder.write(
            "nginx.conf",
            format!(
                "daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log; {user} events {{}}
                http {{ access_log off; client_max_body_size 0; keepalive_requests 5; {temporary}
                server {{ listen 127.0.0.1:{tls} ssl http2; listen 127.0.0.1:{plain}; root {home}/www;
                ssl_certificate {given}; ssl_certificate_key {leaf};
                location /up/ {{ root {home}; create_full_put_path on; dav_methods PUT DELETE; }} }} }}"
            ),
        );
        let child = Command::new(programs::find("nginx"))
            .args(["-c", &folder.word("nginx.conf"), "-e", &folder.word("error.log")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, folder, tls, plain };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", plain)).is_err() {
            assert!(began.elapsed() < PATIENCE, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker ends with it only when it is asked to.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        );
        let _ = self.child.wait();
    }
}

#[test]
fn nginx_answers_every_request_though_it_ends_connections_on_the_way() {
    let nginx = Nginx::start();
    let ca = nginx.folder.word("ca.pem");
    let url = format!("https://localhost:{}/large.bin", nginx.tls);
    let many = vec![url.as_str(); 23];
    for words in [&["--parallel"][..], &[], &["--close"], &["--http1.1", "--parallel"]] {
        let usual = ["http", "get", "--timing", "--output", "/dev/null", "--cacert", &ca];
        let ran = doorway(&[&usual[..], words, &many].concat());
        assert!(ran.status.success(), "{words:?}: {}", ran.err);
        assert_eq!(ran.err.matches(" 4000000  https").count(), 23, "{words:?}: {}", ran.err);
    }
}

#[test]
fn nginx_stores_a_file_as_it_is_by_either_version() {
    let nginx = Nginx::start();
    let (ca, file) = (nginx.folder.word("ca.pem"), nginx.folder.word("www/large.bin"));
    let tls = format!("https://localhost:{}", nginx.tls);
    for (base, name) in [(&tls, "a"), (&format!("http://localhost:{}", nginx.plain), "b")] {
        let url = format!("{base}/up/{name}");
        let put = doorway(&["http", "put", "--cacert", &ca, "--upload", &file, &url]);
        assert!(put.status.success(), "{}", put.err);
        assert_eq!(nginx.folder.read(&format!("up/{name}")), nginx.folder.read("www/large.bin"));
        let refused = doorway(&["http", "put", "--cacert", &ca, "--upload", &file, &format!("{base}/x")]);
        assert_eq!(refused.status.code(), Some(1), "{}", refused.err);
        assert!(refused.err.contains("405"), "{}", refused.err);
    }
}
