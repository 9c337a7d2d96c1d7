//! `wget` fetches from the web server.

use crate::programs;
use crate::server::Setup;

#[test]
fn pages_are_fetched_with_what_they_link_to() {
    let server = Setup::new()
        .file("public/index.html", "<a href=\"a.txt\">a</a> <a href=\"sub/\">sub</a>\n")
        .file("public/a.txt", "a\n")
        .file("public/sub/index.html", "<a href=\"../a.txt\">a</a>\n")
        .start();
    let into = server.folder().word("copy");
    let words = ["--no-config", "--no-proxy", "--no-verbose", "--recursive", "--no-host-directories"];
    let ran = programs::run("wget", &[&words[..], &["--directory-prefix", &into, &server.url("/")]].concat());
    assert!(ran.status.success(), "{}", ran.err);
    for path in ["index.html", "a.txt", "sub/index.html"] {
        let (copy, original) = (format!("copy/{path}"), format!("public/{path}"));
        assert_eq!(server.folder().read(&copy), server.folder().read(&original), "{path}");
    }
    server.stop();
}

#[test]
fn a_file_that_has_not_changed_is_not_fetched_again_and_a_missing_one_is_told() {
    let server = Setup::new().file("public/a.txt", "a\n").start();
    let into = server.folder().word("copy");
    let fetch = |path: &str| {
        let words =
            ["--no-config", "--no-proxy", "--timestamping", "--server-response", "--directory-prefix"];
        programs::run("wget", &[&words[..], &[&into, &server.url(path)]].concat())
    };
    assert!(fetch("/a.txt").err.contains("HTTP/1.1 200 OK"));
    let again = fetch("/a.txt");
    assert!(again.status.success() && again.err.contains("304 Not Modified"), "{}", again.err);
    let missing = fetch("/none");
    assert!(missing.err.contains("404 Not Found"), "{}", missing.err);
    // wget's exit code for an answer that is an error.
    assert_eq!(missing.status.code(), Some(8));
    server.stop();
}

#[test]
fn a_certificate_of_the_local_authority_is_good() {
    let server = Setup::new().start();
    let (ca, into) = (server.folder().word("data/tls/ca.pem"), server.folder().word("copy"));
    let url = format!("https://localhost:{}/index.html", server.https().port());
    let words =
        ["--no-config", "--no-proxy", "--inet4-only", "--ca-certificate", &ca, "--output-document", &into];
    let ran = programs::run("wget", &[&words[..], &[&url]].concat());
    assert!(ran.status.success(), "{}", ran.err);
    assert_eq!(server.folder().read("copy"), b"<h1>Hello</h1>\n");
    server.stop();
}
