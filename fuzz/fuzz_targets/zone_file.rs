//! A zone file is read or refused with at least one error, and a zone that was read is written so that it
//! reads back as the same one.
#![no_main]
use doorway_base::Random;
use doorway_dns::wire::Name;
use doorway_dns::zone::fault::Faults;
use doorway_dns::zone::{HashKey, Zone, file};

fn read(apex: &Name, text: &[u8]) -> Result<(Zone, Faults), Faults> {
    // Every file includes the same one, which includes itself.
    let included = b"$INCLUDE again\ninner A 192.0.2.1\n";
    let secret = HashKey::new(&mut Random::new(1));
    file::read_including(apex, "zone", text, secret, &mut |_| Ok(included.to_vec()))
}

fn written(zone: &Zone) -> String {
    let mut text = String::new();
    zone.write(&mut text).expect("a String takes everything");
    text
}

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let apex: Name = "example.org".parse().expect("a name");
    match read(&apex, text) {
        Ok((zone, _)) => {
            let first = written(&zone);
            let (again, _) =
                read(&apex, first.as_bytes()).unwrap_or_else(|faults| panic!("{faults}\n{first}"));
            assert_eq!(written(&again), first);
        }
        Err(faults) => {
            assert!(faults.has_errors());
            let _ = faults.to_string();
        }
    }
});
