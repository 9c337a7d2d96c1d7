//! The refusal table, the sample messages of the standards, and what holds for every message.

use super::chunked::{Chunked, Piece};
use super::rule::*;
use super::*;
use proptest::prelude::*;

/// What a parse of `octets` says, and how many octets it took: `None` while the head is not whole.
fn parse(octets: &[u8]) -> Result<Option<(String, usize)>, Refusal> {
    let mut spans = FieldSpans::default();
    Ok(match parse_request(octets, &HeadLimits::default(), &mut spans)? {
        Parsed::Partial => None,
        Parsed::Head(head, used) => {
            let fields: Vec<_> = head
                .fields
                .iter()
                .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
                .collect();
            let meaning = format!(
                "{} {} {:?} host={} {:?} persistent={} continue={} {}",
                head.method_name.escape_ascii(),
                head.target_octets.escape_ascii(),
                head.version,
                head.host.escape_ascii(),
                head.body,
                head.persistent,
                head.expects_continue,
                fields.join("|")
            );
            Some((meaning, used))
        }
    })
}

/// Each refusal: the octets, the rule, and the octet that breaks it.
const REFUSALS: &[(&str, &Rule, usize)] = &[
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", &BARE_LF, 14),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", &BARE_LF, 23),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", &BARE_LF, 25),
    ("GET / HTTP/1.1\r\nHost\n: a\r\n\r\n", &BARE_LF, 20),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &BARE_LF, 0),
    ("GET\n/ HTTP/1.1\r\nHost: a\r\n\r\n", &BARE_LF, 3),
    ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", &BARE_CR, 0),
    ("GET / HTTP/1.1\rHost: a\r\n\r\n", &BARE_CR, 14),
    ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", &BARE_CR, 23),
    ("GET / HTTP/1.1\r\nHost: a\r\n\rX", &BARE_CR, 25),
    ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", &BARE_CR, 23),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD, 2),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", &REQUEST_LINE_SPACE, 0),
    ("GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD, 2),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD, 1),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD, 3),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &REQUEST_LINE_SPACE, 4),
    ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", &REQUEST_LINE_SPACE, 6),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", &REQUEST_LINE_SPACE, 14),
    ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", &VERSION, 6),
    ("GET /\r\n\r\n", &VERSION, 5),
    ("GET /\"x HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET, 5),
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET, 6),
    ("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET, 6),
    ("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET, 6),
    ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET, 5),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM, 4),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM, 4),
    ("GET 4tp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM, 4),
    ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM, 4),
    ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM, 4),
    ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM, 8),
    ("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM, 8),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", &VERSION, 6),
    ("GET / HTTP/11\r\nHost: a\r\n\r\n", &VERSION, 12),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", &VERSION, 14),
    ("GET / HTTP/1,1\r\nHost: a\r\n\r\n", &VERSION, 12),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", &VERSION_MAJOR, 11),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", &VERSION_MAJOR, 11),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &TARGET_FORM, 4),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", &LEADING_SPACE, 16),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", &OBS_FOLD, 31),
    ("GET / HTTP/1.1\r\nHost: a\r\n\t\r\n\r\n", &OBS_FOLD, 25),
    ("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", &FIELD_NAME_EMPTY, 25),
    ("GET / HTTP/1.1\r\nHo st: a\r\n\r\n", &SPACE_BEFORE_COLON, 18),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", &SPACE_BEFORE_COLON, 20),
    ("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", &SPACE_BEFORE_COLON, 20),
    ("GET / HTTP/1.1\r\nHost\r\n\r\n", &FIELD_NAME, 20),
    ("GET / HTTP/1.1\r\nH\u{e9}: a\r\n\r\n", &FIELD_NAME, 17),
    ("GET / HTTP/1.1\r\nX[]: a\r\n\r\n", &FIELD_NAME, 17),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", &FIELD_VALUE, 28),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n", &FIELD_VALUE, 29),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", &FIELD_VALUE, 28),
    ("GET / HTTP/1.1\r\n\r\n", &HOST_MISSING, 16),
    ("GET http://a/ HTTP/1.1\r\n\r\n", &HOST_MISSING, 24),
    ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", &HOST_REPEATED, 31),
    ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", &HOST_REPEATED, 31),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", &HOST, 21),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &HOST, 22),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &HOST, 22),
    ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", &HOST, 22),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", &HOST, 22),
    ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", &HOST, 22),
    ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", &HOST, 22),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", &HOST, 22),
    ("GET / HTTP/1.1\r\nHost: [1.2]\r\n\r\n", &HOST, 22),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", &CONTENT_LENGTH, 41),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", &CONTENT_LENGTH, 42),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", &CONTENT_LENGTH, 42),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", &CONTENT_LENGTH, 42),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 2\r\n\r\n", &CONTENT_LENGTH, 42),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", &CONTENT_LENGTH, 42),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", &CONTENT_LENGTH, 42),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", &CONTENT_LENGTH, 42),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        &CONTENT_LENGTH_REPEATED,
        61,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        &CONTENT_LENGTH_REPEATED,
        61,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        &LENGTH_AND_CODING,
        64,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        &LENGTH_AND_CODING,
        45,
    ),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", &CODING_VERSION, 36),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", &CODING_LAST, 45),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", &CODING_LAST, 45),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", &CODING_LAST, 45),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", &CODING_LAST, 45),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", &CODING_LAST, 44),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", &CODING_LAST, 45),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", &CODING_LAST, 45),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        &CODING_LAST,
        73,
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", &CODING_UNKNOWN, 45),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", &EXPECT, 34),
];

