//! A connection decides the same however its octets are cut into reads.
#![no_main]
use doorway_http::connection::{Connection, Decision, Limits};
use doorway_http::wire::FieldSpans;

fn decisions(octets: &[u8], step: usize) -> Vec<String> {
    let (limits, mut connection) = (Limits::default(), Connection::new());
    let (mut waiting, mut log, mut body) = (Vec::new(), Vec::new(), Vec::new());
    for part in octets.chunks(step) {
        waiting.extend_from_slice(part);
        let (octets, mut used) = (std::mem::take(&mut waiting), 0);
        let mut spans = FieldSpans::default();
        loop {
            let (more, decision) = connection.next(&octets[used..], &limits, &mut spans);
            used += more;
            match decision {
                Decision::More => break,
                Decision::Request(head) => {
                    log.push(head.target_octets.escape_ascii().to_string());
                    connection.read_body();
                }
                Decision::Body(data) => body.extend_from_slice(data),
                Decision::BodyEnd => {
                    log.push(std::mem::take(&mut body).escape_ascii().to_string());
                    connection.answer();
                }
                Decision::Refuse(refusal) => {
                    log.push(refusal.rule.code.to_owned());
                    return log;
                }
                Decision::Close => return log,
            }
        }
        waiting.extend_from_slice(&octets[used..]);
    }
    log
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    assert_eq!(decisions(octets, octets.len().max(1)), decisions(octets, 1));
});
