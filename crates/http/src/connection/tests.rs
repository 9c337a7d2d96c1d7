//! Dialogues with the engine, whole and cut into pieces.

use super::*;
use crate::wire::Method;
use proptest::prelude::*;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// A shell without a wire: answers GET at once, reads the body of everything else.
struct Shell {
    connection: Connection,
    limits: Limits,
    waiting: Vec<u8>,
    body: Vec<u8>,
    log: Vec<String>,
    over: bool,
}

impl Shell {
    fn new(limits: Limits) -> Self {
        let connection = Connection::new();
        Self { connection, limits, waiting: vec![], body: vec![], log: vec![], over: false }
    }

    fn receive(&mut self, now: Instant, octets: &[u8]) {
        if self.over {
            return;
        }
        self.waiting.extend_from_slice(octets);
        let waiting = std::mem::take(&mut self.waiting);
        let mut spans = FieldSpans::default();
        let mut used = 0;
        loop {
            let (more, decision) = self.connection.next(&waiting[used..], &self.limits, &mut spans);
            used += more;
            match decision {
                Decision::More => break,
                Decision::Request(head) => {
                    let line = format!("{} {}", head.method.name(), head.target_octets.escape_ascii());
                    if head.method == Method::Get {
                        let end = if self.connection.answer() { "" } else { " last" };
                        self.log.push(format!("{line}{end}"));
                    } else {
                        let end = if self.connection.read_body() { " continue" } else { "" };
                        self.log.push(format!("{line}{end}"));
                    }
                }
                Decision::Body(data) => self.body.extend_from_slice(data),
                Decision::BodyEnd => {
                    let body = std::mem::take(&mut self.body);
                    let end = if self.connection.answer() { "" } else { " last" };
                    self.log.push(format!("body {}{end}", body.escape_ascii()));
                }
                Decision::Refuse(refusal) => {
                    self.log.push(format!("{} {}", refusal.status().code(), refusal.rule.code));
                    self.over = true;
                    break;
                }
                Decision::Close => {
                    self.log.push("close".into());
                    self.over = true;
                    break;
                }
            }
        }
        self.waiting = waiting[used..].to_vec();
        self.connection.settle(now, &self.limits, self.waiting.len());
    }

    fn pass(&mut self, now: Instant) {
        if !self.over && self.connection.next_timeout().is_some_and(|at| at <= now) {
            self.log.push(match self.connection.time_out() {
                Decision::Refuse(refusal) => format!("{} {}", refusal.status().code(), refusal.rule.code),
                decision => format!("{decision:?}").to_lowercase(),
            });
            self.over = true;
        }
    }
}

fn small() -> Limits {
    Limits { body_octets: 20, requests: 4, ..Limits::default() }
}

fn talk(octets: &[u8], cuts: &[usize]) -> Vec<String> {
    let mut shell = Shell::new(small());
    let mut from = 0;
    for &cut in cuts.iter().chain([&octets.len()]) {
        shell.receive(Instant::ZERO, &octets[from..cut]);
        from = cut;
    }
    shell.log
}

const DIALOGUES: &[(&str, &[&str])] = &[
    ("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", &["GET /a"]),
    (
        "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /c HTTP/1.1\r\nHo",
        &["GET /a", "GET /b"],
    ),
    ("GET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n", &["GET /a last", "close"]),
    (
        "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
        &["GET /a", "GET /b last", "close"],
    ),
    ("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b", &["GET /a last", "close"]),
    // A body that nobody wants, with a request in it, does not become one.
    (
        "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\nGET /x HTTP/1.0\r\n\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
        &["GET /a", "400 bare_lf"],
    ),
    (
        "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 19\r\n\r\nGET /x HTTP/1.0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
        &["GET /a", "GET /b"],
    ),
    (
        "GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\nX: y\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
        &["GET /a", "GET /b"],
    ),
    ("GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nX", &["GET /a", "close"]),
    (
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcPUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
        &["POST /a", "body abc", "PUT /b continue", "body def"],
    ),
    ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", &["POST /", "body "]),
    ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 21\r\n\r\n", &["413 body_length"]),
    (
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\nb\r\n01234567890\r\n0\r\n\r\n",
        &["POST /", "413 body_length"],
    ),
    (
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
        &["POST /", "400 chunk_size"],
    ),
    // An answer before the body that the client holds back ends the connection.
    ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", &["GET / last"]),
    // Whoever answers decides about methods that nobody knows.
    ("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", &["? /", "body "]),
    ("GET / HTTP/1.1\r\n\r\n", &["400 host_missing"]),
    // The fourth request is the last one allowed here.
    (
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\nGET /5",
        &["GET /1", "GET /2", "GET /3", "GET /4 last", "close"],
    ),
];

