//! A multipart form has the same parts however its octets are cut.
#![no_main]
use doorway_http::form::{FormLimits, Multipart, Part};

/// Heads and contents of whole parts, then the rule that ended it.
fn parts(octets: &[u8], step: usize) -> Vec<String> {
    let limits = FormLimits { parts: 8, field_octets: 64 };
    let (mut parser, mut waiting, mut data) = (Multipart::new("B", limits), Vec::new(), Vec::new());
    let (mut told, mut head) = (Vec::new(), String::new());
    let mut chunks = octets.chunks(step).peekable();
    loop {
        waiting.extend_from_slice(chunks.next().unwrap_or_default());
        let (octets, last, mut used) = (std::mem::take(&mut waiting), chunks.peek().is_none(), 0);
        loop {
            let (more, part) = match parser.next(&octets[used..], last) {
                Ok(next) => next,
                Err(refusal) => return [told, vec![refusal.to_string()]].concat(),
            };
            used += more;
            match part {
                Part::More => break,
                Part::Head(next) => head = format!("{next:?}"),
                Part::Data(more) => data.extend_from_slice(more),
                Part::End => told.push(format!("{head} {:?}", std::mem::take(&mut data))),
                Part::Over => return told,
            }
        }
        waiting.extend_from_slice(&octets[used..]);
    }
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    assert_eq!(parts(octets, octets.len().max(1)), parts(octets, 1));
});
