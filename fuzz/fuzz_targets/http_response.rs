//! A client decides the same about responses however their octets are cut into reads.
#![no_main]
use doorway_http::client::{Connection, Decision};
use doorway_http::wire::{FieldSpans, HeadLimits, Method};

fn decisions(octets: &[u8], step: usize) -> Vec<String> {
    let (limits, mut connection) = (HeadLimits::default(), Connection::default());
    [Method::Get, Method::Head, Method::Post].into_iter().for_each(|method| connection.sent(method));
    let (mut waiting, mut log, mut body) = (Vec::new(), Vec::new(), Vec::new());
    for part in octets.chunks(step) {
        waiting.extend_from_slice(part);
        let (octets, mut used) = (std::mem::take(&mut waiting), 0);
        let mut spans = FieldSpans::default();
        loop {
            let (more, decision) = connection.next(&octets[used..], &limits, &mut spans);
            used += more;
            match decision {
                Decision::Data(data) => body.extend_from_slice(data),
                Decision::More => break,
                Decision::Informational(head) | Decision::Response(head) => {
                    log.push(format!("{:?}", (head.octets, head.status, head.body, head.persistent)));
                }
                Decision::End if connection.waiting() > 0 && connection.persists() => {
                    log.push(std::mem::take(&mut body).escape_ascii().to_string());
                }
                end @ (Decision::End | Decision::Broken(_) | Decision::Over) => {
                    log.push(format!("{end:?}"));
                    return log;
                }
            }
        }
        waiting.extend_from_slice(&octets[used..]);
    }
    log
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    assert_eq!(decisions(octets, octets.len().max(1)), decisions(octets, 1));
});
