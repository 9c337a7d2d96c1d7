//! `openssl s_client` shakes hands: versions, the name that is asked for, the protocol inside.

use crate::programs;
use crate::server::{Server, Setup};

/// Connects with these words and sends one request that ends the connection.
fn s_client(server: &Server, words: &[&str]) -> (bool, String) {
    let (address, ca) = (server.https().to_string(), server.folder().word("data/tls/ca.pem"));
    let all = [&["s_client", "-connect", &address, "-CAfile", &ca, "-ign_eof"], words].concat();
    let request = b"GET / HTTP/1.1\r\nHost: home.arpa\r\nConnection: close\r\n\r\n";
    let ran = programs::run_with_input("openssl", &all, request);
    (ran.status.success(), format!("{}{}", ran.text(), ran.err))
}

#[test]
fn both_versions_of_tls_agree_on_http_inside() {
    let server = Setup::new().start();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let words = [version, "-servername", "home.arpa", "-verify_return_error", "-alpn", "spdy/3,http/1.1"];
        let (worked, told) = s_client(&server, &words);
        assert!(worked, "{told}");
        for expected in [
            name,
            "ALPN protocol: http/1.1",
            "Verification: OK",
            "Verify return code: 0 (ok)",
            "HTTP/1.1 200 OK",
            "<h1>Hello</h1>",
        ] {
            assert!(told.contains(expected), "`{expected}` is not in\n{told}");
        }
    }
    server.stop();
}

#[test]
fn the_certificate_is_right_for_each_configured_name_and_wrong_for_others() {
    let server = Setup::new().key("tls.names", "[\"home.arpa\", \"localhost\"]").start();
    for (name, code) in
        [("home.arpa", "0 (ok)"), ("localhost", "0 (ok)"), ("example.com", "62 (hostname mismatch)")]
    {
        let (_, told) = s_client(&server, &["-servername", name, "-verify_hostname", name]);
        let refused = told.contains("alert") && code != "0 (ok)";
        assert!(refused || told.contains(&format!("Verify return code: {code}")), "{name}: {told}");
    }
    server.stop();
}

#[test]
fn what_is_old_or_has_no_protocol_in_common_is_refused_and_others_go_on() {
    let server = Setup::new().start();
    for words in [&["-tls1_1"][..], &["-servername", "home.arpa", "-alpn", "smtp"]] {
        let (worked, told) = s_client(&server, words);
        assert!(!worked && !told.contains("HTTP/1.1 200"), "{words:?}: {told}");
    }
    let (worked, told) = s_client(&server, &["-servername", "home.arpa"]);
    assert!(worked && told.contains("HTTP/1.1 200 OK"), "{told}");
    server.stop();
}