#[test]
fn every_rule_that_is_broken_is_named_with_its_octet() {
    for &(octets, rule, at_octet) in REFUSALS {
        assert_eq!(parse(octets.as_bytes()), Err(Refusal::new(rule, at_octet)), "{octets:?}");
    }
}

#[test]
fn a_refusal_does_not_depend_on_how_the_octets_are_cut() {
    for &(octets, ..) in REFUSALS {
        let whole = parse(octets.as_bytes());
        for length in 0..octets.len() {
            match parse(&octets.as_bytes()[..length]) {
                Ok(None) => {}
                found => assert_eq!(found, whole, "{octets:?} cut at {length}"),
            }
        }
    }
}

#[test]
fn a_line_a_field_and_a_head_that_are_too_long_get_their_own_status() {
    let long = |count: usize| "x".repeat(count);
    for (octets, rule, at_octet) in [
        (format!("GET /{}", long(16 * 1024)), &TARGET_LENGTH, 16 * 1024),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(16 * 1024)), &TARGET_LENGTH, 16 * 1024),
        (long(65), &METHOD_LENGTH, 64),
        (format!("GET / HTTP/1.1\r\n{}", long(17_000)), &FIELD_LENGTH, 16 + 16 * 1024),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", long(17_000)), &FIELD_LENGTH, 16 + 16 * 1024),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(129)), &FIELDS_COUNT, 16 + 128 * 6),
        (format!("GET / HTTP/1.1\r\n{}", format!("X: {}\r\n", long(1000)).repeat(70)), &HEAD_LENGTH, 65_535),
    ] {
        assert_eq!(parse(octets.as_bytes()), Err(Refusal::new(rule, at_octet)), "{}", rule.code);
    }
    assert_eq!(TARGET_LENGTH.status.code(), 414);
    assert_eq!(FIELD_LENGTH.status.code(), 431);
    let target = long(16 * 1024 - "GET / HTTP/1.1\r\n".len());
    assert!(parse(format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap().is_some());
}

#[test]
fn every_rule_of_a_head_stands_in_the_refusal_table() {
    let elsewhere = [
        "method_length",
        "request_target_length",
        "field_length",
        "fields_count",
        "head_length",
        "method_unknown",
        "body_length",
        "bodies_length",
        "chunk_size",
        "chunk_extension",
        "chunk_end",
        "trailer",
        "trailer_length",
        "head_time",
        "body_time",
        "status_line",
        "percent_triplet",
        "percent_nul",
        "percent_utf8",
    ];
    for rule in Rule::ALL {
        let listed = REFUSALS.iter().any(|(_, of, _)| of == rule);
        assert_ne!(listed, elsewhere.contains(&rule.code), "{}", rule.code);
    }
}

