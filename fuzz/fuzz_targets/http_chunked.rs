//! A body in chunks decodes the same however it is cut.
#![no_main]
use doorway_http::wire::Refusal;
use doorway_http::wire::chunked::{Chunked, Piece};

fn decode(octets: &[u8], step: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let (mut chunked, mut data, mut read) = (Chunked::default(), Vec::new(), 0);
    for part in octets.chunks(step) {
        let mut used = 0;
        loop {
            let (more, piece) = chunked.decode(&part[used..])?;
            used += more;
            match piece {
                Piece::Data(piece) => data.extend_from_slice(piece),
                Piece::More => break,
                Piece::End => return Ok(Some((data, read + used))),
            }
        }
        read += part.len();
    }
    Ok(None)
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let whole = decode(octets, octets.len().max(1));
    assert_eq!(whole, decode(octets, 1));
    assert_eq!(whole, decode(octets, 7));
});
