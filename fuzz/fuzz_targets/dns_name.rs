//! A name that is read prints as text that means the same name.
#![no_main]
use doorway_base::Reader;
use doorway_dns::wire::Name;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    for name in
        [Name::read(&mut Reader::new(octets)).ok(), Name::from_text(octets, None).ok()].into_iter().flatten()
    {
        assert_eq!(Name::from_text(name.to_string().as_bytes(), None), Ok(name.clone()));
        assert_eq!(Name::from_wire(name.as_octets()), Ok(name));
    }
});
