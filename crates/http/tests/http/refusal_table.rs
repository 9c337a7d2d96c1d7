//! Messages that break a rule of HTTP/1, each with a name.

use doorway_http::wire::Rule;
use doorway_http::wire::rule::*;

/// A message that breaks one rule.
pub(crate) struct Case {
    /// What is wrong with it.
    pub(crate) what: &'static str,
    pub(crate) octets: Vec<u8>,
    pub(crate) rule: &'static Rule,
}

type Row = (&'static str, &'static [u8], &'static Rule);

/// Heads, written out.
const HEADS: &[Row] = &[
    ("request line ends with LF", b"GET / HTTP/1.1\nHost: a\r\n\r\n", &BARE_LF),
    ("field ends with LF", b"GET / HTTP/1.1\r\nHost: a\n\r\n", &BARE_LF),
    ("head ends with LF", b"GET / HTTP/1.1\r\nHost: a\r\n\n", &BARE_LF),
    ("all lines end with LF", b"GET / HTTP/1.1\nHost: a\n\n", &BARE_LF),
    ("LF in a field name", b"GET / HTTP/1.1\r\nHost\n: a\r\n\r\n", &BARE_LF),
    ("LF before the request line", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &BARE_LF),
    ("CR before the request line", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", &BARE_CR),
    ("request line ends with CR", b"GET / HTTP/1.1\rHost: a\r\n\r\n", &BARE_CR),
    ("CR in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", &BARE_CR),
    ("two CR before LF", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", &BARE_CR),
    ("CR before the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", &BARE_CR),
    ("two empty lines before the request line", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD),
    ("NUL in the method", b"GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD),
    ("method is no token", b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD),
    ("HTAB behind the method", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD),
    ("TLS on a port without it", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", &METHOD),
    ("SP before the method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", &REQUEST_LINE_SPACE),
    ("two SP behind the method", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &REQUEST_LINE_SPACE),
    ("two SP behind the target", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", &REQUEST_LINE_SPACE),
    ("SP behind the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", &REQUEST_LINE_SPACE),
    ("quote in the target", b"GET /\"x HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET),
    ("fragment in the target", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET),
    ("backslash in the target", b"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET),
    ("HTAB in the target", b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET),
    ("UTF-8 that is not percent-coded", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET),
    ("NUL in the target", b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET),
    ("target without its slash", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM),
    ("* with another method than OPTIONS", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM),
    ("another scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM),
    ("absolute form without a host", b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM),
    ("user name in the target", b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM),
    ("CONNECT with a path", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM),
    ("CONNECT without a port", b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", &TARGET_FORM),
    ("HTTP/0.9", b"GET /\r\n\r\n", &VERSION),
    ("version in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", &VERSION),
    ("version without a dot", b"GET / HTTP/11\r\nHost: a\r\n\r\n", &VERSION),
    ("minor version of two digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", &VERSION),
    ("a word more in the request line", b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", &VERSION),
    ("version 2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", &VERSION_MAJOR),
    ("version 3.1", b"GET / HTTP/3.1\r\nHost: a\r\n\r\n", &VERSION_MAJOR),
    ("version 0.9", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", &VERSION_MAJOR),
    ("SP before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", &LEADING_SPACE),
    ("HTAB before the first field", b"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", &LEADING_SPACE),
    ("value on two lines", b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", &OBS_FOLD),
    ("HTAB before the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\t\r\n\r\n", &OBS_FOLD),
    ("field without a name", b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", &FIELD_NAME_EMPTY),
    ("field without a colon", b"GET / HTTP/1.1\r\nHost\r\n\r\n", &FIELD_NAME),
    ("name is no token", b"GET / HTTP/1.1\r\nX[]: a\r\n\r\n", &FIELD_NAME),
    ("NUL in a name", b"GET / HTTP/1.1\r\nX\0: a\r\n\r\n", &FIELD_NAME),
    ("SP before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", &SPACE_BEFORE_COLON),
    ("HTAB before the colon", b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", &SPACE_BEFORE_COLON),
    ("SP in a name", b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", &SPACE_BEFORE_COLON),
    ("NUL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", &FIELD_VALUE),
    ("control character in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n", &FIELD_VALUE),
    ("DEL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", &FIELD_VALUE),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", &HOST_MISSING),
    ("no Host beside absolute form", b"GET http://a/ HTTP/1.1\r\n\r\n", &HOST_MISSING),
    ("two Host", b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", &HOST_REPEATED),
    ("the same Host twice", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &HOST_REPEATED),
    ("two Host in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", &HOST_REPEATED),
    ("empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", &HOST),
    ("SP in Host", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &HOST),
    ("path in Host", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &HOST),
    ("user name in Host", b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", &HOST),
    ("port that is no number", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", &HOST),
    ("port beyond 65535", b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", &HOST),
    ("list of hosts", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", &HOST),
    ("address without its bracket", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", &HOST),
    ("another expectation", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", &EXPECT),
    ("unknown method", b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD_UNKNOWN),
    ("known method in lower case", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", &METHOD_UNKNOWN),
    ("half a triplet", b"GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", &PERCENT_TRIPLET),
    ("triplet that is no number", b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", &PERCENT_TRIPLET),
    ("%u", b"GET /%u0041 HTTP/1.1\r\nHost: a\r\n\r\n", &PERCENT_TRIPLET),
    ("%00", b"GET /plain.txt%00.html HTTP/1.1\r\nHost: a\r\n\r\n", &PERCENT_NUL),
    ("octets that are not UTF-8", b"GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", &PERCENT_UTF8),
    ("dots in overlong UTF-8", b"GET /%c0%ae%c0%ae/ HTTP/1.1\r\nHost: a\r\n\r\n", &PERCENT_UTF8),
];

/// What stands in a request with a body, behind its Host and before the end of its head; what follows the
/// head; and the rule.
type BodyRow = (&'static str, &'static str, &'static [u8], &'static Rule);

const CHUNKED: &str = "Transfer-Encoding: chunked";

/// Lengths and bodies.
const BODIES: &[BodyRow] = &[
    ("empty length", "Content-Length:", b"", &CONTENT_LENGTH),
    ("length with a plus", "Content-Length: +1", b"x", &CONTENT_LENGTH),
    ("length with a minus", "Content-Length: -1", b"x", &CONTENT_LENGTH),
    ("hexadecimal length", "Content-Length: 0x5", b"hello", &CONTENT_LENGTH),
    ("length with a fraction", "Content-Length: 1.0", b"x", &CONTENT_LENGTH),
    ("length with a space", "Content-Length: 1 2", b"x", &CONTENT_LENGTH),
    ("list of equal lengths", "Content-Length: 5, 5", b"hello", &CONTENT_LENGTH),
    ("list of lengths", "Content-Length: 5, 6", b"hello", &CONTENT_LENGTH),
    ("length of 2^63", "Content-Length: 9223372036854775808", b"", &CONTENT_LENGTH),
    ("length beyond 2^64", "Content-Length: 18446744073709551617", b"x", &CONTENT_LENGTH),
    ("two lengths", "Content-Length: 5\r\nContent-Length: 6", b"hello", &CONTENT_LENGTH_REPEATED),
    ("the same length twice", "Content-Length: 5\r\nContent-Length: 5", b"hello", &CONTENT_LENGTH_REPEATED),
    (
        "length, then coding",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"0\r\n\r\n",
        &LENGTH_AND_CODING,
    ),
    (
        "coding, then length",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        b"0\r\n\r\n",
        &LENGTH_AND_CODING,
    ),
    ("another coding alone", "Transfer-Encoding: gzip", b"", &CODING_LAST),
    ("identity", "Transfer-Encoding: identity", b"", &CODING_LAST),
    ("nearly chunked", "Transfer-Encoding: xchunked", b"", &CODING_LAST),
    ("chunked in quotes", "Transfer-Encoding: \"chunked\"", b"", &CODING_LAST),
    ("chunked with a parameter", "Transfer-Encoding: chunked;q=1", b"", &CODING_LAST),
    ("empty coding", "Transfer-Encoding:", b"", &CODING_LAST),
    ("chunked twice", "Transfer-Encoding: chunked, chunked", b"", &CODING_LAST),
    ("chunked not last", "Transfer-Encoding: chunked, gzip", b"", &CODING_LAST),
    ("chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"", &CODING_LAST),
    ("coding that nobody undoes", "Transfer-Encoding: gzip, chunked", b"0\r\n\r\n", &CODING_UNKNOWN),
    ("longer than http.body_octets_max", "Content-Length: 1001", b"", &BODY_LENGTH),
    ("no chunk size", CHUNKED, b"\r\n", &CHUNK_SIZE),
    ("chunk size with a plus", CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n", &CHUNK_SIZE),
    ("chunk size with a minus", CHUNKED, b"-5\r\n", &CHUNK_SIZE),
    ("chunk size with 0x", CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n", &CHUNK_SIZE),
    ("space before a chunk size", CHUNKED, b" 5\r\nhello\r\n0\r\n\r\n", &CHUNK_SIZE),
    ("space behind a chunk size", CHUNKED, b"5 \r\nhello\r\n0\r\n\r\n", &CHUNK_SIZE),
    ("chunk size of 17 digits", CHUNKED, b"00000000000000005\r\nhello\r\n0\r\n\r\n", &CHUNK_SIZE),
    ("chunk size that wraps round", CHUNKED, b"10000000000000005\r\nhello\r\n", &CHUNK_SIZE),
    ("chunk size ends with LF", CHUNKED, b"5\nhello\r\n0\r\n\r\n", &BARE_LF),
    ("CR in a chunk extension", CHUNKED, b"5;a\rb\r\nhello\r\n0\r\n\r\n", &BARE_CR),
    ("LF in a chunk extension", CHUNKED, b"5;a\nhello\r\n0\r\n\r\n", &BARE_LF),
    ("control character in a chunk extension", CHUNKED, b"5;a\x01\r\n", &CHUNK_EXTENSION),
    ("chunk longer than its size", CHUNKED, b"5\r\nhello!\r\n0\r\n\r\n", &CHUNK_END),
    ("chunk ends with LF", CHUNKED, b"5\r\nhello\n0\r\n\r\n", &BARE_LF),
    ("body ends with LF", CHUNKED, b"0\r\n\n", &BARE_LF),
    ("trailer without a colon", CHUNKED, b"0\r\nX\r\n\r\n", &TRAILER),
    ("space before a trailer's colon", CHUNKED, b"0\r\nX : 1\r\n\r\n", &TRAILER),
    ("trailer on two lines", CHUNKED, b"0\r\nX: 1\r\n 2\r\n\r\n", &TRAILER),
    ("control character in a trailer", CHUNKED, b"0\r\nX: \x01\r\n\r\n", &TRAILER),
    ("head of a body that does not come", "Content-Length: 5", b"he", &BODY_TIME),
];

fn long(count: usize) -> String {
    "x".repeat(count)
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what, octets: Vec<u8>, rule| cases.push(Case { what, octets, rule });
    for &(what, octets, rule) in HEADS {
        add(what, octets.to_vec(), rule);
    }
    for &(what, fields, body, rule) in BODIES {
        // The handler at this path reads what is sent to it.
        let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        add(what, [head.as_bytes(), body].concat(), rule);
    }
    let chunked =
        |body: &str| format!("POST /echo HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n\r\n{body}").into_bytes();
    let coded = b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    add("coding in HTTP/1.0", coded.to_vec(), &CODING_VERSION);
    add("endless method", long(70).into(), &METHOD_LENGTH);
    add("long request line", format!("GET /{} HTTP/1.1\r\n", long(16_384)).into(), &TARGET_LENGTH);
    let fields = |fields: String| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes();
    add("long field", fields(format!("X: {}\r\n", long(16_384))), &FIELD_LENGTH);
    add("many fields", fields("X: y\r\n".repeat(128)), &FIELDS_COUNT);
    add("long head", fields(format!("X: {}\r\n", long(16_000)).repeat(5)), &HEAD_LENGTH);
    add("half a head", b"GET / HTTP/1.1\r\nHost:".to_vec(), &HEAD_TIME);
    add("chunks beyond http.body_octets_max", chunked(&format!("400\r\n{}\r\n", long(1024))), &BODY_LENGTH);
    add("long chunk extensions", chunked(&format!("1;{}\r\n", long(4097))), &CHUNK_EXTENSION);
    let small = "1;xxxxxxxxx\r\nx\r\n".repeat(456);
    add("many short chunk extensions", chunked(&small), &CHUNK_EXTENSION);
    add("long trailers", chunked(&format!("0\r\n{}", "X: yyyyyyyyyy\r\n".repeat(800))), &TRAILER_LENGTH);
    cases
}
