//! What Python's email makes of the mail corpus, compared with what we do.

use crate::corpus::{ASPECTS, Reading, messages, shown};
use crate::mime_differences::check;
use crate::programs;

/// Reads messages as lines of hexadecimal digits; prints a line for each aspect, values parted by bars.
const SCRIPT: &str = r#"
import sys, email, email.policy, email.utils
def values(message):
    leaves = [part for part in message.walk() if not part.is_multipart()]
    def content(part):
        octets = part.get_payload(decode=True) or b""
        if part.get_content_maintype() != "text":
            return octets
        try:
            return octets.decode(part.get_content_charset("us-ascii"), "replace").encode()
        except LookupError:
            return octets.decode("us-ascii", "replace").encode()
    def sender():
        field = message["from"]
        if field is None:
            return []
        return [(f"{a.display_name} <{a.addr_spec}>").strip().encode("utf-8", "replace") for a in field.addresses]
    def when():
        field = message["date"]
        date = field and email.utils.parsedate_to_datetime(str(field))
        return [str(int(date.timestamp())).encode()] if date else []
    yield lambda: [part.get_content_type().encode() for part in leaves]
    yield lambda: [content(part) for part in leaves]
    yield lambda: [(part.get_filename() or "").encode("utf-8", "replace") for part in leaves]
    yield lambda: [str(message["subject"] or "").encode("utf-8", "replace")]
    yield sender
    yield when
for line in sys.stdin:
    message = email.message_from_bytes(bytes.fromhex(line), policy=email.policy.default)
    for value in values(message):
        try:
            print("|".join(octets.hex() for octets in value()))
        except Exception as error:
            print("|".join([type(error).__name__.encode().hex()]))
"#;

#[test]
fn python_reads_the_corpus_of_mail_as_we_do_or_differs_for_a_reason() {
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let input: String = messages().iter().map(|(_, message)| hex(message) + "\n").collect();
    let ran = programs::run_with_input("/usr/bin/python3", &["-c", SCRIPT], input.as_bytes()).done();
    let octets = |hex: &str| -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    };
    let lines: Vec<&str> = ran.split('\n').collect();
    let readings: Vec<Reading> = lines
        .chunks_exact(ASPECTS.len())
        .map(|lines| {
            let value = |line: &&str| {
                line.split('|').map(|value| shown(&octets(value))).collect::<Vec<_>>().join(" | ")
            };
            ASPECTS.iter().copied().zip(lines.iter().map(value)).collect()
        })
        .collect();
    check("Python's email", &readings);
}
