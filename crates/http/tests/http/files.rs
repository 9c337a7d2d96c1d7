//! Files of a folder, statuses, and what is never sent.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use doorway_http::{Config, Handlers, Sites};
use doorway_sim::{Link, Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Folder, answers, config, dial, large, last, network, serve, talk};

#[test]
fn a_file_is_sent_with_its_type_length_and_validators() {
    let folder = Folder::new();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 15\r\nAccept-Ranges: bytes\r\n\
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
        let one = "GET /plain.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(4);
        let two = "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\nGET /sub/ HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(format!("{one}{two}").as_bytes()).await.unwrap();
        let mut octets = vec![0; 100_000];
        let count = stream.read(&mut octets).await.unwrap();
        String::from_utf8_lossy(&octets[..count]).into_owned()
    });
    let read = read.unwrap();
    assert_eq!(read.matches("\r\n\r\nplain\nHTTP/1.1 ").count(), 4, "{read}");
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
fn a_link_that_is_turned_while_files_are_asked_for_leads_nowhere_outside() {
    let folder = Folder::new();
    let public = folder.public();
    fs::create_dir(public.join("inside")).unwrap();
    folder.write("public/inside/secret.txt", b"harmless\n");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let turning = std::thread::spawn({
        let (public, stop) = (public.clone(), std::sync::Arc::clone(&stop));
        move || {
            let mut turns = 0u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let target = if turns.is_multiple_of(2) { ".." } else { "inside" };
                symlink(target, public.join("new")).unwrap();
                fs::rename(public.join("new"), public.join("turned")).unwrap();
                turns += 1;
            }
            turns
        }
    });
    let mut found = 0;
    // On a busy machine one of the two may not get its turn for a while.
    for round in 0..2000 {
        if round >= 20 && found > 0 {
            break;
        }
        let requests =
            "GET /turned/secret.txt HTTP/1.1\r\nHost: a\r\nCache-Control: no-cache\r\n\r\n".repeat(50);
        let requests = format!("{requests}{}", last("GET /"));
        // Nothing is kept in memory, so that each request looks at the disk.
        let config = Config { cache_octets_max: 0, ..config(Some(&public)) };
        let answer = answers(config, &requests);
        assert!(!answer.contains("\r\n\r\nsecret"), "{answer}");
        found += answer.matches("harmless").count();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let turns = turning.join().unwrap();
    assert!(found > 0 && turns > 100, "{found} found in {turns} turns");
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
fn without_a_folder_there_is_a_page() {
    let answer = answers(config(None), &last("GET /"));
    assert!(answer.contains("<title>Doorway is open</title>") && answer.ends_with("</html>\n"));
    assert!(answers(config(None), &last("GET /other")).starts_with("HTTP/1.1 404 "));
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

#[test]
fn another_folder_is_served_on_the_same_connection_after_a_reload() {
    let (one, other) = (Folder::new(), Folder::new());
    other.write("public/plain.txt", b"other\n");
    let mut sim = Simulation::new(1);
    let (server, client) = (sim.node("server", "10.0.0.1"), sim.node("client", "10.0.0.2"));
    let (service, _) = serve(&sim.world(server), &config(Some(&one.public())));
    let world = sim.world(client);
    let config = config(Some(&other.public()));
    let bodies = sim.run(client, async move {
        let mut stream = dial(&world).await;
        let mut bodies = Vec::new();
        for _ in 0..2 {
            stream.write_all(b"GET /plain.txt HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut octets = vec![0; 4096];
            let count = stream.read(&mut octets).await.unwrap();
            bodies.push(octets[count - 6..count].to_vec());
            service.replace(&config, Sites::open(&config, &Handlers::default()).unwrap());
        }
        bodies
    });
    assert_eq!(bodies.unwrap(), [b"plain\n", b"other\n"]);
}
