//! Ranges, compression, lists of folders, uploads and the access log, as real clients use them.

use std::process::Command;

use crate::programs::{self, Ran};
use crate::server::{Server, Setup};

/// Text that is long enough to be compressed and streamed.
fn numbers() -> String {
    (0..40_000).map(|number| format!("{number}\n")).collect()
}

/// Octets in which no two parts are alike.
fn large() -> Vec<u8> {
    (0..3_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(3_000_000).collect()
}

fn curl(server: &Server, path: &str, words: &[&str]) -> Ran {
    let common = ["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20"];
    programs::run("curl", &[&common[..], words, &[&server.url(path)]].concat())
}

#[test]
fn parts_of_a_file_are_fetched_one_at_a_time_many_at_once_and_where_a_download_broke_off() {
    let server = Setup::new().file("public/large.bin", large()).start();
    let large = large();
    assert_eq!(curl(&server, "/large.bin", &["--range", "1000-1999"]).out, &large[1000..2000]);
    let parts = curl(&server, "/large.bin", &["--range", "0-9,100-109", "--include"]);
    assert!(parts.text().contains("206 Partial Content") && parts.text().contains("multipart/byteranges"));
    server.folder().write("copy", &large[..1_000_000]);
    let copy = server.folder().word("copy");
    let resumed = curl(&server, "/large.bin", &["--continue-at", "-", "--output", &copy]);
    assert!(resumed.status.success(), "{}", resumed.err);
    assert_eq!(server.folder().read("copy"), large);
    server.folder().write("wget/large.bin", &large[..2_000_000]);
    let into = server.folder().word("wget");
    let words = ["--no-config", "--no-proxy", "--continue", "--server-response", "--directory-prefix", &into];
    let wget = programs::run("wget", &[&words[..], &[&server.url("/large.bin")]].concat());
    assert!(wget.err.contains("206 Partial Content"), "{}", wget.err);
    assert_eq!(server.folder().read("wget/large.bin"), large);
    let into = server.folder().word("aria2");
    let words = ["--no-conf", "--quiet", "--split=4", "--max-connection-per-server=4", "--min-split-size=1M"];
    let url = server.url("/large.bin");
    let aria2 = programs::run("aria2c", &[&words[..], &["--dir", &into, &url]].concat());
    assert!(aria2.status.success(), "{}{}", aria2.text(), aria2.err);
    assert_eq!(server.folder().read("aria2/large.bin"), large);
    server.stop();
}

#[test]
fn text_comes_compressed_and_is_the_same_text() {
    let server = Setup::new().file("public/numbers.txt", numbers()).start();
    let words = ["--compressed", "--write-out", "%{stderr}%{size_download}"];
    let ran = curl(&server, "/numbers.txt", &words);
    assert_eq!(ran.text(), numbers());
    let came: usize = ran.err.trim().parse().unwrap();
    assert!(came * 2 < numbers().len(), "{came}");
    server.stop();
}

#[test]
fn a_folder_is_listed_for_people_and_for_programs() {
    let server = Setup::new()
        .key("http.site", "[{ hosts = [\"127.0.0.1\"], root = \"public\", listing = true }]")
        .file("public/files/100% & more.txt", "x")
        .file("public/files/deeper/百度.txt", "y")
        .start();
    let w3m = ["-dump", "-I", "UTF-8", "-O", "UTF-8"];
    let lynx = ["-dump", "-nolist", "-display_charset=utf-8"];
    for (browser, words) in [("w3m", &w3m[..]), ("lynx", &lynx)] {
        let shown = programs::run(browser, &[words, &[&server.url("/files/")]].concat()).done();
        for wanted in ["100% & more.txt", "deeper/", "1 B", ".."] {
            assert!(shown.contains(wanted), "{browser}: {wanted}: {shown}");
        }
    }
    let json = curl(&server, "/files/deeper/", &["--header", "Accept: application/json"]).text();
    assert!(json.contains("{\"name\":\"百度.txt\",\"type\":\"file\""), "{json}");
    let into = server.folder().word("copy");
    let words = ["--no-config", "--no-proxy", "--no-verbose", "--recursive", "--no-parent", "--level=3"];
    let words = [&words[..], &["--no-host-directories", "--directory-prefix", &into, &server.url("/files/")]];
    assert!(programs::run("wget", &words.concat()).status.success());
    assert_eq!(server.folder().read("copy/files/100% & more.txt"), b"x");
    let picture = server.folder().word("list.png");
    let picture_flag = format!("--screenshot={picture}");
    let words = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=900,600", &picture_flag];
    let url = server.url("/files/");
    assert!(programs::run("chromium", &[&words[..], &[&url]].concat()).status.success());
    assert!(server.folder().read("list.png").starts_with(b"\x89PNG"));
    server.stop();
}

#[test]
fn a_file_is_stored_by_who_may_and_by_nobody_else() {
    let server = Setup::new()
        .key("http.login.cleartext", "true")
        .key("http.site", "[{ hosts = [\"127.0.0.1\"], root = \"public\", write = true, auth = [\"ann\"] }]")
        .file("upload.bin", large())
        .start();
    let made = server.doorway(&["user", "add", "ann", "--json"]).done();
    let password = made.split("\"password\": \"").nth(1).unwrap().split('"').next().unwrap();
    let user = format!("ann:{password}");
    let upload = server.folder().word("upload.bin");
    let put = |words: &[&str]| {
        let shown = ["--output", "/dev/null", "--write-out", "%{http_code}", "--upload-file", &upload];
        curl(&server, "/new.bin", &[words, &shown[..]].concat()).text()
    };
    assert_eq!(put(&[]), "401");
    assert_eq!(put(&["--user", "ann:wrong"]), "401");
    assert_eq!(put(&["--user", &user]), "201");
    assert_eq!(server.folder().read("public/new.bin"), large());
    assert_eq!(put(&["--user", &user, "--header", "If-None-Match: *"]), "412");
    assert_eq!(put(&["--user", &user]), "204");
    let gone = ["--user", &user, "--request", "DELETE", "--write-out", "%{http_code}"];
    assert_eq!(curl(&server, "/new.bin", &gone).text(), "204");
    assert!(!server.folder().path().join("public/new.bin").exists());
    server.stop();
}

#[test]
fn the_access_log_can_be_moved_away_and_loses_no_line() {
    let server = Setup::new().key("http.access_log", "\"access.log\"").start();
    for number in 0..5 {
        assert!(curl(&server, &format!("/?{number}"), &["--user-agent", "a \"b\""]).status.success());
    }
    let (log, moved) = (server.folder().word("access.log"), server.folder().word("access.log.1"));
    // The lines of the first requests are in the file at the latest when the log is opened anew.
    server.doorway(&["reload"]).done();
    assert!(Command::new("mv").args([&log, &moved]).status().unwrap().success());
    server.doorway(&["reload"]).done();
    assert!(curl(&server, "/missing", &[]).status.success());
    let folder = server.stop().folder;
    let first = String::from_utf8(folder.read("access.log.1")).unwrap();
    assert_eq!(first.lines().count(), 5, "{first}");
    assert!(first.contains("\"GET /?4 HTTP/1.1\" 200 15 \"-\" \"a \\\"b\\\"\"\n"), "{first}");
    let second = String::from_utf8(folder.read("access.log")).unwrap();
    assert_eq!(second.lines().count(), 1, "{second}");
    assert!(second.contains("\"GET /missing HTTP/1.1\" 404 "), "{second}");
}