#[test]
fn dialogues_go_as_the_standard_says() {
    for (octets, expected) in DIALOGUES {
        assert_eq!(talk(octets.as_bytes(), &[]), *expected, "{octets:?}");
    }
}

#[test]
fn every_split_in_two_and_octet_by_octet_decide_the_same() {
    for (octets, expected) in DIALOGUES {
        for cut in 0..octets.len() {
            assert_eq!(talk(octets.as_bytes(), &[cut]), *expected, "{octets:?} cut at {cut}");
        }
        let each: Vec<_> = (0..octets.len()).collect();
        assert_eq!(talk(octets.as_bytes(), &each), *expected, "{octets:?} octet by octet");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_of_any_dialogues_decides_the_same(
        which in prop::collection::vec(prop::sample::select(DIALOGUES), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let octets: String = which.iter().map(|(octets, _)| *octets).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(octets.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(talk(octets.as_bytes(), &cuts), talk(octets.as_bytes(), &[]));
    }

    #[test]
    fn no_octets_make_the_engine_panic_or_stand_still(
        octets in prop::collection::vec(any::<u8>(), 0..200),
        which in prop::sample::select(DIALOGUES),
    ) {
        let mut all = which.0.as_bytes().to_vec();
        all.extend_from_slice(&octets);
        let _ = talk(&all, &[octets.len()]);
    }
}

#[test]
fn a_head_that_does_not_end_gets_408_however_often_an_octet_comes() {
    let mut shell = Shell::new(Limits::default());
    for second in 0..9 {
        shell.receive(at(second), b"G");
        shell.pass(at(second));
    }
    assert!(!shell.over);
    shell.pass(at(10));
    assert_eq!(shell.log, ["408 head_time"]);
}

#[test]
fn silence_closes_a_connection_without_a_word() {
    let mut shell = Shell::new(Limits::default());
    assert_eq!(shell.connection.next_timeout(), None);
    shell.receive(at(9), b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET");
    assert_eq!(shell.connection.next_timeout(), Some(at(19)));
    shell.receive(at(10), b" / HTTP/1.1\r\nHost: h\r\n\r\n");
    shell.pass(at(69));
    assert!(!shell.over);
    shell.pass(at(70));
    assert_eq!(shell.log, ["GET /", "GET /", "close"]);
}

#[test]
fn a_body_must_come_at_a_minimum_rate() {
    let mut shell = Shell::new(Limits::default());
    shell.receive(at(0), b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    for window in 0..3 {
        shell.receive(at(window * 19), &[b'x'; 5120]);
        shell.pass(at(window * 19));
        assert!(!shell.over);
    }
    for second in 39..58 {
        shell.receive(at(second), &[b'x'; 200]);
        shell.pass(at(second));
    }
    assert!(!shell.over);
    shell.pass(at(58));
    assert_eq!(shell.log, ["POST /", "408 body_time"]);
}

#[test]
fn a_draining_server_answers_once_more_and_closes() {
    let mut shell = Shell::new(Limits::default());
    shell.receive(at(0), b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    shell.connection.drain();
    shell.receive(at(1), b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(shell.log, ["GET /a", "GET /b last", "close"]);
}

#[test]
fn a_lingering_connection_reads_on_within_bounds() {
    let limits = Limits::default();
    let mut connection = Connection::new();
    connection.linger(at(5));
    assert_eq!(connection.next_timeout(), Some(at(7)));
    let mut spans = FieldSpans::default();
    let octets = vec![0; LINGER_OCTETS as usize - 1];
    assert!(matches!(connection.next(&octets, &limits, &mut spans), (65_535, Decision::More)));
    assert!(matches!(connection.next(&[0], &limits, &mut spans), (1, Decision::Close)));
}

#[test]
fn the_state_of_a_connection_is_small() {
    assert!(size_of::<Connection>() <= 128, "{}", size_of::<Connection>());
}
