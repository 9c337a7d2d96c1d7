//! No octets make a server take a message for signed, and what it refuses it can answer.
#![no_main]
use std::sync::Arc;

use doorway_base::UnixTime;
use doorway_dns::wire::tsig::{self, Algorithm, Chain, Key, Opened};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let now = UnixTime::from_secs(1_795_380_346);
    let name = "sec1".parse().expect("a name");
    let keys = [Arc::new(Key::new(&name, Algorithm::Sha256, b"a secret that no input can know"))];
    match tsig::open(octets, &keys, now) {
        Ok(Opened::Signed { .. }) => panic!("a forged signature"),
        Ok(Opened::Refused(refusal)) => {
            let answer = refusal.answer(octets, now);
            assert!(tsig::find(&answer).expect("an answer that can be walked").is_some());
        }
        Ok(Opened::Plain) | Err(_) => {}
    }
    let mut request = vec![0; 12];
    let mut chain = Chain::request(&keys[0], &mut request, now);
    assert!(chain.verify(&mut octets.to_vec(), now).is_err());
});