/// Messages that keep every rule, what they say, and what follows the head.
const ACCEPTED: &[(&str, &str, &str)] = &[
    // RFC 9112 §2.1 and the sample request of textbooks.
    (
        "GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, mi\r\n\r\n",
        "GET /hello.txt Http11 host=www.example.com None persistent=true continue=false \
         User-Agent=curl/7.64.1|Host=www.example.com|Accept-Language=en, mi",
        "",
    ),
    (
        "GET /somedir/page.html HTTP/1.1\r\nHost: www.someschool.edu\r\nUser-agent: Mozilla/4.0\r\nConnection: close\r\nAccept-language: fr\r\n\r\n",
        "GET /somedir/page.html Http11 host=www.someschool.edu None persistent=false continue=false \
         Host=www.someschool.edu|User-agent=Mozilla/4.0|Connection=close|Accept-language=fr",
        "",
    ),
    ("\r\nGET / HTTP/1.0\r\n\r\n", "GET / Http10 host= None persistent=false continue=false ", ""),
    (
        "GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n",
        "GET / Http10 host= None persistent=true continue=false Connection=x, Keep-Alive",
        "",
    ),
    (
        "GET /?a[]=1&b={c|d} HTTP/1.7\r\nhOsT:\t [::1]:80 \t\r\n\r\n",
        "GET /?a[]=1&b={c|d} Http11 host=[::1]:80 None persistent=true continue=false hOsT=[::1]:80",
        "",
    ),
    (
        "GET HTTP://b:8080?q HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET HTTP://b:8080?q Http11 host=b:8080 None persistent=true continue=false Host=a",
        "",
    ),
    (
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
        "OPTIONS * Http11 host=a None persistent=true continue=false Host=a|X=",
        "",
    ),
    (
        "CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT b:443 Http11 host=b:443 None persistent=true continue=false Host=a",
        "",
    ),
    (
        "BREW /pot HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc",
        "BREW /pot Http11 host=a Length(3) persistent=true continue=true \
         Host=a|Content-Length=3|Expect=100-Continue",
        "abc",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,Chunked ,\r\n\r\n0\r\n\r\n",
        "POST / Http11 host=a Chunked persistent=true continue=false \
         Host=a|Transfer-Encoding=,Chunked ,",
        "0\r\n\r\n",
    ),
];

#[test]
fn messages_that_keep_the_rules_say_what_they_say() {
    for &(octets, meaning, body) in ACCEPTED {
        let used = octets.len() - body.len();
        assert_eq!(parse(octets.as_bytes()), Ok(Some((meaning.to_string(), used))), "{octets:?}");
    }
}

#[test]
fn every_prefix_of_a_head_waits_for_more() {
    for &(octets, _, body) in ACCEPTED {
        for length in 0..octets.len() - body.len() {
            assert_eq!(parse(&octets.as_bytes()[..length]), Ok(None), "{octets:?} cut at {length}");
        }
    }
}

#[test]
fn the_target_forms_are_told_apart() {
    let resource = |path, query| Resource { path, query };
    for (method, octets, expected) in [
        (Method::Get, "/a?b?c", Some(Target::Origin(resource(b"/a", Some(b"b?c"))))),
        (
            Method::Get,
            "https://h/a",
            Some(Target::Absolute { scheme: b"https", authority: b"h", resource: resource(b"/a", None) }),
        ),
        (Method::Connect, "h:443", Some(Target::Authority(b"h:443"))),
        (Method::Options, "*", Some(Target::Asterisk)),
        (Method::Options, "*x", None),
        (Method::Get, "h:443", None),
    ] {
        assert_eq!(Target::parse(method, octets.as_bytes()), expected, "{octets}");
    }
}

