//! `tshark` reads what `doorway trace --pcapng` wrote while real clients asked.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::programs;
use crate::server::{Server, Setup};

/// Octets of the section header and the interface block, which open every capture.
const HEADER_OCTETS_MIN: usize = 28;

/// `doorway trace` with its capture on standard output.
struct Capture {
    child: Child,
    octets: Vec<u8>,
}

impl Capture {
    /// Starts to follow `count` events and waits until the server has begun to tell them.
    fn start(server: &Server, count: usize, words: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_doorway"))
            .args(["trace", "--pcapng", "-", "--for", "60s", "--data", "data", "--count", &count.to_string()])
            .args(words)
            .current_dir(server.folder().path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut octets = vec![0; HEADER_OCTETS_MIN];
        child.stdout.as_mut().unwrap().read_exact(&mut octets).unwrap();
        Self { child, octets }
    }

    /// Waits for the last event and writes the capture into the server's folder.
    fn finish(mut self, server: &Server, name: &str) -> String {
        self.child.stdout.take().unwrap().read_to_end(&mut self.octets).unwrap();
        assert!(self.child.wait().unwrap().success());
        server.folder().write(name, &self.octets);
        server.folder().word(name)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The given fields of the packets that pass the filter, one line each.
fn packets(capture: &str, filter: &str, fields: &[&str]) -> Vec<String> {
    let mut words = vec!["-r", capture, "-n", "-T", "fields", "-E", "separator=/s", "-Y", filter];
    // Unasked, checksums are not looked at: network cards often fill them in later.
    for preference in ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"] {
        words.extend(["-o", preference]);
    }
    fields.iter().for_each(|field| words.extend(["-e", field]));
    programs::run("tshark", &words).done().lines().map(str::to_owned).collect()
}

/// One request by each client: an opening, a question, an answer and an end, or the middle two.
const EVENTS: usize = 4 + 4 + 2 + 4;

fn ask(server: &Server) {
    let https = format!("https://{}/", server.https());
    for url in [server.url("/"), https] {
        programs::run("curl", &["-q", "--silent", "--http1.1", "--insecure", "--noproxy", "*", &url]).done();
    }
    let (ip, port) = (format!("@{}", server.dns().ip()), server.dns().port().to_string());
    for how in ["+notcp", "+tcp"] {
        programs::run("dig", &["-r", &ip, "-p", &port, how, "home.arpa", "SOA"]).done();
    }
}

#[test]
fn a_capture_is_dissected_as_http_and_dns_on_their_own_ports() {
    let server = Setup::new().start();
    let capture = Capture::start(&server, EVENTS, &["--canonical-ports"]);
    ask(&server);
    let capture = capture.finish(&server, "canonical.pcapng");

    assert_eq!(
        packets(&capture, "_ws.malformed || _ws.expert.severity >= 0x600000", &["frame.number"]),
        [""; 0]
    );
    assert_eq!(
        packets(
            &capture,
            "ip.checksum.status != 1 || tcp.checksum.status != 1 || udp.checksum.status != 1",
            &["frame.number"]
        ),
        [""; 0]
    );
    let requests =
        packets(&capture, "http.request", &["tcp.dstport", "http.request.method", "http.request.uri"]);
    assert_eq!(requests, ["80 GET /", "80 GET /"], "TLS is seen from within");
    let responses =
        packets(&capture, "http.response", &["tcp.srcport", "http.response.code", "http.content_length"]);
    assert_eq!(responses, ["80 200 15", "80 200 15"]);
    for carrier in ["udp", "tcp"] {
        let fields =
            [&format!("{carrier}.dstport"), "dns.qry.name", "dns.flags.response", "dns.count.answers"];
        let questions = packets(&capture, &format!("{carrier} && dns.flags.response == 0"), &fields);
        assert_eq!(questions, ["53 home.arpa 0 0"], "{carrier}");
        let fields =
            [&format!("{carrier}.srcport"), "dns.qry.name", "dns.flags.response", "dns.count.answers"];
        let answers = packets(&capture, &format!("{carrier} && dns.flags.response == 1"), &fields);
        assert_eq!(answers, ["53 home.arpa 1 1"], "{carrier}");
    }
    let unknown =
        packets(&capture, "data || !(http || dns || tcp.len == 0)", &["frame.number", "frame.protocols"]);
    assert_eq!(unknown, [""; 0], "everything is known to the dissectors");
    server.stop();
}

#[test]
fn without_being_asked_ports_are_those_that_were_used_and_a_filter_leaves_the_rest_out() {
    let server = Setup::new().start();
    let filter = format!("port {}", server.dns().port());
    let capture = Capture::start(&server, 6, &["--filter", &filter]);
    ask(&server);
    let capture = capture.finish(&server, "filtered.pcapng");
    let mut ports = packets(&capture, "udp", &["udp.dstport"]);
    ports.extend(packets(&capture, "tcp.len > 0", &["tcp.dstport"]));
    let ours = server.dns().port().to_string();
    assert_eq!(
        (ports.len(), ports[0].as_str(), ports[2].as_str()),
        (4, ours.as_str(), ours.as_str()),
        "{ports:?}"
    );
    let as_dns =
        ["-d".to_owned(), format!("udp.port=={ours},dns"), "-d".to_owned(), format!("tcp.port=={ours},dns")];
    let mut words =
        vec!["-r", &capture, "-n", "-Y", "dns && !_ws.malformed", "-T", "fields", "-e", "dns.qry.name"];
    words.extend(as_dns.iter().map(String::as_str));
    assert_eq!(programs::run("tshark", &words).done(), "home.arpa\n".repeat(4));
    server.stop();
}
