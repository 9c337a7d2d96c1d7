//! What a field block says is said again by the block that is written of it.
#![no_main]
use doorway_http::h2::hpack::{Decoder, Encoder, Keep, Strings};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Option<Fields> {
    let mut fields = Vec::new();
    let each = |name: &[u8], value: &[u8]| fields.push((name.to_vec(), value.to_vec()));
    decoder.decode(block, &mut Strings::default(), each).ok()?;
    Some(fields)
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let (mut decoder, mut encoder, mut again) = (Decoder::new(), Encoder::new(), Decoder::new());
    for block in octets.split(|&octet| octet == 0xfe) {
        let Some(fields) = decode(&mut decoder, block) else { return };
        assert!(decoder.table_octets() <= 4096);
        let mut written = Vec::new();
        encoder.begin(&mut written);
        for (name, value) in &fields {
            encoder.field(&mut written, name, value, Keep::Yes);
        }
        assert_eq!(decode(&mut again, &written), Some(fields));
    }
});