/// Decodes a chunked body cut into pieces of `step` octets: its data and what is left behind it.
fn decode_chunked(octets: &[u8], step: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let (mut chunked, mut data) = (Chunked::default(), Vec::new());
    for (index, read) in octets.chunks(step).enumerate() {
        let mut used = 0;
        loop {
            let (more, piece) = chunked.decode(&read[used..])?;
            used += more;
            match piece {
                Piece::Data(piece) => data.extend_from_slice(piece),
                Piece::More => break,
                Piece::End => return Ok(Some((data, octets.len() - index * step - used))),
            }
        }
    }
    Ok(None)
}

#[test]
fn a_chunked_body_decodes_the_same_however_it_is_cut() {
    for (octets, expected) in [
        ("0\r\n\r\n", Ok(Some(("", 0)))),
        ("4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\nGET", Ok(Some(("Wikipedia", 3)))),
        ("00A;a=\"b c\";d\r\n0123456789\r\n000\r\nX-Sum: 1\r\nY:\r\n\r\n", Ok(Some(("0123456789", 0)))),
        ("5\r\nab", Ok(None)),
        ("5\nabcde\r\n", Err((&BARE_LF, 1))),
        ("5\r\nabcdeX", Err((&CHUNK_END, 8))),
        ("5\r\nabcde\n", Err((&BARE_LF, 8))),
        ("5\rX", Err((&BARE_CR, 2))),
        ("\r\n", Err((&CHUNK_SIZE, 0))),
        ("+5\r\n", Err((&CHUNK_SIZE, 0))),
        ("0x5\r\n", Err((&CHUNK_SIZE, 1))),
        (" 5\r\n", Err((&CHUNK_SIZE, 0))),
        ("5 \r\n", Err((&CHUNK_SIZE, 1))),
        ("00000000000000005\r\n", Err((&CHUNK_SIZE, 16))),
        ("0;a\x01\r\n", Err((&CHUNK_EXTENSION, 3))),
        ("0;a\n\r\n", Err((&BARE_LF, 3))),
        ("0\r\n\n", Err((&BARE_LF, 3))),
        ("0\r\nX : 1\r\n\r\n", Err((&TRAILER, 4))),
        ("0\r\n: 1\r\n\r\n", Err((&TRAILER, 3))),
        ("0\r\nX: \x01\r\n\r\n", Err((&TRAILER, 6))),
        ("0\r\nX: 1\rY", Err((&BARE_CR, 8))),
    ] {
        let expected = expected
            .map(|found| found.map(|(data, left): (&str, _)| (data.as_bytes().to_vec(), left)))
            .map_err(|(rule, at_octet)| Refusal::new(rule, at_octet));
        for step in 1..=octets.len() {
            assert_eq!(decode_chunked(octets.as_bytes(), step), expected, "{octets:?} by {step}");
        }
    }
}

#[test]
fn chunk_extensions_and_trailers_cannot_grow_without_end() {
    let extensions = format!("1;{}\r\nx\r\n", "e".repeat(1000)).repeat(5);
    assert_eq!(decode_chunked(extensions.as_bytes(), 100).unwrap_err().rule, &CHUNK_EXTENSION);
    let trailers = format!("0\r\n{}", "X: yyyyyyyy\r\n".repeat(1000));
    assert_eq!(decode_chunked(trailers.as_bytes(), 100).unwrap_err().rule, &TRAILER_LENGTH);
}

#[test]
fn a_response_head_cannot_be_split_by_a_value() {
    let mut out = Vec::new();
    let mut writer = response::ResponseWriter::begin(&mut out, response::Form::Http1, crate::Status::OK);
    writer
        .field("X-Name", b"a\r\nSet-Cookie: b\0")
        .field("bad name", b"x")
        .field("", b"x")
        .number("Content-Length", 1070)
        .number("Age", 0)
        .connection(Version::Http10, true)
        .end();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 200 OK\r\nX-Name: aSet-Cookie: b\r\nContent-Length: 1070\r\nAge: 0\r\nConnection: keep-alive\r\n\r\n"
    );
}

