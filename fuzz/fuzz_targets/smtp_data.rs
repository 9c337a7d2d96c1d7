//! Content reads the same however it is cut, and what is sent is read back whole and ends once.
#![no_main]
use doorway_mail::smtp::data::{BareNewline, Flaw, Form, Scanner, Stuffer};

fn read(octets: &[u8], step: usize, bare_newline: BareNewline) -> (Vec<u8>, usize, Result<u64, Flaw>) {
    let mut scanner = Scanner::new(Form::Dotted, bare_newline, 1 << 20);
    let (mut content, mut at) = (Vec::new(), 0);
    for part in octets.chunks(step) {
        let (used, ended) = scanner.take(part, &mut content);
        at += used;
        if ended {
            break;
        }
    }
    let verdict = scanner.finish(&mut content);
    (if verdict.is_ok() { content } else { Vec::new() }, at, verdict)
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    for bare_newline in [BareNewline::Reject, BareNewline::Normalize] {
        assert_eq!(read(octets, octets.len().max(1), bare_newline), read(octets, 1, bare_newline));
    }
    let (mut stuffer, mut out) = (Stuffer::default(), Vec::new());
    stuffer.write(octets, &mut out);
    stuffer.finish(&mut out);
    let (_, at, verdict) = read(&out, 7, BareNewline::Reject);
    assert_eq!((at, verdict.is_ok()), (out.len(), true));
});
