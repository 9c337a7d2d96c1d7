//! A record that can be written down is read as what it was, in both its forms: octets and text.
//!
//! The first octet says which form the rest has: even is the octets of an RDATA, odd is text.
#![no_main]
use doorway_base::Reader;
use doorway_dns::wire::rdata::{self, Word};
use doorway_dns::wire::{Name, Type};
use doorway_dns::zone::scan::Scanner;

fn parse(text: &[u8]) -> Option<(Type, Vec<u8>)> {
    let mut tokens = Vec::new();
    Scanner::new(text).entry(&mut tokens).ok()??;
    let words: Vec<Word<'_>> = tokens
        .iter()
        .map(|token| Word { text: &text[token.start..token.end], quoted: token.quoted })
        .collect();
    let (kind, words) = words.split_first()?;
    let kind = Type::from_text(kind.text)?;
    let mut data = Vec::new();
    rdata::parse(kind, words, &Name::root(), &mut data).ok()?;
    Some((kind, data))
}

fn read(kind: Type, octets: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    rdata::read(kind, &mut Reader::new(octets), octets.len(), &mut data).ok()?;
    Some(data)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let found = match input {
        [form, high, low, octets @ ..] if form % 2 == 0 => {
            let kind = Type(u16::from_be_bytes([*high, *low]));
            read(kind, octets).map(|data| (kind, data))
        }
        [_, text @ ..] => parse(text),
        [] => None,
    };
    let Some((kind, data)) = found else { return };
    if data.len() > rdata::RDATA_OCTETS_MAX {
        return;
    }
    assert_eq!(read(kind, &data).as_ref(), Some(&data), "{kind}");
    let printed = format!("{kind} {}", rdata::display(kind, &data));
    assert_eq!(parse(printed.as_bytes()), Some((kind, data)), "{printed}");
});