/// Where we refuse what httparse reads as a whole head. It does not judge what fields mean, takes LF
/// alone as a line's end, skips any number of empty lines before the request, takes any printable
/// octet in a target, and knows no other method than tokens of any length.
const STRICTER: &[&Rule] = &[
    &BARE_LF,
    &METHOD,
    &TARGET,
    &TARGET_FORM,
    &HOST_MISSING,
    &HOST_REPEATED,
    &HOST,
    &CONTENT_LENGTH,
    &CONTENT_LENGTH_REPEATED,
    &LENGTH_AND_CODING,
    &CODING_VERSION,
    &CODING_LAST,
    &CODING_UNKNOWN,
    &EXPECT,
];

/// Heads that are nearly right: valid parts, with a few octets changed.
fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(
        ACCEPTED
            .iter()
            .map(|(octets, ..)| *octets)
            .chain(REFUSALS.iter().map(|(octets, ..)| *octets))
            .collect::<Vec<_>>(),
    );
    let change =
        (any::<prop::sample::Index>(), prop::sample::select(b"\r\n\t :,x\0\x7f\x80/HTP1.".to_vec()), 0..3u8);
    (whole, prop::collection::vec(change, 0..4)).prop_map(|(whole, changes)| {
        let mut octets = whole.as_bytes().to_vec();
        for (index, octet, kind) in changes {
            let at = index.index(octets.len());
            match kind {
                0 => octets[at] = octet,
                1 => octets.insert(at, octet),
                _ => drop(octets.remove(at)),
            }
        }
        octets
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_prefix_never_says_anything_else_than_the_whole(octets in nearly_a_head(), cut: prop::sample::Index) {
        let prefix = parse(&octets[..cut.index(octets.len())]);
        if prefix != Ok(None) {
            prop_assert_eq!(prefix, parse(&octets));
        }
    }

    #[test]
    fn what_we_accept_httparse_reads_the_same(octets in nearly_a_head()) {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut theirs = httparse::Request::new(&mut fields);
        let their_result = theirs.parse(&octets);
        let mut spans = FieldSpans::default();
        match parse_request(&octets, &HeadLimits::default(), &mut spans) {
            Ok(Parsed::Head(head, used)) => {
                // httparse knows HTTP/1.0 and 1.1 alone; we answer 1.2 to 1.9 as 1.1.
                if their_result == Err(httparse::Error::Version) {
                    prop_assert!(!matches!(head.octets.windows(8).find(|v| v.starts_with(b"HTTP/")), Some(b"HTTP/1.0" | b"HTTP/1.1")));
                    return Ok(());
                }
                prop_assert_eq!(their_result, Ok(httparse::Status::Complete(used)));
                prop_assert_eq!(theirs.method.unwrap().as_bytes(), head.method_name);
                prop_assert_eq!(theirs.path.unwrap().as_bytes(), head.target_octets);
                let ours: Vec<_> = head.fields.iter().collect();
                let theirs: Vec<_> = theirs.headers.iter().map(|f| (f.name.as_bytes(), f.value)).collect();
                prop_assert_eq!(ours, theirs);
            }
            Ok(Parsed::Partial) => {
                // Only where httparse takes LF alone as a line's end can it be ahead of us; such
                // octets we refuse, so here it must be waiting, or refuse for the octets' own sake.
                prop_assert!(!matches!(their_result, Ok(httparse::Status::Complete(_))));
            }
            Err(refusal) if their_result.is_ok_and(|found| found.is_complete()) => {
                prop_assert!(STRICTER.contains(&refusal.rule), "{}", refusal);
            }
            Err(_) => {}
        }
    }

    #[test]
    fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&octets);
        let _ = decode_chunked(&octets, 7);
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        head.extend_from_slice(&octets);
        let _ = parse(&head);
    }
}
